"""The sweep of notebook 12: can a BERT learn the small world when its attention is uniform for ever?

Two arms share first weights, stories, masks and steps. In the second the query and key matrices are zero and stay
so: every score is 0, every token is read alike, and only values, positions and feed-forward layers can learn.
"""

from __future__ import annotations

from typing import Any

import torch

from tools.records import Sweep
from utils import evaluate, evidence
from utils.attention import layers_of
from utils.optim import build_optimizers
from utils.precision import PRECISIONS
from utils.pretrain import train
from utils.recipe import Recipe, Text, build_batches, build_model, prepare_text
from utils.training_record import Training
from utils.world import World

ARMS = ("learned", "uniform")
# Every setting is stated, so that the record keeps its meaning when a default changes.
SETTINGS = {"steps": 1000, "width": 64, "learning_rate": 3e-3}
SHORT = {"steps": 40, "width": 64, "learning_rate": 3e-3}  # repeated by a test in seconds
EXAM = {"documents": 200, "seed": 7}
QUESTIONS = {"documents": 400, "seed": 8}


def freeze_uniform(model: Any) -> None:
    """Zero queries and keys that are never trained: each head's weights stay 1 / sequence in every text."""
    for layer in layers_of(model):
        for part in (layer.attention.self.query, layer.attention.self.key):
            for parameter in part.parameters():
                torch.nn.init.zeros_(parameter)
                parameter.requires_grad_(False)


def pretrained(point: dict[str, Any]) -> tuple[Any, Text]:
    """The model of one point, and the text it read."""
    recipe = Recipe(steps=point["steps"], width=point["width"], learning_rate=point["learning_rate"],
                    seed=point["seed"], precision="float32", muon_precision="float32")
    text = prepare_text(recipe)
    model = build_model(recipe, text)
    if point["arm"] == "uniform":
        freeze_uniform(model)
    optimizers = build_optimizers(model, recipe.muon_learning_rate, recipe.learning_rate, PRECISIONS["float32"])
    training = Training(model, text.tokenizer, recipe)
    train(training, build_batches(recipe, text), optimizers, torch.float32, lambda: True)
    return model.eval(), text


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """Pretrain one arm; its distance to the masked-word floor (nats), over all words and on four kinds of words."""
    (model, text), world = pretrained(point), World("small")
    exam = world.exam(**EXAM)
    gap, _ = evaluate.gap(model, text.tokenizer, exam)
    by_kind = evaluate.by_kind(model, text.tokenizer, world, exam).set_index("kind")["kl"]
    kinds = {kind: round(float(by_kind[kind]), 4) for kind in ("pronouns", "tools", "occupations", "fixed words")}
    used = evidence.used(model, text.tokenizer, evidence.questions(world, **QUESTIONS))
    return {"mlm_gap": round(gap.kl, 4), "mlm_floor": round(gap.floor, 4), **kinds, "used": len(used)}


ATTENTION = Sweep(
    about="Small BERTs pretrained with learned attention and with attention that is uniform from the first step to the "
    "last: distance to the masked-word floor (mlm_gap, nats), the same on four kinds of words, and on how many of 400 "
    "questions the model knows the answer and uses the evidence (used). The last row is a short run that a test "
    "repeats.",
    points=[
        *({"arm": arm, "seed": seed, **SETTINGS} for seed in range(3) for arm in ARMS),
        {"arm": "uniform", "seed": 0, **SHORT},
    ],
    measure=measure,
)
