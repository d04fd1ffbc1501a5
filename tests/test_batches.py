"""Atoms from minibatches: what a fit of everything would find, from a state of a few kilobytes."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from conftest import assert_close, gaussian

import wdl_tutorial as wt
from wdl_tutorial.batches import still_falls
from wdl_tutorial.blocks import some_rows, take
from wdl_tutorial.statefiles import read_state, write_state

COST = wt.GridCost(24)
ATOMS = np.stack([gaussian(24, 5, 2), gaussian(24, 17, 3)])
SETTINGS = {"cost": COST, "eps": 4.0, "loss": "kl_reverse", "n_iter": 8, "solver": "minibatch", "random_state": 0}


def samples(n, seed=0):
    weights = np.random.default_rng(seed).dirichlet([0.7, 0.7], n)
    return wt.normalize(wt.barycenter(ATOMS, weights, COST, eps=4.0, n_iter=8).histogram)


def model(**changes):
    return wt.WassersteinDictionary(2, **(SETTINGS | {"max_iter": 40, "batch_size": 16, "tol": None} | changes))


@pytest.fixture(scope="module")
def X():
    return samples(200)


@pytest.mark.parametrize(("n", "then"), [(1100, 10**9), (300, 10**9), (300, 1024)])
@pytest.mark.parametrize("told", [True, False])  # the scale is in the checkpoint; version 0.1 wrote none
def test_a_checkpoint_of_weights_of_another_scale_is_taken_up(told, n, then, monkeypatch, tmp_path):
    held, path = samples(n), tmp_path / "state.npz"
    options = {"solver": "lbfgs", "init_atoms": ATOMS[::-1], "checkpoint": path, "checkpoint_every": 1}
    with monkeypatch.context() as old:  # version 0.1 scaled no weights by their number, others only above 1024
        old.setattr("wdl_tutorial.dictionary.MANY", then)
        first = model(max_iter=3, **options).fit(held)
    if not told:
        arrays, about = read_state(path, "checkpoint")
        del about["zeta"]
        write_state(path, {"text": np.asarray(json.dumps(about))} | arrays)
    again = model(max_iter=3, **options).fit(held)
    assert_close(again.weights_, first.weights_, atol=1e-12)
    assert_close(again.atoms_, first.atoms_, atol=1e-12)
    more = model(max_iter=6, **options).fit(held)
    assert more.loss_curve_[:4] == first.loss_curve_ and more.loss_ < first.loss_
    terms = {key: SETTINGS[key] for key in ("eps", "loss", "n_iter")}
    found = wt.wdl_objective(held, more.atoms_, more.weights_, COST, **terms)
    assert found.value == pytest.approx(more.loss_, rel=1e-12)


def test_weights_are_scaled_by_their_number_above_256(X):
    zeta = lambda n, **changes: model(**({"solver": "lbfgs"} | changes))._zeta(np.empty((n, 2)))  # noqa: E731
    assert [zeta(n) for n in (10, 256)] == [1.0, 1.0]
    assert [zeta(n) for n in (400, 1024, 6400)] == [2.5, 4.0, 10.0]
    assert zeta(400, weight_scale=2.0) == 5.0
    assert zeta(400, solver="adam", weight_scale=2.0) == 2.0


@pytest.mark.parametrize("seed", [0, 2])  # of one draw of first atoms these end at 35 and at 16 times the loss
def test_minibatches_find_the_atoms_that_made_the_data(seed, X):
    found = model(max_iter=80, random_state=seed).fit(X)
    order = np.argsort(found.atoms_ @ np.arange(24.0))
    assert_close(found.atoms_[order] @ np.arange(24.0), ATOMS @ np.arange(24.0), atol=0.6)
    assert -found.score(samples(50, seed=9)) < 0.0006
    assert found.weights_.shape == (200, 2) and np.array_equal(found.weights_, found.transform(X))
    assert found.loss_ == pytest.approx(-found.score(X), rel=1e-12)
    assert len(found.loss_curve_) == found.n_iter_ == 80


def test_every_backend_learns_the_same_atoms(xp, X):
    found = model(max_iter=3).fit(xp.array(X[:40]))
    assert_close(found.atoms_, model(max_iter=3).fit(X[:40]).atoms_, atol=1e-9)
    assert_close(found.weights_, model(max_iter=3).fit(X[:40]).weights_, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "quadratic"},
        {"loss": "kl"},
        {"loss": "tv"},
        {"loss": "wasserstein", "locality": 0.05, "n_iter": 40},
        {"loss": "sinkhorn_divergence"},
        {"n_iter": None, "sinkhorn_tol": 1e-6},
        {"marginal_weight": 5.0},
        {"marginal_weight": 5.0, "free_mass": True, "init": "masses"},
        {"momentum": -0.1},
    ],
)
def test_every_objective_falls_on_minibatches(options, X):
    options = {"init": "random", "learning_rate": 0.3} | options
    found = model(max_iter=15, **options).fit(X[:40])
    start = model(max_iter=1, **(options | {"learning_rate": 1e-12})).fit(X[:40])
    assert found.loss_ < start.loss_ - 0.2 * abs(start.loss_ - found.loss_) and np.isfinite(found.atoms_).all()


def test_the_order_within_a_batch_does_not_matter(X):
    one, other = model(), model()
    for part in (slice(0, 16), slice(16, 48)):
        one.partial_fit(X[part], sample_weight=np.arange(1.0, 1 + len(X[part])))
        other.partial_fit(X[part][::-1], sample_weight=np.arange(1.0, 1 + len(X[part]))[::-1])
    assert np.array_equal(one.atoms_, other.atoms_) and np.array_equal(one.weights_, other.weights_[::-1])


def test_a_fit_is_partial_fits_on_its_draws(X):
    whole = model(max_iter=4).fit(X)
    start = model(max_iter=1, learning_rate=1e-300).fit(X).atoms_
    parts = model(max_iter=4, init_atoms=start)
    for t in range(4):
        rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(1, t)))
        parts.partial_fit(X[some_rows(X, 16, rng)])
    assert_close(parts.atoms_, whole.atoms_, atol=1e-10)
    assert parts.loss_curve_ == pytest.approx(whole.loss_curve_, rel=1e-8)


def test_a_material_that_the_first_batch_lacks_is_among_the_first_atoms():
    rare = wt.normalize(np.concatenate([samples(300), gaussian(24, 23, 1)[None].repeat(6, axis=0)]) + 1e-9)
    first = model(init="extremes", max_iter=1, learning_rate=1e-300).fit(rare).atoms_
    assert np.abs(first - rare[-1]).sum(axis=1).min() < 1e-6


def test_l_bfgs_takes_as_many_steps_for_many_samples_as_for_few():
    """The rule is exact: samples said four times over leave the curvature that L-BFGS sees as it was."""

    def curve(times, n=500):
        held = np.tile(samples(n), (times, 1))
        start = np.tile(np.random.default_rng(0).dirichlet([1.0, 1.0], n), (times, 1))
        options = {"solver": "lbfgs", "init_atoms": ATOMS[::-1], "init_weights": start, "max_iter": 8}
        return model(**options).fit(held).loss_curve_

    three, twelve = curve(3), curve(12)
    assert twelve == pytest.approx(three, rel=1e-6)


def test_a_step_goes_down_the_gradient_of_the_smallest_loss_of_its_batch(X):
    """By central differences of the loss with its weights solved again: the envelope theorem."""
    batch = X[:12]
    start = wt.normalize(ATOMS + 0.02 * np.random.default_rng(1).random((2, 24)))
    fit = model(init_atoms=start, batch_tol=1e-12, batch_max_iter=400).partial_fit(batch)
    gradient, logits = fit._batches.grads[0], np.log(start)

    def smallest(logits):
        free = model()
        free.atoms_ = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        free.mass_ = 1.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return -free.score(batch, tol=1e-14, max_iter=400)

    for place in [(0, 3), (0, 8), (1, 15), (1, 20)]:
        step = np.zeros((2, 24))
        step[place] = 1e-4
        assert gradient[place] == pytest.approx((smallest(logits + step) - smallest(logits - step)) / 2e-4, rel=2e-3)


def test_a_fit_that_stopped_goes_on_to_the_same_bits(X, tmp_path):
    whole = model(max_iter=12).fit(X)
    path = tmp_path / "state.npz"

    def stop(iteration, *_):
        if iteration == 7:
            raise KeyboardInterrupt

    with pytest.warns(wt.ConvergenceWarning, match="interrupted after 7 evaluated batches"):
        half = model(max_iter=12, checkpoint=path, checkpoint_every=3, callback=stop).fit(X)
    assert half.interrupted_ and half.weights_ is None
    assert path.stat().st_size < 20_000
    again = model(max_iter=12, checkpoint=path, checkpoint_every=3).fit(X)
    assert np.array_equal(again.atoms_, whole.atoms_) and again.loss_curve_ == whole.loss_curve_
    with pytest.raises(ValueError, match="belongs to other data or settings"):
        model(max_iter=12, checkpoint=path).fit(X[1:])


def test_a_saved_model_takes_the_next_batch_as_the_one_in_memory_does(X, tmp_path):
    held = model().partial_fit(X[:16]).partial_fit(X[16:32])
    held.save(tmp_path / "model.npz")
    loaded = wt.WassersteinDictionary.load(tmp_path / "model.npz")
    assert np.array_equal(held.partial_fit(X[32:48]).atoms_, loaded.partial_fit(X[32:48]).atoms_)
    assert held.loss_curve_ == loaded.loss_curve_


def test_a_first_batch_smaller_than_the_atoms_is_refused_and_leaves_nothing(X):
    small = model()
    with pytest.raises(
        ValueError, match=r"the first batch has 1 samples, n_atoms=2.* Give more at first, or init_atoms"
    ):
        small.partial_fit(X[:1])
    assert not hasattr(small, "atoms_")
    assert small.partial_fit(X[:5]).partial_fit(X[5:6]).n_iter_ == 2  # later ones may be as small as they like
    assert model(init_atoms=ATOMS).partial_fit(X[:1]).weights_.shape == (1, 2)


def test_partial_fit_goes_on_from_atoms_that_another_solver_found(X):
    found = model(solver="lbfgs", max_iter=5).fit(X[:40])
    before = np.array(found.atoms_)
    found.set_params(learning_rate=1e-9).partial_fit(X[:40])
    assert_close(found.atoms_, before, atol=1e-7)
    assert found.n_iter_ == 1
    with pytest.raises(ValueError, match="atoms_ has shape"):
        found.set_params(n_atoms=3).partial_fit(X[:40])


def test_samples_without_weight_are_never_drawn(X):
    odd = np.concatenate([X[:50], np.eye(24)[:10]])
    weight = np.r_[np.ones(50), np.zeros(10)]
    found = model(max_iter=20).fit(odd, sample_weight=weight)
    assert found.loss_ < 0.05
    chance = weight / weight.sum()
    drawn = np.concatenate([some_rows(odd, 40, np.random.default_rng(seed), chance) for seed in range(20)])
    assert drawn.max() < 50 and len(np.unique(drawn)) == 50


@pytest.mark.parametrize("kind", ["memmap", "h5py", "zarr"])
def test_rows_on_disk_give_the_bits_of_rows_in_memory(kind, X, tmp_path):
    if kind == "memmap":
        np.save(tmp_path / "x.npy", X)
        lazy = np.load(tmp_path / "x.npy", mmap_mode="r")
    elif kind == "h5py":
        lazy = pytest.importorskip("h5py").File(tmp_path / "x.h5", "w").create_dataset("x", data=X)
    else:
        lazy = pytest.importorskip("zarr").create_array(tmp_path / "x.zarr", data=X, chunks=(50, 24))
    found = model(max_iter=4).fit(lazy)
    assert np.array_equal(found.atoms_, model(max_iter=4).fit(X).atoms_)
    assert found.weights_ is None and np.isfinite(found.loss_)
    found.save(tmp_path / "model.npz")
    assert wt.WassersteinDictionary.load(tmp_path / "model.npz").weights_ is None


def test_rows_of_a_chunked_array_come_from_a_few_of_its_blocks():
    class Chunked:
        shape, dtype, ndim, chunks, read = (1000, 3), np.dtype(float), 2, (20, 3), 0

        def __getitem__(self, block):
            self.read += 1
            return np.repeat(np.arange(1000.0)[block, None], 3, axis=1)

    x = Chunked()
    rows = some_rows(x, 60, np.random.default_rng(0))
    assert len(rows) == 60 and (np.diff(rows) > 0).all() and len(np.unique(rows // 20)) == 8
    assert np.array_equal(take(x, rows)[:, 0], rows) and x.read == 8
    counts = np.bincount(
        np.concatenate([some_rows(x, 60, np.random.default_rng(s)) for s in range(400)]), minlength=1000
    )
    assert counts.mean() == 24 and counts.std() < 3 * 24**0.5  # every row as often as any other


def test_a_loss_that_only_trembles_no_longer_falls():
    rng = np.random.default_rng(0)
    flat, falling = list(1 + 0.1 * rng.standard_normal(100)), list(np.linspace(2, 1, 100))
    assert not still_falls(flat, 1e-6, at_the_end=True) and still_falls(flat, 1e-6, at_the_end=False)
    assert still_falls(falling, 1e-6, at_the_end=True) and not still_falls(falling, 0.6, at_the_end=False)


def test_inner_runs_that_stop_short_are_told_here_too(X):
    # was silent, and with other numbers LinAlgError: gradients that are off teach curvatures of noise
    cost = wt.LineCost(np.linspace(0, 1, X.shape[1]), power=2)
    options = {
        "n_iter": None,
        "sinkhorn_max_iter": 5,
        "solver": "minibatch",
        "batch_size": 10,
        "max_iter": 3,
        "tol": None,
    }
    model = wt.WassersteinDictionary(3, cost=cost, eps=2e-3, random_state=0, **options)
    with pytest.warns(wt.ConvergenceWarning, match=r"inner runs of fit stopped short.*sinkhorn_max_iter"):
        model.fit(X)
    with pytest.warns(wt.ConvergenceWarning, match=r"inner runs of partial_fit stopped short"):
        model.partial_fit(X[:10])


def test_a_fit_whose_loss_still_falls_says_so(X):
    with pytest.warns(wt.ConvergenceWarning, match="after 3 batches with loss .* still fell from batch to batch"):
        model(max_iter=3, tol=1e-6).fit(X)
    assert model(max_iter=200, tol=0.5).fit(X).n_iter_ < 200


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_restarts": 2}, "starts once; got n_restarts=2"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1"),
        ({"batch_size": 1}, "batch_size=1 is less than n_atoms=2"),
        ({"batch_tol": -1}, "batch_tol must be non-negative; got -1"),
        ({"batch_max_iter": 1.5}, "batch_max_iter must be an integer"),
        ({"warm_restart": 2}, "warm_restart restarts L-BFGS"),
    ],
)
def test_settings_that_minibatches_cannot_keep_are_refused(options, message, X):
    with pytest.raises(ValueError, match=message):
        model(**options).fit(X)
