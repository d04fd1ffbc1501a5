"""Adam and L-BFGS: against SciPy and torch, and the promise that a state is all there is."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from conftest import Backend, assert_close
from scipy.optimize import minimize, rosen, rosen_der

from wdl_tutorial._array import array_namespace, number
from wdl_tutorial.optimize import (
    adam_steps,
    cosine,
    dot,
    lbfgs_direction,
    lbfgs_restarts,
    lbfgs_steps,
    projection_steps,
)

SPECTRUM = np.array([1.0, 3.0, 10.0, 40.0])
CENTRE = np.array([1.0, -2.0, 0.5, 3.0])


def quadratic(xp):
    """sum of SPECTRUM (x - CENTRE)^2 / 2 over two parameters, which are halves of x."""
    scales, centres = (
        [xp.array(half) for half in np.split(SPECTRUM, 2)],
        [xp.array(half) for half in np.split(CENTRE, 2)],
    )

    def function(params):
        gaps = [x - c for x, c in zip(params, centres)]
        grads = tuple(s * gap for s, gap in zip(scales, gaps))
        return sum(number(array_namespace(g).sum(g * gap)) for g, gap in zip(grads, gaps)) / 2, grads

    return function


def rosenbrock(params):
    return float(rosen(params[0])), (rosen_der(params[0]),)


def nth_state(steps, n):
    return next(itertools.islice(steps, n, None))


def same_bits(one, other) -> bool:
    """Are two states equal, array by array, to the last bit?"""
    if isinstance(one, tuple):
        return len(one) == len(other) and all(same_bits(a, b) for a, b in zip(one, other))
    return bool(np.array_equal(one, other))


def test_lbfgs_finds_the_centre_of_a_quadratic_on_every_backend(xp):
    state = nth_state(lbfgs_steps(quadratic(xp), (xp.array(np.zeros(2)), xp.array(np.zeros(2)))), 15)
    assert_close(np.concatenate([xp.numpy(x) for x in state.params]), CENTRE, atol=1e-8)
    assert state.value < 1e-14


def test_adam_finds_the_centre_of_a_quadratic_on_every_backend(xp):
    start = (xp.array(np.zeros(2)), xp.array(np.zeros(2)))
    state = nth_state(adam_steps(quadratic(xp), start, learning_rate=cosine(0.3, 0.0, 300)), 300)
    assert_close(np.concatenate([xp.numpy(x) for x in state.params]), CENTRE, atol=1e-3)


@pytest.mark.parametrize("steps", [adam_steps, lbfgs_steps])
def test_the_first_state_is_the_start_with_its_value_and_gradient(xp, steps):
    start = (xp.array(np.zeros(2)), xp.array(np.zeros(2)))
    state = next(steps(quadratic(xp), start))
    assert state.t == 0 and state.params is start
    assert state.value == pytest.approx((SPECTRUM * CENTRE**2).sum() / 2, rel=1e-14)
    assert_close(state.grads[1], -(SPECTRUM * CENTRE)[2:], rtol=1e-15)


def test_lbfgs_needs_about_as_many_evaluations_as_scipy_on_rosenbrock():
    start = np.array([-1.2, 1.0, -1.2, 1.0, 0.5])
    peer = minimize(rosen, start, jac=rosen_der, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-8, "maxcor": 10})
    for state in lbfgs_steps(rosenbrock, (start,)):
        if np.abs(state.grads[0]).max() < 1e-8 or state.t > 300:
            break
    assert_close(state.params[0], np.ones(5), atol=1e-7)
    assert_close(state.params[0], peer.x, atol=1e-6)
    assert state.n_evaluations < 1.5 * peer.nfev


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e3])
def test_a_first_step_of_lbfgs_that_is_given_does_not_ask_for_the_unit_of_the_loss(unit):
    def bowl(params):
        return unit * float(params[0] @ params[0]) / 2, (unit * params[0],)

    start = np.array([1.0, -2.0])
    first, then = itertools.islice(lbfgs_steps(bowl, (start,), first_step=0.5), 2)
    assert (first.n_evaluations, then.n_evaluations) == (1, 2)
    assert_close(then.params[0], 0.75 * start, rtol=1e-12)  # the entry that moves most moves by a half


def test_lbfgs_counts_every_evaluation():
    calls = []

    def counted(params):
        calls.append(1)
        return rosenbrock(params)

    state = nth_state(lbfgs_steps(counted, (np.array([-1.2, 1.0]),)), 20)
    assert state.n_evaluations == len(calls)


def test_with_its_memory_full_of_a_quadratic_the_direction_is_newtons():
    # n independent pairs determine the Hessian of a quadratic on R^n if they are conjugate: here, the axes
    axes = np.eye(4)
    steps, changes = tuple((e,) for e in axes), tuple((SPECTRUM * e,) for e in axes)
    grad = np.array([1.0, -2.0, 3.0, 0.5])
    assert_close(lbfgs_direction((grad,), steps, changes)[0], -grad / SPECTRUM, rtol=1e-14)


def test_every_lbfgs_step_meets_the_strong_wolfe_conditions():
    states = list(itertools.islice(lbfgs_steps(rosenbrock, (np.array([-1.2, 1.0, 2.0, -0.5]),)), 40))
    seen = 0
    for before, after in itertools.pairwise(states):
        step = (after.params[0] - before.params[0],)
        slope = dot(before.grads, step)
        if abs(slope) < 1e-12:  # rounding decides from here on
            break
        assert after.value <= before.value + 1e-4 * slope
        assert abs(dot(after.grads, step)) <= 0.9 * abs(slope) * (1 + 1e-6)
        seen += 1
    assert seen > 20


def test_adam_is_torchs_adam():
    torch = pytest.importorskip("torch")
    start = np.array([-1.2, 1.0, 0.3])
    leaf = torch.tensor(start, requires_grad=True)
    peer = torch.optim.Adam([leaf], lr=0.02, betas=(0.8, 0.95), eps=1e-8)
    ours = adam_steps(rosenbrock, (start,), learning_rate=0.02, betas=(0.8, 0.95))
    next(ours)
    for _, state in zip(range(50), ours):
        leaf.grad = torch.tensor(rosen_der(leaf.detach().numpy()))
        peer.step()
        assert_close(state.params[0], leaf, rtol=1e-10, atol=1e-12)


def test_the_cosine_schedule_starts_and_ends_where_it_should():
    rate = cosine(0.3, 0.1, 10)
    assert rate(0) == pytest.approx(0.3)
    assert rate(5) == pytest.approx(0.2)
    assert rate(10) == rate(99) == pytest.approx(0.1)


@pytest.mark.parametrize("steps", [adam_steps, lbfgs_steps])
@pytest.mark.parametrize("pause", [0, 1, 7, 13])
def test_a_run_taken_up_from_a_state_is_the_run_that_never_stopped(xp, steps, pause):
    start = (xp.array(np.array([5.0, -3.0])), xp.array(np.array([0.1, 9.0])))
    whole = nth_state(steps(quadratic(xp), start), 25)
    paused = nth_state(steps(quadratic(xp), start), pause)
    resumed = nth_state(steps(quadratic(xp), None, state=paused), 25 - pause - 1)

    def host(x):
        return tuple(host(y) for y in x) if isinstance(x, tuple) else x if isinstance(x, float | int) else xp.numpy(x)

    assert same_bits(host(resumed), host(whole))


def test_a_learning_rate_schedule_goes_on_where_it_paused():
    rate = cosine(0.5, 0.0, 40)
    whole = nth_state(adam_steps(rosenbrock, (np.array([-1.2, 1.0]),), learning_rate=rate), 40)
    paused = nth_state(adam_steps(rosenbrock, (np.array([-1.2, 1.0]),), learning_rate=rate), 11)
    resumed = nth_state(adam_steps(rosenbrock, None, learning_rate=rate, state=paused), 40 - 11 - 1)
    assert same_bits(tuple(whole), tuple(resumed))


def shared_and_rows(xp):
    """A bowl of a shared point and of rows on the simplex, some of whose lowest points lie beyond it: an edge is lowest."""
    rng = np.random.default_rng(0)
    targets, bends = xp.array(rng.dirichlet(np.ones(3), 5) * 1.6 - 0.2), xp.array(rng.uniform(0.5, 4.0, (5, 3)))

    def function(params):
        y, x = params
        gap = x - targets - 0.05 * y[None, :]
        ns = array_namespace(x)
        value = float(ns.sum(bends * gap * gap) / 2 + ns.sum((y - 1.0) ** 2) / 2)
        return value, (y - 1.0 - 0.05 * ns.sum(bends * gap, axis=0), bends * gap)

    return function, (xp.array(np.zeros(3)), xp.array(np.full((5, 3), 1 / 3)))


def test_projection_finds_what_scipy_finds_corners_and_all(xp):
    function, start = shared_and_rows(xp)
    state = nth_state(projection_steps(function, start, learning_rate=cosine(0.1, 0.0, 300)), 300)
    host, _ = shared_and_rows(Backend("numpy"))

    def flat(z):
        value, (gy, gx) = host((z[:3], z[3:].reshape(5, 3)))
        return value, np.concatenate([gy, gx.ravel()])

    sums = [{"type": "eq", "fun": lambda z, i=i: z[3 + 3 * i : 6 + 3 * i].sum() - 1} for i in range(5)]
    begin = np.concatenate([np.zeros(3), np.full(15, 1 / 3)])
    bounds = [(None, None)] * 3 + [(0, None)] * 15
    peer = minimize(flat, begin, jac=True, method="SLSQP", bounds=bounds, constraints=sums, options={"ftol": 1e-14})
    ours = np.concatenate([xp.numpy(state.params[0]), xp.numpy(state.params[1]).ravel()])
    assert_close(ours, peer.x, atol=2e-3)
    assert ((ours[3:] == 0) == (peer.x[3:] < 1e-6)).all() and (ours[3:] == 0).any()


def test_projection_taken_up_from_a_state_is_the_run_that_never_stopped(xp):
    function, start = shared_and_rows(xp)
    whole = nth_state(projection_steps(function, start), 12)
    for pause in (0, 1, 5):
        paused = nth_state(projection_steps(function, start), pause)
        resumed = nth_state(projection_steps(function, None, state=paused), 12 - pause - 1)
        for ours, theirs in zip(resumed.params, whole.params):
            assert np.array_equal(xp.numpy(ours), xp.numpy(theirs))


@pytest.mark.parametrize("beyond", [math.nan, math.inf])
def test_a_value_that_is_not_finite_counts_as_too_far(beyond):
    # -log(1 - x) - 10 x has its minimum at x = 0.9; the first step from 0 goes to the wall at x = 1
    tried = []

    def walled(params):
        x = float(params[0][0])
        tried.append(x)
        if x >= 1:
            return beyond, (np.array([math.nan]),)
        return -math.log(1 - x) - 10 * x, (np.array([1 / (1 - x) - 10]),)

    state = nth_state(lbfgs_steps(walled, (np.array([0.0]),)), 12)
    assert max(tried) >= 1
    assert state.params[0][0] == pytest.approx(0.9, abs=1e-6)
    assert math.isfinite(state.value)


def test_a_point_beyond_the_floats_counts_as_too_far_unless_all_are():
    def walled(params):
        x = float(params[0][0])
        if x >= 1:
            raise FloatingPointError("left the range")
        return -math.log(1 - x) - 10 * x, (np.array([1 / (1 - x) - 10]),)

    state = nth_state(lbfgs_steps(walled, (np.array([0.0]),)), 12)
    assert state.params[0][0] == pytest.approx(0.9, abs=1e-6)

    calls = iter([lambda: (1.0, (np.array([1.0]),))])

    def only_the_start(params):
        return next(calls, lambda: walled((np.array([2.0]),)))()

    with pytest.raises(FloatingPointError, match="left the range"):
        nth_state(lbfgs_steps(only_the_start, (np.array([0.0]),)), 1)


def test_lbfgs_says_that_it_has_stalled_at_the_minimum_and_stays_there():
    steps = lbfgs_steps(lambda p: (float(p[0] @ p[0]), (2 * p[0],)), (np.zeros(3),))
    next(steps)
    states = list(itertools.islice(steps, 3))
    assert all(state.stalled for state in states)
    assert all(np.array_equal(state.params[0], np.zeros(3)) for state in states)


def test_a_wrong_gradient_stalls_rather_than_raising_the_value():
    # the gradient points uphill: no step along it lowers the value
    steps = lbfgs_steps(lambda p: (float(p[0] @ p[0]), (-2 * p[0],)), (np.array([1.0, 2.0]),))
    first, then = next(steps), next(steps)
    assert then.stalled and then.value == first.value


@pytest.mark.parametrize("steps", [adam_steps, lbfgs_steps])
def test_the_solvers_write_into_nothing_they_are_given(steps):
    start = np.array([-1.2, 1.0])
    kept = start.copy()
    states = list(itertools.islice(steps(rosenbrock, (start,)), 6))
    copies = [(s.params[0].copy(), s.grads[0].copy()) for s in states]
    nth_state(steps(rosenbrock, (start,)), 12)
    assert np.array_equal(start, kept)
    assert all(np.array_equal(s.params[0], p) and np.array_equal(s.grads[0], g) for s, (p, g) in zip(states, copies))


def test_restarts_refresh_the_function_every_so_many_steps_and_go_on_from_any_state():
    weight = [1.0]

    def function(params):
        (x,) = params
        return weight[0] * float((x**4).sum()), (4 * weight[0] * x**3,)

    def refresh(params):
        weight[0] *= 0.5

    def run(n, state=None):
        steps = lbfgs_restarts(function, (np.array([2.0, -3.0]),), refresh, every=3, state=state)
        return [s for _, s in zip(range(n), steps)]

    whole = run(9)
    assert [s.t for s in whole] == list(range(9)) and weight[0] == 0.25  # before steps 4 and 7
    assert [len(s.steps) for s in whole] == [0, 1, 2, 3, 1, 2, 3, 1, 2]
    weight[0] = 1.0
    saved = run(4)[-1]
    again = run(5, state=saved)
    assert [s.value for s in again] == [s.value for s in whole[4:]]


def test_a_step_of_lbfgs_asks_the_device_four_times_and_every_further_evaluation_once(monkeypatch):
    torch = pytest.importorskip("torch")
    asked = []
    for name in ("__float__", "__bool__", "__int__", "item", "tolist", "numpy", "cpu"):
        plain = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda x, *a, _plain=plain, **k: asked.append(1) or _plain(x, *a, **k))
    evaluations = []

    def rosenbrock(params):
        x, y = params
        evaluations.append(1)
        value = float(((1 - x) ** 2).sum() + 100 * ((y - x**2) ** 2).sum())  # the one look of the objective itself
        return value, (-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2))

    start = tuple(torch.full((50,), v, dtype=torch.float64) for v in (-1.2, 1.0))
    steps = lbfgs_steps(rosenbrock, start, memory=10)
    list(itertools.islice(steps, 16))
    before = len(asked), len(evaluations)
    list(itertools.islice(steps, 5))
    looks, calls = len(asked) - before[0], len(evaluations) - before[1]
    # a numpy() is preceded by a cpu(): two names for one look; once a slope, once a trial, once the curvature
    assert looks <= 5 * 4 + 3 * calls
    assert list(itertools.islice(steps, 60))[-1].value < 1e-12  # and they are right
