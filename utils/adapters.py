"""A fine-tuned model shipped as what changed: a LoRA adapter and a head, put onto a model that is here already.

A folder holds `adapter_model.safetensors` and `adapter_config.json`, as the package peft writes them, and the
training record, which names the base model, the labels and the checksum. `build` adds the update to the base's
matrices (Hu et al. 2022, section 4.1), so what comes out is an ordinary model and peft is not needed:

    W  ->  W + (alpha / rank) B A

`utils.models.load` calls this for every folder of `data/checkpoints/` with an adapter in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from utils.checkpoint import RECORD
from utils.hub import UnknownModel
from utils.loading import DamagedModel, MissingHead, Source, WrongChecksum, sha256_of

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."
HEAD = "sequence-classification"


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, whole or damaged."""
    return (folder / CONFIG).is_file() or (folder / WEIGHTS).is_file()


def facts(source: Source) -> dict[str, Any]:
    """The base's name, the labels and the scale alpha / rank. Raises DamagedModel where they cannot be read."""
    read = {}
    for file in (CONFIG, RECORD):
        try:
            read[file] = json.loads((source.folder / file).read_text(encoding="utf-8"))
        except OSError:
            raise DamagedModel(f"{source.name!r} has no {file} in its folder: {source.remedy}.") from None
        except ValueError:
            raise DamagedModel(f"the {file} of {source.name!r} is damaged: {source.remedy}.") from None
    try:
        config, record = read[CONFIG], read[RECORD]
        plain = config["peft_type"] == "LORA" and config["bias"] == "none" and not config.get("use_dora")
        result = {"base": config["base_model_name_or_path"], "labels": list(record["labels"]),
                  "scale": config["lora_alpha"] / config["r"], "sha256": record["sha256"][WEIGHTS]}
    except (KeyError, TypeError, ZeroDivisionError):
        raise DamagedModel(f"{CONFIG} or {RECORD} of {source.name!r} lacks what is needed: {source.remedy}.") from None
    if not plain:
        raise DamagedModel(f"{CONFIG} of {source.name!r} is not of a plain LoRA adapter: {source.remedy}.")
    return result


def check_request(source: Source, labels: list[str], head: str | None, num_labels: int | None) -> None:
    """Raise MissingHead or ValueError where another head is asked for than the one that was trained."""
    if head not in (None, HEAD):
        raise MissingHead(f"{source.name!r} is a fine-tuned classifier and has no {head!r} head: leave head out, or "
                          "load the model that it was made from.")
    if num_labels not in (None, len(labels)):
        raise ValueError(f"{source.name!r} was fine-tuned for {len(labels)} labels ({', '.join(labels)}), not "
                         f"num_labels={num_labels}; leave num_labels out.")


def put_on(source: Source, model: Any, known: dict[str, Any]) -> Any:
    """Add the adapter's update to the base's matrices and give it the trained head, in place; returns the model.

    Raises DamagedModel or WrongChecksum, before the model is changed, for a file that is not the one published.
    """
    file = source.folder / WEIGHTS
    try:
        tensors = load_file(file)
    except FileNotFoundError:
        raise DamagedModel(f"{source.name!r} has no {WEIGHTS} in its folder: {source.remedy}.") from None
    except (SafetensorError, OSError):
        raise DamagedModel(f"{WEIGHTS} of {source.name!r} is damaged or cut short: {source.remedy}.") from None
    if sha256_of(file) != known["sha256"]:
        raise WrongChecksum(f"{WEIGHTS} of {source.name!r} has the sha256 {sha256_of(file)[:12]}… but "
                            f"{known['sha256'][:12]}… was published: {source.remedy}.")
    changes = _changes(tensors, known["scale"])
    weights = dict(model.named_parameters())
    wrong = [name for name, change in changes.items() if name not in weights or weights[name].shape != change.shape]
    if wrong or not {name for name in weights if name.startswith("classifier.")} <= changes.keys():
        raise DamagedModel(f"{WEIGHTS} of {source.name!r} does not fit {known['base']!r}, such as "
                           f"{(wrong or ['classifier'])[0]}: {source.remedy}.")
    with torch.no_grad():
        for name, change in changes.items():
            weights[name].copy_(change if name.startswith("classifier.") else weights[name] + change)
    model.config.id2label = dict(enumerate(known["labels"]))
    model.config.label2id = {label: i for i, label in enumerate(known["labels"])}
    model.newly_initialized = []
    return model.eval()


def base_source(source: Source, base: Any) -> str:
    """The name of the base, which must be one of the course's own."""
    if not isinstance(base, str) or "/" in base or "\\" in base:
        raise UnknownModel(f"{source.name!r} names {base!r} as its base, which is no model of the course.")
    return base


def _changes(tensors: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Name of a weight of the model -> what is added to it, or, for the head, what replaces it."""
    changes = {}
    for key, tensor in tensors.items():
        name = key.removeprefix(PREFIX)
        if name.endswith(".lora_A.weight"):
            stem = name.removesuffix(".lora_A.weight")
            b = tensors.get(f"{PREFIX}{stem}.lora_B.weight")
            if b is not None and b.shape[1] == tensor.shape[0]:
                changes[f"{stem}.weight"] = scale * (b.float() @ tensor.float())
        elif not name.endswith(".lora_B.weight"):
            changes[name] = tensor.float()
    return changes
