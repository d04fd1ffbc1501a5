"""Minimise many small independent functions at once: one quasi-Newton method a row, one evaluation of all of them a step.

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
]  # points (n, d), numbers of their rows (n,) -> values, gradients

SHORTEST = 0.01  # a row whose steps must be cut below this share, even downhill, has nothing left to gain
LONGEST = 2.0  # of a step in any coordinate: beyond it a softmax is flat and tells nothing


class RowResult(NamedTuple):
    """What :func:`minimise_rows` found in every row."""

    x: Array  # (n, d)
    value: Array  # (n,)
    converged: Array  # (n,) bool


def minimise_rows(
    function: Function,
    x: Array,
    *,
    tol: float,
    max_iter: int,
    floor: float = 0.0,
    window: int = 5,
    on_settled: Callable[[int], None] | None = None,
) -> RowResult:
    """Descend in every row until its last ``window`` evaluations have lowered its value by at most ``tol``, relatively.

    Relatively to the value, or to ``floor`` where that is more. A row also settles where no step down its gradient lowers
    it. ``on_settled`` hears how many rows just left.
    """
    xp = array_namespace(x)
    tol = min(float(tol), math.sqrt(float(xp.finfo(x.dtype).max)))  # more would overflow, times a value
    rows = xp.arange(x.shape[0], device=device(x))
    state = start_rows(x, *function(x, rows))
    recent, done = [state.value], []
    for _ in range(max_iter):
        state = advance(function, state, rows)
        recent = [*recent[-window:], state.value]
        settled = state.stalled
        if len(recent) > window:
            still = recent[0] - state.value <= tol * xp.clip(xp.abs(state.value), min=floor)
            settled = settled | (still & (state.share == 1.0) & ~state.fresh)  # not amid the shortening of a step
        gone, left = xp.nonzero(settled)[0], xp.nonzero(~settled)[0]
        if gone.shape[0]:
            done.append([xp.take(a, gone, axis=0) for a in (rows, state.x, state.value, settled)])
            rows, *recent = (xp.take(a, left, axis=0) for a in (rows, *recent))
            state = RowState(*(xp.take(a, left, axis=0) for a in state))
            if on_settled is not None:
                on_settled(gone.shape[0])
        if not left.shape[0]:
            break
    done.append([rows, state.x, state.value, xp.zeros_like(state.stalled)])
    order, *found = (xp.concat(column, axis=0) for column in zip(*done))
    back = xp.argsort(order)
    return RowResult(*(xp.take(a, back, axis=0) for a in found))


class RowState(NamedTuple):
    """Every row after one more evaluation."""

    x: Array  # (n, d) the best point of each row
    value: Array  # (n,)
    grad: Array  # (n, d) there
    inverse: Array  # (n, d, d) of the Hessian, approximately
    step: Array  # (n, d) what is tried next, times `share`
    share: Array  # (n,) of the step
    fresh: Array  # (n,) bool: the curvature is a guess, the step goes down the gradient
    stalled: Array  # (n,) bool: no step down the gradient lowers the value


def start_rows(x: Array, value: Array, grad: Array) -> RowState:
    """The first state, at ``x``."""
    xp = array_namespace(x)
    none = xp.zeros((x.shape[0],), dtype=xp.bool, device=device(x))
    inverse, step = _downhill(grad)
    return RowState(x, value, grad, inverse, step, xp.ones_like(value), ~none, none)


def _downhill(grad: Array) -> tuple[Array, Array]:
    """A multiple of the identity whose step is half a unit in its largest coordinate, and that step."""
    xp = array_namespace(grad)
    largest = xp.max(xp.abs(grad), axis=1)
    scale = 0.5 / xp.where(largest > 0, largest, xp.ones_like(largest))
    eye = xp.eye(grad.shape[1], dtype=grad.dtype, device=device(grad))
    return scale[:, None, None] * eye[None, :, :], -scale[:, None] * grad


def advance(function: Function, s: RowState, rows: Array) -> RowState:
    """One evaluation of every row: where it is low enough the row moves there, else its next step is shorter.

    BFGS (Nocedal and Wright (2006), eq. (6.17)) with Armijo's rule and quadratic interpolation (section 3.5). Gradients
    need not be exact: envelope gradients are not, and a row then stalls where they lead no further down.
    """
    xp = array_namespace(s.x)
    move = s.share[:, None] * s.step
    value, grad = function(s.x + move, rows)
    slope = xp.sum(s.grad * move, axis=1)
    lower = value <= s.value + 1e-4 * slope  # false where it is not a number
    inverse = xp.where(lower[:, None, None], _update(s, move, grad), s.inverse)
    new_grad = xp.where(lower[:, None], grad, s.grad)
    step = -(inverse @ new_grad[:, :, None])[:, :, 0]
    longest = xp.max(xp.abs(step), axis=1)
    step = step * (LONGEST / xp.where(longest > LONGEST, longest, xp.full_like(longest, LONGEST)))[:, None]

    # the parabola through both values and the slope has its minimum at this share of the move
    bend = 2 * (value - s.value - slope)
    usable = xp.isfinite(value) & (bend > 0)
    share = xp.where(usable, -slope / xp.where(usable, bend, xp.ones_like(bend)), xp.full_like(slope, 0.5))
    share = xp.where(lower, xp.ones_like(share), s.share * xp.clip(share, 0.1, 0.5))

    # a step cut short without success: forget the curvature; and if that was forgotten already, this is the end
    short = ~lower & (share < SHORTEST)
    afresh, down = _downhill(new_grad)
    inverse = xp.where(short[:, None, None], afresh, inverse)
    step = xp.where(short[:, None], down, step)
    return RowState(
        xp.where(lower[:, None], s.x + move, s.x),
        xp.where(lower, value, s.value),
        new_grad,
        inverse,
        step,
        xp.where(short, xp.ones_like(share), share),
        short | (s.fresh & ~lower),
        s.stalled | (short & s.fresh),
    )


def _update(s: RowState, move: Array, grad: Array) -> Array:
    """The BFGS update of the inverse Hessian, where the curvature along the move is positive; scaled first if fresh."""
    xp = array_namespace(move)
    y = grad - s.grad
    curve = xp.sum(move * y, axis=1)
    length = xp.sum(y * y, axis=1)
    good = curve > 1e-10 * xp.sqrt(xp.sum(move * move, axis=1) * length)
    one = xp.ones_like(curve)
    rho = (1 / xp.where(good, curve, one))[:, None, None]
    eye = xp.eye(move.shape[1], dtype=move.dtype, device=device(move))[None, :, :]
    scale = (xp.where(good, curve, one) / xp.where(good, length, one))[:, None, None]
    old = xp.where(s.fresh[:, None, None], scale * eye, s.inverse)
    left = eye - rho * move[:, :, None] * y[:, None, :]
    new = left @ old @ xp.matrix_transpose(left) + rho * move[:, :, None] * move[:, None, :]
    return xp.where(good[:, None, None], new, s.inverse)


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
