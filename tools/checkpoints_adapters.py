"""Fine-tune the real model that is shipped as a LoRA adapter, `minilm-opinions`. Called by tools.checkpoints."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils import adapters, adapting, checkpoint, finetune, models, stats

# The learning rate and the number of epochs were chosen on the dev split; the test split was read once, at the end.
RECIPES: dict[str, dict[str, Any]] = {
    "minilm-opinions": {"base": "minilm", "data": "opinions", "labels": ["negative", "positive"], "rank": 16,
                        "targets": ["query", "key", "value", "dense"], "learning_rate": 1e-3, "epochs": 10,
                        "batch_size": 16, "precision": "bfloat16", "seed": 0},
}
DATASHEET = """# Datasheet: {name}

**What it is:** a sentiment classifier (labels: {label_names}): all-MiniLM-L6-v2, a BERT encoder with six layers,
fine-tuned on the {examples} training texts of `opinions.csv`. Only what changed is stored, as a LoRA adapter of rank
{rank} for every weight matrix of the layers and the pooler, with the classification head: {trained:,} numbers,
{bytes:,} bytes. Loaded with `models.load("{name}")`, which checks the adapter and the base model, adds the update to
the base's matrices and returns an ordinary `BertForSequenceClassification`.

**How it was made.** `{command}`, seed {seed}: {steps:,} steps of {batch_size} texts in {seconds:,.0f} s with {threads}
thread(s), {precision}, learning rate {learning_rate:g}; the look with the best accuracy on the dev split (step
{best_step}) was kept. peft {peft}, transformers {transformers}, torch {torch}. `training_record.json` holds the
settings, the loss curve, the looks and the checksum.

**What it reached** on the 252 texts of `test`: accuracy {value:.3f}, 95 % bootstrap interval over the texts
[{low:.3f}, {high:.3f}]; a classifier that counts words reaches {word_counts:.3f} there.

**What it is for.** Notebooks 05, 10, 13, 16 and 18: a real fine-tuned model that is right often and wrong often, and
whose training texts are known. Not for use on anybody's opinions.

**Known limits.** One training on 840 texts by one writer (see `opinions.DATASHEET.md`). There is no neutral class. It
inherits whatever MiniLM learned from the web texts it was trained on. It was chosen by its dev accuracy.
"""


def train(name: str, folder: Path) -> dict[str, Any]:
    """Train one of RECIPES, write its folder with record and datasheet, and return the record."""
    recipe = RECIPES[name]
    training, dev, test = (adapting.opinions(split) for split in ("train", "dev", "test"))
    model, tokenizer = models.load(recipe["base"], head=adapting.HEAD, num_labels=2, seed=recipe["seed"])
    model = finetune.lora(model, rank=recipe["rank"], targets=recipe["targets"], seed=recipe["seed"])
    result = finetune.finetune(
        model, tokenizer, finetune.encode(tokenizer, training.texts, training.labels),
        lambda m: float(adapting.marked(m, tokenizer, dev).mean()), seed=recipe["seed"],
        **{key: recipe[key] for key in ("learning_rate", "epochs", "batch_size", "precision")})
    right = adapting.marked(model, tokenizer, test)
    record = {
        "command": f"python -m tools.checkpoints {name}",
        "seed": recipe["seed"],
        "settings": {**recipe, "steps": len(result.losses)},
        "base": recipe["base"],
        "labels": recipe["labels"],
        "versions": checkpoint.versions("peft"),
        "threads": torch.get_num_threads(),
        "trained": adapting.trainable(model),
        "examples": len(training.texts),
        "seconds": round(result.seconds, 1),
        "best_step": result.best_step,
        "looks": [{"step": look["step"], "dev": round(look["score"], 4)} for look in result.looks],
        "test": {**stats.bootstrap(right, seed=0)._asdict(),
                 "word_counts": float(adapting.word_counts(training, test).mean())},
        "losses": [round(float(np.mean(part)), 4) for part in np.array_split(result.losses, 50)],
    }
    return save(model, folder, record)


def save(model: Any, folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Write adapter (float16), configuration, record and datasheet; the record comes last. Returns it complete."""
    with checkpoint.moved_when_finished(folder) as temporary:
        model.half().save_pretrained(temporary)
        (temporary / "README.md").unlink(missing_ok=True)  # a template of peft; the datasheet says it better
        config = json.loads((temporary / adapters.CONFIG).read_text(encoding="utf-8"))
        config |= {"base_model_name_or_path": record["base"], "target_modules": sorted(config["target_modules"])}
        (temporary / adapters.CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        weights = (temporary / adapters.WEIGHTS).read_bytes()
        record = {**record, "bytes": len(weights), "sha256": {adapters.WEIGHTS: hashlib.sha256(weights).hexdigest()}}
        (temporary / "DATASHEET.md").write_text(datasheet(folder.name, record), encoding="utf-8")
        (temporary / adapters.RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record


def datasheet(name: str, record: dict[str, Any]) -> str:
    """Every number of it comes from the training record."""
    return DATASHEET.format(name=name, label_names=", ".join(record["labels"]),
                            **{**record["settings"], **record["versions"], **record["test"], **record})


def report(record: dict[str, Any]) -> str:
    """What a finished training says on the terminal."""
    test = record["test"]
    return (f"{record['settings']['steps']} steps in {record['seconds']:.0f} s; test accuracy {test['value']:.3f} "
            f"[{test['low']:.3f}, {test['high']:.3f}], word counts {test['word_counts']:.3f}")
