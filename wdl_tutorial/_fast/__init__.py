"""The NumPy twins of the balanced iterations, in buffers of their own: skip this folder on a first reading.

``line`` serves every kernel of the kernel domain, ``image`` those of images. The plain versions, in `transport`,
`barycenters` and `gradients`, are what the tests hold them to; :func:`path_for` is the one door.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .._array import Array, is_numpy
from ..iterate import Twin
from ..kernels import Kernel
from ..scaling import Variant
from ..transport import SinkhornState
from . import image, line
from .buffers import lent_buffers

__all__ = ["Path", "lent_buffers", "path_for"]


class Path(NamedTuple):
    """What stands in for the plain iterations: at a fixed number of them, and between two extrapolations."""

    scalings: Callable[..., SinkhornState]  # for `sinkhorn_steps`
    forward: Callable[..., line.Pass | image.Pass]  # for `barycenter_steps`, with the way back
    sinkhorn_iteration: Twin  # for `transport.plain_iteration`
    barycenter_iteration: Twin  # for `barycenters.plain_iteration`
    return_trip: Callable[..., Any]  # for the operator of `gradients.implicit`


def path_for(kernel: Kernel, variant: Variant, *arrays: Array) -> Path | None:
    """The twin that may stand in here; None where only the plain way knows what is asked for.

    The twins know the kernel domain on NumPy arrays, and no option of a variant: one that asks for any goes the plain way.
    """
    if variant.asked() or kernel.domain != "kernel" or not hasattr(kernel, "blocks"):
        return None
    if not all(is_numpy(x) for x in arrays):
        return None
    forward = image.forward if image.fits(kernel) else line.forward
    return Path(line.scalings, forward, line.sinkhorn_iteration, line.barycenter_iteration, line.return_trip)
