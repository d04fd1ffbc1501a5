"""The dashboard of doubt: its disagreement against NumPy, what it carries to the page, and what it refuses."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess

import numpy as np
import pytest
from conftest import assert_close

import wdl_tutorial as wt
from wdl_tutorial.widgets import source

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")

pytest.importorskip("anywidget")
doubt = pytest.importorskip("wdl_tutorial.widgets.doubt")


@pytest.fixture(scope="module")
def scene():
    return wt.datasets.make_bilinear_scene(shape=(9, 7), n_endmembers=3, random_state=0)


@pytest.fixture(scope="module")
def runs(scene):
    return [wt.unmix(scene, method, random_state=seed) for method in ("fcls", "nnls") for seed in range(2)]


@pytest.fixture(scope="module")
def board(scene, runs):
    return doubt.DoubtDashboard(scene, runs, every=1)


def coded(name: str, board) -> str:
    return base64.b64encode(getattr(board, name)).decode("ascii")


@needs_node
def test_the_page_computes_the_doubt_the_fit_and_the_misfit_of_the_package(board, tmp_path):
    file = tmp_path / "doubt.mjs"
    file.write_text(source.esm("doubt.js") + "export { Runs, mostContested };", encoding="utf-8")
    check = """
        const { Runs, mostContested } = await import(process.argv[1]);
        let text = "";
        for await (const part of process.stdin) text += part;
        const given = JSON.parse(text), bytes = (name) => Uint8Array.from(Buffer.from(given[name], "base64"));
        const carried = Object.fromEntries(["abundances", "spectra", "scores"].map((name) => [name, bytes(name)]));
        const runs = new Runs({ ...given, ...carried });
        const rows = [...Array(runs.n).keys()];
        console.log(JSON.stringify({
          doubt: [[1, 1], [0, 1]].map((votes) => rows.map((row) => mostContested(runs.voting(votes, row))[0])),
          fits: [0, 1].map((m) => rows.map((row) => runs.fit(m, row))),
          misfits: [0, 1].map((m) => rows.map((row) => runs.misfit(m, row))),
          spectra: rows.map((row) => runs.spectrum(row)),
        }));
    """
    given = {name: coded(name, board) for name in ("abundances", "spectra", "scores")}
    given |= {name: getattr(board, name) for name in ("methods", "counts", "fits", "top")}
    given |= {"materials": len(board.names), "bands": len(board.wavelengths)}
    run = subprocess.run(
        [NODE, "--input-type=module", "-e", check, file.as_uri()],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout)
    step = 1 / 255
    assert_close(found["doubt"][0], doubt.disagreement(board.stack).ravel(), atol=step)
    assert_close(found["doubt"][1], doubt.disagreement(board.stack[2:]).ravel(), atol=step)
    assert_close(found["spectra"], board.light, atol=board.top * step)
    assert_close(found["fits"], board.fitted, atol=0.01)
    expected = np.sqrt(np.mean((board.light - board.fitted) ** 2, axis=-1))
    assert_close(found["misfits"], expected, atol=0.004)


@needs_node
def test_only_the_most_disputed_pixel_is_above_all_others(tmp_path):
    file = tmp_path / "doubt.mjs"
    file.write_text(source.esm("doubt.js") + "export { standing };", encoding="utf-8")
    check = """
        const { standing } = await import(process.argv[1]);
        const all = [...Array(1000).keys()];
        console.log(JSON.stringify([999, 998, 995, 5, 0].map((d) => standing(d, all))));
    """
    run = subprocess.run(
        [NODE, "--input-type=module", "-e", check, file.as_uri()], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr[-2000:]
    shares = ["in any other pixel", *(f"in {share}\u00a0% of the pixels" for share in (99, 99, 0, 0))]
    assert json.loads(run.stdout) == [f"more than {share}" for share in shares]


def test_the_same_materials_stand_at_the_same_place_in_every_run(scene, runs):
    mixed = [run._replace(abundances=run.abundances[..., p], endmembers=run.endmembers[p]) for run, p in zip(
        runs, ([0, 1, 2], [2, 0, 1], [1, 0, 2], [2, 1, 0]))]  # fmt: skip
    assert_close(doubt.aligned(scene, mixed), doubt.aligned(scene, runs), atol=0)
    bare = scene._replace(endmembers=None, abundances=None, endmember_names=None)
    free = doubt.aligned(bare, mixed)
    assert_close(doubt.disagreement(free), doubt.disagreement(doubt.aligned(scene, runs)), atol=1e-12)
    assert doubt.DoubtDashboard(bare, mixed, every=1).names == ["material 1", "material 2", "material 3"]


def test_the_cursor_starts_on_the_most_disputed_pixel_and_votes_count(scene, runs, board):
    assert board.cursor == doubt.disagreement(board.stack).argmax()
    assert board.votes == [1, 1]
    both = board.disagreement()
    board.votes = [0, 1]
    assert_close(board.disagreement(), doubt.disagreement(board.stack[2:]), atol=0)
    alone = doubt.DoubtDashboard(scene, runs, every=1, votes=[0, 1])
    assert alone.cursor == doubt.disagreement(board.stack[2:]).argmax()
    board.votes = [0, 0]
    assert not board.disagreement().any()
    board.votes = [1, 1]
    assert both.max() > 0


def test_masked_pixels_are_not_carried(scene, runs):
    mask = np.arange(63).reshape(9, 7) >= 7
    masked = scene._replace(mask=mask)
    some = [wt.unmix(masked, "nnls", random_state=seed) for seed in range(2)]
    board = doubt.DoubtDashboard(masked, some, every=1)
    assert len(board.abundances) == 2 * 56 * 3
    assert board.truth == bytes([255] * 7 + [0] * 56)
    board.cursor = 0
    assert board.first_picture().startswith(b"\x89PNG")


def test_the_dashboard_of_the_book_is_small_and_red_in_the_pasture():
    board = doubt.DoubtDashboard()
    carried = [value for value in board.get_state().values() if isinstance(value, bytes | memoryview)]
    assert sum(len(bytes(value)) for value in carried) < doubt.MOST
    pasture = wt.datasets.make_teaching_scene().extra["regions"]["pasture"][::2, ::2]
    red = board.disagreement()
    assert pasture.ravel()[board.cursor]
    assert np.nanmedian(red[pasture]) > 10 * np.nanmedian(red[~pasture])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda runs: runs[:1], "at least two runs; got 1"),
        (lambda runs: None, "at least two runs; got 0"),
        (lambda runs: [runs[0], runs[1]._replace(abundances=runs[1].abundances[:-1])], r"have shape \(8, 7, 3\)"),
        (lambda runs: [runs[0], runs[1]._replace(abundances=-runs[1].abundances)], r"a fraction lies in \[0, 1\]"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(scene, runs, change, message):
    with pytest.raises(ValueError, match=message):
        doubt.DoubtDashboard(scene, change(runs))


def test_a_page_that_would_be_too_heavy_is_refused_and_so_are_runs_alone(scene, runs, monkeypatch):
    with pytest.raises(ValueError, match="runs without their scene"):
        doubt.DoubtDashboard(runs=runs)
    monkeypatch.setattr(doubt, "MOST", 1000)
    with pytest.raises(ValueError, match="at most 1000"):
        doubt.DoubtDashboard(scene, runs, every=1)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"votes": [1]}, "votes must be 0 or 1 for each of fcls, nnls"),
        ({"votes": [1, 2]}, "votes must be 0 or 1"),
        ({"method": 2}, "method must be a number from 0 to 1; got 2"),
        ({"material": 3}, "material must be a number from 0 to 2; got 3"),
    ],
)
def test_a_state_that_names_what_is_not_there_is_refused(scene, runs, values, message):
    with pytest.raises(ValueError, match=message):
        doubt.DoubtDashboard(scene, runs, every=1, **values)
