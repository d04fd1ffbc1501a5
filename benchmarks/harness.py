"""Run two functions by turns and print medians of ratios; measure the peak memory of a function in a process of its own.

A machine drifts while it is measured: by turns, each pair of runs sees the same weather, so that the ratio of a pair means
more than the ratio of two means.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def seconds(function: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def by_turns(ours: Callable[[], object], peer: Callable[[], object], *, rounds: int = 7) -> dict[str, float]:
    """Medians over ``rounds`` of both times and of their ratio, peer / ours, after one call of each to warm up."""
    ours(), peer()
    pairs = [(seconds(ours), seconds(peer)) for _ in range(rounds)]
    ratios = [b / a for a, b in pairs]
    return {
        "ours_s": statistics.median(a for a, _ in pairs),
        "peer_s": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
    }


def report(name: str, found: dict[str, float]) -> None:
    """One line a comparison."""
    print(
        f"{name:58s} ours {found['ours_s'] * 1e3:9.1f} ms   peer {found['peer_s'] * 1e3:9.1f} ms   "
        f"ratio {found['ratio']:6.2f}  ({found['low']:.2f} to {found['high']:.2f})",
        flush=True,
    )


def peak_mb() -> float:
    """Peak resident memory of this process so far, in MB. On Linux from /proc: getrusage counts the parent's before exec."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def peak_of(script: str, argument: str) -> float:
    """Peak memory in MB of ``python script argument``, which prints it as its last word."""
    done = subprocess.run([sys.executable, script, argument], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])
