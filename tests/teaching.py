"""Runs the exercises of a notebook as a learner would: imports, then an answer in place of the stub, then the check."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

from tests.notebook_parts import Exercise, Notebook
from utils.exercises import Verdict

LONGEST_CHECK = 20.0  # seconds of one core; a learner waits for it


class Classroom:
    """Answers exercises of one notebook. The imports run once; every answer gets a fresh copy of their namespace."""

    def __init__(self, notebook: Notebook):
        self.names: dict = {"__name__": "__main__"}
        exec(compile(notebook.imports, f"{notebook.path.name}: imports", "exec"), self.names)

    def verdict(self, exercise: Exercise, answer: str) -> Verdict:
        """Run `answer`, then the check cell; returns what it shows. Errors in the answer's own lines propagate."""
        names = dict(self.names)
        exec(compile(answer, f"exercise {exercise.identifier}", "exec"), names)
        start = time.process_time()
        verdict = eval(compile(exercise.check.strip(), "check", "eval"), names)
        seconds = time.process_time() - start
        assert isinstance(verdict, Verdict), f"check.{exercise.name} returned {type(verdict).__name__}, not a Verdict"
        assert verdict.exercise == exercise.identifier, f"check.{exercise.name} says it is exercise {verdict.exercise}"
        assert seconds < LONGEST_CHECK, f"check.{exercise.name} takes {seconds:.0f} s"
        return verdict


def stub_fault(classroom: Classroom, exercise: Exercise) -> str:
    """Why the untouched stub does not get 'not attempted yet', or ''."""
    verdict = classroom.verdict(exercise, exercise.stub)
    if verdict.passed is None and verdict.message.startswith("not attempted yet"):
        return ""
    return f"the untouched stub gets {verdict!r}"


def solution_fault(classroom: Classroom, exercise: Exercise) -> str:
    """Why the folded solution does not pass, or ''."""
    verdict = classroom.verdict(exercise, exercise.solutions[0])
    return "" if verdict.passed is True else f"the folded solution gets {verdict!r}"


def wrong_answer_faults(classroom: Classroom, exercise: Exercise, wrong: list[tuple[str, str]]) -> list[str]:
    """What is not as it should be with the wrong answers: each refused, each with a message of its own."""
    faults, seen = [], {}
    if len(wrong) < 3:
        faults.append(f"there are {len(wrong)} wrong answers; at least three are needed")
    for number, (code, fragment) in enumerate(wrong, 1):
        verdict = classroom.verdict(exercise, code)
        if verdict.passed is not False:
            faults.append(f"wrong answer {number} is not refused: {verdict!r}")
        if not fragment.strip() or fragment not in verdict.message:
            faults.append(f"wrong answer {number} should be told {fragment!r}, but gets {verdict.message!r}")
        if verdict.message in seen:
            faults.append(f"wrong answers {seen[verdict.message]} and {number} get the same message")
        seen[verdict.message] = number
    return faults


def wrong_answers(number: str) -> dict[str, list[tuple[str, str]]]:
    """WRONG of tests/wrong_answers/notebook_NN.py; empty where there is no such file."""
    path = Path(__file__).parent / "wrong_answers" / f"notebook_{number}.py"
    if not path.is_file():
        return {}
    spec = importlib.util.spec_from_file_location(f"wrong_answers_{number}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WRONG
