"""Shipped records: complete, and one cheap point of each sweep comes out again."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tools import records
from tools.records import RECORDS, Sweep
from utils import records as shipped_records


@pytest.fixture()
def workshop(tmp_path, monkeypatch):
    """A place of its own for a toy sweep, with the points that were measured."""
    measured = []

    def measure(point):
        measured.append(point["x"])
        return {"square": point["x"] ** 2}

    sweep = Sweep("squares", [{"x": x, "seed": 0} for x in (1, 2, 3)], measure)
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(records, "ROOT", tmp_path)
    monkeypatch.setattr(records, "FOLDER", tmp_path / "data")
    monkeypatch.setattr(records, "find", lambda name: sweep)
    return measured


def test_an_interrupted_sweep_goes_on_where_it_stopped(workshop):
    assert records.make("toy", most=2) is None
    assert not (records.FOLDER / "toy.json").exists()
    written = records.make("toy")
    assert workshop == [1, 2, 3]
    record = json.loads(written.read_text(encoding="utf-8"))
    assert [row["square"] for row in record["results"]] == [1, 4, 9]
    assert record["command"] == "python -m tools.records toy" and record["seeds"] == [0]
    assert list(records.FOLDER.iterdir()) == [written]
    assert not list((records.ROOT / "build" / "records").iterdir())


def test_points_that_are_no_longer_wanted_are_left_out(workshop, monkeypatch):
    records.make("toy", most=2)
    fewer = Sweep("squares", [{"x": 2, "seed": 0}, {"x": 3, "seed": 0}], lambda point: {"square": -1})
    monkeypatch.setattr(records, "find", lambda name: fewer)
    written = records.make("toy")
    assert [row["square"] for row in json.loads(written.read_text(encoding="utf-8"))["results"]] == [4, -1]


def test_an_unknown_record_is_named():
    with pytest.raises(ValueError, match="there is no record 'nothing'"):
        records.find("nothing")


@pytest.mark.parametrize("name", RECORDS)
def test_the_record_has_the_points_of_its_sweep(name):
    sweep, record = records.find(name), records.load(name)
    assert {"command", "versions", "machine", "seeds", "seconds", "results"} <= set(record)
    for point, row in zip(sweep.points, record["results"], strict=True):
        assert point.items() <= row.items()


def test_a_cheap_point_of_the_compute_record_comes_out_again():
    """The narrowest model, fewest steps: about ten seconds. The record says how far seeds move such a point."""
    record = records.load("compute")["results"]
    cheapest = min(record, key=lambda row: row["steps"] * row["width"] ** 2)
    point = next(p for p in records.find("compute").points if p.items() <= cheapest.items())
    again = records.find("compute").measure(point)
    assert again["tokens"] == cheapest["tokens"]
    assert again["mlm_kl"] == pytest.approx(cheapest["mlm_kl"], abs=0.05)
    assert again["nsp_kl"] == pytest.approx(cheapest["nsp_kl"], abs=0.02)


@pytest.mark.parametrize("name", RECORDS)
def test_a_notebook_reads_the_same_rows(name):
    read, rows = shipped_records.load(name), records.load(name)["results"]
    assert len(read) == len(rows)
    for number, row in enumerate(rows):
        for key in row:
            assert (read[key][number] == row[key]) or (pd.isna(read[key][number]) and row[key] is None)


def test_an_unknown_or_damaged_record_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no record 'nps'.*nsp"):
        shipped_records.load("nps")
    monkeypatch.setattr(shipped_records, "FOLDER", tmp_path)
    for content in ('{"results": [', "{}", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")):
        (tmp_path / "toy.json").write_text(content, encoding="latin-1")
        with pytest.raises(ValueError, match="toy.json is damaged; fetch it again with `git checkout"):
            shipped_records.load("toy")
