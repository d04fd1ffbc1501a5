"""The table of truth: every figure, table and headline number of the four papers against what this package gives.

    python -m wdl_tutorial.reproduce                 all of it; goes on where it stopped (hours on two cores)
    python -m wdl_tutorial.reproduce --quick         smaller problems, in minutes
    python -m wdl_tutorial.reproduce --only wdl.     some of it
    python -m wdl_tutorial.reproduce --show          no computing: the findings that came with the package

The numbers that came with the package are in ``found.json``; the book's table is built from it.
"""

from __future__ import annotations

from pathlib import Path

from . import id_net, pictures, vae_land, wahu, wdl
from .table import VERDICTS, Judged, Ledger, Row, experiments, judge, lines, missing, name_of, place

FOUND = Path(__file__).with_name("found.json")
PAPERS = ([*wdl.ROWS, *pictures.ROWS], wahu.ROWS, vae_land.ROWS, id_net.ROWS)
ROWS: list[Row] = [row for rows in PAPERS for row in sorted(rows, key=place)]

__all__ = ["FOUND", "ROWS", "VERDICTS", "Judged", "Ledger", "Row", "report", "run", "table_of_truth"]


def table_of_truth(ledger: Ledger | None = None) -> list[Judged]:
    """Every row with its numbers and its verdict, from a ledger (default: the one that came with the package)."""
    ledger = ledger or Ledger(FOUND)
    return [judge(row, ledger.numbers.get(name_of(row.experiment)) if row.experiment else None) for row in ROWS]


def run(ledger: Ledger, *, only: str = "", progress: bool = True) -> list[str]:
    """Run the experiments whose name holds ``only``, into the ledger; return the names left out, and why.

    A KeyboardInterrupt passes through; what was found before it is in the ledger's file.
    """
    from tqdm.auto import tqdm

    left_out = []
    chosen = {key: rows for key, rows in experiments(ROWS).items() if only in name_of(key)}
    if not chosen:
        names = ", ".join(name_of(key) for key in experiments(ROWS))
        raise ValueError(f"No experiment's name holds {only!r}. There are: {names}.")
    with tqdm(chosen.items(), disable=not progress, unit="experiment") as bar:
        for experiment, rows in bar:
            bar.set_description(name_of(experiment))
            lacking = sorted({name for row in rows for name in missing(row)})
            if lacking:
                left_out.append(f"{name_of(experiment)}: needs {', '.join(lacking)}")
                continue
            ledger.run(experiment, note=bar.set_postfix_str)
    return left_out


def report(ledger: Ledger) -> str:
    """The whole table as text."""
    return "\n".join(lines(table_of_truth(ledger)))
