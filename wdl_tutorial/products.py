"""HDF5 and NetCDF: a dataset by its path, and the products of NEON, PRISMA and EMIT by their own layout.

NetCDF-4 is HDF5 and is read by h5py; the classic format by SciPy. Parts are read when asked for. A file may point outside
itself (external storage, external links, virtual datasets): that is refused, since a file that you were sent could so
carry any file that you may read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .rawfiles import Part, RawCube, Refused, check_memory, reading
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
    others = {k: v for k, v in vectors.items() if not _axis(k.rsplit("/", 1)[-1], None, {}).role}
    rising = [k for k, v in others.items() if v.size == shape[-1] and v.size > 2 and np.all(np.diff(v.ravel()) > 0)]
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


def part_of(
    path: Path,
    name: str,
    shape: tuple[int, ...],
    dtype: Any,
    axes: tuple[int, int, int],
    shown: tuple[int, int, int] = (0, 1, 2),
) -> Part:
    """A dataset read part by part; ``axes`` are where rows, columns and bands lie in the file.

    ``shown`` is the order in which a reader of the file sees its axes, and counts them: MATLAB turns them round.
    """

    def read(rows: slice, cols: slice) -> np.ndarray:
        import h5py

        where: list[slice] = [slice(None)] * 3
        where[axes[0]], where[axes[1]] = rows, cols
        with reading(path, "an HDF5 or NetCDF file"), h5py.File(path, "r") as file:
            return file[name][tuple(where)].transpose(axes)

    def turn(bands_axis: int) -> Part:
        bands = shown[bands_axis]
        rows, cols = axes[:2] if bands == axes[2] else (axis for axis in shown if axis != bands)
        return part_of(path, name, shape, dtype, (rows, cols, bands), shown)

    return Part(tuple(shape[k] for k in axes), dtype, read, turn)


# ---------------------------------------------------------------------------------------------- any file


class Axis(NamedTuple):
    """One axis of an array: the coordinates along it, and whether it runs along x or y on the ground."""

    name: str = ""
    values: np.ndarray | None = None
    role: str = ""  # "x", "y", or "" where it is neither
    degrees: bool = False  # longitude or latitude


_GROUND = {
    "x": ("x", "lon", "longitude", "easting", "projection_x_coordinate"),
    "y": ("y", "lat", "latitude", "northing", "projection_y_coordinate"),
}


def _axis(name: str, values: Any, says: dict[str, Any]) -> Axis:
    """An axis by its name, or by what CF's attributes say of its coordinates."""
    words = {name.lower(), str(says.get("standard_name", "")).lower(), str(says.get("axis", "")).lower()}
    role = next((role for role, known in _GROUND.items() if words & set(known)), "")
    degrees = bool(words & {"lon", "longitude", "lat", "latitude"})
    return Axis(name, None if values is None else np.asarray(values, dtype=float).ravel(), role, degrees)


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
    group = item.name.rsplit("/", 1)[0]
    near = {k: v for k, v in found.items() if k.rsplit("/", 1)[0] == group and k != item.name}
    says = {_key(k): _plain(_values(v, path)) for k, v in near.items() if v.size == 1} | _said(item)
    lists = {k: v for k, v in says.items() if isinstance(v, np.ndarray) and v.dtype.kind in "iuf"}
    for among in (_vectors(near, item, path), lists, _vectors(found, item, path)):
        wavelengths, units, told = pick_wavelengths(among, item.shape, path)
        if wavelengths is not None:
            break
    says["units"] = str(_plain(item.attrs.get("units", item.attrs.get("Units", ""))))  # of the cube, not of its group
    return _with_conventions(
        item,
        says,
        _along(item, found, near, path),
        wavelengths,
        _unit_of(found, wavelengths, path) or units,
        told,
        path,
        lambda name: next((_own(found[k]) for k in (f"{group}/{name}", f"/{name}") if k in found), {}),
    )


def _vectors(among: dict[str, Any], item: Any, path: Path) -> dict[str, np.ndarray]:
    """The arrays that are as long as an axis of ``item``."""
    return {
        k: _values(v, path)
        for k, v in among.items()
        if v.ndim and v.size in item.shape and v.size == max(v.shape) and v.dtype.kind in "iuf"
    }


def _values(item: Any, path: Path) -> np.ndarray:
    return np.asarray(check_inside(item, path)[()])


def _unit_of(found: dict[str, Any], wavelengths: np.ndarray | None, path: Path) -> str:
    """The ``units`` attribute of the array that the wavelengths came from."""
    if wavelengths is None:
        return ""
    for item in found.values():
        if item.size == wavelengths.size and item.dtype.kind in "iuf" and {"units", "Units"} & set(item.attrs):
            if np.array_equal(_values(item, path).ravel(), wavelengths):
                return str(_plain(item.attrs.get("units", item.attrs.get("Units", ""))))
    return ""


def _own(item: Any) -> dict[str, Any]:
    """What a dataset or a group says in attributes, by their names as :func:`_key` has them."""
    own: dict[str, Any] = {}
    for name in item.attrs:
        try:
            own[_key(name)] = _plain(item.attrs[name])
        except (OSError, TypeError):  # of a type that NumPy does not have
            continue
    return own


def _said(item: Any) -> dict[str, Any]:
    """What a dataset and the groups around it say, the nearest first."""
    return _own(item) if item.name == "/" else _said(item.parent) | _own(item)


def _key(name: str) -> str:
    """``Scale_Factor``, ``scale factor`` and ``scale_factor`` are one name, and so are ``_FillValue`` and ``fillvalue``."""
    return re.sub(r"[\s_-]+", "_", name.rsplit("/", 1)[-1]).strip("_").lower()


def _along(item: Any, found: dict[str, Any], near: dict[str, Any], path: Path) -> list[Axis]:
    """The axes of a dataset: by HDF5's dimension scales, else by x and y beside it that are as long as two of them."""
    axes = []
    for axis in item.dims:
        scale = axis[0] if len(axis) else None
        if scale is None:
            axes.append(Axis(str(axis.label)))
            continue
        hollow = str(_plain(scale.attrs.get("NAME", ""))).startswith("This is a netCDF dimension but not")
        values = None if hollow or scale.dtype.kind not in "iuf" else scale[()]
        axes.append(_axis(scale.name.rsplit("/", 1)[-1], values, _own(scale)))
    if any(axis.role for axis in axes):
        return axes
    for among in (near, found):
        lines = [_axis(k.rsplit("/", 1)[-1], v, _own(found[k])) for k, v in _vectors(among, item, path).items()]
        lines = [line for line in lines if line.role]
        if lines:
            return _fitted(axes, lines, item.shape)
    return axes


def _fitted(axes: list[Axis], lines: list[Axis], shape: tuple[int, ...]) -> list[Axis]:
    """``axes`` with the one x and the one y among ``lines`` on those that are as long; y before x where both orders fit."""
    if sorted(line.role for line in lines) != ["x", "y"]:
        return axes
    x, y = sorted(lines, key=lambda line: line.role)
    fits = [
        (i, j) for i in range(3) for j in range(3) if i != j and (shape[i], shape[j]) == (y.values.size, x.values.size)
    ]
    if not fits:
        return axes
    i, j = min(fits, key=lambda pair: (pair[0] > pair[1], abs(pair[0] - pair[1]), pair))
    return [y if k == i else x if k == j else axis for k, axis in enumerate(axes)]


def _plain(value: Any) -> Any:
    """An attribute as a number or text, or as the array that it is."""
    value = np.ravel(value)[0] if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _number(says: dict[str, Any], *keys: str) -> float | None:
    """The first of these entries that is a number."""
    for key in keys:
        try:
            return float(says[key])
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _with_conventions(
    item: Any,
    says: dict[str, Any],
    along: list[Axis],
    wavelengths: np.ndarray | None,
    units: str,
    told: list[str],
    path: Path,
    mapping: Callable[[str], dict[str, Any]],
) -> RawCube:
    """A cube with its axes, its map, and what attributes say of its scale, its unit and its fill: CF's, NEON's, ENVI's."""
    axes = _axes(item.shape, along, wavelengths)
    scale, offset, quantity, notes = _scaling(says, item.dtype)
    fills = (_number(says, key) for key in _FILLS)
    words = mapping(str(says.get("grid_mapping", "")).split(":")[0].strip())
    geo, where = _cf_geo(along, axes, says, words, path)
    return RawCube(
        part_of(path, item.name, item.shape, item.dtype, axes),
        wavelengths,
        units,
        scale,
        offset,
        tuple(dict.fromkeys(fill for fill in fills if fill is not None)),
        geo=geo,
        notes=(*told, *notes, *where),
        quantity=quantity,
    )


_FILLS = ("fillvalue", "fill_value", "missing_value", "data_ignore_value", "ignore_value", "no_data_value", "nodata")
_FACTORS = ("scale_factor", "scalefactor", "reflectance_scale_factor")


def _scaling(says: dict[str, Any], dtype: np.dtype) -> tuple[float | None, float, str, list[str]]:
    """Scale and offset of the values, what they are then, and what was guessed: ``value = offset + file / scale``.

    CF's ``scale_factor`` multiplies. Elsewhere a factor above 1 is what reflectance was multiplied by to be kept as an
    integer (NEON, ENVI), since no reflectance is thousands of times what its file holds.
    """
    factor, offset, notes = _number(says, *_FACTORS), _number(says, "add_offset") or 0.0, []
    by_cf = "add_offset" in says or "ncproperties" in says or str(says.get("conventions", "")).upper().startswith("CF")
    if factor is not None and not 0 < factor < np.inf:
        factor, notes = None, [f"its scale factor, {factor:g}, is not positive, and is not applied"]
    if factor is not None and factor > 1 and not by_cf:
        factor, notes = 1.0 / factor, [f"values are divided by its scale factor, {factor:g}"]
    factor = None if (factor or 1.0, offset) == (1.0, 0.0) else factor or 1.0
    unit = str(says.get("units", "")).strip()
    about = f"{unit} {says.get('standard_name', '')} {says.get('long_name', '')}".lower()
    if unit.lower() in ("%", "percent"):
        factor, offset = 0.01 * (factor or 1.0), 0.01 * offset
    elif unit.lower() not in ("", "1", "none", "fraction", "dimensionless") and not re.search(
        "reflectance|unitless", about
    ):
        return None if factor is None else 1.0 / factor, offset, unit, notes
    elif factor is None and (unit.lower() == "reflectance" or ("reflectance" in about and dtype.kind == "f")):
        factor = 1.0
    return None if factor is None else 1.0 / factor, offset, "", notes


def _axes(shape: tuple[int, ...], along: list[Axis], wavelengths: np.ndarray | None) -> tuple[int, int, int]:
    """Where rows, columns and bands lie: by x and y, by an axis that is called bands, by the length of the wavelengths."""
    roles = [axis.role for axis in along]
    if roles.count("x") == roles.count("y") == 1:
        rows, cols = roles.index("y"), roles.index("x")
        return rows, cols, 3 - rows - cols
    names = [axis.name.lower() for axis in along] or [""] * 3
    by_name = [
        k for k, name in enumerate(names) if name and (looks_like_wavelengths(name) or name in ("band", "bands"))
    ]
    by_size = [k for k, n in enumerate(shape) if wavelengths is not None and n == wavelengths.size]
    bands = by_name[0] if len(by_name) == 1 else by_size[0] if len(by_size) == 1 else 2
    rows, cols = (k for k in range(3) if k != bands)
    return rows, cols, bands


def _cf_geo(
    along: list[Axis], axes: tuple[int, int, int], says: dict[str, Any], mapping: dict[str, Any], path: Path
) -> tuple[Geo | None, list[str]]:
    """The map: evenly spaced middles of pixels, GDAL's ``GeoTransform``, ENVI's ``map info``; and its coordinate system."""
    if isinstance(says.get("map_info"), str):
        from .envi import map_geo

        text = says["map_info"].strip().removeprefix("{").removesuffix("}")
        system = says.get("coordinate_system_string")
        return map_geo({"map info": text} | ({"coordinate system string": system} if system else {}), path), []
    words, notes = says | mapping, []
    rows, cols = (along[k] for k in axes[:2]) if along else (Axis(), Axis())
    given = _six(words.get("geotransform"))
    transform = _from_middles(rows, cols) if (rows.role, cols.role) == ("y", "x") else None
    told = (rows.role, cols.role) == ("y", "x") and rows.values is not None and cols.values is not None
    if transform is None and told and min(rows.values.size, cols.values.size) > 1:
        notes.append("its x and y are not evenly spaced, so it is on no map")
    elif given is not None and (transform is None or _meet(given, transform, rows.values.size, cols.values.size)):
        transform = given  # the exact one; but where rows run the other way than it says, coordinates are right
    crs = _crs(words)
    if crs is None and transform is not None and rows.degrees and cols.degrees:
        crs, notes = "EPSG:4326", [*notes, "longitude and latitude are taken for those of WGS 84"]
    if crs is None and transform is not None:
        notes.append("it says no coordinate system that is read here (crs_wkt, spatial_ref, EPSG): give geo=...")
    return (None if transform is None else Geo(transform, crs)), notes


def _from_middles(rows: Axis, cols: Axis) -> tuple[float, ...] | None:
    """The transform of pixels whose middles are evenly spaced along both axes."""
    x, y = cols.values, rows.values
    if x is None or y is None or min(x.size, y.size) < 2:
        return None
    dx, dy = (x[-1] - x[0]) / (x.size - 1), (y[-1] - y[0]) / (y.size - 1)
    even = all(d and np.allclose(np.diff(v), d, rtol=1e-3, atol=0) for v, d in ((x, dx), (y, dy)))
    return tuple(float(v) for v in (dx, 0.0, x[0] - dx / 2, 0.0, dy, y[0] - dy / 2)) if even else None


def _meet(first: tuple[float, ...], second: tuple[float, ...], rows: int, cols: int) -> bool:
    """Whether two transforms put the corners of an image on the same ground, to half a pixel."""
    near, far = ([(t[2] + k * cols * t[0], t[5] + k * rows * t[4]) for t in (first, second)] for k in (0, 1))
    return bool(np.allclose([near[0], far[0]], [near[1], far[1]], rtol=0, atol=0.5 * abs(first[0])))


def _six(value: Any) -> tuple[float, ...] | None:
    """``GeoTransform``, six numbers or their text in GDAL's order (c a b f d e), in rasterio's."""
    try:
        parts = value.replace(",", " ").split() if isinstance(value, str) else np.ravel(value)
        c, a, b, f, d, e = (float(part) for part in parts)
    except (TypeError, ValueError):
        return None
    return (a, b, c, d, e, f) if a * e != b * d else None


def _crs(words: dict[str, Any]) -> str | None:
    """A coordinate system, as WKT or by its number."""
    texts = [words[key] for key in ("crs_wkt", "spatial_ref", "crs") if isinstance(words.get(key), str)]
    named = next((text.strip() for text in texts if "[" in text or text.upper().startswith("EPSG:")), None)
    numbered = re.search(r"(\d{4,6})(\.0)?$", str(words.get("epsg_code", words.get("epsg", ""))).strip())
    return named or (f"EPSG:{numbered[1]}" if numbered else None)


def read_classic(path: Path, dataset: str | None) -> RawCube:
    """The cube of a classic NetCDF file (versions 1 and 2), through SciPy."""
    from scipy.io import netcdf_file

    with open(path, "rb") as start:
        if start.read(4) == b"CDF\x05":
            raise Refused(
                f"{path} is NetCDF in its 64-bit data format (CDF-5). Save it as NetCDF-4: nccopy -k nc4 IN OUT."
            )
    remedy = "Save it as NetCDF-4, of which windows are read: nccopy -k nc4 IN OUT."
    check_memory(2.0 * path.stat().st_size, f"{path}, which is read whole,", remedy)
    with reading(path, "a NetCDF file"), netcdf_file(path, "r", mmap=False) as file:
        arrays = {name: np.array(v.data) for name, v in file.variables.items()}
        about = {name: {_key(k): _plain(a) for k, a in v._attributes.items()} for name, v in file.variables.items()}
        dims = {name: v.dimensions for name, v in file.variables.items()}
        whole = {_key(key): _plain(value) for key, value in file._attributes.items()} | {"conventions": "CF"}
    cubes = [name for name, value in arrays.items() if value.ndim == 3 and value.dtype.kind in "iuf"]
    name = dataset.strip("/") if dataset is not None else cubes[0] if len(cubes) == 1 else None
    if name not in arrays:
        shapes = {key: value.shape for key, value in arrays.items()}
        raise Refused(f"{path} holds no single cube, or none called {dataset!r}: {shapes}. Name it with dataset=...")
    if arrays[name].ndim != 3:
        raise Refused(f"{name} in {path} has shape {arrays[name].shape}; a cube has three axes (rows, cols, bands).")
    lines = {key: value for key, value in arrays.items() if value.ndim == 1}
    wavelengths, units, told = pick_wavelengths(lines, arrays[name].shape, path)
    for key, value in lines.items():
        if wavelengths is not None and np.array_equal(value, wavelengths):
            units = str(about[key].get("units", units))
    along = [_axis(d, lines.get(d), about.get(d, {})) for d in dims[name]]
    item = _Variable(name, arrays[name].shape, arrays[name].dtype)
    says = whole | {"units": ""} | about[name]
    raw = _with_conventions(item, says, along, wavelengths, units, told, path, lambda key: about.get(key, {}))
    return raw._replace(cube=arrays[name].transpose(_axes(item.shape, along, wavelengths)))


class _Variable(NamedTuple):
    """What is asked of h5py's datasets, of a classic variable."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype


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
