"""The rows of the table of truth, the ledger of what was found, and the verdicts that follow from it.

A row names a figure, table or headline number, what its paper says of it, and an experiment. An experiment is a function
``experiment(part, quick)`` that returns a flat dictionary of numbers. It hands its slow pieces (one seed, one method) to
``part(name, function, *arguments)``, which keeps each result at once: an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import __version__, datasets, words

Numbers = dict[str, Any]
Part = Callable[..., Any]

REPRODUCED, IN_PART, NOT, CANNOT, NOT_RUN, DRAWING = VERDICTS = (
    "reproduced",
    "in part",
    "not reproduced",
    "cannot be tried",
    "not run",
    "nothing to measure",
)


class Row(NamedTuple):
    """One figure, table or number of a paper.

    ``gets`` is a format string over the experiment's numbers; the docstring of ``verdict`` is the rule that readers see.
    """

    paper: str
    item: str
    claims: str
    gets: str
    verdict: Callable[[Numbers], str] | str
    why: str = ""
    experiment: Callable[[Part, bool], Numbers] | None = None
    needs: tuple[str, ...] = ()


class Judged(NamedTuple):
    """A row with its numbers filled in: what stands on the page."""

    row: Row
    gets: str
    verdict: str
    rule: str
    command: str


def name_of(experiment: Callable) -> str:
    """``wdl.dirac_atoms``: the key of an experiment in the ledger and after ``--only``."""
    return f"{experiment.__module__.rsplit('.', 1)[-1]}.{experiment.__name__}"


class Ledger:
    """The numbers found so far, in one JSON file that is written anew, whole, after every part."""

    def __init__(self, path: str | os.PathLike, *, quick: bool = False, fresh: bool = False) -> None:
        self.path, self.quick = Path(path), quick
        self.parts: dict[str, dict[str, Any]] = {}
        self.numbers: dict[str, Numbers] = {}
        if self.path.exists() and not fresh:
            self._read()

    def _read(self) -> None:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            self.parts, self.numbers = found["parts"], found["numbers"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.path} is no ledger of findings ({error!r}). Delete it, or start with --fresh."
            ) from error
        if found.get("quick") != self.quick:
            kinds = ("full", "quick")
            raise ValueError(
                f"{self.path} holds a {kinds[bool(found.get('quick'))]} run, and a {kinds[self.quick]} one was asked for. "
                "Name another file with --out, or start with --fresh."
            )

    def write(self) -> None:
        """Replace the file in one step, so that a run that is killed leaves the last whole one."""
        text = {"version": __version__, "quick": self.quick, "numbers": self.numbers, "parts": self.parts}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(self.path.name + ".new")
        beside.write_text(json.dumps(text, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(beside, self.path)

    def part_of(self, experiment: Callable, note: Callable[[str], None]) -> Part:
        """The ``part`` that is handed to one experiment."""
        kept = self.parts.setdefault(name_of(experiment), {})

        def part(name: str, function: Callable, *arguments: Any, **options: Any) -> Any:
            if name not in kept:
                note(name)
                kept[name] = plain(function(*arguments, **options))
                self.write()
            return kept[name]

        return part

    def run(self, experiment: Callable, note: Callable[[str], None] = lambda text: None) -> Numbers:
        """The numbers of an experiment: the ledger's, or new ones."""
        key = name_of(experiment)
        if key not in self.numbers:
            self.numbers[key] = plain(experiment(self.part_of(experiment, note), self.quick))
            self.parts.pop(key, None)  # the pieces have done their work
            self.write()
        return self.numbers[key]


def plain(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's, to five significant digits; NaN and infinity are refused."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if not np.isfinite(value):
            raise ValueError(f"An experiment found {value}; a finding must be a finite number.")
        return float(f"{float(value):.5g}")
    return value


def missing(row: Row) -> list[str]:
    """The scenes that a row needs and that this machine lacks."""
    here = {"novels": words.novels_available}
    return [name for name in row.needs if not here.get(name, lambda name=name: datasets.available(name))()]


def judge(row: Row, numbers: Numbers | None) -> Judged:
    """Fill a row in: its verdict follows from its numbers, or from what cannot be had."""
    if row.experiment is None:
        return Judged(row, row.gets, str(row.verdict), "", "")
    command = f"python -m wdl_tutorial.reproduce --only {name_of(row.experiment)}"
    rule = " ".join((inspect.getdoc(row.verdict) or "").split())
    if numbers is None:
        return Judged(row, "no numbers yet", NOT_RUN, rule, command)
    return Judged(row, row.gets.format(**numbers), row.verdict(numbers), rule, command)


def place(row: Row) -> tuple[int, int]:
    """Where a row stands among its paper's: figures, then tables, then sections, each by its number."""
    kind, number = re.match(r"(Figure|Table|Section)s? (\d+|I+\b)", row.item).groups()
    return ("Figure", "Table", "Section").index(kind), int(number) if number.isdigit() else len(number)


def experiments(rows: Iterable[Row]) -> dict[Callable, list[Row]]:
    """Each experiment once, with its rows, in the order of the table."""
    found: dict[Callable, list[Row]] = {}
    for row in rows:
        if row.experiment is not None:
            found.setdefault(row.experiment, []).append(row)
    return found


def lines(judged: Iterable[Judged]) -> Iterator[str]:
    """The table as text for a terminal."""
    for entry in judged:
        yield f"{entry.row.paper}, {entry.row.item}: {entry.verdict.upper()}"
        yield f"    says   {entry.row.claims}"
        yield f"    we get {entry.gets}"
        if entry.row.why:
            yield f"    why    {entry.row.why}"
        if entry.rule:
            yield f"    rule   {entry.rule}"
        if entry.command:
            yield f"    by     {entry.command}"
