"""Memory that is used again: fresh memory of a chunk's size costs as much as the arithmetic that fills it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


class Claim:
    """A forward pass's claim to its thread's buffers, which ends when the next pass begins."""

    held = True

    def check(self) -> None:
        """Raise where the buffers hold another pass by now."""
        if not self.held:
            raise RuntimeError(
                "this forward pass has lost its buffers to a later one, or they were released; pull its gradient back "
                "before the next forward pass of this thread."
            )


class _Thread(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[str, np.ndarray] = {}
        self.claim = Claim()
        self.depth = 0


_thread = _Thread()


def buffer(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """This thread's buffer of that name."""
    held = _thread.buffers
    if name not in held or held[name].shape != shape or held[name].dtype != dtype:
        held[name] = np.empty(shape, dtype)
    return held[name]


def claim() -> Claim:
    """Take this thread's buffers for a new forward pass; the one before it can no longer be pulled back."""
    _thread.claim.held = False
    _thread.claim = Claim()
    return _thread.claim


@contextmanager
def lent_buffers() -> Iterator[None]:
    """Let go of this thread's buffers at the end of the outermost of these blocks; a worker's go with its thread."""
    _thread.depth += 1
    try:
        yield
    finally:
        _thread.depth -= 1
        if not _thread.depth:
            _thread.buffers = {}
            claim()
