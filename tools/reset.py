"""Give back a clean notebook and keep the learner's copy beside it: `make reset NOTEBOOK=02`.

The clean notebook is the one last committed (or that of another revision, `--from origin/main`); in a
downloaded archive without git it is the copy that the installation put aside. Nothing is ever deleted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools.notebooks import ROOT

ORIGINALS = ROOT / ".venv" / "originals"


def git(root: Path, *arguments: str) -> bytes | None:
    """Output of a git command in `root`, or None if it failed."""
    if shutil.which("git") is None:
        raise ValueError("This is a git clone, but the git command was not found; install git and repeat.")
    answer = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True)
    return answer.stdout if answer.returncode == 0 else None


def names(root: Path, originals: Path, revision: str) -> list[str]:
    """File names of the course's notebooks, also of those that the learner has deleted."""
    if (root / ".git").exists():
        listed = git(root, "ls-tree", "--name-only", f"{revision}:notebooks")
        if listed is None:
            raise ValueError(f"git knows no notebooks in {revision!r}.")
        return listed.decode().splitlines()
    return [path.name for path in originals.glob("*.ipynb")]


def pristine(name: str, root: Path, originals: Path, revision: str) -> bytes:
    """Contents of the notebook called `name` as the course ships it."""
    if (root / ".git").exists():
        # --filters gives the bytes that a checkout would write, also where git converts line endings
        content = git(root, "cat-file", "--filters", f"{revision}:notebooks/{name}")
        return content if content is not None else b""
    return (originals / name).read_bytes()


def free_name(path: Path) -> Path:
    """A name beside `path` that no file has: 02_x.mine-2026-01-31-1405.ipynb, then …-1405-2 and so on."""
    stem = f"{path.stem}.mine-{time.strftime('%Y-%m-%d-%H%M')}"
    kept, count = path.with_name(f"{stem}.ipynb"), 1
    while kept.exists():
        count += 1
        kept = path.with_name(f"{stem}-{count}.ipynb")
    return kept


def reset(which: str, root: Path = ROOT, originals: Path = ORIGINALS, revision: str = "HEAD") -> str:
    """Restore one notebook below `root`; returns the sentence to print. Raises ValueError if it cannot."""
    if not which:
        raise ValueError("Say which notebook, for example: make reset NOTEBOOK=02")
    known = names(root, originals, revision)
    wanted = [name for name in known if name.startswith(f"{which.zfill(2)}_") or name == Path(which).name]
    if len(wanted) != 1:
        numbers = ", ".join(sorted(name[:2] for name in known if name.endswith(".ipynb"))) or "none"
        raise ValueError(f"There is no clean copy of a notebook {which!r}; there are: {numbers}.")
    path = root / "notebooks" / wanted[0]
    content = pristine(path.name, root, originals, revision)
    if path.exists() and path.read_bytes() == content:
        return f"{path.name} is clean already; nothing was changed."
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(content)
    said = ""
    if path.exists():
        kept = free_name(path)
        os.replace(path, kept)
        said = f" Yours is kept as {kept.name}."
    os.replace(unfinished, path)
    return f"{path.name} is as the course ships it.{said} If it is open in JupyterLab, reload it from disk."


def main() -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", nargs="?", default="")
    parser.add_argument("--from", dest="revision", default="HEAD", help="git revision to take it from")
    options = parser.parse_args()
    try:
        print(reset(options.notebook, revision=options.revision))
    except ValueError as problem:
        print(f"Error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
