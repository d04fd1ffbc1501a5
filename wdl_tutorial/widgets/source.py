"""One self-contained ES module per demo, put together from the files of this folder.

A model in a built page carries its code as text, and text that is imported from a Blob has no neighbours: relative
imports cannot work there. So the modules that a demo imports are written in front of it, each once, and the words
``import`` and ``export`` that tied them together are dropped.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

FOLDER = Path(__file__).parent
IMPORT = re.compile(r'^import\s*\{[^}]*\}\s*from\s*"\./([\w.]+)";\s*$', re.MULTILINE)
REEXPORT = re.compile(r"^export\s*\{[^}]*\};\s*$", re.MULTILINE)
EXPORT = re.compile(r"^export (?!default\b)", re.MULTILINE)
TIES = re.compile(r"^(?:import\b|export\s*[{*])[^;]*;", re.MULTILINE)  # all that this may be asked to drop


def read(name: str) -> str:
    """The text of a file of this folder."""
    return (FOLDER / name).read_text(encoding="utf-8")


def modules(name: str, seen: tuple[str, ...] = ()) -> list[str]:
    """``name`` and the modules it imports, each after those it needs."""
    if name in seen:
        raise ValueError(f"the modules {' -> '.join([*seen, name])} import each other in a circle.")
    text = read(name)
    for tie in TIES.findall(text):
        whole = IMPORT.fullmatch(tie) or REEXPORT.fullmatch(tie)
        if not whole or re.search(r"\bas\b", tie.partition("}")[0]):
            raise ValueError(
                f"{name} says {' '.join(tie.split())} Modules are put together by dropping such lines, so a name keeps its "
                'name: write import { a, b } from "./file.js"; or export { a, b }; without "as", "*" or a default.'
            )
    found: list[str] = []
    for needed in IMPORT.findall(text):
        found += [m for m in modules(needed, (*seen, name)) if m not in found]
    return [*found, name]


def inlined(name: str) -> str:
    """The text of one module without the words that tie it to others."""
    return EXPORT.sub("", REEXPORT.sub("", IMPORT.sub("", read(name)))).strip()


@functools.cache
def esm(name: str) -> str:
    """The ES module of the demo in file ``name``, with everything it imports inside.

    >>> "import {" in esm("two_peaks.js")
    False
    """
    return "\n\n".join(inlined(module) for module in modules(name)) + "\n"


@functools.cache
def css() -> str:
    """The style sheet that all demos share."""
    return read("widgets.css")
