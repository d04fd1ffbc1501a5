"""Networks, in torch: the only part of the package that needs it. Each name is loaded when it is first used."""

from __future__ import annotations

import importlib
import importlib.util

_MODULES = {"IDNet": "idnet", "SpectralVAE": "vae"}
__all__ = ["IDNet", "SpectralVAE"]


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if importlib.util.find_spec("torch") is None:
        raise ImportError(f"{name} needs torch, which is not installed: pip install 'wdl-tutorial[deep]'.")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_MODULES))
