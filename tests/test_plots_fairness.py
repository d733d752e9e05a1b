"""The figures of notebook 11 draw what they are given, each community with its own mark."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils import plots
from utils.fairness import forced_fpr
from utils.plots import fairness as figures

NAMES = ("zelvan", "brimic")


@pytest.fixture(autouse=True)
def _closed():
    plots.use_house_style()
    yield
    plt.close("all")


def _interval_table(**columns):
    table = pd.DataFrame(columns)
    return table.assign(low=table["value"] - 0.05, high=table["value"] + 0.05)


def _marks(ax, marker):
    """Coordinates of the data that were drawn with a marker, in the order of drawing."""
    return [np.column_stack(line.get_data()) for line in ax.lines if line.get_marker() == marker]


def test_four_rates_of_two_communities():
    values = {(g, m): 0.2 + 0.3 * g + 0.05 * k for g in (0, 1) for k, m in enumerate(figures.MEASURES)}
    table = _interval_table(group=[g for g, _ in values], measure=[m for _, m in values], value=list(values.values()))
    axes = figures.by_community({"truth": table, "record": table}, NAMES).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["truth", "record"]
    for g, marker in enumerate(("o", "s")):
        assert _marks(axes[0], marker)[0][:, 1] == pytest.approx([values[g, m] for m in figures.MEASURES])
    assert [text.get_text() for text in axes[0].get_xticklabels()] == list(figures.MEASURES.values())


def test_calibration_has_a_panel_for_each_table_and_a_diagonal():
    table = _interval_table(group=[0, 0, 1, 1], score=[0.2, 0.8, 0.3, 0.7], value=[0.1, 0.9, 0.4, 0.6])
    axes = figures.calibrated(dict.fromkeys("abcd", table), NAMES).axes
    assert len(axes) == 4 and [list(line.get_ydata()) for line in axes[0].lines][0] == [0, 1]
    assert _marks(axes[3], "s")[0].tolist() == [[0.3, 0.4], [0.7, 0.6]]


def test_the_forced_rate_is_the_identity():
    ax = figures.forced(0.75, 0.25, (0.6, 0.4), (0.3, 0.2), NAMES).axes[0]
    curve = np.column_stack(ax.lines[0].get_data())
    assert curve[:, 1] == pytest.approx([forced_fpr(p, 0.75, 0.25) for p in curve[:, 0]])
    assert _marks(ax, "s")[0].tolist() == [[0.4, 0.2]]


def test_costs_put_both_communities_and_both_answers_in_three_panels():
    names = ("selection_0", "selection_1", "tpr_0", "tpr_1", "accuracy", "accuracy_record")
    values = {name: [0.1 * (k + 1), 0.05 * (k + 1)] for k, name in enumerate(names)}
    wide = pd.DataFrame({**values, **{f"{n}_low": np.array(v) - 0.01 for n, v in values.items()},
                         **{f"{n}_high": np.array(v) + 0.01 for n, v in values.items()}}, index=["one", "two"])
    axes = figures.costs(wide, NAMES, {"selection": 0.5, "tpr": 0.6, "accuracy": 0.7}).axes
    for ax, columns, markers in zip(axes, (names[:2], names[2:4], names[4:]), ("os", "os", "Dv"), strict=True):
        for column, marker in zip(columns, markers, strict=True):
            assert _marks(ax, marker)[0][:, 0] == pytest.approx(values[column])
    assert [list(ax.lines[-1].get_xdata()) for ax in axes] == [[0.5, 0.5], [0.6, 0.6], [0.7, 0.7]]


def test_origins_go_from_top_to_bottom():
    table = _interval_table(value=[0.4, 0.6])
    table.index = ["first", "second"]
    axes = figures.by_origin({"one": table, "two": table}, {"one": 0.5, "two": 0.45}).axes
    assert _marks(axes[1], "o")[0].tolist() == [[0.4, 1], [0.6, 0]]
    assert list(axes[1].lines[0].get_xdata()) == [0.45, 0.45]
    assert [text.get_text() for text in axes[0].get_yticklabels()] == ["first", "second"]


def test_trainings_that_were_looked_at_are_hollow_and_fresh_ones_have_a_mean():
    looked = pd.DataFrame({0: [0.1, -0.1], 1: [0.2, -0.2]}, index=["first", "second"])
    fresh = pd.DataFrame({3: [0.0, 0.0], 4: [0.1, -0.1], 5: [0.2, -0.2]}, index=looked.index)
    ax = figures.by_training(looked, fresh).axes[0]
    faces = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o"]
    assert faces.count("none") == 2 and len(faces) == 5
    assert [list(line.get_xdata()) for line in ax.lines if line.get_markerfacecolor() == "none"] == [
        [0.1, -0.1], [0.2, -0.2]]
    mean = next(c for c in ax.containers if hasattr(c, "has_xerr"))
    assert mean.lines[0].get_xdata() == pytest.approx([0.1, -0.1])
    half = np.diff(mean.lines[2][0].get_segments()[0][:, 0])[0] / 2
    assert half == pytest.approx(4.3027 * 0.1 / np.sqrt(3), abs=1e-3)  # Student's t with two degrees of freedom
