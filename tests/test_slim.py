"""What a first load weighs: style sheets, icons, the demos' code and pictures, without a build."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("sphinx")
pytest.importorskip("anywidget")
tinycss2 = pytest.importorskip("tinycss2")
ROOT = Path(__file__).resolve().parents[1]

spec = importlib.util.spec_from_file_location("slim_pages", ROOT / "book" / "_ext" / "slim_pages.py")
slim_pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(slim_pages)

from wdl_tutorial.widgets import FramePlayer, TwoPeaks  # noqa: E402
from wdl_tutorial.widgets.source import esm  # noqa: E402

HOST = '<script defer="defer" src="../_static/widget-host.js"></script>'


def pruned(sheet: str, *used: str) -> str:
    return slim_pages.prune(tinycss2.parse_stylesheet(sheet, skip_whitespace=True), set(used))


def test_a_rule_stays_where_one_of_its_selectors_can_match():
    assert pruned(".a .b, .c:hover { top: 0 }", "c").replace(" ", "") == ".c:hover{top:0}"
    assert pruned(".a .b { top: 0 }", "a") == ""
    assert pruned("p { top: 0 } .a:not(.gone, .b) { top: 1px }", "a").count("top") == 2


def test_rules_inside_a_media_query_are_pruned_and_what_is_not_understood_stays():
    sheet = "@media print { .a { top: 0 } .b { top: 1px } } @media (width > 1px) { .b { left: 0 } } .x\\:y { top: 2px }"
    found = pruned(sheet, "a")
    assert "@media print" in found and ".a" in found
    assert ".b" not in found and "width" not in found and ".x\\:y" in found


def page_of(*widgets) -> str:
    """A built page as MyST-NB writes it."""
    state = {}
    for k, widget in enumerate(widgets):
        values = {name: widget.trait_values()[name] for name in widget.keys if not name.startswith("_view")}
        frames = list(values.pop("frames", []))
        buffers = [
            {"encoding": "base64", "path": ["frames", n], "data": base64.b64encode(f).decode()}
            for n, f in enumerate(frames)
        ]
        plain = {n: v for n, v in values.items() if isinstance(v, str | int | float | list)}
        state[f"m{k}"] = {"state": {**plain, "frames": [None] * len(frames)}, "buffers": buffers}
    state["unseen"] = {"state": {"_esm": "x"}, "buffers": []}
    held = f'<script type="application/vnd.jupyter.widget-state+json">{json.dumps({"state": state})}</script>'
    views = "".join(
        f'<script type="application/vnd.jupyter.widget-view+json">{{"model_id": "m{k}"}}</script>'
        for k in range(len(widgets))
    )
    return f"<html><head>{HOST}{held}</head><body>{views}</body></html>"


def state_of(page: str) -> dict:
    return json.loads(slim_pages.STATE.search(page)[2])["state"]


def test_demos_share_their_code_and_what_is_not_shown_is_not_carried(tmp_path):
    page = slim_pages.slim_page(page_of(TwoPeaks(), TwoPeaks()), tmp_path)
    found = state_of(page)
    assert set(found) == {"m0", "m1"}
    names = found["m0"]["state"]["_esm"]
    assert names[-1] == "two_peaks.js" and "shell.js" in names
    for name in names:
        assert page.count(f'src="../_static/demos/{name}"') == 1
    assert page.index("demos/shell.js") < page.index("widget-host.js")
    assert slim_pages.slim_page(page, tmp_path) == page  # a page that was not written again


def test_the_parts_together_are_the_code_of_the_demo(tmp_path):
    slim_pages.share_parts(tmp_path)
    scripts = {file.name: file.read_text(encoding="utf-8") for file in (tmp_path / "demos").glob("*.js")}
    words = {name: json.loads(re.search(r"\] = (.*);\n$", text, re.DOTALL)[1]) for name, text in scripts.items()}
    for code, names in slim_pages.parts().items():
        assert "\n\n".join(words[name] for name in names) + "\n" == code


def test_frames_become_files_and_numbers_are_packed(tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.random((40, 40)), rng.random((40, 40))]
    player = FramePlayer(frames, ["one", "two"])
    (entry,) = state_of(slim_pages.slim_page(page_of(player), tmp_path)).values()
    assert entry["buffers"] == []
    for address, frame in zip(entry["state"]["frames"], player.frames):
        assert (tmp_path / address.removeprefix("../")).read_bytes() == frame

    numbers = np.zeros(5000, "<i2").tobytes()
    buffer = {"encoding": "base64", "path": ["parents"], "data": base64.b64encode(numbers).decode()}
    held = {"state": {}, "buffers": [buffer]}
    slim_pages.buffers_apart(held, "", tmp_path)
    (packed,) = held["buffers"]
    assert packed["encoding"] == "deflate" and len(packed["data"]) < 100
    assert zlib.decompress(base64.b64decode(packed["data"])) == numbers


def test_a_page_loads_no_script_for_what_it_does_not_have(tmp_path):
    script = '<script defer="defer" src="_static/mathjax/startup.js"></script>'
    assert "mathjax" not in slim_pages.slim_page(f"<head>{script}</head><p>words</p>", tmp_path)
    assert "mathjax" in slim_pages.slim_page(f'<head>{script}</head><p class="math">x</p>', tmp_path)


def test_the_icons_that_a_style_sheet_draws_are_in_the_font(tmp_path):
    from fontTools.ttLib import TTFont
    from pydata_sphinx_theme import __file__ as theme

    font = next(Path(theme).parent.rglob("fa-solid-900.ttf"))
    rule = slim_pages.icon_font('.a:before{content:"\\f002"} .b:before{content:"\uf078"}', font)
    data = base64.b64decode(re.search(r"base64,([^)]*)", rule)[1])
    (tmp_path / "icons.woff").write_bytes(data)
    assert set(TTFont(tmp_path / "icons.woff").getBestCmap()) == {0xF002, 0xF078}
    assert len(data) < 3000


def test_a_site_is_slimmed_once_and_stays_so(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "book.css").write_text(".wdl { top: 0 }")
    (tmp_path / "a.html").write_text(page_of(TwoPeaks()), encoding="utf-8")
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=str(tmp_path))
    slim_pages.slim_site(app, None)
    once = (tmp_path / "a.html").read_text(encoding="utf-8")
    slim_pages.slim_site(app, None)
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == once
    assert esm("two_peaks.js")[:200] not in once
