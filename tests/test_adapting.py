"""The experiments of notebook 05: labels with exact probabilities, what may learn, what is forgotten, the records."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.data_fixtures import REAL, needs_real
from tools import records, records_finetuning
from utils import adapting, evaluate, finetune, models
from utils.adapting import METHODS, STARTS, Task
from utils.world import World

QUICK = {"steps": 3, "batch_size": 4, "progress": False}


@pytest.fixture(scope="module")
def world():
    return World("small")


@pytest.fixture(scope="module")
def task(world):
    return adapting.world_task(world, "topic", 40, seed=5)


@pytest.mark.parametrize("variable", adapting.VARIABLES)
def test_labels_and_beliefs_of_the_world(world, variable):
    some = adapting.world_task(world, variable, 400, seed=3)
    stories = world.documents(400, 3)
    assert np.allclose(some.belief.sum(1), 1)
    for (first, second), story, label in zip(some.texts, stories, some.labels, strict=True):
        assert first in story.sentences and second in story.sentences
        assert world.grammar.forest.by_name[variable].states[label] == story.latents[variable]
    # the exact probabilities are calibrated: the reader who knows them is right as often as it expects to be
    assert some.oracle_right.mean() == pytest.approx(some.best, abs=3 * (0.25 / 400) ** 0.5)
    assert (some.belief[np.arange(400), some.labels] > 0).all()
    # the floor is the loss of that reader: on drawn labels it pays as much as it expects to pay
    paid = -np.log(some.belief[np.arange(400), some.labels])
    assert some.floor == pytest.approx(paid.mean(), abs=4 * paid.std() / 400**0.5)
    assert some.floor < np.log(some.belief.shape[1])


def test_the_floor_by_hand():
    some = Task(["a", "b"], np.array([0, 1]), np.array([[1.0, 0.0], [0.5, 0.5]]))
    assert some.floor == pytest.approx(np.log(2) / 2) and some.best == 0.75


def test_the_same_seed_gives_the_same_task_and_a_larger_one_begins_with_it(world, task):
    again = adapting.world_task(world, "topic", 40, seed=5)
    assert again.texts == task.texts and (again.labels == task.labels).all()
    small = adapting.first(task, 7)
    assert small.texts == task.texts[:7] and small.belief.shape == (7, 4)


def test_opinions_are_split_and_labelled():
    parts = {split: adapting.opinions(split) for split in ("train", "dev", "test")}
    assert [len(part.labels) for part in parts.values()] == [840, 168, 252]
    assert not set(parts["train"].texts) & set(parts["test"].texts)
    assert set(parts["test"].labels.tolist()) == {0, 1}
    assert set(adapting.opinions("test", "domain").labels.tolist()) == set(range(6))


def test_word_counts_reach_what_the_datasheet_says():
    right = adapting.word_counts(adapting.opinions("train"), adapting.opinions("test"))
    assert right.mean() == pytest.approx(0.61, abs=0.02)


def test_starting_points(task):
    moved = {}
    pretrained = models.load("world-small", head="encoder")[0].state_dict()
    for start in STARTS:
        model, _, _ = adapting.learn("world-small", task, 0, start=start, rate=1e-12, **QUICK)
        moved[start] = {name for name, weight in model.base_model.named_parameters()
                        if not torch.allclose(weight, pretrained[name], atol=1e-4)}
    assert not moved["pretrained"]
    assert all(name.startswith(("encoder.layer.1.", "pooler.")) for name in moved["new top layer"])
    assert len(moved["new top layer"]) > 8
    assert any("word_embeddings" in name for name in moved["random"])


def test_methods_train_what_they_say(task):
    counts = {}
    for method in METHODS:
        model, _ = models.load("world-small", head=adapting.HEAD, num_labels=4)
        counts[method] = adapting.trainable(METHODS[method].prepare(model, 0))
    assert counts["head only"] == 4 * 128 + 4
    assert counts["head only"] < counts["LoRA"] < 10_000 < counts["upper half"] < counts["all weights"]


def test_put_back_is_the_pretrained_model_where_nothing_has_changed(world, task):
    pretrained, tokenizer = models.load("world-small")
    before = {name: weight.clone() for name, weight in pretrained.state_dict().items()}
    exam = world.exam(20, 5, next_share=1.0)
    reference = evaluate.answers(pretrained, tokenizer, exam)[0]
    for method, same in (("head only", True), ("LoRA", False), ("all weights", False)):
        classifier, _, _ = adapting.learn("world-small", task, 0, method=method, rate=1e-2, **QUICK)
        kept = {name: weight.clone() for name, weight in classifier.state_dict().items()}
        back = adapting.put_back(classifier, pretrained)
        answers = evaluate.answers(back, tokenizer, exam)[0]
        assert np.allclose(answers, reference, atol=1e-4) == same
        assert all(torch.equal(weight, kept[name]) for name, weight in classifier.state_dict().items())
        assert torch.equal(back.cls.predictions.decoder.weight, before["bert.embeddings.word_embeddings.weight"])
    assert all(torch.equal(weight, before[name]) for name, weight in pretrained.state_dict().items())


def test_the_distance_is_that_of_the_encoder():
    pretrained, _ = models.load("world-small")
    moved, _ = models.load("world-small")
    assert adapting.distance(moved, pretrained) == 0
    with torch.no_grad():
        moved.bert.encoder.layer[0].output.dense.bias[:4] += 3.0
        moved.bert.embeddings.word_embeddings.weight[7, :64] -= 1.0
        moved.bert.pooler.dense.weight += 1.0  # is not part of it
    assert adapting.distance(moved, pretrained) == pytest.approx((4 * 9 + 64) ** 0.5, rel=1e-4)


def test_the_library_is_heard_and_left_as_it_was(capfd):
    import logging

    handlers = logging.getLogger("transformers").handlers[:]
    text = adapting.library_says("world-small", 4)
    assert "classifier.weight" in text and "MISSING" in text and "UNEXPECTED" in text and "newly initialized" in text
    assert "/" not in text.split("\n")[0] and "\x1b" not in text
    assert logging.getLogger("transformers").handlers == handlers and capfd.readouterr() == ("", "")
    assert text == adapting.library_says("world-small", 4)


def test_marked_and_paired(task):
    model, tokenizer, _ = adapting.learn("world-small", task, 0, **QUICK)
    right = adapting.marked(model, tokenizer, task)
    answers = finetune.predict(model, tokenizer, finetune.encode(tokenizer, task.texts)).argmax(-1)
    assert (right == (answers == task.labels)).all()
    difference = adapting.paired(np.ones(20), np.r_[np.zeros(10), np.ones(10)])
    assert difference.value == 0.5 and difference.low > 0.2


def test_phrases_are_found_in_their_sentences():
    sentences = ["A fine , fine film .", "No film is fine ."]
    assert records_finetuning._sentences_of(["fine film", "film", "is a film", "fine , fine"], sentences) == [
        [0], [0, 1], [], [0]]


# --- the shipped records --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["finetuning", "finetuning-minilm"])
def test_accuracies_of_the_record_are_shares(name):
    for row in records.load(name)["results"]:
        assert row["experiment"] == "leak" or 0 <= row["accuracy"] <= 1


def test_a_cheap_point_of_the_world_comes_out_again():
    row = next(r for r in records.load("finetuning")["results"] if r["experiment"] == "methods" and r["seed"] == 0
               and r["method"] == "head only")
    point = next(p for p in records_finetuning.WORLD.points if p.items() <= row.items())
    again = records_finetuning.measure_world(point)
    assert again["accuracy"] == pytest.approx(row["accuracy"], abs=0.05)
    assert again["forgotten"] == row["forgotten"] == 0
    assert again["trained"] == row["trained"]


def shipped(name, **settings):
    """The row of a record that has these settings, and the point of its sweep."""
    (row,) = (r for r in records.load(name)["results"] if settings.items() <= r.items())
    (point,) = (p for p in records.find(name).points if p.items() <= row.items())
    return row, point


@pytest.mark.parametrize("start", ["pretrained", "random"])
def test_a_trained_point_of_the_world_comes_out_again(start):
    """With 128 labels of topic the two starts are far apart, so a start that is ignored shows."""
    row, point = shipped("finetuning", experiment="labels", task="topic", labelled=128, seed=1, start=start)
    assert records_finetuning.measure_world(point)["accuracy"] == pytest.approx(row["accuracy"], abs=0.05)


@pytest.mark.parametrize("start", records_finetuning.BASELINES)
@pytest.mark.parametrize(("data", "labelled", "seed"), [("domain", 8, 3), ("domain", 128, 0), ("sentiment", 512, 1)])
def test_the_baselines_of_the_record_come_out_again(start, data, labelled, seed):
    row, point = shipped("finetuning-minilm", data=data, labelled=labelled, seed=seed, start=start)
    assert records_finetuning.measure_real(point)["accuracy"] == pytest.approx(row["accuracy"], abs=0.009)


@needs_real
@pytest.mark.parametrize("settings", [{"experiment": "leak", "seed": 0},
                                      {"data": "sst2", "start": "word counts", "labelled": 512, "seed": 0}])
def test_what_the_record_says_of_sst2_comes_out_again(settings, monkeypatch):
    monkeypatch.setenv("COURSE_DATA_MIRROR", str(REAL))
    row, point = shipped("finetuning-minilm", **settings)
    for name, value in records_finetuning.measure_real(point).items():
        assert row[name] == pytest.approx(value, abs=0.009), name


def test_frozen_vectors_are_the_mean_over_the_tokens():
    texts = ["a", "two words and then some more", "three"]
    model, tokenizer = models.load("world-small", head="encoder")
    together = adapting.mean_vectors("world-small", texts, batch_size=2)
    for text, vector in zip(texts, together, strict=True):
        with torch.no_grad():
            alone = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        assert np.allclose(vector, alone.mean(0).numpy(), atol=1e-5)


def test_the_shipped_adapter_reaches_what_its_record_says():
    import json

    record = json.loads((models.CHECKPOINTS / "minilm-opinions" / "training_record.json").read_text())
    model, tokenizer = models.load("minilm-opinions")
    right = adapting.marked(model, tokenizer, adapting.opinions("test"))
    assert len(right) == 252 and right.mean() == pytest.approx(record["test"]["value"], abs=0.02)


def test_the_shipped_adapter_answers_as_peft_does():
    pytest.importorskip("peft")
    ours, tokenizer = models.load("minilm-opinions")
    base, _ = models.load("minilm", head=adapting.HEAD, num_labels=2, seed=5)
    theirs = finetune.load_adapter(base, models.CHECKPOINTS / "minilm-opinions")
    examples = finetune.encode(tokenizer, adapting.opinions("test").texts[:12])
    answers = [finetune.predict(model, tokenizer, examples) for model in (ours, theirs)]
    assert np.allclose(*answers, atol=1e-3) and np.ptp(answers[0]) > 1
