"""Train the shipped models again: `make checkpoints`, or `python -m tools.checkpoints world-small …` for some.

An interrupted training goes on where it stopped. Takes about two hours on two cores for all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tools import checkpoints_adapters, checkpoints_text
from tools.notebooks import ROOT
from utils import checkpoint, pretrain
from utils.response import SETTINGS

CHECKPOINTS = ROOT / "data" / "checkpoints"
# What differs from the defaults of utils.recipe.Recipe. More steps than the live run of notebook 04 takes,
# so that later notebooks read a model close to the floor.
RECIPES: dict[str, dict] = {
    "world-small": {"world": "small", "steps": 12000},
    "world-roberta": {"world": "small", "objective": "roberta", "steps": 4000},
    "world-gpt2": {"world": "small", "objective": "gpt2", "steps": 4000},
    "world-full": {"world": "full", "steps": 40000, "muon_learning_rate": 4e-3},  # rare facts take many readings
    # The pronoun's dose: none, half, as in the statistics, twice, reversed. Shorter, so that five cost little.
    "world-dose-0": {"world": "small", "steps": 2000, "pronoun_dose": 0.0},
    "world-dose-half": {"world": "small", "steps": 2000, "pronoun_dose": 0.5},
    "world-dose-1": {"world": "small", "steps": 2000, "pronoun_dose": 1.0},
    "world-dose-2": {"world": "small", "steps": 2000, "pronoun_dose": 2.0},
    "world-dose-reversed": {"world": "small", "steps": 2000, "pronoun_dose": -1.0},
    # The dose of the communities' tone, which is learned later. Points of the record "doses" (tools/records_doses.py).
    "world-valence-0": {"valence_dose": 0.0, **SETTINGS},
    "world-valence-2": {"valence_dose": 2.0, **SETTINGS},
    "world-valence-reversed": {"valence_dose": -1.0, **SETTINGS},
}


WHAT = {
    "bert": "a BERT (masked words and next sentence)",
    "roberta": "a RoBERTa-style model (masked words, neighbouring sentences only)",
    "gpt2": "a GPT-2-style model (each word from the words before it)",
}
DATASHEET = """# Datasheet: {name}

**What it is:** {what} with {parameters:,} parameters, pretrained from random weights on stories of the
artificial language, `World(size="{world}", pronoun_dose={pronoun_dose:g}, valence_dose={valence_dose:g})`.
A `from_pretrained` folder; the weights are stored in float32. Loaded with `models.load("{name}")`.

**How it was made.** `{command}` (the folder's name stands for its path), seed {seed}: {steps:,} steps,
{tokens:,} tokens in {seconds:,.0f} s with {threads} thread(s), {precision}; transformers {transformers},
torch {torch}. `training_record.json` holds the settings, the loss curve and the checksum of the weights.

**What it reached**, on fresh text: {reached}.

**What it is for.** Holding methods against known truth, in this course. It knows only the sentences of its
world and is of no use for English.

**Known limits.** It has learned the associations that were planted in its text: between occupations and
pronouns (shares of women in United States occupations, 2015-16) and between two invented communities and good
or bad stories. Its gender is binary. It was chosen by its number of steps, not by any score.
"""


def datasheet(name: str, record: dict) -> str:
    """The datasheet of a shipped model, every number from its training record."""
    reached = "; ".join(
        f"{loss.upper()} {gap['kl']:.3f} ± {gap['kl_error']:.3f} nats above the floor of {gap['floor']:.3f} "
        "(mean KL divergence, standard error)"
        for loss, gap in record["distance"].items()
    )
    return DATASHEET.format(
        name=name, reached=reached, what=WHAT[record["settings"]["objective"]],
        **{**record["settings"], **record["versions"], **record},
    )  # fmt: skip


def train(name: str, folder: Path) -> pretrain.Training:
    """Train one shipped model into `folder`, or go on with it."""
    if (folder / checkpoint.STATE).exists():
        return pretrain.pretrain(folder, resume=True)
    return pretrain.pretrain(folder, **RECIPES[name])


def write_datasheet(folder: Path) -> None:
    """Write the datasheet of a shipped model from its training record."""
    record = json.loads((folder / checkpoint.RECORD).read_text(encoding="utf-8"))
    (folder / "DATASHEET.md").write_text(datasheet(folder.name, record), encoding="utf-8")


def main() -> int:
    """The command; returns its exit status."""
    # The texts last: one of them begins with a model of the first.
    every = {**RECIPES, **checkpoints_adapters.RECIPES, **checkpoints_text.RECIPES}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(every)}; all if left out")
    parser.add_argument("--into", type=Path, default=CHECKPOINTS, help="parent folder (default: data/checkpoints)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in every]
    if unknown:
        print(f"Error: there is no shipped model {unknown[0]!r}; choose from {', '.join(every)}.", file=sys.stderr)
        return 1
    for name in options.names or every:
        print(name, flush=True)
        if name in checkpoints_adapters.RECIPES:
            print(checkpoints_adapters.report(checkpoints_adapters.train(name, options.into / name)), flush=True)
            continue
        if name in checkpoints_text.RECIPES:
            print(checkpoints_text.report(checkpoints_text.train(name, options.into / name)), flush=True)
            continue
        training = train(name, options.into / name)
        if not training.finished:
            print(f"Stopped at step {len(training.history)}; run the same command again to go on.")
            return 130
        print(pretrain.report(training), flush=True)
        write_datasheet(options.into / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
