"""An image with a spectrum in every pixel, what is known about it, and the mending of arrays into one."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ._array import as_float, to_numpy
from ._checks import array_of, choice, number, real_array, text, texts
from .blocks import elsewhere, slabs


class Geo(NamedTuple):
    """Where a scene lies on the ground: a transform, its coordinate system, and ENVI's words for both.

    ``x = a col + b row + c`` and ``y = d col + e row + f`` are the corner of pixel (row, col), as GDAL and rasterio
    count.

    Examples
    --------
    >>> geo = Geo((30.0, 0.0, 500000.0, 0.0, -30.0, 4000000.0), "EPSG:32611")
    >>> geo.window(slice(10, 20), slice(2, 8)).transform
    (30.0, 0.0, 500060.0, 0.0, -30.0, 3999700.0)
    """

    transform: tuple[float, ...] | None = None  # (a, b, c, d, e, f)
    crs: str | None = None  # "EPSG:32611" or WKT
    envi: dict[str, str] | None = None  # "map info", "coordinate system string", ... in the header's own text

    def window(self, rows: slice, cols: slice) -> Geo:
        """The same ground seen from a window of the scene; steps widen the pixels.

        Parameters
        ----------
        rows, cols : slice

        Returns
        -------
        Geo
        """
        if self.transform is None:
            moved = None
        else:
            a, b, c, d, e, f = self.transform
            row, down = _corner(rows)
            col, right = _corner(cols)
            moved = (a * right, b * down, a * col + b * row + c, d * right, e * down, d * col + e * row + f)
        return self._replace(transform=moved, envi=_moved_map_info(self.envi, rows, cols, moved))


def _corner(part: slice) -> tuple[float, float]:
    """Where the first pixel of a slice begins, and its step: backwards, a pixel begins at its far side."""
    step = part.step or 1
    start = part.start or 0
    return (float(start), float(step)) if step > 0 else (float(start + 1), float(step))


def _moved_map_info(
    envi: dict[str, str] | None, rows: slice, cols: slice, moved: tuple[float, ...] | None
) -> dict[str, str] | None:
    """ENVI's tie point counts pixels from 1: it moves, and the rest of the text stays to the letter.

    Where the image is rotated the tie point becomes the corner of the window: readers differ about any other.
    """
    if envi is None or "map info" not in envi:
        return envi
    fields = envi["map info"].split(",")
    without = {key: text for key, text in envi.items() if key != "map info"}
    if len(fields) < 7 or moved is None or min(rows.step or 1, cols.step or 1) < 0:
        return without
    for place, part in ((1, cols), (2, rows)):
        start, step = _corner(part)
        if start or step != 1:
            fields[place] = f" {(float(fields[place]) - 1 - start) / step + 1!r}"
        if step != 1:
            fields[place + 4] = f" {float(fields[place + 4]) * step!r}"
    if (moved[1] or moved[3]) and fields != envi["map info"].split(","):
        fields[1:5] = [" 1", " 1", f" {moved[2]!r}", f" {moved[5]!r}"]
    return envi | {"map info": ",".join(fields)}


class Scene(NamedTuple):
    """An image with a spectrum in every pixel, and what is known about it.

    Fields that are not known are None. What you know beside a file is put in by ``scene._replace(labels=...,
    mask=...)``, which gives a new scene; an array of yours becomes one by :func:`make_scene`, which also mends it.

    Examples
    --------
    >>> Scene("mine", np.ones((4, 5, 3)), np.array([450.0, 550.0, 650.0]))
    Scene('mine', 4 x 5 x 3, 450 to 650 nm, reflectance)
      with no truth, no labels, no mask
    """

    name: str
    cube: (
        np.ndarray
    )  # (rows, cols, bands) float64, in ``units``; NaN where masked. The mask of a NumPy masked array counts
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
    geo: Geo | None = None  # where it lies on the ground
    fwhm: np.ndarray | None = None  # (bands,) nm, full width of each band at half its maximum
    band_names: tuple[str, ...] | None = None  # as the file calls its bands

    def __repr__(self) -> str:
        """What it is, what is known of it, and the notes, in a line each: no arrays."""
        nm = self.wavelengths
        span = "" if nm is None or not len(nm) else f", {nm[0]:g} to {nm[-1]:g} nm"
        names = ("labels", "endmembers", "abundances", "mask", "geo", "extra")
        known = ", ".join(name for name in names if getattr(self, name) is not None)
        lines = [f"Scene({self.name!r}, {' x '.join(map(str, self.cube.shape))}{span}, {self.units})"]
        lines.append(f"  with {known or 'no truth, no labels, no mask'}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def pixels(self) -> np.ndarray:
        """The valid pixels, in C order.

        Returns
        -------
        array, shape (n_valid, n_bands)
        """
        flat = np.asarray(self.cube).reshape(-1, self.cube.shape[-1])
        if self.mask is None and not np.ma.isMaskedArray(self.cube):
            return flat
        return flat[valid_pixels(self)]

    def to_map(self, values: np.ndarray) -> np.ndarray:
        """Values of the valid pixels, back as a map: NaN where the scene is masked.

        Parameters
        ----------
        values : array, shape (n_valid,) or (n_valid, k)

        Returns
        -------
        array, shape (rows, cols) or (rows, cols, k)
        """
        values = array_of("values", values)
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
        """The scene in these rows and columns only, all its maps cut alike.

        ``extra``, which may hold more, is left out.

        Parameters
        ----------
        rows, cols : slice

        Returns
        -------
        Scene

        Examples
        --------
        >>> from wdl_tutorial.datasets import make_bilinear_scene
        >>> scene = make_bilinear_scene().crop(slice(10, 30), slice(None, 15))
        >>> scene.cube.shape, scene.abundances.shape
        ((20, 15, 188), (20, 15, 3))
        """
        if not (isinstance(rows, slice) and isinstance(cols, slice)):
            raise TypeError(f"rows and cols must be slices, such as slice(10, 30); got {rows!r} and {cols!r}.")
        check_maps(self)

        def cut(x: np.ndarray | None) -> np.ndarray | None:
            return None if x is None else np.asanyarray(x)[rows, cols]

        part = self._replace(
            cube=np.asanyarray(self.cube)[rows, cols],
            labels=cut(self.labels),
            abundances=cut(self.abundances),
            mask=cut(self.mask),
            extra=None,
        )
        if 0 in part.cube.shape:
            raise ValueError(f"rows {rows} and cols {cols} leave no pixel of a scene of {self.cube.shape[:2]}.")
        if self.geo is None:
            return part
        window = [slice(*part.indices(n)) for part, n in zip((rows, cols), self.cube.shape)]
        return part._replace(geo=self.geo.window(*window))

    def drop_bands(self, bands: int | Sequence[int] | np.ndarray) -> Scene:
        """The scene without the given bands.

        Parameters
        ----------
        bands : int or sequence of int
            Counted from 0.

        Returns
        -------
        Scene
        """
        n_bands = self.cube.shape[-1]
        dropped = np.atleast_1d(array_of("bands", bands))
        if not dropped.size:
            return self
        if dropped.ndim != 1 or dropped.dtype.kind not in "iu" or dropped.min() < -n_bands or dropped.max() >= n_bands:
            raise ValueError(f"bands must be integers in 0..{n_bands - 1}; got {dropped.tolist()}.")
        keep = np.delete(np.arange(n_bands), dropped)
        if not keep.size:
            raise ValueError(f"dropping {n_bands} of {n_bands} bands leaves none. Keep at least one.")
        return self._replace(
            cube=self.cube[..., keep],
            endmembers=None if self.endmembers is None else self.endmembers[:, keep],
            band_names=None if self.band_names is None else tuple(self.band_names[k] for k in keep),
            wavelengths=None if self.wavelengths is None else np.asarray(self.wavelengths)[keep],
            fwhm=None if self.fwhm is None else np.asarray(self.fwhm)[keep],
        )


def check_maps(scene: Scene) -> None:
    """Labels, abundances and mask have one entry per pixel: transposed ones are refused, not cut askew."""
    shape = scene.cube.shape[:2]
    for name in ("labels", "abundances", "mask"):
        value = getattr(scene, name)
        if value is not None and np.shape(value)[:2] != shape:
            turned = "; transpose it" if np.shape(value)[:2] == shape[::-1] else ""
            raise ValueError(f"{name} must have one entry per pixel, shape {shape}; got {np.shape(value)[:2]}{turned}.")


def valid_pixels(scene: Scene) -> np.ndarray:
    """The mask in C order, (n_pixels,) bool. Zeros and ones of integers are no indices, and become False and True.

    A pixel of a NumPy masked cube is valid where none of its bands is masked.
    """
    shape = scene.cube.shape[:2]
    hidden = np.ma.getmask(scene.cube)
    seen = np.ones(shape, dtype=bool) if hidden is np.ma.nomask else ~np.asarray(hidden).any(axis=-1)
    if scene.mask is None:
        return seen.reshape(-1)
    mask = array_of("mask", scene.mask)
    if mask.shape != shape:
        raise ValueError(f"mask must have one entry per pixel, shape {shape}; got {mask.shape}.")
    if mask.dtype.kind not in "biuf":
        raise TypeError(f"mask must hold False and True, or 0 and 1; got {mask.dtype}.")
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise ValueError(
            f"mask must hold False and True, or 0 and 1; got {mask.dtype}, from {mask.min()} to {mask.max()}."
        )
    return (mask.astype(bool) & seen).reshape(-1)


def as_scene(scene: Scene | np.ndarray) -> Scene:
    """A Scene as it is, or a cube as one; of both, shapes that fit and real numbers."""
    if isinstance(scene, str | os.PathLike):
        raise TypeError(
            f"expected numbers: scene must be a Scene or a cube, got {scene!r}. Load it: wt.datasets.load_cube."
        )
    if not isinstance(scene, Scene):
        if not (isinstance(scene, np.ndarray) and scene.dtype.kind in "iuf") and not elsewhere(scene):
            scene = to_numpy(as_float(scene, name="scene")).astype(float)
        scene = Scene("cube", scene)
    shape, nm = scene.cube.shape, scene.wavelengths
    if len(shape) != 3:
        raise ValueError(f"scene must be a Scene or a cube (rows, cols, bands); got an array of shape {shape}.")
    if shape[2] == 0:
        raise ValueError(f"the scene has no bands: its cube has shape {shape}.")
    if getattr(scene.cube.dtype, "kind", "f") not in "biuf":
        raise TypeError(f"scene must hold real numbers; its cube is of dtype {scene.cube.dtype}.")
    if nm is not None and np.shape(nm) != shape[2:]:
        raise ValueError(
            f"the scene has {shape[2]} bands, but its wavelengths have shape {np.shape(nm)}. Give one each."
        )
    truth = scene.abundances
    if truth is not None and truth.shape[:2] != shape[:2]:
        raise ValueError(f"the cube has {shape[:2]} pixels, its abundances {truth.shape[:2]}. Cut both: Scene.crop.")
    return scene


# ---------------------------------------------------------------------------------------------- mending


def make_scene(
    cube: Any,
    wavelengths: Any = None,
    *,
    units: str | None = None,
    scale: float | None = None,
    fill: float | Sequence[float] | None = None,
    bad_bands: Any = None,
    mask: Any = None,
    name: str = "cube",
    negative: str = "keep",
    offset: float = 0.0,
    fwhm: Any = None,
    band_names: Sequence[str] | None = None,
    geo: Geo | None = None,
    dtype: Any = np.float64,
    quantity: str = "reflectance",
) -> Scene:
    """A scene from an array of yours, mended in the open as :func:`load_cube` mends a file.

    What is mended, and told in ``notes``:

    * bands that you mark as bad, that hold no finite value in any pixel, or that are zero in every pixel, are dropped
      with their wavelengths;
    * wavelengths become nanometres; where no unit is named, or the named one cannot be, values below 100 are taken for
      micrometres, as no camera sees so far; the numbers 1, 2, 3, ... are band numbers and are left out;
    * bands are put in order of wavelength;
    * pixels that are zero in every band, or still hold a missing value (NaN, infinite, masked, or ``fill``), are masked:
      False in ``mask``, NaN in ``cube``;
    * pixels that hold one value in every band are counted: they look like fill that nobody named;
    * negative reflectance is kept by default: it is noise, and cutting it biases the mean;
    * reflectance above 1.5 is kept and counted: saturated pixels (mask them: they would be found as endmembers), or a
      wrong scale.

    Parameters
    ----------
    cube : array, shape (rows, cols, n_bands)
        Any real numbers; a masked array keeps its mask.
    wavelengths : array, shape (n_bands,), optional
    units : str, optional
        Of the wavelengths: "nm", "um" or their names.
    scale : float, optional
        Reflectance is ``offset + cube / scale``. Not given, the values stay as they are and are not called reflectance.
    fill : float or sequence of float, optional
        The value, or values, that mean "no data".
    bad_bands : array of int or of bool, optional
        Numbers of bands (from 0), or one bool per band, True where bad.
    mask : array of bool, shape (rows, cols), optional
        True where the pixel is valid.
    name : str
    negative : {"keep", "clip", "raise"}
        What becomes of negative reflectance; "clip" puts 0.
    offset : float
        See ``scale``.
    fwhm : array, shape (n_bands,), optional
        Widths of the bands, in the units of the wavelengths.
    band_names : sequence of str, optional
    geo : Geo, optional
    dtype : numpy.float64 or numpy.float32
        The latter for half the memory.
    quantity : str
        What the scaled values are, for ``units`` of the scene: "W m-2 sr-1 um-1". What is not reflectance may exceed 1.5.

    Returns
    -------
    Scene

    Raises
    ------
    ValueError
        If the cube has no three axes or no valid pixel, if wavelengths are not one per band and positive, or lie on an
        axis that is not the last.

    Examples
    --------
    >>> counts = np.array([[[100, 200, 300], [-9999, -9999, -9999]]])
    >>> scene = make_scene(counts, [0.45, 0.55, 0.65], scale=1000, fill=-9999)
    >>> scene.cube[0, 0], scene.mask
    (array([0.1, 0.2, 0.3]), array([[ True, False]]))
    >>> scene.notes
    ('wavelengths are read as micrometres', '1 pixels with missing values are masked')
    """
    source = name
    cube = _check_cube(cube, source)
    dtype = check_dtype(dtype)
    _check_mending(negative, scale, fill)
    offset = number("offset", offset)
    fills = () if fill is None else tuple(np.atleast_1d(np.asarray(fill, dtype=float)).ravel().tolist())
    band_names = None if band_names is None else texts("band_names", band_names, cube.shape[-1], of="bands")
    nm, width, notes = _nanometres(wavelengths, fwhm, units, cube.shape, source)
    seen = _check_mask(mask, cube.shape[:2])
    notes += _fills_that_cannot_be(fills, cube.dtype)
    keep = _kept_bands(cube, fills, seen, bad_bands, notes)
    order = np.flatnonzero(keep)
    if nm is not None and np.any(np.diff(nm[order]) < 0):
        order = order[np.argsort(nm[order], kind="stable")]
        notes.append("bands are sorted by wavelength")
    if not order.size:
        raise ValueError(f"{source} holds no valid pixel: {'; '.join(notes)}. Check its fill value and its bands.")
    most = 1.5 if scale is not None and quantity == "reflectance" else np.inf
    out, valid = _mend_pixels(cube, order, fills, seen, (scale, offset, negative, most), dtype, source, notes)
    quantity = text("quantity", quantity)
    if scale is None:
        notes.append("no scale is known; values are as in the file")
    return Scene(
        name=name,
        cube=out,
        wavelengths=None if nm is None else nm[order],
        mask=None if valid.all() else valid,
        units="as in the file" if scale is None and quantity == "reflectance" else quantity,
        notes=tuple(notes),
        geo=geo,
        fwhm=None if width is None else width[order],
        band_names=None if band_names is None else tuple(band_names[k] for k in order),
    )


def _check_cube(cube: Any, source: str) -> Any:
    """An array, or what gives one part by part; three axes, real numbers."""
    if not (hasattr(cube, "shape") and hasattr(cube, "dtype")):
        cube = array_of(source, cube)
    if len(cube.shape) != 3 or 0 in cube.shape:
        raise ValueError(
            f"{source} holds an array of shape {tuple(cube.shape)}; a cube has three axes (rows, cols, bands)."
        )
    if not isinstance(cube.dtype, np.dtype):
        cube = to_numpy(cube)  # a backend of its own
    if cube.dtype.kind not in "iufb":
        raise ValueError(f"{source} holds values of type {cube.dtype}; a cube holds real numbers.")
    return cube


def check_dtype(dtype: Any) -> np.dtype:
    """The type of a scene's numbers: double or single precision."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64; got {dtype!r}.")
    return found


def _check_mending(negative: str, scale: float | None, fill: Any) -> None:
    choice("negative", negative, ("keep", "clip", "raise"))
    if scale is not None:
        number("scale", number("scale", scale, above=0), least=1e-15, most=1e15)
    if fill is not None and array_of("fill", fill).dtype.kind not in "iufb":
        raise ValueError(f"fill must be a number, or several; got {fill!r}.")


def _check_mask(mask: Any, shape: tuple[int, int]) -> np.ndarray | None:
    if mask is None:
        return None
    given = Scene("cube", np.empty((*shape, 0)), mask=array_of("mask", mask))
    check_maps(given)
    return valid_pixels(given).reshape(shape)


def slabs_of(cube: Any) -> Iterator[slice]:
    """Slices of rows of a cube, wherever it lies, on which the work takes what it may: four floats for each value."""
    return slabs(cube, 4 * 8 * math.prod(cube.shape[1:]))


def _part(cube: Any, rows: slice, fills: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Some rows of the cube, and where they hold nothing."""
    part = cube[rows, :]
    missing = np.ma.getmaskarray(part).copy() if np.ma.isMaskedArray(part) else np.zeros(part.shape, dtype=bool)
    part = np.asarray(part)
    if part.dtype.kind == "f":
        missing |= ~np.isfinite(part)
    for value in fills:
        held = _as_held(value, part.dtype)
        if held is not None:
            missing |= part == held
    return part, missing


def _as_held(value: float, dtype: np.dtype) -> Any:
    """The fill value as the type of the file holds it; None where it cannot hold it."""
    if dtype.kind == "f":
        return dtype.type(value) if np.isfinite(value) else None  # what is not finite is missing anyway
    if dtype.kind == "b":
        return None
    info = np.iinfo(dtype)
    return (
        dtype.type(int(value)) if np.isfinite(value) and value == int(value) and info.min <= value <= info.max else None
    )


def _fills_that_cannot_be(fills: tuple[float, ...], dtype: np.dtype) -> list[str]:
    return [
        f"the fill value {value:g} cannot occur in {dtype.name}, so it masks nothing"
        for value in fills
        if dtype.kind != "f" and _as_held(value, dtype) is None
    ]


def _kept_bands(
    cube: Any, fills: tuple[float, ...], seen: np.ndarray | None, bad_bands: Any, notes: list[str]
) -> np.ndarray:
    """Which bands hold something, (bands,) bool: a border of zeros, or a masked pixel, is no value of a band."""
    bands = cube.shape[-1]
    found, nonzero = np.zeros(bands, dtype=bool), np.zeros(bands, dtype=bool)
    dark_found = np.zeros(bands, dtype=bool)
    any_lit = False
    for rows in slabs_of(cube):
        part, missing = _part(cube, rows, fills)
        holds = ~missing if seen is None else ~missing & seen[rows][..., None]
        light = holds & (part != 0)
        lit = light.any(axis=-1)
        any_lit = any_lit or bool(lit.any())
        found |= holds[lit].any(axis=0)
        dark_found |= holds.any(axis=(0, 1))
        nonzero |= light.any(axis=(0, 1))
    found = found if any_lit else dark_found
    if not found.all():
        notes.append(
            f"{(~found).sum()} bands without any value are dropped (0-based: {np.flatnonzero(~found).tolist()})"
        )
    zero = found & ~nonzero if any_lit else np.zeros(bands, dtype=bool)
    if zero.any():
        notes.append(
            f"{zero.sum()} bands that are zero in every pixel are dropped (0-based: {np.flatnonzero(zero).tolist()})"
        )
    keep = found & ~zero
    bad = marked_bands(bad_bands, bands)
    if bad.any():
        notes.append(f"{bad.sum()} bands that are marked as bad are dropped")
    return keep & ~bad


def marked_bands(bad_bands: Any, bands: int) -> np.ndarray:
    """Bands marked as bad, (bands,) bool, from numbers or from one bool per band."""
    bad = np.zeros(bands, dtype=bool)
    if bad_bands is None:
        return bad
    given = np.atleast_1d(array_of("bad_bands", bad_bands))
    if given.dtype == bool:
        if given.shape != (bands,):
            raise ValueError(f"bad_bands of True and False must have one entry per band, {bands}; got {given.size}.")
        return given
    if not given.size:
        return bad
    if given.dtype.kind not in "iu" or given.min() < -bands or given.max() >= bands:
        raise ValueError(f"bad_bands must be numbers of bands in 0..{bands - 1}, or bool; got {given.tolist()[:9]}.")
    bad[given] = True
    return bad


def _mend_pixels(
    cube: Any,
    order: np.ndarray,
    fills: tuple[float, ...],
    seen: np.ndarray | None,
    rule: tuple[float | None, float, str, float],
    dtype: np.dtype,
    source: str,
    notes: list[str],
) -> tuple[np.ndarray, np.ndarray]:
    """The cube in its new order, scaled, and which pixels are valid; slab by slab, so that little lies beside it."""
    scale, offset, negative, most = rule
    out = np.empty((*cube.shape[:2], order.size), dtype=dtype)
    valid = np.ones(cube.shape[:2], dtype=bool)
    whole = np.array_equal(order, np.arange(cube.shape[-1]))
    count: Counter[str] = Counter()
    constant: Counter[float] = Counter()
    lowest, highest = np.inf, -np.inf
    for rows in slabs_of(cube):
        part, missing = _part(cube, rows, fills)
        if not whole:
            part, missing = part[..., order], missing[..., order]
        told = np.ones(part.shape[:2], dtype=bool) if seen is None else seen[rows]
        holed = missing.any(axis=-1) & told
        empty = ~(part != 0).any(axis=-1) & told & ~holed
        good = told & ~holed & ~empty
        flat = good & (part == part[..., :1]).all(axis=-1) if order.size > 2 else np.zeros_like(good)
        constant.update(part[flat][:, 0].tolist())
        block = out[rows]
        np.divide(part, 1.0 if scale is None else scale, out=block, dtype=dtype, casting="unsafe")
        if offset:
            block += dtype.type(offset)
        block[~good] = np.nan
        below = block < 0
        if below.any():
            count["below"] += int(below.sum())
            lowest = min(lowest, float(block[below].min()))
            if negative == "clip":
                block[below] = 0.0
                black = good & ~(block > 0).any(axis=-1)  # nothing but negative values: fill, or the border
                block[black], good = np.nan, good & ~black
                count["black"] += int(black.sum())
        if most < np.inf:
            above = block > most
            count["above"] += int(above.sum())
            highest = max(highest, float(block[above].max(initial=-np.inf)))
        count["holed"] += int(holed.sum())
        count["empty"] += int(empty.sum())
        count["masked"] += int((~told).sum())
        valid[rows] = good
    _tell(count, constant, lowest, highest, negative, source, notes)
    if not valid.any():
        raise ValueError(f"{source} holds no valid pixel: {'; '.join(notes)}. Check its fill value and its bands.")
    return out, valid


def _tell(
    count: Counter[str],
    constant: Counter[float],
    lowest: float,
    highest: float,
    negative: str,
    source: str,
    notes: list[str],
) -> None:
    """What was found among the pixels, in words."""
    if count["below"] and negative == "raise":
        raise ValueError(
            f"{source} holds {count['below']} negative values (smallest {lowest:.3g}). Use negative='clip' to set "
            "them to zero or negative='keep' to keep them."
        )
    told = {
        "masked": "pixels are masked as the mask says",
        "holed": "pixels with missing values are masked",
        "empty": "all-zero pixels are masked",
    }
    notes += [f"{count[key]} {words}" for key, words in told.items() if count[key]]
    for value, n in constant.most_common(3):
        notes.append(
            f"{n} pixels hold one value, {value:g}, in every band: if it is fill, mask them with fill={value:g}"
        )
    if count["below"]:
        notes.append(f"{count['below']} negative values are {'set to zero' if negative == 'clip' else 'kept'}")
    if count["black"]:
        notes.append(f"{count['black']} pixels without any positive value are masked")
    if count["above"]:
        notes.append(f"{count['above']} values are above 1.5 (largest {highest:.3g}): saturated, or of another scale")


# ---------------------------------------------------------------------------------------------- wavelengths

_UNITS = {
    "nanometer": 1.0,
    "nanometre": 1.0,
    "nm": 1.0,
    "micrometer": 1000.0,
    "micrometre": 1000.0,
    "micron": 1000.0,
    "um": 1000.0,
    "µm": 1000.0,
    "μm": 1000.0,
    "meter": 1e9,
    "metre": 1e9,
    "m": 1e9,
}


def unit_in_nm(units: str | None, source: str) -> float | None:
    """How many nanometres a unit is, by any of its names; None where none is named.

    Examples
    --------
    >>> unit_in_nm("Nanometers (nm)", "x"), unit_in_nm("um", "x"), unit_in_nm("Unknown", "x")
    (1.0, 1000.0, None)
    """
    words = [word for word in re.split(r"[^a-zµμ]+", str(units or "").lower()) if word]
    if not words or words[0] in ("unknown", "none", "index"):
        return None
    found = [_UNITS[w.removesuffix("s")] for w in words if w.removesuffix("s") in _UNITS]
    if not found:
        raise ValueError(
            f"{source} gives wavelengths in {units!r}; only nanometers and micrometers are understood. Give units='nm'."
        )
    return found[0]


def _nanometres(
    wavelengths: Any, fwhm: Any, units: str | None, shape: tuple[int, ...], source: str
) -> tuple[np.ndarray | None, np.ndarray | None, list[str]]:
    """Wavelengths and widths in nm, and what was guessed about them."""
    factor = unit_in_nm(None if units is None else text("units", units), source)
    if wavelengths is None:
        return None, None, []
    raw = array_of("wavelengths", wavelengths)
    if raw.dtype.kind not in "iuf":
        raise ValueError(f"wavelengths of {source} must be numbers; got an array of dtype {raw.dtype}.")
    nm, notes = raw.astype(float).ravel(), []
    if not nm.size or not np.all(np.isfinite(nm)) or np.any(nm < 0):
        raise ValueError(
            f"wavelengths of {source} must be positive numbers; got {nm[:3]}... Give wavelengths=... in nm."
        )
    _check_bands_axis(nm, shape, source)
    if nm.size > 2 and (np.array_equal(nm, np.arange(nm.size)) or np.array_equal(nm, np.arange(1, nm.size + 1))):
        return None, None, [f"wavelengths {nm[0]:g}, {nm[1]:g}, ... {nm[-1]:g} are band numbers, and are left out"]
    if np.any(nm == 0):
        raise ValueError(
            f"wavelengths of {source} must be positive numbers; got {nm[:3]}... Give wavelengths=... in nm."
        )
    likely = 1000.0 if nm.max() < 100 else 1.0
    if factor is None or (factor != likely and factor < 1e9):
        told = "" if factor is None else f", though they are called {str(units).strip()}"
        if likely == 1000.0:
            notes.append(f"wavelengths are read as micrometres{told}")
        elif factor is not None:
            notes.append(f"wavelengths are read as nanometres{told}")
        factor = likely
    nm = nm * factor
    if nm.max() > 100_000 or nm.max() < 50:
        raise ValueError(
            f"wavelengths of {source} run from {nm.min():g} to {nm.max():g} nm, where no camera sees. Give units=..."
        )
    width = None if fwhm is None else real_array("fwhm", fwhm).ravel()
    if width is not None and (width.shape != nm.shape or not np.all(width > 0) or not np.all(np.isfinite(width))):
        notes.append("widths of the bands (fwhm) are not one positive number per band, and are left out")
        width = None
    return nm, None if width is None else width * factor, notes


def _check_bands_axis(nm: np.ndarray, shape: tuple[int, ...], source: str) -> None:
    """Wavelengths tell which axis holds the bands: a cube turned round is refused, with the remedy."""
    if nm.size == shape[-1]:
        return
    if nm.size in shape[:2]:
        axis = shape.index(nm.size)
        raise ValueError(
            f"{source} has shape {tuple(shape)} and {nm.size} wavelengths: its bands lie on axis {axis}, not on the last. "
            f"Give bands_axis={axis}, or np.moveaxis(cube, {axis}, -1)."
        )
    raise ValueError(
        f"{source} has shape {tuple(shape)}, so {shape[-1]} bands, but {nm.size} wavelengths. Give one per band."
    )
