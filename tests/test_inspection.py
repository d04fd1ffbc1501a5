"""Every fault that is planted is found, none that is not there, and mending takes it out."""

from __future__ import annotations

import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial.datasets import Scene


def clean(seed=0, shape=(40, 40)):
    rng = np.random.default_rng(seed)
    sample = wt.datasets.load_usgs_sample()
    scene = wt.datasets.make_bilinear_scene(shape=shape, n_endmembers=4, strength=0.0, snr_db=40, random_state=seed)
    keep = np.flatnonzero((sample.wavelengths < 1340) | (sample.wavelengths > 5000))
    return Scene("clean", scene.cube[..., keep] + 0.01 * rng.random(1), sample.wavelengths[keep])


PLANTED = {
    "fill": lambda c, rng: c.__setitem__((slice(0, 3), slice(0, 2)), -9999.0),
    "zeros": lambda c, rng: c.__setitem__((5, slice(0, 4)), 0.0),
    "missing values": lambda c, rng: c.__setitem__((6, 6, 3), np.nan),
    "dead bands": lambda c, rng: c.__setitem__((..., 12), 0.25),
    "broken bands": lambda c, rng: c.__setitem__((..., 30), rng.uniform(0, 0.8, c.shape[:2])),
    "stripes": lambda c, rng: c.__setitem__((slice(None), 7, slice(20, 24)), c[:, 7, 20:24] + 0.08),
    "saturated": lambda c, rng: c.__setitem__((9, slice(3, 6), slice(40, 45)), 1.4),
    "negative values": lambda c, rng: c.__setitem__((11, 11, slice(0, 2)), -0.01),
    "duplicates": lambda c, rng: c.__setitem__((slice(30, 33), slice(30, 33)), c[:3, 30:33]),
    "detector step": lambda c, rng: c.__setitem__((..., slice(60, None)), c[..., 60:] * 1.2),
    "counts": lambda c, rng: c.__imul__(1e4),
}


def names(inspection):
    return {found.name for found in inspection.findings}


def test_nothing_is_found_in_a_clean_cube():
    for seed in range(4):
        assert names(wt.inspect_cube(clean(seed))) == set()


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found_and_no_other(fault):
    scene = clean(1)
    cube = scene.cube.copy()
    PLANTED[fault](cube, np.random.default_rng(0))
    assert names(wt.inspect_cube(scene._replace(cube=cube))) == {fault}


def test_all_faults_at_once_are_found():
    scene, rng = clean(2), np.random.default_rng(0)
    cube = scene.cube.copy()
    for name in (
        "detector step",
        "stripes",
        "broken bands",
        "dead bands",
        "saturated",
        "duplicates",
        "negative values",
    ):
        PLANTED[name](cube, rng)
    for name in ("fill", "zeros", "missing values"):
        PLANTED[name](cube, rng)
    found = wt.inspect_cube(scene._replace(cube=cube))
    assert set(PLANTED) - {"counts"} <= names(found), found


def test_bands_and_pixels_are_named_by_their_numbers():
    scene = clean(1)
    cube = scene.cube.copy()
    for name in ("dead bands", "broken bands", "stripes", "fill"):
        PLANTED[name](cube, np.random.default_rng(0))
    found = wt.inspect_cube(scene._replace(cube=cube))
    assert found["dead bands"].bands.tolist() == [12] and found["broken bands"].bands.tolist() == [30]
    assert set(found["stripes"].bands.tolist()) == {20, 21, 22, 23}
    assert np.argwhere(found["fill"].pixels).tolist() == [[r, c] for r in range(3) for c in range(2)]
    assert "-9999 (6 pixels)" in found["fill"].words and "image: 7 (0-based)." in found["stripes"].words


def test_mending_takes_out_what_was_found_and_says_so():
    scene, rng = clean(2), np.random.default_rng(0)
    cube = scene.cube.copy()
    for name in ("stripes", "broken bands", "dead bands", "saturated", "fill", "zeros", "missing values"):
        PLANTED[name](cube, rng)
    spoilt = scene._replace(cube=cube)
    mended = wt.inspect_cube(spoilt).mend()
    assert names(wt.inspect_cube(mended)) <= {"no data", "wavelength gaps"}
    assert mended.cube.shape[-1] == scene.cube.shape[-1] - 2 and not mended.mask[0, 0] and not mended.mask[9, 3]
    assert sum(note.startswith("mended:") for note in mended.notes) >= 6
    back = mended.cube[12:, 7, 20 - 1 : 24 - 1] - scene.cube[12:, 7, 20:24]  # one band before them was dropped
    assert np.abs(back).mean() < 0.02
    np.testing.assert_array_equal(spoilt.cube, cube)


def test_only_what_is_named_is_mended():
    scene = clean(1)
    cube = scene.cube.copy()
    for name in ("dead bands", "fill"):
        PLANTED[name](cube, np.random.default_rng(0))
    found = wt.inspect_cube(scene._replace(cube=cube))
    assert found.mend("dead bands").mask is None and found.mend("dead bands").cube.shape[-1] == cube.shape[-1] - 1
    with pytest.raises(ValueError, match=r"\['stripes'\] was not found.*\['fill', 'dead bands'\]"):
        found.mend("stripes")


def test_the_teaching_scene_shows_its_broken_band_and_its_copies():
    scene = wt.datasets.make_teaching_scene()
    found = wt.inspect_cube(scene)
    assert found["broken bands"].bands.tolist() == [scene.extra["bad_band"]]
    assert "36 of 4096" in found["duplicates"].words


def test_salinas_shows_its_negative_values_copies_and_missing_bands(real_data):
    found = wt.inspect_cube(wt.datasets.load_salinas_a(download=False))
    assert "183 " in found["negative values"].words and "2340 of 7138" in found["duplicates"].words
    assert "1351.98 to 1411.74" in found["wavelength gaps"].words
    assert not {"fill", "zeros", "saturated", "stripes", "detector step", "dead bands"} & names(found)


def test_nothing_is_invented_in_samson_and_jasper_ridge(real_data):
    for load in (wt.datasets.load_samson, wt.datasets.load_jasper_ridge):
        found = names(wt.inspect_cube(load(download=False)))
        assert not {"fill", "zeros", "negative values", "counts", "stripes", "detector step", "dead bands"} & found


def test_noise_is_what_was_added():
    scene = clean(3)
    truth = np.sqrt(np.mean((scene.cube - 0.0) ** 2) / 1e4)
    noise = wt.inspect_cube(scene).noise
    assert 0.8 * truth < np.median(noise) < 1.25 * truth


@pytest.mark.parametrize(
    "scene,message",
    [
        (np.ones((3, 4)), "a cube"),
        (Scene("x", np.ones((3, 4, 5)), mask=np.zeros((3, 4), dtype=bool)), "no valid pixel"),
        (np.full((3, 4, 5), -9999.0), "all fill, zeros or missing"),
    ],
)
def test_what_cannot_be_inspected_is_told(scene, message):
    with pytest.raises(ValueError, match=message):
        wt.inspect_cube(scene)


def test_a_picture_marks_the_bands():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ax = wt.inspect_cube(wt.datasets.make_teaching_scene()).plot()
    assert "broken bands" in [text.get_text() for text in ax.get_legend().get_texts()]
    plt.close("all")


@pytest.mark.parametrize("n", [3, 4, 5])
def test_the_advised_number_is_that_of_the_materials_in_clean_scenes(n):
    scene = wt.datasets.make_bilinear_scene(shape=(45, 45), n_endmembers=n, strength=0.0, snr_db=40, random_state=n)
    found = wt.advise_n_endmembers(scene)
    assert found.n_endmembers == n and found.least <= n <= found.most
    assert repr(found).startswith(f"{n} endmembers")


def test_the_truth_of_real_scenes_lies_in_the_advised_range(real_data):
    for load, truth in ((wt.datasets.load_samson, 3), (wt.datasets.load_jasper_ridge, 4)):
        found = wt.advise_n_endmembers(load(download=False))
        assert found.least <= truth <= found.most and abs(found.n_endmembers - truth) <= 1


def test_too_few_pixels_are_not_counted_in():
    with pytest.raises(ValueError, match="12 valid pixels are too few"):
        wt.advise_n_endmembers(np.random.default_rng(0).random((3, 4, 9)))


@pytest.mark.parametrize("n", [2, 3])
def test_a_scene_without_noise_has_as_many_endmembers_as_directions(n):
    rng = np.random.default_rng(0)
    scene = wt.normalize(rng.random((8, 8, n))) @ (0.1 + rng.random((n, 20)))
    found = wt.advise_n_endmembers(scene)
    assert found.least <= n == found.most


@pytest.mark.parametrize(
    "ask", [wt.inspect_cube, wt.advise_n_endmembers, lambda scene: wt.estimate_run(scene, "fcls", 2)]
)
@pytest.mark.parametrize(
    "scene",
    [
        [[1.0, 2.0], [3.0]],
        np.ones((5, 6, 7), complex),
        np.full((5, 6, 7), "a"),
        np.ones((5, 6)),
        np.ones((5, 6, 0)),
        "a.hdr",
    ],
    ids=["ragged", "complex", "text", "two axes", "no bands", "a path"],
)
def test_what_is_no_cube_is_told_of_the_scene(ask, scene):
    with pytest.raises((ValueError, TypeError), match=r"\bscene\b"):
        ask(scene)


def test_a_tensor_that_tracks_gradients_is_a_cube_like_any_other():
    torch = pytest.importorskip("torch")
    cube = wt.datasets.make_bilinear_scene(shape=(10, 10), random_state=0).cube
    tracked = torch.tensor(cube, requires_grad=True)
    assert np.array_equal(wt.inspect_cube(tracked).noise, wt.inspect_cube(cube).noise)
    assert wt.advise_n_endmembers(tracked).n_endmembers == wt.advise_n_endmembers(cube).n_endmembers


def test_values_that_no_float_can_square_are_told_before_a_warning_leaks():
    cube = np.random.default_rng(0).random((6, 6, 8))
    cube[2, 3, 4] = 1e200
    with pytest.raises(ValueError, match=r"scene has 1e\+200 as its largest entry"):
        wt.inspect_cube(cube)


@pytest.mark.parametrize("seed", range(4))
def test_the_border_of_a_field_whose_pixels_are_mixed_is_no_stripe(seed):
    found = wt.inspect_cube(wt.datasets.make_teaching_scene(random_state=seed))
    assert [f.name for f in found.findings if f.bands is not None and f.name != "wavelength gaps"] == ["broken bands"]


def test_stripes_are_levelled_by_what_they_are_off_and_their_neighbours_stay():
    scene = clean(3, shape=(50, 50))
    cube = scene.cube * np.linspace(1.0, 0.4, 50)[:, None]  # in a light that fades
    before = cube.copy()
    cube[:, 17, 60:90] += 0.06
    cube[:, 41, 60:90] -= 0.05
    found = wt.inspect_cube(scene._replace(cube=cube))
    assert "17, 41 (0-based)." in found["stripes"].words and found["stripes"].bands.tolist() == list(range(60, 90))
    mended = found.mend("stripes")
    assert "stripes" not in wt.inspect_cube(mended)
    np.testing.assert_allclose(mended.cube[:, [17, 41]], before[:, [17, 41]], atol=0.02)
    np.testing.assert_array_equal(np.delete(mended.cube, (17, 41), axis=1), np.delete(before, (17, 41), axis=1))


def test_the_border_of_two_fields_is_no_stripe():
    scene = clean(4)
    cube = scene.cube.copy()
    cube[:, 20:] *= 0.6
    assert "stripes" not in wt.inspect_cube(scene._replace(cube=cube))
