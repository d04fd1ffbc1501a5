"""Bilinear mixing fitted to every pixel at once: damped Gauss-Newton whose every step is an exact small program.

y = sum_i a_i m_i + sum_{i<j} gamma_ij a_i a_j m_i m_j        a on the simplex, gamma in [0, 1] (1 in Fan's model)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from . import leastsquares
from ._array import Array, array_namespace, device, to_backend
from .iterate import nth


class State(NamedTuple):
    """One damped Gauss-Newton iteration for every pixel."""

    theta: Array  # (n, p) abundances, or (n, p + n_pairs) with the gammas
    damping: Array  # (n,)
    objective: Array  # (n,) 1/2 ||residual||^2
    gap: Array  # (n,) how much the linearised objective could still fall; 0 at a stationary point


class Point(NamedTuple):
    """The model at one theta per pixel."""

    theta: Array  # (n, n_theta)
    residual: Array  # (n, r)
    jacobian: Array  # (n, n_theta, r)
    objective: Array  # (n,)
    gap: Array  # (n,)


class Model(NamedTuple):
    """y = a @ linear + (gamma * a_i * a_j) @ products, in coordinates of the span of all their rows."""

    linear: Array  # (p, r)
    products: Array  # (n_pairs, r)
    pairs: tuple[tuple[int, int], ...]
    free_gamma: bool


def pair_columns(x: Array, pairs: tuple[tuple[int, int], ...]) -> tuple[Array, Array]:
    """x[:, i] and x[:, j] for every pair (i, j), each (n, n_pairs)."""
    xp = array_namespace(x)
    first, second = np.array(pairs).T
    return xp.take(x, to_backend(first, x), axis=1), xp.take(x, to_backend(second, x), axis=1)


def bilinear_model(endmembers: Array, model: str) -> tuple[Array, Model]:
    """A basis of everything the model can make, (n_bands, r), and the model in its coordinates."""
    xp = array_namespace(endmembers)
    p = endmembers.shape[0]
    pairs = tuple((i, j) for i in range(p) for j in range(i + 1, p))
    left, right = pair_columns(xp.matrix_transpose(endmembers), pairs)
    rows = xp.concat([endmembers, xp.matrix_transpose(left * right)])
    basis, _ = xp.linalg.qr(xp.matrix_transpose(rows))
    rows = rows @ basis
    return basis, Model(rows[:p, :], rows[p:, :], pairs, model == "gbm")


def fit(targets: Array, theta: Array, model: Model, *, scale: Array, tol: float, max_iter: int) -> tuple[Array, Array]:
    """Iterate from ``theta`` until every pixel's gap is at most ``tol * scale``: theta and which pixels got there.

    Pixels that have converged leave every few iterations, so that the slow ones run alone.
    """
    xp = array_namespace(targets)
    index = xp.arange(targets.shape[0], device=device(targets))
    state, done, block = None, [], 5
    for n_done in range(0, max_iter, block):
        steps = bilinear_steps(targets, model, theta, start=state)
        state = nth(steps, min(block, max_iter - n_done))
        converged = state.gap <= tol * scale
        leaving = xp.ones_like(converged) if n_done + block >= max_iter else converged
        gone, left = xp.nonzero(leaving)[0], xp.nonzero(~leaving)[0]
        done.append([xp.take(x, gone, axis=0) for x in (index, state.theta, converged)])
        if left.shape[0] == 0:
            break
        index, targets, scale = (xp.take(x, left, axis=0) for x in (index, targets, scale))
        state = State(*(xp.take(x, left, axis=0) for x in state))
    index, theta, converged = (xp.concat(part) for part in zip(*done))
    order = xp.argsort(index)
    return xp.take(theta, order, axis=0), xp.take(converged, order, axis=0)


def bilinear_steps(targets: Array, model: Model, theta: Array, *, start: State | None = None) -> Iterator[State]:
    """Yield the state after each damped Gauss-Newton iteration of the bilinear fit, for ever.

    theta+ = argmin ||residual - J (theta+ - theta)||^2 + damping ||theta+ - theta||^2 under the constraints, exactly;
    taken where the objective falls. Where it falls by most of what the linearised problem promised the damping is
    divided by 10, where by less than half of it multiplied by 4 (Levenberg and Marquardt).

    Parameters
    ----------
    targets : array, shape (n, r)
        Pixels in the coordinates of the model.
    theta : array, shape (n, p) or (n, p + n_pairs), feasible: where to start; or ``start``, an earlier state.
    """
    xp = array_namespace(targets)
    damping = xp.full_like(targets[:, 0], 1e-6)
    if start is not None:
        theta, damping = start.theta, start.damping
    now = evaluate(targets, model, theta)
    while True:
        trial = damped_step(now, damping, model)
        first, rest = change(now, trial, model)
        promise, fall = gain(now.residual, first), gain(now.residual, first + rest)
        then = evaluate(targets, model, trial)
        better = fall > 1e-4 * promise
        now = Point(*(xp.where(xp.reshape(better, (-1,) + (1,) * (x.ndim - 1)), y, x) for x, y in zip(now, then)))
        damping = xp.where(fall >= 0.75 * promise, damping / 10, xp.where(fall < 0.5 * promise, damping * 4, damping))
        damping = xp.clip(damping, min=1e-12, max=1e6)
        yield State(now.theta, damping, now.objective, now.gap)


def evaluate(targets: Array, model: Model, theta: Array) -> Point:
    """Everything about one theta per pixel."""
    xp = array_namespace(targets)
    residual, jacobian = linearise(targets, model, theta)
    return Point(theta, residual, jacobian, 0.5 * xp.sum(residual**2, axis=1), gap(theta, residual, jacobian, model))


def gain(residual: Array, added: Array) -> Array:
    """By how much 1/2 ||residual||^2 falls when ``added`` joins the model; keeps its digits however small it is."""
    xp = array_namespace(residual)
    return xp.sum((residual - 0.5 * added) * added, axis=1)


def change(now: Point, trial: Array, model: Model) -> tuple[Array, Array]:
    """What the model makes of ``trial`` minus what it makes of ``now``: the linear part and the rest, each (n, r).

    Formed from the step, not as a difference of two pixels. The step sums to zero on the simplex but for rounding, so
    that a common shift of its derivatives changes nothing; the mean derivative is the shift that lets least through.
    """
    xp = array_namespace(trial)
    p = model.linear.shape[0]
    theta, jacobian, step = now.theta, now.jacobian, trial - now.theta
    mean = leastsquares.mix(theta[:, :p], jacobian[:, :p, :])[:, None, :]
    shifted = xp.concat([jacobian[:, :p, :] - mean, jacobian[:, p:, :]], axis=1)
    a1, a2 = pair_columns(theta[:, :p], model.pairs)
    d1, d2 = pair_columns(step[:, :p], model.pairs)
    rest = d1 * d2
    if model.free_gamma:
        rest = trial[:, p:] * rest + step[:, p:] * (d1 * a2 + a1 * d2)
    return leastsquares.mix(step, shifted), rest @ model.products


def damped_step(now: Point, damping: Array, model: Model) -> Array:
    """The exact minimiser of the linearised, damped problem under the constraints: one small program per pixel."""
    theta, residual, jacobian = now.theta, now.residual, now.jacobian
    xp = array_namespace(theta)
    p, n_theta = model.linear.shape[0], theta.shape[1]
    size = xp.max(xp.sum(model.linear**2, axis=1))
    root = xp.sqrt(damping * size)[:, None]
    ridge = root[:, :, None] * xp.eye(n_theta, dtype=theta.dtype, device=device(theta))
    goal = xp.concat([leastsquares.mix(theta, jacobian) + residual, root * theta], axis=1)
    upper = to_backend(np.repeat([np.inf, 1.0], [p, n_theta - p]), theta) if model.free_gamma else None
    columns = xp.concat([jacobian, ridge], axis=2)
    return leastsquares.solve(columns, goal, n_simplex=p, upper=upper, start=theta)


def linearise(targets: Array, model: Model, theta: Array) -> tuple[Array, Array]:
    """The residual, (n, r), and the derivatives of the modelled pixel, (n, n_theta, r)."""
    xp = array_namespace(targets)
    p = model.linear.shape[0]
    a = theta[:, :p]
    first, second = pair_columns(a, model.pairs)
    gamma = theta[:, p:] if model.free_gamma else xp.ones_like(first)
    residual = targets - a @ model.linear - (gamma * first * second) @ model.products
    ends = np.zeros((2, p, len(model.pairs)))
    for k, (i, j) in enumerate(model.pairs):
        ends[0, i, k] = ends[1, j, k] = 1.0
    partner = to_backend(ends[0], a) * second[:, None, :] + to_backend(ends[1], a) * first[:, None, :]
    jacobian = model.linear + (gamma[:, None, :] * partner) @ model.products
    if model.free_gamma:
        jacobian = xp.concat([jacobian, (first * second)[:, :, None] * model.products], axis=1)
    return residual, jacobian


def gap(theta: Array, residual: Array, jacobian: Array, model: Model) -> Array:
    """The largest fall of the linearised objective within the constraints (Frank and Wolfe's gap), (n,)."""
    xp = array_namespace(theta)
    p = model.linear.shape[0]
    pull = (jacobian @ residual[:, :, None])[:, :, 0]
    fall = xp.max(pull[:, :p], axis=1) - xp.sum(theta[:, :p] * pull[:, :p], axis=1)
    if theta.shape[1] > p:
        gamma, pull = theta[:, p:], pull[:, p:]
        fall = fall + xp.sum(xp.where(pull > 0, (1.0 - gamma) * pull, -gamma * pull), axis=1)
    return fall
