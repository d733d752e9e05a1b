"""The ledger: bounds are read and judged correctly, numbers come from measurements, replication gets its lines."""

from __future__ import annotations

import json
import math

import pytest

from utils import claims
from utils.claims import Ledger, satisfies


@pytest.mark.parametrize(
    ("value", "bound", "holds"),
    [
        (0.05, "<= 0.05", True),
        (0.0501, "<= 0.05", False),
        (0.9, ">= 0.9", True),
        (0.89, ">=0.9", False),
        (1.0, "< 1", False),
        (-0.1, "< 0", True),
        (0.0, "> -1e-3", True),
        (6, "== 6", True),
        (6.1, "== 6", False),
        (0.4, "in [0.4, 0.6]", True),
        (0.61, "in [0.4, 0.6]", False),
        (-0.5, "in [-1, .5]", True),
        (0.04, "≤ 0.05", True),
        (0.95, "≥ 0.9", True),
        (math.nan, "<= 1", False),
        (math.nan, ">= 1", False),
        (math.nan, "in [0, 1]", False),
    ],
)
def test_bounds_on_the_value(value, bound, holds):
    assert satisfies(value, bound) is holds


@pytest.mark.parametrize(
    ("interval", "bound", "holds"),
    [
        ((0.01, 0.02), "excludes 0", True),
        ((-0.02, -0.01), "excludes 0", True),
        ((-0.01, 0.02), "excludes 0", False),
        ((0.0, 0.02), "excludes 0", False),  # touching is not excluding
        ((0.51, 0.7), "excludes 0.5", True),
    ],
)
def test_bounds_on_the_interval(interval, bound, holds):
    assert satisfies(0.015, bound, interval) is holds


def test_strict_asks_the_whole_interval():
    assert satisfies(0.04, "<= 0.05", (0.03, 0.06)) is True
    assert satisfies(0.04, "<= 0.05", (0.03, 0.06), strict=True) is False
    assert satisfies(0.04, "<= 0.05", (0.03, 0.05), strict=True) is True
    assert satisfies(0.5, "in [0.4, 0.6]", (0.39, 0.5), strict=True) is False
    with pytest.raises(ValueError, match="strict claim needs an interval"):
        satisfies(0.04, "<= 0.05", strict=True)


@pytest.mark.parametrize("bound", ["", "0.05", "<= x", "=< 0.05", "in [0.4]", "in (0, 1)", "excludes", "<= 0.05 nats"])
def test_unreadable_bound_is_an_error(bound):
    with pytest.raises(ValueError, match="cannot read the bound"):
        satisfies(0.04, bound, (0, 1))


def test_empty_bound_and_missing_interval_are_errors():
    with pytest.raises(ValueError, match="is empty"):
        satisfies(0.5, "in [0.6, 0.4]")
    with pytest.raises(ValueError, match="about an interval"):
        satisfies(0.5, "excludes 0")


def add(ledger: Ledger, **changes) -> claims.Claim:
    claim = {
        "identifier": "02.gap",
        "sentence": "The model is {value:.3f} nats [{low:.3f}, {high:.3f}] above the floor.",
        "value": 0.0312,
        "interval": (0.028, 0.034),
        "bound": "<= 0.05",
        "varies": "evaluation sample",
    }
    return ledger.add(**{**claim, **changes})


def test_the_numbers_of_the_sentence_are_the_measured_ones():
    claim = add(Ledger("02"))
    assert claim.sentence == "The model is 0.031 nats [0.028, 0.034] above the floor."
    assert claim.holds is True and add(Ledger("02"), value=0.06).holds is False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"identifier": "03.gap"}, "named like '02.gap'"),
        ({"identifier": "02.The Gap"}, "named like '02.gap'"),
        ({"varies": "luck"}, "varies must be one of"),
        ({"interval": (0.034, 0.028)}, "runs backwards"),
        ({"interval": None}, "no interval was given"),
        ({"sentence": "{gap} nats"}, "cannot be filled in"),
        ({"sentence": "{value:.3q}"}, "cannot be filled in"),
        ({"bound": "small"}, "cannot read the bound"),
    ],
)
def test_faulty_claims_are_errors(changes, message):
    ledger = Ledger("02")
    with pytest.raises(ValueError, match=message):
        add(ledger, **changes)
    assert ledger.claims == {}


def test_ledger_is_named_by_two_digits():
    with pytest.raises(ValueError, match="two digits"):
        Ledger("2")


def test_running_a_cell_again_replaces_its_claim():
    ledger = Ledger("02")
    add(ledger), add(ledger, value=0.04)
    assert [claim.value for claim in ledger.claims.values()] == [0.04]


def test_table_reads_in_text_and_html(monkeypatch):
    monkeypatch.delenv("COURSE_CLAIMS", raising=False)
    ledger = Ledger("02")
    add(ledger, n=600)
    add(ledger, identifier="02.worse", sentence="a < b & {value}", value=2, interval=None, record="sweep", strict=False)
    text, page = repr(ledger.table()), ledger.table()._repr_html_()
    assert text.splitlines()[0].startswith("holds  02.gap: The model is 0.031 nats")
    assert "[0.0312 [0.028, 0.034], n = 600; <= 0.05]" in text
    assert text.splitlines()[1].startswith("FAILS  02.worse")
    assert "✓ yes" in page and "✗ no" in page and "a &lt; b &amp; 2" in page and "shipped record sweep" in page


def test_claims_are_appended_as_json_lines(monkeypatch, tmp_path):
    target = tmp_path / "claims.jsonl"
    monkeypatch.setenv("COURSE_CLAIMS", str(target))
    monkeypatch.setenv("COURSE_SEED", "7")
    for number in ("02", "03"):
        ledger = Ledger(number)
        add(ledger, identifier=f"{number}.gap")
        ledger.table()
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["identifier"] for row in rows] == ["02.gap", "03.gap"]
    expected = {"notebook": "02", "seed": 7, "value": 0.0312, "interval": [0.028, 0.034], "bound": "<= 0.05"}
    assert expected.items() <= rows[0].items()
    assert rows[0]["holds"] is True and rows[0]["varies"] == "evaluation sample" and rows[0]["strict"] is False


def test_seed(monkeypatch):
    monkeypatch.delenv("COURSE_SEED", raising=False)
    assert claims.seed() == 0 and claims.seed(default=5) == 5
    monkeypatch.setenv("COURSE_SEED", " 12 ")
    assert claims.seed(default=5) == 12
    monkeypatch.setenv("COURSE_SEED", "twelve")
    with pytest.raises(ValueError, match="whole number, not 'twelve'"):
        claims.seed()
