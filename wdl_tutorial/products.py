"""HDF5 and NetCDF: a dataset by its path, and the products of NEON, PRISMA and EMIT by their own layout.

NetCDF-4 is HDF5 and is read by h5py; the classic format by SciPy. Parts are read when asked for. A file may point outside
itself (external storage, external links, virtual datasets): that is refused, since a file that you were sent could so
carry any file that you may read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .rawfiles import Part, RawCube, Refused, reading
from .scenes import Geo

_NAMES = re.compile(
    r"wave|wvl|^wl|_wl$|lambda|^lam|^nm$|^um$|cent(er|re)s?$|cent(er|re)s?_|^bands?_?(nm|um|centers?|centres?)$", re.I
)


def looks_like_wavelengths(name: str) -> bool:
    """Whether a name says that an array holds the wavelengths of the bands: ``Wavelength``, ``wl_nm``, ``band_centers``.

    Examples
    --------
    >>> [looks_like_wavelengths(name) for name in ("Wavelength", "wvl", "lambda", "mask")]
    [True, True, True, False]
    """
    return bool(_NAMES.search(name.rsplit("/", 1)[-1])) and "fwhm" not in name.lower()


def pick_wavelengths(found: dict[str, np.ndarray], shape: tuple[int, ...], path: Path) -> tuple[Any, str, list[str]]:
    """The array of wavelengths among others, the unit in its name, and what could be one but has another name."""
    sizes = set(shape)
    vectors = {
        name: v for name, v in found.items() if v.dtype.kind in "iuf" and v.size in sizes and v.size == max(v.shape)
    }
    named = [name for name in vectors if looks_like_wavelengths(name)]
    exact = [name for name in named if name.rsplit("/", 1)[-1].lower() in ("wavelength", "wavelengths")]
    if len(exact) == 1 or len(named) == 1:
        name = (exact or named)[0]
        unit = re.search(r"(?:^|_)(nm|um|nanomet\w*|micromet\w*|microns?)$", name.lower())
        return vectors[name].ravel(), unit[1] if unit else "", []
    if len(named) > 1:
        return None, "", [f"{', '.join(sorted(named))} could each be the wavelengths: give wavelengths=..."]
    rising = [k for k, v in vectors.items() if v.size == shape[-1] and v.size > 2 and np.all(np.diff(v.ravel()) > 0)]
    told = [
        f"{name!r} has one value per band: if it holds the wavelengths, give wavelengths=..." for name in sorted(rising)
    ]
    return None, "", told


def read(path: Path, dataset: str | None) -> RawCube:
    """The cube of an HDF5 or NetCDF-4 file: of a known product, at ``dataset``, or the only array with three axes."""
    h5py = _h5py(path)
    with reading(path, "an HDF5 or NetCDF file"), h5py.File(path, "r") as file:
        if dataset is None:
            for product in (_neon, _prisma, _emit):
                raw = product(file, path)
                if raw is not None:
                    return raw
        return _generic(file, path, dataset)


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f'{path} is an HDF5 file; h5py reads it: pip install "wdl-tutorial[io]".') from error
    return h5py


def arrays_in(file: Any) -> dict[str, Any]:
    """Every dataset of a file, by its path. Links that lead out of the file are not followed."""
    import h5py

    found: dict[str, Any] = {}
    file.visititems(lambda name, item: found.update({f"/{name}": item}) if isinstance(item, h5py.Dataset) else None)
    return found


def check_inside(item: Any, path: Path) -> Any:
    """Refuse a dataset whose values lie in other files."""
    if item.external or item.is_virtual:
        raise Refused(
            f"{item.name} in {path} keeps its values in other files, which is not followed. Copy them into it."
        )
    return item


def _at(file: Any, name: str, path: Path) -> Any:
    """The dataset called ``name``; what there is, where there is none."""
    import h5py

    place, kind = file, None
    for part in filter(None, name.split("/")):
        kind = place.get(part, getlink=True) if isinstance(place, h5py.Group) and part in place else None
        if isinstance(kind, h5py.ExternalLink):
            raise Refused(f"{name} in {path} is a link into another file, which is not followed.")
        if kind is None:
            raise Refused(f"{path} holds nothing called {name!r}. It holds: {_listing(file)}.")
        place = place[part]
    if not isinstance(place, h5py.Dataset):
        inside = ", ".join(sorted(place)) or "nothing"
        raise Refused(f"{name!r} in {path} is a group, with {inside} in it. Name a dataset.")
    return check_inside(place, path)


def _listing(file: Any) -> str:
    told = [f"{name} {tuple(item.shape)}" for name, item in sorted(arrays_in(file).items())]
    return ", ".join(told[:20]) + (f", and {len(told) - 20} more" if len(told) > 20 else "") or "no dataset"


def part_of(path: Path, name: str, shape: tuple[int, ...], dtype: Any, axes: tuple[int, int, int]) -> Part:
    """A dataset read part by part; ``axes`` are where rows, columns and bands lie in the file."""

    def read(rows: slice, cols: slice) -> np.ndarray:
        import h5py

        where: list[slice] = [slice(None)] * 3
        where[axes[0]], where[axes[1]] = rows, cols
        with reading(path, "an HDF5 or NetCDF file"), h5py.File(path, "r") as file:
            return file[name][tuple(where)].transpose(axes)

    def turn(bands_axis: int) -> Part:
        moved = [axis for k, axis in enumerate(axes) if k != bands_axis % 3]
        return part_of(path, name, shape, dtype, (moved[0], moved[1], axes[bands_axis]))

    return Part(tuple(shape[k] for k in axes), dtype, read, turn)


# ---------------------------------------------------------------------------------------------- any file


def _generic(file: Any, path: Path, dataset: str | None) -> RawCube:
    found = arrays_in(file)
    if dataset is None:
        cubes = [name for name, item in found.items() if item.ndim == 3 and item.dtype.kind in "iuf"]
        if len(cubes) != 1:
            raise Refused(
                f"{path} holds {len(cubes)} arrays with three axes, so which is the cube cannot be told: {_listing(file)}. "
                "Name it with dataset='/path/in/the/file'."
            )
        dataset = cubes[0]
    item = _at(file, dataset, path)
    if item.ndim != 3 or 0 in item.shape or item.dtype.kind not in "iufb":
        raise Refused(
            f"{dataset} in {path} has shape {item.shape} and type {item.dtype}; a cube has three axes (rows, cols, bands) "
            "of real numbers."
        )
    attributes = {key: _plain(value) for key, value in item.attrs.items()}
    group = dataset.rstrip("/").rsplit("/", 1)[0]
    near = {k: v for k, v in found.items() if k.startswith(f"{group}/") and v.size <= max(item.shape)} or found
    vectors = {
        k: _values(v, path) for k, v in near.items() if v.ndim >= 1 and v.size in item.shape and v.dtype.kind in "iuf"
    }
    dims = _dimensions(item)
    wavelengths, units, told = pick_wavelengths(vectors, item.shape, path)
    if wavelengths is None and near is not found:
        far = {
            k: _values(v, path)
            for k, v in found.items()
            if v.ndim >= 1 and v.size in item.shape and v.dtype.kind in "iuf"
        }
        wavelengths, units, told = pick_wavelengths(far, item.shape, path)
    units = _unit_of(found, wavelengths, path) or units
    return _with_conventions(
        item.name,
        item.shape,
        item.dtype,
        attributes,
        dims,
        wavelengths,
        units,
        told,
        path,
        lambda name: found.get(name),
    )


def _values(item: Any, path: Path) -> np.ndarray:
    return np.asarray(check_inside(item, path)[()])


def _unit_of(found: dict[str, Any], wavelengths: np.ndarray | None, path: Path) -> str:
    """The ``units`` attribute of the array that the wavelengths came from."""
    if wavelengths is None:
        return ""
    for item in found.values():
        if (
            item.size == wavelengths.size
            and item.dtype.kind in "iuf"
            and "units" in dict(item.attrs).keys() | {"Units"}
        ):
            if np.array_equal(_values(item, path).ravel(), wavelengths):
                return str(_plain(item.attrs.get("units", item.attrs.get("Units", ""))))
    return ""


def _dimensions(item: Any) -> list[tuple[str, np.ndarray | None]]:
    """The name and the coordinates of each axis, where a NetCDF file has them."""
    found = []
    for axis in item.dims:
        scale = axis[0] if len(axis) else None
        name = "" if scale is None else str(scale.name).rsplit("/", 1)[-1]
        numbers = (
            scale is not None
            and scale.dtype.kind in "iuf"
            and not str(_plain(scale.attrs.get("NAME", ""))).startswith("This is a netCDF dimension but not")
        )
        found.append((name, np.asarray(scale[()], dtype=float) if numbers else None))
    return found


def _plain(value: Any) -> Any:
    """An attribute as a number or text."""
    value = value.ravel()[0] if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _with_conventions(
    name: str,
    shape: tuple[int, ...],
    dtype: Any,
    attributes: dict[str, Any],
    dims: list[tuple[str, np.ndarray | None]],
    wavelengths: np.ndarray | None,
    units: str,
    told: list[str],
    path: Path,
    other: Callable[[str], Any],
) -> RawCube:
    """A cube with CF's attributes (``scale_factor``, ``add_offset``, ``_FillValue``), axes and map."""
    axes = _axes(shape, dims, wavelengths)
    factor, offset = float(attributes.get("scale_factor", 1.0)), float(attributes.get("add_offset", 0.0))
    fills = [attributes[key] for key in ("_FillValue", "missing_value") if key in attributes]
    scale = 1.0 / factor if (factor, offset) != (1.0, 0.0) and factor > 0 else None
    unit = str(attributes.get("units", "")).strip().lower()
    if scale is None and unit == "reflectance":
        scale = 1.0
    return RawCube(
        part_of(path, name, shape, dtype, axes),
        wavelengths,
        units,
        scale,
        offset if scale is not None else 0.0,
        tuple(dict.fromkeys(float(v) for v in fills if isinstance(v, int | float | np.number))),
        geo=_cf_geo(dims, axes, attributes, other),
        notes=tuple(told),
    )


def _axes(shape: tuple[int, ...], dims: list, wavelengths: np.ndarray | None) -> tuple[int, int, int]:
    """Where rows, columns and bands lie: the axis whose coordinates are the wavelengths holds the bands."""
    names = [name.lower() for name, _ in dims] if dims else [""] * 3
    by_name = [
        k for k, name in enumerate(names) if name and (looks_like_wavelengths(name) or name in ("band", "bands"))
    ]
    by_size = [k for k, n in enumerate(shape) if wavelengths is not None and n == wavelengths.size]
    bands = by_name[0] if len(by_name) == 1 else by_size[0] if len(by_size) == 1 else 2
    rows, cols = (k for k in range(3) if k != bands)
    if names[rows] in ("x", "lon", "longitude", "easting") and names[cols] in ("y", "lat", "latitude", "northing"):
        rows, cols = cols, rows
    return rows, cols, bands


def _cf_geo(
    dims: list, axes: tuple[int, int, int], attributes: dict[str, Any], other: Callable[[str], Any]
) -> Geo | None:
    """The map of a CF grid: evenly spaced coordinates of the pixels' middles, and the WKT of its grid mapping."""
    mapping = other(f"/{attributes.get('grid_mapping', '')}")
    words = {} if mapping is None else {key: _plain(value) for key, value in mapping.attrs.items()}
    crs = next((str(words[key]) for key in ("crs_wkt", "spatial_ref") if words.get(key)), None)
    y, x = (dims[k][1] if k < len(dims) else None for k in axes[:2])
    transform = None
    if x is not None and y is not None and x.size > 1 and y.size > 1:
        dx, dy = (x[-1] - x[0]) / (x.size - 1), (y[-1] - y[0]) / (y.size - 1)
        even = all(np.allclose(np.diff(v), d, rtol=1e-3, atol=0) for v, d in ((x, dx), (y, dy)))
        transform = (dx, 0.0, x[0] - dx / 2, 0.0, dy, y[0] - dy / 2) if even and dx and dy else None
    if transform is not None and words.get("GeoTransform"):
        given = [float(part) for part in str(words["GeoTransform"]).split()]  # GDAL's order: c a b f d e
        if len(given) == 6:
            transform = (given[1], given[2], given[0], given[4], given[5], given[3])
    if transform is None:
        return None
    return Geo(tuple(float(v) for v in transform), crs)


def read_classic(path: Path, dataset: str | None) -> RawCube:
    """The cube of a classic NetCDF file (versions 1 and 2), through SciPy."""
    from scipy.io import netcdf_file

    with open(path, "rb") as start:
        if start.read(4) == b"CDF\x05":
            raise Refused(
                f"{path} is NetCDF in its 64-bit data format (CDF-5). Save it as NetCDF-4: nccopy -k nc4 IN OUT."
            )
    with reading(path, "a NetCDF file"), netcdf_file(path, "r", mmap=False) as file:
        arrays = {name: np.array(v.data) for name, v in file.variables.items()}
        about = {name: (v.dimensions, dict(v._attributes)) for name, v in file.variables.items()}
    cubes = [name for name, value in arrays.items() if value.ndim == 3 and value.dtype.kind in "iuf"]
    name = dataset.strip("/") if dataset is not None else cubes[0] if len(cubes) == 1 else None
    if name not in arrays:
        shapes = {key: value.shape for key, value in arrays.items()}
        raise Refused(f"{path} holds no single cube, or none called {dataset!r}: {shapes}. Name it with dataset=...")
    if arrays[name].ndim != 3:
        raise Refused(f"{name} in {path} has shape {arrays[name].shape}; a cube has three axes (rows, cols, bands).")
    shape = arrays[name].shape
    wavelengths, units, told = pick_wavelengths({k: v for k, v in arrays.items() if v.ndim == 1}, shape, path)
    for key, value in arrays.items():
        if wavelengths is not None and np.array_equal(value.ravel(), wavelengths):
            units = str(_plain(about[key][1].get("units", units)))
    dims = [(d, arrays[d].astype(float) if d in arrays and arrays[d].ndim == 1 else None) for d in about[name][0]]
    attributes = {key: _plain(value) for key, value in about[name][1].items()}
    maps = {f"/{key}": _Attributes(value[1]) for key, value in about.items()}
    raw = _with_conventions(name, shape, arrays[name].dtype, attributes, dims, wavelengths, units, told, path, maps.get)
    return raw._replace(cube=arrays[name].transpose(_axes(shape, dims, wavelengths)))


class _Attributes:
    """What a classic variable says of itself, asked as h5py is asked."""

    def __init__(self, attrs: dict[str, Any]):
        self.attrs = attrs


# ---------------------------------------------------------------------------------------------- products


def _neon(file: Any, path: Path) -> RawCube | None:
    """NEON AOP: /SITE/Reflectance/Reflectance_Data (lines, samples, bands), its metadata beside it."""
    sites = [name for name in file if f"/{name}/Reflectance/Reflectance_Data" in file]
    if len(sites) != 1:
        return None
    group = file[f"/{sites[0]}/Reflectance"]
    data, spectral = check_inside(group["Reflectance_Data"], path), group["Metadata/Spectral_Data"]
    nm = _values(spectral["Wavelength"], path).ravel().astype(float)
    says = {**dict(group.attrs), **dict(data.attrs)}
    bad = np.zeros(nm.size, dtype=bool)
    for key, value in says.items():
        if re.fullmatch(r"Band_Window_\d+_Nanometers", key):
            low, high = np.asarray(value, dtype=float).ravel()[:2]
            bad |= (nm >= low) & (nm <= high)
    return RawCube(
        part_of(path, data.name, data.shape, data.dtype, (0, 1, 2)),
        nm,
        str(_plain(spectral["Wavelength"].attrs.get("Units", "nm"))),
        float(_plain(says.get("Scale_Factor", 10000.0))),
        fill=(float(_plain(says.get("Data_Ignore_Value", -9999.0))),),
        good_bands=~bad,
        fwhm=_values(spectral["FWHM"], path).ravel() if "FWHM" in spectral else None,
        geo=_neon_geo(group, path),
        notes=("layout of NEON AOP",),
    )


def _neon_geo(group: Any, path: Path) -> Geo | None:
    from .envi import map_geo

    place = group.get("Metadata/Coordinate_System")
    if place is None or "Map_Info" not in place:
        return None
    text = str(_plain(place["Map_Info"][()]))
    geo = map_geo({"map info": text}, path)
    code = place.get("EPSG Code")
    return geo if code is None else geo._replace(crs=f"EPSG:{int(_plain(code[()]))}")


def _prisma(file: Any, path: Path) -> RawCube | None:
    """PRISMA L2D: VNIR and SWIR cubes (lines, bands, samples) of 16-bit numbers between two limits each."""
    swaths = "/HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields"
    if f"{swaths}/VNIR_Cube" not in file or f"{swaths}/SWIR_Cube" not in file:
        return None
    halves = []
    for half in ("VNIR", "SWIR"):
        data, says = check_inside(file[f"{swaths}/{half}_Cube"], path), file.attrs
        title = half.title()
        low, high = (float(_plain(says[f"L2Scale{title}{end}"])) for end in ("Min", "Max"))
        nm = np.asarray(says[f"List_Cw_{title}"], dtype=float).ravel()
        fwhm = np.asarray(says.get(f"List_Fwhm_{title}", np.full(nm.size, np.nan)), dtype=float).ravel()
        if nm.size != data.shape[1]:
            raise Refused(f"{path} lists {nm.size} wavelengths for the {data.shape[1]} bands of {half}_Cube.")
        good = nm > 0  # bands that were not read down have none
        halves.append((part_of(path, data.name, data.shape, data.dtype, (0, 2, 1)), nm, fwhm, good, low, high))
    nm, fwhm, good = (np.concatenate([half[k] for half in halves]) for k in (1, 2, 3))
    rows, cols = halves[0][0].shape[:2]

    def read(r: slice, c: slice) -> np.ndarray:
        scaled = [_reflectance(part[r, c], low, high) for part, *_, low, high in halves]
        return np.concatenate(scaled, axis=-1)[..., good]

    return RawCube(
        Part((rows, cols, int(good.sum())), np.float32, read),
        nm[good],
        "nm",
        1.0,
        fwhm=fwhm[good] if np.isfinite(fwhm[good]).all() else None,
        geo=_prisma_geo(file, rows, cols),
        notes=("layout of PRISMA L2D",),
    )


def _reflectance(counts: np.ndarray, low: float, high: float) -> np.ndarray:
    """PRISMA's numbers run from 0 to 65535 between the limits of the product; a pixel of zeros alone is no data."""
    values = (low + counts.astype(np.float64) * ((high - low) / 65535.0)).astype(np.float32)
    values[~counts.any(axis=-1)] = np.nan
    return values


def _prisma_geo(file: Any, rows: int, cols: int) -> Geo | None:
    """The corners that the product names are middles of pixels, 30 m apart."""
    says = file.attrs
    try:
        left, top = float(_plain(says["Product_ULcorner_easting"])), float(_plain(says["Product_ULcorner_northing"]))
        code = int(_plain(says["Epsg_Code"]))
    except KeyError:
        return None
    return Geo((30.0, 0.0, left - 15.0, 0.0, -30.0, top + 15.0), f"EPSG:{code}")


def _emit(file: Any, path: Path) -> RawCube | None:
    """EMIT L2A: reflectance (downtrack, crosstrack, bands), not on a map; wavelengths in sensor_band_parameters."""
    bands = file.get("sensor_band_parameters")
    if "reflectance" not in file or bands is None or "wavelengths" not in bands:
        return None
    data = check_inside(file["reflectance"], path)
    good = _values(bands["good_wavelengths"], path).ravel() > 0 if "good_wavelengths" in bands else None
    return RawCube(
        part_of(path, data.name, data.shape, data.dtype, (0, 1, 2)),
        _values(bands["wavelengths"], path).ravel(),
        str(_plain(bands["wavelengths"].attrs.get("units", "nm"))),
        1.0,
        fill=(float(_plain(data.attrs.get("_FillValue", -9999.0))),),
        good_bands=good,
        fwhm=_values(bands["fwhm"], path).ravel() if "fwhm" in bands else None,
        notes=(
            "layout of EMIT L2A",
            "the swath is as the sensor saw it, not on a map: location/glt_x and glt_y say where each pixel goes",
        ),
    )
