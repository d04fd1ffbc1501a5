"""One error for a bad argument: its name, what was given, what to do."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial import _checks


@pytest.mark.parametrize("value", [np.int8(100), np.uint64(100), 100])
def test_a_count_of_any_integer_type_is_one_that_can_be_added_to(value):
    assert _checks.integer("n", value) + 100 == 200


@pytest.mark.parametrize("value", [0, -1, 1.0, True, np.True_, "3", None, [2], np.array(2), math.nan])
def test_what_is_no_count_is_named(value):
    with pytest.raises(
        ValueError, match=r"^n_atoms must be an integer of at least 1, or None; got .*\. Ask for fewer\.$"
    ):
        _checks.integer("n_atoms", value, unless=", or None", advice="Ask for fewer.")


def test_a_count_that_is_too_large_is_told_the_limits():
    with pytest.raises(ValueError, match=r"k must be an integer from 1 to 9; got 10\."):
        _checks.integer("k", 10, most=9)


def test_an_integer_of_400_digits_is_counted_not_printed():
    for check in (lambda: _checks.integer("n", 10**400, most=9), lambda: _checks.number("eps", 10**400)):
        with pytest.raises(ValueError, match=r"got an integer of about 401 digits"):
            check()


@pytest.mark.parametrize("value", [np.float16(0.5), np.float32(0.5), np.longdouble(0.5), 0.5])
def test_a_number_of_any_type_is_a_python_float(value):
    assert type(_checks.number("eps", value)) is float and _checks.number("eps", value) == 0.5


@pytest.mark.parametrize("value", [math.nan, math.inf, "0.1", None, [0.1], np.array(0.1), True, 1j, 10**400])
def test_what_is_no_finite_number_is_named(value):
    with pytest.raises(ValueError, match=r"^scale must be a finite number; got "):
        _checks.number("scale", value)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"above": 0}, "positive"),
        ({"least": 0}, "non-negative"),
        ({"above": -1, "most": 0}, "in (-1, 0]"),
        ({"least": 1}, "at least 1"),
        ({"least": 0, "below": 1}, "in [0, 1)"),
        ({"most": -6}, "at most -6"),
    ],
)
def test_a_number_outside_its_limits_is_told_them(limits, words):
    with pytest.raises(ValueError) as told:
        _checks.number("x", -5.5, **limits)
    assert str(told.value) == f"x must be {words}; got -5.5."


def test_limits_are_where_they_are_said_to_be():
    assert _checks.number("x", 0, least=0) == 0 and _checks.number("x", 0, most=0) == 0
    for limits in ({"above": 0}, {"below": 0}):
        with pytest.raises(ValueError):
            _checks.number("x", 0, **limits)


@pytest.mark.parametrize("value", ["logs", "", None, 3, np.array([1, 2]), ["log"], b"log"])
def test_an_unknown_choice_is_told_the_known_ones(value):
    with pytest.raises(ValueError, match=r"^domain must be 'auto', 'kernel' or 'log'; got "):
        _checks.choice("domain", value, ("auto", "kernel", "log"))


def test_a_seed_gives_the_same_draws_and_a_generator_is_kept():
    assert _checks.generator_of(np.int8(3)).random() == np.random.default_rng(3).random()
    rng = np.random.default_rng(0)
    assert _checks.generator_of(rng) is rng


@pytest.mark.parametrize("value", [-1, 1.5, True, "seed", [1, 2], np.random])
def test_what_cannot_seed_a_draw_is_named(value):
    with pytest.raises(
        ValueError, match=r"^random_state must be a non-negative integer, a numpy Generator.* or None; got "
    ):
        _checks.generator_of(value)


def test_a_list_follows_the_array_beside_it(xp):
    p, q = _checks.floats(p=[1, 2], q=xp.array([0.5, 0.5]))
    assert type(p) is type(q)


def test_arrays_of_two_backends_are_named():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"^p and q: all arrays must come from one backend; got numpy and torch"):
        _checks.floats(p=np.ones(2), q=torch.ones(2))


@pytest.mark.parametrize("value", [None, "log", {"x": 1}, [1, [2, 3]], np.array([None]), [10**400], 1j])
def test_an_array_of_no_numbers_is_named(value):
    with pytest.raises(TypeError, match=r"^weights: expected "):
        _checks.floats(weights=value)


def test_a_file_s_byte_order_makes_no_difference():
    (x,) = _checks.floats(x=np.array([1.0, 2.0], dtype=">f4"))
    assert x.dtype == np.float32 and x.dtype.isnative and x.tolist() == [1.0, 2.0]


def test_entries_that_are_not_finite_are_counted(xp):
    with pytest.raises(ValueError, match="reference holds 2 NaN or infinite entries"):
        _checks.finite("reference", xp.array([1.0, math.nan, math.inf]))
    with pytest.raises(ValueError, match=r"reference is empty: its shape is \(0,\)"):
        _checks.finite("reference", xp.array([]))


@pytest.mark.parametrize("value", [3, (3,), (3, 4, 5), "34", (0, 4), (3.0, 4), None, (True, 2), {}])
def test_what_is_no_shape_of_an_image_is_named(value):
    with pytest.raises(ValueError, match=r"shape must be \(rows, columns\), integers of at least 1 each; got "):
        _checks.image_shape("shape", value)


def test_the_shape_of_an_image_is_two_ints():
    assert _checks.image_shape("shape", np.array([3, 4], dtype=np.int8)) == (3, 4)


@pytest.mark.parametrize("value", [10**400, 2**63, np.uint64(2**63)])
def test_a_count_beyond_any_loop_is_told_that_it_is_too_large(value):
    with pytest.raises(ValueError, match=rf"^n_iter must be an integer from 1 to {sys.maxsize}; got "):
        _checks.integer("n_iter", value)


def test_a_barycenter_of_too_many_iterations_names_n_iter():
    with pytest.raises(
        ValueError, match=r"^n_iter must be an integer from 1 to .*; got an integer of about 401 digits"
    ):
        wt.barycenter(np.eye(2), np.array([0.5, 0.5]), 1 - np.eye(2), eps=0.1, n_iter=10**400)
