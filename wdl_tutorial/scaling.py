"""What Sinkhorn and the barycenters share: relaxed and extrapolated scalings, what they tell, and whether to believe them.

A scaling is what multiplies the kernel, T = diag(u) K diag(v); eps times its logarithm is a potential.
"""

from __future__ import annotations

import warnings
from typing import Any

from ._array import Array, array_namespace, number, safe_log


def proximal_exponent(eps: float, marginal_weight: float | None) -> float:
    """rho / (rho + eps): the power that relaxes a marginal (Schmitz et al. (2018), section 4.4); 1 when it is exact."""
    return 1.0 if marginal_weight is None else marginal_weight / (marginal_weight + eps)


def power_of(kernel: Any, marginal_weight: float | None) -> float:
    """kappa = eps / (rho + eps), the power of Algorithm 6's mean; 0, the geometric mean, when balanced."""
    return 0.0 if marginal_weight is None else kernel.eps / (marginal_weight + kernel.eps)


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


def underflow_shows(n_bins: int, total: Array, info: Any) -> Array:
    """The value of (K @ scaling) below which underflow may show in it; ``total`` sums the scaling, ``info`` is a finfo.

    Entries of K below the smallest normal number, and products below it, are lost: at most tiny * (n + sum(scaling)) in
    each sum, and that may be sixteen roundings of it, no more.
    """
    return float(info.smallest_normal) / (16 * float(info.eps)) * (n_bins + total)


def trusted(*products: tuple[Array, Array, Array]) -> bool:
    """Is what the kernel domain computed right? Finite, and with nothing of weight lost to underflow.

    ``products`` are (scaling, K @ scaling, where it matters).
    """
    for scaling, product, matters in products:
        xp = array_namespace(scaling, product)
        total = xp.sum(scaling, axis=-1, keepdims=True)
        lost = underflow_shows(scaling.shape[-1], total, xp.finfo(scaling.dtype))
        good = xp.isfinite(product) & (product >= lost)
        if not bool(xp.all(xp.isfinite(scaling))) or not bool(xp.all(good | ~matters)):
            return False
    return True


def digits_left(*logs: Array) -> bool:
    """Do these logarithms of scalings leave the exponentials of their sums a digit? 1e7 in float32 does not.

    A warning where fewer than two are left: plans and values may still do, gradients in the weights may not.
    """
    for log in logs:
        xp = array_namespace(log)
        largest = number(xp.max(xp.where(xp.isfinite(log), xp.abs(log), xp.zeros_like(log))))
        lost = largest * float(xp.finfo(log.dtype).eps)
        if lost > 1.0:
            return False
        if lost > 0.01:
            warnings.warn(
                f"potentials of {largest:.0e} eps leave {log.dtype} fewer than two digits, and gradients perhaps none. "
                "Use float64, or a larger eps.",
                UserWarning,
                stacklevel=2,
            )
    return True


def dual_value(
    p: Array, q: Array, f: Array, g: Array, mass: Array, eps: float, marginal_weight: float | None = None
) -> Array:
    """<f, p> + <g, q> - eps sum(T), with 0 * -inf = 0; unbalanced, KL terms in the place of <., .>."""
    xp = array_namespace(p, q, f, g)

    def term(h: Array, potential: Array) -> Array:
        seen = (h > 0) & (potential > -float("inf"))
        potential = xp.where(seen, potential, xp.zeros_like(potential))
        if marginal_weight is not None:
            potential = -marginal_weight * xp.expm1(-potential / marginal_weight)
        return xp.sum(xp.where(seen, h * potential, xp.zeros_like(potential)), axis=-1)

    return term(p, f) + term(q, g) - eps * mass


def potential_gradient(potential: Array, marginal_weight: float | None) -> Array:
    """The gradient of the dual value in a histogram, its potential being fixed (envelope theorem)."""
    if marginal_weight is None:
        return potential
    return -marginal_weight * array_namespace(potential).expm1(-potential / marginal_weight)


def potentials(state: Any, kernel: Any) -> tuple[Array, Array]:
    """f = eps log u and g = eps log v of a state of either domain."""
    u, v = state if kernel.domain == "log" else map(safe_log, state)
    return kernel.eps * u, kernel.eps * v


def plan_mass(state: Any, kernel: Any) -> Array:
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
        f"exp(-cost/eps) underflowed in {what} (eps={eps:g}): a sum became 0 or infinite. "
        'Use domain="log" (or "auto"), or a larger eps.'
    )
