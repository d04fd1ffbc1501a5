"""Find the files of a scene, check that they are the right ones, and read cubes from the formats people have.

Nothing here knows one public scene from another: :mod:`wdl_tutorial.datasets` does. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import envi, geotiff, products
from ._checks import array_of, file_path, is_integer, text
from .rawfiles import Part, RawCube, Refused, check_memory, check_regular, fitting, kind_of, reading, turned
from .scenes import Geo, Scene, check_dtype, make_scene, marked_bands

KINDS = "an ENVI image (.hdr with its data file), a GeoTIFF, .mat, HDF5, NetCDF, .npy or .npz"


class SceneFile(NamedTuple):
    """One file of a public scene: where it lies, where it comes from, and its fingerprint."""

    folder: str  # under the data folder and under the cache
    name: str
    sha256: str
    page: str  # where a person finds it
    url: str | None = None  # where a program finds it, if anywhere


def data_folder() -> Path | None:
    """The folder named by the environment variable ``WDL_TUTORIAL_DATA``.

    Returns
    -------
    Path or None
        None where it is not set.
    """
    named = os.environ.get("WDL_TUTORIAL_DATA")
    if not named:
        return None
    if not Path(named).is_dir():
        raise FileNotFoundError(f"WDL_TUTORIAL_DATA names {named!r}, which is not a folder. Create it or unset it.")
    return Path(named)


def cache_folder() -> Path:
    """The user's cache of downloaded scenes (``WDL_TUTORIAL_CACHE`` moves it).

    Returns
    -------
    Path
    """
    named = os.environ.get("WDL_TUTORIAL_CACHE")
    if named:
        return Path(named)
    import pooch

    return Path(pooch.os_cache("wdl_tutorial"))


def find(file: SceneFile) -> Path | None:
    """Where ``file`` lies on this machine: in the data folder, then in the cache; None if it does not."""
    named = data_folder()
    places = [] if named is None else [named / file.folder / file.name, named / file.name]
    places.append(cache_folder() / file.folder / file.name)
    return next((place for place in places if place.is_file()), None)


def locate(file: SceneFile, *, download: bool = True, check_sha256: bool = True) -> Path:
    """The path of ``file``: found, or downloaded where a direct address is known, and checked.

    Raises
    ------
    FileNotFoundError
        If it is neither here nor to be had; the message says which file to fetch, from where, and where to put it.
    ValueError
        If its sha256 is not the expected one.
    """
    path = find(file)
    if path is None:
        if not download or file.url is None:
            raise FileNotFoundError(_by_hand(file, "it is not on this machine"))
        return _download(file)
    if check_sha256:
        check_fingerprint(path, file)
    return path


def check_fingerprint(path: Path, file: SceneFile) -> None:
    """Refuse a file whose sha256 is not that of the scene: another version, or a download that stopped half-way."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != file.sha256:
        raise ValueError(
            f"{path} has sha256 {found[:12]}... ({path.stat().st_size} bytes), expected {file.sha256[:12]}...: it is "
            f"truncated or another version. Delete it and fetch {file.name} again from {file.url or file.page}, "
            "or pass check_sha256=False if you trust it."
        )


def _by_hand(file: SceneFile, why: str) -> str:
    place = (data_folder() or cache_folder()) / file.folder / file.name
    return (
        f"{file.name} is needed and {why}. Fetch it from {file.url or file.page} and save it as {place} "
        "(or point the environment variable WDL_TUTORIAL_DATA at a folder that holds it)."
    )


def _download(file: SceneFile) -> Path:
    import pooch

    folder = cache_folder() / file.folder
    fetch = pooch.HTTPDownloader(timeout=20)
    try:
        got = pooch.retrieve(file.url, f"sha256:{file.sha256}", fname=file.name, path=folder, downloader=fetch)
    except OSError as error:  # no network, no such address, a disk that cannot be written
        why = f"its download failed ({type(error).__name__})"
        raise FileNotFoundError(_by_hand(file, why)) from error
    except ValueError as error:  # pooch has already removed what it got
        why = "what its address sends has another sha256 than expected"
        raise ValueError(_by_hand(file, why)) from error
    return Path(got)


def read_mat(path: str | Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Variables of a MATLAB file, in MATLAB's order of axes.

    Versions 4 and 5 are read by SciPy, 7.3 (HDF5) by h5py. Only what is asked for is read: a struct that SciPy cannot
    take, or an array that does not fit into memory, does not matter where it is not wanted. HDF5 stores MATLAB's
    column-major arrays with their axes reversed. They are turned back where MATLAB wrote the file (its header, the
    attribute ``MATLAB_class``), and left as they are where h5py did.

    Parameters
    ----------
    path : str or Path
    names : sequence of str, optional
        The variables that are wanted, as far as they are there; all numbers and texts if not given.

    Returns
    -------
    dict of str to array

    Raises
    ------
    ValueError
        If the file cannot be read: truncated, not a MATLAB file, or larger than the memory there is.
    """
    path = check_regular(Path(path))
    if kind_of(path) in ("mat73", "hdf5"):
        return _read_mat73(path, names)
    listed = _listed_mat(path)
    plain = [name for name, (_, kind) in listed.items() if kind in _NUMBERS or kind == "char"]
    return _values_mat(path, listed, plain if names is None else [name for name in names if name in listed])


_NUMBERS = {"double", "single", "logical", *(f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64))}


def _listed_mat(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Name -> shape and class of the variables of a MATLAB file (4 or 5), none of which is read."""
    from scipy.io import whosmat

    if kind_of(path) == "mat5":
        _check_mat5(path)
    with reading(path, "a MATLAB file"):
        return {name: (tuple(shape), kind) for name, shape, kind in whosmat(path)}


_MAT_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # bytes of the number types of MATLAB 5


def _check_mat5(path: Path, names: Sequence[str] = (), listed: dict | None = None) -> None:
    """Refuse arrays whose parts contradict each other: SciPy's reader trusts them, and ends the process.

    The heads of all arrays are looked at, and the numbers of those that are wanted.
    """
    with reading(path, "a MATLAB file"), open(path, "rb") as file:
        order = "<" if file.read(128)[126:128] == b"IM" else ">"
        while len(tag := file.read(8)) == 8:
            kind, size = struct.unpack(f"{order}II", tag)
            after = file.tell() + size
            if kind == 15:
                head = zlib.decompressobj().decompress(file.read(size), 4096)
            else:
                head = tag + file.read(min(size, 4096))
            name = _mat5_name(head, order)
            strange = listed is not None and name and name not in listed  # SciPy reads another name here
            if name is None or strange or (name in names and not _mat5_is_sound(head, order)):
                raise Refused(
                    f"{name or 'an array'!r} in {path} contradicts itself: it is damaged. Fetch or save it again."
                )
            file.seek(after)


def _mat5_parts(head: bytes, order: str) -> list[tuple[int, bytes, int, int]]:
    """Type, content, length and end of the first parts of a matrix: flags, dimensions, name, numbers."""
    found: list[tuple[int, bytes, int, int]] = []
    at = 8
    for _ in range(4):
        first, size = struct.unpack_from(f"{order}II", head, at)
        if first >> 16:  # a small part: type, length and content in eight bytes
            kind, size, start, step = first & 0xFFFF, first >> 16, at + 4, 8
        else:
            kind, start, step = first, at + 8, 8 + size + (-size % 8)
        at += step
        found.append((kind, head[start : start + size], size, at))
        if at + 8 > len(head):
            break
    return found


def _mat5_name(head: bytes, order: str) -> str | None:
    """The name of a matrix; None where its head is not that of one."""
    parts = _mat5_parts(head, order)
    if parts[0][0] == 6 and len(parts[0][1]) == 8 and struct.unpack(f"{order}I", parts[0][1][:4])[0] & 0xFF == 17:
        return ""  # an object of MATLAB's own (string, table), which has no dimensions here
    kinds = [part[0] for part in parts[:3]]
    if kinds != [6, 5, 1] or head[:4] not in (b"\x0e\0\0\0", b"\0\0\0\x0e") or len(parts[0][1]) != 8:
        return None
    dims, name = parts[1], parts[2]
    if not 8 <= dims[2] <= 128 or dims[2] % 4 or name[2] > 1000 or len(name[1]) != name[2]:
        return None
    return name[1].decode("latin-1")


def _mat5_is_sound(head: bytes, order: str) -> bool:
    """Whether flags, dimensions and numbers of an array of numbers fit each other; other classes are not looked at."""
    parts = _mat5_parts(head, order)
    if len(parts) < 4:
        return False
    (kind, flags, _, _), (dims_kind, dims, _, _), (name_kind, _, _, before), (type_, _, size, end) = parts
    if kind != 6 or len(flags) != 8 or dims_kind != 5 or len(dims) < 8 or len(dims) % 4 or name_kind != 1:
        return False
    what = struct.unpack(f"{order}I", flags[:4])[0]
    if not 6 <= what & 0xFF <= 15:
        return True
    shape = struct.unpack(f"{order}{len(dims) // 4}i", dims)
    whole = end + (end - before if what & 0x800 else 0)  # of complex numbers another part, as long, follows
    fits = struct.unpack_from(f"{order}I", head, 4)[0] + 8 == whole
    return fits and min(shape) >= 0 and type_ in _MAT_SIZES and size == math.prod(shape) * _MAT_SIZES[type_]


def _values_mat(path: Path, listed: dict, names: Sequence[str]) -> dict[str, np.ndarray]:
    from scipy.io import loadmat

    if kind_of(path) == "mat5":
        _check_mat5(path, names, listed)

    need = sum(8 * math.prod(listed[name][0]) for name in names)
    check_memory(need, f"{path}", "Save a part of it, or read it on a larger machine.")
    if not names:
        return {}
    with reading(path, "a MATLAB file"):
        return {name: value for name, value in loadmat(path, variable_names=list(names)).items() if name in names}


def _h5_variables(file: Any, path: Path) -> dict[str, tuple[Any, tuple[int, ...], bool]]:
    """Name -> dataset, its shape as MATLAB has it, and whether MATLAB wrote it. Fields of structs come as a/b."""
    by_matlab = kind_of(path) == "mat73"
    found = {}
    for name, item in products.arrays_in(file).items():
        kind = item.attrs.get("MATLAB_class", b"")
        if name.startswith("/#") or item.dtype.kind not in "iufb" or bytes(kind) in (b"char", b"cell"):
            continue
        turned = by_matlab or bool(kind)
        found[name[1:]] = (item, item.shape[::-1] if turned else item.shape, turned)
    return found


def _read_mat73(path: Path, names: Sequence[str] | None) -> dict[str, np.ndarray]:
    h5py = _h5py(path)
    with reading(path, "a MATLAB 7.3 file"), h5py.File(path, "r") as file:
        listed = _h5_variables(file, path)
        wanted = [name for name in listed if (name in names if names is not None else "/" not in name)]
        need = sum(listed[name][0].size * listed[name][0].dtype.itemsize for name in wanted)
        check_memory(need, f"{path}", "Save a part of it, or read it on a larger machine.")
        return {name: _h5_value(*listed[name], path) for name in wanted}


def _h5_value(item: Any, shape: tuple[int, ...], turned: bool, path: Path) -> np.ndarray:
    value = np.asarray(products.check_inside(item, path)[()])
    return value.T if turned else value


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{path} is a MATLAB 7.3 file; reading it needs h5py: pip install h5py.") from error
    return h5py


def variable(found: dict[str, np.ndarray], name: str, path: Path, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """The array called ``name``, of the expected ``shape``; one clear error where it is missing or turned round."""
    if name not in found:
        raise ValueError(
            f"{path} holds no variable {name!r}; it holds {sorted(found) or 'none'}. It is another file than expected."
        )
    value = np.asarray(found[name])
    if shape is not None and value.shape != shape:
        turned = sorted(value.shape) == sorted(shape)
        hint = "Its axes are in another order: transpose it before saving." if turned else "It is another version."
        raise ValueError(f"{name!r} in {path} has shape {value.shape}, expected {shape}. {hint}")
    return value


# ---------------------------------------------------------------------------------------------- readers


def read_cube(path: str | Path, *, dataset: str | None = None) -> RawCube:
    """A cube and what its file says of it, by what the file is, which its first bytes tell better than its name."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Give the path of {KINDS}.")
    check_regular(path)
    suffix, kind = path.suffix.lower(), kind_of(path)
    if kind == "tiff":
        return geotiff.read(path)
    if kind == "mat73" or (kind == "hdf5" and suffix == ".mat"):
        return _from_mat73(path, dataset)
    if kind == "hdf5":
        return products.read(path, dataset)
    if kind == "netcdf":
        return products.read_classic(path, dataset)
    if kind == "npy" or suffix == ".npy":
        return RawCube(_check_cube(_load_npy(path), path))
    if suffix == ".npz" or (kind == "zip" and _holds_npy(path)):
        return _from_npz(path, dataset)
    if kind == "mat5" or suffix == ".mat":
        return _from_mat(path, dataset)
    if kind is not None:
        what = "a zip archive" if kind == "zip" else kind
        raise Refused(f"{path} is {what}, which holds no cube that is read here. Give the path of {KINDS}.")
    header = envi.header_beside(path)
    if header is None:
        raise Refused(f"{path} is of no known format, and has no ENVI header beside it. Give the path of {KINDS}.")
    raw = envi.read_image(path)
    if isinstance(raw, RawCube):
        return raw
    if kind_of(raw) == "tiff":
        return geotiff.read(raw, envi.read_header(header))
    raise Refused(
        f"{raw}, the data file of {path.name}, is no raw image but of a format of its own. Give its own path."
    )


def _load_npy(path: Path) -> np.ndarray:
    """The array of a ``.npy`` file, mapped and not yet read."""
    try:
        with reading(path, "a .npy file"):
            with open(path, "rb") as file:
                np.lib.format.read_magic(file)
            return np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        if "Python objects" in str(error) or "Object arrays" in str(error):
            raise _pickled(path) from error
        raise


def _pickled(path: Path) -> Refused:
    return Refused(f"{path} holds Python objects, which are never unpickled. Save a plain numeric array.")


def _holds_npy(path: Path) -> bool:
    with reading(path, "a zip archive"), zipfile.ZipFile(path) as archive:
        return any(name.endswith(".npy") for name in archive.namelist())


def _listed_npz(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Name -> shape and type of the arrays of a ``.npz`` file, from their headers alone."""
    found = {}
    with reading(path, "a .npz file"), zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.endswith(".npy"):
                continue
            with archive.open(name) as file:
                version = np.lib.format.read_magic(file)
                header = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
                shape, _, dtype = header(file)
            found[name.removesuffix(".npy")] = (shape, dtype)
    return found


def _from_npz(path: Path, dataset: str | None) -> RawCube:
    listed = _listed_npz(path)
    if any(dtype.hasobject for _, dtype in ([listed[dataset]] if dataset in listed else listed.values())):
        raise _pickled(path)
    shapes = {name: shape for name, (shape, dtype) in listed.items() if dtype.kind in "iufb"}
    name = _pick(shapes, dataset, path, {name: shape for name, (shape, _) in listed.items()})
    small = [key for key, shape in shapes.items() if key != name and math.prod(shape) in listed[name][0]]
    check_memory(math.prod(listed[name][0]) * listed[name][1].itemsize, f"{name!r} in {path}", "Save it as .npy.")
    with reading(path, "a .npz file"), np.load(path, allow_pickle=False) as loaded:
        cube, vectors = loaded[name], {key: loaded[key] for key in small}
    return _named(_check_cube(cube, path), vectors, path)


def _pick(cubes: dict[str, tuple[int, ...]], dataset: str | None, path: Path, all_of_it: dict[str, Any]) -> str:
    """The name of the cube: the one asked for, or the only one with three axes."""
    if dataset is not None:
        if dataset not in all_of_it:
            raise Refused(
                f"{path} holds no variable {dataset!r}; it holds {sorted(all_of_it) or 'none'}. It is another file than "
                "expected."
            )
        return dataset
    three = [name for name, shape in cubes.items() if len(shape) == 3]
    if len(three) != 1:
        told = ", ".join(f"{name} {shape}" for name, shape in all_of_it.items()) or "nothing"
        raise Refused(
            f"{path} holds {len(three)} arrays with three axes, so which is the cube cannot be told: {told}. Name it with "
            "dataset=...; a (bands, pixels) matrix must be reshaped to (rows, cols, bands) first."
        )
    return three[0]


def _check_cube(value: np.ndarray, path: Path) -> np.ndarray:
    if value.ndim != 3 or 0 in value.shape:
        raise Refused(f"{path} holds an array of shape {value.shape}; a cube has three axes (rows, cols, bands).")
    if value.dtype.kind not in "iufb":
        raise Refused(f"{path} holds values of type {value.dtype}; a cube holds real numbers.")
    return value


def _named(cube: Any, vectors: dict[str, np.ndarray], path: Path) -> RawCube:
    """A cube with those of the small arrays beside it that can be its wavelengths."""
    nm, units, told = products.pick_wavelengths(vectors, cube.shape, path)
    return RawCube(cube, nm, units, notes=tuple(told))


# ---------------------------------------------------------------------------------------------- MATLAB


def _from_mat(path: Path, dataset: str | None) -> RawCube:
    listed = _listed_mat(path)
    if dataset is not None and dataset.split(".")[0] in listed and listed[dataset.split(".")[0]][1] not in _NUMBERS:
        return RawCube(_check_cube(_field(path, dataset), path))
    shapes = {name: shape for name, (shape, kind) in listed.items() if kind in _NUMBERS}
    if dataset is None and not any(len(shape) == 3 for shape in shapes.values()):
        flat = _flat_cube(path, listed, shapes)
        if flat is not None:
            return flat
    told = {name: shape if kind in _NUMBERS else f"{kind} {shape}" for name, (shape, kind) in listed.items()}
    structs = [name for name, (_, kind) in listed.items() if kind == "struct"]
    try:
        name = _pick(shapes, dataset, path, told)
    except Refused as error:
        if dataset is None and structs:
            raise Refused(f"{error} A field of a struct is named dataset='{structs[0]}.FIELD'.") from None
        raise
    small = [key for key, shape in shapes.items() if key != name and math.prod(shape) in listed[name][0]]
    values = _values_mat(path, listed, [name, *small])
    if name not in values:
        raise Refused(f"{name!r} in {path} could not be read. The file is damaged: fetch or save it again.")
    return _named(_check_cube(values.pop(name), path), values, path)


_READ_FIELD = """
import json, sys
import numpy as np
from scipy.io import loadmat

path, dataset, out = sys.argv[1:]
first, *rest = dataset.split(".")
place = loadmat(path, variable_names=[first], simplify_cells=True)[first]
reached = [first]
while rest and isinstance(place, dict) and rest[0] in place:
    reached.append(rest.pop(0))
    place = place[reached[-1]]
if not rest and isinstance(place, np.ndarray) and not place.dtype.hasobject:
    np.save(out, place, allow_pickle=False)
else:
    print(json.dumps([".".join(reached), sorted(place) if isinstance(place, dict) else type(place).__name__]))
"""


def _field(path: Path, dataset: str) -> np.ndarray:
    """A field of a struct, by its path ``struct.field``; the fields there are, where it is not among them.

    SciPy's reader of structs ends its process on some damaged ones, so it has a process of its own.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "field.npy"
        call = [sys.executable, "-c", _READ_FIELD, str(path), dataset, str(out)]
        done = subprocess.run(call, capture_output=True, text=True)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            why = f"SciPy's reader ended with signal {-done.returncode}" if done.returncode < 0 else why
            raise Refused(f"{dataset!r} in {path} cannot be read: {why}. It is damaged: fetch or save it again.")
        if out.exists():
            return np.load(out, allow_pickle=False)
    reached, inside = json.loads(done.stdout)
    told = f"a struct with the fields {inside}" if isinstance(inside, list) else f"no struct but a {inside}"
    first = reached.split(".")[0]
    raise Refused(f"{reached!r} in {path} is {told}. Name an array: dataset='{first}.FIELD'.")


def _flat_cube(path: Path, listed: dict, shapes: dict[str, tuple[int, ...]]) -> RawCube | None:
    """The (bands, pixels) matrix of the benchmark scenes, whose pixels MATLAB put column by column: ``nRow`` and ``nCol``
    beside it say how many, ``maxValue`` what reflectance was multiplied by."""
    known = {key.lower(): key for key in shapes}
    if "nrow" not in known or "ncol" not in known:
        return None
    beside = [known[key] for key in ("nrow", "ncol", "maxvalue") if key in known]
    numbers = {key.lower(): value for key, value in _values_mat(path, listed, beside).items()}
    rows, cols = (int(np.ravel(numbers[key])[0]) for key in ("nrow", "ncol"))
    flat = [name for name, shape in shapes.items() if len(shape) == 2 and rows * cols in shape and min(shape) > 1]
    if len(flat) != 1:
        return None
    matrix = _values_mat(path, listed, flat)[flat[0]]
    matrix = matrix if matrix.shape[1] == rows * cols else matrix.T
    cube = matrix.reshape(matrix.shape[0], cols, rows).transpose(2, 1, 0)
    top = numbers.get("maxvalue")
    scale = None if top is None or not np.ravel(top)[0] > 0 else float(np.ravel(top)[0])
    notes = (
        f"{flat[0]} is (bands, pixels) column by column: {rows} rows and {cols} columns, as its nRow and nCol say",
    )
    return RawCube(cube, None, "", scale, notes=notes + (("divided by its maxValue",) if scale else ()))


def _from_mat73(path: Path, dataset: str | None) -> RawCube:
    h5py = _h5py(path)
    with reading(path, "a MATLAB 7.3 file"), h5py.File(path, "r") as file:
        listed = _h5_variables(file, path)
        shapes = {name: shape for name, (_, shape, _) in listed.items()}
        wanted = None if dataset is None else dataset.strip("/").replace(".", "/")
        top = {name: shape for name, shape in shapes.items() if "/" not in name}
        name = _pick(top if any(len(s) == 3 for s in top.values()) else shapes, wanted, path, shapes)
        item, shape, turned_by_matlab = listed[name]
        if len(shape) != 3 or 0 in shape:
            raise Refused(f"{path} holds an array of shape {shape}; a cube has three axes (rows, cols, bands).")
        products.check_inside(item, path)
        folder = name.rpartition("/")[0]
        small = {
            key: _h5_value(*found, path)
            for key, found in listed.items()
            if key != name and key.rpartition("/")[0] == folder and found[0].size in shape
        }
        axes = (2, 1, 0) if turned_by_matlab else (0, 1, 2)
        return _named(products.part_of(path, item.name, item.shape, item.dtype, axes, axes), small, path)


# ---------------------------------------------------------------------------------------------- a reader's own cube


def load_cube(
    path: str | Path,
    *,
    dataset: str | None = None,
    bands_axis: int = -1,
    wavelengths: Any = None,
    units: str | None = None,
    scale: float | None = None,
    fill: Any = None,
    bad_bands: Any = None,
    mask: Any = None,
    negative: str = "keep",
    geo: Geo | str | Path | None = None,
    rows: slice | None = None,
    cols: slice | None = None,
    dtype: Any = np.float64,
    variable: str | None = None,
) -> Scene:
    """Read a cube of your own: ENVI, GeoTIFF, MATLAB (4 to 7.3), HDF5, NetCDF, ``.npy`` or ``.npz``.

    The products of NEON AOP, PRISMA L2D, EnMAP L2A and EMIT L2A are known by their layout. An ENVI image may be any of
    BIL, BSQ, BIP. A GeoTIFF's wavelengths come from its tags, or from an ENVI header beside it. What is mended, and
    told in ``notes``, is what :func:`make_scene` mends, with what the file says of its scale, its fill value, its bad
    bands and its map; gains and offsets of single bands are not applied, and told. Nothing is unpickled.

    Parameters
    ----------
    path : str or Path
        Of an ENVI image, the header or the data file.
    dataset : str, optional
        Which array, in a file that holds more than one: ``"name"``, ``"struct.field"``, ``"/path/in/the/file"``.
    bands_axis : int
        0 for an array (bands, rows, cols), 1 for (rows, bands, cols); ENVI and GeoTIFF tell it by themselves. Where
        no wavelengths are known nothing shows that it is wrong: look at ``cube.shape``.
    wavelengths : array, shape (n_bands,), optional
        Instead of those of the file.
    units : str, optional
        Of these wavelengths; nm if not given.
    scale : float, optional
        Reflectance is ``file / scale``; what the file says if not given.
    fill : float or sequence of float, optional
    bad_bands : array of int or of bool, optional
    mask : array of bool, shape (rows, cols), optional
    negative : {"keep", "clip", "raise"}
        These four as for :func:`make_scene`, beside what the file says.
    geo : Geo, str or Path, optional
        The map, where the file carries none, as MATLAB's cannot: a :class:`Geo`, or the path of a file of the same
        pixels that does (a GeoTIFF, an ENVI header, or any other that is read here). It goes before the file's own.
    rows, cols : slice, optional
        Read this window only, as a file larger than memory has to be.
    dtype : numpy.float64 or numpy.float32
        The latter for half the memory.
    variable : str, optional
        The older name of ``dataset``.

    Returns
    -------
    Scene

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    ValueError
        If it is truncated, of another format, larger than memory, has axes in another order than (rows, cols, bands) as
        far as the wavelengths tell, or holds no valid pixel. The message says what to do.
    """
    if dataset is not None and variable is not None:
        raise ValueError(
            f"dataset and variable are two names of one thing; got {dataset!r} and {variable!r}. Give one."
        )
    dataset, variable = (None if x is None else text(k, x) for k, x in (("dataset", dataset), ("variable", variable)))
    if not is_integer(bands_axis) or bands_axis not in (-3, -2, -1, 0, 1, 2):
        raise ValueError(f"bands_axis must be 0, 1 or 2 (or -1, the last); got {bands_axis!r}.")
    path = file_path("path", path)
    if bands_axis not in (-1, 2) and path.suffix.lower() not in (".npy", ".npz", ".mat", ".h5", ".he5", ".hdf5", ".nc"):
        raise ValueError(f"bands_axis={bands_axis} is for plain arrays; the header of {path} says where its bands are.")
    raw = read_cube(path, dataset=variable if dataset is None else dataset)
    raw = raw._replace(cube=turned(raw.cube, bands_axis))
    raw = raw if geo is None else _on_map(raw, geo)
    raw = _window(raw, rows, cols)
    n_bytes = math.prod(raw.cube.shape) * check_dtype(dtype).itemsize
    check_memory(1.1 * n_bytes, f"{path}", fitting(n_bytes, raw.cube.shape[0], check_dtype(dtype)))
    bad = np.zeros(raw.cube.shape[-1], dtype=bool) if raw.good_bands is None else ~raw.good_bands
    given = wavelengths is not None
    scene = make_scene(
        raw.cube,
        wavelengths if given else raw.wavelengths,
        units=units if given or units is not None else raw.units,
        scale=raw.scale if scale is None else scale,
        offset=raw.offset if scale is None else 0.0,
        fill=[*raw.fill, *np.atleast_1d(array_of("fill", [] if fill is None else fill)).tolist()],
        bad_bands=bad | marked_bands(bad_bands, bad.size),
        mask=_both(raw.mask, mask),
        negative=negative,
        fwhm=None if given else raw.fwhm,
        band_names=raw.band_names,
        geo=raw.geo,
        dtype=dtype,
        name=str(path),
        quantity=raw.quantity if raw.quantity and scale is None else "reflectance",
    )
    return scene._replace(name=path.stem, notes=(*raw.notes, *scene.notes))


def _on_map(raw: RawCube, geo: Any) -> RawCube:
    """``raw`` on the map that is given, by itself or by a file of as many rows and columns."""
    if isinstance(geo, Geo):
        return raw._replace(geo=geo)
    path = file_path("geo", geo)
    shape, found = _map_of(path)
    if found is None:
        raise ValueError(f"geo: {path} carries no map itself. Give the path of a file that does, or a Geo.")
    if shape != tuple(raw.cube.shape[:2]):
        raise ValueError(
            f"geo: {path} has {shape[0]} rows and {shape[1]} columns, the cube has {raw.cube.shape[0]} and "
            f"{raw.cube.shape[1]}: it is the map of other pixels. Give one of the same pixels, or a Geo."
        )
    return raw._replace(geo=found, notes=(*raw.notes, f"the map is that of {path.name}"))


def _map_of(path: Path) -> tuple[tuple[int, ...], Geo | None]:
    """Rows and columns of a file, and its map; a GeoTIFF or an ENVI header need not be a cube for that."""
    if check_regular(path).suffix.lower() == ".hdr":
        return envi.place(path)
    if kind_of(path) == "tiff":
        return geotiff.place(path)
    raw = read_cube(path)
    return tuple(raw.cube.shape[:2]), raw.geo


def _window(raw: RawCube, rows: slice | None, cols: slice | None) -> RawCube:
    """The rows and columns that are wanted, still unread, with the map moved."""
    if rows is None and cols is None:
        return raw
    part = [slice(None) if s is None else s for s in (rows, cols)]
    if not all(isinstance(s, slice) and (s.step is None or s.step > 0) for s in part):
        raise TypeError(
            f"rows and cols must be slices that run forwards, such as slice(0, 500); got {rows!r} and {cols!r}."
        )
    part = [slice(*s.indices(n)) for s, n in zip(part, raw.cube.shape)]
    if not all(len(range(s.start, s.stop, s.step)) for s in part):
        raise ValueError(f"rows {rows} and cols {cols} leave no pixel of a cube of {tuple(raw.cube.shape[:2])}.")
    return raw._replace(
        cube=raw.cube.window(*part) if isinstance(raw.cube, Part) else raw.cube[part[0], part[1]],
        mask=None if raw.mask is None else raw.mask[part[0], part[1]],
        geo=None if raw.geo is None else raw.geo.window(*part),
    )


def _both(first: Any, second: Any) -> Any:
    """Two masks as one: valid where both say so."""
    if first is None or second is None:
        return second if first is None else first
    return np.asarray(first).astype(bool) & array_of("mask", second).astype(bool)
