"""The sweeps of notebook 11: a hiring screen in the world and ways to mend it, and résumés under every name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tools.records import Sweep
from utils import datasets, screening

SEEDS = range(5)
SHORT = {"training": "untouched", "seed": 0, "steps": 20}  # repeated by a test in seconds


def measure_fairness(point: dict[str, Any]) -> dict[str, Any]:
    """What a screen decides, and, for the one that was trained as usual, what is left after it is mended."""
    training, seed = point["training"], point["seed"]
    screen, _, _, fresh, recorded = screening.rehearse(training, seed, point["steps"])
    scores = screen.score(fresh)
    rules = {training: (scores > 0.5).astype(int)}
    if training == "untouched" and point != SHORT:
        told = fresh.belief * np.where(fresh.community == 1, 1 - screening.TURNED_AWAY, 1.0)
        rules |= screening.afterwards(screen, scores, fresh, recorded, seed)
        rules |= {"best for the record": (told > 0.5).astype(int), "best for the truth": (fresh.belief > 0.5) * 1}
    judged = {rule: screening.judged(decisions, fresh, recorded) for rule, decisions in rules.items()}
    return {"rules": {rule: {name: round(float(value), 5) for name, value in own.items()}
                      for rule, own in judged.items()}}


FAIRNESS = Sweep(
    about="A hiring screen in the small world: world-small fine-tuned on past decisions that turned a share of 0.3 of "
    "the qualified applicants of one community away, and ways to mend it, judged on 3000 fresh applicants each. rules: "
    "for each rule selection, tpr, fpr, ppv and accuracy by community (0 zelvan, 1 brimic) against the truth, impact "
    "(selection of 1 over that of 0), accuracy against the truth and against what would have been recorded. The last "
    "row is a short run that a test repeats.",
    points=[*({"training": training, "seed": seed, "steps": screening.STEPS} for seed in SEEDS
              for training in screening.TRAININGS), SHORT],
    measure=measure_fairness,
)


ARMS = tuple(screening.READERS)  # the networks need about 35 minutes of a core
SEEDS_OF = dict.fromkeys(ARMS, range(3)) | {screening.BALANCED: range(6)}  # three say what to look for, three test it
FRACTION = 10  # the frozen model reads under every tenth name: three of each origin


def read(arm: str, held: pd.DataFrame, names: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Which résumés an arm reads under which names: reading costs, so the networks do with fewer of either."""
    if arm == "word counts":
        return held, names
    return held[screening.one_per_cell(held)], names[::FRACTION] if arm == "frozen" else names


def measure_hiring(point: dict[str, Any]) -> dict[str, Any]:
    """What a reader decides about each held-out résumé under each name."""
    learned, held = screening.split(point["fold"], point["seed"], balanced=point["arm"] == screening.BALANCED)
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
    "drawn by lot (balanced: dealt so that every origin of names goes as often with one label as with the other; "
    "seeds 0 to 2 suggested what to look for, 3 to 5 test it). "
    "right: of the 72, each under one name drawn by lot. decisions: of the résumés listed, a line each, 1 (suitable) "
    "or 0 under every name of people.csv in the order of the file (frozen: under every tenth); the networks read 24 of "
    "the 72, one of each posting and label. spread: standard deviation of the logit over names (mean over résumés) and "
    "over résumés.",
    points=[{"arm": arm, "fold": seed % screening.FOLDS, "seed": seed} for arm in ARMS for seed in SEEDS_OF[arm]],
    measure=measure_hiring,
)
