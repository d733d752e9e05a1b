"""One vector for every word of a vocabulary, learned from which words stand near each other (GloVe).

    X = cooccurrences(documents, world.word_ids)       # (vocabulary, vocabulary)
    vectors, losses = train_glove(X, seed=0)           # (vocabulary, 64), one loss for each step
    axis_position(vectors[court], vectors[sport_places], vectors[law_places])

Such a vector is static: it is the same in every sentence. For vectors that depend on the sentence see the models of
`utils.models`. Source: Pennington, Socher and Manning 2014 (doi 10.3115/v1/D14-1162).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

WINDOW = 20  # words to each side; wide enough to reach the neighbouring sentences, where the topic shows
WIDTH = 64
X_MAX, ALPHA = 10.0, 0.75  # equation 9; the paper uses 100 and 3/4 for texts of billions of words
STEPS, LEARNING_RATE = 300, 0.05


def cooccurrences(documents: Sequence[Any], word_ids: Mapping[str, int], window: int = WINDOW) -> np.ndarray:
    """X[i, j]: how often word j stands near word i, each meeting counted 1 / distance; (vocabulary, vocabulary).

    documents: objects with `text`, words separated by spaces. Two words meet when they are at most `window` words
    apart in one document; the end of a sentence does not matter. X is symmetric (Pennington et al. 2014, section 4.2).
    Raises KeyError for a word that has no id.
    """
    size = len(word_ids)
    gap = [size] * window  # a word that is thrown away keeps documents apart
    ids = np.array([i for document in documents for i in [*(word_ids[w] for w in document.text.split()), *gap]])
    counts = np.zeros((size + 1) ** 2)
    for distance in range(1, window + 1):
        meetings = ids[:-distance] * (size + 1) + ids[distance:]
        counts += np.bincount(meetings, minlength=len(counts)) / distance
    counts = counts.reshape(size + 1, size + 1)[:size, :size]
    return counts + counts.T


def glove_weight(X: Tensor, x_max: float = X_MAX, alpha: float = ALPHA) -> Tensor:
    """f(X) = min(1, X / x_max) ** alpha: rare pairs count less, pairs that never met not at all (equation 9)."""
    return (X / x_max).clamp(max=1.0) ** alpha


def glove_loss(
    X: Tensor, words: Tensor, contexts: Tensor, word_bias: Tensor, context_bias: Tensor, x_max: float = X_MAX,
    alpha: float = ALPHA,
) -> Tensor:
    """J = sum over i, j of f(X_ij) (w_i . c_j + b_i + d_j - log X_ij)^2, one number (Pennington et al. 2014, eq. 8).

    X: (V, V); words, contexts: (V, width); word_bias, context_bias: (V,). Pairs with X_ij = 0 add nothing.
    """
    log_x = torch.where(X > 0, X, 1.0).log()  # log 0 would be -inf, and 0 * -inf is not a number
    error = words @ contexts.T + word_bias[:, None] + context_bias[None, :] - log_x
    return (glove_weight(X, x_max, alpha) * error**2).sum()


def train_glove(
    X: np.ndarray, width: int = WIDTH, steps: int = STEPS, seed: int = 0, learning_rate: float = LEARNING_RATE
) -> tuple[np.ndarray, list[float]]:
    """Vectors (vocabulary, width) that minimise `glove_loss`, each the sum w_i + c_i as in the paper, and the losses.

    Adam on all pairs at once instead of the paper's AdaGrad on one at a time: the vocabularies here are small.
    """
    generator, size = torch.Generator().manual_seed(seed), len(X)
    words, contexts = (((torch.rand(size, width, generator=generator) - 0.5) / width).requires_grad_() for _ in "wc")
    word_bias, context_bias = (torch.zeros(size, requires_grad=True) for _ in "bd")
    counts = torch.tensor(X, dtype=torch.float32)
    optimizer = torch.optim.Adam([words, contexts, word_bias, context_bias], lr=learning_rate)
    losses = []
    for _ in range(steps):
        loss = glove_loss(counts, words, contexts, word_bias, context_bias)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return (words + contexts).detach().double().numpy(), losses


def equal_length_batches(
    sentences: Sequence[str], word_ids: Mapping[str, int], batch_size: int, seed: int
) -> list[Tensor]:
    """Sentences as ids in batches (sentences, 1 + words + 1) of one length each, so that nothing is padded.

    The id len(word_ids) stands before every sentence, len(word_ids) + 1 after it. All sentences occur once, in an order
    drawn from `seed`; the last batch of a length may be smaller.
    """
    start, end = len(word_ids), len(word_ids) + 1
    by_length: dict[int, list[list[int]]] = {}
    for sentence in sentences:
        ids = [start, *(word_ids[word] for word in sentence.split()), end]
        by_length.setdefault(len(ids), []).append(ids)
    generator, batches = torch.Generator().manual_seed(seed), []
    for _, rows in sorted(by_length.items()):
        table = torch.tensor(rows)
        batches += table[torch.randperm(len(table), generator=generator)].split(batch_size)
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def axis_position(vector: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Where a vector stands between two groups of vectors: +1 at the mean of `first`, -1 at that of `second`.

    vector: (width,); first, second: (members, width). The position is the foot of the perpendicular on the line
    through the two means. Raises ValueError where the means are the same point.
    """
    a, b = first.mean(axis=0), second.mean(axis=0)
    half = (a - b) / 2
    if not half @ half > 0:
        raise ValueError("The two groups have the same mean, so there is no line between them; choose other groups.")
    return float((vector - (a + b) / 2) @ half / (half @ half))
