"""Handles on a function that draws: for a reader with a kernel, over the real package."""

from __future__ import annotations

import asyncio
import html
import inspect
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np

try:
    import ipywidgets
except ImportError as error:
    raise ImportError(
        f"explore needs {error.name}, which is not installed. Install the extra 'book': pip install 'wdl-tutorial[book]'."
    ) from error

from .._checks import integer

SETTLE = 0.004  # seconds: messages that have already arrived are read before the next picture is begun
PATIENCE = 0.05  # seconds after which a picture is drawn although messages keep coming


class Explorer(ipywidgets.VBox):
    """What :func:`explore` returns: a picture under its sliders.

    Parameters
    ----------
    draw : callable
    sliders : dict of str to ipywidgets widget
    dpi : int
        All as for :func:`explore`, which makes the widgets.

    Attributes
    ----------
    sliders : dict of str to ipywidgets widget
    picture : ipywidgets Image
    error : str
        The text of the last error, or ''.
    """

    def __init__(self, draw: Callable[..., Any], sliders: dict[str, Any], dpi: int):
        self.draw, self.sliders, self.dpi, self.error = draw, sliders, dpi, ""
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%", "align_self": "flex-start"})
        self.note = ipywidgets.HTML()
        self._pending: asyncio.TimerHandle | None = None
        self._since: float | None = None
        self._axes: Any = None  # of the one figure
        for slider in sliders.values():
            slider.observe(self._moved, names="value")
        super().__init__([*sliders.values(), self.picture, self.note])
        self.refresh()

    def __repr__(self) -> str:
        settings = ", ".join(f"{name} = {value}" for name, value in self.values.items())
        return f"explore {getattr(self.draw, '__name__', 'draw')}: {settings}"

    @property
    def values(self) -> dict[str, Any]:
        """The sliders' values now."""
        return {name: slider.value for name, slider in self.sliders.items()}

    def _moved(self, change: Any) -> None:
        """Draw soon, with the values of then: what arrives meanwhile replaces what came before, and nothing queues."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel runs: a script or a test
            self.refresh()
            return
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        if self._pending is not None:
            if now - self._since > PATIENCE:
                return
            self._pending.cancel()
        self._pending = loop.call_later(SETTLE, self.refresh)

    def refresh(self) -> None:
        """Draw with the sliders' values; an exception of ``draw`` is shown below, and the last picture stays."""
        self._pending = self._since = None
        try:
            picture = self._png()
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            self.note.value = (
                f'<p role="alert" style="border-left:4px solid #D55E00;padding:2px 8px">{html.escape(self.error)}</p>'
            )
            return
        self.error = self.note.value = ""
        self.picture.value = picture

    def _png(self) -> bytes:
        if "ax" in inspect.signature(self.draw).parameters:
            figure = self._own_figure()
            self.draw(ax=self._axes, **self.values)
            picture = _encoded(figure, self.dpi)
            figure.set_layout_engine("none")  # laid out once: finding the margins again takes as long as drawing
            return picture
        drawn = self.draw(**self.values)
        return _encoded(_figure_of(drawn), self.dpi)

    def _own_figure(self) -> Any:
        """One figure, drawn on again and again: making one takes longer than drawing."""
        from matplotlib.figure import Figure

        from .. import figures

        with figures.style():
            if self._axes is None:
                self._axes = Figure(layout="constrained").subplots()
            self._axes.clear()
        return self._axes.figure


def _figure_of(drawn: Any) -> Any:
    """The Figure that ``draw`` returned, taken from pyplot, or the notebook shows it a second time."""
    from matplotlib import pyplot as plt
    from matplotlib.figure import Figure

    figure = getattr(drawn, "figure", drawn)
    if not isinstance(figure, Figure):
        raise TypeError(
            f"draw must take ax, or return a matplotlib Figure or Axes; it returned {type(drawn).__name__}."
        )
    plt.close(figure)
    return figure


def _encoded(figure: Any, dpi: int) -> bytes:
    """A figure as PNG, drawn once and lightly compressed: ``savefig`` takes twice as long."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(buffer, format="png", compress_level=1)
    return buffer.getvalue()


def explore(draw: Callable[..., Any], *, dpi: int = 100, **sliders: Any) -> Explorer:
    """Show a drawing with a slider for each of its arguments, and draw again whenever one moves.

    The newest value wins: while a picture is being made, only the last of the values that arrive is kept. A ``draw``
    that raises shows its error under the sliders, with the last good picture; the next move recovers.

    Parameters
    ----------
    draw : callable
        Of the sliders' values. If it has an argument ``ax``, it draws on that matplotlib Axes, which is cleared and
        used again (the quick way); else it returns a Figure or an Axes.
    dpi : int
        Dots per inch of the picture.
    **sliders : tuple, list, bool or ipywidgets widget
        For each argument of ``draw``: ``(low, high)`` or ``(low, high, step)`` for a range, whole numbers if all are; a
        list for a choice among its entries; a bool for a check box; or a widget. The start is ``draw``'s default, else
        the middle.

    Returns
    -------
    Explorer

    Raises
    ------
    TypeError, ValueError
        A slider that ``draw`` has no argument for, or a description that makes no slider.

    Examples
    --------
    >>> view = explore(lambda ax, t: ax.plot([0, t]), t=(0.0, 1.0))
    >>> view.values
    {'t': 0.5}
    >>> view.error
    ''
    """
    parameters = inspect.signature(draw).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    foreign = [name for name in sliders if name not in parameters and not open_ended]
    if foreign or not sliders:
        what = f"draw has no argument {', '.join(foreign)}" if foreign else "no slider was given"
        raise TypeError(f"{what}; its arguments are {', '.join(parameters) or 'none'}.")
    made = {}
    for name, description in sliders.items():
        default = parameters[name].default if name in parameters else inspect.Parameter.empty
        made[name] = _slider(name, description, None if default is inspect.Parameter.empty else default)
    return Explorer(draw, made, integer("dpi", dpi, most=1000))


def _slider(name: str, description: Any, start: Any) -> Any:
    """The widget for one argument."""
    look = {"description": name, "style": {"description_width": "initial"}, "layout": {"width": "min(28em, 100%)"}}
    if isinstance(description, ipywidgets.ValueWidget):
        return description
    if isinstance(description, bool):
        return ipywidgets.Checkbox(value=description if start is None else bool(start), **look)
    if isinstance(description, list) and description:
        value = start if start in description else description[len(description) // 2]
        return ipywidgets.SelectionSlider(options=description, value=value, **look)
    if not isinstance(description, tuple) or len(description) not in (2, 3) or not description[0] < description[1]:
        raise ValueError(
            f"slider {name} must be (low, high) or (low, high, step) with low < high, a list, a bool or a widget; "
            f"got {description!r}."
        )
    low, high, *step = description
    if all(isinstance(v, int) for v in description):
        value = (low + high) // 2 if start is None else start
        return ipywidgets.IntSlider(value=value, min=low, max=high, step=step[0] if step else 1, **look)
    size = step[0] if step else (high - low) / 100
    value = (low + high) / 2 if start is None else start
    digits = max(0, -int(f"{size:.0e}".split("e")[1]))
    look["readout_format"] = f".{digits}f"
    return ipywidgets.FloatSlider(value=value, min=low, max=high, step=size, **look)
