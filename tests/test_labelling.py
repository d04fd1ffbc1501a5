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
    starts, times = [0, int(ink.start), n - 1], [0, 1, 2, 3, 30, 301, 5000]
    problem = {"run": "walk", "neighbors": ink.neighbors, "n": n, "k": ink.n_neighbors, "times": times}
    answers = javascript([{**problem, "start": start} for start in starts])
    for start, walks in zip(starts, answers):
        for t, found in zip(times, walks):
            ink.start, ink.time = start, t
            assert_close(found, ink.where(), atol=1e-9)


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
