"""What notebook 00 runs: the printed code and where it stops, one step of training, first looks, the machine."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from transformers import BertConfig, BertForPreTraining, BertModel

from utils import corpus, hub, machine, models, plots, start
from utils.plots.start import before_and_after, known_truth_first

ROOT = Path(__file__).resolve().parents[1]
WORDS = "the nurse baker said that she he was happy . hello , my dog is cute".split()
PRINTED = """
from transformers import BertForSequenceClassification, BertTokenizer
model = BertForSequenceClassification.from_pretrained('bert-base-uncased')
tokenizer = BertTokenizer.from_pretrained('bert-base-uncased')
optimizer.step()
"""


@pytest.fixture(scope="module")
def tokenizer():
    return corpus.build_tokenizer(WORDS)


def tiny(kind, tokenizer):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return kind(BertConfig(vocab_size=len(tokenizer), **sizes)).eval()


@pytest.fixture
def unreachable(monkeypatch, tmp_path):
    """A machine with an empty cache, on which nobody answers."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "can_fetch", lambda name: False)
    return tmp_path


# --- the printed code -----------------------------------------------------------------------------------------------


def test_without_network_it_stops_at_loading_at_once_and_says_nothing_on_stderr(unreachable, capfd):
    began = time.perf_counter()
    outcome = start.run_as_printed(PRINTED, needs="bert-base-uncased")
    assert time.perf_counter() - began < 5
    assert outcome.error == "OSError" and "connect to 'https://huggingface.co'" in outcome.message
    assert outcome.line == "model = BertForSequenceClassification.from_pretrained('bert-base-uncased')"
    assert capfd.readouterr() == ("", "")
    assert not huggingface_hub.constants.HF_HUB_OFFLINE  # switched on again


def test_with_the_model_in_the_cache_it_stops_at_the_optimizer(unreachable, tokenizer, capfd):
    folder = unreachable / "models--bert-base-uncased"
    snapshot = folder / "snapshots" / "0123456789012345678901234567890123456789"
    tiny(BertForPreTraining, tokenizer).save_pretrained(snapshot)
    tokenizer.save_pretrained(snapshot)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(snapshot.name)
    capfd.readouterr()
    outcome = start.run_as_printed(PRINTED, needs="bert-base-uncased")
    assert (outcome.error, outcome.line) == ("NameError", "optimizer.step()")
    assert capfd.readouterr().err == ""
    notice = "\n".join(outcome.notices)
    assert "classifier.weight" in notice and "newly initialized" in notice
    assert str(unreachable) not in notice and "\x1b" not in notice


def test_with_a_network_it_is_left_on_and_says_that_it_downloads(unreachable, monkeypatch, capsys):
    monkeypatch.setattr(hub, "can_fetch", lambda name: True)
    source = "import huggingface_hub\nassert huggingface_hub.constants.HF_HUB_OFFLINE"
    assert start.run_as_printed(source, needs="bert-base-uncased").error == "AssertionError"
    assert capsys.readouterr().out == "bert-base-uncased is not on this machine; the code downloads it once.\n"
    assert start.run_as_printed(source).error == ""  # nothing needed: switched off


@pytest.mark.parametrize(
    ("source", "line", "error"),
    [
        ("x = 1", "", ""),
        ("x = 1\ny = x / 0", "y = x / 0", "ZeroDivisionError"),
        ("def f():\n    return g()\nf()", "return g()", "NameError"),
        ("x = (1", "x = (1", "SyntaxError"),
        ("import json\njson.loads('{')", "json.loads('{')", "JSONDecodeError"),
    ],
)
def test_where_code_stops(source, line, error):
    outcome = start.run_as_printed(source)
    assert (outcome.line, outcome.error) == (line, error)
    assert ("ran to its end" == str(outcome)) == (error == "")


# --- one step, first looks ------------------------------------------------------------------------------------------


def test_training_step_equals_gradient_descent_by_hand():
    class Line(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, x, labels):
            return SimpleNamespace(loss=((self.weight * x - labels) ** 2).mean())

    model, weight = Line().eval(), 1.0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in (((1.0, 2.0), (3.0, 5.0)), ((2.0, 1.0), (0.5, 2.0))):
        loss = np.mean([(weight * a - b) ** 2 for a, b in zip(x, y, strict=True)])
        got = start.training_step(model, {"x": torch.tensor(x), "labels": torch.tensor(y)}, optimizer)
        assert got == pytest.approx(loss, abs=1e-5) and model.training
        weight -= 0.1 * np.mean([2 * (weight * a - b) * a for a, b in zip(x, y, strict=True)])
        assert model.weight.item() == pytest.approx(weight, abs=1e-5)


def test_lean_to_she_is_a_difference_of_cosines_and_ignores_padding(tokenizer):
    model = tiny(BertModel, tokenizer)

    def vector(text):
        return model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)

    cosine = torch.nn.functional.cosine_similarity
    leans = start.lean_to_she(model, tokenizer, ["nurse", "the baker was happy ."])
    for text, lean in leans.items():
        wanted = cosine(vector(text), vector("she"), dim=0) - cosine(vector(text), vector("he"), dim=0)
        assert lean == pytest.approx(wanted.item(), abs=1e-5)
    turned = start.lean_to_she(model, tokenizer, ["nurse"], ("he", "she"))
    assert turned["nurse"] == pytest.approx(-leans["nurse"], abs=1e-5)


# --- figures --------------------------------------------------------------------------------------------------------


def test_opening_figure_draws_every_truth_and_every_estimate():
    planted, estimated = {"nurse": 0.9, "baker": 0.6, "chef": 0.2}, {"nurse": 0.8, "baker": 0.5, "chef": 0.3}
    real = {"one": {"nurse": 0.1, "baker": -0.1, "chef": 0.0}, "two": {"nurse": 0.2, "baker": 0.1, "chef": -0.1}}
    plots.use_house_style()
    figure = known_truth_first(planted, estimated, real)
    world, unknown = figure.axes
    drawn = {line.get_label(): line for line in world.lines}
    truth = drawn["truth: the share that was put in"]
    assert list(truth.get_xdata()) == [0.2, 0.6, 0.9] and truth.get_markerfacecolor() == "none"
    assert truth.get_markevery() == 1  # the style's cycle would leave most of them out
    assert list(drawn["what the model learned"].get_xdata()) == [0.3, 0.5, 0.8]
    assert [text.get_text() for text in world.get_yticklabels()] == ["chef", "baker", "nurse"]
    lines = [line for line in unknown.lines if len(line.get_xdata()) == 3]
    assert [list(line.get_xdata()) for line in lines] == [[0.0, -0.1, 0.1], [-0.1, 0.1, 0.2]]
    assert {line.get_marker() for line in lines} == {"s", "^"}
    assert len(plots.png(figure)) < 100_000


def test_before_and_after_puts_each_label_in_its_own_series():
    figure = before_and_after([0.5, 0.4, 0.6, 0.5], [0.9, 0.1, 0.8, 0.2], [1, 0, 1, 0])
    points = [sorted(line.get_ydata()) for line in figure.axes[0].lines if len(line.get_ydata()) == 2][:4]
    assert points == [[0.4, 0.5], [0.1, 0.2], [0.5, 0.6], [0.8, 0.9]]


# --- the map of the course -----------------------------------------------------------------------------------------


def test_minutes_of_the_paths_are_sums_of_the_map():
    path = ROOT / "notebooks" / "00_start_here.ipynb"
    text = next(cell.source for cell in nbformat.read(path, 4).cells if "## Which way" in cell.source)
    minutes = {n: int(m) for n, m in re.findall(r"^\| \[?(\d\d)\]?[^|]*\| [^|]+ \| (\d+) \|", text, re.MULTILINE)}
    assert list(minutes) == [f"{number:02d}" for number in range(20)]
    paths = re.findall(r"^\| \*\*[^|]+\*\* \| ((?:\d\d, )+\d\d): [^|]+ \| (\d+) \|", text, re.MULTILINE)
    assert len(paths) == 3
    for notebooks, total in paths:
        assert sum(minutes[number] for number in notebooks.split(", ")) == int(total)


# --- the machine ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "fragment"),
    [
        (machine.python("3.11.4"), ""),
        (machine.python("3.10.12"), "install Python 3.11"),
        (machine.library("torch", "2.13", "2.13.0+cpu"), ""),
        (machine.library("torch", "2.13", "2.9.1+cpu"), "older than 2.13"),
        (machine.library("torch", "2.13", None), "make lab"),
        (machine.cores(2), ""),
        (machine.cores(1), "twice"),
        (machine.memory(2.5, 8.0), ""),
        (machine.memory(1.5, 8.0), "close other programs"),
        (machine.disk(20.0), ""),
        (machine.disk(0.2), "make room"),
        (machine.number_format("float32", 100.0, 10.0), ""),
        (machine.hugging_face(True), ""),
        (machine.hugging_face(False), "skipped"),
    ],
)
def test_verdicts(row, fragment):
    what, found, verdict = row
    assert what and found
    assert (verdict == "ok") if not fragment else (fragment in verdict)


def test_the_number_format_says_how_a_layer_was_timed():
    assert "4 times as fast in bfloat16" in machine.number_format("bfloat16", 20.0, 5.0)[1]


def test_weights_are_compared_with_their_checksum(monkeypatch):
    what, found, verdict = machine.weights("minilm")
    assert (what, verdict) == ("model minilm", "ok") and found.startswith("sha256 53aa51172d14")
    monkeypatch.setattr(models, "MINILM_SHA256", "0" * 64)
    assert "should be 000000000000" in machine.weights("minilm")[2]
    monkeypatch.setattr(models, "CHECKPOINTS", Path("nowhere"))
    assert machine.weights("world-small")[1] == "missing" and "restore it" in machine.weights("world-small")[2]


def test_lowest_versions_are_those_of_the_package():
    least = machine.lowest_versions()
    assert list(least) == list(machine.LIBRARIES)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f'"{name}>={found}"' in text for name, found in least.items())


def test_check_gives_one_row_each_without_noise(monkeypatch, capfd):
    monkeypatch.setattr(hub, "can_fetch", lambda name: False)
    table = machine.check()
    assert list(table.columns) == ["what", "found", "verdict"] and table["what"].is_unique
    assert {"Python", "torch", "memory", "number format", "disk", "model minilm"} <= set(table["what"])
    assert not table["found"].str.contains("/").any() and (table["verdict"] != "").all()
    assert capfd.readouterr() == ("", "")


def test_show_escapes_and_sets_commands_as_code(monkeypatch):
    table = pd.DataFrame([("a", "<b>", f"run `make lab`{' again' * 20}")], columns=["what", "found", "verdict"])
    monkeypatch.setattr(machine, "check", lambda: table)
    page = machine.show().data
    assert "&lt;b&gt;" in page and "<code>make lab</code>" in page and "<td>" not in page
    assert page.count("again") == 20


def test_opening_figure_from_the_command_line(tmp_path, capfd):
    start.main([str(tmp_path / "figure.png")])
    assert (tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG" and capfd.readouterr() == ("", "")
    with pytest.raises(SystemExit, match="usage"):
        start.main([])
