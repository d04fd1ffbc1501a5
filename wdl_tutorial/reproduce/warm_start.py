"""Fig. 4 of Schmitz et al. (2018) on synthetic 1-D data: two Sinkhorn iterations, two warm-started, and a hundred.

Data: 30 barycenters of three histograms on 60 bins. Three fits from the same start, with the loss KL and 100 steps of
L-BFGS. What each has learned is then judged alike, from b = 1 and converged: the mean PSNR of the reconstructions (of the
peak 1 of an image; here of the data's largest entry), and the loss.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .. import GridCost, WassersteinDictionary, barycenter, normalize, wdl_objective

N_BINS, EPS, STEPS, EVERY = 60, 4.0, 100, 10
COST = GridCost(N_BINS)
SETTINGS = {"2": (2, None), "2 warm": (2, EVERY), "100": (100, None)}


def make_data(seed: int, n_samples: int = 30) -> np.ndarray:
    """Barycenters of three histograms, one with two bumps, under random weights: (n_samples, 60)."""
    rng = np.random.default_rng(seed)
    bins = np.arange(N_BINS)
    means, widths = rng.uniform([[8], [22], [38]], [[20], [36], [52]], (3, 2)), rng.uniform(1.5, 3.5, (3, 2))
    bumps = normalize(np.exp(-0.5 * ((bins - means[..., None]) / widths[..., None]) ** 2))
    heights = rng.dirichlet([2.0, 2.0], 3)
    true = normalize((heights[..., None] * bumps).sum(axis=1) + 1e-6)
    weights = rng.dirichlet(np.ones(3), n_samples)
    return normalize(barycenter(true, weights, COST, eps=EPS, tol=1e-6).histogram + 1e-9)


def psnr(X: np.ndarray, R: np.ndarray) -> float:
    """Mean over samples, in dB, of the data's largest entry over the root mean square error."""
    return float(np.mean(10 * np.log10(X.max() ** 2 / ((X - R) ** 2).mean(axis=1))))


def fit(X: np.ndarray, seed: int, name: str) -> dict:
    """One fit; after every step, what the atoms and weights of that step give from b = 1, converged."""
    n_iter, every = SETTINGS[name]
    steps = []
    options: dict[str, Any] = {
        "eps": EPS,
        "loss": "kl",
        "init": "uniform",
        "init_weights": "random",
        "random_state": seed,
    }
    model = WassersteinDictionary(
        3, cost=COST, n_iter=n_iter, warm_restart=every, max_iter=STEPS, tol=None, n_jobs=1, **options,
        callback=lambda t, value, atoms, weights: steps.append((atoms, weights)),
    )  # fmt: skip
    start = time.perf_counter()
    model.fit(X)
    seconds = time.perf_counter() - start
    judged = [wdl_objective(X, *now, COST, eps=EPS, loss="kl", n_iter=1000) for now in steps[::EVERY]]
    return {
        "psnr": [psnr(X, found.reconstruction) for found in judged],
        "loss": [found.value for found in judged],
        "own": model.loss_,
        "seconds": seconds,
    }
