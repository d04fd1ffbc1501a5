"""The backends: every numerical test takes ``xp`` and runs on each of them."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import numpy as np
import pytest

from wdl_tutorial._array import to_backend, to_numpy

BACKENDS = ["numpy", "numpy-readonly", "array_api_strict", "torch", "cupy"]


class Backend:
    """One backend: ``xp.array(x)`` makes its float array from anything, ``xp.numpy(x)`` brings it back."""

    def __init__(self, name: str):
        self.name = name
        if name in ("array_api_strict", "torch", "cupy"):
            self.module = pytest.importorskip(name, exc_type=ImportError)
        else:
            self.module = np
        self._like = None

    def array(self, x, dtype=None):
        host = np.array(to_numpy(x) if not isinstance(x, list | tuple | float | int) else x, dtype=dtype or np.float64)
        if self.name == "numpy-readonly":
            host.flags.writeable = False
            return host
        if self.name == "numpy":
            return host
        return to_backend(host, self.module.asarray(np.zeros(1, dtype=host.dtype)))

    @staticmethod
    def numpy(x) -> np.ndarray:
        return to_numpy(x)

    def __repr__(self) -> str:
        return self.name


@pytest.fixture(params=BACKENDS)
def xp(request) -> Backend:
    if request.param == "cupy" and importlib.util.find_spec("cupy") is None:
        pytest.skip("CuPy is not installed")
    return Backend(request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240611)


@pytest.fixture
def real_data() -> Path:
    """The folder of real scenes; tests that need one skip where it is missing."""
    folder = os.environ.get("WDL_TUTORIAL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("WDL_TUTORIAL_DATA does not name a folder of real scenes")
    return Path(folder)


def random_histograms(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Positive random points of the simplex along the last axis."""
    x = rng.random(shape) + 0.05
    return x / x.sum(-1, keepdims=True)


def gaussian(n_bins: int, mean: float, std: float) -> np.ndarray:
    """A Gaussian on the bins 0..n_bins-1, summing to one."""
    x = np.arange(n_bins)
    g = np.exp(-0.5 * ((x - mean) / std) ** 2)
    return g / g.sum()


def assert_close(actual, desired, *, atol: float = 0.0, rtol: float = 0.0) -> None:
    """As numpy.testing.assert_allclose, for arrays of any backend, with both tolerances explicit."""
    np.testing.assert_allclose(to_numpy(actual), to_numpy(desired), atol=atol, rtol=rtol)


@pytest.fixture
def one_thread():
    """torch on one thread while a small network trains: more of them only wait for each other."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
