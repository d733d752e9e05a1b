"""A learner opens a notebook in JupyterLab, runs it, answers an exercise and a quiz question, in a real browser."""

import re

import pytest

from tests.browser.conftest import SCREENSHOTS
from tests.browser.lab import Notebook, problems, said, tagged, text_of
from tools.notebooks import CELL_SECONDS

# JupyterLab's own complaints, seen in an empty notebook too: they say nothing about the course.
HARMLESS = re.compile(r"ResizeObserver loop")


def test_learner_path(page, server, notebook):
    lab = Notebook(page, server.address, f"notebooks/{notebook.name}", SCREENSHOTS / notebook.stem)
    lab.picture("1-opened")
    lab.run_all(seconds=CELL_SECONDS)
    lab.picture("2-all-cells-run")
    assert problems(lab.cells()) == []
    assert page.get_by_role("dialog").count() == 0, "a dialog stands in the learner's way"

    answer_an_exercise(lab)
    answer_a_quiz_question(lab)

    assert problems(lab.cells()) == []
    assert [error for error in page.noise.errors if not HARMLESS.search(error)] == []
    assert page.noise.elsewhere == [], "the page asked for something that is not on this machine"


def answer_an_exercise(lab: Notebook) -> None:
    """Type the folded solution of the first exercise over its stub; the check says ○ before and ✓ after."""
    cells = lab.cells()
    stub, check, folded = (tagged(cells, tag)[0] for tag in ("stub", "check", "solution"))
    assert "○" in said(cells[check]), "the untouched stub is answered with: not attempted yet"
    solution = re.search(r"```python\n(.*?)```", text_of(cells[folded]["source"]), re.DOTALL).group(1)
    lab.replace_source(stub, solution.rstrip("\n"))
    assert text_of(lab.cells()[stub]["source"]) == solution.rstrip("\n"), "what was typed is what is in the cell"
    lab.run_cell(stub)
    lab.run_cell(check)
    lab.wait(lambda: "✓" in said(lab.cells()[check]), 10, "the check's ✓")
    lab.scroll_to(check).get_by_text("✓").wait_for(state="visible")
    lab.picture("3-exercise-answered")


def answer_a_quiz_question(lab: Notebook) -> None:
    """Click the first choice of the first question, and see its feedback."""
    quiz = tagged(lab.cells(), "quiz")
    if not quiz:
        pytest.fail("the notebook has no cell tagged quiz")
    cell = lab.scroll_to(quiz[0])
    question = cell.locator(".Quiz").first
    question.scroll_into_view_if_needed()
    lab.picture("4-quiz")
    feedback = question.locator(".Feedback")
    assert feedback.inner_text().strip() == ""
    question.locator(".MCButton, .MultipleChoice, label").first.click()
    lab.wait(lambda: feedback.inner_text().strip() != "", 10, "the quiz's feedback")
    lab.page.wait_for_timeout(1000)  # the button changes its colour in 0.8 s
    lab.picture("5-quiz-answered")
