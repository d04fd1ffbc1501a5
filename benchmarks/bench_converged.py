"""Converged for the price of a few fifty-iteration evaluations: products, implicit gradients, the objective of Salinas A.

Kernel products are counted, and do not mind a busy machine; times are CPU seconds, of runs by turns. A product is one of
K or its transpose with one row; two make an iteration.

    python benchmarks/bench_converged.py products        counts to 1e-4, 1e-6 and 1e-9, plain beside extrapolated
    python benchmarks/bench_converged.py gradient        iterations of conjugate gradients
    python benchmarks/bench_converged.py random 500      random problems: never worse than plain by more than a tenth?
    python benchmarks/bench_converged.py objective 104 [OTHER_TREE]   value and gradient on pixels of Salinas A
    python benchmarks/bench_converged.py fit 200 [NAME]  converged fits, six descents: loss and CPU seconds; or 1002
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import wdl_tutorial as wt
from wdl_tutorial import barycenters, gradients, transport
from wdl_tutorial.iterate import Accuracy
from wdl_tutorial.objective import Terms, evaluate_chunks, problem_for
from wdl_tutorial.scaling import Variant

TOLERANCES = (1e-4, 1e-6, 1e-9)
MOST = 6000  # iterations of the plain way


def walks(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Spectra: positive and smooth, on the simplex."""
    return wt.normalize(np.exp(np.cumsum(0.1 * rng.standard_normal(shape), axis=-1)))


def problems() -> dict[str, tuple]:
    """Name: (settle, its two arrays, kernel, variant)."""
    rng, x = np.random.default_rng(0), np.linspace(0, 1, 200)
    positions = np.sort(rng.uniform(380, 2500, 201))
    line = wt.gibbs_kernel(wt.LineCost(positions, scale=10 / (positions[-1] - positions[0])), 0.05)
    atoms, weights = walks(rng, 4, 201), rng.dirichlet(np.ones(4), 24)
    light, holes = weights.copy(), atoms.copy()
    light[:, 0], holes[0, :40], holes[1, 100:] = 0.0, 0.0, 0.0
    bumps = wt.normalize(np.exp(-0.5 * ((x - rng.uniform(0.2, 0.8, (24, 1))) / 0.05) ** 2) + 1e-3)
    three = rng.dirichlet(np.ones(3), 10)
    grid = wt.GridCost(200, spacing=1 / 199)
    dense, fine, loose = (
        wt.gibbs_kernel(grid, 1e-3),
        wt.gibbs_kernel(grid, 1e-4, domain="log"),
        wt.gibbs_kernel(grid, 1e-2),
    )
    images = wt.normalize(rng.random((3, 64 * 64)) ** 8 + 1e-3)
    square = wt.gibbs_kernel(wt.GridCost((64, 64), spacing=1 / 63), 1e-3)
    s, b, plain = transport.settle, barycenters.settle, Variant()
    found = {
        "line, barycenter": (b, atoms, weights, line, plain),
        "line, zero weights": (b, atoms, wt.normalize(light), line, plain),
        "line, zeros in atoms": (b, wt.normalize(holes), weights, line, plain),
        "line, Sinkhorn": (s, walks(rng, 24, 201), walks(rng, 24, 201), line, plain),
        "p = 2, 1e-3, Sinkhorn": (s, bumps, np.roll(bumps, 1, 0), dense, plain),
        "p = 2, 1e-3, barycenter": (b, bumps[:3], three, dense, plain),
        "p = 2, 1e-4, Sinkhorn (log)": (s, bumps[:6], np.roll(bumps, 1, 0)[:6], fine, plain),
        "64 x 64, 1e-3, barycenter": (b, images, three[:2], square, plain),
    }
    sites, places = rng.uniform(0.2, 0.8, (3, 3, 2)), np.linspace(0, 1, 64)
    apart = (places[:, None] - sites[:, :, None, None, 0]) ** 2 + (places - sites[:, :, None, None, 1]) ** 2
    blobs = wt.normalize(np.exp(-0.5 * apart / 0.06**2).sum(1).reshape(3, -1) + 1e-4)
    found["64 x 64 smooth, barycenter"] = b, blobs, three[:2], square, plain
    for rho in (0.1, 1.0, 20.0, 1000.0):
        found[f"rho = {rho:g}, Sinkhorn"] = (s, bumps, np.roll(bumps, 1, 0), loose, Variant(rho))
    return found


def products() -> None:
    """Products of the worst row to each tolerance; "-" where that many iterations do not reach it."""
    for name, (settle, *given) in problems().items():
        told = []
        for way in (None, "auto"):
            counts = []
            for tol in TOLERANCES:
                most = MOST if "64" not in name else 500
                with np.errstate(all="ignore"):
                    found = settle(*given, Accuracy(None, tol, most, check_every=5, acceleration=way))
                counts.append(f"{2 * found.n_iter}" if found.converged.all() else "-")
                if not found.converged.all():
                    counts += ["-"] * (len(TOLERANCES) - len(counts))
                    break
            told.append("/".join(counts))
        print(f"{name:30s} plain {told[0]:20s} extrapolated {told[1]}", flush=True)


def implicit() -> None:
    """Iterations of conjugate gradients to each tolerance, with the applications that come before the first of them."""
    rng, solve, spent = np.random.default_rng(1), gradients.conjugate_gradients, []

    def counted(*given, **options):
        found = solve(*given, **options, check_every=1)
        before = 1 + len(gradients.waves(kernel.grid, found.x)) if options.get("preconditioner") else 0
        spent.append(str(before + found.n_iter))
        return found

    gradients.conjugate_gradients = counted
    for name, (settle, atoms, weights, kernel, variant) in problems().items():
        if settle is not barycenters.settle:
            continue
        with np.errstate(all="ignore"):
            state = settle(atoms, weights, kernel, variant, Accuracy(None, 1e-10)).state
            grad = np.cumsum(rng.standard_normal((len(weights), atoms.shape[1])), axis=1)
            spent.clear()
            for tol in (1e-2, 1e-6, 1e-9):
                gradients.implicit(atoms, weights, kernel, state, grad, variant=variant, tol=tol)
        print(f"{name:30s} conjugate gradients to 1e-2/1e-6/1e-9: {'/'.join(spent)}", flush=True)
    gradients.conjugate_gradients = solve


def draw(seed: int) -> tuple:
    """A random problem: weights that are zero, histograms with zeros, rho from .1 to 1000, eps over four decades."""
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(5, 50)), int(rng.integers(2, 5))
    cost = wt.cost_matrix(np.sort(rng.random(n)), power=rng.choice([1, 1.5, 2]))
    eps, rho = 10 ** rng.uniform(-4, 0), None if rng.random() < 0.5 else 10 ** rng.uniform(-1, 3)

    def histograms(k: int) -> np.ndarray:
        h = rng.random((k, n)) ** rng.choice([1, 5, 20])
        if rng.random() < 0.4:
            h = h * (rng.random((k, n)) < 0.6)
            h[:, rng.integers(n)] += 0.1
        return wt.normalize(h)

    kernel = wt.gibbs_kernel(cost / cost.max(), eps, domain="log" if eps < 2e-3 else "kernel")
    if rng.random() < 0.5:
        return transport.settle, histograms(3), histograms(3), kernel, Variant(rho)
    weights = rng.dirichlet(np.ones(m), 3)
    weights[:, 0] *= rng.random() > 0.3
    return barycenters.settle, histograms(m), wt.normalize(weights), kernel, Variant(rho)


def end(settle, state, kernel) -> np.ndarray:
    """What two ways must agree on: barycenters; of plans, where each bin's mass comes from on average, times the mass."""
    if settle is barycenters.settle:
        return state.histogram
    places = np.linspace(0.1, 1.0, kernel.shape[1])
    if kernel.domain == "log":
        return np.exp(state[0] + kernel.apply(state[1] + np.log(places)))
    return state[0] * kernel.apply(state[1] * places)


def random(n: int) -> None:
    """How many problems take more than a tenth and three iterations more than plain, and whether both ends agree."""
    worse, apart, ratios = [], [], []
    for seed in range(n):
        settle, *given = draw(seed)
        with np.errstate(all="ignore"):
            ours, plain = (settle(*given, Accuracy(None, 1e-9, 3000, 1, way)) for way in ("auto", None))
        both = ours.converged & plain.converged
        with np.errstate(all="ignore"):
            gap = np.abs(end(settle, ours.state, given[2]) - end(settle, plain.state, given[2])).sum(-1)
        apart += [seed] * bool((gap[both] > 1e-5).any() or (plain.converged & ~ours.converged).any())
        ratios.append(ours.n_iter / plain.n_iter)
        if ours.n_iter > 1.1 * plain.n_iter + 3:
            worse.append((seed, ours.n_iter, plain.n_iter))
    print(
        f"{n} random problems: median share of the plain iterations {np.median(ratios):.3f}, largest {max(ratios):.2f}"
    )
    print(f"worse than plain by more than a tenth and six products: {worse}; ends apart: {apart}")


def pixels(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of Salinas A as histograms, and their wavelengths."""
    scene = wt.datasets.load_salinas_a()
    x = np.asarray(scene.cube, dtype=float).reshape(-1, scene.cube.shape[-1])
    chosen = np.sort(np.random.default_rng(seed).choice(len(x), n, replace=False))
    return wt.normalize(x[chosen] - min(0.0, x.min())), scene.wavelengths


def begun(n: int) -> tuple:
    """X, cost, where the fit of n pixels by Adam starts, and a place a step of .03 in every logit from there."""
    X, wavelengths = (pixels if n < 1002 else paper_pixels)(n)
    found = []

    def note(step: int, loss: float, atoms: np.ndarray, weights: np.ndarray) -> None:
        found.append((atoms, weights))
        raise KeyboardInterrupt

    options = {"solver": "adam", "random_state": 0, "n_jobs": 1, "tol": None, "max_iter": 1}
    model = wt.wahu(wavelengths, recommended=True, callback=note, **options)
    model.fit(X)
    rng = np.random.default_rng(0)
    moved = [np.log(np.maximum(y, 1e-300)) + 0.03 * rng.choice([-1.0, 1.0], y.shape) for y in found[0]]
    return X, model.cost, found[0], tuple(wt.normalize(np.exp(y - y.max(axis=1, keepdims=True))) for y in moved)


def paper_pixels(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The 1002 pixels of the paper's Fig. 3."""
    found = wt.datasets.wahu_salinas_pixels(random_state=0)
    return found.X, found.positions


def objective(n: int, other: str = "") -> None:
    """CPU seconds of one value and gradient by turns: fifty unrolled iterations, and converged to 1e-6, cold and warm.

    Warm: the scalings and the adjoint start from where those of a step of .03 in the logits before have ended. Six pixels
    or fewer are held to 40,000 unrolled iterations; with another tree of this project, beside its own converged way.
    """
    X, cost, start, near = begun(n)
    ours = {"eps": 0.05, "loss": "wasserstein", "locality": 0.01}
    spent: dict[str, list[float]] = {}
    ratios: dict[str, list[float]] = {}

    def timed(name: str, accuracy: Accuracy, at: tuple, starts: dict | None = None) -> Any:
        given = (X, np.full(n, 1 / n), cost, Terms(**ours, accuracy=accuracy, variant=Variant()), 4, None, 1)
        with problem_for(*given) as problem:
            begin = time.process_time()
            found = evaluate_chunks(problem._replace(starts=starts), *at)
        spent.setdefault(name, []).append(time.process_time() - begin)
        return found

    for _ in range(5 if n <= 200 else 3):
        for tol in (1e-6, 1e-5, 1e-4):
            timed("fifty iterations", Accuracy(50), near)
            starts: dict = {}
            timed(f"cold to {tol:g}", Accuracy(None, tol), start, starts)
            warm = timed(f"warm to {tol:g}", Accuracy(None, tol), near, starts)
            for way in ("cold", "warm"):
                one = spent[f"{way} to {tol:g}"][-1] / spent["fifty iterations"][-1]
                ratios.setdefault(f"{way} to {tol:g}", []).append(one)
            if tol == 1e-6:
                kept = warm
    for name, seconds in spent.items():
        share = ratios.get(name)
        beside = f"; over fifty: {np.median(share):.2f} ({min(share):.2f} to {max(share):.2f})" if share else ""
        print(f"{n} pixels, {name}: {np.median(seconds):.3f} CPU s ({min(seconds):.3f} to {max(seconds):.3f}){beside}")
    tight = timed("cold to 1e-9", Accuracy(None, 1e-9), near)
    judges = {"the same to 1e-9": (kept, tight)}
    if n <= 6:  # a minute: 10,000 are still off by some per cent in some pixels
        force = wt.wdl_objective(X, *near, cost, **ours, n_iter=40_000, chunk_size=1)
        judges |= {"40,000 unrolled": (kept, force), "40,000 unrolled, when to 1e-9": (tight, force)}
    for name, (found, judge) in judges.items():
        off = [apart(getattr(found, g), getattr(judge, g)) for g in ("grad_atoms", "grad_weights")]
        print(f"{n} pixels, beside {name}: gradient in the atoms off by {off[0]:.1e}, in the weights by {off[1]:.1e}")
    if other:
        before = elsewhere(Path(other), X, near, cost)
        print(f"{n} pixels, {other}: {before:.2f} CPU s; over cold {before / np.median(spent['cold to 1e-06']):.0f}")


def apart(x: np.ndarray, y: np.ndarray) -> float:
    """Relative distance of two gradients on the simplex, which count up to a constant in each row."""
    x, y = (z - z.mean(axis=1, keepdims=True) for z in (x, y))
    return float(np.linalg.norm(x - y) / np.linalg.norm(y))


ELSEWHERE = """
import sys, time, numpy as np, wdl_tutorial as wt
d = np.load(sys.argv[1])
cost = wt.LineCost(d["positions"], power=float(d["power"]), scale=float(d["scale"]))
begin = time.process_time()
wt.wdl_objective(d["X"], d["atoms"], d["weights"], cost, eps=0.05, loss="wasserstein", locality=0.01, n_iter=None, tol=1e-6)
print(time.process_time() - begin)
"""


def elsewhere(tree: Path, X: np.ndarray, at: tuple, cost: wt.LineCost) -> float:
    """CPU seconds of the same converged value and gradient in another tree."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "problem.npz")
        of = {"positions": cost.positions, "power": cost.power, "scale": cost.scale}
        np.savez(path, X=X, atoms=at[0], weights=at[1], **of)
        env = os.environ | {"PYTHONPATH": str(tree.resolve()), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-W", "ignore", "-c", ELSEWHERE, str(path)]
        done = subprocess.run(command, env=env, cwd=tree, capture_output=True, text=True, check=True)
    return float(done.stdout)


DESCENTS: dict[str, dict] = {
    "projection, 30 steps (recommended)": {},
    "projection, 100 steps": {"max_iter": 100},
    "Adam .1, 30 steps": {"solver": "adam"},
    "Adam .1, 100 steps": {"solver": "adam", "max_iter": 100},
    "L-BFGS, first step .5, 60 steps": {"solver": "lbfgs", "first_step": 0.5, "max_iter": 60},
    "weights solved before every step, 5 steps": {"solver": "minibatch", "learning_rate": 0.3, "max_iter": 5},
}


def fit(n: int, only: str = "") -> None:
    """Converged fits of one draw of pixels, or of the paper's 1,002, from one draw of atoms: loss along the way and at the
    end, and CPU seconds; of the descents whose names begin as ``only`` does.

    Weights solved before every step: the whole draw as one batch, by Newton's steps, then one step of Adam on the atoms.
    """
    X, wavelengths = (pixels if n < 1002 else paper_pixels)(n)
    for name, options in DESCENTS.items():
        if not name.startswith(only):
            continue
        told, start = [], time.process_time()

        def note(step: int, loss: float, *_: np.ndarray, told=told, start=start) -> None:
            told.append((step, loss, time.process_time() - start))

        if options.get("solver") == "minibatch":
            options = options | {"batch_size": n}
        fresh = {"recommended": True, "random_state": 0, "n_jobs": 1, "tol": None, "callback": note}
        model = wt.wahu(wavelengths, **(fresh | options)).fit(X)
        spent = time.process_time() - start
        along = ", ".join(
            f"{loss:.4f} after {step} ({at:.0f} s)"
            for step, loss, at in told[len(told) // 10 :: max(1, len(told) // 5)]
        )
        print(f"{n} pixels, {name}: {model.loss_:.4f} (ours, cold to 1e-9) in {spent:.0f} CPU s; {along}", flush=True)


def main() -> None:
    warnings.simplefilter("ignore")
    what, n = (sys.argv[1:] + ["", ""])[:2]
    chosen = {"random": (random, 500), "objective": (objective, 104), "fit": (fit, 200)}
    if what in chosen:
        function, usual = chosen[what]
        function(int(n or usual), *sys.argv[3:])
        return
    if what in ("", "products"):
        products()
    if what in ("", "gradient"):
        implicit()
    if not what:
        random(100)


if __name__ == "__main__":
    main()
