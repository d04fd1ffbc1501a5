"""Milliseconds per slider move: every demo in a static page in Chromium, and ``explore`` in Python.

    python benchmarks/bench_widgets.py

The browser's part needs Node.js, Chromium and playwright-core (``make browser`` installs the last one); without them it
is skipped, and says so. Budget: 20 ms for a demo, 100 ms for ``explore`` over a barycenter of 200 bins.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import matplotlib
import numpy as np
from ipywidgets.embed import dependency_state

import wdl_tutorial as wt

matplotlib.use("Agg")
ROOT = Path(__file__).resolve().parents[1]
HOST = ROOT / "book" / "_ext" / "static" / "widget-host.js"
MODULES = Path(os.environ.get("NODE_MODULES", ROOT / "tests" / "browser" / "node_modules"))
VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"


def page(demos: list) -> str:
    """The demos in a static page, as the book writes it."""
    state: dict = {}
    for demo in demos:
        state |= dependency_state(demo, drop_defaults=False)
    script = '<script type="{}">{}</script>'.format
    views = "".join(
        f'<div class="cell_output">{script(VIEW, json.dumps({"model_id": demo.model_id}))}</div>' for demo in demos
    )
    states = script(STATE, json.dumps({"state": state}).replace("</", "<\\/"))
    head = '<!doctype html><meta charset="utf-8"><main style="max-width:760px">'
    return f"{head}{views}</main>{states}<script>{HOST.read_text()}</script>"


def browser_moves(demos: list) -> list[dict] | str:
    """One record for each move, or why there are none."""
    chromium = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    if shutil.which("node") is None or chromium is None or not (MODULES / "playwright-core").is_dir():
        return "skipped: needs Node.js, Chromium and playwright-core (make browser)"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "demos.html"
        file.write_text(page(demos), encoding="utf-8")
        script = Path(__file__).with_suffix(".mjs")
        command = ["node", str(script), str(file), chromium, str(MODULES)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if run.returncode:
        raise RuntimeError(run.stderr[-2000:])
    return json.loads(run.stdout)


def explore_seconds(n_moves: int = 30) -> list[float]:
    """What ``explore`` takes to compute and draw a barycenter of 200 bins."""
    bins = np.arange(200)
    atoms = wt.normalize([np.exp(-0.5 * ((bins - m) / s) ** 2) for m, s in ((50, 5), (130, 10))])
    cost = wt.GridCost(200, spacing=1 / 199)

    def draw(ax, t):
        ax.plot(bins, wt.barycenter(atoms, [1 - t, t], cost, eps=2e-3, n_iter=50).histogram)
        ax.set_ylim(0, 0.1)

    view = wt.widgets.explore(draw, t=(0.0, 1.0))
    seconds = []
    for t in np.linspace(0, 1, n_moves):
        before = time.perf_counter()
        view.sliders["t"].value = float(t)
        seconds.append(time.perf_counter() - before)
    if view.error:
        raise RuntimeError(view.error)
    return seconds[1:]


def main() -> None:
    names = [name for name in wt.widgets.__all__ if name not in ("FramePlayer", "explore", "label_by_hand")]
    in_the_plane = wt.widgets.BarycenterTriangle(shapes="plane", title="The same, in the plane")
    moves = browser_moves([*(getattr(wt.widgets, name)() for name in names), in_the_plane])
    if isinstance(moves, str):
        print(moves)
    else:
        print(f"{'demo':34s} {'moves':>5s} {'compute and draw, ms':>22s} {'key to picture, ms':>20s}")
        for title in dict.fromkeys(move["demo"] for move in moves):
            mine = [move for move in moves if move["demo"] == title]
            draw, seen = (statistics.median(move[key] for move in mine) for key in ("draw", "seen"))
            print(f"{title:34s} {len(mine):5d} {draw:22.1f} {seen:20.1f}")
        draw, seen = (statistics.median(move[key] for move in moves) for key in ("draw", "seen"))
        print(f"{'all: median (budget 20)':34s} {len(moves):5d} {draw:22.1f} {seen:20.1f}")
    milliseconds = 1e3 * statistics.median(explore_seconds())
    print(f"explore, barycenter of 200 bins: median {milliseconds:.0f} ms per move (budget 100)")


if __name__ == "__main__":
    main()
