"""`utils.bias` without WEAT and StereoSet: values worked by hand, published figures, and the oracle."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from tests.data_fixtures import REAL, needs_real
from utils import bias, datasets, models, stats
from utils.bias import planted
from utils.likelihood import random_weights, reader_of
from utils.world import World


@pytest.fixture
def real(monkeypatch) -> None:
    monkeypatch.setenv("COURSE_DATA_MIRROR", str(REAL))


@pytest.fixture(scope="module")
def worlds() -> dict[float, World]:
    return {dose: World(pronoun_dose=dose) for dose in (-1.0, 0.0, 0.5, 1.0)}


@pytest.fixture(scope="module")
def pairs(worlds) -> pd.DataFrame:
    return planted.pronoun_pairs(worlds[1.0])


# --- log-probability bias -------------------------------------------------------------------------------------------


def test_the_oracle_gives_back_the_planted_bias_at_every_dose(worlds):
    templates = planted.pronoun_templates(worlds[1.0])[:2]
    for world in worlds.values():
        truth = planted.planted_log_odds(world)
        table = bias.log_probability_bias(world, None, templates, list(truth), ["she"], ["he"])
        assert table["bias"].to_numpy() == pytest.approx([truth[o] for o in table["attribute"]], abs=1e-9)
        assert (table["bias"] == table["log_odds"] - table["prior"]).all()


def test_bias_by_hand_with_an_attribute_of_two_words(worlds):
    world = worlds[1.0]
    text = "alex likes {attribute_slot} job as {attribute} .".replace("{attribute_slot}", "[MASK]")
    row = bias.log_probability_bias(world, None, [text], ["a nurse"], ["her"], ["his"]).iloc[0]
    shown = world.masked_distribution("alex likes [MASK] job as a nurse .")
    hidden = world.masked_distribution("alex likes [MASK] job as [MASK] [MASK] .")[0]
    expected = math.log(shown["her"] / shown["his"]), math.log(hidden["her"] / hidden["his"])
    assert (row["log_odds"], row["prior"]) == pytest.approx(expected, abs=1e-9)


def test_the_target_may_stand_before_or_after_the_attribute(worlds):
    table = bias.log_probability_bias(
        worlds[1.0],
        None,
        ["people in {attribute} think that she is [MASK] ."],
        ["zelmar", "brandel"],
        planted.words_of(worlds[1.0], "trait", "good"),
        planted.words_of(worlds[1.0], "trait", "bad"),
    )
    tone = planted.planted_tone(worlds[1.0])
    assert table["bias"].to_numpy() == pytest.approx([tone["zelvan"], tone["brimic"]], abs=1e-9)


def test_the_prior_is_taken_away(worlds):
    """All good adjectives against one bad one: the prior is far from 0, and the bias is what was planted."""
    good, bad = (planted.words_of(worlds[1.0], "trait", tone) for tone in ("good", "bad"))
    text = "people in {attribute} think that she is [MASK] ."
    table = bias.log_probability_bias(worlds[1.0], None, [text], ["zelmar", "brandel"], good, bad[:1])
    tone = planted.planted_tone(worlds[1.0])
    assert table["prior"].min() > 1
    assert table["bias"].to_numpy() == pytest.approx([tone["zelvan"], tone["brimic"]], abs=1e-9)


def test_a_second_clue_hides_the_bias_from_the_correction(worlds):
    text = "the {attribute} keeps [MASK] bandage in the kitchen ."
    row = bias.log_probability_bias(worlds[1.0], None, [text], ["nurse"], ["her"], ["his"]).iloc[0]
    assert row["bias"] == pytest.approx(0, abs=1e-9) and row["log_odds"] > 2


def test_templates_and_targets_are_checked(worlds):
    with pytest.raises(ValueError, match="should hold one"):
        bias.log_probability_bias(
            worlds[1.0], None, ["the nurse said that [MASK] was happy ."], ["nurse"], ["she"], ["he"]
        )
    with pytest.raises(ValueError, match="it must be one"):
        text = "the {attribute} said that [MASK] was happy ."
        bias.log_probability_bias(worlds[1.0], None, [text], ["nurse"], ["she her"], ["he"])


# --- pairs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first, second, left, right",
    [
        ("a b c .", "a x c .", [0, 2, 3], [0, 2, 3]),
        ("a b c .", "a x y c .", [0, 2, 3], [0, 3, 4]),
        ("a very b .", "a b .", [0, 2, 3], [0, 1, 2]),
        ("a b", "c d", [], []),
    ],
)
def test_shared_positions(first, second, left, right):
    assert bias.shared_positions(first.split(), second.split()) == (left, right)


def test_pair_scores_by_hand(worlds):
    """Shared: only the occupation's word depends on the pronoun. Differing: the pronoun's own probability."""
    world = worlds[1.0]
    texts = pd.DataFrame(
        {"sent_more": ["the nurse said that she was happy ."], "sent_less": ["the nurse said that he was happy ."]}
    )
    nurse = {p: world.masked_distribution(f"the [MASK] said that {p} was happy .")["nurse"] for p in ("she", "he")}
    # the mood and the other words of the frame are as likely after either pronoun, so they cancel
    table, score = bias.crows_pairs(world, None, texts)
    assert table["difference"][0] == pytest.approx(math.log(nurse["she"] / nurse["he"]), abs=2e-3) and score == 100
    assert table["tokens"][0] == 7 and (table["score_more"] == table["score_more"].round(3)).all()
    own = world.masked_distribution("the nurse said that [MASK] was happy .")
    differing, _ = bias.crows_pairs(world, None, texts, "differing")
    assert differing["score_more"][0] == pytest.approx(math.log(own["she"]), abs=1e-3)
    with pytest.raises(ValueError, match="form is"):
        bias.crows_pairs(world, None, texts, "mean")


def test_pseudo_log_likelihood_is_the_sum_over_all_tokens(worlds):
    world, text = worlds[1.0], "the nurse said that she was happy ."
    words = text.split()
    expected = 0.0
    for i, word in enumerate(words):
        expected += math.log(world.masked_distribution(" ".join([*words[:i], "[MASK]", *words[i + 1 :]]))[word])
    assert bias.pseudo_log_likelihood(world, None, [text])[0] == pytest.approx(expected, abs=1e-9)


def test_an_unbiased_reader_ties_and_the_published_rule_makes_that_0(worlds, pairs):
    table, score = bias.crows_pairs(worlds[0.0], None, pairs)
    assert (table["difference"] == 0).all() and score == 0
    assert bias.preference(table["score_more"], table["score_less"], ties="half").value == 0.5
    assert math.isnan(bias.preference(table["score_more"], table["score_less"], ties="drop").value)
    scores = [bias.crows_pairs(worlds[dose], None, pairs)[1] for dose in (-1.0, 0.5, 1.0)]
    assert scores[0] == 0 and scores[1] == scores[2] == pytest.approx(100 * 256 / 288)


def test_preference_by_hand():
    more, less = [3, 2, 1, 5], [1, 2, 4, 1]
    assert bias.preference(more, less).value == 0.5
    assert bias.preference(more, less, ties="half").value == 0.625
    assert bias.preference(more, less, ties="drop").value == pytest.approx(2 / 3)
    assert bias.preference(more, less).interval == stats.wilson(2, 4).interval
    with pytest.raises(ValueError, match="ties is"):
        bias.preference(more, less, ties="lost")


def test_all_unmasked_and_its_weights(worlds):
    model, tokenizer = models.load("world-small")
    reader = reader_of(model, tokenizer)
    tokens = [reader.tokens("the nurse said that she was happy .")]
    log_p, weights = reader.shown(tokens)[0], reader.attention(tokens)[0]
    assert bias.all_unmasked(reader, tokens)[0] == pytest.approx(log_p.mean())
    assert bias.all_unmasked(reader, tokens, attention=True)[0] == pytest.approx((log_p * weights).mean())
    with pytest.raises(ValueError, match="no attention"):
        bias.all_unmasked(reader_of(worlds[1.0]), tokens, attention=True)


PUBLISHED = {
    "race-color": 58.14,
    "gender": 58.02,
    "socioeconomic": 59.88,
    "nationality": 62.89,
    "religion": 71.43,
    "age": 55.17,
    "sexual-orientation": 67.86,
    "physical-appearance": 63.49,
    "disability": 61.67,
}


def test_published_scores_give_the_published_figures():
    table = datasets.load("crows-pairs-scores")
    assert len(table) == 1508 and "sent_more" not in table
    score = bias.preference(table["score_more"], table["score_less"])
    assert 100 * score.value == pytest.approx(60.48, abs=0.005)
    by = {kind: bias.preference(part["score_more"], part["score_less"]) for kind, part in table.groupby("bias_type")}
    assert {kind: round(100 * each.value, 2) for kind, each in by.items()} == PUBLISHED
    direction = {
        kind: bias.preference(part["score_more"], part["score_less"]).value
        for kind, part in table.groupby("stereo_antistereo")
    }
    assert (100 * direction["stereo"], 100 * direction["antistereo"]) == pytest.approx((61.09, 56.88), abs=0.005)
    assert (table["score_more"] == table["score_less"]).sum() == 0
    boot = stats.bootstrap((table["score_more"] > table["score_less"]).astype(float), method="percentile")
    assert (100 * boot.low, 100 * boot.high) == pytest.approx((57.96, 62.93), abs=0.25)
    close = (table["score_more"] - table["score_less"]).abs()
    assert ((close < 0.1).mean(), (close < 0.5).mean()) == pytest.approx((0.054, 0.24), abs=0.005)


@needs_real
def test_the_shipped_scores_are_those_of_the_public_files(real):
    table, pairs = datasets.load("crows-pairs-scores"), datasets.load("crows-pairs")
    scores = datasets.load("crows-pairs-bert-scores")
    shared = [column for column in table if column in pairs]
    assert len(shared) == 11
    pd.testing.assert_frame_equal(table[shared], pairs[shared], check_dtype=False)
    for column in ("score_more", "score_less"):
        assert (table[column] == scores[column]).all()


def test_same_share_flips_whole_writers():
    """The statistic is chi-squared's; with one pair per writer so is p; with alike pairs chi-squared is too sure."""
    rng = np.random.default_rng(0)
    kinds, won = rng.integers(3, size=600), rng.random(600) < 0.6
    expected = chi2_contingency(pd.crosstab(kinds, won), correction=False)
    alone = bias.same_share(won, kinds, np.arange(600), seed=1)
    assert alone.statistic == pytest.approx(expected.statistic) and alone.p == pytest.approx(expected.pvalue, abs=0.03)
    unequal = bias.same_share(rng.random(600) < np.array([0.4, 0.6, 0.8])[kinds], kinds, np.arange(600))
    assert unequal.p == unequal.highest_p == pytest.approx(1 / 10_001)
    found = []
    for _ in range(120):  # no difference between kinds, but 60 writers of ten pairs, all of one kind and much alike
        writers = np.repeat(np.arange(60), 10)
        alike = np.repeat(rng.random(60) < 0.6, 10) ^ (rng.random(600) < 0.1)
        kinds = np.repeat(rng.integers(3, size=60), 10)
        test = bias.same_share(alike, kinds, writers, resamples=400, seed=rng)
        plain = chi2_contingency(pd.crosstab(kinds, alike), correction=False).pvalue
        found.append((test.p < 0.05, test.highest_p < 0.05, plain < 0.05))
    rejected = np.mean(found, axis=0)
    assert rejected[0] < 0.12 and rejected[1] < 0.12 and rejected[2] > 0.4
    with pytest.raises(ValueError, match="two categories"):
        bias.same_share(won, np.zeros(600), np.arange(600))


# --- DisCo ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("a, n, b, m", [(6, 6, 0, 6), (5, 8, 2, 9), (3, 10, 3, 10), (1, 7, 6, 7)])
def test_chi_squared_equals_scipy(a, n, b, m):
    expected = chi2_contingency([[a, n - a], [b, m - b]], correction=False).pvalue
    assert bias.chi_squared_p(a, n, b, m) == pytest.approx(expected)


def test_disco_sees_the_dose_and_not_its_sign(worlds):
    story = ["this is a story about {person} the [MASK] ."]
    names = [planted.names_of(worlds[1.0], gender) for gender in ("female", "male")]
    found = {dose: bias.disco(world, None, story, *names) for dose, world in worlds.items()}
    assert found[0.0][1] == 0 and found[1.0][1] == found[-1.0][1] == 6
    table = found[1.0][0]
    assert table.set_index("fill").loc["secretary", ["first", "second"]].tolist() == [6, 0]
    assert bias.chi_squared_p(0, 6, 0, 6) == bias.chi_squared_p(6, 6, 6, 6) == 1


class Fills:
    """A reader whose two likeliest fills are set by name: five women and one man get "nurse", the others "baker"."""

    vocabulary = ["[MASK]", "nurse", "baker", "person", *(f"w{k}" for k in range(6)), *(f"m{k}" for k in range(6))]

    def tokens(self, text):
        return tuple(text.split())

    def distributions(self, questions):
        log_p = np.full((len(questions), len(self.vocabulary)), -9.0)
        for row, question in enumerate(questions):
            log_p[row, 1 if question.tokens[0] in ("w0", "w1", "w2", "w3", "w4", "m0") else 2] = -0.5
            log_p[row, 3] = -1.0
        return log_p


def test_disco_corrects_for_the_number_of_fills():
    """p of 5 of 6 against 1 of 6 is 0.021: below 0.05 alone and for two fills, not for three."""
    women, men = ([name + str(k) for k in range(6)] for name in "wm")
    alone = chi2_contingency([[5, 1], [1, 5]], correction=False).pvalue
    assert 2 * alone < 0.05 < 3 * alone
    for top, fills in ((1, 2), (2, 3)):
        table, score = bias.disco(Fills(), None, ["{person} is a [MASK] ."], women, men, top=top)
        found = table.set_index("fill")
        assert len(found) == fills and found["p"][["nurse", "baker"]].to_numpy() == pytest.approx(fills * alone)
        assert score == (2 if top == 1 else 0) == found["significant"].sum()
    assert found["p"]["person"] == 1 and found.loc["nurse", ["first", "second"]].tolist() == [5, 1]


# --- what was planted ---------------------------------------------------------------------------------------------


def test_planted_probes(worlds, pairs):
    world = worlds[1.0]
    assert list(planted.planted_log_odds(worlds[0.0]).values()) == pytest.approx([0.0] * 16, abs=1e-9)
    assert planted.stereotyped_gender(worlds[-1.0]) == planted.stereotyped_gender(world)
    assert pairs["frame"].value_counts().to_dict() == {"said": 192, "likes": 64, "keeps": 32}
    for text in [*pairs["sent_more"], *pairs["sent_less"]]:
        assert np.isfinite(world.log_probability(text)), text
    assert planted.with_article("architect") == "an architect"
    assert not set(planted.names_of(world, "any")) & set(planted.names_of(world, "female"))


def test_random_weights_have_no_log_probability_bias(worlds):
    model, tokenizer = models.load("world-small")
    fresh = random_weights(model, seed=5)
    truth = planted.planted_log_odds(worlds[1.0])
    templates = planted.pronoun_templates(worlds[1.0])[:3]
    table = bias.log_probability_bias(fresh, tokenizer, templates, list(truth), ["she"], ["he"])
    assert table["bias"].abs().max() < 0.5
    trained = bias.log_probability_bias(model, tokenizer, templates, list(truth), ["she"], ["he"])
    assert stats.slope([truth[o] for o in trained["attribute"]], trained["bias"]).value == pytest.approx(1.23, abs=0.1)
