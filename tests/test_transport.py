"""Entropic transport: closed forms first, then invariances, then POT."""

from __future__ import annotations

import itertools
import tracemalloc
import warnings

import array_api_strict
import numpy as np
import ot
import pytest
from conftest import assert_close, gaussian, random_histograms

import wdl_tutorial as wt
from wdl_tutorial import ConvergenceWarning
from wdl_tutorial.iterate import nth
from wdl_tutorial.scaling import Scaled, is_right
from wdl_tutorial.transport import LARGEST_PLAN


def problem(rng, n=9, m=9, batch=()):
    """Histograms and a random cost between them."""
    return random_histograms(rng, *batch, n), random_histograms(rng, *batch, m), rng.random((n, m))


def entropy(plan):
    """H(T) = sum T (log T - 1), Schmitz et al. (2018), eq. (3)."""
    return np.sum(np.where(plan > 0, plan * (np.log(np.where(plan > 0, plan, 1.0)) - 1.0), 0.0), axis=(-2, -1))


def exactly(n_iter, **options):
    """Options that make sinkhorn run exactly ``n_iter`` iterations."""
    return {"tol": 0.0, "max_iter": n_iter} | options


# ------------------------------------------------------------------------------------------------------ closed forms


def test_a_very_large_eps_gives_the_product_of_the_marginals(xp, rng):
    p, q, cost = problem(rng, 5, 7)
    plan = wt.sinkhorn(xp.array(p), xp.array(q), xp.array(cost), eps=1e9).plan
    assert_close(plan, p[:, None] * q[None, :], atol=1e-9)  # first order in cost / eps


def test_a_very_small_eps_gives_the_exact_transport_by_quantiles(rng):
    p, q = random_histograms(rng, 2, 12)
    x = np.linspace(0, 1, 12)
    gaps = []
    for eps in (1e-2, 1e-3, 2e-4):
        found = wt.sinkhorn(p, q, wt.cost_matrix(x), eps=eps, eps_scaling=0.5, max_iter=200_000, tol=1e-7)
        gaps.append(float(found.transport_cost) - wt.wasserstein_1d(p, q, x))
    assert gaps[0] > gaps[1] > gaps[2] > -1e-7
    assert gaps[2] < 1e-6  # a linear programme: the gap falls faster than any power of eps


@pytest.mark.parametrize("eps", [5.0, 50.0, 500.0])  # a smaller kernel falls between bins
def test_transport_between_gaussians_has_its_closed_form(eps):
    # the best coupling of N(m, s^2), N(n, t^2) is Gaussian with cross-covariance c: c^2 + c eps/2 = s^2 t^2
    n, (m1, s1), (m2, s2) = 140, (55.0, 4.0), (80.0, 6.0)
    p, q = gaussian(n, m1, s1), gaussian(n, m2, s2)
    found = wt.sinkhorn(p, q, wt.GridCost(n), eps=eps, tol=1e-12, max_iter=50_000)
    c = -eps / 4 + np.sqrt(eps**2 / 16 + s1**2 * s2**2)
    x = np.arange(n)
    covariance = ((x - m1)[:, None] * (x - m2)[None, :] * found.plan).sum()
    # sums over bins of smooth Gaussians equal integrals to rounding; what is left is the tails cut at 9 sigma
    assert covariance == pytest.approx(c, rel=1e-8)
    assert float(found.transport_cost) == pytest.approx((m1 - m2) ** 2 + s1**2 + s2**2 - 2 * c, rel=1e-9)


def test_a_dirac_goes_wherever_the_target_is(xp, rng):
    p, q = np.eye(6)[2], random_histograms(rng, 6)
    cost = rng.random((6, 6))
    found = wt.sinkhorn(xp.array(p), xp.array(q), xp.array(cost), eps=0.1)
    expected = np.zeros((6, 6))
    expected[2] = q
    assert_close(found.plan, expected, atol=1e-15)
    assert_close(found.value, cost[2] @ q + 0.1 * entropy(expected), rtol=1e-13)


def test_two_bins_follow_the_quadratic_formula():
    # T = [[t, p-t], [q-t, 1-p-q+t]] with t (1-p-q+t) / ((p-t)(q-t)) = exp(2/eps) for the cost [[0,1],[1,0]]
    p, q, eps = 0.3, 0.6, 0.7
    plan = wt.sinkhorn([p, 1 - p], [q, 1 - q], [[0, 1], [1, 0]], eps=eps, tol=1e-15).plan
    k = np.exp(2 / eps)
    t = np.roots([1 - k, 1 - p - q + k * (p + q), -k * p * q])
    t = t[(t > 0) & (t < p)][0]
    assert plan[0, 0] == pytest.approx(t, rel=1e-12)


# ------------------------------------------------------------------------------------------------------- what it is


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("n_iter", [1, 3, 100])
def test_row_sums_are_exact_at_any_number_of_iterations(xp, rng, domain, n_iter):
    p, q, cost = problem(rng, 5, 8, (2,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = wt.sinkhorn(xp.array(p), xp.array(q), xp.array(cost), eps=0.1, domain=domain, **exactly(n_iter))
    plan = xp.numpy(found.plan)
    assert_close(plan.sum(-1), p, atol=1e-14)
    assert found.error == pytest.approx(np.abs(plan.sum(-2) - q).sum(-1).max(), abs=1e-13)


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_the_value_is_the_primal_and_the_dual(xp, rng, domain):
    p, q, cost = problem(rng, 7, 5, (3,))
    eps = 0.05
    found = wt.sinkhorn(xp.array(p), xp.array(q), xp.array(cost), eps=eps, tol=1e-14, domain=domain)
    plan, f, g = (xp.numpy(z) for z in (found.plan, found.f, found.g))
    assert_close(found.value, (f * p).sum(-1) + (g * q).sum(-1) - eps * plan.sum((-2, -1)), atol=1e-14)
    assert_close(found.value, (plan * cost).sum((-2, -1)) + eps * entropy(plan), atol=1e-13)
    assert_close(found.transport_cost, (plan * cost).sum((-2, -1)), rtol=1e-14)
    assert_close(plan, np.exp((f[..., :, None] + g[..., None, :] - cost) / eps), rtol=1e-12)


def test_the_potentials_are_the_gradients_of_the_value(rng):
    p, q, cost = problem(rng, 6, 5)

    def value(p, q):
        return wt.sinkhorn(p, q, cost, eps=0.1, tol=1e-14).value

    found = wt.sinkhorn(p, q, cost, eps=0.1, tol=1e-14)
    assert wt.check_gradient(lambda z: value(z, q), p, found.f, simplex=True).ok
    assert wt.check_gradient(lambda z: value(p, z), q, found.g, simplex=True).ok


def test_the_steps_are_the_lines_of_equation_4(xp, rng):
    p, q, cost = problem(rng, 4, 6)
    k = np.exp(-cost / 0.2)
    u = np.ones(4)
    for _ in range(3):
        v = q / (k.T @ u)
        u = p / (k @ v)
    state = nth(wt.sinkhorn_steps(xp.array(p), xp.array(q), wt.gibbs_kernel(xp.array(cost), 0.2)), 3)
    log = nth(wt.sinkhorn_log_steps(xp.array(p), xp.array(q), wt.gibbs_kernel(xp.array(cost), 0.2, domain="log")), 3)
    for ours, theirs in ((state.u, u), (state.v, v)):
        assert_close(ours, theirs, rtol=1e-13)
    for ours, theirs in ((log.log_u, u), (log.log_v, v)):
        assert_close(ours, np.log(theirs), atol=1e-13)


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_steps_go_on_from_where_they_stopped(rng, domain):
    p, q, cost = problem(rng)
    kernel = wt.gibbs_kernel(cost, 0.1, domain=domain)
    steps = wt.sinkhorn_steps if domain == "kernel" else wt.sinkhorn_log_steps
    halfway = nth(steps(p, q, kernel), 4)
    for a, b in zip(nth(steps(p, q, kernel, start=halfway), 3), nth(steps(p, q, kernel), 7)):
        assert (a == b).all()


# ------------------------------------------------------------------------------------------------------------- peers


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("kind", ["random", "asymmetric", "rectangular", "separable"])
def test_the_plan_is_that_of_pot(rng, domain, kind):
    n, m = (7, 11) if kind == "rectangular" else (12, 12)
    p, q, cost = problem(rng, n, m)
    cost = cost + cost.T if kind == "random" else cost
    ours = wt.GridCost((3, 4), spacing=0.4) if kind == "separable" else cost
    dense = ours.dense() if kind == "separable" else cost
    plan = wt.sinkhorn(p, q, ours, eps=0.08, tol=1e-13, max_iter=100_000, domain=domain).plan
    theirs = ot.bregman.sinkhorn_log(p, q, dense, 0.08, numItermax=100_000, stopThr=1e-13)
    assert_close(plan, theirs, atol=1e-9)


# ------------------------------------------------------------------------------------------------------- invariances


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("options", [{}, {"marginal_weight": 0.5}, {"momentum": -0.4}], ids=str)
@pytest.mark.filterwarnings("ignore::wdl_tutorial.ConvergenceWarning")
def test_a_batch_equals_the_loop(xp, rng, domain, options):
    p, q, cost = problem(rng, 6, 8, (2, 3))
    cost = xp.array(cost)
    options = exactly(20, eps=0.1, domain=domain, **options)
    batch = wt.sinkhorn(xp.array(p), xp.array(q), cost, **options)
    for i in np.ndindex(2, 3):
        one = wt.sinkhorn(xp.array(p[i]), xp.array(q[i]), cost, **options)
        for name in ("value", "f", "g"):
            assert_close(xp.numpy(getattr(batch, name))[i], getattr(one, name), atol=1e-12)
    assert xp.numpy(batch.converged).shape == (2, 3)


def test_leading_axes_broadcast(xp, rng):
    p, q, cost = random_histograms(rng, 4, 1, 6), random_histograms(rng, 3, 5), rng.random((6, 5))
    found = wt.sinkhorn(xp.array(p), xp.array(q), xp.array(cost), eps=0.3)
    assert xp.numpy(found.value).shape == (4, 3) and xp.numpy(found.f).shape == (4, 3, 6)
    assert tuple(found.plan.shape) == (4, 3, 6, 5)
    one = wt.sinkhorn(xp.array(p[2, 0]), xp.array(q[1]), xp.array(cost), eps=0.3)
    assert_close(found.value[2, 1], one.value, atol=1e-9)  # each stops at the tolerance


@pytest.mark.parametrize(
    "cost", [wt.GridCost((2, 4), spacing=0.5), wt.LineCost(0.2 * np.arange(8.0) ** 1.2)], ids=["grid", "line"]
)
@pytest.mark.parametrize("options", [{}, {"marginal_weight": 2.0}, {"momentum": -0.3}], ids=str)
def test_kernel_and_log_domain_agree_and_dense_with_both(xp, rng, cost, options):
    p, q = (xp.array(z) for z in random_histograms(rng, 2, 2, 8))
    options = options | {"eps": 0.7, "tol": 1e-12}
    reference = wt.sinkhorn(p, q, xp.array(cost.dense()), domain="kernel", **options)
    for given, domain in itertools.product((cost, xp.array(cost.dense())), ("kernel", "log")):
        found = wt.sinkhorn(p, q, given, domain=domain, **options)
        assert found.domain == domain
        for name in ("value", "f", "g", "plan", "transport_cost"):
            assert_close(getattr(found, name), getattr(reference, name), atol=1e-10)


def test_swapping_the_histograms_transposes_the_plan(rng):
    p, q, cost = problem(rng, 5, 7)
    there = wt.sinkhorn(p, q, cost, eps=0.1, tol=1e-13)
    back = wt.sinkhorn(q, p, cost.T, eps=0.1, tol=1e-13)
    assert_close(there.plan, back.plan.T, atol=1e-12)


def test_a_constant_added_to_the_cost_is_added_to_the_value(rng):
    p, q, cost = problem(rng)
    values = [float(wt.sinkhorn(p, q, cost + c, eps=0.1, tol=1e-13).value) for c in (0.0, 0.25)]
    assert values[1] - values[0] == pytest.approx(0.25, abs=1e-12)


def test_every_backend_gives_the_same_numbers(xp, rng):
    p, q, cost = problem(rng, batch=(2,))
    ours = wt.sinkhorn(xp.array(p), xp.array(q), xp.array(cost), eps=0.05, tol=1e-13)
    plain = wt.sinkhorn(p, q, cost, eps=0.05, tol=1e-13)  # by its twin: a looser run would end within its tolerance
    assert type(ours.value) is type(xp.array(p)) or xp.module is np
    assert ours.n_iter == plain.n_iter
    assert_close(ours.plan, plain.plan, atol=1e-13)


# ---------------------------------------------------------------------------------------------------------- variants


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_unbalanced_transport_solves_its_equations_and_its_duality(xp, rng, domain):
    p, q, cost = problem(rng, 6, 8, (2,))
    q = q * np.array([[1.0], [1.0 + 5e-7]])
    eps, rho = 0.1, 0.4
    found = wt.sinkhorn(
        xp.array(p), xp.array(q), xp.array(cost), eps=eps, marginal_weight=rho, tol=1e-14, domain=domain
    )
    f, g, plan = (xp.numpy(z) for z in (found.f, found.g, found.plan))
    rows, columns, theta = plan.sum(-1), plan.sum(-2), rho / (rho + eps)
    k, u, v = np.exp(-cost / eps), np.exp(f / eps), np.exp(g / eps)
    assert_close(u, (p / (v @ k.T)) ** theta, rtol=1e-12)
    assert_close(v, (q / (u @ k)) ** theta, rtol=1e-12)

    def kl(a, b):
        return (a * np.log(a / b) - a + b).sum(-1)

    primal = (plan * cost).sum((-2, -1)) + eps * entropy(plan) + rho * (kl(rows, p) + kl(columns, q))
    assert_close(found.value, primal, atol=1e-12)


def test_unbalanced_tends_to_balanced(rng):
    p, q, cost = problem(rng, 5, 6)
    balanced = wt.sinkhorn(p, q, cost, eps=1.0, tol=1e-13)
    gaps = []
    for rho in (10.0, 100.0, 1000.0):
        found = wt.sinkhorn(p, q, cost, eps=1.0, marginal_weight=rho, tol=1e-11, max_iter=50_000)
        gaps.append(np.abs(found.plan - balanced.plan).sum())
    assert gaps[1] < gaps[0] / 8 and gaps[2] < gaps[1] / 8  # first order in 1 / rho


@pytest.mark.parametrize("rho", [0.05, 0.5, 5.0])
def test_an_orphan_peak_dies_where_its_journey_costs_more_than_its_mass(xp, rho):
    # between Diracs at cost c: min over t of t c + eps t (log t - 1) + 2 rho (t log t - t + 1)
    p, q = xp.array(np.eye(20)[2]), xp.array(np.eye(20)[12])
    found = wt.sinkhorn(p, q, wt.GridCost(20, spacing=0.1), eps=0.05, marginal_weight=rho)
    assert_close(np.sum(xp.numpy(found.plan)), np.exp(-1.0 / (0.05 + 2 * rho)), rtol=1e-8)


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_momentum_reaches_the_same_plan_in_fewer_iterations(xp, rng, domain):
    p, q, cost = problem(rng, 10, 10)
    options = {"eps": 0.05, "tol": 1e-11, "domain": domain, "check_every": 1}
    given = xp.array(p), xp.array(q), xp.array(cost)
    plain = wt.sinkhorn(*given, acceleration=None, **options)
    heavy = wt.sinkhorn(*given, momentum=-0.4, **options)
    assert_close(heavy.plan, plain.plan, atol=1e-10)
    assert heavy.n_iter < 0.8 * plain.n_iter


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_steps_refuse_a_kernel_of_the_other_domain(domain):
    # they went on, and gave finite numbers of no meaning
    kernel = wt.gibbs_kernel(EYE, 0.5, domain=domain)
    two, half = np.eye(2), np.array([0.5, 0.5])
    transport, barycenter = (
        (wt.sinkhorn_log_steps, wt.barycenter_log_steps)
        if domain == "kernel"
        else (wt.sinkhorn_steps, wt.barycenter_steps)
    )
    for steps in (transport(half, half, kernel), barycenter(two, half, kernel)):
        with pytest.raises(ValueError, match=rf"the kernel of the {domain} domain\. Give them gibbs_kernel"):
            next(steps)


def boxes(kind):
    p, q = np.zeros((2, 100), dtype=kind)
    p[10:30] = q[60:80] = 1 / 20
    return p, q


@pytest.mark.parametrize("kind, eps", [(np.float32, 1e-10), (np.float64, 1e-18)])
def test_an_eps_beneath_the_rounding_of_the_potentials_is_an_error_not_a_plan(kind, eps):
    # the exponents (f + g - C) / eps had no digit left, and the run had "converged" with error 0
    cost = wt.cost_matrix(np.linspace(0, 1, 100))
    with pytest.raises(FloatingPointError, match=r"in the log domain\. Use float64, a larger eps"):
        wt.sinkhorn(*boxes(kind), cost, eps=eps, tol=1e-5, max_iter=50)


def test_an_eps_that_leaves_float32_a_digit_or_two_is_told():
    cost = wt.cost_matrix(np.linspace(0, 1, 100))
    with (
        pytest.warns(wt.ConvergenceWarning),
        pytest.warns(UserWarning, match="leave float32 fewer than two digits.*Use float64, or a larger eps"),
    ):
        wt.sinkhorn(*boxes(np.float32), cost, eps=1e-6, tol=1e-2, max_iter=50)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", wt.ConvergenceWarning)
        wt.sinkhorn(*boxes(np.float64), cost, eps=1e-6, tol=1e-2, max_iter=50)


@pytest.mark.parametrize("domain", ["auto", "log"])
def test_a_forbidden_move_is_a_large_finite_cost(domain):
    cost = np.array([[0.0, 1.0, 1e300], [1.0, 0.0, 1.0], [1e300, 1.0, 0.0]])
    found = wt.sinkhorn([0.4, 0.4, 0.2], [0.2, 0.4, 0.4], cost, eps=0.05, domain=domain)
    assert found.plan[0, 2] == found.plan[2, 0] == 0 and found.converged
    assert found.transport_cost == pytest.approx(0.4, abs=1e-3)  # through the middle, 0.2 each way


def test_the_divergence_takes_a_list_beside_an_array_of_any_backend(xp):
    p, q, cost = [0.7, 0.2, 0.1], [0.1, 0.2, 0.7], wt.cost_matrix([0, 1, 2])
    plain = wt.sinkhorn_divergence(p, q, cost, eps=0.5)
    for given in ((p, xp.array(q)), (xp.array(p), q)):
        assert_close(wt.sinkhorn_divergence(*given, xp.array(cost), eps=0.5), plain, rtol=1e-12)


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_a_float32_or_integer_cost_is_divided_by_eps_in_the_type_of_the_histograms(xp, rng, domain):
    p, q = (random_histograms(rng, 30) for _ in range(2))
    whole = np.abs(np.subtract.outer(np.arange(30), np.arange(30))) ** 2 * 3 + np.arange(30)
    exact = wt.sinkhorn(p, q, whole, eps=3.3, domain=domain)
    integers = xp.module.asarray(whole)
    for cost in (integers, xp.array(whole, dtype=np.float32)):
        found = wt.sinkhorn(xp.array(p), xp.array(q), cost, eps=3.3, domain=domain)
        assert_close(found.value, exact.value, rtol=1e-13)
        assert_close(xp.numpy(found.plan).sum(0), q, atol=1e-9)


def test_eps_scaling_needs_fewer_iterations_for_the_same_value(xp):
    n = 30
    p, q = xp.array(gaussian(n, n / 5, n / 20)), xp.array(gaussian(n, 3 * n / 4, n / 15))
    cost, options = wt.GridCost(n, spacing=1 / n), {"eps": 5e-4, "tol": 1e-6, "domain": "log", "acceleration": None}
    plain = wt.sinkhorn(p, q, cost, **options)
    scaled = wt.sinkhorn(p, q, cost, eps_scaling=0.5, **options)
    assert scaled.n_iter < 0.8 * plain.n_iter  # counting those spent at larger eps
    assert_close(scaled.value, plain.value, atol=1e-7)
    assert scaled.domain == "log"


# --------------------------------------------------------------------------------------------------- the divergence


def test_the_divergence_is_zero_at_home_positive_abroad_and_symmetric(xp, rng):
    cost = wt.GridCost(8, spacing=0.2)
    p, q = (xp.array(z) for z in random_histograms(rng, 2, 3, 8))
    options = {"eps": 0.1, "tol": 1e-12}
    assert_close(wt.sinkhorn_divergence(p, p, cost, **options), np.zeros(3), atol=1e-15)
    there, back = wt.sinkhorn_divergence(p, q, cost, **options), wt.sinkhorn_divergence(q, p, cost, **options)
    assert (xp.numpy(there) > 1e-4).all()
    assert_close(there, back, atol=1e-11)


def test_the_divergence_of_two_diracs_is_their_cost():
    eye = np.eye(7)
    assert float(wt.sinkhorn_divergence(eye[1], eye[4], wt.GridCost(7), eps=3.0)) == pytest.approx(9.0, abs=1e-12)


def test_the_divergence_is_w_minus_half_of_both_selves(rng):
    p, q = random_histograms(rng, 2, 9)
    cost = wt.LineCost(np.arange(9.0))
    w = {
        name: float(wt.sinkhorn(*pair, cost, eps=0.5).value)
        for name, pair in {"pq": (p, q), "pp": (p, p), "qq": (q, q)}.items()
    }
    assert float(wt.sinkhorn_divergence(p, q, cost, eps=0.5)) == pytest.approx(w["pq"] - (w["pp"] + w["qq"]) / 2)


# ----------------------------------------------------------------------------------------------- zeros and underflow


@pytest.mark.parametrize("domain", ["kernel", "log", "auto"])
@pytest.mark.parametrize("options", [{}, {"marginal_weight": 1.0}, {"momentum": -0.4}], ids=str)
def test_empty_bins_send_and_receive_nothing(xp, rng, domain, options):
    p, q, cost = problem(rng, 6, 6, (2,))
    p[0, :3], q[:, 2], q[:, 5] = 0.0, 0.0, 0.0
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    found = wt.sinkhorn(xp.array(p), xp.array(q), xp.array(cost), eps=0.1, domain=domain, **options)
    plan = xp.numpy(found.plan)
    assert (plan[0, :3] == 0).all() and (plan[:, :, [2, 5]] == 0).all()
    assert np.isfinite(plan).all() and np.isfinite(xp.numpy(found.value)).all()
    assert np.isfinite(xp.numpy(found.transport_cost)).all()
    if not options:
        kept = wt.sinkhorn(p[0, 3:], q[0, [0, 1, 3, 4]], cost[3:][:, [0, 1, 3, 4]], eps=0.1)
        assert_close(found.value[0], kept.value, atol=1e-9)  # as if those bins did not exist


UNIT = {"p": gaussian(200, 50, 5), "q": gaussian(200, 130, 10), "cost": wt.GridCost(200, spacing=1 / 199)}


def test_auto_falls_back_to_the_log_domain_and_says_so():
    p, q, cost = UNIT.values()
    with pytest.warns(ConvergenceWarning):
        found = wt.sinkhorn(p, q, cost, eps=1e-4, max_iter=20)
        assert found.domain == "log" and np.isfinite(found.value) and np.isfinite(found.plan).all()
        asked = wt.sinkhorn(p, q, cost, eps=1e-4, max_iter=20, domain="log")
    assert (found.f == asked.f).all()
    assert wt.sinkhorn(p, q, cost, eps=1e-1).domain == "kernel"


def test_the_kernel_domain_refuses_to_return_nan():
    p, q, cost = UNIT.values()
    message = r"exp\(-cost/eps\) underflowed in sinkhorn \(eps=0.0001\).*domain=\"log\".*larger eps"
    with pytest.raises(FloatingPointError, match=message):
        wt.sinkhorn(p, q, cost, eps=1e-4, domain="kernel")


@pytest.mark.parametrize("eps", [2e-4, 3e-4, 4e-4, 5e-4, 5.5e-4, 6e-4, 6.5e-4, 1e-3])
def test_two_peaks_are_solved_in_the_log_domain_where_the_kernel_domain_only_stands_still(eps):
    # chapter 5: from eps = 5e-4 on a scaling becomes 0 in the first rounds, in bins with mass
    x = np.linspace(0, 1, 200)
    p, q = (wt.normalize(np.exp(-0.5 * ((x - m / 199) / (s / 199)) ** 2)) for m, s in ((50, 5), (130, 10)))
    found = wt.sinkhorn(p, q, wt.cost_matrix(x), eps=eps)
    assert found.converged and found.error <= 1e-9
    try:
        asked = wt.sinkhorn(p, q, wt.cost_matrix(x), eps=eps, domain="kernel")
        assert asked.converged
    except FloatingPointError:
        assert found.domain == "log"


def test_trust_ends_where_the_smallest_numbers_begin():
    one, yes, small = np.ones(3), np.ones(3, dtype=bool), np.array([1.0, 1e-310, 1.0])
    outer = np.array([True, False, True])
    right = lambda *scaled, **more: is_right("kernel", Scaled(*scaled), **more)  # noqa: E731
    assert right(one, one, yes)
    assert not right(one, small, yes)
    assert right(one, small, outer)  # where nothing depends on it
    assert not right(np.array([1.0, np.inf, 1.0]), one, yes)
    assert not right(one, np.array([1.0, np.nan, 1.0]), yes)
    assert right(small, one, yes) and right(small, one, yes, outer)
    assert not right(small, one, yes, yes)  # its logarithm is asked for
    assert not right(one, one, yes, numbers=(np.array([np.inf]),))


def test_not_converged_is_a_warning_that_names_the_knobs(rng):
    p, q, cost = problem(rng)
    message = (
        r"Sinkhorn stopped after 3 iterations with error .* > tol 1.0e-09. Raise max_iter, or eps \(now 0.001\).*eps_"
    )
    with pytest.warns(ConvergenceWarning, match=message):
        found = wt.sinkhorn(p, q, cost, eps=1e-3, max_iter=3)
    assert not found.converged and found.n_iter == 3 and found.error > 1e-9


def test_float32_stays_float32(xp, rng):
    p, q, cost = (xp.array(z, dtype=np.float32) for z in problem(rng))
    found = wt.sinkhorn(p, q, cost, eps=0.1, tol=1e-5)
    assert found.value.dtype == p.dtype and found.plan.dtype == p.dtype
    assert_close(xp.numpy(found.plan).sum(-1), p, atol=1e-6)


# --------------------------------------------------------------------------------------------------------- bad input


def test_lists_and_integers_simply_work():
    found = wt.sinkhorn([1, 0], [0, 1], [[0, 1], [1, 0]], eps=1)
    assert found.plan.tolist() == [[0.0, 1.0], [0.0, 0.0]]
    assert found.value.dtype == np.float64


def test_nothing_writes_into_its_arguments(rng):
    given = problem(rng, batch=(2,))
    kept = [z.copy() for z in given]
    for options in ({}, {"momentum": -0.3}, {"marginal_weight": 1.0}, {"domain": "log"}, {"eps_scaling": 0.5}):
        wt.sinkhorn(*given, eps=0.5, **options)
    wt.sinkhorn_divergence(given[0], given[1], wt.GridCost(9), eps=5.0)
    for after, before in zip(given, kept):
        assert (after == before).all()


HALF = [0.5, 0.5]
EYE = [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("p", "q", "cost", "options", "message"),
    [
        ([1.5, -0.5], HALF, EYE, {}, "p must not be negative; its smallest entry is -0.5.*Clip it"),
        (HALF, [float("nan"), 1], EYE, {}, "q holds 1 NaN or infinite entries.*Replace or mask"),
        (
            [HALF, [0.5, 0.33]],
            HALF,
            EYE,
            {},
            r"p must sum to 1.*worst row sums to 0.83. Use wdl_tutorial.normalize\(p\)",
        ),
        (HALF, [0, 0], EYE, {}, r"q must sum to 1 .* worst row sums to 0. Use wdl_tutorial.normalize\(q\)"),
        (HALF, [0.2, 0.3, 0.5], EYE, {}, r"cost has shape \(2, 2\) but p has 2 bins and q 3; it must be \(2, 3\)"),
        (1.0, HALF, EYE, {}, "p must have its bins on the last axis; got a number"),
        (HALF, HALF, [0, 1], {}, r"cost must be a matrix, a GridCost or a LineCost; got an array of shape \(2,\)"),
        (HALF, HALF, [[0, float("nan")], [1, 0]], {}, "cost holds NaN or infinite entries.*large finite cost"),
        (HALF, HALF, EYE, {"eps": 0}, "eps must be positive; got 0.*blur_width"),
        (HALF, HALF, EYE, {"eps": -1}, "eps must be positive; got -1"),
        (HALF, HALF, EYE, {"domain": "fast"}, "domain must be 'auto', 'kernel' or 'log'; got 'fast'"),
        (HALF, HALF, EYE, {"marginal_weight": -1}, "marginal_weight must be positive.*got -1. None is balanced"),
        (HALF, HALF, EYE, {"momentum": 0.3}, r"momentum must be in \(-1, 0\]; got 0.3. Negative values accelerate"),
        (HALF, HALF, EYE, {"momentum": -1.0}, r"momentum must be in \(-1, 0\]; got -1"),
        (HALF, HALF, EYE, {"tol": -1e-3}, "tol must be non-negative; got -0.001"),
        (HALF, HALF, EYE, {"tol": float("nan")}, "tol must be non-negative; got nan"),
        (HALF, HALF, EYE, {"max_iter": 0}, "max_iter must be an integer of at least 1; got 0"),
        (HALF, HALF, EYE, {"max_iter": 1.5}, "max_iter must be an integer of at least 1; got 1.5"),
        (HALF, HALF, EYE, {"eps_scaling": 2}, r"eps_scaling must be a factor in \(0, 1\); got 2"),
        (HALF, HALF, EYE, {"eps_scaling": "a"}, r"eps_scaling must be a factor in \(0, 1\); got 'a'"),
        (HALF, HALF, EYE, {"eps_scaling": 0.5, "domain": "kernel"}, r"eps_scaling works in the log domain; use domain"),
        (HALF, HALF, EYE, {"tol": None}, "tol must be non-negative; got None"),
        (HALF, HALF, EYE, {"check_every": 0}, "check_every must be an integer of at least 1; got 0"),
        (HALF, HALF, EYE, {"marginal_weight": True}, "marginal_weight must be positive.*got True"),
        (HALF, HALF, EYE, {"momentum": None}, r"momentum must be in \(-1, 0\]; got None"),
        ([HALF] * 2, [HALF] * 3, EYE, {}, r"leading axes of p and q must broadcast.*\(2, 2\) and \(3, 2\)"),
        (np.zeros((0, 2)), HALF, EYE, {}, r"p is empty: it has shape \(0, 2\)"),
    ],
)
def test_sinkhorn_says_what_does_not_fit(p, q, cost, options, message):
    with pytest.raises(ValueError, match=message):
        wt.sinkhorn(p, q, cost, **({"eps": 0.1} | options))


def test_eps_has_no_default():
    with pytest.raises(TypeError, match="eps"):
        wt.sinkhorn(HALF, HALF, EYE)


def test_the_divergence_needs_a_square_cost():
    with pytest.raises(ValueError, match=r"cost must be square.*got shape \(2, 3\)"):
        wt.sinkhorn_divergence(HALF, HALF, np.ones((2, 3)), eps=0.1)


def test_mixed_backends_and_devices_are_refused_by_name():
    torch = pytest.importorskip("torch")
    half, eye = np.array(HALF), np.array(EYE, dtype=float)
    with pytest.raises(TypeError, match="one backend; got numpy and torch"):
        wt.sinkhorn(half, torch.tensor(HALF), eye, eps=0.1)
    with pytest.raises(TypeError, match="one backend; got torch and numpy"):
        wt.sinkhorn(torch.tensor(HALF), torch.tensor(HALF), eye, eps=0.1)
    there = array_api_strict.asarray(HALF, device=array_api_strict.Device("device1"))
    with pytest.raises(TypeError, match="one device; got"):
        wt.sinkhorn(array_api_strict.asarray(HALF), there, wt.GridCost(2), eps=0.1)


def test_a_plan_too_large_to_build_is_refused_with_its_size():
    n = int(LARGEST_PLAN**0.5) + 1
    found = wt.sinkhorn(np.full(n, 1 / n), np.full(n, 1 / n), wt.LineCost(np.arange(n)), eps=1e5, max_iter=50, tol=1.0)
    with pytest.raises(MemoryError, match=f"the plan has 2.7e[+]08 entries .{n} x {n} per problem.; ask for fewer"):
        _ = found.plan


def test_the_divergence_needs_a_symmetric_cost():
    with pytest.raises(ValueError, match="needs a symmetric cost"):
        wt.sinkhorn_divergence(HALF, HALF, [[0, 1], [2, 0]], eps=1.0)


def test_a_tolerance_that_float32_cannot_reach_is_said_to_be_so():
    p, q = np.float32([0.3, 0.7]), np.float32([0.6, 0.4])
    with pytest.warns(ConvergenceWarning, match="> tol 1.0e-09. float32 resolves 1e-07: raise tol, or use float64"):
        wt.sinkhorn(p, q, EYE, eps=0.5, max_iter=2)


def test_sums_that_differ_by_more_than_the_tolerance_are_why_it_did_not_converge():
    with pytest.warns(ConvergenceWarning, match="The sums of p and q differ by 5.0e-07: use normalize"):
        wt.sinkhorn([0.3, 0.7], [0.6, 0.4 + 5e-7], EYE, eps=0.5, max_iter=50)


# --------------------------------------------------------------------------------------- masses, sides, starts, two supports


def kl(a, b):
    """KL(a | b) of masses, along the last axis."""
    return (a * np.log(a / b) - a + b).sum(-1)


@pytest.mark.parametrize("acceleration", ["auto", None])
@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("rho", [(2.0, 0.3), (None, 0.5), (0.5, None), (1.0, 1.0), 1.0], ids=str)
def test_each_marginal_has_its_own_price(xp, rng, rho, domain, acceleration):
    p, q = random_histograms(rng, 2, 6), 1.7 * random_histograms(rng, 2, 5)
    cost, eps = rng.random((6, 5)), 0.2
    found = wt.sinkhorn(
        xp.array(p),
        xp.array(q),
        xp.array(cost),
        eps=eps,
        marginal_weight=rho,
        tol=1e-11,
        domain=domain,
        acceleration=acceleration,
    )
    T = xp.numpy(found.plan)
    rows, columns = T.sum(-1), T.sum(-2)
    rho_p, rho_q = rho if isinstance(rho, tuple) else (rho, rho)
    value = (T * cost).sum((-2, -1)) + eps * (T * (np.log(T) - 1)).sum((-2, -1))
    for marginal, h, side, potential in ((rows, p, rho_p, found.f), (columns, q, rho_q, found.g)):
        if side is None:
            assert_close(marginal, h, atol=1e-9)
        else:  # where the plan is best, its marginal is h exp(-potential / rho)
            assert_close(marginal, h * np.exp(-xp.numpy(potential) / side), atol=1e-9)
            value = value + side * kl(marginal, h)
    assert_close(found.value, value, atol=1e-8)
    if isinstance(rho, tuple) and None not in rho and rho[0] != rho[1]:
        theirs = ot.unbalanced.sinkhorn_unbalanced(
            p[0], q[0], cost, eps, rho, reg_type="entropy", c=np.ones((6, 5)), numItermax=20000, stopThr=1e-13
        )
        assert_close(T[0], theirs, atol=1e-7)


def test_two_lumps_of_unequal_mass_meet_at_their_geometric_mean():
    # one bin each at the distance 0: T = (p q)^(rho / (2 rho + eps)), which tends to sqrt(p q)
    for rho in (0.5, 5.0):
        found = wt.sinkhorn([2.0], [0.5], [[0.0]], eps=0.1, marginal_weight=rho, tol=1e-13)
        assert float(found.plan[0, 0]) == pytest.approx((2.0 * 0.5) ** (rho / (2 * rho + 0.1)), rel=1e-10)
        found = wt.sinkhorn([3.0], [1.0], [[0.0]], eps=0.1, marginal_weight=rho, tol=1e-13)
        assert float(found.plan[0, 0]) == pytest.approx(3.0 ** (rho / (2 * rho + 0.1)), rel=1e-10)
        exact = wt.sinkhorn([3.0], [1.0], [[0.0]], eps=0.1, marginal_weight=(None, rho), tol=1e-13)
        assert float(exact.plan[0, 0]) == pytest.approx(3.0, rel=1e-12)  # all of p leaves, whatever it costs


@pytest.mark.parametrize(
    ("rho", "message"),
    [
        ((1.0,), r"must be one number, or two, \(rho_p, rho_q\); got 1 of them"),
        ((1.0, 2.0, 3.0), "got 3 of them"),
        ((1.0, -2.0), r"marginal_weight\[1\] must be"),
        ((float("nan"), 1.0), r"marginal_weight\[0\] must be"),
    ],
)
def test_a_pair_of_marginal_weights_says_what_does_not_fit(rho, message):
    with pytest.raises(ValueError, match=message):
        wt.sinkhorn(HALF, HALF, EYE, eps=0.1, marginal_weight=rho)


def test_a_pair_of_nothing_is_balanced(rng):
    p, q = random_histograms(rng, 2, 6)
    plain, pair = (wt.sinkhorn(p, q, wt.GridCost(6), eps=1.0, marginal_weight=rho) for rho in (None, (None, None)))
    assert float(plain.value) == float(pair.value)
    with pytest.raises(ValueError, match="q must sum to 1"):
        wt.sinkhorn(p, 2 * q, wt.GridCost(6), eps=1.0, marginal_weight=(None, None))


@pytest.mark.parametrize(
    ("p", "message"),
    [([0.5, -0.5], "p must not be negative"), ([0.0, 0.0], "p sums to 0"), ([0.5, float("nan")], "p holds 1 NaN")],
)
def test_masses_may_be_any_but_negative_or_none(p, message):
    with pytest.raises(ValueError, match=message):
        wt.sinkhorn(p, [0.5, 2.0], EYE, eps=0.1, marginal_weight=1.0)


@pytest.mark.parametrize("acceleration", ["auto", None])
@pytest.mark.parametrize("domain", ["kernel", "log", "auto"])
@pytest.mark.parametrize("rho", [None, 0.7])
def test_a_solution_is_a_start_that_needs_one_look(xp, rng, domain, rho, acceleration):
    p, q = random_histograms(rng, 2, 3, 12)
    cost = wt.GridCost(12, spacing=0.2)
    options = {"eps": 0.3, "marginal_weight": rho, "domain": domain, "acceleration": acceleration}
    cold = wt.sinkhorn(xp.array(p), xp.array(q), cost, tol=1e-11, **options)
    warm = wt.sinkhorn(xp.array(p), xp.array(q), cost, tol=1e-9, start=(cold.f, cold.g), **options)
    assert warm.n_iter <= 10 < cold.n_iter + 10 and bool(np.all(xp.numpy(warm.converged)))
    assert_close(warm.value, cold.value, atol=1e-9)
    # from a problem near by: fewer iterations, the same end
    q2 = wt.normalize(q + 1e-4 * rng.random(q.shape))
    again, afresh = (wt.sinkhorn(xp.array(p), xp.array(q2), cost, start=s, **options) for s in ((cold.f, cold.g), None))
    assert again.n_iter <= afresh.n_iter
    assert_close(again.plan, afresh.plan, atol=1e-8)


def test_a_start_says_what_does_not_fit(rng):
    p, q = random_histograms(rng, 2, 2, 5)
    cost, f = wt.GridCost(5), np.zeros((2, 5))
    for start, message in (
        (f, "start must be two arrays"),
        ((f, f, f), "start must be two arrays"),
        ((f[:, :4], f), r"start's f must be of shape \(2, 5\), or broadcast to it; got \(2, 4\)"),
        ((f, np.zeros((3, 2, 5))), r"start's g must be of shape \(2, 5\), or broadcast to it; got \(3, 2, 5\)"),
        ((f + np.nan, f), "start's f must be finite in every bin that holds mass"),
    ):
        with pytest.raises(ValueError, match=message):
            wt.sinkhorn(p, q, cost, eps=1.0, start=start)
    with pytest.raises(ValueError, match="start and eps_scaling are two ways to begin"):
        wt.sinkhorn(p, q, cost, eps=1.0, start=(f, f), eps_scaling=0.5)
    hole = np.array([0.5, 0.0, 0.5])
    found = wt.sinkhorn(hole, hole, wt.GridCost(3), eps=1.0)
    again = wt.sinkhorn(hole, hole, wt.GridCost(3), eps=1.0, start=(found.f, found.g))  # -inf where there is no mass
    assert_close(again.plan, found.plan, atol=1e-9)


def test_a_divergence_of_two_supports_is_that_of_one_that_holds_both(xp, rng):
    x, y = np.sort(rng.random(6)), np.sort(rng.random(9))
    p, q = random_histograms(rng, 6), random_histograms(rng, 2, 9)
    costs = [xp.array(wt.cost_matrix(a, b)) for a, b in ((x, y), (x, x), (y, y))]
    apart = wt.sinkhorn_divergence(
        xp.array(p), xp.array(q), costs[0], eps=0.05, cost_p=costs[1], cost_q=costs[2], tol=1e-11
    )
    both = np.concatenate([x, y])
    wide = [np.concatenate([p, np.zeros(9)]), np.concatenate([np.zeros((2, 6)), q], axis=1)]
    assert_close(apart, wt.sinkhorn_divergence(*wide, wt.cost_matrix(both), eps=0.05, tol=1e-11), atol=1e-9)
    same = wt.sinkhorn_divergence(p, p, wt.cost_matrix(x), eps=0.05, cost_p=wt.cost_matrix(x), cost_q=wt.cost_matrix(x))
    assert abs(float(same)) < 1e-12


def test_a_divergence_of_two_supports_says_what_does_not_fit(rng):
    p, q, cost = random_histograms(rng, 3), random_histograms(rng, 4), rng.random((3, 4))
    with pytest.raises(ValueError, match="cost_p and cost_q belong together"):
        wt.sinkhorn_divergence(p, q, cost, eps=0.1, cost_p=np.eye(3))
    with pytest.raises(ValueError, match=r"cost must be square.*got shape \(3, 4\)"):
        wt.sinkhorn_divergence(p, q, cost, eps=0.1)
    with pytest.raises(ValueError, match="needs a symmetric cost"):
        wt.sinkhorn_divergence(p, q, cost, eps=0.1, cost_p=rng.random((3, 3)), cost_q=np.eye(4))
    with pytest.raises(ValueError, match="p has 3 bins and q 3"):
        wt.sinkhorn_divergence(p, q, cost, eps=0.1, cost_p=np.eye(4), cost_q=np.eye(4))


# ------------------------------------------------------------------------------------------------------ without the plan

PRICED = {
    "grid 1-D": wt.GridCost(9, spacing=0.3),
    "grid 2-D": wt.GridCost((4, 6), power=1, spacing=(1.0, 0.5)),
    "grid 3-D, one layer": wt.GridCost((2, 1, 5), spacing=0.7),
    "one bin": wt.GridCost(1),
    "line, p=1": wt.LineCost(np.cumsum(np.linspace(0.1, 1.0, 21)), scale=0.7),
    "line, p=2": wt.LineCost(np.linspace(0, 3, 17) ** 1.5, power=2),
    "line, one bin": wt.LineCost([2.0]),
}


@pytest.mark.parametrize("eps", [0.01, 1.0])
@pytest.mark.parametrize("name", PRICED)
def test_the_transport_cost_is_that_of_the_plan(xp, rng, name, eps):
    cost = PRICED[name]
    n = cost.shape[0]
    p, q = random_histograms(rng, 2, 3, n)
    p[0, 0], q[1, -1] = 0.0, 0.0
    p, q = (wt.normalize(h) if n > 1 else np.ones((3, 1)) for h in (p, q))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # any scalings have a plan
        found = wt.sinkhorn(xp.array(p), xp.array(q), cost, eps=eps, tol=1e-6, max_iter=30)
    by_plan = (xp.numpy(found.plan) * cost.dense()).sum((-2, -1))
    assert_close(found.transport_cost, by_plan, rtol=1e-10, atol=1e-14)
    assert tuple(found.transport_cost.shape) == (3,)


def test_the_transport_cost_of_a_rectangular_cost_of_both_signs_is_that_of_the_plan(xp, rng):
    p, q, cost = random_histograms(rng, 4, 1, 7), random_histograms(rng, 3, 9), rng.normal(size=(7, 9))
    found = wt.sinkhorn(xp.array(p), xp.array(q), xp.array(cost), eps=0.5)
    assert_close(found.transport_cost, (xp.numpy(found.plan) * cost).sum((-2, -1)), rtol=1e-12, atol=1e-14)


def test_a_pair_of_large_images_has_its_transport_cost(rng):
    side = 132  # the plan would have 3e8 entries
    p = wt.normalize(np.outer(gaussian(side, 40, 4), gaussian(side, 70, 6)).reshape(-1))
    q = wt.normalize(np.outer(gaussian(side, 52, 4), gaussian(side, 65, 6)).reshape(-1))
    found = wt.sinkhorn(p, q, wt.GridCost((side, side)), eps=8.0, tol=1e-7)
    tracemalloc.start()
    cost = float(found.transport_cost)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    with pytest.raises(MemoryError, match=r"the plan has 3\.0e"):
        _ = found.plan
    # Gaussians of one width moved by (12, 5): 12^2 + 5^2, and what the entropy adds on each axis
    sigma2 = 8.0 / 2
    spread = sum(2 * s**2 + sigma2 - np.sqrt(sigma2**2 + 4 * s**4) for s in (4.0, 6.0))
    assert cost == pytest.approx(169 + spread, rel=1e-4)


def test_a_long_line_has_its_transport_cost(rng):
    n = 20_000
    x = np.arange(n, dtype=float)
    p, q = (wt.normalize(np.exp(-0.5 * ((x - m) / 900.0) ** 2)) for m in (8_000, 12_500))
    found = wt.sinkhorn(p, q, wt.LineCost(x), eps=30.0, tol=1e-6)
    assert float(found.transport_cost) == pytest.approx(4500, rel=2e-2)
    assert float(found.transport_cost) >= wt.wasserstein_1d(p, q, power=1) - 1e-6


def test_the_transport_cost_has_the_gradient_of_the_plan_in_the_cost(rng):
    torch = pytest.importorskip("torch")
    p, q = (torch.tensor(h) for h in random_histograms(rng, 2, 4))
    cost = torch.tensor(wt.cost_matrix(np.arange(4.0)), requires_grad=True)
    found = wt.sinkhorn(p, q, cost.detach(), eps=0.5)
    found._replace(cost=cost).transport_cost.backward()
    T = np.asarray(found.plan)
    assert_close(cost.grad, T * (1 - cost.detach().numpy() / 0.5), rtol=1e-10)  # the zeros of the diagonal, too


# -------------------------------------------------------------------------------------------------- eps beyond the floats


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("eps", [1.7e308, 1e306, 5e-324, 1e-310])
@pytest.mark.parametrize("domain", ["auto", "kernel", "log"])
def test_an_eps_beyond_the_floats_is_refused_at_every_door(eps, domain):
    two, cost = np.eye(2), wt.cost_matrix([0, 1])
    options = {"eps": eps, "domain": domain}
    doors = {
        "sinkhorn": lambda: wt.sinkhorn(HALF, [0.3, 0.7], cost, **options),
        "divergence": lambda: wt.sinkhorn_divergence(HALF, [0.3, 0.7], wt.GridCost(2), **options),
        "barycenter": lambda: wt.barycenter(two, HALF, cost, **options),
        "vjp": lambda: wt.barycenter_vjp(two, [HALF], wt.LineCost([0, 1]), np.ones((1, 2)), n_iter=5, **options),
        "objective": lambda: wt.wdl_objective(two, two, two, cost, loss="quadratic", n_iter=5, **options),
        "fit": lambda: wt.WassersteinDictionary(1, cost=cost, **options).fit(two),
    }
    for call in doors.values():
        with pytest.raises(ValueError, match=r"eps=.* is beyond float64 for costs up to 1: .* nearer to the costs"):
            call()


def test_an_eps_beyond_float32_is_refused_in_float32_only():
    p, q = np.array([0.5, 0.5]), np.array([0.3, 0.7])
    for eps in (1e36, 1e-38):
        for cost in (wt.GridCost(2), wt.cost_matrix([0, 1]).astype(np.float32)):
            with pytest.raises(ValueError, match="is beyond float32"):
                wt.sinkhorn(p.astype(np.float32), q.astype(np.float32), cost, eps=eps)
    assert_close(wt.sinkhorn(p, q, wt.GridCost(2), eps=1e36).plan, np.outer(p, q), rtol=1e-12)


@pytest.mark.parametrize("rho", [None, 0.5])
def test_torchs_gradient_is_zero_in_an_empty_bin_whatever_the_domain(rng, rho):
    torch = pytest.importorskip("torch")
    p, q = random_histograms(rng, 2, 6)
    p[2], q[4] = 0.0, 0.0
    cost = torch.tensor(wt.cost_matrix(np.linspace(0, 1, 6)))
    slope = torch.tensor(rng.normal(size=(6, 6)))
    found = {}
    for domain in ("kernel", "log"):
        x, y = (torch.tensor(wt.normalize(h), requires_grad=True) for h in (p, q))
        kernel = wt.gibbs_kernel(cost, 0.2, domain=domain)
        steps = wt.sinkhorn_log_steps if domain == "log" else wt.sinkhorn_steps
        u, v = nth(steps(x, y, kernel, marginal_weight=rho), 30)
        u, v = (torch.exp(u), torch.exp(v)) if domain == "log" else (u, v)
        plan = u[:, None] * torch.exp(-cost / 0.2) * v
        by_steps = torch.autograd.grad((plan * slope).sum(), (x, y))
        value = wt.sinkhorn(x, y, cost, eps=0.2, marginal_weight=rho, domain=domain, tol=1e-11).value
        found[domain] = [*by_steps, *torch.autograd.grad(value, (x, y))]
        assert [float(g[i]) for g, i in zip(found[domain], (2, 4, 2, 4))] == [0.0] * 4
    for one, other in zip(found["kernel"], found["log"]):
        assert_close(one, other, atol=1e-8)
        assert float(abs(one).max()) > 1e-3


@pytest.mark.parametrize("n_iter", [20, None])
def test_torchs_gradient_of_a_barycenter_is_zero_where_an_atom_is_whatever_the_domain(rng, n_iter):
    torch = pytest.importorskip("torch")
    atoms = random_histograms(rng, 2, 6)
    atoms[0, 2] = 0.0
    slope, found = torch.tensor(rng.normal(size=6)), {}
    for domain in ("kernel", "log"):
        x = torch.tensor(wt.normalize(atoms), requires_grad=True)
        bary = wt.barycenter(
            x, torch.tensor([0.4, 0.6], dtype=torch.float64), wt.GridCost(6), eps=2.0, domain=domain, n_iter=n_iter
        )
        found[domain] = torch.autograd.grad((bary.histogram * slope).sum(), x)[0]
        assert float(found[domain][0, 2]) == 0.0
    assert_close(found["kernel"], found["log"], atol=1e-8)
    by_hand, _ = wt.barycenter_vjp(
        wt.normalize(atoms), [[0.4, 0.6]], wt.GridCost(6), slope.numpy()[None], eps=2.0, n_iter=n_iter
    )
    elsewhere = atoms > 0
    assert_close(found["log"].numpy()[elsewhere], by_hand[elsewhere], atol=1e-8)
    assert abs(by_hand[0, 2]) > 1e-3  # the slope that is there, for who asks for it


@pytest.mark.parametrize("rho", [1e-320, 1e-200, 1e-20, 1e-3, 1e6, 1e9, 1e12, 1e15, 1e99, 1.7e308])
@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_a_price_of_any_size_tends_to_free_or_to_exact_marginals(xp, rho, domain):
    p, q, cost = [0.5, 0.5], [0.3, 0.7], [[0.0, 1.0], [1.0, 0.0]]
    found = wt.sinkhorn(
        xp.array(p), xp.array(q), xp.array(cost), eps=1.0, marginal_weight=rho, domain=domain, max_iter=300
    )
    assert bool(np.all(xp.numpy(found.converged))) and found.n_iter <= 100
    if rho < 1:  # whatever leaves is free: T = exp(-C / eps)
        assert_close(found.plan, np.exp(-np.array(cost)), rtol=5 * rho + 1e-12)
    else:
        exact = wt.sinkhorn(p, q, cost, eps=1.0, tol=1e-13)
        assert_close(found.plan, exact.plan, atol=2 / rho + 1e-9)


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_generators_take_lists_and_whole_numbers_and_name_what_does_not_fit(domain):
    cost = wt.cost_matrix(np.arange(3.0))
    kernel = wt.gibbs_kernel(cost, 0.5, domain=domain)
    sinkhorn, barycenter = (
        (wt.sinkhorn_steps, wt.barycenter_steps)
        if domain == "kernel"
        else (wt.sinkhorn_log_steps, wt.barycenter_log_steps)
    )
    p, q = [0, 1, 0], [0.2, 0.3, 0.5]
    same = [np.asarray(x, dtype=float) for x in (p, q)]
    for ours, theirs in zip(next(sinkhorn(p, q, kernel)), next(sinkhorn(*same, kernel))):
        assert np.array_equal(ours, theirs)
    ours, theirs = (
        next(barycenter([p, q], [1, 0], kernel)),
        next(barycenter(np.stack(same), np.array([1.0, 0.0]), kernel)),
    )
    assert np.array_equal(ours[4], theirs[4])
    with pytest.raises(ValueError, match="q must have the 3 bins of the kernel on its last axis"):
        next(sinkhorn(p, [0.5, 0.5], kernel))
    with pytest.raises(TypeError, match=r"^p: expected numbers, got NoneType"):
        next(sinkhorn(None, q, kernel))
    with pytest.raises(ValueError, match="atoms must have the 3 bins of the kernel on its last axis"):
        next(barycenter([[0.5, 0.5]], [1.0], kernel))
    with pytest.raises(ValueError, match=r"atoms must be \(..., n_atoms, n_bins\) and weights \(..., n_atoms\)"):
        next(barycenter([p, q], [1.0], kernel))
