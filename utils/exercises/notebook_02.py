"""Checks of the exercises of notebook 02, masked language modelling."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.exercises import call, exercise, expect_array, expect_detector, expect_number, expect_true

MASK_ID, IGNORED = 97, -100


def _losses(seed: int) -> tuple[Tensor, Tensor]:
    """Losses (3 texts, 7 positions) and labels with a different number of questions in each text."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.full((3, 7 + seed), IGNORED)
    for row, asked in enumerate(([1, 4], [2 + seed], [1, 3, 5, 4 + seed, 6 + seed][:: 1 if seed > 1 else -1])):
        labels[row, asked] = torch.randint(5, 30, (len(asked),), generator=generator)
    losses = torch.rand(3, 7 + seed, generator=generator) * 4
    losses[0, 6] = losses[1, 5] = losses[0, 4] = 0.0  # certain and right, where nothing and where something was asked
    return losses, labels


@exercise("2.1")
def masked_mean(answer):
    """The mean loss over the positions that were asked."""
    for seed in (1, 2):
        losses, labels = _losses(seed)
        asked = labels != IGNORED
        per_text = (losses * asked).sum(1) / asked.sum(1)
        got = call(answer, losses, labels)
        expect_number(got, float(losses[asked].mean()), tolerance=1e-6, name="the mean", unit="nats", mistakes=[
            ("every position", float(losses.mean()),
             "your mean runs over every position; divide by the number of positions with a label, not by all."),
            ("zeros counted", float((losses * asked).mean()),
             "you set the other losses to zero but still divide by all positions; divide by the number asked."),
            ("sum", float(losses[asked].sum()), "this is the sum over the asked positions; divide by their number."),
            ("by loss", float(losses[losses > 0].mean()),
             "you chose the positions by their loss; choose them by their label: -100 where nothing was asked."),
            ("mean of means", float(per_text.mean()),
             "this is the mean of each text's mean, so a text with one question counts as much as one with four; "
             "put all questions together."),
        ])
    return "equal to the reference on two batches whose texts have 1, 2 and 4 questions."


def _draws(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    input_ids = torch.randint(5, 90, (40, 12), generator=generator)
    special = torch.zeros_like(input_ids, dtype=torch.bool)
    special[:, 0] = special[:, -1] = True
    input_ids[:, 0], input_ids[:, -1] = 2, 3
    special[::2, 6], input_ids[::2, 6] = True, 3  # the [SEP] between two sentences
    draw, fate = torch.rand(40, 12, generator=generator), torch.rand(40, 12, generator=generator)
    draw[1, 1:5] = torch.tensor([0.1495, 0.1505, 0.02, 0.02])  # close to the borders on both sides
    fate[1, 1:5] = torch.tensor([0.7995, 0.5, 0.8005, 0.9005])
    return input_ids, special, draw, fate, torch.randint(5, 90, (40, 12), generator=generator)


@exercise("2.2")
def corrupt(answer):
    """BERT's 80/10/10 corruption, from given random numbers."""
    input_ids, special, draw, fate, random_ids = _draws(3)
    selected = (draw < 0.15) & ~special
    expected = torch.where(selected & (fate < 0.8), MASK_ID, input_ids)
    expected = torch.where(selected & (fate >= 0.8) & (fate < 0.9), random_ids, expected)
    labels = torch.where(selected, input_ids, IGNORED)
    got = call(answer, input_ids, special, draw, fate, random_ids, MASK_ID)
    expect_true(isinstance(got, tuple | list) and len(got) == 2,
                "return two tensors, the corrupted input_ids and the labels: `return corrupted, labels`.")
    with_special = draw < 0.15
    hidden = torch.where(selected & (fate < 0.8), MASK_ID, input_ids)
    swapped = torch.where(selected & (fate >= 0.9), random_ids, hidden)
    unconditional = torch.where(~special & (fate < 0.8), MASK_ID, input_ids)
    changed = torch.where(expected != input_ids, input_ids, IGNORED)
    expect_array(got[1], labels, name="labels", mistakes=[
        ("exchanged", expected, "return the corrupted ids first, then the labels."),
        ("only changed", changed, "your labels leave out the selected words that were kept; those are asked too."),
        ("specials", torch.where(with_special, input_ids, IGNORED),
         "you also ask for [CLS] and [SEP]; a special token is never selected."),
        ("everywhere", input_ids, "every position has a label; put -100 wherever the word was not selected."),
        ("after", torch.where(selected, expected, IGNORED),
         "your labels hold the corrupted word, so the answer to [MASK] would be [MASK]; keep the original word."),
    ])
    expect_true(not torch.equal(torch.as_tensor(got[0]), labels), "return the corrupted ids first, then the labels.")
    expect_array(got[0], expected, name="corrupted input_ids", mistakes=[
        ("all masked", torch.where(selected, MASK_ID, input_ids),
         "every selected word became [MASK]; a tenth should become a random word and a tenth stay."),
        ("not selected", torch.where(unconditional == MASK_ID, MASK_ID, expected),
         "you hide four fifths of all words; the 80 % is a share of the selected words only."),
        ("order", swapped,
         "random and kept are exchanged: fate in [0.8, 0.9) means a random word, above that it stays."),
        ("unselected", torch.where(~special & (fate < 0.8), MASK_ID,
                                   torch.where(~special & (fate >= 0.8) & (fate < 0.9), random_ids, input_ids)),
         "you apply 80/10/10 to every word; apply it to the selected ones."),
    ])
    return "equal to the reference on 40 texts, special tokens untouched."


@exercise("2.3")
def kl_divergence(answer):
    """KL(p || q) of two distributions given as dictionaries, in nats."""
    cases = (
        ({"she": 0.8, "he": 0.2}, {"she": 0.6, "he": 0.4}),
        ({"pan": 0.5, "ladle": 0.5, "saw": 0.0}, {"saw": 0.1, "ladle": 0.2, "pan": 0.7}),
        ({"ball": 0.94, "net": 0.05, "bat": 0.01}, {"bat": 0.3, "ball": 0.5, "net": 0.2}),
    )
    for p, q in cases:
        true = sum(a * math.log(a / q[w]) for w, a in p.items() if a > 0)
        reverse = sum(b * math.log(b / p[w]) if p[w] > 0 else math.inf for w, b in q.items())
        cross = -sum(a * math.log(q[w]) for w, a in p.items())
        got = call(answer, p, q)
        expect_number(got, true, tolerance=1e-6, name="KL(p || q)", unit="nats", mistakes=[
            ("reverse", reverse, "this is KL(q || p); the average is taken under p, the true distribution."),
            ("bits", true / math.log(2), "this is in bits; use the natural logarithm for nats."),
            ("cross-entropy", cross,
             "this is the cross-entropy, which still contains the entropy of p; subtract H(p)."),
            ("shifted", lambda value, true=true: 0 < abs(value - true) < 1e-3,
             "this is close but not equal; add no small constant, leave out the words with p = 0 instead."),
            ("negative", -true, "the sign is turned: the ratio inside the logarithm is p over q."),
            ("no number", lambda value: math.isnan(value),
             "a word with p = 0 makes this nan; such a word adds nothing (p log p goes to 0), so leave it out."),
        ])
    return "equal to the definition, also where a word has probability 0."


Loss = Callable[[Tensor, Tensor], Tensor]


def _sound(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED)


def _sound_by_hand(logits: Tensor, labels: Tensor) -> Tensor:
    asked = labels != IGNORED
    return -logits.log_softmax(-1)[asked].gather(-1, labels[asked][:, None]).mean()


def _mean_first(logits: Tensor, labels: Tensor) -> Tensor:
    asked = (labels != IGNORED).float()
    loss = F.cross_entropy(logits.flatten(0, -2), labels.clamp(min=0).flatten())
    return (loss * asked).sum() / asked.sum()


def _divided_by_all(logits: Tensor, labels: Tensor) -> Tensor:
    losses = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction="none")
    return losses.mean()


def _shifted(logits: Tensor, labels: Tensor) -> Tensor:
    return _sound(logits[:, :-1], labels[:, 1:])


def _mean_of_means(logits: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([_sound(row[None], asked[None]) for row, asked in zip(logits, labels, strict=True)]).mean()


def _raising_is_failing(implementation: Callable) -> Callable:
    """A broken implementation that raises on the learner's case counts as caught."""

    def guarded(*inputs):
        try:
            return implementation(*inputs)
        except (IndexError, RuntimeError, ValueError) as error:
            raise AssertionError(f"the implementation raised {type(error).__name__}") from error

    return guarded


@exercise("2.4")
def is_sound_loss(answer):
    """A test that tells a sound masked loss from faulty ones."""
    expect_detector(
        lambda implementation: call(answer, implementation),
        correct=[("torch's cross_entropy with ignore_index", _sound), ("log-softmax by hand", _sound_by_hand)],
        faulty=[
            ("mean first", _mean_first, "your test passes a loss that takes the mean before it multiplies by the "
             "mask, so the words that were not asked count too; change their logits and see whether the loss moves."),
            ("divided by all", _divided_by_all, "your test passes a loss that divides by all positions; compare with a "
             "value you know, such as log(vocabulary) for logits that are all zero."),
            ("mean of means", _mean_of_means, "your test passes a loss that averages each text first and then the "
             "texts; use two texts with different numbers of questions and different prices."),
            ("shifted", _raising_is_failing(_shifted),
             "your test passes a loss that compares each word with the prediction one place "
             "earlier, as a left-to-right model does; make the logits right at the asked place and wrong next to it."),
        ],
    )
    return "your test passes two sound losses and catches four faulty ones."


Embed = Callable[[Tensor, Tensor, Tensor], Tensor]


def _embed(input_ids: Tensor, words: Tensor, positions: Tensor) -> Tensor:
    return words[input_ids] + positions[torch.arange(input_ids.shape[1])]


def _embed_library(input_ids: Tensor, words: Tensor, positions: Tensor) -> Tensor:
    place = torch.arange(input_ids.shape[1]).expand_as(input_ids)
    return F.embedding(input_ids, words) + F.embedding(place, positions)


def _along_the_batch(input_ids: Tensor, words: Tensor, positions: Tensor) -> Tensor:
    return words[input_ids] + positions[torch.arange(input_ids.shape[0])][:, None]


def _without(input_ids: Tensor, words: Tensor, positions: Tensor) -> Tensor:
    return words[input_ids] + 0 * positions[0]


def _same_place(input_ids: Tensor, words: Tensor, positions: Tensor) -> Tensor:
    return words[input_ids] + positions[1]


@exercise("2.5")
def is_sound_embedding(answer):
    """A test that tells sound position embeddings from faulty ones."""
    expect_detector(
        lambda implementation: call(answer, implementation),
        correct=[("indexing", _embed), ("torch's embedding", _embed_library)],
        faulty=[
            ("batch axis", _raising_is_failing(_along_the_batch),
             "your test passes positions that run along the batch; put one text into "
             "two rows and ask that both get the same vectors."),
            ("no positions", _without, "your test passes an embedding without positions; put one word at two places of "
             "a text and ask that the vectors differ."),
            ("constant", _same_place, "your test passes an embedding that gives every place the same position; compare "
             "with the sum you expect at one place."),
        ],
    )
    return "your test passes two sound embeddings and catches three faulty ones."
