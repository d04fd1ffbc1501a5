"""Run one function over chunks of samples: in this thread, in several, or wherever joblib's backend takes it.

joblib does the work. Threads are the default, since NumPy and BLAS let go of the interpreter; for processes of this machine
choose a backend around the call, ``joblib.parallel_config(backend="loky")`` or ``"dask"``. Results come back in the order of
the chunks, and are added up in that order, so that a sum is the same to the last bit however many workers there are.

What is mapped over are tuples that hold the rows of a chunk, by a function that holds no rows: a task takes its own rows to
its worker, and nothing of the others'. They travel once for every evaluation, many hundred times a fit: for other machines
see :mod:`wdl_tutorial.blocks`, which sends them once.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from ._array import Array, is_numpy, on_host
from ._checks import integer, is_integer, shown
from ._fast import lent_buffers
from .iterate import Heard, Sender, in_the_name_of, overheard, this_sender

PANEL_ELEMENTS = 2**17  # of a chunk on the host: a compromise of cache and of calls
SETTLING_ELEMENTS = (
    2**19
)  # of one whose runs converge: its last rows, a call for few of them, are fewer chunks' last rows
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
    panel, tape = SETTLING_ELEMENTS if n_iter is None else PANEL_ELEMENTS, TAPE_ELEMENTS
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
    """How many workers: None means all cores for NumPy, and one for backends that use the cores by themselves.

    All cores are those of this machine, or of the cluster that joblib was given, where it has more.
    """
    if n_jobs is None:
        n_jobs = -1 if is_numpy(x) else 1
    cores = cores_at_hand()
    if not is_integer(n_jobs) or n_jobs == 0 or n_jobs < -cores:
        raise ValueError(f"n_jobs must be a positive number, or -1 for all {cores} cores; got {shown(n_jobs)}.")
    return max(1, min(n_jobs if n_jobs > 0 else cores + 1 + n_jobs, n_chunks))


def cores_at_hand() -> int:
    """The cores this process may use, or those of the cluster behind joblib's backend: a driver may have one itself."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    joblib = sys.modules.get("joblib")  # who has not imported it has chosen no backend
    return here if joblib is None else max(here, joblib.parallel.get_active_backend("threads")[0].effective_n_jobs(-1))


Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]  # each thing is a tuple that holds its rows


class WorkersLost(RuntimeError):
    """The processes that computed were killed, by a signal or for want of memory."""


@contextmanager
def workers(n_jobs: int) -> Iterator[Mapper]:
    """A mapper that lives as long as the block: results in the order of the chunks, BLAS at one thread per worker."""
    if n_jobs == 1:
        yield map
        return
    import joblib

    backend = joblib.parallel.get_active_backend("threads")[0]
    as_they_come = "generator" if backend.supports_return_generator else "list"
    sender, replayed = this_sender(), set[tuple[str, type[Warning]]]()
    with (
        _one_thread_each(),
        joblib.Parallel(n_jobs=n_jobs, prefer="threads", return_as=as_they_come) as parallel,
    ):

        def mapper(function: Callable[[Any], Any], things: Iterable[Any]) -> Iterator[Any]:
            if getattr(backend, "supports_sharedmem", False):
                yield from parallel(joblib.delayed(_named)(sender, function, thing) for thing in things)
                return
            for found, heard in _unless_lost(parallel(joblib.delayed(_away)(function, thing) for thing in things)):
                heard.repeat(replayed)
                yield found

        yield mapper


def _named(sender: Sender, function: Callable[[Any], Any], thing: Any) -> Any:
    with in_the_name_of(sender):
        return function(thing)


def _away(function: Callable[[Any], Any], thing: Any) -> tuple[Any, Heard]:
    """In another process, which goes on living: its warnings come back with the result, and no buffer stays there."""
    with lent_buffers(), overheard() as heard:
        return function(thing), heard


def _unless_lost(results: Iterable[Any]) -> Iterator[Any]:
    """The results, or one error for all the ways in which processes can be killed."""
    try:
        yield from results
    except BrokenProcessPool as error:
        raise WorkersLost(
            "a worker process was killed, by a signal or for want of memory. Use fewer workers (n_jobs), or smaller "
            "chunks (chunk_size)."
        ) from error


class _BlasLimit:
    """BLAS at one thread for as long as anyone asks: of fits that overlap, the last to end gives the threads back."""

    def __init__(self) -> None:
        self.lock, self.users = threading.Lock(), 0
        self.limits: Any = None  # of threadpoolctl, while there are users

    def take(self) -> None:
        import threadpoolctl

        with self.lock:
            if not self.users:
                self.limits = threadpoolctl.threadpool_limits(1, user_api="blas")
            self.users += 1

    def give_back(self) -> None:
        with self.lock:
            self.users -= 1
            if not self.users:
                self.limits.restore_original_limits()


_BLAS = _BlasLimit()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    _BLAS.take()
    try:
        yield
    finally:
        _BLAS.give_back()
