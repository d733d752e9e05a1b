"""Write requirements.txt anew from pyproject.toml: `make pins`, for whoever moves the course to newer releases.

Resolves in an empty environment, installs nothing into the course's own. PyTorch keeps the version that is
pinned now unless --torch names another (or "newest"): its choice is worth a decision of its own.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from tools.environment import ROOT, pinned, torch_index, venv_python

TARGET = ROOT / "requirements.txt"
HEADER = "# What `make` installs, pinned to the last dependency; written by `make pins` from pyproject.toml."
# Needed on one system only, and so not found when the pins are made on another.
ELSEWHERE = {"appnope": 'sys_platform == "darwin"'}


def freeze(python: Path) -> list[str]:
    """Everything installed beside `python`, as pins without local version suffixes (torch 2.13.0+cpu)."""
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze", "--exclude", "pip"], check=True, capture_output=True, text=True
    )
    return [re.sub(r"\+[\w.]+$", "", line) for line in listed.stdout.split()]


def newest(python: Path, package: str) -> str:
    """The pin of a package's newest release."""
    answer = subprocess.run(
        [python, "-m", "pip", "index", "versions", package], check=True, capture_output=True, text=True
    )
    return f"{package}=={re.search(r'[(](.+?)[)]', answer.stdout).group(1)}"


def main() -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", default=pinned(TARGET, "torch"), help="version to pin, or newest")
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    others = [requirement for requirement in project["dependencies"] if not requirement.startswith("torch")]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = venv_python(Path(folder))
        install = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
        torch = "torch" if options.torch == "newest" else f"torch=={options.torch}"
        subprocess.run([*install, *torch_index(None), torch], check=True)
        subprocess.run([*install, *others], check=True)
        pins = freeze(python)
        pins += [f"{newest(python, name)} ; {marker}" for name, marker in ELSEWHERE.items()]
    pins = [line for line in pins if not line.startswith(("nvidia-", "triton=="))]  # brought by CUDA builds alone
    TARGET.write_text("\n".join([HEADER, *sorted(pins, key=str.lower)]) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {len(pins)} pins. Read the difference (git diff), then make test.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
