"""What notebook 01 writes out is what `utils` holds, and its LSTM reads in one direction at a time."""

from __future__ import annotations

import ast
from collections import Counter

import numpy as np
import pytest
import torch

from tests.notebook_parts import FOLDER, Notebook
from utils import embeddings, models, wordpiece
from utils.world import World


@pytest.fixture(scope="module")
def taught() -> dict:
    """The functions and classes that the notebook defines outside its exercises."""
    notebook = Notebook.read(FOLDER / "01_tokens_and_vectors.ipynb")
    names: dict = {}
    exec(notebook.imports, names)
    for cell in notebook.code:
        if "stub" in cell.metadata.get("tags", []):
            continue
        for node in ast.parse(cell.source).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                exec(compile(ast.Module([node], []), "notebook 01", "exec"), names)
    return names


@pytest.fixture(scope="module")
def world() -> World:
    return World(size="small")


def test_longest_match(taught):
    vocabulary = models.load("minilm")[1].get_vocab()
    random = np.random.default_rng(1)
    words = ["".join(random.choice(list("abcdenorst"), random.integers(1, 14))) for _ in range(300)]
    for word in [*words, "☃", "x" * 101]:
        assert taught["longest_match"](word, vocabulary) == wordpiece.longest_match(word, vocabulary)


@pytest.mark.parametrize("criterion", [wordpiece.frequency, wordpiece.ratio, wordpiece.likelihood_gain])
def test_learn_merges(taught, world, criterion):
    words = wordpiece.spell(Counter(" ".join(story.text for story in world.documents(50, seed=2)).split()))
    assert taught["learn_merges"](words, 40, criterion) == wordpiece.learn_merges(words, 40, criterion)


def test_glove(taught, world):
    documents = world.documents(100, seed=2)
    X = taught["cooccurrences"](documents, world.word_ids)
    assert np.array_equal(X, embeddings.cooccurrences(documents, world.word_ids))
    assert np.array_equal(taught["train_glove"](X, steps=20, seed=3), embeddings.train_glove(X, steps=20, seed=3)[0])


def test_input_vectors_equal_the_library(taught):
    model, tokenizer = models.load("world-small")
    batch = tokenizer(["she put the brush away .", "then he went home to zelmar ."], ["it was a good day ."] * 2,
                      padding=True, return_tensors="pt")  # fmt: skip
    with torch.no_grad():
        library = model.base_model.embeddings(batch["input_ids"], batch["token_type_ids"])
        assert torch.allclose(taught["embed"](model, batch), library, atol=1e-6)


def test_each_direction_sees_one_side_only(taught):
    torch.manual_seed(0)
    lstm = taught["TwoDirections"](20, width=8, states=8)
    ids = torch.randint(0, 20, (3, 7))
    changed = ids.clone()
    changed[:, 4] = (ids[:, 4] + 1) % 20  # position 4 of the input is word 3 of the five that are guessed
    with torch.no_grad():
        (past, future), (past_changed, future_changed) = lstm(ids), lstm(changed)
    same = [torch.isclose(a, b).all(dim=2).all(dim=0).tolist()
            for a, b in ((past, past_changed), (future, future_changed))]  # fmt: skip
    assert past.shape == future.shape == (3, 5, 20)
    assert same[0] == [True, True, True, True, False]  # from the left: only words after the change may differ
    assert same[1] == [False, False, False, True, True]  # from the right: only words before it


def test_vectors_are_read_at_the_word(taught):
    model, tokenizer = models.load("world-small")
    sentences = ("she found a bat at the gym .", "the bat was red .")
    items = [taught["senses"].Occurrence("bat", "club", sentence) for sentence in sentences]
    found = taught["layers_at"](model, tokenizer, items)
    for item, vectors in zip(items, found, strict=True):
        place = 1 + item.sentence.split().index("bat")
        with torch.no_grad():
            alone = model(**tokenizer(item.sentence, return_tensors="pt"), output_hidden_states=True).hidden_states
        assert torch.allclose(vectors, torch.stack([layer[0, place] for layer in alone]), atol=1e-5)
