"""The look of every plot. ``plot_*`` take and return a matplotlib ``Axes``; arrays of any backend are welcome.

Colours are the Okabe-Ito palette, darkened where it falls below a contrast of 4.5:1 on white; each series also has its
own dash, so colour is never the only carrier. Series are labelled where they are, not in a legend, where there is room.
Matplotlib is loaded by the first plot.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from ._array import Array, as_float, to_numpy
from ._checks import image_shape, integer, number, shown, text, texts

# Okabe-Ito hues at a contrast of at least 4.5:1 on white (test_figures checks it): text in these colours can be read.
COLOURS = ("#0072B2", "#B04A00", "#007A5A", "#A8477E", "#000000", "#7A6400", "#595959")
FILLS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#999999", "#F0E442", "#0072B2")  # the palette itself, for areas
DASHES = ("solid", (0, (6, 2)), (0, (2, 1.2)), (0, (7, 2, 1.5, 2)), (0, (1, 1)), (0, (10, 3)), (0, (4, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#595959"
MASKED = "#BFBFBF"  # what is masked, in every map
SEQUENTIAL = "cividis"  # even steps of lightness, the same to colour-blind readers

STYLE = {
    "figure.figsize": (6.4, 3.4),
    "figure.dpi": 110,
    "savefig.bbox": "tight",
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.labelcolor": "#222222",
    "lines.linewidth": 2.0,
    "image.cmap": SEQUENTIAL,
    "image.interpolation": "nearest",
    "legend.frameon": False,
}


def series_style(k: int) -> dict[str, Any]:
    """Colour and dash of a series: pass them to ``Axes.plot``.

    Parameters
    ----------
    k : int
        Number of the series, from 0.

    Returns
    -------
    dict

    Examples
    --------
    >>> series_style(0)
    {'color': '#0072B2', 'linestyle': 'solid'}
    """
    return {"color": COLOURS[k % len(COLOURS)], "linestyle": DASHES[k % len(DASHES)]}


def _rc() -> dict[str, Any]:
    from cycler import cycler

    return {**STYLE, "axes.prop_cycle": cycler(color=list(COLOURS)) + cycler(linestyle=list(DASHES))}


def use_style() -> None:
    """Make the look of the book that of every plot from here on: the second line of a chapter."""
    import matplotlib

    matplotlib.rcParams.update(cast(Any, _rc()))  # whose keys a checker takes for any text


@contextmanager
def style():
    """The look of the book inside a ``with`` block only.

    Returns
    -------
    context manager
    """
    import matplotlib

    with matplotlib.rc_context(cast(Any, _rc())):
        yield


def _axes(ax: Any, **subplots: Any) -> Any:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(**subplots)[1]


LARGEST = 1e150  # matplotlib's own arithmetic leaves the range of floats beyond


def _host(x: Array, name: str, ndim: int | tuple[int, ...], *, gaps: bool = True) -> np.ndarray:
    """``x`` as NumPy, refused where it has not the number of axes that the plot draws; what is masked is NaN."""
    if isinstance(x, np.ma.MaskedArray) and x.dtype.kind in "fiub":
        x = np.ma.filled(x.astype(float), np.nan)
    host = to_numpy(as_float(x, name=name)).astype(float)
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if host.ndim not in allowed or host.size == 0:
        expected = " or ".join(str(n) for n in allowed)
        raise ValueError(f"{name} must have {expected} axes to be drawn, and entries; got shape {host.shape}.")
    if np.isnan(host).any() if not gaps else np.isnan(host).all():
        raise ValueError(f"{name} holds {int(np.isnan(host).sum())} NaN of {host.size} entries, which cannot be drawn.")
    top = np.nanmax(np.abs(host))
    if top > LARGEST:
        raise ValueError(f"{name} reaches {top:g}, which cannot be drawn. Leave it out, or use other units.")
    return host


def _axis(x: Array | None, name: str, n: int) -> np.ndarray:
    """Places on the horizontal axis, one for each of ``n`` values; 0, 1, 2, ... where none are given."""
    if x is None:
        return np.arange(float(n))
    places = _host(x, name, 1, gaps=False)
    if len(places) != n:
        raise ValueError(f"{name} must have one entry for each of the {n} values drawn; got {len(places)}.")
    return places


def _names(names: Sequence[str] | None, n: int, stem: str, name: str = "names") -> list[str]:
    if names is None:
        return [f"{stem} {k + 1}" for k in range(n)]
    return [_words(word) for word in texts(name, names, n)]


def _words(words: str) -> str:
    """Text as it is to be drawn: half a formula, which has no picture, with its dollars as they stand."""
    if words.count("$") < 2:
        return words
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(words)
    except ValueError:
        return words.replace("$", r"\$")
    return words


def _label_of(name: str, words: str | None) -> str | None:
    """A title or the label of an axis."""
    return None if words is None else _words(text(name, words))


# ---------------------------------------------------------------------------------------------- lines


def plot_histograms(
    histograms: Array,
    positions: Array | None = None,
    *,
    labels: Sequence[str] | None = None,
    fill: bool = True,
    direct: bool = True,
    xlabel: str = "bin",
    ylabel: str = "mass per bin",
    ylim: tuple[float, float] | None = None,
    ax: Any = None,
) -> Any:
    """Draw histograms on one axis, each with its colour, its dash and its name next to it.

    Parameters
    ----------
    histograms : array, shape (n_bins,) or (n_series, n_bins)
    positions : array, shape (n_bins,), optional
        0, 1, 2, ... if not given.
    labels : sequence of str, optional
        One for each series; none are written if not given.
    fill : bool
        Shade the area, which is the mass.
    direct : bool
        Write the labels at the curves; False makes a legend.
    xlabel, ylabel : str
    ylim : (low, high), optional
        Give the same one for every frame of a slider.
    ax : matplotlib Axes, optional
        Of a new figure if not given.

    Returns
    -------
    matplotlib Axes
    """
    y = np.atleast_2d(_host(histograms, "histograms", (1, 2)))
    x = _axis(positions, "positions", y.shape[1])
    names = [None] * len(y) if labels is None else _names(labels, len(y), "", "labels")
    limits = None if ylim is None else _pair("ylim", ylim)
    ax = _axes(ax)
    for k, row in enumerate(y):
        ax.plot(x, row, label=names[k], **series_style(k))
        if fill:
            ax.fill_between(x, 0.0, row, color=FILLS[k % len(FILLS)], alpha=0.18, linewidth=0)
    ax.set(xlabel=_label_of("xlabel", xlabel), ylabel=_label_of("ylabel", ylabel))
    ax.margins(x=0.01)
    if limits is not None:
        ax.set_ylim(*limits)
    elif np.nanmin(y) >= 0 and np.nanmax(y) > 0:
        ax.set_ylim(0, 1.18 * np.nanmax(y))
    if labels is not None:
        _label(ax, direct)
    return ax


def _pair(name: str, value: Any) -> tuple[float, float]:
    """Two different numbers: the ends of an axis."""
    if isinstance(value, tuple | list | np.ndarray) and np.shape(value) == (2,):
        low, high = (number(name, end) for end in value)
        if low != high:
            return low, high
    raise ValueError(f"{name} must be two different numbers, the ends of the axis; got {shown(value)}.")


def _label(ax: Any, direct: bool) -> None:
    if direct:
        label_lines(ax)
    else:
        ax.legend()


def label_lines(ax: Any) -> Any:
    """Write each line's label where the line stands farthest from the others, in the line's own colour.

    Parameters
    ----------
    ax : matplotlib Axes

    Returns
    -------
    matplotlib Axes
    """
    lines = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
    if not lines:
        return ax
    curves = [np.asarray(line.get_xydata(), dtype=float) for line in lines]
    curves = [c[np.argsort(c[:, 0], kind="stable")] for c in curves]  # an axis may run backwards
    grid = np.linspace(min(c[0, 0] for c in curves), max(c[-1, 0] for c in curves), 200)
    values = np.stack([np.interp(grid, c[:, 0], c[:, 1], left=np.nan, right=np.nan) for c in curves])
    low, high = ax.get_ylim()
    taken: list[tuple[float, float]] = []
    for k, line in enumerate(lines):
        place = _free_place(k, grid, (values - low) / (high - low), taken)
        taken.append(place)
        at = (grid[0] + place[0] * (grid[-1] - grid[0]), low + place[1] * (high - low))
        side = "left" if place[0] < 0.15 else "right" if place[0] > 0.85 else "center"
        ax.annotate(
            line.get_label(),
            at,
            xytext=(0, 4),
            textcoords="offset points",
            color=line.get_color(),
            ha=side,
            va="bottom",
            fontsize=9.5,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8},
        )
    return ax


def _free_place(k: int, grid: np.ndarray, heights: np.ndarray, taken: list[tuple[float, float]]) -> tuple[float, float]:
    """The point of curve ``k``, in fractions of the axes, that is far from other curves and from labels already set."""
    across = np.linspace(0.0, 1.0, grid.size)
    own = heights[k]
    others = np.delete(heights, k, axis=0)
    room = np.full(grid.size, 0.25)
    for i in range(grid.size):  # the text is about a fifth of the axes wide and stands a little above its curve
        beside = others[:, max(0, i - 20) : i + 21] - (own[i] + 0.04)
        room[i] = np.nanmin(np.abs(beside), initial=0.25)
    top = np.nanmax(own)
    score = room + (0.25 * own / top if top > 0 else 0.0)  # peaks name themselves
    for x, y in taken:
        near = np.exp(-(((across - x) / 0.14) ** 2) - ((own - y) / 0.045) ** 2)
        score = score - near
    score = np.where(np.isnan(own) | (own < 0) | (own > 0.97), -np.inf, score)
    best = int(np.argmax(score)) if np.isfinite(score).any() else grid.size // 2
    return float(across[best]), float(own[best]) if np.isfinite(own[best]) else 0.5


def plot_atoms(
    atoms: Array,
    positions: Array | None = None,
    *,
    data: Array | None = None,
    labels: Sequence[str] | None = None,
    xlabel: str = "bin",
    ylabel: str = "mass per bin",
    ax: Any = None,
) -> Any:
    """Draw learned atoms, over the training histograms as thin grey ghosts where they are given.

    Parameters
    ----------
    atoms : array, shape (n_atoms, n_bins)
    positions : array, shape (n_bins,), optional
    data : array, shape (n_samples, n_bins), optional
    labels : sequence of str, optional
    xlabel, ylabel : str
    ax : matplotlib Axes, optional
        Of a new figure if not given.

    Returns
    -------
    matplotlib Axes
    """
    rows = _host(atoms, "atoms", 2)
    x = _axis(positions, "positions", rows.shape[1])
    names = _names(labels, len(rows), "atom", "labels")
    ghosts = None if data is None else _host(data, "data", 2)
    if ghosts is not None and ghosts.shape[1] != rows.shape[1]:
        raise ValueError(
            f"data has {ghosts.shape[1]} bins, atoms have {rows.shape[1]}. Give histograms of the same bins."
        )
    ax = _axes(ax)
    if ghosts is not None:
        ax.plot(x, ghosts.T, color="#999999", linestyle="solid", linewidth=0.6, alpha=min(1.0, 15 / len(ghosts) + 0.1))
    return plot_histograms(rows, x, labels=names, fill=data is None, xlabel=xlabel, ylabel=ylabel, ax=ax)


def plot_reconstruction(
    data: Array,
    reconstruction: Array,
    positions: Array | None = None,
    *,
    xlabel: str = "bin",
    ylabel: str = "mass per bin",
    ax: Any = None,
) -> Any:
    """Draw one histogram or spectrum and its reconstruction, with their difference shaded.

    Parameters
    ----------
    data, reconstruction : array, shape (n_bins,)
    positions : array, shape (n_bins,), optional
    xlabel, ylabel : str
    ax : matplotlib Axes, optional
        Of a new figure if not given.

    Returns
    -------
    matplotlib Axes
    """
    x_data, fit = _host(data, "data", 1), _host(reconstruction, "reconstruction", 1)
    if x_data.shape != fit.shape:
        raise ValueError(f"data has shape {x_data.shape} but reconstruction {fit.shape}; they must be of one length.")
    x = _axis(positions, "positions", len(fit))
    ax = _axes(ax)
    ax.fill_between(x, x_data, fit, color=FILLS[1], alpha=0.45, linewidth=0)
    ax.plot(x, x_data, label="data", **series_style(4) | {"linestyle": "solid"})
    ax.plot(x, fit, label="reconstruction", **series_style(1))
    ax.set(xlabel=_label_of("xlabel", xlabel), ylabel=_label_of("ylabel", ylabel))
    ax.margins(x=0.01)
    total = np.nansum(np.abs(x_data))
    if total > 0:
        off = np.nansum(np.abs(x_data - fit)) / total
        ax.set_title(f"shaded: {100 * off:.2g} % of the data", fontsize=9.5, color=GREY)
    ax.legend()
    return ax


def plot_loss(
    curves: Array | Sequence[Array],
    *,
    labels: Sequence[str] | None = None,
    log: bool = False,
    xlabel: str = "iteration",
    ylabel: str = "loss",
    ax: Any = None,
) -> Any:
    """Draw the loss of one or several fits against the iteration. Curves may have different lengths.

    Parameters
    ----------
    curves : array, shape (n_steps,), or sequence of them
    labels : sequence of str, optional
    log : bool
        A logarithmic axis.
    xlabel, ylabel : str
    ax : matplotlib Axes, optional
        Of a new figure if not given.

    Returns
    -------
    matplotlib Axes
    """
    several = (
        isinstance(curves, list | tuple) and len(curves) > 0 and any(np.ndim(c) > 0 for c in curves if c is not None)
    )
    rows = [_host(c, "curves", 1) for c in curves] if several else list(np.atleast_2d(_host(curves, "curves", (1, 2))))
    names = None if labels is None else _names(labels, len(rows), "", "labels")
    if log and any((row < 1 / LARGEST).any() for row in rows):
        raise ValueError("curves hold losses of zero or below, and a log axis needs positive losses. Use log=False.")
    ax = _axes(ax)
    for k, row in enumerate(rows):
        ax.plot(np.arange(len(row)), row, label=None if names is None else names[k], **series_style(k))
    if log:
        ax.set_yscale("log")
    ax.set(xlabel=_label_of("xlabel", xlabel), ylabel=_label_of("ylabel", ylabel))
    if names is not None:
        ax.legend()
    return ax


def plot_endmembers(
    endmembers: Array,
    wavelengths: Array | None = None,
    *,
    names: Sequence[str] | None = None,
    reference: Array | None = None,
    direct: bool = True,
    ylabel: str | None = None,
    ax: Any = None,
) -> Any:
    """Draw endmember spectra, broken where bands are missing, over reference spectra in grey.

    Parameters
    ----------
    endmembers : array, shape (n_endmembers, n_bands)
    wavelengths : array, shape (n_bands,), nm, optional
    names : sequence of str, optional
    reference : array, shape (n_endmembers, n_bands), optional
        Aligned (``metrics.match_endmembers``).
    direct : bool
        Write the names at the curves; False makes a legend.
    ylabel : str, optional
        If not given, "reflectance" where nothing is above 1.5, else "value, as in the file".
    ax : matplotlib Axes, optional
        Of a new figure if not given.

    Returns
    -------
    matplotlib Axes
    """
    rows = _host(endmembers, "endmembers", 2)
    ylabel = ylabel or ("reflectance" if np.nanmax(np.abs(rows)) <= 1.5 else "value, as in the file")
    x = _axis(wavelengths, "wavelengths", rows.shape[1])
    truth = rows[:0] if reference is None else _host(reference, "reference", 2)
    if truth.shape[1] != rows.shape[1]:
        raise ValueError(f"reference has {truth.shape[1]} bands, endmembers have {rows.shape[1]}. Give the same bands.")
    names = _names(names, len(rows), "endmember")
    ax = _axes(ax)
    for row in truth:
        ax.plot(*_broken(x, row), color="#999999", linestyle="solid", linewidth=3.5, alpha=0.6)
    for k, (row, name) in enumerate(zip(rows, names)):
        ax.plot(*_broken(x, row), label=name, **series_style(k))
    ax.set(xlabel="band" if wavelengths is None else "wavelength (nm)", ylabel=ylabel)
    ax.margins(x=0.01)
    drawn = np.concatenate([rows, truth])
    if np.nanmin(drawn) >= 0 and np.nanmax(drawn) > 0:
        ax.set_ylim(0, 1.12 * np.nanmax(drawn))
    _label(ax, direct)
    return ax


def _broken(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve with a NaN put in where the axis jumps (three usual steps or more): no line across missing bands."""
    if len(x) < 2:
        return x, y
    step = np.diff(x)
    gaps = np.flatnonzero(step > 3.0 * np.median(step)) + 1
    return np.insert(x, gaps, (x[gaps - 1] + x[gaps]) / 2), np.insert(y, gaps, np.nan)


# ---------------------------------------------------------------------------------------------- plans


def plot_plan(
    plan: Array,
    p: Array | None = None,
    q: Array | None = None,
    positions: Array | None = None,
    *,
    xlabel: str = "to",
    ylabel: str = "from",
    ax: Any = None,
) -> Any:
    """Draw a transport plan as a heat map with its two margins: the source at the left, the target on top.

    Parameters
    ----------
    plan : array, shape (n, m)
        Row i: where the mass of bin i goes.
    p, q : array, shape (n,) and (m,), optional
        Margins; the plan's own sums if not given.
    positions : array, shape (n,), optional
        For both axes; bins if not given.
    xlabel, ylabel : str
    ax : matplotlib Axes, optional
        Of a new figure if not given.

    Returns
    -------
    matplotlib Axes
    """
    mass = _host(plan, "plan", 2, gaps=False)
    p = mass.sum(axis=1) if p is None else _host(p, "p", 1, gaps=False)
    q = mass.sum(axis=0) if q is None else _host(q, "q", 1, gaps=False)
    if mass.shape != (p.size, q.size):
        raise ValueError(f"plan has shape {mass.shape}, but p and q have {p.size} and {q.size} bins.")
    rows = _axis(positions, "positions", p.size)
    if positions is not None and p.size != q.size:
        raise ValueError(f"positions are for both axes, but the plan has shape {mass.shape}. Leave them out.")
    cols = np.arange(q.size) if positions is None else rows
    ax = _axes(ax, figsize=(4.6, 4.6))
    # the square root shows faint routes
    ax.pcolormesh(cols, rows, np.sqrt(np.maximum(mass, 0.0)), cmap="Blues", shading="nearest", rasterized=True)
    ax.set(xlabel=_label_of("xlabel", xlabel), ylabel=_label_of("ylabel", ylabel))
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(True)
    top = ax.inset_axes([0.0, 1.02, 1.0, 0.2], sharex=ax)
    left = ax.inset_axes([-0.22, 0.0, 0.2, 1.0], sharey=ax)
    top.fill_between(cols, q, color=FILLS[1], alpha=0.7, linewidth=0)
    left.fill_betweenx(rows, p, color=FILLS[0], alpha=0.7, linewidth=0)
    left.invert_xaxis()
    for side in (top, left):
        side.axis("off")
    ax.tick_params(axis="y", left=False, labelleft=False, right=True, labelright=True)
    ax.yaxis.set_label_position("right")
    return ax


# ---------------------------------------------------------------------------------------------- maps


def plot_map(
    values: Array,
    *,
    title: str | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    unit: str | None = None,
    bar: bool = True,
    cmap: str = SEQUENTIAL,
    ax: Any = None,
) -> Any:
    """Draw a map; what is NaN (masked) is grey.

    Parameters
    ----------
    values : array, shape (rows, cols)
    title : str, optional
    vmin, vmax : float, optional
        Ends of the colour scale; give them where maps are compared.
    unit : str, optional
        Written at the colour bar.
    bar : bool
        Draw the colour bar.
    cmap : str
        A colour map of matplotlib.
    ax : matplotlib Axes, optional
        Of a new figure if not given.

    Returns
    -------
    matplotlib Axes
    """
    import matplotlib

    low, high = (
        None if end is None else number(name, end, most=LARGEST) for name, end in (("vmin", vmin), ("vmax", vmax))
    )
    if low is not None and high is not None and low > high:
        raise ValueError(f"vmin must not be above vmax; got {low:g} and {high:g}.")
    unit, title = _label_of("unit", unit), _label_of("title", title)
    field = np.ma.masked_invalid(_host(values, "values", 2))
    ax = _axes(ax, figsize=(4.2, 3.8))
    image = ax.imshow(field, cmap=matplotlib.colormaps[cmap].with_extremes(bad=MASKED), vmin=low, vmax=high)
    _bare(ax, title)
    if bar:
        ax.figure.colorbar(image, ax=ax, label=unit, shrink=0.85, pad=0.03)
    return ax


def _bare(ax: Any, title: str | None) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if title is not None:
        ax.set_title(title)


def plot_abundances(
    abundances: Array,
    *,
    names: Sequence[str] | None = None,
    shape: tuple[int, int] | None = None,
    vmax: float = 1.0,
    columns: int = 4,
    axes: Any = None,
) -> np.ndarray:
    """Draw one map for each endmember, all on the scale 0 to ``vmax``; masked pixels (NaN) are grey.

    Parameters
    ----------
    abundances : array, shape (rows, cols, n_endmembers) or (n_pixels, n_endmembers)
    names : sequence of str, optional
    shape : (rows, cols), optional
        Of the map, where the abundances are a list of pixels.
    vmax : float
    columns : int
        Maps in a row.
    axes : array of at least n_endmembers Axes, optional
        Made in rows of ``columns`` if not given.

    Returns
    -------
    array of Axes, shape (n_endmembers,)
    """
    vmax, columns = number("vmax", vmax, least=1 / LARGEST, most=LARGEST), integer("columns", columns)
    a = _host(abundances, "abundances", 2 if shape is not None else 3)
    if shape is not None:
        shape = image_shape("shape", shape)
        if a.shape[0] != shape[0] * shape[1]:
            raise ValueError(f"abundances has {a.shape[0]} rows, but shape {shape} has {shape[0] * shape[1]} pixels.")
        a = a.reshape(*shape, -1)
    n = a.shape[-1]
    labels = _names(names, n, "endmember")
    if axes is None:
        axes = _panel(n, min(columns, n), a.shape[0] / a.shape[1])
    axes = np.atleast_1d(axes).ravel()
    if len(axes) < n:
        raise ValueError(f"{n} abundance maps need as many axes; got {len(axes)}.")
    for k in range(n):
        plot_map(a[..., k], title=labels[k], vmin=0.0, vmax=vmax, bar=False, ax=axes[k])
    axes[0].figure.colorbar(axes[0].images[0], ax=list(axes[:n]), label="abundance", shrink=0.8, pad=0.02)
    return axes[:n]


def _panel(n: int, columns: int, aspect: float) -> np.ndarray:
    import matplotlib.pyplot as plt

    rows = -(-n // columns)
    size = (2.3 * columns + 0.9, rows * (2.2 * aspect + 0.4))
    axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")[1].ravel()
    for spare in axes[n:]:
        spare.axis("off")
    return axes


def plot_labels(
    labels: Array,
    names: dict[int, str] | None = None,
    *,
    background: int | None = 0,
    title: str | None = None,
    ax: Any = None,
) -> Any:
    """Draw a map of class codes, each class with its colour and its code written on its largest patch.

    Parameters
    ----------
    labels : array of int, shape (rows, cols)
        NaN (masked, from ``Scene.to_map``) is grey.
    names : dict of int to str, optional
        Of each code its name, for the legend beside the map.
    background : int or None
        The code that is drawn grey and not named (unlabelled pixels).
    title : str, optional
    ax : matplotlib Axes, optional
        Of a new figure if not given.

    Returns
    -------
    matplotlib Axes
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    codes, title = _host(labels, "labels", 2), _label_of("title", title)
    if background is not None:
        background = integer("background", background, least=-(2**31), most=2**31, unless=", or None")
    if names is not None and not isinstance(names, dict):
        raise TypeError(f"names must be a dict, code -> name; got {shown(names)}.")
    if np.nanmax(np.abs(codes)) > 2**31:
        raise ValueError(f"labels must be class codes; got {np.nanmax(np.abs(codes)):g}.")
    if (codes % 1 > 0).any():
        raise ValueError(f"labels must be whole numbers; got {codes[codes % 1 > 0][0]:g}. Round them first.")
    drawn = [int(code) for code in np.unique(codes[np.isfinite(codes)]) if code != background]
    ax = _axes(ax, figsize=(5.6, 3.8))
    index = np.searchsorted(drawn, codes)
    field = np.ma.masked_where(~np.isin(codes, drawn), index % max(len(drawn), 1))
    palette = [label_colour(k) for k in range(max(len(drawn), 1))]
    cmap = ListedColormap(palette).with_extremes(bad=MASKED)
    ax.imshow(field, cmap=cmap, vmin=-0.5, vmax=len(palette) - 0.5, interpolation="nearest")
    for k, code in enumerate(drawn):
        row, col = _heart_of(codes == code)
        ink = max("white", "black", key=lambda c: contrast(c, palette[k]))
        ax.text(col, row, str(code), color=ink, ha="center", va="center", fontweight="bold")
    if names is not None:
        named = [f"{code}  {_words(str(names.get(code, '')))}" for code in drawn]
        patches = [Patch(color=palette[k], label=label) for k, label in enumerate(named)]
        ax.legend(handles=patches, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _bare(ax, title)
    return ax


def label_colour(k: int) -> str:
    """The colour of the k-th class of a map.

    Areas first in the palette's own colours, then in the darkened ones: 14 classes can be told apart.

    Parameters
    ----------
    k : int, from 0

    Returns
    -------
    str
    """
    order = (*FILLS[:4], FILLS[5], FILLS[6], "#D55E00", *COLOURS[1:5], *COLOURS[5:])
    return order[k % len(order)]


def _luminance(colour: str) -> float:
    """Relative luminance of a colour (WCAG 2.1)."""
    from matplotlib.colors import to_rgb

    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(colour: str, background: str = "white") -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.1); text needs 4.5.

    Parameters
    ----------
    colour, background : str
        Colours of matplotlib.

    Returns
    -------
    float

    Examples
    --------
    >>> round(contrast("black"), 1)
    21.0
    """
    light, dark = sorted((_luminance(colour), _luminance(background)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _heart_of(region: np.ndarray) -> tuple[int, int]:
    """The pixel of a region that is farthest from its edge."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    row, col = np.unravel_index(int(np.argmax(depth)), region.shape)
    return int(row), int(col)


def plot_scene(
    scene: Any, *, rgb: tuple[float, float, float] | None = None, title: str | None = None, ax: Any = None
) -> Any:
    """Draw a scene as a picture of three of its bands, each stretched between two percentiles.

    Parameters
    ----------
    scene : Scene
    rgb : three floats, nm, optional
        Wavelengths shown as red, green and blue. If not given, natural colours (650, 550, 450) where the scene sees
        them, else its own bands at 80, 50 and 20 % of its range. The percentiles are the 2nd and the 98th.
    title : str, optional
    ax : matplotlib Axes, optional
        Of a new figure if not given.

    Returns
    -------
    matplotlib Axes
    """
    title = _label_of("title", title)
    picture, told = scene_picture(scene, rgb=rgb)
    ax = _axes(ax, figsize=(4.2, 4.2))
    ax.imshow(picture)
    _bare(ax, _words(scene.name) if title is None else title)
    ax.set_xlabel(told, fontsize=9, color=GREY)
    return ax


def scene_picture(scene: Any, *, rgb: tuple[float, float, float] | None = None) -> tuple[np.ndarray, str]:
    """The colours of :func:`plot_scene`, and which bands they are.

    Parameters
    ----------
    scene : Scene
    rgb : three floats, nm, optional
        As for :func:`plot_scene`.

    Returns
    -------
    picture : array, shape (rows, cols, 3), in [0, 1]
    bands : str
    """
    from matplotlib.colors import to_rgb

    if not hasattr(scene, "cube"):
        raise TypeError(f"scene must be a Scene; got {type(scene).__name__}. Use datasets.Scene(name, cube).")
    cube = _host(scene.cube, "scene.cube", 3)
    bands, told = _rgb_bands(cube.shape[-1], scene.wavelengths, rgb)
    picture = cube[..., bands]
    low, high = np.nanpercentile(picture, [2, 98], axis=(0, 1))
    picture = np.clip((picture - low) / np.maximum(high - low, 1e-12), 0.0, 1.0) ** (1 / 1.4)  # lighter midtones
    picture[np.isnan(picture).any(axis=-1)] = to_rgb(MASKED)
    return picture, told


def _rgb_bands(n_bands: int, wavelengths: Any, rgb: tuple[float, float, float] | None) -> tuple[list[int], str]:
    if rgb is not None:
        asked = _host(rgb, "rgb", 1, gaps=False)
        if len(asked) != 3:
            raise ValueError(f"rgb must be three wavelengths, in nm; got {len(asked)}.")
        rgb = tuple(asked.tolist())
    if wavelengths is None:
        if rgb is not None:
            raise ValueError("rgb names wavelengths, but the scene has none; leave rgb out.")
        bands = [round(f * (n_bands - 1)) for f in (0.8, 0.5, 0.2)]
        return bands, "bands " + ", ".join(map(str, bands))
    nm = _host(wavelengths, "wavelengths", 1)
    if rgb is None:
        visible = nm.min() < 500 and nm.max() > 640
        rgb = (650.0, 550.0, 450.0) if visible else tuple(nm.min() + f * np.ptp(nm) for f in (0.8, 0.5, 0.2))
    bands = [int(np.argmin(abs(nm - value))) for value in rgb]
    return bands, "red, green, blue: " + ", ".join(f"{nm[band]:.0f}" for band in bands) + " nm"


# ---------------------------------------------------------------------------------------------- simplex


def triangle_points(weights: Array) -> np.ndarray:
    """Points of the simplex with three weights as points of the plane.

    The corners are (0, 0), (1, 0) and (1/2, sqrt(3)/2).

    Parameters
    ----------
    weights : array, shape (n_points, 3)

    Returns
    -------
    array, shape (n_points, 2)

    Examples
    --------
    >>> triangle_points([[0, 1, 0]])
    array([[1., 0.]])
    """
    w = np.atleast_2d(_host(weights, "weights", (1, 2), gaps=False))
    if w.shape[-1] != 3:
        raise ValueError(f"a triangle shows three weights a point; weights have shape {w.shape}.")
    return w @ np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])


def plot_triangle(
    weights: Array,
    *,
    names: Sequence[str] | None = None,
    groups: Array | None = None,
    path: bool = False,
    ax: Any = None,
) -> Any:
    """Draw weights of three atoms as points in a triangle whose corners are the atoms.

    Parameters
    ----------
    weights : array, shape (n_points, 3)
        On the simplex.
    names : sequence of str, optional
        Of the three corners.
    groups : array, shape (n_points,), optional
        Codes; each group has its colour and its marker.
    path : bool
        Join the points in their order.
    ax : matplotlib Axes, optional
        Of a new figure if not given.

    Returns
    -------
    matplotlib Axes
    """
    points, names = triangle_points(weights), _names(names, 3, "atom")
    codes = _groups(groups, len(points))
    ax = _axes(ax, figsize=(4.4, 4.0))
    _triangle_frame(ax, names)
    if path:
        ax.plot(*points.T, color=GREY, linestyle="solid", linewidth=1.0, zorder=1)
    for k, code in enumerate(np.unique(codes)):
        chosen = points[codes == code]
        look = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)]}
        ax.scatter(*chosen.T, s=24, label=str(code), zorder=2, edgecolor="white", linewidth=0.4, **look)
    if groups is not None:
        ax.legend(loc="upper left", bbox_to_anchor=(0.86, 1.0))
    ax.set(aspect="equal", xlim=(-0.14, 1.14), ylim=(-0.1, 0.98))
    ax.axis("off")
    return ax


def _groups(groups: Array | None, n: int) -> np.ndarray:
    """One code a point, of numbers or texts."""
    if groups is None:
        return np.zeros(n, dtype=int)
    try:
        codes = np.asarray(to_numpy(groups))
    except ValueError:  # lists of several lengths
        codes = np.empty(0, dtype=object)
    if codes.shape != (n,) or codes.dtype.kind not in "fiubU" or (codes != codes).any():
        raise ValueError(f"groups must hold one code for each of the {n} points of weights; got {shown(groups)}.")
    return codes


def _triangle_frame(ax: Any, names: Sequence[str]) -> None:
    """The triangle, its lines of equal weight at 1/4, 1/2 and 3/4 of each atom, and the names at its corners."""
    eye = np.eye(3)
    corners = triangle_points(eye)
    ax.plot(*corners[[0, 1, 2, 0]].T, color=GREY, linestyle="solid", linewidth=1.2)
    for share in (0.25, 0.5, 0.75):
        for k in range(3):
            ends = [share * eye[k] + (1 - share) * eye[(k + turn) % 3] for turn in (1, 2)]
            ax.plot(*triangle_points(ends).T, color="#DDDDDD", linestyle="solid", linewidth=0.8, zorder=0)
    places = (("right", "top"), ("left", "top"), ("center", "bottom"))
    for corner, name, (ha, va) in zip(corners, names, places):
        away = (0, 5 if va == "bottom" else -5)
        ax.annotate(name, corner, xytext=away, textcoords="offset points", ha=ha, va=va)
