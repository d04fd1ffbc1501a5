"""Losses: each value from its formula, each gradient against its value; the papers' misprints caught."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_close, random_histograms

import wdl_tutorial as wt
from wdl_tutorial import ConvergenceWarning, losses
from wdl_tutorial._array import array_namespace
from wdl_tutorial.initialise import Ruler, distances
from wdl_tutorial.losses import Accuracy
from wdl_tutorial.scaling import Variant

# inside the package these run under numpy.errstate; zeros make infinities on purpose
IGNORE = np.errstate(all="ignore")
COST, EPS = wt.GridCost(8, spacing=0.3), 0.2


def kernel(domain="kernel", cost=COST, eps=EPS):
    return wt.gibbs_kernel(cost, eps, domain=domain)


FORMULAS = {
    "quadratic": lambda p, x: ((p - x) ** 2).sum(-1),
    "tv": lambda p, x: np.abs(p - x).sum(-1),
    "kl": lambda p, x: (p * np.log(p / x) - p + x).sum(-1),
    "kl_reverse": lambda p, x: (x * np.log(x / p) - x + p).sum(-1),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_loss_is_its_formula_and_its_gradient_is_the_formulas(xp, rng, name):
    p, x = random_histograms(rng, 3, 8) * 0.97, random_histograms(rng, 3, 8)  # P^(L) has not mass one
    loss = losses.evaluate(name, xp.array(p), xp.array(x), None, Accuracy(1))
    assert_close(loss.value, FORMULAS[name](p, x), atol=1e-15)
    assert wt.check_gradient(lambda z: FORMULAS[name](z, x).sum(), p, xp.numpy(loss.gradient)).ok


@pytest.mark.parametrize("name", ["quadratic", "kl", "kl_reverse"])
def test_smooth_gradients_survive_the_complex_step(rng, name):
    p, x = random_histograms(rng, 2, 2, 8)
    gradient = losses.evaluate(name, p, x, None, Accuracy(1)).gradient
    assert wt.check_gradient(lambda z: FORMULAS[name](z, x).sum(), p, gradient, method="complex").ok


def test_the_kl_gradient_of_table_1_is_a_misprint_and_ours_is_not(rng):
    p, x = random_histograms(rng, 2, 8) * 0.97
    printed, ours = np.log(p / x) - 1.0, losses.kl(p, x).gradient
    assert wt.check_gradient(lambda z: losses.kl(z, x).value, p, ours).ok
    caught = wt.check_gradient(lambda z: losses.kl(z, x).value, p, printed)
    assert not caught.ok and caught.relative_error > 0.01
    # harmless on the simplex only, where a constant does not count
    assert wt.check_gradient(lambda z: losses.kl(z, x).value, p, printed, simplex=True).ok


@pytest.mark.parametrize("name", losses.NAMES)
def test_no_loss_is_below_its_value_at_home_but_for_the_entropic_bias(rng, name):
    x = random_histograms(rng, 8)
    home = float(losses.evaluate(name, x, x, kernel(), Accuracy(200)).value)
    away = [float(losses.evaluate(name, p, x, kernel(), Accuracy(200)).value) for p in random_histograms(rng, 20, 8)]
    near = [
        float(losses.evaluate(name, 0.9 * x + 0.1 * p, x, kernel(), Accuracy(200)).value)
        for p in wt.normalize(np.eye(8) + 1e-3)
    ]
    if name == "wasserstein":
        assert min(near) < home  # W_eps(., x) is smallest at another histogram: blurred
    else:
        assert home == pytest.approx(0.0, abs=1e-12)
        assert min(away + near) > home


@IGNORE
def test_kl_is_infinite_only_where_it_must_be(xp):
    p, x = xp.array([[0.5, 0.5, 0.0]]), xp.array([[0.5, 0.25, 0.25]])
    assert_close(losses.kl(p, x).value, [0.5 * np.log(2)])  # 0 log 0 = 0
    assert_close(losses.kl_reverse(x, p).value, [0.5 * np.log(2)])
    assert xp.numpy(losses.kl(x, p).value)[0] == np.inf
    assert xp.numpy(losses.kl_reverse(p, x).value)[0] == np.inf


@IGNORE
@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("name", ["kl", "wasserstein", "sinkhorn_divergence"])
def test_an_empty_bin_of_a_reconstruction_pulls_at_nothing(xp, name, domain):
    p, x = xp.array([[0.5, 0.3, 0.2] + 5 * [0.0]]), xp.array([8 * [0.125]])
    found = losses.evaluate(name, p, x, kernel(domain), Accuracy(60))
    gradient = xp.numpy(found.gradient)[0]
    assert np.isfinite(gradient).all() and (gradient[3:] == 0).all() and (gradient[:3] != 0).all()
    nearly = losses.evaluate(name, xp.array(wt.normalize(xp.numpy(p) + 1e-12)), x, kernel(domain), Accuracy(60))
    assert_close(found.value, nearly.value, atol=1e-6)
    assert_close(gradient[:3], xp.numpy(nearly.gradient)[0, :3], atol=1e-6)


# ------------------------------------------------------------------------------------------------------- Wasserstein


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("n_iter", [1, 7])
@pytest.mark.filterwarnings("ignore::wdl_tutorial.ConvergenceWarning")
def test_the_fidelity_is_the_one_w_eps(xp, rng, domain, n_iter):
    p, x = (xp.array(z) for z in random_histograms(rng, 2, 3, 8))
    loss = losses.wasserstein(p, x, kernel(domain), Accuracy(n_iter))
    found = wt.sinkhorn(p, x, COST, eps=EPS, tol=0.0, max_iter=n_iter, domain=domain)
    assert_close(loss.value, found.value, atol=1e-14)
    assert_close(loss.gradient_p, found.f, atol=1e-14)
    assert_close(loss.gradient_q, found.g, atol=1e-14)


@pytest.mark.parametrize("rho", [None, 0.5], ids=["balanced", "unbalanced"])
def test_the_value_is_the_dual_and_its_gradient_holds_the_potentials_fixed(rng, rho):
    p, x = random_histograms(rng, 2, 8)
    found = losses.wasserstein(p, x, kernel(), Accuracy(5), Variant(rho))
    u, v, theta = np.ones(8), np.ones(8), 1.0 if rho is None else rho / (rho + EPS)
    k = np.exp(-COST.dense() / EPS)
    for _ in range(5):
        v = (x / (k.T @ u)) ** theta
        u = (p / (k @ v)) ** theta
    f, g = EPS * np.log(u), EPS * np.log(v)

    def dual(p, x):
        if rho is None:
            return f @ p + g @ x - EPS * (u @ k @ v)
        return rho * (1 - np.exp(-f / rho)) @ p + rho * (1 - np.exp(-g / rho)) @ x - EPS * (u @ k @ v)

    assert float(found.value) == pytest.approx(dual(p, x), abs=1e-14)
    assert wt.check_gradient(lambda z: dual(z, x), p, found.gradient_p, step=0.1, tol=1e-12).ok
    assert wt.check_gradient(lambda z: dual(p, z), x, found.gradient_q, step=0.1, tol=1e-12).ok


@pytest.mark.parametrize("name", ["wasserstein", "sinkhorn_divergence"])
@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_at_convergence_the_envelope_gradient_is_the_full_one(rng, name, domain):
    torch = pytest.importorskip("torch")
    p, x = random_histograms(rng, 2, 2, 8)
    tracked = torch.tensor(p, requires_grad=True)
    k = kernel(domain)
    loss = losses.evaluate(name, tracked, torch.tensor(x), k, Accuracy(200))
    (full,) = torch.autograd.grad(loss.value.sum(), tracked)
    envelope = losses.evaluate(name, p, x, k, Accuracy(200)).gradient
    full, envelope = (z - z.mean(-1, keepdims=True) for z in (full.numpy(), envelope))  # on the simplex
    assert np.abs(full - envelope).max() < 1e-6 * np.abs(full).max()


def test_far_from_convergence_the_envelope_gradient_is_not_the_full_one(rng):
    torch = pytest.importorskip("torch")
    p, x = random_histograms(rng, 2, 2, 8)
    tracked, k = torch.tensor(p, requires_grad=True), kernel(eps=0.01)
    (full,) = torch.autograd.grad(
        losses.evaluate("wasserstein", tracked, torch.tensor(x), k, Accuracy(2)).value.sum(), tracked
    )
    envelope = losses.evaluate("wasserstein", p, x, k, Accuracy(2)).gradient
    assert np.abs(full.numpy() - envelope).max() > 1e-3 * np.abs(envelope).max()


def test_the_divergence_is_its_three_parts(xp, rng):
    p, x = random_histograms(rng, 2, 3, 8)
    loss = losses.sinkhorn_divergence(xp.array(p), xp.array(x), kernel(), Accuracy(300))
    assert_close(loss.value, wt.sinkhorn_divergence(p, x, COST, eps=EPS, tol=1e-12), atol=1e-11)


def test_converged_runs_stop_at_the_tolerance_even_where_mass_is_missing(xp, rng):
    p, x = random_histograms(rng, 2, 3, 8)
    loss = losses.wasserstein(xp.array(0.99 * p), xp.array(x), kernel(), Accuracy(None, 1e-11))
    settled = losses.wasserstein(0.99 * p, x, kernel(), Accuracy(500))
    assert_close(
        loss.gradient_p - loss.gradient_p[..., :1], settled.gradient_p - settled.gradient_p[..., :1], atol=1e-9
    )


def test_runs_that_do_not_converge_say_so(rng):
    p, x = random_histograms(rng, 2, 8)
    with pytest.warns(ConvergenceWarning, match="Sinkhorn stopped after 3 iterations.*Raise max_iter, or eps"):
        losses.wasserstein(p, x, kernel(eps=0.01), Accuracy(None, 1e-12, 3))


def test_what_underflow_has_spoilt_is_not_passed_on():
    cost = wt.GridCost(200, spacing=1 / 199)
    p, x = np.eye(200)[3] * 0.5 + np.eye(200)[5] * 0.5, np.eye(200)[190]
    with np.errstate(all="ignore"):
        assert not losses.wasserstein(p, x, kernel(cost=cost, eps=1e-4), Accuracy(5)).right
    assert np.isfinite(losses.wasserstein(p, x, kernel("log", cost, 1e-4), Accuracy(5)).value)


def test_the_loss_of_wahu_is_ours_plus_eps(rng):
    # WaHU's eq. (1) has pi log pi where ours has pi (log pi - 1)
    p, x = random_histograms(rng, 2, 8)
    found = wt.sinkhorn(p, x, COST, eps=EPS, tol=1e-13)
    wahu = float(found.transport_cost + EPS * (found.plan * np.log(found.plan)).sum())
    assert wahu == pytest.approx(float(losses.wasserstein(p, x, kernel(), Accuracy(500)).value) + EPS, abs=1e-12)


# ---------------------------------------------------------------------------------------------------------- locality


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_the_locality_term_is_a_weighted_sum_of_transport_values(xp, rng, domain):
    x, atoms, weights = random_histograms(rng, 3, 8), random_histograms(rng, 2, 8), random_histograms(rng, 3, 2)
    term = losses.locality_term(xp.array(x), xp.array(atoms), xp.array(weights), kernel(domain), Accuracy(300))
    w = np.array([[wt.sinkhorn(a, b, COST, eps=EPS, tol=1e-13).value for b in atoms] for a in x])
    assert_close(term.value, (weights * w).sum(-1), atol=1e-11)
    assert_close(term.grad_weights, w, atol=1e-11)

    def value(d):
        d = d / d.sum(-1, keepdims=True)
        return losses.locality_term(x, d, weights, kernel(), Accuracy(300)).value.sum()

    assert wt.check_gradient(value, atoms, xp.numpy(term.grad_atoms).sum(0), simplex=True).ok


def test_runs_of_a_locality_stop_where_its_weight_makes_their_errors_small_enough(xp, rng, monkeypatch):
    x, atoms, weights = random_histograms(rng, 3, 8), random_histograms(rng, 2, 8), random_histograms(rng, 3, 2)
    found, settle = [], losses.settle
    monkeypatch.setattr(
        losses, "settle", lambda *given, **options: found.append(given[4].tol) or settle(*given, **options)
    )

    def term(tol, counts, max_iter=10_000):
        given = (xp.array(z) for z in (x, atoms, weights))
        return losses.locality_term(*given, kernel(), Accuracy(None, tol, max_iter), counts=counts)

    tight = xp.numpy(term(1e-13, 1.0).value)
    for tol, counts in ((1e-6, 0.01), (1e-6, 5.0), (1e-4, 0.01), (1e-2, 0.01), (1e-9, 0.0)):
        assert counts * np.abs(xp.numpy(term(tol, counts).value) - tight).max() <= tol
    assert found == pytest.approx([1e-13, 1e-4, 1e-6, 1e-3, 1e-2, 1e-3])
    # what is told is what was asked for
    with pytest.warns(wt.ConvergenceWarning, match=r"error \S+ > tol 1.0e-09"):
        term(1e-9, 0.01, max_iter=4)


@IGNORE
def test_an_empty_bin_of_an_atom_pulls_at_nothing(xp, rng):
    atoms = np.array([[0.0, 0.5, 0.5, 0, 0, 0, 0, 0]])
    term = losses.locality_term(
        xp.array(random_histograms(rng, 2, 8)), xp.array(atoms), xp.array([[1.0], [1.0]]), kernel(), Accuracy(50)
    )
    assert np.isfinite(xp.numpy(term.grad_atoms)).all() and np.isfinite(xp.numpy(term.value)).all()
    assert (xp.numpy(term.grad_atoms)[:, :, atoms[0] == 0] == 0).all()


# --------------------------------------------------------------------------------------------------------- bad input


def test_a_loss_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(ValueError, match=r"loss must be one of quadratic, kl, kl_reverse, tv, .*; got 'l2'"):
        losses.check_loss("l2")
    with pytest.raises(ValueError, match='loss="sinkhorn_divergence" is balanced; use loss="wasserstein"'):
        losses.check_loss("sinkhorn_divergence", 1.0)
    for name in losses.NAMES:
        losses.check_loss(name)


@pytest.mark.parametrize("name", losses.NAMES)
def test_nothing_writes_into_its_arguments(xp, rng, name):
    p, x = random_histograms(rng, 2, 2, 8)
    given = xp.array(p), xp.array(x)
    losses.evaluate(name, *given, kernel(), Accuracy(3))
    assert_close(given[0], p)
    assert_close(given[1], x)


# --------------------------------------------------------------------------------------------------- a seventh loss, here


def itakura_saito(p, x):
    """sum P/x - log(P/x) - 1; gradient 1/x - 1/P."""
    xp = array_namespace(p, x)
    return losses.Loss(xp.sum(p / x - xp.log(p / x) - 1.0, axis=-1), 1.0 / x - 1.0 / p)


@pytest.fixture
def seventh(monkeypatch):
    monkeypatch.setitem(losses.RULES, "itakura_saito", losses.Rule(itakura_saito, "IS(P|x)"))
    return "itakura_saito"


def test_a_seventh_loss_is_a_function_and_a_line_of_the_table(seventh, rng):
    X, atoms, weights = random_histograms(rng, 4, 8), random_histograms(rng, 2, 8), wt.normalize(rng.random((4, 2)))
    options = {"eps": EPS, "loss": seventh, "n_iter": 30}
    for domain in ("kernel", "log"):
        found = wt.wdl_objective(X, atoms, weights, COST, domain=domain, **options)
        P = found.reconstruction
        assert found.value == pytest.approx(np.mean(np.sum(P / X - np.log(P / X) - 1, axis=1)), rel=1e-12)
        value = lambda d: wt.wdl_objective(X, d, weights, COST, domain=domain, **options).value  # noqa: B023, E731
        assert wt.check_gradient(value, atoms, found.grad_atoms).ok
    model = wt.WassersteinDictionary(2, cost=COST, max_iter=15, tol=None, init="extremes", **options).fit(X)
    assert model.loss_curve_[-1] < 0.9 * model.loss_curve_[0]
    assert model.transform(X).shape == (4, 2)


@pytest.mark.parametrize("domain", ["kernel", "log", "auto"])
def test_a_loss_that_is_infinite_says_so_and_is_not_taken_for_underflow(seventh, domain, rng):
    X = random_histograms(rng, 3, 8)
    X[1, 2] = 0.0
    X = wt.normalize(X)
    with pytest.raises(FloatingPointError, match=r"is infinite at 1 of 3 samples \(the first is number 1\).*hold a 0"):
        wt.wdl_objective(X, X[:2], [[0.5, 0.5]] * 3, COST, eps=EPS, loss=seventh, n_iter=5, domain=domain, chunk_size=3)
    # where the table says that it needs positive data, before anything is computed
    losses.RULES[seventh] = losses.RULES[seventh]._replace(positive_data=True)
    with pytest.raises(ValueError, match=r'loss="itakura_saito" is IS\(P\|x\), infinite where the data are 0'):
        wt.wdl_objective(X, X[:2], [[0.5, 0.5]] * 3, COST, eps=EPS, loss=seventh, n_iter=5, domain=domain)


def test_a_balanced_loss_refuses_relaxed_marginals_behind_every_door(rng):
    X, k = random_histograms(rng, 3, 8), kernel()
    with pytest.raises(ValueError, match='loss="sinkhorn_divergence" is balanced'):
        wt.wdl_objective(
            X, X[:2], [[0.5, 0.5]] * 3, COST, eps=EPS, loss="sinkhorn_divergence", n_iter=5, marginal_weight=1.0
        )
    with pytest.raises(ValueError, match=r"marginal_weight=1.0 is not known here\. Leave it"):
        losses.evaluate("sinkhorn_divergence", X, X, k, Accuracy(5), Variant(1.0))


LOPSIDED = np.array([[0.0, 1.0, 3.0], [0.2, 0.0, 1.0], [0.4, 0.2, 0.0]])  # downhill is cheaper


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_divergence_of_a_lopsided_cost_is_refused_at_every_door(rng, backend):
    make = np.asarray if backend == "numpy" else pytest.importorskip("torch").asarray
    X, cost = make(random_histograms(rng, 4, 3)), make(LOPSIDED)
    weights = make(np.full((4, 2), 0.5))
    message = r"needs a symmetric cost: that of x -> y must be that of y -> x. Use \(cost \+ cost.T\) / 2"
    name = {"loss": "sinkhorn_divergence"}
    fitted = wt.WassersteinDictionary(
        2, cost=cost, eps=0.1, loss="quadratic", max_iter=2, tol=None, random_state=0
    ).fit(X)
    doors = {
        "sinkhorn_divergence": lambda: wt.sinkhorn_divergence(X[0], X[1], cost, eps=0.1),
        "wdl_objective": lambda: wt.wdl_objective(X, X[:2], weights, cost, eps=0.1, n_iter=9, **name),
        "fit": lambda: wt.WassersteinDictionary(2, cost=cost, eps=0.1, **name).fit(X),
        "transform": lambda: fitted.set_params(**name).transform(X),
        "score": lambda: fitted.set_params(**name).score(X),
        "debiased": lambda: wt.barycenter(X[:2], weights[0], cost, eps=0.1, debiased=True),
    }
    for call in doors.values():
        with pytest.raises(ValueError, match=message):
            call()


def test_a_lopsided_cost_is_fine_for_the_wasserstein_loss_and_for_first_atoms(rng):
    X = random_histograms(rng, 6, 3)
    for init in ("kmeans++", "extremes"):
        model = wt.WassersteinDictionary(
            2, cost=LOPSIDED, eps=0.1, loss="wasserstein", init=init, max_iter=5, tol=None, random_state=0
        )
        assert np.isfinite(model.fit(X).loss_)
    there = distances(X, X[0], Ruler(LOPSIDED, eps=0.5, n_iter=200))
    fair = wt.sinkhorn_divergence(X, X[0], (LOPSIDED + LOPSIDED.T) / 2, eps=0.5)
    assert_close(there, fair, atol=1e-9)  # that of there and back in the mean: never below zero, zero at home
