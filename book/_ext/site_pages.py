"""Sphinx extension: what each page says about itself, and how a reader walks from it.

* **Doors.** ``book/_doors.yml`` holds one list a door. A page gets the lists, its own name and the questions that are voted
  on, as ``window.wdlPage``; ``static/doors.js`` does the rest.
* **Found and shared.** Each page has a description, from its first paragraph, and the tags that a preview reads. With the
  setting ``wdl_address`` each has a canonical address; with ``wdl_repository`` a link to its source; with ``wdl_launch``
  (``binder`` or ``colab``) its notebooks have a link that runs them for somebody who installs nothing.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import yaml
from docutils import nodes
from docutils.parsers.rst import Directive

from wdl_tutorial.widgets.source import EXPORT, IMPORT, REEXPORT, read
from wdl_tutorial.widgets.votes import marked_up, questions

HERE = Path(__file__).resolve().parent
LONG = 200  # characters of a description
# The theme reads the browser's storage unguarded: where a browser keeps nothing it gets one that lasts as long as the page.
STORAGE = """<script>for (const name of ["localStorage", "sessionStorage"]) try { window[name].getItem("mode"); } catch {
  const kept = new Map(), put = (k, v) => { kept.set(k, String(v)); }, drop = (k) => { kept.delete(k); };
  const value = { getItem: (k) => kept.get(k) ?? null, setItem: put, removeItem: drop };
  Object.defineProperty(window, name, { configurable: true, value });
}</script>"""
LAUNCH = {
    "binder": "https://mybinder.org/v2/gh/{owner}/HEAD?labpath=book%2F{page}.ipynb",
    "colab": "https://colab.research.google.com/github/{owner}/blob/HEAD/book/{page}.ipynb",
}


def shown(options: list[str]) -> list[str]:
    return [re.sub(r"[*`]", "", option) for option in options]


def page_data(app, pagename: str) -> dict:
    """What ``doors.js`` reads."""
    titles = app.env.titles
    doors = yaml.safe_load((Path(app.srcdir) / "_doors.yml").read_text(encoding="utf-8"))
    named = {
        door: {"title": entry["title"], "pages": [[p, titles[p].astext()] for p in entry["pages"] if p in titles]}
        for door, entry in doors.items()
    }
    asked = [
        [q.key, q.chapter, titles[q.chapter].astext(), *shown([q.question]), shown(q.options)]
        for q in questions().values()
        if q.chapter in titles
    ]
    if "votes" not in pagename:  # the page of errors alone needs the words
        asked = [entry[:2] for entry in asked]
    return {"name": pagename, "root": "../" * pagename.count("/"), "doors": named, "questions": asked}


def description(doctree: nodes.document | None) -> str:
    """The first paragraph of a page, as one line."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree is not None else ():
        words = " ".join(paragraph.astext().split())
        if len(words) > 60 and not isinstance(paragraph.parent, nodes.container):
            return words if len(words) <= LONG else words[:LONG].rsplit(" ", 1)[0] + " \u2026"
    return "Optimal transport, Wasserstein dictionary learning and hyperspectral unmixing, with sliders that need no server."


def tags(title: str, words: str, address: str) -> str:
    """The tags that search engines and previews read."""
    title, words = html.escape(title), html.escape(words)
    found = [f'<meta name="description" content="{words}" />', f'<meta property="og:title" content="{title}" />']
    found += [f'<meta property="og:description" content="{words}" />', '<meta property="og:type" content="article" />']
    found += ['<meta name="twitter:card" content="summary" />']
    if address:
        found += [f'<meta property="og:url" content="{html.escape(address)}" />']
    return "\n".join(found)


def launch_links(repository: str, launch: str, pagename: str, is_notebook: bool) -> list[tuple[str, str]]:
    """Words and addresses: the page's source, and where it runs without an installation.

    >>> launch_links("https://github.com/o/r", "colab", "01_two_peaks", True)[1][1]
    'https://colab.research.google.com/github/o/r/blob/HEAD/book/01_two_peaks.ipynb'
    """
    if not repository:
        return []
    suffix = "ipynb" if is_notebook else "md"
    found = [("The source of this page", f"{repository.rstrip('/')}/blob/HEAD/book/{pagename}.{suffix}")]
    if launch and is_notebook:
        owner = "/".join(repository.rstrip("/").split("/")[-2:])
        found.append(("Run this page without installing anything", LAUNCH[launch].format(owner=owner, page=pagename)))
    return found


def about_page(app, pagename, templatename, context, doctree) -> None:
    """Put the tags, the page's data and the links into a page."""
    config = app.config
    address = f"{config.wdl_address.rstrip('/')}/{pagename}.html" if config.wdl_address else ""
    title = re.sub("<[^>]+>", "", context.get("title") or config.project)
    context["metatags"] = context.get("metatags", "") + tags(
        f"{title} - {config.project}", description(doctree), address
    )
    data = json.dumps(page_data(app, pagename), ensure_ascii=False).replace("</", "<\\/")
    context["metatags"] += f"\n{STORAGE}\n<script>window.wdlPage = {data};</script>"
    is_notebook = (Path(app.srcdir) / f"{pagename}.ipynb").is_file()
    links = launch_links(config.wdl_repository, config.wdl_launch, pagename, is_notebook)
    if links and "body" in context:
        shown_links = " \u00b7 ".join(f'<a href="{html.escape(to)}">{words}</a>' for words, to in links)
        context["body"] += f'<p class="wdl-source-links">{shown_links}</p>'


def in_one(*texts: str) -> str:
    """Modules as one classic script: what tied them together is dropped, and nothing of it is global."""
    plain = [EXPORT.sub("", REEXPORT.sub("", IMPORT.sub("", text))).strip() for text in texts]
    return '"use strict";\n(() => {\n' + "\n\n".join(plain) + "\n})();\n"


def write_script(app, exception) -> None:
    """``_static/doors.js``: a module from file:// may not import another, so both are one."""
    if exception or app.builder.format != "html":
        return
    doors = (HERE / "static" / "doors.js").read_text(encoding="utf-8")
    (Path(app.outdir) / "_static" / "doors.js").write_text(in_one(read("votes.js"), doors), encoding="utf-8")


def settle(app, config) -> None:
    """One setting for the address of the site; the theme's canonical link follows it."""
    if config.wdl_address:
        config.html_baseurl = config.wdl_address.rstrip("/") + "/"
    if config.wdl_launch and config.wdl_launch not in LAUNCH:
        raise ValueError(f"wdl_launch must be one of {', '.join(LAUNCH)}, or empty; got {config.wdl_launch!r}.")


class Doors(Directive):
    """``{doors}``: for each door its list of chapters, and the link that opens it."""

    def run(self) -> list[nodes.Node]:
        environment = self.state.document.settings.env
        file = Path(environment.srcdir) / "_doors.yml"
        environment.note_dependency(str(file))
        found: list[nodes.Node] = []
        for door, entry in yaml.safe_load(file.read_text(encoding="utf-8")).items():
            first = entry["pages"][0]
            numbers = ", ".join("capstone" if "capstone" in page else str(int(page[:2])) for page in entry["pages"])
            opening = f'<p class="wdl-enter"><a href="{first}.html?door={door}">Open {entry["title"].lower()}</a>'
            found.append(nodes.raw("", f"{opening}: {numbers}</p>", format="html"))
        return found


class Beliefs(Directive):
    """``{beliefs}``: what each wrong option believes, for teachers, from the table that the predictions are made from."""

    def run(self) -> list[nodes.Node]:
        rows = ["<tr><th>Chapter</th><th>It is so</th><th>Wrong option, and what it believes</th><th>Ask</th></tr>"]
        for q in questions().values():
            name = f'<a href="../{q.chapter}.html#wdl-vote-{q.key}">{int(q.chapter[:2])}</a>'
            for k, wrong in enumerate(q.wrong):
                first = f"<td rowspan={len(q.wrong)}>{name}</td><td rowspan={len(q.wrong)}>{marked_up(q.right)}</td>"
                believes = f"{marked_up(wrong.option)} <em>{marked_up(wrong.belief)}</em>"
                rows.append(f"<tr>{first if k == 0 else ''}<td>{believes}</td><td>{marked_up(wrong.ask)}</td></tr>")
        head, body = rows[0], "".join(rows[1:])
        table = f'<table class="table"><thead>{head}</thead><tbody>{body}</tbody></table>'
        return [nodes.raw("", f'<div class="pst-scrollable-table-container">{table}</div>', format="html")]


class Review(Directive):
    """``{votes-review}``: where this browser's reader was wrong and sure; filled by ``doors.js``."""

    def run(self) -> list[nodes.Node]:
        words = "This list is kept by your browser, and needs JavaScript to be shown."
        return [nodes.raw("", f'<div class="wdl-review"><p>{words}</p></div>', format="html")]


def setup(app) -> dict:
    app.add_config_value("wdl_address", "", "html")
    app.add_config_value("wdl_repository", "", "html")
    app.add_config_value("wdl_launch", "", "html")
    app.add_directive("beliefs", Beliefs)
    app.add_directive("doors", Doors)
    app.add_directive("votes-review", Review)
    app.connect("config-inited", settle)
    app.connect("html-page-context", about_page, priority=900)
    app.connect("build-finished", write_script)
    app.add_js_file("doors.js", loading_method="defer", priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
