"""Rules about what the cells of a committed notebook show: one clean run, nothing of the machine it ran on."""

from __future__ import annotations

import html
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.notebook_parts import Notebook

# What must not stand in an output, and how the message names it.
TRACES = {
    "a local path": re.compile(
        r"(?<![\w.:/])/(?:home|root|tmp|Users|work|workspace|opt|usr|var|mnt|srv|content|builds?)/[\w.-]"
        r"|[A-Z]:\\\w|file://|site-packages|ipykernel_\d|<ipython-input"
    ),
    "a time of day": re.compile(r"(?<![\d:.])(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?![\d:])|\d{4}-\d\d-\d\dT\d\d"),
    "an address in memory": re.compile(r"\b0x[0-9a-f]{6,}\b"),
    "a progress bar": re.compile(r"\r|\d+%\||it/s\b|s/it\b|[█▏▎▍▌▋▊▉]"),
    "colour codes of a terminal": re.compile(r"\x1b\["),
    "a warning": re.compile(r"\b\w*Warning: "),
}


def execution(notebook: Notebook) -> Iterator[str]:
    """One run from top to bottom: counts 1, 2, 3, ..."""
    counts = [cell.get("execution_count") for cell in notebook.code]
    if counts != list(range(1, len(counts) + 1)):
        wrong = next(place for place, count in enumerate(counts, 1) if count != place)
        yield f"the execution counts are not 1, 2, 3, ...: code cell {wrong} has {counts[wrong - 1]}."


def clean(notebook: Notebook) -> Iterator[str]:
    """No errors, nothing on stderr, no widgets left behind."""
    for cell in notebook.code:
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"a cell ended with {output.ename}: {_start(cell)}."
            if output.output_type == "stream" and output.name == "stderr":
                yield f"a cell wrote to stderr ({output.text.strip()[:60]!r}): {_start(cell)}."
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
                yield f"a widget is left behind (a progress bar that does not clear?): {_start(cell)}."


def traces(notebook: Notebook) -> Iterator[str]:
    """No paths, host or user names, times of day, addresses or progress bars in what is shown."""
    for cell in notebook.code:
        text = "\n".join(shown(output) for output in cell.outputs)
        for name, pattern in TRACES.items():
            if match := pattern.search(text):
                yield f"an output shows {name} ({_around(text, match)!r}): {_start(cell)}."
        for name in _names_of_this_machine():
            if name in text:
                yield f"an output shows a name of the machine it ran on ({name!r}): {_start(cell)}."


def figures(notebook: Notebook) -> Iterator[str]:
    """Every picture has alt text and a caption (plots.show gives both), and none is lost."""
    for cell in notebook.code:
        pictures = 0
        for output in cell.outputs:
            data, metadata = output.get("data", {}), output.get("metadata", {})
            page = "".join(data.get("text/html", ""))
            inline = re.findall(r"<img\b[^>]*>", page)
            if not inline and not any(kind.startswith("image/") for kind in data):
                continue
            pictures += 1
            alt = metadata.get("image/png", {}).get("alt") or "".join(re.findall(r'\balt="([^"]*)"', page))
            if len(alt.split()) < 4:
                yield f"a figure has no alt text; show it with plots.show: {_start(cell)}."
            if not re.search(r"<figcaption[^>]*>\s*\S", page):
                yield f"a figure has no caption; show it with plots.show: {_start(cell)}."
        if "plots.show(" in cell.source and not pictures:
            yield f"the figure of this cell is missing: {_start(cell)}."


def verdicts(notebook: Notebook) -> Iterator[str]:
    """Checks were run on untouched stubs; quiz and ledger are shown; every claim holds."""
    for exercise in notebook.exercises():
        text = "\n".join(shown(output) for output in exercise.check_cell.outputs) if exercise.check_cell else ""
        if f"Exercise {exercise.identifier}: not attempted yet" not in re.sub(r"\s+", " ", text):
            yield f"the check of exercise {exercise.identifier} should show 'not attempted yet' (stub untouched)."
    for cell in notebook.tagged("quiz"):
        if not any("application/javascript" in output.get("data", {}) for output in cell.outputs):
            yield "the quiz cell shows no quiz."
    for cell in notebook.tagged("claims"):
        lines = [line for output in cell.outputs for line in plain(output).splitlines()]
        held = [line for line in lines if re.match(r"(holds|FAILS)  \d\d\.", line)]
        if not held:
            yield "the claims cell shows no ledger; end it with ledger.table()."
        for line in held:
            if line.startswith("FAILS"):
                yield f"a claim does not hold in the committed run: {line[7:80]}."
    added = [name for cell in notebook.code for name in re.findall(r"\.add\(\s*['\"](\d\d\.\w+)", cell.source)]
    for name in sorted({name for name in added if added.count(name) > 1}):
        yield f"the claim {name} is entered twice; the second would replace the first."


def plain(output: dict) -> str:
    """The text of an output as a terminal would show it."""
    return output.get("text", "") or "".join(output.get("data", {}).get("text/plain", ""))


def shown(output: dict) -> str:
    """Everything readable in an output: text, and HTML with its tags and embedded pictures taken away."""
    page = "".join(output.get("data", {}).get("text/html", ""))
    page = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    error = "\n".join(output.get("traceback", []))
    return "\n".join([plain(output), html.unescape(page), error])


def _names_of_this_machine() -> list[str]:
    host, home = socket.gethostname(), Path.home().name
    return [name for name in (host, home) if len(name) >= 5 and name not in ("jupyter", "localhost", "runner")]


def _around(text: str, match: re.Match) -> str:
    return text[max(0, match.start() - 10) : match.end() + 15].strip().replace("\n", " ")


def _start(cell) -> str:
    return repr(cell.source.strip().splitlines()[0][:60]) if cell.source.strip() else "(empty)"


OUTPUT_RULES = (execution, clean, traces, figures, verdicts)
