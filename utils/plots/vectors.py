"""Figures of notebook 01: whose names are cut into pieces, and where vectors put words with two senses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils.plots import GREY, LINESTYLES, MARKERS, PALETTE, direct_label, interval_band
from utils.stats import Estimate

CHANCE = 0.5


def names_by_rarity(sizes: Sequence[int], panels: Mapping[str, Mapping[str, Sequence[Estimate]]]) -> Figure:
    """Share of names that are cut, over the size of the vocabulary: {panel title: {group of names: one per size}}."""
    figure, axes = plt.subplots(1, len(panels), figsize=(7.2, 3.3), sharey=True)
    for ax, (title, groups) in zip(np.atleast_1d(axes), panels.items(), strict=True):
        for place, (group, shares) in enumerate(groups.items()):
            value, low, high = (np.array(column) for column in zip(*shares, strict=True))
            interval_band(ax, sizes, low, high, color=PALETTE[place])
            ax.plot(sizes, value, color=PALETTE[place], linestyle=LINESTYLES[place], marker=MARKERS[place],
                    markevery=1, label=group)
        ax.set_title(title)
        ax.set_xlabel("entries in the vocabulary")
        ax.set_ylim(-0.03, 1.03)
    axes = np.atleast_1d(axes)
    axes[0].set_ylabel("share of names cut into pieces")
    axes[0].legend(loc="lower left")
    return figure


def names_by_origin(table: pd.DataFrame) -> Figure:
    """Two panels over origins: share of names cut, and pieces per name, each with its interval.

    table: index origin; columns cut, pieces (each an Estimate) and letters (mean letters per name).
    """
    table = table.assign(order=[each.value for each in table["pieces"]]).sort_values("order", ascending=False)
    rows = np.arange(len(table))
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 0.27 * len(table) + 1.2), sharey=True)
    for ax, column, color, marker in ((left, "cut", PALETTE[0], "o"), (right, "pieces", PALETTE[1], "s")):
        value, low, high = (np.array(part) for part in zip(*table[column], strict=True))
        ax.hlines(rows, low, high, color=color, linewidth=1.6)
        ax.plot(value, rows, linestyle="", marker=marker, color=color, markevery=1)
        ax.grid(axis="y", visible=False)
    left.set_yticks(rows, [f"{name}, {count:.1f} letters" for name, count in table["letters"].items()])
    left.set_xlim(-0.03, 1.03)
    left.set_xlabel("share of names cut into pieces")
    right.set_xlim(0.8, None)
    right.set_xlabel("pieces per name")
    return figure


def between_senses(rows: Sequence[tuple[str, tuple[str, str], float, Sequence[float], Sequence[float]]]) -> Figure:
    """Where words stand on the line between the two topics of a two-sense word, one row for each such word.

    rows: (word, (first topic, second topic), its position, positions of words of the first topic, of the second).
    """
    figure, ax = plt.subplots(figsize=(7.0, 0.62 * len(rows) + 1.3))
    for row, (word, (first, second), position, firsts, seconds) in enumerate(reversed(rows)):
        for place, (values, side) in enumerate(((firsts, first), (seconds, second))):
            ax.plot(values, [row] * len(values), linestyle="", marker=MARKERS[place], markevery=1, markersize=5,
                    color=PALETTE[place], alpha=0.8,
                    label=("only the sense on the right", "only the sense on the left")[place] if row == 0 else None)
            ax.annotate(side, (1 if place == 0 else 0, row), xycoords=("axes fraction", "data"), fontsize=9,
                        xytext=(6 if place == 0 else -6, 0), textcoords="offset points", va="center",
                        ha="left" if place == 0 else "right", color=PALETTE[place], annotation_clip=False)
        ax.plot([position], [row], marker="D", markersize=9, color="black", linestyle="", markevery=1,
                label="has both senses" if row == 0 else None)
        direct_label(ax, position, row, word, dx=-8, dy=12)
    ax.axvline(0, color=GREY, linewidth=1, linestyle=":")
    ax.set_yticks([])
    ax.set_ylim(-0.5, len(rows) - 0.3)
    ax.set_xlabel("position between the two topics (−1 and +1: the means of the words with one sense)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=3)
    return figure


def sense_scores(readers: Mapping[str, tuple[Estimate, Estimate]], best: tuple[float, float]) -> Figure:
    """Share of triples right by reader: {name: (where the sentences settle the sense, where they leave it open)}.

    best: the perfect reader's two shares.
    """
    rows = np.arange(len(readers))[::-1]
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 0.36 * len(readers) + 1.3), sharey=True)
    titles = ("the sentences settle the sense", "the sentences leave it open")
    for place, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        value, low, high = (np.array(part) for part in zip(*(each[place] for each in readers.values()), strict=True))
        ax.hlines(rows, low, high, color=PALETTE[0], linewidth=1.6)
        ax.plot(value, rows, linestyle="", marker="D", color=PALETTE[0], markevery=1)
        ax.axvline(best[place], color="black", linestyle=(0, (4, 3)), linewidth=1.4)
        chance(ax, vertical=True)
        ax.set_title(title)
        ax.set_xlim(0.38, 1.02)
        ax.set_xlabel("share of triples right")
        ax.grid(axis="y", visible=False)
    axes[0].set_yticks(rows, list(readers))
    axes[0].annotate("best possible", (best[0], 1), xycoords=("data", "axes fraction"), xytext=(-4, -3),
                     textcoords="offset points", ha="right", va="top", fontsize=9)
    axes[1].annotate("best possible", (best[1], 1), xycoords=("data", "axes fraction"), xytext=(5, -3),
                     textcoords="offset points", ha="left", va="top", fontsize=9)
    return figure


def chance(ax: Axes, *, vertical: bool = False) -> None:
    """The score of a coin, as a dotted grey line."""
    draw = ax.axvline if vertical else ax.axhline
    draw(CHANCE, color=GREY, linewidth=1.1, linestyle=":", marker="")


def senses_by_layer(
    curves: Mapping[str, Sequence[Estimate]], points: np.ndarray, senses: Sequence[str], word: str
) -> Figure:
    """Left: score at each layer with its interval. Right: one word's vectors in the plane of their largest variance.

    curves: {name: one Estimate for each layer}; points: (sentences, 2); senses: one for each point.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.5), width_ratios=(1.25, 1))
    for place, (name, scores) in enumerate(curves.items()):
        value, low, high = (np.array(part) for part in zip(*scores, strict=True))
        layers = np.arange(len(value))
        interval_band(left, layers, low, high, color=PALETTE[place])
        left.plot(layers, value, color=PALETTE[place], linestyle=LINESTYLES[place], marker=MARKERS[place],
                  markevery=1, label=name)
    chance(left)
    left.set(xlabel="layer (0: the embeddings)", ylabel="share of triples right", ylim=(0.35, 1.03))
    left.legend(loc="upper left", bbox_to_anchor=(0.0, 0.98))
    for place, sense in enumerate(dict.fromkeys(senses)):
        at = [i for i, each in enumerate(senses) if each == sense]
        right.plot(points[at, 0], points[at, 1], linestyle="", marker=MARKERS[place], markevery=1, markersize=7,
                   color=PALETTE[place], markerfacecolor=PALETTE[place] if place == 0 else "none", label=sense)
    right.set_title(word)
    right.set(xlabel="first component", ylabel="second component", xticks=[], yticks=[])
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1))
    return figure
