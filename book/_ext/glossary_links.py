"""Sphinx extension: a link from a chapter to the glossary arrives at the word that it links.

A chapter writes ``[*atoms*](appendices/glossary.md)``, which JupyterLab opens too. Here the link gets the anchor of the
entry, ``glossary.html#term-atom``. A word that the glossary does not hold is a warning, and so the book does not build.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

PAGE = "appendices/glossary"
LINK = re.compile(r"\[([^\]]+)\]\((?:appendices/)?glossary(?:\.md)?\)")


def words_linked(text: str) -> list[str]:
    """The words of ``text`` (Markdown) that link to the glossary, without the page's own name.

    >>> words_linked("two [*atoms*](appendices/glossary.md), see the [glossary](appendices/glossary.md)")
    ['atoms']
    """
    found = [match.strip("*_ ") for match in LINK.findall(text)]
    return [words for words in found if words.lower() != "glossary"]


def term_of(words: str, terms: Iterable[str]) -> str | None:
    """The term that ``words`` mean, whatever their case, and in the plural, too; None where there is none.

    >>> term_of("scaling vectors", ["atom", "scaling vector"]), term_of("Dijon", ["Dirac"])
    ('scaling vector', None)
    """
    known = {term.lower(): term for term in terms}
    words = " ".join(words.lower().split())
    return known.get(words) or known.get(words.removesuffix("s"))


class GlossaryAnchors(SphinxPostTransform):
    """Give each resolved link to the glossary the anchor of its term."""

    default_priority = 11  # Sphinx resolves references at 10
    formats = ("html",)

    def run(self, **kwargs) -> None:
        objects = self.env.get_domain("std").objects
        anchors = {name: anchor for (kind, name), (page, anchor) in objects.items() if kind == "term" and page == PAGE}
        for link in self.document.findall(nodes.reference):
            words = link.astext()
            if not link.get("refuri", "").endswith("glossary.html") or words.lower() == "glossary":
                continue
            term = term_of(words, anchors)
            if term is None:
                logging.getLogger(__name__).warning("the glossary has no entry %r", words, location=link)
            else:
                link["refuri"] += f"#{anchors[term]}"


def setup(app) -> dict:
    app.add_post_transform(GlossaryAnchors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
