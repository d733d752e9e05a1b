"""Checks of notebook 13: integrated gradients, Shapley values, ERASER's metrics, and a test of explanations."""

from __future__ import annotations

import functools
import math
from itertools import combinations
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from utils import attribution
from utils.exercises import call, exercise, expect_array, expect_detector, expect_true

# ------------------------------------------------------------------------------------------------ 13.1


@exercise("13.1")
def integrated_gradients(answer):
    """Integrated gradients of polynomials, whose integrals are known."""
    for x, baseline, steps in (((2.0, 1.0, -1.0), (0.0, 0.0, 0.0), 500), ((1.0, 3.0, 2.0), (-1.0, 1.0, 0.5), 800)):
        x, baseline = np.array(x), np.array(baseline)
        expected, gap = _exact_path(x, baseline), x - baseline
        along = np.linspace(0, 1, 2001)[:, None]
        mean = _gradient(baseline + along * gap).mean(0)
        moved = bool(baseline.any())
        got = call(answer, _gradient, x, baseline, steps)
        expect_array(got, expected, tolerance=0.05, name="the attribution", mistakes=[
            ("end", gap * _gradient(x[None])[0], "you use the slope at the text alone; average it over the whole way."),
            ("start", gap * _gradient(baseline[None])[0], "you use the slope at the baseline alone; average it over "
             "the whole way."),
            ("two ends", gap * (_gradient(x[None]) + _gradient(baseline[None]))[0] / 2, "you average the two ends; "
             "take `steps` points in between."),
            ("sum", lambda value, right=expected * steps: np.allclose(value, right, rtol=0.1), "you add the slopes "
             "up; take their mean, because the steps get shorter as they get more."),
            ("no difference", mean, "that is the mean slope; multiply it by x - baseline."),
            ("one mean", gap * mean.mean(), "you average over the features as well; take the mean over the points "
             "only (axis=0)."),
            ("times x", x * mean if moved else np.full(3, np.inf), "you multiply by x; the way is x - baseline long."),
            ("sign", -expected, "the sign is wrong: the way leads from the baseline to x, so it is x - baseline."),
            ("from zero", (gap * _gradient(along * x).mean(0)) if moved else np.full(3, np.inf), "your way begins at "
             "0; its points are baseline + alpha * (x - baseline)."),
            ("no baseline on the way", (gap * _gradient(along * gap).mean(0)) if moved else np.full(3, np.inf),
             "your points are alpha * (x - baseline); add the baseline."),
            ("total", lambda value: np.size(value) == 1, "return one number per feature; their sum is "
             "F(x) - F(baseline)."),
        ])  # fmt: skip
    return "equal to the exact integrals within 0.05, for two polynomials' paths; they sum to F(x) - F(baseline)."


def _gradient(points: np.ndarray) -> np.ndarray:
    """dF/dx of F = x0 x1 + x2 ** 3 + x0 ** 2 x2 at points (n, 3)."""
    a, b, c = np.atleast_2d(np.asarray(points, dtype=float)).T
    return np.stack([b + 2 * a * c, a, 3 * c**2 + a**2], axis=1)


def _exact_path(x: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """(x - b) times the integral of the slope, by Simpson's rule: exact, as every slope is a parabola in alpha."""
    ends = [_gradient((baseline + alpha * (x - baseline))[None])[0] for alpha in (0.0, 0.5, 1.0)]
    return (x - baseline) * (ends[0] + 4 * ends[1] + ends[2]) / 6


# ------------------------------------------------------------------------------------------------ 13.2


@exercise("13.2")
def shapley(answer):
    """Exact Shapley values of small games."""
    for players, worth in (("abc", _gloves), ("abc", _random_game(1, 3)), ("wxyz", _random_game(2, 4))):
        players = list(players)
        expected = _by_subsets(worth, players)
        got = call(answer, worth, players)
        if isinstance(got, dict):
            expect_true(set(got) == set(players), f"the keys of the dictionary should be the players, {players}.")
            got = [got.get(player, math.nan) for player in players]
        everyone = frozenset(players)
        leave_out = [worth(everyone) - worth(everyone - {p}) for p in players]
        alone = [worth(frozenset({p})) - worth(frozenset()) for p in players]
        in_order = [worth(frozenset(players[: i + 1])) - worth(frozenset(players[:i])) for i in range(len(players))]
        expect_array(got, expected, tolerance=1e-6, name="the values", mistakes=[
            ("leave one out", leave_out, "that is leave-one-out: each player comes last. Average over all orders."),
            ("alone", alone, "that is what each player is worth alone: each comes first. Average over all orders."),
            ("first and last", (np.array(leave_out) + alone) / 2, "you average coming first and coming last; the "
             "orders in between count as well."),
            ("one order", in_order, "that is a single order; average over all of them."),
            ("sum", np.array(expected) * math.factorial(len(players)), "you add up over the orders; divide by their "
             "number."),
            ("by players", np.array(expected) * math.factorial(len(players) - 1), "you divide by the number of "
             "players; divide by the number of orders."),
            ("not emptied", np.array(in_order) / math.factorial(len(players)), "only the first order adds anything; "
             "the group must be empty again at the start of every order."),
            ("banzhaf", _banzhaf(worth, players), "you give every subset the same weight (Banzhaf's value); average "
             "over orders, in which small and large subsets come up more often than those of middling size."),
            ("no difference", _mean_worth(worth, players), "you average what the group is worth when the player has "
             "come in; subtract what it was worth just before."),
            ("normalised", np.array(expected) / np.sum(expected), "your values are scaled to sum to 1; they should sum "
             "to worth(all) - worth(none)."),
        ])  # fmt: skip
    return "equal to the sum over all subsets within 1e-6, for three games of three and four players."


def _gloves(group: frozenset) -> float:
    return 1.0 if "a" in group and len(group) > 1 else 0.0


def _random_game(seed: int, players: int) -> Any:
    values = np.random.default_rng(seed).normal(size=2**players).round(2)
    first = ord("a") if players == 3 else ord("w")
    return lambda group: float(values[sum(2 ** (ord(player) - first) for player in group)])


def _by_subsets(worth: Any, players: list[str]) -> list[float]:
    n, values = len(players), []
    for player in players:
        others = [p for p in players if p != player]
        values.append(sum(
            math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            * (worth(frozenset({*group, player})) - worth(frozenset(group)))
            for size in range(n) for group in combinations(others, size)
        ))  # fmt: skip
    return values


def _groups(players: list[str], player: str) -> list[frozenset]:
    others = [p for p in players if p != player]
    return [frozenset(group) for size in range(len(players)) for group in combinations(others, size)]


def _banzhaf(worth: Any, players: list[str]) -> list[float]:
    return [float(np.mean([worth(group | {p}) - worth(group) for group in _groups(players, p)])) for p in players]


def _mean_worth(worth: Any, players: list[str]) -> list[float]:
    n = len(players)
    return [sum(math.factorial(len(g)) * math.factorial(n - len(g) - 1) / math.factorial(n) * worth(g | {p})
                for g in _groups(players, p)) for p in players]  # fmt: skip


# ------------------------------------------------------------------------------------------------ 13.3


@exercise("13.3")
def erase(answer):
    """Comprehensiveness and sufficiency of one rationale."""
    for words, share, seed in ((8, 0.13, 1), (7, 0.4, 2), (9, 0.05, 3)):
        random = np.random.default_rng(seed)
        scores = random.normal(size=words).round(3)
        worth = _worth(random.normal(size=words), random.normal())
        count = max(1, math.ceil(share * words))
        pairs = {name: _pair(worth, chosen) for name, chosen in _rationales(scores, share, count).items()}
        right = pairs.pop("right")
        got = call(answer, worth, scores, share)
        expect_true(np.size(got) == 2, "two numbers are asked for: (comprehensiveness, sufficiency).")
        whole = float(worth(np.ones((1, words), dtype=bool))[0])
        expect_array(got, right, tolerance=1e-6, name="the pair", context=f"for {words} words and a share of {share}",
                     mistakes=[
            ("swapped", right[::-1], "the two are swapped: comprehensiveness takes the named words away, sufficiency "
             "keeps only them."),
            ("sign", -right, "the signs are wrong: both are m(x) minus what is left."),
            ("what is left", whole - right, "that is the probability that is left; subtract it from m(x)."),
            ("sufficiency left", [right[0], whole - right[1]], "your sufficiency is m(r), the probability that is "
             "left; it is m(x) - m(r)."),
            ("comprehensiveness left", [whole - right[0], right[1]], "your comprehensiveness is the probability that "
             "is left without the rationale; subtract it from m(x)."),
            ("relative", right / whole, "you divide by m(x); ERASER's differences are absolute."),
            ("floor", pairs["floor"], "you name too few words: their number is rounded up, so that at least one is "
             "named (a quantile of the scores rounds otherwise)."),
            ("absolute", pairs["absolute"], "you rank by absolute value; words that speak against the class would be "
             "named as its reasons."),
            ("lowest", pairs["lowest"], "you take the words with the lowest scores; `np.argsort` begins with them."),
            ("share as threshold", pairs["threshold"], "you take the words whose score is above the share; the share "
             "is of the number of words."),
        ])  # fmt: skip
    return "equal to the definitions within 1e-6 for three texts; the number of words is rounded up."


def _worth(weights: np.ndarray, start: float) -> Any:
    """A game with an interaction, as a probability."""
    def worth(shown: np.ndarray) -> np.ndarray:
        shown = np.atleast_2d(np.asarray(shown)).astype(float)
        if shown.shape[1] != len(weights):
            raise ValueError(f"worth takes (subsets, {len(weights)}) booleans, one column per word.")
        return 1 / (1 + np.exp(-(start + shown @ weights + 1.5 * shown[:, 0] * shown[:, 1])))

    return worth


def _rationales(scores: np.ndarray, share: float, count: int) -> dict[str, np.ndarray]:
    def top(values: np.ndarray, number: int) -> np.ndarray:
        chosen = np.zeros(len(scores), dtype=bool)
        chosen[np.argsort(-values)[:number]] = True
        return chosen

    return {
        "right": top(scores, count), "floor": top(scores, int(share * len(scores))),
        "absolute": top(np.abs(scores), count), "lowest": top(-scores, count), "threshold": scores > share,
    }  # fmt: skip


def _pair(worth: Any, chosen: np.ndarray) -> np.ndarray:
    whole, without, alone = worth(np.stack([np.ones_like(chosen), ~chosen, chosen]))
    return np.array([whole - without, whole - alone])


# ------------------------------------------------------------------------------------------------ 13.4


@exercise("13.4")
def depends_on_the_answer(answer):
    """A test that tells whether an attribution has to do with what the classifier answers."""
    model, reading = _tiny()

    def verdict(method: Any) -> bool:
        before = [weight.detach().clone() for weight in model.parameters()]
        said = call(answer, method, model, reading)
        changed = any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
        with torch.no_grad():
            for old, weight in zip(before, model.parameters(), strict=True):
                weight.copy_(old)
        expect_true(not changed, "your test leaves the model changed; draw the weights of a copy anew "
                    "(`copy.deepcopy(model)`).")  # fmt: skip
        return said

    expect_detector(
        verdict,
        correct=[
            ("integrated gradients", lambda m, r: attribution.integrated_gradients(m, r, 0, steps=8)),
            ("one that always has the same word first, and the other words in another order", _led_by_the_first),
            ("occlusion", lambda m, r: attribution.occlusion(m, r, 0)),
            ("gradient × input", lambda m, r: attribution.gradient_times_input(m, r, 0)),
        ],
        faulty=[
            ("attention", lambda m, r: attribution.attention_of_cls(m, r), "your test passes attention, which is the "
             "same whatever the classifier answers; draw only `model.classifier` anew, nothing below it."),
            ("word length", lambda m, r: np.array([float(len(word)) for word in r.words]), "your test passes the "
             "lengths of the words, which know nothing of the model."),
            ("scaled", lambda m, r: np.array([len(word) * m.classifier.weight.norm().item() for word in r.words]),
             "your test passes scores that are only scaled by another factor; compare the order of the words."),
            ("noise", lambda m, r: np.random.random(len(r.words)), "your test passes pure noise, which changes from "
             "call to call; ask first that the same model gives the same scores twice."),
        ],
    )  # fmt: skip
    return "your test passes four methods that follow the answer and catches four that do not."


def _led_by_the_first(model: Any, reading: attribution.Reading) -> np.ndarray:
    """Integrated gradients with the first word lifted above all others: a test of the top word alone misses it."""
    scores = attribution.integrated_gradients(model, reading, 0, steps=8)
    scores[0] = np.abs(scores).max() + 1
    return scores


@functools.cache
def _tiny() -> tuple[Any, attribution.Reading]:
    """A model with random weights and a text of ten words with different lengths."""
    config = BertConfig(vocab_size=30, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=32,
                        max_position_embeddings=16, initializer_range=0.5, attn_implementation="eager",
                        num_labels=2)  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(8)
        model = BertForSequenceClassification(config).eval()
    ids = torch.tensor([[2, 11, 7, 25, 18, 9, 28, 14, 21, 5, 16, 3]])
    words = ("she", "felt", "extraordinarily", "happy", "i", "because", "wonderful", "it", "afternoons", "passed")
    columns = tuple((i + 1,) for i in range(len(words)))
    return model, attribution.Reading(words, columns, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, 4)
