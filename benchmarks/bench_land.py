"""Time and peak memory of LAND: Salinas A, the same scene tiled with noise, and what a new time or budget costs.

    WDL_TUTORIAL_DATA=... python benchmarks/bench_land.py            everything
    WDL_TUTORIAL_DATA=... python benchmarks/bench_land.py small      Salinas A only
    WDL_TUTORIAL_DATA=... python benchmarks/bench_land.py cells      the tiled scene, the faster search only
    python benchmarks/bench_land.py synthetic                        a stand-in of the same size, without the scene

Each figure comes from a process of its own, so that its peak is its own. The peak is that of the whole process, minus
what it held when the features were ready: the import, the scene and the features are not LAND's. Beside the elapsed
time stands the time of all threads: on a machine that does other things as well, the time that elapses says little.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

N_SMALL = 7138


def features(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Unit-norm pixels and the labels of Salinas A (7138), of its tiling (111,104), or of a stand-in."""
    X, labels = stand_in() if kind.startswith("synthetic") else salinas_a()
    if kind.endswith("tiled"):
        X, labels = tiled(X, labels)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X, labels


def salinas_a() -> tuple[np.ndarray, np.ndarray]:
    from scipy.io import loadmat

    folder = Path(os.environ["WDL_TUTORIAL_DATA"]) / "salinas-a"
    cube = loadmat(folder / "SalinasA_corrected.mat")["salinasA_corrected"]
    labels = loadmat(folder / "SalinasA_gt.mat")["salinasA_gt"]
    return cube.reshape(-1, 204).astype(np.float64), labels.ravel().astype(int)


def stand_in() -> tuple[np.ndarray, np.ndarray]:
    """Seven smooth spectra with brightness and noise: the size of Salinas A, not its difficulty."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 7, N_SMALL)
    means = 1000 + 200 * np.cumsum(rng.normal(size=(7, 204)), axis=1) / np.sqrt(np.arange(1, 205))
    return np.round(means[labels] * rng.uniform(0.8, 1.2, (N_SMALL, 1)) + rng.normal(0, 10, (N_SMALL, 204))), labels


def tiled(X: np.ndarray, labels: np.ndarray, n: int = 111_104) -> tuple[np.ndarray, np.ndarray]:
    """The scene repeated up to n spectra, each with noise of its own: uniform in +-1 digital number."""
    copies = -(-n // len(X))
    out = np.tile(X, (copies, 1))[:n]
    out += np.random.default_rng(1).uniform(-1, 1, out.shape)
    return out, np.tile(labels, copies)[:n]


def memory() -> tuple[float, float]:
    """Resident memory now and at its highest so far, in MB."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return pages * resource.getpagesize() / 2**20, peak


def measure(kind: str, search: str) -> dict:
    from wdl_tutorial.diffusion import LAND

    X, labels = features(kind)
    before, _ = memory()
    started, cpu = time.perf_counter(), time.process_time()
    land = LAND(search=search).fit(X)
    asked = land.query(10, labels > 0)
    found = land.predict({int(i): labels[i] for i in asked})
    out = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
    _, peak = memory()
    out |= {"extra_mb": peak - before, "peak_mb": peak, "n": len(X)}
    out["accuracy"] = float(np.mean(found[labels > 0] == labels[labels > 0]))
    out["new_time_ms"] = 1e3 * best(lambda t: land.set_params(time=t).query(10, labels > 0), (10, 60, 100, 30.5, 31))
    land.set_params(time=30).query(10)
    given = {int(i): labels[i] for i in land.query(2000, labels > 0)}
    out["new_budget_ms"] = 1e3 * best(lambda b: land.query(b, labels > 0), (20, 50, 100, 200))
    out["predict_ms"] = 1e3 * best(lambda _: land.predict(given), range(5))
    out["labels"] = found.tolist()
    return out


def best(action, arguments) -> float:
    """The shortest of the calls, in seconds."""
    seconds = []
    for argument in arguments:
        started = time.perf_counter()
        action(argument)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def in_a_process(kind: str, search: str) -> dict:
    run = subprocess.run([sys.executable, __file__, "--measure", kind, search], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr)
    return json.loads(run.stdout.splitlines()[-1])


def report(kind: str, search: str, limit: str) -> np.ndarray:
    r = in_a_process(kind, search)
    took = f"{r['seconds']:.2f} s elapsed, {r['cpu']:.2f} s of processor time"
    held = f"{r['extra_mb']:.0f} MB beyond the features, {r['peak_mb']:.0f} MB in all"
    print(f"n={r['n']} {search}: {took}; {held} (limit {limit})")
    print(f"    then a new time {r['new_time_ms']:.1f} ms, a new budget {r['new_budget_ms']:.2f} ms", end=", ")
    print(f"labels from 2000 {r['predict_ms']:.2f} ms; accuracy with 10 labels {100 * r['accuracy']:.2f} %", flush=True)
    return np.array(r["labels"])


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--measure"]:
        print(json.dumps(measure(*arguments[1:])))
        return
    prefix = "synthetic-" if "synthetic" in arguments else "salinas-"
    print(f"threads: OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'all')}, cores {os.cpu_count()}, {prefix[:-1]}")
    if "cells" in arguments:
        report(prefix + "tiled", "cells", "60 s, 1500 MB")
        return
    report(prefix + "one", "exact", "4 s, 300 MB")
    if "small" not in arguments:
        exact = report(prefix + "tiled", "exact", "150 s, 1500 MB")
        fast = report(prefix + "tiled", "cells", "60 s, 1500 MB")
        print(f"labels that agree between the two searches: {100 * np.mean(exact == fast):.3f} % (limit 99.5 %)")


if __name__ == "__main__":
    main(sys.argv[1:])
