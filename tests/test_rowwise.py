"""Many small problems at once: every row finds its own minimum, whoever else is there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import assert_close, gaussian

import wdl_tutorial as wt
from wdl_tutorial._array import array_namespace
from wdl_tutorial.rowwise import best_step, minimise_rows, positive, simplex_lattice

CENTRES = np.array([[0.2, 0.3, 0.5], [0.0, 1.5, -0.5], [0.7, 0.6, -0.3], [1.0, 1.0, 1.0]])
BENT = np.array([[1.0, 3.0, 10.0], [1.0, 1.0, 1.0], [0.1, 1.0, 100.0], [1e-3, 1e-3, 1e-3]])
# with sum 1: inside; in a corner; on an edge, where 0.1 (x - 0.7) = 1 (y - 0.6); in the middle
BEST = np.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [0.7 - 0.3 * 10 / 11, 0.6 - 0.3 / 11, 0.0], [1 / 3, 1 / 3, 1 / 3]])
EVEN = np.full((4, 3), 1 / 3)


def quadratics(xp):
    """One quadratic a row; they differ in their centres and their curvatures."""
    centres, spectra = xp.array(CENTRES), xp.array(BENT)

    def function(x, rows):
        here = array_namespace(x)
        gap = x - here.take(centres, rows, axis=0)
        slope = here.take(spectra, rows, axis=0) * gap
        return here.sum(slope * gap, axis=1) / 2, slope

    return function


def round_ones(n: int, m: int, scale: float = 1.0) -> np.ndarray:
    return np.broadcast_to(scale * np.eye(m), (n, m, m)).copy()


def test_every_row_finds_its_own_minimum_inside_on_an_edge_or_in_a_corner_on_every_backend(xp):
    found = minimise_rows(quadratics(xp), xp.array(EVEN), xp.array(round_ones(4, 3)), tol=1e-12, max_iter=300)
    assert xp.numpy(found.converged).all()
    assert_close(found.x, BEST, atol=1e-5)


def test_with_the_right_curvature_one_step_leads_to_the_minimum(xp):
    bent = xp.array(BENT[:, :, None] * np.eye(3))
    function = quadratics(xp)
    x = xp.array(EVEN)
    step = best_step(x, function(x, array_namespace(x).arange(4))[1], bent)
    assert_close(x + step, BEST, atol=1e-12)


def test_a_step_is_no_worse_than_any_to_a_point_of_a_lattice(rng):
    """The active set against all: parabolas of any shape, from inside, from edges and from corners."""
    lattice = simplex_lattice(4, 3000)
    x = lattice[rng.integers(len(lattice), size=40)]
    root, grad = rng.normal(size=(40, 4, 4)), rng.normal(size=(40, 4))
    bent = root @ np.swapaxes(root, 1, 2) + 1e-3 * np.eye(4)
    found = x + best_step(x, grad, bent)
    assert found.min() >= 0 and abs(found.sum(axis=1) - 1).max() < 1e-12
    for point, origin, g, b in zip(found, x, grad, bent):
        mine, others = point - origin, lattice - origin
        least = (others @ g + ((others @ b) * others).sum(axis=1) / 2).min()
        assert mine @ g + mine @ b @ mine / 2 <= least + 1e-9


def logarithms(centres):
    """KL from a row's centre: infinite on some edges."""

    def function(x, rows):
        with np.errstate(divide="ignore", invalid="ignore"):
            return (centres[rows] * np.log(centres[rows] / x)).sum(axis=1), -centres[rows] / x

    return function


def test_a_row_does_not_know_who_else_is_there():
    centres = np.random.default_rng(0).dirichlet(np.ones(3), size=12)
    function, start, bent = logarithms(centres), np.full((12, 3), 1 / 3), round_ones(12, 3)
    together = minimise_rows(function, start, bent, tol=1e-13, max_iter=400, floor=1.0)
    assert together.converged.all()
    assert_close(together.x, centres, atol=1e-4)
    for i in range(12):
        alone = minimise_rows(logarithms(centres[i : i + 1]), start[:1], bent[:1], tol=1e-13, max_iter=400, floor=1.0)
        assert_close(alone.x[0], together.x[i], atol=1e-12)


def test_rows_leave_when_they_settle_and_come_back_in_order():
    sizes, left = [], []
    centres = np.array([[1 / 3, 1 / 3, 1 / 3], [0.4, 0.3, 0.3], [0.05, 0.9, 0.05], [0.01, 0.01, 0.98]])

    def function(x, rows):
        sizes.append(len(rows))
        return logarithms(centres)(x, rows)

    options = {"tol": 1e-10, "max_iter": 500, "floor": 1.0, "on_settled": left.append}
    found = minimise_rows(function, EVEN, round_ones(4, 3, 5.0), **options)
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 4
    assert sum(left) == 4
    assert_close(found.x, centres, atol=1e-4)


def test_rows_cut_short_are_marked():
    centres = np.random.default_rng(0).dirichlet(np.ones(3), size=4)
    found = minimise_rows(logarithms(centres), EVEN, round_ones(4, 3), tol=1e-14, max_iter=2)
    assert not found.converged.any()


def test_a_gradient_that_points_uphill_stalls_instead_of_running_for_ever():
    calls = []

    def function(x, rows):
        calls.append(len(rows))
        return ((x - 1 / 3) ** 2).sum(1), 0.1 - x

    start = np.array([[0.5, 0.3, 0.2], [0.6, 0.2, 0.2], [0.2, 0.3, 0.5]])
    found = minimise_rows(function, start, round_ones(3, 3), tol=1e-6, max_iter=100)
    assert found.converged.all() and len(calls) < 30
    assert_close(found.x, start, atol=0)


def test_values_that_are_not_finite_count_as_too_far():
    """A cliff at .6, behind which there are no numbers; the minimum lies before it at .5."""

    def function(x, rows):
        far = x[:, 0] >= 0.6
        value = np.where(far, np.nan, (x[:, 0] - 0.5) ** 2)
        return value, np.stack([np.where(far, np.nan, 2 * (x[:, 0] - 0.5)), 0 * x[:, 0]], axis=1)

    found = minimise_rows(function, np.array([[0.1, 0.9]]), round_ones(1, 2, 0.1), tol=1e-12, max_iter=200, floor=1.0)
    assert_close(found.x, np.array([[0.5, 0.5]]), atol=1e-5)


def test_curvatures_are_bent_up_where_they_are_flat_or_hold_no_number(xp):
    flat = np.array(
        [[[2.0, 0.0], [0.0, 0.0]], [[1.0, 3.0], [3.0, 1.0]], [[np.nan, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [0.0, -2.0]]]
    )
    found = xp.numpy(positive(xp.array(flat), xp.array(round_ones(4, 2, 7.0))))
    assert_close(found[0], np.array([[2.0, 0.0], [0.0, 2e-4]]), atol=1e-12)
    assert_close(np.linalg.eigvalsh(found[1]), np.array([4e-4, 4.0]), atol=1e-12)
    assert_close(found[2], 7 * np.eye(2), atol=1e-12)
    assert_close(found[3], np.eye(2), atol=1e-12)


def test_a_curvature_of_noise_alone_still_gives_a_step(xp):
    # one direction of 1e14, beside which rounding has left the others 0 or less: was LinAlgError
    steep = np.array([[-0.8, 0.3, 0.5], [0.6, -0.2, -0.4], [1.0, 1.0, -2.0], [0.0, 1.0, -1.0]])
    hessian = 1e14 * steep[:, :, None] * steep[:, None, :] - 1e-3 * np.eye(3)
    slope = np.array([[0.3, 0.06, 0.02], [-1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, -1.0, 0.0]])
    step = xp.numpy(best_step(xp.array(EVEN), xp.array(slope), xp.array(hessian)))
    assert np.isfinite(step).all()
    assert_close(step.sum(axis=1), np.zeros(4), atol=1e-12)
    assert (EVEN + step >= -1e-12).all()
    assert ((slope * step).sum(axis=1) <= 1e-12).all()


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
    with pytest.warns(wt.ConvergenceWarning, match=r"of [3-9] of 9 samples .* after 1 evaluations. Raise max_iter"):
        weights = fitted.transform(path(), max_iter=1)
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
    x, bent = EVEN.astype(np.float32), round_ones(4, 3).astype(np.float32)
    result = minimise_rows(quadratics(np), x, bent, tol=1e200, max_iter=50)
    assert result.converged.all() and not len(recwarn)
