"""Sphinx directives ``truth`` (the rows of one paper), ``truth-count`` and ``truth-changes``, from the package.

Every number on the page comes from the ledger that ``python -m wdl_tutorial.reproduce`` writes; every verdict is computed
from those numbers while the page is built. Nothing here is typed by hand.
"""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import Directive

from wdl_tutorial import reproduce

HEADS = {"Where": 14, "The paper says": 28, "We get": 46, "Verdict": 12}


def cell(*children: nodes.Node) -> nodes.entry:
    return nodes.entry("", *children)


def line(*cells: nodes.entry) -> nodes.row:
    return nodes.row("", *cells)


def paragraph(text: str) -> nodes.paragraph:
    return nodes.paragraph(text, text)


def finding(judged: reproduce.Judged) -> list[nodes.Node]:
    """What we get, why it may differ, the rule of the verdict, and the command that prints it."""
    found = [paragraph(judged.gets)]
    if judged.row.data:
        found.append(nodes.paragraph("", "", nodes.strong("", "Other data: "), nodes.Text(judged.row.data)))
    if judged.row.why:
        found.append(paragraph(judged.row.why))
    if judged.rule:
        found.append(nodes.paragraph("", "", nodes.emphasis(judged.rule, judged.rule)))
    if judged.command:
        found.append(nodes.paragraph("", "", nodes.literal(judged.command, judged.command)))
    return found


def badge(verdict: str) -> nodes.paragraph:
    return nodes.paragraph("", "", nodes.strong(verdict, verdict), classes=["wdl-verdict", verdict.replace(" ", "-")])


class Truth(Directive):
    """``{truth} WDL``: the rows of one paper as a table."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        rows = [judged for judged in reproduce.table_of_truth() if judged.row.paper == self.arguments[0]]
        if not rows:
            raise self.error(f"No paper of the table of truth is called {self.arguments[0]!r}.")
        head = nodes.thead("", line(*(cell(paragraph(title)) for title in HEADS)))
        body = nodes.tbody()
        for judged in rows:
            says = [cell(paragraph(judged.row.item)), cell(paragraph(judged.row.claims))]
            body += line(*says, cell(*finding(judged)), cell(badge(judged.verdict)))
        columns = [nodes.colspec(colwidth=width) for width in HEADS.values()]
        group = nodes.tgroup("", *columns, head, body, cols=len(HEADS))
        return [nodes.container("", nodes.table("", group, classes=["wdl-truth"]), classes=["wdl-scroll"])]


class TruthCount(Directive):
    """``{truth-count}``: one sentence."""

    def run(self) -> list[nodes.Node]:
        return [paragraph(reproduce.summary(reproduce.table_of_truth()))]


class TruthChanges(Directive):
    """``{truth-changes}``: the counts of the last version, and the rows whose verdict or findings are others now."""

    def run(self) -> list[nodes.Node]:
        before, moved = reproduce.changes(reproduce.table_of_truth())
        told = ", ".join(f"{before[verdict]} {verdict}" for verdict in reproduce.VERDICTS if verdict in before)
        items = nodes.bullet_list()
        for row in moved:
            there, here = row.before, row.now
            words = (
                "was {there}, now split or gone"
                if not here
                else ("new, {here}" if not there else "{there}, now {here}")
            )
            if there == here:
                words = "{here}, as before"
            item = nodes.list_item("", paragraph(f"{row.name}: {words.format(there=there, here=here)}."))
            item += [paragraph(f"Before: {row.found_before}")] if row.found_before else []
            item += [paragraph(f"Now: {row.found}")] if row.found else []
            item += [nodes.paragraph("", "", nodes.literal("", row.command))] if row.command else []
            items += item
        return [paragraph(f"Version 0.1 had {sum(before.values())} rows: {told}."), items]


def setup(app) -> dict:
    app.add_directive("truth", Truth)
    app.add_directive("truth-count", TruthCount)
    app.add_directive("truth-changes", TruthChanges)
    # the page is built anew when the findings change
    app.connect("env-get-outdated", lambda app, env, added, changed, removed: {"appendices/truth"} & env.found_docs)
    return {"parallel_read_safe": True}
