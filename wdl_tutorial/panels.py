"""The NumPy fast path: the balanced iterations of `transport`, `barycenters` and `gradients`, in buffers of their own.

Same sums, other order: bins on the FIRST axis, so that a line kernel's blocks are contiguous and one kernel product
serves all atoms and samples of a chunk. The plain versions are what the tests hold this to. It serves NumPy arrays in
the kernel domain, without momentum or relaxed marginals, at a fixed number of iterations; all else takes the plain way.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np

from ._array import Array, is_numpy
from .transport import SinkhornState, trusted

_local = threading.local()


def applies(kernel: Any, *arrays: Array) -> bool:
    """True where this module may stand in: NumPy arrays and a kernel of the kernel domain."""
    return kernel.domain == "kernel" and all(is_numpy(x) for x in arrays)


def _buffer(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """This thread's buffer of that name: fresh memory of this size costs as much as the arithmetic that fills it."""
    held = _local.__dict__.setdefault("buffers", {})
    if name not in held or held[name].shape != shape or held[name].dtype != dtype:
        held[name] = np.empty(shape, dtype)
    return held[name]


def release() -> None:
    """Let go of this thread's buffers; those of a worker thread go when it ends."""
    _local.__dict__.pop("buffers", None)


def scalings(p: np.ndarray, q: np.ndarray, kernel: Any, n_iter: int) -> SinkhornState:
    """The state of `sinkhorn_steps` after ``n_iter`` iterations; p (..., n_bins) and q broadcast."""
    shape = np.broadcast_shapes(p.shape, q.shape)
    rows = int(np.prod(shape[:-1]))

    def columns_of(x: np.ndarray) -> np.ndarray:
        """Bins first, broadcast axes kept at length one: (n_bins, ...)."""
        x = x.reshape((1,) * (len(shape) - x.ndim) + x.shape)
        return np.ascontiguousarray(np.moveaxis(x, -1, 0))

    p1, q1 = columns_of(p), columns_of(q)
    first = (shape[-1],) + shape[:-1]
    u, v, ku = (_buffer(name, first, p.dtype) for name in ("u", "v", "ku"))
    flat = (shape[-1], rows)
    u.fill(1.0)
    for _ in range(n_iter):
        kernel.columns_t(u.reshape(flat), ku.reshape(flat))
        np.divide(q1, ku, out=v)
        kernel.columns(v.reshape(flat), ku.reshape(flat))
        np.divide(p1, ku, out=u)
    return SinkhornState(np.moveaxis(u, 0, -1).copy(), np.moveaxis(v, 0, -1).copy())


class Pass(NamedTuple):
    """A forward pass kept for its pull-back, bins first. phi is not kept: P / b is faster than memory."""

    histogram: np.ndarray  # (n_samples, n_bins)
    right: bool
    atoms: np.ndarray  # (n_bins, n_atoms, 1)
    weights: np.ndarray  # (n_atoms, n_samples)
    b: np.ndarray  # (n_iter + 1, n_bins, n_atoms, n_samples)
    kb: np.ndarray  # (n_iter, n_bins, n_atoms, n_samples)
    p: np.ndarray  # (n_iter, n_bins, n_samples)
    kernel: Any

    def pull(self, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(grad_atoms (n_atoms, n_bins), summed; grad_weights (n_samples, n_atoms)): `gradients.unrolled`."""
        n_iter, n_bins, n_atoms, n = self.kb.shape
        flat, one, kind = (n_bins, n_atoms * n), (n_bins, n_atoms, n), self.kb.dtype
        c, t, b_ = (_buffer(name, one, kind) for name in ("u", "v", "ku"))
        grad_atoms, grad_weights = np.zeros((n_bins, n_atoms), kind), np.zeros((n_atoms, n), kind)
        p_ = np.ascontiguousarray(grad.T) * self.p[-1]
        for i in range(n_iter - 1, -1, -1):
            p, b_next = self.p[i], self.b[i + 1]
            np.log(b_next, out=t)  # <log phi, P_> = <log P, P_> - <log b, P_>
            np.multiply(t, p_[:, None, :], out=t)
            grad_weights += (np.log(p) * p_).sum(axis=0) - t.sum(axis=0)
            np.multiply(self.weights, p_[:, None, :], out=t)
            if i < n_iter - 1:
                np.add(t, b_, out=t)
            np.multiply(t, b_next, out=t)
            np.divide(t, p[:, None, :], out=t)
            self.kernel.columns(t.reshape(flat), c.reshape(flat))
            np.divide(c, self.kb[i], out=c)
            grad_atoms += c.sum(axis=-1)
            if i:
                np.multiply(c, self.atoms, out=c)
                np.divide(c, self.kb[i], out=c)
                self.kernel.columns_t(c.reshape(flat), b_.reshape(flat))
                np.multiply(b_, self.b[i], out=b_)  # minus the adjoint of log b
                p_ = -b_.sum(axis=1)
        return grad_atoms.T, grad_weights.T


def forward(atoms: np.ndarray, weights: np.ndarray, kernel: Any, n_iter: int) -> Pass:
    """``n_iter`` iterations of `barycenter_steps` for a chunk of samples, recorded: atoms (n_atoms, n_bins)."""
    (n_atoms, n_bins), n, kind = atoms.shape, weights.shape[0], atoms.dtype
    one, flat = (n_bins, n_atoms, n), (n_bins, n_atoms * n)
    b, kb = _buffer("tape_b", (n_iter + 1, *one), kind), _buffer("tape_kb", (n_iter, *one), kind)
    p = _buffer("tape_p", (n_iter, n_bins, n), kind)
    a, phi, log_phi = (_buffer(name, one, kind) for name in ("u", "v", "ku"))
    d, w = np.ascontiguousarray(atoms.T)[:, :, None], np.ascontiguousarray(weights.T)
    b[0] = 1.0
    for i in range(n_iter):
        kernel.columns(b[i].reshape(flat), kb[i].reshape(flat))
        np.divide(d, kb[i], out=a)
        kernel.columns_t(a.reshape(flat), phi.reshape(flat))
        np.log(phi, out=log_phi)
        np.multiply(log_phi, w, out=log_phi)
        np.sum(log_phi, axis=1, out=p[i])
        np.exp(p[i], out=p[i])
        np.divide(p[i][:, None, :], phi, out=b[i + 1])
    histogram = np.ascontiguousarray(p[-1].T)
    right = bool(np.all(np.isfinite(histogram))) and _right(a, p[-1], kb[-1], phi, b[-2], d)
    return Pass(histogram, right, d, w, b, kb, p, kernel)


def _right(a: np.ndarray, p: np.ndarray, kb: np.ndarray, phi: np.ndarray, b: np.ndarray, d: np.ndarray) -> bool:
    """As `barycenters.kernel_domain_was_right`, of the last products that were made anyway."""
    last = np.moveaxis
    matters = (p > np.finfo(p.dtype).smallest_normal ** 0.5)[:, None, :]
    return trusted(
        (last(b, 0, -1), last(kb, 0, -1), last(d > 0, 0, -1)),
        (last(a, 0, -1), last(phi, 0, -1), last(matters, 0, -1)),
    )
