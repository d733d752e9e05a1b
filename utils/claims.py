"""The ledger of what a notebook claims: each conclusion is measured, bounded, and reported as holding or not.

    SEED = claims.seed(default=0)
    ledger = claims.Ledger("02")
    ledger.add("02.gap", "The shipped model is {value:.3f} nats above the floor.", value=0.031,
               interval=(0.028, 0.034), bound="<= 0.05", varies="evaluation sample")
    ledger.table()

The last section of a notebook shows the table. `make replicate` runs the notebooks under other seeds
(COURSE_SEED) and collects the claims of every run from the file that COURSE_CLAIMS names (one JSON object
per line). The ledger records; it does not judge how a claim was measured.
"""

from __future__ import annotations

import html
import json
import math
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

VARIES = ("pretraining", "fine-tuning", "evaluation sample", "nothing")
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
COMPARISONS = {
    "<=": lambda value, limit: value <= limit,
    ">=": lambda value, limit: value >= limit,
    "<": lambda value, limit: value < limit,
    ">": lambda value, limit: value > limit,
    "==": lambda value, limit: value == limit,
}


def seed(default: int = 0) -> int:
    """The seed of this run: COURSE_SEED from the environment where it is set, else `default`."""
    text = os.environ.get("COURSE_SEED", "").strip()
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"COURSE_SEED must be a whole number, not {text!r}; unset it to use {default}.") from None


@dataclass(frozen=True)
class Claim:
    """One line of the ledger. `interval` is (low, high) or None; `holds` is computed, never given."""

    identifier: str
    sentence: str
    value: float
    interval: tuple[float, float] | None
    bound: str
    varies: str
    strict: bool
    holds: bool
    n: int | None
    record: str | None


class Ledger:
    """The claims of one notebook ("02"), in the order in which they are added."""

    def __init__(self, notebook: str):
        if not re.fullmatch(r"\d\d", notebook):
            raise ValueError(f"a ledger is named by the notebook's two digits, as in Ledger('02'), not {notebook!r}.")
        self.notebook = notebook
        self.claims: dict[str, Claim] = {}

    def add(
        self,
        identifier: str,
        sentence: str,
        value: float,
        *,
        bound: str,
        varies: str,
        interval: tuple[float, float] | None = None,
        strict: bool = False,
        n: int | None = None,
        record: str | None = None,
    ) -> Claim:
        """Enter a claim; entering an identifier again replaces it (a cell may be run twice).

        sentence: may contain {value}, {low}, {high} with a format, as in "{value:.3f}", so that its numbers
        are measured.
        bound: "<= 0.05", ">= 0.9", "< 1", "> 0", "== 6", "in [0.4, 0.6]", or "excludes 0" (about the
        interval).
        strict: False asks the value to satisfy the bound; True asks the whole interval to.
        varies: what another seed changes: "pretraining", "fine-tuning", "evaluation sample" or "nothing"
        (exact).
        n: number of seeds or items behind the value. record: name of the shipped record it rests on, if it
        is not live.
        """
        if not identifier.startswith(self.notebook + ".") or not re.fullmatch(r"\d\d\.[a-z0-9_]+", identifier):
            raise ValueError(f"a claim of this notebook is named like '{self.notebook}.gap', not {identifier!r}.")
        if varies not in VARIES:
            raise ValueError(f"claim {identifier}: varies must be one of {', '.join(VARIES)}; it is {varies!r}.")
        value = float(value)
        interval = _interval(identifier, value, interval)
        claim = Claim(
            identifier, _filled(identifier, sentence, value, interval), value, interval, bound, varies,
            strict, satisfies(value, bound, interval, strict), n, record,
        )  # fmt: skip
        self.claims[identifier] = claim
        return claim

    def table(self) -> Table:
        """The ledger as a table for the notebook; where COURSE_CLAIMS names a file, also appended to that file."""
        rows = list(self.claims.values())
        target = os.environ.get("COURSE_CLAIMS")
        if target:
            lines = [json.dumps({"notebook": self.notebook, "seed": seed(), **asdict(row)}) + "\n" for row in rows]
            with Path(target).open("a", encoding="utf-8") as file:
                file.write("".join(lines))
        return Table(rows)


def satisfies(value: float, bound: str, interval: tuple[float, float] | None = None, strict: bool = False) -> bool:
    """Does the value (with `strict` the whole interval) satisfy the bound? Raises ValueError for an unreadable bound.

    "excludes x" is always about the interval. A value that is not a number satisfies nothing.
    """
    text = bound.replace("≤", "<=").replace("≥", ">=").replace("∈", "in").strip()
    points = [value]
    if strict:
        if interval is None:
            raise ValueError(f"a strict claim needs an interval (bound {bound!r}).")
        points = [value, *interval]
    if match := re.fullmatch(rf"(<=|>=|==|<|>)\s*({NUMBER})", text):
        return all(COMPARISONS[match[1]](point, float(match[2])) for point in points)
    if match := re.fullmatch(rf"in\s*\[\s*({NUMBER})\s*,\s*({NUMBER})\s*\]", text):
        low, high = float(match[1]), float(match[2])
        if low > high:
            raise ValueError(f"the bound {bound!r} is empty: {low:g} is above {high:g}.")
        return all(low <= point <= high for point in points)
    if match := re.fullmatch(rf"excludes\s+({NUMBER})", text):
        if interval is None:
            raise ValueError(f"the bound {bound!r} is about an interval, but none was given.")
        return not math.isnan(value) and not interval[0] <= float(match[1]) <= interval[1]
    raise ValueError(f"cannot read the bound {bound!r}; write '<= 0.05', '>= 0.9', 'in [0.4, 0.6]' or 'excludes 0'.")


class Table:
    """Claims laid out for a notebook (HTML) and for a terminal (text)."""

    def __init__(self, claims: list[Claim]):
        self.claims = claims

    def __repr__(self) -> str:
        lines = [
            f"{'holds' if c.holds else 'FAILS'}  {c.identifier}: {c.sentence}  [{_measured(c)}; {c.bound}]"
            for c in self.claims
        ]
        return "\n".join(lines) or "no claims"

    def _repr_html_(self) -> str:
        head = "".join(
            f'<th style="text-align: left">{name}</th>'
            for name in ("claim", "", "measured", "bound", "holds", "another seed changes")
        )
        rows = "".join(f"<tr>{''.join(_cell(text) for text in _row(claim))}</tr>" for claim in self.claims)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(claim: Claim) -> tuple[str, ...]:
    bound = claim.bound + (" (whole interval)" if claim.strict else "")
    varies = claim.varies + (f" (shipped record {claim.record})" if claim.record else "")
    return (
        claim.identifier,
        claim.sentence,
        _measured(claim),
        bound,
        "✓ yes" if claim.holds else "✗ no",
        varies,
    )


def _cell(text: str) -> str:
    return f'<td style="text-align: left; white-space: normal">{html.escape(text)}</td>'


def _measured(claim: Claim) -> str:
    text = f"{claim.value:.3g}"
    if claim.interval:
        text += f" [{claim.interval[0]:.3g}, {claim.interval[1]:.3g}]"
    return text + (f", n = {claim.n}" if claim.n else "")


def _interval(identifier: str, value: float, interval: tuple[float, float] | None) -> tuple[float, float] | None:
    if interval is None:
        return None
    low, high = (float(end) for end in interval)
    if low > high:
        raise ValueError(f"claim {identifier}: the interval ({low:g}, {high:g}) runs backwards.")
    return low, high


def _filled(identifier: str, sentence: str, value: float, interval: tuple[float, float] | None) -> str:
    low, high = interval or (math.nan, math.nan)
    if interval is None and re.search(r"\{(low|high)", sentence):
        raise ValueError(f"claim {identifier}: the sentence names {{low}} or {{high}}, but no interval was given.")
    try:
        return sentence.format(value=value, low=low, high=high)
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"claim {identifier}: the sentence cannot be filled in ({error!r}); use {{value}}, {{low}}, {{high}}."
        ) from None
