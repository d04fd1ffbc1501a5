"""Fig. 15 of Schmitz et al. (2018): histograms with two modes, three atoms, and every mode counted.

A mode is a local maximum with a prominence of a tenth of the highest. ``count`` asks ever milder questions of each sample:

    placed   a mode of the reconstruction within one standard deviation of every mode of the data, and no other mode
    thirds   as many modes in each third of the axis as the data have
    number   as many modes as the data have
    parts    modes in the same thirds as the data, however many
    middle   at least a mode in the middle third, where no sample has any (the fewer the better)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import find_peaks

from .. import GridCost, WassersteinDictionary

EPS, RHO, N_ITER = 7.0, 20.0, 100
STARTS = (("extremes", "near"), ("uniform", "random"), ("kmeans++", "random"), ("data", "random"))  # atoms, weights


def modes(h: np.ndarray, prominence: float = 0.1) -> np.ndarray:
    """Bins of the local maxima that stand out by a tenth of the highest; those on the edge count."""
    return find_peaks(np.concatenate([[0.0], h, [0.0]]), prominence=prominence * h.max())[0] - 1


def near(some: np.ndarray, others: np.ndarray, tolerance: float) -> bool:
    """Is every one of ``some`` within ``tolerance`` of one of ``others``?"""
    return bool((np.abs(some[:, None] - others) <= tolerance).any(axis=1).all())


def count(X: np.ndarray, R: np.ndarray, tolerance: float) -> dict[str, int]:
    """How many samples pass each question of the module's docstring."""
    third = X.shape[1] // 3
    found = {"placed": 0, "thirds": 0, "number": 0, "parts": 0, "middle": 0}
    for x, r in zip(X, R):
        there, here = modes(x), modes(r)
        found["placed"] += near(there, here, tolerance) and near(here, there, tolerance)
        thirds, ours = (np.bincount(m // third, minlength=3) for m in (there, here))
        found["thirds"] += np.array_equal(thirds, ours)
        found["number"] += len(there) == len(here)
        found["parts"] += set(there // third) == set(here // third)
        found["middle"] += 1 in here // third
    return {name: int(n) for name, n in found.items()}


def fit(X: np.ndarray, marginal_weight: float | None, start: int, steps: int) -> tuple[float, np.ndarray, str]:
    """The loss as a share of that of an empty reconstruction, the reconstructions, and the domain."""
    atoms, weights = STARTS[start % len(STARTS)]
    options: dict[str, Any] = {"n_iter": N_ITER, "loss": "quadratic", "max_iter": steps, "tol": None, "n_jobs": 1}
    model = WassersteinDictionary(
        3, cost=GridCost(X.shape[1]), eps=EPS, marginal_weight=marginal_weight, init=atoms,
        init_weights=weights, random_state=start, **options,
    ).fit(X)  # fmt: skip
    return model.loss_ / (X**2).sum(axis=1).mean(), model.inverse_transform(model.weights_), model.domain_
