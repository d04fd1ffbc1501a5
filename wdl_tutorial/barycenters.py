"""Averages of histograms: the linear mixture, which averages heights, and the barycenter, which averages positions.

    P(atoms, w) = argmin_u sum_s w_s W_eps(atom_s, u)                                       Schmitz et al. (2018), (5)

One iteration, eqs (6)-(8), with b = 1 at the start; s runs over the atoms:

    a_s = atom_s / (K b_s),     phi_s = K^T a_s,     P = prod_s phi_s ** w_s,     b_s = P / phi_s

The variants change one line each: ``marginal_weight`` turns the geometric mean into a power mean (Algorithm 6),
``momentum`` extrapolates a and b (Algorithm 5), ``debiased`` multiplies P by a vector that undoes the blur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    safe_log,
    stays_empty,
    tracks,
    with_gradient,
)
from ._checks import (
    SUM_TOLERANCE,
    check_acceleration,
    check_batch,
    check_bins,
    check_eps,
    check_nonnegative,
    check_not_empty,
    check_options,
    check_run,
    same_backend,
    steppable,
)
from .costs import AnyCost, Cost, check_cost, check_symmetric
from .iterate import Accuracy, Batch, Iteration, Plain, Run, Twin, accelerated, nth, run, warn_not_converged
from .kernels import Kernel, check_domain
from .scaling import (
    PLAIN,
    Attempt,
    Scaled,
    Variant,
    dual_value,
    exp_clipped,
    first_right,
    is_right,
    kernels_to_try,
    least_mass,
    manner,
    raised,
    relax,
    relax_log,
    too_fine,
)


class BarycenterState(NamedTuple):
    """One iteration of eqs (6)-(8). In the log domain every field but ``histogram`` is a logarithm."""

    a: Array  # (..., n_atoms, n_bins)   scaling on the atoms' side
    b: Array  # (..., n_atoms, n_bins)   scaling on the barycenter's side
    kb: Array  # (..., n_atoms, n_bins)   K b of the iteration before, which made a
    phi: Array  # (..., n_atoms, n_bins)   K^T a
    histogram: Array  # (..., n_bins)   P^(l)
    bias: Array | None  # (..., n_bins)   the vector of the debiased iteration


class BarycenterResult(NamedTuple):
    """What :func:`barycenter` found."""

    histogram: Array  # (..., n_bins)
    n_iter: int
    error: float  # largest L1 distance, over the batch, of any plan's marginal from the others'; debiased, or KL(P | d K d)
    converged: Array  # (...) bool
    domain: str  # "kernel" or "log": the domain that gave this result


def linear_mixture(atoms: Array, weights: Array) -> Array:
    """The average of heights: ``sum_s w_s atom_s``.

    Parameters
    ----------
    atoms : array, shape (n_atoms, n_bins)
    weights : array, shape (..., n_atoms)

    Returns
    -------
    array, shape (..., n_bins)

    Examples
    --------
    >>> linear_mixture([[1, 0], [0, 1]], [0.25, 0.75])
    array([0.25, 0.75])
    """
    atoms = as_float(atoms, like=weights, name="atoms")
    weights = as_float(weights, like=atoms, name="weights")
    xp = same_backend(atoms=atoms, weights=weights)
    if atoms.ndim != 2 or weights.ndim == 0 or weights.shape[-1] != atoms.shape[0]:
        raise ValueError(
            f"weights need one entry per atom on their last axis; got weights {tuple(weights.shape)} "
            f"for atoms {tuple(atoms.shape)}."
        )
    for x, name in ((atoms, "atoms"), (weights, "weights")):
        if not bool(xp.all(xp.isfinite(x))):
            raise ValueError(f"{name} holds NaN or infinite entries; replace or mask them first.")
    atoms, weights = one_type(atoms, weights)
    return weights @ atoms


def log_mean(log_phi: Array, weights: Array, kappa: float) -> Array:
    """Logarithm of the weighted mean over the atoms (axis -2): geometric for kappa = 0, else of power kappa.

    Algorithm 6's (sum_s w_s phi_s ** kappa) ** (1 / kappa), the weights divided by their sum. Its literal form loses
    all digits as kappa = eps / (rho + eps) goes to 0; written around the geometric mean through expm1 and log1p it
    tends to that mean with every digit.
    """
    xp = array_namespace(log_phi, weights)
    if kappa == 0.0:
        return xp.matmul(weights[..., None, :], log_phi)[..., 0, :]
    w = weights[..., None] / xp.sum(weights, axis=-1)[..., None, None]
    y = kappa * log_phi
    middle = xp.sum(w * y, axis=-2, keepdims=True)
    top = xp.max(xp.where(w > 0, y, middle + xp.zeros_like(y)), axis=-2, keepdims=True)
    near = xp.sum(w * xp.expm1(xp.clip(y - middle, max=30.0)), axis=-2)  # at least 0 by Jensen: nothing cancels
    far = safe_log(xp.sum(w * xp.exp(xp.clip(y - top, max=0.0)), axis=-2)) + (top - middle)[..., 0, :]
    spread = (top - middle)[..., 0, :]
    correction = xp.where(spread < 30.0, xp.log1p(xp.where(spread < 30.0, near, xp.zeros_like(near))), far)
    return (middle[..., 0, :] + correction) / kappa


def mean_shares(log_phi: Array, weights: Array, kappa: float) -> tuple[Array, Array]:
    """The derivatives of :func:`log_mean`: in log_phi, where they sum to one over the atoms, and in the weights."""
    if kappa == 0.0:
        return weights[..., None], log_phi
    xp = array_namespace(log_phi, weights)
    gap = kappa * (log_phi - log_mean(log_phi, weights, kappa)[..., None, :])
    total = xp.sum(weights, axis=-1)[..., None, None]
    return weights[..., None] / total * xp.exp(gap), xp.expm1(gap) / (kappa * total)


def _start(atoms: Array, weights: Array, n_bins: int, log: bool) -> Array:
    """Scalings of 1 (logarithms of 0) for every problem of the batch."""
    xp = array_namespace(atoms, weights)
    batch = np.broadcast_shapes(tuple(atoms.shape[:-1]), tuple(weights.shape))
    return xp.full((*batch, n_bins), 0.0 if log else 1.0, dtype=atoms.dtype, device=device(atoms))


def _checked_steps(atoms: Array, weights: Array, kernel: Any) -> tuple[Array, Array]:
    """What the generators take, as floats of one backend and with axes that fit."""
    atoms, weights = steppable(atoms=atoms, weights=weights)
    check_bins(kernel, atoms=atoms)
    if atoms.ndim < 2 or not weights.ndim or atoms.shape[-2] != weights.shape[-1]:
        raise ValueError(
            "atoms must be (..., n_atoms, n_bins) and weights (..., n_atoms); "
            f"got shapes {tuple(atoms.shape)} and {tuple(weights.shape)}."
        )
    check_batch(atoms, weights, "atoms and weights", bins=2)
    return atoms, weights


def barycenter_steps(
    atoms: Array,
    weights: Array,
    kernel: Kernel,
    *,
    marginal_weight: float | None = None,
    momentum: float = 0.0,
    debiased: bool = False,
    start: BarycenterState | None = None,
) -> Iterator[BarycenterState]:
    """Yield the state after each barycenter iteration, for ever, in the kernel domain.

    Schmitz et al. (2018), eqs (6)-(8).

    Parameters
    ----------
    atoms : array, shape (..., n_atoms, n_bins)
    weights : array, shape (..., n_atoms)
        Leading axes broadcast against those of the atoms.
    kernel : from ``gibbs_kernel(cost, eps)`` of a square cost
    marginal_weight : float, in the units of the cost, optional
        rho of Algorithm 6; None is balanced.
    momentum : float, in (-1, 0]
        tau of Algorithm 6.
    debiased : bool
        Janati et al. (2020), Algorithm 1: a vector d, as many bins, multiplies P and follows sqrt(d P / K d). It
        starts, as b does, from K_ii^(-1/2), which is 1 where staying costs nothing: a cost + f(x) + f(y) then makes the
        same histograms in every iteration.
    start : BarycenterState, optional

    Yields
    ------
    BarycenterState
    """
    check_domain(kernel, "kernel")
    atoms, weights = _checked_steps(atoms, weights, kernel)
    xp = array_namespace(atoms, weights)
    variant = Variant(marginal_weight, momentum, debiased)
    theta, kappa = variant.theta(kernel.eps), variant.kappa(kernel.eps)
    a, b = (_start(atoms, weights, n, log=False) for n in kernel.shape)
    if debiased:
        b = b * xp.exp(0.0 * b - kernel.log_diagonal() / 2)
    bias = b[..., 0, :] if debiased else None
    if start is not None:
        a, b, bias = start.a, start.b, start.bias
    while True:
        kb = kernel.apply(b)
        new = atoms / kb  # (6)
        a = relax(a, raised(new, theta), momentum)
        phi = kernel.apply_t(a)
        p = xp.exp(log_mean(xp.log(phi), weights, kappa))  # (7)
        if debiased:
            p = bias * p
            bias = xp.sqrt(bias * p / kernel.apply(bias))
        new = p[..., None, :] / phi  # (8)
        b = relax(b, raised(new, theta), momentum)
        yield BarycenterState(a, b, kb, phi, p, bias)


def barycenter_log_steps(
    atoms: Array,
    weights: Array,
    kernel: Kernel,
    *,
    marginal_weight: float | None = None,
    momentum: float = 0.0,
    debiased: bool = False,
    start: BarycenterState | None = None,
) -> Iterator[BarycenterState]:
    """Yield the state after each barycenter iteration, for ever, in the log domain: any eps.

    The iterations of :func:`barycenter_steps` (Schmitz et al. (2018), Algorithm 4).

    Parameters
    ----------
    atoms : array, shape (..., n_atoms, n_bins)
    weights : array, shape (..., n_atoms)
    kernel : from ``gibbs_kernel(cost, eps, domain="log")`` of a square cost
    marginal_weight : float, in the units of the cost, optional
    momentum : float, in (-1, 0]
    debiased : bool
        All as for :func:`barycenter_steps`.
    start : BarycenterState, optional

    Yields
    ------
    BarycenterState
        Its fields but ``histogram`` are logarithms.
    """
    check_domain(kernel, "log")
    atoms, weights = _checked_steps(atoms, weights, kernel)
    xp = array_namespace(atoms, weights)
    variant = Variant(marginal_weight, momentum, debiased)
    theta, kappa = variant.theta(kernel.eps), variant.kappa(kernel.eps)
    log_atoms = safe_log(atoms)
    a, b = (_start(atoms, weights, n, log=True) for n in kernel.shape)
    if debiased:
        b = b - kernel.log_diagonal() / 2
    bias = b[..., 0, :] if debiased else None
    if start is not None:
        a, b, bias = start.a, start.b, start.bias
    while True:
        kb = kernel.apply(b)
        a = relax_log(a, theta * (log_atoms - kb), momentum)  # (6)
        phi = kernel.apply_t(a)
        log_p = log_mean(phi, weights, kappa)  # (7)
        if debiased:
            log_p = bias + log_p
            bias = (bias + log_p - kernel.apply(bias)) / 2
        b = relax_log(b, theta * (log_p[..., None, :] - phi), momentum)  # (8)
        yield BarycenterState(a, b, kb, phi, xp.exp(log_p), bias)


class Adjoint(NamedTuple):
    """What one backward step hands to the iteration before it."""

    b: Array  # (n_samples, n_atoms, n_bins)   adjoint of log b
    carry: Array | float = 0.0  # what the heavy ball carries to the adjoint of log a of the iteration before
    p: Array | None = None  # (n_samples, n_bins)   adjoint of log P, from the loss: at the last iteration only


class Sweep(NamedTuple):
    """The two gradients a backward sweep has added up."""

    grad_atoms: Array  # (n_samples, n_atoms, n_bins)
    grad_weights: Array  # (n_samples, n_atoms)


def backward_step(
    atoms: Array,
    weights: Array,
    kernel: Kernel,
    state: BarycenterState,
    b_before: Array,
    adjoint: Adjoint,
    *,
    zeros: bool,
    variant: Variant = PLAIN,
) -> tuple[Adjoint, Sweep]:
    """One iteration of the barycenter backwards: the adjoint for the one before, and its share of both gradients.

    ``zeros``: an atom holds one.
    """
    xp = array_namespace(atoms, weights)
    momentum = variant.only("marginal_weight", "momentum")["momentum"]
    theta, kappa = variant.theta(kernel.eps), variant.kappa(kernel.eps)
    fresh, log = 1.0 - momentum, kernel.domain == "log"
    log_phi = state.phi if log else xp.log(state.phi)
    p_ = theta * fresh * xp.sum(adjoint.b, axis=-2)
    p_ = p_ if adjoint.p is None else p_ + adjoint.p
    shares, slope = mean_shares(log_phi, weights, kappa)
    phi_ = shares * p_[..., None, :] - theta * fresh * adjoint.b
    grad_weights = xp.sum(slope * p_[..., None, :], axis=-1)

    over_phi, over_kb = (-state.phi, -state.kb) if log else (1.0 / state.phi, 1.0 / state.kb)
    a_ = kernel.sandwich(state.a, over_phi, phi_) + adjoint.carry  # adjoint of log a; over the atom, it is dloss/datom
    c = a_ / xp.where(atoms > 0, atoms, xp.ones_like(atoms))
    if zeros:
        if theta == 1.0 and momentum == 0.0:  # a / atom = 1 / (K b) also where the atom is 0
            at_zero = kernel.sandwich(over_kb, over_phi, phi_)
            at_zero = xp.where(xp.isfinite(at_zero), at_zero, xp.zeros_like(at_zero))  # steeper than floats can say
        else:
            at_zero = xp.zeros_like(a_)  # a power below one has no slope at 0
        c = xp.where(atoms > 0, c, at_zero)
    b_ = kernel.sandwich_t(b_before, over_kb, -theta * fresh * a_)
    if momentum != 0.0:
        b_ = b_ + momentum * adjoint.b
    return Adjoint(b_, momentum * a_), Sweep(theta * fresh * c, grad_weights)


def steps_of(
    atoms: Array, weights: Array, kernel: Kernel, variant: Variant = PLAIN, start: BarycenterState | None = None
) -> Iterator[BarycenterState]:
    """The iterations of ``variant`` in the kernel's domain."""
    make = barycenter_log_steps if kernel.domain == "log" else barycenter_steps
    return make(atoms, weights, kernel, **variant.only("marginal_weight", "momentum", "debiased"), start=start)


def settle(
    atoms: Array,
    weights: Array,
    kernel: Kernel,
    variant: Variant,
    accuracy: Accuracy,
    *,
    log_b: Array | None = None,
    twin: Twin | None = None,
) -> Run:
    """Iterate to the tolerance: every barycenter of the package that has one passes here.

    ``log_b`` (..., n_atoms, n_bins): the logarithm of the scalings to start from, instead of b = 1.
    ``twin`` stands in for :func:`plain_iteration`, and gives the start in its own layout.
    """
    plain = variant.momentum != 0.0 or variant.debiased or tracks(atoms, weights)
    if accuracy.extrapolated and not plain and (not variant.balanced or _of_sum_one(weights)):
        return _extrapolated(atoms, weights, kernel, variant, accuracy, log_b, twin)
    start = _begun(log_b, kernel)
    if start is not None and variant.momentum != 0.0:  # the heavy ball begins with the second iteration
        start = next(steps_of(atoms, weights, kernel, replace(variant, momentum=0.0), start))
    return run(
        steps_of(atoms, weights, kernel, variant, start),
        fixed_point_error(atoms, kernel, variant),
        tol=accuracy.tol,
        max_iter=accuracy.max_iter,
        check_every=accuracy.check_every,
    )


def _of_sum_one(weights: Array) -> bool:
    """Do the weights sum to one? Else the constants that an extrapolation takes for free are what has to settle."""
    xp = array_namespace(weights)
    return bool(xp.all(xp.abs(xp.sum(weights, axis=-1) - 1.0) <= SUM_TOLERANCE))


def _begun(log_b: Array | None, kernel: Kernel) -> BarycenterState | None:
    """A state to start from, of which only b is known."""
    if log_b is None:
        return None
    b = log_b if kernel.domain == "log" else array_namespace(log_b).exp(log_b)
    return BarycenterState(None, b, None, None, None, None)


def _extrapolated(
    atoms: Array,
    weights: Array,
    kernel: Kernel,
    variant: Variant,
    accuracy: Accuracy,
    log_b: Array | None,
    twin: Twin | None,
) -> Run:
    """:func:`settle` by :func:`wdl_tutorial.iterate.accelerated`: the batch as rows, and back."""
    xp = array_namespace(atoms, weights)
    n_atoms, n_bins = atoms.shape[-2:]
    batch = np.broadcast_shapes(tuple(atoms.shape[:-2]), tuple(weights.shape[:-1]))
    rows = xp.reshape(xp.broadcast_to(weights, (*batch, n_atoms)), (-1, n_atoms))
    if atoms.ndim > 2:
        atoms = xp.reshape(xp.broadcast_to(atoms, (*batch, n_atoms, n_bins)), (-1, n_atoms, n_bins))
    x = _start(atoms, rows, kernel.shape[1], log=True) if log_b is None else xp.reshape(log_b, (-1, n_atoms, n_bins))
    if twin is None:
        problem, go = plain_iteration(atoms, rows, kernel, variant), accelerated
    else:
        problem, x, go = twin(atoms, rows, kernel, x)
    found = go(
        problem,
        x,
        tol=accuracy.tol,
        max_iter=accuracy.max_iter,
        **manner(kernel, variant),
    )
    if twin is not None:  # which keeps no more than it goes on from
        begin = _begun(found.state.logs[:, :, :n_bins], kernel)
        found = found._replace(state=next(steps_of(atoms, rows, kernel, variant, begin)))
    state = BarycenterState(*(None if s is None else xp.reshape(s, (*batch, *s.shape[1:])) for s in found.state))
    return found.measured(state, fixed_point_error(atoms, kernel, variant)(state), accuracy.tol)


LIGHT = 0.02  # added to the weights in an extrapolation's inner product: atoms of no weight have to settle, too


def plain_iteration(atoms: Array, weights: Array, kernel: Kernel, variant: Variant) -> Batch:
    """The iteration of :func:`steps_of` for weights (rows, n_atoms), as :func:`accelerated` reads it.

    The logarithms are those of b. Atoms are (n_atoms, n_bins), or have the rows in front.
    """
    xp = array_namespace(atoms, weights)
    log, balanced = kernel.domain == "log", variant.marginal_weight is None

    def problem(rows: Array | None) -> Iteration:
        some = weights if rows is None else xp.take(weights, rows, axis=0)
        own = atoms if rows is None or atoms.ndim == 2 else xp.take(atoms, rows, axis=0)
        heavy = some[..., None] + LIGHT

        def plain(x: Array, state: Any) -> Plain:
            state = next(steps_of(own, some, kernel, variant, _begun(x, kernel) if state is None else state))
            log_b = state.b if log else safe_log(state.b)
            if balanced:
                mass = state.histogram[:, None, :] + xp.zeros_like(log_b)
            else:
                mass = xp.exp(log_b + state.phi) if log else state.b * state.phi

            def dual() -> Array:
                f = kernel.eps * (state.a if log else safe_log(state.a))
                none = xp.zeros_like(mass[..., :1])
                values = dual_value(own, none, f, none, xp.sum(mass, axis=-1), kernel.eps, variant)
                return xp.sum(some * values, axis=-1) / kernel.eps

            return Plain(log_b, mass, heavy, dual, state)

        return plain

    return problem


def fixed_point_error(atoms: Array, kernel: Kernel, variant: Variant) -> Callable[[BarycenterState], Array]:
    """A function of a state: the L1 distance of a plan's atom-side marginal from where (6) would put it, worst atom.

    The other marginal has just been updated, and is the same for all plans (not with the heavy ball, but this error
    was above the distance to the limit there too, wherever both were measured). A debiased run also counts KL(P | d K d),
    about what one more update of d lowers the objective by, in units of eps: to undo a blur is an ill-posed problem, whose
    finest details come back as 1/iterations in L1, and stay unsettled where the histogram is settled long since.
    """
    xp = array_namespace(atoms)
    theta = variant.theta(kernel.eps)
    log = kernel.domain == "log"
    target = safe_log(atoms) if log else atoms

    def error(state: BarycenterState) -> Array:
        kb = kernel.apply(state.b)
        if log:
            now, new = exp_clipped(state.a + kb), exp_clipped(theta * (target - kb) + kb)
        else:
            now, new = state.a * kb, (target / kb) ** theta * kb if theta != 1.0 else target + 0.0 * kb
        worst = xp.max(xp.sum(xp.abs(now - new), axis=-1), axis=-1)
        if not variant.debiased:
            return worst
        k_bias = kernel.apply(state.bias)
        dkd = exp_clipped(state.bias + k_bias) if log else state.bias * k_bias  # d may be huge where K d is tiny
        return xp.maximum(worst, _divergence(dkd, state.histogram))

    return error


def _divergence(x: Array, p: Array) -> Array:
    """KL(p | x) along the last axis, of masses that need not be one; what underflowed counts as the smallest float."""
    xp = array_namespace(x, p)
    tiny = float(xp.finfo(p.dtype).smallest_normal)
    log_ratio = xp.log(xp.clip(p, min=tiny)) - xp.log(xp.clip(x, min=tiny))
    return xp.clip(xp.sum(p * log_ratio - p + x, axis=-1), min=0.0)


def state_is_right(state: BarycenterState, atoms: Array, kernel: Kernel) -> bool:
    """Can the histogram of a state be believed?"""
    if kernel.domain == "log":
        scaled = Scaled(state.a, None, None), Scaled(state.b, None, None)
    else:
        matters = state.histogram[..., None, :] > least_mass(state.histogram)
        scaled = Scaled(state.b, kernel.apply(state.b), atoms > 0), Scaled(state.a, state.phi, matters)
    return is_right(kernel.domain, *scaled, numbers=(state.histogram,))


def barycenter(
    atoms: Array,
    weights: Array,
    cost: Cost | None,
    *,
    eps: float,
    n_iter: int | None = None,
    tol: float = 1e-9,
    max_iter: int = 10_000,
    domain: str = "auto",
    marginal_weight: float | None = None,
    momentum: float = 0.0,
    debiased: bool = False,
    check_every: int = 10,
    acceleration: str | None = "auto",
    support_cost: Cost | None = None,
) -> BarycenterResult:
    """Entropic Wasserstein barycenter: the average of positions of several histograms.

    ::

        argmin_u sum_s w_s W_eps(atom_s, u)        Schmitz et al. (2018), eqs (5)-(8)

    Of torch tensors that track gradients, ``histogram`` does too. Converged runs of one set of atoms record no
    iteration: their gradient is implicit, by :func:`wdl_tutorial.barycenter_vjp`. Those with an ``n_iter`` are
    recorded, each of them, as are debiased runs, batches of atoms, and a cost that tracks.

    Parameters
    ----------
    atoms : array, shape (..., n_atoms, n_bins)
        Non-negative.
    weights : array, shape (..., n_atoms)
        Non-negative; zero weights are fine. Leading axes broadcast.
    cost : array, shape (n_bins, n_bins), GridCost or LineCost
        None with a ``support_cost``.
    eps : float, in the units of the cost
        Entropic regularisation.
    n_iter : int, optional
        Exactly this many iterations from b = 1, the papers' P^(L), whose mass is not quite one; None: to ``tol``.
    tol : float
        Stop when every plan's marginal is within ``tol`` (L1) of its atom.
    max_iter : int
    domain : {"auto", "kernel", "log"}
        "auto": the kernel domain, and the log domain where that was not right.
    marginal_weight : float, in the units of the cost, optional
        rho of section 4.4: marginals may differ, at a price. None is balanced.
    momentum : float, in (-1, 0]
        tau of Algorithm 5; negative accelerates.
    debiased : bool
        Take out the blur of the entropy (Janati et al. (2020)); slower. Symmetric costs, balanced. To undo a blur is
        ill-posed: far more iterations than ``tol`` asks for bring noise, not detail.
    check_every : int
        Iterations between two looks at the error of a plain run.
    acceleration : {"auto", None}
        "auto": runs to ``tol`` are extrapolated, to the same fixed point, and ``n_iter`` of the result counts the plain
        iterations between. None: the paper's plain iteration. Also plain with an ``n_iter``, a ``momentum`` or
        ``debiased``.
    support_cost : array, shape (n_bins, n_support), optional
        For a barycenter on bins of its own: the cost from the atoms' bins to them. Not debiased, which needs the cost
        within them.

    Returns
    -------
    BarycenterResult
        ``.histogram`` has the shape (..., n_bins), or (..., n_support). Its gradients by torch are 0 in bins where an
        atom is 0, in both domains; :func:`wdl_tutorial.barycenter_vjp` gives the slope there.

    Raises
    ------
    ValueError, TypeError
        Negative or NaN entries, shapes that do not fit, two backends.
    FloatingPointError
        ``domain="kernel"`` and exp(-cost/eps) underflowed; or potentials / eps so large that their floating type leaves
        the plans no digit.

    Warns
    -----
    ConvergenceWarning
        If ``max_iter`` was not enough.

    Examples
    --------
    >>> import numpy as np, wdl_tutorial as wt
    >>> two = np.eye(5)[[0, 4]]
    >>> bary = wt.barycenter(two, [0.5, 0.5], wt.cost_matrix(np.arange(5)), eps=0.5).histogram
    >>> int(bary.argmax())
    2
    """
    if support_cost is not None and (cost is not None or debiased):
        raise ValueError(
            "support_cost takes the place of cost: give cost=None with it, and not debiased=True, which needs the cost "
            "within the barycenter's own bins."
        )
    own = support_cost is None
    asked: Any = cost if own else support_cost  # None is refused as no cost
    atoms, weights, cost = check_inputs(atoms, weights, asked, square=own)
    atoms = stays_empty(atoms)
    eps = check_eps(eps)
    check_options(domain, marginal_weight, momentum)
    check_run(tol, max_iter, n_iter, check_every=check_every)
    check_acceleration(acceleration)
    if debiased and (marginal_weight is not None or momentum != 0.0):
        raise ValueError(
            "debiased needs momentum=0 and marginal_weight=None; got "
            f"momentum={momentum:g} and marginal_weight={marginal_weight}."
        )
    if debiased:
        check_symmetric(cost, "debiased=True")
    variant = Variant(marginal_weight, momentum, debiased)
    accuracy = Accuracy(n_iter, tol, max_iter, check_every, acceleration)
    given, implicit = (atoms, weights), n_iter is None and atoms.ndim == 2 and weights.ndim <= 2 and not debiased
    implicit = implicit and support_cost is None and tracks(atoms, weights) and not tracks(cost)
    if implicit:
        atoms, weights = detached(atoms), detached(weights)

    def attempt(kernel: Kernel) -> Attempt:
        found = _solve(atoms, weights, kernel, variant, accuracy)
        right = state_is_right(found.state, atoms, kernel)
        return Attempt(found, right, None if right or kernel.domain != "log" else _diverged(atoms, weights, variant))

    kernels = kernels_to_try(cost, eps, domain, atoms, weights)
    found, kernel = first_right(kernels, attempt, f"barycenter ({atoms.dtype})")
    if n_iter is None:
        warn_loose(atoms, weights, found, kernel, variant, tol, acceleration)
    histogram = found.state.histogram
    if implicit:
        options = {"eps": eps, "n_iter": None, "domain": domain, "marginal_weight": marginal_weight}
        histogram = _implicit(
            histogram, *given, cost, options | {"momentum": momentum, "tol": tol, "max_iter": max_iter}
        )
    return BarycenterResult(histogram, found.n_iter, found.error, found.converged, kernel.domain)


def _implicit(histogram: Array, atoms: Array, weights: Array, cost: Cost, options: dict[str, Any]) -> Array:
    """The converged barycenters, whose gradient torch asks of :func:`barycenter_vjp` when it wants it."""
    from .gradients import barycenter_vjp

    def pull(grad: Array) -> tuple[Array, Array]:
        rows = detached(weights) if weights.ndim == 2 else detached(weights)[None, :]
        grad = grad if grad.ndim == 2 else grad[None, :]
        by_atoms, by_weights = barycenter_vjp(detached(atoms), rows, cost, grad, **options)
        return by_atoms, by_weights if weights.ndim == 2 else by_weights[0, :]

    return with_gradient(histogram, (atoms, weights), pull)


def warn_loose(
    atoms: Array,
    weights: Array,
    found: Run,
    kernel: Kernel,
    variant: Variant,
    tol: float,
    acceleration: str | None = "auto",
) -> None:
    """A ConvergenceWarning where a barycenter has not reached its tolerance, with what to do."""
    if bool(array_namespace(atoms).all(found.converged)):
        return
    why = too_fine(tol, atoms) + ("" if variant.marginal_weight is not None else _loose_masses(atoms, weights, tol))
    plain = acceleration is None and variant.momentum == 0.0
    other = "tol" if variant.debiased else f"eps (now {kernel.eps:g})"  # to undo a wider blur takes longer
    auto = ", or leave acceleration at 'auto'" if plain and not variant.debiased else ""
    remedy = f"{why}Raise max_iter, or {other}{auto}."
    warn_not_converged("Barycenter", found.n_iter, found.error, tol, remedy)


def _diverged(atoms: Array, weights: Array, variant: Variant) -> FloatingPointError | None:
    """The error of balanced iterations that grow for ever, since the weights of a row sum to two or more; else nothing."""
    loose = _loose_masses(atoms, weights, SUM_TOLERANCE) if variant.marginal_weight is None else ""
    return (
        FloatingPointError(f"the iterations of the barycenter diverge. {loose}".strip()) if "weights" in loose else None
    )


def _loose_masses(atoms: Array, weights: Array, tol: float) -> str:
    """A sentence for the warning of a balanced run that has no fixed point, since masses differ; else nothing."""
    xp = array_namespace(atoms, weights)
    sums, mass = xp.sum(weights, axis=-1), xp.sum(atoms, axis=-1)
    if bool(xp.any(xp.abs(sums - 1.0) > SUM_TOLERANCE)):
        off = xp.max(sums) if number(xp.max(sums)) - 1 > 1 - number(xp.min(sums)) else xp.min(sums)
        return f"The weights of a row sum to {number(off):.6g}, not to 1: use normalize(weights). "
    low, high = number(xp.min(mass)), number(xp.max(mass))
    if high - low > tol * high:  # their plans cannot agree any better
        how = f", from {low:.6g} to {high:.6g}" if high - low > SUM_TOLERANCE * high else f" by {high - low:.1e}"
        return f"The atoms' sums differ{how}: use normalize(atoms). "
    return ""


def _solve(atoms: Array, weights: Array, kernel: Kernel, variant: Variant, accuracy: Accuracy) -> Run:
    if accuracy.n_iter is None:
        return settle(atoms, weights, kernel, variant, accuracy, twin=_twin(atoms, weights, kernel, variant))
    state = nth(steps_of(atoms, weights, kernel, variant), accuracy.n_iter)
    errors = fixed_point_error(atoms, kernel, variant)(state)
    return Run(state, accuracy.n_iter, number(array_namespace(errors).max(errors)), errors <= accuracy.tol, [])


def _twin(atoms: Array, weights: Array, kernel: Kernel, variant: Variant) -> Twin | None:
    """What stands in for :func:`plain_iteration`; images, whose products take nearly all of the time, gain nothing by it."""
    from ._fast import path_for  # which reads this module

    if atoms.ndim > 2 or kernel.shape[0] != kernel.shape[1] or len(getattr(kernel, "grid", ())) > 1:
        return None
    path = path_for(kernel, variant, atoms, weights)
    return path and path.barycenter_iteration


def check_inputs(atoms: Array, weights: Array, cost: Cost, *, square: bool = True) -> tuple[Array, Array, AnyCost]:
    """Floats of one backend and type that are finite and not negative, and a square cost, or any, that fits them.

    Sums are not checked: P^(L) has not mass one, and finite differences must be possible.
    """
    atoms = as_float(atoms, like=weights, name="atoms")
    weights = as_float(weights, like=atoms, name="weights")
    cost = check_cost(cost, square=square)
    same_backend(atoms=atoms, weights=weights, cost=cost)
    if atoms.ndim < 2 or weights.ndim < 1 or atoms.shape[-2] != weights.shape[-1]:
        raise ValueError(
            f"atoms must be (..., n_atoms, n_bins) and weights (..., n_atoms); "
            f"got {tuple(atoms.shape)} and {tuple(weights.shape)}."
        )
    if atoms.shape[-1] != cost.shape[0]:
        raise ValueError(
            f"atoms have {atoms.shape[-1]} bins but cost has shape {tuple(cost.shape)}. Make a cost of these bins."
        )
    check_batch(atoms, weights, "atoms and weights", bins=2)
    for x, name in ((atoms, "atoms"), (weights, "weights")):
        check_nonnegative(x, name)
        check_not_empty(x, name)
    return *one_type(atoms, weights), cost
