"""What to ask of an answer before it is believed: do these pixels mix side by side, or does a feature move? Where do several
answers disagree, and may this one be used?"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import linear, metrics
from ._array import as_float, to_numpy
from ._checks import generator_of, integer, number, shown, squarable
from .histograms import continuum_removed, normalize
from .iterate import ConvergenceWarning, progress, ticked, warn
from .scenes import Scene
from .unmixing import Unmixing, one_by_one, several, unmix

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
    """Do these pixels mix side by side, or does a feature move from one spectrum to the other?

    For each pixel the misfit of the best linear mixture is compared with that of the best barycenter (power 2, exact
    quantiles, no entropy), over 101 weights each. A pixel is "moved" if the barycenter's misfit is below ``margin``
    times the linear one, "side by side" the other way round, and "cannot tell" between the two.

    A barycenter is somewhat more flexible than a line, so it is "nearer" in many areal mixtures by noise alone. The
    same test is therefore run on ``n_simulated`` areal mixtures of the two spectra at the noise of the pixels: that is
    ``.false_alarms``. Where it exceeds 5 %, "moved" means nothing and the verdict of all pixels is "cannot tell".

    Parameters
    ----------
    pixels : array, shape (n_pixels, n_bands) or (n_bands,)
        In reflectance or another unit that adds up by area.
    first, second : array, shape (n_bands,)
        The two ends, in the same unit.
    wavelengths : array, shape (n_bands,), nm
        Increasing; take a window around the feature.
    margin : float, in (0, 1)
    noise : float, optional
        Standard deviation of a band, in the unit of the pixels. None estimates it from fourth differences along the
        bands, which count what is rougher than the sensor's sampling.
    represented : {"depth", "as given"}
        "depth" takes the band depth of everything first, so that an absorption can travel.
    n_simulated : int
        Number of simulated areal mixtures.
    random_state : int or numpy.random.Generator, optional
        Of the simulation.

    Returns
    -------
    MixingTest

    Raises
    ------
    ValueError
        If shapes do not fit, wavelengths do not increase, values are not finite or have no mass, the ends are equal, or
        the representation is unknown.

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
    noise = _noise(X) if noise is None else number("noise", noise, least=0, unless=", a standard deviation")
    n_simulated = integer("n_simulated", n_simulated)
    rng = generator_of(random_state)
    share = rng.random((n_simulated, 1))
    areal = (1 - share) * ends[0] + share * ends[1]
    areal = areal + noise * rng.standard_normal(areal.shape)
    X, ends, areal = (
        _histograms(rows, x, represented, whose)
        for rows, whose in ((X, "pixels"), (ends, "first and second"), (areal, "first and second, with this noise"))
    )
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
    arrays = {name: squarable(name, np.asarray(to_numpy(as_float(value, name=name)))) for name, value in given.items()}
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
    number("margin", margin, above=0, below=1)
    if represented not in ("depth", "as given"):
        raise ValueError(f'represented must be "depth" or "as given"; got {represented!r}.')
    if np.allclose(arrays["first"], arrays["second"]):
        raise ValueError("first and second are the same spectrum: nothing lies between them.")
    return X, np.stack([arrays["first"], arrays["second"]]), x


def _noise(X: np.ndarray) -> float:
    """A standard deviation from fourth differences along the bands, by their median: blind to broad features."""
    rough = np.apply_along_axis(np.convolve, 1, X, DIFFERENCES, "valid")
    return float(np.median(np.abs(rough)) / 0.6745 / np.linalg.norm(DIFFERENCES))


def _histograms(rows: np.ndarray, x: np.ndarray, represented: str, whose: str) -> np.ndarray:
    """Spectra as histograms over the bands: their band depth, or they as they are; what is negative counts as zero."""
    if represented == "depth":
        floor = 1e-3 * np.max(rows, axis=1, keepdims=True)
        if np.any(floor <= 0):
            raise ValueError(f"{whose}: a spectrum is nowhere positive, and has no band depth. Leave such spectra out.")
        rows = continuum_removed(np.maximum(rows, floor), x)
    rows = np.maximum(rows, 0.0)
    if np.any(rows.sum(axis=1) <= 0):
        raise ValueError(f'{whose}: a spectrum has no feature in this window, no mass as represented="{represented}".')
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
    found = [[np.abs(row - family).sum(axis=1).min() for row in X] for family in (lines, _between(ends[0], ends[1], x))]
    return np.array(found[0]), np.array(found[1])


def _moved_at(linear: np.ndarray, barycenter: np.ndarray, margin: float) -> np.ndarray:
    """Where the second misfit is below ``margin`` times the first."""
    return barycenter < margin * linear


# ---------------------------------------------------------------------------------------------------------- doubt


class Doubt(NamedTuple):
    """Where several answers about one scene disagree: :func:`doubt`."""

    map: np.ndarray  # (rows, cols) the standard deviation over the runs of the most disputed fraction; NaN where masked
    runs: tuple[Unmixing, ...]
    names: tuple[str, ...]  # of the runs: "fcls, seed 0", ...
    abundances: np.ndarray  # (n_runs, rows, cols, n_endmembers), each material at one place in all of them
    materials: tuple[str, ...]  # of the endmembers, in that order

    def reading(self) -> str:
        """What the map says, in a few lines: how much is disputed, what, and between whom.

        Returns
        -------
        str
        """
        valid = np.isfinite(self.map)
        share = float((self.map[valid] > 0.1).mean())
        spread = np.nanmean(self.abundances.std(axis=0), axis=(0, 1))
        worst = np.unravel_index(np.nanargmax(self.map), self.map.shape)
        pairs = [
            (float(np.nanmean(np.abs(self.abundances[i] - self.abundances[j]))), i, j)
            for i in range(len(self.runs))
            for j in range(i)
        ]
        gap, i, j = max(pairs)
        lines = [
            f"{len(self.runs)} runs; the median doubt is {np.median(self.map[valid]):.3f}, and {share:.0%} of the pixels "
            "are disputed by more than 0.1.",
            f"Most disputed material: {self.materials[int(spread.argmax())]} (on average {spread.max():.3f}); most disputed "
            f"pixel: row {worst[0]}, column {worst[1]} (0-based; {self.map[worst]:.2f}).",
            f"Farthest apart: {self.names[j]} and {self.names[i]} (mean difference {gap:.3f}).",
        ]
        methods = {run.method for run in self.runs}
        if len(methods) > 1:
            lines.append(self._between(methods))
        return "\n".join(lines)

    def _between(self, methods: set[str]) -> str:
        """Whether methods or seeds make the doubt."""
        groups = [[k for k, run in enumerate(self.runs) if run.method == name] for name in sorted(methods)]
        within = np.nanmean([np.nanmean(self.abundances[g].std(axis=0)) for g in groups])
        means = np.stack([self.abundances[g].mean(axis=0) for g in groups])
        between = float(np.nanmean(means.std(axis=0)))
        who = "the methods, more than the seeds," if between > within else "the seeds, more than the methods,"
        return f"It is {who} that disagree (between methods {between:.3f}, within one {within:.3f})."

    def __repr__(self) -> str:
        """Who was asked, and the reading: no arrays."""
        return f"Doubt of {', '.join(self.names)}\n{self.reading()}"


def doubt(
    scene: Scene | np.ndarray,
    methods: str | Sequence[Any] | dict[str, dict[str, Any]] = ("fcls", "nnls"),
    n_endmembers: int | None = None,
    *,
    random_state: int | Sequence[int] = (0, 1, 2),
    mask: Any = None,
    verbose: bool | None = None,
    **options: Any,
) -> Doubt:
    """Unmix a scene several times, by several methods and seeds, and map where the answers disagree.

    The runs are aligned without a truth: each to the run whose endmembers are nearest to all the others', by Hungarian
    assignment on spectral angles. Agreement is no proof: methods that share an assumption share its error.

    Parameters
    ----------
    scene : Scene or array, shape (rows, cols, n_bands)
    methods : str, sequence of str or of callables, or dict of str to dict
        A dict gives each method its options of :func:`wdl_tutorial.unmix`.
    n_endmembers : int, optional
    random_state : int or sequence of int
        The seeds; each method runs once with each.
    mask : array of bool, shape (rows, cols), optional
        As for :func:`wdl_tutorial.unmix`, and so is ``n_endmembers``.
    verbose : bool, optional
        Show a progress bar, counted in runs. Not given: in a terminal or a notebook, for more than a few seconds.
    **options : any
        Of all the methods, such as ``endmembers=``.

    Returns
    -------
    Doubt

    Raises
    ------
    ValueError
        With fewer than two runs, or one of "pca", whose components are of both signs and no fractions.

    Examples
    --------
    >>> import wdl_tutorial as wt
    >>> scene = wt.datasets.make_bilinear_scene(shape=(10, 10), random_state=0)
    >>> found = doubt(scene, ("fcls", "nnls"), 3, random_state=(0, 1))
    >>> found.map.shape, len(found.runs)
    ((10, 10), 4)
    """
    given, seeds = several(methods, random_state)
    if "pca" in given:
        raise ValueError('"pca" has components of both signs, which are no fractions. Leave it out.')
    if len(given) * len(seeds) < 2:
        raise ValueError(f"doubt needs two runs at least; got {len(given)} methods and {len(seeds)} seeds.")
    plan = [(method, seed, chosen) for method, chosen in given.items() for seed in seeds]
    run = functools.partial(unmix, scene, n_endmembers=n_endmembers, mask=mask, verbose=False)
    calls = [functools.partial(run, method=m, random_state=seed, **(options | chosen)) for m, seed, chosen in plan]
    with progress(len(calls), "doubt", "run", shown=verbose) as bar:
        runs = one_by_one(ticked(calls, bar))
    if len(runs) < len(plan) or runs[-1].interrupted:
        runs = [one for one in runs if not one.interrupted]  # an unfinished fit differs for no reason of the scene's
        if len(runs) < 2:
            raise KeyboardInterrupt
        warn(f"doubt was interrupted: it is of the first {len(runs)} of {len(plan)} runs.", ConvergenceWarning)
    names = tuple(f"{run.method}, seed {seed}" for run, (_, seed, _) in zip(runs, plan))
    stack, first = aligned(runs)
    return Doubt(disagreement(stack), tuple(runs), names, stack, runs[first].names)


def aligned(runs: Sequence[Unmixing], reference: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """The abundances of several runs, each material at one place in all of them.

    Parameters
    ----------
    runs : sequence of Unmixing
    reference : array, shape (n_endmembers, n_bands), optional
        What they are aligned to; the run whose endmembers are nearest to all the others' if not given.

    Returns
    -------
    stack : array, shape (n_runs, rows, cols, n_endmembers)
    centre : int
        The number of the run that they are aligned to.
    """
    sizes = {run.endmembers.shape for run in runs}
    if len(sizes) > 1:
        raise ValueError(f"runs must have as many endmembers on the same bands; got {sorted(sizes)}.")
    first = 0
    if reference is None:
        cost = [sum(_angle(a.endmembers, b.endmembers) for b in runs) for a in runs]
        first = int(np.argmin(cost))
        reference = runs[first].endmembers
    order = [metrics.match_endmembers(reference, run.endmembers) for run in runs]
    return np.stack([run.abundances[..., perm] for run, perm in zip(runs, order)]), first


def _angle(first: np.ndarray, second: np.ndarray) -> float:
    """The mean angle between endmembers of two runs, paired, in radians."""
    return float(metrics.spectral_angle(first, second[metrics.match_endmembers(first, second)]).mean())


def disagreement(stack: np.ndarray) -> np.ndarray:
    """The doubt in each pixel: over the runs the standard deviation of the most disputed fraction.

    Parameters
    ----------
    stack : array, shape (n_runs, rows, cols, n_endmembers)
        From :func:`aligned`.

    Returns
    -------
    array, shape (rows, cols)

    Examples
    --------
    >>> disagreement(np.array([[[[1.0, 0.0]]], [[[0.5, 0.5]]]]))
    array([[0.25]])
    """
    return stack.std(axis=0).max(axis=-1)


# --------------------------------------------------------------------------------------------------------- report

USE, LOOK, DO_NOT = "use", "look", "do not use"
MOST = 20_000  # pixels on which a report is made


class Finding(NamedTuple):
    """One line of a :class:`Report`."""

    name: str
    verdict: str  # "use", "look" or "do not use"
    value: float
    words: str  # what was seen, and what to do


class Report(NamedTuple):
    """May this answer be used? The worst of its findings is its verdict."""

    method: str
    findings: tuple[Finding, ...]
    residual: np.ndarray  # (n_bands,) mean misfit of the pixels looked at, in the units of the cube
    noise: np.ndarray  # (n_bands,) standard deviation of the noise, estimated

    @property
    def verdict(self) -> str:
        """The worst verdict among the findings."""
        return next((v for v in (DO_NOT, LOOK) if any(f.verdict == v for f in self.findings)), USE)

    def __repr__(self) -> str:
        """A line per finding, the worst ones first."""
        order = sorted(self.findings, key=lambda f: (DO_NOT, LOOK, USE).index(f.verdict))
        return "\n".join([f"{self.method}: {self.verdict}", *(f"  {f.verdict:10s} {f.name}: {f.words}" for f in order)])


def report(found: Unmixing, *, others: Sequence[Unmixing] = ()) -> Report:
    """May this answer be used? One page: *use*, *look* or *do not use*, with the reason and what to do.

    Looked at: units (counts beside reflectance); fill among the endmembers; convergence; residual against noise;
    pixels outside the cone of the endmembers (there is no pure pixel, or mixing is not linear); endmembers that are
    mixtures of the others (more of them than materials); endmembers that no pixel uses; agreement with NNLS divided by
    its sum; the part of brightness in the fractions; and the spread over seeds (of ``others``, or of VCA run again).

    The thresholds were fixed on five simulated scenes and tried on ten others by another generator
    (``tests/test_trust.py``), and on ten by a third that they never saw (``benchmarks/bench_report.py``: 9 of 10 right,
    and the same at two more seeds). They are signs, not proofs. Missed each time: three materials and no pure pixel of
    any. Where every pixel holds some of every material in the same least share, the pixels fill a smaller simplex, whose
    corners look pure to any method and to this report.

    Parameters
    ----------
    found : Unmixing
        From :func:`wdl_tutorial.unmix`.
    others : sequence of Unmixing
        More runs on the same scene (``Doubt.runs``), whose spread is then judged.

    Returns
    -------
    Report
    """
    if found.scene is None:
        raise ValueError("the result does not hold its scene any more, which a report needs. Unmix it again.")
    if not isinstance(others, list | tuple) or not all(isinstance(run, Unmixing) for run in others):
        raise TypeError(f"others must be a list of what unmix returns; got {shown(others)}.")
    x, a, rebuilt = _looked_at(found)
    noise = band_noise(x)
    findings = [_units(found, x), _converged(found), _misfit(found, x, rebuilt, noise)]
    if found.method != "pca":
        m = found.endmembers
        vca = found.indices is not None and found.settings["options"].get("corners", "vca") == "vca"
        findings += [_is_light(found), _outside(x, m, noise), _superfluous(m, noise, found.names)]
        findings += [_unused(a, found.names)]
        findings += [_beside_nnls(x, a, m), _brightness(x, a, found.names)]
        findings += _seeds(found, x, others, vca)
    kept = tuple(f for f in findings if f is not None)
    return Report(found.method, kept, (x - rebuilt).mean(axis=0), noise)


def _looked_at(found: Unmixing) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some pixels, seeded, with their abundances and what they are rebuilt as."""
    valid = np.flatnonzero(found.mask)
    chosen = np.sort(np.random.default_rng(0).permutation(valid.size)[:MOST])
    flat = found.scene.cube.reshape(-1, found.scene.cube.shape[-1])
    x = np.asarray(flat[valid[chosen]], dtype=float)
    a = found.abundances.reshape(-1, found.abundances.shape[-1])[valid[chosen]]
    if found.learned.reconstruct is None:
        return x, a, found.learned.rows(x).reconstruction
    return x, a, np.asarray(found.learned.reconstruct())[chosen]


def band_noise(x: np.ndarray) -> np.ndarray:
    """The standard deviation of the noise in each band: what the other bands do not predict.

    With fewer than three pixels a band, from second differences along the bands, which takes narrow features for noise.

    Parameters
    ----------
    x : array, shape (n_pixels, n_bands)

    Returns
    -------
    array, shape (n_bands,)
    """
    n, bands = x.shape
    if bands < 3:
        return np.zeros(bands)
    if n < 3 * bands:
        steps = np.median(np.abs(np.diff(x, 2, axis=1)), axis=0) / 0.6745 / np.sqrt(6)
        return np.r_[steps[:1], steps, steps[-1:]]
    left, _ = linear.unpredicted(x)
    return np.sqrt((left**2).sum(axis=0) / (n - bands + 1))


def _graded(value: float, look: float, stop: float) -> str:
    return DO_NOT if value > stop else LOOK if value > look else USE


def _units(found: Unmixing, x: np.ndarray) -> Finding | None:
    """A pixel cannot be far brighter than every endmember, nor can all of them be far darker."""
    m = np.abs(found.endmembers)
    ratio, top = (
        float(np.abs(x).mean() / max(m.mean(axis=1).max(), 1e-300)),
        float(np.abs(x).max() / max(m.max(), 1e-300)),
    )
    if found.method == "pca":
        return None
    bad = ratio > 20 or top < 1 / 30
    words = (
        f"the scene reaches {np.abs(x).max():.3g}, the endmembers {m.max():.3g}: counts or percent beside reflectance."
        if bad
        else "scene and endmembers are of one scale."
    )
    return Finding("units", DO_NOT if bad else USE, ratio, words)


def _is_light(found: Unmixing) -> Finding | None:
    """An endmember is the light of something: below zero in every band, or one value in all of them, it is fill."""
    m = found.endmembers
    if found.indices is not None:  # the pixels themselves: endmembers are smoothed by some finders
        m = np.asarray(found.scene.cube.reshape(-1, m.shape[1])[found.indices], dtype=float)
    below = np.asarray((m < 0).all(axis=1))
    flat = (
        (m == m[:, :1]).all(axis=1) & (found.indices is not None) & (m.shape[1] > 2)
    )  # a panel of one value may be given
    if not (below | flat).any():
        return None
    k = int((below | flat).argmax())
    words = (
        f"{found.names[k]} is {'below zero' if below[k] else 'one value'} in every band, about {np.median(m[k]):g}: "
    )
    return Finding("fill", DO_NOT, float(np.median(m[k])), words + "no material. Mask those pixels, and unmix again.")


def _converged(found: Unmixing) -> Finding | None:
    told = getattr(found.model, "converged_", getattr(found.model, "converged", None))
    if told is None:
        return None
    share = float(np.mean(to_numpy(told)) if np.ndim(told) else bool(told))
    words = "the fit converged." if share == 1 else f"{1 - share:.1%} of it did not converge. Raise max_iter."
    if getattr(found.model, "interrupted_", False):
        return Finding("convergence", DO_NOT, share, "the fit was interrupted. Run it again.")
    return Finding("convergence", USE if share == 1 else LOOK if share > 0.99 else DO_NOT, share, words)


def _misfit(found: Unmixing, x: np.ndarray, rebuilt: np.ndarray, noise: np.ndarray) -> Finding:
    left = float(np.sqrt(np.mean((x - rebuilt) ** 2)))
    level = float(np.sqrt(np.mean(noise**2)))
    part = left / float(np.sqrt(np.mean(x**2)))
    verdict = DO_NOT if part > 0.3 else LOOK if part > 0.1 or (left > 3 * level and part > 0.01) else USE
    words = f"what is left is {part:.1%} of the light"
    words += f", {left / level:.1f} times the noise." if level > 0 else "."
    if verdict != USE:
        bands = np.abs((x - rebuilt).mean(axis=0))
        k = int(bands.argmax())
        where = f"band {k} (0-based)" if found.wavelengths is None else f"{found.wavelengths[k]:g} nm"
        words += f" It is largest at {where}: the model misses something there; look at error and at that band."
    return Finding("residual", verdict, part, words)


def _outside(x: np.ndarray, m: np.ndarray, noise: np.ndarray) -> Finding | None:
    """Pixels that non-negative shares cannot make, whatever their brightness: further out than noise takes them."""
    if len(m) >= m.shape[1] or np.linalg.matrix_rank(m) < len(m):
        return None
    free = x @ np.linalg.pinv(m)
    level = np.sqrt(np.mean(noise**2)) * np.sqrt(np.diag(np.linalg.inv(m @ m.T)))
    out = (free < -0.05 * np.abs(free).sum(axis=1, keepdims=True) - 4 * level).any(axis=1)
    share = float(out.mean())
    words = f"{share:.1%} of the pixels lie outside what the endmembers can mix."
    if share > 0.02:
        words += (
            " Another random_state may find purer pixels. If none does, there is no pure pixel of a material, or a "
        )
        words += "material is missing, or light is not mixed linearly."
    return Finding("inside", _graded(share, 0.02, 0.05), share, words)


def superfluous(m: np.ndarray, noise: np.ndarray) -> tuple[float, int]:
    """Which endmember is most like a mixture of the others, and how far it lies from one.

    Parameters
    ----------
    m : array, shape (n_endmembers, n_bands)
    noise : array, shape (n_bands,)
        Standard deviation of each band.

    Returns
    -------
    distance : float, in times the noise
    number : int
        Of that endmember, from 0.
    """
    ratios = []
    for k, spectrum in enumerate(m):
        rest = np.delete(m, k, axis=0)
        left = spectrum - linear.nnls(spectrum[None], rest).reconstruct()[0]
        ratios.append(float(np.linalg.norm(left) / max(np.linalg.norm(noise), 1e-6 * np.linalg.norm(spectrum))))
    k = int(np.argmin(ratios))
    return ratios[k], k


def _superfluous(m: np.ndarray, noise: np.ndarray, names: Sequence[str]) -> Finding | None:
    """An endmember that the others can mix to within the noise is none."""
    if len(m) < 2:
        return None
    ratio, k = superfluous(m, noise)
    verdict = DO_NOT if ratio < 0.8 else LOOK if ratio < 1.0 else USE
    words = f"{names[k]} differs from a mixture of the others by {ratio:.1f} times the noise."
    if verdict != USE:
        words += " There are more endmembers than materials: ask for fewer."
    return Finding("number", verdict, ratio, words)


def _unused(a: np.ndarray, names: Sequence[str]) -> Finding:
    most = a.max(axis=0)
    k = int(np.round(most, 6).argmin())  # of several that cover a whole pixel the first, whatever the rounding
    words = f"{names[k]} covers at most {most[k]:.0%} of a pixel."
    return Finding("used", USE if most[k] > 0.2 else LOOK, float(most[k]), words)


def _beside_nnls(x: np.ndarray, a: np.ndarray, m: np.ndarray) -> Finding | None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = linear.nnls(x, m, normalize=True).abundances
    gap = float(np.abs(shares - a).sum(axis=1).mean() / 2)
    words = f"{gap:.1%} of the area is given to other materials by NNLS divided by its sum, with the same endmembers."
    if gap > 0.15:
        words += " Brightness, not mixing, may make the difference: look at shade."
    return Finding("beside NNLS", _graded(gap, 0.15, 0.4), gap, words)


def _brightness(x: np.ndarray, a: np.ndarray, names: Sequence[str]) -> Finding:
    light = np.linalg.norm(x, axis=1)
    moving = a.std(axis=0) > 1e-9
    if light.std() < 1e-12 * light.mean() or not moving.any():
        return Finding("brightness", USE, 0.0, "brightness does not vary.")
    both = [abs(float(np.corrcoef(a[:, k], light)[0, 1])) if moving[k] else 0.0 for k in range(a.shape[1])]
    k = int(np.argmax(both))
    words = f"{names[k]} goes with brightness by a correlation of {both[k]:.2f}."
    if both[k] > 0.97:
        words += " It may be illumination and no material."
    return Finding("brightness", _graded(both[k], 0.97, np.inf), both[k], words)


def _seeds(found: Unmixing, x: np.ndarray, others: Sequence[Unmixing], vca: bool) -> list[Finding]:
    """How far endmembers move with the seed: of the runs that are given, or of VCA run again."""
    if others:
        runs = [run for run in others if run.method == found.method and run.endmembers.shape == found.endmembers.shape]
        sets = [run.endmembers for run in runs]
    elif vca:
        snr = found.settings.get("options", {}).get("snr_db")
        sets = [
            linear.vca(x, len(found.endmembers), snr_db=snr, random_state=seed).endmembers for seed in (101, 102, 103)
        ]
    else:
        return []
    if not sets:
        return []
    angle = float(np.rad2deg(np.mean([_angle(found.endmembers, other) for other in sets])))
    words = f"endmembers of other seeds lie {angle:.1f} degrees away."
    return [
        Finding(
            "seeds",
            _graded(angle, 5.0, 15.0),
            angle,
            words + (" Try more pixels, or fewer endmembers." if angle > 5 else ""),
        )
    ]


CITED = {
    "vca": "vertex component analysis (Nascimento and Bioucas-Dias, 2005, doi:10.1109/TGRS.2005.844293)",
    "nfindr": "N-FINDR (Winter, 1999, doi:10.1117/12.366289)",
    "atgp": "the automatic target generation process (Ren and Chang, 2003, doi:10.1109/TAES.2003.1261124)",
    "pca": "principal component analysis",
    "nmf": "non-negative matrix factorisation (Lee and Seung, 1999, doi:10.1038/44565)",
    "fcls": "fully constrained least squares (Heinz and Chang, 2001, doi:10.1109/36.911111)",
    "nnls": "non-negative least squares (Lawson and Hanson, 1974), divided by their sum",
    "bilinear": "a bilinear mixing model (Fan et al., 2009, doi:10.1080/01431160802558659)",
    "sparse": "sparse regression with a library (Bioucas-Dias and Figueiredo, 2010, doi:10.1109/WHISPERS.2010.5594963)",
    "elmm": "the extended linear mixing model (Drumetz et al., 2016, doi:10.1109/TIP.2016.2579259)",
    "glmm": "the generalised linear mixing model (Imbiriba et al., 2018)",
    "plmm": "the perturbed linear mixing model (Thouvenin et al., 2016, doi:10.1109/TSP.2015.2486746)",
    "wahu": "regularised Wasserstein dictionary learning (Fullenbaum et al., 2024; Schmitz et al., 2018)",
    "wahu_unbalanced": "unbalanced Wasserstein dictionary learning (after Fullenbaum et al., 2024; Schmitz et al., 2018)",
    "idnet": "ID-Net (Borsoi et al., 2023)",
    "deepgun": "deep generative endmembers, DeepGUn (Borsoi et al., 2019, doi:10.1109/TCI.2019.2948726)",
    "egunet": "the endmember-guided unmixing network (Hong et al., 2021, doi:10.1109/TNNLS.2021.3082289)",
    "rbf": "an autoencoder of radial basis functions (Shahid and Schizas, 2021)",
}


def describe(found: Unmixing) -> str:
    """A paragraph for the methods section: what was done, with which settings, and what came out.

    Parameters
    ----------
    found : Unmixing

    Returns
    -------
    str
        Versions and citations included.
    """
    told = found.settings
    rows, cols, bands = told["shape"]
    nm = "" if found.wavelengths is None else f" ({found.wavelengths[0]:.0f} to {found.wavelengths[-1]:.0f} nm)"
    method = CITED.get(found.method, f"the method {found.method}")
    origin = f", with {len(found.endmembers)} endmembers"
    if found.indices is not None:
        finder = told["options"].get("corners", "vca")
        origin += f" found among the pixels by {CITED.get(finder, finder)}"
    elif "endmembers" in told["options"]:
        origin += " that were given" + (f" ({', '.join(found.names)})" if found.names[0] != "endmember 1" else "")
    options = {k: v for k, v in told["options"].items() if k != "endmembers"}
    chosen = f" Settings: {', '.join(f'{k} = {v}' for k, v in options.items())}." if options else ""
    error = found.diagnostics
    return (
        f"The scene {told['scene']} ({rows} x {cols} pixels, {bands} bands{nm}, {found.units}) was unmixed by "
        f"{method}{origin}; {int(found.mask.sum())} pixels were valid. The random seed was {told['random_state']}.{chosen} "
        f"The reconstruction "
        f"misses {error['nrmse_y']:.2%} of the light (root mean square {error['rmse']:.3g}; mean spectral angle "
        f"{np.rad2deg(error['spectral_angle']):.2f} degrees). Computed with wdl_tutorial {told['versions']['wdl_tutorial']} "
        f"(NumPy {told['versions']['numpy']}, Python {told['versions']['python']}); the sha256 of the data begins with "
        f"{told['data_sha256'][:16]}."
    )
