"""With the network cut off the course works: every module imports, a kernel starts, the first notebook runs."""

import subprocess
import sys

import pytest

from tools import offline
from tools.notebooks import ROOT, find

REASON = offline.available()
pytestmark = pytest.mark.skipif(bool(REASON), reason=f"the network cannot be cut off: {REASON}")

IMPORT_ALL = """
import importlib, pkgutil, utils
names = [module.name for module in pkgutil.walk_packages(utils.__path__, "utils.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
assert "utils.objectives" in names, names
print("imported", len(names))
"""
RUN_KERNEL = """
from pathlib import Path
from nbformat.v4 import new_code_cell, new_notebook
from tools.notebooks import execute
notebook = new_notebook(cells=[new_code_cell("import torch; print(torch.ones(3).sum().item())")])
run = execute(notebook, Path("notebooks/none.ipynb").resolve())
assert run.error == "", run.error
print(notebook.cells[0].outputs[0].text)
"""
REACH_OUT = """
import socket
try:
    socket.create_connection(("192.0.2.1", 80), timeout=20)
except OSError as problem:
    print("cut:", problem)
"""


def without_network(*command: str, seconds: float = 300) -> subprocess.CompletedProcess:
    line = offline.wrapped([sys.executable, *command])
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=seconds)


def test_the_network_is_cut():
    said = without_network("-c", REACH_OUT).stdout
    assert said.startswith("cut:") and "unreachable" in said


def test_every_module_imports():
    answer = without_network("-c", IMPORT_ALL)
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert answer.stdout.startswith("imported")


def test_a_kernel_starts_and_answers():
    answer = without_network("-c", RUN_KERNEL)
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert answer.stdout.strip() == "3.0"


def test_the_first_notebook_runs():
    """The one that looks for models on the Hub and explains what it means that they cannot be had."""
    (path,) = find("00")
    answer = without_network("-m", "tools.validate", path.name, seconds=600)
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-1000:]
