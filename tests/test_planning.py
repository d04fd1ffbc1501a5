"""What a run will cost is foretold from parts of it."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial import planning


@pytest.fixture(scope="module")
def scene():
    return wt.datasets.make_bilinear_scene(shape=(90, 90), random_state=0)


@pytest.mark.parametrize("method", ["nnls", "fcls", "pca"])
def test_memory_is_foretold_within_half(method, scene):
    found = wt.estimate_run(scene, method, 3)
    tracemalloc.start()
    wt.unmix(scene, method, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / 1.5 < found.bytes < 1.5 * peak and found.n_pixels == 8100


def test_the_time_of_a_whole_scene_follows_from_two_parts(scene, monkeypatch):
    """On a clock that sees this process alone: other work on the machine is not foretold."""
    monkeypatch.setattr(planning.time, "perf_counter", time.process_time)
    found = wt.estimate_run(scene, "nnls", 3)
    start = time.process_time()
    wt.unmix(scene, "nnls", 3)
    spent = time.process_time() - start
    assert spent / 3 < found.seconds < 3 * spent
    assert [size for size, _ in found.timed] == [752, 2256]


def test_a_small_scene_is_timed_whole():
    found = wt.estimate_run(wt.datasets.make_bilinear_scene(shape=(10, 10), random_state=0), "fcls", 3)
    assert found.n_pixels == 100 and [size for size, _ in found.timed] == [100]


def test_what_unmix_refuses_is_refused(scene):
    with pytest.raises(TypeError, match="takes no option 'speed'"):
        wt.estimate_run(scene, "nnls", 3, speed=9)


def test_too_little_memory_is_said(monkeypatch):
    monkeypatch.setattr(planning, "memory_available", lambda: 1000)
    told = repr(planning.Estimate(7200.0, 2_000_000_000, "wahu", 10, ()))
    assert told == "wahu on 10 pixels: about 2 hours, 2 GB of memory (only 0.001 MB are free: use a window or float32)"


def test_memory_of_a_large_cube_does_not_grow_with_its_pixels():
    """Its pixels are unmixed block by block: what is foretold is a block and the maps, not the cube as floats."""
    rng = np.random.default_rng(0)
    spectra = 0.5 + 0.4 * np.cos(np.linspace(0, 9, 200) * np.arange(1, 4)[:, None])
    share = rng.dirichlet([0.3] * 3, (210, 200)).astype(np.float32)
    cube = (1e4 * share @ spectra.astype(np.float32)).astype(np.int16)
    cube += rng.integers(0, 50, cube.shape, dtype=np.int16)
    found = wt.estimate_run(cube, "nnls", 3)
    tracemalloc.start()
    wt.unmix(cube, "nnls", 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert cube.size > planning.MANY
    assert peak / 1.5 < found.bytes < 1.5 * peak < 8 * cube.size * 3


def test_a_method_that_learns_from_some_pixels_is_timed_on_fewer_of_them():
    scene = wt.datasets.make_bilinear_scene(shape=(20, 20), random_state=0).crop(slice(None), slice(None))
    asked = []

    def run(part, *, options):
        asked.append((part.cube.shape[1], options["n_training"]))
        pixels, training = asked[-1]
        return 1.0 + 0.01 * pixels + 0.1 * training, 5.0 * pixels

    found = planning._of_trained(scene, np.arange(400), "wahu", run, {"n_training": 300})
    assert asked == [(50, 50), (150, 50), (150, 150)]
    assert np.isclose(found.seconds, 1.0 + 0.01 * 400 + 0.1 * 300)
    assert found.bytes == 750 + 8 * 188 * planning.COPIES * (250 + 150)
