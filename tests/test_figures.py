"""The look, and what each plot puts on its Axes."""

from __future__ import annotations

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from conftest import random_histograms

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb

from wdl_tutorial import figures
from wdl_tutorial.datasets import Scene, make_teaching_scene
from wdl_tutorial.figures import (
    contrast,
    label_lines,
    plot_abundances,
    plot_atoms,
    plot_endmembers,
    plot_histograms,
    plot_labels,
    plot_loss,
    plot_map,
    plot_plan,
    plot_reconstruction,
    plot_scene,
    plot_triangle,
    style,
    triangle_points,
    use_style,
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_teaching_scene()


# ------------------------------------------------------------------------------------------ the look


def test_every_series_colour_can_be_read_on_white():
    assert min(contrast(colour) for colour in figures.COLOURS) >= 4.5
    assert contrast(figures.GREY) >= 4.5


def test_every_series_has_its_own_colour_and_its_own_dash():
    looks = [figures.series_style(k) for k in range(7)]
    assert len({look["color"] for look in looks}) == 7
    assert len({str(look["linestyle"]) for look in looks}) == 7


def test_the_map_colours_grow_lighter_in_even_steps():
    """No rainbow: lightness alone orders the values."""
    luminance = [figures._luminance(c) for c in matplotlib.colormaps[figures.SEQUENTIAL](np.linspace(0, 1, 30))[:, :3]]
    assert np.all(np.diff(luminance) > 0)


def test_the_style_holds_inside_its_block_only():
    before = matplotlib.rcParams["axes.spines.top"]
    with style():
        assert matplotlib.rcParams["axes.spines.top"] is False
        assert matplotlib.rcParams["axes.prop_cycle"].by_key()["color"] == list(figures.COLOURS)
    assert matplotlib.rcParams["axes.spines.top"] == before
    with matplotlib.rc_context():
        use_style()
        assert matplotlib.rcParams["image.cmap"] == figures.SEQUENTIAL


def test_importing_the_module_does_not_load_matplotlib():
    code = "import sys, wdl_tutorial.figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------ taking and giving Axes


PLOTS = {
    "histograms": lambda a, ax: plot_histograms(a(np.full((2, 5), 0.2)), labels=["p", "q"], ax=ax),
    "atoms": lambda a, ax: plot_atoms(a(np.full((2, 5), 0.2)), data=a(np.full((3, 5), 0.2)), ax=ax),
    "reconstruction": lambda a, ax: plot_reconstruction(a(np.full(5, 0.2)), a(np.full(5, 0.1)), ax=ax),
    "loss": lambda a, ax: plot_loss([a(np.ones(3)), a(np.ones(2))], labels=["a", "b"], log=True, ax=ax),
    "endmembers": lambda a, ax: plot_endmembers(a(np.ones((2, 5))), a(np.arange(5.0)), ax=ax),
    "plan": lambda a, ax: plot_plan(a(np.full((3, 4), 1 / 12)), ax=ax),
    "map": lambda a, ax: plot_map(a(np.ones((3, 4))), ax=ax),
    "labels": lambda a, ax: plot_labels(a(np.array([[0.0, 1, 1], [2, 2, 2]])), {1: "x", 2: "y"}, ax=ax),
    "triangle": lambda a, ax: plot_triangle(a(np.full((2, 3), 1 / 3)), groups=a(np.array([1.0, 2.0])), ax=ax),
}


@pytest.mark.parametrize("name", list(PLOTS))
def test_every_plot_takes_arrays_of_any_backend_and_gives_back_the_axes_it_was_given(name, xp):
    ax = plt.figure().add_subplot()
    assert PLOTS[name](xp.array, ax) is ax
    ax.figure.canvas.draw()


@pytest.mark.parametrize("name", list(PLOTS))
def test_every_plot_makes_its_own_axes_where_none_is_given(name):
    assert PLOTS[name](np.asarray, None).figure is plt.gcf()


@pytest.mark.parametrize(
    "call,message",
    [
        (lambda: plot_histograms(np.ones((2, 2, 2))), r"histograms must have 1 or 2 axes.*\(2, 2, 2\)"),
        (lambda: plot_map(np.ones(3)), "values must have 2 axes"),
        (lambda: plot_histograms(np.ones((2, 3)), labels=["one"]), "1 names for 2 series"),
        (lambda: plot_reconstruction(np.ones(3), np.ones(4)), r"shape \(3,\) but reconstruction \(4,\)"),
        (lambda: plot_plan(np.ones((3, 4)), np.ones(4), np.ones(3)), "p and q have 4 and 3"),
        (lambda: plot_loss([1.0, -1.0], log=True), "positive losses"),
        (lambda: triangle_points(np.ones((2, 4))), "three weights"),
        (lambda: plot_abundances(np.ones((7, 2)), shape=(2, 3)), "7 rows, but shape"),
        (lambda: plot_scene(Scene("x", np.ones((2, 2, 4))), rgb=(1, 2, 3)), "has none"),
        (lambda: plot_scene(Scene("x", np.ones((2, 2, 4)), np.arange(400.0, 404.0)), rgb=(1, 2)), "three wavelengths"),
        (lambda: plot_labels(np.array([[1.0, 1.5]])), "whole numbers; got 1.5"),
        (lambda: plot_abundances(np.ones((2, 2, 3)), axes=[None, None]), "3 abundance maps need as many axes; got 2"),
    ],
)
def test_what_cannot_be_drawn_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_cube_in_the_place_of_a_scene_is_told():
    with pytest.raises(TypeError, match=r"got ndarray. Use datasets.Scene\(name, cube\)"):
        plot_scene(np.ones((2, 2, 4)))


# ------------------------------------------------------------------------------------------ what is drawn


def test_histograms_are_drawn_as_given_with_their_names_next_to_them(rng):
    rows = random_histograms(rng, 3, 40)
    ax = plot_histograms(rows, np.linspace(0, 1, 40), labels=["a", "b", "c"])
    np.testing.assert_array_equal([line.get_ydata() for line in ax.get_lines()], rows)
    assert [text.get_text() for text in ax.texts] == ["a", "b", "c"]
    assert [text.get_color() for text in ax.texts] == list(figures.COLOURS[:3])
    assert ax.get_legend() is None


def test_labels_of_separate_peaks_stand_at_their_own_peaks():
    x = np.arange(100)
    peaks = np.exp(-0.5 * ((x - np.array([[20], [50], [80]])) / 4) ** 2)
    ax = plot_histograms(peaks, labels=["left", "middle", "right"])
    assert [abs(text.xy[0] - place) < 8 for text, place in zip(ax.texts, (20, 50, 80))] == [True] * 3


def test_labelling_an_empty_axes_changes_nothing():
    ax = plt.figure().add_subplot()
    assert label_lines(ax) is ax and not ax.texts


def test_the_vertical_scale_can_be_held_for_a_slider(rng):
    ax = plot_histograms(random_histograms(rng, 2, 9), ylim=(0, 0.7))
    assert ax.get_ylim() == (0, 0.7)


def test_atoms_lie_over_the_ghosts_of_the_data(rng):
    data, atoms = random_histograms(rng, 6, 9), random_histograms(rng, 2, 9)
    lines = plot_atoms(atoms, data=data).get_lines()
    assert len(lines) == 8
    assert [line.get_label() for line in lines[-2:]] == ["atom 1", "atom 2"]


def test_a_reconstruction_tells_how_much_is_off():
    ax = plot_reconstruction(np.array([0.5, 0.5]), np.array([0.6, 0.4]))
    assert "20 %" in ax.get_title(loc="left") + ax.get_title()


def test_a_dark_pixel_and_a_single_band_are_drawn_without_a_division_by_zero():
    assert plot_reconstruction(np.zeros(3), np.ones(3)).get_title(loc="left") == ""
    assert len(plot_endmembers(np.ones((2, 1)), np.array([500.0])).get_lines()) == 2


def test_loss_curves_keep_their_lengths():
    ax = plot_loss([np.ones(5), np.ones(3)], labels=["a", "b"])
    assert [len(line.get_xdata()) for line in ax.get_lines()] == [5, 3]
    assert len(plot_loss(np.arange(4.0)).get_lines()) == 1


def test_spectra_are_broken_where_bands_are_missing(scene):
    ax = plot_endmembers(scene.endmembers, scene.wavelengths, names=scene.endmember_names, reference=scene.endmembers)
    lines = ax.get_lines()
    assert len(lines) == 14
    x, y = lines[-1].get_data()
    breaks = x[np.isnan(y)]
    assert len(breaks) == 2 and 1340 < breaks[0] < 1430 and 1800 < breaks[1] < 1950


def test_the_reference_behind_endmembers_is_not_cut_off(scene):
    ax = plot_endmembers(0.1 * scene.endmembers, scene.wavelengths, reference=scene.endmembers)
    assert ax.get_ylim()[1] > scene.endmembers.max()


def test_a_plan_shows_the_plan_and_its_two_margins(rng):
    plan = rng.random((4, 6))
    plan /= plan.sum()
    ax = plot_plan(plan)
    np.testing.assert_allclose(ax.collections[0].get_array().reshape(4, 6), np.sqrt(plan))
    assert len(ax.child_axes) == 2
    low, high = ax.get_ylim()
    assert low > high  # row 0 on top, as the matrix is printed


def test_masked_pixels_are_grey_in_every_map():
    values = np.array([[0.0, np.nan], [0.5, 1.0]])
    image = plot_map(values, vmin=0, vmax=1).images[0]
    shown = image.to_rgba(image.get_array())
    np.testing.assert_allclose(shown[0, 1, :3], to_rgb(figures.MASKED), atol=1 / 255)
    assert np.any(np.abs(shown[1, 1, :3] - to_rgb(figures.MASKED)) > 0.1)


def test_abundance_maps_share_one_scale(scene):
    axes = plot_abundances(scene.abundances, names=scene.endmember_names)
    assert len(axes) == 7 and [ax.get_title(loc="left") or ax.get_title() for ax in axes] == list(scene.endmember_names)
    assert {ax.images[0].get_clim() for ax in axes} == {(0.0, 1.0)}
    flat = plot_abundances(scene.abundances.reshape(-1, 7), shape=(64, 64))
    np.testing.assert_array_equal(flat[3].images[0].get_array(), scene.abundances[..., 3])
    given = plt.figure().subplots(1, 7)
    assert plot_abundances(scene.abundances, axes=given)[0] is given[0]


def test_every_class_has_its_code_on_the_map(scene):
    ax = plot_labels(scene.labels, scene.label_names)
    assert [text.get_text() for text in ax.texts] == [str(k) for k in range(1, 8)]
    for text in ax.texts:
        col, row = text.get_position()
        assert scene.labels[row, col] == int(text.get_text())
    assert len(ax.get_legend().get_texts()) == 7


def test_unlabelled_pixels_are_grey():
    image = plot_labels(np.array([[0, 3], [5, 5]])).images[0]
    np.testing.assert_allclose(image.to_rgba(image.get_array())[0, 0, :3], to_rgb(figures.MASKED), atol=1 / 255)


def test_masked_pixels_of_a_class_map_are_grey_and_no_class():
    ax = plot_labels(np.array([[np.nan, 3.0], [5.0, 5.0]]))
    image = ax.images[0]
    np.testing.assert_allclose(image.to_rgba(image.get_array())[0, 0, :3], to_rgb(figures.MASKED), atol=1 / 255)
    assert [text.get_text() for text in ax.texts] == ["3", "5"]


def test_a_scene_is_shown_in_the_bands_that_its_caption_names(scene):
    ax = plot_scene(scene)
    assert ax.get_xlabel() == "red, green, blue: 650, 550, 450 nm"
    picture = np.asarray(ax.images[0].get_array())
    assert picture.shape == (64, 64, 3) and 0 <= picture.min() and picture.max() <= 1
    crop, pond = picture[15, 5], picture[55, 14]
    assert crop[1] > crop[0] and crop[1] > crop[2]  # vegetation is green
    assert pond.max() < 0.3  # water is dark


def test_a_scene_without_wavelengths_names_its_bands_and_greys_its_mask(rng):
    cube = rng.random((3, 4, 11))
    cube[1, 1] = np.nan
    ax = plot_scene(Scene("x", cube))
    assert ax.get_xlabel() == "bands 8, 5, 2"
    np.testing.assert_allclose(ax.images[0].get_array()[1, 1], to_rgb(figures.MASKED))


def test_an_infrared_scene_uses_its_own_range(rng):
    ax = plot_scene(Scene("x", rng.random((3, 4, 11)), np.linspace(2000, 2500, 11)))
    assert ax.get_xlabel() == "red, green, blue: 2400, 2250, 2100 nm"


def test_triangle_points_are_barycentric():
    corners = triangle_points(np.eye(3))
    np.testing.assert_allclose(np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1), 1.0)
    np.testing.assert_allclose(triangle_points([1 / 3] * 3)[0], corners.mean(axis=0))


def test_a_triangle_shows_groups_by_marker_too(rng):
    ax = plot_triangle(rng.dirichlet([1, 1, 1], 6), groups=[1, 1, 2, 2, 3, 3], names=["a", "b", "c"], path=True)
    assert [text.get_text() for text in ax.texts] == ["a", "b", "c"]
    paths = {str(points.get_paths()[0].vertices.tolist()) for points in ax.collections}
    assert len(ax.collections) == 3 and len(paths) == 3


def test_the_wavelengths_of_a_picture_may_be_a_tensor():
    torch = pytest.importorskip("torch")
    scene = make_teaching_scene()
    one, other = (figures.scene_picture(scene, rgb=rgb)[0] for rgb in ((650, 550, 450), torch.tensor([650, 550, 450])))
    assert np.array_equal(one, other)
