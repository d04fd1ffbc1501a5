"""Every remedy that a warning or a domain error of the core names: provoke it, take the advice, see that it helps."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import gaussian

import wdl_tutorial as wt
from wdl_tutorial import ConvergenceWarning

LINE = wt.GridCost(60)
P, Q = gaussian(60, 15, 3), gaussian(60, 42, 4)
TWO = np.stack([P, Q])
HALF = [[0.5, 0.5]]
DATA = wt.normalize(np.exp(-0.5 * ((np.arange(60) - np.linspace(12, 46, 9)[:, None]) / 3.0) ** 2) + 1e-6)
F32 = np.float32
ROUGH = wt.normalize(np.random.default_rng(0).random((2, 300)).astype(F32))


class Case(NamedTuple):
    """What provokes a warning, what that warning says, and the advice in it: (words, options that take it)."""

    call: Callable[..., Any]
    says: str
    advice: list[tuple[str, dict]]


def sinkhorn(p=P, q=Q, cost=LINE, **options):
    return wt.sinkhorn(p, q, cost, **({"eps": 0.5} | options))


def unbalanced(**options):  # two bins, and a price that lets the mass go very slowly: the plain iteration crawls
    given = {"eps": 0.01, "marginal_weight": 100.0, "acceleration": None}
    return wt.sinkhorn([0.3, 0.7], [0.7, 0.3], wt.cost_matrix([0, 1]), **(given | options))


def divergence(**options):
    return wt.sinkhorn_divergence(P, Q, LINE, **({"eps": 0.02} | options))


def barycenter(atoms=TWO, weights=HALF, **options):
    return wt.barycenter(atoms, weights, LINE, **({"eps": 0.5} | options))


def debiased(**options):
    return barycenter(**({"eps": 6.0, "debiased": True} | options))


def objective(**options):
    given = {"eps": 0.5, "loss": "wasserstein", "n_iter": None}
    return wt.wdl_objective(DATA, TWO, np.full((9, 2), 0.5), LINE, **(given | options))


def vjp(**options):
    return wt.barycenter_vjp(TWO, HALF, LINE, np.arange(60.0)[None], **({"eps": 0.5, "n_iter": None} | options))


def fit(X=DATA, **options):
    given = {"eps": 2.0, "n_iter": 10, "tol": None, "max_iter": 2, "init": "extremes", "random_state": 0}
    return wt.WassersteinDictionary(2, cost=LINE, **(given | options)).fit(X)


def narrow(dtype=F32, **options):  # potentials of 170,000 eps
    ends = np.eye(60, dtype=dtype)[[0, 59]]
    return wt.sinkhorn(*ends, LINE, **({"eps": 1e-2, "domain": "log"} | options))


def weights_of(dtype, eps):
    model = wt.WassersteinDictionary(2, cost=wt.GridCost(60), eps=eps, n_iter=3, n_jobs=1)
    model.atoms_, model.mass_, model.n_features_in_ = TWO.astype(dtype), 1.0, 60
    return model.transform(DATA.astype(dtype))


CASES = {
    "sinkhorn": Case(
        lambda **o: sinkhorn(**({"max_iter": 12} | o)),
        "Sinkhorn stopped after 12 iterations",
        [
            ("Raise max_iter", {"max_iter": 10_000}),
            (r"or eps \(now 0.5\)", {"eps": 200.0}),
        ],
    ),
    "sinkhorn at a small eps": Case(
        lambda **o: sinkhorn(**({"eps": 0.02, "max_iter": 300, "tol": 1e-6} | o)),
        "Sinkhorn stopped after 300 iterations",
        [("reach it in steps with eps_scaling=0.5", {"eps_scaling": 0.5})],
    ),
    "divergence": Case(
        lambda **o: divergence(**({"max_iter": 300, "tol": 1e-6} | o)),
        "Sinkhorn stopped after 300 iterations",
        [
            ("reach it in steps with eps_scaling=0.5", {"eps_scaling": 0.5}),
            ("Raise max_iter", {"max_iter": 100_000}),
            (r"or eps \(now 0.02\)", {"eps": 200.0}),
        ],
    ),
    "plain sinkhorn": Case(
        lambda **o: sinkhorn(**({"acceleration": None, "max_iter": 100} | o)),
        "Sinkhorn stopped after 100 iterations",
        [("leave acceleration at 'auto'", {"acceleration": "auto"}), ("Raise max_iter", {"max_iter": 100_000})],
    ),
    "unbalanced at a high price": Case(
        lambda **o: unbalanced(**({"max_iter": 2000} | o)),
        "Sinkhorn stopped after 2000 iterations",
        [("leave acceleration at 'auto'", {"acceleration": "auto"}), ("or eps", {"eps": 10.0})],
    ),
    "sums that differ": Case(
        lambda **o: sinkhorn(**({"q": Q * (1 + 8e-7), "max_iter": 200, "eps": 20.0} | o)),
        "The sums of p and q differ by 8.0e-07",
        [("use normalize", {"q": wt.normalize(Q * (1 + 8e-7))})],
    ),
    "float32": Case(
        lambda **o: sinkhorn(
            **({"p": ROUGH[0], "q": ROUGH[1], "cost": wt.GridCost(300), "eps": 2000.0, "max_iter": 300} | o)
        ),
        "float32 resolves 1e-07",
        [
            ("raise tol", {"tol": 1e-5}),
            ("or use float64", {"p": wt.normalize(ROUGH[0].astype(float)), "q": wt.normalize(ROUGH[1].astype(float))}),
        ],
    ),
    "barycenter": Case(
        lambda **o: barycenter(**({"max_iter": 12} | o)),
        "Barycenter stopped after 12 iterations",
        [("Raise max_iter", {"max_iter": 10_000}), (r"or eps \(now 0.5\)", {"eps": 500.0})],
    ),
    "plain barycenter": Case(
        lambda **o: barycenter(**({"acceleration": None, "max_iter": 100} | o)),
        "Barycenter stopped after 100 iterations",
        [("leave acceleration at 'auto'", {"acceleration": "auto"})],
    ),
    "debiased": Case(
        lambda **o: debiased(**({"max_iter": 30} | o)),
        "Barycenter stopped after 30 iterations",
        [("Raise max_iter", {"max_iter": 10_000}), ("or tol", {"tol": 1e-2})],
    ),
    "loose weights": Case(
        lambda **o: barycenter(**({"weights": [[0.02, 0.02]], "eps": 50.0, "max_iter": 200} | o)),
        "The weights of a row sum to 0.04",
        [("use normalize", {"weights": wt.normalize([[0.02, 0.02]])})],
    ),
    "loose atoms": Case(
        lambda **o: barycenter(**({"atoms": TWO * [[1.0], [1 + 1e-7]], "eps": 50.0, "max_iter": 200} | o)),
        "The atoms' sums differ by 1.0e-07",
        [("use normalize", {"atoms": wt.normalize(TWO * [[1.0], [1 + 1e-7]])})],
    ),
    "objective": Case(
        lambda **o: objective(**({"max_iter": 5} | o)),
        "inner runs? of wdl_objective stopped short",
        [("Raise max_iter", {"max_iter": 10_000}), ("or eps", {"eps": 2000.0})],
    ),
    "vjp": Case(
        lambda **o: vjp(**({"max_iter": 12} | o)),
        "inner runs? of barycenter_vjp stopped short",
        [("Raise max_iter", {"max_iter": 10_000}), ("or eps", {"eps": 500.0})],
    ),
    "fit, inside": Case(
        lambda **o: fit(**({"n_iter": None, "sinkhorn_max_iter": 5} | o)),
        "inner runs? of fit stopped short",
        [("Raise sinkhorn_max_iter", {"sinkhorn_max_iter": 10_000}), ("or eps", {"eps": 2000.0})],
    ),
    "fit": Case(
        lambda **o: fit(**({"tol": 1e-3, "max_iter": 8} | o)),
        "WassersteinDictionary stopped after 8 steps",
        [
            ("Raise max_iter", {"max_iter": 300}),
            ("or tol", {"tol": 100.0}),
            ("tol=None runs max_iter steps", {"tol": None}),
        ],
    ),
    "few digits": Case(
        lambda **o: narrow(**o),
        "leave float32 fewer than two digits",
        [("Use float64", {"dtype": np.float64}), ("or a larger eps", {"eps": 1.0})],
    ),
    "a line in float32": Case(
        lambda dtype=F32, **o: wt.wdl_objective(
            DATA.astype(dtype),
            TWO.astype(dtype),
            np.full((9, 2), 0.5, dtype),
            wt.LineCost(np.arange(60.0)),
            **({"eps": 0.2, "loss": "quadratic", "n_iter": 3} | o),
        ),
        "float32 is too narrow for this cost on a line",
        [("Give X as float64", {"dtype": np.float64}), ("or raise eps", {"eps": 5.0})],
    ),
    "a grid in float32": Case(
        lambda dtype=F32, **o: wt.wdl_objective(
            DATA.astype(dtype),
            TWO.astype(dtype),
            np.full((9, 2), 0.5, dtype),
            wt.GridCost(60),
            **({"eps": 15.0, "loss": "quadratic", "n_iter": 3} | o),
        ),
        "float32 is too narrow for this cost at eps=15: .* log domain, whose every product",
        [("Give X as float64", {"dtype": np.float64}), ("or raise eps", {"eps": 200.0})],
    ),
    "weights in float32": Case(
        lambda dtype=F32, eps=15.0: weights_of(dtype, eps),
        "float32 is too narrow for this cost at eps=15",
        [("Give X as float64", {"dtype": np.float64}), ("or raise eps", {"eps": 200.0})],
    ),
}


@pytest.mark.parametrize(("name", "number"), [(n, i) for n, c in CASES.items() for i in range(len(c.advice))])
def test_what_a_warning_advises_helps(name, number):
    case = CASES[name]
    words, options = case.advice[number]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        case.call()
    messages = [str(w.message) for w in told if re.search(case.says, str(w.message))]
    assert messages, f"no warning says {case.says!r}: {[str(w.message) for w in told]}"
    assert re.search(words, messages[0]), messages[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        case.call(**options)


@pytest.mark.parametrize("name", CASES)
def test_a_run_that_falls_short_says_so_once(name):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        CASES[name].call()
    assert len(told) == 1, [str(w.message) for w in told]


def test_no_remedy_is_left_untried():
    tried = {
        k for case in CASES.values() for words, options in case.advice for k in [*options, *re.findall(r"\w+", words)]
    }
    for name, case in CASES.items():
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            case.call()
        message = next(str(w.message) for w in told if re.search(case.says, str(w.message)))
        knobs = r"sinkhorn_max_iter|max_iter|eps_scaling|acceleration|momentum|normalize|float64|eps\b|tol\b"
        advice = set(re.findall(knobs, _remedy(message)))
        assert advice and advice <= tried, (name, message)


def _remedy(message: str) -> str:
    return message.split("error", 1)[-1].split(". ", 1)[-1]


@pytest.mark.parametrize(
    ("call", "says", "remedies"),
    [
        (
            sinkhorn,
            'Use domain="log" \\(or "auto"\\), or a larger eps',
            [{"domain": "log"}, {"domain": "auto"}, {"eps": 50.0}],
        ),
        (barycenter, 'Use domain="log"', [{"domain": "log"}, {"domain": "auto"}, {"eps": 50.0}]),
        (objective, 'Use domain="log"', [{"domain": "log"}, {"domain": "auto"}, {"eps": 50.0}]),
        (vjp, 'Use domain="log"', [{"domain": "log"}, {"domain": "auto"}, {"eps": 50.0}]),
    ],
)
def test_what_an_error_of_the_kernel_domain_advises_helps(call, says, remedies):
    options = {"eps": 1e-3, "domain": "kernel"}
    options |= {"max_iter": 5}
    with pytest.raises(FloatingPointError, match=says):
        call(**options)
    for remedy in remedies:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            call(**(options | remedy))
