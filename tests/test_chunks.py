"""A sum over chunks: nothing lost, nothing out of order, no worker's error swallowed."""

from __future__ import annotations

import math
import os
import pickle
import signal
import time

import joblib
import numpy as np
import pytest
import threadpoolctl
from conftest import gaussian

import wdl_tutorial as wt
from wdl_tutorial.chunks import (
    PANEL_ELEMENTS,
    SETTLING_ELEMENTS,
    TAPE_ELEMENTS,
    chunk_length,
    slices,
    worker_count,
    workers,
)
from wdl_tutorial.iterate import Accuracy
from wdl_tutorial.objective import Terms, evaluate_chunks, problem_for
from wdl_tutorial.scaling import Variant


@pytest.mark.parametrize("n, length", [(1, 1), (10, 3), (10, 10), (10, 100), (97, 16), (1000, 7)])
def test_slices_cover_everything_once_in_order_as_equal_as_can_be(n, length):
    parts = slices(n, length)
    assert [i for part in parts for i in range(n)[part]] == list(range(n))
    sizes = [part.stop - part.start for part in parts]
    assert math.ceil(n / length) <= len(parts) < math.ceil(n / length) + 4  # workers end together
    assert max(sizes) <= length and max(sizes) - min(sizes) <= 1 and min(sizes) >= 1


def test_a_chunk_is_as_long_as_asked_for():
    x = np.zeros((100, 20))
    assert chunk_length(x, 4, 50, 13) == 13
    assert chunk_length(x, 4, 50, np.int64(13)) == 13


@pytest.mark.parametrize("n_atoms, n_bins, n_iter", [(2, 50, 10), (4, 201, 50), (4, 65_280, 25), (3, 64, None)])
def test_a_chunk_fits_the_cache_and_bounds_the_recorded_iterations(n_atoms, n_bins, n_iter):
    length = chunk_length(np.empty((1, n_bins)), n_atoms, n_iter)
    assert length >= 1
    if length > 1:
        assert length * n_atoms * n_bins <= (SETTLING_ELEMENTS if n_iter is None else PANEL_ELEMENTS)
        assert length * n_atoms * n_bins * 2 * (n_iter or 1) <= TAPE_ELEMENTS


def test_a_large_dense_kernel_is_read_for_many_columns_at_once():
    x = np.empty((1, 3000))
    assert chunk_length(x, 5, 25, dense=True) == 24 > chunk_length(x, 5, 25) == 8
    assert chunk_length(x, 5, 25, dense=True) * 5 * 3000 * 2 * 25 <= 2 * 3000**2  # the record, beside the kernel
    small = np.empty((1, 201))
    assert chunk_length(small, 4, 50, dense=True) == chunk_length(small, 4, 50)


def test_the_length_of_a_chunk_does_not_depend_on_the_number_of_samples():
    lengths = {chunk_length(np.empty((n, 64)), 4, 10) for n in (1, 1000, 100_000)}
    assert len(lengths) == 1


def test_there_are_never_more_workers_than_chunks_or_cores():
    x = np.zeros(1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert worker_count(None, x, 100) == cores == worker_count(-1, x, 100)
    assert worker_count(None, x, 1) == 1
    assert worker_count(3, x, 100) == 3
    assert worker_count(-cores, x, 100) == 1


def test_a_backend_that_uses_the_cores_itself_gets_one_worker():
    torch = pytest.importorskip("torch")
    assert worker_count(None, torch.zeros(1), 100) == 1
    assert worker_count(2, torch.zeros(1), 100) == 2


@pytest.mark.parametrize("n_jobs", [0, -10_000, 1.5])
def test_a_number_of_workers_that_means_nothing_is_refused(n_jobs):
    with pytest.raises(ValueError, match=f"n_jobs must be a positive number, or -1 .* got {n_jobs}"):
        worker_count(n_jobs, np.zeros(1), 5)


@pytest.mark.parametrize("n_jobs", [1, 2, 4])
def test_results_come_in_the_order_of_the_chunks_whoever_ends_first(n_jobs):
    def late_for_the_first(part):
        time.sleep(0.02 if part.start == 0 else 0.0)
        return part.start

    with workers(n_jobs) as mapper:
        assert list(mapper(late_for_the_first, slices(8, 1))) == list(range(8))


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_an_error_in_a_worker_reaches_the_caller(n_jobs):
    def fails(part):
        if part.start == 5:
            raise FloatingPointError("chunk 5 underflowed")
        return part.start

    with pytest.raises(FloatingPointError, match="chunk 5 underflowed"), workers(n_jobs) as mapper:
        list(mapper(fails, slices(8, 1)))


@pytest.mark.parametrize("length", [0, -3, 2.5, "a", True])
def test_a_chunk_is_a_whole_number_of_samples(length):
    with pytest.raises(ValueError, match=f"chunk_size must be an integer of at least 1, or None; got {length!r}"):
        chunk_length(np.ones((4, 3)), 2, 5, length)


def test_workers_can_be_used_again_and_again():
    with workers(2) as mapper:
        totals = [sum(mapper(lambda part: part.stop - part.start, slices(100, 7))) for _ in range(5)]
    assert totals == [100] * 5


def test_blas_gets_its_threads_back():
    before = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
    with workers(2) as mapper:
        inside = list(mapper(lambda part: [p["num_threads"] for p in threadpoolctl.threadpool_info()], slices(2, 1)))
    assert before == [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
    blas = [pool["user_api"] == "blas" for pool in threadpoolctl.threadpool_info()]
    assert all(n == 1 for seen in inside for n, is_blas in zip(seen, blas) if is_blas)


@pytest.mark.parametrize("n_iter", [5, None])
@pytest.mark.parametrize("backend", ["threading", "sequential", "loky", "multiprocessing"])
def test_joblib_decides_where_the_chunks_run(backend, n_iter, rng):
    atoms = np.stack([gaussian(20, 5, 2), gaussian(20, 14, 3)])
    weights = rng.dirichlet(np.ones(2), size=9)
    X = wt.barycenter(atoms, weights[::-1], wt.GridCost(20), eps=3.0, n_iter=5).histogram
    options = {"eps": 3.0, "loss": "wasserstein", "locality": 0.1, "n_iter": n_iter, "chunk_size": 2}
    here = wt.wdl_objective(X, atoms, weights, wt.GridCost(20), n_jobs=1, **options)
    with joblib.parallel_config(backend=backend):
        there = wt.wdl_objective(X, atoms, weights, wt.GridCost(20), n_jobs=2, **options)
    assert here.value == there.value
    assert np.array_equal(here.grad_atoms, there.grad_atoms)
    assert np.array_equal(here.grad_weights, there.grad_weights)


@pytest.mark.parametrize("options", [{}, {"n_iter": None, "max_iter": 3}, {"warm_restart": 2, "n_iter": 3}])
def test_a_fit_in_other_processes_has_the_bits_of_one_here(options, line_problem):
    X, cost = line_problem
    settings = {"cost": cost, "eps": 3.0, "max_iter": 4, "tol": None, "random_state": 0, "chunk_size": 3} | options
    here = wt.WassersteinDictionary(2, n_jobs=1, **settings).fit(X)
    with joblib.parallel_config(backend="loky"):
        there = wt.WassersteinDictionary(2, n_jobs=2, **settings).fit(X)
        assert np.array_equal(here.transform(X), there.transform(X))
    assert np.array_equal(here.atoms_, there.atoms_) and np.array_equal(here.weights_, there.weights_)
    assert here.loss_curve_ == there.loss_curve_


@pytest.fixture
def line_problem(rng):
    cost = wt.LineCost(np.arange(20.0))
    atoms = np.stack([gaussian(20, 5, 2), gaussian(20, 14, 3)])
    return wt.barycenter(atoms, rng.dirichlet(np.ones(2), size=12), cost, eps=3.0, n_iter=5).histogram, cost


@pytest.mark.parametrize("n", [1_000, 4_000])
def test_a_task_takes_its_own_rows_along_and_no_others(n):
    """Of an evaluation on 64 bins all tasks together weigh a little more than the data: 512 bytes a row, and 8 * 5."""
    X, atoms, cost = np.full((n, 64), 1 / 64), np.full((4, 64), 1 / 64), wt.LineCost(np.arange(64.0))
    terms = Terms(1.0, "quadratic", 0.0, Accuracy(50), Variant())
    sent = []

    def counted(function, things):
        for thing in things:
            sent.append(len(pickle.dumps((function, thing), protocol=5)))
            yield function(thing)

    with problem_for(X, np.full(n, 1 / n), cost, terms, 4, None, 1) as problem:
        evaluate_chunks(problem._replace(mapper=counted), atoms, np.full((n, 4), 0.25))
    assert len(sent) > 1 and 552 * n < sum(sent) < 1.2 * 552 * n + 30_000 * len(sent)


def test_warnings_of_other_processes_reach_the_caller_once_and_at_his_line(line_problem):
    X, cost = line_problem
    model = wt.WassersteinDictionary(2, cost=cost, eps=3.0, n_iter=None, sinkhorn_max_iter=2, max_iter=1, chunk_size=2)
    with joblib.parallel_config(backend="loky"), pytest.warns(wt.ConvergenceWarning) as caught:
        model.set_params(tol=None, n_jobs=2).fit(X)
    told = [str(w.message) for w in caught if "inner runs of fit stopped short" in str(w.message)]
    assert len(told) == 1 and {w.filename for w in caught} == {__file__}


def test_fits_that_overlap_leave_blas_as_it_was():
    def threads():
        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]

    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        first, second = workers(2), workers(2)
        first.__enter__(), second.__enter__()
        first.__exit__(None, None, None)
        assert set(threads()) == {1}
        second.__exit__(None, None, None)
        assert set(threads()) == {2}


def test_a_driver_with_one_core_uses_the_cluster_it_was_given(monkeypatch):
    class Cluster(joblib._parallel_backends.ThreadingBackend):
        def effective_n_jobs(self, n_jobs):
            return 6

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    joblib.register_parallel_backend("made cluster", Cluster)
    x = np.zeros(1)
    with joblib.parallel_config(backend="made cluster"):
        assert worker_count(None, x, 100) == worker_count(-1, x, 100) == 6
    assert worker_count(-1, x, 1) == 1


def test_a_killed_worker_ends_a_fit_in_the_best_so_far(line_problem):
    X, cost = line_problem

    def kill(iteration, value, atoms, weights):
        if iteration == 2:
            for pid in list(joblib.externals.loky.reusable_executor._executor._processes):
                os.kill(pid, signal.SIGKILL)

    model = wt.WassersteinDictionary(2, cost=cost, eps=3.0, max_iter=50, chunk_size=2, n_jobs=2, callback=kill)
    with (
        joblib.parallel_config(backend="loky"),
        pytest.warns(
            wt.ConvergenceWarning, match="the best so far is kept .* a worker process was killed, by a signal"
        ),
    ):
        model.fit(X)
    assert model.interrupted_ and len(model.loss_curve_) >= 3 and model.loss_ == min(model.loss_curve_)
    assert abs(model.atoms_.sum(axis=1) - 1).max() < 1e-9
