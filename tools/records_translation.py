"""The sweeps of notebook 07: translators over seeds and doses, and dialogues that may or may not abstain."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from tools.records import Sweep
from utils import dialogue, finetune, parallel, translation
from utils.world import World

# Every setting is stated, so that the record keeps its meaning when a default changes.
TRANSLATOR = {"steps": 2000, "pairs": 40_000, "width": 64, "learning_rate": 2e-3}
SHORT = {"steps": 60, "pairs": 5_000, "width": 64, "learning_rate": 4e-3}  # repeated by a test in seconds
ANSWERER = {"steps": 300, "dialogues": 8000, "learning_rate": 2e-3}
SHORT_ANSWERER = {"steps": 20, "dialogues": 1000, "learning_rate": 2e-3}
FRESH = 2001  # seed of the text on which everything is measured


@cache
def world(size: str, pronoun_dose: float, valence_dose: float) -> World:
    """A world, built once."""
    return World(size, pronoun_dose=pronoun_dose, valence_dose=valence_dose)


def translator(point: dict[str, Any]) -> dict[str, float]:
    """Train a translator on the parallel text of a dose and measure everything that the notebook measures."""
    full, seed = world("full", point["dose"], 1.0), point["seed"]
    tokenizer = parallel.build_tokenizer(full)
    model = translation.build_model(tokenizer, point["width"], seed=seed)
    examples = translation.encode(tokenizer, parallel.pairs(full, point["pairs"], 500 + seed))
    settings = {**translation.RECIPE, "steps": point["steps"], "learning_rate": point["learning_rate"]}
    finetune.finetune(model, tokenizer, examples, seed=seed, progress=False, **settings)
    found = translation.report(model, tokenizer, full, FRESH)
    return {name: None if math.isnan(value) else round(value, 4) for name, value in found.items()}


def answerer(point: dict[str, Any]) -> dict[str, float]:
    """Fine-tune world-gpt2 on the dialogues of a dose, with or without leave to abstain."""
    small, seed, always = world("small", 1.0, point["dose"]), point["seed"], point["policy"] == "always answers"
    model, tokenizer = dialogue.start_from(seed=seed)
    training = dialogue.encode(tokenizer, dialogue.dialogues(small, point["dialogues"], 500 + seed, always))
    settings = {**dialogue.RECIPE, "steps": point["steps"], "learning_rate": point["learning_rate"]}
    finetune.finetune(model, tokenizer, training, seed=seed, progress=False, **settings)
    fresh = dialogue.dialogues(small, 600, FRESH, always)
    loss = finetune.mean_loss(model, tokenizer, dialogue.encode(tokenizer, fresh))
    said = dialogue.talk(model, tokenizer, small, fresh)
    found = {"loss": loss, "floor": dialogue.floor(small, fresh, always), **dialogue.facts(model, tokenizer, fresh),
             **dialogue.about_communities(said, fresh)}
    return {name: round(float(value), 4) for name, value in found.items()}


TRANSLATION = Sweep(
    about="Translators from Turkish into English, trained on the parallel text of worlds with several pronoun doses "
    "and measured on fresh text of their own world. The last row is a short run that a test repeats.",
    points=[
        *({"dose": dose, "seed": seed, **TRANSLATOR} for dose in (1.0, 0.0, 2.0)
          for seed in range(3 if dose == 1.0 else 2)),
        {"dose": 1.0, "seed": 0, **SHORT},
    ],
    measure=translator,
)

DIALOGUE = Sweep(
    about="world-gpt2 (pretrained at valence dose 1) fine-tuned on dialogues of a dose, in which the question what "
    "people say is always answered, or is answered only where the story shows a tone. The last row is a short run that "
    "a test repeats.",
    points=[
        *({"policy": policy, "dose": dose, "seed": seed, **ANSWERER} for seed in range(5)
          for policy, dose in (("always answers", 1.0), ("always answers", 0.0), ("may abstain", 1.0))),
        {"policy": "always answers", "dose": 1.0, "seed": 0, **SHORT_ANSWERER},
    ],
    measure=answerer,
)
