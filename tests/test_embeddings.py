"""GloVe: counts by hand, the loss pair by pair, training that fits; sentences in batches of one length."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from utils import embeddings
from utils.world import World

IDS = {"a": 0, "b": 1, "c": 2}


def document(text: str) -> SimpleNamespace:
    return SimpleNamespace(text=text)


def test_cooccurrences_by_hand():
    X = embeddings.cooccurrences([document("a b c"), document("b a")], IDS, window=2)
    # a-b: distance 1 twice; a-c: distance 2 once; b-c: distance 1 once; nothing across documents
    assert X.tolist() == [[0, 2, 0.5], [2, 0, 1], [0.5, 1, 0]]


def test_cooccurrences_count_a_word_beside_itself_from_both_sides():
    assert embeddings.cooccurrences([document("a a b")], IDS, window=1).tolist() == [[2, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_cooccurrences_do_not_reach_beyond_the_window_or_the_document():
    assert embeddings.cooccurrences([document("a b b c")], IDS, window=2)[0, 2] == 0
    assert embeddings.cooccurrences([document("a"), document("c")], IDS, window=20)[0, 2] == 0


def test_cooccurrences_want_known_words():
    with pytest.raises(KeyError):
        embeddings.cooccurrences([document("a z")], IDS)


def test_weight_of_equation_9():
    weight = embeddings.glove_weight(torch.tensor([0.0, 1.0, 10.0, 1000.0]))
    assert weight.tolist() == pytest.approx([0.0, 0.1**0.75, 1.0, 1.0], abs=1e-6)


def test_loss_pair_by_pair():
    generator = torch.Generator().manual_seed(0)
    X = torch.tensor([[0.0, 3.0], [40.0, 0.2]])
    w, c = torch.randn(2, 5, generator=generator), torch.randn(2, 5, generator=generator)
    b, d = torch.randn(2, generator=generator), torch.randn(2, generator=generator)
    by_hand = sum(
        min(1, X[i, j] / 10) ** 0.75 * (w[i] @ c[j] + b[i] + d[j] - math.log(X[i, j])) ** 2
        for i, j in ((0, 1), (1, 0), (1, 1))
    )
    assert embeddings.glove_loss(X, w, c, b, d).item() == pytest.approx(float(by_hand), rel=1e-5)
    w.requires_grad_()
    embeddings.glove_loss(X, w, c, b, d).backward()
    assert torch.isfinite(w.grad).all()  # the pair that never met must not spoil the gradient


def test_training_fits_the_logarithms_and_repeats():
    world = World(size="small")
    X = embeddings.cooccurrences(world.documents(200, seed=0), world.word_ids)
    vectors, losses = embeddings.train_glove(X, steps=60, seed=4)
    again, _ = embeddings.train_glove(X, steps=60, seed=4)
    assert vectors.shape == (len(world.vocabulary), embeddings.WIDTH) and np.isfinite(vectors).all()
    assert losses[-1] < losses[0] / 10
    assert np.array_equal(vectors, again)
    assert not np.array_equal(vectors, embeddings.train_glove(X, steps=60, seed=5)[0])


def test_axis_position():
    first, second = np.array([[2.0, 1.0], [2.0, -1.0]]), np.array([[-2.0, 3.0], [-2.0, -3.0]])
    assert embeddings.axis_position(np.array([2.0, 9.0]), first, second) == pytest.approx(1)
    assert embeddings.axis_position(np.array([-2.0, 0.0]), first, second) == pytest.approx(-1)
    assert embeddings.axis_position(np.array([0.5, 7.0]), first, second) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="same mean"):
        embeddings.axis_position(np.zeros(2), first, first[::-1])


def test_equal_length_batches_hold_every_sentence_once():
    sentences = ["a b", "b c", "c", "a b c", "c a"]
    batches = embeddings.equal_length_batches(sentences, IDS, batch_size=2, seed=0)
    rows = sorted(tuple(row) for batch in batches for row in batch.tolist())
    assert rows == sorted((3, *(IDS[w] for w in s.split()), 4) for s in sentences)
    assert max(len(batch) for batch in batches) <= 2
    again = embeddings.equal_length_batches(sentences, IDS, batch_size=2, seed=0)
    assert all(torch.equal(a, b) for a, b in zip(batches, again, strict=True))
