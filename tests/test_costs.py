"""Costs: three ways to say one matrix, on every backend."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from conftest import assert_close

import wdl_tutorial as wt
from wdl_tutorial.costs import is_symmetric

# ------------------------------------------------------------------------------------------------------------- costs


def test_a_cost_matrix_is_the_distance_to_its_power(xp):
    x, y = [0.0, 1.0, 3.0], [0.5, 2.0]
    for power in (1, 2, 3, 0.5):
        expected = [[abs(a - b) ** power for b in y] for a in x]
        for given in ((xp.array(x), xp.array(y)), (x, xp.array(y)), (xp.array(x), y)):
            assert_close(wt.cost_matrix(*given, power=power), expected, rtol=1e-15)


def test_points_in_the_plane_use_euclidean_distance(xp):
    points = xp.array([[0.0, 0.0], [3.0, 4.0]])
    assert_close(wt.cost_matrix(points, power=1), [[0, 5], [5, 0]])
    assert_close(wt.cost_matrix(points), [[0, 25], [25, 0]])


def test_the_default_power_is_two_and_lists_of_integers_work():
    assert wt.cost_matrix([0, 3]).tolist() == [[0.0, 9.0], [9.0, 0.0]]


def test_a_grid_cost_adds_up_over_the_axes_in_c_order():
    points = np.stack(np.meshgrid(0.5 * np.arange(3), 2.0 * np.arange(4), indexing="ij"), -1).reshape(-1, 2)
    assert_close(wt.GridCost((3, 4), spacing=(0.5, 2.0)).dense(), wt.cost_matrix(points), atol=1e-14)
    taxi = np.abs(points[:, None] - points[None]).sum(-1)
    assert_close(wt.GridCost((3, 4), power=1, spacing=(0.5, 2.0)).dense(), taxi, atol=1e-14)


def test_a_line_cost_is_the_scaled_distance():
    assert_close(wt.LineCost([0, 1, 4], scale=2.5).dense(), 2.5 * wt.cost_matrix([0, 1, 4], power=1))
    assert_close(wt.LineCost([0, 1, 4], power=2).dense(), wt.cost_matrix([0, 1, 4]))


def test_a_line_cost_keeps_its_own_read_only_positions():
    positions = np.array([0.0, 1.0, 2.0])
    cost = wt.LineCost(positions)
    positions[0] = -9.0
    assert cost.positions[0] == 0.0
    assert not cost.positions.flags.writeable


def test_costs_say_what_they_are():
    assert repr(wt.GridCost((2, 3))) == "GridCost((2, 3), power=2, spacing=(1.0, 1.0))"
    assert repr(wt.LineCost([0, 1], scale=2)) == "LineCost(2 positions, power=1, scale=2)"
    assert wt.GridCost((2, 3)).shape == (6, 6)
    assert wt.LineCost([0, 1]).shape == (2, 2)


def test_symmetry_is_seen():
    assert is_symmetric(wt.GridCost(3)) and is_symmetric(wt.LineCost([0, 1])) and is_symmetric(np.ones((2, 2)))
    assert not is_symmetric(np.array([[0.0, 1.0], [2.0, 0.0]])) and not is_symmetric(np.ones((2, 3)))
    rounded = wt.cost_matrix(np.linspace(0, 1, 5))
    rounded[0, 4] *= 1 + 4e-16  # as a distance computed one way, then the other
    assert is_symmetric(rounded)


# ------------------------------------------------------------------------------------------------------------- blur


def test_blur_is_the_standard_deviation_of_the_gaussian_kernel():
    line = wt.GridCost(401, spacing=0.25)
    kernel = np.exp(-line.dense()[200] / 8.0)
    offsets = 0.25 * (np.arange(401) - 200)
    measured = math.sqrt((kernel * offsets**2).sum() / kernel.sum())
    assert abs(wt.blur_width(8.0, line) - measured) < 1e-12  # a Gaussian sampled every eighth of its width: exact
    assert wt.blur_width(8.0, line) == 2.0


def test_blur_of_power_one_is_the_decay_length():
    assert wt.blur_width(0.05, wt.LineCost([400.0, 2500.0], scale=10 / 2100)) == pytest.approx(10.5, rel=1e-14)


@pytest.mark.parametrize(
    "cost",
    [wt.GridCost(9), wt.LineCost([0, 1, 5], power=3, scale=0.2), wt.cost_matrix(np.arange(9))],
    ids=["grid", "line", "dense"],
)
def test_eps_for_blur_is_the_inverse(cost):
    assert wt.blur_width(wt.eps_for_blur(1.7, cost), cost) == pytest.approx(1.7, rel=1e-14)


def test_blur_of_a_dense_cost_is_in_the_units_of_its_positions(xp):
    bins = np.arange(200)
    scaled = xp.array(wt.cost_matrix(bins) / 199**2)  # the synthetic setting of WaHU
    assert wt.blur_width(1e-3, scaled, positions=bins) == pytest.approx(4.45, abs=5e-3)  # "sd 4.45 bins at eps=.001"
    bands = 400.0 + 10.0 * bins  # nm
    assert wt.blur_width(50.0, xp.array(wt.cost_matrix(bands)), positions=bands) == pytest.approx(5.0, rel=1e-12)
    uneven = np.array([0.0, 3.0, 4.0, 9.0])
    cost = xp.array(0.25 * wt.cost_matrix(uneven, power=1.5))
    assert wt.eps_for_blur(2.0, cost, positions=uneven) == pytest.approx(1.5 * 0.25 * 2**1.5, rel=1e-12)


def test_a_dense_cost_in_unknown_units_asks_for_its_positions():
    bands = 400.0 + 10.0 * np.arange(60)
    with pytest.raises(TypeError, match=r"does not know the units of its axis.*first two bins cost 100.*positions="):
        wt.blur_width(50.0, wt.cost_matrix(bands))  # 0.5, in bins, was the answer once
    with pytest.raises(TypeError, match=r"first two bins cost 0\.25"):
        wt.eps_for_blur(1.0, wt.cost_matrix(np.arange(5) / 2))
    assert wt.blur_width(2.0, wt.cost_matrix(bands / 10)) == 1.0  # neighbours cost 1: the unit is one bin


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: wt.blur_width(1.0, np.zeros((3, 3)), positions=[0, 1, 2]), ValueError, "this one is no such cost"),
        (lambda: wt.blur_width(1.0, np.ones((3, 3))), ValueError, "this one is no such cost"),
        (lambda: wt.blur_width(1.0, wt.cost_matrix([0, 1, 3])), ValueError, "this one is no such cost"),
        (lambda: wt.blur_width(1.0, np.ones((3, 4))), ValueError, r"a square one.*got shape \(3, 4\)"),
        (lambda: wt.blur_width(1.0, np.eye(3), positions=[0, 1]), ValueError, "3 of them; got shape"),
        (lambda: wt.blur_width(1.0, wt.GridCost(3), positions=[0, 1, 2]), TypeError, "a GridCost knows its own axis"),
        (lambda: wt.blur_width(1e308, wt.LineCost([0, 1], power=0.5, scale=1e-9)), ValueError, "beyond the floats"),
        (lambda: wt.eps_for_blur(1e300, wt.GridCost(3)), ValueError, "eps beyond the floats"),
        (lambda: wt.eps_for_blur(1e-300, wt.GridCost(3)), ValueError, "eps beyond the floats"),
    ],
)
def test_blur_says_what_it_cannot_know(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ----------------------------------------------------------------------------------------------- far apart, or too many


@pytest.mark.parametrize(
    "call",
    [
        lambda: wt.cost_matrix([0, 1e200]),
        lambda: wt.cost_matrix([0, 1e150], power=3),
        lambda: wt.cost_matrix([0, 10], power=400),
        lambda: wt.cost_matrix([-1e308, 1e308], power=1),
        lambda: wt.cost_matrix([[0, 0], [1e200, 0]], power=1),
        lambda: wt.cost_matrix(np.asarray([0, 1e30], dtype=np.float32)),
        lambda: wt.GridCost(2, spacing=1e200),
        lambda: wt.GridCost((2, 100), spacing=(1.0, 1e153)),
        lambda: wt.GridCost(11, power=400),
        lambda: wt.LineCost([0, 1e200], power=2),
        lambda: wt.LineCost([0, 1e200], scale=1e200),
        lambda: wt.LineCost([0, 10], power=400),
    ],
)
def test_a_cost_beyond_the_floats_is_refused_not_infinite(call):
    with pytest.raises(ValueError, match=r"beyond .*[Uu]se larger units"):
        call()


def test_positions_whose_distance_is_no_float_are_refused():
    with pytest.raises(ValueError, match=r"from -1e.308 to 1e.308 lie too far apart for floats; use larger units"):
        wt.LineCost([-1e308, 1e308])


@pytest.mark.parametrize(
    "call",
    [
        lambda: wt.cost_matrix(np.arange(1e5)),
        lambda: wt.cost_matrix(np.zeros((100_000, 3)), np.zeros((50_000, 3))),
        lambda: wt.GridCost((400, 400)).dense(),
        lambda: wt.LineCost(np.arange(1e5)).dense(),
    ],
)
def test_a_cost_too_large_to_build_names_those_that_are_never_built(call):
    with pytest.raises(MemoryError, match=r"100000 x|160000 x.*GiB.*LineCost\(positions\).*GridCost\(shape\)"):
        call()


def test_distances_in_many_dimensions_take_little_more_memory_than_their_result(rng):
    x = rng.random((400, 300))
    expected = ((x[:, None] - x[None]) ** 2).sum(-1)  # 384 MB of differences
    wt.cost_matrix(x[:10])
    tracemalloc.start()
    found = wt.cost_matrix(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_close(found, expected, rtol=1e-14)
    assert peak < 30e6  # of which 1.3 MB are the result


@pytest.mark.parametrize("power", [0.5, 1, 1.5, 2, 3])
@pytest.mark.parametrize("points", [[[0.0, 0.0], [1.0, 2.0], [1.0, 2.0]], [0.0, 1.0, 1.0]], ids=["plane", "line"])
def test_the_gradient_of_a_distance_is_zero_where_points_meet(points, power):
    torch = pytest.importorskip("torch")
    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    wt.cost_matrix(x, power=power)[0].sum().backward()  # from the first point to all
    gap = np.array(points)[1:] - np.array(points)[0]
    length = np.abs(gap) if gap.ndim == 1 else np.linalg.norm(gap, axis=1, keepdims=True)
    slopes = power * length ** (power - 2) * gap
    assert_close(x.grad, np.concatenate([-slopes.sum(0, keepdims=True), slopes]), rtol=1e-13)


def test_a_width_must_be_positive():
    with pytest.raises(ValueError, match="width must be positive; got -1"):
        wt.eps_for_blur(-1, wt.GridCost(3))


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wt.cost_matrix([0, float("nan")]), "positions hold NaN or infinite entries; drop or mend"),
        (lambda: wt.cost_matrix([[0, 1]], [[0, 1, 2]]), r"one d; got shapes \(1, 2\) and \(1, 3\)"),
        (lambda: wt.cost_matrix(3.0), r"got shapes \(\) and \(\)"),
        (lambda: wt.cost_matrix([0, 1], power=0), "power must be a positive number; got 0. Use 1 or 2"),
        (lambda: wt.GridCost(0), "shape must be positive integers; got 0"),
        (lambda: wt.GridCost((2, 1.5)), r"shape must be positive integers; got \(2, 1.5\)"),
        (lambda: wt.GridCost(2.5), "shape must be positive integers; got 2.5"),
        (lambda: wt.GridCost(3, spacing=-1), "spacing must be positive; got -1"),
        (lambda: wt.GridCost(3, spacing="a"), "spacing must be positive; got 'a'"),
        (lambda: wt.GridCost((3, 2), spacing=(1, 2, 3)), r"spacing must be one number, or one per axis \(2\); got 3"),
        (lambda: wt.cost_matrix([0, 1], power=True), "power must be a positive number; got True"),
        (lambda: wt.eps_for_blur(float("inf"), wt.GridCost(3)), "width must be positive; got inf"),
        (lambda: wt.eps_for_blur("a", wt.GridCost(3)), "width must be positive; got 'a'"),
        (lambda: wt.LineCost([0, 2, 1]), "positions must increase; positions 1 and 2 are 2 and 1. Sort"),
        (lambda: wt.LineCost([0, 2, 2]), "positions must increase; positions 1 and 2 are 2 and 2. Merge or drop one"),
        (lambda: wt.LineCost([0, float("nan")]), "positions hold NaN or infinite entries; drop those bins"),
        (lambda: wt.LineCost([[0, 1]]), r"positions must be a vector; got shape \(1, 2\)"),
        (lambda: wt.LineCost([0, 1], scale=0), "scale must be a positive number; got 0"),
    ],
)
def test_costs_say_what_does_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_power_may_be_a_number_of_numpy():
    for power in (np.int64(2), np.float32(2)):
        np.testing.assert_array_equal(wt.cost_matrix([0, 3], power=power), [[0, 9], [9, 0]])


def test_what_version_0_1_kept_among_the_costs_is_still_found_there():
    from wdl_tutorial import costs, kernels

    for name in costs._OLD_NAMES:
        assert getattr(costs, name) is getattr(kernels, name)
    with pytest.raises(AttributeError, match="no attribute 'gibbs'"):
        _ = costs.gibbs
