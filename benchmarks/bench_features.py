"""Which features should LAND walk on? Nine of them on one grid of neighbours, beside random queries, on Salinas A.

    WDL_TUTORIAL_DATA=... python benchmarks/bench_features.py [n_seeds] [folder that keeps the runs]

Every feature goes through the same 9 settings: k = 30, 100, 200 neighbours in the graph, 20, 50, 100 in the density, t = 30,
10 eigenpairs. No setting is chosen for a feature: what is printed is the median and the range over the grid and the seeds.
The fair control for the queries is random pixels whose labels spread by the nearest neighbour in the same diffusion
distance; for training, the same network before its first step; for a dictionary by transport, the same number of weights
from PCA, NMF and random projections.

Rows are brought to unit norm where the feature has no scale of its own to keep (``scaled`` in FEATURES).
"""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from vae_land import file_name, kept, salinas_a, unit_rows

import wdl_tutorial as wt
from wdl_tutorial.diffusion import LAND, nearest_neighbors

NEIGHBORS = (30, 100, 200)
DENSITY_NEIGHBORS = (20, 50, 100)
BUDGETS = (10, 50, 400)
DRAWS = 5  # of random queries, for each setting
TRAINING = 1002  # pixels that the transport dictionary learns from, as in WaHU; all get weights


def histograms(X: np.ndarray) -> np.ndarray:
    """Shares of light; the 183 readings below zero count as zero."""
    return wt.normalize(np.maximum(X, 0) + 1e-9)


def wahu_weights(X: np.ndarray, seed: int, n_atoms: int) -> np.ndarray:
    """Barycentric weights of every pixel, from a dictionary learned on some of them, with our recommended start."""
    from wdl_tutorial.unmixing import wahu

    P = histograms(X)
    some = np.random.default_rng(seed).choice(len(P), TRAINING, replace=False)
    model = wahu(np.arange(P.shape[1]), n_atoms=n_atoms, recommended=True, solver="adam", random_state=seed).fit(
        P[some]
    )
    return model.transform(P)


def vae_code(X: np.ndarray, seed: int, n_epochs: int) -> np.ndarray:
    from wdl_tutorial.deep import SpectralVAE

    return unit_rows(SpectralVAE(n_epochs=n_epochs, init="keras", random_state=seed).fit(X).transform(X))


def projected(X: np.ndarray, seed: int, n: int) -> np.ndarray:
    """Random projections of the histograms: what a code of n numbers keeps when nothing is learned."""
    return histograms(X) @ np.random.default_rng(seed).standard_normal((X.shape[1], n)) / np.sqrt(n)


# name -> (features of the pixels and a seed, whether a seed matters)
FEATURES: dict[str, tuple[Callable[[np.ndarray, int], np.ndarray], bool]] = {
    "reflectance, as it is": (lambda X, seed: X, False),
    "pixels of unit norm": (lambda X, seed: unit_rows(X), False),
    "histograms (L1)": (lambda X, seed: histograms(X), False),
    "Hellinger (square roots)": (lambda X, seed: np.sqrt(histograms(X)), False),
    "PCA of histograms, 4": (lambda X, seed: wt.linear.pca(histograms(X), 4).abundances, False),
    "NMF of histograms, 4": (lambda X, seed: wt.linear.nmf(histograms(X), 4, random_state=seed).abundances, True),
    "random projections, 4": (lambda X, seed: projected(X, seed, 4), True),
    "WaHU weights, 4 atoms": (lambda X, seed: wahu_weights(X, seed, 4), True),
    "untrained VAE, 40": (lambda X, seed: vae_code(X, seed, 0), True),
    "trained VAE, 40": (lambda X, seed: vae_code(X, seed, 50), True),
}


def on_the_grid(F: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, dict[str, list[float]]]:
    """Accuracy in % for each setting and budget: with the queried pixels, without them, and of random queries."""
    known = np.flatnonzero(labels > 0)
    near = nearest_neighbors(F, max(NEIGHBORS + DENSITY_NEIGHBORS))
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(known) for _ in range(DRAWS)]
    found = {}
    for k, k_density in itertools.product(NEIGHBORS, DENSITY_NEIGHBORS):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the graph falls into")
            try:
                land = LAND(k, k_density, time=30, n_eigenpairs=10).fit(F, neighbors=near)
            except ValueError as error:  # a graph in more pieces than eigenpairs: that setting has no answer
                print(f"    k={k}, k_density={k_density}: {error}", flush=True)
                continue
        curve = land.curve(labels, BUDGETS, candidates=known)
        chance = [
            land.curve(labels, BUDGETS, candidates=known, queries=order, nearest=True).accuracy for order in orders
        ]
        found[f"{k}/{k_density}"] = {
            "all": (100 * curve.accuracy).tolist(),
            "unqueried": (100 * curve.accuracy_unqueried).tolist(),
            "random": (100 * np.median(chance, axis=0)).tolist(),
        }
    return found


def show(name: str, runs: list[dict]) -> None:
    """One line a feature: median (lowest to highest) over grid and seeds with ten labels, then the other budgets."""

    def values(kind: str) -> np.ndarray:
        return np.array([cell[kind] for run in runs for cell in run.values()])  # (n_cells, n_budgets)

    land, others, chance = values("all"), values("unqueried"), values("random")
    ten = f"{np.median(land[:, 0]):6.2f} ({land[:, 0].min():5.2f} to {land[:, 0].max():5.2f})"
    paper = [np.median([run[cell]["all"][0] for run in runs if cell in run]) for cell in ("100/20", "30/100")]
    print(
        f"{name:26s} {ten}  {paper[0]:6.2f} {paper[1]:6.2f}  {np.median(others[:, 0]):6.2f}   "
        f"{np.median(chance[:, 0]):6.2f} ({chance[:, 0].min():5.2f} to {chance[:, 0].max():5.2f})  "
        f"{np.median(land[:, 1]):6.2f} {np.median(chance[:, 1]):6.2f}  "
        f"{np.median(land[:, 2]):6.2f} {np.median(chance[:, 2]):6.2f}  {len(land):3d}"
    )


def main(n_seeds: int = 3, folder: str | None = None) -> None:
    X, labels = salinas_a()
    path = None if folder is None else Path(folder)
    runs: dict[str, list[dict]] = {}
    for name, (make, seeded) in FEATURES.items():
        for seed in range(n_seeds if seeded else 1):
            grid = lambda make=make, seed=seed: on_the_grid(make(X, seed), labels, seed)  # noqa: E731
            runs.setdefault(name, []).append(kept(path, file_name("grid", name, seed), grid))
            print(f"{name}, seed {seed}: done", flush=True)
    print("\naccuracy in %, median over the grid and the seeds; LAND's queries, then random queries + nearest")
    print(f"{'feature':26s} {'10 labels, LAND (range)':25s} 100/20 30/100  unquer.  {'random (range)':23s}", end=" ")
    print("  50: LAND, random  400: LAND, random  cells")
    for name, found in runs.items():
        show(name, found)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:3])
