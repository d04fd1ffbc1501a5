"""The teacher's kit: slides, worksheets and the printed book, made of the chapters' own words."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("bs4")
pytest.importorskip("markdown_it")
pytest.importorskip("anywidget")
ROOT = Path(__file__).resolve().parents[1]

spec = importlib.util.spec_from_file_location("kit", ROOT / "book" / "kit.py")
kit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kit)

BUILT = ROOT / "_build" / "html"
BROWSER = shutil.which("chromium")
CHAPTERS = sorted({q.chapter for q in kit.questions().values()})


@pytest.fixture
def site(tmp_path):
    """A built book of one chapter."""
    page = """<html><article><h1>2. A title</h1><script>move()</script><details><summary>Answer</summary>129</details>
      <noscript><figure class="wdl-first-frame"><img src="_images/still.png"></figure></noscript>
      <a href="03_scaling.html">next</a></article></html>"""
    (tmp_path / "index.html").write_text("<article>start</article>", encoding="utf-8")
    (tmp_path / "02_cost_of_moving.html").write_text(page, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_has_an_exercise_an_answer_and_a_sentence_for_the_board(chapter):
    text = kit.cells(chapter)
    exercise, answer = kit.first_exercise(text)
    assert exercise.startswith("**(a)") and len(exercise) > 100 and len(answer) > 50
    assert "<details" not in exercise + answer and "**(b)" not in exercise
    assert 60 < len(kit.for_the_board(text)) < 400


def test_slides_ask_show_and_tell(site):
    kit.make(site)
    text = (site / "kit" / "slides_02.html").read_text(encoding="utf-8")
    slides = re.findall(r"<section>(.*?)</section>", text, re.S)
    assert len(slides) == 5
    assert "154 different tables" in slides[0] and "Most of them" not in slides[0]
    assert slides[1].count("<li>") == 3
    assert 'src="../_images/still.png"' in slides[2] and "02_cost_of_moving.html#plan-by-hand=power:1" in slides[2]
    assert "129 of 154" in slides[3] and "smallest bill" in slides[4]


def test_a_worksheet_has_its_answer_on_a_sheet_of_its_own(site):
    kit.make(site)
    text = (site / "kit" / "worksheet_02.html").read_text(encoding="utf-8")
    question, answer = text.split("<div class='answers'>")
    _, solution = kit.first_exercise(kit.cells("02_cost_of_moving"))
    assert "Name:" in question and "\\(" in text
    assert kit.rendered(solution) in answer and kit.rendered(solution) not in question


def test_a_worksheet_holds_the_equations_that_its_exercise_names():
    exercise, _ = kit.first_exercise(kit.cells("03_scaling"))
    assert "(3.3)" in exercise
    shown = kit.equations(exercise, kit.cells("03_scaling"))
    assert "\\tag{3.3}" in shown and "leftarrow" in shown and "\\tag{3.1}" not in shown
    assert kit.equations("nothing is named (at all)", kit.cells("03_scaling")) == ""


def test_the_printed_book_has_pictures_in_the_place_of_demos_and_its_folds_open(site):
    text = kit.whole_book(site)
    assert text.count('class="page"') == 3  # the start, a list of the pages, the chapter
    assert '<li><a href="#page-1">2. A title</a></li>' in text and 'id="page-1"' in text
    assert 'processHtmlClass: "math"' in text  # MyST marks a whole section as none of MathJax's business
    assert "move()" not in text and "noscript" not in text
    assert '<details open="">' in text and '<img src="../_images/still.png"' in text
    assert "03_scaling.html" not in text


def test_the_printed_book_leaves_out_the_code_of_figures_and_keeps_solutions(site):
    fold = """<div class="cell tag_{tag}"><details class="hide above-input"><summary><p class="collapsed">Show the {what}</p>
      <p class="expanded">Hide the {what}</p></summary>{code}</details></div>"""
    body = fold.format(tag="hide-input", what="code of this figure", code="plot()")
    body += fold.format(tag="hide-cell", what="solution of (b)", code="solve()") + '<a href="index.html#x">start</a>'
    (site / "03_scaling.html").write_text(f"<article><h1>3. Scaling</h1>{body}</article>", encoding="utf-8")
    text = kit.whole_book(site)
    assert "plot()" not in text and "solve()" in text
    assert "The solution of (b)" in text and "Hide the solution" not in text
    assert '<a href="#page-0">start</a>' in text


def test_the_list_of_the_kit_leads_to_every_page_and_to_pdfs_only_where_they_are_printed(site):
    pages = kit.make(site)
    listed = (site / "kit" / "index.html").read_text(encoding="utf-8")
    assert all(f'href="{page.name}"' in listed for page in pages) and ".pdf" not in listed
    kit.make(site, as_pdf=True)
    listed = (site / "kit" / "index.html").read_text(encoding="utf-8")
    assert all(f'href="{page.stem}.pdf"' in listed for page in pages)


def test_the_kit_says_where_it_is_missing_its_book(tmp_path, capsys):
    with pytest.raises(SystemExit):
        kit.main(["--site", str(tmp_path)])
    assert "make book" in capsys.readouterr().err


def test_the_sheet_of_names_keeps_its_words_and_leaves_its_links(tmp_path):
    page = tmp_path / "cheatsheet.html"
    names = '<dl><dt><code>fcls</code>(X)</dt><dd><p><a href="x.html">Exactly</a>.</p></dd></dl>'
    page.write_text(
        f'<article><h1>?</h1><p>On</p><div class="wdl-cheatsheet">{names}</div></article>', encoding="utf-8"
    )
    sheet = kit.two_sheets(page)
    assert "<dt><code>fcls</code>(X)</dt><dd><p>Exactly.</p></dd>" in sheet
    assert "<a " not in sheet and "<p>On</p>" not in sheet and 'class="sheet"' in sheet


@pytest.mark.skipif(
    not BROWSER or not (BUILT / "appendices" / "cheatsheet.html").is_file(), reason="make book; Chromium"
)
def test_the_sheet_of_names_is_two_pages_of_paper(tmp_path):
    shutil.copy(ROOT / "book" / "kit.css", tmp_path / "kit.css")
    page = tmp_path / "sheet.html"
    page.write_text(kit.two_sheets(BUILT / "appendices" / "cheatsheet.html"), encoding="utf-8")
    printed = kit.print_pdf(page, BROWSER).read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 2
