"""Manners that every door of the package shares: who is warned, what is interrupted, what seeds mean, what is promised."""

from __future__ import annotations

import contextlib
import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial import initialise

PACKAGE = Path(wt.__file__).parent
X = np.arange(12.0)
BUMPS = wt.normalize(np.exp(-0.5 * ((X - np.array([[2.0], [4.0], [6.0], [8.0], [10.0]])) / 1.5) ** 2) + 1e-4)
COST = wt.GridCost(12, spacing=1 / 12)
FAINT = np.array([[0.5, 0.5, 0.5], [0.4, 0.6, 0.2]])


def model(**changes):
    return wt.WassersteinDictionary(2, cost=COST, eps=0.01, n_iter=5, max_iter=2, random_state=0, **changes)


def narrow():
    """float32, and atoms so far apart that their potentials leave it two digits, and their gradients none."""
    ends = wt.normalize(np.exp(-0.5 * ((X - np.array([[1.0], [10.0]])) / 0.3) ** 2).astype(np.float32))
    return np.repeat(ends, 3, axis=0), ends, np.full((6, 2), 0.5, np.float32), wt.LineCost(X, power=1)


# ------------------------------------------------------------------------------------------------------ who is warned

DOORS = {
    "sinkhorn": lambda: wt.sinkhorn(BUMPS[0], BUMPS[4], COST, eps=0.01, max_iter=3),
    "sinkhorn_divergence": lambda: wt.sinkhorn_divergence(BUMPS[0], BUMPS[4], COST, eps=0.01, max_iter=3),
    "barycenter": lambda: wt.barycenter(BUMPS[:2], [0.5, 0.5], COST, eps=0.01, max_iter=3),
    "wdl_objective": lambda: wt.wdl_objective(*narrow(), eps=2e-5, loss="wasserstein", n_iter=3, domain="log", n_jobs=1),
    "wdl_objective in threads": lambda: wt.wdl_objective(
        *narrow(), eps=2e-5, loss="wasserstein", n_iter=3, domain="log", n_jobs=2, chunk_size=2
    ),
    "fit": lambda: model(tol=1e-12).fit(BUMPS),
    "fit_transform": lambda: model(tol=1e-12).fit_transform(BUMPS),
    "transform": lambda: model(tol=None).fit(BUMPS).transform(BUMPS, tol=0.0, max_iter=3),
    "score": lambda: model(tol=None).fit(BUMPS).score(BUMPS, tol=0.0, max_iter=3),
    "nmf": lambda: wt.linear.nmf(np.random.default_rng(0).random((30, 6)), 3, max_iter=2, random_state=0),
    "nnls": lambda: wt.linear.nnls(np.zeros((2, 3)), FAINT, normalize=True),
    "LAND": lambda: wt.LAND(n_neighbors=4, n_density_neighbors=3).fit(np.r_[np.eye(8), 100 + np.eye(8)] @ np.eye(8)[:, :3]),
    "unmix": lambda: wt.unmix(np.random.default_rng(0).random((4, 5, 6)), "nmf", 3, max_iter=2),
    "compare": lambda: wt.compare(np.random.default_rng(0).random((4, 5, 6)), {"nmf": {"max_iter": 2}}, 3),
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_a_warning_names_the_line_of_the_caller_and_is_made_once_for_it(door):
    call = DOORS[door]
    lines, first = inspect.getsourcelines(call)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(FloatingPointError):
            call()
    assert caught, "this call was to warn"
    assert {w.filename for w in caught} == {__file__}
    assert all(first <= w.lineno < first + len(lines) for w in caught)


def test_there_is_one_way_to_warn():
    found = {
        path.name for path in PACKAGE.rglob("*.py") if re.search(r"warnings\.warn|stacklevel", path.read_text("utf-8"))
    }
    assert found == {"iterate.py"}


# ------------------------------------------------------------------------------------------------------------ Ctrl-C

SCENE = wt.datasets.make_bilinear_scene(shape=(6, 6), n_endmembers=3, random_state=0)
QUICK = {"n_training": 20, "n_iter": 5, "max_iter": 4, "recommended": False}


def pressed(*args, **options):
    raise KeyboardInterrupt


def press_at(step):
    def callback(t, *now):
        if t == step:
            raise KeyboardInterrupt

    return callback


def test_ctrl_c_in_kmeans_is_no_result_of_unmix(monkeypatch):
    monkeypatch.setattr(initialise, "distances", pressed)
    with pytest.raises(KeyboardInterrupt):
        wt.unmix(SCENE, "wahu", 3, **QUICK)
    with pytest.raises(KeyboardInterrupt):
        wt.compare(SCENE, {"wahu": QUICK, "nnls": {}}, 3)


def test_ctrl_c_later_marks_the_result_of_unmix():
    with pytest.warns(wt.ConvergenceWarning, match="fit was interrupted after 3 evaluated steps"):
        found = wt.unmix(SCENE, "wahu", 3, callback=press_at(2), **QUICK)
    assert found.interrupted and "(interrupted)" in repr(found)
    assert not wt.unmix(SCENE, "nnls", 3).interrupted


def test_ctrl_c_stops_compare_marks_the_unfinished_row_and_says_what_was_not_run():
    plan = {"nnls": {}, "wahu": QUICK | {"callback": press_at(2)}, "fcls": {}}
    with pytest.warns(wt.ConvergenceWarning, match=r"compare was interrupted: wahu \(seed 0\) is of an unfinished fit"):
        table = wt.compare(SCENE, plan, 3, random_state=(0, 1))
    assert [(row["method"], row["seed"]) for row in table.rows] == [("nnls", 0), ("wahu", 0)]
    assert "not run: fcls (seed 0), nnls (seed 1), wahu (seed 1), fcls (seed 1)" in table.interrupted
    assert str(table).splitlines()[-1] == f"interrupted: {table.interrupted}"
    assert wt.compare(SCENE, "nnls", 3).interrupted == ""


def test_ctrl_c_before_a_method_evaluates_anything_leaves_the_finished_ones(monkeypatch):
    monkeypatch.setattr(initialise, "distances", pressed)
    with pytest.warns(wt.ConvergenceWarning, match=r"compare was interrupted: not run: wahu \(seed 0\), fcls"):
        table = wt.compare(SCENE, {"nnls": {}, "wahu": QUICK, "fcls": {}}, 3)
    assert [row["method"] for row in table.rows] == ["nnls"]


def test_a_doubt_that_is_interrupted_counts_finished_runs_only():
    plan = {"nnls": {}, "fcls": {}, "wahu": QUICK | {"callback": press_at(2)}}
    with pytest.warns(wt.ConvergenceWarning, match="doubt was interrupted: it is of the first 2 of 3 runs"):
        found = wt.doubt(SCENE, plan, 3, random_state=0)
    assert [run.method for run in found.runs] == ["nnls", "fcls"]
    with pytest.raises(KeyboardInterrupt), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wt.doubt(SCENE, {"nnls": {}, "wahu": QUICK | {"callback": press_at(2)}}, 3, random_state=0)


# ------------------------------------------------------------------------------------------------- arrays of others


def test_a_lazy_array_is_refused_at_once_at_every_door():
    dask = pytest.importorskip("dask.array")
    lazy, W = dask.from_array(BUMPS), np.full((5, 2), 0.5)
    doors = [
        lambda: wt.sinkhorn(lazy[0], BUMPS[1], COST, eps=0.01),
        lambda: wt.sinkhorn(BUMPS[0], lazy[1], COST, eps=0.01),
        lambda: wt.barycenter(lazy[:2], [0.5, 0.5], COST, eps=0.01),
        lambda: wt.barycenter_vjp(lazy[:2], W, COST, BUMPS, eps=0.01, n_iter=3),
        lambda: wt.wdl_objective(lazy, BUMPS[:2], W, COST, eps=0.01, loss="kl", n_iter=3),
        lambda: wt.normalize(lazy),
        lambda: wt.cost_matrix(lazy),
        lambda: wt.linear.fcls(lazy, BUMPS[:2]),
        lambda: wt.linear.vca(lazy, 2),
        lambda: wt.metrics.rmse(lazy, BUMPS),
        lambda: wt.LAND(n_neighbors=2, n_density_neighbors=2).fit(lazy),
    ]
    for door in doors:
        with pytest.raises(TypeError, match=r"lazy Dask array of shape .*Give x\.compute\(\)"):
            door()


def test_arrays_that_never_change_fit_to_the_same_digits():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    J = jax.numpy.asarray(BUMPS)
    there, here = (model(tol=None, loss="wasserstein", locality=0.1).fit(x) for x in (J, BUMPS))
    assert type(there.atoms_) is type(J)
    np.testing.assert_allclose(np.asarray(there.atoms_), here.atoms_, atol=1e-12)
    jax.config.update("jax_enable_x64", False)
    with pytest.raises(TypeError, match="needs float64, which JAX has switched off"):
        wt.linear.fcls(jax.numpy.asarray(BUMPS), jax.numpy.asarray(BUMPS[:2]))
    jax.config.update("jax_enable_x64", True)
