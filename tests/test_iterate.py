"""The one loop: when it stops, what it records, what it says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from wdl_tutorial.iterate import ConvergenceWarning, nth, run, warn_not_converged


def halving(xp, start=1.0):
    """States 1/2, 1/4, 1/8, ... of a batch of two problems, the second ten times further off."""
    state = xp.array([start, 10 * start])
    while True:
        state = state / 2
        yield state


def test_it_stops_at_the_first_check_below_the_tolerance(xp):
    found = run(halving(xp), lambda s: s, tol=1e-3, max_iter=100, check_every=5)
    assert found.n_iter == 15  # 10 / 2**14 < 1e-3, and 15 is the next multiple of 5
    assert found.error == 10 / 2**15
    assert bool(xp.numpy(found.converged).all())
    assert [n for n, _ in found.trace] == [5, 10, 15]


def test_it_stops_at_the_limit_and_says_which_problems_made_it(xp):
    found = run(halving(xp), lambda s: s, tol=0.1, max_iter=5, check_every=10)
    assert found.n_iter == 5
    assert xp.numpy(found.converged).tolist() == [True, False]
    assert found.trace == [(5, 10 / 32)]


def test_a_tolerance_of_zero_never_stops_early(xp):
    assert run(halving(xp), lambda s: s, tol=0.0, max_iter=33).n_iter == 33


def test_what_has_become_nan_stops_at_once(xp):
    states = itertools.chain([xp.array([1.0])], itertools.repeat(xp.array([float("nan")])))
    found = run(states, lambda s: s, tol=1e-9, max_iter=1000, check_every=1)
    assert found.n_iter == 2
    assert not bool(xp.numpy(found.converged).any())


def test_steps_that_end_are_a_mistake():
    with pytest.raises(ValueError, match="steps ended before max_iter"):
        run(iter([np.ones(1)]), lambda s: s, tol=0.0, max_iter=5)


def test_nth_counts_from_one(xp):
    assert float(nth(halving(xp), 1)[0]) == 0.5
    assert float(nth(halving(xp), 3)[0]) == 0.125


def test_the_warning_says_how_far_and_what_to_change():
    expected = r"Sinkhorn stopped after 7 iterations with error 3.0e-03 > tol 1.0e-09. Raise max_iter."
    with pytest.warns(ConvergenceWarning, match=expected):
        warn_not_converged("Sinkhorn", 7, 3e-3, 1e-9, "Raise max_iter.")
