"""A notebook taken apart for the tests: its cells by tag, its exercises, its prose. Reads; does not judge."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
HEADING = re.compile(r"^### Exercise (\d+\.\d+) · (\S.*)$", re.MULTILINE)
SUMMARY = re.compile(r"<summary>\s*(.*?)\s*</summary>", re.DOTALL)
DETAILS = re.compile(r"<details>.*?</details>", re.DOTALL)
FENCE = re.compile(r"^(`{3,}|~{3,})(\w*)[^\n]*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)


@dataclass
class Exercise:
    """One exercise: its card, stub, check and folds, in the order in which they stand."""

    identifier: str
    title: str
    card: str
    stub: str = ""
    check: str = ""
    check_cell: nbformat.NotebookNode | None = None
    folds: list[str] = field(default_factory=list)
    solutions: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)  # of its cells: "stub", "check", "fold", or "other"

    @property
    def name(self) -> str:
        """The name of the check: `masked_mean` in `check.masked_mean(masked_mean)`."""
        match = re.search(r"\bcheck\.(\w+)\(", self.check)
        return match[1] if match else ""

    @property
    def summaries(self) -> list[str]:
        return [summary for fold in self.folds for summary in SUMMARY.findall(fold)]


@dataclass
class Notebook:
    """A notebook file and the number (two digits) that its name begins with."""

    path: Path
    cells: list
    metadata: dict

    @classmethod
    def read(cls, path: Path) -> Notebook:
        return cls.of(nbformat.read(path, as_version=4), path)

    @classmethod
    def of(cls, node: nbformat.NotebookNode, path: Path) -> Notebook:
        return cls(path, node.cells, node.metadata)

    @property
    def number(self) -> str:
        return self.path.name[:2]

    @property
    def code(self) -> list:
        return [cell for cell in self.cells if cell.cell_type == "code"]

    @property
    def markdown(self) -> list:
        return [cell for cell in self.cells if cell.cell_type == "markdown"]

    def tagged(self, tag: str) -> list:
        return [cell for cell in self.cells if tag in tags(cell)]

    @property
    def imports(self) -> str:
        return "\n".join(plain_python(cell.source) for cell in self.tagged("imports"))

    def headings(self) -> list[tuple[int, str]]:
        """(level, text) of every heading outside code fences and folds."""
        found = []
        for cell in self.markdown:
            text = FENCE.sub("", DETAILS.sub("", cell.source))
            found += [(len(m[1]), m[2].strip()) for m in re.finditer(r"^(#{1,6}) +(.+?) *#*$", text, re.MULTILINE)]
        return found

    def exercises(self) -> list[Exercise]:
        """The exercises; the cells of one run from its card to the last fold (or to the next card)."""
        found: list[Exercise] = []
        open_ = False
        for cell in self.cells:
            kinds = tags(cell)
            if cell.cell_type == "markdown" and "exercise" in kinds:
                match = HEADING.search(cell.source)
                found.append(Exercise(match[1] if match else "?", match[2] if match else "", cell.source))
                open_ = True
            elif open_ and cell.cell_type == "code" and "stub" in kinds:
                found[-1].stub = cell.source
                found[-1].kinds.append("stub")
            elif open_ and cell.cell_type == "code" and "check" in kinds:
                found[-1].check, found[-1].check_cell = cell.source, cell
                found[-1].kinds.append("check")
            elif open_ and cell.cell_type == "markdown" and "fold" in kinds:
                found[-1].folds.append(cell.source)
                found[-1].kinds.append("fold")
                if "solution" in kinds:
                    found[-1].solutions += solutions(cell.source)
            else:
                if open_ and "fold" not in found[-1].kinds:
                    found[-1].kinds.append("other")  # something stands between card, stub, check and folds
                    continue
                open_ = False
        return found


def tags(cell: nbformat.NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def solutions(source: str) -> list[str]:
    """The python fences inside the fold called Solution."""
    folds = [block for block in DETAILS.findall(source) if SUMMARY.findall(block)[:1] == ["Solution"]]
    return [body for block in folds for _, language, body in FENCE.findall(block) if language == "python"]


def plain_python(source: str) -> str:
    """Source without the lines that only IPython understands."""
    return "\n".join("pass" if line.startswith(("%", "!")) else line for line in source.splitlines())


def top_level_imports(source: str) -> list[str]:
    """Names of the modules imported at the top level of a cell."""
    body = ast.parse(plain_python(source)).body
    plain = [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    return plain + [str(node.module) for node in body if isinstance(node, ast.ImportFrom)]


def words(source: str) -> int:
    """Words of prose: folds, code, tables' rules, link targets and formulas are left out."""
    text = FENCE.sub(" ", DETAILS.sub(" ", source))
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", " x ", text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)|<[^>]+>|[|#>*_`-]+", " ", text)
    return len(re.findall(r"[^\W_][\w'’./+-]*", text))


def notebook_paths() -> list[Path]:
    """The course's notebooks, without the copies that `make reset` keeps of a learner's work (02_….mine-….ipynb)."""
    return sorted(path for path in FOLDER.glob("[0-9][0-9]_*.ipynb") if ".mine-" not in path.name)
