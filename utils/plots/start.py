"""Figures of notebook 00: the course's idea in one picture, and what fine-tuning did to held-out sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plots import GREY, MARKERS, PALETTE, truth_marker


def known_truth_first(
    planted: Mapping[str, float], estimated: Mapping[str, float], real: Mapping[str, Mapping[str, float]]
) -> Figure:
    """Left: planted P(she | occupation) and a model's estimate. Right: a real model, measured in some ways, no truth.

    planted, estimated: {occupation: probability}; real: {wording: {occupation: lean towards she}}.
    """
    occupations = sorted(planted, key=planted.get)
    rows = np.arange(len(occupations))
    figure, (world, unknown) = plt.subplots(1, 2, figsize=(8.6, 4.9), sharey=True, width_ratios=(1.15, 1))
    for axes in (world, unknown):
        axes.grid(axis="x", visible=False)
    _known(world, occupations, rows, planted, estimated)
    _unknown(unknown, occupations, rows, real)
    world.set_yticks(rows, occupations)
    world.set_ylim(-0.7, len(rows) - 0.3)
    return figure


def _known(axes: Axes, occupations: Sequence[str], rows: np.ndarray, planted: Mapping, estimated: Mapping) -> None:
    truth, found = ([values[name] for name in occupations] for values in (planted, estimated))
    axes.hlines(rows, truth, found, color=GREY, linewidth=1)
    truth_marker(axes, truth, rows, "truth: the share that was put in")
    axes.plot(found, rows, linestyle="", marker="o", markersize=4.5, markevery=1, color=PALETTE[0],
              label="what the model learned", zorder=5)  # fmt: skip
    axes.set(xlim=(-0.03, 1.03), xlabel="P(she | occupation)", title="In the artificial language\nthe truth is known")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.21))


def _unknown(axes: Axes, occupations: Sequence[str], rows: np.ndarray, real: Mapping[str, Mapping]) -> None:
    axes.axvline(0, color=GREY, linewidth=1, marker="")
    pairs = [[leans[occupation] for leans in real.values()] for occupation in occupations]
    axes.hlines(rows, [min(pair) for pair in pairs], [max(pair) for pair in pairs], color=GREY, linewidth=1)
    for place, (name, leans) in enumerate(real.items(), start=1):
        axes.plot([leans[occupation] for occupation in occupations], rows, linestyle="", marker=MARKERS[place],
                  markersize=5.5, markevery=1, color=PALETTE[place], label=f"measured with: {name}")  # fmt: skip
    largest = 1.15 * max(abs(value) for leans in real.values() for value in leans.values())
    axes.set(xlim=(-largest, largest), title="In a real model (MiniLM)\nnobody knows it")
    axes.set_xlabel("difference of cosine similarities\n← closer to he          closer to she →")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.21))


def before_and_after(before: Sequence[float], after: Sequence[float], labels: Sequence[int]) -> Figure:
    """P(positive) that a classifier gives each held-out sentence, before and after training, by its true label."""
    figure, axes = plt.subplots(figsize=(6.4, 3.2))
    for label, (name, shade) in enumerate((("negative sentences", 1), ("positive sentences", 0))):
        chosen = [i for i, each in enumerate(labels) if each == label]
        spread = np.linspace(-0.1, 0.1, len(chosen)) + (0.16 if label else -0.16)
        for column, values in enumerate((before, after)):
            axes.plot(column + spread, [values[i] for i in chosen], linestyle="", marker=MARKERS[shade], markevery=1,
                      color=PALETTE[shade], label=None if column else name)  # fmt: skip
    axes.axhline(0.5, color=GREY, linewidth=1, marker="")
    axes.set_xticks([0, 1], ["before: the head is random", "after training"])
    axes.set(xlim=(-0.5, 1.5), ylim=(-0.04, 1.04), ylabel="P(positive) according to the model")
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper left")
    return figure
