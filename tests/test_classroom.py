"""`python -m wdl_tutorial check`: a row for each notebook, whatever is in it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from wdl_tutorial import __main__ as command
from wdl_tutorial import classroom
from wdl_tutorial.exercises import EXERCISES

BOOK = Path(__file__).resolve().parents[1] / "book"
GOOD = "import numpy as np\n\ndef area(c):\n    return abs(np.linalg.det(c[1:] - c[0])) / 2"


def notebook(path: Path, *sources: str) -> Path:
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources]), path)
    return path


def words_of(tmp_path: Path, *sources: str, **limits) -> str:
    row = classroom.verdict("12b", notebook(tmp_path / "mine.ipynb", *sources), **limits)
    assert row.ok == row.words.startswith("four triangles")
    return row.words


def test_a_right_answer_passes_whatever_else_is_in_the_notebook(tmp_path):
    assert "four triangles" in words_of(tmp_path, "%matplotlib inline", "1 / 0", GOOD, "print(area(")


def test_the_last_definition_counts(tmp_path):
    assert "half of 6" in words_of(tmp_path, GOOD, "def area(c):\n    return 0.0")


def test_helpers_of_ones_own_may_be_called(tmp_path):
    own = "def half(v):\n    print('printed on the way')\n    return abs(v) / 2"
    assert "four triangles" in words_of(
        tmp_path, own, "import numpy as np\ndef area(c):\n    return half(np.linalg.det(c[1:] - c[0]))"
    )


def test_an_endless_loop_is_a_row(tmp_path):
    assert "still running after 8 s" in words_of(tmp_path, "def area(c):\n    while True:\n        pass", seconds=8)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="this system has no limit of memory")
def test_too_much_memory_is_a_row(tmp_path):
    greedy = "import numpy as np\ndef area(c):\n    return np.ones((10**6, 10**4)).sum()"
    assert "MemoryError" in words_of(tmp_path, greedy)


def test_a_crash_is_a_row(tmp_path):
    assert "ended without an answer" in words_of(tmp_path, "import os\ndef area(c):\n    os.abort()")


def test_what_is_no_notebook_is_a_row(tmp_path):
    (tmp_path / "mine.ipynb").write_text("{}")
    assert "mine.ipynb is no notebook" in classroom.verdict("12b", tmp_path / "mine.ipynb").words


def test_a_folder_gives_a_table_for_the_class(tmp_path, capsys):
    notebook(tmp_path / "anna.ipynb", GOOD)
    notebook(tmp_path / "ben.ipynb", "def area(c):\n    return 3.0")
    notebook(tmp_path / "carl.ipynb", "x = 1")
    assert command.main(["check", "12b", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["anna.ipynb", "ben.ipynb", "carl.ipynb", "1"]
    assert "ok" in lines[0] and "away from the origin" in lines[1] and "no function area" in lines[2]
    assert lines[3] == "1 of 3 right"


def test_a_single_right_notebook_ends_with_status_0(tmp_path):
    assert command.main(["check", "12b", str(notebook(tmp_path / "a.ipynb", GOOD))]) == 0


@pytest.mark.parametrize(
    "given, told", [(["99z", "x"], "no exercise '99z'"), (["12b", "nowhere"], "nowhere is not there")]
)
def test_a_command_that_cannot_be_meant_is_told(given, told, capsys):
    with pytest.raises(SystemExit):
        command.main(["check", *given])
    assert told in capsys.readouterr().err


def test_every_solution_of_the_book_passes_from_its_notebook():
    """In this process: the children are tried above. The solution's name is given to the reader's function."""
    for number, (name, _) in EXERCISES.items():
        (path,) = BOOK.glob(f"{int(number[:-1]):02d}_*.ipynb")
        functions = classroom.functions_of(classroom.code_of(path))
        verdict = classroom.check(number, functions[f"{name}_solution"])
        assert verdict.ok, (number, verdict)


def test_the_commands_are_listed(capsys):
    assert command.main([]) == 0
    assert {"check", "doctor", "reproduce"} <= set(capsys.readouterr().out.split())
    assert command.main(["frobnicate"]) == 2
