"""Dose and response: metrics of both biases, trainings that leave stories out, and how a record is read."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from tools import records as sweeps
from tools.records_doses import SHORT
from utils import influence, likelihood, models, pretrain, records, response, stats
from utils.bias import planted
from utils.exercises import notebook_09 as check
from utils.recipe import Recipe, stories_of
from utils.world import World

DOSES = (-1.0, 0.0, 0.25, 0.5, 1.0, 2.0)


@pytest.fixture(scope="module")
def world():
    return World("small")


@pytest.fixture(scope="module")
def record():
    return records.load("doses")


# ------------------------------------------------------------------------------------------ metrics


@pytest.mark.parametrize(("pronoun", "valence"), [(0.5, -1.0), (-1.0, 2.0)])
def test_a_perfect_reader_says_each_dose_and_nothing_of_the_other(pronoun, valence):
    reader = likelihood.reader_of(World("small", pronoun_dose=pronoun, valence_dose=valence))
    assert response.pronouns(reader)["slope"] == pytest.approx(pronoun, abs=1e-4)
    assert response.tone(reader)["tone_slope"] == pytest.approx(valence, abs=1e-4)


def test_pairs_about_the_tone_differ_in_the_town_alone(world):
    pairs, community = response.tone_pairs(world), response.community_of(world)
    good = set(planted.words_of(world, "trait", "good"))
    for _, town, more, less in pairs.itertuples():
        changed = [(a, b) for a, b in zip(more.split(), less.split(), strict=True) if a != b]
        assert changed == [(town, changed[0][1])]
        praised = bool(good & set(more.split()))
        assert (community[town] == "zelvan") == praised != (community[changed[0][1]] == "zelvan")
        assert world.log_probability(more) > -math.inf and world.log_probability(less) > -math.inf


def test_triples_about_the_tone_put_good_words_to_the_right_community(world):
    good, bad = (set(planted.words_of(world, "trait", state)) for state in ("good", "bad"))
    community = response.community_of(world)
    for row in response.tone_clusters(world).itertuples():
        fills = [set(text.split()) - set(row.context.split()) for text in
                 (row.stereotype, row.anti_stereotype, row.unrelated)]
        own, other = (good, bad) if community[row.target] == "zelvan" else (bad, good)
        assert fills[0] <= own and fills[1] <= other and not fills[2] & (good | bad)
        assert "BLANK" in row.context and row.target in row.context


def test_random_weights_say_nothing_about_either(world):
    model, tokenizer = models.load("world-small", head="masked-lm")
    reader = likelihood.reader_of(likelihood.random_weights(model, seed=3), tokenizer)
    assert abs(response.tone_slope(response.tone_bias(reader, world), world)) < 0.1
    assert abs(influence.slope_of(likelihood.random_weights(model, seed=3), tokenizer, world)) < 0.1


# ------------------------------------------------------------------------------------------ training


def test_it_trains_as_pretrain_does():
    settings = {**response.SETTINGS, "steps": 3, "seed": 5, "precision": "float32"}
    seen = []
    own = response.train(Recipe(**settings), lambda training: seen.append(training.history[-1]["step"]), watched=(2,))
    other = pretrain.pretrain(progress=False, **settings)
    for name, p in other.model.state_dict().items():
        assert torch.equal(p, own.model.state_dict()[name]), name
    assert seen == [2]


def test_stories_left_out_are_not_read(monkeypatch):
    recipe, read = Recipe(**{**response.SETTINGS, "steps": 3, "precision": "float32"}), {}
    monkeypatch.setattr(pretrain, "train", lambda training, batches, *rest: read.update(batches=batches))
    response.train(recipe, lambda training: None)
    whole = read["batches"].corpus
    without = [0, 7, 1999]
    response.train(recipe, lambda training: None, without=without)
    rest = read["batches"].corpus
    stories = stories_of(recipe, World("small"))
    kept = [story for i, story in enumerate(stories) if i not in without]
    assert len(whole.document_lengths) == len(stories) and len(rest.document_lengths) == len(stories) - 3
    assert rest.document_lengths.tolist() == [len(story.sentences) for story in kept]
    ids = rest.tokens[: rest.starts[1]]
    text = " ".join(read["batches"].tokenizer.convert_ids_to_tokens(ids))
    assert text == kept[0].sentences[0] != stories[0].sentences[0]


# ------------------------------------------------------------------------------------------ reading a record


def test_the_next_value_falls_into_the_prediction_interval_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(3.0, 2.0, size=(4000, 6))
    inside = [low <= row[-1] <= high for row in draws for low, high in [response.prediction_interval(row[:-1])]]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)
    with pytest.raises(ValueError, match="at least two"):
        response.prediction_interval([1.0])


def test_the_module_passes_the_exercises():
    assert check.prediction_interval(lambda zeros: response.prediction_interval(zeros)).passed
    assert check.amplification(lambda planted, picked: response.amplification(planted, picked)).passed


def test_a_curve_is_read_backwards_only_where_it_rises_throughout():
    line = pd.Series(np.array(DOSES) * -3.0 + 1.0, index=DOSES)
    assert response.read_back([4.0, 1.0, -0.5, 100.0, -100.0], line) == pytest.approx([-1.0, 0.0, 0.5, -1.0, 2.0])
    for values in ([0, 50, 100, 100, 100, 100], [0, 100, 60, 50, 20, 0], [0, 50, 60, 70, 80, 80.5]):
        assert np.isnan(response.read_back([50.0], pd.Series(values, index=DOSES, dtype=float))).all()


def test_where_a_curve_is_flat():
    curve = pd.Series([0.0, 50.0, 90.0, 100.0, 100.0, 100.0], index=DOSES)
    assert response.saturated(curve) == 0.5
    assert math.isnan(response.saturated(pd.Series(DOSES, index=DOSES)))
    assert math.isnan(response.saturated(pd.Series(100.0, index=DOSES)))


def _arm(value, zeros=10):
    rows = [(dose, 1.0, seed) for dose in DOSES for seed in range(zeros if dose == 0 else 3)]
    table = pd.DataFrame(rows, columns=["pronoun_dose", "valence_dose", "seed"]).assign(reader="model")
    rng = np.random.default_rng(1)
    table["metric"] = [value(dose) + 0.1 * rng.normal() for dose in table["pronoun_dose"]]
    other = table.assign(valence_dose=2.0, metric=99.0)  # another arm, which must not count
    return response.arm(pd.concat([table, other]))


def test_a_response_is_what_was_put_in():
    curve = pd.Series([2.0 * dose for dose in DOSES], index=DOSES)
    found = response.respond(_arm(lambda dose: 2.0 * dose), "metric", curve)
    assert found.slope.value == pytest.approx(2.0, abs=0.1) and found.slope.low < 2.0 < found.slope.high
    assert found.rank == pytest.approx(1.0, abs=0.06) and found.error < 0.1
    assert found.told in (0.25, 0.5) and found.turned
    assert found.band[0] < found.zero.low < 0 < found.zero.high < found.band[1]


def test_what_is_flat_or_turns_back_is_not_told():
    flat = response.respond(_arm(lambda dose: 5.0), "metric")
    assert math.isnan(flat.told) and not flat.turned and math.isnan(flat.error)
    even = response.respond(_arm(lambda dose: 3.0 * abs(dose)), "metric")
    assert even.told <= 0.5 and not even.turned
    back = response.respond(_arm(lambda dose: 3.0 * (dose in (0.25, 0.5))), "metric")
    assert math.isnan(back.told)
    late = response.respond(_arm(lambda dose: 3.0 * (dose in (0.25, 2.0))), "metric")
    assert late.told == 2.0


def test_the_oracle_says_the_shares_and_picks_all_or_nothing(world):
    said = response.chosen(likelihood.reader_of(world), world)
    assert np.allclose(said["said"], said["planted"], atol=0.01)
    assert set(said["picked"]) == {0.0, 1.0}
    side = [1 if p > 0.5 else -1 for p in said["planted"]]
    by_hand = np.mean([s * (q - p) for s, p, q in zip(side, said["planted"], said["picked"], strict=True)])
    assert response.amplification(said["planted"], said["picked"]) == pytest.approx(by_hand)
    assert abs(response.amplification(said["planted"], said["said"])) < 0.005


# ------------------------------------------------------------------------------------------ the record


def test_the_oracle_s_rows_say_the_doses(record):
    rows = record[record["reader"] == "oracle"]
    assert len(rows) == 15
    assert np.allclose(rows["slope"], rows["pronoun_dose"], atol=1e-4)
    assert np.allclose(rows["tone_slope"], rows["valence_dose"], atol=1e-4)


def test_every_model_was_looked_at_while_it_trained(record):
    rows = record[record["reader"] == "model"]
    for path, end in (("path_slope", "slope"), ("path_tone_slope", "tone_slope")):
        assert (rows[path].map(len) == len(response.WATCHED)).all()
        # The last step's precision is bfloat16 while it trains, float32 afterwards.
        assert np.allclose(rows[path].map(lambda each: each[-1]), rows[end], atol=0.05)


def test_a_short_run_comes_out_again(record):
    """A hundred steps: about ten seconds."""
    row = record[(record["steps"] == SHORT["steps"])]
    assert len(row) == 1, "the record has no short run; it is not complete yet"
    again = sweeps.find("doses").measure(SHORT)
    assert again["mlm_kl"] == pytest.approx(row["mlm_kl"].iloc[0], abs=0.05)
    assert again["path_slope"] == pytest.approx(row["path_slope"].iloc[0], abs=0.03)


def test_slopes_have_intervals_over_seeds(record):
    arm = response.arm(record)
    table = response.by_seed(arm, "slope")
    assert list(table.columns) == list(DOSES)
    each = [np.polyfit(table.columns, row, 1)[0] for row in table.to_numpy()]
    assert response.respond(arm, "slope").slope == pytest.approx(stats.t_interval(each))


def test_a_shipped_model_is_a_point_of_the_record(record):
    """What the notebook shows live; the weights are those of the sweep."""
    model, tokenizer = models.load("world-valence-2", head="masked-lm")
    rows = response.arm(record, "valence")
    row = rows[(rows["dose"] == 2.0) & (rows["seed"] == 0)].iloc[0]
    found = response.tone(likelihood.reader_of(model, tokenizer))
    assert found["tone_slope"] == pytest.approx(row["tone_slope"], abs=1e-3)
    assert found["tone_log_odds"] == pytest.approx(row["tone_log_odds"], abs=5e-3)
