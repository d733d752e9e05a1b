"""Find, execute and clean notebooks: the one way in which every command of the Makefile does it."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
CELL_SECONDS = 600  # a cell that takes longer is taken to hang
SAMPLE_SECONDS = 0.1
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"


@dataclass
class Run:
    """What executing one notebook cost, and how it ended."""

    path: Path
    seconds: float  # wall clock, from starting the kernel to the last cell's end
    peak_bytes: int  # see PeakMemory
    error: str = ""  # empty if every cell ran


def find(which: str = "", folder: Path = FOLDER) -> list[Path]:
    """The notebooks that `which` names: "" all of them, "02" or "2" one, or a file's name or path.

    Raises ValueError with a sentence if there is none. Copies that `make reset` kept do not count.
    """
    files = sorted(path for path in folder.glob("[0-9][0-9]_*.ipynb") if ".mine-" not in path.name)
    if not which:
        if not files:
            raise ValueError(f"There are no notebooks in {folder.name}/.")
        return files
    number = which.zfill(2)
    chosen = [path for path in files if path.name.startswith(f"{number}_") or path.name == Path(which).name]
    if not chosen:
        known = ", ".join(path.name[:2] for path in files) or "none"
        raise ValueError(f"There is no notebook {which!r}; there are: {known}.")
    return chosen


class PeakMemory(threading.Thread):
    """Largest memory of a process and its children together, in bytes.

    Resident set sizes are summed over the process tree ten times a second (pages shared by two processes
    count twice); on Linux the kernel's own high-water mark replaces the sum where it is larger, so that a
    short peak of the process itself between two samples is not missed.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.peak = 0
        self.done = threading.Event()

    def run(self) -> None:
        """Sample until `stop` is called."""
        while True:
            self.peak = max(self.peak, self._resident(), self._high_water())
            if self.done.wait(SAMPLE_SECONDS):
                return

    def stop(self) -> int:
        """Take a last sample while the process still lives, and return the peak."""
        self.done.set()
        self.join()
        self.peak = max(self.peak, self._resident(), self._high_water())
        return self.peak

    def _resident(self) -> int:
        total = 0
        try:
            for process in [self.process, *self.process.children(recursive=True)]:
                total += process.memory_info().rss
        except psutil.Error:  # a process ended between being listed and being read
            pass
        return total

    def _high_water(self) -> int:
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:  # not Linux, or the process has ended
            return 0
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return 1024 * int(found.group(1)) if found else 0


def read(path: Path) -> NotebookNode:
    """The notebook at `path`, as format 4."""
    return nbformat.read(path, as_version=4)


def execute(
    notebook: NotebookNode,
    path: Path,
    environment: dict[str, str] | None = None,
    on_cell: Callable[[int], None] = lambda index: None,
) -> Run:
    """Run every cell of `notebook` in a fresh kernel whose folder is that of `path`; outputs go into `notebook`.

    `environment` adds variables to the kernel's. `on_cell(index)` is called after each cell. A cell that
    raises ends the run; its text is in the result's `error`.
    """
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    started, error = time.monotonic(), ""
    with client.setup_kernel(env={**os.environ, **(environment or {})}):
        memory = PeakMemory(client.km.provisioner.pid)
        memory.start()
        try:
            for index, cell in enumerate(notebook.cells):
                client.execute_cell(cell, index)
                on_cell(index)
        except (CellControlSignal, CellTimeoutError, DeadKernelError) as problem:
            error = str(problem)
        seconds = time.monotonic() - started
        peak = memory.stop()
    return Run(path, seconds, peak, error)


def clean(notebook: NotebookNode) -> None:
    """Keep what a reader needs and drop what differs from run to run: times, widget states, erased progress bars."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        for key in ("execution", "collapsed", "scrolled", "trusted"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not is_erased(output)]


def is_erased(output: NotebookNode) -> bool:
    """True for a stream of which nothing is left on a terminal, such as a progress bar that cleared itself."""
    return output.output_type == "stream" and not visible(output.text).strip()


def visible(text: str) -> str:
    """`text` as a terminal shows it after every carriage return."""
    lines = []
    for line in text.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown)
    return "\n".join(lines)


def blemishes(notebook: NotebookNode) -> list[str]:
    """What must not stand in a committed notebook: errors, messages on stderr, widgets that only live in a kernel."""
    found = []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        expected = "raises-exception" in cell.metadata.get("tags", [])
        for output in cell.outputs:
            if output.output_type == "error" and not expected:
                found.append(f"cell {index} raised {output.ename}")
            elif output.output_type == "stream" and output.name == "stderr":
                found.append(f"cell {index} wrote to stderr: {visible(output.text).strip()[:100]!r}")
            elif WIDGET in output.get("data", {}):
                found.append(f"cell {index} shows a widget, which is empty once the kernel has gone")
    return found


def write(notebook: NotebookNode, path: Path) -> None:
    """Write `notebook` to `path`, or leave what is there untouched if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    try:
        nbformat.write(notebook, unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
