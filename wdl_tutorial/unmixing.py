"""Unmix a scene: every method on one footing, from a cube to maps, endmember spectra, a reconstruction and its doubts.

    unmix(scene, method="wahu", n_endmembers=4)      one method
    compare(scene, methods, n_endmembers=4)          several, as a table of methods x metrics x seeds
    wahu(positions, setting="salinas")               the dictionary of either of the WaHU paper's experiments, unfitted

Host work on a cube: NumPy in, NumPy out; the Wasserstein dictionaries and the networks work inside.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import linear, metrics
from ._array import as_float, to_numpy
from ._checks import check_count
from .datasets import Scene
from .histograms import area_fractions, normalize
from .presets import RECOMMENDED, SETTINGS, MassDictionary, unbalanced_wahu, wahu  # noqa: F401  (their first home)


class Unmixing(NamedTuple):
    """What :func:`unmix` found. Masked pixels are NaN in the maps."""

    method: str
    abundances: np.ndarray  # (rows, cols, n_endmembers)
    endmembers: (
        np.ndarray
    )  # (n_endmembers, n_bands), in the units of the cube; where a bundle stands beside them, its mean
    reconstruction: np.ndarray  # (rows, cols, n_bands), in the units of the cube
    diagnostics: dict[str, float]  # rmse, nrmse_y, spectral_angle, most_negative, sum_gap, seconds
    model: Any  # the fitted estimator, or the method's own result
    bundle: np.ndarray | None = (
        None  # (rows, cols, n_endmembers, n_bands) of a method whose endmembers differ per pixel
    )

    def __repr__(self) -> str:
        """Method, sizes and diagnostics: no arrays."""
        told = ", ".join(f"{name} {value:.3g}" for name, value in self.diagnostics.items())
        shape = " x ".join(map(str, self.abundances.shape))
        return f"Unmixing({self.method!r}, abundances {shape}, {self.endmembers.shape[-1]} bands: {told})"


class Fit(NamedTuple):
    """What a method hands back on the valid pixels."""

    abundances: np.ndarray  # (n_pixels, n_endmembers)
    endmembers: np.ndarray  # (n_endmembers, n_bands)
    reconstruction: np.ndarray  # (n_pixels, n_bands)
    model: Any
    bundle: np.ndarray | None = None  # (n_pixels, n_endmembers, n_bands) where every pixel has endmembers of its own


# -------------------------------------------------------------------------------------------------------------- methods


def _pca(x, n, scene, seed, verbose, **options) -> Fit:
    found = linear.pca(x, n, **options)
    return Fit(found.abundances, found.endmembers, found.reconstruct(), found)


def _nmf(x, n, scene, seed, verbose, **options) -> Fit:
    found = linear.nmf(x, n, random_state=seed, **options)
    return Fit(found.abundances, found.endmembers, found.reconstruct(), found)


def _endmembers(x, n, seed, endmembers, snr_db) -> np.ndarray:
    if endmembers is None:
        return linear.vca(x, n, snr_db=snr_db, random_state=seed).endmembers
    if snr_db is not None:
        raise ValueError(f"snr_db={snr_db!r} is for VCA, which does not run where endmembers are given. Leave one out.")
    endmembers = np.asarray(endmembers, dtype=float)
    if endmembers.ndim != 2 or len(endmembers) != n:
        raise ValueError(
            f"endmembers must be (n_endmembers, n_bands) with n_endmembers={n}; got shape {endmembers.shape}."
        )
    return endmembers


def _fcls(x, n, scene, seed, verbose, endmembers=None, snr_db=None) -> Fit:
    m = _endmembers(x, n, seed, endmembers, snr_db)
    found = linear.fcls(x, m)
    return Fit(found.abundances, m, found.reconstruct(), found)


def _nnls(x, n, scene, seed, verbose, endmembers=None, snr_db=None) -> Fit:
    """The five-line baseline: non-negative least squares, then divided by the sum; the fit itself keeps the brightness."""
    m = _endmembers(x, n, seed, endmembers, snr_db)
    free = linear.nnls(x, m)
    shares = linear.nnls(x, m, normalize=True)
    return Fit(shares.abundances, m, free.reconstruct(), shares)


def _bilinear(x, n, scene, seed, verbose, endmembers=None, snr_db=None, **options) -> Fit:
    m = _endmembers(x, n, seed, endmembers, snr_db)
    found = linear.bilinear(x, m, **options)
    return Fit(found.abundances, m, found.reconstruct(), found)


def _variable(solve: Callable, x, n, seed, endmembers, snr_db, options) -> Fit:
    found = solve(x, _endmembers(x, n, seed, endmembers, snr_db), **options)
    return Fit(found.abundances, found.endmembers.mean(axis=0), found.reconstruct(), found, found.endmembers)


def _elmm(x, n, scene, seed, verbose, endmembers=None, snr_db=None, **options) -> Fit:
    return _variable(linear.elmm, x, n, seed, endmembers, snr_db, options)


def _glmm(x, n, scene, seed, verbose, endmembers=None, snr_db=None, **options) -> Fit:
    return _variable(linear.glmm, x, n, seed, endmembers, snr_db, options)


def _plmm(x, n, scene, seed, verbose, endmembers=None, snr_db=None, **options) -> Fit:
    return _variable(linear.plmm, x, n, seed, endmembers, snr_db, options)


def _wahu(x, n, scene, seed, verbose, *, setting="salinas", n_training=1000, area=False, **changes) -> Fit:
    """Fit atoms on ``n_training`` pixels as histograms, weights on all; brightness is kept beside and put back."""
    check_count("n_training", n_training)
    positions = np.arange(x.shape[1], dtype=float) if scene.wavelengths is None else scene.wavelengths
    offset = max(0.0, -float(x.min()))  # a histogram is not negative: lift the scene, as WaHU does
    light = x + offset
    scale = light.sum(axis=1)
    p = normalize(light)
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(p), size=min(n_training, len(p)), replace=False))
    seed = int(rng.integers(2**31))
    model = wahu(positions, setting=setting, n_atoms=n, random_state=seed, verbose=verbose, **changes).fit(p[chosen])
    weights = model.transform(p)
    # an atom has no brightness of its own: give it that of the pixels that use it
    brightness = (weights * scale[:, None]).sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-300)
    abundances = area_fractions(weights, brightness) if area else weights
    reconstruction = model.inverse_transform(weights) * scale[:, None] - offset
    return Fit(abundances, model.atoms_ * brightness[:, None] - offset, reconstruction, model)


def _wahu_unbalanced(x, n, scene, seed, verbose, *, n_training=300, max_iter=40, **options) -> Fit:
    """Atoms on ``n_training`` pixels, weights on all; no pixel is divided by its sum. Slow: see :func:`unbalanced_wahu`."""
    check_count("n_training", n_training)
    positions = np.arange(x.shape[1], dtype=float) if scene.wavelengths is None else scene.wavelengths
    offset = max(0.0, -float(x.min()))
    light = x + offset
    chosen = np.random.default_rng(seed).choice(len(x), size=min(n_training, len(x)), replace=False)
    found = unbalanced_wahu(light[np.sort(chosen)], positions, n, max_iter=max_iter, **options)
    if len(chosen) == len(x):
        return Fit(found.weights, found.atoms - offset, found.reconstruction - offset, found)
    whole = unbalanced_wahu(light, positions, n, atoms=found.atoms, max_iter=max_iter, **options)
    return Fit(whole.weights, found.atoms - offset, whole.reconstruction - offset, found)


def _idnet(x, n, scene, seed, verbose, **options) -> Fit:
    from .deep import IDNet

    model = IDNet(n, random_state=seed, verbose=verbose, **options).fit(x)
    bundle = to_numpy(model.endmembers_)
    return Fit(to_numpy(model.abundances_), bundle.mean(axis=0), to_numpy(model.reconstruct()), model, bundle)


METHODS: dict[str, Callable[..., Fit]] = {
    "pca": _pca,
    "nmf": _nmf,
    "fcls": _fcls,
    "nnls": _nnls,
    "bilinear": _bilinear,
    "elmm": _elmm,
    "glmm": _glmm,
    "plmm": _plmm,
    "wahu": _wahu,
    "wahu_unbalanced": _wahu_unbalanced,
    "idnet": _idnet,
}


def unmix(
    scene: Scene | np.ndarray,
    method: str = "wahu",
    n_endmembers: int | None = None,
    *,
    random_state: int = 0,
    verbose: bool = False,
    **options: Any,
) -> Unmixing:
    """Unmix a scene by one method: whose light, and how much of it, is in every pixel?

    Parameters
    ----------
    scene : a Scene, or a cube (rows, cols, bands) in reflectance.
    method : "pca", "nmf", "fcls" and "nnls" (with VCA's endmembers, or ``endmembers=``; ``snr_db=0`` for a scene with
        water or shadow, see :func:`wdl_tutorial.linear.vca`), "bilinear" (likewise),
        "elmm", "glmm" and "plmm" (likewise; endmembers vary: options of :func:`wdl_tutorial.linear.elmm` and its kin),
        "wahu" (options of :func:`wahu`; ``n_training=1000`` pixels are fitted, all are unmixed; ``area=True`` turns
        fractions of light into fractions of area, right for linear mixing only), "wahu_unbalanced" (pixels keep their
        brightness; options of :func:`unbalanced_wahu`, ``n_training=300``) or "idnet" (options of
        :class:`wdl_tutorial.deep.IDNet`).
    n_endmembers : how many; the number the scene's truth has, if it has one.
    random_state : seed of every draw.
    verbose : show a progress bar.

    Returns
    -------
    Unmixing

    Examples
    --------
    >>> import wdl_tutorial as wt
    >>> scene = wt.datasets.make_bilinear_scene(shape=(8, 8), n_endmembers=3, random_state=0)
    >>> wt.unmix(scene, "nnls").abundances.shape
    (8, 8, 3)
    """
    scene = _as_scene(scene)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")
    n = _count(scene, n_endmembers, options.get("endmembers"))
    x = np.asarray(scene.pixels(), dtype=float)  # in half precision histograms do not sum to one
    if not len(x):
        raise ValueError(f"the scene has no valid pixel: all {np.size(scene.mask)} entries of its mask are False.")
    if not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).any(axis=1).sum())
        raise ValueError(f"{bad} valid pixels hold NaN or infinite values; mask them, or drop the bad bands first.")
    dark = ~x.any(axis=1)
    if dark.any():
        raise ValueError(
            f"{int(dark.sum())} valid pixels are all zeros (the first is number {int(dark.argmax())}), which have no "
            "direction to compare. Mask them: Scene(name, cube, mask=cube.any(axis=-1))."
        )
    start = time.perf_counter()
    fit = METHODS[method](x, n, scene, random_state, verbose, **options)
    seconds = time.perf_counter() - start
    diagnostics = {
        "rmse": metrics.rmse(x, fit.reconstruction),
        "nrmse_y": metrics.nrmse(x, fit.reconstruction),
        "spectral_angle": float(np.mean(metrics.spectral_angle(x, fit.reconstruction))),
        "most_negative": float(min(fit.abundances.min(), 0.0)),
        "sum_gap": float(np.abs(fit.abundances.sum(axis=1) - 1.0).max()),
        "seconds": seconds,
    }
    maps = scene.to_map(fit.abundances), scene.to_map(fit.reconstruction)
    bundle = None if fit.bundle is None else scene.to_map(fit.bundle)
    return Unmixing(method, maps[0], fit.endmembers, maps[1], diagnostics, fit.model, bundle)


def _as_scene(scene: Scene | np.ndarray) -> Scene:
    if not isinstance(scene, Scene):
        scene = Scene("cube", to_numpy(as_float(scene)).astype(float))
    shape, nm = scene.cube.shape, scene.wavelengths
    if len(shape) != 3:
        raise ValueError(f"scene must be a Scene or a cube (rows, cols, bands); got an array of shape {shape}.")
    if nm is not None and np.shape(nm) != shape[2:]:
        raise ValueError(
            f"the scene has {shape[2]} bands, but its wavelengths have shape {np.shape(nm)}. Give one each."
        )
    truth = scene.abundances
    if truth is not None and truth.shape[:2] != shape[:2]:
        raise ValueError(f"the cube has {shape[:2]} pixels, its abundances {truth.shape[:2]}. Cut both: Scene.crop.")
    return scene


def _count(scene: Scene, n_endmembers: int | None, endmembers: Any = None) -> int:
    if n_endmembers is None:
        if endmembers is not None:
            return len(endmembers)
        if scene.endmembers is None:
            raise ValueError("n_endmembers is needed: the scene has no truth. See linear.estimate_n_endmembers.")
        return len(scene.endmembers)
    if isinstance(n_endmembers, bool) or not isinstance(n_endmembers, int | np.integer) or n_endmembers < 1:
        raise ValueError(f"n_endmembers must be a positive integer; got {n_endmembers!r}.")
    return int(n_endmembers)


# ------------------------------------------------------------------------------------------------------------ comparing


class Comparison(NamedTuple):
    """A tidy table: one dict per method and seed. ``print`` shows medians, and ranges over the seeds."""

    rows: tuple[dict[str, Any], ...]

    def medians(self) -> dict[str, dict[str, float]]:
        """method -> metric -> median over the seeds."""
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
        return "\n".join("  ".join(text.rjust(w) for text, w in zip(row, widths)) for row in table)


def compare(
    scene: Scene | np.ndarray,
    methods: Sequence[str] | dict[str, dict[str, Any]] = ("fcls", "nnls", "nmf", "wahu"),
    n_endmembers: int | None = None,
    *,
    random_state: int | Sequence[int] = 0,
    verbose: bool = False,
) -> Comparison:
    """Several methods on one scene and the same seeds, measured alike.

    Where the scene has a truth, the endmembers are aligned to it by Hungarian assignment on spectral angles, and the table
    also has rmse_a, nrmse_a and sre_a (dB) of the abundances, nrmse_m and the mean angle of the endmembers. No method sees
    the truth.

    Parameters
    ----------
    methods : a name, names, or a dict from names to the options of :func:`unmix`.
    random_state : a seed, or several: one run of every method each.

    Returns
    -------
    Comparison
    """
    scene = _as_scene(scene)
    seeds = list(random_state) if np.iterable(random_state) else [random_state]
    methods = (methods,) if isinstance(methods, str) else methods
    if not seeds or not methods:
        raise ValueError(f"compare needs at least one method and one seed; got {len(methods)} and {len(seeds)}.")
    options = methods if isinstance(methods, dict) else {name: {} for name in methods}
    rows = []
    for seed in seeds:
        for name, chosen in options.items():
            found = unmix(scene, name, n_endmembers, random_state=seed, verbose=verbose, **chosen)
            rows.append({"method": name, "seed": seed} | against_truth(scene, found) | found.diagnostics)
    return Comparison(tuple(rows))


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
