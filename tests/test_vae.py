"""The spectral VAE: its bound against quadrature and torch.distributions, and the promises of a fit."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_close
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

torch = pytest.importorskip("torch")

from wdl_tutorial import LAND, ConvergenceWarning, deep  # noqa: E402
from wdl_tutorial.deep import SpectralVAE, vae  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
N_BANDS = 20


def line_of_spectra(n: int = 400, seed: int = 0) -> np.ndarray:
    """Spectra that one number explains: a ramp that tilts, in digital numbers, with a little noise."""
    rng = np.random.default_rng(seed)
    tilt = rng.uniform(-1, 1, (n, 1))
    return 3000 + 900 * tilt * np.linspace(-1, 1, N_BANDS) + rng.normal(0, 10, (n, N_BANDS))


def small(**changes) -> SpectralVAE:
    options = {"n_latent": 3, "n_hidden": 16, "n_layers": 2, "n_epochs": 3, "batch_size": 50, "learning_rate": 1e-3}
    return SpectralVAE(**(options | changes))


@pytest.fixture(scope="module")
def fitted():
    X = line_of_spectra()
    return X, small().fit(X)


# ---------------------------------------------------------------------------------------------------------------------
# The bound


@pytest.mark.parametrize(("mean", "log_variance"), [(0.0, 0.0), (1.3, -2.0), (-0.4, 0.7)])
def test_the_divergence_is_the_integral(mean, log_variance):
    z = np.linspace(-25, 25, 200_001)
    log_q = -0.5 * ((z - mean) ** 2 / math.exp(log_variance) + log_variance + math.log(2 * math.pi))
    log_p = -0.5 * (z**2 + math.log(2 * math.pi))
    expected = np.trapezoid(np.exp(log_q) * (log_q - log_p), z)
    found = vae.kl_per_latent(torch.tensor(mean).double(), torch.tensor(log_variance).double())
    assert float(found) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_loss_is_the_negative_bound_of_the_paper(fitted, likelihood):
    net = small(likelihood=likelihood, n_epochs=0).fit(fitted[0])
    x, noise = torch.rand(7, N_BANDS), torch.randn(7, 3)
    mean, log_variance = net.encoder_(x)
    posterior = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    output = net.decoder_(posterior.mean + posterior.stddev * noise)
    spread = torch.exp(0.5 * net.decoder_.log_variance)
    model = {
        "bernoulli": lambda: torch.distributions.Bernoulli(logits=output, validate_args=False),
        "gaussian": lambda: torch.distributions.Normal(output, spread),
    }[likelihood]()
    prior = torch.distributions.Normal(torch.zeros(3), torch.ones(3))
    bound = model.log_prob(x).sum(-1) - torch.distributions.kl_divergence(posterior, prior).sum(-1)
    assert net._loss(x, noise).item() == pytest.approx(-bound.mean().item(), rel=1e-5)


def test_the_networks_have_the_papers_shape():
    net = SpectralVAE(n_epochs=0).fit(np.random.default_rng(0).random((50, 204)))
    shapes = [tuple(p.shape) for p in net.encoder_.parameters() if p.ndim == 2]
    assert shapes == [(128, 204), (128, 128), (128, 128), (40, 128), (40, 128)]
    assert [tuple(p.shape) for p in net.decoder_.parameters() if p.ndim == 2][::-1][0] == (204, 128)


@pytest.mark.parametrize(("init", "limit"), [("torch", 1 / math.sqrt(204)), ("keras", math.sqrt(6 / (204 + 128)))])
def test_the_first_weights_are_those_of_the_framework(init, limit):
    first = SpectralVAE(n_epochs=0, init=init).fit(np.random.default_rng(0).random((50, 204))).encoder_.trunk[0]
    assert 0.99 * limit < first.weight.abs().max().item() <= limit
    assert bool(first.bias.any()) == (init == "torch")


# ---------------------------------------------------------------------------------------------------------------------
# What a fit finds


def test_one_number_is_enough_for_spectra_on_a_line():
    X = line_of_spectra()
    net = small(n_epochs=200, batch_size=100, likelihood="gaussian", learning_rate=1e-2).fit(X)
    assert (net.kl_per_latent_ > 0.05).sum() == 1  # the other two latents are not worth their price
    back = net.inverse_transform(net.transform(X))
    assert np.sqrt(np.mean((back - X) ** 2)) < 0.06 * np.ptp(X)
    assert net.loss_curve_[-1] < net.loss_curve_[0]
    code = net.transform(X)[:, net.kl_per_latent_.argmax()]
    assert abs(np.corrcoef(code, X[:, -1] - X[:, 0])[0, 1]) > 0.97
    assert net.noise_std_ < 0.1


def test_bernoulli_loss_descends_and_the_spectra_come_back_in_their_units():
    X = line_of_spectra()
    net = small(n_epochs=60, learning_rate=3e-3).fit(X)
    assert net.loss_curve_[-1] < net.loss_curve_[0]
    back = net.inverse_transform(net.transform(X))
    assert back.shape == X.shape
    assert (back >= net.minimum_ - 1e-9).all() and (back <= net.minimum_ + net.range_ + 1e-9).all()
    assert np.mean((back - X) ** 2) < 0.5 * np.mean((X - X.mean(0)) ** 2)


def test_transform_is_the_mean_of_the_posterior(fitted):
    X, net = fitted
    unit = torch.from_numpy(((X - X.min(0)) / np.ptp(X, axis=0)).astype(np.float32))
    with torch.no_grad():
        assert_close(net.transform(X), net.encoder_(unit)[0], atol=1e-6)
    assert_close(net.kl_per_latent_, vae.kl_per_latent(*net.encoder_(unit)).mean(0), atol=1e-6)


def test_zero_epochs_leave_the_first_encoder(fitted):
    X, net = fitted
    untrained = small(n_epochs=0).fit(X)
    assert_close(untrained.kl_per_latent_, net.kl_curve_[0], atol=1e-12)
    assert len(untrained.loss_curve_) == 0 and untrained.transform(X).std() > 0


def test_the_same_seed_gives_the_same_code_and_leaves_the_global_generator_alone(fitted):
    X, net = fitted
    before = torch.random.get_rng_state()
    again = small().fit(X)
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(again.transform(X), net.transform(X))
    assert not np.array_equal(small(random_state=1).fit(X).transform(X), net.transform(X))


def test_a_short_run_is_the_beginning_of_a_long_one(fitted):
    X, net = fitted
    longer = small(n_epochs=5).fit(X)
    assert np.array_equal(longer.loss_curve_[:3], net.loss_curve_)
    assert np.array_equal(longer.kl_curve_[:4], net.kl_curve_)


def test_interrupting_keeps_the_best_epoch_so_far(monkeypatch, fitted):
    X, net = fitted
    epoch, calls = SpectralVAE._epoch, []

    def interrupted(self, x, optimizer):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return epoch(self, x, optimizer)

    monkeypatch.setattr(SpectralVAE, "_epoch", interrupted)
    with pytest.warns(UserWarning, match="interrupted after 3 epochs"):
        kept = small(n_epochs=10).fit(X)
    assert np.array_equal(kept.transform(X), net.transform(X))  # the loss fell in each of the three epochs
    assert len(kept.loss_curve_) == 3
    calls[:] = [1, 1, 1]
    with pytest.raises(KeyboardInterrupt):
        small().fit(X)


def test_torch_comes_in_and_torch_comes_out(xp, fitted):
    X, net = fitted
    found = net.transform(xp.array(X[:30]))
    assert type(found) is type(xp.array(X))
    assert_close(found, net.transform(X[:30]), atol=1e-6)


def test_a_constant_band_is_no_division_by_zero():
    X = line_of_spectra(60)
    X[:, 4] = 7.0
    assert np.isfinite(small(n_epochs=1).fit(X).transform(X)).all()


def test_the_constructor_stores_and_clone_copies():
    net = small(likelihood="of course")
    assert clone(net).get_params() == net.get_params()
    paper = SpectralVAE()
    assert (paper.n_latent, paper.n_hidden, paper.n_layers) == (40, 128, 3)
    assert (paper.learning_rate, paper.batch_size, paper.n_epochs) == (1e-4, 100, 50)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"likelihood": "poisson"}, "'bernoulli' or 'gaussian'; got 'poisson'"),
        ({"init": "zeros"}, "init must be 'torch' or 'keras'; got 'zeros'"),
        ({"n_latent": 0}, "n_latent must be an integer from 1 to 100000; got 0"),
        ({"n_latent": True}, "n_latent must be an integer from 1 to 100000; got True"),
        ({"n_epochs": -1}, "n_epochs must be an integer of at least 0; got -1"),
        ({"learning_rate": 0.0}, "learning_rate must be in .*; got 0.0"),
    ],
)
def test_bad_options_are_refused_by_name(fitted, options, message):
    with pytest.raises(ValueError, match=message):
        small(**options).fit(fitted[0])


def test_bad_pixels_are_refused(fitted):
    X, net = fitted
    bad = X.copy()
    bad[8, 3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite values in 1 rows, first in row 8"):
        small().fit(bad)
    with pytest.raises(ValueError, match="X has 5 columns, and 20 are expected"):
        net.transform(X[:, :5])
    with pytest.raises(ValueError, match=r"shape \(n_pixels, n_bands\)"):
        small().fit(np.zeros((2, 3, 4)))
    with pytest.raises(TypeError, match="whose mask would be lost"):
        small().fit(np.ma.masked_less(X, 2800.0))
    with pytest.raises(NotFittedError):
        small().transform(X)
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        small(learning_rate=1e12, n_epochs=5).fit(X)


def test_without_torch_one_message_says_what_to_install():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import wdl_tutorial.deep as deep\n"
        "for name in ('SpectralVAE', 'IDNet'):\n"
        "    try: getattr(deep, name)\n"
        "    except ImportError as error: print(error)\n"
    )
    env = os.environ | {"PYTHONPATH": str(Path(vae.__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    lines = run.stdout.splitlines()
    assert len(lines) == 2, run.stderr
    assert all("needs torch, which is not installed. Use: pip install 'wdl-tutorial[deep]'" in line for line in lines)
    with pytest.raises(AttributeError, match="no attribute 'GAN'"):
        deep.GAN  # noqa: B018


def test_an_untrained_code_of_salinas_a_is_enough_for_land():
    from scipy.io import loadmat

    folder = Path(os.environ.get("WDL_TUTORIAL_DATA", "")) / "salinas-a"
    if not (folder / "SalinasA_corrected.mat").is_file():
        pytest.skip("WDL_TUTORIAL_DATA does not name a folder with Salinas A")
    X = loadmat(folder / "SalinasA_corrected.mat")["salinasA_corrected"].reshape(-1, 204).astype(float)
    y = loadmat(folder / "SalinasA_gt.mat")["salinasA_gt"].ravel()
    code = SpectralVAE(n_epochs=0, init="torch", random_state=0).fit(X).transform(X)
    curve = LAND().fit(code / np.linalg.norm(code, axis=1, keepdims=True)).curve(y, [10], candidates=y > 0)
    assert curve.accuracy[0] > 0.95  # .967 here; over ten seeds .75 to .98, median .956


# ---------------------------------------------------------------------------------------------------------------------
# Manners


def stop_in(monkeypatch, n_epochs):
    """Press Ctrl-C in the middle of epoch ``n_epochs + 1``."""
    epoch, calls = SpectralVAE._epoch, []

    def interrupted(self, x, optimizer):
        calls.append(1)
        if len(calls) == n_epochs + 1:
            raise KeyboardInterrupt
        return epoch(self, x, optimizer)

    monkeypatch.setattr(SpectralVAE, "_epoch", interrupted)


def test_ctrl_c_in_the_first_epoch_leaves_nothing_that_looks_fitted(monkeypatch):
    stop_in(monkeypatch, 0)
    net = small()
    with pytest.raises(KeyboardInterrupt):
        net.fit(line_of_spectra())
    assert [name for name in vars(net) if name.endswith("_")] == []
    with pytest.raises(NotFittedError):
        net.transform(line_of_spectra())


def test_a_refit_that_is_interrupted_at_once_keeps_the_old_networks_with_the_old_curves(monkeypatch):
    X = line_of_spectra()
    net = small().fit(X)
    before, curve = net.transform(X), net.loss_curve_
    stop_in(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt):
        net.set_params(n_latent=5).fit(X[:50] * 2)
    assert np.array_equal(net.set_params(n_latent=3).transform(X), before) and net.loss_curve_ is curve


def test_interrupted_is_said_on_the_estimator_and_at_the_callers_line(monkeypatch):
    X = line_of_spectra()
    assert small().fit(X).interrupted_ is False
    stop_in(monkeypatch, 1)
    with pytest.warns(ConvergenceWarning, match="interrupted after 1 epochs") as caught:
        net = small().fit(X)
    assert net.interrupted_ is True and caught[0].filename == __file__


@pytest.mark.parametrize("switched_off", [torch.no_grad, torch.inference_mode])
def test_it_trains_where_gradients_are_switched_off(switched_off, fitted):
    X, net = fitted
    with switched_off():
        again = small().fit(X)
        assert np.array_equal(again.transform(X), net.transform(X))


def test_a_fit_goes_on_from_its_checkpoint_and_ends_as_if_it_had_never_stopped(monkeypatch, tmp_path):
    X, path = line_of_spectra(), tmp_path / "vae.pt"
    whole = small(n_epochs=6).fit(X)
    with monkeypatch.context() as patch:
        stop_in(patch, 4)
        with pytest.warns(ConvergenceWarning, match="interrupted after 4 epochs"):
            small(n_epochs=6, checkpoint=path, checkpoint_every=2).fit(X)
    epochs = []
    monkeypatch.setattr(SpectralVAE, "_epoch", count_calls(SpectralVAE._epoch, epochs))
    resumed = small(n_epochs=6, checkpoint=path).fit(X)
    assert len(epochs) == 2
    assert np.array_equal(resumed.loss_curve_, whole.loss_curve_)
    assert np.array_equal(resumed.kl_curve_, whole.kl_curve_)
    assert np.array_equal(resumed.transform(X), whole.transform(X))
    torch.load(path, weights_only=True)  # holds no code
    assert [p.name for p in tmp_path.iterdir()] == ["vae.pt"]


def count_calls(function, calls):
    def counted(*args):
        calls.append(1)
        return function(*args)

    return counted


def test_a_checkpoint_of_another_run_or_of_none_is_refused_by_its_path(tmp_path):
    X, path = line_of_spectra(), tmp_path / "vae.pt"
    small(n_epochs=1, checkpoint=path).fit(X)
    with pytest.raises(ValueError, match=r"vae.pt is the checkpoint of another run: n_latent=3.0 there, 4.0 here"):
        small(n_latent=4, checkpoint=path).fit(X)
    with pytest.raises(ValueError, match="checkpoint of another run: data="):
        small(checkpoint=path).fit(X[1:])
    with pytest.raises(ValueError, match="checkpoint of another run: random_state="):
        small(checkpoint=path, random_state=1).fit(X)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"vae.pt cannot be read as a checkpoint"):
        small(checkpoint=path).fit(X)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        small(checkpoint=tmp_path / "missing" / "vae.pt").fit(X)


def test_a_generator_moves_on_and_every_kind_of_seed_repeats():
    X = line_of_spectra(60)
    for make in (lambda: 3, lambda: np.random.default_rng(3), lambda: np.random.RandomState(3)):
        first, again = (small(n_epochs=0, random_state=make()).fit(X).transform(X) for _ in range(2))
        assert np.array_equal(first, again)
    moving = np.random.RandomState(3)
    first, again = (small(n_epochs=0, random_state=moving).fit(X).transform(X) for _ in range(2))
    assert not np.array_equal(first, again)
    with pytest.raises(ValueError, match="random_state must be a non-negative integer"):
        small(random_state=-1).fit(X)


def test_a_data_frame_comes_with_names_and_its_code_has_names():
    pandas = pytest.importorskip("pandas")
    X = line_of_spectra(80)
    frame = pandas.DataFrame(X, columns=[f"{400 + 10 * k} nm" for k in range(N_BANDS)])
    net = small(n_epochs=1).fit(frame)
    assert list(net.feature_names_in_) == list(frame.columns) and net.n_features_in_ == N_BANDS
    assert list(net.get_feature_names_out()) == ["spectralvae0", "spectralvae1", "spectralvae2"]
    assert np.array_equal(net.transform(frame), small(n_epochs=1).fit(X).transform(X))
    with pytest.raises(ValueError, match="feature names should match"):
        net.transform(frame[frame.columns[::-1]])
    coded = net.set_output(transform="pandas").transform(frame)
    assert list(coded.columns) == list(net.get_feature_names_out()) and list(coded.index) == list(frame.index)


def test_pixels_and_codes_far_beyond_those_of_fit_are_told_and_not_turned_to_infinity():
    X = np.random.default_rng(0).random((20, 6))
    vae = SpectralVAE(2, n_hidden=4, n_layers=1, n_epochs=1, random_state=0).fit(X)
    with pytest.raises(
        ValueError, match=r"X, less the least of fit and over its range, reaches .*Use the units of fit"
    ):
        vae.transform(X * 1e60)
    with pytest.raises(ValueError, match=r"code reaches 1e.60, which float32"):
        vae.inverse_transform(np.full((2, 2), 1e60))
    with pytest.raises(TypeError, match=r"^code: expected real numbers"):
        vae.inverse_transform(np.ones((2, 2), complex))


@pytest.mark.parametrize("device", ["no such device", "", 3.5])
def test_a_device_that_torch_does_not_know_is_named(device):
    with pytest.raises(ValueError, match=r"^device must be one of torch's, such as 'cpu' or 'cuda:0'; got "):
        SpectralVAE(2, n_epochs=1, device=device).fit(np.random.default_rng(0).random((20, 6)))
