"""What a training leaves behind: the model, how it was made, how long it took and how far it got."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from utils import distributed
from utils.checkpoint import versions
from utils.forward import losses
from utils.recipe import Recipe, Text, build_batches

EXAM = {"documents": 300, "seed": 1}  # fresh text of the world on which the distance to the floor is measured


@dataclass
class Training:
    """What a pretraining leaves. history: one dict per step with step, seconds, the losses and learning_rate."""

    model: Any
    tokenizer: Any
    recipe: Recipe
    history: list[dict[str, float]] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    tokens: int = 0  # read so far, padding not counted

    @property
    def finished(self) -> bool:
        """Whether all steps of the recipe have been made."""
        return len(self.history) == self.recipe.steps


def record_of(training: Training, folder: Path | None, text: Text) -> dict[str, Any]:
    """The training record: how to repeat it, what it took and what it reached. Nothing about whose machine it was."""
    recipe, seconds = training.recipe, training.history[-1]["seconds"]
    thin = max(1, recipe.steps // 400)
    return {
        "command": command(recipe, folder),
        "seed": recipe.seed,
        "settings": recipe.as_dict(),
        "versions": versions(),
        "precision": recipe.precision,
        "threads": torch.get_num_threads(),
        "processes": distributed.group().size,
        "parameters": training.model.num_parameters(),
        "seconds": round(seconds, 1),
        "tokens": training.tokens,
        "tokens_per_second": round(training.tokens / seconds),
        "sentences_cut": text.training.truncated,
        "distance": distance(training, text),
        "history": [{name: round(value, 6) for name, value in row.items()}
                    for row in training.history if row["step"] % thin == 0 or row["step"] == recipe.steps],
    }


def distance(training: Training, text: Text) -> dict[str, Any]:
    """How far the model is from the floor of its world, or its loss on held-out text where no floor is known. Nats."""
    model, tokenizer, recipe = training.model, training.tokenizer, training.recipe
    if text.world is None:
        return _held_out_losses(training, text)
    from utils import evaluate  # it builds on the world, which a learner's own text does not need

    if recipe.objective == "gpt2":
        return {"causal": vars(evaluate.causal_gap(model, tokenizer, text.world, **EXAM))}
    exam = text.world.exam(**EXAM, next_share=1.0 if recipe.objective == "roberta" else 0.5)
    mlm, nsp = evaluate.gap(model, tokenizer, exam)
    return {"mlm": vars(mlm), **({"nsp": vars(nsp)} if nsp else {})}


@torch.no_grad()
def _held_out_losses(training: Training, text: Text) -> dict[str, Any]:
    """Mean losses on the documents that training did not read; empty when there were too few to keep any."""
    if text.held_out is None:
        return {}
    recipe = training.recipe
    pairs = int((text.held_out.document_lengths - 1).clamp(min=0).sum())
    if pairs == 0:
        return {}
    small = Recipe.from_dict({**recipe.as_dict(), "batch_size": min(recipe.batch_size, pairs), "seed": 0})
    batches = build_batches(small, text, text.held_out)
    rows = [losses(training.model, {name: tensor.to(training.model.device) for name, tensor in batches[i].items()},
                   recipe.objective) for i in range(batches.steps_per_epoch)]
    return {"held_out": {name: sum(row[name].item() for row in rows) / len(rows) for name in rows[0]},
            "held_out_pairs": len(rows) * small.batch_size}


def command(recipe: Recipe, folder: Path | None) -> str:
    """The command that repeats a training; of paths it names the last part only."""
    words = ["python -m utils.pretrain --out", folder.name if folder else "DIR"]
    for name, value in recipe.differences().items():
        values = [Path(path).name for path in value] if name == "text" else [str(value)]
        words += [f"--{name.replace('_', '-')}", *values]
    return " ".join(words)


def report(training: Training) -> str:
    """What a finished training says on the terminal."""
    record = training.record
    lines = [f"{training.recipe.steps} steps, {record['tokens']:,} tokens in {record['seconds']:.0f} s "
             f"({record['tokens_per_second']:,} tokens/s, {record['precision']})"]
    for name, gap in record["distance"].items():
        if isinstance(gap, dict) and "kl" in gap:
            lines.append(f"{name.upper()}: {gap['kl']:.3f} ± {gap['kl_error']:.3f} nats above the floor "
                         f"of {gap['floor']:.3f} (fresh text, {gap['count']} questions)")
    for name, value in record["distance"].get("held_out", {}).items():
        lines.append(f"{name.replace('_', ' ')} on held-out text: {value:.3f} nats")
    if record["settings"]["text"] and not record["distance"]:
        lines.append("Too few documents to hold some out for measuring; ten or more are needed.")
    if record["sentences_cut"]:
        lines.append(f"{record['sentences_cut']} sentences were too long and were cut.")
    return "\n".join(lines)
