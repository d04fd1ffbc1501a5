"""The networks, in torch: :class:`SpectralVAE` (features for LAND), :class:`IDNet` and :func:`rbf_autoencoder` (unmixing).

Importing this package does not load torch; the first use of a network does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

_LAZY = {"SpectralVAE": "vae", "IDNet": "idnet", "RBFUnmixing": "rbf", "rbf_autoencoder": "rbf"}
_MODULES = {"vae", "idnet", "rbf"}

__all__ = ["IDNet", "RBFUnmixing", "SpectralVAE", "rbf_autoencoder"]


if TYPE_CHECKING:  # what a checker and an editor see; at run time each is loaded by its first use
    from . import idnet as idnet
    from . import rbf as rbf
    from . import vae as vae
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
