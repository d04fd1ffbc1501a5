"""Draw the README's figure, `make figure`: averaging the heights of two peaks against averaging their positions."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np

import wdl_tutorial as wt

TARGET = Path(__file__).parent / "images" / "two_averages.svg"
ATOM, MEAN, MOVED = "#6b7280", "#d55e00", "#0072b2"  # grey, and vermillion and blue of the Okabe-Ito palette


def curves() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Positions, the two peaks of the WaHU paper's Fig. 1, and their two averages in the middle."""
    x = np.arange(200.0)
    peaks = wt.normalize(np.exp(-0.5 * ((x - np.array([[50.0], [130.0]])) / np.array([[5.0], [10.0]])) ** 2))
    weights = np.array([0.5, 0.5])
    moved = wt.barycenter(peaks, weights, wt.cost_matrix(x / 199.0), eps=1e-3).histogram
    return x, peaks, wt.linear_mixture(peaks, weights), moved


def draw(target: Path = TARGET) -> None:
    """Write the figure as SVG, the same bytes every time."""
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "wdl_tutorial", "font.size": 11})
    from matplotlib import pyplot as plt

    x, peaks, mean, moved = curves()
    figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), sharey=True, layout="constrained")
    for axis, average, color, title in [
        (axes[0], mean, MEAN, "average of the heights: two peaks"),
        (axes[1], moved, MOVED, "average of the positions: one peak"),
    ]:
        for peak in peaks:
            axis.plot(x, peak, color=ATOM, linestyle="--", linewidth=1.2)
        axis.fill_between(x, average, color=color, alpha=0.25, linewidth=0)
        axis.plot(x, average, color=color, linewidth=2)
        axis.set(title=title, xlabel="bin", xlim=(0, 199), ylim=(0, None))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("mass per bin")
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
