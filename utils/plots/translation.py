"""Figures of notebook 07: where a translator looks, which pronoun it chooses, and what a model says of communities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from utils.plots import MARKERS, PALETTE, TRUTH, direct_label, model_by_row, truth_marker

DASHED = {"color": TRUTH, "linestyle": (0, (4, 3)), "linewidth": 1.4, "marker": ""}


def attention(weights: np.ndarray, source: Sequence[str], target: Sequence[str]) -> Figure:
    """Cross-attention (target words, source words): each row, a word about to be written, sums to 1."""
    figure, ax = plt.subplots(figsize=(0.72 * len(source) + 1.9, 0.36 * len(target) + 1.2))
    picture = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row in range(len(target)):
        for column in range(len(source)):
            share = weights[row, column]
            if share >= 0.1:
                ax.text(column, row, f"{share:.1f}".lstrip("0"), ha="center", va="center", fontsize=9,
                        color="white" if share > 0.55 else "black")
    ax.set_xticks(range(len(source)), source, rotation=35, ha="right")
    ax.set_yticks(range(len(target)), target)
    ax.set_xlabel("word of the source, looked at")
    ax.set_ylabel("word written next")
    ax.grid(visible=False)
    figure.colorbar(picture, ax=ax, label="share of attention", fraction=0.06)
    return figure


def pronouns(true: np.ndarray, model: np.ndarray, sampled: np.ndarray, occupations: Sequence[str],
             labelled: Sequence[str]) -> Figure:
    """P(she) by occupation against the truth: the model's probability and its samples (left), its best word (right)."""
    figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.9), sharex=True, sharey=True)
    chosen = (model > 0.5).astype(float)
    axes[0].plot(true, sampled, linestyle="", marker=MARKERS[2], markersize=5, color=PALETTE[2], markevery=1,
                 label="share of she in 40 samples")
    axes[0].plot(true, model, linestyle="", marker=MARKERS[0], markersize=5, color=PALETTE[0], markevery=1,
                 label="probability of she")
    axes[1].plot(true, chosen, linestyle="", marker=MARKERS[1], markersize=5, color=PALETTE[1], markevery=1)
    for name in labelled:
        k = list(occupations).index(name)
        axes[1].annotate(name, (true[k], chosen[k]), xytext=(0, -26 if chosen[k] else 26), fontsize=9, va="center",
                         textcoords="offset points", ha="left" if true[k] < 0.2 else "center",
                         bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
                         arrowprops={"arrowstyle": "-", "linewidth": 0.6, "color": "0.4"})
    for ax, title in zip(axes, ("what the model believes", "what the reader sees"), strict=True):
        ax.plot([0, 1], [0, 1], **DASHED)
        ax.set_title(title)
        ax.set(xlim=(-0.03, 1.03), ylim=(-0.06, 1.06))
        ax.set_xlabel("true share of women in the occupation")
    axes[0].set_ylabel("she (1: always)")
    axes[0].legend(loc="upper left", fontsize=8.5)
    direct_label(axes[1], 0.52, 0.45, "dashed: as in truth", dx=6, dy=-6)
    return figure


def remedy(table: pd.DataFrame) -> Figure:
    """Whose pronoun is shown, if both are where the rarer one is likely enough.

    Columns: threshold, one a curve, and exact: the last curve if the exact probabilities took the model's place.
    """
    figure, ax = plt.subplots(figsize=(6.8, 3.6))
    for k, name in enumerate(column for column in table if column not in ("threshold", "exact")):
        ax.step(table["threshold"], table[name], where="post", marker=MARKERS[k], markersize=4, color=PALETTE[k],
                linestyle=("-", "--", "-.")[k], markevery=4, label=name)
    truth_marker(ax, table["threshold"][::2], table["exact"][::2], "the last, if the model were exact")
    ax.axhline(1, **DASHED)
    ax.annotate("the source decides: everybody's is shown", (0.5, 1), xytext=(0, 4), textcoords="offset points",
                ha="right", fontsize=9)
    ax.set(xlim=(-0.01, 0.51), ylim=(-0.05, 1.15))
    ax.set_xlabel("both are shown where the rarer pronoun has at least this probability")
    ax.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.0f} %")
    ax.set_ylabel("people whose pronoun is shown")
    ax.legend(loc="lower left", bbox_to_anchor=(0.32, 0.14))
    return figure


def talk(table: pd.DataFrame) -> Figure:
    """Probability of a good word, by what the story tells. Columns told, exact, model, low, high."""
    figure, ax, rows = model_by_row(table, "told", (7.0, 0.42 * len(table) + 1.2))
    truth_marker(ax, table["exact"], rows, "exact")
    ax.set_xlim(-0.03, 1.03)
    ax.set_xlabel("probability of a good word about the person")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return figure


def temperature(table: pd.DataFrame, exact: dict[str, float]) -> Figure:
    """Share of good words by temperature; columns temperature, community, share, low, high. Dashed: the formula."""
    figure, ax = plt.subplots(figsize=(6.4, 3.6))
    grid = np.linspace(0.2, 2.05, 100)
    for k, (community, rows) in enumerate(table.groupby("community", sort=False)):
        logit = np.log(exact[community] / (1 - exact[community]))
        ax.plot(grid, 1 / (1 + np.exp(-logit / grid)), **DASHED)
        reach = [rows["share"] - rows["low"], rows["high"] - rows["share"]]
        ax.errorbar(rows["temperature"], rows["share"], yerr=reach, linestyle="", marker=MARKERS[k], markersize=6,
                    color=PALETTE[k], capsize=3, markevery=1, label=community)
    ax.axvline(1, color="0.6", linewidth=1, linestyle=":", marker="")
    ax.set(ylim=(-0.03, 1.03))
    ax.set_xlabel("temperature T")
    ax.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.0f} %")
    ax.set_ylabel("good words")
    ax.legend(title="the story is set among the", loc="center left")
    return figure


def doses(runs: pd.DataFrame, exact: Mapping[float, float]) -> Figure:
    """Mean amplification by dose, a dot per seed; columns dose, seed, amplified_probability, amplified_word.

    exact: by dose, the amplification of the most likely word of the exact probabilities.
    """
    figure, ax = plt.subplots(figsize=(6.4, 3.3))
    for k, (column, label) in enumerate((("amplified_word", "most likely word"),
                                         ("amplified_probability", "probabilities"))):
        ax.plot(runs["dose"] + (0.02 if k else -0.02), runs[column], linestyle="", marker=MARKERS[1 - k], markersize=6,
                color=PALETTE[1 - k], markevery=1, label=label)
    truth_marker(ax, list(exact), list(exact.values()), "most likely word, exact probabilities")
    ax.axhline(0, **DASHED)
    ax.annotate("as in truth", (1, 0), xycoords=("axes fraction", "data"), xytext=(-2, 4), textcoords="offset points",
                ha="right", fontsize=9)
    ax.set_xlabel("pronoun dose of the parallel text (1: as in the statistics)")
    ax.set_ylabel("mean amplification")
    ax.legend(loc="upper right")
    return figure
