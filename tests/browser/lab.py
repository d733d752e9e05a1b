"""What a test can do with a notebook open in JupyterLab: run it, read its cells, type into one, take a picture."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import nbformat

from tools.notebooks import blemishes, clean

# JupyterLab draws only the cells near the visible part, so cells are read from its own model of the notebook.
MODEL = "jupyterapp.shell.currentWidget.content.model"
CELLS = f"() => {MODEL}.toJSON().cells"
KERNEL = "() => jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status"


class Notebook:
    """A notebook open in JupyterLab on a Playwright page."""

    def __init__(self, page: Any, address: str, path: str, pictures: Path) -> None:
        self.page, self.pictures = page, pictures
        page.goto(f"{address}/lab/tree/{path}")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
        self.wait(lambda: page.evaluate(KERNEL) == "idle", 120, "a kernel")

    def wait(self, condition, seconds: float, what: str) -> None:
        """Wait until `condition()` is true; raises TimeoutError naming `what` was waited for."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.picture("timeout")
                raise TimeoutError(f"waited {seconds:.0f} s for {what}")
            self.page.wait_for_timeout(200)

    def cells(self) -> list[dict]:
        """The notebook's cells as they stand, in the file format's JSON."""
        return self.page.evaluate(CELLS)

    def run_all(self, seconds: float) -> None:
        """Choose Run, Run All Cells in the menu, and wait until every code cell has been executed."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name=re.compile(r"^Run All Cells")).click()

        def finished() -> bool:
            cells = self.cells()
            code = [cell for cell in cells if cell["cell_type"] == "code" and text_of(cell["source"]).strip()]
            # JupyterLab runs no further cell after one that raised
            over = all(cell["execution_count"] for cell in code) or problems(cells)
            return bool(over) and self.page.evaluate(KERNEL) == "idle"

        self.wait(finished, seconds, "all cells to run")

    def scroll_to(self, index: int) -> Any:
        """Make a cell the active one, bring it into view, and return its locator."""
        self.page.evaluate(
            """async index => {
                const notebook = jupyterapp.shell.currentWidget.content;
                notebook.activeCellIndex = index;
                await notebook.scrollToItem(index, 'center');
            }""",
            index,
        )
        cell = self.page.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')
        cell.wait_for(state="visible")
        return cell

    def replace_source(self, index: int, code: str) -> None:
        """Click into a cell, select all, and type `code` instead."""
        self.scroll_to(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)

    def run_cell(self, index: int, seconds: float = 60) -> None:
        """Press Shift+Enter in a cell and wait for its new execution count."""
        before = self.cells()[index]["execution_count"]
        self.scroll_to(index).locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        self.wait(lambda: self.cells()[index]["execution_count"] not in (None, before), seconds, f"cell {index} to run")

    def picture(self, name: str) -> None:
        """Save what the page shows now."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self.pictures / f"{name}.png")


def text_of(source: str | list[str]) -> str:
    """A cell's source or an output's text, which JSON holds as one string or as lines."""
    return source if isinstance(source, str) else "".join(source)


def tagged(cells: list[dict], tag: str) -> list[int]:
    """Positions of the cells that carry `tag`."""
    return [index for index, cell in enumerate(cells) if tag in cell["metadata"].get("tags", [])]


def problems(cells: list[dict]) -> list[str]:
    """Errors and messages on stderr in the cells' outputs, by the rule for notebooks that are committed."""
    notebook = nbformat.from_dict({"cells": cells, "metadata": {}})
    clean(notebook)
    return blemishes(notebook)


def said(cell: dict) -> str:
    """All text that a cell's outputs hold."""
    parts = []
    for output in cell.get("outputs", []):
        parts.append(text_of(output.get("text", "")))
        parts += [text_of(text) for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(parts)
