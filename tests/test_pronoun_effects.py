"""The pronoun question: exact effects are the planted ones, and the shipped models follow the dose."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from tests.data_fixtures import REAL
from tools import records
from tools.records_mediation import SHIPPED
from utils import datasets, models
from utils import pronoun_effects as pe
from utils.world import World

PUBLISHED = REAL / "causal_mediation_bert" / "attention_intervention_bert-base-uncased_filtered_dev_1.json"


@pytest.fixture(scope="module")
def loaded():
    return models.load("world-small", head="masked-lm")


@pytest.mark.parametrize("dose", [0.0, 0.5, 2.0, -1.0])
def test_the_exact_effect_of_a_swap_is_dose_times_planted_difference(loaded, dose):
    question = pe.PronounQuestion(loaded[1])
    world = World("small", pronoun_dose=dose)
    planted = question.differences(question.planted)
    assert len(planted) == 120 and (planted > 0).all()
    assert question.differences(question.exact(world)) == pytest.approx(dose * planted, abs=1e-9)


def test_the_question_reads_the_mask_and_knows_its_places(loaded):
    model, tokenizer = loaded
    question = pe.PronounQuestion(tokenizer)
    assert question.tokens[question.occupation_at] == "OCCUPATION" and question.tokens[question.mask_at] == "[MASK]"
    logits = model(**tokenizer("the nurse said that [MASK] was happy .", return_tensors="pt")).logits[0, 5]
    she, he = tokenizer.convert_tokens_to_ids(["she", "he"])
    nurse = question.log_odds(model)[question.occupations.index("nurse")]
    assert nurse == pytest.approx(float(logits[she] - logits[he]), abs=1e-4)
    swaps = question.swaps(every=10)
    assert len(swaps.pairs) == len(swaps.null["input_ids"]) == 12


def test_the_effects_through_all_heads_are_the_whole_effect(loaded):
    row = pe.summary(loaded[0], pe.PronounQuestion(loaded[1]), World("small"))
    assert row["indirect_output"] == pytest.approx(row["total"], abs=1e-4)
    assert abs(row["indirect_weights"]) < 0.2 * row["total"]
    assert row["best_head"] == "2.3" and row["best_indirect"] > 0.3 * row["total"]


def test_no_linear_function_covaries_with_the_values_once_the_direction_is_gone(loaded):
    random = np.random.default_rng(0)
    vectors, values = random.normal(size=(16, 40)), random.normal(size=16)
    direction = pe.leaning_direction(vectors, values)
    left = vectors - (vectors - vectors.mean(0)) @ direction.T @ direction
    assert (left - left.mean(0)).T @ (values - values.mean()) == pytest.approx(np.zeros(40), abs=1e-9)


def test_an_edit_changes_only_the_rows_it_names_and_can_be_put_back(loaded):
    model, tokenizer = loaded
    question = pe.PronounQuestion(tokenizer)
    table = model.get_input_embeddings().weight
    before, slope = table.detach().clone(), question.slope(model)
    ids = tokenizer.convert_tokens_to_ids(question.occupations)
    direction = pe.leaning_direction(before[ids].double().numpy(), question.log_odds(model))
    old = pe.remove_from_embeddings(model, ids, direction)
    others = [i for i in range(len(before)) if i not in ids]
    assert (table[others] == before[others]).all() and not (table[ids] == before[ids]).all()
    assert abs(question.slope(model)) < 0.3 * slope
    table.data[ids] = old
    assert (table == before).all()


@pytest.mark.parametrize(("dose", "name"), SHIPPED.items())
def test_the_shipped_models_follow_their_dose(dose, name):
    model, tokenizer = models.load(name, head="masked-lm")
    record = json.loads((models.CHECKPOINTS / name / "training_record.json").read_text(encoding="utf-8"))
    assert record["settings"]["pronoun_dose"] == dose
    question = pe.PronounQuestion(tokenizer)
    answers, exact = question.log_odds(model), question.exact(World("small", pronoun_dose=dose))
    if dose == 0:
        assert abs(np.polyfit(question.planted, answers, 1)[0]) < 0.15
    else:
        assert np.corrcoef(answers, exact)[0, 1] > 0.9
        assert np.sign(question.slope(model)) == np.sign(dose)


def test_the_record_comes_out_again_where_no_training_is_needed():
    sweep, record = records.find("mediation"), records.load("mediation")
    row = next(row for row in record["results"] if row.get("model") == "world-dose-1")
    again = sweep.measure({name: row[name] for name in ("dose", "seed", "model")})
    for name, value in again.items():
        assert value == row[name] if isinstance(value, str) else value == pytest.approx(row[name], abs=2e-3), name


def test_the_published_head_effects_have_one_row_for_each_of_144_heads():
    heads, totals = datasets.load("bert-mediation-heads"), datasets.load("bert-mediation")
    assert len(heads) == 144 and not heads.duplicated(["layer", "head"]).any()
    assert heads[["layer", "head"]].agg(["min", "max"]).to_numpy().tolist() == [[1, 1], [12, 12]]
    assert list(totals["masking"]) == [1, 2, 3, 4, 5, 6] and (totals["indirect"] < totals["total"]).all()


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published items are not here")
def test_the_published_means_are_those_of_the_items():
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    items = pd.DataFrame(published["results"])
    heads, totals = datasets.load("bert-mediation-heads"), datasets.load("bert-mediation").iloc[0]
    for name in ("indirect", "direct"):
        mean = np.mean(list(items[f"{name}_effect_head"]), axis=0)
        assert heads.pivot(index="layer", columns="head", values=name).to_numpy() == pytest.approx(mean, abs=1e-6)
        assert totals[name] == pytest.approx(items[f"{name}_effect_model"].mean(), abs=1e-4)
    assert totals["total"] == pytest.approx(published["mean_total_effect"], abs=1e-4)
    assert totals["items"] == len(items) == published["num_examples_analyzed"]
    ratio = items["odds_alt"] / items["odds_base"] - 1
    assert ratio.to_numpy() == pytest.approx(items["total_effect"].to_numpy(), abs=1e-6)


def test_log_odds_of_the_statistics_are_the_planted_ones(loaded):
    question = pe.PronounQuestion(loaded[1])
    women = World("small").share_of_she()
    assert question.planted == pytest.approx(logit([women[o] for o in question.occupations]), abs=1e-9)
