"""Run a step generator until a rule says stop.

An algorithm of this package is a generator that yields one state per iteration, for ever. Whether to go on is decided
here, once, for all of them: by :func:`run`, which draws from the generator, or by :func:`accelerated`, which asks it for
one iteration at a time and extrapolates between them.
"""

from __future__ import annotations

import itertools
import math
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

from ._array import Array, array_namespace, device, number, on_host, row_blend, row_gram, row_products, take_rows


class ConvergenceWarning(UserWarning):
    """An iteration stopped at its limit before it reached its tolerance."""


class Accuracy(NamedTuple):
    """How an iteration stops: after exactly ``n_iter`` iterations, or at ``tol`` where that is None."""

    n_iter: int | None
    tol: float = 1e-9
    max_iter: int = 10_000
    check_every: int = 10
    acceleration: str | None = "auto"  # of runs to ``tol``: extrapolated; None: the paper's plain iteration

    @property
    def extrapolated(self) -> bool:
        """Are runs extrapolated? Not at ``tol=0``, which asks for exactly ``max_iter`` iterations."""
        return self.acceleration is not None and self.tol > 0


class Run(NamedTuple):
    """What :func:`run` found: the last state, and how it got there."""

    state: Any
    n_iter: int
    error: float  # the largest over the batch
    converged: Array  # bool, batch-shaped
    trace: list[tuple[int, float]]  # (iteration, largest error) at every check

    def measured(self, state: Any, errors: Array, tol: float) -> Run:
        """This run with its state in another shape, and the errors of that state in the place of bounds of them.

        A bound within ``tol`` counts where the error differs from it by no more than rounding.
        """
        xp = array_namespace(errors)
        rounding = 16 * float(xp.finfo(errors.dtype).eps)
        converged = (errors <= tol) | (xp.reshape(self.converged, errors.shape) & (errors <= tol + rounding))
        return self._replace(state=state, error=number(xp.max(errors)), converged=converged)


def run(
    steps: Iterator[Any], error: Callable[[Any], Array], *, tol: float, max_iter: int, check_every: int = 10
) -> Run:
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


# ------------------------------------------------------------------------------------------------------ extrapolation

FIRST_REACH = 100.0  # iterations that the first extrapolation may stand for
LONGEST_REACH, SHORTEST_REACH = 1e4, 1e-6
GROWTH = 10.0  # of a row's error that an extrapolation may bring
BACKWARDS = (
    0.5  # an extrapolation is undone where the iterations then lead back along it by this share of how they led on
)
SLOW = 0.01  # share by which the moves of an iteration differ from the last ones where components drift
LITTLE = 0.25  # a change of logs up to which that in mass is told without an exponential, half a percent too large
KEPT_BUSY = 0.85  # finished rows are dropped once fewer than this share of all rows still iterate


class Plain(NamedTuple):
    """One plain iteration of a batch of problems, as :func:`accelerated` reads it; rows are problems."""

    logs: Array  # (rows, parts, n)   logarithms of the scalings it ends with, all that the next iteration reads
    mass: Array  # the marginal they leave; sum mass |1 - exp(-change of logs)| is how far off it was before
    factor: (
        Array  # (rows or 1, parts or 1, 1)   times the mass, it is the weight of the norm in which changes are small
    )
    dual: Callable[[], Array]  # (rows,)   the dual value in units of eps, which plain iterations increase
    state: Any  # a NamedTuple for the caller; its arrays have the rows on their first axis


Iteration = Callable[[Array, Any], Plain]  # of log scalings, and of the state that they are those of, or None
Batch = Callable[[Array | None], Iteration]  # the iteration of these problems (None: of all)
# the same batch in buffers of its own, the start in its layout, and `accelerated` for that layout
Twin = Callable[..., tuple[Batch, Array, Callable[..., Run]]]


class _Memory(NamedTuple):
    """What an extrapolation looks back on; every array has the rows on its first axis."""

    back: Array  # (rows, parts, n)   the logs before the last extrapolation
    error: Array  # (rows,)   their error
    dual: Array  # (rows,)   their dual value
    jump: Array  # (rows, parts, n)   the last extrapolation
    slope: Array  # (rows,)   of where the iterations led, along it
    reach: Array  # (rows,)   the longest next extrapolation, in iterations
    age: Array  # (rows,)   how many of the newest pairs are newer than the last undone extrapolation
    last: tuple[Array, Array] | None  # the last iteration: by how much it changed the logs, and its end
    pairs: tuple[tuple[Array, Array], ...]  # and the differences of such pairs, oldest first


def accelerated(
    problem: Batch,
    x: Array,
    *,
    tol: float,
    max_iter: int,
    depth: int = 4,
    every: int = 3,
    free: bool = True,
) -> Run:
    """Iterate from log scalings ``x`` to ``tol``, a plain iteration at a time, and extrapolate at every third.

    Anderson's extrapolation (Walker and Ni (2011), eq. (2.1)): the combination of the last iterations whose changes,
    combined alike, are smallest. Its fixed points are the plain ones, and what is returned is a state that a plain
    iteration left. Every row has its own combination, and leaves when its error is at most ``tol``.

    Plain iterations increase the dual value. An extrapolation that lowered it, or that led ten times further off, or
    past the point where the iterations turn back, is undone, and the next one of that row a quarter as long: it decays
    to the plain iteration, never away from the solution.

    Parameters
    ----------
    problem : ``problem(rows)`` is the plain iteration of these problems (None: of all), a function of log scalings, and
        of the state that they are those of, or None.
    x : array, shape (rows, parts, n)
        The error of a problem is that of the worst of its parts.
    depth : differences of iterations that are combined.
    every : iterations from one extrapolation, and look at the error, to the next.
    free : a constant added to the logs of a part changes nothing, as in balanced problems: it is not extrapolated, or it
        would be pushed about until it takes all digits.
    """
    xp = array_namespace(x)
    rows = xp.arange(x.shape[0], device=device(x))
    none, waiting = xp.zeros_like(x[:, 0, 0]), rows >= 0
    far = none + float("inf")
    memory = _Memory(x, far, -far, xp.zeros_like(x), none, none + FIRST_REACH, none, None, ())
    plain, state, left, trace = problem(None), None, [], []
    for n_iter in range(1, max_iter + 1):
        step = plain(x, state)
        moves = _felt(step.logs - x, step.mass)
        memory = _remembered(memory, step, moves, depth)
        x, state = step.logs, step.state
        if n_iter % every and n_iter < max_iter:
            continue
        errors, dual = _violation(step.mass, moves), step.dual()
        fine = dual >= memory.dual - _rounding(x, step, dual)  # NaN is not
        trace.append((n_iter, number(xp.max(xp.where(waiting, errors, xp.zeros_like(errors))))))
        broken = xp.any(waiting & xp.isnan(errors) & ~(memory.error < float("inf")))  # and no way back
        gone = waiting & ((fine & (errors <= tol)) | broken | (n_iter == max_iter))
        if bool(xp.any(gone)):
            left.append(_take((rows, errors, state), xp.nonzero(gone)[0]))
            waiting = waiting & ~gone
            busy = xp.nonzero(waiting)[0]
            if not busy.shape[0]:
                break
            if busy.shape[0] < KEPT_BUSY * rows.shape[0]:
                held = (rows, waiting, x, memory, errors, dual, fine, step._replace(state=None))
                rows, waiting, x, memory, errors, dual, fine, step = _take(held, busy)
                plain = problem(rows)
        x, memory = _extrapolated(x, memory, step, errors, dual, fine, free)
        state = None
    return _gathered(left, n_iter, tol, trace)


def _felt(change: Array, mass: Array) -> Array:
    """A change, 0 where there is no mass: there the logarithms may be -inf, and their difference no number."""
    xp = array_namespace(change)
    if on_host(change) and math.isfinite(number(xp.sum(change))):
        return change  # all are numbers: where there is no mass the weight 0 is enough
    return xp.where(mass > 0, change, xp.zeros_like(change))


def _violation(mass: Array, moves: Array) -> Array:
    """At least the L1 violation of the worst part before an iteration, and so at least what the iteration leaves of it.

    NaN where a scaling has underflowed to 0, or overflowed, in a bin with mass: no number of iterations mends that. A move
    that is only long may still have an infinite violation.
    """
    xp = array_namespace(moves)
    violation = xp.max(xp.sum(mass * xp.maximum(moves, risen(-moves)), axis=-1), axis=-1)
    lost = ~xp.isfinite(xp.sum(mass * moves, axis=(-2, -1)))
    return xp.where(lost, xp.full_like(violation, float("nan")), violation)


def risen(t: Array) -> Array:
    """exp(t) - 1 or, of a small t, the least more that takes no exponential: t / (1 - t / 2), above it where t > 0."""
    xp = array_namespace(t)
    little = t <= LITTLE
    return xp.where(little, t / (1.0 - 0.5 * xp.where(little, t, xp.zeros_like(t))), xp.expm1(t))


def _rounding(x: Array, step: Plain, dual: Array) -> Array:
    """How far the dual value may be off: it is a difference of large terms."""
    xp = array_namespace(x)
    terms = xp.sum(step.mass * xp.abs(_felt(x, step.mass)), axis=(-2, -1))
    return 2.0**8 * float(xp.finfo(x.dtype).eps) * (xp.abs(dual) + terms)


def _remembered(memory: _Memory, step: Plain, moves: Array, depth: int) -> _Memory:
    """The memory with the difference of this iteration from the last one."""
    if memory.last is None:
        return memory._replace(last=(moves, step.logs))
    pair = moves - memory.last[0], _felt(step.logs - memory.last[1], step.mass)
    return memory._replace(last=(moves, step.logs), pairs=(*memory.pairs, pair)[-depth:], age=memory.age + 1.0)


def _extrapolated(
    x: Array, memory: _Memory, step: Plain, errors: Array, dual: Array, fine: Array, free: bool
) -> tuple[Array, _Memory]:
    """Where to go on from after the iteration that ended at ``x``, in every row: further on, or back."""
    xp = array_namespace(x)
    assert memory.last is not None  # the iteration that ended at x
    (moves, logs), pairs, age = memory.last, memory.pairs, memory.age
    weighted = step.mass * moves
    better = fine & (errors <= GROWTH * memory.error)
    better = better & (row_products([weighted], [memory.jump])[:, 0, 0] >= -BACKWARDS * memory.slope)
    if not bool(xp.all(better)):
        on = better[:, None, None]
        x, age = xp.where(on, x, memory.back), xp.where(better, age, xp.full_like(age, -1.0))
        if not bool(xp.all(xp.isfinite(errors))):
            none = xp.zeros_like(x)
            moves, logs, weighted = (xp.where(on, a, b) for a, b in ((moves, none), (logs, x), (weighted, none)))
            step = step._replace(mass=xp.where(on, step.mass, none))
            pairs = tuple(tuple(xp.where(on, a, xp.zeros_like(a)) for a in pair) for pair in pairs)
    share, changing = _combination(pairs, age, moves, step)
    reach = xp.where(better, 2.0 * memory.reach, memory.reach / 4.0)
    reach = xp.clip(reach, min=SHORTEST_REACH, max=LONGEST_REACH)
    share = share / xp.clip(xp.sum(xp.abs(share), axis=1) / reach, min=1.0)[:, None]
    jump = row_blend(-share, [end for _, end in pairs]) if pairs else xp.zeros_like(x)
    jump = _centred(jump, step.mass) if free else jump
    slope = row_products([weighted], [jump])[:, 0, 0]
    steady = changing <= float(xp.finfo(x.dtype).eps) ** 0.5  # or slow, and ever faster
    drifts = (age > 0) & (steady | ((changing <= SLOW) & (slope < 0)))
    if bool(xp.any(drifts)):  # on as they go
        on = reach[:, None, None] * moves
        jump = xp.where(drifts[:, None, None], _centred(on, step.mass) if free else on, jump)
        slope = row_products([weighted], [jump])[:, 0, 0]
    error = xp.where(better, errors, xp.full_like(errors, float("inf")))
    dual = xp.where(better, dual, xp.full_like(dual, -float("inf")))  # what follows is plain: nothing to undo
    return x + jump, _Memory(x, error, dual, jump, slope, reach, age, (moves, logs), pairs)


def _centred(jump: Array, mass: Array) -> Array:
    """A jump without the constants that are free."""
    xp = array_namespace(jump)
    total = xp.sum(mass, axis=-1, keepdims=True)
    return jump - xp.sum(mass * jump, axis=-1, keepdims=True) / xp.where(total > 0, total, xp.ones_like(total))


def _combination(pairs: tuple[tuple[Array, Array], ...], age: Array, moves: Array, step: Plain) -> tuple[Array, Array]:
    """The shares (rows, depth) of the pairs that leave least of the moves; and by which share of them the moves change.

    Where that is rounding, it holds no direction: components that hardly exchange mass drift at a constant speed.
    """
    xp, depth = array_namespace(age), len(pairs)
    if not pairs:
        return xp.zeros((age.shape[0], 0), dtype=age.dtype, device=device(age)), xp.ones_like(age)
    weight = step.mass * step.factor
    gram, right = row_gram(weight, [change for change, _ in pairs], moves)
    older = xp.arange(depth - 1, -1, -1, dtype=age.dtype, device=device(age))  # than how many others
    known = older[None, :] < age[:, None]
    gram = xp.where(known[:, :, None] & known[:, None, :], gram, xp.zeros_like(gram))
    right = xp.where(known, right, xp.zeros_like(right))
    info = xp.finfo(age.dtype)
    changed, moved = xp.linalg.trace(gram), row_products([weight * moves], [moves])[:, 0, 0]
    ridge = 2.0**12 * float(info.eps) * changed + float(info.smallest_normal)
    eye = xp.eye(depth, dtype=age.dtype, device=device(age))
    share = xp.linalg.solve(gram + ridge[:, None, None] * eye, right[:, :, None])[:, :, 0]
    return share, xp.where(
        moved > 0, xp.sqrt(changed / xp.where(moved > 0, moved, xp.ones_like(moved))), xp.ones_like(moved)
    )


def _take(tree: Any, rows: Array) -> Any:
    """These rows of every array in nested tuples; a function stays as it is."""
    if tree is None or callable(tree):
        return tree
    if isinstance(tree, tuple):
        held = [_take(a, rows) for a in tree]
        return type(tree)(*held) if hasattr(tree, "_fields") else tuple(held)
    return tree if tree.shape[0] == 1 else take_rows(tree, rows)


def _gathered(left: list[Any], n_iter: int, tol: float, trace: list[tuple[int, float]]) -> Run:
    """The rows in their first order, whenever they left."""
    xp = array_namespace(left[0][0])
    if len(left) == 1:
        rows, errors, state = left[0]
    else:
        rows, errors, state = (_joined(column) for column in zip(*left))
        order = xp.argsort(rows)
        errors, state = _take((errors, state), order)
    return Run(state, n_iter, number(xp.max(errors)), errors <= tol, trace)


def _joined(column: tuple[Any, ...]) -> Any:
    """Arrays, or tuples of arrays, one after the other along their first axis."""
    first = column[0]
    if isinstance(first, tuple):
        return type(first)(*(_joined(fields) for fields in zip(*column)))
    return None if first is None else array_namespace(first).concat(column, axis=0)


def nth(steps: Iterator[Any], n: int) -> Any:
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
    registry: dict[Any, Any]


def callers_line() -> Line | None:
    """The line outside this package (and what drives it: scikit-learn, joblib) that called it; None in a bare thread."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.partition(".")[0] not in _OURS or name == "wdl_tutorial.__main__":
            registry = frame.f_globals.setdefault("__warningregistry__", {})
            return Line(frame.f_code.co_filename, frame.f_lineno, name, registry)
        frame = frame.f_back
    return getattr(_DOOR, "line", None)


class Missed(NamedTuple):
    """An inner run that stopped short of its tolerance."""

    what: str
    n_iter: int
    error: float
    tol: float
    remedy: str


class Sender(NamedTuple):
    """In whose name a worker's thread warns, and where it counts the runs that stopped short."""

    line: Line | None
    missed: list[Missed] | None


def this_sender() -> Sender:
    """The thread that is about to send others to work."""
    return Sender(callers_line(), getattr(_DOOR, "missed", None))


@contextmanager
def in_the_name_of(sender: Sender) -> Iterator[None]:
    """A worker's thread warns, and counts, as the thread which sent it."""
    before = getattr(_DOOR, "line", None), getattr(_DOOR, "missed", None)
    _DOOR.line, _DOOR.missed = sender
    try:
        yield
    finally:
        _DOOR.line, _DOOR.missed = before


class Heard(NamedTuple):
    """What was said in another process, for the caller's."""

    missed: list[Missed]
    warnings: list[tuple[str, type[Warning]]]

    def repeat(self, replayed: set[tuple[str, type[Warning]]]) -> None:
        """Say it here: each warning once, however many chunks gave it."""
        for run in self.missed:
            warn_not_converged(*run)
        for said in self.warnings:
            if said not in replayed:
                replayed.add(said)
                warn(*said)


@contextmanager
def overheard() -> Iterator[Heard]:
    """Collect what this thread would warn of within the block, instead of warning."""
    before = getattr(_DOOR, "missed", None), getattr(_DOOR, "told", None)
    heard = Heard([], [])
    _DOOR.missed, _DOOR.told = heard
    try:
        yield heard
    finally:
        _DOOR.missed, _DOOR.told = before


@contextmanager
def said_once(what: str, prefix: str = "") -> Iterator[list[Missed]]:
    """Of all inner runs that stop short within the block, one warning at its end: how many, the worst, what to change.

    ``prefix`` is what ``tol`` and ``max_iter`` begin with at this door. Yields the list of them; a block within a block
    leaves it to the outer one.
    """
    outer = getattr(_DOOR, "missed", None)
    if outer is not None:
        yield outer
        return
    missed: list[Missed] = []
    _DOOR.missed = missed
    try:
        yield missed
    finally:
        _DOOR.missed = None
    if missed:
        worst = max(missed, key=lambda run: run.error / max(run.tol, 1e-300))
        runs = f"{len(missed)} inner runs" if len(missed) > 1 else "An inner run"
        remedy = worst.remedy.replace("max_iter", f"{prefix}max_iter").replace("raise tol", f"raise {prefix}tol")
        warn(
            f"{runs} of {what} stopped short, at worst {worst.what} after {worst.n_iter} iterations with error "
            f"{worst.error:.1e} > {prefix}tol {worst.tol:.1e}. {remedy}",
            ConvergenceWarning,
        )


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of whoever called the package, however deep inside it the reason was found."""
    told = getattr(_DOOR, "told", None)
    if told is not None:
        told.append((message, category))
        return
    line = callers_line()
    if line is None:
        warnings.warn(message, category, stacklevel=2)
        return
    warnings.warn_explicit(message, category, *line)


def warn_not_converged(what: str, n_iter: int, error: float, tol: float, remedy: str) -> None:
    """Say what stopped short, by how much, and what to change; or count it, where :func:`said_once` will say it."""
    missed = getattr(_DOOR, "missed", None)
    if missed is not None:
        missed.append(Missed(what, n_iter, error, tol, remedy))
        return
    warn(
        f"{what} stopped after {n_iter} iterations with error {error:.1e} > tol {tol:.1e}. {remedy}",
        ConvergenceWarning,
    )


def deprecated(name: str, instead: str, *, until: str) -> None:
    """Say that a public name is going: it works until version ``until``, and ``instead`` is what to write."""
    warn(f"{name} is deprecated and will be gone in version {until}. Use {instead}.", DeprecationWarning)


PATIENCE = 3.0  # seconds after which a run shows a bar by itself


class Bar:
    """A progress bar that is made once it is wanted: tqdm's, of the terminal or of the notebook."""

    def __init__(self, total: int, what: str, unit: str, *, wait: float):
        self.n, self._words, self._wait, self._start = 0, "", wait, time.time()
        self._about: dict[str, Any] = {"total": total, "desc": what, "unit": unit}
        self._bar: Any = None
        self.update(0)

    def update(self, n: int = 1) -> None:
        """Count ``n`` more."""
        self.n += n
        if self._bar is not None:
            self._bar.update(n)
        elif time.time() - self._start >= self._wait:
            from tqdm.auto import tqdm

            self._bar = tqdm(**self._about, postfix=self._words)
            self._bar.start_t = self._start
            self._bar.update(self.n)

    def tell(self, words: str) -> None:
        """Write ``words`` behind the bar, where it is drawn next."""
        self._words = words
        if self._bar is not None:
            self._bar.set_postfix_str(words, refresh=False)

    def close(self, *, full: bool) -> None:
        """Leave the bar as it is; ``full``: what has settled is done, not a tenth done."""
        self.update(0)
        if self._bar is not None:
            self._bar.total = self.n if full else self._bar.total
            self._bar.refresh()
            self._bar.close()


@contextmanager
def progress(total: int, what: str, unit: str, *, shown: bool | None) -> Iterator[Bar]:
    """A progress bar that ends full where the work ends early.

    ``shown`` is True, False, or None: where somebody looks on, for what takes longer than :data:`PATIENCE` seconds.
    """
    wanted = somebody_looks_on() if shown is None else shown
    bar = Bar(total, what, unit, wait=math.inf if not wanted else 0.0 if shown else PATIENCE)
    full = False
    try:
        yield bar
        full = True
    finally:
        bar.close(full=full)


def ticked(items: Iterable[Any], bar: Any) -> Iterator[Any]:
    """The items, each counted on the bar once what was done with it is done."""
    for item in items:
        yield item
        bar.update()


def somebody_looks_on() -> bool:
    """Whether a person sees what is printed: in a terminal, or in a notebook that could be asked a question.

    A front end allows ``input()``; what executes notebooks by themselves (nbclient, nbval) does not, and what they store
    shall not hang on how fast a machine is.
    """
    if sys.stderr.isatty():
        return True
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return bool(getattr(getattr(shell, "kernel", None), "_allow_stdin", False))
