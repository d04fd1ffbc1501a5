"""How far an estimate is from the truth: errors, angles, alignment, constraints, accuracy.

Every metric takes ``(reference, estimate)`` in this order, on arrays of any backend. A small reconstruction error does
not make good abundances (ID-Net, section V-A): report both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ._array import Array, array_namespace, as_float, is_array, number, to_backend, to_numpy
from ._checks import finite, floats, shown
from ._checks import number as finite_number

MASKED = "Leave masked pixels out of both arrays first."


def _pair(reference: Array, estimate: Array) -> tuple[Array, Array]:
    """Both arguments as finite floats of one backend and one shape."""
    reference, estimate = floats(reference=reference, estimate=estimate)
    if reference.shape != estimate.shape:
        raise ValueError(
            f"reference and estimate must have one shape; got {tuple(reference.shape)} and {tuple(estimate.shape)}."
        )
    return finite("reference", reference, advice=MASKED), finite("estimate", estimate, advice=MASKED)


def _difference(reference: Array, estimate: Array) -> Array:
    """estimate - reference, refused where it leaves the range of floats."""
    xp = array_namespace(reference)
    largest = float(xp.finfo(reference.dtype).max) / 2
    if number(xp.max(xp.abs(reference))) > largest or number(xp.max(xp.abs(estimate))) > largest:
        raise ValueError("reference and estimate are too large to be compared in floats. Use larger units.")
    return estimate - reference


def _norm(x: Array) -> float:
    """Frobenius norm, of a tensor too; scaled by the largest entry, so that digital numbers do not overflow."""
    xp = array_namespace(x)
    top = number(xp.max(xp.abs(x)))
    return 0.0 if top == 0.0 else top * math.sqrt(number(xp.sum((x / top) ** 2)))


def rmse(reference: Array, estimate: Array) -> float:
    """Root of the mean squared difference over all entries, in the units of the data.

    Parameters
    ----------
    reference, estimate : array, any one shape

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the shapes differ, or an entry is NaN or infinite (so do all metrics here).

    Examples
    --------
    >>> rmse([[0.0, 1.0]], [[0.3, 0.6]])
    0.3535...
    """
    reference, estimate = _pair(reference, estimate)
    return _norm(_difference(reference, estimate)) / math.sqrt(math.prod(reference.shape))


def rmse_per_endmember(reference: Array, estimate: Array) -> Array:
    """The :func:`rmse` of each abundance map.

    Parameters
    ----------
    reference, estimate : array, shape (..., n_endmembers)

    Returns
    -------
    array, shape (n_endmembers,)
    """
    reference, estimate = _pair(reference, estimate)
    xp = array_namespace(reference)
    if reference.ndim == 0:
        raise ValueError("reference and estimate must be (..., n_endmembers); got one number each.")
    gap = xp.reshape(_difference(reference, estimate), (-1, reference.shape[-1]))
    top = xp.max(xp.abs(gap), axis=0)
    size = xp.where(top > 0, top, xp.ones_like(top))  # squares of what is divided by it neither overflow nor vanish
    return top * xp.sqrt(xp.mean((gap / size) ** 2, axis=0))


def nrmse(reference: Array, estimate: Array) -> float:
    """Relative error ``||reference - estimate||_F / ||reference||_F``: NRMSE_A, NRMSE_Y of ID-Net.

    0 is perfect; 1 is what an estimate of all zeros gets. Despite its name there is no mean in it. NRMSE_M is
    :func:`nrmse_endmembers`.

    Parameters
    ----------
    reference, estimate : array, any one shape

    Returns
    -------
    float

    Examples
    --------
    >>> nrmse([3.0, 4.0], [3.0, 3.0])
    0.2
    """
    reference, estimate = _pair(reference, estimate)
    size = _norm(reference)
    if size == 0.0:
        raise ValueError("reference is all zeros, so an error relative to it has no meaning. Use rmse.")
    return _relative(_norm(_difference(reference, estimate)), size)


def _relative(error: float, size: float) -> float:
    """error / size, where a float can hold it."""
    if math.isinf(error / size):
        raise ValueError(f"reference has norm {size:.3g}, too small for an error relative to it. Use rmse.")
    return error / size


def sre(reference: Array, estimate: Array) -> float:
    """Signal-to-reconstruction error: ``10 log10(||reference||^2 / ||reference - estimate||^2)``, in dB.

    Higher is better; infinite where the two are equal.

    Parameters
    ----------
    reference, estimate : array, any one shape

    Returns
    -------
    float, dB

    Examples
    --------
    >>> sre([1.0, 0.0], [0.9, 0.0])
    20.0...
    """
    error = nrmse(reference, estimate)
    return math.inf if error == 0.0 else -20.0 * math.log10(error)


def psnr(reference: Array, estimate: Array, data_range: float | None = None) -> float:
    """Peak signal-to-noise ratio: ``20 log10(data_range / rmse)``, in dB.

    Higher is better; infinite where the two are equal.

    Parameters
    ----------
    reference, estimate : array, any one shape
    data_range : float, optional
        The largest possible minus the smallest possible value: 1 for reflectance, 255 for 8 bits. If not given, maximum
        minus minimum of ``reference``.

    Returns
    -------
    float, dB

    Examples
    --------
    >>> psnr([0.0, 1.0], [0.1, 0.9])
    20.0...
    """
    error = rmse(reference, estimate)
    if data_range is None:
        x = as_float(reference)
        xp = array_namespace(x)
        data_range = number(xp.max(x)) - number(xp.min(x))
        if data_range == 0:
            raise ValueError("data_range must be positive; got 0 from a constant reference, which needs one given.")
    data_range = finite_number("data_range", data_range, above=0)
    return math.inf if error == 0.0 else 20.0 * (math.log10(data_range) - math.log10(error))


def spectral_angle(reference: Array, estimate: Array, *, degrees: bool = False) -> Array:
    """The angle between spectra on the last axis: blind to brightness, 0 for equal directions.

    Computed as ``2 atan2(|u - v|, |u + v|)`` of the unit vectors (Kahan): arccos of their inner product loses half of
    the digits near 0, where two good spectra are.

    Parameters
    ----------
    reference, estimate : array, shape (..., n_bands)
        Leading axes broadcast.
    degrees : bool
        The angle in degrees instead of radians.

    Returns
    -------
    array, the leading axes, broadcast, in [0, pi] or [0, 180]

    Raises
    ------
    ValueError
        If the numbers of bands differ, or a spectrum is all zeros: it points nowhere.

    Examples
    --------
    >>> round(float(spectral_angle([1, 0], [2, 2], degrees=True)), 12)
    45.0
    """
    reference, estimate = floats(reference=reference, estimate=estimate)
    xp = array_namespace(reference)
    _check_bands(reference, estimate)
    _check_leading(reference, estimate)
    u, v = _unit(reference, "reference"), _unit(estimate, "estimate")
    apart = xp.sqrt(xp.sum((u - v) ** 2, axis=-1))
    along = xp.sqrt(xp.sum((u + v) ** 2, axis=-1))
    return xp.atan2(apart, along) * (360.0 / math.pi if degrees else 2.0)


def _check_bands(reference: Array, estimate: Array) -> None:
    if reference.ndim == 0 or estimate.ndim == 0 or reference.shape[-1] != estimate.shape[-1]:
        raise ValueError(
            "reference and estimate must have the same number of bands on their last axis; "
            f"got shapes {tuple(reference.shape)} and {tuple(estimate.shape)}."
        )


def _check_leading(reference: Array, estimate: Array) -> None:
    try:
        np.broadcast_shapes(tuple(reference.shape[:-1]), tuple(estimate.shape[:-1]))
    except ValueError:
        raise ValueError(
            "the leading axes of reference and estimate must broadcast; "
            f"got shapes {tuple(reference.shape)} and {tuple(estimate.shape)}."
        ) from None


def _unit(x: Array, name: str) -> Array:
    """Spectra of norm one; divided by their largest entry first, so that squares neither overflow nor vanish."""
    xp = array_namespace(x)
    top = xp.max(xp.abs(finite(name, x, advice=MASKED)), axis=-1, keepdims=True)
    n_zero = int(xp.sum(xp.astype(top == 0, xp.int64)))
    if n_zero:
        raise ValueError(f"{name} holds {n_zero} spectra of all zeros, which have no direction. Mask those pixels.")
    x = x / top
    return x / xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True))


def match_endmembers(reference: Array, estimate: Array) -> np.ndarray:
    """The order of ``estimate`` that fits ``reference`` best: ``estimate[perm]`` is aligned to it.

    Minimises the sum of spectral angles over one-to-one assignments (Hungarian method, SciPy, on the host). Whoever
    takes for every reference its nearest estimate instead may use one estimate twice, and lose another.

    Parameters
    ----------
    reference : array, shape (n_endmembers, n_bands)
    estimate : array, shape (n_estimated, n_bands)
        At least ``n_endmembers``; of more, the best subset is chosen.

    Returns
    -------
    perm : NumPy array of int, shape (n_endmembers,)
        Abundances follow with ``abundances[:, perm]``.

    Examples
    --------
    >>> match_endmembers([[1, 0], [0, 1]], [[0.1, 1], [1, 0.2]])
    array([1, 0])
    """
    from scipy.optimize import linear_sum_assignment

    reference, estimate = to_numpy(as_float(reference, name="reference")), to_numpy(as_float(estimate, name="estimate"))
    if reference.ndim != 2 or estimate.ndim != 2 or estimate.shape[0] < reference.shape[0]:
        raise ValueError(
            "reference and estimate must be (n_endmembers, n_bands) arrays, at least as many estimates as references; "
            f"got shapes {reference.shape} and {estimate.shape}."
        )
    _check_bands(reference, estimate)
    return linear_sum_assignment(spectral_angle(reference[:, None, :], estimate[None, :, :]))[1]


class EndmemberAngles(NamedTuple):
    """Spectral angles of aligned endmembers."""

    per_endmember: Array  # (n_endmembers,) mean over the pixels where the endmembers vary
    mean: float  # over the endmembers


def endmember_angles(reference: Array, estimate: Array, *, degrees: bool = False) -> EndmemberAngles:
    """Spectral angles of aligned endmembers, each and as their mean: SAM of ID-Net, eq. (38).

    The equation prints a sum over the endmembers; the figures in its Table I are of the size of the mean, which also
    does not grow with their number, so the mean is what we give. Align with :func:`match_endmembers` first.

    Parameters
    ----------
    reference, estimate : array, shape (n_endmembers, n_bands) or (n_pixels, n_endmembers, n_bands)
        The latter where every pixel has its own; one of each kind broadcasts.
    degrees : bool
        Angles in degrees instead of radians.

    Returns
    -------
    EndmemberAngles

    Examples
    --------
    >>> angles = endmember_angles([[1, 0], [0, 1]], [[1, 0], [1, 1]], degrees=True)
    >>> round(angles.mean, 12)
    22.5
    """
    reference, estimate = _endmembers(reference, estimate)
    xp = array_namespace(reference)
    angles = spectral_angle(reference, estimate, degrees=degrees)
    per_endmember = xp.mean(xp.reshape(angles, (-1, reference.shape[-2])), axis=0)
    return EndmemberAngles(per_endmember, number(xp.mean(per_endmember)))


def nrmse_endmembers(reference: Array, estimate: Array) -> float:
    """The :func:`nrmse` of aligned endmembers: NRMSE_M of ID-Net.

    Parameters
    ----------
    reference, estimate : array, shape (n_endmembers, n_bands) or (n_pixels, n_endmembers, n_bands)
        Where only one of the two varies over the pixels, the other is repeated for each of them.

    Returns
    -------
    float

    Examples
    --------
    >>> nrmse_endmembers([[3.0, 4.0]], [[[3.0, 3.0]], [[3.0, 4.0]]])
    0.1414...
    """
    reference, estimate = _endmembers(reference, estimate)
    xp = array_namespace(reference)
    return nrmse(*xp.broadcast_arrays(reference, estimate))


def _endmembers(reference: Array, estimate: Array) -> tuple[Array, Array]:
    reference, estimate = floats(reference=reference, estimate=estimate)
    shapes = tuple(reference.shape), tuple(estimate.shape)
    pixels = {shape[0] for shape in shapes if len(shape) == 3}
    if any(len(shape) not in (2, 3) for shape in shapes) or shapes[0][-2:] != shapes[1][-2:] or len(pixels) > 1:
        raise ValueError(
            "endmembers must be (n_endmembers, n_bands) or (n_pixels, n_endmembers, n_bands) and agree; "
            f"got reference {shapes[0]} and estimate {shapes[1]}."
        )
    return reference, estimate


class ConstraintViolations(NamedTuple):
    """By how much abundances break their two constraints; all zero for points of the simplex."""

    negativity: float  # ANC: size of the most negative abundance
    negative_fraction: float  # share of the entries below zero
    sum_to_one: float  # ASC: largest ``|sum - 1|`` over the pixels
    mean_sum_to_one: float  # its mean


def constraint_violations(abundances: Array) -> ConstraintViolations:
    """How far abundances are from non-negative (ANC) and from summing to one (ASC).

    Parameters
    ----------
    abundances : array, shape (..., n_endmembers)

    Returns
    -------
    ConstraintViolations

    Examples
    --------
    >>> constraint_violations([[0.5, 0.5], [1.25, -0.25]]).negativity
    0.25
    """
    abundances = finite("abundances", as_float(abundances, name="abundances"), advice="Leave masked pixels out first.")
    xp = array_namespace(abundances)
    gap = xp.abs(xp.sum(abundances, axis=-1) - 1.0)
    return ConstraintViolations(
        negativity=max(0.0, -number(xp.min(abundances))),
        negative_fraction=number(xp.sum(xp.astype(abundances < 0, xp.int64))) / math.prod(abundances.shape),
        sum_to_one=number(xp.max(gap)),
        mean_sum_to_one=number(xp.mean(gap)),
    )


def overall_accuracy(
    labels: Array, predicted: Array, exclude: Array | Sequence[int] | None = None, *, unlabelled: int | None = None
) -> float:
    """The share of samples whose predicted label is right.

    Parameters
    ----------
    labels, predicted : array, any one shape
        A map is read in C order.
    exclude : array of int or of bool, optional
        Indices into the flattened labels, or a mask, of samples that do not count: those whose label was bought, for
        instance.
    unlabelled : int, optional
        The code in ``labels`` that means "not known" (0 in Salinas A); those samples do not count.

    Returns
    -------
    float, in [0, 1]

    Raises
    ------
    ValueError
        If shapes differ, an index is out of range, a sample that counts is NaN, or nothing is left to count.

    Examples
    --------
    >>> overall_accuracy([1, 1, 2, 0], [1, 2, 2, 2], unlabelled=0)
    0.6666...
    >>> overall_accuracy([1, 1, 2], [1, 2, 2], exclude=[1])
    1.0
    """
    if np.ma.is_masked(labels) or np.ma.is_masked(predicted):
        raise TypeError("labels or predicted has masked entries, whose mask would be lost. Give it as exclude.")
    labels, predicted = _codes("labels", labels), _codes("predicted", predicted)
    try:
        xp = array_namespace(labels, predicted)
    except TypeError as error:
        raise TypeError(f"labels and predicted: {error}") from None
    if labels.shape != predicted.shape:
        raise ValueError(
            f"labels and predicted must have one shape; got {tuple(labels.shape)} and {tuple(predicted.shape)}."
        )
    if labels.ndim == 0:
        raise ValueError(
            f"labels and predicted must be arrays, one entry per sample; got {shown(labels)} and {shown(predicted)}."
        )
    labels, predicted = xp.reshape(labels, (-1,)), xp.reshape(predicted, (-1,))
    counts = xp.ones_like(labels, dtype=xp.bool)
    if unlabelled is not None:
        if np.ndim(to_numpy(unlabelled)) != 0:
            raise ValueError(f"unlabelled must be one code; got {shown(unlabelled)}. Give several as exclude.")
        counts = counts & (labels != unlabelled)
    if exclude is not None:
        counts = counts & ~to_backend(_mask(exclude, labels.shape[0]), labels)
    total = int(xp.sum(xp.astype(counts, xp.int64)))
    if total == 0:
        raise ValueError(
            f"none of the {labels.shape[0]} samples of labels is left to count; check exclude and unlabelled."
        )
    for name, x in (("labels", labels), ("predicted", predicted)):
        unknown = to_numpy(counts) & (to_numpy(x) != to_numpy(x))
        if unknown.any():
            raise ValueError(
                f"{name} holds NaN in {int(unknown.sum())} samples that count (masked pixels?). Exclude them."
            )
    return int(xp.sum(xp.astype(counts & (labels == predicted), xp.int64))) / total


def _codes(name: str, x: Array) -> Array:
    """Labels of any kind, numbers or texts, as an array."""
    if is_array(x):
        return x
    try:
        return np.asarray(x)
    except ValueError as error:  # lists of several lengths
        raise ValueError(f"{name} must be an array of labels: {error}") from None


def _mask(exclude: Array | Sequence[int], n: int) -> np.ndarray:
    """Indices or a mask as a boolean NumPy mask of length ``n``."""
    exclude = to_numpy(_codes("exclude", exclude)).reshape(-1)
    if exclude.dtype == np.bool_:
        if exclude.shape[0] != n:
            raise ValueError(f"a mask given as exclude needs one entry per sample, {n}; got {exclude.shape[0]}.")
        return exclude
    mask = np.zeros(n, dtype=bool)
    if exclude.size == 0:
        return mask
    if exclude.size == n > 2 and np.isin(exclude, (0, 1)).all():
        raise ValueError("exclude holds a 0 or 1 for every sample, which is a mask: give it as exclude.astype(bool).")
    if exclude.dtype.kind not in "iu" or exclude.min() < 0 or exclude.max() >= n:
        raise ValueError(f"exclude must hold integer indices in 0..{n - 1} or be a mask; got {exclude[:5].tolist()}...")
    mask[exclude] = True
    return mask
