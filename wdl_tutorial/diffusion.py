r"""Learning by active nonlinear diffusion (LAND): which few pixels to label, and how their labels spread over a scene.

A random walk on the graph of nearest neighbours decides what is near: two points are close at time t where walks that
start from them end in the same places. A point of high density that is far, in that sense, from every denser point is a
mode; the modes are what to label, and each other point copies the label of its nearest denser neighbour.

=========================================  ===========================================================================
Nguyen, Tasissa and Murphy (VAE-LAND)      here
=========================================  ===========================================================================
W, section 2.2                             :func:`nearest_neighbors`, :func:`neighbor_graph`
P and its eigenpairs                       :func:`diffusion_pairs`
D_t                                        :func:`diffusion_coordinates`: the Euclidean distance between its rows
p                                          :func:`kernel_density`
rho_t, eq. (1)                             :func:`parent_forest`
D_t(x) = p(x) rho_t(x), Algorithm 1, 1-2   :meth:`LAND.query`
Algorithm 1, lines 7-12                    :meth:`LAND.predict`
=========================================  ===========================================================================

**Ties decide.** Spectra repeat, so densities do, and with ">" or ">=" as printed the accuracy changes by tens of points.
Here the order is total: density descending, then index ascending, where densities that agree to 12 digits of their
maximum are equal; distances are compared in the same manner, and among equals the first in the order counts.

**One forest, every budget.** The denser point that attains rho_t is the *parent*. Once the densest point has a label,
Algorithm 1 copies labels down this forest and does nothing else: it is computed once for each t; a budget costs O(n).

This module works with SciPy and scikit-learn on the host by design (sparse graphs); arrays of other backends are
brought there, and results are NumPy arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator
from sklearn.cluster import MiniBatchKMeans
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_info, threadpool_limits

from ._array import Array, as_float, to_numpy
from ._checks import array_of, check_seed, choice, instance, integer, is_integer, is_number, number, shown, squarable
from .iterate import warn

DIGITS = 12  # numbers that agree to so many digits of the largest among them are equal
BLOCK = 2_000_000  # floats in a temporary array: 16 MB

# ---------------------------------------------------------------------------------------------------------------------
# The graph


class Neighbors(NamedTuple):
    """The nearest neighbours of every point, nearest first, without the point itself."""

    distances: np.ndarray  # (n, n_neighbors), Euclidean
    indices: np.ndarray  # (n, n_neighbors)


def nearest_neighbors(X: Array, n_neighbors: int, *, search: str = "exact", random_state: int = 0) -> Neighbors:
    """The nearest points of each row of X: the smallest by (distance, index), never the row itself.

    scikit-learn proposes candidates. Their distances are computed again as ``|x - y|``: a matrix product,
    ``|x|^2 + |y|^2 - 2xy``, loses the digits on which duplicates are decided. More candidates are asked for until none
    left out could be among the nearest. So the result does not depend on the rounding of one machine.

    Parameters
    ----------
    X : array, shape (n, n_features)
    n_neighbors : int
    search : {"exact", "cells"}
        "exact" compares all pairs (a KD-tree in up to 15 dimensions). "cells" compares each row with the k-means
        cells that can hold a neighbour, and finds the same neighbours: some eight times faster for 10^5 spectra of
        a scene, slower where the points have no structure.
    random_state : int
        Seeds the cells; the neighbours do not depend on it.

    Returns
    -------
    Neighbors

    Examples
    --------
    >>> nearest_neighbors([[0.0], [1.0], [1.0], [5.0]], 2).indices
    array([[1, 2], [2, 0], [1, 0], [1, 2]], dtype=int32)
    """
    X = _checked_points(X)
    n = X.shape[0]
    n_neighbors = _count("n_neighbors", n_neighbors, n - 1, n)
    choice("search", search, ("exact", "cells"))
    check_seed(random_state)
    centred = X - X.mean(0)  # the distances stay, and their search loses fewer digits
    scale = float(np.sqrt(np.max(_row_norms(centred)))) or 1.0
    found = Neighbors(np.empty((n, n_neighbors)), np.empty((n, n_neighbors), dtype=np.int32))
    batches = _exact_batches(X, centred, n_neighbors, scale) if search == "exact" else None
    for rows, distances, indices in batches or _cell_batches(X, centred, n_neighbors, scale, random_state):
        found.distances[rows], found.indices[rows] = distances[:, :n_neighbors], indices[:, :n_neighbors]
    return found


Batch = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows, their candidates' distances and indices, nearest first


def _exact_batches(X: np.ndarray, centred: np.ndarray, k: int, scale: float) -> Iterator[Batch]:
    """Rows with all their nearest neighbours, by asking for more candidates until none left out could be nearer."""
    n = X.shape[0]
    search = NearestNeighbors(algorithm="auto").fit(centred)
    rounding = 1e-13 * scale**2  # of the squared distances of the search
    for rows in np.array_split(np.arange(n), max(1, n // 4096)):
        n_candidates = k + 11  # the row itself and ten more
        while rows.size:
            n_candidates = min(n_candidates, n)
            candidates = search.kneighbors(centred[rows], n_candidates, return_distance=False)
            distances, indices = _sorted_candidates(X, rows, candidates, scale)
            last = np.where(np.isfinite(distances), distances, -1.0).max(1)
            done = last**2 - distances[:, k - 1] ** 2 > rounding + 1e-11 * scale * last
            done |= n_candidates == n
            yield rows[done], distances[done], indices[done]
            rows, n_candidates = rows[~done], 2 * n_candidates


def _cell_batches(X: np.ndarray, centred: np.ndarray, k: int, scale: float, seed: int) -> Iterator[Batch]:
    """The same as :func:`_exact_batches`, from the members of those k-means cells that can hold a neighbour.

    A few near cells bound the distance to a row's k-th neighbour; by the triangle inequality no cell counts whose
    centre is farther than this bound and the cell's radius together. Without structure in the data every cell counts.
    """
    threads = max([pool["num_threads"] for pool in threadpool_info()], default=1)
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:  # the products are too small to be shared out
        cells = _Cells(centred, k, seed)
        for batches in pool.map(lambda cell: list(_cell_members(X, cells, cell, k, scale)), range(len(cells.members))):
            yield from batches


def _cell_members(X: np.ndarray, cells: _Cells, cell: int, k: int, scale: float) -> Iterator[Batch]:
    """The members of one cell with all their nearest neighbours."""
    for rows in np.array_split(cells.members[cell], 1 + cells.members[cell].size // 256):
        if rows.size:
            pool, bound = cells.pool(rows, cell, k)
            row, column = np.nonzero(cells.closeness(rows, cell, pool)[0] <= bound[:, None])
            counts = np.bincount(row)
            candidates = np.repeat(
                rows[:, None], counts.max(), axis=1
            )  # where a row has fewer: itself, which is left out
            candidates[row, np.arange(row.size) - (np.cumsum(counts) - counts)[row]] = pool[column]
            distances, indices = _sorted_candidates(X, rows, candidates, scale)
            yield rows, distances[:, :k], indices[:, :k]


class _Cells:
    """K-means cells of the points, each with its centre, its radius and its members."""

    def __init__(self, centred: np.ndarray, k: int, seed: int):
        n = len(centred)
        n_cells = max(1, min(1024, n // (k + 1)))
        rng = np.random.default_rng(seed)
        sample = centred[rng.choice(n, min(n, 20 * n_cells), replace=False)].astype(np.float32)
        kmeans = MiniBatchKMeans(n_cells, batch_size=4096, max_iter=5, n_init=1, random_state=seed).fit(sample)
        nearest = kmeans.predict(centred.astype(np.float32))
        self.points, self.norms = centred, _row_norms(centred)
        self.members = [m for m in (np.flatnonzero(nearest == cell) for cell in range(n_cells)) if m.size]
        self.centres = np.array([centred[m].mean(0) for m in self.members])
        self.sizes = np.array([m.size for m in self.members])
        self.radii = np.array([np.sqrt(_row_norms(centred[m] - c).max()) for m, c in zip(self.members, self.centres)])
        self.margin = 1e-7 * np.sqrt(self.norms.max())  # more than the rounding of the distances to centres

    def pool(self, rows: np.ndarray, cell: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        """All points that can be among the k nearest of any of these ``rows`` of one cell.

        Beside them, for each row, a bound on the :meth:`closeness` of its k nearest.
        """
        to_centres = self.norms[rows, None] + _row_norms(self.centres) - 2 * self.points[rows] @ self.centres.T
        to_centres = np.sqrt(np.maximum(to_centres, 0.0))
        near = np.argsort(to_centres.mean(0), kind="stable")
        enough = 1 + np.searchsorted(np.cumsum(self.sizes[near]), min(8 * (k + 1), len(self.points)))
        few = np.concatenate([self.members[c] for c in near[:enough]])
        closeness, rounding = self.closeness(rows, cell, few)
        offset = _row_norms(self.points[rows] - self.centres[cell])
        kth = np.partition(closeness, k, axis=1)[:, k] + offset  # the row itself is among them
        bound = np.sqrt(np.maximum(kth, 0.0) + rounding) + self.margin
        reachable = (to_centres - self.radii <= bound[:, None]).any(0)
        pool = np.concatenate([self.members[c] for c in np.flatnonzero(reachable)])
        return pool, bound**2 - offset + rounding

    def closeness(self, rows: np.ndarray, cell: int, pool: np.ndarray) -> tuple[np.ndarray, float]:
        """Squared distances less a constant of each row, (n_rows, n_pool), and more than their rounding.

        In float32, but from the centre of the cell, near which all numbers are small.
        """
        here = (self.points[rows] - self.centres[cell]).astype(np.float32)
        there = (self.points[pool] - self.centres[cell]).astype(np.float32)
        norms = _row_norms(there)
        return norms - 2 * here @ there.T, 5e-7 * np.sqrt(here.shape[1]) * float(norms.max())


def _sorted_candidates(X: np.ndarray, rows: np.ndarray, candidates: np.ndarray, scale: float):
    """Distances to the candidates, and the candidates, by (distance, index); the row itself last, at infinity."""
    candidates = np.sort(candidates, axis=1)
    distances = np.empty(candidates.shape)
    step = max(1, BLOCK // (8 * candidates.shape[1] * X.shape[1]))
    buffer = np.empty((min(step, len(rows)), candidates.shape[1], X.shape[1]))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        difference = buffer[: len(rows[part])]
        np.take(X, candidates[part], axis=0, out=difference, mode="clip")
        difference -= X[rows[part], None, :]
        distances[part] = np.sqrt(np.einsum("ijk,ijk->ij", difference, difference))
    distances[candidates == rows[:, None]] = np.inf
    by_distance = np.argsort(np.round(distances / scale, DIGITS), axis=1, kind="stable")
    return np.take_along_axis(distances, by_distance, 1), np.take_along_axis(candidates, by_distance, 1)


def _row_norms(X: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", X, X)


def neighbor_graph(neighbors: Neighbors, *, bandwidth: float | str | None = None) -> sparse.csr_array:
    """Symmetric weights of the edges between neighbours: ``(W + W^T) / 2``.

    Parameters
    ----------
    neighbors : Neighbors
    bandwidth : float or "median", optional
        None gives every edge of W the weight 1; a number, or "median" (of all the distances in ``neighbors``), the
        weight ``exp(-d^2 / bandwidth^2)``.

    Returns
    -------
    sparse array, shape (n, n)

    Raises
    ------
    FloatingPointError
        If all weights of some point underflow: the walk could not leave it.
    """
    n, k = instance("neighbors", neighbors, Neighbors, advice="See nearest_neighbors.").indices.shape
    if bandwidth is None:
        weights = np.ones(n * k)
    else:
        sigma = _bandwidth("bandwidth", bandwidth, neighbors.distances, ("median",))
        weights = np.exp(-((neighbors.distances.ravel() / sigma) ** 2))
    pointers = np.arange(0, n * k + 1, k, dtype=np.int32 if n * k < 2**31 else np.int64)
    W = sparse.csr_array((weights, neighbors.indices.ravel().astype(pointers.dtype), pointers), shape=(n, n))
    W = (W + W.T) / 2
    if bandwidth is not None:
        W.eliminate_zeros()
        _check_degrees(W.sum(1), sigma, neighbors.distances)
    return W


def _check_degrees(degrees: np.ndarray, sigma: float, distances: np.ndarray) -> None:
    advice = f"Use bandwidth=None, or one nearer to the largest neighbour distance ({distances[:, -1].max():.3g})."
    lost = int(np.sum(degrees < np.finfo(float).tiny))
    if lost:
        raise FloatingPointError(
            f"exp(-d^2/bandwidth^2) underflowed at {lost} points (bandwidth={sigma:.3g}). {advice}"
        )
    faint = int(np.sum(degrees < 1e-10 * np.median(degrees)))
    if faint:
        warn(
            f"{faint} points have less than 1e-10 of the median degree (bandwidth={sigma:.3g}): "
            f"they are cut off from the walk and will pass for modes. {advice}",
        )


class Representatives(NamedTuple):
    """A few points that stand for many."""

    rows: np.ndarray  # (n_few,)   which points they are, ascending
    nearest: np.ndarray  # (n,)   for every point the place in ``rows`` of the one nearest to it


def representatives(X: Array, n: int, *, random_state: int = 0) -> Representatives:
    """A random draw of the points, and for every point the nearest drawn one: LAND for a million pixels.

    A graph of a million points takes 5.5 GB, and hours. A draw keeps what LAND goes by, the density and the pieces of the
    data; what it may miss is a material of less than some ``n_density_neighbors`` pixels in the draw. Labels of the drawn
    points are carried over by ``labels[nearest]``.

    Parameters
    ----------
    X : array, shape (n_points, n_features)
        NumPy, or a memory map. It passes by in blocks.
    n : int
        How many to draw; all points where there are no more.
    random_state : int

    Returns
    -------
    Representatives

    Raises
    ------
    ValueError
        If X is no table of finite numbers, or ``n`` no count.

    Examples
    --------
    >>> import numpy as np, wdl_tutorial as wt
    >>> X = np.random.default_rng(0).normal(size=(500, 2)) + 20 * (np.arange(500) < 250)[:, None]
    >>> few = wt.diffusion.representatives(X, 60)
    >>> land = wt.LAND(n_neighbors=10, n_density_neighbors=5).fit(X[few.rows])
    >>> labels = land.predict({int(i): str(few.rows[i] < 250) for i in land.query(2)})[few.nearest]
    >>> bool((labels[:250] == "True").all() and (labels[250:] == "False").all())
    True
    """
    X = to_numpy(as_float(X, name="X"))
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"X must be (n_points, n_features) with at least one point; got shape {X.shape}.")
    n = min(integer("n", n), len(X))
    check_seed(random_state)
    rows = np.sort(np.random.default_rng(random_state).choice(len(X), size=n, replace=False, shuffle=False))
    few, nearest = np.asarray(X[rows], dtype=float), np.empty(len(X), dtype=np.int64)
    centre = few.mean(axis=0)  # the distances stay, and rounding takes fewer of their digits
    few, step = few - centre, max(1, BLOCK // max(n, X.shape[1]))
    norms = _row_norms(few)
    for start in range(0, len(X), step):
        here = np.asarray(X[start : start + step], dtype=float) - centre
        if not np.isfinite(here).all():
            raise ValueError(f"X holds NaN or infinite values, the first in rows {start} to {start + len(here) - 1}.")
        nearest[start : start + step] = np.argmin(norms - 2 * here @ few.T, axis=1)
    nearest[rows] = np.arange(n)  # each stands for itself, whatever copies it has
    return Representatives(rows, nearest)


# ---------------------------------------------------------------------------------------------------------------------
# The walk


class DiffusionPairs(NamedTuple):
    """Eigenpairs of ``P = D^-1 W``, largest ``|eigenvalue|`` first; the first is (1, constant)."""

    eigenvalues: np.ndarray  # (n_eigenpairs,)
    eigenvectors: np.ndarray  # (n, n_eigenpairs), sum over points of stationary * eigenvector^2 is 1
    stationary: np.ndarray  # (n,), the degrees, summing to one


def diffusion_pairs(graph: sparse.csr_array, n_eigenpairs: int, *, random_state: int = 0) -> DiffusionPairs:
    """The leading eigenpairs of the random walk ``P = D^-1 W`` on a symmetric graph.

    By Lanczos in float64. The symmetric ``D^-1/2 W D^-1/2`` has the same eigenvalues, and orthonormal eigenvectors u;
    psi = u / sqrt(pi) are those of P with sum pi psi^2 = 1, the scale at which the diffusion distance is one between
    distributions of walks. The pairs with eigenvalue 1 are known (one for each connected piece) and are taken out
    before Lanczos looks for the others: a Krylov space sees a repeated eigenvalue only through rounding.

    Parameters
    ----------
    graph : sparse array, shape (n, n)
        From :func:`neighbor_graph`.
    n_eigenpairs : int
    random_state : int
        Of the first vector of Lanczos.

    Returns
    -------
    DiffusionPairs

    Raises
    ------
    ValueError
        If there are fewer points than eigenpairs, or fewer eigenpairs than connected pieces.
    RuntimeError
        If Lanczos does not converge.
    """
    n = _check_graph(graph).shape[0]
    check_seed(random_state)
    n_eigenpairs = _count("n_eigenpairs", n_eigenpairs, n - 1, n)
    known = _pieces(graph, n_eigenpairs)
    n_known = known.shape[1]
    degrees = graph.sum(1)
    scale = sparse.dia_array((1.0 / np.sqrt(degrees)[None, :], [0]), shape=(n, n))
    symmetric = (scale @ graph @ scale).tocsr()
    values, vectors = _lanczos(symmetric, known, n_eigenpairs - n_known, random_state)
    largest = np.argsort(-np.abs(values), kind="stable")
    values = np.concatenate([np.ones(n_known), values[largest]])
    vectors = np.concatenate([known, vectors[:, largest]], axis=1)
    stationary = degrees / degrees.sum()
    vectors /= np.sqrt(stationary)[:, None]
    top = np.argmax(np.abs(vectors), axis=0)
    vectors *= np.sign(vectors[top, np.arange(n_eigenpairs)])  # an eigenvector has no sign of its own
    return DiffusionPairs(values, vectors, stationary)


def _check_graph(graph: Any) -> sparse.csr_array:
    if not sparse.issparse(graph) or graph.ndim != 2 or graph.shape[0] != graph.shape[1]:
        raise TypeError(f"graph must be a square sparse array, as neighbor_graph makes it; got {shown(graph)}.")
    return graph


def _pieces(graph: sparse.csr_array, n_eigenpairs: int) -> np.ndarray:
    """Orthonormal eigenvectors of eigenvalue 1, (n, n_pieces), the stationary one first; warns if there are more."""
    n_pieces, piece = connected_components(graph, directed=False)
    degrees = graph.sum(1)
    share = np.bincount(piece, degrees)
    if n_pieces > 1:
        sizes = np.sort(np.bincount(piece))[::-1]
        text = (
            f"the graph falls into {n_pieces} pieces (sizes {', '.join(map(str, sizes[:5]))}{', ...' * (n_pieces > 5)})"
        )
        if n_pieces > n_eigenpairs:
            raise ValueError(
                f"{text}, more than n_eigenpairs={n_eigenpairs} can tell apart. Raise n_neighbors, or n_eigenpairs."
            )
        warn(f"{text}: no walk passes between them. Raise n_neighbors to join them.")
    # rotate the indicators of the pieces so that the first column is the square root of the stationary distribution
    first = np.sqrt(share / share.sum())
    rotation = np.linalg.qr(np.column_stack([first, np.eye(n_pieces)]))[0]
    indicators = np.sqrt(degrees / share[piece])
    return indicators[:, None] * rotation[piece] * np.sign(rotation[0, 0])


def _lanczos(symmetric, known: np.ndarray, n_pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``n_pairs`` largest eigenpairs by magnitude of a symmetric matrix, beside those of eigenvalue 1."""
    n = symmetric.shape[0]
    if n_pairs == 0:
        return np.empty(0), np.empty((n, 0))

    def without_known(x):
        return symmetric @ x - known @ (known.T @ x)

    start = np.random.default_rng(seed).standard_normal(n)
    try:
        with threadpool_limits(1, user_api="blas"):  # bound by memory: more threads would wait, not help
            return eigsh(
                LinearOperator((n, n), matvec=without_known, dtype=np.float64),
                n_pairs,
                which="LM",
                v0=start - known @ (known.T @ start),
                ncv=min(n, max(3 * n_pairs + 1, 40)),
            )
    except ArpackNoConvergence as error:
        raise RuntimeError(
            f"Lanczos found {len(error.eigenvalues)} of {n_pairs} eigenpairs. "
            "Ask for fewer (n_eigenpairs), or raise n_neighbors: the graph hardly holds together."
        ) from error


def diffusion_coordinates(eigenvalues: np.ndarray, eigenvectors: np.ndarray, time: float) -> np.ndarray:
    """Rows whose Euclidean distances are the diffusion distances at ``time``: ``|lambda|^t psi``.

    ``D_t(x, y)^2 = sum_l lambda_l^(2t) (psi_l(x) - psi_l(y))^2``: the weight is lambda^t, so that negative eigenvalues
    count by their magnitude. The constant, which moves no distance, is left out. Where lambda^t underflows the
    distances are 0: the walk has forgotten its start.

    Parameters
    ----------
    eigenvalues : array, shape (n_eigenpairs,)
    eigenvectors : array, shape (n, n_eigenpairs)
        From :func:`diffusion_pairs`.
    time : float, steps of the walk

    Returns
    -------
    array, shape (n, n_eigenpairs - 1)
    """
    eigenvectors = _checked_points(eigenvectors, "eigenvectors")
    eigenvalues = to_numpy(as_float(eigenvalues, name="eigenvalues")).astype(np.float64)
    time = _checked_time(time)
    if eigenvalues.shape != eigenvectors.shape[1:] or not np.isfinite(eigenvalues).all():
        raise ValueError(
            f"eigenvalues must be one finite number for each column of eigenvectors, {eigenvectors.shape[1]}; got "
            f"{shown(eigenvalues)}."
        )
    top = float(np.abs(eigenvalues[1:]).max(initial=0.0))
    if top > 1 and time * math.log(top) > 300:
        raise ValueError(f"eigenvalues of a walk are at most 1 in magnitude; {top:.3g} to the power of time overflows.")
    return eigenvectors[:, 1:] * np.abs(eigenvalues[1:]) ** time


def diffuse(graph: sparse.csr_array, start: int, n_steps: int) -> np.ndarray:
    """Where a walk that starts at one point is after some steps: a distribution over the points.

    No eigenpairs: the steps are taken. It tends to the stationary distribution, which is the degrees.

    Parameters
    ----------
    graph : sparse array, shape (n, n)
    start : int
        Index of the point.
    n_steps : int

    Returns
    -------
    array, shape (n,)
    """
    n = _check_graph(graph).shape[0]
    start, n_steps = integer("start", start, least=0, most=n - 1), integer("n_steps", n_steps, least=0)
    step = (sparse.diags_array(1.0 / graph.sum(1)) @ graph).T.tocsr()
    where = np.zeros(graph.shape[0])
    where[start] = 1.0
    for _ in range(n_steps):
        where = step @ where
    return where


# ---------------------------------------------------------------------------------------------------------------------
# Density, order, forest


def kernel_density(distances: np.ndarray, *, bandwidth: float | str = "mean") -> np.ndarray:
    """The density at each point, from the distances to its neighbours: ``sum exp(-d^2 / bandwidth^2)``.

    Parameters
    ----------
    distances : array, shape (n, k)
    bandwidth : float, "mean" or "median"
        The latter two of exactly these distances.

    Returns
    -------
    array, shape (n,), sums to one
    """
    return _density(distances, "bandwidth", bandwidth)


def _density(distances: np.ndarray, name: str, bandwidth: float | str) -> np.ndarray:
    distances = _checked_points(distances, "distances")
    if distances.min() < 0:
        raise ValueError(f"distances must not be negative; the smallest is {distances.min():.3g}.")
    sigma = _bandwidth(name, bandwidth, distances, ("mean", "median"))
    density = np.exp(-((distances / sigma) ** 2)).sum(1)
    total = density.sum()
    if not total > 0:
        raise FloatingPointError(
            f"the density underflowed everywhere ({name}={sigma:.3g}, the smallest of the distances between neighbours is "
            f"{distances.min():.3g}). Use {name}='mean'."
        )
    return density / total


def density_order(density: np.ndarray) -> np.ndarray:
    """The points by density, descending, then by index, where 12 digits of the maximum are compared.

    Parameters
    ----------
    density : array, shape (n,)

    Returns
    -------
    array of int, shape (n,)

    Examples
    --------
    >>> density_order(np.array([0.2, 0.3, 0.3 * (1 + 1e-15), 0.2]))
    array([1, 2, 0, 3])
    """
    density = to_numpy(as_float(density, name="density")).astype(np.float64)
    top = density.max(initial=0.0)
    if density.ndim != 1 or not (np.isfinite(density).all() and density.min(initial=0.0) >= 0 and top > 0):
        raise ValueError(f"density must be finite numbers (n,), none negative and not all 0; got {shown(density)}.")
    return np.argsort(-np.round(density / top, DIGITS), kind="stable")


class Forest(NamedTuple):
    """Of every point, the nearest denser one, and how far it is."""

    parents: np.ndarray  # (n,), -1 for the densest point
    distances: np.ndarray  # (n,), rho_t; for the densest point the distance to the farthest point


def parent_forest(coordinates: np.ndarray, order: np.ndarray) -> Forest:
    """Of every point the nearest one before it in the order, and how far: rho_t of eq. (1).

    Distances that agree to 12 digits of the largest distance from the densest point are equal, and of equally near
    points the earliest in the order is the parent. A KD-tree answers for nearly all points from a few neighbours; the
    modes, which have none before them among these, are compared with all that come before them, block by block.

    Parameters
    ----------
    coordinates : array, shape (n, d)
        Its Euclidean distances count.
    order : array of int, shape (n,)
        A permutation: the densest point first.

    Returns
    -------
    Forest
    """
    points = np.ascontiguousarray(coordinates[order])  # row r is the point of rank r: earlier is smaller
    n = len(points)
    to_top = cdist(points[:1], points)[0]
    unit = to_top.max()
    parent, distance = np.full(n, -1), np.zeros(n)
    distance[0] = unit
    if unit == 0.0:
        parent[1:] = 0  # all points coincide
    else:
        left = _parents_by_tree(points / unit, parent, distance)
        _parents_by_block(points / unit, left, parent, distance)
        distance[1:] *= unit
    parents, distances = np.full(n, -1), np.empty(n)
    parents[order[1:]] = order[parent[1:]]
    distances[order] = distance
    return Forest(parents, distances)


def _parents_by_tree(points: np.ndarray, parent: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Fill in the parents that are among a point's few nearest neighbours; returns the ranks that are left."""
    n = len(points)
    tree = cKDTree(points, balanced_tree=False)  # many points may coincide
    left = np.arange(1, n)
    for k in (8, 32, 128):
        if left.size == 0 or k >= n:
            break
        d, who = tree.query(points[left], k=k)
        before = np.where(who < left[:, None], d, np.inf)
        nearest = before.min(1)
        done = nearest + 10.0**-DIGITS < d[:, -1]  # all that are as near are in the list
        _choose(left[done], before[done], who[done], nearest[done], parent, distance)
        left = left[~done]
    return left


def _parents_by_block(points: np.ndarray, left: np.ndarray, parent: np.ndarray, distance: np.ndarray) -> None:
    for ranks in np.array_split(left, 1 + left.size * len(points) // BLOCK):
        if ranks.size:
            end = ranks.max()
            d = cdist(points[ranks], points[:end])
            d[np.arange(end) >= ranks[:, None]] = np.inf
            _choose(ranks, d, np.arange(end)[None, :], d.min(1), parent, distance)


def _choose(ranks, d, who, nearest, parent: np.ndarray, distance: np.ndarray) -> None:
    """The earliest in the order among the equally near."""
    parent[ranks] = np.where(d <= nearest[:, None] + 10.0**-DIGITS, who, len(parent)).min(1, initial=len(parent))
    distance[ranks] = nearest


def labelled_ancestors(parents: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Of every point the first labelled one among itself, its parent, its parent's parent, and so on.

    Parameters
    ----------
    parents : array of int, shape (n,)
        -1 where there is none.
    labelled : array of int
        Indices of the labelled points.

    Returns
    -------
    array of int, shape (n,)
        -1 where none is labelled.

    Examples
    --------
    >>> labelled_ancestors(np.array([-1, 0, 1, 0]), np.array([1]))
    array([-1,  1,  1, -1])
    """
    ancestor = parents.copy()
    ancestor[labelled] = labelled
    while True:  # twice as far up in each round
        further = np.where(ancestor >= 0, ancestor[ancestor], -1)
        if np.array_equal(further, ancestor):
            return ancestor
        ancestor = further


def nearest_of(coordinates: np.ndarray, points: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Of each of some points the nearest one among others; of equally near ones the first.

    Parameters
    ----------
    coordinates : array, shape (n, d)
    points, among : array of int
        Indices into the rows of ``coordinates``.

    Returns
    -------
    array of int, shape (len(points),)
    """
    found = np.empty(len(points), dtype=np.intp)
    unit = np.ptp(coordinates, axis=0).max(initial=0.0)
    step = max(1, BLOCK // len(among))
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        d = cdist(coordinates[points[part]], coordinates[among])
        found[part] = among[np.argmax(d <= d.min(1, keepdims=True) + 10.0**-DIGITS * unit, axis=1)]
    return found


# ---------------------------------------------------------------------------------------------------------------------
# The estimator


class Curve(NamedTuple):
    """Accuracy against the number of labels, over the candidates of :meth:`LAND.curve`."""

    budgets: np.ndarray  # (n_budgets,)
    accuracy: np.ndarray  # queried points included, as the paper counts
    accuracy_unqueried: np.ndarray  # over the others only; NaN where none is left
    queries: np.ndarray  # (max budget,), in the order asked


class Clusters(NamedTuple):
    """What LUND finds without labels."""

    labels: np.ndarray  # (n,), 0 .. n_clusters - 1, in the order of the modes
    modes: np.ndarray  # (n_clusters,), indices
    n_clusters: int


class LAND(BaseEstimator):
    """Ask for the labels that matter, then spread them: learning by active nonlinear diffusion.

    Takes any features: reflectances, histograms, dictionary weights, a network's code. Of a scene, the rows are
    ``scene.pixels()``, and ``scene.to_map(labels)`` makes a map of labels that are numbers.

    Parameters
    ----------
    n_neighbors : int
        Edges of each point in the graph, itself not counted.
    n_density_neighbors : int
        Neighbours that count in the density.
    time : float, at least 0
        How long the walk runs. ``query`` and ``predict`` read it when called: it may change after ``fit``.
    n_eigenpairs : int
        Terms of the diffusion distance, the trivial pair (1, constant) included.
    bandwidth : float or "median", optional
        None for edges of weight 1; a number or "median" (of all neighbour distances) for ``exp(-d^2 / bandwidth^2)``.
    density_bandwidth : float, "mean" or "median"
        The latter two of the distances to the ``n_density_neighbors``.
    merge_duplicates : bool
        Make one node of equal rows, which then counts once. The fitted attributes are then one per node: ``nodes_``
        names the first row of each, ``node_of_row_`` the node of each row. Rows in and rows out everywhere else.
    search : {"exact", "cells"}
        "cells" finds the same neighbours of 10^5 spectra sooner (:func:`nearest_neighbors`).
    random_state : int
        Seeds the start of Lanczos, and the cells.

    Attributes
    ----------
    eigenvalues_ : array, shape (n_eigenpairs,)
        By magnitude, the first is 1.
    eigenvectors_ : array, shape (n, n_eigenpairs)
        Scaled to sum pi psi^2 = 1.
    stationary_ : array, shape (n,)
        pi.
    density_ : array, shape (n,)
        Sums to 1.
    order_ : array of int, shape (n,)
        The points by density.
    graph_ : sparse array, shape (n, n)
        Symmetric weights.
    rho_ : array, shape (n,)
        At the present ``time``, the diffusion distance to the nearest denser point, not scaled; for the top point to
        the farthest.
    parents_ : array of int, shape (n,)
        Who that nearest denser point is; -1 for the top point.
    scores_ : array, shape (n,)
        Density times rho.

    Examples
    --------
    Two clouds of 50 points that nearly touch: two labels are enough.

    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (50, 2)), rng.normal(5, 1, (50, 2))])
    >>> land = LAND(n_neighbors=20, n_density_neighbors=10, time=20, n_eigenpairs=4).fit(X)
    >>> asked = land.query(2)
    >>> labels = land.predict({i: "left" if i < 50 else "right" for i in asked})
    >>> int(np.sum(labels[:50] == "left")), int(np.sum(labels[50:] == "right"))
    (50, 50)
    """

    def __init__(
        self,
        n_neighbors=100,
        n_density_neighbors=20,
        time=30,
        n_eigenpairs=10,
        bandwidth=None,
        density_bandwidth="mean",
        *,
        merge_duplicates=False,
        search="exact",
        random_state=0,
    ):
        self.n_neighbors = n_neighbors
        self.n_density_neighbors = n_density_neighbors
        self.time = time
        self.n_eigenpairs = n_eigenpairs
        self.bandwidth = bandwidth
        self.density_bandwidth = density_bandwidth
        self.merge_duplicates = merge_duplicates
        self.search = search
        self.random_state = random_state

    def fit(self, X: Array, y: object = None, *, neighbors: Neighbors | None = None) -> LAND:
        """Build the graph of the rows of X, its walk and its density.

        Parameters
        ----------
        X : array, shape (n, n_features)
        y : object
            Ignored.
        neighbors : Neighbors, optional
            What :func:`nearest_neighbors` found in X (in its distinct rows, with ``merge_duplicates``), as many as are
            needed or more: to try several settings at the price of one search.

        Returns
        -------
        LAND

        Raises
        ------
        ValueError
            For NaN, fewer points than neighbours or eigenpairs, neighbours that are all duplicates, or a graph in more
            pieces than eigenpairs.
        FloatingPointError
            If the weights of a point underflow.
        """
        X = _checked_points(X)
        self.n_features_in_ = X.shape[1]
        self.nodes_, self.node_of_row_ = _distinct_rows(X) if self.merge_duplicates else (None, None)
        X = X if self.nodes_ is None else X[self.nodes_]
        n = X.shape[0]
        n_neighbors = _count("n_neighbors", self.n_neighbors, n - 1, n)
        n_density_neighbors = _count("n_density_neighbors", self.n_density_neighbors, n - 1, n)
        n_eigenpairs = _count("n_eigenpairs", self.n_eigenpairs, n - 1, n)
        k = max(n_neighbors, n_density_neighbors)
        near = neighbors or nearest_neighbors(X, k, search=self.search, random_state=self.random_state)
        _check_neighbors(near, n, k)
        self.density_ = _density(near.distances[:, :n_density_neighbors], "density_bandwidth", self.density_bandwidth)
        self.order_ = density_order(self.density_)
        near = Neighbors(near.distances[:, :n_neighbors], near.indices[:, :n_neighbors])
        self.graph_ = neighbor_graph(near, bandwidth=self.bandwidth)
        pairs = diffusion_pairs(self.graph_, n_eigenpairs, random_state=self.random_state)
        self.eigenvalues_, self.eigenvectors_, self.stationary_ = pairs
        self._at: _AtTime | None = None
        return self

    def query(self, budget: int, candidates: Array | None = None) -> np.ndarray:
        """The rows to label, best first: by density times rho, equals by density and index.

        Parameters
        ----------
        budget : int
            How many.
        candidates : array of int or of bool, shape (n,), optional
            Rows that may be asked for, as indices or as a mask; None for all.

        Returns
        -------
        array of int, shape (budget,)
        """
        return self._asked("budget", budget, self._candidates(candidates))

    def _asked(self, name: str, budget: int, rows: np.ndarray) -> np.ndarray:
        """The best of these rows; ``name`` is what the caller calls their number."""
        ranking = self._now().ranking
        if self.nodes_ is None:
            allowed = np.zeros(len(ranking), dtype=bool)
            allowed[rows] = True
            best = ranking[allowed[ranking]]
        else:
            first = np.full(len(ranking), -1)  # of each node its first candidate row
            first[self.node_of_row_[rows][::-1]] = rows[::-1]
            best = first[ranking]
            best = best[best >= 0]
        return best[: _count(name, budget, len(best), len(best), "candidates")]

    def predict(self, labels: Mapping[int, Any]) -> np.ndarray:
        """Labels of all rows from those of a few: each copies its parent's (Algorithm 1).

        Points with no labelled ancestor, for which the algorithm has no rule, take the label of the nearest labelled
        point in diffusion distance, the densest of equally near ones.

        Parameters
        ----------
        labels : mapping of int to label
            Of each labelled row its label.

        Returns
        -------
        array, shape (n,)
        """
        given, values = self._given(labels)
        at = self._now()
        nodes, which = self._labelled_nodes(given)
        source = labelled_ancestors(at.forest.parents, nodes)
        orphans = np.flatnonzero(source < 0)
        if orphans.size:
            source[orphans] = nearest_of(at.coordinates, orphans, nodes)
        return self._spread(source, nodes, which, given, values)

    def predict_nearest(self, labels: Mapping[int, Any]) -> np.ndarray:
        """As :meth:`predict`, with the nearest labelled point in diffusion distance instead of the forest.

        With random queries this is the control that separates what the queries buy from what the distance buys.

        Parameters
        ----------
        labels : mapping of int to label

        Returns
        -------
        array, shape (n,)
        """
        given, values = self._given(labels)
        nodes, which = self._labelled_nodes(given)
        source = nearest_of(self._now().coordinates, np.arange(len(self.order_)), nodes)
        return self._spread(source, nodes, which, given, values)

    def curve(
        self,
        oracle: Array | Callable[[int], Any],
        budgets: Sequence[int],
        *,
        candidates: Array | None = None,
        queries: Array | None = None,
        nearest: bool = False,
    ) -> Curve:
        """Accuracy over the candidates for several budgets.

        Parameters
        ----------
        oracle : array, shape (n,), or callable
            The true labels, or a map of them in C order; or a function from an index to its label.
        budgets : sequence of int
            Numbers of labels, at least 1.
        candidates : array of int or of bool, optional
            The rows that have a true label; they may be queried, and over them accuracy is counted. None: all.
        queries : array of int, optional
            Rows in the order they are labelled, instead of LAND's own (a random control, say).
        nearest : bool
            Spread labels with :meth:`predict_nearest`.

        Returns
        -------
        Curve
        """
        rows = self._candidates(candidates)
        counts = array_of("budgets", budgets).ravel()
        if not counts.size or counts.dtype.kind not in "iu" or counts.min() < 1:
            raise ValueError(f"budgets must be integers of at least 1; got {counts.tolist()}.")
        most, largest = "the largest of budgets", int(counts.max())
        queries = self._asked(most, largest, rows) if queries is None else array_of("queries", queries).ravel()
        _count(most, largest, len(queries), len(queries), "queries")
        true = self._told(oracle, rows) if callable(oracle) else self._truth(oracle)[rows]
        label_of = dict(zip(rows.tolist(), true))
        strange = np.setdiff1d(queries[:largest], rows)
        if strange.size:
            raise ValueError(
                f"{strange.size} queries are no candidates (the first is row {strange[0]}): none has a label."
            )
        predict = self.predict_nearest if nearest else self.predict
        accuracy, unqueried = np.empty(len(counts)), np.full(len(counts), np.nan)
        for b, budget in enumerate(counts):
            asked = queries[:budget]
            right = predict({int(i): label_of[int(i)] for i in asked})[rows] == true
            accuracy[b] = right.mean()
            others = ~np.isin(rows, asked)
            if others.any():
                unqueried[b] = right[others].mean()
        return Curve(counts, accuracy, unqueried, queries)

    def cluster(self, n_clusters: int | None = None, *, max_clusters: int = 30) -> Clusters:
        """LUND: the same forest without labels. Each mode is a cluster; all other points copy their parent's.

        Parameters
        ----------
        n_clusters : int, optional
            If not given, where the score of the modes drops by the largest factor, ``score_k / score_(k+1)`` (Maggioni
            and Murphy, 2019).
        max_clusters : int
            The largest number tried.

        Returns
        -------
        Clusters
        """
        at = self._now()
        if n_clusters is None:
            top = at.scores[at.ranking][: integer("max_clusters", max_clusters) + 1]
            top = top[top > 0]
            n_clusters = 1 + int(np.argmax(top[:-1] / top[1:])) if len(top) > 1 else 1
        n_clusters = _count("n_clusters", n_clusters, len(at.ranking), len(at.ranking))
        modes = at.ranking[:n_clusters]
        number = np.full(len(at.ranking), -1)
        number[modes] = np.arange(n_clusters)
        labels = number[labelled_ancestors(at.forest.parents, modes)]  # the densest point is always the first mode
        if self.nodes_ is not None:
            modes, labels = self.nodes_[modes], labels[self.node_of_row_]
        return Clusters(labels, modes, n_clusters)

    @property
    def rho_(self) -> np.ndarray:
        at = self._now()
        return at.forest.distances * at.scale

    @property
    def parents_(self) -> np.ndarray:
        return self._now().forest.parents

    @property
    def scores_(self) -> np.ndarray:
        return self.density_ * self.rho_

    def _now(self) -> _AtTime:
        """Everything that depends on the present ``time``; kept until it changes."""
        check_is_fitted(self, "eigenvalues_")
        time = _checked_time(self.time)
        if self._at is None or self._at.time != time:
            self._at = _at_time(self.eigenvalues_, self.eigenvectors_, self.density_, self.order_, time)
        return self._at

    def _candidates(self, candidates: Array | None) -> np.ndarray:
        """Row indices, ascending and each once, from indices or a mask."""
        check_is_fitted(self, "eigenvalues_")
        n = len(self.order_) if self.nodes_ is None else len(self.node_of_row_)
        if candidates is None:
            return np.arange(n)
        rows = array_of("candidates", candidates).ravel()
        if rows.dtype == bool:
            if len(rows) != n:
                raise ValueError(f"a mask of candidates must have one entry per row, {n}; got {len(rows)}.")
            return np.flatnonzero(rows)
        if rows.size == n > 2 and np.isin(rows, (0, 1)).all():
            raise ValueError(
                "candidates holds a 0 or 1 for every row, which is a mask: give it as candidates.astype(bool)."
            )
        return np.unique(_checked_rows("candidates", rows, n))

    @staticmethod
    def _told(oracle: Callable[[int], Any], rows: np.ndarray) -> np.ndarray:
        try:
            return np.array([oracle(int(i)) for i in rows])
        except TypeError as error:
            raise TypeError(f"oracle must be a function from an index to its label: {error}") from error

    def _truth(self, oracle: Array) -> np.ndarray:
        """True labels, one per row."""
        true = array_of("oracle", oracle).ravel()
        n = len(self.order_) if self.nodes_ is None else len(self.node_of_row_)
        if len(true) != n:
            raise ValueError(f"oracle must hold one label per row, {n}; got {len(true)}. Leave masked pixels out.")
        return true

    def _given(self, labels: Mapping[int, Any]) -> tuple[np.ndarray, np.ndarray]:
        """The labelled rows, and their labels."""
        check_is_fitted(self, "eigenvalues_")
        if not isinstance(labels, Mapping) or not labels:
            raise ValueError(
                f"predict needs labels as {{index: label}}, at least one label; got {shown(labels)}. Use query(budget) "
                "to choose indices."
            )
        n = len(self.order_) if self.nodes_ is None else len(self.node_of_row_)
        return _checked_rows("the rows of labels", np.array(list(labels)), n), np.array(list(labels.values()))

    def _labelled_nodes(self, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The labelled nodes, densest first, and for each the position of its label: of equal rows the first given."""
        nodes, which = np.unique(given if self.nodes_ is None else self.node_of_row_[given], return_index=True)
        rank = np.empty(len(self.order_), dtype=np.intp)
        rank[self.order_] = np.arange(len(rank))
        by_density = np.argsort(rank[nodes])
        return nodes[by_density], which[by_density]

    def _spread(self, source, nodes, which, given, values) -> np.ndarray:
        """The labels of the source of each node, for all rows; labelled rows keep their own."""
        position = np.full(len(self.order_), -1)
        position[nodes] = which
        labels = values[position[source]]
        if self.nodes_ is not None:
            labels = labels[self.node_of_row_]
            labels[given] = values
        return labels


class _AtTime(NamedTuple):
    """What changes with the time; lengths are in units of ``scale``, so that lambda^t may underflow harmlessly."""

    time: float
    scale: float  # |lambda_2|^t
    coordinates: np.ndarray
    forest: Forest
    scores: np.ndarray
    ranking: np.ndarray  # by score, descending


def _at_time(eigenvalues, eigenvectors, density, order, time: float) -> _AtTime:
    second = float(np.abs(eigenvalues[1:2]).max(initial=0.0))
    ratios = eigenvalues / (second or 1.0)
    coordinates = diffusion_coordinates(ratios, eigenvectors, time)
    forest = parent_forest(coordinates, order)
    scores = density * forest.distances
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    rounded = np.round(scores / (scores.max() or 1.0), DIGITS)
    scale = second**time
    if scale < np.finfo(float).tiny:
        warn(
            f"after time={time:g} all diffusion distances underflow (the second eigenvalue is {second:.3g}): "
            "rho_ and scores_ are 0, and the order of queries is that of their limit. Use a smaller time.",
        )
    return _AtTime(time, scale, coordinates, forest, scores, np.lexsort((rank, -rounded)))


# ---------------------------------------------------------------------------------------------------------------------
# Checks


def _checked_points(X: Array, name: str = "X") -> np.ndarray:
    if callable(getattr(X, "pixels", None)):
        raise TypeError(f"{name} must be an array; got a {type(X).__name__}. Use scene.pixels().")
    X = np.asarray(to_numpy(as_float(X, name=name)), dtype=np.float64)
    if X.ndim != 2 or X.shape[1] == 0:
        raise ValueError(
            f"{name} must have shape (n_points, n_features), got {X.shape}. Use cube.reshape(-1, n_bands)."
        )
    if X.shape[0] < 2:
        raise ValueError(f"{name} must have at least 2 rows, for there to be neighbours; got {X.shape[0]}.")
    bad = ~np.isfinite(X).all(1)
    if bad.any():
        raise ValueError(
            f"{name} holds NaN or infinite values in {int(bad.sum())} rows, first in row {int(np.argmax(bad))}. "
            "Remove or mend these rows."
        )
    return squarable(name, np.ascontiguousarray(X))


def _count(name: str, value: int, high: int, n: int, of: str = "points") -> int:
    if not is_integer(value):
        raise TypeError(f"{name} must be an integer, got {shown(value)}.")
    if not 1 <= value <= high:
        where = " of X" if of == "points" else ""
        raise ValueError(
            f"{name} must be between 1 and {high} for {n} {of}{where}, got {shown(value)}. Lower it, or add {of}."
        )
    return int(value)


def _check_neighbors(neighbors: Neighbors, n: int, k: int) -> None:
    rows, columns = neighbors.indices.shape
    if rows != n or columns < k:
        raise ValueError(
            f"neighbors must hold {n} points and at least {k} neighbours of each; got {rows} and {columns}. "
            "Use nearest_neighbors(X, k), or leave it out."
        )


def _checked_time(time: float) -> float:
    return number("time", time, least=0)


def _checked_rows(name: str, rows: np.ndarray, n: int) -> np.ndarray:
    if not rows.size:
        raise ValueError(f"{name} is empty: name at least one row.")
    if rows.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {rows.dtype}.")
    if rows.size and not (0 <= rows.min() and rows.max() < n):
        raise ValueError(f"{name} must be between 0 and {n - 1}, got {rows.min()} to {rows.max()}.")
    return rows.astype(np.intp)


def _bandwidth(name: str, value: float | str, distances: np.ndarray, names: tuple[str, ...]) -> float:
    """A number, or a statistic of the distances."""
    if value not in names if isinstance(value, str) else not is_number(value):
        raise ValueError(f"{name} must be a number or one of {names}, got {shown(value)}.")
    if isinstance(value, str):
        sigma = float(np.mean(distances) if value == "mean" else np.median(distances))
    else:
        sigma = float(value)
    if not 1e-100 < sigma < 1e100:
        raise ValueError(
            f"{name}={shown(value)} gives {sigma:g}, and must be positive and finite. "
            "Where most neighbours are duplicates, use merge_duplicates=True, more neighbours, or a number."
        )
    return sigma


def _distinct_rows(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first row of each group of equal rows, in the order of X, and the group of each row."""
    _, first, group = np.unique(X, axis=0, return_index=True, return_inverse=True)
    by_first = np.argsort(first)
    number = np.empty_like(by_first)
    number[by_first] = np.arange(len(first))
    return first[by_first], number[group.ravel()]
