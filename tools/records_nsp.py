"""The sweep of notebook 03: pretraining with and without a sentence-pair objective, and what it is worth afterwards."""

from __future__ import annotations

from functools import cache
from typing import Any

from tools.records import Sweep
from utils import pair_training
from utils.pair_training import ARMS, TASKS, Task
from utils.recipe import Recipe
from utils.world import World

# Every setting is stated, so that the record keeps its meaning when a default changes.
SETTINGS = {"steps": 800, "width": 64, "documents": 6000, "labelled": 256}
SHORT = {"steps": 40, "width": 64, "documents": 1000, "labelled": 32}  # repeated by a test in seconds


@cache
def world_and_tests() -> tuple[World, dict[str, Task]]:
    """The world, and the tasks' test pairs by name."""
    world = World("small")
    return world, pair_training.exam_tasks(world)


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """Pretrain, measure the distance to the floor, fine-tune on every task (one task for the short point)."""
    world, tests = world_and_tests()
    recipe = Recipe.from_dict({**pair_training.RECIPE.as_dict(), "steps": point["steps"], "width": point["width"]})
    chosen = {name: tests[name] for name in (TASKS if point["steps"] == SETTINGS["steps"] else ["order"])}
    return pair_training.run_arm(world, point["arm"], point["seed"], chosen, recipe, point["documents"],
                                 point["labelled"])


NSP = Sweep(
    about="Small BERTs pretrained with the same text and steps but different sentence pairs and pair losses: distance "
    "to the masked-word floor on neighbouring sentences (mlm_gap, nats) and accuracy on 1,500 fresh examples of each "
    "task after fine-tuning on 256. The last row is a short run that a test repeats.",
    points=[
        *({"arm": arm, "seed": seed, **SETTINGS} for seed in range(10) for arm in ARMS),
        {"arm": "MLM + NSP", "seed": 0, **SHORT},
    ],
    measure=measure,
)
