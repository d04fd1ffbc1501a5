"""Faces, after Schmitz et al. (2018), 5.3: which loss reconstructs best, inverted or not, beside EigenFaces and NMF.

Another experiment than the paper's: theirs are 20 images (224 x 224) of one person with five expressions, whose terms
forbid shipping them; ours are 20 small faces (25 x 25) of many people, the first of those that scikit-image carries. Five
atoms, 25 iterations, gamma = 2 in units of the paper's pixels, so (25 / 224)^2 of it in ours would be no blur at all:
gamma = .5, a blur of half a pixel. Constant atoms, random weights, three seeds. The paper's order (Fig. 12) is KL,
quadratic, total variation, Wasserstein (32.03, 31.93, 31.41, 30.33 dB); its EigenFaces have 33.6 and NMF 33.5 dB, WDL 33.8.

    python benchmarks/bench_faces.py [STEPS [SEEDS]]     L-BFGS steps, 200 if not given; seeds, 3
"""

from __future__ import annotations

import sys
import time

import numpy as np

import wdl_tutorial as wt
from wdl_tutorial.reproduce.pictures import LOSSES, N_FACES, learn_faces, linear_faces, own_peak


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
                model = learn_faces(faces, loss, n_steps, seed)
                found.append(own_peak(x, model.inverse_transform(model.weights_)))
            table[name] = np.median(found)
            spent = time.process_time() - began
            print(
                f"  {name:24s} {table[name]:5.2f} dB ({min(found):.2f} to {max(found):.2f}), {spent:.0f} CPU s",
                flush=True,
            )
        print("  in order: " + " > ".join(sorted(table, key=table.get, reverse=True)))
        for name, y in linear_faces(x).items():
            print(f"  {name:24s} {own_peak(x, y):5.2f} dB")


if __name__ == "__main__":
    main()
