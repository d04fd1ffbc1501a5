"""What every tracked file owes: size, no trace of one machine, one version, pins, and the house's import order."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import wdl_tutorial as wt

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "wdl_tutorial"
LIMIT = 200_000  # bytes

# The house of CONTRIBUTING.md: each module imports only from those before it.
ORDER = """_array
_checks
iterate
histograms
costs
kernels
scaling
transport
barycenters
_fast
losses
gradients
chunks
rowwise
initialise
optimize
statefiles
objective
batches
blocks
dictionary
presets
metrics
leastsquares
gaussnewton
variability
linear
diffusion
scenes
rawfiles
envi
libraries
synthetic
geotiff
products
cubefiles
datasets
words
figures
unmixing
results
trust
inspection
planning
selection
shell
exercises
classroom
widgets
deep
reproduce
doctor
""".split()
FOLDERS = ("_fast",)  # whose files count as one module


def tracked() -> list[Path]:
    """The files that git knows; a copy without git is not checked."""
    run = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if run.returncode != 0:
        pytest.skip("not a git checkout")
    return [path for name in run.stdout.split("\0") if name and (path := ROOT / name).is_file()]


@functools.cache
def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data:
            found.append((path, data.decode("utf-8")))
    return found


def lines_with(pattern: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_no_tracked_file_is_large():
    assert [str(path.relative_to(ROOT)) for path in tracked() if path.stat().st_size > LIMIT] == []


def test_no_leaving_of_a_merge_is_tracked():
    assert [str(path.relative_to(ROOT)) for path in tracked() if path.suffix in {".orig", ".rej", ".bak"}] == []


def test_no_path_of_one_machine_is_tracked():
    assert lines_with(r"(?<![\w.])/(?:" + "|".join(["home", "root", "tmp", "work", "Users"]) + r")/[\w.]") == []


def test_no_package_registry_is_named():
    assert (
        lines_with("|".join(["pypi" + r"\.org", "python" + "hosted", "registry" + r"\.npm", "deb" + r"\.debian"])) == []
    )
    assert lines_with(r"--(extra-)?index" + r"-url|--find" + "-links") == []


def test_nothing_is_left_undone():
    assert lines_with(r"\b(TO" + r"DO|FIX" + r"ME)\b|raise NotImplemented" + r"Error\b") == []


def test_one_version_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert project()["version"] == wt.__version__
    assert f"\nversion: {wt.__version__}\n" in citation
    assert f"\n## {wt.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_dependency_is_pinned_exactly():
    canonical = lambda name: re.sub(r"[-_.]+", "-", name).lower()  # noqa: E731
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pins = {canonical(line.split("==")[0]) for line in lines}
    assert all("==" in line for line in lines)
    extras = project()["optional-dependencies"]
    wanted = project()["dependencies"] + [r for extra in ("book", "test", "deep", "io", "scale") for r in extras[extra]]
    names = {canonical(re.match(r"[\w.-]+", requirement)[0]) for requirement in wanted} - {"wdl-tutorial"}
    assert names - pins == set()


def test_no_module_shares_its_name_with_a_public_function():
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert [name for name in modules - {"__init__"} if callable(getattr(wt, name, None))] == []


def imported_modules(path: Path) -> set[str]:
    """The modules of the package that ``path`` imports while it is itself imported."""
    found = set()
    for node in top_level(ast.parse(path.read_text(encoding="utf-8"))):
        outward = path.parent != PACKAGE and path.stem != "__init__"
        if isinstance(node, ast.ImportFrom) and (
            node.level == 1 + outward or (node.module or "").startswith("wdl_tutorial")
        ):
            module = (node.module or "").removeprefix("wdl_tutorial").lstrip(".")
            found |= {module.split(".")[0]} if module else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("wdl_tutorial.")}
    return found


def top_level(tree: ast.Module):
    """Every statement outside a function: what runs at import."""
    stack = list(tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield node
        stack.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))


@functools.cache
def modules() -> dict[str, set[str]]:
    """Each module of the core, or folder, and those it imports; the package's own door is left out."""
    files = {path.stem: [path] for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
    files |= {folder: sorted((PACKAGE / folder).glob("*.py")) for folder in FOLDERS}
    return {name: set().union(*map(imported_modules, paths)) & set(files) for name, paths in files.items()}


def test_imports_go_in_no_circle():
    sorter = graphlib.TopologicalSorter(modules())
    assert "_array" in list(sorter.static_order())  # raises CycleError where there is a circle


@pytest.mark.parametrize("name", ORDER)
def test_each_module_imports_only_from_those_above_it(name):
    assert modules().get(name, set()) & set(ORDER) <= set(ORDER[: ORDER.index(name)])


def test_no_module_is_left_out_of_the_order():
    names = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert names - {"__init__", "__main__"} == set(ORDER)


def test_every_module_has_its_line_in_the_drawing_in_this_order():
    table = re.findall(r"^\| (`\w+(?:\.py|/)`(?:, `\w+\.py`)*) \| \S", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    drawn = [re.sub(r"\.py$|/$", "", name) for cell in table for name in re.findall(r"`([^`]+)`", cell)]
    assert [name for name in ORDER if drawn.count(name) != 1] == [], "give each module a line of CONTRIBUTING.md"
    assert [name for name in drawn if name in ORDER] == ORDER


def test_only_one_module_knows_about_backends():
    compat = "array_api" + "_compat"
    users = [
        path.name for path in PACKAGE.rglob("*.py") if re.search(rf"^\s*(import|from) {compat}", path.read_text(), re.M)
    ]
    assert users == ["_array.py"]


def test_only_one_module_chooses_between_the_domains():
    chooses = re.compile(r'\("kernel", "log"\) if |underflow_error\(')
    assert [path.name for path in PACKAGE.rglob("*.py") if chooses.search(path.read_text())] == ["scaling.py"]


def test_the_drawing_shows_every_room():
    drawing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```")[1]
    shown = set(re.findall(r"\w+", drawing))
    assert [name for name in ORDER if name not in shown] == []


def test_the_workflows_call_what_the_makefile_has():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for path in [*(ROOT / ".github/workflows").glob("*.yml"), ROOT / ".ci/run", ROOT / ".pre-commit-config.yaml"]:
        called = set(re.findall(r"(?:run:|entry:|^|=1) *make (\w+)", path.read_text(encoding="utf-8"), re.M))
        assert called <= targets, path.name
    assert {"test", "book", "oldest", "scripts", "lint", "quick"} <= targets


def test_a_workflow_that_has_never_run_says_so():
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        first, text = path.read_text(encoding="utf-8").split("\n", 1)
        assert "not run" in first, path.name
        jobs = re.findall(r"^  (\w+):\n(?:    .*\n|\n)*?    runs-on: (\S+)", text, re.M)
        assert jobs, path.name


def test_the_oldest_versions_are_the_lower_bounds():
    path = ROOT / "tools" / "oldest.py"
    told = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy==2.0" in told and "scipy==1.13" in told and len(told) == len(set(told)) > 20
    assert all(re.fullmatch(r"[\w.-]+==[\d.]+", line) for line in told)
