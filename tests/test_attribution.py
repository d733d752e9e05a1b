"""Attributions on games and models whose answers can be worked out by hand, the axioms, padding, and captum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, LayerIntegratedGradients, ShapleyValues
from transformers import BertConfig, BertForSequenceClassification

from utils import attribution as at
from utils import models


def table(players, value):
    """A game from a function of the set of players present."""
    return lambda shown: np.array([float(value(set(np.flatnonzero(row)))) for row in np.atleast_2d(shown)])


OR = table(2, lambda s: bool(s))
AND = table(2, lambda s: len(s) == 2)
GLOVES = table(3, lambda s: 0 in s and bool(s & {1, 2}))  # one left glove, two right ones; a pair is worth 1
SUM = table(3, lambda s: sum({0: 1.0, 1: -2.0, 2: 0.5}[i] for i in s))


@pytest.mark.parametrize(
    ("worth", "players", "by_hand", "occluded"),
    [
        (OR, 2, [1 / 2, 1 / 2], [0, 0]),  # either is enough: taking one away costs nothing
        (AND, 2, [1 / 2, 1 / 2], [1, 1]),  # both are needed: each seems to be worth everything
        (GLOVES, 3, [2 / 3, 1 / 6, 1 / 6], [1, 0, 0]),
        (SUM, 3, [1, -2, 0.5], [1, -2, 0.5]),  # where nothing interacts all agree
    ],
)
def test_toys_by_hand(worth, players, by_hand, occluded):
    assert np.allclose(at.exact_shapley(worth, players), by_hand)
    assert np.allclose(at.occlude(worth, players), occluded)
    assert np.allclose(at.marginal_contributions(worth, players, at.all_orders(players)).mean(0), by_hand)


def random_game(players, seed):
    values = np.random.default_rng(seed).normal(size=2**players)
    return lambda shown: values[np.atleast_2d(shown).astype(int) @ (2 ** np.arange(players))]


@pytest.mark.parametrize("players", [1, 2, 3, 5])
def test_exact_values_equal_the_mean_over_all_orders(players):
    worth = random_game(players, seed=players)
    every = at.marginal_contributions(worth, players, at.all_orders(players))
    assert np.allclose(at.exact_shapley(worth, players), every.mean(0))
    whole, nothing = worth(np.array([[True] * players, [False] * players]))
    assert np.allclose(every.sum(1), whole - nothing), "each order shares out the same amount"


def test_axioms_of_shapley():
    worth, other = random_game(4, 1), random_game(4, 2)
    one, two = at.exact_shapley(worth, 4), at.exact_shapley(other, 4)
    both = at.exact_shapley(lambda shown: 2 * worth(shown) - other(shown), 4)
    assert np.allclose(both, 2 * one - two), "linear in the game"
    null = at.exact_shapley(lambda shown: worth(np.atleast_2d(shown) & [True, True, True, False]), 4)
    assert abs(null[3]) < 1e-12, "a player who changes nothing gets nothing"


def test_random_orders_come_in_reversed_pairs_and_from_the_seed():
    orders = at.random_orders(5, 6, seed=3)
    assert orders.shape == (6, 5) and all(sorted(order) == [0, 1, 2, 3, 4] for order in orders.tolist())
    assert (orders[1::2] == orders[0::2, ::-1]).all()
    assert (at.random_orders(5, 6, seed=3) == orders).all() and (at.random_orders(5, 6, seed=4) != orders).any()
    assert at.random_orders(5, 3, seed=3).shape == (3, 5), "an odd number of orders is cut"


def test_too_many_players_to_enumerate():
    with pytest.raises(ValueError, match="17 players"):
        at.exact_shapley(OR, 17)


# ------------------------------------------------------------------------------------------ log-odds


def test_log_odds():
    logits = torch.tensor([[1.0, -0.5], [0.0, 0.0]])
    assert torch.allclose(at.log_odds(logits, 0), logits[:, 0] - logits[:, 1])
    three = torch.tensor([[0.3, 2.0, -1.0]])
    p = three.softmax(-1)[0, 1]
    assert torch.allclose(at.log_odds(three, 1), (p / (1 - p)).log())
    assert torch.isfinite(at.log_odds(torch.tensor([[500.0, 0.0]]), 0)).all()
    for classes, target in ((1, 0), (2, 2)):
        with pytest.raises(ValueError, match="classes"):
            at.log_odds(torch.zeros(1, classes), target)


# ------------------------------------------------------------------------------------------ a model, exactly


class Linear(torch.nn.Module):
    """A classifier that adds up one number per token: everything about it is known."""

    def __init__(self, size: int, width: int = 4):
        super().__init__()
        random = torch.Generator().manual_seed(0)
        self.table = torch.nn.Embedding(size, width)
        self.table.weight.data = torch.randn(size, width, generator=random)
        self.direction = torch.randn(width, generator=random)

    def get_input_embeddings(self):
        return self.table

    def forward(self, input_ids=None, attention_mask=None, token_type_ids=None, inputs_embeds=None):
        vectors = self.table(input_ids) if inputs_embeds is None else inputs_embeds
        each = (vectors @ self.direction) * attention_mask
        return type("Output", (), {"logits": torch.stack([0 * each.sum(1), each.sum(1)], dim=1)})()


@pytest.fixture(scope="module")
def tokenizer():
    return models.load("world-small")[1]


@pytest.fixture(scope="module")
def small(tokenizer):
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=64, initializer_range=0.3,
                        attn_implementation="eager", num_labels=3)  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BertForSequenceClassification(config).eval()


TEXT = "she felt happy because it was a good day ."
PAIR = ("that made kenji feel very happy .", "then he went home to borvik .")


def test_a_linear_model_is_explained_exactly(tokenizer):
    model, reading = Linear(len(tokenizer)), at.read(tokenizer, TEXT)
    each = (model.table(reading.inputs["input_ids"]) @ model.direction)[0].detach()
    blank = float(model.table.weight[tokenizer.mask_token_id].detach() @ model.direction)
    truth = np.array([float(each[column]) - blank for (column,) in reading.columns])
    assert np.allclose(at.integrated_gradients(model, reading, 1, steps=1), truth, atol=1e-5)
    assert np.allclose(at.occlusion(model, reading, 1), truth, atol=1e-5)
    assert np.allclose(at.shapley(model, reading, 1, permutations=2), truth, atol=1e-5)
    assert np.allclose(at.gradient_times_input(model, reading, 1), truth + blank, atol=1e-5)
    assert np.allclose(at.gradient_length(model, reading, 1), float(model.direction.norm()), atol=1e-5)
    assert np.allclose(at.integrated_gradients(model, reading, 0, steps=1), -truth, atol=1e-5), "the other class"


@pytest.mark.parametrize("text", [TEXT, PAIR])
def test_completeness(small, tokenizer, text):
    reading = at.read(tokenizer, text)
    scores = {steps: at.integrated_gradients(small, reading, 2, steps=steps) for steps in (4, 16, 256)}
    gaps = {steps: abs(at.left_over(small, reading, 2, score)) for steps, score in scores.items()}
    assert gaps[256] < 1e-3 and gaps[256] < gaps[4], gaps
    exact = at.shapley(small, reading, 2, permutations=1, seed=5)
    assert abs(at.left_over(small, reading, 2, exact)) < 1e-4, "complete with a single order"


def test_integrated_gradients_equal_captum(small, tokenizer):
    reading = at.read(tokenizer, PAIR)
    library = LayerIntegratedGradients(
        lambda ids, *kind: at.log_odds(small(ids, token_type_ids=kind[0] if kind else None).logits, 1),
        small.get_input_embeddings(),
    )
    ids = reading.inputs["input_ids"]
    baseline = reading.blanked(np.zeros((1, len(reading.words))))
    for more in ({}, {"token_type_ids": reading.inputs["token_type_ids"]}):
        plain = at.Reading(reading.words, reading.columns, {"input_ids": ids, **more}, reading.blank)
        vectors = library.attribute(ids, baselines=baseline, n_steps=20, method="riemann_middle",
                                    additional_forward_args=tuple(more.values()) or None)  # fmt: skip
        ours = at.integrated_gradients(small, plain, 1, steps=20)
        assert np.allclose(ours, at.by_word(plain, vectors[0].sum(-1)), atol=1e-5)


def test_occlusion_and_shapley_equal_captum(small, tokenizer):
    reading = at.read(tokenizer, "she was sad .")
    ids = reading.inputs["input_ids"]
    plain = at.Reading(reading.words, reading.columns, {"input_ids": ids}, reading.blank)

    def forward(input_ids):
        return at.log_odds(small(input_ids=input_ids).logits, 1)

    baseline = plain.blanked(np.zeros((1, 4)))
    ablated = FeatureAblation(forward).attribute(ids, baselines=baseline)[0]
    assert np.allclose(at.occlusion(small, plain, 1), at.by_word(plain, ablated), atol=1e-5)
    words = torch.tensor([[0, 0, 1, 2, 3, 3]])  # [CLS] and [SEP] are the same in both texts and change nothing
    every = ShapleyValues(forward).attribute(ids, baselines=baseline, feature_mask=words)[0]  # all 24 orders
    assert np.allclose(at.exact_shapley(at.game(small, plain, 1), 4), every[1:5], atol=1e-5)


def test_permutations_come_near_the_exact_values(small, tokenizer):
    reading = at.read(tokenizer, "the news from the market was good .")
    exact = at.exact_shapley(at.game(small, reading, 0), len(reading.words))
    far, near = (np.abs(at.shapley(small, reading, 0, permutations=count) - exact).max() for count in (4, 1000))
    assert near < 0.1 * np.abs(exact).max() and near < far


def test_padding_changes_nothing(small, tokenizer):
    reading = at.read(tokenizer, PAIR)
    padded = {name: torch.nn.functional.pad(tensor, (0, 5)) for name, tensor in reading.inputs.items()}
    wide = at.Reading(reading.words, reading.columns, padded, reading.blank)
    for name, method in at.METHODS.items():
        alone, beside = method(small, reading, 1, 0), method(small, wide, 1, 0)
        assert alone.shape == beside.shape == (len(reading.words),)
        assert np.allclose(alone, beside, atol=1e-5), name
    shown = np.random.default_rng(0).random((6, len(reading.words))) < 0.5
    for remove in ("blank", "delete"):
        a, b = (at.game(small, r, 1, remove=remove)(shown) for r in (reading, wide))
        assert np.allclose(a, b, atol=1e-5), remove


def test_deleting_equals_reading_the_shorter_text(small, tokenizer):
    reading = at.read(tokenizer, PAIR)
    shown = np.ones((2, len(reading.words)), dtype=bool)
    shown[1, [2, 4, 9]] = False
    words = [[w for w, s in zip(reading.words, shown[1], strict=True) if s][i:j] for i, j in ((0, 5), (5, None))]
    short = at.read(tokenizer, (" ".join(words[0]), " ".join(words[1])))
    values = at.game(small, reading, 0, remove="delete")(shown)
    assert np.allclose(values[0], at.game(small, reading, 0)(shown[:1]), atol=1e-6)
    assert np.allclose(values[1], at.game(small, short, 0)(np.ones((1, len(short.words)), dtype=bool)), atol=1e-5)
    nothing = at.game(small, reading, 0, remove="delete")(np.zeros((1, len(reading.words)), dtype=bool))
    assert np.isfinite(nothing).all(), "[CLS] and [SEP] stay"


def test_probability_and_log_odds_are_one_game(small, tokenizer):
    reading, shown = at.read(tokenizer, TEXT), np.random.default_rng(1).random((5, 10)) < 0.5
    odds, p = (at.game(small, reading, 2, measure=measure)(shown) for measure in at.MEASURES)
    assert np.allclose(p, 1 / (1 + np.exp(-odds)))
    with pytest.raises(ValueError, match="measure"):
        at.game(small, reading, 2, measure="odds")


def test_the_model_is_left_as_it_was(small, tokenizer):
    reading = at.read(tokenizer, TEXT)
    for method in at.METHODS.values():
        method(small, reading, 0, 0)
    assert all(weight.grad is None and weight.requires_grad for weight in small.parameters())


# ------------------------------------------------------------------------------------------ words and pieces


def test_pieces_are_gathered_into_words():
    _, pieces = models.load("minilm")
    text = "The plumber's tourniquet wasn't freeedom , naïvely !"
    reading = at.read(pieces, text)
    assert list(reading.words) == text.split()
    tokens = pieces.convert_ids_to_tokens(reading.inputs["input_ids"][0].tolist())
    joined = ["".join(tokens[c].removeprefix("##") for c in columns) for columns in reading.columns]
    assert joined == ["the", "plumber's", "tourniquet", "wasn't", "freeedom", ",", "naively", "!"]
    used = [column for columns in reading.columns for column in columns]
    assert used == list(range(1, len(tokens) - 1)), "every piece once, [CLS] and [SEP] never"


def test_both_texts_of_a_pair(tokenizer):
    reading = at.read(tokenizer, PAIR)
    assert len(reading.words) == 14 and reading.columns[6] == (7,) and reading.columns[7] == (9,)
    assert reading.inputs["token_type_ids"][0, 9] == 1
    hidden = reading.blanked(np.zeros((1, 14)))[0].tolist()
    assert hidden.count(tokenizer.mask_token_id) == 14 and hidden[0] == tokenizer.cls_token_id


def test_words_cut_off_get_nothing(small, tokenizer):
    reading = at.read(tokenizer, "she " * 30, max_length=10)
    assert len(reading.words) == 30 and reading.columns[8:] == ((),) * 22
    for name, method in at.METHODS.items():
        if name != "random":
            assert np.allclose(method(small, reading, 0, 0)[8:], 0), name


def test_repeated_words_are_kept_apart(tokenizer):
    assert at.read(tokenizer, "the the a the").columns == ((1,), (2,), (3,), (4,))


def test_other_blanks_and_unreadable_texts(tokenizer):
    assert at.read(tokenizer, TEXT, blank="[PAD]").blank == tokenizer.pad_token_id
    with pytest.raises(ValueError, match="no token"):
        at.read(tokenizer, TEXT, blank="[NONE]")
    for text in ("", "   "):
        with pytest.raises(ValueError, match="no word"):
            at.read(tokenizer, text)
    with pytest.raises(ValueError, match="10 words"):
        at.read(tokenizer, TEXT).blanked(np.ones((1, 3)))
