"""Small eps on the unit grid of 200 bins: finite, equal to extended precision, and honest about convergence."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from conftest import assert_close, gaussian

import wdl_tutorial as wt
from wdl_tutorial import ConvergenceWarning

N = 200
X = np.linspace(0, 1, N)
COST = wt.GridCost(N, spacing=1 / (N - 1))
DENSE = wt.cost_matrix(X)
EPS = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
LONG = np.longdouble  # 64 bits of mantissa where the machine has them

BOX = np.where((np.arange(N) > 20) & (np.arange(N) < 60), 1 / 39, 0.0)
TWO_BOXES = np.where((np.arange(N) % 100 > 30) & (np.arange(N) % 100 < 50), 1 / 38, 0.0)
PAIRS = {
    "Gaussians": np.stack([gaussian(N, 50, 5), gaussian(N, 130, 10)]),
    "zeros": np.stack([BOX, TWO_BOXES]),
    "Diracs": np.eye(N)[[40, 150]],
}
WEIGHTS = np.array([[0.3, 0.7]])
GRAD = np.cos(7 * X)[None]


# ------------------------------------------------- the log domain written out in extended precision, dense, unhurried


def log_times(minus_cost, x):
    """log(K exp(x)) for rows x; K = exp(minus_cost) is symmetric."""
    z = minus_cost + x[..., None, :]
    top = z.max(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(z - top).sum(-1)) + top[..., 0]


def logarithm(p):
    with np.errstate(divide="ignore"):
        return np.log(p.astype(LONG))


def exact_sinkhorn(p, q, eps, n_iter):
    """Value and plan after ``n_iter`` iterations of eq. (4)."""
    k, log_p, log_q, u = -DENSE.astype(LONG) / LONG(eps), logarithm(p), logarithm(q), np.zeros(N, LONG)
    for _ in range(n_iter):
        v = log_q - log_times(k, u)
        u = log_p - log_times(k, v)
    plan = np.exp(u[:, None] + k + v[None, :])
    f, g = (np.where(h > 0, LONG(eps) * s, 0) for h, s in ((p, u), (q, v)))
    return float((f * p).sum() + (g * q).sum() - LONG(eps) * plan.sum()), plan.astype(float)


def exact_barycenter(atoms, eps, n_iter):
    """P^(L), d<GRAD, P>/d(log atoms), d/d(weights) and the size of the terms that add up to it: eqs (6)-(8), adjoint."""
    k, log_d, w = -DENSE.astype(LONG) / LONG(eps), logarithm(atoms), WEIGHTS[0].astype(LONG)[:, None]
    b, kb, phi = [np.zeros((2, N), LONG)], [], []
    for _ in range(n_iter):
        kb.append(log_times(k, b[-1]))
        phi.append(log_times(k, log_d - kb[-1]))
        log_p = (w * phi[-1]).sum(0)
        b.append(log_p - phi[-1])
    p_, b_ = GRAD[0] * np.exp(log_p), np.zeros((2, N), LONG)
    by_atoms, by_weights, size = np.zeros((2, N), LONG), np.zeros(2, LONG), 0.0
    for i in range(n_iter - 1, -1, -1):
        p_ = p_ if i == n_iter - 1 else b_.sum(0)
        by_weights += (phi[i] * p_).sum(-1)
        size += float(np.abs(phi[i] * p_).sum(-1).max())
        phi_ = w * p_ - b_
        # shares of each bin of phi by bins of a, which sum to one: nothing overflows
        share = np.exp(k + (log_d - kb[i])[:, None, :] - phi[i][:, :, None])
        a_ = (share * phi_[:, :, None]).sum(1)
        by_atoms += a_
        share = np.exp(k + b[i][:, None, :] - kb[i][:, :, None])
        b_ = -(share * a_[:, :, None]).sum(1)
    return np.exp(log_p).astype(float), by_atoms.astype(float), by_weights.astype(float), size


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("eps", EPS)
def test_sinkhorn_equals_extended_precision_at_equal_iterations(eps, pair):
    p, q = PAIRS[pair]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = wt.sinkhorn(p, q, COST, eps=eps, tol=0.0, max_iter=8)
    value, plan = exact_sinkhorn(p, q, eps, 8)
    assert found.domain == "log" or eps >= 1e-3
    assert abs(float(found.value) - value) < 1e-8 * max(1.0, abs(value))
    assert_close(found.plan, plan, atol=1e-8)
    assert np.isfinite(found.f[p > 0]).all() and np.isfinite(found.g[q > 0]).all()
    assert_close(found.plan.sum(-1), p, atol=1e-9)  # row sums are exact: exponents of 1e6 are rounded to 1e-10


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("eps", EPS)
def test_barycenter_and_gradients_equal_extended_precision_at_equal_iterations(eps, pair):
    atoms = PAIRS[pair]
    found = wt.barycenter(atoms, WEIGHTS, COST, eps=eps, n_iter=4)
    histogram, by_atoms, by_weights, size = exact_barycenter(atoms, eps, 4)
    assert_close(found.histogram[0], histogram, atol=1e-8)
    grad_atoms, grad_weights = wt.barycenter_vjp(atoms, WEIGHTS, COST, GRAD, eps=eps, n_iter=4)
    assert np.isfinite(grad_atoms).all() and np.isfinite(grad_weights).all()
    assert np.abs(atoms * grad_atoms - by_atoms).max() < 1e-8 * np.abs(by_atoms).max()
    # between Diracs the terms, of size C / eps, cancel to nothing: the mass stays in its bin whatever the weights
    assert np.abs(grad_weights[0] - by_weights).max() < 1e-8 * np.abs(by_weights).max() + 1e-11 * size


@pytest.mark.parametrize("eps", [1e-4, 1e-6])
def test_every_backend_and_every_kernel_reaches_there(xp, eps):
    atoms = PAIRS["zeros"]
    histogram, *_ = exact_barycenter(atoms, eps, 2)
    for cost in (COST, xp.array(DENSE), wt.LineCost(X, power=2)):
        found = wt.barycenter(xp.array(atoms), xp.array(WEIGHTS), cost, eps=eps, n_iter=2)
        assert_close(found.histogram[0, :], histogram, atol=1e-8)


@pytest.mark.parametrize("eps", [1e-4, 1e-6])
def test_the_linear_time_kernel_reaches_there(eps):
    p, q = PAIRS["zeros"]
    line = wt.LineCost(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        linear, dense = (wt.sinkhorn(p, q, c, eps=eps, tol=0.0, max_iter=3, domain="log") for c in (line, line.dense()))
    assert abs(float(linear.value) - float(dense.value)) < 1e-10
    assert_close(linear.plan, dense.plan, atol=1e-8)


@pytest.mark.parametrize("variant", [{"momentum": -0.3}, {"marginal_weight": 0.1}, {"debiased": True}], ids=str)
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("eps", [1e-3, 1e-6])
def test_every_variant_is_finite_or_one_clear_error(eps, pair, variant):
    # extrapolated from scalings of exp(1e6), four iterations in, P^(4) may have a mass no float can hold
    try:
        found = wt.barycenter(PAIRS[pair], WEIGHTS, COST, eps=eps, n_iter=4, **variant)
        assert np.isfinite(found.histogram).all() and np.isfinite(found.error)
        if "debiased" not in variant:
            gradients = wt.barycenter_vjp(PAIRS[pair], WEIGHTS, COST, GRAD, eps=eps, n_iter=4, **variant)
            assert all(np.isfinite(z).all() for z in gradients)
    except FloatingPointError as error:
        assert eps == 1e-6 and "marginal_weight" not in variant
        assert "in the log domain. Use float64, a larger eps, or the plain iteration" in str(error)


@pytest.mark.parametrize("eps", EPS)
def test_what_has_not_converged_says_so(eps):
    p, q = PAIRS["Gaussians"]
    with pytest.warns(ConvergenceWarning, match=r"Sinkhorn stopped after 2 iterations.*eps_scaling=0.5"):
        found = wt.sinkhorn(p, q, COST, eps=eps, max_iter=2)
    assert not found.converged and found.error > 1e-9
    with pytest.warns(ConvergenceWarning, match="Barycenter stopped after 2 iterations"):
        assert not wt.barycenter(PAIRS["Gaussians"], WEIGHTS[0], COST, eps=eps, max_iter=2).converged


def test_what_has_converged_does_not_warn():
    p, q = PAIRS["zeros"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert wt.sinkhorn(p, q, COST, eps=1e-2).converged
        assert wt.barycenter(PAIRS["zeros"], WEIGHTS, COST, eps=1e-2).converged.all()


@pytest.mark.parametrize("domain", ["kernel", "log", "auto"])
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("eps", EPS)
def test_float32_is_finite_or_one_clear_error(eps, pair, domain):
    atoms, weights, grad = (z.astype(np.float32) for z in (PAIRS[pair], WEIGHTS, GRAD))
    runs = {
        "sinkhorn": lambda: wt.sinkhorn(atoms[0], atoms[1], COST, eps=eps, tol=1e-4, max_iter=3, domain=domain)[:1],
        "barycenter": lambda: wt.barycenter(atoms, weights, COST, eps=eps, n_iter=3, domain=domain)[:1],
        "gradients": lambda: wt.barycenter_vjp(atoms, weights, COST, grad, eps=eps, n_iter=3, domain=domain),
    }
    for name, run in runs.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                found = run()
            except FloatingPointError as error:
                assert domain == "kernel", name  # the log domain has no such excuse
                assert 'Use domain="log" (or "auto"), or a larger eps.' in str(error)
                continue
        for z in found:
            assert z.dtype == np.float32 and np.isfinite(z).all(), name


@pytest.mark.parametrize("eps", [1e-2, 1e-3, 1e-4])
def test_float32_is_right_to_its_own_precision(eps):
    atoms = PAIRS["zeros"]
    single = wt.barycenter(atoms.astype(np.float32), WEIGHTS.astype(np.float32), COST, eps=eps, n_iter=4).histogram
    double = wt.barycenter(atoms, WEIGHTS, COST, eps=eps, n_iter=4).histogram
    # exponents of size 1/eps are rounded to 6e-8 of themselves
    assert np.abs(single - double).sum() < 6e-8 / eps * 10 + 1e-5
