"""Many small problems at once: every row finds its own minimum, whoever else is there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import assert_close, gaussian
from scipy.optimize import rosen, rosen_der

import wdl_tutorial as wt
from wdl_tutorial._array import array_namespace
from wdl_tutorial.rowwise import minimise_rows, simplex_lattice

CENTRES = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0], [-4.0, 0.2, 2.0], [0.1, 0.1, 0.1]])
SPECTRA = np.array([[1.0, 3.0, 10.0], [1.0, 1.0, 1.0], [0.1, 1.0, 100.0], [1e-3, 1e-3, 1e-3]])


def quadratics(xp):
    """One quadratic a row; they differ in their centres and their curvatures."""
    centres, spectra = xp.array(CENTRES), xp.array(SPECTRA)

    def function(x, rows):
        here = array_namespace(x)
        gap = x - here.take(centres, rows, axis=0)
        slope = here.take(spectra, rows, axis=0) * gap
        return here.sum(slope * gap, axis=1) / 2, slope

    return function


def test_every_row_finds_its_own_minimum_on_every_backend(xp):
    found = minimise_rows(quadratics(xp), xp.array(np.zeros((4, 3))), tol=1e-9, max_iter=300)
    assert xp.numpy(found.converged).all()
    assert_close(found.x, CENTRES, atol=1e-5)


def test_a_row_does_not_know_who_else_is_there():
    def function(x, rows):
        return np.array([rosen(a) for a in x]), np.array([rosen_der(a) for a in x])

    start = np.random.default_rng(0).normal(size=(12, 2))
    together = minimise_rows(function, start, tol=1e-10, max_iter=400)
    assert together.converged.all()
    assert_close(together.x, np.ones((12, 2)), atol=1e-4)
    for i, row in enumerate(start):
        alone = minimise_rows(function, row[None], tol=1e-10, max_iter=400)
        assert_close(alone.x[0], together.x[i], atol=1e-12)
        assert alone.value[0] == pytest.approx(rosen(alone.x[0]), abs=1e-15)


def test_rows_leave_when_they_settle_and_come_back_in_order():
    sizes, left = [], []

    def function(x, rows):
        sizes.append(len(rows))
        slope = (1.0 + rows)[:, None] ** 4 * (x - rows[:, None])
        return (slope * (x - rows[:, None])).sum(1) / 2 + 1.0, slope * np.array([1.0, 1.0])

    found = minimise_rows(function, np.full((5, 2), 9.0), tol=1e-8, max_iter=500, on_settled=left.append)
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 5
    assert sum(left) == 5
    assert_close(found.x, np.arange(5.0)[:, None] * np.ones(2), atol=1e-3)


def test_rows_cut_short_are_marked():
    found = minimise_rows(quadratics_of_numpy, np.zeros((4, 3)), tol=1e-9, max_iter=2)
    assert not found.converged.any()


def quadratics_of_numpy(x, rows):
    slope = SPECTRA[rows] * (x - CENTRES[rows])
    return (slope * (x - CENTRES[rows])).sum(1) / 2, slope


def test_a_gradient_that_points_uphill_stalls_instead_of_running_for_ever():
    calls = []

    def function(x, rows):
        calls.append(len(rows))
        return (x**2).sum(1), -2 * x

    found = minimise_rows(function, np.ones((3, 2)), tol=1e-6, max_iter=100)
    assert found.converged.all() and len(calls) < 30
    assert_close(found.x, np.ones((3, 2)), atol=0)


def test_values_that_are_not_finite_count_as_too_far():
    def function(x, rows):
        with np.errstate(all="ignore"):
            return np.where(x[:, 0] < 2, -np.log(2 - x[:, 0]) + (x[:, 0] - 1.9) ** 2 * 50, np.nan), np.stack(
                [1 / (2 - x[:, 0]) + 100 * (x[:, 0] - 1.9), 0 * x[:, 0]], axis=1
            )

    found = minimise_rows(function, np.zeros((1, 2)), tol=1e-12, max_iter=200)
    assert np.isfinite(found.value).all() and found.x[0, 0] < 2
    assert abs(1 / (2 - found.x[0, 0]) + 100 * (found.x[0, 0] - 1.9)) < 1e-3


@pytest.mark.parametrize(("n", "limit"), [(1, 200), (2, 200), (3, 200), (4, 200), (10, 200), (300, 200)])
def test_the_lattice_is_on_the_simplex_and_as_fine_as_allowed(n, limit):
    points = simplex_lattice(n, limit)
    assert_close(points.sum(1), np.ones(len(points)), atol=1e-12)
    assert points.min() >= 0 and len(np.unique(points, axis=0)) == len(points)
    k = round(1 / np.min(points[points > 0]))
    assert len(points) == math.comb(n + k - 1, k)
    assert len(points) <= max(limit, n)
    assert n == 1 or math.comb(n + k, k + 1) > limit  # the next finer one is too large
    assert all(np.isin(np.eye(n)[i], points).all() for i in range(min(n, 3)))


# -- what it is for: the weights of samples, the atoms being known

LINE = wt.GridCost(30)


def path(n: int = 9) -> np.ndarray:
    """Bumps that move to the right and grow wider."""
    return np.stack([gaussian(30, 8 + 14 * t, 2 + 1.5 * t) for t in np.linspace(0, 1, n)])


@pytest.fixture(scope="module")
def fitted() -> wt.WassersteinDictionary:
    return dictionary(2, loss="kl", n_iter=20, max_iter=40).fit(path())


def dictionary(n_atoms: int, **options) -> wt.WassersteinDictionary:
    options = {"init": "extremes", "init_weights": "near", "n_jobs": 1, "tol": None} | options
    return wt.WassersteinDictionary(n_atoms, cost=LINE, eps=2.0, random_state=0, **options)


def test_the_weights_of_a_barycenter_are_found_as_exactly_as_asked(fitted):
    weights = np.array([[0.05, 0.95], [0.35, 0.65], [0.5, 0.5], [0.9, 0.1]])
    X = fitted.inverse_transform(weights)
    X = X / X.sum(1, keepdims=True)
    assert_close(fitted.transform(X), weights, atol=4e-3)
    assert_close(fitted.transform(X, tol=1e-9), weights, atol=5e-4)  # P^(20) has not quite mass one


@pytest.mark.parametrize(
    ("loss", "locality"), [("wasserstein", 0.02), ("quadratic", 0.0), ("kl_reverse", 0.01), ("tv", 0)]
)
def test_no_weights_of_a_fine_lattice_beat_those_of_transform(loss, locality):
    X = path(5)
    found = dictionary(2, loss=loss, locality=locality, n_iter=30, max_iter=12).fit(X)
    weights, lattice = found.transform(X), simplex_lattice(2, 60)
    settings = {"eps": 2.0, "loss": loss, "locality": locality, "n_iter": 30, "n_jobs": 1}
    for x, w in zip(X, weights):
        here, *there = (wt.wdl_objective(x[None], found.atoms_, a[None], LINE, **settings).value for a in (w, *lattice))
        assert here <= min(there) + 1e-3 * abs(min(there))


def test_weights_that_have_not_settled_are_counted_in_a_warning(fitted):
    with pytest.warns(wt.ConvergenceWarning, match=r"of 9 of 9 samples .* after 2 evaluations. Raise max_iter"):
        weights = fitted.transform(path(), max_iter=2)
    assert_close(weights.sum(1), np.ones(9), atol=1e-12)
    with pytest.raises(ValueError, match="max_iter"):
        fitted.transform(path(), max_iter=0)
    with pytest.raises(ValueError, match="tol"):
        fitted.score(path(), tol=-1.0)


def test_a_bar_shows_how_many_samples_have_settled(capsys):
    found = dictionary(2, loss="kl", n_iter=10, max_iter=2, verbose=True).fit(path())
    capsys.readouterr()
    found.transform(path())
    assert "Weights: 100%" in capsys.readouterr().err


def test_an_atom_that_is_alone_takes_everything():
    found = dictionary(1, loss="kl", n_iter=10, max_iter=2).fit(path())
    assert_close(found.transform(path()), np.ones((9, 1)), atol=0)


def test_a_tolerance_that_float32_does_not_hold_settles_every_row(recwarn):
    x = np.zeros((4, 3), dtype=np.float32)
    result = minimise_rows(quadratics(np), x, tol=1e200, max_iter=50)
    assert result.converged.all() and not len(recwarn)
