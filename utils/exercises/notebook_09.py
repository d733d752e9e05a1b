"""Checks of the exercises of notebook 09, where bias comes from."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import stats as scipy_stats

from utils.exercises import as_array, call, exercise, expect_array, expect_number, expect_true

DOSES = np.array([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0])
ANSWERS = (  # doses out of order and a tie; a metric that saturates, one that goes on, one that turns round
    (np.array([1.0, -1.0, 2.0, 0.0, 0.5]), np.array([4.0, 7.0, 1.0, 7.0, 5.0])),
    (DOSES, np.array([19.1, 46.5, 83.0, 88.9, 88.9, 88.9])),
    (DOSES, np.array([-0.85, -0.02, 0.21, 0.52, 1.05, 1.37])),
    (DOSES, np.array([3.0, 94.8, 60.0, 41.0, 12.0, 3.0])),
)


@exercise("9.1")
def slope_and_rank(answer):
    """The least-squares slope and Spearman's rank correlation of a metric's answers on the dose."""
    for number, (doses, values) in enumerate(ANSWERS):
        slope, rank = scipy_stats.linregress(doses, values).slope, scipy_stats.spearmanr(doses, values).statistic
        pearson = np.corrcoef(doses, values)[0, 1]
        order, twice = np.argsort(values), np.argsort(np.argsort(values, kind="stable"))
        once = np.corrcoef(np.argsort(doses), order)[0, 1]
        ties = np.corrcoef(np.argsort(np.argsort(doses)), twice)[0, 1]
        n = len(doses)
        short = 1 - 6 * np.sum((scipy_stats.rankdata(doses) - scipy_stats.rankdata(values)) ** 2) / (n * (n**2 - 1))
        got = as_array(call(answer, doses, values), "your answer")
        expect_true(got.shape == (2,), "return two numbers, the slope and then the rank correlation.")
        context = f"for metric {number + 1}"
        expect_number(got[0], slope, tolerance=1e-6, relative=1e-6, name="the slope", context=context, mistakes=[
            ("origin", doses @ values / (doses @ doses), "your line is forced through the origin; subtract both means "
             "first: a metric need not say 0 at dose 0."),
            ("intercept", scipy_stats.linregress(doses, values).intercept, "this is the intercept of the line; "
             "np.polyfit returns the slope first."),
            ("swapped", scipy_stats.linregress(values, doses).slope, "this is the slope of the dose on the metric; "
             "divide by the spread of the doses."),
            ("correlation", pearson, "this is Pearson's correlation; a slope is in the metric's units per dose."),
            ("order", rank, "the first number is the rank correlation; return the slope first."),
            ("ends", (values[-1] - values[0]) / (doses[-1] - doses[0]), "you use the first and the last value alone; "
             "least squares uses all of them."),
            ("ddof", slope * n / (n - 1), "you divide a covariance over n - 1 by a variance over n (np.cov and np.var "
             "differ); divide the plain sums."),
            ("ddof", slope * (n - 1) / n, "you divide a covariance over n by a variance over n - 1; divide the plain "
             "sums."),
        ])
        expect_number(got[1], rank, tolerance=1e-6, name="the rank correlation", context=context, mistakes=[
            ("ties", ties, "equal values got different ranks by their order in the list; equal values share the mean "
             "of their ranks."),
            ("argsort", once, "np.argsort says where the smallest value stands, not which rank a value has."),
            ("pearson", pearson, "this is Pearson's correlation of the values; take their ranks first."),
            ("kendall", scipy_stats.kendalltau(doses, values).statistic, "this is Kendall's tau; Spearman's is the "
             "correlation of the ranks."),
            ("short formula", short, "the formula with 6 times the squared differences holds without ties only; "
             "correlate the ranks."),
            ("values", np.corrcoef(doses, scipy_stats.rankdata(values))[0, 1], "you rank the answers but not the "
             "doses; rank both."),
            ("sign", -rank, "the sign is wrong: it is positive where the metric rises with the dose."),
        ])
    return "slope and rank correlation equal to scipy's for four metrics, with ties and with doses out of order."


@exercise("9.2")
def prediction_interval(answer):
    """The 95 % prediction interval for one more model, from models at dose 0."""
    rng = np.random.default_rng(9)
    for zeros in (np.array([46.5, 52.1, 49.0, 55.5, 43.8]), rng.normal(0.0, 0.03, 10), rng.normal(50.0, 4.0, 3)):
        n, mean, s = len(zeros), zeros.mean(), zeros.std(ddof=1)
        t, z = scipy_stats.t.ppf(0.975, n - 1), scipy_stats.norm.ppf(0.975)
        one = math.sqrt(1 + 1 / n)

        def ends(half, mean=mean):
            return [mean - half, mean + half]

        def about(half, ends=ends, s=s):  # so that 1.96 typed by hand is recognised too
            return lambda seen: bool(np.abs(np.asarray(seen) - ends(half)).max() < 1e-3 * s)

        got = call(answer, zeros)
        if as_array(got, "the interval").shape == (2,) and got[0] > got[1]:
            got = [got[1], got[0]]
        expect_array(got, ends(t * s * one), tolerance=1e-8, relative=1e-6, name="the interval",
                     context=f"for {n} models", mistakes=[
            ("mean", ends(t * s / math.sqrt(n)), "this is the interval of the mean; one more model also has a scatter "
             "of its own, so the factor is sqrt(1 + 1/n)."),
            ("no mean", ends(t * s), "you leave out that the mean is itself uncertain: sqrt(1 + 1/n)."),
            ("z", about(z * s * one), "you use 1.96 of the normal distribution; the spread is estimated from few "
             "models, so take Student's t with n - 1 degrees of freedom."),
            ("z no mean", about(z * s), "mean and 1.96 standard deviations would need a known mean and spread; take t "
             "with n - 1 degrees of freedom and sqrt(1 + 1/n)."),
            ("z mean", about(z * s / math.sqrt(n)), "this is the interval of the mean, with 1.96; ask for one more "
             "model, with Student's t."),
            ("ddof", ends(t * zeros.std() * one), "your standard deviation divides by n; from a sample divide by "
             "n - 1 (ddof=1)."),
            ("freedom", ends(scipy_stats.t.ppf(0.975, n) * s * one), "t has n - 1 degrees of freedom: the mean has "
             "used up one."),
            ("one-sided", ends(scipy_stats.t.ppf(0.95, n - 1) * s * one), "this leaves 5 % on each side; 95 % in the "
             "middle leave 2.5 %, so take the quantile 0.975."),
            ("added", ends(t * s * (1 + 1 / n)), "take the square root of 1 + 1/n: variances add, not deviations."),
            ("range", [zeros.min(), zeros.max()], "these are the smallest and the largest value; another model may "
             "well lie outside them."),
            ("half", t * s * one, "this is half the width; return both ends."),
        ])
    return "equal to mean ± t s sqrt(1 + 1/n) for three, five and ten models."


@exercise("9.3")
def amplification(answer):
    """Zhao's bias amplification for two groups."""
    rng = np.random.default_rng(3)
    cases = ((np.array([0.9, 0.02, 0.71, 0.2]), np.array([1.0, 0.0, 0.5, 0.4])),
             (np.array([0.6, 0.55, 0.3]), np.array([0.4, 0.7, 0.1])),
             (rng.uniform(0.05, 0.95, 9).round(2), rng.uniform(0, 1, 9).round(2)))
    for number, (planted, picked) in enumerate(cases):
        side, change = np.where(planted > 0.5, 1, -1), picked - planted
        true = float(np.mean(side * change))
        own = np.where(picked > 0.5, 1, -1)
        got = call(answer, planted, picked)
        expect_number(got, true, tolerance=1e-8, name="the amplification", context=f"for case {number + 1}", mistakes=[
            ("not turned", float(change.mean()), "you average the change of *her* share; where the world has more "
             "men, it is their share that counts. Turn the sign there."),
            ("absolute", float(np.abs(change).mean()), "you average absolute changes; a majority that shrinks counts "
             "against amplification."),
            ("picked side", float(np.mean(own * change)), "you take the majority among the picks; the majority is "
             "the one in the planted shares."),
            ("half turned", float(np.mean(np.where(planted > 0.5, picked, 1 - picked) - planted)), "you take his share "
             "of the picks but hers in the world; where the world has more men, take his share of both."),
            ("all or nothing", float(np.mean(side * ((picked > 0.5) - planted))), "you round the shares of the picks "
             "to 0 and 1; take them as they are given."),
            ("sum", float(np.sum(side * change)), "this is the sum; take the mean over occupations."),
            ("sign", -true, "the sign is wrong: picked minus planted, positive where the majority grows."),
            ("ratio", float(np.mean(picked / planted)), "this is a mean ratio; Zhao et al. subtract shares."),
            ("majority to majority", float(np.mean(np.maximum(picked, 1 - picked) - np.maximum(planted, 1 - planted))),
             "you compare the larger share on both sides, whoever has it; an occupation that flips has lost its "
             "majority, not strengthened it."),
            ("women only", float(change[planted > 0.5].mean()), "you leave out the occupations with more men."),
        ])
    return "equal to the reference in three cases, with majorities that grow, shrink and flip."


@exercise("9.4")
def first_order_change(answer):
    """The change of a quantity by one step of gradient descent, to first order."""
    for seed, rate in ((0, 0.1), (1, 0.002), (2, 1.0)):
        draw = torch.Generator().manual_seed(seed)
        shapes = {"embedding": (5, 3), "matrix": (3, 3), "bias": (3,)}
        of_q, of_loss, weights = ({name: torch.randn(shape, generator=draw, dtype=torch.float64)
                                   for name, shape in shapes.items()} for _ in range(3))

        def quantity(at, of_q=of_q):  # linear in the weights, so that the first order is all there is
            return sum(float((of_q[name] * at[name]).sum()) for name in of_q)

        after = {name: weights[name] - rate * of_loss[name] for name in weights}
        true = quantity(after) - quantity(weights)
        dot = -true / rate
        norms = [math.sqrt(sum(float((g**2).sum()) for g in each.values())) for each in (of_q, of_loss)]
        parts = [float((of_q[name] * of_loss[name]).sum()) for name in shapes]
        got = call(answer, of_q, of_loss, rate)
        expect_number(got, true, tolerance=1e-8, name="the change", context=f"for a learning rate of {rate:g}",
                      mistakes=[
            ("sign", -true, "the sign is wrong: a step goes *against* the gradient of the loss."),
            ("both", dot, "multiply by minus the learning rate: the step is -rate times the gradient of the loss."),
            ("no rate", -dot, "you leave out the learning rate, the length of the step."),
            ("cosine", dot / (norms[0] * norms[1]), "this is a cosine; the change needs the product itself, lengths "
             "included."),
            ("cosine", -dot / (norms[0] * norms[1]), "this is minus a cosine; the change needs the product itself, "
             "and the learning rate."),
            ("norms", -rate * norms[0] * norms[1], "you multiply lengths; two gradients that stand at right angles "
             "have no influence on each other. Multiply element by element and add up."),
            ("first", -rate * parts[0], "you use the first weight matrix only; add up over all names."),
            ("last", -rate * parts[-1], "only the last of the weights has counted; add up over all names, and return "
             "after the loop."),
            ("sums", -rate * sum(float(of_q[name].sum() * of_loss[name].sum()) for name in shapes), "you multiply the "
             "sums; multiply element by element first, and then add up."),
            ("mean", -rate * sum(float((of_q[name] * of_loss[name]).mean()) for name in shapes), "you average within "
             "each matrix; an inner product is a sum over all elements."),
            ("squared", -rate * sum(float((g**2).sum()) for g in of_loss.values()), "this is the change of the "
             "story's own loss; use the gradient of the quantity once."),
        ])
    return "equal to taking the step, where the quantity is linear, for three learning rates."
