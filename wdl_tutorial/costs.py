"""From positions to costs.

A cost is a matrix, or a description that never builds one: :class:`GridCost` (separable, any dimension) and
:class:`LineCost` (linear time for power 1). What multiplies by exp(-cost / eps) is in :mod:`wdl_tutorial.kernels`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._array import Array, array_namespace, as_float, to_numpy
from ._checks import check_eps, is_number


def _check_power(power: float) -> float:
    if not (is_number(power) and power > 0):
        raise ValueError(f"power must be a positive number; got {power!r}. Use 1 or 2.")
    return power.item() if isinstance(power, np.generic) else power  # what JSON can hold


def cost_matrix(x: Array, y: Array | None = None, *, power: float = 2) -> Array:
    """Dense cost |x_i - y_j|**power between positions.

    Parameters
    ----------
    x : array, shape (n,) or (n, d)   Positions on your axis, or points (Euclidean distance).
    y : array, shape (m,) or (m, d), optional   ``x`` itself if not given.
    power : exponent of the distance.

    Returns
    -------
    array, shape (n, m)

    Examples
    --------
    >>> cost_matrix([0, 1, 3], power=1)
    array([[0., 1., 3.],
           [1., 0., 2.],
           [3., 2., 0.]])
    """
    _check_power(power)
    x = as_float(x, like=y)
    y = x if y is None else as_float(y, like=x)
    xp = array_namespace(x, y)
    if x.ndim not in (1, 2) or y.ndim != x.ndim or (x.ndim == 2 and x.shape[1] != y.shape[1]):
        raise ValueError(f"positions must be (n,) or (n, d), one d; got shapes {tuple(x.shape)} and {tuple(y.shape)}.")
    if not bool(xp.all(xp.isfinite(x))) or not bool(xp.all(xp.isfinite(y))):
        raise ValueError("positions hold NaN or infinite entries; drop or mend those bins first.")
    if x.ndim == 1:
        gap = x[:, None] - y[None, :]
        return xp.abs(gap) if power == 1 else gap * gap if power == 2 else xp.abs(gap) ** power
    squared = xp.sum((x[:, None, :] - y[None, :, :]) ** 2, axis=-1)
    return squared if power == 2 else squared ** (power / 2)


class GridCost:
    """Cost on a regular grid, sum over axes of (spacing |i - j|)**power, for histograms flattened in C order.

    The kernel is a product of one small kernel per axis: an (n, n) image costs 2 n^3 operations instead of n^4.

    Parameters
    ----------
    shape : the shape of the grid; an int for one axis.
    power : exponent of the distance along each axis.
    spacing : distance between neighbours, one number or one per axis.

    Examples
    --------
    >>> GridCost((2, 3)).shape
    (6, 6)
    """

    def __init__(self, shape: int | tuple[int, ...], *, power: float = 2, spacing: float | tuple[float, ...] = 1.0):
        grid = tuple(shape) if np.iterable(shape) else (shape,)
        if not grid or any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1 for n in grid):
            raise ValueError(f"shape must be positive integers; got {shape!r}.")
        self.grid = tuple(int(n) for n in grid)
        self.power = _check_power(power)
        steps = tuple(spacing) if np.iterable(spacing) else (spacing,) * len(grid)
        if len(steps) != len(grid):
            raise ValueError(f"spacing must be one number, or one per axis ({len(grid)}); got {len(steps)} of them.")
        if not all(is_number(s) and s > 0 for s in steps):
            raise ValueError(f"spacing must be positive; got {spacing!r}.")
        self.spacing = tuple(float(s) for s in steps)

    @property
    def shape(self) -> tuple[int, int]:
        n = math.prod(self.grid)
        return (n, n)

    def axis_costs(self) -> list[np.ndarray]:
        """One (n_k, n_k) cost per axis."""
        return [cost_matrix(s * np.arange(n), power=self.power) for n, s in zip(self.grid, self.spacing)]

    def dense(self) -> np.ndarray:
        """The (n, n) matrix this stands for. For tests and small grids."""
        total = np.zeros((1, 1))
        for c in self.axis_costs():
            n, k = total.shape[0], c.shape[0]
            total = (total[:, None, :, None] + c[None, :, None, :]).reshape(n * k, n * k)
        return total

    def __repr__(self) -> str:
        return f"GridCost({self.grid}, power={self.power}, spacing={self.spacing})"


class LineCost:
    """Cost scale * |x_i - x_j|**power between sorted positions on a line.

    For power 1 the kernel exp(-scale |x_i - x_j| / eps) is semiseparable: each side of the diagonal is a running sum
    that decays from bin to bin, so that K x takes time linear in the number of bins, and is exact.

    Parameters
    ----------
    positions : array, shape (n,), increasing   For instance wavelengths in nm.
    power : exponent of the distance.
    scale : multiplies the cost; WaHU's Salinas setting is 10 / (range of the wavelengths).
    """

    def __init__(self, positions: Any, *, power: float = 1, scale: float = 1.0):
        x = to_numpy(as_float(positions)).astype(np.float64, copy=True)
        if x.ndim != 1 or x.size < 1:
            raise ValueError(f"positions must be a vector; got shape {x.shape}.")
        if not np.all(np.isfinite(x)):
            raise ValueError("positions hold NaN or infinite entries; drop those bins first.")
        if np.any(np.diff(x) <= 0):
            at = int(np.argmax(np.diff(x) <= 0))
            raise ValueError(
                f"positions must increase; positions {at} and {at + 1} are {x[at]:g} and {x[at + 1]:g}. "
                + ("Merge or drop one of two bins at one place." if x[at] == x[at + 1] else "Sort the bins first.")
            )
        if not (is_number(scale) and scale > 0):
            raise ValueError(f"scale must be a positive number; got {scale!r}.")
        x.flags.writeable = False
        self.positions, self.power, self.scale = x, _check_power(power), float(scale)

    @property
    def shape(self) -> tuple[int, int]:
        return (self.positions.size, self.positions.size)

    def dense(self) -> np.ndarray:
        """The (n, n) matrix this stands for."""
        return self.scale * cost_matrix(self.positions, power=self.power)

    def __repr__(self) -> str:
        return f"LineCost({self.positions.size} positions, power={self.power}, scale={self.scale:g})"


def blur_width(eps: float, cost: Any) -> float:
    """Width of the Gibbs kernel exp(-cost/eps), in the units of the axis: what eps blurs.

    For power 2 the standard deviation sqrt(eps / 2) of the Gaussian (Schmitz et al. (2018), below eq. (4)); for power 1
    the decay length eps; in general (eps / power)**(1 / power), all divided by the scale of the cost.

    Parameters
    ----------
    cost : a GridCost or LineCost; or a dense cost on a uniform line, for which the unit is one bin.

    Examples
    --------
    >>> blur_width(2.0, GridCost(100))
    1.0
    """
    scale, power = _scale_and_power(cost)
    return (check_eps(eps) / (power * scale)) ** (1 / power)


def eps_for_blur(width: float, cost: Any) -> float:
    """The eps whose kernel has this :func:`blur_width`.

    Examples
    --------
    >>> eps_for_blur(1.0, GridCost(100))
    2.0
    """
    if not (is_number(width) and width > 0):
        raise ValueError(f"width must be positive; got {width!r}. It is in the units of the axis.")
    scale, power = _scale_and_power(cost)
    return float(power * scale * width**power)


def _scale_and_power(cost: Any) -> tuple[float, float]:
    """(scale, power) of a cost scale * |x - y|**power in the units of its axis."""
    if isinstance(cost, GridCost):
        return 1.0, cost.power  # spacing is already in the units of the axis
    if isinstance(cost, LineCost):
        return cost.scale, cost.power
    c = to_numpy(as_float(cost))
    if c.ndim == 2 and c.shape[0] == c.shape[1] >= 3 and c[0, 1] > 0:
        power = math.log2(c[0, 2] / c[0, 1])
        power = round(power) if abs(power - round(power)) < 1e-9 else power
        if power > 0:
            line = c[0, 1] * cost_matrix(np.arange(c.shape[0]), power=power)
            if np.allclose(c, line, rtol=1e-9, atol=1e-12):
                return float(c[0, 1]), power
    raise TypeError("blur_width of a dense cost needs a uniform line; describe the axis with LineCost or GridCost.")


def check_cost(cost: Any, *, square: bool = False) -> Any:
    """A cost that can be used: a GridCost, a LineCost, or a finite matrix of floats."""
    if isinstance(cost, GridCost | LineCost):
        return cost
    cost = as_float(cost)
    xp = array_namespace(cost)
    if cost.ndim != 2:
        raise ValueError(f"cost must be a matrix, a GridCost or a LineCost; got an array of shape {tuple(cost.shape)}.")
    if square and cost.shape[0] != cost.shape[1]:
        raise ValueError(f"cost must be square, the same bins on both sides; got shape {tuple(cost.shape)}.")
    if not bool(xp.all(xp.isfinite(cost))):
        raise ValueError("cost holds NaN or infinite entries; a forbidden move is a large finite cost.")
    return cost


def is_symmetric(cost: Any) -> bool:
    """True where |x - y| costs what |y - x| does, to rounding, as every GridCost and LineCost."""
    if isinstance(cost, GridCost | LineCost):
        return True
    if cost.shape[0] != cost.shape[1]:
        return False
    xp = array_namespace(cost)
    rounding = 16 * float(xp.finfo(cost.dtype).eps)
    return bool(xp.all(xp.abs(cost - cost.T) <= rounding * xp.max(xp.abs(cost))))


_OLD_NAMES = (  # where version 0.1 kept them
    "gibbs_kernel as_line kernel_for check_domain bands Band DenseKernel GridKernel LineKernel DenseLogKernel GridLogKernel "
    "LineLogKernel safe_log BLOCK BAND LOG_BLOCK CACHE_ELEMENTS DEVICE_ELEMENTS"
).split()


def __getattr__(name: str):
    if name in _OLD_NAMES:
        from . import kernels

        return getattr(kernels, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
