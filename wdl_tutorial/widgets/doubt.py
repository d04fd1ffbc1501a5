"""The capstone's dashboard: a scene unmixed several times, and where the answers disagree."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets

from .. import figures, trust
from .._checks import instance, integer, shown
from ..datasets import Scene
from ..trust import disagreement
from ..unmixing import Unmixing, unmix
from .base import choice, numbers, text, toggle
from .labelling import MASKED, SceneDemo, array, names, teaching_scene, whole

DARK = 0.1  # mean reflectance below which noise, not a spectrum, is left
RANK = 8  # components that the fits of all methods share in the page
MOST = 150_000  # bytes of one dashboard


@functools.cache
def doubted_scene() -> Scene:
    """The teaching scene without its broken band and without its dark pixels, and its six materials on land."""
    scene = teaching_scene()
    land = [k for k, name in enumerate(scene.endmember_names) if "water" not in name]
    return scene._replace(
        mask=scene.cube.mean(axis=-1) > DARK,
        endmembers=scene.endmembers[land],
        abundances=scene.abundances[..., land],
        endmember_names=tuple(scene.endmember_names[k] for k in land),
    )


@functools.cache
def doubted_runs() -> tuple[Unmixing, ...]:
    """Two methods, two seeds each, on :func:`doubted_scene`."""
    return tuple(unmix(doubted_scene(), method, random_state=seed) for method in ("fcls", "nnls") for seed in range(2))


def aligned(scene: Scene, runs: Sequence[Unmixing]) -> np.ndarray:
    """The abundances of all runs, shape (n_runs, rows, cols, n), each material at one place in all of them.

    Partners are found by Hungarian assignment on spectral angles, with the scene's own endmembers where it has as many,
    and with those of the first run where it has not.
    """
    n = len(runs[0].endmembers)
    own = scene.endmembers is not None and len(scene.endmembers) == n
    return trust.aligned(runs, scene.endmembers if own else runs[0].endmembers)[0]


class DoubtDashboard(SceneDemo):
    """Chapter 18, the capstone: pick a pixel; see its fit, and how far methods and seeds differ.

    The picture holds: ``cursor``, a flat index into the thinned map; ``shown`` ("doubt", "misfit", "fraction" or
    "scene"); ``method`` and ``material``, by number; ``votes``, for each method 1 where its runs count;
    ``truth_shown``.

    Parameters
    ----------
    scene : Scene, optional
        With wavelengths; the teaching scene without its pond if not given. Mask what is too dark.
    runs : sequence of Unmixing, optional
        Results of :func:`wdl_tutorial.unmix` on this scene, several seeds of a method one after the other.
    every : int
        Every which row and column is shown; what is shown has to travel to the page.
    n_bands : int
        How many bands are shown, evenly chosen.
    **values : any
        The start of what the picture holds; ``title``, ``caption`` and ``alt``.

    Raises
    ------
    ValueError
        With fewer than two runs, runs of other shapes or numbers of endmembers, abundances outside [0, 1], or more than
        150000 bytes to carry.
    """

    _file = "doubt.js"
    methods = names()
    counts = traitlets.List(traitlets.Int()).tag(sync=True)
    abundances, spectra, scores, answers = array(), array(), array(), array()
    fits = traitlets.Dict().tag(sync=True)
    wavelengths = numbers()
    top = traitlets.Float(1.0).tag(sync=True)
    every = whole(1)
    cursor, method, material = whole(), whole(), whole()
    shown = choice("doubt", "doubt", "misfit", "fraction", "scene")
    votes = traitlets.List(traitlets.Int()).tag(sync=True)
    truth_shown = toggle()
    caption = text(
        "Each mark: the median over the seeds of a method; the bar through it: their range. Pale: has no vote. "
        "Doubt: the standard deviation, over all runs that vote, of the most disputed fraction."
    )
    alt = text("Methods and seeds agree about most of the scene; about some regions they do not, and those are red.")

    def __init__(
        self,
        scene: Scene | None = None,
        runs: Sequence[Unmixing] | None = None,
        *,
        every: int = 2,
        n_bands: int = 48,
        **values: Any,
    ):
        if scene is None and runs is not None:
            raise ValueError("runs without their scene: pass the scene that they unmixed as well.")
        if scene is None:
            scene, runs = doubted_scene(), doubted_runs()
        runs = _checked(instance("scene", scene, Scene), runs)
        every = integer("every", every, most=min(scene.cube.shape[:2]))
        n_bands = integer("n_bands", n_bands, most=10_000)
        part = (slice(None, None, every), slice(None, None, every))
        self.scene = scene._replace(cube=scene.cube[part], mask=None if scene.mask is None else scene.mask[part])
        self.stack = aligned(scene, runs)[(slice(None), *part)]
        valid = np.isfinite(self.stack).all(axis=(0, 3))
        methods = list(dict.fromkeys(run.method for run in runs))
        firsts = [next(run for run in runs if run.method == name) for name in methods]
        bands = np.unique(np.linspace(0, scene.cube.shape[2] - 1, n_bands).round().astype(int))
        nm = np.arange(scene.cube.shape[2], dtype=float) if scene.wavelengths is None else np.asarray(scene.wavelengths)
        self.fitted = np.stack([run.reconstruction[part][valid][:, bands] for run in firsts])
        self.light = self.scene.cube[valid][:, bands]
        n = self.stack.shape[-1]
        own = scene.endmembers is not None and len(scene.endmembers) == n
        known = own and scene.abundances is not None
        colours = [figures.label_colour(k) for k in range(n)]
        top = float(max(self.light.max(), 1e-9))
        fits, scores = _shared_components(self.fitted)
        traits = {
            "rows": valid.shape[0],
            "cols": valid.shape[1],
            "picture": np.round(255 * figures.scene_picture(self.scene)[0]).astype(np.uint8).tobytes(),
            "truth": np.where(valid, 0, MASKED).astype(np.uint8).tobytes(),
            "names": _materials(scene, n, own),
            "colours": colours,
            "methods": methods,
            "counts": [sum(run.method == name for run in runs) for name in methods],
            "abundances": _bytes(self.stack[:, valid]),
            "spectra": _bytes(self.light / top),
            "scores": scores,
            "fits": fits,
            "answers": _bytes(scene.abundances[part][valid]) if known else b"",
            "wavelengths": nm[bands],
            "top": top,
            "every": every,
        }
        size = sum(len(value) for value in traits.values() if isinstance(value, bytes))
        if size > MOST:
            raise ValueError(f"the dashboard would carry {size} bytes, at most {MOST}. Raise every, or lower n_bands.")
        values = {"votes": [1] * len(methods), "method": 0, "material": 0, **values}
        self._check(values, methods, n)
        super().__init__(**traits, **values)
        if "cursor" not in values:
            self.cursor = int(np.where(valid, self.disagreement(), -1.0).argmax())

    @staticmethod
    def _check(values: dict[str, Any], methods: Sequence[str], n: int) -> None:
        votes = values["votes"]
        if len(votes) != len(methods) or any(vote not in (0, 1) for vote in votes):
            raise ValueError(f"votes must be 0 or 1 for each of {', '.join(methods)}; got {votes}.")
        for name, most in (("method", len(methods)), ("material", n)):
            if not 0 <= values[name] < most:
                raise ValueError(f"{name} must be a number from 0 to {most - 1}; got {values[name]}.")

    def disagreement(self) -> np.ndarray:
        """What the map of doubt shows, among the methods that vote.

        Returns
        -------
        array, shape (rows, cols)
            NaN where the scene is masked.
        """
        voting = np.repeat(np.array(self.votes, dtype=bool), self.counts)
        return disagreement(self.stack[voting]) if voting.any() else np.zeros(self.stack.shape[1:3])


def _checked(scene: Scene, runs: Sequence[Unmixing] | None) -> list[Unmixing]:
    """The runs, those of one method side by side."""
    if runs is not None and not (isinstance(runs, list | tuple) and all(isinstance(run, Unmixing) for run in runs)):
        raise TypeError(f"runs must be a list of what unmix returns; got {shown(runs)}.")
    runs = [] if runs is None else list(runs)
    if len(runs) < 2:
        raise ValueError(
            f"disagreement needs at least two runs; got {len(runs)}. Use wdl_tutorial.unmix with other seeds."
        )
    shape = (*scene.cube.shape[:2], len(runs[0].endmembers))
    for run in runs:
        if run.abundances.shape != shape:
            raise ValueError(
                f"abundances of {run.method} have shape {run.abundances.shape}; the first run's are {shape}."
            )
        low, high = float(np.nanmin(run.abundances)), float(np.nanmax(run.abundances))
        if low < -1e-6 or high > 1 + 1e-6:
            raise ValueError(
                f"abundances of {run.method} reach from {low:.3g} to {high:.3g}; a fraction lies in [0, 1]. "
                "Divide them by their sum, or leave the method out."
            )
    order = list(dict.fromkeys(run.method for run in runs))
    return sorted(runs, key=lambda run: order.index(run.method))


def _materials(scene: Scene, n: int, own: bool) -> list[str]:
    named = scene.endmember_names if own else None
    return list(named) if named is not None else [f"material {k + 1}" for k in range(n)]


def _bytes(values: np.ndarray) -> bytes:
    """Numbers in [0, 1] in steps of 1/255."""
    return np.round(255 * np.clip(values, 0.0, 1.0)).astype(np.uint8).tobytes()


def _shared_components(fitted: np.ndarray) -> tuple[dict[str, Any], bytes]:
    """Spectra (n_methods, n_pixels, n_bands) as a mean, a few directions, and for every spectrum a byte per direction."""
    flat = fitted.reshape(-1, fitted.shape[-1])
    mean = flat.mean(axis=0)
    axes = np.linalg.svd(flat - mean, full_matrices=False)[2][:RANK]
    scores = (flat - mean) @ axes.T
    low, step = scores.min(axis=0), np.maximum(np.ptp(scores, axis=0), 1e-12) / 255
    coded = np.round((scores - low) / step).astype(np.uint8)
    fits = {name: value.round(6).tolist() for name, value in (("mean", mean), ("components", axes), ("low", low))}
    return {**fits, "step": step.tolist()}, coded.tobytes()
