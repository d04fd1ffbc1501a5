"""This tree against another of the same project, by turns: CPU time, kernel products and numbers of the same calls.

A worker process for each tree runs one call when it is told to, first the one, then the other, so that both see the same
weather. What counts is the median of the ratios of CPU time, ours / theirs; its range says how much to believe of it.

    python benchmarks/against.py OTHER_TREE [--rounds 11] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
KERNELS = {"apply": 1, "apply_t": 1, "columns": 1, "columns_t": 1, "sandwich": 0, "sandwich_t": 0}  # a sandwich applies


def calls() -> dict[str, Callable[[], object]]:
    """The calls to compare: each returns a number that must not move."""
    import wdl_tutorial as wt

    rng = np.random.default_rng(0)
    n, bands = 200, 201
    nm = np.sort(rng.uniform(380, 2500, bands))
    line = wt.LineCost(nm, scale=10 / (nm[-1] - nm[0]))
    spectra, ends = wt.normalize(rng.random((n, bands)) + 0.1), wt.normalize(rng.random((4, bands)) + 0.1)
    shares = rng.dirichlet(np.ones(4), n)
    grid, pictures = wt.GridCost((120, 136)), wt.normalize(rng.random((4, 120 * 136)) + 0.1)
    x = np.arange(100.0)
    bumps = wt.normalize(np.exp(-0.5 * ((x - np.linspace(20, 80, 30)[:, None]) / 6) ** 2))

    def objective(cost, loss: str, data, atoms, weights, eps: float, n_iter: int, **options) -> float:
        return wt.wdl_objective(
            data, atoms, weights, cost, eps=eps, loss=loss, n_iter=n_iter, n_jobs=1, **options
        ).value

    def fit() -> float:
        model = wt.WassersteinDictionary(
            2, cost=wt.GridCost(100), eps=4.0, init="extremes", max_iter=4, tol=None, n_jobs=1, random_state=0
        )
        return model.fit(bumps).loss_

    return {
        "objective, line": lambda: objective(line, "wasserstein", spectra, ends, shares, 0.05, 50, locality=0.01),
        "objective, matrix": lambda: objective(
            line.dense() + 1e-9 * np.eye(bands), "wasserstein", spectra, ends, shares, 0.05, 50, locality=0.01
        ),
        "objective, image": lambda: objective(grid, "quadratic", pictures, pictures[:3], shares[:4, :3], 2.0, 25),
        "objective, unbalanced": lambda: objective(
            line, "kl_reverse", spectra, ends, shares, 0.05, 50, marginal_weight=1.0
        ),
        "objective, log domain": lambda: objective(
            wt.GridCost(100), "quadratic", bumps, bumps[[0, 29]], shares[:30, :2] + 1e-3, 0.5, 20, domain="log"
        ),
        "sinkhorn": lambda: float(
            wt.sinkhorn(spectra, spectra[::-1], line, eps=0.05, tol=0.0, max_iter=200).value.sum()
        ),
        "barycenter": lambda: float(wt.barycenter(ends, shares, line, eps=0.05, n_iter=50).histogram[3, 7]),
        "fit": fit,
    }


def count_products(function: Callable[[], object]) -> int:
    """Products with a kernel in one call, by whatever name; for images, bands of them."""
    import importlib

    import wdl_tutorial as wt

    first = not Path(wt.__file__).with_name("kernels.py").exists()  # version 0.1
    home, image = (
        importlib.import_module(f"wdl_tutorial.{m}")
        for m in (("costs", "images") if first else ("kernels", "_fast.image"))
    )
    count, undo = [0], []

    def wrap(owner, name: str) -> None:
        plain = owner.__dict__[name]

        def counted(*args, **options):
            count[0] += 1
            return plain(*args, **options)

        undo.append((owner, name, plain))
        setattr(owner, name, counted)

    for kind in list(vars(home).values()):
        if isinstance(kind, type) and kind.__module__ == home.__name__:
            for name, counts in KERNELS.items():
                if counts and name in kind.__dict__:
                    wrap(kind, name)
    for name in ("across", "down"):
        wrap(image, name)
    try:
        function()
    finally:
        for owner, name, plain in undo:
            setattr(owner, name, plain)
    return count[0]


def work() -> None:
    """Run what is asked for on standard input, one line each; answer in one line."""
    warnings.simplefilter("ignore")  # of runs that are stopped on purpose
    known = calls()
    for line in sys.stdin:
        what, name = json.loads(line)
        begin = time.process_time()
        found = count_products(known[name]) if what == "products" else known[name]()
        print(json.dumps([found, time.process_time() - begin]), flush=True)


class Worker:
    """A process that runs the calls of one tree."""

    def __init__(self, tree: Path):
        env = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, str(Path(__file__).resolve()), "--work"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True, cwd=tree)

    def ask(self, what: str, name: str) -> tuple[float, float]:
        """What the call gave, and its CPU seconds."""
        self.process.stdin.write(json.dumps([what, name]) + "\n")
        self.process.stdin.flush()
        return tuple(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, nargs="?", help="the tree to compare with")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", nargs="+", default=None)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return work()
    ours, theirs = Worker(HERE.parent), Worker(given.other.resolve())
    every = []
    for name in given.only or calls():
        (value, _), (before, _) = ours.ask("value", name), theirs.ask("value", name)  # and both are warm
        products = [worker.ask("products", name)[0] for worker in (ours, theirs)]
        pairs = [(ours.ask("value", name)[1], theirs.ask("value", name)[1]) for _ in range(given.rounds)]
        ratios = [a / b for a, b in pairs]
        every += ratios
        gap = abs(value - before) / max(abs(before), 1e-300)
        middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
        print(
            f"{name:24s} CPU ratio {middle:.3f} ({low:.3f} to {high:.3f}), theirs "
            f"{statistics.median(b for _, b in pairs):.3f} s; products {products[0]}, {products[1]}; differs by {gap:.0e}",
            flush=True,
        )
    print(f"median of all {len(every)} ratios: {statistics.median(every):.3f} ({min(every):.3f} to {max(every):.3f})")
    ours.close(), theirs.close()


if __name__ == "__main__":
    main()
