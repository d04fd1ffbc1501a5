"""First atoms and weights: where they come from, and that a seed repeats them."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_close, gaussian, random_histograms
from scipy.stats import chi2

import wdl_tutorial as wt
from wdl_tutorial.initialise import (
    ATOMS,
    WEIGHTS,
    Ruler,
    check_start,
    distances,
    extremes,
    first_atoms,
    first_weights,
    kmeans_plus_plus,
)

N = 20
COST = wt.GridCost(N)
RULER = Ruler(COST, eps=4.0, n_iter=40)


def translates(*means: float, std: float = 1.5) -> np.ndarray:
    return np.stack([gaussian(N, mean, std) for mean in means])


def test_distances_are_sinkhorn_divergences(xp, rng):
    x = random_histograms(rng, 6, N)
    centre = random_histograms(rng, N)
    found = distances(xp.array(x), xp.array(centre), RULER._replace(n_iter=400))
    assert_close(found, wt.sinkhorn_divergence(x, centre, COST, eps=4.0, tol=1e-12), atol=1e-9)


def test_a_sample_is_at_no_distance_from_itself_and_translates_at_their_shift_squared(xp):
    x = xp.array(translates(6, 8, 13))
    gap = xp.numpy(distances(x, x[0, :], RULER._replace(n_iter=300)))
    assert gap.min() >= 0 and gap[0] < 1e-12
    assert_close(gap[1:], [4.0, 49.0], rtol=2e-3)  # bins at the ends are cut off


@pytest.mark.parametrize("domain", ["kernel", "log", "auto"])
def test_distances_are_the_same_in_every_domain(domain, rng):
    x = random_histograms(rng, 4, N)
    kernel = distances(x, x[1], RULER._replace(n_iter=30, domain="kernel"))
    assert_close(distances(x, x[1], RULER._replace(n_iter=30, domain=domain)), kernel, atol=1e-11)


def test_distances_stay_finite_where_the_kernel_underflows():
    gap = distances(translates(3, 10, 16), gaussian(N, 3, 1.5), Ruler(COST, eps=0.05, n_iter=200))
    assert np.isfinite(gap).all()
    assert gap[0] < 1e-6 < gap[1] < gap[2]


def test_distances_beyond_the_digits_of_a_float_are_an_error_not_a_choice():
    x = np.zeros((2, 60), dtype=np.float32)
    x[0, 5:17], x[1, 35:55] = 1 / 12, 1 / 20
    cost = wt.LineCost(np.linspace(400, 2400, 60), power=2)
    with pytest.raises(FloatingPointError, match=r"the distances between samples \(float32\)"):
        distances(x, x[0], Ruler(cost, eps=1e-3, n_iter=20))


def test_kmeans_plus_plus_draws_in_proportion_to_the_divergence():
    x = translates(5, 7, 10, 14)
    gaps = np.stack([distances(x, row, RULER) for row in x])
    chance = gaps / gaps.sum(axis=1, keepdims=True) / 4  # of the ordered pair (first, second)
    rng, n, counts = np.random.default_rng(3), 600, np.zeros((4, 4))
    for _ in range(n):
        atoms = kmeans_plus_plus(x, 2, rng, RULER)
        first, second = (int(np.flatnonzero((x == atom).all(axis=1))[0]) for atom in atoms)
        counts[first, second] += 1
    expected = n * chance
    possible = ~np.eye(4, dtype=bool)
    assert counts[~possible].sum() == 0
    statistic = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    assert statistic < chi2.ppf(0.999, df=11)
    # and the test can tell: drawing evenly would be refused
    even = n / 12
    assert ((counts - even)[possible] ** 2 / even).sum() > chi2.ppf(0.999999, df=11)


def test_later_draws_look_at_the_nearest_of_all_chosen():
    # two pairs of near twins and a loner: of three atoms each must come from its own place
    x = translates(4, 4.01, 10, 10.01, 16)
    for seed in range(20):
        atoms = kmeans_plus_plus(x, 3, np.random.default_rng(seed), RULER)
        places = np.sort(np.round(atoms @ np.arange(N)))
        assert_close(places, [4, 10, 16])


@pytest.mark.parametrize("choose", [kmeans_plus_plus, lambda x, n, rng, ruler: extremes(x, n, ruler)])
def test_no_sample_is_chosen_twice_while_others_remain(choose):
    x = translates(4, 6, 9, 13, 16)
    for seed in range(10):
        atoms = choose(x, 5, np.random.default_rng(seed), RULER)
        assert len(np.unique(atoms, axis=0)) == 5


@pytest.mark.parametrize("choose", [kmeans_plus_plus, lambda x, n, rng, ruler: extremes(x, n, ruler)])
def test_copies_of_a_sample_are_chosen_only_when_nothing_else_is_left(choose):
    x = translates(6, 10, 14, 14, 14)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        assert len(np.unique(choose(x, 3, rng, RULER), axis=0)) == 3
        everything = choose(x, 5, rng, RULER)
        assert_close(np.sort(everything @ np.arange(N)), np.sort(x @ np.arange(N)), atol=1e-12)


def test_samples_that_are_all_equal_can_still_start_a_fit():
    x = translates(8, 8, 8)
    assert_close(kmeans_plus_plus(x, 2, np.random.default_rng(0), RULER), x[:2])
    assert_close(extremes(x, 2, RULER), x[:2])


def test_extremes_are_the_ends_of_a_path(xp, rng):
    ends = translates(5, 15)
    path = wt.barycenter(ends, np.linspace([1.0, 0.0], [0.0, 1.0], 9), COST, eps=1.0, n_iter=200).histogram
    order = rng.permutation(9)
    found = xp.numpy(extremes(xp.array(path[order]), 2, RULER))
    assert_close(np.sort(found @ np.arange(N)), [path[0] @ np.arange(N), path[-1] @ np.arange(N)], atol=1e-9)


def test_extremes_of_a_triangle_are_its_corners():
    grid = wt.GridCost((9, 9))
    spots = [np.outer(gaussian(9, r, 0.8), gaussian(9, c, 0.8)).ravel() for r, c in [(1, 1), (1, 7), (7, 4)]]
    shares = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0.2, 0.4, 0.4], [0.3, 0.3, 0.4]])
    x = wt.barycenter(np.stack(spots), shares, grid, eps=1.0, n_iter=100).histogram
    found = extremes(x, 3, RULER._replace(cost=grid))
    assert sorted(int(np.flatnonzero((x == atom).all(axis=1))[0]) for atom in found) == [0, 1, 2]


@pytest.mark.parametrize("init", ATOMS)
def test_first_atoms_are_histograms_in_the_backend_of_the_data(xp, init, rng):
    x = xp.array(random_histograms(rng, 7, N))
    atoms = first_atoms(init, x, 3, np.random.default_rng(1), RULER)
    assert tuple(atoms.shape) == (3, N) and type(atoms) is type(x) and atoms.dtype == x.dtype
    assert_close(xp.numpy(atoms).sum(axis=1), np.ones(3), atol=1e-12)
    host = first_atoms(init, xp.numpy(x), 3, np.random.default_rng(1), RULER)
    assert_close(atoms, host, atol=1e-15)


@pytest.mark.parametrize("init", WEIGHTS)
def test_first_weights_are_shares_in_the_backend_of_the_data(xp, init, rng):
    x = xp.array(random_histograms(rng, 7, N))
    weights = first_weights(init, x, x[:3, :], np.random.default_rng(1), RULER)
    assert tuple(weights.shape) == (7, 3) and type(weights) is type(x)
    assert_close(xp.numpy(weights).sum(axis=1), np.ones(7), atol=1e-12)
    assert_close(
        weights,
        first_weights(init, xp.numpy(x), xp.numpy(x)[:3], np.random.default_rng(1), RULER),
        atol=1e-9 if init == "near" else 1e-15,
    )


def test_random_weights_are_uniform_on_the_simplex():
    weights = first_weights("random", np.ones((20_000, 3)), np.ones((3, 3)), np.random.default_rng(0))
    # on a triangle with uniform density P(w_1 > t) = (1 - t)^2
    for t in (0.2, 0.5, 0.8):
        assert_close((weights > t).mean(axis=0), (1 - t) ** 2, atol=0.01)


def test_samples_drawn_as_atoms_are_different_samples(rng):
    x = random_histograms(rng, 6, N)
    for seed in range(20):
        atoms = first_atoms("data", x, 6, np.random.default_rng(seed), RULER)
        assert len(np.unique(atoms, axis=0)) == 6


@pytest.mark.parametrize("init", ["kmeans++", "data", "random"])
def test_a_seed_repeats_its_draw_and_another_draws_otherwise(init, rng):
    x = random_histograms(rng, 30, N)
    one, again, other = (first_atoms(init, x, 4, np.random.default_rng(s), RULER) for s in (5, 5, 6))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_float32_stays_float32(rng):
    x = random_histograms(rng, 6, N).astype(np.float32)
    for init in ATOMS:
        assert first_atoms(init, x, 2, np.random.default_rng(0), RULER).dtype == np.float32
    assert first_weights("random", x, x[:2, :], np.random.default_rng(0)).dtype == np.float32


def test_given_starts_are_taken_as_they_are(xp, rng):
    x = xp.array(random_histograms(rng, 5, N))
    given = random_histograms(rng, 2, N)
    assert_close(check_start("init_atoms", xp.array(given), ATOMS, (2, N), x), given)
    assert type(check_start("init_atoms", given.tolist(), ATOMS, (2, N), x)) is type(x)


@pytest.mark.parametrize(
    "given, message",
    [
        (np.full((3, N), 1 / N), r"init_atoms must have shape \(2, 20\); got \(3, 20\)"),
        (np.full((2, N), 0.1), r"init_atoms must sum to 1 .* worst row sums to 2.*normalize\(init_atoms\)"),
        (np.full((2, N), np.nan), "init_atoms holds 40 NaN"),
        (np.eye(2, N) * 2 - np.eye(2, N, 1), "init_atoms must not be negative; its smallest entry is -1"),
        ("k-means", "init_atoms must be one of kmeans.*, or an array; got 'k-means'"),
    ],
)
def test_starts_that_will_not_do_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        check_start("init_atoms", given, ATOMS, (2, N), np.full((5, N), 1 / N))


def test_a_start_from_another_backend_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="one backend; got torch and numpy"):
        check_start("init_atoms", torch.full((2, N), 1 / N), ATOMS, (2, N), np.full((5, N), 1 / N))
