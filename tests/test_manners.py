"""Manners that every door of the package shares: who is warned, what is interrupted, what seeds mean, what is promised."""

from __future__ import annotations

import contextlib
import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import wdl_tutorial as wt

PACKAGE = Path(wt.__file__).parent
X = np.arange(12.0)
BUMPS = wt.normalize(np.exp(-0.5 * ((X - np.array([[2.0], [4.0], [6.0], [8.0], [10.0]])) / 1.5) ** 2) + 1e-4)
COST = wt.GridCost(12, spacing=1 / 12)
FAINT = np.array([[0.5, 0.5, 0.5], [0.4, 0.6, 0.2]])


def model(**changes):
    return wt.WassersteinDictionary(2, cost=COST, eps=0.01, n_iter=5, max_iter=2, random_state=0, **changes)


def narrow():
    """float32, and atoms so far apart that their potentials leave it two digits, and their gradients none."""
    ends = wt.normalize(np.exp(-0.5 * ((X - np.array([[1.0], [10.0]])) / 0.3) ** 2).astype(np.float32))
    return np.repeat(ends, 3, axis=0), ends, np.full((6, 2), 0.5, np.float32), wt.LineCost(X, power=1)


# ------------------------------------------------------------------------------------------------------ who is warned

DOORS = {
    "sinkhorn": lambda: wt.sinkhorn(BUMPS[0], BUMPS[4], COST, eps=0.01, max_iter=3),
    "sinkhorn_divergence": lambda: wt.sinkhorn_divergence(BUMPS[0], BUMPS[4], COST, eps=0.01, max_iter=3),
    "barycenter": lambda: wt.barycenter(BUMPS[:2], [0.5, 0.5], COST, eps=0.01, max_iter=3),
    "wdl_objective": lambda: wt.wdl_objective(*narrow(), eps=2e-5, loss="wasserstein", n_iter=3, domain="log", n_jobs=1),
    "wdl_objective in threads": lambda: wt.wdl_objective(
        *narrow(), eps=2e-5, loss="wasserstein", n_iter=3, domain="log", n_jobs=2, chunk_size=2
    ),
    "fit": lambda: model(tol=1e-12).fit(BUMPS),
    "fit_transform": lambda: model(tol=1e-12).fit_transform(BUMPS),
    "transform": lambda: model(tol=None).fit(BUMPS).transform(BUMPS, tol=0.0, max_iter=3),
    "score": lambda: model(tol=None).fit(BUMPS).score(BUMPS, tol=0.0, max_iter=3),
    "nmf": lambda: wt.linear.nmf(np.random.default_rng(0).random((30, 6)), 3, max_iter=2, random_state=0),
    "nnls": lambda: wt.linear.nnls(np.zeros((2, 3)), FAINT, normalize=True),
    "LAND": lambda: wt.LAND(n_neighbors=4, n_density_neighbors=3).fit(np.r_[np.eye(8), 100 + np.eye(8)] @ np.eye(8)[:, :3]),
    "unmix": lambda: wt.unmix(np.random.default_rng(0).random((4, 5, 6)), "nmf", 3, max_iter=2),
    "compare": lambda: wt.compare(np.random.default_rng(0).random((4, 5, 6)), {"nmf": {"max_iter": 2}}, 3),
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_a_warning_names_the_line_of_the_caller_and_is_made_once_for_it(door):
    call = DOORS[door]
    lines, first = inspect.getsourcelines(call)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with contextlib.suppress(FloatingPointError):
            call()
    assert caught, "this call was to warn"
    assert {w.filename for w in caught} == {__file__}
    assert all(first <= w.lineno < first + len(lines) for w in caught)


def test_there_is_one_way_to_warn():
    found = {
        path.name for path in PACKAGE.rglob("*.py") if re.search(r"warnings\.warn|stacklevel", path.read_text("utf-8"))
    }
    assert found == {"iterate.py"}
