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
ARMS = ("nothing", "random", "score", "TracIn")


def recipe_of(seed: int) -> Recipe:
    """The settings of every training here."""
    return Recipe(**{**SETTINGS, "steps": STEPS, "seed": seed})


@cache
def estimates(seed: int) -> tuple[list[Any], np.ndarray, np.ndarray, dict[str, Any]]:
    """(stories, known score, TracIn's estimate, what the model that read them all says) for a seed's text."""
    world, recipe = World("small"), recipe_of(seed)
    stories = stories_of(recipe, world)
    known = influence.score(stories, world)
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
    return stories, known, found, {
        **learned,
        "correlation": round(float(np.corrcoef(found, known)[0, 1]), 5),
        "correlation_by_step": [round(float(np.corrcoef(term, known)[0, 1]), 5) for term in terms],
        "groups": {name: [float(f"{value:.5g}") for value in values] for name, values in table.items()},
        "overlap": round(float(np.isin(highest(found), highest(known)).mean()), 5),
    }


def highest(values: np.ndarray) -> np.ndarray:
    """Indices of the share LEFT_OUT of the stories with the highest values."""
    return np.argsort(-values, kind="stable")[: round(LEFT_OUT * len(values))]


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """The slope of a model that never read the chosen fifth, and the slope that the rest of the text shows."""
    stories, known, found, whole = estimates(point["seed"])
    world, rng = World("small"), np.random.default_rng([point["seed"], 9])
    chosen = {"nothing": np.array([], dtype=int), "score": highest(known), "TracIn": highest(found),
              "random": rng.permutation(len(stories))[: round(LEFT_OUT * len(stories))]}[point["without"]]
    gone = set(chosen.tolist())
    left = [story for i, story in enumerate(stories) if i not in gone]
    shown = {"stories": len(left), "text_slope": round(influence.text_slope(left, world), 5),
             "text_log_odds": [round(nats, 4) for nats in influence.text_log_odds(left, world).values()]}
    if point["without"] == "nothing":
        return {**shown, **whole}
    return {**shown, **answers(response.train(recipe_of(point["seed"]), lambda training: None, (), chosen))}


def answers(training: Any) -> dict[str, Any]:
    """What a trained model says: the slope, and the log-probability bias of each occupation."""
    reader, world = likelihood.reader_of(training.model, training.tokenizer), World("small")
    occupations = list(planted.planted_log_odds(world))
    said = debiasing.pronoun_bias(reader, world, occupations)
    return {"slope": round(response.slopes(training)["slope"], 5), "log_odds": [round(said[o], 4) for o in occupations]}


INFLUENCE = Sweep(
    about="Which stories teach the pronoun's bias. without: the fifth of the training stories that was left out, the "
    "rest being read more often: none, drawn at random, those with the highest score (the derivative of the story's "
    "log-probability with respect to the dose, at dose 0), those with the highest estimate of TracIn. text_slope, "
    "text_log_odds: the dose and each occupation's log-odds of women that the remaining text shows; slope, log_odds: "
    "those that the model trained on it shows. In the rows without "
    f"nothing: correlation of estimate and score over stories, in all and for the terms after {LOOKED} steps; overlap "
    "of the two fifths; groups: for each occupation and gender the score, the mean estimate, its standard error and "
    "the number of stories.",
    points=[{"without": arm, "seed": seed, "steps": STEPS} for seed in SEEDS for arm in ARMS],
    measure=measure,
)
