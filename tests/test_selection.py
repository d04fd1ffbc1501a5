"""How many atoms, which locality: right where the truth is known, and silent where nothing tells."""

from __future__ import annotations

import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial import selection
from wdl_tutorial.costs import LineCost

X = np.arange(30.0)
QUICK = {"setting": "synthetic", "recommended": True, "n_training": 20, "n_held_out": 20, "n_splits": 2}


def bump(centres, width=2.0):
    return np.exp(-0.5 * ((X - centres) / width) ** 2)


@pytest.fixture(scope="module")
def moving():
    """A bump that moves, with a little noise: barycenters of two ends."""
    rng = np.random.default_rng(0)
    return bump(rng.uniform(8, 22, (8, 8, 1))) + 0.002 * rng.random((8, 8, 30))


def test_where_the_most_that_were_tried_are_still_worth_it_it_cannot_tell(moving):
    found = wt.select(moving, n_atoms=(1, 2), locality=(0.0,), **QUICK)
    assert (found.n_atoms, found.verdict) == (2, "cannot tell") and "Try more" in found.reason
    assert found.errors[0, 0] > 3 * found.errors[1, 0]
    assert repr(found).startswith("cannot tell (2 atoms, locality 0 is the most frugal): 2 atoms, the most that were")


def test_a_locality_that_costs_nothing_is_taken_and_one_that_costs_is_not(moving):
    found = wt.select(moving, n_atoms=(2,), locality=(10.0, 0.0, 1e-9), **QUICK)
    assert found.tried == ((2,), (0.0, 1e-9, 10.0))
    assert found.locality == 1e-9 and found.errors[0, 2] > 1.2 * found.errors[0, 0]


def test_the_rule_of_the_choice_on_errors_that_are_known():
    """Errors (n_atoms, locality, n_splits, pixels): 10 % better at 3 atoms, nothing beyond."""
    rng = np.random.default_rng(0)
    scatter = 0.001 * rng.random((3, 2, 4, 50))
    errors = np.array([1.0, 0.9, 0.89])[:, None, None, None] + np.array([0.0, 0.02])[:, None, None] + scatter
    found = selection._chosen(errors, (2, 3, 4), (0.0, 0.1), 0.05)
    assert (found.n_atoms, found.locality, found.verdict) == (3, 0.1, "chosen")
    assert selection._chosen(errors, (2, 3, 4), (0.0, 0.1), 0.005).n_atoms == 4
    flat = selection._chosen(errors[1:2].repeat(3, axis=0), (2, 3, 4), (0.0, 0.1), 0.05)
    assert (flat.n_atoms, flat.verdict) == (2, "cannot tell") and "Try fewer" in flat.reason
    noisy = errors + rng.normal(0, 0.2, (3, 2, 4, 1))  # whole splits lie that far apart
    assert selection._chosen(noisy, (2, 3, 4), (0.0, 0.1), 0.05).verdict == "cannot tell"


def test_copies_of_pixels_are_not_predicted():
    few = bump(np.linspace(8, 22, 6)[:, None])
    cube = np.repeat(few, 20, axis=0).reshape(10, 12, 30)
    with pytest.raises(ValueError, match="6 pixels that differ; n_atoms=5 needs 5 to learn from, and 2 more"):
        wt.select(cube, n_atoms=(5,), **QUICK)


@pytest.mark.parametrize(
    "change,message",
    [
        ({"n_atoms": ()}, "n_atoms must list one value"),
        ({"locality": (-1.0,)}, "locality must be"),
        ({"n_splits": 1}, "n_splits must be an integer, 2 or more|n_splits"),
        ({"worth": 0}, "worth must be"),
        ({"speed": 3}, "speed"),
    ],
)
def test_what_cannot_be_tried_is_refused(change, message, moving):
    with pytest.raises((ValueError, TypeError), match=message):
        wt.select(moving, **(QUICK | {"n_atoms": (2,), "locality": (0.0,)} | change))


def test_the_curve_is_drawn_with_its_choice(moving):
    import matplotlib.pyplot as plt

    errors = np.arange(6.0)[::-1].reshape(3, 2)
    found = selection.Selection(3, 0.1, "chosen", "", ((2, 3, 4), (0.0, 0.1)), errors, 0.1 + 0 * errors)
    ax = found.plot()
    assert [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "o"][-1] == [[3.0, 2.0]]
    plt.close(ax.figure)


# ------------------------------------------------------------------------------------------ gaps and unequal bands

GAPPED = np.r_[400.0:800.0:10, 1000.0:1400.0:10]


@pytest.mark.parametrize("price,length", [(1.0, 210.0), (0.0, 10.0), (2.0, 420.0)])
def test_transport_across_a_gap_pays_what_was_asked_and_nothing_else_changes(price, length):
    plain, priced = wt.wahu(GAPPED).cost, wt.wahu(GAPPED, gap_price=price).cost
    assert isinstance(priced, LineCost) and np.isclose(plain.scale, priced.scale, rtol=1e-15)
    cost, before = priced.dense(), plain.dense()
    assert np.isclose(cost[39, 40], length * plain.scale)
    np.testing.assert_allclose(cost[:40, :40], before[:40, :40], rtol=1e-12)
    np.testing.assert_allclose(cost[40:, 40:], before[40:, 40:], rtol=1e-12)


def test_mass_by_width_makes_a_pixel_the_same_histogram_on_unequal_bands():
    """A bump sampled twice as densely on one side: by value its centre of mass moves there, by width it does not."""
    x = np.r_[0.0:50.0:1.0, 50.0:101.0:2.0]
    light = np.exp(-0.5 * ((x - 50) / 12) ** 2)
    value, width = wt.normalize(light), wt.normalize(light * wt.histograms.band_widths(x))
    assert abs(width @ x - 50) < 0.3 and abs(value @ x - 50) > 2.5


def test_a_band_beside_a_gap_is_no_wider_than_its_neighbour():
    assert np.allclose(wt.histograms.band_widths(GAPPED), 1.0)


def test_unmixing_by_width_gives_its_light_back():
    x = np.r_[400.0:600.0:10, 600.0:1000.0:20]
    rng = np.random.default_rng(0)
    centres = rng.uniform(550, 750, (8, 8, 1))
    scene = wt.datasets.Scene("uneven", np.exp(-0.5 * ((x - centres) / 60) ** 2) + 0.05, x)
    options = {"n_endmembers": 2, "setting": "synthetic", "recommended": True}
    found, plain = wt.unmix(scene, "wahu", by_width=True, **options), wt.unmix(scene, "wahu", **options)
    assert found.diagnostics["nrmse_y"] < 0.1 and plain.diagnostics["nrmse_y"] < 0.1
    again = found.apply(scene)
    np.testing.assert_allclose(again.abundances, found.abundances, atol=0.02)
    assert not np.allclose(found.endmembers, plain.endmembers, rtol=1e-3)
