"""ID-Net on DC1 over several seeds, beside the linear baselines: errors, CPU seconds, and ratios to the public code.

    WDL_TUTORIAL_DATA=folder python benchmarks/bench_idnet.py [--seeds 5] [--epochs 30] [--batch-size 64]

One thread, so that CPU seconds compare. A seed draws the scene's noise, VCA's directions and the networks. NRMSE_M and
SAM compare every pixel's endmembers with the true ones; SAM is a mean over endmembers (radians). Needs DC1's two files.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch

from wdl_tutorial import datasets, linear, metrics
from wdl_tutorial.deep.idnet import IDNet
from wdl_tutorial.iterate import ConvergenceWarning

PUBLIC_CPU_PER_EPOCH = 12.0  # the public code on one core of the machine these figures were first taken on
PUBLISHED = {"paper: FCLS": (0.371, None, None, 0.093), "paper: ID-Net": (0.170, 0.040, 0.016, 0.042)}
LIMITS = {"NRMSE_A median": 0.15, "NRMSE_A worst": 0.17, "NRMSE_M worst": 0.045, "SAM worst": 0.02, "CPU s worst": 60.0}


def scores(scene, abundances, endmembers, reconstruction) -> tuple[float, float, float, float]:
    """NRMSE_A, NRMSE_M, SAM, NRMSE_Y after alignment; endmembers (n_em, n_bands) or per pixel."""
    mean = endmembers if endmembers.ndim == 2 else endmembers.mean(0)
    perm = metrics.match_endmembers(scene.endmembers, mean)
    found = np.broadcast_to(endmembers[..., perm, :], (len(abundances), *scene.endmembers.shape))
    true = np.broadcast_to(scene.endmembers, found.shape)
    return (
        metrics.nrmse(scene.abundances.reshape(-1, len(perm)), abundances[:, perm]),
        metrics.nrmse(true, found),
        float(np.mean(metrics.spectral_angle(true, found))),
        metrics.nrmse(scene.cube.reshape(len(abundances), -1), reconstruction),
    )


def baselines(scene, X, seed):
    endmembers = linear.vca(X, 3, random_state=seed).endmembers
    rows = {}
    for name, solve in (
        ("VCA + FCLS", lambda: linear.fcls(X, endmembers).abundances),
        ("VCA + NNLS + normalise", lambda: linear.nnls(X, endmembers, normalize=True).abundances),
    ):
        start = time.process_time()
        abundances = solve()
        seconds = time.process_time() - start
        rows[name] = (*scores(scene, abundances, endmembers, abundances @ endmembers), seconds, None)
    return rows


def idnet(scene, X, seed, options):
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the paper's rule is 30 epochs at most
        net = IDNet.preset("dc1", random_state=seed, **options).fit(X)
    seconds = time.process_time() - start
    row = scores(scene, net.abundances_, net.endmembers_, net.reconstruct())
    return (*row, seconds, seconds / net.n_iter_)


def line(name, row) -> str:
    cells = [f"{value:8.4f}" if value is not None else f"{'-':>8}" for value in row[:4]]
    cells += [f"{value:8.2f}" if value is not None else f"{'-':>8}" for value in row[4:]]
    return f"{name:32s}" + " ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=64)
    args = parser.parse_args()
    torch.set_num_threads(1)
    options = {"max_iter": args.epochs, "batch_size": args.batch_size}
    heads = ("NRMSE_A", "NRMSE_M", "SAM", "NRMSE_Y", "CPU s", "s/epoch")
    print(f"{'DC1':32s}" + " ".join(f"{head:>8}" for head in heads))
    for name, row in PUBLISHED.items():
        print(line(name, (*row, None, None)))
    table = []
    for seed in range(args.seeds):
        scene = datasets.load_dc1(random_state=seed)
        X = scene.cube.reshape(-1, scene.cube.shape[-1])
        for name, row in baselines(scene, X, seed).items():
            print(line(f"{name}, seed {seed}", row))
        table.append(idnet(scene, X, seed, options))
        print(line(f"ID-Net, seed {seed}", table[-1]), flush=True)
    table = np.array(table)
    print(line("ID-Net, median", np.median(table, 0)))
    print(line("ID-Net, worst", table.max(0)))
    seen = (np.median(table[:, 0]), *table[:, [0, 1, 2, 4]].max(0))
    for (name, limit), value in zip(LIMITS.items(), seen):
        print(f"{name:16s} {value:8.4f}  limit {limit:6.3f}  {'within' if value <= limit else 'BEYOND'}")
    ratio = PUBLIC_CPU_PER_EPOCH / np.median(table[:, 5])
    print(f"CPU per epoch: {ratio:.1f} times below the public code's {PUBLIC_CPU_PER_EPOCH:.0f} s")


if __name__ == "__main__":
    main()
