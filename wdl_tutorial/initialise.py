"""First atoms and first weights.

Every draw is made in NumPy from one generator, then moved to the backend of the data, so that a seed means the same on
every backend.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._array import Array, array_namespace, as_float, device, to_backend, to_numpy
from ._checks import check_histograms
from .chunks import Mapper, chunk_length, slices
from .kernels import kernel_for
from .losses import Accuracy, wasserstein
from .scaling import underflow_error

ATOMS = ("kmeans++", "extremes", "data", "random", "uniform")
WEIGHTS = ("random", "uniform", "near")


def distances(
    x: Array, centre: Array, cost: Any, *, eps: float, n_iter: int, domain: str, mapper: Mapper = map
) -> Array:
    """Sinkhorn divergence from every row of ``x`` (n_samples, n_bins) to ``centre`` (n_bins,), at least 0.

    W_eps itself is not zero between a histogram and itself, and may be negative; the divergence is what a draw in
    proportion to it needs.
    """
    xp = array_namespace(x, centre)
    accuracy = Accuracy(n_iter)
    centre = centre[None, :]

    def chunk(part: slice) -> Array:
        rows = x[part, :]
        with np.errstate(all="ignore"):
            for attempt in ("kernel", "log") if domain == "auto" else (domain,):
                kernel = kernel_for(cost, eps, attempt, x)
                own_centre = wasserstein(centre, centre, kernel, accuracy).value
                gap = wasserstein(rows, centre + 0.0 * rows, kernel, accuracy).value
                gap = gap - (wasserstein(rows, rows, kernel, accuracy).value + own_centre) / 2
                if bool(xp.all(xp.isfinite(gap))):
                    return gap
        raise underflow_error(eps, f"the distances between samples ({x.dtype})", attempt)

    parts = slices(x.shape[0], chunk_length(x, 1, 1))
    found = xp.empty((x.shape[0],), dtype=x.dtype, device=device(x))
    for part, gap in zip(parts, mapper(chunk, parts)):
        found[part] = gap
    return xp.clip(found, min=0.0)


def kmeans_plus_plus(
    x: Array, n_atoms: int, cost: Any, rng: np.random.Generator, *, eps: float, n_iter: int, domain: str, mapper: Mapper
) -> Array:
    """k-means++ seeding (Arthur and Vassilvitskii (2007)) in Wasserstein space: samples far from those already chosen.

    Returns
    -------
    array, shape (n_atoms, n_bins)   Rows of ``x``, distinct ones as long as there are any.
    """
    xp = array_namespace(x)
    chosen = [int(rng.integers(x.shape[0]))]
    nearest = None
    while len(chosen) < n_atoms:
        gap = distances(x, x[chosen[-1], :], cost, eps=eps, n_iter=n_iter, domain=domain, mapper=mapper)
        gap = to_numpy(gap).astype(np.float64)
        nearest = gap if nearest is None else np.minimum(nearest, gap)
        nearest[chosen] = 0.0  # but for rounding it was: no sample twice
        chosen.append(_draw(nearest, chosen, rng))
    return xp.stack([x[i, :] for i in chosen], axis=0)


def _draw(chance: np.ndarray, chosen: list[int], rng: np.random.Generator) -> int:
    """An index in proportion to ``chance``; any but those ``chosen`` where all are zero (only copies are left)."""
    total = np.cumsum(chance)
    if not np.isfinite(total[-1]) or total[-1] <= 0:
        return int(rng.choice(np.setdiff1d(np.arange(len(chance)), chosen)))
    return int(np.searchsorted(total, rng.random() * total[-1], side="right"))


def extremes(x: Array, n_atoms: int, cost: Any, *, eps: float, n_iter: int, domain: str, mapper: Mapper) -> Array:
    """The data's extremes: farthest from the mean, then again and again farthest from those already chosen. No chance."""
    xp = array_namespace(x)
    options = {"eps": eps, "n_iter": n_iter, "domain": domain, "mapper": mapper}
    mean = xp.mean(x, axis=0)
    chosen = [int(np.argmax(to_numpy(distances(x, mean, cost, **options))))]
    nearest = None
    while len(chosen) < n_atoms:
        gap = to_numpy(distances(x, x[chosen[-1], :], cost, **options)).astype(np.float64)
        nearest = gap if nearest is None else np.minimum(nearest, gap)
        nearest[chosen] = -1.0  # the farthest of those not chosen, be it a copy
        chosen.append(int(np.argmax(nearest)))
    return xp.stack([x[i, :] for i in chosen], axis=0)


def first_atoms(
    init: str | Array, x: Array, n_atoms: int, cost: Any, rng: np.random.Generator, **options: Any
) -> Array:
    """Atoms (n_atoms, n_bins) on the simplex, by the rule called ``init``."""
    if init == "kmeans++":
        return kmeans_plus_plus(x, n_atoms, cost, rng, **options)
    if init == "extremes":
        return extremes(x, n_atoms, cost, **options)
    xp = array_namespace(x)
    if init == "data":
        rows = rng.choice(x.shape[0], size=n_atoms, replace=x.shape[0] < n_atoms)
        return xp.stack([x[int(i), :] for i in rows], axis=0)
    n_bins = x.shape[1]
    if init == "random":
        return to_backend(rng.dirichlet(np.ones(n_bins), size=n_atoms), x)
    return xp.full((n_atoms, n_bins), 1.0 / n_bins, dtype=x.dtype, device=device(x))


def first_weights(
    init: str, x: Array, atoms: Array, rng: np.random.Generator, cost: Any = None, **options: Any
) -> Array:
    """Weights (n_samples, n_atoms) by the rule called ``init``.

    ``"random"`` is uniform on the simplex (WaHU), ``"uniform"`` is 1 / n_atoms; ``"near"`` is in proportion to one over
    the square root of the divergence from each atom: the right weights, if there are two atoms, the samples lie on the
    geodesic between them, and the cost is a squared distance.
    """
    n, n_atoms = x.shape[0], atoms.shape[0]
    if init == "random":
        return to_backend(rng.dirichlet(np.ones(n_atoms), size=n), x)
    if init == "uniform":
        return to_backend(np.full((n, n_atoms), 1.0 / n_atoms), x)
    far = np.stack([to_numpy(distances(x, atoms[j, :], cost, **options)) for j in range(n_atoms)], axis=1)
    near = 1.0 / np.sqrt(np.maximum(far, 1e-6 * max(far.max(), 1e-300)))
    return to_backend(near / near.sum(axis=1, keepdims=True), x)


def check_start(name: str, start: Any, known: tuple[str, ...], shape: tuple[int, int], x: Array) -> Any:
    """A rule's name as it is, or a given start as floats of the right shape on the simplex."""
    if isinstance(start, str):
        if start not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, or an array; got {start!r}.")
        return start
    if start is None:
        raise ValueError(f"{name} must be one of {', '.join(known)}, or an array; got None.")
    start = as_float(start, like=x)
    array_namespace(start, x)
    if tuple(start.shape) != shape:
        raise ValueError(f"{name} must have shape {shape}; got {tuple(start.shape)}.")
    check_histograms(start, name)
    return start
