"""Rows that live elsewhere: in a memory-mapped file, in zarr or HDF5, on a Dask cluster. The only file that knows Dask.

Three things are done with them, and none holds more than a slab in memory: some rows are drawn at random, all rows are
mapped a slab at a time, and the rows of a Dask array are mapped where they are, when they are asked for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ._array import array_namespace, is_array, is_frame, is_numpy, to_backend

SLAB = 1 << 26  # bytes that the work on one slab of rows may take
FEW = 8  # blocks that one draw of rows reads


def is_dask(x: Any) -> bool:
    """Is this a Dask array? Asked without importing Dask."""
    return type(x).__module__.partition(".")[0] == "dask" and hasattr(x, "map_blocks")


def elsewhere(x: Any) -> bool:
    """Are the rows of this on disk, or on other machines: a memory map, an array of zarr or h5py, or of Dask?"""
    if isinstance(x, np.memmap) or is_dask(x):
        return True
    shaped = all(hasattr(x, name) for name in ("shape", "dtype", "ndim")) and hasattr(type(x), "__getitem__")
    return (
        shaped and not is_array(x) and not is_frame(x) and not isinstance(x, np.generic) and not hasattr(x, "toarray")
    )


def row_blocks(x: Any) -> list[slice]:
    """The rows of a chunked array, chunk by chunk; of any other, all at once."""
    chunks = getattr(x, "chunks", None)
    if not chunks or not x.shape[0]:
        return [slice(0, x.shape[0])]
    if is_dask(x) and math.isnan(x.shape[0]):
        raise ValueError("X has chunks of unknown sizes: let Dask count them first, X.compute_chunk_sizes().")
    first = chunks[0]
    lengths = first if isinstance(first, tuple) else [first] * math.ceil(x.shape[0] / first)
    edges = np.minimum(np.cumsum([0, *lengths]), x.shape[0]).tolist()
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def some_rows(x: Any, size: int, rng: np.random.Generator, chance: np.ndarray | None = None) -> np.ndarray:
    """Numbers of ``size`` distinct rows at random, ascending; of a few random blocks where ``x`` is chunked.

    ``chance`` (n_rows,), which sums to one, is that of each row to be drawn first.
    """
    n, blocks = x.shape[0], row_blocks(x)
    if len(blocks) > FEW:
        lengths = np.array([block.stop - block.start for block in blocks], dtype=float)
        mass = lengths / n if chance is None else np.array([chance[block].sum() for block in blocks])
        chosen = rng.choice(len(blocks), size=min(FEW, int(np.count_nonzero(mass))), replace=False, p=mass)
        rows = np.concatenate([np.arange(blocks[i].start, blocks[i].stop) for i in np.sort(chosen)])
        part = None if chance is None else chance[rows] / chance[rows].sum()
        return rows[some_rows(rows, size, rng, part)]
    size = min(size, n if chance is None else int(np.count_nonzero(chance)))
    return np.sort(rng.choice(n, size=size, replace=False, p=chance, shuffle=False))


def take(x: Any, rows: np.ndarray) -> Any:
    """These rows, ascending, in memory; every block is read once."""
    if is_dask(x):
        return x[rows].compute()
    if not elsewhere(x):
        return x[rows] if is_numpy(x) else array_namespace(x).take(x, to_backend(rows, x), axis=0)
    parts = []
    for block in row_blocks(x):
        inside = rows[np.searchsorted(rows, block.start) : np.searchsorted(rows, block.stop)]
        if inside.size:
            whole = x[inside] if isinstance(x, np.memmap) else np.asarray(x[block])[inside - block.start]
            parts.append(np.asarray(whole))
    return np.concatenate(parts)


def slabs(x: Any, bytes_per_row: int) -> Iterator[slice]:
    """Slices of the first axis whose work fits a slab, from block to block where ``x`` is chunked."""
    most = max(1, SLAB // max(1, bytes_per_row))
    for block in row_blocks(x):
        n = block.stop - block.start
        pieces = max(1, math.ceil(n / most))
        edges = [block.start + n * i // pieces for i in range(pieces + 1)]
        yield from (slice(a, b) for a, b in itertools.pairwise(edges))


def map_rows(function: Callable[[np.ndarray], np.ndarray], x: Any, n_out: int) -> Any:
    """``function`` of the rows of a Dask array, along its last axis, computed where they are when they are asked for."""
    whole = x.rechunk({x.ndim - 1: -1})
    chunks = (*whole.chunks[:-1], (n_out,))
    return whole.map_blocks(function, chunks=chunks, dtype=np.float64, meta=np.empty((0,) * x.ndim))
