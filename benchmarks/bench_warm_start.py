"""The warm start of Schmitz et al. (2018), section 4.2 and Fig. 4, on synthetic 1-D data: what it gains, every loss cold.

    python benchmarks/bench_warm_start.py [number of seeds]

Data: 30 barycenters of three histograms on 60 bins. Three fits from the same start, with the loss KL and 100 steps of
L-BFGS: 2 Sinkhorn iterations, 2 warm-started every 10 steps, and 100. What each has learned is then judged alike, from
b = 1 and converged: the mean PSNR of the reconstructions (of the peak 1 of an image; here of the data's largest entry),
and the loss. Also printed: the loss as a fit itself computes it, from b = 1 in its own number of iterations.
"""

from __future__ import annotations

import sys
import time

import numpy as np

import wdl_tutorial as wt

N_BINS, EPS, STEPS, EVERY = 60, 4.0, 100, 10
COST = wt.GridCost(N_BINS)
SETTINGS = {"2": (2, None), "2 warm": (2, EVERY), "100": (100, None)}


def make_data(seed: int, n_samples: int = 30) -> np.ndarray:
    """Barycenters of three histograms, one with two bumps, under random weights: (n_samples, 60)."""
    rng = np.random.default_rng(seed)
    bins = np.arange(N_BINS)
    means, widths = rng.uniform([[8], [22], [38]], [[20], [36], [52]], (3, 2)), rng.uniform(1.5, 3.5, (3, 2))
    bumps = wt.normalize(np.exp(-0.5 * ((bins - means[..., None]) / widths[..., None]) ** 2))
    heights = rng.dirichlet([2.0, 2.0], 3)
    true = wt.normalize((heights[..., None] * bumps).sum(axis=1) + 1e-6)
    weights = rng.dirichlet(np.ones(3), n_samples)
    return wt.normalize(wt.barycenter(true, weights, COST, eps=EPS, tol=1e-6).histogram + 1e-9)


def psnr(X: np.ndarray, R: np.ndarray) -> float:
    """Mean over samples, in dB, of the data's largest entry over the root mean square error."""
    return float(np.mean(10 * np.log10(X.max() ** 2 / ((X - R) ** 2).mean(axis=1))))


def fit(X: np.ndarray, seed: int, name: str) -> dict:
    """One fit; after every step, what the atoms and weights of that step give from b = 1, converged."""
    n_iter, every = SETTINGS[name]
    steps = []
    options = {"eps": EPS, "loss": "kl", "init": "uniform", "init_weights": "random", "random_state": seed}
    model = wt.WassersteinDictionary(
        3, cost=COST, n_iter=n_iter, warm_restart=every, max_iter=STEPS, tol=None, n_jobs=1, **options,
        callback=lambda t, value, atoms, weights: steps.append((atoms, weights)),
    )  # fmt: skip
    start = time.perf_counter()
    model.fit(X)
    seconds = time.perf_counter() - start
    judged = [wt.wdl_objective(X, *now, COST, eps=EPS, loss="kl", n_iter=1000) for now in steps[::EVERY]]
    return {
        "psnr": [psnr(X, found.reconstruction) for found in judged],
        "loss": [found.value for found in judged],
        "own": model.loss_,
        "seconds": seconds,
    }


def main() -> None:
    n_seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    all_of: dict[str, list[dict]] = {name: [] for name in SETTINGS}
    for seed in range(n_seeds):
        X = make_data(seed)
        for name in SETTINGS:
            found = fit(X, seed, name)
            all_of[name].append(found)
            print(
                f"seed {seed}  {name:6s}  loss {found['loss'][-1]:.2e}, PSNR {found['psnr'][-1]:5.1f} dB (cold, converged); "
                f"as it computes itself {found['own']:.2e}; {found['seconds']:.1f} s",
                flush=True,
            )
    print(
        f"\nMedian PSNR (dB) over {n_seeds} seeds after 0, {EVERY}, {2 * EVERY}, ... {STEPS} steps, cold and converged:"
    )
    for name, runs in all_of.items():
        print(f"{name:6s} " + " ".join(f"{x:5.1f}" for x in np.median([run["psnr"] for run in runs], axis=0)))
    last = {name: np.array([run["psnr"][-1] for run in runs]) for name, runs in all_of.items()}
    loss = {name: np.array([run["loss"][-1] for run in runs]) for name, runs in all_of.items()}
    for one, other in (("2 warm", "2"), ("2 warm", "100")):
        gain, ratio = last[one] - last[other], loss[other] / loss[one]
        print(
            f"{one} against {other}: {np.median(gain):+.1f} dB ({gain.min():+.1f} to {gain.max():+.1f}), better in "
            f"{(gain > 0).sum()} of {n_seeds}; loss of {other} / loss of {one} {np.median(ratio):.2f} "
            f"({ratio.min():.2f} to {ratio.max():.2f})"
        )
    times = {name: np.median([run["seconds"] for run in runs]) for name, runs in all_of.items()}
    print("median seconds: " + ", ".join(f"{name} {x:.2f}" for name, x in times.items()))


if __name__ == "__main__":
    main()
