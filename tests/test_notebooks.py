"""The lint of the committed notebooks, and the proof that each of its rules fires on a notebook that breaks it."""

from __future__ import annotations

import copy
import os
import re
import warnings
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests import example_notebook, notebook_lint, notebook_parts
from tests.notebook_lint import GOOD_PROSE, LARGEST_FILE, problems, prose_words
from tests.notebook_parts import FOLDER, ROOT, Notebook, notebook_paths

PATHS = notebook_paths()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_notebook_keeps_the_rules(path):
    notebook = Notebook.read(path)
    nbformat.validate(nbformat.read(path, as_version=4))
    assert problems(notebook) == []
    count = prose_words(notebook)
    if not GOOD_PROSE[0] <= count <= GOOD_PROSE[1]:
        warnings.warn(f"{path.name}: {count} words of prose; aim at {GOOD_PROSE}", stacklevel=1)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_notebook_is_not_too_large(path):
    assert path.stat().st_size < LARGEST_FILE


def test_notebooks_have_the_numbers_of_the_syllabus():
    numbers = [path.name[:2] for path in PATHS]
    assert len(set(numbers)) == len(numbers) and set(numbers) <= {f"{number:02d}" for number in range(20)}
    names = [path.name for path in FOLDER.glob("*.ipynb") if ".mine-" not in path.name]
    assert [name for name in names if not re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", name)] == []


def test_readme_maps_exactly_the_notebooks_there_are():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    mapped = set(re.findall(r"\]\(notebooks/(\d\d_[\w-]+\.ipynb)", text))
    assert mapped == {path.name for path in PATHS}


# Every rule fires -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> nbformat.NotebookNode:
    """The example notebook, executed in a kernel of its own."""
    folder = tmp_path_factory.mktemp("example")
    node = example_notebook.build(folder)
    search = os.pathsep.join([str(ROOT), str(folder), os.environ.get("PYTHONPATH", "")])
    client = NotebookClient(node, timeout=120, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1"})
    return node


def judged(node: nbformat.NotebookNode) -> list[str]:
    return problems(Notebook.of(node, FOLDER / "99_example.ipynb"))


def test_the_example_keeps_every_rule(example):
    nbformat.validate(example)
    assert judged(example) == []


def cell(node, tag: str, which: int = 0):
    return [cell for cell in node.cells if tag in cell.metadata.get("tags", [])][which]


def containing(node, text: str):
    return next(cell for cell in node.cells if text in cell.source)


def swap(node, tag: str, old: str, new: str, which: int = 0) -> None:
    target = cell(node, tag, which)
    assert old in target.source
    target.source = target.source.replace(old, new)


def say(node, text: str) -> None:
    """Add a sentence to the prose."""
    containing(node, "## How surprising").source += "\n\n" + text


def output(node, text: str, name: str = "stdout", tag: str = "seed") -> None:
    cell(node, tag).outputs.append(nbformat.v4.new_output("stream", name=name, text=text))


def remove(node, target) -> None:
    node.cells.remove(target)


def move_to_end(node, target) -> None:
    node.cells.remove(target)
    node.cells.append(target)


def bare_figure(node) -> None:
    shown = containing(node, "plots.show(").outputs[0]
    del shown.data["text/html"]
    shown.metadata.clear()


def fail_claim(node) -> None:
    shown = cell(node, "claims").outputs[0]
    shown.data["text/plain"] = shown.data["text/plain"].replace("holds  99.share", "FAILS  99.share")


def widget(node) -> None:
    data = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "bar"}
    cell(node, "seed").outputs.append(nbformat.v4.new_output("display_data", data=data))


def error(node) -> None:
    raised = nbformat.v4.new_output("error", ename="ValueError", evalue="no", traceback=[])
    cell(node, "seed").outputs.append(raised)


BROKEN = [
    (lambda n: swap(n, "card", "You will be able to", "You learn"), "'You will be able to'"),
    (lambda n: swap(n, "card", "- see\n", ""), "it lists 2"),
    (lambda n: swap(n, "card", "5 minutes", "soon"), "how many minutes"),
    (lambda n: setattr(n.cells[0], "source", "# Example"), "'# 99 · Title'"),
    (lambda n: setattr(n.cells[0], "source", "# 99 · Example\n\nShort."), "lacks the promise"),
    (lambda n: remove(n, cell(n, "seed")), "0 cells tagged 'seed'"),
    (lambda n: move_to_end(n, cell(n, "imports")), "should come first"),
    (lambda n: swap(n, "seed", "plots.use_house_style()", "pass"), "use_house_style"),
    (lambda n: swap(n, "seed", "claims.seed(default=0)", "0"), "claims.seed()"),
    (lambda n: remove(n, containing(n, "## Sources")), "0 sections '## Sources'"),
    (lambda n: move_to_end(n, containing(n, "## Sources")), "closing sections stand in the order"),
    (lambda n: remove(n, containing(n, "## Quiz")), "stands under"),
    (lambda n: cell(n, "card").metadata.tags.append("nbval-skip"), "the tag 'nbval-skip'"),
    (lambda n: n.cells[3].update(id=n.cells[2]["id"]), "used twice"),
    (lambda n: n.metadata.kernelspec.update(name="venv"), "the kernel is 'venv'"),
    (lambda n: swap(n, "seed", "SEED", "\n" * 30 + "SEED"), ""),  # blank lines at the start do not count ...
    (lambda n: swap(n, "seed", "SEED", "pass\n" * 30 + "SEED"), "has 32 lines"),  # ... but code does
    (lambda n: swap(n, "seed", "SEED", "import os\nSEED"), "os is imported outside"),
    (lambda n: swap(n, "seed", "SEED", "SEED SEED"), "does not parse"),
    (lambda n: swap(n, "seed", "SEED", 'open("../data/x.csv")\nSEED'), "relative to its folder"),
    (lambda n: containing(n, "plt.subplots").update(source=" "), "empty code cell"),
    (lambda n: [remove(n, cell(n, tag)) for tag in ("exercise", "stub", "check")], "2 exercises"),
    (lambda n: swap(n, "exercise", "Exercise 99.1", "Exercise 99.7"), "numbered 99.7"),
    (lambda n: swap(n, "check", "check.mean(mean)", "check.surprise(mean)"), "same check"),
    (lambda n: cell(n, "quiz").metadata.tags.append("check"), "a stub or check stands outside"),
    (lambda n: swap(n, "exercise", "difficulty 1 of 5", "difficulty 9 of 5"), "'*difficulty"),
    (lambda n: n.cells.insert(7, nbformat.v4.new_markdown_cell("Aside.", id="aside")), "should be card, stub, check"),
    (lambda n: swap(n, "check", "check.mean(mean)", "print(check.mean(mean))"), "check.NAME(answer) alone"),
    (lambda n: swap(n, "fold", "Hint 2", "Hint 3"), "the folds should be"),
    (lambda n: swap(n, "solution", "```python", "```text"), "0 folded python solutions"),
    (lambda n: swap(n, "fold", "</details>", "", which=2), "not closed"),
    (lambda n: say(n, "word " * 2000), "words of prose"),
    (lambda n: containing(n, "## How").update(source="## How surprising is a coin?"), "words of prose"),
    (lambda n: say(n, "[later](20_nowhere.ipynb)"), "leads nowhere"),
    (lambda n: say(n, "[out](../../elsewhere.txt)"), "leads nowhere"),
    (lambda n: say(n, "[above](#Not-there)"), "names a heading that is not there"),
    (lambda n: say(n, "![plot](../README.md)"), "at least four words"),
    (lambda n: say(n, '<img src="x.png">'), "no alt text"),
    (lambda n: say(n, "`stats.wilsen` does it."), "names `stats.wilsen`"),
    (lambda n: say(n, "`utils.nothing.here` does it."), "names `utils.nothing.here`"),
    (lambda n: say(n, "See `utils/nothing.py`."), "names the file utils/nothing.py"),
    (lambda n: cell(n, "seed").update(execution_count=7), "code cell 2 has 7"),
    (lambda n: cell(n, "claims").update(execution_count=None), "has None"),
    (error, "ended with ValueError"),
    (lambda n: output(n, "UserWarning: old", name="stderr"), "wrote to stderr"),
    (widget, "a widget is left behind"),
    (lambda n: output(n, "saved to /home/ada/model"), "a local path"),
    (lambda n: output(n, "saved to C:\\Users\\ada"), "a local path"),
    (lambda n: output(n, "started at 09:41"), "a time of day"),
    (lambda n: output(n, "<object at 0x7f3a2b1c4d>"), "an address in memory"),
    (lambda n: output(n, " 40%|████      | 2/5"), "a progress bar"),
    (lambda n: output(n, "\x1b[31mred"), "colour codes"),
    (lambda n: output(n, "FutureWarning: soon"), "a warning"),
    (bare_figure, "has no alt text"),
    (bare_figure, "has no caption"),
    (lambda n: containing(n, "plots.show(").update(outputs=[]), "the figure of this cell is missing"),
    (lambda n: cell(n, "check").update(outputs=[]), "should show 'not attempted yet'"),
    (lambda n: cell(n, "quiz").update(outputs=[]), "shows no quiz"),
    (lambda n: cell(n, "claims").update(outputs=[]), "shows no ledger"),
    (fail_claim, "does not hold"),
    (lambda n: swap(n, "claims", "ledger.table()", "ledger.add('99.share')\nledger.table()"), "entered twice"),
]  # fmt: skip


@pytest.mark.parametrize(("break_it", "fragment"), BROKEN, ids=lambda value: value if isinstance(value, str) else "")
def test_rule_fires(example, break_it, fragment):
    node = copy.deepcopy(example)
    break_it(node)
    found = judged(node)
    if fragment:
        assert any(fragment in sentence for sentence in found), found
    else:
        assert found == []


def test_every_rule_is_proved(example):
    """No rule of the lint is without a notebook above that breaks it."""
    fired = set()
    for break_it, _ in BROKEN:
        node = copy.deepcopy(example)
        break_it(node)
        notebook = Notebook.of(node, FOLDER / "99_example.ipynb")
        fired |= {rule.__name__ for rule in notebook_lint.RULES if list(rule(notebook))}
    assert fired == {rule.__name__ for rule in notebook_lint.RULES}


# Small parts ----------------------------------------------------------------------------------------------------


def test_words_leaves_out_folds_code_and_formulas():
    text = "Two words.\n\n```python\nno = words\n```\n<details><summary>S</summary>no words</details>\n$H(p) = 1$"
    assert notebook_parts.words(text) == 3  # the formula counts as one


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("`claims.Ledger.table`", []),
        ("`utils.claims.Ledger`", []),
        ("`claims.table()`", []),  # a method of a class in the module
        ("`torch.nothing`", []),  # not ours to check
        ("```python\nclaims.nothing\n```", []),
        ("`claims.nothing`", ["claims.nothing"]),
        ("`utils.exercises.quiz.show`", []),
        ("`utils.exercises.quiz.hide`", ["utils.exercises.quiz.hide"]),
    ],
)
def test_unknown_names(text, unknown):
    assert notebook_lint.unknown_names(text) == unknown


def test_links_are_followed_into_other_notebooks(example, tmp_path, monkeypatch):
    monkeypatch.setattr(notebook_lint, "ROOT", tmp_path)
    nbformat.write(example, tmp_path / "98_other.ipynb")
    node = copy.deepcopy(example)
    say(node, "[there](98_other.ipynb#Quiz) and [not](98_other.ipynb#Nowhere)")
    found = problems(Notebook.of(node, Path(tmp_path / "99_example.ipynb")))
    assert found == ["the link to 98_other.ipynb#Nowhere names a heading that is not there."]
