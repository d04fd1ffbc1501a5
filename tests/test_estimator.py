"""The dictionary among scikit-learn's estimators: names, seeds, weights, files, checkpoints, Ctrl-C."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

import wdl_tutorial as wt
from wdl_tutorial import WassersteinDictionary, initialise, statefiles

N = 12
X = wt.normalize(np.exp(-0.5 * ((np.arange(N) - np.linspace(2, 9, 8)[:, None]) / 1.5) ** 2) + 1e-3)
COST = wt.GridCost(N, spacing=1 / N)
HERE = Path(__file__).parent / "fixtures" / "v0_1"


def model(**changes) -> WassersteinDictionary:
    own = {"cost": COST, "eps": 0.02, "n_iter": 5, "max_iter": 4, "tol": None, "random_state": 0, "n_jobs": 1}
    return WassersteinDictionary(2, **(own | changes))


# -- names of columns


def frame(kind="float64"):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(X, columns=[f"bin {k}" for k in range(N)], index=[f"s{k}" for k in range(8)]).astype(kind)


@pytest.mark.parametrize("kind", ["float64", "Float64"])
def test_a_data_frame_comes_in_with_names_and_goes_out_with_names(kind):
    found, bare = model().fit(frame(kind)), model().fit(X)
    assert np.array_equal(found.atoms_, bare.atoms_)
    assert list(found.feature_names_in_) == list(frame().columns) and not hasattr(bare, "feature_names_in_")
    assert list(found.get_feature_names_out()) == ["wassersteindictionary0", "wassersteindictionary1"]
    out = found.set_output(transform="pandas").transform(frame(kind))
    assert list(out.columns) == list(found.get_feature_names_out()) and list(out.index) == list(frame().index)
    assert np.array_equal(out.to_numpy(), bare.transform(X))


def test_shuffled_columns_are_refused_where_weights_moved_in_silence(tmp_path):
    found = model().fit(frame())
    shuffled = frame()[list(frame().columns[::-1])]
    found.save(tmp_path / "model.npz")
    for held in (found, WassersteinDictionary.load(tmp_path / "model.npz")):
        with pytest.raises(ValueError, match="feature names should match those that were passed during fit"):
            held.transform(shuffled)
        with pytest.raises(ValueError, match="feature names should match"):
            held.score(shuffled)


def test_tags_say_what_x_may_be_and_complex_data_are_refused_as_scikit_learn_wants():
    assert model().__sklearn_tags__().input_tags.positive_only
    with pytest.raises(ValueError, match="Complex data not supported"):
        model().fit(X + 0j)


# -- seeds and weights


def test_every_kind_of_seed_repeats_and_generators_move_on():
    for make in (lambda: 3, lambda: np.random.default_rng(3), lambda: np.random.RandomState(3)):
        first, again = (model(random_state=make(), init="random").fit(X).atoms_ for _ in range(2))
        assert np.array_equal(first, again)
    moving = np.random.RandomState(3)
    first, again = (model(random_state=moving, init="random").fit(X).atoms_ for _ in range(2))
    assert not np.array_equal(first, again)


@pytest.mark.parametrize("init", ["kmeans++", "data", "extremes"])
def test_a_sample_of_no_weight_is_never_a_first_atom(init):
    ruler = initialise.Ruler(COST, 0.02, 5)
    importance = np.r_[0.0, np.ones(6), 0.0] / 6
    for seed in range(20):
        atoms = initialise.first_atoms(init, X, 3, np.random.default_rng(seed), ruler, importance)
        rows = [int(np.abs(X - atom).sum(1).argmin()) for atom in atoms]
        assert not {0, 7} & set(rows) and len(set(rows)) == 3
    some = initialise.first_atoms(init, X, 7, np.random.default_rng(0), ruler, importance)  # more than have weight
    assert some.shape == (7, N)
    even = initialise.first_atoms(init, X, 3, np.random.default_rng(1), ruler, np.full(8, 1 / 8))
    assert np.array_equal(even, initialise.first_atoms(init, X, 3, np.random.default_rng(1), ruler))


def test_heavy_samples_are_drawn_more_often():
    importance = np.r_[np.full(4, 9.0), np.full(4, 1.0)] / 40
    ruler = initialise.Ruler(COST, 0.02, 5)
    rng = np.random.default_rng(0)
    drawn = [initialise.first_atoms("data", X, 1, rng, ruler, importance)[0] for _ in range(200)]
    heavy = np.mean([np.abs(X - atom).sum(1).argmin() < 4 for atom in drawn])
    assert heavy == pytest.approx(0.9, abs=0.07)


def test_a_search_over_eps_by_the_error_of_the_docstring_takes_the_eps_that_rebuilds_best():
    def error(fitted, X, y=None):
        return -((X - fitted.inverse_transform(fitted.transform(X))) ** 2).sum()

    search = {"eps": [0.005, 0.5]}
    every = [(np.arange(8), np.arange(8))]
    own = GridSearchCV(model(loss="wasserstein", init="extremes"), search, cv=every).fit(X)
    told = GridSearchCV(model(loss="wasserstein", init="extremes"), search, cv=every, scoring=error).fit(X)
    assert told.best_params_ == {"eps": 0.005}
    assert own.best_params_ == {"eps": 0.5}  # what the docstring of score warns of


# -- files


def changed(path, change):
    with np.load(path) as file:
        arrays = dict(file)
    held = json.loads(str(arrays["text"]))
    change(held, arrays)
    np.savez(path, **(arrays | {"text": np.asarray(json.dumps(held))}))


CHANGES = {
    "transform": lambda held, arrays: held["results"]["dict"].update(transform=3),
    "__dict__": lambda held, arrays: held["results"]["dict"].update(__dict__={"dict": {}}),
    "a setting": lambda held, arrays: held["settings"]["dict"].update(shine=3),
    "no atoms": lambda held, arrays: held["results"]["dict"].pop("atoms_"),
    "no settings": lambda held, arrays: held.update(settings=3),
    "no results": lambda held, arrays: held.pop("results"),
    "lost array": lambda held, arrays: arrays.pop("array_0"),
    "other shape": lambda held, arrays: arrays.update(array_0=arrays["array_0"][:, 1:]),
    "text for atoms": lambda held, arrays: held["results"]["dict"].update(atoms_="many"),
    "text for losses": lambda held, arrays: held["results"]["dict"].update(loss_curve_={"list": ["a"]}),
    "two kinds": lambda held, arrays: held["results"].update(list=[]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_with_odd_contents_is_one_error_that_names_it(tmp_path, change):
    path = tmp_path / "odd.npz"
    model().fit(X).save(path)
    changed(path, CHANGES[change])
    with pytest.raises(ValueError, match=r"odd\.npz is no saved WassersteinDictionary, or is damaged"):
        WassersteinDictionary.load(path)


def test_a_setting_that_came_later_does_not_orphan_a_checkpoint(tmp_path):
    import sys

    sys.path.insert(0, str(HERE))
    try:
        import problem
    finally:
        sys.path.pop(0)

    class Later(WassersteinDictionary):
        def __init__(self, n_atoms, *, cost, eps, shine=None, **options):
            super().__init__(n_atoms, cost=cost, eps=eps, **options)
            self.shine = shine

        @classmethod
        def _get_param_names(cls):
            return sorted([*WassersteinDictionary._get_param_names(), "shine"])

    kept = tmp_path / "kept.npz"
    shutil.copy(HERE / "lbfgs.npz", kept)
    steps = []
    settings = problem.model("lbfgs").get_params() | {"checkpoint": kept, "callback": lambda t, *_: steps.append(t)}
    Later(**settings).fit(problem.bumps())
    assert steps[0] > 1  # it went on
    shutil.copy(HERE / "lbfgs.npz", kept)
    with pytest.raises(ValueError, match="belongs to other data or settings"):
        Later(shine=2, **settings).fit(problem.bumps())


# -- checkpoints


def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    steps = []
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        model(checkpoint=tmp_path / "missing" / "c.npz", callback=lambda *now: steps.append(1)).fit(X)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        model(checkpoint=tmp_path, callback=lambda *now: steps.append(1)).fit(X)
    assert steps == []


def test_a_disk_that_fills_up_amid_a_fit_is_a_warning_and_the_fit_ends_as_it_would_have(tmp_path, monkeypatch):
    plain, calls = np.savez, []

    def filling(file, **arrays):
        calls.append(1)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(file, **arrays)

    monkeypatch.setattr(statefiles.np, "savez", filling)
    path = tmp_path / "c.npz"
    with pytest.warns(UserWarning, match=r"the fit goes on without it.*c\.npz was not written: No space left") as told:
        found = model(checkpoint=path, checkpoint_every=1).fit(X)
    assert all(w.filename == __file__ for w in told)
    monkeypatch.undo()
    assert np.array_equal(found.atoms_, model().fit(X).atoms_) and len(calls) == 5
    assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]
    assert np.array_equal(model(checkpoint=path).fit(X).atoms_, found.atoms_)  # the first of them is whole


# -- Ctrl-C and errors


def press(when):
    def callback(t, *now):
        if t == when:
            raise KeyboardInterrupt

    return callback


def test_ctrl_c_before_anything_was_evaluated_is_passed_on_and_nothing_looks_fitted(monkeypatch):
    def pressed(*args, **options):
        raise KeyboardInterrupt

    found = model()
    with monkeypatch.context() as patch:
        patch.setattr(initialise, "distances", pressed)
        with pytest.raises(KeyboardInterrupt):
            found.fit(X)
    assert [name for name in vars(found) if name.endswith("_")] == []
    with pytest.raises(NotFittedError):
        found.transform(X)
    before = found.fit(X).atoms_
    with monkeypatch.context() as patch:
        patch.setattr(initialise, "distances", pressed)
        with pytest.raises(KeyboardInterrupt):
            found.fit(X[:4])
    assert found.atoms_ is before and found.weights_.shape == (8, 2) and found.interrupted_ is False


def test_ctrl_c_later_marks_what_is_kept():
    with pytest.warns(wt.ConvergenceWarning, match="interrupted after 3 evaluated steps") as told:
        found = model(callback=press(2)).fit(X)
    assert found.interrupted_ is True and len(found.loss_curve_) == 3 and told[0].filename == __file__
    assert clone(found).set_params(callback=None).fit(X).interrupted_ is False


def test_an_error_before_the_first_evaluation_keeps_the_old_fit():
    found = model().fit(X)
    before = found.atoms_
    with pytest.raises(ValueError, match="init_weights must have shape"):
        found.set_params(init_weights=np.ones((3, 2)) / 2).fit(X)
    assert found.atoms_ is before and found.loss_ == model().fit(X).loss_


def test_the_bar_of_a_fit_that_settles_early_ends_full(capsys):
    found = model(tol=0.5, max_iter=500, verbose=True).fit(X)
    assert found.converged_ and found.n_iter_ < 50
    last = capsys.readouterr().err.split("\r")[-1]
    assert "100%" in last and f"{found.n_iter_}/{found.n_iter_}" in last
