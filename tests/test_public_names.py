"""The public names: code outside the project is written against these. Names, order, keyword-only and defaults stay."""

from __future__ import annotations

import inspect
import operator
from pathlib import Path

import pytest

import wdl_tutorial as wt
from wdl_tutorial.iterate import deprecated

# Each promise is a lambda whose signature is the promised one; ANY stands for a default that is not promised. What a
# function takes beyond its promise must have a default.
ANY = object()

PROMISES = {
    "normalize": lambda x: 0,
    "cost_matrix": lambda x, y=None, *, power=2: 0,
    "GridCost": lambda shape, *, power=2, spacing=1.0: 0,
    "LineCost": lambda positions, *, power=1, scale=1.0: 0,
    "gibbs_kernel": lambda cost, eps, *, domain="kernel": 0,
    "blur_width": lambda eps, cost: 0,
    "eps_for_blur": lambda width, cost: 0,
    "sinkhorn": lambda p, q, cost, *, eps, tol=1e-9, max_iter=10_000, domain="auto", marginal_weight=None, momentum=0.0: 0,
    "sinkhorn_divergence": lambda p, q, cost, *, eps, tol=1e-9, max_iter=10_000, domain="auto": 0,
    "barycenter": lambda atoms, weights, cost, *, eps, n_iter=None, tol=1e-9, max_iter=10_000, domain="auto",
    marginal_weight=None, momentum=0.0, debiased=False: 0,
    "barycenter_vjp": lambda atoms, weights, cost, grad, *, eps, n_iter, domain="auto", marginal_weight=None,
    momentum=0.0: 0,
    "wdl_objective": lambda X, atoms, weights, cost, *, eps, loss, n_iter, locality=0.0, marginal_weight=None,
    momentum=0.0, domain="auto", sample_weight=None: 0,
    "linear_mixture": lambda atoms, weights: 0,
    "sinkhorn_steps": lambda p, q, kernel: 0,
    "sinkhorn_log_steps": lambda p, q, kernel: 0,
    "barycenter_steps": lambda atoms, weights, kernel: 0,
    "barycenter_log_steps": lambda atoms, weights, kernel: 0,
    "check_gradient": lambda function, x, gradient: 0,
    "area_fractions": lambda weights, scales: 0,
    "continuum_removed": lambda spectra, wavelengths: 0,
    "WassersteinDictionary": lambda n_atoms, *, cost, eps, loss="quadratic", n_iter=50, locality=0.0,
    marginal_weight=None, solver="lbfgs", init="kmeans++", init_atoms=None, init_weights=None, weight_scale=1.0,
    max_iter=ANY, tol=ANY, n_restarts=1, random_state=None: 0,
    "WassersteinDictionary.fit": lambda self, X: 0,
    "WassersteinDictionary.transform": lambda self, X: 0,
    "WassersteinDictionary.inverse_transform": lambda self, weights: 0,
    "WassersteinDictionary.score": lambda self, X: 0,
    "WassersteinDictionary.save": lambda self, path: 0,
    "WassersteinDictionary.load": lambda path: 0,
    "linear.pca": lambda X, n_endmembers, *, random_state=ANY: 0,
    "linear.nmf": lambda X, n_endmembers, *, random_state=ANY: 0,
    "linear.vca": lambda X, n_endmembers, *, random_state=ANY: 0,
    "linear.nnls": lambda X, endmembers, *, normalize=False: 0,
    "linear.fcls": lambda X, endmembers: 0,
    "linear.bilinear": lambda X, endmembers: 0,
    "linear.elmm": lambda X, endmembers, *, price=1.0, start="fcls", tol=ANY, max_iter=ANY: 0,
    "linear.glmm": lambda X, endmembers, *, price=1.0, length=10.0, start="fcls", tol=ANY, max_iter=ANY: 0,
    "linear.plmm": lambda X, endmembers, *, price=1.0, reference_price=10.0, start="fcls", tol=ANY, max_iter=ANY: 0,
    "LAND": lambda n_neighbors=100, n_density_neighbors=20, time=30, n_eigenpairs=10, bandwidth=None,
    density_bandwidth="mean": 0,
    "LAND.fit": lambda self, X: 0,
    "LAND.query": lambda self, budget, candidates=None: 0,
    "LAND.predict": lambda self, labels: 0,
    "metrics.nrmse": lambda reference, estimate: 0,
    "metrics.rmse": lambda reference, estimate: 0,
    "metrics.spectral_angle": lambda reference, estimate: 0,
    "metrics.sre": lambda reference, estimate: 0,
    "metrics.psnr": lambda reference, estimate: 0,
    "metrics.match_endmembers": lambda reference, estimate: 0,
    "metrics.overall_accuracy": lambda labels, predicted: 0,
    "datasets.load_salinas_a": lambda: 0,
    "datasets.load_samson": lambda: 0,
    "datasets.load_jasper_ridge": lambda: 0,
    "datasets.load_cardiac": lambda: 0,
    "datasets.load_cube": lambda path: 0,
    "datasets.load_usgs_sample": lambda: 0,
    "datasets.make_gaussian_path": lambda: 0,
    "datasets.make_bimodal": lambda: 0,
    "datasets.make_bilinear_scene": lambda: 0,
    "datasets.make_variable_scene": lambda: 0,
    "datasets.make_teaching_scene": lambda: 0,
    "wahu": lambda positions, *, setting="salinas", recommended=False, balanced=True: 0,
    "unmix": lambda scene, method="wahu", n_endmembers=ANY: 0,
    "compare": lambda scene: 0,
}  # fmt: skip

DEEP = {
    "deep.SpectralVAE.fit": lambda self, X: 0,
    "deep.SpectralVAE.transform": lambda self, X: 0,
    "deep.IDNet": lambda n_endmembers: 0,
    "deep.IDNet.fit": lambda self, X: 0,
    "deep.IDNet.reconstruct": lambda self: 0,
}

FIELDS = {
    "SinkhornResult": ["value", "transport_cost", "plan", "f", "g", "n_iter", "error", "converged", "domain"],
    "BarycenterResult": ["histogram", "n_iter", "error", "converged", "domain"],
    "dictionary.Objective": ["value", "grad_atoms", "grad_weights", "reconstruction"],
    "datasets.Scene": [
        "name", "cube", "wavelengths", "labels", "label_names", "endmembers", "abundances", "mask", "citation",
    ],
}  # fmt: skip


def keeps(promised: inspect.Signature, actual: inspect.Signature) -> list[str]:
    """What ``actual`` breaks of ``promised``, in words."""
    theirs, broken = actual.parameters, []
    places = [n for n, p in theirs.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for place, (name, p) in enumerate(promised.parameters.items()):
        if name not in theirs:
            broken.append(f"{name} is missing")
            continue
        if p.kind is not p.KEYWORD_ONLY and (place >= len(places) or places[place] != name):
            broken.append(f"{name} is not argument number {place}")
        if p.default is not ANY and theirs[name].default != p.default:
            broken.append(f"{name} defaults to {theirs[name].default!r}, not {p.default!r}")
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    for name, p in theirs.items():
        if name not in promised.parameters and p.default is p.empty and p.kind not in variadic:
            broken.append(f"{name} is demanded but was not promised")
    return broken


@pytest.mark.parametrize("name", PROMISES)
def test_a_public_name_keeps_its_signature(name):
    assert keeps(inspect.signature(PROMISES[name]), inspect.signature(operator.attrgetter(name)(wt))) == []


@pytest.mark.parametrize("name", DEEP)
def test_a_public_name_of_the_networks_keeps_its_signature(name):
    pytest.importorskip("torch")
    assert keeps(inspect.signature(DEEP[name]), inspect.signature(operator.attrgetter(name)(wt))) == []


@pytest.mark.parametrize("name", FIELDS)
def test_a_result_has_its_fields(name):
    if name.startswith("dictionary."):
        from wdl_tutorial.dictionary import Objective as result
    else:
        result = operator.attrgetter(name)(wt)
    assert issubclass(result, tuple)
    assert [f for f in FIELDS[name] if not hasattr(result, f)] == []


@pytest.mark.parametrize(
    "name",
    ["sinkhorn", "barycenter", "barycenter_vjp", "wdl_objective", "sinkhorn_divergence", "WassersteinDictionary"],
)
def test_eps_has_no_default_and_must_be_named(name):
    eps = inspect.signature(getattr(wt, name)).parameters["eps"]
    assert eps.default is eps.empty and eps.kind is eps.KEYWORD_ONLY


@pytest.mark.parametrize("name", wt.__all__)
def test_every_name_that_is_listed_is_there(name):
    assert getattr(wt, name) is not None
    assert name in dir(wt)


def test_a_name_that_is_not_there_is_said_so():
    with pytest.raises(AttributeError, match="has no attribute 'sinkhorm'"):
        _ = wt.sinkhorm


def test_a_module_never_shares_its_name_with_a_public_function():
    modules = {"linear", "metrics", "datasets", "figures", "diffusion", "unmixing", "widgets", "deep"}
    assert not modules & set(wt.__all__)


def test_the_comparison_notices_what_was_broken():
    promised = inspect.signature(lambda x, *, eps, tol=1e-9: 0)
    assert keeps(promised, inspect.signature(lambda x, *, eps, tol=1e-9, more=1, **options: 0)) == []
    assert keeps(promised, inspect.signature(lambda y, x, *, eps, tol=1e-6: 0)) == [
        "x is not argument number 0",
        "tol defaults to 1e-06, not 1e-09",
        "y is demanded but was not promised",
    ]
    assert keeps(promised, inspect.signature(lambda x, *, tol=1e-9: 0)) == ["eps is missing"]


def test_the_policy_says_where_the_promises_are_and_how_a_name_goes():
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    policy = text[text.index("## What is promised") : text.index("## A contribution")]
    for place in ("tests/test_public_names.py", "tests/fixtures/v0_1/names.json", "tests/test_version_0_1.py"):
        assert place in policy and (Path(__file__).parents[1] / place).is_file()
    assert "iterate.deprecated(" in policy and callable(deprecated)
