"""Checks of the exercises of notebook 05, fine-tuning."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from utils.exercises import call, exercise, expect_array, expect_items, expect_true, refuse
from utils.exercises.expect import as_array


@exercise("5.1")
def classify(answer):
    """The logits of BertForSequenceClassification from the last layer's vectors."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    for labels in (3, 6):
        hidden, pooler, pooler_bias, head, bias = draw(4, 5, 6), draw(6, 6), draw(6), draw(labels, 6), draw(labels)
        x = hidden[:, 0]
        h = np.tanh(np.einsum("bi,oi->bo", x, pooler) + pooler_bias.numpy())
        z = np.einsum("bi,ki->bk", h, head) + bias.numpy()

        def through(x, matrix=pooler, squash=torch.tanh, w_p=pooler_bias, w=head, b=bias):
            return squash(x @ matrix.T + w_p) @ w.T + b

        expect_array(call(answer, hidden, pooler, pooler_bias, head, bias), z, name="your logits", mistakes=[
            ("all tokens", through(hidden), "you classify every token; the head reads the first one, [CLS]: "
             "hidden[:, 0]."),
            ("mean", through(hidden.mean(1)), "you average over the tokens; BERT's head reads the first one, [CLS]."),
            ("last", through(hidden[:, -1]), "you read the last token; the head reads the first one, [CLS]."),
            ("no pooler", x @ head.T + bias, "the pooler is missing: a dense layer and a tanh stand between [CLS] and "
             "the head."),
            ("no tanh", through(x, squash=lambda t: t), "the tanh of the pooler is missing."),
            ("transposed", through(x, matrix=pooler.T), "W_p is transposed: torch's linear layer computes "
             "x @ W_p.T + b_p, because its matrix is (outputs, inputs)."),
            ("no bias", through(x, b=0 * bias), "the bias b of the head is missing."),
            ("no pooler bias", through(x, w_p=0 * pooler_bias), "the bias b_p of the pooler is missing."),
            ("softmax", through(x).softmax(-1), "these are probabilities; return the logits, the softmax is part of "
             "the loss."),
        ])
    return "equal to the reference within 1e-6 for three and for six labels."


SCORES = (
    [0.8, 0.7, 0.6, 0.5, 0.9],  # the best look comes after the stop
    [0.5, 0.4, 0.6, 0.5, 0.7, 0.6, 0.5],  # falls between two bests
    [0.8, 0.6, 0.7, 0.65, 0.5],  # rises, but not above the best
    [-1.2, -0.9, -1.0, -1.1, -0.8],  # losses with their sign turned
    [0.61, 0.70, 0.68, 0.70, 0.66, 0.75],
    [0.4, 0.5, 0.6, 0.7],
    [0.5],
)


def _stop(scores, patience, *, ties=False, late=0, last=False, previous=False, reset=True, floor=None):
    """(look whose weights are kept, look at which training stops), soundly or with one mistake.

    previous: a look is compared with the one before it. reset: a better score sets the count back. floor: what the
    first score has to beat.
    """
    best = waited = 0
    for look, score in enumerate(scores):
        better = look == 0 or score > scores[best] or (ties and score == scores[best])
        if floor is not None:
            better = score > max([floor, *scores[:look]])
        risen = (look == 0 or score > scores[look - 1]) if previous else better
        if better:
            best = look
        waited = 0 if risen and reset else waited + (not risen)
        if waited >= patience + late:
            break
    return (look if last else best), look


def _is_after_the_stop(scores, patience, got):
    """Does the answer keep the best of all looks, although training stops before it?"""
    best = int(np.argmax(scores))
    return len(got) == 2 and got[0] == best > _stop(scores, patience)[1]


@exercise("5.2")
def early_stop(answer):
    """Which look is kept, and at which look training stops."""
    for scores in SCORES:
        for patience in (1, 2, 3):
            got = call(answer, list(scores), patience)
            expect_true(isinstance(got, tuple | list) and len(got) == 2,
                        "return two numbers: the look whose weights are kept, and the look at which training stops.")
            expect_items([int(value) for value in got], _stop(scores, patience), name="your pair",
                         context=f"for the scores {scores} and patience {patience}", mistakes=[
                ("last", list(_stop(scores, patience, last=True)),
                 "you keep the weights of the last look; keep those of the best one."),
                ("late", list(_stop(scores, patience, late=1)),
                 "you stop one look too late: patience 1 stops at the first look that is no better."),
                ("ties", list(_stop(scores, patience, ties=True)),
                 "you count an equal score as better; only a higher one resets the patience."),
                ("no reset", list(_stop(scores, patience, reset=False)),
                 "you count all looks without a better score; only looks in a row count, so a better score sets the "
                 "count back to 0."),
                ("from zero", list(_stop(scores, patience, floor=0)),
                 "you compare the first score with 0; a score can be negative (a loss with its sign turned), so begin "
                 "with the first score itself."),
                ("previous", list(_stop(scores, patience, previous=True)),
                 "you compare each look with the one before it; compare it with the best so far."),
                ("never", [_stop(scores, patience)[0], len(scores) - 1],
                 "you never stop early: count the looks since the best one, and stop at patience."),
                ("lower", list(_stop([-score for score in scores], patience)),
                 "you take a lower score for a better one; here higher is better."),
                ("from one", [value + 1 for value in _stop(scores, patience)], "looks are counted from 0."),
                ("best of all", partial(_is_after_the_stop, scores, patience),
                 "you keep the best of all scores, but looks after the stop never happen."),
            ])
    return "the right look is kept and training stops at the right one, for 21 courses of the score."


@exercise("5.3")
def lora_output(answer):
    """A linear layer with a low-rank update beside it."""
    generator = torch.Generator().manual_seed(4)
    for rank, alpha in ((2, 4.0), (4, 4.0), (3, 1.0)):
        x, W, A, B = (torch.randn(*shape, generator=generator, dtype=torch.float64)
                      for shape in ((5, 6), (6, 6), (rank, 6), (6, rank)))
        base, update = np.einsum("bi,oi->bo", x, W), np.einsum("bi,ri,or->bo", x, A, B)
        expect_array(call(answer, x, W, A, B, alpha), base + alpha / rank * update, name="your output", mistakes=[
            ("no scale", base + update, "the update is not scaled: multiply it by alpha / rank."),
            ("alpha alone", base + alpha * update, "the update is scaled by alpha; divide by the rank too, so that "
             "the rank can be changed without tuning again."),
            ("rank of the wrong matrix", base + alpha / 6 * update, "you divide by the width of the layer; the rank "
             "is the number of rows of A."),
            ("no base", alpha / rank * update, "the frozen matrix W is missing: the update is added to it."),
            ("base untransposed", x @ W + alpha / rank * torch.as_tensor(update), "W is transposed: a linear layer "
             "computes x @ W.T."),
            ("update untransposed", base + alpha / rank * (x @ (B @ A)).numpy(), "the update is transposed: B A has "
             "the shape of W, so it acts as x @ (B @ A).T."),
            ("scaled base", alpha / rank * (base + update), "you scale the whole output; only the update is scaled."),
        ])
    return "equal to the reference within 1e-6 for three ranks and scales."


GROUPS = np.array(list("ddbbbacceeeefgghhh"))
DRAWS = 400


# Ways to hold out another number of groups than was asked for, with what to say of them.
MISCOUNTS = [
    (lambda count, rng: rng.choice(np.unique(GROUPS), count),
     "you draw with replacement, so a group can come twice; add replace=False."),
    (lambda count, rng: rng.choice(GROUPS, count, replace=False),
     "you draw among the rows, so a group can come twice; draw among the names, which np.unique lists once each."),
    (lambda count, rng: rng.permutation(GROUPS)[:count],
     "you shuffle the rows, so a group can come twice; shuffle the names, which np.unique lists once each."),
]


@exercise("5.4")
def split_by_group(answer):
    """Which rows are held out, such that no group is on both sides."""
    names = np.unique(GROUPS)
    drawn = []
    for seed in range(9):
        held_out = (6, 2, 3)[seed % 3]
        got = as_array(call(answer, GROUPS.copy(), held_out, np.random.default_rng(seed)), "your mask")
        expect_true(got.shape == GROUPS.shape and set(np.unique(got).tolist()) <= {0.0, 1.0},
                    f"return one True or False for each of the {len(GROUPS)} rows, True where it is held out; a list "
                    "of row numbers or of names is something else.")
        mask = got.astype(bool)
        straddling = [name for name in names if 0 < mask[GROUPS == name].mean() < 1]
        expect_true(not straddling, f"group {str(*straddling[:1])!r} has rows on both sides; choose "
                    "groups, not rows, and take all rows of a chosen group.")
        count = sum(bool(mask[GROUPS == name].all()) for name in names)
        expect_true(count != len(names) - held_out, "the two sides are exchanged: True means held out.")
        if count != held_out:
            for draw, message in MISCOUNTS:
                chosen = draw(held_out, np.random.default_rng(seed))
                expect_true((mask != np.isin(GROUPS, chosen)).any(), message)
            refuse(f"{count} groups are held out instead of {held_out}; choose so many of the different names, without "
                   "replacement.")
        again = as_array(call(answer, GROUPS.copy(), held_out, np.random.default_rng(seed)), "your mask")
        expect_true((got == again).all(), "two generators with the same seed give different choices; draw with rng "
                    "and with nothing else, neither numpy's global numbers nor a generator of your own.")
        drawn.append(mask)
    expect_true(any((drawn[0] != mask).any() for mask in drawn[3::3]), "the same groups are held out whatever the "
                "generator; draw them with rng.")
    masks = [np.asarray(call(answer, GROUPS.copy(), 2, np.random.default_rng(seed))) for seed in range(DRAWS)]
    shares = np.array([np.mean([mask.astype(bool)[GROUPS == name].all() for mask in masks]) for name in names])
    fair = 2 / len(names)
    most = 5 * (fair * (1 - fair) / DRAWS) ** 0.5  # five standard errors
    sizes = np.array([(GROUPS == name).sum() for name in names])
    even = abs(shares - fair).max() < most
    expect_true(even or np.corrcoef(shares, sizes)[0, 1] < 0.8, "a large group is held out more often than a small "
                "one, as when rows are drawn; draw among the different names.")
    expect_true(even, "some groups are held out far more often than others; each must have the same chance.")
    return "whole groups on one side, the asked number of them, drawn anew with each generator, each equally often."
