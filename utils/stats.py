"""Intervals and tests used in the notebooks: small, with the assumption of each stated, and checked against scipy.

Every function that draws random numbers takes a `seed` (an integer or a numpy Generator); nothing touches a
global one. Which interval for what:

    one number per item, items independent            bootstrap, t_interval (many items)
    many numbers per document (words of a text)       cluster_mean, cluster_bootstrap   (the document is the
    unit) 3 to 5 seeds of a training run                    t_interval                        (never the
    bootstrap) a share, 17 of 20                                 wilson
    two lists, difference of means                    permutation_test, paired_permutation_test
    several tests at once                             holm
    two measurements of the same items                correlation, slope
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats as scipy_stats

ENUMERATED = 20_000  # permutation tests enumerate every case up to this many, and sample beyond
Seed = int | np.random.Generator


class Estimate(NamedTuple):
    """A value with its interval; unpacks as (value, low, high)."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        """(low, high)."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


class Permutation(NamedTuple):
    """An observed statistic and its p-value; `exact` says whether every permutation was counted."""

    statistic: float
    p: float
    exact: bool


def bootstrap(
    values: Sequence[float],
    statistic: Callable = np.mean,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    method: str = "BCa",
    seed: Seed = 0,
) -> Estimate:
    """Bootstrap interval for a statistic of independent items (Efron and Tibshirani 1993, chapters 13 and 14).

    method: "BCa" (corrects bias and skew; percentile where it is undefined) or "percentile".
    `statistic` must take an `axis` argument. At
    least 6 items.
    """
    data = _vector(values, "values", least=6)
    if np.all(data == data[0]):
        return Estimate(*[float(statistic(data, axis=0))] * 3)
    settings = {"confidence_level": level, "n_resamples": resamples, "vectorized": True}
    random = np.random.default_rng(seed)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", scipy_stats.DegenerateDataWarning)  # answered by the percentile method below
        interval = scipy_stats.bootstrap((data,), statistic, method=method, rng=random, **settings).confidence_interval
    if not np.isfinite(interval).all():
        interval = scipy_stats.bootstrap(
            (data,), statistic, method="percentile", rng=random, **settings
        ).confidence_interval
    return Estimate(float(statistic(data, axis=0)), *map(float, interval))


def cluster_mean(values: Sequence[float], clusters: Sequence, *, level: float = 0.95) -> Estimate:
    """Mean over all values with a t interval from `cluster_standard_error`; a cluster is a document."""
    error, groups = _cluster_error(values, clusters)
    mean = float(np.mean(_vector(values, "values")))
    half = float(scipy_stats.t.ppf(0.5 + level / 2, groups - 1)) * error
    return Estimate(mean, mean - half, mean + half)


def cluster_standard_error(values: Sequence[float], clusters: Sequence) -> float:
    """Standard error of the mean when values within a cluster are alike (ratio estimator; Cochran 1977, 2.11)."""
    return _cluster_error(values, clusters)[0]


def _cluster_error(values: Sequence[float], clusters: Sequence) -> tuple[float, int]:
    data, (sums, counts) = _vector(values, "values", least=2), _cluster_sums(values, clusters)
    groups = len(sums)
    if groups < 2:
        raise ValueError("a standard error over clusters needs at least two clusters; there is one.")
    residuals = sums - counts * data.mean()  # the mean is a ratio of sums, because clusters differ in size
    return float(np.sqrt(groups / (groups - 1) * (residuals**2).sum()) / len(data)), groups


def cluster_bootstrap(
    values: Sequence[float], clusters: Sequence, *, level: float = 0.95, resamples: int = 2000, seed: Seed = 0
) -> Estimate:
    """Percentile interval for the mean over all values, resampling whole clusters (about 20 or more are needed)."""
    data, (sums, counts) = _vector(values, "values", least=2), _cluster_sums(values, clusters)
    draws = np.random.default_rng(seed).integers(len(sums), size=(resamples, len(sums)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    return Estimate(float(data.mean()), *map(float, np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])))


def t_interval(values: Sequence[float], *, level: float = 0.95) -> Estimate:
    """Mean and Student's t interval: for 3 to 5 seeds (or more) of a training run. Assumes roughly normal values."""
    data = _vector(values, "values", least=2)
    mean, half = (
        float(data.mean()),
        float(scipy_stats.t.ppf(0.5 + level / 2, len(data) - 1) * scipy_stats.sem(data)),
    )
    return Estimate(mean, mean - half, mean + half)


def wilson(successes: int, trials: int, *, level: float = 0.95) -> Estimate:
    """Wilson's score interval for a share (Wilson 1927); sensible even at 0 or all successes."""
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"a share needs 0 <= successes <= trials and a trial; got {successes} of {trials}.")
    interval = scipy_stats.binomtest(int(successes), int(trials)).proportion_ci(level, method="wilson")
    return Estimate(successes / trials, float(interval.low), float(interval.high))


def paired_permutation_test(
    first: Sequence[float], second: Sequence[float] | None = None, *, resamples: int = 10_000, seed: Seed = 0
) -> Permutation:
    """Two-sided sign-flip test of mean(first - second) = 0 for paired items (or of mean(first) = 0 alone).

    Exact (every flip counted) up to 14 pairs; beyond that the p-value is (hits + 1) / (resamples + 1).
    """
    difference = _vector(first, "first", least=2)
    if second is not None:
        other = _vector(second, "second")
        if len(other) != len(difference):
            raise ValueError(f"paired lists must be equally long; got {len(difference)} and {len(other)}.")
        difference = difference - other
    n, observed = len(difference), float(difference.mean())
    exact = 2**n <= ENUMERATED
    if exact:
        signs = np.array(list(itertools.product([1, -1], repeat=n)))
    else:
        signs = np.random.default_rng(seed).choice([1, -1], size=(resamples, n))
    return Permutation(observed, _p_value(np.abs(signs @ difference / n), abs(observed), exact), exact)


def permutation_test(
    first: Sequence[float],
    second: Sequence[float],
    *,
    alternative: str = "two-sided",
    resamples: int = 10_000,
    seed: Seed = 0,
) -> Permutation:
    """Test of mean(first) = mean(second) for two independent lists, by reassigning the items to the lists.

    alternative: "two-sided" or "greater". Exact when there are at most 20,000 assignments, as in WEAT's
    small lists.
    """
    if alternative not in ("two-sided", "greater"):
        raise ValueError(f"alternative must be 'two-sided' or 'greater', not {alternative!r}.")
    left, right = _vector(first, "first"), _vector(second, "second")
    pooled, n = np.concatenate([left, right]), len(left)
    observed = float(left.mean() - right.mean())
    exact = math.comb(len(pooled), n) <= ENUMERATED
    if exact:
        chosen = np.array(list(itertools.combinations(range(len(pooled)), n)))
    else:
        random = np.random.default_rng(seed)
        chosen = random.permuted(np.tile(np.arange(len(pooled)), (resamples, 1)), axis=1)[:, :n]
    sums = pooled[chosen].sum(axis=1)
    differences = sums / n - (pooled.sum() - sums) / len(right)
    if alternative == "two-sided":
        return Permutation(observed, _p_value(np.abs(differences), abs(observed), exact), exact)
    return Permutation(observed, _p_value(differences, observed, exact), exact)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p-values (Holm 1979): all below 0.05 may be called significant together at 5 %."""
    p = _vector(p_values, "p_values")
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"p-values lie between 0 and 1; got {p.min():g} to {p.max():g}.")
    order = np.argsort(p)
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result


def correlation(
    x: Sequence[float],
    y: Sequence[float],
    *,
    kind: str = "pearson",
    level: float = 0.95,
    resamples: int = 2000,
    seed: Seed = 0,
) -> Estimate:
    """Pearson's or Spearman's correlation with a percentile interval from resampling the items (pairs)."""
    if kind not in ("pearson", "spearman"):
        raise ValueError(f"kind must be 'pearson' or 'spearman', not {kind!r}.")
    a, b = _pair(x, y, least=4)
    rank = scipy_stats.rankdata if kind == "spearman" else (lambda data, axis=None: data)
    draws = np.random.default_rng(seed).integers(len(a), size=(resamples, len(a)))
    sampled = _pearson(rank(a[draws], axis=-1), rank(b[draws], axis=-1))
    value = float(_pearson(rank(a)[None], rank(b)[None])[0])
    return Estimate(value, *map(float, np.nanquantile(sampled, [0.5 - level / 2, 0.5 + level / 2])))


def slope(x: Sequence[float], y: Sequence[float], *, level: float = 0.95) -> Estimate:
    """Least-squares slope of y on x with its t interval (errors independent, of equal spread)."""
    a, b = _pair(x, y, least=3)
    fit = scipy_stats.linregress(a, b)
    half = float(scipy_stats.t.ppf(0.5 + level / 2, len(a) - 2) * fit.stderr)
    return Estimate(float(fit.slope), float(fit.slope) - half, float(fit.slope) + half)


def _p_value(permuted: np.ndarray, observed: float, exact: bool) -> float:
    # Permutations that equal the observed value count as hits; rounding must not decide.
    hits = int((permuted >= observed - 1e-12 * max(1.0, abs(observed))).sum())
    return hits / len(permuted) if exact else (hits + 1) / (len(permuted) + 1)


def _pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation along the last axis; nan where one side is constant."""
    a, b = a - a.mean(axis=-1, keepdims=True), b - b.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a * b).sum(axis=-1) / np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))


def _cluster_sums(values: Sequence[float], clusters: Sequence) -> tuple[np.ndarray, np.ndarray]:
    data, labels = _vector(values, "values"), np.asarray(clusters)
    if labels.shape != data.shape:
        raise ValueError(f"every value needs its cluster: {len(data)} values, {labels.size} cluster labels.")
    _, place = np.unique(labels, return_inverse=True)
    return np.bincount(place, weights=data), np.bincount(place).astype(float)


def _pair(x: Sequence[float], y: Sequence[float], least: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = _vector(x, "x", least), _vector(y, "y", least)
    if len(a) != len(b):
        raise ValueError(f"x and y must be equally long; got {len(a)} and {len(b)}.")
    if np.all(a == a[0]):
        raise ValueError(f"x is constant ({a[0]:g}), so nothing can be said about how y changes with it.")
    return a, b


def _vector(values: Sequence[float], name: str, least: int = 1) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    data = np.asarray(values, dtype=float)
    if data.ndim != 1 or len(data) < least:
        raise ValueError(f"{name} should be a list of at least {least} numbers; it has shape {data.shape}.")
    if not np.isfinite(data).all():
        raise ValueError(f"{name} holds {int((~np.isfinite(data)).sum())} values that are not finite.")
    return data
