"""Run a step generator until a rule says stop.

An algorithm of this package is a generator that yields one state per iteration, for ever. Whether to go on is decided
here, once, for all of them.
"""

from __future__ import annotations

import itertools
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ._array import Array, array_namespace, number


class ConvergenceWarning(UserWarning):
    """An iteration stopped at its limit before it reached its tolerance."""


class Accuracy(NamedTuple):
    """How an iteration stops: after exactly ``n_iter`` iterations, or at ``tol`` where that is None."""

    n_iter: int | None
    tol: float = 1e-9
    max_iter: int = 10_000
    check_every: int = 10


class Run(NamedTuple):
    """What :func:`run` found: the last state, and how it got there."""

    state: Any
    n_iter: int
    error: float  # the largest over the batch
    converged: Array  # bool, batch-shaped
    trace: list[tuple[int, float]]  # (iteration, largest error) at every check


def run(steps: Iterator, error: Callable[[Any], Array], *, tol: float, max_iter: int, check_every: int = 10) -> Run:
    """Draw states from ``steps`` until ``error(state) <= tol`` for the whole batch, or ``max_iter`` states.

    The error is looked at every ``check_every`` states and at the last one, because turning an array into a bool
    makes a GPU stop and talk. A batch that has become infinite or NaN stops at once: no later state can mend it.

    Parameters
    ----------
    steps : iterator of states, one per iteration.
    error : maps a state to its error, batch-shaped.
    tol, max_iter, check_every : as above; ``tol=0`` stops early at an error of exactly 0 only.
    """
    trace: list[tuple[int, float]] = []
    for n_iter, state in enumerate(steps, start=1):
        last = n_iter >= max_iter
        if last or n_iter % check_every == 0:
            errors = error(state)
            xp = array_namespace(errors)
            worst = number(xp.max(errors))
            trace.append((n_iter, worst))
            if last or worst <= tol or not worst < float("inf"):
                return Run(state, n_iter, worst, errors <= tol, trace)
    raise ValueError("steps ended before max_iter; a step generator yields for ever.")


def nth(steps: Iterator, n: int) -> Any:
    """The state after exactly ``n`` iterations (n >= 1)."""
    return next(itertools.islice(steps, n - 1, None))


# ------------------------------------------------------------------------------------------------ in the caller's name

# whose lines are not the caller's: ours, and those of what runs us
_OURS = {"wdl_tutorial", "sklearn", "joblib", "threading", "multiprocessing", "concurrent", "contextlib", "functools"}
_DOOR = threading.local()


class Line(NamedTuple):
    """A line of a file, and what the warnings module keeps of it."""

    path: str
    number: int
    module: str
    registry: dict


def callers_line() -> Line | None:
    """The line outside this package (and what drives it: scikit-learn, joblib) that called it; None in a bare thread."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.partition(".")[0] not in _OURS or name == "wdl_tutorial.__main__":
            registry = frame.f_globals.setdefault("__warningregistry__", {})
            return Line(frame.f_code.co_filename, frame.f_lineno, name, registry)
        frame = frame.f_back
    return getattr(_DOOR, "line", None)


@contextmanager
def in_the_name_of(line: Line | None) -> Iterator[None]:
    """A worker's thread warns in the name of ``line``, that of the thread which sent it."""
    before, _DOOR.line = getattr(_DOOR, "line", None), line
    try:
        yield
    finally:
        _DOOR.line = before


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of whoever called the package, however deep inside it the reason was found."""
    line = callers_line()
    if line is None:
        warnings.warn(message, category, stacklevel=2)
        return
    warnings.warn_explicit(message, category, *line)


def warn_not_converged(what: str, n_iter: int, error: float, tol: float, remedy: str) -> None:
    """Say what stopped short, by how much, and what to change."""
    warn(
        f"{what} stopped after {n_iter} iterations with error {error:.1e} > tol {tol:.1e}. {remedy}",
        ConvergenceWarning,
    )


def deprecated(name: str, instead: str, *, until: str) -> None:
    """Say that a public name is going: it works until version ``until``, and ``instead`` is what to write."""
    warn(f"{name} is deprecated and will be gone in version {until}. Use {instead}.", DeprecationWarning)


@contextmanager
def progress(total: int, what: str, unit: str, *, shown: bool) -> Iterator[Any]:
    """A progress bar that ends full where the work ends early: what has settled is done, not a tenth done."""
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=what, unit=unit, disable=not shown) as bar:
        yield bar
        bar.total = bar.n
        bar.refresh()
