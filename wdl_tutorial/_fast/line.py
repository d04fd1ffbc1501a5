"""The NumPy fast path: the balanced iterations of `transport`, `barycenters` and `gradients`, in buffers of their own.

Same sums, other order: bins on the FIRST axis, so that a line kernel's blocks are contiguous and one kernel product
serves all atoms and samples of a chunk. The plain versions are what the tests hold this to. It serves NumPy arrays in
the kernel domain, without momentum or relaxed marginals, at a fixed number of iterations; all else takes the plain way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..barycenters import LIGHT
from ..iterate import Batch, Iteration, Plain, Run
from ..kernels import PanelKernel
from ..scaling import Scaled, is_right, least_mass
from ..transport import SinkhornState
from .buffers import Claim, buffer, claim
from .extrapolated import Logs, accelerated, logical


class Layout(NamedTuple):
    """Bins as (blocks, bins per block), padded to whole blocks; a kernel's operands have ``carries`` bins more a block."""

    n_bins: int
    blocks: int
    size: int
    carries: int

    def split(self, x: np.ndarray) -> np.ndarray:
        """(..., n_bins) as (blocks, size, ...); the padding is one."""
        first = np.moveaxis(x, -1, 0)
        pad = self.blocks * self.size - self.n_bins
        if pad:
            first = np.concatenate([first, np.ones((pad, *first.shape[1:]), first.dtype)])
        return np.ascontiguousarray(first).reshape(self.blocks, self.size, *first.shape[1:])

    def join(self, x: np.ndarray) -> np.ndarray:
        """(blocks, size, ...) as (..., n_bins): contiguous memory of its own."""
        flat = x.reshape(self.blocks * self.size, *x.shape[2:])[: self.n_bins]
        return np.moveaxis(flat, 0, -1).copy()  # also where one row is contiguous as it is: the buffer will be reused

    def operand(self, name: str, rows: tuple[int, ...], dtype: np.dtype, lead: tuple[int, ...] = ()) -> np.ndarray:
        """A buffer that a kernel can multiply: (*lead, blocks, size + carries, *rows)."""
        return buffer(name, (*lead, self.blocks, self.size + self.carries, *rows), dtype)

    def result(self, name: str, rows: tuple[int, ...], dtype: np.dtype, lead: tuple[int, ...] = ()) -> np.ndarray:
        """A buffer for a kernel's product: (*lead, blocks, size, *rows)."""
        return buffer(name, (*lead, self.blocks, self.size, *rows), dtype)

    def panel(self, x: np.ndarray) -> np.ndarray:
        """The trailing axes as one: (blocks, size or size + carries, rows)."""
        return x.reshape(x.shape[0], x.shape[1], -1)


def scalings(p: np.ndarray, q: np.ndarray, kernel: PanelKernel, n_iter: int) -> SinkhornState:
    """The state of `sinkhorn_steps` after ``n_iter`` iterations; p (..., n_bins) and q broadcast."""
    rows = np.broadcast_shapes(p.shape, q.shape)[:-1]
    layout = Layout(p.shape[-1], *kernel.blocks)
    p, q = (layout.split(x.reshape((1,) * (len(rows) + 1 - x.ndim) + x.shape)) for x in (p, q))
    u, v = (layout.operand(name, rows, p.dtype) for name in ("u", "v"))
    product = layout.result("ku", rows, p.dtype)
    inner = (slice(None), slice(0, layout.size))  # without the carries
    u.fill(1.0)
    for _ in range(n_iter):
        kernel.columns_t(layout.panel(u), layout.panel(product))
        np.divide(q, product, out=v[inner])
        kernel.columns(layout.panel(v), layout.panel(product))
        np.divide(p, product, out=u[inner])
    return SinkhornState(layout.join(u[inner]), layout.join(v[inner]))


Twin = tuple[Batch, np.ndarray, Callable[..., Run]]


def sinkhorn_iteration(p: np.ndarray, q: np.ndarray, kernel: PanelKernel, x: np.ndarray) -> Twin:
    """`transport.plain_iteration`, balanced, and its start x (rows, 1, n_bins), with the rows innermost in memory."""
    layout, kind = Layout(p.shape[-1], *kernel.blocks), p.dtype
    held = [layout.split(h) for h in (p, q)]  # (blocks, size, rows)
    inner = (slice(None), slice(0, layout.size))

    def problem(rows: np.ndarray | None) -> Iteration:
        source, target = (h if rows is None else np.take(h, rows, axis=-1) for h in held)
        n = source.shape[-1]
        u, v = (np.empty((layout.blocks, layout.size + layout.carries, n), kind) for _ in range(2))
        product = np.empty_like(source)
        sums = [h.reshape(-1, n).copy() for h in (source, target)]
        for h in sums:
            h[layout.n_bins :] = 0.0
        mass, empty = sums[0].T[:, None, :], [h == 0 if (h == 0).any() else None for h in sums]
        even = np.ones((1, 1, 1), kind)

        def plain(x: np.ndarray, state: Any) -> Plain:
            if state is None:  # else u holds exp(x)
                np.exp(x[:, 0, :].T.reshape(source.shape), out=u[inner])
            kernel.columns_t(u, product)
            np.divide(target, product, out=v[inner])
            kernel.columns(v, product)
            np.divide(source, product, out=u[inner])
            logs = np.log(u[inner]).reshape(-1, n)

            def dual() -> np.ndarray:
                value = np.zeros(n, kind)
                for h, log, nothing in zip(sums, (logs, np.log(v[inner]).reshape(-1, n)), empty):
                    term = np.einsum("kn,kn->n", h, log if nothing is None else np.where(nothing, 0.0, log))
                    if not np.isfinite(term).all():  # as in `dual_value`: what has underflowed does not count
                        term = np.einsum("kn,kn->n", h, np.where((h > 0) & (log > -np.inf), log, 0.0))
                    value += term
                return value

            logs_ = logical(logs[:, None, :])
            return Plain(logs_, mass, even, dual, Logs(logs_))

        return plain

    return problem, logical(layout.split(x.transpose(1, 0, 2))), accelerated


def barycenter_iteration(atoms: np.ndarray, weights: np.ndarray, kernel: PanelKernel, x: np.ndarray) -> Twin:
    """`barycenters.plain_iteration`, balanced, and its start x (rows, n_atoms, n_bins), the rows innermost in memory."""
    layout, kind = Layout(atoms.shape[1], *kernel.blocks), atoms.dtype
    d, n_atoms = layout.split(atoms)[..., None], atoms.shape[0]
    real = np.arange(layout.blocks * layout.size).reshape(layout.blocks, layout.size, 1) < layout.n_bins
    inner = (slice(None), slice(0, layout.size))

    def problem(rows: np.ndarray | None) -> Iteration:
        w = np.ascontiguousarray((weights if rows is None else weights[rows]).T)
        n = w.shape[1]
        b, a = (np.empty((layout.blocks, layout.size + layout.carries, n_atoms, n), kind) for _ in range(2))
        product, p = (np.empty((layout.blocks, layout.size, *shape), kind) for shape in ((n_atoms, n), (n,)))
        heavy = (w.T + LIGHT)[..., None]
        share, full = np.where(d > 0, d, 0.0)[..., 0] * real, bool((d > 0).all())

        def plain(x: np.ndarray, state: Any) -> Plain:
            if state is None:  # else b holds exp(x)
                np.exp(x.transpose(2, 1, 0).reshape(product.shape), out=b[inner])
            kernel.columns(layout.panel(b), layout.panel(product))
            np.divide(d, product, out=a[inner])
            kernel.columns_t(layout.panel(a), layout.panel(product))
            logs = np.log(product)
            np.einsum("bsmn,mn->bsn", logs, w, out=p)
            np.subtract(p[:, :, None, :], logs, out=logs)
            mass = np.exp(p)
            np.divide(mass[:, :, None, :], product, out=b[inner])
            mass = logical(np.broadcast_to((mass * real)[:, :, None, :], product.shape))

            def dual() -> np.ndarray:
                log_a = np.log(a[inner] if full else np.where(d > 0, a[inner], 1.0))
                values = np.einsum("bsmn,bsm->mn", log_a, share)
                if not np.isfinite(values).all():  # as in `dual_value`: what has underflowed does not count
                    values = np.einsum("bsmn,bsm->mn", np.where(log_a > -np.inf, log_a, 0.0), share)
                return (w * values).sum(axis=0) - mass[:, 0, :].sum(axis=1)

            return Plain(logical(logs), mass, heavy, dual, Logs(logical(logs)))

        return plain

    return problem, logical(layout.split(x.transpose(1, 0, 2))), accelerated


Product = Callable[[np.ndarray], np.ndarray]


def return_trip(link: Any) -> tuple[Callable[..., Product], Product, Product]:
    """`gradients.implicit`'s y - Pi N y, balanced, with the rows innermost in memory; the way into that layout, and out."""
    kernel, (n, n_atoms, n_bins) = link.kernel, link.b.shape
    layout = Layout(n_bins, *kernel.blocks)
    inner = (slice(None), slice(0, layout.size))

    def panels(x: np.ndarray) -> np.ndarray:
        """(rows, n_atoms, n_bins) as (blocks, size, n_atoms, rows); the padding is zero."""
        held = layout.split(x.transpose(1, 0, 2))
        held.reshape(-1, *held.shape[2:])[n_bins:] = 0.0
        return held

    total = link.mass.sum(axis=-1, keepdims=True)
    held = [panels(x) for x in (link.b, link.over_kb, link.a, link.over_phi)]
    held += [panels(link.mass / np.where(total > 0, total, 1.0)), np.broadcast_to(link.shares[..., 0].T, (n_atoms, n))]
    alive = None if (link.mass > 0).all() else panels(link.mass > 0)

    def operator(rows: np.ndarray | None) -> Product:
        some = held if rows is None else [np.take(x, rows, axis=-1) for x in held]
        b, over_kb, a, over_phi, mean, shares = some
        there = alive if rows is None or alive is None else np.take(alive, rows, axis=-1)
        left = np.empty((layout.blocks, layout.size + layout.carries, *b.shape[2:]), b.dtype)
        product = np.empty_like(b)

        def apply(y: np.ndarray) -> np.ndarray:
            np.multiply(b, y.transpose(2, 1, 0).reshape(b.shape), out=left[inner])
            kernel.columns(layout.panel(left), layout.panel(product))
            np.multiply(over_kb, product, out=product)
            np.multiply(a, product, out=left[inner])
            kernel.columns_t(layout.panel(left), layout.panel(product))
            np.multiply(over_phi, product, out=product)
            np.subtract(product, np.einsum("bsmn,mn->bsn", product, shares)[:, :, None], out=product)
            np.subtract(product, np.einsum("bsmn,bsmn->mn", mean, product), out=product)
            product.reshape(-1, *b.shape[2:])[n_bins:] = 0.0
            if there is not None:
                np.multiply(product, there, out=product)
            return y - logical(product)

        return apply

    return operator, lambda x: logical(panels(x)), lambda x: np.ascontiguousarray(x[:, :, :n_bins])


class Pass(NamedTuple):
    """A forward pass kept for its pull-back. phi is not kept: P / b is faster than memory."""

    histogram: np.ndarray  # (n_samples, n_bins)
    right: bool
    atoms: np.ndarray  # (blocks, size, n_atoms, 1)
    weights: np.ndarray  # (n_atoms, n_samples)
    b: np.ndarray  # (n_iter + 1, blocks, size + carries, n_atoms, n_samples)
    kb: np.ndarray  # (n_iter, blocks, size, n_atoms, n_samples)
    p: np.ndarray  # (n_iter, blocks, size, n_samples)
    layout: Layout
    kernel: PanelKernel
    claim: Claim

    def log_b(self) -> np.ndarray:
        """The logarithm of the last b, (n_samples, n_atoms, n_bins): what the next run may start from."""
        self.claim.check()
        return np.log(np.swapaxes(self.layout.join(self.b[-1][:, : self.layout.size]), 0, 1))

    def pull(self, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(grad_atoms (n_atoms, n_bins), summed; grad_weights (n_samples, n_atoms)): `gradients.unrolled`."""
        self.claim.check()
        layout, kernel, n_iter, kind = self.layout, self.kernel, len(self.kb), self.kb.dtype
        rows = self.weights.shape
        t = layout.operand("u", rows, kind)
        inner = (slice(None), slice(0, layout.size))
        y, z = t[inner], layout.panel(t)
        c, b_ = layout.result("v", rows, kind), layout.result("ku", rows, kind)
        logs = layout.result("logs", rows, kind)
        grad_atoms = np.zeros((layout.blocks, layout.size, rows[0]), kind)
        grad_weights = np.zeros(rows, kind)
        p_ = layout.split(grad)
        if layout.blocks * layout.size > layout.n_bins:
            p_.reshape(-1, rows[1])[layout.n_bins :] = 0.0  # the padding has no gradient
        p_ = p_ * self.p[-1]
        for i in range(n_iter - 1, -1, -1):
            p, b_next = self.p[i], self.b[i + 1][inner]
            np.log(b_next, out=logs)  # <log phi, P_> = <log P, P_> - <log b, P_>
            grad_weights += (np.log(p) * p_).sum(axis=(0, 1)) - np.einsum("bsmn,bsn->mn", logs, p_)
            np.multiply(self.weights, p_[:, :, None, :], out=y)
            if i < n_iter - 1:
                np.add(y, b_, out=y)
            np.multiply(y, b_next, out=y)
            np.divide(y, p[:, :, None, :], out=y)
            kernel.columns(z, layout.panel(c))
            np.divide(c, self.kb[i], out=c)
            grad_atoms += c.sum(axis=-1)
            if i:
                np.multiply(c, self.atoms, out=y)
                np.divide(y, self.kb[i], out=y)
                kernel.columns_t(z, layout.panel(b_))
                np.multiply(b_, self.b[i][inner], out=b_)  # minus the adjoint of log b
                p_ = -b_.sum(axis=2)
        return layout.join(grad_atoms), grad_weights.T


def forward(
    atoms: np.ndarray, weights: np.ndarray, kernel: PanelKernel, n_iter: int, *, log_b: np.ndarray | None = None
) -> Pass:
    """``n_iter`` iterations of `barycenter_steps` for a chunk of samples, recorded: atoms (n_atoms, n_bins).

    ``log_b`` (n_samples, n_atoms, n_bins): the logarithm of the scalings to start from, instead of b = 1.
    """
    layout, kind = Layout(atoms.shape[1], *kernel.blocks), atoms.dtype
    d, w = layout.split(atoms)[..., None], np.ascontiguousarray(weights.T)
    rows = w.shape  # (n_atoms, n_samples)
    inner, mine = (slice(None), slice(0, layout.size)), claim()
    b = layout.operand("tape_b", rows, kind, (n_iter + 1,))
    kb = layout.result("tape_kb", rows, kind, (n_iter,))
    p = layout.result("tape_p", rows[1:], kind, (n_iter,))
    a = layout.operand("u", rows, kind)
    phi, logs = layout.result("v", rows, kind), layout.result("ku", rows, kind)
    b[0] = 1.0
    if log_b is not None:
        np.exp(layout.split(np.swapaxes(log_b, 0, 1)), out=b[0][inner])  # the padding meets nothing: any number does
    for i in range(n_iter):
        kernel.columns(layout.panel(b[i]), layout.panel(kb[i]))
        np.divide(d, kb[i], out=a[inner])
        kernel.columns_t(layout.panel(a), layout.panel(phi))
        np.log(phi, out=logs)
        np.einsum("bsmn,mn->bsn", logs, w, out=p[i])
        np.exp(p[i], out=p[i])
        np.divide(p[i][:, :, None, :], phi, out=b[i + 1][inner])
    histogram = layout.join(p[-1])
    matters = (p[-1] > least_mass(histogram))[:, :, None, :]
    scaled = Scaled(b[-2][inner], kb[-1], d > 0), Scaled(a[inner], phi, matters)  # of products that were made anyway
    right = is_right("kernel", *scaled, numbers=(histogram,), axis=(0, 1))
    return Pass(histogram, right, d, w, b, kb, p, layout, kernel, mine)
