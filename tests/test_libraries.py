"""Libraries: read from what people have, brought to other bands, and asked what an endmember may be."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from conftest import assert_close

import wdl_tutorial as wt
from wdl_tutorial.datasets import Spectra, load_library, load_usgs_sample

NM = np.linspace(400.0, 2400.0, 201)


def lines(*rows: np.ndarray) -> Spectra:
    return Spectra(tuple(f"m{k}" for k in range(len(rows))), NM, np.stack(rows), ("",) * len(rows), "")


# ------------------------------------------------------------------------------------------ resampling


def test_a_straight_line_comes_out_exactly():
    found = lines(0.1 + 0.0002 * NM).resample([500.0, 1000.0, 2000.0], fwhm=[10, 30, 80])
    assert_close(found.spectra[0], 0.1 + 0.0002 * np.array([500.0, 1000.0, 2000.0]), rtol=1e-12)
    assert_close(found.fwhm, [10, 30, 80], atol=0)


def test_a_gaussian_seen_by_a_gaussian_band_is_a_wider_and_lower_gaussian():
    fine = np.arange(400.0, 2401.0)
    line = Spectra(("line",), fine, np.exp(-4 * np.log(2) * (fine - 1000) ** 2 / 60**2)[None], ("",), "")
    width = np.hypot(60, 40)  # widths of a convolution add in squares
    at = np.array([960.0, 1000.0, 1050.0])
    expected = 60 / width * np.exp(-4 * np.log(2) * (at - 1000) ** 2 / width**2)
    assert_close(line.resample(at, fwhm=40).spectra[0], expected, atol=2e-3)


def test_without_widths_they_are_the_distance_to_the_nearer_neighbour():
    assert_close(lines(NM).resample([500.0, 510.0, 540.0]).fwhm, [10, 10, 30], atol=0)


def test_its_own_bands_are_covered_to_both_ends():
    sample = load_usgs_sample()
    assert wt.metrics.spectral_angle(sample.spectra, sample.resample(sample.wavelengths).spectra).max() < 0.02


@pytest.mark.parametrize("at", [390.0, 2410.0])
def test_a_band_beyond_the_library_is_refused_by_name(at):
    with pytest.raises(ValueError, match=rf"does not cover the band at {at:g} nm"):
        lines(NM).resample([500.0, at], fwhm=10)


def test_a_band_in_a_gap_of_the_library_is_refused():
    with pytest.raises(ValueError, match="does not cover the band at 1400 nm"):
        load_usgs_sample().resample([1300.0, 1400.0], fwhm=10)


def test_a_hole_in_one_spectrum_is_refused_by_its_name():
    broken = 0.5 * np.ones_like(NM)
    broken[50] = np.nan
    with pytest.raises(ValueError, match=r"'m1' has no value near 900 nm.*Spectra.only"):
        lines(NM, broken).resample([500.0, 900.0], fwhm=10)
    assert np.isfinite(lines(NM, broken).resample([500.0, 700.0], fwhm=10).spectra).all()


@pytest.mark.parametrize("fwhm", [0, -1, np.nan])
def test_widths_that_cannot_be_are_refused(fwhm):
    with pytest.raises(ValueError, match="fwhm must be positive"):
        lines(NM).resample([500.0, 600.0], fwhm=fwhm)


# ------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize("suffix", [".sli", ".csv"])
def test_a_library_saved_and_loaded_is_the_same_to_the_bit(suffix, tmp_path):
    sample = load_usgs_sample("swir")
    sample.save(tmp_path / f"x{suffix}")
    again = load_library(tmp_path / f"x{suffix}")
    np.testing.assert_array_equal(again.spectra, sample.spectra)
    np.testing.assert_array_equal(again.wavelengths, sample.wavelengths)
    expected = sample.names if suffix == ".csv" else tuple(name.replace(",", ";") for name in sample.names)
    assert again.names == expected
    with pytest.raises(FileExistsError, match="overwrite=True"):
        sample.save(tmp_path / f"x{suffix}")


def test_a_library_is_read_by_spectral(tmp_path):
    spectral = pytest.importorskip("spectral")
    load_usgs_sample().save(tmp_path / "x.sli")
    theirs = spectral.envi.open(str(tmp_path / "x.hdr"))
    np.testing.assert_array_equal(theirs.spectra, load_usgs_sample().spectra)
    assert list(theirs.names) == [name.replace(",", ";") for name in load_usgs_sample().names]


def test_load_cube_sends_a_library_to_its_own_reader(tmp_path):
    load_usgs_sample().save(tmp_path / "x.sli")
    for name in ("x.sli", "x.hdr"):
        with pytest.raises(ValueError, match="load_library"):
            wt.datasets.load_cube(tmp_path / name)


ECOSTRESS = """Name: Construction Asphalt
Type: manmade
Class: Road
X Units: Wavelength (micrometers)
Y Units: Reflectance (percentage)
First X Value: 14.0
Number of X Values: 4

14.0000\t9.5
2.5000\t20.0
0.5000\t10.0
0.4000\t 5.0
"""


def test_ecostress_text_is_read_in_nanometres_and_fractions(tmp_path):
    (tmp_path / "x.spectrum.txt").write_text(ECOSTRESS)
    found = load_library(tmp_path / "x.spectrum.txt")
    assert found.names == ("Construction Asphalt",)
    assert_close(found.wavelengths, [400, 500, 2500, 14000], atol=1e-9)
    assert_close(found.spectra[0], [0.05, 0.10, 0.20, 0.095], atol=1e-12)
    assert "values are read as percent" in found.notes


def test_usgs_text_takes_its_wavelengths_from_the_file_beside_it(tmp_path):
    (tmp_path / "splib07a_Wavelengths_ASD.txt").write_text(" splib07a Record=1: Wavelengths\n 0.35\n 0.45\n 0.55\n")
    (tmp_path / "splib07a_Wavelengths_BECK.txt").write_text(" splib07a Record=2: Wavelengths\n 0.2\n 0.3\n")
    (tmp_path / "splib07a_Calcite.txt").write_text(" splib07a Record=1234: Calcite WS272\n -1.23e34\n 0.5\n 0.6\n")
    found = load_library(tmp_path / "splib07a_Calcite.txt")
    assert found.names == ("Calcite WS272",) and np.isnan(found.spectra[0, 0])
    assert_close(found.wavelengths, [350, 450, 550], atol=1e-9)
    assert load_library(tmp_path).names == ("Calcite WS272",)
    (tmp_path / "splib07a_Calcite.txt").write_text(" splib07a Record=1234: Calcite\n 0.5\n")
    with pytest.raises(ValueError, match="1 values without wavelengths"):
        load_library(tmp_path / "splib07a_Calcite.txt")


def asd(path, spectrum, reference=None):
    """After the public description of the format: no original was at hand."""
    head = bytearray(484)
    head[:3] = b"as7"
    struct.pack_into("<ff", head, 191, 350.0, 1.0)
    head[199] = 2
    struct.pack_into("<H", head, 204, len(spectrum))
    tail = b"" if reference is None else struct.pack("<H16xH", 1, 5) + b"white" + np.asarray(reference, "<f8").tobytes()
    path.write_bytes(bytes(head) + np.asarray(spectrum, "<f8").tobytes() + tail)
    return path


def test_asd_files_are_divided_by_their_white_reference(tmp_path):
    found = load_library(asd(tmp_path / "x.asd", [10.0, 20.0, 30.0], [100.0, 100.0, 60.0]))
    assert_close(found.wavelengths, [350, 351, 352], atol=0)
    assert_close(found.spectra[0], [0.1, 0.2, 0.5], atol=1e-12)
    whole = (tmp_path / "x.asd").read_bytes()
    (tmp_path / "x.asd").write_bytes(whole[:490])
    with pytest.raises(ValueError, match="cannot be read as an ASD file"):
        load_library(tmp_path / "x.asd")


@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
@pytest.mark.parametrize("unit", ["nm", "um"])
def test_tables_of_any_separator_are_read(separator, unit, tmp_path):
    factor = 1.0 if unit == "nm" else 1e-3
    rows = [[f"wavelength_({unit})", "oak", "elm"], *([x * factor, x / 1e4, x / 2e4] for x in (400.0, 500.0, 600.0))]
    (tmp_path / "x.csv").write_text("\n".join(separator.join(map(str, row)) for row in rows))
    found = load_library(tmp_path / "x.csv")
    assert found.names == ("oak", "elm")
    assert_close(found.wavelengths, [400, 500, 600], atol=1e-9)
    assert_close(found.spectra[1], [0.02, 0.025, 0.03], atol=1e-12)


@pytest.mark.parametrize(
    "text,message",
    [
        ("", "no columns of numbers"),
        ("hello\nworld\n", "no columns of numbers"),
        ("nm,a\n400,1\n500,2,3\n", "3 columns in line 3 and 2 before"),
        ("nm,a\n400,0.1\n500,0.2\n600,x\n", "what is no number"),
        ("nm,a\n400,\n500,0.1\n600,\n", "no columns of numbers|without any value"),
        ("nm,a\n-400,0.1\n500,0.2\n", "positive numbers"),
        ("Name: x\nX Units: Wavelength (micrometers)\n", "no numbers below it"),
    ],
)
def test_text_that_is_no_library_is_one_clear_error(text, message, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_library(tmp_path / "x.csv")


def test_files_on_other_wavelengths_are_not_joined(tmp_path):
    for name, start in (("a.csv", 400), ("b.csv", 410)):
        (tmp_path / name).write_text(f"nm,{name}\n{start},0.1\n500,0.2\n")
    with pytest.raises(ValueError, match=r"b.csv is on other wavelengths than a.csv"):
        load_library(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_library(tmp_path / "c.csv")


def test_percent_in_a_csv_is_told(tmp_path):
    (tmp_path / "x.csv").write_text("nm,a\n400,10\n500,20\n600,30\n")
    found = load_library(tmp_path / "x.csv")
    assert_close(found.spectra[0], [0.1, 0.2, 0.3], atol=1e-12)
    assert found.notes == ("values are read as percent",)


# ------------------------------------------------------------------------------------------ matching


def test_each_material_of_the_sample_is_found_in_shade_and_noise(rng):
    sample = load_usgs_sample()
    seen = 0.4 * sample.spectra + 0.002 * rng.normal(size=sample.spectra.shape)
    bright = sample.spectra.mean(axis=1) > 0.05  # water is darker than that noise
    found = wt.match_library(seen[bright], sample, sample.wavelengths)
    assert [m.names[0] for m in found] == [name for name, b in zip(sample.names, bright) if b]
    assert all(m.verdict in ("match", "ambiguous") for m in found)


def test_no_match_is_an_answer():
    sample = load_usgs_sample()
    found = wt.match_library(np.linspace(0.9, 0.0, 188) ** 3 + 1e-3, sample, sample.wavelengths)
    assert found[0].verdict == "no match" and found[0].angles[0] > 0.1
    assert "no match" in repr(found)


def test_twins_in_a_library_are_ambiguous():
    sample = load_usgs_sample()
    twins = sample._replace(
        names=("a", "b"), spectra=np.stack([sample.spectra[0], sample.spectra[0] * 1.001]), records=("", "")
    )
    assert wt.match_library(sample.spectra[0], twins, sample.wavelengths)[0].verdict == "ambiguous"


def test_a_library_is_brought_to_the_bands_of_the_endmembers():
    sample = load_usgs_sample()
    nm = sample.wavelengths[3:-3:2] + 1.0
    seen = sample.resample(nm, 12)
    assert [m.names[0] for m in wt.match_library(seen, sample, fwhm=12)] == list(sample.names)
    with pytest.raises(ValueError, match="wavelengths must be given for the 188 bands"):
        wt.match_library(sample.spectra, sample)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s, p: s.resample("blue"), "wavelengths: expected numbers, got str"),
        (
            lambda s, p: s.resample([1000.0, 1100.0], fwhm=[30.0, 30.0, 30.0]),
            "fwhm must be positive, in nm, one for all",
        ),
        (lambda s, p: s.resample([1000.0, 1100.0], fwhm=1.7e308), "fwhm must be positive, in nm, one for all"),
        (lambda s, p: s.resample([1000.0, 1100.0], fwhm={}), "fwhm: expected numbers, got dict"),
        (lambda s, p: s.save(3), "path must be a text or a pathlib.Path; got 3"),
        (lambda s, p: s.save(p / "library.txt"), "path .*library.txt ends in '.txt'"),
        (lambda s, p: load_library(None), "path must be a text or a pathlib.Path; got None"),
        (lambda s, p: load_library([3]), "path must be a text or a pathlib.Path; got 3"),
        (lambda s, p: load_library(""), "path must name a file; got ''"),
    ],
)
def test_what_is_no_band_and_no_path_of_a_library_is_named(call, message, tmp_path):
    with pytest.raises((ValueError, TypeError), match=message):
        call(load_usgs_sample("full"), tmp_path)
