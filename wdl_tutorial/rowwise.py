"""Minimise many small functions on the simplex at once: one quasi-Newton method a row, one evaluation of all of them a step.

The weights of a pixel, once the atoms are known, depend on no other pixel. Each row has its own step length and its own
idea of the curvature; rows that have settled leave, so that the slow ones run alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._array import Array, array_namespace, device

Function = Callable[
    [Array, Array], tuple[Array, Array]
]  # weights (n, m), numbers of their rows (n,) -> values, gradients

SHORTEST = 0.01  # a row whose steps must be cut below this share, even downhill, has nothing left to gain
FLATTEST = 1e-4  # of a row's largest curvature: less is taken for that
LONGEST, LEAST = 0.15, 1e-3  # by how much a weight may change in a step of rows that are followed
TURNED = 0.3  # of a slope, uphill at the end of a step: that far it should not have gone
ROUNDING = 100.0  # epsilons of a row's largest curvature: less than that is no digit of it


class RowResult(NamedTuple):
    """What :func:`minimise_rows` found in every row."""

    x: Array  # (n, m)
    value: Array  # (n,)
    converged: Array  # (n,) bool


class RowState(NamedTuple):
    """Every row after one more evaluation."""

    x: Array  # (n, m) the best point of each row, on the simplex
    value: Array  # (n,)
    grad: Array  # (n, m) there
    hessian: Array  # (n, m, m) approximately; of use for changes that sum to zero
    step: Array  # (n, m) what is tried next, times `share`
    share: Array  # (n,) of the step
    fresh: Array  # (n,) bool: the curvature is a guess, the step goes down the gradient
    stalled: Array  # (n,) bool: no step down the gradient lowers the value


def minimise_rows(
    function: Function,
    x: Array,
    hessian: Array,
    *,
    tol: float,
    max_iter: int,
    floor: float = 0.0,
    on_settled: Callable[[int], None] | None = None,
) -> RowResult:
    """Descend on the simplex until in every row the next step promises to lower its value by at most ``tol``, relatively.

    And the last step has lowered it by at most the root of that.

    Sequential quadratic programming (Nocedal and Wright (2006), chapter 18): a step goes to the minimum on the simplex of
    the parabola with the row's gradient and curvature, which learns from the steps by damped BFGS. Near a minimum, a corner
    or an edge too, each step squares the error or nearly so.

    Parameters
    ----------
    function : callable
        Values and gradients of rows at their weights.
    x : array, shape (n, m)
        Where to start, on the simplex.
    hessian : array, shape (n, m, m)
        A first guess of the curvature: positive definite.
    tol : float
        Relative to the value, or to ``floor`` where that is more.
    max_iter : int
        Evaluations of a row beside the first.
    floor : float
    on_settled : callable, optional
        Hears how many rows just left. A row also settles where no step down its gradient lowers it.

    Returns
    -------
    RowResult
    """
    xp = array_namespace(x)
    tol = min(float(tol), math.sqrt(float(xp.finfo(x.dtype).max)))  # more would overflow, times a value
    rows = xp.arange(x.shape[0], device=device(x))
    state, done = start_rows(x, *function(x, rows), hessian), []
    gain = xp.full_like(state.value, float("inf"))  # of the last step: a promise alone may rest on a wrong curvature
    for n in range(max_iter + 1):
        promise = -xp.sum(state.grad * state.step, axis=1) - _along(state.hessian, state.step, state.step) / 2
        scale = xp.clip(xp.abs(state.value), min=floor)
        enough = (promise <= tol * scale) & (gain <= math.sqrt(tol) * scale)
        settled = state.stalled | (enough & (state.share == 1.0))  # not amid the shortening of a step
        gone, left = xp.nonzero(settled)[0], xp.nonzero(~settled)[0]
        if gone.shape[0]:
            done.append([xp.take(a, gone, axis=0) for a in (rows, state.x, state.value, settled)])
            rows = xp.take(rows, left, axis=0)
            state = RowState(*(xp.take(a, left, axis=0) for a in state))
            if on_settled is not None:
                on_settled(gone.shape[0])
        if not left.shape[0] or n == max_iter:
            break
        before = state.value
        state = advance(function, state, rows)
        gain = before - state.value
    done.append([rows, state.x, state.value, xp.zeros_like(state.stalled)])
    order, *found = (xp.concat(column, axis=0) for column in zip(*done))
    back = xp.argsort(order)
    return RowResult(*(xp.take(a, back, axis=0) for a in found))


def start_rows(x: Array, value: Array, grad: Array, hessian: Array) -> RowState:
    """The first state, at ``x``."""
    xp = array_namespace(x)
    none = xp.zeros((x.shape[0],), dtype=xp.bool, device=device(x))
    return RowState(x, value, grad, hessian, best_step(x, grad, hessian), xp.ones_like(value), none, none)


def _times(matrix: Array, vector: Array) -> Array:
    return (matrix @ vector[:, :, None])[:, :, 0]


def _along(matrix: Array, left: Array, right: Array) -> Array:
    return array_namespace(left).sum(left * _times(matrix, right), axis=1)


def advance(function: Function, s: RowState, rows: Array) -> RowState:
    """One evaluation of every row: where it is low enough the row moves there, else its next step is shorter.

    Armijo's rule and quadratic interpolation (Nocedal and Wright, section 3.5). Gradients need not be exact: envelope
    gradients are not, and a row then stalls where they lead no further down.
    """
    xp = array_namespace(s.x)
    move = s.share[:, None] * s.step
    value, grad = function(s.x + move, rows)
    slope = xp.sum(s.grad * move, axis=1)
    lower = value <= s.value + 1e-4 * slope  # false where it is not a number
    x = xp.where(lower[:, None], s.x + move, s.x)
    new_grad = xp.where(lower[:, None], grad, s.grad)
    hessian = _learnt(s.hessian, s.grad, move, grad, xp.isfinite(value))

    # the parabola through both values and the slope has its minimum at this share of the move
    bend = 2 * (value - s.value - slope)
    usable = xp.isfinite(value) & (bend > 0)
    share = xp.where(usable, -slope / xp.where(usable, bend, xp.ones_like(bend)), xp.full_like(slope, 0.5))
    share = xp.where(lower, xp.ones_like(share), s.share * xp.clip(share, 0.1, 0.5))

    # a step cut short without success: forget the curvature; and if that was forgotten already, this is the end
    short = ~lower & (share < SHORTEST)
    hessian = xp.where(short[:, None, None], _ball(new_grad), hessian)
    step = xp.where((lower | short)[:, None], best_step(x, new_grad, hessian), s.step)
    return RowState(
        x,
        xp.where(lower, value, s.value),
        new_grad,
        hessian,
        step,
        xp.where(short, xp.ones_like(share), share),
        short | (s.fresh & ~lower),
        s.stalled | (short & s.fresh),
    )


def _ball(grad: Array) -> Array:
    """A multiple of the identity whose step changes no weight by more than a tenth or so."""
    xp = array_namespace(grad)
    gap = xp.max(grad, axis=1) - xp.min(grad, axis=1)
    scale = 10.0 * xp.where(gap > 0, gap, xp.ones_like(gap))
    return scale[:, None, None] * xp.eye(grad.shape[1], dtype=grad.dtype, device=device(grad))[None, :, :]


def _learnt(hessian: Array, before: Array, move: Array, grad: Array, finite: Array) -> Array:
    """The BFGS update of a Hessian, damped to stay positive (Nocedal and Wright, Procedure 18.2).

    Over ``move`` the gradient has gone from ``before`` to ``grad``.
    """
    xp = array_namespace(move)
    change = xp.where(finite[:, None], grad - before, xp.zeros_like(grad))
    change = change - xp.mean(change, axis=1, keepdims=True)  # across the simplex is nowhere to go
    bent = _times(hessian, move)
    was, seen = xp.sum(move * bent, axis=1), xp.sum(move * change, axis=1)
    damped = seen < 0.2 * was
    keep = xp.where(damped, 0.8 * was / xp.where(damped, was - seen, xp.ones_like(was)), xp.ones_like(was))
    change = keep[:, None] * change + (1 - keep)[:, None] * bent
    seen = xp.sum(move * change, axis=1)
    good = finite & (was > 0) & (seen > 0)
    one = xp.ones_like(was)
    fall = bent[:, :, None] * bent[:, None, :] / xp.where(good, was, one)[:, None, None]
    rise = change[:, :, None] * change[:, None, :] / xp.where(good, seen, one)[:, None, None]
    learnt = hessian - fall + rise
    good = good & xp.all(xp.all(xp.isfinite(learnt), axis=2), axis=1)  # a move too short to divide by is no lesson
    return xp.where(good[:, None, None], learnt, hessian)


class Guide(NamedTuple):
    """What rows whose functions change from step to step have learnt of them."""

    grad: Array  # (n, m) where the last step began
    move: Array  # (n, m) the last step
    hessian: Array  # (n, m, m) approximately; of use for changes that sum to zero
    reach: Array  # (n,) by how much a weight may change next


def follow(x: Array, grad: Array, guide: Guide | None) -> tuple[Array, Guide]:
    """One quasi-Newton step of every row on the simplex, by its gradient alone: for functions that change between steps.

    Their values cannot be compared, so no step is taken back. A row whose gradient has turned along its last step went too
    far: its next is half as long at most. One that could have gone on may go further.
    """
    xp = array_namespace(x)
    if guide is None:
        hessian, reach = _ball(grad), xp.full_like(x[:, 0], LONGEST)
    else:
        hessian = _learnt(guide.hessian, guide.grad, guide.move, grad, xp.all(xp.isfinite(grad), axis=1))
        was, now = xp.sum(guide.grad * guide.move, axis=1), xp.sum(grad * guide.move, axis=1)
        half = xp.clip(0.5 * xp.max(xp.abs(guide.move), axis=1), min=LEAST)
        on = xp.where(now <= -TURNED * was / 3, 1.5 * guide.reach, guide.reach)
        reach = xp.where(now > -TURNED * was, half, xp.clip(on, max=LONGEST))  # was <= 0: it went downhill
    step = best_step(x, grad, hessian)
    longest = xp.max(xp.abs(step), axis=1)
    step = step * xp.where(longest > reach, reach / xp.where(longest > 0, longest, reach), xp.ones_like(reach))[:, None]
    end = xp.clip(x + step, min=0.0)
    end = end / xp.sum(end, axis=1, keepdims=True)
    return end, Guide(grad, end - x, hessian, reach)


def best_step(x: Array, grad: Array, hessian: Array) -> Array:
    """The step d of every row that minimises grad.d + d' hessian d / 2 with x + d on the simplex.

    Primal active set (Nocedal and Wright, Algorithm 16.3), all rows at once: solve with some weights held at zero, hold the
    first that would fall below it, release one that wants to grow.
    """
    xp, m = array_namespace(x), x.shape[1]
    eye = xp.eye(m, dtype=x.dtype, device=device(x))[None, :, :]
    places = xp.arange(m, device=device(x))[None, :]
    tiny = 1e-12 * (xp.max(grad, axis=1) - xp.min(grad, axis=1))
    # noisy gradients teach curvatures so steep that rounding leaves the others none, or less than none
    curvatures = xp.linalg.eigvalsh(hessian)
    least = ROUNDING * xp.finfo(x.dtype).eps * curvatures[:, -1]
    lift = xp.where(curvatures[:, 0] < least, least, xp.zeros_like(least))
    hessian = hessian + lift[:, None, None] * eye
    d, free, done = xp.zeros_like(x), xp.ones_like(x), xp.zeros_like(tiny, dtype=xp.bool)
    for _ in range(3 * m):
        slope = grad + _times(hessian, d)
        held = hessian * free[:, :, None] * free[:, None, :] + eye * (1 - free)[:, :, None]
        both = xp.linalg.solve(held, xp.stack([-free * slope, free], axis=2))
        price = xp.sum(both[:, :, 0], axis=1) / xp.sum(both[:, :, 1], axis=1)  # of the sum, which stays one
        go = both[:, :, 0] - price[:, None] * both[:, :, 1]
        falls = go < 0
        room = xp.where(falls, xp.clip(x + d, min=0.0) / xp.where(falls, -go, xp.ones_like(go)), xp.full_like(go, 2.0))
        far = xp.min(room, axis=1)
        hit = (far < 1) & ~done
        d = d + xp.where(done, xp.zeros_like(far), xp.clip(far, max=1.0))[:, None] * go
        wants = xp.where(free > 0, xp.zeros_like(go), slope + price[:, None])
        release = (xp.min(wants, axis=1) < -tiny) & ~hit & ~done
        now_held = (places == xp.argmin(room, axis=1)[:, None]) & hit[:, None]
        now_free = (places == xp.argmin(wants, axis=1)[:, None]) & release[:, None]
        free = xp.where(now_held, xp.zeros_like(free), xp.where(now_free, xp.ones_like(free), free))
        done = done | (~hit & ~release)
        if bool(xp.all(done)):
            break
    end = xp.clip(x + d, min=0.0)
    return end / xp.sum(end, axis=1, keepdims=True) - x


def positive(hessian: Array, otherwise: Array) -> Array:
    """Symmetric matrices with the flat and the falling directions bent up; those that hold no number replaced."""
    xp = array_namespace(hessian)
    good = xp.all(xp.all(xp.isfinite(hessian), axis=2), axis=1)[:, None, None]
    values, vectors = xp.linalg.eigh(xp.where(good, (hessian + xp.matrix_transpose(hessian)) / 2, otherwise))
    top = values[:, -1:]
    values = xp.where(top > 0, xp.clip(values, min=FLATTEST * top), xp.ones_like(values))
    return (vectors * values[:, None, :]) @ xp.matrix_transpose(vectors)


def simplex_lattice(n: int, limit: int) -> np.ndarray:
    """All points of the simplex whose coordinates are multiples of 1/k, for the largest k with at most ``limit`` of them.

    >>> simplex_lattice(2, 4)
    array([[0.        , 1.        ],
           [0.33333333, 0.66666667],
           [0.66666667, 0.33333333],
           [1.        , 0.        ]])
    """
    k = 1
    while n > 1 and math.comb(n + k, k + 1) <= limit:
        k += 1
    bars = itertools.combinations(range(k + n - 1), n - 1)  # stars and bars
    return np.array([np.diff((-1, *bar, k + n - 1)) - 1 for bar in bars]) / k
