"""Finding files, checking fingerprints, and reading every format, on files that the tests write."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from conftest import assert_close
from scipy.io import savemat

from wdl_tutorial import cubefiles, rawfiles
from wdl_tutorial.cubefiles import SceneFile, cache_folder, data_folder, locate, read_mat
from wdl_tutorial.datasets import load_cube

CONTENT = b"a scene"
FILE = SceneFile("field", "a.mat", hashlib.sha256(CONTENT).hexdigest(), "https://example.org/page")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WDL_TUTORIAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("WDL_TUTORIAL_DATA", raising=False)


def put(path, content=CONTENT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# ------------------------------------------------------------------------------------------ finding


def test_the_data_folder_comes_before_the_cache(tmp_path, monkeypatch):
    cached = put(tmp_path / "cache" / "field" / "a.mat")
    assert locate(FILE) == cached
    mine = put(tmp_path / "data" / "field" / "a.mat")
    monkeypatch.setenv("WDL_TUTORIAL_DATA", str(tmp_path / "data"))
    assert data_folder() == tmp_path / "data" and locate(FILE) == mine


def test_a_file_lying_flat_in_the_data_folder_is_found(tmp_path, monkeypatch):
    flat = put(tmp_path / "data" / "a.mat")
    monkeypatch.setenv("WDL_TUTORIAL_DATA", str(tmp_path / "data"))
    assert locate(FILE) == flat


def test_a_data_folder_that_does_not_exist_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("WDL_TUTORIAL_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"nowhere.*is not a folder"):
        locate(FILE)


def test_the_cache_is_the_users_own_where_nothing_moves_it(monkeypatch):
    monkeypatch.delenv("WDL_TUTORIAL_CACHE")
    assert "wdl_tutorial" in str(cache_folder())


def test_without_an_address_the_reader_is_told_what_to_fetch(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Fetch it from https://example.org/page and save it as .*field"):
        locate(FILE)


def serve(monkeypatch, outcome):
    """Stand in for the network: ``outcome`` is bytes to send or an error to raise."""
    import pooch

    class Downloader:
        def __init__(self, **options):
            assert options["timeout"] <= 60

        def __call__(self, url, output_file, pooch, check_only=False):
            if isinstance(outcome, Exception):
                raise outcome
            with open(output_file, "wb") as file:
                file.write(outcome)

    monkeypatch.setattr(pooch, "HTTPDownloader", Downloader)


def test_a_download_lands_in_the_cache_and_is_used_from_there(tmp_path, monkeypatch):
    serve(monkeypatch, CONTENT)
    remote = FILE._replace(url="https://example.org/a.mat")
    path = locate(remote)
    assert path == tmp_path / "cache" / "field" / "a.mat" and path.read_bytes() == CONTENT
    serve(monkeypatch, ConnectionError("no network"))
    assert locate(remote) == path


def test_a_download_that_is_another_file_is_refused(tmp_path, monkeypatch):
    serve(monkeypatch, b"<html>not found</html>")
    with pytest.raises(ValueError, match=r"another sha256 than expected.*save it as"):
        locate(FILE._replace(url="https://example.org/a.mat"))
    assert not (tmp_path / "cache" / "field" / "a.mat").exists()


def test_a_download_that_fails_says_how_to_get_the_file_by_hand(monkeypatch):
    serve(monkeypatch, ConnectionError("no network"))
    with pytest.raises(FileNotFoundError, match=r"download failed \(ConnectionError\).*Fetch it from https"):
        locate(FILE._replace(url="https://example.org/a.mat"))


# ------------------------------------------------------------------------------------------ npy, npz, mat


@pytest.fixture
def cube(rng) -> np.ndarray:
    return rng.integers(1, 3000, (3, 4, 5)).astype(np.int16)


def write_npy(path, cube):
    np.save(path, cube)


def write_npz(path, cube):
    np.savez_compressed(path, cube=cube)


def write_mat5(path, cube):
    savemat(path, {"cube": cube, "note": "hello"}, do_compression=True)


def write_mat73(path, cube):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        file["cube"] = cube.T  # MATLAB writes its column-major arrays with the axes reversed
        file["refs"] = np.zeros(3)
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")


FORMATS = [("x.npy", write_npy), ("x.npz", write_npz), ("x.mat", write_mat5), ("y.mat", write_mat73)]


@pytest.mark.parametrize("name,write", FORMATS, ids=["npy", "npz", "mat5", "mat73"])
def test_every_format_gives_back_the_cube(name, write, tmp_path, cube):
    write(tmp_path / name, cube)
    scene = load_cube(tmp_path / name)
    np.testing.assert_array_equal(scene.cube, cube)
    assert scene.cube.dtype == np.float64


def test_a_matlab_header_that_contradicts_itself_is_one_clear_error(tmp_path):
    path = tmp_path / "x.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(64))  # version 7.3, by its number
    with pytest.raises(ValueError, match=r"x.mat \(192 bytes\) cannot be read as a MATLAB file"):
        read_mat(path)


@pytest.mark.parametrize("name,write", FORMATS, ids=["npy", "npz", "mat5", "mat73"])
def test_a_truncated_file_of_every_format_is_one_clear_error(name, write, tmp_path, rng):
    write(tmp_path / name, rng.integers(1, 3000, (20, 20, 30)).astype(np.int16))
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cannot be read as .* It is truncated"):
        load_cube(tmp_path / name)


def test_pickles_are_never_opened(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "x.npz", cube=np.array([{"a": 1}], dtype=object))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(ValueError, match="never unpickled"):
            load_cube(tmp_path / name)


def test_two_cubes_in_a_file_need_a_name(tmp_path, cube):
    savemat(tmp_path / "x.mat", {"a": cube, "b": cube + 1})
    with pytest.raises(ValueError, match=r"holds 2 arrays with three axes.*dataset="):
        load_cube(tmp_path / "x.mat")
    np.testing.assert_array_equal(load_cube(tmp_path / "x.mat", variable="b").cube, cube + 1)
    with pytest.raises(ValueError, match=r"no variable 'c'; it holds \['a', 'b'\]"):
        load_cube(tmp_path / "x.mat", variable="c")


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        (None, TypeError, "path must be a text or a pathlib.Path; got None"),
        (np.zeros(3), TypeError, r"path must be a text or a pathlib.Path; got array\("),
        ("", ValueError, "path must name a file; got ''"),
        ("a\0b", ValueError, r"path must name a file; got 'a\\x00b'"),
    ],
)
def test_what_is_no_path_is_refused_by_name(path, error, message):
    with pytest.raises(error, match=message):
        load_cube(path)


@pytest.mark.parametrize("value,message", [(np.ones((3, 4)), "three axes"), (np.ones((2, 2, 2)) * 1j, "real numbers")])
def test_what_is_no_cube_is_refused(value, message, tmp_path):
    np.save(tmp_path / "x.npy", value)
    with pytest.raises(ValueError, match=message):
        load_cube(tmp_path / "x.npy")


def test_a_missing_file_and_an_unknown_format_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_cube(tmp_path / "x.npy")
    put(tmp_path / "x.tif")
    with pytest.raises(ValueError, match="no known format"):
        load_cube(tmp_path / "x.tif")


def test_read_mat_keeps_the_order_of_axes_of_both_versions(tmp_path, cube):
    write_mat5(tmp_path / "five.mat", cube)
    write_mat73(tmp_path / "seven.mat", cube)
    np.testing.assert_array_equal(read_mat(tmp_path / "five.mat")["cube"], read_mat(tmp_path / "seven.mat")["cube"])


# ------------------------------------------------------------------------------------------ ENVI


TYPES = {"int16": 2, "float32": 4, "float64": 5, "uint16": 12}
AXES = {"bip": (0, 1, 2), "bil": (0, 2, 1), "bsq": (2, 0, 1)}  # from (rows, cols, bands)


def write_envi(folder, cube, *, interleave="bip", order=0, offset=0, suffix=".img", **fields):
    """An ENVI image written by hand, so that the reader is not tested against its own library's writer."""
    kind = cube.dtype.name
    stored = np.ascontiguousarray(cube.transpose(AXES[interleave])).astype(cube.dtype.newbyteorder("<>"[order]))
    (folder / f"scene{suffix}").write_bytes(b"\x7f" * offset + stored.tobytes())
    rows, cols, bands = cube.shape
    header = {
        "samples": cols,
        "lines": rows,
        "bands": bands,
        "header offset": offset,
        "file type": "ENVI Standard",
        "data type": TYPES[kind],
        "interleave": interleave,
        "byte order": order,
    }
    header.update({key.replace("_", " "): value for key, value in fields.items()})
    text = "\n".join(f"{key} = {_field(value)}" for key, value in header.items())
    (folder / "scene.hdr").write_text(f"ENVI\n{text}\n")
    return folder / "scene.hdr"


def _field(value):
    return "{" + ", ".join(f"{v:g}" for v in value) + "}" if np.ndim(value) else value


@pytest.mark.parametrize("order", [0, 1], ids=["little", "big"])
@pytest.mark.parametrize("interleave", ["bip", "bil", "bsq"])
@pytest.mark.parametrize("kind", list(TYPES))
def test_envi_in_every_interleave_byte_order_and_type(kind, interleave, order, tmp_path, cube):
    expected = cube.astype(kind)
    header = write_envi(tmp_path, expected, interleave=interleave, order=order, offset=37)
    np.testing.assert_array_equal(load_cube(header).cube, expected)


@pytest.mark.parametrize("suffix", [".img", ".dat", "", ".bil"])
def test_envi_is_found_from_its_data_file_too(suffix, tmp_path, cube):
    write_envi(tmp_path, cube, suffix=suffix)
    np.testing.assert_array_equal(load_cube(tmp_path / f"scene{suffix}").cube, cube)


def test_envi_scale_factor_makes_reflectance(tmp_path, cube):
    scene = load_cube(write_envi(tmp_path, cube, reflectance_scale_factor=10000))
    assert_close(scene.cube, cube / 10000.0, atol=1e-15)
    assert scene.units == "reflectance"


def test_envi_ignore_value_masks_pixels_and_drops_bands_before_scaling(tmp_path, cube):
    cube[1, 2] = -9999
    cube[0, 0, 3] = -9999
    cube[..., 4] = -9999
    header = write_envi(tmp_path, cube, data_ignore_value=-9999, reflectance_scale_factor=10000, interleave="bil")
    scene = load_cube(header)
    assert scene.cube.shape == (3, 4, 4)
    assert np.argwhere(~scene.mask).tolist() == [[0, 0], [1, 2]]
    assert_close(scene.cube[scene.mask], cube[..., :4][scene.mask] / 10000.0, atol=1e-15)


def test_envi_bad_bands_are_dropped_with_their_wavelengths(tmp_path, cube):
    header = write_envi(tmp_path, cube, bbl=[1, 0, 1, 1, 0], wavelength=[400, 500, 600, 700, 800])
    scene = load_cube(header)
    np.testing.assert_array_equal(scene.cube, cube[..., [0, 2, 3]])
    np.testing.assert_array_equal(scene.wavelengths, [400, 600, 700])
    assert any("2 bands that are marked as bad" in note for note in scene.notes)


@pytest.mark.parametrize("units", ["Micrometers", "um", "Unknown", None])
def test_envi_micrometres_become_nanometres(units, tmp_path, cube):
    more = {} if units is None else {"wavelength_units": units}
    header = write_envi(tmp_path, cube, wavelength=[0.4, 0.5, 0.6, 0.7, 0.8], **more)
    assert_close(load_cube(header).wavelengths, [400, 500, 600, 700, 800], atol=1e-9)


@pytest.mark.parametrize("units", ["Nanometers", "nm", "Unknown", None])
def test_envi_nanometres_stay(units, tmp_path, cube):
    more = {} if units is None else {"wavelength_units": units}
    header = write_envi(tmp_path, cube, wavelength=[400, 500, 600, 700, 800], **more)
    assert_close(load_cube(header).wavelengths, [400, 500, 600, 700, 800], atol=1e-9)


def test_envi_in_other_units_is_refused(tmp_path, cube):
    header = write_envi(tmp_path, cube, wavelength=[1, 2, 3, 4, 5], wavelength_units="GHz")
    with pytest.raises(ValueError, match="'GHz'"):
        load_cube(header)


def test_envi_gains_that_are_not_applied_are_told(tmp_path, cube):
    scene = load_cube(write_envi(tmp_path, cube, data_gain_values=[0.1] * 5, data_offset_values=[1.0] * 5))
    np.testing.assert_array_equal(scene.cube, cube)
    told = [note for note in scene.notes if note.endswith("are not applied")]
    assert told == ["the header's data gain values are not applied", "the header's data offset values are not applied"]


@pytest.mark.parametrize("entry", [{"data_ignore_value": "none"}, {"bbl": "{a, 1, 1, 1, 1}"}])
def test_an_envi_entry_that_is_no_number_is_named(entry, tmp_path, cube):
    (key,) = entry
    with pytest.raises(ValueError, match=rf"for '{key.replace('_', ' ')}', which is no number"):
        load_cube(write_envi(tmp_path, cube, **entry))


def test_envi_that_is_too_short_tells_both_sizes(tmp_path, cube):
    header = write_envi(tmp_path, cube, offset=16)
    data = tmp_path / "scene.img"
    data.write_bytes(data.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"has 126 bytes; its header asks for 136 .*truncated"):
        load_cube(header)


@pytest.mark.parametrize("text", ["not a header", "ENVI\nsamples = 4\n", "ENVI\nsamples = {4\n"])
def test_envi_header_that_is_broken_is_one_clear_error(text, tmp_path, cube):
    header = write_envi(tmp_path, cube)
    header.write_text(text)
    with pytest.raises(ValueError, match="cannot be read as an ENVI header"):
        load_cube(header)


def test_envi_header_without_its_data_is_one_clear_error(tmp_path, cube):
    header = write_envi(tmp_path, cube)
    (tmp_path / "scene.img").unlink()
    with pytest.raises(ValueError, match="data file beside it"):
        load_cube(header)


@pytest.mark.parametrize(
    "fields,message",
    [({"bbl": [1, 0]}, "2 values of 'bbl' for 5 bands"), ({"reflectance_scale_factor": 0}, "must be positive")],
)
def test_envi_header_that_contradicts_itself_is_told(fields, message, tmp_path, cube):
    with pytest.raises(ValueError, match=message):
        load_cube(write_envi(tmp_path, cube, **fields))


def test_without_a_reader_it_is_said_what_to_install(tmp_path, monkeypatch):
    for name, module, start in (("x.tif", "rasterio", b"II*\0"), ("x.h5", "h5py", b"\x89HDF\r\n\x1a\n")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ImportError, match=rf"{module} reads.*pip install \"wdl-tutorial\[io\]\""):
            load_cube(put(tmp_path / name, start + bytes(100)))


def test_importing_the_loaders_loads_none_of_the_readers():
    names = ("pooch", "h5py", "spectral", "rasterio", "PIL", "matplotlib", "sklearn")
    code = f"import sys, wdl_tutorial.datasets; sys.exit(any(name in sys.modules for name in {names}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------ what files really hold


@pytest.mark.parametrize("name", ["x.mat", "x.h5"])
def test_an_h5py_written_file_keeps_its_own_order_of_axes(name, tmp_path, cube):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / name, "w") as file:
        file["cube"] = np.moveaxis(cube, -1, 0)
    np.testing.assert_array_equal(load_cube(tmp_path / name, bands_axis=0).cube, cube)


def test_a_file_with_the_attribute_of_matlab_is_in_its_order(tmp_path, cube):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.mat", "w") as file:
        file["cube"] = cube.T
        file["cube"].attrs["MATLAB_class"] = np.bytes_("int16")
    np.testing.assert_array_equal(load_cube(tmp_path / "x.mat").cube, cube)


NAMES = ["wavelength", "wavelengths", "Wavelength", "WAVELENGTHS", "wvl", "wl", "lambda", "wavelengths_nm", "nm",
         "band_centers", "centers", "wave", "lam", "Wavelength_nm"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("write", [savemat, lambda path, content: np.savez(path, **content)], ids=["mat", "npz"])
def test_wavelengths_under_any_name_are_found(write, name, tmp_path, cube):
    path = tmp_path / ("x.mat" if write is savemat else "x.npz")
    write(path, {"cube": cube, name: np.linspace(400, 800, 5), "gt": np.ones((3, 4))})
    assert_close(load_cube(path).wavelengths, np.linspace(400, 800, 5), atol=0)


def test_an_array_of_one_value_per_band_and_another_name_is_told(tmp_path, cube):
    savemat(tmp_path / "x.mat", {"cube": cube, "axis5": np.linspace(400, 800, 5)})
    assert any("'axis5' has one value per band" in note for note in load_cube(tmp_path / "x.mat").notes)


def test_a_flat_matrix_with_its_own_rows_and_columns_is_read_column_by_column(tmp_path, cube):
    flat = cube.transpose(2, 1, 0).reshape(5, 12)
    savemat(tmp_path / "x.mat", {"Y": flat, "nRow": 3, "nCol": 4, "nBand": 5, "maxValue": 5000})
    scene = load_cube(tmp_path / "x.mat")
    assert_close(scene.cube, cube / 5000, atol=0)
    assert scene.units == "reflectance" and any("column by column: 3 rows and 4 columns" in n for n in scene.notes)


def test_the_benchmark_scenes_are_read_as_their_loaders_read_them(real_data):
    from wdl_tutorial.datasets import load_jasper_ridge, load_samson

    for name, loaded in (
        ("jasper-ridge/jasperRidge2_R198.mat", load_jasper_ridge),
        ("samson/samson_1.mat", load_samson),
    ):
        np.testing.assert_array_equal(load_cube(real_data / name).cube, loaded(download=False).cube)


def test_a_cube_in_a_struct_is_listed_and_read_by_its_path(tmp_path, cube):
    savemat(tmp_path / "x.mat", {"scene": {"data": cube, "more": {"deep": cube + 1}, "name": "hello"}})
    with pytest.raises(ValueError, match=r"scene struct \(1, 1\).*dataset='scene.FIELD'"):
        load_cube(tmp_path / "x.mat")
    with pytest.raises(ValueError, match=r"'scene' .* is a struct with the fields \['data', 'more', 'name'\]"):
        load_cube(tmp_path / "x.mat", dataset="scene")
    np.testing.assert_array_equal(load_cube(tmp_path / "x.mat", dataset="scene.data").cube, cube)
    np.testing.assert_array_equal(load_cube(tmp_path / "x.mat", dataset="scene.more.deep").cube, cube + 1)


def test_a_damaged_struct_does_not_end_the_process_where_it_is_not_asked_for(tmp_path, cube):
    savemat(tmp_path / "x.mat", {"cube": cube, "s": {"field_one": np.arange(3.0), "field_two": "text"}})
    whole = (tmp_path / "x.mat").read_bytes()
    at = whole.index(b"field_one")
    (tmp_path / "x.mat").write_bytes(whole[: at + 40] + b"\x05" + whole[at + 41 :])  # SciPy alone dies of it
    code = (
        "import sys; from wdl_tutorial.datasets import load_cube; from wdl_tutorial.cubefiles import read_mat; "
        "print(load_cube(sys.argv[1]).cube.shape, sorted(read_mat(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.mat")], capture_output=True, text=True)
    assert done.stdout.strip() == "(3, 4, 5) ['cube']", done.stderr


def test_a_damaged_struct_that_is_asked_for_by_name_is_one_error(tmp_path, cube):
    savemat(tmp_path / "x.mat", {"s": {"field_one": cube, "field_two": "text"}})
    whole = (tmp_path / "x.mat").read_bytes()
    at, refused = whole.index(b"field_one"), 0
    for k in (40, 48, 56):
        (tmp_path / "x.mat").write_bytes(whole[: at + k] + b"\x05" + whole[at + k + 1 :])
        try:
            load_cube(tmp_path / "x.mat", dataset="s.field_one")
        except ValueError as error:
            assert "x.mat" in str(error) and ("damaged" in str(error) or "three axes" in str(error)), error
            refused += 1
    assert refused


def test_a_reader_that_dies_takes_nothing_with_it(tmp_path, cube, monkeypatch):
    savemat(tmp_path / "x.mat", {"s": {"data": cube}})
    monkeypatch.setattr(cubefiles, "_READ_FIELD", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(ValueError, match=r"'s.data' in .*x.mat cannot be read: SciPy's reader ended with signal 11"):
        load_cube(tmp_path / "x.mat", dataset="s.data")


def test_a_bomb_is_refused_by_what_it_declares_and_other_arrays_are_not_read(tmp_path, cube, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", cube=cube, bomb=np.zeros(200_000_000, dtype="u1"))
    import tracemalloc

    tracemalloc.start()
    np.testing.assert_array_equal(load_cube(tmp_path / "x.npz", dataset="cube").cube, cube)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    monkeypatch.setattr(rawfiles, "memory_available", lambda: 1000)
    for name, write in FORMATS:
        write(tmp_path / name, np.repeat(cube, 100, axis=0))
        with pytest.raises(ValueError, match=r"takes .* of memory, and 0.001 MB are free"):
            load_cube(tmp_path / name)
    with pytest.raises(ValueError, match=r"Read a window, rows=slice\(0, \d+\)"):
        load_cube(write_envi(tmp_path, np.repeat(cube, 100, axis=0)))


def test_a_pipe_does_not_block_for_ever(tmp_path):
    import os

    os.mkfifo(tmp_path / "x.npy")
    os.mkfifo(tmp_path / "x.hdr")
    for name in ("x.npy", "x.hdr"):
        with pytest.raises(ValueError, match="is a pipe or a device"):
            load_cube(tmp_path / name)
    with pytest.raises(ValueError, match="is a folder"):
        load_cube(tmp_path)


def test_a_window_of_every_format_is_the_crop_of_the_whole(tmp_path, cube):
    for name, write in FORMATS:
        write(tmp_path / name, cube)
        part = load_cube(tmp_path / name, rows=slice(1, 3), cols=slice(None, None, 3))
        np.testing.assert_array_equal(part.cube, cube[1:3, ::3])


@pytest.mark.parametrize(
    ("free", "remedy"),
    [
        (400, r"Read a window, rows=slice\(0, 1\) \(--rows in a shell\), or give dtype=numpy.float32\."),
        (200, r"shell\)\.$"),
    ],
)
def test_what_is_larger_than_memory_says_which_window_is_not(free, remedy, tmp_path, cube, monkeypatch):
    monkeypatch.setattr(rawfiles, "memory_available", lambda: free)
    np.save(tmp_path / "x.npy", cube)
    with pytest.raises(ValueError, match=rf"x.npy takes .* of memory, and .* are free. .*{remedy}"):
        load_cube(tmp_path / "x.npy")


def test_the_older_name_of_dataset_still_works_but_not_both(tmp_path, cube):
    savemat(tmp_path / "x.mat", {"a": cube, "b": cube + 1})
    np.testing.assert_array_equal(load_cube(tmp_path / "x.mat", variable="b").cube, cube + 1)
    with pytest.raises(ValueError, match="two names of one thing"):
        load_cube(tmp_path / "x.mat", variable="b", dataset="a")


def test_damaged_numbers_of_a_matlab_file_do_not_end_the_process(tmp_path, cube):
    """SciPy trusts the parts of an array: hundreds of damaged files, in a process of its own."""
    savemat(tmp_path / "whole.mat", {"cube": cube, "wavelength": np.linspace(400, 800, 5)})
    code = """
import sys, numpy as np
from pathlib import Path
from wdl_tutorial.datasets import load_cube
folder, rng = Path(sys.argv[1]), np.random.default_rng(1)
whole = (folder / "whole.mat").read_bytes()
for _ in range(400):
    damaged = bytearray(whole)
    for _ in range(rng.integers(1, 8)):
        damaged[rng.integers(120, len(damaged))] = rng.integers(256)
    (folder / "x.mat").write_bytes(bytes(damaged))
    try:
        load_cube(folder / "x.mat")
    except ValueError:
        pass
print("alive")
"""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert run.stdout.strip() == "alive", (run.returncode, run.stderr[-2000:])
