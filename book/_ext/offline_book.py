"""Sphinx extension: a book that asks nothing of any other host, and whose sliders move without a kernel.

* MathJax comes from the package sphinx-mathjax-offline; only the parts that the book uses are copied.
* The theme's thebe bootstrap, which points at a CDN, is dropped.
* ``static/widget-host.js`` runs the anywidget models that MyST-NB stores in a page: no require.js, no html-manager.
* A demo that also displays itself as ``image/png`` shows that picture to a reader without JavaScript.
* A chapter's number, which its file's name begins with, stands before its title: on the page, in the sidebar, everywhere.
* The version of the package that the chapters ran with stands in the footer.
* A wide figure links to itself: a tap on a phone shows it at its full size, where its words can be read.
* A few attributes of the theme's HTML that mislead a screen reader are mended; the first Tab leads to the first demo.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import struct
from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

import wdl_tutorial

HERE = Path(__file__).resolve().parent
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# what the theme and docutils write -> what axe-core and a screen reader accept
REPAIRS = {
    'title="Search" aria-label="Search" data-bs-placement': 'title="Search" data-bs-placement',  # hides its own text
    'data-mode="light" title="Light"': 'data-mode="light"',  # the button has a name of its own
    'data-mode="dark"  title="Dark"': 'data-mode="dark"',
    'data-mode="auto"  title="System Settings"': 'data-mode="auto"',
    '<summary aria-label="Toggle hidden content">': "<summary>",  # hides the words that say what is folded
    '<summary><span class="toctree-toggle"': '<summary aria-label="Pages below this one"><span class="toctree-toggle"',
    '<div role="list" class="citation-list">': '<div class="citation-list">',  # a list without list items
}
WIDE = 800  # pixels: wider than the column of text
# the parts of MathJax that set TeX as HTML, without its menu and its other input: 0.75 MB in the place of 1.2
MATHJAX = {
    "loader": {"load": ["input/tex-base", "[tex]/ams", "output/chtml"]},
    "tex": {"packages": ["base", "ams"]},
}
MATHJAX_PARTS = [
    "startup.js",
    "core.js",
    "input/tex-base.js",
    "input/tex/extensions/ams.js",
    "output/chtml.js",
    "output/chtml/fonts",
]


def mathjax_folder() -> Path:
    """The folder of MathJax 3 inside the installed package."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the book needs the package sphinx-mathjax-offline: pip install -e '.[book]'")
    return Path(spec.origin).parent / "static" / "mathjax"


def configure(app, config) -> None:
    """Point at our own copies, and put the version into the footer."""
    mathjax_folder()
    config.mathjax_path = "mathjax/startup.js"
    config.mathjax3_config = {**(config.mathjax3_config or {}), **MATHJAX}
    config.release = config.version = wdl_tutorial.__version__
    options = dict(config.html_theme_options)
    options["extra_footer"] = (
        f"<p>wdl_tutorial {wdl_tutorial.__version__}. Text: CC BY 4.0. Code: BSD 3-Clause. "
        "This page loads nothing from any other host.</p>"
    )
    config.html_theme_options = options


class ChapterNumbers(SphinxTransform):
    """Put the number of a chapter before its title: ``03_scaling`` is chapter 3.

    It runs when a page is read, so that whatever lists titles later (sidebar, previous and next, search) has the number.
    """

    default_priority = 500

    def apply(self, **kwargs) -> None:
        number = re.match(r"(\d\d)_", self.env.docname)
        title = next(iter(self.document.findall(nodes.title)), None)
        if number and title is not None:
            title.insert(0, nodes.Text(f"{int(number[1])}. "))


class FirstFrames(SphinxPostTransform):
    """Keep the picture of a demo, or the words of a prediction, beside it, for a reader without JavaScript.

    A cell's output is a bundle of one container per MIME type, of which MyST-NB keeps one: the widget. The picture is
    moved into the widget's container first, where only a browser that runs no script shows it.
    """

    default_priority = 3  # MyST-NB selects at 4
    formats = ("html",)

    def run(self, **kwargs) -> None:
        for bundle in self.document.findall(nodes.container):
            if bundle.get("nb_element") != "mime_bundle":
                continue
            by_type = {child["mime_type"]: child for child in bundle.children}
            view, still, words = by_type.get(WIDGET_VIEW), by_type.get("image/png"), by_type.get("text/html")
            if view is not None and still is not None:
                opening = nodes.raw("", '<noscript><figure class="wdl-first-frame">', format="html")
                closing = nodes.raw("", "</figure></noscript>", format="html")
                view.extend([opening, *still.children, closing])
            elif view is not None and words is not None:
                opening, closing = (nodes.raw("", tag, format="html") for tag in ("<noscript>", "</noscript>"))
                view.extend([opening, *words.children, closing])


def drop_thebe(app, pagename, templatename, context, doctree) -> None:
    """Remove the scripts of sphinx-thebe: Jupyter Book adds them whether or not a page asks for them."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in str(getattr(script, "filename", "") or "").lower()
        and "thebe" not in str((getattr(script, "attributes", None) or {}).get("body") or "").lower()
    ]
    context["css_files"] = [
        sheet for sheet in context.get("css_files", []) if "thebe" not in str(getattr(sheet, "filename", sheet)).lower()
    ]


def copy_assets(app, exception) -> None:
    """Copy MathJax and our own scripts and styles next to the pages that use them."""
    if exception or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    source, target = mathjax_folder(), static / "mathjax"
    for part in MATHJAX_PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            shutil.copy(source / part, target / part)
    shutil.copy(HERE / "licences" / "MathJax-LICENSE.txt", target / "LICENSE.txt")
    for file in (HERE / "static").iterdir():
        shutil.copy(file, static / file.name)


def link_wide_figures(text: str, page: Path) -> str:
    """Wrap each wide PNG that stands alone in a line of ``page`` in a link to its file."""

    def linked(found: re.Match) -> str:
        header = (page.parent / found["file"]).read_bytes()[16:20]
        (width,) = struct.unpack(">I", header)
        if width < WIDE:
            return found[0]
        return f'<a class="wdl-wide" href="{found["file"]}" title="The figure at its full size">{found[0]}</a>'

    return re.sub(r'^<img [^>]*src="(?P<file>[^":]*_images/[^":]+\.png)"[^>]*>', linked, text, flags=re.MULTILINE)


def skip_to_demo(text: str) -> str:
    """A first link to the first demo of a page, for a reader with a keyboard: past menus and search."""
    at = text.find('<script type="application/vnd.jupyter.widget-view+json">')
    if at < 0 or 'class="wdl-skip"' in text:
        return text
    text = text[:at] + '<span id="wdl-first-demo" tabindex="-1"></span>' + text[at:]
    link = '<a class="wdl-skip" href="#wdl-first-demo">Skip to what you can move</a>'
    return re.sub(r"(<body[^>]*>)", rf"\1\n{link}", text, count=1)


def mend_pages(app, exception) -> None:
    """Mend the written pages; a page that was not written again is already mended."""
    if exception or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        mended = skip_to_demo(link_wide_figures(text, page))
        for written, wanted in REPAIRS.items():
            mended = mended.replace(written, wanted)
        if mended != text:
            page.write_text(mended, encoding="utf-8")


def setup(app) -> dict:
    app.add_transform(ChapterNumbers)
    app.add_post_transform(FirstFrames)
    app.connect("config-inited", configure)
    app.connect("html-page-context", drop_thebe, priority=990)  # after every extension that adds a script
    app.connect("build-finished", copy_assets)
    app.connect("build-finished", mend_pages)
    app.add_js_file("widget-host.js", loading_method="defer")
    app.add_css_file("book.css", priority=900)
    return {"version": wdl_tutorial.__version__, "parallel_read_safe": True, "parallel_write_safe": True}
