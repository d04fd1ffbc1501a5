"""The wheel, built from the tree and installed away from it: NumPy, SciPy and array-api-compat are enough for it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import wdl_tutorial

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ["numpy", "scipy", "array-api-compat"]  # all that an import may load

REPORT = """
import json, sys
import wdl_tutorial as wt
heavy = {"sklearn", "matplotlib", "torch", "anywidget", "ipywidgets", "dask", "joblib", "pooch", "tqdm", "ot", "pandas"}
names = {name.split(".")[0] for name in sys.modules}
print(json.dumps({"file": wt.__file__, "version": wt.__version__, "heavy": sorted(heavy & names)}))
"""

CHAPTER_ONE = """
import numpy as np
import wdl_tutorial as wt
x = np.arange(200.0)
atoms = wt.normalize(np.exp(-0.5 * ((x - np.array([[50.0], [130.0]])) / np.array([[5.0], [10.0]])) ** 2))
weights = np.array([0.5, 0.5])
cost = wt.cost_matrix(x / 199.0)
bary = wt.barycenter(atoms, weights, cost, eps=1e-3).histogram
mean = wt.linear_mixture(atoms, weights)
def peaks(p):
    return int(np.sum((p[1:-1] > p[:-2]) & (p[1:-1] > p[2:]) & (p[1:-1] > 0.1 * p.max())))
print(peaks(mean), peaks(bary), round(float(bary @ x), 1))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the tree, built in a copy so that nothing is left behind."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "wdl_tutorial", tree / "wdl_tutorial", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ["pyproject.toml", "README.md", "LICENSE", "LICENSE-text"]:
        shutil.copy(ROOT / name, tree / name)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
    run = subprocess.run([*build, "-w", str(tree / "out"), str(tree)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    return next((tree / "out").glob("*.whl"))


@pytest.fixture(scope="module")
def away(wheel, tmp_path_factory):
    """Run code in a new environment that holds the wheel and the three packages it may load, and nothing else."""
    home = tmp_path_factory.mktemp("away")
    venv.create(home / "env", with_pip=False)
    python = home / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    run = subprocess.run([*install, str(wheel)], capture_output=True, text=True, cwd=home, env=clean)
    assert run.returncode == 0, run.stderr[-2000:]
    site = next((home / "env").rglob("site-packages"))
    for name in NEEDED:
        link_distribution(name, site)

    def execute(code: str) -> str:
        done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, cwd=home, env=clean)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return execute


def link_distribution(name: str, site: Path) -> None:
    """Make one installed distribution, without its dependencies, importable from ``site``."""
    distribution = importlib.metadata.distribution(name)
    tops = {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}
    for top in tops:
        source = Path(distribution.locate_file(top)).resolve()
        if source.exists() and not (site / top).exists():
            (site / top).symlink_to(source)


def test_import_loads_neither_scikit_learn_nor_matplotlib_nor_torch(away):
    report = json.loads(away(REPORT))
    assert report["heavy"] == []
    assert str(ROOT) not in report["file"]
    assert report["version"] == wdl_tutorial.__version__


def test_the_wheel_runs_the_first_chapter_away_from_the_repository(away):
    linear, moved, middle = away(CHAPTER_ONE).split()
    assert (linear, moved) == ("2", "1")
    assert float(middle) == pytest.approx(90.0, abs=0.5)  # W2 between Gaussians averages the means


def test_the_wheel_carries_types_widgets_and_licences(wheel):
    import zipfile

    names = zipfile.ZipFile(wheel).namelist()
    assert "wdl_tutorial/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    for source in (ROOT / "wdl_tutorial").rglob("*"):
        if source.suffix in {".py", ".js", ".css", ".npz"}:
            assert str(source.relative_to(ROOT).as_posix()) in names
