"""The mixing test: side by side, moved, or nothing to say; and how often it is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_close

import wdl_tutorial as wt
from wdl_tutorial import trust

NM = np.linspace(2200, 2400, 41)


def dip(at, depth=0.3, width=15.0):
    return 1 - depth * np.exp(-0.5 * ((NM - at) / width) ** 2)


def test_a_band_halfway_has_moved_and_two_rocks_side_by_side_have_not():
    moved, beside = dip(2300), (dip(2280) + dip(2320)) / 2
    found = wt.mixing_test(np.stack([moved, beside]), dip(2280), dip(2320), NM, noise=1e-3)
    assert found.verdicts == ("moved", "side by side")
    assert found.verdict == "cannot tell"  # one of each
    assert found.barycenter[0] < 0.05 < 0.5 < found.linear[0]
    assert found.linear[1] < 0.02 < 0.5 < found.barycenter[1]


def test_light_that_was_not_turned_over_does_not_travel():
    """As reflectance the barycenter of two dips is two half dips: chapter 13."""
    found = wt.mixing_test(dip(2300), dip(2280), dip(2320), NM, represented="as given", noise=1e-3)
    assert found.verdict != "moved"


def test_a_third_of_the_way_is_found_at_any_brightness():
    one = wt.mixing_test(0.5 * dip(2293), 0.5 * dip(2280), 0.5 * dip(2320), NM, noise=1e-4)
    assert one.verdict == "moved"
    full = wt.mixing_test(dip(2293), dip(2280), dip(2320), NM, noise=1e-4)
    assert_close(one.barycenter, full.barycenter, atol=1e-9)


def test_where_areal_mixtures_look_moved_as_well_it_cannot_tell():
    """Ends two nanometres apart, less than half a band: "moved", say most areal mixtures at this margin."""
    pixels = (dip(2299) + dip(2301)) / 2 + 0.001 * np.random.default_rng(0).standard_normal((20, 41))
    found = wt.mixing_test(pixels, dip(2299), dip(2301), NM, margin=0.99, noise=0.001)
    assert found.verdicts.count("moved") > 10
    assert found.false_alarms > 0.9
    assert found.verdict == "cannot tell"


def test_the_noise_is_estimated_from_the_bands():
    rng = np.random.default_rng(1)
    for level in (0.002, 0.01):
        pixels = dip(2290) + level * rng.standard_normal((200, 41))
        assert abs(wt.mixing_test(pixels, dip(2280), dip(2320), NM).noise / level - 1) < 0.1


def test_on_the_teaching_scene_false_alarms_are_rare_and_most_moved_bands_are_found():
    scene = wt.datasets.make_teaching_scene()
    scene = scene.drop_bands(scene.extra["bad_band"])
    window, where = scene.wavelengths >= 2200, scene.extra["regions"]["outcrop"]
    pixels, shift, nm = scene.cube[where][:, window], scene.extra["shift_nm"][where], scene.wavelengths[window]
    west, east = pixels[shift < 3].mean(axis=0), pixels[shift > 27].mean(axis=0)
    noise = np.sqrt(np.mean(scene.pixels() ** 2) / 10**4)
    rng = np.random.default_rng(0)
    t = rng.random((200, 1))
    areal = (1 - t) * west + t * east + noise * rng.standard_normal((200, nm.size))
    assert wt.mixing_test(areal, west, east, nm, noise=noise).verdicts.count("moved") <= 4
    found = wt.mixing_test(pixels[(shift > 5) & (shift < 25)][:200], west, east, nm)
    assert found.verdict == "moved" and found.false_alarms <= 0.02
    assert found.verdicts.count("moved") >= 120


def test_nothing_is_modified_and_a_seed_repeats():
    first, second = dip(2299), dip(2301)
    pixels = np.stack([dip(2299.5), dip(2300.5)])
    for value in (first, second, pixels):
        value.setflags(write=False)
    options = {"noise": 0.003, "margin": 0.99}
    alarms = [wt.mixing_test(pixels, first, second, NM, random_state=k, **options).false_alarms for k in (3, 3, 4)]
    assert alarms[0] == alarms[1] != alarms[2]


def test_tensors_are_welcome():
    torch = pytest.importorskip("torch")
    given = [torch.from_numpy(v) for v in (dip(2300), dip(2280), dip(2320), NM)]
    assert wt.mixing_test(*given, noise=1e-3).verdict == "moved"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"wavelengths": NM[::-1]}, "wavelengths must be 5 or more increasing"),
        ({"pixels": np.ones((3, 40))}, r"pixels has shape \(3, 40\); with 41 wavelengths"),
        ({"first": np.ones((1, 41))}, r"first has shape \(1, 41\)"),
        ({"pixels": np.where(NM > 2390, np.nan, dip(2300))}, "pixels holds NaN or infinity"),
        ({"second": dip(2280)}, "same spectrum"),
        ({"margin": 1.0}, r"margin must be in \(0, 1\); got 1.0"),
        ({"noise": -1.0}, "noise must be non-negative, a standard deviation; got -1"),
        ({"n_simulated": 2.5}, "n_simulated must be an integer of at least 1; got 2.5"),
        ({"n_simulated": 0}, "n_simulated must be an integer of at least 1; got 0"),
        ({"first": np.ones(41)}, "first and second: a spectrum has no feature in this window"),
        ({"represented": "height"}, 'represented must be "depth" or "as given"'),
        ({"pixels": -dip(2300)}, "pixels: a spectrum is nowhere positive"),
        ({"pixels": np.ones(41)}, "pixels: a spectrum has no feature in this window"),
    ],
)
def test_what_it_cannot_judge_is_one_clear_error(change, message):
    given = {"pixels": dip(2300), "first": dip(2280), "second": dip(2320), "wavelengths": NM} | change
    options = {key: given.pop(key) for key in ("margin", "noise", "represented", "n_simulated") if key in given}
    with pytest.raises(ValueError, match=message):
        wt.mixing_test(**given, **options)


# ------------------------------------------------------------------------------------------ doubt and report


@pytest.fixture(scope="module")
def mixed():
    return wt.datasets.make_bilinear_scene(shape=(12, 12), strength=0.0, random_state=0)


def test_doubt_is_nothing_where_all_runs_agree_and_says_who_was_asked(mixed):
    found = wt.doubt(mixed, "fcls", 3, random_state=(0, 1), endmembers=mixed.endmembers)
    np.testing.assert_allclose(found.map, 0.0, atol=1e-12)
    assert found.names == ("fcls, seed 0", "fcls, seed 1")


def test_doubt_aligns_the_runs_without_a_truth(mixed):
    orders = ([0, 1, 2], [2, 0, 1], [1, 2, 0])
    runs = [wt.unmix(mixed, "fcls", endmembers=mixed.endmembers[order]) for order in orders]
    stack, first = trust.aligned(runs)
    np.testing.assert_allclose(stack, np.broadcast_to(stack[first], stack.shape), atol=1e-9)


def test_doubt_knows_that_the_methods_disagree_and_not_the_seeds(mixed):
    dark = mixed._replace(cube=mixed.cube * np.linspace(0.3, 1.0, 12)[:, None, None])
    found = wt.doubt(dark, ("fcls", "nnls"), 3, random_state=(0, 1), endmembers=dark.endmembers)
    assert "the methods, more than the seeds, that disagree" in found.reading()
    assert np.nanmean(found.map[:3]) > 5 * np.nanmean(found.map[-2:])


@pytest.mark.parametrize("methods", [None, 3, b"fcls", [None, "fcls"]])
@pytest.mark.parametrize("ask", [wt.doubt, wt.compare])
def test_methods_that_are_none_are_named(ask, methods, mixed):
    with pytest.raises(TypeError, match=r"^methods must be .*; got "):
        ask(mixed, methods, 3)


def test_masked_pixels_have_no_doubt(mixed):
    mask = np.ones((12, 12), dtype=bool)
    mask[0, 0] = False
    found = wt.doubt(mixed, "nnls", 3, random_state=(0, 1), mask=mask)
    assert np.argwhere(np.isnan(found.map)).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    "methods,seeds,message",
    [("fcls", 0, "two runs at least; got 1 methods and 1 seeds"), (("pca", "fcls"), 0, '"pca" has components')],
)
def test_doubt_of_one_run_or_of_components_is_refused(methods, seeds, message, mixed):
    with pytest.raises(ValueError, match=message):
        wt.doubt(mixed, methods, 3, random_state=seeds)


SAMPLE = wt.datasets.load_usgs_sample()
GROUPS = [
    ("buddingtonite", "topaz", "illite"),
    ("calcite", "dry grass", "siderite", "chlorite"),
    ("green vegetation", "illite", "topaz", "siderite", "buddingtonite"),
]


def dirichlet(names, seed, *, alpha=0.3, most=1.0, snr_db=35.0, shape=(45, 45)):
    """The generator that the thresholds were fixed on: every pixel drawn by itself, none purer than ``most``."""
    rng, spectra = np.random.default_rng(seed), SAMPLE.select(*names)
    a = rng.dirichlet([alpha] * len(names), shape)
    while (a.max(axis=-1) > most).any():
        over = a.max(axis=-1) > most
        a[over] = rng.dirichlet([alpha] * len(names), int(over.sum()))
    return noisy(a @ spectra, snr_db, rng), spectra


def fields(names, seed, *, sharp=6.0, snr_db=35.0, shape=(50, 50)):
    """Another generator: smooth fields in sun and shade, with sharp borders, or so soft that no pixel is pure."""
    from scipy.ndimage import gaussian_filter

    rng, spectra = np.random.default_rng(seed), SAMPLE.select(*names)
    smooth = np.stack([gaussian_filter(rng.normal(size=shape), 4) for _ in names], axis=-1)
    e = np.exp(sharp * smooth / smooth.std())
    a = e / e.sum(axis=-1, keepdims=True)
    light = 1 + 0.05 * gaussian_filter(rng.normal(size=shape), 6) / 0.05
    return noisy((a @ spectra) * np.clip(light, 0.7, 1.3)[..., None], snr_db, rng), spectra


def noisy(cube, snr_db, rng):
    return cube + rng.normal(0, np.sqrt((cube**2).mean() / 10 ** (snr_db / 10)), cube.shape)


FIXED_ON = {
    "pure pixels, 3": (lambda: wt.unmix(dirichlet(GROUPS[0], 1, snr_db=40)[0], "fcls", 3), True),
    "pure pixels, 4": (lambda: wt.unmix(dirichlet(GROUPS[1], 1)[0], "fcls", 4), True),
    "interior only, 3": (lambda: wt.unmix(dirichlet(GROUPS[0], 2, alpha=3.0, most=0.7)[0], "fcls", 3), False),
    "interior only, 5": (lambda: wt.unmix(dirichlet(GROUPS[2], 3, alpha=3.0, most=0.7)[0], "fcls", 5), False),
    "more than there are": (lambda: wt.unmix(dirichlet(GROUPS[0], 4)[0], "fcls", 5), False),
}
TRIED_ON = {
    "fields of 3": (lambda: wt.unmix(fields(GROUPS[0], 10)[0], "nnls", 3), True),
    "fields of 4": (lambda: wt.unmix(fields(GROUPS[1], 11)[0], "nnls", 4), True),
    "fields of 5": (lambda: wt.unmix(fields(GROUPS[2], 12, snr_db=40)[0], "nnls", 5), True),
    "fields of 4, noisy": (lambda: wt.unmix(fields(GROUPS[1], 13, snr_db=28)[0], "nnls", 4), True),
    "fields of 3, spectra given": (lambda: given(fields(GROUPS[0], 14, sharp=0.7)), True),
    "nothing pure, 3": (lambda: wt.unmix(fields(GROUPS[0], 15, sharp=0.7)[0], "nnls", 3), False),
    "nothing pure, 4": (lambda: wt.unmix(fields(GROUPS[1], 16, sharp=0.7)[0], "nnls", 4), False),
    "three of 3 and two more": (lambda: wt.unmix(fields(GROUPS[0], 17)[0], "nnls", 5), False),
    "four of 4 and three more": (lambda: wt.unmix(fields(GROUPS[1], 18)[0], "nnls", 7), False),
    "counts beside reflectance": (lambda: given(fields(GROUPS[2], 19), 1e4), False),
}


def given(made, factor=1.0):
    cube, spectra = made
    return wt.unmix(cube * factor, "nnls", endmembers=spectra)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FIXED_ON)
def test_the_report_is_right_on_the_scenes_it_was_fixed_on(name):
    make, good = FIXED_ON[name]
    report = make().report()
    assert (report.verdict != "do not use") == good, report


@pytest.mark.filterwarnings("ignore")
def test_the_report_is_right_on_eight_of_ten_scenes_by_another_generator():
    reports = {name: (make().report(), good) for name, (make, good) in TRIED_ON.items()}
    wrong = {name: found for name, (found, good) in reports.items() if (found.verdict != "do not use") != good}
    assert len(wrong) <= 2, wrong


def test_the_clean_teaching_scene_may_be_used():
    scene = wt.datasets.make_teaching_scene()
    scene = scene.drop_bands(scene.extra["bad_band"])
    assert wt.unmix(scene, "fcls", 7, snr_db=0).report().verdict == "use"


def test_a_fit_that_did_not_converge_is_not_to_be_used(mixed):
    found = wt.unmix(mixed, "nmf", 3, max_iter=2)
    lines = {f.name: f for f in found.report().findings}
    assert lines["convergence"].verdict == "do not use" and "Raise max_iter" in lines["convergence"].words
    assert found.report().verdict == "do not use"


def test_a_report_prints_its_verdict_first_and_the_worst_findings_on_top(mixed):
    text = repr(wt.unmix(mixed, "fcls", 5).report()).splitlines()
    assert text[0] == "fcls: do not use" and text[1].startswith("  do not use")


def test_the_spread_of_runs_that_are_given_is_judged(mixed):
    found = wt.doubt(mixed, "nmf", 3, random_state=(0, 1, 2))
    names = [f.name for f in found.runs[0].report(others=found.runs).findings]
    assert "seeds" in names


def test_every_method_can_be_reported_on_and_described(mixed):
    for method, options in {"pca": {}, "nmf": {}, "bilinear": {}, "elmm": {"max_iter": 50}}.items():
        found = wt.unmix(mixed, method, 3, **options)
        assert found.report().verdict in ("use", "look", "do not use")
        text = found.describe()
        assert "12 x 12 pixels, 188 bands (400 to 2490 nm" in text and wt.__version__ in text


def test_a_description_names_the_method_its_source_and_its_settings(mixed):
    text = wt.unmix(mixed, "nnls", 3, random_state=5, snr_db=0).describe()
    for words in ("Lawson and Hanson", "Nascimento", "seed was 5", "snr_db = 0", "sha256"):
        assert words in text
    assert "topaz" in wt.unmix(mixed, "fcls", endmembers=["topaz", "illite"]).describe()


def test_fill_among_the_endmembers_is_not_to_be_used(mixed):
    cube = mixed.cube.copy()
    cube[0, :3] = -1.0
    with pytest.warns(UserWarning, match="fill"):
        report = wt.unmix(mixed._replace(cube=cube), "nnls", 3).report()
    (line,) = [f for f in report.findings if f.name == "fill"]
    assert report.verdict == line.verdict == "do not use" and "about -1: no material" in line.words


def test_pixels_that_the_endmembers_cannot_mix_say_to_try_another_seed_first():
    """VCA may miss the pure pixel that is there, which another seed finds."""
    scene = wt.datasets.make_bilinear_scene(shape=(20, 20), strength=0.0, random_state=0)
    missed = 0.85 * scene.endmembers + 0.15 * np.roll(scene.endmembers, 1, axis=0)
    line = next(f for f in wt.unmix(scene, "nnls", endmembers=missed).report().findings if f.name == "inside")
    assert line.verdict == "do not use" and "Another random_state may find purer pixels" in line.words
