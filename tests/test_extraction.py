"""Exact answers, names swapped into carriers, and the matched comparison of groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from utils import datasets, entities, extraction, tagging
from utils.exercises import notebook_06 as check
from utils.tagging import Sentence
from utils.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return World("small")


def test_the_exact_distribution_is_calibrated(world):
    asked = extraction.ask_for(world, "topic", count=1500, seed=3)
    assert asked.exact.sum(1) == pytest.approx(1)
    right = asked.exact.argmax(1) == asked.labels
    assert right.mean() == pytest.approx(asked.exact.max(1).mean(), abs=4 * 0.5 / np.sqrt(1500))
    coin = np.random.default_rng(0).random(asked.exact.shape) * 1e-9  # decides ties
    said = (asked.exact + coin).argmax(1)
    expected, got = extraction.best_confusion(asked.exact), extraction.confusion(asked.labels, said, 4)
    assert expected.sum() == pytest.approx(1) and got.sum() == pytest.approx(1)
    assert np.trace(expected) == pytest.approx(asked.exact.max(1).mean())
    assert np.abs(expected - got).max() < 0.04
    assert got[asked.labels[0]].sum() == pytest.approx((asked.labels == asked.labels[0]).mean())


def test_words_that_show_the_tone_are_counted(world):
    asked = [("mary is a nurse from zelmar .", "she felt happy because it was a good day .")]
    assert extraction.shown(world, asked, "tone").tolist() == [2]
    assert extraction.shown(world, asked, "topic").tolist() == [0]


def test_careless_annotators_forget_the_stated_share(world):
    sentences = extraction.story_sentences(world, 3000, 5)
    kept = {"mary": 0.5, "john": 0.0}
    careless = extraction.careless(sentences, kept, seed=0)
    tags = {name: [t for words, tags in careless for w, t in zip(words, tags, strict=True) if w == name]
            for name in ("mary", "john", "omar")}
    assert set(tags["john"]) == {"O"} and set(tags["omar"]) == {"B-PER"}
    assert np.mean([t == "O" for t in tags["mary"]]) == pytest.approx(0.5, abs=0.2)
    assert [s.words for s in careless] == [s.words for s in sentences]


def test_one_person_is_swapped():
    sentence = Sentence(["Ann", "Lee", "left", "Tartu"], ["B-PER", "I-PER", "O", "B-LOC"])
    assert extraction.swap(sentence, ["Bo"]) == Sentence(["Bo", "left", "Tartu"], ["B-PER", "O", "B-LOC"])
    with pytest.raises(ValueError, match="0 persons"):
        extraction.swap(Sentence(["Rain"], ["O"]), ["Bo"])


def test_carriers_have_one_person_named_once():
    table, people = datasets.load("entity-sentences"), datasets.load("people")
    chosen = extraction.carriers(table, "test", 12, seed=0)
    assert len(chosen) == 12
    for sentence in chosen:
        assert [s[0] for s in tagging.spans(sentence.tags)].count("PER") == 1
        assert extraction.swap(sentence, ["Aiko", "Tanabe"]).words.count("Tanabe") == 1
    half = extraction.halves(people, seed=1)
    assert people.groupby(["origin", pd.Series(half)]).size().eq(15).all()


def test_without_markers_one_sentence_has_one_answer():
    filled = entities.fill("{P1} of [Kestrix|ORG] lives in [Tartu|LOC].",
                           [["P1", "works_for", "Kestrix"], ["P1", "lives_in", "Tartu"]],
                           {"P1": entities.Person("Aiko", "Tanabe")})
    candidates = tagging.filled_candidates(filled)
    assert sorted(c.relation for c in candidates) == ["lives_in", "none", "works_for"]
    assert extraction.best_without_markers(candidates) == pytest.approx(1 / 3)


def test_matching_removes_what_length_explains():
    rng = np.random.default_rng(0)
    strata = rng.integers(2, 6, 360)
    groups = np.where(rng.random(360) < np.where(strata > 3, 0.7, 0.2), "long", "short")
    values = 1 - 0.1 * strata + rng.normal(0, 0.05, 360)
    raw = values[groups == "long"].mean() - values[groups == "short"].mean()
    matched = extraction.matched_gap(values, groups, strata, "long", resamples=500)
    assert raw < -0.08 and abs(matched.value) < 0.02 and matched.low < 0 < matched.high and matched.p > 0.02
    planted = extraction.matched_gap(values - 0.1 * (groups == "long"), groups, strata, "long", resamples=500)
    assert planted.value == pytest.approx(matched.value - 0.1) and planted.p < 0.01 and planted.high < 0


def test_a_gap_that_cannot_be_compared_is_not_a_number():
    gap = extraction.matched_gap([1, 0, 1, 0], ["a", "a", "b", "b"], [2, 2, 3, 3], "a")
    assert np.isnan(gap.value)


def test_matched_gap_is_held_at_its_level():
    """Under no difference about one test in twenty is below 0.05."""
    rng = np.random.default_rng(1)
    low = [extraction.matched_gap(rng.random(60), np.repeat(["a", "b"], [15, 45]), rng.integers(2, 5, 60), "a",
                                  resamples=300, seed=k).p < 0.05 for k in range(200)]
    assert 0.01 <= np.mean(low) <= 0.11


def test_sentences_are_told_apart_when_their_pairs_get_different_answers():
    def pair(text, head):
        return tagging.Candidate(text.split(), (head, head + 1), (2, 3), "none")

    pairs_ = [pair("a b c", 0), pair("a b c", 1), pair("d e f", 0), pair("d e f", 1), pair("g h i", 0)]
    assert extraction.told_apart(pairs_, [1, 2, 3, 3, 0]) == pytest.approx(1 / 2)  # g h i has one pair only
    assert extraction.told_apart(pairs_, [1, 1, 3, 3, 0]) == 0
    assert np.isnan(extraction.told_apart(pairs_[-1:], [0]))


def test_ties_of_the_best_reader_are_shared():
    assert extraction.best_confusion(np.array([[0.5, 0.5, 0.0]])) == pytest.approx(
        np.array([[0.25, 0.25, 0], [0.25, 0.25, 0], [0, 0, 0]]))


def test_strata_are_weighted_by_the_group():
    values = [1.0] * 9 + [0.0] * 3 + [0.0] * 3 + [0.0] * 9  # stratum 0: difference 1; stratum 1: 0
    groups, strata = ["a"] * 9 + ["b"] * 3 + ["a"] * 3 + ["b"] * 9, [0] * 12 + [1] * 12
    gap = extraction.matched_gap(values, groups, strata, "a", resamples=50)
    assert gap.value == pytest.approx(0.75)
    weights = check._gaps(np.array(values), np.array(strata), np.array(groups) == "a")
    assert gap.value == pytest.approx(weights["right"])  # what the exercise teaches
