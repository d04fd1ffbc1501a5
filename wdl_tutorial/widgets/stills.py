"""The first frame of each demo, drawn by matplotlib from the package's own numbers, for a page without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from .. import figures, linear
from ..barycenters import barycenter, barycenter_steps, linear_mixture
from ..costs import GridCost, LineCost, cost_matrix, eps_for_blur
from ..histograms import normalize
from ..kernels import gibbs_kernel
from ..transport import sinkhorn
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


def spectra_axes(ax: Any, demo: Any, title: str) -> None:
    """The three spectra of a demo, named."""
    figures.plot_endmembers(np.asarray(demo.endmembers), np.asarray(demo.wavelengths), names=demo.names, ax=ax)
    ax.set_title(title)


@draws("Unmix60")
def unmix60(demo: Any):
    endmembers, wavelengths = np.asarray(demo.endmembers), np.asarray(demo.wavelengths)
    hidden, yours = np.asarray(demo.truth) @ endmembers, np.asarray(demo.weights) @ endmembers
    figure, (top, below) = subplots(2, 1, 4.4, sharex=True, height_ratios=[3, 1])
    spectra_axes(top, demo, "dots: the hidden pixel")
    top.plot(wavelengths, hidden, linestyle="none", marker=".", color="black")
    top.set_xlabel("")
    below.fill_between(wavelengths, hidden - yours, color=figures.FILLS[1])
    most = 1.05 * np.abs(hidden - endmembers).max()  # all on one mineral is the worst that there is
    below.set(title="what your mixture leaves over", xlabel="wavelength (nm)", ylim=(-most, most))
    return figure


@draws("PlanByHand")
def plan_by_hand(demo: Any):
    plan = np.asarray(demo.plan).reshape(6, 6)
    source, target = [3, 2, 2, 1, 0, 0], [0, 0, 1, 2, 2, 3]
    figure, ax = subplots(1, 1, 3.4)
    for row, counts, colour in ((5, source, figures.FILLS[0]), (0, target, "none")):
        for i, count in enumerate(counts):
            for block in range(count):
                ax.bar(i, 0.8, bottom=row + block, width=0.5, facecolor=colour, edgecolor="black")
    for (i, j), count in np.ndenumerate(plan):
        if count:
            ax.plot([i, j], [4.9, max(target) + 0.1], linewidth=1.5 * count, color=figures.COLOURS[0], linestyle="-")
    ax.set(xlabel="position (bins)", yticks=[1.5, 6.5], yticklabels=["to", "from"])
    return figure


@draws("ScalingSteps")
def scaling_steps(demo: Any):
    x = np.arange(40.0)
    bump = lambda mean, std: np.exp(-0.5 * ((x - mean) / std) ** 2)  # noqa: E731
    p, q = normalize(bump(8, 3) + 0.7 * bump(22, 3) + 0.004), normalize(bump(28, 5) + 0.004)
    cost = cost_matrix(x)
    kernel = np.exp(-cost / demo.eps)
    u, v = np.ones(40), np.ones(40)
    for press in range(int(demo.presses)):
        if press % 2 == 0:
            v = q / (kernel.T @ u)
        else:
            u = p / (kernel @ v)
    plan = u[:, None] * kernel * v
    figure, ax = subplots(1, 1, 4.4)
    ax.set_box_aspect(1)
    figures.plot_plan(plan / plan.sum(), p, q, xlabel="to (bins)", ylabel="from (bins)", ax=ax)
    return figure


@draws("Underflow")
def underflow(demo: Any):
    cost = cost_matrix(np.arange(8.0), np.arange(8.0, 16.0))
    exponents = -cost / demo.eps / np.log(10)
    wall = {"float64": -323.3, "float32": -44.9}[demo.precision]
    figure, ax = subplots(1, 1, 3.4)
    for lane, row in enumerate(exponents):
        lost = (row < wall) & (not demo.logarithms)
        ax.plot(row[~lost], np.full(np.sum(~lost), lane), "o", color=figures.COLOURS[0])
        ax.plot(np.maximum(row[lost], -400), np.full(np.sum(lost), lane), "x", color=figures.COLOURS[1])
    for name, place in (("float64 ends", -323.3), ("float32 ends", -44.9)):
        ax.axvline(place, color=figures.GREY, linestyle="--", linewidth=1)
        ax.annotate(name, (place, -0.9), ha="center")
    ax.set(xlim=(-420, 12), ylim=(7.6, -1.3), xlabel="power of ten of the entry of exp(-cost/eps)", ylabel="source bin")
    return figure


@draws("DrawAtoms")
def draw_atoms(demo: Any):
    data = np.asarray(demo.data)
    bins = np.arange(data.shape[1])
    atoms = [gaussian(bins, at, demo.spread) for at in (demo.left, demo.right)]
    if len(demo.drawn) == 2 * len(bins):
        atoms = normalize(np.asarray(demo.drawn).reshape(2, -1))
    figure, ax = subplots(1, 1, 3.4)
    ax.plot(bins, data.T, color=figures.GREY, linestyle="solid", linewidth=0.7)
    figures.plot_histograms(np.stack(atoms), labels=["atom A", "atom B"], ax=ax)
    ax.set_title("twelve histograms and two atoms")
    return figure


@draws("GradientFilm")
def gradient_film(demo: Any):
    bins = np.arange(40.0)
    atoms = np.stack([gaussian(bins, 10, 3), gaussian(bins, 29, 3)])
    pushed = atoms + demo.nudge * (np.arange(2) == 0)[:, None] * (bins == round(demo.bin))
    kernel = gibbs_kernel(cost_matrix(bins), 50.0)
    half = np.array([0.5, 0.5])
    layers = [[s.histogram for s in islice(barycenter_steps(a, half, kernel), 5)] for a in (atoms, pushed)]
    change = np.array(layers[1]) - np.array(layers[0])
    figure, ax = subplots(1, 1, 3.6)
    for layer, row in enumerate(change, start=1):
        ax.fill_between(bins, layer, layer - 0.7 * row / np.abs(change).max(), color=figures.FILLS[1])
    ax.axvline(demo.bin, color=figures.GREY, linestyle=":", linewidth=1)
    ax.set(ylim=(5.4, 0), ylabel="layer", xlabel="bin", title="what a push on one bin changes in each layer")
    return figure


@draws("OrphanPeak")
def orphan_peak(demo: Any):
    x = np.linspace(0, 200, 101)
    p = (gaussian(x, 45, 6) + gaussian(x, demo.orphan, 6)) / 2
    q = gaussian(x, 55, 6)
    plan = sinkhorn(p, q, cost_matrix(x), eps=32.0, marginal_weight=demo.marginal_weight, tol=1e-6).plan
    figure, axes = subplots(2, 1, 4.4, sharex=True, sharey=True)
    sides = (
        (p, plan.sum(1), "source: dashed what is there, blue what leaves"),
        (q, plan.sum(0), "target: dashed what is wanted, blue what arrives"),
    )
    for ax, (whole, part, title) in zip(axes, sides):
        ax.plot(x, 50 * whole, color="black", linestyle="--", linewidth=1.2)
        ax.fill_between(x, 50 * part, color=figures.FILLS[0], alpha=0.6)
        ax.set(title=title, ylabel="grams per bin")
    axes[1].set_xlabel("position (bins)")
    return figure


@draws("ShadeTriangle")
def shade_triangle(demo: Any):
    import matplotlib.pyplot as plt

    endmembers, truth = np.asarray(demo.endmembers), np.asarray(demo.weights)
    nm = np.asarray(demo.wavelengths)
    sky = demo.sky * (550 / nm) ** 3 * (nm[0] < 1000)
    pixel = (demo.shade + sky) * (truth @ endmembers)
    answers = [linear.fcls(pixel[None], endmembers), linear.nnls(pixel[None], endmembers, normalize=True)]
    points = np.vstack([truth, *(a.abundances[0] for a in answers)])
    labels = ["truth", "FCLS", "NNLS / sum"]
    figure, axes = plt.subplot_mosaic("AAABBB;CCDDEE", figsize=(6.4, 4.6), layout="constrained")
    figures.plot_triangle(points, names=demo.names, groups=labels, ax=axes["A"])
    axes["A"].legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, fontsize=8, columnspacing=0.8)
    spectra_axes(axes["B"], demo, f"black: the pixel, light {demo.shade:.2f}")
    axes["B"].plot(np.asarray(demo.wavelengths), pixel, color="black", linestyle="solid")
    scene, cloud = np.asarray(demo.scene), np.asarray(demo.cloud)[..., None]
    light = 1 + (demo.shade - 1 + sky) * cloud
    cube = (light * (scene @ endmembers)).reshape(-1, endmembers.shape[1])
    found = [linear.fcls(cube, endmembers), linear.nnls(cube, endmembers, normalize=True)]
    maps = (scene, *(f.abundances.reshape(scene.shape) for f in found))
    labels[0] = f"{demo.names[demo.mineral]}: truth"
    for panel, label, fractions in zip("CDE", labels, maps):
        figures.plot_map(fractions[..., demo.mineral], title=label, vmin=0, vmax=1, bar=False, ax=axes[panel])
    return figure


@draws("DraggableTriangle")
def draggable_triangle(demo: Any):
    true = np.array([[0.12, 0.15], [0.88, 0.25], [0.42, 0.9]])
    fractions = np.random.default_rng(7).dirichlet(np.ones(3), 260)
    points = (1 / 3 + (demo.purest - 1 / 3) * 1.5 * (fractions - 1 / 3)) @ true
    yours = np.asarray(demo.corners).reshape(3, 2)
    figure, ax = subplots(1, 1, 4.4)
    ax.scatter(*points.T, s=8, color=figures.GREY)
    for corners, line, name in ((true, ":", "the true triangle"), (yours, "-", "your triangle")):
        ax.plot(*corners[[0, 1, 2, 0]].T, linestyle=line, color=figures.COLOURS[0 if line == "-" else 4], label=name)
    ax.set(aspect="equal", xlabel="first direction", ylabel="second direction")
    ax.legend(loc="upper left")
    return figure


@draws("DipOrPeak")
def dip_or_peak(demo: Any):
    x = np.linspace(2050, 2450, 161)
    spectra = [1 - demo.depth * np.exp(-0.5 * ((x - at) / 20) ** 2) for at in (2180, 2320)]
    flip = demo.represented == "depth"
    curves = np.stack([1 - s if flip else s for s in spectra])
    figure, ax = subplots(1, 1, 3.2)
    ax.plot(x, curves.T, color=figures.GREY, linestyle="--", linewidth=1)
    ax.plot(x, np.array([1 - demo.t, demo.t]) @ curves, color=figures.COLOURS[1], label="linear average")
    ax.set(
        xlabel="wavelength (nm)",
        ylabel="band depth" if flip else "reflectance",
        title="two absorptions and their average",
    )
    figures.label_lines(ax)
    return figure


@draws("LabellingRace")
def labelling_race(demo: Any):
    figure, axes = subplots(1, 4, 2.3)
    figures.plot_scene(demo.scene, title="the scene", ax=axes[0]).set_xlabel("")
    ten = (("you", list(demo.clicks)), ("LAND", demo.queries), ("random", demo.draws[int(demo.draw) - 1]))
    for ax, (name, asked) in zip(axes[1:], ten):
        shown = demo.scene.to_map(demo.classes(asked) + 1 if asked else np.zeros(len(demo.scene.pixels())))
        title = f"{name}: {100 * demo.accuracy(asked):.1f} %" if asked else f"{name}: not yet"
        class_map(ax, demo, shown, title)
        ax.plot(*np.divmod(asked, demo.cols)[::-1], "s", color="white", markeredgecolor="black", markersize=3)
    return figure


@draws("InkDrop")
def ink_drop(demo: Any):
    figure, axes = subplots(1, 2, 3.4)
    figures.plot_scene(demo.scene, title="the drop falls on the square", ax=axes[0]).set_xlabel("")
    where = demo.where()
    title = f"ink after {demo.time:.0f} steps"
    shade = demo.scene.to_map(np.sqrt(where / where.max()))
    figures.plot_map(shade, title=title, unit="square root of the ink (most: 1)", ax=axes[1])
    for ax in axes:
        row, col = divmod(demo.start, demo.cols)
        ax.plot(col, row, "s", fillstyle="none", color="white", markeredgecolor="black", markersize=8)
    return figure


@draws("DoubtDashboard")
def doubt_dashboard(demo: Any):
    figure, (top, below) = subplots(2, 2, 5.2)
    row, col = divmod(demo.cursor, demo.cols)
    figures.plot_scene(demo.scene, title="the scene", ax=top[0]).set_xlabel("")
    figures.plot_map(demo.disagreement(), title="doubt: where runs disagree", vmin=0, vmax=0.25, cmap="Reds", ax=top[1])
    for ax in top:
        ax.plot(col, row, "s", fillstyle="none", color="black", markeredgewidth=1.5, markersize=7)
    valid = np.isfinite(demo.stack).all(axis=(0, 3))
    if valid[row, col]:
        at = int(valid.ravel()[: demo.cursor].sum())
        below[0].plot(demo.wavelengths, demo.light[at], ".", color="black", label="pixel")
        below[0].plot(demo.wavelengths, demo.fitted[demo.method, at], color=figures.COLOURS[0])
    below[0].set(title=f"dots: the pixel, line: {demo.methods[demo.method]}", xlabel="wavelength (nm)")
    starts = np.cumsum([0, *demo.counts])
    for j, name in enumerate(demo.methods):
        values = demo.stack[starts[j] : starts[j + 1], row, col]
        places = np.arange(values.shape[1]) + 0.15 * j
        below[1].plot(np.median(values, axis=0), places, "os^x"[j % 4], color=figures.COLOURS[j % 6], label=name)
        below[1].hlines(places, values.min(0), values.max(0), color=figures.COLOURS[j % 6], linestyle="solid")
    below[1].set(xlim=(-0.03, 1.03), xlabel="fraction", yticks=range(len(demo.names)), yticklabels=demo.names)
    below[1].invert_yaxis()
    below[1].legend(fontsize=8)
    return figure


@draws("LabellingSession")
def labelling_session(demo: Any):
    figure, axes = subplots(1, 2, 3.4)
    figures.plot_scene(demo.scene, title="the next pixel", ax=axes[0]).set_xlabel("")
    prediction = demo.prediction
    shown = np.zeros(len(demo.scene.pixels())) if prediction is None else prediction + 1
    class_map(axes[1], demo, demo.scene.to_map(shown), f"the map after {len(demo.labels)} labels")
    for pixel in demo.queries[len(demo.answers) : len(demo.answers) + 1]:
        row, col = divmod(pixel, demo.cols)
        axes[0].plot(col, row, "s", fillstyle="none", color="white", markeredgecolor="black", markersize=8)
    return figure


def class_map(ax: Any, demo: Any, classes: np.ndarray, title: str) -> None:
    """A map of classes, counted from 1, in the demo's own colours; white where there is none."""
    from matplotlib.colors import ListedColormap

    palette = ListedColormap(["#ffffff", *demo.colours])
    ax.imshow(classes, cmap=palette, vmin=-0.5, vmax=len(demo.colours) + 0.5, interpolation="nearest")
    ax.set(title=title, xticks=[], yticks=[])
