"""The command line: a cube of each format to a GeoTIFF in one command, and errors that are one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial.__main__ import main
from wdl_tutorial.datasets import Geo, load_cube, load_library
from wdl_tutorial.results import save_cube

GEO = Geo((30.0, 0.0, 5e5, 0.0, -30.0, 4e6), "EPSG:32733")


@pytest.fixture(scope="module")
def scene():
    made = wt.datasets.make_bilinear_scene(shape=(9, 8), n_endmembers=3, strength=0.0, random_state=0)
    return made._replace(geo=GEO)


def written(scene, folder, kind):
    """The scene as people have it: counts, in each format."""
    counts = np.round(scene.cube * 10000).astype("i2")
    counts[2, 3] = -9999
    scene = scene._replace(mask=(counts != -9999).all(axis=-1))
    path = folder / f"cube.{kind}"
    if kind in ("hdr", "tif"):
        return save_cube(scene, path)[0]
    if kind == "mat":
        from scipy.io import savemat

        savemat(path, {"cube": counts, "wavelength": scene.wavelengths})
        save_cube(scene.drop_bands(range(1, 188)), folder / "map.tif")
    elif kind == "h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file["cube"], file["wavelength"] = counts, scene.wavelengths
            file["cube"].attrs.update({"Scale_Factor": 10000.0, "Data_Ignore_Value": -9999})
            file.attrs.update({"GeoTransform": "500000 30 0 4000000 0 -30", "EPSG": 32733})
    else:
        netCDF4 = pytest.importorskip("netCDF4")
        with netCDF4.Dataset(path, "w") as file:
            for name, values in (
                ("y", 4e6 - 30 * (np.arange(9) + 0.5)),
                ("x", 5e5 + 30 * (np.arange(8) + 0.5)),
                ("wavelength", scene.wavelengths),
            ):
                file.createDimension(name, len(values))
                file.createVariable(name, "f8", (name,))[:] = values
            file.createVariable("crs", "i4").crs_wkt = "EPSG:32733"
            data = file.createVariable("reflectance", "i2", ("y", "x", "wavelength"), fill_value=-9999)
            data.set_auto_maskandscale(False)
            data.scale_factor, data.grid_mapping = 1e-4, "crs"
            data[:] = counts
    return path


@pytest.mark.parametrize("kind", ["hdr", "tif", "mat", "h5", "nc"])
def test_one_command_or_four_statements_take_a_cube_of_every_format_to_a_geotiff(kind, scene, tmp_path, capsys):
    rasterio = pytest.importorskip("rasterio")
    path, out = written(scene, tmp_path, kind), tmp_path / "maps.tif"
    told = ["--scale", "10000", "--fill", "-9999", "--geo", str(tmp_path / "map.tif")] if kind == "mat" else []
    assert main(["unmix", str(path), "-n", "3", "--quiet", "--out", str(out), *told]) in (0, 1)
    with rasterio.open(out) as file:
        in_the_shell = file.read((1, 2, 3))
    told = {"scale": 10000, "fill": -9999, "geo": tmp_path / "map.tif"} if kind == "mat" else {}
    cube = wt.datasets.load_cube(path, **told)  # with the import, four statements of Python
    found = wt.unmix(cube, "nnls", 3)
    found.save(out, overwrite=True)
    assert cube.units == "reflectance" and np.argwhere(~cube.mask).tolist() == [[2, 3]]
    with rasterio.open(out) as file:
        assert file.descriptions == ("endmember 1", "endmember 2", "endmember 3", "error", "valid")
        assert file.shape == (9, 8) and np.isnan(file.nodata)
        assert tuple(file.transform[:6]) == GEO.transform and file.crs.to_epsg() == 32733
        np.testing.assert_array_equal(file.read((1, 2, 3)), in_the_shell)
        assert np.isnan(in_the_shell[:, 2, 3]).all() and np.isnan(in_the_shell).sum() == 3
    assert json.loads((tmp_path / "maps.json").read_text())["method"] == "nnls"
    shown = capsys.readouterr().out
    assert "maps.tif" in shown and "nnls: " in shown


def test_a_window_is_unmixed_where_it_lies(scene, tmp_path, capsys):
    rasterio = pytest.importorskip("rasterio")
    path, out = written(scene, tmp_path, "tif"), tmp_path / "maps.tif"
    main(["unmix", str(path), "-n", "3", "--quiet", "--rows", "4:", "--cols", "1:7", "--out", str(out)])
    with rasterio.open(out) as file:
        assert file.shape == (5, 6) and tuple(file.transform[:6]) == (30.0, 0.0, 5e5 + 30, 0.0, -30.0, 4e6 - 120)
    with pytest.raises(SystemExit):
        main(["unmix", str(path), "--rows", "four"])
    assert "must be FIRST:END, such as 0:500; got 'four'" in capsys.readouterr().err


def test_doubt_is_a_band_of_the_maps(scene, tmp_path, capsys):
    path = written(scene, tmp_path, "hdr")
    main(["unmix", str(path), "-n", "3", "--doubt", "--quiet", "--out", str(tmp_path / "maps.hdr")])
    assert load_cube(tmp_path / "maps.hdr").band_names[3:] == ("doubt", "error", "valid")
    assert "6 runs; the median doubt" in capsys.readouterr().out


def test_a_config_file_says_what_the_command_line_does_not(scene, tmp_path, capsys):
    path = written(scene, tmp_path, "hdr")
    (tmp_path / "run.toml").write_text('method = "nmf"\nn_endmembers = 3\nseed = 4\n[options]\nmax_iter = 300\n')
    config = ["--config", str(tmp_path / "run.toml"), "--quiet", "--out", str(tmp_path / "maps.npz")]
    main(["unmix", str(path), *config])
    told = json.loads((tmp_path / "maps.json").read_text())
    assert (told["method"], told["random_state"], told["options"]) == ("nmf", 4, {"max_iter": 300})
    main(["unmix", str(path), *config, "--seed", "5", "--overwrite"])
    assert json.loads((tmp_path / "maps.json").read_text())["random_state"] == 5
    (tmp_path / "run.toml").write_text("colour = 1\n")
    assert main(["unmix", str(path), *config]) == 2
    assert "sets ['colour'], which this command does not know" in capsys.readouterr().err


def test_a_library_is_brought_to_the_bands_of_the_cube(scene, tmp_path, capsys):
    path, library = written(scene, tmp_path, "hdr"), tmp_path / "usgs.csv"
    wt.datasets.load_usgs_sample().only("topaz", "illite").save(library)
    out = tmp_path / "maps.npz"
    assert main(["unmix", str(path), "--endmembers", str(library), "--quiet", "--out", str(out)]) in (0, 1)
    assert load_library(tmp_path / "maps_endmembers.csv").names == ("topaz", "illite")
    assert main(["library", str(library), "--match", str(tmp_path / "maps_endmembers.csv")]) == 0
    assert "topaz: match; topaz" in capsys.readouterr().out


def test_inspect_finds_and_mends_and_says_so_by_its_exit_code(tmp_path, capsys):
    scene = wt.datasets.make_teaching_scene()
    path = save_cube(scene, tmp_path / "teaching.hdr")[0]
    assert main(["inspect", str(path), "--mend", "--figure", str(tmp_path / "snr.png")]) == 1
    shown = capsys.readouterr().out
    assert "broken bands" in shown and "mended: broken bands are dropped" in shown
    assert (tmp_path / "snr.png").stat().st_size > 1000


def test_convert_mends_and_keeps_bands_and_map(scene, tmp_path):
    path = written(scene, tmp_path, "hdr")
    assert main(["convert", str(path), "--out", str(tmp_path / "x.tif")]) == 0
    again = load_cube(tmp_path / "x.tif")
    expected = scene.cube.copy()
    expected[2, 3] = np.nan
    np.testing.assert_array_equal(again.cube, expected)
    np.testing.assert_array_equal(again.wavelengths, scene.wavelengths)
    assert again.geo.transform == GEO.transform and again.units == "reflectance"


def test_estimate_says_time_and_memory(scene, tmp_path, capsys):
    assert main(["estimate", str(written(scene, tmp_path, "tif")), "-n", "3", "--method", "fcls"]) == 0
    shown = capsys.readouterr().out
    assert "fcls on 71 pixels: about" in shown and "of memory" in shown


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["unmix", "nowhere.hdr", "-n", "3"], "nowhere.hdr does not exist"),
        (["unmix", "CUBE", "-n", "3", "--out", "maps.png"], "ends in '.png'"),
        (["unmix", "CUBE", "-n", "3", "--out", "TAKEN"], "Give overwrite=True"),
        (["unmix", "CUBE"], "n_endmembers is needed"),
        (["unmix", "CUBE", "-n", "3", "--option", "speed=9"], "takes no option 'speed'"),
        (["unmix", "CUBE", "-n", "3", "--option", "speed"], "must be NAME=VALUE"),
        (["unmix", "CUBE", "-n", "3", "--method", "magic"], "got 'magic'"),
        (["inspect", "."], "is a folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, scene, tmp_path, capsys):
    taken = tmp_path / "taken.tif"
    taken.write_text("mine")
    path = str(written(scene, tmp_path, "hdr"))
    places = {"CUBE": path, "TAKEN": str(taken)}
    assert main([places.get(a, a) for a in arguments]) == 2
    err = capsys.readouterr().err.strip().splitlines()
    assert err[-1].startswith("error: ") and message in err[-1]
    assert taken.read_text() == "mine"


def test_ctrl_c_leaves_what_is_done_and_says_130(scene, tmp_path, monkeypatch, capsys):
    import wdl_tutorial.trust as trust

    def interrupted(*args, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(trust, "doubt", interrupted)
    path, out = written(scene, tmp_path, "hdr"), tmp_path / "maps.npz"
    assert main(["unmix", str(path), "-n", "3", "--doubt", "--quiet", "--out", str(out)]) == 130
    assert out.exists() and "left in place" in capsys.readouterr().err


def test_the_commands_are_listed_and_each_has_help(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    for command in ("unmix", "inspect", "estimate", "convert", "library", "doctor", "reproduce", "check"):
        assert f"  {command}" in shown
    with pytest.raises(SystemExit) as end:
        main(["unmix", "--help"])
    assert end.value.code == 0 and "--doubt" in capsys.readouterr().out


def test_what_a_shell_can_be_told_is_said_in_its_words(tmp_path, capsys):
    """Advice that names Python's arguments alone leaves a reader of a shell where she was."""
    rng = np.random.default_rng(0)
    cube = rng.random((8, 9, 12)) + 0.1
    cube[0, 0] = -9999.0
    np.save(tmp_path / "x.npy", cube)
    assert main(["unmix", str(tmp_path / "x.npy"), "--scale", "1"]) == 2
    assert "n_endmembers is needed (-n in a shell)" in capsys.readouterr().err
    main(["unmix", str(tmp_path / "x.npy"), "--scale", "1", "-n", "3"])
    told = capsys.readouterr().err
    assert "--fill in a shell" in told and "pixel/s" not in told  # and no bar where nobody looks on
