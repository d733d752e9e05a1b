"""Fairness of yes-or-no decisions about groups: the measures of notebook 11, written to be read.

    rates(decisions, truth, group)              # one row per group: selection, tpr, fpr, ppv, accuracy, base, n
    impact_ratio(decisions, group)              # the four-fifths rule looks at this
    forced_fpr(base, ppv, fnr)                  # what Chouldechova's identity leaves

Decisions and truth are 0 or 1, groups any labels. fairlearn has the same measures (`MetricFrame`), and a test holds
both equal. What none of them knows is whether `truth` is the truth or a record of earlier decisions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from utils import stats

FOUR_FIFTHS = 0.8
MEASURES = ("selection", "tpr", "fpr", "ppv", "accuracy")


def counts(decisions: Sequence[int], truth: Sequence[int], group: Sequence) -> pd.DataFrame:
    """For each measure and group how many of how many: columns group, measure, count, of."""
    yes, good, group = np.asarray(decisions) == 1, np.asarray(truth) == 1, np.asarray(group)
    if not len(yes) == len(good) == len(group):
        raise ValueError(f"{len(yes)} decisions, {len(good)} true answers and {len(group)} groups do not match.")
    everyone = np.ones(len(yes), dtype=bool)
    parts = {"selection": (yes, everyone), "tpr": (yes, good), "fpr": (yes, ~good), "ppv": (good, yes),
             "accuracy": (yes == good, everyone), "base": (good, everyone)}
    rows = [(g, measure, int((hit & among & (group == g)).sum()), int((among & (group == g)).sum()))
            for g in np.unique(group) for measure, (hit, among) in parts.items()]
    return pd.DataFrame(rows, columns=["group", "measure", "count", "of"])


def rates(decisions: Sequence[int], truth: Sequence[int], group: Sequence) -> pd.DataFrame:
    """One row per group: selection, tpr, fpr, ppv, accuracy, base (the share of 1 in `truth`) and n."""
    table = counts(decisions, truth, group)
    wide = (table["count"] / table["of"].where(table["of"] > 0)).groupby([table["group"], table["measure"]]).first()
    wide = wide.unstack()[[*MEASURES, "base"]]
    wide["n"] = table[table["measure"] == "base"].set_index("group")["of"]
    return wide.rename_axis(columns=None)


def intervals(decisions: Sequence[int], truth: Sequence[int], group: Sequence) -> pd.DataFrame:
    """`counts` with the share and its 95 % Wilson interval: further columns value, low, high."""
    table = counts(decisions, truth, group)
    table = table[table["of"] > 0].reset_index(drop=True)
    ends = [stats.wilson(k, n) for k, n in zip(table["count"], table["of"], strict=True)]
    return table.assign(value=[e.value for e in ends], low=[e.low for e in ends], high=[e.high for e in ends])


def impact_ratio(decisions: Sequence[int], group: Sequence) -> float:
    """The lowest selection rate over the highest (29 CFR 1607.4 D); nan where nobody was selected."""
    yes, group = np.asarray(decisions) == 1, np.asarray(group)
    shares = [yes[group == g].mean() for g in np.unique(group)]
    return float(min(shares) / max(shares)) if max(shares) > 0 else float("nan")


def ratio_interval(first: tuple[int, int], second: tuple[int, int], level: float = 0.95) -> stats.Estimate:
    """The ratio of two independent shares, each (count, of), with an interval on the log scale (Katz et al. 1978)."""
    (a, m), (b, n) = first, second
    if min(a, b) == 0:
        raise ValueError(f"a ratio of {a} of {m} and {b} of {n} has no interval on the log scale: a count is 0.")
    ratio = (a / m) / (b / n)
    half = scipy_stats.norm.ppf(0.5 + level / 2) * np.sqrt(1 / a - 1 / m + 1 / b - 1 / n)
    return stats.Estimate(float(ratio), float(ratio * np.exp(-half)), float(ratio * np.exp(half)))


def odds_gap(decisions: Sequence[int], truth: Sequence[int], group: Sequence) -> float:
    """The larger of the gaps in true-positive and in false-positive rate (Hardt et al. 2016): 0 is equalized odds."""
    table = rates(decisions, truth, group)
    return float(max(table[c].max() - table[c].min() for c in ("tpr", "fpr")))


def forced_fpr(base: float, ppv: float, fnr: float) -> float:
    """The false-positive rate of a group, given its base rate, precision and false-negative rate.

    FPR = p / (1 - p) · (1 - PPV) / PPV · (1 - FNR) (Chouldechova 2017).
    """
    return base / (1 - base) * (1 - ppv) / ppv * (1 - fnr)


def calibration(scores: Sequence[float], truth: Sequence[int], group: Sequence, bins: int = 8) -> pd.DataFrame:
    """The share of 1 among people of like score: columns group, score (mean), value, low, high (Wilson), n.

    Bins have equal width; those with fewer than 20 people of a group are left out.
    """
    scores, truth, group = np.asarray(scores, float), np.asarray(truth), np.asarray(group)
    place, rows = np.minimum((scores * bins).astype(int), bins - 1), []
    for g in np.unique(group):
        for k in range(bins):
            own = (group == g) & (place == k)
            if own.sum() >= 20:
                end = stats.wilson(int(truth[own].sum()), int(own.sum()))
                rows.append((g, float(scores[own].mean()), *end, int(own.sum())))
    return pd.DataFrame(rows, columns=["group", "score", "value", "low", "high", "n"])


# ------------------------------------------------------------------------------------------ remedies


def reweighing(labels: Sequence[int], group: Sequence) -> np.ndarray:
    """A weight for each example, with which label and group are independent (Kamiran and Calders 2012, section 4).

    w = P(group) P(label) / P(group, label): what independence would give, over what is there.
    """
    labels, group = np.asarray(labels), np.asarray(group)
    weights = np.empty(len(labels))
    for g in np.unique(group):
        for y in np.unique(labels):
            own = (group == g) & (labels == y)
            if own.any():
                weights[own] = (group == g).mean() * (labels == y).mean() / own.mean()
    return weights


def equal_rates(scores: Sequence[float], group: Sequence, share: float) -> np.ndarray:
    """Decisions that take the best-scored `share` of every group: a threshold for each, (people,)."""
    scores, group = np.asarray(scores, float), np.asarray(group)
    decisions = np.zeros(len(scores), dtype=int)
    for g in np.unique(group):
        own = np.flatnonzero(group == g)
        best = own[np.argsort(-scores[own], kind="stable")[: round(share * len(own))]]
        decisions[best] = 1
    return decisions


def equal_odds(scores: Sequence[float], truth: Sequence[int], group: Sequence, seed: int = 0) -> np.ndarray:
    """Decisions by fairlearn's ThresholdOptimizer with equal true- and false-positive rates, (people,).

    Hardt et al. (2016): thresholds for each group, drawn by lot between two where one would not do.
    """
    from fairlearn.postprocessing import ThresholdOptimizer  # takes a second to load

    rows = np.asarray(scores, float)[:, None]
    chosen = ThresholdOptimizer(estimator=_given_scores(), constraints="equalized_odds", prefit=True,
                                predict_method="predict_proba", objective="accuracy_score")
    chosen.fit(rows, np.asarray(truth), sensitive_features=np.asarray(group))
    return np.asarray(chosen.predict(rows, sensitive_features=np.asarray(group), random_state=seed)).astype(int)


def _given_scores():
    """A classifier that has nothing to learn: its only feature is the score."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    class GivenScores(ClassifierMixin, BaseEstimator):
        def fit(self, rows, truth):
            self.classes_ = np.array([0, 1])
            return self

        def predict_proba(self, rows):
            scores = np.asarray(rows, float)[:, 0]
            return np.stack([1 - scores, scores], axis=1)

        def predict(self, rows):
            return (self.predict_proba(rows)[:, 1] > 0.5).astype(int)

    return GivenScores().fit(None, None)
