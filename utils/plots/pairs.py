"""Figures of notebook 03: how sure a reader of two sentences can be, what decides, and what a pair objective buys."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from utils.plots import GREY, MARKERS, PALETTE, TRUTH, model_by_row, truth_marker


def calibration(exact: np.ndarray, model: np.ndarray) -> Figure:
    """Each dot one pair: its exact P(IsNext) and the model's, (pairs,) each. Impossible pairs are moved apart."""
    figure, ax = plt.subplots(figsize=(4.6, 4.3))
    apart = np.random.default_rng(0).uniform(-0.05, 0, len(exact))
    shown = np.where(exact < 1e-9, apart, exact)
    ax.plot(shown, model, linestyle="", marker=".", markersize=5, alpha=0.35, color=PALETTE[0], markevery=1)
    ax.plot([0, 1], [0, 1], color=TRUTH, linestyle=(0, (4, 3)), linewidth=1.4, marker="")
    ax.annotate("dashed: model = truth", (0.2, 0.06), fontsize=9)
    ax.set(xlim=(-0.06, 1.03), ylim=(-0.03, 1.03))
    ax.set_xlabel("exact P(IsNext | pair)")
    ax.set_ylabel("model's P(IsNext | pair)")
    return figure


def cues(table: pd.DataFrame) -> Figure:
    """What each cue alone is worth; columns cue, saved (nats below a coin's loss), accuracy; "all" is the last row."""
    rows = np.arange(len(table))[::-1]
    figure, ax = plt.subplots(figsize=(6.4, 0.38 * len(table) + 1.0))
    hatches = ["" if cue != "order" else "///" for cue in table["cue"]]  # order is no part of the shared story
    ax.barh(rows, table["saved"], color=[TRUTH if cue == "everything" else "0.8" for cue in table["cue"]],
            edgecolor="0.2", hatch=hatches)
    for row, saved, accuracy in zip(rows, table["saved"], table["accuracy"], strict=True):
        ax.annotate(f"right in {accuracy:.0%}", (saved, row), xytext=(5, 0), textcoords="offset points", va="center",
                    fontsize=9)
    ax.set_yticks(rows, table["cue"])
    ax.set_xlim(0, 1.25 * table["saved"].max())
    ax.set_xlabel("nats that a perfect reader saves, of the coin's log 2 = 0.69")
    ax.grid(axis="y", visible=False)
    return figure


def called_next(table: pd.DataFrame) -> Figure:
    """Share of pairs called IsNext, per kind of pair; columns kind, exact, model, low, high."""
    figure, ax, rows = model_by_row(table, "kind", (6.4, 0.5 * len(table) + 1.2))
    truth_marker(ax, table["exact"], rows, "perfect reader")
    ax.set_xlim(-0.02, 1.02)
    ax.set_xlabel("share of the pairs that are called IsNext")
    ax.legend(loc="upper left")
    return figure


def after_pretraining(runs: pd.DataFrame, intervals: pd.DataFrame, best: dict[str, float],
                      live: dict[str, float] | None = None, live_arm: str = "") -> Figure:
    """Accuracy after fine-tuning, one panel per task, one row per arm of pretraining.

    runs: columns arm, task, accuracy, one row per seed. intervals: arm, task, value, low, high. best: what no
    reader can pass, per task. live: accuracies of the run made in the notebook, drawn as a cross.
    """
    arms, tasks = list(dict.fromkeys(intervals["arm"])), list(best)
    figure, axes = plt.subplots(1, len(tasks), figsize=(7.4, 0.42 * len(arms) + 1.5), sharey=True)
    rows = {arm: len(arms) - 1 - k for k, arm in enumerate(arms)}
    for ax, task in zip(axes, tasks, strict=True):
        for k, arm in enumerate(arms):
            own = runs[(runs["arm"] == arm) & (runs["task"] == task)]["accuracy"]
            mean = intervals[(intervals["arm"] == arm) & (intervals["task"] == task)].iloc[0]
            ax.plot(own, np.full(len(own), rows[arm] - 0.22), linestyle="", marker="|", markersize=6, color=GREY,
                    markevery=1)
            ax.errorbar(mean["value"], rows[arm], xerr=[[mean["value"] - mean["low"]], [mean["high"] - mean["value"]]],
                        marker=MARKERS[k % len(MARKERS)], color=PALETTE[k % len(PALETTE)], capsize=3, markersize=5,
                        markevery=1, linestyle="")
        if live and task in live:
            ax.plot(live[task], rows[live_arm] + 0.25, linestyle="", marker="x", color=TRUTH, markersize=6, markevery=1)
        ax.axvline(best[task], color=TRUTH, linestyle=(0, (4, 3)), linewidth=1.4, marker="")
        ax.axvline(0.5, color=GREY, linestyle=":", linewidth=1.2, marker="")
        ax.set_xlim(0.46, 0.84)
        ax.set_title(task, fontsize=10)
        ax.set_xlabel("accuracy")
        ax.grid(axis="y", visible=False)
        ax.xaxis.set_major_locator(plt.MaxNLocator(4))
    axes[0].set_yticks(list(rows.values()), list(rows))
    axes[0].set_ylim(-0.6, len(arms) - 0.4)
    return figure


def cosines(groups: dict[str, Sequence[float]]) -> Figure:
    """Cosine similarities of sentence pairs, one strip per kind of pair, with the mean as a bar."""
    figure, ax = plt.subplots(figsize=(6.4, 0.55 * len(groups) + 1.0))
    jitter = np.random.default_rng(0)
    for k, values in enumerate(groups.values()):
        row = len(groups) - 1 - k
        ax.plot(values, row + jitter.uniform(-0.25, 0.25, len(values)), linestyle="", marker=MARKERS[k], markersize=4,
                alpha=0.6 if len(values) < 500 else 0.15, color=PALETTE[k], markevery=1)
        ax.plot([np.mean(values)] * 2, [row - 0.34, row + 0.34], color=TRUTH, linewidth=2, marker="", linestyle="-")
    ax.set_yticks(range(len(groups))[::-1], list(groups))
    ax.set_ylim(-0.6, len(groups) - 0.4)
    ax.set_xlabel("cosine of the two sentence vectors (bar: mean)")
    ax.grid(axis="y", visible=False)
    return figure


