"""The rule of the domains, through every door: the right number, or one clear error."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial import barycenters, gradients, losses, transport
from wdl_tutorial._fast import path_for
from wdl_tutorial.costs import symmetric_part
from wdl_tutorial.initialise import Ruler, distances
from wdl_tutorial.iterate import Accuracy
from wdl_tutorial.scaling import PLAIN, Scaled, Variant, is_right

LOSSES = ("quadratic", "tv", "kl_reverse", "wasserstein", "sinkhorn_divergence")


class Edge(NamedTuple):
    low: float  # largest cost / eps, from harmless
    high: float  # to lost
    gap: float  # between domains that are both right


TYPES = {"float64": Edge(120.0, 1100.0, 1e-9), "float32": Edge(15.0, 140.0, 2e-3)}


def edge_problem(rng, kind: str) -> dict:
    """Histograms, atoms, weights and a cost at an eps where exp(-cost/eps) is about to underflow, or does."""
    n = int(rng.integers(8, 30))
    power = float(rng.choice([1, 2]))
    cost = wt.GridCost(n, power=power, spacing=1 / (n - 1)) if rng.random() < 0.6 else rng.random((n, n))
    eps = 1.0 / rng.uniform(*TYPES[kind][:2])
    x = np.arange(n)

    def some(rows: int) -> np.ndarray:
        means, stds = rng.uniform(0, n, (rows, 1)), rng.uniform(0.5, n / 3, (rows, 1))
        bumps = np.exp(-0.5 * ((x - means) / stds) ** 2)
        tail = rng.choice([0.0, 1e-300, 1e-12, 1e-3]) if kind == "float64" else rng.choice([0.0, 1e-36, 1e-6, 1e-3])
        bumps = np.where(bumps > tail, bumps, tail) + (0.0 if tail else 1e-9 * (x == x[0]))
        return wt.normalize(bumps.astype(kind))

    weights = wt.normalize(rng.dirichlet(np.ones(2), size=3).astype(kind))
    return {
        "X": some(3),
        "atoms": some(2),
        "weights": weights,
        "cost": cost,
        "eps": eps,
        "grad": rng.normal(size=(3, n)),
    }


def doors(problem: dict, domain: str, loss: str) -> dict:
    """What every public door answers: its numbers, or its error as text."""
    X, atoms, weights, cost = (problem[k] for k in ("X", "atoms", "weights", "cost"))
    given, length = {"eps": problem["eps"], "domain": domain}, {"n_iter": 12}
    grad = problem["grad"].astype(X.dtype)

    def sinkhorn():
        found = wt.sinkhorn(X[0], X[1], cost, tol=0.0, max_iter=12, **given)
        return found.value, np.where(X[0] > 0, found.f, 0), np.where(X[1] > 0, found.g, 0)

    def objective(loss, locality):
        fair = symmetric_part(cost) if loss == "sinkhorn_divergence" else cost
        found = wt.wdl_objective(X, atoms, weights, fair, loss=loss, locality=locality, **length, **given)
        return found.value, found.grad_atoms * atoms, found.grad_weights

    def fit():
        model = wt.WassersteinDictionary(
            2,
            cost=cost,
            loss="quadratic",
            max_iter=1,
            tol=None,
            init_atoms=atoms,
            init_weights=weights,
            **length,
            **given,
        )
        return (model.fit(X).loss_curve_[0],)

    asked = {
        "sinkhorn": sinkhorn,
        "barycenter": lambda: (wt.barycenter(atoms, weights, cost, **length, **given).histogram,),
        "vjp": lambda: [
            g * s for g, s in zip(wt.barycenter_vjp(atoms, weights, cost, grad, **length, **given), (atoms, 1))
        ],
        "objective": lambda: objective("quadratic", 0.0),
        "another loss": lambda: objective(loss, 0.1),
        "fit": fit,
        "start": lambda: (distances(X, X[0], Ruler(cost, problem["eps"], 12, domain)),),
    }
    found = {}
    for name, ask in asked.items():
        try:
            found[name] = ask()
        except FloatingPointError as error:
            found[name] = str(error)
    return found


def apart(one, other, floor: float) -> float:
    """The largest difference, in units of the largest number, or of ``floor`` where all are smaller."""
    return max(
        np.abs(np.asarray(a, float) - np.asarray(b, float)).max() / max(float(np.abs(b).max()), floor)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("kind", TYPES)
def test_every_door_gives_the_number_of_the_log_domain_or_one_clear_error(kind, seed):
    rng = np.random.default_rng(seed)
    problem, loss = edge_problem(rng, kind), LOSSES[seed % len(LOSSES)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log, kernel, auto = (doors(problem, domain, loss) for domain in ("log", "kernel", "auto"))
    for name in log:
        for found in (kernel[name], auto[name]):
            assert isinstance(found, str) or all(np.isfinite(x).all() for x in found), name
        if isinstance(kernel[name], str) and "infinite" not in kernel[name]:
            assert kernel[name].startswith("exp(-cost/eps) underflowed in ") and 'Use domain="log"' in kernel[name]
        if isinstance(log[name], str):
            continue
        assert not isinstance(auto[name], str), auto[name]
        floor = problem["eps"] if name == "start" else 1e-30  # a divergence of 0 is a difference of transports
        for found in (kernel[name], auto[name]):
            assert isinstance(found, str) or apart(found, log[name], floor) < TYPES[kind].gap, name
    told = {name for name in kernel if isinstance(kernel[name], str)}
    assert not told & {"barycenter"} or {"vjp", "objective", "another loss"} <= told
    assert "fit" not in told or "objective" in told  # a fit goes on with a shorter step where there is one


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", TYPES)
def test_converged_gradients_are_those_of_the_log_domain_or_one_clear_error(kind, seed):
    problem, found = edge_problem(np.random.default_rng(seed), kind), {}
    given = [problem[name] for name in ("X", "atoms", "weights", "cost")]
    tol = 1e-8 if kind == "float64" else 1e-4
    options = {"eps": problem["eps"], "loss": "quadratic", "n_iter": None, "tol": tol, "max_iter": 400}
    for domain in ("log", "kernel", "auto"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                value, grad_atoms, grad_weights, _ = wt.wdl_objective(*given, domain=domain, **options)
            except FloatingPointError as error:
                assert domain == "kernel" and "underflowed in the objective" in str(error)
                continue
        grad_weights = grad_weights - grad_weights.mean(axis=1, keepdims=True)  # a constant a sample counts for nothing
        found[domain] = value, grad_atoms * problem["atoms"], grad_weights
        if any(issubclass(w.category, wt.ConvergenceWarning) for w in caught):
            return  # it says that it is not right yet
    for domain in found.keys() - {"log"}:
        assert apart(found[domain], found["log"], 1e-30) < (1e-4 if kind == "float64" else 3e-2), domain


def test_potentials_that_underflow_in_the_kernel_domain_are_an_error_and_not_minus_infinity():
    x = np.arange(60.0)
    A = wt.normalize(np.exp(-0.5 * ((x - np.array([[12.0], [45.0]])) / 2) ** 2) + 1e-300)
    cost, weights = wt.GridCost(60), np.array([[0.4, 0.6]])
    asked = {"eps": 2.0, "domain": "kernel"}
    with pytest.raises(FloatingPointError, match=r'underflowed in sinkhorn .*Use domain="log"'):
        wt.sinkhorn(A[0], A[1], cost, max_iter=500, **asked)
    with pytest.raises(FloatingPointError, match="underflowed in barycenter"):
        wt.barycenter(A, weights, cost, n_iter=50, **asked)
    with pytest.raises(FloatingPointError, match="underflowed in barycenter_vjp"):
        wt.barycenter_vjp(A, weights, cost, np.ones((1, 60)), n_iter=50, **asked)
    with pytest.raises(FloatingPointError, match="underflowed in the objective"):
        wt.wdl_objective(A[:1], A, weights, cost, n_iter=50, loss="quadratic", **asked)
    with pytest.raises(FloatingPointError, match="underflowed in the objective"):
        wt.WassersteinDictionary(2, cost=cost, init_atoms=A, init_weights="uniform", max_iter=1, **asked).fit(A)
    auto = wt.sinkhorn(A[0], A[1], cost, eps=2.0, max_iter=500, tol=0.0)
    log = wt.sinkhorn(A[0], A[1], cost, eps=2.0, max_iter=500, tol=0.0, domain="log")
    assert auto.domain == "log" and np.isfinite(auto.f).all() and np.array_equal(auto.f, log.f)


# ----------------------------------------------------------------------------------------------------------- the variant


@dataclass(frozen=True)
class Tilted(Variant):
    """A variant with an option that nobody knows yet."""

    tilt: float = 0.0


def test_a_new_option_is_an_error_wherever_it_is_not_known():
    p, kernel, accuracy = np.full((2, 70), 1 / 70), wt.gibbs_kernel(wt.GridCost(70), 4.0), Accuracy(5)
    weights, tilted = np.full((3, 2), 0.5), Tilted(tilt=0.3)
    assert path_for(kernel, PLAIN, p) is not None and path_for(kernel, Tilted(), p) is not None
    assert path_for(kernel, tilted, p) is None  # no twin may stand in for what it does not know
    tape = gradients.record(p, weights, kernel, 2)
    for ask in (
        lambda: transport.steps_of(p, p, kernel, tilted),
        lambda: barycenters.steps_of(p, weights, kernel, tilted),
        lambda: gradients.recorded(p, weights, kernel, tilted, accuracy),
        lambda: gradients.unrolled(p, weights, kernel, tape, np.ones((3, 70)), variant=tilted),
        lambda: losses.wasserstein(p, p, kernel, accuracy, tilted),
        lambda: losses.evaluate("wasserstein", p, p, kernel, accuracy, tilted),
    ):
        with pytest.raises(ValueError, match=r"tilt=0\.3 is not known here"):
            ask()


def test_a_debiased_run_has_no_gradient_and_says_so():
    p, kernel = np.full((2, 9), 1 / 9), wt.gibbs_kernel(wt.GridCost(9), 4.0)
    tape = gradients.record(p, np.full((3, 2), 0.5), kernel, 2, variant=Variant(debiased=True))
    with pytest.raises(ValueError, match="debiased=True is not known here"):
        gradients.unrolled(p, np.full((3, 2), 0.5), kernel, tape, np.ones((3, 9)), variant=Variant(debiased=True))


def test_the_powers_of_a_variant_are_those_of_section_4_4():
    assert (PLAIN.theta(0.1), PLAIN.kappa(0.1)) == (1.0, 0.0)
    assert Variant(0.3).theta(0.1) == pytest.approx(0.75) and Variant(0.3).kappa(0.1) == pytest.approx(0.25)


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_whether_a_state_is_right_is_asked_of_the_device_once(domain, monkeypatch):
    torch = pytest.importorskip("torch")
    one = torch.full((3, 40), 0.5, dtype=torch.float64)
    scaled = [Scaled(one, one, one > 0, one > 0)] * 2
    asked = []
    for name in ("__float__", "__bool__", "__int__", "item", "tolist", "numpy"):
        plain = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda x, *a, _plain=plain, **k: asked.append(1) or _plain(x, *a, **k))
    assert is_right(domain, *scaled)
    assert len(asked) == 1
    assert is_right(domain, *scaled, numbers=(one, one, one))
    assert len(asked) <= (2 if domain == "kernel" else 3)
    for spoilt in (float("nan"), float("inf")):
        bad = torch.where(torch.arange(40) == 7, spoilt, one)
        assert not is_right(domain, *scaled, numbers=(one, bad))
        if domain == "kernel" or spoilt != float("inf"):
            assert not is_right(domain, scaled[0], Scaled(bad, one, one > 0))
    assert is_right("log", Scaled(torch.where(torch.arange(40) == 7, -float("inf"), one), None, None))  # an empty bin


def test_mass_that_is_nothing_beside_eps_is_told_and_no_division_by_zero():
    p, q, cost = [0.5, 0.5, 0.0], [0.2, 0.3, 0.5], wt.cost_matrix(np.arange(3.0))
    given = {"eps": 2.0, "marginal_weight": 5e-324}
    for call in (
        lambda: wt.sinkhorn(p, q, cost, **given),
        lambda: wt.sinkhorn(p, q, cost, eps=2.0, marginal_weight=(None, 5e-324)),
        lambda: wt.barycenter([p, q], [[0.5, 0.5]], cost, **given),
        lambda: wt.wdl_objective([q], [p, q], [[0.5, 0.5]], cost, n_iter=4, loss="wasserstein", **given),
    ):
        with pytest.raises(ValueError, match=r"^marginal_weight=4.94066e-324 is nothing beside eps=2"):
            call()
