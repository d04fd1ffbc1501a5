"""Histograms: refused by row, number and remedy; exact transport on the line; hulls and area fractions."""

from __future__ import annotations

import numpy as np
import ot
import pytest
from conftest import assert_close, gaussian, random_histograms

import wdl_tutorial as wt
from wdl_tutorial._checks import check_histograms, check_nonnegative


def test_normalized_rows_sum_to_one(xp, rng):
    x = xp.array(rng.random((2, 3, 7)))
    y = wt.normalize(x)
    assert type(y) is type(x)
    assert_close(xp.numpy(y).sum(-1), np.ones((2, 3)), atol=1e-15)
    assert_close(wt.normalize(y), y, atol=1e-16)


def test_lists_and_integers_are_normalized_as_floats(xp):
    assert_close(wt.normalize([[1, 3], [0, 2]]), [[0.25, 0.75], [0, 1]])
    assert_close(wt.normalize(xp.module.asarray([1, 3])), [0.25, 0.75])


def test_normalize_does_not_write_into_its_argument(rng):
    x = rng.random((2, 5))
    before = x.copy()
    wt.normalize(x)
    assert (x == before).all()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1, 1], [1, -2]], r"x must not be negative; its smallest entry is -2 \(row 1 is the first.*Clip it"),
        ([[1, 1], [1, float("nan")]], r"x holds 1 NaN or infinite entries \(row 1.*Replace or mask"),
        ([[1, float("inf")], [1, 1]], r"x holds 1 NaN or infinite entries \(row 0"),
        ([[1, 1], [0, 0], [0, 0]], r"x has 2 rows that sum to 0 \(row 1 is the first\).*mask those pixels"),
        ([[[1, 1], [1, 1]], [[1, 1], [0, 0]]], r"row \(1, 1\)"),
        ([0, 0], r"\(it is the first\)"),
    ],
)
def test_normalize_names_the_row_it_refuses(xp, x, message):
    with pytest.raises(ValueError, match=message):
        wt.normalize(xp.array(x))


def test_histograms_that_miss_mass_are_refused_with_the_worst_sum(xp):
    x = xp.array([[0.5, 0.5], [0.5, 0.33], [0.5, 0.45]])
    message = r"p must sum to 1 along its last axis; worst row sums to 0.83. Use wdl_tutorial.normalize\(p\)"
    with pytest.raises(ValueError, match=message):
        check_histograms(x, "p")
    check_histograms(xp.array([[0.5, 0.5 + 9e-7]]), "p")  # within the stated 1e-6


def test_weights_off_the_simplex_are_refused(xp):
    with pytest.raises(ValueError, match="weights must sum to 1"):
        check_histograms(xp.array([[0.5, 0.6]]), "weights")
    with pytest.raises(ValueError, match=r"weights must not be negative; its smallest entry is -0.1"):
        check_histograms(xp.array([[1.1, -0.1]]), "weights")
    check_histograms(xp.array([[1.0, 0.0]]), "weights")  # zero weights are fine


def test_nonnegative_says_which_argument(xp):
    with pytest.raises(ValueError, match="atoms must not be negative"):
        check_nonnegative(xp.array([-1.0]), "atoms")


@pytest.mark.parametrize("power", [1, 2, 3])
def test_transport_on_the_line_equals_the_linear_programme(rng, power):
    p, q = random_histograms(rng, 2, 30)
    x = np.sort(rng.random(30))
    exact = ot.emd2(p, q, np.abs(x[:, None] - x[None]) ** power)
    assert abs(wt.wasserstein_1d(p, q, x, power=power) - exact) < 1e-12  # both are exact up to rounding


def test_a_shift_by_three_bins_costs_three_to_the_power(xp):
    p, q = xp.array(np.eye(9)[2]), xp.array(np.eye(9)[5])
    assert wt.wasserstein_1d(p, q) == 9.0
    assert wt.wasserstein_1d(p, q, power=1) == 3.0
    assert wt.wasserstein_1d(p, p) == 0.0


def test_a_long_float32_histogram_moves_as_far_as_its_float64_twin():
    # cumulative sums in float32, divided by another sum, left slivers of mass that travelled over all bins
    p = np.concatenate([np.random.default_rng(0).random(50_000), np.zeros(50_000)])
    p = (p / p.sum()).astype(np.float32)
    assert wt.wasserstein_1d(p, np.roll(p, 3)) == pytest.approx(9.0, rel=1e-6)


def test_displacement_between_gaussians_averages_means_and_widths():
    n = 400
    plan = wt.displacement(gaussian(n, 100, 4), gaussian(n, 300, 12))
    middle = (plan.start + plan.end) / 2
    mean = (plan.mass * middle).sum()
    std = np.sqrt((plan.mass * (middle - mean) ** 2).sum())
    assert abs(mean - 200.0) < 1e-9  # symmetric atoms, tails below 1e-15: exact
    assert abs(std - 8.0) < 0.05  # bins of width 1 round the quantiles
    assert abs(plan.mass.sum() - 1.0) < 1e-14
    assert (np.diff(plan.start) >= 0).all() and (np.diff(plan.end) >= 0).all()  # monotone


def test_displacement_has_the_histograms_as_its_ends(rng):
    p, q = random_histograms(rng, 2, 12)
    p[3] = 0.0
    p /= p.sum()
    plan = wt.displacement(p, q)
    assert_close(np.bincount(plan.start.astype(int), plan.mass, 12), p, atol=1e-14)
    assert_close(np.bincount(plan.end.astype(int), plan.mass, 12), q, atol=1e-14)


def test_displacement_says_what_does_not_fit():
    with pytest.raises(ValueError, match=r"vectors of one length; got shapes \(2,\), \(3,\)"):
        wt.displacement([0.5, 0.5], [1, 0, 0])
    with pytest.raises(ValueError, match=r"positions 0 and 1 are 1 and 0\. Sort the bins"):
        wt.displacement([0.5, 0.5], [1, 0], [1, 0])
    with pytest.raises(ValueError, match="q must sum to 1"):
        wt.wasserstein_1d([0.5, 0.5], [1, 1])


def test_a_dip_in_a_straight_continuum_keeps_its_depth(xp):
    wavelengths = np.linspace(400, 2500, 50)
    line = 0.3 + 1e-4 * wavelengths
    dip = 0.25 * np.exp(-0.5 * ((wavelengths - 1400) / 80) ** 2)
    depth = wt.continuum_removed(xp.array([line, line * (1 - dip)]), xp.array(wavelengths))
    assert_close(depth[0, :], np.zeros(50), atol=1e-14)
    assert_close(depth[1, :], dip, atol=1e-9)  # far tails of the dip lie on the hull


def test_continuum_removal_ignores_brightness(rng):
    spectra, wavelengths = rng.random((3, 20)) + 0.2, np.arange(20.0)
    assert_close(wt.continuum_removed(7 * spectra, wavelengths), wt.continuum_removed(spectra, wavelengths), atol=1e-14)


@pytest.mark.parametrize(
    ("spectra", "wavelengths", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0], r"2 bands but wavelengths has shape \(3,\)"),
        ([1.0, 2.0], [2.0, 1.0], "wavelengths must increase; wavelengths 0 and 1 are 2 and 1. Sort the bands"),
        ([1.0, 2.0], [1.0, float("nan")], "wavelengths hold NaN or infinite entries; drop those bands"),
        ([1.0, 2.0], 3.0, r"2 bands but wavelengths has shape \(\)"),
        (1.0, [1.0], r"0 bands but wavelengths has shape \(1,\)"),
        ([1.0, 0.0], [1.0, 2.0], "spectra must be positive.*smallest entry is 0"),
    ],
)
def test_continuum_removal_says_what_does_not_fit(spectra, wavelengths, message):
    with pytest.raises(ValueError, match=message):
        wt.continuum_removed(spectra, wavelengths)


def test_area_fractions_undo_what_normalising_did_to_a_linear_mixture(xp, rng):
    bright, dark = rng.random(10) + 2.0, rng.random(10) + 0.1
    pixel = 0.5 * bright + 0.5 * dark  # equal areas
    light = np.array([0.5 * bright.sum(), 0.5 * dark.sum()]) / pixel.sum()
    areas = wt.area_fractions(xp.array(light), xp.array([bright.sum(), dark.sum()]))
    assert_close(areas, [0.5, 0.5], atol=1e-15)


def test_area_fractions_refuse_dark_endmembers_and_loose_weights():
    with pytest.raises(ValueError, match="scales must be positive; the smallest is 0"):
        wt.area_fractions([0.5, 0.5], [1.0, 0.0])
    with pytest.raises(ValueError, match="scales must be finite; the largest is inf"):
        wt.area_fractions([0.5, 0.5], [1.0, float("inf")])
    with pytest.raises(ValueError, match=r"scales need one entry per atom; got scales \(3,\) for weights \(2,\)"):
        wt.area_fractions([0.5, 0.5], [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="weights must sum to 1"):
        wt.area_fractions([0.5, 0.6], [1.0, 1.0])


def test_a_sum_beyond_the_floating_type_is_refused_not_divided_by():
    with pytest.raises(ValueError, match=r"a sum of x is beyond the range of float32 \(row 1 is the first\).*float64"):
        wt.normalize(np.array([[1, 2], [3e38, 3e38]], dtype=np.float32))
    with pytest.raises(ValueError, match="x must have its bins on the last axis; got a number"):
        wt.normalize(3.0)


@pytest.mark.parametrize("power", [0.5, -1, float("nan"), float("inf"), "2"])
def test_quantiles_are_refused_where_the_monotone_plan_is_not_the_cheapest(power):
    with pytest.raises(ValueError, match=f"power must be at least 1( and finite)?; got {power!r}"):
        wt.wasserstein_1d([0.5, 0.5], [0.0, 1.0], power=power)


def test_positions_of_the_line_must_be_numbers():
    with pytest.raises(ValueError, match="positions hold NaN or infinite entries"):
        wt.displacement([0.5, 0.5], [0.0, 1.0], [0.0, float("nan")])
    with pytest.raises(ValueError, match=r"must be vectors of one length; got shapes \(\)"):
        wt.displacement(1.0, 1.0)


# ------------------------------------------------------------------------------------- far from one, and of other types


@pytest.mark.parametrize(
    ("weights", "scales", "fractions"),
    [
        ([0.5, 0.5], [1e-310, 1.0], [1.0, 1e-310]),
        ([0.5, 0.5], [1e300, 1e-300], [0.0, 1.0]),
        ([1.0, 0.0], [1e300, 1e-300], [1.0, 0.0]),  # a dark endmember that is not there does not count
        ([0.25, 0.75], [1e-308, 3e-308], [0.5, 0.5]),
        ([0.25, 0.75], [1e307, 3e307], [0.5, 0.5]),
    ],
)
def test_area_fractions_do_not_depend_on_the_units_of_brightness(xp, weights, scales, fractions):
    found = wt.area_fractions(xp.array(weights), xp.array(scales))
    assert_close(found, fractions, rtol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: wt.wasserstein_1d([1, 0], [0, 1], [0, 1e200]),
            r"distance of 1e\+200 to the power 2 is beyond the floats",
        ),
        (lambda: wt.wasserstein_1d([1, 0], [0, 1], [0, 10], power=400), "distance of 10 to the power 400 is beyond"),
        (lambda: wt.wasserstein_1d([1, 0], [0, 1], [-1e308, 1e308]), "positions from .* too far apart for floats"),
        (lambda: wt.continuum_removed([1, 2, 1], [-1e308, 0, 1e308]), "wavelengths from .* too far apart for floats"),
    ],
)
def test_axes_beyond_the_floats_are_refused_not_infinite(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_band_depth_does_not_depend_on_the_units_of_the_spectrum_or_of_the_axis(scale):
    spectrum, axis = np.array([1.0, 2.0, 1.5, 3.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0, 6.0])
    usual = wt.continuum_removed(spectrum, axis)
    assert_close(usual, [0, 0, 0.4, 0, 0], atol=1e-15)
    assert_close(wt.continuum_removed(scale * spectrum, axis), usual, rtol=1e-14)
    assert_close(wt.continuum_removed(spectrum, scale * axis), usual, rtol=1e-14)


def test_a_spectrum_over_six_hundred_decades_has_a_band_depth():
    assert_close(wt.continuum_removed([1e-310, 1e300, 1e300, 1.0], [1, 2, 3, 4]), [0, 0, 0, 0])


def test_band_depth_of_extended_precision_is_that_of_float64():
    depth = wt.continuum_removed(np.array([1, 0.5, 1], dtype=np.longdouble), np.array([1, 2, 3], dtype=np.longdouble))
    assert depth.dtype == np.float64
    assert_close(depth, [0, 0.5, 0], atol=1e-15)


@pytest.mark.parametrize("n_bins", [10_000, 100_000])
def test_rows_of_many_float32_bins_sum_to_one_in_any_memory_order(rng, n_bins):
    x = np.asfortranarray(rng.random((3, n_bins)).astype(np.float32))  # NumPy adds such rows one by one
    y = np.asfortranarray(wt.normalize(x))
    assert y.dtype == np.float32
    check_histograms(y, "y")
    assert abs(y.astype(np.float64).sum(1) - 1).max() < 3e-7
    exact = (x / x.sum(1, dtype=np.float64, keepdims=True)).astype(np.float32)
    check_histograms(np.asfortranarray(exact), "exact")


def test_a_sum_that_is_off_by_little_is_not_called_one():
    with pytest.raises(ValueError, match=r"p must sum to 1 along its last axis; worst row sums to 1 \+ 4.0e-06. Use"):
        check_histograms(np.array([0.5, 0.500004]), "p")
    with pytest.raises(ValueError, match=r"worst row sums to 1 - 4.0e-06"):
        check_histograms(np.array([0.5, 0.499996]), "p")
