"""An image with a spectrum in every pixel, and what is known about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Scene(NamedTuple):
    """An image with a spectrum in every pixel, and what is known about it. Fields that are not known are None.

    What you know beside a file is put in by ``scene._replace(labels=..., mask=...)``, which gives a new scene.

    Examples
    --------
    >>> Scene("mine", np.ones((4, 5, 3)), np.array([450.0, 550.0, 650.0]))
    Scene('mine', 4 x 5 x 3, 450 to 650 nm, reflectance)
      with no truth, no labels, no mask
    """

    name: str
    cube: np.ndarray  # (rows, cols, bands) float64, in ``units``; NaN where masked
    wavelengths: np.ndarray | None = None  # (bands,) nm, increasing
    labels: np.ndarray | None = None  # (rows, cols) the file's own codes
    label_names: dict[int, str] | None = None  # code -> name
    endmembers: np.ndarray | None = None  # (n_endmembers, bands)
    abundances: np.ndarray | None = None  # (rows, cols, n_endmembers), fractions of area
    mask: np.ndarray | None = None  # (rows, cols) True where the pixel is valid; None: all are
    citation: str = ""
    endmember_names: tuple[str, ...] | None = None
    units: str = "reflectance"
    notes: tuple[str, ...] = ()  # what was mended, and what to know before trusting the truth
    extra: dict[str, Any] | None = None  # what only this scene has

    def __repr__(self) -> str:
        """What it is, what is known of it, and the notes, in a line each: no arrays."""
        nm = self.wavelengths
        span = "" if nm is None or not len(nm) else f", {nm[0]:g} to {nm[-1]:g} nm"
        names = ("labels", "endmembers", "abundances", "mask", "extra")
        known = ", ".join(name for name in names if getattr(self, name) is not None)
        lines = [f"Scene({self.name!r}, {' x '.join(map(str, self.cube.shape))}{span}, {self.units})"]
        lines.append(f"  with {known or 'no truth, no labels, no mask'}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def pixels(self) -> np.ndarray:
        """The valid pixels in C order, (n_valid, bands)."""
        flat = self.cube.reshape(-1, self.cube.shape[-1])
        return flat if self.mask is None else flat[valid_pixels(self)]

    def to_map(self, values: np.ndarray) -> np.ndarray:
        """Values of the valid pixels, (n_valid,) or (n_valid, k), back as a map: NaN where the scene is masked."""
        values = np.asarray(values)
        if values.dtype.kind not in "fiub":
            raise TypeError(f"values must be numbers to be drawn as a map; got {values.dtype}. Give names codes first.")
        rows, cols = self.cube.shape[:2]
        valid = valid_pixels(self)
        if values.shape[:1] != (valid.sum(),):
            raise ValueError(
                f"values has shape {values.shape}; the scene has {valid.sum()} valid pixels, one row each."
            )
        out = np.full((rows * cols, *values.shape[1:]), np.nan)
        out[valid] = values
        return out.reshape(rows, cols, *values.shape[1:])

    def crop(self, rows: slice, cols: slice) -> Scene:
        """The scene in these rows and columns only, all its maps cut alike. ``extra``, which may hold more, is left out.

        Examples
        --------
        >>> from wdl_tutorial.datasets import make_bilinear_scene
        >>> scene = make_bilinear_scene().crop(slice(10, 30), slice(None, 15))
        >>> scene.cube.shape, scene.abundances.shape
        ((20, 15, 188), (20, 15, 3))
        """
        if not (isinstance(rows, slice) and isinstance(cols, slice)):
            raise TypeError(f"rows and cols must be slices, such as slice(10, 30); got {rows!r} and {cols!r}.")
        maps = {name: getattr(self, name) for name in ("cube", "labels", "abundances", "mask")}
        part = self._replace(**{k: v if v is None else v[rows, cols] for k, v in maps.items()}, extra=None)
        if 0 in part.cube.shape:
            raise ValueError(f"rows {rows} and cols {cols} leave no pixel of a scene of {self.cube.shape[:2]}.")
        return part

    def drop_bands(self, bands: int | Sequence[int]) -> Scene:
        """The scene without the given bands (0-based)."""
        n_bands = self.cube.shape[-1]
        bands = np.atleast_1d(bands)
        if not bands.size:
            return self
        if bands.dtype.kind not in "iub" or bands.min() < -n_bands or bands.max() >= n_bands:
            raise ValueError(f"bands must be integers in 0..{n_bands - 1}; got {bands.tolist()}.")
        keep = np.delete(np.arange(n_bands), bands)
        if not keep.size:
            raise ValueError(f"dropping {n_bands} of {n_bands} bands leaves none. Keep at least one.")
        return self._replace(
            cube=self.cube[..., keep],
            wavelengths=None if self.wavelengths is None else self.wavelengths[keep],
            endmembers=None if self.endmembers is None else self.endmembers[:, keep],
        )


def valid_pixels(scene: Scene) -> np.ndarray:
    """The mask in C order, (n_pixels,) bool. Zeros and ones of integers are no indices, and become False and True."""
    shape = scene.cube.shape[:2]
    if scene.mask is None:
        return np.ones(shape, dtype=bool).reshape(-1)
    mask = np.asarray(scene.mask)
    if mask.shape != shape:
        raise ValueError(f"mask must have one entry per pixel, shape {shape}; got {mask.shape}.")
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise ValueError(
            f"mask must hold False and True, or 0 and 1; got {mask.dtype}, from {mask.min()} to {mask.max()}."
        )
    return mask.astype(bool).reshape(-1)
