"""The sliders: their numbers against the package's, their modules, their classes.

The JavaScript is run by Node.js; those tests are skipped where there is none.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_close, gaussian, random_histograms

import wdl_tutorial as wt
from wdl_tutorial import barycenters, costs, transport
from wdl_tutorial.widgets import source

HERE = Path(__file__).resolve().parent
TRANSPORT = source.FOLDER / "transport.js"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
N_PROBLEMS = 200


def javascript(problems: list[dict]) -> list:
    """The answers of transport.js."""
    run = subprocess.run(
        [NODE, str(HERE / "js" / "transport_cases.mjs"), str(TRANSPORT)],
        input=json.dumps(problems, default=lambda a: np.asarray(a).tolist()),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


def nth(steps, n):
    return next(islice(steps, n - 1, None))


def first_underflow(cost: np.ndarray) -> float:
    """The eps at which the first entry of exp(-cost/eps) leaves the normal numbers of float64."""
    return float(cost.max() / -np.log(np.finfo(float).smallest_normal))


def random_problem(rng: np.random.Generator, n: int | None = None) -> dict:
    """Positions, cost power, histograms, and an eps between the first underflow and the range of the cost."""
    n = n or int(rng.integers(8, 40))
    positions = np.linspace(0, float(rng.uniform(0.5, 200)), n)
    power = int(rng.choice([1, 2]))
    cost = wt.cost_matrix(positions, power=power)
    eps = float(np.exp(rng.uniform(np.log(first_underflow(cost)), np.log(cost.max()))))
    m = int(rng.integers(2, 5))
    return {
        "positions": positions,
        "power": power,
        "eps": eps,
        "p": random_histograms(rng, n),
        "q": random_histograms(rng, n),
        "atoms": random_histograms(rng, m, n),
        "weights": random_histograms(rng, m),
        "n_iter": int(rng.integers(1, 60)),
    }


def sinkhorn_plan(problem: dict, domain: str, marginal_weight: float | None = None) -> np.ndarray:
    """The package's plan after exactly n_iter iterations."""
    cost = wt.cost_matrix(problem["positions"], power=problem["power"])
    kernel = costs.gibbs_kernel(cost, problem["eps"], domain=domain)
    steps = transport.sinkhorn_log_steps if domain == "log" else transport.sinkhorn_steps
    u, v = nth(steps(problem["p"], problem["q"], kernel, marginal_weight=marginal_weight), problem["n_iter"])
    if domain == "log":
        return np.exp(u[:, None] + v[None, :] - cost / problem["eps"])
    return u[:, None] * np.exp(-cost / problem["eps"]) * v[None, :]


def package_barycenter(problem: dict, domain: str, **options) -> np.ndarray:
    cost = wt.cost_matrix(problem["positions"], power=problem["power"])
    kernel = costs.gibbs_kernel(cost, problem["eps"], domain=domain)
    steps = barycenters.steps_of(kernel)(problem["atoms"], problem["weights"], kernel, **options)
    return nth(steps, problem["n_iter"]).histogram


@pytest.fixture
def problems(rng) -> list[dict]:
    return [random_problem(rng) for _ in range(N_PROBLEMS)]


@needs_node
@pytest.mark.parametrize("domain, atol", [("kernel", 1e-12), ("log", 1e-9)])
def test_sinkhorn_in_javascript_is_the_packages(problems, domain, atol):
    answers = javascript([{"run": "sinkhorn", "domain": domain, **p} for p in problems])
    for problem, answer in zip(problems, answers):
        expected = sinkhorn_plan(problem, domain)
        assert_close(np.reshape(answer["plan"], expected.shape), expected, atol=atol)


@needs_node
@pytest.mark.parametrize("domain, atol", [("kernel", 1e-12), ("log", 1e-9)])
@pytest.mark.parametrize("debiased", [False, True])
def test_barycenters_in_javascript_are_the_packages(problems, domain, atol, debiased):
    answers = javascript([{"run": "barycenter", "domain": domain, "debiased": debiased, **p} for p in problems])
    for problem, answer in zip(problems, answers):
        assert_close(answer, package_barycenter(problem, domain, debiased=debiased), atol=atol)


@needs_node
@pytest.mark.parametrize("domain, atol", [("kernel", 1e-12), ("log", 1e-9)])
def test_unbalanced_problems_in_javascript_are_the_packages(problems, rng, domain, atol):
    # from almost free to almost balanced: rho 10^8 times eps is where a literal power mean loses its digits
    for problem in problems:
        problem["marginal_weight"] = problem["eps"] * 10.0 ** rng.uniform(-1, 8)
    plans = javascript([{"run": "sinkhorn", "domain": domain, **p} for p in problems])
    means = javascript([{"run": "barycenter", "domain": domain, **p} for p in problems])
    for problem, plan, mean in zip(problems, plans, means):
        weight = problem["marginal_weight"]
        expected = sinkhorn_plan(problem, domain, weight)
        assert_close(np.reshape(plan["plan"], expected.shape), expected, atol=atol * max(1.0, expected.sum()))
        expected = package_barycenter(problem, domain, marginal_weight=weight)
        assert_close(mean, expected, atol=atol * max(1.0, expected.sum()))


@needs_node
def test_the_linear_time_kernel_in_javascript_is_the_dense_one(problems):
    problems = [{**p, "power": 1, "eps": 0.05 * p["positions"][-1]} for p in problems[:50]]
    for problem, answer in zip(problems, javascript([{"run": "barycenter", "kind": "line", **p} for p in problems])):
        assert_close(answer, package_barycenter(problem, "kernel"), atol=1e-12)


@needs_node
@pytest.mark.parametrize("power", [1, 2])
def test_barycenters_of_images_in_javascript_are_the_packages(rng, power):
    # sizes on and off the blocks of four rows and two columns that the product is cut into
    problems = [
        {"size": n, "power": power, "eps": 3.0, "n_iter": 12, "atoms": random_histograms(rng, 3, n * n)}
        | {"weights": random_histograms(rng, 3)}
        for n in (4, 7, 9, 10, 32)
    ]
    for problem, answer in zip(problems, javascript([{"run": "grid", **p} for p in problems])):
        n = problem["size"]
        expected = wt.barycenter(
            problem["atoms"], problem["weights"], wt.GridCost((n, n), power=power), eps=3.0, n_iter=12
        )
        assert_close(answer, expected.histogram, atol=1e-12)


@needs_node
def test_gradients_in_javascript_are_the_slopes_of_the_packages_loss(rng):
    problem = random_problem(rng, n=12) | {"n_iter": 5, "target": random_histograms(rng, 12)}
    problem["eps"] = 0.05 * problem["positions"][-1] ** problem["power"]
    (answer,) = javascript([{"run": "gradient", **problem}])

    def loss(atoms, weights):
        moved = problem | {"atoms": atoms, "weights": weights}
        return float(np.sum((package_barycenter(moved, "kernel") - problem["target"]) ** 2))

    for name in ("atoms", "weights"):
        slopes, base = np.zeros_like(problem[name]), problem[name]
        for index in np.ndindex(base.shape):
            h = 1e-6 * (np.arange(base.size).reshape(base.shape) == np.ravel_multi_index(index, base.shape))
            up, down = problem | {name: base + h}, problem | {name: base - h}
            slopes[index] = (loss(up["atoms"], up["weights"]) - loss(down["atoms"], down["weights"])) / 2e-6
        assert_close(answer[name], slopes, atol=1e-7 * np.abs(slopes).max())


@needs_node
def test_quantile_plans_in_javascript_are_the_packages(problems):
    answers = javascript([{"run": "segments", **p} for p in problems])
    distances = javascript([{"run": "wasserstein", **p} for p in problems])
    for problem, answer, distance in zip(problems, answers, distances):
        expected = wt.displacement(problem["p"], problem["q"], problem["positions"])
        assert_close(answer["mass"], expected.mass, atol=1e-12)
        assert_close(answer["start"], expected.start, atol=1e-9)
        assert_close(answer["end"], expected.end, atol=1e-9)
        exact = wt.wasserstein_1d(problem["p"], problem["q"], problem["positions"], power=problem["power"])
        assert_close(distance, exact, rtol=1e-12)


@needs_node
def test_averages_of_positions_start_and_end_at_the_atoms_and_move_the_mean_evenly():
    p, q = gaussian(200, 50, 5), gaussian(200, 130, 10)
    ts = [0.0, 0.25, 0.5, 0.75, 1.0]
    averages = javascript([{"run": "displaced", "p": p, "q": q, "t": t} for t in ts])
    assert_close(averages[0], p, atol=1e-12)
    assert_close(averages[-1], q, atol=1e-12)
    assert_close([np.dot(a, np.arange(200)) for a in averages], [50, 70, 90, 110, 130], atol=1e-6)
    variances = [np.dot(a, np.arange(200) ** 2) - np.dot(a, np.arange(200)) ** 2 for a in averages]
    assert_close(np.sqrt(variances), [5, 6.25, 7.5, 8.75, 10], atol=0.02)  # a Gaussian in between


@needs_node
def test_peaks_are_counted_as_an_eye_counts_them():
    p, q = gaussian(200, 50, 5), gaussian(200, 130, 10)
    histograms = [p, (p + q) / 2, np.ones(20), np.r_[3.0, 2, 1, 2, 3], np.r_[1.0, 2, 1.99, 2, 1]]
    answers = javascript([{"run": "peaks", "p": h, "share": 0.05} for h in histograms])
    assert answers == [[50], [50, 130], [0], [0, 4], [1]]
