"""Print the lowest version of everything that the package and its tests need, as pip reads them: name==version.

The promise is in pyproject.toml (name>=version); `make oldest` installs what this prints, and runs the core on it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

EXTRAS = ("test", "io")


def lowest(project: dict) -> list[str]:
    """The bounds of the dependencies and of the extras that the tests of the core use, as exact versions."""
    wanted = [*project["dependencies"], *(line for name in EXTRAS for line in project["optional-dependencies"][name])]
    bounds = (re.match(r"([\w.-]+)\s*>=\s*([\w.]+)", line) for line in wanted)
    return [f"{bound[1]}=={bound[2]}" for bound in bounds if bound]


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    print(*lowest(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]))
