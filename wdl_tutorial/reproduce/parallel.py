"""Experiments in several processes, all of them writing to one ledger: each reports its pieces, the parent keeps them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any

from .table import Ledger, name_of


class Reporter(Ledger):
    """A ledger in a child process: instead of writing a file it sends what it has of its one experiment."""

    def __init__(self, key: str, kept: tuple[Any, Any], quick: bool, outbox: Any) -> None:
        self.key, self.quick, self.outbox = key, quick, outbox
        parts, run = kept
        self.parts, self.numbers, self.runs = {key: parts}, {}, {key: run} if run else {}

    def write(self) -> None:
        self.outbox.put(("kept", self.key, self.parts.get(self.key), self.numbers.get(self.key), self.runs[self.key]))


def work(experiment: Callable, kept: tuple[Any, Any], quick: bool, outbox: Any) -> None:
    """One experiment in a child process."""
    key = name_of(experiment)
    try:
        Reporter(key, kept, quick, outbox).run(experiment, note=lambda text: outbox.put(("note", key, text)))
        outbox.put(("done", key, None))
    except KeyboardInterrupt:
        pass
    except Exception as error:  # told in the parent; the other experiments go on
        outbox.put(("done", key, f"{type(error).__name__}: {error}"))


@contextmanager
def threads_shared(jobs: int) -> Iterator[None]:
    """While children start: as many threads for each as the machine has cores for; a user's own setting stands."""
    names = [name for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS") if name not in os.environ]
    os.environ.update(dict.fromkeys(names, str(max(1, (os.cpu_count() or 1) // jobs))))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


def run_all(ledger: Ledger, todo: list[Callable], jobs: int, done: Callable, note: Callable) -> list[str]:
    """Run the experiments, at most ``jobs`` at once; return those that failed, and why. The file is always whole."""
    context = multiprocessing.get_context("spawn")
    outbox, waiting, failed = context.Queue(), list(todo), []
    running: dict[str, Any] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                experiment = waiting.pop(0)
                key = name_of(experiment)
                kept = ledger.parts.get(key, {}), ledger.runs.get(key)
                child = context.Process(target=work, args=(experiment, kept, ledger.quick, outbox), daemon=True)
                with threads_shared(jobs):
                    child.start()
                running[key] = child
            try:
                kind, key, *rest = outbox.get(timeout=1.0)
            except Empty:
                for key in [key for key, child in running.items() if child.exitcode not in (None, 0)]:
                    failed.append(f"{key}: its process ended with {running.pop(key).exitcode}; out of memory?")
                continue
            if kind == "note":
                note(f"{key}: {rest[0]}")
            elif kind == "kept":
                _keep(ledger, key, *rest)
            else:
                running.pop(key).join()
                failed += [f"{key}: {rest[0]}"] if rest[0] else []
                done(key)
    finally:
        for child in running.values():
            child.terminate()
    return failed


def _keep(ledger: Ledger, key: str, parts: Any, numbers: Any, run: Any) -> None:
    ledger.runs[key] = run
    if numbers is None:
        ledger.parts[key] = parts
    else:
        ledger.numbers[key] = numbers
        ledger.parts.pop(key, None)
    ledger.write()
