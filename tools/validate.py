"""Run the notebooks cell by cell under nbval: `make test` after the unit tests.

A cell fails if it raises; its output is compared only where the cell is tagged `nbval-check-output`, because
only some outputs (a loss worked by hand, a table of facts) are the same on every machine.
"""

from __future__ import annotations

import subprocess
import sys

from tools.notebooks import CELL_SECONDS, ROOT, find

FLAGS = ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_SECONDS}"]


def main() -> int:
    """The command; returns its exit status."""
    try:
        files = [str(path.relative_to(ROOT)) for path in find(*sys.argv[1:2])]
    except ValueError as problem:
        print(f"Error: {problem}", file=sys.stderr)
        return 1
    return subprocess.run([sys.executable, "-m", "pytest", *FLAGS, *files], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
