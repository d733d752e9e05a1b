"""Write a training's state and its finished model so that a crash never leaves half a file behind.

Everything is written beside its destination first, forced to the disk, then renamed: renaming replaces the
old file in one step, so a reader finds the old state or the new one. Tensors go into safetensors, settings
and counters into JSON; nothing is pickled.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from transformers.utils import logging

STATE = "resume.safetensors"
RECORD = "training_record.json"


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or read; the message says why and what to do."""


def versions(*packages: str) -> dict[str, str]:
    """The versions that a record states: of Python, torch and transformers, and of these packages."""
    named = ("torch", "transformers", *packages)
    return {"python": platform.python_version(), **{name: version(name) for name in named}}


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step. Raises CheckpointError and leaves the old file if it cannot."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        _remove(temporary)
        raise CheckpointError(_why(path, len(content), error)) from error
    except BaseException:
        _remove(temporary)
        raise


def _why(path: Path, size: int, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (f"The disk is full: {path.name} needs {size / 1e6:.1f} MB in {path.parent}; make room, then go on "
                f"with --resume (or start again, if there is no {STATE} yet).")
    return f"{path} cannot be written ({error.strerror}); choose a folder that you may write to."


@contextlib.contextmanager
def _without_progress_bar() -> Iterator[None]:
    """transformers draws a bar for writing a single small file, which would stay behind in a notebook."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        pass  # the message about the first problem matters more


def save_state(
    folder: Path, model: torch.nn.Module, optimizers: list[torch.optim.Optimizer], facts: dict[str, Any]
) -> None:
    """Write everything a training needs to go on: parameters, optimisers' states and ``facts`` (JSON)."""
    tensors = {f"model/{name}": parameter.detach() for name, parameter in model.named_parameters()}
    for number, optimizer in enumerate(optimizers):
        for index, entries in optimizer.state_dict()["state"].items():
            for key, value in entries.items():
                tensors[f"optimizer{number}/{index}/{key}"] = torch.as_tensor(value)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(folder / STATE, save(tensors, metadata={"facts": json.dumps(facts)}))


def load_facts(folder: Path) -> dict[str, Any]:
    """The JSON part of a saved state. Raises CheckpointError when there is none or it is damaged."""
    try:
        with safe_open(folder / STATE, framework="pt") as file:
            return json.loads(file.metadata()["facts"])
    except FileNotFoundError as error:
        raise CheckpointError(
            f"There is nothing to resume in {folder} (no {STATE}); start without --resume."
        ) from error
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / STATE} is damaged ({error}); delete it and start again.") from error


def load_state(folder: Path, model: torch.nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
    """Put a saved state back into a model and optimisers built with the same settings."""
    with safe_open(folder / STATE, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors.pop(f"model/{name}"))
    for number, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            owner, *rest = name.split("/")
            if owner == f"optimizer{number}":
                state.setdefault(int(rest[0]), {})[rest[1]] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def save_finished(folder: Path, model: Any, tokenizer: Any, record: dict[str, Any]) -> dict[str, Any]:
    """Write a ``from_pretrained`` folder with its training record, and drop the state to resume from.

    Returns the record with the sha256 of the weights added.
    """
    try:
        with moved_when_finished(folder) as temporary:
            with _without_progress_bar():
                model.save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
            weights = (temporary / "model.safetensors").read_bytes()
            record = {**record, "sha256": hashlib.sha256(weights).hexdigest()}
            (temporary / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        _remove(folder / STATE)
    except (OSError, SafetensorError) as error:
        reason = error if isinstance(error, OSError) else OSError(errno.ENOSPC, str(error))
        raise CheckpointError(_why(folder / "model.safetensors", 4 * model.num_parameters(), reason)) from error
    return record


@contextlib.contextmanager
def moved_when_finished(folder: Path) -> Iterator[Path]:
    """Where to write the files of ``folder``: without an error they move there, the training record last."""
    temporary = folder / f".partial.{os.getpid()}"
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        yield temporary
        for file in sorted(temporary.iterdir(), key=lambda file: file.name == RECORD):
            with open(file, "rb") as stream:
                os.fsync(stream.fileno())
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
