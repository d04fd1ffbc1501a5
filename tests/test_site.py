"""What each built page says about itself: tags, links, doors; the functions behind them, without a build."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("anywidget")
ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / "_build" / "html"

spec = importlib.util.spec_from_file_location("site_pages", ROOT / "book" / "_ext" / "site_pages.py")
site_pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(site_pages)


class Title(str):
    def astext(self) -> str:
        return str(self)


@pytest.fixture
def app():
    names = [path.stem for path in (ROOT / "book").glob("[0-9]*.ipynb")]
    titles = {name: Title(name.upper()) for name in [*names, "index", "appendices/votes"]}
    settings = {"wdl_address": "", "wdl_repository": "", "wdl_launch": "", "project": "A book"}
    return SimpleNamespace(
        srcdir=str(ROOT / "book"), env=SimpleNamespace(titles=titles), config=SimpleNamespace(**settings)
    )


def tagged(app, page: str, **context) -> str:
    context = {"title": "A <em>title</em>", "body": "<p>text</p>", **context}
    site_pages.about_page(app, page, "page.html", context, None)
    return context["metatags"] + context["body"]


def test_a_page_says_what_it_is_to_a_search_engine_and_to_a_preview(app):
    page = tagged(app, "01_two_peaks")
    for tag in ('name="description"', 'property="og:title"', 'property="og:description"'):
        assert tag in page
    assert 'content="A title - A book"' in page
    assert "og:url" not in page and "wdl-source-links" not in page  # no address, no repository: no link to nowhere


def test_address_repository_and_launch_are_one_setting_each(app):
    app.config.wdl_address, app.config.wdl_repository = "https://example.org/book/", "https://github.com/owner/name"
    app.config.wdl_launch = "binder"
    page = tagged(app, "01_two_peaks")
    assert 'content="https://example.org/book/01_two_peaks.html"' in page
    assert "https://github.com/owner/name/blob/HEAD/book/01_two_peaks.ipynb" in page
    assert "mybinder.org/v2/gh/owner/name/HEAD?labpath=book%2F01_two_peaks.ipynb" in page
    site_pages.settle(None, app.config)
    assert app.config.html_baseurl == "https://example.org/book/"
    app.config.wdl_launch = "elsewhere"
    with pytest.raises(ValueError, match="wdl_launch must be one of binder, colab"):
        site_pages.settle(None, app.config)


def test_a_page_of_words_is_not_launched(app):
    assert [words for words, _ in site_pages.launch_links("https://github.com/o/r", "colab", "index", False)] == [
        "The source of this page"
    ]


def test_a_page_knows_the_doors_and_its_own_name(app):
    data = json.loads(re.search(r"wdlPage = (.*);</script>", tagged(app, "appendices/votes"))[1])
    assert data["name"] == "appendices/votes" and data["root"] == "../"
    assert data["doors"]["spectra"]["pages"][0][0] == "00_sixty_seconds"
    key, chapter, title, question, options = data["questions"][1]
    assert (key, chapter, title) == ("1", "01_two_peaks", "01_TWO_PEAKS") and "?" in question
    assert options[0].startswith("One peak at 90, of a width") and "*" not in "".join(options)


def test_the_script_of_the_doors_is_one_classic_script():
    text = site_pages.in_one(
        site_pages.read("votes.js"), (ROOT / "book/_ext/static/doors.js").read_text(encoding="utf-8")
    )
    assert not re.search(r"^(import|export) ", text, re.M)
    assert text.count("function recall(") == 1 and "wdl-review" in text


@pytest.mark.skipif(not (BUILT / "index.html").is_file(), reason="the book is not built: make book")
def test_every_built_page_has_a_description_of_its_own():
    pages = [page for page in BUILT.rglob("*.html") if "_static" not in page.parts]
    bare = [page.name for page in pages if '<meta name="description"' not in page.read_text(encoding="utf-8")]
    assert bare == []


def test_where_a_browser_keeps_nothing_the_page_gets_a_storage_that_lasts_as_long_as_it(app):
    """Before anything of the theme's reads it: the script stands in the first tags of the page."""
    page = tagged(app, "01_two_peaks")
    script = re.search(r"<script>(for \(const name of .*?)</script>", page, re.DOTALL)[1]
    assert page.index(script) < page.index("window.wdlPage")
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    broken = """globalThis.window = globalThis;
      const no = { get() { throw new Error("no storage"); }, configurable: true };
      Object.defineProperty(window, "localStorage", no); Object.defineProperty(window, "sessionStorage", no);
      %s
      localStorage.setItem("a", 1); sessionStorage.setItem("b", 2); localStorage.removeItem("b");
      console.log(localStorage.getItem("a"), localStorage.getItem("b"), sessionStorage.getItem("b"));"""
    run = subprocess.run([node, "-e", broken % script], capture_output=True, text=True, timeout=60)
    assert run.stdout.split() == ["1", "null", "2"], run.stderr
