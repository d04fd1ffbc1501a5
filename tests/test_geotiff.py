"""GeoTIFF: bands, wavelengths from wherever a writer put them, the ground, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_close

from wdl_tutorial import geotiff
from wdl_tutorial.datasets import Geo, load_cube

rasterio = pytest.importorskip("rasterio")
NM = np.linspace(400.0, 2400.0, 6)
PLACE = {"transform": rasterio.Affine(30.0, 2.0, 5e5, 3.0, -30.0, 4e6), "crs": "EPSG:32733"}


@pytest.fixture
def cube(rng) -> np.ndarray:
    return rng.integers(1, 3000, (7, 5, 6)).astype(np.int16)


def write(path, cube, *, tags=None, descriptions=None, band_tags=None, namespace=None, **profile):
    rows, cols, bands = cube.shape
    shape = {"height": rows, "width": cols, "count": bands, "dtype": cube.dtype.name}
    with rasterio.open(path, "w", driver="GTiff", **(PLACE | shape | profile)) as file:
        file.write(np.moveaxis(cube, -1, 0))
        for k in range(bands):
            if descriptions:
                file.set_band_description(k + 1, descriptions[k])
            if band_tags:
                file.update_tags(k + 1, ns=namespace, **band_tags[k])
        file.update_tags(**(tags or {}))
    return path


def test_a_geotiff_gives_its_values_and_its_place(tmp_path, cube):
    scene = load_cube(write(tmp_path / "x.tif", cube))
    np.testing.assert_array_equal(scene.cube, cube)
    assert scene.geo.transform == tuple(PLACE["transform"][:6])
    assert rasterio.crs.CRS.from_user_input(scene.geo.crs).to_epsg() == 32733


WAYS = {
    "tags": {"band_tags": [{"wavelength": f"{v}", "wavelength_units": "Nanometers"} for v in NM]},
    "imagery": {"band_tags": [{"CENTRAL_WAVELENGTH_UM": f"{v / 1000}"} for v in NM], "namespace": "IMAGERY"},
    "descriptions": {"descriptions": [f"Band {k} ({v} nm)" for k, v in enumerate(NM)]},
    "micrometres": {"descriptions": [f"{v / 1000} Micrometers" for v in NM]},
}


@pytest.mark.parametrize("way", WAYS)
def test_wavelengths_are_found_where_writers_put_them(way, tmp_path, cube):
    assert_close(load_cube(write(tmp_path / "x.tif", cube, **WAYS[way])).wavelengths, NM, atol=1e-9)


@pytest.mark.parametrize("asked", ["s.tif", "s.hdr"])
def test_a_tiff_beside_an_envi_header_is_not_decoded_as_raw_pixels(asked, tmp_path, cube):
    write(tmp_path / "s.tif", cube)
    listed = ", ".join(map(str, NM))
    (tmp_path / "s.hdr").write_text(
        "ENVI\nsamples = 5\nlines = 7\nbands = 6\ndata type = 2\ninterleave = bsq\nbyte order = 0\n"
        f"wavelength units = Nanometers\nwavelength = {{{listed}}}\nreflectance scale factor = 10000\n"
    )
    scene = load_cube(tmp_path / asked)
    assert_close(scene.cube, cube / 10000, atol=0)
    assert_close(scene.wavelengths, NM, atol=1e-12)


def test_a_header_of_another_image_beside_a_tiff_is_left_alone_and_told(tmp_path, cube):
    """As where a quick look lies beside the cube, or maps were saved under its name."""
    write(tmp_path / "s.tif", cube[..., :3])
    text = "ENVI\nsamples = 5\nlines = 7\nbands = 6\ndata type = 2\nwavelength = {1, 2, 3, 4, 5, 6}\n"
    (tmp_path / "s.hdr").write_text(text)
    scene = load_cube(tmp_path / "s.tif")
    np.testing.assert_array_equal(scene.cube, cube[..., :3])
    words = "s.hdr beside it is of another image (7 rows, 5 columns and 6 bands), and is left alone"
    assert words in scene.notes
    asked_for = (
        r"s.hdr is of an image of 7 rows, 5 columns and 6 bands; s.tif, the only image beside it, has 7 rows, 5 columns "
        "and 3 bands. Put the header's own data file there, or give the path of the TIFF"
    )
    with pytest.raises(ValueError, match=asked_for):
        load_cube(tmp_path / "s.hdr")
    (tmp_path / "s.hdr").write_text("BYTEORDER I\nLAYOUT BIL\n")
    assert "s.hdr beside it is no ENVI header, and is left alone" in load_cube(tmp_path / "s.tif").notes


def test_no_data_scale_and_offset_of_the_file_are_applied(tmp_path, cube):
    cube[0, 0] = -9999
    path = write(tmp_path / "x.tif", cube, nodata=-9999)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = [0.0001] * 6, [0.01] * 6
    scene = load_cube(path)
    assert np.argwhere(~scene.mask).tolist() == [[0, 0]] and scene.units == "reflectance"
    assert_close(scene.cube[1], cube[1] * 0.0001 + 0.01, rtol=1e-12)


def test_scales_that_differ_are_not_applied_and_told(tmp_path, cube):
    path = write(tmp_path / "x.tif", cube)
    with rasterio.open(path, "r+") as file:
        file.scales = [1.0, 2, 3, 4, 5, 6]
    scene = load_cube(path)
    np.testing.assert_array_equal(scene.cube, cube)
    assert any("scales and offsets differ" in note for note in scene.notes)


def test_a_window_of_a_geotiff_is_the_crop_of_the_whole(tmp_path, cube):
    path = write(tmp_path / "x.tif", cube)
    for rows, cols in ((slice(2, 5), slice(1, None)), (slice(None, None, 2), slice(-2, None))):
        part, crop = load_cube(path, rows=rows, cols=cols), load_cube(path).crop(rows, cols)
        np.testing.assert_array_equal(part.cube, crop.cube)
        assert part.geo == crop.geo


def test_a_picture_with_a_colour_table_is_refused(tmp_path):
    path = tmp_path / "x.tif"
    with rasterio.open(path, "w", driver="GTiff", height=4, width=4, count=1, dtype="uint8", **PLACE) as file:
        file.write(np.ones((1, 4, 4), dtype="u1"))
        file.write_colormap(1, {1: (255, 0, 0, 255)})
    with pytest.raises(ValueError, match="colour table"):
        load_cube(path)


@pytest.mark.parametrize("keep", [9, 60, 300])
def test_a_truncated_tiff_is_one_clear_error(keep, tmp_path, cube):
    path = write(tmp_path / "x.tif", cube)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"x.tif \(\d+ bytes\) cannot be read as a GeoTIFF.*truncated"):
        load_cube(path)


ENMAP = """<?xml version="1.0"?><level_X><specific><backgroundValue>-32768</backgroundValue><bandCharacterisation>
{}</bandCharacterisation></specific></level_X>"""
BAND = """<bandID number="{}"><wavelengthCenterOfBand>{}</wavelengthCenterOfBand><FWHMOfBand>{}</FWHMOfBand>
<GainOfBand>0.0001</GainOfBand><OffsetOfBand>0</OffsetOfBand></bandID>"""


def enmap_like(folder, cube):
    """A small product in the layout of EnMAP L2A, after its public description: no original was at hand."""
    stem = "ENMAP01-____L2A-DT0000001867_20220724T104526Z_008_V010302_20230628T165614Z"
    bands = "".join(BAND.format(k, v, 8.0 + k) for k, v in enumerate(NM, 1))
    (folder / f"{stem}-METADATA.XML").write_text(ENMAP.format(bands))
    return write(folder / f"{stem}-SPECTRAL_IMAGE.TIF", cube)


def test_an_enmap_product_is_read_with_its_metadata(tmp_path, cube):
    cube[6, 4] = -32768
    scene = load_cube(enmap_like(tmp_path, cube))
    assert_close(scene.wavelengths, NM, atol=0)
    assert_close(scene.fwhm, np.arange(9.0, 15.0), atol=0)
    assert np.argwhere(~scene.mask).tolist() == [[6, 4]] and scene.units == "reflectance"
    assert_close(scene.cube[0], cube[0] * 1e-4, rtol=1e-12)


def test_what_is_written_comes_back_to_the_bit(tmp_path, rng):
    values = rng.random((4, 5, 2))
    values[0, 0] = np.nan
    geo = Geo(tuple(PLACE["transform"][:6]), "EPSG:32733")
    geotiff.write(tmp_path / "x.tif", values, ["tree", "Straße"], geo=geo, nodata=np.nan, tags={"method": "nnls"})
    with rasterio.open(tmp_path / "x.tif") as file:
        np.testing.assert_array_equal(np.moveaxis(file.read(), 0, -1), values)
        assert file.descriptions == ("tree", "Straße") and np.isnan(file.nodata) and file.tags()["method"] == "nnls"
        assert file.transform == PLACE["transform"] and file.crs.to_epsg() == 32733
    assert [p.name for p in tmp_path.iterdir()] == ["x.tif"]


def test_a_write_that_fails_leaves_nothing(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(rasterio, "open", lambda *a, **k: (_ for _ in ()).throw(OSError("No space left on device")))
    with pytest.raises(OSError, match=r"x.tif could not be written: No space left.*Is the disk full"):
        geotiff.write(tmp_path / "x.tif", rng.random((4, 5, 2)), ["a", "b"])
    assert list(tmp_path.iterdir()) == []
