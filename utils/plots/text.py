"""Values of single tokens drawn as a heat map over the text, with the number under every token."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure


def text_heatmap(
    tokens: Sequence[str],
    scores: Sequence[float],
    *,
    label: str = "score",
    per_line: int = 12,
    limits: tuple[float, float] | None = None,
    format: str = "{:.2f}",
) -> Figure:
    """Draw each token in a box coloured by its score, the score written beneath it.

    The colours run from purple (negative) over white to orange (positive) when any score is negative, else
    from white to blue; both are safe for colour-blind eyes, and the numbers carry the same information
    without colour.
    limits: (lowest, highest) score of the colour scale; by default symmetric around 0, or from 0 to the
    largest.
    """
    values = np.asarray([float(score) for score in scores])
    if len(tokens) != len(values) or not len(values):
        raise ValueError(f"one score per token is needed, but there are {len(tokens)} tokens and {len(values)} scores.")
    low, high = limits or _limits(values)
    colours = mpl.colormaps["PuOr_r" if low < 0 else "Blues"]
    scale = mpl.colors.Normalize(low, high)
    lines = -(-len(tokens) // per_line)
    figure, axes = plt.subplots(lines, 1, figsize=(7.2, 0.62 * lines + 0.35), squeeze=False)
    for line, ax in enumerate(axes[:, 0]):
        ax.set_axis_off()
        part = slice(line * per_line, (line + 1) * per_line)
        widths = np.array([max(len(token), len(format.format(0))) + 1.5 for token in tokens[part]], float)
        ax.set(xlim=(0, max(widths.sum(), 7.0 * per_line)), ylim=(0, 1))
        left = np.concatenate([[0.0], np.cumsum(widths)[:-1]])
        for token, value, x, width in zip(tokens[part], values[part], left, widths, strict=True):
            share = float(np.clip(scale(value), 0, 1))
            colour = colours(0.1 + 0.8 * share if low < 0 else 0.75 * share)  # the ends of the maps are too dark
            ink = "white" if _luminance(colour) < 0.35 else "black"
            middle = {"x": x + width * 0.48, "ha": "center", "va": "center", "parse_math": False}
            ax.add_patch(mpl.patches.Rectangle((x, 0.42), width * 0.96, 0.56, color=colour, linewidth=0))
            ax.text(y=0.7, s=token, color=ink, fontsize=10, family="monospace", **middle)
            ax.text(y=0.2, s=format.format(value), fontsize=8, **middle)
    figure.suptitle(label, x=0.01, ha="left", fontsize=10)
    return figure


def _limits(values: np.ndarray) -> tuple[float, float]:
    largest = float(np.nanmax(np.abs(values))) or 1.0
    return (-largest, largest) if np.nanmin(values) < 0 else (0.0, largest)


def _luminance(colour: tuple) -> float:
    return float(0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2])
