"""The built book in a real browser, over http and from file://: `make browser`.

Skipped where Node.js, Chromium or the driver is missing, unless WDL_TUTORIAL_REQUIRE_BROWSER is set, as it is in
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
BOOK = HERE.parents[1] / "_build" / "html"
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None
)
REQUIRED = bool(os.environ.get("WDL_TUTORIAL_REQUIRE_BROWSER"))


def missing_driver() -> str | None:
    """What this machine lacks to drive a browser, or None."""
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if CHROMIUM is None:
        return "Chromium is not installed"
    if not (HERE / "node_modules" / "playwright-core").is_dir():
        return "playwright-core is not installed: make browser"
    return None


def missing() -> str | None:
    """What this machine lacks for the browser tests of the book, or None."""
    lack = missing_driver()
    if lack:
        return lack
    if not (BOOK / "index.html").is_file():
        return "the book is not built: make book"
    return None


@pytest.fixture(scope="module", params=["http", "file"])
def report(request) -> dict:
    lack = missing()
    if lack and REQUIRED:
        pytest.fail(lack)
    if lack:
        pytest.skip(lack)
    run = subprocess.run(
        ["node", "pages.mjs", str(BOOK), request.param, CHROMIUM],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=1500,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout)


def complaints(report: dict, kind: str) -> list[str]:
    return [f"{page['page']}: {line}" for page in report["pages"] for line in page[kind]]


def test_every_page_is_opened(report):
    opened = {page["page"] for page in report["pages"]}
    built = {str(page.relative_to(BOOK)) for page in BOOK.rglob("*.html") if "_static" not in page.parts}
    assert opened == built
    assert len(opened) > 3


def test_no_page_asks_another_host(report):
    assert complaints(report, "outside") + report["search"]["outside"] == []


def test_no_page_has_an_error(report):
    assert complaints(report, "errors") + report["search"]["errors"] == []


def test_every_slider_changes_its_picture(report):
    assert complaints(report, "unchanged") == []


def test_search_finds_a_word_of_the_book(report):
    assert report["search"]["found"]


def test_no_serious_accessibility_violation_in_light_or_dark_mode(report):
    assert complaints(report, "accessibility") == []
