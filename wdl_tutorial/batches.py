"""Rows whose atoms are given, and atoms from a few rows at a time.

The weights of a row depend on no other row once the atoms are known, so they need not be kept: atoms descend on one small
batch after another whose weights are solved, and all that goes from step to step is the atoms and the means of their
gradients, a few kilobytes for any number of rows. (Mairal et al. (2010), Online learning for matrix factorization and
sparse coding, do so for linear dictionaries.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._array import Array, array_namespace, device, to_backend, to_numpy
from .chunks import slices
from .gradients import softmax_vjp
from .initialise import nearest
from .objective import Problem, announce_slow, evaluate_chunks, evaluate_rows, locality_costs
from .optimize import AdamState, adam_update, cosine
from .rowwise import RowResult, minimise_rows, positive

LAST_RATE = 0.03  # of the first learning rate: what the cosine of a minibatch fit ends with
REACH = 0.02  # share of the way to an atom: a curvature is the difference of gradients this far apart
WINDOW = 50  # batches: their mean loss is compared with that of the same number before them
KEPT_ELEMENTS = 1 << 23  # of the scalings that the rows of a converged problem keep between evaluations


class Solved(NamedTuple):
    """The best weights of some rows."""

    weights: Array  # (n, n_atoms)
    value: Array  # (n,)   the objective of each row
    converged: Array  # (n,) bool


class Lattice(NamedTuple):
    """Points of a lattice of weights, and their barycenters."""

    weights: Array  # (n, n_atoms)
    histogram: Array  # (n, n_bins)


def solve_weights(
    problem: Problem,
    atoms: Array,
    lattice: Lattice,
    *,
    tol: float,
    max_iter: int,
    floor: float,
    on_settled: Callable[[int], None] | None = None,
) -> Solved:
    """The weights of every row of a problem, the atoms being fixed.

    Each starts a tenth of the way to the middle from the point of a lattice whose barycenter is nearest, with the curvature
    that the objective has there for a sample that is that barycenter: a few evaluations for each point of the lattice save
    a dozen for every row. Converged runs of a row start where those of its last evaluation have ended.
    """
    X, terms, xp = problem.X, problem.terms, array_namespace(problem.X, atoms)
    one = xp.ones((X.shape[0],), dtype=X.dtype, device=device(X))
    far = locality_costs(problem, atoms) if terms.locality else None
    rest = terms._replace(locality=0.0)  # the locality is linear in the weights
    fit, told = problem._replace(terms=rest, importance=one, starts=None), False

    points, place = np.unique(to_numpy(nearest(X, lattice.histogram)), return_inverse=True)
    start, like = (xp.take(a, to_backend(points, X), axis=0) for a in lattice)
    start = 0.9 * start + 0.1 / atoms.shape[0]
    bent, place = _curvature(fit, atoms, start, like), to_backend(place, X)
    start, bent = xp.take(start, place, axis=0), xp.take(bent, place, axis=0)
    options: dict[str, Any] = {"tol": tol, "floor": floor, "max_iter": max_iter, "on_settled": on_settled}

    def solved(part: slice) -> RowResult:
        ends = None

        def function(weights: Array, rows: Array) -> tuple[Array, Array]:
            nonlocal ends, told
            rows = rows + part.start
            total, ends = evaluate_rows(fit, rows, atoms, weights, ends)
            told = told or announce_slow(total.domain, fit)
            if far is None:
                return total.values, total.grad_weights
            price = terms.locality * xp.take(far, rows, axis=0)
            return total.values + xp.sum(weights * price, axis=1), total.grad_weights + price

        return minimise_rows(function, start[part, :], bent[part, ...], **options)

    n, most = X.shape[0], max(1, KEPT_ELEMENTS // (atoms.shape[0] * atoms.shape[1]))
    parts = slices(n, most if terms.accuracy.n_iter is None else n)
    return Solved(*(xp.concat(column, axis=0) for column in zip(*(solved(part) for part in parts))))


def _curvature(fit: Problem, atoms: Array, weights: Array, like: Array) -> Array:
    """The Hessian (n, n_atoms, n_atoms) along the simplex of the objective of samples ``like``, by differences of gradients.

    The differences are long: what bends within such a step counts, and kinks, as those of "tv", are rounded off.
    """
    xp, m = array_namespace(weights), weights.shape[1]
    if fit.terms.variant.marginal_weight is None:
        like = like / xp.sum(like, axis=1, keepdims=True)
    fit = fit._replace(X=like, importance=xp.ones_like(weights[:, 0]))
    here = evaluate_chunks(fit, atoms, weights).grad_weights
    eye = xp.eye(m, dtype=weights.dtype, device=device(weights))
    rows = [
        (evaluate_chunks(fit, atoms, (1 - REACH) * weights + REACH * eye[j, :][None, :]).grad_weights - here) / REACH
        for j in range(m)
    ]
    # row j leads to atom j; any change that sums to zero is a sum of such
    across = eye[None, :, :] - weights[:, None, :]
    hessian = xp.stack(rows, axis=1) @ xp.matrix_transpose(across)
    scale = xp.max(xp.abs(xp.where(xp.isfinite(here), here, xp.ones_like(here))), axis=1)[:, None, None]
    return positive(hessian, (scale + 1e-300) * eye[None, :, :] + xp.zeros_like(hessian))


def first_state(logits: Array) -> AdamState:
    """Where the descent of the atoms begins."""
    none = (array_namespace(logits).zeros_like(logits),)
    return AdamState((logits,), float("inf"), none, 0, none, none)


def atoms_moved(
    problem: Problem,
    state: AdamState,
    atoms: Array,
    weights: Array,
    *,
    masses: bool,
    rate: float,
    steps: int,
    betas: Any,
) -> AdamState:
    """One step of Adam on the atoms' logits, on a batch whose best weights are known.

    Where the weights are best, their own change counts for nothing: the gradient of the batch's smallest loss is that with
    the weights fixed (the envelope theorem). The rate falls along a cosine over ``steps``, then stays.
    """
    total = evaluate_chunks(problem, atoms, weights)
    gradient = atoms * total.grad_atoms if masses else softmax_vjp(atoms, total.grad_atoms)
    state = state._replace(value=total.value, grads=(gradient,))
    return adam_update(state, cosine(rate, LAST_RATE * rate, steps)(state.t), tuple(betas))


def in_order(x: Array, importance: Array) -> np.ndarray:
    """An order of the rows that does not depend on the one they come in, but for equal ones: theirs does not matter."""
    keys = np.concatenate([to_numpy(importance)[:, None], to_numpy(x)[:, ::-1]], axis=1)
    return np.lexsort(keys.T)


def still_falls(curve: list[float], tol: float, *, at_the_end: bool) -> bool:
    """Does the mean loss of the last batches differ from that of as many before by more than ``tol``, relatively?

    At the end of a fit: is it lower by more than that, and by more than the difference between batches explains?
    """
    window = min(WINDOW, len(curve) // 2)
    if window < (2 if at_the_end else WINDOW):
        return True
    before, now = np.array(curve[-2 * window : -window]), np.array(curve[-window:])
    least = tol * abs(now.mean())
    if not at_the_end:
        return bool(abs(before.mean() - now.mean()) > least)
    chance = 2 * np.sqrt((before.var() + now.var()) / window)
    return bool(before.mean() - now.mean() > max(least, chance))
