"""The state of a fit as one .npz file, without pickle: numbers, texts, costs and arrays, nested as they were."""

from __future__ import annotations

import json
import os
import secrets
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ._array import Array, is_array, to_backend, to_numpy
from .costs import GridCost, LineCost
from .iterate import warn


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


@contextmanager
def reading(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Whatever a damaged or foreign file makes of the lines inside: one error that names the file."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no {what}, or is damaged ({type(error).__name__}: {error}). Delete it, or give another path."
        ) from error


def read_state(path: str | os.PathLike[str], what: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the text that :func:`write_state` wrote."""
    with reading(path, what):
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        held = json.loads(str(arrays["text"]))
        if not isinstance(held, dict):
            raise TypeError(f"its text is a {type(held).__name__}")
        return arrays, held


def write_state(path: str | os.PathLike[str], arrays: dict[str, np.ndarray]) -> None:
    """An .npz that is whole or not there."""
    save: Callable[..., None] = np.savez  # to whose type an array's name could be that of an option
    write_whole(path, lambda file: save(file, **arrays))


def write_whole(path: str | os.PathLike[str], write: Callable[[IO[bytes]], Any]) -> None:
    """A file that is whole or not there, whatever ends this: written beside under a name of its own, then renamed.

    Two runs that write to one path leave the file of the later one, whole.
    """
    path = Path(path)
    check_writable(path)
    part = _beside(path)
    try:
        with open(part, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, f"{path} was not written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no file can be written to, before hours of work want to be kept there."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the path of a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}. Make it first.")
    probe = _beside(path)
    try:
        open(probe, "xb").close()
    except OSError as error:
        raise OSError(
            error.errno, f"{path} cannot be written ({error.strerror}). Give a path in a folder that takes files"
        ) from error
    finally:
        probe.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{secrets.token_hex(6)}.part")


def keep(path: str | os.PathLike[str], write: Callable[[], None]) -> None:
    """Write a checkpoint amid a fit. A disk that fills up must not end hours of work: say so, and go on."""
    try:
        write()
    except OSError as error:
        warn(f"the checkpoint could not be kept, and the fit goes on without it. {error.strerror or error}")


@contextmanager
def all_or_nothing(estimator: Any, *, but: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """A fit that fails leaves the estimator as it was: fitted as before, or not at all, but never half.

    Where ``but()`` is true, what it has found so far stays.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        if not but():
            vars(estimator).clear()
            vars(estimator).update(before)
        raise
