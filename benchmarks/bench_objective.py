"""WaHU's objective and gradient at the paper's Salinas A setting, against torch autograd on one panel.

1002 pixels x 201 bands, m = 4, p = 1, eps = .05 (cost scaled to maximum 10), locality .01, 50 iterations, float64. The
peer is the plainest good torch code: all pixels in one panel, the barycenter differentiated by autograd, the
Wasserstein terms by their potentials. Random spectra stand in for Salinas A: the time does not depend on them. Ours: a
LineCost, the same as a dense matrix (recognised as a line), and a dense matrix that is not recognised: a plain product.

    python benchmarks/bench_objective.py
"""

from __future__ import annotations

import sys

import numpy as np
from harness import by_turns, peak_mb, peak_of, report

N_PIXELS, N_BANDS, N_ATOMS, EPS, LOCALITY, N_ITER = 1002, 201, 4, 0.05, 0.01, 50


def problem():
    rng = np.random.default_rng(0)
    positions = np.sort(rng.uniform(380, 2500, N_BANDS))
    scale = 10 / (positions[-1] - positions[0])
    x = rng.random((N_PIXELS, N_BANDS)) + 0.1
    atoms = rng.random((N_ATOMS, N_BANDS)) + 0.1
    weights = rng.dirichlet(np.ones(N_ATOMS), N_PIXELS)
    return positions, scale, x / x.sum(1, keepdims=True), atoms / atoms.sum(1, keepdims=True), weights


def torch_objective():
    """Value and gradients in torch, one panel, autograd through the barycenter."""
    import torch

    positions, scale, x, atoms, weights = problem()
    t = torch.tensor(positions * scale)
    kernel = torch.exp(-torch.abs(t[:, None] - t) / EPS)
    x = torch.tensor(x)

    def product(panel):
        return (panel.reshape(-1, N_BANDS) @ kernel).reshape(panel.shape)  # the kernel is symmetric

    def transport(p, q):
        with torch.no_grad():
            u = torch.ones(torch.broadcast_shapes(p.shape, q.shape), dtype=p.dtype)
            for _ in range(N_ITER):
                v = q / product(u)
                u = p / product(v)
            f, g = EPS * torch.log(u), EPS * torch.log(v)
        return (f * p).sum(-1) + (g * q).sum(-1) - EPS * p.sum(-1).detach()

    def run():
        d = torch.tensor(atoms, requires_grad=True)
        w = torch.tensor(weights, requires_grad=True)
        b = torch.ones(N_PIXELS, N_ATOMS, N_BANDS, dtype=torch.float64)
        for _ in range(N_ITER):
            phi = product(d / product(b))
            p = torch.exp((w[..., None] * torch.log(phi)).sum(1))
            b = p[:, None] / phi
        value = (transport(p, x) + LOCALITY * (w * transport(x[:, None], d)).sum(-1)).mean()
        value.backward()
        return value.item(), d.grad.numpy(), w.grad.numpy()

    return run


def our_objective(kind: str):
    import wdl_tutorial as wt

    positions, scale, x, atoms, weights = problem()
    line = wt.LineCost(positions, power=1, scale=scale)
    # a matrix of distances on a line is recognised; a diagonal of 1e-9 keeps "product" from it, far below the 1e-7 allowed
    cost = {"line": line, "dense": line.dense(), "product": line.dense() + 1e-9 * np.eye(N_BANDS)}[kind]

    def run():
        found = wt.wdl_objective(x, atoms, weights, cost, eps=EPS, loss="wasserstein", n_iter=N_ITER, locality=LOCALITY)
        return found.value, found.grad_atoms, found.grad_weights

    return run


def main() -> None:
    if len(sys.argv) > 1:  # one way only, for its peak memory
        (torch_objective() if sys.argv[1] == "torch" else our_objective(sys.argv[1]))()
        print(peak_mb())
        return
    import torch

    torch.set_num_threads(2)
    peer = torch_objective()
    value, grad_atoms, grad_weights = peer()
    for kind in ("line", "dense", "product"):
        ours = our_objective(kind)
        v, a, w = ours()
        pairs = ((np.asarray(v), np.asarray(value)), (a, grad_atoms), (w, grad_weights))
        gap = max(np.abs(mine - theirs).max() / np.abs(theirs).max() for mine, theirs in pairs)
        report(f"objective and gradient, {kind} (differs by {gap:.0e})", by_turns(ours, peer))
    peaks = {kind: peak_of(__file__, kind) for kind in ("torch", "line", "product")}
    for kind in ("line", "product"):
        ratio = peaks["torch"] / peaks[kind]
        print(f"peak memory: {kind} {peaks[kind]:.0f} MB, torch {peaks['torch']:.0f} MB, ratio {ratio:.1f}")


if __name__ == "__main__":
    main()
