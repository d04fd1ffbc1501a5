"""DeepGUn: its networks learn what bundles vary by, its codes are the least of its cost, and it says what it cannot take."""

import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial import datasets, linear

torch = pytest.importorskip("torch")
from wdl_tutorial.deep import deepgun, generative  # noqa: E402

SHORT = {"n_epochs": 10, "n_turns": 1}


def made(spread):
    """Three materials, each bright here and dim there by ``spread``: (20, 15, 120), most of its pixels pure."""
    rng = np.random.default_rng(0)
    endmembers = 0.2 + 0.6 * np.abs(np.sin(np.arange(120) / 35.0 + np.array([[0.0], [1.0], [2.2]])))
    pure = np.repeat(np.eye(3), 60, axis=0)
    abundances = np.concatenate([pure, rng.dirichlet(np.ones(3), 120)])
    own = endmembers * (1 + spread * rng.uniform(-1, 1, (300, 3, 1)))
    X = np.einsum("nk,nkb->nb", abundances, own) + 0.002 * rng.standard_normal((300, 120))
    scene = datasets.make_scene(X.reshape(20, 15, 120), scale=1.0)
    return scene._replace(endmembers=endmembers, abundances=abundances.reshape(20, 15, 3))


@pytest.fixture(scope="module")
def scene():
    return made(0.25)


@pytest.fixture(scope="module")
def found(scene):
    return deepgun(scene.pixels(), 3, endmembers=scene.endmembers, bundle_size=60, random_state=0)


@pytest.fixture
def problem():
    """A decoder of random weights and pixels that it can explain: (decoder, pixels, abundances, codes, home)."""
    torch.manual_seed(0)
    decoder = generative.EndmemberVAE(3, 30, 2).double().decoder
    with torch.no_grad():
        for weight in decoder.mean.weights:
            weight *= 2  # codes that matter
    home = torch.zeros(3, 2, dtype=torch.float64)
    a = torch.distributions.Dirichlet(torch.ones(3, dtype=torch.float64)).sample((7,))
    truth = torch.randn(7, 3, 2, dtype=torch.float64)
    with torch.no_grad():
        y = (a[:, None, :] @ decoder(truth))[:, 0, :]
    return decoder, y, a, truth, home


def test_a_decoder_has_the_sizes_of_the_paper_and_its_encoder_mirrors_them():
    vae = generative.EndmemberVAE(4, 200, 2)
    assert [w.shape[1:] for w in vae.decoder.mean.weights] == [(2, 20), (20, 53), (53, 245), (245, 200)]
    assert [w.shape[1:] for w in vae.encoder.weights] == [(200, 245), (245, 53), (53, 20), (20, 4)]
    mean, variance = vae.encode(torch.rand(6, 4, 200))
    assert mean.shape == variance.shape == (6, 4, 2) and bool((variance > 0).all())


def test_the_noise_of_a_material_is_what_its_batch_leaves(problem):
    vae = generative.EndmemberVAE(2, 5, 2)
    x = torch.rand(50, 2, 5)
    torch.manual_seed(1)
    ours = float(vae.loss(x, 1.0).detach())
    torch.manual_seed(1)
    with torch.no_grad():
        mean, variance = vae.encode(x)
        rebuilt = vae.decoder(mean + variance.sqrt() * torch.randn_like(mean))
        wanted = 0.0
        for k in range(2):
            s = ((x - rebuilt)[:, k] ** 2).mean()  # the maximum-likelihood variance of this material's noise
            density = torch.distributions.Normal(rebuilt[:, k], s.sqrt()).log_prob(x[:, k]).sum(-1).mean()
            prior = torch.distributions.Normal(torch.zeros(50, 2), 1.0)
            cost = torch.distributions.kl_divergence(
                torch.distributions.Normal(mean[:, k], variance[:, k].sqrt()), prior
            )
            wanted += float(cost.sum(-1).mean() - density)
    assert ours == pytest.approx(wanted, rel=1e-5)


def test_derivatives_of_spectra_are_those_of_autograd(problem):
    decoder, _, _, z, _ = problem
    with torch.no_grad():
        spectra, slopes = generative.linearised(decoder, z)
        torch.testing.assert_close(spectra, decoder(z), rtol=1e-12, atol=0)
    whole = torch.autograd.functional.jacobian(lambda one: decoder(one)[0], z[:1])[:, :, 0]  # (3, 30, 3, 2)
    own = torch.stack([whole[k, :, k].T for k in range(3)])
    torch.testing.assert_close(slopes[0], own, rtol=1e-9, atol=1e-12)


def test_codes_lower_the_cost_of_every_pixel_as_far_as_a_search_over_all_of_them_does(problem):
    decoder, y, a, _, home = problem
    start = home.expand(7, -1, -1).clone()
    with torch.no_grad():
        z = generative.codes(decoder, y, a, start, home, 1e-5, n_steps=100, tol=1e-9)
        first, last = (generative.cost(decoder, y, a, x, home, 1e-5) for x in (start, z))
    assert bool((last <= first).all()) and float(last.sum()) < 0.2 * float(first.sum())
    peer = start.clone().requires_grad_()
    search = torch.optim.LBFGS([peer], max_iter=500, line_search_fn="strong_wolfe")

    def again():
        search.zero_grad()
        total = generative.cost(decoder, y, a, peer, home, 1e-5).sum()
        total.backward()
        return total

    search.step(again)
    with torch.no_grad():
        as_far = last <= 1.05 * generative.cost(decoder, y, a, peer, home, 1e-5)
    assert int(as_far.sum()) >= 5  # of 7: a network of ReLUs has more than one least point


def test_a_dear_code_stays_where_the_reference_is(problem):
    decoder, y, a, _, home = problem
    with torch.no_grad():
        z = generative.codes(decoder, y, a, home.expand(7, -1, -1).clone(), home, 1e9)
    assert float(z.abs().max()) < 1e-6


def test_every_turn_lowers_the_cost_and_abundances_are_exact_for_the_endmembers(scene, found):
    assert all(now <= before * (1 + 1e-9) for before, now in zip(found.misfits, found.misfits[1:]))
    np.testing.assert_allclose(found.abundances.sum(axis=1), 1, atol=1e-9)
    assert found.abundances.min() >= 0
    for n in (0, 170, 299):
        exact = linear.fcls(scene.pixels()[[n]], found.endmembers[n]).abundances
        np.testing.assert_allclose(found.abundances[[n]], exact, atol=1e-6)
    mixed = np.einsum("nk,nkb->nb", found.abundances, found.endmembers)
    np.testing.assert_allclose(mixed, found.reconstruction, rtol=1e-9)


def test_it_rebuilds_a_scene_whose_materials_vary_better_than_fixed_endmembers(scene, found):
    X = scene.pixels()
    fixed = linear.fcls(X, scene.endmembers)
    left = [np.linalg.norm(X - rebuilt) for rebuilt in (found.reconstruction, fixed.reconstruct())]
    assert left[0] < 0.3 * left[1]
    bright = found.endmembers.mean(axis=2)[np.arange(180), np.repeat(np.arange(3), 60)]  # of each pure pixel's material
    assert np.corrcoef(bright, X[:180].mean(axis=1))[0, 1] > 0.95


def test_a_material_that_does_not_vary_is_its_bundle_s_mean():
    still = made(0.0)
    found = deepgun(still.pixels(), 3, endmembers=still.endmembers, bundle_size=60, random_state=0)
    assert found.endmembers.std(axis=0).max() < 0.002  # the noise of the pixels
    np.testing.assert_allclose(found.endmembers[0], found.bundles.mean(axis=1), atol=0.01)


def test_a_seed_is_a_run_and_units_are_those_of_the_pixels(scene):
    X = scene.pixels()
    one, again, scaled = (deepgun(x, 3, **SHORT) for x in (X, X, 1000 * X))
    np.testing.assert_array_equal(one.endmembers, again.endmembers)
    np.testing.assert_allclose(scaled.endmembers, 1000 * one.endmembers, rtol=1e-3)


def test_unmix_and_compare_take_it_with_a_bundle_and_its_mean(scene):
    mask = np.ones((20, 15), dtype=bool)
    mask[2, 3] = False
    found = wt.unmix(scene._replace(mask=mask), "deepgun", **SHORT, bundle_size=60)
    assert found.bundle.shape == (20, 15, 3, scene.cube.shape[-1]) and np.isnan(found.bundle[2, 3]).all()
    np.testing.assert_allclose(found.bundle[mask].mean(axis=0), found.endmembers, rtol=1e-12)
    assert {"price", "latent_dim", "endmembers"} <= set(wt.unmixing.options_of("deepgun"))
    table = wt.compare(scene, {"deepgun": SHORT | {"bundle_size": 60}, "fcls": {}}).medians()
    assert table["deepgun"]["nrmse_y"] < table["fcls"]["nrmse_y"]
    with pytest.raises(ValueError, match="deepgun"):
        found.apply(scene)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_endmembers": 1}, "n_endmembers must be"),
        ({"latent_dim": 0}, "latent_dim must be"),
        ({"bundle_size": 1}, "bundle_size must be"),
        ({"price": 0.0}, "price must be"),
        ({"n_turns": 0}, "n_turns must be"),
        ({"n_epochs": 0}, "n_epochs must be"),
        ({"X": np.full((9, 8), np.nan)}, "NaN"),
        ({"endmembers": np.eye(8)[:2]}, "endmembers must have 3 rows"),
    ],
)
def test_what_cannot_be_done_is_told(change, message, rng):
    options = {"X": rng.dirichlet(np.ones(3), 30) @ rng.random((3, 8)), "n_endmembers": 3} | change
    with pytest.raises(ValueError, match=message):
        deepgun(options.pop("X"), options.pop("n_endmembers"), **options)


def test_it_learns_under_no_grad_and_leaves_the_global_generators_alone(scene):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    with torch.no_grad():
        losses = deepgun(scene.pixels(), 3, **SHORT).losses
    assert losses[-1] < losses[0]
    assert torch.equal(before, torch.random.get_rng_state())
