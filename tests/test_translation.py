"""The translator's functions on a model with random weights: shifts, places, methods, scores."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sacrebleu.metrics import BLEU, CHRF

from utils import finetune, models, parallel, translation
from utils.parallel import Pair
from utils.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World("full")


@pytest.fixture(scope="module")
def setting(world):
    tokenizer = parallel.build_tokenizer(world)
    return translation.build_model(tokenizer, width=16, layers=1, heads=2, seed=1), tokenizer


def test_first_weights_depend_on_the_seed_only(setting):
    _, tokenizer = setting
    state = torch.get_rng_state()
    one, two, three = (translation.build_model(tokenizer, 16, 1, 2, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    weights = [next(m.parameters()) for m in (one, two, three)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_labels_are_the_target_and_its_end(setting, world):
    _, tokenizer = setting
    pair = parallel.pairs(world, 1, seed=0)[0]
    (example,) = translation.encode(tokenizer, [pair])
    assert tokenizer.convert_ids_to_tokens(example["labels"]) == [*pair.target.split(), "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(example["input_ids"]) == ["[CLS]", *pair.source.split(), "[SEP]"]


def test_share_of_she_reads_the_place_of_the_pronoun(setting, world):
    """One pair at a time, by hand, against the padded batch; pronouns in first and later places."""
    model, tokenizer = setting
    text = [pair for pair in parallel.pairs(world, 60, seed=4) if pair.pronoun]
    assert {pair.place for pair in text} == {0, 5}
    ids = tokenizer.convert_tokens_to_ids(["she", "he"])
    by_hand = []
    for pair in text:
        words = [tokenizer.cls_token_id, *tokenizer.convert_tokens_to_ids(pair.target.split()[: pair.place])]
        with torch.no_grad():
            logits = model(**tokenizer(pair.source, return_tensors="pt", return_token_type_ids=False),
                           decoder_input_ids=torch.tensor([words])).logits
        by_hand.append(logits[0, -1, ids].softmax(-1)[0].item())
    assert np.abs(translation.share_of_she(model, tokenizer, text, batch_size=17) - by_hand).max() < 1e-5


def test_translate_methods(setting):
    model, tokenizer = setting
    sources = ["o bir doktor .", "mary bir hemşire . o mutlu ."]
    state = torch.get_rng_state()
    for method in ("greedy", "beam", "sample"):
        first, again = (translation.translate(model, tokenizer, sources, method, seed=3) for _ in range(2))
        assert first == again and len(first) == 2
    assert translation.translate(model, tokenizer, sources, "sample", seed=4) != first
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="method='best' is unknown"):
        translation.translate(model, tokenizer, sources, "best")


def test_words_right_by_kind(setting, world):
    """A model that is right where the word's id is even: counted by hand, pronouns left out."""
    _, tokenizer = setting
    text = parallel.pairs(world, 200, seed=6)
    assert any(" an " in pair.target for pair in text)
    right = {"fixed": [], "dictionary": []}
    for word in " ".join(pair.target for pair in text).split():
        if word not in parallel.PRONOUNS:
            kind = "fixed" if word in "is a an very today and person that this .".split() else "dictionary"
            right[kind].append(tokenizer.convert_tokens_to_ids(word) % 2 == 0)

    def half_right(labels, **_):
        labels = labels.clamp(min=0)
        return SimpleNamespace(logits=torch.nn.functional.one_hot(labels + labels % 2, len(tokenizer) + 1).float())

    found = translation.words_right(half_right, tokenizer, text, batch_size=7)
    assert found == pytest.approx({kind: np.mean(each) for kind, each in right.items()})
    assert all(0 < share < 1 for share in found.values())


def test_words_right_leaves_the_pronoun_out(setting, world, monkeypatch):
    """A model that is wrong about pronouns only has every other word right."""
    _, tokenizer = setting
    she, he = tokenizer.convert_tokens_to_ids(["she", "he"])

    def reads_labels(labels, **_):
        other = torch.where(labels == she, he, torch.where(labels == he, she, labels)).clamp(min=0)
        return SimpleNamespace(logits=torch.nn.functional.one_hot(other, len(tokenizer)).float())

    assert translation.words_right(reads_labels, tokenizer, parallel.pairs(world, 200, seed=2)) == {
        "fixed": 1.0, "dictionary": 1.0}


def test_bleu_gain_is_the_difference_of_two_corpus_scores(world):
    text = [pair for pair in parallel.pairs(world, 400, seed=9) if pair.pronoun]
    wanted = [pair.target for pair in text]
    flipped = [pair.target.replace("she", "he") for pair in text]
    gain = translation.bleu_gain(wanted, flipped, wanted, seed=1)
    assert gain.value == pytest.approx(100 - BLEU(force=True).corpus_score(flipped, [wanted]).score, abs=1e-6)
    assert 0 < gain.low < gain.value < gain.high
    assert translation.bleu_gain(flipped, wanted, wanted, seed=1).value == pytest.approx(-gain.value)
    assert translation.bleu_gain(flipped, flipped, wanted) == (0, 0, 0)  # unpaired draws would give an interval
    shorter = [" ".join(each.split()[:-1]) for each in wanted]
    assert translation.bleu_gain(shorter, wanted, wanted).value == pytest.approx(
        BLEU(force=True).corpus_score(shorter, [wanted]).score - 100, abs=1e-6)


def test_the_report_is_made_of_its_parts(setting, world):
    """Every value again by another way, on a model with random weights."""
    model, tokenizer = setting
    found, text = translation.report(model, tokenizer, world, seed=3, count=120), parallel.pairs(world, 120, seed=3)
    women = world.share_of_she()
    occupations = sorted((o for o in women if o in parallel.TURKISH_OCCUPATIONS), key=women.get)
    asked = [Pair(f"o bir {parallel.TURKISH_OCCUPATIONS[o]} .", "she is", "alone", o, None, "female")
             for o in occupations]
    true, shown = np.array([women[o] for o in occupations]), translation.share_of_she(model, tokenizer, asked)
    assert found["error"] == pytest.approx(np.abs(shown - true).mean())
    assert found["r"] == pytest.approx(np.corrcoef(true, shown)[0, 1], abs=1e-6)
    assert found["slope"] == pytest.approx(np.polyfit(true, shown, 1)[0], abs=1e-6)
    towards = np.sign(true - 0.5)
    assert found["amplified_probability"] == pytest.approx((towards * (shown - true)).mean())
    assert found["amplified_word"] == pytest.approx((towards * (np.round(shown) - true)).mean())
    people = parallel.about_people(world, seed=3)
    right = np.round(translation.share_of_she(model, tokenizer, people)) == [each.gender == "female" for each in people]
    usual = np.array([(women[each.occupation] > 0.5) == (each.gender == "female") for each in people])
    assert (found["stereotype"], found["other"]) == pytest.approx((right[usual].mean(), right[~usual].mean()))
    said = translation.translate(model, tokenizer, [pair.source for pair in text])
    assert found["bleu"] == pytest.approx(BLEU(force=True).corpus_score(said, [[p.target for p in text]]).score)
    assert found["chrf"] == pytest.approx(CHRF().corpus_score(said, [[p.target for p in text]]).score)
    assert found["floor"] == pytest.approx(parallel.nats_of(world, text).sum() / sum(len(p.target.split()) + 1
                                                                                     for p in text))


def test_both_begin_with_their_pronoun(setting):
    versions = translation.both(*setting, "o bir doktor .")
    assert [version.split()[0] for version in versions.values()] == list(versions) == ["she", "he"]


def test_amplification_of_the_most_likely_word_and_of_the_truth():
    true = np.array([0.1, 0.4, 0.6, 0.9])
    assert translation.amplification(true, true).tolist() == [0, 0, 0, 0]
    assert translation.amplification(true, true > 0.5) == pytest.approx([0.1, 0.4, 0.4, 0.1])
    assert translation.amplification(true, np.full(4, 0.5)) == pytest.approx([-0.4, -0.1, -0.1, -0.4])


def test_calibration_sees_a_squeezed_model():
    true = np.linspace(0.05, 0.95, 20)
    found = translation.calibration(true, 0.5 + 0.2 * (true - 0.5))
    assert found["r"] == pytest.approx(1) and found["slope"].value == pytest.approx(0.2)
    assert found["error"] == pytest.approx(np.mean(np.abs(0.8 * (true - 0.5))))
    constant = translation.calibration(np.full(5, 0.4), np.linspace(0.3, 0.5, 5))
    assert np.isnan(constant["r"]) and np.isnan(constant["slope"].value) and constant["error"] == pytest.approx(0.06)


def test_agreement_of_a_model_that_knows_only_the_stereotype(world):
    people, women = parallel.about_people(world, seed=1), parallel.shares(world)
    stereotype = np.array([women[pair.occupation] for pair in people])
    assert translation.agreement(world, people, stereotype) == {"stereotype": 1.0, "other": 0.0}
    named = np.array([float(pair.gender == "female") for pair in people])
    assert translation.agreement(world, people, named) == {"stereotype": 1.0, "other": 1.0}


def test_scores_and_their_signatures():
    said, wanted = ["he is a doctor .", "she is happy ."], ["she is a doctor .", "she is happy ."]
    bleu, chrf = translation.scores(said, wanted)
    assert 0 < bleu < 100 and 0 < chrf < 100 and translation.scores(wanted, wanted) == (pytest.approx(100),) * 2
    for metric in (BLEU(), CHRF()):
        metric.corpus_score(said, [wanted])
        assert str(metric.get_signature()).rsplit("|version", 1)[0] in translation.scores.__doc__


def test_a_few_steps_of_training_lower_the_loss_and_the_model_reloads(world, tmp_path):
    tokenizer = parallel.build_tokenizer(world)
    model = translation.build_model(tokenizer, 16, 1, 2, seed=0)
    examples = translation.encode(tokenizer, parallel.pairs(world, 500, seed=0))
    before = finetune.mean_loss(model, tokenizer, examples)
    finetune.finetune(model, tokenizer, examples, steps=12, batch_size=32, learning_rate=5e-3, progress=False)
    assert finetune.mean_loss(model, tokenizer, examples) < before - 0.5
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    again, words = models.load(tmp_path, head="seq2seq-lm")
    text = [pair for pair in parallel.pairs(world, 40, seed=1) if pair.pronoun]
    assert np.allclose(translation.share_of_she(again, words, text), translation.share_of_she(model, tokenizer, text),
                       atol=1e-6)
    assert words.tokenize("kâtip müfettiş öğretmen aşçı") == ["kâtip", "müfettiş", "öğretmen", "aşçı"]
