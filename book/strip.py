"""Keep text outputs only in the chapters: ``python book/strip.py book/*.ipynb`` (or ``make strip``).

Images, widget views and widget state go: they are made again by whoever runs or builds the book, they would drown every
diff, and nbval compares text. So do progress bars, which tell how fast a machine was. Execution counts become 1, 2,
3 ...: nbval does not check a cell that has none.

``--execute`` runs each chapter first, from a clean kernel and without any real scene, so that what is stored is the
same on every machine (``make outputs``).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

import nbformat

DROPPED_MIME = ("image/", "application/vnd.jupyter.widget", "application/vnd.plotly", "application/javascript")
KEPT_CELL_METADATA = ("tags", "mystnb", "slideshow", "jupyter")
KEPT_NOTEBOOK_METADATA = ("kernelspec", "language_info", "wdl_tutorial")


def strip_output(output: dict) -> None:
    """Drop what is not text from one output, in place."""
    output["metadata"] = {}
    data = output["data"]
    for mime in list(data):
        embedded = mime == "text/html" and any(mark in "".join(data[mime]) for mark in ("data:image", "<svg"))
        if mime.startswith(DROPPED_MIME) or embedded:
            del data[mime]


def is_bar(output: dict) -> bool:
    """Whether an output is a progress bar that a notebook shows while somebody looks on."""
    return "application/vnd.jupyter.widget-view+json" in output.get("data", {}) and bool(
        re.search(r"\d+%\|", "".join(output["data"].get("text/plain", "")))
    )


def strip_notebook(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Strip ``notebook`` in place and return it: text outputs, counted cells, no machine's own metadata."""
    notebook["metadata"] = {key: notebook.metadata[key] for key in KEPT_NOTEBOOK_METADATA if key in notebook.metadata}
    notebook["metadata"]["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook["metadata"]["language_info"] = {"name": "python"}
    count = 0
    for cell in notebook.cells:
        cell["metadata"] = {key: cell.metadata[key] for key in KEPT_CELL_METADATA if key in cell.metadata}
        if cell.cell_type != "code":
            cell.pop("attachments", None)
            continue
        ran = cell.execution_count is not None
        count += ran
        cell["execution_count"] = count if ran else None
        cell["outputs"] = [output for output in cell.outputs if not is_bar(output)]
        for output in cell.outputs:
            if "data" in output:
                strip_output(output)
            if output.output_type == "execute_result":
                output["execution_count"] = cell["execution_count"]
    return notebook


def execute(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Run ``notebook`` in ``folder`` from a clean kernel, without real scenes."""
    from nbclient import NotebookClient

    environment = {key: value for key, value in os.environ.items() if key != "WDL_TUTORIAL_DATA"}
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=600,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=environment)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Keep text outputs only in notebooks.")
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--execute", action="store_true", help="run each notebook first")
    options = parser.parse_args(arguments)
    for path in options.notebooks:
        before = path.read_text(encoding="utf-8")
        notebook = nbformat.reads(before, as_version=4)
        if options.execute:
            execute(notebook, path.parent)
        after = nbformat.writes(strip_notebook(notebook)).rstrip("\n") + "\n"
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"stripped {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
