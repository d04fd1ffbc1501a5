"""The built book in a real browser, over http and from file://: `make browser`."""

from __future__ import annotations

import pytest
from driver import CHROMIUM, ROOT, drive, missing, require

BOOK = ROOT / "_build" / "html"


@pytest.fixture(scope="module", params=["http", "file"])
def report(request) -> dict:
    require(missing() or (None if (BOOK / "index.html").is_file() else "the book is not built: make book"))
    return drive("pages.mjs", str(BOOK), request.param, CHROMIUM, minutes=25)


def complaints(report: dict, kind: str) -> list[str]:
    return [f"{page['page']}: {line}" for page in report["pages"] for line in page[kind]]


def test_every_page_is_opened(report):
    opened = {page["page"] for page in report["pages"]}
    built = {str(page.relative_to(BOOK)) for page in BOOK.rglob("*.html") if not {"_static", "kit"} & set(page.parts)}
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


def test_the_first_demo_of_every_page_is_at_most_five_tabs_away(report):
    counted = {page["page"]: page["tabs"] for page in report["pages"] if page["tabs"]}
    assert len(counted) > 15
    assert {name: tabs for name, tabs in counted.items() if tabs > 5} == {}


def test_a_first_load_is_light(report):
    """Uncompressed, over http: 1.5 MB, and 3 MB for the pages whose matter is images."""
    if all(page["bytes"] == 0 for page in report["pages"]):
        pytest.skip("a page from the file system has no transfer to be counted")
    for page in sorted(report["pages"], key=lambda page: -page["bytes"]):
        print(f"{page['bytes'] / 1e6:6.2f} MB  {page['page']}")
    images = ("09_", "appendices/gallery")
    limit = {page["page"]: 3e6 if page["page"].startswith(images) else 1.5e6 for page in report["pages"]}
    assert [page["page"] for page in report["pages"] if page["bytes"] > limit[page["page"]]] == []
