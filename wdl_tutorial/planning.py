"""What a run will cost, before it runs: seconds and memory, from parts of it that are timed."""

from __future__ import annotations

import functools
import time
import tracemalloc
import warnings
from typing import Any, NamedTuple

import numpy as np

from ._checks import choice
from .rawfiles import gigabytes, memory_available
from .scenes import Scene, as_scene, valid_pixels
from .unmixing import BLOCK, MANY, METHODS, unmix

FIRST = 400  # pixels of the smaller of the two runs that are timed
TRAINED = {"wahu": 1000, "wahu_unbalanced": 300}  # methods that learn from some pixels: from how many
LEARNED_FROM = 50  # of them, in the runs that are timed
COPIES = 14  # of a pixel that a fit holds besides its chunks, as was seen at 400 and at 1500 pixels


class Estimate(NamedTuple):
    """What :func:`estimate_run` foretells."""

    seconds: float
    bytes: int  # at the peak, beyond what is there before the run
    method: str
    n_pixels: int
    timed: tuple[tuple[int, float], ...]  # pixels and seconds of the runs that it rests on

    def __repr__(self) -> str:
        """Seconds and memory in words, and whether the memory there is suffices."""
        have = memory_available()
        short = (
            "" if have is None or self.bytes < have else f" (only {gigabytes(have)} are free: use a window or float32)"
        )
        n = self.seconds
        told = f"{n:.2g} s" if n < 60 else f"{n / 60:.2g} minutes" if n < 5400 else f"{n / 3600:.2g} hours"
        return f"{self.method} on {self.n_pixels} pixels: about {told}, {gigabytes(self.bytes)} of memory{short}"


def estimate_run(
    scene: Scene | np.ndarray,
    method: str = "wahu",
    n_endmembers: int | None = None,
    *,
    random_state: int = 0,
    **options: Any,
) -> Estimate:
    """How long will ``unmix`` take on this machine, and how much memory? Told without running it whole.

    Two runs on parts of the scene, of some hundred pixels and of some more, are timed, and a straight line through them
    is followed to the number of pixels; "wahu", which learns from ``n_training`` of them, is timed on fewer, and both
    its costs are followed. Memory is what those runs allocate, likewise; where pixels are unmixed block by block it does
    not grow with them. Where the parts are not typical of
    the scene, or a fit stops early, it takes another time.

    Parameters
    ----------
    scene : Scene or array, shape (rows, cols, n_bands)
    method : str or callable
    n_endmembers : int, optional
    random_state : int
    **options : any
        All as for :func:`wdl_tutorial.unmix`, and so are the errors raised.

    Returns
    -------
    Estimate

    Examples
    --------
    >>> import wdl_tutorial as wt
    >>> scene = wt.datasets.make_bilinear_scene(shape=(40, 40), random_state=0)
    >>> estimate_run(scene, "nnls").n_pixels
    1600
    """
    if not callable(method):
        choice("method", method, tuple(METHODS))
    scene = as_scene(scene)
    valid = np.flatnonzero(valid_pixels(scene))
    run = functools.partial(_timed, method=method, n=n_endmembers, seed=random_state)
    if method in TRAINED and valid.size > 3 * LEARNED_FROM:
        return _of_trained(scene, valid, method, run, options)
    n, bands = valid.size, scene.cube.shape[-1]
    first = min(n, max(FIRST, 4 * bands))
    sizes = sorted({first, min(3 * first, n)})
    run(_some(scene, valid, first), options=options, memory=False)  # the first call imports
    runs = [run(_some(scene, valid, size), options=options) for size in sizes]
    seconds, memory = runs[-1]
    if sizes[-1] < n:
        seconds += max(seconds - runs[0][0], 0.0) * (n - sizes[1]) / (sizes[1] - sizes[0])
        share = memory / (sizes[1] * bands)  # bytes for each value of the pixels
        memory = share * n * bands
        if _by_blocks(method, scene, options):
            maps = 8.0 * n * (2 * (n_endmembers or 4) + 3)
            memory = min(memory, share * BLOCK / 8 + maps)
    return Estimate(seconds, int(memory), method, n, tuple((s, t) for s, (t, _) in zip(sizes, runs)))


def _of_trained(scene: Scene, valid: np.ndarray, method: str, run: Any, options: dict[str, Any]) -> Estimate:
    """Of a method that learns from some pixels and unmixes all: what a pixel more costs of either kind, from three runs."""
    n, a = valid.size, LEARNED_FROM
    training = min(int(options.get("n_training", TRAINED[method])), n)
    plan = [(a, a), (3 * a, a), (3 * a, 3 * a)]  # pixels, and how many of them are learned from
    runs = [run(_some(scene, valid, size), options=options | {"n_training": some}) for size, some in plan]
    (one, _), (two, _), (three, most) = runs
    seconds = one + max(two - one, 0.0) * (n - a) / (2 * a) + max(three - two, 0.0) * (training - a) / (2 * a)
    upto = min(n, BLOCK // 8 // scene.cube.shape[-1]) if method == "wahu" else n  # its weights come block by block
    more = max(upto - 3 * a, 0) + max(training - 3 * a, 0)  # chunks are full by then: the rest is copies of pixels
    memory = most + 8.0 * scene.cube.shape[-1] * COPIES * more + 8.0 * (n - upto) * 12  # and their maps
    return Estimate(max(seconds, 0.0), int(memory), method, n, tuple((s, t) for (s, _), (t, _) in zip(plan, runs)))


def _by_blocks(method: Any, scene: Scene, options: dict[str, Any]) -> bool:
    """Whether no step sees all pixels at once, so that memory does not grow with them."""
    given = options.get("endmembers") is not None
    vca = options.get("corners", "vca") == "vca" and scene.cube.size > MANY
    return method in ("fcls", "nnls", "bilinear", "sparse") and (given or vca)


def _some(scene: Scene, valid: np.ndarray, size: int) -> Scene:
    """Pixels from all over the scene, as a scene of one row."""
    chosen = valid[np.linspace(0, valid.size - 1, size).astype(int)]
    cube = np.asarray(scene.cube).reshape(-1, scene.cube.shape[-1])[chosen][None]
    return scene._replace(cube=cube, mask=None, labels=None, abundances=None, extra=None)


def _timed(
    scene: Scene, *, method: Any, n: int | None, seed: int, options: dict[str, Any], memory: bool = True
) -> tuple[float, float]:
    """Seconds of a run, and bytes at its peak; the clock runs without the tracer, which slows it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        unmix(scene, method, n, random_state=seed, verbose=False, **options)
        seconds = time.perf_counter() - start
        tracing = tracemalloc.is_tracing()
        if not tracing:
            tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        if memory and seconds < 20:
            unmix(scene, method, n, random_state=seed, verbose=False, **options)
        peak = tracemalloc.get_traced_memory()[1] - before
        if not tracing:
            tracemalloc.stop()
    return seconds, float(max(peak, 3 * scene.cube.size * 8))
