"""Quizzes and their formulas: faults are named in one sentence; what is shown never changes and stays offline."""

from __future__ import annotations

import random
import re

import pytest

from utils.exercises import formula, quiz


def question(**changes) -> dict:
    answers = [
        {"answer": "yes", "correct": True, "feedback": "right."},
        {"answer": "no", "correct": False, "feedback": "wrong."},
    ]
    return {"question": "Is $p \\le 1$?", "type": "multiple_choice", "answers": answers, **changes}


def numeric(*answers) -> dict:
    return {"question": "How many?", "type": "numeric", "answers": list(answers)}


VALUE = {"type": "value", "value": 6, "correct": True, "feedback": "six."}
DEFAULT = {"type": "default", "feedback": "count again."}
YES, NO = question()["answers"]
FAULTY = [
    ([], "at least one question"),
    ([question(question="")], 'a text under "question"'),
    ([question(type="essay")], "is 'essay'"),
    ([question(answers=[YES])], "at least two"),
    ([question(answers=[YES, {**NO, "feedback": " "}])], 'answer 2 lacks "feedback"'),
    ([question(answers=[YES, {**NO, "correct": "no"}])], 'answer 2 needs "correct"'),
    ([question(answers=[YES, {**NO, "answer": ""}])], 'answer 2 needs a text under "answer"'),
    ([question(answers=[YES, {**NO, "correct": True}])], "exactly one right answer; this one has 2"),
    ([question(type="many_choice")], "at least two right"),
    ([question(answers=[YES, YES | {"correct": False}])], "two answers are the same"),
    ([question(), question()], "the same text"),
    ([question(question=r"$\unheard$ of")], r"\unheard is not known"),
    ([question(question="$x^{2$")], "never closed"),
    ([numeric(VALUE, NO)], 'answer 2 needs a number under "value"'),
    ([numeric(VALUE, VALUE)], 'exactly one of "type": "default"'),
    ([numeric({**VALUE, "correct": False}, DEFAULT)], "has a right answer"),
    ([numeric({**VALUE, "value": None, "range": [2, 1]}, DEFAULT)], "[low, high]"),
]


@pytest.mark.parametrize(("questions", "fragment"), FAULTY, ids=[fragment for _, fragment in FAULTY])
def test_faulty_quiz_is_named_in_one_sentence(questions, fragment):
    with pytest.raises(ValueError, match="quiz") as caught:
        quiz.validate(questions)
    assert fragment in str(caught.value) and "\n" not in str(caught.value)


def test_sound_quizzes_are_accepted():
    both = question(type="many_choice", right=2, answers=[YES, {**NO, "correct": True}])
    quiz.validate([question(), {**both, "question": "Both?"}, numeric(VALUE, DEFAULT)])


def test_quiz_files_that_are_missing_or_broken(tmp_path):
    with pytest.raises(FileNotFoundError, match="77.json"):
        quiz.show("77", folder=tmp_path)
    (tmp_path / "77.json").write_text("[{")
    with pytest.raises(ValueError, match="not valid JSON"):
        quiz.show("77", folder=tmp_path)


def test_quiz_is_the_same_every_time_and_asks_nothing_of_the_network():
    questions = [question(), numeric(VALUE, DEFAULT)]
    random.seed(3)
    before = random.getstate()
    first = quiz._rendered(questions, "quiz 02")
    assert first == quiz._rendered(questions, "quiz 02") != quiz._rendered(questions, "quiz 03")
    assert random.getstate() == before
    page, script = first
    assert "http" not in page and '"question": "Is <span' in script and "\\le" not in script
    # The one address in jupyterquiz's script is reached only where MathJax lacks `typeset`; PREPARE supplies it.
    guarded = script.split("https://cdn.jsdelivr.net/npm/mathjax")
    assert len(guarded) == 3 and all("MathJax.hasOwnProperty('typeset')" in part for part in guarded[:2])
    assert set(re.findall(r"https?://[\w.]+", script)) == {"https://cdn.jsdelivr.net"}
    assert "window.MathJax.typeset = " in quiz.PREPARE


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b & `c[0] < $d`", "a &lt; b &amp; <code>c&#91;0] &lt; &#36;d</code>"),
        ("**bold** and *thin*, 3 * 4 * 5", "<b>bold</b> and <em>thin</em>, 3 * 4 * 5"),
        (r"it costs \$5", "it costs &#36;5"),
    ],
)
def test_quiz_text(source, expected):
    assert formula.to_html(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("H(p)", "<i>H</i>(<i>p</i>)"),
        (r"p \ge 0.5", "<i>p</i> ≥ 0.5"),
        (
            r"\frac{1}{N}\sum_{i=1}^N x_i",
            "1/<i>N</i>∑<sub><i>i</i>=1</sub><sup><i>N</i></sup> <i>x</i><sub><i>i</i></sub>",
        ),
        (r"\frac{a+b}{2}", "(<i>a</i>+<i>b</i>)/2"),
        (r"-\log \hat{p}", "−log <i>p</i>\u0302"),
        (r"\mathrm{KL}(p \,\|\, q)", "KL(<i>p</i> ‖ <i>q</i>)"),
        ("a<b", "<i>a</i>&lt;<i>b</i>"),
    ],
)
def test_formula(source, expected):
    assert formula.formula_to_html(source) == expected


@pytest.mark.parametrize("source", [r"\nope", "x_", "{x", "x}", r"\frac{1}"])
def test_formula_that_cannot_be_set_is_an_error(source):
    with pytest.raises(ValueError):
        formula.formula_to_html(source)
