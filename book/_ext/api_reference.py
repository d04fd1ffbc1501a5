"""Sphinx directive ``api``: the public names of a module, their signatures and docstrings, read from the source.

The source is parsed, never imported: the page is the same where torch or anywidget is not installed. numpydoc reads the
docstrings, as editors do, and sets them.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from numpydoc.docscrape_sphinx import SphinxDocString
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

import wdl_tutorial

PACKAGE = Path(wdl_tutorial.__file__).resolve().parent
DIRECTIVE = re.compile(r"```\{api\} (\S+)\n(?::names: (.*)\n)?")
ROLE = re.compile(r":(func|class|meth|attr|data):`([\w.]+)`")
INLINE = re.compile(r"``(.+?)``|:\w+:`~?(.+?)`|\*\*(.+?)\*\*|(?<!`)`([^`]+)`(?!`)", re.S)
Definition = ast.FunctionDef | ast.ClassDef


def source_of(name: str) -> Path:
    """The file of a module of the package: ``wdl_tutorial.linear`` -> ``linear.py``."""
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def definitions(path: Path) -> dict[str, Definition]:
    """The public functions and classes that a file defines at its top level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }


@functools.cache
def reexported(path: Path) -> dict[str, str]:
    """Name -> module, for the names that an ``__init__.py`` imports or loads at first use."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
            found |= {alias.name: node.module for alias in node.names}
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_LAZY":
            found |= ast.literal_eval(node.value)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


@functools.cache
def listed(path: Path) -> list[str] | None:
    """``__all__`` of a file: a module that has it is a door, and shows what it lists of other modules too."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value) if isinstance(node.value, ast.List | ast.Tuple) else None
    return None


def found_in(path: Path, key: str) -> tuple[Definition, Path] | None:
    """A function or class of that name, in this file or in the one that it is taken from."""
    own = definitions(path)
    if key in own:
        return own[key], path
    module = reexported(path).get(key)
    home = path.parent / f"{module.replace('.', '/')}.py" if module else None
    return found_in(home, key) if home is not None and home.exists() and home != path else None


def public(name: str, names: list[str] | None = None) -> list[tuple[str, Definition, Path]]:
    """The public names of a module, where each is defined.

    They are ``names``; without them those of its ``__all__``, or what the file defines, or what a package loads.
    """
    path = source_of(name)
    own = list(reexported(path) if path.name == "__init__.py" else definitions(path))
    found = []
    for key in names or listed(path) or own:
        place = found_in(path, key)
        if place is not None:
            found.append((key, *place))
    return found


def parameters(node: ast.FunctionDef, *, method: bool = False) -> str:
    """The arguments without their annotations, which the docstring says better."""
    arguments = ast.parse(ast.unparse(node.args).join(["def f(", "): pass"])).body[0].args
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]:
        if argument is not None:
            argument.annotation = None
    bound = method and not any(getattr(mark, "id", "") == "staticmethod" for mark in node.decorator_list)
    if bound and arguments.args:
        arguments.args.pop(0)
    return f"({ast.unparse(arguments)})"


def is_property(node: ast.FunctionDef) -> bool:
    return any(getattr(mark, "id", "") == "property" for mark in node.decorator_list)


def methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    """The public methods that say what they do."""
    return [
        item
        for item in node.body
        if isinstance(item, ast.FunctionDef) and not item.name.startswith("_") and ast.get_docstring(item)
    ]


def signature(node: Definition) -> str:
    if isinstance(node, ast.FunctionDef):
        return parameters(node)
    maker = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    if maker:
        return parameters(maker[0], method=True)
    return f"({', '.join(field_names(node))})" if fields(node, "") else ""


def field_names(node: ast.ClassDef) -> list[str]:
    return [item.target.id for item in node.body if isinstance(item, ast.AnnAssign)]


def fields(node: Definition, source: str) -> list[tuple[str, str]]:
    """The fields of a NamedTuple, each with the comment that stands beside it."""
    if not isinstance(node, ast.ClassDef) or not any(ast.unparse(base) == "NamedTuple" for base in node.bases):
        return []
    lines = source.splitlines() or [""] * node.end_lineno
    told = []
    for item in node.body:
        if isinstance(item, ast.AnnAssign):
            comment = lines[item.end_lineno - 1].partition("  # ")[2]
            told.append((item.target.id, comment))
    return told


def inline(text: str) -> list[nodes.Node]:
    """Words, with what docstrings put into back-quotes as literals."""
    found, last = [], 0
    for match in INLINE.finditer(text):
        literal = match[1] or match[2] or match[4]
        found.append(nodes.Text(text[last : match.start()]))
        found.append(nodes.literal("", literal) if literal else nodes.strong("", match[3]))
        last = match.end()
    return [*found, nodes.Text(text[last:])]


@functools.cache
def short_names() -> dict[str, str]:
    """What docstrings call a public name, such as ``Scene`` or ``Spectra.resample``, and its full name."""
    found = {}
    for page in sorted((Path(__file__).resolve().parents[1] / "appendices" / "reference").glob("*.md")):
        for module, names in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            for key, node, _ in public(module, names.split() or None):
                found.setdefault(key, f"{module}.{key}")
                for method in methods(node) if isinstance(node, ast.ClassDef) else ():
                    found.setdefault(f"{key}.{method.name}", f"{module}.{key}.{method.name}")
    return found


def told(node: Definition, source: str) -> str:
    """The docstring, and of a NamedTuple its fields with the comments that stand beside them."""
    text = inspect.cleandoc(ast.get_docstring(node) or "")
    lines = "\n".join(f"{field}\n    {comment}" for field, comment in fields(node, source))
    if not lines:
        return text
    before, mark, after = text.partition("\nExamples\n--------\n")
    return f"{before}\n\nAttributes\n----------\n{lines}\n{mark}{after}"


def as_rst(text: str, names: dict[str, str], own: str = "") -> str:
    """A docstring as numpydoc sets it, in reStructuredText; ``names`` are what its types and roles may lead to.

    ``own``: the class that it stands in, whose methods it names without their class.

    >>> print(as_rst("See :func:`fcls`.", {"fcls": "wdl_tutorial.linear.fcls"}).strip())
    See :func:`fcls <wdl_tutorial.linear.fcls>`.
    """
    classes = {name: full for name, full in names.items() if name[0].isupper() and "." not in name}
    leads = names | {name.removeprefix(f"{own}."): full for name, full in names.items() if name.startswith(f"{own}.")}
    text = ROLE.sub(lambda m: f":{m[1]}:`{m[2]} <{leads[m[2]]}>`" if m[2] in leads else m[0], text)
    return str(SphinxDocString(text, {"xref_param_type": True, "xref_aliases": classes, "xref_ignore": "all"}))


def render(state, text: str, own: str = "") -> list[nodes.Node]:
    """A docstring as document nodes, parsed where a page of Markdown holds it."""
    held = nodes.container()
    state.nested_parse(StringList(["````{eval-rst}", *as_rst(text, short_names(), own).splitlines(), "````"]), 0, held)
    return held.children


def entry(owner: str, name: str, signed: str, content: list[nodes.Node], kind: str) -> addnodes.desc:
    """A signature with a link of its own, and what is below it; :func:`announce` makes it known to the rest of the book."""
    full = f"{owner}.{name}"
    line = addnodes.desc_signature(full, "", ids=[full], fullname=full, classes=["sig-object", "py"])
    line["_toc_parts"], line["_toc_name"] = (), ""
    if kind == "class":
        line += addnodes.desc_annotation("", "class ")
    line += [addnodes.desc_name(name, name), nodes.inline("", signed, classes=["wdl-signature"])]
    held = addnodes.desc_content("", *content)
    held["support_smartquotes"] = False  # "exact" is typed as it stands
    return addnodes.desc("", line, held, domain="py", objtype=kind, desctype=kind, classes=["py", kind])


def where(node: Definition, path: Path, repository: str) -> nodes.paragraph:
    """The file and the line, linked where the book knows its repository."""
    file, line = path.relative_to(PACKAGE.parent).as_posix(), node.lineno
    words = f"{file}, line {line}"
    if not repository:
        return nodes.paragraph("", "", nodes.literal("", words), classes=["wdl-where"])
    link = nodes.reference("", words, refuri=f"{repository.rstrip('/')}/blob/HEAD/{file}#L{line}")
    return nodes.paragraph("", "", link, classes=["wdl-where"])


def announce(environment, module: str, described: addnodes.desc) -> list[nodes.Node]:
    """Put an entry, and its methods, into the inventory, the index and the search."""
    domain, found = environment.get_domain("py"), []
    for one in [described, *described.findall(addnodes.desc)]:
        line = next(iter(one.findall(addnodes.desc_signature)))
        full, kind = line["fullname"], one["objtype"]
        if full not in domain.objects:
            domain.note_object(full, kind, full, location=line)
            shown = f"{full.removeprefix(f'{module}.')} (in {module})"
            found.append(addnodes.index(entries=[("single", shown, full, "", None)]))
    return [*found, described]


def described(state, owner: str, name: str, node: Definition, path: Path) -> addnodes.desc:
    """One public function or class, with its fields and methods."""
    content = render(state, told(node, path.read_text(encoding="utf-8")), name)
    if isinstance(node, ast.FunctionDef):
        return entry(owner, name, signature(node), content, "function")
    for method in methods(node):
        signed = "" if is_property(method) else parameters(method, method=True)
        content.append(
            entry(f"{owner}.{name}", method.name, signed, render(state, ast.get_docstring(method), name), "method")
        )
    return entry(owner, name, signature(node), content, "class")


def page_of(environment, module: str) -> list[nodes.Node]:
    """The module itself in the inventory, so that its name in a chapter leads to its page."""
    domain, place = environment.get_domain("py"), f"module-{module}"
    if module in domain.objects:
        return []
    target = nodes.target("", "", ids=[place], ismod=True)
    domain.note_object(module, "module", place, location=target)
    return [target]


class Api(Directive):
    """``{api} wdl_tutorial.linear``: what the module offers, one entry per public name, or per name of ``:names:``."""

    required_arguments = 1
    option_spec: ClassVar = {"names": str.split}

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        environment = self.state.document.settings.env
        opening = ast.get_docstring(ast.parse(source_of(name).read_text(encoding="utf-8"))) or ""
        found = page_of(environment, name)
        if "names" not in self.options:
            found += render(self.state, opening.split("\n\n")[0])
        environment.note_dependency(str(source_of(name)))
        for key, node, path in public(name, self.options.get("names")):
            environment.note_dependency(str(path))
            one = described(self.state, name, key, node, path)
            one.children[-1].append(where(node, path, environment.config.wdl_repository))
            found += announce(environment, name, one)
        return found


class CheatSheet(Directive):
    """``{cheatsheet} wdl_tutorial wdl_tutorial.linear``: what can be called, and the first line of each, in small print."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        found, seen = nodes.container(classes=["wdl-cheatsheet"]), set()
        for name in self.arguments[0].split():
            found += nodes.rubric("", name.replace("wdl_tutorial", "wt"))
            rows = nodes.definition_list()
            for key, node, path in public(name):
                if fields(node, "") or key in seen:
                    continue  # a result is made by what is listed; a name of wt is not told again
                seen.add(key)
                self.state.document.settings.env.note_dependency(str(path))
                term = nodes.term("", "", nodes.literal("", key), nodes.inline("", short(signature(node))))
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                own = [f".{method.name}" for method in methods(node)] if isinstance(node, ast.ClassDef) else []
                words = nodes.paragraph("", "", *inline(" ".join([plain(first), *own])))
                rows += nodes.definition_list_item("", term, nodes.definition("", words))
            found += rows
        return [found]


def plain(text: str) -> str:
    """Words whose roles are names only, without emphasis.

    >>> plain("The :func:`rmse` of each map.")
    'The ``rmse`` of each map.'
    """
    return re.sub(r"\*(\w[\w ]*)\*", r"\1", ROLE.sub(r"``\2``", text))


def short(signed: str, length: int = 60) -> str:
    """The arguments without their defaults, cut where they are many.

    >>> short("(p, q, cost, *, eps, tol=1e-09)")
    '(p, q, cost, *, eps, tol)'
    """
    plain = re.sub(r"=[^,()]*(\([^)]*\))?", "", signed)
    return plain if len(plain) <= length else plain[:length].rsplit(",", 1)[0] + ", ...)"


# ------------------------------------------------------------------------------------------- links to the reference

NAME = re.compile(r"^wt((?:\.[A-Za-z_]\w*)+)")
CODE = re.compile(r'<span class="n">wt</span>(?:<span class="o">\.</span><span class="n">\w+</span>)+')


def documented(text: str, objects) -> str | None:
    """The longest documented name that ``text``, such as ``wt.linear.fcls(X, M)``, begins with.

    >>> documented("wt.linear.fcls(X, M)", {"wdl_tutorial.linear.fcls"})
    'wdl_tutorial.linear.fcls'
    """
    match = NAME.match(text.strip())
    parts = match[1].strip(".").split(".") if match else []
    for length in range(len(parts), 0, -1):
        full = ".".join(["wdl_tutorial", *parts[:length]])
        if full in objects:
            return full
    return None


class FirstNames(SphinxPostTransform):
    """Link the first ``wt.name`` of each page's prose to its entry in the reference."""

    default_priority = 12
    formats = ("html",)

    def run(self, **kwargs) -> None:
        objects, seen = self.env.get_domain("py").objects, set()
        for literal in list(self.document.findall(nodes.literal)):
            full = documented(literal.astext(), objects)
            if full is None or full in seen or isinstance(literal.parent, nodes.reference | nodes.title | nodes.term):
                continue
            seen.add(full)
            place = objects[full]
            uri = self.app.builder.get_relative_uri(self.env.docname, place.docname)
            link = nodes.reference("", "", refuri=f"{uri}#{place.node_id}", internal=True, classes=["wdl-api-link"])
            literal.replace_self(link)
            link += literal


def link_code(text: str, objects: dict[str, str]) -> str:
    """Link the first use of each documented name in a page's highlighted code; ``objects``: name -> address."""
    seen = set()

    def linked(found: re.Match) -> str:
        chain = re.findall(r'<span class="n">(\w+)</span>', found[0])
        full = documented(".".join(chain), objects)
        if full is None or full in seen:
            return found[0]
        seen.add(full)
        kept = full.count(".") + 1  # of the chain; what comes after it stays outside of the link
        pieces = re.findall(r'<span class="[no]">[^<]*</span>', found[0])
        inside, outside = pieces[: 2 * kept - 1], pieces[2 * kept - 1 :]
        return f'<a class="wdl-api-link" href="{objects[full]}">{"".join(inside)}</a>{"".join(outside)}'

    return CODE.sub(linked, text)


def link_pages(app, exception) -> None:
    """Link names in the code of the written pages; a page that was not written again is linked already."""
    if exception or app.builder.format != "html":
        return
    objects = app.env.get_domain("py").objects
    for docname in app.env.found_docs:
        page = Path(app.builder.get_outfilename(docname))
        text = page.read_text(encoding="utf-8")
        if '<a class="wdl-api-link" href' in text:
            continue
        relative = {n: f"{app.builder.get_relative_uri(docname, o.docname)}#{o.node_id}" for n, o in objects.items()}
        linked = link_code(text, relative)
        if linked != text:
            page.write_text(linked, encoding="utf-8")


def setup(app) -> dict:
    app.add_directive("api", Api)
    app.add_directive("cheatsheet", CheatSheet)
    app.add_post_transform(FirstNames)
    app.connect("build-finished", link_pages)
    return {"version": wdl_tutorial.__version__, "parallel_read_safe": True, "parallel_write_safe": True}
