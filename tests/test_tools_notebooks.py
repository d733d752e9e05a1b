"""Finding, executing, cleaning and writing notebooks, as every command of the Makefile does it."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import notebooks, run, validate


def write_course(folder, *sources, name="02_toy.ipynb"):
    """A notebook with one code cell per source, in `folder`; returns its path."""
    cells = [new_markdown_cell("# Toy", id="title")]
    cells += [new_code_cell(source, id=f"cell-{index}") for index, source in enumerate(sources)]
    path = folder / name
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.mark.parametrize("which", ["02", "2", "02_toy.ipynb", "notebooks/02_toy.ipynb"])
def test_a_notebook_is_found_by_number_name_or_path(tmp_path, which):
    path = write_course(tmp_path)
    write_course(tmp_path, name="03_other.ipynb")
    assert notebooks.find(which, tmp_path) == [path]


def test_all_notebooks_are_found_in_order_without_the_copies_kept_by_reset(tmp_path):
    for name in ("03_b.ipynb", "00_a.ipynb", "00_a.mine-2026-01-31-1405.ipynb", "notes.ipynb"):
        write_course(tmp_path, name=name)
    assert [path.name for path in notebooks.find("", tmp_path)] == ["00_a.ipynb", "03_b.ipynb"]


def test_an_unknown_notebook_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="There are no notebooks"):
        notebooks.find("", tmp_path)
    write_course(tmp_path)
    with pytest.raises(ValueError, match="no notebook '07'; there are: 02"):
        notebooks.find("07", tmp_path)


def test_execution_measures_runs_in_the_notebooks_folder_and_reports_what_it_did(tmp_path):
    path = write_course(
        tmp_path,
        "import os, sys\nheap = bytearray(300_000_000)\nheap[::4096] = bytes([1]) * len(heap[::4096])\ndel heap",
        "print(os.environ['COURSE_SEED'], os.getcwd())",
        "1 + 1",
    )
    seen = []
    notebook = notebooks.read(path)
    result = notebooks.execute(notebook, path, {"COURSE_SEED": "7"}, on_cell=seen.append)
    assert result.error == "" and seen == [0, 1, 2, 3]
    assert notebook.cells[2].outputs[0].text == f"7 {tmp_path}\n"
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2, 3]
    assert 0.3e9 < result.peak_bytes < 0.6e9, "a peak of 300 MB that is over within milliseconds"
    assert result.seconds > 0.1, "the start of the kernel is counted"


def test_a_failing_cell_ends_the_run_with_its_text(tmp_path):
    path = write_course(tmp_path, "1 / 0", "print('not reached')")
    notebook = notebooks.read(path)
    result = notebooks.execute(notebook, path)
    assert "ZeroDivisionError" in result.error
    assert notebook.cells[2].outputs == []


def test_a_kernel_that_dies_ends_the_run(tmp_path):
    path = write_course(tmp_path, "import os\nos._exit(1)")
    assert "died" in notebooks.execute(notebooks.read(path), path).error.lower()


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain\n", "plain\n"),
        ("10%\r 20%\r100%\n", "100%\n"),
        ("working\r       \r", "       "),
        ("longer text\rshort", "shortr text"),
    ],
)
def test_visible_text_is_what_a_terminal_shows(text, shown):
    assert notebooks.visible(text) == shown


def test_cleaning_keeps_outputs_and_drops_what_differs_from_run_to_run():
    bar = new_output("stream", name="stderr", text="  0%|  |\r 50%|# |\r         \r")
    kept = new_output("stream", name="stdout", text="loss 0.54\n")
    cell = new_code_cell("x", id="keep-me", outputs=[bar, kept])
    cell.metadata = nbformat.from_dict({"tags": ["check"], "execution": {"iopub.busy": "now"}, "scrolled": True})
    notebook = new_notebook(
        cells=[cell], metadata={"widgets": {"state": {}}, "language_info": {"name": "python", "version": "3.11.7"}}
    )
    notebooks.clean(notebook)
    assert notebook.cells[0].id == "keep-me"
    assert dict(notebook.cells[0].metadata) == {"tags": ["check"]}
    assert notebook.cells[0].outputs == [kept]
    assert notebook.metadata == {"kernelspec": notebooks.KERNELSPEC, "language_info": {"name": "python"}}


@pytest.mark.parametrize(
    "output, complaint",
    [
        (new_output("stream", name="stderr", text="UserWarning: no"), "stderr: 'UserWarning: no'"),
        (new_output("error", ename="KeyError", evalue="", traceback=[]), "raised KeyError"),
        (new_output("display_data", {notebooks.WIDGET: {"model_id": "1"}}), "widget"),
    ],
)
def test_blemishes_are_named(output, complaint):
    (found,) = notebooks.blemishes(new_notebook(cells=[new_code_cell("x", outputs=[output])]))
    assert complaint in found


def test_an_expected_exception_is_no_blemish():
    output = new_output("error", ename="NameError", evalue="optimizer", traceback=[])
    cell = new_code_cell("x", outputs=[output], metadata={"tags": ["raises-exception"]})
    assert notebooks.blemishes(new_notebook(cells=[cell])) == []


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    path = write_course(tmp_path, "1")
    before = path.read_bytes()

    def full_disk(notebook, target):
        target.write_text("{half a note")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nbformat, "write", full_disk)
    with pytest.raises(OSError):
        notebooks.write(new_notebook(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------------------------------- make run


def test_run_in_place_refreshes_a_clean_notebook_and_repeats_to_the_byte(tmp_path):
    path = write_course(tmp_path, "print('one')", "2")
    assert run.run_one(path, inplace=True).error == ""
    first = path.read_bytes()
    assert b'"execution_count": 2' in first and b"one" in first
    assert run.run_one(path, inplace=True).error == ""
    assert path.read_bytes() == first


@pytest.mark.parametrize("source", ["import sys\nprint('careful', file=sys.stderr)", "1 / 0"])
def test_run_in_place_leaves_a_notebook_with_blemishes_alone(tmp_path, source):
    path = write_course(tmp_path, source)
    before = path.read_bytes()
    assert run.run_one(path, inplace=True).error
    assert path.read_bytes() == before


def test_table_shows_seconds_memory_and_failures(tmp_path):
    runs = [
        notebooks.Run(tmp_path / "00_a.ipynb", 12.34, 500_000_000),
        notebooks.Run(tmp_path / "01_longer.ipynb", 3.0, 700_000_000, error="cell 2 raised"),
    ]
    lines = run.table(runs).splitlines()
    assert lines[1].split() == ["00_a", "12.3", "500", "MB"]
    assert lines[2].split() == ["01_longer", "3.0", "700", "MB", "FAILED"]
    assert lines[3].split()[:3] == ["together", "15.3", "700"]


# ------------------------------------------------------------------------------------------- make test


def test_validation_fails_on_errors_and_on_tagged_outputs_only(tmp_path, monkeypatch, capfd):
    path = write_course(tmp_path, "print(2)", "print(2)", "print(2)", "1 / 0")
    notebook = notebooks.read(path)
    for cell, committed in zip(notebook.cells[1:], ("1\n", "2\n", "1\n", ""), strict=True):
        cell.execution_count = 1
        cell.outputs = [new_output("stream", name="stdout", text=committed)] if committed else []
    for cell in notebook.cells[2:4]:
        cell.metadata["tags"] = ["nbval-check-output"]
    notebooks.write(notebook, path)
    monkeypatch.setattr(validate, "find", lambda *which: [path])
    monkeypatch.setattr(validate, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["validate"])
    assert validate.main() == 1
    failed = re.findall(r"FAILED 02_toy.ipynb::Cell (\d)", capfd.readouterr().out)
    assert failed == ["2", "3"], "an output that is not tagged may differ; a tagged one may not"


def test_validation_of_a_sound_notebook_passes(tmp_path, monkeypatch):
    path = write_course(tmp_path, "1 + 1")
    monkeypatch.setattr(validate, "find", lambda *which: [path])
    monkeypatch.setattr(validate, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["validate"])
    assert validate.main() == 0
