"""Figures of notebook 12: maps of attention heads, what removing a head costs, where readings of attention point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from utils import attention, plots
from utils.plots import GREY, PALETTE, truth_line

MAPS = "Blues"


def head_map(weight: np.ndarray, tokens: Sequence[str], title: str = "") -> Figure:
    """One head's weights (sequence, sequence): row i shows what token i reads."""
    figure, ax = plt.subplots(figsize=(0.3 * len(tokens) + 1.6, 0.27 * len(tokens) + 1.4))
    image = _map(ax, weight, tokens, tokens, title)
    figure.colorbar(image, ax=ax, label="attention weight", shrink=0.7)
    ax.set_ylabel("reading")
    ax.set_xlabel("being read")
    return figure


def head_maps(weight: np.ndarray, tokens: Sequence[str]) -> Figure:
    """All heads of one text, a layer to a row: weight (layers, heads, sequence, sequence)."""
    layers, heads = weight.shape[:2]
    figure, axes = plt.subplots(layers, heads, figsize=(2.25 * heads + 1.2, 2.35 * layers + 0.5), squeeze=False)
    for layer in range(layers):
        for head in range(heads):
            rows = tokens if head == 0 else [""] * len(tokens)
            columns = tokens if layer == layers - 1 else [""] * len(tokens)
            image = _map(axes[layer, head], weight[layer, head], rows, columns, f"head {layer}.{head}")
    figure.colorbar(image, ax=axes, label="attention weight", shrink=0.6)
    return figure


def browse(model: Any, tokenizer: Any, texts: Sequence[str]) -> Any:
    """Choose text, layer and head from lists and see the map (ipywidgets). Texts: one sentence, or two with [SEP].

    Returns the widget; needs a running notebook. `head_map` draws the same without one.
    """
    import ipywidgets

    config = model.config
    choices = {
        "text": ipywidgets.Dropdown(options=list(texts), layout={"width": "45em"}),
        "layer": ipywidgets.IntSlider(0, 0, config.num_hidden_layers - 1),
        "head": ipywidgets.IntSlider(0, 0, config.num_attention_heads - 1),
    }

    def draw(text: str, layer: int, head: int) -> None:
        batch = tokenizer(*text.split(" [SEP] "), return_tensors="pt")
        tokens = tokenizer.convert_ids_to_tokens(batch["input_ids"][0].tolist())
        weight = attention.weights(model, batch)[layer, 0, head].numpy()
        name = f"head {layer}.{head}"
        plots.show(head_map(weight, tokens, name), caption=f"What each token reads in {name}.",
                   alt=f"A map of the attention weights of {name}, rows reading and columns being read.")

    return ipywidgets.VBox([*choices.values(), ipywidgets.interactive_output(draw, choices)])


def _map(ax: Axes, weight: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str):
    image = ax.imshow(weight, cmap=MAPS, vmin=0, vmax=1)
    ax.set_title(title, fontsize=10)
    ax.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
    ax.set_yticks(range(len(rows)), rows, fontsize=8)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    return image


def cost_of_heads(table: pd.DataFrame, label: str = "nats added to the distance from the floor") -> Figure:
    """Rows of words, columns of heads; each cell what removing that head adds, written and coloured."""
    values = table.to_numpy()
    figure, ax = plt.subplots(figsize=(0.72 * values.shape[1] + 2.6, 0.36 * len(table) + 1.3))
    top = max(0.5, float(np.nanmax(values)))
    image = ax.imshow(values, cmap=MAPS, vmin=0, vmax=top, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        shown = f"{value:.2f}".replace("-0.00", "0.00")
        ink = "white" if value > 0.6 * top else "black"
        ax.text(column, row, shown, ha="center", va="center", fontsize=9, color=ink)
    ax.set_xticks(range(values.shape[1]), table.columns)
    ax.set_yticks(range(len(table)), table.index)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.set_xlabel("head removed (layer.head)")
    figure.colorbar(image, ax=ax, label=label.replace(" the distance", "\nthe distance"))
    return figure


def pointing(table: pd.DataFrame, chance: float) -> Figure:
    """How often each reading names the decisive words; columns reading, value, low, high.

    Drawn hollow, if there: other, other_low, other_high, the same on questions whose answer the model does not know.
    """
    rows = np.arange(len(table))[::-1]
    figure, ax = plt.subplots(figsize=(6.6, 0.4 * len(table) + 1.5))
    ends = [table["value"] - table["low"], table["high"] - table["value"]]
    ax.errorbar(table["value"], rows, xerr=ends, linestyle="", marker="D", color=PALETTE[0], capsize=3, markevery=1,
                label="the model knows the answer")
    if "other" in table:
        ends = [table["other"] - table["other_low"].clip(lower=0), table["other_high"].clip(upper=1) - table["other"]]
        ax.errorbar(table["other"], rows - 0.25, xerr=ends, linestyle="", marker="s", markersize=5, color=PALETTE[1],
                    markerfacecolor="white", capsize=2, elinewidth=1, markevery=1,
                    label="the model is far from the exact answer")
    truth_line(ax, chance, "chance", vertical=True)
    ax.set_yticks(rows, table["reading"])
    ax.set_ylim(-0.7, len(table) - 0.1)
    ax.set_xlim(-0.02, 1.02)
    ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
    ax.set_xlabel("share of the decisive words that are named (95 % intervals)")
    ax.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def patterns(shares: dict[str, np.ndarray]) -> Figure:
    """Mean weight by pattern, one panel each: name -> (layers, heads), numbers above 0.3 written."""
    figure, axes = plt.subplots(1, len(shares), figsize=(2.25 * len(shares) + 0.9, 2.1), sharey=True)
    for ax, (name, share) in zip(axes, shares.items(), strict=True):
        image = ax.imshow(share, cmap=MAPS, vmin=0, vmax=1, aspect="auto")
        for (layer, head), value in np.ndenumerate(share):
            if value > 0.3:
                ax.text(head, layer, f"{value:.1f}".lstrip("0") if value < 0.95 else "1", ha="center", va="center",
                        fontsize=7, color="white" if value > 0.6 else "black")
        ax.set_title(name, fontsize=10)
        ax.set_xticks(range(0, share.shape[1], 2))
        ax.set_yticks(range(share.shape[0]))
        ax.tick_params(length=0)
        ax.grid(visible=False)
        ax.set_xlabel("head")
    axes[0].set_ylabel("layer")
    figure.colorbar(image, ax=axes, label="mean weight")
    return figure


def removed_in_order(effects: dict[str, np.ndarray]) -> Figure:
    """What removing each head changes, heads of a layer side by side; name -> (layers, heads), 1 - cosine."""
    figure, ax = plt.subplots(figsize=(6.6, 3.2))
    for k, (name, effect) in enumerate(effects.items()):
        layers, heads = effect.shape
        x = np.arange(layers)[:, None] + np.linspace(-0.33, 0.33, heads)[None]
        ax.plot(x.ravel(), effect.ravel(), linestyle="", marker="os"[k], markersize=4.5, color=PALETTE[k], markevery=1,
                markerfacecolor=PALETTE[k] if k == 0 else "white", label=name)
    for edge in np.arange(layers - 1) + 0.5:
        ax.axvline(edge, color=GREY, linewidth=0.6, marker="")
    ax.set_yscale("log")
    ax.set_xticks(range(layers))
    ax.set_xlabel("layer (its heads side by side)")
    ax.set_ylabel("change of the sentence vector\n(1 − cosine)")
    ax.grid(axis="x", visible=False)
    ax.legend(loc="upper left")
    return figure
