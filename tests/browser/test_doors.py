"""Votes, doors, addresses and the reference in a real browser, over http and from file://: `make browser`."""

from __future__ import annotations

import pytest
import yaml
from driver import CHROMIUM, ROOT, drive, missing, require

from wdl_tutorial.widgets.votes import questions

BOOK = ROOT / "_build" / "html"


@pytest.fixture(scope="module", params=["http", "file"])
def report(request) -> dict:
    require(missing() or (None if (BOOK / "index.html").is_file() else "the book is not built: make book"))
    return drive("doors.mjs", str(BOOK), request.param, CHROMIUM, minutes=15)


def test_nothing_fails(report):
    assert report["errors"] == []


def test_an_answer_is_shut_before_the_vote_and_open_after_it(report):
    found = report["votes"]
    assert "opens here after your vote" in found["shut"] and "90 % muscovite" not in found["shut"]
    assert "90 % muscovite" in found["opened"] and "height and all" in found["opened"]
    assert (found["foldBefore"], found["foldAfter"]) == (False, True)


def test_a_vote_is_cast_by_keyboard_and_stands_after_a_reload(report):
    assert "90\u00a0% sure" in report["votes"]["committed"]
    assert report["votes"]["stays"] == report["votes"]["committed"]
    assert report["votes"]["sameOrder"] == report["votes"]["order"]


def test_every_answer_of_the_book_is_shut_before_the_vote_and_open_after_it(report):
    asked = {question.key for question in questions().values()}
    assert {found["key"] for found in report["questions"]} == asked
    for found in report["questions"]:
        assert "opens here after your vote" in found["shut"], found
        assert "You said" in found["opened"] and "opens here" not in found["opened"], found
        assert not any(found["foldsBefore"]) and all(found["foldsAfter"]), found
    assert sum(len(found["foldsAfter"]) for found in report["questions"]) > 10


def test_readers_see_the_options_in_orders_of_their_own_and_each_keeps_theirs(report):
    assert len({first for first, _ in report["orders"]}) > 1
    assert all(first == again for first, again in report["orders"])


def test_the_page_of_errors_lists_exactly_the_wrong_and_sure_votes(report):
    assert report["votes"]["listed"] == ["11"]
    assert report["votes"]["back"].endswith("11_what_is_in_this_pixel.html#wdl-answer-11")


def test_a_reader_whose_browser_keeps_nothing_loses_nothing_but_memory(report):
    found = report["forgetful"]
    assert "90\u00a0% sure" in found["committed"] and "90 % muscovite" in found["opened"]
    assert "door=spectra" in found["next"]


def test_hands_are_counted_and_the_answer_opens_for_the_class(report):
    assert report["classroom"]["counted"] == "3"
    assert "90 % muscovite" in report["classroom"]["opened"] and "A: 3" in report["classroom"]["opened"]


@pytest.mark.parametrize("door", ["spectra", "mathematics"])
def test_a_door_is_walked_by_next_alone_from_the_index_to_the_capstone(report, door):
    pages = yaml.safe_load((ROOT / "book" / "_doors.yml").read_text(encoding="utf-8"))[door]["pages"]
    walked = report["doors"][door]
    assert [name for name, _ in walked] == pages
    places = [f"{k} of {len(pages)}" for k in range(1, len(pages) + 1)]
    assert [place.split(": ")[1] for _, place in walked] == places


def test_a_page_beside_the_door_leads_back_to_where_the_reader_was(report):
    assert report["beside"] == "../11_what_is_in_this_pixel.html?door=spectra"


def test_a_mangled_address_leaves_the_demo_standing(report):
    found = report["addresses"]["found"]
    assert not any("NaN" in words for words in found.values())
    assert "full light" in found["#%"] and "full light" in found["#shade=weights:Infinity_0_0"]
    assert (
        "20\u00a0% less light" in found["#shade=shade:0.8"] and "20\u00a0% less light" in found["#100%&shade=shade:0.8"]
    )


def test_a_link_to_the_present_state_is_copied_or_shown(report):
    assert "is copied" in report["addresses"]["said"] or "shade=shade:0.8" in (report["addresses"]["field"] or "")


def test_the_first_demo_is_at_most_five_tabs_away(report):
    assert report["tabs"]["first"] == "Skip to what you can move"
    assert report["tabs"]["count"] <= 5


def test_searching_a_function_leads_to_its_entry(report):
    assert any("reference/transport.html#wdl_tutorial.blur_width" in (link or "") for link in report["search"])
