"""Every folded solution passes, every untouched stub is 'not attempted yet', every wrong answer is told what is wrong.

An exercise is run from its notebook's imports cell, an answer, and its check cell, and from nothing else.
"""

from __future__ import annotations

import functools
import json
import sys
from types import SimpleNamespace

import pytest

from tests import example_notebook, teaching
from tests.notebook_parts import FENCE, FOLDER, Exercise, Notebook, notebook_paths, solutions
from tests.teaching import Classroom
from utils.exercises import quiz

PATHS = notebook_paths()
EXERCISES = [
    pytest.param(path, place, id=f"{exercise.identifier}-{exercise.name}")
    for path in PATHS
    for place, exercise in enumerate(Notebook.read(path).exercises())
]


@functools.cache
def opened(path) -> tuple[Classroom, list[Exercise]]:
    notebook = Notebook.read(path)
    return Classroom(notebook), notebook.exercises()


@pytest.mark.parametrize(("path", "place"), EXERCISES)
def test_untouched_stub_is_not_attempted(path, place):
    classroom, exercises = opened(path)
    assert teaching.stub_fault(classroom, exercises[place]) == ""


@pytest.mark.parametrize(("path", "place"), EXERCISES)
def test_folded_solution_passes(path, place):
    classroom, exercises = opened(path)
    assert teaching.solution_fault(classroom, exercises[place]) == ""


@pytest.mark.parametrize(("path", "place"), EXERCISES)
def test_wrong_answers_are_refused_each_with_its_own_message(path, place):
    classroom, exercises = opened(path)
    wrong = teaching.wrong_answers(path.name[:2]).get(exercises[place].name, [])
    assert teaching.wrong_answer_faults(classroom, exercises[place], wrong) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name[:2])
def test_wrong_answers_belong_to_an_exercise(path):
    names = {exercise.name for exercise in Notebook.read(path).exercises()}
    assert set(teaching.wrong_answers(path.name[:2])) == names


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name[:2])
def test_quiz_is_valid(path):
    assert len(quiz.load(path.name[:2])) >= 3


def test_no_quiz_without_a_notebook():
    numbers = {path.name[:2] for path in PATHS}
    assert {path.stem for path in (FOLDER / "quiz").glob("*.json")} <= numbers


# The machinery itself, on the example notebook ------------------------------------------------------------------


@pytest.fixture
def example(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("example_checks", None)
    notebook = Notebook.of(example_notebook.build(tmp_path), tmp_path / "99_example.ipynb")
    return Classroom(notebook), notebook.exercises()


def test_example_exercises_keep_every_promise(example):
    classroom, exercises = example
    assert [exercise.name for exercise in exercises] == list(example_notebook.STUBS)
    for exercise in exercises:
        assert teaching.stub_fault(classroom, exercise) == ""
        assert teaching.solution_fault(classroom, exercise) == ""
        assert teaching.wrong_answer_faults(classroom, exercise, example_notebook.WRONG[exercise.name]) == []


def test_faults_are_found(example):
    classroom, exercises = example
    mean = exercises[0]
    wrong = example_notebook.WRONG["mean"]
    mean.solutions = ["def mean(numbers):\n    return 0.0"]
    assert "gets ✗" in teaching.solution_fault(classroom, mean)
    mean.stub = "def mean(numbers):\n    return sum(numbers)"
    assert "gets ✗" in teaching.stub_fault(classroom, mean)
    assert "at least three" in teaching.wrong_answer_faults(classroom, mean, wrong[:2])[0]
    right = (example_notebook.SOLUTIONS["mean"], "anything")
    assert "not refused" in teaching.wrong_answer_faults(classroom, mean, [*wrong[:2], right])[0]
    assert "same message" in teaching.wrong_answer_faults(classroom, mean, [*wrong, wrong[0]])[0]
    renamed = [wrong[0], wrong[1], (wrong[2][0], "some other message")]
    assert "should be told" in teaching.wrong_answer_faults(classroom, mean, renamed)[0]


def test_answers_do_not_leak_into_each_other(example):
    classroom, exercises = example
    classroom.verdict(exercises[0], example_notebook.SOLUTIONS["mean"])
    with pytest.raises(NameError):
        classroom.verdict(exercises[0], "other = 1")


def test_example_quiz_file_is_valid(tmp_path):
    example_notebook.build(tmp_path)
    assert quiz.load("99", folder=tmp_path) == json.loads((tmp_path / "99.json").read_text())


def test_example_in_contributing_works():
    """The check, the solution and the wrong answers that CONTRIBUTING.md shows fit together."""
    import torch

    text = (FOLDER.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = [match[2] for match in FENCE.findall(text) if match[1] in ("python", "markdown")]
    check, wrong = (next(block for block in blocks if start in block) for start in ('@exercise("2.1")', "WRONG = {"))
    (solution,) = [code for block in blocks for code in solutions(block)]

    def batch(seed):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(5, 9, (2, 6), generator=generator)
        labels[:, ::2] = -100
        return torch.rand(2, 6, generator=generator), labels

    names = {"_batch": batch, "_mean_by_hand": lambda losses, labels: losses[labels != -100].sum() / 6}
    exec(check, names)
    card = Exercise("2.1", "", "", stub=stub_of(blocks), check="check.masked_mean(masked_mean)", solutions=[solution])
    classroom = Classroom.__new__(Classroom)
    classroom.names = {"check": SimpleNamespace(masked_mean=names["masked_mean"])}
    exec(wrong, names)
    assert teaching.stub_fault(classroom, card) == ""
    assert teaching.solution_fault(classroom, card) == ""
    assert teaching.wrong_answer_faults(classroom, card, names["WRONG"]["masked_mean"]) == []


def stub_of(blocks: list[str]) -> str:
    return next(block for block in blocks if block.startswith("def masked_mean") and "return None" in block)
