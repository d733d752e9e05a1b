"""Checks of the exercises of notebook 11, fair decisions."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np

from utils.exercises import call, exercise, expect_array, expect_number


def _people(seed: int) -> tuple[list[int], list[int], list[str]]:
    """Decisions, true answers and groups of about sixty people; groups differ in size and in every rate."""
    rng = np.random.default_rng(seed)
    group = ["zelvan"] * int(rng.integers(30, 40)) + ["brimic"] * int(rng.integers(18, 26))
    truth = [int(rng.random() < (0.6 if g == "zelvan" else 0.35)) for g in group]
    chance = {("zelvan", 1): 0.85, ("zelvan", 0): 0.4, ("brimic", 1): 0.5, ("brimic", 0): 0.2}
    decisions = [int(rng.random() < chance[g, y]) for g, y in zip(group, truth, strict=True)]
    order = rng.permutation(len(group))
    return ([decisions[i] for i in order], [truth[i] for i in order], [group[i] for i in order])


def _share(people: list[tuple], hit, among) -> float:
    """The share of those who are `hit` among those who are `among`, counted one by one."""
    asked = [person for person in people if among(person)]
    return float(Fraction(sum(hit(person) for person in asked), len(asked)))


@exercise("11.1")
def impact_ratio(answer):
    """The lowest selection rate over the highest."""
    for seed in range(4):
        decisions, _, group = _people(seed)
        if seed == 0:  # three groups, the one selected most in the middle of the alphabet
            group = ["lorvan" if g == "zelvan" else ("alvic", "tormic")[k % 2] for k, g in enumerate(group)]
        if seed == 1:  # the first of the alphabet is selected most
            group = ["aruvan" if g == "zelvan" else g for g in group]
        people = list(zip(decisions, group, strict=True))
        shares = {g: _share(people, lambda p: p[0] == 1, lambda p, g=g: p[1] == g) for g in dict.fromkeys(group)}
        taken = Counter(g for d, g in people if d)
        low, high = min(shares.values()), max(shares.values())
        refused = [1 - share for share in shares.values()]
        first, last = (shares[g] for g in (sorted(shares)[0], sorted(shares)[-1]))
        got = call(answer, np.array(decisions), np.array(group))
        expect_number(got, low / high, name="the impact ratio", context=f"for {len(group)} people", mistakes=[
            ("per cent", 100 * low / high, "that is a percentage; return the ratio itself."),
            ("second lowest", low / sorted(shares.values())[1] if len(shares) > 2 else np.nan, "you divide by "
             "another rate than the highest; the group with the highest rate is the one to divide by."),
            ("upside down", high / low, "that is the highest rate over the lowest; the rule divides the lower rate by "
             "the higher, so that the ratio is at most 1."),
            ("difference", high - low, "that is the difference of the rates; the four-fifths rule looks at their "
             "ratio."),
            ("counts", min(taken.values()) / max(taken.values()), "you compare numbers of people who were selected; "
             "groups differ in size, so divide by the size of the group first."),
            ("of the selected", min(taken.values()) / sum(taken.values()), "that is a "
             "group's share among the selected; the rate is the share selected among the group."),
            ("refused", min(refused) / max(refused), "that is the ratio of the rates of refusal; the rule looks at "
             "the rates of selection."),
            ("fixed order", first / last, "you divide by the order of the groups' names; the group with the highest "
             "rate is the one to divide by, whichever it is."),
            ("fixed order", last / first, "you divide by the order of the groups' names; the group with the highest "
             "rate is the one to divide by, whichever it is."),
            ("overall", low / _share(people, lambda p: p[0] == 1, lambda p: True), "you divide by the rate of all "
             "people together; the rule divides by the rate of the group with the highest."),
        ])
    return "equal to rates counted person by person, for four sets of people, two and three groups."


@exercise("11.2")
def odds_gap(answer):
    """The larger of the gaps in true- and false-positive rate."""
    cases = []
    for seed in (0, 1, 2, 3):
        decisions, truth, group = _people(seed)
        if seed == 3:  # here the false-positive rates lie further apart
            decisions = [d if y else int(g == "zelvan") for d, y, g in zip(decisions, truth, group, strict=True)]
        if seed == 1:  # the group whose name comes first is selected most
            group = ["aruvan" if g == "zelvan" else g for g in group]
        if seed == 2:  # three groups, the one selected most between the others
            group = ["lorvan" if g == "zelvan" else ("alvic", "tormic")[k % 2] for k, g in enumerate(group)]
        people = list(zip(decisions, truth, group, strict=True))
        gap = {}
        for name, hit, among in (
            ("tpr", lambda p: p[0], lambda p: p[1]), ("fpr", lambda p: p[0], lambda p: not p[1]),
            ("ppv", lambda p: p[1], lambda p: p[0]), ("for", lambda p: p[1], lambda p: not p[0]),
            ("selection", lambda p: p[0], lambda p: True), ("accuracy", lambda p: p[0] == p[1], lambda p: True),
        ):
            shares = [_share(people, hit, lambda p, g=g, a=among: a(p) and p[2] == g) for g in sorted(set(group))]
            gap[name] = max(shares) - min(shares)
        cases.append((call(answer, np.array(decisions), np.array(truth), np.array(group)), gap))
    # which gap is the smaller one changes, so that this mistake can only be told from all answers together
    smaller = all(isinstance(got, float | np.floating) and abs(got - min(gap["tpr"], gap["fpr"])) < 1e-6
                  for got, gap in cases)
    for number, (got, gap) in enumerate(cases, 1):
        expect_number(got, max(gap["tpr"], gap["fpr"]), name="the gap", context=f"for set {number}", mistakes=[
            ("signed", lambda value: bool(np.all(np.asarray(value) < 0)), "a gap is not negative: take the "
             "highest rate minus the lowest."),
            ("smaller", lambda _: smaller, "you take the smaller gap; take the larger, so that 0 means both "
             "are equal."),
            ("precision", max(gap["ppv"], gap["for"]), "you look among people with the same decision, which is "
             "precision; equalized odds looks among people with the same true answer."),
            ("swapped conditions", gap["ppv"], "that is the gap in precision: the share who are qualified among the "
             "selected; you need the share selected among the qualified."),
            ("opportunity", gap["tpr"], "that is the gap in the true-positive rate only (equal opportunity); look at "
             "the unqualified too, and take the larger gap."),
            ("false positives", gap["fpr"], "that is the gap in the false-positive rate only; look at the qualified "
             "too, and take the larger gap."),
            ("mean", (gap["tpr"] + gap["fpr"]) / 2, "you average the two gaps; a gap of 0 in one would hide half of "
             "the other: take the larger."),
            ("sum", gap["tpr"] + gap["fpr"], "you add the two gaps; take the larger."),
            ("selection", gap["selection"], "that is the gap in selection rates; the true answer is not used."),
            ("accuracy", gap["accuracy"], "that is the gap in accuracy, which can be 0 when one group suffers from "
             "refusals and the other from acceptances."),
        ])
    return "equal to rates counted person by person, on four sets; in one of them the false positives decide."


@exercise("11.3")
def forced_fpr(answer):
    """The false-positive rate that follows from base rate, precision and false-negative rate."""
    for good, bad, missed, false in ((420, 580, 105, 75), (150, 850, 30, 60), (660, 340, 99, 187)):
        taken = good - missed
        p, ppv, fnr = good / (good + bad), taken / (taken + false), missed / good
        odds, cost = p / (1 - p), (1 - ppv) / ppv
        expect_number(call(answer, p, ppv, fnr), false / bad, name="the false-positive rate", context=(
            f"for {good} qualified and {bad} others, {taken} and {false} of whom are selected"), mistakes=[
            ("fnr", odds * cost * fnr, "you multiply by FNR; the selected among the qualified are 1 - FNR."),
            ("odds", cost * (1 - fnr) / odds, "the base rate is upside down: it is p / (1 - p)."),
            ("ppv", odds / cost * (1 - fnr), "the precision is upside down: it is (1 - PPV) / PPV."),
            ("no odds", p * cost * (1 - fnr), "you multiply by p; that is the number of false positives among all "
             "people: divide by the share of the unqualified, 1 - p."),
            ("discovery", 1 - ppv, "that is 1 - PPV, the share of the unqualified among the selected; the "
             "false-positive rate is the share selected among the unqualified."),
            ("no precision", odds * (1 - ppv) * (1 - fnr), "you leave out the division by PPV: true positives times "
             "(1 - PPV) / PPV are the false positives."),
            ("no misses", odds * cost, "you leave out 1 - FNR: not every qualified person is selected."),
            ("count", false, "that is a number of people; a rate is asked for."),
        ])
    return "equal to a count of people in three populations."


@exercise("11.4")
def reweighed(answer):
    """A weight for each example that makes label and group independent."""
    for seed in range(3):
        _, labels, group = _people(seed)
        n, both = len(labels), Counter(zip(labels, group, strict=True))
        of_label, of_group = Counter(labels), Counter(group)
        pairs = list(zip(labels, group, strict=True))
        true = np.array([of_label[y] * of_group[g] / (n * both[y, g]) for y, g in pairs])
        balanced = np.array([n / (4 * both[y, g]) for y, g in pairs])
        got = call(answer, np.array(labels), np.array(group))
        expect_array(got, true, name="the weights", context=f"for {n} examples", mistakes=[
            ("upside down", 1 / true, "they are upside down: what independence would give, P(group) P(label), stands "
             "above, what is there below."),
            ("balanced", balanced, "with these all four cells weigh the same, which also changes the share of each "
             "group and label; only their dependence should go."),
            ("inverse", np.array([n / both[y, g] for y, g in pairs]), "that is 1 / P(group, label); multiply by "
             "P(group) and P(label)."),
            ("count", np.array([1 / both[y, g] for y, g in pairs]), "that is one over a count; the weight is "
             "P(group) P(label) / P(group, label)."),
            ("scaled", lambda v, t=true: v.shape == t.shape and np.allclose(v / v.sum(), t / t.sum(), atol=1e-6),
             "the proportions are right, but the scale is not: with the formula the weights average 1."),
            ("by group", np.array([n / of_group[g] for _, g in pairs]), "you use the group alone; the weight depends "
             "on group and label."),
            ("by label", np.array([n / of_label[y] for y, _ in pairs]), "you use the label alone; the weight depends "
             "on group and label."),
            ("given group", np.array([of_group[g] / both[y, g] for y, g in pairs]), "that is 1 / P(label | group); "
             "multiply by P(label), so that the shares of the labels stay."),
            ("given label", np.array([of_label[y] / both[y, g] for y, g in pairs]), "that is 1 / P(group | label); "
             "multiply by P(group), so that the shares of the groups stay."),
            ("ones", np.ones(n), "all weights are 1, so nothing changes."),
        ])
    return "equal to a count of the four cells, for three sets of examples."
