"""The table of truth: every figure, table and headline number of the four papers against what this package gives.

    python -m wdl_tutorial.reproduce                 all of it; goes on where it stopped (hours on two cores)
    python -m wdl_tutorial.reproduce --quick         smaller problems, in minutes
    python -m wdl_tutorial.reproduce --only wdl.     some of it; with --fresh, anew
    python -m wdl_tutorial.reproduce --jobs 2        in two processes
    python -m wdl_tutorial.reproduce --show          no computing: the findings that came with the package

The numbers that came with the package are in ``found.json``; the book's table is built from it. A run ends with what it
gives otherwise than they: verdicts, and numbers that differ by more than ``TOLERANCE``. ``--adopt FILE`` puts the findings
of a full run in their place, and leaves those of experiments that it could not run.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from . import id_net, parallel, pictures, vae_land, wahu, wdl
from .table import (
    TOLERANCE,
    VERDICTS,
    Judged,
    Ledger,
    Row,
    differences,
    experiments,
    judge,
    lines,
    missing,
    name_of,
    of,
    place,
)

FOUND = Path(__file__).with_name("found.json")
EARLIER = Path(__file__).with_name("verdicts-0.1.json")  # written by that version's own table
PAPERS = ([*wdl.ROWS, *pictures.ROWS], wahu.ROWS, vae_land.ROWS, id_net.ROWS)
ROWS: list[Row] = [row for rows in PAPERS for row in sorted(rows, key=place)]

__all__ = [
    "FOUND",
    "ROWS",
    "TOLERANCE",
    "VERDICTS",
    "Change",
    "Judged",
    "Ledger",
    "Row",
    "adopt",
    "changes",
    "differences",
    "report",
    "run",
    "summary",
    "table_of_truth",
]


def table_of_truth(ledger: Ledger | None = None) -> list[Judged]:
    """Every row with its numbers and its verdict, from a ledger (default: the one that came with the package)."""
    ledger = ledger or Ledger(FOUND)
    return [judge(row, of(row, ledger.numbers)) for row in ROWS]


def run(ledger: Ledger, *, only: str = "", jobs: int = 1, progress: bool = True) -> list[str]:
    """Run the experiments whose name holds ``only``, into the ledger; return the names left out, and why.

    With ``jobs`` above one, in as many processes, one experiment each. A KeyboardInterrupt passes through; what was found
    before it is in the ledger's file.
    """
    from tqdm.auto import tqdm

    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise ValueError(f"jobs must be a positive integer; got {jobs!r}.")
    chosen = {key: rows for key, rows in experiments(ROWS).items() if only in name_of(key)}
    if not chosen:
        names = ", ".join(name_of(key) for key in experiments(ROWS))
        raise ValueError(f"No experiment's name holds {only!r}. There are: {names}.")
    lacking = {key: sorted({name for row in rows for name in missing(row)}) for key, rows in chosen.items()}
    left_out = [f"{name_of(key)}: needs {', '.join(names)}" for key, names in lacking.items() if names]
    todo = [key for key in chosen if not lacking[key]]
    with tqdm(total=len(todo), disable=not progress, unit="experiment") as bar:
        known = [key for key in todo if name_of(key) in ledger.numbers]
        bar.update(len(known))
        todo = [key for key in todo if name_of(key) not in ledger.numbers]
        if jobs > 1:
            return left_out + parallel.run_all(ledger, todo, jobs, lambda key: bar.update(1), bar.set_postfix_str)
        for experiment in todo:
            bar.set_description(name_of(experiment))
            ledger.run(experiment, note=bar.set_postfix_str)
            bar.update(1)
    return left_out


def adopt(ledger: Ledger, into: Path = FOUND) -> list[str]:
    """Put a run's findings among those that come with the package; return the experiments that keep their old ones.

    An experiment that the run left out, for want of its data, keeps what an earlier run found. Quick runs are refused.
    """
    if ledger.quick:
        raise ValueError(f"{ledger.path} holds a quick run, on smaller problems. Adopt a full one.")
    shipped, known = Ledger(into), [name_of(key) for key in experiments(ROWS)]
    for kept, new in ((shipped.numbers, ledger.numbers), (shipped.runs, ledger.runs)):
        kept |= {key: value for key, value in new.items() if key in ledger.numbers}
        for key in [key for key in kept if key not in known]:
            del kept[key]
    shipped.parts = {}
    shipped.write()
    return [key for key in known if key not in ledger.numbers]


def report(ledger: Ledger) -> str:
    """The whole table as text."""
    return "\n".join([*lines(table_of_truth(ledger)), summary(table_of_truth(ledger))])


def summary(judged: list[Judged]) -> str:
    """How many rows of each verdict, and how many of them on data that stand in for the paper's."""
    counts = Counter(entry.verdict for entry in judged)
    other = Counter(entry.verdict for entry in judged if entry.row.data)
    told = [
        f"{counts[verdict]} {verdict}" + (f" ({other[verdict]} on other data)" if other[verdict] else "")
        for verdict in VERDICTS
        if counts[verdict]
    ]
    return f"{len(judged)} rows: {', '.join(told)}."


class Change(NamedTuple):
    """A row that says something else than it did in the last version."""

    name: str
    before: str  # the verdict; empty where the row is new
    now: str  # empty where the row is gone
    found_before: str
    found: str
    command: str


def changes(judged: list[Judged]) -> tuple[dict[str, int], list[Change]]:
    """The verdicts of the last version, counted, and the rows whose verdict or whose findings are others now."""
    before = json.loads(EARLIER.read_text(encoding="utf-8"))
    now = {f"{entry.row.paper}, {entry.row.item}": entry for entry in judged}
    moved = []
    for name in [*now, *(name for name in before if name not in now)]:
        there, here = before.get(name, {"verdict": "", "found": ""}), now.get(name)
        told = ("", "", "") if here is None else (here.verdict, here.gets, here.command)
        if (there["verdict"], there["found"]) != told[:2]:
            moved.append(Change(name, there["verdict"], told[0], there["found"], *told[1:]))
    return dict(Counter(row["verdict"] for row in before.values())), moved
