"""Optimal transport, Wasserstein dictionary learning and hyperspectral unmixing, on NumPy, CuPy and torch arrays.

``import wdl_tutorial as wt`` loads NumPy and SciPy only; scikit-learn, matplotlib, anywidget, torch and Dask are
loaded by the first function that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from .barycenters import BarycenterResult, barycenter, barycenter_log_steps, barycenter_steps, linear_mixture
from .costs import GridCost, LineCost, blur_width, cost_matrix, eps_for_blur
from .gradients import barycenter_vjp, check_gradient
from .histograms import area_fractions, continuum_removed, displacement, normalize, wasserstein_1d
from .iterate import ConvergenceWarning
from .kernels import gibbs_kernel
from .transport import SinkhornResult, sinkhorn, sinkhorn_divergence, sinkhorn_log_steps, sinkhorn_steps

__version__ = "0.2.0"

# name -> module that holds it; loaded at first use (PEP 562)
_LAZY = {
    "LAND": "diffusion",
    "WassersteinDictionary": "dictionary",
    "wdl_objective": "objective",
    "unmix": "unmixing",
    "compare": "unmixing",
    "wahu": "presets",
    "match_library": "libraries",
    "mixing_test": "trust",
    "doubt": "trust",
    "inspect_cube": "inspection",
    "advise_n_endmembers": "inspection",
    "estimate_run": "planning",
    "select": "selection",
}
_MODULES = {
    "linear",
    "metrics",
    "datasets",
    "figures",
    "diffusion",
    "unmixing",
    "widgets",
    "deep",
    "exercises",
    "trust",
    "inspection",
    "libraries",
    "planning",
}

__all__ = [
    "LAND",
    "BarycenterResult",
    "ConvergenceWarning",
    "GridCost",
    "LineCost",
    "SinkhornResult",
    "WassersteinDictionary",
    "advise_n_endmembers",
    "area_fractions",
    "barycenter",
    "barycenter_log_steps",
    "barycenter_steps",
    "barycenter_vjp",
    "blur_width",
    "check_gradient",
    "compare",
    "continuum_removed",
    "cost_matrix",
    "displacement",
    "doubt",
    "eps_for_blur",
    "estimate_run",
    "gibbs_kernel",
    "inspect_cube",
    "linear_mixture",
    "match_library",
    "mixing_test",
    "normalize",
    "select",
    "sinkhorn",
    "sinkhorn_divergence",
    "sinkhorn_log_steps",
    "sinkhorn_steps",
    "unmix",
    "wahu",
    "wasserstein_1d",
    "wdl_objective",
]


if TYPE_CHECKING:  # what a checker and an editor see; at run time each is loaded by its first use
    from . import datasets as datasets
    from . import deep as deep
    from . import diffusion as diffusion
    from . import exercises as exercises
    from . import figures as figures
    from . import inspection as inspection
    from . import libraries as libraries
    from . import linear as linear
    from . import metrics as metrics
    from . import planning as planning
    from . import trust as trust
    from . import unmixing as unmixing
    from . import widgets as widgets
    from .dictionary import WassersteinDictionary as WassersteinDictionary
    from .diffusion import LAND as LAND
    from .inspection import advise_n_endmembers as advise_n_endmembers
    from .inspection import inspect_cube as inspect_cube
    from .libraries import match_library as match_library
    from .objective import wdl_objective as wdl_objective
    from .planning import estimate_run as estimate_run
    from .presets import wahu as wahu
    from .selection import select as select
    from .trust import doubt as doubt
    from .trust import mixing_test as mixing_test
    from .unmixing import compare as compare
    from .unmixing import unmix as unmix
else:

    def __getattr__(name: str):
        if name in _LAZY:
            return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
        if name in _MODULES:
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY) | _MODULES)
