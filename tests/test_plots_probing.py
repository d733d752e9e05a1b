"""The figures of notebook 14: the numbers of a grid are readable, signs choose the colours, the truth is hollow."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from utils.plots import figure_bundle, use_house_style
from utils.plots import probing as figures


@pytest.fixture(autouse=True)
def style():
    use_house_style()
    yield
    plt.close("all")


def test_a_grid_writes_every_number_and_no_negative_zero():
    figure = figures.grid(np.array([[0.0, 1.0], [-0.001, 0.25]]), ["0", "1"], ["a", "b"], ylabel="layer", largest=1.0)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["0.00", "1.00", "0.00", "0.25"]
    assert figure.axes[0].images[0].get_cmap().name == "Purples"
    signed = figures.grid(np.array([[-1.0, 1.0]]), ["0"], ["a", "b"], ylabel="layer")
    assert signed.axes[0].images[0].get_cmap().name == "PuOr" and signed.axes[0].images[0].get_clim() == (-1.0, 1.0)


def test_every_figure_fits_into_a_notebook():
    by_layer = pd.DataFrame({"fact": ["gender"] * 3 + ["tone"] * 3, "layer": [0, 1, 2] * 2, "model": 0.6, "random": 0.5,
                             "word_alone": 0.5, "ceiling": 0.9, "model_low": 0.5, "model_high": 0.8,
                             "random_low": 0.4, "random_high": 0.6})
    live = pd.DataFrame({"dose": [0.0, 1.0], "exact": [0.0, 2.0], "total": [0.1, 2.2]})
    entity = pd.DataFrame({"layer": [0, 6], "task": [0.8, 0.9], "control": [0.8, 0.7], "random_task": 0.7,
                           "random_control": 0.8})
    for name in ("task", "control", "random_task", "random_control"):
        entity[f"{name}_low"], entity[f"{name}_high"] = entity[name] - 0.1, entity[name] + 0.2
    drawn = [figures.by_layer(by_layer), figures.effects_by_dose(live, live), figures.selectivity(entity),
             figures.cumulative({"strongest first": [0.1, 1.0]}, [1, 512])]
    for figure in drawn:
        assert figure_bundle(figure, "a caption of four words", "an alternative text of words")
    heights = [np.ptp(bar[:, 1]) for bar in drawn[0].axes[0].collections[0].get_segments()]
    assert heights == pytest.approx([0.3] * 3)  # from low to high, for the trained model
    assert len(drawn[2].axes[0].containers) == 2
    assert any(line.get_markerfacecolor() == "none" for line in drawn[1].axes[0].lines)  # the truth
