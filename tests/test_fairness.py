"""Measures of fairness against fairlearn and against counting; the world's applicants against their design."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as theirs

from tests.notebook_parts import FOLDER, Notebook
from tools import records
from utils import datasets, fairness, screening, stats
from utils.world import World


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(3)
    group = rng.choice(["a", "b", "c"], 900, p=[0.5, 0.3, 0.2])
    truth = (rng.random(900) < np.select([group == "a", group == "b"], [0.6, 0.4], 0.2)).astype(int)
    scores = np.clip(0.35 * truth + 0.6 * rng.random(900), 0, 1)
    return (scores > 0.5).astype(int), truth, group, scores


def test_rates_are_those_of_fairlearn(people):
    decisions, truth, group, _ = people
    frame = theirs.MetricFrame(
        metrics={"selection": theirs.selection_rate, "tpr": theirs.true_positive_rate,
                 "fpr": theirs.false_positive_rate, "n": theirs.count},
        y_true=truth, y_pred=decisions, sensitive_features=group)
    ours = fairness.rates(decisions, truth, group)
    for column in ("selection", "tpr", "fpr", "n"):
        assert np.allclose(ours[column], frame.by_group[column])
    assert fairness.impact_ratio(decisions, group) == pytest.approx(
        theirs.demographic_parity_ratio(truth, decisions, sensitive_features=group))
    assert fairness.odds_gap(decisions, truth, group) == pytest.approx(
        theirs.equalized_odds_difference(truth, decisions, sensitive_features=group))


def test_precision_accuracy_and_base_rate_by_counting(people):
    decisions, truth, group, _ = people
    ours = fairness.rates(decisions, truth, group)
    for g in "abc":
        own = [(d, y) for d, y, h in zip(decisions, truth, group, strict=True) if h == g]
        taken = [y for d, y in own if d]
        assert ours.loc[g, "ppv"] == pytest.approx(sum(taken) / len(taken))
        assert ours.loc[g, "accuracy"] == pytest.approx(sum(d == y for d, y in own) / len(own))
        assert ours.loc[g, "base"] == pytest.approx(sum(y for _, y in own) / len(own))
    wide = fairness.intervals(decisions, truth, group)
    row = wide[(wide["group"] == "b") & (wide["measure"] == "tpr")].iloc[0]
    assert (row["low"], row["high"]) == stats.wilson(row["count"], row["of"]).interval


def test_the_identity_holds_for_any_decisions(people):
    decisions, truth, group, _ = people
    for row in fairness.rates(decisions, truth, group).itertuples():
        assert fairness.forced_fpr(row.base, row.ppv, 1 - row.tpr) == pytest.approx(row.fpr, abs=1e-12)


def test_the_ratio_interval_covers_the_true_ratio():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(1000):
        a, b = rng.binomial(400, 0.3), rng.binomial(500, 0.5)
        _, low, high = fairness.ratio_interval((int(a), 400), (int(b), 500))
        hits += low <= 0.6 <= high
    assert 930 <= hits <= 970
    with pytest.raises(ValueError, match="a count is 0"):
        fairness.ratio_interval((0, 10), (5, 10))


def test_calibration_finds_a_calibrated_score_and_one_that_is_not():
    rng = np.random.default_rng(1)
    scores, group = rng.random(8000), rng.integers(2, size=8000)
    truth = rng.random(8000) < np.where(group == 1, scores**2, scores)
    table = fairness.calibration(scores, truth, group)
    off = (table["value"] - table["score"]).groupby(table["group"]).mean()
    assert abs(off[0]) < 0.02 and off[1] < -0.1
    assert (table.groupby("group")["n"].sum() == np.bincount(group)).all()


def test_reweighing_makes_label_and_group_independent(people):
    _, truth, group, _ = people
    weights = fairness.reweighing(truth, group)
    assert weights.mean() == pytest.approx(1)
    table = pd.DataFrame({"w": weights, "y": truth, "g": group})
    shares = table[table["y"] == 1].groupby("g")["w"].sum() / table.groupby("g")["w"].sum()
    assert np.allclose(shares, truth.mean())
    assert np.allclose(table.groupby("g")["w"].sum(), table.groupby("g").size())


def test_equal_rates_takes_the_best_of_each_group(people):
    _, _, group, scores = people
    yes = fairness.equal_rates(scores, group, 0.25)
    for g in "abc":
        own = group == g
        assert yes[own].mean() == pytest.approx(0.25, abs=1 / own.sum())
        assert scores[own & (yes == 1)].min() >= scores[own & (yes == 0)].max()


def test_equal_odds_are_nearly_equal_and_repeat(people):
    _, truth, group, scores = people
    before = fairness.odds_gap((scores > 0.5).astype(int), truth, group)
    scores = np.where(group == "a", scores, scores * 0.8)
    yes = fairness.equal_odds(scores, truth, group, seed=1)
    assert fairness.odds_gap(yes, truth, group) < 0.12 < fairness.odds_gap((scores > 0.5).astype(int), truth, group)
    assert (yes == fairness.equal_odds(scores, truth, group, seed=1)).all() and before >= 0


def test_mismatched_lengths_are_named():
    with pytest.raises(ValueError, match="2 decisions, 3 true answers and 2 groups"):
        fairness.rates([1, 0], [1, 0, 1], ["a", "b"])


# ------------------------------------------------------------------------------------------ applicants


@pytest.fixture(scope="module")
def applicants():
    return screening.draw(screening.fair_world(), 4000, seed=3)


def test_the_belief_is_calibrated_and_the_groups_are_equal(applicants):
    for own in (applicants.community == 0, applicants.community == 1):
        assert abs((applicants.qualified - applicants.belief)[own].mean()) < 0.045
    table = fairness.calibration(applicants.belief, applicants.qualified, applicants.community, bins=5)
    assert ((table["low"] - 0.03 <= table["score"]) & (table["score"] <= table["high"] + 0.03)).all()
    first, second = (applicants.belief[applicants.community == g].mean() for g in (0, 1))
    assert abs(first - second) < 0.03


def test_the_belief_is_that_of_the_worlds_own_sums():
    """Two-sentence stories: tone and topic from `World`'s oracle, by brute force over its joint distribution."""
    world = screening.fair_world(valence_dose=1.0)
    story = next(s for s in world.documents(200, 5) if "town" in s.frames[0].slots)
    text = " ".join(story.sentences[: screening.SENTENCES]).split()
    forest, total = world.grammar.forest, {}
    slots = [kind for frame in story.frames[: screening.SENTENCES] for kind in frame.slots]
    tone, topic = forest.by_name["tone"], forest.by_name["topic"]
    home, job = story.latents["community"], story.latents["occupation"]
    for i, t in enumerate(tone.states):
        for j, u in enumerate(topic.states):
            p = tone.table[forest.by_name["community"].states.index(home), i]
            p *= topic.table[forest.by_name["occupation"].states.index(job), j]
            for kind, word in zip(slots, text, strict=True):
                variable = world.grammar.slots[kind].variable
                if variable in ("tone", "topic"):
                    p *= world.grammar.slots[kind].emission[i if variable == "tone" else j, world.word_ids[word]]
            total[t, u] = p
    expected = sum(p * screening.card(job, t, u) for (t, u), p in total.items()) / sum(total.values())
    assert screening.belief(world, story) == pytest.approx(expected)


def test_the_second_population_differs_by_what_was_stated():
    other = screening.draw(screening.fair_world(valence_dose=1.0), 4000, seed=3)
    first, second = (other.qualified[other.community == g].mean() for g in (0, 1))
    assert 0.1 < first - second < 0.22


def test_past_decisions_turn_the_stated_share_away(applicants):
    recorded = screening.past_decisions(applicants, 0.3, seed=0)
    turned = (applicants.qualified == 1) & (recorded == 0)
    assert not turned[applicants.community == 0].any() and (recorded <= applicants.qualified).all()
    assert turned[applicants.community == 1].sum() / applicants.qualified[applicants.community == 1].sum() == (
        pytest.approx(0.3, abs=0.04))


def test_names_tell_the_community_in_part(applicants):
    own = [words["name"] in pools[group] for words, group in zip(applicants.words, applicants.community, strict=True)
           for pools in screening.names_of(World("small")).values() if words["name"] in pools[0] + pools[1]]
    assert np.mean(own) == pytest.approx(screening.OWN_NAMES, abs=0.03)


def test_blinding_leaves_nothing_of_what_it_hides(applicants):
    hidden = screening.blind(applicants, ("town", "name"))
    for text, words in zip(hidden.texts, applicants.words, strict=True):
        assert not {words["town"], words["name"]} & set(" ".join(text).split())
    assert screening.blind(applicants, ()).texts == applicants.texts


def test_a_swap_changes_town_and_name_and_nothing_else(applicants):
    world = screening.fair_world()
    other = screening.swapped(world, applicants, np.random.default_rng(0))
    towns = world.grammar.forest.by_name["town"]
    for before, after, words, group in zip(
            applicants.texts[:300], other.texts, applicants.words, applicants.community, strict=False):
        a, b = " ".join(before).split(), " ".join(after).split()
        changed = {x: y for x, y in zip(a, b, strict=True) if x != y}
        assert set(changed) <= {words["town"], words["name"]} and words["town"] in changed
        assert towns.table[1 - group, towns.states.index(changed[words["town"]])] > 0


# ------------------------------------------------------------------------------------------ résumés and records


def test_folds_hold_three_of_every_posting_and_label():
    table = datasets.load("resumes")
    fold = screening.folds(table)
    for k in range(screening.FOLDS):
        assert (table[fold == k].groupby(["posting", "suitable"]).size() == screening.PER_CELL).all()
    learned, held = screening.split(1, seed=1)
    assert not set(learned["id"]) & set(held["id"]) and len(learned) + len(held) == len(table) == 480
    assert screening.one_per_cell(held).sum() == 24 and not held["said"].str.contains("{name}", regex=False).any()


def test_a_word_counters_decisions_come_out_again():
    point = {"arm": "word counts", "fold": 2, "seed": 2}
    row = next(r for r in records.load("hiring")["results"] if point.items() <= r.items())
    again = records.find("hiring").measure(point)
    assert again["right"] == row["right"]
    differ = sum(a != b for x, y in zip(again["decisions"], row["decisions"], strict=True)
                 for a, b in zip(x, y, strict=True))
    assert differ <= 5 and len(row["decisions"]) == 72 and {len(line) for line in row["decisions"]} == {360}


@pytest.mark.slow
def test_a_short_point_of_the_fairness_record_comes_out_again():
    sweep = records.find("fairness")
    point = sweep.points[-1]
    row = next(r for r in records.load("fairness")["results"] if point.items() <= r.items())
    again = sweep.measure(point)["rules"]["untouched"]
    for name, value in row["rules"]["untouched"].items():
        assert again[name] == pytest.approx(value, abs=0.05), name


def test_what_the_notebook_teaches_is_what_utils_does(people):
    decisions, truth, group, _ = people
    taught = {"np": np}
    for exercise in Notebook.read(next(FOLDER.glob("11_*.ipynb"))).exercises():
        exec(exercise.solutions[0], taught)
    assert taught["impact_ratio"](decisions, group) == pytest.approx(fairness.impact_ratio(decisions, group))
    assert taught["odds_gap"](decisions, truth, group) == pytest.approx(fairness.odds_gap(decisions, truth, group))
    assert taught["forced_fpr"](0.4, 0.75, 0.25) == pytest.approx(fairness.forced_fpr(0.4, 0.75, 0.25))
    assert np.allclose(taught["reweighed"](truth, group), fairness.reweighing(truth, group))


def test_a_record_keeps_every_answer():
    rows = records.load("hiring")["results"]
    assert json.dumps(rows) and {row["fold"] for row in rows} == set(range(screening.FOLDS))


def test_balanced_names_go_as_often_with_one_label_as_with_the_other():
    people = datasets.load("people")
    origin = dict(zip(screening.full_names(people), people["origin"], strict=True))
    learned, held = screening.split(1, seed=1, balanced=True)
    plain, plain_held = screening.split(1, seed=1)
    assert (pd.crosstab(learned["name"].map(origin), learned["suitable"]) == 17).all(axis=None)
    assert not (pd.crosstab(plain["name"].map(origin), plain["suitable"]) == 17).all(axis=None)
    assert held["said"].equals(plain_held["said"]) and learned["text"].equals(plain["text"])
    assert all(name in said for name, said in zip(learned["name"], learned["said"], strict=True))
