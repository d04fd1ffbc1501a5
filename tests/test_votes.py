"""Predictions: the table of questions, the widget's words, the order of the options, what is kept."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import nbformat
import pytest

import wdl_tutorial as wt
from wdl_tutorial.widgets import source

pytest.importorskip("anywidget")
BOOK = Path(__file__).resolve().parents[1] / "book"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
QUESTIONS = wt.widgets.questions()


def sources(chapter: str) -> str:
    cells = nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4).cells
    return "\n\n".join(cell.source for cell in cells)


def javascript(expression: str):
    """The value of an expression over the functions of votes.js, imported as `V`."""
    code = f"""
        import {{ readFileSync }} from "node:fs";
        const text = readFileSync("{source.FOLDER / "votes.js"}").toString("base64");
        const V = await import("data:text/javascript;base64," + text);
        console.log(JSON.stringify({expression}));
    """
    run = subprocess.run([NODE, "--input-type=module", "-e", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


@pytest.mark.parametrize("key", QUESTIONS)
def test_each_question_stands_in_its_chapter_before_its_answer(key):
    text = sources(QUESTIONS[key].chapter)
    asked, told = (f'wt.widgets.Predict("{key}"{part})' for part in ("", ', part="answer"'))
    assert text.count(asked) == text.count(told) == 1
    assert text.index(asked) < text.index(told)


@pytest.mark.parametrize("key", QUESTIONS)
def test_the_question_is_asked_in_the_text_right_before_its_options(key):
    cells = nbformat.read(BOOK / f"{QUESTIONS[key].chapter}.ipynb", as_version=4).cells
    (at,) = [k for k, cell in enumerate(cells) if cell.source.strip() == f'wt.widgets.Predict("{key}")']
    before = cells[at - 1]
    assert before.cell_type == "markdown" and "?" in before.source.split("\n#")[-1]
    assert cells[at].metadata.tags == ["remove-input"]


def test_every_chapter_asks_before_it_tells():
    chapters = {path.stem for path in BOOK.glob("[0-9]*.ipynb")}
    assert {question.chapter for question in QUESTIONS.values()} == chapters
    for path in BOOK.glob("[0-9]*.ipynb"):
        assert not re.search(r"\*\*The prediction\.\*\*|^\* \*\*A\.\*\*", sources(path.stem), re.M), path.stem


@pytest.mark.parametrize("key", QUESTIONS)
def test_no_text_names_a_letter_since_every_reader_has_an_order_of_their_own(key):
    question = QUESTIONS[key]
    assert len(set(question.options)) == 3
    words = [question.answer, *(w.told for w in question.wrong), *(w.belief for w in question.wrong)]
    assert [text for text in words if re.search(r"\b[Oo]ption [ABC]\b|\bchose [ABC]\b", text)] == []
    assert all(w.belief and w.told and w.ask.endswith("?") for w in question.wrong)
    assert question.question.rstrip().endswith(("?", "."))


def test_a_widget_shows_question_and_options_and_keeps_the_answer_apart():
    asked, told = wt.widgets.Predict("4"), wt.widgets.Predict("4", part="answer")
    assert "At B, which has the smallest weight" in repr(asked) and "vote*, and" not in repr(asked)
    data, _ = asked._repr_mimebundle_()
    assert "<li>At B, which" in data["text/html"] and "<details" not in data["text/html"]
    data, _ = told._repr_mimebundle_()
    assert data["text/html"].startswith("<details") and "<em>vote</em>" in data["text/html"]
    assert repr(told) == "The answer opens after your vote."


def test_the_options_are_listed_in_an_order_that_does_not_give_the_answer_away():
    """Without JavaScript there is no reader's own order; the alphabet is blind."""
    places = Counter(sorted(q.options).index(q.right) for q in QUESTIONS.values())
    assert max(places.values()) < 0.7 * len(QUESTIONS)


def test_an_unknown_question_is_named():
    with pytest.raises(ValueError, match="no prediction of the key '99'; there are 0, 1, 1d"):
        wt.widgets.Predict("99")


@needs_node
def test_each_reader_has_an_order_and_keeps_it():
    once, again = (javascript('[1, 2, 3, 4, 5].map((r) => V.orderOf(3, r, "4"))') for _ in range(2))
    assert once == again
    assert len({tuple(order) for order in once}) > 1
    assert all(sorted(order) == [0, 1, 2] for order in once)


@needs_node
def test_the_right_option_stands_in_each_place_equally_often():
    orders = javascript('Array.from({ length: 3000 }, (_, r) => V.orderOf(3, r * 7919, "11"))')
    first = Counter(order.index(0) for order in orders)
    assert all(abs(count - 1000) < 120 for count in first.values()), first
    of_one = javascript(f"{json.dumps(list(QUESTIONS))}.map((key) => V.orderOf(3, 12345, key))")
    assert len({tuple(order) for order in of_one}) > 3


@needs_node
def test_the_page_of_errors_lists_the_wrong_and_sure_votes_and_no_other():
    votes = {
        "1": {"choice": 1, "sure": 70, "right": False},
        "2": {"choice": 0, "sure": 100, "right": True},
        "3": {"choice": 2, "sure": 50, "right": False},
        "4": {"choice": 2, "sure": 100, "right": False},
    }
    assert javascript(f"V.wrongAndSure({json.dumps(votes)})") == ["4", "1"]


@needs_node
def test_without_storage_votes_live_as_long_as_the_page():
    put = "const r = V.recall(); r.votes.x = { right: true }; const stored = V.keep(r);"
    asked = "return [stored, V.recall().votes.x.right, V.recall().reader === r.reader];"
    assert javascript(f"(() => {{ {put} {asked} }})()") == [False, True, True]


@needs_node
def test_a_reader_who_has_not_voted_yet_keeps_the_order_after_a_reload():
    found = javascript("""(() => {
        const kept = new Map();
        globalThis.localStorage = { getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => kept.set(k, v) };
        const first = V.recall().reader;
        delete globalThis.wdlRecord;  // what a page holds is gone with it
        return [first, V.recall().reader];
    })()""")
    assert found[0] == found[1]
