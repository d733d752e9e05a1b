"""`utils.hub`: models from the Hub's cache and from a Hub on this machine, without a network, and never unsafely."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import transformers

from tests import servers
from tests.tiny_models import WORDS, change_json, write_checkpoint
from utils import hub, models, network

ROOT = Path(__file__).resolve().parents[1]
BERT = hub.PINS["bert-base-uncased"]


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty Hub cache, the Hub switched on, and no memory of earlier failures."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_last_failure", None)
    return tmp_path / "hub"


def fill_cache(cache: Path, name: str, commit: str, branch: str = "main") -> Path:
    """Lay a tiny model out as the Hub's cache does; return its snapshot folder."""
    repository = cache / ("models--" + name.replace("/", "--"))
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / branch).write_text(commit)
    return write_checkpoint(repository / "snapshots" / commit, "BertForMaskedLM", half=False)


def test_pins_are_full_commits():
    assert set(hub.PINS) == {"bert-base-uncased", "roberta-base", "gpt2", "distilbert-base-uncased"}
    assert all(len(pin.revision) == 40 and int(pin.revision, 16) for pin in hub.PINS.values())


@pytest.mark.parametrize("cached_as", ["bert-base-uncased", "google-bert/bert-base-uncased"])
@pytest.mark.parametrize("asked_as", ["bert-base-uncased", "google-bert/bert-base-uncased"])
def test_cached_model_needs_no_network(cache, monkeypatch, cached_as, asked_as):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    fill_cache(cache, cached_as, BERT.revision)
    model, tokenizer = models.load(asked_as)
    assert type(model) is transformers.BertForMaskedLM and len(tokenizer) == len(WORDS)
    assert models.available(asked_as)


def test_other_cached_revision_is_named_and_can_be_chosen(cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    fill_cache(cache, "bert-base-uncased", "1" * 40)
    with pytest.raises(models.ModelNotAvailable, match=f"revision='{'1' * 40}' loads it"):
        models.load("bert-base-uncased")
    assert models.load("bert-base-uncased", revision="1" * 40)[0].config.vocab_size == len(WORDS)
    assert models.load("bert-base-uncased", revision="main")[0].config.vocab_size == len(WORDS)


def test_pickle_in_the_cache_is_refused(cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    snapshot = fill_cache(cache, "bert-base-uncased", BERT.revision)
    (snapshot / "model.safetensors").rename(snapshot / "pytorch_model.bin")
    with pytest.raises(models.UnsafeModel, match="pytorch_model.bin, a pickle"):
        models.load("bert-base-uncased")
    with pytest.raises(models.UnsafeModel, match="pytorch_model.bin, a pickle"):
        models.load(snapshot)


def test_code_of_a_repository_is_never_run(cache, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    snapshot = fill_cache(cache, "someone/remote", "2" * 40)
    marker = tmp_path / "it_ran"
    (snapshot / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Evil: pass\n")
    evil = {"AutoModel": "evil.Evil", "AutoModelForMaskedLM": "evil.Evil", "AutoConfig": "evil.Evil"}
    change_json(snapshot / "config.json", auto_map=evil)
    change_json(snapshot / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]})
    model, _ = models.load("someone/remote", head="masked-lm")
    assert type(model) is transformers.BertForMaskedLM
    change_json(snapshot / "config.json", model_type="evil")
    with pytest.raises(models.UnsafeModel, match="never run here"):
        models.load("someone/remote")
    assert not marker.exists()


def test_download_takes_only_safe_files(cache, monkeypatch, tmp_path, capfd):
    folder = write_checkpoint(tmp_path / "model", "BertForMaskedLM", half=False)
    contents = {file.name: file.read_bytes() for file in folder.iterdir()}
    contents |= {"pytorch_model.bin": b"pickle", "evil.py": b"code", "onnx/config.json": b"{}", "tf_model.h5": b"h5"}
    log: list[str] = []
    with servers.hub({BERT.repository: (BERT.revision, contents)}, log) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        assert models.available("bert-base-uncased") and not any("resolve" in line for line in log)
        model, _ = models.load("bert-base-uncased")
        requests = len(log)
        models.load("bert-base-uncased")
        assert len(log) == requests, "the second load comes from the cache"
    assert type(model) is transformers.BertForMaskedLM
    taken = {line.rsplit("/", 1)[1] for line in log if "/resolve/" in line}
    assert taken == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    printed = capfd.readouterr()
    assert printed.out.startswith("Downloading bert-base-uncased once") and printed.err == ""


def test_what_the_hub_does_not_have(cache, monkeypatch):
    log: list[str] = []
    repositories = {"a/pickle": ("3" * 40, {"config.json": b"{}", "pytorch_model.bin": b"pickle"})}
    with servers.hub(repositories, log) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(models.UnsafeModel, match="no weights in safetensors format"):
            models.load("a/pickle")
        with pytest.raises(models.UnknownModel, match="did you mean 'bert-base-uncased'"):
            models.load("bert-base-uncasd")
        with pytest.raises(models.UnknownModel, match="no revision 'v9'"):
            models.load("a/pickle", revision="v9")
        assert not models.available("a/pickle")
    assert not any("/resolve/" in line for line in log)


def test_no_network_is_said_at_once_and_remembered(cache, monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens on the discard port
    started = time.monotonic()
    with pytest.raises(models.ModelNotAvailable, match=r"^'gpt2' is not on this machine and .* does not answer: con"):
        models.load("gpt2")
    assert models.load_or_none("roberta-base") is None
    assert not models.available("distilbert-base-uncased")
    assert time.monotonic() - started < 10
    assert capsys.readouterr().out.startswith("Skipped: 'roberta-base' is not on this machine")


def test_a_network_that_swallows_everything(cache, monkeypatch):
    monkeypatch.setattr(hub, "bounded", lambda question: network.bounded(question, seconds=1))
    with servers.silent() as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        started = time.monotonic()
        for _ in range(3):  # only the first attempt waits
            with pytest.raises(models.ModelNotAvailable, match="does not answer"):
                models.load("gpt2")
        assert time.monotonic() - started < 3


@pytest.mark.parametrize(("number", "message"), [(errno.ENOSPC, "disk is full: make room"), (errno.EIO, "broke off")])
def test_failed_download_leaves_nothing_behind(cache, monkeypatch, number, message):
    blobs = cache / ("models--" + BERT.repository.replace("/", "--")) / "blobs"

    def fail(*_, **__):
        blobs.mkdir(parents=True)
        (blobs / "abc.incomplete").write_bytes(b"half")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(hub, "_ask", lambda *_: 440_000_000)
    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(models.ModelNotAvailable, match=message):
        models.load("bert-base-uncased")
    assert list(blobs.iterdir()) == []


def test_in_a_machine_without_network():
    """The real thing: a network namespace with loopback only, in a fresh process."""
    if sys.platform != "linux" or subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
        pytest.skip("needs Linux with unprivileged network namespaces")
    program = """
import time
from utils import models
model, tokenizer = models.load("minilm")
started = time.monotonic()
try:
    models.load("gpt2")
except models.ModelNotAvailable as reason:
    print(reason)
print(time.monotonic() - started < 10)
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS"))}
    environment |= {"PYTHONPATH": str(ROOT), "HF_HUB_CACHE": "/nonexistent"}
    command = ["unshare", "-rn", sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert run.stdout.splitlines()[0].startswith("'gpt2' is not on this machine"), run.stderr
    assert run.stdout.splitlines()[1] == "True"
    assert run.stderr == ""
