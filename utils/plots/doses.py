"""Figures of notebook 09: metrics against the dose, choices against shares, learning by step, causes of a bias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from utils.plots import GREY, LINESTYLES, MARKERS, PALETTE, TRUTH, truth_marker

TRUTH_LINE = {"color": TRUTH, "linestyle": (0, (4, 3)), "linewidth": 1.2, "marker": ""}


def responses(models: pd.DataFrame, oracle: pd.DataFrame, bands: Mapping[str, tuple[float, float]],
              names: Mapping[str, str], columns: int = 4) -> Figure:
    """Every metric against the dose, a panel each.

    models: columns dose, seed and the metrics; oracle: index dose, the metrics (nan: not defined); bands: prediction
    interval at dose 0; names: {metric: title}, in the order of the panels.
    """
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.25 * columns, 1.9 * rows + 0.5), sharex=True, squeeze=False)
    for ax, (metric, title) in zip(axes.flat, names.items(), strict=False):
        ax.axhspan(*bands[metric], color=GREY, alpha=0.25, linewidth=0)
        if oracle[metric].notna().all():
            ax.plot(oracle.index, oracle[metric], **TRUTH_LINE)
            truth_marker(ax, oracle.index, oracle[metric], "oracle")
            ax.lines[-1].set_markersize(5)
        mean = models.groupby("dose")[metric].mean()
        ax.plot(mean.index, mean, color=PALETTE[0], linestyle="-", linewidth=1.2, marker="")
        ax.plot(models["dose"], models[metric], linestyle="", marker="D", markersize=3, color=PALETTE[0], markevery=1,
                alpha=0.8)
        drawn = np.concatenate([models[metric].dropna(), oracle[metric].dropna()])
        margin = 0.08 * (np.ptp(drawn) or 1.0)
        ax.set_ylim(drawn.min() - margin, drawn.max() + margin)  # the band may reach further
        ax.set_title(title, fontsize=9)
        ax.tick_params(labelsize=8)
    for ax in axes.flat[len(names):]:
        ax.set_visible(False)
    for number, ax in enumerate(axes.flat[: len(names)]):
        ax.set_xticks([-1, 0, 1, 2])
        if number + columns >= len(names):  # the lowest of its column
            ax.set_xlabel("dose", fontsize=9)
            ax.tick_params(labelbottom=True)
    figure.supylabel("score, in the metric's own unit", fontsize=10)
    return figure


def choices(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """What a model says and what it picks against the planted share, a panel per model; columns planted, said, picked.
    """
    figure, axes = plt.subplots(1, len(tables), figsize=(2.5 * len(tables), 2.9), sharey=True, squeeze=False)
    for ax, (name, table) in zip(axes[0], tables.items(), strict=True):
        ax.plot([0, 1], [0, 1], **TRUTH_LINE)
        ax.plot(table["planted"], table["said"], linestyle="", marker=MARKERS[0], markersize=5, color=PALETTE[0],
                markevery=1, label="said: mean P(she)")
        ax.plot(table["planted"], table["picked"], linestyle="", marker="x", markersize=6, color=PALETTE[1],
                markevery=1, label="picked: she is likelier")
        ax.set_title(name, fontsize=10)
        ax.set_xlabel("planted share of she")
        ax.set_xlim(-0.04, 1.04)
        ax.set_ylim(-0.06, 1.06)
    axes[0][0].set_ylabel("share of she")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def learning(panels: Mapping[str, Mapping[float, np.ndarray]], steps: Sequence[int],
             loss: tuple[Sequence[float], Sequence[float], float]) -> Figure:
    """Slopes by step, a panel per bias and a line per dose (mean over seeds, with every seed's line behind it); loss.

    panels: {title: {dose: (seeds, steps)}}; loss: (steps, loss of the masked words, its floor), nats.
    """
    figure, axes = plt.subplots(1, len(panels) + 1, figsize=(3.1 * (len(panels) + 1), 3.2))
    for ax, (title, lines) in zip(axes, panels.items(), strict=False):
        for k, (dose, paths) in enumerate(lines.items()):
            colour, style = (*PALETTE, GREY)[k % 6], LINESTYLES[k % len(LINESTYLES)]
            for path in paths:
                ax.plot(steps, path, color=colour, linewidth=0.6, alpha=0.5, marker="")
            ax.plot(steps, np.mean(paths, axis=0), color=colour, linestyle=style, linewidth=1.6,
                    marker=(*MARKERS, "P")[k % 6], markersize=4, markevery=2, label=f"{dose:g}")
        ax.set_title(title, fontsize=10)
        ax.legend(title="dose", fontsize=8, title_fontsize=8, loc="upper left")
        ax.set_ylabel("slope (1: as planted at dose 1)")
    at, values, floor = loss
    axes[-1].plot(at, values, color=PALETTE[0], linestyle="-", linewidth=1.0, marker="")
    axes[-1].axhline(floor, **TRUTH_LINE)
    axes[-1].annotate("no model can go below this", (max(at), floor), xytext=(0, -3), textcoords="offset points",
                      ha="right", va="top", fontsize=8)
    axes[-1].set_ylim(bottom=0)
    axes[-1].set_title("loss, pronoun dose 1", fontsize=10)
    axes[-1].set_ylabel("masked words (nats)")
    for ax in axes:
        ax.set_xlabel("step")
        ax.set_xlim(0, 1.03 * max(max(steps), max(at)))
    limits = [ax.get_ylim() for ax in axes[:-1]]
    for ax in axes[:-1]:
        ax.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    return figure


def causes(known: Sequence[float], estimate: Sequence[float], groups: pd.DataFrame) -> Figure:
    """The estimated influence of stories against their score: every story (left), means of groups (right).

    groups: index (occupation, gender), columns score, estimate, error (standard error of the mean estimate).
    """
    figure, axes = plt.subplots(1, 2, figsize=(7.8, 3.3))
    axes[0].plot(known, estimate, linestyle="", marker=".", markersize=3, color=PALETTE[0], alpha=0.5, markevery=1)
    axes[0].set_title("every story", fontsize=10)
    for k, (gender, own) in enumerate(groups.groupby(level="gender")):
        axes[1].errorbar(own["score"], own["estimate"], yerr=1.96 * own["error"], linestyle="", marker=MARKERS[k],
                         markersize=5, color=PALETTE[k], capsize=2, elinewidth=0.8, markevery=1, label=gender)
    axes[1].set_title("mean of an occupation and gender", fontsize=10)
    axes[1].legend(loc="lower right")
    for ax in axes:
        ax.set_yscale("symlog", linthresh=10)
        ax.axhline(0, color=GREY, linestyle=":", linewidth=1.0, marker="")
        ax.axvline(0, color=GREY, linestyle=":", linewidth=1.0, marker="")
        ax.set_xlabel("known: score (nats per dose)")
    axes[0].set_ylabel("estimated influence (linear to 10, then log)")
    return figure


def retrained(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Models that never read some of the stories against the text that was left, a panel per list of stories.

    panels: {title: table}; index occupation, columns text (log-odds of women counted in the text that was left) and
    model (what the model says), both less their mean over the occupations, nats; touched (True: to be named).
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(2.0 * len(panels), 2.7), sharex=True, sharey=True,
                                squeeze=False)
    drawn = pd.concat(list(panels.values()))[["text", "model"]].to_numpy()
    ends = [drawn.min() - 0.3, drawn.max() + 0.3]
    for ax, (title, table) in zip(axes[0], panels.items(), strict=True):
        ax.plot(ends, ends, **TRUTH_LINE)
        for k in (0, 1):
            own = table[table["touched"] == bool(k)]
            label = ", ".join(own.index) if k else "other occupations"
            ax.plot(own["text"], own["model"], linestyle="", marker=MARKERS[k], markersize=5, color=PALETTE[k],
                    markevery=1, label=label)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("text (nats)")
    axes[0][0].set_ylabel("model (nats)")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure
