"""Figures of notebook 05: few labels, learning rates, what is learned against what is forgotten, kinds of errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from utils import stats
from utils.plots import GREY, LINESTYLES, MARKERS, PALETTE, TRUTH

# Who is drawn how, the same in every figure: colour, line style and marker number k.
SERIES = {"pretrained": 0, "new top layer": 1, "random": 2, "word counts": 3, "frozen vectors": 4, "minilm-opinions": 0}


def few_labels(runs: pd.DataFrame, best: Mapping[str, float], chance: Mapping[str, float],
               live: Mapping[str, float] | None = None, live_at: tuple[str, int] = ("", 0)) -> Figure:
    """Accuracy against the number of labelled examples: mean and 95 % t interval over seeds, with every seed as a dot,
    a panel per task.

    runs: columns task, start (of `SERIES`), labelled, accuracy, one row per seed. best: what no reader can pass, where
    it is known. chance: the share of the most frequent label.
    live: accuracy per start of the runs made in the notebook, drawn as crosses at live_at = (task, labelled).
    """
    tasks, starts = list(dict.fromkeys(runs["task"])), list(dict.fromkeys(runs["start"]))
    figure, axes = plt.subplots(1, len(tasks), figsize=(4.1 * len(tasks), 3.7), squeeze=False)
    for ax, task in zip(axes[0], tasks, strict=True):
        for place, start in enumerate(starts):
            k = SERIES[start]
            own = runs[(runs["task"] == task) & (runs["start"] == start)].groupby("labelled")["accuracy"]
            if not len(own):
                continue
            points = pd.DataFrame([stats.t_interval(values) for _, values in own], index=list(own.groups))
            shift = 1.17 ** (place - (len(starts) - 1) / 2)
            ax.errorbar(points.index.to_numpy() * shift, points["value"],
                        [points["value"] - points["low"], points["high"] - points["value"]], color=PALETTE[k],
                        linestyle=LINESTYLES[k], marker=MARKERS[k], capsize=3, markevery=1, label=start)
            for labelled, values in own:
                ax.plot([labelled * shift * 1.07] * len(values), values, linestyle="", marker=".", markersize=5.5,
                        alpha=0.75, color=PALETTE[k], markeredgewidth=0, markevery=1)
            if live and start in live and task == live_at[0]:
                ax.plot(live_at[1] * 1.55, live[start], linestyle="", marker="x", markersize=8, markeredgewidth=2,
                        color=PALETTE[k], markevery=1)
        _level(ax, chance.get(task), "most\nfrequent\nlabel", GREY, ":")
        _level(ax, best.get(task), "best\npossible", TRUTH, (0, (4, 3)))
        ax.set_xscale("log")
        counts = sorted(runs.loc[runs["task"] == task, "labelled"].unique())
        ax.set_xticks(counts, [str(count) for count in counts])
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlim(counts[0] / 1.7, counts[-1] * 1.9)
        ax.xaxis.minorticks_off()
        ax.set_title(task, fontsize=10)
        ax.set_xlabel("labelled examples (log axis)")
    axes[0][0].set_ylabel("accuracy on fresh texts")
    shown = [part for ax in axes[0] for part in zip(*ax.get_legend_handles_labels(), strict=True)]
    labels, handles = zip(*{label: handle for handle, label in shown}.items(), strict=True)
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def rates(runs: pd.DataFrame, best: float, chance: float) -> Figure:
    """Accuracy against the peak learning rate, a mark per seed and a line through the means, with and without
    warm-up. runs: columns rate, warmup, accuracy."""
    figure, ax = plt.subplots(figsize=(6.4, 3.6))
    for k, (warmup, label) in enumerate([(0.1, "with warm-up"), (0.0, "without (moved aside)")]):
        own = runs[runs["warmup"] == warmup]
        shift = 1.12**k
        mean = own.groupby("rate")["accuracy"].mean()
        ax.plot(mean.index * shift, mean, color=PALETTE[k], linestyle=LINESTYLES[k], marker="", label=label)
        ax.plot(own["rate"] * shift, own["accuracy"], linestyle="", color=PALETTE[k], marker=MARKERS[k], alpha=0.7,
                markevery=1)
    _level(ax, chance, "most\nfrequent\nlabel", GREY, ":")
    _level(ax, best, "best\npossible", TRUTH, (0, (4, 3)))
    ax.set_xscale("log")
    ax.set(xlabel="peak learning rate (log axis)", ylabel="accuracy on fresh texts")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def learned_and_forgotten(table: pd.DataFrame, best: float, chance: float) -> Figure:
    """A mark per method: what it forgot (nats) and how often it is right, with 95 % t intervals over seeds.

    table: columns method, seed, forgotten, accuracy.
    """
    figure, ax = plt.subplots(figsize=(6.6, 4.0))
    for k, (method, own) in enumerate(table.groupby("method", sort=False)):
        x, y = stats.t_interval(own["forgotten"]), stats.t_interval(own["accuracy"])
        color, marker = [*PALETTE, GREY][k % 6], [*MARKERS, "P"][k % 6]
        ax.errorbar(x.value, y.value, xerr=[[x.value - x.low], [x.high - x.value]],
                    yerr=[[y.value - y.low], [y.high - y.value]], linestyle="", marker=marker, capsize=3, color=color,
                    markevery=1, label=method, markersize=7)
    _level(ax, chance, "most\nfrequent\nlabel", GREY, ":")
    _level(ax, best, "best\npossible", TRUTH, (0, (4, 3)))
    ax.axvline(0, color=TRUTH, linestyle=(0, (4, 3)), linewidth=1.4, marker="")
    ax.set_xscale("symlog", linthresh=0.1, linscale=0.8)  # small ones in a line, large ones by their logarithm
    ax.set_xlim(-0.02, 12)
    ax.set_xticks([0, 0.05, 0.1, 1, 10], ["0", "0.05", "0.1", "1", "10"])
    ax.set(xlabel="forgotten: rise of the distance to the masked-word floor (nats)", ylabel="accuracy on fresh texts")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def by_kind(table: pd.DataFrame, chance: float = 0.5) -> Figure:
    """Accuracy per kind of text for two classifiers, with 95 % Wilson intervals.

    table: columns kind, texts, who, value, low, high.
    """
    kinds, readers = list(dict.fromkeys(table["kind"])), list(dict.fromkeys(table["who"]))
    rows = {kind: len(kinds) - 1 - i for i, kind in enumerate(kinds)}
    figure, ax = plt.subplots(figsize=(6.6, 0.55 * len(kinds) + 1.3))
    for row, who in enumerate(readers):
        k = SERIES[who]
        own = table[table["who"] == who]
        place = np.array([rows[kind] for kind in own["kind"]]) + 0.16 - 0.32 * row
        ax.errorbar(own["value"], place, xerr=[own["value"] - own["low"], own["high"] - own["value"]], linestyle="",
                    marker=MARKERS[k], color=PALETTE[k], capsize=3, markevery=1, label=who)
    ax.axvline(chance, color=GREY, linestyle=":", linewidth=1.2, marker="")
    count = table.drop_duplicates("kind").set_index("kind")["texts"]
    ax.set_yticks([rows[kind] for kind in kinds], [f"{kind} ({count[kind]})" for kind in kinds])
    ax.set_ylim(-0.6, len(kinds) - 0.4)
    ax.set_xlim(0, 1.02)
    ax.set_xlabel("accuracy (dotted: chance)")
    ax.grid(axis="y", visible=False)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=len(readers))
    return figure


def _level(ax: plt.Axes, value: float | None, label: str, color: str, style: str | Sequence) -> None:
    """A horizontal line with its label beside it, to the right of the axes, where nothing is drawn."""
    if value is None:
        return
    ax.axhline(value, color=color, linestyle=style, linewidth=1.4, marker="")
    ax.annotate(label, (1, value), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
                fontsize=9, color=color, ha="left", va="center", linespacing=0.95)
