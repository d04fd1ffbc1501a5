"""Labels for a few pixels: the race and the drop of ink against the package, and a session by hand that is kept."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_close

import wdl_tutorial as wt
from wdl_tutorial.datasets import Scene
from wdl_tutorial.widgets import source

pytest.importorskip("anywidget")
from wdl_tutorial.widgets import labelling

pytestmark = pytest.mark.filterwarnings("ignore:the graph falls into:UserWarning")  # the stripes do
HERE = Path(__file__).resolve().parent
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")


def javascript(problems: list[dict]) -> list:
    """The answers of diffusion.js; bytes travel as base64."""

    def plain(value):
        return base64.b64encode(value).decode() if isinstance(value, bytes) else np.asarray(value).tolist()

    run = subprocess.run(
        [NODE, str(HERE / "js" / "diffusion_cases.mjs"), str(source.FOLDER)],
        input=json.dumps(problems, default=plain),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


def striped_scene(rows: int = 12, cols: int = 15, **fields) -> Scene:
    """Three stripes of three flat spectra with noise, the last one without a label."""
    rng = np.random.default_rng(5)
    labels = np.repeat([4, 7, 0], cols // 3)[None, :].repeat(rows, axis=0)
    spectra = np.array([[0.2, 0.3, 0.8, 0.4], [0.7, 0.6, 0.3, 0.1], [0.1, 0.9, 0.9, 0.9]])
    cube = spectra[np.searchsorted([4, 7, 8], np.where(labels == 0, 8, labels))]
    cube = cube + rng.normal(0, 0.02, cube.shape)
    return Scene("stripes", cube, labels=labels, label_names={0: "unlabelled", 4: "wheat", 7: "clover"}, **fields)


def striped_land(scene: Scene, **options) -> wt.LAND:
    return wt.LAND(20, 10, n_eigenpairs=6, **options).fit(scene.pixels())


@pytest.fixture(scope="module")
def race():
    return labelling.LabellingRace()


@needs_node
def test_the_maps_of_the_race_are_those_of_land(race, rng):
    truth = np.frombuffer(race.truth, np.uint8).astype(int) - 1
    asked = [race.queries[:k] for k in (1, 2, 5, 10)] + [draw[:k] for draw in race.draws for k in (1, 3, 10)]
    state = {"parents": race.parents, "coordinates": race.coordinates, "dims": race.dims}
    answers = javascript([{"run": "sources", "labelled": pixels, **state} for pixels in asked])
    for pixels, sources in zip(asked, answers):
        wrong = int(np.sum(truth[sources] != race.classes(pixels)))
        assert wrong <= 8  # 0.2 %: points between two labels, whose coordinates are rounded to int16


@needs_node
def test_a_race_in_javascript_has_no_labels_before_the_first_click(race):
    state = {"parents": race.parents, "coordinates": race.coordinates, "dims": race.dims}
    (sources,) = javascript([{"run": "sources", "labelled": [], **state}])
    assert set(sources) == {-1}


@needs_node
def test_ink_in_javascript_is_the_packages_walk(rng):
    ink = labelling.InkDrop()
    n = len(ink.scene.pixels())
    starts, times = [0, int(ink.start), n - 1], [0, 1, 2, 3, 30, 301, 3000]
    problem = {"run": "walk", "neighbors": ink.neighbors, "n": n, "k": ink.n_neighbors, "times": times}
    answers = javascript([{**problem, "start": start} for start in starts])
    for start, walks in zip(starts, answers):
        for t, found in zip(times, walks):
            ink.start, ink.time = start, t
            assert_close(found, ink.where(), atol=1e-9)


def test_the_bar_of_the_ink_in_the_printed_page_says_what_it_shows():
    from wdl_tutorial.widgets import stills

    figure = stills.ink_drop(labelling.InkDrop())
    assert "ink" in " ".join(ax.get_ylabel() + ax.get_xlabel() for ax in figure.axes)


@needs_node
def test_ink_does_not_leave_its_piece_of_the_graph():
    scene = striped_scene()
    ink = labelling.InkDrop(scene, n_neighbors=4, every=1)
    problem = {"run": "walk", "neighbors": ink.neighbors, "n": 180, "k": 4, "start": 0, "times": [1000]}
    ((found,),) = javascript([problem])
    assert np.sum(np.reshape(found, (12, 15))[:, 5:]) == 0.0
    assert_close(np.sum(found), 1.0, atol=1e-9)


@needs_node
def test_a_score_comes_back_from_its_code_and_a_misread_one_is_refused(rng):
    scores = [{"clicks": int(rng.integers(0, 11)), "shares": rng.integers(0, 1001, 3) / 1000} for _ in range(200)]
    scores += [{"clicks": 10, "shares": [1.0, 1.0, 1.0]}, {"clicks": 0, "shares": [0.0, 0.0, 0.0]}]
    codes = javascript([{"run": "encode", **score} for score in scores])
    assert all(len(code) == 9 and code[4] == "-" for code in codes)
    for score, told in zip(scores, javascript([{"run": "decode", "code": f" {code.lower()}"} for code in codes])):
        assert told["clicks"] == score["clicks"]
        assert_close(told["shares"], score["shares"], atol=1e-12)
    misread = [("1" if code[0] != "1" else "2") + code[1:] for code in codes]
    refused = javascript([{"run": "decode", "code": code} for code in [*misread, "", "12", "UUUU-UUUU"]])
    assert refused == [None] * len(refused)


def test_the_first_ten_of_the_race_are_lands_queries_and_its_accuracy_is_lands(race):
    scene, land = labelling.teaching_scene(), labelling.teaching_land()
    assert race.queries == land.query(10).tolist()
    curve = land.curve(scene.labels, [10])
    assert_close(race.accuracy(race.queries), curve.accuracy[0], atol=1e-12)
    assert len(race.draws) == 20 and all(len(set(draw)) == 10 for draw in race.draws)
    assert race.draws == labelling.LabellingRace().draws  # seeded
    assert race.draws != labelling.LabellingRace(random_state=1).draws


def test_the_state_of_the_race_and_of_the_ink_stays_small(race):
    for demo, most in ((race, 105_000), (labelling.InkDrop(), 60_000)):
        state = demo.get_state()
        assert sum(len(value) for value in state.values() if isinstance(value, bytes)) < most


def test_only_pixels_that_have_a_spectrum_and_a_label_are_asked_for():
    mask = np.ones((12, 15), dtype=bool)
    mask[:, 0] = mask[3] = False
    scene = striped_scene(mask=mask)
    race = labelling.LabellingRace(scene, striped_land(scene))
    assert race.names == ["wheat", "clover"]
    truth = np.frombuffer(race.truth, np.uint8).reshape(12, 15)
    assert np.all(truth[~mask] == labelling.MASKED)
    assert np.array_equal(truth[mask], np.searchsorted([0, 4, 7], scene.labels)[mask])
    for asked in (race.queries, *race.draws):
        assert np.all(np.isin(truth.ravel()[asked], [1, 2]))
    assert race.accuracy(race.queries) == 1.0


def test_a_race_without_what_it_needs_says_so():
    scene = striped_scene()
    land = striped_land(scene)
    with pytest.raises(ValueError, match=r"land was fitted to 180 points, the scene has 132 pixels"):
        labelling.LabellingRace(striped_scene(mask=np.arange(180).reshape(12, 15) >= 48), land)
    with pytest.raises(ValueError, match="needs 10 labelled pixels; the scene has 0"):
        labelling.LabellingRace(scene._replace(labels=None), land)
    with pytest.raises(ValueError, match="merge_duplicates=False"):
        labelling.LabellingRace(scene, striped_land(scene, merge_duplicates=True))
    with pytest.raises(ValueError, match="a land without its scene"):
        labelling.LabellingRace(land=land)


def test_ink_on_too_many_pixels_says_what_to_change():
    with pytest.raises(ValueError, match=r"4096 pixels with 60 neighbours are too many .* Raise every"):
        labelling.InkDrop(every=1, n_neighbors=60)


# ------------------------------------------------------------------------------------------------ by hand


@pytest.fixture(scope="module")
def stripes():
    scene = striped_scene()
    return scene, striped_land(scene)


def by_hand(stripes, path=None, **options):
    return wt.widgets.label_by_hand(*stripes, path=path, budget=12, **options)


def test_the_questions_come_in_lands_order_and_the_map_is_lands(stripes):
    land = stripes[1]
    session = by_hand(stripes)
    assert session.names == ["wheat", "clover"]
    assert session.queries == land.query(12).tolist()
    assert session.prediction is None and session.labels == {}
    assert set(session.classes) == {0}
    given = {}
    for name in ("clover", 0, None, np.int64(1), "wheat"):
        row = session.state()["row"]
        if name is not None:
            given[row] = name if isinstance(name, str) else session.names[name]
        session.answer(name)
        assert session.labels == given
        expected = land.predict(given)
        assert np.array_equal(np.array(session.names)[session.prediction], expected)
        assert np.array_equal(np.frombuffer(session.classes, np.uint8), session.prediction + 1)
    state = session.state()
    assert state["question"] == 5 and state["pixel"] == divmod(session.queries[5], 15)
    assert state["answers"] == ["clover", "wheat", None, "clover", "wheat"]
    assert state["counts"] == {"wheat": 2, "clover": 2}


def test_the_browser_is_sent_the_spectrum_of_the_next_pixel_and_the_means_of_the_classes(stripes):
    session = by_hand(stripes)
    X, rows = stripes[0].pixels(), stripes[1].query(12)
    for name in ("wheat", "wheat", "clover"):
        session.answer(name)
    assert_close(np.frombuffer(session.spectrum, "<f4"), X[rows[3]], atol=1e-6)
    means = np.frombuffer(session.means, "<f4").reshape(2, 4)
    assert_close(means, [X[rows[:2]].mean(0), X[rows[2]]], atol=1e-6)
    assert session.answered == 3


def test_undo_takes_back_one_answer_after_the_other(stripes):
    session = by_hand(stripes)
    session.answer("wheat")
    before = session.classes
    session.answer("clover")
    session.undo()
    assert session.state()["answers"] == ["wheat"] and session.classes == before
    session.undo()
    assert set(session.classes) == {0}
    with pytest.raises(ValueError, match="no answer to take back"):
        session.undo()


def test_a_session_ends_with_its_last_question(stripes):
    session = by_hand(stripes)
    for k in range(12):
        session.answer(k % 2)
    assert session.state()["done"] and session.state()["pixel"] is None and session.spectrum == b""
    with pytest.raises(ValueError, match="all 12 questions are answered"):
        session.answer("wheat")


@pytest.mark.parametrize("answer", ["barley", 2, -1, True, 0.5])
def test_an_answer_that_is_no_class_is_refused(stripes, answer):
    session = by_hand(stripes)
    with pytest.raises(ValueError, match=r"is no class; the classes are wheat, clover, or 0 to 1"):
        session.answer(answer)
    assert session.answers == []


@pytest.mark.parametrize("answers", [[2], [-2], [0] * 13])
def test_answers_from_the_browser_are_checked_too(stripes, answers):
    import traitlets

    session = by_hand(stripes)
    with pytest.raises(traitlets.TraitError, match="at most 12 numbers from -1 to 1"):
        session.set_state({"answers": answers})


def test_every_answer_is_in_the_file_and_a_session_goes_on_where_it_was_left(stripes, tmp_path):
    path = tmp_path / "mine.json"
    session = by_hand(stripes, path)
    assert not path.exists()
    for k, name in enumerate(("wheat", None, "clover")):
        session.answer(name)
        assert json.loads(path.read_text())["answers"] == ["wheat", None, "clover"][: k + 1]
    again = by_hand(stripes, str(path))
    assert again.state() == session.state()
    assert (again.classes, again.spectrum, again.answered) == (session.classes, session.spectrum, 3)
    again.undo()
    larger = wt.widgets.label_by_hand(*stripes, path=path, budget=20, classes=["clover", "oats", "wheat"])
    assert larger.state()["answers"] == ["wheat", None]  # by name: other classes may come between
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_browser_answers_is_saved_as_well(stripes, tmp_path):
    path = tmp_path / "mine.json"
    session = by_hand(stripes, path)
    session.set_state({"answers": [1]})
    assert json.loads(path.read_text())["answers"] == ["clover"]
    assert session.answered == 1


def test_a_file_of_another_scene_or_other_questions_is_refused_and_left_alone(stripes, tmp_path):
    path = tmp_path / "mine.json"
    session = by_hand(stripes, path)
    for name in ("wheat", "clover"):
        session.answer(name)
    kept = path.read_bytes()
    scene, land = stripes
    other = scene._replace(cube=scene.cube + 1e-9)
    with pytest.raises(ValueError, match=r"belongs to another scene: 'stripes' of shape \[12, 15, 4\] \(sha256"):
        wt.widgets.label_by_hand(other, land, path=path)
    with pytest.raises(ValueError, match="answers other questions: its number 1 is pixel"):
        by_hand(stripes, path, candidates=np.delete(np.arange(180), land.query(1)))
    with pytest.raises(ValueError, match="holds the class clover, which is not among wheat, oats"):
        by_hand(stripes, path, classes=["wheat", "oats"])
    with pytest.raises(ValueError, match="holds 2 answers, more than the budget of 1"):
        wt.widgets.label_by_hand(scene, land, path=path, budget=1)
    assert path.read_bytes() == kept


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is damaged: Expecting value"),
        (b'{"format": "wdl', "is damaged: Unterminated string"),
        (b"\xff\xfe", "is damaged: .*codec can't decode"),
        (b"[1, 2]", "is not a labelling session of this version"),
        (b'{"format": "wdl_tutorial labelling session 1", "answers": []}', "is damaged: its scene, pixels or answers"),
    ],
)
def test_a_damaged_file_is_refused_and_left_alone(stripes, tmp_path, content, message):
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"mine.json {message}.*another path"):
        by_hand(stripes, path)
    assert path.read_bytes() == content


def test_an_answer_that_cannot_be_saved_is_told_and_stands(stripes, tmp_path):
    path = tmp_path / "gone" / "mine.json"
    session = by_hand(stripes, path)
    with pytest.raises(OSError, match=r"the answers could not be saved in .*Free the place, then go on"):
        session.answer("wheat")
    assert session.answers == [0] and "could not be saved" in session.problem
    path.parent.mkdir()
    session.answer("clover")
    assert session.problem == "" and json.loads(path.read_text())["answers"] == ["wheat", "clover"]


def test_candidates_and_duplicates_bound_the_number_of_questions(stripes):
    scene, land = stripes
    session = wt.widgets.label_by_hand(scene, land, candidates=np.arange(180) < 7)
    assert session.state()["n_questions"] == 7 and max(session.queries) < 7
    cube = scene.cube.copy()
    cube[6:] = cube[:6]
    twice = scene._replace(cube=cube)
    merged = striped_land(twice, merge_duplicates=True)
    session = wt.widgets.label_by_hand(twice, merged, budget=500)
    assert session.state()["n_questions"] == 90
    session.answer("wheat")
    assert len(session.prediction) == 180


def test_a_masked_scene_is_labelled_where_it_is_valid():
    mask = np.ones((12, 15), dtype=bool)
    mask[::2, 3] = False
    scene = striped_scene(mask=mask)
    session = by_hand((scene, striped_land(scene)))
    session.answer("clover")
    assert np.all(mask.ravel()[session.queries])
    row, pixel = session._rows[1], session.state()["pixel"]
    assert_close(scene.pixels()[row], scene.cube[pixel], atol=0)


@pytest.mark.parametrize("classes", [[], ["one"], ["same", "same"]])
def test_fewer_than_two_different_classes_are_refused(stripes, classes):
    with pytest.raises(ValueError, match="classes must be 2 to 250 different names"):
        by_hand(stripes, classes=classes)
    with pytest.raises(ValueError, match="classes must be 2 to 250 different names"):
        by_hand((stripes[0]._replace(label_names=None), stripes[1]))


def test_land_has_to_be_fitted_first(stripes):
    with pytest.raises(ValueError, match="land is not fitted"):
        by_hand((stripes[0], wt.LAND()))


def test_a_session_has_a_picture_where_no_script_runs_and_a_module_that_imports_nothing(stripes):
    pytest.importorskip("matplotlib").use("Agg")
    session = by_hand(stripes)
    for name in ("wheat", "clover"):
        session.answer(name)
    assert session.first_picture().startswith(b"\x89PNG")
    assert "import {" not in session._esm and "labels" in session.alt


def test_the_race_opens_with_a_typical_random_draw_and_not_with_the_luckiest():
    race = wt.widgets.LabellingRace()
    found = [race.accuracy(draw) for draw in race.draws]
    assert abs(found[int(race.draw) - 1] - np.median(found)) < 0.01
    assert max(found) > np.median(found) + 0.1
    assert wt.widgets.LabellingRace(race.scene, race.land, draw=3).draw == 3


@needs_node
def test_a_session_by_hand_is_one_module_that_imports_nothing(stripes, tmp_path):
    file = tmp_path / "demo.mjs"
    file.write_text(by_hand(stripes)._esm, encoding="utf-8")
    check = f"import('{file.as_uri()}').then((m) => console.log(typeof m.default.render))"
    run = subprocess.run([NODE, "-e", check], capture_output=True, text=True, timeout=60)
    assert run.stdout.split() == ["function"], run.stderr
