"""VAE-LAND on Salinas A: ten seeds, the untrained control, raw spectra, both settings, and what the paper says.

    WDL_TUTORIAL_DATA=... python benchmarks/vae_land.py [n_seeds] [--keep FOLDER] [--only WORD] [--table]

Accuracy in %, over the labelled pixels with the queried ones included, as the paper counts. Trained and untrained encoder
share their seed, so that the difference is the training. The paper compares LAND and VAE-LAND under different numbers of
neighbours (public code: k=100 / k_density=20 against 30 / 100); here every feature is run under both.

The paper trained in TensorFlow, whose dense layers start as Keras starts them: the first two arms are the paper's.
``--keep`` writes each run to a file, and reads it back the next time; ``--only`` runs the arms whose name holds the word;
``--table`` prints what is kept, and runs nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from wdl_tutorial.diffusion import LAND, nearest_neighbors

BUDGETS = [10, 20, 50, 100, 200, 400, 600, 1000, 2000]
PAPER = {
    "LAND": {10: 84.44, 20: 84.50, 100: 88.41, 400: 90.67, 1000: 97.98, 2000: 99.36},
    "VAE-LAND": {10: 96.97, 20: 96.97, 100: 97.76, 400: 98.35, 1000: 98.82, 2000: 99.31},
}
ARMS = {
    "trained": {"init": "keras"},
    "untrained": {"init": "keras", "n_epochs": 0},
    "trained, torch's first weights": {"init": "torch"},
    "untrained, torch's first weights": {"init": "torch", "n_epochs": 0},
    "trained, Gaussian": {"init": "keras", "likelihood": "gaussian"},
}
SETTINGS = {"k=30, k_density=100": (30, 100), "k=100, k_density=20": (100, 20)}


def salinas_a() -> tuple[np.ndarray, np.ndarray]:
    folder = Path(os.environ["WDL_TUTORIAL_DATA"]) / "salinas-a"
    cube = loadmat(folder / "SalinasA_corrected.mat")["salinasA_corrected"]
    return cube.reshape(-1, 204).astype(np.float64), loadmat(folder / "SalinasA_gt.mat")["salinasA_gt"].ravel()


def unit_rows(X: np.ndarray) -> np.ndarray:
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def kept(folder: Path | None, name: str, make: Callable[[], dict], *, run: bool = True) -> dict | None:
    """What ``make`` finds: from the folder, if it is there, and into it, if it is not; None if it is not to run."""
    path = None if folder is None else folder / f"{name}.json"
    if path is not None and path.is_file():
        return json.loads(path.read_text())
    if not run:
        return None
    found = make()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    return found


def file_name(*words: object) -> str:
    return "-".join("".join(c for c in str(word) if c.isalnum() or c == ".") for word in words)


def curves(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> dict[str, list[float]]:
    """Accuracy (n_budgets,) under each setting, and of the control: random queries, nearest in diffusion distance."""
    found = {}
    known = np.flatnonzero(labels > 0)
    near = nearest_neighbors(features, max(max(counts) for counts in SETTINGS.values()))
    for name, (k, k_density) in SETTINGS.items():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the graph falls into")
            land = LAND(k, k_density, time=30, n_eigenpairs=10).fit(features, neighbors=near)
        curve = land.curve(labels, BUDGETS, candidates=known)
        found[name] = (100 * curve.accuracy).tolist()
        found[name + ", without the queried"] = (100 * curve.accuracy_unqueried).tolist()
        order = np.random.default_rng(seed).permutation(known)
        control = land.curve(labels, BUDGETS, candidates=known, queries=order, nearest=True)
        found[name + ", random queries"] = (100 * control.accuracy).tolist()
    return found


def one_run(X: np.ndarray, labels: np.ndarray, options: dict, seed: int) -> dict:
    """A network, its code's curves, how many latents it uses, and how long it trained."""
    from wdl_tutorial.deep import SpectralVAE

    started = time.process_time()
    vae = SpectralVAE(random_state=seed, **options).fit(X)
    seconds = time.process_time() - started
    used = int((vae.kl_per_latent_ > 0.05).sum())
    return {"curves": curves(unit_rows(vae.transform(X)), labels, seed), "used": used, "seconds": seconds}


def show(name: str, runs: list[list[float]]) -> None:
    rows = {"median": np.median(runs, axis=0)} if len(runs) > 1 else {"one run": runs[0]}
    if len(runs) > 1:
        rows |= {"lowest": np.min(runs, axis=0), "highest": np.max(runs, axis=0), "mean": np.mean(runs, axis=0)}
    print(f"\n{name}")
    for row, values in rows.items():
        print(f"  {row:8s}" + "".join(f"{value:8.2f}" for value in values), flush=True)


def table(raw: dict | None, runs: dict[str, list[dict]]) -> None:
    """Every arm's median and range for each budget, beside what the paper says."""
    print("budget    " + "".join(f"{budget:8d}" for budget in BUDGETS))
    for name, row in PAPER.items():
        cells = (f"{row[b]:8.2f}" if b in row else f"{'-':>8}" for b in BUDGETS)
        print(f"paper, {name}\n          " + "".join(cells))
    for setting, accuracy in (raw or {}).items():
        show(f"spectra of unit norm, {setting}", [accuracy])
    for arm, found in runs.items():
        for setting in found[0]["curves"] if found else ():
            show(f"{arm}, {setting}, {len(found)} seeds", [run["curves"][setting] for run in found])
    print()
    for arm, found in runs.items():
        if found:
            seconds = np.median([run["seconds"] for run in found])
            print(
                f"{arm}: latents with a KL above .05 nat {[run['used'] for run in found]}; {seconds:.1f} s of processor"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_seeds", nargs="?", type=int, default=10)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    X, labels = salinas_a()
    run = not options.table
    raw = kept(options.keep, "spectra", lambda: curves(unit_rows(X), labels), run=run)
    runs: dict[str, list[dict]] = {arm: [] for arm in ARMS}
    for seed in range(options.n_seeds):
        for arm in ARMS:
            wanted = run and options.only in arm
            make = lambda arm=arm, seed=seed: one_run(X, labels, ARMS[arm], seed)  # noqa: E731
            found = kept(options.keep, file_name(arm, seed), make, run=wanted)
            if found:
                runs[arm].append(found)
                ten = " ".join(f"{name}: {curve[0]:.2f};" for name, curve in found["curves"].items())
                print(f"seed {seed}, {arm}: {ten}", flush=True)
    table(raw, runs)


if __name__ == "__main__":
    main()
