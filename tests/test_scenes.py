"""A cube in memory becomes a scene: what is mended is told, and what cannot be right is refused or told."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_close

from wdl_tutorial import blocks
from wdl_tutorial.datasets import Geo, Scene, make_scene

NM = np.linspace(400.0, 2400.0, 50)


@pytest.fixture
def counts(rng) -> np.ndarray:
    return (1000 + 4000 * rng.random((20, 30, 50))).astype("i2")


def told(scene, *words: str) -> bool:
    return any(all(word in note for word in words) for note in scene.notes)


# ------------------------------------------------------------------------------------------ fill


@pytest.mark.parametrize("value", [-9999, -32768, -50, 32767])
def test_fill_that_nobody_named_is_counted_with_the_way_to_mask_it(value, counts):
    counts[3:5, 7] = value
    scene = make_scene(counts, NM)
    assert told(scene, "2 pixels hold one value", f"{value}", f"fill={value}") and scene.mask is None
    mended = make_scene(counts, NM, fill=value)
    assert (~mended.mask).sum() == 2 and not told(mended, "hold one value")


def test_clipping_does_not_turn_fill_into_black_pixels(counts):
    counts[0, 0] = -9999
    scene = make_scene(counts, NM, negative="clip")
    assert not scene.mask[0, 0] and np.isnan(scene.cube[0, 0]).all()
    assert told(scene, "1 pixels without any positive value are masked")


def test_a_fill_value_that_the_type_cannot_hold_is_told(counts):
    scene = make_scene(counts.astype("u2"), NM, fill=-9999)
    assert told(scene, "-9999 cannot occur in uint16")
    assert scene.mask is None


def test_bands_of_zeros_are_dropped_and_told(counts):
    counts[..., [0, 49]] = 0
    scene = make_scene(counts, NM, fwhm=np.full(50, 10.0), band_names=[f"b{k}" for k in range(50)])
    assert scene.cube.shape[-1] == len(scene.fwhm) == len(scene.band_names) == 48 and scene.band_names[0] == "b1"
    assert told(scene, "2 bands that are zero in every pixel", "[0, 49]")
    assert_close(scene.wavelengths, NM[1:-1], atol=0)


def test_several_fill_values_are_all_masked(counts):
    counts[0, 0], counts[0, 1] = -1, -2
    assert np.argwhere(~make_scene(counts, fill=[-1, -2]).mask).tolist() == [[0, 0], [0, 1]]


# ------------------------------------------------------------------------------------------ units


@pytest.mark.parametrize("label", ["um", "Micrometers", "microns"])
def test_nanometres_called_micrometres_stay_nanometres_and_are_told(label, counts):
    scene = make_scene(counts, NM, units=label)
    assert_close(scene.wavelengths, NM, atol=0)
    assert told(scene, "read as nanometres", label)


def test_micrometres_called_nanometres_become_nanometres_and_are_told(counts):
    scene = make_scene(counts, NM / 1000, units="nm")
    assert_close(scene.wavelengths, NM, atol=1e-9)
    assert told(scene, "read as micrometres", "nm")


def test_micrometres_without_a_unit_are_told(counts):
    assert told(make_scene(counts, NM / 1000), "read as micrometres")
    assert not told(make_scene(counts, NM / 1000, units="um"), "read as")
    assert not told(make_scene(counts, NM), "read as")


@pytest.mark.parametrize("first", [0, 1])
def test_band_numbers_are_not_taken_for_wavelengths(first, counts):
    scene = make_scene(counts, np.arange(50) + first)
    assert scene.wavelengths is None and told(scene, "band numbers")


@pytest.mark.parametrize("label", ["Nanometers", "nm", "Nanometers (nm)", "nanometre", " NM "])
def test_every_spelling_of_nanometres_is_understood(label, counts):
    assert_close(make_scene(counts, NM, units=label).wavelengths, NM, atol=0)


def test_units_that_are_no_length_are_refused(counts):
    with pytest.raises(ValueError, match="'GHz'"):
        make_scene(counts, NM, units="GHz")


def test_wavelengths_where_no_camera_sees_are_refused(counts):
    with pytest.raises(ValueError, match="no camera sees"):
        make_scene(counts, NM * 1e4)


def test_a_scale_of_one_is_a_known_scale(counts):
    scene = make_scene(counts / 10000, NM, scale=1)
    assert scene.units == "reflectance" and not told(scene, "no scale")
    assert told(make_scene(counts, NM), "no scale is known")


# ------------------------------------------------------------------------------------------ masks


def test_the_mask_of_a_masked_array_is_kept(counts):
    hidden = np.zeros(counts.shape, dtype=bool)
    hidden[2, 3, 10] = True
    cloudy = np.ma.array(counts, mask=hidden)
    scene = make_scene(cloudy, NM)
    assert np.argwhere(~scene.mask).tolist() == [[2, 3]]
    direct = Scene("mine", cloudy)
    assert len(direct.pixels()) == 599 and np.isnan(direct.to_map(np.ones(599))[2, 3])
    assert len(direct.crop(slice(2, 4), slice(2, 4)).pixels()) == 3


def test_labels_of_the_transposed_shape_are_refused_by_crop(counts):
    scene = Scene("mine", counts, labels=np.zeros((30, 20)))
    with pytest.raises(
        ValueError, match=r"labels must have one entry per pixel, shape \(20, 30\); got \(30, 20\); transp"
    ):
        scene.crop(slice(2, 4), slice(2, 4))


def test_a_mask_of_the_transposed_shape_is_refused(counts):
    with pytest.raises(ValueError, match="transpose it"):
        make_scene(counts, mask=np.ones((30, 20)))


@pytest.mark.parametrize(
    "bad,message",
    [([50], r"in 0..49"), ([True] * 3, "one entry per band"), (["a"], "numbers of bands")],
)
def test_bad_bands_that_cannot_be_are_refused(bad, message, counts):
    with pytest.raises(ValueError, match=message):
        make_scene(counts, NM, bad_bands=bad)


@pytest.mark.parametrize(
    "change,message",
    [
        ({"scale": 0}, "scale must be positive"),
        ({"scale": "ten"}, "scale must be positive"),
        ({"fill": "none"}, "fill must be a number"),
        ({"negative": "drop"}, "negative must be"),
        ({"dtype": int}, "dtype must be"),
        ({"wavelengths": ["a"] * 50}, "must be numbers"),
        ({"wavelengths": NM[:9]}, "Give one per band"),
    ],
)
def test_an_argument_that_cannot_be_is_named(change, message, counts):
    with pytest.raises(ValueError, match=message):
        make_scene(counts, **change)


def test_the_caller_s_array_is_not_touched(counts):
    counts.flags.writeable = False
    copy = counts.copy()
    make_scene(counts, NM[::-1], fill=int(counts[0, 0, 0]), scale=1e4, negative="clip")
    np.testing.assert_array_equal(counts, copy)


def test_slab_by_slab_is_the_same_as_at_once(counts, monkeypatch):
    counts[4, 4, 5], counts[..., 7], counts[9, 9] = -7, -7, 0
    whole = make_scene(counts, NM[::-1], fill=-7, scale=1e4)
    monkeypatch.setattr(blocks, "SLAB", 1)
    parts = make_scene(counts, NM[::-1], fill=-7, scale=1e4)
    np.testing.assert_array_equal(whole.cube, parts.cube)
    np.testing.assert_array_equal(whole.mask, parts.mask)
    assert whole.notes == parts.notes


def test_half_the_memory_on_request(counts):
    scene = make_scene(counts, NM, scale=1e4, dtype=np.float32)
    assert scene.cube.dtype == np.float32
    assert_close(scene.cube, counts / 1e4, rtol=1e-7)


# ------------------------------------------------------------------------------------------ place on the ground


def test_a_crop_moves_the_origin_and_a_step_widens_the_pixels(counts):
    geo = Geo((30.0, 0.0, 500000.0, 0.0, -30.0, 4000000.0), "EPSG:32611")
    part = make_scene(counts, NM, geo=geo).crop(slice(2, 10, 2), slice(-3, None))
    assert part.geo.transform == (30.0, 0.0, 500000.0 + 27 * 30, 0.0, -60.0, 4000000.0 - 60)


def test_a_flipped_crop_starts_at_the_far_side(counts):
    geo = Geo((1.0, 0.0, 0.0, 0.0, -1.0, 0.0), "EPSG:32611")
    part = make_scene(counts, geo=geo).crop(slice(None, None, -1), slice(None))
    assert part.geo.transform == (1.0, 0.0, 0.0, 0.0, 1.0, -20.0)  # the first pixel is the southernmost one


def test_dropped_bands_take_their_names_and_widths_along(counts):
    scene = make_scene(counts, NM, fwhm=np.arange(1.0, 51), band_names=list(map(str, range(50)))).drop_bands([0, 2])
    assert scene.band_names[:2] == ("1", "3") and scene.fwhm[:2].tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": np.inf}, "offset must be a finite number; got inf"),
        ({"offset": np.array([1.0, 2.0])}, "offset must be a finite number; got"),
        ({"scale": 5e-324}, "scale must be in .*; got 5e-324"),
        ({"band_names": ["a", "b"]}, "band_names must be 3, one for each bands; got 2 names"),
        ({"band_names": 3}, "band_names must be a list of texts; got 3"),
        ({"units": 3}, "units must be a text; got 3"),
        ({"units": "sideways"}, "in 'sideways'; only nanometers and micrometers are understood. Give units='nm'"),
        ({"fwhm": "broad"}, "fwhm: expected numbers, got str"),
        ({"mask": [[1], [2, 3]]}, "mask must be one array; got"),
        ({"mask": np.full((2, 2), "yes")}, "mask must hold False and True, or 0 and 1; got <U3"),
        ({"bad_bands": [[1], [2, 3]]}, "bad_bands must be one array; got"),
        ({"negative": np.zeros(2)}, "negative must be 'keep', 'clip' or 'raise'; got"),
        ({"dtype": "scene"}, "dtype must be float32 or float64; got 'scene'"),
        ({"wavelengths": [[1], [2, 3]]}, "wavelengths must be one array; got"),
    ],
)
def test_what_an_array_cannot_be_mended_with_is_named(change, message):
    given = {"wavelengths": [500.0, 600.0, 700.0]} | change
    with pytest.raises((ValueError, TypeError), match=message):
        make_scene(np.full((2, 2, 3), 0.5), **given)


def test_a_tensor_that_tracks_gradients_becomes_a_scene():
    torch = pytest.importorskip("torch")
    cube = np.random.default_rng(0).random((2, 2, 3))
    assert np.array_equal(make_scene(torch.tensor(cube, requires_grad=True)).cube, cube)
