"""``python -m wdl_tutorial.reproduce``: see the package's docstring."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import FOUND, ROWS, TOLERANCE, Ledger, adopt, differences, report, run


def main(arguments: list[str] | None = None) -> int:
    """Run, print the table, and say what was left out; 130 after Ctrl-C, 2 for a wrong request."""
    parser = argparse.ArgumentParser(prog="python -m wdl_tutorial.reproduce", description="The table of truth.")
    parser.add_argument("--quick", action="store_true", help="smaller problems, in minutes")
    parser.add_argument("--only", default="", metavar="NAME", help="experiments whose name holds NAME")
    parser.add_argument("--fresh", action="store_true", help="forget what was found before (with --only: of these)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many experiments at a time")
    parser.add_argument("--show", action="store_true", help="print the findings that came with the package")
    parser.add_argument("--adopt", type=Path, metavar="FILE", help="put a full run's findings among the package's own")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the numbers are kept")
    options = parser.parse_args(arguments)
    path = (
        FOUND if options.show else options.out or Path("reproduced-quick.json" if options.quick else "reproduced.json")
    )
    try:
        if options.adopt:
            older = adopt(Ledger(options.adopt))
            print(f"{FOUND.name} holds {options.adopt}'s findings; kept from before: {', '.join(older) or 'none'}.")
            return 0
        shipped = Ledger(FOUND)  # read first: --out may name this very file
        fresh = options.fresh and not options.show
        ledger = Ledger(path, quick=options.quick, fresh=fresh, only=options.only)
        left_out = [] if options.show else run(ledger, only=options.only, jobs=options.jobs)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"Stopped. What was found is in {path}; the same command goes on from there.", file=sys.stderr)
        return 130
    print(report(ledger))
    if not (options.show or options.quick):
        moved = list(differences(ledger, shipped, ROWS))
        print(f"\nAgainst the findings that came with the package (numbers beyond {TOLERANCE:.0%}):")
        print("\n".join(f"    {line}" for line in moved or ["no difference"]))
    for line in left_out:
        print(f"left out, {line}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
