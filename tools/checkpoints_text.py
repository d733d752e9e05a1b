"""Train the two shipped models of notebook 07: the translator and the one that answers. Called by tools.checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils import checkpoint, dialogue, finetune, parallel, translation
from utils.world import World

# What each is trained on; the trainings themselves are translation.RECIPE and dialogue.RECIPE.
RECIPES: dict[str, dict[str, Any]] = {
    "world-translator": {"world": "full", "pairs": 40_000, "text_seed": 101, "seed": 0, "width": 64, "layers": 2},
    "world-dialogue": {"world": "small", "dialogues": 20_000, "text_seed": 101, "seed": 0, "base": "world-gpt2"},
}
FRESH = {"pairs": 2000, "dialogues": 600, "seed": 1}  # text on which the distance to the floor is measured
DATASHEET = """# Datasheet: {name}

**What it is:** {what} with {parameters:,} parameters. A `from_pretrained` folder; the weights are stored in float16.
Loaded with `models.load("{name}")`.

**How it was made.** `{command}`, seed {seed}: {start}; {steps:,} steps of {batch_size} examples in
{seconds:,.0f} s with {threads} thread(s), float32; transformers {transformers}, torch {torch}.
`training_record.json` holds the settings, the loss curve and the checksum of the weights.

**What it reached**, on fresh text: a mean loss of {loss:.4f} nats per token; no model can pass {floor:.4f}.

**What it is for.** Holding methods against known truth, in notebook 07. It knows only the sentences of its world and is
of no use for {language}.

**Known limits.** It has learned the associations that were planted in its text: between occupations and
pronouns (shares of women in United States occupations, 2015-16) and between two invented communities and good
or bad stories. Its gender is binary. It was chosen by its number of steps, not by any score.{limit}
"""
LIMIT = {
    "world-translator": "\nIts Turkish is a handful of patterns, which no speaker of Turkish has reviewed.",
    "world-dialogue": "",
}
WHAT = {
    "world-translator": ("an encoder-decoder (BART) from short Turkish sentences into English",
                         "random weights, on the parallel text of `utils/parallel.py`", "Turkish or English"),
    "world-dialogue": ("a GPT-2 that answers questions about stories of the artificial language",
                       "fine-tuned from `world-gpt2`, on the dialogues of `utils/dialogue.py`", "English"),
}


def train(name: str, folder: Path) -> dict[str, Any]:
    """Train one of RECIPES, write its folder with record and datasheet, and return the record."""
    recipe = RECIPES[name]
    model, tokenizer, result, loss, floor = (_translator if name == "world-translator" else _dialogue)(recipe)
    thin = max(1, len(result.losses) // 200)
    curve = [{"step": i + 1, "loss": round(float(np.mean(result.losses[max(0, i + 1 - thin) : i + 1])), 5)}
             for i in range(thin - 1, len(result.losses), thin)]
    record = {
        "command": f"python -m tools.checkpoints {name}",
        "seed": recipe["seed"],
        "settings": {**recipe, **vars(result.settings)},
        "versions": checkpoint.versions(),
        "threads": torch.get_num_threads(),
        "parameters": model.num_parameters(),
        "seconds": round(result.seconds, 1),
        "distance": {"loss": loss, "floor": floor},
        "history": curve,
    }
    record = checkpoint.save_finished(folder, model.half(), tokenizer, record)
    what, start, language = WHAT[name]
    facts = {**record["settings"], **record["versions"], **record["distance"], **record}
    sheet = DATASHEET.format(name=name, what=what, start=start, language=language, limit=LIMIT[name], **facts)
    (folder / "DATASHEET.md").write_text(sheet, encoding="utf-8")
    return record


def _translator(recipe: dict[str, Any]) -> tuple[Any, Any, finetune.Finetuned, float, float]:
    world = World(recipe["world"])
    tokenizer = parallel.build_tokenizer(world)
    model = translation.build_model(tokenizer, recipe["width"], recipe["layers"], seed=recipe["seed"])
    examples = translation.encode(tokenizer, parallel.pairs(world, recipe["pairs"], recipe["text_seed"]))
    result = finetune.finetune(model, tokenizer, examples, seed=recipe["seed"], **translation.RECIPE)
    fresh = parallel.pairs(world, FRESH["pairs"], FRESH["seed"])
    loss = finetune.mean_loss(model, tokenizer, translation.encode(tokenizer, fresh))
    return model, tokenizer, result, loss, parallel.floor_per_token(world, fresh)


def _dialogue(recipe: dict[str, Any]) -> tuple[Any, Any, finetune.Finetuned, float, float]:
    world = World(recipe["world"])
    model, tokenizer = dialogue.start_from(recipe["base"], seed=recipe["seed"])
    examples = dialogue.encode(tokenizer, dialogue.dialogues(world, recipe["dialogues"], recipe["text_seed"]))
    result = finetune.finetune(model, tokenizer, examples, seed=recipe["seed"], **dialogue.RECIPE)
    fresh = dialogue.dialogues(world, FRESH["dialogues"], FRESH["seed"])
    loss = finetune.mean_loss(model, tokenizer, dialogue.encode(tokenizer, fresh))
    return model, tokenizer, result, loss, dialogue.floor(world, fresh)


def report(record: dict[str, Any]) -> str:
    """What a finished training says on the terminal."""
    distance = record["distance"]
    return (f"{record['settings']['steps']} steps in {record['seconds']:.0f} s; loss {distance['loss']:.4f} nats per "
            f"token on fresh text (floor {distance['floor']:.4f})")
