"""A notebook that keeps every rule, built in memory: the framework is proved on it, and authors may copy its shape."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CHECKS = '''
"""Checks of the example notebook."""
from utils.exercises import call, exercise, expect_items, expect_number


@exercise("99.1")
def mean(answer):
    """The mean of a list of numbers."""
    for numbers in ([1.0, 2.0, 6.0], [4.0]):
        expect_number(call(answer, numbers), sum(numbers) / len(numbers), name="the mean", mistakes=[
            ("sum", sum(numbers), "that is the sum; divide it by how many numbers there are."),
            ("median", sorted(numbers)[len(numbers) // 2], "that is the median: it ignores how far out 6 lies."),
        ])
    return "equal to the reference within 1e-6 on two lists."


@exercise("99.2")
def surprise(answer):
    """The surprise of an outcome with probability one half, in nats."""
    expect_number(answer, 0.6931471805599453, tolerance=1e-3, name="the surprise", unit="nats", mistakes=[
        ("bits", 1.0, "that is in bits; take the natural logarithm."),
        ("sign", -0.6931471805599453, "surprise is minus the logarithm, so it is not negative."),
    ])
    return "log 2, within 1e-3."


@exercise("99.3")
def masked_places(answer):
    """Where the [MASK] tokens stand."""
    tokens = "mary is a [MASK] from [MASK]".split()
    expect_items(call(answer, tokens), [3, 5], name="the list of places", mistakes=[
        ("from one", [4, 6], "count from 0, as Python does."),
        ("first", [3], "there is more than one [MASK]."),
    ])
    return "both places found."
'''

STUBS = {
    "mean": "def mean(numbers: list[float]) -> float:\n    \"\"\"The mean of the numbers.\"\"\"\n    return None",
    "surprise": "surprise = None  # in nats",
    "masked_places": "def masked_places(tokens: list[str]) -> list[int]:\n    ...",
}  # fmt: skip

SOLUTIONS = {
    "mean": "def mean(numbers):\n    return sum(numbers) / len(numbers)",
    "surprise": "surprise = -np.log(0.5)",
    "masked_places": 'def masked_places(tokens):\n    return [i for i, t in enumerate(tokens) if t == "[MASK]"]',
}

WRONG = {
    "mean": [
        ("def mean(numbers):\n    return sum(numbers)", "that is the sum"),
        ("def mean(numbers):\n    return sorted(numbers)[len(numbers) // 2]", "the median"),
        ("def mean(numbers):\n    return numbers", "should be a single number"),
        ("def mean(numbers):\n    numbers.sort(reverse=True)\n    return sum(numbers) / len(numbers)", "in place"),
    ],
    "surprise": [
        ("surprise = 1.0", "in bits"),
        ("surprise = np.log(0.5)", "minus the logarithm"),
        ("surprise = 'log 2'", "should be numeric"),
    ],
    "masked_places": [
        ("def masked_places(tokens):\n    return [4, 6]", "count from 0"),
        ("def masked_places(tokens):\n    return [tokens.index('[MASK]')]", "more than one"),
        ("def masked_places(tokens):\n    return tokens.indices('[MASK]')", "AttributeError"),
    ],
}

QUIZ = [
    {
        "question": "What is the surprise of a certain outcome, $-\\log 1$?",
        "type": "multiple_choice",
        "answers": [
            {"answer": "0 nats", "correct": True, "feedback": "Yes: nothing is learned from it."},
            {"answer": "1 nat", "correct": False, "feedback": "The logarithm of 1 is 0."},
        ],
    }
]


def build(folder: Path) -> nbformat.NotebookNode:
    """The notebook, not yet executed; writes the check module and the quiz that it needs into `folder`."""
    (folder / "example_checks.py").write_text(CHECKS, encoding="utf-8")
    (folder / "99.json").write_text(json.dumps(QUIZ), encoding="utf-8")
    cells = [
        _text(
            "# 99 · An example\n\nThis notebook shows nothing but its own shape, and that is what " + "it is for, " * 9
        ),
        _text("**You will be able to**\n- see\n- read\n- write\n\n*5 minutes*", "card"),
        _code(
            "import matplotlib.pyplot as plt\nimport numpy as np\n\nimport example_checks as check\n"
            "from utils import claims, plots, stats\nfrom utils.exercises import quiz",
            "imports",
        ),
        _code("SEED = claims.seed(default=0)\nplots.use_house_style()", "seed"),
        _text("## How surprising is a coin?\n\n" + "Words that are read before anything is run. " * 150),
        _code(
            "figure, ax = plt.subplots()\nax.plot([0.25, 0.5, 1.0], [1.39, 0.69, 0.0])\n"
            "plots.truth_line(ax, 0.69, 'one coin')\nax.set(xlabel='probability', ylabel='surprise (nats)')\n"
            "plots.show(figure, caption='Surprise falls as probability grows.', "
            "alt='A line that falls from 1.39 nats to 0 nats.')"
        ),
    ]
    for place, name in enumerate(STUBS, 1):
        cells += _exercise(place, name)
    cells += [
        _text("## What this does not show\n\nAnything about English, see [above](#How-surprising-is-a-coin?)."),
        _text("## Quiz"),
        _code(f"quiz.show('99', folder={'.'!r})", "quiz"),
        _text("## Claims"),
        _code(
            "ledger = claims.Ledger('99')\nlow, high = stats.wilson(17, 20).interval\n"
            "ledger.add('99.share', 'The share is {value:.2f}.', 17 / 20, interval=(low, high), bound='>= 0.5', "
            "varies='nothing')\nledger.table()",
            "claims",
        ),
        _text("## Sources\n\n- Shannon (1948), A Mathematical Theory of Communication."),
        _text("## Next\n\nNothing: `stats.wilson` in `utils/stats.py` was the end."),
    ]
    for place, cell in enumerate(cells):
        cell["id"] = f"example-{place:02d}"
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _exercise(place: int, name: str) -> list:
    card = f"### Exercise 99.{place} · Write {name}\n*difficulty 1 of 5 · importance 2 of 5 · 5 minutes*\n\nWrite it."
    return [
        _text(card, "exercise"),
        _code(STUBS[name], "exercise", "stub"),
        _code(f"check.{name}({name})", "check"),
        _text(_fold("Expected output", "`✓`") + _fold("Hint 1", "Think.") + _fold("Hint 2", "Think more."), "fold"),
        _text(_fold("Solution", f"```python\n{SOLUTIONS[name]}\n```"), "fold", "solution"),
        _text(_fold("Discussion", "It could be longer."), "fold"),
    ]


def _fold(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>\n\n"


def _text(source: str, *tags: str) -> nbformat.NotebookNode:
    return new_markdown_cell(source.strip(), metadata={"tags": list(tags)} if tags else {})


def _code(source: str, *tags: str) -> nbformat.NotebookNode:
    return new_code_cell(source, metadata={"tags": list(tags)} if tags else {})
