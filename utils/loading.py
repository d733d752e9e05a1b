"""Build a model from a local `from_pretrained` folder, checking every file on the way.

`utils.models` finds the folder; this module turns it into a model and a tokenizer, or into one sentence that
says which file is wrong and what to do. It opens no pickle, runs no code from the folder and asks no
network.

The library's own output while loading (progress bars, a table of missing and unexpected weights) is silenced
here, and
nothing is lost by that: the same table is read by `_check`, which raises an error for every entry that means
trouble. The one harmless entry, a new head for fine-tuning, is written to `model.newly_initialized`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub.utils
import torch
import transformers
from safetensors import SafetensorError, safe_open
from transformers.utils import logging as library_logging

from utils import hub
from utils.hub import ModelError, UnsafeModel


class DamagedModel(ModelError):
    """A file of the model is missing, cut short, or does not belong to the others."""


class WrongChecksum(DamagedModel):
    """The weights are not the ones that were published."""


class MissingHead(ModelError):
    """The checkpoint has no trained head of the kind asked for."""


# Heads that were trained with the model: without their weights the model has nothing to say.
PRETRAINED_HEADS = {
    "encoder": "AutoModel",
    "pretraining": "AutoModelForPreTraining",
    "masked-lm": "AutoModelForMaskedLM",
    "next-sentence": "AutoModelForNextSentencePrediction",
    "causal-lm": "AutoModelForCausalLM",
    "seq2seq-lm": "AutoModelForSeq2SeqLM",
}
# Heads for fine-tuning: new ones start at random, on purpose, from a seed.
FINE_TUNING_HEADS = {
    "sequence-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
}
HEADS = {**PRETRAINED_HEADS, **FINE_TUNING_HEADS}
NUMBERED_LAYER = re.compile(r"(?:^|\.)(?:layer|layers|h|block)\.\d+\.")

_digests: dict[tuple[str, int, int], str] = {}


@dataclass(frozen=True)
class Source:
    """A model's files: its name, its folder, what to do when they are wrong, and the weights' checksum."""

    name: str
    folder: Path
    remedy: str
    sha256: str | None = None


def build(
    source: Source, *, head: str | None, num_labels: int | None, seed: int, attn_implementation: str
) -> tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]:
    """Return the model (float32, CPU, evaluation mode) and tokenizer of a folder; see `utils.models.load`."""
    if head is not None and head not in HEADS:
        raise ValueError(f"head={head!r} is not known: choose one of {', '.join(HEADS)}, or leave it out.")
    config, tensors = _inspect(source)
    options: dict[str, Any] = {"attn_implementation": attn_implementation}
    if num_labels is not None:
        options["num_labels"] = num_labels
    model_class = _model_class(source, config, head)
    bare = head == "encoder" or model_class.__name__.endswith("Model")
    if bare and config["model_type"] in {"bert", "roberta"} and not any("pooler." in each for each in tensors):
        options["add_pooling_layer"] = False  # saved without one: leave it out rather than draw one at random
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, report = _from_pretrained(source, model_class, head, options)
        tokenizer = _tokenizer(source)
    _check(source, model, tokenizer, report, head)
    model.newly_initialized = sorted(report["missing_keys"])
    return model.eval(), tokenizer


def sha256_of(file: Path) -> str:
    """Return a file's sha256, computed once per process as long as its size and time stay the same."""
    state = file.stat()
    key = (str(file.resolve()), state.st_size, state.st_mtime_ns)
    if key not in _digests:
        with open(file, "rb") as stream:
            _digests[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _digests[key]


def recorded_sha256(folder: Path) -> str | None:
    """Return the checksum that a checkpoint's training record states for its weights, if it states one."""
    try:
        stated = json.loads((folder / "training_record.json").read_text(encoding="utf-8")).get("sha256")
    except (OSError, ValueError, AttributeError):
        return None
    return stated.get(hub.WEIGHTS) if isinstance(stated, dict) else stated


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's loading report and progress bars off the screen, then restore the settings."""
    verbosity = library_logging.get_verbosity()
    bars = library_logging.is_progress_bar_enabled() and not huggingface_hub.utils.are_progress_bars_disabled()
    library_logging.set_verbosity_error()
    library_logging.disable_progress_bar()
    try:
        yield
    finally:
        library_logging.set_verbosity(verbosity)
        if bars:
            library_logging.enable_progress_bar()


def _inspect(source: Source) -> tuple[dict[str, Any], set[str]]:
    """Check a model's files before anything is built from them; return its configuration and tensor names."""
    folder, name = source.folder, source.name
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except OSError:
        raise DamagedModel(f"{name!r} has no config.json in its folder: {source.remedy}.") from None
    except ValueError:
        raise DamagedModel(f"the config.json of {name!r} is damaged: {source.remedy}.") from None
    hub.refuse_pickle(folder, name)
    if not hub.has_weights(folder):
        raise DamagedModel(f"{name!r} has no {hub.WEIGHTS} in its folder: {source.remedy}.")
    if not hub.has_tokenizer(folder):
        raise DamagedModel(f"{name!r} has no tokenizer (tokenizer.json or vocab.txt): {source.remedy}.")
    if config.get("model_type") not in transformers.CONFIG_MAPPING:
        raise UnsafeModel(
            f"{name!r} is of the type {config.get('model_type')!r}, which transformers does not have; it "
            f"would need "
            "code from its repository, which is never run here: choose another model."
        )
    tensors: set[str] = set()
    for file in sorted(folder.glob("model*.safetensors")):
        try:
            with safe_open(file, framework="pt") as weights:
                tensors.update(weights.keys())
        except (SafetensorError, OSError):
            raise DamagedModel(f"{file.name} of {name!r} is damaged or cut short: {source.remedy}.") from None
    if source.sha256 and sha256_of(folder / hub.WEIGHTS) != source.sha256:
        raise WrongChecksum(
            f"{hub.WEIGHTS} of {name!r} has the sha256 {sha256_of(folder / hub.WEIGHTS)[:12]}… but "
            f"{source.sha256[:12]}… was published: {source.remedy}."
        )
    return config, tensors


def _model_class(source: Source, config: dict[str, Any], head: str | None) -> Any:
    """Return the class to build: the one the checkpoint names, or the automatic class for a head."""
    if head is not None:
        return getattr(transformers, HEADS[head])
    named = (config.get("architectures") or ["none"])[0]
    found = getattr(transformers, named, None)
    if not (isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)):
        raise DamagedModel(
            f"the config.json of {source.name!r} names the class {named!r}, which does not exist: {source.remedy}."
        )
    return found


def _from_pretrained(source: Source, model_class: Any, head: str | None, options: dict[str, Any]) -> tuple[Any, dict]:
    """Build the model from local files and return it with the library's report."""
    try:
        return model_class.from_pretrained(
            source.folder,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **options,
        )
    except ValueError as problem:
        if "nrecognized configuration class" not in str(problem):
            raise
        raise MissingHead(f"a model of the kind of {source.name!r} cannot have a {head!r} head.") from None
    except (RuntimeError, OSError, SafetensorError) as problem:
        raise DamagedModel(f"the weights of {source.name!r} do not fit its config.json: {source.remedy}.") from problem


def _tokenizer(source: Source) -> transformers.PreTrainedTokenizerBase:
    """Load the tokenizer of a folder."""
    try:
        return transformers.AutoTokenizer.from_pretrained(source.folder, local_files_only=True, trust_remote_code=False)
    except Exception as problem:  # the tokenizers library raises plain Exception for a damaged file
        raise DamagedModel(f"the tokenizer of {source.name!r} is damaged: {source.remedy}.") from problem


def _check(source: Source, model: Any, tokenizer: Any, report: dict, head: str | None) -> None:
    """Raise an error for what the library only mentions: missing, foreign or broken weights."""
    base = model.base_model_prefix + "."
    missing = sorted(report["missing_keys"])
    inside = [key for key in missing if "pooler." not in key and (key.startswith(base) or model.base_model is model)]
    if inside:
        raise DamagedModel(f"{source.name!r} lacks {len(inside)} of its weights, such as {inside[0]}: {source.remedy}.")
    if missing and head not in FINE_TUNING_HEADS:
        raise MissingHead(
            f"{source.name!r} has no trained {head or 'pretraining'} head, and a random one is never bolted "
            f"on, because "
            "what it says would look like predictions and mean nothing: use head='encoder', or a model that "
            "has the head, such as 'world-small' or 'bert-base-uncased'."
        )
    foreign = [key for key in sorted(report["unexpected_keys"]) if NUMBERED_LAYER.search(key)]
    if foreign:
        raise DamagedModel(
            f"{source.name!r} has weights that its config.json has no place for, such as {foreign[0]}: {source.remedy}."
        )
    rows = model.get_input_embeddings().weight.shape[0]
    if not len(tokenizer) <= rows <= 2 * len(tokenizer):  # vocabularies are padded, but not to double their size
        raise DamagedModel(
            f"the tokenizer of {source.name!r} knows {len(tokenizer)} tokens but its model {rows}: {source.remedy}."
        )
    broken = next((key for key, weight in model.named_parameters() if not torch.isfinite(weight).all()), None)
    if broken:
        raise DamagedModel(f"{broken} of {source.name!r} holds values that are not numbers: {source.remedy}.")
