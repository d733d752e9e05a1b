"""A short point of each record of notebook 07 comes out again, and its models are those of their recipes."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from tools import checkpoints_text, records
from utils import dialogue, models, translation

# Shares and probabilities may move by this much, scores of a hundred points by the other.
SHARE, POINTS = 0.06, 3.0


@pytest.mark.parametrize("name", ["translation", "dialogue"])
def test_the_short_point_comes_out_again(name):
    """Some seconds each. Threads and versions move a training a little, hence the tolerances."""
    sweep, row = records.find(name), records.load(name)["results"][-1]
    again = sweep.measure(sweep.points[-1])
    assert again["floor"] == pytest.approx(row["floor"], abs=1e-3)
    assert again["loss"] == pytest.approx(row["loss"], rel=0.1)
    assert set(again) == set(row) - set(sweep.points[-1]) - {"cpu_seconds"}
    for value in set(again) - {"loss", "floor", "r"}:  # r: of beliefs that hardly differ yet
        allowed = POINTS if value in ("bleu", "chrf") else SHARE
        assert again[value] == pytest.approx(row[value], abs=allowed), value


@pytest.mark.parametrize("name", list(checkpoints_text.RECIPES))
def test_the_shipped_model_is_that_of_its_recipe(name):
    folder = models.CHECKPOINTS / name
    record = json.loads((folder / "training_record.json").read_text(encoding="utf-8"))
    training = translation.RECIPE if name == "world-translator" else dialogue.RECIPE
    assert {**checkpoints_text.RECIPES[name], **training}.items() <= record["settings"].items()
    assert record["sha256"] == models.checksum(name)
    weights = load_file(folder / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.float16}
    sheet = (folder / "DATASHEET.md").read_text(encoding="utf-8")
    assert f"{record['distance']['loss']:.4f} nats per token" in sheet and checkpoints_text.LIMIT[name] in sheet
    assert record["distance"]["loss"] - record["distance"]["floor"] < 0.01
