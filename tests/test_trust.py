"""The mixing test: side by side, moved, or nothing to say; and how often it is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_close

import wdl_tutorial as wt

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
        ({"margin": 1.0}, "margin must lie between 0 and 1; got 1.0"),
        ({"noise": -1.0}, "noise must be a standard deviation, zero or more; got -1"),
        ({"represented": "height"}, 'represented must be "depth" or "as given"'),
        ({"pixels": -dip(2300)}, "nowhere positive"),
        ({"pixels": np.ones(41)}, "no feature in this window"),
    ],
)
def test_what_it_cannot_judge_is_one_clear_error(change, message):
    given = {"pixels": dip(2300), "first": dip(2280), "second": dip(2320), "wavelengths": NM} | change
    options = {key: given.pop(key) for key in ("margin", "noise", "represented") if key in given}
    with pytest.raises(ValueError, match=message):
        wt.mixing_test(**given, **options)
