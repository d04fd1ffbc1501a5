"""One table beside the peers that install from a registry: CPU seconds to an error of 1e-6, peer over ours.

Every row runs ours and a peer by turns; medians of the ratios, with their ranges. Above 1 we are faster. POT's functions
stop by a rule of their own, so that each peer is first asked how many iterations its fixed point takes: the plain
iteration's number, which is the same for all of them. OTT-JAX and geomloss are measured where they can be imported.

    python benchmarks/bench_peers.py             prints, and compares with benchmarks/recorded_peers.json
    python benchmarks/bench_peers.py --record    writes that file anew
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import ot
import torch

import wdl_tutorial as wt

RECORD = Path(__file__).with_name("recorded_peers.json")
ROUNDS, CHANGE, TOL, EPS = 5, 0.25, 1e-6, 1e-2


def cpu(function) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def torch_sinkhorn(p, q, kernel, n_iter):
    """The plainest good torch code: one panel."""
    k, p, q = (torch.tensor(z) for z in (kernel, p, q))

    def run():
        u = torch.ones_like(p)
        for _ in range(n_iter):
            v = q / (u @ k)
            u = p / (v @ k.T)
        return u, v

    return run


def torch_barycenter(atoms, weights, kernel, n_iter):
    k, d, w = (torch.tensor(z) for z in (kernel, atoms, weights))

    def run():
        b = torch.ones((len(w), *d.shape), dtype=d.dtype)
        for _ in range(n_iter):
            phi = (d / (b @ k.T)) @ k
            p = torch.exp((w[..., None] * torch.log(phi)).sum(1))
            b = p[:, None] / phi
        return p

    return run


def rows() -> dict[str, tuple]:
    """Name: (ours, peer) of every comparison, at the iterations that the plain way needs for TOL."""
    rng, x = np.random.default_rng(0), np.linspace(0, 1, 200)
    cost, grid = wt.cost_matrix(x), wt.GridCost(200, spacing=1 / 199)
    bumps = wt.normalize(np.exp(-0.5 * ((x - rng.uniform(0.2, 0.8, (200, 1))) / 0.05) ** 2) + 1e-3)
    kernel, found = np.exp(-cost / EPS), {}
    for n in (1, 100):
        p, q = bumps[:n], bumps[100 : 100 + n]
        plain = wt.sinkhorn(p, q, grid, eps=EPS, tol=TOL, acceleration=None)
        ours = lambda p=p, q=q: wt.sinkhorn(p, q, grid, eps=EPS, tol=TOL)  # noqa: E731
        found[f"Sinkhorn 200 x {n}, torch"] = ours, torch_sinkhorn(p, q, kernel, plain.n_iter)
        loop = lambda p=p, q=q, k=plain.n_iter: [  # noqa: E731
            ot.sinkhorn(a, b, cost, EPS, numItermax=k, stopThr=0) for a, b in zip(p, q)
        ]
        found[f"Sinkhorn 200 x {n}, POT"] = ours, loop
        weights = rng.dirichlet(np.ones(3), n)
        mean = wt.barycenter(bumps[:3], weights, grid, eps=EPS, tol=TOL, acceleration=None)
        ours = lambda w=weights: wt.barycenter(bumps[:3], w, grid, eps=EPS, tol=TOL)  # noqa: E731
        found[f"barycenter 200 x {n}, torch"] = ours, torch_barycenter(bumps[:3], weights, kernel, mean.n_iter)
    p, q = bumps[0], bumps[1]
    log = wt.sinkhorn(p, q, grid, eps=1e-3, tol=TOL, domain="log", acceleration=None)
    found["log domain 200 x 1, POT"] = (
        lambda: wt.sinkhorn(p, q, grid, eps=1e-3, tol=TOL, domain="log"),
        lambda: ot.sinkhorn(p, q, cost, 1e-3, method="sinkhorn_log", numItermax=log.n_iter, stopThr=0),
    )
    images, square = wt.normalize(rng.random((3, 64 * 64)) ** 8 + 1e-3), wt.GridCost((64, 64), spacing=1 / 63)
    weights = np.array([0.2, 0.3, 0.5])
    mean = wt.barycenter(images, weights, square, eps=EPS, tol=TOL, acceleration=None)
    found["barycenter 64 x 64, POT"] = (
        lambda: wt.barycenter(images, weights, square, eps=EPS, tol=TOL),
        lambda: ot.bregman.convolutional_barycenter2d(
            images.reshape(3, 64, 64), EPS, weights, numItermax=mean.n_iter, stopThr=0
        ),
    )
    if importlib.util.find_spec("geomloss"):
        from geomloss import SamplesLoss

        loss = SamplesLoss("sinkhorn", p=2, blur=EPS**0.5, debias=False)
        points = torch.tensor(x)[:, None]
        given = torch.tensor(p), points, torch.tensor(q), points
        found["Sinkhorn 200 x 1, geomloss"] = (
            lambda: wt.sinkhorn(p, q, grid, eps=EPS, tol=TOL),
            lambda: loss(*given),
        )
    if importlib.util.find_spec("ott"):
        import jax
        from ott.geometry import geometry
        from ott.problems.linear import linear_problem
        from ott.solvers.linear import sinkhorn

        solve = jax.jit(sinkhorn.Sinkhorn(threshold=TOL, max_iterations=10_000))
        asked = linear_problem.LinearProblem(geometry.Geometry(cost, epsilon=EPS), p, q)
        found["Sinkhorn 200 x 1, OTT-JAX"] = (
            lambda: wt.sinkhorn(p, q, grid, eps=EPS, tol=TOL),
            lambda: jax.block_until_ready(solve(asked)),
        )
    return found


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    table = {}
    for name, (ours, peer) in rows().items():
        ours(), peer()
        ratios = sorted(b / max(a, 1e-9) for a, b in ((cpu(ours), cpu(peer)) for _ in range(ROUNDS)))
        table[name] = {
            "ratio": round(statistics.median(ratios), 2),
            "range": [round(ratios[0], 2), round(ratios[-1], 2)],
        }
        low, high = table[name]["range"]
        print(f"{name:30s} {table[name]['ratio']:7.2f}  ({low:.2f} to {high:.2f})", flush=True)
    if "--record" in sys.argv:
        RECORD.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
        return
    recorded = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    slower = {k: (recorded[k]["ratio"], v["ratio"]) for k, v in table.items() if k in recorded}
    slower = {k: pair for k, pair in slower.items() if pair[1] < (1 - CHANGE) * pair[0]}
    for name, (before, now) in slower.items():
        print(f"SLOWER by more than a quarter: {name}, {before} recorded, {now} now")
    if not slower:
        print("no ratio fell by more than a quarter since the last record")


if __name__ == "__main__":
    main()
