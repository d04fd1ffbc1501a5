"""Endmembers that differ from pixel to pixel: the extended, the generalised and the perturbed linear mixing model.

    y_n = S_n^T a_n + noise,     a_n on the simplex,     S_n (n_endmembers, n_bands) near a reference S0

The reference tells what S_n may be: S0 times a factor per material (extended), times a factor per material and band
(generalised), S0 plus anything (perturbed). All three are fitted in turns: the endmembers, in closed form; the
abundances, exactly; then what the endmembers are drawn to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from . import leastsquares
from ._array import Array, array_namespace, device, to_backend, to_numpy


class State(NamedTuple):
    """One turn of either model."""

    abundances: Array  # (n, p) optimal for these endmembers
    endmembers: Array  # (n, p, n_bands)
    reference: Array  # (p, n_bands)
    factors: Array  # (n, p, 1), or (n, p, n_bands) where every band has its own; ones in the perturbed model
    change: Array  # () relative change of the abundances or of the rebuilt pixels in this turn, whichever is larger


def drawn(X: Array, base: Array, abundances: Array, price: float) -> Array:
    """argmin over S_n of ||y_n - S_n^T a_n||^2 + price ||S_n - base_n||^2, and what is negative of it set to zero.

    By Sherman and Morrison's formula the residual is shared among the materials in proportion to their abundances.
    """
    xp = array_namespace(X)
    rest = X - leastsquares.mix(abundances, base)
    share = abundances / (price + xp.sum(abundances * abundances, axis=1, keepdims=True))
    return xp.clip(base + share[:, :, None] * rest[:, None, :], min=0.0)


def simplex_each(X: Array, endmembers: Array, start: Array) -> Array:
    """Exact fully constrained least squares where every pixel has endmembers of its own: (n, p)."""
    xp = array_namespace(X)
    p = endmembers.shape[1]
    if p == 1:
        return xp.ones_like(start)
    q, triangle = xp.linalg.qr(xp.matrix_transpose(endmembers))  # (n, n_bands, r), (n, r, p)
    targets = (X[:, None, :] @ q)[:, 0, :]
    columns = xp.matrix_transpose(triangle)
    if columns.shape[2] < p:  # fewer bands than materials
        nothing = xp.zeros_like(start[:, : p - columns.shape[2]])
        targets = xp.concat([targets, nothing], axis=1)
        columns = xp.concat([columns, xp.zeros_like(columns[:, :, :1]) + nothing[:, None, :]], axis=2)
    return leastsquares.solve(columns, targets, n_simplex=p, start=start)


def factor_smoother(reference: Array, length: float) -> Array | None:
    """What turns s0 * S into the factors of the generalised model: (p, n_bands, n_bands), or None for one factor.

    Per material, argmin over psi of ||S - psi s0||^2 + length^2 mean(s0^2) ||differences of psi||^2 solves a linear
    system that is the same in every pixel; this is its inverse.
    """
    if length == np.inf:
        return None
    s0 = to_numpy(reference)
    slope = np.diff(np.eye(s0.shape[1]), axis=0)
    power = (s0 * s0).mean(axis=1, keepdims=True)
    floor = 1e-12 * np.maximum(power, np.finfo(float).tiny)  # a band where s0 is 0 has no factor of its own
    own = [np.diag(row) for row in s0 * s0 + floor]
    return to_backend(np.linalg.inv(np.stack(own) + length**2 * power[:, :, None] * (slope.T @ slope)), reference)


def factors_of(endmembers: Array, reference: Array, smoother: Array | None) -> Array:
    """The non-negative factors that bring the reference nearest to each pixel's endmembers."""
    xp = array_namespace(endmembers)
    product = endmembers * reference
    if smoother is None:
        norms = xp.sum(reference * reference, axis=1)[:, None]
        safe = xp.where(norms > 0, norms, xp.ones_like(norms))
        return xp.clip(xp.sum(product, axis=2)[:, :, None] / safe, min=0.0)
    columns = [product[:, k, :] @ smoother[k, :, :] for k in range(reference.shape[0])]
    return xp.clip(xp.stack(columns, axis=1), min=0.0)


def scaled_steps(
    X: Array, reference: Array, abundances: Array, factors: Array, *, price: float, smoother: Array | None
) -> Iterator[State]:
    """Yield the state after each turn of the extended (no smoother) or the generalised model, for ever."""
    after = abundances, leastsquares.mix(abundances, factors * reference)
    while True:
        before = after
        endmembers = drawn(X, factors * reference, abundances, price)
        abundances = simplex_each(X, endmembers, abundances)
        factors = factors_of(endmembers, reference, smoother)
        after = abundances, leastsquares.mix(abundances, endmembers)
        yield State(abundances, endmembers, reference, factors, change(after, before))


def perturbed_steps(
    X: Array, start: Array, abundances: Array, *, price: float, reference_price: float
) -> Iterator[State]:
    """Yield the state after each turn of the perturbed model, for ever; the reference moves, too, at a price."""
    xp = array_namespace(X)
    p = start.shape[0]
    ridge = reference_price * xp.eye(p, dtype=X.dtype, device=device(X))
    reference, ones = start, xp.ones_like(abundances)[:, :, None]
    after = abundances, abundances @ reference
    while True:
        before = after
        perturbation = drawn(X, ones * reference, abundances, price) - reference
        rest = X - leastsquares.mix(abundances, perturbation)
        gram = xp.matrix_transpose(abundances) @ abundances + ridge
        right = xp.matrix_transpose(abundances) @ rest + reference_price * start
        reference = xp.clip(xp.linalg.solve(gram, right), min=0.0)
        endmembers = xp.clip(reference + perturbation, min=0.0)
        abundances = simplex_each(X, endmembers, abundances)
        after = abundances, leastsquares.mix(abundances, endmembers)
        yield State(abundances, endmembers, reference, ones, change(after, before))


def change(now: tuple[Array, ...], before: tuple[Array, ...]) -> Array:
    """The largest relative change among pairs of arrays, as a 0-d array."""
    xp = array_namespace(*now)
    size = [xp.sum(y * y) for y in before]
    moved = [xp.sum((x - y) ** 2) / xp.where(s > 0, s, xp.ones_like(s)) for x, y, s in zip(now, before, size)]
    return xp.sqrt(xp.max(xp.stack(moved)))
