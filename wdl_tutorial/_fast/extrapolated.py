"""The NumPy twin of `iterate.accelerated`: the same rule with the rows innermost in memory, and every pass counted.

A batch of a hundred rows does not fit the cache nearest to the processor: what an extrapolation costs is how often it reads
the differences that it combines. `iterate.accelerated` is what to read, and what the tests hold this to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..iterate import (
    BACKWARDS,
    FIRST_REACH,
    GROWTH,
    KEPT_BUSY,
    LITTLE,
    LONGEST_REACH,
    SHORTEST_REACH,
    SLOW,
    Batch,
    Run,
    risen,
)

FEW = 24  # rows, up to which a matrix product for each costs less than a loop over the bins


class Logs(NamedTuple):
    """What the twins of `plain_iteration` leave: the logarithms that a plain iteration goes on from."""

    logs: np.ndarray  # (rows, parts, padded bins)


def logical(x: np.ndarray) -> np.ndarray:
    """(blocks, size, parts, rows), or (bins, parts, rows), as the view (rows, parts, bins) that `accelerated` reads."""
    return x.reshape(-1, *x.shape[-2:]).transpose(2, 1, 0)


def accelerated(
    problem: Batch, x: np.ndarray, *, tol: float, max_iter: int, depth: int = 4, every: int = 3, free: bool = True
) -> Run:
    """`iterate.accelerated` for a batch and a start with the rows innermost; arrays here are (bins, parts, rows)."""
    n = x.shape[0]
    rows, waiting = np.arange(n), np.ones(n, bool)
    plain, state, left, trace = problem(None), None, [], []
    at = x.transpose(2, 1, 0)
    kind = np.finfo(x.dtype)
    back, jump, last = at, None, None
    error, dual, slope = np.full(n, np.inf), np.full(n, -np.inf), np.zeros(n)
    reach, age = np.full(n, FIRST_REACH), np.zeros(n)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for n_iter in range(1, max_iter + 1):
        step = plain(logical(at), state)
        state, logs = step.state, step.logs.transpose(2, 1, 0)
        moves = logs - at
        sound = bool(np.isfinite(moves.sum()))
        moves = moves if sound else _felt(moves, step.mass.transpose(2, 1, 0))
        if last is not None:
            led = moves if last[1] is at else logs - last[1]  # what was undone may have had infinite logs
            if led is not moves and not np.isfinite(led.sum()):
                led = _felt(led, step.mass.transpose(2, 1, 0))
            pairs = [*pairs, (moves - last[0], led)][-depth:]
            age += 1.0
        last, at = (moves, logs), logs
        if n_iter % every and n_iter < max_iter:
            continue
        mass = step.mass.transpose(2, 1, 0)
        weighted = mass * moves
        errors, now = _violation(mass, moves, weighted), step.dual()
        fine = now >= dual  # NaN is not
        if not fine.all():
            terms = np.abs(logs) if sound else np.abs(_felt(logs, mass))
            fine = now >= dual - 2.0**8 * float(kind.eps) * (np.abs(now) + _dots(mass, terms))
        trace.append((n_iter, float(np.where(waiting, errors, 0.0).max())))
        broken = bool((waiting & np.isnan(errors) & ~(error < np.inf)).any())  # and no way back
        gone = waiting & ((fine & (errors <= tol)) | broken | (n_iter == max_iter))
        factor = step.factor.transpose(2, 1, 0)
        if gone.any():
            out = np.nonzero(gone)[0]
            left.append((rows[out], errors[out], np.take(logs, out, axis=-1)))
            waiting &= ~gone
            busy = np.nonzero(waiting)[0]
            if not busy.size:
                break
            if busy.size < KEPT_BUSY * rows.size:
                rows = rows[busy]
                plain = problem(rows)
                mass, factor, at, moves, weighted, back = (
                    some(a, busy) for a in (mass, factor, at, moves, weighted, back)
                )
                jump, last = None if jump is None else some(jump, busy), (moves, at)
                pairs = [(some(a, busy), some(b, busy)) for a, b in pairs]
                held = (waiting, errors, now, fine, error, dual, slope, reach, age)
                waiting, errors, now, fine, error, dual, slope, reach, age = (a[busy] for a in held)
        # ------------------------------------------------------------------------------------- further on, or back
        better = fine & (errors <= GROWTH * error)
        if jump is not None:
            better &= _dots(weighted, jump) >= -BACKWARDS * slope
        if not better.all():
            at, age = np.where(better, at, back), np.where(better, age, -1.0)
            if not np.isfinite(errors).all():
                moves, weighted, mass = (np.where(better, a, 0.0) for a in (moves, weighted, mass))
                pairs = [(np.where(better, a, 0.0), np.where(better, b, 0.0)) for a, b in pairs]
                last = moves, np.where(better, last[1], at)
        reach = np.clip(np.where(better, 2.0 * reach, reach / 4.0), SHORTEST_REACH, LONGEST_REACH)
        jump, changing = np.zeros_like(at), np.ones_like(errors)
        if pairs:
            share, changing = _combination(pairs, age, moves, mass * factor, kind)
            share /= np.maximum(np.abs(share).sum(axis=1) / reach, 1.0)[:, None]
            term = np.empty_like(jump)
            for i, (_, led) in enumerate(pairs):
                jump -= np.multiply(led, share[:, i], out=term)
        if free:
            _centre(jump, mass)
        slope = _dots(weighted, jump)
        drifts = (age > 0) & ((changing <= float(kind.eps) ** 0.5) | ((changing <= SLOW) & (slope < 0)))
        if drifts.any():  # on as they go
            on = reach * moves
            if free:
                _centre(on, mass)
            jump = np.where(drifts, on, jump)
            slope = _dots(weighted, jump)
        error, dual = np.where(better, errors, np.inf), np.where(better, now, -np.inf)
        back, at, state = at, at + jump, None
    found, errors, ends = (np.concatenate(column, axis=-1) for column in zip(*left))
    order = np.argsort(found)
    errors = errors[order]
    ends = ends if len(left) == 1 else np.take(ends, order, axis=-1)
    return Run(Logs(logical(ends)), n_iter, float(errors.max()), errors <= tol, trace)


def some(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """These rows; what all rows share stays."""
    return x if x.shape[-1] == 1 else np.take(x, rows, axis=-1)


def _dots(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Inner products, row by row."""
    return np.einsum("kmn,kmn->n", x, y)


def _felt(change: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """A change, 0 where there is no mass, and the logarithms may be -inf."""
    return np.where(mass > 0, change, 0.0)


def _violation(mass: np.ndarray, moves: np.ndarray, weighted: np.ndarray) -> np.ndarray:
    """At least the L1 violation of the worst part; NaN where a scaling has underflowed or overflowed in a bin with mass."""
    falls = np.negative(moves)
    worst = falls / np.subtract(1.0, np.multiply(falls, 0.5)) if falls.max() <= LITTLE else risen(falls)
    np.maximum(moves, worst, out=worst)
    worst = np.einsum("kmn,kmn->mn", mass, worst).max(axis=0)
    lost = ~np.isfinite(weighted.sum(axis=(0, 1)))
    return np.where(lost, np.nan, worst)


def _centre(jump: np.ndarray, mass: np.ndarray) -> None:
    """Take the constants that are free out of a jump, in place."""
    total = mass.sum(axis=0)
    jump -= np.einsum("kmn,kmn->mn", mass, jump) / np.where(total > 0, total, 1.0)


def _combination(
    pairs: list[tuple[np.ndarray, np.ndarray]], age: np.ndarray, moves: np.ndarray, weight: np.ndarray, kind: np.finfo
) -> tuple[np.ndarray, np.ndarray]:
    """The shares (rows, depth) of the pairs that leave least of the moves; and by which share of them the moves change."""
    depth, n = len(pairs), moves.shape[-1]
    every = [change for change, _ in pairs] + [moves]
    gram = np.empty((n, depth + 1, depth + 1), moves.dtype)
    if n <= FEW:
        held = np.stack(every).reshape(depth + 1, -1, n).transpose(2, 0, 1)
        np.matmul(held * weight.reshape(-1, n).T[:, None, :], held.transpose(0, 2, 1), out=gram)
    else:
        left = np.empty_like(moves)
        for i, change in enumerate(every):
            np.multiply(weight, change, out=left)
            for j in range(i + 1):
                gram[:, i, j] = gram[:, j, i] = _dots(left, every[j])
    right, moved, gram = gram[:, :depth, depth].copy(), gram[:, depth, depth].copy(), gram[:, :depth, :depth]
    known = np.arange(depth - 1, -1, -1) < age[:, None]  # pairs newer than the last undone extrapolation
    gram, right = np.where(known[:, :, None] & known[:, None, :], gram, 0.0), np.where(known, right, 0.0)
    changed = np.trace(gram, axis1=1, axis2=2)
    gram[:, np.arange(depth), np.arange(depth)] += (2.0**12 * float(kind.eps) * changed + float(kind.smallest_normal))[
        :, None
    ]
    share = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
    return share, np.where(moved > 0, np.sqrt(changed / np.where(moved > 0, moved, 1.0)), 1.0)
