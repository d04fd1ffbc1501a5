"""The active-set solver: optimality conditions, bounds, one set of columns or one per pixel, any backend."""

import numpy as np
import pytest
from conftest import assert_close

from wdl_tutorial import leastsquares


def optimality(columns, targets, theta, *, n_simplex=0, upper=None):
    """Largest violation of the KKT conditions, computed from their definition, relative to the largest gradient."""
    gradient = (theta @ columns - targets) @ columns.T
    worst = 0.0
    for a, g in zip(theta, gradient):
        price = g[:n_simplex][a[:n_simplex] > 0].mean() if n_simplex else 0.0
        reduced = g - price * (np.arange(len(g)) < n_simplex)
        inside = (a > 0) & (a < (np.inf if upper is None else upper))
        worst = max(worst, np.abs(reduced[inside]).max(initial=0.0), -reduced[a == 0].min(initial=0.0))
        if upper is not None:
            worst = max(worst, reduced[a == upper].max(initial=0.0))
    return worst / np.abs(targets @ columns.T).max()


def random_problem(rng, kind, p, n_bands=30, n=20):
    """Endmembers of a kind, and pixels inside and outside of what they can make."""
    columns = rng.random((p, n_bands))
    if kind == "ill-conditioned":
        columns = columns.mean(axis=0) + np.geomspace(1.0, 1e-4, p)[:, None] * (columns - columns.mean(axis=0))
    if kind == "collinear" and p > 2:
        columns[-1] = 0.3 * columns[0] + 0.7 * columns[1]
    if kind == "duplicate" and p > 1:
        columns[-1] = columns[0]
    if kind == "nearly collinear" and p > 2:
        columns[-1] = 0.3 * columns[0] + 0.7 * columns[1] + 1e-9 * rng.normal(size=n_bands)
    if kind == "more endmembers than bands":
        columns = columns[:, : max(p - 3, 1)]
    if kind == "zero endmember" and p > 1:
        columns[0] = 0.0
    if kind == "signed":
        columns = rng.normal(size=columns.shape)
    targets = rng.dirichlet(np.full(p, 0.3), n) @ columns
    targets[: n // 2] += rng.normal(size=(n // 2, columns.shape[1])) * rng.choice([0.01, 0.3, 3.0])
    targets[-1] = columns[0]
    return columns, targets


KINDS = [
    "regular",
    "ill-conditioned",
    "collinear",
    "duplicate",
    "nearly collinear",
    "more endmembers than bands",
    "zero endmember",
    "signed",
]


@pytest.mark.parametrize("n_simplex", [True, False], ids=["simplex", "orthant"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_optimality_conditions_hold_on_1000_random_problems_of_up_to_ten_columns(kind, n_simplex):
    rng = np.random.default_rng(KINDS.index(kind))
    worst = 0.0
    for trial in range(125):  # times eight kinds; 20 pixels each
        p = 1 + trial % 10 if not n_simplex else 2 + trial % 9
        columns, targets = random_problem(rng, kind, p)
        q, reduced = leastsquares.reduce(columns)
        theta = leastsquares.solve(reduced, targets @ q, n_simplex=p if n_simplex else 0)
        assert theta.min() >= 0
        if n_simplex:
            assert_close(theta.sum(axis=1), 1.0, atol=1e-14)
        worst = max(worst, optimality(columns, targets, theta, n_simplex=p if n_simplex else 0))
    assert worst <= 1e-10


def test_upper_bounds_and_a_simplex_together_are_optimal():
    rng = np.random.default_rng(0)
    for p, n_simplex in [(4, 2), (6, 3), (10, 4)]:
        columns, targets = rng.random((p, 12)), 2 * rng.random((40, 12))
        upper = np.where(np.arange(p) < n_simplex, np.inf, 0.3)
        start = np.zeros((40, p))
        start[:, 0] = 1.0
        theta = leastsquares.solve(columns, targets, n_simplex=n_simplex, upper=upper, start=start)
        assert theta.min() >= 0 and (theta <= upper).all()
        assert (theta == upper).any() and (theta == 0).any()  # both kinds of bound are met somewhere
        assert_close(theta[:, :n_simplex].sum(axis=1), 1.0, atol=1e-14)
        assert optimality(columns, targets, theta, n_simplex=n_simplex, upper=upper) <= 1e-12


def test_columns_of_its_own_for_every_pixel_give_what_each_pixel_gives_alone(xp, rng):
    columns, targets = rng.random((15, 4, 6)), rng.random((15, 6))
    start = np.full((15, 4), 0.25)
    together = leastsquares.solve(xp.array(columns), xp.array(targets), n_simplex=4, start=xp.array(start))
    for n in range(15):
        alone = leastsquares.solve(columns[n], targets[n : n + 1], n_simplex=4)
        assert_close(xp.numpy(together)[n], alone[0], atol=1e-12)


def test_more_than_62_columns_work_although_a_support_is_no_longer_one_integer(rng):
    columns, targets = rng.random((70, 80)), rng.random((5, 80))
    theta = leastsquares.solve(columns, targets, n_simplex=70)
    assert optimality(columns, targets, theta, n_simplex=70) <= 1e-12


def test_distinct_supports_are_found_and_numbered(xp):
    free = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 1], [0, 1, 1]], dtype=bool)
    rows, group = leastsquares.distinct(xp.module.asarray(free))
    assert rows.shape[0] == 3
    np.testing.assert_array_equal(xp.numpy(rows)[xp.numpy(group)], free)


def test_the_independent_subset_has_the_rank_of_the_columns(rng):
    columns = rng.random((3, 8))
    columns = np.concatenate([columns, columns[:1], (columns[:1] + columns[1:2]) / 2, 2 * columns[2:3]])
    assert leastsquares.independent(columns, sum_to_one=False).sum() == 3
    assert leastsquares.independent(columns, sum_to_one=True).sum() == 4  # the doubled one is not an affine mixture


def test_the_reduction_keeps_inner_products_and_pads_to_square(rng):
    for shape in [(3, 10), (6, 4), (5, 5)]:
        columns = rng.random(shape)
        q, reduced = leastsquares.reduce(columns)
        assert reduced.shape == (shape[0], shape[0]) and q.shape == (shape[1], shape[0])
        assert_close(reduced @ reduced.T, columns @ columns.T, atol=1e-13)
        assert_close(reduced @ q.T, columns, atol=1e-13)
