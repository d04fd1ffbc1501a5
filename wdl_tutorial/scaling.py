"""What Sinkhorn and the barycenters share: the variant, relaxed and extrapolated scalings, and the rule of the domains.

A scaling is what multiplies the kernel, T = diag(u) K diag(v); eps times its logarithm is a potential. The kernel domain
is fast and underflows at a small eps, the log domain is slow and does not: :func:`first_right` takes the first of them
that is right, and :func:`is_right` says whether one is. Every public door asks these two, and no other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

from ._array import Array, array_namespace, number, safe_log, tracks
from .costs import AnyCost
from .iterate import warn
from .kernels import Kernel, kernel_for


@dataclass(frozen=True)
class Variant:
    """Which iterations are meant: made once, at a public door, and handed down whole."""

    # rho of Schmitz et al. (2018), section 4.4; None is balanced; of Sinkhorn's marginals two, one each, of p and of q
    marginal_weight: float | tuple[float | None, float | None] | None = None
    momentum: float = 0.0  # tau of Algorithm 5, in (-1, 0]
    debiased: bool = False  # Janati et al. (2020)

    @property
    def sides(self) -> tuple[float | None, float | None]:
        """rho of the marginal p and of the marginal q."""
        rho = self.marginal_weight
        return rho if isinstance(rho, tuple) else (rho, rho)

    @property
    def rho(self) -> float | None:
        """The one rho of both marginals."""
        if isinstance(self.marginal_weight, tuple):
            raise ValueError(
                f"marginal_weight={self.marginal_weight} is two numbers, which sinkhorn alone takes. Give one."
            )
        return self.marginal_weight

    @property
    def balanced(self) -> bool:
        """Are both marginals exact?"""
        return self.sides == (None, None)

    def thetas(self, eps: float) -> tuple[float, float]:
        """:meth:`theta` of the marginal p and of the marginal q."""
        rho_p, rho_q = self.sides
        return _power(rho_p, eps), _power(rho_q, eps)

    def theta(self, eps: float) -> float:
        """rho / (rho + eps), the power that relaxes a marginal; 1 when it is exact."""
        return _power(self.rho, eps)

    def kappa(self, eps: float) -> float:
        """eps / (rho + eps), the power of Algorithm 6's mean; 0, the geometric mean, when balanced."""
        return 0.0 if self.rho is None else eps / (self.rho + eps)

    def asked(self) -> dict[str, Any]:
        """The options that are not at their defaults: what a path must know, to be taken."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}

    def only(self, *known: str) -> dict[str, Any]:
        """The options called ``known``; an error where another is asked for: nobody ignores what he does not know."""
        unknown = {name: value for name, value in self.asked().items() if name not in known}
        if unknown:
            told = ", ".join(f"{name}={value!r}" for name, value in unknown.items())
            others = f", where {', '.join(known)} are" if known else ""
            raise ValueError(f"{told} is not known here{others}. Leave it at its default.")
        return {name: getattr(self, name) for name in known}


PLAIN = Variant()


def _power(rho: float | None, eps: float) -> float:
    """rho / (rho + eps): 1 for an exact marginal; one error where no float can hold it."""
    if rho is None:
        return 1.0
    power = rho / (rho + eps)
    if power == 0.0:
        raise ValueError(
            f"marginal_weight={rho:g} is nothing beside eps={eps:g}: all mass would be free. Give one that is nearer to "
            "the cost, or None for exact marginals."
        )
    return power


def manner(kernel: Kernel, variant: Variant) -> dict[str, Any]:
    """How :func:`wdl_tutorial.iterate.accelerated` extrapolates best, by measurement: the depth, how often, what is free."""
    if not variant.balanced:
        return {"depth": 5, "every": 3, "free": False}
    return {"depth": 8 if kernel.domain == "log" else 6, "every": 4}


def raised(x: Array, theta: float) -> Array:
    """x ** theta, the relaxed marginal's update; where torch records it, with the slope 0 at 0 in the place of infinity."""
    if theta == 1.0:
        return x
    if not tracks(x):
        return x**theta
    xp = array_namespace(x)
    return xp.where(x > 0, xp.where(x > 0, x, xp.ones_like(x)) ** theta, xp.zeros_like(x))


def relax(previous: Array, new: Array, momentum: float) -> Array:
    """previous**momentum * new**(1 - momentum): the heavy ball of eqs (25)-(26). A zero stays zero."""
    if momentum == 0.0:
        return new
    xp = array_namespace(previous, new)
    alive = new > 0
    one = xp.ones_like(new)
    previous = xp.where(alive & (previous > 0), previous, one)
    return xp.where(alive, previous**momentum * xp.where(alive, new, one) ** (1.0 - momentum), xp.zeros_like(new))


def relax_log(previous: Array, new: Array, momentum: float) -> Array:
    """As :func:`relax`, of logarithms: the zero is -inf."""
    if momentum == 0.0:
        return new
    xp = array_namespace(previous, new)
    low = -float("inf")
    alive = (new > low) & (previous > low)
    zero = xp.zeros_like(new)
    mixed = momentum * xp.where(alive, previous, zero) + (1.0 - momentum) * xp.where(alive, new, zero)
    return xp.where(alive, mixed, xp.where(new > low, (1.0 - momentum) * xp.where(new > low, new, zero), new))


def exp_clipped(x: Array) -> Array:
    """exp(x), but at most the square root of the largest float: an error too large to tell is no reason to stop."""
    xp = array_namespace(x)
    return xp.exp(xp.clip(x, max=0.5 * math.log(float(xp.finfo(x.dtype).max))))


def underflow_shows(n_bins: int, total: Array, info: Any) -> Array:
    """The value of (K @ scaling) below which underflow may show in it; ``total`` sums the scaling, ``info`` is a finfo.

    Entries of K below the smallest normal number, and products below it, are lost: at most tiny * (n + sum(scaling)) in
    each sum, and that may be sixteen roundings of it, no more.
    """
    return float(info.smallest_normal) / (16 * float(info.eps)) * (n_bins + total)


def least_mass(histogram: Array) -> float:
    """The mass of a bin of a barycenter that still counts: below it neither a value nor a gradient in logits sees it."""
    return float(array_namespace(histogram).finfo(histogram.dtype).smallest_normal) ** 0.5


class Scaled(NamedTuple):
    """A scaling (in the log domain its logarithm), its product with the kernel, and where the two are needed."""

    scaling: Array
    product: Array | None  # K @ scaling, which only the kernel domain is asked for
    matters: Array  # where the product counts
    asked: Array | None = None  # where the logarithm of the scaling, a potential, is a number that was asked for


def is_right(domain: str, *scaled: Scaled, numbers: Iterable[Array] = (), axis: int | tuple[int, ...] = -1) -> bool:
    """Can what this domain computed be believed: are all ``numbers`` finite, and has nothing of weight been lost?

    The kernel domain loses to underflow, the log domain to rounding. ``axis`` is that of the bins.
    """
    finite = [array_namespace(x).all(array_namespace(x).isfinite(x)) for x in numbers]
    if domain == "log":
        return _all_true(finite) and _digits_left(*(s.scaling for s in scaled))
    return _all_true([*finite, *(_nothing_lost(s, axis) for s in scaled)])


def _all_true(verdicts: list[Array]) -> bool:
    """Are they all? Asked of the device once."""
    return not verdicts or bool(array_namespace(*verdicts).all(array_namespace(*verdicts).stack(verdicts)))


def _nothing_lost(s: Scaled, axis: int | tuple[int, ...]) -> Array:
    """Is a scaling finite, its product above what underflow can have taken, and no potential that is asked for gone?"""
    xp = array_namespace(s.scaling, s.product)
    info, total = xp.finfo(s.scaling.dtype), xp.sum(s.scaling, axis=axis, keepdims=True)
    n_bins = int(np.prod([s.scaling.shape[k] for k in np.atleast_1d(axis)]))
    right = xp.all(xp.isfinite(s.scaling))
    right = right & xp.all((xp.isfinite(s.product) & (s.product >= underflow_shows(n_bins, total, info))) | ~s.matters)
    if s.asked is not None:
        right = right & xp.all((s.scaling >= float(info.smallest_normal)) | ~s.asked)
    return right


def _digits_left(*logs: Array) -> bool:
    """Do these logarithms of scalings leave the exponentials of their sums a digit? 1e7 in float32 does not.

    A warning where fewer than two are left: plans and values may still do, gradients in the weights may not.
    """
    if not logs:
        return True
    xp = array_namespace(*logs)
    sizes = [xp.where(xp.abs(x) < float("inf"), xp.abs(x), xp.where(xp.isnan(x), x, xp.zeros_like(x))) for x in logs]
    largest = number(xp.max(xp.stack([xp.max(x) for x in sizes])))  # NaN where any is
    lost = largest * float(xp.finfo(logs[0].dtype).eps)
    if not lost <= 1.0:
        return False
    if lost > 0.01:
        warn(
            f"potentials of {largest:.0e} eps leave {logs[0].dtype} fewer than two digits, and gradients perhaps none. "
            "Use float64, or a larger eps.",
        )
    return True


class Attempt(NamedTuple):
    """What one domain found, and whether every number that was asked for is right."""

    found: Any
    right: bool
    why: FloatingPointError | None = None  # what went wrong, where that is known


def kernels_to_try(cost: AnyCost, eps: float, domain: str, *arrays: Array) -> Iterator[Kernel]:
    """The kernels of the domains to try in turn: of both, or of the one that was asked for."""
    for attempt in ("kernel", "log") if domain == "auto" else (domain,):
        yield kernel_for(cost, eps, attempt, *arrays)


def first_right(kernels: Iterable[Kernel], attempt: Callable[[Kernel], Attempt], what: str) -> tuple[Any, Kernel]:
    """The rule of the domains: what ``attempt(kernel)`` finds with the first kernel that is right, and that kernel.

    Raises
    ------
    FloatingPointError
        If none is; no number that may be wrong leaves by this door. ``what`` says in the message what was computed.
    """
    with np.errstate(all="ignore"):
        for kernel in kernels:
            found, right, why = attempt(kernel)
            if right:
                return found, kernel
    raise why or underflow_error(kernel.eps, what, kernel.domain)


def dual_value(p: Array, q: Array, f: Array, g: Array, mass: Array, eps: float, variant: Variant = PLAIN) -> Array:
    """<f, p> + <g, q> - eps sum(T), with 0 * -inf = 0; unbalanced, KL terms in the place of <., .>."""
    xp = array_namespace(p, q, f, g)

    def term(h: Array, potential: Array, rho: float | None) -> Array:
        seen = (h > 0) & (potential > -float("inf"))
        potential = _relaxed(xp.where(seen, potential, xp.zeros_like(potential)), rho)
        return xp.sum(xp.where(seen, h * potential, xp.zeros_like(potential)), axis=-1)

    rho_p, rho_q = variant.sides
    return term(p, f, rho_p) + term(q, g, rho_q) - eps * mass


def potential_gradient(potential: Array, variant: Variant) -> Array:
    """The gradient of the dual value in a histogram, its potential being fixed (envelope theorem)."""
    return _relaxed(potential, variant.rho)


def _relaxed(potential: Array, rho: float | None) -> Array:
    return potential if rho is None else -rho * array_namespace(potential).expm1(-potential / rho)


def potentials(state: Any, kernel: Kernel) -> tuple[Array, Array]:
    """f = eps log u and g = eps log v of a state of either domain."""
    u, v = state if kernel.domain == "log" else map(safe_log, state)
    return kernel.eps * u, kernel.eps * v


def plan_mass(state: Any, kernel: Kernel) -> Array:
    """sum(T), from row sums."""
    u, v = state
    xp = array_namespace(u, v)
    rows = xp.exp(u + kernel.apply(v)) if kernel.domain == "log" else u * kernel.apply(v)
    return xp.sum(rows, axis=-1)


def too_fine(tol: float, x: Array) -> str:
    """A sentence for the warning of a run whose tolerance its floating type cannot reach; else nothing."""
    resolved = float(array_namespace(x).finfo(x.dtype).eps)
    return f"{x.dtype} resolves {resolved:.0e}: raise tol, or use float64. " if tol < resolved else ""


def underflow_error(eps: float, what: str, domain: str = "kernel") -> FloatingPointError:
    """The one error of the kernel domain; and what can still happen in the log domain, mostly in float32."""
    if domain == "log":
        return FloatingPointError(
            f"{what} left the range of its floating type (eps={eps:g}), in the log domain. "
            "Use float64, a larger eps, or the plain iteration (momentum=0, debiased=False)."
        )
    return FloatingPointError(
        f"exp(-cost/eps) underflowed in {what} (eps={eps:g}): sums lost their digits, or became 0. "
        'Use domain="log" (or "auto"), or a larger eps.'
    )
