"""What a lent GPU should be asked in ten minutes. **No one has run this on a GPU yet**; no figure of ours is of one.

Needs CuPy, or torch with CUDA. It checks that the extrapolated iterations, conjugate gradients and a converged fit give on
the device what NumPy gives on the host, counts the times a device has to stop and talk in a step of L-BFGS, and prints
ratios to the cores of that machine: the objective at 1,002, 7,138 and 111,104 pixels. Run the numerical tests beside it:

    python -m pytest -q tests/test_iterate.py tests/test_transport.py tests/test_barycenters.py tests/test_gradients.py
    python benchmarks/gpu.py
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np

import wdl_tutorial as wt
from wdl_tutorial import optimize
from wdl_tutorial._array import to_numpy

PIXELS = (1002, 7138, 111_104)
COST, N_BANDS, EPS = wt.LineCost(np.linspace(0, 10, 201)), 201, 0.05


def device():
    """(name, array -> device array, wait until the device is done) of the first GPU library there is."""
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount():
            return "CuPy", cupy.asarray, cupy.cuda.Device().synchronize
    except Exception as error:
        print(f"no CuPy here ({type(error).__name__})")
    try:
        import torch

        if torch.cuda.is_available():
            return "torch", lambda x: torch.asarray(np.array(x), device="cuda"), torch.cuda.synchronize
    except ImportError as error:
        print(f"no torch here ({error})")
    return None


def problem(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spectra, atoms and weights."""
    rng = np.random.default_rng(0)
    x = wt.normalize(np.exp(np.cumsum(0.1 * rng.standard_normal((n, N_BANDS)), axis=1)))
    return x, 0.9 * x[:4] + 0.1 * x.mean(0), rng.dirichlet(np.ones(4), n)


def agree(there) -> None:
    """The rule, the implicit gradient and a converged fit, on the device and on the host."""
    x, atoms, weights = problem(24)
    far = [there(z) for z in (x, atoms, weights)]
    gaps = {
        "sinkhorn": (wt.sinkhorn(z[0][:8], z[0][8:16], COST, eps=EPS).plan for z in (far, (x,))),
        "barycenter": (wt.barycenter(z[1], z[2], COST, eps=EPS).histogram for z in (far, (x, atoms, weights))),
        "implicit gradient": (
            wt.barycenter_vjp(z[1], z[2], COST, z[0], eps=EPS, n_iter=None)[1] for z in (far, (x, atoms, weights))
        ),
        "converged fit": (
            wt.WassersteinDictionary(2, cost=COST, eps=EPS, n_iter=None, max_iter=3, tol=None, random_state=0)
            .fit(z)
            .atoms_
            for z in (far[0], x)
        ),
    }
    for name, (device_side, host_side) in gaps.items():
        print(f"{name:20s} differs from NumPy by {np.abs(to_numpy(device_side) - host_side).max():.1e}", flush=True)


def synchronisations(there) -> None:
    """How often a number comes to the host in a step of L-BFGS: every one makes the device stop and talk."""
    x, atoms, weights = (there(z) for z in problem(64))
    counted, numbers = [0], optimize.numbers

    def counting(*products):
        counted[0] += 1
        return numbers(*products)

    optimize.numbers = counting
    model = wt.WassersteinDictionary(
        4, cost=COST, eps=EPS, init_atoms=atoms, init_weights=weights, max_iter=10, tol=None
    )
    model.fit(x)
    optimize.numbers = numbers
    print(f"L-BFGS: numbers are asked for {counted[0] / model.n_iter_:.1f} times a step")


def ratios(there, wait) -> None:
    """One fifty-iteration objective and gradient, host over device."""
    options = {"eps": EPS, "loss": "wasserstein", "locality": 0.01, "n_iter": 50}
    for n in PIXELS:
        x, atoms, weights = problem(n)
        far, spent = [there(z) for z in (x, atoms, weights)], []
        for given, rounds in ((far, 3), ((x, atoms, weights), 1)):
            wt.wdl_objective(given[0][:64], given[1], given[2][:64], COST, **options)
            start = time.perf_counter()
            for _ in range(rounds):
                wt.wdl_objective(*given, COST, **options)
                wait()
            spent.append((time.perf_counter() - start) / rounds)
        print(
            f"{n:7d} pixels: device {spent[0]:.2f} s, host {spent[1]:.2f} s, ratio {spent[1] / spent[0]:.1f}",
            flush=True,
        )


def learned(there, wait) -> None:
    """ID-Net's epochs and LAND's fit, host over device, where they run there."""
    x, _, _ = problem(2000)
    for name, given in (("device", there(x)), ("host", x)):
        start = time.perf_counter()
        try:
            wt.LAND(n_neighbors=20).fit(to_numpy(given))
        except Exception as error:
            print(f"LAND, {name}: {type(error).__name__}: {error}")
            continue
        wait()
        print(f"LAND on 2000 points ({name} arrays, SciPy graphs on the host): {time.perf_counter() - start:.1f} s")


def main() -> None:
    warnings.simplefilter("ignore")
    found = device()
    if found is None:
        print("no GPU here: nothing was measured.")
        sys.exit(1)
    name, there, wait = found
    print(f"device arrays by {name}")
    agree(there)
    synchronisations(there)
    ratios(there, wait)
    learned(there, wait)


if __name__ == "__main__":
    main()
