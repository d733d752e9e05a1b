"""Checks of notebook 00: one step of training, what to know beforehand, how many sentences an interval needs."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers.modeling_outputs import SequenceClassifierOutput

from utils.exercises import call, exercise, expect_number, expect_true, refuse
from utils.exercises.expect import Mistake, as_array, raise_known_mistake

RATE = 0.1  # of the check's optimizer
BATCHES = (  # one weight w, loss = mean of (w x - y)^2
    ((1.0, 2.0), (3.0, 5.0)),
    ((2.0, 1.0), (0.5, 2.0)),
)


@exercise("0.1")
def training_step(answer):
    """One step of training, in the right order, on a model of a single weight that can be followed by hand."""
    diary: list[str] = []
    model, optimizer = _Line(diary), None
    optimizer = _WatchedSGD(model.parameters(), diary)
    wanted, weight = [], 1.0
    for x, y in BATCHES:
        wanted.append(_loss(weight, x, y))
        weight -= RATE * _slope(weight, x, y)
    returned = []
    for x, y in BATCHES:
        diary.append("call")
        batch = {"input_ids": torch.tensor(x), "labels": torch.tensor(y)}
        returned.append(call(answer, model, batch, optimizer))
    final = model.weight.item()
    if abs(final - weight) > 1e-5:
        expect_true("step" in diary or final == 1.0,
                    "another optimizer moved the weight; step the one that is passed in.")
        _explain_order(diary)
        refuse(f"after two steps the weight is {final:.5g}; worked out by hand it is {weight:.5g}.")
    expect_true(all(model.modes), (
        "the loss was computed in evaluation mode, in which from_pretrained leaves a model: dropout is off. "
        "Call model.train() first."
    ))  # fmt: skip
    for value, loss in zip(returned, wanted, strict=True):
        if isinstance(value, torch.Tensor) and value.requires_grad:
            refuse("the loss that you return still holds the whole graph of its computation: return loss.item().")
        expect_number(value, loss, tolerance=1e-5, name="the loss that you return", mistakes=[
            ("after", lambda got, loss=loss: got < loss, "that is the loss after the step; return the one before it."),
        ])  # fmt: skip
    return "two steps agree with the same steps worked out by hand, gradients cleared, in training mode."


def _loss(weight: float, x: tuple, y: tuple) -> float:
    return sum((weight * a - b) ** 2 for a, b in zip(x, y, strict=True)) / len(x)


def _slope(weight: float, x: tuple, y: tuple) -> float:
    return sum(2 * (weight * a - b) * a for a, b in zip(x, y, strict=True)) / len(x)


def _explain_order(diary: list[str]) -> None:
    """Refuse with the message of the first thing that is missing or out of order."""
    first = diary[1 : diary.index("call", 1)]
    for event, message in (
        ("backward", "no gradient was ever computed: loss.backward() is missing."),
        ("step", "the weight has not moved: optimizer.step() is missing."),
        ("zero_grad", "the second step used the first one's gradient too, because gradients add up: "
                      "clear them with optimizer.zero_grad() in every step."),
    ):  # fmt: skip
        expect_true(event in first, message)
    back, step = first.index("backward"), first.index("step")
    expect_true(back < step, (
        "optimizer.step() comes before loss.backward(): it moves the weight by the gradient of the batch before, "
        "and the first time by nothing."
    ))  # fmt: skip
    expect_true("zero_grad" not in first[back:step], (
        "the gradient is cleared after loss.backward() and before optimizer.step(), so the step has nothing to use."
    ))  # fmt: skip
    expect_true(first.count("backward") == 1, "loss.backward() is called more than once in a step.")
    expect_true(first.count("step") == 1, "optimizer.step() is called more than once in a step.")


class _Line(torch.nn.Module):
    """A model of one weight that notes in what order, and in which mode, it is used."""

    def __init__(self, diary: list[str]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1.0))
        self.weight.register_hook(lambda gradient: diary.append("backward"))
        self.diary, self.modes = diary, []
        self.eval()

    @property
    def device(self) -> torch.device:
        return self.weight.device

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> SequenceClassifierOutput:
        self.modes.append(self.training)
        logits = self.weight * input_ids
        return SequenceClassifierOutput(loss=((logits - labels) ** 2).mean(), logits=logits)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.diary.append("zero_grad")
        super().zero_grad(set_to_none)


class _WatchedSGD(torch.optim.SGD):
    """Gradient descent that notes the calls of its two methods."""

    def __init__(self, parameters: Any, diary: list[str]) -> None:
        super().__init__(parameters, lr=RATE)
        self.diary = diary

    def step(self, closure: Any = None) -> None:
        self.diary.append("step")
        super().step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.diary.append("zero_grad")
        super().zero_grad(set_to_none)


@exercise("0.2")
def sentences_needed(answer):
    """How many held-out sentences bring the interval around 80 % down to a width of 10 points."""
    expect_number(answer, 245, tolerance=6, name="the number of sentences", mistakes=[
        ("wide", lambda n: 55 <= n <= 70, "that many give an interval about 0.20 wide, twice what is asked."),
        ("narrow", lambda n: 900 <= n <= 1050, "that many give an interval 0.05 wide, half of what is allowed."),
        ("half", lambda n: 370 <= n <= 400, "that is the number for a share of one half, the widest case."),
        ("a little wide", lambda n: 70 < n < 239, "the interval is still wider than 0.10; try more."),
        ("linear", lambda n: n < 55, "the interval is still wider; remember that its width shrinks with the square "
                                     "root of the number, so half the width takes four times the sentences."),
        ("large", lambda n: n > 251, "that is more than enough: find the smallest number that will do."),
    ])  # fmt: skip
    return "about 245 sentences (anything from 239 to 251 is counted as right)."


# (right answer, what is wrong with the common wrong ones, what to read)
QUESTIONS: dict[str, tuple[Any, list[Mistake], str]] = {
    "python": (
        18.0,
        [
            ("all", 45.0, "that sums every number below ten, without the condition"),
            ("count", 4.0, "that counts the numbers instead of summing them"),
            ("nine", 9.0, "range(10) goes from 0 to 9, and 9 is a multiple of three too"),
        ],
        "the Python tutorial on list comprehensions and generator expressions",
    ),
    "conditional": (
        0.6,
        [
            ("reversed", 0.75, "that is P(she | nurse); the question is P(nurse | she), which has another denominator"),
            ("joint", 0.3, "that is P(nurse and she), out of all stories, not out of those about a woman"),
            ("marginal", 0.4, "that is P(nurse); being told that it is a woman changes it"),
        ],
        "Dive into Deep Learning: Probability and Statistics",
    ),
    "logarithm": (
        math.log(8),
        [
            ("bits", 3.0, "that is in bits (logarithm to base 2); nats use the natural logarithm"),
            ("sign", -math.log(8), "the surprise is minus the logarithm, so it is positive"),
            ("ten", math.log10(8), "that is the logarithm to base 10"),
        ],
        "Dive into Deep Learning: Information Theory",
    ),
    "derivative": (
        -0.5,
        [
            ("sign", 0.5, "the sign is wrong: raising z raises the probability, so it lowers the loss"),
            ("sigmoid", 0.25, "that is the derivative of the sigmoid itself, not of minus its logarithm"),
            ("value", math.log(2), "that is the value at 0, not the slope"),
        ],
        "Dive into Deep Learning: Calculus",
    ),
    "shape": (
        (8, 300),
        [
            ("kept", (8, 24, 300), "[:, 0] picks one position, so the axis of positions is gone"),
            ("batch", (24, 300), "[:, 0] picks the first position of every text; [0] would pick the first text"),
            ("width", (8, 128), "the product replaces the last axis: 128 is summed away and 300 is left"),
        ],
        "Dive into Deep Learning: Data Manipulation, and Linear Algebra",
    ),
    "gradient": (
        12.0,
        [
            ("once", 6.0, "backward() was called twice, and gradients add up until they are cleared"),
            ("value", 9.0, "that is the value of x squared, not its slope"),
            ("double", 18.0, "that is twice the value; it is the slope that is added up"),
        ],
        "Dive into Deep Learning: Automatic Differentiation",
    ),
}


@exercise("0.3")
def prerequisites(answer):
    """Six small questions; whatever is wrong is named, with what to read."""
    expect_true(isinstance(answer, dict), "the answers should stay in the dictionary of the stub, one entry each.")
    unknown, missing = set(answer) - set(QUESTIONS), set(QUESTIONS) - set(answer)
    expect_true(not unknown, f"there is no question called {min(unknown, default='')!r}.")
    expect_true(not missing, f"the entry {min(missing, default='')!r} is missing.")
    wrong = [text for name in QUESTIONS if (text := _wrong(name, answer[name]))]
    if wrong:
        right = len(QUESTIONS) - len(wrong)
        refuse(f"{right} of {len(QUESTIONS)} are right. " + " ".join(wrong))
    return "all six are right: you have what the course needs."


def _wrong(name: str, given: Any) -> str:
    """Say what is wrong with an answer and what to read, or return ''."""
    right, mistakes, reading = QUESTIONS[name]
    try:
        value = as_array(tuple(given) if isinstance(given, torch.Size) else given, name)
    except Exception as problem:
        return f"{name.capitalize()}: {problem}"
    wanted = as_array(right, name)
    if value.shape == wanted.shape and abs(value - wanted).max() <= 0.005:
        return ""
    try:
        raise_known_mistake(given, mistakes, tolerance=0.005)
    except Exception as known:
        return f"{name.capitalize()}: {known} (read {reading})."
    return f"{name.capitalize()}: not {given} (read {reading})."
