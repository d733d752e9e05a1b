"""Figures of notebook 08: what a metric says against what was planted, and published scores with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from utils.plots import GREY, LINESTYLES, MARKERS, PALETTE, TRUTH, truth_marker


def planted_and_measured(table: pd.DataFrame) -> Figure:
    """Bias per occupation against what was planted; columns planted, oracle, model, low, high, random (nats)."""
    figure, ax = plt.subplots(figsize=(5.4, 4.4))
    ends = np.array([table["planted"].min(), table["planted"].max()]) * 1.06
    ax.plot(ends, ends, color=TRUTH, linestyle=(0, (4, 3)), linewidth=1.4, marker="")
    truth_marker(ax, table["planted"], table["oracle"], "oracle")
    error = [table["model"] - table["low"], table["high"] - table["model"]]
    ax.errorbar(table["planted"], table["model"], yerr=error, linestyle="", marker=MARKERS[3], color=PALETTE[0],
                markersize=5, capsize=3, markevery=1, label="model (bar: least and most over templates)")
    ax.plot(table["planted"], table["random"], linestyle="", marker="x", color=PALETTE[1], markevery=1,
            label="random weights")
    ax.annotate("dashed: measured = planted", (0.98, 0.04), xycoords="axes fraction", ha="right", fontsize=9)
    ax.set_xlabel("planted log-odds of she, against the average (nats)")
    ax.set_ylabel("measured bias (nats)")
    ax.legend(loc="upper left")
    return figure


def dose_response(table: pd.DataFrame, model: dict[str, float], labels: dict[str, str]) -> Figure:
    """Scores in per cent read off the oracle at each dose, one panel per metric; the model at dose 1 as a diamond.

    table: index dose, one column per metric; model: the metric's value for the model; labels: panel titles.
    """
    figure, axes = plt.subplots(1, len(labels), figsize=(7.4, 2.9), sharey=True)
    for k, (ax, (metric, title)) in enumerate(zip(axes, labels.items(), strict=True)):
        ax.axhline(50, color=GREY, linestyle=":", linewidth=1.2, marker="")
        ax.plot(table.index, table[metric], color=TRUTH, linestyle=LINESTYLES[k % 4], linewidth=1.2, marker="o",
                markerfacecolor="white", markeredgecolor=TRUTH, markersize=7, markevery=1)
        ax.plot([1], [model[metric]], linestyle="", marker="D", color=PALETTE[0], markersize=6, markevery=1, zorder=5)
        ax.set_title(title, fontsize=10)
        ax.set_xticks(list(table.index))
        ax.set_ylim(-6, 106)
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        ax.set_xlabel("dose")
    axes[0].set_ylabel("score (per cent)")
    return figure


def shares(table: pd.DataFrame, overall: float, xlabel: str) -> Figure:
    """Shares with intervals, one row each; columns name, value, low, high, n. Dotted: one half; dashed: the overall."""
    rows = np.arange(len(table))[::-1]
    figure, ax = plt.subplots(figsize=(6.4, 0.36 * len(table) + 1.3))
    error = np.clip([table["value"] - table["low"], table["high"] - table["value"]], 0, None)
    ax.axvline(0.5, color=GREY, linestyle=":", linewidth=1.4, marker="")
    ax.axvline(overall, color=PALETTE[1], linestyle="--", linewidth=1.2, marker="")
    ax.errorbar(table["value"], rows, xerr=error, linestyle="", marker="o", color=PALETTE[0], capsize=3, markersize=5,
                markevery=1)
    ax.annotate("no preference", (0.5, len(table) - 0.45), xytext=(4, 0), textcoords="offset points", fontsize=9,
                color=GREY)
    ax.annotate("all pairs", (overall, len(table) - 0.45), xytext=(4, 0), textcoords="offset points", fontsize=9,
                color=PALETTE[1])
    ax.set_yticks(rows, [f"{name} ({n})" for name, n in zip(table["name"], table["n"], strict=True)])
    ax.set_ylim(-0.6, len(table) + 0.1)
    ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
    ax.set_xlabel(xlabel)
    ax.grid(axis="y", visible=False)
    return figure


def effect_sizes(table: pd.DataFrame, templates: dict[str, Sequence[float]]) -> Figure:
    """WEAT effect sizes, one row per test; columns test, published, d, low, high, random (list per row) and,
    where the tests should have other names, label.

    templates: per test the effect sizes with the words in other sentences, drawn as ticks.
    """
    rows = np.arange(len(table))[::-1]
    figure, ax = plt.subplots(figsize=(7.6, 0.46 * len(table) + 1.5))
    ax.axvline(0, color=GREY, linestyle=":", linewidth=1.4, marker="")
    error = np.clip([table["d"] - table["low"], table["high"] - table["d"]], 0, None)
    ax.errorbar(table["d"], rows + 0.1, xerr=error, linestyle="", marker="D", color=PALETTE[0], capsize=3, markersize=5,
                markevery=1, label="MiniLM, words alone, 95 % interval")
    for row, test in zip(rows, table["test"], strict=True):
        ax.plot(templates[test], np.full(len(templates[test]), row - 0.2), linestyle="", marker="|", markersize=8,
                color=PALETTE[0], markevery=1, label="MiniLM, in six settings" if row == rows[0] else None)
    for row, values in zip(rows, table["random"], strict=True):
        ax.plot(values, np.full(len(values), row - 0.36), linestyle="", marker="x", markersize=5, color=PALETTE[1],
                markevery=1, label="random weights" if row == rows[0] else None)
    ax.plot(table["published"], rows + 0.1, linestyle="", marker="s", markersize=6, markerfacecolor="none",
            markeredgecolor=TRUTH, markevery=1, label="GloVe, as published")
    ax.set_yticks(rows, table.get("label", table["test"]))
    ax.set_xlim(-2, 2)
    ax.set_ylim(-0.7, len(table) - 0.4)
    ax.set_xlabel("effect size d")
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)
    return figure
