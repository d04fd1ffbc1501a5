"""Five methods on Samson and Jasper Ridge over five seeds: errors of abundances, endmembers and reconstruction, and time.

    WDL_TUTORIAL_DATA=folder python benchmarks/bench_scenes.py [samson] [jasper_ridge] [--seeds 5] [--json PATH]
    WDL_TUTORIAL_DATA=folder python benchmarks/bench_scenes.py salinas_a     WaHU: the whole scene to maps in one call

With ``--json`` every run is kept as soon as it is done, and a second call goes on from there.

No method sees the truth, and both scenes get the same settings: VCA's endmembers for FCLS and NNLS, random starts for NMF,
WaHU as in its paper's Fig. 3 (p = 1, eps = .05, rho = .01, k-means++ atoms) but with weights by distance and 50 steps of
L-BFGS, on N_TRAINING random pixels, fractions of light turned into fractions of area; ID-Net with the defaults it has
anywhere. WaHU is slow: it unmixes every EVERY-th row and column, and is judged there (--whole: all pixels, about four times
as long). A seed draws VCA's directions, NMF's start, WaHU's pixels and atoms, and the networks.

How to read it: rmse_a of the abundances, angle_m (radians) the mean spectral angle of the endmembers after alignment (of
ID-Net, of their mean over the pixels), nrmse_y of the reconstruction, seconds of wall clock, and of CPU, on one thread.
**Samson's abundances are circular**: non-negative least squares with the file's own endmembers, each scaled to a maximum of
one, divided by the sum, gives them to .002 (printed below). They reward that recipe; judge by the angle there. Jasper
Ridge's truth is not circular.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from pathlib import Path

import wdl_tutorial as wt
from wdl_tutorial.iterate import ConvergenceWarning
from wdl_tutorial.unmixing import Comparison

SCENES = {"samson": wt.datasets.load_samson, "jasper_ridge": wt.datasets.load_jasper_ridge}
N_TRAINING = 300
METHODS = {
    "fcls": {},
    "nnls": {},
    "nmf": {},
    "wahu": {
        "n_training": N_TRAINING,
        "init_weights": "near",
        "solver": "lbfgs",
        "max_iter": 50,
        "area": True,
        "n_jobs": 1,
    },
    "idnet": {},
}
EVERY = 2
SHOWN = ("rmse_a", "angle_m", "nrmse_y", "seconds", "cpu_seconds")


def thinned(scene, step: int):
    """Every ``step``-th row and column of a scene."""
    here = (slice(None, None, step), slice(None, None, step))
    mask = None if scene.mask is None else scene.mask[here]
    return scene._replace(cube=scene.cube[here], abundances=scene.abundances[here], mask=mask)


def run(scene, methods, seeds, kept: list[dict], keep, *, whole: bool) -> list[dict]:
    """The rows of every method and seed, those in ``kept`` as they are; ``keep`` is called after every new one."""
    done = {(row["method"], row["seed"]): row for row in kept}
    for method in methods:
        for seed in seeds:
            if (method, seed) not in done:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always", ConvergenceWarning)
                    seen = thinned(scene, EVERY) if method == "wahu" and not whole else scene
                    start = time.process_time()
                    found = wt.compare(seen, {method: METHODS[method]}, random_state=seed)
                done[method, seed] = found.rows[0] | {"cpu_seconds": time.process_time() - start}
                keep(list(done.values()))
                for warning in caught:
                    print(f"{method}, seed {seed}: {warning.message}", flush=True)
    return [done[method, seed] for method in methods for seed in seeds]


def table(rows) -> str:
    shown = ({k: row[k] for k in ("method", "seed", *SHOWN) if k in row} for row in rows)
    return str(Comparison(tuple(shown)))


def salinas_a() -> None:
    """All 7138 pixels to maps with everything at its default, a bar shown; and the weights alone, once more."""
    scene = wt.datasets.load_salinas_a()
    found = wt.unmix(scene, method="wahu", n_endmembers=4, verbose=True)
    light = scene.pixels()
    start = time.perf_counter()
    found.model.transform(wt.normalize(light + max(0.0, -light.min())))
    alone = time.perf_counter() - start
    shown = {k: round(v, 4) for k, v in found.diagnostics.items()}
    print(f"Salinas A {scene.cube.shape} to maps {found.abundances.shape}: {shown}")
    print(f"of which the weights of {len(light)} pixels: {alone:.1f} s", flush=True)


def circularity(scene) -> None:
    """How near normalised NNLS with the file's own endmembers comes to the file's own abundances."""
    given = wt.unmix(scene, "nnls", endmembers=scene.endmembers)
    error = wt.metrics.rmse(scene.abundances, given.abundances)
    print(f"normalised NNLS with the truth's own endmembers: rmse_a {error:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", choices=[[], *SCENES, "salinas_a"], help="the first two if none is named")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="keep every run here, and go on from it")
    parser.add_argument("--whole", action="store_true", help="let WaHU unmix every pixel")
    args = parser.parse_args()
    held = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
    for name in args.scenes or SCENES:
        if name == "salinas_a":
            salinas_a()
            continue
        scene = SCENES[name]()

        def keep(rows, name=name) -> None:
            held[name] = rows
            if args.json:
                part = args.json.with_suffix(".part")
                part.write_text(json.dumps(held, indent=1))
                os.replace(part, args.json)

        rows = run(scene, args.methods, range(args.seeds), held.get(name, []), keep, whole=args.whole)
        print(f"\n{scene.name}: {scene.cube.shape}, {len(scene.endmembers)} endmembers; median (range) of {args.seeds}")
        circularity(scene)
        print(table(rows), flush=True)


if __name__ == "__main__":
    main()
