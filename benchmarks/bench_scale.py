"""From a laptop to a cluster: what is shipped, what a pixel costs, how much memory is taken, and what minibatches find.

    python benchmarks/bench_scale.py [shipped] [transform] [minibatch] [steps] [scenes] [memmap] [zarr] [unmix] [killed]
                                     [land] [unmix_zarr]

Without arguments: shipped and transform, half a minute. The others take from one to fifteen minutes each. Seconds are of
CPU, over all threads of the process. `benchmarks/two_hosts.sh` runs "shipped" between two network namespaces.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
from harness import peak_mb

import wdl_tutorial as wt
from wdl_tutorial.iterate import Accuracy
from wdl_tutorial.objective import Terms, evaluate_chunks, problem_for
from wdl_tutorial.scaling import Variant

BANDS = np.linspace(400.0, 2500.0, 64)
LINE = wt.LineCost(BANDS, scale=10 / 2100)


def peaks_on(bands: np.ndarray) -> np.ndarray:
    """Four atoms of one or two peaks."""
    bump = lambda mean, sd: np.exp(-0.5 * ((bands - mean) / sd) ** 2)  # noqa: E731
    two, odd = bump(1200, 100) + 0.5 * bump(1900, 120), 0.3 * bump(500, 80) + bump(1600, 150)
    return wt.normalize(np.stack([bump(700, 150), two, bump(2100, 200), odd]) + 0.05)


PEAKS = peaks_on(BANDS)
LINE_SETTINGS = {"cost": LINE, "eps": 0.05, "n_iter": 50}


def mixtures(
    n: int, seed: int, atoms: np.ndarray, settings: dict, rare: float = 0.0, noise: float = 0.02
) -> np.ndarray:
    """Barycenters of four atoms with multiplicative noise; the last atom in a share ``rare`` of them only, if given."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet([0.6] * 4, n)
    if rare:
        weights = np.concatenate([rng.dirichlet([0.6] * 3, n), np.zeros((n, 1))], axis=1)
        chosen = rng.random(n) < rare
        weights[chosen] = rng.dirichlet([0.5, 0.5, 0.5, 1.5], chosen.sum())
    P = wt.barycenter(atoms, weights, **settings).histogram if n <= 20_000 else in_parts(atoms, weights, settings)
    return wt.normalize(P * np.exp(noise * rng.standard_normal(P.shape)))


def in_parts(atoms: np.ndarray, weights: np.ndarray, settings: dict) -> np.ndarray:
    model = dictionary(settings)
    model.atoms_, model.mass_ = atoms, 1.0
    return model.inverse_transform(weights)


def dictionary(settings: dict, **options) -> wt.WassersteinDictionary:
    return wt.WassersteinDictionary(4, **(settings | {"tol": None, "n_jobs": 1, "random_state": 0} | options))


def with_atoms(model: wt.WassersteinDictionary, atoms: np.ndarray) -> wt.WassersteinDictionary:
    model.atoms_, model.mass_, model.n_features_in_ = atoms, 1.0, atoms.shape[1]
    return model


def shipped(address: str | None = None) -> None:
    """Bytes over the loopback for one evaluation of the objective on two Dask workers."""
    import distributed

    cluster = address or distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2)
        for n in (3_000, 10_000, 30_000):
            X, weights = np.full((n, 64), 1 / 64) + 0.0, np.full((n, 4), 0.25)
            X = wt.normalize(X + 1e-3 * np.random.default_rng(0).random(X.shape))
            terms = Terms(0.05, "quadratic", 0.0, Accuracy(50), Variant())
            share = np.full(n, 1 / n)
            with joblib.parallel_config(backend="dask"), problem_for(X, share, LINE, terms, 4, None, 2) as problem:
                evaluate_chunks(problem, PEAKS, weights)
                before, start = traffic(), time.perf_counter()
                found = evaluate_chunks(problem, PEAKS, weights)
                seconds, moved = time.perf_counter() - start, traffic() - before
            here = evaluate_chunks(problem._replace(mapper=map), PEAKS, weights)
            same = np.array_equal(found.grad_atoms, here.grad_atoms)
            told = f"{moved / 1e6:.1f} MB for {X.nbytes / 1e6:.1f} MB of rows ({moved / X.nbytes:.1f} x)"
            print(f"n={n}: {told}, {seconds:.1f} s, same bits {same}")
    if not address:
        cluster.close()


def traffic() -> int:
    """Bytes received by all devices, the loopback among them."""
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    return sum(int(line.split(":")[1].split()[0]) for line in lines)


def transform(n: int = 3000) -> None:
    """Milliseconds a pixel, and how far the weights are from those of tol=1e-6."""
    wide = np.linspace(400.0, 2500.0, 201)
    wahu = {"loss": "wasserstein", "locality": 0.01}
    for name, bands, size, options in (
        ("quadratic", BANDS, n, {"loss": "quadratic"}),
        ("kl_reverse", BANDS, n, {"loss": "kl_reverse"}),
        ("WaHU", BANDS, n, wahu),
        ("WaHU, 201 bands", wide, n // 5, wahu),
    ):
        settings, atoms = LINE_SETTINGS | {"cost": wt.LineCost(bands, scale=10 / 2100)}, peaks_on(bands)
        X, model = mixtures(size, 0, atoms, settings), with_atoms(dictionary(settings, **options), atoms)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wt.ConvergenceWarning)
            exact = model.transform(X, tol=1e-6, max_iter=400)
            for tol in (1e-3, 1e-4):
                start = time.process_time()
                found = model.transform(X, tol=tol)
                cost, gap = (time.process_time() - start) / size, np.abs(found - exact).mean()
                print(
                    f"transform, {name}, tol={tol:g}: {1e3 * cost:.2f} ms a pixel, mean weight off by {gap:.4f}; "
                    f"1e9 pixels on 100 cores {cost * 1e7 / 3600:.1f} h",
                    flush=True,
                )
    X = mixtures(2500, 0, PEAKS, LINE_SETTINGS)
    for size in (1_000, 10_000):
        rows = np.tile(X, (4, 1))[:size]
        model = with_atoms(dictionary(LINE_SETTINGS, loss="quadratic"), PEAKS)
        start = time.process_time()
        model.transform(rows, tol=1e-3)
        print(f"  {size} pixels: {1e3 * (time.process_time() - start) / size:.2f} ms a pixel, peak {peak_mb():.0f} MB")


def problem_of_the_notes():
    x = np.arange(64)
    bump = lambda mean, sd: np.exp(-0.5 * ((x - mean) / sd) ** 2)  # noqa: E731
    two, odd = bump(30, 3.0) + 0.5 * bump(45, 3.0), 0.3 * bump(5, 2.0) + bump(38, 2.0)
    atoms = wt.normalize(np.stack([bump(12, 4.0), two, bump(52, 5.0), odd]) + 0.005)
    return atoms, {"cost": wt.GridCost(64), "eps": 16.0, "n_iter": 20}, {"loss": "kl_reverse"}


def minibatch(seeds: int = 5, n: int = 100_000) -> None:
    """Held-out loss beside that of the true atoms, weights solved again, from 100,000 pixels on disk."""
    line = (PEAKS, LINE_SETTINGS, {"loss": "quadratic"})
    grid = problem_of_the_notes()
    for name, (atoms, settings, loss), batches, size in (
        ("grid, KL(x|P)", grid, 350, 50),
        ("line, quadratic", line, 120, 100),
    ):
        ratios, seconds = [], []
        X = save(mixtures(n, 0, atoms, settings, rare=0.02))
        options = {"init": "extremes", "max_iter": batches, "batch_size": size} | loss
        for seed in range(seeds):
            held = mixtures(500, 1000 + seed, atoms, settings, rare=0.02)
            start = time.process_time()
            model = dictionary(settings, solver="minibatch", random_state=seed, **options).fit(X)
            seconds.append(time.process_time() - start)
            best = with_atoms(dictionary(settings, **loss), atoms).score(held)
            ratios.append(model.score(held) / best)
            print(f"  seed {seed}: {ratios[-1]:.3f}, {seconds[-1]:.0f} CPU s", flush=True)
        print(
            f"minibatch, {name}, {n} pixels, {batches} batches of {size}: held-out loss over that of the true atoms: median "
            f"{np.median(ratios):.3f}, worst {max(ratios):.3f} of {seeds} seeds; {np.median(seconds):.0f} CPU s",
            flush=True,
        )


def steps(largest: int = 20_000, target: float = 0.1) -> None:
    """Steps of L-BFGS to one loss, by the number of pixels: as it is, and with the weights' scale of version 0.1."""
    x = np.arange(32)
    bump = lambda mean, sd: np.exp(-0.5 * ((x - mean) / sd) ** 2)  # noqa: E731
    two, odd = bump(15, 1.5) + 0.5 * bump(22, 1.5), 0.3 * bump(3, 1.0) + bump(19, 1.0)
    atoms = wt.normalize(np.stack([bump(6, 2.0), two, bump(26, 2.5), odd]) + 0.005)
    settings = {"cost": wt.GridCost(32), "eps": 4.0, "n_iter": 10}

    def count(X: np.ndarray, seed: int, scale: float) -> str:
        reached: list[int] = []

        def callback(t, value, *_):
            if value < target:
                reached.append(t)
                raise KeyboardInterrupt

        options = {"loss": "kl_reverse", "max_iter": 60, "random_state": seed, "weight_scale": scale}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wt.ConvergenceWarning)
            dictionary(settings, callback=callback, **options).fit(X)
        return str(reached[0]) if reached else "more than 60"

    for n in (200, 500, 1000, 2000, 20_000, 100_000):
        if n > largest:
            continue
        seeds = range(3 if n <= 2000 else 1)
        data = [mixtures(n, seed, atoms, settings) for seed in seeds]
        found = ", ".join(count(X, seed, 1.0) for X, seed in zip(data, seeds))
        before = count(data[0], 0, 8 / n**0.5) if 256 < n <= 2000 else "not run" if n > 2000 else "the same"
        print(
            f"steps of L-BFGS to a loss of {target:g}, n={n}: {found}; by the scale of version 0.1: {before}",
            flush=True,
        )


def scenes(only: str = "", seconds: float = 30.0, every: int = 4) -> None:
    """WaHU's converged objective on every fourth band of four scenes, or of the one named ("samson"): minibatches of 25,
    and full fits of 500 pixels by Adam and by projection, at equal CPU, judged on pixels that neither saw."""
    real = {
        "teaching scene": (wt.datasets.make_teaching_scene, 4),
        "Salinas A": (wt.datasets.load_salinas_a, 4),
        "Samson": (wt.datasets.load_samson, 3),
        "Jasper Ridge": (wt.datasets.load_jasper_ridge, 4),
    }
    warnings.simplefilter("ignore", wt.ConvergenceWarning)
    wt.wahu(BANDS, max_iter=1, recommended=True).fit(PEAKS)  # what is imported late is there
    for name, (load, n_atoms) in real.items():
        if only.lower() not in name.lower():
            continue
        scene = load()
        pixels = np.asarray(scene.pixels(), dtype=float)[:, ::every]
        p = wt.normalize(pixels - min(0.0, pixels.min()) + 1e-9)
        order = np.random.default_rng(0).permutation(len(p))
        held, rest = p[order[:200]], p[order[200:]]
        nm = np.arange(len(pixels[0]), dtype=float) if scene.wavelengths is None else scene.wavelengths[::every]
        spent = []
        fresh = {"recommended": True, "n_atoms": n_atoms, "random_state": 0, "n_jobs": 1}
        adam = {"solver": "adam", "learning_rate": 0.1, "betas": (0.9, 0.99), "init_weights": "near"}
        projection = {"solver": "projection", "learning_rate": 0.05, "betas": (0.5, 0.99), "init_weights": "lattice"}
        batches = {"solver": "minibatch", "batch_size": 25, "learning_rate": 0.1, "betas": (0.9, 0.99)}
        for kind, rows in ((adam, rest[:500]), (projection, rest[:500]), (batches, save(rest))):
            make = fresh | kind

            def timed(steps, make=make, rows=rows, nm=nm):
                """A fit, its CPU seconds, and those at the end of each step."""
                start, ends = time.process_time(), []
                model = wt.wahu(nm, max_iter=steps, **make)
                model.callback = lambda *_: ends.append(time.process_time() - start)
                model.fit(rows)
                return model, time.process_time() - start, ends

            ends = timed(3)[2]
            first, each = ends[0], (ends[-1] - ends[0]) / (len(ends) - 1)
            model, cost, _ = timed(max(1, round((seconds - first) / each)))
            size = model.batch_size if kind is batches else len(rows)
            told = f"{cost:.0f} CPU s, {model.n_iter_} steps"
            spent.append(f"{model.solver} {size}: {-model.score(held):.5f} ({told})")
        print(f"{name}, {p.shape[1]} bands: held-out loss, " + "; ".join(spent), flush=True)


def save(X: np.ndarray) -> np.ndarray:
    path = Path(tempfile.mkdtemp()) / "x.npy"
    np.save(path, X)
    return np.load(path, mmap_mode="r")


def memmap(n: int = 500_000, limit: int = 600) -> None:
    """Fit, transform, score, save and resume a memory map under a limit of memory beyond what the imports take."""
    with tempfile.TemporaryDirectory() as folder:
        path, few = Path(folder) / "x.npy", mixtures(5000, 0, PEAKS, LINE_SETTINGS)
        X = np.lib.format.open_memmap(path, "w+", shape=(n, 64))
        for start in range(0, n, 5000):
            X[start : start + 5000] = few
        del X
        X = np.load(path, mmap_mode="r")
        used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (used + limit * 2**20, resource.RLIM_INFINITY))
        settings = LINE_SETTINGS | {"loss": "quadratic", "n_iter": 2}
        kept = Path(folder) / "kept.npz"
        options = {"solver": "minibatch", "max_iter": 30, "checkpoint": kept, "checkpoint_every": 10}
        whole = dictionary(settings, **(options | {"checkpoint": None})).fit(X)
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wt.ConvergenceWarning)
            dictionary(settings, **options, callback=after(15)).fit(X)
            again = dictionary(settings, **options).fit(X)
        out = np.lib.format.open_memmap(Path(folder) / "w.npy", "w+", shape=(n, 4))
        again.transform(X, tol=1e-2, out=out)
        score = again.score(X[: n // 10], tol=1e-2)
        again.set_params(n_iter=50).transform(X[:5000], tol=1e-3)  # as by default: the same memory, and some ms a pixel
        again.save(Path(folder) / "model.npz")
        same = np.array_equal(again.atoms_, whole.atoms_)
        print(
            f"memmap of {n} x 64 ({n * 512 / 1e6:.0f} MB) under {limit} MB beyond the imports: fit, stopped, resumed to the "
            f"bit ({same}), transform, score {score:.2e}, save; {time.process_time() - start:.0f} CPU s, kept "
            f"{kept.stat().st_size} bytes"
        )


def after(step: int):
    def callback(iteration, *_):
        if iteration == step:
            raise KeyboardInterrupt

    return callback


def zarr(n: int = 1_000_000) -> None:
    """A zarr of n pixels: minibatch fit, lazy weights to zarr on two workers; memory of the driver and of the workers."""
    import dask.array as da
    import distributed
    import zarr as files

    with tempfile.TemporaryDirectory() as folder:
        few = mixtures(5000, 0, PEAKS, LINE_SETTINGS)
        held = files.create_array(Path(folder) / "x.zarr", shape=(n, 64), chunks=(10_000, 64), dtype="f8")
        for start in range(0, n, 10_000):
            held[start : start + 10_000] = np.concatenate([few, few])[: n - start]
        settings = LINE_SETTINGS | {"loss": "quadratic", "n_iter": 2}
        with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
            with distributed.Client(cluster) as client:
                X = da.from_zarr(str(Path(folder) / "x.zarr"))
                start, before = time.perf_counter(), traffic()
                model = dictionary(settings, solver="minibatch", max_iter=30).fit(X)
                model.transform(X, tol=1e-2).to_zarr(str(Path(folder) / "w.zarr"))
                moved, seconds = traffic() - before, time.perf_counter() - start
                peaks = client.run(worker_peak)
        weights = files.open_array(Path(folder) / "w.zarr")
        gap = np.abs(np.asarray(weights[:200]) - model.transform(few[:200], tol=1e-2)).max()
        print(
            f"zarr of {n} x 64: fit and lazy transform to zarr, {moved / 1e6:.1f} MB shipped, {seconds:.0f} s; driver "
            f"{peak_mb():.0f} MB, workers {', '.join(f'{m:.0f}' for m in peaks.values())} MB; weights agree to {gap:.1e}"
        )


def worker_peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def unmix(side: int = 1000) -> None:
    """Memory beyond the cube, and what a pixel costs beside the fit of a hundred."""
    few = mixtures(5000, 0, PEAKS, LINE_SETTINGS)
    options = {"n_training": 100, "max_iter": 3, "n_iter": 2, "loss": "quadratic", "locality": 0.0}
    fit = min(unmixed(few[:100].reshape(10, 10, 64), options)[0] for _ in range(3))
    for rows, cols in ((32, 32), (100, 100), (320, 320), (side, side)):
        cube = np.resize(few, (rows * cols, 64)).reshape(rows, cols, 64)
        seconds, more = min(unmixed(cube, options) for _ in range(5 if rows < 100 else 1))
        cost, size = (seconds - fit) / (rows * cols - 100), cube.nbytes / 2**20
        print(
            f"unmix of {rows} x {cols} x 64 ({size:.0f} MB): {more:.0f} MB more ({more / size:.2f} of the cube), "
            f"{1e6 * cost:.0f} us a pixel beside {fit:.1f} s of fit",
            flush=True,
        )


def unmix_zarr(side: int = 500) -> None:
    """A cube in a zarr to maps in a zarr, and the memory that this takes."""
    import zarr as files

    few = mixtures(5000, 0, PEAKS, LINE_SETTINGS)
    options = {"n_training": 100, "max_iter": 3, "n_iter": 2, "loss": "quadratic", "locality": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        shape, rows = (side, side, 64), np.resize(few, (20 * side, 64)).reshape(20, side, 64)
        cube = files.create_array(Path(folder) / "x.zarr", shape=shape, chunks=rows.shape, dtype="f8")
        for start in range(0, side, 20):
            cube[start : start + 20] = rows
        before, start = peak_mb(), time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = wt.unmix(cube, "wahu", 4, **options)
        maps = files.create_array(Path(folder) / "w.zarr", data=found.abundances, chunks=(20, side, 4))
        seconds, more = time.process_time() - start, peak_mb() - before
        same = np.array_equal(maps[:20], found.apply(rows).abundances)
        size = side * side * 512 / 2**20
        print(
            f"unmix of a zarr of {side} x {side} x 64 ({size:.0f} MB) to a zarr of maps: {more:.0f} MB, {seconds:.0f} s; "
            f"as its first rows in memory: {same}"
        )


def unmixed(cube: np.ndarray, options: dict) -> tuple[float, float]:
    """CPU seconds of one run, and MB at its peak beyond what was there before."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak
    before, start = peak_mb(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wt.unmix(cube, "wahu", 4, **options)
    return time.process_time() - start, peak_mb() - before


def land() -> None:
    """LAND on representatives beside the exact one: Salinas A, and its tiling; what a million pixels would take."""
    from bench_land import features

    warnings.filterwarnings("ignore", message="the graph falls into")
    for kind, search, counts, seeds in (("small", "exact", (500, 1000, 2000), 5), ("tiled", "cells", (2000, 4000), 3)):
        X, truth = features(kind)
        counted, everything = truth > 0, np.arange(len(X))
        before, start = peak_mb(), time.process_time()
        exact = labelled(wt.LAND(search=search).fit(X), truth, everything)
        seconds, more = time.process_time() - start, peak_mb() - before
        right = (exact == truth)[counted].mean()
        print(f"LAND, exact, {len(X)} pixels: {right:.3f} right with ten labels, {seconds:.1f} CPU s, {more:.0f} MB")
        for few in counts:
            found, costs = [], []
            for seed in range(seeds):
                start = time.process_time()
                held = wt.diffusion.representatives(X, few, random_state=seed)
                drawn = time.process_time() - start
                k = max(10, round(100 * min(1.0, few / 7138)))
                part = wt.LAND(n_neighbors=k, n_density_neighbors=max(5, k // 5)).fit(X[held.rows])
                mine = labelled(part, truth, held.rows)[held.nearest]
                found.append(((mine == truth)[counted].mean(), (mine == exact).mean()))
                costs.append((drawn, time.process_time() - start - drawn))
            (right, agree), (drawn, rest) = np.median(found, axis=0), np.median(costs, axis=0)
            low, high = min(found)[0], max(found)[0]
            print(
                f"  {few} representatives: {right:.3f} right ({low:.3f} to {high:.3f}), {agree:.3f} as the exact; "
                f"{drawn + rest:.2f} CPU s; a million pixels {1e6 * drawn / len(X) + rest:.0f}",
                flush=True,
            )
    before = peak_mb()
    wt.diffusion.representatives(X, 4000)
    print(f"  memory of 4000 representatives of {len(X)} pixels: {peak_mb() - before:.0f} MB beyond the peak before")


def labelled(land: wt.LAND, truth: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return land.predict({int(i): int(truth[rows[i]]) for i in land.query(10, truth[rows] > 0)})


def killed(times: int = 5) -> None:
    """A worker killed at random moments within a fit changes no bit of it."""
    import distributed

    X = mixtures(2000, 0, PEAKS, LINE_SETTINGS)
    settings = LINE_SETTINGS | {"loss": "quadratic", "n_iter": 20}

    def timed(n_jobs: int) -> tuple[np.ndarray, float]:
        start = time.perf_counter()
        return dictionary(settings, max_iter=20, n_jobs=n_jobs).fit(X).atoms_, time.perf_counter() - start

    alone = timed(1)[0]
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client, joblib.parallel_config(backend="dask"):
            timed(2)  # the first imports what it needs
            length = timed(2)[1]
            print(f"a fit that nobody disturbs takes {length:.1f} s", flush=True)
            rng = np.random.default_rng(0)
            for share in np.sort(rng.uniform(0.0, 1.0, times)):
                client.wait_for_workers(2)
                pid = list(client.run(os.getpid).values())[rng.integers(2)]
                timer = threading.Timer(share * length, os.kill, (pid, signal.SIGKILL))
                timer.start()
                atoms, seconds = timed(2)
                within = timer.finished.is_set()
                timer.cancel()
                print(
                    f"killed after {share * length:.1f} s of {seconds:.1f} (within the fit: {within}): same bits "
                    f"{np.array_equal(atoms, alone)}",
                    flush=True,
                )


if __name__ == "__main__":
    for part in sys.argv[1:] or ["shipped", "transform"]:
        name, _, argument = part.partition("=")
        globals()[name](*([int(argument) if argument.isdigit() else argument] if argument else []))
