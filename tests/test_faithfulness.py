"""Marks and metrics of attributions on games that can be worked out by hand, with ties, edges and the randomisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils import faithfulness as fa
from utils import models


@pytest.mark.parametrize(
    ("scores", "deciding", "precision", "rank"),
    [
        ([3, 1, 2, 0], [1, 0, 0, 0], 1.0, 1.0),
        ([3, 1, 2, 0], [0, 1, 0, 0], 0.0, 3.0),
        ([3, 1, 2, 0], [1, 1, 0, 0], 0.5, 2.0),  # ranks 1 and 3; 1.5 would be the best possible
        ([-3, -1, -2, -9], [0, 1, 1, 0], 1.0, 1.5),
        ([5, 5, 5, 5], [1, 0, 0, 0], 0.25, 2.5),  # equal scores are worth what chance is worth
        ([5, 5, 1, 0], [1, 0, 0, 0], 0.5, 1.5),
        ([5, 2, 2, 0], [1, 1, 0, 0], 0.75, 1.75),
        ([1], [1], 1.0, 1.0),
    ],
)
def test_marks_by_hand(scores, deciding, precision, rank):
    assert fa.precision_at_k(scores, np.array(deciding, bool)) == pytest.approx(precision)
    assert fa.mean_rank(scores, np.array(deciding, bool)) == pytest.approx(rank)


def test_chance_is_what_random_scores_give():
    random, deciding = np.random.default_rng(0), np.array([True, True, False, False, False])
    found = [fa.precision_at_k(random.random(5), deciding) for _ in range(4000)]
    assert np.mean(found) == pytest.approx(2 / 5, abs=0.02) and fa.precision_at_k(np.ones(5), deciding) == 0.4


@pytest.mark.parametrize("scores", [[1.0, float("nan")], [1.0], [[1.0, 2.0]]])
def test_marks_of_unfit_scores(scores):
    with pytest.raises(ValueError, match="score"):
        fa.precision_at_k(scores, [True, False])
    with pytest.raises(ValueError, match="must decide"):
        fa.mean_rank([1.0, 2.0], [False, False])


# ------------------------------------------------------------------------------------------ ERASER


@pytest.mark.parametrize(
    ("words", "share", "count"), [(10, 0.01, 1), (10, 0.1, 1), (10, 0.11, 2), (30, 0.1, 3), (7, 0.5, 4), (5, 1, 5)]
)
def test_size_of_a_rationale(words, share, count):
    chosen = fa.rationale(np.arange(words), share)
    assert chosen.sum() == count and chosen[-count:].all(), "the highest scores, rounded up, at least one"


def test_ties_of_a_rationale_are_broken_by_the_seed():
    same = [fa.rationale(np.zeros(20), 0.2, seed=1) for _ in range(2)]
    assert (same[0] == same[1]).all() and (same[0] != fa.rationale(np.zeros(20), 0.2, seed=2)).any()
    first = np.mean([fa.rationale(np.zeros(4), 0.25, seed=s) for s in range(800)], axis=0)
    assert np.allclose(first, 0.25, atol=0.06), "no place is favoured"


@pytest.mark.parametrize(("scores", "share"), [([1, 2], 0), ([1, 2], 1.5), ([], 0.5), ([1, np.inf], 0.5)])
def test_unfit_rationales(scores, share):
    with pytest.raises(ValueError, match="rationale needs"):
        fa.rationale(scores, share)


def one_word_decides(shown):
    """p = 0.9 while word 2 is shown, else 0.5."""
    return np.where(np.atleast_2d(shown)[:, 2], 0.9, 0.5)


def either_decides(shown):
    shown = np.atleast_2d(shown)
    return np.where(shown[:, 0] | shown[:, 1], 0.9, 0.5)


def test_comprehensiveness_and_sufficiency_by_hand():
    right, wrong = [0, 0, 1, 0.5], [1, 0.5, 0, 0.2]
    assert fa.comprehensiveness(one_word_decides, right, shares=[0.25]) == pytest.approx(0.4)
    assert fa.sufficiency(one_word_decides, right, shares=[0.25]) == pytest.approx(0.0)
    assert fa.comprehensiveness(one_word_decides, wrong, shares=[0.25]) == pytest.approx(0.0)
    assert fa.sufficiency(one_word_decides, wrong, shares=[0.25]) == pytest.approx(0.4)
    assert fa.comprehensiveness(one_word_decides, wrong, shares=[0.25, 1.0]) == pytest.approx(0.2), "a plain mean"
    assert fa.sufficiency(one_word_decides, wrong, shares=[1.0]) == pytest.approx(0.0), "all words are the text"


def test_what_is_said_twice_is_not_comprehensive_until_both_are_gone():
    right = [2, 1, 0, 0]
    assert fa.comprehensiveness(either_decides, right, shares=[0.25]) == pytest.approx(0.0)
    assert fa.comprehensiveness(either_decides, right, shares=[0.5]) == pytest.approx(0.4)
    assert fa.sufficiency(either_decides, right, shares=[0.25]) == pytest.approx(0.0)


def test_sufficiency_can_be_negative():
    def hedges(shown):  # word 1 speaks against the answer
        return 0.9 - 0.2 * np.atleast_2d(shown)[:, 1]

    assert fa.sufficiency(hedges, [1, -1], shares=[0.5]) == pytest.approx(-0.2)


# ------------------------------------------------------------------------------------------ randomisation


@pytest.fixture(scope="module")
def model():
    return models.load("world-small", head="sequence-classification", num_labels=2)[0]


def test_the_cascade_goes_down_and_leaves_the_model_alone(model):
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    stages = dict(fa.cascade(model, seed=1))
    assert list(stages) == ["head", "pooler", "layer 1", "layer 0", "embeddings"]
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())

    def differ(other):
        return {name.rsplit(".", 1)[0] for name, weight in other.state_dict().items()
                if name.endswith("weight") and not torch.equal(weight, before[name])}

    assert differ(stages["head"]) == {"classifier"}
    assert differ(stages["pooler"]) == {"classifier", "bert.pooler.dense"}
    assert any("layer.1" in name for name in differ(stages["layer 1"]))
    assert not any("layer.0" in name or "embeddings" in name for name in differ(stages["layer 1"]))
    last = {name for name in differ(stages["embeddings"]) if "LayerNorm" not in name}
    everything = {name.rsplit(".", 1)[0] for name in before if name.endswith("weight") and "LayerNorm" not in name}
    assert last == everything


def test_similarity():
    assert fa.similarity([1, 2, 3], [-10, 20, -30]) == pytest.approx(1.0), "signs do not count"
    assert fa.similarity([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert fa.similarity([1, 1, 1], [3, 2, 1]) == 0.0
    with pytest.raises(ValueError, match="3 and 2"):
        fa.similarity([1, 2, 3], [1, 2])


def test_foresight():
    random = np.random.default_rng(0)
    moved, texts = random.normal(size=60), np.repeat(np.arange(30), 2)
    perfect = fa.foresight(3 * moved, moved, texts)
    assert perfect.value == pytest.approx(1) and perfect.low == pytest.approx(1)
    assert fa.foresight(-moved, moved, texts).value == pytest.approx(-1)
    nothing = fa.foresight(random.normal(size=60), moved, texts)
    assert nothing.low < 0 < nothing.high and nothing == fa.foresight(*_again(), texts)


def _again():
    random = np.random.default_rng(0)
    moved = random.normal(size=60)
    return random.normal(size=60), moved


def test_foresight_counts_texts_not_edits():
    random = np.random.default_rng(1)
    said, moved = random.normal(size=20), random.normal(size=20)
    once = fa.foresight(said, moved, np.arange(20))
    copied = fa.foresight(np.repeat(said, 4), np.repeat(moved, 4), np.repeat(np.arange(20), 4))
    assert copied.value == pytest.approx(once.value)
    assert copied.high - copied.low == pytest.approx(once.high - once.low, abs=0.05), "copies add no certainty"
    with pytest.raises(ValueError, match="three texts"):
        fa.foresight([1, 2], [1, 2], [0, 0])


def test_foresight_against_a_rival():
    random = np.random.default_rng(2)
    moved, texts = random.normal(size=60), np.repeat(np.arange(30), 2)
    half = moved + random.normal(size=60)
    alone, noise = fa.foresight(half, moved, texts), random.normal(size=60)
    same = fa.foresight(half, moved, texts, rival=2 * half)
    assert same.value == same.low == same.high == 0, "the same ranking, on the same resamples"
    gain = fa.foresight(half, moved, texts, rival=noise)
    assert gain.value == pytest.approx(alone.value - fa.foresight(noise, moved, texts).value) and gain.low > 0
    assert fa.foresight(noise, moved, texts, rival=half).value == pytest.approx(-gain.value)
    with pytest.raises(ValueError, match="three texts"):
        fa.foresight(half, moved, texts, rival=noise[:-1])
