"""From positions to costs.

A cost is a matrix, or a description that never builds one: :class:`GridCost` (separable, any dimension) and
:class:`LineCost` (linear time for power 1). What multiplies by exp(-cost / eps) is in :mod:`wdl_tutorial.kernels`.
"""

from __future__ import annotations

import math
from typing import Any, Protocol, TypeAlias

import numpy as np

from ._array import Array, array_namespace, as_float, number, one_type, to_numpy
from ._checks import check_eps, check_increasing, is_integer, is_number, same_backend, shown

LARGEST_MATRIX = 2**31  # entries of a cost that may be built: 16 GiB
BLOCK_ELEMENTS = 2**20  # differences of coordinates that are held at once


class Cost(Protocol):
    """What is moved from where to where at which price: a matrix of any backend, a GridCost or a LineCost."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, m): bins here, bins there."""


def _check_power(power: float) -> float:
    if not (is_number(power) and power > 0):
        raise ValueError(f"power must be a positive number; got {shown(power)}. Use 1 or 2.")
    return power.item() if isinstance(power, np.generic) else power  # what JSON can hold


def cost_matrix(x: Array, y: Array | None = None, *, power: float = 2) -> Array:
    """Dense cost ``|x_i - y_j|**power`` between positions.

    Parameters
    ----------
    x : array, shape (n,) or (n, d)
        Positions on your axis, or points (Euclidean distance).
    y : array, shape (m,) or (m, d), optional
        ``x`` itself if not given.
    power : float
        Exponent of the distance.

    Returns
    -------
    array, shape (n, m)
        Its gradient where two points meet is 0, as is that of a distance (torch).

    Raises
    ------
    ValueError
        If positions are not finite or do not fit each other, or a distance to its power is beyond the floats.
    MemoryError
        If the matrix would be too large; :class:`LineCost` and :class:`GridCost` never build it.

    Examples
    --------
    >>> cost_matrix([0, 1, 3], power=1)
    array([[0., 1., 3.],
           [1., 0., 2.],
           [3., 2., 0.]])
    """
    _check_power(power)
    x = as_float(x, like=y, name="x")
    y = x if y is None else as_float(y, like=x, name="y")
    xp = same_backend(x=x, y=y)
    if x.ndim not in (1, 2) or y.ndim != x.ndim or (x.ndim == 2 and x.shape[1] != y.shape[1]):
        raise ValueError(f"positions must be (n,) or (n, d), one d; got shapes {tuple(x.shape)} and {tuple(y.shape)}.")
    if not bool(xp.all(xp.isfinite(x))) or not bool(xp.all(xp.isfinite(y))):
        raise ValueError("positions hold NaN or infinite entries; drop or mend those bins first.")
    check_room(x.shape[0], y.shape[0])
    x, y = one_type(x, y)
    with np.errstate(over="ignore", invalid="ignore"):
        if x.ndim == 1:
            gap = x[:, None] - y[None, :]
            cost = xp.abs(gap) if power == 1 else gap * gap if power == 2 else _power(xp.abs(gap), power)
        else:
            squared = _squared_distances(x, y)
            cost = squared if power == 2 else _power(squared, power / 2)
    if not bool(xp.all(xp.isfinite(cost))):
        raise ValueError(
            f"distances to the power {power:g} are beyond {cost.dtype}: positions reach {_largest_entry(x, y):.3g}. "
            "Use larger units, or a smaller power."
        )
    return cost


def _power(x: Array, power: float) -> Array:
    """x ** power for x >= 0, whose gradient at 0 is 0, not NaN."""
    xp = array_namespace(x)
    apart = x > 0
    return xp.where(apart, xp.where(apart, x, xp.ones_like(x)) ** power, xp.zeros_like(x))


def _squared_distances(x: Array, y: Array) -> Array:
    """|x_i - y_j|^2 of points (n, d) and (m, d), in blocks of rows: their differences are d times as large as the result."""
    xp = array_namespace(x, y)
    step = max(1, BLOCK_ELEMENTS // max(1, y.shape[0] * y.shape[1]))
    starts = range(0, max(1, x.shape[0]), step)
    rows = (x[i : min(i + step, x.shape[0]), None, :] for i in starts)
    blocks = [xp.sum((some - y[None, :, :]) ** 2, axis=-1) for some in rows]
    return blocks[0] if len(blocks) == 1 else xp.concat(blocks, axis=0)


def _largest_entry(*arrays: Array) -> float:
    return max(float(np.abs(to_numpy(x)).max()) for x in arrays)


def check_room(n: int, m: int) -> None:
    """Refuse to build a matrix of n x m entries that no machine of our readers holds, and name what needs none."""
    if n * m > LARGEST_MATRIX:
        raise MemoryError(
            f"a cost of {n} x {m} entries takes {8 * n * m / 2**30:.3g} GiB. LineCost(positions) on a sorted line and "
            "GridCost(shape) on a regular grid never build it; or use fewer bins."
        )


class GridCost:
    """Cost on a regular grid: the sum over its axes of ``(spacing |i - j|)**power``.

    Histograms are flattened in C order. The kernel is a product of one small kernel per axis: an (n, n) image costs
    2 n^3 operations instead of n^4.

    Parameters
    ----------
    shape : int or tuple of int
        The shape of the grid; an int for one axis.
    power : float
        Exponent of the distance along each axis.
    spacing : float or tuple of float
        Distance between neighbours, one number or one per axis.

    Examples
    --------
    >>> GridCost((2, 3)).shape
    (6, 6)
    """

    def __init__(self, shape: int | tuple[int, ...], *, power: float = 2, spacing: float | tuple[float, ...] = 1.0):
        grid = tuple(shape) if np.iterable(shape) else (shape,)
        if not grid or not all(is_integer(n) and 1 <= n < 2**31 for n in grid):
            raise ValueError(f"shape must be positive integers; got {shown(shape)}.")
        self.grid = tuple(int(n) for n in grid)
        self.power = _check_power(power)
        steps = tuple(spacing) if np.iterable(spacing) else (spacing,) * len(grid)
        if len(steps) != len(grid):
            raise ValueError(f"spacing must be one number, or one per axis ({len(grid)}); got {len(steps)} of them.")
        if not all(is_number(s) and s > 0 for s in steps):
            raise ValueError(f"spacing must be positive; got {spacing!r}.")
        self.spacing = tuple(float(s) for s in steps)
        far = [float(_to_the(s * (n - 1), self.power)) for n, s in zip(self.grid, self.spacing)]
        if not math.isfinite(sum(far)):
            raise ValueError(
                f"spacing={spacing!r} to the power {self.power:g} is beyond the floats on a grid of {self.grid}. "
                "Use larger units."
            )

    @property
    def shape(self) -> tuple[int, int]:
        n = math.prod(self.grid)
        return (n, n)

    def axis_costs(self) -> list[np.ndarray]:
        """The cost along each axis.

        Returns
        -------
        list of NumPy arrays, shapes (n_k, n_k)
        """
        return [cost_matrix(s * np.arange(n), power=self.power) for n, s in zip(self.grid, self.spacing)]

    def dense(self) -> np.ndarray:
        """The matrix this stands for: for tests and small grids.

        Returns
        -------
        NumPy array, shape (n_bins, n_bins)
        """
        check_room(*self.shape)
        total = np.zeros((1, 1))
        for c in self.axis_costs():
            n, k = total.shape[0], c.shape[0]
            total = (total[:, None, :, None] + c[None, :, None, :]).reshape(n * k, n * k)
        return total

    def __repr__(self) -> str:
        return f"GridCost({self.grid}, power={self.power}, spacing={self.spacing})"


class LineCost:
    """Cost ``scale * |x_i - x_j|**power`` between sorted positions on a line.

    For power 1 the kernel ``exp(-scale |x_i - x_j| / eps)`` is semiseparable: each side of the diagonal is a running
    sum that decays from bin to bin, so that K x takes time linear in the number of bins, and is exact.

    Parameters
    ----------
    positions : array, shape (n_bins,)
        Increasing; for instance wavelengths in nm.
    power : float
        Exponent of the distance.
    scale : float
        Multiplies the cost; WaHU's Salinas setting is 10 / (range of the wavelengths).
    """

    def __init__(self, positions: Any, *, power: float = 1, scale: float = 1.0):
        x = to_numpy(as_float(positions, name="positions")).astype(np.float64, copy=True)
        if x.ndim != 1 or x.size < 1:
            raise ValueError(f"positions must be a vector; got shape {x.shape}.")
        check_increasing(x, "positions", "bins")
        if not (is_number(scale) and scale > 0):
            raise ValueError(f"scale must be a positive number; got {scale!r}.")
        x.flags.writeable = False
        self.positions, self.power, self.scale = x, _check_power(power), float(scale)
        span = float(x[-1] - x[0])
        if not math.isfinite(self.scale * _to_the(span, self.power)):
            raise ValueError(
                f"{scale:g} * {span:.3g}**{power:g}, the cost from end to end, is beyond the floats; use larger units."
            )

    @property
    def shape(self) -> tuple[int, int]:
        return (self.positions.size, self.positions.size)

    def dense(self) -> np.ndarray:
        """The matrix this stands for.

        Returns
        -------
        NumPy array, shape (n_bins, n_bins)
        """
        return self.scale * cost_matrix(self.positions, power=self.power)

    def __repr__(self) -> str:
        return f"LineCost({self.positions.size} positions, power={self.power}, scale={self.scale:g})"


AnyCost: TypeAlias = (
    Array | GridCost | LineCost
)  # what :func:`check_cost` lets through: one that says more than its shape


def priced_gaps(positions: Any, price: float) -> np.ndarray:
    """Positions in which a gap, a step of more than three usual ones, is ``price`` times as long, one usual step at least.

    Transport over bands that were removed (water vapour's, say) pays the length of the gap, as if light could have lain
    there: ``price`` 1. At 0 the gap is closed to one usual step; above 1 it is a barrier.

    Examples
    --------
    >>> priced_gaps([400, 410, 420, 500, 510], 0.0)
    array([400., 410., 420., 430., 440.])
    >>> priced_gaps([400, 410, 420, 500, 510], 2.0)
    array([400., 410., 420., 580., 590.])
    """
    x = to_numpy(as_float(positions, name="positions")).astype(np.float64)
    steps = np.diff(x)
    usual = float(np.median(steps))
    priced = np.where(steps > 3 * usual, np.maximum(price * steps, usual), steps)
    return x[0] + np.concatenate([[0.0], np.cumsum(priced)]) if price != 1 else x


def _to_the(x: float, power: float) -> float:
    """x ** power, infinite where Python would raise."""
    try:
        return x**power
    except OverflowError:
        return math.inf


def blur_width(eps: float, cost: Cost, *, positions: Array | None = None) -> float:
    """What eps blurs: the width of the Gibbs kernel ``exp(-cost / eps)``, in the units of the axis.

    For power 2 the standard deviation ``sqrt(eps / 2)`` of the Gaussian (Schmitz et al. (2018), below eq. (4)); for
    power 1 the decay length ``eps``; in general ``(eps / power)**(1 / power)``, all divided by the scale of the cost.

    Parameters
    ----------
    eps : float
        In the units of the cost.
    cost : GridCost, LineCost or array, shape (n_bins, n_bins)
        An array must be ``scale * |x_i - x_j|**power`` between its positions.
    positions : array, shape (n_bins,), optional
        The axis of a dense cost, which knows only bins. May be left out where neighbours cost exactly 1: then bins are
        the units.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If a dense cost comes without its positions.
    ValueError
        If a dense cost is no power of the distances between its positions; or the width is beyond the floats.

    Examples
    --------
    >>> blur_width(2.0, GridCost(100))
    1.0
    >>> bands = np.arange(400.0, 1000.0, 10.0)  # nm
    >>> blur_width(200.0, cost_matrix(bands), positions=bands)
    10.0
    """
    scale, power = _scale_and_power(cost, positions)
    width = _to_the(check_eps(eps) / power / scale, 1 / power)
    if not (math.isfinite(width) and width > 0):
        raise ValueError(
            f"eps={eps:g} blurs this cost (scale {scale:g}, power {power:g}) by a width beyond the floats."
        )
    return width


def eps_for_blur(width: float, cost: Cost, *, positions: Array | None = None) -> float:
    """The eps that blurs by a width you choose: the inverse of :func:`blur_width`.

    Parameters
    ----------
    width : float
        In the units of the axis: nm where the positions are.
    cost : GridCost, LineCost or array, shape (n_bins, n_bins)
        As for :func:`blur_width`.
    positions : array, shape (n_bins,), optional
        As for :func:`blur_width`.

    Returns
    -------
    float, in the units of the cost

    Examples
    --------
    >>> eps_for_blur(1.0, GridCost(100))
    2.0
    """
    if not (is_number(width) and width > 0):
        raise ValueError(f"width must be positive; got {width!r}. It is in the units of the axis.")
    scale, power = _scale_and_power(cost, positions)
    eps = float(power * scale * _to_the(float(width), power))
    if not (math.isfinite(eps) and eps > 0):
        raise ValueError(f"a width of {width:g} needs an eps beyond the floats (scale {scale:g}, power {power:g}).")
    return eps


def _scale_and_power(cost: AnyCost, positions: Array | None) -> tuple[float, float]:
    """(scale, power) of a cost scale * |x - y|**power in the units of its axis."""
    if isinstance(cost, GridCost | LineCost):
        if positions is not None:
            raise TypeError(f"positions belong to a dense cost; a {type(cost).__name__} knows its own axis.")
        return (1.0 if isinstance(cost, GridCost) else cost.scale), cost.power  # spacing is in the units of the axis
    c = to_numpy(as_float(cost, name="cost")).astype(np.float64, copy=False)
    if c.ndim != 2 or c.shape[0] != c.shape[1] or c.shape[0] < 3:
        raise ValueError(
            f"blur_width of a dense cost needs a square one of at least 3 bins; got shape {c.shape}. "
            "Describe the axis with LineCost or GridCost."
        )
    if positions is None and c[0, 1] != 1.0:
        raise TypeError(
            f"a dense cost does not know the units of its axis (its first two bins cost {c[0, 1]:g}). Give positions=, "
            "or describe the axis with LineCost or GridCost."
        )
    x = (
        np.arange(c.shape[0])
        if positions is None
        else to_numpy(as_float(positions, name="positions")).astype(np.float64, copy=False)
    )
    if x.shape != c.shape[:1]:
        raise ValueError(f"positions need one entry per bin, {c.shape[0]} of them; got shape {x.shape}.")
    return _power_law(c, x)


def _power_law(c: np.ndarray, x: np.ndarray) -> tuple[float, float]:
    """(scale, power) of the matrix ``c`` between the positions ``x`` of a line."""
    with np.errstate(all="ignore"):
        near, far = abs(x[1] - x[0]), abs(x - x[0]).max()
        power = float(np.log(c[0, abs(x - x[0]).argmax()] / c[0, 1]) / np.log(far / near))
        power = round(power) if math.isfinite(power) and abs(power - round(power)) < 1e-6 else power
        if 0 < power < math.inf and c[0, 1] > 0:
            scale = float(c[0, 1] / near**power)
            if np.allclose(c, scale * cost_matrix(x, power=power), rtol=1e-6, atol=1e-9 * c.max()):
                return scale, power
    raise ValueError(
        "blur_width of a dense cost needs scale * |x_i - x_j|**power between the bins of one line, in the order of their "
        "positions; this one is no such cost. Describe the axis with LineCost or GridCost."
    )


def check_cost(cost: Cost, *, square: bool = False) -> AnyCost:
    """A cost that can be used: a GridCost, a LineCost, or a finite matrix of floats."""
    if isinstance(cost, GridCost | LineCost):
        return cost
    matrix = as_float(cost, name="cost")
    xp = array_namespace(matrix)
    if matrix.ndim != 2:
        raise ValueError(
            f"cost must be a matrix, a GridCost or a LineCost; got an array of shape {tuple(matrix.shape)}."
        )
    if 0 in matrix.shape:
        raise ValueError(f"cost is empty: its shape is {tuple(matrix.shape)}. Give at least one bin on both sides.")
    if square and matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"cost must be square, the same bins on both sides; got shape {tuple(matrix.shape)}.")
    if not bool(xp.all(xp.isfinite(matrix))):
        raise ValueError("cost holds NaN or infinite entries; a forbidden move is a large finite cost.")
    return matrix


def is_symmetric(cost: AnyCost) -> bool:
    """True where |x - y| costs what |y - x| does, to rounding, as every GridCost and LineCost."""
    if isinstance(cost, GridCost | LineCost):
        return True
    if cost.shape[0] != cost.shape[1]:
        return False
    xp = array_namespace(cost)
    rounding = 16 * float(xp.finfo(cost.dtype).eps)
    return bool(xp.all(xp.abs(cost - cost.T) <= rounding * xp.max(xp.abs(cost))))


def largest_cost(cost: AnyCost) -> float:
    """The largest entry of a cost, or minus its smallest where that is more."""
    if isinstance(cost, GridCost):
        return float(sum((s * (n - 1)) ** cost.power for n, s in zip(cost.grid, cost.spacing)))
    if isinstance(cost, LineCost):
        return float(cost.scale * (cost.positions[-1] - cost.positions[0]) ** cost.power)
    xp = array_namespace(cost)
    return number(xp.max(xp.abs(cost)))


def check_symmetric(cost: AnyCost, what: str) -> None:
    """Refuse a cost of another price back than there, for ``what`` holds two histograms on one footing."""
    if not is_symmetric(cost):
        raise ValueError(
            f"{what} needs a symmetric cost: that of x -> y must be that of y -> x. Use (cost + cost.T) / 2, or what "
            "takes either cost, such as the Wasserstein loss."
        )


def symmetric_part(cost: AnyCost) -> AnyCost:
    """(cost + cost^T) / 2: the mean price of there and back."""
    if isinstance(cost, GridCost | LineCost) or is_symmetric(cost):
        return cost
    return (cost + cost.T) / 2


_OLD_NAMES = (  # where version 0.1 kept them
    "gibbs_kernel as_line kernel_for check_domain bands Band DenseKernel GridKernel LineKernel DenseLogKernel GridLogKernel "
    "LineLogKernel safe_log BLOCK BAND LOG_BLOCK CACHE_ELEMENTS DEVICE_ELEMENTS"
).split()


def __getattr__(name: str) -> Any:
    if name in _OLD_NAMES:
        from . import kernels

        return getattr(kernels, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
