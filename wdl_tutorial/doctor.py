"""``python -m wdl_tutorial.doctor``: is this laptop ready?

For a teacher the evening before a class, and for a researcher whose import fails or whose fit is slow. A check is a
function that returns a :class:`Check`; :func:`examine` runs them all, and what one raises is a check that failed, so that
the others still run. What should be installed is read from the metadata of the installed package, nothing asks the
network, and no verdict depends on a clock. A warning leaves the exit status at 0, a failure makes it 1.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import __version__
from ._array import Array, to_backend, to_numpy
from .barycenters import barycenter
from .chunks import TAPE_ELEMENTS, worker_count
from .costs import cost_matrix
from .cubefiles import cache_folder, data_folder
from .datasets import REAL_SCENES, available, load_usgs_sample, make_teaching_scene
from .gradients import barycenter_vjp, check_gradient
from .histograms import normalize
from .words import load_excerpts, novels_available

if TYPE_CHECKING:
    from packaging.requirements import Requirement  # at run time it is imported late: it may be what is missing

OK, WARN, FAIL = "ok", "warn", "fail"
PIP = "python -m pip install"
REINSTALL = f"{PIP} --force-reinstall"
ROOT = Path(__file__).resolve().parents[1]
PURPOSE = {  # of an extra, and whether a chapter stops without it
    "book": ("notebooks and their sliders", True),
    "deep": ("the networks, and chapters 7, 16 and 17", True),
    "io": ("MATLAB 7.3 and ENVI files", False),
    "gpu": ("CuPy arrays on an NVIDIA GPU; never needed", False),
    "scale": ("a cluster; never needed", False),
}
MODULES = {  # where the name to import is not that of the package; dask alone comes without distributed
    **{"cupy-cuda12x": "cupy", "dask": "distributed", "pillow": "PIL", "pot": "ot", "scikit-image": "skimage"},
    **{"scikit-learn": "sklearn", "sphinx-mathjax-offline": "sphinx-mathjax-offline"},
}


class Check(NamedTuple):
    """One line of the report."""

    name: str
    verdict: str  # "ok"; "warn": something will not work, or slowly; "fail": nothing else is to be trusted
    seen: str
    remedy: str = ""  # what to do


def judge(name: str, good: bool, seen: str, remedy: str, *, otherwise: str = WARN) -> Check:
    """``ok`` where things are good, else ``otherwise`` with its remedy."""
    return Check(name, OK, seen) if good else Check(name, otherwise, seen, remedy)


def installed() -> metadata.Distribution | None:
    """The installed package's metadata, or None where the code runs from a folder that nobody installed."""
    return next(iter(metadata.distributions(name="wdl-tutorial")), None)


def python() -> Check:
    """Is this Python new enough, and is this code the one that was installed?"""
    from packaging.specifiers import SpecifierSet

    found, version = installed(), ".".join(map(str, sys.version_info[:3]))
    seen = f"{version} on {sys.platform}, {sys.executable}; wdl_tutorial {__version__} in {Path(__file__).parent}"
    if found is None:
        remedy = f"in the folder that holds pyproject.toml: {PIP} -e ."
        return Check("python", WARN, f"{seen}, not installed: what it needs is not known", remedy)
    wanted = SpecifierSet(found.metadata["Requires-Python"] or "")
    if not wanted.contains(version):
        return Check("python", FAIL, f"{seen}, which needs {wanted}", "make a new environment with a newer Python")
    if found.version != __version__:
        return Check("python", WARN, f"{seen}, which hides the installed {found.version}", "start in another folder")
    return Check("python", OK, seen)


def requirements(distribution: metadata.Distribution, extra: str = "") -> list[Requirement]:
    """What a distribution declares that it needs by itself, or what one of its extras adds."""
    from packaging.requirements import Requirement

    every = [Requirement(text) for text in distribution.requires or []]
    base = [r for r in every if r.marker is None or r.marker.evaluate({"extra": ""})]
    return [r for r in every if r not in base and r.marker.evaluate({"extra": extra})] if extra else base


def state_of(requirement: Requirement) -> tuple[str, str]:
    """How one required package is, and that in words. An import may raise anything: a DLL, a binary for another NumPy."""
    name = requirement.name
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing", name
    if not requirement.specifier.contains(version, prereleases=True):
        return "wrong version", f"{name} {version} (needs {requirement.specifier})"
    try:
        importlib.import_module(MODULES.get(name.lower(), name.lower().replace("-", "_")))
    except ModuleNotFoundError as error:
        return "missing", f"{error.name}, for {name} {version}"
    except Exception as error:
        return "broken", f"{name} {version} ({type(error).__name__}: {error})"
    return "here", f"{name} {version}"


def compare(name: str, needed: list[Requirement], verdicts: dict[str, str], purpose: str = "") -> Check:
    """One check of many packages, and the pip line that mends them. ``verdicts``: what each state is, but "broken"."""
    found = [(requirement, *state_of(requirement)) for requirement in needed]
    groups = {state: [words for _, its, words in found if its == state] for state in ("broken", *verdicts, "here")}
    parts = [f"{state}: {', '.join(words)}" for state, words in groups.items() if words]
    worst = next((state for state, words in groups.items() if words), "here")
    mend = [f'"{str(requirement).split(";")[0].strip()}"' for requirement, state, _ in found if state != "here"]
    pip = " ".join([REINSTALL if worst == "broken" else PIP, *mend]) if mend else ""
    verdict = FAIL if worst == "broken" else verdicts.get(worst, OK)
    return Check(name, verdict, "; ".join([purpose, *parts] if purpose else parts), pip)


def packages() -> Check:
    """Is everything here that the package cannot do without?"""
    return compare("packages", requirements(installed()), {"wrong version": FAIL, "missing": FAIL})


def extra(name: str) -> Check:
    """Is an extra complete? Chapters stop without some of them; the others are a matter of taste."""
    purpose, needed = PURPOSE.get(name, ("", False))
    verdicts = {"wrong version": WARN, "missing": WARN if needed else OK}
    return compare(f"extra {name}", requirements(installed(), name), verdicts, purpose)


def devices(name: str) -> dict[str, Array]:
    """Where a backend can compute: the name of the processor or of a GPU, and a float64 array that lies there."""
    module = importlib.import_module(name)
    if name == "cupy":
        names = [module.cuda.runtime.getDeviceProperties(0)["name"].decode()] if module.cuda.is_available() else []
        return {gpu: module.zeros(1, dtype=module.float64) for gpu in names}
    found = {"the processor": module.zeros(1, dtype=module.float64)}
    if name == "torch" and module.cuda.is_available():
        found[module.cuda.get_device_name(0)] = module.zeros(1, dtype=module.float64, device="cuda")
    return found


def error_between_gaussians(like: Array) -> float:
    """How far the barycenter of two Gaussians is from its closed form, in the backend of ``like``; inf if not float64.

    Two of one width average to the Gaussian with the weighted mean, to whose variance the kernel exp(-d^2 / eps), itself
    a Gaussian, adds its own, eps / 2 (Schmitz et al. (2018), eqs (6)-(8), at convergence).
    """
    x, weights, means, variance, eps = np.arange(200.0), np.array([0.25, 0.75]), np.array([60.0, 130.0]), 36.0, 50.0
    atoms = normalize(np.exp(-0.5 * (x - means[:, None]) ** 2 / variance))
    exact = normalize(np.exp(-0.5 * (x - weights @ means) ** 2 / (variance + eps / 2)))
    moved = [to_backend(array, like) for array in (atoms, weights, cost_matrix(x))]
    found = to_numpy(barycenter(*moved, eps=eps).histogram)
    return float(np.abs(found - exact).max()) if found.dtype == np.float64 else float("inf")


def backend(name: str) -> Check:
    """Does a backend give the number that is known, in float64, on the processor and on a GPU that it sees?"""
    label = f"backend {name}"
    caveat = "; our CuPy code has never been run on a GPU by us" if name == "cupy" else ""
    try:
        errors = {place: error_between_gaussians(like) for place, like in devices(name).items()}
    except ImportError as error:
        return Check(label, OK, f"not to be had ({error}){caveat}")
    if not errors:
        return Check(label, WARN, f"installed, but sees no GPU{caveat}", "use NumPy or torch: nothing needs a GPU")
    places = " and ".join(f"{error:.0e} on {place}" for place, error in errors.items())
    caveat = "; no GPU seen, none is needed" if name == "torch" and len(errors) == 1 else caveat
    seen = f"the barycenter of two Gaussians is off by {places}{caveat}"
    remedy = f"trust no result of this backend; {REINSTALL} {name}"
    return judge(label, all(error <= 1e-9 for error in errors.values()), seen, remedy, otherwise=FAIL)  # NaN fails


def gradient() -> Check:
    """Does the gradient by hand agree with central differences?"""
    rng = np.random.default_rng(0)
    atoms, grad, weights = normalize(rng.random((2, 20)) + 0.1), rng.standard_normal((1, 20)), np.array([[0.3, 0.7]])
    cost = cost_matrix(np.linspace(0.0, 1.0, 20))
    by_hand, _ = barycenter_vjp(atoms, weights, cost, grad, eps=0.05, n_iter=20)

    def value(x: Array) -> Array:
        return (barycenter(x, weights, cost, eps=0.05, n_iter=20).histogram * grad).sum()

    found = check_gradient(value, atoms, by_hand)
    seen = f"by hand and by differences it differs by {found.relative_error:.0e}"
    return judge("gradient", found.ok, seen, f"{REINSTALL} numpy scipy", otherwise=FAIL)


def threads() -> Check:
    """Do the numerical libraries start more threads than there are cores, or do other programs hold the cores?"""
    import threadpoolctl

    cores = worker_count(-1, np.empty(0), sys.maxsize)  # what a fit would take
    pools = sorted({(pool["internal_api"], pool["num_threads"]) for pool in threadpoolctl.threadpool_info()})
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0  # Windows keeps none
    seen = f"cores: {cores}; threads: {', '.join(f'{name} {number}' for name, number in pools) or 'no library tells'}"
    if max((number for _, number in pools), default=1) > cores:
        remedy = f"set OMP_NUM_THREADS={cores} before Python starts"
        return Check("threads", WARN, f"{seen}: more threads than cores, which wait for each other", remedy)
    return judge("threads", load <= cores, f"{seen}; at work just now: {load:.1f}", "close what else is running")


def memory() -> Check:
    """Is there room for what the workers of a fit record, and 1 GB for a notebook and its browser?"""
    if not importlib.util.find_spec("psutil"):
        return Check("memory", OK, "not known without psutil, which comes with the notebooks")
    import psutil

    free, fit = psutil.virtual_memory().available, 8 * TAPE_ELEMENTS * worker_count(-1, np.empty(0), sys.maxsize)
    seen = f"{free / 1e9:.1f} GB free; the workers of a fit record up to {fit / 1e9:.1f} GB beside the data"
    return judge("memory", free > 1e9 + fit, seen, "close other programs")


def speed() -> Check:
    """How long one small computation takes: a figure to compare with, no verdict."""
    import threadpoolctl

    rng = np.random.default_rng(0)
    atoms, weights = normalize(rng.random((3, 200)) + 0.01), normalize(rng.random((100, 3)))
    cost, best = cost_matrix(np.linspace(0.0, 1.0, 200)), dict[int | None, float]()
    for limit in (None, 1):
        with threadpoolctl.threadpool_limits(limit, user_api="blas"):
            for _ in range(4):
                start = time.perf_counter()
                barycenter(atoms, weights, cost, eps=0.01, n_iter=50)
                best[limit] = min(best.get(limit, np.inf), time.perf_counter() - start)
    seen = f"{1e3 * best[None]:.0f} ms, and {1e3 * best[1]:.0f} ms with one BLAS thread (OMP_NUM_THREADS=1)"
    return Check("speed", OK, f"100 barycenters (3 atoms, 200 bins, 50 iterations) in {seen}")


def scenes() -> Check:
    """Which real scenes and novels lie on this machine, where they are looked for, and is there room for more?"""
    found = {name: available(name) for name in REAL_SCENES} | {"novels": novels_available()}
    here, away = (", ".join(name for name in found if found[name] is wanted) or "none" for wanted in (True, False))
    named, folder = data_folder(), data_folder() or cache_folder()
    free = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    places = " and ".join(str(place) for place in (named, cache_folder()) if place)
    seen = f"here: {here}; not here (no chapter needs them): {away}; looked for in {places}; {free / 1e9:.1f} GB free"
    if named and not any(found.values()):
        return Check("scenes", WARN, seen, f"WDL_TUTORIAL_DATA should hold folders such as {named / REAL_SCENES[0]}")
    return judge("scenes", free > 1e9, seen, "make room, or name another folder in WDL_TUTORIAL_DATA")


def embedded_data() -> Check:
    """Does what every chapter needs come out of the package, with no network?"""
    (rows, columns, _), spectra, books = make_teaching_scene().cube.shape, load_usgs_sample(), load_excerpts()
    seen = f"{len(spectra.names)} spectra, a scene of {rows} x {columns} pixels, excerpts of {len(books.titles)} books"
    return Check("embedded data", OK, seen)


def sliders() -> Check:
    """Is every file of the sliders in the installed package? Their JavaScript is read as a page gets it."""
    from . import widgets
    from .widgets import source

    files = sorted(path.name for path in source.FOLDER.glob("*.js"))
    seen = f"{len([source.esm(name) for name in files])} JavaScript files"  # a module reads those that it imports
    if not importlib.util.find_spec("anywidget"):
        return Check("sliders", WARN, f"{seen}, no anywidget: they move in the built book only", "see extra book")
    return Check("sliders", OK, f"{seen}, {len([getattr(widgets, name) for name in widgets.__all__])} demos")


def notebooks() -> Check:
    """Is JupyterLab here, does it show sliders, and do notebooks run in this Python?"""
    if not importlib.util.find_spec("jupyterlab"):
        return Check("notebooks", WARN, "no JupyterLab: pages can be read, notebooks not run", "see extra book")
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_core.paths import jupyter_path

    wanted = {"anywidget": "anywidget", "jupyterlab-widgets": "@jupyter-widgets/jupyterlab-manager"}
    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    absent = [name for name, place in wanted.items() if not any((folder / place).is_dir() for folder in folders)]
    if absent:
        seen = f"JupyterLab lacks the extension of {' and '.join(absent)}: sliders stay blank"
        return Check("notebooks", WARN, seen, f"{REINSTALL} --no-deps {' '.join(absent)}")
    kernel = Path(KernelSpecManager().get_kernel_spec("python3").argv[0])  # a bare "python" means this one
    same = not kernel.is_absolute() or kernel.parent == Path(sys.executable).parent
    seen = f"JupyterLab {metadata.version('jupyterlab')}, with sliders, runs {'this Python' if same else kernel}"
    return judge("notebooks", same, seen, "python -m ipykernel install --sys-prefix")


def book() -> Check:
    """Do the pages lie built in this checkout?"""
    page = ROOT / "_build" / "html" / "index.html"
    return judge("book", page.is_file(), f"{'' if page.is_file() else 'no '}{page}", "make book")


def guarded(function: Callable[..., Check], *arguments: str) -> Check:
    """What a check finds; what it raises is a check that failed, with its message."""
    try:
        return function(*arguments)
    except Exception as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else ""
        remedy = "mend what the message names, or report it with --json"
        remedy = f"{PIP} {missing.partition('.')[0]}" if missing else remedy
        name = " ".join([function.__name__.replace("_", " "), *arguments])
        return Check(name, FAIL, f"{type(error).__name__}: {error}", remedy)


def examine() -> Iterator[Check]:
    """Every check, one after the other."""
    yield guarded(python)
    if found := installed():
        yield guarded(packages)
        extras = found.metadata.get_all("Provides-Extra") or []
        yield from (guarded(extra, name) for name in extras if name not in ("all", "test"))
    yield from (guarded(backend, name) for name in ("numpy", "torch", "cupy"))
    in_checkout = [book] if (ROOT / "book" / "_toc.yml").is_file() else []
    for check in (gradient, threads, memory, speed, scenes, embedded_data, sliders, notebooks, *in_checkout):
        yield guarded(check)


def told(check: Check, *, width: int = 100) -> str:
    """One check as lines of text. A remedy stays on one line, to be copied.

    >>> print(told(Check("memory", "warn", "0.2 GB free", "close other programs")))
    WARN  memory         0.2 GB free
                         -> close other programs
    """
    head = f"{check.verdict if check.verdict == OK else check.verdict.upper():<5} {check.name:<14} "
    text = textwrap.fill(
        check.seen,
        width,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{text}\n{' ' * len(head)}-> {check.remedy}" if check.remedy else text


def main(arguments: list[str] | None = None) -> int:
    """Print every check as it is done, or all of them as JSON; 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m wdl_tutorial.doctor", description="Is this laptop ready?")
    parser.add_argument("--json", action="store_true", help="print JSON, for a bug report")
    options = parser.parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold letters that this console lacks
    checks, width = [], min(100, shutil.get_terminal_size().columns - 1)
    for check in examine():
        checks.append(check)
        if not options.json:
            print(told(check, width=width), flush=True)
    failed, warned = (sum(check.verdict == verdict for check in checks) for verdict in (FAIL, WARN))
    if options.json:
        print(json.dumps({"ready": not failed, "checks": [check._asdict() for check in checks]}, indent=2))
    else:
        print(f"\n{'Not ready' if failed else 'Ready'}: {len(checks)} checks, {failed} failed, {warned} warned.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
