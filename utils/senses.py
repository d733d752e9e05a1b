"""Does a vector know which of its two senses a word has here? Triples of sentences, and the best possible answer.

    triples = sense_triples(world.documents(12_000, seed=1), seed=1)
    scores = nearer(vectors_of_anchors, vectors_of_same, vectors_of_other)      # 1 right, 1/2 a tie, 0 wrong

A triple is three sentences with the same word: in the first two it has one sense, in the third the other. A vector
that knows senses puts the first two nearer to each other. A static vector cannot: it is the same three times, a tie.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from utils.world.lexicon import SENSES
from utils.world.oracle import Channel

if TYPE_CHECKING:
    import pandas as pd

    from utils.world import Document, World

CUE_SLOTS = ("object", "place", "topic", "occupation", "tool")  # their words say something about the topic
SURE = 0.99  # a sentence settles the sense when the exact probability of one of the two is above this
TIE = 1e-7  # similarities closer than this differ by rounding only


class Occurrence(NamedTuple):
    """A two-sense word in a sentence. In the world also: its frame, the other topical words, its document."""

    word: str
    sense: str
    sentence: str
    frame: str = ""
    cues: frozenset[str] = frozenset()
    document: int = -1


class Triple(NamedTuple):
    """Three sentences with the same word; `anchor` and `same` share its sense, `other` has the other one."""

    anchor: Occurrence
    same: Occurrence
    other: Occurrence


def occurrences(documents: Iterable[Document]) -> list[Occurrence]:
    """Every two-sense word of the documents that stands for one of its senses, with what the story knows of it."""
    found = []
    for number, document in enumerate(documents):
        for i, sentence in enumerate(document.sentences):
            words, slots = sentence.split(), document.frames[i].slots
            for place, sense in document.senses(i).items():
                cues = {words[p] for p, kind in enumerate(slots) if kind in CUE_SLOTS and p != place}
                template = document.frames[i].template
                found.append(Occurrence(words[place], sense, sentence, template, frozenset(cues), number))
    return found


def sense_triples(documents: Sequence[Document], seed: int, shared_cues: bool = False) -> list[Triple]:
    """Triples within one word and one frame, so that nothing but the sense and free words can differ.

    No document is used twice, so the triples' scores are independent of each other. Each sense is the anchor's
    equally often. The anchor has no topical word but the word itself in common with the other two: a match at the
    stadium is near another match at the stadium for any vector that mixes in its neighbours. With `shared_cues` the
    anchor and same have one in common in every triple, which shows just that.
    """
    rng = np.random.default_rng([seed, 11])
    by_document: dict[int, list[Occurrence]] = {}
    for occurrence in occurrences(documents):
        by_document.setdefault(occurrence.document, []).append(occurrence)
    groups: dict[tuple[str, str], dict[str, list[Occurrence]]] = {}
    for choice in by_document.values():
        one = choice[rng.integers(len(choice))]
        groups.setdefault((one.word, one.frame), {}).setdefault(one.sense, []).append(one)
    found: list[Triple] = []
    for (word, _), by_sense in sorted(groups.items()):
        first, second = (by_sense.get(sense, []) for sense in SENSES[word].values())
        found += _draw(first, second, shared_cues)
    return found


def _draw(first: list[Occurrence], second: list[Occurrence], shared_cues: bool) -> list[Triple]:
    """Take triples out of the two senses' occurrences, in turn, until no more can be made."""
    found, senses = [], [list(first), list(second)]
    while True:
        own, foreign = senses[len(found) % 2], senses[1 - len(found) % 2]
        choices = (
            (anchor, same, other)
            for anchor, same in combinations(own, 2)
            if bool(anchor.cues & same.cues) == shared_cues
            for other in foreign
            if not anchor.cues & other.cues
        )
        triple = next(choices, None)
        if triple is None:
            return found[: len(found) // 2 * 2]  # both senses equally often
        own.remove(triple[0])
        own.remove(triple[1])
        foreign.remove(triple[2])
        found.append(Triple(*triple))


def beliefs(world: World, items: Sequence[Occurrence]) -> np.ndarray:
    """The exact probability that each word has the first of its senses (in SENSES), given its whole sentence; (items,).

    Before a sentence is read both senses count as equally likely, as in triples, where they are equally frequent.
    Raises ValueError for a sentence that allows neither.
    """
    oracle, topic = world.oracle, world.grammar.forest.by_name["topic"]
    prior = world.grammar.forest.marginal("topic")
    columns = np.array([[topic.states.index(t) for t in SENSES[item.word]] for item in items])
    texts = [[world.word_ids[word] for word in item.sentence.split()] for item in items]
    lengths, joint = np.array([len(text) for text in texts]), np.empty((len(items), len(prior)))
    for length in np.unique(lengths):
        rows, frames = np.flatnonzero(lengths == length), oracle.frames_of_length(length)
        read = oracle.read(np.array([texts[row] for row in rows]), frames, Channel())
        found, _ = oracle.single(read, oracle.any_position[frames])  # P(words, frame, state)
        joint[rows] = np.broadcast_to(found["topic"], (len(rows), len(frames), len(prior))).sum(axis=1)
    odds = np.take_along_axis(joint / prior, columns, axis=1)
    if not (odds.sum(axis=1) > 0).all():
        bad = items[int(np.flatnonzero(~(odds.sum(axis=1) > 0))[0])]
        raise ValueError(f"{bad.sentence!r} allows neither sense of {bad.word!r}; check the sentence.")
    return odds[:, 0] / odds.sum(axis=1)


def best_scores(world: World, triples: Sequence[Triple]) -> tuple[np.ndarray, np.ndarray]:
    """What a perfect reader scores on each triple (1, 1/2 or 0), and whether the three sentences settle their senses.

    The perfect reader knows the probability p of the first sense in each sentence. The one of `same` and `other`
    that more probably shares the anchor's sense is the one with the larger (2 p_anchor - 1)(2 p - 1); no rule that
    sees the same sentences is right more often.
    """
    p = beliefs(world, [occurrence for triple in triples for occurrence in triple]).reshape(-1, 3)
    advantage = (2 * p[:, 0] - 1) * (p[:, 1] - p[:, 2])
    scores = np.where(np.abs(advantage) < 1e-12, 0.5, advantage > 0)
    return scores, (np.maximum(p, 1 - p) > SURE).all(axis=1)


def nearer(anchor: Tensor, same: Tensor, other: Tensor) -> Tensor:
    """1 where the anchor's cosine with `same` is larger than with `other`, 0 where smaller, 1/2 for a tie.

    anchor, same, other: (..., width). Returns (...), double.
    """
    anchor, same, other = (torch.nn.functional.normalize(v.double(), dim=-1) for v in (anchor, same, other))
    difference = (anchor * same).sum(-1) - (anchor * other).sum(-1)
    return torch.where(difference.abs() < TIE, 0.5, (difference > 0).double())


def from_table(table: pd.DataFrame) -> list[Occurrence]:
    """Occurrences from a table with the columns word, sense, sentence (`utils.datasets.load("two-senses")`)."""
    return [Occurrence(row.word, row.sense, row.sentence) for row in table.itertuples()]


def scores_by_word(items: Sequence[Occurrence], vectors: Tensor) -> dict[str, float]:
    """The mean score over every triple of each word's sentences: {word: share of right answers, 0.5 is chance}.

    vectors: (items, width), one per item. Triples of a word share sentences: the word is the unit of an interval.
    """
    result: dict[str, float] = {}
    words = np.array([item.word for item in items])
    senses: Any = np.array([item.sense for item in items])
    for word in dict.fromkeys(words.tolist()):
        at = np.flatnonzero(words == word)
        a, b, c = (index.ravel() for index in np.meshgrid(at, at, at, indexing="ij"))
        valid = (a != b) & (senses[a] == senses[b]) & (senses[a] != senses[c])
        a, b, c = (torch.from_numpy(index[valid]) for index in (a, b, c))
        result[word] = nearer(vectors[a], vectors[b], vectors[c]).mean().item()
    return result
