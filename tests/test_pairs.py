"""Exact answers about two sentences, against the world's own oracle, sampled frequencies and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForPreTraining

from utils import corpus, pairs
from utils.world import World


@pytest.fixture(scope="module")
def world():
    return World("small")


@pytest.fixture(scope="module")
def stories(world):
    return world.documents(300, seed=11)


def test_log_odds_equal_the_oracle(world, stories):
    """For true neighbours, strangers and swapped pairs alike, story + order is the oracle's log-odds."""
    some = pairs.neighbours(stories[:12])
    some = some + pairs.strangers(pairs.apart(stories[:12], 0), 0) + pairs.swapped(some[:10])
    parts = pairs.log_odds(world, some)
    for pair, story, order in zip(some, parts["story"], parts["order"], strict=True):
        text = " [SEP] ".join(pair)
        exact = world.log_probability(text, "next") - world.log_probability(text, "other")
        assert story + order == pytest.approx(exact, abs=1e-9)
    each = [world.next_probability(*pair) for pair in some]
    assert pairs.next_probability(world, some) == pytest.approx(each, abs=1e-12)


def test_evidence_of_a_shared_story_is_the_same_in_both_orders(world, stories):
    some = pairs.neighbours(stories[:40])
    forth, back = pairs.log_odds(world, some), pairs.log_odds(world, pairs.swapped(some))
    for part in ("story", *pairs.CUES):
        assert forth[part] == pytest.approx(back[part], abs=1e-9)
    assert not np.allclose(forth["order"], back["order"])


def test_cues_see_only_their_own_words(world):
    parts = pairs.log_odds(world, [("mary is a baker from zelmar .", "that made mary feel very sad .")])
    assert parts["person"][0] > 1 and parts["topic"][0] == parts["place"][0] == 0
    assert parts["tone"][0] == pytest.approx(0)  # only one of the two sentences speaks of it
    two_names = pairs.log_odds(world, [("mary is a baker from zelmar .", "that made john feel very sad .")])
    assert np.isneginf(two_names["person"][0]) and np.isneginf(two_names["story"][0])


def test_cues_equal_the_oracle_with_the_other_words_hidden(world):
    """Hiding every word but a cue's leaves frames and cue; the order's part is then subtracted."""
    first, second = "people in zelmar think that she is kind .", "it was a good evening for the nurse ."
    parts = pairs.log_odds(world, [(first, second)])
    only_tone = "people in [MASK] think that [MASK] is kind . [SEP] it was a good evening for the [MASK] ."
    exact = world.log_probability(only_tone, "next") - world.log_probability(only_tone, "other")
    assert parts["tone"][0] + parts["order"][0] == pytest.approx(exact, abs=1e-9)


def test_order_probability_equals_the_oracle_and_sampled_frequencies(world, stories):
    some = pairs.neighbours(stories)
    probability = pairs.order_probability(world, some)
    for pair, p in zip(some[:40], probability, strict=False):
        forth, back = (world.log_probability(" [SEP] ".join(q), "next") for q in (pair, pair[::-1]))
        assert p == pytest.approx(1 / (1 + np.exp(back - forth)), abs=1e-12)
    # calibrated: where it says p, a pair shown in a random order stands as written in p of the cases
    turned = np.random.default_rng(0).random(len(some)) < 0.5
    shown = np.where(turned, 1 - probability, probability)
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (shown >= low) & (shown < low + 0.25)
        if inside.sum() > 30:
            error = 4 * np.sqrt((shown[inside] * (1 - shown[inside])).sum() + 1e-9) / inside.sum()
            assert (~turned[inside]).mean() == pytest.approx(shown[inside].mean(), abs=max(error, 0.01))


def test_order_probability_refuses_pairs_that_are_never_neighbours(world):
    first = "mary is a baker from zelmar ."
    with pytest.raises(ValueError, match="neighbours in neither order"):
        pairs.order_probability(world, [(first, first)])


@pytest.mark.parametrize("ask", ["story", "tone", "topic"])
def test_posteriors_are_calibrated(world, ask):
    """The mean loss of a posterior on fresh samples equals the entropy it expects, within four standard errors."""
    stories = world.documents(1500, seed=21)
    if ask == "story":
        together = pairs.apart(stories, 1)
        apart = pairs.strangers(together, 2)
        right = np.r_[pairs.story_probability(world, together), 1 - pairs.story_probability(world, apart)]
        distribution = np.stack([right, 1 - right], axis=1)
    else:
        chosen = [pairs.neighbours([story])[-1] for story in stories]
        states = world.grammar.forest.by_name[ask].states
        distribution = pairs.latent_distribution(world, chosen, ask)
        right = distribution[np.arange(len(stories)), [states.index(story.latents[ask]) for story in stories]]
        assert distribution.sum(1) == pytest.approx(np.ones(len(stories)))
    entropy = -(distribution * np.log(np.maximum(distribution, 1e-300))).sum(1)
    difference = -np.log(right) - entropy
    assert abs(difference.mean()) < 4 * difference.std() / np.sqrt(len(difference))


def test_unknown_sentences_are_refused_with_a_sentence(world):
    with pytest.raises(ValueError, match="'xyz' is not a word"):
        pairs.frames_of(world, ["mary is a xyz from zelmar ."])
    with pytest.raises(ValueError, match="fits 0 frames"):
        pairs.frames_of(world, ["zelmar is a baker from mary ."])


def test_kinds_of_pairs():
    numbered = [[f"{d}-{i}" for i in range(3 + d % 4)] for d in range(40)]
    for a, b in pairs.apart(numbered, 3):
        (d, i), (e, j) = (map(int, sentence.split("-")) for sentence in (a, b))
        assert d == e and j - i >= 2
    together = [(f"a{i}", f"b{i}") for i in range(30)]
    strangers = pairs.strangers(together, 1)
    assert all(a[1:] != b[1:] for a, b in strangers)
    assert sorted(b for _, b in strangers) == sorted(b for _, b in together)
    assert pairs.swapped([("a", "b")]) == [("b", "a")]
    assert pairs.neighbours([["a", "b", "c"], ["d"]]) == [("a", "b"), ("b", "c")]
    with pytest.raises(ValueError, match="two or more"):
        pairs.strangers(together[:1], 1)


def test_best_accuracy():
    assert pairs.best_accuracy(np.array([0.9, 0.2, 0.5])) == pytest.approx((0.9 + 0.8 + 0.5) / 3)


def test_asking_a_model_gives_its_own_logits(world):
    """Batches with padding give what one pair at a time gives: logit of IsNext minus logit of NotNext."""
    tokenizer = corpus.build_tokenizer(world.vocabulary)
    model = _tiny(len(tokenizer))
    some = pairs.neighbours(world.documents(4, 3))
    batched = pairs.ask(model, tokenizer, some)
    for pair, answer in zip(some, batched, strict=True):
        with torch.no_grad():
            logits = model(**tokenizer(*pair, return_tensors="pt")).seq_relationship_logits[0]
        assert answer == pytest.approx(float(logits[0] - logits[1]), abs=1e-4)


def _tiny(vocabulary_size: int):
    torch.manual_seed(0)
    return BertForPreTraining(BertConfig(
        vocab_size=vocabulary_size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, initializer_range=0.5)).eval()
