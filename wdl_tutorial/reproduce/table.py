"""The rows of the table of truth, the ledger of what was found, and the verdicts that follow from it.

A row names a figure, table or headline number, what its paper says of it, and an experiment. An experiment is a function
``experiment(part, quick)`` that returns a flat dictionary of numbers. It hands its slow pieces (one seed, one method) to
``part(name, function, *arguments)``, which keeps each result at once: an interrupted run goes on where it stopped.

One rule makes every verdict. A claim is taken apart into conditions: **reproduced** is all of them, **in part** some,
**not reproduced** none. There are four kinds of condition, each fair both ways and worded here, once:

    near(name, said)      the paper's number, at most 15 % (or a stated width) off, upwards or downwards
    ahead(name, others)   the better of the methods that the paper compares, whatever the margin
    between(name, ...)    a share, a count or a distance in a stated range
    holds(text, test)     anything else, in words

A number is judged on the paper's own data alone (``Rule(..., where=...)``); an order or an effect may be judged on other
data of the same kind, and the row then says which (``Row.data``).
"""

from __future__ import annotations

import json
import os
import re
import time
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


class Condition(NamedTuple):
    """One testable piece of a claim, in words and as a test of the experiment's numbers."""

    text: str
    test: Callable[[Numbers], bool]


def holds(text: str, test: Callable[[Numbers], bool]) -> Condition:
    return Condition(text, test)


def near(name: str, said: float, what: str, *, slack: float = 0.15, points: float | None = None) -> Condition:
    """The number ``name`` is the paper's, up to ``slack`` times it, or up to ``points``."""
    width = slack * abs(said) if points is None else points
    told = f"{slack:.0%}" if points is None else f"{points:g} points"
    return Condition(f"{what} within {told} of {said:g}", lambda found: abs(found[name] - said) <= width)


def ahead(name: str, others: Iterable[str], text: str, *, higher: bool = False) -> Condition:
    """``name`` is lower (or ``higher``) than each of ``others``."""
    others = tuple(others)
    sign = -1 if higher else 1
    return Condition(text, lambda found: all(sign * found[name] < sign * found[other] for other in others))


def between(name: str, low: float, high: float, text: str) -> Condition:
    return Condition(text, lambda found: low <= found[name] <= high)


class Rule:
    """All conditions: reproduced. Some: in part. None: not reproduced.

    ``where`` says on which numbers the rule can speak at all; elsewhere the verdict is that the row cannot be tried.
    """

    def __init__(self, *conditions: Condition, where: Condition | None = None) -> None:
        self.conditions, self.where = conditions, where

    def __call__(self, found: Numbers) -> str:
        if self.where is not None and not self.where.test(found):
            return CANNOT
        held = [condition.test(found) for condition in self.conditions]
        return REPRODUCED if all(held) else (IN_PART if any(held) else NOT)

    @property
    def text(self) -> str:
        """The rule that readers see."""
        told = "; ".join(condition.text for condition in self.conditions)
        count = len(self.conditions)
        head = "Reproduced if " if count == 1 else f"Reproduced if all {count} hold, in part if some do: "
        tail = "" if self.where is None else f". Judged only where {self.where.text}"
        return f"{head}{told}{tail}."


class Row(NamedTuple):
    """One figure, table or number of a paper.

    ``gets`` is a format string over the experiment's numbers. ``said`` are numbers as the paper has them or draws them, in
    the experiment's names: by the rule they must give "reproduced". ``data`` says what stands in for the paper's data;
    ``also`` names experiments whose numbers join the first one's.
    """

    paper: str
    item: str
    claims: str
    gets: str
    verdict: Rule | str
    why: str = ""
    experiment: Callable[[Part, bool], Numbers] | None = None
    needs: tuple[str, ...] = ()
    said: Numbers | None = None
    data: str = ""
    also: tuple[Callable[[Part, bool], Numbers], ...] = ()


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

    def __init__(self, path: str | os.PathLike, *, quick: bool = False, fresh: bool = False, only: str = "") -> None:
        self.path, self.quick = Path(path), quick
        self.parts: dict[str, dict[str, Any]] = {}
        self.numbers: dict[str, Numbers] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        if self.path.exists() and (only or not fresh):
            self._read()
        if fresh and only:  # forget what is asked for, keep the rest
            for kept in (self.parts, self.numbers, self.runs):
                for key in [key for key in kept if only in key]:
                    del kept[key]

    def _read(self) -> None:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            self.parts, self.numbers = found["parts"], found["numbers"]
            self.runs = found.get("runs", {})
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
        text["runs"] = self.runs
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(self.path.name + ".new")
        beside.write_text(json.dumps(text, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(beside, self.path)

    def spent(self, key: str, seconds: float) -> None:
        """Add to the CPU seconds of an experiment, over all the sittings it took."""
        run = self.runs.setdefault(key, {"cpu_seconds": 0.0})
        run["cpu_seconds"] = round(run["cpu_seconds"] + seconds, 1)

    def part_of(self, experiment: Callable, note: Callable[[str], None]) -> Part:
        """The ``part`` that is handed to one experiment."""
        kept = self.parts.setdefault(name_of(experiment), {})

        def part(name: str, function: Callable, *arguments: Any, **options: Any) -> Any:
            if name not in kept:
                note(name)
                began = time.process_time()
                kept[name] = plain(function(*arguments, **options))
                self.spent(name_of(experiment), time.process_time() - began)
                self.write()
            return kept[name]

        return part

    def run(self, experiment: Callable, note: Callable[[str], None] = lambda text: None) -> Numbers:
        """The numbers of an experiment: the ledger's, or new ones."""
        key = name_of(experiment)
        if key not in self.numbers:
            began, before = time.process_time(), self.runs.get(key, {}).get("cpu_seconds", 0.0)
            self.numbers[key] = plain(experiment(self.part_of(experiment, note), self.quick))
            inside = self.runs.get(key, {}).get("cpu_seconds", 0.0) - before  # what its parts have counted already
            self.spent(key, max(time.process_time() - began - inside, 0.0))
            self.runs[key] |= {"version": __version__, "day": time.strftime("%Y-%m-%d")}
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


def of(row: Row, found: dict[str, Numbers]) -> Numbers | None:
    """The numbers of a row's experiments among those found; None where one is missing."""
    if row.experiment is None or any(name_of(run) not in found for run in (row.experiment, *row.also)):
        return None
    return {name: value for run in (row.experiment, *row.also) for name, value in found[name_of(run)].items()}


def judge(row: Row, numbers: Numbers | None) -> Judged:
    """Fill a row in: its verdict follows from its numbers, or from what cannot be had."""
    if row.experiment is None or isinstance(row.verdict, str):
        return Judged(row, row.gets, str(row.verdict), "", "")
    command = f"python -m wdl_tutorial.reproduce --only {name_of(row.experiment)}"
    if numbers is None:
        return Judged(row, "no numbers yet", NOT_RUN, row.verdict.text, command)
    return Judged(row, row.gets.format(**numbers), row.verdict(numbers), row.verdict.text, command)


def place(row: Row) -> tuple[int, int]:
    """Where a row stands among its paper's: figures, then tables, then sections, each by its number."""
    kind, number = re.match(r"(Figure|Table|Section)s? (\d+|[IVX]+\b)", row.item).groups()
    roman = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5}
    return ("Figure", "Table", "Section").index(kind), int(number) if number.isdigit() else roman[number]


def experiments(rows: Iterable[Row]) -> dict[Callable, list[Row]]:
    """Each experiment once, with its rows, in the order of the table."""
    found: dict[Callable, list[Row]] = {}
    for row in rows:
        for experiment in (row.experiment, *row.also) if row.experiment is not None else ():
            found.setdefault(experiment, []).append(row)
    return found


def lines(judged: Iterable[Judged]) -> Iterator[str]:
    """The table as text for a terminal."""
    for entry in judged:
        yield f"{entry.row.paper}, {entry.row.item}: {entry.verdict.upper()}"
        yield f"    says   {entry.row.claims}"
        yield f"    we get {entry.gets}"
        if entry.row.data:
            yield f"    data   {entry.row.data}"
        if entry.row.why:
            yield f"    why    {entry.row.why}"
        if entry.rule:
            yield f"    rule   {entry.rule}"
        if entry.command:
            yield f"    by     {entry.command}"


# ------------------------------------------------------------------------------------------------------- differences

TOLERANCE = 0.05  # relative: threads, libraries and processors move a fit's last digits, and a chaotic one further


def differences(now: Ledger, before: Ledger, rows: Iterable[Row]) -> Iterator[str]:
    """What a run gives otherwise than an earlier one: verdicts, and numbers beyond the tolerance."""
    rows = list(rows)
    for row in rows:
        mine = of(row, now.numbers)
        if mine is not None:
            here, there = judge(row, mine).verdict, _verdict(row, of(row, before.numbers))
            if here != there:
                yield f"{row.paper}, {row.item}: {there} before, {here} now"
    for key in map(name_of, experiments(rows)):
        if key in now.numbers and key in before.numbers:
            yield from _moved(key, now.numbers[key], before.numbers[key])
        elif key in now.numbers:
            yield f"{key}: new"


def _verdict(row: Row, numbers: Numbers | None) -> str:
    try:
        return judge(row, numbers).verdict
    except KeyError:  # an experiment of an earlier version had other numbers
        return "other numbers"


def _moved(key: str, now: Numbers, before: Numbers) -> Iterator[str]:
    for name in sorted(set(now) | set(before)):
        if name.endswith("_cpu"):
            continue  # seconds of another machine, or of a busier day
        if name not in before or name not in now:
            yield f"{key}, {name}: only {'now' if name in now else 'before'}"
        elif isinstance(now[name], bool | str) or isinstance(before[name], bool | str):
            if now[name] != before[name]:
                yield f"{key}, {name}: {before[name]} before, {now[name]} now"
        elif abs(now[name] - before[name]) > TOLERANCE * max(abs(now[name]), abs(before[name]), 1e-6):
            yield f"{key}, {name}: {before[name]:.5g} before, {now[name]:.5g} now"
