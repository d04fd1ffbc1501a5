"""Results as files: what was found comes back to the bit, by the readers that other people use."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial.datasets import Geo, load_cube, load_library
from wdl_tutorial.results import save_cube

PLACE = (30.0, 2.0, 5e5, 2.0, -30.0, 4e6)


@pytest.fixture(scope="module")
def found():
    scene = wt.datasets.make_bilinear_scene(shape=(8, 9), random_state=0)
    mask = np.ones((8, 9), dtype=bool)
    mask[2, 3] = False
    scene = scene._replace(geo=Geo(PLACE, "EPSG:32733"), mask=mask)
    return wt.unmix(scene, "nnls", endmembers=list(scene.endmember_names))


def bands(found, doubt=None):
    more = [] if doubt is None else [doubt]
    return np.concatenate(
        [found.abundances, np.stack([*more, found.error, found.mask.astype(float)], axis=-1)], axis=-1
    )


def test_a_geotiff_of_maps_is_read_by_rasterio_to_the_bit(found, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    doubt = np.full((8, 9), 0.25)
    written = found.save(tmp_path / "maps.tif", doubt=doubt)
    with rasterio.open(tmp_path / "maps.tif") as file:
        np.testing.assert_array_equal(np.moveaxis(file.read(), 0, -1), bands(found, doubt))
        assert file.descriptions == (*found.names, "doubt", "error", "valid")
        assert tuple(file.transform[:6]) == PLACE and file.crs.to_epsg() == 32733 and np.isnan(file.nodata)
        assert file.tags()["method"] == "nnls"
    assert sorted(p.name for p in written) == sorted(p.name for p in tmp_path.iterdir())


def test_an_envi_image_of_maps_is_read_by_spectral_and_gdal_to_the_bit(found, tmp_path):
    spectral, rasterio = pytest.importorskip("spectral"), pytest.importorskip("rasterio")
    found.save(tmp_path / "maps.hdr")
    theirs = spectral.envi.open(str(tmp_path / "maps.hdr"))
    np.testing.assert_array_equal(np.asarray(theirs.open_memmap()), bands(found))
    assert theirs.metadata["band names"] == [*found.names, "error", "valid"]
    with rasterio.open(tmp_path / "maps.img") as file:
        np.testing.assert_allclose(file.transform[:6], PLACE, rtol=1e-12)
        assert file.crs.to_epsg() == 32733
    again = load_cube(tmp_path / "maps.hdr")
    np.testing.assert_array_equal(again.cube[found.mask], bands(found)[found.mask])
    assert not again.mask[2, 3]


def test_everything_is_in_the_npz_and_nothing_of_it_is_a_pickle(found, tmp_path):
    found.save(tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz", allow_pickle=False) as file:
        for name in ("abundances", "endmembers", "reconstruction", "mask", "error", "wavelengths"):
            np.testing.assert_array_equal(file[name], getattr(found, name))
        assert json.loads(str(file["settings"]))["method"] == "nnls"
        assert tuple(file["transform"]) == PLACE and str(file["crs"]) == "EPSG:32733"


def test_endmembers_come_back_as_a_library_and_the_settings_as_json(found, tmp_path):
    found.save(tmp_path / "maps.npz")
    for suffix in (".sli", ".csv"):
        library = load_library(tmp_path / f"maps_endmembers{suffix}")
        np.testing.assert_array_equal(library.spectra, found.endmembers)
        assert library.names == found.names
    told = json.loads((tmp_path / "maps.json").read_text())
    assert (
        told["data_sha256"] == found.settings["data_sha256"]
        and told["diagnostics"]["rmse"] == found.diagnostics["rmse"]
    )
    assert told["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize("name", ["maps.tif", "maps.hdr", "maps.npz"])
def test_what_exists_is_not_overwritten_unasked_and_nothing_else_is_written(name, found, tmp_path):
    (tmp_path / "maps_endmembers.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"maps_endmembers.csv exists. Give overwrite=True"):
        found.save(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["maps_endmembers.csv"]
    found.save(tmp_path / name, overwrite=True)
    assert (tmp_path / "maps_endmembers.csv").read_text() != "mine"


def test_a_full_disk_is_told_and_leaves_no_half_of_a_file(found, tmp_path, monkeypatch):
    import os

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"maps.npz could not be written: .*No space left"):
        found.save(tmp_path / "maps.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_and_another_suffix_are_told(found, tmp_path):
    with pytest.raises(FileNotFoundError, match="is no folder"):
        found.save(tmp_path / "nowhere" / "maps.tif")
    with pytest.raises(ValueError, match=r"ends in '.png'"):
        found.save(tmp_path / "maps.png")
    with pytest.raises(ValueError, match="doubt must have one value per pixel"):
        found.save(tmp_path / "maps.npz", doubt=np.zeros((9, 8)))


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="GDAL's command line is not installed")
@pytest.mark.parametrize("name", ["maps.tif", "maps.hdr"])
def test_gdal_s_own_command_line_reads_the_maps(name, found, tmp_path):
    found.save(tmp_path / name)
    path = tmp_path / name.replace(".hdr", ".img")
    told = json.loads(
        subprocess.run(["gdalinfo", "-json", str(path)], capture_output=True, text=True, check=True).stdout
    )
    assert [band["description"] for band in told["bands"]] == [*found.names, "error", "valid"]
    a, b, c, d, e, f = PLACE
    np.testing.assert_allclose(told["geoTransform"], [c, a, b, f, d, e], rtol=1e-12)
    assert 'ID["EPSG",32733]' in told["coordinateSystem"]["wkt"] or "32733" in json.dumps(told)


def test_the_recipe_for_files_larger_than_memory_gives_the_map_of_the_whole(tmp_path):
    """The page of recipes: windows of a file, unmixed with the endmembers of the first, each where it lies."""
    rasterio = pytest.importorskip("rasterio")
    scene = wt.datasets.make_bilinear_scene(shape=(12, 9), random_state=0)._replace(geo=Geo(PLACE, "EPSG:32733"))
    save_cube(scene, tmp_path / "big.tif")
    found = wt.unmix(load_cube(tmp_path / "big.tif", rows=slice(0, 6)), "nnls", 3)
    for start in (0, 6):
        part = load_cube(tmp_path / "big.tif", rows=slice(start, start + 6))
        found.apply(part).save(tmp_path / f"maps_{start}.tif")
    whole = found.apply(load_cube(tmp_path / "big.tif")).abundances
    with rasterio.open(tmp_path / "maps_6.tif") as file:
        np.testing.assert_array_equal(np.moveaxis(file.read((1, 2, 3)), 0, -1), whole[6:])
        expected = rasterio.Affine(*PLACE) @ rasterio.Affine.translation(0, 6)
        np.testing.assert_allclose(file.transform[:6], expected[:6], rtol=1e-14)


def test_a_cube_saved_in_every_format_comes_back_to_the_bit(tmp_path):
    scene = wt.datasets.make_bilinear_scene(shape=(6, 5), random_state=0)._replace(geo=Geo(PLACE, "EPSG:32733"))
    mask = np.ones((6, 5), dtype=bool)
    mask[1, 2] = False
    scene = scene._replace(fwhm=np.full(188, 10.5), mask=mask)
    for name in ("x.hdr", "x.tif", "x.npz"):
        save_cube(scene, tmp_path / name)
        again = load_cube(tmp_path / name)
        np.testing.assert_array_equal(again.cube[mask], scene.cube[mask])
        np.testing.assert_array_equal(again.wavelengths, scene.wavelengths)
        np.testing.assert_array_equal(again.mask, mask)
        if name != "x.npz":
            np.testing.assert_allclose(again.geo.transform, PLACE, rtol=1e-12)
            np.testing.assert_array_equal(again.fwhm, scene.fwhm)
            assert again.units == "reflectance"


def test_people_count_from_one_and_code_from_zero_and_says_so(tmp_path):
    """Endmembers have names, and bands without a wavelength those that a GIS gives them; what is handed back is an index."""
    rng = np.random.default_rng(0)
    spectra = np.vstack([np.linspace(0.2, 0.8, 12), np.linspace(0.9, 0.1, 12), np.full(12, 1e-4)])
    cube = rng.dirichlet([0.4] * 3, (12, 12)) @ spectra + 1e-3 * rng.random((12, 12, 12))
    cube[..., 4] = 0.5
    with pytest.warns(UserWarning, match="^endmember 3 is darker than 1 % of the brightest"):
        found = wt.unmix(cube, "nnls", endmembers=spectra)
    named = {f.name: f.words for f in found.report().findings}
    assert named["number"].startswith("endmember 3 differs from") and named["used"].startswith("endmember ")
    assert "band 4 (0-based)" in named["residual"]
    assert wt.inspect_cube(cube)["dead bands"].words.startswith("1 of them (0-based: 4) hold one value")
    save_cube(wt.datasets.make_scene(cube), tmp_path / "x.hdr")
    assert wt.datasets.load_cube(tmp_path / "x.hdr").band_names[:2] == ("band 1", "band 2")
    assert wt.datasets.load_cube(tmp_path / "x.hdr").drop_bands(4).band_names[4] == "band 6"
