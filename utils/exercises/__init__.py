"""The small framework behind `check.NAME(answer)`: verdicts, the @exercise decorator, safe calls of a learner's code.

A check for an exercise is a short function in `utils/exercises/notebook_NN.py`:

    @exercise("2.1")
    def masked_mean(answer):
        losses, labels = example(seed=1)
        got = call(answer, losses, labels)
        expect_number(got, reference(losses, labels), name="the mean", unit="nats", mistakes=[
            ("padding", losses.mean(), "your mean runs over every position: divide by the number of masked ones."),
        ])
        return "equal to the reference within 1e-6 on a batch with padding."

It returns the sentence shown on success. Everything else (a missing answer, an exception in the learner's
code, a wrong value) is turned into a `Verdict` by the decorator; a check never raises. Comparisons live in
`utils.exercises.expect`.
"""

from __future__ import annotations

import copy
import functools
import html
import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from utils.exercises.expect import (
    NotAttempted,
    Refused,
    as_array,
    expect_array,
    expect_detector,
    expect_distribution,
    expect_items,
    expect_number,
    expect_table,
    expect_text,
    expect_true,
    refuse,
)

__all__ = [
    "Verdict", "exercise", "call", "NotAttempted", "Refused", "as_array", "expect_array", "expect_detector",
    "expect_distribution", "expect_items", "expect_number", "expect_table", "expect_text", "expect_true",
    "refuse",
]  # fmt: skip

MARKS = {True: "✓", False: "✗", None: "○"}
COLOURS = {True: "#00694c", False: "#a33b00", None: "#555555"}  # dark enough on white: contrast above 5 to 1
LONGEST_MESSAGE = 600


@dataclass(frozen=True)
class Verdict:
    """What a check says. `passed` is True, False, or None when the exercise has not been attempted."""

    exercise: str
    passed: bool | None
    message: str

    def __bool__(self) -> bool:
        return self.passed is True

    def __repr__(self) -> str:
        return f"{MARKS[self.passed]} Exercise {self.exercise}: {self.message}"

    def _repr_html_(self) -> str:
        colour = COLOURS[self.passed]
        return (
            f'<div style="border-left: 4px solid {colour}; padding: 4px 10px; color: {colour}; background: #ffffff">'
            f"{MARKS[self.passed]} <b>Exercise {html.escape(self.exercise)}</b>: {html.escape(self.message)}</div>"
        )


def exercise(identifier: str) -> Callable[[Callable[..., str]], Callable[..., Verdict]]:
    """Turn a function `answer -> success sentence` into a check `answer -> Verdict` for an exercise ("2.1")."""
    if not re.fullmatch(r"\d{1,2}\.\d{1,2}", identifier):
        raise ValueError(f"an exercise is named like '2.1' (notebook.number), not {identifier!r}.")

    def decorate(check: Callable[..., str]) -> Callable[..., Verdict]:
        @functools.wraps(check)
        def checked(*answers: Any) -> Verdict:
            with _global_randomness_restored():
                passed, message = _judge(check, answers)
            return Verdict(identifier, passed, _clip(message))

        checked.identifier = identifier
        return checked

    return decorate


def _judge(check: Callable[..., str], answers: tuple) -> tuple[bool | None, str]:
    try:
        for answer in answers:
            require_attempt(answer)
        message = check(*answers)
    except NotAttempted as missing:
        return None, f"not attempted yet: {missing}"
    except Refused as refusal:
        return False, str(refusal)
    except Exception as error:  # a learner must never see a traceback out of a check
        return False, f"your answer could not be read ({describe(error)})."
    return True, message


def require_attempt(answer: Any, name: str = "the answer") -> None:
    """Raise `NotAttempted` for None, Ellipsis, an empty string, or a container that still holds one of them."""
    if answer is None or answer is Ellipsis:
        raise NotAttempted(f"{name} is still {'None' if answer is None else '...'}.")
    if isinstance(answer, str) and not answer.strip():
        raise NotAttempted(f"{name} is still an empty string.")
    if isinstance(answer, Mapping):
        for key, value in answer.items():
            require_attempt(value, f"the entry {key!r}")
    elif isinstance(answer, (list, tuple)) and len(answer) <= 1000:
        for place, value in enumerate(answer):
            if value is None or value is Ellipsis:
                require_attempt(value, f"item {place}")


def call(function: Any, *inputs: Any, changes_allowed: bool = False, **named: Any) -> Any:
    """Call the learner's function on copies of the inputs and return what it gives.

    Raises `NotAttempted` where the function is an untouched stub (returns None or Ellipsis, or raises
    NotImplementedError), and `Refused` with one sentence where it raises anything else or (unless
    `changes_allowed`) changes its inputs in place. Models, tokenizers and generators are passed as they are.
    """
    if not callable(function):
        raise Refused(
            f"a function is asked for, but the answer is {type(function).__name__} {_clip(repr(function), 80)}."
        )
    name = getattr(function, "__name__", "")
    name = name if name.isidentifier() else "your function"
    given, given_named = _copied(inputs), _copied(named)
    try:
        result = function(*given, **given_named)
    except NotImplementedError:
        raise NotAttempted(f"{name} still raises NotImplementedError.") from None
    except (NotAttempted, Refused, AssertionError):  # a detector may say "faulty" by an assertion
        raise
    except Exception as error:
        raise Refused(f"{name} raised {describe(error)}, when called with {_shown(inputs, named)}.") from None
    if result is None or result is Ellipsis:
        raise NotAttempted(
            f"{name} returns {'None' if result is None else '...'}; if you have written it, is a return missing?"
        )
    if not changes_allowed and not (_equal(inputs, given) and _equal(named, given_named)):
        raise Refused(
            f"{name} changes its input in place; work on a copy (clone() or copy()), the caller still needs it."
        )
    return result


def describe(error: BaseException) -> str:
    """An exception as 'IndexError: index 7 is out of range', on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {_clip(text, 200)}" if text else type(error).__name__


@contextmanager
def _global_randomness_restored() -> Iterator[None]:
    """Leave the notebook's own random streams as they were, whatever the learner's code draws."""
    import torch

    python, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)


def _copied(value: Any) -> Any:
    if hasattr(value, "detach") and hasattr(value, "clone"):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(_copied(item) for item in value)
    if isinstance(value, list):
        return [_copied(item) for item in value]
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, (np.ndarray, set)) or hasattr(value, "iloc"):
        return copy.deepcopy(value)
    return value


def _equal(before: Any, after: Any) -> bool:
    if hasattr(before, "detach") or isinstance(before, np.ndarray):
        left, right = np.asarray(_numpy(before)), np.asarray(_numpy(after))
        if left.shape != right.shape:
            return False
        return bool(np.array_equal(left, right, equal_nan=left.dtype.kind in "fc"))
    if isinstance(before, (list, tuple)) and type(before) in (list, tuple):
        return len(before) == len(after) and all(_equal(a, b) for a, b in zip(before, after, strict=True))
    if isinstance(before, dict):
        return list(before) == list(after) and all(_equal(before[key], after[key]) for key in before)
    if isinstance(before, set):
        return before == after
    if hasattr(before, "iloc"):
        return bool(before.equals(after))
    if isinstance(before, (str, bytes, int, float, type(None))):
        return bool(before == after) or before != before  # nan is unlike itself, and was nan before
    return True  # models, tokenizers and generators were handed over as they are


def _numpy(value: Any) -> np.ndarray:
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    return value.float().numpy() if value.is_floating_point() else value.numpy()


def _shown(inputs: tuple, named: dict) -> str:
    parts = [_brief(value) for value in inputs] + [f"{key}={_brief(value)}" for key, value in named.items()]
    return _clip(", ".join(parts) or "no arguments", 240)


def _brief(value: Any) -> str:
    if hasattr(value, "shape") and getattr(value, "ndim", 0) and int(np.prod(value.shape)) > 8:
        return f"a {'tensor' if hasattr(value, 'detach') else type(value).__name__} of shape {tuple(value.shape)}"
    if hasattr(value, "parameters") or hasattr(value, "vocab_size"):
        return f"a {type(value).__name__}"
    return _clip(" ".join(repr(value).split()), 80)


def _clip(text: str, longest: int = LONGEST_MESSAGE) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
