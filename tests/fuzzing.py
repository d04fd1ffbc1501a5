"""Odd arguments for every public door, and what may come of them: the machinery of test_fuzz.py.

A :class:`Door` is a public function with small, sound arguments. A call changes up to two of them into something odd:
another type, shape or size, NaN, a mask, a text. Three outcomes are allowed:

* a finite answer (the same one, where the odd argument means what the sound one meant);
* one error of a few stated types, raised by our own line, that names the argument;
* a finite answer with a warning that says what is not right.
"""

from __future__ import annotations

import copy
import math
import re
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError

import wdl_tutorial

PACKAGE = str(Path(wdl_tutorial.__file__).parent)
ALLOWED = (
    ValueError,
    TypeError,
    FloatingPointError,
    MemoryError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    FileExistsError,
    PermissionError,
    ImportError,
    NotFittedError,
)
TOLD = (UserWarning, FutureWarning)  # and what derives from them; a RuntimeWarning is a leak


class Door(NamedTuple):
    """A public function, how to make sound arguments for it, and what kind of thing each argument is."""

    call: Callable[..., Any]
    sound: Callable[[np.random.Generator], dict[str, Any]]
    kinds: dict[str, str]
    infinite: bool = False  # whether its answer may be infinite, as a signal-to-noise ratio of equal things
    nan: bool = False  # whether its answer may hold NaN, as a map whose pixels are masked
    atol: float = 1e-9  # by how much answers to arguments that mean the same may differ
    heard: Mapping[str, str] = {}  # other words by which an error may name an argument: what it does not fit


# ------------------------------------------------------------------------------------------------------- odd arguments
#
# kind -> name -> how to make it from the sound one. Where the name ends in "*" the odd argument means what the sound one
# meant, and the answer has to be the same.


def _with(x: Any, value: float) -> np.ndarray:
    x = np.array(x, dtype=float)
    if x.size:
        x.flat[x.size // 2] = value
    return x


def _read_only(x: Any) -> np.ndarray:
    x = np.array(x)
    x.flags.writeable = False
    return x


def _torch(x: Any, **options: Any) -> Any:
    import torch

    return torch.tensor(np.array(x), **options)


ARRAY: dict[str, Callable[[Any], Any]] = {
    "list*": lambda x: np.asarray(x).tolist(),
    "read-only*": _read_only,
    "Fortran order*": np.asfortranarray,
    "strided*": lambda x: np.repeat(np.asarray(x), 2, axis=-1)[..., ::2],
    "backward strides*": lambda x: np.ascontiguousarray(np.asarray(x)[..., ::-1])[..., ::-1],
    "big-endian*": lambda x: np.asarray(x).astype(np.asarray(x).dtype.newbyteorder(">")),
    "nothing masked*": lambda x: np.ma.masked_array(x, mask=False),
    "longdouble": lambda x: np.asarray(x).astype(np.longdouble),
    "float32": lambda x: np.asarray(x).astype(np.float32),
    "float16": lambda x: np.asarray(x).astype(np.float16),
    "int8": lambda x: (np.asarray(x) * 10).astype(np.int8),
    "uint64": lambda x: np.abs(np.asarray(x) * 10).astype(np.uint64),
    "bool": lambda x: np.asarray(x) > np.mean(x),
    "complex": lambda x: np.asarray(x) + 0j,
    "object": lambda x: np.asarray(x).astype(object),
    "strings": lambda x: np.asarray(x).astype(str),
    "dates": lambda x: (np.asarray(x) * 10).astype("datetime64[D]"),
    "one masked": lambda x: np.ma.masked_array(x, mask=np.arange(np.size(x)).reshape(np.shape(x)) == 0),
    "matrix": lambda x: np.matrix(x) if np.ndim(x) <= 2 else x,
    "NaN": lambda x: _with(x, math.nan),
    "all NaN": lambda x: np.full(np.shape(x), math.nan),
    "inf": lambda x: _with(x, math.inf),
    "-inf": lambda x: _with(x, -math.inf),
    "-1": lambda x: _with(x, -1.0),
    "1e200": lambda x: _with(x, 1e200),
    "1e308": lambda x: _with(x, 1.7e308),
    "5e-324": lambda x: _with(x, 5e-324),
    "zeros": lambda x: np.zeros(np.shape(x)),
    "ones": lambda x: np.ones(np.shape(x)),
    "times 1e300": lambda x: np.asarray(x, dtype=float) * 1e300,
    "times 1e-300": lambda x: np.asarray(x, dtype=float) * 1e-300,
    "negated": lambda x: -np.asarray(x, dtype=float),
    "backwards": lambda x: np.asarray(x)[::-1],
    "equal rows": lambda x: np.repeat(np.asarray(x)[:1], np.shape(x)[0], axis=0) if np.ndim(x) else x,
    "transposed": lambda x: np.asarray(x).T,
    "flat": lambda x: np.ravel(x),
    "one axis more": lambda x: np.asarray(x)[None],
    "trailing axis": lambda x: np.asarray(x)[..., None],
    "no rows": lambda x: np.asarray(x)[:0],
    "no columns": lambda x: np.asarray(x)[..., :0],
    "one row": lambda x: np.asarray(x)[:1],
    "one column": lambda x: np.asarray(x)[..., :1],
    "a column short": lambda x: np.asarray(x)[..., :-1],
    "ragged": lambda x: [[1.0, 2.0], [3.0]],
    "0-d": lambda x: np.float64(0.5),
    "a number": lambda x: 3,
    "None": lambda x: None,
    "a text": lambda x: "log",
    "bytes": lambda x: b"0.5",
    "a dict": lambda x: {"x": 1},
    "a set": lambda x: {1.0, 2.0},
    "a function": lambda x: len,
    "a type": lambda x: float,
    "a generator": lambda x: (float(v) for v in np.ravel(x)),
    "empty list": lambda x: [],
    "whole numbers of 400 digits": lambda x: [10**400] * max(np.size(x), 1),
    "a tensor": _torch,
    "a tensor with gradient": lambda x: _torch(np.asarray(x, dtype=float), requires_grad=True),
}


def _as(kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Another type of the same number, or of the same numbers; None stays what it is."""

    def make(x: Any) -> Any:
        return None if x is None else type(x)(kind(v) for v in x) if isinstance(x, tuple | list) else kind(x)

    return make


NUMBER: dict[str, Callable[[Any], Any]] = {
    "np.float64*": _as(np.float64),
    "float32": _as(np.float32),
    "float16": _as(np.float16),
    "longdouble": _as(np.longdouble),
    "np.int8": lambda x: np.int8(2),
    "an integer": lambda x: 2,
    "zero": lambda x: 0,
    "negative": lambda x: -0.5,
    "-1": lambda x: -1,
    "5e-324": lambda x: 5e-324,
    "1e-300": lambda x: 1e-300,
    "1e-9": lambda x: 1e-9,
    "1e9": lambda x: 1e9,
    "1e200": lambda x: 1e200,
    "1e308": lambda x: 1.7e308,
    "NaN": lambda x: math.nan,
    "inf": lambda x: math.inf,
    "-inf": lambda x: -math.inf,
    "400 digits": lambda x: 10**400,
    "True": lambda x: True,
    "None": lambda x: None,
    "complex": lambda x: 1j,
    "a text": lambda x: "0.1",
    "a list": lambda x: [0.1],
    "two numbers": lambda x: (0.1, 0.2),
    "0-d array": lambda x: np.array(0.1),
    "an array": lambda x: np.array([0.1, 0.2]),
    "Decimal": lambda x: Decimal("0.1"),
    "a dict": lambda x: {},
    "a function": lambda x: len,
}

COUNT: dict[str, Callable[[Any], Any]] = {
    "a small type*": _as(lambda x: np.int8(x) if -128 <= x < 128 else np.int16(x)),
    "np.uint64*": _as(np.uint64),
    "np.int64*": _as(np.int64),
    "one": lambda x: 1,
    "two": lambda x: 2,
    "zero": lambda x: 0,
    "-1": lambda x: -1,
    "one more": _as(lambda x: x + 1),
    "a float": _as(float),
    "2.5": lambda x: 2.5,
    "np.float64": _as(np.float64),
    "NaN": lambda x: math.nan,
    "inf": lambda x: math.inf,
    "True": lambda x: True,
    "np.True_": lambda x: np.True_,
    "None": lambda x: None,
    "a text": lambda x: "3",
    "a list": lambda x: [2],
    "a tuple": lambda x: (2, 2),
    "an array": lambda x: np.array([2]),
    "complex": lambda x: 2 + 0j,
    "Decimal": lambda x: Decimal(2),
    "a dict": lambda x: {},
}

KINDS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "array": ARRAY,
    "number": NUMBER,
    "steps": COUNT,  # a number of iterations to make: an enormous one is a long wait, no mistake
    "count": COUNT | {"2**63": lambda x: 2**63, "400 digits": lambda x: 10**400},
    "choice": {
        "np.str_*": np.str_,
        "empty": lambda x: "",
        "unknown": lambda x: "sideways",
        "upper case": lambda x: str(x).upper(),
        "bytes": lambda x: str(x).encode(),
        "None": lambda x: None,
        "a number": lambda x: 3,
        "NaN": lambda x: math.nan,
        "True": lambda x: True,
        "a list": lambda x: [x],
        "an array": lambda x: np.array([0.1, 0.2]),
        "a dict": lambda x: {},
        "a function": lambda x: len,
    },
    "flag": {"np.bool_*": np.bool_, "one": lambda x: 1, "zero": lambda x: 0, "None": lambda x: None},
    "seed": {
        "a Generator": lambda x: np.random.default_rng(1),
        "np.int8": lambda x: np.int8(1),
        "np.uint64": lambda x: np.uint64(1),
        "2**70": lambda x: 2**70,
        "RandomState": lambda x: np.random.RandomState(0),
        "-1": lambda x: -1,
        "1.5": lambda x: 1.5,
        "True": lambda x: True,
        "a text": lambda x: "seed",
        "a list": lambda x: [1, 2],
        "an array": lambda x: np.array([1.5, 2.5]),
        "a dict": lambda x: {},
        "the module": lambda x: np.random,
    },
    "cost": ARRAY | {"a grid": lambda x: wdl_tutorial.GridCost(np.shape(x)[0])},
    "names": {
        "a tuple*": tuple,
        "an array*": np.array,
        "numbers": lambda x: list(range(len(x))),
        "a text": lambda x: "abc",
        "too few": lambda x: list(x)[:-1],
        "too many": lambda x: [*x, "more"],
        "empty": lambda x: [],
        "None": lambda x: None,
        "half a formula": lambda x: [r"$\frac{$", *list(x)[1:]],
        "dollars": lambda x: ["5 $ or 10 $ _^", *list(x)[1:]],
        "None in it": lambda x: [None, *list(x)[1:]],
        "a number": lambda x: 3,
        "a dict": lambda x: {},
        "a function": lambda x: len,
    },
    "text": {
        "np.str_*": np.str_,
        "empty": lambda x: "",
        "half a formula": lambda x: r"$\frac{$",
        "bytes": lambda x: b"abc",
        "None": lambda x: None,
        "a number": lambda x: 3,
        "a list": lambda x: ["a"],
        "a function": lambda x: len,
    },
    "path": {
        "None": lambda x: None,
        "a number": lambda x: 3,
        "empty": lambda x: "",
        "a missing file": lambda x: "no-such-file.dat",
        "a folder": lambda x: PACKAGE,
        "a module": lambda x: __file__,
        "an array": lambda x: np.zeros(3),
        "a NUL byte": lambda x: "a\0b",
        "a dict": lambda x: {},
    },
    "thing": {  # a Scene, a fitted model, a kernel: only what is none
        "None": lambda x: None,
        "a number": lambda x: 3,
        "a text": lambda x: "scene",
        "an array": lambda x: np.zeros(3),
        "a list": lambda x: [],
        "a dict": lambda x: {},
        "a function": lambda x: len,
        "a type": lambda x: type(x),
    },
}


# ------------------------------------------------------------------------------------------------------------ judgement


def outcome(door: Door, seed: int, changes: tuple[tuple[str, str], ...]) -> str | None:
    """What is wrong with how ``door`` takes these changed arguments; None where nothing is."""
    arguments = door.sound(np.random.default_rng(seed))
    for name, odd in changes:
        arguments[name] = KINDS[door.kinds[name]][odd](arguments[name])
    before = copy.deepcopy({name: x for name, x in arguments.items() if _comparable(x)})
    answer, told, error = _call(door, arguments)
    if changed := [name for name, x in before.items() if not _same_object(x, arguments[name])]:
        return f"changed its argument {', '.join(changed)}"
    if leaked := [w for w in told if not issubclass(w.category, TOLD)]:
        return f"leaked {leaked[0].category.__name__}: {leaked[0].message} ({leaked[0].filename}:{leaked[0].lineno})"
    if error is not None:
        return _unclear(door, error, [name for name, _ in changes])
    if strange := _not_finite(answer, door):
        return f"answered with {strange}" + ("" if not told else f", having warned: {told[0].message}")
    if changes and all(odd.endswith("*") for _, odd in changes):
        plain, _, failed = _call(door, door.sound(np.random.default_rng(seed)))
        if failed is None and (apart := _apart(plain, answer, door.atol)):
            return f"answered otherwise than to the plain argument: {apart}"
    return None


def _call(door: Door, arguments: dict[str, Any]) -> tuple[Any, list[warnings.WarningMessage], BaseException | None]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=PendingDeprecationWarning)  # np.matrix itself
        try:
            return door.call(**arguments), told, None
        except Exception as error:
            return None, told, error


def _unclear(door: Door, error: Exception, changed: list[str]) -> str | None:
    """Why this is not one clear error, in words."""
    said = f"{type(error).__name__}: {error}"
    trait = type(error).__name__ == "TraitError"  # of a slider's class, which traitlets checks and names
    if not (trait or type(error) in ALLOWED or (type(error).__module__ or "").startswith("wdl_tutorial")):
        return f"raised {said}"
    if isinstance(error, OSError) and error.filename is not None:
        return None  # the system names the file
    if not trait and not traceback.extract_tb(error.__traceback__)[-1].filename.startswith(PACKAGE):
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"let another package's words through ({frame.filename}:{frame.lineno}): {said}"
    if not changed:
        return f"refused sound arguments: {said}"
    names = [*changed, *(word for name in changed for word in door.heard.get(name, "").split())]
    if not any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(error)) for name in names):
        return f"does not name {' or '.join(names)}: {said}"
    return None


def _comparable(x: Any) -> bool:
    return isinstance(x, np.ndarray | list | tuple | dict | set | int | float | str | type(None))


def _same_object(x: Any, y: Any) -> bool:
    if isinstance(x, np.ndarray):
        return (
            type(x) is type(y)
            and x.dtype == y.dtype
            and x.shape == y.shape
            and (x.tolist() == y.tolist() if x.dtype == object else x.tobytes() == y.tobytes())
        )
    if isinstance(x, list | tuple):
        return len(x) == len(y) and all(_same_object(a, b) for a, b in zip(x, y))
    if isinstance(x, dict):
        return x.keys() == y.keys() and all(_same_object(v, y[k]) for k, v in x.items())
    return x is y or x == y or x != x or not _comparable(x)


def leaves(x: Any, name: str = "the answer") -> Iterator[tuple[str, Any]]:
    """The arrays and numbers inside an answer, each with its place."""
    if hasattr(x, "_fields"):
        for field in x._fields:
            yield from leaves(getattr(x, field), field)
    elif isinstance(x, dict):
        for key, value in x.items():
            yield from leaves(value, str(key))
    elif isinstance(x, list | tuple):
        for k, value in enumerate(x):
            yield from leaves(value, f"{name}[{k}]")
    elif (isinstance(x, bool | int | float | np.generic | np.ndarray) and not isinstance(x, str)) or hasattr(
        x, "detach"
    ):
        yield name, x.detach().cpu().numpy() if hasattr(x, "detach") else np.asarray(x)


def _not_finite(answer: Any, door: Door) -> str | None:
    for place, x in leaves(answer):
        if x.dtype.kind not in "fc":
            continue
        if np.isnan(x).any() and not door.nan:
            return f"NaN in {place}"
        if np.isinf(x).any() and not door.infinite:
            return f"infinity in {place}"
    return None


def _apart(plain: Any, other: Any, atol: float) -> str | None:
    ours, theirs = list(leaves(plain)), list(leaves(other))
    if len(ours) != len(theirs):
        return f"{len(ours)} parts and {len(theirs)}"
    for (place, x), (_, y) in zip(ours, theirs):
        if x.shape != y.shape:
            return f"{place} has shape {x.shape} and {y.shape}"
        if x.dtype.kind in "fiub" and y.dtype.kind in "fiub":
            if not np.allclose(x.astype(float), y.astype(float), rtol=1e-6, atol=atol, equal_nan=True):
                return f"{place} differs by {np.nanmax(np.abs(x.astype(float) - y.astype(float))):.3g}"
        elif x.tolist() != y.tolist():
            return f"{place} differs"
    return None
