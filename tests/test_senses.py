"""Triples of sentences, the perfect reader against brute force, and the sentences of `data/two_senses.csv`."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest
import torch

from utils import datasets, senses
from utils.world import World
from utils.world.lexicon import SENSES

FUNCTION_WORDS = frozenset(
    "a after an and are at be been before by can each every first for from had has have he her his i if in into is it "
    "its last must my next not of on one onto our out over part she so that the their there they this three through to "
    "two under was we were what when will with would inside".split()
)


@pytest.fixture(scope="module")
def world() -> World:
    return World(size="small")


@pytest.fixture(scope="module")
def documents(world):
    return world.documents(3000, seed=8)


def test_occurrences_are_labelled_as_the_documents_are(documents):
    found = senses.occurrences(documents[:300])
    assert len(found) == sum(len(d.senses(i)) for d in documents[:300] for i in range(len(d.sentences)))
    for item in found:
        assert item.sense == SENSES[item.word][documents[item.document].topic]
        assert item.word in item.sentence.split() and item.word not in item.cues


@pytest.mark.parametrize("shared_cues", [False, True])
def test_triples_keep_their_promises(documents, shared_cues):
    triples = senses.sense_triples(documents, seed=1, shared_cues=shared_cues)
    assert len(triples) > 100
    for anchor, same, other in triples:
        assert len({anchor.word, same.word, other.word}) == len({anchor.frame, same.frame, other.frame}) == 1
        assert anchor.sense == same.sense != other.sense
        assert bool(anchor.cues & same.cues) == shared_cues and not anchor.cues & other.cues
    assert len({item.document for triple in triples for item in triple}) == 3 * len(triples)
    for word in {triple.anchor.word for triple in triples}:
        anchors = [triple.anchor.sense for triple in triples if triple.anchor.word == word]
        first, second = SENSES[word].values()
        assert anchors.count(first) == anchors.count(second)
    assert triples == senses.sense_triples(documents, seed=1, shared_cues=shared_cues)


def test_beliefs_equal_the_frequencies_of_sampled_stories(world):
    """Among sampled occurrences of one sentence pattern, each sense has the share that the exact belief says."""
    items = senses.occurrences(world.documents(20_000, seed=4))
    beliefs = senses.beliefs(world, items)
    prior = dict(zip(world.grammar.forest.by_name["topic"].states, world.grammar.forest.marginal("topic"), strict=True))
    first = np.array([item.sense == list(SENSES[item.word].values())[0] for item in items])
    a, b = (np.array([[prior[t] for t in SENSES[item.word]] for item in items])[:, k] for k in (0, 1))
    natural = beliefs * a / (beliefs * a + (1 - beliefs) * b)  # back to how often the stories use each sense
    for low, high in ((0, 0.01), (0.01, 0.45), (0.45, 0.55), (0.55, 0.99), (0.99, 1.01)):
        chosen = (natural >= low) & (natural < high)
        error = np.sqrt((natural[chosen] * (1 - natural[chosen])).sum()) / chosen.sum()
        assert chosen.sum() > 50 and abs(first[chosen].mean() - natural[chosen].mean()) <= 4 * error + 1e-9


def test_beliefs_refuse_a_sentence_that_cannot_be(world):
    item = senses.Occurrence("bat", "club", "zelmar zelmar bat zelmar zelmar .")
    with pytest.raises(ValueError, match="neither sense"):
        senses.beliefs(world, [item])


def test_the_perfect_reader_is_right_wherever_the_sentences_settle_it(world, documents):
    triples = senses.sense_triples(documents, seed=1)
    best, settled = senses.best_scores(world, triples)
    assert settled.mean() > 0.4 and (best[settled] == 1).all()
    assert abs(best[~settled].mean() - 0.5) < 0.1


def test_nearer():
    anchor = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    same = torch.tensor([[2.0, 0.1], [0.0, 1.0], [1.0, 0.0]])
    other = torch.tensor([[9.0, 9.0], [1.0, 1.0], [0.0, 5.0]])
    assert senses.nearer(anchor, same, other).tolist() == [1.0, 0.0, 0.5]


def test_a_static_vector_scores_exactly_one_half(documents):
    items = senses.occurrences(documents[:400])
    generator = torch.Generator().manual_seed(0)
    vector = {word: torch.randn(16, generator=generator) for word in SENSES}
    static = torch.stack([vector[item.word] for item in items])
    assert set(senses.scores_by_word(items, static).values()) == {0.5}
    triples = senses.sense_triples(documents, seed=1)
    rows = [torch.stack([vector[triple[role].word] for triple in triples]) for role in range(3)]
    assert (senses.nearer(*rows) == 0.5).all()


def test_scores_by_word_counts_every_triple():
    items = [senses.Occurrence("bat", sense, f"{sense} {i}") for sense in ("club", "animal") for i in range(3)]
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [0.0, 1.0]])
    by_hand = []
    for a in range(6):
        for b in range(6):
            for c in range(6):
                if a != b and a // 3 == b // 3 != c // 3:
                    by_hand.append(senses.nearer(vectors[a], vectors[b], vectors[c]).item())
    assert senses.scores_by_word(items, vectors) == {"bat": pytest.approx(np.mean(by_hand))}


def test_the_two_senses_table_is_what_its_datasheet_says():
    table = datasets.load("two-senses")
    assert table.groupby("word")["sense"].nunique().eq(2).all()
    assert table.groupby(["word", "sense"]).size().eq(8).all() and len(table) == 128
    assert not table["sentence"].duplicated().any()
    for row in table.itertuples():
        assert re.findall(r"[a-z]+", row.sentence.lower()).count(row.word) == 1, row.sentence
    for (word, _), group in table.groupby(["word", "sense"]):
        for one, two in combinations(group["sentence"], 2):
            shared = set(re.findall(r"[a-z]+", one.lower())) & set(re.findall(r"[a-z]+", two.lower()))
            assert not shared - FUNCTION_WORDS - {word}, (one, two)
