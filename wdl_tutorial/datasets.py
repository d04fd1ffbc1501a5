"""Scenes and histograms to learn on: synthetic ones that come with the truth, the embedded spectra, real scenes.

Everything returned is NumPy: move it in the open with ``xp.asarray``. ``make_*`` is synthetic and seeded, ``load_*``
may touch the disk. Nothing is downloaded at import; a real scene is looked for in the folder named by the environment
variable ``WDL_TUTORIAL_DATA``, then in the cache, then downloaded where a direct address is known.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import cubefiles
from .cubefiles import RawCube, SceneFile, locate, read_mat, variable
from .histograms import displacement, normalize

REAL_SCENES = ("salinas-a", "samson", "jasper-ridge", "dc1", "dc2", "cardiac")
_WATER_BANDS = [*range(107, 112), *range(153, 167), 223]  # 0-based: the 20 bands "corrected" AVIRIS cubes lack
_SALINAS_CLASSES = {
    0: "unlabelled",
    1: "broccoli, green weeds",
    10: "corn, senesced green weeds",
    11: "lettuce romaine, 4 weeks",
    12: "lettuce romaine, 5 weeks",
    13: "lettuce romaine, 6 weeks",
    14: "lettuce romaine, 7 weeks",
}
_DC1_SPECTRA = ("Anorthite HS349.3B", "Jarosite GDS101 Na,Sy 200", "Alunite GDS83 Na63")
_DC2_MATERIALS = ("roof", "metal", "dirt", "tree", "asphalt")


class Scene(NamedTuple):
    """An image with a spectrum in every pixel, and what is known about it. Fields that are not known are None.

    What you know beside a file is put in by ``scene._replace(labels=..., mask=...)``, which gives a new scene.

    Examples
    --------
    >>> Scene("mine", np.ones((4, 5, 3)), np.array([450.0, 550.0, 650.0]))
    Scene('mine', 4 x 5 x 3, 450 to 650 nm, reflectance)
      with no truth, no labels, no mask
    """

    name: str
    cube: np.ndarray  # (rows, cols, bands) float64, in ``units``; NaN where masked
    wavelengths: np.ndarray | None = None  # (bands,) nm, increasing
    labels: np.ndarray | None = None  # (rows, cols) the file's own codes
    label_names: dict[int, str] | None = None  # code -> name
    endmembers: np.ndarray | None = None  # (n_endmembers, bands)
    abundances: np.ndarray | None = None  # (rows, cols, n_endmembers), fractions of area
    mask: np.ndarray | None = None  # (rows, cols) True where the pixel is valid; None: all are
    citation: str = ""
    endmember_names: tuple[str, ...] | None = None
    units: str = "reflectance"
    notes: tuple[str, ...] = ()  # what was mended, and what to know before trusting the truth
    extra: dict[str, Any] | None = None  # what only this scene has

    def __repr__(self) -> str:
        """What it is, what is known of it, and the notes, in a line each: no arrays."""
        nm = self.wavelengths
        span = "" if nm is None or not len(nm) else f", {nm[0]:g} to {nm[-1]:g} nm"
        names = ("labels", "endmembers", "abundances", "mask", "extra")
        known = ", ".join(name for name in names if getattr(self, name) is not None)
        lines = [f"Scene({self.name!r}, {' x '.join(map(str, self.cube.shape))}{span}, {self.units})"]
        lines.append(f"  with {known or 'no truth, no labels, no mask'}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def pixels(self) -> np.ndarray:
        """The valid pixels in C order, (n_valid, bands)."""
        flat = self.cube.reshape(-1, self.cube.shape[-1])
        return flat if self.mask is None else flat[_valid(self)]

    def to_map(self, values: np.ndarray) -> np.ndarray:
        """Values of the valid pixels, (n_valid,) or (n_valid, k), back as a map: NaN where the scene is masked."""
        values = np.asarray(values)
        if values.dtype.kind not in "fiub":
            raise TypeError(f"values must be numbers to be drawn as a map; got {values.dtype}. Give names codes first.")
        rows, cols = self.cube.shape[:2]
        valid = _valid(self)
        if values.shape[:1] != (valid.sum(),):
            raise ValueError(
                f"values has shape {values.shape}; the scene has {valid.sum()} valid pixels, one row each."
            )
        out = np.full((rows * cols, *values.shape[1:]), np.nan)
        out[valid] = values
        return out.reshape(rows, cols, *values.shape[1:])

    def crop(self, rows: slice, cols: slice) -> Scene:
        """The scene in these rows and columns only, all its maps cut alike. ``extra``, which may hold more, is left out.

        Examples
        --------
        >>> scene = make_bilinear_scene().crop(slice(10, 30), slice(None, 15))
        >>> scene.cube.shape, scene.abundances.shape
        ((20, 15, 188), (20, 15, 3))
        """
        if not (isinstance(rows, slice) and isinstance(cols, slice)):
            raise TypeError(f"rows and cols must be slices, such as slice(10, 30); got {rows!r} and {cols!r}.")
        maps = {name: getattr(self, name) for name in ("cube", "labels", "abundances", "mask")}
        part = self._replace(**{k: v if v is None else v[rows, cols] for k, v in maps.items()}, extra=None)
        if 0 in part.cube.shape:
            raise ValueError(f"rows {rows} and cols {cols} leave no pixel of a scene of {self.cube.shape[:2]}.")
        return part

    def drop_bands(self, bands: int | Sequence[int]) -> Scene:
        """The scene without the given bands (0-based)."""
        n_bands = self.cube.shape[-1]
        bands = np.atleast_1d(bands)
        if not bands.size:
            return self
        if bands.dtype.kind not in "iub" or bands.min() < -n_bands or bands.max() >= n_bands:
            raise ValueError(f"bands must be integers in 0..{n_bands - 1}; got {bands.tolist()}.")
        keep = np.delete(np.arange(n_bands), bands)
        if not keep.size:
            raise ValueError(f"dropping {n_bands} of {n_bands} bands leaves none. Keep at least one.")
        return self._replace(
            cube=self.cube[..., keep],
            wavelengths=None if self.wavelengths is None else self.wavelengths[keep],
            endmembers=None if self.endmembers is None else self.endmembers[:, keep],
        )


def _valid(scene: Scene) -> np.ndarray:
    """The mask in C order, (n_pixels,) bool. Zeros and ones of integers are no indices, and become False and True."""
    shape = scene.cube.shape[:2]
    if scene.mask is None:
        return np.ones(shape, dtype=bool).reshape(-1)
    mask = np.asarray(scene.mask)
    if mask.shape != shape:
        raise ValueError(f"mask must have one entry per pixel, shape {shape}; got {mask.shape}.")
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise ValueError(
            f"mask must hold False and True, or 0 and 1; got {mask.dtype}, from {mask.min()} to {mask.max()}."
        )
    return mask.astype(bool).reshape(-1)


# ---------------------------------------------------------------------------------------------- embedded spectra


class Spectra(NamedTuple):
    """Measured spectra of named materials."""

    names: tuple[str, ...]
    wavelengths: np.ndarray  # (n_bands,) nm
    spectra: np.ndarray  # (n_spectra, n_bands) reflectance
    records: tuple[str, ...]  # the names of the library's own records
    citation: str

    def select(self, *names: str) -> np.ndarray:
        """The spectra of the given materials, (len(names), n_bands)."""
        missing = [name for name in names if name not in self.names]
        if missing:
            raise ValueError(f"the sample has no spectrum called {missing}; it has {list(self.names)}.")
        return self.spectra[[self.names.index(name) for name in names]]


def load_usgs_sample(region: str = "full") -> Spectra:
    """The embedded spectra of the USGS Spectral Library Version 7 (public domain), in bands of 10 nm.

    Parameters
    ----------
    region : "full" for 13 spectra in 188 bands from 400 to 2490 nm (two gaps, where water vapour blinds an airborne
        sensor); "swir" for 18 spectra in the 55 bands from 1950 nm on, clays, micas and alunite among them.

    Examples
    --------
    >>> sample = load_usgs_sample()
    >>> sample.spectra.shape
    (13, 188)
    >>> load_usgs_sample("swir").names[-2:]
    ('muscovite, low Al', 'muscovite, high Al')
    """
    if region not in ("full", "swir"):
        raise ValueError(f'region must be "full" or "swir"; got {region!r}.')
    with (files("wdl_tutorial") / "data" / "usgs_sample.csv").open(newline="") as file:
        header, records, *rows = csv.reader(file)
    table = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows])
    if region == "swir":
        table = table[table[:, 0] >= 1950]
    complete = [k for k in range(1, table.shape[1]) if not np.isnan(table[:, k]).any()]
    return Spectra(
        names=tuple(header[k] for k in complete),
        wavelengths=table[:, 0].copy(),
        spectra=np.ascontiguousarray(table[:, complete].T),
        records=tuple(records[k] for k in complete),
        citation="Kokaly et al. (2017), USGS Spectral Library Version 7, doi:10.5066/F7RR1WDJ; public domain.",
    )


def aviris_wavelengths() -> np.ndarray:
    """The centres of the 224 AVIRIS bands in nm, increasing, as the USGS library of 1995 lists them.

    Examples
    --------
    >>> len(aviris_wavelengths())
    224
    """
    text = (files("wdl_tutorial") / "data" / "aviris_wavelengths.csv").read_text()
    return np.array([float(line) for line in text.split()[1:]])


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
    means, stds : in bins. The Gaussians are cut at the ends of the axis and normalised.
    eps : in units of the cost, whose maximum is 1.

    Examples
    --------
    >>> path = make_gaussian_path(exact=True)
    >>> path.X.shape, round(float(path.X[25] @ path.positions), 3)
    ((51, 200), 90.0)
    """
    if n_bins < 2 or n_samples < 2:
        raise ValueError(f"n_bins and n_samples must be at least 2; got {n_bins} and {n_samples}.")
    if np.shape(means) != (2,) or np.shape(stds) != (2,) or not min(stds) > 0:
        raise ValueError(f"means and stds must be two numbers each, stds positive; got {means} and {stds}.")
    positions = np.arange(n_bins, dtype=float)
    atoms = normalize(np.exp(-0.5 * ((positions - np.reshape(means, (2, 1))) / np.reshape(stds, (2, 1))) ** 2))
    t = np.arange(n_samples) / (n_samples - 1)
    weights = np.stack([t, 1.0 - t], axis=1)
    cost = (positions[:, None] - positions) ** 2 / (n_bins - 1) ** 2
    if exact:
        X = np.stack([_between(atoms[0], atoms[1], 1.0 - w) for w in t])
    else:
        from .barycenters import barycenter

        X = normalize(barycenter(atoms, weights, cost, eps=eps, n_iter=n_iter, domain="kernel").histogram)
    return GaussianPath(X, atoms, weights, positions, cost)


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

    Examples
    --------
    >>> data = make_bimodal()
    >>> data.X.shape, float(data.X[:, 30:60].sum())
    ((40, 90), 0.0)
    """
    if n_bins % 3 or n_bins < 6:
        raise ValueError(f"n_bins must be a multiple of 3, at least 6, to be cut in three; got {n_bins}.")
    if not 0 < std < np.inf:
        raise ValueError(f"std must be positive, in bins; got {std}.")
    rng = np.random.default_rng(random_state)
    third = n_bins // 3
    positions = np.arange(n_bins, dtype=float)
    allowed = np.concatenate([np.arange(0, third, 2), np.arange(2 * third, n_bins, 2)])
    means = rng.choice(allowed, size=(n_samples, 2))
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
    """A ring that beats: it contracts and widens, its wall is thickest a quarter of a beat later, so the path is a loop.

    A stand-in for the heart of Schmitz et al. (2018), section 5.2: a muscle seen from above, beside an organ at rest, on
    a dark ground that is not quite black. ``along`` is the phase.

    Examples
    --------
    >>> ring = make_beating_ring()
    >>> ring.X.shape, round(float(ring.X.sum()), 6)
    ((13, 2592), 13.0)
    """
    rows, columns = _check_image(shape)
    if n_frames < 1:
        raise ValueError(f"n_frames must be at least 1; got {n_frames}.")
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
    """What a star looks like through a space telescope at 550 to 900 nm: the point spread functions of one mirror.

    The data of Schmitz et al. (2018), section 5.1, are simulations for Euclid that we do not have; these are ours, by
    Fourier optics. The intensity is |F(A exp(2 pi i W / wavelength))|^2: A a mirror of 1.2 m with a secondary of a third
    of its diameter and three struts, W a smooth random error of the wave front, the same at all wavelengths. Twice the
    wavelength spreads the light twice as far. ``along`` is the wavelength in nm.

    Parameters
    ----------
    pixel : angle of one pixel, in seconds of arc; the diffraction width at 550 nm is 0.095.
    aberration : root mean square of W, in nm.

    Examples
    --------
    >>> psfs = make_telescope_psfs(n_wavelengths=8)
    >>> psfs.X.shape, psfs.along[[0, -1]]
    ((8, 1600), array([550., 900.]))
    """
    rows, columns = _check_image(shape)
    if n_wavelengths < 1:
        raise ValueError(f"n_wavelengths must be at least 1; got {n_wavelengths}.")
    if not (pixel > 0 and aberration >= 0):
        raise ValueError(f"pixel must be positive and aberration not negative; got {pixel:g} and {aberration:g}.")
    diameter, n, fine = 1.2, 96, 2  # m; points across the mirror; samples per pixel and axis
    mirror, error = _mirror(n, np.random.default_rng(random_state))
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


def load_faces(*, inverted: bool = False) -> Frames:
    """100 faces of 25 x 25 pixels, of many people: the faces of the subset of LFW that scikit-image carries.

    ``inverted`` turns dark into bright, so that eyes, brows and mouths are the mass that moves (Schmitz et al. (2018),
    section 5.3, whose 20 images are of one person). ``along`` numbers the faces. Nothing is downloaded.

    Raises
    ------
    ImportError
        scikit-image is not installed; it is in the extra ``book``.
    """
    try:
        from skimage.data import lfw_subset
    except ImportError as error:
        raise ImportError('load_faces needs scikit-image: pip install "wdl-tutorial[book]".') from error
    faces = lfw_subset()[:100]  # what follows in the file is no face
    faces = (1.0 - faces if inverted else faces) + 1e-3
    return Frames(normalize(faces.reshape(100, -1)), faces.shape[1:], np.arange(100.0))


def _check_image(shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of an image."""
    if len(tuple(shape)) != 2 or any(not isinstance(n, int | np.integer) or n < 4 for n in shape):
        raise ValueError(f"shape must be (rows, columns) of at least 4 each; got {shape!r}.")
    return int(shape[0]), int(shape[1])


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
    """A scene in which light bounces twice: y = sum a_i m_i + strength sum_{i<j} a_i a_j m_i m_j + noise.

    ``strength=1`` is Fan's bilinear model, the one of ID-Net's first data cube (DC1); 0 is linear mixing.

    Parameters
    ----------
    endmembers : array, shape (n_endmembers, n_bands)   Reflectance; from the embedded spectra if not given.
    abundances : array, shape (rows, cols, n_endmembers)   On the simplex; smooth random maps if not given.
    wavelengths : array, shape (n_bands,), nm   Of the given endmembers.
    snr_db : signal power over noise power, 10 log10(mean(y^2) / variance); None for no noise.

    Returns
    -------
    Scene, with the true endmembers and abundances. Noise may push dark bands below zero; they stay.
    """
    rng = np.random.default_rng(random_state)
    names: tuple[str, ...] | None = None
    if endmembers is None:
        sample = load_usgs_sample()
        _check_count(n_endmembers, len(_MIXABLE))
        names = _MIXABLE[:n_endmembers]
        endmembers, wavelengths = sample.select(*names), sample.wavelengths
    endmembers = np.asarray(endmembers, dtype=float)
    _check_spectra(endmembers, wavelengths, "endmembers")
    if not np.isfinite(strength):
        raise ValueError(f"strength must be a finite number; got {strength}.")
    if abundances is None:
        abundances = _smooth_abundances(rng, shape, endmembers.shape[0])
    abundances = np.asarray(abundances, dtype=float)
    if abundances.ndim != 3 or abundances.shape[-1] != endmembers.shape[0]:
        raise ValueError(
            f"abundances has shape {abundances.shape}; it must be (rows, cols, {endmembers.shape[0]}), one map for "
            "each of the endmembers."
        )
    off = max(float(np.abs(abundances.sum(axis=-1) - 1.0).max()), -float(abundances.min()))
    if not off <= 1e-3:
        raise ValueError(
            f"abundances must not be negative and must sum to 1 in each pixel; the worst is off by {off:.3g}."
        )
    cube = _with_noise(_bilinear(abundances, endmembers, strength), snr_db, rng)
    return Scene(
        name="bilinear scene",
        cube=cube,
        wavelengths=wavelengths,
        endmembers=endmembers,
        abundances=abundances,
        endmember_names=names,
        citation="" if names is None else sample.citation,
    )


def _check_spectra(spectra: np.ndarray, wavelengths: np.ndarray | None, name: str) -> None:
    if spectra.ndim != 2 or 0 in spectra.shape or not np.isfinite(spectra).all():
        raise ValueError(f"{name} must be finite spectra, (n, n_bands); got shape {spectra.shape}.")
    if wavelengths is not None and np.shape(wavelengths) != spectra.shape[1:]:
        raise ValueError(
            f"{name} have {spectra.shape[1]} bands, wavelengths shape {np.shape(wavelengths)}. Give one each."
        )


def _check_count(n_endmembers: int, most: int) -> None:
    if not isinstance(n_endmembers, int | np.integer) or not 2 <= n_endmembers <= most:
        raise ValueError(f"n_endmembers must lie in 2..{most} here; got {n_endmembers}. Give your own endmembers.")


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
    if not isinstance(snr_db, int | float | np.number) or np.isnan(snr_db):
        raise ValueError(f"snr_db must be a number of dB, or None for no noise; got {snr_db!r}.")
    variance = np.mean(cube**2) / 10 ** (snr_db / 10)
    return cube + rng.normal(0.0, np.sqrt(variance), cube.shape)


def _smooth_fields(rng: np.random.Generator, shape: tuple[int, int], n: int, width: float) -> np.ndarray:
    """``n`` Gaussian random fields with features ``width`` pixels wide, mean 0 and standard deviation 1."""
    from scipy.ndimage import gaussian_filter

    if any(not isinstance(m, int | np.integer) or m < 1 for m in shape) or np.prod(shape) < 2:
        raise ValueError(f"shape must be (rows, cols), two pixels or more; got {shape!r}.")
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
    """A scene in which no two pixels have the same endmembers: y = M_pixel a + noise, like ID-Net's DC2.

    Each pixel draws one spectrum of each material from its bundle.

    Parameters
    ----------
    bundles : name -> array, shape (n_spectra, n_bands)   Spectra of each material (``load_dc2_bundles().spectra``).
        If not given, 100 variants of each of ``n_endmembers`` embedded spectra: a brightness and a smooth curve, both
        log-normal, with relative standard deviation ``variability``.

    Returns
    -------
    Scene. ``endmembers`` are the bundles' means; ``extra["pixel_endmembers"]`` (rows, cols, n_endmembers, n_bands) are
    the true ones of each pixel, ``extra["bundles"]`` the bundles.
    """
    rng = np.random.default_rng(random_state)
    citation = ""
    if not 0 <= variability < np.inf:
        raise ValueError(f"variability must be finite and not negative; got {variability}.")
    if bundles is None:
        sample = load_usgs_sample()
        _check_count(n_endmembers, len(_MIXABLE))
        wavelengths, citation = sample.wavelengths, sample.citation
        bundles = {name: _variants(rng, sample.select(name)[0], variability) for name in _MIXABLE[:n_endmembers]}
    bundles = {name: np.asarray(spectra, dtype=float) for name, spectra in bundles.items()}
    widths = {spectra.shape[-1] if spectra.ndim == 2 else None for spectra in bundles.values()}
    if len(widths) != 1 or None in widths:
        shapes = {name: spectra.shape for name, spectra in bundles.items()}
        raise ValueError(f"every bundle must have shape (n_spectra, n_bands) with the same n_bands; got {shapes}.")
    for name, spectra in bundles.items():
        _check_spectra(spectra, wavelengths, f"spectra of {name!r}")
    abundances = _smooth_abundances(rng, shape, len(bundles))
    drawn = [spectra[rng.integers(len(spectra), size=shape)] for spectra in bundles.values()]
    pixel_endmembers = np.stack(drawn, axis=2)
    cube = (abundances[..., None, :] @ pixel_endmembers)[..., 0, :]
    return Scene(
        name="variable scene",
        cube=_with_noise(cube, snr_db, rng),
        wavelengths=wavelengths,
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
    """The small scene of the book, 64 x 64 pixels in 188 bands, in which every failure that the book tells of lives.

    Seven measured materials: three fields of crop, grass and soil; a gravel road; a pond; an outcrop of calcite; specks
    of buddingtonite. ``extra`` says where the trouble is:

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

    Examples
    --------
    >>> scene = make_teaching_scene()
    >>> scene.cube.shape, scene.endmember_names[scene.extra["rare"]]
    ((64, 64, 188), 'buddingtonite')
    """
    rng = np.random.default_rng(random_state)
    sample = load_usgs_sample()
    endmembers = sample.select(*_TEACHING)
    regions = _teaching_regions()
    abundances = _teaching_abundances(rng, regions)
    eastward = (np.arange(_SIZE) - 42) / 21.0  # 0 to 1 over the eastern third
    extra = {
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


# ---------------------------------------------------------------------------------------------- real scenes


def available(name: str) -> bool:
    """True where all files of a real scene lie on this machine, so that its loader needs no network.

    Parameters
    ----------
    name : "salinas-a", "samson", "jasper-ridge", "dc1", "dc2" or "cardiac".
    """
    if name not in REAL_SCENES:
        raise ValueError(f"name must be one of {REAL_SCENES}; got {name!r}.")
    return all(cubefiles.find(file) is not None for file in _scene_files(name))


def _scene_files(name: str) -> list[SceneFile]:
    """The files of a scene, in the order in which its loader takes them."""
    with (files("wdl_tutorial") / "data" / "scene_files.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["folder"] == name]
    return [SceneFile(**{**row, "url": row["url"] or None}) for row in rows]


def _paths(name: str, download: bool, check_sha256: bool) -> list[Path]:
    return [locate(file, download=download, check_sha256=check_sha256) for file in _scene_files(name)]


def _checked_cube(cube: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """The cube as float64, its mask and notes: NaN is refused, empty pixels are masked, negative values kept."""
    cube = np.ascontiguousarray(cube, dtype=np.float64)
    bad = ~np.isfinite(cube)
    if bad.any():
        bands = np.flatnonzero(bad.any(axis=(0, 1)))
        raise ValueError(
            f"{path} holds {bad.sum()} NaN or infinite values, in {bands.size} bands (first: band {bands[0]}); the "
            "public file holds none. Fetch it again, or read it with load_cube, which drops such bands."
        )
    notes = []
    empty = ~cube.any(axis=-1)
    if empty.any():
        cube[empty] = np.nan
        notes.append(f"{empty.sum()} all-zero pixels are masked")
    negative = int((cube < 0).sum())
    if negative:
        notes.append(f"{negative} negative values are kept (smallest {np.nanmin(cube):.3g})")
    return cube, ~empty if empty.any() else None, tuple(notes)


def _truth(found: dict[str, np.ndarray], name: str, path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A variable of the truth as finite float64."""
    value = variable(found, name, path, shape).astype(np.float64)
    _check_finite(value, name, path)
    return value


def _check_finite(value: np.ndarray, name: str, path: Path) -> None:
    bad = int((~np.isfinite(value)).sum())
    if bad:
        raise ValueError(
            f"{name!r} in {path} holds {bad} NaN or infinite values; the public file holds none. Fetch it again."
        )


def _check_reflectance(spectra: np.ndarray, name: str, path: Path) -> None:
    """Library spectra (n, n_bands): somewhere positive, nowhere negative."""
    if spectra.min() < 0:
        raise ValueError(f"{name!r} in {path} goes below zero ({spectra.min():.3g}). It is another version.")
    if not spectra.any(axis=1).all():
        raise ValueError(f"a spectrum of {name!r} in {path} is zero in every band. It is another version.")


def load_salinas_a(*, download: bool = True, check_sha256: bool = True) -> Scene:
    """Salinas A: 83 x 86 pixels, 204 bands, six crops in rows of a field (AVIRIS, Salinas Valley, 1998).

    The cube is at-sensor radiance in digital numbers: its scale to reflectance is not public, so it stays raw. 183
    values are negative and are kept; only 4798 of the spectra differ, so a random split leaks. The file carries no
    wavelengths; those of the instrument stand in, without the 20 bands (108-112, 154-167, 224) that water hides.

    Parameters
    ----------
    download : fetch the files if they are not on this machine.
    check_sha256 : refuse any other version of the files.

    Raises
    ------
    FileNotFoundError
        If the files are not to be had; the message says what to fetch and where to put it.
    ValueError
        If a file has another sha256, shape or variable than expected, or holds NaN.
    """
    image, truth = _paths("salinas-a", download, check_sha256)
    raw = variable(read_mat(image), "salinasA_corrected", image, (83, 86, 204))
    labels = variable(read_mat(truth), "salinasA_gt", truth, (83, 86)).astype(np.int64)
    cube, mask, notes = _checked_cube(raw, image)
    return Scene(
        name="Salinas A",
        cube=cube,
        wavelengths=np.delete(aviris_wavelengths(), _WATER_BANDS),
        labels=labels,
        label_names=dict(_SALINAS_CLASSES),
        mask=mask,
        citation="AVIRIS (NASA/JPL), Salinas Valley, 1998; distributed by the GIC group of UPV/EHU.",
        units="at-sensor radiance, digital numbers",
        notes=(*notes, "only 4798 of the 7138 spectra differ", "wavelengths are nominal, those of the instrument"),
    )


class SalinasPixels(NamedTuple):
    """The training pixels of WaHU's experiment on Salinas A."""

    X: np.ndarray  # (n_pixels, 201) histograms
    positions: np.ndarray  # (201,) nm, increasing
    labels: np.ndarray  # (n_pixels,) class codes
    indices: np.ndarray  # (n_pixels,) into the flattened scene
    scales: np.ndarray  # (n_pixels,) what each pixel was divided by
    offset: float  # what was added to every value first


def wahu_salinas_pixels(
    scene: Scene | None = None, *, n_per_class: int = 167, random_state: int | np.random.Generator = 0
) -> SalinasPixels:
    """Salinas A as WaHU's experiment takes it: 1002 histograms in 201 bands, 167 of each of the six crops.

    Bands 0, 32 and 94 are dropped, the absolute value of the scene's minimum is added to make it non-negative, and each
    pixel is divided by its sum. The paper's cost is |x_i - x_j| over the positions, scaled so that its maximum is 10:
    ``LineCost(positions, scale=10 / (positions[-1] - positions[0]))``. Which pixels its authors drew is not known.

    Parameters
    ----------
    scene : from :func:`load_salinas_a`, which is called if it is not given.
    n_per_class : drawn without replacement.
    """
    scene = load_salinas_a() if scene is None else scene
    if scene.labels is None or scene.wavelengths is None or scene.cube.shape[-1] != 204:
        raise ValueError(f"scene must be Salinas A, labelled, with 204 bands; got {scene.name!r} {scene.cube.shape}.")
    rng = np.random.default_rng(random_state)
    reduced = scene.drop_bands([0, 32, 94])
    offset = abs(min(float(np.nanmin(reduced.cube)), 0.0))
    labels = reduced.labels.reshape(-1)
    valid = _valid(scene)
    indices = []
    for code in np.unique(labels[labels > 0]):
        members = np.flatnonzero((labels == code) & valid)
        if not 1 <= n_per_class <= members.size:
            raise ValueError(
                f"class {code} has {members.size} pixels; n_per_class={n_per_class} asks for more, or none."
            )
        indices.append(np.sort(rng.choice(members, size=n_per_class, replace=False)))
    chosen = np.concatenate(indices)
    shifted = reduced.cube.reshape(labels.size, -1)[chosen] + offset
    return SalinasPixels(normalize(shifted), reduced.wavelengths, labels[chosen], chosen, shifted.sum(axis=1), offset)


def _unfold(columns: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """(k, rows * cols) with pixels column by column, as MATLAB flattens images, to (rows, cols, k)."""
    return columns.reshape(columns.shape[0], cols, rows).transpose(2, 1, 0)


def load_samson(*, download: bool = True, check_sha256: bool = True) -> Scene:
    """Samson: 95 x 95 pixels, 156 bands (401-889 nm), rock, tree and water.

    Reflectance was scaled to [0, 1] by the providers. Two warnings about the truth: each endmember is scaled to a
    maximum of about 1, so ``cube != abundances @ endmembers``; and the abundances are, to .002, what non-negative least
    squares gives with those scaled endmembers, so scoring abundances on them is circular. Judge endmembers by spectral
    angle.

    Parameters, Raises : as :func:`load_salinas_a`.
    """
    image, truth = _paths("samson", download, check_sha256)
    raw = variable(read_mat(image), "V", image, (156, 9025))
    found = read_mat(truth)
    cube, mask, notes = _checked_cube(_unfold(raw, 95, 95), image)
    return Scene(
        name="Samson",
        cube=cube,
        wavelengths=np.linspace(401.0, 889.0, 156),
        endmembers=np.ascontiguousarray(_truth(found, "M", truth, (156, 3)).T),
        abundances=np.ascontiguousarray(_unfold(_truth(found, "A", truth, (3, 9025)), 95, 95)),
        mask=mask,
        citation="Samson; annotated by F. Zhu (arXiv:1403.4682); distributed by the RSLab, University of Tehran.",
        endmember_names=("rock", "tree", "water"),
        units="reflectance, scaled to [0, 1]",
        notes=(
            *notes,
            "endmembers are scaled to a maximum of about 1 each: the cube is not abundances @ endmembers",
            "the abundances follow from those scaled endmembers by NNLS to .002: scoring on them is circular",
            "wavelengths are nominal, 401-889 nm in equal steps",
        ),
    )


def load_jasper_ridge(*, download: bool = True, check_sha256: bool = True) -> Scene:
    """Jasper Ridge: 100 x 100 pixels, 198 bands, tree, water, dirt and road (AVIRIS). Reflectance: the file over 5000.

    Parameters, Raises : as :func:`load_salinas_a`.
    """
    image, truth = _paths("jasper-ridge", download, check_sha256)
    content = read_mat(image)
    raw = variable(content, "Y", image, (198, 10000))
    scale = float(variable(content, "maxValue", image).item())
    bands = variable(content, "SlectBands", image, (198, 1)).ravel().astype(int) - 1
    found = read_mat(truth)
    cube, mask, notes = _checked_cube(_unfold(raw, 100, 100) / scale, image)
    return Scene(
        name="Jasper Ridge",
        cube=cube,
        wavelengths=aviris_wavelengths()[bands],
        endmembers=np.ascontiguousarray(_truth(found, "M", truth, (198, 4)).T),
        abundances=np.ascontiguousarray(_unfold(_truth(found, "A", truth, (4, 10000)), 100, 100)),
        mask=mask,
        citation="Jasper Ridge (AVIRIS, NASA/JPL); annotated by F. Zhu (arXiv:1403.4682); distributed by the RSLab.",
        endmember_names=("tree", "water", "dirt", "road"),
        notes=(*notes, "wavelengths are nominal, those of the instrument"),
    )


def load_cardiac(*, download: bool = True, check_sha256: bool = True) -> Scene:
    """A beating heart: 13 frames of 240 rows x 272 columns, the data of Schmitz et al. (2018), section 5.2.

    ``cube[..., k]`` is frame k in grey levels 0-255, whole slices of the thorax. As histograms for a dictionary:
    ``normalize(np.moveaxis(cube, -1, 0).reshape(13, -1))``, with ``GridCost((240, 272))``.

    Parameters, Raises : as :func:`load_salinas_a`.
    """
    from PIL import Image, UnidentifiedImageError

    frames = []
    for path in _paths("cardiac", download, check_sha256):
        try:
            with Image.open(path) as image:
                frame = np.asarray(image)
        except (UnidentifiedImageError, OSError, SyntaxError) as error:  # what Pillow raises on broken PNG files
            raise ValueError(f"{path} cannot be read as an image ({error}). Fetch it again.") from error
        if frame.shape != (240, 272):
            raise ValueError(f"{path} has shape {frame.shape}, expected (240, 272) in grey. It is another file.")
        frames.append(frame)
    return Scene(
        name="beating heart",
        cube=np.stack(frames, axis=-1).astype(np.float64),
        citation="Schmitz et al. (2018), SIAM J. Imaging Sciences 11(1), 5.2; frames from the authors' repository.",
        units="grey levels, 0-255",
        notes=("the last axis is time, in frames of one heart beat, not wavelength",),
    )


def load_dc1(
    *,
    snr_db: float | None = 30.0,
    random_state: int | np.random.Generator = 0,
    download: bool = True,
    check_sha256: bool = True,
) -> Scene:
    """DC1 of ID-Net (section V): 50 x 50 pixels, 224 bands, anorthite, jarosite and alunite mixed by Fan's model.

    The endmembers are very probably the paper's own: of the USGS library of 1995, sorted by wavelength and thinned to
    spectra at least 4.44 degrees apart, they are the ones its public recipe picks. The noise is drawn here.
    Where the two files are not to be had, :func:`make_bilinear_scene` makes a scene of the same kind.

    Parameters
    ----------
    snr_db : signal-to-noise ratio, as in :func:`make_bilinear_scene`.
    download, check_sha256 : as in :func:`load_salinas_a`.
    """
    library, maps = _paths("dc1", download, check_sha256)
    content = read_mat(library)
    table = _truth(content, "datalib", library, (224, 501))
    names = [bytes(row).decode("latin-1").strip() for row in variable(content, "names", library, (501, 29))]
    columns = [_library_column(names, wanted, library) for wanted in _DC1_SPECTRA]
    order = np.argsort(table[:, 0], kind="stable")
    _check_reflectance(table[:, columns].T, "datalib", library)
    abundances = _truth(read_mat(maps), "A_cube", maps, (50, 50, 3))
    off = max(float(np.abs(abundances.sum(axis=-1) - 1.0).max()), -float(abundances.min()))
    if off > 1e-3:
        raise ValueError(f"the abundances in {maps} are off the simplex by {off:.3g}. It is another version.")
    scene = make_bilinear_scene(
        table[order][:, columns].T,
        abundances=abundances,
        wavelengths=1000.0 * table[order, 0],
        snr_db=snr_db,
        random_state=random_state,
    )
    return scene._replace(
        name="DC1",
        endmember_names=("anorthite", "jarosite", "alunite"),
        citation="Borsoi, Erdogmus and Imbiriba (2023), ID-Net, DC1; spectra: USGS library of 1995, public domain.",
        notes=("made by the documented recipe; the noise is ours",),
    )


def _library_column(names: list[str], wanted: str, path: Path) -> int:
    found = [k for k, name in enumerate(names) if name.startswith(wanted)]
    if len(found) != 1:
        raise ValueError(f"{path} names {len(found)} spectra {wanted!r}, expected one. It is another version.")
    return found[0]


class Bundles(NamedTuple):
    """Many spectra of each of a few materials."""

    spectra: dict[str, np.ndarray]  # name -> (n_spectra, n_bands) reflectance
    wavelengths: np.ndarray  # (n_bands,) nm
    citation: str


def load_dc2_bundles(*, download: bool = True, check_sha256: bool = True) -> Bundles:
    """The spectra that ID-Net's DC2 draws from: roof, metal, dirt, tree, asphalt of the Urban scene, 162 bands.

    The paper's abundance maps are not public: ``make_variable_scene(load_dc2_bundles().spectra)`` makes a scene of the
    same kind, not the same scene. The wavelengths are nominal: 210 equal steps over 400-2500 nm, without the bands that
    are commonly dropped (1-4, 76, 87, 101-111, 136-153, 198-210).

    Parameters
    ----------
    download, check_sha256 : as in :func:`load_salinas_a`.
    """
    (path,) = _paths("dc2", download, check_sha256)
    content = read_mat(path)
    materials = [str(np.asarray(cell).item()).lower() for cell in variable(content, "material_names", path).ravel()]
    found = {name: variable(content, f"lib{k + 1}", path) for k, name in enumerate(materials)}
    wrong = {name: value.shape for name, value in found.items() if value.ndim != 2 or value.shape[0] != 162}
    missing = [name for name in _DC2_MATERIALS if name not in found]
    if wrong or missing:
        raise ValueError(f"{path} should hold 162 bands of each material; wrong shapes {wrong}, missing {missing}.")
    for name, value in found.items():
        _check_finite(value, name, path)
        _check_reflectance(value.T, name, path)
    dropped = np.r_[0:4, 75, 86, 100:111, 135:153, 197:210]
    return Bundles(
        {name: np.ascontiguousarray(found[name].T, dtype=float) for name in _DC2_MATERIALS},
        np.delete(np.linspace(400.0, 2500.0, 210), dropped),
        "Urban (HYDICE); spectra collected by Borsoi et al., MUA_SparseUnmixing.",
    )


# ---------------------------------------------------------------------------------------------- a reader's own cube


def load_cube(
    path: str | Path,
    *,
    variable: str | None = None,
    bands_axis: int = -1,
    wavelengths: np.ndarray | None = None,
    scale: float | None = None,
    negative: str = "keep",
) -> Scene:
    """Your own cube, from ``.npy``, ``.npz``, ``.mat`` (5 and 7.3) or ENVI (BIL, BSQ, BIP). Nothing is unpickled.

    What is mended, and told in ``notes``:

    * bands that the header marks as bad, or that hold no finite value in any pixel, are dropped with their wavelengths;
    * wavelengths that all lie below 100 are taken for micrometres, as no camera sees so far;
    * bands are put in order of wavelength;
    * pixels that are zero in every band, or still hold a missing value (NaN, infinite, or the header's ``data ignore
      value``), are masked: False in ``mask``, NaN in ``cube``;
    * gains and offsets of single bands in an ENVI header are not applied: apply them and save, where there are any;
    * negative reflectance is kept by default: it is noise, and cutting it biases the mean;
    * reflectance above 1.5 is kept and counted: saturated pixels (mask them: they would be found as endmembers), or a
      wrong scale.

    Parameters
    ----------
    path : of the file; of an ENVI image, the header or the data file.
    variable : name of the array in a ``.npz`` or ``.mat`` file that holds more than one cube.
    bands_axis : 0 for an array (bands, rows, cols), 1 for (rows, bands, cols); an ENVI header tells it by itself. Where no
        wavelengths are known nothing shows that it is wrong: look at ``cube.shape``.
    wavelengths : array, shape (bands,), nm   Instead of those of the file (``wavelengths`` in ``.npz`` and ``.mat``).
    scale : reflectance = file / scale; ENVI's "reflectance scale factor" where not given, else 1.
    negative : "keep", "clip" (to 0) or "raise".

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, truncated, of another format, has axes in another order than (rows, cols, bands) as far
        as the wavelengths tell, or holds no valid pixel.
    """
    if negative not in ("keep", "clip", "raise"):
        raise ValueError(f'negative must be "keep", "clip" or "raise"; got {negative!r}.')
    if scale is not None and not 0 < scale < np.inf:
        raise ValueError(f"scale must be positive and finite; got {scale}.")
    path = Path(path).expanduser()
    if bands_axis not in (-3, -2, -1, 0, 1, 2):
        raise ValueError(f"bands_axis must be 0, 1 or 2 (or -1, the last); got {bands_axis!r}.")
    if bands_axis not in (-1, 2) and path.suffix.lower() not in (".npy", ".npz", ".mat"):
        raise ValueError(f"bands_axis={bands_axis} is for plain arrays; the header of {path} says where its bands are.")
    raw = cubefiles.read_cube(path, variable_name=variable)
    raw = raw._replace(cube=np.moveaxis(raw.cube, bands_axis, -1))
    if wavelengths is not None:
        raw = raw._replace(wavelengths=np.asarray(wavelengths, dtype=float).ravel())
    if scale is not None:
        raw = raw._replace(scale=scale)
    _check_bands(raw, path)
    cube, nm, mask, notes = _mended(raw, path)
    cube, notes = _negative(cube, negative, notes, path)
    known = raw.scale != 1.0
    above = int((cube > 1.5).sum())
    if known and above:
        notes.append(f"{above} values are above 1.5 (largest {np.nanmax(cube):.3g}): saturated, or of another scale")
    notes += [f"the header's {key} are not applied" for key in raw.not_applied]
    if not known:
        notes.append("no scale is known; values are as in the file")
    return Scene(
        name=path.stem,
        cube=cube,
        wavelengths=nm,
        mask=mask,
        units="reflectance" if known else "as in the file",
        notes=tuple(notes),
    )


def _check_bands(raw: RawCube, path: Path) -> None:
    """Wavelengths tell which axis holds the bands: a cube turned round is refused, with the remedy."""
    nm, shape = raw.wavelengths, raw.cube.shape
    if nm is None:
        return
    if not np.all(np.isfinite(nm)) or np.any(nm <= 0):
        raise ValueError(f"wavelengths of {path} must be positive numbers; got {nm[:3]}... Give wavelengths=... in nm.")
    if nm.size == shape[-1]:
        return
    if nm.size in shape[:2]:
        axis = shape.index(nm.size)
        raise ValueError(
            f"{path} has shape {shape} and {nm.size} wavelengths: its bands lie on axis {axis}, not on the last. "
            f"Give bands_axis={axis}."
        )
    raise ValueError(f"{path} has shape {shape}, so {shape[-1]} bands, but {nm.size} wavelengths. Give one per band.")


def _mended(raw: RawCube, path: Path) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, list[str]]:
    cube = raw.cube.astype(np.float64)  # a copy: the file's own array is not touched
    notes: list[str] = []
    if raw.ignore is not None:
        cube[raw.cube == raw.ignore] = np.nan
    missing = ~np.isfinite(cube)
    cube[missing] = np.nan
    lit = ((cube != 0) & ~missing).any(axis=-1)  # a border of zeros is no value of a band
    keep = ~(missing[lit] if lit.any() else missing.reshape(-1, missing.shape[-1])).all(axis=0)
    if not keep.all():
        notes.append(f"{(~keep).sum()} bands without any value are dropped (0-based: {np.flatnonzero(~keep).tolist()})")
    if raw.good_bands is not None and not raw.good_bands.all():
        notes.append(f"{(~raw.good_bands).sum()} bands that the header marks as bad are dropped")
        keep &= raw.good_bands
    order, nm = np.flatnonzero(keep), raw.wavelengths
    if nm is not None and np.max(nm) < 100:
        nm = 1000.0 * nm
        notes.append("wavelengths are read as micrometres")
    if nm is not None and np.any(np.diff(nm[order]) < 0):
        order = order[np.argsort(nm[order], kind="stable")]
        notes.append("bands are sorted by wavelength")
    if not np.array_equal(order, np.arange(keep.size)):
        cube = np.take(cube, order, axis=-1)
    cube /= raw.scale
    empty = ~(cube != 0).any(axis=-1)
    holed = np.isnan(cube).any(axis=-1)
    if holed.any():
        notes.append(f"{holed.sum()} pixels with missing values are masked")
    if empty.any():
        notes.append(f"{empty.sum()} all-zero pixels are masked")
    valid = ~(empty | holed)
    if not order.size or not valid.any():
        raise ValueError(f"{path} holds no valid pixel: {'; '.join(notes)}. Check its data ignore value and its bands.")
    cube[~valid] = np.nan
    return cube, None if nm is None else nm[order], None if valid.all() else valid, notes


def _negative(cube: np.ndarray, negative: str, notes: list[str], path: Path) -> tuple[np.ndarray, list[str]]:
    below = cube < 0
    if not below.any():
        return cube, notes
    if negative == "raise":
        raise ValueError(
            f"{path} holds {below.sum()} negative values (smallest {np.nanmin(cube):.3g}). Use negative='clip' to set "
            "them to zero or negative='keep' to keep them."
        )
    told = f"{below.sum()} negative values are {'set to zero' if negative == 'clip' else 'kept'}"
    return (np.where(below, 0.0, cube) if negative == "clip" else cube), [*notes, told]
