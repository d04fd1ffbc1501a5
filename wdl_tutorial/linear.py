"""Baselines: PCA, NMF, VCA, NNLS, FCLS, bilinear and variable-endmember models, and how many endmembers there are.

Pixels X are (n_pixels, n_bands), endmembers (n_endmembers, n_bands), abundances (n_pixels, n_endmembers), and the
linear mixing model is ``X = abundances @ endmembers``. VCA, NNLS, FCLS, the bilinear fit and the models whose endmembers
differ from pixel to pixel (ELMM, GLMM, PLMM) run on arrays of any backend, in float64 inside; PCA, NMF and the counts are
NumPy and scikit-learn.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from . import gaussnewton, leastsquares, variability
from ._array import (
    Array,
    array_namespace,
    as_float,
    backend_name,
    double,
    is_array,
    is_numpy,
    number,
    to_backend,
    to_numpy,
)
from ._checks import choice, floats, generator_of, integer, squarable
from ._checks import number as finite_number
from .iterate import ConvergenceWarning, run, warn, warn_not_converged

KKT_TOLERANCE = 1e-10  # of the optimality conditions, relative to max |M^T X|; rounding leaves about 1e-15


class Unmixed(NamedTuple):
    """Abundances for given endmembers."""

    abundances: Array  # (n_pixels, n_endmembers)
    endmembers: Array  # (n_endmembers, n_bands), as given

    def reconstruct(self) -> Array:
        """The pixels that the model makes: ``abundances @ endmembers``.

        Returns
        -------
        array, shape (n_pixels, n_bands)
        """
        return self.abundances @ self.endmembers


class PCAResult(NamedTuple):
    """Principal components in the place of endmembers; both signs occur in both arrays."""

    endmembers: np.ndarray  # (n_endmembers, n_bands) orthonormal
    abundances: np.ndarray  # (n_pixels, n_endmembers) scores
    mean: np.ndarray  # (n_bands,)
    explained_variance_ratio: np.ndarray  # (n_endmembers,); zeros where all pixels are equal

    def reconstruct(self) -> np.ndarray:
        """The pixels that the model makes: ``mean + abundances @ endmembers``.

        Returns
        -------
        array, shape (n_pixels, n_bands)
        """
        return self.mean + self.abundances @ self.endmembers


class NMFResult(NamedTuple):
    """Non-negative factors of X; one of many pairs that fit as well."""

    endmembers: np.ndarray  # (n_endmembers, n_bands)
    abundances: np.ndarray  # (n_pixels, n_endmembers)
    n_iter: int
    converged: bool
    error: float  # ||X - abundances @ endmembers||_F / ||X||_F

    def reconstruct(self) -> np.ndarray:
        """The pixels that the model makes: ``abundances @ endmembers``.

        Returns
        -------
        array, shape (n_pixels, n_bands)
        """
        return self.abundances @ self.endmembers


class VCAResult(NamedTuple):
    """Endmembers found among the pixels."""

    endmembers: Array  # (n_endmembers, n_bands)
    indices: np.ndarray  # (n_endmembers,) which rows of X they are: of ``scene.pixels()`` they count valid pixels only
    snr_db: float  # the signal-to-noise ratio that chose the projection


class BilinearResult(NamedTuple):
    """Abundances and strengths of interaction under a bilinear mixing model."""

    abundances: Array  # (n_pixels, n_endmembers) on the simplex
    interactions: Array  # (n_pixels, n_pairs) gamma_ij; ones in Fan's model
    pairs: tuple[tuple[int, int], ...]  # (i, j), i < j, in the order of interactions
    endmembers: Array  # (n_endmembers, n_bands), as given
    converged: Array  # (n_pixels,) bool

    def reconstruct(self) -> Array:
        """The pixels that the model makes: ``sum_i a_i m_i + sum_{i<j} gamma_ij a_i a_j m_i m_j``.

        Returns
        -------
        array, shape (n_pixels, n_bands)
        """
        first, second = gaussnewton.pair_columns(self.abundances, self.pairs)
        left, right = gaussnewton.pair_columns(
            array_namespace(self.endmembers).matrix_transpose(self.endmembers), self.pairs
        )
        products = array_namespace(left).matrix_transpose(left * right)
        return self.abundances @ self.endmembers + (self.interactions * first * second) @ products


class VariableResult(NamedTuple):
    """Abundances, and endmembers that differ from pixel to pixel."""

    abundances: Array  # (n_pixels, n_endmembers) on the simplex
    endmembers: Array  # (n_pixels, n_endmembers, n_bands)
    reference: Array  # (n_endmembers, n_bands) what they vary about: as given; of PLMM as learned
    factors: Array  # (n_pixels, n_endmembers) of ELMM, (n_pixels, n_endmembers, n_bands) of GLMM; ones of PLMM
    n_iter: int
    converged: bool

    def reconstruct(self) -> Array:
        """The pixels that the model makes: ``sum_i a_ni s_ni`` in pixel n.

        Returns
        -------
        array, shape (n_pixels, n_bands)
        """
        return leastsquares.mix(self.abundances, self.endmembers)


class EndmemberCount(NamedTuple):
    """An estimate of the number of endmembers, and the curve it was read from."""

    n_endmembers: int
    candidates: np.ndarray  # (n_candidates,) the numbers that were tried
    curve: np.ndarray  # (n_candidates,) see the method
    method: str


# ------------------------------------------------------------------------------------------------------------ checks


def _refuse_scene(X: object, name: str) -> None:
    if callable(getattr(X, "pixels", None)):
        raise TypeError(f"{name} must be an array; got a {type(X).__name__}. Use scene.pixels().")


def _pixels(X: Array, name: str = "X") -> Array:
    """Pixels (or endmembers) as a finite two-dimensional float array."""
    _refuse_scene(X, name)
    X = as_float(X, name=name)
    xp = array_namespace(X)
    if X.ndim != 2 or 0 in X.shape:
        rows = "n_pixels" if name == "X" else "n_endmembers"
        raise ValueError(
            f"{name} must be a non-empty ({rows}, n_bands) array; got shape {tuple(X.shape)}. "
            "Reshape a cube with cube.reshape(-1, n_bands), and write one spectrum as x[None, :]."
        )
    finite = xp.isfinite(X)
    if not bool(xp.all(finite)):
        bad = to_numpy(~xp.all(finite, axis=1))
        raise ValueError(
            f"{name} holds NaN or infinite entries in {int(bad.sum())} of {bad.shape[0]} rows "
            f"(row {int(bad.argmax())} is the first). Mask those pixels, or drop the bad bands."
        )
    return squarable(name, X)


def _host_pixels(X: Array, what: str) -> np.ndarray:
    if is_array(X) and not is_numpy(X):
        raise TypeError(
            f"{what} runs on NumPy arrays; got {backend_name(X)}. Convert X first: nothing is moved silently."
        )
    return _pixels(X)


def _count(n_endmembers: int, X: Array, least: int = 1) -> int:
    """How many endmembers: no more than there are pixels, or bands."""
    n_pixels, n_bands = X.shape
    n_endmembers = integer("n_endmembers", n_endmembers, least=least)
    if n_endmembers > min(n_pixels, n_bands):
        raise ValueError(
            f"n_endmembers is {n_endmembers}, more than X has {'pixels' if n_pixels < n_bands else 'bands'} "
            f"({n_pixels} pixels, {n_bands} bands). Ask for fewer."
        )
    return n_endmembers


def _pixels_and_endmembers(X: Array, endmembers: Array) -> tuple[Array, Array]:
    for name, x in (("X", X), ("endmembers", endmembers)):
        _refuse_scene(x, name)
    X, endmembers = floats(X=X, endmembers=endmembers)
    X, endmembers = _pixels(X), _pixels(endmembers, "endmembers")
    if X.shape[1] != endmembers.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} bands but endmembers have {endmembers.shape[1]}. "
            "Endmembers are (n_endmembers, n_bands), one spectrum per row, on the bands of X."
        )
    return X, endmembers


def _warn_units(X: Array, endmembers: Array) -> None:
    """Fractions that sum to one cannot make up for another unit: every pixel would be the brightest, or the darkest, one."""
    xp = array_namespace(X, endmembers)
    pixel, endmember = number(xp.max(xp.abs(X))), number(xp.max(xp.abs(endmembers)))
    if pixel > 100 * endmember > 0:
        warn(
            f"X reaches {pixel:.3g} and endmembers {endmember:.3g}: they seem to be in different units, or pixels are "
            "saturated. Divide X by its scale to reflectance (often 1e4), or mask those pixels.",
        )
    if endmember > 100 * pixel > 0:
        warn(
            f"X reaches {pixel:.3g} and endmembers {endmember:.3g}: they seem to be in different units. Divide endmembers "
            "by their scale to reflectance (often 100, or 1e4).",
        )


def _chunks(n: int, per_pixel: int) -> Iterator[slice]:
    """Slices over ``n`` pixels that keep the solver's factors, ``per_pixel`` numbers each, at about 64 MB."""
    size = max(256, 8_000_000 // max(per_pixel, 1))
    return (slice(k, min(k + size, n)) for k in range(0, n, size))


# ---------------------------------------------------------------------------------------------------- PCA, NMF, VCA


def pca(X: Array, n_endmembers: int, *, random_state: int | np.random.Generator | None = None) -> PCAResult:
    """The affine subspace nearest to the pixels: min ``||X - mean - scores @ components||``.

    NumPy and scikit-learn only.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
    n_endmembers : int
        Number of components, at most ``min(n_pixels, n_bands)``. ``n`` endmembers that mix linearly, with fractions
        that sum to one, span ``n - 1`` components.
    random_state : int or numpy.random.Generator, optional
        Not used: the decomposition is exact. Here so that PCA, NMF and VCA are called alike.

    Returns
    -------
    PCAResult

    Raises
    ------
    ValueError
        If X is not two-dimensional, holds NaN, or has fewer pixels or bands than ``n_endmembers``.

    Examples
    --------
    >>> pca([[0, 0], [2, 2], [4, 4]], 1).mean
    array([2., 2.])
    """
    from sklearn.decomposition import PCA

    X = _host_pixels(X, "pca")
    n_endmembers = _count(n_endmembers, X)
    model = PCA(n_endmembers, svd_solver="covariance_eigh" if X.shape[0] > 2 * X.shape[1] else "full")
    with np.errstate(invalid="ignore"):  # the ratio is 0 / 0 where all pixels are equal
        scores = model.fit_transform(X)
    return PCAResult(model.components_, scores, model.mean_, np.nan_to_num(model.explained_variance_ratio_))


def nmf(
    X: Array,
    n_endmembers: int,
    *,
    random_state: int | np.random.Generator | None = None,
    init: str = "random",
    max_iter: int = 2000,
    tol: float = 1e-4,
) -> NMFResult:
    """Non-negative factors: min ``||X - abundances @ endmembers||_F``, both non-negative.

    NumPy and scikit-learn only. The solution is far from unique: on real spectra every start fits equally well with
    other endmembers. What the scales of the factors are is arbitrary, too; here they are the ones that bring the sums
    of the abundances closest to one (least squares). The sums are not constrained.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
        Non-negative.
    n_endmembers : int
        Number of components, at most ``min(n_pixels, n_bands)``.
    random_state : int or numpy.random.Generator, optional
        Of the start; None draws a fresh one.
    init : {"random", "nndsvda"}
        scikit-learn's name of the start; the second is the same for every seed.
    max_iter : int
    tol : float
        Coordinate descent stops at this relative tolerance.

    Returns
    -------
    NMFResult

    Raises
    ------
    ValueError
        If X is negative somewhere, not two-dimensional, holds NaN, or is smaller than ``n_endmembers``.

    Warns
    -----
    ConvergenceWarning
        If it is not there after ``max_iter`` rounds.
    """
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning as SklearnWarning

    X = _host_pixels(X, "nmf")
    n_endmembers = _count(n_endmembers, X)
    max_iter, tol = integer("max_iter", max_iter), finite_number("tol", tol, least=0)
    choice("init", init, ("random", "nndsvd", "nndsvda", "nndsvdar"))
    if X.min() < 0:
        raise ValueError(f"nmf needs non-negative data; the smallest entry of X is {X.min():.3g}. Clip it at 0 first.")
    seed = int(generator_of(random_state).integers(2**31))
    model = NMF(n_endmembers, init=init, max_iter=max_iter, tol=tol, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SklearnWarning)  # ours follows, and names the remedy
        abundances = model.fit_transform(X)
    converged = model.n_iter_ < max_iter
    error = model.reconstruction_err_ / max(float(np.linalg.norm(X)), np.finfo(float).tiny)
    if not converged:
        warn(
            f"NMF stopped after {model.n_iter_} iterations, at relative error {error:.3g}, before it reached "
            f"tol {tol:g}. Raise max_iter or tol.",
            ConvergenceWarning,
        )
    scale = _scale_to_sum_one(abundances)
    return NMFResult(model.components_ / scale[:, None], abundances * scale, int(model.n_iter_), converged, error)


def _scale_to_sum_one(abundances: np.ndarray) -> np.ndarray:
    """Positive scales c, one per column, with ``abundances @ c`` closest to one; one common scale where none exist."""
    weights = abundances.astype(np.float64)
    scale = np.linalg.lstsq(weights, np.ones(len(weights)), rcond=None)[0]
    if scale.min() <= 0:
        scale = np.full(weights.shape[1], 1.0 / max(float(weights.sum(axis=1).mean()), np.finfo(float).tiny))
    return scale.astype(abundances.dtype)


def vca(
    X: Array,
    n_endmembers: int,
    *,
    random_state: int | np.random.Generator | None = None,
    snr_db: float | None = None,
    denoise: bool = True,
) -> VCAResult:
    """Find the pixels at the corners of the data: vertex component analysis.

    Linear mixtures fill a simplex whose corners are pure pixels, and a linear function is largest at a corner. Again
    and again, take a random direction orthogonal to the corners found so far, and the pixel that lies farthest along
    (Nascimento and Bioucas-Dias, 2005).

    Before that the pixels are projected, by one of two rules (the paper's). The first, where the signal-to-noise ratio
    is at least 15 + 10 log10(n_endmembers) dB: on the span of the first n_endmembers singular vectors, then divided by
    their component along the mean, which undoes shading; pixels whose component is below 1 % of its mean (shadow, fill
    values) cannot become endmembers then, as the division would blow up their noise. The second, otherwise, and where
    more than 1 % of the pixels lie behind the origin (centred data): on the first n_endmembers - 1 principal
    components, around the mean.

    The division also blows up the noise of dark materials that are no fill values, such as water: the same pond may
    then be found three times in a scene of little noise. ``snr_db=0`` asks for the second rule, which divides by
    nothing (and no longer undoes shading); or mask the dark pixels. See the last example. Neither rule is the better
    one everywhere: mean angles to the true endmembers, in degrees, by the first and by the second (medians over 20
    seeds), are 3.0 and 0.8 in the teaching scene, 18.4 and 8.2 in Jasper Ridge, 3.8 and 4.2 in Samson, 0.5 and 2.7 in
    DC1, which has no water.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
    n_endmembers : int
        From 2 to ``min(n_pixels, n_bands)``.
    random_state : int or numpy.random.Generator, optional
        Of the directions; None draws a fresh one.
    snr_db : float, dB, optional
        The signal-to-noise ratio, if known, which chooses the rule: ``math.inf`` for the first, 0 for the second.
        Estimated if not given: signal is what lies in the principal subspace.
    denoise : bool
        Return the endmembers as projected on the signal subspace; else the pixels themselves.

    Returns
    -------
    VCAResult

    Raises
    ------
    ValueError
        If X is not two-dimensional, holds NaN, is smaller than ``n_endmembers``, or spans too few directions.

    Examples
    --------
    >>> X = [[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5], [0, 0, 1]]
    >>> sorted(vca(X, 3, random_state=0).indices.tolist())
    [0, 1, 4]

    How often a pond is found among the seven materials of a scene, by either rule:

    >>> from wdl_tutorial.datasets import make_teaching_scene
    >>> scene = make_teaching_scene()
    >>> scene = scene.drop_bands(scene.extra["bad_band"])
    >>> for snr_db in (None, 0):
    ...     found = vca(scene.pixels(), 7, random_state=0, snr_db=snr_db)
    ...     print([scene.label_names[code] for code in scene.labels.ravel()[found.indices]].count("water"))
    3
    1
    """
    X = _pixels(X)
    if snr_db is not None and not (isinstance(snr_db, float) and math.isinf(snr_db)):
        snr_db = finite_number("snr_db", snr_db, unless=", infinite, or None to estimate it")
    n_endmembers = _count(n_endmembers, X, least=2)
    xp = array_namespace(X)
    pixels = double(X)
    projected, denoised, usable, snr_db = _project(pixels, n_endmembers, snr_db)
    indices = _corners(projected, usable, n_endmembers, generator_of(random_state))
    chosen = xp.take(denoised if denoise else pixels, to_backend(indices, X), axis=0)
    return VCAResult(xp.astype(chosen, X.dtype), indices, snr_db)


def _project(pixels: Array, k: int, snr_db: float | None) -> tuple[Array, Array, Array, float]:
    """Pixels in k coordinates, as their signal subspace shows them, which may become endmembers, and the SNR."""
    xp = array_namespace(pixels)
    mean = xp.mean(pixels, axis=0)
    if snr_db is None:
        snr_db = _estimate_snr(pixels, mean, k)
    along = pixels @ mean
    behind = number(xp.mean(xp.astype(along < -0.01 * xp.mean(along), along.dtype)))
    if snr_db >= 15 + 10 * math.log10(k) and behind <= 0.01:  # centred pixels cannot be seen from the origin
        return *_project_through_origin(pixels, k), snr_db
    return *_project_around_mean(pixels, mean, k), snr_db


def _principal(pixels: Array, k: int) -> tuple[Array, Array]:
    """The k leading eigenvectors of pixels^T pixels / n, (n_bands, k), and all eigenvalues; signs fixed."""
    return _leading(array_namespace(pixels).matrix_transpose(pixels) @ pixels / pixels.shape[0], k)


def _leading(gram: Array, k: int) -> tuple[Array, Array]:
    """The k leading eigenvectors of a symmetric matrix, and all its eigenvalues, largest first; signs fixed."""
    xp = array_namespace(gram)
    values, vectors = xp.linalg.eigh(gram)
    vectors = xp.flip(vectors, axis=1)[:, :k]
    largest = xp.take_along_axis(vectors, xp.argmax(xp.abs(vectors), axis=0)[None, :], axis=0)
    return vectors * xp.sign(largest), xp.flip(values, axis=0)  # a seed means the same on every backend


def _estimate_snr(pixels: Array, mean: Array, k: int) -> float:
    """10 log10 of signal power over noise power, the signal being what k principal directions and the mean hold."""
    return _snr(mean, _principal(pixels - mean, k)[1], k)


def _snr(mean: Array, values: Array, k: int) -> float:
    xp = array_namespace(mean)
    noise = number(xp.sum(values[k:]))
    total = number(xp.sum(values)) + number(xp.sum(mean * mean))
    signal = (total - noise) - k / mean.shape[0] * total
    if noise <= 1e-12 * total:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def _project_through_origin(pixels: Array, k: int) -> tuple[Array, Array, Array]:
    xp = array_namespace(pixels)
    basis, _ = _principal(pixels, k)
    inside = pixels @ basis
    projected, usable = _seen_from_origin(inside)
    return projected, inside @ xp.matrix_transpose(basis), usable


def _seen_from_origin(inside: Array) -> tuple[Array, Array]:
    """Pixels divided by their component along the mean, and which of them may be."""
    xp = array_namespace(inside)
    along = inside @ xp.mean(inside, axis=0)
    usable = along > 0.01 * xp.mean(along)
    return inside / xp.where(usable, along, xp.ones_like(along))[:, None], usable


def _project_around_mean(pixels: Array, mean: Array, k: int) -> tuple[Array, Array, Array]:
    xp = array_namespace(pixels)
    basis, _ = _principal(pixels - mean, k - 1)
    inside = (pixels - mean) @ basis
    lifted, usable = _lifted(inside)
    return lifted, inside @ xp.matrix_transpose(basis) + mean, usable


def _lifted(inside: Array) -> tuple[Array, Array]:
    """Pixels with one coordinate more, the largest radius: all of them may be endmembers."""
    xp = array_namespace(inside)
    radius = xp.sqrt(xp.max(xp.sum(inside * inside, axis=1)))
    lifted = xp.concat([inside, xp.broadcast_to(radius, (inside.shape[0], 1))], axis=1)
    return lifted, xp.ones_like(inside[:, 0], dtype=xp.bool)


def _corners(projected: Array, usable: Array, k: int, rng: np.random.Generator) -> np.ndarray:
    """The pixels that lie farthest along k directions, each orthogonal to the corners before it."""
    xp = array_namespace(projected)
    size = number(xp.max(xp.where(usable, xp.max(xp.abs(projected), axis=1), xp.zeros_like(projected[:, 0]))))
    found = np.eye(k)[:, -1:]  # the paper's start, replaced by the first corner
    indices: list[int] = []
    for _ in range(k):
        direction = rng.normal(size=k)
        basis = np.linalg.qr(found)[0]
        direction -= basis @ (basis.T @ direction)
        direction /= np.linalg.norm(direction)
        reach = xp.where(usable, xp.abs(projected @ to_backend(direction, projected)), xp.zeros_like(projected[:, 0]))
        best = int(xp.argmax(reach))
        if number(reach[best]) <= 1e-9 * size:
            raise ValueError(
                f"the pixels of X span only {len(indices)} directions, so {k} endmembers cannot be told apart. "
                "Ask for fewer n_endmembers."
            )
        indices.append(best)
        found = np.stack([to_numpy(projected[i, :]) for i in indices], axis=1)
    return np.array(indices)


def vca_in_blocks(
    blocks: Callable[[], Iterable[np.ndarray]],
    n_endmembers: int,
    *,
    random_state: int | np.random.Generator | None = None,
    snr_db: float | None = None,
) -> VCAResult:
    """The :func:`vca` of pixels that never lie in memory together.

    The blocks are gone through four times.

    Parameters
    ----------
    blocks : callable
        Called for an iterator over NumPy arrays, shape (n, n_bands), the same ones each time.
    n_endmembers : int
    random_state : int or numpy.random.Generator, optional
    snr_db : float, dB, optional
        As for :func:`vca`.

    Returns
    -------
    VCAResult
        The indices count the pixels of all blocks in order; the endmembers are those of :func:`vca` up to rounding.

    Raises
    ------
    ValueError
        If there are fewer pixels or bands than ``n_endmembers``, or they span too few directions.
    """
    n = sum(len(x) for x in blocks())
    mean = sum(x.sum(axis=0) for x in blocks()) / n
    k = _count(n_endmembers, np.broadcast_to(mean, (n, len(mean))), least=2)
    around, along = np.zeros((len(mean), len(mean))), np.empty(n)
    start = 0
    for x in blocks():
        centred = x - mean
        around += centred.T @ centred
        along[start : start + len(x)] = x @ mean
        start += len(x)
    around /= n
    if snr_db is None:
        snr_db = _snr(mean, _leading(around, k)[1], k)
    behind = float(np.mean(along < -0.01 * along.mean()))
    from_origin = snr_db >= 15 + 10 * math.log10(k) and behind <= 0.01
    basis = _leading(around + np.outer(mean, mean), k)[0] if from_origin else _leading(around, k - 1)[0]
    origin = np.zeros_like(mean) if from_origin else mean
    inside = np.concatenate([(x - origin) @ basis for x in blocks()])
    projected, usable = _seen_from_origin(inside) if from_origin else _lifted(inside)
    indices = _corners(projected, usable, k, generator_of(random_state))
    return VCAResult(inside[indices] @ basis.T + origin, indices, snr_db)


class Corners(NamedTuple):
    """Pixels that were chosen as endmembers."""

    endmembers: np.ndarray  # (n_endmembers, n_bands)
    indices: np.ndarray  # (n_endmembers,) which rows of X they are


def atgp(X: Array, n_endmembers: int) -> Corners:
    """The automatic target generator: again and again the pixel farthest from the span of those before it.

    NumPy. Orthogonal projection, without a random number (Ren and Chang, 2003, doi:10.1109/TAES.2003.1261124). It likes
    bright and rare pixels, and takes an outlier for a target.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
    n_endmembers : int

    Returns
    -------
    Corners

    Raises
    ------
    ValueError
        If X is not two-dimensional, holds NaN, is smaller than ``n_endmembers``, or spans too few directions.

    Examples
    --------
    >>> atgp([[1.0, 0, 0], [0, 3, 0], [0.5, 0.5, 0], [0, 0, 2]], 3).indices
    array([1, 3, 0])
    """
    X = _host_pixels(X, "atgp").astype(np.float64)
    n = _count(n_endmembers, X)
    left = X.copy()
    indices: list[int] = []
    size = float(np.sqrt((X**2).sum(axis=1).max()))
    for _ in range(n):
        length = (left**2).sum(axis=1)
        best = int(length.argmax())
        if length[best] <= (1e-9 * size) ** 2:
            raise ValueError(
                f"the pixels of X span only {len(indices)} directions, so {n} targets cannot be told apart. Ask for fewer."
            )
        direction = left[best] / np.sqrt(length[best])
        left -= (left @ direction)[:, None] * direction
        indices.append(best)
    return Corners(X[indices], np.array(indices))


def nfindr(
    X: Array, n_endmembers: int, *, random_state: int | np.random.Generator | None = None, max_iter: int = 20
) -> Corners:
    """N-FINDR: the pixels whose simplex has the largest volume (Winter, 1999, doi:10.1117/12.366289).

    NumPy. In the n_endmembers - 1 leading principal components each corner in turn is replaced by the pixel that
    enlarges the simplex most, until none does: the volume is a determinant, linear in each corner. It starts from the
    corners that :func:`vca` finds, so that a seed matters little.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
    n_endmembers : int
    random_state : int or numpy.random.Generator, optional
    max_iter : int
        Rounds over all corners.

    Returns
    -------
    Corners

    Warns
    -----
    ConvergenceWarning
        If corners still move after ``max_iter`` rounds.

    Examples
    --------
    >>> X = [[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5], [0, 0, 1]]
    >>> sorted(nfindr(X, 3, random_state=0).indices.tolist())
    [0, 1, 4]
    """
    X = _host_pixels(X, "nfindr").astype(np.float64)
    n, rounds = _count(n_endmembers, X, least=2), integer("max_iter", max_iter, least=1)
    indices = vca(X, n, random_state=random_state, snr_db=0).indices.copy()
    basis, _ = _principal(X - X.mean(axis=0), n - 1)
    inside = np.concatenate(
        [np.ones((len(X), 1)), (X - X.mean(axis=0)) @ basis], axis=1
    )  # a volume is |det| of n of these
    for _ in range(rounds):
        before = indices.copy()
        for k in range(n):
            others = np.delete(inside[indices], k, axis=0)
            cofactors = np.linalg.svd(others)[2][-1]  # orthogonal to the others: the determinant is linear along it
            best = int(np.abs(inside @ cofactors).argmax())
            if np.abs(inside[best] @ cofactors) > (1 + 1e-12) * np.abs(inside[indices[k]] @ cofactors):
                indices[k] = best
        if np.array_equal(before, indices):
            break
    else:
        warn(f"N-FINDR's corners still move after {rounds} rounds. Raise max_iter.", ConvergenceWarning)
    return Corners(X[indices], indices)


# -------------------------------------------------------------------------------------------------------- NNLS, FCLS


def nnls(X: Array, endmembers: Array, *, normalize: bool = False) -> Unmixed:
    """Non-negative least squares, exactly, for every pixel at once.

    ::

        min ||x - a @ endmembers||^2    over a >= 0

    Without the sum to one, a shadow or a second reflection may scale the pixel; dividing by the sum afterwards
    (``normalize=True``) then gives fractions that do not know about brightness. This five-line baseline is hard to
    beat where pixels differ in brightness.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
        Negative entries (noise) are fine.
    endmembers : array, shape (n_endmembers, n_bands)
        Where they are linearly dependent, abundances are not unique, the reconstruction is.
    normalize : bool
        Divide each pixel's abundances by their sum. Pixels whose abundances are all zero stay all zero, and a warning
        counts them.

    Returns
    -------
    Unmixed

    Raises
    ------
    ValueError
        If shapes disagree or an entry is NaN.
    FloatingPointError
        If a pixel breaks the optimality conditions by more than 1e-10 of their scale, ``max |X @ endmembers.T|``.

    Examples
    --------
    >>> nnls([[0.2, 0.6]], [[1.0, 0.0], [0.0, 1.0]], normalize=True).abundances
    array([[0.25, 0.75]])
    """
    X, endmembers = _pixels_and_endmembers(X, endmembers)
    abundances = _solve_pixels(X, endmembers, sum_to_one=False)
    if normalize:
        xp = array_namespace(abundances)
        total = xp.sum(abundances, axis=1, keepdims=True)
        n_empty = int(xp.sum(xp.astype(total == 0, xp.int64)))
        if n_empty:
            warn(
                f"{n_empty} pixels have no abundance at all (they are dark, or point away from every endmember) and "
                "stay all zero: they have no fractions. Mask them.",
            )
        abundances = abundances / xp.where(total > 0, total, xp.ones_like(total))
    return Unmixed(abundances, endmembers)


def sparse(X: Array, endmembers: Array, *, penalty: float) -> Unmixed:
    """Few spectra of a large library: non-negative least squares with a price on their sum, exactly.

    ::

        min over a >= 0    1/2 ||x - a @ endmembers||^2 + penalty sum(a)

    The problem of SUnSAL (Bioucas-Dias and Figueiredo, 2010, doi:10.1109/WHISPERS.2010.5594963). It is solved as
    :func:`nnls` with one more band, in which every spectrum has a small value s and every pixel -penalty / s: up to a
    constant this band adds penalty sum(a) + (s sum(a))^2 / 2.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
    endmembers : array, shape (n_endmembers, n_bands)
        A library.
    penalty : float
        In units of the squares of X; 0 is NNLS. Where it reaches ``X @ spectrum``, the spectrum is not used.

    Returns
    -------
    Unmixed
        Abundances do not sum to one: the penalty makes them smaller.

    Examples
    --------
    >>> sparse([[0.2, 0.6]], [[1.0, 0.0], [0.0, 1.0]], penalty=0.3).abundances.round(6) + 0.0
    array([[0. , 0.3]])
    """
    penalty = finite_number("penalty", penalty, least=0, most=1e100)
    X, endmembers = _pixels_and_endmembers(X, endmembers)
    xp = array_namespace(X, endmembers)
    largest = number(xp.max(xp.abs(endmembers)))
    if largest == 0:
        raise ValueError("endmembers are zero in every band. Leave such spectra out.")
    small = 1e-5 * largest
    more = xp.concat([endmembers, small * xp.ones_like(endmembers[:, :1])], axis=1)
    pixels = xp.concat([X, (-penalty / small) * xp.ones_like(X[:, :1])], axis=1)
    return Unmixed(_solve_pixels(pixels, more, sum_to_one=False), endmembers)


def fcls(X: Array, endmembers: Array) -> Unmixed:
    """Fully constrained least squares, exactly: shares of each endmember that sum to one.

    ::

        min ||x - a @ endmembers||^2    over a >= 0, sum(a) = 1

    Solved as the quadratic program it is, by an active-set method over all pixels at once; no penalty weight stands
    for the sum, so nothing depends on the units of the data.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
    endmembers : array, shape (n_endmembers, n_bands)
        In the units of X (a warning tells of a factor above 100). Where they are affinely dependent (duplicates, or a
        mixture of others), abundances are not unique, the reconstruction is.

    Returns
    -------
    Unmixed

    Raises
    ------
    ValueError
        If shapes disagree or an entry is NaN.
    FloatingPointError
        If a pixel breaks the optimality conditions by more than 1e-10 of their scale, ``max |X @ endmembers.T|``.

    Examples
    --------
    >>> fcls([[0.4, 0.6], [0.2, 0.3], [3.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]).abundances
    array([[0.4 , 0.6 ],
           [0.45, 0.55],
           [1.  , 0.  ]])
    """
    X, endmembers = _pixels_and_endmembers(X, endmembers)
    _warn_units(X, endmembers)
    return Unmixed(_solve_pixels(X, endmembers, sum_to_one=True), endmembers)


def _solve_pixels(X: Array, endmembers: Array, *, sum_to_one: bool) -> Array:
    """The exact abundances, in the dtype of X, chunk by chunk, each chunk checked."""
    xp = array_namespace(X, endmembers)
    full = double(endmembers)
    n_endmembers = full.shape[0]
    if sum_to_one and n_endmembers == 1:
        return xp.ones_like(X[:, :1])
    # on the simplex a shift of pixels and endmembers changes nothing, and without the mean less is cancelled
    centre = xp.mean(full, axis=0) if sum_to_one else xp.zeros_like(full[0, :])
    basis, columns = leastsquares.reduce(full - centre)
    projections = xp.concat([basis, xp.matrix_transpose(full)], axis=1)
    parts = []
    for rows in _chunks(X.shape[0], 3 * n_endmembers**2 + X.shape[1]):
        both = double(X[rows, :]) @ projections  # one pass over the pixels: to solve, and to check
        targets, cross = both[:, : columns.shape[1]] - centre @ basis, both[:, columns.shape[1] :]
        found = leastsquares.solve(columns, targets, n_simplex=n_endmembers if sum_to_one else 0)
        _check_optimal(full, cross, found, sum_to_one, rows.start)
        parts.append(xp.astype(found, X.dtype, copy=False))
    return xp.concat(parts)


def _check_optimal(endmembers: Array, cross: Array, found: Array, sum_to_one: bool, offset: int) -> None:
    xp = array_namespace(endmembers)
    gram = endmembers @ xp.matrix_transpose(endmembers)
    residual = leastsquares.kkt_residual(gram, cross, found, sum_to_one=sum_to_one)
    scale = number(xp.max(xp.abs(cross)))
    if sum_to_one:  # dark pixels: the endmembers set the size of what cancels
        scale = max(scale, number(xp.max(gram)))
    worst = int(xp.argmax(residual))
    if not number(residual[worst]) <= KKT_TOLERANCE * scale:
        raise FloatingPointError(
            f"pixel {worst + offset} breaks the optimality conditions by {number(residual[worst]):.1e}, more than "
            f"{KKT_TOLERANCE:g} of {scale:.3g}: the endmembers are too nearly dependent, or the values too large, for "
            "double precision. Remove near-duplicates from endmembers, or rescale."
        )


# ---------------------------------------------------------------------------------------------------------- bilinear


def bilinear(
    X: Array, endmembers: Array, *, model: str = "fan", tol: float = 1e-8, max_iter: int = 200
) -> BilinearResult:
    """Least squares under a bilinear mixing model, in which light may bounce off two materials.

    ::

        min ||x - sum_i a_i m_i - sum_{i<j} gamma_ij a_i a_j m_i m_j||^2    over a >= 0, sum(a) = 1

    (``m_i m_j`` band by band). Every iteration solves the linearised problem, damped, exactly under the constraints,
    and is taken only where the objective falls. The problem is not convex; it starts at the normalised NNLS abundances.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
        Reflectance: the products make the model depend on the units.
    endmembers : array, shape (n_endmembers, n_bands)
        In reflectance; two at least.
    model : {"fan", "gbm"}
        "fan": gamma = 1 (Fan et al., 2009). "gbm": gamma_ij in [0, 1] is fitted, too: the generalised bilinear model
        (Halimi et al., 2011).
    tol : float
        A pixel has converged when the linearised objective could fall by no more than ``tol`` times ``||x||^2`` or
        the largest ``||m_i||^2``, whichever is more.
    max_iter : int
        Of Gauss-Newton.

    Returns
    -------
    BilinearResult

    Raises
    ------
    ValueError
        If shapes disagree, an entry is NaN, there is one endmember only, the model is unknown, or the endmembers
        exceed 2 and are no reflectances.

    Warns
    -----
    ConvergenceWarning
        If pixels are not there after ``max_iter`` steps; ``converged`` marks them.

    Examples
    --------
    >>> M = [[0.2, 0.8, 0.5], [0.9, 0.1, 0.4]]
    >>> x = [[0.595, 0.47, 0.5]]                       # halves of both, and a quarter of their product
    >>> bilinear(x, M).abundances.round(6)
    array([[0.5, 0.5]])
    """
    X, endmembers = _pixels_and_endmembers(X, endmembers)
    xp = array_namespace(X, endmembers)
    full = double(endmembers)
    _check_bilinear(full, model)
    max_iter, tol = integer("max_iter", max_iter), finite_number("tol", tol, least=0, most=1)
    _warn_units(X, endmembers)
    basis, reduced = gaussnewton.bilinear_model(full, model)
    p, n_pairs = full.shape[0], len(reduced.pairs)
    largest = xp.max(xp.sum(full * full, axis=1))
    parts = []
    for rows in _chunks(X.shape[0], 4 * (p + n_pairs * reduced.free_gamma) * (p + 2 * basis.shape[1])):
        pixels = double(X[rows, :])
        start = _bilinear_start(pixels, full, n_pairs * reduced.free_gamma)
        scale = xp.clip(xp.sum(pixels * pixels, axis=1), min=largest)
        parts.append(gaussnewton.fit(pixels @ basis, start, reduced, scale=scale, tol=tol, max_iter=max_iter))
    theta, converged = (xp.concat(part) for part in zip(*parts))
    _warn_bilinear(converged, tol, max_iter)
    theta = xp.astype(theta, X.dtype)
    gamma = theta[:, p:] if reduced.free_gamma else xp.ones_like(xp.broadcast_to(theta[:, :1], (X.shape[0], n_pairs)))
    return BilinearResult(theta[:, :p], gamma, reduced.pairs, endmembers, converged)


def _check_bilinear(endmembers: Array, model: str) -> None:
    xp = array_namespace(endmembers)
    choice("model", model, ("fan", "gbm"))
    if endmembers.shape[0] < 2:
        raise ValueError("bilinear mixing needs at least 2 endmembers; got 1.")
    top = number(xp.max(xp.abs(endmembers)))
    if top > 2.0:
        raise ValueError(
            f"bilinear mixing needs reflectances, as products of spectra depend on their units; endmembers reach "
            f"{top:g}. Divide X and endmembers by the value that stands for a reflectance of 1."
        )


def _bilinear_start(pixels: Array, endmembers: Array, n_gamma: int) -> Array:
    """Normalised NNLS abundances (uniform where they are all zero) and gamma = 1/2."""
    xp = array_namespace(pixels)
    found = _solve_pixels(pixels, endmembers, sum_to_one=False)
    total = xp.sum(found, axis=1, keepdims=True)
    uniform = xp.full_like(found, 1.0 / found.shape[1])
    theta = xp.where(total > 0, found / xp.where(total > 0, total, xp.ones_like(total)), uniform)
    halves = xp.full_like(xp.broadcast_to(total, (total.shape[0], n_gamma)), 0.5)
    return xp.concat([theta, halves], axis=1)


def _warn_bilinear(converged: Array, tol: float, max_iter: int) -> None:
    n_left = int((~to_numpy(converged)).sum())
    if n_left:
        warn(
            f"the bilinear fit stopped after {max_iter} iterations with {n_left} of {converged.shape[0]} pixels above "
            f"tol {tol:g} (see .converged). Raise max_iter or tol, and check that the data are reflectances.",
            ConvergenceWarning,
        )


# ------------------------------------------------------------------------------------------------ variable endmembers


def elmm(
    X: Array, endmembers: Array, *, price: float = 1.0, start: str = "fcls", tol: float = 1e-3, max_iter: int = 20
) -> VariableResult:
    """Unmix where a material is bright here and dim there: the extended linear mixing model.

    ::

        min over a, S, psi   1/2 sum_n ||x_n - a_n @ S_n||^2  +  price / 2 sum_n ||S_n - psi_n endmembers||^2

    over a_n on the simplex, S_n >= 0 and one factor psi_nk >= 0 per pixel and material, in turns (Drumetz et al.,
    2016). The paper's prices on the neighbours of a pixel are left out: pixels are independent here, and no image is
    needed.

    Without them the data do not choose the fractions. With S at its best (and nowhere cut at zero) the objective of a
    pixel is ``price / (price + ||a||^2) ||x - sum_k a_k psi_k endmembers_k||^2 / 2``: only the products a_k psi_k fit,
    and of all a the purest is cheapest. So where it starts and when it stops decide; both are the authors' by default.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
    endmembers : array, shape (n_endmembers, n_bands)
        In the units of X: the references that psi scales.
    price : float, no unit
        lambda_S of the paper: how dear it is to leave a scaled reference. Large: S = psi endmembers.
    start : {"fcls", "nnls"}
        "fcls" and factors of one, as in the authors' code; or "nnls": fractions of the free fit, and its sum as the
        factor of every material (their SCLSU), which is exact where a pixel has one brightness.
    tol : float
        Turns end where neither abundances nor rebuilt pixels changed by more than this (relative Frobenius norm).
    max_iter : int
        Turns, 20 in the authors' code.

    Returns
    -------
    VariableResult
        S alone holds n_pixels x n_endmembers x n_bands numbers.

    Raises
    ------
    ValueError
        If shapes disagree, an entry is NaN, an option is unknown, or ``price`` is not positive and finite.

    Warns
    -----
    ConvergenceWarning
        If something still changes after ``max_iter`` turns.

    Examples
    --------
    >>> M = [[0.2, 0.8, 0.5], [0.9, 0.1, 0.4]]
    >>> x = [[0.275, 0.225, 0.225]]                    # halves of both, in half the light
    >>> found = elmm(x, M, start="nnls")
    >>> found.abundances.round(6), found.factors.round(6)
    (array([[0.5, 0.5]]), array([[0.5, 0.5]]))
    """
    return _scaled("ELMM", X, endmembers, np.inf, price, start, tol, max_iter)


def glmm(
    X: Array,
    endmembers: Array,
    *,
    price: float = 1.0,
    length: float = 10.0,
    start: str = "fcls",
    tol: float = 1e-3,
    max_iter: int = 20,
) -> VariableResult:
    """Unmix where a material changes band by band: the generalised linear mixing model.

    ::

        min over a, S, Psi   1/2 sum_n ||x_n - a_n @ S_n||^2  +  price / 2 sum_n ( ||S_n - Psi_n * endmembers||^2
                             + length^2 sum_k mean(endmembers_k^2) sum_l (Psi_nkl - Psi_nk,l-1)^2 )

    This is :func:`elmm` with a factor for every band (Imbiriba et al., 2018). Factors that are free in every band would
    explain anything; the paper holds them by a price on the differences between neighbouring pixels, which needs an
    image. Here the price is on the differences between neighbouring bands, so that pixels stay independent.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
    endmembers : array, shape (n_endmembers, n_bands)
    price : float, no unit
        As for :func:`elmm`.
    length : float, bands
        Over how many bands a factor is about the same; ``math.inf`` is ELMM, 0 leaves every band free.
    start : {"fcls", "nnls"}
    tol : float
    max_iter : int
        As for :func:`elmm`.

    Returns
    -------
    VariableResult

    Raises
    ------
    ValueError
        As :func:`elmm`; and if ``length`` is negative or NaN.
    """
    if not (isinstance(length, float) and length == math.inf):
        length = finite_number("length", length, least=0, most=1e6, unless=" bands, or math.inf, which is ELMM")
        _refuse_dark(as_float(endmembers, name="endmembers"))
    return _scaled("GLMM", X, endmembers, length, price, start, tol, max_iter)


def plmm(
    X: Array,
    endmembers: Array,
    *,
    price: float = 1.0,
    reference_price: float = 10.0,
    start: str = "fcls",
    tol: float = 1e-3,
    max_iter: int = 20,
) -> VariableResult:
    """Unmix where a material changes in any way: the perturbed linear mixing model.

    ::

        min over a, M, dM   1/2 sum_n ||x_n - a_n @ (M + dM_n)||^2  +  price / 2 sum_n ||dM_n||^2
                            + reference_price / 2 ||M - endmembers||^2

    over a_n on the simplex, M >= 0 and M + dM_n >= 0, in turns (Thouvenin et al., 2016). The paper's price on the
    abundances of neighbouring pixels is left out.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
    endmembers : array, shape (n_endmembers, n_bands)
    price : float, no unit
        gamma of the paper, how dear it is for a pixel to have spectra of its own.
    reference_price : float, no unit
        beta of the paper, how dear it is for M to leave ``endmembers``, against the sum over all pixels.
    start : {"fcls", "nnls"}
        "nnls": fractions of the free fit.
    tol : float
    max_iter : int
        As for :func:`elmm`.

    Returns
    -------
    VariableResult

    Raises
    ------
    ValueError
        As :func:`elmm`; and if ``reference_price`` is not positive and finite.
    """
    X, endmembers, abundances, _ = _variable_start(X, endmembers, start)
    price, reference_price = _price("price", price), _price("reference_price", reference_price)
    steps = variability.perturbed_steps(
        double(X), double(endmembers), abundances, price=price, reference_price=reference_price
    )
    return _variable("PLMM", X, steps, tol, max_iter)


def _refuse_dark(endmembers: Array) -> None:
    """A factor of every band, of nothing."""
    xp = array_namespace(endmembers)
    dark = to_numpy(xp.all(endmembers == 0, axis=-1)).reshape(-1)
    if dark.any():
        raise ValueError(
            f"endmembers row {int(dark.argmax())} is all zeros, and a factor of it says nothing. Use elmm."
        )


def _scaled(
    name: str,
    X: Array,
    endmembers: Array,
    length: float,
    price: float,
    start: str,
    tol: float,
    max_iter: int,
) -> VariableResult:
    X, endmembers, abundances, factors = _variable_start(X, endmembers, start)
    reference = double(endmembers)
    smoother = variability.factor_smoother(reference, length)
    price = _price("price", price)
    steps = variability.scaled_steps(double(X), reference, abundances, factors, price=price, smoother=smoother)
    found = _variable(name, X, steps, tol, max_iter)
    return found._replace(factors=found.factors[:, :, 0]) if name == "ELMM" else found


def _price(name: str, value: float) -> float:
    return finite_number(name, value, above=0, advice="Without variability, use fcls.")


def _variable_start(X: Array, endmembers: Array, start: str) -> tuple[Array, Array, Array, Array]:
    """Pixels and references, checked; the first abundances, and the first factor of every pixel and material."""
    X, endmembers = _pixels_and_endmembers(X, endmembers)
    choice("start", start, ("fcls", "nnls"))
    _warn_units(X, endmembers)
    xp = array_namespace(X, endmembers)
    pixels, full = double(X), double(endmembers)
    if start == "fcls":
        first = _solve_pixels(pixels, full, sum_to_one=True)
        return X, endmembers, first, xp.ones_like(first)[:, :, None]
    free = _solve_pixels(pixels, full, sum_to_one=False)
    light = xp.sum(free, axis=1, keepdims=True)
    even = xp.full_like(free, 1.0 / free.shape[1])
    first = xp.where(light > 0, free / xp.where(light > 0, light, xp.ones_like(light)), even)
    return X, endmembers, first, (light * xp.ones_like(free))[:, :, None]


def _variable(name: str, X: Array, steps: Iterator[Any], tol: float, max_iter: int) -> VariableResult:
    tol, max_iter = finite_number("tol", tol, least=0), integer("max_iter", max_iter)
    done = run(steps, lambda state: state.change, tol=tol, max_iter=max_iter, check_every=1)
    if done.error > tol:
        warn_not_converged(
            name, done.n_iter, done.error, tol, "The authors' code stops there, too; to go on, raise max_iter."
        )
    xp = array_namespace(X)
    state = done.state
    arrays = (state.abundances, state.endmembers, state.reference, state.factors)
    abundances, endmembers, reference, factors = (xp.astype(x, X.dtype) for x in arrays)
    return VariableResult(abundances, endmembers, reference, factors, done.n_iter, done.error <= tol)


# ----------------------------------------------------------------------------------------------- how many endmembers


def estimate_n_endmembers(
    X: Array,
    *,
    method: str = "hysime",
    max_endmembers: int | None = None,
    random_state: int | np.random.Generator | None = 0,
    n_repeats: int = 10,
    tolerance: float = 0.5,
) -> EndmemberCount:
    """How many endmembers does the scene hold? Three answers that may disagree, and a curve for each.

    NumPy only.

    * ``"hysime"``: how many directions hold more signal than noise (after Bioucas-Dias and Nascimento, 2008). The
      noise of a band is what the other bands do not predict, and at least 1e-5 of the mean power. The curve is, per
      direction, the change of the mean squared error when it is kept, -power + 2 noise power: the estimate is how
      many are negative.
    * ``"heldout"``: how many directions predict what was left out (bi-cross-validation, Owen and Perry, 2009). Half
      the pixels in half the bands are predicted from the rest through a truncated SVD. The curve is the relative
      prediction error; the estimate is the smallest number within 1 % of the best.
    * ``"stability"``: how many endmembers VCA finds again with other seeds. The curve is, for the worst endmember, the
      mean angle to its match under other seeds, over its angle to the nearest other endmember; the estimate is the
      largest number at which it is at most ``tolerance``.

    The first two count directions, shading and interactions included; the third counts corners.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
        "hysime" needs more pixels than bands, and counts noise as signal where they are fewer than six times as many:
        it then warns.
    method : {"hysime", "heldout", "stability"}
    max_endmembers : int, optional
        The largest number tried; min(20, what X allows) if not given. Not used by "hysime".
    random_state : int or numpy.random.Generator, optional
    n_repeats : int
        Splits of "heldout", seeds of "stability".
    tolerance : float
        Of "stability": 0 is found again exactly, 1 is as far off as the neighbour.

    Returns
    -------
    EndmemberCount

    Raises
    ------
    ValueError
        If the method is unknown, X is not two-dimensional, holds NaN or nothing but zeros, or has too few pixels.
    """
    X = _host_pixels(X, "estimate_n_endmembers").astype(np.float64)
    if not X.any():
        raise ValueError("X is zero in every entry: there is nothing to count.")
    rng = generator_of(random_state)
    choice("method", method, ("hysime", "heldout", "stability"))
    if method == "hysime":
        return _count_hysime(X)
    most = min(X.shape) // 2 if method == "heldout" else min(X.shape)
    n_repeats = integer("n_repeats", n_repeats, least=1 if method == "heldout" else 2)
    if most < 2:
        raise ValueError(
            f'method="{method}" needs more pixels and bands; X has {X.shape[0]} pixels, {X.shape[1]} bands.'
        )
    if max_endmembers is None:
        top = min(20, most)
    else:
        of = f"X has {X.shape[0]} pixels, {X.shape[1]} bands."
        top = integer("max_endmembers", max_endmembers, least=2, most=most, advice=of)
    if method == "heldout":
        return _count_heldout(X, top, n_repeats, rng)
    return _count_stable(X, top, n_repeats, finite_number("tolerance", tolerance, least=0), rng)


def unpredicted(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What do the other bands not predict of each band? By least squares: mostly its noise.

    NumPy only.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
        More pixels than bands.

    Returns
    -------
    left : array, shape (n_pixels, n_bands)
    gram : array, shape (n_bands, n_bands)
        ``X.T @ X``.
    """
    gram = X.T @ X
    inverse = np.linalg.inv(gram + 1e-14 * np.trace(gram) * np.eye(X.shape[1]))  # the ridge is for exact dependence
    return (X @ inverse) / np.diag(inverse), gram  # the residual of every band's regression, in one product


def _count_hysime(X: np.ndarray) -> EndmemberCount:
    n_pixels, n_bands = X.shape
    if n_pixels <= n_bands:
        raise ValueError(
            f'"hysime" regresses each band on the others and needs more pixels than bands; X has {n_pixels} pixels, '
            f'{n_bands} bands. Use method="heldout".'
        )
    if n_pixels < 6 * n_bands:
        # sampled noise of variance s^2 has eigenvalues up to s^2 (1 + sqrt(n_bands / n_pixels))^2; 2 s^2 is the threshold
        warn(
            f'"hysime" takes directions of noise for signal with fewer than 6 pixels a band; got {n_pixels} pixels, '
            f'{n_bands} bands. Give it more pixels, or use method="heldout".',
        )
    noise, gram = unpredicted(X)
    variance = (noise**2).sum(axis=0) / (n_pixels - n_bands + 1)
    signal = X - noise
    correlation = signal.T @ signal / n_pixels
    variance = variance + 1e-5 * np.trace(correlation) / n_bands  # as the authors' code: no sensor is better than 50 dB
    _, vectors = np.linalg.eigh(correlation)
    power = np.einsum("bk,bc,ck->k", vectors, gram / n_pixels, vectors, optimize=True)
    curve = np.sort(2 * (variance @ vectors**2) - power)
    return EndmemberCount(int((curve < 0).sum()), np.arange(1, n_bands + 1), curve, "hysime")


def _count_heldout(X: np.ndarray, top: int, n_repeats: int, rng: np.random.Generator) -> EndmemberCount:
    errors = np.zeros(top)
    total = 0.0
    for _ in range(n_repeats):
        rows, bands = rng.permutation(X.shape[0]), rng.permutation(X.shape[1])
        half_rows, half_bands = X.shape[0] // 2, X.shape[1] // 2
        mixed = X[np.ix_(rows, bands)]
        left_out, known = mixed[:half_rows, :half_bands], mixed[half_rows:, half_bands:]
        u, s, vt = np.linalg.svd(known, full_matrices=False)
        usable = s[:top] > 1e-12 * s[0]
        inverse = np.where(usable, 1.0 / np.where(usable, s[:top], 1.0), 0.0)
        left = (mixed[:half_rows, half_bands:] @ vt[:top].T) * inverse
        right = u[:, :top].T @ mixed[half_rows:, :half_bands]
        predicted = np.zeros_like(left_out)
        for k in range(top):
            predicted += np.outer(left[:, k], right[k])
            errors[k] += ((left_out - predicted) ** 2).sum()
        total += (left_out**2).sum()
    curve = np.sqrt(errors / total)
    best = int(np.argmax(curve <= 1.01 * curve.min() + 1e-9)) + 1
    return EndmemberCount(best, np.arange(1, top + 1), curve, "heldout")


def _count_stable(
    X: np.ndarray, top: int, n_repeats: int, tolerance: float, rng: np.random.Generator
) -> EndmemberCount:
    from .metrics import match_endmembers, spectral_angle

    candidates = np.arange(2, top + 1)
    curve = np.full(len(candidates), np.inf)
    for c, k in enumerate(candidates):
        projected, denoised, usable, _ = _project(X, int(k), None)
        try:
            runs = [denoised[_corners(projected, usable, int(k), rng)] for _ in range(n_repeats)]
        except ValueError:  # pixels without noise span fewer directions: there are no such endmembers
            break
        first = runs[0]
        apart = spectral_angle(first[:, None], first[None]) + np.diag(np.full(k, np.inf))
        found = [spectral_angle(first, run[match_endmembers(first, run)]) for run in runs[1:]]
        curve[c] = float((np.mean(found, axis=0) / apart.min(axis=1)).max())
    stable = candidates[curve <= tolerance]
    return EndmemberCount(int(stable.max(initial=1)), candidates, curve, "stability")
