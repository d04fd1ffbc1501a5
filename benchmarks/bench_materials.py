"""What the weights are good for: telling six crops of Salinas A apart from m numbers a pixel (needs WDL_TUTORIAL_DATA).

WaHU's m weights (m - 1 of them free), against m coordinates of PCA or NMF on the same histograms, and, with brightness kept,
against PCA and NMF of the spectra themselves. Every representation is learned on 500 pixels or so, without their labels;
the others are then described by it, and a classifier is cross-validated on them. Salinas A holds many copies of the same
spectrum: all copies of one are on one side of every split (GroupKFold), of that between learning and describing too.

    python benchmarks/bench_materials.py [--atoms 4 6] [--seeds 0 1 2] [--per-class 200] [--solver projection]

About 2 minutes a seed and m. The figures of the book are those of ``--solver adam``, its default.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
from sklearn.decomposition import NMF, PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import wdl_tutorial as wt
from wdl_tutorial.unmixing import wahu

CLASSIFIERS = {
    "5 neighbours": lambda: KNeighborsClassifier(5),
    "logistic": lambda: LogisticRegression(max_iter=2000),
}


def learn(x, m: int, positions, seed: int, solver: str) -> dict:
    """name -> function from histograms to m numbers each, learned on ``x``."""
    start = time.perf_counter()
    model = wahu(positions, n_atoms=m, recommended=True, solver=solver, random_state=seed).fit(x)
    print(f"  WaHU, {m} atoms on {len(x)} pixels: {time.perf_counter() - start:.0f} s", flush=True)
    return {"WaHU": model.transform, "PCA": pca(x, m), "NMF": nmf(x, m, seed)}


def pca(x, m: int):
    return PCA(m).fit(x).transform


def nmf(x, m: int, seed: int):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 1000 steps, converged or not: the answer is what counts
        return NMF(m, init="nndsvda", max_iter=1000, random_state=seed).fit(x).transform


def accuracies(features, labels, groups) -> dict[str, float]:
    """Classifier -> mean accuracy of five folds; no spectrum is on both sides."""
    folds = GroupKFold(5)
    return {
        name: float(
            cross_val_score(make_pipeline(StandardScaler(), make()), features, labels, groups=groups, cv=folds).mean()
        )
        for name, make in CLASSIFIERS.items()
    }


def one_seed(seed: int, m: int, per_class: int, solver: str) -> dict[str, dict[str, float]]:
    """representation -> classifier -> accuracy."""
    pixels = wt.datasets.wahu_salinas_pixels(n_per_class=per_class, random_state=seed)
    x, light = pixels.X, pixels.scales
    spectra = x * light[:, None] / light.mean()
    _, groups = np.unique(np.round(spectra, 12), axis=0, return_inverse=True)
    rng = np.random.default_rng(seed)
    unlabelled = np.isin(groups, rng.permutation(groups.max() + 1)[: int(0.42 * (groups.max() + 1))])
    rest = ~unlabelled
    start, features = time.perf_counter(), {}
    for name, describe in learn(x[unlabelled], m, pixels.positions, seed, solver).items():
        features[name] = describe(x[rest])
        if name == "WaHU":
            print(
                f"  weights of {rest.sum()} others, transform included: {time.perf_counter() - start:.0f} s", flush=True
            )
            features["WaHU + brightness"] = np.column_stack([features[name], light[rest] / light.mean()])
    bright = {"PCA of spectra": pca(spectra[unlabelled], m), "NMF of spectra": nmf(spectra[unlabelled], m, seed)}
    features |= {name: describe(spectra[rest]) for name, describe in bright.items()}
    features["all 201 bands"] = spectra[rest]
    copies = len(groups) - len(np.unique(groups))
    print(f"seed {seed}, m = {m}: {rest.sum()} pixels, {copies} copies among all {len(groups)}", flush=True)
    return {name: accuracies(found, pixels.labels[rest], groups[rest]) for name, found in features.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--atoms", type=int, nargs="+", default=[4, 6])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--per-class", type=int, default=200)
    parser.add_argument("--solver", choices=["adam", "projection"], default="adam")
    options = parser.parse_args()
    for m in options.atoms:
        found = [one_seed(seed, m, options.per_class, options.solver) for seed in options.seeds]
        print(f"\nm = {m}: accuracy, median (range) over {len(found)} seeds; chance is .17")
        print(f"{'':20}" + "".join(f"{name:>24}" for name in CLASSIFIERS))
        for name in found[0]:
            cells = [[run[name][classifier] for run in found] for classifier in CLASSIFIERS]
            line = "".join(f"{f'{np.median(c):.3f} ({min(c):.3f} to {max(c):.3f})':>24}" for c in cells)
            print(f"{name:20}{line}", flush=True)


if __name__ == "__main__":
    main()
