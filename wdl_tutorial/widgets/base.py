"""What every demo's class shares: its code, its words, and its first frame for a reader without JavaScript."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np

try:
    import anywidget
    import traitlets
except ImportError as error:
    raise ImportError(
        f"the sliders need {error.name}, which is not installed. "
        "Install the extra 'book': pip install 'wdl-tutorial[book]'."
    ) from error

from .._checks import is_number, real_array, shown
from .source import css, esm


class Number(traitlets.Float):
    """A finite number of Python or NumPy, kept as a float."""

    def validate(self, obj: Any, value: Any) -> float:
        if not is_number(value):
            raise traitlets.TraitError(
                f"{self.name} of {type(obj).__name__} must be from {self.min:g} to {self.max:g}; got {shown(value)}."
            )
        return super().validate(obj, float(value))


def number(default: float, low: float, high: float):
    """A number in [low, high] that the browser sees and moves."""
    return Number(default, min=low, max=high).tag(sync=True)


class Choice(traitlets.Enum):
    """One of a few values, which an array is not."""

    def validate(self, obj: Any, value: Any) -> Any:
        if not isinstance(value, str | int | float):
            self.error(obj, value)
        return super().validate(obj, value)


def choice(default: Any, *values: Any):
    """One of a few values."""
    return Choice(values, default).tag(sync=True)


def toggle(default: bool = False):
    """On or off."""
    return traitlets.Bool(default).tag(sync=True)


def text(default: str):
    """Words."""
    return traitlets.Unicode(default).tag(sync=True)


class Numbers(traitlets.TraitType):
    """An array of any backend, kept as nested lists of floats: what a page can hold."""

    info_text = "an array of finite numbers"

    def validate(self, obj: Any, value: Any) -> list:
        try:
            array = real_array(self.name, value)
        except TypeError as error:
            raise traitlets.TraitError(f"{type(obj).__name__}: {error}") from None
        if not np.all(np.isfinite(array)):
            raise traitlets.TraitError(f"{self.name} of {type(obj).__name__} must be finite; it holds NaN or infinity.")
        return array.tolist()


def numbers(default: Any = ()):
    """An array, or a function of no arguments that makes the default one when it is needed."""
    if not callable(default):
        return Numbers(np.asarray(default, dtype=float).tolist()).tag(sync=True)

    class Made(Numbers):
        def make_dynamic_default(self) -> list:
            return np.asarray(default(), dtype=float).tolist()

    return Made().tag(sync=True)


def words(default: Callable[[], list[str]]):
    """A list of names, made when it is needed."""

    class Made(traitlets.List):
        def make_dynamic_default(self) -> list:
            return list(default())

    return Made(traitlets.Unicode()).tag(sync=True)


class Weights(Numbers):
    """A point of the simplex, as a list of floats."""

    def validate(self, obj: Any, value: Any) -> list:
        weights = np.asarray(super().validate(obj, value))
        if weights.ndim != 1 or np.any(weights < 0) or abs(weights.sum() - 1) > 1e-6:
            raise traitlets.TraitError(
                f"{self.name} of {type(obj).__name__} must be non-negative and sum to 1; got {weights.tolist()}."
            )
        return weights.tolist()


def simplex(*default: float):
    """Weights that sum to one."""
    return Weights(list(default)).tag(sync=True)


class Demo(anywidget.AnyWidget):
    """A picture with handles that moves without a kernel: in JupyterLab, in the built book, in Colab.

    Every demo takes its state as keyword arguments, and ``title``, ``caption`` (the words under the picture) and
    ``alt`` (its message, for who cannot see it).
    """

    _file = ""  # the demo's JavaScript; each class names its own
    title = text("")  # the demo's own where empty

    def __init_subclass__(cls, **kwargs):
        if cls.__dict__.get("_file"):
            cls._esm, cls._css = esm(cls._file), css()
        super().__init_subclass__(**kwargs)

    def __init__(self, **values: Any):
        unknown = sorted(set(values) - set(self.trait_names()))
        if unknown:
            own = ", ".join(sorted(self._own_traits()))
            raise TypeError(
                f"{type(self).__name__} has no {', '.join(unknown)}; it takes {own}, title, caption and alt."
            )
        super().__init__(**values)

    @classmethod
    def _own_traits(cls) -> list[str]:
        """The names of what may be set, from Python or in the picture."""
        return [
            name
            for name in cls.class_own_traits(sync=True)
            if not name.startswith("_") and name not in ("title", "caption", "alt")
        ]

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.alt}"

    def first_frame(self) -> Any:
        """The demo as it stands, as a matplotlib ``Figure``, for a page that is read without JavaScript."""
        from .. import figures
        from . import stills

        with figures.style():
            return stills.DRAWN[type(self).__name__](self)

    def first_picture(self) -> bytes:
        """The first frame as a PNG file."""
        import matplotlib.pyplot as plt

        figure, buffer = self.first_frame(), io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100)
        plt.close(figure)
        return buffer.getvalue()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict] | None:
        """The live demo, and its first frame beside it: where no script runs, a page shows the picture."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "image/png": base64.b64encode(self.first_picture()).decode("ascii")}, metadata
