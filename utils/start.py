"""What notebook 00 runs: a printed piece of code as it stands, one step of training, a first look at two models.

`python -m utils.start FILE.png` draws the course's opening figure (`utils.plots.start.known_truth_first`).
Everything here is for a first look; the measures of bias that a conclusion may rest on are in later notebooks.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import huggingface_hub
import torch
from matplotlib.figure import Figure
from transformers.utils import logging as library_logging

from utils import hub, plots

SOURCE_NAME = "<the printed code>"
LIBRARIES = ("transformers", "huggingface_hub")
WORDINGS = {"she / he": ("she", "he"), "she is a woman. / he is a man.": ("she is a woman.", "he is a man.")}


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the line it stopped at ("" if it reached its end), the error's type and first line, and
    what the libraries had to say on the way."""

    line: str
    error: str
    message: str
    notices: tuple[str, ...]

    def __str__(self) -> str:
        if not self.error:
            return "ran to its end"
        return f"stopped at    {self.line}\n{self.error:<13} {self.message}"


def run_as_printed(source: str, needs: str = "", **names: Any) -> Outcome:
    """Run Python source as it stands and say where it stopped and why, in two lines instead of a traceback.

    Args:
        source: the code, unchanged.
        needs: a model that it loads from the Hub. Where that is neither in the cache nor within reach (asked
            once, for a few seconds), the Hub is switched off for the run: the library then raises the same
            error at once, instead of after a dozen attempts that take most of a minute. Where it is within
            reach, the code downloads it.
        names: variables that the code may use.

    >>> print(run_as_printed("loss = 1\\noptimizer.step()"))
    stopped at    optimizer.step()
    NameError     name 'optimizer' is not defined
    """
    offline = not needs or _in_cache(needs) or not hub.can_fetch(needs)
    if not offline:
        print(f"{needs} is not on this machine; the code downloads it once.")
    space: dict[str, Any] = {"__name__": "__printed__", **names}
    with _collected_notices(bars=not offline) as notices, _hub_switched_off(offline):
        try:
            exec(compile(source, SOURCE_NAME, "exec"), space)
        except Exception as problem:  # whatever the code raises is the result
            return Outcome(
                _line_of(problem, source), type(problem).__name__, _first_line(problem), tuple(notices)
            )
    return Outcome("", "", "", tuple(notices))


def training_step(model: Any, batch: Mapping[str, torch.Tensor], optimizer: torch.optim.Optimizer) -> float:
    """Do one step of training and return the loss before it, in nats.

    model: returns an output with `.loss` for `model(**batch)`; left in training mode.
    batch: tensors by name, among them `labels`.
    """
    model.train()
    optimizer.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def lean_to_she(
    model: Any, tokenizer: Any, words: Sequence[str], wording: tuple[str, str] = ("she", "he")
) -> dict[str, float]:
    """Return cos(word, first) - cos(word, second) for each word, from an encoder's mean-pooled vectors.

    wording: the two texts compared, the first for a woman. A positive value is closer to the first.
    """

    def vectors(texts: Sequence[str]) -> torch.Tensor:
        batch = tokenizer(list(texts), padding=True, return_tensors="pt")
        hidden = model(**batch).last_hidden_state  # (batch, sequence, width)
        mask = batch["attention_mask"].unsqueeze(-1)
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)

    first, second = vectors(wording)
    leans = vectors(words) @ (first - second)
    return dict(zip(words, leans.tolist(), strict=True))


def _in_cache(name: str) -> bool:
    """Is the model in the Hub's cache under this very name, as the code will look for it?"""
    found = huggingface_hub.try_to_load_from_cache(name, hub.WEIGHTS, cache_dir=hub.cache_folder())
    return isinstance(found, str)


@contextmanager
def _hub_switched_off(switch: bool) -> Iterator[None]:
    """As if HF_HUB_OFFLINE=1 had been set before the library was imported."""
    if not switch:
        yield
        return
    with patch.object(huggingface_hub.constants, "HF_HUB_OFFLINE", True):
        yield


@contextmanager
def _collected_notices(bars: bool) -> Iterator[list[str]]:
    """Collect what the libraries log, as plain text without paths, instead of letting it onto stderr."""
    notices: list[str] = []
    handler = _Collector(notices)
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    before = [logger.handlers[:] for logger in loggers]
    verbosity, with_bars = library_logging.get_verbosity(), library_logging.is_progress_bar_enabled()
    library_logging.set_verbosity_warning()
    if not bars:
        library_logging.disable_progress_bar()
    try:
        for logger in loggers:
            logger.handlers[:] = [handler]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield notices
    finally:
        for logger, handlers in zip(loggers, before, strict=True):
            logger.handlers[:] = handlers
        library_logging.set_verbosity(verbosity)
        if with_bars:
            library_logging.enable_progress_bar()


class _Collector(logging.Handler):
    """Appends each message of the transformers library to a list."""

    def __init__(self, notices: list[str]) -> None:
        super().__init__()
        self.notices = notices

    def emit(self, record: logging.LogRecord) -> None:
        text = re.sub(r"\x1b\[[0-9;]*m", "", record.getMessage())  # colours of a terminal
        lines = [re.sub(r"\bfrom: \S*[/\\]\S+$", "", line).rstrip() for line in text.splitlines()]
        if record.name.startswith("transformers"):
            self.notices.append("\n".join(lines).strip())


def _line_of(problem: BaseException, source: str) -> str:
    """The line of the printed code at which an error arose."""
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__) if frame.filename == SOURCE_NAME]
    number = frames[-1].lineno if frames else getattr(problem, "lineno", None)
    lines = source.splitlines()
    return lines[number - 1].strip() if number and number <= len(lines) else ""


def _first_line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [""])[0]


def opening_figure() -> Figure:
    """The course's opening figure, from the shipped model of the small world and the packaged real model."""
    from utils import evaluate, models
    from utils.plots.start import known_truth_first
    from utils.world import World

    she = evaluate.share_of_she(*models.load("world-small"), World("small")).set_index("occupation")
    planted, estimated = she["exact"].to_dict(), she["model"].to_dict()
    real = models.load("minilm")
    return known_truth_first(
        planted, estimated, {name: lean_to_she(*real, list(planted), wording) for name, wording in WORDINGS.items()}
    )


def main(arguments: Sequence[str]) -> None:
    """Write the opening figure to the PNG file that the command line names."""
    if len(arguments) != 1:
        sys.exit("usage: python -m utils.start FILE.png")
    plots.use_house_style()
    Path(arguments[0]).write_bytes(plots.png(opening_figure()))


if __name__ == "__main__":
    main(sys.argv[1:])
