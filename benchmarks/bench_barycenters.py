"""Barycenters against POT: 1,000 of two atoms on 200 bins, and a single one. eps = 1e-2, 100 iterations each.

python benchmarks/bench_barycenters.py
"""

from __future__ import annotations

import warnings

import numpy as np
import ot
from harness import by_turns, report, seconds

import wdl_tutorial as wt

EPS, N_ITER, N_BINS = 1e-2, 100, 200


def main() -> None:
    rng = np.random.default_rng(0)
    cost = wt.cost_matrix(np.linspace(0, 1, N_BINS))
    atoms = wt.normalize(rng.random((2, N_BINS)) + 0.05)
    weights = rng.dirichlet(np.ones(2), 1000)
    columns = np.ascontiguousarray(atoms.T)

    def pot(w, method):
        return ot.barycenter(columns, cost, EPS, weights=w, method=method, numItermax=N_ITER, stopThr=0)

    def ours_all():
        return wt.barycenter(atoms, weights, cost, eps=EPS, n_iter=N_ITER).histogram

    warnings.simplefilter("ignore")  # POT says that it did not converge, as asked
    gap = np.abs(ours_all()[0] - pot(weights[0], "sinkhorn_log")).max()
    some = 20  # the loop's time is proportional; twenty of the thousand are run
    pairs = [(seconds(ours_all), seconds(lambda: [pot(w, "sinkhorn_log") for w in weights[:some]])) for _ in range(5)]
    ratios = [b * len(weights) / some / a for a, b in pairs]
    print(
        f"1,000 barycenters: ours {np.median([a for a, _ in pairs]) * 1e3:.0f} ms, a loop over POT's sinkhorn_log "
        f"{np.median([b for _, b in pairs]) * len(weights) / some:.1f} s, ratio {np.median(ratios):.0f} "
        f"({min(ratios):.0f} to {max(ratios):.0f}); differ by {gap:.0e}"
    )
    one = weights[0]
    single = by_turns(
        lambda: wt.barycenter(atoms, one, cost, eps=EPS, n_iter=N_ITER), lambda: pot(one, "sinkhorn"), rounds=101
    )
    report("a single barycenter, peer POT's kernel-domain sinkhorn", single)


if __name__ == "__main__":
    main()
