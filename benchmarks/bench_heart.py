"""A beating heart, Schmitz et al. (2018), 5.2: the time and memory of one gradient, the fit, and the cycle its path makes.

13 frames of 240 x 272 pixels, 4 atoms, gamma = 2 (cost: squared distance in pixels), 25 iterations, quadratic loss; the
fit starts from constant atoms and random weights of a seed, with zeta = N / (100 M). Claimed: one loss and gradient in at
most 8 CPU seconds and 300 MB (the authors' C++: 23 CPU seconds, 232 MB), memory beyond the frames independent of their
number, gradients within 1e-9 of torch autograd, and a PSNR of at least 20.9 dB after 5 steps of L-BFGS. The authors' own
example runs 200 steps.

    python benchmarks/bench_heart.py                 one gradient: time, memory, autograd
    python benchmarks/bench_heart.py fit [STEPS] [float32]     the fit (5 steps, or as many as you say)
    python benchmarks/bench_heart.py frames [SEED]   not the paper's start: four of the frames, weights by distance, float32

Where the frames are not found a simulated ring of the same size stands in: same time and memory, another PSNR.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from harness import peak_mb, peak_of

import wdl_tutorial as wt
from wdl_tutorial.reproduce.pictures import heart_dictionary, heart_frames, mean_psnr

SHAPE, N_ATOMS, EPS, N_ITER, SEED = (240, 272), 4, 2.0, 25, 0


def frames() -> tuple[np.ndarray, str]:
    """The frames as histograms (13, 65280), and where they are from."""
    if wt.datasets.available("cardiac"):
        return heart_frames(1)[0], "13 real frames"
    return wt.datasets.make_beating_ring(shape=SHAPE).X, "13 simulated frames"


def start(n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    n_bins = SHAPE[0] * SHAPE[1]
    weights = wt.normalize(np.random.default_rng(SEED).random((n_frames, N_ATOMS)))
    return np.full((N_ATOMS, n_bins), 1 / n_bins), weights


def gradient(x: np.ndarray):
    atoms, weights = start(len(x))
    return wt.wdl_objective(x, atoms, weights, wt.GridCost(SHAPE), eps=EPS, loss="quadratic", n_iter=N_ITER)


def autograd(x: np.ndarray, atoms: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The same by torch, one frame at a time."""
    import torch

    k = [torch.exp(-((torch.arange(n, dtype=torch.float64)[:, None] - torch.arange(n)) ** 2) / EPS) for n in SHAPE]
    d, w = (torch.tensor(y, requires_grad=True) for y in (atoms, weights))
    total = 0.0
    for i, row in enumerate(x):
        b = torch.ones(N_ATOMS, *SHAPE, dtype=torch.float64)
        for _ in range(N_ITER):
            phi = k[0] @ (d.reshape(-1, *SHAPE) / (k[0] @ b @ k[1])) @ k[1]
            p = torch.exp((w[i][:, None, None] * torch.log(phi)).sum(0))
            b = p / phi
        value = ((p - torch.tensor(row).reshape(SHAPE)) ** 2).sum() / len(x)
        value.backward()
        total += value.item()
    return total, d.grad.numpy(), w.grad.numpy()


def one_gradient() -> None:
    x, source = frames()
    gradient(x[:1])  # imports are not counted
    wall, cpu = time.perf_counter(), time.process_time()
    found = gradient(x)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"one loss and gradient, {source} of {SHAPE[0]} x {SHAPE[1]}: {cpu:.1f} CPU s, {wall:.1f} s", flush=True)
    few, many = peak_of(__file__, "13"), peak_of(__file__, "52")
    size = x.nbytes / 2**20
    print(
        f"peak memory: 13 frames {few:.0f} MB, 52 frames {many:.0f} MB; the frames are {size:.0f} and {4 * size:.0f} MB"
    )
    atoms, weights = start(len(x))
    value, grad_atoms, grad_weights = autograd(x, atoms, weights)
    pairs = ((found.value, value), (found.grad_atoms, grad_atoms), (found.grad_weights, grad_weights))
    gaps = [np.abs(np.asarray(a) - b).max() / np.abs(b).max() for a, b in pairs]
    print("from torch autograd, relative: value {:.0e}, atoms {:.0e}, weights {:.0e}".format(*gaps), flush=True)


def peak(n_frames: int) -> None:
    """The peak of this process, one gradient of so many frames, made by repeating those there are."""
    x, _ = frames()
    gradient(x[np.arange(n_frames) % len(x)] if n_frames > len(x) else x)
    print(peak_mb())


def watch(x: np.ndarray):
    """A callback that prints how good a fit is, and the CPU seconds it has taken."""
    began = time.process_time()

    def show(step, value, atoms, weights):
        if step % 5 == 0 or step == 1:
            spent = time.process_time() - began
            rebuilt = wt.barycenter(atoms, weights, wt.GridCost(SHAPE), eps=EPS, n_iter=N_ITER).histogram
            quality = mean_psnr(x, np.asarray(rebuilt, dtype=float))
            print(f"step {step:4d}  loss {value:.4e}  PSNR {quality:.2f} dB  {spent:.0f} CPU s", flush=True)

    return show


def from_frames(seed: int) -> None:
    x, source = frames()
    options = {"init": "data", "init_weights": "near", "random_state": seed, "dtype": "float32", "first_step": 0.5}
    options |= {"cost": wt.GridCost(SHAPE), "eps": EPS, "n_iter": N_ITER, "max_iter": 1, "tol": None}
    wt.WassersteinDictionary(N_ATOMS, callback=watch(x), **options).fit(x)
    print(f"{source}, from {N_ATOMS} of them")


def fit(n_steps: int, dtype: str | None = None) -> None:
    x, source = frames()
    show = watch(x)
    model = heart_dictionary(x, SHAPE, n_steps, callback=show, dtype=dtype).fit(x)
    rebuilt, mean = model.inverse_transform(model.weights_), np.tile(x.mean(axis=0), (len(x), 1))
    print(f"{source}, zeta {1 / model.weight_scale:.1f}; PSNR {mean_psnr(x, rebuilt):.2f} dB")
    print(f"the mean frame: {mean_psnr(x, mean):.2f} dB")
    print(np.round(model.weights_, 2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["fit"]:
        fit(int(sys.argv[2]) if len(sys.argv) > 2 else 5, *sys.argv[3:4])
    elif sys.argv[1:2] == ["frames"]:
        from_frames(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    elif len(sys.argv) > 1:
        peak(int(sys.argv[1]))
    else:
        one_gradient()
