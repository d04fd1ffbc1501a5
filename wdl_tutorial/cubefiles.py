"""Find the files of a scene, check that they are the right ones, and read cubes from the formats people have.

Nothing here knows one public scene from another: :mod:`wdl_tutorial.datasets` does. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .scenes import Scene

SUFFIXES = ".npy, .npz, .mat, or ENVI (.hdr with its data file)"


class SceneFile(NamedTuple):
    """One file of a public scene: where it lies, where it comes from, and its fingerprint."""

    folder: str  # under the data folder and under the cache
    name: str
    sha256: str
    page: str  # where a person finds it
    url: str | None = None  # where a program finds it, if anywhere


def data_folder() -> Path | None:
    """The folder named by the environment variable ``WDL_TUTORIAL_DATA``, or None where it is not set."""
    named = os.environ.get("WDL_TUTORIAL_DATA")
    if not named:
        return None
    if not Path(named).is_dir():
        raise FileNotFoundError(f"WDL_TUTORIAL_DATA names {named!r}, which is not a folder. Create it or unset it.")
    return Path(named)


def cache_folder() -> Path:
    """The user's cache of downloaded scenes (``WDL_TUTORIAL_CACHE`` moves it)."""
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


def read_mat(path: str | Path) -> dict[str, np.ndarray]:
    """The variables of a MATLAB file, versions 5 (SciPy) and 7.3 (HDF5, through h5py), in MATLAB's order of axes.

    HDF5 stores MATLAB's column-major arrays with their axes reversed; they are turned back here.

    Raises
    ------
    ValueError
        If the file cannot be read: truncated, or not a MATLAB file.
    """
    path = Path(path)
    with open(path, "rb") as file:
        start = file.read(8)
    if start.startswith(b"MATLAB 7") or start == b"\x89HDF\r\n\x1a\n":
        return _read_mat73(path)
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path)
    # the last is what SciPy raises of a header that calls itself 5.0 and is numbered 7.3
    except (MatReadError, ValueError, TypeError, OSError, EOFError, zlib.error, NotImplementedError) as error:
        raise _unreadable(path, "a MATLAB file", error) from error
    return {name: value for name, value in found.items() if not name.startswith("__")}


def _read_mat73(path: Path) -> dict[str, np.ndarray]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{path} is a MATLAB 7.3 file; reading it needs h5py: pip install h5py.") from error
    try:
        with h5py.File(path, "r") as file:
            return {
                name: np.asarray(item).T
                for name, item in file.items()
                if isinstance(item, h5py.Dataset) and item.dtype.kind in "iufb"
            }
    except OSError as error:
        raise _unreadable(path, "a MATLAB 7.3 file", error) from error


def _unreadable(path: Path, what: str, error: Exception) -> ValueError:
    return ValueError(
        f"{path} ({path.stat().st_size} bytes) cannot be read as {what}: {type(error).__name__}: {error}. "
        "It is truncated or not of that format; fetch or save it again."
    )


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


class RawCube(NamedTuple):
    """A cube as its file holds it, before anything is mended."""

    cube: np.ndarray  # (rows, cols, bands)
    wavelengths: np.ndarray | None  # (bands,), nm
    scale: float = 1.0  # reflectance = cube / scale
    ignore: float | None = None  # the value that means "no data"
    good_bands: np.ndarray | None = None  # (bands,), False where the file says the band is bad
    not_applied: tuple[str, ...] = ()  # entries of the header that change values, and were left alone


def read_cube(path: str | Path, *, variable_name: str | None = None) -> RawCube:
    """A cube and its wavelengths from ``.npy``, ``.npz``, ``.mat`` (5 and 7.3) or ENVI, chosen by the file's name."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Give the path of {SUFFIXES}.")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return RawCube(_as_cube(_load_numpy(path), path), None)
    if suffix == ".npz":
        return _from_named(dict(_load_numpy(path)), path, variable_name)
    if suffix == ".mat":
        return _from_named(read_mat(path), path, variable_name)
    if _envi_header(path) is not None:
        return _read_envi(_envi_header(path), path)
    raise ValueError(f"{path} is of no known format, and has no ENVI header beside it. Give the path of {SUFFIXES}.")


def _load_numpy(path: Path):
    try:
        loaded = np.load(path, allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "pickle" in str(error):
            raise ValueError(
                f"{path} holds Python objects, which are never unpickled. Save a plain numeric array."
            ) from error
        raise _unreadable(path, f"a {path.suffix} file", error) from error


def _as_cube(value: np.ndarray, path: Path) -> np.ndarray:
    value = np.asarray(value)
    if value.ndim != 3 or 0 in value.shape:
        raise ValueError(f"{path} holds an array of shape {value.shape}; a cube has three axes (rows, cols, bands).")
    if value.dtype.kind not in "iufb":
        raise ValueError(f"{path} holds values of type {value.dtype}; a cube holds real numbers.")
    return value


def _from_named(found: dict[str, np.ndarray], path: Path, name: str | None) -> RawCube:
    if name is None:
        cubes = [key for key, value in found.items() if getattr(value, "ndim", 0) == 3 and value.dtype.kind in "iuf"]
        if len(cubes) != 1:
            shapes = {key: getattr(value, "shape", None) for key, value in found.items()}
            raise ValueError(
                f"{path} holds {len(cubes)} arrays with three axes, so which is the cube cannot be told: {shapes}. "
                "Name it with variable=...; a (bands, pixels) matrix must be reshaped to (rows, cols, bands) first."
            )
        name = cubes[0]
    wavelengths = found.get("wavelengths", found.get("wavelength"))
    cube = _as_cube(variable(found, name, path), path)
    return RawCube(cube, None if wavelengths is None else np.ravel(wavelengths).astype(float))


def _envi_header(path: Path) -> Path | None:
    """The header that belongs to ``path``: itself, ``path.hdr``, or the same name with .hdr for its suffix."""
    if path.suffix.lower() == ".hdr":
        return path
    beside = [Path(f"{path}.hdr"), path.with_suffix(".hdr")]
    return next((header for header in beside if header.is_file()), None)


def _read_envi(header: Path, path: Path) -> RawCube:
    """An ENVI image through ``spectral``: BIL, BSQ or BIP, either byte order, with a header offset."""
    try:
        from spectral.io import envi
        from spectral.io.spyfile import SpyException
    except ImportError as error:
        raise ImportError(f"{path} is an ENVI file; reading it needs spectral: pip install spectral.") from error
    try:
        image = envi.open(str(header), None if path == header else str(path))
    except (SpyException, KeyError, ValueError, OSError, TypeError) as error:
        raise _unreadable(header, "an ENVI header with its data file beside it", error) from error
    _check_envi_size(image)
    raw = np.array(image.open_memmap(interleave="bip", writable=False))
    image.fid.close()
    meta = image.metadata
    bands = image.nbands
    wavelengths = _envi_numbers(meta, "wavelength", bands, header)
    if wavelengths is not None:
        wavelengths = wavelengths * _nanometres(meta.get("wavelength units", ""), wavelengths, header)
    good = _envi_numbers(meta, "bbl", bands, header)
    ignore = meta.get("data ignore value")
    return RawCube(
        _as_cube(raw, path),
        wavelengths,
        _envi_scale(meta, header),
        None if ignore is None else _envi_number(ignore, "data ignore value", header),
        None if good is None else good > 0,
        tuple(
            sorted(key for key in meta if key.startswith("data ") and key.endswith(("gain values", "offset values")))
        ),
    )


def _check_envi_size(image) -> None:
    """spectral maps whatever is there; a short file would end in an obscure error of the operating system."""
    data = Path(image.filename)
    need = image.offset + image.nrows * image.ncols * image.nbands * np.dtype(image.dtype).itemsize
    have = data.stat().st_size
    if have < need:
        raise ValueError(
            f"{data} has {have} bytes; its header asks for {need} ({image.nrows} lines, {image.ncols} samples, "
            f"{image.nbands} bands, type {np.dtype(image.dtype).name}, header offset {image.offset}). It is truncated: "
            "fetch it again."
        )


def _envi_numbers(meta: dict, key: str, bands: int, header: Path) -> np.ndarray | None:
    if key not in meta:
        return None
    listed = meta[key] if isinstance(meta[key], list) else [meta[key]]
    values = np.array([_envi_number(value, key, header) for value in listed])
    if values.shape != (bands,):
        raise ValueError(f"{header} lists {values.size} values of {key!r} for {bands} bands. Mend the header.")
    return values


def _envi_number(value: object, key: str, header: Path) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{header} gives {value!r} for {key!r}, which is no number. Mend the header.") from error


def _envi_scale(meta: dict, header: Path) -> float:
    scale = _envi_number(meta.get("reflectance scale factor", 1.0), "reflectance scale factor", header)
    if not np.isfinite(scale) or scale <= 0:
        raise ValueError(f"{header} gives a reflectance scale factor of {scale}; it must be positive.")
    return scale


def _nanometres(units: str, wavelengths: np.ndarray, header: Path) -> float:
    """How many nanometres the header's unit is; where it names none, values below 100 are micrometres."""
    name = str(units).strip().lower()
    if name in ("nanometers", "nanometres", "nanometer", "nanometre", "nm"):
        return 1.0
    if name in ("micrometers", "micrometres", "micrometer", "micrometre", "microns", "micron", "um", "µm", "μm"):
        return 1000.0
    if name in ("", "unknown"):
        return 1000.0 if np.max(wavelengths) < 100 else 1.0
    raise ValueError(f"{header} gives wavelengths in {units!r}; only nanometers and micrometers are understood.")


# ---------------------------------------------------------------------------------------------- a reader's own cube


def load_cube(
    path: str | Path,
    *,
    variable: str | None = None,
    bands_axis: int = -1,
    wavelengths: np.ndarray | None = None,
    scale: float | None = None,
    negative: str = "keep",
) -> Scene:
    """Your own cube, from ``.npy``, ``.npz``, ``.mat`` (5 and 7.3) or ENVI (BIL, BSQ, BIP). Nothing is unpickled.

    What is mended, and told in ``notes``:

    * bands that the header marks as bad, or that hold no finite value in any pixel, are dropped with their wavelengths;
    * wavelengths that all lie below 100 are taken for micrometres, as no camera sees so far;
    * bands are put in order of wavelength;
    * pixels that are zero in every band, or still hold a missing value (NaN, infinite, or the header's ``data ignore
      value``), are masked: False in ``mask``, NaN in ``cube``;
    * gains and offsets of single bands in an ENVI header are not applied: apply them and save, where there are any;
    * negative reflectance is kept by default: it is noise, and cutting it biases the mean;
    * reflectance above 1.5 is kept and counted: saturated pixels (mask them: they would be found as endmembers), or a
      wrong scale.

    Parameters
    ----------
    path : of the file; of an ENVI image, the header or the data file.
    variable : name of the array in a ``.npz`` or ``.mat`` file that holds more than one cube.
    bands_axis : 0 for an array (bands, rows, cols), 1 for (rows, bands, cols); an ENVI header tells it by itself. Where no
        wavelengths are known nothing shows that it is wrong: look at ``cube.shape``.
    wavelengths : array, shape (bands,), nm   Instead of those of the file (``wavelengths`` in ``.npz`` and ``.mat``).
    scale : reflectance = file / scale; ENVI's "reflectance scale factor" where not given, else 1.
    negative : "keep", "clip" (to 0) or "raise".

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, truncated, of another format, has axes in another order than (rows, cols, bands) as far
        as the wavelengths tell, or holds no valid pixel.
    """
    if negative not in ("keep", "clip", "raise"):
        raise ValueError(f'negative must be "keep", "clip" or "raise"; got {negative!r}.')
    if scale is not None and not 0 < scale < np.inf:
        raise ValueError(f"scale must be positive and finite; got {scale}.")
    path = Path(path).expanduser()
    if bands_axis not in (-3, -2, -1, 0, 1, 2):
        raise ValueError(f"bands_axis must be 0, 1 or 2 (or -1, the last); got {bands_axis!r}.")
    if bands_axis not in (-1, 2) and path.suffix.lower() not in (".npy", ".npz", ".mat"):
        raise ValueError(f"bands_axis={bands_axis} is for plain arrays; the header of {path} says where its bands are.")
    raw = read_cube(path, variable_name=variable)
    raw = raw._replace(cube=np.moveaxis(raw.cube, bands_axis, -1))
    if wavelengths is not None:
        raw = raw._replace(wavelengths=np.asarray(wavelengths, dtype=float).ravel())
    if scale is not None:
        raw = raw._replace(scale=scale)
    _check_bands(raw, path)
    cube, nm, mask, notes = _mended(raw, path)
    cube, notes = _negative(cube, negative, notes, path)
    known = raw.scale != 1.0
    above = int((cube > 1.5).sum())
    if known and above:
        notes.append(f"{above} values are above 1.5 (largest {np.nanmax(cube):.3g}): saturated, or of another scale")
    notes += [f"the header's {key} are not applied" for key in raw.not_applied]
    if not known:
        notes.append("no scale is known; values are as in the file")
    return Scene(
        name=path.stem,
        cube=cube,
        wavelengths=nm,
        mask=mask,
        units="reflectance" if known else "as in the file",
        notes=tuple(notes),
    )


def _check_bands(raw: RawCube, path: Path) -> None:
    """Wavelengths tell which axis holds the bands: a cube turned round is refused, with the remedy."""
    nm, shape = raw.wavelengths, raw.cube.shape
    if nm is None:
        return
    if not np.all(np.isfinite(nm)) or np.any(nm <= 0):
        raise ValueError(f"wavelengths of {path} must be positive numbers; got {nm[:3]}... Give wavelengths=... in nm.")
    if nm.size == shape[-1]:
        return
    if nm.size in shape[:2]:
        axis = shape.index(nm.size)
        raise ValueError(
            f"{path} has shape {shape} and {nm.size} wavelengths: its bands lie on axis {axis}, not on the last. "
            f"Give bands_axis={axis}."
        )
    raise ValueError(f"{path} has shape {shape}, so {shape[-1]} bands, but {nm.size} wavelengths. Give one per band.")


def _mended(raw: RawCube, path: Path) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, list[str]]:
    cube = raw.cube.astype(np.float64)  # a copy: the file's own array is not touched
    notes: list[str] = []
    if raw.ignore is not None:
        cube[raw.cube == raw.ignore] = np.nan
    missing = ~np.isfinite(cube)
    cube[missing] = np.nan
    lit = ((cube != 0) & ~missing).any(axis=-1)  # a border of zeros is no value of a band
    keep = ~(missing[lit] if lit.any() else missing.reshape(-1, missing.shape[-1])).all(axis=0)
    if not keep.all():
        notes.append(f"{(~keep).sum()} bands without any value are dropped (0-based: {np.flatnonzero(~keep).tolist()})")
    if raw.good_bands is not None and not raw.good_bands.all():
        notes.append(f"{(~raw.good_bands).sum()} bands that the header marks as bad are dropped")
        keep &= raw.good_bands
    order, nm = np.flatnonzero(keep), raw.wavelengths
    if nm is not None and np.max(nm) < 100:
        nm = 1000.0 * nm
        notes.append("wavelengths are read as micrometres")
    if nm is not None and np.any(np.diff(nm[order]) < 0):
        order = order[np.argsort(nm[order], kind="stable")]
        notes.append("bands are sorted by wavelength")
    if not np.array_equal(order, np.arange(keep.size)):
        cube = np.take(cube, order, axis=-1)
    cube /= raw.scale
    empty = ~(cube != 0).any(axis=-1)
    holed = np.isnan(cube).any(axis=-1)
    if holed.any():
        notes.append(f"{holed.sum()} pixels with missing values are masked")
    if empty.any():
        notes.append(f"{empty.sum()} all-zero pixels are masked")
    valid = ~(empty | holed)
    if not order.size or not valid.any():
        raise ValueError(f"{path} holds no valid pixel: {'; '.join(notes)}. Check its data ignore value and its bands.")
    cube[~valid] = np.nan
    return cube, None if nm is None else nm[order], None if valid.all() else valid, notes


def _negative(cube: np.ndarray, negative: str, notes: list[str], path: Path) -> tuple[np.ndarray, list[str]]:
    below = cube < 0
    if not below.any():
        return cube, notes
    if negative == "raise":
        raise ValueError(
            f"{path} holds {below.sum()} negative values (smallest {np.nanmin(cube):.3g}). Use negative='clip' to set "
            "them to zero or negative='keep' to keep them."
        )
    told = f"{below.sum()} negative values are {'set to zero' if negative == 'clip' else 'kept'}"
    return (np.where(below, 0.0, cube) if negative == "clip" else cube), [*notes, told]
