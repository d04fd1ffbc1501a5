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
from .costs import LineCost
from .datasets import Scene
from .dictionary import WassersteinDictionary
from .histograms import area_fractions, normalize
from .transport import check_count


class Unmixing(NamedTuple):
    """What :func:`unmix` found. Masked pixels are NaN in the maps."""

    method: str
    abundances: np.ndarray  # (rows, cols, n_endmembers)
    endmembers: np.ndarray  # (n_endmembers, n_bands), in the units of the cube; of "idnet" their mean over the pixels
    reconstruction: np.ndarray  # (rows, cols, n_bands), in the units of the cube
    diagnostics: dict[str, float]  # rmse, nrmse_y, spectral_angle, most_negative, sum_gap, seconds
    model: Any  # the fitted estimator, or the method's own result


class Fit(NamedTuple):
    """What a method hands back on the valid pixels."""

    abundances: np.ndarray  # (n_pixels, n_endmembers)
    endmembers: np.ndarray  # (n_endmembers, n_bands)
    reconstruction: np.ndarray  # (n_pixels, n_bands)
    model: Any


# ------------------------------------------------------------------------------------------------------ WaHU's settings

SETTINGS: dict[str, dict[str, Any]] = {
    # Fig. 2: p = 2, eps = .001 on the squared distance between bins over its maximum, rho = 0, m = 2
    "synthetic": {"power": 2, "largest": 1.0, "eps": 0.001, "locality": 0.0, "n_atoms": 2},
    # Fig. 3: p = 1, eps = .05 on |wavelength - wavelength'| scaled to maximum 10, rho = .01, m = 4
    "salinas": {"power": 1, "largest": 10.0, "eps": 0.05, "locality": 0.01, "n_atoms": 4},
}


def wahu(positions: Any, *, setting: str = "salinas", **changes: Any) -> WassersteinDictionary:
    """The Wasserstein dictionary of either of WaHU's experiments (Fullenbaum et al. (2024), section 4), not yet fitted.

    Both minimise eq. (4) with k-means++ atoms, random weights and 50 inner iterations, by Adam. The paper's step of .01 for
    400 steps is ours of .1, falling along a cosine, in a third of the steps (``learning_rate``, ``schedule`` and
    ``max_iter`` give it back).

    Parameters
    ----------
    positions : array, shape (n_bins,), increasing   Wavelengths in nm, or bins.
    setting : "salinas" (Fig. 3) or "synthetic" (Fig. 2).
    changes : any parameter of :class:`wdl_tutorial.WassersteinDictionary`, in the place of the setting's own.

    Examples
    --------
    >>> model = wahu(range(200), setting="synthetic")
    >>> model.eps, model.n_atoms
    (0.001, 2)
    """
    if setting not in SETTINGS:
        raise ValueError(f"setting must be one of {', '.join(SETTINGS)}; got {setting!r}.")
    own = SETTINGS[setting]
    x = LineCost(positions).positions  # checked
    if len(x) < 2:
        raise ValueError(f"positions must be at least 2; got {len(x)}: there is nowhere to go on one band.")
    cost = LineCost(x, power=own["power"], scale=own["largest"] / (x[-1] - x[0]) ** own["power"])
    options = {
        "cost": cost,
        "eps": own["eps"],
        "locality": own["locality"],
        "loss": "wasserstein",
        "n_iter": 50,
        "init": "kmeans++",
        "solver": "adam",
        "learning_rate": 0.1,
        "betas": (0.9, 0.99),
        "schedule": "cosine",
        "max_iter": 140,
        "tol": None,
    }
    return WassersteinDictionary(changes.pop("n_atoms", own["n_atoms"]), **(options | changes))


# -------------------------------------------------------------------------------------------------------------- methods


def _pca(x, n, scene, seed, verbose, **options) -> Fit:
    found = linear.pca(x, n, **options)
    return Fit(found.abundances, found.endmembers, found.reconstruct(), found)


def _nmf(x, n, scene, seed, verbose, **options) -> Fit:
    found = linear.nmf(x, n, random_state=seed, **options)
    return Fit(found.abundances, found.endmembers, found.reconstruct(), found)


def _endmembers(x, n, seed, endmembers) -> np.ndarray:
    if endmembers is None:
        return linear.vca(x, n, random_state=seed).endmembers
    endmembers = np.asarray(endmembers, dtype=float)
    if endmembers.ndim != 2 or len(endmembers) != n:
        raise ValueError(
            f"endmembers must be (n_endmembers, n_bands) with n_endmembers={n}; got shape {endmembers.shape}."
        )
    return endmembers


def _fcls(x, n, scene, seed, verbose, endmembers=None) -> Fit:
    m = _endmembers(x, n, seed, endmembers)
    found = linear.fcls(x, m)
    return Fit(found.abundances, m, found.reconstruct(), found)


def _nnls(x, n, scene, seed, verbose, endmembers=None) -> Fit:
    """The five-line baseline: non-negative least squares, then divided by the sum; the fit itself keeps the brightness."""
    m = _endmembers(x, n, seed, endmembers)
    free = linear.nnls(x, m)
    shares = linear.nnls(x, m, normalize=True)
    return Fit(shares.abundances, m, free.reconstruct(), shares)


def _bilinear(x, n, scene, seed, verbose, endmembers=None, **options) -> Fit:
    m = _endmembers(x, n, seed, endmembers)
    found = linear.bilinear(x, m, **options)
    return Fit(found.abundances, m, found.reconstruct(), found)


def _wahu(
    x, n, scene, seed, verbose, *, setting="salinas", n_training=1000, init_endmembers=None, area=False, **changes
) -> Fit:
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


def _idnet(x, n, scene, seed, verbose, **options) -> Fit:
    from .deep import IDNet

    model = IDNet(n, random_state=seed, verbose=verbose, **options).fit(x)
    endmembers = to_numpy(model.endmembers_)
    return Fit(to_numpy(model.abundances_), endmembers.mean(axis=0), to_numpy(model.reconstruct()), model)


METHODS: dict[str, Callable[..., Fit]] = {
    "pca": _pca,
    "nmf": _nmf,
    "fcls": _fcls,
    "nnls": _nnls,
    "bilinear": _bilinear,
    "wahu": _wahu,
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
    method : "pca", "nmf", "fcls" and "nnls" (with VCA's endmembers, or ``endmembers=``), "bilinear" (likewise),
        "wahu" (options of :func:`wahu`; ``n_training=1000`` pixels are fitted, all are unmixed; ``area=True`` turns
        fractions of light into fractions of area, right for linear mixing only) or "idnet" (options of
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
    x = scene.pixels()
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
    return Unmixing(method, maps[0], fit.endmembers, maps[1], diagnostics, fit.model)


def _as_scene(scene: Scene | np.ndarray) -> Scene:
    if isinstance(scene, Scene):
        return scene
    cube = to_numpy(as_float(scene)).astype(float)
    if cube.ndim != 3:
        raise ValueError(f"scene must be a Scene or a cube (rows, cols, bands); got an array of shape {cube.shape}.")
    return Scene("cube", cube)


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
    also has rmse_a and nrmse_a of the abundances, nrmse_m and the mean angle of the endmembers. No method sees the truth.

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
        "nrmse_m": metrics.nrmse_endmembers(scene.endmembers, found.endmembers[perm]),
        "angle_m": float(np.mean(metrics.spectral_angle(scene.endmembers, found.endmembers[perm]))),
    }
