"""The doctor names what is missing, old, broken or wrong, with its remedy, and asks no network."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import pytest

from wdl_tutorial import __version__, doctor
from wdl_tutorial.doctor import FAIL, OK, WARN, Check, guarded
from wdl_tutorial.widgets import source

PROJECT = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ALONE = [doctor.python, doctor.gradient, doctor.memory, doctor.speed, doctor.threads, doctor.scenes]
ALONE += [doctor.embedded_data, doctor.sliders, doctor.notebooks, doctor.book]


def lay_down(folder: Path, name: str, version: str, *headers: str) -> None:
    """The metadata of an installed distribution, as pip leaves it in a folder of sys.path."""
    place = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    place.mkdir()
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *headers]
    (place / "METADATA").write_text("\n".join(lines) + "\n")


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder of installed packages, ahead of all others."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def install(site):
    """Install wdl_tutorial, as far as its metadata go, with what it needs and with the extras given."""

    def put(*needs: str, version: str = __version__, python: str = ">=3.11", **extras: list[str]) -> None:
        lines = [f"Requires-Python: {python}", *(f"Requires-Dist: {need}" for need in needs)]
        for extra, packages in extras.items():
            lines += [f"Provides-Extra: {extra}"]
            lines += [f'Requires-Dist: {package}; extra == "{extra}"' for package in packages]
        lay_down(site, "wdl-tutorial", version, *lines)

    return put


@pytest.fixture
def as_released(install):
    """The metadata that a build of this tree has."""
    install(*PROJECT["dependencies"], python=PROJECT["requires-python"], **PROJECT["optional-dependencies"])


def test_what_is_needed_is_read_from_the_metadata(as_released):
    found = doctor.installed()
    assert [str(r) for r in doctor.requirements(found)] == PROJECT["dependencies"]
    for name in ("book", "deep", "io", "gpu", "scale"):
        names = [requirement.name for requirement in doctor.requirements(found, name)]
        assert names == [str(need).split(">")[0].split("=")[0].split("[")[0] for need in
                         PROJECT["optional-dependencies"][name]]  # fmt: skip


def test_a_complete_installation_passes_with_its_versions(install):
    install("numpy>=2.0", "scikit-learn>=1.6")
    check = doctor.packages()
    assert check.verdict == OK and check.remedy == ""
    assert f"numpy {np.__version__}" in check.seen and "scikit-learn 1." in check.seen


def test_a_missing_package_is_named_with_the_line_that_installs_it(install):
    install("numpy>=2.0", "no-such-package>=1.5,<2")
    check = doctor.packages()
    assert check.verdict == FAIL and "missing: no-such-package" in check.seen
    assert check.remedy == 'python -m pip install "no-such-package<2,>=1.5"'


def test_a_version_that_is_too_old_is_named_with_the_bound(install, site):
    lay_down(site, "scipy", "1.2.0")
    install("numpy>=2.0", "scipy>=1.13")
    check = doctor.packages()
    assert check.verdict == FAIL and "wrong version: scipy 1.2.0 (needs >=1.13)" in check.seen
    assert check.remedy == 'python -m pip install "scipy>=1.13"'


@pytest.mark.parametrize(
    ("extra", "need", "code", "verdict", "seen", "options"),
    [
        ("deep", "torn>=2", "raise OSError('a DLL is missing')", FAIL,
         "broken: torn 3.0 (OSError: a DLL is missing)", "--force-reinstall "),
        ("scale", "half[other]>=2", "import no_such_other_half", OK,
         "missing: no_such_other_half, for half 3.0", ""),
    ],
)  # fmt: skip
def test_a_package_of_an_extra_that_breaks_or_lacks_its_other_half(
    install, site, extra, need, code, verdict, seen, options
):
    name = need.split(">")[0].split("[")[0]
    lay_down(site, name, "3.0")
    (site / f"{name}.py").write_text(code + "\n")
    install(**{extra: [need]})
    check = doctor.extra(extra)
    assert check.verdict == verdict and seen in check.seen
    assert check.remedy == f'python -m pip install {options}"{need}"'


def test_every_package_is_looked_for_under_the_name_that_is_imported(as_released):
    found = doctor.installed()
    extras = ["", *(name for name in PROJECT["optional-dependencies"] if name not in ("all", "test"))]
    for requirement in (r for name in extras for r in doctor.requirements(found, name)):
        state, words = doctor.state_of(requirement)
        assert (state, words) == ("missing", requirement.name) or state == "here", words


@pytest.mark.parametrize(("name", "verdict"), [("book", WARN), ("scale", OK)])
def test_a_missing_extra_warns_only_where_a_chapter_needs_it(install, name, verdict):
    install(**{name: ["numpy>=2.0", "no-such-package>=1"]})
    check = doctor.extra(name)
    assert check.verdict == verdict and doctor.PURPOSE[name][0] in check.seen
    assert check.remedy == 'python -m pip install "no-such-package>=1"'


def test_an_old_python_fails(install):
    install(python=">=4.2")
    check = doctor.python()
    assert check.verdict == FAIL and "which needs >=4.2" in check.seen


def test_another_version_than_the_installed_one_is_noticed(install):
    install(version="0.0.7")
    check = doctor.python()
    assert check.verdict == WARN and "hides the installed 0.0.7" in check.seen


def test_code_that_nobody_installed_says_so(monkeypatch):
    monkeypatch.setattr(doctor, "installed", lambda: None)
    assert doctor.python().verdict == WARN and "pip install" in doctor.python().remedy


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_backend_gives_the_closed_form(name):
    pytest.importorskip(name)
    check = doctor.backend(name)
    assert check.verdict == OK and "off by" in check.seen


@pytest.mark.parametrize("wrong", [lambda p: p * (1 + 1e-6), lambda p: p * np.nan, lambda p: p.astype(np.float32)])
def test_a_backend_that_gives_a_wrong_number_is_caught(monkeypatch, wrong):
    right = doctor.barycenter

    def other(*args, **options):
        result = right(*args, **options)
        return result._replace(histogram=wrong(result.histogram))

    monkeypatch.setattr(doctor, "barycenter", other)
    check = doctor.backend("numpy")
    assert check.verdict == FAIL and "trust no result" in check.remedy


def test_a_backend_that_is_not_there_is_no_failure(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    check = doctor.backend("cupy")
    assert check.verdict == OK and "never been run on a GPU by us" in check.seen


@pytest.mark.parametrize("gpu", [True, False])
def test_a_gpu_is_named_and_cupy_without_one_warns(monkeypatch, gpu):
    runtime = types.SimpleNamespace(getDeviceProperties=lambda number: {"name": b"Accelerator 9000"})
    cuda = types.SimpleNamespace(is_available=lambda: gpu, runtime=runtime)
    cupy = types.SimpleNamespace(cuda=cuda, zeros=np.zeros, float64=np.float64)
    monkeypatch.setattr(doctor.importlib, "import_module", lambda name: cupy)
    check = doctor.backend("cupy")
    assert check.verdict == (OK if gpu else WARN)
    assert ("on Accelerator 9000" if gpu else "sees no GPU") in check.seen
    assert "never been run on a GPU by us" in check.seen


def test_a_backend_whose_import_breaks_is_a_failure_with_its_message(site):
    (site / "broken_backend.py").write_text("raise RuntimeError('driver too old')\n")
    check = guarded(doctor.backend, "broken_backend")
    assert check == Check("backend broken_backend", FAIL, "RuntimeError: driver too old", check.remedy)


def test_a_wrong_gradient_is_caught(monkeypatch):
    right = doctor.barycenter_vjp
    assert doctor.gradient().verdict == OK
    monkeypatch.setattr(doctor, "barycenter_vjp", lambda *a, **k: tuple(1.001 * g for g in right(*a, **k)))
    assert doctor.gradient().verdict == FAIL


def test_more_threads_than_cores_warn_with_the_setting(monkeypatch):
    import threadpoolctl

    monkeypatch.setattr(doctor, "worker_count", lambda *args: 2)
    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: [{"internal_api": "openblas", "num_threads": 64}])
    check = doctor.threads()
    assert check.verdict == WARN and "openblas 64" in check.seen
    assert check.remedy == "set OMP_NUM_THREADS=2 before Python starts"


def test_a_busy_machine_warns(monkeypatch):
    import threadpoolctl

    monkeypatch.setattr(threadpoolctl, "threadpool_info", lambda: [])
    monkeypatch.setattr(os, "getloadavg", lambda: (1e3, 0, 0), raising=False)
    assert doctor.threads().verdict == WARN
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0, 0))
    assert doctor.threads().verdict == OK


def test_little_memory_warns(monkeypatch):
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=2e8))
    assert doctor.memory().verdict == WARN and "0.2 GB free" in doctor.memory().seen


def test_speed_is_a_figure_without_a_verdict():
    check = doctor.speed()
    assert check.verdict == OK and check.seen.count(" ms") == 2


def test_a_scene_is_found_where_its_files_lie(monkeypatch, tmp_path):
    monkeypatch.setenv("WDL_TUTORIAL_DATA", str(tmp_path))
    monkeypatch.setenv("WDL_TUTORIAL_CACHE", str(tmp_path / "not made yet"))
    empty = doctor.scenes()
    assert empty.verdict == WARN and "here: none;" in empty.seen and "salinas-a" in empty.remedy
    (tmp_path / "samson").mkdir()
    for name in ("samson_1.mat", "end3.mat"):
        (tmp_path / "samson" / name).touch()
    found = doctor.scenes()
    assert found.verdict == OK and "here: samson;" in found.seen and str(tmp_path) in found.seen


def test_a_full_disk_warns(monkeypatch, tmp_path):
    monkeypatch.delenv("WDL_TUTORIAL_DATA", raising=False)
    monkeypatch.setenv("WDL_TUTORIAL_CACHE", str(tmp_path))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=1e8))
    assert doctor.scenes().verdict == WARN and "0.1 GB free" in doctor.scenes().seen


def test_a_data_folder_that_does_not_exist_fails_with_the_reason(monkeypatch):
    monkeypatch.setenv("WDL_TUTORIAL_DATA", "no such folder")
    check = guarded(doctor.scenes)
    assert check.verdict == FAIL and "is not a folder. Create it or unset it." in check.seen


def test_a_slider_file_that_was_not_installed_is_a_failure(monkeypatch, tmp_path):
    for path in source.FOLDER.glob("*.js"):
        if path.name != "transport.js":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(source, "FOLDER", tmp_path)
    source.esm.cache_clear()
    check = guarded(doctor.sliders)
    source.esm.cache_clear()
    assert check.verdict == FAIL and "transport.js" in check.seen


def test_a_notebook_that_would_run_elsewhere_warns(monkeypatch):
    kernelspec = pytest.importorskip("jupyter_client.kernelspec")
    pytest.importorskip("jupyterlab")
    elsewhere = types.SimpleNamespace(argv=[str(Path(sys.prefix).parent / "other" / "python"), "-m", "ipykernel"])
    monkeypatch.setattr(kernelspec.KernelSpecManager, "get_kernel_spec", lambda self, name: elsewhere)
    check = doctor.notebooks()
    assert check.verdict == WARN and elsewhere.argv[0] in check.seen


def test_a_lab_without_the_sliders_extension_warns(monkeypatch, tmp_path):
    paths = pytest.importorskip("jupyter_core.paths")
    pytest.importorskip("jupyterlab")
    monkeypatch.setattr(paths, "jupyter_path", lambda name: [str(tmp_path)])
    check = doctor.notebooks()
    assert check.verdict == WARN and "anywidget jupyterlab-widgets" in check.remedy


def test_the_pages_of_a_checkout_are_looked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    assert doctor.book() == Check("book", WARN, f"no {tmp_path / '_build' / 'html' / 'index.html'}", "make book")
    (tmp_path / "_build" / "html").mkdir(parents=True)
    (tmp_path / "_build" / "html" / "index.html").touch()
    assert doctor.book().verdict == OK


@pytest.mark.parametrize("function", ALONE, ids=lambda function: function.__name__)
def test_a_check_that_raises_keeps_its_name(function):
    def broken():
        raise ModuleNotFoundError("No module named 'thing'", name="thing")

    broken.__name__ = function.__name__
    assert guarded(broken).name == function().name
    assert guarded(broken).remedy == "python -m pip install thing"


@pytest.mark.parametrize(("verdicts", "status"), [([OK, WARN], 0), ([OK, FAIL, WARN], 1)])
def test_only_a_failure_changes_the_exit_status(monkeypatch, capsys, verdicts, status):
    monkeypatch.setattr(doctor, "examine", lambda: [Check("one", verdict, "seen", "do it") for verdict in verdicts])
    assert doctor.main([]) == status
    out = capsys.readouterr().out
    assert out.endswith(f"{['Ready', 'Not ready'][status]}: {len(verdicts)} checks, {status} failed, 1 warned.\n")
    assert "                     -> do it\n" in out


def test_json_holds_every_check(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", lambda: [Check("one", WARN, "a path with an é", "do it")])
    assert doctor.main(["--json"]) == 0
    expected = {"name": "one", "verdict": "warn", "seen": "a path with an é", "remedy": "do it"}
    assert json.loads(capsys.readouterr().out) == {"ready": True, "checks": [expected]}


def test_a_remedy_is_one_line_however_narrow_the_terminal():
    remedy = "python -m pip install " + " ".join(f'"package{k}>=1"' for k in range(20))
    text = doctor.told(Check("packages", FAIL, "word " * 60, remedy), width=60)
    assert text.splitlines()[-1].strip() == f"-> {remedy}"
    assert max(len(line) for line in text.splitlines()[:-1]) <= 60


def test_the_whole_run_asks_no_network_and_is_plain_ascii(as_released, monkeypatch, capsys):
    def refuse(*args, **options):
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    status, out = doctor.main(["--json"]), capsys.readouterr().out
    checks = json.loads(out)["checks"]
    names = [check["name"] for check in checks]
    assert names[:2] == ["python", "packages"] and len(set(names)) == len(names) >= 17
    assert {"extra book", "extra gpu", "backend torch", "notebooks"} <= set(names)
    assert [check for check in checks if check["verdict"] == FAIL] == [] and status == 0
    assert out.isascii() and all(doctor.told(Check(**check)).strip() for check in checks)


BARE = """
import importlib.machinery, sys
absent = "sklearn matplotlib joblib threadpoolctl tqdm pooch PIL packaging anywidget psutil torch jupyterlab".split()
class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in absent else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Finder
from wdl_tutorial import doctor
sys.exit(doctor.main())
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess:
    root = str(Path(doctor.__file__).parents[1])
    paths = os.pathsep.join(path for path in (root, os.environ.get("PYTHONPATH")) if path)
    clean = os.environ | {"PYTHONPATH": paths} | environment
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean)


def test_it_runs_to_its_end_where_most_packages_are_missing_and_letters_too(tmp_path):
    done = run(BARE, PYTHONIOENCODING="ascii", WDL_TUTORIAL_CACHE=str(tmp_path / "données"))
    assert done.returncode == 1, done.stderr
    assert "FAIL  threads" in done.stdout and "-> python -m pip install threadpoolctl\n" in done.stdout
    assert "FAIL  python" in done.stdout and "-> python -m pip install packaging\n" in done.stdout
    assert "ok    backend numpy" in done.stdout and "donn\\xe9es" in done.stdout
    assert "WARN  notebooks" in done.stdout and "WARN  sliders" in done.stdout
    assert "Traceback" not in done.stderr and "\nNot ready: " in done.stdout


def test_importing_the_package_does_not_load_the_doctor():
    done = run("import sys, wdl_tutorial; print('wdl_tutorial.doctor' in sys.modules)")
    assert done.stdout == "False\n"
