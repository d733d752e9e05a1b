"""Checks of the exercises of notebook 03, next sentence prediction."""

from __future__ import annotations

import math

import numpy as np
import torch

from utils.exercises import call, exercise, expect_items, expect_number, expect_true

IGNORED = -100

DOCUMENTS = [
    ["a cat slept .", "it dreamt of fish .", "then it woke ."],
    ["rain fell ."],
    ["two boys ran .", "one of them won .", "he was proud .", "his sister laughed ."],
]
OTHERS = [
    ["snow lay on the hills .", "the road was closed ."],
    ["she baked bread .", "it smelt good .", "then we ate it .", "nobody was hungry ."],
    ["the train stood still ."],
    ["he sang .", "they clapped ."],
]
CASES = (
    (DOCUMENTS, [False, True, True, False, True], [0.10, 0.85, 0.40, 0.99, 0.05]),
    (OTHERS, [True, False, True, True, False], [0.62, 0.30, 0.95, 0.08, 0.50]),
    (OTHERS[1:], [True, True, False, True], [0.45, 0.99, 0.20, 0.75]),
)


def _pairs(documents, spoil, choice, *, inverted=False, own_too=False, across=False, spoil_first=False,
           restarts=False, nearest=False):
    """The pairs of the documents, soundly or with one mistake."""
    sentences = [(d, s) for d, document in enumerate(documents) for s in document]
    pairs, draws = [], iter(zip(spoil, choice, strict=True))
    rows = [(d, document[i], document[i + 1]) for d, document in enumerate(documents) for i in range(len(document) - 1)]
    if across:
        rows = [(d, s, after) for (d, s), (_, after) in zip(sentences, sentences[1:], strict=False)]
    place = {}
    for d, first, second in rows:
        wrong, where = next(draws, (False, 0.0))
        if restarts:
            place[d] = place.get(d, -1) + 1
            wrong, where = spoil[place[d]], choice[place[d]]
        others = [s for e, s in sentences if own_too or e != d]
        if wrong:
            drawn = others[round(where * len(others)) % len(others) if nearest else int(where * len(others))]
            first, second = (drawn, second) if spoil_first else (first, drawn)
        pairs.append((first, second, int(wrong != inverted)))
    return pairs


@exercise("3.1")
def build_pairs(answer):
    """Sentence pairs with their labels, from documents and given draws."""
    for documents, spoil, choice in CASES:
        _one_list(call(answer, documents, list(spoil), list(choice)), documents, spoil, choice)
    return "the right pairs from three lists of documents, 0 for IsNext, no stranger from the pair's own document."


def _one_list(got, documents, spoil, choice):
    """Hold one list of pairs against what the draws ask for."""
    expect_true(isinstance(got, list | tuple) and len(got) > 0 and all(
        isinstance(p, list | tuple) and len(p) == 3 for p in got),
        "return a list of triples (first, second, label), one for each pair.")
    expect_true(all(p[2] in (0, 1) for p in got), "the third of each triple is its label, 0 or 1.")
    got = [(p[0], p[1], int(p[2])) for p in got]
    expected = _pairs(documents, spoil, choice)
    last = [document[-1] for document in documents]
    expect_true(len(got) <= len(expected) or all(first not in last for first, _, _ in got),
                "a pair begins with the last sentence of a document, which has no neighbour there; the next "
                "sentence in the list belongs to another document, so it is no IsNext.")

    def mistaken(**how):
        return _pairs(documents, spoil, choice, **how)

    expect_items(got, expected, name="your list of pairs", mistakes=[
        ("inverted", mistaken(inverted=True),
         "the labels are the wrong way round: in BERT 0 means IsNext and 1 NotNext, though 1 would look like 'yes'."),
        ("own document", mistaken(own_too=True),
         "you draw from all sentences, so a wrong neighbour may come from the same document, or even be the right "
         "one; leave the pair's own document out."),
        ("first replaced", mistaken(spoil_first=True),
         "you replace the first sentence; the first stays, and the second is exchanged."),
        ("restarts", mistaken(restarts=True),
         "k begins again at 0 in each document; it counts the pairs of all documents together."),
        ("rounded", mistaken(nearest=True),
         "the number of the stranger is rounded to the nearest; take int(choice[k] * len(others)), which cuts off."),
        ("all labelled next", [(a, b, 0) for a, b, _ in expected],
         "every label is 0; a pair whose second sentence was replaced is NotNext, 1."),
    ])


@exercise("3.2")
def pair_loss(answer):
    """The next-sentence loss, with single sentences left out."""
    generator = torch.Generator().manual_seed(5)
    for labels in ([0, 1, 1, 0], [1, IGNORED, 0, 0, IGNORED, 1]):
        labels = torch.tensor(labels)
        logits = 3 * torch.randn(len(labels), 2, generator=generator)
        kept = labels != IGNORED
        rows = torch.arange(len(labels))[kept]
        log_p = logits.log_softmax(-1)
        price = -log_p[rows, labels[kept]]
        other = -log_p[rows, 1 - labels[kept]]
        counted = torch.zeros(len(labels))
        counted[kept] = price
        got = call(answer, logits, labels)
        expect_number(got, float(price.mean()), tolerance=1e-5, name="the loss", unit="nats", mistakes=[
            ("inverted", float(other.mean()),
             "you charge for the other column: column 0 of the logits belongs to label 0, IsNext."),
            ("no normaliser", float(-logits[rows, labels[kept]].mean()),
             "that is minus the logit; a logit is no log-probability until log(exp(z0) + exp(z1)) is subtracted."),
            ("probability", float((1 - price.neg().exp()).mean()),
             "that is one minus the probability; the price is minus its logarithm."),
            ("singles", lambda value, c=counted: abs(value - float(c.mean())) < 1e-5 and not bool((c > 0).all()),
             "you divide by all texts; a label of -100 marks a single sentence that was asked nothing, so divide by "
             "the others only."),
            ("singles asked", float(-log_p[torch.arange(len(labels)), (labels == 1).long()].mean()),
             "a text with label -100 was counted as IsNext; leave it out."),
            ("sum", float(price.sum()), "this is the sum; divide by the number of pairs."),
            ("sign", -float(price.mean()), "the sign is wrong: a price is minus the log-probability."),
            ("down the batch", float(-logits[kept].log_softmax(0)[torch.arange(int(kept.sum())), labels[kept]].mean()),
             "your softmax runs down the batch; it must run over the two columns of each pair (dim -1)."),
        ])
    return "equal to the reference within 1e-5 on two batches, one of them with single sentences."


@exercise("3.3")
def posterior(answer):
    """P(IsNext | pair) from the pair's two log-probabilities."""
    for log_next, log_other in ((-3.0, -2.0), (-41.2, -43.0), (-900.0, -903.0), (-math.inf, -30.0), (-30.0, -math.inf)):
        true = 1 / (1 + math.exp(log_other - log_next))
        finite = math.isfinite(log_next)
        context = f"for log_next = {log_next} and log_other = {log_other}"
        got = call(answer, log_next, log_other)
        expect_number(got, true, tolerance=1e-6, name="P(IsNext | pair)", context=context, mistakes=[
            ("not a number", lambda value: math.isnan(value),
             "for log-probabilities near -900 both exponentials are 0 and their ratio is nan; use the difference of "
             "the two logarithms, which is small."),
            ("the other", 1 - true, "that is P(NotNext | pair); the wanted relation belongs in the numerator."),
            ("odds", math.exp(log_next - log_other), "these are the odds next : other; a probability is "
             "odds / (1 + odds)."),
            ("log-odds", log_next - log_other, "these are the log-odds, and still have to go through the sigmoid."),
            ("ratio of logarithms", log_next / (log_next + log_other) if finite else math.nan,
             "you divide logarithms by each other; Bayes' rule divides probabilities."),
            ("likelihood", math.exp(log_next), "this is P(pair | IsNext), the likelihood; the posterior compares it "
             "with P(pair | NotNext)."),
        ])
    return "equal to Bayes' rule, also where both probabilities are too small for a float, and where one is 0."


@exercise("3.4")
def area_under_curve(answer):
    """The share of (positive, negative) comparisons that the positive wins, ties counted half."""
    random = np.random.default_rng(8)
    cases = (
        (random.normal(0.6, 0.3, 30), random.normal(0.2, 0.3, 45)),
        (np.array([0.1, 0.4, 0.4, 0.9]), np.array([0.4, 0.1, 0.3])),
        (np.array([0.3, 0.7, 0.5]), np.array([0.3, 0.7, 0.5])),
    )
    for positive, negative in cases:
        difference = positive[:, None] - negative[None, :]
        wins, ties = (difference > 0).mean(), (difference == 0).mean()
        same = min(len(positive), len(negative))
        got = call(answer, positive, negative)
        expect_number(got, float(wins + ties / 2), tolerance=1e-6, name="the area", mistakes=[
            ("ties lost", float(wins), "ties count as lost; give half a point for each, or a score that cannot tell "
             "the groups apart would look worse than chance."),
            ("ties won", float(wins + ties), "ties count as won; give half a point for each, or a constant score "
             "would look perfect."),
            ("reversed", float((difference < 0).mean() + ties / 2), "the sides are exchanged: count how often the "
             "positive is the higher one."),
            ("side by side", float((np.sign(positive[:same] - negative[:same]) / 2 + 0.5).mean()),
             "you compare the scores side by side; every positive is compared with every negative."),
            ("means", float(positive.mean() - negative.mean()), "this is the difference of the means, which depends on "
             "the scale of the scores; count comparisons instead."),
            ("sum", float((difference > 0).sum() + (difference == 0).sum() / 2),
             "this is the number of comparisons won; divide by how many there are."),
        ])
    return "equal to counting all comparisons, with ties, and one half for two equal groups."


