"""The table of truth: it covers the papers, its verdicts follow from its numbers, and its runs go on where they stopped."""

import json
import re

import pytest

from wdl_tutorial import reproduce
from wdl_tutorial.reproduce import Ledger, Row, table
from wdl_tutorial.reproduce.__main__ import main


def sure(found):
    return table.REPRODUCED if found["x"] > 1 else table.NOT


class Counter:
    """An experiment of three parts that counts how often each ran, and may be interrupted in one."""

    __module__, __name__ = "tests.counting", "three_parts"

    def __init__(self, stop_at=None):
        self.ran, self.stop_at = [], stop_at

    def one(self, k):
        if k == self.stop_at:
            raise KeyboardInterrupt
        self.ran.append(k)
        return {"value": k + 0.123456789}

    def __call__(self, part, quick):
        return {"x": sum(part(f"part {k}", self.one, k)["value"] for k in range(3))}


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    path = tmp_path / "found.json"
    first = Counter(stop_at=2)
    with pytest.raises(KeyboardInterrupt):
        Ledger(path).run(first)
    assert first.ran == [0, 1]

    second = Counter()
    numbers = Ledger(path).run(second)
    assert second.ran == [2]
    assert numbers == {"x": 3.3705}  # five digits: parts 0.12346, 1.1235, 2.1235

    third = Counter()
    assert Ledger(path).run(third) == numbers and third.ran == []
    assert json.loads(path.read_text())["parts"] == {}


def test_a_clean_ledger_forgets(tmp_path):
    path = tmp_path / "found.json"
    Ledger(path).run(Counter())
    again = Counter()
    Ledger(path, fresh=True).run(again)
    assert again.ran == [0, 1, 2]


def test_quick_and_full_runs_are_not_mixed(tmp_path):
    path = tmp_path / "found.json"
    Ledger(path, quick=True).run(Counter())
    with pytest.raises(ValueError, match="holds a quick run, and a full one was asked for"):
        Ledger(path)


@pytest.mark.parametrize("text", ["", "[]", '{"parts": {}}', "{"])
def test_a_broken_ledger_is_named(tmp_path, text):
    path = tmp_path / "found.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="is no ledger of findings"):
        Ledger(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_finding_is_finite(tmp_path, value):
    def experiment(part, quick):
        return {"x": value}

    with pytest.raises(ValueError, match="must be a finite number"):
        Ledger(tmp_path / "found.json").run(experiment)


def test_the_verdict_follows_from_the_number():
    row = Row("paper", "Figure", "more than one", "{x:.1f}", sure, experiment=Counter())
    assert table.judge(row, {"x": 2.0})[1:3] == ("2.0", table.REPRODUCED)
    assert table.judge(row, {"x": 0.5})[1:3] == ("0.5", table.NOT)
    assert table.judge(row, None).verdict == table.NOT_RUN


def test_shipped_findings_fill_every_row_that_has_an_experiment():
    judged = reproduce.table_of_truth()
    assert [entry.row.item for entry in judged if entry.row.experiment and entry.gets == "no numbers yet"] == []
    assert {entry.verdict for entry in judged} <= set(reproduce.VERDICTS)
    assert not [entry.row.item for entry in judged if re.search(r"[{}]|nan", entry.gets)]


def test_nothing_is_shipped_that_no_row_uses():
    ledger = Ledger(reproduce.FOUND)
    assert set(ledger.numbers) == {table.name_of(run) for run in table.experiments(reproduce.ROWS)}
    assert ledger.parts == {}


def test_where_nothing_can_be_run_the_row_says_why():
    for row in reproduce.ROWS:
        if row.experiment is None:
            assert row.verdict in (table.CANNOT, table.NOT_RUN, table.DRAWING) and row.gets
        else:
            assert callable(row.verdict)


def test_rows_are_told_apart():
    names = [(row.paper, row.item) for row in reproduce.ROWS]
    assert len(names) == len(set(names))


def test_the_command_line_shows_what_came_with_the_package(capsys):
    assert main(["--show"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{row.paper}, {row.item}: " in shown for row in reproduce.ROWS)


def test_the_command_line_runs_what_a_row_names(tmp_path, capsys):
    out = tmp_path / "some.json"
    assert main(["--only", "wdl.table_1", "--out", str(out)]) == 0
    assert set(json.loads(out.read_text())["numbers"]) == {"wdl.table_1"}
    assert "WDL, Table 1: IN PART" in capsys.readouterr().out


def test_the_command_line_refuses_an_unknown_name(tmp_path, capsys):
    assert main(["--only", "no such thing", "--out", str(tmp_path / "x.json")]) == 2
    assert "No experiment's name holds 'no such thing'. There are: wdl." in capsys.readouterr().err


def test_a_shipped_number_is_what_its_command_prints(tmp_path):
    ledger = Ledger(tmp_path / "again.json")
    shipped = Ledger(reproduce.FOUND).numbers
    for experiment in (reproduce.wdl.two_atoms, reproduce.wdl.table_1, reproduce.wahu.two_averages):
        again, before = ledger.run(experiment), shipped[table.name_of(experiment)]
        for key, value in before.items():
            assert again[key] == pytest.approx(value, rel=0.05, abs=1e-6), (experiment.__name__, key)


def test_every_rule_is_told_to_the_reader():
    rules = [judged.rule for judged in reproduce.table_of_truth() if judged.row.experiment]
    assert all(rule.startswith(("Reproduced: ", "In part: ")) for rule in rules)
    assert all(judged.rule in reproduce.report(Ledger(reproduce.FOUND)) for judged in reproduce.table_of_truth())


def test_rows_stand_in_the_order_of_their_paper():
    for paper in {row.paper for row in reproduce.ROWS}:
        places = [table.place(row) for row in reproduce.ROWS if row.paper == paper]
        assert places == sorted(places) and len(places) >= 3
    first, *_, last = [row.item for row in reproduce.ROWS if row.paper == "WDL"]
    assert first == "Figure 1" and last == "Section 5.3, inverted colours"
