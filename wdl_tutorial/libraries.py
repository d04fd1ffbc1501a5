"""Measured spectra with names: those that come with the package, and libraries of your own, brought to a scene's bands."""

from __future__ import annotations

import csv
import io
import os
import re
import struct
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import envi
from ._array import as_float, to_numpy
from ._checks import file_path, finite, number, real_array, shown, squarable
from .rawfiles import Refused, check_memory, check_new, check_regular, reading, written_whole
from .scenes import unit_in_nm


class Spectra(NamedTuple):
    """Measured spectra of named materials."""

    names: tuple[str, ...]
    wavelengths: np.ndarray  # (n_bands,) nm
    spectra: np.ndarray  # (n_spectra, n_bands) reflectance
    records: tuple[str, ...]  # the names of the library's own records
    citation: str
    fwhm: np.ndarray | None = None  # (n_bands,) nm, widths of the bands where they are known
    units: str = "reflectance"
    notes: tuple[str, ...] = ()  # what was mended in reading them

    def __repr__(self) -> str:
        """How many, on which bands: no arrays."""
        nm = self.wavelengths
        few = ", ".join(self.names[:4]) + (", ..." if len(self.names) > 4 else "")
        lines = [
            f"Spectra({len(self.names)} spectra, {len(nm)} bands, {nm[0]:g} to {nm[-1]:g} nm, {self.units}: {few})"
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def select(self, *names: str) -> np.ndarray:
        """The spectra of the given materials.

        Parameters
        ----------
        *names : str

        Returns
        -------
        array, shape (len(names), n_bands)
        """
        missing = [name for name in names if name not in self.names]
        if missing:
            raise ValueError(f"the sample has no spectrum called {missing}; it has {list(self.names)}.")
        return self.spectra[[self.names.index(name) for name in names]]

    def only(self, *names: str) -> Spectra:
        """The library of these materials only.

        Parameters
        ----------
        *names : str

        Returns
        -------
        Spectra

        Examples
        --------
        >>> load_usgs_sample().only("calcite", "topaz").names
        ('calcite', 'topaz')
        """
        spectra = self.select(*names)
        places = [self.names.index(name) for name in names]
        return self._replace(names=tuple(names), spectra=spectra, records=tuple(self.records[k] for k in places))

    def resample(self, wavelengths: Any, fwhm: Any = None) -> Spectra:
        """The spectra as another sensor's bands see them: each band is a Gaussian, centred on it.

        ::

            value_j = integral of s(x) g_j(x) dx / integral of g_j(x) dx,    g_j(x) = exp(-4 ln 2 (x - c_j)^2 / fwhm_j^2)

        s is the line through the library's points. A spectrum that is a straight line comes out exactly.

        Parameters
        ----------
        wavelengths : array, shape (n_bands,), nm
            Centres of the bands.
        fwhm : float or array, shape (n_bands,), nm, optional
            Full widths at half maximum; the distance to the nearer neighbour if not given.

        Returns
        -------
        Spectra

        Raises
        ------
        ValueError
            If a band's centre lies beyond the ends of the library, or in a gap of it: what is not measured is not made
            up. The message names the band.

        Examples
        --------
        >>> sample = load_usgs_sample("swir")
        >>> sample.resample([2000.0, 2200.0, 2330.0], fwhm=15).spectra.shape
        (18, 3)
        """
        centres = np.atleast_1d(real_array("wavelengths", wavelengths))
        widths = _widths(centres, fwhm)
        order = np.argsort(self.wavelengths, kind="stable")
        x, s = np.asarray(self.wavelengths, dtype=float)[order], np.asarray(self.spectra, dtype=float)[:, order]
        _check_covered(x, s, centres, widths, self.names)
        points = np.linspace(-1.5, 1.5, 61)  # of the width: the Gaussian is 0.002 there
        response = np.exp(-4 * np.log(2) * points**2)
        at = centres[:, None] + widths[:, None] * points  # (n_bands, n_points)
        weight = np.where((at >= x[0]) & (at <= x[-1]), response, 0.0)
        weight /= weight.sum(axis=1, keepdims=True)
        values = np.stack([(np.interp(at, x, row) * weight).sum(axis=1) for row in s])
        return self._replace(wavelengths=centres, spectra=values, fwhm=widths)

    def save(self, path: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write the library to a file, which :func:`load_library` reads back.

        Parameters
        ----------
        path : str or Path
            By its suffix ``.sli`` (ENVI, with its header) or ``.csv``.
        overwrite : bool

        Returns
        -------
        list of Path
            The files that were written.

        Raises
        ------
        FileExistsError
            If the file is there and ``overwrite`` is not given.
        ValueError
            If the suffix is another one.
        """
        path = file_path("path", path)
        suffix = path.suffix.lower()
        if suffix not in (".sli", ".csv"):
            raise ValueError(f"path {path} ends in {suffix!r}; a library is saved as .sli or .csv.")
        check_new([path, path.with_suffix(".hdr")] if suffix == ".sli" else [path], overwrite)
        if suffix == ".csv":
            return [_write_csv(path, self)]
        about: dict[str, Any] = {"wavelength units": "Nanometers", "wavelength": self.wavelengths}
        if self.fwhm is not None:
            about["fwhm"] = self.fwhm
        return envi.write_library(path, self.spectra, self.names, about)


def _widths(centres: np.ndarray, fwhm: Any) -> np.ndarray:
    if centres.ndim != 1 or not centres.size or not np.isfinite(centres).all() or not (centres > 0).all():
        raise ValueError(f"wavelengths must be positive numbers, in nm; got shape {centres.shape}.")
    if fwhm is not None:
        widths = real_array("fwhm", fwhm)
        if widths.shape not in ((), (1,), centres.shape) or not ((widths > 0) & (widths < 1e6)).all():
            raise ValueError(f"fwhm must be positive, in nm, one for all bands or one each; got {shown(fwhm)}.")
        return np.broadcast_to(widths, centres.shape).copy()
    if centres.size < 2:
        raise ValueError("fwhm is needed for a single band: there is no neighbour to tell its width.")
    steps = np.diff(np.sort(centres))
    nearer = np.minimum(np.r_[np.inf, steps], np.r_[steps, np.inf])
    widths = np.empty_like(centres)
    widths[np.argsort(centres)] = nearer
    return np.maximum(widths, 1e-6)


def _check_covered(x: np.ndarray, s: np.ndarray, centres: np.ndarray, widths: np.ndarray, names: Sequence[str]) -> None:
    """Refuse bands beyond the ends of the library, in its gaps, and where a spectrum has no value."""
    reach = np.maximum(widths / 2, np.median(np.diff(x)) if x.size > 1 else 0.0)
    right = np.clip(np.searchsorted(x, centres), 0, x.size - 1)
    gap = np.minimum(np.abs(centres - x[np.maximum(right - 1, 0)]), np.abs(centres - x[right]))
    slack = 1e-9 * x[-1]
    out = (centres < x[0] - slack) | (centres > x[-1] + slack)
    bad = np.flatnonzero(out | (gap > 1.5 * reach))
    if bad.size:
        more = f", nor {bad.size - 1} other bands" if bad.size > 1 else ""
        raise ValueError(
            f"the library, {x[0]:g} to {x[-1]:g} nm in {x.size} bands, does not cover the band at {centres[bad[0]]:g} nm "
            f"(width {widths[bad[0]]:g}){more}. Drop such bands of the scene (Scene.drop_bands), or take another library."
        )
    holes = ~np.isfinite(s)
    for name, hole in zip(names, holes):
        hit = [k for k in range(centres.size) if hole[np.abs(x - centres[k]) <= max(1.5 * widths[k], gap[k])].any()]
        if hit:
            raise ValueError(
                f"the spectrum {name!r} has no value near {centres[hit[0]]:g} nm. Leave it out (Spectra.only)."
            )


def load_usgs_sample(region: str = "full") -> Spectra:
    """The embedded spectra of the USGS Spectral Library Version 7 (public domain), in bands of 10 nm.

    Parameters
    ----------
    region : {"full", "swir"}
        "full" for 13 spectra in 188 bands from 400 to 2490 nm (two gaps, where water vapour blinds an airborne sensor);
        "swir" for 18 spectra in the 55 bands from 1950 nm on, clays, micas and alunite among them.

    Returns
    -------
    Spectra

    Examples
    --------
    >>> sample = load_usgs_sample()
    >>> sample.spectra.shape
    (13, 188)
    >>> load_usgs_sample("swir").names[-2:]
    ('muscovite, low Al', 'muscovite, high Al')
    """
    if not (isinstance(region, str) and region in ("full", "swir")):
        raise ValueError(f'region must be "full" or "swir"; got {region!r}.')
    lines = (files("wdl_tutorial") / "data" / "usgs_sample.csv").read_text(encoding="utf-8").splitlines()
    header, records, *rows = csv.reader(lines)
    table = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows])
    if region == "swir":
        table = table[table[:, 0] >= 1950]
    complete = [k for k in range(1, table.shape[1]) if not np.isnan(table[:, k]).any()]
    return Spectra(
        names=tuple(header[k] for k in complete),
        wavelengths=table[:, 0].copy(),
        spectra=np.ascontiguousarray(table[:, complete].T),
        records=tuple(records[k] for k in complete),
        citation="Kokaly et al. (2017), USGS Spectral Library Version 7, doi:10.5066/F7RR1WDJ; public domain.",
    )


def aviris_wavelengths() -> np.ndarray:
    """The centres of the 224 AVIRIS bands, as the USGS library of 1995 lists them.

    Returns
    -------
    array, shape (224,), nm
        Increasing.

    Examples
    --------
    >>> len(aviris_wavelengths())
    224
    """
    text = (files("wdl_tutorial") / "data" / "aviris_wavelengths.csv").read_text()
    return np.array([float(line) for line in text.split()[1:]])


# ---------------------------------------------------------------------------------------------- libraries of your own


def load_library(path: str | Path | Sequence[str | Path]) -> Spectra:
    """Spectra from a file: ENVI ``.sli``, ECOSTRESS and USGS text, ASD binary, or CSV; or from a folder.

    Wavelengths become nanometres, percent becomes reflectance, both told in ``notes``; deleted channels of the USGS
    (-1.23e34) become NaN, which :meth:`Spectra.resample` refuses where a band needs them. Nothing is resampled here.

    Parameters
    ----------
    path : str, Path or sequence of them
        A file, a folder, which stands for the spectra in it, or several files; all have to be on the same wavelengths.
        The values of a USGS text have their wavelengths in a file beside it, whose name holds "Wavelengths" and which
        has as many lines. A CSV has wavelengths in its first column, and one spectrum in each of the others, its name
        on top.

    Returns
    -------
    Spectra

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    ValueError
        If it is of another format, or not what its format says; the message says what to do.
    """
    if isinstance(path, str | os.PathLike) or not np.iterable(path):
        one = file_path("path", path)
        if not one.is_dir():
            return _load_one(one)
        paths = sorted(one.iterdir())
    else:
        paths = [file_path("path", p) for p in path]
    wanted = [p for p in paths if p.is_file() and p.suffix.lower() in (".txt", ".csv", ".asd", ".sli", ".asc")]
    wanted = [p for p in wanted if "wavelength" not in p.name.lower() and "bandpass" not in p.name.lower()]
    if not wanted:
        raise Refused(f"{path} holds no .sli, .txt, .asd or .csv file. Give the path of a library.")
    return _together([_load_one(p) for p in wanted], wanted)


def _load_one(path: Path) -> Spectra:
    check_regular(path)
    with open(path, "rb") as file:
        start = file.read(400)
    suffix = path.suffix.lower()
    if suffix in (".sli", ".hdr") or (suffix not in (".csv", ".txt", ".asc", ".asd") and _library_beside(path)):
        return _from_sli(path)
    if start[:3] in (b"ASD", b"as2", b"as3", b"as4", b"as5", b"as6", b"as7", b"as8"):
        return _from_asd(path)
    check_memory(20 * path.stat().st_size, f"{path}", "Split it.")
    text = _text(path)
    if re.match(r"\s*Name\s*:", text):
        return _from_ecostress(path, text)
    first = text.split("\n", 1)[0]
    if "Record=" in first or first.lower().lstrip().startswith("splib"):
        return _from_usgs(path, text)
    return _from_table(path, text)


def _library_beside(path: Path) -> bool:
    """Whether an ENVI header beside ``path`` calls it a spectral library."""
    header = envi.header_beside(path)
    return header is not None and "library" in envi.read_header(header).text("file type").lower()


def _text(path: Path) -> str:
    data = path.read_bytes()
    if b"\0" in data[:4000]:
        raise Refused(f"{path} is no text and no library that is known here. Give .sli, ECOSTRESS, USGS, ASD or CSV.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _together(parts: list[Spectra], paths: list[Path]) -> Spectra:
    first = parts[0]
    for part, path in zip(parts, paths):
        if part.wavelengths.shape != first.wavelengths.shape or not np.allclose(part.wavelengths, first.wavelengths):
            raise Refused(
                f"{path} is on other wavelengths than {paths[0].name}. Load each by itself, resample them to the bands of "
                "your scene, and join them."
            )
    return first._replace(
        names=tuple(name for part in parts for name in part.names),
        spectra=np.concatenate([part.spectra for part in parts]),
        records=tuple(record for part in parts for record in part.records),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def _made(
    path: Path,
    names: Sequence[str],
    wavelengths: np.ndarray,
    units: str,
    spectra: np.ndarray,
    *,
    percent: bool | None = None,
    records: Sequence[str] | None = None,
    fwhm: np.ndarray | None = None,
    citation: str = "",
) -> Spectra:
    """A library with wavelengths in nm, increasing, and reflectance as a fraction."""
    nm, notes = np.asarray(wavelengths, dtype=float), []
    if nm.ndim != 1 or nm.size < 2 or spectra.shape[1:] != nm.shape or not np.isfinite(nm).all() or (nm <= 0).any():
        raise Refused(f"{path} holds no wavelengths that are positive numbers, one per band: got {nm.shape}.")
    factor = unit_in_nm(units, str(path))
    if factor is None:
        factor = 1000.0 if nm.max() < 100 else 1.0
        if factor != 1.0:
            notes.append("wavelengths are read as micrometres")
    spectra = np.where(np.abs(spectra) < 1e30, spectra, np.nan)
    if not np.isfinite(spectra).any(axis=1).all():
        raise Refused(f"{path} holds a spectrum without any value. Leave it out.")
    if percent or (percent is None and np.nanmedian(spectra) > 1.5 and np.nanmax(spectra) <= 150):
        spectra = spectra / 100.0
        notes.append("values are read as percent")
    top = float(np.nanmax(spectra))
    if top > 1.5:
        notes.append(f"values reach {top:.3g}: they are no reflectance, or of another scale")
    order = np.argsort(nm, kind="stable")
    return Spectra(
        tuple(names),
        (factor * nm)[order],
        np.ascontiguousarray(spectra[:, order]),
        tuple(records or names),
        citation,
        None if fwhm is None else (factor * fwhm)[order],
        "reflectance" if top <= 1.5 else "as in the file",
        tuple(notes),
    )


def _from_sli(path: Path) -> Spectra:
    with reading(path, "an ENVI spectral library"):
        values, names, wavelengths, units, fwhm, scale = envi.read_library(path)
    if wavelengths is None:
        raise Refused(f"the header of {path} lists no wavelengths. Add them to it: wavelength = {{...}}.")
    return _made(path, names, wavelengths, units, values / (scale or 1.0), percent=False if scale else None, fwhm=fwhm)


def _columns(lines: Sequence[str], path: Path) -> np.ndarray:
    """Two columns of numbers, whatever stands between them."""
    rows = [re.split(r"[\s,;]+", line.strip()) for line in lines if line.strip()]
    try:
        table = np.array([[float(row[0]), float(row[1])] for row in rows])
    except (ValueError, IndexError) as error:
        raise Refused(f"{path} holds a line that is no pair of numbers ({error}). Mend it.") from error
    if len(table) < 2:
        raise Refused(
            f"{path} holds {len(table)} pairs of numbers; a spectrum has more. It is truncated or another file."
        )
    return table


def _from_ecostress(path: Path, text: str) -> Spectra:
    """ECOSTRESS (and ASTER): ``Name: value`` lines, a blank one, then wavelength and reflectance."""
    lines = text.splitlines()
    says = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if ":" in line)}
    start = next(
        (k for k, line in enumerate(lines) if re.match(r"\s*[\d.]+(e[-+]?\d+)?[\s,]+[-\d.]", line, re.I)), None
    )
    if start is None:
        raise Refused(f"{path} has the head of an ECOSTRESS spectrum and no numbers below it. It is truncated.")
    table = _columns(lines[start:], path)
    percent = "percent" in says.get("y units", "").lower() or "percentage" in says.get("y units", "").lower()
    return _made(
        path,
        [says.get("name") or path.stem],
        table[:, 0],
        says.get("x units", "").replace("Wavelength", ""),
        table[None, :, 1],
        percent=percent or None,
        records=[path.stem],
        citation="ECOSTRESS spectral library, Meerdink et al. (2019), doi:10.1016/j.rse.2019.05.015.",
    )


def _from_usgs(path: Path, text: str) -> Spectra:
    """USGS splib07: a title, then one value a line; the wavelengths are in a file beside, of as many lines."""
    title, *lines = text.splitlines()
    values = _numbers(lines, path)
    beside = [p for p in path.parent.iterdir() if "wavelength" in p.name.lower() and p.suffix.lower() == ".txt"]
    fitting = [(p, w) for p in sorted(beside) if (w := _numbers(_text(p).splitlines()[1:], p)).size == values.size]
    if not fitting:
        raise Refused(
            f"{path} holds {values.size} values without wavelengths, and no file beside it called ...Wavelengths....txt "
            "has as many. Copy the library's own there."
        )
    name = re.sub(r"^.*Record=\S*\s*", "", title).strip() or path.stem
    citation = "Kokaly et al. (2017), USGS Spectral Library Version 7, doi:10.5066/F7RR1WDJ; public domain."
    nm = fitting[0][1]
    units = "nm" if np.nanmax(nm) > 100 else "um"
    return _made(path, [name], nm, units, values[None], percent=False, records=[path.stem], citation=citation)


def _numbers(lines: Sequence[str], path: Path) -> np.ndarray:
    try:
        return np.array([float(line) for line in lines if line.strip()])
    except ValueError as error:
        raise Refused(f"{path} holds a line that is no number ({error}). Mend it.") from error


def _from_asd(path: Path) -> Spectra:
    """ASD's binary files: a head of 484 bytes, the spectrum, and the white reference to divide it by."""
    data = path.read_bytes()
    with reading(path, "an ASD file"):
        first, step = struct.unpack_from("<ff", data, 191)
        kind, n = data[199], struct.unpack_from("<H", data, 204)[0]
        dtype = np.dtype({0: "<f4", 1: "<i4", 2: "<f8"}[kind])
        spectrum = np.frombuffer(data, dtype, n, 484).astype(float)
        after = 484 + n * dtype.itemsize
        reference = _asd_reference(data, after, n, dtype)
    nm = first + step * np.arange(n)
    if reference is None:
        return _made(path, [path.stem], nm, "nm", spectrum[None], percent=False)
    values = np.divide(spectrum, reference, out=np.full(n, np.nan), where=reference != 0)
    return _made(path, [path.stem], nm, "nm", values[None], percent=False)


def _asd_reference(data: bytes, start: int, n: int, dtype: np.dtype) -> np.ndarray | None:
    """The white reference behind the spectrum (from the fifth version of the format on), where it was taken."""
    if data[:3] == b"ASD" or len(data) < start + 20 or not struct.unpack_from("<H", data, start)[0]:
        return None
    words = struct.unpack_from("<H", data, start + 18)[0]
    return np.frombuffer(data, dtype, n, start + 20 + words).astype(float)


def _from_table(path: Path, text: str) -> Spectra:
    """CSV and its kin: wavelengths in the first column, a spectrum in each other one, names on top."""
    sample = text[:4000]
    separator = next((c for c in ("\t", ";", ",") if c in sample), " ")
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)]
    rows = [[cell.strip() for cell in row if separator != " " or cell.strip()] for row in rows]
    rows = [row for row in rows if any(row) and not row[0].startswith("#")]
    numeric = [k for k, row in enumerate(rows) if len(row) > 1 and _is_number(row[0]) and _is_number(row[1])]
    if len(numeric) < 2:
        raise Refused(
            f"{path} is no library that is known here: it has no columns of numbers. Give .sli, ECOSTRESS, USGS or CSV."
        )
    body, head = rows[numeric[0] :], rows[numeric[0] - 1] if numeric[0] else None
    width = len(body[0])
    ragged = next((k for k, row in enumerate(body) if len(row) != width), None)
    if ragged is not None:
        raise Refused(
            f"{path} has {len(body[ragged])} columns in line {numeric[0] + ragged + 1} and {width} before. Mend it."
        )
    try:
        table = np.array([[float(cell) if cell else np.nan for cell in row] for row in body])
    except ValueError as error:
        raise Refused(f"{path} holds what is no number ({error}). Mend it.") from error
    named = head is not None and len(head) == width
    names = head[1:] if named else [f"{path.stem} {k}" if width > 2 else path.stem for k in range(1, width)]
    unit = re.search(r"nanomet\w*|micromet\w*|microns?|\bnm\b|\bum\b|µm", head[0], re.I) if named else None
    return _made(path, names, table[:, 0], unit[0] if unit else "", table[:, 1:].T)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _write_csv(path: Path, library: Spectra) -> Path:
    with written_whole(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["wavelength (nm)", *library.names])
        writer.writerows(
            [repr(float(x)), *map(repr, row.tolist())] for x, row in zip(library.wavelengths, library.spectra.T)
        )
    return path


# ---------------------------------------------------------------------------------------------- matching


class Match(NamedTuple):
    """What an endmember may be: the nearest spectra of a library, and whether one of them is near enough."""

    endmember: str
    names: tuple[str, ...]  # the best three, nearest first
    angles: np.ndarray  # (3,) spectral angles to them, radians
    gap: float  # by how much the second is farther than the first, radians
    verdict: str  # "match", "ambiguous" or "no match"


class Matches(tuple):
    """A :class:`Match` for each endmember; prints as a table."""

    def __repr__(self) -> str:
        """A line per endmember: verdict, and the best three with their angles in degrees."""
        lines = []
        for match in self:
            best = ", ".join(f"{name} ({np.rad2deg(angle):.1f} deg)" for name, angle in zip(match.names, match.angles))
            lines.append(f"{match.endmember}: {match.verdict}; {best}")
        return "\n".join(lines)


def match_library(
    endmembers: Any,
    library: Spectra,
    wavelengths: Any = None,
    *,
    fwhm: Any = None,
    largest: float = 0.1,
    least_gap: float = 0.01,
) -> Matches:
    """Which material of a library is this endmember? The best three by spectral angle, or none of them.

    The angle does not see brightness: a spectrum and its shadow match the same entry.

    Parameters
    ----------
    endmembers : Spectra or array, shape (n_endmembers, n_bands)
        An array comes with its ``wavelengths``.
    library : Spectra
        It is resampled here to those bands.
    wavelengths : array, shape (n_bands,), nm, optional
    fwhm : float or array, shape (n_bands,), nm, optional
        As in :meth:`Spectra.resample`.
    largest : float, radians
        Farther than this is "no match". 0.1 (5.7 degrees) is the usual threshold of spectral angle mapping.
    least_gap : float, radians
        Where the second is nearer to the first than this, the answer is "ambiguous".

    Returns
    -------
    Matches

    Examples
    --------
    >>> sample = load_usgs_sample()
    >>> match_library(0.5 * sample.select("topaz"), sample, sample.wavelengths)[0].names[0]
    'topaz'
    """
    names: Sequence[str] | None = None
    if isinstance(endmembers, Spectra):
        names, wavelengths, endmembers = endmembers.names, endmembers.wavelengths, endmembers.spectra
    x = np.atleast_2d(squarable("endmembers", np.asarray(to_numpy(as_float(endmembers, name="endmembers")))))
    number("largest", largest, least=0)
    number("least_gap", least_gap, least=0)
    if not isinstance(library, Spectra):
        raise TypeError(f"library must be a Spectra; got a {type(library).__name__}. See load_library.")
    if wavelengths is not None:
        wavelengths = finite("wavelengths", np.asarray(to_numpy(as_float(wavelengths, name="wavelengths"))))
    if wavelengths is None or np.shape(wavelengths) != x.shape[1:]:
        raise ValueError(
            f"wavelengths must be given for the {x.shape[1]} bands of the endmembers; got {np.shape(wavelengths)}."
        )
    if not np.isfinite(x).all() or not x.any(axis=1).all():
        raise ValueError("endmembers must be finite, and none of them zero in every band.")
    same = library.wavelengths.shape == np.shape(wavelengths) and np.allclose(
        library.wavelengths, wavelengths, atol=1e-6
    )
    known = library if same else library.resample(wavelengths, fwhm)
    y = known.spectra
    if not np.isfinite(y).all():
        raise ValueError("the library holds spectra with missing values on these bands. Leave them out (Spectra.only).")
    cosine = (x / np.linalg.norm(x, axis=1)[:, None]) @ (y / np.linalg.norm(y, axis=1)[:, None]).T
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    return Matches(
        _match(f"endmember {k + 1}" if names is None else names[k], row, known.names, largest, least_gap)
        for k, row in enumerate(angle)
    )


def _match(endmember: str, angle: np.ndarray, names: Sequence[str], largest: float, least_gap: float) -> Match:
    best = np.argsort(angle, kind="stable")[:3]
    gap = float(angle[best[1]] - angle[best[0]]) if len(best) > 1 else np.inf
    verdict = "no match" if angle[best[0]] > largest else "match" if gap >= least_gap else "ambiguous"
    return Match(endmember, tuple(names[k] for k in best), angle[best], gap, verdict)
