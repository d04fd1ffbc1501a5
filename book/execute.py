"""Run the chapters that have no fresh result into Jupyter Book's cache, several at a time: `make book` does it first.

    python book/execute.py --cache _build/.jupyter_cache --jobs 2 book/*.ipynb

Prints what each chapter took, slowest first, and the traceback of one that failed.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution

TIMEOUT = 300  # seconds for one cell


def stale(cache, paths: list[Path]) -> list[Path]:
    """The chapters whose code the cache holds no result for."""
    missing = []
    for path in paths:
        try:
            cache.match_cache_notebook(nbformat.read(path, as_version=4))
        except KeyError:
            missing.append(path)
    return missing


def run(path: Path):
    """Execute one chapter in its folder, from a clean kernel."""
    notebook = nbformat.read(path, as_version=4)
    return path, single_nb_execution(notebook, cwd=str(path.parent.resolve()), timeout=TIMEOUT, allow_errors=False)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    cache = get_cache(options.cache)
    seconds, failed = {}, 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for path, result in pool.map(run, stale(cache, options.notebooks)):
            if result.err is not None:
                failed += 1
                print(f"{path} failed:\n{result.exc_string}", file=sys.stderr)
                continue
            seconds[path.name] = result.time
            data = {"execution_seconds": result.time}
            bundle = CacheBundleIn(result.nb, str(path.resolve()), data=data)
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    for name, spent in sorted(seconds.items(), key=lambda pair: -pair[1]):
        print(f"{spent:7.1f} s  {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
