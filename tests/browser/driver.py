"""Drive the system's Chromium by a script of Node.js.

Skipped where Node.js, Chromium or playwright-core is missing, unless WDL_TUTORIAL_REQUIRE_BROWSER is set, as it is in
continuous integration.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)


def missing() -> str | None:
    """What this machine lacks to drive a browser, or None."""
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if CHROMIUM is None:
        return "Chromium is not installed"
    if not (HERE / "node_modules" / "playwright-core").is_dir():
        return "playwright-core is not installed: make browser"
    return None


def require(lack: str | None) -> None:
    """Skip the test where something is lacking; fail it where nothing may lack."""
    if lack and os.environ.get("WDL_TUTORIAL_REQUIRE_BROWSER"):
        pytest.fail(lack)
    if lack:
        pytest.skip(lack)


def drive(script: str, *arguments: str, minutes: int) -> dict:
    """The JSON report that a script of this folder prints."""
    command = ["node", script, *arguments]
    run = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=60 * minutes)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout)
