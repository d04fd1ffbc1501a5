"""One zip for a room without a network: ``python book/handout.py`` after ``make book`` (or ``make handout``).

It holds the built book, the notebooks, the wheel (with the embedded data inside), the pinned versions, and one page that
says how to start. The same inputs give the same bytes, so that a copy can be checked by its checksum.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKED = ("pyproject.toml", "README.md", "LICENSE", "LICENSE-text")  # what the wheel is built from, with the package
LEFT_OUT = {"_sources", ".doctrees", "__pycache__", ".buildinfo", "objects.inv"}
WHEN = (1980, 1, 1, 0, 0, 0)  # the zip's first day

START = """# A book that moves mass, without a network

**To read, and to move the sliders**, open `book/index.html` in a browser. Nothing else is needed.

**To run the notebooks**, type three commands in this folder (on Windows, `.venv\\Scripts` in the place of `.venv/bin`):

```
python3 -m venv .venv
.venv/bin/pip install -c constraints.txt "./{wheel}[book]"
.venv/bin/jupyter lab notebooks/{first}
```

They need Python 3.11 or newer. The second command is the only one that asks the network, for the packages that ours is
built on: type the first two at home, or let one person do it and type them where a package mirror can be reached. The
third works anywhere, as often as you like. `.venv/bin/python -m wdl_tutorial.doctor` says the evening before whether the
laptop is ready, and what to do if it is not.

Chapters 7, 16 and 17 need torch, too, which is large. Add it with
`.venv/bin/pip install -c constraints.txt "./{wheel}[deep]"`.

| here | what it is |
|---|---|
| `book/` | the pages; every slider works from this folder |
| `book/kit/` | for teachers: slides and a worksheet for each chapter, and the book as one file to print |
| `notebooks/` | the same pages to run and to change |
| `{wheel}` | the package `wdl_tutorial`, with its data |
| `constraints.txt` | the versions that everything was tested with |

Teachers: `book/appendices/teachers.html` has a plan for six hours of mathematics, and four for ninety minutes.
"""


def build_wheel(folder: Path) -> Path:
    """The wheel of the tree, built in a copy, without asking the network and without leaving anything behind."""
    tree = folder / "tree"
    shutil.copytree(ROOT / "wdl_tutorial", tree / "wdl_tutorial", ignore=shutil.ignore_patterns("__pycache__"))
    for name in PACKED:
        shutil.copy(ROOT / name, tree / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*command, "-w", str(folder), str(tree)], check=True)
    return next(folder.glob("*.whl"))


def contents(site: Path, chapters: Path, wheel: Path, constraints: Path) -> dict[str, bytes]:
    """Name in the zip -> bytes."""
    if not (site / "index.html").is_file():
        raise FileNotFoundError(f"{site.name} holds no index.html: run `make book` first.")
    notebooks = sorted(chapters.glob("*.ipynb"))
    if not notebooks:
        raise FileNotFoundError(f"{chapters.name} holds no notebook.")
    pages = [path for path in site.rglob("*") if path.is_file() and not LEFT_OUT & set(path.relative_to(site).parts)]
    pages = [path for path in pages if path.suffix != ".zip"]  # an earlier handout, offered on the teachers' page
    found = {f"book/{path.relative_to(site).as_posix()}": path.read_bytes() for path in pages}
    beside = [*notebooks, *chapters.glob("appendices/*.ipynb"), *chapters.glob("appendices/*.md")]
    found |= {f"notebooks/{path.relative_to(chapters).as_posix()}": path.read_bytes() for path in beside}
    start = START.format(wheel=wheel.name, first=notebooks[0].name)
    found |= {wheel.name: wheel.read_bytes(), "constraints.txt": constraints.read_bytes(), "START.md": start.encode()}
    return found


def pack(target: Path, files: dict[str, bytes], *, folder: str = "wdl_tutorial_handout") -> Path:
    """Write ``files`` into one zip, below one folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{folder}/{name}", date_time=WHEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name], compresslevel=9)
    return target


def offer(site: Path, target: Path) -> None:
    """Put the zip beside the pages, and show the link to it that the teachers' page keeps hidden."""
    page = site / "appendices" / "teachers.html"
    shutil.copy(target, site / target.name)
    if page.is_file():
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace('class="wdl-handout" hidden', 'class="wdl-handout"'), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Zip the built book, the notebooks and the wheel.")
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html", help="the built book")
    parser.add_argument("--target", type=Path, default=ROOT / "dist" / "wdl_tutorial_handout.zip")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        files = contents(options.site, ROOT / "book", build_wheel(Path(folder)), ROOT / "constraints.txt")
    size = pack(options.target, files).stat().st_size
    offer(options.site, options.target)
    print(f"{options.target.name}: {len(files)} files, {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
