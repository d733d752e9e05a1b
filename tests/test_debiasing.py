"""The experiments of notebook 10: distances against known answers, leaks, the record and its short point."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tools import records
from tools.records_debias import ORACLES, SHORT, TOLD, UNTOUCHED
from utils import datasets, debias, debiasing, gendered_text, likelihood, models
from utils.bias import planted
from utils.debiasing import ARMS, PROJECTIONS
from utils.world import World


@pytest.fixture(scope="module")
def worlds():
    return {"biased": World("small"), "fair": World("small", pronoun_dose=0.0)}


@pytest.fixture(scope="module")
def small():
    return models.load("world-small", head="masked-lm")


def test_an_oracle_is_at_no_distance_from_its_own_world_and_misses_the_other(worlds):
    exams = {name: debiasing.exam_of(world, 0, documents=40) for name, world in worlds.items()}
    for asked, exam in exams.items():
        for name, world in worlds.items():
            kl = debiasing.distances(likelihood.reader_of(world), exam, world)
            assert kl.shape == exam.target.shape and (kl > -1e-12).all()
            assert (kl.mean() < 1e-12) == (name == asked)


def test_distances_are_those_of_single_questions(worlds, small):
    """By hand, one masked sentence at a time, through the model's own forward pass."""
    (model, tokenizer), world = small, worlds["fair"]
    exam = debiasing.exam_of(world, 1, documents=4)
    found = debiasing.distances(likelihood.reader_of(model, tokenizer), exam, world)
    for row in range(0, len(found), 5):
        text, _, place = exam.asked[row]
        words = ["[MASK]" if w < 0 else world.vocabulary[w] for w in exam.shown[text][0]]
        with torch.no_grad():
            logits = model(**tokenizer(" ".join(words), return_tensors="pt")).logits[0, place + 1]
        p = exam.answers[row]
        own = logits.double().log_softmax(-1)[tokenizer.convert_tokens_to_ids(world.vocabulary)].numpy()
        by_hand = (p[p > 0] * (np.log(p[p > 0]) - own[p > 0])).sum()
        assert found[row] == pytest.approx(by_hand, abs=1e-4)


def test_kinds_of_questions_split_what_is_told_from_what_is_open(worlds):
    fair = worlds["fair"]
    exam = debiasing.exam_of(fair, 0, documents=80)
    kinds = debiasing.kinds_of_questions(exam, fair)
    assert set(kinds) == {"open pronoun", "told pronoun", "other"}
    pronouns = [fair.word_ids[word] for word in ("she", "he", "her", "his", "him")]
    assert set(exam.target[kinds != "other"]) <= set(pronouns)
    assert np.allclose(exam.answers[kinds == "open pronoun"].max(1), 0.5, atol=0.21)


def test_agreement_is_perfect_for_the_oracle_and_blind_for_random_weights(worlds, small):
    assert np.isposinf(debiasing.agreement(likelihood.reader_of(worlds["biased"]), worlds["biased"])).all()
    random = likelihood.random_weights(small[0], seed=0)
    right = debiasing.agreement(likelihood.reader_of(random, small[1]), worlds["biased"])
    assert len(right) == 12 * 16 and abs((right > 0).mean() - 0.5) < 0.1


def test_readings_of_an_oracle_are_the_dose(worlds):
    found = debiasing.readings(likelihood.reader_of(worlds["biased"]), worlds["biased"])
    assert found["slope"] == pytest.approx(1) and found["slope_likes"] == pytest.approx(1)
    assert found["ss"] == 100 and np.isnan(found["aula"])
    fair = debiasing.readings(likelihood.reader_of(worlds["fair"]), worlds["biased"])
    assert fair["slope"] == pytest.approx(0, abs=1e-9) and fair["crows"] == 0


def test_left_out_occupations_are_in_no_sentence_that_a_projection_sees(worlds):
    stories = worlds["biased"].documents(200, seed=1)
    occupations = list(worlds["biased"].share_of_she())
    groups = debiasing.folds(occupations)
    assert sorted(sum(groups, [])) == sorted(occupations) and len(groups) == 4
    kept, labels = debiasing.gendered_sentences(worlds["biased"], stories, groups[0])
    everything, _ = debiasing.gendered_sentences(worlds["biased"], stories)
    assert 0 < len(kept) == len(labels) < len(everything)
    assert not any(occupation in sentence.split() for sentence in kept for occupation in groups[0])


def test_labels_are_the_gender_that_the_sentence_tells(worlds):
    sentences, women = debiasing.gendered_sentences(worlds["biased"], worlds["biased"].documents(100, seed=2))
    female = {"she", "her", *planted.names_of(worlds["biased"], "female")}
    for sentence, woman in zip(sentences, women, strict=True):
        assert bool(female & set(sentence.split())) == bool(woman)


def test_sentence_vectors_do_not_depend_on_the_batch(small):
    sentences = ["the nurse said that she was happy .", "then he went home to zelmar .", "she felt sad ."][:2]
    together = debiasing.sentence_vectors(*small, sentences)
    alone = np.vstack([debiasing.sentence_vectors(*small, [sentence]) for sentence in sentences])
    assert np.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("method", PROJECTIONS)
def test_directions_are_orthonormal(method, small, worlds, monkeypatch):
    monkeypatch.setattr(debiasing, "PROJECTION_STORIES", 60)
    monkeypatch.setattr(debiasing, "ROUNDS", 3)
    q = debiasing.directions_of(method, *small, worlds["biased"])
    assert q.shape == (1 if method == "SentenceDebias" else 3, 128)
    assert np.allclose(q @ q.T, np.eye(len(q)), atol=1e-6)


def test_an_unknown_projection_is_named(small, worlds):
    with pytest.raises(ValueError, match="no projection 'prayer'"):
        debiasing.directions_of("prayer", *small, worlds["biased"])


def test_left_out_never_fits_on_the_group_it_tests():
    """Labels belong to groups at random, so that only a leak could be right more often than chance."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    states = rng.normal(size=(40, 6))[groups] + 0.01 * rng.normal(size=(200, 6))
    labels = rng.permutation([0, 1] * 20)[groups]
    for kernel in (False, True):
        assert 0.2 < debiasing.left_out(states, labels, groups, kernel).mean() < 0.8


def test_a_kernel_probe_reads_what_no_linear_one_can():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(400, 2))
    labels = (points[:, 0] * points[:, 1] > 0).astype(int)
    assert debiasing.kernel_probe(points[:300], labels[:300]).score(points[300:], labels[300:]) > 0.9
    assert debiasing.probing.fit_probe(points[:300], labels[:300]).accuracy(points[300:], labels[300:]) < 0.7


def test_the_prompt_names_the_occupation_that_the_text_shows(worlds):
    prompt = debiasing.named_again(worlds["biased"])
    assert prompt("the nurse said that [MASK] was happy .".split()) == "this is a story about alex the nurse ."
    assert prompt("then [MASK] went home to zelmar .".split()) == ""
    assert np.isfinite(worlds["biased"].log_probability(prompt(["nurse"])))


def test_gendered_sentences_differ_in_one_word():
    table = gendered_text.sentences()
    assert len(table) == 16 * 12 and not table.duplicated().any()
    for man, woman in zip(table["man"], table["woman"], strict=True):
        a, b = man.split(), woman.split()
        assert len(a) == len(b) and sum(x != y for x, y in zip(a, b, strict=True)) == 1


# ------------------------------------------------------------------------------------------ published and shipped


def test_published_scores_are_whole_numbers_of_pairs():
    """57.25 per cent of 262 pairs are 150; so are the others, up to rounding and pairs that the program skips."""
    table = datasets.load("bias-bench").set_index("method")
    pairs = datasets.load("crows-pairs-scores")["bias_type"].value_counts()
    assert pairs["gender"] == 262
    for column, kind, skipped in (("crows_gender", "gender", 0), ("crows_religion", "religion", 0),
                                  ("crows_race", "race-color", 1)):  # a pair without a differing token
        wins = table[column].dropna() * (pairs[kind] - skipped) / 100
        assert (abs(wins - wins.round()) < 0.06).all()
    single = table.loc[["BERT", "Self-Debias"]]  # means over three models have no such identity
    icat = single["lms_all"] * np.minimum(single["ss_all"], 100 - single["ss_all"]) / 50
    assert np.allclose(icat, single["icat_all"], atol=0.05)


def test_the_record_has_every_method_with_the_same_seeds():
    rows = pd.DataFrame(records.load("debias")["results"])
    main = rows[rows["steps"].isin([0, debiasing.STEPS])]
    counts = main.groupby("arm")["seed"].nunique()
    assert set(counts.index) == {UNTOUCHED, *ARMS, *PROJECTIONS, "trained on dose 0", TOLD, *ORACLES}
    assert counts.nunique() == 1 and counts.iloc[0] >= 3
    assert main[main["arm"] == "oracle, dose 0"]["gap_fair"].abs().max() < 1e-6
    assert main[main["arm"] == "oracle, dose 1"]["gap_biased"].abs().max() < 1e-6
    trained = main[main["arm"].isin(ARMS)].groupby("arm")["gap_fair"].nunique()
    assert (trained > 1).all()  # no arm is the same model again under another name


def test_the_short_point_comes_out_again():
    """Some seconds. Threads and versions move a training a little, hence the tolerance."""
    sweep, row = records.find("debias"), records.load("debias")["results"][-1]
    assert sweep.points[-1] == SHORT and SHORT.items() <= row.items()
    again = sweep.measure(SHORT)
    assert again["slope"] == pytest.approx(row["slope"], abs=0.1)
    for name in ("gap_biased", "gap_fair"):
        assert again[name] == pytest.approx(row[name], abs=0.003)


def test_a_projection_of_the_record_comes_out_again(small, worlds):
    """No training: equal to what was recorded, up to the last digits."""
    rows = records.load("debias")["results"]
    row = next(r for r in rows if r["arm"] == "SentenceDebias" and r["seed"] == 0)
    q = debiasing.directions_of("SentenceDebias", *small, worlds["biased"], 0)
    found = debiasing.costs(likelihood.reader_of(debias.fold(small[0], q), small[1]), worlds, 0)
    assert found["gap_fair"] == pytest.approx(row["gap_fair"], abs=2e-3)
    assert found["agree_nats"] == pytest.approx(row["agree_nats"], abs=0.1)
