"""Checks of the exercises of notebook 01, tokens and vectors."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from transformers import BertTokenizer

from utils import corpus
from utils.exercises import call, exercise, expect_array, expect_number, expect_true, refuse

X_MAX, ALPHA = 10.0, 0.75

# Words as pieces with the times they occur; a piece occurs in several words, and one occurs twice in a word.
TEXTS = (
    {("b", "##a", "##k", "##e"): 5, ("b", "##a", "##k", "##e", "##r"): 2, ("r", "##e", "##a", "##d"): 3},
    {("s", "##e", "##e"): 4, ("s", "##he"): 7},
)


def _spread_out(words: dict) -> list[str]:
    """The text as one long list of pieces."""
    return [piece for pieces, count in words.items() for _ in range(count) for piece in pieces]


@exercise("1.1")
def log_likelihood(answer):
    """log P(text) when every piece is drawn independently with its own share of the text."""
    for words in TEXTS:
        tokens = _spread_out(words)
        share = {piece: tokens.count(piece) / len(tokens) for piece in tokens}
        expected = sum(math.log(share[piece]) for piece in tokens)
        listed = [piece for pieces in words for piece in pieces]  # each word once, however often it occurs
        unweighted = sum(math.log(listed.count(piece) / len(listed)) for piece in listed)
        kinds = len(share)
        got = call(answer, words)
        expect_number(got, expected, tolerance=1e-6, relative=1e-6, name="the log-likelihood", unit="nats", mistakes=[
            ("unweighted", unweighted,
             "you count every word once; a word that occurs 5 times puts its pieces into the text 5 times."),
            ("mean", expected / len(tokens), "that is the mean per piece; asked is the sum over the whole text."),
            ("sign", -expected, "the sign is turned round: log of a share is negative, and so is their sum."),
            ("bits", expected / math.log(2), "that is in bits; take the natural logarithm."),
            ("kinds", sum(math.log(tokens.count(piece) / kinds) for piece in tokens),
             "you divide by the number of different pieces; N is the number of all pieces in the text."),
            ("once per kind", sum(math.log(value) for value in share.values()),
             "each kind of piece is added once; the text draws it c(x) times, so its term counts c(x) times."),
        ])  # fmt: skip
    return "equal to the reference within a millionth on two texts."


def _small_tokenizer() -> BertTokenizer:
    pieces = ["mary", "john", "chi", "##di", "ngo", "##zi", "##nu", "a", "##ma", "##ra", "##chi"]
    return BertTokenizer(vocab={piece: i for i, piece in enumerate([*corpus.SPECIAL_TOKENS, *pieces])})


@exercise("1.2")
def pieces_per_name(answer):
    """The mean number of pieces of a list of names."""
    tokenizer = _small_tokenizer()
    # Cut by hand: mary | john | chi ##di | ngo ##zi | a ##ma ##ra ##chi
    for names, counts in (
        (["Mary", "Chidi", "Amarachi"], [1, 2, 4]),
        (["Mary", "John", "Ngozi", "Chidi"], [1, 1, 2, 2]),
    ):
        cut = [count > 1 for count in counts]
        expect_number(call(answer, names, tokenizer), np.mean(counts), tolerance=1e-6, name="the mean", mistakes=[
            ("special tokens", np.mean(counts) + 2,
             "each of your names has two tokens too many: calling the tokenizer adds [CLS] and [SEP]; "
             "use tokenizer.tokenize."),
            ("padding", max(counts) + 2.0,
             "every name comes out as long as the longest: padding and [CLS], [SEP] are counted as pieces."),
            ("joined", (sum(counts) + 2) / len(names),
             "[CLS] and [SEP] around the joined names are counted; use tokenizer.tokenize on each name."),
            ("share", np.mean(cut), "that is the share of names that are cut; asked is the mean number of pieces."),
            ("extra", np.mean(counts) - 1, "that is the mean number of cuts; a name cut once has two pieces."),
            ("sum", sum(counts), "that is the number of all pieces; divide by the number of names."),
            ("letters", np.mean([len(name) for name in names]),
             "you count letters; asked are pieces of the tokenizer's vocabulary."),
        ])  # fmt: skip
    return "equal to names cut by hand, for two lists."


@exercise("1.3")
def layer_norm(answer):
    """LayerNorm over the last axis."""
    generator = torch.Generator().manual_seed(13)
    x = 3 * torch.randn(2, 4, 6, generator=generator) + 1  # (batch, sequence, width)
    weight, bias = torch.rand(6, generator=generator) + 0.5, torch.randn(6, generator=generator)
    for eps in (1e-12, 0.5):
        got = call(answer, x, weight, bias, eps)
        expect_array(got, _norm(x, weight, bias, eps), tolerance=1e-5, name="the output", mistakes=[
            ("raw", _norm(x, torch.ones(6), torch.zeros(6), eps),
             "mean and spread are right, but the learned weight and bias are not applied."),
            ("unbiased", _norm(x, weight, bias, eps, ddof=1),
             "your variance divides by width - 1; LayerNorm divides by the width (unbiased=False)."),
            ("eps outside", _norm(x, weight, bias, 0.0, outside=eps),
             "eps is added to the standard deviation; it belongs under the root, added to the variance."),
            ("no eps", _norm(x, weight, bias, 0.0), "eps is not used; add it to the variance, under the root."),
            ("no root", _norm(x, weight, bias, eps, power=1.0),
             "you divide by the variance; divide by its square root."),
            ("sequence", _norm(x, weight, bias, eps, axis=1),
             "you normalise over the sequence; every vector is normalised by itself, over its own last axis."),
            ("whole tensor", _norm(x, weight, bias, eps, axis=None),
             "you normalise with one mean for the whole tensor; take mean and variance over the last axis, "
             "with keepdim=True."),
        ])  # fmt: skip
    return "equal to the reference within 1e-5, with a small eps and with a large one."


def _norm(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, axis: int | None = -1, ddof: int = 0, power: float = 0.5,
    outside: float = 0.0,
) -> np.ndarray:
    """LayerNorm and its misunderstandings, in numpy and double precision."""
    values = x.double().numpy()
    mean = values.mean(axis=axis, keepdims=True)
    variance = values.var(axis=axis, keepdims=True, ddof=ddof)
    scaled = (values - mean) / ((variance + eps) ** power + outside)
    return scaled * weight.double().numpy() + bias.double().numpy()


@exercise("1.4")
def glove_loss(answer):
    """The weighted least-squares loss of GloVe, equation 8."""
    generator = torch.Generator().manual_seed(8)
    X = torch.tensor([[0.0, 2.0, 30.0, 0.5], [3.0, 0.0, 7.0, 12.0], [25.0, 6.0, 4.0, 0.0], [0.7, 11.0, 0.0, 9.0]])
    w, c = torch.randn(4, 3, generator=generator), torch.randn(4, 3, generator=generator)
    b, d = torch.randn(4, generator=generator), torch.randn(4, generator=generator)
    got = call(answer, X, w, c, b, d)
    if bool(torch.isnan(torch.as_tensor(got, dtype=torch.float64)).any()):
        refuse("the loss is not a number: X has zeros, log 0 is -inf, and 0 times -inf is nan; put something "
               "harmless under the logarithm where X is 0.")  # fmt: skip
    right = _glove(X, w, c, b, d)
    expect_number(got, right, tolerance=1e-3, relative=1e-5, name="the loss", mistakes=[
        ("unweighted", _glove(X, w, c, b, d, weigh=lambda x: float(x > 0)),
         "every pair that met weighs the same; multiply each squared error by f(X)."),
        ("no cap", _glove(X, w, c, b, d, weigh=lambda x: (x / X_MAX) ** ALPHA),
         "frequent pairs weigh more than 1; f(X) stops at 1 where X reaches x_max."),
        ("no alpha", _glove(X, w, c, b, d, weigh=lambda x: min(1.0, x / X_MAX)),
         "the exponent is missing in the weight: f(X) = min(1, X / x_max) ** 0.75."),
        ("biases swapped", _glove(X, w, c, d, b),
         "the biases are on the wrong side: b belongs to the rows (words), d to the columns (contexts)."),
        ("vectors swapped", _glove(X, c, w, b, d),
         "the product is transposed: row i belongs to w[i], column j to c[j]."),
        ("x_max 100", _glove(X, w, c, b, d, weigh=lambda x: min(1.0, x / 100) ** ALPHA),
         "x_max is 10 here; 100 is the paper's value, for billions of words."),
        ("no biases", _glove(X, w, c, 0 * b, 0 * d), "the two biases are missing from the bracket."),
        ("no log", _glove(X, w, c, b, d, target=lambda x: x), "the products should meet log X, not X itself."),
        ("mean", right / X.numel(), "that is the mean over all pairs; equation 8 is a sum."),
        ("smoothed", _glove(X, w, c, b, d, target=lambda x: math.log(x + 1)),
         "you use log(X + 1), which changes every pair; leave log X as it is and let f(0) = 0 remove the zeros."),
    ])  # fmt: skip
    return "equal to a loop over all pairs, pairs that never met and pairs above x_max among them."


def _glove(X, w, c, b, d, weigh=lambda x: min(1.0, x / X_MAX) ** ALPHA, target=math.log) -> float:
    """Equation 8 pair by pair, with nothing vectorised."""
    total = 0.0
    for i in range(len(X)):
        for j in range(len(X)):
            x = float(X[i, j])
            if x > 0:
                product = sum(float(w[i, k]) * float(c[j, k]) for k in range(w.shape[1]))
                total += weigh(x) * (product + float(b[i]) + float(d[j]) - target(x)) ** 2
    return total


@exercise("1.5")
def nearer(answer):
    """1, 1/2 or 0: is the anchor's cosine with the same sense larger than with the other?"""
    anchor = torch.tensor([[1.0, 0.0], [1.0, 0.0], [2.0, 1.0], [0.0, 3.0], [1.0, 1.0], [1.0, 2.0]])
    same = torch.tensor([[1.0, 0.2], [0.2, 1.0], [2.0, 1.0], [0.5, 1.0], [0.3, 0.3], [1.0, 2.1]])
    other = torch.tensor([[4.0, 4.0], [1.0, 1.0], [2.0, 1.0], [9.0, 8.0], [1.2, 0.6], [3.0, -1.0]])
    right = [1.0, 0.0, 0.5, 1.0, 1.0, 1.0]
    dot = (anchor * same).sum(1) - (anchor * other).sum(1)
    apart = (anchor - other).norm(dim=1) - (anchor - same).norm(dim=1)
    got = call(answer, anchor, same, other)
    got = torch.as_tensor(got) if isinstance(got, list | tuple) else got
    shape = tuple(getattr(got, "shape", ()))
    expect_true(shape == (6,), f"one score for each triple is asked, shape (6,); yours has shape {shape}.")
    expect_array(got.double() if isinstance(got, Tensor) else got, right, tolerance=1e-6, name="the score", mistakes=[
        ("ties right", [1.0, 0, 1, 1, 1, 1],
         "a tie scores 1: a vector that never changes would then be right every time; score a tie 1/2."),
        ("ties wrong", [1.0, 0, 0, 1, 1, 1],
         "a tie scores 0: a vector that never changes would look worse than a coin; score a tie 1/2."),
        ("dot product", torch.where(dot == 0, 0.5, (dot > 0).double()),
         "that is the dot product, which favours long vectors; divide by both lengths to get the cosine."),
        ("dot product, no ties", (dot > 0).double(),
         "that is the dot product, which favours long vectors, and it has no ties; compare cosines."),
        ("distance", torch.where(apart == 0, 0.5, (apart > 0).double()),
         "that is the Euclidean distance; compare the cosines of the angles."),
        ("reversed", [0.0, 1, 0.5, 0, 0, 0], "it is the wrong way round: 1 where the same sense is nearer."),
    ])  # fmt: skip
    return "right on six triples: a tie, a long vector that only looks near, and a short one that is."
