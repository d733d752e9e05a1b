"""Figures of notebook 13: marks of attributions, the path of integrated gradients, randomised weights, edits."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from utils.plots import GREY, LINESTYLES, MARKERS, PALETTE, truth_line


def exam(panels: dict[str, tuple[pd.DataFrame, float]], label: str = "share of the deciding words named") -> Figure:
    """One panel per exam: title -> (table with columns method, value, low, high; what a random order gets)."""
    figure, axes = plt.subplots(1, len(panels), figsize=(2.3 * len(panels) + 1.7, 3.4), sharey=True, squeeze=False)
    for ax, (title, (table, chance)) in zip(axes[0], panels.items(), strict=True):
        rows = np.arange(len(table))[::-1]
        ends = np.maximum([table["value"] - table["low"], table["high"] - table["value"]], 0)
        ax.errorbar(table["value"], rows, xerr=ends, linestyle="", marker="D", markersize=4.5, color=PALETTE[0],
                    capsize=3, markevery=1)  # fmt: skip
        truth_line(ax, chance, "chance", vertical=True)
        ax.set_title(title, fontsize=10)
        ax.set_yticks(rows, table["method"])
        ax.set_ylim(-0.6, len(table) - 0.1)
        ax.set_xlim(-0.03, 1.05)
        ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
        ax.grid(axis="y", visible=False)
    figure.supxlabel(label, fontsize=10)
    return figure


def path(alpha: np.ndarray, value: np.ndarray, slope: np.ndarray, unit: str = "log-odds (nats)") -> Figure:
    """F along the straight line from the blank text to the text, and its slope there; the tangent at the end."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.9))
    left.plot(alpha, value, color=PALETTE[0], marker="")
    left.plot([0, 1], [value[-1] - slope[-1], value[-1]], color=PALETTE[1], linestyle="--", marker="",
              label="straight on with\nthe slope at the end")  # fmt: skip
    left.set_ylabel(f"F, {unit}")
    right.plot(alpha, slope, color=PALETTE[0], marker="")
    right.fill_between(alpha, slope, 0, color=PALETTE[2], alpha=0.4, linewidth=0, label="area:\nF(text) − F(blank)")
    right.set_ylabel("slope of F along the way (nats)")
    for ax in (left, right):
        ax.set_xlabel("share of the way from the blank text, α")
        ax.legend(loc="upper left", bbox_to_anchor=(0.0, 0.85), fontsize=8)
    return figure


def cascade(table: pd.DataFrame, label: str) -> Figure:
    """How like the first attribution stays while weights are drawn anew: rows the stages in order, columns at most six
    methods."""
    figure, ax = plt.subplots(figsize=(7.2, 3.5))
    x = np.arange(len(table))
    for k, name in enumerate(table.columns):
        colour, line, marker = ((*PALETTE, GREY)[k], (*LINESTYLES, (0, (1, 1)))[k], (*MARKERS, "P")[k])
        ax.plot(x, table[name], color=colour, linestyle=line, marker=marker, markevery=1, label=name)
    ax.axhline(0, color=GREY, linewidth=0.8, marker="")
    ax.set_xticks(x, table.index)
    ax.set_xlabel("drawn anew, from the answer down")
    ax.set_ylabel(label)
    ax.set_ylim(min(-0.15, float(table.min().min()) - 0.05), 1.08)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def against(table: pd.DataFrame, x: str, y: str, xlabel: str, ylabel: str) -> Figure:
    """Methods as points, one column against another, with their names (the index) to the right of them."""
    figure, ax = plt.subplots(figsize=(7.0, 3.6))
    ax.plot(table[x], table[y], linestyle="", marker="o", color=PALETTE[0], markevery=1)
    right, apart = table[x].max() + 0.06 * np.ptp(table[x]), 0.075 * np.ptp(table[y])
    height = -np.inf
    for name, row in table.sort_values(y).iterrows():
        height = max(height + apart, row[y])
        ax.annotate(name, (row[x], row[y]), xytext=(right, height), fontsize=8, va="center",
                    arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0})  # fmt: skip
    ax.set_xlim(table[x].min() - 0.06 * np.ptp(table[x]), right + 0.33 * np.ptp(table[x]))
    ax.set_xticks([tick for tick in ax.get_xticks() if tick <= table[x].max() + 1e-9])
    ax.set_ylim(table[y].min() - 0.08 * np.ptp(table[y]), max(height, table[y].max()) + 0.06 * np.ptp(table[y]))
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    return figure


def grid(table: pd.DataFrame, label: str, limits: tuple[float, float] = (-1.0, 1.0)) -> Figure:
    """A table of numbers between two limits, written and coloured."""
    values = table.to_numpy(dtype=float)
    figure, ax = plt.subplots(figsize=(0.62 * values.shape[1] + 2.8, 0.4 * len(table) + 1.6))
    colours = "PuOr_r" if limits[0] < 0 else "Blues"
    image = ax.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        strong = abs(value) > 0.65 * limits[1]
        ax.text(column, row, f"{value:.2f}".replace("-0.00", "0.00"), ha="center", va="center", fontsize=8,
                color="white" if strong else "black")  # fmt: skip
    ax.set_xticks(range(values.shape[1]), table.columns, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(table)), table.index)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    figure.colorbar(image, ax=ax, label=label)
    return figure


def edits(said: dict[str, Sequence[float]], happened: dict[str, Sequence[float]], xlabel: str, ylabel: str) -> Figure:
    """What an attribution says of the words that were edited, against what the edit did; a colour per kind of edit."""
    figure, ax = plt.subplots(figsize=(6.0, 3.8))
    for k, kind in enumerate(said):
        ax.plot(said[kind], happened[kind], linestyle="", marker="os"[k], markersize=5, color=PALETTE[k], markevery=1,
                markerfacecolor=PALETTE[k] if k == 0 else "white", label=kind)  # fmt: skip
    ax.axhline(0, color=GREY, linewidth=0.8, marker="")
    ax.axvline(0, color=GREY, linewidth=0.8, marker="")
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.legend(loc="best")
    return figure
