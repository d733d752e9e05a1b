"""Pretraining with and without a pair loss: the arms differ where they should, and the record comes back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tools import records, records_nsp
from utils import pair_training, pairs
from utils.pair_training import ARMS
from utils.recipe import Recipe
from utils.world import World

TINY = Recipe(width=16, heads=2, layers=1, steps=3, batch_size=16, precision="float32")


@pytest.fixture(scope="module")
def world():
    return World("small")


@pytest.fixture(scope="module")
def trained(world):
    text = pair_training.training_text(world, seed=1, documents=60)
    return text, {name: pair_training.pretrain(text.tokenizer, text, arm, TINY) for name, arm in ARMS.items()}


def weights(model, part):
    return torch.cat([p.flatten() for name, p in model.named_parameters() if part in name])


def test_without_its_label_the_pair_head_is_not_trained(trained, world):
    """The two arms that read the same pairs differ by the loss alone: one leaves pooler and head as they were."""
    text, models = trained
    untrained = pair_training.build_model(TINY, text)
    for part in ("pooler", "seq_relationship"):
        assert torch.equal(weights(models["MLM, same pairs as NSP"], part), weights(untrained, part))
        assert torch.equal(weights(models["MLM, neighbours only"], part), weights(untrained, part))
        assert not torch.equal(weights(models["MLM + NSP"], part), weights(untrained, part))
        assert not torch.equal(weights(models["MLM + SOP"], part), weights(untrained, part))


def test_arms_differ_and_runs_repeat(trained, world):
    text, models = trained
    again = pair_training.pretrain(text.tokenizer, text, ARMS["MLM + NSP"], TINY)
    assert torch.equal(weights(again, "encoder"), weights(models["MLM + NSP"], "encoder"))
    encoders = [weights(model, "encoder") for model in models.values()]
    assert not any(torch.equal(a, b) for i, a in enumerate(encoders) for b in encoders[:i])


def test_tasks_are_labelled_as_they_say(world):
    count = 200
    order = pair_training.make_task(world, "order", count, 5)
    frames = [pairs.frames_of(world, side) for side in zip(*order.pairs, strict=True)]
    introduction = [np.array([world.grammar.frames[f].stage == "introduction" for f in side]) for side in frames]
    assert order.labels[introduction[0]].all() and not order.labels[introduction[1]].any()

    story = pair_training.make_task(world, "one story", count, 5)
    whole = [set(document.sentences) for document in world.documents(count, 5)]
    same = np.array([any(a in document and b in document for document in whole) for a, b in story.pairs])
    assert same[story.labels == 1].all() and same[story.labels == 0].mean() < 0.2
    assert 0.3 < story.labels.mean() < 0.7

    tone = pair_training.make_task(world, "tone", count, 5)
    states = world.grammar.forest.by_name["tone"].states
    good = np.array(["happy" in a.split() or "happy" in b.split() for a, b in tone.pairs])
    assert good.any() and (tone.labels[good] == states.index("good")).all()
    assert all(0.6 < task.best < 0.95 for task in (order, story, tone))


def test_fine_tuning_learns_and_leaves_the_model_alone(trained, world):
    text, models = trained
    model = models["MLM + NSP"]
    before = weights(model, "encoder").clone()
    task = pair_training.make_task(world, "order", 64, 3)
    classifier = pair_training.fine_tune(model, text.tokenizer, task, seed=0, epochs=40, learning_rate=1e-2)
    assert pair_training.accuracy(classifier, text.tokenizer, task) > 0.75  # on the examples themselves
    assert torch.equal(before, weights(model, "encoder"))


def test_record_is_complete_and_a_short_run_comes_back():
    """All arms have all seeds, and the record's short point, trained again, gives the same distance and accuracy."""
    record = records.load("nsp")
    full = [row for row in record["results"] if row["steps"] == records_nsp.SETTINGS["steps"]]
    assert {(row["arm"], row["seed"]) for row in full} == {(arm, seed) for arm in ARMS for seed in record["seeds"]}
    short = next(row for row in record["results"] if row["steps"] == records_nsp.SHORT["steps"])
    again = records_nsp.measure({name: short[name] for name in ("arm", "seed", *records_nsp.SHORT)})
    assert again["mlm_gap"] == pytest.approx(short["mlm_gap"], abs=0.05)  # nats
    assert again["order"] == pytest.approx(short["order"], abs=0.1)
