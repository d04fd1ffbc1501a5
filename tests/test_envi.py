"""ENVI files as people have them, and written ones read back by other programs."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_close
from test_cubefiles import write_envi

from wdl_tutorial import envi
from wdl_tutorial.datasets import Geo, load_cube

MAP = "UTM, 1, 1, 500000.125, 4000000.7, 30, 30, 11, North, WGS-84, units=Meters"
TURNED = MAP + ", rotation=17.25"


@pytest.fixture
def cube(rng) -> np.ndarray:
    return rng.integers(1, 3000, (3, 4, 5)).astype(np.int16)


def test_a_header_in_latin_1_or_with_a_byte_order_mark_is_read(tmp_path, cube):
    header = write_envi(tmp_path, cube, description="{Größe}")
    text = header.read_text()
    for encoding in ("latin-1", "utf-8-sig"):
        header.write_text(text, encoding=encoding)
        np.testing.assert_array_equal(load_cube(header).cube, cube)


def test_a_header_without_byte_order_is_little_endian(tmp_path, cube):
    header = write_envi(tmp_path, cube)
    header.write_text(header.read_text().replace("byte order = 0\n", ""))
    np.testing.assert_array_equal(load_cube(header).cube, cube)


@pytest.mark.parametrize("suffix", [".cube", ".refl", ".L1R", ".rfl"])
def test_the_data_file_may_have_any_suffix(suffix, tmp_path, cube):
    np.testing.assert_array_equal(load_cube(write_envi(tmp_path, cube, suffix=suffix)).cube, cube)


def test_two_data_files_beside_one_header_are_not_chosen_between_untold(tmp_path, cube):
    header = write_envi(tmp_path, cube)
    (tmp_path / "scene.dat").write_bytes(bytes(120))
    with pytest.raises(ValueError, match=r"2 data files beside it: scene.dat, scene.img. Give the path of the one"):
        load_cube(header)
    np.testing.assert_array_equal(load_cube(tmp_path / "scene.img").cube, cube)
    (tmp_path / "scene.dat").write_bytes(bytes(7))
    scene = load_cube(header)
    np.testing.assert_array_equal(scene.cube, cube)
    assert any("only scene.img has its size" in note for note in scene.notes)


def test_a_float_file_under_an_integer_header_is_refused_with_the_right_type(tmp_path, cube):
    header = write_envi(tmp_path, cube)
    (tmp_path / "scene.img").write_bytes(cube.astype("f4").tobytes())
    with pytest.raises(ValueError, match=r"has 240 bytes; its header asks for 120 .*4 \(float32\).* would fit exactly"):
        load_cube(header)


def test_bytes_in_front_are_refused_with_the_offset_to_write(tmp_path, cube):
    header = write_envi(tmp_path, cube)
    data = tmp_path / "scene.img"
    data.write_bytes(b"junk!" + data.read_bytes())
    with pytest.raises(ValueError, match=r"5 more.*write header offset = 5"):
        load_cube(header)


@pytest.mark.parametrize(
    "line,message",
    [
        ("interleave = xyz", "must be bsq, bil or bip"),
        ("byte order = 7", "byte order 7"),
        ("file compression = 1", "compressed"),
        ("lines = -3", "from 1 on"),
        ("samples = " + "9" * 400, "from 1 on"),
        ("bands = 0", "from 1 on"),
        ("data type = 17", "data type 17"),
        ("data type = 6", "complex"),
        ("header offset = -1", "from 0 on"),
        ("file type = ENVI Classification", "map of classes"),
        ("file type = ENVI Spectral Library", "load_library"),
        ("reflectance scale factor = -1", "must be positive"),
        ("map info = {UTM, a, 1, 0, 0, 1, 1}", "is no number"),
    ],
)
def test_an_entry_that_means_nothing_is_refused_by_name(line, message, tmp_path, cube):
    header = write_envi(tmp_path, cube)
    key = line.partition(" =")[0]
    kept = [old for old in header.read_text().splitlines() if old.partition(" =")[0] != key]
    header.write_text("\n".join([*kept, line]))
    with pytest.raises(ValueError, match=message):
        load_cube(header)


def test_a_header_of_100_mb_is_refused_at_once(tmp_path, cube):
    header = write_envi(tmp_path, cube)
    with open(header, "ab") as file:
        file.truncate(100_000_000)
    with pytest.raises(ValueError, match=r"has 0.1 GB, too much for an ENVI header"):
        load_cube(header)


def test_a_header_of_15_mb_takes_seconds(tmp_path, cube):
    import time

    header = write_envi(tmp_path, cube)
    header.write_text(header.read_text() + "".join(f"k{n} = {{1, 2,\n 3}}\n" for n in range(600_000)))
    start = time.process_time()
    np.testing.assert_array_equal(load_cube(header).cube, cube)
    assert time.process_time() - start < 20


# ------------------------------------------------------------------------------------------ maps


@pytest.mark.parametrize("text", [MAP, TURNED], ids=["straight", "rotated"])
def test_the_map_is_where_gdal_sees_it(text, tmp_path, cube):
    rasterio = pytest.importorskip("rasterio")
    header = write_envi(tmp_path, cube, map_info=f"{{{text}}}")
    geo = load_cube(header).geo
    with rasterio.open(tmp_path / "scene.img") as theirs:
        assert_close(geo.transform, theirs.transform[:6], rtol=1e-15)
        assert theirs.crs.to_epsg() == 32611 and geo.crs == "EPSG:32611"


@pytest.mark.parametrize("text", [MAP, TURNED], ids=["straight", "rotated"])
def test_a_cropped_map_is_where_gdal_sees_the_window(text, tmp_path, cube):
    rasterio = pytest.importorskip("rasterio")
    part = load_cube(write_envi(tmp_path, cube, map_info=f"{{{text}}}")).crop(slice(1, 3), slice(2, 4))
    envi.write_image(tmp_path / "part.hdr", part.cube, {}, part.geo)
    with rasterio.open(tmp_path / "scene.img") as whole, rasterio.open(tmp_path / "part.img") as theirs:
        assert_close(theirs.transform[:6], (whole.transform @ rasterio.Affine.translation(2, 1))[:6], rtol=1e-14)


def test_an_image_written_and_read_keeps_values_map_and_text_to_the_bit(tmp_path, cube):
    scene = load_cube(write_envi(tmp_path, cube, map_info=f"{{{TURNED}}}", coordinate_system_string='{PROJCS["x, y"]}'))
    envi.write_image(tmp_path / "again.hdr", scene.cube, {}, scene.geo)
    again = load_cube(tmp_path / "again.hdr")
    np.testing.assert_array_equal(again.cube, scene.cube)
    assert again.geo == scene.geo and again.geo.envi["map info"] == TURNED


def test_what_is_written_is_read_by_spectral(tmp_path, cube):
    spectral = pytest.importorskip("spectral")
    envi.write_image(tmp_path / "x.hdr", cube / 7, {"band names": list("abcde"), "wavelength": [1.0, 2, 3, 4, 5.5]})
    theirs = spectral.envi.open(str(tmp_path / "x.hdr"))
    np.testing.assert_array_equal(np.asarray(theirs.open_memmap()), cube / 7)
    assert theirs.metadata["band names"] == list("abcde") and theirs.bands.centers == [1, 2, 3, 4, 5.5]


def test_a_map_from_a_geotiff_is_said_in_the_words_of_envi(tmp_path, cube):
    rasterio = pytest.importorskip("rasterio")
    for transform in ((30.0, 0.0, 5e5, 0.0, -30.0, 4e6), (24.0, 18.0, 5e5, 18.0, -24.0, 4e6)):
        geo = Geo(transform, rasterio.crs.CRS.from_epsg(32733).to_wkt())
        envi.write_image(tmp_path / "x.hdr", cube, {}, geo)
        with rasterio.open(tmp_path / "x.img") as theirs:
            assert_close(theirs.transform[:6], transform, rtol=1e-12)
            assert theirs.crs.to_epsg() == 32733
        assert_close(load_cube(tmp_path / "x.hdr").geo.transform, transform, rtol=1e-12)


def test_a_sheared_map_is_not_written_askew(tmp_path, cube):
    with pytest.raises(ValueError, match="sheared or mirrored"):
        envi.write_image(tmp_path / "x.hdr", cube, {}, Geo((30.0, 10.0, 0.0, 0.0, -30.0, 0.0), None))
