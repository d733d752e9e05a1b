"""The house style: captions and alt text are required, pictures are reproducible, live curves are cheap."""

from __future__ import annotations

import base64
import io
import re
import time
import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from PIL import Image

from utils import plots
from utils.plots import live
from utils.plots.sketch import sketch

CAPTION, ALT = "The `loss` falls to the floor.", 'A "curve" that falls from <5> to 1.'


@pytest.fixture(autouse=True)
def house_style():
    with mpl.rc_context():
        mpl.use("agg")
        plots.use_house_style()
        yield
        plt.close("all")


def figure():
    drawn, ax = plt.subplots()
    for factor in (1, 2, 3):
        ax.plot(np.linspace(0, 1, 50), factor * np.linspace(0, 1, 50) ** 2, label=str(factor))
    return drawn


def test_bundle_holds_picture_caption_and_alt_text():
    data, metadata = plots.figure_bundle(figure(), CAPTION, ALT)
    page = ElementTree.fromstring(data["text/html"].replace(";base64", ";base64").replace('.">', '."/>'))
    assert page.find("img").get("alt") == ALT == metadata["image/png"]["alt"]
    assert "".join(page.find("figcaption").itertext()) == "The loss falls to the floor."
    assert page.find("img").get("src") == "data:image/png;base64," + data["image/png"]
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size == (704, 396)
    assert CAPTION in data["text/plain"]


@pytest.mark.parametrize(
    ("caption", "alt", "named"), [("", ALT, "caption"), (CAPTION, " ", "alt"), (CAPTION, "a plot", "alt")]
)
def test_caption_and_alt_text_are_required(caption, alt, named):
    with pytest.raises(ValueError, match=named):
        plots.show(figure(), caption, alt)


def test_show_displays_once_and_closes_the_figure():
    InteractiveShell.instance()
    drawn = figure()
    with capture_output() as captured:
        plots.show(drawn, CAPTION, ALT)
    assert len(captured.outputs) == 1 and set(captured.outputs[0].data) == {"text/html", "image/png", "text/plain"}
    assert not plt.fignum_exists(drawn.number) and captured.stdout == captured.stderr == ""


def test_pictures_are_the_same_bytes_every_time_and_small():
    first, second = plots.png(figure()), plots.png(figure())
    assert first == second and len(first) < 40_000
    assert b"Software" not in first and b"tIME" not in first and b"Date" not in first


def test_a_picture_that_is_too_large_is_refused():
    drawn, ax = plt.subplots(figsize=(9, 6))
    ax.imshow(np.random.default_rng(0).random((600, 900)), interpolation="nearest")
    with pytest.raises(ValueError, match="kB; draw less"):
        plots.png(drawn)


def grey(colour: str) -> float:
    red, green, blue = mpl.colors.to_rgb(colour)
    return 255 * (0.299 * red + 0.587 * green + 0.114 * blue)


def test_palette_keeps_its_order_in_grey():
    shades = [grey(colour) for colour in plots.PALETTE]
    assert shades[0] + 30 <= shades[1] and shades[1] + 30 <= shades[2] < 200
    assert len(set(plots.PALETTE)) == len(set(plots.MARKERS)) == len(set(map(str, plots.LINESTYLES))) == 5


def colour_blind(colour: str) -> np.ndarray:
    """A colour as a deuteranope sees it (Machado, Oliveira and Fernandes 2009, severity 1)."""
    matrix = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    linear = np.array(mpl.colors.to_rgb(colour)) ** 2.2
    return np.clip(np.array(matrix) @ linear, 0, 1) ** (1 / 2.2)


def test_palette_stays_apart_without_red_and_green():
    seen = [colour_blind(colour) for colour in plots.PALETTE[:4]]
    distances = [np.linalg.norm(a - b) for k, a in enumerate(seen) for b in seen[:k]]
    assert min(distances) > 0.15


def test_series_differ_in_line_and_marker_too():
    lines = figure().axes[0].lines
    assert len({line.get_linestyle() for line in lines}) == len({line.get_marker() for line in lines}) == 3


def test_truth_is_dashed_black_and_labelled():
    _, ax = plt.subplots()
    plots.truth_line(ax, 0.5, "floor")
    plots.truth_line(ax, 0.5, "start", vertical=True)
    plots.truth_line(ax, 0.7, "under", below=True)
    plots.truth_line(ax, 0.9, "beside", outside=True)
    plots.truth_marker(ax, [1], [2], "planted")
    assert [text.get_text() for text in ax.texts] == ["floor", "start", "under", "beside"]
    assert all(line.get_color() == "#000000" and line.is_dashed() for line in ax.lines[:4])
    assert ax.lines[4].get_markerfacecolor() == "none" and ax.lines[4].get_label() == "planted"


def test_interval_band_and_direct_label():
    _, ax = plt.subplots()
    plots.interval_band(ax, [0, 1], [0.1, 0.2], [0.3, 0.5])
    plots.direct_label(ax, 1, 0.3, "BERT")
    corners = ax.collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == 0.1 and corners[:, 1].max() == 0.5
    assert ax.texts[0].get_text() == "BERT"


def test_text_heatmap_writes_every_token_and_score():
    tokens = "[CLS] mary costs $5 and $6 . [SEP]".split()
    drawn = plots.text_heatmap(tokens, np.linspace(-1, 1, len(tokens)), per_line=5)
    texts = [text.get_text() for ax in drawn.axes for text in ax.texts]
    assert texts[::2] == tokens and texts[1] == "-1.00" and texts[-1] == "1.00"
    assert len(plots.png(drawn)) < 40_000
    darkest = [patch.get_facecolor()[:3] for patch in drawn.axes[0].patches]
    assert darkest[0] != darkest[-1]
    with pytest.raises(ValueError, match="8 tokens and 1 scores"):
        plots.text_heatmap(tokens, [1.0])


def test_text_heatmap_of_positive_and_of_equal_scores():
    assert plots.text_heatmap(["a", "b"], [0.0, 2.0]).axes[0].patches[0].get_facecolor()[2] > 0.9  # white to blue
    plots.png(plots.text_heatmap(["a"], [0.0]))


# Live curves ----------------------------------------------------------------------------------------------------


class Display:
    """Stands in for IPython's display handle; counts what is sent."""

    def __init__(self):
        self.sent = []

    def update(self, data, metadata, raw):
        self.sent.append((data, metadata))


def curve(clock, **settings) -> plots.LiveCurve:
    made = plots.LiveCurve(floor=0.5, clock=clock, **settings)
    made._handle = Display()
    return made


def test_updates_come_at_most_twice_a_second():
    now = [0.0]
    live_curve = curve(lambda: now[0])
    for step in range(1000):
        now[0] = step / 100  # ten seconds in all
        live_curve.update(step, 1 / (step + 1))
    assert 10 <= live_curve.draws <= 21


def test_slow_drawing_is_done_less_often(monkeypatch):
    now = [0.0]
    ticks = iter(np.arange(0, 10_000, 0.1))  # every drawing seems to take 0.1 s
    monkeypatch.setattr(live.time, "perf_counter", lambda: float(next(ticks)))
    live_curve = curve(lambda: now[0])
    for step in range(1000):
        now[0] = step / 20  # fifty seconds
        live_curve.update(step, 1.0)
    assert live_curve.seconds_drawing <= 0.02 * 50 + 0.1


def test_drawing_a_long_curve_is_cheap():
    live_curve = curve(lambda: 0.0)
    for step in range(2000):
        live_curve.update(step, 5 / (1 + step))
    start = time.process_time()
    for _ in range(50):
        live_curve._draw()
    assert (time.process_time() - start) / 50 < 0.01  # 2 % of half a second
    assert max(len(data["text/html"]) for data, _ in live_curve._handle.sent) < 30_000


def test_sketch_is_well_formed_and_true():
    drawing = sketch({"a<b": [(0, 2.0), (10, 1.0), (20, float("nan"))]}, {"floor & more": 0.5}, "step", "nats <x>")
    root = ElementTree.fromstring(drawing)
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert "floor & more" in texts and "nats <x>" in texts and "1.000" in texts
    line = next(element for element in root.iter() if element.tag.endswith("polyline"))
    points = [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
    assert points[0][0] == 60 and points[-1][0] == 540 and points[0][1] < points[-1][1]  # it falls, to the right edge
    assert "nan" not in drawing


def test_a_logarithmic_sketch_spaces_doublings_evenly():
    drawing = sketch({"loss": [(0, 4.0), (1, 0.0), (1, 2.0), (2, 1.0)]}, {"floor": 0.5}, "step", "nats", log=True)
    corners = re.search(r'polyline points="([^"]+)"', drawing).group(1).split()
    heights = [float(corner.split(",")[1]) for corner in corners]
    assert len(heights) == 3 and heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.2)
    assert ">1.000<" in drawing and ">2<" in drawing and ">0.5<" in drawing  # the latest value as it is; plain numbers


@pytest.mark.parametrize("values", [[float("nan")], [1.0], [2.0, 2.0], [float("inf"), 1.0], [1e-9, 2e-9], [1e9, -1e9]])
def test_sketch_survives_any_numbers(values):
    ElementTree.fromstring(sketch({"loss": list(enumerate(values))}, {}, "step", "loss"))


def test_finish_leaves_one_figure_with_caption_and_alt_text():
    InteractiveShell.instance()
    with capture_output() as captured:
        live_curve = plots.LiveCurve(floor={"mlm": 0.5, "nsp": 0.2})
        live_curve.update(0, mlm=5.0, nsp=0.7)
        live_curve.update(1, mlm=1.0, nsp=0.3)
        live_curve.finish(CAPTION, ALT)
    assert captured.stdout == captured.stderr == ""
    first, last = captured.outputs[0], captured.outputs[-1]
    assert "image/svg+xml" in first.data["text/html"] and "alt=" in first.data["text/html"]
    assert last.metadata["image/png"]["alt"] == ALT and "<figcaption" in last.data["text/html"]
    assert plt.get_fignums() == []


def test_finish_without_points_says_so():
    with pytest.raises(ValueError, match="no points yet"):
        plots.LiveCurve().finish(CAPTION, ALT)


def test_finished_figure_shows_curve_and_floor():
    live_curve = curve(iter(range(100)).__next__)
    for step in range(5):
        live_curve.update(step, 5.0 - step)
    ax = live_curve.figure().axes[0]
    assert list(ax.lines[0].get_ydata()) == [5, 4, 3, 2, 1] and ax.texts[0].get_text() == "no model can go below this"
    assert ax.get_ylim()[0] < 0.5
