"""Pull a gradient back through the barycenter, by hand.

Schmitz et al. (2018), Proposition 1 and Algorithms 1 and 4, written once for every variant. The adjoints are those of
the *logarithms* of a, phi, P and b, so that the two domains share every line, and one backward sweep yields both
gradients, in the atoms and in the weights. With X_ for the adjoint of log X, one iteration backwards is

    P_   = sum_s b_s_                          (at the last iteration: dloss/dP * P)
    phi_ = w P_ - b_                           w the shares of the mean: the weights, or Algorithm 6's
    c    = K (phi_ / phi) / (K b)              dloss/datom, so far
    b_   = -b K^T (atom c / (K b))             for the iteration before

and the gradient in the weights adds up <log phi, P_>. Products with K have the form left * K (right * w), which the
kernel evaluates in its own domain, where left and right may be huge and tiny.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ._array import Array, array_namespace, as_float, one_type, to_backend, to_numpy
from ._checks import check_count, check_eps, check_options, check_run, is_number
from ._fast import lent_buffers, path_for
from .barycenters import (
    Adjoint,
    BarycenterState,
    Sweep,
    backward_step,
    check_inputs,
    settle,
    state_is_right,
    steps_of,
    warn_loose,
)
from .iterate import Accuracy, warn_not_converged
from .scaling import PLAIN, Attempt, Variant, first_right, is_right, kernels_to_try, too_fine


def record(
    atoms: Array, weights: Array, kernel: Any, n_iter: int, *, variant: Variant = PLAIN, log_b: Array | None = None
) -> list[BarycenterState]:
    """The states of iterations 1 to ``n_iter``: what the backward sweep reads.

    They start from b = 1, or from ``log_b`` (n_samples, n_atoms, n_bins), the logarithm of scalings that an earlier run
    reached. The heavy ball then begins with the second iteration: pushed away from scalings of other atoms, it diverges.
    """
    state = None
    if log_b is not None:
        b = log_b if kernel.domain == "log" else array_namespace(log_b).exp(log_b)
        given = BarycenterState(None, b, None, None, None, None)
        state = next(steps_of(atoms, weights, kernel, replace(variant, momentum=0.0), given))
    tape = [] if state is None else [state]
    steps = steps_of(atoms, weights, kernel, variant, state)
    return tape + [state for _, state in zip(range(n_iter - len(tape)), steps)]


def unrolled(
    atoms: Array,
    weights: Array,
    kernel: Any,
    tape: list[BarycenterState],
    grad: Array,
    *,
    variant: Variant = PLAIN,
    warm: bool = False,
) -> Sweep:
    """The gradients of P^(L) as computed, in one sweep over its recorded iterations (Algorithms 1 and 4).

    ``warm``: the tape started from given scalings, which are constants, and with a plain iteration.
    """
    xp = array_namespace(atoms, weights)
    adjoint = Adjoint(xp.zeros_like(tape[-1].b), p=grad * tape[-1].histogram)
    zeros, total = not bool(xp.all(atoms > 0)), None
    for i in range(len(tape) - 1, -1, -1):
        b_before = tape[i - 1].b if i else (xp.zeros_like if kernel.domain == "log" else xp.ones_like)(tape[i].b)
        if warm and i == 0:
            variant = replace(variant, momentum=0.0)
        adjoint, share = backward_step(atoms, weights, kernel, tape[i], b_before, adjoint, zeros=zeros, variant=variant)
        total = share if total is None else Sweep(total[0] + share[0], total[1] + share[1])
    return total


def implicit(
    atoms: Array,
    weights: Array,
    kernel: Any,
    state: BarycenterState,
    grad: Array,
    *,
    variant: Variant = PLAIN,
    tol: float = 1e-9,
    max_iter: int = 10_000,
) -> Sweep:
    """The gradients of the converged barycenter: implicit differentiation at the fixed point, nothing stored.

    At the fixed point all iterations are the same, so that the backward sweep repeats one step until what it adds is
    below ``tol``: the Neumann series of the implicit function theorem. The barycenter's own freedom (one constant per
    pair of scalings) is orthogonal to what enters, and stays so.
    """
    xp = array_namespace(atoms, weights)
    p_adjoint = grad * state.histogram
    adjoint = Adjoint(xp.zeros_like(state.b), p=p_adjoint)
    zeros, total = not bool(xp.all(atoms > 0)), None
    for n_iter in range(max_iter):
        adjoint, share = backward_step(atoms, weights, kernel, state, state.b, adjoint, zeros=zeros, variant=variant)
        total = share if total is None else Sweep(total[0] + share[0], total[1] + share[1])
        if n_iter % 10 == 9 or n_iter == max_iter - 1:
            scale = float(xp.max(xp.sum(xp.abs(p_adjoint), axis=-1)))
            left = float(xp.max(xp.sum(xp.abs(adjoint.b), axis=(-2, -1))))
            if not left > tol * scale:
                return total
    remedy = f"{too_fine(tol, atoms)}Raise max_iter, or eps, or use momentum=-0.3."
    warn_not_converged("Implicit gradient", max_iter, left / max(scale, 1e-300), tol, remedy)
    return total


class Recorded(NamedTuple):
    """The barycenters of a few samples, and what can still be asked of the run that made them."""

    histogram: Array  # (n_samples, n_bins)
    right: bool  # can they be believed?
    pull: Callable[[Array], tuple[Array, Array]]  # a gradient in them -> gradients in atoms (summed) and weights
    log_b: Callable[[], Array] | None  # (n_samples, n_atoms, n_bins) at the end of a run of fixed length


def recorded(
    atoms: Array, weights: Array, kernel: Any, variant: Variant, accuracy: Accuracy, log_b: Array | None = None
) -> Recorded:
    """Barycenters that can be differentiated, by the quickest path there is: every gradient of the package begins here.

    ``log_b``: the scalings that the iterations start from, constants of the gradient.
    """
    xp = array_namespace(atoms, weights)

    def summed(sweep: Sweep) -> tuple[Array, Array]:
        return xp.sum(sweep.grad_atoms, axis=0), sweep.grad_weights

    if accuracy.n_iter is None:
        found = settle(atoms, weights, kernel, variant, accuracy)
        right = state_is_right(found.state, atoms, kernel)
        if right:
            warn_loose(atoms, weights, found, kernel, variant, accuracy.tol)

        def pull(grad: Array) -> tuple[Array, Array]:
            stop = {"tol": accuracy.tol, "max_iter": accuracy.max_iter}
            return summed(implicit(atoms, weights, kernel, found.state, grad, variant=variant, **stop))

        return Recorded(found.state.histogram, right, pull, None)
    path = path_for(kernel, variant, atoms, weights)
    if path is not None:
        done = path.forward(atoms, weights, kernel, accuracy.n_iter, log_b=log_b)
        return Recorded(done.histogram, done.right, done.pull, done.log_b)
    tape, warm = record(atoms, weights, kernel, accuracy.n_iter, variant=variant, log_b=log_b), log_b is not None
    last = tape[-1]
    return Recorded(
        last.histogram,
        state_is_right(last, atoms, kernel),
        lambda grad: summed(unrolled(atoms, weights, kernel, tape, grad, variant=variant, warm=warm)),
        lambda: last.b if kernel.domain == "log" else xp.log(last.b),
    )


def barycenter_vjp(
    atoms: Array,
    weights: Array,
    cost: Any,
    grad: Array,
    *,
    eps: float,
    n_iter: int | None,
    domain: str = "auto",
    marginal_weight: float | None = None,
    momentum: float = 0.0,
    tol: float = 1e-9,
    max_iter: int = 10_000,
) -> tuple[Array, Array]:
    """Pull a gradient in the barycenters back to the atoms and the weights (Schmitz et al. (2018), Algorithm 1).

    Parameters
    ----------
    atoms : array, shape (n_atoms, n_bins)
    weights : array, shape (n_samples, n_atoms)
    cost, eps, domain, marginal_weight, momentum : as in :func:`wdl_tutorial.barycenter`.
    grad : array, shape (n_samples, n_bins)   dloss/dP^(L).
    n_iter : L, unrolled; None: the converged barycenter, by implicit differentiation to ``tol``.

    Returns
    -------
    grad_atoms : array, shape (n_atoms, n_bins), summed over the samples. Where an atom is 0 and the slope is too steep
        for a float, or infinite (heavy ball, unbalanced), it is given as 0.
    grad_weights : array, shape (n_samples, n_atoms). Partial derivatives; on the simplex they count up to a constant
        per sample.

    Examples
    --------
    >>> import numpy as np, wdl_tutorial as wt
    >>> two, cost = np.eye(5)[[0, 4]], wt.cost_matrix(np.arange(5))
    >>> _, slope = wt.barycenter_vjp(two, [[0.5, 0.5]], cost, np.arange(5.0)[None], eps=0.5, n_iter=20)
    >>> bool(slope[0, 1] > slope[0, 0])  # more of the right atom moves the mean to the right
    True
    """
    atoms, weights, cost = check_inputs(atoms, weights, cost)
    atoms, weights, grad = one_type(atoms, weights, as_float(grad, like=atoms))
    if atoms.ndim != 2 or weights.ndim != 2 or tuple(grad.shape) != (weights.shape[0], atoms.shape[1]):
        raise ValueError(
            f"barycenter_vjp needs atoms (n_atoms, n_bins), weights (n_samples, n_atoms) and grad (n_samples, n_bins); "
            f"got {tuple(atoms.shape)}, {tuple(weights.shape)} and {tuple(grad.shape)}."
        )
    _check_grad(grad)
    eps = check_eps(eps)
    check_options(domain, marginal_weight, momentum)
    check_run(tol, max_iter, n_iter)
    variant, accuracy = Variant(marginal_weight, momentum), Accuracy(n_iter, tol, max_iter)

    def attempt(kernel: Any) -> Attempt:
        run = recorded(atoms, weights, kernel, variant, accuracy)
        if not run.right:
            return Attempt(None, False)
        found = run.pull(grad)
        return Attempt(found, is_right(kernel.domain, numbers=found))

    kernels = kernels_to_try(cost, eps, domain, atoms, weights)
    with lent_buffers():
        (grad_atoms, grad_weights), _ = first_right(kernels, attempt, f"barycenter_vjp ({atoms.dtype})")
    return grad_atoms, grad_weights


def _check_grad(grad: Array) -> None:
    """Refuse a gradient that is NaN or infinite, before a sweep spreads it over everything."""
    xp = array_namespace(grad)
    bad = ~xp.isfinite(grad)
    if bool(xp.any(bad)):
        raise ValueError(
            f"grad holds {int(xp.sum(xp.astype(bad, xp.int64)))} NaN or infinite entries: the loss has no gradient "
            "there. A KL loss needs data that are positive; add a small number and normalize."
        )


def softmax_vjp(y: Array, grad: Array) -> Array:
    """Pull ``grad`` at y = softmax(z) back to z: y * (grad - <grad, y>) (Schmitz et al. (2018), below eq. (13))."""
    xp = array_namespace(y, grad)
    pulled = y * xp.where(y > 0, grad, xp.zeros_like(grad))  # an entry that underflowed to 0 stays where it is
    return pulled - y * xp.sum(pulled, axis=-1, keepdims=True)


class GradientCheck(NamedTuple):
    """What :func:`check_gradient` measured: directional derivatives by the gradient, and by evaluating the function."""

    relative_error: float
    ok: bool
    by_gradient: np.ndarray  # (n_directions,)
    by_difference: np.ndarray  # (n_directions,)


def check_gradient(
    function: Callable[[Array], Any],
    x: Array,
    gradient: Array,
    *,
    method: str = "central",
    n_directions: int = 5,
    step: float | None = None,
    simplex: bool = False,
    tol: float | None = None,
    random_state: int | np.random.Generator | None = 0,
) -> GradientCheck:
    """Is ``gradient`` the gradient of ``function`` at ``x``? Slopes along random directions, two ways.

    Parameters
    ----------
    function : maps an array like ``x`` to a number.
    x : array   Where to check. ``gradient`` has its shape.
    method : ``"central"`` differences, good to about 1e-9; ``"complex"``: Im f(x + i h d) / h, exact to rounding, for
        functions of NumPy operations that accept complex numbers.
    step : size of the step, relative to the largest entry of ``x``; 1e-6 (central) or 1e-30 (complex) if not given.
    simplex : use directions that sum to zero along the last axis: a gradient on the simplex counts up to a constant.
    tol : largest relative error that passes; 1e-6 (central) or 1e-10 (complex) if not given.

    Returns
    -------
    GradientCheck

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([0.2, 0.8])
    >>> check_gradient(lambda x: (x**2).sum(), x, 2 * x).ok
    True
    >>> check_gradient(lambda x: (x**2).sum(), x, 2 * x - 1).ok
    False
    """
    if method not in ("central", "complex"):
        raise ValueError(f"method must be 'central' or 'complex'; got {method!r}.")
    check_count("n_directions", n_directions)
    if step is not None and not (is_number(step) and step > 0):
        raise ValueError(f"step must be a positive number, relative to the largest entry of x; got {step!r}.")
    x, gradient = as_float(x), as_float(gradient, like=x)
    array_namespace(x, gradient)
    if tuple(x.shape) != tuple(gradient.shape):
        raise ValueError(f"gradient must have the shape of x; got {tuple(gradient.shape)} and {tuple(x.shape)}.")
    rng = np.random.default_rng(random_state)
    central = method == "central"
    size = float(np.abs(to_numpy(x)).max()) or 1.0
    h = (step if step is not None else 1e-6 if central else 1e-30) * size
    by_gradient, by_difference = np.empty(n_directions), np.empty(n_directions)
    for k in range(n_directions):
        d = rng.standard_normal(tuple(x.shape))
        d = d - d.mean(axis=-1, keepdims=True) if simplex else d
        d /= np.abs(d).max()
        by_gradient[k] = float((to_numpy(gradient) * d).sum())
        if central:
            ahead, behind = function(x + to_backend(h * d, x)), function(x - to_backend(h * d, x))
            by_difference[k] = (float(ahead) - float(behind)) / (2 * h)
        else:
            by_difference[k] = float(np.imag(function(to_numpy(x) + 1j * h * d))) / h
    scale = max(float(np.abs(by_difference).max()), float(np.abs(by_gradient).max()), 1e-300)
    error = float(np.abs(by_gradient - by_difference).max()) / scale
    limit = tol if tol is not None else 1e-6 if central else 1e-10
    return GradientCheck(error, error <= limit, by_gradient, by_difference)
