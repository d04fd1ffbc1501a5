"""What both networks share while they train: gradients whatever the caller switched off, and a run kept on disk.

A run on disk holds tensors, numbers and texts only, so that torch reads it with ``weights_only=True``: nothing in it is
executed.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from .._array import is_array, to_numpy
from .._checks import shown
from ..statefiles import keep, reading, write_whole

WIDEST = 100_000  # layers, units and draws: more is a slip of the hand


def device_of(asked: Any) -> torch.device:
    """A device of torch by its name; one error where there is none of that name."""
    try:
        return torch.device(asked)
    except (RuntimeError, TypeError, ValueError):
        raise ValueError(f"device must be one of torch's, such as 'cpu' or 'cuda:0'; got {shown(asked)}.") from None


@contextmanager
def own_gradients(device: torch.device | None = None) -> Iterator[None]:
    """Training needs gradients, also where it is called under ``no_grad``; the global generators stay as they were."""
    cuda = [device] if device is not None and device.type == "cuda" else []
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=cuda):
        yield


class Run(NamedTuple):
    """A training after some epochs: all that its next epoch needs, and what it would return now."""

    seed: int
    losses: list[float]
    best: dict[str, torch.Tensor] | None  # the parameters of the epoch of smallest loss
    more: dict[str, Any]  # curves of one network's own


def identity_of(estimator: Any, free: set[str], pixels: np.ndarray, **arrays: Any) -> dict[str, Any]:
    """What a checkpoint and the run that goes on from it must share: every parameter but the ``free``, and the data."""
    settings = estimator.get_params(deep=False)
    identity = {name: _plain(value) for name, value in settings.items() if name not in free}
    digest = hashlib.sha256(pixels.tobytes())
    for array in arrays.values():
        if array is not None:
            digest.update(np.asarray(to_numpy(array), dtype=np.float64).tobytes())
    return identity | {"data": digest.hexdigest()}


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float | np.number):
        return float(value)
    if is_array(value) or isinstance(value, list | tuple):
        return hashlib.sha256(np.ascontiguousarray(to_numpy(value)).tobytes()).hexdigest()
    return value if value is None else str(value)


def keep_run(
    path: str | os.PathLike, identity: dict, run: Run, networks: nn.Module, optimizer: Any, device: Any
) -> None:
    """Write the run to ``path``, in one step; where the disk does not take it, warn and go on."""
    state = {
        "identity": identity,
        "seed": run.seed,
        "losses": run.losses,
        "best": run.best,
        "model": networks.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        **run.more,
    }
    keep(path, lambda: write_whole(path, lambda file: torch.save(state, file)))


def read_run(path: str | os.PathLike, estimator: Any, identity: dict, seed: int | None) -> dict[str, Any]:
    """The state in ``path``, if it is one of the same data and parameters; ``seed`` None takes any.

    A parameter that the file does not know was not there yet when it was written: it then had its default's effect.
    """
    name = type(estimator).__name__
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:  # what torch raises on other or cut files
        raise ValueError(f"{path} cannot be read as a checkpoint: it is cut off, or another file.") from error
    with reading(path, f"checkpoint of {name}"):
        if not isinstance(state, dict) or not isinstance(state.get("identity"), dict):
            raise TypeError(f"no checkpoint of {name}")
        held = state["identity"]
        if not (type(state["seed"]) is int and all(type(x) is float for x in state["losses"])):
            raise TypeError("its seed or its losses are no numbers")
    defaults = {k: _plain(p.default) for k, p in inspect.signature(type(estimator)).parameters.items()}
    mine = identity if seed is None else identity | {"random_state": float(seed)}
    theirs = held | {"random_state": float(state["seed"])}
    unlike = [k for k, value in mine.items() if theirs.get(k, defaults.get(k)) != value]
    if unlike:
        seen = ", ".join(f"{k}={theirs.get(k)} there, {mine[k]} here" for k in unlike)
        raise ValueError(
            f"{path} is the checkpoint of another run: {seen}. Use the same data and parameters, or delete it to start "
            "afresh."
        )
    return state


def restore(path: str | os.PathLike, state: dict, networks: nn.Module, optimizer: Any, device: torch.device) -> Run:
    """Put ``networks``, ``optimizer`` and the generators where they were; what of it does not fit them is refused."""
    with reading(path, "checkpoint of these networks"):
        best = state["best"]
        if best is not None:
            networks.load_state_dict(best)  # looks whether it fits
        networks.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        if device.type == "cuda" and state.get("cuda_rng") is not None:
            torch.cuda.set_rng_state(state["cuda_rng"], device)
    known = {"identity", "seed", "losses", "best", "model", "optimizer", "rng", "cuda_rng"}
    more = {name: value for name, value in state.items() if name not in known}
    return Run(state["seed"], list(state["losses"]), best, more)


def exists(path: str | os.PathLike | None) -> bool:
    """Is there a run at ``path`` to go on from?"""
    return path is not None and Path(path).exists()
