"""``python -m wdl_tutorial COMMAND``: the package from the command line. ``--help`` after a command says what it takes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

# command -> module whose main(arguments) runs it, and what it is for
COMMANDS = {
    "unmix": ("shell", "a cube to maps of what is in every pixel, as GeoTIFF or ENVI"),
    "inspect": ("shell", "what is wrong with a cube, and what to do"),
    "estimate": ("shell", "seconds and memory of a run, before it runs"),
    "convert": ("shell", "a cube to another format, mended"),
    "library": ("shell", "list a spectral library, convert it, bring it to the bands of a cube"),
    "check": ("classroom", "an exercise's hidden cases, for one notebook or a class"),
    "doctor": ("doctor", "is this machine ready? packages, numbers, threads, data, notebooks"),
    "reproduce": ("reproduce.__main__", "every figure and table of the four papers: hours"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; without one, or with one that is not known, list them."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help", "help"):
        print("python -m wdl_tutorial COMMAND ...")
        print("\n".join(f"  {name:12}{purpose}" for name, (_, purpose) in COMMANDS.items()))
        return 0
    if given[0] not in COMMANDS:
        print(f"there is no command {given[0]!r}; there are {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    module = importlib.import_module(f"wdl_tutorial.{COMMANDS[given[0]][0]}")
    return module.main(*([given[0]] if COMMANDS[given[0]][0] == "shell" else []), given[1:])


if __name__ == "__main__":
    sys.exit(main())
