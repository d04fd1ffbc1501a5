"""Adam and L-BFGS as step generators on tuples of arrays of any backend.

A state is all there is: it holds the parameters, the value and the gradient *at* those parameters, and whatever the method
remembers. Start a generator from a saved state and it goes on exactly as if it had never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ._array import Array, array_namespace, to_numpy
from .rowwise import Guide, follow

Params = tuple[Array, ...]
Objective = Callable[[Params], tuple[float, Params]]  # parameters -> value, gradients
STANDING = 3  # steps over which what rows share begins to move


class AdamState(NamedTuple):
    """Adam after ``t`` updates."""

    params: Params
    value: float
    grads: Params
    t: int
    mean: Params  # running mean of the gradients
    square: Params  # running mean of their squares


def cosine(start: float, end: float, n_steps: int) -> Callable[[int], float]:
    """A learning rate that falls from ``start`` to ``end`` along half a cosine over ``n_steps`` updates."""
    return lambda t: end + (start - end) * (1 + math.cos(math.pi * min(t, n_steps) / n_steps)) / 2


def adam_steps(
    function: Objective,
    params: Params,
    *,
    learning_rate: float | Callable[[int], float] = 0.01,
    betas: tuple[float, float] = (0.9, 0.999),
    delta: float = 1e-8,
    state: AdamState | None = None,
) -> Iterator[AdamState]:
    """Yield Adam's states (Kingma and Ba (2015), Algorithm 1): first the start itself, then one per update.

    Parameters
    ----------
    function : maps parameters to (value, gradients).
    learning_rate : a number, or a function of the number of updates done.
    state : go on from here instead of ``params``; its own successor is the first to be yielded.
    """
    rate = learning_rate if callable(learning_rate) else lambda t: learning_rate
    if state is None:
        value, grads = function(params)
        zeros = tuple(array_namespace(x).zeros_like(x) for x in params)
        state = AdamState(params, value, grads, 0, zeros, zeros)
        yield state
    while True:
        state = adam_update(state, rate(state.t), betas, delta)
        value, grads = function(state.params)
        state = state._replace(value=value, grads=grads)
        yield state


def adam_update(state: AdamState, rate: float, betas: tuple[float, float], delta: float = 1e-8) -> AdamState:
    """The parameters, and the means of the gradients, after one update by the gradients of ``state``."""
    (b1, b2), t = betas, state.t + 1
    mean = tuple(b1 * m + (1 - b1) * g for m, g in zip(state.mean, state.grads))
    square = tuple(b2 * s + (1 - b2) * g * g for s, g in zip(state.square, state.grads))
    step = rate / (1 - b1**t)
    params = tuple(
        x - step * m / (array_namespace(s).sqrt(s / (1 - b2**t)) + delta) for x, m, s in zip(state.params, mean, square)
    )
    return state._replace(params=params, t=t, mean=mean, square=square)


class ProjectionState(NamedTuple):
    """Variable projection after ``t`` steps."""

    params: Params  # logits of what all rows share, and the rows' weights themselves
    value: float
    grads: Params
    t: int
    mean: Params  # Adam's, of the logits
    square: Params
    guide: tuple[Array, ...]  # what the rows have learnt: a Guide; none before the first step


def projection_steps(
    function: Objective,
    params: Params,
    *,
    learning_rate: float | Callable[[int], float] = 0.1,
    betas: tuple[float, float] = (0.5, 0.99),
    state: ProjectionState | None = None,
) -> Iterator[ProjectionState]:
    """Yield the states of variable projection, a step at a time: first the start, then one per evaluation.

    Golub and Pereyra (1973) solve for the variables that are easy, here the weights of a row, before every step of the
    others. Here both move at once: rows by a quasi-Newton step on the simplex of their own (:func:`rowwise.follow`), which
    reaches corners and edges in a few steps where logits need hundreds, and the logits of what they share by Adam.

    Parameters
    ----------
    function : maps (logits, weights) to (value, gradients); the rows' gradients may be in any unit, each row's its own.
    learning_rate : of the logits: a number, or a function of the number of steps done. They begin to move over the first
        steps, in which the rows find their places.
    state : go on from here instead of ``params``.
    """
    rate = learning_rate if callable(learning_rate) else lambda t: learning_rate
    if state is None:
        value, grads = function(params)
        none = (array_namespace(params[0]).zeros_like(params[0]),)
        state = ProjectionState(params, value, grads, 0, none, none, ())
        yield state
    while True:
        logits, weights = state.params
        weights, guide = follow(weights, state.grads[1], Guide(*state.guide) if state.guide else None)
        shared = AdamState((logits,), state.value, state.grads[:1], state.t, state.mean, state.square)
        shared = adam_update(shared, rate(state.t) * min(1.0, state.t / STANDING), betas)
        params = (*shared.params, weights)
        value, grads = function(params)
        state = ProjectionState(params, value, grads, shared.t, shared.mean, shared.square, tuple(guide))
        yield state


class LBFGSState(NamedTuple):
    """L-BFGS after ``t`` accepted steps."""

    params: Params
    value: float
    grads: Params
    t: int
    steps: tuple[Params, ...]  # the last changes of the parameters, oldest first
    changes: tuple[Params, ...]  # and of the gradients
    n_evaluations: int
    stalled: bool  # no step along the steepest descent lowers the value any more


def dot(x: Params, y: Params) -> Array:
    """The inner product over all parameters, left on their device: to ask for its number makes a GPU stop and talk."""
    return sum(array_namespace(a, b).sum(a * b) for a, b in zip(x, y))


def numbers(*products: Array) -> list[float]:
    """The numbers of several :func:`dot`, asked for at once."""
    return [float(v) for v in to_numpy(array_namespace(*products).stack(products))]


def _along(x: Params, t: float, d: Params) -> Params:
    return tuple(a + t * b for a, b in zip(x, d))


def lbfgs_direction(grads: Params, steps: tuple[Params, ...], changes: tuple[Params, ...]) -> Params:
    """Minus the inverse Hessian's action on the gradient, by the two-loop recursion (Nocedal and Wright, Algorithm 7.4)."""
    d, alphas = tuple(-g for g in grads), []
    for s, y in zip(reversed(steps), reversed(changes)):
        alphas.append(dot(s, d) / dot(s, y))
        d = _along(d, -alphas[-1], y)
    if steps:
        d = tuple(x * (dot(steps[-1], changes[-1]) / dot(changes[-1], changes[-1])) for x in d)
    for s, y, alpha in zip(steps, changes, reversed(alphas)):
        d = _along(d, alpha - dot(y, d) / dot(s, y), s)
    return d


def _first_step(d: Params, slope: float, move: float | None) -> float:
    """How far to go along the first direction, whose length says nothing: until its largest entry has moved by ``move``."""
    if move is None:
        return min(1.0, 1.0 / max(math.sqrt(-slope), 1e-300))
    return move / max(1e-300, *numbers(*(array_namespace(x).max(array_namespace(x).abs(x)) for x in d)))


class _Trial(NamedTuple):
    t: float
    value: float
    grads: Params
    slope: float


def strong_wolfe(
    function: Objective, params: Params, d: Params, start: _Trial, first: float, *, max_evaluations: int = 20
) -> tuple[_Trial | None, int]:
    """A step along ``d`` with sufficient decrease and a flat enough end (Nocedal and Wright, Algorithms 3.5 and 3.6).

    Returns the trial (None if no decrease was found) and the number of evaluations. A value that is infinite or NaN, or
    that no float can hold, counts as too far; where none of the values can be had, the function's error is raised.
    """
    c1, c2 = 1e-4, 0.9
    low, high, t, best, failed = start, None, first, None, 0
    for n in range(1, max_evaluations + 1):
        try:
            value, grads = function(_along(params, t, d))
        except FloatingPointError:
            failed += 1
            if failed == max_evaluations:
                raise
            value, grads = math.inf, ()
        trial = _Trial(t, value, grads, numbers(dot(grads, d))[0] if math.isfinite(value) else math.inf)
        fine = math.isfinite(value) and value <= start.value + c1 * t * start.slope
        if fine and (best is None or value < best.value):
            best = trial
        if fine and abs(trial.slope) <= -c2 * start.slope:
            return trial, n
        if not fine or (value >= low.value and low is not start):
            high = trial
        elif trial.slope * ((high.t if high else math.inf) - low.t) >= 0 and trial.slope >= 0:
            low, high = trial, low
        else:
            low = trial
        if high is None:
            still = trial.slope < 0.99 * start.slope and start.value - value < 1e-3 * abs(start.value)
            t *= 10 if still else 2  # nothing moved yet: the first step was in other units
        else:
            t = _between(low, high)
            if abs(high.t - low.t) < 1e-12 * max(1.0, abs(low.t)):
                break
    return best, n


def _between(low: _Trial, high: _Trial) -> float:
    """The minimiser of the cubic through both ends, kept inside the middle 80 %; the midpoint where there is none."""
    width = high.t - low.t
    inner = 0.5
    if math.isfinite(high.value) and math.isfinite(high.slope):
        d1 = low.slope + high.slope - 3 * (low.value - high.value) / (low.t - high.t)
        square = d1 * d1 - low.slope * high.slope
        if square >= 0:
            d2 = math.copysign(math.sqrt(square), width)
            denominator = high.slope - low.slope + 2 * d2
            if denominator != 0:
                inner = 1 - (high.slope + d2 - d1) / denominator
    return low.t + min(max(inner, 0.1), 0.9) * width


def lbfgs_restarts(
    function: Objective,
    params: Params,
    refresh: Callable[[Params], None],
    *,
    every: int,
    memory: int = 10,
    state: LBFGSState | None = None,
    first_step: float | None = None,
) -> Iterator[LBFGSState]:
    """L-BFGS that starts afresh every ``every`` steps, when ``refresh(params)`` may change what ``function`` computes.

    Schmitz et al. (2018), section 4.2. Yields as :func:`lbfgs_steps`; the refresh comes before the next step, so that a
    state that was saved between the two goes on alike.
    """
    while True:
        if state is not None and state.t > 0 and state.t % every == 0:
            refresh(state.params)
            value, grads = function(state.params)
            state = LBFGSState(state.params, value, grads, state.t, (), (), state.n_evaluations + 1, False)
        for new in lbfgs_steps(function, params, memory=memory, state=state, first_step=first_step):
            state = new
            yield state
            if state.t > 0 and state.t % every == 0:
                break


def lbfgs_steps(
    function: Objective,
    params: Params,
    *,
    memory: int = 10,
    state: LBFGSState | None = None,
    first_step: float | None = None,
) -> Iterator[LBFGSState]:
    """Yield L-BFGS states (Nocedal and Wright, Algorithm 7.5, strong-Wolfe line search): first the start, then one a step.

    Parameters
    ----------
    function : maps parameters to (value, gradients).
    memory : pairs of changes that are remembered.
    state : go on from here instead of ``params``.
    first_step : how far the parameter that moves most moves in the first trial, and in one without memory; None: as its
        gradient says, at most a length of 1 in all.
    """
    if state is None:
        value, grads = function(params)
        state = LBFGSState(params, value, grads, 0, (), (), 1, False)
        yield state
    while True:
        d = lbfgs_direction(state.grads, state.steps, state.changes)
        slope, steepest = numbers(dot(state.grads, d), -dot(state.grads, state.grads))
        if not slope < 0:  # the memory has gone stale: forget it
            state = state._replace(steps=(), changes=())
            d, slope = tuple(-g for g in state.grads), steepest
        first = 1.0 if state.steps else _first_step(d, slope, first_step)
        found, n = (None, 0)
        if slope < 0 and not state.stalled:
            found, n = strong_wolfe(function, state.params, d, _Trial(0.0, state.value, state.grads, slope), first)
        if found is None:
            stalled = state.stalled or not state.steps
            state = state._replace(steps=(), changes=(), stalled=stalled, n_evaluations=state.n_evaluations + n)
            if stalled:
                yield state
            continue
        params = _along(state.params, found.t, d)
        s = tuple(found.t * x for x in d)
        y = tuple(a - b for a, b in zip(found.grads, state.grads))
        steps, changes = state.steps, state.changes
        curve, size = numbers(dot(s, y), dot(y, y))
        if curve > 1e-12 * size:
            steps, changes = (*steps, s)[-memory:], (*changes, y)[-memory:]
        state = LBFGSState(
            params, found.value, found.grads, state.t + 1, steps, changes, state.n_evaluations + n, False
        )
        yield state
