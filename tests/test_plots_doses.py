"""The figures of notebook 09 draw what they are given, and the truth hollow."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils import plots
from utils.plots import doses as figures

DOSES = (-1.0, 0.0, 0.25, 0.5, 1.0, 2.0)


@pytest.fixture(autouse=True)
def _closed():
    plots.use_house_style()
    yield
    plt.close("all")


def _hollow(ax):
    return [line for line in ax.lines if line.get_markerfacecolor() == "none"]


def test_each_metric_has_a_panel_with_its_oracle_models_and_band():
    models = pd.DataFrame([(dose, seed, dose + seed, 50.0) for dose in DOSES for seed in range(3)],
                          columns=["dose", "seed", "known", "unknown"])
    oracle = pd.DataFrame({"known": DOSES, "unknown": np.nan}, index=DOSES)
    bands = {"known": (-1.0, 1.0), "unknown": (-900.0, 900.0)}
    figure = figures.responses(models, oracle, bands, {"known": "one", "unknown": "two"}, columns=3)
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in shown] == ["one", "two"]
    assert list(_hollow(shown[0])[0].get_ydata()) == list(DOSES) and not _hollow(shown[1])
    points = [line for line in shown[0].lines if line.get_marker() == "D"][0]
    assert len(points.get_xdata()) == len(models)
    assert shown[1].get_ylim()[1] < 100  # a band as wide as this must not flatten the points
    assert all(ax.get_xlabel() == "dose" for ax in shown)


def test_choices_put_said_and_picked_against_the_planted_share():
    table = pd.DataFrame({"planted": [0.2, 0.7], "said": [0.3, 0.6], "picked": [0.0, 1.0]})
    axes = figures.choices({"half": table, "one": table}).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["half", "one"]
    drawn = {line.get_marker(): list(line.get_ydata()) for line in axes[0].lines}
    assert drawn["o"] == [0.3, 0.6] and drawn["x"] == [0.0, 1.0]


def test_learning_has_a_line_of_its_own_for_each_of_six_doses():
    paths = {dose: np.outer([1.0, 1.2], np.linspace(0, dose, 4)) for dose in DOSES}
    axes = figures.learning({"pronoun": paths, "tone": paths}, [1, 2, 3, 4], ([1, 2], [5.0, 1.0], 0.5)).axes
    lines = [line for line in axes[0].lines if line.get_label() in {f"{dose:g}" for dose in DOSES}]
    assert len(lines) == 6 and len({(line.get_color(), line.get_marker()) for line in lines}) == 6
    assert list(lines[-1].get_ydata()) == pytest.approx(list(1.1 * np.linspace(0, 2, 4)))
    assert axes[0].get_ylim() == axes[1].get_ylim()


def test_causes_show_every_story_and_every_group():
    index = pd.MultiIndex.from_tuples([("nurse", "female"), ("nurse", "male")], names=["occupation", "gender"])
    groups = pd.DataFrame({"score": [1.0, -1.0], "estimate": [2.0, -3.0], "error": [0.5, 0.6]}, index=index)
    axes = figures.causes([1.0, -1.0, 1.0], [5.0, -9.0, 0.0], groups).axes
    assert len(axes[0].lines[0].get_xdata()) == 3 and len(axes[1].containers) == 2


def test_retrained_has_a_panel_per_list_and_marks_the_occupations_that_were_touched():
    table = pd.DataFrame({"text": [1.0, -2.0], "model": [0.9, -1.5], "touched": [True, False]}, index=["nurse", "cook"])
    axes = figures.retrained({"nothing": table, "score": table.assign(text=[0.0, -2.0])}).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["nothing", "score"]
    drawn = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes[1].lines}
    assert drawn["nurse"] == ([0.0], [0.9])
    assert drawn["other occupations"] == ([-2.0], [-1.5])
