"""Checks of the exercises of notebook 04, pretraining."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from utils.exercises import call, exercise, expect_array, expect_detector, expect_number


def _rates(steps: int, warmup: int, peak: float) -> list[float]:
    """The schedule written as two separate straight lines, the second read from its end."""
    rising = [peak * (k + 1) / warmup for k in range(warmup)]
    falling = [peak * k / (steps - warmup) for k in range(steps - warmup, 0, -1)]
    return rising + falling


@exercise("4.1")
def learning_rate(answer):
    """Linear warm-up, then linear decay."""
    for steps, warmup, peak in ((40, 8, 2e-3), (30, 3, 1e-3)):
        _one_schedule(answer, steps, warmup, peak)
    return "equal to the two straight lines at every step of two trainings of different length."


def _one_schedule(answer, steps, warmup, peak):
    """Hold the rates of one training against the two lines."""
    right = _rates(steps, warmup, peak)
    got = [call(answer, step, steps, warmup, peak) for step in range(steps)]
    mistakes = {
        "starts at zero": ([peak * min(k / warmup, (steps - k) / (steps - warmup)) for k in range(steps)],
                           "the first step has learning rate 0 and is wasted; count steps from 1 while rising, "
                           "(step + 1) / warmup."),
        "zero too early": ([peak * min((k + 1) / warmup, (steps - k - 1) / (steps - warmup)) for k in range(steps)],
                           "the last step has learning rate 0 and is wasted; the line reaches 0 just after it, "
                           "(steps - step) / (steps - warmup)."),
        "no decay": ([peak * min(1.0, (k + 1) / warmup) for k in range(steps)],
                     "it rises and then stays; after the warm-up it must fall in a line to 0."),
        "no warm-up": ([peak * (steps - k) / steps for k in range(steps)],
                       "it falls from the first step; the first `warmup` steps should rise."),
        "product": ([peak * min(1.0, (k + 1) / warmup) * (steps - k) / steps for k in range(steps)],
                    "the decay is counted from the first step, so the peak is never reached; let it begin "
                    "after the warm-up."),
        "cosine": ([peak * ((k + 1) / warmup if k < warmup else
                            (1 + math.cos(math.pi * (k - warmup) / (steps - warmup))) / 2) for k in range(steps)],
                   "that is a cosine; it works as well, but a straight line is asked for here."),
        "factor": ([rate / peak for rate in right], "this is the factor between 0 and 1; multiply it by the peak."),
    }  # fmt: skip
    for step in range(steps):
        expect_number(got[step], right[step], tolerance=1e-9, name=f"the rate at step {step}", mistakes=[
            (name, rates[step], message) for name, (rates, message) in mistakes.items()
            if all(abs(float(a) - b) < 1e-9 for a, b in zip(got, rates, strict=True))
        ])


@exercise("4.2")
def combine(answer):
    """The gradient of a batch's mean loss from the gradients of its parts' mean losses."""
    for seed, counts in ((0, [9, 3]), (1, [1, 0, 12, 5])):
        generator = torch.Generator().manual_seed(seed)
        words = [torch.randn(count, 4, generator=generator) for count in counts]  # one gradient for each word
        parts = [w.mean(0) if len(w) else torch.zeros(4) for w in words]
        whole = torch.cat(words).mean(0)
        total, stacked = sum(counts), torch.stack(parts)
        weights = torch.tensor(counts).float()[:, None]
        got = call(answer, list(parts), list(counts))
        expect_array(got, whole, tolerance=1e-5, name="the gradient", mistakes=[
            ("mean of means", stacked.mean(0), "this is the mean of the parts' means, so a word in a part with few "
             "questions counts more than one in a part with many; weigh each part by its number of hidden words."),
            ("sum", stacked.sum(0), "this is the sum of the parts' means: it grows with the number of parts; "
             "weigh each part by its share of the hidden words."),
            ("not divided", (stacked * weights).sum(0), "the weights are right, but they must add up to 1: divide by "
             "the number of hidden words in all parts together."),
            ("per part", (stacked * weights).sum(0) / len(counts), "you divide by the number of parts; divide by the "
             "number of hidden words in all parts together."),
            ("inverse", (stacked * (total - weights)).sum(0) / total, "the weights are turned round: the part with "
             "more hidden words must count more."),
        ])
    return "equal to the gradient of the whole batch in two cases, one with a part in which nothing was hidden."


# Small trainings with momentum on six numbers. A state is a dict with "weights" and whatever else is kept.
EPOCH = 4  # batches


def _gradient(weights: Tensor, step: int) -> Tensor:
    target = torch.randn(6, generator=torch.Generator().manual_seed(100 + step % 9))
    return weights - target


def _go_on(state: dict[str, Any] | None, steps: int, read: Any = lambda step: step) -> dict[str, Any]:
    state = state or {"weights": torch.zeros(6), "average": torch.zeros(6), "step": 0}
    weights, average = state["weights"].clone(), state["average"].clone()
    for step in range(state["step"], steps):
        average = 0.9 * average + 0.1 * _gradient(weights, read(step))
        weights = weights - 0.3 * average
    return {"weights": weights, "average": average, "step": max(steps, state["step"])}


def _sound(state, steps):
    return _go_on(state, steps)


def _sound_and_wordy(state, steps):
    for step in range(state["step"] if state else 0, steps):
        state = _go_on(state, step + 1)  # saves after every step
    return {**(state or _go_on(None, 0)), "note": "saved after every step"}


def _forgets_averages(state, steps):
    return _go_on(state and {**state, "average": torch.zeros(6)}, steps)


def _reads_again(state, steps):
    before = state["step"] if state else 0
    return _go_on(state, steps, read=lambda step: step - before)


def _begins_the_epoch_again(state, steps):
    before = state["step"] % EPOCH if state else 0
    return _go_on(state, steps, read=lambda step: step - before)


def _rounds(state, steps):
    return _go_on(state and {**state, "weights": state["weights"].to(torch.bfloat16).float()}, steps)


def _last_digit(state, steps):
    return _go_on(state and {**state, "weights": state["weights"] * (1 + 2e-7)}, steps)


@exercise("4.3")
def resumes_exactly(answer):
    """A test that tells a training that resumes exactly from ones that nearly do."""
    expect_detector(
        lambda run: call(answer, run),
        correct=[("a training that keeps everything", _sound), ("one that saves after every step", _sound_and_wordy)],
        faulty=[
            ("averages", _forgets_averages, "your test passes a training that forgets the optimiser's running averages "
             "when it resumes; compare the weights of 12 steps in one go with those of 12 steps in two."),
            ("data", _reads_again, "your test passes a training that reads its text from the beginning again after a "
             "resume; let it go on for several steps after the interruption."),
            ("epoch", _begins_the_epoch_again, "your test passes a training that begins the current epoch (4 batches) "
             "again; interrupt it in the middle of an epoch, for example after 5 steps."),
            ("rounding", _rounds, "your test passes a training that saves rounded weights; ask for equality "
             "(torch.equal), not for closeness."),
            ("last digit", _last_digit, "your test passes a training whose weights are off in their last digit when it "
             "resumes; torch.allclose does not see that, torch.equal does."),
        ],
    )  # fmt: skip
    return "your test passes two trainings that resume exactly and catches five that do not."


@exercise("4.4")
def training_flops(answer):
    """Operations of a training: 6 for each weight of the encoder's matrices and each token."""
    for layers, width, tokens in ((5, 100, 1_000_000), (2, 128, 2_000_000), (12, 768, 40_000_000_000)):
        attention, feed_forward = 4 * width**2, 8 * width**2
        weights = layers * (attention + feed_forward)
        right = float(6 * weights * tokens)
        got = call(answer, layers, width, tokens)
        expect_number(float(got) if isinstance(got, int) else got, right, tolerance=0.0, relative=1e-6,
                      name="the number of operations", mistakes=[
            ("a third", right / 3, "this is a third of it: either the forward pass alone (2 operations instead of "
             "2 + 4 = 6), or the matrices of attention alone (4 instead of 4 + 8 = 12 squares of the width)."),
            ("multiplications", right / 2, "a multiplication and an addition are two operations; you counted one."),
            ("no twelve", right / 12, "a layer has twelve matrices' worth of weights, 4 + 8 squares of the width."),
            ("one layer", right / layers, "this is one layer; multiply by the number of layers."),
            ("feed-forward only", 6.0 * layers * feed_forward * tokens, "you counted the feed-forward part; add the "
             "four matrices of attention (width by width)."),
            ("square", 6.0 * layers * 12 * width * tokens, "a matrix has width times width weights: square the width."),
        ])  # fmt: skip
    return "equal to the count for this notebook's model and for BERT-base."
