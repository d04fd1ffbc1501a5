"""The settings of WaHU, balanced and unbalanced, are settings of the one estimator."""

from __future__ import annotations

import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial.dictionary import _Fit
from wdl_tutorial.initialise import Ruler, first_masses
from wdl_tutorial.objective import problem_for
from wdl_tutorial.presets import UNBALANCED, unbalanced_wahu, wahu

X_AXIS = np.arange(30.0)


@pytest.fixture(scope="module")
def light():
    """Mixtures of two bumps, in sun and in shade: (12, 30), masses from .4 to 2."""
    rng = np.random.default_rng(3)
    two = wt.normalize(np.exp(-0.5 * ((X_AXIS - np.array([[9.0], [20.0]])) / 3) ** 2))
    return rng.uniform(0.4, 2.0, size=(12, 1)) * (rng.dirichlet([1, 1], size=12) @ two)


def model(**changes):
    return wahu(X_AXIS, balanced=False, **({"n_atoms": 3, "max_iter": 6, "n_iter": 20} | changes))


def test_unbalanced_wahu_is_the_one_estimator_and_its_atoms_have_masses(light):
    held = model().fit(light)
    assert isinstance(held, wt.WassersteinDictionary)
    assert held.get_params()["free_mass"] is True and held.get_params()["loss"] == UNBALANCED["loss"]
    assert np.ptp(held.atoms_.sum(axis=1)) > 0.3
    found = unbalanced_wahu(light, X_AXIS, 3, max_iter=6)
    other = model(n_iter=50).fit(light)
    np.testing.assert_array_equal(found.atoms, other.atoms_)
    np.testing.assert_array_equal(found.reconstruction, other.inverse_transform(other.weights_))


def test_weights_of_other_pixels_say_how_bright_they_are(light):
    held = model(max_iter=25).fit(light)
    weights = held.transform(light[::2])
    rebuilt = held.inverse_transform(weights)
    np.testing.assert_allclose(rebuilt.sum(axis=1), light[::2].sum(axis=1), rtol=0.1)
    twice = model(max_iter=25).fit(2 * light)  # only ratios of masses count, here and in transform
    np.testing.assert_allclose(twice.mass_, 2 * held.mass_)
    np.testing.assert_allclose(twice.transform(2 * light[::2]), weights, atol=1e-5)


def test_a_fit_with_masses_is_interrupted_resumed_saved_and_loaded_as_any_other(light, tmp_path, capsys):
    def stop_at(step):
        def callback(t, value, atoms, weights):
            if t == step:
                raise KeyboardInterrupt

        return callback

    kept = tmp_path / "kept.npz"
    with pytest.warns(wt.ConvergenceWarning, match="fit was interrupted after 4 evaluated steps"):
        short = model(checkpoint=kept, checkpoint_every=1, callback=stop_at(3)).fit(light)
    assert short.interrupted_ and short.loss_ == min(short.loss_curve_)
    steps = []
    gone_on = model(checkpoint=kept, verbose=True, callback=lambda t, *_: steps.append(t)).fit(light)
    assert steps == [4, 5, 6] and "Wasserstein dictionary" in capsys.readouterr().err
    whole = model().fit(light)
    np.testing.assert_array_equal(gone_on.atoms_, whole.atoms_)
    whole.save(tmp_path / "fit.npz")
    loaded = wt.WassersteinDictionary.load(tmp_path / "fit.npz")
    assert loaded.mass_ == whole.mass_ and loaded.free_mass is True
    np.testing.assert_array_equal(loaded.transform(light[:3]), whole.transform(light[:3]))


def test_the_gradient_with_masses_is_that_of_the_objective(light):
    held = model().fit(light)
    x = light / held.mass_
    terms = held._terms(x, held.n_iter)
    with problem_for(x, np.full(len(x), 1 / len(x)), held.cost, terms, 3, None, 1) as problem:
        fit = _Fit(held, problem, [])
        params = held._log(held.atoms_ / held.mass_, held.weights_)
        _, grads = fit.evaluate(params)
        assert wt.check_gradient(lambda z: fit.evaluate((z, params[1]))[0], params[0], grads[0], tol=1e-5).ok
        assert wt.check_gradient(lambda z: fit.evaluate((params[0], z))[0], params[1], grads[1], tol=1e-5).ok


@pytest.mark.parametrize("init", ["masses", "kmeans++", "extremes", "data"])
def test_first_atoms_with_masses_are_samples(xp, light, init):
    x = xp.array(light)
    atoms = xp.numpy(first_masses(init, x, 4, np.random.default_rng(0), Ruler(wt.GridCost(30), 4.0, 20)))
    rows = [int(np.flatnonzero((light == atom).all(axis=1))[0]) for atom in atoms]
    assert len(set(rows)) == 4
    if init == "masses":
        mass = light.sum(axis=1)
        assert rows[:2] == [mass.argmax(), mass.argmin()]


def test_samples_of_one_mass_still_have_a_brightest_and_a_darkest_that_differ(light):
    even = wt.normalize(light)
    atoms = first_masses("masses", np.stack([even[0], even[5]]), 2)
    assert len(np.unique(atoms, axis=0)) == 2


def test_unequal_masses_are_what_marginal_weight_is_for(light):
    cost, options = wt.GridCost(30), {"eps": 4.0, "max_iter": 3, "tol": None, "init": "uniform", "n_iter": 10}
    with pytest.raises(ValueError, match="X must sum to 1"):
        wt.WassersteinDictionary(2, cost=cost, **options).fit(light)
    held = wt.WassersteinDictionary(2, cost=cost, marginal_weight=1.0, **options).fit(light)
    assert held.mass_ == 1.0 and held.transform(light).shape == (12, 2)
    np.testing.assert_allclose(held.atoms_.sum(axis=1), 1.0)  # without free_mass atoms stay histograms


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"marginal_weight": None}, "marginal_weight must be positive; got None"),
        ({"free_mass": 1}, "free_mass must be True or False; got 1"),
        ({"init_atoms": -np.ones((3, 30))}, "init_atoms must not be negative"),
        ({"free_mass": False}, "init must be one of .* got 'masses'"),
    ],
)
def test_settings_with_masses_that_mean_nothing_are_refused(light, changes, message):
    with pytest.raises(ValueError, match=message):
        model(**changes).fit(wt.normalize(light))


def test_a_price_of_any_floating_type_is_that_price():
    X = 0.1 + np.random.default_rng(0).random((5, 8))
    one, other = (
        wt.wahu(range(8), balanced=False, n_atoms=2, marginal_weight=kind(0.5), max_iter=2).fit(X).transform(X)
        for kind in (float, np.longdouble)
    )
    assert np.array_equal(one, other)


def test_the_recommended_fit_is_the_same_whether_its_solver_is_named_or_not_and_others_keep_their_rate():
    bands = np.linspace(400.0, 2400.0, 20)
    usual = wt.wahu(bands, recommended=True)
    assert usual.get_params()["solver"] == "projection"
    named = wt.wahu(bands, recommended=True, solver="projection")
    shown = ("solver", "learning_rate", "betas", "init_weights", "max_iter", "n_iter")
    assert [getattr(named, key) for key in shown] == [getattr(usual, key) for key in shown]
    for solver in ("adam", "minibatch"):
        other = wt.wahu(bands, recommended=True, solver=solver)
        assert (other.learning_rate, other.betas, other.init_weights, other.n_iter) == (0.1, (0.9, 0.99), "near", None)
    assert wt.wahu(bands, recommended=True, betas=(0.8, 0.9)).betas == (0.8, 0.9)
