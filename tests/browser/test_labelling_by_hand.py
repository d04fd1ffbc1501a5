"""Ten labels by keyboard in a real JupyterLab: the map fills in after each, and a closed session is found again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from driver import CHROMIUM, ROOT, drive, missing, require
from test_lab import TOKEN, jupyter_lab

ANSWERS = "5431231161"  # the classes of LAND's first ten pixels of the teaching scene
CELL = """
import wdl_tutorial as wt
scene = wt.datasets.make_teaching_scene()
scene = scene.drop_bands(scene.extra["bad_band"])
wt.widgets.label_by_hand(scene, wt.LAND().fit(scene.pixels()), path="labels.json")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("session")


@pytest.fixture(scope="module")
def report(folder) -> dict:
    require(missing())
    nbformat = pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_code_cell(CELL.strip())]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "session.ipynb")
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    shots = os.environ.get("WDL_TUTORIAL_SCREENSHOTS")  # a folder to keep pictures in, for who wants to look
    with jupyter_lab(folder, folder, PYTHONPATH=paths) as address:
        asked = [address, TOKEN, CHROMIUM, "session.ipynb", ANSWERS, *(["--screenshots", shots] if shots else [])]
        return drive("labelling.mjs", *asked, minutes=10)


def test_no_cell_fails_and_the_page_has_no_error(report):
    assert report["errors"] == []


def test_the_classes_are_reached_by_tab(report):
    assert report["focus"] == "the class of the pixel"


def test_the_picture_the_map_and_the_words_change_after_each_of_ten_answers(report):
    assert len(report["steps"]) == 10
    for k, (before, after) in enumerate(zip([report["first"], *report["steps"]], report["steps"])):
        changed = [one != other for one, other in zip(before["canvases"], after["canvases"])]
        assert changed == [True, True, True], f"answer {k + 1}: the scene, the map and the spectrum: {changed}"
        assert f"You called number {k + 1} " in after["words"]
        assert f"Question {k + 2} of 100" in after["words"]
    print("milliseconds per answer:", [round(step["milliseconds"]) for step in report["steps"]])


def test_answers_are_counted_on_the_buttons_and_read_aloud(report):
    counts = {button.split(" (")[0]: button for button in report["last"]["buttons"]}
    assert counts["1 green crop"].endswith("(4)") and counts["7 buddingtonite"].endswith("(0)")
    assert report["last"]["spoken"] == report["last"]["words"]


def test_backspace_takes_the_last_answer_back(report):
    ninth, tenth = report["steps"][8], report["steps"][9]
    assert report["undone"]["canvases"] == ninth["canvases"]
    assert report["undone"]["canvases"] != tenth["canvases"]


def test_a_digit_labels_a_pixel_and_does_nothing_to_the_notebook(report):
    assert set(report["cells"]) == {"jp-CodeCell"}


def test_a_session_that_was_closed_goes_on_with_the_same_map(report, folder):
    assert report["resumed"]["answered"] == 10
    assert report["resumed"]["canvases"] == report["last"]["canvases"]
    assert "Question 11 of 100" in report["resumed"]["words"] and "Saved in labels.json" in report["resumed"]["words"]
    kept = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    assert len(kept["answers"]) == 10 and kept["answers"][0] == "water"


def test_the_widget_has_no_serious_accessibility_violation(report):
    assert report["accessibility"] == []
