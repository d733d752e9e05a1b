"""Texts with known deciding words: what the world says of them, swaps, and models whose reasons are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from utils import finetune, models, pairs, planted
from utils.world import World


@pytest.fixture(scope="module")
def plain():
    return World("small", valence_dose=0)


@pytest.fixture(scope="module")
def biased():
    return World("small", valence_dose=4)


@pytest.fixture(scope="module")
def texts(plain):
    return planted.cases(plain, 60, seed=0)


def test_texts_are_what_they_should_be(plain, texts):
    assert len(texts) == 60 and len({case.story for case in texts}) == 60, "one text of each story"
    for case in texts:
        assert len(case.words) == len(case.slots) and case.town.sum() == 1 and case.tone.sum() == 1
        assert not set(case.words) & {"zelvan", "brimic"}
    stories = plain.documents(1000, seed=0)
    assert all(stories[case.story].sentiment == ("bad", "good")[case.label] for case in texts)
    assert 20 <= sum(case.label for case in texts) <= 40


def test_a_larger_draw_begins_with_the_smaller(plain, texts):
    assert planted.cases(plain, 10, seed=0) == texts[:10]
    assert planted.cases(plain, 10, seed=1) != texts[:10]


def test_numbers_of_tone_words(plain):
    found = planted.cases(plain, 40, seed=0, tone_words=(0, 2))
    assert {int(case.tone.sum()) for case in found} == {0, 2}
    with pytest.raises(ValueError, match="fewer than 3"):
        planted.cases(plain, 3, seed=0, tone_words=(9,))


def test_the_tone_word_says_all_and_the_others_nothing(plain, texts):
    for case in texts:
        evidence = planted.evidence(plain, case)
        assert np.allclose(evidence[case.tone], np.log(2)) and np.allclose(evidence[~case.tone], 0, atol=1e-12)
        assert np.allclose(planted.beliefs(plain, case), [[1 - case.label, case.label]])
        without = planted.beliefs(plain, case, case.tone)
        assert np.allclose(without, 0.5, atol=1e-12), "all other words together"


def test_at_a_high_dose_the_town_says_nearly_as_much(biased):
    for case in planted.cases(biased, 20, seed=3):
        without = planted.beliefs(biased, case, case.tone)[0]
        assert max(without) == pytest.approx(3**4 / (1 + 3**4)), "log-odds of 0.75, four times"
        assert np.allclose(planted.beliefs(biased, case, case.tone | case.town), 0.5)


def test_beliefs_are_those_of_the_pair(biased):
    found = planted.cases(biased, 30, seed=5, tone_words=(0, 1, 2))
    ours = np.concatenate([planted.beliefs(biased, case) for case in found])
    theirs = pairs.latent_distribution(biased, [case.pair for case in found], "tone")
    assert np.allclose(ours, theirs[:, ::-1])
    with pytest.raises(ValueError, match="words"):
        planted.beliefs(biased, found[0], np.zeros((1, 3)))


def test_hidden_fixed_words_leave_several_patterns_open(plain, texts):
    case = next(case for case in texts if case.slots[0].startswith("="))
    hidden = np.array([kind.startswith("=") for kind in case.slots])
    assert np.allclose(planted.beliefs(plain, case, hidden).sum(), 1)


def test_what_is_said_twice_has_no_evidence_by_removal(plain):
    for case in planted.cases(plain, 10, seed=2, tone_words=(2,)):
        assert np.allclose(planted.evidence(plain, case), 0)
        assert np.allclose(planted.beliefs(plain, case, case.tone), 0.5)


def test_alternatives(plain, texts):
    case = texts[0]
    good = set(plain.grammar.vocabulary)
    for place, kind in enumerate(case.slots):
        others = planted.alternatives(plain, case, place)
        assert case.words[place] not in others and set(others) <= good
        assert bool(others) != kind.startswith("=")
        for other in others if kind in planted.TONE else []:
            changed = planted.Case(case.with_words({place: other}), case.slots, case.label, case.story)
            assert np.allclose(planted.beliefs(plain, changed), [[case.label, 1 - case.label]]), "the other tone"
        if kind == "town":
            assert len(others) == 4 and len({other[0] for other in others} | {case.words[place][0]}) == 2


def test_words_are_counted_through_both_sentences(texts):
    case = texts[0]
    last = len(case.words) - 1
    changed = case.with_words({0: "FIRST", last: "LAST"})
    assert changed[0].split()[0] == "FIRST" and changed[1].split()[-1] == "LAST"
    assert [len(part.split()) for part in changed] == [len(part.split()) for part in case.pair]


class Reader(torch.nn.Module):
    """A classifier that looks at some words only: each adds its number to the log-odds of good."""

    def __init__(self, tokenizer, numbers):
        super().__init__()
        self.table = torch.zeros(len(tokenizer))
        for word, number in numbers.items():
            self.table[tokenizer.convert_tokens_to_ids(word)] = number
        self.device = torch.device("cpu")

    def forward(self, input_ids, **more):
        total = self.table[input_ids].sum(1)
        return type("Output", (), {"logits": torch.stack([-total / 2, total / 2], dim=1)})()


def test_interventions_find_what_a_model_uses(plain, texts):
    _, tokenizer = models.load("world-small")
    tone_slots = [slot.emission for kind, slot in plain.grammar.slots.items() if kind in planted.TONE]
    numbers = {word: 8.0 * sum(e[0, i] > 0 for e in tone_slots) - 8.0 * sum(e[1, i] > 0 for e in tone_slots)
               for i, word in enumerate(plain.vocabulary)}
    towns = plain.grammar.forest.by_name["town"]
    by_town = {town: 8.0 if towns.table[0, i] > 0 else -8.0 for i, town in enumerate(towns.states)}
    for table, uses in ((numbers, "tone"), (by_town, "town")):
        model = Reader(tokenizer, table)
        keys = {name: [getattr(case, name) for case in texts] for name in ("tone", "town")}
        effects = planted.swap_effects(model, tokenizer, plain, texts)
        for effect, key in zip(effects, keys[uses], strict=True):
            assert effect[key].min() > 0.9 and np.allclose(effect[~key], 0, atol=1e-6)
        for name, key in keys.items():
            assert planted.used(model, tokenizer, plain, texts, key).all() == (name == uses)
            assert planted.used(model, tokenizer, plain, texts, key).any() == (name == uses)
    accuracy = (planted.classify(Reader(tokenizer, numbers), tokenizer, [c.pair for c in texts]) > 0.5)
    assert (accuracy == [case.label for case in texts]).all()
    both = Reader(tokenizer, {**{word: 2 * np.sign(n) for word, n in numbers.items()},
                              **{town: np.sign(n) for town, n in by_town.items()}})
    assert not planted.used(both, tokenizer, plain, texts, keys["tone"]).any(), "the town counts too"


def test_a_rise_and_a_fall_do_not_cancel(plain, texts, monkeypatch):
    _, tokenizer = models.load("world-small")
    random = np.random.default_rng(0)
    model = Reader(tokenizer, {word: random.normal() for word in plain.vocabulary})
    keys, largest = [case.tone for case in texts], []
    signed = planted.swap_effects(model, tokenizer, plain, texts)
    sizes = planted.swap_effects(model, tokenizer, plain, texts, absolute=True)
    for one, size, key in zip(signed, sizes, keys, strict=True):
        assert (size >= np.abs(one) - 1e-9).all()
        largest.append((np.abs(one[~key]).max(), size[~key].max()))
    assert any(one < 0.9 * size for one, size in largest), "some rises cancelled some falls"
    one, size = min(largest, key=lambda two: two[0] / two[1])
    monkeypatch.setattr(planted, "STAYS", (one + size) / 2)  # by the signed mean the others stay, by size they do not
    monkeypatch.setattr(planted, "FLIPS", -1.0)
    assert not planted.used(model, tokenizer, plain, texts, keys)[largest.index((one, size))]


def test_blanks_leave_the_ends_and_come_from_the_seed():
    _, tokenizer = models.load("world-small")
    examples = finetune.encode(tokenizer, [("she was sad .", "that made mary feel happy .")] * 300, [1] * 300)
    changed = planted.with_blanks(examples, tokenizer, seed=1)
    assert planted.with_blanks(examples, tokenizer, seed=1) == changed
    ids, before = (np.array([example["input_ids"] for example in each]) for each in (changed, examples))
    hidden = ids == tokenizer.mask_token_id
    assert (ids[~hidden] == before[~hidden]).all()
    special = np.isin(before[0], [tokenizer.cls_token_id, tokenizer.sep_token_id])
    assert not hidden[:, special].any() and 0.4 < hidden[:, ~special].mean() < 0.6
    assert all(example["labels"] == 1 for example in changed) and not (before == tokenizer.mask_token_id).any()


def test_training_reads_the_tone(plain, texts):
    model, tokenizer = planted.train(planted.cases(plain, 400, seed=9), seed=0, steps=100)
    right = (planted.classify(model, tokenizer, [case.pair for case in texts]) > 0.5) == [c.label for c in texts]
    assert right.mean() > 0.75
    same, _ = planted.train(planted.cases(plain, 40, seed=9), seed=0, steps=3)
    other, _ = planted.train(planted.cases(plain, 40, seed=9), seed=0, steps=3, labels=[0] * 40)
    assert not torch.equal(same.classifier.weight, other.classifier.weight)
