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
    monkeypatch.setattr(planning, "ENOUGH", 0.0)
    found = wt.estimate_run(scene, "nnls", 3)
    start = time.process_time()
    wt.unmix(scene, "nnls", 3)
    spent = time.process_time() - start
    assert spent / 3 < found.seconds < 3 * spent
    assert [size for size, _ in found.timed] == [752, 2256]


def test_parts_grow_until_one_takes_a_second():
    """What is shorter is chance; the first call of a size counts only where it is long by itself."""
    asked = []

    def run(size):
        asked.append(size)
        return 0.2 + 0.001 * size

    assert planning._grown(run, 100, 100_000) == [(100, 0.2 + 0.1), (300, 0.5), (900, 1.1)] and asked == [
        100,
        100,
        300,
        300,
        900,
    ]
    assert np.isclose(planning._at(planning._grown(run, 100, 100_000), 100_000), 100.2)
    assert planning._at(planning._grown(run, 100, 400), 400) == 0.2 + 0.4  # the whole, which is not followed further
    asked.clear()
    assert planning._grown(run, 5000, 100_000)[-1] == (15_000, 15.2) and asked == [5000, 15_000]


def test_time_that_others_had_the_processor_is_not_foretold():
    seconds, found = planning._seconds(lambda: time.sleep(0.3) or "done")
    assert seconds < 0.1 and found == "done"


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


def test_a_method_that_learns_from_some_pixels_is_timed_on_fewer_of_them(monkeypatch):
    scene = wt.datasets.make_bilinear_scene(shape=(30, 30), random_state=0)
    asked = []

    class Found:
        def apply(self, part):
            asked.append(("apply", part.cube.shape[1]))

    def run(size, *, n_training):
        assert n_training == size
        asked.append(("learn", size))
        return Found()

    def clock(call):
        found = call()
        kind, size = asked[-1]
        return (1.0 + 0.11 * size if kind == "learn" else 0.5 + 0.01 * size), found

    monkeypatch.setattr(planning, "_seconds", clock)
    monkeypatch.setattr(planning, "_traced", lambda call, values, seconds: 5.0 * values)
    found = planning._of_trained(scene, np.arange(900), "wahu", run, {"n_training": 300})
    assert asked == [("learn", 50), ("learn", 150), ("apply", 150), ("apply", 450)]
    assert np.isclose(found.seconds, 1.0 + 0.11 * 300 + 0.01 * 600)
    assert found.bytes == 5 * 150 * 188 + 8 * 188 * planning.COPIES * (750 + 150)
    Found.model = wt.wahu(
        np.arange(188.0), recommended=True
    )  # of 850 pixels a hundred lead the atoms, 35 steps of them
    led = planning._of_trained(scene, np.arange(900), "wahu", run, {"n_training": 850})
    assert np.isclose(led.seconds, 1.0 + 0.11 * 850 + 0.01 * 50 + (1.0 + 0.11 * 100) * 35 / 30)
