"""Comparisons that a check makes: quiet when the answer is right, `Refused` with one sentence when it is not.

Every function works in the same three layers. First the shape and type of the answer; then its value against
a reference that the caller computed independently; and when the value is wrong, the named mistakes: a list of
`(name, wrong, message)` where `wrong` is the value that a known mistake would give, or a function that
recognises it. The first mistake that fits gives the learner its message.

Python numbers, lists, numpy arrays and torch tensors are all accepted, on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Mistake = tuple[str, Any, str]
LONGEST_SHOWN = 200


class Refused(Exception):
    """The answer is wrong; the message says how."""


class NotAttempted(Exception):
    """There is no answer yet; the message says what is still missing."""


def refuse(message: str) -> None:
    """Refuse the answer with a message of your own."""
    raise Refused(message)


def expect_true(condition: Any, message: str) -> None:
    """Refuse with `message` unless the condition holds."""
    if not bool(condition):
        raise Refused(message)


def expect_number(
    got: Any,
    expected: float,
    *,
    tolerance: float = 1e-6,
    relative: float = 0.0,
    name: str = "your number",
    unit: str = "",
    mistakes: Sequence[Mistake] = (),
    context: str = "",
) -> float:
    """Compare one number; returns it as a float.

    The allowed distance is `tolerance + relative * |expected|`. `context` is added to the message of an
    unrecognised wrong value, to name the input ("for a batch of three sentences").
    """
    value = as_array(got, name)
    if value.size != 1:
        raise_known_mistake(value, mistakes, tolerance=tolerance)
        raise Refused(f"{name} should be a single number, but it has shape {value.shape}.")
    value, expected = float(value.reshape(())), float(as_array(expected, "the reference"))
    if not np.isfinite(value):
        raise_known_mistake(value, mistakes)
        raise Refused(f"{name} is {value}: look for a division by zero, a logarithm of zero or an overflow.")
    allowed = tolerance + relative * abs(expected)
    if abs(value - expected) <= allowed:
        return value
    raise_known_mistake(value, mistakes, tolerance=allowed)
    unit = f" {unit}" if unit else ""
    raise Refused(
        f"{name} is {value:.6g}{unit}; the reference gives {expected:.6g}{unit}{_with(context)} "
        f"(allowed difference {allowed:.1g})."
    )


def expect_array(
    got: Any,
    expected: Any,
    *,
    tolerance: float = 1e-6,
    relative: float = 0.0,
    name: str = "your tensor",
    mistakes: Sequence[Mistake] = (),
    context: str = "",
) -> np.ndarray:
    """Compare arrays of any shape element by element; returns the answer as a numpy array."""
    value, reference = as_array(got, name), as_array(expected, "the reference")
    if value.shape != reference.shape:
        raise_known_mistake(value, mistakes, tolerance=tolerance)
        raise Refused(f"{name} has shape {value.shape}; it should have shape {reference.shape}.")
    if np.isnan(value).sum() > np.isnan(reference).sum():
        raise_known_mistake(value, mistakes, tolerance=tolerance)
        raise Refused(f"{name} contains {int(np.isnan(value).sum())} values that are not a number (nan).")
    near = np.isclose(value, reference, rtol=relative, atol=tolerance, equal_nan=True)
    if near.all():
        return value
    raise_known_mistake(value, mistakes, tolerance=tolerance)
    where = tuple(int(i) for i in np.argwhere(~near)[0])
    at = f" at position {where[0] if len(where) == 1 else where}" if where else ""
    raise Refused(
        f"{name} differs from the reference in {int((~near).sum())} of {near.size} values{_with(context)}: "
        f"{at.strip() or 'it'} is {_short(value[where])} instead of {_short(reference[where])} "
        f"(allowed difference {tolerance:.1g})."
    )


def expect_distribution(
    got: Any,
    expected: Mapping[Any, float],
    *,
    tolerance: float = 1e-6,
    name: str = "your distribution",
    mistakes: Sequence[Mistake] = (),
    context: str = "",
) -> dict:
    """Compare a dictionary {outcome: probability} with the true one; outcomes left out count as probability 0."""
    if not isinstance(got, Mapping):
        raise Refused(f"{name} should be a dictionary from outcome to probability, but it is {_kind(got)}.")
    value = {key: float(as_array(p, f"the probability of {key!r}")) for key, p in got.items()}
    unknown = [key for key in value if key not in expected and abs(value[key]) > tolerance]
    if not any(key in expected for key in value):
        raise Refused(f"{name} has none of the expected outcomes; its keys should look like {_first(expected)}.")
    keys = list(expected)
    distance = max(
        [abs(value.get(key, 0.0) - float(expected[key])) for key in keys] + [abs(value[key]) for key in unknown]
    )
    if distance <= tolerance:
        return value
    raise_known_mistake(value, mistakes, tolerance=tolerance)
    if unknown:
        raise Refused(f"{name} gives probability to {unknown[0]!r}, which cannot occur{_with(context)}.")
    total = sum(value.values())
    if abs(total - 1) > max(tolerance, 1e-6) and abs(sum(expected.values()) - 1) < 1e-6:
        raise Refused(f"{name} sums to {total:.4g}, not to 1{_with(context)}.")
    worst = max(keys, key=lambda key: abs(value.get(key, 0.0) - float(expected[key])))
    raise Refused(
        f"{name} gives {worst!r} probability {value.get(worst, 0.0):.4g}; the reference gives "
        f"{float(expected[worst]):.4g}{_with(context)} (allowed difference {tolerance:.1g})."
    )


def expect_text(
    got: Any, expected: str, *, name: str = "your text", mistakes: Sequence[Mistake] = (), context: str = ""
) -> str:
    """Compare two strings exactly, apart from spaces at the ends."""
    if not isinstance(got, str):
        raise Refused(f"{name} should be a string, but it is {_kind(got)}.")
    if got.strip() == expected.strip():
        return got
    raise_known_mistake(got.strip(), mistakes)
    raise Refused(f"{name} is {_short(got)}; it should be {_short(expected)}{_with(context)}.")


def expect_items(
    got: Any,
    expected: Iterable,
    *,
    ordered: bool = True,
    name: str = "your list",
    mistakes: Sequence[Mistake] = (),
    context: str = "",
) -> list:
    """Compare lists (of tokens, names, ids) item by item, or as sets with `ordered=False`."""
    if isinstance(got, (str, bytes, Mapping)) or not isinstance(got, Iterable):
        raise Refused(f"{name} should be a list, but it is {_kind(got)}.")
    value, reference = [_plain(item) for item in got], [_plain(item) for item in expected]
    if value == reference or (not ordered and len(value) == len(set(value)) and set(value) == set(reference)):
        return value
    raise_known_mistake(value, mistakes)
    missing = [item for item in reference if item not in value]
    extra = [item for item in value if item not in reference]
    if missing:
        raise Refused(f"{name} lacks {_short(missing[0])}{_with(context)}.")
    if extra:
        raise Refused(f"{name} contains {_short(extra[0])}, which does not belong there{_with(context)}.")
    if len(value) != len(reference):
        raise Refused(f"{name} has {len(value)} items; it should have {len(reference)}{_with(context)}.")
    where = next(i for i, (a, b) in enumerate(zip(value, reference, strict=True)) if a != b)
    raise Refused(
        f"{name} has the right items in another order: item {where} is {_short(value[where])} "
        f"instead of {_short(reference[where])}{_with(context)}."
    )


def expect_table(
    got: Any,
    expected: Any,
    *,
    tolerance: float = 1e-6,
    name: str = "your table",
    mistakes: Sequence[Mistake] = (),
) -> None:
    """Compare pandas tables: columns (any order), number of rows, then column by column."""
    if not hasattr(got, "columns"):
        raise Refused(f"{name} should be a pandas DataFrame, but it is {_kind(got)}.")
    missing = [column for column in expected.columns if column not in got.columns]
    if missing:
        raise Refused(f"{name} lacks the column {missing[0]!r}; it has {', '.join(map(str, got.columns))}.")
    raise_if_named = lambda: raise_known_mistake(got, mistakes)  # noqa: E731 (called in two places below)
    if len(got) != len(expected):
        raise_if_named()
        raise Refused(f"{name} has {len(got)} rows; it should have {len(expected)}.")
    for column in expected.columns:
        try:
            if _is_numeric(expected[column]):
                expect_array(
                    got[column].to_numpy(),
                    expected[column].to_numpy(),
                    tolerance=tolerance,
                    name=f"column {column!r} of {name}",
                )
            else:
                expect_items(list(got[column]), list(expected[column]), name=f"column {column!r} of {name}")
        except Refused:
            raise_if_named()
            raise


def expect_detector(
    verdict: Callable[[Callable], bool],
    correct: Sequence[tuple[str, Callable]],
    faulty: Sequence[tuple[str, Callable, str]],
) -> None:
    """Check a test that the learner wrote: it must accept every correct implementation and catch every faulty one.

    `verdict(implementation)` is the learner's test; it says "fine" by returning True, "faulty" by returning
    False or raising AssertionError. `faulty` holds (name, implementation, message shown when it is not
    caught).
    """
    for name, implementation in correct:
        if not _accepts(verdict, implementation):
            raise Refused(f"your test rejects a correct implementation ({name}).")
    for _name, implementation, message in faulty:
        if _accepts(verdict, implementation):
            raise Refused(message)


def _accepts(verdict: Callable, implementation: Callable) -> bool:
    try:
        outcome = verdict(implementation)
    except AssertionError:
        return False
    if outcome is None:
        raise NotAttempted(
            "your test returned None; return True for a sound implementation and False for a faulty one."
        )
    return bool(outcome)


def raise_known_mistake(value: Any, mistakes: Sequence[Mistake], tolerance: float = 1e-6) -> None:
    """Raise the message of the first mistake that `value` fits; do nothing when it fits none."""
    for _name, wrong, message in mistakes:
        if _fits(value, wrong, tolerance):
            raise Refused(message)


def _fits(value: Any, wrong: Any, tolerance: float) -> bool:
    if callable(wrong) and not hasattr(wrong, "detach"):
        try:
            return bool(wrong(value))
        except Exception:  # a predicate that cannot read the answer does not recognise it
            return False
    if isinstance(wrong, str) or isinstance(value, str):
        return isinstance(value, str) and value.strip() == str(wrong).strip()
    if isinstance(wrong, Mapping):
        if not isinstance(value, Mapping):
            return False
        return all(abs(float(value.get(k, 0.0)) - float(wrong.get(k, 0.0))) <= tolerance for k in {*wrong, *value})
    try:
        return _near(as_array(value, ""), as_array(wrong, ""), tolerance)
    except Refused:
        return isinstance(value, list) and value == [_plain(item) for item in wrong]


def _near(value: np.ndarray, wrong: np.ndarray, tolerance: float) -> bool:
    if value.shape != wrong.shape and not (value.size == wrong.size == 1):
        return False
    return bool(np.allclose(value, wrong, rtol=1e-7, atol=tolerance, equal_nan=True))


def as_array(value: Any, name: str) -> np.ndarray:
    """Any number, list, numpy array or torch tensor as a float64 array; refuses what is not numeric."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy() if not value.is_complex() else value.detach().cpu().numpy()
    elif isinstance(value, (list, tuple)) and any(hasattr(item, "detach") for item in value):
        value = [as_array(item, name) for item in value]
    if isinstance(value, (str, bytes, Mapping, set)) or callable(value):
        raise Refused(f"{name} should be numeric, but it is {_kind(value)}.")
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise Refused(f"{name} should be numeric, but it is {_kind(value)}.") from None


def _plain(item: Any) -> Any:
    return item.item() if hasattr(item, "item") and getattr(item, "size", 1) in (1,) else item


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if callable(value) and not hasattr(value, "detach"):
        return f"a function ({getattr(value, '__name__', 'unnamed')}); call it first?"
    article = "an" if type(value).__name__[0].lower() in "aeiou" else "a"
    return f"{article} {type(value).__name__}"


def _short(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.6g}"
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def _first(mapping: Mapping, count: int = 3) -> str:
    return ", ".join(repr(key) for key in list(mapping)[:count])


def _with(context: str) -> str:
    return f" {context}" if context else ""


def _is_numeric(column: Any) -> bool:
    from pandas.api.types import is_numeric_dtype

    return is_numeric_dtype(column)
