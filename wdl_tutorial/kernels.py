"""From costs to Gibbs kernels K = exp(-cost / eps): what multiplies by K and by its transpose along the last axis.

In the ``"log"`` domain operands and results are logarithms, so that nothing underflows.

    kernel domain   apply(x) = K x              sandwich(a, b, w) = a * K (b * w)
    log domain      apply(x) = log(K exp(x))    sandwich(a, b, w) = exp(a) * K (exp(b) * w),  w of any sign

``sandwich`` is what a gradient needs: a and b may be huge and tiny where their product with K is not.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from ._array import Array, array_namespace, is_array, is_numpy, on_host, safe_log, to_backend, to_numpy
from ._checks import check_eps
from .costs import AnyCost, Cost, GridCost, LineCost, check_cost, largest_cost

BLOCK = 32  # bins per block of the line kernel: blocks of 24 to 50 time alike
BAND = 24  # rows per band of a grid's kernel: 24 to 48 time alike
LOG_BLOCK = 16  # bins per block of the log domain's fast path
CACHE_ELEMENTS = 2**16  # temporaries of the log domain on the host, so that they stay in cache
DEVICE_ELEMENTS = 2**26
SLAB_ELEMENTS = 2**22  # entries of a plan that are held at once where only its cost is asked for


class Kernel(Protocol):
    """K = exp(-cost / eps) in one of the two domains: all that an algorithm asks of it.

    In the log domain operands and results of products are logarithms, but for the ``w`` of a sandwich.
    """

    eps: float
    shape: tuple[int, int]
    domain: str  # "kernel" or "log"

    def like(self, x: Array) -> Kernel:
        """This kernel in the floating type of ``x``."""

    def apply(self, x: Array) -> Array:
        """K x along the last axis."""

    def apply_t(self, x: Array) -> Array:
        """K^T x along the last axis."""

    def sandwich(self, left: Array, right: Array, w: Array) -> Array:
        """left * K (right * w), w of any sign."""

    def sandwich_t(self, left: Array, right: Array, w: Array) -> Array:
        """left * K^T (right * w), w of any sign."""

    def log_diagonal(self) -> Array:
        """log K_ii, (n_bins,): minus what it costs to stay, over eps."""


class PanelKernel(Kernel, Protocol):
    """A kernel of the kernel domain that multiplies NumPy panels in place, bins on the first axes: see ``_fast``."""

    @property
    def blocks(self) -> tuple[int, int, int]:
        """Blocks, bins a block, and carries more of an operand."""

    def columns(self, x: np.ndarray, out: np.ndarray) -> None:
        """out = K x."""

    def columns_t(self, x: np.ndarray, out: np.ndarray) -> None:
        """out = K^T x."""


def gibbs_kernel(cost: Cost, eps: float, *, domain: str = "kernel") -> Kernel:
    """The Gibbs kernel ``exp(-cost / eps)``: what the step generators take.

    ``.apply(x)`` multiplies by K and ``.apply_t(x)`` by its transpose along the last axis of ``x``; with
    ``domain="log"`` both take and return logarithms (Schmitz et al. (2018), Algorithm 3, with the sign of C mended).

    Parameters
    ----------
    cost : array, shape (n, m), GridCost or LineCost
    eps : float
        Entropic regularisation, in the units of the cost.
    domain : {"kernel", "log"}

    Returns
    -------
    a kernel: ``.apply``, ``.apply_t``, ``.eps``, ``.domain``
    """
    eps = check_eps(eps)
    cost = check_cost(cost)
    check_range(eps, cost, cost if is_array(cost) else None)
    if not (isinstance(domain, str) and domain in ("kernel", "log")):
        raise ValueError(f"domain must be 'kernel' or 'log'; got {domain!r}.")
    log = domain == "log"
    if isinstance(cost, GridCost):
        return (GridLogKernel if log else GridKernel)([-c / eps for c in cost.axis_costs()], eps)
    if isinstance(cost, LineCost) and cost.power == 1:
        return (LineLogKernel if log else LineKernel)(cost.positions * (cost.scale / eps), eps)
    if isinstance(cost, LineCost):
        return (GridLogKernel if log else GridKernel)([-cost.dense() / eps], eps)
    line = as_line(cost)
    if line is not None:
        return (LineLogKernel if log else LineKernel)(line / eps, eps)
    return (DenseLogKernel if log else DenseKernel)(-cost / eps, eps)


def check_range(eps: float, cost: AnyCost, x: Array | None = None) -> None:
    """Refuse an eps for which potentials, or costs over eps, leave the floats of ``x`` (float64 if not given)."""
    info = np.finfo(np.float64) if x is None else array_namespace(x).finfo(x.dtype)
    top, largest = float(info.max) / 1e4, largest_cost(cost)
    if not (eps <= top and largest / top <= eps and eps >= float(info.smallest_normal)):
        kind = "float64" if x is None else x.dtype
        raise ValueError(
            f"eps={eps:g} is beyond {kind} for costs up to {largest:.3g}: potentials, or cost / eps, would be infinite. "
            "Take an eps nearer to the costs; see blur_width(eps, cost)."
        )


def as_line(cost: Array) -> np.ndarray | None:
    """The sorted positions t whose distances |t_i - t_j| a NumPy matrix holds, to rounding; None where there are none.

    Such a matrix gets the linear-time kernel, though its user did not ask for a :class:`LineCost`.
    """
    if not is_numpy(cost) or cost.shape[0] != cost.shape[1] or cost.shape[0] < 2 * BLOCK or cost.dtype != np.float64:
        return None
    t = cost[0]
    if t[0] != 0 or np.any(np.diff(t) <= 0):
        return None
    gap = np.abs(t[:, None] - t[None, :])
    return t if np.abs(gap - cost).max() <= 4 * np.finfo(float).eps * t[-1] else None


class _Kernel:
    """What all kernels share: their eps, domain and shape, and the panel (rows, n_bins) that one product works on."""

    domain = "kernel"

    def __init__(self, eps: float, shape: tuple[int, int]):
        self.eps, self.shape = eps, shape

    def log_diagonal(self) -> Array | float:
        """log K_ii, shape (n_bins,): minus what it costs to stay, over eps. 0 for grids and lines."""
        return 0.0

    def _panel(self, product: Callable[[Array], Array], x: Array, n_in: int) -> Array:
        """``product`` on the leading axes of ``x`` flattened to one: batched work is one matrix product."""
        if x.shape[-1] != n_in:
            raise ValueError(f"the cost has {n_in} bins on this side but the array has {x.shape[-1]} on its last axis.")
        if x.ndim == 2:
            return product(x)
        xp = array_namespace(x)
        y = product(xp.reshape(x, (-1, n_in)))
        return xp.reshape(y, tuple(x.shape[:-1]) + (y.shape[-1],))


class _KernelDomain(_Kernel, ABC):
    @abstractmethod
    def _times(self, x: Array) -> Array:
        """K x for x (rows, m)."""

    @abstractmethod
    def _times_t(self, x: Array) -> Array:
        """K^T x for x (rows, n)."""

    def apply(self, x: Array) -> Array:
        """K x along the last axis."""
        return self._panel(self._times, x, self.shape[1])

    def apply_t(self, x: Array) -> Array:
        """K^T x along the last axis."""
        return self._panel(self._times_t, x, self.shape[0])

    def sandwich(self, left: Array, right: Array, w: Array) -> Array:
        """left * K (right * w)."""
        return left * self.apply(right * w)

    def sandwich_t(self, left: Array, right: Array, w: Array) -> Array:
        """left * K^T (right * w)."""
        return left * self.apply_t(right * w)


class DenseKernel(_KernelDomain):
    """exp(-cost/eps) as a matrix."""

    def __init__(self, exponent: Array, eps: float):
        super().__init__(eps, tuple(exponent.shape))
        self.matrix = array_namespace(exponent).exp(exponent)

    def like(self, x: Array) -> DenseKernel:
        """This kernel in the floating type of ``x``, which must share its backend: a matrix is never moved silently."""
        xp = array_namespace(self.matrix, x)
        if self.matrix.dtype == x.dtype:
            return self
        twin = object.__new__(DenseKernel)
        twin.eps, twin.shape, twin.matrix = self.eps, self.shape, xp.astype(self.matrix, x.dtype)
        return twin

    def log_diagonal(self) -> Array:
        xp = array_namespace(self.matrix)
        return safe_log(xp.linalg.diagonal(self.matrix))

    def _times(self, x: Array) -> Array:
        array_namespace(self.matrix, x)  # torch would multiply a NumPy matrix in silence
        return x @ self.matrix.T

    def _times_t(self, x: Array) -> Array:
        array_namespace(self.matrix, x)
        return x @ self.matrix

    @property
    def blocks(self) -> tuple[int, int, int]:
        return (1, self.shape[0], 0)

    def columns(self, x: np.ndarray, out: np.ndarray) -> None:
        """NumPy fast path: out = K x for bins on the FIRST axes; see :attr:`LineKernel.blocks`."""
        np.matmul(self.matrix, x[0], out=out[0])

    def columns_t(self, x: np.ndarray, out: np.ndarray) -> None:
        np.matmul(self.matrix.T, x[0], out=out[0])


class _Described:
    """Kernels of a GridCost or LineCost hold small host arrays and take on the backend of what they are applied to."""

    _arrays: list[Array]

    def like(self, x: Array) -> Self:
        """This kernel in the backend, device and floating type of ``x``."""
        held = self._arrays
        if held and type(x) is np.ndarray is type(held[0]) and x.dtype == held[0].dtype:
            return self  # the common case, met at every product
        if all(type(a) is type(x) and a.dtype == x.dtype and not _elsewhere(a, x) for a in self._arrays):
            return self
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._arrays = [to_backend(to_numpy(a), x) for a in self._arrays]
        return twin


def _elsewhere(a: Array, x: Array) -> bool:
    return not is_numpy(a) and str(getattr(a, "device", "")) != str(getattr(x, "device", ""))


class Band(NamedTuple):
    """A few rows of a kernel, without the columns in which all of them are exactly 0."""

    makes: slice  # the rows
    reads: slice  # the columns
    block: np.ndarray  # (rows, columns)


def bands(k: np.ndarray, length: int) -> list[Band]:
    """A matrix in bands of about ``length`` rows, a multiple of eight where that is possible."""
    n = k.shape[0]
    n_bands = max(1, round(n / length))
    inside = {8 * round(n * i / n_bands / 8) for i in range(1, n_bands)} - {0, n}
    found = []
    for makes in (slice(a, b) for a, b in itertools.pairwise(sorted({0, n} | inside))):
        held = np.flatnonzero(np.any(k[makes] != 0, axis=0))
        reads = slice(int(held[0]), int(held[-1]) + 1)
        found.append(Band(makes, reads, np.ascontiguousarray(k[makes, reads])))
    return found


class GridKernel(_Described, _KernelDomain):
    """A product of one kernel per axis, for a regular grid flattened in C order."""

    def __init__(self, exponents: list[np.ndarray], eps: float):
        self.grid = tuple(e.shape[0] for e in exponents)
        super().__init__(eps, (math.prod(self.grid),) * 2)
        self._arrays = [np.exp(e) for e in exponents]

    def _times(self, x: Array) -> Array:
        xp = array_namespace(x)
        rows, before, after = x.shape[0], 1, self.shape[0]
        for n, k in zip(self.grid, self.like(x)._arrays):
            after //= n
            if after == 1:
                x = xp.reshape(x, (rows * before, n)) @ k.T
            else:
                x = xp.matmul(k, xp.reshape(x, (rows * before, n, after)))
            before *= n
        return xp.reshape(x, (rows, self.shape[0]))

    _times_t = _times  # the cost of a regular grid is symmetric

    @property
    def blocks(self) -> tuple[int, int, int]:
        return (1, self.shape[0], 0)

    def columns(self, x: np.ndarray, out: np.ndarray) -> None:
        """NumPy fast path: out = K x for bins on the FIRST axes; see :attr:`LineKernel.blocks`."""
        x, out = x[0], out[0]
        factors = self.like(x)._arrays
        if len(factors) == 1:
            np.matmul(factors[0], x, out=out)
            return
        rows, before, after = x.shape[1], 1, self.shape[0]
        for n, k in zip(self.grid, factors):
            after //= n
            shape = (before, n, after * rows)
            x = np.matmul(k, x.reshape(shape), out=out.reshape(shape) if after == 1 else None)
            before *= n

    columns_t = columns

    def bands(self, x: np.ndarray) -> list[list[Band]]:
        """Each axis' kernel in bands, in the floating type of ``x``."""
        return [bands(k, BAND) for k in self.like(x)._arrays]


class LineKernel(_Described, _KernelDomain):
    """exp(-|t_i - t_j|) for increasing t, in linear time and exactly: blocks of bins, decaying carries between them.

    Within a block a small dense product; what lies left of a block reaches it through one number per row, the carry,
    that has decayed to the block's first bin; likewise from the right.
    """

    def __init__(self, t: np.ndarray, eps: float):
        n = t.size
        super().__init__(eps, (n, n))
        n_blocks = -(-n // BLOCK)
        size = -(-n // n_blocks)
        # pad to whole blocks with bins so far away that they exchange nothing, with the others or among themselves
        t = np.concatenate([t, t[-1] + 1e5 * np.arange(1, n_blocks * size - n + 1)]).reshape(n_blocks, size)
        first, last = t[:, :1], t[:, -1:]
        within = np.exp(-np.abs(t[:, :, None] - t[:, None, :]))
        from_left, from_right = np.exp(-(t - first)), np.exp(-(last - t))
        to_right = np.exp(-(np.concatenate([first[1:], last[-1:]]) - t))  # decayed to the next block's first bin
        to_left = np.exp(-(t - np.concatenate([first[:1], last[:-1]])))  # decayed to the previous block's last bin
        # (blocks, size, size + 2): from the block's own bins and its two carries to its bins
        spread = np.concatenate([within, from_left[:, :, None], from_right[:, :, None]], axis=2)
        gather = np.stack([to_right, to_left], axis=1)  # (blocks, 2, size)
        self._decay_right = np.exp(-np.diff(first[:, 0])).tolist()  # carry from block b to b+1
        self._decay_left = np.exp(-np.diff(last[:, 0])).tolist()
        self._arrays = [spread, gather, self._carry_matrix(first[:, 0], last[:, 0])]
        self._pad = n_blocks * size - n

    @staticmethod
    def _carry_matrix(first: np.ndarray, last: np.ndarray) -> np.ndarray:
        """(2 blocks, 2 blocks): the carries (from left, from right) of all blocks from what all blocks gathered."""
        n = len(first)
        m = np.zeros((n, 2, n, 2))
        for b in range(n):
            m[b, 0, :b, 0] = np.exp(-(first[b] - first[1 : b + 1]))
            m[b, 1, b + 1 :, 1] = np.exp(-(last[b:-1] - last[b]))
        return m.reshape(2 * n, 2 * n)

    def _times(self, x: Array) -> Array:
        xp = array_namespace(x)
        spread, gather, _ = self.like(x)._arrays
        n_blocks, size, _ = spread.shape
        z = xp.permute_dims(x, (1, 0))  # bins first: blocks are then contiguous
        if self._pad:
            z = xp.concat([z, xp.zeros_like(z[: self._pad, :])], axis=0)
        z = xp.reshape(z, (n_blocks, size, x.shape[0]))
        sums = xp.matmul(gather, z)  # (blocks, 2, rows)
        left, right = [xp.zeros_like(sums[0, 0, :])], [xp.zeros_like(sums[0, 0, :])]
        for b in range(n_blocks - 1):
            left.append(left[-1] * self._decay_right[b] + sums[b, 0, :])
        for b in range(n_blocks - 1, 0, -1):
            right.append(right[-1] * self._decay_left[b - 1] + sums[b, 1, :])
        carries = xp.stack([xp.stack(left), xp.stack(right[::-1])], axis=1)  # (blocks, 2, rows)
        y = xp.matmul(spread, xp.concat([z, carries], axis=1))
        return xp.permute_dims(xp.reshape(y, (n_blocks * size, x.shape[0])), (1, 0))[:, : self.shape[0]]

    _times_t = _times

    @property
    def blocks(self) -> tuple[int, int, int]:
        """Layout of the NumPy fast path: operands are (blocks, bins per block + carries, rows), results without carries.

        The last block is filled up with bins that exchange nothing with the others.
        """
        return (*self._arrays[0].shape[:2], 2)

    def columns(self, x: np.ndarray, out: np.ndarray) -> None:
        """out = K x; the carries of ``x`` are filled in. One small product stands in for the two running sums."""
        spread, gather, carry = self.like(x)._arrays
        n_blocks, size, _ = spread.shape
        sums = np.matmul(gather, x[:, :size])
        x[:, size:] = np.matmul(carry, sums.reshape(2 * n_blocks, -1)).reshape(sums.shape)
        np.matmul(spread, x, out=out)

    columns_t = columns


# The log domain. One primitive: the sum of w exp(x) under K as (value, shift), meaning value * exp(shift); w has any
# sign, and the shift is the largest exponent met, so that nothing overflows and no signed logarithm is needed.


FEW_ROWS = 4  # in the log domain: fewer are multiplied one by one, more in blocks


def _chunk_rows(x: Array, per_row: int) -> int:
    return max(1, (CACHE_ELEMENTS if on_host(x) else DEVICE_ELEMENTS) // max(per_row, 1))


def _push(exponent: Array, x: Array, w: Array | None) -> tuple[Array, Array]:
    """Sum over j of w_j exp(exponent_ij + x_j) as (value_i, shift_i), for rows ``x`` (rows, m), exponent (n, m)."""
    if is_numpy(x) and x.dtype == np.float64 and is_numpy(exponent):
        if x.shape[0] < FEW_ROWS:
            return _push_rows(exponent, x, w)
        if min(exponent.shape) >= 2 * LOG_BLOCK:
            return _push_blocks(exponent, x, w)
    return _push_plain(exponent, x, w)


def _push_rows(exponent: np.ndarray, x: np.ndarray, w: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The NumPy fast path of :func:`_push_plain` for a few rows: one matrix, written over in place."""
    value, shift = np.empty((2, x.shape[0], exponent.shape[0]))
    z = np.empty(exponent.shape)
    for i in range(x.shape[0]):
        np.add(exponent, x[i], out=z)
        top = z.max(axis=1)
        top[~np.isfinite(top)] = 0.0
        np.subtract(z, top[:, None], out=z)
        np.exp(z, out=z)
        value[i], shift[i] = z.sum(axis=1) if w is None else z @ w[i], top
    return value, shift


def _push_blocks(exponent: np.ndarray, x: np.ndarray, w: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The NumPy fast path of :func:`_push_plain`: products of small blocks in the kernel domain, each with its own shifts.

    Within a few bins neither factor leaves the floats, as a rule; a row where the sum has become too small to be sure is
    computed again the plain way.
    """
    edges = range(0, x.shape[1], LOG_BLOCK)
    x_top = np.maximum.reduceat(x, edges, axis=1)  # (rows, blocks)
    x_top[~np.isfinite(x_top)] = 0.0
    k_top = np.maximum.reduceat(exponent, edges, axis=1)  # (n, blocks)
    top = np.full((x.shape[0], exponent.shape[0]), -np.inf)
    for b in range(len(edges)):
        np.maximum(top, x_top[:, b, None] + k_top[:, b], out=top)
    value = np.zeros_like(top)
    for b, start in enumerate(edges):
        bins = slice(start, start + LOG_BLOCK)
        e = np.exp(x[:, bins] - x_top[:, b, None])
        product = (e if w is None else e * w[:, bins]) @ np.exp(exponent[:, bins] - k_top[:, b, None]).T
        value += product * np.exp(x_top[:, b, None] + k_top[:, b] - top)
    with np.errstate(divide="ignore"):
        shift = top + np.log(np.abs(value))
    value = np.sign(value)
    unsure = ~(shift - top > -650.0).all(axis=1)  # 1e-282: 20 digits above what underflow can have lost
    if unsure.any():
        value[unsure], shift[unsure] = _push_plain(exponent, x[unsure], None if w is None else w[unsure])
    return value, shift


def _push_plain(exponent: Array, x: Array, w: Array | None) -> tuple[Array, Array]:
    xp = array_namespace(exponent, x)
    step = _chunk_rows(x, exponent.shape[0] * exponent.shape[1])
    values, shifts = [], []
    for start in range(0, x.shape[0], step):
        stop = min(start + step, x.shape[0])
        z = exponent[None, :, :] + x[start:stop, None, :]
        top = xp.max(z, axis=-1)
        top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))  # a row of -inf: an empty histogram stays empty
        e = xp.exp(z - top[..., None])
        values.append(xp.sum(e if w is None else e * w[start:stop, None, :], axis=-1))
        shifts.append(top)
    return xp.concat(values, axis=0), xp.concat(shifts, axis=0)


Push = Callable[[Array, Array | None], tuple[Array, Array]]


class _LogDomain(_Kernel, ABC):
    domain = "log"

    @abstractmethod
    def _push(self, x: Array, w: Array | None) -> tuple[Array, Array]:
        """The sum of w exp(x) under K as (value, shift), for x (rows, m)."""

    @abstractmethod
    def _push_t(self, x: Array, w: Array | None) -> tuple[Array, Array]:
        """The same under K^T, for x (rows, n)."""

    def apply(self, x: Array) -> Array:
        """log(K exp(x)) along the last axis."""
        return self._panel(lambda z: _to_log(*self._push(z, None)), x, self.shape[1])

    def apply_t(self, x: Array) -> Array:
        """log(K^T exp(x)) along the last axis."""
        return self._panel(lambda z: _to_log(*self._push_t(z, None)), x, self.shape[0])

    def sandwich(self, left: Array, right: Array, w: Array) -> Array:
        """exp(left) * K (exp(right) * w), w of any sign."""
        return self._sandwich(self._push, left, right, w)

    def sandwich_t(self, left: Array, right: Array, w: Array) -> Array:
        """exp(left) * K^T (exp(right) * w), w of any sign."""
        return self._sandwich(self._push_t, left, right, w)

    def _sandwich(self, push: Push, left: Array, right: Array, w: Array) -> Array:
        xp = array_namespace(left, right, w)
        n = right.shape[-1]
        value, shift = push(*_folded(xp.reshape(right, (-1, n)), xp.reshape(w, (-1, n))))
        value, shift = (xp.reshape(x, (*right.shape[:-1], value.shape[-1])) for x in (value, shift))
        exponent = left + shift  # of an empty sum no number: exp(left) alone may be beyond the floats
        return xp.exp(xp.where(value == 0, xp.zeros_like(exponent), exponent)) * value


def _folded(x: Array, w: Array) -> tuple[Array, Array]:
    """w exp(x) as sign exp(x + log|w|): where w is 0 or tiny, its exponent must not hide the terms that count."""
    xp = array_namespace(x, w)
    return x + safe_log(xp.abs(w)), xp.sign(w)


def _to_log(value: Array, shift: Array) -> Array:
    return safe_log(value) + shift


class DenseLogKernel(_LogDomain):
    """The exponent -cost/eps as a matrix."""

    def __init__(self, exponent: Array, eps: float):
        super().__init__(eps, tuple(exponent.shape))
        self.matrix = exponent

    def like(self, x: Array) -> DenseLogKernel:
        xp = array_namespace(self.matrix, x)
        return self if self.matrix.dtype == x.dtype else DenseLogKernel(xp.astype(self.matrix, x.dtype), self.eps)

    def log_diagonal(self) -> Array:
        return array_namespace(self.matrix).linalg.diagonal(self.matrix)

    def _push(self, x: Array, w: Array | None) -> tuple[Array, Array]:
        return _push(self.matrix, x, w)

    def _push_t(self, x: Array, w: Array | None) -> tuple[Array, Array]:
        return _push(self.matrix.T, x, w)


class GridLogKernel(_Described, _LogDomain):
    """Algorithm 3 on any number of axes: one log-sum-exp per axis, whose (value, shift) is the input of the next."""

    def __init__(self, exponents: list[np.ndarray], eps: float):
        self.grid = tuple(e.shape[0] for e in exponents)
        super().__init__(eps, (math.prod(self.grid),) * 2)
        self._arrays = list(exponents)

    def _push(self, x: Array, w: Array | None) -> tuple[Array, Array]:
        xp = array_namespace(x)
        rows = x.shape[0]
        shape = (rows,) + self.grid
        x = xp.reshape(x, shape)
        w = None if w is None else xp.reshape(w, shape)
        for axis, exponent in enumerate(self.like(x)._arrays, start=1):
            x = xp.moveaxis(x, axis, -1)
            moved, n = tuple(x.shape[:-1]), x.shape[-1]
            flat = None if w is None else xp.reshape(xp.moveaxis(w, axis, -1), (-1, n))
            value, shift = _push(exponent, xp.reshape(x, (-1, n)), flat)
            shift, value = _folded(shift, value)
            w = xp.moveaxis(xp.reshape(value, moved + (n,)), -1, axis)
            x = xp.moveaxis(xp.reshape(shift, moved + (n,)), -1, axis)
        return xp.reshape(w, (rows, -1)), xp.reshape(x, (rows, -1))

    _push_t = _push


class LineLogKernel(_Described, _LogDomain):
    """exp(-|t_i - t_j|) in the log domain: a running (value, shift) from the left, one from the right; linear time."""

    def __init__(self, t: np.ndarray, eps: float):
        super().__init__(eps, (t.size, t.size))
        self._arrays = []
        self._gaps = np.diff(t).tolist()

    def _push(self, x: Array, w: Array | None) -> tuple[Array, Array]:
        xp = array_namespace(x)
        n = self.shape[0]
        xs = [x[:, i] for i in range(n)]
        ws = [xp.ones_like(x[:, 0])] * n if w is None else [w[:, i] for i in range(n)]
        left = _decaying_sums(xp, xs, ws, self._gaps)
        right = _decaying_sums(xp, xs[::-1], ws[::-1], self._gaps[::-1])[::-1]
        values, shifts = [], []
        for i in range(n):  # the bin itself is in both sums: take the right one from the next bin on
            value, shift = left[i]
            if i + 1 < n:
                value, shift = _add(xp, value, shift, right[i + 1][0], right[i + 1][1] - self._gaps[i])
            values.append(value)
            shifts.append(shift)
        return xp.stack(values, axis=1), xp.stack(shifts, axis=1)

    _push_t = _push


def _decaying_sums(xp: Any, xs: list[Array], ws: list[Array], gaps: list[float]) -> list[tuple[Array, Array]]:
    """Running sums of w exp(x) that decay by exp(-gap) from bin to bin, as (value, shift)."""
    empty = [xp.where(x > -float("inf"), x, xp.zeros_like(x)) for x in xs]
    terms = [(xp.where(x > -float("inf"), w, xp.zeros_like(w)), e) for x, w, e in zip(xs, ws, empty)]
    sums = [terms[0]]
    for (w, x), gap in zip(terms[1:], gaps):
        sums.append(_add(xp, w, x, sums[-1][0], sums[-1][1] - gap))
    return sums


def _add(xp: Any, v1: Array, s1: Array, v2: Array, s2: Array) -> tuple[Array, Array]:
    """v1 exp(s1) + v2 exp(s2) as (value, shift); the shift of a zero value does not count."""
    low = -float("inf")
    a, b = xp.where(v1 == 0, xp.full_like(s1, low), s1), xp.where(v2 == 0, xp.full_like(s2, low), s2)
    top = xp.maximum(a, b)
    top = xp.where(top > low, top, xp.zeros_like(top))
    return v1 * xp.exp(a - top) + v2 * xp.exp(b - top), top


def moved_cost(cost: AnyCost, eps: float, f: Array, g: Array) -> Array:
    """<T, C> of T = exp((f + g - C) / eps), shape (...), without T: for f (..., n) and g (..., m).

    A grid's cost is a sum over its axes: K * C is a sum of products, of one axis' kernel times its cost and the others'
    kernels. On a line with power 1 it takes linear time. Other costs are gone through in slabs of rows.
    """
    xp = array_namespace(f, g)
    if isinstance(cost, GridCost):
        costs = cost.axis_costs()
        plain, total = [-c / eps for c in costs], xp.zeros_like(f[..., 0])
        for k, c in enumerate(costs):
            with np.errstate(divide="ignore"):
                priced = [*plain[:k], plain[k] + np.log(c), *plain[k + 1 :]]
            if c.shape[0] > 1:  # along one bin nothing moves
                moved = xp.exp(f / eps + GridLogKernel(priced, eps).like(f).apply(g / eps))
                total = total + xp.sum(moved, axis=-1)
        return total
    if isinstance(cost, LineCost) and cost.power == 1:
        gaps = np.diff(cost.positions * (cost.scale / eps)).tolist()
        rows = xp.reshape(g / eps, (-1, g.shape[-1]))
        there = _line_distances(xp, rows, gaps)
        return eps * xp.sum(xp.exp(f / eps + xp.reshape(there, tuple(g.shape))), axis=-1)
    dense = to_backend(cost.dense(), f) if isinstance(cost, LineCost) else cost
    step = max(1, SLAB_ELEMENTS // max(1, math.prod(g.shape)))
    total = 0.0
    for start in range(0, dense.shape[0], step):
        rows = slice(start, min(start + step, dense.shape[0]))
        some = dense[rows, :]
        plan = xp.exp((f[..., rows, None] + g[..., None, :] - some) / eps)
        total = total + xp.sum(plan * some, axis=(-2, -1))
    return total


def _line_distances(xp: Any, x: Array, gaps: list[float]) -> Array:
    """log sum_j |t_i - t_j| exp(x_j - |t_i - t_j|) for rows x (rows, n), in linear time: two running sums a side."""
    n = x.shape[1]
    zero = xp.zeros_like(x[:, 0])
    xs = [x[:, i] for i in range(n)]

    def side(xs: list[Array], gaps: list[float]) -> list[tuple[Array, Array]]:
        found, mass, far = [(zero, zero)], (zero, zero), (zero, zero)
        for x, gap in zip(xs, gaps):
            value, shift = _add(xp, *_term(xp, x), *mass)
            mass = value, shift - gap  # what lies left of the next bin, decayed to it
            far = _add(xp, far[0], far[1] - gap, gap * mass[0], mass[1])  # and its distance to it
            found.append(far)
        return found

    left, right = side(xs, gaps), side(xs[::-1], gaps[::-1])[::-1]
    return xp.stack([_to_log(*_add(xp, *a, *b)) for a, b in zip(left, right)], axis=1)


def _term(xp: Any, x: Array) -> tuple[Array, Array]:
    """exp(x) as (value, shift), of -inf too."""
    there = x > -float("inf")
    return xp.where(there, xp.ones_like(x), xp.zeros_like(x)), xp.where(there, x, xp.zeros_like(x))


def check_domain(kernel: Kernel, domain: str) -> None:
    """Refuse a kernel of the other domain, whose products are of another kind: the steps would go on with nonsense."""
    if kernel.domain != domain:
        raise ValueError(
            f"these steps are of the {domain} domain, the kernel of the {kernel.domain} domain. Give them "
            f"gibbs_kernel(cost, eps, domain={domain!r}), or take the steps of the other domain (*_log_steps is log)."
        )


def kernel_for(cost: AnyCost, eps: float, domain: str, *arrays: Array) -> Kernel:
    """The Gibbs kernel in the backend and floating type of ``arrays``; a dense cost must share their backend."""
    if is_array(cost):  # in the wider type before it is divided: eps may leave no digit of a float32 cost / eps
        xp = array_namespace(cost, *arrays)
        cost = xp.astype(cost, xp.result_type(cost.dtype, arrays[0].dtype), copy=False)
    else:
        check_range(check_eps(eps), cost, arrays[0])
    return gibbs_kernel(cost, eps, domain=domain).like(arrays[0])
