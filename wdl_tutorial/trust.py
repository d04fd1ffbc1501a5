"""What to ask of an answer before it is believed: do these pixels mix side by side, or does a feature move?"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._array import to_numpy
from .histograms import continuum_removed, normalize

SHARES = np.linspace(0.0, 1.0, 101)  # the weights of the second spectrum that are tried
ENOUGH = 0.05  # false alarms above this share: the test has nothing to say
DIFFERENCES = np.array([1.0, -4.0, 6.0, -4.0, 1.0])  # blind to what is smooth; noise passes, sqrt(70) times as large


class MixingTest(NamedTuple):
    """The result of :func:`mixing_test`."""

    verdict: str  # of all pixels together: "side by side", "moved" or "cannot tell"
    verdicts: tuple[str, ...]  # of each pixel
    linear: np.ndarray  # (n_pixels,) L1 misfit of the best linear mixture, between 0 and 2
    barycenter: np.ndarray  # (n_pixels,) L1 misfit of the best barycenter
    margin: float  # the nearer model's misfit is below this share of the other's, or nobody wins
    false_alarms: float  # share of simulated areal mixtures that this test calls "moved", at this noise
    noise: float  # its standard deviation, in the unit of the pixels: yours, or the estimate


def mixing_test(
    pixels: Any,
    first: Any,
    second: Any,
    wavelengths: Any,
    *,
    margin: float = 0.8,
    noise: float | None = None,
    represented: str = "depth",
    n_simulated: int = 1000,
    random_state: int | np.random.Generator | None = 0,
) -> MixingTest:
    """Tell whether pixels between two spectra mix side by side, or whether a feature moves from one to the other.

    For each pixel the misfit of the best linear mixture is compared with that of the best barycenter (power 2, exact
    quantiles, no entropy), over 101 weights each. A pixel is "moved" if the barycenter's misfit is below ``margin``
    times the linear one, "side by side" the other way round, and "cannot tell" between the two.

    A barycenter is somewhat more flexible than a line, so it is "nearer" in many areal mixtures by noise alone. The
    same test is therefore run on ``n_simulated`` areal mixtures of the two spectra at the noise of the pixels: that is
    ``.false_alarms``. Where it exceeds 5 %, "moved" means nothing and the verdict of all pixels is "cannot tell".

    Parameters
    ----------
    pixels : (n_pixels, n_bands) or (n_bands,) spectra, in reflectance or another unit that adds up by area.
    first, second : (n_bands,) the two ends, in the same unit.
    wavelengths : (n_bands,) positions of the bands, increasing, in nm; take a window around the feature.
    margin : in (0, 1).
    noise : standard deviation of a band, in the unit of the pixels; None estimates it from fourth differences along
        the bands, which count what is rougher than the sensor's sampling.
    represented : "depth" takes the band depth of everything first, so that an absorption can travel; "as given" does not.
    n_simulated : number of simulated areal mixtures.
    random_state : seed of the simulation.

    Returns
    -------
    MixingTest : ``.verdict``, ``.verdicts``, ``.linear``, ``.barycenter``, ``.margin``, ``.false_alarms``, ``.noise``.

    Raises
    ------
    ValueError : shapes that do not fit, wavelengths that do not increase, values that are not finite or have no mass,
        equal ends, an unknown representation.

    Examples
    --------
    >>> import numpy as np
    >>> nm = np.linspace(2200, 2400, 41)
    >>> dip = lambda at: 1 - 0.3 * np.exp(-0.5 * ((nm - at) / 15) ** 2)
    >>> mixing_test(dip(2300), dip(2280), dip(2320), nm, noise=0.001).verdict
    'moved'
    >>> mixing_test((dip(2280) + dip(2320)) / 2, dip(2280), dip(2320), nm, noise=0.001).verdict
    'side by side'
    """
    X, ends, x = _checked(pixels, first, second, wavelengths, margin, represented)
    noise = _noise(X) if noise is None else float(noise)
    if not (np.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise must be a standard deviation, zero or more; got {noise}.")
    rng = np.random.default_rng(random_state)
    share = rng.random((n_simulated, 1))
    areal = (1 - share) * ends[0] + share * ends[1]
    areal = areal + noise * rng.standard_normal(areal.shape)
    X, ends, areal = (_histograms(rows, x, represented) for rows in (X, ends, areal))
    linear, barycenter = _misfits(X, ends, x)
    alarms = float(np.mean(_moved_at(*_misfits(areal, ends, x), margin)))
    moved, beside = _moved_at(linear, barycenter, margin), _moved_at(barycenter, linear, margin)
    verdicts = tuple("moved" if m else "side by side" if b else "cannot tell" for m, b in zip(moved, beside))
    return MixingTest(_together(verdicts, alarms), verdicts, linear, barycenter, margin, alarms, noise)


def _together(verdicts: tuple[str, ...], alarms: float) -> str:
    """What more than half of the pixels say; "moved" only where false alarms are rare."""
    for verdict in ("moved", "side by side"):
        if 2 * verdicts.count(verdict) > len(verdicts):
            return "cannot tell" if verdict == "moved" and alarms > ENOUGH else verdict
    return "cannot tell"


def _checked(pixels, first, second, wavelengths, margin, represented) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arrays of :func:`mixing_test`, or one error that says what is wrong with which."""
    given = {"pixels": pixels, "first": first, "second": second, "wavelengths": wavelengths}
    arrays = {name: np.asarray(to_numpy(value), dtype=float) for name, value in given.items()}
    X, x = np.atleast_2d(arrays["pixels"]), arrays["wavelengths"]
    if x.ndim != 1 or x.size < 5 or np.any(np.diff(x) <= 0):
        raise ValueError(f"wavelengths must be 5 or more increasing numbers; got shape {x.shape}.")
    for name, value in {**arrays, "pixels": X}.items():
        if value.shape[-1:] != x.shape or value.ndim != (2 if name == "pixels" else 1) or value.size == 0:
            raise ValueError(
                f"{name} has shape {value.shape}; with {x.size} wavelengths its last axis must be {x.size}."
            )
        if not np.all(np.isfinite(value)):
            raise ValueError(f"{name} holds NaN or infinity: mask such pixels and bands first.")
    if not 0 < margin < 1:
        raise ValueError(f"margin must lie between 0 and 1; got {margin}.")
    if represented not in ("depth", "as given"):
        raise ValueError(f'represented must be "depth" or "as given"; got {represented!r}.')
    if np.allclose(arrays["first"], arrays["second"]):
        raise ValueError("first and second are the same spectrum: nothing lies between them.")
    return X, np.stack([arrays["first"], arrays["second"]]), x


def _noise(X: np.ndarray) -> float:
    """A standard deviation from fourth differences along the bands, by their median: blind to broad features."""
    rough = np.apply_along_axis(np.convolve, 1, X, DIFFERENCES, "valid")
    return float(np.median(np.abs(rough)) / 0.6745 / np.linalg.norm(DIFFERENCES))


def _histograms(rows: np.ndarray, x: np.ndarray, represented: str) -> np.ndarray:
    """Spectra as histograms over the bands: their band depth, or they as they are; what is negative counts as zero."""
    if represented == "depth":
        floor = 1e-3 * np.max(rows, axis=1, keepdims=True)
        if np.any(floor <= 0):
            raise ValueError("a spectrum is nowhere positive: it has no band depth. Mask such pixels first.")
        rows = continuum_removed(np.maximum(rows, floor), x)
    rows = np.maximum(rows, 0.0)
    if np.any(rows.sum(axis=1) <= 0):
        raise ValueError('a spectrum has no feature in this window: it has no mass as represented="depth".')
    return normalize(rows)


def _between(first: np.ndarray, second: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Their barycenters at all :data:`SHARES`, (101, n_bands): quantiles averaged, with mass spread over each band."""
    middle = (x[1:] + x[:-1]) / 2
    edges = np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])
    A, B = (np.append(0.0, np.cumsum(normalize(h + 1e-9))) for h in (first, second))
    levels = np.union1d(A, B)
    start, end = np.interp(levels, A, edges), np.interp(levels, B, edges)
    return np.stack([np.diff(np.interp(edges, (1 - t) * start + t * end, levels)) for t in SHARES])


def _misfits(X: np.ndarray, ends: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smallest L1 distances of each row to the linear mixtures and to the barycenters of the ends."""
    lines = (1 - SHARES[:, None]) * ends[0] + SHARES[:, None] * ends[1]
    found = [[np.abs(row - family).sum(axis=1).min() for row in X] for family in (lines, _between(*ends, x))]
    return np.array(found[0]), np.array(found[1])


def _moved_at(linear: np.ndarray, barycenter: np.ndarray, margin: float) -> np.ndarray:
    """Where the second misfit is below ``margin`` times the first."""
    return barycenter < margin * linear
