"""The number format is chosen by timing, and the choice can be overridden."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from utils import precision

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def speeds(monkeypatch):
    """Pretend to have measured these speeds of a layer and of a product (float32, bfloat16)."""
    def pretend(layer: tuple[float, float], product: tuple[float, float]) -> None:
        seconds = dict(zip(precision.PRECISIONS, (1 / speed for speed in layer), strict=True))
        monkeypatch.setattr(precision, "measured_layers", lambda: seconds)
        monkeypatch.setattr(precision, "measured_rates", lambda: dict(zip(precision.PRECISIONS, product, strict=True)))
        monkeypatch.delenv(precision.OVERRIDE, raising=False)
    return pretend


@pytest.mark.parametrize(("layer", "product", "chosen"), [
    ((100, 150), (100e9, 300e9), (torch.bfloat16, torch.bfloat16)),
    ((100, 110), (100e9, 300e9), (torch.float32, torch.bfloat16)),  # conversions eat the gain of the product
    ((200, 20), (200e9, 50e9), (torch.float32, torch.float32)),
])
def test_the_faster_format_is_chosen(speeds, layer, product, chosen):
    speeds(layer, product)
    assert (precision.choose_dtype(), precision.choose_product_dtype()) == chosen


def test_the_environment_overrides_the_measurement(speeds, monkeypatch):
    speeds((100, 300), (100e9, 300e9))
    monkeypatch.setenv(precision.OVERRIDE, "float32")
    assert precision.choose_dtype() is precision.choose_product_dtype() is torch.float32
    monkeypatch.setenv(precision.OVERRIDE, "half")
    with pytest.raises(ValueError, match="COURSE_PRECISION is 'half'"):
        precision.choose_dtype()


def test_the_rate_is_plausible():
    rate = precision.matmul_rate(torch.float32)
    assert 1e8 < rate < 1e15
    assert 1e-5 < precision.layer_seconds(torch.float32, seconds=0.01) < 10
    facts = precision.machine_facts()
    assert facts["precision"] in precision.PRECISIONS and facts["cores"] >= 1 and facts["float32_gflops"] > 0


def test_a_processor_without_bfloat16_trains_in_float32(tmp_path):
    """The same program where oneDNN and torch may use AVX2 only, as on a processor without bfloat16."""
    code = ("import json; from utils import precision, pretrain, training_record;"
            "training_record.EXAM = {'documents': 3, 'seed': 1};"
            "t = pretrain.pretrain(steps=3, width=32, layers=1, batch_size=8);"
            "print(json.dumps([precision.name_of(precision.choose_dtype()), t.record['precision'],"
            " precision.machine_facts()['vector_instructions'], t.history[-1]['mlm_loss']]))")
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    environment.pop(precision.OVERRIDE, None)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True,
                          timeout=180, check=True)
    chosen, used, instructions, loss = json.loads(done.stdout.splitlines()[-1])
    assert chosen == used == "float32" and 0 < loss < 10
    assert instructions in ("AVX2", "DEFAULT", "NO AVX")


def test_bfloat16_trains_too(monkeypatch):
    from utils import pretrain, training_record

    monkeypatch.setattr(training_record, "EXAM", {"documents": 3, "seed": 1})
    training = pretrain.pretrain(steps=3, width=32, layers=1, batch_size=8, precision="bfloat16")
    assert training.record["precision"] == "bfloat16" and training.history[-1]["mlm_loss"] < 8
    assert all(parameter.dtype == torch.float32 for parameter in training.model.parameters())
