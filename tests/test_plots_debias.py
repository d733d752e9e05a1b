"""The figures of notebook 10 draw what they are given, and the truth hollow."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils import plots
from utils.plots import debias as figures


@pytest.fixture(autouse=True)
def _closed():
    plots.use_house_style()
    yield
    plt.close("all")


def _points(names):
    columns = ("slope", "slope_low", "slope_high", "gap", "gap_low", "gap_high")
    return pd.DataFrame([(0.5, 0.4, 0.6, 0.01, 0.009, 0.011)] * len(names), index=names, columns=columns)


def test_truth_is_hollow_and_every_method_has_its_label():
    truths = pd.DataFrame({"slope": [1.0, 0.0], "gap": [0.02, 0.0]}, index=["biased world", "fair world"])
    ax = figures.bias_against_distance(_points(["CDA", "INLP", "dropout"]), truths).axes[0]
    labels = {text.get_text() for text in ax.texts}
    assert labels == {"CDA", "INLP", "dropout", "biased world", "fair world"}
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in hollow] == [(1.0, 0.02), (0.0, 0.0)]


def test_rounds_have_three_panels_with_the_fair_world_dashed():
    counts = [0, 1, 2, 32]
    columns = ("linear", "kernel", "slope", "open", "told", "other")
    table = pd.DataFrame({name: np.linspace(1, 0.5, 4) for name in columns}, index=counts)
    axes = figures.rounds(table, chance=0.55).axes
    assert len(axes) == 3
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["0", "1", "2", "32"]
    assert any(set(np.atleast_1d(line.get_ydata())) == {0} for line in axes[1].lines)


def test_each_method_has_two_points_in_each_panel():
    rows = {name: {f"{kind} {panel}": (0.7, 0.6, 0.8) for kind in ("linear", "kernel") for panel in ("told", "lean")}
            for name in ("as it is", "INLP")}
    axes = figures.read_off(rows, {"told": ("gender", 0.5), "lean": ("lean", 0.5)}).axes
    assert len(axes) == 2
    assert all(len(ax.containers) == 2 for ax in axes)
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["as it is", "INLP"]


def test_published_scores_keep_their_order():
    table = pd.DataFrame([(m, c, 55.0, 50.0, 60.0) for m in ("BERT", "CDA") for c in ("gender", "race")],
                         columns=["method", "category", "value", "low", "high"])
    axes = figures.published(table, ["gender", "race"], {"gender": 262, "race": 516}).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["gender, 262 pairs", "race, 516 pairs"]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["BERT", "CDA"]
