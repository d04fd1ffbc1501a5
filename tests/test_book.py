"""Guards on the chapters: what nbval would pass in silence, and what a reader is promised."""

from __future__ import annotations

import copy
import importlib.util
import re
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
CHAPTERS = sorted(BOOK.glob("*.ipynb"))


def loaded(file: Path):
    """The module in a file of the book, which is no package."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


strip = loaded(BOOK / "strip.py")
doors = loaded(BOOK / "doors.py")
DOORS = doors.load()

each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def text_of(cell: nbformat.NotebookNode) -> str:
    """All stored text of a cell's outputs."""
    streams = [output.text for output in cell.outputs if output.output_type == "stream"]
    return "\n".join(streams + [output.data.get("text/plain", "") for output in cell.outputs if "data" in output])


def draws(cell: nbformat.NotebookNode) -> bool:
    """True for a cell that shows a figure."""
    return "<Figure" in text_of(cell) or bool(re.search(r"\bplot_\w+\(|plt\.|\.imshow\(|\.plot\(", cell.source))


def key(path: Path) -> str:
    """What a chapter is called for short: its number, or its name where it has none."""
    return "capstone" if "capstone" in path.stem else path.stem.split("_")[0]


def needs(path: Path, door: str) -> list[str]:
    """The chapters that the card's "You need" line links to, for one door.

    A card says ``**You need:** ...`` for both doors, or ``**You need (spectra door):** ...`` for one of them.
    """
    markdown = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    links = []
    for of_door, line in re.findall(r"\*\*You need(?: \((\w+) door\))?:?\*\*:?(.*)", markdown):
        if of_door in ("", door):
            links += re.findall(r"\]\(([\w-]+)\.(?:ipynb|html|md)", line)
    return links


@each_chapter
def test_a_chapter_is_stripped(path):
    notebook = read(path)
    nbformat.validate(notebook)
    stripped = strip.strip_notebook(copy.deepcopy(notebook))
    assert notebook == stripped, "run `make strip`"


@each_chapter
def test_every_code_cell_was_run(path):
    """nbval compares nothing where the reference has no execution count."""
    assert [cell.source[:60] for cell in code_cells(path) if cell.execution_count is None] == []


@each_chapter
def test_every_check_cell_has_its_line_stored(path):
    checks = [cell for cell in code_cells(path) if re.search(r"""print\(f?["']ok""", cell.source)]
    assert checks, "a chapter has at least one check cell: print('ok: ...')"
    assert [cell.source[:60] for cell in checks if "ok" not in text_of(cell)] == []


@each_chapter
def test_every_figure_has_a_text_that_says_its_message(path):
    silent = [
        cell.source[:60]
        for cell in code_cells(path)
        if draws(cell) and len(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")) < 20
    ]
    assert silent == [], 'give the cell the metadata {"mystnb": {"image": {"alt": "what the figure says"}}}'


@each_chapter
def test_no_cell_relies_on_a_semicolon_or_on_pip(path):
    """nbval runs cells without history, where IPython does not see a trailing semicolon."""
    sources = [cell.source for cell in code_cells(path)]
    assert [source[-60:] for source in sources if source.rstrip().endswith(";")] == []
    assert [source[:60] for source in sources if re.search(r"^\s*[!%]\s*pip|pip install", source, re.M)] == []


@each_chapter
def test_the_title_is_a_question(path):
    title = read(path).cells[0].source.splitlines()[0]
    assert title.startswith("# ")
    assert title.endswith("?") or key(path) == "capstone"


@each_chapter
def test_you_need_points_backwards_on_both_doors(path):
    for door, entry in DOORS.items():
        if path.stem in entry["pages"]:
            before = entry["pages"][: entry["pages"].index(path.stem)]
            assert [link for link in needs(path, door) if link not in before] == [], f"{door} door"


def test_the_mathematics_door_is_the_order_of_the_files_and_both_end_at_the_capstone():
    assert sorted(DOORS["mathematics"]["pages"]) == [path.stem for path in CHAPTERS]
    for entry in DOORS.values():
        assert len(entry["pages"]) == len(set(entry["pages"]))
        assert {*entry["pages"]} <= {path.stem for path in CHAPTERS}
        assert "capstone" in entry["pages"][-1] and entry["pages"][0].startswith("00")


@each_chapter
def test_the_last_line_of_a_chapter_names_the_next_one_behind_each_door(path):
    """`python book/doors.py` writes it."""
    last = read(path).cells[-1].source
    assert doors.with_line(last, doors.line(path.stem, DOORS)) == last
    for page in doors.after(path.stem, DOORS).values():
        assert f"({page}.ipynb)" in last.splitlines()[-1]


def test_no_text_holds_the_length_of_a_door():
    text = "\n".join(cell.source for path in CHAPTERS for cell in read(path).cells if cell.cell_type == "markdown")
    assert not re.search(r"(nine|ten|eleven|nineteen|twenty|\d+) chapters behind", text)


def test_every_link_to_the_glossary_names_an_entry():
    pytest.importorskip("sphinx")
    glossary = loaded(BOOK / "_ext" / "glossary_links.py")
    entries = (BOOK / "appendices" / "glossary.md").read_text(encoding="utf-8").split("{glossary}")[1]
    terms = re.findall(r"^(?=[^\s`])(.+)$", entries, re.MULTILINE)
    assert terms == sorted(terms, key=str.lower)
    markdown = [cell.source for path in CHAPTERS for cell in read(path).cells if cell.cell_type == "markdown"]
    linked = [words for text in markdown for words in glossary.words_linked(text)]
    assert len(linked) > 30
    assert [words for words in linked if glossary.term_of(words, terms) is None] == []


def test_words_that_a_reader_looks_up_have_an_entry():
    entries = (BOOK / "appendices" / "glossary.md").read_text(encoding="utf-8")
    asked = [
        "locality",
        "HySime",
        "k-means++",
        "L-BFGS",
        "shade",
        "mask",
        "nat",
        "latent",
        "epoch",
        "Hellinger distance",
    ]
    asked += ["Dirichlet", "concentration", "softmax", "unbalanced", "negative control", "decay length", "blur"]
    assert [word for word in asked if not re.search(rf"^{re.escape(word)}$", entries, re.M)] == []
    penalty = entries.split("\nunbalanced\n")[1].split("\n\n")[0]
    assert "grows from zero" in penalty and "per unit" not in penalty


EVERYDAY = {"NumPy", "GPU", "CPU", "GB", "JSON", "MATLAB", "ValueError", "ConvergenceWarning", "II"}
SENSORS = {"AVIRIS", "EMIT", "EnMAP", "NEON", "PRISMA", "GDAL", "USGS"}  # names that say no more when they are told


def test_an_abbreviation_of_a_chapter_is_in_the_glossary():
    entries = (BOOK / "appendices" / "glossary.md").read_text(encoding="utf-8")
    said = "\n".join(cell.source for path in CHAPTERS for cell in read(path).cells if cell.cell_type == "markdown")
    words = re.sub(r"```.*?```|\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\([^)]*(?:ipynb|http)[^)]*\)", "", said, flags=re.S)
    short = set(re.findall(r"\b[A-Z]{2,}[A-Za-z]*\b|\b[A-Z]-[A-Z]+\b|\b[A-Z][a-z]+[A-Z]+[a-z]*\b|\bk-means\+\+", words))
    assert len(short) > 20
    assert sorted(word for word in short - EVERYDAY - SENSORS if not re.search(rf"\b{re.escape(word)}", entries)) == []


def test_the_table_of_contents_lists_every_chapter():
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    listed = [toc["root"]] + [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    assert len(listed) == len(set(listed))
    assert {path.stem for path in CHAPTERS} <= set(listed)
    assert [name for name in listed if not any((BOOK / f"{name}{end}").exists() for end in (".ipynb", ".md"))] == []


def test_no_page_links_to_another_host_for_what_it_shows():
    """Images, scripts and styles of the book's sources are its own."""
    sources = [path.read_text(encoding="utf-8") for path in [*BOOK.rglob("*.md"), *CHAPTERS]]
    assert [
        found for text in sources for found in re.findall(r"!\[[^\]]*\]\(https?:[^)]*\)|src=.?.?https?:[^>]*", text)
    ] == []


def test_strip_keeps_text_and_drops_the_rest():
    image = nbformat.v4.new_output(
        "display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure size 1x1 with 1 Axes>"}
    )
    drawing = nbformat.v4.new_output("display_data", {"text/html": "<p><svg></svg></p>", "text/plain": "a drawing"})
    view = nbformat.v4.new_output(
        "execute_result",
        {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "Demo()"},
        execution_count=9,
    )
    told = nbformat.v4.new_output("stream", name="stdout", text="ok: it adds up\n")
    cell = nbformat.v4.new_code_cell("x", outputs=[image, drawing, view, told], execution_count=9)
    cell.metadata = nbformat.from_dict({"tags": ["hide-input"], "execution": {"iopub.status.busy": "now"}})
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"state": {}}})

    bar = {"text/plain": "nnls:  25%|##5       | 1/4", "application/vnd.jupyter.widget-view+json": {}}
    notebook.cells[0].outputs.append(nbformat.v4.new_output("display_data", bar))
    stripped = strip.strip_notebook(notebook).cells[0]

    assert "widgets" not in notebook.metadata
    assert stripped.metadata == {"tags": ["hide-input"]}
    assert stripped.execution_count == 1
    assert [set(output.data) for output in stripped.outputs[:3]] == [{"text/plain"}] * 3
    assert [output.text for output in stripped.outputs[3:]] == ["ok: it adds up\n"]


def test_sanitising_hides_addresses_sizes_and_times_and_nothing_else():
    from nbval.plugin import get_sanitize_patterns

    def sanitise(text: str) -> str:
        for pattern, replacement in get_sanitize_patterns((ROOT / "tests" / "sanitize.cfg").read_text()):
            text = re.sub(pattern, replacement, text)
        return text

    assert sanitise("<Figure size 640x480 with 2 Axes>") == "FIGURE"
    assert sanitise("<A object at 0x7f9c8a7550d0>") == "<A object at ADDRESS>"
    assert sanitise("fitted in 12.3 s") == "fitted in TIME"
    assert sanitise("ok: marginals match to 1e-9 on 3 samples") == "ok: marginals match to 1e-9 on 3 samples"


@each_chapter
def test_p_is_a_histogram_and_never_an_exponent(path):
    """The papers' p for the power is `power`, or the price d and d^2, in every chapter."""
    for cell in read(path).cells:
        told = [output.get("text", "") for output in cell.get("outputs", [])]
        assert not re.search(r"(?<![\w])p\$? ?= ?[12](?![\d.])", "\n".join([cell.source, *told])), cell.source[:80]
