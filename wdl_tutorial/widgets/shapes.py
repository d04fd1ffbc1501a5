"""The histograms and pictures that the demos start with."""

from __future__ import annotations

import functools

import numpy as np


def gaussian(x: np.ndarray, mean: float, std: float) -> np.ndarray:
    """A Gaussian on the positions ``x``, summing to one."""
    p = np.exp(-0.5 * ((x - mean) / std) ** 2)
    return p / p.sum()


def line_shapes() -> np.ndarray:
    """Three bumps on 101 positions from 0 to 200, shape (3, 101)."""
    x = np.linspace(0, 200, 101)
    return np.stack([gaussian(x, 30, 5), gaussian(x, 75, 9), gaussian(x, 170, 6)])


def plane_shapes(size: int = 32, supersample: int = 6) -> np.ndarray:
    """A ring, a cross and two discs, shape (3, size * size): each sums to one, edges smoothed by supersampling."""
    n = size * supersample
    axis = (np.arange(n) + 0.5) / n * 2 - 1
    x, y = np.meshgrid(axis, axis)
    radius = np.hypot(x, y)
    ring = (radius > 0.42) & (radius < 0.68)
    diagonals = np.minimum(abs(x + y), abs(x - y)) < 0.17
    cross = diagonals & (np.maximum(abs(x), abs(y)) < 0.62)
    discs = (np.hypot(x - 0.45, y - 0.3) < 0.27) | (np.hypot(x + 0.45, y + 0.3) < 0.27)
    images = np.stack([ring, cross, discs]).astype(float)
    small = images.reshape(3, size, supersample, size, supersample).mean(axis=(2, 4)).reshape(3, -1)
    return small / small.sum(axis=1, keepdims=True)


@functools.cache
def minerals() -> tuple[np.ndarray, list[str], np.ndarray]:
    """Three mineral spectra of the embedded sample between 2050 and 2450 nm, their names, and their bands in nm."""
    from ..datasets import load_usgs_sample

    sample = load_usgs_sample("swir")
    bands = (sample.wavelengths >= 2050) & (sample.wavelengths <= 2450)
    rows = [sample.names.index(name) for name in ("kaolinite", "montmorillonite", "muscovite, low Al")]
    return sample.spectra[rows][:, bands], ["kaolinite", "montmorillonite", "muscovite"], sample.wavelengths[bands]


@functools.cache
def twelve_histograms() -> tuple[np.ndarray, list[float]]:
    """Twelve bumps on the way from one to another, shape (12, 64); the mean L1 errors of PCA and NMF with two components.

    They are the displacement interpolations between Gaussians at 14 (sd 3) and 48 (sd 5): Gaussians again.
    """
    from ..linear import nmf, pca

    bins = np.arange(64)
    ts = np.linspace(0.0, 1.0, 12)
    data = np.stack([gaussian(bins, 14 + 34 * t, 3 + 2 * t) for t in ts])
    fits = (pca(data, 2).reconstruct(), nmf(data, 2, random_state=0).reconstruct())
    errors = [float(np.abs(fit - data).sum(axis=1).mean()) for fit in fits]
    return data, errors


@functools.cache
def shaded_minerals() -> tuple[np.ndarray, list[str], np.ndarray]:
    """Alunite, muscovite and buddingtonite of the embedded sample from 1950 nm on, their names, and their bands in nm."""
    from ..datasets import load_usgs_sample

    sample = load_usgs_sample("swir")
    rows = [sample.names.index(name) for name in ("alunite", "muscovite, low Al", "buddingtonite")]
    return sample.spectra[rows], ["alunite", "muscovite", "buddingtonite"], sample.wavelengths


@functools.cache
def clouded_scene(rows: int = 20, cols: int = 26) -> tuple[np.ndarray, np.ndarray]:
    """Fractions of three minerals that vary gently around (0.5, 0.3, 0.2), shape (rows, cols, 3), and how much of each
    pixel's light a cloud changes: 1 in its middle, 0 outside, shape (rows, cols)."""
    up, across = np.mgrid[:rows, :cols] / np.array([rows - 1, cols - 1])[:, None, None]
    wave = np.stack([np.sin(5 * across + 3 * up), np.sin(4 * up - 6 * across + 1), np.sin(7 * up + 2 * across + 2)], -1)
    fractions = np.array([0.5, 0.3, 0.2]) * (1 + 0.3 * wave)
    distance = np.hypot((across - 0.52) / 0.33, (up - 0.5) / 0.36)
    cloud = 1 / (1 + np.exp((distance - 1) / 0.05))
    return (fractions / fractions.sum(-1, keepdims=True)).round(3), cloud.round(2)
