"""The published cubes of ID-Net, read from files laid out as its public code reads them (the real ones are not here)."""

import numpy as np
import pytest
from scipy.io import savemat

from wdl_tutorial import datasets


def written(folder, name, rng, **changes):
    rows, cols, p, n_bands = 4, 5, 3, 12
    maps = rng.dirichlet(np.ones(p), (rows, cols))
    mean = rng.random((p, n_bands)) + 0.1
    columns = lambda x: np.swapaxes(x, 0, 1).reshape(rows * cols, *x.shape[2:])  # noqa: E731  MATLAB's order
    if name == "DC1":
        cube = maps @ mean
        for i in range(p):
            for j in range(i):
                cube = cube + maps[..., [i]] * maps[..., [j]] * mean[i] * mean[j]
        content = {"Mth": mean.T, "Y": columns(cube).T, "A_cube": maps}
        own = None
    else:
        own = mean * rng.uniform(0.5, 1.5, (rows, cols, p, 1))
        cube = (maps[..., None, :] @ own)[..., 0, :]
        content = {"Mth": columns(own).transpose(2, 1, 0), "Y": columns(cube).T, "A_cube": maps, "M_avg": mean.T}
    (folder / "idnet").mkdir()
    savemat(folder / "idnet" / {"DC1": "data_ex_nl1.mat", "DC2": "alldata_ex_DC2.mat"}[name], content | changes)
    return cube, maps, mean, own


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WDL_TUTORIAL_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["DC1", "DC2"])
def test_a_published_cube_is_read_with_its_pixels_in_place(name, folder, rng):
    assert not datasets.idnet_cube_available(name)
    cube, maps, mean, own = written(folder, name, rng)
    scene = datasets.load_idnet_cube(name)
    assert datasets.idnet_cube_available(name)
    np.testing.assert_allclose(scene.cube, cube, atol=1e-12)
    np.testing.assert_allclose(scene.abundances, maps, atol=1e-12)
    np.testing.assert_allclose(scene.endmembers, mean, atol=1e-12)
    if own is not None:
        np.testing.assert_allclose(scene.extra["pixel_endmembers"], own, atol=1e-12)
    assert "sha256" in scene.notes[0] and len(scene.notes[0].split()[-1]) == 64


def test_a_cube_that_is_not_here_says_where_to_fetch_it(folder):
    with pytest.raises(FileNotFoundError, match=r"alldata_ex_DC2.mat is needed .*10.5281/zenodo.8360465"):
        datasets.load_idnet_cube("DC2")
    with pytest.raises(ValueError, match="name must be 'DC1' or 'DC2'; got 'DC3'"):
        datasets.load_idnet_cube("DC3")


def test_pixels_in_another_order_are_refused(folder, rng):
    content = {"Y": rng.random((12, 20))}
    written(folder, "DC1", rng, **content)
    with pytest.raises(ValueError, match="do not belong together"):
        datasets.load_idnet_cube("DC1")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"A_cube": np.full((4, 5, 3), 0.4)}, "on the simplex"),
        ({"Y": np.ones((12, 21))}, r"must be \(n_bands, 20\)"),
        ({"Mth": np.ones((12, 2))}, "Mth"),
        ({"Y": np.full((12, 20), np.nan)}, "NaN"),
    ],
)
def test_a_file_of_another_layout_is_told(changes, message, folder, rng):
    written(folder, "DC1", rng, **changes)
    with pytest.raises(ValueError, match=message):
        datasets.load_idnet_cube("DC1")
