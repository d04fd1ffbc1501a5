"""ELMM, GLMM, PLMM: what they give where the answer is known, and that every turn goes down."""

import itertools
import math
import time

import numpy as np
import pytest
from conftest import assert_close

from wdl_tutorial import ConvergenceWarning, datasets, linear, metrics, variability

MODELS = {"elmm": linear.elmm, "glmm": linear.glmm, "plmm": linear.plmm}


def scene(rng, n=60, p=3, n_bands=30, noise=0.0):
    reference = rng.random((p, n_bands)) + 0.1
    abundances = np.concatenate([np.eye(p), rng.dirichlet(np.ones(p), n - p)])
    return abundances @ reference + noise * rng.normal(size=(n, n_bands)), reference, abundances


@pytest.mark.parametrize("name", MODELS)
def test_without_variability_they_are_fcls_on_every_backend(name, xp, rng):
    X, reference, abundances = scene(rng)
    found = MODELS[name](xp.array(X), xp.array(reference))
    assert type(found.abundances) is type(xp.array(X))
    assert_close(found.abundances, abundances, atol=1e-9)
    assert_close(found.reconstruct(), X, atol=1e-9)
    assert_close(found.endmembers, np.broadcast_to(reference, found.endmembers.shape), atol=1e-9)
    assert found.converged


@pytest.mark.parametrize("name", MODELS)
def test_where_variability_costs_too_much_they_are_fcls_with_noise(name, rng):
    X, reference, _ = scene(rng, noise=0.02)
    options = {"plmm": {"reference_price": 1e12}}.get(name, {})
    found = MODELS[name](X, reference, price=1e12, max_iter=1, tol=1.0, **options)
    assert_close(found.abundances, linear.fcls(X, reference).abundances, atol=1e-9)


def test_one_material_has_the_brightness_of_its_projection(rng):
    X, reference, _ = scene(rng, p=2, noise=0.05)
    found = linear.elmm(X, reference[:1], tol=1e-12, max_iter=200)
    assert_close(found.factors[:, 0], X @ reference[0] / (reference[0] @ reference[0]), rtol=1e-9)
    nearest = found.factors[:, :1] * reference[0]
    assert_close(found.endmembers[:, 0], nearest + (X - nearest) / 2, atol=1e-9)  # price 1: half of what is left
    assert np.array_equal(found.abundances, np.ones((60, 1)))


def test_one_material_with_a_factor_per_band_solves_its_linear_system(rng):
    X, reference, _ = scene(rng, p=2, noise=0.05)
    s0, price, length = reference[0], 0.5, 2.0
    found = linear.glmm(X, reference[:1], price=price, length=length, tol=1e-13, max_iter=2000)
    slope = np.diff(np.eye(s0.size), axis=0)
    # S is price : 1 between the pixel and Psi s0, so Psi pays price / (1 + price) for the misfit, price for its slopes
    system = np.diag(s0**2) / (1 + price) + length**2 * np.mean(s0**2) * slope.T @ slope
    assert_close(found.factors[:, 0], np.linalg.solve(system, (X * s0).T / (1 + price)).T, rtol=1e-6)


def test_one_perturbed_material_is_the_shrunken_mean(rng):
    X, reference, _ = scene(rng, p=2, noise=0.05)
    price, anchor, n = 2.0, 30.0, len(X)
    found = linear.plmm(X, reference[:1], price=price, reference_price=anchor, tol=1e-13, max_iter=500)
    pull = n * price / (1 + price)
    mean = (pull * X.mean(axis=0) + anchor * reference[0]) / (pull + anchor)
    assert_close(found.reference[0], mean, atol=1e-9)
    assert_close(found.endmembers[:, 0], (X + price * mean) / (1 + price), atol=1e-9)


def test_a_shared_brightness_is_recovered_to_half_a_percent_from_the_free_fit(rng):
    _, reference, abundances = scene(rng, n=200)
    light = rng.uniform(0.4, 1.6, (200, 1))
    found = linear.elmm(light * (abundances @ reference), reference, start="nnls")
    assert_close(found.factors, np.broadcast_to(light, (200, 3)), rtol=0.005)
    assert_close(found.abundances, abundances, atol=1e-6)


def test_the_brightness_of_pure_pixels_is_recovered_to_half_a_percent_from_fcls(rng):
    reference = rng.random((3, 30)) + 0.1
    light = rng.uniform(0.7, 1.4, (150, 1))
    pure = np.eye(3)[rng.integers(3, size=150)]
    found = linear.elmm(light * (pure @ reference), reference, tol=1e-8, max_iter=2000)
    assert_close((found.factors * pure).sum(axis=1), light[:, 0], rtol=0.005)


def test_elmm_from_the_free_fit_starts_as_normalised_nnls_does(rng):
    X, reference, _ = scene(rng, noise=0.05)
    found = linear.elmm(X, reference, start="nnls", price=1e9, max_iter=1, tol=1.0)
    free = linear.nnls(X, reference).abundances
    # at an infinite price S is psi times the reference, and psi the sum of the free fit
    assert_close(found.factors, np.broadcast_to(free.sum(axis=1, keepdims=True), free.shape), rtol=1e-6)


def test_a_factor_that_is_the_same_in_all_bands_is_elmm(rng):
    X, reference, _ = scene(rng, noise=0.05)
    with pytest.warns(ConvergenceWarning):
        same = linear.elmm(X, reference, tol=1e-9, max_iter=5)
    with pytest.warns(ConvergenceWarning):
        stiff = linear.glmm(X, reference, length=1e5, tol=1e-9, max_iter=5)
    with pytest.warns(ConvergenceWarning):
        infinite = linear.glmm(X, reference, length=math.inf, tol=1e-9, max_iter=5)
    assert_close(stiff.abundances, same.abundances, atol=1e-5)
    assert np.array_equal(infinite.abundances, same.abundances)


def objective(X, state, price, length, reference):
    """The docstring's, with the factors chosen last."""
    rest = X - (state.abundances[:, None] @ state.endmembers)[:, 0]
    away = state.endmembers - state.factors * reference
    slopes = np.diff(state.factors, axis=2) ** 2 if length else np.zeros(1)
    smooth = 0.0 if not length else length**2 * (slopes.sum(axis=2) * (reference**2).mean(axis=1)).sum()
    return 0.5 * ((rest**2).sum() + price * ((away**2).sum() + smooth))


@pytest.mark.parametrize("length", [0.0, 4.0])
def test_no_turn_of_the_scaled_models_goes_up(length, rng):
    X, reference, _ = scene(rng, noise=0.05)
    a = linear.fcls(X, reference).abundances
    smoother = variability.factor_smoother(reference, length) if length else None
    steps = variability.scaled_steps(X, reference, a, np.ones((60, 3, 1)), price=0.3, smoother=smoother)
    values = [objective(X, next(steps), 0.3, length, reference) for _ in range(30)]
    assert all(after <= before * (1 + 1e-12) for before, after in itertools.pairwise(values))
    assert values[-1] < 0.99 * values[0]


def test_no_turn_of_the_perturbed_model_goes_up(rng):
    X, reference, _ = scene(rng, noise=0.05)
    a = linear.fcls(X, reference).abundances
    steps = variability.perturbed_steps(X, reference, a, price=0.3, reference_price=2.0)
    values = []
    for _ in range(30):
        now = next(steps)
        rest = X - (now.abundances[:, None] @ now.endmembers)[:, 0]
        away, moved = now.endmembers - now.reference, now.reference - reference
        values.append((rest**2).sum() + 0.3 * (away**2).sum() + 2.0 * (moved**2).sum())
    assert all(after <= before * (1 + 1e-12) for before, after in itertools.pairwise(values))


@pytest.mark.parametrize("name", MODELS)
def test_pixels_are_unmixed_alike_in_any_unit_and_order(name, rng):
    X, reference, _ = scene(rng, noise=0.05)
    options = {"max_iter": 4, "tol": 1.0} | ({"reference_price": 5.0} if name == "plmm" else {})
    here = MODELS[name](X, reference, **options).abundances
    assert_close(MODELS[name](1e4 * X, 1e4 * reference, **options).abundances, here, atol=1e-8)
    order = rng.permutation(3)
    assert_close(MODELS[name](X, reference[order], **options).abundances, here[:, order], atol=1e-8)


@pytest.mark.parametrize("name", MODELS)
def test_dark_pixels_twin_references_and_few_bands_stay_finite(name, rng):
    reference = rng.random((4, 3)) + 0.1
    reference[3] = reference[0]
    X = np.concatenate([np.zeros((2, 3)), rng.random((20, 3))])
    for start in ("fcls", "nnls"):
        found = MODELS[name](X, reference, start=start, tol=1.0)
        assert all(np.isfinite(x).all() for x in (found.abundances, found.endmembers, found.factors))
        assert_close(found.abundances.sum(axis=1), np.ones(22), atol=1e-12)
        assert found.abundances.min() >= 0 and found.endmembers.min() >= 0


@pytest.mark.parametrize("name", MODELS)
def test_float32_comes_back_as_float32(name, rng):
    X, reference, _ = scene(rng, noise=0.01)
    found = MODELS[name](X.astype(np.float32), reference.astype(np.float32), tol=1.0)
    assert {x.dtype for x in (found.abundances, found.endmembers, found.reference, found.factors)} == {
        np.dtype(np.float32)
    }


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda X, M: linear.elmm(X, M, price=0), "price must be positive; got 0"),
        (lambda X, M: linear.elmm(X, M, price=math.inf), "Without variability, use fcls"),
        (lambda X, M: linear.glmm(X, M, length=-1), r"length must be in \[0, 1e\+06\] bands"),
        (lambda X, M: linear.plmm(X, M, reference_price=-2), "reference_price must be positive"),
        (lambda X, M: linear.elmm(X, M, start="vca"), "start must be 'fcls' or 'nnls'; got 'vca'"),
        (lambda X, M: linear.plmm(X, M[:, 1:]), "X has 30 bands but endmembers have 29"),
        (lambda X, M: linear.glmm(X, M, max_iter=0), "max_iter must be an integer of at least 1"),
    ],
)
def test_bad_options_are_told_what_to_do(call, message, rng):
    X, reference, _ = scene(rng)
    with pytest.raises(ValueError, match=message):
        call(X, reference)


def test_a_fit_that_stops_short_says_so(rng):
    X, reference, _ = scene(rng, noise=0.1)
    with pytest.warns(ConvergenceWarning, match="ELMM stopped after 3 iterations"):
        found = linear.elmm(X, reference, max_iter=3)
    assert found.n_iter == 3 and not found.converged


@pytest.mark.filterwarnings("ignore::wdl_tutorial.ConvergenceWarning")
@pytest.mark.parametrize("name", MODELS)
def test_dc1_takes_two_cpu_seconds_at_most_and_beats_fcls(name, real_data):
    dc1 = datasets.load_dc1(random_state=0)
    X = dc1.pixels()
    M = linear.vca(X, 3, random_state=0).endmembers
    began = time.process_time()
    found = MODELS[name](X, M)
    assert time.process_time() - began <= 2.0
    truth, plain = dc1.abundances.reshape(-1, 3), linear.fcls(X, M).abundances
    order = metrics.match_endmembers(dc1.endmembers, M)
    assert metrics.nrmse(truth, found.abundances[:, order]) < 0.9 * metrics.nrmse(truth, plain[:, order])
