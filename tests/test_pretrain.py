"""Pretraining: it learns, it repeats, it resumes bit for bit, and it says in one sentence what went wrong."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForPreTraining, AutoTokenizer

from tests.toy import toy_documents
from utils import checkpoint, training_record
from utils import pretrain as pretraining
from utils.checkpoint import RECORD, STATE, CheckpointError
from utils.pretrain import main, pretrain

ROOT = Path(__file__).resolve().parents[1]
# The precision is fixed: left open it is chosen by timing, which may differ between two processes.
TINY = {"steps": 12, "batch_size": 8, "layers": 2, "width": 32, "heads": 2, "vocab_size": 80, "precision": "float32"}
FLAGS = [word for name, value in TINY.items() for word in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("text") / "toy.txt"
    path.write_text("\n\n".join("\n".join(document) for document in toy_documents(60)), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def straight(text):
    """A training without interruption, to hold the others against."""
    return pretrain(text=(text,), **TINY)


def same_weights(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def without_seconds(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def interrupt_at(step: int, number: int = signal.SIGINT):
    return lambda now, *_: os.kill(os.getpid(), number) if now == step else None


# ------------------------------------------------------------------------------------ it learns and repeats


def test_history_and_record_say_what_happened(straight):
    assert straight.finished and [row["step"] for row in straight.history] == list(range(1, 13))
    assert set(straight.history[0]) == {"step", "seconds", "mlm_loss", "nsp_loss", "learning_rate"}
    record = straight.record
    assert record["tokens"] == straight.tokens > 12 * 8 * 10 and record["settings"]["steps"] == 12
    assert record["command"].startswith("python -m utils.pretrain --out DIR --text toy.txt")
    assert "/" not in record["command"]
    assert set(record["distance"]["held_out"]) == {"mlm_loss", "nsp_loss"}
    assert not straight.model.training
    json.dumps(record)


def test_it_learns(text):
    training = pretrain(text=(text,), **{**TINY, "steps": 150})
    losses = [row["mlm_loss"] for row in training.history]
    assert sum(losses[-15:]) / 15 < sum(losses[:15]) / 15 - 0.3


def test_the_seed_decides_the_weights(text, straight):
    assert same_weights(pretrain(text=(text,), **TINY).model, straight.model)
    assert not same_weights(pretrain(text=(text,), seed=1, **TINY).model, straight.model)


def test_on_step_sees_every_step(text):
    seen = []
    pretrain(text=(text,), on_step=lambda step, seconds, losses: seen.append((step, set(losses))), **TINY)
    assert seen == [(step, {"mlm_loss", "nsp_loss"}) for step in range(1, 13)]


@pytest.mark.parametrize(("objective", "reader", "names"), [
    ("bert", AutoModelForPreTraining, {"mlm_loss", "nsp_loss"}),
    ("roberta", AutoModelForMaskedLM, {"mlm_loss"}),
    ("gpt2", AutoModelForCausalLM, {"causal_loss", "separator_loss"}),
])
def test_every_objective_leaves_a_folder_for_from_pretrained(text, tmp_path, objective, reader, names):
    training = pretrain(tmp_path / "model", text=(text,), objective=objective, **TINY)
    assert {name for name in training.history[0] if name.endswith("_loss")} == names
    assert sorted(file.name for file in (tmp_path / "model").iterdir()) == sorted(
        ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", RECORD]
        + (["generation_config.json"] if objective == "gpt2" else []))
    model, info = reader.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert type(model) is type(training.model)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    batch = tokenizer("ann is a baker .", return_tensors="pt")
    ids = {"input_ids": batch["input_ids"]}
    torch.testing.assert_close(model.eval()(**ids)[0], training.model(**ids)[0])
    record = json.loads((tmp_path / "model" / RECORD).read_text())
    assert record["sha256"] == training.record["sha256"] and record["settings"]["objective"] == objective


def test_nothing_is_left_on_stderr_outside_a_terminal(text, tmp_path, capfd):
    pretrain(tmp_path, text=(text,), **TINY)
    assert capfd.readouterr().err == ""


def test_the_worlds_floor_is_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training_record, "EXAM", {"documents": 5, "seed": 1})
    assert main(["--out", str(tmp_path / "m"), "--steps", "2", "--width", "32", "--layers", "1"]) == 0
    distance = json.loads((tmp_path / "m" / RECORD).read_text())["distance"]
    assert 0 < distance["mlm"]["floor"] < distance["mlm"]["loss"] and 0 < distance["nsp"]["kl"] < 1
    assert "nats above the floor" in capsys.readouterr().out


# ---------------------------------------------------------------------------------- interrupt and resume


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_resumes_bit_for_bit(text, straight, tmp_path, number):
    stopped = pretrain(tmp_path, text=(text,), on_step=interrupt_at(5, number), **TINY)
    assert not stopped.finished and len(stopped.history) == 5
    assert [file.name for file in tmp_path.iterdir()] == [STATE]
    resumed = pretrain(tmp_path, resume=True)
    assert resumed.finished and same_weights(resumed.model, straight.model)
    assert without_seconds(resumed.history) == without_seconds(straight.history)
    assert resumed.tokens == straight.tokens and not (tmp_path / STATE).exists()
    assert resumed.record["distance"] == straight.record["distance"]


def test_ctrl_c_in_the_middle_of_a_step_finishes_the_step(text, straight, tmp_path, monkeypatch, capsys):
    calls, real = [], pretraining.losses

    def losses(*arguments):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(pretraining, "losses", losses)
    assert main(["--out", str(tmp_path), "--text", text, *FLAGS]) == 130
    assert "after step 3 of 12" in (said := capsys.readouterr().out) and "--resume" in said
    assert main(["--out", str(tmp_path), "--resume"]) == 0
    model = AutoModelForPreTraining.from_pretrained(tmp_path)
    assert same_weights(model, straight.model)


def test_kill_minus_nine_leaves_the_last_good_state(text, straight, tmp_path):
    code = ("import os, sys, utils.pretrain as p; p.CHECKPOINT_SECONDS = 0.0; text, out, settings = sys.argv[1:];"
            "p.pretrain(out, text=(text,), on_step=lambda s, *_: s == 7 and os.kill(os.getpid(), 9), **eval(settings))")
    ended = subprocess.run([sys.executable, "-c", code, text, str(tmp_path), repr(TINY)], cwd=ROOT, timeout=120,
                           env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())})
    assert ended.returncode == -signal.SIGKILL
    assert len(checkpoint.load_facts(tmp_path)["history"]) == 6  # saved after step 6, killed in step 7
    assert same_weights(pretrain(tmp_path, resume=True).model, straight.model)


def test_resume_refuses_other_settings_and_finds_nothing_elsewhere(text, tmp_path, capsys, monkeypatch):
    pretrain(tmp_path, text=(text,), on_step=interrupt_at(2), **TINY)
    with pytest.raises(ValueError, match="steps=12, not 20"):
        pretrain(tmp_path, resume=True, steps=20)
    with pytest.raises(CheckpointError, match="interrupted training; add --resume"):
        pretrain(tmp_path, text=(text,), **TINY)
    with pytest.raises(CheckpointError, match="nothing to resume"):
        pretrain(tmp_path / "other", resume=True)
    with pytest.raises(ValueError, match="give out="):
        pretrain(resume=True)
    with monkeypatch.context() as patch, pytest.raises(ValueError, match=r"ran on 1 process\(es\), not 2"):
        patch.setattr(pretraining.distributed, "group", lambda: pretraining.distributed.Group(0, 2))
        pretrain(tmp_path, resume=True)
    (tmp_path / STATE).write_bytes((tmp_path / STATE).read_bytes()[:1000])
    assert main(["--out", str(tmp_path), "--resume"]) == 1
    said = capsys.readouterr().err
    assert "damaged" in said and said.count("\n") == 1


# -------------------------------------------------------------------------------------- disk and folders


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_keeps_the_last_state_and_leaves_no_rubbish(text, straight, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "CHECKPOINT_SECONDS", 0.0)

        def fill(step, *_):
            if step == 6:
                patch.setattr(os, "fsync", full_disk)

        with pytest.raises(CheckpointError, match="disk is full.*--resume") as caught:
            pretrain(tmp_path, text=(text,), on_step=fill, **TINY)
    assert "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == [STATE]
    assert len(checkpoint.load_facts(tmp_path)["history"]) == 5
    assert same_weights(pretrain(tmp_path, resume=True).model, straight.model)


def test_a_disk_that_fills_while_the_model_is_saved(text, straight, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(type(straight.model), "save_pretrained", full_disk)
        with pytest.raises(CheckpointError, match="disk is full"):
            pretrain(tmp_path, text=(text,), **TINY)
    assert [file.name for file in tmp_path.iterdir()] == [STATE]
    assert same_weights(pretrain(tmp_path, resume=True).model, straight.model)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_kernels_own_full_disk_is_understood(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    (tmp_path / f".file.{os.getpid()}.partial").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match="disk is full"):
        checkpoint.write_atomically(path, b"new" * 100_000)
    assert [file.name for file in tmp_path.iterdir()] == ["file"] and path.read_bytes() == b"old"


def test_a_folder_gets_its_files_when_all_are_written(tmp_path):
    with pytest.raises(KeyError), checkpoint.moved_when_finished(tmp_path) as place:
        (place / "weights").write_text("half")
        raise KeyError
    assert not list(tmp_path.iterdir())
    with checkpoint.moved_when_finished(tmp_path) as place:
        (place / "weights").write_text("all")
    assert [file.name for file in tmp_path.iterdir()] == ["weights"]


def test_versions_are_those_that_the_packages_say():
    said = {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": numpy.__version__}
    assert checkpoint.versions("numpy") == {"python": sys.version.split()[0], **said}


def test_a_folder_that_cannot_be_written_is_noticed_before_the_work(text, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    steps = []
    with pytest.raises(CheckpointError, match="cannot be written"):
        pretrain(tmp_path / "file", text=(text,), on_step=lambda *_: steps.append(1), **TINY)
    assert not steps


# ---------------------------------------------------------------------------------------- the learner's text


@pytest.mark.parametrize(("content", "message"), [
    (b"", "no text"), (b"\x00\x01binary", "binary"), ("caf\xe9 .\nb .".encode("latin-1"), "not UTF-8"),
    (b"One .\nTwo .\nThree .", "one document"), (b"One .\n\nTwo .\n\nThree .", "two sentences"),
    (b"One .\nTwo .\n\nThree .\nFour .", "fewer than one batch"), (None, "cannot be read")])
def test_unusable_text_is_explained_in_one_sentence(tmp_path, capsys, content, message):
    path = tmp_path / "mine.txt"
    if content is not None:
        path.write_bytes(content)
    assert main(["--out", str(tmp_path / "out"), "--text", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_one_document_is_enough_without_next_sentences(tmp_path, capsys):
    path = tmp_path / "mine.txt"
    path.write_text("\n".join(line for document in toy_documents(20) for line in document))
    assert main(["--out", str(tmp_path / "out"), "--text", str(path), "--objective", "roberta", *FLAGS]) == 0
    assert "Too few documents" in capsys.readouterr().out


def test_long_sentences_are_cut_and_said_so(tmp_path, capsys):
    path = tmp_path / "mine.txt"
    long = " ".join(f"word{i}" for i in range(100)) + " ."
    path.write_text("\n\n".join(f"ann is here .\n{long}" for _ in range(30)))
    assert main(["--out", str(tmp_path / "out"), "--text", str(path), *FLAGS]) == 0
    assert "sentences were too long and were cut" in capsys.readouterr().out


@pytest.mark.parametrize(("settings", "message"), [
    ({"objective": "t5"}, "objective='t5'"), ({"world": "large"}, "world='large'"), ({"steps": 0}, "steps=0"),
    ({"width": 30, "heads": 4}, "width=30")])
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        pretrain(**settings)
