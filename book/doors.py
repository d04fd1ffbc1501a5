"""The doors of the book: who comes after whom. ``python book/doors.py`` writes the last line of each chapter.

A chapter's last cell ends with one line that links the next chapter behind each door, from ``_doors.yml``; a test holds it
there, so whoever adds a chapter to a door runs this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
import yaml

BOOK = Path(__file__).resolve().parent
MARK = "**Next.**"


def load(path: Path = BOOK / "_doors.yml") -> dict[str, dict]:
    """Door -> its title and its pages, in the order of reading."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def after(page: str, doors: dict[str, dict]) -> dict[str, str]:
    """Door -> the page that comes after ``page``, for the doors that hold both."""
    found = {}
    for door, entry in doors.items():
        pages = entry["pages"]
        if page in pages[:-1]:
            found[door] = pages[pages.index(page) + 1]
    return found


def called(page: str) -> str:
    """How a sentence names a page: ``04_average_of_many`` is chapter 4."""
    return "the capstone" if "capstone" in page else f"chapter {int(page[:2])}"


def line(page: str, doors: dict[str, dict]) -> str:
    """The last line of a chapter; empty for the last one."""
    nexts = after(page, doors)
    if not nexts:
        return ""
    links = {door: f"[{called(to)}]({to}.ipynb)" for door, to in nexts.items()}
    if len(set(links.values())) == 1:
        behind = "" if len(links) == len(doors) else f", behind the {next(iter(links))} door"
        return f"{MARK} {next(iter(links.values()))}{behind}."
    return f"{MARK} " + "; ".join(f"behind the {door} door, {link}" for door, link in links.items()) + "."


def with_line(source: str, last: str) -> str:
    """A cell's text with its last line in place of the one it had."""
    kept = source.split(f"\n\n{MARK}")[0].rstrip()
    return f"{kept}\n\n{last}" if last else kept


def main() -> int:
    doors = load()
    for path in sorted(BOOK.glob("[0-9]*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        cell = notebook.cells[-1]
        wanted = with_line(cell.source, line(path.stem, doors))
        if cell.source != wanted:
            cell["source"] = wanted
            path.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")
            print(f"wrote {path.name}: {line(path.stem, doors)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
