"""Statistics against scipy, against full enumeration, and by how often the intervals cover the truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats

from utils import stats

RANDOM = np.random.default_rng(20)
SKEWED = RANDOM.exponential(size=60)
X = RANDOM.normal(size=30)
Y = 0.5 * X + RANDOM.normal(size=30)


def share_covered(truth: float, intervals: list[stats.Estimate]) -> float:
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


@pytest.mark.parametrize("method", ["BCa", "percentile"])
@pytest.mark.parametrize("statistic", [np.mean, np.median])
def test_bootstrap_is_scipys(method, statistic):
    ours = stats.bootstrap(SKEWED, statistic, method=method, resamples=500, seed=3)
    theirs = scipy_stats.bootstrap(
        (SKEWED,), statistic, method=method, n_resamples=500, rng=np.random.default_rng(3)
    ).confidence_interval
    assert ours == pytest.approx((statistic(SKEWED), theirs.low, theirs.high))


def test_bootstrap_covers_about_as_often_as_it_says():
    random = np.random.default_rng(0)
    samples = [random.exponential(size=50) for _ in range(300)]
    assert 0.90 <= share_covered(1.0, [stats.bootstrap(s, resamples=300, seed=1) for s in samples]) <= 0.98


@pytest.mark.filterwarnings("error")
def test_bootstrap_of_degenerate_data():
    assert stats.bootstrap([2.0] * 8) == (2.0, 2.0, 2.0)
    low, high = stats.bootstrap([0.0] * 99 + [1.0], np.median).interval
    assert (low, high) == (0.0, 0.0)


def test_same_seed_same_interval_and_no_global_stream():
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    calls = [
        lambda seed: stats.bootstrap(X, seed=seed, resamples=200),
        lambda seed: stats.cluster_bootstrap(X, np.arange(30) // 3, seed=seed, resamples=200),
        lambda seed: stats.paired_permutation_test(X, seed=seed, resamples=200),
        lambda seed: stats.permutation_test(X, Y, seed=seed, resamples=200),
        lambda seed: stats.correlation(X, Y, seed=seed, resamples=200),
    ]
    for run in calls:
        assert run(1) == run(1) == run(np.random.default_rng(1)) != run(2)
    assert np.random.rand() == expected


def test_cluster_error_of_single_items_is_the_ordinary_one():
    assert stats.cluster_standard_error(X, np.arange(30)) == pytest.approx(scipy_stats.sem(X))
    assert stats.cluster_mean(X, np.arange(30)) == pytest.approx(stats.t_interval(X))


def test_cluster_error_does_not_count_copies_as_new():
    copies = np.repeat(X, 10)
    assert stats.cluster_standard_error(copies, np.repeat(np.arange(30), 10)) == pytest.approx(scipy_stats.sem(X))
    assert scipy_stats.sem(copies) < 0.35 * scipy_stats.sem(X)  # what ignoring the clusters would claim


def clustered(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    sizes = random.integers(3, 9, size=40)
    labels = np.repeat(np.arange(40), sizes)
    return random.normal(size=40)[labels] + random.normal(size=len(labels)), labels


def test_cluster_intervals_cover_and_naive_ones_do_not():
    random = np.random.default_rng(0)
    samples = [clustered(random) for _ in range(400)]
    assert 0.92 <= share_covered(0.0, [stats.cluster_mean(*s) for s in samples]) <= 0.98
    assert 0.90 <= share_covered(0.0, [stats.cluster_bootstrap(*s, resamples=300) for s in samples]) <= 0.98
    assert share_covered(0.0, [stats.t_interval(values) for values, _ in samples]) < 0.80


def test_cluster_labels_may_be_words_and_tensors():
    words = [f"document {k // 3}" for k in range(30)]
    numbers = torch.arange(30) // 3
    assert stats.cluster_mean(torch.tensor(X), words) == pytest.approx(stats.cluster_mean(X, numbers))


def test_t_interval_is_scipys():
    ours = stats.t_interval(X[:4])
    low, high = scipy_stats.t.interval(0.95, 3, loc=X[:4].mean(), scale=scipy_stats.sem(X[:4]))
    assert ours == pytest.approx((X[:4].mean(), low, high))


def test_wilson_against_the_published_formula():
    n, k, z = 20, 17, scipy_stats.norm.ppf(0.975)
    centre = (k / n + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(k / n * (1 - k / n) / n + z**2 / (4 * n**2))
    assert stats.wilson(17, 20) == pytest.approx((0.85, centre - half, centre + half))
    assert stats.wilson(0, 10).low == 0 and stats.wilson(0, 10).high > 0.2
    with pytest.raises(ValueError, match="11 of 10"):
        stats.wilson(11, 10)


def test_paired_test_counts_every_flip():
    difference = X[:9] - Y[:9]
    flips = [abs(np.mean(difference * signs)) for signs in itertools.product([1, -1], repeat=9)]
    expected = np.mean([value >= abs(difference.mean()) - 1e-12 for value in flips])
    result = stats.paired_permutation_test(X[:9], Y[:9])
    assert result == (pytest.approx(difference.mean()), pytest.approx(expected), True)
    theirs = scipy_stats.permutation_test(
        (X[:9], Y[:9]), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf
    )
    assert result.p == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_two_sample_test_counts_every_assignment(alternative):
    first, second = X[:5], Y[:6]
    result = stats.permutation_test(first, second, alternative=alternative)
    pooled, fold = np.concatenate([first, second]), abs if alternative == "two-sided" else float
    observed = fold(first.mean() - second.mean())
    hits = []
    for chosen in itertools.combinations(range(11), 5):
        mask = np.isin(np.arange(11), chosen)
        hits.append(fold(pooled[mask].mean() - pooled[~mask].mean()) >= observed - 1e-12)
    assert result.exact and result.p == pytest.approx(np.mean(hits))


def test_sampled_p_values_are_near_the_exact_ones_and_never_zero():
    exact = stats.paired_permutation_test(X[:12])
    signs = np.random.default_rng(0).choice([1, -1], size=(20_000, 12))
    near = np.mean(np.abs(signs @ X[:12] / 12) >= abs(X[:12].mean()))
    assert exact.exact and exact.p == pytest.approx(near, abs=0.02)
    far = stats.paired_permutation_test(np.full(40, 5.0) + X.mean(), resamples=999)
    assert not far.exact and far.p == pytest.approx(1 / 1000)
    far = stats.permutation_test(X, X + 100, resamples=999)
    assert not far.exact and far.p == pytest.approx(1 / 1000)


def test_permutation_tests_keep_their_level():
    random = np.random.default_rng(2)
    p = [stats.permutation_test(random.normal(size=30), random.normal(size=30), resamples=199).p for _ in range(300)]
    assert np.mean(np.array(p) <= 0.05) <= 0.09


def test_holm_by_hand_and_in_any_order():
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        stats.holm([0.1, 1.2])


def test_correlations_are_scipys():
    assert stats.correlation(X, Y).value == pytest.approx(scipy_stats.pearsonr(X, Y).statistic)
    tied = np.round(Y)
    spearman = stats.correlation(X, tied, kind="spearman")
    assert spearman.value == pytest.approx(scipy_stats.spearmanr(X, tied).statistic)
    assert stats.correlation(X, np.exp(3 * X), kind="spearman").value == pytest.approx(1.0)
    low, high = stats.correlation(X, Y).interval
    assert low < stats.correlation(X, Y).value < high
    with pytest.raises(ValueError, match="kind"):
        stats.correlation(X, Y, kind="kendall")


def test_correlation_interval_covers():
    random = np.random.default_rng(0)
    intervals = []
    for _ in range(300):
        a = random.normal(size=60)
        intervals.append(stats.correlation(a, 0.6 * a + 0.8 * random.normal(size=60), resamples=300))
    assert 0.88 <= share_covered(0.6, intervals) <= 0.98


def test_slope_is_least_squares():
    ours, theirs = stats.slope(X, Y), scipy_stats.linregress(X, Y)
    half = scipy_stats.t.ppf(0.975, 28) * theirs.stderr
    assert ours == pytest.approx((theirs.slope, theirs.slope - half, theirs.slope + half))
    with pytest.raises(ValueError, match="constant"):
        stats.slope(np.ones(5), X[:5])


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: stats.bootstrap([1, 2, 3]), "at least 6"),
        (lambda: stats.t_interval([1.0]), "at least 2"),
        (lambda: stats.t_interval([[1.0, 2.0]]), "shape"),
        (lambda: stats.t_interval([1.0, np.nan]), "not finite"),
        (lambda: stats.cluster_mean([1.0, 2.0], [0]), "every value needs its cluster"),
        (lambda: stats.cluster_mean([1.0, 2.0], [0, 0]), "two clusters"),
        (lambda: stats.paired_permutation_test([1.0, 2.0], [1.0]), "equally long"),
        (lambda: stats.permutation_test([1.0], [2.0], alternative="less"), "alternative"),
        (lambda: stats.correlation(X, Y[:5]), "equally long"),
    ],
)
def test_wrong_inputs_are_named(run, message):
    with pytest.raises(ValueError, match=message):
        run()


def test_estimate_reads_well():
    assert str(stats.Estimate(0.12345, 0.1, 0.2)) == "0.123 [0.1, 0.2]"
    assert stats.Estimate(0.1, 0.0, 0.2).interval == (0.0, 0.2)
