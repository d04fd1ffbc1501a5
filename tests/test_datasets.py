"""Scenes: the generators' truth, the embedded spectra, the loaders on good and on broken files."""

from __future__ import annotations

import runpy
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_close
from scipy.io import loadmat, savemat

from wdl_tutorial import datasets
from wdl_tutorial.datasets import (
    Scene,
    available,
    aviris_wavelengths,
    load_cardiac,
    load_cube,
    load_dc1,
    load_dc2_bundles,
    load_faces,
    load_jasper_ridge,
    load_salinas_a,
    load_samson,
    load_usgs_sample,
    make_beating_ring,
    make_bilinear_scene,
    make_bimodal,
    make_gaussian_path,
    make_teaching_scene,
    make_telescope_psfs,
    make_variable_scene,
    wahu_salinas_pixels,
)

# ------------------------------------------------------------------------------------------ embedded tables


def test_the_embedded_spectra_are_reflectances_on_increasing_wavelengths():
    sample = load_usgs_sample()
    assert sample.spectra.shape == (13, 188) and len(set(sample.names)) == 13
    assert 0 < sample.spectra.min() and sample.spectra.max() < 1
    assert np.all(np.diff(sample.wavelengths) > 0)
    assert np.diff(sample.wavelengths).max() == 150.0  # the wider of the two gaps where water vapour is opaque


def test_the_shortwave_sample_has_every_mineral_and_the_mica_band_moves_with_aluminium():
    sample = load_usgs_sample("swir")
    assert sample.spectra.shape == (18, 55)
    near = (sample.wavelengths >= 2150) & (sample.wavelengths <= 2250)
    low, high = sample.select("muscovite, low Al", "muscovite, high Al")[:, near]
    centre = sample.wavelengths[near]
    assert centre[low.argmin()] > centre[high.argmin()]  # less aluminium, longer wavelength


def test_known_absorptions_are_where_they_belong():
    sample = load_usgs_sample()
    swir = sample.wavelengths > 2200
    for name, expected in (("calcite", 2340.0), ("dolomite", 2320.0)):
        spectrum = sample.select(name)[0]
        dip = sample.wavelengths[swir][(spectrum[swir] / np.linspace(*spectrum[swir][[0, -1]], swir.sum())).argmin()]
        assert abs(dip - expected) <= 10.0


@pytest.mark.parametrize("call", [lambda: load_usgs_sample("uv"), lambda: load_usgs_sample().select("gold")])
def test_a_spectrum_or_region_that_is_not_there_is_named(call):
    with pytest.raises(ValueError, match=r"uv|gold"):
        call()


def test_aviris_wavelengths_increase_over_the_instruments_range():
    nm = aviris_wavelengths()
    assert nm.shape == (224,) and np.all(np.diff(nm) > 0)
    assert 380 < nm[0] < 400 and 2490 < nm[-1] < 2510


def test_the_tables_agree_with_the_script_that_makes_them():
    path = Path(__file__).parents[1] / "tools" / "make_embedded_data.py"
    script = runpy.run_path(str(path))
    sample = load_usgs_sample("swir")
    assert tuple(script["CHOSEN"]) == sample.names and tuple(script["CHOSEN"].values()) == sample.records
    np.testing.assert_array_equal(script["band_centres"](), load_usgs_sample().wavelengths)
    grid = np.arange(350.0, 2501.0)
    inside = script["band_centres"]()[:-4]  # the last bands reach beyond the end of the measurement
    assert_close(script["resampled"](grid, grid / 5000, inside), inside / 5000, atol=1e-9)  # a straight line is kept
    assert np.isnan(script["resampled"](grid, np.where(grid < 1300, np.nan, 0.5), np.array([1200.0, 1303.0]))).all()


# ------------------------------------------------------------------------------------------ histograms


def test_the_exact_gaussian_path_averages_means_and_widths():
    path = make_gaussian_path(exact=True)
    means = path.X @ path.positions
    sds = np.sqrt((path.X * (path.positions - means[:, None]) ** 2).sum(axis=1))
    t = path.weights[:, 0]
    assert_close(means, 50 * t + 130 * (1 - t), atol=1e-6)
    assert_close(
        sds, 5 * t + 10 * (1 - t), atol=0.03
    )  # W2 between Gaussians; mass shared between bins adds < 1/4 bin^2
    assert_close(path.X.sum(axis=1), 1.0, atol=1e-12)


def test_the_entropic_gaussian_path_is_blurred_by_the_known_width():
    path = make_gaussian_path(n_samples=3, n_iter=400)
    means = path.X @ path.positions
    assert_close(means, [130.0, 90.0, 50.0], atol=0.01)
    last = np.sqrt(path.X[2] @ (path.positions - 50.0) ** 2)
    assert_close(last, np.sqrt(25 + 1e-3 * 199**2 / 2), atol=0.01)  # sd^2 + eps range^2 / 2
    assert path.cost.max() == 1.0 and path.weights.sum(axis=1) == pytest.approx(1.0)


def test_bimodal_histograms_leave_the_middle_empty_and_repeat_with_the_seed():
    data = make_bimodal()
    assert data.X.shape == (40, 90)
    assert not data.X[:, 30:60].any()
    assert_close(data.X.sum(axis=1), 1.0, atol=1e-12)
    left = data.X[:, :30].sum(axis=1)
    assert set(np.round(left, 12)) == {0.0, 0.5, 1.0}  # both right, one in each, both left
    assert not (data.means % 2).any()
    np.testing.assert_array_equal(data.X, make_bimodal(random_state=0).X)
    assert np.any(data.X != make_bimodal(random_state=1).X)


@pytest.mark.parametrize("n_bins", [89, 3])
def test_bimodal_refuses_an_axis_that_cannot_be_cut_in_three(n_bins):
    with pytest.raises(ValueError, match="multiple of 3"):
        make_bimodal(n_bins=n_bins)


# ------------------------------------------------------------------------------------------ synthetic scenes


def test_the_bilinear_scene_is_its_formula_and_the_noise_has_the_asked_power():
    clean = make_bilinear_scene(snr_db=None)
    a, m = clean.abundances, clean.endmembers
    pairs = sum(a[..., i, None] * a[..., j, None] * m[i] * m[j] for i in range(3) for j in range(i + 1, 3))
    assert_close(clean.cube, a @ m + pairs, atol=1e-14)
    noisy = make_bilinear_scene(snr_db=30.0)
    snr = 10 * np.log10(np.mean(clean.cube**2) / np.mean((noisy.cube - clean.cube) ** 2))
    assert_close(snr, 30.0, atol=0.1)
    assert_close(a.sum(axis=-1), 1.0, atol=1e-12)
    assert a.max(axis=(0, 1)).min() > 0.95  # every material is nearly pure somewhere


def test_strength_zero_is_linear_mixing():
    scene = make_bilinear_scene(strength=0.0, snr_db=None)
    assert_close(scene.cube, scene.abundances @ scene.endmembers, atol=1e-14)


def test_the_variable_scene_mixes_each_pixels_own_endmembers():
    scene = make_variable_scene(snr_db=None, shape=(20, 30), n_endmembers=3)
    own = scene.extra["pixel_endmembers"]
    assert own.shape == (20, 30, 3, 188)
    assert_close(scene.cube, (scene.abundances[..., None] * own).sum(axis=2), atol=1e-12)
    bundle = scene.extra["bundles"][scene.endmember_names[0]]
    assert any((bundle == own[3, 4, 0]).all(axis=1))  # drawn from the bundle
    spread = np.std(np.log(bundle).mean(axis=1))
    assert 0.03 < spread < 0.15  # about variability / sqrt(2), plus what is left of the curve


def test_variable_scene_refuses_bundles_with_different_bands():
    with pytest.raises(ValueError, match="same n_bands"):
        make_variable_scene({"a": np.ones((3, 5)), "b": np.ones((3, 6))})


TWO = np.array([[0.2, 0.8, 0.5], [0.9, 0.1, 0.4]])
HALVES = np.full((4, 5, 2), 0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_bilinear_scene(TWO, abundances=2 * HALVES), "sum to 1 in each pixel; the worst is off by 1"),
        (lambda: make_bilinear_scene(TWO, abundances=HALVES * [3, -1]), "must not be negative .* off by 0.5"),
        (lambda: make_bilinear_scene(TWO, abundances=HALVES * np.nan), "off by nan"),
        (lambda: make_bilinear_scene(TWO * np.nan), "endmembers must be finite spectra"),
        (lambda: make_bilinear_scene(TWO[0]), r"got shape \(3,\)"),
        (lambda: make_bilinear_scene(TWO, wavelengths=np.arange(5)), r"have 3 bands, wavelengths shape \(5,\)"),
        (lambda: make_bilinear_scene(n_endmembers=2.5), "n_endmembers must be an integer from 2 to 8; got 2.5"),
        (
            lambda: make_bilinear_scene(snr_db=np.nan),
            r"snr_db must be in \[-1000, 1000\] dB, or None for no noise; got nan",
        ),
        (lambda: make_teaching_scene(snr_db="30"), "snr_db must be in .* dB, or None for no noise; got '30'"),
        (lambda: make_variable_scene({}), r"bundles must be a dict of the spectra of each material; got \{\}"),
        (lambda: make_bilinear_scene(snr_db=-np.inf), r"snr_db must be in .* got -inf"),
        (lambda: make_bilinear_scene(TWO, strength=1e308), "light of these endmembers and this strength .* no float"),
        (lambda: make_bilinear_scene(shape=(10**9, 10**9)), "shape 1000000000 x 1000000000 ask for takes .* memory"),
        (
            lambda: make_bimodal(n_samples=10**400),
            "n_bins and n_samples ask for takes .* memory|n_samples must be an integer from 1 to",
        ),
        (
            lambda: make_gaussian_path(means=(1e9, 1.0)),
            r"means \[1000000000.0, 1.0\] .* without mass on the bins 0 to 199",
        ),
        (lambda: make_telescope_psfs(aberration=1e308), "aberration must be in .* got 1e.308. It is in nm"),
        (lambda: make_bilinear_scene(strength=np.inf), "strength must be a finite number; got inf"),
        (lambda: make_bilinear_scene(shape=(1, 1)), r"two pixels or more; got \(1, 1\)"),
        (lambda: make_variable_scene(shape=(5.0, 5)), r"shape must be \(rows, columns\)"),
        (lambda: make_variable_scene(variability=np.nan), r"variability must be in \[0, 100\]; got nan"),
        (lambda: make_variable_scene({"a": TWO, "b": TWO[:0]}), "spectra of 'b' must be finite spectra"),
        (lambda: make_gaussian_path(stds=(0.0, 1.0)), "stds positive"),
        (lambda: make_gaussian_path(means=(1.0,)), "two numbers each"),
        (lambda: make_bimodal(std=-3.0), "std must be positive; got -3.0. It is in bins"),
    ],
)
def test_a_scene_that_cannot_be_made_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_too_many_embedded_endmembers_are_refused_with_the_number():
    with pytest.raises(ValueError, match="from 2 to 8; got 20"):
        make_bilinear_scene(n_endmembers=20)


@pytest.mark.parametrize("make", [make_bilinear_scene, make_variable_scene, make_teaching_scene])
def test_scenes_repeat_with_their_seed_and_change_with_it(make):
    np.testing.assert_array_equal(make(random_state=3).cube, make(random_state=3).cube)
    assert np.any(make(random_state=3).cube != make(random_state=4).cube)


@pytest.fixture(scope="module")
def teaching() -> Scene:
    return make_teaching_scene()


def test_the_teaching_scene_is_a_scene_with_its_truth(teaching):
    assert teaching.cube.shape == (64, 64, 188) and teaching.endmembers.shape == (7, 188)
    assert teaching.cube.min() >= 0 and np.isfinite(teaching.cube).all()
    assert teaching.abundances.min() >= 0
    assert_close(teaching.abundances.sum(axis=-1), 1.0, atol=1e-12)
    assert set(np.unique(teaching.labels)) == set(teaching.label_names)


def test_every_failure_of_the_book_lives_in_the_teaching_scene(teaching):
    extra, cube, nm = teaching.extra, teaching.cube, teaching.wavelengths
    good = np.delete(np.arange(188), extra["bad_band"])
    linear = teaching.abundances @ teaching.endmembers
    residual = np.abs((cube - linear)[..., good]).mean(axis=-1)
    region = extra["regions"]
    assert residual[region["meadow"]].max() < 0.005  # where nothing is wrong, mixing is linear
    assert residual[region["corner"]].mean() > 0.01  # the second bounce
    assert residual[region["pasture"] & (extra["brightness"] < 0.6)].min() > 0.02  # the shadow
    assert 0 < teaching.abundances[..., extra["rare"]].mean() < 0.01
    assert np.std(cube[..., extra["bad_band"]]) > 5 * np.std(cube[10:20, 2:10, extra["bad_band"] + 1])
    copies = np.flatnonzero(extra["duplicate_of"].ravel() >= 0)
    flat = cube.reshape(-1, 188)
    assert copies.size == 36
    np.testing.assert_array_equal(flat[copies][:, good], flat[extra["duplicate_of"].ravel()[copies]][:, good])
    swir = (nm > 2250) & (nm < 2420)
    east, west = cube[24:40, 60:64].mean(axis=(0, 1))[swir], cube[24:40, 42:46].mean(axis=(0, 1))[swir]
    assert nm[swir][east.argmin()] - nm[swir][west.argmin()] >= 20.0  # the band that moves


def test_shadow_keeps_the_direction_of_a_spectrum_and_not_its_length(teaching):
    clean = make_teaching_scene(snr_db=None)
    good = np.delete(np.arange(188), clean.extra["bad_band"])
    light, dark = clean.cube[5, 42, good], clean.cube[5, 63, good]
    assert_close(dark / light, 0.4, atol=1e-12)


# ------------------------------------------------------------------------------------------ Scene


def test_pixels_and_maps_go_round_with_masked_pixels_as_nan():
    cube = np.arange(24, dtype=float).reshape(2, 3, 4)
    mask = np.array([[True, False, True], [True, True, True]])
    scene = Scene("x", cube, mask=mask)
    values = scene.to_map(scene.pixels())
    assert np.isnan(values[0, 1]).all()
    np.testing.assert_array_equal(values[mask], cube[mask])
    with pytest.raises(ValueError, match="5 valid"):
        scene.to_map(np.ones(6))
    with pytest.raises(TypeError, match="got <U4"):
        scene.to_map(np.array(["crop"] * 5))


def test_a_mask_of_zeros_and_ones_marks_pixels_and_is_no_list_of_indices():
    cube = np.arange(24, dtype=float).reshape(2, 3, 4)
    marks = np.array([[1, 0, 1], [1, 1, 0]], dtype=np.uint8)  # as a .mat file holds it
    scene = Scene("x", cube, mask=marks)
    np.testing.assert_array_equal(scene.pixels(), cube[marks == 1])
    assert np.isnan(scene.to_map(np.ones(4))).sum() == 2


@pytest.mark.parametrize(
    "mask, told",
    [
        (np.ones((3, 2), dtype=bool), r"shape \(2, 3\); got \(3, 2\)"),
        (np.full((2, 3), 7), "from 7 to 7"),
        (np.full((2, 3), np.nan), "float64"),
    ],
)
def test_a_mask_that_is_none_is_refused(mask, told):
    with pytest.raises(ValueError, match=told):
        Scene("x", np.ones((2, 3, 4)), mask=mask).pixels()


def test_a_scene_prints_its_notes_and_no_arrays(teaching):
    shown = repr(teaching).splitlines()
    assert shown[0] == "Scene('teaching scene', 64 x 64 x 188, 400 to 2490 nm, reflectance)"
    assert shown[1] == "  with labels, endmembers, abundances, extra"
    assert shown[2:] == [f"  note: {note}" for note in teaching.notes]


def test_a_crop_cuts_every_map_alike(teaching):
    scene = teaching._replace(mask=teaching.labels > 1)
    part = scene.crop(slice(10, 20), slice(-5, None))
    for name in ("cube", "labels", "abundances", "mask"):
        np.testing.assert_array_equal(getattr(part, name), getattr(scene, name)[10:20, -5:])
    assert part.extra is None and part.wavelengths is scene.wavelengths
    assert make_bilinear_scene().crop(slice(3), slice(3)).labels is None
    with pytest.raises(ValueError, match="leave no pixel"):
        scene.crop(slice(64, 70), slice(None))
    with pytest.raises(TypeError, match="must be slices"):
        scene.crop(3, slice(None))


def test_dropping_no_band_changes_nothing_and_dropping_all_is_refused(teaching):
    assert teaching.drop_bands([]) is teaching
    with pytest.raises(ValueError, match="leaves none"):
        teaching.drop_bands(range(188))
    with pytest.raises(ValueError, match="integers"):
        teaching.drop_bands([1.5])


def test_dropping_bands_drops_them_everywhere(teaching):
    less = teaching.drop_bands([0, teaching.extra["bad_band"]])
    assert less.cube.shape[-1] == less.wavelengths.size == less.endmembers.shape[1] == 186
    assert less.wavelengths[0] == 410.0
    with pytest.raises(ValueError, match=r"0\.\.187"):
        teaching.drop_bands(188)


# ------------------------------------------------------------------------------------------ real scenes, real files


def test_salinas_a_as_it_is(real_data):
    scene = load_salinas_a(download=False)
    assert scene.cube.shape == (83, 86, 204) and scene.cube.dtype == np.float64
    codes, counts = np.unique(scene.labels, return_counts=True)
    assert dict(zip(codes.tolist(), counts.tolist())) == {
        0: 1790,
        1: 391,
        10: 1343,
        11: 616,
        12: 1525,
        13: 674,
        14: 799,
    }
    assert (scene.cube < 0).sum() == 183 and any("183 negative" in note for note in scene.notes)
    assert scene.wavelengths.shape == (204,) and np.all(np.diff(scene.wavelengths) > 0)
    assert "radiance" in scene.units


def test_wahu_pixels_are_167_of_each_crop_as_histograms(real_data):
    scene = load_salinas_a(download=False)
    pixels = wahu_salinas_pixels(scene)
    assert pixels.X.shape == (1002, 201) and pixels.offset == 9.0
    assert_close(pixels.X.sum(axis=1), 1.0, atol=1e-12)
    assert np.unique(pixels.labels, return_counts=True)[1].tolist() == [167] * 6
    np.testing.assert_array_equal(scene.labels.reshape(-1)[pixels.indices], pixels.labels)
    back = pixels.X[7] * pixels.scales[7] - pixels.offset
    assert_close(back, scene.drop_bands([0, 32, 94]).cube.reshape(-1, 201)[pixels.indices[7]], atol=1e-9)
    with pytest.raises(ValueError, match="class 1 has 391"):
        wahu_salinas_pixels(scene, n_per_class=400)


def test_samson_pixels_and_maps_are_turned_the_same_way(real_data):
    scene = load_samson(download=False)
    assert scene.cube.shape == (95, 95, 156) and scene.abundances.shape == (95, 95, 3)
    assert_close(scene.abundances.sum(axis=-1), 1.0, atol=1e-9)
    right, turned = _fit_right_and_turned(scene)
    assert right < 0.1 and turned > 2 * right


def test_jasper_ridge_is_reflectance_and_fits_its_truth(real_data):
    scene = load_jasper_ridge(download=False)
    assert scene.cube.shape == (100, 100, 198) and scene.wavelengths.shape == (198,)
    assert 1.0 < scene.cube.max() < 1.1 and scene.units == "reflectance"
    right, turned = _fit_right_and_turned(scene)
    assert right < 0.15 and turned > 2 * right


def _fit_right_and_turned(scene: Scene) -> tuple[float, float]:
    """Median angle between cube and truth, and the same with the maps' rows and columns exchanged."""
    turned = np.swapaxes(scene.abundances, 0, 1)
    return tuple(_angle(a @ scene.endmembers, scene.cube) for a in (scene.abundances, turned))


def _angle(x: np.ndarray, y: np.ndarray) -> float:
    cosine = (x * y).sum(-1) / (np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1))
    return float(np.median(np.arccos(np.clip(cosine, -1, 1))))


def test_the_heart_has_13_frames_of_240_rows(real_data):
    scene = load_cardiac(download=False)
    assert scene.cube.shape == (240, 272, 13)
    assert 0 <= scene.cube.min() and scene.cube.max() == 255 and "grey" in scene.units
    steps = np.abs(np.diff(scene.cube, axis=-1)).mean()
    assert 0 < steps < 20  # neighbouring frames differ, but little


def test_dc1_follows_the_recipe(real_data):
    clean = load_dc1(download=False, snr_db=None)
    assert clean.cube.shape == (50, 50, 224) and np.all(np.diff(clean.wavelengths) > 0)
    a, m = clean.abundances, clean.endmembers
    pairs = sum(a[..., i, None] * a[..., j, None] * m[i] * m[j] for i in range(3) for j in range(i + 1, 3))
    assert_close(clean.cube, a @ m + pairs, atol=1e-13)
    assert "anorthite" in clean.endmember_names


def test_dc2_bundles_make_a_variable_scene(real_data):
    bundles = load_dc2_bundles(download=False)
    assert {name: len(s) for name, s in bundles.spectra.items()} == {
        "roof": 118,
        "metal": 85,
        "dirt": 164,
        "tree": 115,
        "asphalt": 69,
    }
    assert bundles.wavelengths.shape == (162,)
    scene = make_variable_scene(bundles.spectra, wavelengths=bundles.wavelengths)
    assert scene.cube.shape == (50, 50, 162) and scene.endmember_names == tuple(bundles.spectra)


# ------------------------------------------------------------------------------------------ loaders on broken files


@pytest.fixture
def empty_machine(tmp_path, monkeypatch):
    """A machine with no scene on it and no network."""
    monkeypatch.setenv("WDL_TUTORIAL_DATA", str(tmp_path))
    monkeypatch.setenv("WDL_TUTORIAL_CACHE", str(tmp_path / "cache"))
    return tmp_path


def salinas_like(folder, *, cube=None, name="salinasA_corrected", labels=None):
    """Files of the shape of Salinas A, written into ``folder``."""
    (folder / "salinas-a").mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    cube = rng.integers(1, 5000, (83, 86, 204)).astype(np.int16) if cube is None else cube
    labels = np.tile([0, 1, 10, 11], (83, 22))[:, :86].astype(np.uint8) if labels is None else labels
    savemat(folder / "salinas-a" / "SalinasA_corrected.mat", {name: cube})
    savemat(folder / "salinas-a" / "SalinasA_gt.mat", {"salinasA_gt": labels})
    return cube


LOADERS = [load_salinas_a, load_samson, load_jasper_ridge, load_cardiac, load_dc1, load_dc2_bundles]


@pytest.mark.parametrize("load", LOADERS)
def test_a_missing_scene_says_which_file_from_where_and_where_to_put_it(load, empty_machine):
    with pytest.raises(FileNotFoundError) as caught:
        load(download=False)
    message = str(caught.value)
    assert "Fetch it from http" in message and str(empty_machine) in message and "WDL_TUTORIAL_DATA" in message


def test_available_tells_without_touching_the_network(empty_machine):
    assert not any(available(name) for name in datasets.REAL_SCENES)
    salinas_like(empty_machine)
    assert available("salinas-a")
    with pytest.raises(ValueError, match="pavia"):
        available("pavia")


def test_a_file_with_another_sha256_is_refused(empty_machine):
    salinas_like(empty_machine)
    with pytest.raises(ValueError, match=r"has sha256 .* expected d75684ed3ab7.*Delete it and fetch"):
        load_salinas_a(download=False)


def test_a_truncated_file_is_refused_by_its_sha256_and_without_it(empty_machine):
    salinas_like(empty_machine)
    path = empty_machine / "salinas-a" / "SalinasA_corrected.mat"
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="sha256"):
        load_salinas_a(download=False)
    with pytest.raises(ValueError, match="truncated"):
        load_salinas_a(download=False, check_sha256=False)


def test_a_trusted_copy_of_another_version_is_read(empty_machine):
    cube = salinas_like(empty_machine)
    scene = load_salinas_a(download=False, check_sha256=False)
    np.testing.assert_array_equal(scene.cube, cube)


def test_a_wrong_variable_name_is_told_with_those_that_are_there(empty_machine):
    salinas_like(empty_machine, name="salinas")
    with pytest.raises(ValueError, match=r"no variable 'salinasA_corrected'; it holds \['salinas'\]"):
        load_salinas_a(download=False, check_sha256=False)


def test_a_transposed_cube_is_told(empty_machine):
    cube = np.ones((83, 86, 204), dtype=np.int16)
    salinas_like(empty_machine, cube=np.transpose(cube, (2, 0, 1)))
    with pytest.raises(ValueError, match=r"shape \(204, 83, 86\), expected \(83, 86, 204\).*transpose"):
        load_salinas_a(download=False, check_sha256=False)


def test_a_nan_band_of_a_named_scene_is_refused(empty_machine):
    cube = np.ones((83, 86, 204))
    cube[..., 17] = np.nan
    salinas_like(empty_machine, cube=cube)
    with pytest.raises(ValueError, match=r"7138 NaN .* in 1 bands \(first: band 17\)"):
        load_salinas_a(download=False, check_sha256=False)


def test_all_zero_pixels_are_masked_and_negative_values_kept_and_both_are_noted(empty_machine):
    cube = np.ones((83, 86, 204), dtype=np.int16)
    cube[4, 5] = 0
    cube[0, 0, 0] = -3
    salinas_like(empty_machine, cube=cube)
    scene = load_salinas_a(download=False, check_sha256=False)
    assert not scene.mask[4, 5] and scene.mask.sum() == 83 * 86 - 1 and np.isnan(scene.cube[4, 5]).all()
    assert scene.cube[0, 0, 0] == -3
    assert any("1 all-zero" in n for n in scene.notes) and any("1 negative" in n for n in scene.notes)


@pytest.mark.parametrize("seed", [24, 26, 30, 36, 41])
def test_the_teaching_scene_of_every_seed_is_finite_and_on_the_simplex(seed):
    scene = make_teaching_scene(random_state=seed)
    assert np.isfinite(scene.cube).all()
    assert_close(scene.abundances.sum(axis=-1), 1.0, atol=1e-12)


# every loader of .mat files: the variable that is spoilt in it, and how it is stored
SPOILT = {
    "salinas-a": (load_salinas_a, "SalinasA_corrected.mat", "salinasA_corrected"),
    "samson": (load_samson, "samson_1.mat", "V"),
    "jasper-ridge": (load_jasper_ridge, "jasperRidge2_R198.mat", "Y"),
    "dc1": (load_dc1, "USGS_1995_Library.mat", "datalib"),
    "dc2": (load_dc2_bundles, "spectral_library_urban.mat", "lib1"),
}
TRUTHS = {
    "samson": ("end3.mat", "A"),
    "jasper-ridge": ("end4.mat", "M"),
    "dc1": ("abundance_spatial_3em.mat", "A_cube"),
}


def names_of_spectra() -> np.ndarray:
    wanted = ["Wavelength", "Resolution", "Channel", *datasets._DC1_SPECTRA, *(f"other {k}" for k in range(495))]
    return np.array([list(f"{name:<29.29}".encode()) for name in wanted], dtype=np.uint8)


def like_the_real_one(folder, scene: str) -> None:
    """Files of the shapes and names of a real scene, with random reflectances in them."""
    rng = np.random.default_rng(1)
    if scene == "salinas-a":
        salinas_like(folder)
        return
    materials = np.empty((1, 5), dtype=object)
    materials[0] = list(datasets._DC2_MATERIALS)
    bands = np.r_[4:108, 113:154, 167:220][:, None].astype(np.uint8)
    share = np.full((4, 10000), 0.25)
    library = rng.uniform(0.1, 0.9, (224, 501))
    library[:, 0] = rng.permutation(np.linspace(0.4, 2.5, 224))
    contents = {
        "samson": {
            "samson_1.mat": {"V": rng.uniform(0.1, 1, (156, 9025))},
            "end3.mat": {"A": share[:3, :9025], "M": np.ones((156, 3))},
        },
        "jasper-ridge": {
            "jasperRidge2_R198.mat": {
                "Y": rng.uniform(1, 5000, (198, 10000)),
                "maxValue": np.uint16(5000),
                "SlectBands": bands,
            },
            "end4.mat": {"A": share, "M": np.ones((198, 4))},
        },
        "dc1": {
            "USGS_1995_Library.mat": {"datalib": library, "names": names_of_spectra()},
            "abundance_spatial_3em.mat": {"A_cube": np.full((50, 50, 3), 1 / 3)},
        },
        "dc2": {
            "spectral_library_urban.mat": {"material_names": materials}
            | {f"lib{k + 1}": rng.uniform(0.1, 0.9, (162, 7)) for k in range(5)},
        },
    }
    (folder / scene).mkdir()
    for name, content in contents[scene].items():
        savemat(folder / scene / name, content)


def spoil(folder, scene: str, file: str, change) -> None:
    """Write a file of a scene again with ``change(content)``."""
    path = folder / scene / file
    content = {key: value for key, value in loadmat(path).items() if not key.startswith("__")}
    savemat(path, change(content))


@pytest.mark.parametrize("scene", SPOILT)
def test_every_loader_reads_files_of_the_right_shape_and_asks_for_the_sha256(scene, empty_machine):
    load, _, _ = SPOILT[scene]
    like_the_real_one(empty_machine, scene)
    found = load(download=False, check_sha256=False)
    values = np.concatenate(list(found.spectra.values())) if scene == "dc2" else found.cube
    assert np.isfinite(values).all() and found.citation
    with pytest.raises(ValueError, match=r"has sha256 .* expected"):
        load(download=False)


@pytest.mark.parametrize("scene", SPOILT)
def test_every_loader_tells_a_truncated_file(scene, empty_machine):
    load, file, _ = SPOILT[scene]
    like_the_real_one(empty_machine, scene)
    path = empty_machine / scene / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="truncated"):
        load(download=False, check_sha256=False)


@pytest.mark.parametrize("scene", SPOILT)
def test_every_loader_tells_a_wrong_variable(scene, empty_machine):
    load, file, name = SPOILT[scene]
    like_the_real_one(empty_machine, scene)
    spoil(empty_machine, scene, file, lambda c: {("other" if k == name else k): v for k, v in c.items()})
    with pytest.raises(ValueError, match=rf"no variable '{name}'; it holds \[.*'other'"):
        load(download=False, check_sha256=False)


@pytest.mark.parametrize("scene", SPOILT)
def test_every_loader_tells_a_transposed_array(scene, empty_machine):
    load, file, name = SPOILT[scene]
    like_the_real_one(empty_machine, scene)
    spoil(empty_machine, scene, file, lambda c: c | {name: np.moveaxis(c[name], 0, -1)})
    with pytest.raises(ValueError, match=r"transpose|wrong shapes"):
        load(download=False, check_sha256=False)


@pytest.mark.parametrize("scene", SPOILT)
def test_every_loader_refuses_nan_bands(scene, empty_machine):
    load, file, name = SPOILT[scene]
    like_the_real_one(empty_machine, scene)

    def nan_band(content):
        spoilt = content[name].astype(float)
        spoilt[(..., 7) if scene == "salinas-a" else (7, ...)] = np.nan
        return content | {name: spoilt}

    spoil(empty_machine, scene, file, nan_band)
    with pytest.raises(ValueError, match=r"\d+ NaN or infinite values"):
        load(download=False, check_sha256=False)


@pytest.mark.parametrize("scene", TRUTHS)
def test_every_loader_refuses_a_truth_with_holes(scene, empty_machine):
    file, name = TRUTHS[scene]
    like_the_real_one(empty_machine, scene)
    spoil(empty_machine, scene, file, lambda c: c | {name: np.where(c[name] == c[name].flat[0], np.nan, c[name])})
    with pytest.raises(ValueError, match=rf"'{name}' in .* holds \d+ NaN"):
        SPOILT[scene][0](download=False, check_sha256=False)


@pytest.mark.parametrize("scene", ["salinas-a", "samson", "jasper-ridge"])
def test_every_scene_masks_all_zero_pixels_and_keeps_negative_values_with_a_note(scene, empty_machine):
    load, file, name = SPOILT[scene]
    like_the_real_one(empty_machine, scene)

    def spoilt(content):
        value = np.array(content[name], dtype=float, order="C")
        pixels = value.reshape(-1, 204).T if scene == "salinas-a" else value
        pixels[:, 5] = 0.0
        pixels[3, 9] = -2.0
        return content | {name: value}

    spoil(empty_machine, scene, file, spoilt)
    scene_read = load(download=False, check_sha256=False)
    assert (~scene_read.mask).sum() == 1 and np.isnan(scene_read.cube[~scene_read.mask]).all()
    assert (scene_read.pixels() < 0).sum() == 1
    assert any("1 all-zero pixels are masked" in n for n in scene_read.notes)
    assert any("1 negative values are kept" in n for n in scene_read.notes)


@pytest.mark.parametrize("value", [0.0, -0.4])
def test_dc1_refuses_maps_that_are_off_the_simplex(value, empty_machine):
    like_the_real_one(empty_machine, "dc1")

    def spoilt(content):
        content["A_cube"][4, 5] = [value, 0.0, 0.0] if value == 0.0 else [value, 1.0, 0.4]
        return content

    spoil(empty_machine, "dc1", "abundance_spatial_3em.mat", spoilt)
    with pytest.raises(ValueError, match="off the simplex by"):
        load_dc1(download=False, check_sha256=False)


@pytest.mark.parametrize("scene", ["dc1", "dc2"])
@pytest.mark.parametrize(("value", "message"), [(0.0, "is zero in every band"), (-0.01, "below zero")])
def test_a_library_spectrum_without_light_or_below_zero_is_refused(scene, value, message, empty_machine):
    load, file, name = SPOILT[scene]
    like_the_real_one(empty_machine, scene)

    def spoilt(content):
        content[name][:, 4] = value  # anorthite, jarosite and alunite are columns 3 to 5 of DC1's library
        return content

    spoil(empty_machine, scene, file, spoilt)
    with pytest.raises(ValueError, match=message):
        load(download=False, check_sha256=False)


def test_samson_and_jasper_are_unfolded_column_by_column(empty_machine):
    row, col = np.mgrid[:95, :95]
    columns = np.stack([(row + 100.0 * col).T.reshape(-1)] * 156)  # MATLAB's order: down the columns
    (empty_machine / "samson").mkdir()
    savemat(empty_machine / "samson" / "samson_1.mat", {"V": columns + 1.0})
    savemat(empty_machine / "samson" / "end3.mat", {"A": columns[:3], "M": np.ones((156, 3))})
    scene = load_samson(download=False, check_sha256=False)
    assert scene.cube[3, 7, 0] == 704.0 and scene.abundances[3, 7, 2] == 703.0


def test_jasper_is_divided_by_its_maximum_value_and_keeps_its_own_bands(empty_machine):
    folder = empty_machine / "jasper-ridge"
    folder.mkdir()
    bands = np.r_[4:108, 113:154, 167:220][:, None].astype(np.uint8)
    content = {"Y": np.full((198, 10000), 2500, dtype=np.uint16), "maxValue": np.uint16(5000), "SlectBands": bands}
    savemat(folder / "jasperRidge2_R198.mat", content)
    savemat(folder / "end4.mat", {"A": np.full((4, 10000), 0.25), "M": np.ones((198, 4))})
    scene = load_jasper_ridge(download=False, check_sha256=False)
    assert_close(scene.cube, 0.5)
    np.testing.assert_array_equal(scene.wavelengths, aviris_wavelengths()[bands.ravel() - 1])


def test_broken_or_foreign_frames_of_the_heart_are_told(empty_machine):
    from PIL import Image

    folder = empty_machine / "cardiac"
    folder.mkdir()
    for k in range(13):
        Image.fromarray(np.zeros((240, 272), dtype=np.uint8)).save(folder / f"heart2_seq-{k:02d}.png")
    assert load_cardiac(download=False, check_sha256=False).cube.shape == (240, 272, 13)
    Image.fromarray(np.zeros((272, 240), dtype=np.uint8)).save(folder / "heart2_seq-04.png")
    with pytest.raises(ValueError, match=r"seq-04.png has shape \(272, 240\), expected \(240, 272\)"):
        load_cardiac(download=False, check_sha256=False)
    (folder / "heart2_seq-02.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"seq-02\.png cannot be read"):
        load_cardiac(download=False, check_sha256=False)


def test_wahu_pixels_need_salinas():
    with pytest.raises(ValueError, match="must be Salinas A"):
        wahu_salinas_pixels(make_teaching_scene())


# ------------------------------------------------------------------------------------------ a reader's own cube


def save(path, cube, **more):
    np.savez(path, cube=cube, **more)
    return path


@pytest.fixture
def cube(rng) -> np.ndarray:
    return rng.random((4, 5, 6)) + 0.1


NM = np.linspace(400.0, 900.0, 6)


def test_a_clean_cube_comes_back_as_it_is(tmp_path, cube):
    scene = load_cube(save(tmp_path / "mine.npz", cube, wavelengths=NM))
    np.testing.assert_array_equal(scene.cube, cube)
    np.testing.assert_array_equal(scene.wavelengths, NM)
    assert scene.mask is None and scene.name == "mine" and scene.units == "as in the file"


def test_reading_a_cube_takes_little_more_than_twice_its_size(tmp_path):
    path = save(tmp_path / "x.npz", np.ones((60, 70, 80), dtype=np.int16))
    tracemalloc.start()
    read = load_cube(path, scale=2.0, wavelengths=np.arange(900.0, 500.0, -5.0)).cube
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read.flags.c_contiguous and (read == 0.5).all()
    assert peak < 2.5 * read.nbytes


def test_a_path_may_begin_at_home(tmp_path, cube, monkeypatch):
    save(tmp_path / "x.npz", cube)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load_cube("~/x.npz").name == "x"


def test_scale_makes_reflectance(tmp_path, cube):
    scene = load_cube(save(tmp_path / "x.npz", np.round(cube * 10000).astype(np.int16)), scale=10000)
    assert_close(scene.cube, cube, atol=1e-4)
    assert scene.units == "reflectance"


def test_a_turned_cube_is_told_by_its_wavelengths(tmp_path, cube):
    with pytest.raises(ValueError, match=r"bands lie on axis 0.*Give bands_axis=0"):
        load_cube(save(tmp_path / "x.npz", np.moveaxis(cube, -1, 0), wavelengths=NM))
    with pytest.raises(ValueError, match="6 bands, but 9 wavelengths"):
        load_cube(save(tmp_path / "y.npz", cube), wavelengths=np.arange(1.0, 10.0))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_the_axis_of_the_bands_may_be_given(tmp_path, cube, axis):
    path = save(tmp_path / "x.npz", np.moveaxis(cube, -1, axis))
    np.testing.assert_array_equal(load_cube(path, bands_axis=axis).cube, load_cube(save(tmp_path / "y.npz", cube)).cube)


@pytest.mark.parametrize("axis, message", [(3, "bands_axis must be 0, 1 or 2"), (0, "the header of .* says where")])
def test_an_axis_that_is_none_or_that_a_header_tells_is_refused(tmp_path, axis, message):
    with pytest.raises(ValueError, match=message):
        load_cube(tmp_path / "x.img", bands_axis=axis)


def test_a_nan_band_is_dropped_with_its_wavelength(tmp_path, cube):
    cube[..., 2] = np.nan
    scene = load_cube(save(tmp_path / "x.npz", cube, wavelengths=NM))
    np.testing.assert_array_equal(scene.cube, np.delete(cube, 2, axis=-1))
    np.testing.assert_array_equal(scene.wavelengths, np.delete(NM, 2))
    assert any("0-based: [2]" in note for note in scene.notes)


def test_a_nan_band_is_found_beside_a_border_of_zeros(tmp_path, cube):
    cube[..., 2] = np.nan
    cube[0] = 0  # the border has no NaN
    scene = load_cube(save(tmp_path / "x.npz", cube, wavelengths=NM))
    assert scene.cube.shape == (4, 5, 5) and scene.mask.sum() == 15 and not scene.mask[0].any()


@pytest.mark.parametrize("where", ["file", "argument"])
def test_wavelengths_in_micrometres_become_nanometres_with_a_note(tmp_path, cube, where):
    held, given = ({"wavelengths": NM / 1000}, {}) if where == "file" else ({}, {"wavelengths": NM / 1000})
    scene = load_cube(save(tmp_path / "x.npz", cube, **held), **given)
    assert_close(scene.wavelengths, NM)
    assert "wavelengths are read as micrometres" in scene.notes


def test_saturated_reflectance_is_counted(tmp_path, cube):
    numbers = np.round(cube * 10000).astype(np.uint16)
    numbers[1, 1] = 65535
    assert any(
        note.startswith("6 values are above 1.5 (largest 6.55)")
        for note in load_cube(save(tmp_path / "x.npz", numbers), scale=10000).notes
    )


def test_zero_pixels_and_pixels_with_holes_are_masked(tmp_path, cube):
    cube[1, 2] = 0
    cube[3, 4, 1] = np.inf
    scene = load_cube(save(tmp_path / "x.npz", cube))
    assert scene.mask.sum() == 18 and not scene.mask[1, 2] and not scene.mask[3, 4]
    assert np.isnan(scene.cube[~scene.mask]).all() and np.isfinite(scene.pixels()).all()


def test_negative_reflectance_is_kept_cut_or_refused_as_asked(tmp_path, cube):
    cube[0, 0, 0] = -0.01
    path = save(tmp_path / "x.npz", cube)
    kept = load_cube(path)
    assert kept.cube[0, 0, 0] == -0.01 and any("1 negative" in note for note in kept.notes)
    assert load_cube(path, negative="clip").cube.min() == 0.0
    with pytest.raises(ValueError, match=r"1 negative values \(smallest -0.01\)"):
        load_cube(path, negative="raise")
    with pytest.raises(ValueError, match="negative must be"):
        load_cube(path, negative="ignore")


def test_bands_are_put_in_order_of_wavelength(tmp_path, cube):
    order = [3, 0, 1, 5, 4, 2]
    scene = load_cube(save(tmp_path / "x.npz", cube[..., order], wavelengths=NM[order]))
    np.testing.assert_array_equal(scene.cube, cube)
    assert "bands are sorted by wavelength" in scene.notes


def test_a_cube_without_a_valid_pixel_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no valid pixel"):
        load_cube(save(tmp_path / "x.npz", np.zeros((2, 3, 4))))


@pytest.mark.parametrize("nm", [np.array([400.0, np.nan, 600, 700, 800, 900]), np.linspace(-1, 4, 6)])
def test_wavelengths_that_are_none_are_refused(tmp_path, cube, nm):
    with pytest.raises(ValueError, match="positive numbers"):
        load_cube(save(tmp_path / "x.npz", cube), wavelengths=nm)


# ------------------------------------------------------------------------------------------------------------- images


def test_a_beating_ring_is_a_loop_and_not_a_line():
    ring = make_beating_ring()
    assert ring.X.shape == (13, 48 * 54)
    np.testing.assert_allclose(ring.X.sum(axis=1), 1.0)
    centred = ring.X - ring.X.mean(axis=0)
    path = (centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T) @ np.array([1, 1j])
    turn = np.angle(np.roll(path, -1) / path)
    assert abs(abs(turn.sum()) - 2 * np.pi) < 1e-6  # once around its own middle
    assert np.all(np.sign(turn) == np.sign(turn[0]))


def test_the_width_of_a_point_spread_function_grows_with_the_wavelength():
    psfs = make_telescope_psfs(n_wavelengths=8)
    assert psfs.shape == (40, 40)
    assert (psfs.along[0], psfs.along[-1]) == (550.0, 900.0)
    np.testing.assert_allclose(psfs.X.sum(axis=1), 1.0)
    assert np.all(np.diff(psfs.X.max(axis=1)) < 0)
    np.testing.assert_array_equal(psfs.X, make_telescope_psfs(n_wavelengths=8).X)
    assert np.any(psfs.X != make_telescope_psfs(n_wavelengths=8, random_state=1).X)


def test_a_perfect_mirror_is_a_scaled_copy_of_itself_at_another_wavelength():
    """Without aberration the intensity depends on angle / wavelength only: at 1.6363 times the wavelength, so much wider."""
    psfs = make_telescope_psfs(n_wavelengths=2, aberration=0.0, shape=(81, 81), pixel=0.02)
    at = (np.arange(81) - 40.0) * 0.02
    narrow, wide = (x.reshape(81, 81)[40] / x.max() for x in psfs.X)
    np.testing.assert_allclose(np.interp(at * 900 / 550, at, wide)[30:51], narrow[30:51], atol=0.01)


def test_the_faces_are_shipped_and_can_be_inverted():
    pytest.importorskip("skimage")
    faces, turned = load_faces(), load_faces(inverted=True)
    assert faces.X.shape == (100, 625)
    assert faces.shape == (25, 25)
    np.testing.assert_allclose(turned.X.sum(axis=1), 1.0)
    assert np.all([np.corrcoef(a, b)[0, 1] < -0.99 for a, b in zip(faces.X, turned.X)])


@pytest.mark.parametrize("make", [make_beating_ring, make_telescope_psfs])
@pytest.mark.parametrize("shape", [(3, 40), (40,), (40.0, 40)])
def test_an_image_needs_rows_and_columns(make, shape):
    with pytest.raises(ValueError, match="shape must be"):
        make(shape=shape)


@pytest.mark.parametrize("options", [{"n_wavelengths": 0}, {"pixel": 0.0}, {"aberration": -1.0}])
def test_a_telescope_that_cannot_be_is_refused(options):
    with pytest.raises(ValueError, match="must"):
        make_telescope_psfs(**options)


def test_a_beat_without_frames_is_refused():
    with pytest.raises(ValueError, match="n_frames must be an integer of at least 1; got 0"):
        make_beating_ring(n_frames=0)


def test_all_bands_of_salinas_a_are_read_where_the_file_is_and_the_corrected_ones_elsewhere(tmp_path, monkeypatch, rng):
    from scipy.io import savemat

    monkeypatch.setenv("WDL_TUTORIAL_DATA", str(tmp_path))
    folder = tmp_path / "salinas-a"
    folder.mkdir()
    labels = rng.integers(0, 3, (83, 86))
    savemat(folder / "SalinasA_gt.mat", {"salinasA_gt": labels})
    whole = rng.integers(-3, 5000, (83, 86, 224)).astype(np.int16)
    savemat(folder / "SalinasA_corrected.mat", {"salinasA_corrected": whole[..., :204]})
    with pytest.raises(FileNotFoundError, match=r"SalinasA\.mat is needed"):
        datasets.load_salinas_a(corrected=False, check_sha256=False)
    savemat(folder / "SalinasA.mat", {"salinasA": whole})
    scene = datasets.load_salinas_a(corrected=False, check_sha256=False)
    assert np.array_equal(scene.cube, whole) and np.array_equal(scene.labels, labels)
    assert len(scene.wavelengths) == 224 and any("sha256 of SalinasA.mat" in note for note in scene.notes)
    assert (
        datasets.load_salinas_a(check_sha256=False).cube.shape[-1]
        == len(datasets.load_salinas_a(check_sha256=False).wavelengths)
        == 204
    )
    savemat(folder / "SalinasA.mat", {"salinasA": whole[..., :200]})
    with pytest.raises(ValueError, match=r"shape \(83, 86, 200\), expected \(83, 86, 224\)"):
        datasets.load_salinas_a(corrected=False, check_sha256=False)
