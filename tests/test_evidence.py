"""Exact evidence per word: against enumeration of a toy language, against the world's own answers, and its marks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.test_world import enumerate_pairs, toy_grammar
from utils import corpus, evidence
from utils.recipe import Recipe, Text, build_model
from utils.world import World

SHARE = {"mixed": 0.5, "next": 1.0, "other": 0.0}


@pytest.fixture(scope="module")
def toy():
    return World(grammar=toy_grammar())


@pytest.fixture(scope="module")
def tables():
    return {relation: enumerate_pairs(toy_grammar(), relation) for relation in ("next", "other", "single")}


@pytest.fixture(scope="module")
def world():
    return World("small")


def enumerated(toy, tables, text, relation, hidden):
    """The distribution of the [MASK] of `text` with the words at `hidden` hidden too, by adding up every pair."""
    parts = [part.split() for part in text.split("[SEP]")]
    words = [word for part in parts for word in part]
    place = words.index("[MASK]")
    shown = [None if i in hidden or i == place else toy.word_ids[word] for i, word in enumerate(words)]
    if len(parts) == 1:
        mixture = [(tables["single"], 1.0)]
    else:
        mixture = [(tables["next"], SHARE[relation]), (tables["other"], 1 - SHARE[relation])]
    answer = np.zeros(len(toy.vocabulary))
    for table, share in mixture:
        for (one, two), p in table.items():
            lengths = [len(one), len(two)][: len(parts)]
            written = [*one, *two]
            if lengths == [len(part) for part in parts] and all(
                s is None or s == w for s, w in zip(shown, written, strict=True)
            ):
                answer[written[place]] += share * p
    return answer / answer.sum()


TEXTS = [
    ("she was [MASK] .", "mixed"),
    ("[MASK] was calm .", "mixed"),
    ("the [MASK] . [SEP] she was glad", "next"),
    ("the nurse . [SEP] [MASK] was glad", "mixed"),
    ("she was sad . [SEP] [MASK] was sad .", "other"),
    ("she was sad . [SEP] [MASK] was sad .", "next"),
]


@pytest.mark.parametrize(("text", "relation"), TEXTS)
def test_evidence_equals_enumeration(toy, tables, text, relation):
    words = text.replace("[SEP] ", "").split()
    place, everything = words.index("[MASK]"), set(range(len(words)))
    full = enumerated(toy, tables, text, relation, set())
    nothing = enumerated(toy, tables, text, relation, everything)
    removed, alone = evidence.by_removal(toy, text, relation), evidence.alone(toy, text, relation)
    assert [word for word, _ in removed] == words == [word for word, _ in alone]
    for i in everything - {place}:
        less = enumerated(toy, tables, text, relation, {i})
        only = enumerated(toy, tables, text, relation, everything - {i})
        assert removed[i][1] == pytest.approx(evidence.kl(full, less), abs=1e-10)
        assert alone[i][1] == pytest.approx(evidence.kl(only, nothing), abs=1e-10)
    assert removed[place][1] == 0 and alone[place][1] == 0


def test_evidence_that_is_there_twice_is_invisible_to_removal(world):
    twice = "mary found a ball at the stadium . [SEP] she told [MASK] mother about the ball ."
    assert max(nats for _, nats in evidence.by_removal(world, twice)) < 0.02
    words = twice.replace("[SEP] ", "").split()
    hidden = np.array([[False] * len(words), [word in ("mary", "she") for word in words]])
    full, without = evidence.distributions(world, twice, hidden)
    assert evidence.kl(full, without) > 0.5


def test_a_decisive_word_is_found(world):
    found = dict(evidence.by_removal(world, "the nurse said that [MASK] was happy ."))
    with_, without = (world.masked_distribution(t) for t in ("the nurse said that [MASK] was happy .",
                                                              "the [MASK] said that [MASK] was happy ."))
    expected = sum(p * np.log(p / without[1][w]) for w, p in with_.items() if p > 0)
    assert found["nurse"] == pytest.approx(expected, abs=1e-10) and max(found, key=found.get) == "nurse"


@pytest.mark.parametrize(("text", "message"), [
    ("the nurse said that she was happy .", "should have one"),
    ("the [MASK] said that [MASK] was happy .", "it has 2"),
    ("the nurse said that [MASK] was hapy .", "'hapy' is not a word"),
    ("nurse the said that [MASK] was happy .", "no text of"),
])  # fmt: skip
def test_unusable_texts_are_refused_in_a_sentence(world, text, message):
    with pytest.raises(ValueError, match=message):
        evidence.by_removal(world, text)
    with pytest.raises(ValueError, match="mixed"):
        evidence.by_removal(world, "the nurse said that [MASK] was happy .", "nearby")
    with pytest.raises(ValueError, match="has 8 words"):
        evidence.distributions(world, "the nurse said that [MASK] was happy .", np.zeros((1, 5)))


def test_kl_of_known_distributions():
    by_hand = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    assert evidence.kl(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(by_hand)
    assert evidence.kl(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == np.inf
    assert evidence.kl(np.array([0.0, 1.0]), np.array([0.5, 0.5])) == pytest.approx(np.log(2))


def test_questions_are_one_to_a_document_with_their_exact_answers(world):
    asked = evidence.questions(world, documents=40, seed=3)
    assert [q.document for q in asked] == sorted({q.document for q in asked})
    for question in asked[:10]:
        exact = world.masked_distribution(question.text)
        assert np.allclose(question.exact, list(exact.values()), atol=1e-12)
        removed = [nats for _, nats in evidence.by_removal(world, question.text)]
        assert np.allclose(question.evidence, removed, atol=1e-10)
        assert question.decisive().any() and question.words[question.place] == "[MASK]"
        assert exact[question.target] > 0
    again = evidence.questions(world, documents=40, seed=3)
    assert [q.text for q in again] == [q.text for q in asked]
    assert {q.slot for q in evidence.questions(world, 40, 3, slots=["pronoun", "tool"])} <= {"pronoun", "tool"}


@pytest.fixture(scope="module")
def small(world):
    """A model with random weights, a tokenizer, and questions."""
    tokenizer = corpus.build_tokenizer(world.vocabulary)
    text = Text(tokenizer, corpus.encode(world.documents(20, 1), tokenizer), world=world)
    return build_model(Recipe(width=16, heads=2), text).eval(), tokenizer, evidence.questions(world, 12, 5)


def test_columns_lead_to_the_words_of_the_input(small):
    _, tokenizer, asked = small
    batch, place = evidence.as_batch(asked, tokenizer), evidence.places(asked)
    for row, question in enumerate(asked):
        tokens = tokenizer.convert_ids_to_tokens(batch["input_ids"][row].tolist())
        assert [tokens[column] for column in question.columns] == list(question.words)
        assert tokens[place[row]] == "[MASK]"


def test_effects_equal_hiding_one_word_at_a_time(world, small):
    model, tokenizer, asked = small
    size = len(world.vocabulary)
    for question, found in zip(asked[:4], evidence.effects(model, tokenizer, asked), strict=False):
        def answer(words, own=question):
            one, two = " ".join(words[: own.first]), " ".join(words[own.first :])
            with torch.no_grad():
                logits = model(**tokenizer(one, two, return_tensors="pt")).prediction_logits
            return logits[0, own.columns[own.place], -size:].double().softmax(-1).numpy()

        assert len(found) == len(question.words) and found[question.place] == pytest.approx(0, abs=1e-9)
        for i in range(0, len(question.words), 5):
            hidden = [*question.words[:i], "[MASK]", *question.words[i + 1 :]]
            assert found[i] == pytest.approx(evidence.kl(answer(question.words), answer(hidden)), rel=1e-3, abs=1e-7)


def test_precision_by_hand(small):
    _, _, asked = small
    question, longest = asked[0], 30
    columns, decisive = question.columns, np.flatnonzero(question.decisive())
    best, worst = np.zeros(longest), np.ones(longest)
    best[columns[decisive]], worst[columns[decisive]] = 2.0, -1.0
    best[[0, question.columns[question.place]]] = 9.0  # [CLS] and the hidden word itself are not looked at
    others = len(question.words) - 1
    shares = [evidence.precision([question], [score])[0] for score in (best, worst, np.ones(longest))]
    assert shares == pytest.approx([1.0, 0.0, len(decisive) / others])
    with pytest.raises(ValueError, match="finite"):
        evidence.precision([question], [np.full(longest, np.nan)])


def hand_made(evidence_, place=1):
    """A question about four other words whose evidence is given; two words are possible, with equal chances."""
    words = tuple("[MASK]" if i == place else f"w{i}" for i in range(5))
    return evidence.Question(words, 3, place, "w", "tool", np.array([0.5, 0.5]), np.array(evidence_), document=0)


def test_precision_divides_a_tie_for_the_last_place_evenly():
    question = hand_made([0.4, 0.0, 0.3, 0.0, 0.01])  # words 0 and 2 are decisive
    scores = np.zeros(9)
    scores[question.columns] = [3.0, 9.0, 1.0, 1.0, 0.0]  # word 0 is named; 2 and 3 share the second place
    assert evidence.precision([question], [scores])[0] == pytest.approx((1 + 0.5) / 2)
    assert evidence.precision([question], [scores], least=0.35)[0] == 1  # then only word 0 is asked for
    with pytest.raises(ValueError, match="some word decisive"):
        evidence.precision([hand_made([0.0] * 5)], [scores])


def test_a_question_counts_when_the_model_knows_the_answer_and_uses_every_decisive_word(monkeypatch):
    asked = [hand_made([0.4, 0.0, 0.3, 0.0, 0.01]) for _ in range(4)]
    effects = [[0.2, 0, 0.2, 0, 0], [0.2, 0, 0.05, 0, 0.9], [0.2, 0, 0.2, 0, 0], [0.2, 0, 0.1, 0.5, 0]]
    q = np.array([[0.5, 0.5], [0.5, 0.5], [0.95, 0.05], [0.6, 0.4]])  # the third is 0.83 nats away
    monkeypatch.setattr(evidence, "as_batch", lambda asked, tokenizer: {})
    monkeypatch.setattr(evidence, "log_answers", lambda *arguments: np.log(q))
    monkeypatch.setattr(evidence, "effects", lambda *arguments: [np.array(row) for row in effects])
    kept = evidence.used(None, None, asked)
    assert [any(question is one for one in kept) for question in asked] == [True, False, False, True]


def test_many_texts_are_read_in_parts(small, monkeypatch):
    model, tokenizer, asked = small
    whole = evidence.effects(model, tokenizer, asked)
    monkeypatch.setattr(evidence, "TEXTS_AT_A_TIME", 7)
    for found, again in zip(whole, evidence.effects(model, tokenizer, asked), strict=True):
        assert np.allclose(found, again, atol=1e-6)


def test_a_model_that_knows_nothing_can_be_marked_on_no_question(small):
    model, tokenizer, asked = small
    assert evidence.used(model, tokenizer, asked) == []
    lenient = evidence.used(model, tokenizer, asked, least=0.0, most=np.inf)
    assert len(lenient) == len(asked)
