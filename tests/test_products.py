"""HDF5 and NetCDF: any dataset by its path, the products of three sensors, and files that point outside themselves.

The products' files are small ones made after the public descriptions of their layouts: no original was at hand.
"""

from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_close

from wdl_tutorial.datasets import Geo, load_cube, make_scene
from wdl_tutorial.results import save_cube

h5py = pytest.importorskip("h5py")
NM = np.linspace(400.0, 2400.0, 6)


@pytest.fixture
def cube(rng) -> np.ndarray:
    return rng.integers(1, 3000, (7, 5, 6)).astype(np.int16)


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".he5", ".dat"])
def test_the_only_cube_of_an_hdf5_file_is_found(suffix, tmp_path, cube):
    with h5py.File(tmp_path / f"x{suffix}", "w") as file:
        file["group/data"], file["group/wavelength_um"] = cube, NM / 1000
    scene = load_cube(tmp_path / f"x{suffix}")
    np.testing.assert_array_equal(scene.cube, cube)
    assert_close(scene.wavelengths, NM, atol=1e-9)


def test_of_several_cubes_one_is_named_by_its_path(tmp_path, cube):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/first"], file["a/second"] = cube, cube + 1
    with pytest.raises(ValueError, match=r"2 arrays with three axes.*/a/first \(7, 5, 6\).*dataset="):
        load_cube(tmp_path / "x.h5")
    np.testing.assert_array_equal(load_cube(tmp_path / "x.h5", dataset="/a/second").cube, cube + 1)
    with pytest.raises(ValueError, match=r"holds nothing called 'b'. It holds: /a/first"):
        load_cube(tmp_path / "x.h5", dataset="b")
    with pytest.raises(ValueError, match="is a group, with first, second in it"):
        load_cube(tmp_path / "x.h5", dataset="a")


def test_bands_first_is_turned_by_bands_axis_and_by_the_size_of_the_wavelengths(tmp_path, cube):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = np.moveaxis(cube, -1, 0)
    np.testing.assert_array_equal(load_cube(tmp_path / "x.h5", bands_axis=0).cube, cube)
    with h5py.File(tmp_path / "x.h5", "a") as file:
        file["Wavelength"] = NM
    np.testing.assert_array_equal(load_cube(tmp_path / "x.h5").cube, cube)


def test_windows_in_steps_are_the_crop_of_the_whole_and_backwards_ones_are_refused(tmp_path, cube):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = cube
    for rows, cols in ((slice(2, 6), slice(1, 4, 2)), (slice(-3, None), slice(None, None, 3))):
        np.testing.assert_array_equal(load_cube(tmp_path / "x.h5", rows=rows, cols=cols).cube, cube[rows, cols])
    with pytest.raises(TypeError, match="that run forwards"):
        load_cube(tmp_path / "x.h5", rows=slice(None, None, -1))


def outside(folder):
    secret = folder / "secret.txt"
    secret.write_bytes(b"s" * 240)
    return secret


def test_external_storage_does_not_carry_another_file_s_bytes(tmp_path):
    secret = outside(tmp_path)
    for name in ("x.h5", "x.mat"):
        with h5py.File(tmp_path / name, "w") as file:
            file.create_dataset("cube", (4, 5, 6), "i2", external=[(str(secret), 0, 240)])
        with pytest.raises(ValueError, match="keeps its values in other files"):
            load_cube(tmp_path / name)


def test_links_into_other_files_and_virtual_datasets_are_not_followed(tmp_path, cube):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = cube
    layout = h5py.VirtualLayout(cube.shape, "i2")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "data", cube.shape)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["link"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/data")
        file.create_virtual_dataset("virtual", layout)
    with pytest.raises(ValueError, match="a link into another file"):
        load_cube(tmp_path / "x.h5", dataset="link")
    with pytest.raises(ValueError, match="keeps its values in other files"):
        load_cube(tmp_path / "x.h5", dataset="virtual")


@pytest.mark.parametrize("keep", [9, 600, 1500])
def test_a_truncated_hdf5_file_is_one_clear_error(keep, tmp_path, cube):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = cube
    (tmp_path / "x.h5").write_bytes((tmp_path / "x.h5").read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"x.h5 \(\d+ bytes\) cannot be read as an HDF5 or NetCDF file"):
        load_cube(tmp_path / "x.h5")


# ------------------------------------------------------------------------------------------ NetCDF


def write_netcdf(path, cube, kind):
    netCDF4 = pytest.importorskip("netCDF4")
    with netCDF4.Dataset(path, "w", format=kind) as file:
        for name, size in zip(("wavelength", "y", "x"), (6, 7, 5)):
            file.createDimension(name, size)
        axes = {
            "wavelength": NM / 1000,
            "y": 4000000 - 30 * (np.arange(7) + 0.5),
            "x": 500000 + 30 * (np.arange(5) + 0.5),
        }
        for name, values in axes.items():
            file.createVariable(name, "f8", (name,))[:] = values
        file["wavelength"].units = "um"
        file.createVariable("crs", "i4").crs_wkt = 'PROJCS["WGS 84 / UTM zone 11N"]'
        data = file.createVariable("refl", "i2", ("wavelength", "y", "x"), fill_value=-9999)
        data.set_auto_maskandscale(False)
        data.scale_factor, data.add_offset, data.grid_mapping = 0.0001, 0.01, "crs"
        data[:] = np.moveaxis(cube, -1, 0)
    return path


@pytest.mark.parametrize("kind", ["NETCDF4", "NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET"])
def test_a_netcdf_file_of_every_kind_gives_reflectance_wavelengths_mask_and_map(kind, tmp_path, cube):
    cube[3, 2] = -9999
    scene = load_cube(write_netcdf(tmp_path / "x.nc", cube, kind))
    assert scene.cube.shape == (7, 5, 6) and scene.units == "reflectance"
    assert np.argwhere(~scene.mask).tolist() == [[3, 2]]
    assert_close(scene.cube[0], cube[0] * 0.0001 + 0.01, rtol=1e-12)
    assert_close(scene.wavelengths, NM, atol=1e-9)
    assert scene.geo.transform == (30.0, 0.0, 500000.0, 0.0, -30.0, 4000000.0)
    assert scene.geo.crs == 'PROJCS["WGS 84 / UTM zone 11N"]'


def test_the_64_bit_data_format_says_what_to_do(tmp_path, cube):
    with pytest.raises(ValueError, match="nccopy"):
        load_cube(write_netcdf(tmp_path / "x.nc", cube, "NETCDF3_64BIT_DATA"))


def test_a_truncated_classic_file_is_one_clear_error(tmp_path, cube):
    path = write_netcdf(tmp_path / "x.nc", cube, "NETCDF3_CLASSIC")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"x.nc \(300 bytes\) cannot be read as a NetCDF file"):
        load_cube(path)


# ------------------------------------------------------------------------------------------ what attributes say


def generic(path, cube, group="", about=None, of_the_file=None, **beside):
    """An HDF5 file of no product: a cube, arrays beside it, and attributes of the cube and of the whole."""
    with h5py.File(path, "w") as file:
        file[f"{group}/data"] = cube
        file[f"{group}/data"].attrs.update(about or {})
        file.attrs.update(of_the_file or {})
        for name, value in beside.items():
            file[f"{group}/{name}"] = value
    return path


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"Scale_Factor": 10000.0}, (1e-4, 0.0)),  # NEON's way, as a divisor
        ({"scale_factor": 1e-4}, (1e-4, 0.0)),  # CF's way
        ({"scale_factor": 0.5, "add_offset": -3.0}, (0.5, -3.0)),
        ({"scale_factor": 2.0, "add_offset": 1.0}, (2.0, 1.0)),  # CF's, as add_offset shows
        ({"add_offset": 0.25}, (1.0, 0.25)),
        ({"units": "percent"}, (0.01, 0.0)),
        ({"units": "%", "scale_factor": 0.1}, (0.001, 0.0)),
        ({"units": "reflectance"}, (1.0, 0.0)),
    ],
)
def test_what_the_attributes_of_a_plain_hdf5_file_say_of_its_scale_is_applied(about, expected, tmp_path, cube):
    scene = load_cube(generic(tmp_path / "x.h5", cube, about=about))
    assert scene.units == "reflectance"
    assert_close(scene.cube, cube * expected[0] + expected[1], rtol=1e-12)


@pytest.mark.parametrize("key", ["_FillValue", "Data_Ignore_Value", "missing_value", "data ignore value", "nodata"])
def test_the_fill_value_is_found_under_any_of_its_names(key, tmp_path, cube):
    cube[3, 2] = -9999
    for where in ({"about": {key: -9999}}, {"of_the_file": {key: [-9999.0]}}):
        scene = load_cube(generic(tmp_path / "x.h5", cube, "in/side", **where))
        assert np.argwhere(~scene.mask).tolist() == [[3, 2]]


def test_wavelengths_that_are_an_attribute_are_found_and_an_array_goes_before_them(tmp_path, cube):
    scene = load_cube(generic(tmp_path / "x.h5", cube, "deep", about={"wavelength": NM[::-1].copy()}))
    np.testing.assert_array_equal(scene.cube, cube[..., ::-1])  # and sorted by them
    scene = load_cube(generic(tmp_path / "y.h5", cube, about={"wavelength": NM + 3}, wavelength=NM))
    assert_close(scene.wavelengths, NM, atol=0)


def test_radiance_is_scaled_and_not_called_reflectance(tmp_path, cube):
    scene = load_cube(generic(tmp_path / "x.h5", cube, about={"units": "W m-2 sr-1 um-1", "scale_factor": 0.1}))
    assert scene.units == "W m-2 sr-1 um-1" and not any("above 1.5" in note for note in scene.notes)
    assert_close(scene.cube, cube / 10, rtol=1e-12)
    assert load_cube(tmp_path / "x.h5", scale=3000).units == "reflectance"  # the caller knows better
    with pytest.raises(TypeError, match="quantity"):
        make_scene(cube, quantity=3)


def test_a_scale_that_cannot_be_is_told_and_not_applied(tmp_path, cube):
    scene = load_cube(generic(tmp_path / "x.h5", cube, about={"scale_factor": -1.0}))
    assert "its scale factor, -1, is not positive, and is not applied" in scene.notes
    np.testing.assert_array_equal(scene.cube, cube)


EAST, NORTH = 500000 + 30 * (np.arange(5) + 0.5), 4000000 - 30 * (np.arange(7) + 0.5)
PLACE = (30.0, 0.0, 500000.0, 0.0, -30.0, 4000000.0)


@pytest.mark.parametrize(
    ("places", "crs"),
    [
        ({"x": EAST, "y": NORTH, "of_the_file": {"crs_wkt": "EPSG:32611"}}, "EPSG:32611"),
        ({"easting": EAST, "northing": NORTH, "about": {"epsg": 32611}}, "EPSG:32611"),
        ({"about": {"GeoTransform": "500000 30 0 4000000 0 -30", "EPSG Code": "32611"}}, "EPSG:32611"),
        ({"of_the_file": {"geotransform": [5e5, 30.0, 0.0, 4e6, 0.0, -30.0], "spatial_ref": 'X["y"]'}}, 'X["y"]'),
        ({"about": {"map info": "{UTM, 1, 1, 500000, 4000000, 30, 30, 11, North, WGS-84}"}}, "EPSG:32611"),
    ],
)
def test_the_map_of_a_plain_hdf5_file_is_read_where_it_stands(places, crs, tmp_path, cube):
    scene = load_cube(generic(tmp_path / "x.h5", cube, "grid", **places))
    assert scene.geo.transform == PLACE and scene.geo.crs == crs
    assert load_cube(tmp_path / "x.h5", rows=slice(2, 5)).geo.transform == (*PLACE[:5], 4000000.0 - 60)


def test_x_and_y_at_the_root_are_those_of_a_cube_in_a_group(tmp_path, cube):
    path = generic(tmp_path / "x.h5", cube, "deep", about={"crs_wkt": "EPSG:32611", "grid_mapping": "m"}, wavelength=NM)
    with h5py.File(path, "a") as file:
        file["x"], file["y"], file["deep/m"] = EAST, NORTH, 0
        file.attrs["crs_wkt"] = "EPSG:4326"  # of something else: the nearest counts
    assert load_cube(path).geo == Geo(PLACE, "EPSG:32611")
    row = generic(tmp_path / "row.h5", cube[:1], x=EAST, y=NORTH[:1], of_the_file={"EPSG": 32611})
    assert load_cube(row).geo is None and not any("evenly" in note for note in load_cube(row).notes)


def test_x_and_y_say_which_axes_they_are_of(tmp_path, cube):
    """Bands first, or x before y: no wavelengths are needed to see it."""
    for order in ((0, 1, 2), (2, 0, 1), (1, 0, 2), (0, 2, 1)):
        scene = load_cube(generic(tmp_path / "x.h5", cube.transpose(order), x=EAST, y=NORTH))
        np.testing.assert_array_equal(scene.cube, cube)
        assert scene.geo.transform == PLACE
    bands_first = generic(tmp_path / "x.h5", cube.transpose(2, 0, 1), x=EAST, y=NORTH)
    np.testing.assert_array_equal(load_cube(bands_first, bands_axis=0).cube, cube)  # saying so does not turn it again


def test_rows_that_run_north_are_not_turned_by_a_geotransform_that_says_south(tmp_path, cube):
    """GDAL writes it of the image as it stands on paper, whatever way the rows of the file run."""
    about = {"GeoTransform": "500000 30 0 4000000 0 -30"}
    scene = load_cube(generic(tmp_path / "x.h5", cube, x=EAST, y=NORTH[::-1].copy(), about=about))
    assert scene.geo.transform == (30.0, 0.0, 500000.0, 0.0, 30.0, 4000000.0 - 7 * 30)
    exact = generic(tmp_path / "y.h5", cube, x=EAST.astype("f4"), y=(NORTH + 0.2).astype("f4"), about=about)
    assert load_cube(exact).geo.transform == PLACE  # single precision is not the better witness


def test_what_is_on_no_map_says_why(tmp_path, cube):
    uneven = EAST + [0, 0, 9, 0, 0]
    scene = load_cube(generic(tmp_path / "x.h5", cube, x=uneven, y=NORTH))
    assert scene.geo is None and "its x and y are not evenly spaced, so it is on no map" in scene.notes
    scene = load_cube(generic(tmp_path / "x.h5", cube, x=EAST, y=NORTH))
    assert scene.geo.crs is None and any("give geo=" in note for note in scene.notes)
    scene = load_cube(generic(tmp_path / "x.h5", cube, lon=np.linspace(7, 8, 5), lat=np.linspace(47, 46, 7)))
    assert scene.geo.crs == "EPSG:4326" and any("WGS 84" in note for note in scene.notes)
    lines = generic(tmp_path / "x.h5", cube, lines=np.arange(7.0), samples=np.arange(5.0))
    assert load_cube(lines).geo is None


# ------------------------------------------------------------------------------------------ a map from elsewhere


def test_a_file_without_a_map_takes_that_of_another_file(tmp_path, cube):
    from scipy.io import savemat

    place = Geo(PLACE, "EPSG:32611")
    savemat(tmp_path / "x.mat", {"cube": cube})
    save_cube(make_scene(cube, geo=place), tmp_path / "full.tif")
    save_cube(make_scene(cube, geo=place), tmp_path / "full.hdr")
    (tmp_path / "full.img").unlink()  # a header is enough
    scenes = [load_cube(tmp_path / "x.mat", geo=tmp_path / name) for name in ("full.tif", "full.hdr")]
    assert [scene.geo.transform for scene in scenes] == [PLACE, PLACE]
    assert scenes[0].geo.crs.endswith('["EPSG","32611"]]') and "the map is that of full.tif" in scenes[0].notes
    window = load_cube(tmp_path / "x.mat", geo=place, cols=slice(2, None))
    assert window.geo.transform == (30.0, 0.0, 500060.0, 0.0, -30.0, 4000000.0)


def test_the_map_of_other_pixels_is_refused(tmp_path, cube):
    np.save(tmp_path / "x.npy", cube)
    save_cube(make_scene(cube[:6], geo=Geo(PLACE, "EPSG:32611")), tmp_path / "other.tif")
    with pytest.raises(ValueError, match=r"other.tif has 6 rows and 5 columns, the cube has 7 and 5"):
        load_cube(tmp_path / "x.npy", geo=tmp_path / "other.tif")
    with pytest.raises(ValueError, match=r"x.npy carries no map itself. Give the path of a file that does, or a Geo"):
        load_cube(tmp_path / "x.npy", geo=tmp_path / "x.npy")
    with pytest.raises(TypeError, match="geo"):
        load_cube(tmp_path / "x.npy", geo=3)


# ------------------------------------------------------------------------------------------ products


def neon_like(path, cube):
    with h5py.File(path, "w") as file:
        group = file.create_group("SJER/Reflectance")
        group.attrs["Band_Window_1_Nanometers"] = [1340, 1445]
        group.attrs["Band_Window_2_Nanometers"] = [1790, 2000]
        data = group.create_dataset("Reflectance_Data", data=cube)
        data.attrs["Scale_Factor"], data.attrs["Data_Ignore_Value"] = 10000.0, -9999.0
        group["Metadata/Spectral_Data/Wavelength"], group["Metadata/Spectral_Data/FWHM"] = NM, np.full(6, 5.0)
        group["Metadata/Spectral_Data/Wavelength"].attrs["Units"] = "nanometers"
        text = (
            "UTM,  1.000,  1.000,       257000.000,       4112000.0,       1.000,       1.000,  11,  North,  WGS-84,  "
        )
        group["Metadata/Coordinate_System/Map_Info"] = text + "units=Meters, 0"
        group["Metadata/Coordinate_System/EPSG Code"] = "32611"
    return path


def test_a_neon_product_is_read_by_its_layout(tmp_path, cube):
    cube[1, 1] = -9999
    scene = load_cube(neon_like(tmp_path / "NEON_D17_SJER_DP3_257000_4112000_reflectance.h5", cube))
    assert_close(scene.wavelengths, [400, 800, 1200, 1600, 2400], atol=0)  # 2000 lies in a window of water
    assert_close(scene.cube[0], cube[0][:, [0, 1, 2, 3, 5]] / 1e4, atol=0)
    assert np.argwhere(~scene.mask).tolist() == [[1, 1]] and scene.units == "reflectance"
    assert scene.geo.transform == (1.0, 0.0, 257000.0, 0.0, -1.0, 4112000.0) and scene.geo.crs == "EPSG:32611"


def prisma_like(path, vnir, swir):
    with h5py.File(path, "w") as file:
        fields = file.create_group("HDFEOS/SWATHS/PRS_L2D_HCO/Data Fields")
        fields["VNIR_Cube"], fields["SWIR_Cube"] = vnir.transpose(0, 2, 1), swir.transpose(0, 2, 1)
        file.attrs.update({"L2ScaleVnirMin": 0.0, "L2ScaleVnirMax": 1.2, "L2ScaleSwirMin": 0.1, "L2ScaleSwirMax": 0.9})
        file.attrs["List_Cw_Vnir"], file.attrs["List_Cw_Swir"] = [900.0, 600.0, 0.0], [2300.0, 1200.0]
        file.attrs["List_Fwhm_Vnir"], file.attrs["List_Fwhm_Swir"] = [9.0, 8.0, 0.0], [12.0, 11.0]
        file.attrs.update(
            {"Product_ULcorner_easting": 500015.0, "Product_ULcorner_northing": 3999985.0, "Epsg_Code": 32633}
        )
    return path


def test_a_prisma_product_is_read_by_its_layout(tmp_path, rng):
    vnir, swir = (rng.integers(1, 65535, (4, 5, n)).astype("u2") for n in (3, 2))
    vnir[2, 2] = 0
    scene = load_cube(prisma_like(tmp_path / "PRS_L2D_STD.he5", vnir, swir))
    assert_close(scene.wavelengths, [600, 900, 1200, 2300], atol=0)
    assert_close(scene.fwhm, [8, 9, 11, 12], atol=0)
    assert_close(scene.cube[0, :, 0], vnir[0, :, 1] / 65535 * 1.2, rtol=1e-6)
    assert_close(scene.cube[0, :, 3], 0.1 + swir[0, :, 0] / 65535 * 0.8, rtol=1e-6)
    assert np.argwhere(~scene.mask).tolist() == [[2, 2]]
    assert scene.geo.transform == (30.0, 0.0, 500000.0, 0.0, -30.0, 4000000.0) and scene.geo.crs == "EPSG:32633"


def emit_like(path, cube):
    netCDF4 = pytest.importorskip("netCDF4")
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("downtrack", 7), ("crosstrack", 5), ("bands", 6)):
            file.createDimension(name, size)
        file.createVariable("reflectance", "f4", ("downtrack", "crosstrack", "bands"), fill_value=-9999)[:] = cube
        group = file.createGroup("sensor_band_parameters")
        for name, values in (("wavelengths", NM), ("fwhm", np.full(6, 8.5)), ("good_wavelengths", [1, 1, 0, 1, 1, 1])):
            group.createVariable(name, "f4", ("bands",))[:] = values
        group["wavelengths"].units = "nm"
    return path


def test_an_emit_product_is_read_by_its_layout_and_is_on_no_map(tmp_path, rng):
    cube = rng.random((7, 5, 6)).astype("f4")
    cube[0, 0] = -9999
    scene = load_cube(emit_like(tmp_path / "EMIT_L2A_RFL_001.nc", cube))
    keep = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(scene.cube[1:], cube[1:][..., keep])
    assert_close(scene.wavelengths, NM[keep], atol=1e-4)
    assert np.argwhere(~scene.mask).tolist() == [[0, 0]] and scene.units == "reflectance" and scene.geo is None
    assert any("glt_x" in note for note in scene.notes)
