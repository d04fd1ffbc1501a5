"""ID-Net: every piece against brute force on tiny cases, the promises of a long fit, and DC1 where it is found."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
from scipy import integrate, special, stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

torch = pytest.importorskip("torch")

from wdl_tutorial.deep import idnet  # noqa: E402
from wdl_tutorial.deep.idnet import IDNet, IDNetModel, LabelledSet  # noqa: E402
from wdl_tutorial.iterate import ConvergenceWarning  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::wdl_tutorial.iterate.ConvergenceWarning"),
]
N_EM, N_BANDS = 3, 12


def small_scene(n_pixels: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A linear scene with three smooth spectra; the first pixels are pure. Returns pixels, endmembers, abundances."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, N_BANDS)
    endmembers = np.stack([0.2 + 0.6 * t, 0.8 - 0.6 * t, 0.3 + 0.5 * np.sin(np.pi * t) ** 2])
    abundances = rng.dirichlet([0.7] * N_EM, n_pixels)
    abundances[: 3 * N_EM] = np.tile(np.eye(N_EM), (3, 1))
    return abundances @ endmembers + 0.003 * rng.standard_normal((n_pixels, N_BANDS)), endmembers, abundances


def small_net(**changes) -> IDNet:
    options = {"max_iter": 3, "batch_size": 32, "bundle_size": 10, "random_state": 0, "tol": 0.0}
    return IDNet(N_EM, **({"init_endmembers": small_scene()[1]} | options | changes))


@pytest.fixture(scope="module")
def scene():
    return small_scene()


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return IDNetModel(N_EM, N_BANDS).double()


@pytest.fixture
def problem(scene, model):
    """A batch, its labels and their draws, in float64."""
    X, endmembers, _ = scene
    rng = np.random.default_rng(1)
    labels = idnet.labelled_set(X, endmembers, size=10, snr_db=30, smoothing=1e-3, rng=rng)
    labels = LabelledSet(*(part[:24] for part in labels))
    pixels = torch.from_numpy(X[:24])
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return pixels, model.draw(pixels, 2), labels, model.draw_latents(labels.pixels, 4)


WEIGHTS = {
    "supervised_weight": 2.0,
    "label_weight": 4.5,
    "sparsity": 0.3,
    "mixing_penalty": 0.01,
    "encoder_penalty": 0.02,
}

# -- the pieces against brute force -----------------------------------------------------------------------------------


def test_dirichlet_kl_is_the_integral_of_its_definition():
    gamma = np.array([2.3, 3.1, 2.6])
    n = 1500  # midpoints of a grid on the triangle a, b >= 0, a + b <= 1; the integrand vanishes on its border
    a, b = np.meshgrid((np.arange(n) + 0.5) / n, (np.arange(n) + 0.5) / n)
    inside = a + b < 1 - 1e-9
    points = np.stack([a[inside], b[inside], 1 - a[inside] - b[inside]])
    log_density = special.gammaln(gamma.sum()) - special.gammaln(gamma).sum() + (gamma - 1) @ np.log(points)
    integrand = np.exp(log_density) * (log_density - math.log(2.0))  # the flat density on three materials is 2
    ours = idnet.dirichlet_kl(torch.from_numpy(gamma)).item()
    assert ours == pytest.approx(integrand.sum() / n**2, abs=1e-4)


def test_dirichlet_kl_vanishes_at_the_prior_only():
    ones = torch.ones(5, 4, dtype=torch.float64)
    assert idnet.dirichlet_kl(ones).abs().max() < 1e-12
    assert idnet.dirichlet_kl(ones * torch.tensor([0.5, 0.9, 1.1, 2.0, 1e3])[:, None]).min() > -1e-12
    assert idnet.dirichlet_kl(2 * ones).min() > 0.1


def test_densities_agree_with_scipy(rng):
    gamma, a = rng.uniform(0.3, 9, 4), rng.dirichlet(np.ones(4))
    ours = idnet.dirichlet_log_density(torch.from_numpy(a), torch.from_numpy(gamma)).item()
    assert ours == pytest.approx(stats.dirichlet.logpdf(a, gamma), rel=1e-10)
    x, mean, variance = rng.normal(size=6), rng.normal(size=6), rng.uniform(0.1, 2, 6)
    ours = idnet.gaussian_log_density(*(torch.from_numpy(v) for v in (x, mean, variance))).item()
    assert ours == pytest.approx(stats.norm.logpdf(x, mean, np.sqrt(variance)).sum(), rel=1e-10)
    for isotropic in (torch.tensor(0.3), torch.tensor([0.3])):
        ours = idnet.gaussian_log_density(torch.from_numpy(x), torch.from_numpy(mean), isotropic.double()).item()
        assert ours == pytest.approx(stats.norm.logpdf(x, mean, math.sqrt(0.3)).sum(), rel=1e-7)


def test_gaussian_kl_is_the_mean_of_the_log_ratio():
    mean, variance = 0.7, 0.4
    posterior, prior = stats.norm(mean, math.sqrt(variance)), stats.norm()
    expected, _ = integrate.quad(lambda z: posterior.pdf(z) * (posterior.logpdf(z) - prior.logpdf(z)), -8, 8)
    ours = idnet.gaussian_kl(torch.tensor([mean], dtype=torch.float64), torch.tensor([variance], dtype=torch.float64))
    assert ours.item() == pytest.approx(expected, abs=1e-8)


def numpy_layers(network, x):
    """An MLP by hand: ReLU after every linear layer but the last."""
    layers = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    for i, layer in enumerate(layers):
        x = x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        x = x if i == len(layers) - 1 else np.maximum(x, 0)
    return x


def numpy_endmember_layers(network, k, x):
    for i, (weight, bias) in enumerate(zip(network.weights, network.biases)):
        x = x @ weight[k].detach().numpy() + bias[k, 0].detach().numpy()
        x = x if i == len(network.weights) - 1 else np.maximum(x, 0)
    return x


def test_networks_in_one_batched_product_equal_the_loop_over_endmembers(model, rng):
    y, z = rng.uniform(size=(5, N_BANDS)), rng.normal(size=(5, N_EM, 2))
    mean, variance = (part.detach().numpy() for part in model.variability(torch.from_numpy(y)))
    spectra = model.decoder(torch.from_numpy(z)).detach().numpy()
    for n in range(5):
        for k in range(N_EM):
            shared = np.maximum(numpy_endmember_layers(model.variability.trunk, k, y[n]), 0)
            np.testing.assert_allclose(mean[n, k], numpy_endmember_layers(model.variability.mean, k, shared))
            log_variance = numpy_endmember_layers(model.variability.log_variance, k, shared)
            np.testing.assert_allclose(variance[n, k], np.exp(log_variance))
            decoded = special.expit(numpy_endmember_layers(model.decoder.mean, k, z[n, k]))
            np.testing.assert_allclose(spectra[n, k], decoded)


def numpy_mixing(model, a, M):
    remainder = numpy_layers(model.mixing.network, np.concatenate([M.ravel(), a]))
    return np.maximum(a @ M + 0.1 * remainder, 0)


def normal_logpdf(x, mean, variance):
    return stats.norm.logpdf(x, mean, np.sqrt(variance)).sum()


def test_unsupervised_bound_equals_a_loop_in_numpy(model, problem):
    pixels, draw, _, _ = problem
    ours = idnet.unsupervised_bound(model, pixels, draw).detach().numpy()
    mean, variance, _, endmembers, gamma, a = (part.detach().numpy() for part in draw)
    for n in range(4):
        expected = 0.0
        for s in range(2):
            fit = normal_logpdf(pixels[n].numpy(), numpy_mixing(model, a[s, n], endmembers[s, n]), 0.01)
            g = gamma[s, n]  # E log p(a) - E log q(a) from the entropy scipy knows
            expected += (fit + math.log(2.0) + stats.dirichlet.entropy(g)) / 2
        expected -= sum(0.5 * (m**2 + v - 1 - math.log(v)) for m, v in zip(mean[n].ravel(), variance[n].ravel()))
        assert ours[n] == pytest.approx(expected, rel=1e-9)


def test_supervised_bound_equals_a_loop_in_numpy_over_every_factor_of_26(model, problem):
    _, _, labels, draw = problem
    gamma = model.abundance(labels.pixels, labels.endmembers)
    ours = idnet.supervised_bound(model, labels, draw, gamma, label_weight=4.5).detach().numpy()
    mean, variance, latents = (part.detach().numpy() for part in draw)
    y, M, a = (part.numpy() for part in labels)
    spectra = model.decoder(draw.latents).detach().numpy()
    for n in range(4):
        log_q_a = stats.dirichlet.logpdf(a[n], gamma[n].detach().numpy())
        log_omega, ratios = [], []
        for j in range(4):
            log_m = sum(normal_logpdf(M[n, k], spectra[j, n, k], 0.01) for k in range(N_EM))
            log_p = normal_logpdf(y[n], numpy_mixing(model, a[n], M[n]), 0.01) + math.log(2.0) + log_m
            log_p += normal_logpdf(latents[j, n], 0.0, 1.0)
            log_q = log_q_a + log_m + normal_logpdf(latents[j, n], mean[n], variance[n])
            log_omega.append(log_m)
            ratios.append(log_p - log_q)
        expected = special.softmax(log_omega) @ ratios + 5.5 * (log_q_a + np.mean(log_omega))
        assert ours[n] == pytest.approx(expected, rel=1e-8)


def test_drawn_labels_take_the_posterior_at_a_fresh_draw_and_not_at_the_label(model, problem):
    _, _, labels, draw = problem
    gamma = model.abundance(labels.pixels, labels.endmembers)
    options = {"label_weight": 4.5}
    given = idnet.supervised_bound(model, labels, draw, gamma, **options)
    torch.manual_seed(3)
    drawn = idnet.supervised_bound(model, labels, draw, gamma, drawn=True, **options)
    torch.manual_seed(3)
    at = torch.distributions.Dirichlet(gamma).rsample() + 1e-16
    for n in range(4):
        g = gamma[n].detach().numpy()
        moved = stats.dirichlet.logpdf(at[n].detach().numpy(), g) - stats.dirichlet.logpdf(
            labels.abundances[n].numpy(), g
        )
        # -log q(a) of the ratio (26) and (1 + beta) log q(a) of (29): beta of them are left
        assert (drawn - given)[n].item() == pytest.approx(4.5 * moved, rel=1e-8)


def test_drawn_labels_have_a_finite_gradient_where_a_draw_is_the_smallest_number_there_is():
    torch.manual_seed(0)
    gamma = torch.tensor([100.0, 0.01, 0.01]).expand(2000, 3).clone().requires_grad_()
    assert (torch.distributions.Dirichlet(gamma).sample() < 1e-37).any()
    (54 * idnet.label_log_density(None, gamma, drawn=True)).sum().backward()  # the preset's label weight on Samson
    assert torch.isfinite(gamma.grad).all()


def test_without_the_label_term_where_the_labels_are_taken_changes_nothing(model, problem):
    _, _, labels, draw = problem
    gamma = model.abundance(labels.pixels, labels.endmembers)
    given, drawn = (
        idnet.supervised_bound(model, labels, draw, gamma, label_weight=0.0, drawn=choice) for choice in (False, True)
    )
    assert torch.allclose(given, drawn, rtol=1e-12)


def test_labels_are_given_or_drawn(scene):
    X = scene[0]
    with pytest.raises(ValueError, match="labels must be 'given' or 'drawn'; got 'both'"):
        IDNet(3, labels="both").fit(X)
    fits = [IDNet(3, labels=labels, max_iter=2, random_state=0).fit(X) for labels in ("given", "drawn")]
    assert not np.allclose(fits[0].abundances_, fits[1].abundances_)
    assert IDNet.preset("samson").labels == "given"


def test_objective_adds_sparsity_of_both_sets_and_each_penalty_once(model, problem):
    _, draw, labels, _ = problem
    plain = idnet.objective(model, *problem, **(WEIGHTS | dict.fromkeys(list(WEIGHTS)[2:], 0.0))).item()
    full = idnet.objective(model, *problem, **WEIGHTS).item()
    gamma = model.abundance(labels.pixels, labels.endmembers).detach().numpy()
    half = sum(np.mean(np.sqrt(g).sum(-1) ** 2) for g in (draw.concentration.detach().numpy(), gamma))
    norms = [
        sum(np.linalg.norm(p.detach().numpy()) for p in network.parameters())
        for network in (model.mixing.network, model.abundance.nonlinear)
    ]
    assert full - plain == pytest.approx(0.3 * half + 0.01 * norms[0] + 0.02 * norms[1], rel=1e-9)


# -- invariances ------------------------------------------------------------------------------------------------------


def part_of(problem, rows):
    pixels, draw, labels, label_draw = problem
    draw = type(draw)(*draw[:2], *(part.transpose(0, 1) for part in draw[2:]))  # pixels first
    draw = type(draw)(*(part[rows] for part in draw))
    label_draw = type(label_draw)(*(part[rows] for part in label_draw[:2]), label_draw.latents[:, rows])
    draw = type(draw)(*draw[:2], *(part.transpose(0, 1) for part in draw[2:]))
    return pixels[rows], draw, LabelledSet(*(part[rows] for part in labels)), label_draw


@pytest.mark.parametrize("splits", [[12, 12], [1, 23], [5, 7, 12]])
def test_loss_and_gradient_of_a_set_are_the_weighted_mean_over_any_split(model, problem, splits):
    def loss_and_gradient(rows):
        loss = idnet.objective(model, *part_of(problem, rows), **WEIGHTS)
        gradient = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
        return loss.item(), torch.cat([g.ravel() for g in gradient])

    whole, whole_gradient = loss_and_gradient(slice(0, 24))
    ends = np.cumsum([0, *splits])
    parts = [loss_and_gradient(slice(a, b)) for a, b in itertools.pairwise(ends)]
    assert sum(n / 24 * loss for n, (loss, _) in zip(splits, parts)) == pytest.approx(whole, rel=1e-12)
    mean_gradient = sum(n / 24 * gradient for n, (_, gradient) in zip(splits, parts))
    torch.testing.assert_close(mean_gradient, whole_gradient, rtol=1e-9, atol=1e-9)


def test_gradients_flow_to_every_parameter(model, problem):
    idnet.objective(model, *problem, **WEIGHTS).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_dirichlet_samples_carry_the_gradient_of_their_mean():
    gamma = torch.tensor([2.0, 5.0, 1.0], dtype=torch.float64, requires_grad=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        samples = torch.distributions.Dirichlet(gamma.expand(40_000, 3)).rsample()
    (sampled,) = torch.autograd.grad(samples[:, 0].mean(), gamma)
    (exact,) = torch.autograd.grad(gamma[0] / gamma.sum(), gamma)
    torch.testing.assert_close(sampled, exact, rtol=0, atol=2e-3)


# -- the unrolled encoder ---------------------------------------------------------------------------------------------


def numpy_unrolled(layer, y, M):
    gram, target = M @ M.T, M @ y
    diagonal = np.diag(gram)
    h = np.linalg.solve(gram + 1e-5 * np.diag(diagonal), target)
    threshold = 1e-4 * math.exp(layer.log_sparsity.item())
    for logit in layer.step_logits.tolist():
        step = 2 * special.expit(logit)
        h = np.maximum(h - step / N_EM / diagonal * (gram @ h - target) - step * threshold, 0)
    return h


def test_unrolled_regression_is_36_and_37(rng):
    layer = idnet.UnrolledRegression(10).double()
    torch.nn.init.normal_(layer.step_logits, generator=torch.Generator().manual_seed(0))
    M, y = rng.uniform(size=(5, N_EM, N_BANDS)), rng.uniform(size=(5, N_BANDS))
    ours = layer(torch.from_numpy(y), torch.from_numpy(M)).detach().numpy()
    np.testing.assert_allclose(ours, [numpy_unrolled(layer, *pair) for pair in zip(y, M)], rtol=1e-8)


def test_unrolled_regression_recovers_the_abundances_of_a_linear_scene(scene):
    X, endmembers, abundances = scene
    layer = idnet.UnrolledRegression(10).double()
    h = layer(torch.from_numpy(X), torch.from_numpy(endmembers).expand(len(X), -1, -1)).detach().numpy()
    assert np.abs(h - abundances).max() < 0.05


@pytest.mark.parametrize("logit", [-4.0, 0.0, 4.0, 30.0])  # 30: the longest step the parameter can ask for
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_more_layers_never_diverge_for_any_scale_of_the_endmembers(scale, logit, rng):
    M = torch.from_numpy(scale * rng.uniform(0.1, 1, (20, N_EM, N_BANDS))).float()
    y = torch.from_numpy(scale * rng.uniform(0.1, 1, (20, N_BANDS))).float()
    layer = idnet.UnrolledRegression(200)
    torch.nn.init.constant_(layer.step_logits, logit)
    h = layer(y, M)
    residual = torch.linalg.vector_norm((h[:, None] @ M)[:, 0] - y, dim=-1)
    assert torch.isfinite(h).all()
    assert (residual <= 1.05 * torch.linalg.vector_norm(y, dim=-1)).all()  # never worse than answering nothing


def test_encoder_of_unmatched_scales_and_collinear_endmembers_is_finite_with_finite_gradients(rng):
    base = rng.uniform(0.1, 1, N_BANDS)
    collinear = np.stack([base, base * (1 + 1e-7), 2 * base])
    y = torch.from_numpy(rng.uniform(0.1, 1, (1, N_BANDS))).float()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = IDNetModel(N_EM, N_BANDS).abundance
    cases = [collinear, 1e-3 * collinear, 1e3 * collinear, np.zeros((N_EM, N_BANDS)), np.stack([base, 0 * base, base])]
    for case in cases:
        M = torch.from_numpy(case[None]).float().requires_grad_()
        concentration = encoder(y, M)
        gradient = torch.autograd.grad(idnet.dirichlet_kl(concentration).sum(), [M, *encoder.linear.parameters()])
        assert torch.isfinite(concentration).all() and concentration.min() >= 0.0099
        assert all(torch.isfinite(g).all() for g in gradient)


def test_scaling_pixels_and_endmembers_together_changes_nothing(rng):
    layer = idnet.UnrolledRegression(10)
    M, y = torch.from_numpy(rng.uniform(size=(4, N_EM, N_BANDS))), torch.from_numpy(rng.uniform(size=(4, N_BANDS)))
    layer = layer.double()
    for scale in (1e-3, 1e3):
        torch.testing.assert_close(layer(scale * y, scale * M), layer(y, M), rtol=1e-9, atol=1e-12)


def test_darkening_one_endmember_only_scales_its_own_coefficient(rng):
    layer = idnet.UnrolledRegression(10).double()
    torch.nn.init.constant_(layer.log_sparsity, -60.0)
    M, y = torch.from_numpy(rng.uniform(size=(40, N_EM, N_BANDS))), torch.from_numpy(rng.uniform(size=(40, N_BANDS)))
    y = y - 0.3 * M[:, 0]  # puts the least-squares start of many outside the orthant, so that the layers have work
    brightness = torch.tensor([1.0, 0.02, 1.0], dtype=torch.float64)
    bright, dark = layer(y, M), layer(y, brightness[:, None] * M)
    assert (bright == 0).any()
    torch.testing.assert_close(dark * brightness, bright, rtol=1e-4, atol=1e-6)


# -- the labelled set -------------------------------------------------------------------------------------------------


def test_bundles_hold_the_pixels_of_smallest_angle(scene):
    X, endmembers, abundances = scene
    found = idnet.bundle_indices(X, endmembers, 3)
    assert found.shape == (N_EM, 3)
    for k in range(N_EM):
        cosine = X @ endmembers[k] / np.linalg.norm(X, axis=1)
        assert set(found[k]) == set(np.argsort(-cosine)[:3])
        assert abundances[found[k], k].min() > 0.9
    assert idnet.bundle_indices(X, endmembers, 10_000).shape == (N_EM, len(X) // N_EM)


def test_labelled_pixels_are_their_matrices_times_smoothed_corners_plus_noise_of_the_stated_snr(scene):
    X, endmembers, _ = scene
    options = {"size": 30, "smoothing": 1e-3}
    labels = idnet.labelled_set(X, endmembers, snr_db=30, rng=np.random.default_rng(0), **options)
    y, M, a = (part.numpy() for part in labels)
    assert y.shape == (90, N_BANDS) and M.shape == (90, N_EM, N_BANDS)
    np.testing.assert_allclose(a.sum(1), 1.0)
    assert set(np.round(np.unique(a), 6)) == {0.001, 0.998}
    noise = y - M[np.arange(90), a.argmax(1)]
    assert 10 * math.log10(np.mean(X**2) / np.mean(noise**2)) == pytest.approx(30, abs=0.5)


# -- the estimator ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(scene):
    torch.set_num_threads(1)
    with pytest.warns(ConvergenceWarning, match="Raise max_iter"):
        return small_net().fit(scene[0])


def test_fit_gives_maps_on_the_simplex_and_spectra_per_pixel(fitted, scene):
    X = scene[0]
    assert fitted.abundances_.shape == (len(X), N_EM) and fitted.abundances_.dtype == X.dtype
    assert fitted.abundances_.min() >= 0
    np.testing.assert_allclose(fitted.abundances_.sum(1), 1.0, atol=1e-12)
    assert fitted.endmembers_.shape == (len(X), N_EM, N_BANDS)
    assert fitted.endmembers_.min() >= 0 and fitted.endmembers_.max() <= 1
    np.testing.assert_allclose(
        fitted.concentrations_ / fitted.concentrations_.sum(axis=1, keepdims=True), fitted.abundances_, rtol=1e-12
    )
    assert fitted.nonlinearity_degree_.shape == (len(X),)
    assert fitted.nonlinearity_degree_.min() >= 0 and fitted.nonlinearity_degree_.max() <= 1
    assert fitted.reconstruct().shape == X.shape
    assert fitted.loss_curve_.shape == (3,) and fitted.n_iter_ == 3 and fitted.converged_ is False
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]


def test_reconstruction_is_the_mixing_model_at_the_returned_maps(fitted):
    model = fitted.model_.double()
    for n in (0, 40):
        expected = numpy_mixing(model, fitted.abundances_[n], fitted.endmembers_[n])
        np.testing.assert_allclose(fitted.reconstruct()[n], expected, atol=1e-5)
    model.float()


def test_a_seed_repeats_bit_for_bit_and_leaves_the_global_generators_alone(fitted, scene):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    again = small_net().fit(scene[0])
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert np.array_equal(again.loss_curve_, fitted.loss_curve_)
    assert np.array_equal(again.abundances_, fitted.abundances_)
    torch.manual_seed(99)  # another state of the global generator
    assert np.array_equal(small_net().fit(scene[0]).abundances_, fitted.abundances_)
    assert not np.array_equal(small_net(random_state=1).fit(scene[0]).abundances_, fitted.abundances_)


def test_tensors_come_back_as_tensors(fitted, scene):
    X = torch.from_numpy(scene[0]).float()
    net = small_net().fit(X)
    for result in (net.abundances_, net.endmembers_, net.nonlinearity_degree_, net.reconstruct()):
        assert isinstance(result, torch.Tensor) and result.dtype == torch.float32 and result.device == X.device
    np.testing.assert_allclose(net.abundances_, fitted.abundances_, atol=1e-3)


def test_training_brings_the_endmembers_to_the_bundles_and_the_abundances_to_the_truth():
    X, endmembers, abundances = small_scene(200)
    net = small_net(max_iter=25, bundle_size=10, learning_rate=3e-3).fit(X)
    assert np.linalg.norm(net.abundances_ - abundances) / np.linalg.norm(abundances) < 0.12
    assert np.linalg.norm(net.endmembers_ - endmembers) / np.linalg.norm(endmembers * np.ones((200, 1, 1))) < 0.07


def test_untrained_endmembers_spread_around_the_bundles(scene):
    net = small_net(max_iter=1, learning_rate=1e-9).fit(scene[0])
    error = net.endmembers_.mean(0) - scene[1]
    assert np.linalg.norm(error) / np.linalg.norm(scene[1]) < 0.15


def test_training_stops_when_the_loss_settles(scene):
    net = small_net(tol=0.9, max_iter=50).fit(scene[0])
    assert net.converged_ and net.n_iter_ < 50


def stop_after(net, n_epochs):
    """Press Ctrl-C in the middle of epoch ``n_epochs + 1``."""
    epoch = net._epoch

    def interrupted(*args, **options):
        if options["epoch"] == n_epochs:
            raise KeyboardInterrupt
        return epoch(*args, **options)

    net._epoch = interrupted
    return net


def test_ctrl_c_keeps_the_best_epoch_so_far(scene):
    with pytest.warns(UserWarning, match="interrupted after 2 epochs"):
        net = stop_after(small_net(max_iter=9), 2).fit(scene[0])
    assert net.n_iter_ == 2 and not net.converged_
    assert np.array_equal(net.abundances_, small_net(max_iter=2).fit(scene[0]).abundances_)
    with pytest.raises(KeyboardInterrupt):
        stop_after(small_net(), 0).fit(scene[0])


def test_a_resumed_run_equals_one_that_was_never_interrupted(fitted, scene, tmp_path):
    path = tmp_path / "run.pt"
    with pytest.warns(UserWarning, match="interrupted after 1 epoch"):
        stop_after(small_net(checkpoint=path), 1).fit(scene[0])
    resumed = small_net(random_state=None).fit(scene[0], resume=path)  # the seed is in the file
    assert np.array_equal(resumed.loss_curve_, fitted.loss_curve_)
    assert np.array_equal(resumed.abundances_, fitted.abundances_)
    assert np.array_equal(resumed.endmembers_, fitted.endmembers_)
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]
    torch.load(path, weights_only=True)  # holds no code


def test_the_checkpoint_of_another_run_is_refused(scene, tmp_path):
    path = tmp_path / "run.pt"
    small_net(checkpoint=path, max_iter=1).fit(scene[0])
    with pytest.raises(ValueError, match=r"sparsity=0\.0 there, 0\.5 here"):
        small_net(sparsity=0.5).fit(scene[0], resume=path)
    with pytest.raises(ValueError, match="checkpoint of another run: data="):
        small_net().fit(scene[0] * 0.99, resume=path)


def test_a_fit_goes_on_from_its_checkpoint_by_itself(fitted, scene, tmp_path):
    path = tmp_path / "run.pt"
    with pytest.warns(ConvergenceWarning, match="interrupted after 1 epoch"):
        net = stop_after(small_net(checkpoint=path), 1).fit(scene[0])
    assert net.interrupted_ is True and fitted.interrupted_ is False
    done = small_net(checkpoint=path)
    epoch, epochs = done._epoch, []
    done._epoch = lambda *args, **options: epochs.append(options["epoch"]) or epoch(*args, **options)
    done.fit(scene[0])
    assert epochs[0] == 1  # the first was not done again
    assert np.array_equal(done.abundances_, fitted.abundances_)
    with pytest.raises(ValueError, match="checkpoint of another run: random_state="):
        small_net(checkpoint=path, random_state=99).fit(scene[0])
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        small_net(checkpoint=tmp_path / "missing" / "run.pt").fit(scene[0])


def damaged(state, change):
    return {k: v for k, v in state.items() if k != change} if isinstance(change, str) else state | change


@pytest.mark.parametrize(
    "change",
    [
        "seed", "losses", "best", "model", "optimizer", "rng", "identity",
        {"seed": "3"}, {"losses": 3}, {"losses": ["a"]}, {"identity": []}, {"best": {"transform": torch.ones(1)}},
        {"model": {}}, {"optimizer": {"state": {}}}, {"rng": torch.ones(3)},
    ],
)  # fmt: skip
def test_a_checkpoint_with_odd_contents_is_one_error_that_names_the_file(scene, tmp_path, change):
    path = tmp_path / "run.pt"
    small_net(checkpoint=path, max_iter=1).fit(scene[0])
    torch.save(damaged(torch.load(path, weights_only=True), change), path)
    net = small_net()
    with pytest.raises(ValueError, match=r"run\.pt is no checkpoint of"):
        net.fit(scene[0], resume=path)
    assert not hasattr(net, "model_")


def test_ctrl_c_in_the_first_epoch_keeps_what_was_fitted_before_or_nothing(scene):
    net = small_net()
    with pytest.raises(KeyboardInterrupt):
        stop_after(net, 0).fit(scene[0])
    assert [name for name in vars(net) if name.endswith("_")] == []
    del net._epoch
    before = net.fit(scene[0]).abundances_
    with pytest.raises(KeyboardInterrupt):
        stop_after(net, 0).fit(scene[0] * 0.9)
    assert net.abundances_ is before and np.array_equal(net.loss_curve_, small_net().fit(scene[0]).loss_curve_)


@pytest.mark.parametrize("switched_off", [torch.no_grad, torch.inference_mode])
def test_it_trains_where_gradients_are_switched_off(switched_off, scene, fitted):
    with switched_off():
        net = small_net().fit(torch.from_numpy(scene[0]))
    np.testing.assert_array_equal(net.abundances_.numpy(), fitted.abundances_)


def test_a_data_frame_comes_in_with_its_names(scene, fitted):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(scene[0], columns=[f"band {k}" for k in range(scene[0].shape[1])])
    net = small_net().fit(frame.astype("Float64"))
    assert net.n_features_in_ == fitted.n_features_in_ == scene[0].shape[1]
    assert list(net.feature_names_in_) == list(frame.columns)
    assert np.array_equal(net.abundances_, fitted.abundances_)


def test_parameters_are_kept_untouched_and_clone(scene):
    net = IDNet.preset("jasper_ridge", random_state=7)
    assert clone(net).get_params() == net.get_params()
    assert net.set_params(max_iter=2).max_iter == 2
    assert (net.n_endmembers, net.supervised_weight, net.label_weight) == (4, 0.2, 54.0)
    with pytest.raises(ValueError, match="no preset 'mars'; there are 'dc1', 'dc2', 'samson'"):
        IDNet.preset("mars")


def test_presets_weigh_the_terms_as_the_public_code_does():
    dc1 = idnet.PRESETS["dc1"]
    assert dc1["supervised_weight"] == 10 / 5  # lambda / K
    assert dc1["supervised_weight"] * (1 + dc1["label_weight"]) == pytest.approx(1 + 10)  # 1 + beta
    assert dc1["encoder_penalty"] == 1e4 / 16 and dc1["mixing_penalty"] == pytest.approx(1e-3 / 16)


def broken(X, value):
    X = X.copy()
    X[4, 2] = value
    return X


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (lambda X: broken(X, np.nan), {}, ValueError, "1 of 90 pixels hold NaN"),
        (lambda X: X * 5000, {}, ValueError, r"values span \[0, .*Divide by the scale"),
        (lambda X: broken(X, -1.0), {}, ValueError, r"values span \[-1,"),
        (lambda X: X * 0, {}, ValueError, r"span \[0, 0\]"),
        (lambda X: X.reshape(9, 10, -1), {}, ValueError, r"got \(9, 10, 12\). Use cube.reshape"),
        (lambda X: X[:2], {}, ValueError, "n_endmembers must be an integer from 2 to 2; got 3"),
        (lambda X: "X", {}, TypeError, "NumPy array, a torch tensor or a data frame, got builtins.str"),
        (lambda X: X, {"batch_size": 0}, ValueError, "batch_size must be an integer of at least 1; got 0"),
        (lambda X: X, {"learning_rate": 0.0}, ValueError, "learning_rate must be in .*; got 0"),
        (lambda X: X, {"sparsity": -1.0}, ValueError, "sparsity must be in .*; got -1"),
        (lambda X: X, {"tol": math.nan}, ValueError, "tol must be in .*; got nan"),
        (
            lambda X: X,
            {"label_smoothing": 0.5},
            ValueError,
            "label_smoothing must be in .*; got 0.5. 1 / n_endmembers is the limit",
        ),
        (lambda X: X, {"init_endmembers": np.ones((2, 4))}, ValueError, r"of shape \(3, 12\); got \(2, 4\)"),
        (lambda X: X, {"init_endmembers": np.zeros((3, 12))}, ValueError, "with some light in every row"),
        (lambda X: X, {"n_endmembers": 3.0}, ValueError, "n_endmembers must be an integer from 2 to 12; got 3.0"),
        (lambda X: X, {"max_iter": 1.5}, ValueError, "max_iter must be an integer of at least 1; got 1.5"),
        (lambda X: X, {"label_snr": math.nan}, ValueError, "label_snr must be in .*; got nan"),
        (lambda X: np.ma.masked_less(X, 0.5), {}, TypeError, "whose mask would be lost"),
        (lambda X: X + 1j, {}, TypeError, "expected real numbers"),
        (lambda X: X[:0], {}, ValueError, r"shape \(n_pixels, n_bands\), got \(0, 12\)"),
        (torch.from_numpy, {"device": "meta"}, TypeError, "X is on cpu and device=meta: move X first"),
    ],
)
def test_bad_input_is_named_with_its_remedy(scene, change, options, error, message):
    with pytest.raises(error, match=message):
        small_net().set_params(**options).fit(change(scene[0]))


def test_read_only_pixels_are_no_matter_for_a_warning(scene):
    X = scene[0].copy()
    X.flags.writeable = False
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = small_net(max_iter=1).fit(X)
        same = small_net(max_iter=1).fit(scene[0])
    assert [str(warning.message) for warning in told] == []
    np.testing.assert_array_equal(found.abundances_, same.abundances_)


def test_a_file_that_is_no_checkpoint_is_named_without_advice_to_unpickle_it(scene, tmp_path):
    path = tmp_path / "run.pt"
    path.write_text("x")
    with pytest.raises(ValueError, match=r"run.pt cannot be read as a checkpoint: it is cut off") as told:
        small_net().fit(scene[0], resume=path)
    assert "weights_only" not in str(told.value)
    torch.save({"a": 1}, path)
    with pytest.raises(ValueError, match="no checkpoint of IDNet"):
        small_net().fit(scene[0], resume=path)


def test_reconstruct_before_fit_says_so():
    with pytest.raises(NotFittedError, match="not fitted"):
        IDNet(3).reconstruct()


def test_reconstruct_before_fit_is_an_attribute_error_too():
    with pytest.raises(AttributeError, match="not fitted"):
        IDNet(3).reconstruct()


def test_dc1_in_four_epochs_is_far_ahead_of_fully_constrained_least_squares(real_data):
    if not (real_data / "dc1").is_dir():
        pytest.skip("the ingredients of DC1 are not there")
    from wdl_tutorial import datasets, linear, metrics

    dc1 = datasets.load_dc1(random_state=0)
    X, truth = dc1.cube.reshape(-1, 224), dc1.abundances.reshape(-1, 3)
    net = IDNet.preset("dc1", max_iter=4, random_state=0).fit(X)
    fcls = linear.fcls(X, net.initial_endmembers_).abundances
    ours = metrics.match_endmembers(dc1.endmembers, net.endmembers_.mean(0))
    theirs = metrics.match_endmembers(dc1.endmembers, net.initial_endmembers_)
    assert metrics.nrmse(truth, fcls[:, theirs]) > 0.33  # the paper's figure is .371
    assert metrics.nrmse(truth, net.abundances_[:, ours]) < 0.2
    per_pixel = np.broadcast_to(dc1.endmembers, net.endmembers_.shape)
    assert metrics.nrmse(per_pixel, net.endmembers_[:, ours]) < 0.06


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_quality_and_returns_to_where_x_is(scene, fitted):
    X = torch.from_numpy(scene[0]).cuda()
    net = small_net().fit(X)
    assert net.abundances_.device == X.device and net.endmembers_.device == X.device
    assert net.loss_curve_[-1] == pytest.approx(fitted.loss_curve_[-1], rel=0.1)
    again = small_net(device="cuda").fit(scene[0])
    assert isinstance(again.abundances_, np.ndarray)


def test_networks_that_left_the_floats_are_an_error_and_no_map_of_nan():
    rng = np.random.default_rng(0)
    X = rng.dirichlet(np.ones(3), 20) @ (0.1 + rng.random((3, 6)))
    model = IDNet(2, max_iter=1, learning_rate=1e9, n_layers=1, n_importance=1, batch_size=20, random_state=0)
    with pytest.raises(FloatingPointError, match=r"Lower learning_rate \(now 1000000000.0\)"):
        model.fit(X)
    assert not hasattr(model, "abundances_")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": None}, "sparsity must be in .*; got None"),
        ({"tol": 10**400}, "tol must be in .*; got an integer of about 401 digits"),
        ({"decay_epochs": None}, "decay_epochs must be an integer of at least 1; got None"),
        ({"label_snr": -math.inf}, "label_snr must be in .*; got -inf"),
        ({"latent_dim": 2**63}, "latent_dim must be an integer from 1 to 100000; got 9223372036854775808"),
        ({"init_endmembers": "vca"}, "init_endmembers: expected numbers, got str"),
        ({"device": "no such device"}, "device must be one of torch's"),
    ],
)
def test_settings_that_cannot_be_are_named(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        IDNet(2, **options).fit(np.random.default_rng(0).random((20, 6)))
