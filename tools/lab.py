"""Start JupyterLab at the first notebook: `make lab`. Arguments are handed on to JupyterLab."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tools.notebooks import FOLDER, ROOT

# JupyterLab asks every new user whether to fetch news from its makers; in a lesson that only distracts,
# and in a room without network it fails.
SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def command(arguments: list[str]) -> list[str]:
    """The command line that serves the checkout and opens the first notebook in it."""
    first = FOLDER / "00_start_here.ipynb"
    page = f"/lab/tree/{first.relative_to(ROOT).as_posix()}" if first.exists() else "/lab"
    fixed = [f"--ServerApp.root_dir={ROOT}", f"--LabApp.default_url={page}"]
    return [sys.executable, "-m", "jupyterlab", *fixed, *arguments]


def write_settings(prefix: Path) -> None:
    """Put the course's defaults beside JupyterLab; what a user sets in its menus still goes first."""
    folder = prefix / "share" / "jupyter" / "lab" / "settings"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "overrides.json").write_text(json.dumps(SETTINGS, indent=1), encoding="utf-8")


if __name__ == "__main__":
    write_settings(Path(sys.prefix))
    line = command(sys.argv[1:])
    os.execv(line[0], line)
