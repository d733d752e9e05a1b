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

from matplotlib.figure import Figure

from utils.plots.sketch import HEIGHT, WIDTH, sketch

SHORTEST_INTERVAL = 0.5  # seconds between two updates of the display
LARGEST_SHARE = 0.02  # of the time since the last update that drawing may take


class LiveCurve:
    """A curve (or several) that updates in place: `update(step, loss)` as often as you like, `finish(...)` once.

    floor: the lowest value any model can reach, drawn as a dashed black line; a mapping {series: floor} for several.
    log: a logarithmic axis for the loss, so that the last tenths above a floor can be seen.
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
        xmax: float = 0.0,
        log: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ):
        if floor is None:
            self.lines = {}
        elif isinstance(floor, Mapping):
            self.lines = {f"floor, {name}": float(height) for name, height in floor.items()}
        else:
            self.lines = {floor_label: float(floor)}
        self.xlabel, self.ylabel, self.xmax, self.log = xlabel, ylabel, xmax, log
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

    def figure(self) -> Figure:
        """The curve so far as a matplotlib figure in the house style."""
        import matplotlib.pyplot as plt

        from utils.plots import LINESTYLES, PALETTE, plain_log_ticks, truth_line

        figure, ax = plt.subplots()
        styles = [style for style in LINESTYLES if style != "--"]  # dashed is kept for floors
        for place, (name, points) in enumerate(self.series.items()):
            x, y = zip(*points, strict=True)
            ax.plot(x, y, color=PALETTE[place % 5], linestyle=styles[place % len(styles)], marker="", label=name)
        several = len(self.lines) > 1
        for place, (label, height) in enumerate(sorted(self.lines.items(), key=lambda line: line[1])):
            # labels outside point away from each other: the lowest hangs, the others stand
            side = ("top" if place == 0 else "bottom") if several else "center"
            truth_line(ax, height, label, below=not several, outside=several, side=side)
        if self.log:
            ax.set_yscale("log")
        ax.margins(y=0.12)  # room for the label under the floor
        ax.set(xlabel=self.xlabel, ylabel=self.ylabel)
        if self.log:
            plain_log_ticks(ax)
        if len(self.series) > 1:
            ax.legend()
        return figure

    def svg(self) -> str:
        """The curve so far as a quick SVG drawing."""
        return sketch(self.series, self.lines, self.xlabel, self.ylabel, self.xmax, self.log)

    def _draw(self) -> None:
        start = time.perf_counter()
        picture = b64encode(self.svg().encode()).decode("ascii")
        latest = ", ".join(f"{name} {points[-1][1]:.3f}" for name, points in self.series.items())
        body = (
            f'<img width="{WIDTH}" height="{HEIGHT}" alt="training curve so far; latest: {html.escape(latest)}" '
            f'src="data:image/svg+xml;base64,{picture}">'
        )
        self._send({"text/html": body, "text/plain": latest}, {})
        self._cost = time.perf_counter() - start
        self.draws += 1
        self.seconds_drawing += self._cost

    def _send(self, data: dict, metadata: dict) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(data, metadata=metadata, raw=True, display_id=True)
        elif self._handle:
            self._handle.update(data, metadata=metadata, raw=True)
