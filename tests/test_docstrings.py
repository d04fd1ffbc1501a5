"""Public docstrings keep one form: editors, ``help`` and the reference read the same entries."""

from __future__ import annotations

import ast
import io
import re
import warnings

import pytest
from test_reference import api, described

import wdl_tutorial as wt

numpydoc = pytest.importorskip("numpydoc.docscrape")
pytest.importorskip("docutils")

from docutils import core, nodes  # noqa: E402  (after the skip)
from docutils.parsers.rst import roles  # noqa: E402
from docutils.utils import Reporter  # noqa: E402

LENGTH = 100  # of a first line: what an editor shows beside a completion


def arguments(node: ast.FunctionDef, *, bound: bool) -> list[str]:
    """The names of the parameters as a docstring writes them."""
    a = node.args
    names = [x.arg for x in [*a.posonlyargs, *a.args]][1 if bound else 0 :]
    names += [f"*{a.vararg.arg}"] if a.vararg else []
    return names + [x.arg for x in a.kwonlyargs] + ([f"**{a.kwarg.arg}"] if a.kwarg else [])


def marks(node: ast.FunctionDef) -> set[str]:
    return {ast.unparse(mark).rpartition(".")[2] for mark in node.decorator_list}


def signature(name: str, node: ast.FunctionDef | ast.ClassDef, method: bool) -> list[str]:
    if isinstance(node, ast.FunctionDef):
        return arguments(node, bound=method and "staticmethod" not in marks(node))
    made = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    if made:
        return arguments(made[0], bound=True)
    if [ast.unparse(base) for base in node.bases] != ["Demo"]:
        return []
    traits = [item.targets[0].id for item in node.body if isinstance(item, ast.Assign)]  # of a picture: its state
    return [name for name in traits if not name.startswith("_") and name not in ("title", "caption", "alt")]


def parsed(text: str) -> numpydoc.NumpyDocString:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an unknown section, or one that stands twice
        return numpydoc.NumpyDocString(text)


MODULES = {f"wdl_tutorial.{module}" for module in wt._MODULES}
PROMISED = described()


@pytest.mark.parametrize("name", PROMISED)
def test_a_docstring_names_each_argument_once_and_what_comes_back(name):
    node, _ = PROMISED[name]
    method = name.rpartition(".")[0] in described()
    text = ast.get_docstring(node) or ""
    assert 10 < len(text.partition("\n")[0]) <= LENGTH
    if isinstance(node, ast.FunctionDef) and marks(node) & {"property", "cached_property"}:
        return  # reads as a value, not as a call
    doc = parsed(text)
    assert doc["Summary"] and len(doc["Summary"]) == 1, "the first line is a paragraph of its own"
    written = [entry for one in doc["Parameters"] for entry in re.split(r"\s*,\s*", one.name)]
    wanted = signature(name, node, method)
    assert written == wanted
    assert [one.name for one in doc["Parameters"] if not one.type] == [], "name : type, shape, unit"
    if isinstance(node, ast.FunctionDef) and ast.unparse(node.returns or ast.Constant(None)) != "None":
        assert doc["Returns"] or doc["Yields"]


@pytest.mark.parametrize("name", PROMISED)
def test_a_docstring_and_the_words_beside_fields_are_text_that_the_book_can_set(name):
    for role in ("func", "class", "meth", "attr", "mod", "data", "exc"):
        roles.register_local_role(role, roles.GenericRole(role, nodes.literal))
    node, path = PROMISED[name]
    text, said = api.as_rst(api.told(node, path.read_text(encoding="utf-8")), {}), io.StringIO()
    settings = {"report_level": Reporter.INFO_LEVEL, "halt_level": 5, "warning_stream": said}
    document = core.publish_doctree(text, settings_overrides=settings)
    assert said.getvalue() == ""
    assert [one.astext() for one in document.findall(nodes.title_reference)] == [], "``name``, not `name`"


@pytest.mark.parametrize("name", PROMISED)
def test_a_name_that_a_docstring_leads_to_has_an_entry(name):
    known = set(described()) | set(api.short_names()) | MODULES
    node, path = PROMISED[name]
    named = [match[2] for match in api.ROLE.finditer(api.told(node, path.read_text(encoding="utf-8")))]
    own = name.split(".")[-2:]  # :meth:`predict` stands for that of the class
    known |= {entry.removeprefix(f"{one}.") for entry in known for one in own if entry.startswith(f"{one}.")}
    assert [other for other in named if other not in known] == []
