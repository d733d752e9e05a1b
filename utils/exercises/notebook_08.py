"""Checks of the exercises of notebook 08, measuring bias."""

from __future__ import annotations

import itertools
import math
import operator

import numpy as np

from utils.exercises import Refused, as_array, call, exercise, expect_number

SHOWN = {"she": 0.60, "her": 0.05, "he": 0.25, "him": 0.02, "it": 0.08}
HIDDEN = {"she": 0.30, "her": 0.02, "he": 0.45, "him": 0.03, "it": 0.20}

# tokens of a sentence, of its partner, and the places of the shared tokens, aligned by hand
PAIRS = (
    ("the poor spend what they have .", "the rich spend what they have .", [0, 2, 3, 4, 5, 6]),
    ("my old neighbour said that the old dog sleeps .", "my young neighbour said that the old cat sleeps .",
     [0, 2, 3, 4, 5, 6, 8, 9]),
    ("the woman was very angry with the boss .", "the man was angry with the boss .", [0, 2, 4, 5, 6, 7, 8]),
    ("he drove home because he was tired .", "she drove home because she was tired .", [1, 2, 3, 5, 6, 7]),
)


@exercise("8.1")
def corrected_bias(answer):
    """The prior-corrected log-probability bias between two groups of target words."""
    cases = ((["she"], ["he"]), (["she", "her"], ["he", "him"]), (["he"], ["she"]))
    for first, second in cases:
        a, b, pa, pb = (sum(p[w] for w in words) for p in (SHOWN, HIDDEN) for words in (first, second))
        true = math.log(a / b) - math.log(pa / pb)
        log_means = [np.mean([math.log(p[w]) for w in words]) for p in (SHOWN, HIDDEN) for words in (first, second)]
        log_sums = [np.sum([math.log(p[w]) for w in words]) for p in (SHOWN, HIDDEN) for words in (first, second)]
        one_a, one_b, one_pa, one_pb = (p[words[0]] for p in (SHOWN, HIDDEN) for words in (first, second))
        got = call(answer, SHOWN, HIDDEN, first, second)
        expect_number(got, true, tolerance=1e-6, name="the bias", unit="nats", context=f"for {first} and {second}",
                      mistakes=[
            ("no prior", math.log(a / b), "you left out the prior: the sentence alone already prefers one group, and "
             "that part is not due to the attribute; subtract the same log-ratio taken from p_hidden."),
            ("prior only", math.log(pa / pb), "that is the prior alone; subtract it from the log-ratio with the "
             "attribute shown."),
            ("sign", -true, "the sign is wrong: positive means that the attribute favours the first group. Subtract "
             "the second group from the first, and what is hidden from what is shown."),
            ("added", math.log(a / b) + math.log(pa / pb), "you add the prior; the correction subtracts it."),
            ("ratio", math.exp(true), "this is a ratio of ratios; take its logarithm, so that no bias is 0."),
            ("difference of probabilities", (a - b) - (pa - pb), "these are differences of probabilities; the metric "
             "compares logarithms of ratios."),
            ("log2", true / math.log(2), "this is in bits; use the natural logarithm, nats."),
            ("mean of logarithms", float(log_means[0] - log_means[1] - log_means[2] + log_means[3]),
             "you average logarithms over the words of a group; add up their probabilities first, then take one "
             "logarithm."),
            ("sum of logarithms", float(log_sums[0] - log_sums[1] - log_sums[2] + log_sums[3]),
             "you add up one association per word; add up the probabilities of a group's words, then take one "
             "logarithm per group."),
            ("first words", math.log(one_a / one_b) - math.log(one_pa / one_pb), "you use only the first word of each "
             "group; its probability is the sum over all its words."),
            ("log-odds of a group", _logit(a) - _logit(b) - _logit(pa) + _logit(pb), "you take the log-odds of each "
             "group, log p / (1 - p); the metric takes log p, so that other words have no say."),
            ("against all words", _logit(a) - _logit(pa), "you set the first group against all other words; the metric "
             "sets it against the second group."),
            ("attribute's ratio", math.log(a / pa), "that is the association of the first group only; subtract that "
             "of the second."),
            ("second's ratio", math.log(b / pb), "that is the association of the second group only; subtract it from "
             "that of the first."),
            ("associations added", math.log(a / pa) + math.log(b / pb), "you add the two associations; the bias is "
             "their difference."),
        ])
    return "equal to log-odds shown minus log-odds hidden, for single words and for groups of words."


def _logit(p):
    return math.log(p) - math.log1p(-p)


@exercise("8.2")
def shared_score(answer):
    """The pseudo-log-likelihood of the tokens that a sentence shares with its partner."""
    for number, (first, second, places) in enumerate(PAIRS):
        sentence, partner = first.split(), second.split()
        values = np.round(-np.random.default_rng(number).uniform(0.1, 5.0, len(sentence)), 3)
        true = float(values[places].sum())
        rest = [i for i in range(len(sentence)) if i not in places]
        side_by_side = [i for i, (a, b) in enumerate(zip(sentence, partner, strict=False)) if a == b]
        anywhere = [i for i, word in enumerate(sentence) if word in partner]
        changed = [min(rest), max(rest)]
        outside = [i for i in range(len(sentence)) if not changed[0] <= i <= changed[1]]
        of_partner = _places_in_the_partner(partner, sentence, places)
        stretches = _stretches(places)
        cut_short = [i for run in stretches for i in range(run[0], len(run))]
        got = call(answer, sentence, partner, _reader(values))
        expect_number(got, true, tolerance=1e-6, name="the score", unit="nats", context=f"for pair {number + 1}",
                      mistakes=[
            ("all tokens", float(values.sum()), "you score every token; the differing ones are left out, because one "
             "group's name may simply be rarer than the other's."),
            ("differing", float(values[rest].sum()), "you score the differing tokens; the metric scores the shared "
             "ones, given everything else."),
            ("differing mean", float(values[rest].mean()), "this is the mean over the differing tokens, another metric "
             "(bias-bench); sum over the shared ones."),
            ("mean", float(values[places].mean()), "this is the mean; both sentences share equally many tokens, so the "
             "published score is the plain sum."),
            ("mean over all tokens", true / len(sentence), "you divide by the length of the whole sentence; a longer "
             "name would change the score by itself. The published score is the plain sum."),
            ("first stretch", float(values[stretches[0]].sum()), "you score only the first stretch that both share; "
             "add up all that get_matching_blocks() lists."),
            ("longest stretch", float(values[max(stretches, key=len)].sum()), "you score only the longest stretch that "
             "both share; shorter ones count too."),
            ("to the size", float(values[cut_short].sum()), "your stretches end too early: a block runs from block.a "
             "to block.a + block.size."),
            ("exponential", lambda p, t=true: math.isclose(p, math.exp(t), rel_tol=1e-6), "you take the exponential; "
             "the score stays a sum of logarithms, in nats."),
            ("position by position", float(values[side_by_side].sum()),
             "you compare position by position; after an inserted word every later token seems to differ. Align the "
             "two lists first (difflib.SequenceMatcher)."),
            ("anywhere", float(values[anywhere].sum()),
             "you count a token as shared if it occurs anywhere in the partner; a word may stand in both lists and "
             "still be the one that was exchanged. Align the two lists."),
            ("outside", float(values[outside].sum()), "you leave out all that stands between the first and the last "
             "difference; tokens between two differences are shared too."),
            ("partner's places", float(values[[j for j in of_partner if j < len(values)]].sum()),
             "you ask log_p for places of the partner; log_p(i) is about `sentence`, so use each block's .a."),
            ("sign", -true, "the sign is wrong: a log-probability is negative."),
        ])
    return "equal to the sum over shared tokens, aligned by hand, for four pairs, one with an extra word."


def _reader(values):
    """log_p for a learner: the value at a place, and one sentence where what is asked for is no place."""

    def log_p(i):
        if isinstance(i, str):
            raise Refused(f"log_p takes a place in `sentence`, a number such as 0; you gave it the token {i!r}.")
        try:
            place = operator.index(i)
        except TypeError:
            raise Refused(f"log_p takes one place in `sentence`, a whole number; you gave it {i!r}.") from None
        if not -len(values) <= place < len(values):
            raise Refused(f"you ask for log_p({place}), but `sentence` has {len(values)} tokens, numbered from 0; take "
                          "the places of `sentence` (a block's .a), not those of the partner.")
        return float(values[place])

    return log_p


def _stretches(places):
    """The places, split where one is left out: [0, 2, 3] gives [[0], [2, 3]]."""
    runs = []
    for i in places:
        if runs and i == runs[-1][-1] + 1:
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs


def _places_in_the_partner(partner, sentence, places):
    """Where the shared tokens stand in the partner, found from left to right."""
    found, start = [], 0
    for i in places:
        start = partner.index(sentence[i], start) + 1
        found.append(start - 1)
    return found


@exercise("8.3")
def exact_p(answer):
    """The exact one-sided p-value of WEAT's permutation test."""
    rng = np.random.default_rng(3)
    cases = (
        (np.array([7.0, -1.0, 7.0]), np.array([6.0, -1.0, 3.0])),  # every mistake below gives another value
        (np.array([4.0, 3.0, 2.0]), np.array([1.0, 0.0, -1.0])),
        (rng.normal(0.3, 1, 4).round(2), rng.normal(0.0, 1, 4).round(2)),
        (np.array([0.1, 0.1, 0.3]), np.array([0.1, 0.1, 0.3])),
    )
    for number, (x, y) in enumerate(cases):
        pool, n = np.concatenate([x, y]), len(x)
        total = pool.sum()
        first = np.array([pool[list(c)].sum() for c in itertools.combinations(range(2 * n), n)])
        statistic = 2 * first - total
        seen = x.sum() - y.sum()
        at_least, above = np.mean(statistic >= seen - 1e-9), np.mean(statistic > seen + 1e-9)
        got, again = (call(answer, x, y) for _ in range(2))
        if not np.array_equal(as_array(got, "p"), as_array(again, "p"), equal_nan=True):
            raise Refused("your p-value changes from call to call, so you sample; with so few words every partition "
                          "can be counted.")
        count = len(statistic)
        expect_number(got, float(at_least), tolerance=1e-9, name="p", mistakes=[
            # who counts only larger ones is told so in the first case, of whole numbers; later only rounding is left
            ("rounding", lambda p, low=above, high=at_least, later=number > 0: later and low - 1e-9 <= p < high - 1e-9,
             "partitions that equal the observed one are lost by rounding, as 0.1 + 0.2 is not quite 0.3; count all "
             "that reach it less 1e-9."),
            ("strict", float(above), "you count only partitions with a larger statistic; one that equals it counts "
             "too, and the observed partition is one of them, so p is never 0."),
            ("below", float(np.mean(statistic <= seen + 1e-9)), "you count the other side: p is the share of "
             "partitions whose statistic is at least the observed one."),
            ("half", float(np.mean(first >= seen - 1e-9)), "you hold the sum of the first half against a difference of "
             "two halves; subtract the sum of the second half from it."),
            ("values once", _values_once(pool, n, seen), "equal values are dropped, so a word is lost; partition the "
             "places 0 … 2n - 1, not the values."),
            ("two-sided", float(np.mean(np.abs(statistic) >= abs(seen) - 1e-9)), "this is the two-sided p; WEAT's test "
             "is one-sided, X nearer to A than Y is."),
            ("count", float(at_least * count), "this is a number of partitions; divide by how many there are."),
            ("plus one", float((at_least * count + 1) / (count + 1)), "the '+ 1' belongs to sampled permutations; here "
             "every partition is counted, and the observed one is already among them."),
            ("one minus", float(1 - at_least), "this is one minus p."),
            ("statistic", float(seen), "this is the observed statistic; p is the share of partitions that reach it."),
            ("labels drawn with replacement",
             float(np.mean([pool[list(c)].sum() * 2 - total >= seen - 1e-9
                            for c in itertools.product(range(2 * n), repeat=n)])) if n < 4 else math.nan,
             "a word appears twice in one set: draw without replacement, every word stays in exactly one set."),
        ])
    return "equal to counting every partition, also where partitions tie."


def _values_once(pool, n, seen):
    """The share where each value stands in the pool once, or nan where too few are left."""
    halves = [2 * sum(c) - pool.sum() >= seen - 1e-9 for c in itertools.combinations(sorted(set(pool.tolist())), n)]
    return float(np.mean(halves)) if halves else math.nan


@exercise("8.4")
def stereotype_score(answer):
    """StereoSet's SS: per target term, then the mean over terms, ties to the anti-stereotype."""
    cases = (
        (["clerk", "baker", "nurse", "clerk", "clerk", "baker", "clerk", "clerk", "nurse"],
         [0.7, 0.6, 0.1, 0.7, 0.1, 0.6, 0.7, 0.2, 0.5], [0.4, 0.5, 0.1, 0.6, 0.3, 0.2, 0.7, 0.4, 0.2]),
        (["a", "b", "a", "c", "b", "a"], [0.2, 0.2, 0.9, 0.4, 0.7, 0.3], [0.2, 0.1, 0.5, 0.6, 0.8, 0.1]),
    )
    for terms, stereotype, opposite in cases:
        terms, s, o = np.array(terms), np.array(stereotype), np.array(opposite)

        def macro(won, terms=terms):
            return 100 * float(np.mean([won[terms == term].mean() for term in np.unique(terms)]))

        wins, ties = (s > o).astype(float), (s == o).astype(float)
        by_term = [(wins[terms == term], ties[terms == term] == 0) for term in np.unique(terms)]
        decided = [100 * float(w[untied].mean()) for w, untied in by_term if untied.any()]
        mean_scores = [100.0 * (s[terms == term].mean() > o[terms == term].mean()) for term in np.unique(terms)]
        got = call(answer, terms, s, o)
        expect_number(got, macro(wins), tolerance=1e-6, name="SS", unit="per cent", mistakes=[
            ("over clusters", 100 * float(wins.mean()), "you average over all clusters; the score is the mean within "
             "each target term first, then the plain mean over terms."),
            ("ties won", macro(wins + ties), "a tie counts as a stereotype in your score; the published scorer uses >, "
             "so a tie goes to the anti-stereotype."),
            ("ties half", macro(wins + ties / 2), "half a point for a tie is fair, but it is not the published score; "
             "there a tie goes to the anti-stereotype."),
            ("share", macro(wins) / 100, "this is a share; the score is in per cent."),
            ("reversed", macro((o > s).astype(float)), "you count the anti-stereotype; SS is the share of clusters in "
             "which the stereotype is likelier."),
            ("only ties reversed", 100 - macro(wins), "this is 100 minus SS."),
            ("sum", 100 * float(wins.sum()), "this is a sum; divide within each term."),
            ("ties dropped", float(np.mean(decided)), "you leave tied clusters out; as published they stay in the "
             "total and count for the opposite."),
            ("mean scores", float(np.mean(mean_scores)), "you compare mean scores, one decision for each term; "
             "compare in each cluster, then take the share within the term."),
            ("median", 100 * float(np.median([w.mean() for w, _ in by_term])), "this is the median over terms; the "
             "score is their plain mean."),
        ])
    return "equal to the mean over terms on two tables, with ties and terms of different size."
