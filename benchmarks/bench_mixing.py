"""``wt.mixing_test`` on areal mixtures, where nothing moves, and on bands that moved: how often does it say "moved"?

    python benchmarks/bench_mixing.py

Both kinds are made from the teaching scene's outcrop, at the scene's noise (40 dB). The negative control mixes noise-free
means of the western and the eastern edge, by area; the bands that moved are the scene's own pixels between the edges.
"""

from __future__ import annotations

import time

import numpy as np

import wdl_tutorial as wt

N = 200


def outcrop() -> tuple:
    """Window, spectra of the outcrop in it, how far the band of each has moved, and the noise of the scene."""
    scene = wt.datasets.make_teaching_scene()
    scene = scene.drop_bands(scene.extra["bad_band"])
    window = scene.wavelengths >= 2200
    where = scene.extra["regions"]["outcrop"]
    noise = np.sqrt(np.mean(scene.pixels() ** 2) / 10**4)  # 40 dB
    return scene.wavelengths[window], scene.cube[where][:, window], scene.extra["shift_nm"][where], noise


def told(what: str, found: wt.trust.MixingTest) -> None:
    said = [found.verdicts.count(word) / len(found.verdicts) for word in ("moved", "cannot tell", "side by side")]
    nearer = np.mean(found.barycenter < found.linear)
    print(f"{what:40}" + "".join(f"{100 * share:14.1f} %" for share in (*said, nearer)))


def main() -> tuple[float, float]:
    nm, pixels, shift, noise = outcrop()
    west, east = pixels[shift < 3].mean(axis=0), pixels[shift > 27].mean(axis=0)
    heads = ("moved", "cannot tell", "side by side", "just nearer")
    print(f"noise {noise:.4f} of reflectance, margin .8     " + "".join(f"{head:>14}  " for head in heads))
    alarms, between = [], pixels[(shift > 5) & (shift < 25)][:N]
    started = time.process_time()
    for level in (0.0, noise):
        for seed in range(3):
            rng = np.random.default_rng(seed)
            t = rng.random((N, 1))
            areal = (1 - t) * west + t * east + level * rng.standard_normal((N, nm.size))
            found = wt.mixing_test(areal, west, east, nm, noise=level)
            told(f"{N} areal mixtures, noise {level:.4f}, seed {seed}", found)
            alarms.append(found.verdicts.count("moved") / N)
    found = wt.mixing_test(between, west, east, nm)
    told(f"{len(between)} bands that moved", found)
    print(
        f"noise as estimated {found.noise:.4f}; of all: {found.verdict}; false alarms {100 * found.false_alarms:.1f} %"
    )
    print(f"{time.process_time() - started:.1f} CPU seconds for 7 tests, each with 1000 simulated mixtures")
    return max(alarms), found.verdicts.count("moved") / len(between)


if __name__ == "__main__":
    worst, hits = main()
    assert worst <= 0.02 and hits >= 0.6, (worst, hits)
