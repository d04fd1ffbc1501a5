"""GeoTIFF, through rasterio: bands, their wavelengths where tags or a header beside hold them, and the ground below."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import envi
from .rawfiles import Part, RawCube, Refused, reading, written_whole
from .scenes import Geo

_LENGTH = re.compile(r"(\d+(?:\.\d*)?)\s*(nanomet\w+|nm|micromet\w+|microns?|um|µm|μm)\b", re.I)


def _rasterio(path: Path) -> Any:
    try:
        import rasterio
    except ImportError as error:
        raise ImportError(
            f'{path} is a GeoTIFF; rasterio reads and writes it: pip install "wdl-tutorial[io]".'
        ) from error
    return rasterio


def read(path: Path, header: envi.Header | None = None) -> RawCube:
    """A TIFF as a cube that is read part by part. The wavelengths come from the bands' tags (``wavelength``,
    ``CENTRAL_WAVELENGTH_UM``), from their descriptions ("450.2 nm"), from an ENVI header beside it, or from the
    ``METADATA.XML`` of an EnMAP product."""
    import warnings

    rasterio = _rasterio(path)
    with reading(path, "a GeoTIFF"), warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, driver="GTiff") as file:
            _check(file, path)
            raw = _described(file, path)
    enmap = _enmap_metadata(path)
    if enmap is not None:
        raw = _as_enmap(raw, enmap)
    return _with_header(raw, path, header)


def _with_header(raw: RawCube, path: Path, given: envi.Header | None) -> RawCube:
    """What an ENVI header says of the image: the one that led here, or one beside it that is of this image."""
    beside = envi.header_beside(path)
    if given is None and beside is None:
        return raw
    try:
        header = given or envi.read_header(beside)
    except Refused:
        return raw._replace(notes=(*raw.notes, f"{beside.name} beside it is no ENVI header, and is left alone"))
    told = tuple(header.integer(key, 1, n) for key, n in zip(("lines", "samples", "bands"), raw.cube.shape))
    if told == raw.cube.shape:
        return envi.described(raw, header)
    sizes = "{} rows, {} columns and {} bands"
    if given is None:
        words = f"{beside.name} beside it is of another image ({sizes.format(*told)}), and is left alone"
        return raw._replace(notes=(*raw.notes, words))
    raise Refused(
        f"{header.path} is of an image of {sizes.format(*told)}; {path.name}, the only image beside it, has "
        f"{sizes.format(*raw.cube.shape)}. Put the header's own data file there, or give the path of the TIFF."
    )


def place(path: Path) -> tuple[tuple[int, int], Geo | None]:
    """Rows and columns, and the map, of whatever the bands hold."""
    import warnings

    rasterio = _rasterio(path)
    with reading(path, "a GeoTIFF"), warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, driver="GTiff") as file:
            return (file.height, file.width), _geo(file)


def _check(file: Any, path: Path) -> None:
    from rasterio.enums import ColorInterp

    if len(set(file.dtypes)) > 1:
        raise Refused(f"{path} holds bands of several types, {sorted(set(file.dtypes))}; a cube has one.")
    if file.colorinterp[0] is ColorInterp.palette:
        raise Refused(f"{path} is a picture with a colour table: its one band holds codes, not a spectrum.")
    if np.dtype(file.dtypes[0]).kind not in "iuf":
        raise Refused(f"{path} holds values of type {file.dtypes[0]}; a cube holds real numbers.")


def _described(file: Any, path: Path) -> RawCube:
    from rasterio.enums import ColorInterp, MaskFlags

    keep = [k + 1 for k, kind in enumerate(file.colorinterp) if kind is not ColorInterp.alpha]
    wavelengths, units, fwhm = _band_lengths(file, keep)
    scales, offsets = {file.scales[k - 1] for k in keep}, {file.offsets[k - 1] for k in keep}
    notes, scale, offset = [], None, 0.0
    if len(scales) == len(offsets) == 1 and min(scales) > 0:
        (factor,), (offset,) = scales, offsets
        scale = None if (factor, offset) == (1.0, 0.0) else 1.0 / factor
    elif scales != {1.0} or offsets != {0.0}:
        notes.append("the bands' scales and offsets differ, and are not applied")
    per_dataset = MaskFlags.per_dataset in file.mask_flag_enums[0] and MaskFlags.nodata not in file.mask_flag_enums[0]
    names = tuple(file.descriptions[k - 1] or "" for k in keep)
    named_units = file.tags().get("units", "")
    if scale is None and named_units == "reflectance":
        scale = 1.0
    quantity = "" if named_units in ("reflectance", "as in the file", "fraction") else named_units
    return RawCube(
        Part((file.height, file.width, len(keep)), file.dtypes[0], _reader(path, keep)),
        wavelengths,
        units,
        scale,
        offset,
        () if file.nodata is None else (float(file.nodata),),
        None,
        fwhm,
        names if any(names) else None,
        _geo(file),
        file.dataset_mask() > 0 if per_dataset else None,
        tuple(notes),
        quantity,
    )


def _reader(path: Path, keep: list[int]):
    def read(rows: slice, cols: slice) -> np.ndarray:
        import rasterio
        from rasterio.windows import Window

        window = Window.from_slices((rows.start, rows.stop), (cols.start, cols.stop))
        with reading(path, "a GeoTIFF"), rasterio.open(path, driver="GTiff") as file:
            return np.moveaxis(file.read(keep, window=window), 0, -1)[:: rows.step, :: cols.step]

    return read


def _geo(file: Any) -> Geo | None:
    placed = file.transform is not None and not file.transform.is_identity
    if not placed and file.crs is None:
        return None
    return Geo(tuple(map(float, file.transform[:6])) if placed else None, file.crs.to_wkt() if file.crs else None)


def _band_lengths(file: Any, keep: list[int]) -> tuple[np.ndarray | None, str, np.ndarray | None]:
    """Centres of the bands, their unit, and widths, from the tags of the bands, or from what describes them."""
    tags = [{key.lower(): value for key, value in file.tags(k).items()} for k in keep]
    sensed = [file.tags(k, ns="IMAGERY") for k in keep]
    centres = _floats(tag.get("wavelength") for tag in tags)
    if centres is not None:
        return centres, tags[0].get("wavelength_units", ""), _floats(tag.get("fwhm") for tag in tags)
    centres = _floats(tag.get("CENTRAL_WAVELENGTH_UM") for tag in sensed)
    if centres is not None:
        return centres, "um", _floats(tag.get("FWHM_UM") for tag in sensed)
    told = [_LENGTH.search(file.descriptions[k - 1] or "") for k in keep]
    if all(told) and len({match[2].lower() for match in told}) == 1:
        return np.array([float(match[1]) for match in told]), told[0][2], None
    return None, "", None


def _floats(values: Any) -> np.ndarray | None:
    """Numbers, or None where one is missing or is none."""
    try:
        found = np.array([float(value) for value in values])
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found).all() else None


def _enmap_metadata(path: Path) -> Any:
    """The XML beside the image of an EnMAP L2A product (``...-SPECTRAL_IMAGE.TIF``), or None."""
    match = re.fullmatch(r"(ENMAP.*)-SPECTRAL_IMAGE\w*", path.stem, re.I)
    if match is None:
        return None
    beside = [p for p in path.parent.iterdir() if p.name.lower() == f"{match[1]}-METADATA.XML".lower()]
    if not beside:
        return None
    from xml.etree import ElementTree

    with reading(beside[0], "the metadata of an EnMAP product"):
        return ElementTree.parse(beside[0]).getroot()


def _as_enmap(raw: RawCube, root: Any) -> RawCube:
    """Wavelengths, widths, the gain of reflectance and the background value, from EnMAP's ``bandCharacterisation``."""
    bands = root.findall(".//bandCharacterisation/bandID")
    read = {
        key: _floats(band.findtext(name) for band in bands)
        for key, name in (
            ("wavelengths", "wavelengthCenterOfBand"),
            ("fwhm", "FWHMOfBand"),
            ("gain", "GainOfBand"),
            ("offset", "OffsetOfBand"),
        )
    }
    n = raw.cube.shape[-1]
    if read["wavelengths"] is None or read["wavelengths"].size != n:
        return raw._replace(notes=(*raw.notes, f"its METADATA.XML does not list {n} bands, and is left alone"))
    background = _floats([root.findtext(".//specific/backgroundValue")])
    one_gain = read["gain"] is not None and np.ptp(read["gain"]) == 0 and not np.any(read["offset"])
    return raw._replace(
        wavelengths=read["wavelengths"],
        units="nm",
        fwhm=read["fwhm"],
        scale=1.0 / float(read["gain"][0]) if one_gain and read["gain"][0] > 0 else raw.scale,
        fill=raw.fill if background is None else tuple({*raw.fill, float(background[0])}),
    )


# ---------------------------------------------------------------------------------------------- writing


def write(
    path: Path,
    cube: np.ndarray,
    names: Sequence[str],
    *,
    geo: Geo | None = None,
    nodata: float | None = None,
    tags: dict[str, str] | None = None,
    band_tags: Sequence[dict[str, str]] | None = None,
) -> list[Path]:
    """A GeoTIFF of (rows, cols, bands) with names, no-data value, transform and coordinate system."""
    import warnings

    rasterio = _rasterio(path)
    cube = np.asarray(cube)
    rows, cols, bands = cube.shape
    place: dict[str, Any] = {}
    if geo is not None and geo.transform is not None:
        place["transform"] = rasterio.Affine(*geo.transform)
    if geo is not None and geo.crs is not None:
        place["crs"] = rasterio.crs.CRS.from_user_input(geo.crs)
    with written_whole(path) as part, warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            part,
            "w",
            driver="GTiff",
            height=rows,
            width=cols,
            count=bands,
            dtype=cube.dtype.name,
            nodata=nodata,
            interleave="band",
            compress="deflate",
            BIGTIFF="IF_SAFER",
            **place,
        ) as file:
            for k, name in enumerate(names, 1):
                file.write(np.ascontiguousarray(cube[..., k - 1]), k)
                file.set_band_description(k, str(name))
                if band_tags is not None:
                    file.update_tags(k, **band_tags[k - 1])
            file.update_tags(**(tags or {}))
    return [path]
