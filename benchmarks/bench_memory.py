"""Memory and time of a fit that grows tenfold: 10,000 and 100,000 pixels, 64 bands, 4 atoms, 10 iterations, quadratic loss.

Each size runs in a process of its own, a few steps long. Beside the data, the weights and what the solver remembers, a
fit may take no more memory for more pixels, and the time of a step grows with their number.

    python benchmarks/bench_memory.py [--adam] [--once]

Wall-clock seconds mean little on a busy machine; seconds of CPU, over all threads, stand beside them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import numpy as np
from harness import peak_mb

import wdl_tutorial as wt

SIZES, N_BANDS, N_ATOMS, EPS, N_ITER, N_STEPS, MEMORY = (10_000, 100_000), 64, 4, 8.0, 10, 12, 10
ROUNDS = 3


def pixels(n: int) -> np.ndarray:
    """Smooth random spectra, (n, N_BANDS), made in place: their making must not be the peak that is measured."""
    rng = np.random.default_rng(0)
    X, bands = np.empty((n, N_BANDS)), np.arange(N_BANDS)
    for start in range(0, n, 1000):
        rows = X[start : start + 1000]
        centre, width = rng.uniform(8, 56, (len(rows), 1)), rng.uniform(3, 9, (len(rows), 1))
        rows[:] = 0.01 + np.exp(-0.5 * ((bands - centre) / width) ** 2)
        rows /= rows.sum(axis=1, keepdims=True)
    return X


def fit(n: int) -> None:
    """Print wall-clock and CPU seconds per step (medians), peak MB, and the part of it that is accounted for."""
    X, stamps = pixels(n), []
    model = wt.WassersteinDictionary(
        N_ATOMS,
        cost=wt.GridCost(N_BANDS),
        eps=EPS,
        n_iter=N_ITER,
        max_iter=N_STEPS,
        tol=None,
        random_state=0,
        solver="adam" if "--adam" in sys.argv else "lbfgs",
    )
    model.callback = lambda t, value, atoms, weights: stamps.append((time.perf_counter(), time.process_time()))
    model.fit(X)
    weights = n * N_ATOMS * 8 / 2**20
    history = (2 if model.solver == "adam" else 2 * MEMORY) * weights
    print(*np.median(np.diff(stamps, axis=0), axis=0), peak_mb(), X.nbytes / 2**20, weights, history)


def measured(n: int) -> list[float]:
    command = [sys.executable, __file__, str(n), *(a for a in sys.argv[1:] if a.startswith("--"))]
    return [float(x) for x in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]


def main() -> None:
    rows: dict[int, list[list[float]]] = {n: [] for n in SIZES}
    for _ in range(1 if "--once" in sys.argv else ROUNDS):
        for n in SIZES:
            rows[n].append(measured(n))
    found = {n: [statistics.median(column) for column in zip(*rows[n])] for n in SIZES}
    beyond = {}
    for n, (step, cpu, peak, data, weights, history) in found.items():
        beyond[n] = peak - data - weights - history
        print(f"{n:7d} pixels: {step * 1e3:8.1f} ms a step, {cpu * 1e3:8.1f} ms of CPU; peak {peak:.0f} MB", end=" = ")
        print(f"X {data:.0f} + weights {weights:.0f} + history {history:.0f} + the rest {beyond[n]:.0f}")
    wall, cpu = (statistics.median(b[i] / a[i] for a, b in zip(rows[SIZES[0]], rows[SIZES[1]])) for i in (0, 1))
    growth = beyond[SIZES[1]] - beyond[SIZES[0]]
    print(f"the rest grows by {growth:.0f} MB (at most 100: {'ok' if growth <= 100 else 'MISSED'})")
    verdict = "ok" if 8 <= wall <= 12 else "MISSED"
    print(f"time a step grows {wall:.2f} times (8 to 12: {verdict}); CPU {cpu:.2f} times")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        fit(int(sys.argv[1]))
    else:
        main()
