"""Figures of notebook 14: what can be read off each layer, where an effect passes, and how it follows the dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plots import GREY, LINESTYLES, MARKERS, PALETTE, truth_line, truth_marker


def _with_interval(ax: Axes, table: pd.DataFrame, column: str, **line: Any) -> None:
    """A column against the layer, with bars from the columns COLUMN_low to COLUMN_high."""
    value = table[column].to_numpy()
    bars = np.abs(table[[f"{column}_low", f"{column}_high"]].to_numpy().T - value)
    ax.errorbar(table["layer"], value, yerr=bars, markevery=1, capsize=2, elinewidth=1, **line)


def by_layer(table: pd.DataFrame) -> Figure:
    """What a probe reads at every word, one panel per fact; columns fact, layer, model, random, word_alone, ceiling,
    and model_low, model_high, random_low, random_high."""
    facts = list(dict.fromkeys(table["fact"]))
    figure, axes = plt.subplots(1, len(facts), figsize=(7.6, 3.0), sharey=True)
    for ax, fact in zip(axes, facts, strict=True):
        own = table[table["fact"] == fact]
        _with_interval(ax, own, "model", color=PALETTE[0], marker="o", linestyle="-", label="trained")
        _with_interval(ax, own, "random", color=PALETTE[1], marker="s", linestyle="--", label="random weights")
        ax.axhline(own["word_alone"].iloc[0], color=GREY, linestyle=":", linewidth=1.5, marker="", label="word alone")
        truth_line(ax, own["ceiling"].iloc[0], "")
        ax.set_title(fact, fontsize=10)
        ax.set_xticks(list(own["layer"]))
        ax.set_xlabel("layer")
    axes[0].set_ylabel("accuracy on fresh stories")
    axes[0].set_ylim(0.2, 1.02)
    handles, labels = axes[0].get_legend_handles_labels()
    dashed = plt.Line2D([], [], color="black", linestyle=(0, (4, 3)), linewidth=1.4)
    figure.legend([*handles, dashed], [*labels, "ceiling"], loc="outside lower center", ncols=4)
    return figure


def grid(values: np.ndarray, rows: Sequence[str], columns: Sequence[str], *, ylabel: str, xlabel: str = "",
         label: str = "", largest: float | None = None, decimals: int = 2, height: float = 0.42,
         rotation: float = 0.0) -> Figure:
    """Numbers as a grid of coloured cells, the first row at the bottom; each number is written in its cell."""
    values = np.asarray(values, dtype=float)
    largest = largest or np.abs(values).max()
    figure, ax = plt.subplots(figsize=(min(7.6, 1.8 + 0.62 * len(columns)), 1.3 + height * len(rows)))
    signed = values.min() < -0.1 * largest
    colours = {"cmap": "PuOr", "vmin": -largest} if signed else {"cmap": "Purples", "vmin": 0.0}
    image = ax.imshow(values, origin="lower", aspect="auto", vmax=largest, **colours)
    for i, j in np.ndindex(*values.shape):
        dark = abs(values[i, j]) > 0.6 * largest
        text = f"{values[i, j]:.{decimals}f}".replace("-0." + "0" * decimals, "0." + "0" * decimals)
        ax.text(j, i, text, ha="center", va="center", fontsize=8.5, color="white" if dark else "black")
    ax.set_xticks(range(len(columns)), columns, rotation=rotation, ha="right" if rotation else "center")
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylabel(ylabel)
    ax.set_xlabel(xlabel)
    ax.grid(visible=False)
    ax.tick_params(length=0)
    figure.colorbar(image, ax=ax, label=label, fraction=0.05, pad=0.02)
    return figure


def effects_by_dose(live: pd.DataFrame, others: pd.DataFrame) -> Figure:
    """Mean total effect against the dose; both tables: columns dose, exact, total, one row per model.

    live: the shipped models. others: models trained with other seeds, moved a little to the right.
    """
    figure, ax = plt.subplots(figsize=(6.0, 3.4))
    exact = pd.concat([live, others]).groupby("dose")["exact"].first()
    ax.plot(exact.index, exact, color="black", linestyle=(0, (4, 3)), linewidth=1.4, marker="")
    truth_marker(ax, exact.index, exact, "exact")
    ax.plot(others["dose"] + 0.06, others["total"], linestyle="", marker="_", markersize=9, markeredgewidth=1.5,
            color=PALETTE[1], markevery=1, label="other models (record)")
    ax.plot(live["dose"], live["total"], linestyle="", marker="D", markersize=5, color=PALETTE[0], markevery=1,
            label="shipped models")
    ax.axhline(0, color=GREY, linewidth=0.8, linestyle="-", marker="")
    ax.set_xticks(exact.index, [f"{dose:g}" for dose in exact.index])
    ax.set_xlabel("dose of the planted association")
    ax.set_ylabel("mean total effect of a swap\n(log-odds of she, nats)")
    ax.legend(loc="upper left")
    return figure


def selectivity(table: pd.DataFrame) -> Figure:
    """Accuracy on a task and on its control task, trained and random weights; columns layer, task, control,
    random_task, random_control, and each of them with _low and _high."""
    figure, axes = plt.subplots(1, 2, figsize=(7.0, 3.2), sharey=True)
    for ax, (title, prefix) in zip(axes, {"MiniLM": "", "random weights": "random_"}.items(), strict=True):
        for k, (name, label) in enumerate({"task": "kind of entity", "control": "control task"}.items()):
            _with_interval(ax, table, prefix + name, color=PALETTE[k], marker=MARKERS[k], linestyle=LINESTYLES[k],
                           label=label)
        ax.fill_between(table["layer"], table[prefix + "control"], table[prefix + "task"], color="0.85", zorder=0)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("layer")
        ax.set_xticks(list(table["layer"]))
        ax.yaxis.set_major_locator(plt.MultipleLocator(0.05))
    axes[0].set_ylabel("accuracy on fresh sentences")
    axes[0].legend(loc="lower left")
    return figure


def cumulative(shares: Mapping[str, Sequence[float]], counts: Sequence[int]) -> Figure:
    """Share of the total effect that the first units carry together, one line per kind of units."""
    figure, ax = plt.subplots(figsize=(5.6, 3.0))
    for k, (name, values) in enumerate(shares.items()):
        ax.plot(counts, values, color=PALETTE[k], marker=MARKERS[k], linestyle=LINESTYLES[k], markevery=1, label=name)
    ax.set_xscale("log")
    ax.set_xticks(counts, [str(c) for c in counts])
    ax.minorticks_off()
    ax.set_ylim(-0.03, 1.05)
    ax.set_xlabel("neurons of layer 1 held at their changed values")
    ax.set_ylabel("share of the total effect")
    ax.legend(loc="upper left")
    return figure
