"""What a run will cost, before it runs: seconds and memory, from parts of it that are timed."""

from __future__ import annotations

import time
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._checks import choice
from .dictionary import FEW, FEW_STEPS, leads_from
from .rawfiles import gigabytes, memory_available
from .scenes import Scene, as_scene, valid_pixels
from .unmixing import BLOCK, MANY, METHODS, Unmixing, unmix

FIRST = 400  # pixels of the smallest run that is timed
ENOUGH = 1.0  # seconds that the longest run takes at least, where there are pixels for it: less is mostly chance
TRAINED = {"wahu": 1000, "wahu_unbalanced": 300}  # methods that learn from some pixels: from how many
LEARNED_FROM = 50  # of them, in the smallest run that is timed
COPIES = 14  # of a pixel that a fit holds besides its chunks, as was seen at 400 and at 1500 pixels
SLOW = 20.0  # seconds: what takes longer is not run again under the tracer of memory, which slows it


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

    Parts of the scene are timed, each three times as large as the last, until one takes a second or is the whole, and a
    straight line through the last two is followed to the number of pixels. "wahu" learns from ``n_training`` of them:
    learning, and unmixing with what was learned, are followed by themselves. Where other work takes the processor
    meanwhile only this process's own time counts, so that what is foretold is of a machine that does nothing else.
    Memory is what a small part allocates, likewise; where pixels are unmixed block by block it does not grow with them.
    Where the parts are not typical of the scene, or a fit stops early, it takes another time.

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
    fixed: dict[str, Any] = {
        "method": method,
        "n_endmembers": n_endmembers,
        "random_state": random_state,
        "verbose": False,
    }

    def run(size: int, **more: Any) -> Unmixing:
        return unmix(_some(scene, valid, size), **fixed, **(options | more))

    if method in TRAINED and valid.size > 3 * LEARNED_FROM:
        return _of_trained(scene, valid, method, run, options)
    n, bands = valid.size, scene.cube.shape[-1]
    first = min(n, max(FIRST, 4 * bands))
    timed = _grown(lambda size: _seconds(lambda: run(size))[0], first, n)
    size = min(3 * first, n)
    memory = _traced(lambda: run(size), size * bands, dict(timed)[size])
    if size < n:
        share = memory / (size * bands)  # bytes for each value of the pixels
        memory = share * n * bands
        if _by_blocks(method, scene, options):
            maps = 8.0 * n * (2 * (n_endmembers or 4) + 3)
            memory = min(memory, share * BLOCK / 8 + maps)
    return Estimate(_at(timed, n), int(memory), method, n, tuple(timed))


def _of_trained(
    scene: Scene, valid: np.ndarray, method: str, run: Callable[..., Unmixing], options: dict[str, Any]
) -> Estimate:
    """Of a method that learns from some pixels and unmixes all: what a pixel more costs of either kind."""
    a, n, bands = LEARNED_FROM, valid.size, scene.cube.shape[-1]
    training = min(int(options.get("n_training", TRAINED[method])), n)
    learned: list[Unmixing] = []

    def learn(size: int) -> float:
        seconds, found = _seconds(lambda: run(size, n_training=size))
        learned[:] = [found]
        return seconds

    def apply(size: int) -> float:
        part = _some(scene, valid, size)
        return _seconds(lambda: learned[0].apply(part))[0]

    fits = _grown(learn, a, training)
    rest = _grown(apply, 3 * a, n) if n > training else [(n, 0.0)]
    seconds = _at(fits, training) + max(_at(rest, n) - _at(rest, training), 0.0)
    model: Any = getattr(learned[0], "model", None)
    if getattr(model, "solver", "") == "projection" and training > leads_from(model.n_atoms):
        seconds += _at(fits, FEW) * FEW_STEPS / model.max_iter  # the few that go first
    small = min(3 * a, training)
    most = _traced(lambda: run(small, n_training=small), small * bands, fits[-1][1])
    upto = min(n, BLOCK // 8 // bands) if method == "wahu" else n  # its weights come block by block
    more = max(upto - small, 0) + max(training - small, 0)  # chunks are full by then: the rest is copies of pixels
    memory = most + 8.0 * bands * COPIES * more + 8.0 * (n - upto) * 12  # and their maps
    return Estimate(seconds, int(memory), method, n, (*fits, *rest))


def _grown(run: Callable[[int], float], first: int, most: int) -> list[tuple[int, float]]:
    """Sizes and seconds of runs, each three times as large as the last, until one takes :data:`ENOUGH` or is the whole."""
    size, timed = min(first, most), list[tuple[int, float]]()
    while True:
        seconds = run(size)
        if seconds < ENOUGH:
            seconds = run(size)  # the first call of a size imports, and is given its memory
        timed.append((size, seconds))
        if size == most or (len(timed) > 1 and seconds >= ENOUGH):
            return timed
        size = min(3 * size, most)


def _at(timed: list[tuple[int, float]], n: int) -> float:
    """Seconds at ``n`` on the straight line through the last two runs."""
    last, seconds = timed[-1]
    if n == last or len(timed) == 1:
        return seconds
    before, less = timed[-2]
    return seconds + max(seconds - less, 0.0) * (n - last) / (last - before)


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


def _seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """What a call takes and gives. Time in which other work had the processor does not count."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wall, own = time.perf_counter(), time.process_time()
        found = call()
        return min(time.perf_counter() - wall, time.process_time() - own), found


def _traced(call: Callable[[], Any], values: int, seconds: float) -> float:
    """Bytes at the peak of a call on so many values, which takes so long without the tracer."""
    least = 3.0 * values * 8
    if seconds > SLOW:
        return least
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    _seconds(call)
    peak = tracemalloc.get_traced_memory()[1] - before
    if not tracing:
        tracemalloc.stop()
    return max(float(peak), least)
