"""Sliders that need no kernel: each demo of the book as a widget, a player of precomputed frames, and ``explore``.

The demos are anywidget models. Their small computations are JavaScript (``transport.js``), held to the Python package by
tests, so that they move in JupyterLab, in the built book from a server or from ``file://``, and in Colab. They need the
extra ``book``; importing this module does not, the first demo does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

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


if TYPE_CHECKING:  # what a checker and an editor see; at run time each is loaded by its first use
    from .by_hand import label_by_hand as label_by_hand
    from .demos import BarycenterTriangle as BarycenterTriangle
    from .demos import DipOrPeak as DipOrPeak
    from .demos import DraggableTriangle as DraggableTriangle
    from .demos import DrawAtoms as DrawAtoms
    from .demos import GradientFilm as GradientFilm
    from .demos import OrphanPeak as OrphanPeak
    from .demos import PlanByHand as PlanByHand
    from .demos import ScalingSteps as ScalingSteps
    from .demos import ShadeTriangle as ShadeTriangle
    from .demos import TwoPeaks as TwoPeaks
    from .demos import Underflow as Underflow
    from .demos import Unmix60 as Unmix60
    from .doubt import DoubtDashboard as DoubtDashboard
    from .exploring import explore as explore
    from .frames import FramePlayer as FramePlayer
    from .labelling import InkDrop as InkDrop
    from .labelling import LabellingRace as LabellingRace
    from .votes import Predict as Predict
    from .votes import questions as questions
else:

    def __getattr__(name: str):
        if name in _LAZY:
            return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))
