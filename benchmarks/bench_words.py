"""Books over a large vocabulary: one loss and gradient with a dense word cost, Schmitz et al. (2018), 5.4: time and memory.

Fifteen books, 3000 words, 5 atoms, 25 iterations, KL. Claimed: at most 8 CPU seconds and 450 MB, of which cost and kernel
are 144; the gradient within 1e-9 of torch autograd, in about its time, for both are matrix products. Words and books are
drawn: the novels share 1855 words of seven and eight letters, and what a vector means changes neither time nor memory.

    python benchmarks/bench_words.py [WORDS]
"""

from __future__ import annotations

import sys
import time

import numpy as np
from harness import peak_mb, peak_of

import wdl_tutorial as wt
from wdl_tutorial import words

N_BOOKS, N_ATOMS, N_ITER, EPS, SEED = 15, 5, 25, 0.1, 0


def problem(n_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Histograms (15, n_words) and the cost (n_words, n_words), drawn."""
    rng = np.random.default_rng(SEED)
    return rng.dirichlet(np.full(n_words, 0.5), N_BOOKS), words.word_cost(rng.normal(size=(n_words, 50)))


def start(n_words: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED)
    return rng.dirichlet(np.ones(n_words), N_ATOMS), rng.dirichlet(np.ones(N_ATOMS), N_BOOKS)


def gradient(x: np.ndarray, cost: np.ndarray):
    atoms, weights = start(x.shape[1])
    x = wt.normalize(x + 1e-12)
    return wt.wdl_objective(x, atoms, weights[: len(x)], cost, eps=EPS, loss="kl", n_iter=N_ITER)


def autograd(x: np.ndarray, cost: np.ndarray) -> tuple[float, float, np.ndarray]:
    """CPU seconds, value and atoms' gradient of the same by torch, all books at once."""
    import torch

    atoms, weights = start(x.shape[1])
    began = time.process_time()
    k, data = torch.exp(-torch.tensor(cost) / EPS), torch.tensor(wt.normalize(x + 1e-12))
    d, w = torch.tensor(atoms, requires_grad=True), torch.tensor(weights, requires_grad=True)
    b = torch.ones(N_BOOKS, N_ATOMS, x.shape[1], dtype=torch.float64)
    for _ in range(N_ITER):
        phi = (d / (b @ k.T)) @ k
        p = torch.exp((w[..., None] * torch.log(phi)).sum(1))
        b = p[:, None] / phi
    value = (p * torch.log(p / data) - p + data).sum(1).mean()
    value.backward()
    return time.process_time() - began, value.item(), d.grad.numpy()


def main() -> None:
    n_words = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    x, cost = problem(n_words)
    gradient(x[:1, :200], cost[:200, :200])  # imports are not counted
    began = time.process_time()
    found = gradient(x, cost)
    spent = time.process_time() - began
    print(f"one loss and gradient, {len(x)} books over {n_words} words: {spent:.1f} CPU s", flush=True)
    print(f"peak memory: {peak_of(__file__, f'peak {n_words}'):.0f} MB")
    peer, value, slope = autograd(x, cost)
    gap = np.abs(found.grad_atoms - slope).max() / np.abs(slope).max()
    print(
        f"torch autograd: {peer:.1f} CPU s; value off by {abs(found.value / value - 1):.0e}, atoms' gradient {gap:.0e}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("peak"):
        gradient(*problem(int(sys.argv[1].split()[1])))
        print(peak_mb())
    else:
        main()
