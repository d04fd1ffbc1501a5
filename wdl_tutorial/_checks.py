"""Every check of an argument that more than one module asks for: what is wrong, the number seen, what to do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._array import Array, array_namespace, as_float, device, row_sums, to_numpy

SUM_TOLERANCE = 1e-6  # how far from one the mass of a histogram may be


# --------------------------------------------------------------------------------------------------- numbers and options


def is_number(x: object) -> bool:
    """True for a finite real number of Python or NumPy; a bool, a text and an array are none."""
    return isinstance(x, int | float | np.integer | np.floating) and not isinstance(x, bool) and math.isfinite(x)


def check_count(name: str, n: int, unless: str = "") -> None:
    """Refuse what is not an integer of at least 1."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"{name} must be an integer of at least 1{unless}; got {n!r}.")


def check_eps(eps: float) -> float:
    """Refuse a regularisation that is not a positive number."""
    if isinstance(eps, bool) or not isinstance(eps, int | float | np.integer | np.floating):
        raise TypeError(f"eps must be a number in the units of the cost; got {type(eps).__name__}.")
    if not (math.isfinite(eps) and eps > 0):
        raise ValueError(f"eps must be positive; got {eps}. It is in the units of the cost; see blur_width(eps, cost).")
    return float(eps)


def check_options(domain: str, marginal_weight: float | None, momentum: float) -> None:
    """The options that Sinkhorn and the barycenters share."""
    if domain not in ("auto", "kernel", "log"):
        raise ValueError(f"domain must be 'auto', 'kernel' or 'log'; got {domain!r}.")
    if marginal_weight is not None and not (is_number(marginal_weight) and marginal_weight > 0):
        raise ValueError(
            f"marginal_weight must be positive, in the units of the cost; got {marginal_weight!r}. None is balanced."
        )
    if not (is_number(momentum) and -1.0 < momentum <= 0.0):
        raise ValueError(
            f"momentum must be in (-1, 0]; got {momentum!r}. Negative values accelerate (tau of Algorithm 5)."
        )


def check_run(tol: float, max_iter: int, n_iter: int | None = None, *, check_every: int = 1, prefix: str = "") -> None:
    """Tolerance and numbers of iterations; ``prefix`` is what their names begin with where the caller was asked."""
    if not (is_number(tol) and tol >= 0):
        raise ValueError(f"{prefix}tol must be non-negative; got {tol!r}.")
    check_count(f"{prefix}max_iter", max_iter)
    check_count("check_every", check_every)
    if n_iter is not None:
        check_count("n_iter", n_iter, ", or None for converged runs")


def check_seed(random_state: Any) -> None:
    """Refuse what cannot seed a draw."""
    whole = isinstance(random_state, int | np.integer) and not isinstance(random_state, bool) and random_state >= 0
    if not (whole or random_state is None or isinstance(random_state, np.random.Generator | np.random.RandomState)):
        raise ValueError(
            "random_state must be a non-negative integer, a numpy Generator (or RandomState) or None; "
            f"got {random_state!r}."
        )


def generator_of(random_state: Any) -> np.random.Generator:
    """The one rule for seeds: an integer repeats its draws, a Generator or RandomState moves on, None is new each time."""
    check_seed(random_state)
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**32, size=4, dtype=np.uint32))
    return np.random.default_rng(random_state)


# --------------------------------------------------------------------------------------------------------------- arrays


def worst_row(bad: Array) -> str:
    """The index of the first True of ``bad`` as text: ``row 3``, ``row (3, 1)``, or nothing for one histogram."""
    host = np.atleast_1d(to_numpy(bad))
    if to_numpy(bad).ndim == 0:
        return "it"
    index = np.unravel_index(int(np.argmax(host)), host.shape)
    return f"row {int(index[0]) if len(index) == 1 else tuple(int(i) for i in index)}"


def check_nonnegative(x: Array, name: str) -> None:
    """Refuse entries that are negative, infinite or NaN, naming the first row that holds one."""
    xp = array_namespace(x)
    finite = xp.isfinite(x)
    if not bool(xp.all(finite)):
        row = worst_row(~xp.all(finite, axis=-1))
        n_bad = int(xp.sum(xp.astype(~finite, xp.int64)))
        raise ValueError(
            f"{name} holds {n_bad} NaN or infinite entries ({row} is the first with one). "
            "Replace or mask them first, for instance with numpy.nan_to_num, or drop those rows."
        )
    if bool(xp.any(x < 0)):
        row = worst_row(xp.any(x < 0, axis=-1))
        raise ValueError(
            f"{name} must not be negative; its smallest entry is {float(xp.min(x)):.3g} ({row} is the first with one). "
            f"Clip it, or subtract the minimum, before using it as a histogram."
        )


def check_not_empty(x: Array, name: str) -> None:
    """Refuse rows that sum to zero, naming the first; and arrays without rows or bins."""
    if 0 in x.shape:
        raise ValueError(f"{name} is empty: it has shape {tuple(x.shape)}. Give at least one row of one bin.")
    xp = array_namespace(x)
    empty = xp.sum(x, axis=-1) <= 0
    if bool(xp.any(empty)):
        raise ValueError(f"{name} sums to 0 ({worst_row(empty)} is the first): drop it, or give it some mass.")


def check_histograms(x: Array, name: str) -> None:
    """Refuse rows that are not points of the simplex: negative, not finite, or not summing to one within 1e-6."""
    xp = array_namespace(x)
    check_nonnegative(x, name)
    sums = row_sums(x)
    gap = xp.abs(sums - 1.0)
    if bool(xp.any(gap > SUM_TOLERANCE)):
        flat = to_numpy(sums).reshape(-1)
        worst = float(flat[int(abs(flat - 1.0).argmax())])
        off = f"{worst:.6g}" if abs(worst - 1.0) > 1e-4 else f"1 {'+' if worst > 1 else '-'} {abs(worst - 1.0):.1e}"
        raise ValueError(
            f"{name} must sum to 1 along its last axis; worst row sums to {off}. Use wdl_tutorial.normalize({name})."
        )


def check_increasing(x: np.ndarray, name: str, things: str) -> None:
    """Refuse the places of ``things`` on an axis that are not finite, do not increase, or lie too far apart for floats."""
    if not np.all(np.isfinite(x)):
        raise ValueError(f"{name} hold NaN or infinite entries; drop those {things} first.")
    back = np.flatnonzero(x[1:] <= x[:-1])
    if back.size:
        at = int(back[0])
        same = x[at] == x[at + 1]
        raise ValueError(
            f"{name} must increase; {name} {at} and {at + 1} are {x[at]:g} and {x[at + 1]:g}. "
            + (f"Merge or drop one of two {things} at one place." if same else f"Sort the {things} first.")
        )
    if x.size and not x[-1] / 2 - x[0] / 2 < np.finfo(float).max / 2:
        raise ValueError(f"{name} from {x[0]:g} to {x[-1]:g} lie too far apart for floats; use larger units.")


def check_batch(p: Array, q: Array, names: str, bins: int = 1) -> None:
    """Leading axes that broadcast; the last ``bins`` axes of ``p``, and the last of ``q``, are not leading."""
    try:
        np.broadcast_shapes(tuple(p.shape[:-bins]), tuple(q.shape[:-1]))
    except ValueError:
        raise ValueError(
            f"the leading axes of {names} must broadcast, one problem each; "
            f"got shapes {tuple(p.shape)} and {tuple(q.shape)}."
        ) from None


def check_importance(sample_weight: Array | None, x: Array) -> Array:
    """Sample weights that sum to one: uniform if none are given."""
    xp, n = array_namespace(x), x.shape[0]
    if sample_weight is None:
        return xp.full((n,), 1.0 / n, dtype=x.dtype, device=device(x))
    sample_weight = as_float(sample_weight, like=x)
    array_namespace(sample_weight, x)
    if tuple(sample_weight.shape) != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one per sample; got {tuple(sample_weight.shape)}.")
    check_nonnegative(sample_weight, "sample_weight")
    total = float(xp.sum(sample_weight))
    if total <= 0:
        raise ValueError("sample_weight sums to 0; give at least one sample some weight.")
    return xp.astype(sample_weight / total, x.dtype, copy=False)
