"""Unmix a scene: every method on one footing, from a cube to maps, endmember spectra, a reconstruction and its doubts.

    unmix(scene, method="wahu", n_endmembers=4)      one method
    compare(scene, methods, n_endmembers=4)          several, as a table of methods x metrics x seeds
    wahu(positions, setting="salinas")               the dictionary of either of the WaHU paper's experiments, unfitted

Host work on a cube: NumPy in, NumPy out; the Wasserstein dictionaries and the networks work inside.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy

from . import __version__, linear, metrics
from ._array import to_numpy
from ._checks import (
    array_of,
    check_seed,
    choice,
    finite,
    generator_of,
    integer,
    real_array,
    shown,
    squarable,
)
from .histograms import area_fractions, band_widths, normalize
from .iterate import ConvergenceWarning, progress, warn
from .libraries import Spectra, load_usgs_sample
from .presets import RECOMMENDED, SETTINGS, MassDictionary, unbalanced_wahu, wahu  # noqa: F401  (their first home)
from .scenes import Geo, Scene, as_scene, check_maps, slabs_of, valid_pixels

BLOCK = 1 << 24  # bytes of float64 pixels that are unmixed at once
FULL_FIT = 10_000  # training pixels above which atoms are learned from minibatches: a full fit then takes longer
BATCH = 25  # pixels of one: converged weights of more take longer than the step is worth
MANY = 8_000_000  # values from which on VCA, too, goes through the pixels in blocks


class Rows(NamedTuple):
    """What a method says of some pixels."""

    abundances: np.ndarray  # (n_pixels, n_endmembers)
    reconstruction: np.ndarray  # (n_pixels, n_bands)
    bundle: np.ndarray | None = None  # (n_pixels, n_endmembers, n_bands) where every pixel has endmembers of its own


class Learned(NamedTuple):
    """What a method keeps of a scene: enough to unmix the pixels of another one."""

    endmembers: np.ndarray  # (n_endmembers, n_bands)
    model: Any
    rows: Callable[[np.ndarray], Rows] | None  # unmixes any pixels with what was learned; None: it cannot
    fitted: Rows | None = None  # of the pixels it learned from, where learning gave them already
    reconstruct: Callable[[], np.ndarray] | None = None  # their reconstruction, (n_pixels, n_bands), made when asked
    indices: np.ndarray | None = None  # (n_endmembers,) which pixels the endmembers are
    names: tuple[str, ...] | None = None  # of the endmembers, where they have some
    rebuild: Callable[[slice], np.ndarray] | None = (
        None  # the reconstruction of some of them, where it can be had by parts
    )


class Fit(NamedTuple):
    """What a method of your own hands back on the valid pixels."""

    abundances: np.ndarray  # (n_pixels, n_endmembers)
    endmembers: np.ndarray  # (n_endmembers, n_bands)
    reconstruction: np.ndarray | None = None  # (n_pixels, n_bands); abundances @ endmembers where it is not given
    model: Any = None
    bundle: np.ndarray | None = None


class Unmixing(NamedTuple):
    """What :func:`unmix` found, and what it found it with. Masked pixels are NaN in the maps."""

    method: str
    abundances: np.ndarray  # (rows, cols, n_endmembers)
    endmembers: (
        np.ndarray
    )  # (n_endmembers, n_bands), in the units of the cube; where a bundle stands beside them, its mean
    diagnostics: dict[str, float]  # rmse, nrmse_y, spectral_angle, most_negative, sum_gap, seconds
    model: Any  # the fitted estimator, or the method's own result
    bundle: np.ndarray | None = (
        None  # (rows, cols, n_endmembers, n_bands) of a method whose endmembers differ per pixel
    )
    wavelengths: np.ndarray | None = None  # (n_bands,) nm
    names: tuple[str, ...] = ()  # of the endmembers; "endmember 1", ... where nobody named them
    units: str = "reflectance"  # of the endmembers
    geo: Geo | None = None  # where the maps lie on the ground
    mask: np.ndarray | None = None  # (rows, cols) True where a pixel was unmixed
    error: np.ndarray | None = None  # (rows, cols) root mean square misfit of each pixel, in ``units``
    indices: np.ndarray | None = None  # (n_endmembers,) the pixels that VCA took, as flat indices into the scene
    settings: dict[str, Any] | None = None  # method, options, seed, versions, and a hash of the data
    scene: Scene | None = None  # what was unmixed, not copied
    learned: Learned | None = None  # what apply() works with

    def __repr__(self) -> str:
        """Method, sizes and diagnostics: no arrays."""
        told = ", ".join(f"{name} {value:.3g}" for name, value in self.diagnostics.items())
        shape = " x ".join(map(str, self.abundances.shape))
        told += " (interrupted)" if self.interrupted else ""
        return f"Unmixing({self.method!r}, abundances {shape}, {self.endmembers.shape[-1]} bands: {told})"

    @property
    def interrupted(self) -> bool:
        """True where Ctrl-C ended the fit behind this: what it holds is the best found until then."""
        return bool(getattr(self.model, "interrupted_", False))

    @property
    def reconstruction(self) -> np.ndarray:
        """(rows, cols, n_bands), in the units of the cube; made when it is asked for."""
        if self.learned.reconstruct is not None:
            return self.scene.to_map(self.learned.reconstruct())
        rows = [_quietly(self.learned.rows, x).reconstruction for _, x in _blocks(self.scene)]
        return self.scene.to_map(np.concatenate(rows))

    def apply(self, scene: Scene | np.ndarray, *, mask: Any = None) -> Unmixing:
        """Another scene unmixed with the same endmembers or atoms.

        Parameters
        ----------
        scene : Scene or array, shape (rows, cols, n_bands)
            It has the same bands: as many, and where both name wavelengths, the same ones to a tenth of their spacing.
            Bands that it has beside are left out.
        mask : array of bool, shape (rows, cols), optional
            True where a pixel is to be unmixed.

        Returns
        -------
        Unmixing

        Raises
        ------
        ValueError
            If the bands are others (``Spectra.resample`` and a new :func:`unmix` carry endmembers to them), or the
            method cannot unmix what it did not learn from (networks, and methods of your own).

        Examples
        --------
        >>> import wdl_tutorial as wt
        >>> scene = wt.datasets.make_bilinear_scene(shape=(8, 8), random_state=0)
        >>> west, east = scene.crop(slice(None), slice(4)), scene.crop(slice(None), slice(4, None))
        >>> wt.unmix(west, "fcls").apply(east).abundances.shape
        (8, 4, 3)
        """
        if self.learned is None or self.learned.rows is None:
            raise ValueError(
                f"{self.method!r} unmixes only the pixels it has learned from; unmix the other scene by itself."
            )
        scene = _masked(_same_bands(self, as_scene(scene)), mask)
        _check_pixels(scene)
        if scene.units != self.units:
            warn(
                f"the scene is in {scene.units!r}, the endmembers are in {self.units!r}: bring one to the other's units.",
            )
        start = time.perf_counter()
        kept = self.learned._replace(fitted=None, reconstruct=None, indices=None)
        return _finished(scene, self.method, kept, start, self.settings | {"applied to": scene.name}, self.names)

    def spectra(self) -> Spectra:
        """The endmembers as a library, with names and wavelengths (band numbers where there are none).

        Returns
        -------
        Spectra
        """
        n_bands = self.endmembers.shape[1]
        nm = np.arange(n_bands, dtype=float) if self.wavelengths is None else self.wavelengths
        origin = f"{self.method} on {self.settings.get('scene', 'a cube')}, wdl_tutorial {__version__}"
        return Spectra(self.names, nm, self.endmembers, (origin,) * len(self.names), origin, units=self.units)

    def report(self, *, others: Sequence[Unmixing] = ()) -> Any:
        """One page of verdicts with their reasons: :func:`wdl_tutorial.trust.report`.

        Parameters
        ----------
        others : sequence of Unmixing
            More runs on the same scene.

        Returns
        -------
        Report
        """
        from .trust import report

        return report(self, others=others)

    def describe(self) -> str:
        """A paragraph for the methods section, with citations: :func:`wdl_tutorial.trust.describe`.

        Returns
        -------
        str
        """
        from .trust import describe

        return describe(self)

    def save(self, path: str | Path, *, doubt: np.ndarray | None = None, overwrite: bool = False) -> list[Path]:
        """The maps, endmembers and settings as files: :func:`wdl_tutorial.results.save`.

        Parameters
        ----------
        path : str or Path
            Its suffix says how: ``.tif``, ``.hdr``, ``.img`` or ``.npz``.
        doubt : array, shape (rows, cols), optional
            ``Doubt.map``, to stand among the bands.
        overwrite : bool
            Replace files that are there.

        Returns
        -------
        list of Path
        """
        from .results import save

        return save(self, path, doubt=doubt, overwrite=overwrite)


# -------------------------------------------------------------------------------------------------------------- pixels


def _blocks(scene: Scene) -> Iterator[tuple[slice, np.ndarray]]:
    """The valid pixels in C order, as float64, some at a time: their places among them, and they."""
    if not isinstance(scene.cube, np.ndarray):
        yield from _blocks_elsewhere(scene)
        return
    flat = scene.cube.reshape(-1, scene.cube.shape[-1])
    valid = np.flatnonzero(valid_pixels(scene))
    size = max(1, BLOCK // (8 * flat.shape[1]))
    for start in range(0, len(valid), size):
        part = slice(start, min(start + size, len(valid)))
        yield part, np.asarray(flat[valid[part]], dtype=float)  # in half precision histograms do not sum to one


def _blocks_elsewhere(scene: Scene) -> Iterator[tuple[slice, np.ndarray]]:
    """The same of a cube of zarr, h5py or Dask, whose rows are read once, some at a time."""
    valid, start = valid_pixels(scene).reshape(scene.cube.shape[:2]), 0
    for rows in slabs_of(scene.cube):
        x = np.asarray(scene.cube[rows], dtype=float)[valid[rows]]
        if len(x):
            yield slice(start, start + len(x)), x
        start += len(x)


def _just_pixels(scene: Scene) -> Iterator[np.ndarray]:
    return (x for _, x in _blocks(scene))


def _pixels(scene: Scene) -> np.ndarray:
    """All valid pixels at once, float64, for a method that has to see them together."""
    return np.asarray(scene.pixels(), dtype=float)


def _quietly(rows: Callable, x: np.ndarray) -> Rows:
    """One block by itself is no scene: what is said of its brightness has been judged on the whole."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X reaches")
        return rows(x)


def _check_pixels(scene: Scene) -> None:
    """Refuse a scene without a valid pixel, with values that no method can square, or with pixels of no direction."""
    n, bad, dark, first, fill, value, top = 0, 0, 0, 0, 0, 0.0, 0.0
    for part, x in _blocks(scene):
        n += len(x)
        bad += int((~np.isfinite(x)).any(axis=1).sum())
        top = max(top, float(np.abs(x).max()))
        black = ~x.any(axis=1)
        if black.any() and not dark:
            first = part.start + int(black.argmax())
        dark += int(black.sum())
        flat = (x[:, 0] < 0) & (x == x[:, :1]).all(axis=1)
        fill, value = fill + int(flat.sum()), float(x[flat.argmax(), 0]) if flat.any() else value
    if fill:
        warn(
            f"{fill} valid pixels hold one value, {value:g}, in every band: it is fill, and would become an endmember. Mask "
            f"them: mask=(cube != {value:g}).any(axis=-1), or load_cube(..., fill={value:g}), --fill in a shell.",
        )
    if not n:
        raise ValueError(f"the scene has no valid pixel: all {np.size(scene.mask)} entries of its mask are False.")
    if bad:
        raise ValueError(
            f"scene: {bad} valid pixels hold NaN or infinite values; mask them, or drop the bad bands first."
        )
    if dark:
        raise ValueError(
            f"scene: {dark} valid pixels are all zeros (the first is pixel {first}, 0-based), which have no "
            "direction to compare. Mask them: Scene(name, cube, mask=cube.any(axis=-1)), or mask=... of unmix."
        )
    squarable("scene", np.array([top]))


# -------------------------------------------------------------------------------------------------------------- methods


class _Solver:
    """Rows of a method whose endmembers are given: its function of ``linear`` with them. Picklable, unlike a closure."""

    def __init__(self, solve: Callable, endmembers: np.ndarray, options: dict[str, Any]):
        self.solve, self.endmembers, self.options = solve, endmembers, options

    def __call__(self, x: np.ndarray) -> Rows:
        found = self.solve(x, self.endmembers, **self.options)
        return Rows(found.abundances, found.reconstruct())


class _Nnls(_Solver):
    """The five-line baseline: non-negative least squares, then divided by the sum; the fit itself keeps the brightness."""

    def __call__(self, x: np.ndarray) -> Rows:
        free = linear.nnls(x, self.endmembers)
        shares = linear.nnls(x, self.endmembers, normalize=True)
        return Rows(shares.abundances, free.reconstruct())


class _Variable(_Solver):
    """Endmembers that vary about the given ones: a bundle for every pixel."""

    def __call__(self, x: np.ndarray) -> Rows:
        found = self.solve(x, self.endmembers, **self.options)
        return Rows(found.abundances, found.reconstruct(), found.endmembers)


class _Components:
    """Principal components: scores are projections."""

    def __init__(self, found: linear.PCAResult):
        self.mean, self.endmembers = found.mean, found.endmembers

    def __call__(self, x: np.ndarray) -> Rows:
        scores = (x - self.mean) @ self.endmembers.T
        return Rows(scores, self.mean + scores @ self.endmembers)


class _Light:
    """Weights of a fitted Wasserstein dictionary, with the brightness of each pixel beside them."""

    def __init__(self, model: Any, offset: float, brightness: np.ndarray, area: bool, widths: np.ndarray):
        self.model, self.offset, self.brightness, self.area, self.widths = model, offset, brightness, area, widths

    def __call__(self, x: np.ndarray) -> Rows:
        light = x + self.offset
        below = light < 0
        if below.any():
            warn(
                f"{int(below.sum())} values lie below the darkest value that the atoms were learned from "
                f"({-self.offset:g}) and are set to it.",
            )
            light = np.maximum(light, 0.0)
        light = light * self.widths
        weights, scale = self.model.transform(normalize(light)), light.sum(axis=1)
        return Rows(self.shares(weights), self.rebuild(weights, scale))

    def shares(self, weights: np.ndarray) -> np.ndarray:
        return area_fractions(weights, self.brightness) if self.area else weights

    def rebuild_some(self, weights: np.ndarray, scale: np.ndarray, part: slice) -> np.ndarray:
        return self.rebuild(weights[part], scale[part])

    def rebuild(self, weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
        return self.model.inverse_transform(weights) * scale[:, None] / self.widths - self.offset


class _Masses:
    """Weights of unbalanced atoms, whose pixels keep their brightness."""

    def __init__(self, model: Any, offset: float):
        self.model, self.offset = model, offset

    def __call__(self, x: np.ndarray) -> Rows:
        weights = self.model.transform(np.maximum(x + self.offset, 0.0))
        return Rows(weights, self.model.inverse_transform(weights) - self.offset)


def _pca(scene, n, seed, verbose, **options) -> Learned:
    found = linear.pca(_pixels(scene), n, **options)
    return Learned(found.endmembers, found, _Components(found), Rows(found.abundances, None), found.reconstruct)


def _nmf(scene, n, seed, verbose, **options) -> Learned:
    found = linear.nmf(_pixels(scene), n, random_state=seed, **options)
    rows = _Solver(linear.nnls, found.endmembers, {})
    return Learned(found.endmembers, found, rows, Rows(found.abundances, None), found.reconstruct)


def _corners(scene, n, seed, endmembers, snr_db, corners="vca") -> Learned:
    """Endmembers: those that are given, by numbers, as a library or by name, or pixels at the corners."""
    choice("corners", corners, ("vca", "nfindr", "atgp"))
    if endmembers is None and corners != "vca":
        x = _pixels(scene)
        found = linear.atgp(x, n) if corners == "atgp" else linear.nfindr(x, n, random_state=seed)
        return Learned(found.endmembers, found, None, indices=found.indices)
    if endmembers is None:
        if scene.cube.size <= MANY:
            taken = linear.vca(_pixels(scene), n, snr_db=snr_db, random_state=seed)
        else:
            blocks = functools.partial(_just_pixels, scene)
            taken = linear.vca_in_blocks(blocks, n, snr_db=snr_db, random_state=seed)
        return Learned(taken.endmembers, taken, None, indices=taken.indices)
    if snr_db is not None:
        raise ValueError(f"snr_db={snr_db!r} is for VCA, which does not run where endmembers are given. Leave one out.")
    endmembers, names = _given(scene, endmembers)
    if endmembers.ndim != 2 or len(endmembers) != n:
        raise ValueError(
            f"endmembers must be (n_endmembers, n_bands) with n_endmembers={n}; got shape {endmembers.shape}."
        )
    if endmembers.shape[1] != scene.cube.shape[2]:
        raise ValueError(
            f"the scene has {scene.cube.shape[2]} bands but endmembers have {endmembers.shape[1]}. Give them on its bands: "
            "a library by Spectra.resample(scene.wavelengths)."
        )
    _check_brightness(scene, endmembers)
    return Learned(endmembers, endmembers, None, names=names)


def _solved(scene, n, seed, endmembers, snr_db, corners, solve, kind=_Solver, **options) -> Learned:
    corners = _corners(scene, n, seed, endmembers, snr_db, corners)
    return corners._replace(rows=kind(solve, corners.endmembers, options))


def _fcls(scene, n, seed, verbose, endmembers=None, snr_db=None, corners="vca") -> Learned:
    return _solved(scene, n, seed, endmembers, snr_db, corners, linear.fcls)


def _nnls(scene, n, seed, verbose, endmembers=None, snr_db=None, corners="vca") -> Learned:
    found = _solved(scene, n, seed, endmembers, snr_db, corners, linear.nnls, _Nnls)
    length = np.linalg.norm(found.endmembers, axis=1)
    if length.min() < 0.01 * length.max():
        warn(
            f"{_called(found)[int(length.argmin())]} is darker than 1 % of the brightest: NNLS divided by its sum gives "
            "such a shade whatever noise is left. Leave it out, as the sum carries the shade, or use fcls.",
        )
    return found


def _bilinear(scene, n, seed, verbose, endmembers=None, snr_db=None, corners="vca", **options) -> Learned:
    return _solved(scene, n, seed, endmembers, snr_db, corners, linear.bilinear, **options)


def _sparse(scene, n, seed, verbose, endmembers=None, penalty=1e-3) -> Learned:
    if endmembers is None:
        raise ValueError("sparse needs endmembers=..., a library: it chooses from it. See wt.datasets.load_library.")
    return _solved(scene, n, seed, endmembers, None, "vca", linear.sparse, penalty=penalty)


def _variable(scene, n, seed, endmembers, snr_db, solve, options) -> Learned:
    corners = _corners(scene, n, seed, endmembers, snr_db)
    found = solve(_pixels(scene), corners.endmembers, **options)
    fitted = Rows(found.abundances, None, found.endmembers)
    return corners._replace(
        endmembers=found.endmembers.mean(axis=0),
        model=found,
        rows=_Variable(solve, corners.endmembers, options),
        fitted=fitted,
        reconstruct=found.reconstruct,
    )


def _elmm(scene, n, seed, verbose, endmembers=None, snr_db=None, **options) -> Learned:
    return _variable(scene, n, seed, endmembers, snr_db, linear.elmm, options)


def _glmm(scene, n, seed, verbose, endmembers=None, snr_db=None, **options) -> Learned:
    return _variable(scene, n, seed, endmembers, snr_db, linear.glmm, options)


def _plmm(scene, n, seed, verbose, endmembers=None, snr_db=None, **options) -> Learned:
    return _variable(scene, n, seed, endmembers, snr_db, linear.plmm, options)


def _positions(scene: Scene) -> np.ndarray:
    if scene.cube.shape[2] < 2:
        raise ValueError("the scene has 1 band: on one band there is nowhere to move light to. Use fcls or nnls.")
    return np.arange(scene.cube.shape[2], dtype=float) if scene.wavelengths is None else scene.wavelengths


def _lifted(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Pixels without anything negative, as histograms are, and by how much the whole scene was lifted for that."""
    offset = max(0.0, -float(x.min()))
    return x + offset, offset


def _check_training(n: int, n_training: int, n_pixels: int) -> None:
    """As many pixels to learn from as there are atoms to learn."""
    learned_from = min(integer("n_training", n_training), n_pixels)
    if n > learned_from:
        raise ValueError(
            f"n_endmembers={n} is more than the {learned_from} pixels that atoms are learned from (n_training={n_training}, "
            f"and the scene has {n_pixels} valid ones). Ask for fewer, or raise n_training."
        )


def _wahu(
    scene, n, seed, verbose, *, recommended=True, n_training=1000, area=False, by_width=False, **changes
) -> Learned:
    """Fit atoms on ``n_training`` pixels as histograms, weights on all; brightness is kept beside and put back."""
    n_pixels = int(valid_pixels(scene).sum())
    _check_training(n, n_training, n_pixels)
    widths = band_widths(_positions(scene)) if by_width else np.ones(scene.cube.shape[2])
    rng = generator_of(seed)
    chosen = np.sort(rng.choice(n_pixels, size=min(n_training, n_pixels), replace=False))
    seed = int(rng.integers(2**31))
    if len(chosen) > FULL_FIT:
        changes = {"solver": "minibatch", "batch_size": max(BATCH, n)} | changes
    offset, some = 0.0, []
    for part, x in _blocks(scene):
        offset = max(offset, -float(x.min()))  # histograms hold nothing negative: the whole scene is lifted
        some.append(x[chosen[np.searchsorted(chosen, part.start) : np.searchsorted(chosen, part.stop)] - part.start])
    options = {"n_atoms": n, "recommended": recommended, "random_state": seed, "verbose": verbose} | changes
    model = wahu(_positions(scene), **options).fit(normalize((np.concatenate(some) + offset) * widths))
    weights, scale = np.empty((n_pixels, n)), np.empty(n_pixels)
    for part, x in _blocks(scene):
        light = (x + offset) * widths
        scale[part] = light.sum(axis=1)
        weights[part] = model.transform(normalize(light))
    # an atom has no brightness of its own: give it that of the pixels that use it
    brightness = (weights * scale[:, None]).sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-300)
    rows = _Light(model, offset, brightness, area, widths)
    rebuild = functools.partial(rows.rebuild_some, weights, scale)
    fitted, whole = Rows(rows.shares(weights), None), functools.partial(rebuild, slice(None))
    return Learned(model.atoms_ * brightness[:, None] / widths - offset, model, rows, fitted, whole, rebuild=rebuild)


def _wahu_unbalanced(scene, n, seed, verbose, *, setting="salinas", n_training=300, **changes) -> Learned:
    """Atoms on ``n_training`` pixels, weights on all; no pixel is divided by its sum. Slow: see :func:`unbalanced_wahu`."""
    x = _pixels(scene)
    _check_training(n, n_training, len(x))
    light, offset = _lifted(x)
    chosen = np.sort(generator_of(seed).choice(len(x), size=min(n_training, len(x)), replace=False))
    options = {"setting": setting, "n_atoms": n, "random_state": seed, "verbose": verbose} | changes
    model = wahu(_positions(scene), balanced=False, **options).fit(light[chosen])
    rows = _Masses(model, offset)
    whole = rows(x) if len(chosen) < len(x) else Rows(model.weights_, model.inverse_transform(model.weights_) - offset)
    return Learned(model.atoms_ - offset, model, rows, Rows(whole.abundances, None), lambda: whole.reconstruction)


def _idnet(scene, n, seed, verbose, **options) -> Learned:
    from .deep import IDNet

    model = IDNet(n, random_state=seed, verbose=verbose, **options).fit(_pixels(scene))
    bundle = to_numpy(model.endmembers_)
    fitted = Rows(to_numpy(model.abundances_), None, bundle)
    return Learned(bundle.mean(axis=0), model, None, fitted, functools.partial(_rebuilt_by, model))


def _of_a_network(found: Any, bundle: np.ndarray | None = None) -> Learned:
    """What a network that unmixes only what it learned from has found."""
    endmembers = found.endmembers if bundle is None else bundle.mean(axis=0)
    fitted = Rows(found.abundances, None, bundle)
    return Learned(endmembers, found, None, fitted, functools.partial(np.asarray, found.reconstruction))


def _rbf(scene, n, seed, verbose, **options) -> Learned:
    from .deep import rbf_autoencoder

    return _of_a_network(rbf_autoencoder(_pixels(scene), n, random_state=seed, **options))


def _egunet(scene, n, seed, verbose, endmembers=None, snr_db=None, **options) -> Learned:
    from .deep import egu_net

    mask = valid_pixels(scene).reshape(scene.cube.shape[:2])
    corners = _corners(scene, n, seed, endmembers, snr_db).endmembers
    return _of_a_network(egu_net(scene.cube, n, mask=mask, endmembers=corners, random_state=seed, **options))


def _deepgun(scene, n, seed, verbose, endmembers=None, snr_db=None, **options) -> Learned:
    from .deep import deepgun

    corners = _corners(scene, n, seed, endmembers, snr_db).endmembers
    found = deepgun(_pixels(scene), n, endmembers=corners, random_state=seed, **options)
    return _of_a_network(found, found.endmembers)


def _rebuilt_by(model: Any) -> np.ndarray:
    return to_numpy(model.reconstruct())


def _of_your_own(method: Callable, scene, n, seed, verbose, **options) -> Learned:
    """A method of the caller's: called on the pixels, and checked for what it hands back."""
    x = _pixels(scene)
    try:
        inspect.signature(method).bind(x, n, random_state=seed, **options)
    except ValueError:  # a function in C that does not tell how it is called
        pass
    except TypeError as error:
        raise TypeError(
            f"method must be callable as method(pixels, n_endmembers, random_state=..., **options): {error}."
        ) from None
    found = method(x, n, random_state=seed, **options)
    found = found if isinstance(found, Fit) else Fit(*found)
    abundances, endmembers = np.asarray(found.abundances, dtype=float), np.asarray(found.endmembers, dtype=float)
    if abundances.shape != (len(x), len(endmembers)) or endmembers.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"the method must return abundances (n_pixels, n_endmembers) and endmembers (n_endmembers, n_bands); got "
            f"{abundances.shape} and {endmembers.shape} for {x.shape[0]} pixels in {x.shape[1]} bands."
        )
    if not (np.isfinite(abundances).all() and np.isfinite(endmembers).all()):
        raise ValueError("the method returned NaN or infinite values. Mask what it cannot unmix.")
    rebuilt = abundances @ endmembers if found.reconstruction is None else np.asarray(found.reconstruction, dtype=float)
    return Learned(
        endmembers, found.model, None, Rows(abundances, None, found.bundle), functools.partial(np.asarray, rebuilt)
    )


METHODS: dict[str, Callable[..., Learned]] = {
    "pca": _pca,
    "nmf": _nmf,
    "fcls": _fcls,
    "nnls": _nnls,
    "bilinear": _bilinear,
    "sparse": _sparse,
    "elmm": _elmm,
    "glmm": _glmm,
    "plmm": _plmm,
    "wahu": _wahu,
    "wahu_unbalanced": _wahu_unbalanced,
    "idnet": _idnet,
    "deepgun": _deepgun,
    "egunet": _egunet,
    "rbf": _rbf,
}
BEHIND = {  # whose options a method hands on
    "pca": linear.pca,
    "nmf": linear.nmf,
    "bilinear": linear.bilinear,
    "elmm": linear.elmm,
    "glmm": linear.glmm,
    "plmm": linear.plmm,
    "wahu": (wahu, "wdl_tutorial.dictionary.WassersteinDictionary"),
    "wahu_unbalanced": (wahu, "wdl_tutorial.dictionary.WassersteinDictionary"),
    "idnet": "wdl_tutorial.deep.IDNet",
    "deepgun": "wdl_tutorial.deep.deepgun",
    "egunet": "wdl_tutorial.deep.egu_net",
    "rbf": "wdl_tutorial.deep.rbf_autoencoder",
}
_OURS = {
    "scene",
    "n",
    "n_endmembers",
    "seed",
    "verbose",
    "options",
    "changes",
    "X",
    "self",
    "random_state",
    "positions",
    "n_atoms",
}
_OURS |= {"atoms", "cube", "mask"}


def options_of(method: str) -> list[str]:
    """The options that :func:`unmix` takes for a method.

    Parameters
    ----------
    method : str

    Returns
    -------
    list of str

    Examples
    --------
    >>> options_of("nnls")
    ['endmembers', 'snr_db', 'corners']
    """
    choice("method", method, tuple(METHODS))
    behind = BEHIND.get(method, ())
    names: list[str] = []
    for function in (METHODS[method], *(behind if isinstance(behind, tuple) else (behind,))):
        if isinstance(function, str):
            module, _, name = function.rpartition(".")
            found = getattr(__import__(module, fromlist=[name]), name)
            function = found.__init__ if inspect.isclass(found) else found
        names += [name for name in inspect.signature(function).parameters if name not in _OURS and name not in names]
    return names


def _check_options(method: str, options: dict[str, Any]) -> None:
    unknown = [name for name in options if name not in options_of(method)] if options else []
    if unknown:
        raise TypeError(
            f"method {method!r} takes no option {', '.join(map(repr, unknown))}; it takes {', '.join(options_of(method))}."
        )


def unmix(
    scene: Scene | np.ndarray,
    method: str | Callable = "wahu",
    n_endmembers: int | None = None,
    *,
    mask: Any = None,
    random_state: int = 0,
    verbose: bool | None = None,
    **options: Any,
) -> Unmixing:
    """Unmix a scene by one method: whose light, and how much of it, is in every pixel?

    The methods are

    * "pca" and "nmf";
    * "fcls", "nnls" and "bilinear", with VCA's endmembers or ``endmembers=``; ``snr_db=0`` for a scene with water or shadow
      (:func:`wdl_tutorial.linear.vca` says why), ``corners="nfindr"`` or ``"atgp"`` for other finders;
    * "sparse", few spectra of a library, ``endmembers=``, with ``penalty=1e-3``;
    * "elmm", "glmm" and "plmm", whose endmembers vary, with the options of :func:`wdl_tutorial.linear.elmm` and its kin;
    * "wahu", with the options of :func:`wahu`: ``n_training=1000`` pixels are fitted (all of them together; above 10,000 by
      ``solver="minibatch"`` in batches of 25, whose steps cost the same for any number), all are unmixed; ``area=True``
      turns fractions of light into fractions of area, right for linear mixing only; ``by_width=True`` makes mass of value
      times band width, where bands are unequal; :func:`select` says how many atoms. Inner runs converge;
      ``recommended=False`` is the paper's, whose fifty iterations are several times faster and give another loss, lower and
      far from converged;
    * "wahu_unbalanced", in which pixels keep their brightness, with the options of :func:`unbalanced_wahu` and
      ``n_training=300``;
    * "idnet", with the options of :class:`wdl_tutorial.deep.IDNet`; "deepgun", "egunet" and "rbf", with those of
      :func:`wdl_tutorial.deep.deepgun`, :func:`wdl_tutorial.deep.egu_net` and :func:`wdl_tutorial.deep.rbf_autoencoder`;
    * or a function of your own, called as ``method(pixels, n_endmembers, random_state=..., **options)``, which returns
      abundances and endmembers, or a :class:`Fit`.

    Parameters
    ----------
    scene : Scene or array, shape (rows, cols, n_bands)
        In reflectance.
    method : str or callable
    n_endmembers : int, optional
        The number that the scene's truth has, if it has one and none is given.
    mask : array of bool, shape (rows, cols), optional
        True where a pixel is to be unmixed, beside the mask that the scene has.
    random_state : int
        Seed of every draw.
    verbose : bool, optional
        Show a progress bar. Not given: in a terminal or a notebook, for what takes more than a few seconds.
    **options : any
        Of the method. ``endmembers`` may be an array, shape (n_endmembers, n_bands), a :class:`Spectra` whose bands are
        those of the scene, or names: of the scene's own endmembers, or of :func:`load_usgs_sample`, which is then
        resampled.

    Returns
    -------
    Unmixing

    Raises
    ------
    ValueError, TypeError
        If there is nothing valid to unmix, the scene holds NaN or pixels of zeros, endmembers are on other bands, or an
        option is not the method's.

    Warns
    -----
    UserWarning
        If scene and endmembers seem to be in different units, an endmember is negative throughout (fill that was not
        masked), or NNLS has a shade endmember to divide by.

    Examples
    --------
    >>> import wdl_tutorial as wt
    >>> scene = wt.datasets.make_bilinear_scene(shape=(8, 8), n_endmembers=3, random_state=0)
    >>> wt.unmix(scene, "nnls").abundances.shape
    (8, 8, 3)
    """
    scene = _masked(as_scene(scene), mask)
    if not callable(method):
        choice("method", method, tuple(METHODS))
        _check_options(method, options)
    n = _count(scene, n_endmembers, options.get("endmembers"))
    check_seed(random_state)
    _check_pixels(scene)
    start = time.perf_counter()
    learn = functools.partial(_of_your_own, method) if callable(method) else METHODS[method]
    learned = learn(scene, n, random_state, verbose, **options)
    name = getattr(method, "__name__", type(method).__name__) if callable(method) else method
    below = np.flatnonzero((learned.endmembers < 0).all(axis=1)) if name != "pca" else np.empty(0, int)
    if below.size:
        warn(
            f"{_called(learned)[below[0]]} is negative in every band (about {np.median(learned.endmembers[below[0]]):g}): "
            "pixels of fill were not masked. Give mask=..., or load_cube(..., fill=...), --fill in a shell.",
        )
    settings = _settings(scene, name, n, random_state, options)
    return _finished(scene, name, learned, start, settings, verbose=verbose)


def _finished(
    scene: Scene,
    method: str,
    learned: Learned,
    start: float,
    settings: dict[str, Any],
    names: tuple[str, ...] | None = None,
    verbose: bool | None = None,
) -> Unmixing:
    """The pixels unmixed block by block, put back into maps, and measured."""
    n_valid, bundles, fitted = int(valid_pixels(scene).sum()), [], learned.fitted
    abundances, error = np.empty((n_valid, len(learned.endmembers))), np.empty(n_valid)
    square, power, angle = 0.0, 0.0, 0.0
    whole = None if fitted is None or learned.rebuild else learned.reconstruct()
    for part, x in _shown(_blocks(scene), n_valid, method, verbose if fitted is None else False):
        if fitted is None:
            rows = _quietly(learned.rows, x)
            bundles += [] if rows.bundle is None else [rows.bundle]
        else:
            rows = Rows(fitted.abundances[part], learned.rebuild(part) if learned.rebuild else whole[part])
        abundances[part] = rows.abundances
        gap = np.square(x - rows.reconstruction).sum(axis=1)
        error[part] = np.sqrt(gap / x.shape[1])
        square, power = square + gap.sum(), power + np.square(x).sum()
        lit = rows.reconstruction.any(axis=1)  # what is rebuilt as nothing has no direction: a right angle to its pixel
        angle += np.pi / 2 * int((~lit).sum())
        if lit.any():
            angle += float(np.sum(metrics.spectral_angle(x[lit], rows.reconstruction[lit])))
    bundle = fitted.bundle if fitted is not None else np.concatenate(bundles) if bundles else None
    diagnostics = {
        "rmse": float(np.sqrt(square / (n_valid * scene.cube.shape[2]))),
        "nrmse_y": float(np.sqrt(square / power)),
        "spectral_angle": angle / n_valid,
        "most_negative": float(min(abundances.min(), 0.0)),
        "sum_gap": float(np.abs(abundances.sum(axis=1) - 1.0).max()),
        "seconds": time.perf_counter() - start,
    }
    valid = valid_pixels(scene)
    return Unmixing(
        method,
        scene.to_map(abundances),
        learned.endmembers,
        diagnostics,
        learned.model,
        None if bundle is None else scene.to_map(bundle),
        scene.wavelengths,
        names or _called(learned),
        scene.units,
        scene.geo,
        valid.reshape(scene.cube.shape[:2]),
        scene.to_map(error),
        None if learned.indices is None else np.flatnonzero(valid)[learned.indices],
        settings,
        scene,
        learned._replace(fitted=None),
    )


def _called(learned: Learned) -> tuple[str, ...]:
    """What people call the endmembers: by the names they came with, or counted from 1."""
    return learned.names or tuple(f"endmember {k + 1}" for k in range(len(learned.endmembers)))


def _shown(
    blocks: Iterator[tuple[slice, np.ndarray]], n: int, method: str, shown: bool | None
) -> Iterator[tuple[slice, np.ndarray]]:
    """The blocks, counted in pixels on a bar."""
    with progress(n, method, "pixel", shown=shown) as bar:
        for part, x in blocks:
            yield part, x
            bar.update(len(x))


def _settings(scene: Scene, method: str, n: int, seed: Any, options: dict[str, Any]) -> dict[str, Any]:
    """What another person needs to do the same again."""
    return {
        "method": method,
        "n_endmembers": n,
        "random_state": seed if isinstance(seed, int) else repr(seed),
        "options": {key: _told(value) for key, value in options.items()},
        "scene": scene.name,
        "shape": [int(k) for k in scene.cube.shape],
        "data_sha256": fingerprint(scene),
        "versions": {
            "wdl_tutorial": __version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "python": platform.python_version(),
        },
    }


def _told(value: Any) -> Any:
    """An option as JSON can hold it."""
    if isinstance(value, Spectra):
        return list(value.names)
    if isinstance(value, np.ndarray):
        return {"array": list(value.shape), "sha256": hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}
    return value if isinstance(value, str | int | float | bool | list | tuple | type(None)) else repr(value)


def fingerprint(scene: Scene) -> str:
    """The sha256 of the pixels of a scene, its mask and its wavelengths: the same scene has the same."""
    found = hashlib.sha256(repr((scene.cube.shape, scene.cube.dtype.str)).encode())
    for rows in slabs_of(scene.cube):
        found.update(np.ascontiguousarray(scene.cube[rows]).data)
    found.update(valid_pixels(scene).tobytes())
    found.update(b"" if scene.wavelengths is None else np.asarray(scene.wavelengths, dtype=float).tobytes())
    return found.hexdigest()


def _masked(scene: Scene, mask: Any) -> Scene:
    """The scene with a mask more: a pixel is valid where both say so."""
    if mask is None:
        return scene
    given = scene._replace(mask=array_of("mask", mask))
    check_maps(given._replace(labels=None, abundances=None))
    return scene._replace(mask=(valid_pixels(given) & valid_pixels(scene)).reshape(scene.cube.shape[:2]))


def _count(scene: Scene, n_endmembers: int | None, endmembers: Any = None) -> int:
    if n_endmembers is None:
        if endmembers is not None:
            return len(endmembers.names) if isinstance(endmembers, Spectra) else len(_given(scene, endmembers)[0])
        if scene.endmembers is None:
            raise ValueError(
                "n_endmembers is needed (-n in a shell): the scene has no truth. For advice: wt.advise_n_endmembers(scene), "
                "or inspect --count."
            )
        return len(scene.endmembers)
    return integer("n_endmembers", n_endmembers)


# ------------------------------------------------------------------------------------------------- bands and units


def _given(scene: Scene, endmembers: Any) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Endmembers as numbers on the scene's bands, and their names."""
    if isinstance(endmembers, Spectra):
        _check_same(scene, endmembers.wavelengths, "the endmembers")
        return np.asarray(endmembers.spectra, dtype=float), tuple(endmembers.names)
    if isinstance(endmembers, list | tuple) and endmembers and all(isinstance(name, str) for name in endmembers):
        return _by_name(scene, tuple(endmembers)), tuple(endmembers)
    numbers = squarable("endmembers", finite("endmembers", real_array("endmembers", endmembers)))
    if numbers.ndim != 2:
        raise ValueError(f"endmembers must have shape (n_endmembers, n_bands); got {numbers.shape}.")
    own = scene.endmembers is not None and scene.endmember_names is not None
    same = own and np.shape(scene.endmembers) == numbers.shape and np.array_equal(scene.endmembers, numbers)
    return numbers, tuple(scene.endmember_names) if same else None


def _by_name(scene: Scene, names: tuple[str, ...]) -> np.ndarray:
    own = scene.endmember_names or ()
    if scene.endmembers is not None and all(name in own for name in names):
        return np.asarray(scene.endmembers, dtype=float)[[own.index(name) for name in names]]
    sample = load_usgs_sample()
    missing = [name for name in names if name not in sample.names]
    if missing:
        raise ValueError(
            f"no endmember is called {missing[0]!r}: the scene has {list(own) or 'none'}, "
            f"the USGS sample {list(sample.names)}."
        )
    if scene.wavelengths is None:
        raise ValueError(
            "endmembers by name need the scene's wavelengths, to be put on its bands. Give them to the scene."
        )
    return sample.only(*names).resample(scene.wavelengths, scene.fwhm).spectra


def _check_same(scene: Scene, wavelengths: np.ndarray, whose: str) -> None:
    """Bands are the same ones, not only as many."""
    if scene.wavelengths is None:
        if len(wavelengths) != scene.cube.shape[2]:
            raise ValueError(
                f"{whose} have {len(wavelengths)} bands, the scene has {scene.cube.shape[2]} and no wavelengths."
            )
        return
    mine, theirs = np.asarray(scene.wavelengths, dtype=float), np.asarray(wavelengths, dtype=float)
    if mine.shape != theirs.shape:
        raise ValueError(
            f"{whose} have {theirs.size} bands from {theirs[0]:g} to {theirs[-1]:g} nm, the scene has {mine.size} from "
            f"{mine[0]:g} to {mine[-1]:g} nm. Bring them to its bands: library.resample(scene.wavelengths)."
        )
    far = np.abs(mine - theirs)
    if far.max() > _tolerance(mine):
        k = int(far.argmax())
        raise ValueError(
            f"{whose} have as many bands as the scene, but other ones: band {k} (0-based) lies at {theirs[k]:g} nm, "
            f"and at {mine[k]:g} nm in the scene. Bring them to its bands: library.resample(scene.wavelengths)."
        )


def _tolerance(wavelengths: np.ndarray) -> float:
    """A tenth of the spacing of the bands, in nm."""
    return 0.1 * float(np.median(np.abs(np.diff(wavelengths)))) if wavelengths.size > 1 else 1.0


def _check_brightness(scene: Scene, endmembers: np.ndarray) -> None:
    """Counts or percent beside reflectance, either way round: no mixture of such endmembers is a pixel of the scene."""
    mean, most, n = 0.0, 0.0, 0
    for _, x in _blocks(scene):
        mean, most, n = mean + float(np.abs(x).sum()), max(most, float(np.abs(x).max())), n + x.size
    mean /= max(n, 1)
    ratio, top = (
        mean / float(np.abs(endmembers).mean(axis=1).max() or 1.0),
        most / float(np.abs(endmembers).max() or 1.0),
    )
    if ratio > 20 or top < 1 / 30:
        warn(
            f"the scene reaches {most:.3g} (mean {mean:.3g}) and the endmembers {np.abs(endmembers).max():.3g}: one of them "
            "seems to be in counts or percent. Divide it by its scale to reflectance (often 1e4, or 100).",
        )


def _same_bands(found: Unmixing, scene: Scene) -> Scene:
    """``scene`` in the bands that ``found`` knows; bands that it has beside are left out."""
    n_bands = found.endmembers.shape[1]
    mine, theirs = found.wavelengths, scene.wavelengths
    if mine is None or theirs is None:
        if scene.cube.shape[2] != n_bands:
            raise ValueError(
                f"the scene has {scene.cube.shape[2]} bands, the endmembers have {n_bands}. Give the same bands."
            )
        return scene
    gap = np.abs(np.asarray(theirs)[None, :] - np.asarray(mine)[:, None])
    nearest = gap.argmin(axis=1)
    off = gap[np.arange(n_bands), nearest]
    if off.max() > _tolerance(np.asarray(mine, dtype=float)) or len(set(nearest.tolist())) < n_bands:
        k = int(off.argmax())
        raise ValueError(
            f"the scene has no band at {mine[k]:g} nm (the nearest is {theirs[nearest[k]]:g}): it is on other bands than "
            "the endmembers. Resample them, found.spectra().resample(scene.wavelengths), and unmix it with endmembers=..."
        )
    if np.array_equal(nearest, np.arange(scene.cube.shape[2])):
        return scene
    return scene.drop_bands(np.setdiff1d(np.arange(scene.cube.shape[2]), nearest))


# ------------------------------------------------------------------------------------------------------------ comparing


class Comparison(NamedTuple):
    """A tidy table: one dict per method and seed. ``print`` shows medians, and ranges over the seeds."""

    rows: tuple[dict[str, Any], ...]
    interrupted: str = ""  # what Ctrl-C left unfinished or undone; nothing where it did not come

    def medians(self) -> dict[str, dict[str, float]]:
        """The medians over the seeds.

        Returns
        -------
        dict of method to dict of metric to float
        """
        return {m: {k: float(np.median(v)) for k, v in values.items()} for m, values in self._by_method().items()}

    def _by_method(self) -> dict[str, dict[str, list[float]]]:
        found: dict[str, dict[str, list[float]]] = {}
        for row in self.rows:
            mine = found.setdefault(row["method"], {})
            for key, value in row.items():
                if key not in ("method", "seed"):
                    mine.setdefault(key, []).append(value)
        return found

    def __str__(self) -> str:
        groups = self._by_method()
        names = list(dict.fromkeys(k for values in groups.values() for k in values))

        def cell(values: list[float] | None) -> str:
            if values is None:
                return "-"
            spread = f" ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else ""
            return f"{np.median(values):.4g}{spread}"

        table = [["", *groups], *([name, *(cell(values.get(name)) for values in groups.values())] for name in names)]
        widths = [max(len(row[k]) for row in table) for k in range(len(table[0]))]
        lines = ["  ".join(text.rjust(w) for text, w in zip(row, widths)) for row in table]
        return "\n".join([*lines, f"interrupted: {self.interrupted}"] if self.interrupted else lines)


def compare(
    scene: Scene | np.ndarray,
    methods: Sequence[str] | dict[str, dict[str, Any]] = ("fcls", "nnls", "nmf", "wahu"),
    n_endmembers: int | None = None,
    *,
    random_state: int | Sequence[int] = 0,
    verbose: bool | None = None,
) -> Comparison:
    """Several methods on one scene and the same seeds, measured alike.

    Where the scene has a truth, the endmembers are aligned to it by Hungarian assignment on spectral angles, and the
    table also has rmse_a, nrmse_a and sre_a (dB) of the abundances, nrmse_m and the mean angle of the endmembers. No
    method sees the truth. Ctrl-C stops the loop, not the method alone: what is there is returned with a warning, and
    says ``interrupted``; before there is anything, it is passed on.

    Parameters
    ----------
    scene : Scene or array, shape (rows, cols, n_bands)
    methods : str, sequence of str, or dict of str to dict
        A dict gives each method its options of :func:`unmix`.
    n_endmembers : int, optional
    random_state : int or sequence of int
        One run of every method for each seed.
    verbose : bool, optional
        Show a bar for each run; not given, as :func:`unmix`.

    Returns
    -------
    Comparison
    """
    scene = as_scene(scene)
    options, seeds = several(methods, random_state)
    if not seeds or not options:
        raise ValueError(
            f"compare needs at least one method and one seed; got {len(options)} and {len(seeds)} "
            "(methods, random_state)."
        )
    plan = [(name, seed) for seed in seeds for name in options]
    run = functools.partial(unmix, scene, n_endmembers=n_endmembers, verbose=verbose)
    runs = one_by_one([functools.partial(run, method=name, random_state=s, **options[name]) for name, s in plan])
    rows = [
        {"method": name, "seed": seed} | against_truth(scene, found) | found.diagnostics
        for (name, seed), found in zip(plan, runs)
    ]
    return Comparison(tuple(rows), _left_undone(plan, runs))


def several(methods: Any, random_state: Any) -> tuple[dict[Any, dict[str, Any]], list[Any]]:
    """Methods with the options of each, and seeds, where one or several of either are given."""
    if isinstance(random_state, str | bytes | dict):
        raise ValueError(f"random_state must be a seed, or several; got {shown(random_state)}.")
    seeds = list(random_state) if np.iterable(random_state) else [random_state]
    one = isinstance(methods, str) or callable(methods)
    if not one and (isinstance(methods, bytes) or not np.iterable(methods)):
        raise TypeError(f"methods must be a name, names, or a dict from names to options; got {shown(methods)}.")
    if isinstance(methods, dict):
        return methods, seeds
    found = [methods] if one else list(methods)
    for name in found:
        if not (isinstance(name, str) or callable(name)):
            raise TypeError(f"methods must be names, or methods of your own; got {shown(name)} among them.")
    return {name: {} for name in found}, seeds


def one_by_one(calls: Iterable[Callable[[], Unmixing]]) -> list[Unmixing]:
    """What the calls return, until Ctrl-C: then what there is by now, the last of them perhaps of an unfinished fit."""
    done: list[Unmixing] = []
    for call in calls:
        try:
            done.append(call())
        except KeyboardInterrupt:
            if not done:
                raise
            break
        if done[-1].interrupted:
            break
    return done


def _left_undone(plan: list[tuple[str, int]], runs: list[Unmixing]) -> str:
    """What an interrupted comparison lacks, said aloud too."""
    told = [f"{name} (seed {seed}) is of an unfinished fit" for (name, seed), run in zip(plan, runs) if run.interrupted]
    if len(runs) < len(plan):
        told.append("not run: " + ", ".join(f"{name} (seed {seed})" for name, seed in plan[len(runs) :]))
    if told:
        warn(f"compare was interrupted: {'; '.join(told)}.", ConvergenceWarning)
    return "; ".join(told)


def against_truth(scene: Scene, found: Unmixing) -> dict[str, float]:
    """Errors of abundances and endmembers against the scene's truth, aligned; empty where it has none, and for PCA."""
    if scene.endmembers is None or scene.abundances is None or len(scene.endmembers) != len(found.endmembers):
        return {}
    if found.method == "pca":
        return {}  # components are directions of change, of both signs; there is nothing to align
    perm = metrics.match_endmembers(scene.endmembers, found.endmembers)
    valid = np.isfinite(found.abundances).all(axis=-1) & np.isfinite(scene.abundances).all(axis=-1)
    truth, estimate = scene.abundances[valid], found.abundances[valid][:, perm]
    return {
        "rmse_a": metrics.rmse(truth, estimate),
        "nrmse_a": metrics.nrmse(truth, estimate),
        "sre_a": metrics.sre(truth, estimate),
        "nrmse_m": metrics.nrmse_endmembers(scene.endmembers, found.endmembers[perm]),
        "angle_m": float(np.mean(metrics.spectral_angle(scene.endmembers, found.endmembers[perm]))),
    }
