"""Entropic transport between two histograms: the one definition of W_eps of this package.

    W_eps(p, q) = min_T <T, C> + eps H(T),  T 1 = p,  T^T 1 = q,  H(T) = sum T (log T - 1)    Schmitz et al. (2018), (3)

The solution is T = diag(u) K diag(v) with K = exp(-C/eps). Each half-iteration mends one marginal exactly; eq. (4) of
the paper, where a is our v and b our u. Source ``p`` (rows) comes last, so its marginal is the exact one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ._array import (
    Array,
    array_namespace,
    as_float,
    detached,
    is_array,
    logsumexp,
    number,
    one_type,
    safe_log,
    stays_empty,
    to_backend,
    tracks,
)
from ._checks import (
    check_acceleration,
    check_batch,
    check_bins,
    check_eps,
    check_histograms,
    check_marginal_weight,
    check_nonnegative,
    check_not_empty,
    check_options,
    check_run,
    is_number,
    same_backend,
    steppable,
)
from .costs import AnyCost, Cost, check_cost, check_symmetric, largest_cost
from .iterate import Accuracy, Batch, Iteration, Plain, Run, Twin, accelerated, run, warn_not_converged
from .kernels import Kernel, check_domain, kernel_for, moved_cost
from .scaling import (
    Attempt,
    Scaled,
    Variant,
    dual_value,
    first_right,
    is_right,
    kernels_to_try,
    manner,
    plan_mass,
    potentials,
    raised,
    relax,
    relax_log,
    too_fine,
)

LARGEST_PLAN = 2**28  # entries of a plan that may be built: 2 GB


class SinkhornState(NamedTuple):
    """Scaling vectors: ``T = diag(u) K diag(v)``."""

    u: Array  # (..., n)
    v: Array  # (..., m)


class SinkhornLogState(NamedTuple):
    """Logarithms of the scaling vectors: eps times them are the potentials f and g."""

    log_u: Array  # (..., n)
    log_v: Array  # (..., m)


class SinkhornResult(NamedTuple):
    """What :func:`sinkhorn` found. ``plan`` and ``transport_cost`` are computed when asked for."""

    value: Array  # (...)   the dual value, KL terms of an unbalanced problem included
    f: Array  # (..., n)   potential of p: eps log u, the gradient of the value in p when balanced
    g: Array  # (..., m)   potential of q
    n_iter: int
    error: float  # largest L1 violation, over the batch, of the marginal not just updated
    converged: Array  # (...) bool
    domain: str  # "kernel" or "log": the domain that gave this result
    cost: AnyCost
    eps: float

    @property
    def plan(self) -> Array:
        """The transport plan T, shape (..., n, m)."""
        n, m = self.f.shape[-1], self.g.shape[-1]
        entries = max(1, int(np.prod(self.f.shape[:-1]))) * n * m
        if entries > LARGEST_PLAN:
            raise MemoryError(
                f"the plan has {entries:.1e} entries ({n} x {m} per problem); ask for fewer bins or problems."
            )
        xp = array_namespace(self.f, self.g)
        exponent = self.f[..., :, None] + self.g[..., None, :] - self._dense_cost()
        return xp.exp(exponent / self.eps)

    @property
    def transport_cost(self) -> Array:
        """What the transport costs without the entropy, ``<T, C>``, shape (...). No plan is built."""
        return moved_cost(self.cost, self.eps, self.f, self.g)

    def _dense_cost(self) -> Array:
        return self.cost if is_array(self.cost) else to_backend(self.cost.dense(), self.f)


def _ones(p: Array, q: Array) -> Array:
    """Ones of the shape of u: the batch axes of p and q broadcast, the bins of p."""
    xp = array_namespace(p, q)
    return xp.ones_like(p) + 0.0 * xp.sum(q, axis=-1, keepdims=True)


def sinkhorn_steps(
    p: Array,
    q: Array,
    kernel: Kernel,
    *,
    marginal_weight: float | None = None,
    momentum: float = 0.0,
    start: tuple[Array, Array | None] | None = None,
) -> Iterator[SinkhornState]:
    """Yield the scaling vectors after each Sinkhorn iteration, for ever.

    ::

        min_T <T, C> + eps H(T)    with row sums p and column sums q,    T = diag(u) K diag(v)

    One iteration is one pass of Schmitz et al. (2018), eq. (4), from u = 1. Where torch records them, their gradients
    are 0 in bins without mass, as in the log domain.

    Parameters
    ----------
    p, q : array, shape (..., n) and (..., m)
        Source and target histograms; leading axes broadcast.
    kernel : from ``gibbs_kernel(cost, eps)``
    marginal_weight : float, in the units of the cost, optional
        rho of section 4.4; None is balanced.
    momentum : float, in (-1, 0]
        tau of eqs (25)-(26).
    start : SinkhornState, optional

    Yields
    ------
    SinkhornState
    """
    check_domain(kernel, "kernel")
    p, q = steppable(p=p, q=q)
    check_bins(kernel, p=p, q=q)
    p, q = stays_empty(p), stays_empty(q)
    theta, theta_q = Variant(marginal_weight).thetas(kernel.eps)
    u, v = (_ones(p, q), None) if start is None else start
    while True:
        new = q / kernel.apply_t(u)  # (..., m): the columns of T now sum to q
        v = relax(array_namespace(new).ones_like(new) if v is None else v, raised(new, theta_q), momentum)
        new = p / kernel.apply(v)  # (..., n): the rows of T now sum to p
        u = relax(u, raised(new, theta), momentum)
        yield SinkhornState(u, v)


def sinkhorn_log_steps(
    p: Array,
    q: Array,
    kernel: Kernel,
    *,
    marginal_weight: float | None = None,
    momentum: float = 0.0,
    start: tuple[Array, Array | None] | None = None,
) -> Iterator[SinkhornLogState]:
    """Yield the logarithms of the scaling vectors after each Sinkhorn iteration, for ever.

    The iterations of :func:`sinkhorn_steps`, in the log domain (Schmitz et al. (2018), section 4.1): no eps is too
    small.

    Parameters
    ----------
    p, q : array, shape (..., n) and (..., m)
        Source and target histograms; leading axes broadcast.
    kernel : from ``gibbs_kernel(cost, eps, domain="log")``
    marginal_weight : float, in the units of the cost, optional
    momentum : float, in (-1, 0]
        Both as for :func:`sinkhorn_steps`.
    start : SinkhornLogState, optional

    Yields
    ------
    SinkhornLogState
    """
    check_domain(kernel, "log")
    p, q = steppable(p=p, q=q)
    check_bins(kernel, p=p, q=q)
    theta, theta_q = Variant(marginal_weight).thetas(kernel.eps)
    log_p, log_q = safe_log(p), safe_log(q)  # whose slopes are 0 at 0
    log_u, log_v = (0.0 * _ones(p, q), None) if start is None else start
    while True:
        new = theta_q * (log_q - kernel.apply_t(log_u))
        log_v = relax_log(array_namespace(new).zeros_like(new) if log_v is None else log_v, new, momentum)
        new = theta * (log_p - kernel.apply(log_v))
        log_u = relax_log(log_u, new, momentum)
        yield SinkhornLogState(log_u, log_v)


def steps_of(
    p: Array, q: Array, kernel: Kernel, variant: Variant, start: SinkhornState | SinkhornLogState | None = None
) -> Iterator[SinkhornState | SinkhornLogState]:
    """The iterations of ``variant`` in the kernel's domain."""
    make: Callable[..., Iterator[SinkhornState | SinkhornLogState]]
    make = sinkhorn_log_steps if kernel.domain == "log" else sinkhorn_steps
    return make(p, q, kernel, **variant.only("marginal_weight", "momentum"), start=start)


def settle(
    p: Array,
    q: Array,
    kernel: Kernel,
    variant: Variant,
    accuracy: Accuracy,
    *,
    start: SinkhornState | SinkhornLogState | None = None,
    columns: Array | None = None,
    twin: Twin | None = None,
    log_u: Array | None = None,
) -> Run:
    """Iterate to the tolerance: every Sinkhorn run of the package that has one passes here.

    ``columns`` are the column sums that the plan tends to, where they are not ``q``; ``twin`` stands in for
    :func:`plain_iteration`, and gives the start in its own layout. ``log_u`` (..., n): where a run near this one has ended.
    """
    if log_u is not None:
        xp = array_namespace(log_u)
        start = SinkhornLogState(log_u, None) if kernel.domain == "log" else SinkhornState(xp.exp(log_u), None)
    if accuracy.extrapolated and variant.momentum == 0.0 and not tracks(p, q):
        return _extrapolated(p, q if columns is None else columns, kernel, variant, accuracy, start, twin)
    error = marginal_error(p, q if columns is None else columns, kernel, variant)
    return run(
        steps_of(p, q, kernel, variant, start),
        error,
        tol=accuracy.tol,
        max_iter=accuracy.max_iter,
        check_every=accuracy.check_every,
    )


def _extrapolated(
    p: Array, q: Array, kernel: Kernel, variant: Variant, accuracy: Accuracy, start: Any, twin: Twin | None
) -> Run:
    """:func:`settle` by :func:`wdl_tutorial.iterate.accelerated`: the batch as rows, and back."""
    xp = array_namespace(p, q)
    batch = np.broadcast_shapes(tuple(p.shape[:-1]), tuple(q.shape[:-1]))
    ps, qs = (xp.reshape(xp.broadcast_to(h, (*batch, h.shape[-1])), (-1, h.shape[-1])) for h in (p, q))
    x = xp.zeros_like(ps) if start is None else start[0] if kernel.domain == "log" else safe_log(start[0])
    x = xp.reshape(xp.broadcast_to(x, (*batch, x.shape[-1])) if start is not None else x, (-1, 1, x.shape[-1]))
    if twin is None:
        problem, go = plain_iteration(ps, qs, kernel, variant), accelerated
    else:
        problem, x, go = twin(ps, qs, kernel, x)
    found = go(
        problem,
        x,
        tol=accuracy.tol,
        max_iter=accuracy.max_iter,
        **manner(kernel, variant),
    )
    state = found.state
    if twin is not None:  # which keeps no more than it goes on from
        begin = SinkhornState(xp.exp(state.logs[:, 0, : ps.shape[-1]]), None)
        state = next(steps_of(ps, qs, kernel, variant, begin))
    state = _even(ps, qs, state, kernel) if variant.balanced else state
    state = type(state)(*(xp.reshape(s, (*batch, s.shape[-1])) for s in state))
    return found.measured(state, marginal_error(p, q, kernel, variant)(state), accuracy.tol)


def _even(p: Array, q: Array, state: Any, kernel: Kernel) -> Any:
    """The state whose potentials have <f, p> = <g, q>: of the constant that is free, the one that no path depends on."""
    xp = array_namespace(p, q)
    log_u, log_v = state if kernel.domain == "log" else map(safe_log, state)
    f, g = (xp.sum(xp.where(h > 0, h * s, xp.zeros_like(h)), axis=-1) for h, s in ((p, log_u), (q, log_v)))
    shift = ((g - f) / (2.0 * xp.sum(p, axis=-1)))[..., None]
    if kernel.domain == "log":
        return type(state)(log_u + shift, log_v - shift)
    return type(state)(state.u * xp.exp(shift), state.v * xp.exp(-shift))


def plain_iteration(p: Array, q: Array, kernel: Kernel, variant: Variant) -> Batch:
    """The iteration of :func:`steps_of` on rows p (rows, n) and q (rows, m), as :func:`accelerated` reads it.

    Unbalanced, every iteration ends with the best translation (f + t, g - t) of the potentials (Sejourne et al. (2022),
    Proposition 3): the plan stays, and the mass of both marginals fits at once, which is what takes long at a large rho.
    """
    xp = array_namespace(p, q)
    log, balanced, theta = kernel.domain == "log", variant.balanced, variant.thetas(kernel.eps)[0]
    kind = SinkhornLogState if log else SinkhornState

    def problem(rows: Array | None) -> Iteration:
        source, target = (h if rows is None else xp.take(h, rows, axis=0) for h in (p, q))

        def plain(x: Array, state: Any) -> Plain:
            x = x[:, 0, :]
            start = kind(x if log else xp.exp(x), None) if state is None or not balanced else state
            state = next(steps_of(source, target, kernel, variant, start))
            log_u, log_v = state if log else (safe_log(state.u), state.v)
            mass = source
            if not balanced:
                log_v = log_v if log else safe_log(log_v)
                mass = source * xp.exp(xp.where(source > 0, log_u, xp.zeros_like(log_u)) * (1.0 - 1.0 / theta))
                shift = _best_translation(source, target, log_u, log_v, kernel.eps, variant)
                log_u, log_v = log_u + shift, log_v - shift
                state = kind(log_u, log_v) if log else kind(xp.exp(log_u), xp.exp(log_v))

            def dual() -> Array:
                f, g = (kernel.eps * s for s in (log_u, log_v if log or not balanced else safe_log(log_v)))
                return dual_value(source, target, f, g, xp.sum(mass, axis=-1), kernel.eps, variant) / kernel.eps

            return Plain(log_u[:, None, :], mass[:, None, :], xp.ones_like(mass[:1, None, :1]), dual, state)

        return plain

    return problem


def _best_translation(p: Array, q: Array, log_u: Array, log_v: Array, eps: float, variant: Variant) -> Array:
    """t / eps (rows, 1) of the translation (f + t, g - t) that raises the dual most; an exact marginal is rho = infinity.

    None where it would be rounding, magnified by rho / eps; and where rho is so small that nothing holds the potentials.
    """

    def tilted(h: Array, log_scaling: Array, rho: float | None) -> Array:
        xp = array_namespace(h)
        share = 0.0 if rho is None else eps / rho
        return logsumexp(safe_log(h) - share * xp.where(h > 0, log_scaling, xp.zeros_like(h)))[..., None]

    rho_p, rho_q = variant.sides
    stiffness = sum(0.0 if rho is None else eps / rho for rho in (rho_p, rho_q))
    xp = array_namespace(log_u)
    if not stiffness < 1.0 / float(xp.finfo(log_u.dtype).eps):
        return xp.zeros_like(log_u[:, :1])
    here, there = tilted(p, log_u, rho_p), tilted(q, log_v, rho_q)
    rounding = 16 * float(xp.finfo(log_u.dtype).eps) * (1.0 + xp.abs(here))
    gap = xp.where(xp.abs(here - there) > rounding, here - there, xp.zeros_like(here))
    return gap / stiffness


def marginal_error(p: Array, q: Array, kernel: Kernel, variant: Variant) -> Callable[[Any], Array]:
    """A function of a state: the L1 distance of each problem's column sums to where the next update would put them.

    Balanced, that is the L1 violation of the marginal not just updated. The heavy ball leaves both marginals off, and
    then the larger of the two counts.
    """
    xp = array_namespace(p, q)
    log, (theta_p, theta_q) = kernel.domain == "log", variant.thetas(kernel.eps)
    target_p, target_q = (safe_log(p), safe_log(q)) if log else (p, q)

    def violation(scaling: Array, other: Array, target: Array, theta: float) -> Array:
        if log:
            now, new = xp.exp(scaling + other), xp.exp(theta * (target - other) + other)
        else:
            now, new = scaling * other, target if theta == 1 else (target / other) ** theta * other
        return xp.sum(xp.abs(now - new), axis=-1)

    def error(state: tuple[Array, Array]) -> Array:
        u, v = state
        columns = violation(v, kernel.apply_t(u), target_q, theta_q)
        if variant.momentum == 0:
            return columns
        return xp.maximum(columns, violation(u, kernel.apply(v), target_p, theta_p))

    return error


def scalings_of(p: Array, q: Array, state: Any, products: tuple[Array, Array]) -> tuple[Scaled, Scaled]:
    """A state as :func:`is_right` reads it; both potentials are asked for. ``products`` are (K v, K^T u)."""
    u, v = state
    return Scaled(v, products[0], p > 0, q > 0), Scaled(u, products[1], q > 0, p > 0)


def sinkhorn(
    p: Array,
    q: Array,
    cost: Cost,
    *,
    eps: float,
    tol: float = 1e-9,
    max_iter: int = 10_000,
    domain: str = "auto",
    marginal_weight: float | tuple[float | None, float | None] | None = None,
    momentum: float = 0.0,
    eps_scaling: float | None = None,
    start: tuple[Array, Array] | None = None,
    check_every: int = 10,
    acceleration: str | None = "auto",
) -> SinkhornResult:
    """Entropic transport between two histograms: the cheapest plan, its cost and its potentials.

    ::

        min_T <T, C> + eps H(T)    with row sums p and column sums q,    H(T) = sum T (log T - 1)

    Schmitz et al. (2018), eqs (3)-(4), from scalings of one; unbalanced (section 4.4) with ``marginal_weight``, which
    puts rho KL(T 1 | p) + rho KL(T^T 1 | q) in the place of the constraints.

    Of torch tensors that track gradients, ``value`` does too, whatever the number of iterations, and nothing else: no
    iteration is recorded, and its gradient is the envelope's, with the potentials held constant (f in p, g in q, the
    plan in a dense cost; 0 in empty bins, where there is none). At convergence that is the gradient. To differentiate
    through the iterations themselves, draw them from :func:`sinkhorn_steps`.

    Parameters
    ----------
    p, q : array, shape (..., n) and (..., m)
        Histograms; leading axes broadcast, one problem each. With a ``marginal_weight`` their masses may be any, and
        differ.
    cost : array, shape (n, m), GridCost or LineCost
    eps : float, in the units of the cost
        Entropic regularisation. It has no default: choosing it is the lesson.
    tol : float
        Stop when the L1 violation of the column sums is at most this, for every problem.
    max_iter : int
    domain : {"auto", "kernel", "log"}
        "auto": the kernel domain, and the log domain where that was not right.
    marginal_weight : float or pair of float, in the units of the cost, optional
        rho of section 4.4; None is balanced. A pair (rho_p, rho_q) gives each marginal its own, and (None, rho_q) keeps
        p exact.
    momentum : float, in (-1, 0]
        tau of eqs (25)-(26); negative accelerates.
    eps_scaling : float, in (0, 1), optional
        For instance 0.5: solve from a large eps down to this one by that factor, each start being the last solution.
        Needs fewer iterations when eps is small; works in the log domain.
    start : pair of arrays (f, g), shapes (..., n) and (..., m), optional
        Potentials to begin with instead of 0: those of a problem near by, such as ``(found.f, found.g)``. They change
        how long it takes, not what is found. Not with ``eps_scaling``.
    check_every : int
        Iterations between two looks at the error of a plain run.
    acceleration : {"auto", None}
        "auto": the iterations are extrapolated, to the same fixed point; ``n_iter`` counts the plain ones between. f
        and g are free to exchange a constant: balanced, it takes the one with <f, p> = <g, q>. None: the paper's plain
        iteration. Also plain with a ``momentum``, and at ``tol=0`` (exactly ``max_iter`` iterations).

    Returns
    -------
    SinkhornResult

    Raises
    ------
    ValueError, TypeError
        Inputs that are no histograms, do not fit the cost, or come from two backends.
    FloatingPointError
        ``domain="kernel"`` and exp(-cost/eps) underflowed; or potentials / eps so large that their floating type leaves
        the plan no digit.

    Warns
    -----
    ConvergenceWarning
        If ``max_iter`` was not enough.

    Examples
    --------
    >>> import wdl_tutorial as wt
    >>> result = wt.sinkhorn([1, 0], [0.5, 0.5], wt.cost_matrix([0, 1]), eps=0.1)
    >>> result.plan
    array([[0.5, 0.5],
           [0. , 0. ]])
    """
    rho = _marginal_weights(marginal_weight)
    given = _inputs(p, q, cost, balanced=rho is None)
    p, q, cost = (detached(x) for x in given)
    eps = check_eps(eps)
    check_options(domain, None, momentum)
    check_run(tol, max_iter, check_every=check_every)
    check_acceleration(acceleration)
    if eps_scaling is not None and not (is_number(eps_scaling) and 0.0 < eps_scaling < 1.0):
        raise ValueError(f"eps_scaling must be a factor in (0, 1); got {eps_scaling!r}.")
    if eps_scaling is not None and domain == "kernel":
        raise ValueError(
            'eps_scaling works in the log domain; use domain="auto" or "log" with it, or eps_scaling=None.'
        )
    begin = _start_potentials(start, p, q, eps_scaling)
    variant = Variant(rho, momentum)
    accuracy = Accuracy(None, tol, max_iter, check_every, acceleration)

    def attempt(kernel: Kernel) -> Attempt:
        first: SinkhornState | SinkhornLogState | None
        first, spent = _anneal(p, q, cost, kernel, eps_scaling, variant, accuracy) if eps_scaling else (None, 0)
        if begin is not None:
            first = _as_state(*begin, kernel)
        left = accuracy._replace(max_iter=max(1, max_iter - spent))
        found = settle(p, q, kernel, variant, left, start=first, twin=_twin(p, q, kernel, variant))
        u, v = found.state
        products = (None, None) if kernel.domain == "log" else (kernel.apply(v), kernel.apply_t(u))
        if not found.error < float("inf") or not is_right(kernel.domain, *scalings_of(p, q, found.state, products)):
            return Attempt(found, False)
        f, g = potentials(found.state, kernel)
        value = dual_value(p, q, f, g, plan_mass(found.state, kernel), kernel.eps, variant)
        result = SinkhornResult(
            value, f, g, found.n_iter + spent, found.error, found.converged, kernel.domain, cost, kernel.eps
        )
        return Attempt(result, is_right(kernel.domain, numbers=(value,)))

    kernels = kernels_to_try(cost, eps, "log" if eps_scaling else domain, p, q)
    result, _ = first_right(kernels, attempt, "sinkhorn")
    _warn_not_converged(p, q, result, variant, accuracy, eps_scaling)
    return result._replace(value=_envelope(result, *given, variant)) if tracks(*given) else result


def _twin(p: Array, q: Array, kernel: Kernel, variant: Variant) -> Twin | None:
    """What stands in for :func:`plain_iteration`: half the time of a pair, two thirds of that of a hundred."""
    from ._fast import path_for  # which reads this module

    path = path_for(kernel, variant, p, q) if kernel.shape[0] == kernel.shape[1] else None
    return path and path.sinkhorn_iteration


def _envelope(result: SinkhornResult, p: Array, q: Array, cost: Any, variant: Variant) -> Array:
    """The same value, as a function of what tracks gradients, the potentials being constants (envelope theorem)."""
    f, g, eps = result.f, result.g, result.eps

    def dual(p: Array, q: Array) -> Array:
        return dual_value(p, q, f, g, 0.0, eps, variant)

    value = result.value + (dual(p, q) - dual(detached(p), detached(q)))
    if tracks(cost):
        xp = array_namespace(f, g, cost)
        mass = xp.sum(xp.exp((f[..., :, None] + g[..., None, :] - cost) / eps), axis=(-2, -1))
        value = value - eps * (mass - detached(mass))
    return value


def _marginal_weights(rho: Any) -> float | tuple[float | None, float | None] | None:
    """A number, None, or a pair of them that are not both None."""
    if not isinstance(rho, tuple | list):
        check_marginal_weight(rho)
        return rho
    if len(rho) != 2:
        raise ValueError(f"marginal_weight must be one number, or two, (rho_p, rho_q); got {len(rho)} of them.")
    for side, name in zip(rho, ("marginal_weight[0]", "marginal_weight[1]")):
        check_marginal_weight(side, name)
    return None if rho[0] is None and rho[1] is None else rho[0] if rho[0] == rho[1] else tuple(rho)


def _start_potentials(start: Any, p: Array, q: Array, eps_scaling: float | None) -> tuple[Array, Array] | None:
    """The given potentials, in the type of p and q; -inf only where there is no mass."""
    if start is None:
        return None
    if eps_scaling is not None:
        raise ValueError("start and eps_scaling are two ways to begin; give one of them.")
    if not isinstance(start, tuple | list) or len(start) != 2:
        raise ValueError("start must be two arrays, the potentials (f, g) of an earlier result.")
    xp = array_namespace(p, q)
    batch = np.broadcast_shapes(tuple(p.shape[:-1]), tuple(q.shape[:-1]))
    found = []
    for name, x, h in (("f", start[0], p), ("g", start[1], q)):
        x = xp.astype(as_float(detached(x), like=p, name=f"start's {name}"), p.dtype, copy=False)
        wanted = (*batch, h.shape[-1])
        if x.ndim == 0 or x.shape[-1] != wanted[-1] or _broadcast(tuple(x.shape), wanted) != wanted:
            raise ValueError(f"start's {name} must be of shape {wanted}, or broadcast to it; got {tuple(x.shape)}.")
        if bool(xp.any(~xp.isfinite(x) & (h > 0))):
            raise ValueError(f"start's {name} must be finite in every bin that holds mass.")
        x = xp.where(xp.isfinite(x), x, xp.full_like(x, -float("inf")))
        found.append(xp.broadcast_to(x, wanted))
    return tuple(found)


def _broadcast(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(shape, wanted)
    except ValueError:
        return None


def _as_state(f: Array, g: Array, kernel: Kernel) -> SinkhornState | SinkhornLogState:
    """Potentials as the scalings of the kernel's domain."""
    if kernel.domain == "log":
        return SinkhornLogState(f / kernel.eps, g / kernel.eps)
    xp = array_namespace(f, g)
    return SinkhornState(xp.exp(f / kernel.eps), xp.exp(g / kernel.eps))


def _inputs(p: Array, q: Array, cost: Cost, *, balanced: bool = True) -> tuple[Array, Array, AnyCost]:
    """Floats of one backend and type, histograms (or any masses, unbalanced), and a cost that fits them."""
    p = as_float(p, like=q, name="p")
    q = as_float(q, like=p, name="q")
    cost = check_cost(cost)
    same_backend(p=p, q=q, cost=cost)
    for x, name in ((p, "p"), (q, "q")):
        if x.ndim == 0:
            raise ValueError(f"{name} must have its bins on the last axis; got a number.")
        if 0 in x.shape:
            raise ValueError(f"{name} is empty: it has shape {tuple(x.shape)}. Give at least one row of one bin.")
        if balanced:
            check_histograms(x, name)
        else:
            check_nonnegative(x, name)
            check_not_empty(x, name)
    if (p.shape[-1], q.shape[-1]) != tuple(cost.shape):
        raise ValueError(
            f"cost has shape {tuple(cost.shape)} but p has {p.shape[-1]} bins and q {q.shape[-1]}; "
            f"it must be ({p.shape[-1]}, {q.shape[-1]})."
        )
    check_batch(p, q, "p and q")
    return *one_type(p, q), cost


def _anneal(
    p: Array, q: Array, cost: AnyCost, last: Kernel, factor: float, variant: Variant, accuracy: Accuracy
) -> tuple[SinkhornLogState | None, int]:
    """Potentials from a large eps down to the last one before that of ``last``, as a start in the log domain."""
    level, eps = largest_cost(cost), last.eps
    spent, reached = 0, None
    while level * factor > eps and spent < accuracy.max_iter // 2:
        level = level * factor
        kernel = kernel_for(cost, level, "log", p, q)
        start = None if reached is None else SinkhornLogState(reached[0] / level, reached[1] / level)
        rough = accuracy._replace(tol=1e-3, max_iter=100, check_every=5)  # enough for a start
        found = settle(p, q, kernel, variant, rough, start=start)
        spent += found.n_iter
        reached = potentials(found.state, kernel)
    if reached is None:
        return None, 0
    return SinkhornLogState(reached[0] / eps, reached[1] / eps), spent


def _warn_not_converged(
    p: Array, q: Array, found: SinkhornResult, variant: Variant, accuracy: Accuracy, eps_scaling: float | None
) -> None:
    """A ConvergenceWarning where a run has not reached its tolerance, with what helps this run."""
    xp = array_namespace(p, q)
    if bool(xp.all(found.converged)):
        return
    tol = accuracy.tol
    gap = number(xp.max(xp.abs(xp.sum(p, axis=-1) - xp.sum(q, axis=-1)))) if variant.balanced else 0.0
    loose = f"The sums of p and q differ by {gap:.1e}: use normalize. " if gap > tol else ""
    remedy = "Raise max_iter, or eps"
    if accuracy.acceleration is None and variant.momentum == 0.0:
        remedy += f" (now {found.eps:g}), or leave acceleration at 'auto'."
    elif variant.balanced and variant.momentum == 0.0 and eps_scaling is None:
        remedy += f" (now {found.eps:g}), or reach it in steps with eps_scaling=0.5."
    else:
        remedy += f" (now {found.eps:g})."
    warn_not_converged("Sinkhorn", found.n_iter, found.error, tol, (too_fine(tol, p) or loose) + remedy)


def sinkhorn_divergence(
    p: Array,
    q: Array,
    cost: Cost,
    *,
    eps: float,
    tol: float = 1e-9,
    max_iter: int = 10_000,
    domain: str = "auto",
    momentum: float = 0.0,
    eps_scaling: float | None = None,
    acceleration: str | None = "auto",
    cost_p: Cost | None = None,
    cost_q: Cost | None = None,
) -> Array:
    """Entropic transport with its bias taken out: zero where p equals q.

    ::

        W(p, q) - W(p, p)/2 - W(q, q)/2

    Parameters
    ----------
    p, q : array, shape (..., n) and (..., m)
        Histograms; leading axes broadcast. On the same bins, or on two supports.
    cost : array, shape (n, m), GridCost or LineCost
        Square and symmetric; or, for two supports, from the bins of p to those of q.
    eps : float, in the units of the cost
    tol : float
    max_iter : int
    domain : {"auto", "kernel", "log"}
    momentum : float, in (-1, 0]
    eps_scaling : float, in (0, 1), optional
    acceleration : {"auto", None}
        All as for :func:`sinkhorn`.
    cost_p, cost_q : array, shape (n, n) and (m, m), GridCost or LineCost, optional
        Of two supports: the costs within the bins of p, and within those of q, symmetric. Both or none.

    Returns
    -------
    array, shape (...)

    Examples
    --------
    >>> import wdl_tutorial as wt
    >>> float(wt.sinkhorn_divergence([1, 0], [1, 0], wt.cost_matrix([0, 1]), eps=0.1))
    0.0
    """
    if (cost_p is None) != (cost_q is None):
        raise ValueError("cost_p and cost_q belong together: the costs within the bins of p, and within those of q.")
    if cost_p is None or cost_q is None:
        cost_p = cost_q = cost = check_cost(cost, square=True)
    for own in (cost_p, cost_q):
        check_symmetric(check_cost(own, square=True), "sinkhorn_divergence")
    p, q, cost = _inputs(p, q, cost)

    def value(x: Array, y: Array, cost: Cost) -> Array:
        return sinkhorn(
            x,
            y,
            cost,
            eps=eps,
            tol=tol,
            max_iter=max_iter,
            domain=domain,
            momentum=momentum,
            eps_scaling=eps_scaling,
            acceleration=acceleration,
        ).value

    return value(p, q, cost) - (value(p, p, cost_p) + value(q, q, cost_q)) / 2
