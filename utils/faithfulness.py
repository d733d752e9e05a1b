"""Is an attribution right? Marks against words that are known to decide, and metrics that need no answer key.

With a key (`utils.planted`): `precision_at_k`, `mean_rank`. Without one: `comprehensiveness` and `sufficiency`, as in
ERASER (DeYoung et al. 2020, section 4.2), `cascade`, the randomisation test of Adebayo et al. (2018), and `foresight`,
which asks whether an attribution predicts what an edit does. The metrics are of games (`utils.attribution.game`), so
they can be checked by hand on a toy.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from utils import finetune, stats
from utils.attribution import Game

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)  # of the words that are taken away or kept; DeYoung et al. (2020), section 4.2


# ------------------------------------------------------------------------------------------ with an answer key


def precision_at_k(scores: Sequence[float], deciding: Sequence[bool]) -> float:
    """Of the k words with the highest score, the share that decides, where k words decide.

    Ties are broken evenly, so equal scores give what random scores give on average, k / words.
    """
    scores, deciding = _marked(scores, deciding)
    k = int(deciding.sum())
    edge = np.sort(scores)[-k]
    sure, tied = scores > edge, scores == edge
    named = sure + tied * (k - sure.sum()) / tied.sum()
    return float(named[deciding].sum() / k)


def mean_rank(scores: Sequence[float], deciding: Sequence[bool]) -> float:
    """The mean rank of the words that decide, 1 for the highest score; the best possible is (k + 1) / 2."""
    scores, deciding = _marked(scores, deciding)
    return float(rankdata(-scores)[deciding].mean())


def _marked(scores: Sequence[float], deciding: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    scores, deciding = np.asarray(scores, dtype=float), np.asarray(deciding, dtype=bool)
    if scores.shape != deciding.shape or scores.ndim != 1:
        raise ValueError(f"one score per word is needed: {scores.shape} scores, {deciding.shape} words.")
    if not np.isfinite(scores).all() or not deciding.any():
        raise ValueError("scores must be finite, and some word must decide.")
    return scores, deciding


# ------------------------------------------------------------------------------------------ without a key: ERASER


def rationale(scores: Sequence[float], share: float, seed: int = 0) -> np.ndarray:
    """The words with the highest scores, ceil(share * words) of them, at least one: (words,) booleans.

    Ties are broken at random, the same way for the same seed. Raises ValueError for a share outside (0, 1].
    """
    scores = np.asarray(scores, dtype=float)
    if not 0 < share <= 1 or not len(scores) or not np.isfinite(scores).all():
        raise ValueError(f"a rationale needs finite scores and a share in (0, 1]; there are {len(scores)}, {share}.")
    count = max(1, math.ceil(share * len(scores) - 1e-9))  # 0.1 * 30 is a little more than 3
    order = np.lexsort((np.random.default_rng(seed).permutation(len(scores)), -scores))
    chosen = np.zeros(len(scores), dtype=bool)
    chosen[order[:count]] = True
    return chosen


def comprehensiveness(worth: Game, scores: Sequence[float], shares: Sequence[float] = SHARES, seed: int = 0) -> float:
    """m(x) - m(x without the rationale), mean over `shares`: high if the words named were needed.

    m is the probability of the class that the model names for the whole text. (DeYoung et al. divide by one more than
    the number of shares in their formula, and by the number itself in their code, as here.)
    """
    return _erased(worth, scores, shares, seed, keep=False)


def sufficiency(worth: Game, scores: Sequence[float], shares: Sequence[float] = SHARES, seed: int = 0) -> float:
    """m(x) - m(the rationale alone), mean over `shares`: near 0 or below if the words named are enough."""
    return _erased(worth, scores, shares, seed, keep=True)


def _erased(worth: Game, scores: Sequence[float], shares: Sequence[float], seed: int, keep: bool) -> float:
    named = np.array([rationale(scores, share, seed) for share in shares])
    values = worth(np.vstack([np.ones((1, named.shape[1]), dtype=bool), named if keep else ~named]))
    return float(values[0] - values[1:].mean())


# ------------------------------------------------------------------------------------------ without a key: randomise


def cascade(model: Any, seed: int) -> Iterator[tuple[str, Any]]:
    """The model with more and more of it drawn anew, from the answer down to the words (Adebayo et al. 2018).

    Yields (what was drawn anew last, a copy of the model): the classifier, the pooler, each layer from the top, the
    embeddings. Initial weights are those of a new model of the same shape.
    """
    fresh, changed = finetune.from_scratch(model, seed), copy.deepcopy(model)
    layers = model.base_model.encoder.layer
    parts = [("head", "classifier"), ("pooler", f"{model.base_model_prefix}.pooler")]
    parts += [(f"layer {i}", f"{model.base_model_prefix}.encoder.layer.{i}") for i in reversed(range(len(layers)))]
    for name, path in [*parts, ("embeddings", f"{model.base_model_prefix}.embeddings")]:
        changed.get_submodule(path).load_state_dict(fresh.get_submodule(path).state_dict())
        yield name, copy.deepcopy(changed)


def similarity(one: Sequence[float], two: Sequence[float]) -> float:
    """Spearman's rank correlation of the absolute scores of two attributions; 0 where one of them is constant."""
    a, b = (np.abs(np.asarray(scores, dtype=float)) for scores in (one, two))
    if len(a) != len(b):
        raise ValueError(f"attributions of one text are compared; these have {len(a)} and {len(b)} words.")
    return float(np.nan_to_num(_spearman(a, b)))


# ------------------------------------------------------------------------------------------ against what an edit does


def foresight(said: Sequence[float], moved: Sequence[float], texts: Sequence, *, rival: Sequence[float] | None = None,
              resamples: int = 2000, seed: int = 0) -> stats.Estimate:
    """Spearman's correlation of what was predicted with what happened, its interval from resampling whole texts.

    said, moved: one number per edit; texts: which text each edit belongs to, as edits of one text are not independent.
    rival: another prediction; then the value is by how much `said` correlates better, both on the same resamples.
    """
    said, moved = np.asarray(said, dtype=float), np.asarray(moved, dtype=float)
    other = None if rival is None else np.asarray(rival, dtype=float)
    names, place = np.unique(np.asarray(texts), return_inverse=True)
    if not len(said) == len(moved) == len(place) == len(said if other is None else other) or len(names) < 3:
        raise ValueError(f"edits of three texts are needed: {len(said)} and {len(moved)} of {len(names)} texts.")

    def of(draw: Any) -> float:
        return _spearman(said[draw], moved[draw]) - (0.0 if other is None else _spearman(other[draw], moved[draw]))

    rows, rng = [np.flatnonzero(place == k) for k in range(len(names))], np.random.default_rng(seed)
    draws = [np.concatenate([rows[k] for k in rng.integers(len(names), size=len(names))]) for _ in range(resamples)]
    return stats.Estimate(of(slice(None)), *map(float, np.nanquantile([of(draw) for draw in draws], [0.025, 0.975])))


def _spearman(one: np.ndarray, two: np.ndarray) -> float:
    a, b = rankdata(one), rankdata(two)
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) and np.ptp(b) else float("nan")
