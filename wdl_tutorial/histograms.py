"""Points of the simplex: make them, check them, normalise them; exact optimal transport on the line by quantiles."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np  # quantiles and hulls are host work on a few hundred numbers

from ._array import Array, array_namespace, as_float, one_type, row_sums, to_backend, to_numpy
from ._checks import check_histograms, check_increasing, check_nonnegative, number, same_backend, worst_row


def normalize(x: Array) -> Array:
    """Rows of ``x`` divided by their sums: points of the simplex on the last axis.

    The scale that is divided away is the brightness of a pixel: keep it (``x.sum(-1)``) if you will need it again.

    Parameters
    ----------
    x : array, shape (..., n_bins)
        Non-negative; lists and integers are converted to floats.

    Returns
    -------
    array, shape (..., n_bins)

    Raises
    ------
    ValueError
        If a row holds a negative, infinite or NaN entry, or sums to zero; the message names the row.

    Examples
    --------
    >>> normalize([1, 3])
    array([0.25, 0.75])
    """
    x = as_float(x, name="x")
    xp = array_namespace(x)
    if x.ndim == 0:
        raise ValueError("x must have its bins on the last axis; got a number.")
    check_nonnegative(x, "x")
    with np.errstate(over="ignore"):
        total = xp.astype(row_sums(x), x.dtype, copy=False)[..., None]
    if not bool(xp.all(xp.isfinite(total))):
        row = worst_row(~xp.isfinite(total[..., 0]))
        raise ValueError(
            f"a sum of x is beyond the range of {x.dtype} ({row} is the first). Scale x down, or use float64."
        )
    empty = total[..., 0] <= 0
    if bool(xp.any(empty)):
        raise ValueError(
            f"x has {int(xp.sum(xp.astype(empty, xp.int64)))} rows that sum to 0 ({worst_row(empty)} is the first): "
            "an empty histogram has no shape to normalise. Drop those rows, or mask those pixels."
        )
    return x / total


class Displacement(NamedTuple):
    """Exact optimal transport on the line between two histograms, as quantile segments."""

    mass: Array  # (n_segments,) mass of each segment, summing to one
    start: Array  # (n_segments,) where it is in p
    end: Array  # (n_segments,) where it is in q


def displacement(p: Array, q: Array, positions: Array | None = None) -> Displacement:
    """Exact transport between two histograms on a sorted line: the monotone plan.

    It is optimal for every cost ``|x - y|**power`` with ``power >= 1``. Both cumulative sums are cut at each other's
    levels; each piece of mass between two levels sits at one position in ``p`` and at one in ``q``. The averages of
    positions, ``(1 - t) start + t end``, are the exact displacement interpolation (McCann), with no regularisation.

    Parameters
    ----------
    p, q : array, shape (n_bins,)
        Histograms.
    positions : array, shape (n_bins,), optional
        Increasing; 0, 1, 2, ... if not given.

    Returns
    -------
    Displacement

    Raises
    ------
    ValueError
        If p or q is no histogram, lengths differ, or positions do not increase.
    """
    p, q = as_float(p, name="p"), as_float(q, name="q")
    same_backend(p=p, q=q)
    check_histograms(p, "p")
    check_histograms(q, "q")
    a, b = to_numpy(p).astype(np.float64), to_numpy(q).astype(np.float64)  # levels of float32 leave slivers of mass
    x = np.arange(a.size, dtype=float) if positions is None else to_numpy(as_float(positions, name="positions"))
    if a.shape != b.shape or a.shape != x.shape or a.ndim != 1:
        raise ValueError(
            f"p, q and positions must be vectors of one length; got shapes {a.shape}, {b.shape} and {x.shape}."
        )
    check_increasing(x, "positions", "bins")
    cp, cq = np.cumsum(a), np.cumsum(b)
    cp, cq = cp / cp[-1], cq / cq[-1]  # both end at exactly 1
    levels = np.unique(np.concatenate([[0.0], cp, cq]))
    mass, middle = np.diff(levels), (levels[1:] + levels[:-1]) / 2
    keep = mass > 1e-15  # rounding of the two cumulative sums makes slivers
    mass, middle = mass[keep], middle[keep]
    return Displacement(mass / mass.sum(), x[np.searchsorted(cp, middle)], x[np.searchsorted(cq, middle)])


def wasserstein_1d(p: Array, q: Array, positions: Array | None = None, *, power: float = 2) -> float:
    """Exact transport cost between two histograms on a sorted line, by quantiles.

    The value of ``min_T <T, |x - y|**power>`` over the plans T from p to q.

    Parameters
    ----------
    p, q : array, shape (n_bins,)
        Histograms.
    positions : array, shape (n_bins,), optional
        Increasing; 0, 1, 2, ... if not given.
    power : float, at least 1

    Returns
    -------
    float, in units of the axis to the power ``power``

    Raises
    ------
    ValueError
        As :func:`displacement`; and if a distance to its power is beyond the floats.

    Examples
    --------
    >>> wasserstein_1d([1, 0, 0], [0, 0, 1], power=2)
    4.0
    """
    power = number("power", power, least=1, advice="Below 1 the monotone plan is not the cheapest.")
    plan = displacement(p, q, positions)
    gap = abs(plan.start - plan.end)
    with np.errstate(over="ignore"):
        price = gap**power
    if not np.all(np.isfinite(price)):
        raise ValueError(
            f"a distance of {gap.max():.3g} to the power {power:g} is beyond the floats; "
            "use larger units of positions, or a smaller power."
        )
    return float((plan.mass * price).sum())


def continuum_removed(spectra: Array, wavelengths: Array) -> Array:
    """Band depth ``1 - R / hull(R)``: how far each spectrum dips below its upper convex hull.

    An absorption is a dip, and transport moves mass, not dips; as band depth the absorption is mass and can travel.

    Parameters
    ----------
    spectra : array, shape (..., n_bands)
        Reflectance, positive.
    wavelengths : array, shape (n_bands,)
        Increasing.

    Returns
    -------
    array, shape (..., n_bands), in [0, 1)
        0 on the hull.

    Raises
    ------
    ValueError
        If wavelengths do not increase, lengths differ, or a spectrum is not positive.
    """
    spectra = as_float(spectra, name="spectra")
    host, x = to_numpy(spectra), to_numpy(as_float(wavelengths, name="wavelengths"))
    if host.ndim == 0 or x.shape != host.shape[-1:]:
        n_bands = host.shape[-1] if host.ndim else 0
        raise ValueError(f"spectra have {n_bands} bands but wavelengths has shape {x.shape}; give one per band.")
    check_increasing(x, "wavelengths", "bands")
    check_nonnegative(spectra, "spectra")
    if host.size and host.min() <= 0:
        raise ValueError(f"spectra must be positive to divide by their hull; the smallest entry is {host.min():.3g}.")
    host = host.astype(np.float64, copy=False)  # what np.interp computes in
    x = _near_one(x.astype(np.float64))  # units do not matter, and products of two of them must not overflow
    depth = np.zeros_like(host)
    for index in np.ndindex(host.shape[:-1]):
        y = _near_one(host[index])
        hull = np.interp(x, *_upper_hull(x, y))
        depth[index] = 1.0 - np.divide(y, hull, out=np.ones_like(y), where=hull > 0)
    return to_backend(np.maximum(depth, 0.0), spectra)


def band_widths(wavelengths: Any) -> np.ndarray:
    """How much of the axis each band stands for, divided by the mean: value times width is mass where bands are unequal.

    Half of the step on each side; the far side of a gap (a step of more than three usual ones) belongs to nobody.

    Examples
    --------
    >>> band_widths([400, 410, 420, 440, 460])
    array([0.66666667, 0.66666667, 1.        , 1.33333333, 1.33333333])
    """
    x = np.asarray(wavelengths, dtype=float)
    if x.size < 2:
        return np.ones(x.size)
    steps = np.diff(x)
    steps = np.where(steps > 3 * np.median(steps), np.nan, steps)
    left, right = np.r_[np.nan, steps], np.r_[steps, np.nan]
    left, right = np.where(np.isnan(left), right, left), np.where(np.isnan(right), left, right)
    widths = 0.5 * np.nan_to_num(left + right, nan=2 * float(np.nanmedian(steps)))
    return widths / widths.mean()


def _near_one(x: np.ndarray) -> np.ndarray:
    """``x`` times a power of two, so that its largest entry is about one: exact but for what becomes subnormal."""
    return np.ldexp(x, -int(np.frexp(np.abs(x).max())[1])) if x.size else x


def _upper_hull(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners of the upper convex hull of the points (x, y), x increasing (Andrew's monotone chain)."""
    corners: list[int] = []
    for i in range(len(x)):
        while len(corners) >= 2:
            j, k = corners[-2], corners[-1]
            if (y[k] - y[j]) * (x[i] - x[j]) > (y[i] - y[j]) * (x[k] - x[j]):
                break
            corners.pop()
        corners.append(i)
    return x[corners], y[corners]


def area_fractions(weights: Array, scales: Array) -> Array:
    """Fractions of ground area from fractions of light: ``w_j / s_j``, normalised. For linear mixing only.

    A pixel that is divided by its sum mixes the endmembers by the light they send, not by the area they cover: a
    bright material weighs more. Dividing by each endmember's brightness undoes it.

    Parameters
    ----------
    weights : array, shape (..., n_atoms)
        Fractions of light, on the simplex.
    scales : array, shape (n_atoms,)
        Brightness (sum of the spectrum) of each endmember, positive.

    Returns
    -------
    array, shape (..., n_atoms), on the simplex

    Examples
    --------
    >>> area_fractions([0.5, 0.5], [1.0, 3.0])
    array([0.75, 0.25])
    """
    weights = as_float(weights, name="weights")
    scales = as_float(scales, like=weights, name="scales")
    xp = same_backend(weights=weights, scales=scales)
    if scales.ndim > 1 or (scales.ndim == 1 and tuple(scales.shape) != tuple(weights.shape[-1:])):
        raise ValueError(
            f"scales need one entry per atom; got scales {tuple(scales.shape)} for weights {tuple(weights.shape)}."
        )
    check_histograms(weights, "weights")
    if not bool(xp.all(scales > 0)):
        raise ValueError(f"scales must be positive; the smallest is {float(xp.min(scales)):.3g}.")
    if not bool(xp.all(xp.isfinite(scales))):
        raise ValueError(f"scales must be finite; the largest is {float(xp.max(scales)):.3g}.")
    weights, scales = one_type(weights, scales)
    here = weights > 0
    # times the smallest scale of a row that counts: nothing overflows, whatever the units of brightness
    least = xp.min(xp.where(here, scales, xp.full_like(weights, float("inf"))), axis=-1, keepdims=True)
    area = xp.where(here, weights * (xp.where(here, least, scales) / scales), xp.zeros_like(weights))
    return area / xp.sum(area, axis=-1, keepdims=True)
