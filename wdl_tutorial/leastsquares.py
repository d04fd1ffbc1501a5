"""Exact least squares on the simplex, the positive orthant or a box: a small quadratic program per pixel, all at once.

    min_theta  1/2 ||y - theta @ columns||^2    with    theta >= 0,    theta <= upper,    sum(theta[:n_simplex]) = 1

A primal active-set method (Lawson and Hanson (1974), chapter 23, with a sum constraint and upper bounds): minimise
over the free entries alone; walk towards that point until an entry meets a bound, and fix it there; once the point is
inside, free the entry that pulls hardest against its bound; stop when none does. Every pixel runs its own search, and
one round of all searches is one batch of array operations. Pixels with the same free entries share one factorisation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._array import Array, array_namespace, device, to_backend, to_numpy

EPSILON = 2.0**-52


class Search(NamedTuple):
    """The state of the active-set searches, one row for each pixel that is still searching."""

    index: Array  # (n,) which pixel it is
    targets: Array  # (n, r)
    columns: Array | None  # (n, p, r) where every pixel has its own columns
    theta: Array  # (n, p) feasible; on a bound where not free
    free: Array  # (n, p) bool
    entered: Array  # (n, p) bool: the entry freed last
    blocked: Array  # (n, p) bool: entries that rounding alone wanted to free
    rejected: Array  # (n,) bool: the entry freed last did not want to move
    crash: Array  # (n,) bool: still looking for a first feasible point


class Bounds(NamedTuple):
    n_simplex: int  # the first n_simplex entries sum to one; 0: no such constraint
    upper: Array | None  # (p,) upper bounds, None without any


def solve(
    columns: Array,
    targets: Array,
    *,
    n_simplex: int = 0,
    upper: Array | None = None,
    start: Array | None = None,
    max_iter: int | None = None,
) -> Array:
    """The minimisers theta, (n, p), of the problem above; the caller checks them.

    Parameters
    ----------
    columns : array, shape (p, r) for all pixels or (n, p, r), r >= p; float64.
    targets : array, shape (n, r)
    n_simplex : how many leading entries sum to one (0: none); with it, p >= 2.
    upper : array, shape (p,)
        Upper bounds of the entries after ``n_simplex``, inf elsewhere.
    start : array, shape (n, p), feasible. If not given (one set of columns, no ``upper`` only): the free minimiser with
        its negative entries dropped until none is left, from a linearly independent subset of the columns.
    """
    xp = array_namespace(columns, targets)
    bounds = Bounds(n_simplex, upper)
    shared, own = (columns, None) if columns.ndim == 2 else (None, columns)
    search = _begin(columns, own, targets, bounds, start)
    found_index, found = [], []
    for _ in range(max_iter or 50 + 10 * columns.shape[-2]):
        free_minimum = minimise_free(shared if own is None else search.columns, search, bounds)
        search, finished = _step(shared, search, free_minimum, bounds)
        if bool(xp.any(finished)):
            done = xp.nonzero(finished)[0]
            found_index.append(xp.take(search.index, done, axis=0))
            found.append(xp.take(search.theta, done, axis=0))
            left = xp.nonzero(~finished)[0]
            search = Search(*(None if x is None else xp.take(x, left, axis=0) for x in search))
        if search.index.shape[0] == 0:
            break
    found_index.append(search.index)  # searches that rounding kept going: feasible, judged by the caller's check
    found.append(search.theta)
    return xp.take(xp.concat(found), xp.argsort(xp.concat(found_index)), axis=0)


def _begin(columns: Array, own: Array | None, targets: Array, bounds: Bounds, start: Array | None) -> Search:
    xp = array_namespace(columns, targets)
    n, p = targets.shape[0], columns.shape[-2]
    none = xp.zeros_like(targets[:, :1], dtype=xp.bool)
    nothing = xp.broadcast_to(none, (n, p))
    if start is None:
        free = nothing | to_backend(independent(to_numpy(columns), bounds.n_simplex > 0), targets)
        theta = xp.zeros_like(targets[:, :p])
    else:
        theta = start
        free = theta > 0 if bounds.upper is None else (theta > 0) & (theta < bounds.upper)
    index = xp.arange(n, device=device(targets))
    crash = none[:, 0] if start is not None else ~none[:, 0]
    return Search(index, targets, own, theta, free, nothing, nothing, none[:, 0], crash)


def independent(columns: np.ndarray, sum_to_one: bool) -> np.ndarray:
    """A largest set of columns (rows of the array) that are safely linearly, or affinely, independent, as a mask."""
    from scipy.linalg import qr

    rows = columns / max(float(np.abs(columns).max()), np.finfo(float).tiny)
    if sum_to_one:
        rows = np.concatenate([rows, np.ones((rows.shape[0], 1))], axis=1)
    _, triangle, order = qr(rows.T, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    mask = np.zeros(rows.shape[0], dtype=bool)
    mask[order[: diagonal.shape[0]][diagonal > 1e-7 * diagonal[0]]] = True
    return mask


def minimise_free(columns: Array, search: Search, bounds: Bounds) -> Array:
    """The least-squares minimiser over the free entries, the others held, by QR: (n, p).

    The sum constraint is eliminated: the first free entry is one minus the others, so that their columns become
    differences from its column. The columns are sorted free ones first, and the rest set to zero.
    """
    xp = array_namespace(search.targets)
    held = xp.where(search.free, xp.zeros_like(search.theta), search.theta)
    targets = search.targets if bounds.upper is None else search.targets - mix(held, columns)
    if columns.ndim == 2:
        free, group = distinct(search.free)
        columns = xp.broadcast_to(columns[None, ...], (free.shape[0], *columns.shape))
    else:
        free, group = search.free, None
    order = xp.argsort(xp.astype(~free, xp.int8), axis=1, stable=True)
    most_free = int(xp.max(xp.sum(xp.astype(free, xp.int64), axis=1)))
    width = max(most_free, 2 if bounds.n_simplex else 1)  # columns beyond are zero in every search
    live = xp.take_along_axis(free, order[:, :width], axis=1)
    chosen = xp.take_along_axis(columns, order[:, :width, None], axis=1)
    first, sums = chosen[:, :1, :], live[:, 1:] & (order[:, 1:width] < bounds.n_simplex)
    if bounds.n_simplex:
        chosen = (chosen - first * xp.astype(order[:, :width] < bounds.n_simplex, first.dtype)[:, :, None])[:, 1:, :]
        targets, live = targets - pick(first, group)[:, 0, :], live[:, 1:]
    q, triangle = xp.linalg.qr(xp.matrix_transpose(chosen * xp.astype(live, first.dtype)[:, :, None]))
    rotated = (xp.matrix_transpose(pick(q, group)) @ targets[:, :, None])[:, :, 0]
    z = back_substitute(pick(xp.matrix_transpose(triangle), group), rotated, pick(live, group))
    if bounds.n_simplex:
        rest = xp.sum(xp.where(pick(sums, group), z, xp.zeros_like(z)), axis=1, keepdims=True)
        z = xp.concat([1.0 - rest, z], axis=1)
    z = xp.concat([z, xp.zeros_like(search.theta[:, width:])], axis=1)
    z = xp.take_along_axis(z, pick(xp.argsort(order, axis=1), group), axis=1)
    return xp.where(search.free, z, search.theta)


def distinct(free: Array) -> tuple[Array, Array]:
    """The different rows of a boolean array, and for every row the number of its own among them."""
    xp = array_namespace(free)
    n, p = free.shape
    if p > 62:  # a row no longer fits into one integer: every pixel keeps its own
        return free, xp.arange(n, device=device(free))
    powers = to_backend(2 ** np.arange(p, dtype=np.int64), free)
    codes, group = xp.unique_inverse(xp.sum(xp.astype(free, xp.int64) * powers, axis=1))
    return xp.bitwise_and(codes[:, None], powers) != 0, xp.reshape(group, (n,))


def pick(x: Array, group: Array | None) -> Array:
    return x if group is None else array_namespace(x).take(x, group, axis=0)


def mix(theta: Array, columns: Array) -> Array:
    """theta @ columns for one set of columns or one per pixel."""
    return theta @ columns if columns.ndim == 2 else (theta[:, None, :] @ columns)[:, 0, :]


def back_substitute(transposed: Array, rhs: Array, live: Array) -> Array:
    """Solve a batch of upper triangular systems, given transposed, with zero for the entries that are not live.

    Backward stable, so that the gradient at the solution vanishes to rounding whatever the condition number; an
    explicit inverse is not.
    """
    xp = array_namespace(transposed)
    solution = []
    for k in reversed(range(transposed.shape[-1])):
        diagonal = transposed[:, k, k]
        usable = live[:, k] & (diagonal != 0)
        x = xp.where(usable, rhs[:, k] / xp.where(usable, diagonal, xp.ones_like(diagonal)), xp.zeros_like(diagonal))
        rhs = rhs[:, :k] - transposed[:, k, :k] * x[:, None]
        solution.append(x)
    return xp.stack(solution[::-1], axis=1)


def _step(shared: Array | None, search: Search, z: Array, bounds: Bounds) -> tuple[Search, Array]:
    """One round: walk to the free minimum ``z`` or to the first bound on the way; there, free an entry or finish."""
    xp = array_namespace(z)
    low = search.free & (z <= 0)
    high = xp.zeros_like(low) if bounds.upper is None else search.free & (z >= bounds.upper)
    outside = xp.any(low | high, axis=1)
    walked, hit, stayed = _walk(search.theta, z, low, high, bounds.upper)
    crash, walk = (search.crash & outside)[:, None], (~search.crash & outside)[:, None]
    rejected = stayed & walk[:, 0] & xp.any(hit & search.entered, axis=1)
    search = search._replace(
        theta=xp.where(walk, walked, xp.where(crash, search.theta, z)),
        free=search.free & ~(walk & hit) & ~(crash & low),
        blocked=search.blocked | (rejected[:, None] & search.entered),
        crash=search.crash & outside,
    )
    wanted = _wanted(search if shared is None else search._replace(columns=shared), bounds) & ~outside[:, None]
    finished = ~outside & ~xp.any(wanted, axis=1)
    # after an accepted move entries that were set aside for rounding are tried again, but not if it took back one of them
    forget = (~outside & ~search.rejected)[:, None]
    entered = xp.where(outside[:, None], search.entered, wanted)
    blocked = search.blocked & ~forget
    rejected = rejected | (search.rejected & outside)
    return search._replace(free=search.free | wanted, entered=entered, blocked=blocked, rejected=rejected), finished


def _walk(theta: Array, z: Array, low: Array, high: Array, upper: Array | None) -> tuple[Array, Array, Array]:
    """From theta towards z up to the first bound: the point, the entries that meet it, and whether there was no way."""
    xp = array_namespace(theta)
    way = xp.abs(z - theta)
    room = theta if upper is None else xp.where(high, upper - theta, theta)
    far = xp.full_like(theta, xp.inf)
    share = xp.where(low | high, room / xp.where(way > 0, way, xp.ones_like(way)), far)
    step = xp.min(share, axis=1, keepdims=True)
    hit = (low | high) & (share <= step)
    step = xp.where(step < 1.0, step, xp.ones_like(step))
    point = xp.clip(theta + step * (z - theta), min=0.0)
    point = xp.where(hit & low, xp.zeros_like(point), point)
    if upper is not None:
        point = xp.where(hit & high, xp.broadcast_to(upper, point.shape), xp.minimum(point, upper))
    return point, hit, step[:, 0] == 0.0


def _wanted(search: Search, bounds: Bounds) -> Array:
    """Of the entries on a bound, the one that would lower the objective fastest if freed: a mask, at most one a row.

    An entry counts only if its multiplier is above the rounding of the two sums it is made of.
    """
    xp = array_namespace(search.theta)
    theta, columns = search.theta, search.columns
    pull, noise = multipliers(theta, columns, search.targets, bounds)
    if bounds.upper is not None:
        pull = xp.where(theta >= bounds.upper, -pull, pull)
    candidate = ~search.free & ~search.blocked & (pull > noise)
    score = xp.where(candidate, pull, xp.full_like(pull, -xp.inf))
    best = xp.argmax(score, axis=1)
    place = xp.arange(theta.shape[1], device=device(theta))
    return candidate & (place == best[:, None])


def multipliers(theta: Array, columns: Array, targets: Array, bounds: Bounds) -> tuple[Array, Array]:
    """How fast the objective falls as each entry grows, in exchange for the simplex' others; and its rounding error."""
    xp = array_namespace(theta)
    n_simplex, p = bounds.n_simplex, theta.shape[1]
    rest = targets - mix(theta, columns)
    pull = rest @ columns.T if columns.ndim == 2 else (columns @ rest[:, :, None])[:, :, 0]
    norms = xp.sqrt(xp.sum(columns * columns, axis=-1))
    load = xp.sum(theta * norms, axis=1, keepdims=True)
    size = xp.sqrt(xp.sum(targets * targets, axis=1, keepdims=True)) + load
    noise = 8 * p * EPSILON * (norms + load if n_simplex else norms) * size  # on the simplex load is a mean of norms
    if n_simplex:
        price = xp.sum(theta[:, :n_simplex] * pull[:, :n_simplex], axis=1, keepdims=True)
        pull = xp.concat([pull[:, :n_simplex] - price, pull[:, n_simplex:]], axis=1)
    return pull, noise


def kkt_residual(gram: Array, cross: Array, abundances: Array, *, sum_to_one: bool) -> Array:
    """By how much each pixel breaks the optimality conditions, in the units of ``cross``: (n_pixels,).

    With g = M (M^T a - x) and the multiplier of the sum (if any) t = a . g, an optimum has g_j = t where a_j > 0 and
    g_j >= t elsewhere. Feasibility is not judged here. ``gram`` is M M^T, ``cross`` is X M^T, (n_pixels, n_endmembers).
    """
    xp = array_namespace(gram, cross, abundances)
    gradient = abundances @ gram - cross
    if sum_to_one:
        gradient = gradient - xp.sum(abundances * gradient, axis=1, keepdims=True)
    return xp.max(xp.where(abundances > 0, xp.abs(gradient), xp.clip(-gradient, min=0.0)), axis=1)


def reduce(columns: Array) -> tuple[Array, Array]:
    """An orthonormal basis of the span of the columns (rows of the array), (n_bands, r), and their coordinates in it.

    Padded with zeros to r >= p, so that the solver's factors are never wide.
    """
    xp = array_namespace(columns)
    p = columns.shape[0]
    q, triangle = xp.linalg.qr(columns.T)
    short = p - q.shape[1]
    if short > 0:
        q = xp.concat([q, xp.broadcast_to(xp.zeros_like(q[:, :1]), (q.shape[0], short))], axis=1)
        triangle = xp.concat([triangle, xp.broadcast_to(xp.zeros_like(triangle[:1, :]), (short, p))], axis=0)
    return q, triangle.T
