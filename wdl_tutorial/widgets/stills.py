"""The first frame of each demo, drawn by matplotlib from the package's own numbers, for a page without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import figures
from ..barycenters import barycenter, linear_mixture
from ..costs import GridCost, LineCost, eps_for_blur
from ..histograms import normalize
from .shapes import gaussian

DRAWN: dict[str, Callable[[Any], Any]] = {}


def draws(name: str):
    """Register the first frame of a demo."""

    def keep(draw: Callable[[Any], Any]):
        DRAWN[name] = draw
        return draw

    return keep


def subplots(rows: int, columns: int, height: float, **options: Any):
    """A figure of the book's width and its axes."""
    import matplotlib.pyplot as plt

    return plt.subplots(rows, columns, figsize=(6.4, height), layout="constrained", **options)


@draws("TwoPeaks")
def two_peaks(demo: Any):
    x = np.linspace(0, 200, 401)
    p, q = gaussian(x, demo.left, 5), gaussian(x, demo.right, demo.width)
    # between two Gaussians the average of positions is the Gaussian with the averaged mean and deviation
    mean, std = (1 - demo.t) * np.array([demo.left, 5]) + demo.t * np.array([demo.right, demo.width])
    figure, axes = subplots(2, 1, 4.4, sharex=True, sharey=True)
    averages = (
        ("heights", linear_mixture(np.stack([p, q]), [1 - demo.t, demo.t])),
        ("positions", gaussian(x, mean, std)),
    )
    for ax, (word, average) in zip(axes, averages):
        ax.plot(x, 2 * p, color=figures.GREY, linestyle="--", linewidth=1)
        ax.plot(x, 2 * q, color=figures.GREY, linestyle=":", linewidth=1)
        ax.plot(x, 2 * average, color=figures.COLOURS[0])
        ax.fill_between(x, 2 * average, color=figures.FILLS[0], alpha=0.4)
        ax.set(title=f"average of {word}, t = {demo.t:.2f}", ylabel="mass per bin")
    axes[1].set_xlabel("position (bins)")
    return figure


@draws("BarycenterTriangle")
def barycenter_triangle(demo: Any):
    on_line = demo.shapes == "line"
    atoms = normalize(np.asarray(demo.atoms if on_line else demo.images))
    weights, x = np.asarray(demo.weights), np.asarray(demo.positions)
    side = round(atoms.shape[1] ** 0.5)
    cost = LineCost(x, power=demo.power) if on_line else GridCost((side, side), power=demo.power)
    eps = eps_for_blur(demo.width if on_line else demo.pixels, cost)
    average = barycenter(atoms, weights, cost, eps=eps, n_iter=100, debiased=demo.debiased).histogram
    mixture = linear_mixture(atoms, weights)
    figure, axes = subplots(1, 2 if on_line else 3, 3.0)
    figures.plot_triangle(weights[None], names=["A", "B", "C"], ax=axes[0])
    if on_line:
        rows, names = np.vstack([atoms, average, mixture]), ["A", "B", "C", "positions", "heights"]
        figures.plot_histograms(rows, x, labels=names, fill=False, xlabel="position (bins)", ax=axes[1])
    for ax, image, word in zip(axes[1:], (average, mixture), ("positions", "heights")) if not on_line else ():
        figures.plot_map(image.reshape(side, side), title=f"average of {word}", ax=ax)
    return figure
