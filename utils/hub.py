"""Models of the Hugging Face Hub: find one in the cache or fetch it, safely and without long waits.

Only three kinds of file are ever taken: the configuration, weights in safetensors format and the tokenizer's
text files. Pickles (`pytorch_model.bin`) and Python files of a repository are neither downloaded nor opened,
because opening them means running a stranger's code. `utils.models` loads what this module finds.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import time
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors as hub_errors
from tqdm.std import tqdm

from utils.network import bounded


class ModelError(RuntimeError):
    """A model could not be loaded; the message says why and what to do."""


class ModelNotAvailable(ModelError):
    """The model is neither on this machine nor reachable. A notebook skips the cell."""


class UnknownModel(ModelError):
    """No model of that name, or no such revision of it."""


class UnsafeModel(ModelError):
    """The model could only be loaded by running code from its repository or opening a pickle."""


@dataclass(frozen=True)
class Pin:
    """A repository of the Hub at one commit, so that everyone reads the same weights."""

    repository: str
    revision: str


# Each commit holds a model.safetensors; the hashes were read in public repositories that pin or cache the
# same commit (for example as "models--gpt2/snapshots/607a30d…/model.safetensors").
PINS: dict[str, Pin] = {
    "bert-base-uncased": Pin("google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594"),
    "roberta-base": Pin("FacebookAI/roberta-base", "e2da8e2f811d1448a5b465c236feacd80ffbac7b"),
    "gpt2": Pin("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
    "distilbert-base-uncased": Pin("distilbert/distilbert-base-uncased", "12040accade4e8a0f71eabdb258fecc2e7e948be"),
}

WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")
WANTED = (
    "config.json",
    "generation_config.json",
    WEIGHTS,
    SHARDS,
    "model-*-of-*.safetensors",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    *TOKENIZER_FILES,
)
NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
REMEMBER = 60.0  # seconds for which a failed attempt to reach the Hub is not repeated

_last_failure: tuple[float, str] | None = None


def find_or_fetch(name: str, revision: str | None = None) -> Path:
    """Return the folder of a Hub model: from the cache if it is there, else by download.

    Args:
        name: "bert-base-uncased", "google-bert/bert-base-uncased", or any other name on the Hub.
        revision: a commit, tag or branch. By default the pinned commit for the names in `PINS` and "main"
            for all others (which then means: whatever its owners put there last).

    Raises:
        ModelNotAvailable: not in the cache, and no network or no space.
        UnknownModel: the Hub has no such name or revision.
        UnsafeModel: the repository has no safetensors file.
    """
    repository, spellings, revision = _identify(name, revision)
    cached = [folder for folder in (_snapshot(each, revision) for each in spellings) if folder]
    for folder in cached:
        if has_weights(folder) and has_tokenizer(folder):
            return folder
    try:
        if is_offline():
            raise ModelNotAvailable(_not_here(name, "HF_HUB_OFFLINE switches the Hub off"))
        size = _ask(name, repository, revision)
    except ModelNotAvailable as problem:
        for folder in cached:
            refuse_pickle(folder, name)
        raise ModelNotAvailable(str(problem) + _other_revisions(spellings)) from None
    return _download(name, repository, revision, size)


def in_cache(name: str, revision: str | None = None) -> bool:
    """Say whether `find_or_fetch` would answer without the network."""
    _, spellings, revision = _identify(name, revision)
    folders = [folder for folder in (_snapshot(each, revision) for each in spellings) if folder]
    return any(has_weights(folder) and has_tokenizer(folder) for folder in folders)


def can_fetch(name: str, revision: str | None = None) -> bool:
    """Say whether the Hub can be reached and has this model with safetensors weights (one question)."""
    repository, _, revision = _identify(name, revision)
    if is_offline():
        return False
    try:
        _ask(name, repository, revision)
    except ModelError:
        return False
    return True


def has_weights(folder: Path) -> bool:
    """Say whether all weight files of a folder are there, in safetensors format."""
    if (folder / WEIGHTS).is_file():
        return True
    try:
        shards = set(json.loads((folder / SHARDS).read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return bool(shards) and all((folder / shard).is_file() for shard in shards)


def has_tokenizer(folder: Path) -> bool:
    """Say whether a folder holds a tokenizer's vocabulary."""
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def refuse_pickle(folder: Path, name: str) -> None:
    """Raise `UnsafeModel` if the only weights in a folder are a pickle."""
    pickles = [each.name for each in sorted(folder.glob("*.bin")) + sorted(folder.glob("*.pt"))]
    if pickles and not has_weights(folder):
        raise UnsafeModel(
            f"{name!r} offers its weights only as {pickles[0]}, a pickle, which can run any code when it is "
            f"opened: "
            "choose a model or revision with model.safetensors."
        )


def is_offline() -> bool:
    """Say whether the Hub is switched off (`HF_HUB_OFFLINE=1`)."""
    setting = os.environ.get("HF_HUB_OFFLINE", os.environ.get("TRANSFORMERS_OFFLINE", ""))
    return setting.upper() in {"1", "ON", "YES", "TRUE"} or huggingface_hub.constants.HF_HUB_OFFLINE


def cache_folder() -> Path:
    """Return the Hub's cache: `HF_HUB_CACHE` as it is now, else the library's place."""
    return Path(os.environ.get("HF_HUB_CACHE") or huggingface_hub.constants.HF_HUB_CACHE).expanduser()


def _identify(name: str, revision: str | None) -> tuple[str, list[str], str]:
    """Return the repository to ask, the names under which it may be cached, and the revision."""
    if not NAME.fullmatch(name) or ".." in name:
        raise UnknownModel(f"{name!r} cannot be a model's name: use letters, digits, '-', '_', '.' and one '/'.")
    short = next((key for key, pin in PINS.items() if name in (key, pin.repository)), None)
    if short is None:
        return name, [name], revision or "main"
    pin = PINS[short]
    return pin.repository, [name, short, pin.repository], revision or pin.revision


def _snapshot(repository: str, revision: str) -> Path | None:
    """Return the cached snapshot of a repository at a revision, if its config.json is there."""
    found = huggingface_hub.try_to_load_from_cache(
        repository, "config.json", cache_dir=cache_folder(), revision=revision
    )
    return Path(found).parent if isinstance(found, str) else None


def _other_revisions(spellings: list[str]) -> str:
    """Name the commits of a model that the cache does hold, for a learner without a network."""
    snapshots = [cache_folder() / ("models--" + each.replace("/", "--")) / "snapshots" for each in spellings]
    commits = sorted({each.name for folder in snapshots if folder.is_dir() for each in folder.iterdir()})
    return f"; the cache holds another revision: revision={commits[0]!r} loads it" if commits else ""


def _not_here(name: str, reason: str, advice: str = "connect to the internet and run this again") -> str:
    return (
        f"{name!r} is not on this machine and {reason}: {advice}, or use models.load('minilm'), the real "
        "model that needs no network"
    )


def _ask(name: str, repository: str, revision: str) -> int:
    """Ask the Hub once, within seconds, whether a model is there; return the bytes to download."""
    global _last_failure
    if _last_failure and time.monotonic() - _last_failure[0] < REMEMBER:
        raise ModelNotAvailable(_not_here(name, _last_failure[1]))
    api = huggingface_hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    try:
        info = bounded(lambda: api.model_info(repository, revision=revision, files_metadata=True, timeout=5))
    except hub_errors.GatedRepoError:
        raise ModelNotAvailable(_not_here(name, "its owners want their terms accepted", "do so")) from None
    except hub_errors.RepositoryNotFoundError:
        raise UnknownModel(f"the Hugging Face Hub has no public model {name!r}: check the spelling") from None
    except hub_errors.RevisionNotFoundError:
        raise UnknownModel(f"{name!r} has no revision {revision!r}: leave it out, or give a commit") from None
    except Exception:  # the errors of the HTTP library change with its version; all of them mean "no answer"
        _last_failure = (time.monotonic(), "the Hugging Face Hub does not answer")
        raise ModelNotAvailable(_not_here(name, _last_failure[1])) from None
    files = {each.rfilename: each.size or 0 for each in info.siblings or []}
    if WEIGHTS not in files and SHARDS not in files:
        raise UnsafeModel(
            f"{name!r} has no weights in safetensors format on the Hub, and a pickle is never opened here: "
            "choose a model or revision with model.safetensors."
        )
    return sum(size for file, size in files.items() if any(fnmatch(file, each) for each in WANTED))


class _Progress(tqdm):
    """One progress bar on standard output that clears itself: notebooks keep no trace of it."""

    def __init__(self, *arguments, **options) -> None:
        options.pop("name", None)  # an argument of the Hub library's own class
        hidden = not str(options.get("desc", "")).startswith("Download")  # it would draw three bars at once
        super().__init__(*arguments, **{**options, "file": sys.stdout, "leave": False, "disable": hidden})


def _download(name: str, repository: str, revision: str, size: int) -> Path:
    """Download the wanted files and return their folder; leave no half of a file behind on a full disk."""
    print(f"Downloading {name} once ({size / 1e6:,.0f} MB) into the Hub's cache.")
    before = _unfinished(repository)
    try:
        folder = huggingface_hub.snapshot_download(
            repository,
            revision=revision,
            cache_dir=cache_folder(),
            allow_patterns=list(WANTED),
            etag_timeout=5,
            tqdm_class=_Progress,
            endpoint=os.environ.get("HF_ENDPOINT"),
        )
    except Exception as problem:
        reason, advice = f"its download broke off ({type(problem).__name__})", "run this again"
        if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
            reason, advice = "the disk is full", f"make room for {size / 1e6:,.0f} MB and run this again"
        raise ModelNotAvailable(_not_here(name, reason, advice)) from problem
    finally:  # after an interrupt too
        for part in _unfinished(repository) - before:
            part.unlink(missing_ok=True)
    return Path(folder)


def _unfinished(repository: str) -> set[Path]:
    """Return the partly downloaded files of a repository in the cache."""
    folder = cache_folder() / ("models--" + repository.replace("/", "--")) / "blobs"
    return set(folder.glob("*.incomplete"))
