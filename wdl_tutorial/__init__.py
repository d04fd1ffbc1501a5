"""Optimal transport, Wasserstein dictionary learning and hyperspectral unmixing, on NumPy, CuPy and torch arrays.

``import wdl_tutorial as wt`` loads NumPy and SciPy only; scikit-learn, matplotlib, anywidget, torch and Dask are
loaded by the first function that needs them.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# name -> module that holds it; loaded at first use (PEP 562)
_LAZY = {
    "LAND": "diffusion",
    "unmix": "unmixing",
    "compare": "unmixing",
}
_MODULES = {"linear", "metrics", "datasets", "figures", "diffusion", "unmixing", "widgets", "deep"}


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY) | _MODULES)
