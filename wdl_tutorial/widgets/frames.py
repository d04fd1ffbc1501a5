"""A player of precomputed pictures, for results that take longer than a slider's move."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets

from .._array import to_numpy
from .._checks import integer, shown, texts
from .base import Demo, text

PNG = b"\x89PNG\r\n\x1a\n"
ENOUGH = 12_000_000  # bytes of pictures in one page


def png(frame: Any, dpi: int = 100) -> bytes:
    """The bytes of a PNG picture: from a matplotlib Figure or Axes, from PNG bytes, or from an array.

    An array is (rows, cols) or (rows, cols, 3): numbers in [0, 1], or bytes.
    """
    if isinstance(frame, bytes):
        if not frame.startswith(PNG):
            raise ValueError("frames given as bytes must be PNG files; these do not start like one.")
        return frame
    figure = getattr(frame, "figure", None) or frame
    buffer = io.BytesIO()
    if hasattr(figure, "savefig"):
        import matplotlib.pyplot as plt

        figure.savefig(buffer, format="png", dpi=dpi, bbox_inches=None)
        plt.close(figure)  # or the notebook shows it a second time
        return few_colours(buffer)
    return _array_png(np.asarray(to_numpy(frame)), buffer)


def few_colours(buffer: io.BytesIO, most: int = 128) -> bytes:
    """A drawn figure with a palette: a third of the bytes, and no difference that an eye would see."""
    from PIL import Image

    small = io.BytesIO()
    picture = Image.open(buffer).convert("RGB")
    picture = picture.quantize(most, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    picture.save(small, format="PNG", optimize=True)
    return small.getvalue()


def _array_png(pixels: np.ndarray, buffer: io.BytesIO) -> bytes:
    from matplotlib.image import imsave

    if pixels.dtype.kind not in "biuf" or not pixels.size:
        raise ValueError(f"frames must hold numbers, some in each; got shape {pixels.shape} of {pixels.dtype}.")
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(f"frames: each must be (rows, cols) or (rows, cols, 3); got shape {pixels.shape}.")
    if pixels.dtype != np.uint8 and not (np.all(np.isfinite(pixels)) and pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(f"frames: numbers must lie in [0, 1]; it spans {pixels.min():.3g} to {pixels.max():.3g}.")
    scale = 255 if pixels.dtype == np.uint8 else 1
    imsave(buffer, pixels, format="png", cmap="cividis", vmin=0, vmax=scale)
    return buffer.getvalue()


class FramePlayer(Demo):
    """Precomputed pictures with one handle or more, in the look of the other demos; needs no kernel.

    Parameters
    ----------
    frames : sequence of matplotlib Figures or Axes, PNG bytes, or arrays
        All of one size and one vertical scale, or the picture jumps. With several handles, in the order of nested
        loops, the last handle innermost.
    captions : sequence of str
        One for each frame: what it shows. They are the pictures' alt text as well.
    handles : mapping of str to sequence, optional
        Names of the handles with the values that they step through, for instance ``{"epoch": [0, 10, 100]}``.
        One handle "frame" that counts from 1 if not given.
    title : str
        Over the picture.
    dpi : int
        Dots per inch of Figures.
    **words : str
        ``alt``, the message of all frames.

    Examples
    --------
    >>> import numpy as np
    >>> player = FramePlayer([np.zeros((4, 4)), np.ones((4, 4))], ["dark", "bright"], handles={"light": [0, 1]})
    >>> player.at
    [0]
    """

    _file = "frame_player.js"
    handles: Any = traitlets.List().tag(sync=True)
    frames = traitlets.List(traitlets.Bytes()).tag(sync=True)
    captions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    at = traitlets.List(traitlets.Int()).tag(sync=True)
    caption = text("")
    alt = text("")

    def __init__(
        self,
        frames: Sequence[Any],
        captions: Sequence[str],
        *,
        handles: Mapping[str, Sequence[Any]] | None = None,
        title: str = "Frame by frame",
        dpi: int = 100,
        **words: str,
    ):
        if isinstance(frames, str | bytes | dict) or not hasattr(frames, "__len__"):
            raise TypeError(f"frames must be a list of pictures; got {shown(frames)}.")
        captions = texts("captions", captions, len(frames), of="frames")
        dpi = integer("dpi", dpi, most=1000)
        handles = {"frame": range(1, len(frames) + 1)} if handles is None else handles
        if not isinstance(handles, Mapping) or not all(hasattr(values, "__len__") for values in handles.values()):
            raise TypeError(f"handles must be a dict from names to lists of values; got {shown(handles)}.")
        count = math.prod(len(values) for values in handles.values())
        if count != len(frames) or count == 0:
            raise ValueError(f"the handles have {count} positions together, but there are {len(frames)} frames.")
        pictures = [png(frame, dpi) for frame in frames]
        size = sum(map(len, pictures))
        if size > ENOUGH:
            raise ValueError(
                f"the frames take {size / 1e6:.0f} MB; keep to {ENOUGH / 1e6:.0f} MB: fewer, or a lower dpi."
            )
        words.setdefault("alt", captions[0])
        super().__init__(
            frames=pictures,
            captions=list(captions),
            handles=[[name, [str(v) for v in values]] for name, values in handles.items()],
            at=[0] * len(handles),
            title=title,
            **words,
        )

    @property
    def index(self) -> int:
        """The number of the frame that is shown, from 0."""
        return int(np.ravel_multi_index(self.at, [len(values) for _, values in self.handles]))

    def first_picture(self) -> bytes:
        """The frame that is shown, as a PNG file.

        Returns
        -------
        bytes
        """
        return bytes(self.frames[self.index])
