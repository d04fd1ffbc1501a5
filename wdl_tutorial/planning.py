"""What a run will cost, before it runs: seconds and memory, from parts of it that are timed."""

from __future__ import annotations

import time
import tracemalloc
import warnings
from typing import Any, NamedTuple

import numpy as np

from ._checks import choice
from .rawfiles import gigabytes, memory_available
from .scenes import Scene, as_scene, valid_pixels
from .unmixing import BLOCK, METHODS, unmix

FIRST = 400  # pixels of the smaller of the two runs that are timed


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
    is followed to the number of pixels: learning costs the same for many pixels ("wahu" learns from ``n_training`` of
    them), the rest grows with them. Memory is what those runs allocate, likewise. Where the parts are not typical of
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
    n = valid.size
    first = min(n, max(FIRST, 4 * scene.cube.shape[-1], _training(method, options)))
    sizes = sorted({min(first, n), min(3 * first, n)})
    runs = [
        _timed(_some(scene, valid, size), method, n_endmembers, random_state, options) for size in [sizes[0], *sizes]
    ][1:]
    if len(runs) == 1 or sizes[-1] == n:
        return Estimate(runs[-1][0], int(runs[-1][1]), method, n, tuple((s, t) for s, (t, _) in zip(sizes, runs)))
    (t0, m0), (t1, m1) = runs
    step = (n - sizes[1]) / (sizes[1] - sizes[0])
    seconds = t1 + max(t1 - t0, 0.0) * step
    block = BLOCK // 8 / scene.cube.shape[-1]  # what is unmixed block by block does not grow beyond a block
    memory = (
        m1 + max(m1 - m0, 0.0) * step
        if not _by_blocks(method, options)
        else m1
        + max(m1 - m0, 0.0) * min(step, max(0.0, (block - sizes[1]) / (sizes[1] - sizes[0])))
        + 8.0 * (n - sizes[1]) * 8
    )
    return Estimate(seconds, int(memory), method, n, tuple((s, t) for s, (t, _) in zip(sizes, runs)))


def _training(method: str, options: dict[str, Any]) -> int:
    """Pixels that a method learns from, however many there are."""
    usual = {"wahu": 1000, "wahu_unbalanced": 300}.get(method, 0)
    return int(options.get("n_training", usual)) if usual else 0


def _by_blocks(method: str, options: dict[str, Any]) -> bool:
    return method == "wahu" or (method in ("fcls", "nnls", "bilinear") and options.get("endmembers") is not None)


def _some(scene: Scene, valid: np.ndarray, size: int) -> Scene:
    """Pixels from all over the scene, as a scene of one row."""
    chosen = valid[np.linspace(0, valid.size - 1, size).astype(int)]
    cube = np.asarray(scene.cube).reshape(-1, scene.cube.shape[-1])[chosen][None]
    return scene._replace(cube=cube, mask=None, labels=None, abundances=None, extra=None)


def _timed(scene: Scene, method: str, n: int | None, seed: int, options: dict[str, Any]) -> tuple[float, float]:
    """Seconds of a run, and bytes at its peak; the clock runs without the tracer, which slows it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        unmix(scene, method, n, random_state=seed, **options)
        seconds = time.perf_counter() - start
        tracing = tracemalloc.is_tracing()
        if not tracing:
            tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        if seconds < 20:
            unmix(scene, method, n, random_state=seed, **options)
        peak = tracemalloc.get_traced_memory()[1] - before
        if not tracing:
            tracemalloc.stop()
    return seconds, float(max(peak, 3 * scene.cube.size * 8))
