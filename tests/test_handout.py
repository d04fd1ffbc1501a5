"""The zip for a room without a network: what it holds, and that it says how to start."""

from __future__ import annotations

import importlib.util
import io
import re
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / "dist" / "wdl_tutorial_handout.zip"
TOP = "wdl_tutorial_handout/"

spec = importlib.util.spec_from_file_location("handout", ROOT / "book" / "handout.py")
handout = importlib.util.module_from_spec(spec)
spec.loader.exec_module(handout)


@pytest.fixture
def tree(tmp_path):
    """A book of one page, a chapter, a wheel."""
    for name, text in {
        "html/index.html": "<p>a page</p>",
        "html/_sources/index.md": "a page",
        "book/00_first.ipynb": "{}",
        "book/appendices/words.md": "words",
        "p-1-py3-none-any.whl": "a wheel",
        "constraints.txt": "numpy==2\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def files_of(tree: Path) -> dict[str, bytes]:
    wheel = tree / "p-1-py3-none-any.whl"
    return handout.contents(tree / "html", tree / "book", wheel, tree / "constraints.txt")


def commands(start: str) -> list[str]:
    return re.search(r"```\n(.*?)```", start, re.S)[1].strip().splitlines()


def test_it_holds_pages_notebooks_wheel_pins_and_a_start(tree):
    assert set(files_of(tree)) == {
        "book/index.html",
        "notebooks/00_first.ipynb",
        "notebooks/appendices/words.md",
        "p-1-py3-none-any.whl",
        "constraints.txt",
        "START.md",
    }


def test_the_start_is_one_page_of_three_commands_that_name_what_is_there(tree):
    start = files_of(tree)["START.md"].decode()
    assert len(start.splitlines()) < 50
    venv, install, lab = commands(start)
    assert venv.startswith("python3 -m venv")
    assert "p-1-py3-none-any.whl[book]" in install
    assert lab.endswith("notebooks/00_first.ipynb")


def test_the_same_files_give_the_same_bytes(tree):
    first = handout.pack(tree / "a.zip", files_of(tree)).read_bytes()
    assert first == handout.pack(tree / "b.zip", files_of(tree)).read_bytes()


def test_the_zip_lies_beside_the_pages_its_link_is_shown_and_it_does_not_hold_itself(tree):
    page = tree / "html" / "appendices" / "teachers.html"
    page.parent.mkdir()
    page.write_text('<p class="wdl-handout" hidden>the handout</p>')
    target = handout.pack(tree / "handout.zip", files_of(tree))
    handout.offer(tree / "html", target)
    assert (tree / "html" / "handout.zip").read_bytes() == target.read_bytes()
    assert page.read_text() == '<p class="wdl-handout">the handout</p>'
    assert "book/handout.zip" not in files_of(tree)


def test_a_book_that_was_not_built_is_named(tree):
    (tree / "html" / "index.html").unlink()
    with pytest.raises(FileNotFoundError, match="make book"):
        files_of(tree)


@pytest.mark.skipif(not BUILT.is_file(), reason="no handout: make handout")
def test_the_built_handout_is_whole():
    with zipfile.ZipFile(BUILT) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        (wheel,) = [name for name in names if name.endswith(".whl")]
        inside = zipfile.ZipFile(io.BytesIO(archive.read(wheel))).namelist()
        toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
        start = archive.read(f"{TOP}START.md").decode()
        pages = {name.removeprefix(f"{TOP}book/") for name in names}
        notebooks = {Path(name).name for name in names if name.startswith(f"{TOP}notebooks/") and "/app" not in name}
    listed = {f"{chapter['file']}.html" for part in toc["parts"] for chapter in part["chapters"]}
    assert listed - pages == set(), "older than the book: make handout"
    assert notebooks >= {f"{page[:-5]}.ipynb" for page in listed if "/" not in page}
    assert f"{TOP}constraints.txt" in names
    assert len(commands(start)) == 3
    assert any(name.startswith("wdl_tutorial/data/") for name in inside)
    assert any(name.endswith("widgets/transport.js") for name in inside)
    assert all(name.startswith(TOP) for name in names)
