"""Barycenters: closed forms, equations written out, POT, and what must not change the answer."""

from __future__ import annotations

import warnings

import array_api_strict
import numpy as np
import ot
import pytest
from conftest import assert_close, gaussian, random_histograms

import wdl_tutorial as wt
from wdl_tutorial import ConvergenceWarning
from wdl_tutorial.barycenters import log_mean
from wdl_tutorial.iterate import nth

N = 200
WAHU = {"cost": wt.GridCost(N, spacing=1 / (N - 1)), "eps": 1e-3}  # WaHU's synthetic setting: range one
TWO = np.stack([gaussian(N, 50, 5), gaussian(N, 130, 10)])


def moments(p):
    """Mean and standard deviation in bins."""
    x = np.arange(p.shape[-1])
    mean = (p * x).sum(-1) / p.sum(-1)
    return mean, np.sqrt((p * (x - mean[..., None]) ** 2).sum(-1) / p.sum(-1))


# ------------------------------------------------------------------------------------------------------ closed forms


def test_the_linear_mixture_averages_heights(xp):
    mixed = wt.linear_mixture(xp.array(TWO), xp.array([[0.25, 0.75], [1.0, 0.0]]))
    assert_close(mixed, [0.25 * TWO[0] + 0.75 * TWO[1], TWO[0]], atol=1e-17)
    assert wt.linear_mixture([[1, 0], [0, 1]], [0.25, 0.75]).tolist() == [0.25, 0.75]


@pytest.mark.parametrize("t", [0.25, 0.5, 0.75])
def test_the_barycenter_of_two_gaussians_averages_means_and_widths(xp, t):
    bary = wt.barycenter(xp.array(TWO), xp.array([1 - t, t]), **WAHU, n_iter=300).histogram
    mean, std = moments(xp.numpy(bary))
    assert mean == pytest.approx(50 + 80 * t, abs=1e-6)
    # fixed point of sd for Gaussians (Janati et al. (2020)), solved below by iteration, all in bins
    sigma2 = 1e-3 * (N - 1) ** 2 / 2
    s = 7.0
    for _ in range(200):
        s2 = sum(w * (np.sqrt(sigma2**2 + 4 * s**2 * v**2) + sigma2) / 2 for w, v in zip((1 - t, t), (5.0, 10.0)))
        s = np.sqrt(s2)
    assert std == pytest.approx(s, rel=1e-6)


def test_a_corner_is_its_atom_blurred_by_eps(xp):
    bary = wt.barycenter(xp.array(TWO), xp.array([1.0, 0.0]), **WAHU, n_iter=500).histogram
    mean, std = moments(xp.numpy(bary))
    assert mean == pytest.approx(50, abs=1e-6)
    assert std == pytest.approx(np.sqrt(5**2 + 1e-3 * (N - 1) ** 2 / 2), abs=1e-4)  # 6.69


def test_the_debiased_barycenter_keeps_the_width(xp):
    atoms = np.stack([gaussian(60, 18, 3), gaussian(60, 38, 3)])
    bary = wt.barycenter(
        xp.array(atoms), xp.array([0.5, 0.5]), wt.GridCost(60), eps=6.0, debiased=True, tol=1e-5, domain="kernel"
    ).histogram
    mean, std = moments(xp.numpy(bary))
    assert mean == pytest.approx(28, abs=1e-3)
    assert std == pytest.approx(3, abs=0.01)  # sublinear convergence: what 1e-5 of the marginals gives
    blurred = wt.barycenter(xp.array(atoms), xp.array([0.5, 0.5]), wt.GridCost(60), eps=6.0).histogram
    assert moments(xp.numpy(blurred))[1] == pytest.approx(np.sqrt(3**2 + 3.0), abs=1e-3)


def test_the_debiased_barycenter_meets_its_default_tolerance(xp):
    # Janati et al. (2020), Theorem 3: Gaussians of one width keep it; of two, the mean width is kept for small eps
    x = np.linspace(0, 1, 100)
    atoms = wt.normalize(np.exp(-0.5 * ((x - np.array([[0.3], [0.7]])) / np.array([[0.05], [0.08]])) ** 2))
    bary = wt.barycenter(xp.array(atoms), xp.array([0.5, 0.5]), xp.array(wt.cost_matrix(x)), eps=1e-2, debiased=True)
    assert bool(np.all(xp.numpy(bary.converged))) and bary.error <= 1e-9 and bary.n_iter < 3000
    mean, std = moments(xp.numpy(bary.histogram))
    assert mean == pytest.approx(0.5 * 99, abs=0.01)
    assert std == pytest.approx(0.065434 * 99, abs=1e-4)  # 0.065434127 after 20,000 iterations, too


GAUGES = {  # a cost plus f(x) + f(y) has the same debiased barycenter: its scalings take f up
    "minus x y": lambda x: -np.outer(x, x) - (0 * x[:, None]),
    "plus 100": lambda x: (x[:, None] - x) ** 2 / 2 + 100,
    "minus 10,000": lambda x: (x[:, None] - x) ** 2 / 2 - 1e4,
    "a hill": lambda x: (x[:, None] - x) ** 2 / 2 + 30 * (np.sin(x)[:, None] + np.sin(x)),
}


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("n_iter", [1, 20, None])
def test_the_debiased_barycenter_does_not_see_what_every_journey_pays_alike(xp, gauge, n_iter):
    if n_iter is None and xp.name != "numpy":
        pytest.skip("the limit of what twenty iterations show on this backend")
    x = np.linspace(0, 10, 40)
    atoms = wt.normalize(np.exp(-0.5 * ((x - np.array([[2.5], [7.0]])) / np.array([[0.8], [0.5]])) ** 2))
    options = {"eps": 0.05, "debiased": True, "n_iter": n_iter, "tol": 1e-7}
    weights = xp.array([0.4, 0.6])
    plain = wt.barycenter(xp.array(atoms), weights, xp.array((x[:, None] - x) ** 2 / 2), **options)
    for domain in ("auto", "log"):
        shifted = wt.barycenter(xp.array(atoms), weights, xp.array(GAUGES[gauge](x)), domain=domain, **options)
        assert_close(shifted.histogram, plain.histogram, atol=1e-9)
        assert shifted.error == pytest.approx(plain.error, rel=1e-3, abs=1e-9)
        assert shifted.n_iter == plain.n_iter
        assert bool(np.all(xp.numpy(shifted.converged))) == bool(np.all(xp.numpy(plain.converged)))


def test_the_debiased_barycenter_of_equal_atoms_is_the_atom(rng):
    p = random_histograms(rng, 12)
    cost = wt.GridCost(12, spacing=0.1)
    bary = wt.barycenter(np.stack([p, p]), [0.3, 0.7], cost, eps=0.01, debiased=True, tol=1e-9)
    assert_close(bary.histogram, p, atol=1e-6)  # sublinear: the tolerance is on the marginals


def test_power_one_votes():
    # WaHU's Salinas setting: distances scaled to a maximum of 10, eps=.05
    cost = wt.LineCost(np.arange(N), scale=10 / (N - 1))
    t = np.array([0.25, 0.4, 0.5, 0.6, 0.75])
    found = wt.barycenter(TWO, np.stack([1 - t, t], -1), cost, eps=0.05, tol=1e-7, max_iter=50_000)
    mean, _ = moments(found.histogram)
    assert_close(mean, [50.7, 52.9, 91.4, 127.4, 129.3], atol=0.06)  # measured once, printed to 0.1


def test_a_very_large_eps_gives_the_mean_of_the_costs(rng):
    # T -> p q^T: u minimises sum_s w_s <atom_s, C u> + eps sum u (log u - 1), so u -> uniform
    atoms = random_histograms(rng, 3, 7)
    bary = wt.barycenter(atoms, [0.2, 0.3, 0.5], rng.random((7, 7)), eps=1e9).histogram
    assert_close(bary, np.full(7, 1 / 7), atol=1e-9)


# ------------------------------------------------------------------------------------------------------- what it is


@pytest.mark.parametrize("n_iter", [1, 2, 25])
def test_n_iter_is_exactly_the_loop_of_equations_6_to_8(xp, rng, n_iter):
    atoms, weights, cost, eps = random_histograms(rng, 3, 8), random_histograms(rng, 4, 3), rng.random((8, 8)), 0.1
    k = np.exp(-cost / eps)
    b = np.ones((4, 3, 8))
    for _ in range(n_iter):
        a = atoms / (b @ k.T)
        phi = a @ k
        p = np.prod(phi ** weights[..., None], axis=-2)
        b = p[:, None] / phi
    for domain in ("kernel", "log"):
        given = xp.array(atoms), xp.array(weights), xp.array(cost)
        found = wt.barycenter(*given, eps=eps, n_iter=n_iter, domain=domain)
        assert_close(found.histogram, p, rtol=1e-12)
        assert found.n_iter == n_iter and found.domain == domain
        plans_rows = a * (b @ k.T)
        assert found.error == pytest.approx(np.abs(plans_rows - atoms).sum(-1).max(), abs=1e-13)


def test_the_weighted_potentials_cancel(xp, rng):
    # stationarity of sum_s w_s W(atom_s, u) in u: the potentials of u, weighted, add up to a constant
    atoms, weights = random_histograms(rng, 3, 10), np.array([0.2, 0.5, 0.3])
    cost = rng.random((10, 10))
    bary = wt.barycenter(xp.array(atoms), xp.array(weights), xp.array(cost), eps=0.05, tol=1e-12).histogram
    u = xp.numpy(bary)
    assert u.sum() == pytest.approx(1.0, abs=1e-11)
    total = sum(w * wt.sinkhorn(d, u / u.sum(), cost, eps=0.05, tol=1e-13).g for w, d in zip(weights, atoms))
    assert_close(total - total.mean(), np.zeros(10), atol=1e-10)


def test_no_neighbour_on_the_simplex_is_nearer(rng):
    atoms, weights = random_histograms(rng, 2, 8), np.array([0.35, 0.65])
    cost = wt.cost_matrix(np.linspace(0, 1, 8))

    def objective(u):
        return sum(w * float(wt.sinkhorn(d, u, cost, eps=0.1, tol=1e-12).value) for w, d in zip(weights, atoms))

    u = wt.normalize(wt.barycenter(atoms, weights, cost, eps=0.1, tol=1e-12).histogram)
    best = objective(u)
    for _ in range(5):
        assert objective(wt.normalize(u * np.exp(0.1 * rng.standard_normal(8)))) > best


# ------------------------------------------------------------------------------------------------------------- peers


@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.1, 0.9], [1.0, 0.0]], ids=str)
@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_the_barycenter_of_gaussians_is_that_of_pot(weights, domain):
    atoms, cost = np.stack([gaussian(50, 12, 2), gaussian(50, 33, 4)]), wt.GridCost(50, spacing=1 / 49)
    ours = wt.barycenter(atoms, weights, cost, eps=5e-3, tol=1e-13, domain=domain).histogram
    theirs = ot.barycenter(
        atoms.T, cost.dense(), 5e-3, weights=np.array(weights), method="sinkhorn_log", numItermax=10_000, stopThr=1e-14
    )
    assert_close(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("weights", [[0.25] * 4, [0.1, 0.2, 0.3, 0.4]], ids=["uniform", "not uniform"])
def test_the_barycenter_of_random_histograms_is_that_of_pot(xp, rng, weights):
    atoms, cost = random_histograms(rng, 4, 12), rng.random((12, 12))
    cost = cost + cost.T
    ours = wt.barycenter(xp.array(atoms), xp.array(weights), xp.array(cost), eps=0.1, tol=1e-13).histogram
    theirs = ot.barycenter(
        atoms.T, cost, 0.1, weights=np.array(weights), method="sinkhorn_log", numItermax=10_000, stopThr=1e-14
    )
    assert_close(ours, theirs, atol=1e-9)


# ------------------------------------------------------------------------------------------------------- invariances

VARIANTS = [{}, {"momentum": -0.4}, {"marginal_weight": 0.5}, {"momentum": -0.3, "marginal_weight": 0.5}]


@pytest.mark.parametrize("options", [*VARIANTS, {"debiased": True}], ids=str)
@pytest.mark.parametrize("cost", [wt.GridCost((2, 5), spacing=0.4), wt.LineCost(0.3 * np.arange(10.0))], ids=str)
def test_kernel_and_log_domain_agree_and_dense_with_both(xp, rng, cost, options):
    atoms, weights = xp.array(random_histograms(rng, 3, 10)), xp.array(random_histograms(rng, 2, 3))
    found = [
        wt.barycenter(atoms, weights, given, eps=0.5, n_iter=15, domain=domain, **options)
        for given in (cost, xp.array(cost.dense()))
        for domain in ("kernel", "log")
    ]
    for other in found[1:]:
        assert_close(other.histogram, found[0].histogram, atol=1e-12)
        assert other.error == pytest.approx(found[0].error, abs=1e-11)


@pytest.mark.parametrize("options", [*VARIANTS, {"debiased": True}], ids=str)
@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_a_batch_equals_the_loop(xp, rng, domain, options):
    atoms, weights = random_histograms(rng, 3, 8), random_histograms(rng, 2, 4, 3)
    options = options | {"eps": 0.1, "n_iter": 20, "domain": domain}
    cost = xp.array(wt.cost_matrix(np.linspace(0, 1, 8)))
    batch = wt.barycenter(xp.array(atoms), xp.array(weights), cost, **options).histogram
    assert tuple(batch.shape) == (2, 4, 8)
    for i in np.ndindex(2, 4):
        one = wt.barycenter(xp.array(atoms), xp.array(weights[i]), cost, **options).histogram
        assert_close(xp.numpy(batch)[i], one, atol=1e-12)


def test_every_sample_may_have_its_own_atoms(xp, rng):
    atoms, weights = random_histograms(rng, 5, 3, 8), random_histograms(rng, 3)
    found = wt.barycenter(xp.array(atoms), xp.array(weights), wt.GridCost(8), eps=2.0, n_iter=10).histogram
    one = wt.barycenter(xp.array(atoms[3]), xp.array(weights), wt.GridCost(8), eps=2.0, n_iter=10).histogram
    assert_close(found[3, :], one, atol=1e-14)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_relabelling_the_atoms_changes_nothing(xp, rng, options):
    atoms, weights, order = random_histograms(rng, 4, 9), random_histograms(rng, 4), [2, 0, 3, 1]
    options = options | {"eps": 1.0, "n_iter": 30}
    here = wt.barycenter(xp.array(atoms), xp.array(weights), wt.GridCost(9), **options).histogram
    there = wt.barycenter(xp.array(atoms[order]), xp.array(weights[order]), wt.GridCost(9), **options).histogram
    assert_close(here, there, atol=1e-14)


@pytest.mark.parametrize("options", [*VARIANTS, {"debiased": True}], ids=str)
def test_an_atom_of_weight_zero_is_not_there(xp, rng, options):
    atoms, weights = random_histograms(rng, 3, 9), np.array([0.3, 0.0, 0.7])
    options = options | {"eps": 1.0, "n_iter": 30}
    here = wt.barycenter(xp.array(atoms), xp.array(weights), wt.GridCost(9), **options).histogram
    there = wt.barycenter(xp.array(atoms[[0, 2]]), xp.array(weights[[0, 2]]), wt.GridCost(9), **options).histogram
    assert_close(here, there, atol=1e-14)


def test_mirrored_atoms_have_a_mirrored_barycenter(rng):
    atoms, weights = random_histograms(rng, 3, 15), random_histograms(rng, 3)
    here = wt.barycenter(atoms, weights, wt.GridCost(15), eps=2.0, n_iter=40).histogram
    there = wt.barycenter(atoms[:, ::-1], weights, wt.GridCost(15), eps=2.0, n_iter=40).histogram
    assert_close(here, there[::-1], atol=1e-14)


# ---------------------------------------------------------------------------------------------------------- variants


def test_momentum_zero_is_plain_and_negative_is_faster(xp, rng):
    atoms, weights = xp.array(random_histograms(rng, 3, 10)), xp.array([0.2, 0.5, 0.3])
    cost = wt.GridCost(10, spacing=0.2)
    settled = wt.barycenter(atoms, weights, cost, eps=0.05, tol=1e-13).histogram
    errors = []
    for tau in (0.0, -0.3, -0.5):
        found = wt.barycenter(atoms, weights, cost, eps=0.05, n_iter=30, momentum=tau).histogram
        errors.append(np.abs(xp.numpy(found) - xp.numpy(settled)).sum())
    plain = wt.barycenter(atoms, weights, cost, eps=0.05, n_iter=30).histogram
    assert errors[0] == np.abs(xp.numpy(plain) - xp.numpy(settled)).sum()
    assert errors[1] < errors[0] / 2 and errors[2] < errors[1] / 2


def test_algorithm_5_is_written_out(xp, rng):
    atoms, weights, cost = random_histograms(rng, 3, 8), np.array([0.2, 0.5, 0.3]), rng.random((8, 8))
    eps, tau = 0.1, -0.3
    k = np.exp(-cost / eps)
    a = b = np.ones((3, 8))
    for _ in range(12):
        a = a**tau * (atoms / (b @ k.T)) ** (1 - tau)
        phi = a @ k
        p = np.prod(phi ** weights[:, None], axis=0)
        b = b**tau * (p / phi) ** (1 - tau)
    given = xp.array(atoms), xp.array(weights), xp.array(cost)
    for domain in ("kernel", "log"):
        found = wt.barycenter(*given, eps=eps, n_iter=12, momentum=tau, domain=domain).histogram
        assert_close(found, p, rtol=1e-11)


def test_algorithm_6_is_written_out(xp, rng):
    atoms, weights, cost = random_histograms(rng, 3, 8), np.array([0.2, 0.5, 0.3]), rng.random((8, 8))
    eps, rho, tau = 0.1, 0.7, -0.2
    k, theta, kappa = np.exp(-cost / eps), rho / (rho + eps), eps / (rho + eps)
    a = b = np.ones((3, 8))
    for _ in range(12):
        a = a**tau * ((atoms / (b @ k.T)) ** theta) ** (1 - tau)
        phi = a @ k
        p = (weights @ phi**kappa) ** (1 / kappa)
        b = b**tau * ((p / phi) ** theta) ** (1 - tau)
    given = xp.array(atoms), xp.array(weights), xp.array(cost)
    options = {"eps": eps, "n_iter": 12, "momentum": tau, "marginal_weight": rho}
    for domain in ("kernel", "log"):
        assert_close(wt.barycenter(*given, domain=domain, **options).histogram, p, rtol=1e-10)


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_algorithm_6_tends_to_algorithm_5_as_one_over_rho(xp, rng, domain):
    atoms, weights = xp.array(random_histograms(rng, 3, 8)), xp.array([0.2, 0.5, 0.3])
    options = {"eps": 0.5, "n_iter": 20, "domain": domain, "momentum": -0.2}
    balanced = xp.numpy(wt.barycenter(atoms, weights, wt.GridCost(8, spacing=0.5), **options).histogram)
    gaps = []
    for rho in (1e3, 1e6, 1e9):
        found = wt.barycenter(atoms, weights, wt.GridCost(8, spacing=0.5), marginal_weight=rho, **options).histogram
        gaps.append(np.abs(xp.numpy(found) - balanced).sum())
    assert gaps[0] / gaps[1] == pytest.approx(1e3, rel=0.05)
    assert gaps[1] / gaps[2] == pytest.approx(1e3, rel=0.05)  # the literal power mean would stop at 1e-7


def test_the_power_mean_is_the_literal_one_where_that_has_digits(xp, rng):
    log_phi, weights = 3 * rng.standard_normal((4, 3, 6)), random_histograms(rng, 4, 3)
    for kappa in (0.9, 0.3, 0.05):
        literal = np.log((weights[..., None] * np.exp(kappa * log_phi)).sum(-2)) / kappa
        assert_close(log_mean(xp.array(log_phi), xp.array(weights), kappa), literal, atol=1e-12)
    geometric = (weights[..., None] * log_phi).sum(-2)
    assert_close(log_mean(xp.array(log_phi), xp.array(weights), 0.0), geometric, atol=1e-14)
    assert_close(log_mean(xp.array(log_phi), xp.array(weights), 1e-12), geometric, atol=1e-10)


def test_the_power_mean_reaches_far_apart_entries(xp):
    log_phi = xp.array([[0.0, -900.0], [-1000.0, 900.0]])
    expected = np.array([0.0 + 2 * np.log(0.25), 900.0 + 2 * np.log(0.75)])  # the larger entry alone, kappa = 1/2
    assert_close(log_mean(log_phi, xp.array([0.25, 0.75]), 0.5), expected, rtol=1e-14)


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("options", [{"momentum": -0.5}, {"momentum": -0.3, "marginal_weight": 1.0}], ids=str)
def test_heavy_ball_with_exact_zeros_stays_finite(xp, rng, domain, options):
    atoms = random_histograms(rng, 3, 9)
    atoms[0, :4], atoms[1, 2:], atoms[2, 5] = 0.0, 0.0, 0.0
    atoms /= atoms.sum(-1, keepdims=True)
    cost, weights = wt.GridCost(9, spacing=0.3), xp.array([0.3, 0.3, 0.4])
    found = wt.barycenter(xp.array(atoms), weights, cost, eps=0.3, n_iter=60, domain=domain, **options)
    assert np.isfinite(xp.numpy(found.histogram)).all()
    if "marginal_weight" not in options:
        plain = wt.barycenter(xp.array(atoms), weights, cost, eps=0.3, tol=1e-12)
        assert_close(found.histogram, plain.histogram, atol=1e-8)


def test_steps_go_on_from_where_they_stopped(rng):
    atoms, weights = random_histograms(rng, 3, 8), random_histograms(rng, 3)
    for domain, steps in (("kernel", wt.barycenter_steps), ("log", wt.barycenter_log_steps)):
        kernel = wt.gibbs_kernel(wt.GridCost(8), 1.0, domain=domain)
        halfway = nth(steps(atoms, weights, kernel), 4)
        on = nth(steps(atoms, weights, kernel, start=halfway), 3).histogram
        assert (on == nth(steps(atoms, weights, kernel), 7).histogram).all()


# --------------------------------------------------------------------------------------------------------- underflow


def test_auto_falls_back_to_the_log_domain_and_says_so():
    cost = WAHU["cost"]
    found = wt.barycenter(TWO, [0.5, 0.5], cost, eps=1e-5, n_iter=5)
    assert found.domain == "log" and np.isfinite(found.histogram).all()
    assert (found.histogram == wt.barycenter(TWO, [0.5, 0.5], cost, eps=1e-5, n_iter=5, domain="log").histogram).all()
    assert wt.barycenter(TWO, [0.5, 0.5], cost, eps=1e-2, n_iter=5).domain == "kernel"


def test_the_kernel_domain_refuses_to_return_nan():
    with pytest.raises(
        FloatingPointError, match=r"underflowed in barycenter \(float64\) \(eps=1e-05\).*domain=\"log\""
    ):
        wt.barycenter(TWO, [0.5, 0.5], WAHU["cost"], eps=1e-5, n_iter=50, domain="kernel")


def test_not_converged_is_a_warning_that_names_the_knobs(rng):
    message = r"Barycenter stopped after 2 iterations with error .* > tol 1.0e-09. Raise max_iter, or eps \(now 0.01\)"
    with pytest.warns(ConvergenceWarning, match=message):
        found = wt.barycenter(random_histograms(rng, 2, 6), [0.5, 0.5], rng.random((6, 6)), eps=0.01, max_iter=2)
    assert not found.converged and found.n_iter == 2


def test_float32_stays_float32(xp, rng):
    atoms, weights = (xp.array(random_histograms(rng, *s), dtype=np.float32) for s in ((3, 8), (4, 3)))
    found = wt.barycenter(atoms, weights, wt.GridCost(8), eps=2.0, n_iter=30).histogram
    assert found.dtype == atoms.dtype
    double = wt.barycenter(xp.array(xp.numpy(atoms)), xp.array(xp.numpy(weights)), wt.GridCost(8), eps=2.0, n_iter=30)
    assert_close(found, double.histogram, atol=1e-6)


# --------------------------------------------------------------------------------------------------------- bad input


def test_lists_and_integers_simply_work():
    found = wt.barycenter([[1, 0, 0], [0, 0, 1]], [1, 1], wt.cost_matrix([0, 1, 2]), eps=1, n_iter=50)
    assert found.histogram.dtype == np.float64


def test_sums_are_not_checked_because_finite_differences_must_be_possible(rng):
    atoms, weights = random_histograms(rng, 2, 5), np.array([0.5, 0.5 + 1e-3])
    assert np.isfinite(wt.barycenter(1.01 * atoms, weights, wt.GridCost(5), eps=1.0, n_iter=3).histogram).all()


def test_nothing_writes_into_its_arguments(rng):
    given = random_histograms(rng, 3, 6), random_histograms(rng, 2, 3), wt.cost_matrix(np.arange(6))
    kept = [z.copy() for z in given]
    for options in (*VARIANTS, {"debiased": True}, {"domain": "log"}):
        wt.barycenter(*given, eps=3.0, n_iter=5, **options)
    wt.linear_mixture(given[0], given[1])
    for after, before in zip(given, kept):
        assert (after == before).all()


TWO_BINS = [[0.5, 0.5], [0.1, 0.9]]
EYE = [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("atoms", "weights", "cost", "options", "message"),
    [
        ([[1.5, -0.5], [0.5, 0.5]], [0.5, 0.5], EYE, {}, "atoms must not be negative; its smallest entry is -0.5"),
        ([[0.5, float("nan")], [0, 1]], [0.5, 0.5], EYE, {}, "atoms holds 1 NaN or infinite entries.*Replace or mask"),
        ([[0, 0], [0.5, 0.5]], [0.5, 0.5], EYE, {}, r"atoms sums to 0 \(row 0 is the first\): drop it"),
        (TWO_BINS, [1.2, -0.2], EYE, {}, "weights must not be negative; its smallest entry is -0.2"),
        (TWO_BINS, [0.5, float("nan")], EYE, {}, "weights holds 1 NaN"),
        (TWO_BINS, [0.2, 0.3, 0.5], EYE, {}, r"weights \(..., n_atoms\); got \(2, 2\) and \(3,\)"),
        ([0.5, 0.5], [1.0], EYE, {}, r"atoms must be \(..., n_atoms, n_bins\).*got \(2,\) and \(1,\)"),
        (TWO_BINS, [0.5, 0.5], np.ones((3, 3)), {}, r"atoms have 2 bins but cost has shape \(3, 3\)"),
        (TWO_BINS, [0.5, 0.5], np.ones((2, 3)), {}, r"cost must be square.*got shape \(2, 3\)"),
        (TWO_BINS, [0.5, 0.5], EYE, {"eps": 0.0}, "eps must be positive; got 0.0"),
        (TWO_BINS, [0.5, 0.5], EYE, {"eps": -2}, "eps must be positive; got -2"),
        (TWO_BINS, [[0.5, 0.5], [0, 0]], EYE, {}, r"weights sums to 0 \(row 1 is the first\): drop it"),
        (TWO_BINS, np.zeros((0, 2)), EYE, {}, r"weights is empty: it has shape \(0, 2\)"),
        ([TWO_BINS] * 2, [[0.5, 0.5]] * 3, EYE, {}, r"leading axes of atoms and weights.*\(2, 2, 2\) and \(3, 2\)"),
        (TWO_BINS, [0.5, 0.5], EYE, {"n_iter": 0}, "^n_iter must be an integer of at least 1, or None .* got 0"),
        (TWO_BINS, [0.5, 0.5], EYE, {"n_iter": True}, "^n_iter must be an integer .* got True"),
        (TWO_BINS, [0.5, 0.5], EYE, {"check_every": 0}, "check_every must be an integer of at least 1; got 0"),
        (TWO_BINS, [0.5, 0.5], EYE, {"momentum": "a"}, r"momentum must be in \(-1, 0\]; got 'a'"),
        (TWO_BINS, [0.5, 0.5], EYE, {"momentum": 0.1}, r"momentum must be in \(-1, 0\]; got 0.1"),
        (TWO_BINS, [0.5, 0.5], EYE, {"marginal_weight": 0}, "marginal_weight must be positive.*got 0"),
        (TWO_BINS, [0.5, 0.5], EYE, {"domain": "logs"}, "domain must be 'auto', 'kernel' or 'log'; got 'logs'"),
        (TWO_BINS, [0.5, 0.5], EYE, {"debiased": True, "momentum": -0.1}, "debiased needs momentum=0 and"),
        (TWO_BINS, [0.5, 0.5], [[0, 1], [2, 0]], {"debiased": True}, "debiased=True needs a symmetric cost"),
    ],
)
def test_barycenter_says_what_does_not_fit(atoms, weights, cost, options, message):
    with pytest.raises(ValueError, match=message):
        wt.barycenter(atoms, weights, cost, **({"eps": 0.5} | options))


def test_a_mixture_says_what_does_not_fit():
    with pytest.raises(ValueError, match=r"one entry per atom.*got weights \(3,\) for atoms \(2, 2\)"):
        wt.linear_mixture(TWO_BINS, [0.2, 0.3, 0.5])
    with pytest.raises(ValueError, match="weights holds NaN or infinite entries"):
        wt.linear_mixture(TWO_BINS, [0.2, float("nan")])


@pytest.mark.parametrize(
    ("atoms", "weights", "message"),
    [
        (TWO_BINS, [1.0, 1.0], r"weights of a row sum to 2, not to 1: use normalize\(weights\)"),
        (TWO_BINS, [[0.5, 0.5], [0.2, 0.2]], "weights of a row sum to 0.4"),
        ([[0.5, 0.5], [0.2, 1.8]], [0.5, 0.5], r"atoms' sums differ, from 1 to 2: use normalize\(atoms\)"),
        (np.float32(TWO_BINS), np.float32([0.5, 0.5]), "float32 resolves 1e-07: raise tol, or use float64"),
    ],
)
def test_a_run_that_cannot_converge_says_why(atoms, weights, message):
    with pytest.warns(ConvergenceWarning, match=message):
        wt.barycenter(atoms, weights, EYE, eps=0.5, max_iter=2)


def test_mixed_backends_and_devices_are_refused_by_name():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="one backend; got numpy and torch"):
        wt.barycenter(np.array(TWO_BINS), torch.tensor([0.5, 0.5]), wt.GridCost(2), eps=1.0)
    with pytest.raises(TypeError, match="one backend; got numpy and torch"):
        wt.linear_mixture(np.array(TWO_BINS), torch.tensor([0.5, 0.5]))
    there = array_api_strict.asarray([0.5, 0.5], device=array_api_strict.Device("device1"))
    with pytest.raises(TypeError, match="one device; got"):
        wt.barycenter(array_api_strict.asarray(TWO_BINS), there, wt.GridCost(2), eps=1.0)


# ------------------------------------------------------------------------------------------------ on bins of its own

X_ATOMS, X_OWN = np.linspace(0, 1, 12), np.linspace(-0.1, 1.1, 31)


@pytest.mark.parametrize("domain", ["kernel", "log", "auto"])
@pytest.mark.parametrize(
    "options", [{}, {"momentum": -0.3, "tol": 1e-8}, {"acceleration": None}, {"n_iter": 3}], ids=str
)
def test_the_barycenter_of_two_diracs_on_bins_of_its_own_is_a_gaussian_between_them(xp, options, domain):
    # transport from one bin has no choice: u is proportional to exp(-sum w_s C_s / eps) (Schmitz et al. (2018), (5))
    cost, weights, eps = wt.cost_matrix(X_ATOMS, X_OWN), np.array([[0.3, 0.7], [1.0, 0.0]]), 0.05
    two = np.eye(12)[[0, 9]]
    found = wt.barycenter(
        xp.array(two), xp.array(weights), None, support_cost=xp.array(cost), eps=eps, domain=domain, **options
    )
    expected = np.exp(-(weights @ cost[[0, 9]]) / eps)
    assert_close(found.histogram, expected / expected.sum(1, keepdims=True), atol=1e-7)
    assert tuple(found.histogram.shape) == (2, 31)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_a_support_cost_that_is_the_cost_changes_nothing(xp, rng, options):
    atoms, weights = xp.array(random_histograms(rng, 3, 12)), xp.array(random_histograms(rng, 4, 3))
    cost, options = xp.array(wt.cost_matrix(X_ATOMS)), options | {"eps": 0.1, "n_iter": 15}
    plain = wt.barycenter(atoms, weights, cost, **options)
    assert_close(wt.barycenter(atoms, weights, None, support_cost=cost, **options).histogram, plain.histogram, atol=0)


@pytest.mark.parametrize("options", [{}, {"marginal_weight": 0.5}], ids=str)
def test_a_barycenter_on_bins_of_its_own_is_best_among_the_histograms_there(rng, options):
    atoms, weights = random_histograms(rng, 2, 12), np.array([0.4, 0.6])
    cost, eps = wt.cost_matrix(X_ATOMS, X_OWN), 0.1

    def objective(u):
        runs = [wt.sinkhorn(a, u, cost, eps=eps, tol=1e-12, **options) for a in atoms]
        return float(sum(w * r.value for w, r in zip(weights, runs)))

    best = wt.barycenter(atoms, weights, None, support_cost=cost, eps=eps, tol=1e-12).histogram
    if not options:
        least = objective(best)
        for _ in range(5):
            assert objective(wt.normalize(best * np.exp(0.1 * rng.normal(size=31)))) > least
    domains = [
        wt.barycenter(atoms, weights, None, support_cost=cost, eps=eps, tol=1e-11, domain=d, **options).histogram
        for d in ("kernel", "log")
    ]
    assert_close(domains[0], domains[1], atol=1e-9)


def test_a_support_cost_says_what_does_not_fit(rng):
    atoms, cost = random_histograms(rng, 2, 12), wt.cost_matrix(X_ATOMS, X_OWN)
    options = {"eps": 0.1, "support_cost": cost}
    with pytest.raises(ValueError, match="give cost=None with it"):
        wt.barycenter(atoms, [0.5, 0.5], wt.cost_matrix(X_ATOMS), **options)
    with pytest.raises(ValueError, match="not debiased=True"):
        wt.barycenter(atoms, [0.5, 0.5], None, debiased=True, **options)
    with pytest.raises(ValueError, match=r"atoms have 9 bins but cost has shape \(12, 31\)"):
        wt.barycenter(random_histograms(rng, 2, 9), [0.5, 0.5], None, **options)


def test_nobody_advises_a_debiased_barycenter_what_it_refuses_or_what_slows_it():
    cost = wt.GridCost(60)
    two = np.stack([gaussian(60, 18, 3), gaussian(60, 38, 3)])
    with pytest.warns(ConvergenceWarning, match=r"error .* Raise max_iter, or tol\.$"):
        found = wt.barycenter(two, [0.5, 0.5], cost, eps=6.0, debiased=True, max_iter=30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for remedy in ({"max_iter": 10_000}, {"max_iter": 30, "tol": 1.01 * found.error}):
            assert wt.barycenter(two, [0.5, 0.5], cost, eps=6.0, debiased=True, **remedy).converged


@pytest.mark.parametrize("options", [{}, {"acceleration": None}, {"n_iter": 3000}], ids=str)
def test_weights_that_sum_to_more_than_two_are_told_so_and_not_to_use_float64(options):
    with pytest.raises(FloatingPointError, match=r"diverge. The weights of a row sum to 3.5, not to 1: use normalize"):
        wt.barycenter(TWO, [2.0, 1.5], wt.GridCost(N), eps=500.0, **options)


@pytest.mark.parametrize("weights", [[0.02, 0.02], [0.3, 0.3], [0.9, 0.8]], ids=str)
def test_weights_that_do_not_sum_to_one_converge_as_the_plain_iteration_does(xp, weights):
    atoms = xp.array(np.stack([gaussian(60, 15, 3), gaussian(60, 42, 4)]))
    plain, auto = (
        wt.barycenter(atoms, xp.array(weights), wt.GridCost(60), eps=50.0, acceleration=way) for way in (None, "auto")
    )
    assert bool(np.all(xp.numpy(plain.converged))) and bool(np.all(xp.numpy(auto.converged)))
    assert auto.n_iter <= 1.1 * plain.n_iter + 6
    assert_close(auto.histogram, plain.histogram, atol=1e-8)
