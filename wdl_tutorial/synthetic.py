"""Made histograms, images and scenes, each with its truth. Whatever is random takes ``random_state`` and repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ._array import to_numpy
from ._checks import check_eps, finite, floats, generator_of, image_shape, integer, number, shown, squarable
from .histograms import displacement, normalize
from .libraries import load_usgs_sample
from .rawfiles import check_memory
from .scenes import Scene


def _numbers(name: str, value: Any) -> np.ndarray:
    """Numbers of any backend, by their argument's name, as float64 on the host."""
    return np.asarray(to_numpy(*floats(**{name: value})), dtype=float)


def _check_size(n_numbers: int, names: str) -> None:
    """Refuse what is larger than the memory there is, before any of it is made."""
    check_memory(min(8 * n_numbers, 1e300), f"what {names} ask for", "Give smaller ones.")


# ---------------------------------------------------------------------------------------------- histograms


class GaussianPath(NamedTuple):
    """Histograms on the path between two Gaussians, and the truth behind them."""

    X: np.ndarray  # (n_samples, n_bins) histograms
    atoms: np.ndarray  # (2, n_bins) the two Gaussians
    weights: np.ndarray  # (n_samples, 2)
    positions: np.ndarray  # (n_bins,) bins
    cost: np.ndarray  # (n_bins, n_bins) squared distance over its maximum


def make_gaussian_path(
    *,
    n_bins: int = 200,
    means: tuple[float, float] = (50.0, 130.0),
    stds: tuple[float, float] = (5.0, 10.0),
    n_samples: int = 51,
    eps: float = 1e-3,
    n_iter: int = 1000,
    exact: bool = False,
) -> GaussianPath:
    """Histograms between two Gaussians: the data of WaHU Figs 1 and 2. Nothing in it is random.

    Sample k has the weights (k/50, 1 - k/50). It is the entropic barycenter of the two Gaussians (Schmitz et al.
    (2018), eqs (6)-(8)) after ``n_iter`` iterations in the kernel domain, or, with ``exact=True``, their displacement
    interpolation by quantiles, which has no blur (``eps`` and ``n_iter`` are then not used).

    Parameters
    ----------
    n_bins : int
    means, stds : pair of float, in bins
        The Gaussians are cut at the ends of the axis and normalised.
    n_samples : int
    eps : float
        In units of the cost, whose maximum is 1.
    n_iter : int
    exact : bool

    Returns
    -------
    GaussianPath

    Examples
    --------
    >>> path = make_gaussian_path(exact=True)
    >>> path.X.shape, round(float(path.X[25] @ path.positions), 3)
    ((51, 200), 90.0)
    """
    n_bins, n_samples = integer("n_bins", n_bins, least=2), integer("n_samples", n_samples, least=2)
    eps, n_iter = check_eps(eps), integer("n_iter", n_iter)
    _check_size(n_bins * (n_bins + n_samples), "n_bins and n_samples")
    positions = np.arange(n_bins, dtype=float)
    atoms = _two_gaussians(positions, _numbers("means", means), _numbers("stds", stds))
    t = np.arange(n_samples) / (n_samples - 1)
    weights = np.stack([t, 1.0 - t], axis=1)
    cost = (positions[:, None] - positions) ** 2 / (n_bins - 1) ** 2
    if exact:
        X = np.stack([_between(atoms[0], atoms[1], 1.0 - w) for w in t])
    else:
        from .barycenters import barycenter

        X = normalize(barycenter(atoms, weights, cost, eps=eps, n_iter=n_iter, domain="kernel").histogram)
    return GaussianPath(X, atoms, weights, positions, cost)


def _two_gaussians(positions: np.ndarray, means: np.ndarray, stds: np.ndarray) -> np.ndarray:
    """Two Gaussians cut at the ends of the axis and normalised; each must have some of its mass on the axis."""
    if means.shape != (2,) or stds.shape != (2,) or not np.isfinite([means, stds]).all() or not stds.min() > 0:
        raise ValueError(
            f"means and stds must be two numbers each, finite, stds positive; got {means.tolist()} and {stds.tolist()}."
        )
    with np.errstate(over="ignore"):  # far from a narrow bump: exp(-inf) is 0
        bumps = np.exp(-0.5 * ((positions - means[:, None]) / stds[:, None]) ** 2)
    if not bumps.sum(axis=1).min() > 1e-200:
        raise ValueError(
            f"means {means.tolist()} with stds {stds.tolist()} leave a Gaussian without mass on the bins 0 to "
            f"{len(positions) - 1}. Give means on the axis, or larger stds."
        )
    return normalize(bumps)


def _between(p: np.ndarray, q: np.ndarray, t: float) -> np.ndarray:
    """The displacement interpolation (1-t) p -> t q on the bins 0..n-1; mass between two bins is shared so that the
    mean is kept."""
    plan = displacement(p, q)
    place = (1.0 - t) * plan.start + t * plan.end
    left = np.minimum(np.floor(place).astype(int), len(p) - 2)
    right_share = place - left
    out = np.bincount(left, weights=plan.mass * (1.0 - right_share), minlength=len(p))
    out += np.bincount(left + 1, weights=plan.mass * right_share, minlength=len(p))
    return out / out.sum()


class Bimodal(NamedTuple):
    """Histograms with two bumps, each in one of the two outer thirds of the axis."""

    X: np.ndarray  # (n_samples, n_bins)
    means: np.ndarray  # (n_samples, 2) the bins of the two bumps
    positions: np.ndarray  # (n_bins,)
    cost: np.ndarray  # (n_bins, n_bins) squared distance in bins


def make_bimodal(
    *, n_samples: int = 40, n_bins: int = 90, std: float = 3.0, random_state: int | np.random.Generator = 0
) -> Bimodal:
    """Two truncated Gaussians a sample, with an empty middle: the data of Schmitz et al. (2018), Fig. 15.

    The axis is cut in three equal parts; the centre is empty. Both means are drawn independently from every other bin
    of the outer parts, so a sample has one bump (both means equal), two in one part, or one in each. The paper prints
    no number of bins and no width: 90 bins at unit spacing and 3 bins are ours.

    Parameters
    ----------
    n_samples, n_bins : int
    std : float, in bins
    random_state : int or numpy.random.Generator

    Returns
    -------
    Bimodal

    Examples
    --------
    >>> data = make_bimodal()
    >>> data.X.shape, float(data.X[:, 30:60].sum())
    ((40, 90), 0.0)
    """
    n_samples = integer("n_samples", n_samples)
    n_bins = integer("n_bins", n_bins, least=6, advice="It is a multiple of 3, to be cut in three.")
    if n_bins % 3:
        raise ValueError(f"n_bins must be a multiple of 3, at least 6, to be cut in three; got {n_bins}.")
    std = number("std", std, above=0, advice="It is in bins.")
    _check_size(n_bins * (n_bins + 2 * n_samples), "n_bins and n_samples")
    rng = generator_of(random_state)
    third = n_bins // 3
    positions = np.arange(n_bins, dtype=float)
    allowed = np.concatenate([np.arange(0, third, 2), np.arange(2 * third, n_bins, 2)])
    means = rng.choice(allowed, size=(n_samples, 2))
    with np.errstate(over="ignore"):  # far from a narrow bump: exp(-inf) is 0
        bumps = np.exp(-0.5 * ((positions - means[..., None]) / std) ** 2)
    bumps *= (positions // third) == (means[..., None] // third)  # cut at the edges of the part the mean lies in
    X = normalize(normalize(bumps).sum(axis=1))
    return Bimodal(X, means, positions, (positions[:, None] - positions) ** 2)


# --------------------------------------------------------------------------------------------------------- images


class Frames(NamedTuple):
    """Images that change along a known path, as histograms flattened in C order."""

    X: np.ndarray  # (n_frames, n_bins) each sums to 1
    shape: tuple[int, int]  # rows, columns
    along: np.ndarray  # (n_frames,) where on the path: wavelength in nm, or phase in [0, 1)


def make_beating_ring(*, n_frames: int = 13, shape: tuple[int, int] = (48, 54)) -> Frames:
    """A ring that beats: it contracts and widens along a loop, as a heart does.

    A stand-in for the heart of Schmitz et al. (2018), section 5.2: a muscle seen from above, beside an organ at rest,
    on a dark ground that is not quite black. Its wall is thickest a quarter of a beat after the ring is narrowest, so
    the path is a loop. ``along`` is the phase.

    Parameters
    ----------
    n_frames : int
    shape : (rows, cols)

    Returns
    -------
    Frames

    Examples
    --------
    >>> ring = make_beating_ring()
    >>> ring.X.shape, round(float(ring.X.sum()), 6)
    ((13, 2592), 13.0)
    """
    rows, columns = image_shape("shape", shape, least=4)
    n_frames = integer("n_frames", n_frames)
    _check_size(n_frames * rows * columns, "n_frames and shape")
    phase = np.arange(n_frames) / n_frames
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns) * columns / rows, indexing="ij")
    beat, late = np.cos(2 * np.pi * phase)[:, None, None], np.sin(2 * np.pi * phase)[:, None, None]
    away = np.hypot(x + 0.25, y * 1.1)  # from the centre of the ring
    wall = np.exp(-0.5 * ((away - (0.42 + 0.1 * beat)) / (0.13 + 0.06 * late)) ** 2)
    still = 0.5 * np.exp(-0.5 * (((x - 0.8) / 0.14) ** 2 + ((y + 0.3) / 0.3) ** 2))
    return Frames(normalize((wall + still + 0.01).reshape(n_frames, -1)), (rows, columns), phase)


def make_telescope_psfs(
    *,
    n_wavelengths: int = 36,
    shape: tuple[int, int] = (40, 40),
    pixel: float = 0.05,
    aberration: float = 35.0,
    random_state: int | np.random.Generator = 0,
) -> Frames:
    """What a star looks like through a space telescope at 550 to 900 nm: its point spread functions.

    The data of Schmitz et al. (2018), section 5.1, are simulations for Euclid that we do not have; these are ours, by
    Fourier optics. The intensity is ``|F(A exp(2 pi i W / wavelength))|^2``: A is a mirror of 1.2 m with a secondary of
    a third of its diameter and three struts, W a smooth random error of the wave front, the same at all wavelengths.
    Twice the wavelength spreads the light twice as far. ``along`` is the wavelength in nm.

    Parameters
    ----------
    n_wavelengths : int
    shape : (rows, cols)
    pixel : float, seconds of arc
        Angle of one pixel; the diffraction width at 550 nm is 0.095.
    aberration : float, nm
        Root mean square of W.
    random_state : int or numpy.random.Generator

    Returns
    -------
    Frames

    Examples
    --------
    >>> psfs = make_telescope_psfs(n_wavelengths=8)
    >>> psfs.X.shape, psfs.along[[0, -1]]
    ((8, 1600), array([550., 900.]))
    """
    rows, columns = image_shape("shape", shape, least=4)
    n_wavelengths = integer("n_wavelengths", n_wavelengths)
    pixel = number("pixel", pixel, above=0, most=3600, advice="It is in seconds of arc.")
    aberration = number("aberration", aberration, least=0, most=1e6, advice="It is in nm.")
    _check_size((n_wavelengths + 12) * rows * columns, "n_wavelengths and shape")
    diameter, n, fine = 1.2, 96, 2  # m; points across the mirror; samples per pixel and axis
    mirror, error = _mirror(n, generator_of(random_state))
    at = (np.arange(n) + 0.5) / n * diameter - diameter / 2
    arcsec = np.pi / (180 * 3600)
    angles = [(np.arange(fine * m) + 0.5 - fine * m / 2) / fine * pixel * arcsec for m in (rows, columns)]
    wavelengths, images = np.linspace(550.0, 900.0, n_wavelengths), []
    for nm in wavelengths:
        field = mirror * np.exp(2j * np.pi * aberration * error / nm)
        down, across = (np.exp(-2j * np.pi * np.outer(angle, at) / (nm * 1e-9)) for angle in angles)
        light = np.abs(down @ field @ across.T) ** 2
        images.append(light.reshape(rows, fine, columns, fine).sum(axis=(1, 3)))
    return Frames(normalize(np.stack(images).reshape(n_wavelengths, -1)), (rows, columns), wavelengths)


def _mirror(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The mirror (n, n), 1 where it sends light, and a smooth error of mean 0 and root mean square 1 on it."""
    x = (np.arange(n) + 0.5) / n * 2 - 1
    y, x = np.meshgrid(x, x, indexing="ij")
    radius, turn = np.hypot(x, y), np.arctan2(y, x)
    mirror = ((radius < 1) & (radius > 1 / 3)).astype(float)
    for strut in np.deg2rad([90, 210, 330]):
        ahead = x * np.cos(strut) + y * np.sin(strut)
        mirror[(np.abs(x * np.sin(strut) - y * np.cos(strut)) < 0.04) & (ahead > 0)] = 0.0
    shapes = [radius**2 * np.cos(2 * turn), radius**2 * np.sin(2 * turn), radius**2]  # astigmatism, defocus
    shapes += [(3 * radius**3 - 2 * radius) * wave(turn) for wave in (np.cos, np.sin)]  # coma
    shapes += [radius**3 * wave(3 * turn) for wave in (np.cos, np.sin)]  # trefoil
    error = sum(size * shape for size, shape in zip(rng.standard_normal(len(shapes)), shapes))
    seen = mirror > 0
    error = error - error[seen].mean()
    return mirror, error / np.sqrt(np.mean(error[seen] ** 2))


# ---------------------------------------------------------------------------------------------- synthetic scenes

# the first three are about as bright and as far apart (11-17 degrees) as DC1's: the second bounce grows with brightness
_MIXABLE = ("buddingtonite", "topaz", "illite", "chlorite", "siderite", "dry grass", "green vegetation", "chalcedony")


def make_bilinear_scene(
    endmembers: np.ndarray | None = None,
    *,
    abundances: np.ndarray | None = None,
    wavelengths: np.ndarray | None = None,
    shape: tuple[int, int] = (50, 50),
    n_endmembers: int = 3,
    strength: float = 1.0,
    snr_db: float | None = 30.0,
    random_state: int | np.random.Generator = 0,
) -> Scene:
    """A scene in which light bounces twice: bilinear mixing with a known truth.

    A pixel is ``y = sum_i a_i m_i + strength sum_{i<j} a_i a_j m_i m_j + noise``. ``strength=1`` is Fan's bilinear
    model, the one of ID-Net's first data cube (DC1); 0 is linear mixing.

    Parameters
    ----------
    endmembers : array, shape (n_endmembers, n_bands), optional
        Reflectance; from the embedded spectra if not given.
    abundances : array, shape (rows, cols, n_endmembers), optional
        On the simplex; smooth random maps if not given.
    wavelengths : array, shape (n_bands,), nm, optional
        Of the given endmembers.
    shape : (rows, cols)
        Of the random maps.
    n_endmembers : int
        Of the embedded spectra.
    strength : float
        Of the second bounce.
    snr_db : float or None, dB
        Signal power over noise power, ``10 log10(mean(y^2) / variance)``; None for no noise.
    random_state : int or numpy.random.Generator

    Returns
    -------
    Scene
        With the true endmembers and abundances. Noise may push dark bands below zero; they stay.
    """
    rng = generator_of(random_state)
    names: tuple[str, ...] | None = None
    if endmembers is None:
        sample = load_usgs_sample()
        names = _MIXABLE[: _check_count(n_endmembers)]
        endmembers, wavelengths = sample.select(*names), sample.wavelengths
    endmembers = _numbers("endmembers", endmembers)
    wavelengths = _check_spectra(endmembers, wavelengths, "endmembers")
    strength = number("strength", strength)
    if abundances is None:
        shape = _check_pixels(shape, endmembers.size)
        abundances = _smooth_abundances(rng, shape, endmembers.shape[0])
    abundances = _check_maps(_numbers("abundances", abundances), endmembers.shape[0])
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        light = _bilinear(abundances, endmembers, strength)
    cube = _with_noise(_check_light(light, "of these endmembers and this strength"), snr_db, rng)
    return Scene(
        name="bilinear scene",
        cube=cube,
        wavelengths=wavelengths,
        endmembers=endmembers,
        abundances=abundances,
        endmember_names=names,
        citation="" if names is None else sample.citation,
    )


def _check_spectra(spectra: np.ndarray, wavelengths: Any, name: str) -> np.ndarray | None:
    """The wavelengths of these spectra, where they are given."""
    if spectra.ndim != 2 or 0 in spectra.shape or not np.isfinite(spectra).all():
        raise ValueError(f"{name} must be finite spectra, (n, n_bands); got shape {spectra.shape}.")
    if wavelengths is None:
        return None
    nm = _numbers("wavelengths", wavelengths)
    if nm.shape != spectra.shape[1:]:
        raise ValueError(f"{name} have {spectra.shape[1]} bands, wavelengths shape {nm.shape}. Give one each.")
    return finite("wavelengths", nm, advice="Leave those bands out.")


def _check_count(n_endmembers: int) -> int:
    return integer("n_endmembers", n_endmembers, least=2, most=len(_MIXABLE), advice="Give your own endmembers.")


def _check_pixels(shape: tuple[int, int], n_per_pixel: int) -> tuple[int, int]:
    """Rows and columns of a scene that holds ``n_per_pixel`` numbers in each of its pixels."""
    rows, columns = image_shape("shape", shape)
    if rows * columns < 2:
        raise ValueError(f"shape must be (rows, columns), two pixels or more; got {shape!r}.")
    _check_size(rows * columns * n_per_pixel, f"the pixels of shape {rows} x {columns}")
    return rows, columns


def _check_maps(abundances: np.ndarray, n_endmembers: int) -> np.ndarray:
    """Abundances that are one map for each endmember, and on the simplex in each pixel."""
    if abundances.ndim != 3 or 0 in abundances.shape or abundances.shape[-1] != n_endmembers:
        raise ValueError(
            f"abundances has shape {abundances.shape}; it must be (rows, cols, {n_endmembers}), one map for "
            "each of the endmembers."
        )
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        off = max(float(np.abs(abundances.sum(axis=-1) - 1.0).max()), -float(abundances.min()))
    if not off <= 1e-3:
        raise ValueError(
            f"abundances must not be negative and must sum to 1 in each pixel; the worst is off by {off:.3g}."
        )
    return abundances


def _check_light(light: np.ndarray, of: str) -> np.ndarray:
    """Light that has a power, whose noise is a share of it."""
    name = f"the light {of}"
    return squarable(name, finite(name, light, advice="Those numbers are beyond the floats: use smaller ones."))


def _bilinear(abundances: np.ndarray, endmembers: np.ndarray, strength: float) -> np.ndarray:
    """Linear mixing plus the products of pairs, each weighted by both abundances (Fan et al., 2009)."""
    cube = abundances @ endmembers
    for i in range(endmembers.shape[0]):
        for j in range(i + 1, endmembers.shape[0]):
            both = abundances[..., i, None] * abundances[..., j, None]
            cube += strength * both * (endmembers[i] * endmembers[j])
    return cube


def _with_noise(cube: np.ndarray, snr_db: float | None, rng: np.random.Generator) -> np.ndarray:
    if snr_db is None:
        return cube
    if not (isinstance(snr_db, float | np.floating) and snr_db == np.inf):  # infinitely much signal: no noise
        snr_db = number("snr_db", snr_db, least=-1000, most=1000, unless=" dB, or None for no noise")
    variance = np.mean(cube**2) / 10 ** (snr_db / 10)
    return cube + rng.normal(0.0, np.sqrt(variance), cube.shape)


def _smooth_fields(rng: np.random.Generator, shape: tuple[int, int], n: int, width: float) -> np.ndarray:
    """``n`` Gaussian random fields with features ``width`` pixels wide, mean 0 and standard deviation 1."""
    from scipy.ndimage import gaussian_filter

    fields = np.stack([gaussian_filter(rng.normal(size=shape), width, mode="wrap") for _ in range(n)], axis=-1)
    return (fields - fields.mean(axis=(0, 1))) / fields.std(axis=(0, 1))


def _smooth_abundances(rng: np.random.Generator, shape: tuple[int, int], n: int) -> np.ndarray:
    """Smooth maps on the simplex; the factor 2 mixes about as much as DC1's maps, and leaves nearly pure patches."""
    e = np.exp(2.0 * _smooth_fields(rng, shape, n, width=min(shape) / 10))
    return e / e.sum(axis=-1, keepdims=True)


def make_variable_scene(
    bundles: Mapping[str, np.ndarray] | None = None,
    *,
    wavelengths: np.ndarray | None = None,
    shape: tuple[int, int] = (50, 50),
    n_endmembers: int = 5,
    variability: float = 0.1,
    snr_db: float | None = 30.0,
    random_state: int | np.random.Generator = 0,
) -> Scene:
    """A scene in which no two pixels have the same endmembers, like ID-Net's DC2.

    A pixel is ``y = M_pixel a + noise``: each draws one spectrum of each material from its bundle.

    Parameters
    ----------
    bundles : mapping of name to array, shape (n_spectra, n_bands), optional
        Spectra of each material (``load_dc2_bundles().spectra``). If not given, 100 variants of each of
        ``n_endmembers`` embedded spectra: a brightness and a smooth curve, both log-normal, with relative standard
        deviation ``variability``.
    wavelengths : array, shape (n_bands,), nm, optional
        Of the given bundles.
    shape : (rows, cols)
    n_endmembers : int
    variability : float
    snr_db : float or None, dB
        As for :func:`make_bilinear_scene`.
    random_state : int or numpy.random.Generator

    Returns
    -------
    Scene
        ``endmembers`` are the bundles' means; ``extra["pixel_endmembers"]`` (rows, cols, n_endmembers, n_bands) are
        the true ones of each pixel, ``extra["bundles"]`` the bundles.
    """
    rng = generator_of(random_state)
    citation = ""
    variability = number("variability", variability, least=0, most=100)
    if bundles is None:
        sample = load_usgs_sample()
        n_endmembers = _check_count(n_endmembers)
        wavelengths, citation = sample.wavelengths, sample.citation
        bundles = {name: _variants(rng, sample.select(name)[0], variability) for name in _MIXABLE[:n_endmembers]}
    if not isinstance(bundles, Mapping) or not bundles:
        raise ValueError(f"bundles must be a dict of the spectra of each material; got {shown(bundles)}.")
    bundles = {name: _numbers(f"spectra of {name!r}", spectra) for name, spectra in bundles.items()}
    widths = {spectra.shape[-1] if spectra.ndim == 2 else None for spectra in bundles.values()}
    if len(widths) != 1 or None in widths:
        shapes = {name: spectra.shape for name, spectra in bundles.items()}
        raise ValueError(f"every bundle must have shape (n_spectra, n_bands) with the same n_bands; got {shapes}.")
    for name, spectra in bundles.items():
        nm = _check_spectra(spectra, wavelengths, f"spectra of {name!r}")
    shape = _check_pixels(shape, sum(spectra.shape[1] for spectra in bundles.values()))
    abundances = _smooth_abundances(rng, shape, len(bundles))
    drawn = [spectra[rng.integers(len(spectra), size=shape)] for spectra in bundles.values()]
    pixel_endmembers = np.stack(drawn, axis=2)
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        cube = (abundances[..., None, :] @ pixel_endmembers)[..., 0, :]
    return Scene(
        name="variable scene",
        cube=_with_noise(_check_light(cube, "of these bundles"), snr_db, rng),
        wavelengths=nm,
        endmembers=np.stack([spectra.mean(axis=0) for spectra in bundles.values()]),
        abundances=abundances,
        endmember_names=tuple(bundles),
        citation=citation,
        notes=("endmembers are the means of the bundles; the true ones are in extra['pixel_endmembers']",),
        extra={"pixel_endmembers": pixel_endmembers, "bundles": bundles},
    )


def _variants(rng: np.random.Generator, spectrum: np.ndarray, variability: float, n: int = 100) -> np.ndarray:
    """``n`` spectra of one material: brighter or darker, and bent by a smooth curve over the bands."""
    from scipy.ndimage import gaussian_filter1d

    brightness = rng.normal(size=(n, 1))
    curve = gaussian_filter1d(rng.normal(size=(n, spectrum.size)), spectrum.size / 8, axis=1, mode="reflect")
    curve /= curve.std(axis=0)
    return np.clip(spectrum * np.exp(variability * (brightness + curve) / np.sqrt(2)), 0.0, 1.0)


# ---------------------------------------------------------------------------------------------- the teaching scene

_TEACHING = ("green vegetation", "dry grass", "illite", "serpentine", "clear water", "calcite", "buddingtonite")
_TEACHING_NAMES = ("green crop", "dry grass", "soil", "gravel", "water", "calcite", "buddingtonite")
_SIZE = 64


def make_teaching_scene(*, snr_db: float | None = 40.0, random_state: int | np.random.Generator = 0) -> Scene:
    """The small scene of the book, in which every failure that the book tells of lives.

    64 x 64 pixels in 188 bands, of seven measured materials: three fields of crop, grass and soil; a gravel road; a
    pond; an outcrop of calcite; specks of buddingtonite. ``extra`` says where the trouble is:

    * ``regions`` : name -> (rows, cols) bool: fields, meadow, pasture, road, pond, outcrop, corner, rare, duplicates.
    * ``brightness`` (rows, cols) : 1, and in the pasture a shadow that falls to 0.4. Abundances are of area, so they
      still sum to one there.
    * ``shift_nm`` (rows, cols) : the calcite's absorption at 2340 nm moves by up to 30 nm from west to east.
    * ``bilinear`` (rows, cols) : strength of the second bounce of light; 1 in the corner, where crop grows on soil.
    * ``rare`` : index of the endmember that covers less than 1 % of the scene.
    * ``duplicate_of`` (rows, cols) : flat index of the pixel that was copied here to the last bit, or -1.
    * ``bad_band`` : index of a band whose detector is broken: uniform noise between 0 and 0.8.

    Labels are the dominant material, numbered from 1. Noise that would push a value below zero is cut at zero, so every
    pixel can become a histogram.

    Parameters
    ----------
    snr_db : float or None, dB
        As for :func:`make_bilinear_scene`.
    random_state : int or numpy.random.Generator

    Returns
    -------
    Scene

    Examples
    --------
    >>> scene = make_teaching_scene()
    >>> scene.cube.shape, scene.endmember_names[scene.extra["rare"]]
    ((64, 64, 188), 'buddingtonite')
    """
    rng = generator_of(random_state)
    sample = load_usgs_sample()
    endmembers = sample.select(*_TEACHING)
    regions = _teaching_regions()
    abundances = _teaching_abundances(rng, regions)
    eastward = (np.arange(_SIZE) - 42) / 21.0  # 0 to 1 over the eastern third
    extra: dict[str, Any] = {
        "regions": regions,
        "brightness": np.where(regions["pasture"], 1.0 - 0.6 * eastward, 1.0),
        "shift_nm": np.where(regions["outcrop"], 30.0 * eastward, 0.0),
        "bilinear": np.where(regions["corner"], 1.0, 0.0),
        "rare": _TEACHING.index("buddingtonite"),
        "bad_band": int(np.argmin(abs(sample.wavelengths - 1150.0))),
    }
    clean = _teaching_light(abundances, endmembers, sample.wavelengths, extra)
    cube = np.maximum(_with_noise(clean, snr_db, rng), 0.0)
    cube[..., extra["bad_band"]] = rng.uniform(0.0, 0.8, (_SIZE, _SIZE))
    extra["duplicate_of"] = _duplicate(cube, abundances)
    regions["duplicates"] = extra["duplicate_of"] >= 0
    return Scene(
        name="teaching scene",
        cube=cube,
        wavelengths=sample.wavelengths,
        labels=abundances.argmax(axis=-1) + 1,
        label_names={k + 1: name for k, name in enumerate(_TEACHING_NAMES)},
        endmembers=endmembers,
        abundances=abundances,
        citation=sample.citation,
        endmember_names=_TEACHING_NAMES,
        notes=("synthetic: measured spectra, invented map", f"band {extra['bad_band']} is broken on purpose"),
        extra=extra,
    )


def _teaching_light(
    abundances: np.ndarray, endmembers: np.ndarray, wavelengths: np.ndarray, extra: dict[str, Any]
) -> np.ndarray:
    """What the sensor would see without noise: mixing, the moving band, the second bounce, the shadow."""
    cube = abundances @ endmembers
    cube += extra["bilinear"][..., None] * (_bilinear(abundances, endmembers, 1.0) - cube)
    calcite, outcrop = _TEACHING.index("calcite"), extra["regions"]["outcrop"]
    moved = _shifted(endmembers[calcite], wavelengths, extra["shift_nm"][outcrop])
    cube[outcrop] += abundances[outcrop][:, calcite, None] * (moved - endmembers[calcite])
    return extra["brightness"][..., None] * cube


def _teaching_regions() -> dict[str, np.ndarray]:
    row, col = np.mgrid[:_SIZE, :_SIZE]
    west = col < 41
    regions = {
        "crop field": (row < 34) & (col < 13),
        "grass field": (row < 34) & (col >= 14) & (col < 27),
        "soil field": (row < 34) & (col >= 28) & west,
        "pasture": (row < 20) & (col >= 42),
        "outcrop": (row >= 22) & (row < 42) & (col >= 42),
        "road": abs(row - 44.0 - 1.5 * np.sin(col / 9.0)) < 1.6,
        "pond": ((row - 55.0) / 6.5) ** 2 + ((col - 14.0) / 10.5) ** 2 < 1.0,
        "corner": (row >= 49) & (col >= 45),
        "rare": ((abs(row - 56) <= 1) & (abs(col - 34) <= 1)) | ((abs(row - 8) <= 1) & (abs(col - 34) <= 1)),
    }
    regions["fields"] = regions["crop field"] | regions["grass field"] | regions["soil field"]
    covered = np.any([regions[name] for name in ("fields", "pasture", "outcrop", "road", "pond", "corner")], axis=0)
    regions["meadow"] = ~covered
    return regions


def _teaching_abundances(rng: np.random.Generator, regions: dict[str, np.ndarray]) -> np.ndarray:
    """Area fractions (rows, cols, 7): a recipe for each region, stirred by smooth random fields where nature would."""
    #            crop  grass soil  road  water calcite budd.
    recipes = {
        "meadow": (0.25, 0.60, 0.15, 0.0, 0.0, 0.0, 0.0),
        "crop field": (0.93, 0.02, 0.05, 0.0, 0.0, 0.0, 0.0),
        "grass field": (0.04, 0.92, 0.04, 0.0, 0.0, 0.0, 0.0),
        "soil field": (0.05, 0.05, 0.90, 0.0, 0.0, 0.0, 0.0),
        "pasture": (0.50, 0.30, 0.20, 0.0, 0.0, 0.0, 0.0),
        "outcrop": (0.0, 0.05, 0.25, 0.0, 0.0, 0.70, 0.0),
        "pond": (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0),
        "road": (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0),
        "corner": (0.50, 0.0, 0.50, 0.0, 0.0, 0.0, 0.0),
    }
    stirred = {
        "meadow": 0.15,
        "crop field": 0.05,
        "grass field": 0.05,
        "soil field": 0.05,
        "outcrop": 0.2,
        "corner": 0.35,
    }
    fields = _smooth_fields(rng, (_SIZE, _SIZE), 7, width=3.0)
    a = np.zeros((_SIZE, _SIZE, 7))
    for name, recipe in recipes.items():
        where = regions[name]
        base = np.array(recipe)
        a[where] = np.maximum(base + stirred.get(name, 0.0) * fields[where] * (base > 0), 0.0)
        a[where & ~a.any(axis=-1)] = base  # stirred until nothing was left: as it was
    a /= a.sum(axis=-1, keepdims=True)
    a = _soft_edges(a, regions)
    budd = rng.uniform(0.6, 0.95, (_SIZE, _SIZE)) * regions["rare"]
    a *= (1.0 - budd)[..., None]
    a[..., 6] += budd
    return a


def _soft_edges(a: np.ndarray, regions: dict[str, np.ndarray]) -> np.ndarray:
    """A pixel on an edge of road or pond sees both sides: mix it half and half with the mean of its neighbours."""
    from scipy.ndimage import binary_dilation, binary_erosion, uniform_filter

    mixed = np.maximum(uniform_filter(a, size=(3, 3, 1), mode="nearest"), 0.0)  # its running sums leave -1e-17
    edge = np.zeros(a.shape[:2], dtype=bool)
    for name in ("road", "pond"):
        edge |= binary_dilation(regions[name]) & ~binary_erosion(regions[name], border_value=1)
    edge &= ~(regions["pasture"] | regions["outcrop"] | regions["corner"])
    a = np.where(edge[..., None], 0.5 * (a + mixed), a)
    return a / a.sum(axis=-1, keepdims=True)


def _shifted(spectrum: np.ndarray, wavelengths: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The spectrum with its feature between 2200 and 2450 nm moved by ``shift`` nm; the rest stays where it is."""
    window = np.clip((wavelengths - 2100.0) / 100.0, 0.0, 1.0) * np.clip((2500.0 - wavelengths) / 50.0, 0.0, 1.0)
    source = wavelengths - shift[:, None] * window
    return np.interp(source, wavelengths, spectrum)


def _duplicate(cube: np.ndarray, abundances: np.ndarray) -> np.ndarray:
    """Copy a 6 x 6 block of the crop field to another place of it, to the last bit; where each copy came from."""
    here, there = (slice(24, 30), slice(3, 9)), (slice(4, 10), slice(3, 9))
    cube[here], abundances[here] = cube[there], abundances[there]
    origin = np.full(cube.shape[:2], -1)
    origin[here] = np.arange(_SIZE * _SIZE).reshape(_SIZE, _SIZE)[there]
    return origin
