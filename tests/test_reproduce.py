"""The table of truth: it covers the papers, its verdicts follow from its numbers, and its runs go on where they stopped."""

import json
import re

import numpy as np
import pytest

from wdl_tutorial import reproduce
from wdl_tutorial.reproduce import Ledger, Row, parallel, table
from wdl_tutorial.reproduce.__main__ import main

JUDGED = [row for row in reproduce.ROWS if row.experiment]
sure = table.Rule(table.holds("more than one", lambda found: found["x"] > 1))


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


@pytest.mark.parametrize("row", JUDGED, ids=lambda row: f"{row.paper}, {row.item}")
def test_the_papers_own_numbers_give_reproduced(row):
    assert row.verdict(row.said) == table.REPRODUCED


def made_up(row, rng):
    """The paper's numbers, some replaced: by nothing, far too much, another one's, the other sign, a multiple."""
    found = dict(row.said)
    for name, value in row.said.items():
        others = [v for v in row.said.values() if not isinstance(v, bool)]
        other = others[rng.integers(len(others))] if others else value
        kinds = [value, 0.0, 1e6, -1e6, other, value * 10 ** rng.uniform(-2, 2)]
        if name != "published" and rng.random() < 0.7:
            found[name] = bool(rng.integers(2)) if isinstance(value, bool) else kinds[rng.integers(len(kinds))]
    return found


@pytest.mark.parametrize("row", JUDGED, ids=lambda row: f"{row.paper}, {row.item}")
def test_every_rule_can_give_each_of_its_verdicts(row):
    rng = np.random.default_rng(0)
    wanted = {table.REPRODUCED, table.NOT} | ({table.IN_PART} if len(row.verdict.conditions) > 1 else set())
    if row.verdict.where is not None:
        assert row.verdict(row.said | {"published": False}) == table.CANNOT
    seen = {row.verdict(row.said)}
    for _ in range(20_000):
        seen.add(row.verdict(made_up(row, rng)))
        if seen == wanted:
            break
    assert seen == wanted


@pytest.mark.parametrize("row", JUDGED, ids=lambda row: f"{row.paper}, {row.item}")
def test_no_condition_of_a_rule_is_idle(row):
    """Each can be the only one that fails, or the only one that holds."""
    rng = np.random.default_rng(1)
    tests = [condition.test for condition in row.verdict.conditions]
    decides = [False] * len(tests)
    for _ in range(20_000):
        found = made_up(row, rng)
        held = [bool(test(found)) for test in tests]
        for k, holds in enumerate(held):
            decides[k] = decides[k] or held.count(holds) == 1
        if all(decides):
            return
    assert all(decides), [c.text for c, used in zip(row.verdict.conditions, decides) if not used]


def test_a_number_is_judged_both_ways():
    rule = table.Rule(table.near("y", 0.155, "NRMSE_Y"))
    assert rule({"y": 0.155 * 1.14}) == rule({"y": 0.155 * 0.86}) == table.REPRODUCED
    assert rule({"y": 0.155 * 1.16}) == rule({"y": 0.096}) == table.NOT  # better by 38 % is another number, too


def test_a_number_is_never_judged_on_data_that_stand_in_for_the_papers():
    numbers = re.compile("within .* of [0-9.]+")
    for row in JUDGED:
        if row.data and any(numbers.search(condition.text) for condition in row.verdict.conditions):
            assert row.verdict.where is not None, row.item


def test_shipped_findings_fill_every_row_that_has_an_experiment():
    judged = reproduce.table_of_truth()
    assert [entry.row.item for entry in judged if entry.row.experiment and entry.gets == "no numbers yet"] == []
    assert {entry.verdict for entry in judged} <= set(reproduce.VERDICTS)
    assert not [entry.row.item for entry in judged if re.search(r"[{}]|nan", entry.gets)]


def test_five_rows_are_not_run_and_each_says_what_is_missing():
    idle = {row.item: row.gets for row in reproduce.ROWS if row.verdict == table.NOT_RUN}
    unwritten = [item for item, said in idle.items() if said.startswith("Not written here. Its public code (NDU.m")]
    assert unwritten == ["Table I, DC1, NDU", "Table I, DC2, NDU", "Table II, NDU"]
    written = [item for item, said in idle.items() if said.startswith("Written here, and not run on this scene")]
    assert written == ["Table I, DC2, DeepGUn", "Table II, DeepGUn, Jasper Ridge"] and len(idle) == 5


def test_what_the_rows_of_the_compared_methods_say_of_the_paper_is_in_its_tables():
    for cube, methods in reproduce.id_net.TABLE_1.items():
        for name, values in methods.items():
            row = next(row for row in reproduce.ROWS if row.item == f"Table I, {cube}, {name}")
            for value in values:
                assert value is None or f"{value:g}" in row.claims
            if row.experiment:
                given = [value for key, value in row.said.items() if key != "published"]
                assert given == [value for value in values if value is not None]


def test_a_row_of_a_network_is_judged_by_the_network_s_own_numbers():
    for name, key in (("EGU-Net", "egu"), ("DeepGUn", "gun"), ("RBF-AEC", "rbf")):
        rows = [row for row in reproduce.ROWS if row.item.endswith(name) or f"II, {name}," in row.item]
        assert len(rows) == 4  # two scenes made, two real ones
        rows = [row for row in rows if row.experiment]
        assert len(rows) >= 2 and all(
            set(row.said) - {"published"} <= {f"{key}_{score}" for score in "a m sam y".split()} for row in rows
        )


def test_the_page_says_what_changed_since_the_last_version():
    before, moved = reproduce.changes(reproduce.table_of_truth())
    assert before == {
        "reproduced": 16,
        "in part": 13,
        "not reproduced": 9,
        "cannot be tried": 2,
        "not run": 21,
        "nothing to measure": 5,
    }
    rows = {row.name: row for row in moved}
    ridge = rows["ID-Net, Table II, Jasper Ridge"]
    assert (ridge.before, ridge.now) == ("reproduced", "in part")
    assert ridge.found_before.startswith("NRMSE_Y: ID-Net 0.") and ridge.found.startswith("NRMSE_Y: ID-Net 0.")
    assert ridge.command == "python -m wdl_tutorial.reproduce --only id_net.jasper_ridge"
    assert [row.name for row in moved if not row.before and row.name.endswith("times")] == [
        "ID-Net, Section V-A, times"
    ]
    split = rows["ID-Net, Table II, DeepGUn"]
    assert (split.before, split.now, split.found) == ("not run", "", "") and "Jasper Ridge" not in split.name
    assert "WDL, Figure 1" not in rows  # a drawing says what it said


def test_every_row_whose_numbers_moved_tells_both_and_its_command():
    for row in reproduce.changes(reproduce.table_of_truth())[1]:
        if row.before and row.now and row.now not in (table.CANNOT, table.NOT_RUN, table.DRAWING):
            assert row.found_before and row.found and row.command.startswith("python -m wdl_tutorial.reproduce --only ")


def test_nothing_is_shipped_that_no_row_uses():
    ledger = Ledger(reproduce.FOUND)
    assert set(ledger.numbers) == {table.name_of(run) for run in table.experiments(reproduce.ROWS)}
    assert ledger.parts == {}


def test_where_nothing_can_be_run_the_row_says_why():
    for row in reproduce.ROWS:
        if row.experiment is None:
            assert row.verdict in (table.CANNOT, table.NOT_RUN, table.DRAWING) and row.gets
        else:
            assert isinstance(row.verdict, table.Rule)


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


def test_no_word_of_a_row_is_left_unfilled():
    shown = reproduce.report(Ledger(reproduce.FOUND))
    assert not re.search(r"[{}]", shown)


def test_every_rule_is_told_to_the_reader():
    rules = [judged.rule for judged in reproduce.table_of_truth() if judged.row.experiment]
    assert all(rule.startswith(("Reproduced if ", "Reproduced if all ")) for rule in rules)
    assert all(judged.rule in reproduce.report(Ledger(reproduce.FOUND)) for judged in reproduce.table_of_truth())


# ---------------------------------------------------------------------------------------------------- runs in parallel


def shipped(name):
    return next(run for run in table.experiments(reproduce.ROWS) if table.name_of(run) == name)


def test_two_processes_find_what_one_finds(tmp_path):
    runs = [shipped("wdl.table_1"), shipped("wdl.two_atoms"), shipped("wahu.two_averages")]
    together, alone, done = Ledger(tmp_path / "two.json", quick=True), Ledger(tmp_path / "one.json", quick=True), []
    assert parallel.run_all(together, runs, 2, done.append, lambda text: None) == []
    for run in runs:
        alone.run(run)
    assert together.numbers == alone.numbers and sorted(done) == sorted(together.numbers)
    assert Ledger(tmp_path / "two.json", quick=True).numbers == together.numbers and together.parts == {}
    assert all(run["cpu_seconds"] >= 0 for run in together.runs.values())


def breaking(part, quick):
    part("first", dict, value=1.0)
    raise OSError("no such disc")


def test_an_experiment_that_fails_in_its_process_is_told_and_keeps_its_pieces(tmp_path):
    ledger = Ledger(tmp_path / "two.json", quick=True)
    failed = parallel.run_all(ledger, [breaking, shipped("wdl.table_1")], 2, lambda key: None, lambda text: None)
    assert failed == [f"{table.name_of(breaking)}: OSError: no such disc"]
    assert "wdl.table_1" in ledger.numbers and breaking.__name__ in next(iter(ledger.parts))
    assert ledger.parts[table.name_of(breaking)] == {"first": {"value": 1.0}}


def test_jobs_are_a_positive_number(tmp_path, capsys):
    assert main(["--only", "wdl.table_1", "--jobs", "0", "--out", str(tmp_path / "x.json")]) == 2
    assert "jobs must be a positive integer; got 0" in capsys.readouterr().err


def test_fresh_with_only_forgets_these_and_keeps_the_rest(tmp_path):
    path = tmp_path / "found.json"
    ledger = Ledger(path)
    for name in ("wdl.table_1", "wahu.two_averages"):
        ledger.run(shipped(name))
    again = Ledger(path, fresh=True, only="wdl.")
    assert set(again.numbers) == set(again.runs) == {"wahu.two_averages"}


def test_a_run_tells_what_it_gives_otherwise_than_the_shipped_findings(tmp_path):
    before, now = Ledger(tmp_path / "a.json"), Ledger(tmp_path / "b.json")
    now.run(shipped("wdl.table_1"))
    before.numbers = {"wdl.table_1": now.numbers["wdl.table_1"] | {"kl_printed": 0.0, "gone": 1.0}}
    told = list(reproduce.differences(now, before, reproduce.ROWS))
    assert told[0] == "WDL, Table 1: reproduced before, in part now"
    assert "wdl.table_1, gone: only before" in told and any(
        "kl_printed: 0 before, 0.86875 now" in line for line in told
    )
    assert list(reproduce.differences(now, now, reproduce.ROWS)) == []
    before.numbers["wdl.table_1"] = {k: 1.04 * v for k, v in now.numbers["wdl.table_1"].items()}
    assert list(reproduce.differences(now, before, reproduce.ROWS)) == []  # within the printed tolerance
    for ledger, seconds in ((now, 1.0), (before, 9.0)):  # a busy machine changes no finding
        ledger.numbers["wdl.table_1"] = ledger.numbers["wdl.table_1"] | {"fit_cpu": seconds}
    assert list(reproduce.differences(now, before, reproduce.ROWS)) == []


def test_findings_are_adopted_and_what_was_not_run_keeps_the_older_ones(tmp_path):
    found, new = Ledger(tmp_path / "found.json"), Ledger(tmp_path / "new.json")
    for name in ("wdl.table_1", "wahu.two_averages"):
        found.run(shipped(name))
    found.numbers |= {"wdl.dropped": {"x": 1.0}}
    found.numbers["wdl.table_1"] = {"kl_printed": 0.0}
    found.write()
    new.run(shipped("wdl.table_1"))
    older = reproduce.adopt(new, into=found.path)
    now = Ledger(found.path)
    assert now.numbers["wdl.table_1"] == new.numbers["wdl.table_1"]
    assert set(now.numbers) == {"wdl.table_1", "wahu.two_averages"}
    assert "wahu.two_averages" in older and "wdl.table_1" not in older
    with pytest.raises(ValueError, match="holds a quick run"):
        reproduce.adopt(Ledger(tmp_path / "quick.json", quick=True), into=found.path)


def test_an_experiment_knows_its_cpu_seconds_and_its_day(tmp_path):
    ledger = Ledger(tmp_path / "a.json")
    ledger.run(shipped("wdl.table_1"))
    assert set(Ledger(tmp_path / "a.json").runs["wdl.table_1"]) == {"cpu_seconds", "version", "day"}


def test_rows_stand_in_the_order_of_their_paper():
    for paper in {row.paper for row in reproduce.ROWS}:
        places = [table.place(row) for row in reproduce.ROWS if row.paper == paper]
        assert places == sorted(places) and len(places) >= 3
    first, *_, last = [row.item for row in reproduce.ROWS if row.paper == "WDL"]
    assert first == "Figure 1" and last == "Section 5.3, inverted colours"


# ------------------------------------------------------------------------------------- files that only a user can have


def test_the_authors_codes_are_read_where_they_are_and_the_row_is_judged(tmp_path, monkeypatch, rng):
    from wdl_tutorial.reproduce import vae_land

    row = next(row for row in reproduce.ROWS if row.item.endswith("the authors' own codes"))
    monkeypatch.setenv("WDL_TUTORIAL_DATA", str(tmp_path))
    absent = Ledger(tmp_path / "a.json").run(vae_land.latents)
    assert table.judge(row, absent)[1:3] == ("The two files are not on this machine.", table.CANNOT)
    labels = np.repeat([0, 1, 2, 3], 700)
    codes = np.eye(40)[labels] + 0.05 * rng.standard_normal((2800, 40))
    (tmp_path / "vae-land").mkdir()
    np.savetxt(tmp_path / "vae-land/salinas_train_dim40.csv", codes, delimiter=",")
    np.savetxt(tmp_path / "vae-land/salinas_train_label_dim40.csv", labels[None], delimiter=",", fmt="%d")
    there = Ledger(tmp_path / "b.json").run(vae_land.latents)
    assert there["published"] and there["codes_10"] == 100  # three heaps, far apart: ten labels name them all
    np.savetxt(tmp_path / "vae-land/salinas_train_label_dim40.csv", labels[None, 1:], delimiter=",", fmt="%d")
    with pytest.raises(ValueError, match=r"2800 codes and .* 2799 values; expected one label"):
        vae_land.their_latents()


def test_random_queries_are_labelled_by_both_rules():
    from wdl_tutorial.reproduce import vae_land

    numbers = Ledger(reproduce.FOUND).numbers["vae_land.spectra"]
    assert {f"{name}_{budget}" for name in vae_land.CONTROLLED for budget in vae_land.BUDGETS} <= set(numbers)
    rules = next(row for row in reproduce.ROWS if row.item.endswith("queries against chance")).verdict
    assert len(rules.conditions) == 12  # two arms, two controls, three budgets
