"""LAND against a dense O(n^2) reference, closed forms, Salinas A, and what it says when it cannot answer."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from conftest import assert_close
from scipy import sparse
from scipy.io import loadmat
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_moons
from sklearn.exceptions import NotFittedError

import wdl_tutorial as wt
from wdl_tutorial import diffusion

# ---------------------------------------------------------------------------------------------------------------------
# The reference: every pair of points, every formula as printed, no forest


class Dense:
    """LAND with dense matrices and loops: one line for each line of the paper."""

    def __init__(self, X, *, n_neighbors, n_density_neighbors, n_eigenpairs, bandwidth=None):
        n = len(X)
        D = np.sqrt(((X[:, None] - X[None]) ** 2).sum(-1))
        np.fill_diagonal(D, np.inf)
        scale = np.sqrt(((X - X.mean(0)) ** 2).sum(1)).max()
        near = np.argsort(np.round(D / scale, 12), axis=1, kind="stable")  # by distance, then index
        W = np.zeros((n, n))
        sigma = bandwidth
        if bandwidth == "median":
            sigma = np.median(np.take_along_axis(D, near[:, :n_neighbors], 1))
        for i in range(n):
            for j in near[i, :n_neighbors]:
                W[i, j] = 1.0 if bandwidth is None else np.exp(-((D[i, j] / sigma) ** 2))
        W = (W + W.T) / 2
        self.pi = W.sum(1) / W.sum()
        values, vectors = np.linalg.eigh(W / np.sqrt(np.outer(W.sum(1), W.sum(1))))
        top = np.argsort(-np.abs(values))[:n_eigenpairs]
        self.eigenvalues, self.psi = values[top], vectors[:, top] / np.sqrt(self.pi)[:, None]
        d = np.take_along_axis(D, near[:, :n_density_neighbors], 1)
        self.psi[:, 0] = 1.0  # its differences are zero, not rounding
        p = np.exp(-((d / d.mean()) ** 2)).sum(1)
        self.density = p / p.sum()
        self.order = sorted(range(n), key=lambda i: (-round(p[i] / p.max(), 12), i))

    def at(self, time):
        coordinates = self.psi * np.abs(self.eigenvalues) ** time
        D = np.sqrt(((coordinates[:, None] - coordinates[None]) ** 2).sum(-1))
        rho, parents, order = np.zeros(len(D)), np.full(len(D), -1), self.order
        rho[order[0]] = D[order[0]].max()
        for rank, i in enumerate(order[1:], 1):
            rho[i] = min(D[i, order[:rank]])
            parents[i] = next(j for j in order[:rank] if D[i, j] <= rho[i] + 1e-12 * rho[order[0]])
        scores = self.density * rho
        rounded = np.round(scores / scores.max(), 12)
        queries = sorted(range(len(D)), key=lambda i: (-rounded[i], order.index(i)))
        return D, rho, parents, queries

    def labels(self, D, given):
        """Algorithm 1, lines 7-12, as printed: the nearest of the denser points that have a label."""
        labels = dict(given)
        for rank, i in enumerate(self.order):
            if i not in labels:
                denser = np.array([j for j in self.order[:rank] if j in labels])
                equal = D[i, denser] <= D[i, denser].min() + 1e-12 * D[self.order[0]].max()
                labels[i] = labels[denser[equal][0]]
        return [labels[i] for i in range(len(D))]


def moons():
    X, y = make_moons(300, noise=0.06, random_state=1)
    return X, y, dict(n_neighbors=12, n_density_neighbors=8, n_eigenpairs=10)


def blobs():
    X, y = make_blobs(280, n_features=30, centers=5, cluster_std=6.0, random_state=2)
    return X, y, dict(n_neighbors=25, n_density_neighbors=10, n_eigenpairs=8, bandwidth="median")


def duplicates():
    """A scene of integers in which spectra repeat, some more often than there are neighbours."""
    rng = np.random.default_rng(3)
    base, y = make_blobs(90, n_features=20, centers=4, cluster_std=12.0, random_state=3)
    counts = rng.integers(1, 5, 90)
    counts[[5, 40]] = 24
    shuffled = rng.permutation(counts.sum())
    return (
        np.repeat(np.round(base), counts, axis=0)[shuffled],
        np.repeat(y, counts)[shuffled],
        dict(n_neighbors=20, n_density_neighbors=15, n_eigenpairs=9),
    )


def nearly_disconnected():
    """Two clouds joined by one faint chain: the second eigenvalue is within 1e-3 of one."""
    rng = np.random.default_rng(4)
    chain = np.column_stack([np.linspace(1.5, 10.5, 9), np.zeros(9)])
    X = np.concatenate([rng.normal(0, 0.7, (130, 2)), chain, rng.normal(0, 0.7, (130, 2)) + [12, 0]])
    return X, (X[:, 0] > 6).astype(int), dict(n_neighbors=6, n_density_neighbors=12, n_eigenpairs=7)


def high_dimensional():
    """Enough features that the neighbours come from a matrix product."""
    rng = np.random.default_rng(5)
    y = np.arange(240) % 3
    return (
        0.8 * rng.normal(size=(3, 60))[y] + rng.normal(size=(240, 60)),
        y,
        dict(n_neighbors=30, n_density_neighbors=5, n_eigenpairs=6),
    )


PROBLEMS = [moons, blobs, duplicates, nearly_disconnected, high_dimensional]


@pytest.fixture(scope="module", params=PROBLEMS, ids=lambda make: make.__name__)
def problem(request):
    X, y, options = request.param()
    return X, y, Dense(X, **options), wt.LAND(**options).fit(X)


def test_eigenvalues_and_density_agree_with_the_dense_reference(problem):
    _, _, dense, land = problem
    assert_close(land.eigenvalues_, dense.eigenvalues, atol=1e-10)
    assert_close(land.stationary_, dense.pi, atol=1e-15)
    assert_close(land.density_, dense.density, rtol=1e-11)
    assert land.density_.sum() == pytest.approx(1.0, abs=1e-14)
    assert land.order_.tolist() == dense.order
    assert_close((land.stationary_[:, None] * land.eigenvectors_**2).sum(0), 1.0, atol=1e-12)
    assert_close(land.eigenvectors_[:, 0], 1.0, atol=1e-12)


@pytest.mark.parametrize("time", [0, 1, 7.5, 30, 120])
def test_rho_parents_and_queries_agree_with_the_dense_reference(problem, time):
    _, _, dense, land = problem
    _, rho, parents, queries = dense.at(time)
    land = pickle.loads(pickle.dumps(land)).set_params(time=time)
    assert_close(land.rho_, rho, atol=1e-9)
    assert_close(land.scores_, dense.density * rho, atol=1e-9)
    assert land.parents_.tolist() == parents.tolist()
    assert land.query(40).tolist() == queries[:40]
    assert land.query(3).tolist() == queries[:3]


@pytest.mark.parametrize("time", [1, 30, 120])
@pytest.mark.parametrize("budget", [1, 3, 10, 60])
def test_labels_agree_with_the_algorithm_as_printed(problem, time, budget):
    _, y, dense, land = problem
    D, _, _, queries = dense.at(time)
    given = {i: y[i] for i in queries[:budget]}  # the densest point is always the first query
    assert queries[0] == dense.order[0]
    assert land.set_params(time=time).predict(given).tolist() == dense.labels(D, given)


def test_a_point_without_a_labelled_ancestor_takes_the_nearest_label(problem):
    _, y, dense, land = problem
    D, _, parents, queries = dense.at(30)
    candidates = np.array([i for i in queries if i != dense.order[0]])
    given = {int(i): y[i] for i in land.set_params(time=30).query(6, candidates)}
    found = land.predict(given)
    for i in range(len(D)):
        above = i
        while above not in given and above >= 0:
            above = parents[above]
        if above < 0:
            nearest = min(D[i, j] for j in given)
            above = next(j for j in dense.order if j in given and D[i, j] <= nearest + 1e-12 * D[dense.order[0]].max())
        assert found[i] == given[above]


# ---------------------------------------------------------------------------------------------------------------------
# Neighbours


def reference_neighbors(X, k):
    D = np.sqrt(((X[:, None] - X[None]) ** 2).sum(-1))
    np.fill_diagonal(D, np.inf)
    indices = np.argsort(np.round(D / np.sqrt(((X - X.mean(0)) ** 2).sum(1)).max(), 12), axis=1, kind="stable")[:, :k]
    return np.take_along_axis(D, indices, 1), indices


@pytest.mark.parametrize("n_features", [2, 40])
def test_neighbours_are_the_first_by_distance_and_index_even_among_many_duplicates(n_features):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (300, n_features)) * (np.arange(n_features) < 4) * 1000.0 + 1e4  # 4 or 16 distinct rows
    found = diffusion.nearest_neighbors(X, 5)
    distances, indices = reference_neighbors(X, 5)
    assert found.indices.tolist() == indices.tolist()
    assert_close(found.distances, distances, atol=1e-9)
    assert not (found.indices == np.arange(300)[:, None]).any()


@pytest.mark.parametrize("structure", [10.0, 1.0, 0.0])
def test_cells_find_the_same_neighbours(structure):
    rng = np.random.default_rng(1)
    X = structure * rng.normal(size=(6, 30))[rng.integers(0, 6, 2500)] + rng.normal(size=(2500, 30)) * rng.random(
        (2500, 1)
    )
    X[100:140] = X[7]  # more duplicates than neighbours
    exact = diffusion.nearest_neighbors(X, 20)
    cells = diffusion.nearest_neighbors(X, 20, search="cells", random_state=3)
    assert np.array_equal(exact.indices, cells.indices)
    assert_close(exact.distances, cells.distances, rtol=1e-15)


def test_cells_leave_out_most_of_a_scene():
    rng = np.random.default_rng(2)
    X = 10 * rng.normal(size=(20, 30))[rng.integers(0, 20, 4000)] + rng.normal(size=(4000, 30))
    cells = diffusion._Cells(X - X.mean(0), 20, 0)
    rows = cells.members[0]
    assert set(rows) <= set(cells.pool(rows, 0, 20)[0])
    assert len(cells.pool(rows, 0, 20)[0]) < 1000


# ---------------------------------------------------------------------------------------------------------------------
# Closed forms


def test_the_walk_on_a_ring_has_cosines_for_eigenvalues():
    n = 40
    angle = 2 * np.pi * np.arange(n) / n
    land = wt.LAND(2, 2, n_eigenpairs=7, density_bandwidth=1.0).fit(np.column_stack([np.cos(angle), np.sin(angle)]))
    expected = np.sort(np.abs(np.cos(2 * np.pi * np.arange(n) / n)))[::-1][:7]
    assert_close(np.abs(land.eigenvalues_), expected, atol=1e-12)
    assert_close(land.density_, 1 / n, atol=1e-15)
    assert land.order_.tolist() == list(range(n))  # all equal: by index


def test_with_all_eigenpairs_the_diffusion_distance_is_the_distance_of_walks():
    X = np.random.default_rng(5).normal(size=(30, 3))
    land = wt.LAND(6, 6, n_eigenpairs=29, time=3).fit(X)
    walks = np.array([diffusion.diffuse(land.graph_, i, 3) for i in range(30)])
    expected = np.sqrt((((walks[:, None] - walks[None]) ** 2) / land.stationary_).sum(-1))
    coordinates = diffusion.diffusion_coordinates(land.eigenvalues_, land.eigenvectors_, 3)
    smallest = np.abs(np.linalg.eigvals(land.graph_.toarray() / land.graph_.sum(1)[:, None])).min()
    found = np.sqrt(((coordinates[:, None] - coordinates[None]) ** 2).sum(-1))
    assert_close(found, expected, atol=10 * smallest**3 + 1e-12)  # the one pair left out


def test_a_long_walk_ends_at_the_degrees():
    land = wt.LAND(8, 5, n_eigenpairs=3).fit(moons()[0][:100])
    assert_close(diffusion.diffuse(land.graph_, 0, 20_000), land.stationary_, atol=1e-10)


def test_pieces_of_a_disconnected_graph_keep_their_distance():
    rng = np.random.default_rng(6)
    X = np.concatenate([rng.normal(size=(40, 2)), rng.normal(size=(60, 2)) + 50, rng.normal(size=(50, 2)) - 50])
    with pytest.warns(UserWarning, match=r"3 pieces \(sizes 60, 50, 40\).*Raise n_neighbors"):
        land = wt.LAND(10, 10, n_eigenpairs=6, time=1e6).fit(X)
    assert_close(land.eigenvalues_[:3], 1.0, atol=1e-15)
    assert (land.eigenvalues_[3:] < 1 - 1e-6).all()
    D = land.rho_[land.query(1)[0]]
    share = [land.stationary_[piece].sum() for piece in (slice(0, 40), slice(40, 100), slice(100, 150))]
    own = [slice(0, 40), slice(40, 100), slice(100, 150)]
    top = next(k for k, piece in enumerate(own) if land.order_[0] in range(150)[piece])
    expected = max(np.sqrt(1 / share[top] + 1 / s) for k, s in enumerate(share) if k != top)
    assert D == pytest.approx(expected, rel=1e-12)
    found = land.predict(
        {int(i): [0, 1, 2][next(k for k, s in enumerate(own) if i in range(150)[s])] for i in land.query(3)}
    )
    assert found.tolist() == [0] * 40 + [1] * 60 + [2] * 50


# ---------------------------------------------------------------------------------------------------------------------
# Manners


@pytest.fixture(scope="module")
def fitted():
    X, y, options = moons()
    return X, y, wt.LAND(**options).fit(X)


def test_time_is_read_when_asked(fitted):
    X, _, land = fitted
    land = pickle.loads(pickle.dumps(land))
    before = land.query(20), land.rho_
    land.time = 400
    fresh = wt.LAND(**moons()[2] | {"time": 400}).fit(X)
    assert land.query(20).tolist() == fresh.query(20).tolist() != before[0].tolist()
    assert_close(land.rho_, fresh.rho_, atol=0)
    land.time = 30
    assert land.query(20).tolist() == before[0].tolist()


def test_the_constructor_stores_and_clone_copies():
    land = wt.LAND(n_neighbors="many", time=-1)  # refused by fit, not here
    assert clone(land).get_params() == land.get_params()
    assert land.get_params()["n_neighbors"] == "many"
    defaults = wt.LAND()
    names = ("n_neighbors", "n_density_neighbors", "time", "n_eigenpairs", "bandwidth", "density_bandwidth")
    assert [getattr(defaults, name) for name in names] == [100, 20, 30, 10, None, "mean"]


def test_two_fits_are_the_same(fitted):
    X, _, land = fitted
    again = clone(land).fit(X)
    assert np.array_equal(again.eigenvectors_, land.eigenvectors_)
    assert np.array_equal(again.query(300), land.query(300))


def test_one_search_serves_several_settings(fitted):
    X, _, land = fitted
    near = diffusion.nearest_neighbors(X, 50)
    again = clone(land).fit(X, neighbors=near)
    assert np.array_equal(again.eigenvectors_, land.eigenvectors_)
    assert np.array_equal(again.density_, land.density_)
    with pytest.raises(ValueError, match=r"300 points and at least 60 neighbours of each; got 300 and 50"):
        clone(land).set_params(n_density_neighbors=60).fit(X, neighbors=near)


def test_inputs_are_not_written_to(fitted):
    X = fitted[0].copy()
    X.flags.writeable = False
    queries = wt.LAND(10, 10, n_eigenpairs=3).fit(X).query(3)
    assert np.array_equal(X, fitted[0])
    assert queries.tolist() == wt.LAND(10, 10, n_eigenpairs=3).fit(fitted[0]).query(3).tolist()


def test_any_backend_comes_in_and_numpy_comes_out(xp, fitted):
    X, _, land = fitted
    found = clone(land).fit(xp.array(X))
    assert isinstance(found.density_, np.ndarray)
    assert found.query(50).tolist() == land.query(50).tolist()


def test_candidates_by_index_or_mask(fitted):
    _, _, land = fitted
    mask = np.zeros(300, dtype=bool)
    mask[::3] = True
    by_mask = land.query(25, mask)
    assert by_mask.tolist() == land.query(25, np.flatnonzero(mask)[::-1]).tolist()
    assert by_mask.tolist() == [i for i in land.query(300) if i % 3 == 0][:25]


def test_labels_may_be_words_and_queried_points_keep_theirs(fitted):
    _, y, land = fitted
    words = np.array(["upper moon", "lower"])[y]
    given = {int(i): words[i] for i in land.query(30)}
    found = land.predict(given)
    assert all(found[i] == label for i, label in given.items())
    assert set(found) <= set(words)
    assert land.predict_nearest(given)[land.query(30)].tolist() == list(given.values())


def test_the_nearest_rule_is_the_nearest_in_diffusion_distance(fitted):
    _, _, land = fitted
    asked = np.array([3, 50, 111, 222])
    C = diffusion.diffusion_coordinates(land.eigenvalues_, land.eigenvectors_, 30)
    D = np.linalg.norm(C[:, None] - C[None, asked], axis=-1)
    assert land.predict_nearest({int(i): int(i) for i in asked}).tolist() == asked[D.argmin(1)].tolist()


def test_a_curve_is_the_accuracy_of_each_budget(fitted):
    _, y, land = fitted
    candidates = np.flatnonzero(np.arange(300) % 4 > 0)
    curve = land.curve(y, [2, 10, 225], candidates=candidates)
    by_function = land.curve(lambda i: y[i], [2, 10, 225], candidates=candidates)
    assert_close(curve.accuracy, by_function.accuracy)
    found = land.predict({int(i): y[i] for i in land.query(10, candidates)})
    assert curve.accuracy[1] == np.mean(found[candidates] == y[candidates])
    others = np.setdiff1d(candidates, curve.queries[:10])
    assert curve.accuracy_unqueried[1] == np.mean(found[others] == y[others])
    assert curve.accuracy[2] == 1.0 and np.isnan(curve.accuracy_unqueried[2])
    order = np.random.default_rng(0).permutation(candidates)
    control = land.curve(y, [5], candidates=candidates, queries=order, nearest=True)
    assert control.queries[:5].tolist() == order[:5].tolist()
    found = land.predict_nearest({int(i): y[i] for i in order[:5]})
    assert control.accuracy[0] == np.mean(found[candidates] == y[candidates])


def test_clusters_without_labels():
    X, y, options = high_dimensional()
    land = wt.LAND(**options).fit(X)
    found = land.cluster()
    assert found.n_clusters == 3
    assert len(set(zip(found.labels.tolist(), y.tolist()))) == 3  # the same partition, under other names
    assert found.labels[found.modes].tolist() == [0, 1, 2]
    assert found.modes.tolist() == land.query(3).tolist()
    assert len(np.unique(land.cluster(2).labels)) == 2


def test_merged_duplicates_are_the_fit_on_distinct_rows():
    X, y, options = duplicates()
    merged = wt.LAND(**options, merge_duplicates=True).fit(X)
    nodes = merged.nodes_
    assert np.array_equal(X[nodes][merged.node_of_row_], X)
    assert (np.diff(nodes) > 0).all() and len(np.unique(X, axis=0)) == len(nodes)
    alone = wt.LAND(**options).fit(X[nodes])
    assert merged.order_.tolist() == alone.order_.tolist()
    assert merged.query(20).tolist() == nodes[alone.query(20)].tolist()
    given = merged.query(6)
    found = merged.predict({int(i): y[i] for i in given})
    expected = alone.predict({int(merged.node_of_row_[i]): y[i] for i in given})[merged.node_of_row_]
    assert found.tolist() == expected.tolist()
    assert merged.cluster(3).labels.shape == y.shape


def test_merged_duplicates_ask_for_a_row_that_may_be_asked_for():
    X, _, options = duplicates()
    merged = wt.LAND(**options, merge_duplicates=True).fit(X)
    later = np.setdiff1d(np.arange(len(X)), merged.nodes_)  # no first row of any node
    asked = merged.query(10, later)
    assert np.isin(asked, later).all()
    assert len(np.unique(merged.node_of_row_[asked])) == 10
    twins = np.flatnonzero(merged.node_of_row_ == merged.node_of_row_[later[0]])[:2]
    found = merged.predict({int(twins[0]): 5, int(twins[1]): 6, int(merged.order_[0]): 7})
    assert found[twins].tolist() == [5, 6]  # a labelled row keeps its own label


# ---------------------------------------------------------------------------------------------------------------------
# What it says when it cannot answer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(n_neighbors=300), r"n_neighbors must be between 1 and 299 for 300 points of X, got 300"),
        (dict(n_density_neighbors=0), r"n_density_neighbors must be between 1 and 299"),
        (dict(n_neighbors=10, n_eigenpairs=300), r"n_eigenpairs must be between 1 and 299"),
        (dict(n_neighbors=10, bandwidth="mean"), r"bandwidth must be a number or one of \('median',\)"),
        (dict(n_neighbors=10, density_bandwidth=0.0), r"density_bandwidth=0.0 gives 0, and must be positive"),
        (dict(n_neighbors=10, search="quick"), r"search must be 'exact' or 'cells'; got 'quick'"),
    ],
)
def test_bad_options_are_refused_by_name(fitted, options, message):
    with pytest.raises(ValueError, match=message):
        wt.LAND(**options).fit(fitted[0])


def test_bad_points_are_refused(fitted):
    X = fitted[0].copy()
    X[[17, 40], 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinite values in 2 rows, first in row 17"):
        wt.LAND(10, 10).fit(X)
    with pytest.raises(ValueError, match=r"shape \(n_points, n_features\), got \(2, 3, 4\)"):
        wt.LAND(10, 10).fit(np.zeros((2, 3, 4)))


def test_a_mask_that_would_be_lost_and_a_scene_are_refused(fitted):
    with pytest.raises(TypeError, match="whose mask would be lost"):
        wt.LAND(10, 10).fit(np.ma.masked_less(fitted[0], 0.0))
    with pytest.raises(TypeError, match=r"got a Scene. Use scene.pixels\(\)"):
        wt.LAND(10, 10).fit(wt.datasets.make_teaching_scene())


def test_a_mask_of_integers_is_no_list_of_candidates(fitted):
    _, y, land = fitted
    with pytest.raises(ValueError, match=r"which is a mask: give it as candidates.astype\(bool\)"):
        land.query(3, (y > 0).astype(int))
    with pytest.raises(ValueError, match="candidates is empty"):
        land.query(3, [])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda land, y: land.curve(y, [0, 5]), r"budgets must be integers of at least 1; got \[0, 5\]"),
        (lambda land, y: land.curve(y, [1.5]), "budgets must be integers"),
        (lambda land, y: land.curve(y, []), "budgets must be integers"),
        (lambda land, y: land.curve(y[:50], [5]), "one label per row, 300; got 50"),
        (lambda land, y: land.curve(np.tile(y, 2), [5]), "one label per row, 300; got 600"),
        (lambda land, y: land.curve(y, [2], candidates=[5, 6, 7], queries=[5, 9]), r"1 queries .* row 9"),
    ],
)
def test_a_curve_that_cannot_be_drawn_is_refused(fitted, call, message):
    _, y, land = fitted
    with pytest.raises(ValueError, match=message):
        call(land, y)


def test_weights_that_underflow_are_an_error_and_faint_ones_a_warning(fitted):
    X = np.concatenate([fitted[0], [[60.0, 60.0]]])
    with pytest.raises(FloatingPointError, match=r"underflowed at 1 points \(bandwidth=0.3\).*bandwidth=None"):
        wt.LAND(10, 10, bandwidth=0.3).fit(X)
    with pytest.warns(UserWarning, match=r"1 points have less than 1e-10 of the median degree"):
        wt.LAND(10, 10, bandwidth=12.0, n_eigenpairs=4).fit(X)


def test_more_pieces_than_eigenpairs_is_an_error():
    X = np.repeat(np.arange(5.0) * 100, 12)[:, None] + np.tile(np.arange(12.0), 5)[:, None]
    with pytest.raises(ValueError, match=r"5 pieces .* more than n_eigenpairs=3 can tell apart"):
        wt.LAND(3, 3, n_eigenpairs=3).fit(X)


def test_neighbours_that_are_all_duplicates_are_an_error():
    with pytest.raises(ValueError, match=r"density_bandwidth='mean' gives 0.*merge_duplicates=True"):
        wt.LAND(3, 3, n_eigenpairs=1).fit(np.zeros((10, 2)))


def test_a_walk_that_has_forgotten_everything_says_so(fitted):
    land = pickle.loads(pickle.dumps(fitted[2])).set_params(time=10_000_000)
    with pytest.warns(UserWarning, match=r"all diffusion distances underflow .* Use a smaller time"):
        assert (land.rho_ == 0).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        limit = land.query(5)
    assert limit[0] == land.order_[0] and len(set(limit)) == 5


def test_questions_before_fit_and_out_of_range_are_refused(fitted):
    _, _, land = fitted
    with pytest.raises(NotFittedError):
        wt.LAND().query(3)
    with pytest.raises(NotFittedError):
        wt.LAND().predict({0: 1})
    with pytest.raises(ValueError, match=r"budget must be between 1 and 2 for 2 candidates, got 3"):
        land.query(3, [5, 6])
    with pytest.raises(ValueError, match=r"the rows of labels must be between 0 and 299, got 7 to 300"):
        land.predict({7: 0, 300: 1})
    with pytest.raises(ValueError, match=r"at least one label"):
        land.predict({})
    with pytest.raises(TypeError, match=r"candidates must be integers"):
        land.query(3, [0.5, 1.5, 2.5])
    with pytest.raises(ValueError, match=r"one entry per row, 300; got 4"):
        land.query(1, np.ones(4, dtype=bool))
    for time in (-1, np.nan, np.inf, "long"):
        with pytest.raises(ValueError, match=r"time must be non-negative"):
            clone(land).set_params(time=time).fit(fitted[0]).query(1)


def test_a_graph_may_come_from_elsewhere():
    path = sparse.csr_array(np.diag(np.ones(4), 1) + np.diag(np.ones(4), -1))
    pairs = diffusion.diffusion_pairs(path, 4)
    expected = np.cos(np.pi * np.arange(5) / 4)  # a walk between two walls: 1, cos 45, 0, -cos 45, -1
    assert_close(np.abs(pairs.eigenvalues), np.sort(np.abs(expected))[::-1][:4], atol=1e-12)


# ---------------------------------------------------------------------------------------------------------------------
# Salinas A


@pytest.fixture(scope="module")
def salinas_a():
    import os
    from pathlib import Path

    folder = Path(os.environ.get("WDL_TUTORIAL_DATA", "")) / "salinas-a"
    if not (folder / "SalinasA_corrected.mat").is_file():
        pytest.skip("WDL_TUTORIAL_DATA does not name a folder with Salinas A")
    cube = loadmat(folder / "SalinasA_corrected.mat")["salinasA_corrected"].reshape(-1, 204).astype(float)
    return cube, loadmat(folder / "SalinasA_gt.mat")["salinasA_gt"].ravel()


def test_ten_labels_are_enough_for_salinas_a(salinas_a):
    X, y = salinas_a
    bands = wt.LAND().fit(X / np.linalg.norm(X, axis=0)).curve(y, [10, 100, 2000], candidates=y > 0)
    assert bands.accuracy[0] >= 0.974
    pixels = wt.LAND().fit(X / np.linalg.norm(X, axis=1, keepdims=True)).curve(y, [10, 100, 2000], candidates=y > 0)
    assert pixels.accuracy[0] >= 0.985
    assert min(bands.accuracy[1], pixels.accuracy[1]) > 0.985
    assert min(bands.accuracy[2], pixels.accuracy[2]) > 0.993
    assert (bands.accuracy_unqueried <= bands.accuracy).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: diffusion.neighbor_graph(np.zeros((3, 2))), "neighbors must be a Neighbors; got"),
        (lambda g: diffusion.diffusion_pairs(np.eye(5), 2), "graph must be a square sparse array"),
        (lambda g: diffusion.diffusion_pairs(g, 2, random_state=-1), "random_state must be a non-negative integer"),
        (lambda g: diffusion.diffuse(None, 0, 2), "graph must be a square sparse array"),
        (lambda g: diffusion.diffuse(g, 15, 2), "start must be an integer from 0 to 14; got 15"),
        (lambda g: diffusion.diffuse(g, 0, 2.5), "n_steps must be an integer of at least 0; got 2.5"),
    ],
)
def test_a_walk_on_what_is_no_graph_is_refused_by_name(call, message):
    graph = diffusion.neighbor_graph(diffusion.nearest_neighbors(np.random.default_rng(0).random((15, 2)), 4))
    with pytest.raises((ValueError, TypeError), match=message):
        call(graph)


# -- a million points


def test_every_point_is_stood_for_by_the_nearest_of_those_drawn(rng, monkeypatch):
    monkeypatch.setattr("wdl_tutorial.diffusion.BLOCK", 500)  # so that the points pass by in many blocks
    X = rng.normal(size=(300, 4)) + 1e4  # far from the origin, where |x|^2 + |y|^2 - 2xy has few digits left
    few = diffusion.representatives(X, 40, random_state=1)
    assert len(np.unique(few.rows)) == 40 and few.rows.max() < 300
    gap = ((X[:, None] - X[few.rows][None]) ** 2).sum(axis=2)
    assert np.array_equal(few.nearest, gap.argmin(axis=1))
    assert np.array_equal(diffusion.representatives(X, 40, random_state=1).rows, few.rows)
    assert not np.array_equal(diffusion.representatives(X, 40, random_state=2).rows, few.rows)


def test_a_drawn_point_stands_for_itself_beside_its_copies():
    few = diffusion.representatives(np.ones((5, 2)), 3)
    assert np.array_equal(few.nearest[few.rows], [0, 1, 2])
    assert np.array_equal(diffusion.representatives(np.ones((5, 2)), 9).nearest, np.arange(5))


def test_labels_of_representatives_are_those_of_all_points_where_groups_are_apart(rng):
    truth = rng.integers(3, size=900)
    X = 8.0 * np.eye(3)[truth] + rng.normal(size=(900, 3))
    few = diffusion.representatives(X, 150)
    land = wt.LAND(n_neighbors=15, n_density_neighbors=8).fit(X[few.rows])
    labels = land.predict({int(i): int(truth[few.rows[i]]) for i in land.query(3)})[few.nearest]
    assert (labels == truth).mean() > 0.99


@pytest.mark.parametrize(
    "X, n, message",
    [
        (np.ones(3), 2, "X must be"),
        (np.ones((3, 2)), 0, "n must be an integer of at least 1"),
        (np.where(np.arange(6) == 3, np.nan, 1.0).reshape(3, 2), 2, "X holds NaN or infinite values"),
    ],
)
def test_points_that_cannot_be_stood_for_are_refused(X, n, message):
    with pytest.raises(ValueError, match=message):
        diffusion.representatives(X, n)
