"""The second sweep of notebook 09: which stories taught the bias, estimated, and models that never read them."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np

from tools.records import Sweep
from utils import debiasing, influence, likelihood, response
from utils.bias import planted
from utils.recipe import Recipe, stories_of
from utils.response import SETTINGS
from utils.world import World

SEEDS = range(3)
STEPS = 2000  # by then the pronoun's bias is learned; the recipe of the shipped world-dose-1
LOOKED = (800, 1200, 1600)  # TracIn's checkpoints: the bias is being learned, and the learning rate is not yet small
LEFT_OUT = 0.2  # share of the stories
ARMS = ("nothing", "random", "score", "TracIn", "number")


def recipe_of(seed: int) -> Recipe:
    """The settings of every training here."""
    return Recipe(**{**SETTINGS, "steps": STEPS, "seed": seed})


@cache
def text_of(seed: int) -> tuple[list[Any], np.ndarray]:
    """(stories, known score) of a seed's training text."""
    stories = stories_of(recipe_of(seed), World("small"))
    return stories, influence.score(stories, World("small"))


@cache
def estimates(seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """(TracIn's estimate for each story of a seed's text, what the model that read them all says and how well)."""
    world, recipe = World("small"), recipe_of(seed)
    stories, known = text_of(seed)
    terms: list[np.ndarray] = []

    def watch(training: Any) -> None:
        model, now = copy.deepcopy(training.model).float().eval(), training.history[-1]
        model.set_attn_implementation("eager")
        terms.append(now["learning_rate"] * influence.first_order(model, training.tokenizer, stories, world,
                                                                  seed=now["step"]))

    learned = answers(response.train(recipe, watch, LOOKED))
    found = np.sum(terms, axis=0)
    groups = np.array([f"{story.latents['occupation']}, {story.latents['gender']}" for story in stories])
    table = {name: [known[groups == name].mean(), found[groups == name].mean(),
                    found[groups == name].std(ddof=1) / np.sqrt((groups == name).sum()), (groups == name).sum()]
             for name in np.unique(groups)}
    return found, {
        **learned,
        "correlation": round(float(np.corrcoef(found, known)[0, 1]), 5),
        "correlation_by_step": [round(float(np.corrcoef(term, known)[0, 1]), 5) for term in terms],
        "groups": {name: [float(f"{value:.5g}") for value in values] for name, values in table.items()},
        "overlap": round(float(np.isin(highest(found), highest(known)).mean()), 5),
    }


def highest(values: np.ndarray) -> np.ndarray:
    """Indices of the share LEFT_OUT of the stories with the highest values."""
    return np.argsort(-values, kind="stable")[: round(LEFT_OUT * len(values))]


def left_out(arm: str, seed: int) -> np.ndarray:
    """Indices of the stories that an arm leaves out of a seed's text."""
    stories, known = text_of(seed)
    rng = np.random.default_rng([seed, 9])
    if arm == "nothing":
        return np.array([], dtype=int)
    if arm == "random":
        return rng.permutation(len(stories))[: round(LEFT_OUT * len(stories))]
    if arm == "TracIn":
        return highest(estimates(seed)[0])
    if arm == "score":
        return highest(known)
    occupations = np.array([story.latents["occupation"] for story in stories])
    numbers = zip(*np.unique(occupations[highest(known)], return_counts=True), strict=True)
    return np.concatenate([rng.permutation(np.flatnonzero(occupations == name))[:count] for name, count in numbers])


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """The slope of a model that never read the chosen fifth, and the slope that the rest of the text shows."""
    seed, world = point["seed"], World("small")
    stories, _ = text_of(seed)
    chosen = left_out(point["without"], seed)
    gone = set(chosen.tolist())
    left = [story for i, story in enumerate(stories) if i not in gone]
    shown = {"stories": len(left), "text_slope": round(influence.text_slope(left, world), 5),
             "text_log_odds": [round(nats, 4) for nats in influence.text_log_odds(left, world).values()]}
    if point["without"] == "nothing":
        return {**shown, **estimates(seed)[1]}
    return {**shown, **answers(response.train(recipe_of(seed), lambda training: None, (), chosen))}


def answers(training: Any) -> dict[str, Any]:
    """What a trained model says: the slope, and the log-probability bias of each occupation."""
    reader, world = likelihood.reader_of(training.model, training.tokenizer), World("small")
    occupations = list(planted.planted_log_odds(world))
    said = debiasing.pronoun_bias(reader, world, occupations)
    return {"slope": round(response.slopes(training)["slope"], 5), "log_odds": [round(said[o], 4) for o in occupations]}


INFLUENCE = Sweep(
    about="Which stories teach the pronoun's bias. without: the fifth of the training stories that was left out, the "
    "rest being read more often: none, drawn at random, those with the highest score (the derivative of the story's "
    "log-probability with respect to the dose, at dose 0), those with the highest estimate of TracIn, or by number: as "
    "many of each occupation as the fifth with the highest score has, by lot, whatever their gender. text_slope, "
    "text_log_odds: the dose and each occupation's log-odds of women that the remaining text shows; slope, log_odds: "
    "those that the model trained on it shows. In the rows without "
    f"nothing: correlation of estimate and score over stories, in all and for the terms after {LOOKED} steps; overlap "
    "of the two fifths; groups: for each occupation and gender the score, the mean estimate, its standard error and "
    "the number of stories.",
    points=[{"without": arm, "seed": seed, "steps": STEPS} for seed in SEEDS for arm in ARMS],
    measure=measure,
)
