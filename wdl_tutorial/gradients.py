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

import functools
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ._array import (
    Array,
    array_namespace,
    as_float,
    detached,
    device,
    number,
    one_type,
    row_products,
    safe_log,
    take_rows,
    to_backend,
    to_numpy,
)
from ._checks import (
    check_eps,
    check_options,
    check_run,
    finite,
    generator_of,
    integer,
    same_backend,
    squarable,
)
from ._checks import number as finite_number
from ._fast import lent_buffers, path_for
from .barycenters import (
    Adjoint,
    BarycenterState,
    Sweep,
    backward_step,
    check_inputs,
    mean_shares,
    settle,
    state_is_right,
    steps_of,
    warn_loose,
)
from .costs import Cost
from .iterate import Accuracy, said_once, warn_not_converged
from .kernels import Kernel
from .scaling import PLAIN, Attempt, Variant, first_right, is_right, kernels_to_try, too_fine


def record(
    atoms: Array, weights: Array, kernel: Kernel, n_iter: int, *, variant: Variant = PLAIN, log_b: Array | None = None
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
    kernel: Kernel,
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
    assert total is not None  # a tape holds an iteration
    return total


def implicit(
    atoms: Array,
    weights: Array,
    kernel: Kernel,
    state: BarycenterState,
    grad: Array,
    *,
    variant: Variant = PLAIN,
    tol: float = 1e-9,
    max_iter: int = 10_000,
    start: Array | None = None,
) -> tuple[Sweep, Array]:
    """The gradients of the converged barycenter: implicit differentiation at the fixed point, nothing stored.

    With N y = K^T (a / (K b) K (b y)) / phi, the conditional expectation from the barycenter's bins to an atom's and back,
    and Pi y = y - sum_s shares_s y_s, the iteration changes log b by theta^2 Pi N. Both are self-adjoint in the weights
    shares_s P, so that

        (I - theta^2 Pi N) y = -theta^2 Pi N grad

    is solved by conjugate gradients; the gradients follow from e = grad - y, as the unrolled ones do from their adjoints.
    Balanced, the scalings are free up to constants, in which I - Pi N is 0: they are taken out of every product. Across
    images the slowest directions are known beforehand: :class:`_Slow`.

    Returns the two gradients and y (n_samples, n_atoms, n_bins); ``start`` is the y of a problem near this one.
    """
    xp = array_namespace(atoms, weights)
    if variant.momentum != 0.0:  # the fixed point is the plain one; its equations hold after a plain iteration
        variant = replace(variant, momentum=0.0)
        state = next(steps_of(atoms, weights, kernel, variant, state))
    link = _linked(weights, kernel, state, variant)
    theta = variant.theta(kernel.eps)
    wide = xp.broadcast_to(grad[:, None, :], state.b.shape)
    right = -link.onward(link.mean_return(wide))
    felt, rounding = (xp.sum(link.mass * z * z, axis=(-2, -1), keepdims=True) for z in (right, wide))
    there_is = felt > (2.0**6 * float(xp.finfo(right.dtype).eps)) ** 2 * rounding  # a constant gradient moves nothing
    right = xp.where(there_is, right, xp.zeros_like(right))

    def operator(rows: Array | None) -> Callable[[Array], Array]:
        some = link if rows is None else link.rows(rows)
        return lambda y: y - some.onward(some.mean_return(y))

    # I - theta^2 Pi N is self-adjoint in the range of Pi only, and another problem's y is not in the range of this one's
    start = None if start is None else link.onward(start)
    grid = getattr(kernel, "grid", ())
    if variant.balanced and len(grid) > 1 and grad.shape[-1] > 1:  # products are nearly all of the time: the plain path
        slow = _slow(link, state.histogram, waves(grid, grad))
        start = slow.solved(right) if start is None else start + slow.solved(right - operator(None)(start))
        given = {"tol": tol, "max_iter": max_iter, "start": start, "preconditioner": slow.preconditioner}
        found = conjugate_gradients(operator, right, link.mass, **given)
    elif (path := path_for(kernel, variant, atoms, weights)) is None:
        found = conjugate_gradients(operator, right, link.mass, tol=tol, max_iter=max_iter, start=start)
    else:
        operator, into, out = path.return_trip(link)
        right, start = into(right), None if start is None else into(start)
        found = conjugate_gradients(operator, right, into(link.mass), tol=tol, max_iter=max_iter, start=start)
        found = found._replace(x=out(found.x))
    if not bool(xp.all(found.residual <= tol)):
        worst = number(xp.max(found.residual))
        remedy = f"{too_fine(tol, atoms)}Raise max_iter, or eps."
        warn_not_converged("Implicit gradient", found.n_iter, worst, tol, remedy)
    e = wide - found.x
    there = link.to_atoms(e)
    p_ = state.histogram * (grad - theta**2 * xp.sum(link.shares * link.back(there), axis=-2))
    grad_weights = xp.sum(link.slope * p_[:, None, :], axis=-1)
    return Sweep(theta * link.rate(atoms, there), grad_weights), found.x


class _Link(NamedTuple):
    """The fixed point as its linearisation reads it; every array has the samples on its first axis."""

    kernel: Kernel
    theta: float
    a: Array  # as in the state, (n_samples, n_atoms, n_bins)
    b: Array
    kb: Array  # K b of this very b
    over_kb: Array  # its inverse, in the kernel's domain
    over_phi: Array
    shares: Array  # of the atoms in the mean, bin by bin; (n_samples, n_atoms, 1) where it is geometric
    weight: Array  # (n_samples, n_atoms, 1)   those of the atoms, summing to one where they are unbalanced
    slope: Array  # of log P in the weights
    mass: Array  # shares P, the weights of the inner product

    def rows(self, rows: Array) -> _Link:
        xp = array_namespace(rows)
        return self._replace(**{k: xp.take(getattr(self, k), rows, axis=0) for k in self._fields[2:]})

    def to_atoms(self, y: Array) -> Array:
        """K (b y) / (K b): the mean of y over the bins that an atom's bin sends its mass to."""
        return self.kernel.sandwich(self.over_kb, self.b, y)

    def back(self, z: Array) -> Array:
        """K^T (a z) / phi: the mean of z over the atom's bins that a bin of the barycenter has its mass from."""
        return self.kernel.sandwich_t(self.over_phi, self.a, z)

    def mean_return(self, y: Array) -> Array:
        """theta^2 N y."""
        return self.theta**2 * self.back(self.to_atoms(y))

    def onward(self, y: Array) -> Array:
        """Pi y; balanced, without the constants."""
        xp = array_namespace(y)
        y = y - xp.sum(self.shares * y, axis=-2, keepdims=True)
        if self.theta == 1.0:
            total = xp.sum(self.mass, axis=-1, keepdims=True)
            held = xp.where(total > 0, total, xp.ones_like(total))
            y = y - xp.sum(self.mass * y, axis=-1, keepdims=True) / held
        return xp.where(self.mass > 0, y, xp.zeros_like(y))

    def rate(self, atoms: Array, there: Array) -> Array:
        """The adjoint of an atom's bin, from the mean over the bins that it sends its mass to."""
        xp = array_namespace(atoms)
        if self.theta == 1.0:  # a (K b) / atom = 1
            finite = (atoms > 0) | xp.isfinite(there)
            return self.weight * xp.where(finite, there, xp.zeros_like(there))  # steeper than floats can say
        safe = xp.where(atoms > 0, atoms, xp.ones_like(atoms))
        log = self.kernel.domain == "log"
        ratio = xp.exp(self.a + self.kb - xp.log(safe)) if log else self.a * self.kb / safe
        return xp.where(atoms > 0, self.weight * ratio * there, xp.zeros_like(there))  # a power has no slope at 0


def _linked(weights: Array, kernel: Kernel, state: BarycenterState, variant: Variant) -> _Link:
    xp, log = array_namespace(weights), kernel.domain == "log"
    log_phi = state.phi if log else safe_log(state.phi)
    shares, slope = mean_shares(log_phi, weights, variant.kappa(kernel.eps))
    kb = kernel.apply(state.b)
    over_kb, over_phi = (-kb, -state.phi) if log else (1.0 / kb, 1.0 / state.phi)
    weight = weights[..., None]
    if variant.marginal_weight is not None:
        weight = weight / xp.sum(weight, axis=-2, keepdims=True)
    mass = shares * state.histogram[..., None, :]
    theta = variant.theta(kernel.eps)
    return _Link(kernel, theta, state.a, state.b, kb, over_kb, over_phi, shares, weight, slope, mass)


class _Slow(NamedTuple):
    """The directions that the iteration leaves nearly as they are: what varies slowly across an image, as few waves do.

    N reaches a few pixels far, and so does an iteration of conjugate gradients. Let Q r be the solution, for the right side
    r, among y_s = sum_k c_sk wave_k with sum_s w_s c_s = 0. Started from Q r, and preconditioned by r + Q N r, they have no
    more to do with the waves (Tang et al. (2009), "A-DEF2"). With g_s = <wave, r_s> and E_s = <wave, (I - N_s) wave>,
    both weighted by P,

        c_s = E_s^-1 (g_s - m),    (sum_s w_s E_s^-1) m = sum_s w_s E_s^-1 g_s.

    It costs as many applications of N as there are waves, and one of I - Pi N for the start.
    """

    shares: Array  # (n_samples, n_atoms, 1, 1)
    waves: Array  # (n_samples, n_waves, n_bins)   without constants; 0 where the barycenter is 0
    felt: Array  # P wave
    returned: Array  # (n_samples, n_atoms, n_waves, n_bins)   P N wave
    over_e: Array  # (n_samples, n_atoms, n_waves, n_waves)   E^-1
    over_sum: Array  # E^-1 (sum_s w_s E_s^-1)^-1

    def solved(self, r: Array) -> Array:
        """Q r."""
        return self._among(array_namespace(r).matmul(self.felt[:, None, :, :], r[..., None]))

    def preconditioner(self, rows: Array | None) -> Callable[[Array], Array]:
        """r + Q N r."""
        xp = array_namespace(self.waves)
        some = self if rows is None else _Slow(*(xp.take(x, rows, axis=0) for x in self))
        return lambda r: r + some._among(xp.matmul(some.returned, r[..., None]))

    def _among(self, g: Array) -> Array:
        xp = array_namespace(g)
        c = xp.matmul(self.over_e, g)
        c = c - xp.matmul(self.over_sum, xp.sum(self.shares * c, axis=1, keepdims=True))
        return xp.matmul(c[..., 0], self.waves)


def _slow(link: _Link, histogram: Array, z: Array) -> _Slow:
    xp, p, shares = array_namespace(histogram), histogram[:, None, :], link.shares[..., None]
    total = xp.sum(p, axis=-1, keepdims=True)
    z = z - xp.sum(p * z, axis=-1, keepdims=True) / total
    z = xp.where(p > 0, z, xp.zeros_like(z))
    returned = [p * link.mean_return(xp.broadcast_to(z[:, k : k + 1, :], link.b.shape)) for k in range(z.shape[1])]
    returned = xp.stack([xp.where(p > 0, x, xp.zeros_like(x)) for x in returned], axis=-2)
    e = xp.matmul((p * z)[:, None, :, :] - returned, xp.matrix_transpose(z)[:, None, :, :])
    least = 2.0**6 * float(xp.finfo(e.dtype).eps) * xp.eye(e.shape[-1], dtype=e.dtype, device=device(e))
    over_e = xp.linalg.inv((e + xp.matrix_transpose(e)) / 2 + total[..., None] * least)
    over_e = xp.where(shares > 0, over_e, xp.zeros_like(over_e))
    over_sum = xp.matmul(over_e, xp.linalg.inv(xp.sum(shares * over_e, axis=1, keepdims=True)))
    return _Slow(shares, z, p * z, returned, over_e, over_sum)


def waves(grid: tuple[int, ...], like: Array) -> Array:
    """The products of cosines over the axes of a grid, of orders that add up to one or two: (n_waves, n_bins)."""
    return to_backend(_cosines(tuple(grid)), like)


@functools.lru_cache(maxsize=8)
def _cosines(grid: tuple[int, ...]) -> np.ndarray:
    found = []
    for orders in itertools.product(*(range(min(3, n)) for n in grid)):
        if 1 <= sum(orders) <= 2:
            axes = [np.cos(np.pi * k * (np.arange(n) + 0.5) / n) for k, n in zip(orders, grid)]
            found.append(functools.reduce(np.multiply.outer, axes).reshape(-1))
    return np.stack(found)


class Solution(NamedTuple):
    """What :func:`conjugate_gradients` found."""

    x: Array  # (rows, ...)
    residual: Array  # (rows,)   what is left of the right side, by norm
    n_iter: int


def conjugate_gradients(
    operator: Callable[[Array | None], Callable[[Array], Array]],
    right: Array,
    weight: Array,
    *,
    tol: float,
    max_iter: int,
    start: Array | None = None,
    preconditioner: Callable[[Array | None], Callable[[Array], Array]] | None = None,
    check_every: int = 3,
) -> Solution:
    """Solve A x = right in every row, A self-adjoint and positive in the inner product sum weight x y.

    Hestenes and Stiefel (1952). ``operator(rows)`` is A on these rows, None on all; a row leaves when the norm of its
    residual is ``tol`` times that of its right side, or where rounding leaves no direction to go in. A
    ``preconditioner`` (likewise, of rows) is nearly the inverse of A; what is tested is the residual itself all the same.
    """
    xp = array_namespace(right, weight)

    def inner(x: Array, y: Array) -> Array:
        return xp.reshape(row_products([weight * x], [y]), (-1, *[1] * (right.ndim - 1)))

    def over(x: Array, y: Array) -> Array:
        return xp.where(y > 0, x / xp.where(y > 0, y, xp.ones_like(y)), xp.zeros_like(x))

    rows, apply = xp.arange(right.shape[0], device=device(right)), operator(None)
    x = xp.zeros_like(right) if start is None else start
    r = right if start is None else right - apply(start)
    nearly = preconditioner and preconditioner(None)
    p = nearly(r) if nearly else r
    length, whole, left = inner(r, p), inner(right, right), []
    for n_iter in range(max_iter + 1):
        if n_iter % check_every == 0 or n_iter == max_iter:
            residual = xp.sqrt(over(inner(r, r) if nearly else length, whole))
            gone = (residual <= tol) | ~(length > 0) | (n_iter == max_iter)
            gone = xp.reshape(gone, (-1,))
            if bool(xp.any(gone)):
                out, busy = xp.nonzero(gone)[0], xp.nonzero(~gone)[0]
                left.append([take_rows(z, out) for z in (rows, x, residual)])
                if not busy.shape[0]:
                    break
                held = (rows, x, r, p, length, whole, weight)
                rows, x, r, p, length, whole, weight = (take_rows(z, busy) for z in held)
                apply, nearly = operator(rows), preconditioner and preconditioner(rows)
        q = apply(p)
        step = over(length, inner(p, q))
        x, r = x + step * p, r - step * q
        z = nearly(r) if nearly else r
        new = inner(r, z)
        p, length = z + over(new, length) * p, new
    rows, x, residual = (xp.concat(column, axis=0) for column in zip(*left))
    order = xp.argsort(rows)
    return Solution(xp.take(x, order, axis=0), xp.reshape(xp.take(residual, order, axis=0), (-1,)), n_iter)


# a barycenter to its tolerance puts its gradient out by about as much as ten times that does in the adjoint's residual
SLACK, LOOSEST = 10.0, 1e-3


class Recorded(NamedTuple):
    """The barycenters of a few samples, and what can still be asked of the run that made them."""

    histogram: Array  # (n_samples, n_bins)
    right: bool  # can they be believed?
    pull: Callable[[Array], tuple[Array, Array]]  # a gradient in them -> gradients in atoms (summed) and weights
    log_b: Callable[[], Array]  # (n_samples, n_atoms, n_bins) at the end of the run
    adjoint: Callable[[], Array] | None = None  # likewise, what the last pull of a converged run has solved for


def recorded(
    atoms: Array,
    weights: Array,
    kernel: Kernel,
    variant: Variant,
    accuracy: Accuracy,
    log_b: Array | None = None,
    adjoint: Array | None = None,
) -> Recorded:
    """Barycenters that can be differentiated, by the quickest path there is: every gradient of the package begins here.

    ``log_b``: the scalings that the iterations start from, constants of the gradient; ``adjoint``: what a converged run
    near this one has solved for.
    """
    xp = array_namespace(atoms, weights)

    def summed(sweep: Sweep) -> tuple[Array, Array]:
        return xp.sum(sweep.grad_atoms, axis=0), sweep.grad_weights

    path = path_for(kernel, variant, atoms, weights)
    if accuracy.n_iter is None:
        twin = path and path.barycenter_iteration
        found, solved = settle(atoms, weights, kernel, variant, accuracy, log_b=log_b, twin=twin), [adjoint]
        right = state_is_right(found.state, atoms, kernel)
        if right:
            warn_loose(atoms, weights, found, kernel, variant, accuracy.tol)

        def pull(grad: Array) -> tuple[Array, Array]:
            tol, most = max(accuracy.tol, min(SLACK * accuracy.tol, LOOSEST)), accuracy.max_iter
            given = (atoms, weights, kernel, found.state, grad)
            sweep, solved[0] = implicit(*given, variant=variant, tol=tol, max_iter=most, start=solved[0])
            return summed(sweep)

        b = found.state.b
        return Recorded(
            found.state.histogram,
            right,
            pull,
            lambda: b if kernel.domain == "log" else safe_log(b),
            lambda: solved[0],
        )
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
    cost: Cost,
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
    """Pull a gradient in the barycenters back to the atoms and the weights.

    Schmitz et al. (2018), Algorithm 1.

    Parameters
    ----------
    atoms : array, shape (n_atoms, n_bins)
    weights : array, shape (n_samples, n_atoms)
    cost : array, shape (n_bins, n_bins), GridCost or LineCost
    grad : array, shape (n_samples, n_bins)
        dloss/dP^(L).
    eps : float, in the units of the cost
    n_iter : int or None
        L, unrolled; None: the converged barycenter, by implicit differentiation.
    domain : {"auto", "kernel", "log"}
    marginal_weight : float, in the units of the cost, optional
    momentum : float, in (-1, 0]
        These and the cost as for :func:`wdl_tutorial.barycenter`.
    tol : float
        Of the converged barycenter; the conjugate gradients that differentiate it stop at ten times that.
    max_iter : int
        Of both.

    Returns
    -------
    grad_atoms : array, shape (n_atoms, n_bins)
        Summed over the samples. Where an atom is 0 and the slope is too steep for a float, or infinite (heavy ball,
        unbalanced), it is given as 0.
    grad_weights : array, shape (n_samples, n_atoms)
        Partial derivatives; on the simplex they count up to a constant per sample.

    Examples
    --------
    >>> import numpy as np, wdl_tutorial as wt
    >>> two, cost = np.eye(5)[[0, 4]], wt.cost_matrix(np.arange(5))
    >>> _, slope = wt.barycenter_vjp(two, [[0.5, 0.5]], cost, np.arange(5.0)[None], eps=0.5, n_iter=20)
    >>> bool(slope[0, 1] > slope[0, 0])  # more of the right atom moves the mean to the right
    True
    """
    atoms, weights, cost, grad = (detached(x) for x in (atoms, weights, cost, grad))  # gradients here are by hand
    atoms, weights, cost = check_inputs(atoms, weights, cost)
    grad = as_float(grad, like=atoms, name="grad")
    same_backend(atoms=atoms, grad=grad)
    atoms, weights, grad = one_type(atoms, weights, grad)
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

    def attempt(kernel: Kernel) -> Attempt:
        run = recorded(atoms, weights, kernel, variant, accuracy)
        if not run.right:
            return Attempt(None, False)
        found = run.pull(grad)
        return Attempt(found, is_right(kernel.domain, numbers=found))

    kernels = kernels_to_try(cost, eps, domain, atoms, weights)
    with lent_buffers(), said_once("barycenter_vjp"):
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
    """Pull a gradient at ``y = softmax(z)`` back to z: ``y * (grad - <grad, y>)``.

    Schmitz et al. (2018), below eq. (13).

    Parameters
    ----------
    y, grad : array, shape (..., n)

    Returns
    -------
    array, shape (..., n)
    """
    xp = array_namespace(y, grad)
    pulled = y * xp.where(y > 0, grad, xp.zeros_like(grad))  # an entry that underflowed to 0 stays where it is
    return pulled - y * xp.sum(pulled, axis=-1, keepdims=True)


class GradientCheck(NamedTuple):
    """What :func:`check_gradient` measured: slopes by the gradient, and by evaluating the function."""

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
    """Is this the gradient of that function? Slopes along random directions, two ways.

    Parameters
    ----------
    function : callable
        Maps an array like ``x`` to a number.
    x : array
        Where to check.
    gradient : array, shape of x
    method : {"central", "complex"}
        Central differences, good to about 1e-9; or ``Im f(x + i h d) / h``, exact to rounding, for functions of NumPy
        operations that accept complex numbers.
    n_directions : int
    step : float, optional
        Size of the step, relative to the largest entry of ``x``; 1e-6 (central) or 1e-30 (complex) if not given.
    simplex : bool
        Use directions that sum to zero along the last axis: a gradient on the simplex counts up to a constant.
    tol : float, optional
        Largest relative error that passes; 1e-6 (central) or 1e-10 (complex) if not given.
    random_state : int or numpy.random.Generator, optional

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
    if not (isinstance(method, str) and method in ("central", "complex")):
        raise ValueError(f"method must be 'central' or 'complex'; got {method!r}.")
    n_directions = integer("n_directions", n_directions, most=10**6)
    if step is not None:
        step = finite_number("step", step, above=0, most=1, advice="It is relative to the largest entry of x.")
    x, gradient = as_float(x, name="x"), as_float(gradient, like=x, name="gradient")
    same_backend(x=x, gradient=gradient)
    if tuple(x.shape) != tuple(gradient.shape):
        raise ValueError(f"gradient must have the shape of x; got {tuple(gradient.shape)} and {tuple(x.shape)}.")
    for name, values in (("x", x), ("gradient", gradient)):
        squarable(name, finite(name, values))
    rng = generator_of(random_state)
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
