"""The settings of the WaHU paper: Wasserstein dictionaries of spectra, balanced and unbalanced.

wahu(positions, setting="salinas")               the dictionary of either of the paper's experiments, unfitted
unbalanced_wahu(X, positions, n_atoms)           pixels that keep their brightness
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._array import as_float, to_numpy
from ._checks import integer, number, real_array, squarable
from .costs import LineCost, eps_for_blur, priced_gaps
from .dictionary import WassersteinDictionary
from .objective import wdl_objective

SETTINGS: dict[str, dict[str, Any]] = {
    # Fig. 2: p = 2, eps = .001 on the squared distance between bins over its maximum, rho = 0, m = 2
    "synthetic": {"power": 2, "largest": 1.0, "eps": 0.001, "locality": 0.0, "n_atoms": 2},
    # Fig. 3: p = 1, eps = .05 on |wavelength - wavelength'| scaled to maximum 10, rho = .01, m = 4
    "salinas": {"power": 1, "largest": 10.0, "eps": 0.05, "locality": 0.01, "n_atoms": 4},
}


# Where we would change the paper: weights by distance, and L-BFGS. Where the data are barycenters, their extremes as first
# atoms, and KL, whose minimiser they are (W_eps rewards blur); in a scene the extremes are its oddest pixels. There the
# inner runs converge: fifty iterations are far from it, and their gradient has little to do with the converged one; and
# half of the weights end at 0, which the logits of a softmax take hundreds of steps to approach.
RECOMMENDED: dict[str, dict[str, Any]] = {
    "synthetic": {"init": "extremes", "init_weights": "near", "solver": "lbfgs", "loss": "kl", "max_iter": 30},
    "salinas": {"init_weights": "near", "max_iter": 30, "n_iter": None, "sinkhorn_tol": 1e-6},
}
PROJECTION = {"solver": "projection", "init_weights": "lattice", "learning_rate": 0.05, "betas": (0.5, 0.99)}


# The objective of free masses is the loss alone; its first atoms are the ends of the range of masses.
UNBALANCED: dict[str, Any] = {
    "free_mass": True,
    "marginal_weight": 1.0,
    "loss": "kl_reverse",
    "locality": 0.0,
    "init": "masses",
    "init_weights": "uniform",
    "solver": "lbfgs",
    "max_iter": 40,
    "tol": None,
}


def wahu(
    positions: Any,
    *,
    setting: str = "salinas",
    recommended: bool = False,
    balanced: bool = True,
    blur: float | None = None,
    gap_price: float = 1.0,
    **changes: Any,
) -> WassersteinDictionary:
    """The Wasserstein dictionary of either of WaHU's experiments, not yet fitted.

    Both (Fullenbaum et al. (2024), section 4) minimise eq. (4) with k-means++ atoms, random weights and 50 inner
    iterations, by Adam. The paper takes 400 steps of .01; we take a third as many, of .1 and falling along a cosine
    (``learning_rate``, ``schedule`` and ``max_iter`` give the paper's back).

    Parameters
    ----------
    positions : array, shape (n_bins,)
        Increasing: wavelengths in nm, or bins.
    setting : {"salinas", "synthetic"}
        Of the paper's Fig. 3 or Fig. 2.
    recommended : bool
        For "salinas" the inner runs converge (``n_iter=None``, to 1e-6), and ``solver="projection"`` descends in 30 steps;
        its losses are then not those of fifty iterations, which are lower and far from converged. It is what
        ``unmix(scene, "wahu")`` takes; without it this is the paper's, as the book and its table of truth ask. All samples
        descend together, which pays up to some thousands; another ``solver`` starts with weights by distance, and has the
        setting's rate (``bench_scale.py scenes`` has them side by side). For "synthetic" start from the data's extremes,
        measure the fit by KL and descend by L-BFGS. ``benchmarks/bench_wahu.py`` and ``bench_converged.py`` print what that
        gains.
    balanced : bool
        False is WaHU without forcing pixels to mass one, see :func:`unbalanced_wahu`.
    blur : float, in the units of the positions (nm), optional
        How far barycenters are blurred, in the place of ``eps``: what :func:`wdl_tutorial.blur_width` says of it.
    gap_price : float, at least 0
        What a gap in the positions, of more than three usual steps, costs to cross, as a multiple of its length: 1 as
        if bands lay there, 0 as if its ends were neighbours. Costs off the gaps stay as they are.
    **changes : any
        Parameters of :class:`wdl_tutorial.WassersteinDictionary`, in the place of the setting's own.

    Returns
    -------
    WassersteinDictionary

    Examples
    --------
    >>> model = wahu(range(200), setting="synthetic")
    >>> model.eps, model.n_atoms
    (0.001, 2)
    """
    if not (isinstance(setting, str) and setting in SETTINGS):
        raise ValueError(f"setting must be one of {', '.join(SETTINGS)}; got {setting!r}.")
    own = SETTINGS[setting]
    x = LineCost(positions).positions  # checked
    if len(x) < 2:
        raise ValueError(f"positions must be at least 2; got {len(x)}: there is nowhere to go on one band.")
    scale = own["largest"] / (x[-1] - x[0]) ** own["power"]
    x = priced_gaps(x, number("gap_price", gap_price, least=0))
    cost = LineCost(x, power=own["power"], scale=scale)
    options = {
        "cost": cost,
        "eps": own["eps"],
        "locality": own["locality"],
        "loss": "wasserstein",
        "n_iter": 50,
        "init": "kmeans++",
        "solver": "adam",
        "learning_rate": 0.1,
        "betas": (0.9, 0.99),
        "schedule": "cosine",
        "max_iter": 140,
        "tol": None,
    }
    if recommended:
        options |= RECOMMENDED[setting]
        if setting == "salinas" and changes.get("solver", "projection") == "projection":
            options |= PROJECTION  # rate, betas and start are those of this solver
    if not balanced:
        options |= UNBALANCED
        price = changes.get("marginal_weight", options["marginal_weight"])
        changes["marginal_weight"] = number("marginal_weight", price, above=0, advice="None is balanced=True.")
    if blur is not None:
        if "eps" in changes:
            raise ValueError(f"eps and blur are two names of one thing; got eps={changes['eps']!r} and blur={blur!r}.")
        options["eps"] = eps_for_blur(number("blur", blur, above=0), options["cost"])
    return WassersteinDictionary(changes.pop("n_atoms", own["n_atoms"]), **(options | changes))


# ----------------------------------------------------------------------------------------------------- unbalanced WaHU


class MassDictionary(NamedTuple):
    """Atoms and barycenters that have a mass of their own."""

    atoms: np.ndarray  # (n_atoms, n_bins), in the units of the data
    weights: np.ndarray  # (n_samples, n_atoms), on the simplex
    reconstruction: np.ndarray  # (n_samples, n_bins)
    loss_curve: list[float]  # the objective at the start and after every step


def unbalanced_wahu(
    X: Any,
    positions: Any,
    n_atoms: int,
    *,
    marginal_weight: float = 1.0,
    loss: str = "kl_reverse",
    setting: str = "salinas",
    atoms: Any = None,
    max_iter: int = 40,
    n_jobs: int | None = None,
) -> MassDictionary:
    """WaHU without forcing pixels to mass one: what Fullenbaum et al. (2024) leave to future work.

    ::

        min over atoms >= 0, weights   mean_i  loss(P_i, x_i),   P_i = unbalanced barycenter (Schmitz et al., Algorithm 6)

    NumPy. Transport that may lose or gain mass, at the price ``marginal_weight``, takes pixels as they are. Two atoms
    of one shape and of masses a and b have barycenters of the mass ``(w_1 sqrt(a) + w_2 sqrt(b))^2`` as eps tends to 0:
    weights speak of brightness too. The first atoms are the brightest and the darkest sample, and the extremes among
    the shapes of the rest. The estimator behind it is ``wahu(positions, balanced=False)``: take that for progress,
    checkpoints, and the weights of other samples.

    Parameters
    ----------
    X : array, shape (n_samples, n_bins)
        Non-negative spectra; only ratios of their masses matter.
    positions : array, shape (n_bins,)
        Increasing: wavelengths in nm, or bins.
    n_atoms : int
    marginal_weight : float, in the units of the cost
        rho; the largest cost is 10 in "salinas", 1 in "synthetic". Mass is changed rather than moved where moving would
        cost more than about twice that.
    loss : {"kl_reverse", "quadratic", "wasserstein"}
        The first two see brightness; "wasserstein" underrates it by what it lets go.
    setting : {"salinas", "synthetic"}
        Cost, eps and inner iterations, as for :func:`wahu`.
    atoms : array, shape (n_atoms, n_bins), optional
        Keep these, and find weights alone.
    max_iter : int
        Steps of L-BFGS.
    n_jobs : int, optional
        Cores to use, as for :class:`wdl_tutorial.WassersteinDictionary`.

    Returns
    -------
    MassDictionary

    Examples
    --------
    >>> x = np.arange(30.0)
    >>> bump = np.exp(-0.5 * ((x - 15) / 3) ** 2)
    >>> found = unbalanced_wahu(bump * np.array([[1.0], [2.0], [3.0], [4.0]]), x, 2, max_iter=20)
    >>> bool(np.allclose(found.reconstruction.sum(1) / bump.sum(), [1, 2, 3, 4], rtol=0.05))
    True
    """
    X = _check_light(X)
    n_atoms = integer("n_atoms", n_atoms, most=len(X), advice="Atoms start as samples.")
    model = wahu(
        positions,
        setting=setting,
        balanced=False,
        n_atoms=n_atoms,
        marginal_weight=marginal_weight,
        loss=loss,
        max_iter=max_iter,
        n_jobs=n_jobs,
    )
    if atoms is None:
        model.fit(X)
        return MassDictionary(model.atoms_, model.weights_, model.inverse_transform(model.weights_), model.loss_curve_)
    atoms = squarable("atoms", real_array("atoms", atoms))
    if atoms.shape != (n_atoms, X.shape[1]) or not (atoms >= 0).all():
        raise ValueError(
            f"atoms must have shape {(n_atoms, X.shape[1])} and nothing negative or NaN; got {atoms.shape}."
        )
    unit = float(X.sum(axis=1).mean())
    model.atoms_, model.mass_ = atoms, unit
    weights = model.transform(X)
    found = wdl_objective(
        X / unit,
        atoms / unit,
        weights,
        model.cost,
        eps=model.eps,
        loss=loss,
        n_iter=model.n_iter,
        marginal_weight=marginal_weight,
        n_jobs=n_jobs,
    )
    return MassDictionary(atoms, weights, found.reconstruction * unit, [found.value])


def _check_light(X: Any) -> np.ndarray:
    """Spectra as floats: finite, not negative, none of them dark."""
    X = to_numpy(as_float(X, name="X")).astype(float)
    if X.ndim != 2 or X.size == 0 or not np.isfinite(X).all() or X.min() < 0 or not X.any(axis=1).all():
        least = f", smallest entry {np.nanmin(X):g}" if X.size and not np.isnan(X).all() else ""
        raise ValueError(
            "X must be (n_samples, n_bins), finite and non-negative, with some light in every row; "
            f"got shape {X.shape}{least}. Lift it by its minimum, and mask dark pixels and NaN."
        )
    return X
