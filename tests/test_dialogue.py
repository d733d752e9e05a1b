"""Dialogues about stories: answers that the story settles, exact probabilities of the rest, what the loss counts."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
import torch

from utils import dialogue, finetune
from utils.corpus import IGNORED
from utils.dialogue import UNKNOWN
from utils.exercises import notebook_07
from utils.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World("small")


@pytest.fixture(scope="module")
def text(world) -> list[dialogue.Dialogue]:
    return dialogue.dialogues(world, 4000, seed=0)


@pytest.fixture(scope="module")
def setting():
    return dialogue.start_from(seed=1)


def test_facts_are_answered_from_what_is_told(text):
    for each in text[:1500]:
        told = " ".join(each.sentences).split()
        for turn in each.turns:
            if turn.kind == "talk":
                continue
            assert (turn.answer == UNKNOWN) == (not turn.known)
            if turn.known:
                assert turn.answer.split()[-2] in told
            elif turn.kind == "job":
                assert turn.question.split()[2] not in told
            else:
                assert not any(word[0] in "zb" and word in WORDS_OF_TOWNS for word in told)


WORDS_OF_TOWNS = {"zelmar", "zentor", "zarvik", "zunden", "brandel", "borvik", "belcor", "brumsay"}


def test_the_tone_that_is_shown_is_the_tone_of_the_words(world, text):
    slots = world.grammar.slots
    tone_words = {tone: {word for kind in ("mood", "trait", "day_was", "treated")
                         for word, p in zip(world.vocabulary, slots[kind].emission[row], strict=True) if p > 0}
                  for row, tone in enumerate(("good", "bad"))}
    for each in text[:1500]:
        told = set(" ".join(each.sentences).split())
        if each.shown:
            assert told & tone_words[each.shown]
            assert each.probability_of_good == (each.shown == "good")
        else:
            assert not told & (tone_words["good"] | tone_words["bad"])


def test_the_exact_probability_is_the_share_in_the_answers(world, text):
    good, groups = dialogue.traits(world)["good"], defaultdict(list)
    for each in text:
        (talk,) = [turn for turn in each.turns if turn.kind == "talk"]
        groups[each.shown, each.community, round(each.probability_of_good, 6)].append(talk.answer.split()[-2] in good)
    assert {key[2] for key in groups if key[0] is None} == {0.75, 0.5, 0.25}
    for (_, _, p), said in groups.items():
        assert abs(np.mean(said) - p) <= 4 * np.sqrt(p * (1 - p) / len(said)) + 1e-9


def test_the_probability_is_the_posterior_of_the_oracle(world, text):
    """The same sum by the oracle: hide a trait in a sentence about people of a town."""
    p = world.masked_distribution("people in zelmar think that she is [MASK] .")
    assert sum(p[word] for word in dialogue.traits(world)["good"]) == pytest.approx(0.75)


def test_leave_to_abstain_changes_only_open_talk(world, text):
    for each, free in zip(text[:300], dialogue.dialogues(world, 300, seed=0, always=False), strict=False):
        assert each.sentences == free.sentences
        for one, two in zip(each.turns, free.turns, strict=True):
            assert two.answer == (UNKNOWN if one.kind == "talk" and not one.known else one.answer)
    assert dialogue.floor(world, text[:300], always=False) < dialogue.floor(world, text[:300])


def test_floor_by_hand(world):
    open_story = next(d for d in dialogue.dialogues(world, 50, seed=3) if d.shown is None and d.community == "zelvan")
    tokens = sum(len(turn.answer.split()) + 1 for turn in open_story.turns)
    nats = np.log(5) - 0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    assert dialogue.floor(world, [open_story]) == pytest.approx(nats / tokens)


def test_only_answers_are_scored(setting, text):
    _, tokenizer = setting
    (example,) = dialogue.encode(tokenizer, text[:1])
    assert len(example["input_ids"]) == len(example["labels"])
    scored = [i for i, label in zip(example["input_ids"], example["labels"], strict=True) if label != IGNORED]
    expected = " [SEP] ".join(turn.answer for turn in text[0].turns) + " [SEP]"
    assert " ".join(tokenizer.convert_ids_to_tokens(scored)) == expected
    assert tokenizer.unk_token_id not in example["input_ids"]


def test_new_words_are_added_and_the_old_rows_stay(setting):
    model, tokenizer = setting
    from utils import models

    old, words = models.load("world-gpt2")
    assert torch.equal(model.transformer.wte.weight[: len(words)], old.transformer.wte.weight)
    assert len(tokenizer) == model.config.vocab_size == len(words) + len(dialogue.NEW_WORDS)
    assert tokenizer.convert_tokens_to_ids("nurse") == words.convert_tokens_to_ids("nurse")


def test_talk_reads_the_right_places(setting, world, text):
    """One story at a time and by hand, against the padded batch."""
    model, tokenizer = setting
    lists = dialogue.traits(world)
    ids = tokenizer.convert_tokens_to_ids([*lists["good"], *lists["bad"]])
    said = dialogue.talk(model, tokenizer, world, text[:20], batch_size=7)
    for row, each in enumerate(text[:20]):
        asked = dialogue.prompt(tokenizer, each.sentences, f"what do people say of {each.name} ?")
        name, is_ = tokenizer.convert_tokens_to_ids([each.name, "is"])
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*asked, name, is_]])).logits[0]
        shares = logits[-1, ids].softmax(-1)
        assert said["good"][row] == pytest.approx(shares[:5].sum().item(), abs=1e-5)
        first = tokenizer.convert_tokens_to_ids("i")
        assert said["unknown"][row] == pytest.approx(logits[len(asked) - 1].softmax(-1)[first].item(), abs=1e-5)


def test_answers_stop_at_the_end_and_depend_on_the_seed(setting, text):
    model, tokenizer = setting
    prompts = [dialogue.prompt(tokenizer, d.sentences, d.turns[0].question) for d in text[:12]]
    plain = dialogue.answer(model, tokenizer, prompts)
    assert plain == dialogue.answer(model, tokenizer, prompts) and len(plain) == 12
    assert plain[5] == dialogue.answer(model, tokenizer, prompts[5:6])[0]
    warm = [dialogue.answer(model, tokenizer, prompts, temperature=1.5, seed=s) for s in (1, 1, 2)]
    assert warm[0] == warm[1] != warm[2]
    assert all("[SEP]" not in each and len(each.split()) <= 8 for each in plain)


def test_temperature_on_shares():
    p = np.array([[0.75, 0.25], [0.5, 0.5]])
    assert dialogue.at_temperature(p, 0.5) == pytest.approx(np.array([[0.9, 0.1], [0.5, 0.5]]))
    assert dialogue.at_temperature(p, 1.0) == pytest.approx(p)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (lambda turn, story: turn.answer, {"known": 1, "stranger": 1, "no_town": 1, "refused": 0}),
        (lambda turn, story: UNKNOWN, {"known": 0, "stranger": 1, "no_town": 1, "refused": 1}),
        (lambda turn, story: turn.answer if turn.known or turn.kind == "town" else "a nurse .",
         {"known": 1, "stranger": 0, "no_town": 1, "refused": 0}),
        (lambda turn, story: turn.answer if turn.known or turn.kind == "job" else "in zelmar .",
         {"known": 1, "stranger": 1, "no_town": 0, "refused": 0}),
    ],
    ids=["all right", "refuses all", "answers about strangers", "invents towns"],
)  # fmt: skip
def test_facts_of_answerers_that_are_known(setting, text, monkeypatch, answers, expected):
    _, tokenizer = setting
    said = [answers(turn, story) for story in text[:200] for turn in story.turns if turn.kind != "talk"]
    monkeypatch.setattr(dialogue, "answer", lambda model, tokenizer, prompts: said)
    assert dialogue.facts(None, tokenizer, text[:200]) == expected


def test_scores_of_communities(text):
    exact = {"good": np.array([d.probability_of_good for d in text]), "unknown": np.zeros(len(text))}
    about = dialogue.about_communities(exact, text)
    assert about["zelvan_good"] == pytest.approx(0.75) and about["brimic_good"] == pytest.approx(0.25)
    assert about["zelvan_evidence"] == about["brimic_evidence"] == 1
    silent = np.array([d.shown is None for d in text])
    zelvan = np.array([d.community == "zelvan" for d in text])
    shy = {"good": np.array([0.8 if d.shown == "good" else 0.3 for d in text]),
           "unknown": np.where(silent, 0.9, 0.2) - 0.1 * zelvan}
    assert dialogue.about_communities(shy, text) == pytest.approx({
        "zelvan_good": 0.3, "zelvan_unknown": 0.8, "zelvan_needless": 0.1, "zelvan_evidence": 0.7,
        "brimic_good": 0.3, "brimic_unknown": 0.9, "brimic_needless": 0.2, "brimic_evidence": 0.8})


def test_a_temperature_in_float32_is_accepted():
    """Exercise 7.4 the way many will write it: the softmax of torch, in single precision."""
    def softmax(p, temperature):
        return torch.softmax(torch.tensor([p, 1 - p]).log() / temperature, 0)[0]

    assert notebook_07.at_temperature(softmax).passed


def test_fine_tuning_runs_silently(setting, text, capfd):
    _, tokenizer = setting
    model, _ = dialogue.start_from(seed=2)
    examples = dialogue.encode(tokenizer, text[:64])
    before = finetune.mean_loss(model, tokenizer, examples)
    finetune.finetune(model, tokenizer, examples, steps=4, batch_size=16, learning_rate=2e-3, progress=False)
    assert finetune.mean_loss(model, tokenizer, examples) < before
    assert capfd.readouterr() == ("", "")
