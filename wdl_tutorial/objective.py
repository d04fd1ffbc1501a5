"""What Wasserstein dictionary learning minimises, and its gradients, on chunks of samples.

    mean_i  loss(P_i, x_i) + locality * sum_j w_ij W_eps(x_i, atom_j),   P_i = P(atoms, w_i)

Schmitz et al. (2018), eqs (9)-(12); Fullenbaum et al. (2024), eq. (4).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ._array import Array, array_namespace, as_float, detached, device, is_array, one_type, put
from ._checks import (
    check_eps,
    check_importance,
    check_nonnegative,
    check_not_empty,
    check_options,
    check_run,
    number,
    same_backend,
)
from ._fast import lent_buffers
from .barycenters import check_inputs
from .chunks import Mapper, chunk_length, slices, worker_count, workers
from .costs import AnyCost, Cost
from .gradients import recorded
from .iterate import Accuracy, said_once, warn
from .kernels import Kernel, LineKernel
from .losses import check_loss, evaluate, infinite_loss, locality_term
from .scaling import Attempt, Variant, first_right, is_right, kernels_to_try


class Objective(NamedTuple):
    """The value of the objective, its gradients, and the barycenters it compared."""

    value: float
    grad_atoms: Array  # (n_atoms, n_bins)
    grad_weights: Array  # (n_samples, n_atoms)
    reconstruction: Array  # (n_samples, n_bins)


class Terms(NamedTuple):
    """What is minimised, and how its inner iterations run."""

    eps: float
    loss: str
    locality: float
    accuracy: Accuracy
    variant: Variant  # of the barycenter
    domain: str = "auto"

    @property
    def transport(self) -> Variant:
        """The variant of every W_eps: the heavy ball is the barycenter's alone."""
        return replace(self.variant, momentum=0.0)


class Starts(NamedTuple):
    """Where the converged runs of a chunk have ended: those of atoms and weights near these start there."""

    log_b: Array  # (n, n_atoms, n_bins)   of the barycenters
    adjoint: Array  # (n, n_atoms, n_bins)   of their implicit gradient
    log_u: Array | None = None  # (n, n_bins)   of a Wasserstein loss
    near: Array | None = None  # (n_atoms, n, n_bins)   of the locality


class Problem(NamedTuple):
    """What stays fixed while atoms and weights move."""

    X: Array  # (n_samples, n_bins)
    importance: Array  # (n_samples,)   multiplies each sample's share of the sum and of its gradients
    kernels: list[Kernel]  # of the domains to try in turn
    terms: Terms
    length: int  # samples a chunk
    mapper: Mapper = map
    starts: dict[int, Starts] | None = None  # of converged runs, by the chunk's first sample; None: they start cold

    def parts(self) -> list[slice]:
        """The chunks."""
        return slices(self.X.shape[0], self.length)


@contextmanager
def problem_for(
    X: Array, importance: Array, cost: AnyCost, terms: Terms, n_atoms: int, chunk_size: int | None, n_jobs: int | None
) -> Iterator[Problem]:
    """A problem, its workers and their buffers, for as long as the block lasts."""
    length = chunk_length(X, n_atoms, terms.accuracy.n_iter, chunk_size, dense=is_array(cost))
    kernels = list(kernels_to_try(cost, terms.eps, terms.domain, X))
    with workers(worker_count(n_jobs, X, len(slices(X.shape[0], length)))) as mapper, lent_buffers():
        yield Problem(X, importance, kernels, terms, length, mapper)


class Rows(NamedTuple):
    """A chunk of samples and what belongs to them: all of the data that the worker of a chunk is given."""

    first: int  # the number of its first sample
    x: Array  # (n, n_bins)
    importance: Array  # (n,)
    weights: Array | None  # (n, n_atoms)
    log_b: Array | None = None  # (n, n_atoms, n_bins)   scalings that its runs start from, constants of the gradient
    warm: Starts | None = None


class Known(NamedTuple):
    """What every worker is told, beside its rows."""

    terms: Terms
    kernels: list[Any]
    atoms: Array
    keep: bool = False  # the barycenters
    ends: bool = False  # where converged runs have ended


def rows_of(problem: Problem, weights: Array | None = None, log_b: Array | None = None) -> Iterator[Rows]:
    """The samples of a problem, a chunk at a time."""
    for part in problem.parts():
        first = part.start or 0
        yield Rows(
            first,
            problem.X[part, :],
            problem.importance[part],
            None if weights is None else weights[part, :],
            None if log_b is None else log_b[part, :, :],
            problem.starts.get(first) if problem.starts else None,
        )


class Part(NamedTuple):
    """The objective of one chunk of samples: sums are weighted, the rest is per sample."""

    value: Array  # (n,)
    grad_atoms: Array  # (n_atoms, n_bins)
    grad_weights: Array  # (n, n_atoms)
    histogram: Array | None  # (n, n_bins)
    starts: Starts | None  # for the next evaluation, near this one
    domain: str


TOGETHER = 64  # samples of a chunk that converges, which go to the log domain together


def evaluate_part(known: Known, rows: Rows) -> Part:
    """Value and gradients of the objective on a few samples, in the first domain that gets it right.

    The chunks of runs that converge are large: where one is not right in the kernel domain, its parts are tried, so that a
    sample that needs the log domain does not take all others there.
    """
    attempt, n = partial(_attempt, known, rows), rows.x.shape[0]
    if known.terms.accuracy.n_iter is None and len(known.kernels) > 1 and n > TOGETHER:
        with np.errstate(all="ignore"):
            whole = attempt(known.kernels[0])
        if whole.right:
            return whole.found
        return _joined([evaluate_part(known, _part_of(rows, part)) for part in slices(n, TOGETHER)])
    return first_right(known.kernels, attempt, f"the objective ({rows.x.dtype})")[0]


def _part_of(rows: Rows, part: slice) -> Rows:
    """Some of the samples of a chunk."""

    def some(x: Any) -> Any:
        return None if x is None else x[part, ...]

    warm = rows.warm
    if warm is not None:
        near = None if warm.near is None else warm.near[:, part, :]
        warm = Starts(some(warm.log_b), some(warm.adjoint), some(warm.log_u), near)
    given = some(rows.x), some(rows.importance), some(rows.weights), some(rows.log_b)
    return Rows(rows.first + part.start, *given, warm=warm)


def _joined(parts: list[Part]) -> Part:
    """What the parts of a chunk have given, as that of the whole."""
    xp = array_namespace(parts[0].value)

    def column(held: list[Any], axis: int = 0) -> Any:
        return None if held[0] is None else xp.concat(held, axis=axis)

    ends = [part.starts for part in parts if part.starts is not None]
    starts = None
    if ends:
        log_b, adjoint, log_u, near = (list(held) for held in zip(*ends))
        starts = Starts(column(log_b), column(adjoint), column(log_u), column(near, axis=1))
    grad_atoms = parts[0].grad_atoms
    for part in parts[1:]:
        grad_atoms = grad_atoms + part.grad_atoms
    domains = {part.domain for part in parts}
    return Part(
        column([part.value for part in parts]),
        grad_atoms,
        column([part.grad_weights for part in parts]),
        column([part.histogram for part in parts]),
        starts,
        domains.pop() if len(domains) == 1 else "mixed",
    )


def _attempt(known: Known, rows: Rows, kernel: Kernel) -> Attempt:
    """:func:`evaluate_part` in the domain of this kernel."""
    terms, atoms, x, w, share, warm = known.terms, known.atoms, rows.x, rows.weights, rows.importance, rows.warm
    xp = array_namespace(x, atoms, w)
    start = rows.log_b if warm is None else warm.log_b
    run = recorded(atoms, w, kernel, terms.variant, terms.accuracy, start, warm and warm.adjoint)
    if not run.right:
        return Attempt(None, False)
    given = (terms.loss, run.histogram, x, kernel, terms.accuracy, terms.transport)
    loss = evaluate(*given, log_u=warm and warm.log_u)
    if not loss.right or not is_right(kernel.domain, numbers=(loss.value,)):
        return Attempt(None, False, infinite_loss(terms.loss, loss.value, rows.first))
    value = loss.value
    grad_atoms, grad_weights = run.pull(loss.gradient * share[:, None])
    near = None
    if terms.locality:
        start = warm and warm.near
        near = locality_term(x, atoms, w, kernel, terms.accuracy, terms.transport, start, counts=terms.locality)
        if not near.right:
            return Attempt(None, False)
        value = value + terms.locality * near.value
        scale = terms.locality * share
        grad_atoms = grad_atoms + xp.sum(scale[:, None, None] * near.grad_atoms, axis=0)
        grad_weights = grad_weights + scale[:, None] * near.grad_weights
    ends = Starts(run.log_b(), run.adjoint(), loss.log_u, near and near.log_u) if known.ends and run.adjoint else None
    histogram = run.histogram if known.keep else None
    found = Part(value, grad_atoms, grad_weights, histogram, ends, kernel.domain)
    return Attempt(found, is_right(kernel.domain, numbers=found[:3]))


def scalings_after(problem: Problem, atoms: Array, weights: Array, *, log_b: Array | None = None) -> Array:
    """Where ``n_iter`` iterations lead the scalings: log b (n_samples, n_atoms, n_bins), for a warm restart to go on from.

    Schmitz et al. (2018), section 4.2.
    """
    one = partial(_scalings_after, Known(problem.terms, problem.kernels, atoms))
    return array_namespace(atoms).concat(list(problem.mapper(one, rows_of(problem, weights, log_b))), axis=0)


def _scalings_after(known: Known, rows: Rows) -> Array:
    def attempt(kernel: Kernel) -> Attempt:
        run = recorded(known.atoms, rows.weights, kernel, known.terms.variant, known.terms.accuracy, rows.log_b)
        found = run.log_b()
        return Attempt(found, run.right and is_right(kernel.domain, numbers=(found,)))

    return first_right(known.kernels, attempt, f"a warm restart ({known.atoms.dtype})")[0]


class Total(NamedTuple):
    """The objective over all chunks."""

    value: float  # weighted sum
    values: Array  # (n_samples,)
    grad_atoms: Array
    grad_weights: Array
    histogram: Array | None
    domain: str  # "kernel", "log", or "mixed" where chunks differ


def evaluate_chunks(
    problem: Problem, atoms: Array, weights: Array, *, keep: bool = False, log_b: Array | None = None
) -> Total:
    """The objective over chunks of samples, added up in their order; ``keep`` keeps the barycenters.

    ``log_b`` holds the scalings (n_samples, n_atoms, n_bins) that their runs start from, constants of the gradient.

    What a chunk returns is copied out at once: thousands of small arrays that live on among large ones that do not would
    leave holes in memory, tens of megabytes of them.
    """
    x = problem.X
    xp = array_namespace(x, atoms, weights)
    one = partial(evaluate_part, Known(problem.terms, problem.kernels, atoms, keep, problem.starts is not None))
    like = {"dtype": x.dtype, "device": device(x)}
    values, grads = xp.empty((x.shape[0],), **like), xp.empty(tuple(weights.shape), **like)
    kept = xp.empty(tuple(x.shape), **like) if keep else None
    grad_atoms, domains, parts = None, set(), problem.parts()
    for part, done in zip(parts, problem.mapper(one, rows_of(problem, weights, log_b))):
        grad_atoms = done.grad_atoms if grad_atoms is None else grad_atoms + done.grad_atoms
        values = put(values, part, done.value)
        grads = put(grads, (part, slice(None)), done.grad_weights)
        if keep:
            kept = put(kept, (part, slice(None)), done.histogram)
        if problem.starts is not None:
            problem.starts[part.start] = done.starts
        domains.add(done.domain)
    return Total(
        float(xp.sum(problem.importance * values)),
        values,
        grad_atoms,
        grads,
        kept,
        domains.pop() if len(domains) == 1 else "mixed",
    )


class Ends(NamedTuple):
    """Where the converged runs of some rows have ended, row by row."""

    rows: Array  # (n,) increasing
    starts: Starts


def evaluate_rows(
    problem: Problem, rows: Array, atoms: Array, weights: Array, ends: Ends | None = None
) -> tuple[Total, Ends | None]:
    """The objective of these rows of a problem without a locality, whose converged runs start from their own last ``ends``.

    ``rows`` increase and are among those of ``ends``; the new ends are handed back.
    """
    xp = array_namespace(problem.X, atoms, weights)
    some = problem._replace(X=xp.take(problem.X, rows, axis=0), importance=xp.take(problem.importance, rows, axis=0))
    if problem.terms.accuracy.n_iter is not None:
        return evaluate_chunks(some, atoms, weights), None
    starts: dict[int, Starts] = {}
    some = some._replace(starts=starts)
    if ends is not None:
        there = xp.searchsorted(ends.rows, rows)
        held = [None if x is None else xp.take(x, there, axis=0) for x in ends.starts]
        starts.update({part.start: Starts(*(x if x is None else x[part, ...] for x in held)) for part in some.parts()})
    total = evaluate_chunks(some, atoms, weights)
    columns = zip(*(starts[part.start] for part in some.parts()))
    joined = (None if column[0] is None else xp.concat(column, axis=0) for column in columns)
    return total, Ends(rows, Starts(*joined))


def locality_costs(problem: Problem, atoms: Array) -> Array:
    """W(x_i, atom_j) (n_samples, n_atoms): what the locality charges for a unit of weight, whatever the weights are."""
    one = partial(_locality_costs, Known(problem.terms, problem.kernels, atoms))
    return array_namespace(problem.X, atoms).concat(list(problem.mapper(one, rows_of(problem))), axis=0)


def _locality_costs(known: Known, rows: Rows) -> Array:
    x, atoms, terms = rows.x, known.atoms, known.terms
    n_atoms = atoms.shape[0]
    even = array_namespace(x, atoms).full((x.shape[0], n_atoms), 1.0 / n_atoms, dtype=x.dtype, device=device(x))

    def attempt(kernel: Kernel) -> Attempt:
        found = locality_term(x, atoms, even, kernel, terms.accuracy, terms.transport)
        finite = is_right(kernel.domain, numbers=(found.grad_weights,))
        return Attempt(found.grad_weights, found.right and finite)

    return first_right(known.kernels, attempt, f"the locality term ({x.dtype})")[0]


def wdl_objective(
    X: Array,
    atoms: Array,
    weights: Array,
    cost: Cost,
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
    """The objective of Wasserstein dictionary learning, and its gradients in atoms and weights.

    ::

        mean_i  loss(P_i, x_i) + locality * sum_j w_ij W_eps(x_i, atom_j),    P_i = P(atoms, w_i)

    Schmitz et al. (2018), eqs (10)-(12), Algorithm 1; the locality term of Fullenbaum et al. (2024), eq. (4), whose
    values are larger by eps (1 + locality) since their entropy has no -1. Gradients are by hand, and partial
    derivatives; only signs and finiteness of the inputs are checked.

    Parameters
    ----------
    X : array, shape (n_samples, n_bins)
        Data.
    atoms : array, shape (n_atoms, n_bins)
    weights : array, shape (n_samples, n_atoms)
    cost : array, shape (n_bins, n_bins), GridCost or LineCost
    eps : float, in the units of the cost
        Entropic regularisation.
    loss : {"quadratic", "kl", "kl_reverse", "tv", "wasserstein", "sinkhorn_divergence"}
    n_iter : int or None
        Iterations of the barycenter and of every W_eps; None: converged to ``tol``, with the implicit gradient.
    locality : float
        Weight of the second term.
    marginal_weight : float, in the units of the cost, optional
        rho of section 4.4, for the barycenter and for every W_eps; None is balanced.
    momentum : float, in (-1, 0]
        tau of Algorithm 5, for the barycenter.
    domain : {"auto", "kernel", "log"}
    sample_weight : array, shape (n_samples,), optional
        Importance of each sample; a weighted mean is taken.
    tol : float
    max_iter : int
        Of the inner runs when ``n_iter`` is None. Those of the locality, whose errors it multiplies, stop at
        ``tol / locality``, the solution of the adjoint at ten times ``tol`` (both at most 1e-3).
    chunk_size, n_jobs : int, optional
        Samples per chunk, and threads; chosen for cache and cores if not given.

    Returns
    -------
    Objective
    """
    X, atoms, weights, cost = (detached(x) for x in (X, atoms, weights, cost))  # gradients here are by hand
    atoms, weights, cost = check_inputs(atoms, weights, cost)
    X = as_float(X, like=atoms, name="X")
    same_backend(X=X, atoms=atoms)
    X, atoms, weights = one_type(X, atoms, weights)
    if atoms.ndim != 2 or weights.ndim != 2 or tuple(X.shape) != (weights.shape[0], atoms.shape[1]):
        raise ValueError(
            "wdl_objective needs X (n_samples, n_bins), atoms (n_atoms, n_bins) and weights (n_samples, n_atoms); "
            f"got {tuple(X.shape)}, {tuple(atoms.shape)} and {tuple(weights.shape)}."
        )
    check_nonnegative(X, "X")
    check_not_empty(X, "X")
    check_run(tol, max_iter, n_iter)
    variant = Variant(marginal_weight, momentum)
    terms = Terms(eps, loss, locality, Accuracy(n_iter, tol, max_iter), variant, domain)
    check_terms(terms, X, cost)
    importance = check_importance(sample_weight, X)
    with (
        said_once("wdl_objective"),
        problem_for(X, importance, cost, terms, atoms.shape[0], chunk_size, n_jobs) as problem,
    ):
        total = evaluate_chunks(problem, atoms, weights, keep=True)
    announce_slow(total.domain, problem)
    return Objective(total.value, total.grad_atoms, total.grad_weights, total.histogram)


def check_terms(terms: Terms, x: Array, cost: AnyCost) -> None:
    """Refuse terms that are not numbers or names of what there is, or that do not fit the data or the cost."""
    check_eps(terms.eps)
    check_loss(terms.loss, terms.variant.rho, x, cost)
    check_options(terms.domain, terms.variant.rho, terms.variant.momentum)
    if number("locality", terms.locality, least=0) > 1e50:
        raise ValueError(f"locality must be at most 1e50; got {terms.locality:g}. It multiplies a cost.")


def announce_slow(domain: str, problem: Problem) -> bool:
    """Say that float32 has sent iterations to the log domain, which is slower; True once said."""
    x, kernel = problem.X, problem.kernels[0]
    narrow = x.dtype == array_namespace(x).float32
    if domain == "kernel" or len(problem.kernels) == 1 or not narrow:
        return False
    line = isinstance(kernel, LineKernel)
    slow = "a slow loop over the bins" if line else "whose every product costs an exponential for each entry"
    warn(
        f"float32 is too narrow for this cost{' on a line' if line else ''} at eps={kernel.eps:g}: the iterations fell back "
        f"to the log domain, {slow}. Give X as float64, or raise eps.",
    )
    return True
