"""Sphinx extension: what a first load weighs. It runs when the pages are written, and changes nothing that is seen.

* Of the theme's style sheets those rules stay whose classes some page or script uses; of its icons those that are drawn.
  The icons are a font of a few kB inside the style sheet: no script, and no second file that ``file://`` would refuse.
* The code of a demo is kept once for the site, in parts that demos share (``_static/demos``), not once for each demo.
* The pictures of a player are files, fetched when somebody comes near; so are figures, of few colours.
* A page without a formula does not load MathJax, nor any page a script for what it does not have.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import logging
import re
import zlib
from functools import cache
from pathlib import Path

import tinycss2
from fontTools import subset
from fontTools.ttLib import TTFont

from wdl_tutorial.widgets.frames import PNG, few_colours
from wdl_tutorial.widgets.source import FOLDER, css, esm, inlined, modules

STATE = re.compile(r'(<script type="application/vnd\.jupyter\.widget-state\+json">)(.*?)(</script>)', re.DOTALL)
HOST = re.compile(r'<script[^>]*src="(?P<root>[^"]*)_static/widget-host\.js[^"]*"></script>')
SHEETS = ("styles/*-theme.css", "mystnb.*.css", "sphinx-design.min.css", "basic.css", "pygments.css")
COMPOSED = ("bs-tooltip-", "kind-")  # class names that a script puts together
NEEDED_FOR = {  # a script or a style sheet -> what a page holds that needs it
    "mathjax/": 'class="math',
    "design-tabs.js": "sd-tab-set",
    "togglebutton.": 'class="toggle|admonition[^"]* dropdown',
    "scripts/fontawesome.js": "nothing: the icons are a font",
}
logging.getLogger("fontTools").setLevel(logging.ERROR)  # it tells each table that it cuts
COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*?$", re.DOTALL | re.MULTILINE)
FONT_FACE = "@font-face{font-family:'Font Awesome 6 Free';font-weight:900;src:url(data:font/woff;base64,%s)}"
WORD = re.compile(r"-?[A-Za-z_][\w-]*")
SMALL = 2_000  # bytes of numbers that are not worth packing
HEAVY = 30_000  # bytes: a picture that is worth a palette


def words_in_use(static: Path, pages: list[Path]) -> set[str]:
    """Every word of a class attribute, and every word of a script that could set one."""
    found: set[str] = set()
    for page in pages:
        for names in re.findall(r'class=\\?"([^"\\]*)', page.read_text(encoding="utf-8")):
            found.update(html.unescape(names).split())
    scripts = [path for path in static.rglob("*.js") if "mathjax" not in path.parts and path.name != "fontawesome.js"]
    for script in [*scripts, *FOLDER.glob("*.js")]:
        found.update(WORD.findall(COMMENT.sub("", script.read_text(encoding="utf-8"))))
    return found


def is_used(selector: str, used: set[str]) -> bool:
    """Whether a selector can match: all classes outside its parentheses are in use."""
    bare = re.sub(r"\([^()]*\)", "", re.sub(r"\([^()]*\)", "", selector))
    names = re.findall(r"\.(-?[A-Za-z_][\w-]*)", re.sub(r"\[[^]]*\]", "", bare))
    return "\\" in bare or all(name in used or name.startswith(COMPOSED) for name in names)


def apart(prelude: str) -> list[str]:
    """The selectors of a rule, split at the commas that stand in no parenthesis."""
    found, depth = [""], 0
    for sign in prelude:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    return found


def prune(rules: list, used: set[str]) -> str:
    """The rules that can match, as text; what is no plain rule stays as it is."""
    kept = []
    for rule in rules:
        if rule.type == "qualified-rule":
            live = [one for one in apart(tinycss2.serialize(rule.prelude)) if is_used(one, used)]
            if live:
                kept.append(f"{','.join(live)}{{{tinycss2.serialize(rule.content)}}}")
        elif rule.type == "at-rule" and rule.content is not None and rule.lower_at_keyword in ("media", "supports"):
            inner = prune(tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True), used)
            if inner:
                kept.append(f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inner}}}")
        elif rule.type != "at-rule" or rule.lower_at_keyword != "font-face":
            kept.append(rule.serialize())
    return "".join(kept)


def icon_font(texts: str, font: Path) -> str:
    """The rule that brings the icons which some style sheet draws, the font inside it."""
    codes = {int(code, 16) for code in re.findall(r"\\([ef][0-9a-f]{3})\b", texts)}
    codes |= {ord(sign) for sign in re.findall("[\ue000-\uf8ff]", texts)}  # as tinycss2 writes them
    face, buffer = TTFont(font), io.BytesIO()
    options = subset.Options(flavor="woff", layout_features=[], hinting=False, name_IDs=[], notdef_outline=True)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=codes)
    cutter.subset(face)
    face.flavor = "woff"
    face.save(buffer)
    return FONT_FACE % base64.b64encode(buffer.getvalue()).decode("ascii")


def slim_styles(static: Path, pages: list[Path]) -> None:
    """Prune the theme's style sheets, and put the icons into our own, which is written anew in every build."""
    used, sheets = words_in_use(static, pages), sorted({file for name in SHEETS for file in static.glob(name)})
    font = static / "vendor" / "fontawesome" / "webfonts" / "fa-solid-900.ttf"
    for sheet in sheets:
        rules = tinycss2.parse_stylesheet(sheet.read_text(encoding="utf-8"), skip_comments=True, skip_whitespace=True)
        sheet.write_text(prune(rules, used), encoding="utf-8")
    if font.is_file() and sheets:
        texts = "".join(file.read_text(encoding="utf-8") for file in static.rglob("*.css"))
        with (static / "book.css").open("a", encoding="utf-8") as sheet:
            sheet.write(icon_font(texts, font))


@cache
def parts() -> dict[str, list[str]]:
    """The code of every demo -> the files that it is put together from."""
    return {esm(file.name): modules(file.name) for file in FOLDER.glob("*.js") if "export default" in file.read_text()}


def share_parts(static: Path) -> None:
    """Write each part once, as a script that any page may load: from ``file://`` a module could not."""
    folder = static / "demos"
    folder.mkdir(exist_ok=True)
    for name in sorted({name for names in parts().values() for name in names}):
        words = json.dumps(inlined(name), ensure_ascii=False)
        text = f'(window.wdlParts ??= {{}})["{name}"] = {words};\n'
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "demos.css").write_text(css(), encoding="utf-8")


def buffers_apart(entry: dict, root: str, images: Path) -> None:
    """Pictures inside a model become files beside the page; its numbers are packed."""
    inside = []
    for buffer in entry.get("buffers") or []:
        if buffer["encoding"] != "base64":
            inside.append(buffer)  # was packed before
            continue
        data, (first, *rest) = base64.b64decode(buffer["data"]), buffer["path"]
        if first == "frames" and len(rest) == 1 and data.startswith(PNG):
            name = f"frame-{hashlib.sha256(data).hexdigest()[:20]}.png"
            images.mkdir(exist_ok=True)
            (images / name).write_bytes(data)
            entry["state"]["frames"][rest[0]] = f"{root}_images/{name}"
        elif len(data) > SMALL:
            packed = base64.b64encode(zlib.compress(data, 9)).decode("ascii")
            inside.append({**buffer, "encoding": "deflate", "data": packed})
        else:
            inside.append(buffer)
    entry["buffers"] = inside


def slim_demos(text: str, site: Path) -> str:
    """A page whose demos name the parts of their code, and its pictures, in the place of holding them."""
    host, needed, shown = HOST.search(text), [], set(re.findall(r'"model_id": ?"(\w+)"', text))
    if host is None:
        return text

    def slim(found: re.Match) -> str:
        held = json.loads(found[2])
        held["state"] = {key: entry for key, entry in held["state"].items() if key in shown}
        for entry in held["state"].values():
            code = entry["state"].get("_esm")
            names = parts().get(code) if isinstance(code, str) else None
            if names:
                needed.extend(name for name in names if name not in needed)
                entry["state"] |= {"_esm": names, "_css": ""}
            buffers_apart(entry, host["root"], site / "_images")
        words = json.dumps(held, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
        return found[1] + words + found[3]

    text = STATE.sub(slim, text)
    tags = [f'<script defer src="{host["root"]}_static/demos/{name}"></script>' for name in needed]
    sheet = f'<link rel="stylesheet" href="{host["root"]}_static/demos/demos.css" />' if needed else ""
    return text.replace(host[0], "\n".join([sheet, *tags, host[0]]) if needed else host[0], 1)


def slim_page(text: str, site: Path) -> str:
    """One page without what it does not need."""
    for file, sign in NEEDED_FOR.items():
        if not re.search(sign, text):
            tag = rf'\s*<(?:script|link)[^>]*(?:src|href)="[^"]*{re.escape(file)}[^"]*"[^>]*>(?:</script>)?'
            text = re.sub(tag, "", text)
    text = re.sub(r'<img (?![^>]*loading=)(?=[^>]*src="[^"]*_images/)', '<img loading="lazy" ', text)
    return slim_demos(text, site)


def slim_site(app, exception) -> None:
    """All of it; a page and a picture that were not written again are slim already."""
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    pages, static = list(site.rglob("*.html")), site / "_static"
    share_parts(static)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        slim = slim_page(text, site)
        if slim != text:
            page.write_text(slim, encoding="utf-8")
    slim_styles(static, pages)
    for picture in (site / "_images").glob("*.png"):
        data = picture.read_bytes()
        if len(data) > HEAVY and data[25] != 3:  # 3: it has a palette already
            picture.write_bytes(few_colours(io.BytesIO(data), 256))
    for file in [static / "scripts" / "fontawesome.js", *static.rglob("*.map"), *static.glob("vendor/**/*.woff2")]:
        file.unlink(missing_ok=True)


def setup(app) -> dict:
    app.connect("build-finished", slim_site, priority=900)  # after the pages were mended
    return {"parallel_read_safe": True, "parallel_write_safe": True}
