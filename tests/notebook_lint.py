"""The rules that every committed notebook keeps. `problems(notebook)` lists, in sentences, where one does not.

Rules about what a cell shows are in `notebook_outputs.py`; what the exercises do when run is in `test_teaching.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from tests.notebook_names import unknown_files, unknown_names
from tests.notebook_outputs import OUTPUT_RULES
from tests.notebook_parts import ROOT, SUMMARY, Notebook, tags, top_level_imports, words

Rule = Callable[[Notebook], Iterator[str]]

TAGS = {
    "imports", "seed", "card", "exercise", "stub", "check", "fold", "solution", "quiz", "claims", "content-note",
    "nbval-check-output", "nbval-ignore-output",
}  # fmt: skip
FOLDS = ["Expected output", "Hint 1", "Hint 2", "Solution", "Discussion"]
ENDING = ["What this does not show", "Quiz", "Claims", "Sources", "Next"]
DIFFICULTY = re.compile(r"^\*difficulty ([1-5]) of 5 · importance ([1-5]) of 5 · (\d+) minutes?\*$", re.MULTILINE)
LONGEST_CELL = 30  # lines
PROSE = (1200, 3000)  # words; a notebook outside is refused
GOOD_PROSE = (1500, 2500)  # words; the length to aim at
LARGEST_FILE = 1_500_000  # bytes


def problems(notebook: Notebook) -> list[str]:
    """Everything that is wrong with a notebook, one sentence each."""
    return [sentence for rule in RULES for sentence in rule(notebook)]


def opening(notebook: Notebook) -> Iterator[str]:
    """Title and promise, card, imports, seed: once each, and in this order, before anything else."""
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not re.match(rf"# {notebook.number} · \S", first.source):
        yield f"the first cell does not begin with '# {notebook.number} · Title'."
    elif len(first.source.split("\n", 1)[-1].split()) < 15:
        yield "the first cell lacks the promise: a paragraph under the title."
    for tag in ("card", "imports", "seed", "quiz", "claims"):
        if len(notebook.tagged(tag)) != 1:
            yield f"there are {len(notebook.tagged(tag))} cells tagged {tag!r}; there should be one."
    order = [tag for cell in notebook.cells for tag in tags(cell) if tag in ("card", "imports", "seed", "exercise")]
    if order[:3] != ["card", "imports", "seed"]:
        yield f"card, imports and seed should come first, in this order; the tags begin {', '.join(order[:3])}."
    if not any("plots.use_house_style()" in c.source for t in ("imports", "seed") for c in notebook.tagged(t)):
        yield "neither the imports cell nor the seed cell calls plots.use_house_style()."
    if not any("claims.seed(" in cell.source for cell in notebook.tagged("seed")):
        yield "the seed cell does not take its seed from claims.seed()."


def card(notebook: Notebook) -> Iterator[str]:
    """The card says what the learner will be able to do (3 to 5 items) and how long it takes."""
    for cell in notebook.tagged("card"):
        items = len(re.findall(r"^\s*[-*] ", cell.source, re.MULTILINE))
        if "You will be able to" not in cell.source or not 3 <= items <= 5:
            yield f"the card should list 3 to 5 things under 'You will be able to'; it lists {items}."
        if not re.search(r"\b\d+ minutes\b", cell.source):
            yield "the card does not say how many minutes the notebook takes."


def ending(notebook: Notebook) -> Iterator[str]:
    """The closing sections are there and in order; quiz and claims cells stand under their headings."""
    found = [text for level, text in notebook.headings() if level == 2 and text in ENDING]
    for name in ENDING:
        if found.count(name) != 1:
            yield f"there are {found.count(name)} sections '## {name}'; there should be one."
    if sorted(found, key=ENDING.index) != found:
        yield f"the closing sections stand in the order {', '.join(found)}; it should be {', '.join(ENDING)}."
    section = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            section = [section, *re.findall(r"^## +(.+?) *$", cell.source, re.MULTILINE)][-1]
        for tag, heading in (("quiz", "Quiz"), ("claims", "Claims")):
            if tag in tags(cell) and section != heading:
                yield f"the cell tagged {tag!r} stands under '{section}', not under '## {heading}'."


def tagging(notebook: Notebook) -> Iterator[str]:
    """Only known tags, only stable and unique cell ids."""
    for cell in notebook.cells:
        for tag in tags(cell):
            if tag not in TAGS:
                yield f"the tag {tag!r} is not one of the course's; cell {_start(cell)}."
    names = [cell.get("id") for cell in notebook.cells]
    if None in names or len(set(names)) < len(names):
        yield "cell ids are missing or used twice (nbformat 4.5 gives every cell one)."
    kernel = notebook.metadata.get("kernelspec", {})
    if kernel.get("name") != "python3":
        yield f"the kernel is {kernel.get('name')!r}; it should be 'python3'."


def code_cells(notebook: Notebook) -> Iterator[str]:
    """Short cells, none empty, imports in one place."""
    for cell in notebook.code:
        lines = cell.source.strip().splitlines()
        if not lines:
            yield "there is an empty code cell."
        if len(lines) > LONGEST_CELL:
            yield f"a code cell has {len(lines)} lines; the most is {LONGEST_CELL}: {_start(cell)}."
        if '"../' in cell.source:
            yield f"a code cell opens a path relative to its folder; start from models.CHECKPOINTS: {_start(cell)}."
        if "imports" not in tags(cell):
            try:
                modules = top_level_imports(cell.source)
            except SyntaxError as error:
                yield f"a code cell does not parse ({error.msg}): {_start(cell)}."
                continue
            if modules:
                yield f"{modules[0]} is imported outside the imports cell: {_start(cell)}."


def exercises(notebook: Notebook) -> Iterator[str]:
    """At least three, numbered in order, each with card, stub, check and the five folds in order."""
    found = notebook.exercises()
    if len(found) < 3:
        yield f"there are {len(found)} exercises; there should be at least three."
    expected = [f"{int(notebook.number)}.{k + 1}" for k in range(len(found))]
    if [exercise.identifier for exercise in found] != expected:
        yield f"the exercises are numbered {', '.join(e.identifier for e in found)}, not {', '.join(expected)}."
    names = [exercise.name for exercise in found]
    if len(set(names)) < len(names):
        yield "two exercises use the same check."
    claimed = sum(tag in tags(cell) for cell in notebook.cells for tag in ("stub", "check"))
    if claimed != 2 * len(found):
        yield "a stub or check stands outside an exercise, or an exercise has two."
    for exercise in found:
        for sentence in _exercise(exercise):
            yield f"exercise {exercise.identifier}: {sentence}"


def _exercise(exercise) -> Iterator[str]:
    lines = [line for line in exercise.card.splitlines() if line.strip()]
    if len(lines) < 3 or not DIFFICULTY.match(lines[1]):
        yield "the heading should be followed by '*difficulty 2 of 5 · importance 5 of 5 · 5 minutes*' and the task."
    kinds = [
        kind for place, kind in enumerate(exercise.kinds) if kind != "fold" or "fold" not in exercise.kinds[:place]
    ]
    if kinds != ["stub", "check", "fold"]:
        yield f"its cells should be card, stub, check, folds; after the card come {', '.join(kinds) or 'none'}."
    if not re.fullmatch(r"check\.\w+\(.+\)", exercise.check.strip(), re.DOTALL):
        yield f"the check cell should hold check.NAME(answer) alone; it holds {exercise.check.strip()[:40]!r}."
    if exercise.summaries != FOLDS:
        yield f"the folds should be {', '.join(FOLDS)}; they are {', '.join(exercise.summaries) or 'missing'}."
    if len(exercise.solutions) != 1:
        yield f"it has {len(exercise.solutions)} folded python solutions (in a cell tagged 'solution'), not one."
    for fold in exercise.folds:
        if fold.count("<details>") != fold.count("</details>") or fold.count("<details>") != len(SUMMARY.findall(fold)):
            yield "a fold is not closed, or lacks its summary."


def prose(notebook: Notebook) -> Iterator[str]:
    """Neither too little nor too much to read."""
    count = prose_words(notebook)
    if not PROSE[0] <= count <= PROSE[1]:
        yield f"there are {count} words of prose; aim at {GOOD_PROSE[0]} to {GOOD_PROSE[1]}."


def prose_words(notebook: Notebook) -> int:
    return sum(words(cell.source) for cell in notebook.markdown)


def links(notebook: Notebook) -> Iterator[str]:
    """Relative links lead to files, and to headings, that exist; pictures in the text have alt text."""
    for cell in notebook.markdown:
        for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", cell.source):
            yield from _link(notebook, target)
        for alt in re.findall(r"!\[([^\]]*)\]\(", cell.source):
            if len(alt.split()) < 4:
                yield f"a picture in the text has the alt text {alt!r}; describe it in at least four words."
        for image in re.findall(r"<img\b[^>]*>", cell.source):
            if not re.search(r'\balt="[^"]{12,}"', image):
                yield "a picture (<img>) in the text has no alt text."


def _link(notebook: Notebook, target: str) -> Iterator[str]:
    if re.match(r"https?://|mailto:", target):
        return
    name, _, anchor = target.partition("#")
    path = (notebook.path.parent / name).resolve() if name else notebook.path
    if name and not (path.exists() and path.is_relative_to(ROOT)):
        yield f"the link to {target} leads nowhere."
    elif anchor and path.suffix == ".ipynb":
        other = notebook if path == notebook.path else Notebook.read(path)
        if anchor not in anchors(other):
            yield f"the link to {target} names a heading that is not there."


def anchors(notebook: Notebook) -> set[str]:
    """The names that Jupyter gives the headings (spaces become hyphens), and explicit ids."""
    explicit = {name for cell in notebook.markdown for name in re.findall(r'\bid="([^"]+)"', cell.source)}
    return explicit | {re.sub(r"[`*]", "", text).replace(" ", "-") for _, text in notebook.headings()}


def citations(notebook: Notebook) -> Iterator[str]:
    """Functions and files that the prose names exist."""
    for cell in notebook.markdown:
        for name in unknown_names(cell.source):
            yield f"the text names `{name}`, which does not exist in utils."
        for name in unknown_files(cell.source):
            yield f"the text names the file {name}, which does not exist."


def _start(cell) -> str:
    return repr(cell.source.strip().splitlines()[0][:60]) if cell.source.strip() else "(empty)"


RULES: tuple[Rule, ...] = (
    opening, card, ending, tagging, code_cells, exercises, prose, links, citations, *OUTPUT_RULES,
)  # fmt: skip
