"""Fig. 15 of Schmitz et al. (2018): 40 bimodal histograms, three atoms, balanced against unbalanced; every sample counted.

    python benchmarks/bench_bimodal.py [--bins 90] [--starts 4] [--steps 60] [--data 0] [--only unbalanced]

The paper's: eps 7, rho 20, 100 Sinkhorn iterations, quadratic loss, 3 atoms, 40 samples, each the sum of two truncated
Gaussians whose means are drawn from every other bin of the outer thirds. Ours, where it is silent: 90 bins at unit
spacing, a standard deviation of bins / 30, the steps of L-BFGS, four kinds of start, of which the least loss counts.

A mode is a local maximum with a prominence of a tenth of the highest. Counted over the samples, by ever milder questions:

    placed   a mode of the reconstruction within one standard deviation of every mode of the data, and no other mode
    thirds   as many modes in each third of the axis as the data have
    number   as many modes as the data have
    parts    modes in the same thirds as the data, however many
    middle   at least a mode in the middle third, where no sample has any (the fewer the better)
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.signal import find_peaks

import wdl_tutorial as wt

EPS, RHO, N_ITER = 7.0, 20.0, 100
STARTS = (("extremes", "near"), ("uniform", "random"), ("kmeans++", "random"), ("data", "random"))  # atoms, weights


def modes(h: np.ndarray, prominence: float = 0.1) -> np.ndarray:
    """Bins of the local maxima that stand out by a tenth of the highest; those on the edge count."""
    return find_peaks(np.concatenate([[0.0], h, [0.0]]), prominence=prominence * h.max())[0] - 1


def near(some: np.ndarray, others: np.ndarray, tolerance: float) -> bool:
    """Is every one of ``some`` within ``tolerance`` of one of ``others``?"""
    return bool((np.abs(some[:, None] - others) <= tolerance).any(axis=1).all())


def count(X: np.ndarray, R: np.ndarray, tolerance: float) -> dict[str, int]:
    """The five counts of the module's docstring."""
    third = X.shape[1] // 3
    found = {"placed": 0, "thirds": 0, "number": 0, "parts": 0, "middle": 0}
    for x, r in zip(X, R):
        there, here = modes(x), modes(r)
        found["placed"] += near(there, here, tolerance) and near(here, there, tolerance)
        found["thirds"] += np.array_equal(*(np.bincount(m // third, minlength=3) for m in (there, here)))
        found["number"] += len(there) == len(here)
        found["parts"] += set(there // third) == set(here // third)
        found["middle"] += 1 in here // third
    return {name: int(n) for name, n in found.items()}


def fit(X: np.ndarray, marginal_weight: float | None, start: int, steps: int) -> tuple[float, np.ndarray, str]:
    """The loss as a share of that of an empty reconstruction, the reconstructions, and the domain."""
    atoms, weights = STARTS[start % len(STARTS)]
    options = {"n_iter": N_ITER, "loss": "quadratic", "max_iter": steps, "tol": None, "n_jobs": 1}
    model = wt.WassersteinDictionary(
        3, cost=wt.GridCost(X.shape[1]), eps=EPS, marginal_weight=marginal_weight, init=atoms,
        init_weights=weights, random_state=start, **options,
    ).fit(X)  # fmt: skip
    return model.loss_ / (X**2).sum(axis=1).mean(), model.inverse_transform(model.weights_), model.domain_


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bins", type=int, default=90)
    parser.add_argument("--starts", type=int, default=4)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--data", type=int, default=0, help="seed of the data")
    parser.add_argument("--rho", type=float, default=RHO)
    parser.add_argument("--only", choices=("balanced", "unbalanced"))
    given = parser.parse_args()
    std = given.bins / 30
    X = wt.datasets.make_bimodal(n_bins=given.bins, std=std, random_state=given.data).X
    print(
        f"{given.bins} bins, data {given.data}, rho {given.rho:g}, {given.starts} starts of {given.steps} steps",
        flush=True,
    )
    for name, weight in (("unbalanced", given.rho), ("balanced", None)):
        if given.only not in (None, name):
            continue
        results = []
        for start in range(given.starts):
            begin = time.perf_counter()
            loss, R, domain = fit(X, weight, start, given.steps)
            results.append((loss, count(X, R, std), float(np.median(R.sum(axis=1)))))
            said = ", ".join(f"{k} {v}" for k, v in results[-1][1].items())
            print(
                f"{name:10s} {STARTS[start % len(STARTS)][0]:9s} loss {loss:.3f}: {said}; mass {results[-1][2]:.2f}; "
                f"{domain}, {time.perf_counter() - begin:.0f} s",
                flush=True,
            )
        best = min(results, key=lambda result: result[0])
        spread = {k: (min(r[1][k] for r in results), max(r[1][k] for r in results)) for k in best[1]}
        said = ", ".join(f"{k} {v} ({spread[k][0]} to {spread[k][1]})" for k, v in best[1].items())
        print(f"{name:10s} of least loss {best[0]:.3f} (range over starts), of {len(X)}: {said}", flush=True)


if __name__ == "__main__":
    main()
