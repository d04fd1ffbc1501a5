"""Wasserstein dictionary learning: reconstruct every sample as a barycenter of a few learned atoms.

    min over atoms, weights of   mean_i  loss(P_i, x_i) + locality * sum_j w_ij W_eps(x_i, atom_j),   P_i = P(atoms, w_i)

Schmitz et al. (2018), eqs (9)-(10), with the softmax of eq. (13); WaHU (Fullenbaum et al. (2024), eqs (3)-(4)) is this with
loss="wasserstein" and a locality.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import itertools
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import _check_feature_names

from ._array import (
    Array,
    array_namespace,
    as_float,
    detached,
    device,
    is_array,
    is_complex,
    is_numpy,
    softmax,
    to_backend,
    to_numpy,
)
from ._checks import (
    check_histograms,
    check_importance,
    check_nonnegative,
    check_not_empty,
    check_run,
    check_seed,
    choice,
    generator_of,
    integer,
    is_number,
    number,
    same_backend,
)
from .barycenters import barycenter
from .batches import WINDOW, Lattice, Solved, atoms_moved, first_state, in_order, solve_weights, still_falls
from .blocks import elsewhere, is_dask, map_rows, row_blocks, slabs, some_rows, take
from .chunks import Mapper, WorkersLost, chunk_length, slices
from .costs import AnyCost, Cost, check_cost
from .gradients import softmax_vjp
from .histograms import normalize
from .initialise import ATOMS, LATTICE, MASSES, WEIGHTS, Ruler, check_start, first_atoms, first_masses, first_weights
from .iterate import Accuracy, ConvergenceWarning, Missed, progress, said_once, warn
from .losses import RULES
from .objective import (
    Objective,  # noqa: F401  (its first home)
    Problem,
    Starts,
    Terms,
    announce_slow,
    check_terms,
    evaluate_chunks,
    problem_for,
    scalings_after,
    wdl_objective,  # noqa: F401  (its first home)
)
from .optimize import (
    AdamState,
    LBFGSState,
    Params,
    ProjectionState,
    adam_steps,
    cosine,
    lbfgs_restarts,
    lbfgs_steps,
    projection_steps,
)
from .rowwise import simplex_lattice
from .scaling import Variant
from .statefiles import all_or_nothing, check_writable, keep, pack, read_state, reading, unpack, write_state

LOG_FLOOR = 1e-12  # zeros become this, so that they have a logarithm


def entropy_of(random_state: int | np.random.Generator | np.random.RandomState | None) -> int:
    """The integer that all draws of a fit follow from."""
    if random_state is None:
        return secrets.randbits(128)
    if isinstance(random_state, np.random.Generator | np.random.RandomState):
        return int(generator_of(random_state).integers(2**63))
    return int(random_state)


def moves_on(random_state: Any) -> bool:
    """Is this a generator, which no file can hold and no two fits share?"""
    return isinstance(random_state, np.random.Generator | np.random.RandomState)


def _flat(X: Any) -> tuple[Any, tuple[int, ...]]:
    """Rows whose leading axes are a batch as one axis of rows, and the shape of the batch; none where it is that already."""
    if getattr(X, "ndim", 2) <= 2:
        return X, ()
    X = as_float(detached(X), name="X")
    return array_namespace(X).reshape(X, (-1, X.shape[-1])), tuple(X.shape[:-1])


def _weights_of(model: WassersteinDictionary, X: np.ndarray, *, tol: float, max_iter: int) -> np.ndarray:
    """A block of a Dask array mapped, on the machine where it lies."""
    return model.transform(X, tol=tol, max_iter=max_iter)


def _values_of(model: WassersteinDictionary, X: np.ndarray, *, tol: float, max_iter: int) -> np.ndarray:
    return model._weights_for(X, tol, max_iter)[1][:, None]


def _times(x: Array, by: float) -> Array:
    """x in another unit of mass; x itself where that is one."""
    return x if by == 1.0 else by * x


class Best(NamedTuple):
    """The best parameters met so far."""

    value: float
    params: Params
    restart: int


MANY = 256  # samples, above which L-BFGS scales weights by how many there are; fits of fewer keep their numbers
EVENED = 8.0  # the root of the number of samples whose weights' logits would be as they are
FIRST = 10  # batches' worth of samples that the first atoms of a fit on minibatches are found among
TRIES = 5  # draws of them, of which the best is taken
DRAWN = ("kmeans++", "data", "random")  # the rules that draw
COLD_TOL = 1e-9  # of the loss that a converged fit ends with
# how close inner runs are: the share of the last change of the loss, and the most
HEEDED = {"adam": (0.1, 1e-4), "projection": (1.0, 1e-3)}
STATES: dict[str, Any] = {"lbfgs": LBFGSState, "adam": AdamState, "projection": ProjectionState}
# samples and steps that lead the atoms, where there are more samples by that factor
FEW, FEW_STEPS, MANY_TIMES = 100, 35, 8


def leads_from(n_atoms: int) -> int:
    """How many samples variable projection takes all at once; of more, a few lead the atoms first."""
    return MANY_TIMES * max(FEW, n_atoms)


class _Fit:
    """What one fit hands from step to step: its problem, the scalings of a warm start, and whether a warning was given."""

    def __init__(self, model: WassersteinDictionary, problem: Problem, missed: list[Missed], mark: str | None = None):
        self.model, self.problem = model, problem
        self.mark = mark  # of the data and settings, for a checkpoint
        self.missed = missed  # the inner runs that stopped short of their tolerance, so far
        self.warm: Array | None = None  # (n_samples, n_atoms, n_bins)
        self.told = False

    def evaluate(self, params: Params) -> tuple[float, Params]:
        """The objective and its gradients in the logits: what a solver minimises."""
        atoms, weights = self.model._unlog(params)
        total = evaluate_chunks(self.problem, atoms, weights, log_b=self.warm)
        self.model.domain_ = total.domain
        self.told = self.told or announce_slow(total.domain, self.problem)
        free = self.model.free_mass
        grad_atoms = atoms * total.grad_atoms if free else softmax_vjp(atoms, total.grad_atoms)
        if self.model.solver == "projection":  # the weights are what they are
            return total.value, (grad_atoms, total.grad_weights)
        return total.value, (grad_atoms, self.model._zeta(weights) * softmax_vjp(weights, total.grad_weights))

    def heed(self, curve: list[float]) -> None:
        """Let the inner runs of the next step of Adam stop at a tenth of what the last step has changed the loss by.

        Closer ones would cost up to twice as much and lead no further. Rows that are followed teach by their gradients
        alone, which need fewer digits: all of the largest change of the last three. A line search compares values: L-BFGS
        keeps to its tolerance.
        """
        terms, least = self.problem.terms, self.model.sinkhorn_tol
        if terms.accuracy.n_iter is not None or self.model.solver not in HEEDED:
            return
        share, most = HEEDED[self.model.solver]
        last = curve[-4:] if self.model.solver == "projection" else curve[-2:]
        changed = max((abs(b - a) for a, b in itertools.pairwise(last)), default=math.inf)
        tol = max(least, min(most, share * changed))
        self.problem = self.problem._replace(terms=terms._replace(accuracy=terms.accuracy._replace(tol=tol)))

    def refresh(self, params: Params) -> None:
        """Go on from where these parameters' iterations have led, from now on."""
        self.warm = scalings_after(self.problem, *self.model._unlog(params), log_b=self.warm)


class WassersteinDictionary(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Learn atoms such that every sample is close to a Wasserstein barycenter of them.

    ::

        min over atoms, weights   mean_i  loss(P_i, x_i) + locality * sum_j w_ij W_eps(x_i, atom_j),   P_i = P(atoms, w_i)

    Schmitz et al. (2018), eqs (9)-(10) and (13); WaHU is ``loss="wasserstein", locality=rho``.

    A Ctrl-C ends the fit with the best found so far, a warning, and ``interrupted_ = True``. Where nothing was
    evaluated yet, it is passed on, and the estimator stays as it was: as after any error before the first evaluation.
    Tensors that track gradients are let go at the door: gradients here are by hand.

    Parameters
    ----------
    n_atoms : int
    cost : array, shape (n_bins, n_bins), GridCost or LineCost
    eps : float, in the units of the cost
        Entropic regularisation; see :func:`wdl_tutorial.blur_width`.
    loss : {"quadratic", "kl", "kl_reverse", "tv", "wasserstein", "sinkhorn_divergence"}
    n_iter : int or None
        Iterations of every inner run: 50 is the papers'; None is converged (implicit gradient).
    locality : float
        Weight of the second term.
    marginal_weight : float, in the units of the cost, optional
        Unbalanced transport (section 4.4); None is balanced. With it X need not sum to one.
    free_mass : bool
        Atoms have masses of their own, as pixels have their brightness, and weights speak of mass too:
        atoms are the exponentials of their logits rather than a softmax. Needs ``marginal_weight``. Inside, the mean
        sample has mass one, since entropy is not indifferent to the unit of mass; ``atoms_`` are in the units of X.
    momentum : float, in (-1, 0]
        Heavy ball of the barycenter iterations (Algorithm 5).
    domain : {"auto", "kernel", "log"}
    solver : {"lbfgs", "adam", "projection", "minibatch"}
        L-BFGS has a strong Wolfe line search. "projection", for converged runs (``n_iter=None``): weights by quasi-Newton
        steps on each sample's simplex, so that they may become exactly 0, while the atoms descend by Adam; its first step is
        the weights' alone. Of more than 800 samples, where nothing is given to start from, a hundred lead the atoms first.
        It needs a quarter of Adam's steps or fewer. "minibatch": atoms from ``max_iter`` random batches whose weights are
        solved; the first are the best of five draws by ``init`` among ten batches' worth of samples ("extremes", where
        samples are barycenters of materials that are rare by themselves: draws may miss one for good). It takes as long for
        a million samples as for a thousand, and samples that lie elsewhere: memory maps, arrays of zarr, h5py and Dask.
    learning_rate : float
    betas : pair of float
    schedule : {"constant", "cosine"}
        These three are Adam's, on all parameters or, with "projection", on the atoms, where betas of (.5, .99) do better;
        "cosine" falls to a tenth over ``max_iter``. Minibatches always have a cosine, down to 3 % of ``learning_rate``,
        which then stays.
    init : {"kmeans++", "extremes", "data", "random", "uniform", "masses"}
        First atoms, "kmeans++" in Wasserstein space. Where atoms have masses, these are chosen among the shapes of the
        samples, or "masses": the brightest, the darkest, and extremes.
    init_atoms : array, shape (n_atoms, n_bins), optional
        On the simplex, to start from.
    init_weights : array, shape (n_samples, n_atoms), or {"random", "uniform", "near", "lattice"}, optional
        To start from; "random" (uniform on the simplex) if not given, "near" by the distance to each first atom, "lattice"
        by the nearest of up to 200 of their barycenters.
    weight_scale : float
        zeta of section 3.1: multiplies the weights' logits, so that L-BFGS or Adam moves weights faster (> 1) or slower than
        atoms; the other solvers have no such logits. Above 256 samples L-BFGS takes it times ``sqrt(n_samples) / 8``, lest
        its steps grow in number with them.
    warm_restart : int, optional
        Every so many steps L-BFGS forgets its memory, and the barycenters' iterations start from the scalings they last
        reached, not from 1 (section 4.2): a few ``n_iter`` then add up to many. Within a restart those scalings are
        constants of the gradient. The runs behind W_eps in a Wasserstein loss or the locality start from 1 as ever.
        Costs one array (n_samples, n_atoms, n_bins).
    first_step : float, optional
        Of L-BFGS: by how much the logit that moves most moves in its first step. None: as its gradient says, at most a
        length of 1 in all, which is timid: .5 saves three to five evaluations.
    max_iter : int
        Steps of the solver in each restart.
    tol : float or None
        Stop when the loss has changed by less than this, relatively, over the last steps (20 of Adam and of "projection",
        5 of L-BFGS; of minibatches the mean of 50). None: run exactly ``max_iter`` steps, and do not warn.
    n_restarts : int
        Starts from different draws; the best is kept.
    random_state : int, numpy.random.Generator, RandomState or None
        Seed of every draw. A generator moves on with every fit.
    sinkhorn_tol : float
    sinkhorn_max_iter : int
        Of the inner runs when ``n_iter`` is None. Those of a step start from where the last step's have ended; those of
        Adam's steps stop at a tenth of what the last step has changed the loss by, where that is looser, at most 1e-4;
        of "projection" at the largest change of the last three, at most 1e-3.
        ``loss_`` is evaluated from b = 1, to 1e-9 at least.
    chunk_size, n_jobs : int, optional
        Samples per chunk, and workers; chosen for cache and cores if not given.
    verbose : bool or None
        Show a progress bar; None: of what takes more than three seconds, where somebody looks on.
    callback : callable, optional
        Called with (iteration, value, atoms, weights) after every step.
    checkpoint : str or path, optional
        Where the state of the fit is kept; a fit with the same settings and data goes on from there, and ends as if it
        had never stopped. A disk that fills up is a warning, not the end.
    checkpoint_every : int, in steps
    batch_size : int
        Samples of a minibatch, drawn at random, in proportion to ``sample_weight``.
    batch_tol : float
    batch_max_iter : int
        How exactly the weights of a minibatch are solved, as ``tol`` and ``max_iter`` of :meth:`transform`.
    dtype : {"float32", "float64"}, optional
        What X becomes before anything is computed; its own floating type if not given. Images in float32 take half the
        time and memory, and four decimals of the loss. Where float32 is too narrow for the cost and eps, the
        iterations go on in the log domain, slower, which is said.

    Attributes
    ----------
    atoms_ : array, shape (n_atoms, n_bins)
        In the backend of X.
    weights_ : array, shape (n_samples, n_atoms), or None
        After minibatches those of :meth:`transform`, None where X lies elsewhere; after :meth:`partial_fit` the batch's.
    loss_ : float
        The objective at them, from b = 1 in ``cold_n_iter_`` iterations; the mean of the last 50 batches without them.
    loss_curve_ : list of float
        One per step of the best restart, the start included. With ``warm_restart`` each is the value that was
        minimised, of warm scalings: not comparable with ``loss_``, or across restarts.
    n_iter_ : int
        Steps of the best restart.
    cold_n_iter_ : int or None
        Iterations from b = 1 behind ``loss_``, ``transform``, ``inverse_transform`` and ``score``: ``n_iter``; after
        warm restarts all those that the scalings have been through, ``n_iter`` for each.
    converged_, interrupted_ : bool
    domain_ : {"kernel", "log", "mixed"}
        Where the numbers come from.
    mass_ : float
        The unit of mass inside: the mean mass of a sample of the fit with ``free_mass``, else 1.
    n_features_in_ : int
    feature_names_in_ : array of str
        Bins of X, and their names where it was a data frame (``transform`` then wants those names; its own are
        ``get_feature_names_out()``).

    Examples
    --------
    >>> import numpy as np, wdl_tutorial as wt
    >>> x = np.arange(40)
    >>> bumps = wt.normalize(np.exp(-0.5 * ((x - np.array([[10], [15], [20], [25], [30]])) / 3.0) ** 2))
    >>> model = wt.WassersteinDictionary(2, cost=wt.GridCost(40), eps=4.0, init="extremes", max_iter=30, tol=None)
    >>> model.fit(bumps).atoms_.shape
    (2, 40)
    """

    def __init__(
        self,
        n_atoms: int,
        *,
        cost: Cost,
        eps: float,
        loss: str = "quadratic",
        n_iter: int | None = 50,
        locality: float = 0.0,
        marginal_weight: float | None = None,
        free_mass: bool = False,
        momentum: float = 0.0,
        domain: str = "auto",
        solver: str = "lbfgs",
        learning_rate: float = 0.1,
        betas: tuple[float, float] = (0.9, 0.99),
        schedule: str = "constant",
        init: str = "kmeans++",
        init_atoms: Array | None = None,
        init_weights: Array | str | None = None,
        weight_scale: float = 1.0,
        warm_restart: int | None = None,
        first_step: float | None = None,
        max_iter: int = 200,
        tol: float | None = 1e-6,
        n_restarts: int = 1,
        random_state: int | np.random.Generator | None = None,
        sinkhorn_tol: float = 1e-9,
        sinkhorn_max_iter: int = 10_000,
        chunk_size: int | None = None,
        n_jobs: int | None = None,
        verbose: bool | None = False,
        callback: Callable[[int, float, Array, Array], None] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 10,
        batch_size: int = 100,
        batch_tol: float = 1e-3,
        batch_max_iter: int = 15,
        dtype: str | None = None,
    ):
        self.n_atoms = n_atoms
        self.cost = cost
        self.eps = eps
        self.loss = loss
        self.n_iter = n_iter
        self.locality = locality
        self.marginal_weight = marginal_weight
        self.free_mass = free_mass
        self.momentum = momentum
        self.domain = domain
        self.solver = solver
        self.learning_rate = learning_rate
        self.betas = betas
        self.schedule = schedule
        self.init = init
        self.init_atoms = init_atoms
        self.init_weights = init_weights
        self.weight_scale = weight_scale
        self.warm_restart = warm_restart
        self.first_step = first_step
        self.max_iter = max_iter
        self.tol = tol
        self.n_restarts = n_restarts
        self.random_state = random_state
        self.sinkhorn_tol = sinkhorn_tol
        self.sinkhorn_max_iter = sinkhorn_max_iter
        self.chunk_size = chunk_size
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.callback = callback
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.batch_size = batch_size
        self.batch_tol = batch_tol
        self.batch_max_iter = batch_max_iter
        self.dtype = dtype

    # ---------------------------------------------------------------------------------------------------- public

    def fit(self, X: Array, y: None = None, *, sample_weight: Array | None = None) -> WassersteinDictionary:
        """Learn atoms and weights from histograms.

        Parameters
        ----------
        X : array, shape (n_samples, n_bins)
            Each row sums to one; with ``marginal_weight`` to anything.
        y : None
            Ignored.
        sample_weight : array, shape (n_samples,), optional
            Weighs the samples in the objective, and in the draw of the first atoms.

        Returns
        -------
        WassersteinDictionary

        Raises
        ------
        ValueError, TypeError
            X off the simplex, or settings that do not fit it; the message says what to change.
        OSError
            ``checkpoint`` cannot be written.
        """
        if isinstance(self.solver, str) and self.solver == "minibatch":
            return self._fit_batches(X, sample_weight)
        frame, (X, cost) = X, self._check_data(X)
        terms = self._terms(X, self.n_iter)
        if self.n_atoms > X.shape[0]:
            raise ValueError(f"n_atoms={self.n_atoms} is more than the {X.shape[0]} samples; use fewer atoms.")
        importance, xp = check_importance(sample_weight, X), array_namespace(X)
        mass = float(xp.mean(xp.sum(X, axis=1))) if self.free_mass else 1.0
        X = _times(X, 1 / mass)
        if self.checkpoint is not None:
            check_writable(self.checkpoint)
        with said_once("fit", "sinkhorn_") as missed, all_or_nothing(self, but=self._has_found):
            self.__dict__.pop("_best", None)  # what an earlier fit has found is not what this one has
            _check_feature_names(self, frame, reset=True)
            self.n_features_in_, self.mass_, self._batches = X.shape[1], mass, None
            self._keep_nothing(X)
            try:
                mark = None if self.checkpoint is None else self._fingerprint(X, importance)
                saved = self._resume(mark, X)
                with problem_for(X, importance, cost, terms, self.n_atoms, self.chunk_size, self.n_jobs) as problem:
                    warm = problem._replace(starts={}) if self.n_iter is None else problem
                    self._fit(_Fit(self, warm, missed, mark), cost, saved)
            except (KeyboardInterrupt, WorkersLost) as stop:
                if not self._has_found():
                    raise
                self._keep_interrupted(X, importance, stop)
        return self

    def _has_found(self) -> bool:
        """Was anything evaluated that is worth keeping?"""
        best = vars(self).get("_best")
        return best is not None and math.isfinite(best.value)

    def _keep_nothing(self, X: Array) -> None:
        """Something of the right shapes to hold until the first evaluation."""
        even = first_atoms("uniform", X, self.n_atoms)
        self._keep(X, Best(math.inf, self._log(even, first_weights("uniform", X, even)), 0), [], converged=False)

    def _keep_interrupted(self, X: Array, importance: Array, stop: BaseException) -> None:
        best = self._best
        if self.warm_restart is not None and self.loss_curve_:
            best = best._replace(value=self._cold_value(X, importance, best.params, len(self.loss_curve_) - 1))
        self._keep(X, best, self.loss_curve_, converged=self.converged_)  # it may have come amid a _keep
        self._say_interrupted(stop, "steps")

    def _say_interrupted(self, stop: BaseException, steps: str) -> None:
        self.interrupted_ = True
        warn(
            f"fit was interrupted after {len(self.loss_curve_)} evaluated {steps}; the best so far is kept "
            f"(loss {self.loss_:.6g}).{f' What ended it: {stop}' if str(stop) else ''}",
            ConvergenceWarning,
        )

    def transform(self, X: Array, *, tol: float = 1e-4, max_iter: int = 200, out: Any = None) -> Array:
        """Weights that reconstruct X best with the learned atoms: each row on its own.

        Quadratic steps on the simplex, from the nearest of up to 200 barycenters with weights on a lattice, whose curvature
        is measured first. As for any atoms but two, a better minimum elsewhere cannot be ruled out. The rows pass by in
        slabs whose work takes 64 MB, so that X and the weights may lie elsewhere.

        Parameters
        ----------
        X : array, shape (..., n_bins)
            In memory, or a memory map, or an array of zarr, h5py or Dask. Leading axes are a batch, as of a block of a cube.
        tol : float
            A row has settled when its next step promises to lower its objective by at most this, relatively, or where no
            step down its gradient lowers it.
        max_iter : int
            Evaluations of a row.
        out : array, shape (..., n_atoms), optional
            Where to write the weights: NumPy, a memory map, zarr or h5py. It is returned.

        Returns
        -------
        array, shape (..., n_atoms)
            Of a Dask array a lazy one: its blocks are mapped where they are, when they are asked for.

        Warns
        -----
        ConvergenceWarning
            With the number of rows that have not settled after ``max_iter`` evaluations.
        """
        if is_dask(X):
            if out is not None:
                raise ValueError(
                    "out is for arrays that are not of Dask; store the lazy weights: weights.to_zarr(path)."
                )
            return map_rows(partial(_weights_of, self.bare(), tol=tol, max_iter=max_iter), X, self.n_atoms)
        with said_once("transform", "sinkhorn_"):
            return self._weights_for(X, tol, max_iter, out)[0]

    def inverse_transform(self, weights: Array) -> Array:
        """The barycenters of the learned atoms with these weights.

        Parameters
        ----------
        weights : array, shape (..., n_atoms)

        Returns
        -------
        array, shape (..., n_bins)
            Of a Dask array a lazy one.
        """
        self._check_fitted()
        if is_dask(weights):
            return map_rows(self.bare().inverse_transform, weights, self.atoms_.shape[1])
        weights = as_float(weights, like=self.atoms_, name="weights")
        xp = same_backend(weights=weights, atoms_=self.atoms_)
        if weights.ndim < 2 or weights.shape[-1] != self.n_atoms or 0 in weights.shape:
            raise ValueError(
                f"weights must be (n_samples, n_atoms), one row per sample and {self.n_atoms} atoms; "
                f"got shape {tuple(weights.shape)}."
            )
        check_histograms(weights, "weights")
        atoms = _times(xp.astype(self.atoms_, weights.dtype, copy=False), 1 / self.mass_)
        flat = xp.reshape(weights, (-1, self.n_atoms))
        with said_once("inverse_transform", "sinkhorn_"):
            found = _times(self._barycenters(atoms, flat, self._cold_n_iter()), self.mass_)
        return xp.reshape(found, (*weights.shape[:-1], found.shape[-1]))

    def bare(self) -> WassersteinDictionary:
        """The atoms and settings alone, for one core: a few kilobytes that travel to other machines.

        Without the weights and the progress of the fit, and without progress bar, callback and checkpoint.

        Returns
        -------
        WassersteinDictionary
            It transforms as this one does.
        """
        self._check_fitted()
        model = copy.copy(self)
        for name in ("_best", "_batches"):
            model.__dict__.pop(name, None)
        model.weights_, model.loss_curve_ = None, []
        none = dict.fromkeys(("init_atoms", "init_weights", "callback", "checkpoint"))
        model.__dict__.update(none | {"n_jobs": 1, "verbose": False})
        return model

    def _barycenters(self, atoms: Array, weights: Array, n_iter: int | None) -> Array:
        """The barycenters (n_samples, n_bins) of this model's settings, a chunk at a time."""
        rows = [
            barycenter(
                atoms,
                weights[part, :],
                detached(self.cost),
                eps=self.eps,
                n_iter=n_iter,
                tol=self.sinkhorn_tol,
                max_iter=self.sinkhorn_max_iter,
                domain=self.domain,
                marginal_weight=self.marginal_weight,
                momentum=self.momentum,
            ).histogram
            for part in slices(weights.shape[0], chunk_length(atoms, self.n_atoms, None))
        ]
        return array_namespace(atoms).concat(rows, axis=0)

    def score(
        self, X: Array, y: None = None, *, sample_weight: Array | None = None, tol: float = 1e-4, max_iter: int = 200
    ) -> float:
        """Minus the objective at X with the weights that :meth:`transform` finds: larger is better.

        Compare it at one ``eps`` only where ``loss="wasserstein"``, or a locality, is part of the objective: W_eps
        holds eps H(T), so that a search over eps would take the largest. Give such a search a measure of its own::

            def error(model, X, y=None):
                return -((X - model.inverse_transform(model.transform(X))) ** 2).sum()

            GridSearchCV(model, {"eps": [0.01, 0.1]}, scoring=error).fit(X)

        Parameters
        ----------
        X : array, shape (n_samples, n_bins)
        y : None
            Ignored.
        sample_weight : array, shape (n_samples,), optional
        tol : float
        max_iter : int
            Both as for :meth:`transform`.

        Returns
        -------
        float
        """
        if is_dask(X):
            values = map_rows(partial(_values_of, self.bare(), tol=tol, max_iter=max_iter), X, 1).compute()[:, 0]
        else:
            with said_once("score", "sinkhorn_"):
                _, values = self._weights_for(X, tol, max_iter)
        importance = check_importance(sample_weight, values[:, None])
        return -float(array_namespace(values).sum(importance * values))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write settings and results to one .npz file, without pickle.

        Parameters
        ----------
        path : str or path
        """
        self._check_fitted()
        settings = self.get_params(deep=False)
        for name in ("callback", "checkpoint"):
            settings[name] = None
        if moves_on(self.random_state):
            settings["random_state"] = None
        arrays: dict[str, np.ndarray] = {}
        results = {k: getattr(self, k) for k in _RESULTS} | {"batches": self._batches and tuple(self._batches)}
        if hasattr(self, "feature_names_in_"):
            results["feature_names_in_"] = list(self.feature_names_in_)
        text = json.dumps({"settings": pack(settings, arrays), "results": pack(results, arrays)})
        write_state(
            path, {"about": np.asarray("wdl_tutorial.WassersteinDictionary 1"), "text": np.asarray(text)} | arrays
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> WassersteinDictionary:
        """Read what :meth:`save` wrote; arrays are NumPy.

        Settings and results that there are not are refused by name.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        WassersteinDictionary
        """
        what = "saved WassersteinDictionary"
        arrays, held = read_state(path, what)
        if "settings" not in held:
            raise ValueError(f"{path} holds no {what}; it holds {', '.join(sorted(held))}.")
        with reading(path, what):
            settings, results = (unpack(held[name], arrays, None) for name in ("settings", "results"))
            odd = set(settings) - set(cls._get_param_names()) | set(results) - {
                *_RESULTS,
                "feature_names_in_",
                "batches",
            }
            if odd:
                raise ValueError(f"it holds {', '.join(sorted(odd))}, which this version does not know")
            model = cls(**settings)
            results.setdefault("mass_", 1.0)  # as in files of version 0.1
            for name in _RESULTS:
                setattr(model, name, results[name])
            held = results.get("batches")  # nor are these
            model._batches = AdamState(*held) if held else None
            if "feature_names_in_" in results:
                model.feature_names_in_ = np.asarray(results["feature_names_in_"], dtype=object)
            model._check_results()
        return model

    def _check_results(self) -> None:
        """Refuse results of a file that do not fit each other."""
        shape = (self.n_atoms, self.n_features_in_)
        weights = np.empty((0, self.n_atoms)) if self.weights_ is None else self.weights_  # of what lay elsewhere
        if self.atoms_.shape != shape or weights.ndim != 2 or weights.shape[1] != self.n_atoms:
            raise ValueError(f"its atoms have shape {self.atoms_.shape} and its weights {weights.shape}")
        (check_nonnegative if self.free_mass else check_histograms)(self.atoms_, "atoms_")
        for name in ("converged_", "interrupted_"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is {getattr(self, name)!r}")
        if not (is_number(self.loss_) and all(is_number(value) for value in self.loss_curve_)):
            raise TypeError("its losses are no numbers")

    def __sklearn_tags__(self) -> Any:
        """X is histograms: nothing negative."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.atoms_.shape[0]

    # --------------------------------------------------------------------------------------------------- the fit

    _misled = False  # did the descent stop where inner runs had stopped short?

    def _fit(self, fit: _Fit, cost: AnyCost, saved: _Saved | None) -> None:
        self._entropy = saved.entropy if saved else entropy_of(self.random_state)
        seeds = np.random.SeedSequence(self._entropy).spawn(self.n_restarts)
        first = saved.restart if saved else 0
        total = self.n_restarts * self.max_iter
        with progress(total, "Wasserstein dictionary", "step", shown=self.verbose) as bar:
            for restart in range(first, self.n_restarts):
                rng = np.random.default_rng(seeds[restart])
                mine = saved if restart == first else None
                state, curve = (mine.state, mine.curve) if mine else (None, [])
                params = self._start(fit.problem, cost, rng) if state is None else state.params
                fit.warm = mine.warm if mine else None
                if fit.problem.starts is not None:
                    fit.problem.starts.clear()
                    parts = {part.start: part.stop - part.start for part in fit.problem.parts()}
                    kept = mine.starts if mine else {}  # of a version that made other chunks they are of no use
                    fit.problem.starts.update({k: v for k, v in kept.items() if parts.get(k) == v.log_b.shape[0]})
                if math.isinf(self._best.value):
                    self._keep(fit.problem.X, Best(math.inf, params, restart), [], converged=False)
                self._descend(fit, params, state, curve, restart, bar)
        if self.n_iter is None and (self.solver in HEEDED or self.sinkhorn_tol > COLD_TOL):
            best = self._best._replace(value=self._strict_value(fit.problem, self._best.params, self._best.value))
            self._keep(fit.problem.X, best, self.loss_curve_, converged=self.converged_)
        if self.tol is not None and not self.converged_ and not self._misled:
            warn(
                f"WassersteinDictionary stopped after {self.n_iter_} steps with loss {self.loss_:.6g}, still changing by "
                f"more than tol={self.tol:g}. Raise max_iter, or tol; tol=None runs max_iter steps without this test.",
                ConvergenceWarning,
            )

    def _descend(self, fit: _Fit, params: Params, saved: Any, curve: list[float], restart: int, bar: Any) -> None:
        """Run one restart's steps; keep the best, and leave a checkpoint now and then."""
        window = 20 if self.solver in HEEDED else max(5, (self.warm_restart or 0) + 1)
        if saved is not None and (saved.t >= self.max_iter or self._settled(saved, curve, window)):
            return
        X, importance, missed = fit.problem.X, fit.problem.importance, len(fit.missed)
        fit.heed(curve)
        for state in self._steps(fit, params, saved):
            curve.append(state.value)
            fit.heed(curve)
            settled = self._settled(state, curve, window)
            # inner runs that stopped short give an inexact gradient, on which the descent may stall
            self._misled = getattr(state, "stalled", False) and len(fit.missed) > missed
            missed = len(fit.missed)
            last = settled or state.t >= self.max_iter
            value, better, mine = state.value, state.value < self._best.value, self._best.restart == restart
            if self.warm_restart is not None:  # values from warm starts do not compare: the newest counts, from b = 1
                value = self._cold_value(X, importance, state.params, len(curve) - 1) if last else value
                better = mine or (last and value < self._best.value)
            if better or mine:
                best = Best(value, state.params, restart) if better else self._best
                self._keep(X, best, list(curve), converged=settled and not self._misled)
            bar.update(1 if state.t else 0)
            bar.tell(f"loss {state.value:.6g}")
            if self.checkpoint is not None and (last or state.t % self.checkpoint_every == 0):
                keep(self.checkpoint, lambda: self._save_checkpoint(fit, state, curve, restart))  # noqa: B023
            if self.callback is not None:
                atoms, weights = self._unlog(state.params)
                self.callback(state.t, state.value, _times(atoms, self.mass_), weights)
            if last:
                return

    def _steps(self, fit: _Fit, params: Params, state: Any) -> Iterator[Any]:
        if self.solver in HEEDED:
            rate: float | Callable[[int], float] = self.learning_rate
            if self.schedule == "cosine":
                rate = cosine(self.learning_rate, self.learning_rate / 10, self.max_iter)
            betas = self.betas[0], self.betas[1]
            steps: Callable[..., Iterator[Any]] = adam_steps if self.solver == "adam" else projection_steps
            return steps(fit.evaluate, params, learning_rate=rate, betas=betas, state=state)
        if self.warm_restart is not None:
            every, first = self.warm_restart, self.first_step
            return lbfgs_restarts(fit.evaluate, params, fit.refresh, every=every, state=state, first_step=first)
        return lbfgs_steps(fit.evaluate, params, state=state, first_step=self.first_step)

    def _cold_n_iter(self, steps: int | None = None) -> int | None:
        """Iterations from b = 1 that stand for what a warm run has done in its ``steps``; n_iter where there was none."""
        steps = getattr(self, "n_iter_", 0) if steps is None else steps
        if self.warm_restart is None or self.n_iter is None:
            return self.n_iter
        return self.n_iter * (1 + max(steps - 1, 0) // self.warm_restart)

    def _cold_value(self, X: Array, importance: Array, params: Params, steps: int) -> float:
        """The objective from b = 1."""
        terms = self._terms(X, self._cold_n_iter(steps))
        cost = check_cost(detached(self.cost), square=True)
        with problem_for(X, importance, cost, terms, self.n_atoms, self.chunk_size, self.n_jobs) as problem:
            return evaluate_chunks(problem, *self._unlog(params)).value

    def _strict_value(self, problem: Problem, params: Params, reached: float) -> float:
        """The converged objective from b = 1, to a tolerance that no setting loosens: what the fit has reached.

        Where the domain that the fit has run in cannot give it, which nothing but the tighter tolerance has changed, the
        value ``reached`` stands, and that is said.
        """
        accuracy = problem.terms.accuracy._replace(tol=COLD_TOL)
        kernels = problem.kernels[:1] if self.domain_ == "kernel" else problem.kernels
        strict = problem._replace(terms=problem.terms._replace(accuracy=accuracy), starts=None, kernels=kernels)
        try:
            return evaluate_chunks(strict, *self._unlog(params)).value
        except FloatingPointError as error:
            warn(f"loss_ is the value to sinkhorn_tol={self.sinkhorn_tol:g}: to {COLD_TOL:g} there was none. {error}")
            return reached

    def _settled(self, state: Any, curve: list[float], window: int) -> bool:
        if getattr(state, "stalled", False):
            return True
        if self.tol is None or len(curve) <= window:
            return False
        recent = curve[-window - 1 :]
        return max(recent) - min(recent) <= self.tol * max(abs(recent[-1]), 1e-300)

    def _start(self, problem: Problem, cost: AnyCost, rng: np.random.Generator) -> Params:
        """Logits of the first atoms and weights."""
        X, xp = problem.X, array_namespace(problem.X)
        given = "random" if self.init_weights is None else self.init_weights
        weights = check_start("init_weights", given, WEIGHTS, (X.shape[0], self.n_atoms), X)
        atoms = self._first_atoms(X, problem.importance, cost, rng, problem.mapper)
        drawn = self.init_atoms is None and isinstance(weights, str)  # what is given is where to start
        if drawn and self.solver == "projection" and X.shape[0] > leads_from(self.n_atoms):
            atoms = self._led_by_a_few(problem, atoms, cost, rng)
        if isinstance(weights, str):
            weights = self._first_weights(weights, X, atoms, cost, rng, problem.mapper)
        return self._log(xp.astype(atoms, X.dtype, copy=False), xp.astype(weights, X.dtype, copy=False))

    def _first_weights(
        self, rule: str, X: Array, atoms: Array, cost: AnyCost, rng: np.random.Generator, mapper: Mapper
    ) -> Array:
        ruler = Ruler(cost, self.eps, self.n_iter or 100, self.domain, mapper)
        shapes = X if self.marginal_weight is None else normalize(X)
        return first_weights(rule, shapes, normalize(atoms) if self.free_mass else atoms, rng, ruler)

    def _led_by_a_few(self, problem: Problem, atoms: Array, cost: AnyCost, rng: np.random.Generator) -> Array:
        """Where a few samples, drawn by their importance, lead these atoms: most of the way, for a share of the price."""
        chance = to_numpy(problem.importance).astype(np.float64)
        X = take(problem.X, some_rows(problem.X, max(FEW, self.n_atoms), rng, chance / chance.sum()))
        warm: dict[int, Starts] | None = None if self.n_iter is not None else {}
        fit = _Fit(self, problem._replace(X=X, importance=check_importance(None, X), starts=warm), [])
        fit.told = True  # by the fit of all, if there is something to tell
        weights = self._first_weights("lattice", X, atoms, cost, rng, problem.mapper)
        params = self._log(*(array_namespace(X).astype(x, X.dtype, copy=False) for x in (atoms, weights)))
        rate, betas = cosine(self.learning_rate, self.learning_rate / 10, FEW_STEPS), (self.betas[0], self.betas[1])
        curve: list[float] = []
        fit.heed(curve)
        for state in projection_steps(fit.evaluate, params, learning_rate=rate, betas=betas):
            curve.append(state.value)
            fit.heed(curve)
            if state.t == FEW_STEPS:
                break
        return self._unlog(state.params)[0]

    def _first_atoms(
        self, X: Array, importance: Array, cost: Any, rng: np.random.Generator, mapper: Mapper = map
    ) -> Array:
        """The atoms given, or by the rule called ``init`` from samples in the inner unit of mass."""
        name, given = ("init", self.init) if self.init_atoms is None else ("init_atoms", self.init_atoms)
        known = (*ATOMS, *MASSES) if self.free_mass else ATOMS
        atoms = check_start(name, given, known, (self.n_atoms, X.shape[1]), X, masses=self.free_mass)
        if not isinstance(atoms, str):
            return _times(atoms, 1 / self.mass_)
        ruler = Ruler(cost, self.eps, self.n_iter or 100, self.domain, mapper)
        shapes = X if self.marginal_weight is None else normalize(X)  # a divergence is between masses of one
        choose = first_masses if self.free_mass else first_atoms
        return choose(atoms, X if self.free_mass else shapes, self.n_atoms, rng, ruler, importance)

    def _log(self, atoms: Array, weights: Array) -> Params:
        xp = array_namespace(atoms, weights)
        floor = max(LOG_FLOOR, float(xp.finfo(atoms.dtype).smallest_normal))
        logs = tuple(xp.log(xp.clip(x, min=floor)) for x in (atoms, weights))
        return logs[0], weights if self.solver == "projection" else logs[1] / self._zeta(weights)

    def _unlog(self, params: Params) -> tuple[Array, Array]:
        atoms = array_namespace(params[0]).exp(params[0]) if self.free_mass else softmax(params[0])
        if self.solver == "projection":
            return atoms, 1.0 * params[1]  # a copy: who is told of them may write there
        return atoms, softmax(self._zeta(params[1]) * params[1])

    def _zeta(self, rows: Array) -> float:
        """The scale of the logits of these rows' weights.

        In a mean over n samples the curvature along a weight is a 1/n-th of that along an atom. L-BFGS, which knows ten
        directions, would need more steps the larger n is; a scale that grows with the root of n gives the curvature back.
        Few samples are left as in version 0.1: up to 256 the steps hardly grow, and small problems are compared most.
        """
        n, zeta = rows.shape[0], float(self.weight_scale)
        return zeta * math.sqrt(n) / EVENED if self.solver == "lbfgs" and n > MANY else zeta

    def _keep(self, X: Array, best: Best, curve: list[float], *, converged: bool) -> None:
        """Make the best so far what the estimator holds: whatever stops the fit, this is what it leaves."""
        self._best, self.loss_curve_, self.n_iter_ = best, curve, max(len(curve) - 1, 0)
        self.converged_, self.interrupted_ = converged, False
        atoms, self.weights_ = self._unlog(best.params)
        self.atoms_ = _times(atoms, self.mass_)
        self.loss_, self.cold_n_iter_ = best.value, self._cold_n_iter()
        self.domain_ = getattr(self, "domain_", "kernel" if self.domain == "auto" else self.domain)

    # ----------------------------------------------------------------------------------------------- minibatches

    _batches: AdamState | None = None  # of a descent on minibatches

    def _fit_batches(self, X: Any, sample_weight: Array | None) -> WassersteinDictionary:
        """Learn atoms from random batches of X, which may lie elsewhere."""
        frame, away = X, elsewhere(X)
        X = X if away else self._check_data(X)[0]
        self._check_settings()
        chance = self._check_rows(X, sample_weight)
        mark = None
        if self.checkpoint is not None:
            check_writable(self.checkpoint)
            mark = self._fingerprint(X, chance)
        with said_once("fit", "sinkhorn_"), all_or_nothing(self, but=lambda: hasattr(self, "atoms_")):
            self.__dict__.pop("atoms_", None)  # those of an earlier fit are not what this one has found
            _check_feature_names(self, frame if not away else None, reset=True)
            self._entropy, self._batches, self.weights_ = entropy_of(self.random_state), None, None
            self.loss_curve_, self.converged_ = [], False
            self._resume_batches(mark, X)
            try:
                self._descend_batches(X, chance, mark)
                if not away:
                    self.weights_, values = self._weights_for(X, 1e-4, 200)
                    importance = check_importance(sample_weight, X)
                    self.loss_ = float(array_namespace(values).sum(importance * values))
            except (KeyboardInterrupt, WorkersLost) as stop:
                if not hasattr(self, "atoms_"):
                    self._batches = None
                    raise
                self._say_interrupted(stop, "batches")
            if self.tol is not None and not self.converged_ and not self.interrupted_:
                warn(
                    f"WassersteinDictionary stopped after {self.n_iter_} batches with loss {self.loss_:.6g}, which still "
                    "fell from batch to batch. Raise max_iter; tol=None runs max_iter batches without this test.",
                    ConvergenceWarning,
                )
        return self

    def _check_rows(self, X: Any, sample_weight: Array | None) -> np.ndarray | None:
        """Refuse what has no rows to draw; the chance of each to be drawn, None where they are alike."""
        if X.ndim != 2:
            raise ValueError(f"X must be (n_samples, n_bins); got shape {tuple(X.shape)}.")
        row_blocks(X)
        if self.n_atoms > X.shape[0]:
            raise ValueError(f"n_atoms={self.n_atoms} is more than the {X.shape[0]} samples; use fewer atoms.")
        if self.batch_size < self.n_atoms:
            raise ValueError(
                f"batch_size={self.batch_size} is less than n_atoms={self.n_atoms}: atoms start as samples."
            )
        if sample_weight is None:
            return None
        like = np.empty((X.shape[0], 1)) if elsewhere(X) else X
        chance = to_numpy(check_importance(sample_weight, like)).astype(np.float64)
        return chance / chance.sum()

    def _descend_batches(self, X: Any, chance: np.ndarray | None, mark: str | None) -> None:
        """Batch after batch, until the loss no longer falls."""
        done = self._batches.t if self._batches else 0
        with progress(self.max_iter, "Wasserstein dictionary", "batch", shown=self.verbose) as bar:
            bar.update(done)
            if not done:
                self._begin_on(*self._check_data(self._drawn(X, FIRST * self.batch_size, chance, (2,))))
            for t in range(done, self.max_iter):
                batch, cost = self._check_data(self._drawn(X, self.batch_size, chance, (1, t)))
                weights = self._take_batch(batch, check_importance(None, batch), cost)
                last = t + 1 == self.max_iter
                self.converged_ = self.tol is not None and not still_falls(self.loss_curve_, self.tol, at_the_end=last)
                bar.update(1)
                bar.tell(f"loss {self.loss_:.6g}")
                if self.checkpoint is not None and (last or self.converged_ or (t + 1) % self.checkpoint_every == 0):
                    keep(self.checkpoint, lambda: self._save_batches(mark))
                if self.callback is not None:
                    self.callback(t + 1, self.loss_curve_[-1], self.atoms_, weights)
                if self.converged_:
                    return

    def _drawn(self, X: Any, size: int, chance: np.ndarray | None, key: tuple[int, ...]) -> Array:
        """Random rows of X: for one ``key`` the same ones in every fit from one seed."""
        rng = np.random.default_rng(np.random.SeedSequence(self._entropy, spawn_key=key))
        return take(X, some_rows(X, size, rng, chance))

    def partial_fit(self, X: Array, y: None = None, *, sample_weight: Array | None = None) -> WassersteinDictionary:
        """One step of the atoms on a batch whose weights are solved: for data as they come.

        The first call makes the first atoms from its batch, which needs ``n_atoms`` samples for that; a call after ``fit``
        or ``load`` goes on from the atoms there. The batch's weights are solved to ``batch_tol``, in ``batch_max_iter``
        evaluations at most, and its order does not matter. The rate falls along a cosine over ``max_iter`` calls, so set
        that to how many there are going to be. ``loss_`` is the mean of the last 50 batches, each before its step.

        Parameters
        ----------
        X : array, shape (n_samples, n_bins)
            The batch.
        y : ignored
        sample_weight : array, shape (n_samples,), optional
            Importance of each sample of the batch.

        Returns
        -------
        WassersteinDictionary
            Itself.

        Raises
        ------
        ValueError, TypeError
            As :meth:`fit`.

        Examples
        --------
        >>> import numpy as np, wdl_tutorial as wt
        >>> rng = np.random.default_rng(0)
        >>> model = wt.WassersteinDictionary(2, cost=wt.GridCost(20), eps=4.0, max_iter=3, random_state=0)
        >>> for _ in range(3):
        ...     _ = model.partial_fit(rng.dirichlet(np.ones(20), size=8))
        >>> model.n_iter_, model.atoms_.shape
        (3, (2, 20))
        """
        frame, (X, cost) = X, self._check_data(X)
        self._check_settings()
        fitted = hasattr(self, "atoms_")
        if fitted and self.atoms_.shape != (self.n_atoms, X.shape[1]):
            raise ValueError(
                f"X has {X.shape[1]} bins and n_atoms={self.n_atoms}, but atoms_ has shape {tuple(self.atoms_.shape)}. "
                "Go on with the same bins and settings, or start afresh: sklearn.base.clone(model)."
            )
        importance = check_importance(sample_weight, X)
        with said_once("partial_fit", "sinkhorn_"), all_or_nothing(self):
            _check_feature_names(self, frame, reset=not fitted)
            if not fitted:
                self._entropy = entropy_of(self.random_state)
            if self._batches is None:
                self.loss_curve_ = []
            self.weights_ = self._take_batch(X, importance, cost)
        return self

    def _take_batch(self, X: Array, importance: Array, cost: AnyCost) -> Array:
        """Move the atoms by one batch; its weights, for the atoms before, in the order of its rows."""
        xp, order = array_namespace(X), in_order(X, importance)
        rows = to_backend(order, X) if not is_numpy(X) else order
        back = to_backend(np.argsort(order), X) if not is_numpy(X) else np.argsort(order)
        X, importance = xp.take(X, rows, axis=0), xp.take(importance, rows, axis=0)
        begun = self._batches or self._begin_batches(X, importance, cost)
        X, logits = _times(X, 1 / self.mass_), xp.astype(begun.params[0], X.dtype, copy=False)
        atoms = xp.exp(logits) if self.free_mass else softmax(logits)
        terms = self._terms(X, self.n_iter)
        with problem_for(X, importance, cost, terms, self.n_atoms, self.chunk_size, self.n_jobs) as problem:
            weights = self._solve(problem, atoms, self.batch_tol, self.batch_max_iter).weights
            state = atoms_moved(
                problem,
                begun,
                atoms,
                weights,
                masses=self.free_mass,
                rate=float(self.learning_rate),
                steps=self.max_iter,
                betas=self.betas,
            )
        self._keep_batch(state, [*self.loss_curve_, state.value])
        return xp.take(weights, back, axis=0)

    def _begin_on(self, X: Array, cost: AnyCost) -> None:
        """The first atoms of a fit: of several draws that by which some of these samples have the least loss.

        From ten batches' worth of samples, since what is rare is rarely in one. (As MiniBatchKMeans of scikit-learn does.)
        """
        importance, terms, some = check_importance(None, X), self._terms(X, self.n_iter), X[::FIRST, :]
        share = check_importance(None, some)
        found: list[tuple[float, AdamState]] = []
        for draw in range(TRIES if self.init_atoms is None and self.init in DRAWN else 1):
            begun = self._begin_batches(X, importance, cost, draw)
            atoms = self._unlog((begun.params[0], begun.params[0]))[0]
            rows = _times(some, 1 / self.mass_)
            with problem_for(rows, share, cost, terms, self.n_atoms, self.chunk_size, self.n_jobs) as problem:
                values = self._solve(problem, atoms, self.batch_tol, self.batch_max_iter).value
            found.append((float(array_namespace(values).sum(share * values)), begun))
        self._batches = min(found, key=lambda one: one[0])[1]

    def _begin_batches(self, X: Array, importance: Array, cost: AnyCost, draw: int = 0) -> AdamState:
        """The first atoms, from the first batch; or those that are there."""
        xp = array_namespace(X)
        self.n_features_in_ = X.shape[1]
        if not hasattr(self, "atoms_"):
            if self.n_atoms > X.shape[0] and self.init_atoms is None:
                raise ValueError(
                    f"the first batch has {X.shape[0]} samples, n_atoms={self.n_atoms}: atoms start as samples. Give more "
                    "at first, or init_atoms."
                )
            self.mass_ = float(xp.mean(xp.sum(X, axis=1))) if self.free_mass else 1.0
            rng = np.random.default_rng(np.random.SeedSequence(self._entropy, spawn_key=(0, draw) if draw else (0,)))
            atoms = self._first_atoms(_times(X, 1 / self.mass_), importance, cost, rng)
        else:
            atoms = _times(self.atoms_, 1 / self.mass_)
        even = xp.full((1, self.n_atoms), 1 / self.n_atoms, dtype=X.dtype, device=device(X))
        self._batches = first_state(self._log(xp.astype(atoms, X.dtype, copy=False), even)[0])
        return self._batches

    def _keep_batch(self, state: AdamState, curve: list[float]) -> None:
        """Make the newest atoms what the estimator holds."""
        self._batches, self.loss_curve_, self.n_iter_ = state, curve, state.t
        (logits,) = state.params
        self.atoms_ = _times(array_namespace(logits).exp(logits) if self.free_mass else softmax(logits), self.mass_)
        self.loss_ = float(np.mean(curve[-WINDOW:]))
        self.converged_, self.interrupted_ = False, False
        self.cold_n_iter_, self.domain_ = self._cold_n_iter(), "kernel" if self.domain == "auto" else self.domain

    def _save_batches(self, mark: str | None) -> None:
        assert self.checkpoint is not None and self._batches is not None  # else nothing is kept
        arrays: dict[str, np.ndarray] = {}
        held = {
            "fingerprint": mark,
            "entropy": self._entropy,
            "mass": self.mass_,
            "curve": self.loss_curve_,
            "batches": pack(tuple(self._batches), arrays),
        }
        write_state(self.checkpoint, {"text": np.asarray(json.dumps(held))} | arrays)

    def _resume_batches(self, mark: str | None, X: Any) -> None:
        """Go on from a checkpoint, if there is one."""
        found = self._checkpoint(mark)
        if found is None:
            return
        arrays, held = found
        with reading(str(self.checkpoint), "checkpoint"):
            state = AdamState(*unpack(held["batches"], arrays, None if elsewhere(X) else X))
            self._entropy, self.mass_, curve = int(held["entropy"]), float(held["mass"]), list(held["curve"])
        self.n_features_in_ = X.shape[1]
        self._keep_batch(state, curve)

    # ------------------------------------------------------------------------------------------------- transform

    def _weights_for(self, X: Array, tol: float, max_iter: int, out: Any = None) -> tuple[Array, Array]:
        """Best weights and objective of every row of X, the atoms being fixed: a slab at a time."""
        self._check_fitted()
        away = elsewhere(X)
        _check_feature_names(self, None if away else X, reset=False)
        check_run(tol, max_iter, None)
        n_atoms, n_bins = self.atoms_.shape
        each = 8 * (2 * n_bins + 2 * LATTICE + 8 * n_atoms**2)  # bytes that the work on a row takes
        found, moving, n = [], 0, 0
        with progress(math.prod(getattr(X, "shape", (0,))[:-1]), "Weights", "sample", shown=self.verbose) as bar:
            pieces = slabs(X, each * math.prod(X.shape[1:-1])) if away else [slice(None)]
            for piece in pieces:
                rows, batch = _flat(np.asarray(X[piece]) if away else X)
                rows, cost = self._check_data(rows)
                done = [self._solve_slab(rows[part, :], cost, tol, max_iter, bar) for part in slabs(rows, each)]
                xp = array_namespace(rows)
                weights, values, settled = (xp.concat(a, axis=0) if len(done) > 1 else a[0] for a in zip(*done))
                moving, n = moving + int(xp.sum(xp.astype(~settled, xp.int64))), n + rows.shape[0]
                weights = xp.reshape(weights, (*batch, n_atoms)) if batch else weights
                if out is not None:
                    out[piece] = weights
                found.append((out if out is not None else weights, values))
        if moving:
            warn(
                f"the weights of {moving} of {n} samples still lowered their objective by more than tol={tol:g} "
                f"after {max_iter} evaluations. Raise max_iter, or tol, of transform.",
                ConvergenceWarning,
            )
        weights, values = (xp.concat(a, axis=0) if len(found) > 1 and a[0] is not out else a[0] for a in zip(*found))
        return weights, values

    def _solve_slab(self, X: Array, cost: Any, tol: float, max_iter: int, bar: Any) -> Solved:
        """The best weights of rows that are checked."""
        xp = array_namespace(X, self.atoms_)
        X, atoms = (_times(x, 1 / self.mass_) for x in (X, xp.astype(self.atoms_, X.dtype, copy=False)))
        terms = self._terms(X, self._cold_n_iter())
        one = xp.ones((X.shape[0],), dtype=X.dtype, device=device(X))
        with problem_for(X, one, cost, terms, self.n_atoms, self.chunk_size, self.n_jobs) as problem:
            return self._solve(problem, atoms, tol, max_iter, bar.update)

    def _solve(
        self, problem: Problem, atoms: Array, tol: float, max_iter: int, on_settled: Callable[[int], None] | None = None
    ) -> Solved:
        """The best weights of every row of a problem."""
        lattice = to_backend(simplex_lattice(self.n_atoms, LATTICE), problem.X)
        near = self._barycenters(atoms, lattice, self._cold_n_iter() or 50)  # no more than a start
        # a transport cost with its entropy may cross zero; its scale is eps
        floor = self.eps * (RULES[self.loss].crosses_zero + problem.terms.locality)
        known = Lattice(lattice, near)
        return solve_weights(problem, atoms, known, tol=tol, max_iter=max_iter, floor=floor, on_settled=on_settled)

    # ---------------------------------------------------------------------------------------------------- checks

    def _check_data(self, X: Array) -> tuple[Array, Any]:
        like = getattr(self, "atoms_", None)
        cost = check_cost(detached(self.cost), square=True)
        if is_complex(X):
            raise ValueError("Complex data not supported: X must hold histograms, real and non-negative.")
        X = as_float(detached(X), like=cost if is_array(cost) else like, name="X")
        same_backend(X=X, cost=cost)
        if X.ndim != 2:
            raise ValueError(
                f"X must be (n_samples, n_bins); got shape {tuple(X.shape)}. Images become rows by X.reshape(n_samples, -1)."
            )
        if X.shape[1] != cost.shape[0]:
            raise ValueError(
                f"X has {X.shape[1]} bins but cost has shape {tuple(cost.shape)}. Make a cost of these bins. Images become "
                "rows by X.reshape(n_samples, -1)."
            )
        if X.shape[0] < 1:
            raise ValueError("X has no samples.")
        if self.marginal_weight is None:
            check_histograms(X, "X")
        else:  # unequal masses are what it is for
            check_nonnegative(X, "X")
            check_not_empty(X, "X")
        if self.dtype is not None:
            xp = array_namespace(X)
            kind = getattr(xp, choice("dtype", self.dtype, ("float32", "float64"), advice="None keeps that of X."))
            X, cost = (xp.astype(x, kind, copy=False) if is_array(x) else x for x in (X, cost))
        return X, cost

    def _check_settings(self) -> None:
        for name in ("n_atoms", "max_iter", "n_restarts", "checkpoint_every", "batch_size", "batch_max_iter"):
            integer(name, getattr(self, name))
        choice("solver", self.solver, (*STATES, "minibatch"))
        choice("schedule", self.schedule, ("constant", "cosine"))
        number("learning_rate", self.learning_rate, above=0, most=1e9)
        number("weight_scale", self.weight_scale, least=1e-9, most=1e9)
        if self.first_step is not None:
            number("first_step", self.first_step, above=0, most=100, unless=", or None")
        check_run(self.sinkhorn_tol, self.sinkhorn_max_iter, self.n_iter, prefix="sinkhorn_")
        number("batch_tol", self.batch_tol, least=0)
        self._check_warm_restart()
        if self.solver == "minibatch" and self.n_restarts != 1:
            raise ValueError(
                f'solver="minibatch" starts once; got n_restarts={self.n_restarts!r}. Fit it with several random_state, and '
                "keep the one of the best score on samples that you hold out."
            )
        if not isinstance(self.free_mass, bool):
            raise ValueError(f"free_mass must be True or False; got {self.free_mass!r}.")
        if self.free_mass and self.marginal_weight is None:
            raise ValueError("free_mass needs marginal_weight: balanced transport has one mass, that of its samples.")
        check_seed(self.random_state)
        if self.tol is not None:
            number("tol", self.tol, least=0, unless=", or None to run max_iter steps")
        betas = tuple(self.betas) if np.iterable(self.betas) else ()
        if len(betas) != 2 or not all(is_number(b) and 0 <= b < 1 for b in betas):
            raise ValueError(f"betas must be two numbers in [0, 1); got {self.betas!r}.")
        if self.callback is not None and not callable(self.callback):
            raise TypeError(
                f"callback must be a function of (iteration, value, atoms, weights); got {self.callback!r}."
            )

    def _check_warm_restart(self) -> None:
        every = self.warm_restart
        if every is None:
            return
        integer("warm_restart", every, unless=", a number of steps, or None to start cold")
        if self.solver != "lbfgs":
            raise ValueError(f'warm_restart restarts L-BFGS; use solver="lbfgs" with it; got solver={self.solver!r}.')
        if self.n_iter is None:
            raise ValueError(
                "warm_restart needs a fixed n_iter: a converged run (n_iter=None) forgets its start. Use n_iter=2, say, "
                "or warm_restart=None."
            )

    def _terms(self, X: Array, n_iter: int | None) -> Terms:
        """What is minimised, with so many inner iterations; the settings are checked first."""
        self._check_settings()
        accuracy = Accuracy(n_iter, self.sinkhorn_tol, self.sinkhorn_max_iter)
        variant = Variant(self.marginal_weight, self.momentum)
        terms = Terms(self.eps, self.loss, self.locality, accuracy, variant, self.domain)
        check_terms(terms, X, check_cost(detached(self.cost), square=True))
        return terms

    def _check_fitted(self) -> None:
        if not hasattr(self, "atoms_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError("This WassersteinDictionary has no atoms yet; call fit(X) first, or load(path).")

    # ------------------------------------------------------------------------------------------------ checkpoint

    def _fingerprint(self, X: Any, importance: Array | None) -> str:
        """What a checkpoint must share with the fit that goes on from it: the data and every setting that matters.

        Of data that lie elsewhere it knows the shape, the type and 64 rows.

        A setting that came after version 0.1 counts only where it is not its default, or no checkpoint of a version could
        be taken up by the next.
        """
        free = ("checkpoint", "checkpoint_every", "callback", "verbose", "n_jobs")
        given = {**inspect.signature(WassersteinDictionary).parameters, **inspect.signature(type(self)).parameters}
        new = {k: p.default for k, p in given.items() if k not in _FIRST_SETTINGS}
        settings = {
            k: v
            for k, v in self.get_params(deep=False).items()
            if k not in free and not (k in new and (v is new[k] or (not is_array(v) and v == new[k])))
        }
        if moves_on(self.random_state):
            settings["random_state"] = "Generator"  # what it drew is in the checkpoint
        if self._may_go_further():
            del settings["max_iter"]
        digest = hashlib.sha256()
        arrays: dict[str, np.ndarray] = {}
        digest.update(json.dumps(pack(settings, arrays), sort_keys=True).encode())
        if elsewhere(X):  # not to be read as a whole: some of it speaks for the rest
            digest.update(repr((tuple(X.shape), str(X.dtype))).encode())
            X = take(X, np.unique(np.linspace(0, X.shape[0] - 1, 64).astype(int)))
        held = (to_numpy(x) for x in (X, importance) if x is not None)
        for x in (*arrays.values(), *held):
            for part in slabs(x, x.nbytes // max(1, len(x))) if x.ndim else [...]:
                digest.update(np.ascontiguousarray(x[part]).data)
        return digest.hexdigest()

    def _may_go_further(self) -> bool:
        """Does a longer fit begin as this one does? Not where a schedule, or the next restart, depends on the length."""
        return self.n_restarts == 1 and (
            self.solver == "lbfgs" or (self.solver in HEEDED and self.schedule == "constant")
        )

    def _save_checkpoint(self, fit: _Fit, state: Any, curve: list[float], restart: int) -> None:
        arrays: dict[str, np.ndarray] = {}
        held = {
            "fingerprint": fit.mark,
            "restart": restart,
            "curve": curve,
            "entropy": self._entropy,
            "zeta": self._zeta(fit.problem.X),
            "warm": pack(fit.warm, arrays),
            "starts": pack([(first, tuple(held)) for first, held in (fit.problem.starts or {}).items()], arrays),
            "state": pack(tuple(state), arrays),
            "best": pack(tuple(self._best), arrays),
            "best_curve": self.loss_curve_,
            "converged": self.converged_,
            "domain": self.domain_,
        }
        assert self.checkpoint is not None  # else nothing is kept
        write_state(self.checkpoint, {"text": np.asarray(json.dumps(held))} | arrays)

    def _checkpoint(self, mark: str | None) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """What a checkpoint of this data and these settings holds, if there is one."""
        if self.checkpoint is None or not Path(self.checkpoint).exists():
            return None
        arrays, held = read_state(self.checkpoint, "checkpoint")
        if held.get("fingerprint") != mark:
            raise ValueError(
                f"the checkpoint {self.checkpoint} belongs to other data or settings. Delete it to start afresh, or "
                "give the data and settings it was made with."
            )
        return arrays, held

    def _resume(self, mark: str | None, X: Array) -> _Saved | None:
        """The fit that a checkpoint holds, if there is one."""
        found = self._checkpoint(mark)
        if found is None:
            return None
        arrays, held = found
        kind = STATES[self.solver]
        with reading(str(self.checkpoint), "checkpoint"):
            state, best = kind(*unpack(held["state"], arrays, X)), Best(*unpack(held["best"], arrays, X))
            ratio = float(held.get("zeta", self.weight_scale)) / self._zeta(X)  # that of version 0.1 knew no n
            state, best = (_rescaled(state, ratio), _rescaled(best, ratio)) if ratio != 1.0 else (state, best)
            warm, curve, converged = unpack(held["warm"], arrays, X), held["best_curve"], held["converged"]
            starts = {first: Starts(*ends) for first, ends in unpack(held.get("starts", {"list": []}), arrays, X)}
            saved = _Saved(int(held["restart"]), state, held["curve"], int(held["entropy"]), warm, starts)
            domain = held["domain"]
        if state.t > self.max_iter:
            raise ValueError(
                f"the checkpoint {self.checkpoint} has done {state.t} steps, more than max_iter={self.max_iter}. "
                f"Give max_iter={state.t} or more, or delete it."
            )
        self.domain_ = domain
        self._keep(X, best, curve, converged=converged)
        return saved


def _rescaled(state: Any, ratio: float) -> Any:
    """A state of L-BFGS, or the best so far, in weights' logits of another scale: ``ratio`` times as large."""

    def times(params: Params, by: float) -> Params:
        return params[0], by * params[1]

    state = state._replace(params=times(state.params, ratio))
    if isinstance(state, Best):
        return state
    steps, changes = ([times(x, by) for x in held] for held, by in ((state.steps, ratio), (state.changes, 1 / ratio)))
    return state._replace(grads=times(state.grads, 1 / ratio), steps=tuple(steps), changes=tuple(changes))


class _Saved(NamedTuple):
    restart: int
    state: Any
    curve: list[float]
    entropy: int
    warm: Array | None
    starts: dict[int, Starts]


_FIRST_SETTINGS = """n_atoms cost eps loss n_iter locality marginal_weight momentum domain solver learning_rate betas
schedule init init_atoms init_weights weight_scale warm_restart max_iter tol n_restarts random_state sinkhorn_tol
sinkhorn_max_iter chunk_size n_jobs verbose callback checkpoint checkpoint_every""".split()  # those of version 0.1

_RESULTS = (
    "atoms_", "weights_", "loss_", "loss_curve_", "n_iter_", "cold_n_iter_", "converged_", "interrupted_", "domain_",
    "n_features_in_", "mass_",
)  # fmt: skip
