"""Figures of notebook 11: rates of two communities, calibration, criteria that exclude each other, names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from utils import stats
from utils.fairness import forced_fpr
from utils.plots import GREY, LINESTYLES, MARKERS, PALETTE, TRUTH

MEASURES = {"selection": "selected", "tpr": "selected, of\nanswer yes", "fpr": "selected, of\nanswer no",
            "ppv": "answer yes, of\nthe selected"}


def by_community(tables: Mapping[str, pd.DataFrame], names: Sequence[str],
                 truths: pd.DataFrame | None = None) -> Figure:
    """Four rates of each community with intervals, a panel per answer that they are held against.

    tables: {title: columns group, measure, value, low, high}. truths: the same without interval, drawn hollow.
    """
    figure, axes = plt.subplots(1, len(tables), figsize=(4.4 * len(tables), 3.3), sharey=True)
    place = np.arange(len(MEASURES))
    for ax, (title, table) in zip(np.atleast_1d(axes), tables.items(), strict=True):
        for g, name in enumerate(names):
            own = table[table["group"] == g].set_index("measure").loc[list(MEASURES)]
            error = np.clip([own["value"] - own["low"], own["high"] - own["value"]], 0, None)
            ax.errorbar(place + 0.22 * (g - 0.5), own["value"], yerr=error, linestyle="", marker=MARKERS[g],
                        color=PALETTE[g], capsize=3, markersize=6, markevery=1, label=name)
            if truths is not None:
                best = truths[truths["group"] == g].set_index("measure").loc[list(MEASURES)]
                ax.plot(place + 0.22 * (g - 0.5), best["value"], linestyle="", marker="o", markersize=11,
                        markerfacecolor="none", markeredgecolor=TRUTH, markevery=1,
                        label="best possible, fair answers" if g == 0 else None)
        ax.set_xticks(place, list(MEASURES.values()), fontsize=9)
        ax.set_title(title, fontsize=10)
        ax.set_ylim(0, 1)
        ax.grid(axis="x", visible=False)
    np.atleast_1d(axes)[0].set_ylabel("share of people")
    figure.legend(*np.atleast_1d(axes)[-1].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def calibrated(tables: Mapping[str, pd.DataFrame], names: Sequence[str]) -> Figure:
    """Share of ones against score by community, two panels (truth, record) per row; the diagonal is
    perfect calibration."""
    figure, axes = plt.subplots(len(tables) // 2, 2, figsize=(8.0, 2.9 * (len(tables) // 2)), sharex=True, sharey=True)
    for ax, (title, table) in zip(axes.flat, tables.items(), strict=True):
        ax.plot([0, 1], [0, 1], linestyle=(0, (4, 3)), color=TRUTH, linewidth=1.4, marker="", label="calibrated")
        for g, name in enumerate(names):
            own = table[table["group"] == g]
            error = np.clip([own["value"] - own["low"], own["high"] - own["value"]], 0, None)
            ax.errorbar(own["score"], own["value"], yerr=error, linestyle=LINESTYLES[g], marker=MARKERS[g],
                        color=PALETTE[g], capsize=2, markersize=5, markevery=1, linewidth=1, label=name)
        ax.set_title(title, fontsize=10)
        ax.set_xlim(0, 1)
        ax.set_ylim(0, 1)
    for ax in np.atleast_2d(axes)[:, 0]:
        ax.set_ylabel("share with answer yes")
    for ax in np.atleast_2d(axes)[-1]:
        ax.set_xlabel("score")
    axes.flat[0].legend(loc="upper left")
    return figure


def forced(ppv: float, fnr: float, bases: Sequence[float], measured: Sequence[float], names: Sequence[str]) -> Figure:
    """The false-positive rate that the identity leaves, against the base rate, at one precision and one FNR.

    bases: base rate of each community. measured: false-positive rate of each at these values.
    """
    figure, ax = plt.subplots(figsize=(6.0, 3.4))
    p = np.linspace(0.2, 0.75, 200)
    ax.plot(p, forced_fpr(p, ppv, fnr), linestyle=(0, (4, 3)), color=TRUTH, marker="",
            label=f"forced by PPV = {ppv:.2f}, FNR = {fnr:.2f}")
    for g, name in enumerate(names):
        ax.plot(bases[g], measured[g], marker=MARKERS[g], color=PALETTE[g], linestyle="", markersize=9, markevery=1,
                label=f"{name}, counted")
    ax.set_xlabel("base rate: share of the community that is qualified")
    ax.set_ylabel("false-positive rate")
    ax.set_ylim(bottom=0)
    ax.legend(loc="upper left")
    return figure


def costs(table: pd.DataFrame, names: Sequence[str], marks: Mapping[str, float]) -> Figure:
    """Remedies: who is selected (left), who of the qualified (middle), what accuracy is left (right).

    table: index rule; for each of selection_0, selection_1, tpr_0, tpr_1, accuracy and accuracy_record columns NAME,
    NAME_low, NAME_high. marks: {"selection" …: the best possible}, drawn dashed.
    """
    panels = ((("selection_0", "selection_1"), "selected"), (("tpr_0", "tpr_1"), "selected, of the qualified"),
              (("accuracy", "accuracy_record"), "accuracy"))
    figure, axes = plt.subplots(1, 3, figsize=(9.4, 0.36 * len(table) + 1.5), sharey=True)
    heights = np.arange(len(table))[::-1]
    for ax, (columns, title) in zip(axes, panels, strict=True):
        for k, column in enumerate(columns):
            last = columns[0] == "accuracy"
            error = np.clip([table[column] - table[f"{column}_low"], table[f"{column}_high"] - table[column]], 0, None)
            ax.errorbar(table[column], heights + 0.13 * (1 - 2 * k), xerr=error, linestyle="",
                        marker=("D", "v")[k] if last else MARKERS[k], color=PALETTE[k + 3] if last else PALETTE[k],
                        capsize=2, markersize=5, elinewidth=1, markevery=1,
                        label=("against the truth", "against the record")[k] if last else names[k])
        ax.axvline(marks[columns[0].split("_")[0]], color=TRUTH, linestyle=(0, (4, 3)), linewidth=1.2, marker="")
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("share of people")
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.set_yticks(heights, list(table.index))
        ax.grid(axis="y", visible=False)
    handles = [axes[0].get_legend_handles_labels(), axes[2].get_legend_handles_labels()]
    figure.legend(handles[0][0] + handles[1][0], handles[0][1] + handles[1][1], loc="outside upper center", ncols=4)
    return figure


def by_origin(rows: Mapping[str, pd.DataFrame], overall: Mapping[str, float]) -> Figure:
    """Selection rate by origin of the name with intervals over names, a panel per reader.

    rows: {reader: index origin, columns value, low, high}. overall: the reader's rate over all names, dotted.
    """
    figure, axes = plt.subplots(1, len(rows), figsize=(2.6 * len(rows), 4.0), sharey=True)
    for ax, (reader, table) in zip(np.atleast_1d(axes), rows.items(), strict=True):
        heights = np.arange(len(table))[::-1]
        ax.axvline(overall[reader], color=GREY, linestyle=":", linewidth=1.2, marker="")
        ax.errorbar(table["value"], heights, xerr=[table["value"] - table["low"], table["high"] - table["value"]],
                    linestyle="", marker="o", color=PALETTE[0], capsize=2, markersize=5, elinewidth=1, markevery=1)
        ax.set_yticks(heights, list(table.index))
        ax.set_title(reader, fontsize=10)
        ax.set_xlabel("share found suitable")
        ax.grid(axis="y", visible=False)
    return figure


def by_training(looked: pd.DataFrame, fresh: pd.DataFrame) -> Figure:
    """Selection rate by origin of the name less the mean of all origins, a mark per training; index origin.

    looked: trainings that suggested what to look for, hollow. fresh: others, filled, with mean and t interval.
    """
    figure, ax = plt.subplots(figsize=(6.4, 4.2))
    heights = np.arange(len(fresh))[::-1]
    ax.axvline(0, color=GREY, linestyle=":", linewidth=1.2, marker="")
    for k, (table, face) in enumerate(((looked, "none"), (fresh, PALETTE[0]))):
        for column in table:
            ax.plot(table[column], heights + 0.14 * (1 - 2 * k), linestyle="", marker=MARKERS[0], markersize=4,
                    markerfacecolor=face, markeredgecolor=PALETTE[0], markevery=1)
    means = pd.DataFrame([stats.t_interval(row)._asdict() for row in fresh.to_numpy()])
    ax.errorbar(means["value"], heights - 0.14, xerr=[means["value"] - means["low"], means["high"] - means["value"]],
                linestyle="", marker="|", markersize=9, color="black", capsize=3, elinewidth=1, markevery=1)
    ax.set_yticks(heights, list(fresh.index))
    ax.set_xlabel("share found suitable, less the mean of all origins")
    ax.grid(axis="y", visible=False)
    return figure
