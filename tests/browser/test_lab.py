"""Three chapters in a real JupyterLab: every cell runs, the slider moves by keyboard, no other host is asked."""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from driver import CHROMIUM, ROOT, drive, missing, require

TOKEN = "test"


def chapters() -> list[str]:
    """The first three chapters whose demo has a slider."""
    text = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "book").glob("*.ipynb"))}
    moving = [
        path for path in text if "wt.widgets." in text[path] and "PlanByHand" not in text[path]
    ]  # that is a table
    return [str(path.relative_to(ROOT)) for path in moving[:3]]


@contextlib.contextmanager
def jupyter_lab(folder: Path, log_folder: Path, **environment: str):
    """The address of a JupyterLab that serves ``folder``, as `make lab` starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = open(log_folder / "log", "w+")
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
        + [f"--IdentityProvider.token={TOKEN}", "--ServerApp.root_dir=.", "--LabApp.expose_app_in_browser=True"]
        + ["--LabApp.news_url=None", "--LabApp.extension_manager=readonly"]
        + ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api", server, log)
        yield address
    finally:
        server.terminate()
        server.wait(30)
        log.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab that serves the repository."""
    with jupyter_lab(ROOT, tmp_path_factory.mktemp("lab")) as address:
        yield address


def wait_for(url: str, server: subprocess.Popen, log) -> None:
    """Return once ``url`` answers; fail with the server's log where it never does."""
    for _ in range(120):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    log.seek(0)
    pytest.fail(f"JupyterLab did not start: {log.read()[-2000:]}")


@pytest.fixture(scope="module")
def report(request) -> dict:
    require(missing())
    address = request.getfixturevalue("lab")
    before = {name: (ROOT / name).read_bytes() for name in chapters()}
    try:
        return drive("lab.mjs", address, TOKEN, CHROMIUM, *chapters(), minutes=15)
    finally:
        for name, content in before.items():
            if (ROOT / name).read_bytes() != content:  # Lab saves what it ran now and then
                (ROOT / name).write_bytes(content)


def test_every_cell_of_the_chapters_runs(report):
    assert [(found["notebook"], found["errors"]) for found in report["notebooks"] if found["errors"]] == []
    assert all(found["cells"] > 0 for found in report["notebooks"])


def test_the_slider_moves_its_picture(report):
    moved = {found["notebook"]: found["moved"] for found in report["notebooks"]}
    assert len(moved) == 3 and all(moved.values()), moved
    for found in report["notebooks"]:
        assert len(found["milliseconds"]) > 10, found["notebook"]  # a move that is not drawn is not timed
        print(f"{found['notebook']}: median {statistics.median(found['milliseconds']):.1f} ms from key to picture")


def test_lab_asks_no_other_host_and_shows_no_pop_up(report):
    assert report["outside"] == []
    assert [found["dialogs"] for found in report["notebooks"] if found["dialogs"]] == []
