"""Checks of the exercises of notebook 07, translation and dialogue."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import torch

from utils.exercises import call, exercise, expect_array, expect_number

IGNORED = -100


@exercise("7.1")
def decoder_inputs(answer):
    """What the decoder reads under teacher forcing, from padded labels."""
    generator = torch.Generator().manual_seed(3)
    for lengths, start, pad in (([4, 6, 2], 2, 0), ([5, 5], 7, 1)):
        longest = max(lengths)
        labels = torch.randint(10, 40, (len(lengths), longest), generator=generator)
        for row, length in enumerate(lengths):
            labels[row, length:] = IGNORED
        rows = [[start, *(pad if word == IGNORED else word for word in row[:-1])] for row in labels.tolist()]
        filled = labels.masked_fill(labels == IGNORED, pad)
        first = torch.full((len(lengths), 1), start)
        got = call(answer, labels, start, pad)
        expect_array(got, torch.tensor(rows), name="the decoder's input", mistakes=[
            ("not shifted", filled, "nothing is shifted: at each position the decoder would read the very word that it "
             "has to guess."),
            ("-100 left", torch.cat([first, labels[:, :-1]], 1), "-100 is left in the input; it is no token, and an "
             "embedding cannot look it up: put pad_id there."),
            ("wrong way", torch.cat([filled[:, 1:], torch.full_like(first, pad)], 1), "the words move to the left: the "
             "decoder would read the word after the one it has to guess."),
            ("padded too early", torch.cat([first, labels[:, :-1]], 1).masked_fill(labels == IGNORED, pad), "the "
             "padding begins one place too early, where the labels have -100; look for -100 after the shift."),
            ("rolled", filled.roll(1, dims=1), "the last word of each row has come round to its front; the first "
             "token is start_id."),
            ("one too long", torch.cat([first, filled], 1), "your rows are one longer than the labels; the last word "
             "is never read, because nothing is guessed after it."),
            ("padding first", torch.cat([torch.full_like(first, pad), filled[:, :-1]], 1), "each row begins with "
             "pad_id; it begins with start_id."),
        ])
    return "equal to the reference on two padded batches."


SENTENCES = (
    ("he is a kind doctor .", "she is a kind doctor ."),
    ("she is very tired and very tired .", "she is very tired ."),
    ("he he he he", "he is a doctor ."),
    ("he is", "she is a nurse ."),
)


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


@exercise("7.2")
def clipped_precision(answer):
    """The clipped n-gram precision of BLEU for one sentence."""
    for said, wanted in SENTENCES:
        for n in (1, 2):
            mine, theirs = _grams(said, n), _grams(wanted, n)
            have, allowed = Counter(mine), Counter(theirs)
            clipped = sum(min(count, allowed[gram]) for gram, count in have.items())
            context = f"for n = {n}, the translation {said!r} and the reference {wanted!r}"
            got = call(answer, said, wanted, n)
            expect_number(got, clipped / len(mine), name="the precision", context=context, mistakes=[
                ("not clipped", sum(gram in allowed for gram in mine) / len(mine), "a word that is said more often "
                 "than the reference has it counts each time; clip its count at that of the reference."),
                ("recall", clipped / len(theirs), "you divide by the n-grams of the reference: that is recall; BLEU "
                 "divides by those of the translation."),
                ("types", len(set(mine) & set(theirs)) / len(set(mine)), "you compare sets, or divide by len(Counter): "
                 "a repeated n-gram counts once there; divide by all that were said, said.total()."),
                ("last missing", (Counter(mine[:-1]) & Counter(theirs[:-1])).total() / max(len(mine) - 1, 1), "the "
                 "last n-gram is missing; range goes up to len(words) - n + 1."),
                ("not divided", clipped, "this is the number of matches; divide by the number of n-grams that were "
                 "said."),
                ("by words", clipped / len(said.split()), "you divide by the number of words; a text of k words has "
                 "k - n + 1 n-grams."),
                ("position", sum(a == b for a, b in zip(mine, theirs, strict=False)) / len(mine), "you compare "
                 "position by position; in BLEU an n-gram may stand anywhere in the reference."),
            ])
    return "equal to counting by hand on four pairs of sentences, for words and pairs of words."


@exercise("7.3")
def amplification(answer):
    """The mean bias amplification of Zhao et al. 2017, for two genders."""
    random = np.random.default_rng(5)
    for count in (5, 24):
        true = random.uniform(0.03, 0.97, count)
        shown = np.clip(true + random.normal(0, 0.2, count), 0, 1)
        if count == 5:
            shown = (true > 0.5).astype(float)
        change = shown - true
        towards = np.array([c if t > 0.5 else -c for c, t in zip(change, true, strict=True)])
        got = call(answer, true, shown)
        expect_number(got, float(towards.mean()), name="the amplification", mistakes=[
            ("women only", float(change.mean()), "this is how much the share of women grew; where most are men, "
             "amplification means that it fell, so turn the sign there."),
            ("absolute", float(np.abs(change).mean()), "absolute differences call a share that moved towards one half "
             "amplified too; keep the sign, positive towards the majority."),
            ("towards women's majority", float(change[true > 0.5].mean()) if (true > 0.5).any() else math.nan,
             "the occupations in which men are the majority are left out; count them with the share of men."),
            ("sum", float(towards.sum()), "this is the sum; take the mean over the occupations."),
            ("by what is shown", float(np.where(shown > 0.5, change, -change).mean()), "the majority is taken from "
             "what is shown; it is the majority in truth that counts."),
            ("whoever leads", float((np.maximum(shown, 1 - shown) - np.maximum(true, 1 - true)).mean()), "you take "
             "whichever gender leads in the output; follow the one that is the majority in truth, even where its share "
             "falls below one half."),
            ("reversed", float(-towards.mean()), "the sign is reversed: positive means further towards the majority."),
            ("each", lambda value, t=towards: np.allclose(value, t), "this is the list; return its mean."),
        ])
    return "equal to the reference where the most likely word is taken, and on 24 occupations with noise."


@exercise("7.4")
def at_temperature(answer):
    """A share of one of two outcomes after sampling at a temperature."""
    for share in (0.75, 0.2, 0.5, 0.998):
        for temperature in (0.25, 0.5, 1.0, 2.0):
            odds = share / (1 - share)
            true = odds ** (1 / temperature) / (1 + odds ** (1 / temperature))
            power = share ** (1 / temperature)
            wrong = share**temperature / (share**temperature + (1 - share) ** temperature)
            context = f"for p = {share} and T = {temperature}"
            got = call(answer, share, temperature)
            expect_number(got, true, name="the share", context=context, mistakes=[
                ("not normalised", power, "p^(1/T) is not a probability yet: divide by the sum of both outcomes' "
                 "powers."),
                ("inverted", wrong, "the exponent is T instead of 1/T: a low temperature has to sharpen, and yours "
                 "flattens."),
                ("scaled", share / temperature, "a probability cannot be divided by T; the logits are, and that is the "
                 "power 1/T on the probability."),
                ("scaled down", share * temperature, "a probability is not multiplied by T; the logits are divided by "
                 "T, and that is the power 1/T on the probability."),
                ("softmax of p", 1 / (1 + math.exp(-(2 * share - 1) / temperature)), "you took the probabilities for "
                 "logits; a logit is a logarithm, log p."),
                ("the other", 1 - true, "that is the other outcome's share."),
                ("unchanged", share, "the temperature changes nothing in your formula."),
            ])
    return "equal to the reference for four shares and four temperatures."
