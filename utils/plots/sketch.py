"""A line drawing as SVG text, made in under a millisecond: what `LiveCurve` shows while a model trains."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 100, 16, 46
POINTS_DRAWN = 300  # more would not be seen on 560 pixels
STROKES = (("#0072B2", "none"), ("#D55E00", "7 3"), ("#56B4E9", "2 3"), ("#009E73", "7 2 2 2"), ("#CC79A7", "1 3"))

Series = Mapping[str, Sequence[tuple[float, float]]]


def sketch(series: Series, lines: Mapping[str, float], xlabel: str, ylabel: str, xmax: float = 0.0,
           log: bool = False) -> str:
    """Curves as an SVG drawing, with a dashed black line for every entry {label: height} of `lines`.

    series: {name: [(x, y), ...]}; points that are not finite are left out. xmax: how far the x axis reaches at least.
    log: a logarithmic y axis, for positive heights only; others are left out.
    """
    points = {name: _thinned(curve) for name, curve in series.items()}
    latest = {name: curve[-1][1] for name, curve in points.items() if curve}
    if log:
        points = {name: [(x, math.log10(y)) for x, y in curve if y > 0] for name, curve in points.items()}
        lines = {label: math.log10(height) for label, height in lines.items() if height > 0}
    points = {name: curve for name, curve in points.items() if curve}
    heights = [y for curve in points.values() for _, y in curve] + list(lines.values())
    low, high = min(heights, default=0.0), max(heights, default=1.0)
    span = (high - low) or 1.0
    low, high = low - 0.12 * span, high + 0.05 * span  # room under the lowest line for its label
    last = max([xmax, 1.0] + [curve[-1][0] for curve in points.values()])
    alone = len(lines) == 1  # one label has room inside, under its line; several stand beside theirs

    def place(x: float, y: float) -> tuple[float, float]:
        across, down = x / last, (high - y) / (high - low)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * across, 1), round(TOP + (HEIGHT - TOP - BOTTOM) * down, 1)

    parts = [_frame(xlabel, ylabel)]
    for height, name in _log_ticks(low, high) if log else [(tick, f"{tick:g}") for tick in _ticks(low, high)]:
        x, y = place(0, height)
        parts += [_path(x, y, WIDTH - RIGHT, 'stroke="#ddd"'), _text(x - 6, y + 4, name)]
    for tick in _ticks(0, last):
        x, _ = place(tick, low)
        parts.append(_text(x, HEIGHT - BOTTOM + 16, f"{tick:g}", anchor="middle"))
    for label, height in lines.items():
        _, y = place(0, height)
        parts.append(_path(LEFT, y, WIDTH - RIGHT, 'stroke="#000" stroke-width="1.5" stroke-dasharray="6 4"'))
        parts.append(_text(WIDTH - RIGHT, y + 15, label) if alone else _text(WIDTH - RIGHT + 5, y + 4, label, "start"))
    for index, (name, curve) in enumerate(points.items()):
        label = f"{name} " if len(points) > 1 else ""
        parts += _curve(index, f"{label}{latest[name]:.3f}", curve, place)
    return "".join(parts) + "</svg>"


def _thinned(curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most about POINTS_DRAWN finite points, the last one always among them."""
    kept = [*curve[-1 :: -max(1, len(curve) // POINTS_DRAWN)]][::-1]
    return [point for point in kept if math.isfinite(point[1])]


def _curve(index: int, label: str, curve: Sequence[tuple[float, float]], place) -> list[str]:
    colour, dash = STROKES[index % len(STROKES)]
    corners = " ".join(f"{x},{y}" for x, y in (place(*point) for point in curve))
    style = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
    row = TOP + 14 * (index + 1)  # the latest values are listed at the top right, where falling curves are not
    return [
        f'<polyline points="{corners}" {style}/>',
        f'<path d="M{WIDTH - RIGHT - 130} {row - 4}h26" {style}/>',
        _text(WIDTH - RIGHT, row, label, style=f'font-weight="bold" fill="{colour}"'),
    ]


def _frame(xlabel: str, ylabel: str) -> str:
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#333"/>'
        + _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, xlabel, anchor="middle")
        + f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{html.escape(ylabel)}</text>'
    )


def _path(x: float, y: float, to: float, style: str) -> str:
    return f'<path d="M{x} {y}H{to}" {style}/>'


def _text(x: float, y: float, text: str, anchor: str = "end", style: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" {style}>{html.escape(text)}</text>'


def _ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers between low and high."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
    return [round(step * k, 10) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """The numbers 1, 2 and 5 times a power of ten between 10^low and 10^high: (logarithm, text)."""
    numbers = [factor * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for factor in (1, 2, 5)]
    return [(math.log10(number), f"{number:g}") for number in numbers if low <= math.log10(number) <= high]
