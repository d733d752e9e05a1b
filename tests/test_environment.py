"""The lists of dependencies agree; the environment is made once, within bounds, with clear errors."""

import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import environment

ROOT = environment.ROOT
CONDA_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib", "seaborn-base": "seaborn"}
# Brought by the CUDA builds of PyTorch alone, which `make` takes on machines with an NVIDIA GPU.
GPU_ONLY = re.compile(r"nvidia-|triton|cuda-")


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements(lines: list[str]) -> dict[str, Requirement]:
    """Requirements by canonical name; comments and empty lines are left out."""
    parsed = [Requirement(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]
    return {canonicalize_name(requirement.name): requirement for requirement in parsed}


def pins(name: str) -> dict[str, Requirement]:
    return requirements((ROOT / name).read_text(encoding="utf-8").splitlines())


DIRECT = requirements(project()["dependencies"])


# ------------------------------------------------------------------------------------------- the lists


def test_conda_list_equals_pyproject():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    conda = [line for line in listed if isinstance(line, str)]
    from_pip = next(line for line in listed if isinstance(line, dict))["pip"]
    assert f"python{project()['requires-python']}" in conda
    assert "-e ." in from_pip, "the course itself must be installed into the conda environment"
    others = [line for line in conda + from_pip if line != "-e ." and not re.match(r"(python|pip)\b(?!-)", line)]
    renamed = [re.sub(r"^[\w.-]+", lambda match: CONDA_NAMES.get(match[0], match[0]), line) for line in others]
    found = requirements(renamed)
    assert {name: str(item.specifier) for name, item in found.items()} == {
        name: str(item.specifier) for name, item in DIRECT.items()
    }


def test_every_direct_dependency_is_pinned_within_its_range():
    pinned = pins("requirements.txt")
    for name, wanted in DIRECT.items():
        assert name in pinned, f"{name} is missing from requirements.txt: run make pins"
        (pin,) = pinned[name].specifier
        assert pin.operator == "==" and wanted.specifier.contains(pin.version), f"{pinned[name]} is not {wanted}"
    assert all(len(pin.specifier) == 1 and "==" in str(pin.specifier) for pin in pinned.values())
    assert not [name for name, pin in pinned.items() if "+" in str(pin.specifier)], "a local version suffix"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-oldest.txt"])
def test_no_package_is_pinned_twice(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert len(pins(name)) == sum(bool(line.strip()) and not line.startswith("#") for line in lines)


def test_oldest_list_is_the_lower_end_of_each_range():
    oldest = pins("requirements-oldest.txt")
    for name, wanted in DIRECT.items():
        (lowest,) = wanted.specifier
        (pin,) = oldest[name].specifier
        assert Version(pin.version) == Version(lowest.version), f"{name}: {pin} and {lowest}"


def needed_by(roots: list[str]) -> set[str]:
    """Canonical names of everything that the installed `roots` need on this machine, themselves included."""
    found, waiting = set(), list(roots)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found or GPU_ONLY.match(name):
            continue
        found.add(name)
        for line in distribution(name).requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def pinned_versions_are_installed() -> bool:
    try:
        return all(pins("requirements.txt")[name].specifier.contains(version(name)) for name in DIRECT)
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(not pinned_versions_are_installed(), reason="other versions than those of requirements.txt")
def test_pins_are_complete():
    assert needed_by(list(DIRECT)) - set(pins("requirements.txt")) == set(), "run make pins"


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="not the course's own environment")
def test_what_is_pinned_is_installed():
    for name, pin in pins("requirements.txt").items():
        if pin.marker is None or pin.marker.evaluate():
            assert pin.specifier.contains(version(name)), f"{name} {version(name)} is installed, {pin} is pinned"


# ------------------------------------------------------------------------------------------- the probe


@pytest.fixture
def silent_address():
    """A server that accepts a connection and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_probe_of_a_silent_host_is_bounded(silent_address):
    started = time.monotonic()
    assert environment.probe(silent_address, seconds=0.5) is False
    assert time.monotonic() - started < 5, "bounded, also on a busy machine"


def test_probe_is_bounded_when_the_name_is_never_resolved(monkeypatch):
    over = threading.Event()

    def look_up(*arguments, **options):
        over.wait(30)
        raise OSError("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    started = time.monotonic()
    assert environment.probe("http://never.resolved.invalid", seconds=0.5) is False
    assert time.monotonic() - started < 5, "bounded, also on a busy machine"
    over.set()


def test_probe_of_a_refusing_host_is_immediate():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    started = time.monotonic()
    assert environment.probe(f"http://127.0.0.1:{port}") is False
    assert time.monotonic() - started < environment.PROBE_SECONDS


@pytest.mark.parametrize("status, expected", [(200, True), (404, False), (503, False)])
def test_probe_reads_the_answer(status, expected):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert environment.probe(f"http://127.0.0.1:{server.server_port}/whl/cpu") is expected
        server.shutdown()
    assert asked == ["/whl/cpu/torch/"], "one attempt, no retry"


@pytest.mark.parametrize(
    "system, gpu, answers, expected",
    [
        ("Linux", False, True, ["--index-url", environment.CPU_INDEX]),
        ("Linux", False, False, []),
        ("Linux", True, True, []),
        ("Darwin", False, True, []),
    ],
)
def test_where_pytorch_comes_from(monkeypatch, system, gpu, answers, expected):
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: gpu)
    monkeypatch.setattr(environment, "probe", lambda: answers)
    assert environment.torch_index(None, system) == expected


def test_a_folder_of_wheels_is_never_mixed_with_the_network(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "probe", lambda: pytest.fail("probed the network"))
    assert environment.torch_index(tmp_path, "Linux") == ["--no-index", "--find-links", str(tmp_path)]


# ------------------------------------------------------------------------------------------- making it once


FAKE_PYTHON = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in *"pip install"*) {pip} ;; *"import "*) echo "torch 0, transformers 0" ;; esac
"""


class FakeVenv:
    """A folder that looks like a virtual environment; its interpreter writes down what it is asked to do."""

    def __init__(self, folder: Path, pip: str = "exit 0") -> None:
        self.folder, self.log = folder / ".venv", folder / "log"
        python = self.folder / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(FAKE_PYTHON.format(log=self.log, pip=pip))
        python.chmod(0o755)
        self.requirements = folder / "requirements.txt"
        self.requirements.write_text("torch==9.9\nnumpy==9.9\n")

    def ensure(self, wheels: Path | None = None) -> None:
        environment.ensure(self.folder, self.requirements, wheels)

    def installs(self) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if "pip install" in line]


@pytest.fixture(autouse=True)
def no_probe(monkeypatch, request):
    if "probe" not in request.node.name:
        monkeypatch.setattr(environment, "probe", lambda: False)


def test_second_run_installs_nothing(tmp_path, capsys):
    venv = FakeVenv(tmp_path)
    venv.ensure()
    first = venv.installs()
    assert [word for line in first for word in line.split() if word.startswith("torch==")] == ["torch==9.9"]
    assert "--editable" in first[-1] and "--no-index" in first[-1]
    capsys.readouterr()
    venv.ensure()
    assert venv.installs() == first
    assert capsys.readouterr().out == ""


def test_pytorch_comes_first_and_alone(tmp_path):
    venv = FakeVenv(tmp_path)
    venv.ensure()
    torch, others, course = venv.installs()
    assert torch.endswith("torch==9.9") and "--requirement" not in torch
    assert "--requirement" in others and "--no-deps" in others
    assert course.endswith(f"--editable {ROOT}")


def test_changed_pins_are_installed(tmp_path):
    venv = FakeVenv(tmp_path)
    venv.ensure()
    venv.requirements.write_text("torch==9.9\nnumpy==9.10\n")
    venv.ensure()
    assert len(venv.installs()) == 6


def test_moved_checkout_reinstalls_only_itself(tmp_path):
    venv = FakeVenv(tmp_path)
    venv.ensure()
    stamp = venv.folder / environment.STAMP
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "folder": "/elsewhere"}))
    before = len(venv.installs())
    venv.ensure()
    assert [("--editable" in line, "--no-index" in line) for line in venv.installs()[before:]] == [(True, True)]


def test_a_failed_installation_leaves_no_stamp_and_says_what_to_do(tmp_path):
    venv = FakeVenv(tmp_path, pip="echo 'ERROR: No matching distribution found for torch==9.9'; exit 1")
    with pytest.raises(environment.SetupError, match="needs a network.*WHEELS=folder.*No matching distribution"):
        venv.ensure()
    assert not (venv.folder / environment.STAMP).exists()


def test_pytorch_from_its_own_index_falls_back_to_the_ordinary_one(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "probe", lambda: True)
    monkeypatch.setattr(environment, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(environment.platform, "system", lambda: "Linux")
    venv = FakeVenv(tmp_path, pip='case "$*" in *index-url*) exit 1;; esac')
    venv.ensure()
    torch = [line for line in venv.installs() if line.endswith("torch==9.9")]
    assert ["--index-url" in line for line in torch] == [True, False]


def test_packages_that_do_not_work_together_are_reported(tmp_path):
    venv = FakeVenv(tmp_path)
    python = venv.folder / "bin" / "python"
    python.write_text(python.read_text().replace('echo "torch 0, transformers 0"', "echo ImportError: x >&2; exit 1"))
    with pytest.raises(
        environment.SetupError, match=r"do not work together \(ImportError: x\).*delete the folder .venv"
    ):
        venv.ensure()
    assert not (venv.folder / environment.STAMP).exists()


def test_a_folder_without_wheels_is_refused(tmp_path):
    venv = FakeVenv(tmp_path)
    with pytest.raises(environment.SetupError, match="holds no PyTorch wheel.*make wheels"):
        venv.ensure(wheels=tmp_path / "nothing")
    assert venv.installs() == []


def test_a_full_disk_is_noticed_before_anything_is_downloaded(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**10, 10**10, 10**9))
    with pytest.raises(environment.SetupError, match="needs 3 GB of disk, 1.0 are free"):
        environment.check_folder(None, tmp_path / ".venv")


def test_python_without_venv_is_explained(tmp_path, monkeypatch):
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(environment.SetupError, match="could not make a virtual environment.*python3-venv"):
        environment.create_venv(tmp_path / ".venv")


def test_originals_are_kept_only_without_git(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "02_x.ipynb").write_text("{}")
    venv = tmp_path / ".venv"
    venv.mkdir()
    environment.keep_originals(venv)
    assert (venv / "originals" / "02_x.ipynb").read_text() == "{}"
    shutil.rmtree(venv / "originals")
    (tmp_path / ".git").mkdir()
    environment.keep_originals(venv)
    assert not (venv / "originals").exists()


# ------------------------------------------------------------------------------------------- make itself


PROMISED = [
    "lab", "test", "run", "reset", "wheels", "checkpoints", "records", "bench", "replicate", "test-oldest",
    "test-browser", "lint", "help",
]  # fmt: skip
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def make(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess:
    environ = {**os.environ, "PATH": path or os.environ["PATH"]}
    environ.pop("MAKEFLAGS", None)  # the tests themselves run under make
    command = [shutil.which("make"), "-C", str(ROOT), "--no-print-directory", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environ)


@needs_make
@pytest.mark.parametrize("target", PROMISED)
def test_make_knows_every_promised_target(target):
    answer = make("--dry-run", target)
    assert answer.returncode == 0, answer.stderr


@needs_make
def test_make_alone_lists_the_targets():
    listed = make().stdout
    assert [target for target in PROMISED if target != "help" and f"make {target}" not in listed] == []


@needs_make
def test_make_refuses_an_old_python_in_one_sentence(tmp_path):
    for tool in ("id", "tail"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    answer = make("environment", "PYTHON=", path=str(tmp_path))
    assert answer.returncode != 0
    (sentence,) = [line for line in answer.stderr.splitlines() if line.startswith("Error")]
    assert "needs Python 3.11 or newer" in sentence and "Python 3.9.2" in sentence
