"""ENVI images and spectral libraries: the header is text, the data are raw numbers; both are read and written here.

Parsed by our own forty lines, since headers that people have (latin-1, a byte order mark, no ``byte order``, a data file
called ``.refl``) end other readers in errors of their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .rawfiles import RawCube, Refused, check_regular, gigabytes, kind_of, written_whole
from .scenes import Geo

MAX_HEADER = 16_000_000  # bytes: a header of a thousand bands has fifty thousand
TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 6: "c8", 9: "c16", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
_AXES = {"bip": (0, 1, 2), "bil": (0, 2, 1), "bsq": (1, 2, 0)}  # where rows, cols, bands stand in the file
_BESIDE = {
    ".hdr",
    ".xml",
    ".txt",
    ".enp",
    ".sta",
    ".json",
    ".csv",
    ".png",
    ".jpg",
    ".jpeg",
    ".pdf",
    ".md",
    ".ovr",
    ".tfw",
}
_BESIDE |= {".log", ".kml", ".prj", ".shp", ".zip", ".gz", ".html"}
_GEO = ("map info", "coordinate system string", "projection info", "geo points", "pseudo projection info")


class Header(NamedTuple):
    """What an ENVI header says: its entries, by name in lower case, in its own text."""

    path: Path
    entries: dict[str, str]

    def text(self, key: str, default: str = "") -> str:
        return self.entries.get(key, default).strip().strip("{}").strip()

    def listed(self, key: str) -> list[str]:
        """The values of a list in braces; commas inside a value do not occur in what is asked here."""
        return [part.strip() for part in self.text(key).split(",") if part.strip()]

    def number(self, key: str, default: float | None = None) -> float:
        if key not in self.entries and default is not None:
            return default
        return self._number(self.text(key), key)

    def numbers(self, key: str, count: int, *, wrong: str = "refuse") -> np.ndarray | None:
        """One number per band; None where the header does not have them."""
        if not self.text(key):
            return None
        values = np.array([self._number(text, key) for text in self.listed(key)])
        if values.shape != (count,):
            if wrong == "ignore":
                return None
            raise Refused(f"{self.path} lists {values.size} values of {key!r} for {count} bands. Mend the header.")
        return values

    def _number(self, text: str, key: str) -> float:
        try:
            return float(text)
        except ValueError as error:
            raise Refused(f"{self.path} gives {text!r} for {key!r}, which is no number. Mend the header.") from error

    def integer(self, key: str, least: int, default: int | None = None) -> int:
        if key not in self.entries and default is None:
            raise Refused(f"{self.path} cannot be read as an ENVI header: it has no entry {key!r}. Mend the header.")
        value = self.number(key, default)
        if not np.isfinite(value) or value != int(value) or not least <= value < 2**62:
            raise Refused(
                f"{self.path} gives {self.text(key)[:40]!r} for {key!r}; it must be an integer from {least} on."
            )
        return int(value)


def header_beside(path: Path) -> Path | None:
    """The header that belongs to ``path``: itself, ``path.hdr``, or the same name with .hdr for its suffix."""
    if path.suffix.lower() == ".hdr":
        return path
    wanted = (f"{path.name}.hdr".lower(), f"{path.stem}.hdr".lower())
    beside = {p.name.lower(): p for p in path.parent.iterdir() if p.suffix.lower() == ".hdr" and p.is_file()}
    return next((beside[name] for name in wanted if name in beside), None)


def read_header(path: Path) -> Header:
    """The entries of an ENVI header, whatever its encoding; one clear error where it is none."""
    check_regular(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(16)
        if not start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"ENVI"):
            raise Refused(f"{path} cannot be read as an ENVI header: its first line is not ENVI. Is it another format?")
        if size > MAX_HEADER:
            raise Refused(f"{path} has {gigabytes(size)}, too much for an ENVI header. Is it the data file?")
        data = start + file.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return Header(path, _entries(text, path))


def _entries(text: str, path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    lines = iter(text.splitlines()[1:])
    for line in lines:
        key, equals, value = line.partition("=")
        if not equals or line.lstrip().startswith(";"):
            continue
        parts = [value.strip()]
        if parts[0].startswith("{"):
            while "}" not in parts[-1]:
                more = next(lines, None)
                if more is None:
                    raise Refused(
                        f"{path} cannot be read as an ENVI header: the list of {key.strip()!r} has no end. Mend it."
                    )
                parts.append(more)
        found.setdefault(" ".join(key.lower().split()), "\n".join(parts))
    return found


# ---------------------------------------------------------------------------------------------- reading


class Layout(NamedTuple):
    """How the numbers of an image lie in its data file."""

    data: Path
    rows: int
    cols: int
    bands: int
    dtype: np.dtype
    interleave: str
    offset: int

    @property
    def n_bytes(self) -> int:
        return self.offset + self.rows * self.cols * self.bands * self.dtype.itemsize


def read_image(path: Path) -> RawCube | Path:
    """An ENVI image, mapped and not yet read; or the path of its data file where that is of a format of its own (TIFF)."""
    header = read_header(header_beside(path))
    _check_kind(header)
    data, told = _data_file(header, path)
    check_regular(data)
    if kind_of(data) is not None:
        return data
    layout = _layout(header, data)
    _check_size(header, layout)
    stored = np.memmap(data, layout.dtype, "r", layout.offset, _shape_in_file(layout))
    return described(RawCube(stored.transpose(_AXES[layout.interleave]), notes=tuple(told)), header)


def described(raw: RawCube, header: Header) -> RawCube:
    """``raw`` with what an ENVI header beside it says of its bands, its values and its place."""
    bands = raw.cube.shape[-1]
    wavelengths = header.numbers("wavelength", bands)
    if wavelengths is None:
        wavelengths = header.numbers("wavelengths", bands)
    good, names = header.numbers("bbl", bands), header.listed("band names")
    ignore = header.number("data ignore value") if header.text("data ignore value") else None
    left = sorted(k for k in header.entries if k.startswith("data ") and k.endswith(("gain values", "offset values")))
    return raw._replace(
        wavelengths=raw.wavelengths if wavelengths is None else wavelengths,
        units=raw.units if wavelengths is None else header.text("wavelength units"),
        scale=raw.scale if raw.scale is not None else _scale(header),
        fill=raw.fill if ignore is None else (*raw.fill, ignore),
        good_bands=raw.good_bands if good is None else good > 0,
        fwhm=raw.fwhm if wavelengths is None else header.numbers("fwhm", bands, wrong="ignore"),
        band_names=tuple(names) if len(names) == bands else raw.band_names,
        geo=raw.geo or _geo(header),
        notes=(*raw.notes, *(f"the header's {key} are not applied" for key in left)),
    )


def _scale(header: Header) -> float | None:
    if not header.text("reflectance scale factor"):
        return None
    scale = header.number("reflectance scale factor")
    if not np.isfinite(scale) or scale <= 0:
        raise Refused(f"{header.path} gives a reflectance scale factor of {scale}; it must be positive.")
    return scale


def _check_kind(header: Header) -> None:
    kind = header.text("file type", "ENVI Standard").lower()
    if "library" in kind:
        raise Refused(f"{header.path} is a spectral library, not a cube. Read it with wt.datasets.load_library.")
    if "classification" in kind:
        raise Refused(f"{header.path} is a map of classes: one band of codes, not a cube. Give the image's own header.")
    if header.text("file compression", "0") not in ("0", ""):
        raise Refused(f"{header.path} says its data file is compressed, which is not read. Save it uncompressed.")


def _data_file(header: Header, path: Path) -> tuple[Path, list[str]]:
    """The data file of a header: the one named by the caller, or the only one beside it that can be."""
    if path != header.path:
        return path, []
    stem = header.path.stem.lower()
    found = sorted(
        p
        for p in header.path.parent.iterdir()
        if p != header.path and p.is_file() and p.suffix.lower() not in _BESIDE and _belongs(p, stem)
    )
    if not found:
        raise Refused(
            f"{header.path} has no data file beside it: looked for {header.path.stem} with any suffix. "
            "Put it there, or give the path of the data file."
        )
    if len(found) == 1:
        return found[0], []
    fits = [p for p in found if kind_of(p) is None and p.stat().st_size == _layout(header, p).n_bytes]
    if len(fits) == 1:
        return fits[0], [f"of {len(found)} files beside the header only {fits[0].name} has its size"]
    names = ", ".join(p.name for p in found)
    raise Refused(f"{header.path} has {len(found)} data files beside it: {names}. Give the path of the one you mean.")


def _belongs(data: Path, stem: str) -> bool:
    name = data.name.lower()
    return name == stem or (name.startswith(f"{stem}.") and "." not in name[len(stem) + 1 :])


def _layout(header: Header, data: Path) -> Layout:
    code = header.integer("data type", 1)
    if code not in TYPES:
        raise Refused(f"{header.path} gives data type {code}; known are {', '.join(map(str, TYPES))}. Mend the header.")
    dtype = np.dtype(TYPES[code])
    if dtype.kind == "c":
        raise Refused(f"{header.path} holds complex values; a cube holds real numbers.")
    interleave = header.text("interleave", "bsq").lower()
    if interleave not in _AXES:
        raise Refused(f"{header.path} gives interleave {interleave!r}; it must be bsq, bil or bip. Mend the header.")
    order = header.integer("byte order", 0, 0)
    if order > 1:
        raise Refused(f"{header.path} gives byte order {order}; it must be 0 (little) or 1 (big). Mend the header.")
    rows, cols, bands = header.integer("lines", 1), header.integer("samples", 1), header.integer("bands", 1, 1)
    dtype = dtype.newbyteorder("<" if order == 0 else ">")
    return Layout(data, rows, cols, bands, dtype, interleave, header.integer("header offset", 0, 0))


def _shape_in_file(layout: Layout) -> tuple[int, ...]:
    sizes = (layout.rows, layout.cols, layout.bands)
    return {"bip": sizes, "bil": (sizes[0], sizes[2], sizes[1]), "bsq": (sizes[2], sizes[0], sizes[1])}[
        layout.interleave
    ]


def _check_size(header: Header, layout: Layout) -> None:
    """A data file has exactly the bytes that its header asks for: shorter is truncated, longer is read askew."""
    have, need = layout.data.stat().st_size, layout.n_bytes
    asked = (
        f"{layout.data} has {have} bytes; its header asks for {need} ({layout.rows} lines, {layout.cols} samples, "
        f"{layout.bands} bands, type {layout.dtype.name}, header offset {layout.offset})"
    )
    if have < need:
        raise Refused(f"{asked}. It is truncated: fetch it again.")
    if have == need:
        return
    n_values = layout.rows * layout.cols * layout.bands
    others = [
        f"{code} ({np.dtype(t).name})"
        for code, t in TYPES.items()
        if n_values * np.dtype(t).itemsize == have - layout.offset
    ]
    if others:
        raise Refused(f"{asked}. A data type of {' or '.join(others)} would fit exactly: mend the header.")
    more = have - need
    raise Refused(
        f"{asked}: {more} more. If they stand in front of the image, write header offset = {layout.offset + more}; if they "
        f"stand behind it, cut them off."
    )


# ---------------------------------------------------------------------------------------------- geography


def _geo(header: Header) -> Geo | None:
    kept = {key: header.entries[key].strip().removeprefix("{").removesuffix("}") for key in _GEO if header.text(key)}
    return map_geo(kept, header.path) if kept else None


def place(path: Path) -> tuple[tuple[int, int], Geo | None]:
    """Rows and columns that a header tells, and the map, of whatever kind its data are."""
    header = read_header(path)
    return (header.integer("lines", 1), header.integer("samples", 1)), _geo(header)


def map_geo(kept: dict[str, str], path: Path) -> Geo:
    """The transform and the coordinate system that ENVI's own words say."""
    transform = _transform(kept["map info"], path) if "map info" in kept else None
    return Geo(transform, _crs(kept), kept)


def _transform(text: str, path: Path) -> tuple[float, ...] | None:
    """ENVI's tie point, pixel size and rotation as an affine transform, by the rule of GDAL's ENVI driver."""
    fields = [part.strip() for part in text.split(",")]
    if len(fields) < 7:
        return None
    try:
        col, row, x, y, width, height = (float(part) for part in fields[1:7])
        turn = next((float(p.split("=")[1]) for p in fields if p.lower().startswith("rotation")), 0.0)
    except (ValueError, IndexError) as error:
        raise Refused(
            f"{path} gives map info {text[:80]!r}, which holds what is no number. Mend the header."
        ) from error
    angle = -np.deg2rad(turn)
    a, b = np.cos(angle) * width, -np.sin(angle) * width
    d, e = -np.sin(angle) * height, -np.cos(angle) * height
    if not turn:
        a, b, d, e = width, 0.0, 0.0, -height
    return tuple(float(v) for v in (a, b, x - (col - 1) * a - (row - 1) * b, d, e, y - (col - 1) * d - (row - 1) * e))


def _crs(kept: dict[str, str]) -> str | None:
    """The coordinate system: the header's own WKT, or the number of a zone of UTM on WGS-84."""
    if kept.get("coordinate system string"):
        return kept["coordinate system string"]
    fields = [part.strip().lower() for part in kept.get("map info", "").split(",")]
    if "wgs-84" not in fields and "wgs84" not in fields:
        return None
    if fields[0] == "utm" and len(fields) > 8 and fields[7].isdigit():
        return f"EPSG:{(32700 if fields[8].startswith('s') else 32600) + int(fields[7])}"
    return "EPSG:4326" if fields[0].startswith("geographic") else None


def map_info(geo: Geo) -> dict[str, str]:
    """What an ENVI header says of ``geo``: its own text where there is one, else a tie point, with WKT beside it."""
    if geo.envi and ("map info" in geo.envi or geo.transform is None):
        return dict(geo.envi)
    if geo.transform is None:
        return {}
    a, b, x, d, e, y = geo.transform
    width, height = float(np.hypot(a, d)), float(np.hypot(b, e))
    turn = float(np.rad2deg(np.arctan2(b, a))) if b or d else 0.0
    kept = _transform(f"X, 1, 1, {x!r}, {y!r}, {width!r}, {height!r}, rotation={turn!r}", Path("map info"))
    if not np.allclose(kept, geo.transform, rtol=1e-9, atol=1e-9 * max(width, height)):
        raise Refused(
            "the pixels lie sheared or mirrored on the ground, which an ENVI header cannot say: save a GeoTIFF."
        )
    fields = [*_projection(geo.crs), *((f"rotation={turn!r}",) if turn else ())]
    text = ", ".join([fields[0], "1", "1", repr(x), repr(y), repr(width), repr(height), *fields[1:]])
    return {"map info": text} | _coordinate_system(geo.crs)


def _projection(crs: str | None) -> list[str]:
    number = re.fullmatch(r"EPSG:(\d+)", _epsg(crs) or "")
    code = int(number[1]) if number else 0
    if 32601 <= code <= 32660 or 32701 <= code <= 32760:
        return ["UTM", str(code % 100), "North" if code < 32700 else "South", "WGS-84", "units=Meters"]
    if code == 4326:
        return ["Geographic Lat/Lon", "WGS-84", "units=Degrees"]
    return ["Arbitrary"]


def _epsg(crs: str | None) -> str | None:
    if crs is None or crs.upper().startswith("EPSG:"):
        return None if crs is None else crs.upper()
    try:
        from rasterio.crs import CRS
    except ImportError:
        return None
    number = CRS.from_user_input(crs).to_epsg()
    return None if number is None else f"EPSG:{number}"


def _coordinate_system(crs: str | None) -> dict[str, str]:
    if crs is None:
        return {}
    try:
        from rasterio.crs import CRS
    except ImportError:
        return {} if crs.upper().startswith("EPSG:") else {"coordinate system string": crs}
    return {"coordinate system string": CRS.from_user_input(crs).to_wkt(version="WKT1_ESRI")}


# ---------------------------------------------------------------------------------------------- writing


def write_image(path: Path, cube: np.ndarray, entries: dict[str, Any], geo: Geo | None = None) -> list[Path]:
    """An image, band by band, little-endian, and its header beside it: ``path`` is either; the data file is ``.img``."""
    header, data = path.with_suffix(".hdr"), path.with_suffix(".img" if path.suffix.lower() == ".hdr" else path.suffix)
    cube = np.asarray(cube)
    dtype = cube.dtype.newbyteorder("<")
    with written_whole(data) as part, open(part, "wb") as file:
        for band in np.moveaxis(cube, -1, 0):
            file.write(np.ascontiguousarray(band, dtype=dtype).tobytes())
    rows, cols, bands = cube.shape
    fixed = {
        "samples": cols,
        "lines": rows,
        "bands": bands,
        "header offset": 0,
        "file type": "ENVI Standard",
        "data type": next(code for code, name in TYPES.items() if np.dtype(name) == cube.dtype.newbyteorder("=")),
        "interleave": "bsq",
        "byte order": 0,
    }
    place = {key: "{" + text + "}" for key, text in ({} if geo is None else map_info(geo)).items()}
    _write_header(header, fixed | place | entries)
    return [header, data]


def write_library(path: Path, spectra: np.ndarray, names: Sequence[str], entries: dict[str, Any]) -> list[Path]:
    """A spectral library, ``.sli`` with its header: spectra (n, n_bands), one name each."""
    header, data = path.with_suffix(".hdr"), path.with_suffix(".sli")
    spectra = np.ascontiguousarray(spectra, dtype="<f8")
    with written_whole(data) as part:
        part.write_bytes(spectra.tobytes())
    n, bands = spectra.shape
    fixed = {
        "samples": bands,
        "lines": n,
        "bands": 1,
        "header offset": 0,
        "file type": "ENVI Spectral Library",
        "data type": 5,
        "interleave": "bsq",
        "byte order": 0,
        "spectra names": [_plain(name) for name in names],
    }
    _write_header(header, fixed | entries)
    return [header, data]


def _plain(name: str) -> str:
    """A name that a list in braces can hold: no comma, no brace, no line end."""
    return re.sub(r"[,{}\r\n]+", ";", str(name)).strip()


def _write_header(path: Path, entries: dict[str, Any]) -> None:
    lines = ["ENVI"]
    for key, value in entries.items():
        if isinstance(value, list | tuple | np.ndarray):
            value = "{" + ", ".join(_plain(v) if isinstance(v, str) else repr(float(v)) for v in value) + "}"
        lines.append(f"{key} = {value}")
    with written_whole(path) as part:
        part.write_text("\n".join(lines) + os.linesep, encoding="utf-8", newline="")


def read_library(
    path: Path,
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray | None, str, np.ndarray | None, float | None]:
    """The spectra, names, wavelengths, their unit, widths and scale of an ENVI spectral library (``.sli``)."""
    beside = header_beside(path)
    if beside is None:
        raise Refused(f"{path} has no ENVI header beside it: looked for {path.name}.hdr and {path.stem}.hdr.")
    header = read_header(beside)
    if "library" not in header.text("file type").lower():
        raise Refused(
            f"{header.path} is no spectral library: its file type is {header.text('file type')!r}. Try load_cube."
        )
    data, _ = _data_file(header, path)
    check_regular(data)
    layout = _layout(header, data)
    _check_size(header, layout)
    n_bands, n = layout.cols, layout.rows
    values = np.fromfile(data, layout.dtype, offset=layout.offset).reshape(n, n_bands).astype(float)
    names = header.listed("spectra names")
    if len(names) != n:
        names = [f"spectrum {k + 1}" for k in range(n)]
    wavelengths = header.numbers("wavelength", n_bands)
    fwhm = header.numbers("fwhm", n_bands, wrong="ignore")
    return values, tuple(names), wavelengths, header.text("wavelength units"), fwhm, _scale(header)
