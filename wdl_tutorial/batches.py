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

from ._array import Array, array_namespace, device, softmax, to_numpy
from .gradients import softmax_vjp
from .objective import Problem, evaluate_chunks, locality_costs
from .optimize import AdamState, adam_update, cosine
from .rowwise import minimise_rows

LAST_RATE = 0.03  # of the first learning rate: what the cosine of a minibatch fit ends with
WINDOW = 50  # batches whose mean loss is compared with that of as many before


class Solved(NamedTuple):
    """The best weights of some rows."""

    weights: Array  # (n, n_atoms)
    value: Array  # (n,)   the objective of each row
    converged: Array  # (n,) bool


def solve_weights(
    problem: Problem,
    atoms: Array,
    start: Array,
    *,
    tol: float,
    max_iter: int,
    floor: float,
    on_settled: Callable[[int], None] | None = None,
) -> Solved:
    """The weights of every row of a problem, from ``start`` (n, n_atoms), the atoms being fixed."""
    X, terms, xp = problem.X, problem.terms, array_namespace(problem.X, atoms)
    one = xp.ones((X.shape[0],), dtype=X.dtype, device=device(X))
    far = locality_costs(problem, atoms) if terms.locality else None
    fit = problem._replace(terms=terms._replace(locality=0.0))  # the rest is linear in the weights

    def function(logits: Array, rows: Array) -> tuple[Array, Array]:
        weights = softmax(logits)
        some = fit._replace(X=xp.take(X, rows, axis=0), importance=xp.take(one, rows, axis=0))
        total = evaluate_chunks(some, atoms, weights)
        if far is None:
            return total.values, softmax_vjp(weights, total.grad_weights)
        price = terms.locality * xp.take(far, rows, axis=0)
        value = total.values + xp.sum(weights * price, axis=1)
        return value, softmax_vjp(weights, total.grad_weights + price)

    found = minimise_rows(function, xp.log(start), tol=tol, floor=floor, max_iter=max_iter, on_settled=on_settled)
    return Solved(softmax(found.x), found.value, found.converged)


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
