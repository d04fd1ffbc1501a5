"""How far a reconstruction P is from the data x: value and gradient in P, side by side.

Schmitz et al. (2018), Table 1, with two of its gradients mended: KL's has no -1, and in eq. (4)'s letters the
Wasserstein one is gamma log b. Every function takes ``(P, x)`` of shape (n_samples, n_bins) and returns one value and
one gradient a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ._array import Array, array_namespace, safe_log
from ._fast import path_for
from .costs import AnyCost, check_symmetric
from .iterate import Accuracy, nth, warn_not_converged
from .kernels import Kernel
from .scaling import PLAIN, Variant, dual_value, is_right, plan_mass, potential_gradient, potentials
from .transport import scalings_of, settle, steps_of


class Loss(NamedTuple):
    """One value a sample, and its gradient in P."""

    value: Array  # (n_samples,)
    gradient: Array  # (n_samples, n_bins)
    right: bool = True  # can both be believed?
    log_u: Array | None = None  # of a Wasserstein loss: the scalings of P that a run near this one may start from


def quadratic(p: Array, x: Array) -> Loss:
    """sum (P - x)^2; gradient 2 (P - x)."""
    xp = array_namespace(p, x)
    gap = p - x
    return Loss(xp.sum(gap * gap, axis=-1), 2.0 * gap)


def total_variation(p: Array, x: Array) -> Loss:
    """sum |P - x|; gradient sign(P - x)."""
    xp = array_namespace(p, x)
    gap = p - x
    return Loss(xp.sum(xp.abs(gap), axis=-1), xp.sign(gap))


def kl(p: Array, x: Array) -> Loss:
    """KL(P|x) = sum P log(P/x) - P + x; gradient log(P/x), see :func:`_where_mass`. Infinite where x is 0 and P is not."""
    log_ratio = _where_mass(p, safe_log(p) - safe_log(x))
    return Loss(array_namespace(p, x).sum(p * log_ratio - p + x, axis=-1), log_ratio)


def kl_reverse(p: Array, x: Array) -> Loss:
    """KL(x|P) = sum x log(x/P) - x + P; gradient 1 - x/P."""
    xp = array_namespace(p, x)
    term = xp.where(x > 0, x * (safe_log(x) - safe_log(p)), xp.zeros_like(x))
    return Loss(xp.sum(term - x + p, axis=-1), 1.0 - xp.where(x > 0, x / p, xp.zeros_like(x)))


def _where_mass(histogram: Array, gradient: Array) -> Array:
    """0 where the histogram is 0: the slope is -inf there, but a gradient in logits is the histogram times it, which is 0.

    A barycenter of narrow atoms falls below the smallest float in its tails, at an eps that is small.
    """
    xp = array_namespace(histogram, gradient)
    return xp.where(histogram > 0, gradient, xp.zeros_like(gradient))


class Wasserstein(NamedTuple):
    """W_eps(p, q) and its envelope gradients: potentials after their last update, not centred; 0 where there is no mass."""

    value: Array  # (...)
    gradient_p: Array  # (..., n)
    gradient_q: Array  # (..., m)
    right: bool  # has neither underflow nor rounding spoilt them?
    log_u: Array  # (..., n)   the scalings of p that a run near this one may start from


def wasserstein(
    p: Array,
    q: Array,
    kernel: Kernel,
    accuracy: Accuracy,
    variant: Variant = PLAIN,
    log_u: Array | None = None,
    asked: float | None = None,
) -> Wasserstein:
    """The one W_eps of the package, eq. (4) from b = 1, for inputs that need no check (P^(L) has not mass one).

    The gradients are envelope gradients: those of the dual with its potentials fixed. They are exact for that function
    at any number of iterations, and for the converged value at convergence. ``log_u``: where a converged run near this one
    has ended, to start from. ``asked``: the tolerance that a warning names, where ``accuracy`` has that times something.
    """
    xp = array_namespace(p, q)
    if accuracy.n_iter is None:
        state = _settled(p, q, kernel, accuracy, variant, log_u, asked or accuracy.tol)
    else:
        path = path_for(kernel, variant, p, q)
        n_iter = accuracy.n_iter
        state = path.scalings(p, q, kernel, n_iter) if path else nth(steps_of(p, q, kernel, variant), n_iter)
    right = is_right(kernel.domain, *scalings_of(p, q, state, _products(p, q, state, kernel, variant)))
    f, g = potentials(state, kernel)
    mass = xp.sum(p, axis=-1) if variant.marginal_weight is None else plan_mass(state, kernel)
    value = dual_value(p, q, f, g, mass, kernel.eps, variant)
    grad_p, grad_q = (_where_mass(h, potential_gradient(s, variant)) for h, s in ((p, f), (q, g)))
    return Wasserstein(value, grad_p, grad_q, right, _where_mass(p, f) / kernel.eps)


def _settled(
    p: Array, q: Array, kernel: Kernel, accuracy: Accuracy, variant: Variant, log_u: Array | None, asked: float
) -> Any:
    xp, columns = array_namespace(p, q), q
    if variant.marginal_weight is None:
        # a barycenter misses a little of its mass: the columns of a balanced plan then tend to that much of q
        columns = q * (xp.sum(p, axis=-1, keepdims=True) / xp.sum(q, axis=-1, keepdims=True))
    path = path_for(kernel, variant, p, q)
    found = settle(p, q, kernel, variant, accuracy, columns=columns, twin=path and path.sinkhorn_iteration, log_u=log_u)
    if found.error < float("inf") and not bool(xp.all(found.converged)):
        error = found.error * (asked / accuracy.tol if asked < accuracy.tol else 1.0)
        warn_not_converged("Sinkhorn", found.n_iter, error, asked, "Raise max_iter, or eps.")
    return found.state


def _products(p: Array, q: Array, state: Any, kernel: Kernel, variant: Variant) -> tuple[Array | None, Array | None]:
    """(K v, K^T u) of the iteration that made the state, without a product: K v = p / u when balanced."""
    if kernel.domain == "log":
        return None, None
    theta = variant.theta(kernel.eps)
    u, v = state if theta == 1.0 else (state.u ** (1 / theta), state.v ** (1 / theta))
    return p / u, q / v


def wasserstein_loss(
    p: Array, x: Array, kernel: Kernel, accuracy: Accuracy, variant: Variant = PLAIN, log_u: Array | None = None
) -> Loss:
    """W(P, x), as :func:`wasserstein`; gradient the potential of P."""
    found = wasserstein(p, x, kernel, accuracy, variant, log_u)
    return Loss(found.value, found.gradient_p, found.right, found.log_u)


def sinkhorn_divergence(p: Array, x: Array, kernel: Kernel, accuracy: Accuracy, variant: Variant = PLAIN) -> Loss:
    """W(P, x) - W(P, P)/2 - W(x, x)/2: the Wasserstein loss without its bias, whose minimiser is x itself."""
    variant.only()
    across, own_p = wasserstein(p, x, kernel, accuracy), wasserstein(p, p, kernel, accuracy)
    own_x = wasserstein(x, x, kernel, accuracy)
    gradient = across.gradient_p - (own_p.gradient_p + own_p.gradient_q) / 2
    right = across.right and own_p.right and own_x.right
    return Loss(across.value - (own_p.value + own_x.value) / 2, gradient, right)


class Rule(NamedTuple):
    """A loss, and what has to be known of it."""

    function: Callable[..., Loss]  # of (P, x), or of (P, x, kernel, accuracy, variant) where it needs a kernel
    formula: str
    needs_kernel: bool = False
    balanced_only: bool = False  # it has no meaning with a marginal_weight
    positive_data: bool = False  # infinite where the data are 0
    symmetric_cost: bool = False  # of a lopsided one it would have its least value elsewhere than at P = x
    crosses_zero: bool = False  # so that a change is not small or large relative to it


RULES = {
    "quadratic": Rule(quadratic, "sum (P - x)^2"),
    "kl": Rule(kl, "KL(P|x)", positive_data=True),
    "kl_reverse": Rule(kl_reverse, "KL(x|P)"),
    "tv": Rule(total_variation, "sum |P - x|"),
    "wasserstein": Rule(wasserstein_loss, "W(P, x)", needs_kernel=True, crosses_zero=True),  # it holds the entropy
    "sinkhorn_divergence": Rule(
        sinkhorn_divergence,
        "W(P, x) - W(P, P)/2 - W(x, x)/2",
        needs_kernel=True,
        balanced_only=True,
        symmetric_cost=True,
    ),
}
NAMES = tuple(RULES)


def evaluate(
    name: str,
    p: Array,
    x: Array,
    kernel: Kernel,
    accuracy: Accuracy,
    variant: Variant = PLAIN,
    log_u: Array | None = None,
) -> Loss:
    """The loss called ``name`` at (P, x); ``log_u`` is what the same loss has left behind near here, if it has."""
    rule = RULES[name]
    if not rule.needs_kernel:
        return rule.function(p, x)
    return rule.function(p, x, kernel, accuracy, variant, *(() if log_u is None else (log_u,)))


def infinite_loss(name: str, value: Array, first: int) -> FloatingPointError | None:
    """The error of a loss that is not finite at barycenters that are right, which no domain and no eps would mend; or None.

    ``first`` is the number of the sample that ``value`` begins with.
    """
    xp = array_namespace(value)
    rows = xp.nonzero(~xp.isfinite(value))[0]
    if RULES[name].needs_kernel or not rows.shape[0]:
        return None
    return FloatingPointError(
        f"loss={name!r} is infinite at {rows.shape[0]} of {value.shape[0]} samples (the first is number "
        f"{first + int(rows[0])}): the data or their barycenters hold a 0 where the other has mass. "
        "Add a small constant such as 1e-12 to X and normalise again, or use another loss."
    )


LOOSEST, LEAST_COUNT = 1e-3, 1e-9  # the largest tolerance of a locality's runs; a weight that is nothing


class Locality(NamedTuple):
    """sum_j w_ij W(x_i, atom_j) for every sample, with its gradients (WaHU (4), second term, without its rho)."""

    value: Array  # (n_samples,)
    grad_atoms: Array  # (n_samples, n_atoms, n_bins)   of each sample's term
    grad_weights: Array  # (n_samples, n_atoms)   W itself
    right: bool
    log_u: Array  # (n_atoms, n_samples, n_bins)   the scalings of x that a run near this one may start from


def locality_term(
    x: Array,
    atoms: Array,
    weights: Array,
    kernel: Kernel,
    accuracy: Accuracy,
    variant: Variant = PLAIN,
    log_u: Array | None = None,
    counts: float = 1.0,
) -> Locality:
    """The geometric regulariser of WaHU eq. (3): reconstruct each sample from atoms that are near it.

    ``counts`` is what it is multiplied by, and its errors with it: where that is less than 1 its converged runs stop the
    sooner, at ``tol / counts``.
    """
    xp = array_namespace(x, atoms, weights)
    tol = accuracy.tol / max(min(counts, 1.0), LEAST_COUNT)
    accuracy, asked = accuracy._replace(tol=max(accuracy.tol, min(tol, LOOSEST))), accuracy.tol
    # atoms first: the samples, which are many, are then the contiguous axis of the fast path
    w = wasserstein(x[None, :, :], atoms[:, None, :], kernel, accuracy, variant, log_u, asked)
    value = xp.permute_dims(w.value, (1, 0))
    share = xp.permute_dims(weights, (1, 0))[..., None]
    grad_atoms = xp.permute_dims(share * w.gradient_q, (1, 0, 2))
    return Locality(xp.sum(weights * value, axis=-1), grad_atoms, value, w.right, w.log_u)


def check_loss(
    name: str, marginal_weight: float | None = None, x: Array | None = None, cost: AnyCost | None = None
) -> None:
    """Refuse a name that is no loss, and a loss that does not fit the transport, the data ``x`` or the cost."""
    if not (isinstance(name, str) and name in RULES):
        raise ValueError(f"loss must be one of {', '.join(RULES)}; got {name!r}.")
    rule = RULES[name]
    if rule.balanced_only and marginal_weight is not None:
        raise ValueError(f'loss="{name}" is balanced; use loss="wasserstein" with marginal_weight.')
    if rule.symmetric_cost and cost is not None:
        check_symmetric(cost, f'loss="{name}"')
    if rule.positive_data and x is not None and not bool(array_namespace(x).all(x > 0)):
        raise ValueError(
            f'loss="{name}" is {rule.formula}, infinite where the data are 0. Add a small constant such as 1e-12 and '
            'normalise again, or use loss="kl_reverse".'
        )
