"""Sliders that need no kernel: each demo of the book as a widget, a player of precomputed frames, and ``explore``.

The demos are anywidget models. Their small computations are JavaScript (``transport.js``), held to the Python package by
tests, so that they move in JupyterLab, in the built book from a server or from ``file://``, and in Colab. They need the
extra ``book``; importing this module does not, the first demo does.
"""

from __future__ import annotations

import importlib

# name -> module that holds it; loaded at first use (PEP 562), because these modules need anywidget or ipywidgets
_LAZY = {
    "BarycenterTriangle": "demos",
    "DipOrPeak": "demos",
    "DoubtDashboard": "doubt",
    "DraggableTriangle": "demos",
    "DrawAtoms": "demos",
    "FramePlayer": "frames",
    "GradientFilm": "demos",
    "InkDrop": "labelling",
    "LabellingRace": "labelling",
    "OrphanPeak": "demos",
    "PlanByHand": "demos",
    "Predict": "votes",
    "ScalingSteps": "demos",
    "ShadeTriangle": "demos",
    "TwoPeaks": "demos",
    "Underflow": "demos",
    "Unmix60": "demos",
    "explore": "exploring",
    "label_by_hand": "by_hand",
    "questions": "votes",
}

__all__ = sorted(_LAZY)


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))
