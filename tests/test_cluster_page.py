"""The examples of the page "From a laptop to a cluster" run, in order, on a cluster of two processes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "book" / "appendices" / "cluster.md"


def test_the_examples_of_the_page_run_from_top_to_bottom(tmp_path):
    pytest.importorskip("distributed")
    pytest.importorskip("zarr")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    assert len(blocks) == 4
    guard = 'if __name__ == "__main__":\n    main()\n'
    setup, stream, cluster, land = blocks
    assert cluster.endswith(guard)  # a worker process imports the script: only the driver may run it
    body = "\n".join("    " + line for line in (setup + stream + land).splitlines())
    script = f"{cluster.removesuffix(guard)}\n\nif __name__ == '__main__':\n{body}\n    main()\n"
    (tmp_path / "page.py").write_text(script, encoding="utf-8")
    run = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.splitlines() == ["True 1.0", "20 (3, 32)", "(2000,)", "(2000, 3) True"]
    assert (tmp_path / "weights.zarr").is_dir() and (tmp_path / "fit.npz").stat().st_size < 20_000
