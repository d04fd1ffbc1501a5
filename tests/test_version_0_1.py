"""What version 0.1 left behind still works: its files load, its checkpoints go on, its scripts run, to the same numbers.

The fixtures were made by 0.1.0 itself (``tests/fixtures/v0_1/make.py``). Tolerances: what an exact number of steps gives
moves by rounding only; a descent carries rounding on, and networks in float32 carry more of it.
"""

from __future__ import annotations

import importlib
import json
import runpy
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import wdl_tutorial as wt

HERE = Path(__file__).parent / "fixtures" / "v0_1"
sys.path.insert(0, str(HERE))
import problem  # noqa: E402

sys.path.pop(0)

FOUND = dict(np.load(HERE / "found.npz"))
SCRIPTS = json.loads((HERE / "scripts.json").read_text())
NAMES = json.loads((HERE / "names.json").read_text())


@pytest.mark.parametrize("kind", ["dictionary", "dictionary_line"])
def test_a_saved_fit_loads_and_answers_as_it_did(kind):
    model = wt.WassersteinDictionary.load(HERE / f"{kind}.npz")
    np.testing.assert_array_equal(model.atoms_, FOUND[f"{kind}_atoms"])
    np.testing.assert_array_equal(model.weights_, FOUND[f"{kind}_weights"])
    np.testing.assert_allclose(model.loss_curve_, FOUND[f"{kind}_curve"], rtol=0)
    # where gradients of W_eps after 15 iterations lead no further depends on the way: elsewhere perhaps, but not higher
    X, here, then = problem.bumps(), model.transform(problem.bumps()), FOUND[f"{kind}_transform"]
    np.testing.assert_allclose(here, then, atol=2e-4 if kind == "dictionary" else 0.05)
    options = {
        name: getattr(model, name) for name in ("eps", "loss", "n_iter", "locality", "marginal_weight", "domain")
    }
    new, old = (wt.wdl_objective(X, model.atoms_, w, model.cost, **options).value for w in (here, then))
    assert new <= old + 1e-6 * abs(old)
    assert model.interrupted_ is False and model.n_features_in_ == problem.N_BINS


@pytest.mark.parametrize("kind", ["dictionary", "dictionary_line"])
def test_a_fit_gives_what_it_gave(kind):
    model = problem.model(kind).fit(problem.bumps())
    np.testing.assert_allclose(model.loss_curve_, FOUND[f"{kind}_curve"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(model.atoms_, FOUND[f"{kind}_atoms"], atol=1e-6)


@pytest.mark.parametrize("kind", problem.CHECKPOINTS)
def test_a_checkpoint_goes_on_and_ends_where_the_whole_fit_ended(kind, tmp_path):
    kept = tmp_path / "kept.npz"
    shutil.copy(HERE / f"{kind}.npz", kept)
    steps = []
    model = problem.model(kind, checkpoint=kept, callback=lambda t, *_: steps.append(t)).fit(problem.bumps())
    assert steps[0] > 1, "it began afresh"
    np.testing.assert_allclose(model.loss_curve_, FOUND[f"{kind}_curve"], rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(model.loss_, FOUND[f"{kind}_loss"], rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(model.atoms_, FOUND[f"{kind}_atoms"], atol=1e-6)


def test_a_checkpoint_of_an_id_net_goes_on(one_thread):
    model = problem.idnet()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wt.ConvergenceWarning)
        model.fit(problem.pixels(), resume=HERE / "idnet.pt")
    np.testing.assert_allclose(model.loss_curve_, FOUND["idnet_curve"], rtol=1e-4)
    np.testing.assert_array_equal(model.loss_curve_[:3], FOUND["idnet_curve"][:3])  # those were not done again
    np.testing.assert_allclose(model.abundances_, FOUND["idnet_abundances"], atol=1e-3)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_runs_to_the_same_numbers(script, one_thread):
    with warnings.catch_warnings():
        found = runpy.run_path(str(HERE / "scripts" / f"{script}.py"))["RESULTS"]
    assert set(found) == set(SCRIPTS[script])
    for name, value in SCRIPTS[script].items():
        same(found[name], value, f"{script}: {name}", LOOSE.get((script, name), 1e-6))


# Where a number is the end of a descent whose way is not promised.
NETWORKS = ("vae", "idnet", "code", "back", "abundances", "reconstruct")
LOOSE = {
    ("unmixing", "unbalanced"): 0.05,
    ("unmixing", "wahu"): 0.01,  # the weights of transform are found to its tol, now on another way
    ("dictionary", "weights"): 1e-3,
    ("dictionary", "score"): 1e-4,
    ("transport", "debiased"): 1e-4,
} | {("networks", name): 1e-3 for name in NETWORKS}


def same(found, value, where: str, rtol: float) -> None:
    if isinstance(value, dict):
        assert set(value) <= set(found), where
        for key, held in value.items():
            same(found[key], held, f"{where}.{key}", rtol)
    elif isinstance(value, list) and value and isinstance(value[0], str):
        assert set(value) <= set(found), where  # more may come
    elif isinstance(value, bool):
        assert found is value or found == value, where
    else:
        np.testing.assert_allclose(found, value, rtol=rtol, atol=1e-8, err_msg=where)


@pytest.mark.parametrize("path", NAMES)
def test_every_promised_name_is_where_it_was(path):
    if path.startswith("wdl_tutorial.deep"):
        pytest.importorskip("torch")
    if path.startswith("wdl_tutorial.widgets"):
        pytest.importorskip("anywidget")
    module = importlib.import_module(path)
    assert [name for name in NAMES[path] if not hasattr(module, name)] == []
