"""RBF-AEC: its two layers are the formulas, it learns Fan's mixing, and it says what it cannot take."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

import wdl_tutorial as wt
from wdl_tutorial import datasets, metrics

torch = pytest.importorskip("torch")
from wdl_tutorial.deep import rbf, rbf_autoencoder  # noqa: E402


def two_heaps(rng, n=40):
    centers = np.array([[0.9, 0.1, 0.2], [0.1, 0.8, 0.4]])
    return centers[np.arange(n) % 2] + 0.01 * rng.standard_normal((n, 3)), centers


def mixed(rng, n=60):
    """Fan's mixtures of two spectra, most of them nearly pure."""
    centers = np.array([[0.9, 0.1, 0.2], [0.1, 0.8, 0.4]])
    a = rng.dirichlet([0.2, 0.2], n)
    return a @ centers + a[:, [0]] * a[:, [1]] * centers[0] * centers[1]


def test_abundances_are_the_softmax_of_squared_distances_and_the_decoder_adds_products(rng):
    centers = torch.tensor(rng.random((3, 5)))
    model = rbf.RBFModel(centers, 2.0, [(0, 1), (0, 2), (1, 2)])
    y = rng.random((4, 5))
    c, distances = centers.numpy(), ((y[:, None] - centers.numpy()) ** 2).sum(axis=2)
    wanted = np.exp(-2.0 * distances)
    wanted /= wanted.sum(axis=1, keepdims=True)
    with torch.no_grad():
        a = model.encode(torch.tensor(y)).numpy()
        model.gains[:] = torch.tensor([1.0, 0.5, 0.0])
        mixed = model.decode(torch.tensor(a)).numpy()
    np.testing.assert_allclose(a, wanted, atol=1e-12)
    bounced = a[:, [0]] * a[:, [1]] * c[0] * c[1] + 0.5 * a[:, [0]] * a[:, [2]] * c[0] * c[2]
    np.testing.assert_allclose(mixed, a @ c + bounced, atol=1e-12)


def test_a_pixel_between_two_materials_has_halves_of_both_and_a_pixel_on_one_has_it_alone(rng):
    X, _ = two_heaps(rng)
    found = rbf_autoencoder(X, 2)
    middle = rbf.RBFModel(torch.tensor(found.centers / X.max()), 50.0, [(0, 1)])
    with torch.no_grad():
        halves = middle.encode(torch.tensor(found.centers.mean(axis=0, keepdims=True) / X.max())).numpy()
    np.testing.assert_allclose(halves, 0.5, atol=1e-9)
    assert np.all(found.abundances.max(axis=1) > 0.99)
    np.testing.assert_allclose(found.abundances.sum(axis=1), 1, atol=1e-9)


def test_it_starts_at_the_means_of_k_means_and_fifty_small_steps_hardly_leave_them(rng):
    X = mixed(rng)
    found = rbf_autoencoder(X, 2)
    means = KMeans(2, n_init=10, random_state=0).fit(X).cluster_centers_
    near = np.abs(found.endmembers[:, None] - means).max(axis=2).min(axis=1)
    assert 0 < near.max() < 0.01
    assert len(found.losses) == 51 and found.losses[-1] < found.losses[0]


def test_longer_training_lowers_the_misfit_and_the_error_of_the_fractions(rng):
    scene = datasets.make_bilinear_scene(shape=(16, 16), strength=1.0, random_state=0)
    truth = scene.abundances.reshape(-1, 3)

    def trained(**steps):
        found = rbf_autoencoder(scene.pixels(), 3, **steps)
        order = metrics.match_endmembers(scene.endmembers, found.endmembers)
        return metrics.nrmse(truth, found.abundances[:, order]), found.losses

    (short, few), (long, many) = trained(), trained(n_epochs=1000, learning_rate=1e-3)
    assert many[0] == few[0] and many[-1] < 0.2 * few[-1]
    assert long < 0.7 * short  # .33 and .59: no method of fractions yet


def test_the_units_of_the_pixels_are_those_of_the_endmembers_and_a_seed_is_a_run(rng):
    X = mixed(rng)
    one, again, scaled = rbf_autoencoder(X, 2), rbf_autoencoder(X, 2), rbf_autoencoder(1000 * X, 2)
    np.testing.assert_array_equal(one.endmembers, again.endmembers)
    np.testing.assert_allclose(scaled.endmembers, 1000 * one.endmembers, rtol=1e-9)
    np.testing.assert_allclose(scaled.abundances, one.abundances, atol=1e-9)
    np.testing.assert_allclose(scaled.reconstruction, 1000 * one.reconstruction, rtol=1e-9)


def test_all_products_are_each_pair_both_ways_and_the_squares(rng):
    X, _ = two_heaps(rng)
    assert rbf_autoencoder(X, 2, products="all", n_epochs=2).gains.shape == (4,)
    assert rbf_autoencoder(X, 2, n_epochs=2).gains.shape == (1,)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_endmembers": 1}, "n_endmembers must be"),
        ({"products": "some"}, "products must be"),
        ({"n_epochs": 0}, "n_epochs must be"),
        ({"learning_rate": 0.0}, "learning_rate must be"),
        ({"X": np.ones((5, 3))}, "X holds 1 different spectra"),
        ({"X": np.full((5, 3), np.nan)}, "NaN"),
    ],
)
def test_what_cannot_be_done_is_told(change, message, rng):
    options = {"X": two_heaps(rng)[0], "n_endmembers": 2} | change
    with pytest.raises(ValueError, match=message):
        rbf_autoencoder(**options)


def test_it_learns_under_no_grad_and_leaves_the_global_generators_alone(rng):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    with torch.no_grad():
        losses = rbf_autoencoder(mixed(rng), 2).losses
    assert losses[-1] < losses[0]
    assert torch.equal(before, torch.random.get_rng_state())


def test_unmix_and_compare_take_it_with_its_options():
    scene = datasets.make_bilinear_scene(shape=(8, 9), n_endmembers=3, random_state=0)
    mask = np.ones((8, 9), dtype=bool)
    mask[2, 3] = False
    found = wt.unmix(scene._replace(mask=mask), "rbf", products="all", n_epochs=5)
    alone = rbf_autoencoder(scene.cube[mask], 3, products="all", n_epochs=5)
    np.testing.assert_allclose(found.abundances[mask], alone.abundances, rtol=1e-12)
    np.testing.assert_allclose(found.reconstruction[mask], alone.reconstruction, rtol=1e-12)
    np.testing.assert_allclose(found.endmembers, alone.endmembers, rtol=1e-12)
    assert np.isnan(found.abundances[2, 3]).all() and found.bundle is None
    assert {"products", "learning_rate"} <= set(wt.unmixing.options_of("rbf"))
    table = wt.compare(scene, {"rbf": {"n_epochs": 5}, "fcls": {}}).medians()
    assert np.isfinite([table["rbf"]["nrmse_a"], table["rbf"]["nrmse_y"]]).all()
    with pytest.raises(TypeError, match="takes no option 'endmembers'"):
        wt.unmix(scene, "rbf", endmembers=scene.endmembers)
