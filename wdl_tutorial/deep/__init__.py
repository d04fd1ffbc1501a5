"""The networks, in torch: :class:`SpectralVAE` (features for LAND); for unmixing :class:`IDNet`, and of the methods that its
paper compares :func:`deepgun`, :func:`egu_net` and :func:`rbf_autoencoder`.

Importing this package does not load torch; the first use of a network does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

_LAZY = {
    "EGUUnmixing": "egunet",
    "GenerativeUnmixing": "generative",
    "IDNet": "idnet",
    "RBFUnmixing": "rbf",
    "SpectralVAE": "vae",
    "deepgun": "generative",
    "egu_net": "egunet",
    "rbf_autoencoder": "rbf",
}
_MODULES = {"egunet", "generative", "idnet", "rbf", "vae"}

__all__ = [
    "EGUUnmixing",
    "GenerativeUnmixing",
    "IDNet",
    "RBFUnmixing",
    "SpectralVAE",
    "deepgun",
    "egu_net",
    "rbf_autoencoder",
]


if TYPE_CHECKING:  # what a checker and an editor see; at run time each is loaded by its first use
    from . import egunet as egunet
    from . import generative as generative
    from . import idnet as idnet
    from . import rbf as rbf
    from . import vae as vae
    from .egunet import EGUUnmixing as EGUUnmixing
    from .egunet import egu_net as egu_net
    from .generative import GenerativeUnmixing as GenerativeUnmixing
    from .generative import deepgun as deepgun
    from .idnet import IDNet as IDNet
    from .rbf import RBFUnmixing as RBFUnmixing
    from .rbf import rbf_autoencoder as rbf_autoencoder
    from .vae import SpectralVAE as SpectralVAE
else:

    def __getattr__(name: str):
        if name not in _LAZY and name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            module = importlib.import_module(f"{__name__}.{_LAZY.get(name, name)}")
        except ImportError as error:
            if error.name != "torch":
                raise
            raise ImportError(
                f"wdl_tutorial.deep.{name} needs torch, which is not installed. Use: pip install 'wdl-tutorial[deep]'",
                name="torch",
            ) from error
        return getattr(module, name) if name in _LAZY else module


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY) | _MODULES)
