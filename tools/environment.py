"""Create the course's virtual environment, once; a later call finds its stamp and installs nothing.

Run by the Makefile with whatever Python (3.11 or newer) the machine has, so it needs nothing beyond it:

    python3 tools/environment.py                     # .venv with the versions pinned in requirements.txt
    python3 tools/environment.py --wheels FOLDER     # the same without a network, from a folder of wheels
    python3 tools/environment.py --fill FOLDER       # fill such a folder (make wheels)

PyTorch is installed first and on its own, because the ordinary Linux wheel brings gigabytes of CUDA
libraries: where there is no NVIDIA GPU, the CPU build is taken from PyTorch's own index, if that answers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PROBE_SECONDS = 3.0
NEEDED_BYTES = 3 * 10**9  # the environment takes 1.9 GB; pip unpacks beside it while installing
STAMP = "course-stamp.json"
# Imported once after installing: proves that the environment works, and writes the byte code that the
# first notebook would otherwise wait for (pip is told not to compile the thousands of files nobody imports).
WARM_UP = (
    "import accelerate, ipykernel.kernelapp, ipywidgets, jupyterlab.labapp, matplotlib.pyplot, nbclient; "
    "import nbval, pandas, pytest, scipy.stats, seaborn, sklearn.linear_model, torch, transformers; "
    "from transformers import BertForPreTraining, BertTokenizer, Trainer; "
    "import platform; print(f'Python {platform.python_version()}, torch {torch.__version__}, "
    "transformers {transformers.__version__}')"
)
# JupyterLab asks every new user whether to fetch news from its makers: in a lesson that distracts, and in a
# room without network it fails. What a user sets in JupyterLab's menus still goes first.
LAB_SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
# A kernel warns at every start that it talks to its notebook over an unencrypted local socket.
KERNEL_SETTINGS = "c.IPKernelApp.log_level = 40  # errors only\n"


class SetupError(Exception):
    """The environment cannot be made; the message is one sentence for the learner."""


def probe(address: str = CPU_INDEX, seconds: float = PROBE_SECONDS) -> bool:
    """Say whether `address` answers an HTTP request within `seconds`: one attempt, no retry.

    The attempt runs in a thread that is abandoned at the limit, because a socket timeout does not bound the
    look-up of the host's name.
    """
    answered = []

    def ask() -> None:
        request = urllib.request.Request(address.rstrip("/") + "/torch/", method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=seconds) as reply:
                answered.append(reply.status == 200)
        except (OSError, ValueError):  # URLError and time-outs are OSErrors; ValueError: a malformed proxy
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answered and answered[0])


def has_nvidia_gpu() -> bool:
    """True if the driver's own tool lists at least one GPU."""
    tool = shutil.which("nvidia-smi") or shutil.which("/usr/lib/wsl/lib/nvidia-smi")
    if tool is None:
        return False
    try:
        listing = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listing.returncode == 0 and "GPU" in listing.stdout


def torch_index(wheels: Path | None, system: str | None = None) -> list[str]:
    """The pip options that choose where PyTorch comes from."""
    if wheels is not None:
        return ["--no-index", "--find-links", str(wheels)]
    if (system or platform.system()) == "Linux" and not has_nvidia_gpu():
        if probe():
            return ["--index-url", CPU_INDEX]
        print(f"  {CPU_INDEX} does not answer; taking the ordinary PyTorch.", flush=True)
    return []


def pinned(requirements: Path, name: str) -> str:
    """Version that `requirements` pins for the package `name`."""
    text = requirements.read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}==([^\s;]+)", text, re.MULTILINE)
    if found is None:
        raise SetupError(f"{requirements.name} does not pin {name}; restore the file with git checkout.")
    return found.group(1)


def stamp_of(requirements: Path) -> dict[str, str]:
    """What an environment must have been made from for it to be used as it is."""
    return {"packages": hashlib.sha256(requirements.read_bytes()).hexdigest(), "folder": str(ROOT)}


def venv_python(venv: Path) -> Path:
    """Path of the interpreter inside the environment."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def read_stamp(venv: Path) -> dict[str, str]:
    """The stamp left by a finished installation; empty if there is none or the interpreter has gone."""
    if not venv_python(venv).exists():
        return {}
    try:
        return json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def create_venv(venv: Path) -> None:
    """Make an empty environment with pip in it, keeping one that an interrupted installation left."""
    python = venv_python(venv)
    if python.exists() and subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return
    if subprocess.run([sys.executable, "-m", "venv", "--clear", venv], capture_output=True).returncode != 0:
        raise SetupError(
            f"{sys.executable} could not make a virtual environment, its venv or ensurepip module is missing: "
            "on Debian and Ubuntu run `sudo apt install python3-venv`, then repeat the command."
        )


def pip(venv: Path, *arguments: str, expect: int = 0) -> None:
    """Run pip inside `venv`, with a line of progress towards `expect` packages; all it says goes to a log."""
    log = venv / "install.log"
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
    command = [str(venv_python(venv)), "-m", "pip", *arguments]
    seen, errors = 0, []
    with log.open("a", encoding="utf-8") as out:
        out.write(f"$ pip {' '.join(arguments)}\n")
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
        )
        for line in process.stdout:
            out.write(line)
            if line.startswith("ERROR:"):
                errors.append(line[6:].strip())
            elif package := re.match(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)", line):
                seen += 1
                show_progress(seen, expect, package.group(1))
            elif line.startswith("Installing collected packages"):
                show_progress(expect, expect, "unpacking")
    clear_progress()
    if process.wait() != 0:
        raise SetupError(explain(errors, log))


def explain(errors: list[str], log: Path) -> str:
    """One sentence for a failed pip: what it said, and what the learner can do."""
    said = f" pip said: {errors[0]}" if errors else ""
    return (
        "the packages could not be installed. The first installation needs a network (or WHEELS=folder, "
        f"filled elsewhere by `make wheels`); connect and repeat the command, it continues where it stopped.{said} "
        f"The whole log is in {os.path.relpath(log, ROOT)}."
    )


def show_progress(done: int, total: int, what: str) -> None:
    """Redraw the progress line, on a terminal only."""
    if total and sys.stdout.isatty():
        bar = "#" * (30 * done // total)
        print(f"\r  [{bar:<30}] {done}/{total} {what:<34.34}", end="", flush=True)


def clear_progress() -> None:
    """Remove the progress line."""
    if sys.stdout.isatty():
        print("\r" + " " * 80 + "\r", end="", flush=True)


def install(venv: Path, requirements: Path, wheels: Path | None) -> None:
    """PyTorch first, then everything else that is pinned."""
    pins = sum("==" in line for line in requirements.read_text(encoding="utf-8").splitlines())
    common = ["install", "--no-compile"]
    version = pinned(requirements, "torch")
    if not any(venv.glob(f"**/site-packages/torch-{version}*.dist-info")):
        print(f"  installing torch {version} …", flush=True)
        torch = ["--constraint", str(requirements), f"torch=={version}"]
        options = torch_index(wheels)
        try:
            pip(venv, *common, *options, *torch)
        except SetupError:
            if "--index-url" not in options:
                raise
            print("  PyTorch's own index failed; taking the ordinary PyTorch.", flush=True)
            pip(venv, *common, *torch)
    print("  installing the other packages …", flush=True)
    source = ["--no-index", "--find-links", str(wheels)] if wheels is not None else []
    # The pins are complete (a test holds them to that): nothing is left to resolve, --no-deps saves time.
    pip(venv, *common, *source, "--no-deps", "--requirement", str(requirements), expect=pins)


def check_folder(wheels: Path | None, venv: Path) -> None:
    """Refuse a missing folder of wheels and a full disk before anything is downloaded."""
    if wheels is not None and not any(wheels.glob("torch-*.whl")):
        raise SetupError(f"WHEELS={wheels} holds no PyTorch wheel; name a folder that `make wheels` filled.")
    free = shutil.disk_usage(venv.parent).free
    if not venv.exists() and free < NEEDED_BYTES:
        raise SetupError(
            f"the environment needs {NEEDED_BYTES / 1e9:.0f} GB of disk, {free / 1e9:.1f} are free; make room."
        )


def keep_originals(venv: Path) -> None:
    """In a downloaded archive (no git) keep the notebooks as they came, for `make reset`."""
    kept = venv / "originals"
    if not (ROOT / ".git").exists() and not kept.exists() and (ROOT / "notebooks").is_dir():
        unwanted = shutil.ignore_patterns(".ipynb_checkpoints", "*.mine-*")
        shutil.copytree(ROOT / "notebooks", kept, ignore=unwanted)


def write_settings(venv: Path) -> None:
    """Put the course's defaults for JupyterLab and the kernels into the environment, not into the user's home."""
    lab = venv / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    kernel = venv / "etc" / "ipython" / "ipython_kernel_config.py"
    for file, text in ((lab, json.dumps(LAB_SETTINGS, indent=1)), (kernel, KERNEL_SETTINGS)):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def ensure(venv: Path, requirements: Path, wheels: Path | None) -> None:
    """Bring `venv` to the state that `requirements` describes; do nothing if it is there already."""
    wanted, found = stamp_of(requirements), read_stamp(venv)
    if found == wanted:
        return
    check_folder(wheels, venv)
    started, python = time.monotonic(), venv_python(venv)
    print(f"Creating the course's environment in {venv.name} (once; some minutes):", flush=True)
    create_venv(venv)
    if found.get("packages") != wanted["packages"]:
        install(venv, requirements, wheels)
    # Also after the checkout was moved to another folder; needs no network.
    pip(venv, "install", "--no-index", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    check = subprocess.run([python, "-c", WARM_UP], capture_output=True, text=True, env=environment)
    if check.returncode != 0:
        raise SetupError(
            f"the installed packages do not work together ({check.stderr.strip().splitlines()[-1]}); "
            f"delete the folder {venv.name} and repeat the command."
        )
    keep_originals(venv)
    write_settings(venv)
    (venv / STAMP).write_text(json.dumps(wanted), encoding="utf-8")
    print(f"  ready after {time.monotonic() - started:.0f} s: {check.stdout.strip()}", flush=True)


def fill(folder: Path, venv: Path, requirements: Path) -> None:
    """Download every pinned wheel for this platform and Python, so that WHEELS=folder installs offline."""
    folder.mkdir(parents=True, exist_ok=True)
    torch = f"torch=={pinned(requirements, 'torch')}"
    pins = sum("==" in line for line in requirements.read_text(encoding="utf-8").splitlines())
    common = ["download", "--only-binary=:all:", "--dest", str(folder)]
    print(f"Filling {folder} with wheels for this machine ({platform.machine()}, {sys.platform}):", flush=True)
    pip(venv, *common, *torch_index(None), "--constraint", str(requirements), torch)
    # PyTorch's wheel lies in the folder now, and is found there rather than fetched a second time.
    everything = ["--no-deps", "--requirement", str(requirements)]
    pip(venv, *common, "--find-links", str(folder), *everything, expect=pins)
    sizes = [wheel.stat().st_size for wheel in folder.glob("*.whl")]
    print(f"  {len(sizes)} wheels, {sum(sizes) / 1e6:.0f} MB. There, without network: make lab WHEELS={folder}")


def main() -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--requirements", type=Path, default=ROOT / "requirements.txt")
    parser.add_argument("--wheels", default="", help="install from this folder, without a network")
    parser.add_argument("--fill", type=Path, help="download the pinned wheels into this folder")
    options = parser.parse_args()
    wheels = Path(options.wheels).resolve() if options.wheels else None
    try:
        ensure(options.venv, options.requirements, wheels)
        if options.fill:
            fill(options.fill, options.venv, options.requirements)
    except SetupError as problem:
        print(f"Error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the same command continues where it stopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
