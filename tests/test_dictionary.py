"""The dictionary: its objective against plain torch, and what a fit owes its user."""

from __future__ import annotations

import itertools
import math
import os
import re
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_close, gaussian, random_histograms

import wdl_tutorial as wt
from wdl_tutorial import batches, dictionary, losses, objective
from wdl_tutorial._fast import line
from wdl_tutorial.costs import symmetric_part
from wdl_tutorial.dictionary import WassersteinDictionary
from wdl_tutorial.iterate import Accuracy
from wdl_tutorial.losses import NAMES
from wdl_tutorial.objective import wdl_objective
from wdl_tutorial.scaling import Variant

# ------------------------------------------------------------------------------------------------------ the objective

N, EPS = 11, 0.15
SHAPE = {"eps": EPS, "n_iter": 8}


def problem(seed: int = 0, n_samples: int = 5, n_atoms: int = 3, loss: str = "quadratic"):
    """X, atoms, weights and a cost that is not symmetric, but where the loss needs it to be."""
    rng = np.random.default_rng(seed)
    cost = wt.cost_matrix(np.linspace(0, 1, N)) + 0.2 * rng.random((N, N))
    if loss == "sinkhorn_divergence":
        cost = symmetric_part(cost)
    return (
        random_histograms(rng, n_samples, N),
        random_histograms(rng, n_atoms, N),
        rng.dirichlet(np.full(n_atoms, 2.0), size=n_samples),
        cost,
    )


def torch_kernel(cost, eps):
    """log K exp(x) and log K^T exp(x)."""
    import torch

    M = -torch.as_tensor(cost) / eps
    return (lambda x: torch.logsumexp(M + x[..., None, :], -1)), (lambda x: torch.logsumexp(M.T + x[..., None, :], -1))


def torch_barycenters(atoms, weights, cost, *, eps, n_iter, rho=None, tau=0.0, log_b=None):
    """Algorithm 6 in the log domain, written out in torch: the barycenters and the last log b.

    ``log_b``: what they start from; their first iteration is then a plain one.
    """
    import torch

    k, kt = torch_kernel(cost, eps)
    theta = 1.0 if rho is None else rho / (rho + eps)
    a = b = torch.zeros(len(weights), *atoms.shape, dtype=torch.float64) if log_b is None else log_b
    for i in range(n_iter):
        t = 0.0 if log_b is not None and i == 0 else tau
        a = t * a + (1 - t) * theta * (torch.log(atoms) - k(b))
        phi = kt(a)
        if rho is None:
            log_p = (weights[..., None] * phi).sum(-2)
        else:
            kappa = eps / (rho + eps)
            share = weights / weights.sum(-1, keepdim=True)
            log_p = torch.logsumexp(torch.log(share)[..., None] + kappa * phi, -2) / kappa
        b = t * b + (1 - t) * theta * (log_p[..., None, :] - phi)
    return torch.exp(log_p), b


def torch_objective(
    X, atoms, weights, cost, *, eps, loss, n_iter, locality=0.0, rho=None, tau=0.0, importance=None, log_b=None
):
    """The objective in the log domain, written out in torch; Wasserstein potentials detached."""
    import torch

    k, kt = torch_kernel(cost, eps)
    theta = 1.0 if rho is None else rho / (rho + eps)

    def w(p, q):
        with torch.no_grad():
            u = torch.zeros(torch.broadcast_shapes(p.shape, q.shape), dtype=torch.float64)
            for _ in range(n_iter):
                v = theta * (torch.log(q) - kt(u))
                u = theta * (torch.log(p) - k(v))
            mass = torch.exp(u + k(v)).sum(-1)
            f, g = eps * u, eps * v
            if rho is not None:
                f, g = -rho * torch.expm1(-f / rho), -rho * torch.expm1(-g / rho)
        return (f * p).sum(-1) + (g * q).sum(-1) - eps * mass

    P, _ = torch_barycenters(atoms, weights, cost, eps=eps, n_iter=n_iter, rho=rho, tau=tau, log_b=log_b)
    value = {
        "quadratic": lambda: ((P - X) ** 2).sum(-1),
        "tv": lambda: (P - X).abs().sum(-1),
        "kl": lambda: (P * torch.log(P / X) - P + X).sum(-1),
        "kl_reverse": lambda: (X * torch.log(X / P) - X + P).sum(-1),
        "wasserstein": lambda: w(P, X),
        "sinkhorn_divergence": lambda: w(P, X) - (w(P, P) + w(X, X)) / 2,
    }[loss]()
    if locality:
        value = value + locality * (weights * w(X[:, None], atoms[None])).sum(-1)
    return value.mean() if importance is None else (value * importance).sum()


def by_autograd(X, atoms, weights, cost, **options):
    torch = pytest.importorskip("torch")
    X, atoms, weights = (torch.tensor(x) for x in (X, atoms, weights))
    atoms.requires_grad_()
    weights.requires_grad_()
    value = torch_objective(X, atoms, weights, cost, **options)
    value.backward()
    return value.item(), atoms.grad.numpy(), weights.grad.numpy()


def assert_same(found, expected, rtol):
    """Value and both gradients, relative to the largest entry of each."""
    for ours, theirs in zip(found[:3], expected[:3]):
        theirs = np.asarray(theirs)
        assert_close(ours, theirs, atol=rtol * np.abs(theirs).max())


VARIANTS = {
    "plain": {},
    "locality": {"locality": 0.3},
    "heavy ball": {"momentum": -0.2, "locality": 0.3},
    "unbalanced": {"marginal_weight": 2.0, "locality": 0.3},
}


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("loss", NAMES)
def test_value_and_gradients_equal_torchs_autograd(xp, loss, variant, domain):
    options = dict(VARIANTS[variant])
    if loss == "sinkhorn_divergence" and "marginal_weight" in options:
        pytest.skip("the divergence is balanced")
    X, atoms, weights, cost = problem(loss=loss)
    found = wdl_objective(
        *(xp.array(x) for x in (X, atoms, weights, cost)), loss=loss, domain=domain, **SHAPE, **options
    )
    named = {"marginal_weight": "rho", "momentum": "tau", "locality": "locality"}
    expected = by_autograd(X, atoms, weights, cost, loss=loss, **SHAPE, **{named[k]: v for k, v in options.items()})
    assert type(found.grad_atoms) is type(found.reconstruction) is type(xp.array(X))
    assert_same(found, expected, 1e-9)


@pytest.mark.parametrize("loss", NAMES)
def test_gradients_hold_with_sample_weights_on_every_kind_of_cost(loss):
    X, atoms, weights, _ = problem(3)
    importance = np.array([2.0, 0.5, 1.0, 0.0, 3.0])
    for cost in (wt.GridCost(N, spacing=0.1), wt.LineCost(np.cumsum(np.linspace(0.05, 0.15, N)))):
        options = {"loss": loss, "locality": 0.2, **SHAPE}
        found = wdl_objective(X, atoms, weights, cost, sample_weight=importance, **options)
        expected = by_autograd(X, atoms, weights, cost.dense(), importance=_torch(importance / 6.5), **options)
        assert_same(found, expected, 1e-9)


def _torch(x):
    return pytest.importorskip("torch").tensor(x)


@pytest.mark.parametrize("loss", NAMES)
def test_the_value_is_the_loop_over_samples_written_out(loss):
    X, atoms, weights, cost = problem(1, loss=loss)
    found = wdl_objective(X, atoms, weights, cost, loss=loss, locality=0.4, domain="kernel", **SHAPE)
    kernel, accuracy = wt.gibbs_kernel(cost, EPS), losses.Accuracy(SHAPE["n_iter"])
    total = 0.0
    for x, w, row in zip(X, weights, found.reconstruction):
        P = wt.barycenter(atoms, w, cost, **SHAPE).histogram
        assert_close(row, P, atol=1e-14)
        total += float(losses.evaluate(loss, P[None], x[None], kernel, accuracy).value[0])
        for share, atom in zip(w, atoms):
            total += 0.4 * share * float(losses.wasserstein(x[None], atom[None], kernel, accuracy).value[0])
    assert found.value == pytest.approx(total / len(X), rel=1e-13)


def test_integer_sample_weights_are_repeated_samples():
    X, atoms, weights, cost = problem(2)
    times = np.array([1, 3, 2, 1, 2])
    options = {"loss": "wasserstein", "locality": 0.1, **SHAPE}
    weighted = wdl_objective(X, atoms, weights, cost, sample_weight=times, **options)
    repeated = wdl_objective(np.repeat(X, times, 0), atoms, np.repeat(weights, times, 0), cost, **options)
    assert weighted.value == pytest.approx(repeated.value, rel=1e-13)
    assert_close(weighted.grad_atoms, repeated.grad_atoms, rtol=1e-11, atol=1e-14)
    starts = np.cumsum(times) - times
    assert_close(weighted.grad_weights, np.add.reduceat(repeated.grad_weights, starts), rtol=1e-11, atol=1e-14)


def test_only_the_ratios_of_sample_weights_count():
    X, atoms, weights, cost = problem(2)
    one = wdl_objective(X, atoms, weights, cost, loss="kl", **SHAPE)
    other = wdl_objective(X, atoms, weights, cost, loss="kl", sample_weight=np.full(5, 7), **SHAPE)
    assert_same(other, one, 1e-13)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("loss", ["quadratic", "wasserstein", "sinkhorn_divergence"])
def test_chunked_equals_whole(xp, loss, variant):
    if loss == "sinkhorn_divergence" and variant == "unbalanced":
        pytest.skip("the divergence is balanced")
    X, atoms, weights, cost = (xp.array(x) for x in problem(4, n_samples=9, loss=loss))
    options = {"loss": loss, **SHAPE, **VARIANTS[variant]}
    whole = wdl_objective(X, atoms, weights, cost, chunk_size=9, **options)
    for size in (1, 4):
        chunked = wdl_objective(X, atoms, weights, cost, chunk_size=size, **options)
        assert_same((whole.value, *map(xp.numpy, whole[1:3])), (chunked.value, *map(xp.numpy, chunked[1:3])), 1e-13)
        assert_close(chunked.reconstruction, whole.reconstruction, atol=1e-14)


@pytest.mark.parametrize("loss", ["quadratic", "wasserstein"])
def test_threads_change_no_bit(loss):
    X, atoms, weights, cost = problem(5, n_samples=40)
    options = {"loss": loss, "locality": 0.1, "chunk_size": 7, **SHAPE}
    one = wdl_objective(X, atoms, weights, cost, n_jobs=1, **options)
    for n_jobs in (2, 3):
        many = wdl_objective(X, atoms, weights, cost, n_jobs=n_jobs, **options)
        assert one.value == many.value
        for a, b in zip(one[1:], many[1:]):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("loss", NAMES)
def test_converged_equals_very_many_iterations(xp, loss):
    X, atoms, weights, cost = (xp.array(x) for x in problem(6, loss=loss))
    options = {"eps": EPS, "loss": loss, "locality": 0.2}
    converged = wdl_objective(X, atoms, weights, cost, n_iter=None, tol=1e-10, **options)
    many = wdl_objective(X, atoms, weights, cost, n_iter=200, **options)
    assert converged.value == pytest.approx(many.value, rel=1e-8)
    assert_close(converged.grad_atoms, _uncentred(xp, converged.grad_atoms, many.grad_atoms), atol=1e-6)
    assert_close(converged.grad_weights, many.grad_weights, atol=1e-6)


def _uncentred(xp, like, x):
    """x with the free constant per row of ``like``: on the simplex gradients count up to one."""
    like, x = xp.numpy(like), xp.numpy(x)
    return x + (like - x).mean(axis=-1, keepdims=True)


def test_numbers_are_the_same_on_every_backend(xp):
    arrays = problem(7)
    options = {"loss": "wasserstein", "locality": 0.3, **SHAPE}
    assert_same(wdl_objective(*(xp.array(x) for x in arrays), **options), wdl_objective(*arrays, **options), 1e-12)


def test_the_locality_gradient_in_the_weights_is_rho_times_w():
    X, atoms, weights, cost = problem(8)
    options = {"loss": "quadratic", **SHAPE}
    with_it = wdl_objective(X, atoms, weights, cost, locality=0.7, **options)
    without = wdl_objective(X, atoms, weights, cost, **options)
    w = losses.wasserstein(X[:, None], atoms[None], wt.gibbs_kernel(cost, EPS), losses.Accuracy(SHAPE["n_iter"])).value
    assert_close((with_it.grad_weights - without.grad_weights) * len(X), 0.7 * w, rtol=1e-11)
    assert with_it.value - without.value == pytest.approx(0.7 * (weights * w).sum() / len(X), rel=1e-12)


def test_in_wahus_convention_the_loss_is_larger_by_eps_times_one_plus_locality():
    # WaHU's entropy is sum pi log pi, ours sum pi (log pi - 1): for plans of mass one they differ by eps
    X, atoms, weights, cost = problem(9)
    rho = 0.25
    ours = wdl_objective(X, atoms, weights, cost, eps=EPS, loss="wasserstein", n_iter=None, tol=1e-13, locality=rho)

    def wahu(p, q):
        plan = wt.sinkhorn(p, q, cost, eps=EPS, tol=1e-13).plan
        return (plan * cost).sum() + EPS * (plan * np.log(plan)).sum()

    P = wt.normalize(ours.reconstruction)
    theirs = np.mean(
        [wahu(p, x) + rho * sum(s * wahu(x, atom) for s, atom in zip(w, atoms)) for p, x, w in zip(P, X, weights)]
    )
    assert theirs == pytest.approx(ours.value + EPS * (1 + rho), abs=1e-9)


def test_a_kernel_that_underflows_is_left_for_the_log_domain():
    # two bumps so narrow that each vanishes to the last digit where the other is, and a kernel as narrow
    atoms = np.stack([gaussian(40, 8, 1.0), gaussian(40, 31, 1.0)])
    X, weights = np.stack([gaussian(40, mean, 3.0) for mean in (12, 27)]), np.array([[0.8, 0.2], [0.3, 0.7]])
    cost = wt.cost_matrix(np.linspace(0, 1, 40))
    options = {"eps": 1e-3, "n_iter": 20, "loss": "wasserstein", "locality": 0.1}
    auto, log = (wdl_objective(X, atoms, weights, cost, domain=d, **options) for d in ("auto", "log"))
    assert math.isfinite(auto.value) and np.isfinite(auto.grad_atoms).all()
    assert_same(auto, log, 1e-12)
    with pytest.raises(FloatingPointError, match=r'underflowed .* \(eps=0.001\).*domain="log"'):
        wdl_objective(X, atoms, weights, cost, domain="kernel", **options)


@pytest.mark.parametrize("loss", NAMES)
def test_no_eps_is_too_small_for_a_loss_though_the_barycenter_underflows(xp, loss):
    n = 200
    atoms = np.stack([gaussian(n, 50, 1.5), gaussian(n, 130, 1.5)])
    X = wt.normalize(np.stack([gaussian(n, 90, 3), gaussian(n, 110, 3)]))
    X = np.where(X > 1e-9, X, 0) if loss == "kl_reverse" else X + 1e-12  # else infinite, as it should be
    X, weights = wt.normalize(X), np.array([[0.5, 0.5], [0.3, 0.7]])
    options = {"eps": 1e-4, "n_iter": 5, "loss": loss, "locality": 0.1}
    given = tuple(xp.array(x) for x in (X, atoms)), wt.GridCost(n, spacing=1 / (n - 1))

    def objective(w):
        return wdl_objective(*given[0], w, given[1], **options)

    found = objective(xp.array(weights))
    assert (xp.numpy(found.reconstruction) == 0).any()
    assert math.isfinite(found.value) and np.isfinite(xp.numpy(found.grad_atoms)).all()
    if loss in ("quadratic", "kl", "kl_reverse"):  # the envelope gradient of five iterations is another one
        check = wt.check_gradient(
            lambda w: objective(w).value, xp.array(weights), found.grad_weights, simplex=True, step=1e-7, n_directions=2
        )
        assert check.relative_error < 1e-5


@pytest.mark.parametrize("n_iter", [20, None])
def test_gradients_that_float32_leaves_no_digits_are_an_error(n_iter):
    # a cost in squared nm beside an eps of 0.1: the gradient in the weights was off by a factor of 1e5
    atoms = np.zeros((2, 60))
    atoms[0, 5:17], atoms[1, 35:55] = 1 / 12, 1 / 20
    X, weights, cost = (
        gaussian(60, 32, 7)[None],
        np.array([[0.4, 0.6]]),
        wt.LineCost(np.linspace(400, 2400, 60), power=2),
    )
    single = [x.astype(np.float32) for x in (X, atoms, weights)]
    options = {"eps": 0.1, "n_iter": n_iter, "max_iter": 20}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wt.ConvergenceWarning)
        with pytest.raises(FloatingPointError, match=r"float32.* in the log domain\. Use float64"):
            wdl_objective(*single, cost, loss="quadratic", **options)
        with pytest.raises(FloatingPointError, match=r"float32.* in the log domain\. Use float64"):
            wt.barycenter(*single[1:], cost, **options)
        with pytest.raises(FloatingPointError, match=r"float32.* in the log domain\. Use float64"):
            wt.barycenter_vjp(*single[1:], cost, np.ones((1, 60), dtype=np.float32), **options)
        assert math.isfinite(wdl_objective(X, atoms, weights, cost, loss="quadratic", **options).value)


def test_a_run_that_left_the_kernel_domain_is_not_said_to_have_stopped():
    # W_eps of the kernel domain is NaN here, and the log domain's converges: nothing to warn of
    n = 60
    X, atoms = np.stack([gaussian(n, 5, 1.5)]), np.stack([gaussian(n, 50, 1.5), gaussian(n, 55, 1.5)])
    options = {"eps": 5e-4, "loss": "wasserstein", "n_iter": None, "tol": 1e-6}
    cost = wt.GridCost(n, spacing=1 / (n - 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = wdl_objective(X, atoms, np.array([[0.5, 0.5]]), cost, **options)
    log = wdl_objective(X, atoms, np.array([[0.5, 0.5]]), cost, domain="log", **options)
    assert found.value == log.value


def test_relabelling_the_atoms_relabels_the_gradients():
    X, atoms, weights, cost = problem(11)
    order = [2, 0, 1]
    options = {"loss": "wasserstein", "locality": 0.1, **SHAPE}
    one = wdl_objective(X, atoms, weights, cost, **options)
    other = wdl_objective(X, atoms[order], weights[:, order], cost, **options)
    assert_same(other, (one.value, one.grad_atoms[order], one.grad_weights[:, order]), 1e-12)


def test_samples_that_are_an_atom_are_reconstructed_exactly_as_eps_shrinks():
    atoms = np.stack([gaussian(30, 8, 2), gaussian(30, 20, 2)])
    found = wdl_objective(atoms, atoms, np.eye(2), wt.GridCost(30), eps=0.3, loss="tv", n_iter=100)
    assert found.value < 0.06


def test_the_objective_takes_lists_and_integers_and_leaves_its_arguments_alone(xp):
    X, atoms, weights = [[0.5, 0.5, 0], [0, 0, 1]], [[1, 0, 0], [0, 0, 1]], [[0.7, 0.3], [0, 1]]
    cost = [[0, 1, 4], [1, 0, 1], [4, 1, 0]]
    options = {"eps": 1.0, "loss": "quadratic", "n_iter": 5}
    lists = wdl_objective(X, atoms, weights, cost, **options)
    arrays = [xp.array(x) for x in (X, atoms, weights, cost)]
    before = [xp.numpy(x).copy() for x in arrays]
    found = wdl_objective(*arrays, **options)
    assert_same(found, lists, 1e-13)
    assert all(np.array_equal(xp.numpy(x), y) for x, y in zip(arrays, before))


GOOD = {"eps": 0.1, "loss": "quadratic", "n_iter": 5}


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"eps": 0.0}, ValueError, "eps must be positive; got 0.0"),
        ({"eps": -1.0}, ValueError, "eps must be positive; got -1.0"),
        ({"loss": "mse"}, ValueError, "loss must be one of quadratic.*; got 'mse'"),
        ({"n_iter": 0}, ValueError, "n_iter must be an integer of at least 1, or None .*; got 0"),
        ({"n_iter": 2.5}, ValueError, "n_iter must be .* got 2.5"),
        ({"locality": -0.1}, ValueError, "locality must be non-negative; got -0.1"),
        ({"momentum": 0.3}, ValueError, r"momentum must be in \(-1, 0\]; got 0.3"),
        ({"marginal_weight": 0}, ValueError, "marginal_weight must be positive.*; got 0"),
        ({"domain": "fast"}, ValueError, "domain must be .* got 'fast'"),
        ({"loss": "sinkhorn_divergence", "marginal_weight": 1.0}, ValueError, 'balanced; use loss="wasserstein"'),
        ({"sample_weight": [1, 2]}, ValueError, r"sample_weight must have shape \(5,\).*; got \(2,\)"),
        ({"sample_weight": [1, 1, 1, 1, -2]}, ValueError, "sample_weight must not be negative; .* -2"),
        ({"sample_weight": [0] * 5}, ValueError, "sample_weight sums to 0"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be a positive number, or -1 .* got 0"),
        ({"locality": "a"}, ValueError, "locality must be non-negative; got 'a'"),
        ({"chunk_size": 0}, ValueError, "chunk_size must be an integer of at least 1, or None; got 0"),
    ],
)
def test_the_objective_refuses_options_that_mean_nothing(change, error, message):
    with pytest.raises(error, match=message):
        wdl_objective(*problem(), **(GOOD | change))


def test_the_objective_refuses_arrays_that_do_not_fit():
    X, atoms, weights, cost = problem()
    with pytest.raises(ValueError, match=r"X sums to 0 \(row 0 is the first\)"):
        wdl_objective(0 * X, atoms, weights, cost, **GOOD)
    with pytest.raises(ValueError, match=r"weights is empty: it has shape \(0, 3\)"):
        wdl_objective(X[:0], atoms, weights[:0], cost, **GOOD)
    with pytest.raises(ValueError, match=r"got \(5, 11\), \(3, 11\) and \(4, 3\)"):
        wdl_objective(X, atoms, weights[:4], cost, **GOOD)
    with pytest.raises(ValueError, match=r"cost must be square.*\(11, 10\)"):
        wdl_objective(X, atoms, weights, cost[:, :10], **GOOD)
    with pytest.raises(ValueError, match=r"10"):
        wdl_objective(X, atoms, weights, cost[:10, :10], **GOOD)
    with pytest.raises(ValueError, match="X must not be negative; its smallest entry is -"):
        wdl_objective(-X, atoms, weights, cost, **GOOD)
    with pytest.raises(ValueError, match=r"X holds 1 NaN or infinite entries .row 2"):
        wdl_objective(np.where(np.arange(55).reshape(5, 11) == 25, np.nan, X), atoms, weights, cost, **GOOD)
    with pytest.raises(ValueError, match=r'loss="kl" is KL.*kl_reverse'):
        wdl_objective(np.eye(5, 11), atoms, weights, cost, **(GOOD | {"loss": "kl"}))


def test_the_objective_refuses_to_mix_backends():
    torch = pytest.importorskip("torch")
    X, atoms, weights, cost = problem()
    for mixed in ((torch.tensor(X), atoms), (X, torch.tensor(atoms))):
        with pytest.raises(TypeError, match="one backend; got"):
            wdl_objective(*mixed, weights, cost, **GOOD)


# ----------------------------------------------------------------------------------------------------------- the fit

BINS = 30
LINE = wt.GridCost(BINS)


def path(n_samples: int = 9) -> np.ndarray:
    """Translates of one Gaussian: between its ends every sample is their barycenter."""
    return np.stack([gaussian(BINS, mean, 2.0) for mean in np.linspace(7, 22, n_samples)])


def model(n_atoms: int = 2, **options) -> WassersteinDictionary:
    common = {"cost": LINE, "eps": 2.0, "n_iter": 15, "max_iter": 12, "tol": None, "random_state": 0, "n_jobs": 1}
    return WassersteinDictionary(n_atoms, **(common | options))


def host(x) -> np.ndarray:
    return np.asarray(x)


def same_fit(one: WassersteinDictionary, other: WassersteinDictionary) -> bool:
    """The same atoms, weights and curve to the last bit."""
    return (
        np.array_equal(one.atoms_, other.atoms_)
        and np.array_equal(one.weights_, other.weights_)
        and one.loss_curve_ == other.loss_curve_
        and (one.loss_, one.n_iter_, one.converged_) == (other.loss_, other.n_iter_, other.converged_)
    )


@pytest.mark.parametrize("loss", ["kl", "kl_reverse"])
@pytest.mark.parametrize(
    "solver, options",
    [
        ("lbfgs", {}),
        ("adam", {"learning_rate": 0.3, "max_iter": 150}),
        ("projection", {"betas": (0.5, 0.99), "max_iter": 60}),
    ],
)
def test_the_ends_of_a_path_of_gaussians_are_found(loss, solver, options):
    X = path()
    options = {"n_iter": 30, "max_iter": 60, "init": "extremes", "init_weights": "uniform"} | options
    found = model(loss=loss, solver=solver, **options).fit(X)
    atoms = found.atoms_[np.argsort(found.atoms_ @ np.arange(BINS))]
    # the blur of eps widens a barycenter, so that atoms are narrower than the ends; their places are what is found
    for atom, end in zip(atoms, X[[0, -1]]):
        assert wt.wasserstein_1d(atom, end) ** 0.5 < 0.8
        assert abs((atom - end) @ np.arange(BINS)) < 0.3
    share = found.weights_[:, np.argmin(found.atoms_ @ np.arange(BINS))]
    assert_close(share, np.linspace(1, 0, 9), atol=0.04)


def test_two_atoms_of_a_path_beat_two_components_of_pca_and_nmf():
    from sklearn.decomposition import NMF, PCA

    X = path(15)
    ours = model(loss="kl", n_iter=30, max_iter=60, init="extremes", init_weights="uniform").fit(X)
    own = np.abs(ours.inverse_transform(ours.weights_) - X).sum(1).mean()
    pca = PCA(2).fit(X)
    pca_error = np.abs(pca.inverse_transform(pca.transform(X)) - X).sum(1).mean()
    nmf = NMF(2, max_iter=2000, init="nndsvda").fit(X)
    nmf_error = np.abs(nmf.inverse_transform(nmf.transform(X)) - X).sum(1).mean()
    assert own < 0.1 < 0.4 < min(pca_error, nmf_error)


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "projection"])
@pytest.mark.parametrize("loss", NAMES)
def test_every_loss_goes_down(loss, solver):
    found = model(loss=loss, solver=solver, locality=0.01).fit(path())
    curve = found.loss_curve_
    start, end = curve[0], curve[-1]
    assert end < start - 0.2 * abs(start)
    assert found.loss_ == min(curve)
    if solver == "lbfgs":
        assert all(b <= a for a, b in itertools.pairwise(curve))


@pytest.mark.parametrize("options", [{"momentum": -0.2}, {"marginal_weight": 50.0}, {"n_iter": None, "max_iter": 4}])
def test_every_variant_goes_down(options):
    found = model(**options).fit(path())
    assert found.loss_ < 0.8 * found.loss_curve_[0]
    assert np.isfinite(found.atoms_).all()


def test_what_is_fitted_is_on_the_simplex_in_the_backend_of_the_data(xp):
    X = xp.array(path(5))
    found = model(max_iter=3, callback=lambda t, value, atoms, weights: seen.append((t, value, atoms, weights)))
    seen: list = []
    found.fit(X)
    for x in (found.atoms_, found.weights_, found.transform(X), found.inverse_transform(found.weights_)):
        assert type(x) is type(X) and x.dtype == X.dtype
    for x in (found.atoms_, found.weights_):
        assert_close(xp.numpy(x).sum(-1), np.ones(x.shape[0]), atol=1e-12)
    assert [t for t, *_ in seen] == [0, 1, 2, 3]
    assert [value for _, value, *_ in seen] == found.loss_curve_
    assert np.array_equal(xp.numpy(seen[-1][2]), xp.numpy(found.atoms_))


def test_every_backend_fits_the_same(xp):
    for solver in ("adam", "lbfgs", "projection"):
        there, here = (model(max_iter=4, solver=solver).fit(x) for x in (xp.array(path(5)), path(5)))
        assert_close(there.loss_curve_, here.loss_curve_, rtol=1e-9)
        assert_close(there.atoms_, here.atoms_, atol=1e-8)


def test_the_loss_is_the_objective_at_what_is_held():
    found = model(loss="wasserstein", locality=0.05).fit(path())
    again = wdl_objective(
        path(), found.atoms_, found.weights_, LINE, eps=2.0, loss="wasserstein", n_iter=15, locality=0.05
    )
    assert again.value == pytest.approx(found.loss_, rel=1e-12)


def test_float32_stays_float32_and_agrees_with_float64():
    double, single = (model(max_iter=5).fit(path().astype(kind)) for kind in (np.float64, np.float32))
    assert single.atoms_.dtype == single.weights_.dtype == single.transform(path().astype(np.float32)).dtype
    assert single.atoms_.dtype == np.float32
    assert single.loss_curve_[0] == pytest.approx(double.loss_curve_[0], rel=1e-4)
    assert single.loss_ == pytest.approx(double.loss_, rel=0.05)


def test_float32_on_a_line_that_needs_the_log_domain_is_announced_once():
    line = wt.LineCost(np.linspace(0, 10, BINS))
    options = {"cost": line, "eps": 0.02, "loss": "wasserstein", "n_iter": 3, "max_iter": 2}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = model(**options).fit(path(4).astype(np.float32))
        quiet = model(**options).fit(path(4))
    said = [w for w in caught if "too narrow" in str(w.message)]
    assert found.domain_ != "kernel" and quiet.domain_ == "kernel"
    assert len(said) == 1 and "eps=0.02" in str(said[0].message) and "Give X as float64" in str(said[0].message)
    with pytest.warns(UserWarning, match="float32 is too narrow"):
        arrays = (x.astype(np.float32) for x in (path(4), path(2), np.full((4, 2), 0.5)))
        wdl_objective(*arrays, line, eps=0.02, loss="wasserstein", n_iter=3)


def test_arrays_of_two_floating_types_meet_in_the_wider(xp):
    given = problem(5)
    options = {"loss": "wasserstein", "locality": 0.2, **SHAPE}
    for narrow in itertools.product([np.float32, np.float64], repeat=4):
        rounded = [x.astype(kind).astype(np.float64) for x, kind in zip(given, narrow)]
        mixed = [xp.array(x, dtype=kind) for x, kind in zip(rounded, narrow)]
        weight = xp.array(np.ones(5), dtype=np.float64)
        found = wdl_objective(*mixed, sample_weight=weight, **options)
        assert len({x.dtype for x in found[1:]}) == 1
        if np.float64 in narrow[:3]:
            assert_same(found, wdl_objective(*rounded, **options), 1e-12)


def test_torch_float32_stays_torch_float32():
    torch = pytest.importorskip("torch")
    X = torch.tensor(path(), dtype=torch.float32)
    found = model(max_iter=3).fit(X)
    assert found.atoms_.dtype == found.weights_.dtype == found.inverse_transform(found.weights_).dtype == torch.float32


# -- starts and seeds


def test_a_seed_repeats_the_fit_to_the_bit_and_another_differs():
    one, again, other = (model(random_state=seed, n_restarts=2).fit(path()) for seed in (3, 3, 4))
    assert same_fit(one, again)
    assert not np.array_equal(one.atoms_, other.atoms_)


def test_a_generator_seeds_a_fit_and_moves_on():
    rng = np.random.default_rng(3)
    one, next_one = (model(random_state=rng, max_iter=3).fit(path()) for _ in range(2))
    again = model(random_state=np.random.default_rng(3), max_iter=3).fit(path())
    assert same_fit(one, again)
    assert not np.array_equal(one.atoms_, next_one.atoms_)


def test_a_model_seeded_by_a_generator_is_saved_without_it(tmp_path):
    model(random_state=np.random.default_rng(3), max_iter=1).fit(path()).save(tmp_path / "model.npz")
    assert WassersteinDictionary.load(tmp_path / "model.npz").random_state is None


def test_threads_and_cores_change_no_bit_of_a_fit():
    one, two = (model(n_jobs=n, chunk_size=2).fit(path()) for n in (1, 2))
    assert same_fit(one, two)


def test_starts_that_are_given_are_used_as_given():
    atoms = np.stack([gaussian(BINS, 9, 3), gaussian(BINS, 21, 3)])
    weights = np.linspace([0.9, 0.1], [0.1, 0.9], 9)
    seen: list = []
    found = model(init_atoms=atoms, init_weights=weights, max_iter=1, callback=lambda *now: seen.append(now))
    found.fit(path())
    _, value, first_atoms, first_weights = seen[0]
    assert_close(first_atoms, atoms, atol=1e-11)  # zeros become 1e-12
    assert_close(first_weights, weights, atol=1e-14)
    start = wdl_objective(path(), atoms, weights, LINE, eps=2.0, loss="quadratic", n_iter=15)
    assert value == pytest.approx(start.value, rel=1e-9)
    assert found.init_atoms is atoms and found.init_weights is weights


@pytest.mark.parametrize("init", ["kmeans++", "extremes", "data", "random", "uniform"])
def test_every_start_leads_somewhere(init):
    found = model(init=init, max_iter=5).fit(path())
    assert found.loss_ < found.loss_curve_[0]


def test_the_weights_scale_moves_weights_faster_and_leaves_the_start_alone():
    def moved(scale):
        seen: list = []
        keep = {"solver": "adam", "init_weights": np.linspace([0.8, 0.2], [0.2, 0.8], 9), "max_iter": 1}
        model(weight_scale=scale, callback=lambda *now: seen.append(now), **keep).fit(path())
        (_, first, atoms0, weights0), (_, _, atoms1, weights1) = seen
        return first, np.abs(atoms1 - atoms0).max(), np.abs(weights1 - weights0).max()

    one, five = moved(1.0), moved(5.0)
    assert five[0] == pytest.approx(one[0], rel=1e-12)
    assert five[1] == pytest.approx(one[1], rel=1e-6)
    assert five[2] > 3 * one[2]


def test_restarts_keep_the_best_of_them():
    ends: dict[int, float] = {}
    restart = itertools.count(-1)

    def watch(t, value, atoms, weights):
        number = next(restart) + 1 if t == 0 else len(ends) - 1
        ends[number] = min(value, ends.get(number, math.inf))

    found = model(n_restarts=4, init="random", max_iter=6, callback=watch).fit(path())
    assert len(ends) == 4 and len(set(ends.values())) == 4
    assert found.loss_ == min(ends.values()) == min(found.loss_curve_)
    assert len(found.loss_curve_) == 7 and found.n_iter_ == 6


def test_samples_without_weight_do_not_count():
    X = np.concatenate([path(), np.eye(BINS)[[0, 29]] + 0.0])
    weights = np.concatenate([np.ones(9), np.zeros(2)])
    start = {"init_atoms": path()[[0, -1]], "init_weights": np.full((11, 2), 0.5)}
    found = model(**start).fit(X, sample_weight=weights)
    plain = model(**(start | {"init_weights": np.full((9, 2), 0.5)})).fit(path())
    assert_close(found.atoms_, plain.atoms_, atol=1e-9)
    assert found.loss_ == pytest.approx(plain.loss_, rel=1e-9)


# -- when to stop


def test_without_a_tolerance_exactly_max_iter_steps_run_and_nothing_is_said():
    for solver in ("adam", "lbfgs"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = model(solver=solver, max_iter=7).fit(path())
        assert found.n_iter_ == 7 and len(found.loss_curve_) == 8


def test_a_fit_that_has_not_settled_says_so():
    with pytest.warns(wt.ConvergenceWarning, match=r"stopped after 3 steps with loss .* tol=1e-09. Raise max_iter"):
        found = model(max_iter=3, tol=1e-9).fit(path())
    assert not found.converged_


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_fit_that_has_settled_stops(solver):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options = {"learning_rate": 0.03, "init": "extremes", "init_weights": "uniform"}
        found = model(max_iter=300, tol=0.2, solver=solver, **options).fit(path())
    assert found.converged_ and found.n_iter_ < 300
    window = 20 if solver == "adam" else 5
    recent = found.loss_curve_[-window - 1 :]
    assert max(recent) - min(recent) <= 0.2 * abs(recent[-1])


# -- transform


def test_a_first_step_that_is_given_saves_evaluations():
    curves = [model(loss="kl", init="extremes", max_iter=4, first_step=step).fit(path()) for step in (None, 0.5)]
    timid, bold = (fit.loss_curve_ for fit in curves)
    assert bold[0] == timid[0] and bold[1] < timid[1]


@pytest.fixture(scope="module")
def fitted() -> WassersteinDictionary:
    return model(loss="kl", n_iter=20, max_iter=40, init="extremes", init_weights="uniform").fit(path())


def test_a_rows_weights_do_not_depend_on_its_batch(fitted):
    rng = np.random.default_rng(0)
    X = path(7)
    together = fitted.transform(X)
    alone = np.concatenate([fitted.transform(row[None]) for row in X])
    assert_close(together, alone, atol=1e-8)
    order = rng.permutation(7)
    assert_close(fitted.transform(X[order]), together[order], atol=1e-8)


def test_transform_of_the_training_data_is_about_as_good_as_the_fit(fitted):
    weights = fitted.transform(path())
    assert_close(weights.sum(1), np.ones(9), atol=1e-12)
    score = -fitted.score(path())
    assert score <= fitted.loss_ * 1.02 + 1e-6
    value = wdl_objective(path(), fitted.atoms_, weights, LINE, eps=2.0, loss="kl", n_iter=20).value
    assert score == pytest.approx(value, rel=1e-10)
    assert_close(weights, fitted.weights_, atol=0.02)


def test_transform_finds_the_weights_of_a_barycenter(fitted):
    weights = np.linspace([0.95, 0.05], [0.05, 0.95], 6)
    X = wt.normalize(fitted.inverse_transform(weights))
    assert_close(fitted.transform(X), weights, atol=4e-3)  # its tolerance, not the last digit


def test_score_is_larger_for_samples_it_was_made_for_and_takes_weights(fitted):
    other = np.stack([gaussian(BINS, 15, 6)])
    assert fitted.score(path()) > fitted.score(other)
    both = np.concatenate([path(), other])
    weighted = fitted.score(both, sample_weight=np.r_[np.zeros(9), 1])
    assert weighted == pytest.approx(fitted.score(other), rel=1e-6)


def test_inverse_transform_is_the_barycenter(fitted):
    weights = np.random.default_rng(0).dirichlet(np.ones(2), size=300)
    direct = wt.barycenter(fitted.atoms_, weights, LINE, eps=2.0, n_iter=20).histogram
    assert_close(fitted.inverse_transform(weights), direct, atol=1e-13)
    assert_close(fitted.inverse_transform([[0.5, 0.5]]), fitted.inverse_transform(np.array([[0.5, 0.5]])))


def test_fit_transform_is_fit_then_transform():
    assert np.array_equal(model().fit_transform(path()), model().fit(path()).transform(path()))


# -- scikit-learn manners


def test_the_constructor_stores_its_arguments_untouched_and_clones():
    from sklearn.base import clone

    cost, atoms = wt.cost_matrix(np.arange(BINS)), path()[:2]
    one = WassersteinDictionary(2, cost=cost, eps=2, init_atoms=atoms, betas=[0.9, 0.95])
    params = one.get_params()
    assert params["cost"] is cost and params["init_atoms"] is atoms and params["eps"] == 2
    copy = clone(one)
    assert not hasattr(copy, "atoms_") and copy.get_params()["betas"] == [0.9, 0.95]
    assert one.set_params(eps=3.0, solver="adam") is one and one.eps == 3.0 and one.solver == "adam"
    with pytest.raises(ValueError, match="Invalid parameter 'gamma'"):
        one.set_params(gamma=1)
    assert "WassersteinDictionary" in repr(one)


@pytest.mark.parametrize("cost", [LINE, wt.LineCost(np.arange(float(BINS)))])
def test_a_clone_fits_as_its_original(cost):
    from sklearn.base import clone

    one = model(cost=cost, max_iter=3)
    assert same_fit(one.fit(path()), clone(one).fit(path()))


def test_it_works_in_a_pipeline():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    pipe = make_pipeline(FunctionTransformer(wt.normalize), model(max_iter=5))
    counts = 100 * path() + 1
    weights = pipe.fit_transform(counts)
    assert weights.shape == (9, 2)
    assert_close(pipe.transform(counts), weights, atol=1e-12)
    assert math.isfinite(pipe.score(counts))
    assert pipe.inverse_transform(weights).shape == (9, BINS)


def test_a_model_without_atoms_says_what_to_do(tmp_path):
    from sklearn.exceptions import NotFittedError

    for use in (
        lambda m: m.transform(path()),
        lambda m: m.inverse_transform([[0.5, 0.5]]),
        lambda m: m.score(path()),
        lambda m: m.save(tmp_path / "model.npz"),
    ):
        with pytest.raises(NotFittedError, match=r"call fit\(X\) first"):
            use(model())


def test_refitting_forgets_the_first_fit():
    twice = model(max_iter=6).fit(path()[::-1] + 0.0)
    assert same_fit(twice.fit(path()), model(max_iter=6).fit(path()))


# -- save and load


@pytest.mark.parametrize(
    "cost", [wt.cost_matrix(np.arange(BINS)), LINE, wt.LineCost(np.linspace(400, 900, BINS), scale=0.02)]
)
def test_a_saved_model_comes_back_without_pickle(cost, tmp_path):
    file = tmp_path / "model.npz"
    saved = model(cost=cost, init_atoms=path()[[0, -1]], max_iter=3, betas=(0.8, 0.9)).fit(path())
    saved.save(file)
    with np.load(file, allow_pickle=False) as entries:
        assert all(entries[name].dtype.kind in "fiU" for name in entries)
    loaded = WassersteinDictionary.load(file)
    assert same_fit(saved, loaded)
    assert type(loaded.cost) is type(cost)
    assert loaded.betas == (0.8, 0.9) and loaded.random_state == 0 and loaded.tol is None
    assert np.array_equal(loaded.transform(path()), saved.transform(path()))
    assert same_fit(loaded.fit(path()), saved)
    assert os.listdir(tmp_path) == ["model.npz"]


def test_a_torch_model_is_saved_and_comes_back_as_numpy(tmp_path):
    torch = pytest.importorskip("torch")
    saved = model(cost=torch.tensor(wt.cost_matrix(np.arange(BINS))), max_iter=2).fit(torch.tensor(path()))
    saved.save(tmp_path / "model.npz")
    loaded = WassersteinDictionary.load(tmp_path / "model.npz")
    assert_close(loaded.atoms_, saved.atoms_)
    assert_close(loaded.transform(path()), saved.transform(torch.tensor(path())), atol=1e-9)


def test_a_file_that_holds_no_model_is_refused(tmp_path):
    whole = tmp_path / "model.npz"
    model(max_iter=1).fit(path()).save(whole)
    for name, content in {
        "cut.npz": whole.read_bytes()[:-200],
        "empty.npz": b"",
        "text.npz": b"no numbers at all",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is no saved WassersteinDictionary, or is damaged"):
            WassersteinDictionary.load(tmp_path / name)
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    with pytest.raises(ValueError, match=r"other.npz is no saved WassersteinDictionary"):
        WassersteinDictionary.load(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        WassersteinDictionary.load(tmp_path / "nowhere.npz")


# -- checkpoints


class Stop(Exception):
    """What a test raises to end a fit at a step of its choice."""


def stopped_at(step: int, restart: int = 0):
    """A callback that ends the fit after ``step`` steps of a restart."""
    starts = itertools.count()

    def callback(t, value, atoms, weights):
        if t == 0:
            callback.restart = next(starts)
        if t == step and callback.restart == restart:
            raise Stop

    return callback


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs", "projection"])
@pytest.mark.parametrize("restart, step", [(0, 5), (0, 11), (1, 0), (1, 7)])
def test_a_checkpoint_goes_on_to_the_same_result_to_the_last_bit(solver, restart, step, backend, tmp_path):
    X = path() if backend == "numpy" else pytest.importorskip("torch").tensor(path())
    options = {"solver": solver, "n_restarts": 2, "schedule": "cosine", "init": "random", "weight_scale": 2.0}
    whole = model(**options).fit(X)
    options |= {"checkpoint": tmp_path / "state.npz", "checkpoint_every": 3}
    with pytest.raises(Stop):
        model(callback=stopped_at(step, restart), **options).fit(X)
    assert (tmp_path / "state.npz").exists()
    resumed = model(**options).fit(X)
    assert same_fit(whole, resumed)
    assert os.listdir(tmp_path) == ["state.npz"]


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_checkpoint_of_a_finished_fit_gives_its_result_again_at_once(solver, tmp_path):
    options = {
        "solver": solver,
        "checkpoint": tmp_path / "state.npz",
        "tol": 0.2,
        "max_iter": 300,
        "learning_rate": 0.03,
    }
    options |= {"init": "extremes", "init_weights": "uniform"}
    steps: list = []
    first = model(**options).fit(path())
    again = model(callback=lambda *now: steps.append(now), **options).fit(path())
    assert first.converged_ and same_fit(first, again) and first.domain_ == again.domain_
    assert steps == []


def test_settings_that_do_not_matter_may_change_between_checkpoints(tmp_path):
    options = {"checkpoint": tmp_path / "state.npz", "chunk_size": 3}
    with pytest.raises(Stop):
        model(checkpoint_every=2, callback=stopped_at(5), **options).fit(path())
    resumed = model(n_jobs=2, checkpoint_every=4, **(options | {})).fit(path())
    assert same_fit(resumed, model(chunk_size=3).fit(path()))


def test_a_checkpoint_of_other_data_or_settings_is_refused(tmp_path):
    file = tmp_path / "state.npz"
    model(max_iter=2, checkpoint=file).fit(path())
    message = "state.npz belongs to other data or settings. Delete it"
    for other in (
        lambda: model(max_iter=2, checkpoint=file, eps=2.5).fit(path()),
        lambda: model(max_iter=2, checkpoint=file, cost=wt.GridCost(BINS, spacing=2)).fit(path()),
        lambda: model(max_iter=2, checkpoint=file).fit(path()[::-1]),
        lambda: model(max_iter=2, checkpoint=file).fit(path(), sample_weight=np.arange(9)),
        lambda: model(max_iter=2, checkpoint=file).fit(path().astype(np.float32)),
    ):
        with pytest.raises(ValueError, match=message):
            other()


def test_a_damaged_checkpoint_is_refused_with_one_clear_error(tmp_path):
    file = tmp_path / "state.npz"
    model(max_iter=2, checkpoint=file).fit(path())
    whole = file.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-30], whole[:10], b""):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"state.npz is no checkpoint, or is damaged .*Delete it"):
            model(max_iter=2, checkpoint=file).fit(path())


def test_a_model_is_not_taken_for_a_checkpoint(tmp_path):
    model(max_iter=1).fit(path()).save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="belongs to other data or settings"):
        model(max_iter=1, checkpoint=tmp_path / "model.npz").fit(path())


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "projection"])
@pytest.mark.parametrize("more", [{}, {"warm_restart": 5}])
def test_a_finished_checkpoint_goes_on_where_max_iter_is_raised(solver, more, tmp_path):
    if more and solver != "lbfgs":
        pytest.skip("warm restarts are of L-BFGS")
    options = {"solver": solver, "checkpoint": tmp_path / "state.npz"} | more
    model(max_iter=10, **options).fit(path())
    steps: list = []
    longer = model(max_iter=17, callback=lambda *now: steps.append(now[0]), **options).fit(path())
    assert steps == list(range(11, 18))
    assert same_fit(longer, model(max_iter=17, solver=solver, **more).fit(path()))
    with pytest.raises(ValueError, match=r"has done 17 steps, more than max_iter=16\. Give max_iter=17 or more"):
        model(max_iter=16, **options).fit(path())


@pytest.mark.parametrize("change", [{"n_restarts": 2}, {"solver": "adam", "schedule": "cosine"}])
def test_a_checkpoint_whose_steps_depend_on_max_iter_is_not_taken_further(change, tmp_path):
    options = {"checkpoint": tmp_path / "state.npz"} | change
    model(max_iter=3, **options).fit(path())
    with pytest.raises(ValueError, match="belongs to other data or settings"):
        model(max_iter=5, **options).fit(path())


@pytest.mark.parametrize("seed", [None, "generator"])
def test_restarts_that_follow_a_checkpoint_draw_what_they_would_have_drawn(seed, tmp_path):
    def fresh():
        return np.random.default_rng(5) if seed == "generator" else None

    options = {"checkpoint": tmp_path / "state.npz", "n_restarts": 2, "init": "random", "max_iter": 4}
    drawn: list = []
    with pytest.raises(Stop):
        model(random_state=fresh(), callback=stopped_at(1, restart=1), checkpoint_every=1, **options).fit(path())
    held = model(random_state=fresh(), callback=lambda *now: drawn.append(now), **options).fit(path())
    assert [t for t, *_ in drawn] == [2, 3, 4]
    if seed == "generator":
        assert same_fit(held, model(random_state=fresh(), n_restarts=2, init="random", max_iter=4).fit(path()))


# -- warm restarts


def warm_parts(domain: str, momentum: float, marginal_weight: float | None, loss: str = "quadratic"):
    """A problem, and scalings to start from that are not ones."""
    X, atoms, weights, cost = problem(12)
    terms = objective.Terms(
        EPS, loss, 0.0, losses.Accuracy(SHAPE["n_iter"]), Variant(marginal_weight, momentum), domain
    )
    even = np.full(5, 0.2)
    fixed = objective.Problem(X, even, [wt.gibbs_kernel(cost, EPS, domain=domain)], terms, length=3)
    other = np.random.default_rng(1).dirichlet(np.full(3, 2.0), size=5)
    log_b = objective.scalings_after(fixed, atoms, other)
    return fixed, atoms, weights, cost, log_b


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("momentum, rho", [(0.0, None), (-0.2, None), (0.0, 2.0), (-0.2, 2.0)])
def test_the_gradient_from_given_scalings_equals_torchs_autograd(domain, momentum, rho):
    fixed, atoms, weights, cost, log_b = warm_parts(domain, momentum, rho)
    found, X = objective.evaluate_chunks(fixed, atoms, weights, log_b=log_b), fixed.X
    options = {"loss": "quadratic", "rho": rho, "tau": momentum, **SHAPE}
    warm = by_autograd(X, atoms, weights, cost, log_b=_torch(log_b), **options)
    cold = by_autograd(X, atoms, weights, cost, **options)
    assert_same((found.value, found.grad_atoms, found.grad_weights), warm, 1e-9)
    assert abs(warm[0] - cold[0]) > 1e-6 * abs(cold[0])  # the start does matter


COSTS = {
    "dense": lambda rng: wt.cost_matrix(np.linspace(0, 1, 10)) + 0.2 * rng.random((10, 10)),
    "image": lambda rng: wt.GridCost((3, 4), spacing=(0.3, 0.2)),
    "line": lambda rng: wt.LineCost(np.cumsum(rng.uniform(0.01, 0.03, size=33)), power=1),  # two blocks, padded
}
SECTION_4 = {
    "plain": {},
    "heavy ball": {"momentum": -0.2},
    "unbalanced": {"marginal_weight": 2.0},
    "unbalanced heavy ball": {"momentum": -0.2, "marginal_weight": 2.0},
    "WaHU": {"loss": "wasserstein", "locality": 0.3},
    "WaHU, unbalanced heavy ball": {"loss": "wasserstein", "locality": 0.3, "momentum": -0.2, "marginal_weight": 2.0},
}


def by_softmax(grad: np.ndarray, y: np.ndarray) -> np.ndarray:
    return y * (grad - (grad * y).sum(-1, keepdims=True))


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("kind", COSTS)
@pytest.mark.parametrize("variant", SECTION_4)
def test_a_fit_descends_what_torch_says_in_every_variant_on_every_cost(variant, kind, domain, warm):
    # a first step of L-BFGS goes straight down the gradient in the logits, and warm_restart=1 has only first steps
    rng = np.random.default_rng(7)
    cost = COSTS[kind](rng)
    X, first = random_histograms(rng, 4, cost.shape[0]), random_histograms(rng, 3, cost.shape[0])
    options = {"loss": "quadratic", "locality": 0.0, "eps": 0.15, "n_iter": 3} | SECTION_4[variant]
    seen: list = []
    fit = WassersteinDictionary(
        3, cost=cost, domain=domain, init_atoms=first, init_weights=rng.dirichlet(np.full(3, 2.0), size=4), tol=None,
        max_iter=3 if warm else 1, warm_restart=1 if warm else None, callback=lambda *now: seen.append(now), **options
    ).fit(X)  # fmt: skip
    assert fit.domain_ == domain and len(seen) == (4 if warm else 2)

    dense = cost.dense() if hasattr(cost, "dense") else cost
    inner = {"tau": options.pop("momentum", 0.0), "rho": options.pop("marginal_weight", None)}
    held, starts = None, []
    for (_, _, *now), (_, value, *then) in itertools.pairwise(seen):
        _, *grads = by_autograd(X, *now, dense, log_b=held, **options, **inner)
        expected = -np.concatenate([by_softmax(*pair).ravel() for pair in zip(grads, now)])
        logs = [np.log(b) - np.log(a) for a, b in zip(now, then)]
        step = np.concatenate([(x - x.mean(-1, keepdims=True)).ravel() for x in logs])
        length = (step @ expected) / (expected @ expected)
        assert length > 0
        assert_close(step, length * expected, atol=1e-8 * np.abs(step).max())
        after, *_ = by_autograd(X, *then, dense, log_b=held, **options, **inner)
        assert value == pytest.approx(after, rel=1e-9)
        starts.append(held)
        short = {name: options[name] for name in ("eps", "n_iter")}
        _, held = torch_barycenters(*map(_torch, then), dense, log_b=held, **short, **inner)
    assert starts[0] is None and not (warm and starts[1] is None)


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_runs_that_go_on_from_each_other_are_one_long_run(domain):
    fixed, atoms, weights, _, _ = warm_parts(domain, 0.0, None)
    held = None
    for _ in range(3):
        held = objective.scalings_after(fixed, atoms, weights, log_b=held)
    long = fixed.terms._replace(accuracy=losses.Accuracy(3 * SHAPE["n_iter"]))
    once = objective.scalings_after(fixed._replace(terms=long), atoms, weights)
    assert_close(held, once, atol=1e-12)


WARM = {"n_iter": 2, "warm_restart": 4, "loss": "kl", "init": "extremes", "init_weights": "uniform"}


@pytest.mark.parametrize("options", [{}, {"momentum": -0.2}, {"marginal_weight": 50.0, "loss": "quadratic"}])
def test_a_warm_fit_repeats_itself_and_ends_nearer_to_the_truth_than_a_cold_one(options):
    options = WARM | options
    warm, again, cold = (
        model(max_iter=30, **(options | more)).fit(path()) for more in ({}, {}, {"warm_restart": None})
    )
    assert same_fit(warm, again)
    assert warm.cold_n_iter_ == 2 * (1 + 29 // 4) and cold.cold_n_iter_ == 2

    def converged(found):
        names = ("eps", "loss", "momentum", "marginal_weight")
        kept = {name: getattr(found, name) for name in names}
        return wdl_objective(path(), found.atoms_, found.weights_, LINE, n_iter=None, **kept).value

    assert converged(warm) < 0.9 * converged(cold)


@pytest.mark.parametrize("domain", ["auto", "log"])
def test_the_loss_of_a_warm_fit_is_of_a_cold_start(domain):
    found = model(domain=domain, max_iter=14, **WARM).fit(path())
    options = {"eps": 2.0, "loss": "kl", "domain": domain}
    cold = wdl_objective(path(), found.atoms_, found.weights_, LINE, n_iter=found.cold_n_iter_, **options)
    assert found.loss_ == pytest.approx(cold.value, rel=1e-12)
    assert found.loss_ != found.loss_curve_[-1] and len(found.loss_curve_) == 15
    assert_close(found.inverse_transform(found.weights_), cold.reconstruction, atol=1e-14)
    assert -found.score(path()) < 1.1 * found.loss_


def test_within_a_restart_a_warm_fit_goes_down():
    curve = model(max_iter=14, **WARM).fit(path()).loss_curve_
    for start in (0, 5, 9):
        assert all(b <= a for a, b in itertools.pairwise(curve[start : start + 4]))


def test_the_first_steps_of_a_warm_fit_are_those_of_a_cold_one():
    warm, cold = (model(max_iter=4, **(WARM | more)).fit(path()) for more in ({}, {"warm_restart": None}))
    assert warm.loss_curve_ == cold.loss_curve_ and warm.cold_n_iter_ == 2
    assert warm.loss_ == pytest.approx(cold.loss_, rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"momentum": -0.2}, {"domain": "log"}])
@pytest.mark.parametrize("restart, step", [(0, 3), (0, 8), (0, 11), (1, 0), (1, 5)])
def test_a_checkpoint_of_a_warm_fit_goes_on_to_the_last_bit(options, restart, step, tmp_path):
    options = WARM | options | {"n_restarts": 2, "init": "random", "init_weights": "random"}
    whole = model(**options).fit(path())
    options |= {"checkpoint": tmp_path / "state.npz", "checkpoint_every": 2}
    with pytest.raises(Stop):
        model(callback=stopped_at(step, restart), **options).fit(path())
    assert same_fit(whole, model(**options).fit(path()))
    assert same_fit(whole, model(**options).fit(path()))  # of the finished fit, at once


def test_restarts_of_warm_fits_are_judged_cold():
    options = WARM | {"init": "random", "init_weights": "random", "max_iter": 9}
    seeds = np.random.SeedSequence(0).spawn(3)
    assert len({tuple(seed.generate_state(2)) for seed in seeds}) == 3
    ends: list = []

    def watch(t, value, atoms, weights):
        if t == 9:
            objective = wdl_objective(path(), atoms, weights, LINE, eps=2.0, loss="kl", n_iter=2 * 3)
            ends.append(objective.value)

    found = model(n_restarts=3, callback=watch, **options).fit(path())
    assert len(set(ends)) == 3
    assert found.loss_ == pytest.approx(min(ends), rel=1e-12)


def test_a_warm_fit_stops_when_nothing_changes_across_a_restart():
    options = WARM | {"max_iter": 400, "tol": 0.1}
    found = model(**options).fit(path())
    assert found.converged_ and found.n_iter_ < 400
    recent = found.loss_curve_[-6:]
    assert max(recent) - min(recent) <= 0.1 * abs(recent[-1])


def test_a_warm_fit_whose_scalings_leave_the_floats_goes_on_in_the_log_domain():
    X = np.stack([gaussian(60, mean, 1.5) for mean in np.linspace(8, 50, 8)])
    fits = {
        domain: model(
            cost=wt.GridCost(60), eps=3.0, domain=domain, max_iter=12, n_iter=5, warm_restart=3, loss="kl_reverse"
        )
        for domain in ("auto", "log")
    }
    auto, log = (fit.fit(X) for fit in fits.values())
    assert auto.domain_ in ("log", "mixed")
    assert_close(auto.loss_curve_, log.loss_curve_, rtol=1e-6)


def test_a_warm_model_comes_back_from_its_file(tmp_path):
    found = model(max_iter=9, **WARM).fit(path())
    found.save(tmp_path / "model.npz")
    loaded = WassersteinDictionary.load(tmp_path / "model.npz")
    assert (loaded.warm_restart, loaded.cold_n_iter_) == (4, 6)
    assert np.array_equal(loaded.transform(path()), found.transform(path()))


def test_ctrl_c_in_a_warm_fit_leaves_a_loss_of_a_cold_start():
    def stop(t, value, atoms, weights):
        if t == 7:
            raise KeyboardInterrupt

    with pytest.warns(wt.ConvergenceWarning, match="interrupted after 8 evaluated steps"):
        found = model(callback=stop, **WARM).fit(path())
    cold = wdl_objective(path(), found.atoms_, found.weights_, LINE, eps=2.0, loss="kl", n_iter=4)
    assert found.interrupted_ and found.cold_n_iter_ == 4
    assert found.loss_ == pytest.approx(cold.value, rel=1e-12)


def test_every_backend_fits_the_same_warm(xp):
    there, here = (model(max_iter=7, **WARM).fit(x) for x in (xp.array(path(5)), path(5)))
    assert_close(there.loss_curve_, here.loss_curve_, rtol=1e-8)
    assert there.loss_ == pytest.approx(here.loss_, rel=1e-8)


# -- Ctrl-C

CHILD = """
    import signal, sys, warnings
    import numpy as np
    import wdl_tutorial as wt
    from wdl_tutorial import initialise

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born deaf to it
    moment, solver = sys.argv[1], sys.argv[2]
    x = np.arange(40)
    X = wt.normalize(np.exp(-0.5 * ((x - np.linspace(10, 30, 600)[:, None]) / 2.5) ** 2))
    say = lambda what: print(what, flush=True)

    plain = initialise.distances
    def distances(*args, **options):
        say("choosing")
        return plain(*args, **options)
    initialise.distances = distances

    def callback(t, value, atoms, weights):
        say(f"step {t}")

    model = wt.WassersteinDictionary(2, cost=wt.GridCost(40), eps=2.0, n_iter=20, loss="kl", solver=solver, max_iter=30,
                                     tol=None, random_state=0, callback=callback, n_jobs=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(X)
        except KeyboardInterrupt:
            say("passed on with " + " ".join(name for name in vars(model) if name.endswith("_")))
            sys.exit()
    said = any("interrupted" in str(w.message) and "best so far" in str(w.message) for w in caught)
    np.savez(sys.argv[3], atoms=model.atoms_, weights=model.weights_, loss=model.loss_, curve=model.loss_curve_,
             interrupted=model.interrupted_, said=said, rebuilt=model.inverse_transform(model.weights_[:3]))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("moment", ["choosing", "step 12", "step 28"])
def test_ctrl_c_keeps_the_best_so_far(moment, solver, tmp_path):
    script, out = tmp_path / "child.py", tmp_path / "held.npz"
    script.write_text(textwrap.dedent(CHILD))
    env = os.environ | {"PYTHONPATH": str(Path(wt.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), moment, solver, str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as child:
        for line in child.stdout:
            if line.strip() == moment:
                child.send_signal(signal.SIGINT)
                break
        rest, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors
    if moment == "choosing":  # nothing was evaluated yet: interrupted means interrupted, and nothing looks fitted
        assert "passed on with \n" in rest and not out.exists()
        return
    held = np.load(out)
    assert held["interrupted"] and held["said"]
    for x in (held["atoms"], held["weights"]):
        assert np.isfinite(x).all() and x.min() >= 0
        assert_close(x.sum(1), np.ones(len(x)), atol=1e-12)
    assert np.isfinite(held["rebuilt"]).all()
    assert "step 30" not in rest
    steps = len(held["curve"])
    assert int(moment.split()[1]) < steps <= 30
    assert held["loss"] == held["curve"].min()
    assert held["loss"] < held["curve"][0]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers of POSIX")
def test_ctrl_c_at_any_moment_leaves_a_model_that_agrees_with_itself():
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    interrupted = 0
    try:
        for delay in np.geomspace(0.002, 0.2, 25):
            found = model(n_restarts=2, loss="kl", max_iter=40, solver="adam", callback=lambda *now: None)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", wt.ConvergenceWarning)
                signal.setitimer(signal.ITIMER_REAL, delay)
                try:
                    found.fit(path())
                except KeyboardInterrupt:  # so early that nothing was evaluated
                    assert not hasattr(found, "atoms_")
                    continue
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            interrupted += found.interrupted_
            assert found.loss_ == min(found.loss_curve_, default=math.inf)
            assert_close(found.atoms_.sum(1), np.ones(2), atol=1e-12)
            if found.loss_curve_:
                value = wdl_objective(path(), found.atoms_, found.weights_, LINE, eps=2.0, loss="kl", n_iter=15).value
                assert value == pytest.approx(found.loss_, rel=1e-10)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 5


@pytest.mark.parametrize(
    "solver, where", [("adam", None), ("adam", "_keep_nothing"), ("minibatch", None), ("minibatch", "_resume_batches")]
)
@pytest.mark.parametrize("fitted", [False, True])
def test_ctrl_c_before_the_first_atoms_leaves_the_estimator_as_it_was(monkeypatch, solver, where, fitted):
    found = model(max_iter=2, solver=solver, batch_size=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wt.ConvergenceWarning)
        before = dict(vars(found.fit(path()) if fitted else found))

    def stop(*given, **options):
        raise KeyboardInterrupt

    if where is None:
        monkeypatch.setattr(dictionary, "_check_feature_names", stop)
    else:
        monkeypatch.setattr(wt.WassersteinDictionary, where, stop)
    with pytest.raises(KeyboardInterrupt):
        found.fit(path()[:, ::-1])
    assert vars(found).keys() == before.keys() and all(vars(found)[name] is before[name] for name in before)


# -- bad input

SETTINGS = {"n_atoms": 2}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_atoms": 0}, "n_atoms must be an integer of at least 1; got 0"),
        ({"n_atoms": 2.0}, "n_atoms must be an integer of at least 1; got 2.0"),
        ({"n_atoms": "two"}, "n_atoms must be an integer of at least 1; got 'two'"),
        ({"n_atoms": 10}, "n_atoms=10 is more than the 9 samples; use fewer atoms"),
        ({"eps": -1}, "eps must be positive; got -1"),
        ({"loss": "l2"}, "loss must be one of .*; got 'l2'"),
        ({"n_iter": 0}, "n_iter must be .* got 0"),
        ({"solver": "sgd"}, "solver must be 'lbfgs', 'adam', 'projection' or 'minibatch'; got 'sgd'"),
        ({"schedule": "steps"}, "schedule must be 'constant' or 'cosine'; got 'steps'"),
        ({"learning_rate": 0}, r"learning_rate must be in \(0, 1e\+09\]; got 0"),
        ({"learning_rate": 1.7e308}, r"learning_rate must be in \(0, 1e\+09\]; got 1.7e\+308"),
        ({"weight_scale": -2}, r"weight_scale must be in \[1e-09, 1e\+09\]; got -2"),
        ({"weight_scale": 5e-324}, r"weight_scale must be in \[1e-09, 1e\+09\]; got 5e-324"),
        ({"weight_scale": 1e200}, r"weight_scale must be in \[1e-09, 1e\+09\]; got 1e\+200"),
        ({"first_step": 0}, r"first_step must be in \(0, 100\], or None"),
        ({"max_iter": 0}, "max_iter must be an integer of at least 1; got 0"),
        ({"n_restarts": 1.5}, "n_restarts must be an integer of at least 1; got 1.5"),
        ({"checkpoint_every": 0}, "checkpoint_every must be an integer of at least 1; got 0"),
        ({"init": "k-means"}, "init must be one of .*, or an array; got 'k-means'"),
        ({"init_atoms": path()[:3]}, r"must have shape \(2, 30\); got \(3, 30\)"),
        ({"init_weights": np.full((9, 2), 0.4)}, "init_weights must sum to 1 .* worst row sums to 0.8"),
        ({"cost": np.zeros((30, 29))}, r"cost must be square.* got shape \(30, 29\)"),
        ({"cost": wt.GridCost(31)}, r"X has 30 bins but cost has shape \(31, 31\)"),
        ({"n_jobs": 0}, "n_jobs must be a positive number, or -1 .* got 0"),
        ({"init_atoms": 2 * path()[:2]}, "init_atoms must sum to 1 .* worst row sums to 2"),
        ({"init": None}, "init must be one of .*, or an array; got None"),
        ({"learning_rate": "a"}, "learning_rate must be in .*; got 'a'"),
        ({"tol": -1}, "^tol must be non-negative, or None to run max_iter steps; got -1"),
        ({"tol": float("nan")}, "^tol must be non-negative, or None .* got nan"),
        ({"betas": (0.9, 1.5)}, r"betas must be two numbers in \[0, 1\); got \(0.9, 1.5\)"),
        ({"betas": 0.9}, r"betas must be two numbers in \[0, 1\); got 0.9"),
        ({"sinkhorn_tol": -1}, "sinkhorn_tol must be non-negative; got -1"),
        ({"sinkhorn_max_iter": 0}, "sinkhorn_max_iter must be an integer of at least 1; got 0"),
        ({"chunk_size": 2.5}, "chunk_size must be an integer of at least 1, or None; got 2.5"),
        (
            {"warm_restart": 0},
            "warm_restart must be an integer of at least 1, a number of steps, or None to start cold; got 0",
        ),
        ({"warm_restart": 2.5}, "warm_restart must be an integer of at least 1, a number of steps, .* got 2.5"),
        ({"warm_restart": True}, "warm_restart must be an integer of at least 1, a number of steps, .* got True"),
        (
            {"warm_restart": 5, "solver": "adam"},
            "warm_restart restarts L-BFGS; use solver=\"lbfgs\" .* got solver='adam'",
        ),
        (
            {"warm_restart": 5, "n_iter": None},
            "warm_restart needs a fixed n_iter: .* Use n_iter=2, say, or warm_restart=None",
        ),
        ({"random_state": -1}, "random_state must be a non-negative integer, a numpy Generator or None; got -1"),
        ({"random_state": "a"}, "random_state must be a non-negative integer, .* got 'a'"),
        ({"random_state": 1.5}, "random_state must be a non-negative integer, .* got 1.5"),
    ],
)
def test_settings_that_mean_nothing_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        model(**change).fit(path())


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda X: X * 2, "X must sum to 1 along its last axis; worst row sums to 2. .*normalize"),
        (lambda X: np.where(np.arange(9)[:, None] == 4, 0, X), "X must sum to 1 .* worst row sums to 0. "),
        (lambda X: X - 0.01, "X must not be negative; its smallest entry is -0.01"),
        (lambda X: np.where(X > 0.19, np.nan, X), "X holds .* NaN or infinite entries .row 0"),
        (lambda X: X[0], r"X must be \(n_samples, n_bins\); got shape \(30,\)"),
        (lambda X: X.reshape(-1, 5, 6), r"Images become rows by X.reshape\(n_samples, -1\)"),
        (lambda X: X[:0], "X has no samples"),
        (lambda X: X[:, :29] / X[:, :29].sum(1, keepdims=True), "X has 29 bins but cost .* Make a cost of these"),
    ],
)
def test_data_that_are_no_histograms_are_refused_by_fit_and_transform(fitted, spoil, message):
    with pytest.raises(ValueError, match=message):
        model().fit(spoil(path()))
    with pytest.raises(ValueError, match=message):
        fitted.transform(spoil(path()))
    with pytest.raises(ValueError, match=message):
        fitted.score(spoil(path()))


def test_weights_off_the_simplex_are_refused(fitted):
    with pytest.raises(ValueError, match=r"weights must sum to 1 .* worst row sums to 1.5"):
        fitted.inverse_transform([[1.0, 0.5]])
    with pytest.raises(ValueError, match=r"weights must not be negative; its smallest entry is -0.5"):
        fitted.inverse_transform([[1.5, -0.5]])
    with pytest.raises(ValueError, match=r"\(1, 3\)"):
        fitted.inverse_transform([[0.5, 0.25, 0.25]])
    for weights in ([0.5, 0.5], 1.0, np.zeros((0, 2))):
        with pytest.raises(ValueError, match=r"weights must be \(n_samples, n_atoms\), one row per sample and 2 atoms"):
            fitted.inverse_transform(weights)


def test_data_from_another_backend_than_the_atoms_are_refused(fitted):
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="one backend; got"):
        fitted.transform(torch.tensor(path()))
    with pytest.raises(TypeError, match="one backend; got"):
        fitted.inverse_transform(torch.tensor([[0.5, 0.5]]))
    with pytest.raises(TypeError, match="one backend; got"):
        model(init_atoms=path()[:2]).fit(torch.tensor(path()))
    with pytest.raises(TypeError, match="one backend; got"):
        model(cost=wt.cost_matrix(np.arange(BINS))).fit(torch.tensor(path()))


def test_lists_and_integers_and_a_list_for_a_cost_simply_work():
    X = np.eye(4, dtype=int)
    dense = wt.cost_matrix(np.arange(4))
    one = model(cost=dense.tolist(), eps=1.0, max_iter=3).fit(X.tolist())
    other = model(cost=dense, eps=1.0, max_iter=3).fit(X)
    assert same_fit(one, other)
    assert one.transform(X.tolist()).dtype == np.float64


def test_a_fit_leaves_its_arguments_alone(xp):
    given = [path(5), path(5)[[0, 4]], np.full((5, 2), 0.5), wt.cost_matrix(np.arange(BINS)), np.arange(1.0, 6.0)]
    X, atoms, weights, cost, importance = (xp.array(x) for x in given)
    found = model(cost=cost, init_atoms=atoms, init_weights=weights, max_iter=2).fit(X, sample_weight=importance)
    found.transform(X)
    found.inverse_transform(weights)
    assert all(np.array_equal(xp.numpy(x), y) for x, y in zip((X, atoms, weights, cost, importance), given))


def test_a_file_that_cannot_be_written_is_named_before_it_is_tried(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere. Make it first"):
        fitted.save(tmp_path / "nowhere" / "model.npz")
    with pytest.raises(IsADirectoryError, match="is a folder; give the path of a file in it"):
        fitted.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_callback_that_cannot_be_called_is_refused_before_the_first_step():
    with pytest.raises(TypeError, match=r"callback must be a function .* got 3"):
        model(callback=3).fit(path())


@pytest.mark.parametrize("init", ["kmeans++", "extremes"])
@pytest.mark.parametrize("given", ["random", "near"])
def test_a_fit_with_relaxed_marginals_takes_samples_of_unequal_mass_and_starts_by_their_shapes(init, given):
    rng = np.random.default_rng(1)
    shapes = wt.normalize(np.exp(-0.5 * ((np.arange(20) - rng.uniform(4, 16, (12, 1))) / 1.5) ** 2))
    bright = shapes * rng.uniform(0.3, 3.0, (12, 1))
    starts = []
    for X in (shapes, bright):
        model = WassersteinDictionary(
            2,
            cost=wt.GridCost(20),
            eps=1.0,
            loss="wasserstein",
            marginal_weight=20.0,
            init=init,
            init_weights=given,
            max_iter=3,
            tol=None,
            random_state=0,
            callback=lambda t, value, atoms, weights: t == 0 and starts.append((atoms, weights)),
        ).fit(X)
    for one, other in zip(*starts):
        assert_close(other, one, atol=1e-12)
    options = {"eps": 1.0, "loss": "wasserstein", "marginal_weight": 20.0, "n_iter": 50}
    at_end = wt.wdl_objective(bright, model.atoms_, model.weights_, wt.GridCost(20), **options)
    assert model.loss_ == pytest.approx(at_end.value, rel=1e-12)
    assert model.loss_curve_[-1] < model.loss_curve_[0] and model.transform(bright).shape == (12, 2)
    with pytest.raises(ValueError, match="X must sum to 1"):
        model.set_params(marginal_weight=None).fit(bright)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_inner_runs_that_stop_short_are_told_once_a_fit_by_the_name_of_their_knob(n_jobs):
    rng = np.random.default_rng(0)
    X = wt.normalize(np.exp(-0.5 * ((np.arange(30) - rng.uniform(6, 24, (40, 1))) / 2.0) ** 2) + 1e-3)
    settings = {"cost": wt.GridCost(30), "eps": 0.5, "loss": "wasserstein", "n_iter": None, "init": "data"}
    settings |= {"max_iter": 4, "tol": None, "random_state": 0, "chunk_size": 10, "n_jobs": n_jobs}
    model = WassersteinDictionary(2, sinkhorn_max_iter=3, **settings)
    calls = {"fit": lambda: model.fit(X), "transform": lambda: model.transform(X[:3], max_iter=5, tol=1.0)}
    calls |= {"inverse_transform": lambda: model.inverse_transform([[0.4, 0.6]])}
    for name, call in calls.items():
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            call()
        inner = [str(w.message) for w in told if "inner run" in str(w.message)]
        assert len(inner) == 1 and len({str(w.message) for w in told}) == len(told) <= 2
        assert re.match(
            rf"(An|\d+) inner runs? of {name} stopped short, at worst .* iterations with error .* > ", inner[0]
        )
        assert "sinkhorn_tol 1.0e-09" in inner[0] and "Raise sinkhorn_max_iter, or eps" in inner[0]
    model.set_params(sinkhorn_max_iter=10_000)  # the remedy
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X)
        model.inverse_transform([[0.4, 0.6]])


def test_the_objective_tells_once_of_all_chunks_that_stopped_short():
    rng = np.random.default_rng(0)
    X, weights = random_histograms(rng, 20, 12), rng.dirichlet(np.ones(2), size=20)
    options = {"eps": 0.5, "loss": "wasserstein", "n_iter": None, "chunk_size": 5}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        wt.wdl_objective(X, X[:2], weights, wt.GridCost(12), max_iter=2, **options)
    assert len(told) == 1 and "inner runs of wdl_objective" in str(told[0].message)
    assert "Raise max_iter, or eps" in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wt.wdl_objective(X, X[:2], weights, wt.GridCost(12), max_iter=10_000, **options)


# ------------------------------------------------------------------------------------------------------ converged fits


def spectra(n, n_bins=40, seed=0):
    draw = np.random.default_rng(seed)
    return wt.normalize(np.exp(np.cumsum(0.15 * draw.standard_normal((n, n_bins)), axis=1)))


CONVERGED = {
    "cost": wt.LineCost(np.linspace(0, 10, 40)),
    "eps": 0.1,
    "loss": "wasserstein",
    "locality": 0.01,
    "n_iter": None,
}


def test_converged_runs_start_where_those_of_the_last_step_have_ended(monkeypatch):
    X, atoms, weights = spectra(8), spectra(3, seed=1), np.random.default_rng(0).dirichlet(np.ones(3), 8)
    spent, accelerated = [], line.accelerated

    def counting(*given, **options):
        found = accelerated(*given, **options)
        spent.append(found.n_iter)
        return found

    monkeypatch.setattr(line, "accelerated", counting)
    terms = objective.Terms(0.1, "wasserstein", 0.01, Accuracy(None, 1e-9), Variant(), "auto")
    with objective.problem_for(X, np.full(8, 1 / 8), CONVERGED["cost"], terms, 3, None, 1) as cold:
        warm = cold._replace(starts={})
        objective.evaluate_chunks(warm, atoms, weights)
        near = wt.normalize(atoms * np.exp(0.01 * np.random.default_rng(2).standard_normal(atoms.shape)))
        spent.clear()
        there = objective.evaluate_chunks(warm, near, weights)
        n_warm = sum(spent)
        spent.clear()
        again = objective.evaluate_chunks(cold, near, weights)
    assert n_warm < 0.8 * sum(spent)
    assert there.value == pytest.approx(again.value, abs=1e-9)
    assert_close(there.grad_weights, again.grad_weights, atol=1e-6)
    for ours, theirs in ((there.grad_atoms, again.grad_atoms),):
        assert_close(ours - ours.mean(1, keepdims=True), theirs - theirs.mean(1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("solver", ["lbfgs", "adam", "projection", "minibatch"])
@pytest.mark.parametrize("kind", ["grid", "dense"])
def test_a_dtype_is_what_all_is_computed_in(solver, kind, tmp_path):
    x = np.arange(30.0)
    X = wt.normalize(np.exp(-0.5 * ((x - np.linspace(8, 22, 12)[:, None]) / 3) ** 2) + 1e-3)
    cost = wt.GridCost(30) if kind == "grid" else wt.cost_matrix(x)
    options = {"cost": cost, "eps": 30.0, "init": "extremes", "solver": solver, "batch_size": 6}
    options |= {"max_iter": 5, "tol": None, "random_state": 0}
    wide = wt.WassersteinDictionary(2, **options).fit(X)
    narrow = wt.WassersteinDictionary(2, dtype="float32", **options).fit(X)
    assert narrow.atoms_.dtype == narrow.weights_.dtype == narrow.transform(X).dtype == np.float32
    assert wide.atoms_.dtype == np.float64 and narrow.loss_ == pytest.approx(wide.loss_, rel=1e-3)
    narrow.save(tmp_path / "narrow")
    assert wt.WassersteinDictionary.load(next(tmp_path.iterdir())).dtype == "float32"
    again = wt.WassersteinDictionary(2, dtype="float64", **options).fit(X.astype(np.float32))
    assert again.atoms_.dtype == np.float64


def test_a_dtype_that_is_none_is_refused():
    model = wt.WassersteinDictionary(2, cost=wt.GridCost(30), eps=9.0, dtype="half")
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'; got 'half'"):
        model.fit(spectra(6)[:, :30] / spectra(6)[:, :30].sum(1, keepdims=True))


def test_weights_of_zero_are_solved_in_the_log_domain_of_float32():
    x = np.arange(60.0)
    X = wt.normalize(np.exp(-0.5 * ((x - np.linspace(15, 45, 12)[:, None]) / 5) ** 2) + 1e-4).astype(np.float32)
    options = {"eps": 8.0, "init": "extremes", "max_iter": 8, "tol": None, "random_state": 0, "domain": "log"}
    model = wt.WassersteinDictionary(2, cost=wt.cost_matrix(x.astype(np.float32)), **options).fit(X)
    weights = model.transform(X)
    assert weights.dtype == np.float32 and np.isfinite(weights).all() and weights.max() > 0.99


@pytest.fixture
def asked(monkeypatch):
    """The tolerances that the inner runs of a chunk are asked for, one after another."""
    found, evaluate = [], objective.evaluate_part

    def noted(known, rows):
        found.append(known.terms.accuracy.tol)
        return evaluate(known, rows)

    monkeypatch.setattr(objective, "evaluate_part", noted)
    return found


def test_inner_runs_of_adam_are_as_close_as_the_last_step_was_long_and_no_closer(asked):
    X = spectra(6)
    fits = {}
    for solver in ("adam", "lbfgs"):
        asked.clear()
        options = CONVERGED | {"sinkhorn_tol": 1e-6, "solver": solver, "max_iter": 6, "tol": None, "random_state": 0}
        fits[solver] = wt.WassersteinDictionary(2, **options).fit(X), list(asked)
    (model, tols), (_, strict) = fits["adam"], fits["lbfgs"]
    changes = np.abs(np.diff(model.loss_curve_))
    assert tols[:2] == [1e-4, 1e-4] and tols[-1] == 1e-9  # nothing is known yet; and what is told at the end
    assert_close(tols[2:-1], np.clip(0.1 * changes[: len(tols) - 3], 1e-6, 1e-4), rtol=1e-12)
    assert set(strict) == {1e-6, 1e-9}  # a line search compares values
    options["solver"], options["sinkhorn_tol"] = "adam", 1e-3
    asked.clear()
    wt.WassersteinDictionary(2, **options).fit(X)
    assert set(asked) == {1e-3, 1e-9}  # a looser one that was asked for stays


def mixtures(n, seed=0, atoms=3):
    """Barycenters of a few bumps, every other one of two of them alone."""
    rng, x = np.random.default_rng(seed), np.arange(40.0)
    bumps = wt.normalize(np.exp(-0.5 * ((x - np.linspace(8, 32, atoms)[:, None]) / 2.5) ** 2) + 1e-3)
    weights = rng.dirichlet(np.full(atoms, 2.0), n)
    weights[::2, 0] = 0.0
    weights = wt.normalize(weights)
    return wt.barycenter(bumps, weights, wt.GridCost(40), eps=4.0).histogram, bumps, weights


def test_projection_reaches_in_few_steps_what_adam_does_not_in_many_and_weights_of_exactly_zero():
    X = mixtures(60)[0]
    options = {"cost": wt.GridCost(40), "eps": 4.0, "loss": "wasserstein", "locality": 0.01, "n_iter": None}
    options |= {"init": "extremes", "init_weights": "near", "sinkhorn_tol": 1e-6, "schedule": "cosine", "tol": None}
    adam = wt.WassersteinDictionary(3, solver="adam", max_iter=60, **options).fit(X)
    ours = wt.WassersteinDictionary(3, solver="projection", betas=(0.5, 0.99), max_iter=30, **options).fit(X)
    assert ours.loss_ < adam.loss_
    assert (ours.weights_ == 0).mean() > 0.1 > (adam.weights_ == 0).mean()
    # its weights are what a search for each sample alone finds
    assert ours.score(X) == pytest.approx(-ours.loss_, abs=2e-4)


def test_inner_runs_of_projection_heed_the_largest_of_three_changes(asked):
    X = spectra(6)
    options = CONVERGED | {"sinkhorn_tol": 1e-6, "solver": "projection", "max_iter": 40, "tol": None, "random_state": 0}
    options |= {"learning_rate": 1e-4, "init_weights": "lattice"}  # steps that change the loss by less than the most
    model = wt.WassersteinDictionary(2, **options).fit(X)
    changes = np.abs(np.diff(model.loss_curve_))
    largest = [changes[max(0, i - 2) : i + 1].max() for i in range(len(changes) - 1)]
    assert asked[:2] == [1e-3, 1e-3] and asked[-1] == 1e-9 and len(set(asked)) > 4
    assert_close(asked[2:-1], np.clip(largest, 1e-6, 1e-3), rtol=1e-12)


def test_of_many_samples_a_few_lead_the_atoms_first(monkeypatch):
    X, found, leading = mixtures(900, seed=1)[0], [], []
    evaluate = dictionary._Fit.evaluate

    def noted(self, params):
        found.append(self.problem.X.shape[0])
        leading.append(self.problem.X)
        return evaluate(self, params)

    monkeypatch.setattr(dictionary._Fit, "evaluate", noted)
    options = {"cost": wt.GridCost(40), "eps": 4.0, "n_iter": 15, "loss": "kl", "solver": "projection"}
    options |= {"betas": (0.5, 0.99), "max_iter": 3, "tol": None, "random_state": 0, "init_weights": "lattice"}
    model = wt.WassersteinDictionary(3, **options).fit(X)
    assert found == [100] * 36 + [900] * 4
    again = wt.WassersteinDictionary(3, **options).fit(X)
    assert again.loss_curve_ == model.loss_curve_
    found.clear()
    wt.WassersteinDictionary(3, **options).fit(X[:800])
    assert found == [800] * 4
    with monkeypatch.context() as all_of_them:
        all_of_them.setattr(dictionary, "MANY_TIMES", 1000)
        led_by_none = wt.WassersteinDictionary(3, **options).fit(X)
    assert model.loss_curve_[0] < 0.5 * led_by_none.loss_curve_[0]  # that is what it is for
    # samples of no importance lead nowhere
    for counted in (300, 60):
        found.clear(), leading.clear()
        wt.WassersteinDictionary(3, **options).fit(X, sample_weight=1.0 * (np.arange(900) < counted))
        assert found[:36] == [min(counted, 100)] * 36
        assert all((row == X[:counted]).all(1).any() for row in leading[0])
    # a start that is given is where the fit starts
    found.clear()
    seen: list = []
    start = {"init_atoms": X[:3], "callback": lambda *now: seen.append(now)}
    wt.WassersteinDictionary(3, **(options | start)).fit(X)
    assert found == [900] * 4
    assert_close(seen[0][2], X[:3], atol=1e-12)


def test_who_is_told_of_weights_may_write_there_and_the_start_that_is_given_stays():
    X, _, weights = mixtures(20)
    given, kept = (
        weights.copy(),
        {"cost": wt.GridCost(40), "eps": 4.0, "n_iter": 15, "solver": "projection", "tol": None},
    )
    plain = wt.WassersteinDictionary(3, init_weights=weights, max_iter=5, random_state=0, **kept).fit(X)

    def spoils(step, value, atoms, weights):
        weights[:] = 0.0

    told = wt.WassersteinDictionary(3, init_weights=given, max_iter=5, random_state=0, callback=spoils, **kept).fit(X)
    assert told.loss_curve_ == plain.loss_curve_ and np.array_equal(told.weights_, plain.weights_)
    assert np.array_equal(given, weights)


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "projection"])
def test_a_converged_fit_with_the_heavy_ball_starts_each_step_where_the_last_has_ended(solver):
    options = {"cost": wt.GridCost(40), "eps": 4.0, "loss": "kl", "n_iter": None, "sinkhorn_tol": 1e-7, "tol": None}
    options |= {"init": "extremes", "init_weights": "near", "max_iter": 4, "solver": solver}
    X = mixtures(8)[0]
    plain, heavy = (wt.WassersteinDictionary(3, momentum=tau, **options).fit(X) for tau in (0.0, -0.2))
    assert heavy.loss_ == pytest.approx(plain.loss_, rel=1e-2)


def test_weights_by_a_lattice_are_near_those_of_barycenters(xp):
    X, bumps, _ = mixtures(30)
    options = {"cost": wt.GridCost(40), "eps": 4.0, "loss": "kl", "init_atoms": xp.array(bumps), "max_iter": 1}
    seen: list = []
    model = wt.WassersteinDictionary(
        3, init_weights="lattice", tol=None, callback=lambda *now: seen.append(now), **options
    )
    model.fit(xp.array(X))
    first = xp.numpy(seen[0][3])
    assert type(seen[0][3]) is type(xp.array(X))
    assert_close(first.sum(1), np.ones(30), atol=1e-12)
    # three bumps in a row: the middle one is the mean of the others, and weights are told by what they give
    again = wt.barycenter(bumps, first, wt.GridCost(40), eps=4.0).histogram
    assert max(wt.wasserstein_1d(p, q) for p, q in zip(again, X)) ** 0.5 < 1.5


def test_a_sample_that_needs_the_log_domain_takes_few_others_there(monkeypatch):
    """A chunk of runs that converge is large; its starts, too, are those of the same samples."""
    rng, x = np.random.default_rng(0), np.arange(60.0)
    at = np.concatenate([rng.uniform(5, 20, 200), [5, 12, 20]])
    bumps = wt.normalize(np.exp(-0.5 * ((x - at[:, None]) / 4) ** 2) + 1e-4)
    X, atoms, weights, cost = bumps[:200], bumps[200:], rng.dirichlet(np.ones(3), 200), wt.GridCost(60)
    X[70] = np.eye(60)[-1]  # all of the mass has to go to the last bin: potentials beyond exp
    terms = objective.Terms(2.0, "wasserstein", 0.01, Accuracy(None, 1e-8), Variant(), "auto")
    asked, tried = [], objective._attempt

    def noted(known, rows, kernel):
        asked.append((kernel.domain, rows.x.shape[0]))
        return tried(known, rows, kernel)

    monkeypatch.setattr(objective, "_attempt", noted)
    with objective.problem_for(X, np.full(200, 1 / 200), cost, terms, 3, None, 1) as cold:
        warm = cold._replace(starts={})
        once = objective.evaluate_chunks(warm, atoms, weights, keep=True)
        logs = [n for domain, n in asked if domain == "log"]
        again = objective.evaluate_chunks(warm, atoms, weights, keep=True)
        alone = cold._replace(kernels=cold.kernels[1:])
        whole = objective.evaluate_chunks(alone, atoms, weights, keep=True)
    assert once.domain == "mixed" and sum(logs) <= 64
    for found in (once, again):
        assert_close(found.values, whole.values, atol=1e-6)
        assert_close(found.histogram, whole.histogram, atol=1e-6)
        assert_close(found.grad_weights, whole.grad_weights, atol=1e-4)


def test_a_converged_fit_says_its_loss_from_a_cold_start_at_a_tolerance_of_its_own():
    X = spectra(6)
    options = CONVERGED | {"sinkhorn_tol": 1e-3, "solver": "adam", "max_iter": 4, "tol": None, "random_state": 0}
    model = wt.WassersteinDictionary(2, **options).fit(X)
    shared = {k: v for k, v in CONVERGED.items() if k != "cost"}
    strict = wt.wdl_objective(X, model.atoms_, model.weights_, CONVERGED["cost"], tol=1e-9, **shared).value
    assert model.loss_ == pytest.approx(strict, abs=1e-10)


def test_a_converged_fit_that_was_stopped_goes_on_as_if_it_had_not(tmp_path):
    X = spectra(6)
    options = CONVERGED | {"tol": None, "random_state": 0, "checkpoint_every": 1, "sinkhorn_tol": 1e-6}
    whole = wt.WassersteinDictionary(2, max_iter=5, **options).fit(X)
    path = tmp_path / "fit.npz"
    wt.WassersteinDictionary(2, max_iter=3, checkpoint=path, **options).fit(X)
    resumed = wt.WassersteinDictionary(2, max_iter=5, checkpoint=path, **options).fit(X)
    assert resumed.loss_curve_ == whole.loss_curve_
    assert (resumed.atoms_ == whole.atoms_).all()


def test_a_descent_that_stalls_on_wrong_gradients_has_not_converged():
    # the inner runs stop short, the gradient is wrong, no step lowers the loss: that was called convergence
    X = wt.normalize(np.random.default_rng(0).random((6, 20)) ** 5)
    options = {"cost": wt.GridCost(20, spacing=1 / 19), "eps": 1e-3, "n_iter": None, "sinkhorn_max_iter": 4}
    for seed in range(3):
        with pytest.warns(wt.ConvergenceWarning, match="inner runs of fit stopped short.*sinkhorn_max_iter") as said:
            model = wt.WassersteinDictionary(2, random_state=seed, max_iter=40, **options).fit(X)
        assert not model.converged_
        assert len([w for w in said if "stopped short" in str(w.message)]) == 1


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_extreme_scales_of_the_weights_leave_finite_histograms(scale, solver):
    model = wt.WassersteinDictionary(
        2,
        cost=wt.GridCost(30),
        eps=4.0,
        n_iter=5,
        weight_scale=scale,
        solver=solver,
        max_iter=3,
        tol=None,
        random_state=0,
    ).fit(path())
    assert np.isfinite(model.atoms_).all() and np.allclose(model.weights_.sum(axis=1), 1)


def test_a_fit_whose_first_step_leaves_the_floats_goes_on_with_a_shorter_one():
    # mass that is nearly free makes an objective so flat that the first step along it is enormous
    X = wt.normalize(np.random.default_rng(0).random((5, 8)))
    model = wt.WassersteinDictionary(
        2,
        cost=wt.cost_matrix(np.arange(8) / 8),
        eps=0.05,
        n_iter=5,
        marginal_weight=1e-9,
        max_iter=2,
        tol=None,
        random_state=0,
    ).fit(X)
    assert np.isfinite(model.loss_curve_).all() and model.loss_curve_[-1] <= model.loss_curve_[0]
    assert np.allclose(model.atoms_.sum(axis=1), 1)


# ---------------------------------------------------------------------------------------- converged: warm rows, cold loss


def test_a_converged_transform_finds_the_weights_of_barycenters_however_many_rows_it_keeps(monkeypatch):
    true = np.random.default_rng(0).dirichlet([2.0, 2.0], 7)
    fit = model(n_iter=None, max_iter=1, init_atoms=path()[[0, -1]]).fit(path())
    X = wt.normalize(wt.barycenter(fit.atoms_, true, LINE, eps=2.0, tol=1e-11).histogram)
    found = fit.transform(X, tol=1e-9)
    assert np.abs(found - true).max() < 1e-3
    monkeypatch.setattr(batches, "KEPT_ELEMENTS", 2 * 2 * BINS)  # two rows at a time
    assert np.abs(fit.transform(X, tol=1e-9) - found).max() < 1e-5


def test_the_rows_of_a_converged_transform_go_on_from_where_they_ended(monkeypatch):
    spent, evaluate, steps = {}, batches.evaluate_rows, line.barycenter_iteration
    for name in ("warm", "cold"):
        count, spent[name] = [], []

        def counted(problem, rows, atoms, weights, ends, name=name, count=count):
            before = sum(count)
            found = evaluate(problem, rows, atoms, weights, ends if name == "warm" else None)
            spent[name].append((sum(count) - before) / len(rows))
            return found

        def counting(*given, count=count):
            made, *rest = steps(*given)

            def problem(rows):
                plain = made(rows)
                return lambda x, state: count.append(x.shape[0]) or plain(x, state)

            return problem, *rest

        monkeypatch.setattr(batches, "evaluate_rows", counted)
        monkeypatch.setattr(line, "barycenter_iteration", counting)
        model(n_iter=None, max_iter=2).fit(path()).transform(path(5))
    warm, cold = (np.array(spent[name]) for name in ("warm", "cold"))
    assert warm[0] == cold[0] and len(warm) > 1
    assert warm[-1] < 0.7 * cold[-1]


def test_a_fit_whose_strict_loss_has_left_the_floats_keeps_the_one_it_reached(monkeypatch):
    evaluate = dictionary.evaluate_chunks

    def fails(problem, *given, **options):
        if problem.terms.accuracy.tol == dictionary.COLD_TOL:
            raise FloatingPointError("left the range of its floating type.")
        return evaluate(problem, *given, **options)

    monkeypatch.setattr(dictionary, "evaluate_chunks", fails)
    with pytest.warns(
        UserWarning, match=r"loss_ is the value to sinkhorn_tol=1e-05: to 1e-09 there was none. left the"
    ):
        fit = model(n_iter=None, sinkhorn_tol=1e-5, max_iter=3).fit(path())
    assert fit.loss_ == min(fit.loss_curve_)


@pytest.mark.parametrize("ask", ["transform", "score"])
def test_rows_of_several_lengths_are_named(ask):
    model = wt.WassersteinDictionary(2, cost=wt.GridCost(30), eps=4.0, n_iter=2, max_iter=1, tol=None).fit(path())
    with pytest.raises(TypeError, match=r"^X: expected an array or a list of numbers, got list"):
        getattr(model, ask)([[1.0, 2.0], [3.0]])


def test_a_solver_that_is_an_array_is_told_the_solvers():
    with pytest.raises(ValueError, match=r"^solver must be 'lbfgs', 'adam', 'projection' or 'minibatch'; got array"):
        wt.WassersteinDictionary(2, cost=wt.GridCost(30), eps=4.0, solver=np.zeros(2)).fit(path())
