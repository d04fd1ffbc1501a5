"""Metrics: closed forms, the row-argmin trap, per-pixel endmembers, bad input, every backend."""

import math

import numpy as np
import pytest
from conftest import assert_close

from wdl_tutorial import metrics


def test_the_errors_have_their_closed_forms_on_every_backend(xp):
    x, y = xp.array([[3.0, 4.0], [0.0, 0.0]]), xp.array([[3.0, 3.0], [0.0, 0.0]])
    assert metrics.rmse(x, y) == pytest.approx(0.5)
    assert metrics.nrmse(x, y) == pytest.approx(0.2)
    assert metrics.sre(x, y) == pytest.approx(20 * math.log10(5))
    assert metrics.psnr(x, y) == pytest.approx(20 * math.log10(4 / 0.5))
    assert metrics.psnr(x, y, data_range=1.0) == pytest.approx(20 * math.log10(2))
    assert_close(metrics.rmse_per_endmember(x, y), [0.0, math.sqrt(0.5)], atol=1e-15)


def test_equal_arrays_have_no_error_and_infinite_decibels(xp, rng):
    x = xp.array(rng.random((4, 5)))
    assert metrics.rmse(x, x) == metrics.nrmse(x, x) == 0.0
    assert metrics.sre(x, x) == metrics.psnr(x, x) == math.inf


def test_nrmse_is_one_for_zeros_does_not_depend_on_units_and_survives_huge_and_tiny_numbers(rng):
    x, y = rng.random((4, 5)), rng.random((4, 5))
    assert metrics.nrmse(x, 0 * x) == pytest.approx(1.0)
    for factor in (1e-200, 1e-4, 1e200):
        assert metrics.nrmse(factor * x, factor * y) == pytest.approx(metrics.nrmse(x, y), rel=1e-12)


def test_the_spectral_angle_is_the_angle(xp):
    u = xp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    v = xp.array([[0.0, 2.0], [3.0, 3.0], [-1.0, 0.0], [1.0, math.sqrt(3)]])
    assert_close(metrics.spectral_angle(u, v), [math.pi / 2, 0.0, math.pi, math.pi / 3], atol=1e-15)
    assert_close(metrics.spectral_angle(u, v, degrees=True), [90.0, 0.0, 180.0, 60.0], atol=1e-13)


def test_the_spectral_angle_is_blind_to_brightness_and_keeps_its_digits_near_zero():
    u = np.array([1.0, 1.0])
    for angle in (1e-12, 1e-9, 1e-5, 0.1):
        v = 7.0 * np.array([math.cos(math.pi / 4 + angle), math.sin(math.pi / 4 + angle)])
        assert float(metrics.spectral_angle(u, v)) == pytest.approx(angle, rel=1e-3 if angle < 1e-10 else 1e-6)
    assert_close(metrics.spectral_angle([1e-200, 0.0], [1e200, 1e200]), math.pi / 4, atol=1e-15)


def test_spectral_angles_broadcast_over_leading_axes(xp, rng):
    a, b = rng.random((3, 6)), rng.random((2, 6))
    angles = metrics.spectral_angle(xp.array(a)[:, None, :], xp.array(b)[None, :, :])
    assert angles.shape == (3, 2)
    assert_close(xp.numpy(angles)[2, 1], metrics.spectral_angle(a[2], b[1]), atol=1e-15)


def test_matching_undoes_a_permutation_and_a_change_of_brightness(xp, rng):
    reference = rng.random((5, 30))
    order = rng.permutation(5)
    estimate = reference[order] * rng.uniform(0.5, 2.0, (5, 1)) + 0.01 * rng.random((5, 30))
    perm = metrics.match_endmembers(xp.array(reference), xp.array(estimate))
    np.testing.assert_array_equal(order[perm], np.arange(5))


def test_matching_avoids_the_trap_of_taking_each_rows_nearest():
    """Both references are nearest to the first estimate; a row-wise argmin uses it twice and drops the second."""
    reference = np.array([[1.0, 0.0], [math.cos(0.5), math.sin(0.5)]])
    estimate = np.array([[math.cos(0.3), math.sin(0.3)], [math.cos(0.9), math.sin(0.9)]])
    angles = metrics.spectral_angle(reference[:, None], estimate[None])
    assert angles.argmin(axis=1).tolist() == [0, 0]
    perm = metrics.match_endmembers(reference, estimate)
    assert perm.tolist() == [0, 1]
    assert angles[[0, 1], perm].sum() == pytest.approx(0.7)


def test_matching_minimises_the_sum_of_angles_over_all_orders(rng):
    from itertools import permutations

    for _ in range(20):
        reference, estimate = rng.random((4, 5)), rng.random((4, 5))
        angles = metrics.spectral_angle(reference[:, None], estimate[None])
        best = min(sum(angles[i, p[i]] for i in range(4)) for p in permutations(range(4)))
        assert angles[np.arange(4), metrics.match_endmembers(reference, estimate)].sum() == pytest.approx(best)


def test_matching_chooses_among_more_estimates_than_references(rng):
    estimate = rng.random((6, 20))
    np.testing.assert_array_equal(metrics.match_endmembers(estimate[[4, 1]], estimate), [4, 1])
    with pytest.raises(ValueError, match=r"at least as many estimates.*\(6, 20\) and \(2, 20\)"):
        metrics.match_endmembers(estimate, estimate[:2])


def test_endmember_angles_are_means_over_pixels_and_then_over_endmembers(xp):
    reference = xp.array([[1.0, 0.0], [0.0, 1.0]])
    per_pixel = xp.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [0.0, 2.0]]])
    for pair in ((reference, per_pixel), (per_pixel, reference)):
        angles = metrics.endmember_angles(*pair, degrees=True)
        assert_close(angles.per_endmember, [22.5, 0.0], atol=1e-13)
        assert angles.mean == pytest.approx(11.25)
    assert metrics.endmember_angles(reference, reference).mean == 0.0


def test_endmember_errors_repeat_the_fixed_set_for_every_pixel(xp, rng):
    fixed, varying = rng.random((3, 7)), rng.random((10, 3, 7))
    expected = metrics.nrmse(np.broadcast_to(fixed, varying.shape), varying)
    assert metrics.nrmse_endmembers(xp.array(fixed), xp.array(varying)) == pytest.approx(expected)
    assert metrics.nrmse_endmembers(xp.array(fixed), xp.array(fixed)) == 0.0
    with pytest.raises(ValueError, match=r"reference \(3, 7\) and estimate \(10, 2, 7\)"):
        metrics.nrmse_endmembers(fixed, varying[:, :2])
    with pytest.raises(ValueError, match=r"reference \(5, 3, 7\) and estimate \(10, 3, 7\)"):
        metrics.endmember_angles(varying[:5], varying)


def test_constraint_violations_are_measured(xp):
    broken = metrics.constraint_violations(xp.array([[0.5, 0.5], [1.25, -0.25], [0.5, 0.25], [1.0, 0.0]]))
    assert broken.negativity == pytest.approx(0.25)
    assert broken.negative_fraction == pytest.approx(1 / 8)
    assert broken.sum_to_one == pytest.approx(0.25)
    assert broken.mean_sum_to_one == pytest.approx(0.0625)
    assert metrics.constraint_violations(xp.array([[0.25, 0.75]])) == (0.0, 0.0, 0.0, 0.0)


def test_overall_accuracy_counts_what_is_labelled_and_not_excluded(xp):
    labels, predicted = (xp.module.asarray(np.array(x)) for x in ([[1, 1, 2], [0, 2, 2]], [[1, 2, 2], [2, 2, 1]]))
    assert metrics.overall_accuracy(labels, predicted) == pytest.approx(3 / 6)
    assert metrics.overall_accuracy(labels, predicted, unlabelled=0) == pytest.approx(3 / 5)
    for exclude in ([1, 5], np.array([1, 5]), np.array([0, 1, 0, 0, 0, 1], dtype=bool)):
        assert metrics.overall_accuracy(labels, predicted, exclude=exclude, unlabelled=0) == 1.0
    assert metrics.overall_accuracy(labels, predicted, exclude=[]) == pytest.approx(3 / 6)


def test_overall_accuracy_counts_no_masked_pixel_as_wrong_in_silence():
    labels, predicted = np.array([1.0, np.nan, 2.0]), np.array([1.0, 1.0, 2.0])  # NaN: masked by Scene.to_map
    for pair in ((labels, predicted), (predicted, labels)):
        with pytest.raises(ValueError, match="NaN in 1 samples that count"):
            metrics.overall_accuracy(*pair)
        assert metrics.overall_accuracy(*pair, exclude=np.isnan(labels)) == 1.0
    with pytest.raises(TypeError, match="mask would be lost"):
        metrics.overall_accuracy(np.ma.masked_equal([1, 2, 0], 0), [1, 2, 2])


def test_overall_accuracy_takes_no_mask_of_integers_for_indices():
    with pytest.raises(ValueError, match=r"exclude.astype\(bool\)"):
        metrics.overall_accuracy([1, 2, 2, 1], [1, 1, 2, 1], exclude=[0, 1, 0, 0])
    assert metrics.overall_accuracy([1, 2], [1, 1], exclude=[1]) == 1.0


def test_overall_accuracy_refuses_what_it_cannot_count():
    with pytest.raises(ValueError, match=r"got \(3,\) and \(2,\)"):
        metrics.overall_accuracy([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="none of the 2 samples"):
        metrics.overall_accuracy([0, 0], [1, 2], unlabelled=0)
    for wrong in ([2], [-1], [0.5]):
        with pytest.raises(ValueError, match=r"integer indices in 0..1"):
            metrics.overall_accuracy([0, 0], [1, 2], exclude=wrong)
    with pytest.raises(ValueError, match="one entry per sample, 2; got 3"):
        metrics.overall_accuracy([0, 0], [1, 2], exclude=[True, False, True])


PAIRWISE = [metrics.rmse, metrics.nrmse, metrics.sre, metrics.psnr, metrics.rmse_per_endmember]


@pytest.mark.parametrize("metric", PAIRWISE)
def test_different_shapes_are_refused_with_both(metric):
    with pytest.raises(ValueError, match=r"must have one shape; got \(2, 3\) and \(3,\)"):
        metric(np.ones((2, 3)), np.ones(3))


@pytest.mark.parametrize("metric", PAIRWISE + [metrics.spectral_angle, metrics.endmember_angles])
def test_nan_is_refused_by_name(metric):
    bad = np.ones((2, 3))
    bad[1, 1:] = np.nan
    with pytest.raises(ValueError, match="estimate holds 2 NaN"):
        metric(np.ones((2, 3)), bad)
    with pytest.raises(ValueError, match="reference holds 2 NaN"):
        metric(bad, np.ones((2, 3)))


def test_what_has_no_meaning_is_an_error():
    with pytest.raises(ValueError, match="reference is all zeros"):
        metrics.nrmse(np.zeros(3), np.ones(3))
    with pytest.raises(ValueError, match="estimate holds 1 spectra of all zeros"):
        metrics.spectral_angle([[1, 2], [3, 4]], [[0, 0], [1, 1]])
    with pytest.raises(ValueError, match=r"same number of bands.*\(3,\) and \(2,\)"):
        metrics.spectral_angle(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="data_range must be positive; got 0"):
        metrics.psnr(np.ones(3), np.zeros(3))
    with pytest.raises(ValueError, match="is empty"):
        metrics.rmse([], [])


def test_lists_and_integers_work_and_nothing_is_modified(rng):
    assert metrics.rmse([1, 2], [1, 3]) == pytest.approx(math.sqrt(0.5))
    x, y = rng.random((3, 4)), rng.random((3, 4))
    before = x.copy(), y.copy()
    for metric in [*PAIRWISE, metrics.spectral_angle, metrics.endmember_angles, metrics.match_endmembers]:
        metric(x, y)
    np.testing.assert_array_equal((x, y), before)


def test_two_backends_at_once_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="one backend; got numpy and torch"):
        metrics.nrmse(np.ones(3), torch.ones(3))


def test_one_label_by_itself_is_refused_as_labels_and_not_as_exclude():
    with pytest.raises(ValueError, match=r"^labels and predicted must be arrays, one entry per sample"):
        metrics.overall_accuracy(np.float64(1), np.float64(1), exclude=[1])
