"""Two processes, each with half of the batch, train the model that one process trains with all of it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.toy import toy_documents
from utils.distributed import Group
from utils.pretrain import pretrain, share_of

ROOT = Path(__file__).resolve().parents[1]
TINY = {"steps": 6, "layers": 1, "width": 32, "heads": 2, "vocab_size": 80}
FLAGS = [word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_the_parts_make_up_the_batch():
    batch = {"labels": torch.tensor([[5, -100], [-100, -100], [7, 8]]),
             "next_sentence_label": torch.tensor([0, 1, -100])}
    parts = [Group(rank, 2).part_of(batch)[0] for rank in range(2)]
    assert sorted(row for part in parts for row in part["labels"].tolist()) == sorted(batch["labels"].tolist())
    assert [share_of("mlm_loss", part, batch) for part in parts] == [1.0, 0.0]
    assert [share_of("nsp_loss", part, batch) for part in parts] == [0.5, 0.5]
    assert share_of("mlm_loss", batch, batch) == 1.0


def test_causal_parts_weigh_by_the_words_that_they_score():
    batch = {"labels": torch.tensor([[3, 5, 6, 3, 8, 3], [3, 7, 3, -100, -100, -100]])}  # 3: the separator
    parts = [Group(rank, 2).part_of(batch)[0] for rank in range(2)]
    assert [share_of("causal_loss", part, batch, 3) for part in parts] == [3 / 4, 1 / 4]  # 5 6 8 and 7
    assert [share_of("separator_loss", part, batch, 3) for part in parts] == [2 / 3, 1 / 3]


def test_two_processes_equal_one_with_the_double_batch(tmp_path):
    text = tmp_path / "toy.txt"
    text.write_text("\n\n".join("\n".join(document) for document in toy_documents(60)), encoding="utf-8")
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
              "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
              "--main_process_port", free_port()]
    train = ["-m", "utils.pretrain", "--out", str(tmp_path / "two"), "--text", str(text), "--batch-size", "4",
             "--precision", "float32", *FLAGS]
    done = subprocess.run([*launch, *train], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
                          capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("6 steps") == 1  # one process speaks
    record = json.loads((tmp_path / "two" / "training_record.json").read_text())
    assert record["processes"] == 2
    alone = pretrain(tmp_path / "one", text=(str(text),), batch_size=8, precision="float32", **TINY)
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("two", "one"))
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], atol=2e-4, rtol=1e-3, msg=name)
    assert record["tokens"] == alone.tokens
    for row, other in zip(record["history"], alone.record["history"], strict=True):
        assert abs(row["mlm_loss"] - other["mlm_loss"]) < 1e-4 and abs(row["nsp_loss"] - other["nsp_loss"]) < 1e-4
