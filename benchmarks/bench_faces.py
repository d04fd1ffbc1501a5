"""Faces, after Schmitz et al. (2018), 5.3: which loss reconstructs best, inverted or not, beside EigenFaces and NMF.

Another experiment than the paper's: theirs are 20 images (224 x 224) of one person with five expressions, whose terms
forbid shipping them; ours are 20 small faces (25 x 25) of many people, the first of those that scikit-image carries. Five
atoms, 25 iterations, gamma = 2 in units of the paper's pixels, so (25 / 224)^2 of it in ours would be no blur at all:
gamma = .5, a blur of half a pixel. Constant atoms, random weights, three seeds. The paper's order is KL, quadratic,
Wasserstein, total variation (33.81, 33.72, 32.95, 32.34 dB), its EigenFaces 33.6 and NMF 33.5 dB.

    python benchmarks/bench_faces.py [STEPS [SEEDS]]     L-BFGS steps, 200 if not given; seeds, 3
"""

from __future__ import annotations

import sys
import time

import numpy as np
from sklearn.decomposition import NMF, PCA

import wdl_tutorial as wt

N_FACES, N_ATOMS, EPS, N_ITER = 20, 5, 0.5, 25
LOSSES = {"KL(P|x)": "kl", "KL(x|P)": "kl_reverse", "quadratic": "quadratic", "Wasserstein": "wasserstein", "TV": "tv"}


def psnr(x: np.ndarray, y: np.ndarray) -> float:
    """Mean PSNR in dB over images, the peak being the image's own largest value."""
    return float(np.mean(10 * np.log10(x.max(axis=1) ** 2 / ((x - y) ** 2).mean(axis=1))))


def learn(faces: wt.datasets.Frames, loss: str, n_steps: int, seed: int) -> wt.WassersteinDictionary:
    model = wt.WassersteinDictionary(
        N_ATOMS, cost=wt.GridCost(faces.shape), eps=EPS, loss=loss, n_iter=N_ITER, init="uniform",
        init_weights="random", max_iter=n_steps, tol=None, random_state=seed,
    )  # fmt: skip
    return model.fit(faces.X[:N_FACES])


def linear(x: np.ndarray) -> dict[str, np.ndarray]:
    pca, nmf = PCA(N_ATOMS).fit(x), NMF(N_ATOMS, init="nndsvda", max_iter=20_000, tol=1e-8)
    fewer = PCA(N_ATOMS - 1).fit(x)
    return {
        "EigenFaces, mean and 5": pca.inverse_transform(pca.transform(x)),
        "EigenFaces, mean and 4": fewer.inverse_transform(fewer.transform(x)),
        "NMF, 5": nmf.fit_transform(x / x.max()) @ nmf.components_ * x.max(),
    }


def main() -> None:
    n_steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    n_seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    for inverted in (False, True):
        faces = wt.datasets.load_faces(inverted=inverted)
        x = faces.X[:N_FACES]
        print(f"{N_FACES} faces of {faces.shape[0]} x {faces.shape[1]}, {'inverted' if inverted else 'as they are'}")
        table = {}
        for name, loss in LOSSES.items():
            began, found = time.process_time(), []
            for seed in range(n_seeds):
                model = learn(faces, loss, n_steps, seed)
                found.append(psnr(x, model.inverse_transform(model.weights_)))
            table[name] = np.median(found)
            spent = time.process_time() - began
            print(
                f"  {name:24s} {table[name]:5.2f} dB ({min(found):.2f} to {max(found):.2f}), {spent:.0f} CPU s",
                flush=True,
            )
        print("  in order: " + " > ".join(sorted(table, key=table.get, reverse=True)))
        for name, y in linear(x).items():
            print(f"  {name:24s} {psnr(x, y):5.2f} dB")


if __name__ == "__main__":
    main()
