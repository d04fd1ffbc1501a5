"""``python -m wdl_tutorial check 13b class/``: the hidden cases of an exercise, for one notebook or a folder of them.

Each notebook is checked in a process of its own, with a limit of time and, where the system has one, of memory: an endless
loop is a row of the table. Of a notebook only imports and functions are run, not its cells. **It runs students' code on
this machine**, with the rights of whoever types the command: a process with limits is no prison.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .exercises import EXERCISES, check, functions_of

SECONDS, MEGABYTES = 30, 4096
WIDTH = 100  # of the words in the table


class Row(NamedTuple):
    """One line of the table for the class."""

    file: str
    exercise: str
    ok: bool
    words: str


def code_of(path: Path) -> list[str]:
    """The code cells of a notebook, or the text of a Python file.

    Raises
    ------
    ValueError : the file is neither.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [text]
    try:
        cells = json.loads(text)["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path.name} is no notebook: {error}") from error


def verdict_here(number: str, path: Path) -> tuple[bool, str]:
    """Whether a notebook's function passes, in this process, and the words."""
    try:
        functions = functions_of(code_of(path))
    except (OSError, ValueError) as error:
        return False, str(error)
    name = EXERCISES[number].function
    if name not in functions:
        return False, f"no function {name} in it"
    found = check(number, functions[name])
    return found.ok, found.words


def verdict(number: str, path: Path, *, seconds: float = SECONDS, megabytes: int = MEGABYTES) -> Row:
    """The row of one notebook, from a child process that is ended after ``seconds``."""
    command = [sys.executable, "-m", "wdl_tutorial.classroom", number, str(path), str(megabytes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    here = str(Path(__file__).resolve().parents[1])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [here, environment.get("PYTHONPATH")]))
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env=environment, stdin=subprocess.DEVNULL
        )
        ok, words = json.loads(run.stdout)
    except subprocess.TimeoutExpired:
        ok, words = False, f"still running after {seconds:g} s: an endless loop?"
    except ValueError:
        last = (run.stderr.strip().splitlines() or [f"exit status {run.returncode}"])[-1]
        ok, words = False, f"ended without an answer: {last}"
    return Row(path.name, number, ok, words)


def limit_memory(megabytes: int) -> None:
    """Let this process have no more address space than that, where the system knows such a limit."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (megabytes * 2**20, megabytes * 2**20))


def notebooks(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and the notebooks of the folders.

    Raises
    ------
    FileNotFoundError : a path is not there, or a folder holds no notebook.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.ipynb")) if path.is_dir() else [path] if path.is_file() else []
        if not inside:
            raise FileNotFoundError(f"{path} {'holds no notebook' if path.is_dir() else 'is not there'}.")
        found += inside
    return found


def table(rows: Sequence[Row]) -> str:
    """The rows as text: one line a notebook and exercise, and how many are right."""
    wide = max(len(row.file) for row in rows)
    lines = [
        f"{row.file:{wide}}  {row.exercise:>4}  {'ok' if row.ok else 'not yet':7}  {row.words[:WIDTH]}" for row in rows
    ]
    return "\n".join([*lines, f"{sum(row.ok for row in rows)} of {len(rows)} right"])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status is 0 where everything is right."""
    parser = argparse.ArgumentParser(
        prog="python -m wdl_tutorial check",
        description="Run an exercise's hidden cases on notebooks. This runs the code in them on this machine.",
    )
    parser.add_argument("exercise", help=f"its number, or all: {', '.join(EXERCISES)}")
    parser.add_argument("notebooks", nargs="+", type=Path, help="notebooks, Python files, or folders of notebooks")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each notebook and exercise")
    parser.add_argument("--megabytes", type=int, default=MEGABYTES, help="of memory for each")
    options = parser.parse_args(arguments)
    if options.exercise != "all" and options.exercise not in EXERCISES:
        parser.error(f"there is no exercise {options.exercise!r}; there are {', '.join(EXERCISES)}.")
    try:
        files = notebooks(options.notebooks)
    except FileNotFoundError as error:
        parser.error(str(error))
    numbers = list(EXERCISES) if options.exercise == "all" else [options.exercise]
    limits = {"seconds": options.seconds, "megabytes": options.megabytes}
    rows = [verdict(number, file, **limits) for file in files for number in numbers]
    if options.exercise == "all":
        rows = [row for row in rows if not row.words.startswith("no function")] or rows
    print(table(rows))
    return 0 if all(row.ok for row in rows) else 1


def child(arguments: Sequence[str]) -> None:
    """What runs in the process of one notebook: one line of JSON on the real standard output."""
    number, path, megabytes = arguments
    limit_memory(int(megabytes))
    with contextlib.redirect_stdout(sys.stderr):
        answer = verdict_here(number, Path(path))
    print(json.dumps(answer))


if __name__ == "__main__":
    child(sys.argv[1:])
