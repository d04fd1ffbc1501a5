"""Which files `load_cube` reads, which it refuses, and how: every line of the page is made by trying it.

``python tests/test_file_kinds.py`` writes ``book/appendices/file_kinds.md`` anew.
"""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

PAGE = Path(__file__).resolve().parents[1] / "book" / "appendices" / "file_kinds.md"
NM = np.linspace(400.0, 2400.0, 6)
CUBE = (1000 + 10 * np.arange(7 * 5 * 6)).reshape(7, 5, 6).astype("i2")

HEADER = """ENVI
samples = 5
lines = 7
bands = 6
header offset = 0
file type = ENVI Standard
data type = 2
interleave = bsq
byte order = 0
wavelength units = Nanometers
wavelength = {400, 800, 1200, 1600, 2000, 2400}
reflectance scale factor = 10000
"""


def envi(folder, *, data="x.img", change=("", ""), more="", raw=None):
    (folder / data).write_bytes(np.moveaxis(CUBE, -1, 0).tobytes() if raw is None else raw)
    (folder / "x.hdr").write_text(HEADER.replace(*change) + more)
    return folder / "x.hdr"


def tiff(folder, name="x.tif", **more):
    import rasterio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shape = {"height": 7, "width": 5, "count": 6, "dtype": "int16"}
        with rasterio.open(folder / name, "w", driver="GTiff", **(shape | more)) as file:
            if more.get("count") == 1:
                file.write(np.ones((1, 7, 5), dtype="u1"))
                file.write_colormap(1, {1: (255, 0, 0, 255)})
            else:
                file.write(np.moveaxis(CUBE, -1, 0))
                for k, nm in enumerate(NM, 1):
                    file.set_band_description(k, f"{nm} nm")
    return folder / name


def hdf5(folder, name, **arrays):
    import h5py

    with h5py.File(folder / name, "w") as file:
        for key, value in arrays.items():
            file[key] = value
    return folder / name


def external(folder):
    import h5py

    (folder / "other.bin").write_bytes(bytes(420))
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("cube", (7, 5, 6), "i2", external=[(str(folder / "other.bin"), 0, 420)])
    return folder / "x.h5"


def put(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


def mat(folder, **content):
    savemat(folder / "x.mat", content)
    return folder / "x.mat"


def npz(folder, **content):
    np.savez(folder / "x.npz", **content)
    return folder / "x.npz"


def npy(folder, value, **options):
    np.save(folder / "x.npy", value, **options)
    return folder / "x.npy"


def library(folder):
    from wdl_tutorial.datasets import load_usgs_sample

    return load_usgs_sample().save(folder / "x.sli")[1]


def product(kind):
    def make(folder):
        import test_geotiff
        import test_products

        if kind == "enmap":
            return test_geotiff.enmap_like(folder, CUBE)
        if kind == "neon":
            return test_products.neon_like(folder / "x.h5", CUBE)
        if kind == "emit":
            return test_products.emit_like(folder / "x.nc", (CUBE / 3e4).astype("f4"))
        return test_products.prisma_like(folder / "x.he5", CUBE[..., :3].astype("u2"), CUBE[..., 3:5].astype("u2"))

    return make


def netcdf(kind):
    def make(folder):
        import test_products

        return test_products.write_netcdf(folder / "x.nc", CUBE, kind)

    return make


def pipe(folder):
    os.mkfifo(folder / "x.npy")
    return folder / "x.npy"


KINDS = {
    "ENVI, given the header": envi,
    "ENVI, given the data file": lambda f: envi(f) and f / "x.img",
    "ENVI, data file `.refl`, `.cube`, `.L1R`, ...": lambda f: envi(f, data="x.refl"),
    "ENVI, two data files beside one header": lambda f: put(f, "x.dat", bytes(420)) and envi(f),
    "ENVI, data file shorter than the header says": lambda f: envi(f, raw=bytes(300)),
    "ENVI, data file longer than the header says": lambda f: envi(f, raw=bytes(421)),
    "ENVI, float data under an integer header": lambda f: envi(f, raw=bytes(840)),
    "ENVI, `interleave = xyz`": lambda f: envi(f, change=("bsq", "xyz")),
    "ENVI, `file compression = 1`": lambda f: envi(f, more="file compression = 1\n"),
    "ENVI classification": lambda f: envi(f, change=("ENVI Standard", "ENVI Classification")),
    "ENVI spectral library": library,
    "GeoTIFF": tiff,
    "TIFF beside an ENVI header": lambda f: tiff(f) and envi(f, data="x.tif", raw=(f / "x.tif").read_bytes()),
    "TIFF with a colour table": lambda f: tiff(f, count=1, dtype="uint8"),
    "MATLAB 5, one cube": lambda f: mat(f, cube=CUBE, wavelength=NM),
    "MATLAB 5, two cubes": lambda f: mat(f, a=CUBE, b=CUBE),
    "MATLAB 5, a struct": lambda f: mat(f, scene={"cube": CUBE}),
    "MATLAB, (bands, pixels) with `nRow` and `nCol`": lambda f: mat(
        f, Y=CUBE.transpose(2, 1, 0).reshape(6, 35), nRow=7, nCol=5, maxValue=10000
    ),
    "MATLAB 7.3, written by h5py": lambda f: hdf5(f, "x.mat", cube=CUBE, wavelength=NM),
    "HDF5, one cube": lambda f: hdf5(f, "x.h5", cube=CUBE, wavelength=NM),
    "HDF5, two cubes": lambda f: hdf5(f, "x.h5", a=CUBE, b=CUBE),
    "HDF5 that keeps its values in another file": external,
    "NetCDF-4": netcdf("NETCDF4"),
    "NetCDF, classic": netcdf("NETCDF3_CLASSIC"),
    "NetCDF, 64-bit data": netcdf("NETCDF3_64BIT_DATA"),
    "NEON AOP (layout)": product("neon"),
    "PRISMA L2D (layout)": product("prisma"),
    "EnMAP L2A (layout)": product("enmap"),
    "EMIT L2A (layout)": product("emit"),
    "`.npy`": lambda f: npy(f, CUBE),
    "`.npy` of Python objects": lambda f: npy(f, np.array([{}], dtype=object), allow_pickle=True),
    "`.npz`": lambda f: npz(f, cube=CUBE, wavelengths=NM),
    "PNG": lambda f: put(f, "x.png", b"\x89PNG\r\n\x1a\n" + bytes(50)),
    "JPEG": lambda f: put(f, "x.jpg", b"\xff\xd8\xff\xe0" + bytes(50)),
    "HDF4": lambda f: put(f, "x.hdf", b"\x0e\x03\x13\x01" + bytes(50)),
    "gzip": lambda f: put(f, "x.gz", b"\x1f\x8b\x08\0" + bytes(50)),
    "anything else": lambda f: put(f, "x.bin", b"hello" * 20),
    "a folder": lambda f: f,
    "a pipe": pipe,
}


def outcome(make) -> tuple[str, str]:
    """What becomes of a file: "read", with what is known of the cube, or "refused", with the words of it."""
    from wdl_tutorial.datasets import load_cube

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            scene = load_cube(make(folder))
        except (ValueError, OSError) as error:
            words = str(error).replace(f"{folder}{os.sep}", "").replace(str(folder), "FOLDER")
            return "refused", re.sub(r"\b\d+ bytes", "N bytes", words)
        known = [f"{' x '.join(map(str, scene.cube.shape))}, {scene.units}"]
        known += ["wavelengths"] if scene.wavelengths is not None else []
        known += ["map"] if scene.geo is not None else []
        return "read", "; ".join([", ".join(known), *(n for n in scene.notes if "no scale" not in n)])


def page() -> str:
    lines = [
        "(file-kinds)=",
        "# Which files does `load_cube` read?",
        "",
        "Each line was made by writing a small file of that kind and giving it to `wt.datasets.load_cube`: what came of it,",
        "or the words of the refusal. The products of NEON, PRISMA, EnMAP and EMIT are small files made after the public",
        "descriptions of their layouts; no original was at hand. `python tests/test_file_kinds.py` makes this page anew.",
        "",
        "| File | | What becomes of it |",
        "|---|---|---|",
    ]
    for kind, make in KINDS.items():
        verdict, words = outcome(make)
        words = words.replace("|", r"\|").replace("{", "(").replace("}", ")").replace("*", r"\*").replace("<", "&lt;")
        lines.append(f"| {kind} | **{verdict}** | {words} |")
    return "\n".join(lines) + "\n"


@pytest.mark.filterwarnings("ignore")
def test_the_page_of_file_kinds_says_what_happens():
    for module in ("rasterio", "h5py", "netCDF4"):
        pytest.importorskip(module)
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/test_file_kinds.py"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
