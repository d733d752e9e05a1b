"""Figures of notebook 02: the loss and its floor, and how a model's answers differ from the exact ones."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from utils.plots import PALETTE, interval_band, truth_line, truth_marker


def she_by_occupation(table: pd.DataFrame) -> Figure:
    """P(she) per occupation, exact (hollow) and by the model (filled); columns occupation, model, exact."""
    table = table.sort_values("exact").reset_index(drop=True)
    rows = np.arange(len(table))
    figure, ax = plt.subplots(figsize=(6.4, 0.27 * len(table) + 1.1))
    ax.hlines(rows, table["exact"], table["model"], color="0.6", linewidth=1.2, zorder=1)
    ax.plot(
        table["model"],
        rows,
        linestyle="",
        marker="D",
        markersize=5,
        color=PALETTE[0],
        label="model",
        markevery=1,
        zorder=2,
    )
    truth_marker(ax, table["exact"], rows)
    ax.set_yticks(rows, table["occupation"])
    ax.set_xlim(-0.02, 1.02)
    ax.set_xlabel("probability of she (rather than he)")
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower right")
    return figure


def loss_to_floor(
    steps: Sequence[float], losses: Sequence[float], floor: float, floor_error: float, log_vocabulary: float
) -> Figure:
    """A training curve on a logarithmic axis of steps, with the floor and its 95 % interval.

    Single batches are pale; the dark line is their mean over steps that differ by less than a quarter.
    """
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    ax.plot(steps, losses, color="0.75", marker="", linewidth=0.8, linestyle="-")
    curve = pd.DataFrame({"step": np.asarray(steps, float), "loss": losses})
    smooth = curve.groupby(np.floor(np.log(curve["step"]) / np.log(1.25))).mean()
    ax.plot(smooth["step"], smooth["loss"], color=PALETTE[0], marker="", linestyle="-", linewidth=2)
    ax.axhspan(floor - 1.96 * floor_error, floor + 1.96 * floor_error, color="0.85", zorder=0)
    ax.set_xscale("log")
    ax.set_ylim(0, max(max(losses), log_vocabulary) * 1.05)
    truth_line(ax, floor, "")
    ax.annotate("the floor (band: 95 % interval)", (steps[0], floor), xytext=(2, -4), textcoords="offset points",
                va="top", fontsize=9)
    ax.annotate("single batches", (steps[len(steps) // 3], max(losses[len(losses) // 3 :])), xytext=(0, 4),
                textcoords="offset points", ha="center", fontsize=9, color="0.45")
    ax.axhline(log_vocabulary, color="0.5", linewidth=1, linestyle=":")
    ax.annotate(
        "every word equally likely",
        (1, log_vocabulary),
        xycoords=("axes fraction", "data"),
        xytext=(-2, -4),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=9,
        color="0.35",
    )
    ax.set_xlabel("training step")
    ax.set_ylabel("masked-word loss (nats)")
    return figure


def predicted_against_true(p: np.ndarray, q: np.ndarray, least: float = 1e-4) -> Figure:
    """Each dot one word in one question: its exact probability p and the model's q, (dots,) each, both log axes."""
    figure, ax = plt.subplots(figsize=(4.6, 4.4))
    ax.plot(
        p, np.maximum(q, least), linestyle="", marker=".", markersize=4, alpha=0.35, color=PALETTE[0], markevery=1
    )
    ax.plot([least, 1], [least, 1], color="black", linestyle=(0, (4, 3)), linewidth=1.4, marker="")
    ax.annotate("model = truth", (1.2e-4, 4e-4), fontsize=9)
    ax.set(xscale="log", yscale="log", xlim=(least, 1.3), ylim=(least, 1.3))
    ax.set_xlabel("exact probability of a word")
    ax.set_ylabel("model's probability of the same word")
    return figure


def entropy_and_kl(table: pd.DataFrame) -> Figure:
    """Stacked bars per kind of word: its share of the floor and of the model's distance (from evaluate.by_kind)."""
    table = table.iloc[::-1]
    rows = np.arange(len(table))
    figure, ax = plt.subplots(figsize=(6.4, 0.36 * len(table) + 1.0))
    ax.barh(rows, table["entropy_share"], color="0.8", edgecolor="0.3", label="entropy: nobody can avoid it")
    ax.barh(
        rows,
        table["kl_share"],
        left=table["entropy_share"],
        color=PALETTE[0],
        edgecolor="black",
        hatch="///",
        label="KL: not learned yet",
    )
    ax.set_yticks(rows, table["kind"])
    ax.set_xlabel("contribution to the mean loss (nats per question)")
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower right")
    return figure


def floor_by_rate(rates: Sequence[float], floors: Sequence[float], errors: Sequence[float]) -> Figure:
    """The floor at several masking rates, with its 95 % interval."""
    floors, errors = np.asarray(floors), np.asarray(errors)
    figure, ax = plt.subplots(figsize=(6.0, 3.3))
    interval_band(ax, rates, floors - 1.96 * errors, floors + 1.96 * errors, color="0.3")
    ax.plot(rates, floors, color="black", linestyle=(0, (4, 3)), marker="o", markerfacecolor="white")
    ax.axvline(0.15, color="0.5", linewidth=1, linestyle=":", marker="")
    ax.annotate("BERT's 15 %", (0.15, 0), xytext=(4, 6), textcoords="offset points", fontsize=9, color="0.35")
    ax.set_xlim(0, 1)
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
    ax.set_xlabel("share of words selected")
    ax.set_ylabel("lowest reachable loss\nper question (nats)")
    return figure
