"""Tensors that track gradients: let go where gradients are by hand, and never a tape that grows with the iterations."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import wdl_tutorial as wt  # noqa: E402
from wdl_tutorial.iterate import nth  # noqa: E402
from wdl_tutorial.kernels import kernel_for  # noqa: E402
from wdl_tutorial.scaling import Variant, dual_value, plan_mass, potentials  # noqa: E402
from wdl_tutorial.transport import sinkhorn_log_steps  # noqa: E402

N = 10
X = wt.normalize(np.exp(-0.5 * ((np.arange(N) - np.linspace(2, 7, 6)[:, None]) / 1.5) ** 2) + 1e-3)
DENSE = wt.cost_matrix(np.arange(N) / N)


def tracked(x):
    return torch.tensor(x, requires_grad=True)


def plain(x):
    return torch.tensor(x)


class Recorded:
    """How many bytes torch keeps for a backward pass while this is open."""

    def __enter__(self):
        self.seen, self.bytes = set(), 0
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self.keep, lambda x: x)
        self.hooks.__enter__()
        return self

    def keep(self, x):
        self.bytes += x.numel() * x.element_size()
        return x

    def __exit__(self, *args):
        self.hooks.__exit__(*args)


# -- doors whose gradients are by hand


def model(make, **changes):
    own = {
        "cost": make(DENSE), "eps": 0.05, "n_iter": 10, "max_iter": 3, "tol": None, "random_state": 0,
        "init_atoms": make(X[[0, 5]]), "init_weights": make(np.full((6, 2), 0.5)),
    }  # fmt: skip
    return wt.WassersteinDictionary(2, **(own | changes))


@pytest.mark.parametrize("loss", ["quadratic", "wasserstein"])
@pytest.mark.parametrize("n_iter", [10, None])
def test_a_fit_on_tracked_tensors_is_the_fit_on_plain_ones_and_records_nothing(loss, n_iter):
    with Recorded() as tape:
        there = model(tracked, loss=loss, n_iter=n_iter).fit(tracked(X), sample_weight=tracked(np.arange(1.0, 7.0)))
        code, score = there.transform(tracked(X[:2])), there.score(tracked(X[:2]))
    here = model(plain, loss=loss, n_iter=n_iter).fit(plain(X), sample_weight=plain(np.arange(1.0, 7.0)))
    assert tape.bytes == 0
    assert not any(x.requires_grad for x in (there.atoms_, there.weights_, code))
    assert torch.equal(there.atoms_, here.atoms_) and there.loss_curve_ == here.loss_curve_
    assert torch.equal(code, here.transform(plain(X[:2]))) and score == here.score(plain(X[:2]))
    assert torch.equal(copy.deepcopy(there).atoms_, there.atoms_)


def test_parameters_of_a_network_are_data_like_any_other():
    weights = torch.nn.Parameter(torch.tensor(X))
    found = model(plain).fit(weights)
    assert torch.equal(found.atoms_, model(plain).fit(plain(X)).atoms_) and weights.grad is None


def test_the_objective_and_the_pull_back_record_nothing():
    W = np.full((6, 2), 0.5)
    with Recorded() as tape:
        there = wt.wdl_objective(
            tracked(X), tracked(X[:2]), tracked(W), tracked(DENSE), eps=0.02, loss="kl", n_iter=20, locality=0.1,
            sample_weight=tracked(np.ones(6)),
        )  # fmt: skip
        pulled = wt.barycenter_vjp(tracked(X[:2]), tracked(W), tracked(DENSE), tracked(X), eps=0.02, n_iter=20)
    here = wt.wdl_objective(X, X[:2], W, DENSE, eps=0.02, loss="kl", n_iter=20, locality=0.1)
    assert tape.bytes == 0
    assert not any(x.requires_grad for x in (*there[1:], *pulled))
    assert there.value == pytest.approx(here.value, rel=1e-12)
    np.testing.assert_allclose(there.grad_atoms.numpy(), here.grad_atoms, rtol=1e-9, atol=1e-12)


# -- sinkhorn


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_sinkhorn_keeps_no_tape_however_many_iterations(domain):
    def kept(max_iter):
        with Recorded() as tape:
            found = wt.sinkhorn(
                tracked(X[0]), tracked(X[5]), tracked(DENSE), eps=0.01, domain=domain, tol=0.0, max_iter=max_iter
            )
            found.value.backward()
        return tape.bytes

    with pytest.warns(wt.ConvergenceWarning):
        assert kept(20) == kept(400) < 20 * DENSE.nbytes


def full(p, q, cost, marginal_weight):
    """The dual value as torch sees it through four hundred iterations."""
    kernel = kernel_for(cost, 0.05, "log", p)
    state = nth(sinkhorn_log_steps(p, q, kernel, marginal_weight=marginal_weight), 400)
    variant = Variant(marginal_weight)
    return dual_value(p, q, *potentials(state, kernel), plan_mass(state, kernel), 0.05, variant).sum()


@pytest.mark.parametrize("marginal_weight", [None, 0.5])
@pytest.mark.parametrize("acceleration", ["auto", None])
@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_the_envelope_is_what_torch_finds_through_all_iterations(domain, acceleration, marginal_weight):
    options = {"eps": 0.05, "domain": domain, "acceleration": acceleration, "marginal_weight": marginal_weight}
    p, q, cost = tracked(X[:3]), tracked(X[5]), tracked(DENSE)
    found = wt.sinkhorn(p, q, cost, tol=1e-12, **options)
    ours = torch.autograd.grad(found.value.sum(), (p, q, cost))
    theirs = torch.autograd.grad(full(p, q, cost, marginal_weight), (p, q, cost))
    for place, (a, b) in enumerate(zip(ours, theirs)):
        if marginal_weight is None and place < 2:  # on the simplex
            a, b = (z - z.mean(-1, keepdim=True) for z in (a, b))
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-10)
    np.testing.assert_allclose(ours[2].numpy(), found.plan.sum(0).numpy(), atol=1e-12)  # the plan
    assert not any(x.requires_grad for x in (found.f, found.g, found.plan))
    same = wt.sinkhorn(plain(X[:3]), plain(X[5]), plain(DENSE), tol=1e-12, **options)
    assert torch.equal(found.value.detach(), same.value)


@pytest.mark.parametrize("domain", ["kernel", "log", "auto"])
def test_an_empty_bin_has_no_gradient_in_any_domain(domain):
    p = torch.tensor([0.5, 0.5, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([0.0, 0.25, 0.25, 0.5], dtype=torch.float64)
    cost = torch.tensor(wt.cost_matrix(np.arange(4.0) / 4))
    found = wt.sinkhorn(p, q, cost, eps=0.05, domain=domain)
    (slope,) = torch.autograd.grad(found.value, p)
    assert slope[2:].tolist() == [0.0, 0.0]
    assert torch.equal(slope[:2], found.f[:2])


def test_the_divergence_descends_by_torch():
    p = tracked(X[0])
    value = wt.sinkhorn_divergence(p, plain(X[4]), plain(DENSE), eps=0.02)
    (slope,) = torch.autograd.grad(value, p)
    step = 1e-4 * (slope - slope.mean())
    after = wt.sinkhorn_divergence(plain(X[0]) - step, plain(X[4]), plain(DENSE), eps=0.02)
    assert float(value.detach() - after) == pytest.approx(float((slope * step).sum()), rel=0.02)


# -- barycenters


@pytest.mark.parametrize("one", [True, False])
def test_a_converged_barycenter_has_the_implicit_gradient_and_no_tape(one):
    W = np.array([[0.3, 0.7], [0.5, 0.5], [0.9, 0.1]])
    W, Y = (W[0], X[0]) if one else (W, X[:3])
    atoms, weights = tracked(X[[0, 5]]), tracked(W)
    with Recorded() as tape:
        found = wt.barycenter(atoms, weights, plain(DENSE), eps=0.05)
        ours = torch.autograd.grad((found.histogram * plain(Y)).sum(), (atoms, weights))
    assert tape.bytes < 10 * X.nbytes
    through = wt.barycenter(atoms, weights, plain(DENSE), eps=0.05, n_iter=600).histogram
    theirs = torch.autograd.grad((through * plain(Y)).sum(), (atoms, weights))
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-7)


def test_a_barycenter_of_so_many_iterations_is_differentiated_through_them():
    atoms = tracked(X[[0, 5]])
    found = wt.barycenter(atoms, plain(np.array([0.3, 0.7])), plain(DENSE), eps=0.05, n_iter=4)
    (slope,) = torch.autograd.grad((found.histogram * plain(X[0])).sum(), atoms)
    by_hand, _ = wt.barycenter_vjp(X[[0, 5]], [[0.3, 0.7]], DENSE, X[:1], eps=0.05, n_iter=4)
    np.testing.assert_allclose(slope.numpy(), by_hand, rtol=1e-9, atol=1e-12)
    assert math.isfinite(float(slope.sum()))
