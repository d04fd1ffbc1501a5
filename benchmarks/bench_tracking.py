"""Memory of a fit on torch tensors that track gradients, beside one on tensors that do not: it has to be the same.

Each fit runs in a process of its own: 1,000 samples of 64 bins, 4 atoms, 10 steps of Adam; X, first atoms, first weights
and sample weights tracking or not. Then Sinkhorn in the log domain, 50 and 500 iterations on a pair that tracks.

    python benchmarks/bench_tracking.py [--once]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import numpy as np
from harness import peak_mb

import wdl_tutorial as wt

N, BINS, ATOMS, STEPS, ROUNDS = 1_000, 64, 4, 10, 3
KINDS = ("plain", "tracking")


def tensors(track: bool):
    import torch

    rng, x = np.random.default_rng(0), np.arange(BINS)
    X = wt.normalize(np.exp(-0.5 * ((x - rng.uniform(10, 54, (N, 1))) / rng.uniform(3, 8, (N, 1))) ** 2) + 1e-3)
    arrays = X, X[:ATOMS], np.full((N, ATOMS), 1 / ATOMS), np.ones(N)
    return [torch.tensor(a, requires_grad=track) for a in arrays]


def fit(kind: str) -> None:
    """Print the peak in MB above what the data took, and seconds of CPU."""
    X, atoms, weights, importance = tensors(kind == "tracking")
    before, started = peak_mb(), time.process_time()
    model = wt.WassersteinDictionary(
        ATOMS, cost=wt.GridCost(BINS), eps=8.0, n_iter=10, solver="adam", max_iter=STEPS, tol=None,
        init_atoms=atoms, init_weights=weights,
    )  # fmt: skip
    model.fit(X, sample_weight=importance)
    print(peak_mb() - before, peak_mb(), time.process_time() - started)


def sinkhorn(iterations: str) -> None:
    import torch

    p, q = (torch.tensor(row, requires_grad=True) for row in tensors(False)[0][:2].numpy())
    before = peak_mb()
    found = wt.sinkhorn(p, q, wt.GridCost(BINS), eps=0.5, domain="log", tol=0.0, max_iter=int(iterations))
    found.value.backward()
    print(peak_mb() - before, peak_mb(), 0.0)


def measured(*arguments: str) -> list[float]:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, *arguments], capture_output=True, text=True, check=True
    )
    return [float(x) for x in run.stdout.split()]


def main() -> None:
    rounds = 1 if "--once" in sys.argv else ROUNDS
    found = {kind: [measured("fit", kind) for _ in range(rounds)] for kind in KINDS}
    for kind, runs in found.items():
        above, peak, seconds = (statistics.median(column) for column in zip(*runs))
        print(f"fit on {kind} tensors: {above:7.1f} MB above the data, peak {peak:.1f} MB, {seconds:.1f} s of CPU")
    peaks = [statistics.median(run[1] for run in found[kind]) for kind in KINDS]
    print(f"peak of tracking over plain: {peaks[1] / peaks[0]:.3f} (at most 1.1 is promised)")
    for iterations in ("50", "500"):
        print(f"sinkhorn on a tracking pair, {iterations} iterations: {measured('sinkhorn', iterations)[0]:.1f} MB")
    if peaks[1] > 1.1 * peaks[0]:
        raise SystemExit("a fit on tensors that track gradients keeps what it should let go")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        {"fit": fit, "sinkhorn": sinkhorn}[sys.argv[1]](sys.argv[2])
    else:
        main()
