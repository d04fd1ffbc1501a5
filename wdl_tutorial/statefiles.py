"""The state of a fit as one .npz file, without pickle: numbers, texts, costs and arrays, nested as they were."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ._array import Array, is_array, to_backend, to_numpy
from .costs import GridCost, LineCost


def pack(x: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Nested tuples, lists and dicts of numbers, text, costs and arrays as JSON; the arrays go to ``arrays``."""
    if isinstance(x, GridCost):
        return {"grid": [list(x.grid), x.power, list(x.spacing)]}
    if isinstance(x, LineCost):
        return {"line": [pack(x.positions, arrays), x.power, x.scale]}
    if is_array(x) and not isinstance(x, np.generic):
        key = f"array_{len(arrays)}"
        arrays[key] = to_numpy(x)
        return {"array": key}
    if isinstance(x, dict):
        return {"dict": {k: pack(v, arrays) for k, v in x.items()}}
    if isinstance(x, list | tuple):
        return {"tuple" if isinstance(x, tuple) else "list": [pack(v, arrays) for v in x]}
    return x.item() if isinstance(x, np.generic) else x


def unpack(x: Any, arrays: dict[str, np.ndarray], like: Array | None) -> Any:
    """What :func:`pack` packed; arrays in the backend of ``like``."""
    if not isinstance(x, dict):
        return x
    ((kind, held),) = x.items()
    if kind == "grid":
        return GridCost(tuple(held[0]), power=held[1], spacing=tuple(held[2]))
    if kind == "line":
        return LineCost(unpack(held[0], arrays, None), power=held[1], scale=held[2])
    if kind == "array":
        return arrays[held] if like is None else to_backend(arrays[held], like)
    if kind == "dict":
        return {k: unpack(v, arrays, like) for k, v in held.items()}
    values = [unpack(v, arrays, like) for v in held]
    return tuple(values) if kind == "tuple" else values


def read_state(path: str | os.PathLike, what: str) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays and the text that :func:`write_state` wrote."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        return arrays, json.loads(str(arrays["text"]))
    except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no {what}, or is damaged ({type(error).__name__}: {error}). Delete it, or give another path."
        ) from error


def write_state(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> None:
    """An .npz that is whole or not there: written beside, then renamed."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the path of a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}. Make it first.")
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        np.savez(file, **arrays)
    os.replace(part, path)
