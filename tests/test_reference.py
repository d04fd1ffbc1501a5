"""The reference: every public name is in it, chapters' names lead to it, and the page of equations holds."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import operator
import re
import zlib
from pathlib import Path

import nbformat
import pytest

import wdl_tutorial as wt

pytest.importorskip("sphinx")
ROOT = Path(__file__).resolve().parents[1]
BOOK, BUILT = ROOT / "book", ROOT / "_build" / "html"

spec = importlib.util.spec_from_file_location("api_reference", BOOK / "_ext" / "api_reference.py")
api = importlib.util.module_from_spec(spec)
spec.loader.exec_module(api)

DIRECTIVE = re.compile(r"```\{api\} (\S+)\n(?::names: (.*)\n)?")


@functools.cache
def described() -> dict[str, tuple]:
    """Full name -> what is described, over all pages of the reference."""
    found = {}
    for page in sorted((BOOK / "appendices" / "reference").glob("*.md")):
        for module, names in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            for key, node, path in api.public(module, names.split() or None):
                found[f"{module}.{key}"] = node, path
                if hasattr(node, "bases"):
                    found |= {f"{module}.{key}.{method.name}": (method, path) for method in api.methods(node)}
    return found


@pytest.mark.parametrize("name", wt.__all__)
def test_every_exported_name_is_in_the_reference(name):
    assert f"wdl_tutorial.{name}" in described()


@pytest.mark.parametrize("module", ["linear", "metrics", "datasets", "diffusion", "trust", "figures"])
def test_every_public_name_of_a_module_is_in_the_reference(module):
    path = ROOT / "wdl_tutorial" / f"{module}.py"
    names = api.listed(path) or list(api.definitions(path))
    assert len(names) > 2
    assert [name for name in names if f"wdl_tutorial.{module}.{name}" not in described()] == []


def test_results_that_are_returned_are_described_as_well():
    wanted = ["unmixing.Unmixing", "unmixing.Comparison", "objective.Objective", "gradients.GradientCheck"]
    wanted += ["presets.wahu", "presets.unbalanced_wahu", "diffusion.LAND", "trust.MixingTest", "widgets.Predict"]
    assert [name for name in wanted if f"wdl_tutorial.{name}" not in described()] == []


def first_names() -> set[str]:
    """Every ``wt.name`` in back-quotes in the prose of the chapters."""
    text = "\n".join(
        cell.source
        for path in BOOK.glob("[0-9]*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    )
    return {match.strip("`") for match in re.findall(r"`wt\.[a-zA-Z_.]+[^`]*`", text)}


def test_every_name_in_prose_has_an_entry_to_lead_to():
    modules = {"wt.linear", "wt.metrics", "wt.datasets", "wt.figures", "wt.widgets", "wt.deep"}
    names = {re.match(r"wt(\.[a-zA-Z_]\w*)+", name)[0] for name in first_names()} - modules
    assert len(names) > 15
    assert sorted(name for name in names if api.documented(name, described()) is None) == []


def test_the_first_use_in_code_is_linked_and_the_second_is_not():
    use = '<span class="n">wt</span><span class="o">.</span><span class="n">linear</span><span class="o">.</span>'
    use += '<span class="n">fcls</span><span class="p">(</span>'
    linked = api.link_code(use + use, {"wdl_tutorial.linear.fcls": "ref.html#x"})
    assert linked.count('<a class="wdl-api-link" href="ref.html#x"><span class="n">wt</span>') == 1
    assert linked.count("</a>") == 1 and linked.endswith(use)
    assert api.link_code(use, {"wdl_tutorial.sinkhorn": "s"}) == use


def rows() -> list[tuple[str, str]]:
    text = (BOOK / "appendices" / "where.md").read_text(encoding="utf-8")
    return re.findall(r"^\| .*? \| .*? \| `(wt[\w.]+)` \| \[\d+\]\(\.\./(\w+)\.ipynb\) \|$", text, re.M)


def test_every_row_of_the_page_of_equations_names_what_exists():
    assert len(rows()) >= 40
    for name, chapter in rows():
        parts = name.split(".")[1:]
        if len(parts) > 1:
            importlib.import_module(f"wdl_tutorial.{parts[0]}")
        assert operator.attrgetter(".".join(parts))(wt) is not None
        assert (BOOK / f"{chapter}.ipynb").is_file()


@pytest.mark.skipif(not (BUILT / "objects.inv").is_file(), reason="the book is not built: make book")
def test_the_inventory_of_the_built_book_holds_every_name():
    data = (BUILT / "objects.inv").read_bytes().split(b"zlib.\n", 1)[1]
    names = {line.split()[0] for line in zlib.decompress(data).decode().splitlines() if " py:" in line}
    assert [name for name in wt.__all__ if f"wdl_tutorial.{name}" not in names] == []
    assert sorted(set(described()) - names) == []


@pytest.mark.skipif(not (BUILT / "objects.inv").is_file(), reason="the book is not built: make book")
def test_the_first_wt_name_in_the_prose_of_every_built_page_is_a_link():
    bs4 = pytest.importorskip("bs4")
    linked = 0
    for page in sorted([*BUILT.glob("*.html"), *BUILT.glob("appendices/*.html")]):
        article, seen = bs4.BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select_one("article"), set()
        for word in article.select("code") if article else ():
            full = api.documented(word.get_text(), described())
            if full is None or full in seen or word.find_parent(["pre", "h1", "h2", "h3", "dt"]):
                continue
            seen.add(full)
            assert word.find_parent("a"), f"{page.name}: {full}"
            linked += 1
    assert linked > 50
