"""``wt.mixing_test`` on areal mixtures, where nothing moves, and on bands that moved: how often does it say "moved"?

    python benchmarks/bench_mixing.py

Both kinds are made from the teaching scene's outcrop, at the scene's noise (40 dB). The negative control mixes noise-free
means of the western and the eastern edge, by area; the bands that moved are the scene's own pixels between the edges.
First comes the short test that chapter 14 writes down, on the same controls: with no margin, and with its margin of .8.
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


def moved(a, b, ts, nm):
    """The exact barycenters of two histograms on the bands, a row for each of ``ts``: their quantiles are averaged."""
    middle = (nm[1:] + nm[:-1]) / 2
    edges = np.concatenate([[2 * nm[0] - middle[0]], middle, [2 * nm[-1] - middle[-1]]])
    A, B = (np.append(0, np.cumsum(wt.normalize(h + 1e-9))) for h in (a, b))
    levels = np.union1d(A, B)
    ends = np.interp(levels, A, edges), np.interp(levels, B, edges)
    return np.stack([np.diff(np.interp(edges, (1 - t) * ends[0] + t * ends[1], levels)) for t in ts])


def by_hand(nm, pixels, shift, noise) -> None:
    """Chapter 14's test: in percent, how many of 250 areal mixtures are nearer to the barycenter."""
    west, east = (np.maximum(part, 1e-3).mean(axis=0) for part in (pixels[shift < 3], pixels[shift > 27]))
    depths = wt.continuum_removed(np.maximum(pixels, 1e-3), nm)
    a, b = (wt.normalize(depths[where].mean(axis=0)) for where in (shift < 3, shift > 27))
    ts = np.linspace(0, 1, 101)
    lines, curves = np.outer(1 - ts, a) + np.outer(ts, b), moved(a, b, ts, nm)
    for level in (0.0, noise):
        just, margin = [], []
        for seed in range(5):
            rng = np.random.default_rng(seed)
            t = rng.random((250, 1))
            areal = (1 - t) * west + t * east + level * rng.standard_normal((250, nm.size))
            x = wt.normalize(wt.continuum_removed(np.maximum(areal, 1e-3), nm))[:, None]
            linear, barycenter = (np.abs(x - family).sum(axis=-1).min(axis=1) for family in (lines, curves))
            just.append(100 * np.mean(barycenter < linear))
            margin.append(100 * np.mean(barycenter < 0.8 * linear))
        told = (
            f"{min(just):.0f} to {max(just):.0f} % just nearer, {min(margin):.1f} to {max(margin):.1f} % by the margin"
        )
        print(f"by hand, areal, noise {level:.4f}, five seeds: {told}")


def main() -> tuple[float, float]:
    nm, pixels, shift, noise = outcrop()
    by_hand(nm, pixels, shift, noise)
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
