"""WEAT: values worked by hand, full enumeration, a bootstrap written out, vectors counted in the world."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from utils import bias
from utils.bias import planted
from utils.world import World


@pytest.fixture(scope="module")
def worlds() -> dict[float, World]:
    return {dose: World(pronoun_dose=dose) for dose in (-1.0, 0.0, 0.5, 1.0)}


def test_weat_by_hand():
    """Unit vectors at known angles: s is cos to (1, 0) minus cos to (0, 1)."""
    X, Y = np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 2.0], [4.0, 3.0]])
    A, B = np.array([[5.0, 0.0]]), np.array([[0.0, 0.1]])
    assert bias.associations(X, A, B) == pytest.approx([1.0, 0.6 - 0.8])
    s = [1.0, -0.2, -1.0, 0.2]
    result = bias.weat(X, Y, A, B)
    assert result.effect_size == pytest.approx((0.4 - -0.4) / math.sqrt((1 + 0.04 + 1 + 0.04) / 3))
    assert bias.weat(X, Y, A, B, ddof=0).effect_size == pytest.approx(0.8 / np.std(s))
    # six halves of {1, -0.2, -1, 0.2} have sums 0.8, 0, 1.2, -1.2, 0, -0.8: two of them reach the observed 0.8
    assert result.p == pytest.approx(2 / 6) and result.exact
    assert result.statistic == pytest.approx(1.6)


def test_weat_p_is_full_enumeration():
    rng = np.random.default_rng(0)
    X, Y, A, B = (rng.normal(size=(n, 7)) for n in (5, 5, 4, 6))
    s = np.concatenate([bias.associations(X, A, B), bias.associations(Y, A, B)])
    seen = s[:5].sum() - s[5:].sum()
    every = [s[list(c)].sum() * 2 - s.sum() for c in itertools.combinations(range(10), 5)]
    result = bias.weat(X, Y, A, B)
    assert result.exact and result.p == pytest.approx(np.mean(np.array(every) >= seen - 1e-12))
    swapped = bias.weat(Y, X, A, B)
    assert swapped.effect_size == pytest.approx(-result.effect_size)


def test_weat_samples_without_replacement_beyond_20000_partitions():
    rng = np.random.default_rng(1)
    X, Y, A, B = (
        rng.normal(0.5, 1, (12, 5)),
        rng.normal(size=(12, 5)),
        rng.normal(0.5, 1, (6, 5)),
        rng.normal(size=(6, 5)),
    )
    result = bias.weat(X, Y, A, B, resamples=999)
    assert not result.exact and result.p * 1000 == pytest.approx(round(result.p * 1000)) and result.p >= 1 / 1000


def test_weat_errors_and_edges():
    one = np.eye(3)
    with pytest.raises(ValueError, match="equally many"):
        bias.weat(one, one[:2], one, one)
    with pytest.raises(ValueError, match="all zeros"):
        bias.associations(np.zeros((1, 3)), one, one)
    assert math.isnan(bias.effect_size([0.2, 0.2], [0.2, 0.2]))
    assert abs(bias.effect_size([1.0] * 8, [0.0] * 8, ddof=0)) == pytest.approx(2.0)


def test_weat_interval_covers_its_value():
    rng = np.random.default_rng(2)
    X, Y, A, B = (
        rng.normal(0.6, 1, (8, 5)),
        rng.normal(size=(8, 5)),
        rng.normal(0.6, 1, (8, 5)),
        rng.normal(size=(8, 5)),
    )
    interval = bias.weat_interval(X, Y, A, B, resamples=400)
    assert interval.low < interval.value < interval.high
    assert interval.value == pytest.approx(bias.weat(X, Y, A, B).effect_size)

def test_weat_interval_is_a_bootstrap_of_all_four_lists():
    """Against a bootstrap written out with loops; one of the targets or of the attributes alone is narrower."""
    rng = np.random.default_rng(2)
    X, Y, A, B = (rng.normal(shift, 1, (8, 5)) for shift in (0.6, 0.0, 0.6, 0.0))

    def cosine(v, w):
        return float(v @ w / math.sqrt((v @ v) * (w @ w)))

    to = [[cosine(w, a) for a in (*A, *B)] for w in (*X, *Y)]  # 16 words, 16 attributes

    def bootstrap(targets: bool, attributes: bool, seed: int):
        draw, values = np.random.default_rng(seed), []
        for _ in range(3000):
            x, y = (draw.integers(8, size=8) if targets else np.arange(8) for _ in "XY")
            a, b = (draw.integers(8, size=8) if attributes else np.arange(8) for _ in "AB")
            s = [sum(to[w][j] for j in a) / 8 - sum(to[w][8 + j] for j in b) / 8 for w in (*x, *(8 + y))]
            values.append((sum(s[:8]) / 8 - sum(s[8:]) / 8) / np.std(s, ddof=1))
        return np.quantile(values, [0.025, 0.975])

    interval = np.array(bias.weat_interval(X, Y, A, B, resamples=6000).interval)
    assert interval == pytest.approx(bootstrap(True, True, seed=9), abs=0.08)
    for targets, attributes in ((True, False), (False, True)):
        narrower = bootstrap(targets, attributes, seed=9)
        assert np.ptp(narrower) < np.ptp(interval) - 0.15
    half = bias.weat_interval(X, Y, A, B, level=0.5, resamples=2000)
    assert interval[0] < half.low < half.high < interval[1]


def test_counted_vectors_follow_the_dose(worlds):
    women = [o for o, gender in planted.stereotyped_gender(worlds[1.0]).items() if gender == "female"]
    men = [o for o in planted.planted_log_odds(worlds[1.0]) if o not in women]
    words = [women, men, ["she", "her"], ["he", "his", "him"]]
    d = {}
    for dose, world in worlds.items():
        vectors = planted.count_vectors(world, documents=1500, seed=3)
        d[dose] = bias.weat(*(vectors[[world.word_ids[w] for w in each]] for each in words)).effect_size
    assert d[1.0] > 1.4 and d[-1.0] < -1.4 and abs(d[0.0]) < 1.2
