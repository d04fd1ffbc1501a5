"""EGU-Net: its nearly pure spectra are the corners of squares, it learns what they are, and it says what it cannot take."""

import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial import datasets, linear, metrics

torch = pytest.importorskip("torch")
from wdl_tutorial.deep import egu_net, egunet  # noqa: E402


@pytest.fixture(scope="module")
def scene():
    return datasets.make_bilinear_scene(shape=(15, 15), n_endmembers=3, random_state=0)


@pytest.fixture(scope="module")
def found(scene):
    return egu_net(scene.cube, 3, random_state=0)


def test_nearly_pure_spectra_are_the_corners_that_vca_finds_in_each_square(scene):
    everywhere = np.ones((15, 15), dtype=bool)
    pure = egunet.pure_pixels(scene.cube, everywhere, 3, 5, np.random.default_rng(0))
    assert pure.shape == (27, scene.cube.shape[-1])
    rng = np.random.default_rng(0)
    for k, three in enumerate(pure.reshape(9, 3, -1)):
        row, column = 5 * (k // 3), 5 * (k % 3)
        square = scene.cube[row : row + 5, column : column + 5].reshape(25, -1)
        np.testing.assert_array_equal(three, linear.vca(square, 3, snr_db=30.0, random_state=rng).endmembers)


def test_squares_that_the_mask_empties_give_nothing(scene):
    mask = np.ones((15, 15), dtype=bool)
    mask[:5] = False
    assert len(egunet.pure_pixels(scene.cube, mask, 3, 5, np.random.default_rng(0))) == 18


def test_it_is_told_the_shares_of_the_free_fit(scene, found):
    free = linear.nnls(found.pure, linear.vca(scene.pixels(), 3, random_state=np.random.default_rng(0)).endmembers)
    np.testing.assert_allclose(
        found.pure_abundances, free.abundances / free.abundances.sum(axis=1, keepdims=True), atol=1e-9
    )


def test_the_layers_are_those_of_the_public_code():
    model = egunet.EGUModel(5, 224, 0.1)
    sizes = [layer.weight.shape for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    wanted = [(256, 224), (128, 256), (32, 128), (5, 32), (32, 5), (128, 32), (256, 128), (224, 256)]
    assert sorted(map(tuple, sizes)) == sorted(wanted)
    half_squares = (
        sum(
            float((layer.weight.detach() ** 2).sum()) for layer in model.modules() if isinstance(layer, torch.nn.Linear)
        )
        / 2
    )
    assert float(model.decay().detach()) == pytest.approx(half_squares, rel=1e-6)


def test_training_lowers_the_loss_and_brings_abundances_nearer_to_the_truth(scene, found):
    truth = scene.abundances.reshape(-1, 3)

    def error(fit):
        order = metrics.match_endmembers(truth.T + 1e-9, fit.abundances.T + 1e-9)
        return metrics.nrmse(truth, fit.abundances[:, order])

    assert found.losses[-1] < 0.5 * found.losses[0]
    assert error(found) < 0.5 * error(egu_net(scene.cube, 3, n_epochs=1, random_state=0))
    np.testing.assert_allclose(found.abundances.sum(axis=1), 1, atol=1e-6)
    assert metrics.nrmse(scene.pixels(), found.reconstruction) < 0.2


def test_a_seed_is_a_run_and_units_are_those_of_the_cube(scene):
    one, again, scaled = (egu_net(x, 3, n_epochs=3) for x in (scene.cube, scene.cube, 1000 * scene.cube))
    np.testing.assert_array_equal(one.abundances, again.abundances)
    np.testing.assert_allclose(scaled.endmembers, 1000 * one.endmembers, rtol=1e-3)
    np.testing.assert_allclose(scaled.abundances, one.abundances, atol=1e-3)


def test_masked_pixels_are_left_out_whatever_they_hold(scene):
    mask = np.ones((15, 15), dtype=bool)
    mask[3, 4] = False
    spoilt = scene.cube.copy()
    spoilt[3, 4] = np.nan
    left = [egu_net(cube, 3, mask=mask, n_epochs=2).abundances for cube in (scene.cube, spoilt)]
    assert left[0].shape == (224, 3)
    np.testing.assert_array_equal(*left)


def test_unmix_and_compare_take_it_with_its_options(scene):
    mask = np.ones((15, 15), dtype=bool)
    mask[2, 3] = False
    found = wt.unmix(scene._replace(mask=mask), "egunet", n_epochs=2, endmembers=scene.endmembers)
    assert found.abundances.shape == (15, 15, 3) and np.isnan(found.abundances[2, 3]).all()
    assert found.bundle is None and found.endmembers.shape == scene.endmembers.shape
    assert {"block", "n_epochs", "weight_decay", "endmembers"} <= set(wt.unmixing.options_of("egunet"))
    table = wt.compare(scene, {"egunet": {"n_epochs": 2}, "fcls": {}}).medians()
    assert np.isfinite([table["egunet"]["nrmse_a"], table["egunet"]["nrmse_y"]]).all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_endmembers": 1}, "n_endmembers must be"),
        ({"block": 1}, "block must be"),
        ({"n_epochs": 0}, "n_epochs must be"),
        ({"learning_rate": 0.0}, "learning_rate must be"),
        ({"drop": 1.0}, "drop must be"),
        ({"cube": np.full((6, 6, 8), np.nan)}, "NaN or infinite"),
        ({"cube": np.zeros((6, 6, 8))}, "no light at all"),
        ({"cube": np.ones((6, 8))}, r"shape \(rows, cols, n_bands\)"),
        ({"mask": np.ones((2, 2), dtype=bool)}, "mask must be bool of shape"),
        ({"block": 2, "n_endmembers": 5, "endmembers": np.eye(8)[:5]}, "no square of 2 x 2 pixels gives 5 endmembers"),
        ({"endmembers": np.eye(8)[:2]}, "endmembers must have 3 rows"),
    ],
)
def test_what_cannot_be_done_is_told(change, message, rng):
    options = {"cube": rng.dirichlet(np.ones(3), (6, 6)) @ rng.random((3, 8)), "n_endmembers": 3} | change
    with pytest.raises(ValueError, match=message):
        egu_net(options.pop("cube"), options.pop("n_endmembers"), **options)


def test_it_learns_under_no_grad_and_leaves_the_global_generators_alone(scene):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    with torch.no_grad():
        losses = egu_net(scene.cube, 3, n_epochs=20, learning_rate=1e-3).losses
    assert losses[-1] < losses[0]
    assert torch.equal(before, torch.random.get_rng_state())
