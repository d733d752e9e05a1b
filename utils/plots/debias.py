"""Figures of notebook 10: what is left of a bias, what its removal costs, and what a probe can still read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plots import GREY, LINESTYLES, MARKERS, PALETTE, TRUTH

Point = tuple[float, float, float]  # value, low, high


# Where a label stands from its point, in points, so that none covers another.
OFFSETS = {
    "untouched": (8, -7), "dropout": (8, 7), "control": (-8, 6), "Self-Debias": (-8, 6), "random directions": (8, 6),
    "biased world": (9, -8), "CDA, pronouns only": (8, 8), "SentenceDebias": (8, -7), "CDA, her always his": (-8, 8),
    "CDA": (8, -8), "INLP": (8, 8),
}  # fmt: skip


def bias_against_distance(rows: pd.DataFrame, truths: pd.DataFrame) -> Figure:
    """Distance to the fair world against the slope of the bias, a point per method with t intervals both ways.

    rows: index method; columns slope, slope_low, slope_high, gap, gap_low, gap_high. truths: index name; columns
    slope, gap, for readers that know the exact answers, drawn hollow.
    """
    figure, ax = plt.subplots(figsize=(7.4, 4.6))
    ax.axvline(0, color=GREY, linestyle=":", linewidth=1.2, marker="")
    for k, (name, row) in enumerate(rows.iterrows()):
        error = [[[row[c] - row[f"{c}_low"]], [row[f"{c}_high"] - row[c]]] for c in ("slope", "gap")]
        colour = PALETTE[k % len(PALETTE)]
        marker = MARKERS[(k + k // len(PALETTE)) % len(MARKERS)]  # no two methods share colour and marker
        ax.errorbar(row["slope"], row["gap"], xerr=error[0], yerr=error[1], linestyle="", color=colour, marker=marker,
                    markersize=6, capsize=2, elinewidth=1, markevery=1)
        _label(ax, name, row["slope"], row["gap"], colour, OFFSETS.get(str(name), (7, 5)))
    for name, row in truths.iterrows():
        ax.plot(row["slope"], row["gap"], linestyle="", marker="o", markersize=9, markerfacecolor="none",
                markeredgecolor=TRUTH, markeredgewidth=1.4, markevery=1, zorder=4)
        _label(ax, name, row["slope"], row["gap"], TRUTH, OFFSETS.get(str(name), (9, 5)))
    ax.set_xlabel("bias left: slope of the log-probability bias (1: as planted, 0: none)")
    ax.set_ylabel("distance to the fair world (share of the biased world's)")
    ax.set_ylim(bottom=-0.1)
    left, right = ax.get_xlim()
    ax.set_xlim(left, right + 0.22 * (right - left))  # room for labels
    return figure


def _label(ax: Axes, name: object, x: float, y: float, colour: str, offset: tuple[float, float]) -> None:
    side = "left" if offset[0] >= 0 else "right"
    ax.annotate(str(name), (x, y), xytext=offset, textcoords="offset points", fontsize=9, color=colour, ha=side,
                va="center", zorder=6)


def rounds(table: pd.DataFrame, chance: float) -> Figure:
    """INLP round by round: what two probes read (left), what is left of the bias (middle), what it costs (right).

    table: index directions removed; columns linear, kernel (accuracies), slope, open, told, other (nats, distance to
    the fair world by kind of question). chance: the share of the larger class.
    """
    figure, axes = plt.subplots(1, 3, figsize=(9.0, 3.2))
    panels = ((("linear", "kernel"), "accuracy of a probe", "gender, from new sentences"),
              (("slope",), "slope", "bias left"),
              (("told", "open", "other"), "distance (nats)", "to the fair world"))
    names = {"kernel": "kernel", "linear": "linear", "told": "pronoun is told", "open": "pronoun is open",
             "other": "other words"}
    place = np.arange(len(table))
    for ax, (columns, ylabel, title) in zip(axes, panels, strict=True):
        for k, column in enumerate(columns):
            ax.plot(place, table[column], color=PALETTE[k], linestyle=LINESTYLES[k], marker=MARKERS[k], markevery=1,
                    label=names.get(column))
        ax.set_xticks(place, [str(count) for count in table.index])
        ax.set_xlabel("directions removed")
        ax.set_ylabel(ylabel)
        ax.set_title(title, fontsize=10)
    axes[0].axhline(chance, color=GREY, linestyle=":", linewidth=1.2, marker="")
    axes[0].annotate("larger class", (0, chance), xytext=(0, -4), textcoords="offset points", va="top", fontsize=9,
                     color=GREY)
    axes[0].set_ylim(0.42, 1.04)
    axes[1].axhline(0, color=TRUTH, linestyle=(0, (4, 3)), linewidth=1.4, marker="")
    axes[1].annotate("fair world", (len(table) - 1, 0), xytext=(0, 4), textcoords="offset points", ha="right",
                     fontsize=9, color=TRUTH)
    axes[0].legend(loc="center left", bbox_to_anchor=(0.0, 0.62))
    axes[2].legend(loc="upper left")
    return figure


def read_off(rows: Mapping[str, Mapping[str, Point]], panels: Mapping[str, tuple[str, float]]) -> Figure:
    """Accuracies with intervals, a row per method and a panel per question, linear (filled) and kernel (hollow).

    rows: {method: {"linear PANEL": (value, low, high), "kernel PANEL": …}}. panels: {name: (title, chance)}. Ends of
    intervals beyond 0 and 1 are cut.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(4.4 * len(panels), 0.34 * len(rows) + 1.5), sharey=True)
    heights = np.arange(len(rows))[::-1]
    for ax, (panel, (title, chance)) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        ax.axvline(chance, color=GREY, linestyle=":", linewidth=1.2, marker="")
        for shift, (kind, k) in zip((0.14, -0.14), (("linear", 0), ("kernel", 1)), strict=True):
            points = np.clip([own[f"{kind} {panel}"] for own in rows.values()], 0.0, 1.0)
            error = np.clip([points[:, 0] - points[:, 1], points[:, 2] - points[:, 0]], 0, None)
            ax.errorbar(points[:, 0], heights + shift, xerr=error, linestyle="", color=PALETTE[k], marker=MARKERS[k],
                        markerfacecolor=PALETTE[k] if k == 0 else "white", markersize=5, capsize=2, elinewidth=1,
                        markevery=1, label=f"{kind} probe")
        ax.set_yticks(heights, list(rows))
        ax.set_xlim(-0.03 if chance < 0.4 else min(0.25, chance - 0.2), 1.04)
        ax.set_xlabel("accuracy")
        ax.set_title(title, fontsize=10)
        ax.grid(axis="y", visible=False)
    figure.legend(*np.atleast_1d(axes)[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def published(table: pd.DataFrame, categories: Sequence[str], counts: Mapping[str, int]) -> Figure:
    """Published CrowS-Pairs scores of bias-bench with Wilson intervals, a panel per category and a row per method.

    table: columns method, category, value, low, high (per cent). counts: pairs per category.
    """
    methods = list(dict.fromkeys(table["method"]))
    figure, axes = plt.subplots(1, len(categories), figsize=(8.6, 0.4 * len(methods) + 1.5), sharey=True)
    heights = np.arange(len(methods))[::-1]
    for ax, category in zip(axes, categories, strict=True):
        own = table[table["category"] == category].set_index("method").loc[methods]
        ax.axvline(50, color=GREY, linestyle=":", linewidth=1.4, marker="")
        ax.errorbar(own["value"], heights, xerr=[own["value"] - own["low"], own["high"] - own["value"]], linestyle="",
                    marker="s", color=PALETTE[0], capsize=3, markersize=5, markevery=1)
        ax.set_yticks(heights, methods)
        ax.set_xlim(40, 76)
        ax.set_ylim(-0.5, len(methods) - 0.5)
        ax.set_title(f"{category}, {counts[category]} pairs", fontsize=10)
        ax.set_xlabel("score (per cent)")
        ax.grid(axis="y", visible=False)
    return figure
