"""A training curve that grows while the model trains, in one place and at almost no cost.

Drawing with matplotlib takes tens of milliseconds, which would be stolen from the training; while it runs, the curve is
therefore a small hand-written SVG (about one millisecond), and only the finished curve is a matplotlib figure.
"""

from __future__ import annotations

import html
import math
import time
from base64 import b64encode
from collections.abc import Callable, Mapping

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 16, 46
SHORTEST_INTERVAL = 0.5  # seconds between two updates of the display
LARGEST_SHARE = 0.02  # of the time since the last update that drawing may take
POINTS_DRAWN = 300


class LiveCurve:
    """A curve (or several) that updates in place: `update(step, loss)` as often as you like, `finish(...)` once.

    floor: the lowest value any model can reach, drawn as a dashed black line; a mapping gives each series its own.
    The display changes at most twice a second, and less often where drawing would take over 2 % of the time.

        curve = plots.LiveCurve(floor=0.47, ylabel="masked-word loss (nats)")
        for step, loss in training: curve.update(step, loss)
        curve.finish(caption="The loss falls to ...", alt="A curve that ...")
    """

    def __init__(
        self,
        floor: float | Mapping[str, float] | None = None,
        *,
        xlabel: str = "step",
        ylabel: str = "loss (nats)",
        floor_label: str = "no model can go below this",
        xmax: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.floors = (
            dict(floor) if isinstance(floor, Mapping) else ({} if floor is None else {"loss": float(floor)})
        )
        self.xlabel, self.ylabel, self.floor_label, self.xmax = xlabel, ylabel, floor_label, xmax
        self.series: dict[str, list[tuple[float, float]]] = {}
        self.draws, self.seconds_drawing = 0, 0.0
        self._clock, self._handle, self._last, self._cost = clock, None, -math.inf, 0.0

    def update(self, step: float, value: float | None = None, **values: float) -> None:
        """Add a point: `update(step, loss)`, or `update(step, mlm=…, nsp=…)` for several curves."""
        if value is not None:
            values = {"loss": value, **values}
        for name, y in values.items():
            self.series.setdefault(name, []).append((float(step), float(y)))
        now = self._clock()
        if now - self._last >= max(SHORTEST_INTERVAL, self._cost / LARGEST_SHARE):
            self._draw()
            self._last = now

    def figure(self):
        """The curve as a matplotlib figure in the house style."""
        import matplotlib.pyplot as plt

        from utils.plots import LINESTYLES, PALETTE, truth_line

        figure, ax = plt.subplots()
        for place, (name, points) in enumerate(self.series.items()):
            x, y = zip(*points)
            ax.plot(x, y, color=PALETTE[place % 5], linestyle=LINESTYLES[place % 5], marker="", label=name)
        for name, floor in self.floors.items():
            truth_line(ax, floor, self.floor_label if len(self.floors) == 1 else f"floor, {name}")
        ax.set(xlabel=self.xlabel, ylabel=self.ylabel)
        if len(self.series) > 1:
            ax.legend()
        return figure

    def finish(self, caption: str, alt: str) -> None:
        """Replace the live drawing by the finished figure with its caption and alt text."""
        import matplotlib.pyplot as plt

        from utils.plots import figure_bundle

        if not self.series:
            raise ValueError("the curve has no points yet; call update(step, loss) before finish().")
        figure = self.figure()
        data, metadata = figure_bundle(figure, caption, alt)
        plt.close(figure)
        self._send(data, metadata)

    def _draw(self) -> None:
        start = time.perf_counter()
        picture = b64encode(self.svg().encode()).decode("ascii")
        latest = ", ".join(f"{name} {points[-1][1]:.3f}" for name, points in self.series.items())
        body = f'<img width="{WIDTH}" height="{HEIGHT}" alt="training curve; latest: {html.escape(latest)}" src="data:image/svg+xml;base64,{picture}">'
        self._send({"text/html": body, "text/plain": latest}, {})
        self._cost = time.perf_counter() - start
        self.draws += 1
        self.seconds_drawing += self._cost

    def _send(self, data: dict, metadata: dict) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(data, metadata=metadata, raw=True, display_id=True)
        else:
            self._handle.update(data, metadata=metadata, raw=True)

    def svg(self) -> str:
        """The curve so far as an SVG drawing."""
        everything = [y for points in self.series.values() for _, y in points if math.isfinite(y)]
        values = everything + list(self.floors.values())
        low, high = min(values, default=0.0), max(values, default=1.0)
        low, high = low - 0.05 * (high - low or 1.0), high + 0.05 * (high - low or 1.0)
        last = max(self.xmax or 0.0, *(points[-1][0] for points in self.series.values()), 1.0)

        def place(x: float, y: float) -> str:
            across = LEFT + (WIDTH - LEFT - RIGHT) * x / last
            return f"{across:.1f},{TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / (high - low):.1f}"

        parts = [_frame(self.xlabel, self.ylabel)]
        for tick in _ticks(low, high):
            x, y = place(0, tick).split(",")
            parts.append(
                f'<path d="M{x} {y}H{WIDTH - RIGHT}" stroke="#ddd"/><text x="{LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{tick:g}</text>'
            )
        for tick in _ticks(0, last):
            x = place(tick, low).split(",")[0]
            parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>')
        for name, floor in self.floors.items():
            x, y = place(last, floor).split(",")
            label = self.floor_label if len(self.floors) == 1 else f"floor, {name}"
            parts.append(
                f'<path d="M{LEFT} {y}H{x}" stroke="#000" stroke-dasharray="6 4" stroke-width="1.5"/>'
                f'<text x="{WIDTH - RIGHT}" y="{float(y) - 5:.1f}" text-anchor="end">{html.escape(label)}</text>'
            )
        for index, (name, points) in enumerate(self.series.items()):
            drawn = points[:: max(1, len(points) // POINTS_DRAWN)] + points[-1:]
            line = " ".join(place(x, y) for x, y in drawn if math.isfinite(y))
            colour, dash = (("#0072B2", "none"), ("#D55E00", "7 3"), ("#56B4E9", "2 3"))[index % 3]
            parts.append(
                f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
            )
            x, y = place(*points[-1]).split(",") if math.isfinite(points[-1][1]) else (LEFT, TOP)
            label = f"{points[-1][1]:.3f}" if len(self.series) == 1 else f"{name} {points[-1][1]:.3f}"
            parts.append(
                f'<text x="{x}" y="{float(y) - 8:.1f}" text-anchor="end" font-weight="bold" fill="{colour}">{html.escape(label)}</text>'
            )
        return "".join(parts) + "</svg>"


def _frame(xlabel: str, ylabel: str) -> str:
    middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#333"/>'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{html.escape(xlabel)}</text>'
        f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{html.escape(ylabel)}</text>'
    )


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers between low and high."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
    first = math.ceil(low / step)
    return [round(step * k, 10) for k in range(first, math.floor(high / step) + 1)]
