"""Execute the notebooks (all, or one) and print seconds and peak memory of each: `make run`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from tools.notebooks import ROOT, Run, blemishes, clean, execute, find, read, write


def run_one(path: Path, inplace: bool) -> Run:
    """Execute `path` into build/, or in place; a notebook with blemishes is never written in place."""
    notebook = read(path)
    target = path if inplace else ROOT / "build" / path.name
    with tqdm(total=len(notebook.cells), desc=path.stem, unit="cell", leave=False, disable=None) as bar:
        run = execute(notebook, path, on_cell=lambda index: bar.update())
    clean(notebook)
    found = blemishes(notebook)
    if inplace and not run.error and found:
        run.error = f"not refreshed, because {'; '.join(found)}"
    if not inplace or not run.error:
        write(notebook, target)
    return run


def table(runs: list[Run]) -> str:
    """The table of seconds and peak memory, one line per notebook and a total."""
    width = max(len(run.path.stem) for run in runs)
    lines = [f"{'notebook':<{width}}  seconds  peak memory"]
    for run in runs:
        memory = f"{run.peak_bytes / 1e6:>8.0f} MB"
        lines.append(f"{run.path.stem:<{width}}  {run.seconds:>7.1f}  {memory}{'  FAILED' if run.error else ''}")
    total, peak = sum(run.seconds for run in runs), max(run.peak_bytes for run in runs)
    lines.append(f"{'together':<{width}}  {total:>7.1f}  {peak / 1e6:>8.0f} MB at most")
    lines.append("Seconds include starting the kernel. Memory: resident, the kernel and its children together.")
    return "\n".join(lines)


def main() -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", nargs="?", default="", help="such as 02; all if left out")
    parser.add_argument("--inplace", action="store_true", help="refresh the committed outputs")
    options = parser.parse_args()
    try:
        paths = find(options.notebook)
    except ValueError as problem:
        print(f"Error: {problem}", file=sys.stderr)
        return 1
    runs = []
    for path in paths:
        runs.append(run_one(path, options.inplace))
        if runs[-1].error:
            print(f"{path.name}: {runs[-1].error}\n", file=sys.stderr)
        elif not sys.stdout.isatty():
            print(f"{path.stem}: {runs[-1].seconds:.1f} s", flush=True)
    print(table(runs))
    print(f"Written to {'notebooks/' if options.inplace else 'build/'}.")
    return int(any(run.error for run in runs))


if __name__ == "__main__":
    sys.exit(main())
