"""Quizzes: `quiz.show("02")` shows the questions of notebooks/quiz/02.json with jupyterquiz, without a network.

The file holds a list of questions in jupyterquiz's own format:

    [{"question": "Why does the loss not fall to 0?", "type": "multiple_choice", "answers": [
        {"answer": "The model is too small.", "correct": false, "feedback": "A larger one stops at $H(p)$ too."},
        {"answer": "Text leaves words open.", "correct": true, "feedback": "Yes: that is the entropy $H(p)$."}]}]

Types: "multiple_choice" (exactly one right answer), "many_choice" (several; `"right": 2` says how many) and
"numeric" (answers with "value" or "range", and one of type "default" for everything else). Every answer
carries feedback. Texts may use `code`, **bold**, *emphasis* and $formulas$; they are escaped and set as HTML
here, because JupyterLab gives scripts no MathJax to set them with.
"""

from __future__ import annotations

import html
import json
import random
from pathlib import Path

from utils.exercises.formula import to_html

FOLDER = Path(__file__).resolve().parents[2] / "notebooks" / "quiz"
TYPES = ("multiple_choice", "many_choice", "numeric")
# jupyterquiz's default palette is white on strong colours; these keep a contrast of at least 4.5 to 1.
COLOURS = {
    "--jq-multiple-choice-bg": "#004a75", "--jq-many-choice-bg": "#6b3000", "--jq-numeric-bg": "#004a75",
    "--jq-numeric-input-bg": "#4a4a4a", "--jq-text-color": "#ffffff", "--jq-numeric-input-label": "#101010",
    "--jq-incorrect-color": "#a33b00", "--jq-correct-color": "#00694c",
}  # fmt: skip

# Seeing a MathJax without `typeset`, as JupyterLab's is, jupyterquiz would fetch another from the network.
# Formulas are set already, so it gets a `typeset` that does nothing.
PREPARE = """if (window.MathJax && !Object.hasOwn(window.MathJax, "typeset")) {
  window.MathJax.typeset = () => {};
}
"""


def show(notebook: str, folder: Path = FOLDER) -> None:
    """Display the quiz of notebook "02" (from `folder`). Raises FileNotFoundError or ValueError with one sentence.

    Where scripts do not run (a notebook not executed yet, a page on GitHub) a line of text stands in for the
    quiz.
    """
    from IPython.display import display

    questions = load(notebook, folder)
    page, script = _rendered(questions, name=f"quiz {notebook}")
    count = f"{len(questions)} question{'s' if len(questions) > 1 else ''}"
    display({"text/html": page, "text/plain": f"Quiz with {count}."}, raw=True)
    fallback = f"Quiz with {count}: run this cell in Jupyter to answer."
    display({"application/javascript": PREPARE + script, "text/plain": fallback}, raw=True)


def _rendered(questions: list[dict], name: str) -> tuple[str, str]:
    """The HTML and the script that jupyterquiz makes of the questions: the same bytes on every run."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from jupyterquiz import display_quiz

    InteractiveShell.instance()  # captures displays; in a notebook it is there already
    state = random.getstate()
    random.seed(name)  # jupyterquiz draws the name of its element from the global generator
    try:
        with capture_output(stdout=False, stderr=False) as captured:
            display_quiz([_as_html(question) for question in questions], max_width=720, colors=COLOURS)
    finally:
        random.setstate(state)
    page, script = (output.data for output in captured.outputs)
    return page["text/html"], script["application/javascript"]


def load(notebook: str, folder: Path = FOLDER) -> list[dict]:
    """The questions of a notebook, checked."""
    path = Path(folder) / f"{notebook}.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no quiz notebooks/quiz/{notebook}.json; a quiz is named by two digits, like '02'."
        )
    try:
        questions = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"notebooks/quiz/{notebook}.json is not valid JSON: {error}.") from None
    validate(questions, f"notebooks/quiz/{notebook}.json")
    return questions


def validate(questions: list[dict], where: str = "the quiz") -> None:
    """Raise ValueError, in one sentence, at the first thing that is wrong with the questions."""
    if not isinstance(questions, list) or not questions:
        raise ValueError(f"{where} should be a list of at least one question.")
    for number, question in enumerate(questions, 1):
        try:
            _validate_question(question)
        except ValueError as error:
            raise ValueError(f"{where}, question {number}: {error}") from None
    texts = [question["question"] for question in questions]
    if len(set(texts)) < len(texts):
        raise ValueError(f"{where}: two questions have the same text.")


def _validate_question(question: dict) -> None:
    if not isinstance(question, dict) or not _is_text(question.get("question")):
        raise ValueError('it needs a text under "question".')
    kind, answers = question.get("type"), question.get("answers")
    if kind not in TYPES:
        raise ValueError(f'"type" must be one of {", ".join(TYPES)}; it is {kind!r}.')
    if not isinstance(answers, list) or len(answers) < 2 or not all(isinstance(a, dict) for a in answers):
        raise ValueError('it needs at least two "answers", each an object.')
    to_html(question["question"])
    for place, answer in enumerate(answers, 1):
        if not _is_text(answer.get("feedback")):
            raise ValueError(f'answer {place} lacks "feedback"; every choice, right or wrong, is explained.')
        to_html(answer["feedback"])
        if kind == "numeric":
            _validate_numeric(answer, place)
        else:
            _validate_choice(answer, place)
    _validate_count(question, kind, answers)


def _validate_choice(answer: dict, place: int) -> None:
    if not _is_text(answer.get("answer")) and not _is_text(answer.get("code")):
        raise ValueError(f'answer {place} needs a text under "answer" (or "code").')
    if not isinstance(answer.get("correct"), bool):
        raise ValueError(f'answer {place} needs "correct": true or false.')
    to_html(answer.get("answer", ""))


def _validate_numeric(answer: dict, place: int) -> None:
    if answer.get("type") == "default":
        return
    span = answer.get("range")
    if not isinstance(answer.get("correct"), bool):
        raise ValueError(f'answer {place} needs "correct": true or false.')
    if not _is_number(answer.get("value")) and not (
        isinstance(span, list) and len(span) == 2 and all(map(_is_number, span)) and span[0] < span[1]
    ):
        raise ValueError(f'answer {place} needs a number under "value", or [low, high] under "range".')


def _validate_count(question: dict, kind: str, answers: list[dict]) -> None:
    right = sum(answer.get("correct") is True for answer in answers)
    if kind == "multiple_choice" and right != 1:
        raise ValueError(f"a multiple_choice question has exactly one right answer; this one has {right}.")
    if kind == "many_choice" and (right < 2 or question.get("right") != right):
        raise ValueError(f'a many_choice question has at least two right answers and says how many: "right": {right}.')
    if kind == "numeric" and (not right or sum(answer.get("type") == "default" for answer in answers) != 1):
        raise ValueError('a numeric question has a right answer and exactly one of "type": "default".')
    if kind != "numeric":
        texts = [(answer.get("answer"), answer.get("code")) for answer in answers]
        if len(set(texts)) < len(texts):
            raise ValueError("two answers are the same.")


def _as_html(question: dict) -> dict:
    """The question with its texts as HTML, in the form that jupyterquiz reads."""
    shown = {key: value for key, value in question.items() if key != "right"}
    shown["question"] = to_html(question["question"])
    if question["type"] == "many_choice":
        shown["question"] += f" <em>(choose {question['right']})</em>"
    shown["answers"] = [dict(answer, feedback=to_html(answer["feedback"])) for answer in question["answers"]]
    for item in [shown, *shown["answers"]]:
        if "answer" in item:
            item["answer"] = to_html(item["answer"])
        if "code" in item:
            item["code"] = html.escape(item["code"], quote=False)
    return shown


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
