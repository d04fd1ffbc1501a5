"""First atoms and first weights.

Every draw is made in NumPy from one generator, then moved to the backend of the data, so that a seed means the same on
every backend.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ._array import Array, array_namespace, as_float, detached, device, put, to_backend, to_numpy
from ._checks import check_histograms, check_nonnegative, check_not_empty, same_backend
from .barycenters import barycenter
from .chunks import Mapper, chunk_length, slices
from .costs import AnyCost, symmetric_part
from .histograms import normalize
from .iterate import Accuracy
from .kernels import Kernel
from .losses import wasserstein
from .rowwise import simplex_lattice
from .scaling import Attempt, first_right, is_right, kernels_to_try

ATOMS = ("kmeans++", "extremes", "data", "random", "uniform")
MASSES = ("masses",)  # for atoms with masses of their own, besides
WEIGHTS = ("random", "uniform", "near", "lattice")
LATTICE = 200  # barycenters at most among which a sample finds the nearest
SLAB = 1 << 23  # of the distances that are held at a time
Given = TypeVar("Given")


class Ruler(NamedTuple):
    """What says how far apart two samples are."""

    cost: AnyCost
    eps: float
    n_iter: int
    domain: str = "auto"
    mapper: Mapper = map


def distances(x: Array, centre: Array, ruler: Ruler) -> Array:
    """Sinkhorn divergence from every row of ``x`` (n_samples, n_bins) to ``centre`` (n_bins,), at least 0.

    W_eps itself is not zero between a histogram and itself, and may be negative; the divergence is what a draw in
    proportion to it needs. Where the cost back is another, it is that of the mean of both.
    """
    chunk = partial(_gaps, ruler._replace(cost=symmetric_part(ruler.cost), mapper=map), centre[None, :])
    parts = slices(x.shape[0], chunk_length(x, 1, 1))
    xp = array_namespace(x, centre)
    found = xp.empty((x.shape[0],), dtype=x.dtype, device=device(x))
    for part, gap in zip(parts, ruler.mapper(chunk, ((x[part, :],) for part in parts))):
        found = put(found, part, gap)
    return xp.clip(found, min=0.0)


def _gaps(ruler: Ruler, centre: Array, held: tuple[Array]) -> Array:
    """The divergences of a chunk of rows."""
    (rows,), accuracy = held, Accuracy(ruler.n_iter)

    def attempt(kernel: Kernel) -> Attempt:
        pairs = (rows, centre + 0.0 * rows), (rows, rows), (centre, centre)
        across, own, own_centre = (wasserstein(p, q, kernel, accuracy) for p, q in pairs)
        gap = across.value - (own.value + own_centre.value) / 2
        right = across.right and own.right and own_centre.right
        return Attempt(gap, right and is_right(kernel.domain, numbers=(gap,)))

    kernels = kernels_to_try(ruler.cost, ruler.eps, ruler.domain, rows)
    return first_right(kernels, attempt, f"the distances between samples ({rows.dtype})")[0]


def kmeans_plus_plus(
    x: Array, n_atoms: int, rng: np.random.Generator, ruler: Ruler, share: np.ndarray | None = None
) -> Array:
    """k-means++ seeding (Arthur and Vassilvitskii (2007)) in Wasserstein space: samples far from those already chosen.

    ``share`` (n_samples,) multiplies the chance of each; one of share 0 is never drawn while there are others.

    Returns
    -------
    array, shape (n_atoms, n_bins)
        Rows of ``x``, distinct ones as long as there are any.
    """
    xp = array_namespace(x)
    chosen = [int(rng.integers(x.shape[0]) if share is None else rng.choice(len(share), p=share))]
    nearest = None
    while len(chosen) < n_atoms:
        gap = to_numpy(distances(x, x[chosen[-1], :], ruler)).astype(np.float64)
        nearest = gap if nearest is None else np.minimum(nearest, gap)
        nearest[chosen] = 0.0  # exactly, not to rounding: no sample is drawn twice
        chosen.append(_draw(nearest, chosen, rng, share))
    return xp.stack([x[i, :] for i in chosen], axis=0)


def _draw(chance: np.ndarray, chosen: list[int], rng: np.random.Generator, share: np.ndarray | None = None) -> int:
    """An index in proportion to ``chance``; any but those ``chosen`` where all are zero (only copies are left)."""
    total = np.cumsum(chance if share is None else chance * share)
    if not np.isfinite(total[-1]) or total[-1] <= 0:
        left = np.setdiff1d(np.arange(len(chance)), chosen)
        counted = left if share is None else left[share[left] > 0]
        return int(rng.choice(counted if len(counted) else left))
    return int(np.searchsorted(total, rng.random() * total[-1], side="right"))


def extremes(x: Array, n_atoms: int, ruler: Ruler, share: np.ndarray | None = None) -> Array:
    """The data's extremes: farthest from the mean, then again and again farthest from those already chosen. No chance.

    Samples of ``share`` 0 do not count, but where there are no others.
    """
    xp = array_namespace(x)
    mean = xp.mean(x, axis=0) if share is None else xp.sum(to_backend(share, x)[:, None] * x, axis=0)
    counts = np.full(x.shape[0], True) if share is None else share > 0
    chosen = [int(np.argmax(np.where(counts, to_numpy(distances(x, mean, ruler)), -1.0)))]
    nearest = None
    while len(chosen) < n_atoms:
        gap = to_numpy(distances(x, x[chosen[-1], :], ruler)).astype(np.float64)
        nearest = gap if nearest is None else np.minimum(nearest, gap)
        nearest[chosen] = -2.0  # the farthest of those not chosen, be it a copy
        chosen.append(int(np.argmax(np.where(counts, nearest, np.minimum(nearest, -1.0)))))
    return xp.stack([x[i, :] for i in chosen], axis=0)


def _asked(given: Given | None) -> Given:
    """A generator or a ruler, where a rule asks for one."""
    if given is None:
        raise TypeError("this rule of a start draws, or measures: it needs rng and ruler.")
    return given


def first_atoms(
    init: str,
    x: Array,
    n_atoms: int,
    rng: np.random.Generator | None = None,
    ruler: Ruler | None = None,
    importance: Array | None = None,
) -> Array:
    """Atoms (n_atoms, n_bins) on the simplex, by the rule called ``init``; samples count by their ``importance``."""
    share = _share(importance)
    if init == "kmeans++":
        return kmeans_plus_plus(x, n_atoms, _asked(rng), _asked(ruler), share)
    if init == "extremes":
        return extremes(x, n_atoms, _asked(ruler), share)
    xp = array_namespace(x)
    if init == "data":
        counted = x.shape[0] if share is None else int((share > 0).sum())
        rows = _asked(rng).choice(x.shape[0], size=n_atoms, replace=counted < n_atoms, p=share)
        return xp.stack([x[int(i), :] for i in rows], axis=0)
    n_bins = x.shape[1]
    if init == "random":
        return to_backend(_asked(rng).dirichlet(np.ones(n_bins), size=n_atoms), x)
    return xp.full((n_atoms, n_bins), 1.0 / n_bins, dtype=x.dtype, device=device(x))


def first_masses(
    init: str,
    x: Array,
    n_atoms: int,
    rng: np.random.Generator | None = None,
    ruler: Ruler | None = None,
    importance: Array | None = None,
) -> Array:
    """Atoms (n_atoms, n_bins) with masses of their own: samples that the rule ``init`` chooses by their shapes.

    ``"masses"``: the brightest and the darkest, and the extremes among the shapes of the others.
    """
    mass = np.sum(to_numpy(x), axis=1)
    shapes = normalize(x)
    if init in ("random", "uniform"):  # of mass one
        return first_atoms(init, shapes, n_atoms, rng, ruler, importance)
    ends: list[int] = []
    if init == "masses":
        ends, init = [int(mass.argmax())], "extremes"
        if n_atoms > 1:
            ends.append(int(np.where(np.arange(len(mass)) == ends[0], np.inf, mass).argmin()))
    xp = array_namespace(x)
    rest = [i for i in range(len(mass)) if i not in ends]
    rows = list(ends)
    if n_atoms > len(ends):
        others = xp.stack([shapes[i, :] for i in rest], axis=0)
        counted = None if importance is None else xp.stack([importance[i] for i in rest])
        chosen = to_numpy(first_atoms(init, others, n_atoms - len(ends), rng, ruler, counted))
        gaps = np.abs(to_numpy(others)[None] - chosen[:, None]).sum(axis=2)
        rows += [rest[int(i)] for i in gaps.argmin(axis=1)]
    return xp.stack([x[i, :] for i in rows], axis=0)


def _share(importance: Array | None) -> np.ndarray | None:
    """The samples' chances; None where all are alike, so that seeds mean what they do without weights."""
    if importance is None:
        return None
    share = to_numpy(importance).astype(np.float64)
    return None if (share == share[0]).all() else share / share.sum()


def first_weights(
    init: str, x: Array, atoms: Array, rng: np.random.Generator | None = None, ruler: Ruler | None = None
) -> Array:
    """Weights (n_samples, n_atoms) by the rule called ``init``.

    ``"random"`` is uniform on the simplex (WaHU), ``"uniform"`` is 1 / n_atoms; ``"near"`` is in proportion to one over
    the square root of the divergence from each atom: the right weights, if there are two atoms, the samples lie on the
    geodesic between them, and the cost is a squared distance. ``"lattice"`` is nine tenths of the way from the middle to
    the weights of the nearest of up to 200 barycenters, those of a lattice.
    """
    n, n_atoms = x.shape[0], atoms.shape[0]
    if init == "random":
        return to_backend(_asked(rng).dirichlet(np.ones(n_atoms), size=n), x)
    if init == "uniform":
        return to_backend(np.full((n, n_atoms), 1.0 / n_atoms), x)
    ruler = _asked(ruler)
    if init == "lattice":
        lattice = to_backend(simplex_lattice(n_atoms, LATTICE), x)
        options: dict[str, Any] = {"eps": ruler.eps, "n_iter": ruler.n_iter, "domain": ruler.domain}
        chunks = slices(lattice.shape[0], chunk_length(atoms, n_atoms, ruler.n_iter))
        held = [barycenter(atoms, lattice[part, :], ruler.cost, **options).histogram for part in chunks]
        xp = array_namespace(x)
        points, rows = xp.concat(held, axis=0), slices(x.shape[0], SLAB // LATTICE)
        found = xp.concat([nearest(x[part, :], points) for part in rows], axis=0)
        return 0.9 * xp.take(lattice, found, axis=0) + 0.1 / n_atoms
    far = np.stack([to_numpy(distances(x, atoms[j, :], ruler)) for j in range(n_atoms)], axis=1)
    near = 1.0 / np.sqrt(np.maximum(far, 1e-6 * max(far.max(), 1e-300)))
    return to_backend(near / near.sum(axis=1, keepdims=True), x)


def nearest(x: Array, points: Array) -> Array:
    """The number (n_samples,) of the point that each row is nearest to, by squares."""
    xp = array_namespace(x, points)
    gap = xp.sum(points * points, axis=1)[None, :] - 2 * (x @ xp.matrix_transpose(points))  # |x - p|^2 but for |x|^2
    return xp.argmin(gap, axis=1)


def check_start(
    name: str, start: Any, known: tuple[str, ...], shape: tuple[int, int], x: Array, *, masses: bool = False
) -> Any:
    """A rule's name as it is, or a given start as floats of the right shape, on the simplex or of any ``masses``."""
    if isinstance(start, str):
        if start not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, or an array; got {start!r}.")
        return start
    if start is None:
        raise ValueError(f"{name} must be one of {', '.join(known)}, or an array; got None.")
    start = as_float(detached(start), like=x, name=name)
    same_backend(**{name: start, "X": x})
    if tuple(start.shape) != shape:
        raise ValueError(f"{name} must have shape {shape}; got {tuple(start.shape)}.")
    if masses:
        check_nonnegative(start, name)
        check_not_empty(start, name)
    else:
        check_histograms(start, name)
    return start
