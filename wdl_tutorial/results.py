"""What was found, as files that a GIS, a spreadsheet and another person open."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import envi, geotiff
from ._checks import file_path, instance, real_array
from .rawfiles import check_new, written_whole
from .scenes import Scene

if TYPE_CHECKING:
    from .unmixing import Unmixing

SUFFIXES = (".tif", ".tiff", ".hdr", ".img", ".npz")

_SAVE: Callable[..., None] = np.savez_compressed  # to whose type an array's name could be that of an option


def save(found: Unmixing, path: str | Path, *, doubt: np.ndarray | None = None, overwrite: bool = False) -> list[Path]:
    """Write maps, endmembers and settings of an unmixed scene to files, by the suffix of the path.

    * ``.tif`` : a GeoTIFF (rasterio); ``.hdr`` or ``.img`` : an ENVI image. Its bands are the abundances, by the names of
      the endmembers, then ``doubt`` where it is given, ``error`` (root mean square misfit) and ``valid`` (1 or 0).
      Masked pixels are NaN, which is the no-data value; the map of the scene is kept.
    * ``.npz`` : all of it as arrays.

    Beside it: ``NAME_endmembers.sli`` (ENVI, with its header) and ``NAME_endmembers.csv``, and ``NAME.json`` with the
    method, its options, seed, versions, the hash of the data and the diagnostics.

    Parameters
    ----------
    found : Unmixing
    path : str or Path
    doubt : array, shape (rows, cols), optional
        ``Doubt.map``, to stand among the bands.
    overwrite : bool
        Replace files that are there.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    FileExistsError
        If one of the files is there and ``overwrite`` is not given; nothing is written then.
    OSError
        If the disk is full or the folder cannot be written: the file is named, and no half of it is left.
    ValueError
        If the suffix is another one, or ``doubt`` is not one value per pixel.
    """
    path = file_path("path", path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"path {path} ends in {path.suffix!r}; results are saved as {', '.join(SUFFIXES)}.")
    bands, names = _bands(found, doubt)
    stem = path.with_suffix("")
    image = [path.with_suffix(".hdr"), path.with_suffix(".img")] if path.suffix.lower() in (".hdr", ".img") else [path]
    library = [Path(f"{stem}_endmembers{suffix}") for suffix in (".sli", ".hdr", ".csv")]
    about = Path(f"{stem}.json")
    check_new([*image, *library, about], overwrite)
    if path.suffix.lower() == ".npz":
        _save_npz(found, path, doubt)
    elif len(image) == 2:
        entries = {"description": f"{{{_title(found)}}}", "band names": names, "data ignore value": "nan"}
        envi.write_image(path.with_suffix(".hdr"), bands, entries, found.geo)
    else:
        tags = {"method": found.method, "description": _title(found), "units": "fraction"}
        geotiff.write(path, bands, names, geo=found.geo, nodata=np.nan, tags=tags)
    spectra = found.spectra()
    spectra.save(library[0], overwrite=True)
    spectra.save(library[2], overwrite=True)
    _save_json(found, about, names)
    return [*image, *library, about]


def _title(found: Unmixing) -> str:
    return f"abundances of {found.settings.get('scene', 'a cube')} by {found.method}, wdl_tutorial"


def _bands(found: Unmixing, doubt: np.ndarray | None) -> tuple[np.ndarray, list[str]]:
    """All maps as one image, and what its bands are called."""
    shape = found.abundances.shape[:2]
    maps, names = [found.abundances], [str(name) for name in found.names]
    for name, value in (("doubt", doubt), ("error", found.error), ("valid", found.mask)):
        if value is None:
            continue
        value = real_array(name, value)
        if value.shape != shape:
            raise ValueError(f"{name} must have one value per pixel, shape {shape}; got {value.shape}.")
        maps.append(value[..., None])
        names.append(name)
    return np.concatenate(maps, axis=-1), names


def _save_npz(found: Unmixing, path: Path, doubt: np.ndarray | None) -> None:
    arrays: dict[str, Any] = {
        "abundances": found.abundances,
        "endmembers": found.endmembers,
        "names": np.array(found.names),
        "mask": found.mask,
        "error": found.error,
        "reconstruction": found.reconstruction,
        "wavelengths": found.wavelengths,
        "indices": found.indices,
        "bundle": found.bundle,
        "doubt": None if doubt is None else real_array("doubt", doubt),
        "transform": None if found.geo is None else found.geo.transform,
        "crs": None if found.geo is None or found.geo.crs is None else np.array(found.geo.crs),
        "settings": np.array(json.dumps(found.settings)),
    }
    with written_whole(path) as part:
        _SAVE(part, **{key: value for key, value in arrays.items() if value is not None})


def _save_json(found: Unmixing, path: Path, bands: list[str]) -> None:
    text = json.dumps(
        found.settings | {"diagnostics": found.diagnostics, "bands": bands, "endmembers": list(found.names)},
        indent=2,
        ensure_ascii=False,
        default=repr,
    )
    with written_whole(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def save_cube(scene: Scene, path: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Write a scene to a file that ``load_cube`` and other programs read: ENVI, GeoTIFF or ``.npz``.

    Values, wavelengths, widths, band names and the map are kept; masked pixels are NaN, which is the no-data value.
    ``.npz`` does not hold the map.

    Parameters
    ----------
    scene : Scene
    path : str or Path
        By its suffix ``.hdr``, ``.img`` (ENVI), ``.tif`` (GeoTIFF) or ``.npz``.
    overwrite : bool
        Replace files that are there.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    FileExistsError, OSError, ValueError
        As :func:`save`.
    """
    instance("scene", scene, Scene, advice="See make_scene.")
    path = file_path("path", path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"path {path} ends in {path.suffix!r}; cubes are saved as {', '.join(SUFFIXES)}.")
    bands = scene.cube.shape[2]
    files = [path.with_suffix(".hdr"), path.with_suffix(".img")] if suffix in (".hdr", ".img") else [path]
    check_new(files, overwrite)
    cube = np.array(np.ma.filled(scene.cube, np.nan) if np.ma.isMaskedArray(scene.cube) else scene.cube)
    if scene.mask is not None and cube.dtype.kind == "f":
        cube[~np.asarray(scene.mask, dtype=bool)] = np.nan
    nm, fwhm = scene.wavelengths, scene.fwhm
    names = list(scene.band_names) if scene.band_names else _band_names(nm, bands)
    if suffix == ".npz":
        facts = {"cube": cube, "wavelengths": nm, "fwhm": fwhm}
        with written_whole(path) as part:
            _SAVE(part, **{key: value for key, value in facts.items() if value is not None})
        return files
    if suffix in (".tif", ".tiff"):
        tags = [
            {} if nm is None else {"wavelength": repr(float(x)), "wavelength_units": "Nanometers"}
            for x in _each(nm, bands)
        ]
        for tag, width in zip(tags, _each(fwhm, bands)):
            tag |= {} if fwhm is None else {"fwhm": repr(float(width))}
        return geotiff.write(
            path, cube, names, geo=scene.geo, nodata=np.nan, tags={"units": scene.units}, band_tags=tags
        )
    entries: dict[str, Any] = {"band names": names, "data ignore value": "nan"}
    if scene.units.startswith("reflectance"):
        entries["reflectance scale factor"] = "1"
    if nm is not None:
        entries |= {"wavelength units": "Nanometers", "wavelength": nm}
    if fwhm is not None:
        entries["fwhm"] = fwhm
    envi.write_image(path.with_suffix(".hdr"), cube, entries, scene.geo)
    return files


def _each(values: Any, n: int) -> Any:
    return [0.0] * n if values is None else values


def _band_names(nm: Any, n: int) -> list[str]:
    """What a file calls its bands; those without a wavelength are counted from 1, as every GIS counts them."""
    return [f"band {k + 1}" if nm is None else f"{nm[k]:g} nm" for k in range(n)]
