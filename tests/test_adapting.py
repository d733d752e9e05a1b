"""The experiments of notebook 05: labels with exact probabilities, what may learn, what is forgotten, the records."""

from __future__ import annotations

import numpy as np
import pytest
import torch

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


def test_the_word_counts_of_the_record_come_out_again():
    row = next(r for r in records.load("finetuning-minilm")["results"] if r.get("start") == "word counts"
               and r["data"] == "sentiment" and r["labelled"] == 512)
    point = next(p for p in records_finetuning.MINILM.points if p.items() <= row.items())
    assert records_finetuning.measure_real(point)["accuracy"] == pytest.approx(row["accuracy"], abs=0.02)


def test_the_shipped_adapter_reaches_what_its_record_says():
    import json

    record = json.loads((models.CHECKPOINTS / "minilm-opinions" / "training_record.json").read_text())
    model, tokenizer = models.load("minilm-opinions")
    test = adapting.opinions("test")
    some = Task(test.texts[:60], test.labels[:60])
    assert adapting.marked(model, tokenizer, some).mean() == pytest.approx(record["test"]["value"], abs=0.15)
