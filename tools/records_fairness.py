"""The sweeps of notebook 11: a hiring screen in the world and ways to mend it, and résumés under every name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tools.records import Sweep
from utils import datasets, screening

FRACTION = 10  # the frozen model reads under every tenth name: three of each origin


def read(arm: str, held: pd.DataFrame, names: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Which résumés an arm reads under which names: reading costs, so the two networks do with fewer of either."""
    if arm == "fine-tuned":
        return held[screening.one_per_cell(held)], names
    return held, names[::FRACTION] if arm == "frozen" else names


def measure_hiring(point: dict[str, Any]) -> dict[str, Any]:
    """What a reader decides about each held-out résumé under each name."""
    learned, held = screening.split(point["fold"], point["seed"])
    reader = screening.READERS[point["arm"]](learned, point["seed"])
    templates, names = read(point["arm"], held, screening.full_names(datasets.load("people")))
    scores = reader(screening.under_names(templates["text"], names)).reshape(len(templates), len(names))
    logit = np.log(scores / (1 - scores))
    right = (reader(held["said"]) > 0.5) == (held["suitable"] == 1)
    return {
        "right": int(right.sum()),
        "of": len(right),
        "resumes": templates["id"].tolist(),
        "every": len(screening.full_names(datasets.load("people"))) // len(names),
        "decisions": ["".join("1" if yes else "0" for yes in row) for row in scores > 0.5],
        "spread_names": round(float(logit.std(1).mean()), 4),
        "spread_resumes": round(float(logit.mean(1).std()), 4),
    }


HIRING = Sweep(
    about="Résumés that a classifier has not seen, three folds of 72; the others were learned from, each under a name "
    "drawn by lot. right: of the 72, each under one name drawn by lot. decisions: of the résumés listed, a line each, "
    "1 (suitable) or 0 under every name of people.csv in the order of the file, or under every tenth; the fine-tuned "
    "model reads 24 of the 72 (one of each posting and label). spread: standard deviation of the logit over names "
    "(mean over résumés) and over résumés.",
    points=[{"arm": arm, "fold": fold, "seed": fold} for arm in screening.READERS for fold in range(screening.FOLDS)],
    measure=measure_hiring,
)
