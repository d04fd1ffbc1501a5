"""The NumPy fast path for images: the balanced barycenter and its gradient on a grid of rows and columns, in few MB.

Same sums as `barycenters` and `gradients`, which the tests hold this to; three things are arranged otherwise. The kernel
of an axis is a band, since exp(-distance**power / eps) is exactly 0 where it underflows, and only what is not 0 is
multiplied. Arrays are (rows, atoms, samples, columns), so that both halves of a product are large products of contiguous
memory, and what is done between two of them is done on a slab of rows while it is in cache. And only every few iterations
are kept: the backward sweep computes those between once more.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernels import Band, GridKernel, Kernel
from ..scaling import least_mass, underflow_shows
from .buffers import Claim, buffer, claim

TAPE_ELEMENTS = 2**22  # of the iterations that a chunk keeps: 34 MB
SMALL = 16  # histograms: fewer are multiplied for all rows of a slab at once


def fits(kernel: Kernel) -> bool:
    """True for the kernel of an image."""
    return isinstance(kernel, GridKernel) and len(kernel.grid) == 2


def checkpoint_every(n_iter: int, size: int) -> int:
    """Which iterations are kept: each, or every k-th where arrays of ``size`` elements would be too many.

    n_iter / k stay, and 2 k more (b and K b) while a stretch is computed again: most is saved at sqrt(n_iter / 2).
    """
    most = max(1, round(math.sqrt(n_iter / 2)))
    return next((k for k in range(1, most) if (n_iter / k + 2 * k) * size <= TAPE_ELEMENTS), most)


def split(x: np.ndarray, n_rows: int) -> np.ndarray:
    """(n, n_bins) as (rows, n, columns), contiguous."""
    return np.ascontiguousarray(np.moveaxis(x.reshape(x.shape[0], n_rows, -1), 0, 1))


def join(x: np.ndarray) -> np.ndarray:
    """(rows, n, columns) as (n, n_bins), contiguous memory of its own."""
    return np.array(np.moveaxis(x, 0, 1), order="C").reshape(x.shape[1], -1)


def across(bands: list[Band], x: np.ndarray, out: np.ndarray) -> None:
    """The half of K x along the columns, for any slab of rows; the blocks of the bands are (reads, makes).

    Here and in :func:`down` the products are many and small: that is quicker than a few large ones, which BLAS packs first.
    """
    rows, panel, columns = x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1]
    shape = (rows, panel, columns) if panel >= SMALL else (1, rows * panel, columns)
    x, out = x.reshape(shape), out.reshape(shape)
    for band in bands:
        np.matmul(x[..., band.reads], band.block, out=out[..., band.makes])


def down(band: Band, half: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The half of K x along the rows, for one slab of them: the part of ``out`` that it fills."""
    out = out[: band.block.shape[0]]
    np.matmul(band.block, half[band.reads].transpose(1, 2, 0, 3), out=out.transpose(1, 2, 0, 3))
    return out


class Operands(NamedTuple):
    """What an iteration reads, in this module's layout."""

    atoms: np.ndarray  # (rows, n_atoms, 1, columns)
    weights: np.ndarray  # (n_atoms, n_samples, 1)
    slabs: list[Band]  # of rows
    columns: list[Band]  # with transposed blocks

    def buffers(self, *names: str, lead: tuple[int, ...] = ()) -> list[np.ndarray]:
        """Buffers of (*lead, rows, n_atoms, n_samples, columns)."""
        rows, n_atoms, _, columns = self.atoms.shape
        shape = (*lead, rows, n_atoms, self.weights.shape[1], columns)
        return [buffer(name, shape, self.atoms.dtype) for name in names]

    def slab_buffers(self, *names: str) -> list[np.ndarray]:
        """Buffers of one slab of rows."""
        _, n_atoms, _, columns = self.atoms.shape
        shape = (max(len(s.block) for s in self.slabs), n_atoms, self.weights.shape[1], columns)
        return [buffer(name, shape, self.atoms.dtype) for name in names]

    def scale_atoms(self, half: np.ndarray, out: np.ndarray, kb: np.ndarray) -> None:
        """Eq. (6): from half of K b to K b, and to half of K^T a."""
        (work,) = self.slab_buffers("slab")
        for slab in self.slabs:
            product = down(slab, half, kb[slab.makes])
            np.divide(self.atoms[slab.makes], product, out=work[: len(product)])
            across(self.columns, work[: len(product)], out[slab.makes])


class Pass(NamedTuple):
    """A forward pass kept for its pull-back."""

    histogram: np.ndarray  # (n_samples, n_bins)
    right: bool
    operands: Operands
    kept: np.ndarray  # (n_kept, rows, n_atoms, n_samples, columns)   b after 0, k, 2 k, ... iterations
    last: np.ndarray  # (rows, n_atoms, n_samples, columns)   b after the last one
    p: np.ndarray  # (n_iter, rows, n_samples, columns)
    every: int  # k
    claim: Claim

    def log_b(self) -> np.ndarray:
        """The logarithm of the last b, (n_samples, n_atoms, n_bins): what the next run may start from."""
        self.claim.check()
        x = np.log(self.last).transpose(2, 1, 0, 3)
        return x.reshape(*x.shape[:2], -1)

    def pull(self, grad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(grad_atoms (n_atoms, n_bins), summed; grad_weights (n_samples, n_atoms)): `gradients.unrolled`."""
        self.claim.check()
        operands, k, (rows, n_atoms, n_samples, columns) = self.operands, self.every, self.last.shape
        b, kb = operands.buffers("between_b", "between_kb", lead=(k,))
        from_phi, from_kb = operands.buffers("from_phi", "half_a")
        grad_atoms, grad_weights = np.zeros((rows, n_atoms, columns), b.dtype), np.zeros((n_atoms, n_samples), b.dtype)
        p_ = split(grad, rows) * self.p[-1]
        for slab in operands.slabs:
            part = slab.makes
            self._to_phi(self.last[part], self.p[-1][part], None, p_[part], grad_weights, from_phi[part])
        for i in range(len(self.p) - 1, -1, -1):
            if i == len(self.p) - 1 or (i + 1) % k == 0:
                self._again(i - i % k, i + 1, b, kb)
            self._to_kb(from_phi, kb[i % k], from_kb, grad_atoms)
            if i:
                self._to_b(from_kb, b[i % k], self.p[i - 1], grad_weights, from_phi)
        return join(grad_atoms), grad_weights.T

    def _again(self, first: int, stop: int, b: np.ndarray, kb: np.ndarray) -> None:
        """b before, and K b of, the iterations from ``first`` (which was kept) to ``stop``."""
        operands = self.operands
        half, half_a = operands.buffers("half", "half_a")
        (work,) = operands.slab_buffers("slab")
        b[0] = self.kept[first // self.every]
        across(operands.columns, b[0], half)
        for i in range(first, stop):
            if i + 1 == stop:  # what follows is known
                for slab in operands.slabs:
                    down(slab, half, kb[i - first][slab.makes])
                return
            operands.scale_atoms(half, half_a, kb[i - first])
            for slab in operands.slabs:
                part, phi = slab.makes, down(slab, half_a, work)
                new = b[i - first + 1][part]
                np.divide(self.p[i][part][:, None], phi, out=new)
                across(operands.columns, new, half[part])

    def _to_phi(
        self,
        b: np.ndarray,
        p: np.ndarray,
        b_: np.ndarray | None,
        p_: np.ndarray,
        grad_weights: np.ndarray,
        out: np.ndarray,
    ) -> None:
        """One slab: phi_ = w P_ - b_, its share of the weights' gradient, and half of K (phi_ / phi).

        ``b_`` is minus the adjoint of log b, None at the last iteration.
        """
        phi, work = (s[: len(b)] for s in self.operands.slab_buffers("phi", "logs"))
        np.divide(p[:, None], b, out=phi)
        np.log(phi, out=work)
        grad_weights += np.einsum("smnt,snt->mn", work, p_)
        np.multiply(self.operands.weights, p_[:, None], out=work)
        if b_ is not None:
            np.add(work, b_, out=work)
        np.divide(work, phi, out=work)
        across(self.operands.columns, work, out)

    def _to_kb(self, from_phi: np.ndarray, kb: np.ndarray, out: np.ndarray, grad_atoms: np.ndarray) -> None:
        """c = K (phi_ / phi) / (K b), and half of K^T (atom c / (K b))."""
        operands = self.operands
        (work,) = operands.slab_buffers("slab")
        for slab in operands.slabs:
            part, c = slab.makes, down(slab, from_phi, work)
            np.divide(c, kb[part], out=c)
            grad_atoms[part] += c.sum(axis=2)
            np.multiply(c, operands.atoms[part], out=c)
            np.divide(c, kb[part], out=c)
            across(operands.columns, c, out[part])

    def _to_b(
        self, from_kb: np.ndarray, b: np.ndarray, p: np.ndarray, grad_weights: np.ndarray, out: np.ndarray
    ) -> None:
        """b_ = b K^T (atom c / (K b)), and on to phi_ of the iteration before."""
        (work,) = self.operands.slab_buffers("slab")
        for slab in self.operands.slabs:
            part, b_ = slab.makes, down(slab, from_kb, work)
            np.multiply(b_, b[part], out=b_)
            self._to_phi(b[part], p[part], b_, -b_.sum(axis=1), grad_weights, out[part])


def forward(
    atoms: np.ndarray, weights: np.ndarray, kernel: GridKernel, n_iter: int, *, log_b: np.ndarray | None = None
) -> Pass:
    """``n_iter`` iterations of `barycenter_steps` for a chunk of samples, recorded: atoms (n_atoms, n_bins).

    ``log_b`` (n_samples, n_atoms, n_bins): the logarithm of the scalings to start from, instead of b = 1.
    """
    (rows, columns), mine = kernel.grid, claim()
    slabs, narrow = kernel.bands(atoms)
    across_bands = [band._replace(block=np.ascontiguousarray(band.block.T)) for band in narrow]
    operands = Operands(split(atoms, rows)[:, :, None], weights.T.copy()[:, :, None], slabs, across_bands)
    (b,) = operands.buffers("b")
    every = checkpoint_every(n_iter, b.size)
    (kept,) = operands.buffers("kept", lead=(-(-n_iter // every),))
    p = buffer("kept_p", (n_iter, rows, weights.shape[0], columns), b.dtype)
    half, half_a = operands.buffers("half", "half_a")
    kb = operands.buffers("between_kb", lead=(every,))[0][0]
    (work,) = operands.slab_buffers("slab")
    b.fill(1.0)
    if log_b is not None:
        np.exp(log_b.reshape(*log_b.shape[:2], rows, columns).transpose(2, 1, 0, 3), out=b)
    across(operands.columns, b, half)
    for i in range(n_iter):
        if i % every == 0:
            kept[i // every] = b
        if i == n_iter - 1:
            sums = b.sum(axis=(0, 3))
        operands.scale_atoms(half, half_a, kb)
        for slab in operands.slabs:
            part = slab.makes
            _mean(down(slab, half_a, work), operands.weights, p[i][part], b[part])
            across(operands.columns, b[part], half[part])
    histogram = join(p[-1])
    right = bool(np.all(np.isfinite(histogram))) and _right(operands, sums, kb, p[-1], b)
    return Pass(histogram, right, operands, kept, b, p, every, mine)


def _mean(phi: np.ndarray, weights: np.ndarray, p: np.ndarray, b: np.ndarray) -> None:
    """Eqs (7) and (8) for a slab: fills P and b."""
    np.log(phi, out=b)
    np.multiply(b, weights, out=b)
    np.sum(b, axis=1, out=p)
    np.exp(p, out=p)
    np.divide(p[:, None], phi, out=b)


def _right(operands: Operands, sums: np.ndarray, kb: np.ndarray, p: np.ndarray, b: np.ndarray) -> bool:
    """As `scaling.is_right`, of the last iteration's products; ``sums`` are of the b before it."""
    info, n_bins = np.finfo(p.dtype), p.shape[0] * p.shape[2]
    parts = [slab.makes for slab in operands.slabs]
    a_sums = sum((operands.atoms[part] / kb[part]).sum(axis=(0, 3)) for part in parts)
    lost_b, lost_a = (underflow_shows(n_bins, s, info)[:, :, None] for s in (sums, a_sums))
    if not (np.isfinite(lost_a).all() and np.isfinite(lost_b).all()):
        return False
    for part in parts:  # a comparison with NaN is False
        phi, where = p[part][:, None] / b[part], p[part][:, None] > least_mass(p)
        for product, lost, matters in ((kb[part], lost_b, operands.atoms[part] > 0), (phi, lost_a, where)):
            if not (np.isfinite(product) & (product >= lost) | ~matters).all():
                return False
    return True
