"""The check framework: what counts as not attempted, what is refused and how, and what must not fool it."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest
import torch

from utils import exercises
from utils.exercises import (
    Verdict,
    call,
    exercise,
    expect_array,
    expect_detector,
    expect_distribution,
    expect_items,
    expect_number,
    expect_table,
    expect_text,
)

LOSSES = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
LABELS = torch.tensor([[7, -100, -100], [8, 9, -100]])


@exercise("2.1")
def masked_mean(answer):
    """The mean loss over the positions whose label is not -100."""
    got = call(answer, LOSSES, LABELS)
    mean = LOSSES[LABELS != -100].mean()
    expect_number(
        got,
        mean,
        name="the mean",
        unit="nats",
        mistakes=[
            ("padding", LOSSES.mean(), "your mean runs over every position."),
            ("sum", lambda value: value > 6, "that is larger than any loss: a sum?"),
        ],
    )
    return "equal to the reference."


@exercise("2.2")
def guess(answer):
    expect_number(answer, 2.0, tolerance=0.1)
    return "within 0.1."


def right(losses, labels):
    return losses[labels != -100].mean()


def untouched(losses, labels):
    """Your turn."""


def pending(losses, labels):
    raise NotImplementedError


def spoiler(losses, labels):
    losses[labels == -100] = 0
    return losses.sum() / (labels != -100).sum()


NOT_ATTEMPTED = [None, ..., "", "  ", untouched, pending, lambda losses, labels: None, lambda losses, labels: ...]
REFUSED = [
    (lambda losses, labels: losses.mean(), "every position"),
    (lambda losses, labels: losses.sum(), "a sum?"),
    (lambda losses, labels: 3.3, "is 3.3 nats; the reference gives 3.33333 nats (allowed difference 1e-06)"),
    (lambda losses, labels: losses, "should be a single number, but it has shape (2, 3)"),
    (lambda losses, labels: "3.33", "should be numeric, but it is a str"),
    (lambda losses, labels: {"mean": 1}, "should be numeric, but it is a dict"),
    (lambda losses, labels: float("nan"), "is nan"),
    (lambda losses, labels: losses[5], "raised IndexError: index 5 is out of bounds"),
    (lambda losses: 1, "raised TypeError"),
    (spoiler, "spoiler changes its input in place"),
    (3.3333, "a function is asked for, but the answer is float 3.3333"),
]


@pytest.mark.parametrize("answer", NOT_ATTEMPTED, ids=lambda answer: getattr(answer, "__name__", repr(answer)))
def test_not_attempted(answer):
    verdict = masked_mean(answer)
    assert verdict.passed is None and not verdict
    assert repr(verdict).startswith("○ Exercise 2.1: not attempted yet: ")


@pytest.mark.parametrize(("answer", "fragment"), REFUSED, ids=[fragment for _, fragment in REFUSED])
def test_refused(answer, fragment):
    verdict = masked_mean(answer)
    assert verdict.passed is False and not verdict
    assert fragment in verdict.message and repr(verdict).startswith("✗ Exercise 2.1: ")
    assert "\n" not in verdict.message and "Traceback" not in verdict.message


def test_exception_names_the_inputs():
    assert "called with tensor([[1., 2., 3.]" in masked_mean(lambda losses, labels: 1 / 0).message
    big = torch.zeros(3, 40)

    @exercise("2.3")
    def on_big(answer):
        call(answer, big, rate=0.15)
        return "fine"

    assert "called with a tensor of shape (3, 40), rate=0.15" in on_big(lambda x, rate: 1 / 0).message


@pytest.mark.parametrize(
    "kind", [float, np.float32, np.asarray, torch.tensor, lambda x: torch.tensor([[x]]).bfloat16()]
)
def test_numbers_of_every_kind_pass(kind):
    assert guess(kind(2.0)).passed is True
    assert guess(kind(3.0)).passed is False


def test_right_answer_passes_with_gradients_and_says_so():
    verdict = masked_mean(lambda losses, labels: right(losses.requires_grad_(), labels))
    assert verdict.passed is True and bool(verdict)
    assert repr(verdict) == "✓ Exercise 2.1: equal to the reference."


def test_mutation_is_detected_in_every_container():
    frame = pd.DataFrame({"a": [1, 2]})
    inputs = [torch.ones(2), np.ones(2), [1, [2, 3]], {"a": [1]}, {1, 2}, frame]
    changes = [
        lambda x: x.add_(1),
        lambda x: x.__iadd__(1),
        lambda x: x[1].append(4),
        lambda x: x["a"].append(2),
        lambda x: x.add(3),
        lambda x: x.insert(0, "b", 0),
    ]
    for value, change in zip(inputs, changes, strict=True):

        def answer(x, change=change):
            change(x)
            return 1

        with pytest.raises(exercises.Refused, match="in place"):
            call(answer, value)
        assert call(answer, value, changes_allowed=True) == 1
        assert call(lambda x: 1, value) == 1  # the inputs themselves were never touched
    assert inputs[2] == [1, [2, 3]] and inputs[3] == {"a": [1]} and list(frame) == ["a"]


def test_nan_inputs_are_not_taken_for_changes():
    assert call(lambda x, y, z: 1, torch.tensor([float("nan")]), np.array([np.nan]), [float("nan")]) == 1


def test_models_and_generators_are_passed_as_they_are():
    model, generator = torch.nn.Linear(2, 2), torch.Generator().manual_seed(0)
    assert call(lambda m, g: (m is model, g is generator), model, generator) == (True, True)


def test_check_restores_the_global_random_streams():
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    expected = torch.rand(1).item(), np.random.rand(), random.random()
    torch.manual_seed(1), np.random.seed(1), random.seed(1)

    def draws(losses, labels):
        torch.rand(3), np.random.rand(3), random.random()
        torch.manual_seed(7)
        return right(losses, labels)

    assert masked_mean(draws).passed is True
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected


def test_verdict_is_escaped_and_short():
    verdict = Verdict("2.1", False, "<script>alert(1)</script> & more")
    assert "&lt;script&gt;" in verdict._repr_html_() and "<script>" not in verdict._repr_html_()
    assert len(masked_mean(lambda losses, labels: 1 / len("x" * 0)).message) < 700
    assert len(masked_mean("x" * 5000).message) < 700

    def shouts(losses, labels):
        raise ValueError("a\nb" * 2000)

    assert len(masked_mean(shouts).message) < 700 and "\n" not in masked_mean(shouts).message


def test_fault_in_a_check_is_a_verdict_not_a_traceback():
    @exercise("2.9")
    def faulty(answer):
        return {}["missing"]

    assert faulty(1).passed is False and "KeyError" in faulty(1).message


def test_unfinished_containers_are_not_attempted():
    assert "entry 'b' is still None" in guess({"a": 1, "b": None}).message
    assert "item 1 is still ..." in guess([1, ...]).message


@pytest.mark.parametrize("name", ["2", "02.gap", "2.1.3", ""])
def test_identifiers_are_regular(name):
    with pytest.raises(ValueError, match="named like '2.1'"):
        exercise(name)


# Comparisons ----------------------------------------------------------------------------------------------------


def refusal(compare, *args, **named) -> str:
    try:
        compare(*args, **named)
    except exercises.Refused as refused:
        return str(refused)
    return ""


def test_arrays():
    truth = torch.arange(6.0).reshape(2, 3)
    assert refusal(expect_array, truth.numpy() + 1e-8, truth) == ""
    assert refusal(expect_array, truth.tolist(), truth) == ""
    assert refusal(expect_array, [truth[0], truth[1]], truth) == ""
    assert "has shape (3, 2); it should have shape (2, 3)" in refusal(expect_array, truth.T, truth)
    wrong = truth.clone()
    wrong[1, 2] = 9
    assert "in 1 of 6 values: at position (1, 2) is 9 instead of 5" in refusal(expect_array, wrong, truth)
    assert "not a number" in refusal(expect_array, truth / 0 * 0, truth)
    mistakes = [("transposed", truth.T, "transposed!")]
    assert refusal(expect_array, truth.T, truth, mistakes=mistakes) == "transposed!"
    assert "at position 0 is 2 instead of 1" in refusal(expect_array, [2.0], [1.0])
    assert "should be numeric" in refusal(expect_array, [[1], [2, 3]], truth)


def test_tolerance_is_what_is_said():
    assert refusal(expect_number, 1.09, 1.0, tolerance=0.1) == ""
    assert "allowed difference 0.1" in refusal(expect_number, 1.11, 1.0, tolerance=0.1)
    assert refusal(expect_number, 1009, 1000, relative=0.01) == ""
    assert refusal(expect_number, 1011, 1000, relative=0.01) != ""
    assert "function" in refusal(expect_number, lambda: 1, 1.0)


def test_distributions():
    truth = {"he": 0.25, "she": 0.75}
    assert refusal(expect_distribution, {"he": torch.tensor(0.25), "she": 0.75, "it": 0.0}, truth) == ""
    assert "should be a dictionary" in refusal(expect_distribution, [0.25, 0.75], truth)
    assert "sums to 0.75" in refusal(expect_distribution, {"she": 0.75}, truth)
    said = refusal(expect_distribution, {"he": 0.3, "she": 0.7}, truth)
    assert "gives 'she' probability 0.7; the reference gives 0.75" in said
    assert "cannot occur" in refusal(expect_distribution, {"he": 0.25, "she": 0.25, "it": 0.5}, truth)
    assert "keys should look like 'he', 'she'" in refusal(expect_distribution, {1: 1.0}, truth)
    flipped = [("flipped", {"he": 0.75, "she": 0.25}, "the wrong way round.")]
    assert refusal(expect_distribution, {"he": 0.75, "she": 0.25}, truth, mistakes=flipped) == "the wrong way round."


def test_texts_and_lists():
    assert refusal(expect_text, " a cat ", "a cat") == ""
    assert "'a dog'; it should be 'a cat'" in refusal(expect_text, "a dog", "a cat")
    assert refusal(expect_text, "cat a", "a cat", mistakes=[("order", "cat a", "reversed.")]) == "reversed."
    assert "should be a string" in refusal(expect_text, 3, "a cat")
    assert refusal(expect_items, torch.tensor([1, 2]), [1, 2]) == ""
    assert refusal(expect_items, {"b", "a"}, ["a", "b"], ordered=False) == ""
    assert "another order: item 0 is 'b'" in refusal(expect_items, ["b", "a"], ["a", "b"])
    assert "lacks 'b'" in refusal(expect_items, ["a"], ["a", "b"])
    assert "contains 'c'" in refusal(expect_items, ["a", "b", "c"], ["a", "b"])
    assert "has 3 items; it should have 2" in refusal(expect_items, ["a", "b", "b"], ["a", "b"])
    assert "should be a list" in refusal(expect_items, "ab", ["a", "b"])
    assert refusal(expect_items, ["b"], ["a"], mistakes=[("b", ["b"], "b is wrong.")]) == "b is wrong."


def test_tables():
    truth = pd.DataFrame({"word": ["a", "b"], "count": [1, 2]})
    assert refusal(expect_table, truth[["count", "word"]], truth) == ""
    assert "should be a pandas DataFrame" in refusal(expect_table, [], truth)
    assert "lacks the column 'count'" in refusal(expect_table, truth[["word"]], truth)
    assert "has 1 rows; it should have 2" in refusal(expect_table, truth[:1], truth)
    assert "column 'count'" in refusal(expect_table, truth.assign(count=[1, 3]), truth)
    assert "column 'word'" in refusal(expect_table, truth.assign(word=["a", "c"]), truth)
    named = [("short", lambda table: len(table) == 1, "a row is missing.")]
    assert refusal(expect_table, truth[:1], truth, mistakes=named) == "a row is missing."


def test_detectors():
    def total(values):
        return sum(values)

    def forgets_last(values):
        return sum(values[:-1])

    pair = {"correct": [("sum", total)], "faulty": [("slice", forgets_last, "it skips the last value.")]}
    assert refusal(expect_detector, lambda f: f([1, 2]) == 3, **pair) == ""
    assert refusal(expect_detector, lambda f: f([1, 0]) == 1, **pair) == "it skips the last value."
    assert "rejects a correct implementation" in refusal(expect_detector, lambda f: False, **pair)

    def asserts(f):
        assert f([1, 2]) == 3
        return True

    assert refusal(expect_detector, asserts, **pair) == ""
    with pytest.raises(exercises.NotAttempted):
        expect_detector(lambda f: None, **pair)


def test_a_named_mistake_comes_before_the_general_message():
    named = [("nan", lambda value: np.isnan(value).any(), "0 log 0 is 0."), ("list", [1.0, 2.0], "add them up.")]
    assert refusal(expect_number, float("nan"), 1.0, mistakes=named) == "0 log 0 is 0."
    assert refusal(expect_number, [1.0, 2.0], 3.0, mistakes=named) == "add them up."
    assert refusal(expect_array, [np.nan, 1.0], [1.0, 1.0], mistakes=named) == "0 log 0 is 0."


def test_a_mistake_never_beats_the_right_answer():
    assert refusal(expect_number, 1.0, 1.0, mistakes=[("same", 1.0, "no")]) == ""
