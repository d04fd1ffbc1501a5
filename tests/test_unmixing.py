"""Unmixing: every method on one footing."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial import iterate, unmixing
from wdl_tutorial.unmixing import METHODS, SETTINGS, unbalanced_wahu, wahu

SMALL = {
    "pca": {},
    "nmf": {},
    "fcls": {},
    "nnls": {},
    "bilinear": {},
    "elmm": {"max_iter": 100},
    "glmm": {"max_iter": 100},
    "plmm": {"max_iter": 100},
    "wahu": {"max_iter": 5, "n_training": 30, "n_iter": 20},
    "wahu_unbalanced": {"max_iter": 5, "n_training": 20},
}


@pytest.fixture(scope="module")
def scene():
    return wt.datasets.make_bilinear_scene(shape=(8, 9), n_endmembers=3, random_state=0)


@pytest.mark.parametrize("method", SMALL)
def test_a_method_gives_maps_endmembers_reconstruction_and_diagnostics(scene, method):
    found = wt.unmix(scene, method, **SMALL[method])
    n_bands = scene.cube.shape[-1]
    assert found.abundances.shape == (8, 9, 3)
    assert found.endmembers.shape == (3, n_bands)
    assert found.reconstruction.shape == (8, 9, n_bands)
    assert set(found.diagnostics) == {"rmse", "nrmse_y", "spectral_angle", "most_negative", "sum_gap", "seconds"}
    gap = np.sqrt(np.mean((found.reconstruction - scene.cube) ** 2))
    np.testing.assert_allclose(found.diagnostics["rmse"], gap, rtol=1e-12)


def test_every_method_is_covered_here_or_in_the_tests_of_its_network():
    assert set(METHODS) == set(SMALL) | {"idnet", "sparse", "deepgun", "egunet", "rbf"}


def test_sparse_chooses_from_a_library_and_needs_one(scene):
    library = wt.datasets.load_usgs_sample()
    found = wt.unmix(scene, "sparse", endmembers=library, penalty=0.05)
    free = wt.unmix(scene, "nnls", endmembers=library)
    used = lambda run: (run.abundances > 1e-6).sum(axis=-1).mean()  # noqa: E731
    assert used(found) < used(free) and found.names == library.names
    best = np.argsort(found.abundances.mean(axis=(0, 1)))[-3:]
    assert {library.names[k] for k in best} == set(scene.endmember_names)
    with pytest.raises(ValueError, match="sparse needs endmembers"):
        wt.unmix(scene, "sparse", 3)


@pytest.mark.parametrize("corners", ["nfindr", "atgp"])
def test_other_finders_of_corners_stand_beside_vca(scene, corners):
    found = wt.unmix(scene, "fcls", 3, corners=corners)
    pixels = scene.cube.reshape(72, -1)[found.indices]
    np.testing.assert_array_equal(pixels, found.endmembers)
    assert corners.upper()[:2] in found.describe().upper() and found.report().verdict
    with pytest.raises(ValueError, match="corners must be"):
        wt.unmix(scene, "fcls", 3, corners="magic")


@pytest.mark.parametrize("method", ["elmm", "glmm", "plmm"])
def test_endmembers_that_differ_per_pixel_come_as_a_bundle_and_their_mean(scene, method):
    mask = np.ones((8, 9), dtype=bool)
    mask[2, 3] = False
    found = wt.unmix(scene._replace(mask=mask), method, **SMALL[method])
    assert found.bundle.shape == (8, 9, 3, scene.cube.shape[-1])
    assert np.isnan(found.bundle[2, 3]).all()
    np.testing.assert_allclose(found.bundle[mask].mean(axis=0), found.endmembers, rtol=1e-12)
    rebuilt = np.einsum("rck,rckl->rcl", found.abundances, found.bundle)
    np.testing.assert_allclose(rebuilt[mask], found.reconstruction[mask], rtol=1e-9)
    assert wt.unmix(scene, "fcls").bundle is None


def test_variable_endmembers_stand_in_the_comparison(scene):
    table = wt.compare(scene, {name: SMALL[name] for name in ("fcls", "elmm", "glmm", "plmm")}).medians()
    assert all("nrmse_a" in table[name] for name in table)
    assert max(table[name]["nrmse_y"] for name in ("elmm", "glmm", "plmm")) < table["fcls"]["nrmse_y"]


@pytest.mark.parametrize("method", ["fcls", "nnls", "bilinear", "elmm", "glmm", "plmm", "wahu"])
def test_abundances_are_on_the_simplex(scene, method):
    found = wt.unmix(scene, method, **SMALL[method])
    assert found.diagnostics["most_negative"] >= -1e-12
    assert found.diagnostics["sum_gap"] <= 1e-9


def test_masked_pixels_come_out_as_nan_and_do_not_touch_the_others(scene):
    mask = np.ones((8, 9), dtype=bool)
    mask[2, 3] = False
    cube = scene.cube.copy()
    cube[2, 3] = np.nan
    found = wt.unmix(scene._replace(cube=cube, mask=mask), "fcls", endmembers=scene.endmembers)
    whole = wt.unmix(scene, "fcls", endmembers=scene.endmembers)
    assert np.isnan(found.abundances[2, 3]).all()
    np.testing.assert_allclose(found.abundances[mask], whole.abundances[mask], atol=1e-12)


def test_brightness_is_put_back_so_that_the_reconstruction_is_in_the_units_of_the_cube(scene):
    found = wt.unmix(scene, "wahu", **SMALL["wahu"])
    np.testing.assert_allclose(found.reconstruction.sum(-1), scene.cube.sum(-1), rtol=2e-2)  # P^(20) has mass .99


def test_a_seed_repeats(scene):
    first, again = (wt.unmix(scene, "wahu", random_state=3, **SMALL["wahu"]) for _ in range(2))
    np.testing.assert_array_equal(first.abundances, again.abundances)


def test_a_cube_without_truth_needs_the_number_of_endmembers(scene):
    with pytest.raises(ValueError, match="n_endmembers is needed"):
        wt.unmix(scene.cube, "fcls")
    assert wt.unmix(scene.cube, "fcls", 3).abundances.shape == (8, 9, 3)


def test_compare_is_a_tidy_table_of_methods_and_seeds(scene):
    table = wt.compare(scene, {"fcls": {}, "nnls": {}, "pca": {}}, random_state=[0, 1])
    assert [(r["method"], r["seed"]) for r in table.rows] == [(m, s) for s in (0, 1) for m in ("fcls", "nnls", "pca")]
    assert table.medians()["nnls"]["nrmse_a"] < table.medians()["fcls"]["nrmse_a"]  # the data are bilinear: brightened
    assert "nrmse_a" not in table.rows[2]  # components are no spectra
    assert "fcls" in str(table)


def test_given_the_truth_the_errors_against_it_are_aligned(scene):
    shuffled = scene.endmembers[[2, 0, 1]]
    found = wt.unmix(scene, "nnls", endmembers=shuffled)
    straight = wt.unmix(scene, "nnls", endmembers=scene.endmembers)
    from wdl_tutorial.unmixing import against_truth

    found_sre = against_truth(scene, found)["sre_a"]
    assert found_sre == pytest.approx(-20 * np.log10(against_truth(scene, found)["nrmse_a"]), rel=1e-9)
    assert against_truth(scene, found)["rmse_a"] == pytest.approx(against_truth(scene, straight)["rmse_a"], rel=1e-9)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_settings_are_those_of_the_paper(setting):
    model = wahu(np.arange(50.0), setting=setting)
    largest = {"synthetic": 1.0, "salinas": 10.0}[setting]
    assert model.cost.dense().max() == pytest.approx(largest)
    assert (model.eps, model.locality, model.n_atoms) == {"synthetic": (0.001, 0.0, 2), "salinas": (0.05, 0.01, 4)}[
        setting
    ]
    assert model.loss == "wasserstein"
    assert model.n_iter == 50


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: wt.unmix(s, "magic"), "method must be .*; got 'magic'"),
        (lambda s: wt.unmix(s.cube[0], "fcls", 3), "cube"),
        (lambda s: wt.unmix(s, "fcls", 0), "n_endmembers must be an integer of at least 1; got 0"),
        (lambda s: wahu(np.arange(5.0), setting="moon"), "setting must be one of"),
        (lambda s: wahu([700.0]), "positions must be at least 2; got 1"),
        (lambda s: wahu(700.0), r"positions must be a vector; got shape \(\)"),
        (lambda s: wt.unmix(s, "wahu", n_training=0), "n_training must be an integer of at least 1; got 0"),
        (lambda s: wt.unmix(s, "fcls", 2, endmembers=s.endmembers), r"n_endmembers=2; got shape \(3, "),
        (lambda s: wt.compare(s, []), "at least one method and one seed; got 0 and 1"),
        (lambda s: wt.compare(s, ["fcls"], random_state=[]), "at least one method and one seed; got 1 and 0"),
    ],
)
def test_bad_input_is_named(scene, call, message):
    with pytest.raises(ValueError, match=message):
        call(scene)


def test_a_nan_in_a_valid_pixel_is_refused(scene):
    cube = scene.cube.copy()
    cube[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="1 valid pixels hold NaN"):
        wt.unmix(cube, "fcls", 3)


def test_pixels_of_zeros_are_counted_and_a_mask_lets_the_others_through(scene):
    cube = scene.cube.copy()
    cube[0, 2] = 0.0
    with pytest.raises(ValueError, match=r"1 valid pixels are all zeros \(the first is pixel 2, 0-based\).*mask="):
        wt.unmix(cube, "fcls", 3)
    masked = wt.datasets.Scene("masked", cube, mask=cube.any(axis=-1))
    abundances = wt.unmix(masked, "fcls", 3).abundances
    assert np.isnan(abundances[0, 2]).all() and np.isfinite(np.delete(abundances.reshape(-1, 3), 2, axis=0)).all()


def test_a_scene_without_a_valid_pixel_or_with_other_wavelengths_is_refused(scene):
    with pytest.raises(ValueError, match="no valid pixel: all 72 entries"):
        wt.unmix(scene._replace(mask=np.zeros((8, 9), dtype=bool)), "fcls")
    with pytest.raises(ValueError, match=r"188 bands, but its wavelengths have shape \(3,\)"):
        wt.unmix(scene._replace(wavelengths=scene.wavelengths[:3]), "wahu_unbalanced")
    with pytest.raises(ValueError, match=r"\(4, 9\) pixels, its abundances \(8, 9\). Cut both"):
        wt.compare(scene._replace(cube=scene.cube[:4]), "fcls")
    with pytest.raises(ValueError, match="a cube"):
        wt.unmix(wt.datasets.Scene("pixels", scene.pixels()), "fcls", 3)


def test_a_result_prints_its_diagnostics_and_no_arrays(scene):
    shown = repr(wt.unmix(scene, "fcls"))
    assert shown.startswith("Unmixing('fcls', abundances 8 x 9 x 3, 188 bands: rmse 0.0") and "\n" not in shown


def test_a_cube_of_integers_or_in_half_precision_is_unmixed_in_double(scene):
    for kind, scale in (("float16", 1.0), ("uint16", 10000.0)):
        rough = scene._replace(cube=(np.maximum(scene.cube, 0.0) * scale).astype(kind))
        found, same = (
            wt.unmix(s, "wahu", **SMALL["wahu"]) for s in (rough, rough._replace(cube=rough.cube.astype(float)))
        )
        np.testing.assert_array_equal(found.abundances, same.abundances)


def test_given_atoms_that_are_negative_are_refused(scene):
    X = scene.pixels()
    with pytest.raises(ValueError, match="nothing negative"):
        unbalanced_wahu(np.abs(X), scene.wavelengths, 2, atoms=-X[:2], max_iter=1)


@pytest.mark.parametrize("method", ["fcls", "nnls", "bilinear"])
def test_vca_may_be_told_the_noise(method):
    scene = wt.datasets.make_teaching_scene()
    scene = scene.drop_bands(scene.extra["bad_band"])
    corners = wt.linear.vca(scene.pixels(), 7, snr_db=0, random_state=3).endmembers
    found = wt.unmix(scene, method, 7, snr_db=0, random_state=3)
    np.testing.assert_array_equal(found.endmembers, corners)
    assert np.any(wt.unmix(scene, method, 7, random_state=3).endmembers != corners)
    with pytest.raises(ValueError, match="snr_db=0 is for VCA, which does not run"):
        wt.unmix(scene, method, snr_db=0, endmembers=corners)


def test_endmembers_that_are_given_say_how_many_there_are(scene):
    assert wt.unmix(scene.cube, "fcls", endmembers=scene.endmembers).abundances.shape[-1] == 3


def test_a_comparison_of_one_method_takes_its_name(scene):
    assert [row["method"] for row in wt.compare(scene, "fcls").rows] == ["fcls"]


def test_a_scene_of_text_is_refused():
    with pytest.raises(TypeError, match="expected numbers"):
        wt.unmix("salinas", "fcls", 3)


def test_wahu_of_a_scene_converges_and_the_papers_fifty_iterations_have_to_be_asked_for(scene):
    quick = {"n_training": 9, "max_iter": 1}
    assert wt.unmix(scene, "wahu", **quick).model.n_iter is None
    assert wt.unmix(scene, "wahu", recommended=False, **quick).model.n_iter == 50


def test_the_recommended_start_finds_the_atoms_of_fig_2_and_draws_nothing():
    path = wt.datasets.make_gaussian_path(n_samples=17)
    first, other = (
        wahu(path.positions, setting="synthetic", recommended=True, random_state=seed, tol=None, max_iter=15).fit(
            path.X
        )
        for seed in (0, 1)
    )
    np.testing.assert_array_equal(first.atoms_, other.atoms_)
    atoms = first.atoms_[np.argsort(first.atoms_ @ path.positions)]
    off = [np.sqrt(wt.wasserstein_1d(a, b, path.positions)) for a, b in zip(atoms, path.atoms)]
    assert max(off) < 2.0
    misfit = np.abs(first.inverse_transform(first.weights_) - path.X).sum(axis=1).mean()
    assert misfit < 0.05


@pytest.fixture(scope="module")
def shaded():
    """Mixtures of two bumps, in sun and in shade: (24, 40), masses from .4 to 2."""
    x, rng = np.arange(40.0), np.random.default_rng(0)
    two = wt.normalize(np.exp(-0.5 * ((x - np.array([[14.0], [24.0]])) / 4) ** 2))
    return x, rng.uniform(0.4, 2.0, size=(24, 1)) * (rng.dirichlet([1, 1], size=24) @ two)


def test_unbalanced_wahu_recovers_brightness_that_histograms_do_not_have(shaded):
    x, light = shaded
    found = unbalanced_wahu(light, x, 4, max_iter=40)
    mass = light.sum(axis=1)
    assert np.abs(found.reconstruction.sum(axis=1) / mass - 1).mean() < 0.02
    np.testing.assert_allclose(found.weights.sum(axis=1), 1.0, rtol=1e-12)
    assert found.atoms.min() >= 0
    assert np.ptp(found.atoms.sum(axis=1)) > 0.5  # dark atoms and bright ones
    assert min(found.loss_curve) < 0.1 * found.loss_curve[0]


def test_unbalanced_wahu_does_not_care_for_the_unit_of_the_data(shaded):
    x, light = shaded
    one, thousand = (unbalanced_wahu(c * light, x, 3, max_iter=5) for c in (1.0, 1000.0))
    np.testing.assert_allclose(thousand.weights, one.weights, rtol=1e-6)
    np.testing.assert_allclose(thousand.reconstruction, 1000 * one.reconstruction, rtol=1e-6)


def test_weights_of_new_pixels_are_found_with_the_atoms_held(shaded):
    x, light = shaded
    learned = unbalanced_wahu(light, x, 4, max_iter=20)
    again = unbalanced_wahu(light[::2], x, 4, atoms=learned.atoms, max_iter=60)
    np.testing.assert_allclose(again.atoms, learned.atoms, rtol=1e-9)
    np.testing.assert_allclose(again.reconstruction.sum(axis=1), light[::2].sum(axis=1), rtol=0.1)


def test_two_atoms_of_one_shape_mix_by_the_square_roots_of_their_masses():
    x = np.arange(60.0)
    bump = wt.normalize(np.exp(-0.5 * ((x - 30) / 6) ** 2))
    cost = wt.LineCost(x, power=1, scale=10 / 59)
    for w in (0.2, 0.5):
        P = wt.barycenter([bump, 4 * bump], [1 - w, w], cost, eps=0.005, n_iter=500, marginal_weight=1.0).histogram
        np.testing.assert_allclose(P.sum(), ((1 - w) + 2 * w) ** 2, rtol=0.02)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.full((3, 4), -1.0), {}, "non-negative"),
        (np.zeros((3, 4)), {}, "some light in every row"),
        (np.ones((3, 4)), {"n_atoms": 9}, "n_atoms must be an integer from 1 to 3; got 9. Atoms start as samples"),
        (np.ones((3, 4)), {"atoms": np.ones((3, 4))}, r"atoms must have shape \(2, 4\)"),
        (np.ones((3, 4)), {"marginal_weight": -1.0}, "marginal_weight must be positive"),
        (np.ones((3, 5)), {}, "bins"),
    ],
)
def test_unbalanced_wahu_names_bad_input(x, options, message):
    with pytest.raises(ValueError, match=message):
        unbalanced_wahu(x, np.arange(4.0), **({"n_atoms": 2} | options))


def test_one_call_takes_a_scene_to_maps_and_shows_how_far_it_is(scene, capsys):
    found = wt.unmix(scene, "wahu", 3, verbose=True, **SMALL["wahu"])
    shown = capsys.readouterr().err
    assert "Wasserstein dictionary: 100%" in shown and "Weights: 100%" in shown
    assert found.abundances.shape == (8, 9, 3) and np.isfinite(found.abundances).all()


# ------------------------------------------------------------------------------------------ what is given, and carried


def test_pixels_under_a_mask_are_not_unmixed_and_the_masks_add_up(scene):
    own, mine = np.ones((8, 9), dtype=bool), np.ones((8, 9), dtype=bool)
    own[0, 0], mine[1, 1] = False, False
    found = wt.unmix(scene._replace(mask=own), "nnls", 3, mask=mine)
    assert np.argwhere(np.isnan(found.abundances[..., 0])).tolist() == [[0, 0], [1, 1]]
    np.testing.assert_array_equal(found.mask, own & mine)
    with pytest.raises(ValueError, match="transpose it"):
        wt.unmix(scene, "nnls", mask=mine.T)


def test_clouds_of_a_masked_array_get_no_abundances(scene):
    hidden = np.zeros(scene.cube.shape, dtype=bool)
    hidden[3, 4, 7] = True
    for cloudy in (np.ma.array(scene.cube, mask=hidden), scene._replace(cube=np.ma.array(scene.cube, mask=hidden))):
        found = wt.unmix(cloudy, "fcls", 3)
        assert np.argwhere(np.isnan(found.abundances[..., 0])).tolist() == [[3, 4]]


def test_an_unknown_option_is_named_with_those_there_are(scene):
    with pytest.raises(TypeError, match="method 'nnls' takes no option 'names'; it takes endmembers, snr_db"):
        wt.unmix(scene, "nnls", names=3)
    with pytest.raises(TypeError, match=r"method 'wahu' takes no option 'n_trainings'; it takes .*n_training.*eps"):
        wt.unmix(scene, "wahu", n_trainings=3)


def test_a_path_in_the_place_of_a_scene_says_how_to_load_it():
    with pytest.raises(TypeError, match="load_cube"):
        wt.unmix("file.img", "nnls", 3)


def library(scene):
    return wt.datasets.Spectra(scene.endmember_names, scene.wavelengths, scene.endmembers, scene.endmember_names, "")


def test_a_library_on_other_bands_of_the_same_number_is_refused_with_the_remedy(scene):
    shifted = library(scene.drop_bands([60, 61, 62]))
    with pytest.raises(
        ValueError, match=r"as many bands as the scene, but other ones: band \d+ .0-based. lies at .*resample"
    ):
        wt.unmix(scene.drop_bands([0, 1, 2]), "nnls", endmembers=shifted)
    with pytest.raises(ValueError, match="185 bands from 400 to 2490 nm, the scene has 188"):
        wt.unmix(scene, "nnls", endmembers=shifted)


@pytest.mark.parametrize("method", ["nnls", "fcls", "bilinear", "elmm", "glmm", "plmm"])
def test_endmembers_may_be_a_library_or_names_and_give_the_maps_their_names(scene, method):
    numbers = wt.unmix(scene, method, endmembers=scene.endmembers, **SMALL[method])
    for given in (library(scene), list(scene.endmember_names)):
        found = wt.unmix(scene, method, endmembers=given, **SMALL[method])
        np.testing.assert_array_equal(found.abundances, numbers.abundances)
        assert found.names == numbers.names == scene.endmember_names


def test_names_of_the_sample_are_brought_to_the_bands_of_the_scene(scene):
    found = wt.unmix(scene._replace(endmembers=None, endmember_names=None), "fcls", endmembers=["topaz", "calcite"])
    assert found.names == ("topaz", "calcite") and found.abundances.shape == (8, 9, 2)
    with pytest.raises(ValueError, match="no endmember is called 'gold'"):
        wt.unmix(scene, "fcls", endmembers=["gold"])


@pytest.mark.parametrize("method", ["nnls", "fcls", "elmm"])
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("factor", [100.0, 1e4, 1e-2, 1e-4])
def test_counts_or_percent_beside_reflectance_are_told_either_way_round(scene, method, factor):
    with pytest.warns(UserWarning, match="in counts or percent"):
        wt.unmix(scene, method, endmembers=scene.endmembers * factor, **SMALL[method])


def test_a_scene_of_water_with_a_bright_library_is_no_matter_of_units(scene, recwarn):
    dark = scene._replace(cube=np.abs(scene.cube) * 0.08)
    wt.unmix(dark, "fcls", endmembers=scene.endmembers)
    assert not [w for w in recwarn if "counts" in str(w.message)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("value", [-0.9999, -0.005])
def test_fill_that_becomes_an_endmember_is_told(scene, value):
    cube = scene.cube.copy()
    cube[0, 0] = value
    with pytest.warns(UserWarning, match=rf"1 valid pixels hold one value, {value}, in every band: it is fill"):
        wt.unmix(cube, "nnls", 3)
    if value > -0.5:
        return
    cube[0, 0, ::2] *= 1.01  # fill with a little noise on it is seen by what it becomes
    with pytest.warns(UserWarning, match=r"negative in every band \(about -0.*mask"):
        wt.unmix(cube, "nnls", 3, snr_db=0)


def test_a_shade_endmember_under_normalised_nnls_is_told(scene):
    shade = np.vstack([scene.endmembers, np.full((1, scene.cube.shape[-1]), 1e-6)])
    with pytest.warns(UserWarning, match=r"endmember 4 is darker than 1 % of the brightest"):
        wt.unmix(scene, "nnls", endmembers=shade)


def test_the_pixels_that_vca_took_are_named_in_the_scene_and_not_among_the_valid_ones(scene):
    mask = np.ones((8, 9), dtype=bool)
    mask[:4] = False
    found = wt.unmix(scene, "nnls", 3, mask=mask)
    pixels = scene.cube.reshape(72, -1)[found.indices]
    assert found.indices.min() >= 36
    assert wt.metrics.spectral_angle(pixels, found.endmembers).max() < 0.1


def test_a_result_carries_what_another_person_needs(scene):
    geo = wt.datasets.Geo((30.0, 0.0, 5e5, 0.0, -30.0, 4e6), "EPSG:32733")
    found = wt.unmix(scene._replace(geo=geo), "nnls", random_state=7)
    assert found.geo == geo and found.units == "reflectance" and found.names[0] == "endmember 1"
    np.testing.assert_array_equal(found.wavelengths, scene.wavelengths)
    assert found.settings["random_state"] == 7 and found.settings["versions"]["wdl_tutorial"] == wt.__version__
    again = wt.unmix(scene, "nnls").settings["data_sha256"]
    assert found.settings["data_sha256"] == again != wt.unmix(scene.cube + 1e-9, "nnls", 3).settings["data_sha256"]
    np.testing.assert_allclose(np.sqrt(np.mean(found.error**2)), found.diagnostics["rmse"], rtol=1e-12)


def test_a_method_of_your_own_is_on_the_same_footing(scene):
    def mean_only(pixels, n_endmembers, random_state=0, power=1.0):
        return np.full((len(pixels), n_endmembers), 1 / n_endmembers), np.tile(
            pixels.mean(axis=0) * power, (n_endmembers, 1)
        )

    found = wt.unmix(scene, mean_only, 3, power=1.0)
    assert found.method == "mean_only" and found.diagnostics["nrmse_y"] < 1
    with pytest.raises(ValueError, match="unmixes only the pixels it has learned from"):
        found.apply(scene)
    with pytest.raises(ValueError, match="the method must return abundances"):
        wt.unmix(scene, lambda x, n, random_state: (x, x), 3)


# ------------------------------------------------------------------------------------------ carried over


@pytest.mark.parametrize("method", ["fcls", "nnls", "bilinear", "elmm", "glmm", "plmm", "pca", "wahu"])
def test_the_same_scene_again_gives_the_same_maps(scene, method):
    found = wt.unmix(scene, method, **SMALL[method])
    again = found.apply(scene)
    np.testing.assert_allclose(again.abundances, found.abundances, atol=1e-6)
    np.testing.assert_allclose(again.reconstruction, found.reconstruction, atol=1e-5)


def test_another_scene_is_unmixed_with_the_endmembers_of_the_first(scene):
    other = wt.datasets.make_bilinear_scene(shape=(6, 5), n_endmembers=3, random_state=1)
    found = wt.unmix(scene, "fcls", endmembers=scene.endmembers)
    np.testing.assert_array_equal(
        found.apply(other).abundances, wt.unmix(other, "fcls", endmembers=scene.endmembers).abundances
    )
    assert found.apply(other).abundances.shape == (6, 5, 3)


def test_bands_of_another_scene_are_matched_by_wavelength_and_not_by_number(scene):
    found = wt.unmix(scene.drop_bands([3, 50]), "fcls", endmembers=np.delete(scene.endmembers, [3, 50], axis=1))
    np.testing.assert_allclose(found.apply(scene).abundances, found.abundances, atol=1e-12)
    with pytest.raises(ValueError, match=r"no band at \d+ nm"):
        found.apply(scene.drop_bands([0, 1]))
    with pytest.warns(UserWarning, match="the scene is in 'percent'"):
        found.apply(scene._replace(units="percent"))


def test_blocks_of_pixels_are_the_same_as_all_at_once(scene, monkeypatch):
    import wdl_tutorial.unmixing as unmixing

    whole = {method: wt.unmix(scene, method, **SMALL[method]) for method in ("nnls", "pca", "wahu", "elmm")}
    monkeypatch.setattr(unmixing, "BLOCK", 1)
    for method, found in whole.items():
        parts = wt.unmix(scene, method, **SMALL[method])
        np.testing.assert_allclose(parts.abundances, found.abundances, atol=1e-12)
        np.testing.assert_allclose(parts.reconstruction, found.reconstruction, atol=1e-12)
        assert parts.diagnostics["spectral_angle"] == pytest.approx(found.diagnostics["spectral_angle"], abs=1e-12)


def test_a_result_survives_pickling(scene):
    import pickle

    found = wt.unmix(scene, "wahu", **SMALL["wahu"])
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.reconstruction, found.reconstruction)


def test_a_large_cube_of_integers_is_unmixed_beside_less_than_its_own_float32_size():
    """512 x 512 x 200 as int16: in a process of its own, whose other memory is told apart by what it had before."""
    import subprocess
    import sys

    code = """
import resource, numpy as np, wdl_tutorial as wt
from wdl_tutorial import linear
rng = np.random.default_rng(0)
ends = rng.uniform(500, 6000, (4, 200))
cube = np.empty((512, 512, 200), dtype="i2")
for row in cube:
    row[:] = rng.dirichlet([0.3] * 4, 512) @ ends + rng.normal(0, 20, (512, 200))
wt.unmix(cube[:8, :8], "nnls", 4)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = wt.unmix(cube, "nnls", 4)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024 / (cube.size * 4))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert float(done.stdout) < 1.5, done.stderr


def test_wahu_takes_its_blur_in_nanometres(scene):
    model = wahu(scene.wavelengths, blur=10.0)
    assert wt.blur_width(model.eps, model.cost) == pytest.approx(10.0)
    assert wt.unmix(scene, "wahu", blur=20.0, **SMALL["wahu"]).model.eps == pytest.approx(2 * model.eps)
    with pytest.raises(ValueError, match="two names of one thing"):
        wahu(scene.wavelengths, blur=10.0, eps=0.1)
    with pytest.raises(ValueError, match="blur must be"):
        wahu(scene.wavelengths, blur=-1)


@pytest.mark.parametrize("method", ["fcls", "wahu"])
@pytest.mark.parametrize("factor", [1e300, 1e-300, np.nan, 0.0])
def test_a_scene_that_no_method_can_square_is_refused_by_name(scene, method, factor, recwarn):
    with pytest.raises(ValueError, match=r"^scene\b"):
        wt.unmix(scene.cube * factor, method, 2)
    assert not len(recwarn)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: wt.unmix(s.cube[..., :0], "fcls", 2), "scene has no bands"),
        (lambda s: wt.unmix(s.cube[..., :1], "wahu", 2), "scene has 1 band"),
        (lambda s: wt.unmix(s._replace(cube=s.cube + 0j), "fcls", 2), "scene must hold real numbers"),
        (lambda s: wt.unmix(s, "wahu", 2, n_training=1), "n_endmembers=2 is more than the 1 pixels.*n_training=1"),
        (lambda s: wt.unmix(s, "wahu", 10**400), "n_endmembers must be an integer from 1 to"),
        (lambda s: wt.unmix(s, "wahu", 2, random_state=1.5), "random_state must be"),
        (lambda s: wt.unmix(s, len, 2), "method must be callable as"),
        (lambda s: wt.compare(s, None, 2), "methods must be a name"),
        (lambda s: wt.compare(s, ["fcls"], 2, random_state={}), "random_state must be a seed"),
    ],
)
def test_what_is_wrong_with_a_scene_or_a_method_is_said_by_its_name(scene, call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(scene)


def test_methods_may_come_as_an_array(scene):
    assert list(wt.compare(scene, np.array(["fcls", "pca"]), 2).medians()) == ["fcls", "pca"]


def test_endmembers_that_explain_nothing_leave_a_right_angle_and_no_error():
    scene = wt.datasets.make_bilinear_scene(shape=(4, 5), random_state=0)
    found = wt.unmix(scene, "nnls", endmembers=-scene.endmembers)
    assert np.array_equal(found.abundances, np.zeros((4, 5, 3)))
    assert found.diagnostics["spectral_angle"] == pytest.approx(np.pi / 2)
    assert found.diagnostics["nrmse_y"] == pytest.approx(1.0)
    few = wt.unmix(scene, "sparse", endmembers=scene.endmembers, penalty=1e9)
    assert not few.abundances.any() and few.diagnostics["spectral_angle"] == pytest.approx(np.pi / 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endmembers": np.float64(0.5)}, r"endmembers must have shape \(n_endmembers, n_bands\); got \(\)"),
        ({"endmembers": np.ones((3, 188), complex)}, "endmembers: expected real numbers"),
        ({"endmembers": np.ones((0, 188))}, r"endmembers is empty: its shape is \(0, 188\)"),
        ({"endmembers": np.full((3, 188), 1e200)}, r"endmembers has 1e\+200 as its largest entry"),
        ({"mask": [[1], [2, 3]]}, "mask must be one array"),
        ({"mask": np.full((4, 5), "yes")}, "mask must hold False and True, or 0 and 1; got <U3"),
    ],
)
def test_endmembers_and_masks_that_cannot_be_are_named(options, message):
    scene = wt.datasets.make_bilinear_scene(shape=(4, 5), random_state=0)
    with pytest.raises((ValueError, TypeError), match=message):
        wt.unmix(scene, "nnls", **options)


@pytest.mark.parametrize("others", [3, "fcls", [None], np.zeros(3)])
def test_a_report_beside_what_are_no_runs_names_them(others):
    found = wt.unmix(wt.datasets.make_bilinear_scene(shape=(6, 6), random_state=0), "fcls")
    with pytest.raises(TypeError, match=r"^others must be a list of what unmix returns; got "):
        found.report(others=others)


@pytest.mark.parametrize("method", ["sideways", None, ["fcls"], np.zeros(2)])
def test_options_of_no_method_are_told_the_methods(method):
    with pytest.raises(ValueError, match=r"^method must be 'pca', 'nmf', "):
        wt.unmixing.options_of(method)


def test_unbalanced_wahu_without_a_price_is_told_so():
    with pytest.raises(ValueError, match=r"^marginal_weight must be positive; got None. None is balanced=True"):
        wt.wahu(range(9), balanced=False, marginal_weight=None)


@pytest.mark.parametrize(
    ("terminal", "patience", "verbose", "seen"),
    [(True, 0.0, None, True), (True, 60.0, None, False), (False, 0.0, None, False), (False, 60.0, True, True)]
    + [(True, 0.0, False, False)],
)
def test_a_bar_is_shown_in_a_terminal_for_what_takes_long(terminal, patience, verbose, seen, monkeypatch, capsys):
    monkeypatch.setattr(iterate, "PATIENCE", patience)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(unmixing, "BLOCK", 8 * 188 * 10)
    wt.unmix(wt.datasets.make_bilinear_scene(shape=(8, 8), random_state=0), "nnls", 3, verbose=verbose)
    told = capsys.readouterr().err
    assert ("nnls: 100%" in told and "64/64" in told) == seen, told


@pytest.mark.parametrize(("given", "solver", "size"), [({}, "minibatch", 25), ({"solver": "adam"}, "adam", 25)])
def test_many_training_pixels_are_learned_from_by_minibatches(given, solver, size, monkeypatch):
    scene = wt.datasets.make_bilinear_scene(shape=(6, 6), n_endmembers=2, random_state=0)
    few = wt.unmix(scene, "wahu", 2, n_training=30, max_iter=1, n_iter=5, **given)
    assert few.model.solver == given.get("solver", "projection")
    monkeypatch.setattr("wdl_tutorial.unmixing.FULL_FIT", 29)
    many = wt.unmix(scene, "wahu", 2, n_training=30, max_iter=1, n_iter=5, **given)
    assert (many.model.solver, many.model.batch_size) == (solver, size)
    np.testing.assert_allclose(many.abundances.sum(axis=-1), 1.0)
