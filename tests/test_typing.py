"""What a type checker sees of the package: py.typed promises that the public names are those that are there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import wdl_tutorial as wt
from wdl_tutorial import _LAZY, _MODULES, deep, widgets

pytest.importorskip("mypy")

SCRIPT = """
import wdl_tutorial as wt

wt.LAND, wt.WassersteinDictionary, wt.unmix, wt.deep, wt.metrics.rmse, wt.widgets.TwoPeaks
wt.barycenterr
wt.metrics.foo
wt.WassersteinDictionary(2, cost=wt.GridCost(3), eps=0.1, n_itr=3)
wt.LAND(n_neighbours=3)
wt.sinkhorn([1.0], [1.0], "squared", eps=0.1)
wt.sinkhorn([1.0], [1.0], wt.GridCost(1), eps=0.1).plan
wt.gibbs_kernel(wt.cost_matrix([0.0, 1.0]), 0.1).multiply
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> str:
    script = tmp_path_factory.mktemp("typing") / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", "", "--ignore-missing-imports", "--follow-imports=silent"]
    run = subprocess.run(
        [*command, "--cache-dir", str(script.parent / "cache"), str(script)], capture_output=True, text=True
    )
    return run.stdout + run.stderr


def test_a_misspelt_function_is_rejected(told):
    assert 'Module has no attribute "barycenterr"' in told


def test_a_misspelt_metric_is_rejected(told):
    assert 'Module has no attribute "foo"' in told


def test_a_misspelt_option_of_an_estimator_is_rejected(told):
    assert 'Unexpected keyword argument "n_itr" for "WassersteinDictionary"' in told
    assert 'Unexpected keyword argument "n_neighbours" for "LAND"' in told


def test_what_is_no_cost_is_rejected(told):
    assert 'incompatible type "str"; expected "Cost"' in told


def test_a_kernel_has_no_other_methods_than_those_of_its_protocol(told):
    assert '"Kernel" has no attribute "multiply"' in told


def test_the_names_that_are_loaded_late_are_known(told):
    assert "Found 6 errors" in told, told


def test_an_editor_completes_the_parameters_of_an_estimator():
    jedi = pytest.importorskip("jedi")
    begun = jedi.Script("import wdl_tutorial as wt\nwt.WassersteinDictionary(")
    (signature,) = begun.get_signatures(2, len("wt.WassersteinDictionary("))
    names = [parameter.name for parameter in signature.params]
    assert names[:4] == ["n_atoms", "cost", "eps", "loss"] and {"n_iter", "locality", "random_state"} <= set(names)


def test_an_editor_completes_the_names_that_are_loaded_late():
    jedi = pytest.importorskip("jedi")
    names = {
        name.name for name in jedi.Script("import wdl_tutorial as wt\nwt.metrics.").complete(2, len("wt.metrics."))
    }
    assert {"rmse", "spectral_angle", "match_endmembers"} <= names


def test_each_late_name_stands_beside_its_import_for_checkers():
    for module, names in ((wt, {*_LAZY, *_MODULES}), (widgets, widgets._LAZY), (deep, deep._LAZY)):
        text = open(module.__file__, encoding="utf-8").read().split("if TYPE_CHECKING:")[1]
        assert [name for name in names if f"{name} as {name}" not in text] == []
