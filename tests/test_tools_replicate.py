"""`make replicate` counts how often claims hold, continues after an interruption, and notices changed code."""

import json
import math

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools import replicate
from tools.notebooks import Run

LEDGER = """
from utils import claims
seed = claims.seed()
ledger = claims.Ledger("02")
ledger.add("02.half", "The seed is below 3.", value=seed, bound="< 3", varies="evaluation sample")
ledger.table()
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    """One notebook whose only claim is about its seed, with the record and the runs in a folder of their own."""
    path = tmp_path / "notebooks" / "02_toy.ipynb"
    path.parent.mkdir()
    nbformat.write(new_notebook(cells=[new_code_cell(LEDGER, id="ledger")]), path)
    monkeypatch.setattr(replicate, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(replicate, "RECORD", tmp_path / "replication.json")
    monkeypatch.setattr(replicate, "ROOT", tmp_path)
    monkeypatch.setattr(replicate, "find", lambda which: [path])
    monkeypatch.setattr(replicate, "write_record", lambda results: write_record(results, replicate.RECORD))
    return path


write_record = replicate.write_record


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["replicate", "02", *arguments])
    return replicate.main()


class FakeExecute:
    """Stands in for a kernel: appends one claim about the seed to the file that COURSE_CLAIMS names."""

    def __init__(self, fail_at=None, interrupt_at=None):
        self.seeds, self.fail_at, self.interrupt_at = [], fail_at, interrupt_at

    def __call__(self, notebook, path, environment):
        seed = int(environment["COURSE_SEED"])
        self.seeds.append(seed)
        if seed == self.fail_at:
            return Run(path, 1.0, 0, error="cell 3 raised ValueError")
        claim = {"notebook": "02", "seed": seed, "identifier": "02.half", "value": float(seed), "bound": "< 3"}
        claim |= {"holds": seed < 3, "varies": "evaluation sample"}
        with open(environment["COURSE_CLAIMS"], "a") as file:
            file.write(json.dumps(claim) + "\n")
        if seed == self.interrupt_at:
            raise KeyboardInterrupt
        return Run(path, 1.0, 0)


def test_a_real_notebook_is_replicated(course, monkeypatch, capsys):
    assert run(monkeypatch, "--seeds", "2", "--first", "2") == 0
    record = json.loads(replicate.RECORD.read_text())["notebooks"]["02"]
    (claim,) = record["claims"]
    assert (claim["id"], claim["held"], claim["n"], claim["mean"]) == ("02.half", 1, 2, 2.5)
    assert claim["sd"] == pytest.approx(math.sqrt(0.5)) and claim["failed_seeds"] == [3]
    assert claim["margin"] == pytest.approx(0.5 / math.sqrt(0.5))
    assert record["seeds"] == [2, 3]
    assert "1/2" in capsys.readouterr().out


def test_an_interrupted_replication_goes_on_where_it_stopped(course, monkeypatch):
    first = FakeExecute(interrupt_at=3)
    monkeypatch.setattr(replicate, "execute", first)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, "--seeds", "4")
    second = FakeExecute()
    monkeypatch.setattr(replicate, "execute", second)
    assert run(monkeypatch, "--seeds", "4") == 0
    assert (first.seeds, second.seeds) == ([1, 2, 3], [3, 4])
    (claim,) = json.loads(replicate.RECORD.read_text())["notebooks"]["02"]["claims"]
    assert claim["values"] == [1.0, 2.0, 3.0, 4.0], "the half-written claim of the interrupted run is gone"


def test_changed_code_throws_old_runs_away(course, monkeypatch, capsys):
    monkeypatch.setattr(replicate, "execute", FakeExecute())
    run(monkeypatch, "--seeds", "3")
    notebook = nbformat.read(course, as_version=4)
    notebook.cells[0].source += "\n# changed"
    nbformat.write(notebook, course)
    again = FakeExecute()
    monkeypatch.setattr(replicate, "execute", again)
    run(monkeypatch, "--seeds", "3")
    assert again.seeds == [1, 2, 3]
    assert "starting again" in capsys.readouterr().out


def test_fingerprint_covers_code_module_and_data_but_not_prose_outputs_or_its_own_record(course):
    root = course.parent.parent
    before = replicate.fingerprint(course, root)
    notebook = nbformat.read(course, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell("prose", id="prose"))
    notebook.cells[0].outputs = [nbformat.v4.new_output("stream", text="output")]
    nbformat.write(notebook, course)
    assert replicate.fingerprint(course, root) == before
    for name in ("utils/objectives.py", "data/checkpoints/world-small/model.safetensors"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text("x")
        after = replicate.fingerprint(course, root)
        assert after != before
        before = after
    (root / "data" / "replication.json").write_text("{}")
    assert replicate.fingerprint(course, root) == before


def test_a_failing_seed_is_reported_and_the_others_still_count(course, monkeypatch, capsys):
    monkeypatch.setattr(replicate, "execute", FakeExecute(fail_at=2))
    assert run(monkeypatch, "--seeds", "3") == 1
    assert "seed 2 failed: cell 3 raised ValueError" in capsys.readouterr().err
    (claim,) = json.loads(replicate.RECORD.read_text())["notebooks"]["02"]["claims"]
    assert claim["n"] == 2, "the count says how many seeds there are"


def test_one_notebook_leaves_the_record_of_the_others(tmp_path):
    record = tmp_path / "records" / "replication.json"
    write_record({"03": {"claims": []}}, record)
    write_record({"02": {"claims": [1]}}, record)
    write_record({"03": {"claims": [2]}}, record)
    assert json.loads(record.read_text()) == {"notebooks": {"02": {"claims": [1]}, "03": {"claims": [2]}}}


@pytest.mark.parametrize(
    "bound, expected",
    [("<= 0.5", 2.0), ("< 0.2", -1.0), (">= 0.1", 2.0), ("> -0.1", 4.0), ("in [0.1, 0.6]", 2.0), ("excludes 0", None)],
)
def test_margin_counts_standard_deviations_to_the_nearest_limit(bound, expected):
    assert replicate.margin(0.3, 0.1, bound) == (None if expected is None else pytest.approx(expected))


def test_margin_of_a_claim_that_does_not_vary_is_unknown():
    assert replicate.margin(0.3, 0.0, "<= 0.5") is None
