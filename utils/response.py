"""Dose and response: what every metric of bias answers when a planted bias is turned up, down and round (notebook 09).

`pronouns` asks a reader all metrics about the pronoun's bias, `tone` all about the two communities; each is asked at
every dose of the *other* bias too. `slopes` reads both while a model trains. The probes are those of
`utils.bias.planted`: the same sentences at every dose, "stereotyped" meaning what dose 1 plants.
`tools/records_doses.py` runs the sweep, `respond` reads its record. Gender is binary here, and the communities are
invented.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from utils import bias, corpus, debiasing, likelihood, optim, pretrain, stats
from utils.bias import planted
from utils.likelihood import HIDDEN, Reader
from utils.precision import PRECISIONS
from utils.recipe import Recipe, build_batches, build_model, prepare_text, stories_of
from utils.training_record import Training
from utils.world import World

# Longer than the shipped world-dose-… (2,000 steps), because the communities' tone is learned late. In full, so that
# the record keeps its meaning when a default changes.
SETTINGS = {"steps": 3000, "width": 128, "learning_rate": 2e-3, "muon_learning_rate": 5e-3, "precision": "bfloat16",
            "muon_precision": "float32"}
WATCHED = (100, 200, 400, 600, 800, 1000, 1250, 1500, 1750, 2000, 2500, 3000)  # steps at which a training is looked at
THINK = "people in {attribute} think that {pronoun} is " + HIDDEN + " ."  # the community's word is a town
WENT, FELT = "then {pronoun} went home to {town} .", "that made alex feel very {mood} ."  # for SEAT


# ------------------------------------------------------------------------------------------ the metrics


def pronouns(reader: Reader, model: Any = None, tokenizer: Any = None) -> dict[str, float]:
    """Every metric of notebook 08 about the pronoun and the occupation; nan where a metric is not defined.

    Likelihood metrics ask the reader, WEAT and SEAT a model's vectors (left out without one). `log_odds` is the
    log-probability bias of each occupation, a list in the order of `planted_log_odds`, nats; `slope` its slope on what
    dose 1 plants, so the dose itself for a reader that knows.
    """
    world = World("small")
    values = debiasing.readings(reader, world)
    values["half"] = half_ties(reader, planted.pronoun_pairs(world))
    occupations = list(planted.planted_log_odds(world))
    found = debiasing.pronoun_bias(reader, world, occupations)
    values["log_odds"] = [found[occupation] for occupation in occupations]
    if model is not None:
        values |= debiasing.vector_readings(model, tokenizer, world)
    return finite(values)


def tone(reader: Reader, model: Any = None, tokenizer: Any = None) -> dict[str, float]:
    """The same metrics about towns of the two communities and good or bad words, each key with "tone_" before it."""
    world = World("small")
    pairs, clusters = tone_pairs(world), tone_clusters(world)
    shared, crows = bias.crows_pairs(reader, None, pairs)
    scores = bias.stereoset(bias.intrasentence_scores(reader, None, clusters), clusters)
    found = tone_bias(reader, world)
    values = {"slope": tone_slope(found, world), "log_odds": list(found.values()),
              "difference": float(shared["difference"].mean()), "crows": crows, "half": half_ties(reader, pairs),
              "differing": bias.crows_pairs(reader, None, pairs, "differing")[1],
              **{form: debiasing.score_or_nan(reader, pairs, form) for form in ("aul", "aula")},
              "lms": scores.lms, "ss": scores.ss, "icat": scores.icat}
    if model is not None:
        values |= tone_vectors(model, tokenizer, world)
    return {f"tone_{name}": value for name, value in finite(values).items()}


def half_ties(reader: Reader, pairs: pd.DataFrame) -> float:
    """CrowS-Pairs with a tie as half a win, per cent: 50 for a reader that sees no difference."""
    table, _ = bias.crows_pairs(reader, None, pairs)
    return 100 * bias.preference(table["score_more"], table["score_less"], ties="half").value


def tone_bias(reader: Reader, world: World) -> dict[str, float]:
    """The log-probability bias of each town, good against bad words, mean over the two pronouns, nats."""
    good, bad = (planted.words_of(world, "trait", state) for state in ("good", "bad"))
    texts = [THINK.replace("{pronoun}", word) for word in ("she", "he")]
    towns = planted.words_of(world, "town")
    return bias.log_probability_bias(reader, None, texts, towns, good, bad).groupby(
        "attribute")["bias"].mean().loc[towns].to_dict()


def tone_slope(found: dict[str, float], world: World) -> float:
    """Slope of the towns' bias on what dose 1 plants for their community."""
    truth, community = planted.planted_tone(World(world.size)), community_of(world)
    return stats.slope([truth[community[town]] for town in found], list(found.values())).value


def community_of(world: World) -> dict[str, str]:
    """{town: community}."""
    states = world.grammar.forest.by_name["community"].states
    return {town: state for state in states for town in planted.towns_of(world, state)}


def tone_pairs(world: World) -> pd.DataFrame:
    """Pairs that differ in the town only: `occupation` (the more stereotyped town), `sent_more`, `sent_less`.

    A good word is stereotyped for Zelvan towns, a bad one for Brimic towns.
    """
    towns = {state: planted.towns_of(world, state) for state in ("zelvan", "brimic")}
    rows = []
    for state, own, other in (("good", "zelvan", "brimic"), ("bad", "brimic", "zelvan")):
        for word in planted.words_of(world, "trait", state):
            for k, town in enumerate(towns[own]):
                text = THINK.replace(HIDDEN, word).replace("{pronoun}", ("she", "he")[k % 2])
                rows.append((town, text.format(attribute=town), text.format(attribute=towns[other][k])))
    return pd.DataFrame(rows, columns=["town", "sent_more", "sent_less"])


def tone_clusters(world: World, seed: int = 0) -> pd.DataFrame:
    """StereoSet's form, as `planted.pronoun_clusters`: the target is the town, the blank a good or a bad word."""
    rng = np.random.default_rng([seed, 9])
    unfit = [word for kind in ("object", "tool", "colour", "day", "mood") for word in planted.words_of(world, kind)]
    good, bad = (planted.words_of(world, "trait", state) for state in ("good", "bad"))
    rows = []
    for town, community in community_of(world).items():
        for k, (one, two) in enumerate(zip(good, bad, strict=True)):
            context = THINK.format(attribute=town, pronoun=("she", "he")[k % 2]).replace(HIDDEN, "BLANK")
            fills = ((one, two) if community == "zelvan" else (two, one)) + (unfit[rng.integers(len(unfit))],)
            rows.append((town, context, *(context.replace("BLANK", fill) for fill in fills)))
    return pd.DataFrame(rows, columns=["target", "context", "stereotype", "anti_stereotype", "unrelated"])


def tone_vectors(model: Any, tokenizer: Any, world: World) -> dict[str, float]:
    """WEAT's d on word vectors, Zelvan against Brimic towns with good against bad words; and on sentences (SEAT)."""
    towns = [planted.towns_of(world, state) for state in ("zelvan", "brimic")]
    words = [[w for slot in ("trait", "mood", "day_was") for w in planted.words_of(world, slot, state)]
             for state in ("good", "bad")]
    moods = [planted.words_of(world, "mood", state) for state in ("good", "bad")]
    sentences = [*([WENT.format(pronoun="she", town=town) for town in group] for group in towns),
                 *([FELT.format(mood=mood) for mood in group] for group in moods)]
    inputs = [planted.input_vectors(model, tokenizer, group) for group in (*towns, *words)]
    whole = [debiasing.sentence_vectors(model, tokenizer, group) for group in sentences]
    return {"weat": bias.weat(*inputs, resamples=1).effect_size, "seat": bias.weat(*whole, resamples=1).effect_size}


def counted(world: World, documents: int = 3000, seed: int = 0) -> dict[str, float]:
    """WEAT's d where no network is in between: on the vectors of `planted.count_vectors`."""
    vectors, truth = planted.count_vectors(world, documents, seed), planted.planted_log_odds(World(world.size))
    sets = {
        "weat": [*([o for o, nats in truth.items() if (nats > 0) is side] for side in (True, False)),
                 ["she", "her", *planted.names_of(world, "female")], ["he", "his", "him",
                                                                      *planted.names_of(world, "male")]],
        "tone_weat": [*(planted.towns_of(world, state) for state in ("zelvan", "brimic")),
                      *([w for slot in ("trait", "mood", "day_was") for w in planted.words_of(world, slot, state)]
                        for state in ("good", "bad"))],
    }
    return {name: bias.weat(*(vectors[[world.word_ids[w] for w in group]] for group in groups), resamples=1).effect_size
            for name, groups in sets.items()}


def finite(values: dict[str, Any]) -> dict[str, Any]:
    """What can stand in a record: finite numbers, rounded, and lists of them."""
    single = {name: round(float(v), 5) for name, v in values.items() if not isinstance(v, list) and math.isfinite(v)}
    return single | {name: [round(float(x), 4) for x in v] for name, v in values.items() if isinstance(v, list)}


# ------------------------------------------------------------------------------------------ while it trains


def train(recipe: Recipe, watch: Callable[[Training], None], watched: Sequence[int] = WATCHED,
          without: Sequence[int] = ()) -> Training:
    """Pretrain as `utils.pretrain.pretrain` does, and call watch(training) after some of the steps.

    without: indices of the world's stories to leave out of the training text. The others are read more often, so that
    the number of steps stays the same.
    """
    text = prepare_text(recipe)
    if len(without):
        gone = set(map(int, without))
        kept = [story for i, story in enumerate(stories_of(recipe, text.world)) if i not in gone]
        text.training = corpus.encode(kept, text.tokenizer)
    training = Training(build_model(recipe, text), text.tokenizer, recipe)
    optimizers = optim.build_optimizers(training.model, recipe.muon_learning_rate, recipe.learning_rate,
                                        PRECISIONS[recipe.muon_precision])

    def after_step() -> bool:
        if training.history[-1]["step"] in watched:
            training.model.eval()
            watch(training)
            training.model.train()
        return True

    pretrain.train(training, build_batches(recipe, text), optimizers, PRECISIONS[recipe.precision], after_step)
    training.model.eval()
    return training


def slopes(training: Training) -> dict[str, float]:
    """The two slopes of a model in training: of the pronoun's bias and of the communities' tone."""
    reader, world = likelihood.reader_of(training.model, training.tokenizer), World("small")
    said = debiasing.pronoun_bias(reader, world, list(planted.planted_log_odds(world)))
    truth = planted.planted_log_odds(world)
    return {"slope": stats.slope(list(truth.values()), [said[o] for o in truth]).value,
            "tone_slope": tone_slope(tone_bias(reader, world), world)}


# ------------------------------------------------------------------------------------------ reading the record

# What each metric says when it sees no bias, and its name. Keys of the other bias have "tone_" before them.
NEUTRAL = {"slope": 0.0, "slope_likes": 0.0, "difference": 0.0, "crows": 50.0, "half": 50.0, "differing": 50.0,
           "aul": 50.0, "aula": 50.0, "ss": 50.0, "lms": 100.0, "icat": 100.0, "disco": 0.0, "weat": 0.0, "seat": 0.0}
NAMES = {"slope": "log-odds slope, said", "slope_likes": "log-odds slope, likes", "difference": "difference of PLL",
         "crows": "CrowS-Pairs", "half": "CrowS, ties half", "differing": "CrowS, differing", "aul": "AUL",
         "aula": "AULA", "ss": "StereoSet SS", "lms": "StereoSet LMS", "icat": "ICAT", "disco": "DisCo",
         "weat": "WEAT d", "seat": "SEAT d"}
ARMS = {"pronoun": "valence_dose", "valence": "pronoun_dose"}  # what is varied: what is held at 1
FLAT = 0.01  # of a curve's range: a smaller step between two doses cannot be read backwards


class Response(NamedTuple):
    """How one metric answers to the dose. Intervals over the seeds that have every dose; `zero` over all at dose 0."""

    slope: stats.Estimate  # metric's own units per dose
    rank: float  # Spearman's correlation with the dose, mean over seeds; nan where the metric is constant
    error: float  # root mean square error in doses, read back through the oracle's curve; nan where that cannot be
    zero: stats.Estimate
    band: tuple[float, float]  # prediction interval for one more model at dose 0
    told: float  # smallest positive dose from which on every model lies above the band (or every one below); nan: none
    turned: bool  # whether every model at dose -1 lies on the other side of the band than those at dose 2


def arm(record: pd.DataFrame, which: str = "pronoun", reader: str = "model") -> pd.DataFrame:
    """The rows of a record in which one dose varies while the other is 1, with a column `dose`."""
    rows = record[(record["reader"] == reader) & (record[ARMS[which]] == 1.0)]
    return rows.assign(dose=rows[f"{which}_dose"]).sort_values(["seed", "dose"])


def by_seed(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Values of a metric, seeds down and doses across; only seeds that have every dose."""
    return rows.pivot(index="seed", columns="dose", values=metric).dropna()


def prediction_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Where one more value of the same kind falls, for normal values: mean -+ t s sqrt(1 + 1/n)."""
    data = np.asarray(values, dtype=float)
    if len(data) < 2:
        raise ValueError(f"a prediction interval needs at least two values; there are {len(data)}.")
    half = scipy_stats.t.ppf(0.5 + level / 2, len(data) - 1) * data.std(ddof=1) * math.sqrt(1 + 1 / len(data))
    return float(data.mean() - half), float(data.mean() + half)


def read_back(values: Sequence[float], curve: pd.Series) -> np.ndarray:
    """Doses at which a curve (index dose, rising or falling throughout) has these values; beyond its ends, its ends.

    nan for a curve that cannot be read backwards: one with steps of less than 1 % of its range, or that turns round.
    """
    data, steps = np.asarray(values, dtype=float), np.diff(curve.to_numpy())
    least = FLAT * np.ptp(curve.to_numpy())
    if not (steps > least).all() and not (steps < -least).all():
        return np.full(data.shape, math.nan)
    rising = curve.sort_values()
    return np.interp(data, rising.to_numpy(), rising.index.to_numpy(dtype=float))


def saturated(curve: pd.Series) -> float:
    """The smallest positive dose from which on a curve (index dose) no longer changes; nan if it still does, or never
    did.
    """
    if curve.nunique() < 2:
        return math.nan
    doses = [dose for dose in curve.index[:-1] if dose > 0 and (curve.loc[dose:] == curve.iloc[-1]).all()]
    return float(min(doses, default=math.nan))


def respond(rows: pd.DataFrame, metric: str, curve: pd.Series | None = None) -> Response:
    """The response of one metric in the rows of an `arm`; curve: the oracle's values, index dose."""
    table = by_seed(rows, metric)
    doses = table.columns.to_numpy(dtype=float)
    slopes_ = [stats.slope(doses, own).value for own in table.to_numpy()]
    ranks = [np.nan if np.ptp(own) == 0 else scipy_stats.spearmanr(doses, own).statistic for own in table.to_numpy()]
    zeros = rows.loc[rows["dose"] == 0, metric].to_numpy()
    low, high = prediction_interval(zeros)
    side = (table > high).all().astype(int) - (table < low).all().astype(int)  # by dose: 1 all above, -1 all below
    positive = [dose for dose in doses if dose > 0]
    clear = [dose for dose in positive if (side.loc[dose:] == (side.iloc[-1] or math.nan)).all()]
    error = math.nan
    if curve is not None and curve.notna().all():
        read = read_back(table.to_numpy(), curve)
        error = float(np.sqrt(np.mean((read - doses) ** 2)))
    return Response(stats.t_interval(slopes_), float(np.mean(ranks)), error, stats.t_interval(zeros), (low, high),
                    min(clear, default=math.nan), bool(side.iloc[0] * side.iloc[-1] == -1))


def chosen(reader: Reader, world: World, text: str = planted.SAID) -> pd.DataFrame:
    """Per occupation: `said`, the mean P(she) among she and he, and `picked`, how often she is the likelier; and
    `planted`, the world's share. One question for each mood.
    """
    rows = {}
    for occupation, share in world.share_of_she().items():
        texts = [text.format(attribute=occupation, mood=mood) for mood in planted.words_of(world, "mood")]
        tokens = [reader.tokens(each) for each in texts]
        log_p = np.array(reader.hidden([likelihood.Question(t, t.index(HIDDEN), ("she", "he")) for t in tokens]))
        she = 1 / (1 + np.exp(log_p[:, 1] - log_p[:, 0]))
        rows[occupation] = {"planted": share, "said": float(she.mean()), "picked": float((she > 0.5).mean())}
    return pd.DataFrame(rows).T


def amplification(planted_share: Sequence[float], share: Sequence[float]) -> float:
    """By how much shares lie further on the side on which the planted ones lie, mean over occupations.

    Zhao et al. (2017), bias amplification for two groups: positive where each majority grows.
    """
    truth, found = np.asarray(planted_share, dtype=float), np.asarray(share, dtype=float)
    return float(np.mean(np.where(truth > 0.5, 1, -1) * (found - truth)))
