"""Exact FCLS of all pixels at once against a loop over a general quadratic-programming solver, and what it costs.

    python benchmarks/bench_fcls.py

The peer is SciPy's SLSQP with the gradient given, one pixel at a time, on endmembers already reduced by QR (the
favour we do ourselves). Its answers are compared with ours, so that both are known to have solved the same problem.
Times are CPU seconds, taken by turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize

from wdl_tutorial import leastsquares, linear

SOME = 100  # pixels the loop is timed on: its time is proportional


def seconds(function: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def scene(n_endmembers: int, n_pixels: int, n_bands: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    endmembers = rng.random((n_endmembers, n_bands))
    abundances = rng.dirichlet(np.full(n_endmembers, 0.5), n_pixels)
    return abundances @ endmembers + 0.05 * rng.normal(size=(n_pixels, n_bands)), endmembers


def loop(X: np.ndarray, endmembers: np.ndarray) -> np.ndarray:
    """SLSQP on every pixel."""
    basis, columns = leastsquares.reduce(endmembers)
    gram, right = columns @ columns.T, X @ basis @ columns.T
    n = len(gram)
    sums = {"type": "eq", "fun": lambda a: a.sum() - 1.0, "jac": np.ones_like}
    found = [
        minimize(
            lambda a, b=b: 0.5 * a @ gram @ a - b @ a,
            np.full(n, 1.0 / n),
            jac=lambda a, b=b: gram @ a - b,
            bounds=[(0.0, None)] * n,
            constraints=sums,
            method="SLSQP",
            options={"ftol": 1e-12},
        ).x
        for b in right
    ]
    return np.array(found)


def compare(n_endmembers: int) -> None:
    X, endmembers = scene(n_endmembers, 10_000)
    found = linear.fcls(X, endmembers).abundances
    gap = np.abs(found[:SOME] - loop(X[:SOME], endmembers)).max()
    pairs = [
        (seconds(lambda: linear.fcls(X, endmembers)) / len(X), seconds(lambda: loop(X[:SOME], endmembers)) / SOME)
        for _ in range(7)
    ]
    ratios = [peer / ours for ours, peer in pairs]
    cross = X @ endmembers.T
    worst = leastsquares.kkt_residual(endmembers @ endmembers.T, cross, found, sum_to_one=True).max()
    print(
        f"{n_endmembers:2d} endmembers: {1e6 * np.median([a for a, _ in pairs]):6.2f} us a pixel, SLSQP in a loop "
        f"{1e6 * np.median([b for _, b in pairs]):6.0f} us, ratio {np.median(ratios):4.0f} "
        f"({min(ratios):.0f} to {max(ratios):.0f}); KKT residual {worst / np.abs(cross).max():.0e}, "
        f"SLSQP differs by {gap:.0e}",
        flush=True,
    )


def grow(n_endmembers: int) -> None:
    X, endmembers = scene(n_endmembers, 100_000)
    fcls = seconds(lambda: linear.fcls(X, endmembers))
    nnls = seconds(lambda: linear.nnls(X, endmembers))
    print(f"100,000 pixels, {n_endmembers} endmembers: FCLS {fcls:.1f} s, NNLS {nnls:.1f} s", flush=True)


def main() -> None:
    for n_endmembers in (3, 5, 10, 20):
        compare(n_endmembers)
    for n_endmembers in (5, 20):
        grow(n_endmembers)


if __name__ == "__main__":
    main()
