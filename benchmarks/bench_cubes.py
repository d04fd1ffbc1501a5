"""A cube of your own: what reading and unmixing it takes of memory, and whether ``estimate_run`` foretells a run.

    python benchmarks/bench_cubes.py memory        peaks beyond what was there before, each in a process of its own
    python benchmarks/bench_cubes.py larger        windows of sparse files of 30 GB, and what reading them whole says
    python benchmarks/bench_cubes.py estimate      foretold against measured, three scenes and four methods

Seconds are of this process's CPU, so that other work on the machine does not count. Cubes are int16, made on the spot.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np

import wdl_tutorial as wt
from wdl_tutorial import planning

MB = 2**20
SHAPE = (512, 512, 200)


def memory_now() -> tuple[float, float]:
    """Resident memory, now and at its peak since the last :func:`forget`, in MB."""
    status = Path("/proc/self/status").read_text()
    return tuple(int(status.split(f"{key}:")[1].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))


def forget() -> float:
    """Begin the peak anew; the resident memory of now, in MB."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory_now()[0]


def make_file(path: Path, shape: tuple[int, int, int]) -> None:
    """An ENVI image of four materials in counts, written row by row."""
    rng, (rows, cols, bands) = np.random.default_rng(0), shape
    x = np.linspace(400, 2400, bands)
    spectra = 0.4 + 0.3 * np.cos(x[None] / np.array([150.0, 220.0, 310.0, 470.0])[:, None])
    with open(path.with_suffix(".img"), "wb") as file:
        for _ in range(rows):
            light = rng.dirichlet([0.2] * 4, cols) @ spectra + 0.005 * rng.normal(size=(cols, bands))
            file.write(np.round(1e4 * light).astype("<i2").tobytes())
    path.write_text(
        f"ENVI\nsamples = {cols}\nlines = {rows}\nbands = {bands}\ndata type = 2\ninterleave = bip\nbyte order = 0\n"
        f"wavelength units = Nanometers\nwavelength = {{{', '.join(f'{v:.1f}' for v in x)}}}\n"
        "reflectance scale factor = 10000\nmap info = {UTM, 1, 1, 500000, 4000000, 20, 20, 11, North, WGS-84}\n"
    )


def warm() -> None:
    """What is imported at the first call is no memory of the second."""
    small = wt.datasets.make_bilinear_scene(shape=(12, 12), random_state=0)
    with tempfile.TemporaryDirectory() as folder:
        wt.unmix(small, "nnls", 3).save(Path(folder) / "maps.tif")


def load64(path: Path) -> None:
    wt.datasets.load_cube(path)


def load32(path: Path) -> None:
    wt.datasets.load_cube(path, dtype=np.float32)


def unmix(path: Path) -> None:
    raw = np.fromfile(path.with_suffix(".img"), "<i2").reshape(SHAPE)
    forget()
    wt.unmix(raw, "nnls", 4)


def windows(path: Path) -> None:
    found = wt.unmix(wt.datasets.load_cube(path, rows=slice(0, 64), dtype=np.float32), "nnls", 4)
    for start in range(64, SHAPE[0], 64):
        part = wt.datasets.load_cube(path, rows=slice(start, start + 64), dtype=np.float32)
        found.apply(part).save(path.parent / f"maps_{start}.tif")


PARTS = {"load64": load64, "load32": load32, "unmix": unmix, "windows": windows}


def one_part(name: str, path: Path) -> None:
    """In a process of its own: print the peak beyond what was there before, in MB."""
    warm()
    raw = np.fromfile(path.with_suffix(".img"), "<i2") if name == "unmix" else None
    before = forget()
    del raw
    PARTS[name](path)
    print(memory_now()[1] - before)


def memory() -> None:
    whole, part = np.prod(SHAPE) / MB, 94e6 / 2 / MB
    told = {
        "load64": ((500, 500, 188), "load_cube of a 94 MB cube", 8 * part),
        "load32": ((500, 500, 188), "the same, dtype=float32", 4 * part),
        "unmix": (SHAPE, "unmix, NNLS, 512 x 512 x 200 int16", 4 * whole),
        "windows": (SHAPE, "apply by windows of 64 rows, and save", 4 * whole),
    }
    print("                                           peak beyond import and input     the cube as floats")
    for name, (shape, words, cube) in told.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cube.hdr"
            make_file(path, shape)
            run = [sys.executable, __file__, "part", name, str(path)]
            peak = float(subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()[-1])
        print(f"{words:42s} {peak:8.0f} MB {cube:28.0f} MB", flush=True)


LARGE, ROWS, COLS = (20_000, 4000, 188), slice(10_000, 10_040), slice(500, 1500)


def make_large(path: Path) -> None:
    """An image of 30 GB by its size, that holds numbers in one window and takes no more of the disk than they."""
    values = np.random.default_rng(0).integers(1000, 6000, (40, 1000, LARGE[2]), dtype="<i2")
    if path.suffix == ".npy":
        held = np.lib.format.open_memmap(path, "w+", "<i2", LARGE)
        held[ROWS, COLS] = values
    elif path.suffix == ".hdr":
        rows, cols, bands = LARGE
        about = f"samples = {cols}\nlines = {rows}\nbands = {bands}\ndata type = 2\ninterleave = bsq\nbyte order = 0\n"
        path.write_text(f"ENVI\n{about}reflectance scale factor = 10000\n")
        held = np.memmap(path.with_suffix(".img"), "<i2", "w+", shape=(bands, rows, cols))
        held[:, ROWS, COLS] = np.moveaxis(values, -1, 0)
    else:
        import rasterio

        size = {"height": LARGE[0], "width": LARGE[1], "count": LARGE[2], "dtype": "int16", "tiled": True}
        kept = {"BIGTIFF": "YES", "SPARSE_OK": "TRUE", "interleave": "band"}
        place = {"crs": "EPSG:32611", "transform": rasterio.Affine(20, 0, 5e5, 0, -20, 4e6)}
        window = rasterio.windows.Window.from_slices((ROWS.start, ROWS.stop), (COLS.start, COLS.stop))
        with rasterio.open(path, "w", driver="GTiff", **size, **kept, **place) as file:
            file.write(np.moveaxis(values, -1, 0), window=window)


def one_large(path: Path) -> None:
    """In a process of its own: the peak of a window, and what reading the whole says."""
    before = forget()
    scene = wt.datasets.load_cube(path, rows=ROWS, cols=COLS)
    floats = scene.cube.nbytes / MB
    print(f"{path.name:9s} a window, {floats:.0f} MB as floats: peak {memory_now()[1] - before:.0f} MB", flush=True)
    before, start = forget(), time.perf_counter()
    try:
        wt.datasets.load_cube(path)
    except ValueError as error:
        told = str(error).replace(str(path.parent), "")
        print(f"          the whole, {time.perf_counter() - start:.2f} s, {memory_now()[1] - before:.0f} MB: {told}")


def larger() -> None:
    for name in ("x.hdr", "x.npy", "x.tif"):
        with tempfile.TemporaryDirectory() as folder:
            make_large(Path(folder) / name)
            subprocess.run([sys.executable, __file__, "large", str(Path(folder) / name)], check=True)


def estimate() -> None:
    scenes = {
        "teaching": wt.datasets.make_teaching_scene().drop_bands(75).crop(slice(0, 24), slice(None)),
        "bilinear": wt.datasets.make_bilinear_scene(shape=(70, 60), n_endmembers=4, random_state=0),
        "variable": wt.datasets.make_variable_scene(shape=(50, 50), random_state=0),
    }
    quick = {
        "wahu": {"n_training": 200, "max_iter": 10, "n_iter": 20, "n_jobs": 1}
    }  # of several threads CPU is no time
    warm()
    worst = {"seconds": 1.0, "bytes": 1.0}
    print("scene      method     seconds: foretold  measured  ratio  timed     MB: foretold  measured  ratio")
    for (name, scene), method in ((item, m) for item in scenes.items() for m in ("nnls", "fcls", "nmf", "wahu")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = wt.estimate_run(scene, method, 4, **quick.get(method, {}))
            spent, _ = planning._seconds(lambda: wt.unmix(scene, method, 4, **quick.get(method, {})))  # noqa: B023
            tracemalloc.start()  # which slows a run: the clock has stopped
            wt.unmix(scene, method, 4, **quick.get(method, {}))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        ratios = {"seconds": told.seconds / spent, "bytes": told.bytes / peak}
        worst = {key: max(worst[key], ratio, 1 / ratio) for key, ratio in ratios.items()}
        print(
            f"{name:10s} {method:8s} {told.seconds:18.2f} {spent:9.2f} {ratios['seconds']:6.2f}"
            f" {max(size for size, _ in told.timed) / told.n_pixels:6.0%}"
            f" {told.bytes / MB:16.0f} {peak / MB:9.0f} {ratios['bytes']:6.2f}",
            flush=True,
        )
    print(f"farthest off: {worst['seconds']:.2f} times in seconds, {worst['bytes']:.2f} times in memory")


if __name__ == "__main__":
    if sys.argv[1:2] == ["part"]:
        one_part(sys.argv[2], Path(sys.argv[3]))
    elif sys.argv[1:2] == ["large"]:
        warm()
        one_large(Path(sys.argv[2]))
    else:
        {"memory": memory, "larger": larger, "estimate": estimate}[(sys.argv[1:] or ["memory"])[0]]()
