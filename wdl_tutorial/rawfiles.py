"""What every reader and writer of files shares: a cube as its file holds it, the memory there is, files written whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .scenes import Geo

# first bytes -> what the file is; four bytes or more, so that raw pixels do not look like one by chance
SIGNATURES = (
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"CDF\x01", "netcdf"),
    (b"CDF\x02", "netcdf"),
    (b"CDF\x05", "netcdf"),
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "zip"),
    (b"MATLAB 5", "mat5"),
    (b"MATLAB 7", "mat73"),
    (b"\x0e\x03\x13\x01", "an HDF4 file"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff\xe0", "a JPEG picture"),
    (b"\xff\xd8\xff\xe1", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"NITF0", "an NITF file"),
    (b"%PDF-", "a PDF document"),
    (b"\x1f\x8b\x08\0", "a gzip archive"),
    (b"\x1f\x8b\x08\x08", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\xfd7zX", "an xz archive"),
)


class RawCube(NamedTuple):
    """A cube as its file holds it, before anything is mended. ``cube[rows, cols]``, two slices, reads that part."""

    cube: Any  # (rows, cols, bands): an array, or what reads parts of a file
    wavelengths: np.ndarray | None = None  # (bands,), in ``units``
    units: str = ""  # of the wavelengths, in the file's own words; empty where it names none
    scale: float | None = None  # reflectance = offset + cube / scale; None where the file does not say
    offset: float = 0.0
    fill: tuple[float, ...] = ()  # the values that mean "no data"
    good_bands: np.ndarray | None = None  # (bands,), False where the file says the band is bad
    fwhm: np.ndarray | None = None  # (bands,), in ``units``
    band_names: tuple[str, ...] | None = None
    geo: Geo | None = None
    mask: np.ndarray | None = None  # (rows, cols) True where the file says the pixel is valid
    notes: tuple[str, ...] = ()  # what the file says that was left alone
    quantity: str = ""  # the unit of the scaled values, where the file names one that is not reflectance's


class Part:
    """Reads (rows, cols, bands) out of a file, part by part and forwards: ``read(rows, cols)`` opens it and closes it."""

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        read: Callable[[slice, slice], np.ndarray],
        turn: Callable[[int], Part] | None = None,
    ):
        self.shape, self.dtype, self._read, self._turn = tuple(map(int, shape)), np.dtype(dtype), read, turn

    def __getitem__(self, where: tuple[slice, slice]) -> np.ndarray:
        return self._read(*_within(where, self.shape))

    def window(self, rows: slice, cols: slice) -> Part:
        """The part of these rows and columns, still unread."""
        outer = [range(s.start, s.stop, s.step) for s in _within((rows, cols), self.shape)]

        def read(r: slice, c: slice) -> np.ndarray:
            inner = [whole[part] for whole, part in zip(outer, (r, c))]
            return self._read(*(slice(i.start, i.stop, i.step) for i in inner))

        return Part((len(outer[0]), len(outer[1]), self.shape[2]), self.dtype, read)

    def turned(self, bands_axis: int) -> Part:
        """The same numbers with ``bands_axis`` moved to the end, where the file's own axes are not known for sure."""
        if self._turn is None:
            raise Refused(f"bands_axis={bands_axis} is for plain arrays; this file says where its bands are.")
        return self._turn(bands_axis)


def _within(where: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Slices with their ends spelled out."""
    return tuple(slice(*part.indices(n)) for part, n in zip(where, shape))


def turned(cube: Any, bands_axis: int) -> Any:
    """``cube``, whose bands lie on ``bands_axis``, with its bands on the last axis; parts of a file stay unread."""
    if bands_axis in (-1, 2):
        return cube
    return cube.turned(bands_axis) if isinstance(cube, Part) else np.moveaxis(cube, bands_axis, -1)


def check_regular(path: Path) -> Path:
    """Refuse what is no file with an end: a folder, a pipe, a device."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Check the path.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder. Give the path of a file in it.")
    if not path.is_file():
        raise ValueError(f"{path} is a pipe or a device, which has no end. Copy its bytes into a file first.")
    return path


def kind_of(path: Path) -> str | None:
    """What the first bytes of a file say it is: "tiff", "hdf5", ..., or words for what no reader here takes."""
    with open(path, "rb") as file:
        start = file.read(1024)
        known = next((kind for mark, kind in SIGNATURES if start.startswith(mark)), None)
        if known is None and start[512:520] == b"\x89HDF\r\n\x1a\n":  # behind a block of the user's own
            return "hdf5"
    return known


def unreadable(path: Path, what: str, error: Exception, advice: str | None = None) -> ValueError:
    """One clear error in the place of whatever a library raised."""
    advice = advice or "It is truncated or not of that format; fetch or save it again."
    told = " ".join(str(error).split())[:300] or "no reason given"
    return ValueError(
        f"{path} ({path.stat().st_size} bytes) cannot be read as {what}: {type(error).__name__}: {told}. {advice}"
    )


@contextmanager
def reading(path: Path, what: str, advice: str | None = None) -> Iterator[None]:
    """Whatever a library raises on a broken file becomes one error that names the file; our own errors pass."""
    try:
        yield
    except (Refused, ImportError, MemoryError):
        raise
    except Exception as error:  # IndexError, KeyError, RuntimeError, struct.error, zlib.error: a library's own
        raise unreadable(path, what, error, advice) from error


class Refused(ValueError):
    """A file that was understood and is not taken: the message says why, and passes through :func:`reading`."""


def memory_available() -> int | None:
    """Bytes that can be had without swapping, or None where the system does not say."""
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        import psutil

        return int(psutil.virtual_memory().available)
    except ImportError:
        return None


def check_memory(n_bytes: float, what: str, remedy: str) -> None:
    """Refuse before the machine does: what a file declares is compared with the memory there is."""
    have = memory_available()
    if have is not None and n_bytes > have:
        raise Refused(f"{what} takes {gigabytes(n_bytes)} of memory, and {gigabytes(have)} are free. {remedy}")


def fitting(n_bytes: int, n_rows: int, dtype: np.dtype) -> str:
    """What to do about a cube that takes so many bytes: a window of a tenth of the memory there is, or half precision."""
    have = memory_available() or n_bytes
    rows = min(n_rows, max(1, int(0.1 * have / n_bytes * n_rows)))
    halved = ", or give dtype=numpy.float32" if dtype.itemsize == 8 and 0.6 * n_bytes < have else ""
    return f"Read a window, rows=slice(0, {rows}) (--rows in a shell){halved}."


def gigabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.3g} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:.3g} MB"


# ---------------------------------------------------------------------------------------------- writing


def check_new(paths: list[Path], overwrite: bool) -> None:
    """Refuse to write over what is there, and where there is no folder, before any work is done."""
    for path in paths:
        if not path.parent.is_dir():
            raise FileNotFoundError(
                f"{path.parent} is no folder, so {path.name} cannot be written there. Make it first."
            )
        if path.is_dir():
            raise ValueError(f"{path} is a folder. Give the path of a file.")
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} exists. Give overwrite=True to replace it, or another path.")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, which takes its name once the block is through: half a file is never seen.

    The name keeps the suffix, from which writers tell the format, and is new each time: two writers do not meet.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        part.chmod(0o666 & ~_umask())
        os.replace(part, path)
    except OSError as error:
        raise OSError(f"{path} could not be written: {error}. Is the disk full, or the folder read-only?") from error
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
