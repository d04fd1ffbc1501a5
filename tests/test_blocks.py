"""Rows that live elsewhere: on disk, on two workers of a Dask cluster, and on workers that are killed meanwhile."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import tracemalloc
import warnings

import joblib
import numpy as np
import pytest
from conftest import assert_close, gaussian

import wdl_tutorial as wt
from wdl_tutorial.blocks import elsewhere, is_dask, row_blocks, slabs

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
COST = wt.LineCost(np.arange(20.0))
ATOMS = np.stack([gaussian(20, 4, 2), gaussian(20, 10, 1), gaussian(20, 15, 3)])
SETTINGS = {"cost": COST, "eps": 1.0, "n_iter": 10, "random_state": 0, "tol": None, "n_jobs": 1}


def samples(n):
    weights = np.random.default_rng(1).dirichlet([0.7] * 3, n)
    return wt.normalize(wt.barycenter(ATOMS, weights, COST, eps=1.0, n_iter=10).histogram)


def minibatch(**changes):
    settings = SETTINGS | {"solver": "minibatch", "max_iter": 4, "batch_size": 20} | changes
    return wt.WassersteinDictionary(3, **settings)


@pytest.fixture(scope="module")
def X():
    return samples(120)


@pytest.fixture(scope="module")
def fitted(X):
    return minibatch().fit(X)


@pytest.fixture(scope="module")
def client():
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


def test_a_lazy_array_is_told_from_one_in_memory_and_from_one_on_disk(X, tmp_path):
    lazy = da.from_array(X, chunks=(50, 20))
    assert is_dask(lazy) and elsewhere(lazy) and not is_dask(X)
    for here in (X, X.tolist(), 1.0, X[0, 0], np.ma.array(X)):
        assert not elsewhere(here) and not is_dask(here)
    assert elsewhere(np.lib.format.open_memmap(tmp_path / "x.npy", "w+", shape=(3, 2)))


@pytest.mark.parametrize("n_rows, bytes_per_row, most", [(1000, 1 << 20, 64), (5, 1 << 30, 1), (100, 8, 100)])
def test_slabs_cover_all_rows_once_and_none_takes_more_than_64_megabytes(n_rows, bytes_per_row, most):
    parts = list(slabs(np.empty((n_rows, 1)), bytes_per_row))
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(n_rows))
    assert max(part.stop - part.start for part in parts) <= most


def test_the_last_block_of_a_chunked_array_may_be_shorter(X, tmp_path):
    zarr = pytest.importorskip("zarr")
    held = zarr.create_array(tmp_path / "x.zarr", data=X, chunks=(50, 20))
    assert (
        row_blocks(held)
        == row_blocks(da.from_array(X, chunks=(50, 20)))
        == [slice(0, 50), slice(50, 100), slice(100, 120)]
    )


def test_weights_of_a_lazy_array_are_lazy_and_those_of_its_blocks(X, fitted):
    lazy = fitted.transform(da.from_array(X, chunks=(50, 7)))
    assert is_dask(lazy) and lazy.shape == (120, 3) and lazy.chunks == ((50, 50, 20), (3,))
    whole = np.concatenate([fitted.transform(X[part]) for part in (slice(0, 50), slice(50, 100), slice(100, 120))])
    found = lazy.compute(scheduler="sync")
    assert np.array_equal(found, whole)
    assert_close(found, fitted.transform(X), atol=1e-6)
    back = fitted.inverse_transform(lazy).compute(scheduler="sync")
    assert_close(back, fitted.inverse_transform(whole), atol=1e-12)


def test_leading_axes_are_a_batch(X, fitted):
    cube = X.reshape(4, 30, 20)
    weights = fitted.transform(cube)
    assert np.array_equal(weights, fitted.transform(X).reshape(4, 30, 3))
    assert np.array_equal(
        fitted.inverse_transform(weights).reshape(120, 20), fitted.inverse_transform(weights.reshape(120, 3))
    )
    assert fitted.score(cube) == fitted.score(X)
    lazy = fitted.transform(da.from_array(cube, chunks=(2, 10, 20)))
    assert lazy.shape == (4, 30, 3)
    assert_close(lazy.compute(scheduler="sync"), weights, atol=1e-6)


@pytest.mark.parametrize("kind", ["memmap", "h5py", "zarr"])
def test_weights_go_from_disk_to_disk(kind, X, fitted, tmp_path):
    if kind == "memmap":
        source = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", shape=X.shape)
        out = np.lib.format.open_memmap(tmp_path / "w.npy", "w+", shape=(120, 3))
        source[:] = X
    elif kind == "h5py":
        file = pytest.importorskip("h5py").File(tmp_path / "x.h5", "w")
        source, out = file.create_dataset("x", data=X), file.create_dataset("w", shape=(120, 3), dtype=float)
    else:
        zarr = pytest.importorskip("zarr")
        source = zarr.create_array(tmp_path / "x.zarr", data=X, chunks=(50, 20))
        out = zarr.create_array(tmp_path / "w.zarr", shape=(120, 3), chunks=(50, 3), dtype="f8")
    assert fitted.transform(source, out=out) is out
    assert_close(np.asarray(out[:]), fitted.transform(X), atol=1e-6)
    assert fitted.score(source) == pytest.approx(fitted.score(X), rel=1e-6)


def test_doors_that_would_compute_a_lazy_array_again_and_again_say_at_once_what_to_do(X, fitted):
    lazy = da.from_array(X, chunks=(50, 20))
    for call in (
        lambda: wt.WassersteinDictionary(3, **SETTINGS).fit(lazy),
        lambda: wt.sinkhorn(lazy[0], lazy[1], COST, eps=1.0),
        lambda: wt.barycenter(lazy[:2], [0.5, 0.5], COST, eps=1.0),
        lambda: minibatch().partial_fit(lazy),
    ):
        with pytest.raises(TypeError, match=r"lazy Dask array of shape .* solver='minibatch'.* draws rows from it"):
            call()
    with pytest.raises(ValueError, match=r"store the lazy weights: weights.to_zarr"):
        fitted.transform(lazy, out=np.empty((120, 3)))
    with pytest.raises(ValueError, match=r"chunks of unknown sizes: .* X.compute_chunk_sizes"):
        minibatch().fit(lazy[lazy[:, 0] > 0])


def test_what_travels_is_a_few_kilobytes(X):
    model = minibatch(callback=lambda *_: None, verbose=False).fit(X)
    bare = model.bare()
    assert len(pickle.dumps(bare)) < 8_000 and bare.weights_ is None and bare.n_jobs == 1
    assert np.array_equal(bare.transform(X), model.transform(X))
    assert model.weights_.shape == (120, 3) and model.callback is not None


def test_two_workers_give_the_bits_of_one_process(client, X, fitted):
    lazy = da.from_array(X, chunks=(50, 20))
    with dask.config.set(scheduler="sync"):
        atoms, weights, score = minibatch().fit(lazy).atoms_, fitted.transform(lazy).compute(), fitted.score(lazy)
    assert np.array_equal(minibatch().fit(lazy).atoms_, atoms)
    assert np.array_equal(fitted.transform(lazy).compute(), weights)
    assert fitted.score(lazy) == score == pytest.approx(fitted.score(X), rel=1e-6)


@pytest.mark.parametrize("solver", ["lbfgs", "adam", "minibatch"])
def test_every_solver_gives_the_bits_of_one_process_where_its_chunks_go_to_two_workers(solver, client, X):
    settings = SETTINGS | {"solver": solver, "max_iter": 3, "chunk_size": 16, "batch_size": 40}
    alone = wt.WassersteinDictionary(3, **settings).fit(X)
    with joblib.parallel_config(backend="dask"):
        spread = wt.WassersteinDictionary(3, **(settings | {"n_jobs": 2})).fit(X)
    assert np.array_equal(alone.atoms_, spread.atoms_) and alone.loss_curve_ == spread.loss_curve_
    assert np.array_equal(alone.weights_, spread.weights_)


def test_unmixing_on_two_workers_gives_the_bits_of_one_process(client):
    made = wt.datasets.make_bilinear_scene(shape=(12, 9), n_endmembers=3, random_state=0)
    cube = made.cube[:, :, ::8]
    lazy = da.from_array(cube, chunks=(5, 9, cube.shape[2]))
    options = {"max_iter": 2, "n_training": 40, "n_iter": 20, "chunk_size": 16}
    with dask.config.set(scheduler="sync"):
        alone = wt.unmix(lazy, "wahu", 3, n_jobs=1, **options)
    with joblib.parallel_config(backend="dask"):
        spread = wt.unmix(lazy, "wahu", 3, n_jobs=2, **options)
    assert np.array_equal(spread.endmembers, alone.endmembers)
    assert np.array_equal(spread.abundances, alone.abundances)
    assert np.array_equal(spread.reconstruction, alone.reconstruction)


def test_the_wrappers_of_dask_ml_take_the_dictionary_as_it_is(X):
    wrappers = pytest.importorskip("dask_ml.wrappers")
    lazy, parts = da.from_array(X, chunks=(30, 20)), [X[start : start + 30] for start in range(0, 120, 30)]
    ours = minibatch()
    for part in parts:
        ours.partial_fit(part)
    # without a meta they would try a row of zeros, which is no histogram
    fed = wrappers.Incremental(minibatch(), shuffle_blocks=False, transform_meta=np.empty((0, 3))).fit(lazy)
    assert np.array_equal(fed.estimator_.atoms_, ours.atoms_) and fed.estimator_.n_iter_ == 4
    weights = np.concatenate([ours.transform(part) for part in parts])
    assert np.array_equal(fed.transform(lazy).compute(scheduler="sync"), weights)
    spread = wrappers.ParallelPostFit(ours, transform_meta=np.empty((0, 3))).transform(lazy)
    assert is_dask(spread) and np.array_equal(spread.compute(scheduler="sync"), weights)


def killed_while(client, work):
    """The result of ``work()`` while one of the workers is killed."""
    pids = client.run(os.getpid)
    timer = threading.Timer(0.3, os.kill, (next(iter(pids.values())), signal.SIGKILL))
    timer.start()
    try:
        return work()
    finally:
        timer.join()
        client.wait_for_workers(2, timeout=60)


def test_a_killed_worker_changes_nothing_but_the_time(client, X, fitted):
    many = da.from_array(np.tile(X, (20, 1)), chunks=(100, 20))
    whole = fitted.transform(many).compute(scheduler="sync")
    assert np.array_equal(killed_while(client, fitted.transform(many).compute), whole)
    settings = SETTINGS | {"max_iter": 12, "chunk_size": 16}
    alone = wt.WassersteinDictionary(3, **settings).fit(X)
    with joblib.parallel_config(backend="dask"):
        spread = killed_while(client, lambda: wt.WassersteinDictionary(3, **(settings | {"n_jobs": 2})).fit(X))
    assert np.array_equal(alone.atoms_, spread.atoms_) and not spread.interrupted_


@pytest.mark.parametrize("kind", ["zarr", "dask", "h5py"])
@pytest.mark.parametrize("method", ["wahu", "fcls"])
def test_a_cube_that_lies_elsewhere_is_unmixed_as_one_in_memory(kind, method, tmp_path):
    made = wt.datasets.make_bilinear_scene(shape=(12, 9), n_endmembers=3, random_state=0)
    cube = made.cube[:, :, ::8]
    if kind == "zarr":
        lazy = pytest.importorskip("zarr").create_array(tmp_path / "x.zarr", data=cube, chunks=(5, *cube.shape[1:]))
    elif kind == "dask":
        lazy = da.from_array(cube, chunks=(5, 9, cube.shape[2]))
    else:
        lazy = pytest.importorskip("h5py").File(tmp_path / "x.h5", "w").create_dataset("cube", data=cube)
    mask = np.ones((12, 9), dtype=bool)
    mask[4, 2:5] = False
    options = {"max_iter": 3, "n_training": 40, "recommended": False} if method == "wahu" else {}
    here, there = (wt.unmix(x, method, 3, mask=mask, **options) for x in (cube, lazy))
    assert_close(there.endmembers, here.endmembers, atol=1e-9)
    assert_close(there.abundances[mask], here.abundances[mask], atol=1e-5)
    assert np.isnan(there.abundances[4, 3]).all()
    assert_close(there.reconstruction[mask], here.reconstruction[mask], atol=1e-5)
    assert there.settings["data_sha256"] == here.settings["data_sha256"]


def test_unmixing_takes_no_copy_of_the_cube_for_the_weights_of_all_pixels(monkeypatch):
    monkeypatch.setattr("wdl_tutorial.blocks.SLAB", 1 << 22)
    monkeypatch.setattr("wdl_tutorial.unmixing.BLOCK", 1 << 20)
    cube = np.random.default_rng(0).random((1600, 100, 32)) + 0.1
    tracemalloc.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wt.ConvergenceWarning)
        wt.unmix(cube, "wahu", 2, n_training=50, max_iter=1, n_iter=1, loss="quadratic", locality=0.0, init="data")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < cube.nbytes  # it was eight times that
