"""Run a step generator until a rule says stop.

An algorithm of this package is a generator that yields one state per iteration, for ever. Whether to go on is decided
here, once, for all of them.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ._array import Array, array_namespace, number


class ConvergenceWarning(UserWarning):
    """An iteration stopped at its limit before it reached its tolerance."""


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


def warn_not_converged(what: str, n_iter: int, error: float, tol: float, remedy: str) -> None:
    """Say what stopped short, by how much, and what to change."""
    warnings.warn(
        f"{what} stopped after {n_iter} iterations with error {error:.1e} > tol {tol:.1e}. {remedy}",
        ConvergenceWarning,
        stacklevel=3,
    )
