"""A teacher's kit, made from the built book: ``python book/kit.py`` (``make handout`` does it).

Below ``kit/`` of the site: for each chapter a set of slides (the question, its options, the demo's state as a link and as a
picture, the answer, the sentence for the board) and an A4 worksheet of exercise (a) with an answer sheet; every name on two
sheets; the whole book as one page to print. Where Chromium is found each becomes a PDF as well. All words are those of the
chapters, of the table of predictions and of the docstrings: nothing is typed twice.
"""

from __future__ import annotations

import argparse
import html
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import yaml
from bs4 import BeautifulSoup, Tag
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from wdl_tutorial.widgets.votes import Question, marked_up, questions

BOOK = Path(__file__).resolve().parent
MINUTES = 8  # for one PDF
NOT_ON_PAPER = (
    "script, .headerlink, .wdl-skip, button, .tag_hide-input details.above-input, summary .expanded, .wdl-handout"
)
LEFT_TO_THE_SCREEN = re.compile("gallery|votes|reference/|appendices/api")
HEAD = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><link rel="stylesheet" href="kit.css">{more}
<script>window.MathJax = {{ loader: {{ load: ["input/tex-base", "[tex]/ams", "output/chtml"] }},
  tex: {{ packages: ["base", "ams"] }}, options: {{ processHtmlClass: "math" }} }};</script>
<script defer src="../_static/mathjax/startup.js"></script></head><body class="{kind}">"""


def cells(chapter: str) -> str:
    """The prose of a chapter."""
    notebook = nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4)
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def rendered(text: str) -> str:
    """Markdown with formulas, as HTML for MathJax; links into the book are left as words."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", re.sub(r"\{cite:[pt]\}`[^`]*`", "", text))
    page = (
        MarkdownIt("commonmark", {"html": True}).enable("table").use(dollarmath_plugin, renderer=formula).render(text)
    )
    return page


def formula(content: str, options: dict) -> str:
    content = html.escape(content)
    return f"\\[{content}\\]" if options.get("display_mode") else f"\\({content}\\)"


def first_exercise(text: str) -> tuple[str, str]:
    """Exercise (a) and its solution."""
    found = re.search(r"\*\*\(a\).*?(?=<details>)", text, re.S)
    answer = re.search(r"<summary>Solution</summary>(.*?)</details>", text[found.end() :] if found else "", re.S)
    return (found[0].strip(), answer[1].strip()) if found and answer else ("", "")


def equations(exercise: str, text: str) -> str:
    """The numbered equations of a chapter that an exercise names: on a sheet there is nowhere to look them up."""
    found = {}
    for block in re.findall(r"\$\$\n.*?\n\$\$", text, re.S):
        for number in re.findall(r"\\tag\{([\d.]+)\}", block):
            found[number] = block
    named = [number for number in dict.fromkeys(re.findall(r"\((\d+\.\d+)\)", exercise)) if number in found]
    return "\n\n".join(["*From the chapter:*", *(found[number] for number in named)]) if named else ""


def for_the_board(text: str) -> str:
    """The sentence that answers the chapter's title, from its last lines."""
    recap = text[text.rfind("\n## Recap") :]
    found = re.search(r"^\*\*[^*\n]+\?\*\*\s+(.*?)(?=\n\n|\n## |\Z)", recap, re.S | re.M)
    return found[1].strip() if found else ""


def picture(page: Path) -> str:
    """The address of the first demo's still picture in a built chapter."""
    found = re.search(r'wdl-first-frame">.*?src="(_images/[^"]+)"', page.read_text(encoding="utf-8"), re.S)
    return f"../{found[1]}" if found else ""


def slides(asked: list[Question], title: str, site: Path, text: str) -> str:
    """The slides of one chapter."""
    parts = []
    for q in asked:
        options = "".join(f"<li><b>{'ABC'[k]}.</b> {marked_up(o)}</li>" for k, o in enumerate(sorted(q.options)))
        parts.append(f"<h1>{html.escape(title)}</h1><p>{marked_up(q.question)}</p>")
        parts.append(
            f"<p>{marked_up(q.question)}</p><ul>{options}</ul><p class='small'>Raise your hands, and keep them up.</p>"
        )
        still, link = picture(site / f"{q.chapter}.html"), f"../{q.chapter}.html" + (f"#{q.state}" if q.state else "")
        shown = f'<img src="{still}" alt="the demo as it opens">' if still else ""
        parts.append(f'{shown}<p><a href="{html.escape(link)}">Open the demo in this state</a></p>')
        told = "".join(f"<li>{marked_up(w.option)} <em>{marked_up(w.told)}</em></li>" for w in q.wrong)
        parts.append(f"<p><b>{marked_up(q.right)}</b></p><p>{marked_up(q.answer)}</p><ul class='small'>{told}</ul>")
    parts.append(f"<p class='small'>For the board</p>{rendered(for_the_board(text))}")
    sections = "".join(f"<section>{part}</section>" for part in parts)
    return HEAD.format(title=f"Slides: {html.escape(title)}", more="", kind="slides") + sections + "</body></html>"


def worksheet(title: str, text: str) -> str:
    """Exercise (a) on one sheet, its answer on the next."""
    exercise, answer = first_exercise(text)
    head = HEAD.format(title=f"Worksheet: {html.escape(title)}", more="", kind="worksheet")
    name = "<p class='name'>Name: <span></span> Date: <span></span></p>"
    asked = rendered(exercise) + rendered(equations(exercise, text))
    sheet = f"<h1>{html.escape(title)}</h1>{name}{asked}<div class='space'></div>"
    return (
        f"{head}{sheet}<div class='answers'><h2>Answer: {html.escape(title)}</h2>{rendered(answer)}</div></body></html>"
    )


def order() -> list[str]:
    """All pages in the order of the table of contents."""
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    found = [toc["root"]]
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            found += [chapter["file"], *(section["file"] for section in chapter.get("sections", []))]
    return found


def anchor(link: str, pages: dict[str, str]) -> str | None:
    """Where a link of a page leads in the printed book: to the page that it names, or nowhere."""
    return pages.get(link.split("#")[0].rsplit("/", 1)[-1].removesuffix(".html"))


def for_paper(article: Tag, pages: dict[str, str]) -> str:
    """A page without what only a screen has: pictures in the place of demos, folds open, the code of figures left out."""
    for still in article.select("noscript"):
        still.name = "div"
    for gone in article.select(NOT_ON_PAPER):
        gone.decompose()
    for fold in article.select("details"):
        fold["open"] = ""
        for words in fold.select("summary .collapsed"):
            words.string = words.get_text().removeprefix("Show ").capitalize()
    for image in article.select("img[src]"):
        image["src"] = "../" + image["src"].replace("../", "")
        image.attrs.pop("loading", None)  # paper is not scrolled
    for link in article.select("a[href]"):
        if not link["href"].startswith("http"):
            to = anchor(link["href"], pages)
            link.attrs.pop("href")
            link.attrs |= {"href": f"#{to}"} if to else {}
    return article.decode_contents()


def whole_book(site: Path) -> str:
    """Every page in one, after a list of them. The reference is left to the screen; its sheet of names is there."""
    names = [name for name in order() if (site / f"{name}.html").is_file() and not LEFT_TO_THE_SCREEN.search(name)]
    pages = {name.rsplit("/", 1)[-1]: f"page-{k}" for k, name in enumerate(names)}
    bodies, contents = [], []
    for name, key in zip(names, pages.values()):
        article = BeautifulSoup((site / f"{name}.html").read_text(encoding="utf-8"), "html.parser").select_one(
            "article"
        )
        body = for_paper(article, pages)
        title = article.select_one("h1")
        contents.append(f'<li><a href="#{key}">{html.escape(title.get_text()) if title else name}</a></li>')
        bodies.append(f'<section class="page" id="{key}">{body}</section>')
    bodies.insert(1, f'<section class="page"><h1>Pages</h1><ul class="contents">{"".join(contents)}</ul></section>')
    sheets = '<link rel="stylesheet" href="../_static/pygments.css"><link rel="stylesheet" href="kit.css">'
    return HEAD.format(title="A book that moves mass", more=sheets, kind="print") + "".join(bodies) + "</body></html>"


def two_sheets(page: Path) -> str:
    """The sheet of names, small enough for both sides of one paper."""
    article = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select_one("article")
    listed = article.select_one(".wdl-cheatsheet")
    for link in listed.select("a[href]"):
        link.unwrap()
    opening = "<h1>wdl_tutorial, import wdl_tutorial as wt</h1>"
    return (
        HEAD.format(title="wdl_tutorial on two sheets", more="", kind="sheet")
        + opening
        + str(listed)
        + "</body></html>"
    )


def print_pdf(page: Path, browser: str) -> Path:
    """The page as a PDF file beside it, formulas set."""
    target = page.with_suffix(".pdf")
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        command += ["--no-pdf-header-footer", "--allow-file-access-from-files", "--virtual-time-budget=60000"]
        command += [f"--print-to-pdf={target}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=60 * MINUTES)
    return target


def link_to(name: str, words: str, as_pdf: bool) -> str:
    """A page of the kit, and the same as a PDF."""
    return f'<a href="{name}.html">{words}</a>' + (f' (<a href="{name}.pdf">PDF</a>)' if as_pdf else "")


def make(site: Path, *, as_pdf: bool = False) -> list[Path]:
    """Write the kit's pages below the site; returns them. Its list names PDFs if they are going to be printed."""
    folder = site / "kit"
    folder.mkdir(exist_ok=True)
    shutil.copy(BOOK / "kit.css", folder / "kit.css")
    written, links = [], []
    for chapter in sorted({q.chapter for q in questions().values()}):
        if not (site / f"{chapter}.html").is_file():
            continue
        text, asked = cells(chapter), [q for q in questions().values() if q.chapter == chapter]
        title = f"{int(chapter[:2])}. {text.splitlines()[0].removeprefix('# ')}"
        for kind, content in (("slides", slides(asked, title, site, text)), ("worksheet", worksheet(title, text))):
            page = folder / f"{kind}_{chapter[:2]}.html"
            page.write_text(content, encoding="utf-8")
            written.append(page)
        named = ", ".join(link_to(f"{kind}_{chapter[:2]}", kind, as_pdf) for kind in ("slides", "worksheet"))
        links.append(f"<li>{html.escape(title)}: {named}</li>")
    book = folder / "book.html"
    book.write_text(whole_book(site), encoding="utf-8")
    names = site / "appendices" / "cheatsheet.html"
    if names.is_file():
        sheet = folder / "cheatsheet.html"
        sheet.write_text(two_sheets(names), encoding="utf-8")
        written.append(sheet)
        links.append('<li><a href="cheatsheet.html">Every name on two sheets</a></li>')
    index = (
        HEAD.format(title="A teacher's kit", more="", kind="index") + "<h1>A teacher's kit</h1><ul>" + "".join(links)
    )
    index += f"</ul><p>{link_to('book', 'The whole book as one page to print', as_pdf)}</p></body></html>"
    (folder / "index.html").write_text(index, encoding="utf-8")
    return [*written, book]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Slides, worksheets and a printed book from the built book.")
    parser.add_argument("--site", type=Path, default=BOOK.parent / "_build" / "html", help="the built book")
    parser.add_argument("--no-pdf", action="store_true", help="pages only")
    options = parser.parse_args(arguments)
    if not (options.site / "index.html").is_file():
        parser.error(f"{options.site.name} holds no index.html: run `make book` first.")
    browser = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    as_pdf = browser is not None and not options.no_pdf
    pages = make(options.site.resolve(), as_pdf=as_pdf)
    for page in pages if as_pdf else ():
        print_pdf(page, browser)
    print(f"kit: {len(pages)} pages{', each as a PDF' if as_pdf else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
