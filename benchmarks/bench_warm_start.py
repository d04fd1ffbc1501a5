"""The warm start of Schmitz et al. (2018), section 4.2 and Fig. 4, on synthetic 1-D data: what it gains, every loss cold.

    python benchmarks/bench_warm_start.py [number of seeds]

Data: 30 barycenters of three histograms on 60 bins. Three fits from the same start, with the loss KL and 100 steps of
L-BFGS: 2 Sinkhorn iterations, 2 warm-started every 10 steps, and 100. What each has learned is then judged alike, from
b = 1 and converged: the mean PSNR of the reconstructions (of the peak 1 of an image; here of the data's largest entry),
and the loss. Also printed: the loss as a fit itself computes it, from b = 1 in its own number of iterations.
"""

from __future__ import annotations

import sys

import numpy as np

from wdl_tutorial.reproduce.warm_start import EVERY, SETTINGS, STEPS, fit, make_data


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
