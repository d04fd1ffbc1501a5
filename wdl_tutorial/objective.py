"""What Wasserstein dictionary learning minimises, and its gradients, on chunks of samples.

    mean_i  loss(P_i, x_i) + locality * sum_j w_ij W_eps(x_i, atom_j),   P_i = P(atoms, w_i)

Schmitz et al. (2018), eqs (9)-(12); Fullenbaum et al. (2024), eq. (4).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._array import Array, array_namespace, as_float, device, is_array, one_type
from ._checks import (
    check_eps,
    check_importance,
    check_nonnegative,
    check_not_empty,
    check_options,
    check_run,
    is_number,
)
from ._fast import image, line
from .barycenters import Sweep, check_inputs, was_right
from .chunks import Mapper, chunk_length, slices, worker_count, workers
from .gradients import converged_state, implicit, record, unrolled
from .kernels import LineKernel, kernel_for
from .losses import Accuracy, check_loss, evaluate, locality_term
from .scaling import underflow_error


class Objective(NamedTuple):
    """The value of the objective, its gradients, and the barycenters it compared."""

    value: float
    grad_atoms: Array  # (n_atoms, n_bins)
    grad_weights: Array  # (n_samples, n_atoms)
    reconstruction: Array  # (n_samples, n_bins)


class Terms(NamedTuple):
    """What is minimised, and how its inner iterations run."""

    loss: str
    locality: float
    accuracy: Accuracy
    marginal_weight: float | None
    momentum: float


class Part(NamedTuple):
    """The objective of one chunk of samples: sums are weighted, the rest is per sample."""

    value: Array  # (n,)
    grad_atoms: Array | None  # (n_atoms, n_bins)
    grad_weights: Array  # (n, n_atoms)
    histogram: Array | None  # (n, n_bins)
    domain: str


def kernels_for(cost: Any, eps: float, domain: str, x: Array) -> list[Any]:
    """The kernels to try in turn: the kernel domain, then the log domain, or the one that was asked for."""
    return [kernel_for(cost, eps, d, x) for d in (("kernel", "log") if domain == "auto" else (domain,))]


def evaluate_part(
    x: Array,
    atoms: Array,
    weights: Array,
    importance: Array,
    kernels: list[Any],
    terms: Terms,
    *,
    keep: bool,
    log_b: Array | None = None,
) -> Part:
    """Value and gradients of the objective on a few samples, in the first domain that gets it right.

    ``importance`` (n,) multiplies each sample's share of the gradients; ``keep`` keeps the barycenters; ``log_b`` holds
    the scalings (n, n_atoms, n_bins) that their runs start from, constants of the gradient.
    """
    xp = array_namespace(x, atoms, weights)
    with np.errstate(all="ignore"):
        for kernel in kernels:
            part = _evaluate(x, atoms, weights, importance, kernel, terms, log_b)
            finite = xp.all(xp.isfinite(part.value)) & xp.all(xp.isfinite(part.grad_weights))
            if bool(finite & xp.all(xp.isfinite(part.grad_atoms))):
                return part if keep else part._replace(histogram=None)
    raise underflow_error(kernels[-1].eps, f"the objective ({x.dtype})", domain=kernels[-1].domain)


def _evaluate(
    x: Array, atoms: Array, weights: Array, importance: Array, kernel: Any, terms: Terms, log_b: Array | None
) -> Part:
    xp = array_namespace(x, atoms, weights)
    run = _barycenters(atoms, weights, kernel, terms, log_b)
    histogram = run.histogram
    if not run.right:
        nothing = xp.full((x.shape[0],), float("nan"), dtype=x.dtype, device=device(x))
        return Part(nothing, atoms, weights, None, kernel.domain)
    found = evaluate(terms.loss, histogram, x, kernel, terms.accuracy, marginal_weight=terms.marginal_weight)
    value = found.value
    grad_atoms, grad_weights = run.pull(found.gradient * importance[:, None])
    if terms.locality:
        near = locality_term(x, atoms, weights, kernel, terms.accuracy, marginal_weight=terms.marginal_weight)
        value = value + terms.locality * near.value
        share = terms.locality * importance
        grad_atoms = grad_atoms + xp.sum(share[:, None, None] * near.grad_atoms, axis=0)
        grad_weights = grad_weights + share[:, None] * near.grad_weights
    return Part(value, grad_atoms, grad_weights, histogram, kernel.domain)


class Recorded(NamedTuple):
    """The barycenters of a few samples, and what can still be asked of the run that made them."""

    histogram: Array  # (n, n_bins)
    right: bool  # can they be believed?
    pull: Callable[[Array], tuple[Array, Array]]  # a gradient in them -> gradients in atoms (summed) and weights
    log_b: Callable[[], Array] | None  # (n, n_atoms, n_bins) at the end of the run


def _barycenters(atoms: Array, weights: Array, kernel: Any, terms: Terms, log_b: Array | None) -> Recorded:
    xp = array_namespace(atoms, weights)
    accuracy = terms.accuracy
    options = {"marginal_weight": terms.marginal_weight, "momentum": terms.momentum}

    def summed(sweep: Sweep) -> tuple[Array, Array]:
        return xp.sum(sweep.grad_atoms, axis=0), sweep.grad_weights

    if accuracy.n_iter is None:
        run = {"tol": accuracy.tol, "max_iter": accuracy.max_iter}
        state = converged_state(atoms, weights, kernel, **run, **options)
        right = was_right(state, atoms, kernel)

        def pull(g: Array) -> tuple[Array, Array]:
            return summed(implicit(atoms, weights, kernel, state, g, **run, **options))

        return Recorded(state.histogram, right, pull, None)
    if terms.marginal_weight is None and terms.momentum == 0.0 and line.applies(kernel, atoms, weights):
        path = image if image.applies(kernel, atoms, weights) else line
        done = path.forward(atoms, weights, kernel, accuracy.n_iter, log_b=log_b)
        return Recorded(done.histogram, done.right, done.pull, done.log_b)
    tape = record(atoms, weights, kernel, accuracy.n_iter, log_b=log_b, **options)
    last = tape[-1]
    right = was_right(last, atoms, kernel)
    return Recorded(
        last.histogram,
        right,
        lambda g: summed(unrolled(atoms, weights, kernel, tape, g, warm=log_b is not None, **options)),
        lambda: last.b if kernel.domain == "log" else xp.log(last.b),
    )


def _rows(log_b: Array | None, part: slice) -> Array | None:
    return None if log_b is None else log_b[part, :, :]


def scalings_after(
    atoms: Array,
    weights: Array,
    kernels: list[Any],
    terms: Terms,
    parts: list[slice],
    mapper: Mapper = map,
    *,
    log_b: Array | None = None,
) -> Array:
    """Where ``n_iter`` iterations lead the scalings: log b (n_samples, n_atoms, n_bins), for a warm restart to go on from.

    Schmitz et al. (2018), section 4.2.
    """
    xp = array_namespace(atoms, weights)

    def one(part: slice) -> Array:
        with np.errstate(all="ignore"):
            for kernel in kernels:
                run = _barycenters(atoms, weights[part, :], kernel, terms, _rows(log_b, part))
                found = run.log_b()
                if run.right and bool(xp.all(xp.isfinite(found))):
                    return found
        raise underflow_error(kernels[-1].eps, f"a warm restart ({atoms.dtype})", domain=kernels[-1].domain)

    return xp.concat(list(mapper(one, parts)), axis=0)


class Total(NamedTuple):
    """The objective over all chunks."""

    value: float  # weighted sum
    values: Array  # (n_samples,)
    grad_atoms: Array
    grad_weights: Array
    histogram: Array | None
    domain: str  # "kernel", "log", or "mixed" where chunks differ


def evaluate_chunks(
    x: Array,
    atoms: Array,
    weights: Array,
    importance: Array,
    kernels: list[Any],
    terms: Terms,
    parts: list[slice],
    mapper: Mapper = map,
    *,
    keep: bool = False,
    log_b: Array | None = None,
) -> Total:
    """The objective over chunks of samples, added up in their order.

    What a chunk returns is copied out at once: thousands of small arrays that live on among large ones that do not would
    leave holes in memory, tens of megabytes of them.
    """
    xp = array_namespace(x, atoms, weights)

    def one(part: slice) -> Part:
        rows, share = weights[part, :], importance[part]
        return evaluate_part(x[part, :], atoms, rows, share, kernels, terms, keep=keep, log_b=_rows(log_b, part))

    like = {"dtype": x.dtype, "device": device(x)}
    values, grads = xp.empty((x.shape[0],), **like), xp.empty(tuple(weights.shape), **like)
    kept = xp.empty(tuple(x.shape), **like) if keep else None
    grad_atoms, domains = None, set()
    for part, done in zip(parts, mapper(one, parts)):
        grad_atoms = done.grad_atoms if grad_atoms is None else grad_atoms + done.grad_atoms
        values[part] = done.value
        grads[part, :] = done.grad_weights
        if keep:
            kept[part, :] = done.histogram
        domains.add(done.domain)
    return Total(
        float(xp.sum(importance * values)),
        values,
        grad_atoms,
        grads,
        kept,
        domains.pop() if len(domains) == 1 else "mixed",
    )


def wdl_objective(
    X: Array,
    atoms: Array,
    weights: Array,
    cost: Any,
    *,
    eps: float,
    loss: str,
    n_iter: int | None,
    locality: float = 0.0,
    marginal_weight: float | None = None,
    momentum: float = 0.0,
    domain: str = "auto",
    sample_weight: Array | None = None,
    tol: float = 1e-9,
    max_iter: int = 10_000,
    chunk_size: int | None = None,
    n_jobs: int | None = None,
) -> Objective:
    """The objective of Wasserstein dictionary learning, and its gradients in atoms and weights, by hand.

        mean_i  loss(P_i, x_i) + locality * sum_j w_ij W_eps(x_i, atom_j)

    Schmitz et al. (2018), eqs (10)-(12), Algorithm 1; the locality term of Fullenbaum et al. (2024), eq. (4), whose values
    are larger by eps (1 + locality) since their entropy has no -1.

    Parameters
    ----------
    X : array, shape (n_samples, n_bins)   Data.
    atoms : array, shape (n_atoms, n_bins)
    weights : array, shape (n_samples, n_atoms)
    cost : array (n_bins, n_bins), GridCost or LineCost.
    eps : entropic regularisation, in the units of the cost.
    loss : "quadratic", "kl", "kl_reverse", "tv", "wasserstein" or "sinkhorn_divergence".
    n_iter : iterations of the barycenter and of every W_eps; None: converged to ``tol``, with the implicit gradient.
    locality : weight of the second term.
    marginal_weight : rho of section 4.4, for the barycenter and for every W_eps; None is balanced.
    momentum : tau of Algorithm 5, for the barycenter.
    domain : ``"kernel"``, ``"log"`` or ``"auto"``.
    sample_weight : array, shape (n_samples,), optional   Importance of each sample; a weighted mean is taken.
    chunk_size, n_jobs : samples per chunk and threads; chosen for cache and cores if not given.

    Returns
    -------
    Objective : value (float), grad_atoms (n_atoms, n_bins), grad_weights (n_samples, n_atoms), reconstruction
        (n_samples, n_bins). Gradients are partial derivatives; only signs and finiteness of the inputs are checked.
    """
    atoms, weights, cost = check_inputs(atoms, weights, cost)
    X, atoms, weights = one_type(as_float(X, like=atoms), atoms, weights)
    if atoms.ndim != 2 or weights.ndim != 2 or tuple(X.shape) != (weights.shape[0], atoms.shape[1]):
        raise ValueError(
            "wdl_objective needs X (n_samples, n_bins), atoms (n_atoms, n_bins) and weights (n_samples, n_atoms); "
            f"got {tuple(X.shape)}, {tuple(atoms.shape)} and {tuple(weights.shape)}."
        )
    check_nonnegative(X, "X")
    check_not_empty(X, "X")
    check_run(tol, max_iter, n_iter)
    terms = check_terms(eps, loss, n_iter, locality, marginal_weight, momentum, domain, tol, max_iter, X)
    importance = check_importance(sample_weight, X)
    parts = slices(X.shape[0], chunk_length(X, atoms.shape[0], n_iter, chunk_size, dense=is_array(cost)))
    with workers(worker_count(n_jobs, X, len(parts))) as mapper:
        kernels = kernels_for(cost, eps, domain, X)
        total = evaluate_chunks(X, atoms, weights, importance, kernels, terms, parts, mapper, keep=True)
    announce_slow(total.domain, kernels, X, 3)
    line.release()
    return Objective(total.value, total.grad_atoms, total.grad_weights, total.histogram)


def check_terms(eps, loss, n_iter, locality, marginal_weight, momentum, domain, tol, max_iter, x) -> Terms:
    check_eps(eps)
    check_loss(loss, marginal_weight)
    check_options(domain, marginal_weight, momentum)
    if not (is_number(locality) and locality >= 0):
        raise ValueError(f"locality must be non-negative; got {locality!r}.")
    if loss == "kl" and not bool(array_namespace(x).all(x > 0)):
        raise ValueError(
            'loss="kl" is KL(P|x), infinite where the data are 0. Add a small constant such as 1e-12 and normalise '
            'again, or use loss="kl_reverse".'
        )
    return Terms(loss, float(locality), Accuracy(n_iter, tol, max_iter), marginal_weight, momentum)


def announce_slow(domain: str, kernels: list[Any], x: Array, stacklevel: int) -> bool:
    """Say that float32 has sent a line's iterations to the log domain, a loop over the bins; True once said."""
    xp = array_namespace(x)
    if domain == "kernel" or len(kernels) == 1 or x.dtype != xp.float32 or not isinstance(kernels[0], LineKernel):
        return False
    warnings.warn(
        f"float32 is too narrow for this cost on a line at eps={kernels[0].eps:g}: the iterations fell back to the log "
        "domain, a slow loop over the bins. Give X as float64, or raise eps.",
        UserWarning,
        stacklevel=stacklevel,
    )
    return True


def locality_costs(
    x: Array, atoms: Array, kernels: list[Any], terms: Terms, parts: list[slice], mapper: Mapper
) -> Array:
    """W(x_i, atom_j) (n_samples, n_atoms): what the locality charges for a unit of weight, whatever the weights are."""
    xp = array_namespace(x, atoms)

    def one(part: slice) -> Array:
        some = x[part, :]
        even = xp.full((some.shape[0], atoms.shape[0]), 1.0 / atoms.shape[0], dtype=x.dtype, device=device(x))
        with np.errstate(all="ignore"):
            for kernel in kernels:
                found = locality_term(some, atoms, even, kernel, terms.accuracy, marginal_weight=terms.marginal_weight)
                if bool(xp.all(xp.isfinite(found.grad_weights))):
                    return found.grad_weights
        raise underflow_error(kernels[-1].eps, f"the locality term ({x.dtype})", domain=kernels[-1].domain)

    return xp.concat(list(mapper(one, parts)), axis=0)
