"""How much of LAND's accuracy with ten labels is luck: Salinas A with +-1 digital number of noise, for each feature.

    WDL_TUTORIAL_DATA=... python benchmarks/land_robustness.py [n_seeds] [folder that keeps the runs]

Each seed adds -1, 0 or 1 to every band of every pixel, which is less than the sensor's own noise, and asks again. What is
counted: accuracy over the labelled pixels with 10 labels, and how many of the six classes are among the ten queries: a
class that is not found is lost, and class 12, say, is 29 % of the pixels.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from pathlib import Path

import numpy as np
from vae_land import file_name, kept, salinas_a, unit_rows

from wdl_tutorial.diffusion import LAND, nearest_neighbors

NEIGHBORS = (30, 100, 200)
DENSITY_NEIGHBORS = (20, 50, 100)
TIMES = (10, 30, 100)
REFERENCE = "k=100 k_density=20 t=30"


def features(X: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    from sklearn.decomposition import PCA

    positive = np.maximum(X, 0)
    found = {
        "bands of unit norm": X / np.linalg.norm(X, axis=0),
        "pixels of unit norm": unit_rows(X),
        "histograms (L1)": positive / positive.sum(1, keepdims=True),
        "Hellinger (square roots)": np.sqrt(positive / positive.sum(1, keepdims=True)),
        "PCA, 10, of unit norm": PCA(10, random_state=0).fit_transform(unit_rows(X)),
    }
    try:
        from wdl_tutorial.deep import SpectralVAE
    except ImportError as error:
        print(f"without networks: {error}")
        return found
    code = SpectralVAE(n_epochs=0, init="keras", random_state=seed).fit(X).transform(X)
    return found | {"untrained VAE": unit_rows(code)}


def runs(X: np.ndarray, labels: np.ndarray) -> dict[str, tuple[float, int]]:
    """Accuracy in % with ten labels, and classes found, in each setting."""
    known = np.flatnonzero(labels > 0)
    near = nearest_neighbors(X, max(NEIGHBORS + DENSITY_NEIGHBORS))
    found = {}
    for k, k_density in itertools.product(NEIGHBORS, DENSITY_NEIGHBORS):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the graph falls into")
            land = LAND(k, k_density).fit(X, neighbors=near)
        for time in TIMES:
            curve = land.set_params(time=time).curve(labels, [10], candidates=known)
            classes = len(np.unique(labels[curve.queries]))
            found[f"k={k} k_density={k_density} t={time}"] = 100 * float(curve.accuracy[0]), classes
    return found


def show(results: list[dict]) -> None:
    """The reference setting, and the settings in which the classes are found most often."""
    settings = sorted(
        results[0], key=lambda s: (-sum(r[s][1] == 6 for r in results), -np.median([r[s][0] for r in results]))
    )
    for setting in [REFERENCE, *settings[:3]]:
        accuracy = [r[setting][0] for r in results]
        complete = sum(r[setting][1] == 6 for r in results)
        print(
            f"  {setting:25s} median {np.median(accuracy):.2f}, {min(accuracy):.2f} to {max(accuracy):.2f}; "
            f"all six classes found {complete} times of {len(results)}"
        )


def main(n_seeds: int = 12, folder: str | None = None) -> None:
    X, labels = salinas_a()
    results: dict[str, list] = {}
    for seed in range(n_seeds):
        noisy = X + np.random.default_rng(seed).integers(-1, 2, X.shape)
        for name, F in features(noisy, seed).items():
            path = None if folder is None else Path(folder)
            results.setdefault(name, []).append(kept(path, file_name("noise", name, seed), lambda F=F: runs(F, labels)))
            accuracy, classes = results[name][-1][REFERENCE]
            print(f"seed {seed}, {name}: {accuracy:.2f} with {classes} classes", flush=True)
    for name, found in results.items():
        print(f"\n{name}; the first line is the reference setting, the others find the classes most often")
        show(found)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:3])
