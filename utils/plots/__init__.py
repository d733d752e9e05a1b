"""The house style of the course's figures, and `show`, which gives a figure its caption and its alt text.

    plots.use_house_style()
    figure, ax = plt.subplots()
    ...
    plots.truth_line(ax, floor, "no model can go below this")
    plots.show(figure, caption="The loss ends 0.03 nats above the floor.", alt="A curve falling towards a dashed line.")

Figures of one family live in a module of their own beside this one. JupyterLab (4.6) draws an image/png
output as an <img> without an alt attribute, whatever the output's metadata say, so `show` sends an HTML
<figure> as well: screen readers find the alt text there, and JupyterLab, nbconvert and GitHub prefer it to
the bare image.
"""

from __future__ import annotations

import base64
import html
import io
import logging
import re
from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter
from PIL import Image

from utils.plots.live import LiveCurve
from utils.plots.text import text_heatmap

__all__ = [
    "GREY", "LINESTYLES", "LiveCurve", "MARKERS", "PALETTE", "TRUTH", "direct_label", "figure_bundle", "interval_band",
    "model_by_row", "plain_log_ticks", "show", "text_heatmap", "truth_line", "truth_marker", "use_house_style",
]  # fmt: skip

# Okabe and Ito (2008), safe for colour-blind eyes. The first three also go from dark to light in steps of at
# least 30 grey levels of 255, so they stay apart in a grey print; for more series the line style and marker
# carry the difference.
PALETTE = ("#0072B2", "#D55E00", "#56B4E9", "#009E73", "#CC79A7")  # blue, vermillion, sky blue, green, purple
LINESTYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v")
TRUTH = "#000000"  # known truth is black: a dashed line or a hollow marker
GREY = "#767676"  # the lightest grey with contrast 4.5 to 1 on white
DPI = 110
LARGEST_PNG = 150_000  # bytes

# On a fresh machine matplotlib announces on stderr that it builds its font cache.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def use_house_style() -> None:
    """Set matplotlib's defaults for the notebook: sizes, palette with line styles and markers, light grid."""
    cycle = cycler(color=PALETTE) + cycler(linestyle=LINESTYLES) + cycler(marker=MARKERS) + cycler(markevery=[0.12] * 5)
    mpl.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.dpi": DPI,
            "savefig.dpi": DPI,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "font.size": 10,
            "font.family": "DejaVu Sans",
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.labelsize": 10,
            "axes.prop_cycle": cycle,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#dddddd",
            "grid.linewidth": 0.6,
            "lines.linewidth": 1.8,
            "lines.markersize": 5,
            "legend.frameon": False,
            "legend.fontsize": 9,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "image.cmap": "cividis",
        }  # fmt: skip
    )


def show(figure: Figure, caption: str, alt: str) -> None:
    """Display the figure with its caption under it and its alt text, then close it.

    caption: what to see, in a sentence or two; `code` in backticks is set as code.
    alt: what the figure shows, for someone who cannot see it.
    Raises ValueError when either is missing or the picture is larger than 150 kB.
    """
    from IPython.display import display

    data, metadata = figure_bundle(figure, caption, alt)
    plt.close(figure)
    display(data, metadata=metadata, raw=True)


def figure_bundle(figure: Figure, caption: str, alt: str) -> tuple[dict, dict]:
    """The figure as a Jupyter display bundle: (data, metadata), with HTML, PNG and plain text."""
    caption, alt = " ".join(caption.split()), " ".join(alt.split())
    for name, text in (("caption", caption), ("alt text", alt)):
        if len(text.split()) < 4:
            raise ValueError(f"a figure needs a {name} of at least four words; this one has {text!r}.")
    picture = png(figure)
    encoded = base64.b64encode(picture).decode("ascii")
    body = (
        f'<figure style="margin: 0.5em 0"><img style="max-width: 100%" src="data:image/png;base64,{encoded}" '
        f'alt="{html.escape(alt)}"><figcaption style="max-width: 46em">{_caption_html(caption)}</figcaption></figure>'
    )
    data = {"text/html": body, "image/png": encoded, "text/plain": f"Figure: {caption}"}
    return data, {"image/png": {"alt": alt}}


def png(figure: Figure) -> bytes:
    """The figure as PNG bytes, the same bytes every time: 256 colours, no date, no software version."""
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=DPI, metadata={"Software": None})
    raw.seek(0)
    small = io.BytesIO()
    Image.open(raw).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, format="png", optimize=True)
    picture = small.getvalue()
    if len(picture) > LARGEST_PNG:
        raise ValueError(f"the figure takes {len(picture) // 1000} kB; draw less or smaller, to at most 150 kB.")
    return picture


def truth_line(
    ax: Axes, value: float, label: str, *, vertical: bool = False, below: bool = False, outside: bool = False,
    side: str = "center",
) -> None:
    """Draw known truth as a dashed black line with its label on it.

    below: the label under the line, where curves come down to it; outside: to the right of the axes, for several
    lines, there with its "top", "center" or "bottom" at the line (side).
    """
    style = {"color": TRUTH, "linestyle": (0, (4, 3)), "linewidth": 1.4, "marker": "", "zorder": 3}
    words = {"textcoords": "offset points", "fontsize": 9, "color": TRUTH, "zorder": 5}
    if vertical:
        ax.axvline(value, **style)
        ax.annotate(label, (value, 1), xycoords=("data", "axes fraction"), xytext=(4, -2), va="top", ha="left", **words)
        return
    ax.axhline(value, **style)
    place = {"xytext": (-2, 3), "va": "bottom", "ha": "right"}
    if below:
        place = {"xytext": (-2, -4), "va": "top", "ha": "right"}
    if outside:
        place = {"xytext": (4, 0), "va": side, "ha": "left"}
    ax.annotate(label, (1, value), xycoords=("axes fraction", "data"), **place, **words)


def truth_marker(ax: Axes, x: Sequence[float], y: Sequence[float], label: str = "truth") -> None:
    """Draw known truth as hollow black circles."""
    ax.plot(
        x,
        y,
        linestyle="",
        marker="o",
        markerfacecolor="none",
        markeredgecolor=TRUTH,
        markeredgewidth=1.4,
        markersize=8,
        markevery=1,
        zorder=4,
        label=label,
    )


def model_by_row(table: pd.DataFrame, names: str, size: tuple[float, float]) -> tuple[Figure, Axes, np.ndarray]:
    """A model's shares with their intervals, one row each; columns model, low, high and that of the rows' names.

    Returns figure, axes and the height of each row, at which the truth can be marked.
    """
    rows = np.arange(len(table))[::-1]
    figure, ax = plt.subplots(figsize=size)
    ax.errorbar(table["model"], rows, xerr=[table["model"] - table["low"], table["high"] - table["model"]],
                linestyle="", marker="D", markersize=5, color=PALETTE[0], capsize=3, markevery=1,
                label="model, 95 % interval")  # fmt: skip
    ax.set_yticks(rows, table[names])
    ax.set_ylim(-0.6, len(table) - 0.4)
    ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
    ax.grid(axis="y", visible=False)
    return figure, ax, rows


def interval_band(
    ax: Axes, x: Sequence[float], low: Sequence[float], high: Sequence[float], *, color: str = PALETTE[0]
) -> None:
    """Shade the interval between `low` and `high` in a pale tint of `color`."""
    ax.fill_between(
        np.asarray(x, float),
        np.asarray(low, float),
        np.asarray(high, float),
        color=color,
        alpha=0.2,
        linewidth=0,
    )


def direct_label(ax: Axes, x: float, y: float, label: str, *, color: str = TRUTH, dx: float = 4, dy: float = 0) -> None:
    """Write a label beside a point (offset in points), instead of a legend."""
    ax.annotate(label, (x, y), xytext=(dx, dy), textcoords="offset points", va="center", fontsize=9, color=color)


def plain_log_ticks(ax: Axes) -> None:
    """Plain numbers instead of powers of ten on a logarithmic y axis that covers little."""
    low, high = ax.get_ylim()
    ax.set_yticks([t for t in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if low <= t <= high])
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())


def _caption_html(caption: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(caption))
