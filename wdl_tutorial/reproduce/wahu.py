"""Fullenbaum et al. (2024), hyperspectral unmixing by Wasserstein dictionaries (WaHU): its three figures."""

from __future__ import annotations

import numpy as np

from .. import LineCost, barycenter, linear_mixture, normalize
from .table import NOT, REPRODUCED, Numbers, Part, Row

PAPER = "WaHU"


def _peaks(histogram: np.ndarray) -> int:
    inner = histogram[1:-1]
    high = inner > 0.01 * histogram.max()
    return int(np.sum((inner > histogram[:-2]) & (inner >= histogram[2:]) & high))


def two_averages(part: Part, quick: bool) -> Numbers:
    """Fig. 1: linear mixtures and entropic 2-Wasserstein barycenters of N(50, 5) and N(130, 10), 51 weights."""
    bins = np.arange(200.0)
    atoms = normalize(np.exp(-0.5 * ((bins - [[50], [130]]) / [[5], [10]]) ** 2))
    t = np.arange(51) / 50
    weights = np.stack([1 - t, t], axis=1)
    cost = LineCost(bins, power=2, scale=1 / 199**2)
    found = barycenter(atoms, weights, cost, eps=1e-3).histogram
    mean = found @ bins
    sd = np.sqrt(np.sum(found * (bins - mean[:, None]) ** 2, axis=1))
    gauss = normalize(np.exp(-0.5 * ((bins - mean[:, None]) / sd[:, None]) ** 2))
    return {
        "mixture_peaks": min(_peaks(h) for h in linear_mixture(atoms, weights[1:-1])),
        "barycenter_peaks": max(_peaks(h) for h in found),
        "off_gaussian": np.abs(found - gauss).sum(axis=1).max(),
        "width_at_0": sd[0],
    }


def _one_peak(found: Numbers) -> str:
    right = found["mixture_peaks"] == 2 and found["barycenter_peaks"] == 1 and found["off_gaussian"] < 1e-4
    return REPRODUCED if right else NOT


ROWS = [
    Row(
        PAPER,
        "Figure 1",
        "Linear mixtures of two Gaussians have two modes; their entropic barycenters stay Gaussian.",
        "Mixtures: {mixture_peaks} peaks; barycenters: {barycenter_peaks}, at most {off_gaussian:.0e} (L1) from a Gaussian. "
        "At weight one the width is {width_at_0:.2f} bins, not 5: the blur of eps = .001.",
        _one_peak,
        "",
        two_averages,
    ),
]
