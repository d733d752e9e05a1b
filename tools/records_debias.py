"""The sweep of notebook 10: one model, its bias taken out in several ways, and what each way leaves and costs."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from tools.records import Sweep
from utils import debias, debiasing, likelihood, models
from utils.debias import SelfDebiased, Told
from utils.debiasing import ARMS, PROJECTIONS, START, STEPS
from utils.likelihood import Reader
from utils.world import World

SEEDS, LONGER = range(8), 800
SHORT = {"arm": "CDA", "seed": 0, "steps": 20}  # repeated by a test in seconds
UNTOUCHED, FAIR_MODEL, TOLD = "untouched", "trained on dose 0", "Self-Debias"
ORACLES = ("oracle, dose 1", "oracle, dose 0", "oracle, Self-Debias")
FITTED = ("INLP", "SentenceDebias")


@cache
def worlds() -> dict[str, World]:
    """The biased world, the one that a perfect removal would give, and one with the bias doubled."""
    return {name: World("small", pronoun_dose=dose) for name, dose in (("biased", 1.0), ("fair", 0.0), ("double", 2.0))}


def oracle(arm: str) -> Reader:
    """A reader that knows: of the biased world, of the fair one, or of the biased one with Self-Debias."""
    biased, fair, double = (likelihood.reader_of(world) for world in worlds().values())
    return {"oracle, dose 1": biased, "oracle, dose 0": fair, "oracle, Self-Debias": SelfDebiased(biased, double)}[arm]


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """Everything about one arm; the short point only what a test can repeat in seconds."""
    arm, seed, steps, world = point["arm"], point["seed"], point["steps"], worlds()["biased"]
    if arm in ORACLES:
        return of_reader(oracle(arm), seed)
    if arm in ARMS:
        model, tokenizer = debiasing.train(arm, seed, steps)
    else:
        model, tokenizer = models.load("world-dose-0" if arm == FAIR_MODEL else START, head="masked-lm")
    directions = debiasing.directions_of(arm, model, tokenizer, world, seed) if arm in PROJECTIONS else None
    reader = likelihood.reader_of(model if directions is None else debias.fold(model, directions), tokenizer)
    if arm == TOLD:
        return of_reader(SelfDebiased(reader, Told(model, tokenizer, debiasing.named_again(world))), seed)
    if point == SHORT:
        return of_reader(reader, seed, short=True)
    values = {**debiasing.vector_readings(model, tokenizer, world, directions),
              **debiasing.probed(model, tokenizer, world, seed, directions),
              "downstream": float(debiasing.downstream(model, tokenizer, seed, directions).mean())}
    if arm in FITTED:
        values["slope_left_out"] = debiasing.left_out_slope(arm, model, tokenizer, world, seed)
    return {**of_reader(reader, seed), **rounded(values)}


def of_reader(reader: Reader, seed: int, short: bool = False) -> dict[str, float]:
    """Distances, agreement and the likelihood metrics; where short, of the metrics only the slope."""
    values = debiasing.costs(reader, {name: worlds()[name] for name in ("biased", "fair")}, seed)
    metrics = (debiasing.slopes if short else debiasing.readings)(reader, worlds()["biased"])
    return rounded({**values, **metrics})


def rounded(values: dict[str, float]) -> dict[str, float]:
    """What can stand in a record: finite numbers."""
    return {name: round(value, 5) for name, value in values.items() if math.isfinite(value)}


DEBIAS = Sweep(
    about="The shipped world-small after a way of taking its pronoun bias out, eight seeds each. Arms with steps read "
    "on: stories twice (control, dropout; fair text: of the world without the bias) or once and once with the genders "
    "exchanged (CDA). gap_biased, gap_fair: "
    "mean KL to the exact answers at pronoun dose 1 and 0 (nats; also by kind of question); slope: of the log-"
    "probability bias; agree: the right pronoun after a name; downstream: accuracy of a linear topic classifier. The "
    "last row is a short run that a test repeats.",
    points=[
        *({"arm": arm, "seed": seed, "steps": STEPS if arm in ARMS else 0}
          for seed in SEEDS for arm in (UNTOUCHED, *PROJECTIONS, *ARMS, FAIR_MODEL, TOLD, *ORACLES)),
        *({"arm": "CDA", "seed": seed, "steps": LONGER} for seed in SEEDS),
        SHORT,
    ],
    measure=measure,
)
