"""Run one function over chunks of samples: in this thread, in several, or wherever joblib's backend takes it.

joblib does the work. Threads are the default, since NumPy and BLAS let go of the interpreter; for other machines choose a
backend around the call, for instance ``joblib.parallel_config(backend="dask")``. Results come back in the order of the
chunks, and are added up in that order, so that a sum is the same to the last bit however many workers there are.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ._array import Array, is_numpy, on_host
from ._checks import integer
from .iterate import Sender, in_the_name_of, this_sender

PANEL_ELEMENTS = 2**17  # of a chunk on the host: a compromise of cache and of calls
TAPE_ELEMENTS = 2**23  # of all recorded iterations of a chunk on the host: 64 MB a worker
DEVICE_TAPE_ELEMENTS = 2**29
DENSE_COLUMNS = 128  # that one pass over a dense kernel should serve


def chunk_length(
    x: Array, n_atoms: int, n_iter: int | None, chunk_size: int | None = None, *, dense: bool = False
) -> int:
    """Samples per chunk: what was asked for, or what fits the cache and bounds the memory of the recorded iterations.

    ``dense``: the kernel is a matrix. Above a thousand bins it fits no cache and each product reads all of it, so that it
    is better read for many columns at once; the record may then be twice as large as the matrix.
    """
    if chunk_size is not None:
        return integer("chunk_size", chunk_size, unless=", or None")
    n_bins = x.shape[-1]
    per_sample = int(n_atoms) * n_bins  # a count of eight bits would overflow
    recorded = per_sample * 2 * int(n_iter or 1)
    if not on_host(x):
        return max(1, DEVICE_TAPE_ELEMENTS // recorded)
    panel, tape = PANEL_ELEMENTS, TAPE_ELEMENTS
    if dense:
        panel, tape = max(panel, DENSE_COLUMNS * n_bins), max(tape, 2 * n_bins**2)
    return max(1, min(tape // recorded, panel // per_sample))


def slices(n: int, length: int) -> list[slice]:
    """Consecutive slices of at most ``length``, as equal as can be.

    Their number is a multiple of four where it is more than two, so that two or four workers end together, and does not
    depend on how many workers there are.
    """
    n_chunks = max(1, math.ceil(n / length))
    n_chunks = min(n, 4 * math.ceil(n_chunks / 4)) if n_chunks > 2 else n_chunks
    edges = [n * i // n_chunks for i in range(n_chunks + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def worker_count(n_jobs: int | None, x: Array, n_chunks: int) -> int:
    """How many workers: None means all cores for NumPy, and one for backends that use the cores by themselves."""
    if n_jobs is None:
        n_jobs = -1 if is_numpy(x) else 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    whole = isinstance(n_jobs, int | np.integer) and not isinstance(n_jobs, bool)
    if not whole or n_jobs == 0 or n_jobs < -cores:
        raise ValueError(f"n_jobs must be a positive number, or -1 for all {cores} cores; got {n_jobs!r}.")
    return max(1, min(n_jobs if n_jobs > 0 else cores + 1 + n_jobs, n_chunks))


Mapper = Callable[[Callable[[slice], Any], list[slice]], Iterator[Any]]


@contextmanager
def workers(n_jobs: int) -> Iterator[Mapper]:
    """A mapper that lives as long as the block: results in the order of the chunks, BLAS at one thread per worker."""
    if n_jobs == 1:
        yield lambda function, parts: map(function, parts)
        return
    import joblib
    import threadpoolctl

    with (
        threadpoolctl.threadpool_limits(1, user_api="blas"),
        joblib.Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator") as parallel,
    ):
        sender = this_sender()
        yield lambda function, parts: parallel(joblib.delayed(_named)(sender, function, part) for part in parts)


def _named(sender: Sender, function: Callable[[slice], Any], part: slice) -> Any:
    with in_the_name_of(sender):
        return function(part)
