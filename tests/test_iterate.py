"""The one loop: when it stops, what it records, what it says."""

from __future__ import annotations

import inspect
import itertools

import numpy as np
import pytest

from wdl_tutorial.chunks import workers
from wdl_tutorial.iterate import ConvergenceWarning, deprecated, nth, progress, run, warn, warn_not_converged


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


def here() -> int:
    """The line that calls this."""
    return inspect.currentframe().f_back.f_lineno


def test_a_warning_names_the_line_of_who_called_the_package():
    with pytest.warns(UserWarning) as caught:
        line, _ = here(), warn("look")
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_warning_of_a_worker_names_the_line_that_asked_for_workers(n_jobs):
    module = {"__name__": "wdl_tutorial.made", "warn": warn, "workers": workers}
    exec(
        "def work(part): warn(f'part {part.start}')\n"
        "def door(n_jobs):\n"
        "    with workers(n_jobs) as mapper:\n"
        "        return list(mapper(work, [slice(0, 1), slice(1, 2)]))",
        module,
    )
    with pytest.warns(UserWarning) as caught:
        line, _ = here(), module["door"](n_jobs)
    assert sorted(str(w.message) for w in caught) == ["part 0", "part 1"]
    assert {(w.filename, w.lineno) for w in caught} == {(__file__, line)}


def test_a_deprecated_name_says_what_to_write_and_until_when():
    with pytest.warns(DeprecationWarning, match=r"old\(\) is deprecated and will be gone in version 0.4. Use new\(\)."):
        line, _ = here(), deprecated("old()", "new()", until="0.4")
    with pytest.warns(DeprecationWarning) as caught:
        line, _ = here(), deprecated("old()", "new()", until="0.4")
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)


def test_a_bar_of_work_that_settles_early_ends_full(capsys):
    with progress(100, "work", "step", shown=True) as bar:
        bar.update(10)
    assert (bar.n, bar.total) == (10, 10)
    assert "10/10" in capsys.readouterr().err.split("\r")[-1]
    with pytest.raises(KeyboardInterrupt), progress(100, "work", "step", shown=True) as bar:
        bar.update(10)
        raise KeyboardInterrupt
    assert bar.total == 100  # that one was not done
