"""A JupyterLab server on a copy of the notebooks, and a page of headless Chromium in front of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest

from tools.notebooks import ROOT, find

SCREENSHOTS = ROOT / "build" / "browser"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No sandbox, because continuous integration runs as root; the rest keeps the browser from talking to its makers.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
START_SECONDS = 120


def pytest_addoption(parser):
    parser.addoption("--notebook", default="00", help="which notebook to walk through in the browser")


@dataclass
class Server:
    """A running JupyterLab: where it is, and the folder it serves."""

    address: str
    folder: Path


@dataclass
class Noise:
    """What the page complained of, and the addresses it asked for that are not the server's."""

    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser_path():
    """The browser's executable; without one, the tests fail in continuous integration and are skipped elsewhere."""
    named = os.environ.get("COURSE_BROWSER")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        sentence = "there is no Chromium: install it (apt install chromium), or name one with COURSE_BROWSER=/path."
        pytest.fail(sentence) if os.environ.get("CI") else pytest.skip(sentence)
    return found


@pytest.fixture
def notebook(request, tmp_path):
    """A copy of the notebook with its outputs removed, beside copies of the others, in a folder of its own."""
    (path,) = find(request.config.getoption("--notebook"))
    copies = tmp_path / "course" / "notebooks"
    shutil.copytree(path.parent, copies, ignore=shutil.ignore_patterns(".ipynb_checkpoints", "*.mine-*"))
    copy = copies / path.name
    content = nbformat.read(copy, as_version=4)
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(content, copy)
    return copy


@pytest.fixture
def server(notebook, tmp_path):
    """JupyterLab on a free port, started as `make lab` does but with a home of its own and no token."""
    home, runtime = tmp_path / "home", tmp_path / "runtime"
    home.mkdir()
    folders = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "IPYTHONDIR": "ipython"}
    environment = {**os.environ, "HOME": str(home), "JUPYTER_RUNTIME_DIR": str(runtime)}
    environment |= {name: str(tmp_path / folder) for name, folder in folders.items()}
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.port=0",
        "--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=", f"--ServerApp.root_dir={notebook.parent.parent}",
        "--LabApp.expose_app_in_browser=True",
    ]  # fmt: skip
    with (tmp_path / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            yield Server(address_of(process, runtime, tmp_path / "server.log"), notebook.parent.parent)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def address_of(process: subprocess.Popen, runtime: Path, log: Path) -> str:
    """Wait until the server has written down its address."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        note = runtime / f"jpserver-{process.pid}.json"
        try:
            return f"http://127.0.0.1:{json.loads(note.read_text())['port']}"
        except (OSError, ValueError):
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start within {START_SECONDS} s:\n{log.read_text()[-3000:]}")


@pytest.fixture
def page(server, browser_path):
    """An empty page; `page.noise` collects what goes wrong on it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="make test-browser installs Playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(30_000)
        page.noise = Noise()
        page.on("pageerror", lambda error: page.noise.errors.append(str(error)))
        page.on("console", lambda said: said.type == "error" and page.noise.errors.append(said.text))
        page.on("request", lambda asked: note_request(asked.url, server.address, page.noise))
        yield page
        browser.close()


def note_request(address: str, own: str, noise: Noise) -> None:
    """Remember a request that leaves the machine (data: and blob: do not)."""
    if address.startswith(("http", "ws")) and not address.split("//")[1].startswith(own.split("//")[1]):
        noise.elsewhere.append(address)
