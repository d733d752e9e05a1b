"""The sweeps of notebook 04: distance to the floor against compute, and what each choice of the recipe does."""

from __future__ import annotations

from typing import Any

from tools.records import Sweep
from utils.pretrain import pretrain

# Every setting is stated, so that a record keeps its meaning when a default changes. Heads are 32 numbers wide.
COMMON = {"batch_size": 64, "layers": 2, "initializer_range": 0.06, "precision": "float32"}
BOTH = {"learning_rate": 2e-3, "muon_learning_rate": 5e-3, "warmup": 0.03}
ADAMW = {"learning_rate": 2e-3, "muon_learning_rate": 0.0, "warmup": 0.03}


def of_width(width: int) -> dict[str, int]:
    """The width with as many heads as fit."""
    return {"width": width, "heads": max(1, width // 32)}


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """Train with a point's settings and measure the distances to both floors, in nats."""
    settings = {name: value for name, value in point.items() if name != "choice"}
    training = pretrain(progress=False, **settings)
    mlm, nsp = (training.record["distance"][name] for name in ("mlm", "nsp"))
    return {
        "tokens": training.tokens,
        "mlm_kl": round(mlm["kl"], 5),
        "mlm_kl_error": round(mlm["kl_error"], 5),
        "nsp_kl": round(nsp["kl"], 5),
        "nsp_kl_error": round(nsp["kl_error"], 5),
    }


# A step of twice the width costs about four times as much, so wide models get fewer steps.
BUDGETS = {32: (300, 600, 1200, 2400), 64: (150, 300, 600, 1200), 128: (75, 150, 300, 600), 256: (75, 150)}
SEVERAL_SEEDS = {(32, 300), (64, 150)}  # cheap points: how much does chance move them?

COMPUTE = Sweep(
    about="Distance to the floors of the small world after trainings of several lengths, for models of several widths; "
    "each point is a training of its own, whose learning rate has fallen to 0 at its end.",
    points=[
        {**COMMON, **BOTH, **of_width(width), "steps": steps, "seed": seed}
        for width, budgets in BUDGETS.items()
        for steps in budgets
        for seed in (range(3) if (width, steps) in SEVERAL_SEEDS else (0,))
    ],
    measure=measure,
)

RATES = (2.5e-4, 1e-3, 4e-3, 1.6e-2, 6.4e-2)
NARROW = {**COMMON, **of_width(64), "steps": 400, "seed": 0}
WIDER = {**COMMON, **of_width(128), "steps": 600, "seed": 0}  # the recipe itself is a point of COMPUTE

CHOICES = Sweep(
    about="One choice of the recipe changed at a time, at width 64 and 400 steps: the optimiser, the learning rate of "
    "AdamW for all parameters, its warm-up, and the size of the first weights; AdamW also at width 128.",
    points=[
        {**NARROW, **BOTH, "choice": "recipe"},
        {**NARROW, **BOTH, "choice": "first weights 0.02", "initializer_range": 0.02},
        {**NARROW, **BOTH, "choice": "Muon, AdamW 0.004", "learning_rate": 4e-3},
        *({**NARROW, **ADAMW, "choice": "AdamW for all", "learning_rate": rate} for rate in RATES),
        {**NARROW, **ADAMW, "choice": "no warm-up", "learning_rate": 4e-3, "warmup": 0.0},
        *({**WIDER, **ADAMW, "choice": "AdamW for all", "learning_rate": rate} for rate in (2e-3, 4e-3)),
        {**WIDER, **ADAMW, "choice": "AdamW for all", "steps": 2500},  # as many seconds as 1,800 steps of the recipe
    ],
    measure=measure,
)
