"""Every check of an argument, once, by name: what is wrong, what was given, what to do.

Each function takes the argument's name first, and returns the argument as the rest of the code wants it: a count as a
Python int (``np.int8(100) + 100`` is -56), a number as a Python float, arrays as floats of one backend. A number or a
choice that does not do is a ValueError; an array of something that is no number is a TypeError.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._array import Array, array_namespace, as_float, detached, device, is_array, row_sums, to_numpy

SUM_TOLERANCE = 1e-6  # how far from one the mass of a histogram may be


# --------------------------------------------------------------------------------------------------- one argument


def shown(value: object) -> str:
    """``value`` for an error: what it is, in at most 60 characters."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return f"an integer of about {int(value.bit_length() * math.log10(2)) + 1} digits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_integer(x: object) -> bool:
    """True for an integer of Python or NumPy; a bool is none."""
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


def is_number(x: object) -> bool:
    """True for a finite real number of Python or NumPy; a bool, a text and an array are none."""
    if not isinstance(x, int | float | np.integer | np.floating) or isinstance(x, bool):
        return False
    try:
        return math.isfinite(x)
    except OverflowError:  # an integer beyond the largest float
        return False


def integer(
    name: str, value: Any, *, least: int = 1, most: int | None = None, unless: str = "", advice: str = ""
) -> int:
    """``value`` as an int from ``least`` to ``most``; ``unless`` names what may be given instead (", or None").

    ``most`` is the largest index of this machine where it is not given: no loop and no array goes further.
    """
    top = sys.maxsize if most is None else most
    if is_integer(value) and least <= value <= top:
        return int(value)
    large = is_integer(value) and value > top
    limits = f"of at least {least}" if most is None and not large else f"from {least} to {top}"
    raise ValueError(f"{name} must be an integer {limits}{unless}; got {shown(value)}.{advice and ' ' + advice}")


def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    unless: str = "",
    advice: str = "",
) -> float:
    """``value`` as a finite float: > ``above``, >= ``least``, < ``below``, <= ``most``, as far as they are given."""
    x = float(value) if is_number(value) else math.nan  # first: in float16 there is no 1e6 to compare with
    good = (
        not math.isnan(x)
        and (above is None or x > above)
        and (least is None or x >= least)
        and (below is None or x < below)
        and (most is None or x <= most)
    )
    if good:
        return x
    wanted = _range(above, least, below, most)
    if isinstance(value, float | np.floating) and math.isinf(value) and "finite" not in wanted:
        wanted += " and finite"
    raise ValueError(f"{name} must be {wanted}{unless}; got {shown(value)}.{advice and ' ' + advice}")


def _range(above: float | None, least: float | None, below: float | None, most: float | None) -> str:
    """The numbers that are allowed, in words: positive; in (-1, 0]; at least 2."""
    low, high = least if above is None else above, most if below is None else below
    if low is None and high is None:
        return "a finite number"
    if low is not None and high is not None:
        return f"in {'[' if above is None else '('}{low:g}, {high:g}{']' if below is None else ')'}"
    if low == 0:
        return "non-negative" if above is None else "positive"
    if low is not None:
        return f"{'at least' if above is None else 'above'} {low:g}"
    return f"{'at most' if below is None else 'below'} {high:g}"


def choice(name: str, value: Any, known: Sequence[str], *, advice: str = "") -> str:
    """``value`` as one of the names ``known``."""
    if isinstance(value, str) and value in known:
        return str(value)
    names = [f"'{k}'" for k in known]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    raise ValueError(f"{name} must be {listed}; got {shown(value)}.{advice and ' ' + advice}")


def check_acceleration(acceleration: Any) -> None:
    """Refuse what is neither "auto" nor None."""
    if acceleration is not None and not (isinstance(acceleration, str) and acceleration == "auto"):
        raise ValueError(
            f"acceleration must be 'auto', or None for the paper's plain iteration; got {shown(acceleration)}."
        )


def floats(**arrays: Any) -> tuple[Array, ...]:
    """The arrays, by their names, as floats of one backend; a list follows the arrays."""
    if all(type(x) is np.ndarray and x.dtype == np.float64 for x in arrays.values()):
        return tuple(arrays.values())  # at once, since every iteration of an extrapolated run comes by
    like = next((x for x in arrays.values() if is_array(x)), None)
    found = tuple(as_float(x, like=like, name=name) for name, x in arrays.items())
    same_backend(**dict(zip(arrays, found)))
    return found


def steppable(**arrays: Any) -> tuple[Array, ...]:
    """As :func:`floats`, but complex arrays stay: the complex step differentiates through the generators."""
    if all(isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in arrays.values()):
        return floats(**arrays)
    kept = {
        name: x for name, x in arrays.items() if is_array(x) and array_namespace(x).isdtype(x.dtype, "complex floating")
    }
    real = [name for name in arrays if name not in kept]
    found = kept | dict(zip(real, floats(**{name: arrays[name] for name in real})))
    return tuple(found[name] for name in arrays)


def same_backend(**arrays: Any) -> Any:
    """The one namespace of the arrays among these arguments (a GridCost is none), by their names."""
    try:
        return array_namespace(*(x for x in arrays.values() if is_array(x)))
    except TypeError as error:
        raise TypeError(f"{' and '.join(name for name, x in arrays.items() if is_array(x))}: {error}") from None


def finite(name: str, x: Array, *, advice: str = "Leave those rows out, or mend them.") -> Array:
    """``x`` where every entry is a finite number and there is at least one."""
    if 0 in x.shape:
        raise ValueError(f"{name} is empty: its shape is {tuple(x.shape)}.")
    xp = array_namespace(x)
    bad = int(xp.sum(xp.astype(~xp.isfinite(x), xp.int64)))
    if bad:
        raise ValueError(f"{name} holds {bad} NaN or infinite entries. {advice}")
    return x


def squarable(name: str, x: Array) -> Array:
    """``x``, whose squares and their sums have to be floats too."""
    if 0 in x.shape:
        return x
    xp = array_namespace(x)
    top = float(to_numpy(xp.max(xp.abs(x))))
    if top > 1e100 or 0.0 < top < 1e-100:
        raise ValueError(f"{name} has {top:.3g} as its largest entry, whose square no float can hold. Use other units.")
    return x


def array_of(name: str, value: Any) -> np.ndarray:
    """Numbers, names or codes as an array on the host, whatever they are."""
    try:
        return np.asarray(to_numpy(value))
    except ValueError:  # lists of several lengths
        raise ValueError(f"{name} must be one array; got {shown(value)}.") from None


def real_array(name: str, value: Any) -> np.ndarray:
    """Real numbers of any backend as float64 of NumPy."""
    return np.asarray(to_numpy(as_float(value, name=name)), dtype=np.float64)


def instance(name: str, value: Any, kind: type, *, advice: str = "") -> Any:
    """``value`` where it is one of this class."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}; got {shown(value)}.{advice and ' ' + advice}")
    return value


def text(name: str, value: Any) -> str:
    """``value`` as a text; bytes are none."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text; got {shown(value)}.")
    return value


def file_path(name: str, value: Any) -> Path:
    """``value`` as a path, with the user's ~ spelled out; a text or what the system takes for a path."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a text or a pathlib.Path; got {shown(value)}.")
    named = os.fsdecode(value)
    if not named or "\0" in named:
        raise ValueError(f"{name} must name a file; got {shown(value)}.")
    return Path(named).expanduser()


def texts(name: str, value: Any, n: int | None = None, *, of: str = "") -> list[str]:
    """A list of texts from names of any kind, ``n`` of them where that is known, one for each of ``of``."""
    if isinstance(value, str | bytes | dict) or not np.iterable(value):
        raise TypeError(f"{name} must be a list of texts; got {shown(value)}.")
    found = [str(x) for x in value]
    if n is not None and len(found) != n:
        raise ValueError(
            f"{name} must be {n}, one for each {of or 'series'}; got {len(found)} names for {n} {of or 'series'}."
        )
    return found


def image_shape(name: str, value: Any, *, least: int = 1) -> tuple[int, int]:
    """Rows and columns."""
    if isinstance(value, list | tuple | np.ndarray) and len(np.shape(value)) == 1 and len(value) == 2:
        rows, columns = (v.item() if isinstance(v, np.generic) else v for v in value)
        if all(is_integer(n) and n >= least for n in (rows, columns)):
            return rows, columns
    raise ValueError(f"{name} must be (rows, columns), integers of at least {least} each; got {shown(value)}.")


# ------------------------------------------------------------------------------------------- the options of the solvers


def check_eps(eps: float) -> float:
    """The entropic regularisation as a float."""
    return number("eps", eps, above=0, advice="It is in the units of the cost; see blur_width(eps, cost).")


def check_marginal_weight(rho: float | None, name: str = "marginal_weight") -> None:
    """Refuse what is neither a positive number nor None."""
    if rho is not None:
        number(name, rho, above=0, unless=", in the units of the cost", advice="None is balanced.")


def check_options(domain: str, marginal_weight: float | None, momentum: float) -> None:
    """The options that Sinkhorn and the barycenters share."""
    choice("domain", domain, ("auto", "kernel", "log"))
    check_marginal_weight(marginal_weight)
    number(
        "momentum",
        momentum,
        above=-1,
        most=0,
        advice="Negative values accelerate (tau of Algorithm 5).",
    )


def check_run(tol: float, max_iter: int, n_iter: int | None = None, *, check_every: int = 1, prefix: str = "") -> None:
    """Tolerance and numbers of iterations; ``prefix`` is what their names begin with where the caller was asked."""
    number(f"{prefix}tol", tol, least=0)
    integer(f"{prefix}max_iter", max_iter)
    integer("check_every", check_every)
    if n_iter is not None:
        integer("n_iter", n_iter, unless=", or None for converged runs")


def check_seed(random_state: Any) -> None:
    """Refuse what cannot seed a draw."""
    whole = is_integer(random_state) and random_state >= 0
    if not (whole or random_state is None or isinstance(random_state, np.random.Generator | np.random.RandomState)):
        raise ValueError(
            f"random_state must be a non-negative integer, a numpy Generator or None; got {shown(random_state)}."
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


def check_bins(kernel: Any, **arrays: Array) -> None:
    """Arrays with as many bins as the kernel has rows, and, the second, columns."""
    for (name, x), n in zip(arrays.items(), kernel.shape):
        if not x.ndim or x.shape[-1] != n:
            raise ValueError(
                f"{name} must have the {n} bins of the kernel on its last axis; got shape {tuple(x.shape)}."
            )


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
    sample_weight = as_float(detached(sample_weight), like=x, name="sample_weight")
    same_backend(sample_weight=sample_weight, X=x)
    if tuple(sample_weight.shape) != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one per sample; got {tuple(sample_weight.shape)}.")
    check_nonnegative(sample_weight, "sample_weight")
    total = float(xp.sum(sample_weight))
    if total <= 0:
        raise ValueError("sample_weight sums to 0; give at least one sample some weight.")
    return xp.astype(sample_weight / total, x.dtype, copy=False)
