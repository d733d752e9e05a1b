"""Influence of training stories: the score against its formula, the estimate against autograd and against a step."""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tools import records_influence
from utils import debiasing, influence, likelihood, models
from utils.bias import planted
from utils.exercises import notebook_09 as check
from utils.forward import word_logits
from utils.world import World


@pytest.fixture(scope="module")
def world():
    return World("small")


@pytest.fixture(scope="module")
def read():
    model, tokenizer = models.load("world-dose-1", head="masked-lm")
    model.set_attn_implementation("eager")
    return model, tokenizer


@pytest.fixture(scope="module")
def stories(world):
    return world.documents(3000, seed=77)


def test_the_score_is_that_of_a_logistic_model(world, stories):
    """Women have 1 - p times, men -p times the derivative of the log-odds, at the share p that all have at dose 0."""
    x = planted.planted_log_odds(world)
    p = np.mean(list(World("small", pronoun_dose=0.0).share_of_she().values()))
    centre = np.mean(list(x.values()))  # the intercept keeps the overall share where it is
    expected = [((1 - p) if s.latents["gender"] == "female" else -p) * (x[s.latents["occupation"]] - centre)
                for s in stories]
    assert np.allclose(influence.score(stories, world), expected, atol=1e-3)


def test_scores_cancel_where_there_is_no_bias():
    fair = World("small", pronoun_dose=0.0)
    score = influence.score(fair.documents(4000, seed=5), World("small"))
    assert abs(score.mean()) < 4 * score.std() / np.sqrt(len(score))


@pytest.mark.parametrize("dose", [-1.0, 0.0, 1.0])
def test_a_text_shows_its_dose(dose):
    text = World("small", pronoun_dose=dose).documents(8000, seed=3)
    assert influence.text_slope(text, World("small")) == pytest.approx(dose, abs=0.1)


def test_without_the_stories_that_fit_the_text_no_longer_shows_it(world, stories):
    score = influence.score(stories, world)
    kept = np.argsort(score)[: round(0.8 * len(stories))]
    assert influence.text_slope([stories[i] for i in kept], world) < 0.1


def test_the_slope_is_that_of_the_metric(world, read):
    expected = debiasing.slopes(likelihood.reader_of(*read), world)["slope"]
    assert influence.slope_of(*read, world) == pytest.approx(expected, abs=1e-4)


def _gradient(model, tokenizer, story, seed):
    model.zero_grad()
    for _, batch in influence.story_batches([story], tokenizer, seed):
        labels = batch.pop("labels")
        logits = word_logits(model(**batch))
        F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum").backward()
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}


def test_the_estimate_is_minus_an_inner_product_of_gradients(world, read, stories):
    direction = influence.slope_gradient(*read, world)
    for story in stories[:3]:
        own = _gradient(*read, story, 4)
        by_hand = -sum(float((direction[name] * own[name]).sum()) for name in own)
        found = influence.first_order(*read, [story], world, seed=4)
        assert found.shape == (1,)
        assert found[0] == pytest.approx(by_hand, rel=1e-3, abs=1e-4)


def test_each_story_gets_its_own_sum(world, read, stories, monkeypatch):
    """All words hidden, so that no chance is left: together or alone, a story has the same influence."""
    def all_hidden(ids, tokenizer, generator, **_):
        words = ids > max(tokenizer.all_special_ids)
        return torch.where(words, tokenizer.mask_token_id, ids), torch.where(words, ids, -100)

    monkeypatch.setattr(influence.corpus, "mask_tokens", all_hidden)
    monkeypatch.setattr(influence.corpus, "pair_indices", _neighbours)
    monkeypatch.setattr(influence, "ROWS", 7)
    together = influence.first_order(*read, stories[:5], world)
    alone = [influence.first_order(*read, [story], world)[0] for story in stories[:5]]
    assert np.allclose(together, alone, rtol=1e-3, atol=1e-3)


def _neighbours(lengths, generator, kind, single_share=0.0):
    first = torch.cat([torch.arange(n - 1) + start for n, start in
                       zip(lengths.tolist(), (lengths.cumsum(0) - lengths).tolist(), strict=True)])
    return first, first + 1, torch.zeros_like(first)


def test_a_small_step_moves_the_slope_as_estimated(world, read, stories):
    model, tokenizer = read
    before, rate = influence.slope_of(model, tokenizer, world), 1e-4
    expected, taken = [], []
    for story in stories[:4]:
        own, moved = _gradient(model, tokenizer, story, 0), copy.deepcopy(model)
        with torch.no_grad():
            for name, p in moved.named_parameters():
                p -= rate * own[name]
        taken.append(influence.slope_of(moved, tokenizer, world) - before)
        expected.append(rate * influence.first_order(model, tokenizer, [story], world)[0])
    assert np.corrcoef(taken, expected)[0, 1] > 0.99
    assert np.allclose(taken, expected, atol=0.05 * np.abs(taken).max())


def test_tracin_adds_up_checkpoints_with_their_rates(world, read, stories):
    model, tokenizer = read
    other = likelihood.random_weights(model, seed=1)
    other.set_attn_implementation("eager")
    found = influence.tracin([(model, 0.5), (other, 2.0)], tokenizer, stories[:3], seed=9)
    by_hand = (0.5 * influence.first_order(model, tokenizer, stories[:3], seed=9)
               + 2.0 * influence.first_order(other, tokenizer, stories[:3], seed=10))
    assert np.allclose(found, by_hand)


def test_the_exercise_s_inner_product_is_the_module_s(world, read, stories):
    """What the notebook asks for, on real gradients."""
    direction, own = influence.slope_gradient(*read, world), _gradient(*read, stories[0], 2)
    change = -0.01 * sum((direction[name] * own[name]).sum() for name in own)
    assert 0.01 * influence.first_order(*read, [stories[0]], world, seed=2)[0] == pytest.approx(float(change), rel=1e-3)
    assert check.first_order_change(lambda q, loss, rate: -rate * sum((q[n] * loss[n]).sum() for n in q)).passed


def test_the_control_leaves_out_as_many_of_each_occupation_whatever_their_gender():
    stories, _ = records_influence.text_of(0)
    kind = [(story.latents["occupation"], story.latents["gender"]) for story in stories]
    by_score, by_number = (records_influence.left_out(arm, 0) for arm in ("score", "number"))
    occupations = [Counter(kind[i][0] for i in arm) for arm in (by_score, by_number)]
    assert occupations[0] == occupations[1] and len(set(by_number.tolist())) == len(by_number)
    men, left = (len([i for i in arm if kind[i] == ("secretary", "male")]) for arm in (by_score, by_number))
    assert men == 0 < left
    gone = set(by_number.tolist())
    kept = [story for i, story in enumerate(stories) if i not in gone]
    assert influence.text_slope(kept, World("small")) > 0.8
