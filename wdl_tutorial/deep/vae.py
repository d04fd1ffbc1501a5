r"""A variational autoencoder of spectra: forty numbers for two hundred bands, learned without labels.

Nguyen, Tasissa and Murphy (VAE-LAND), section 2.1. With z ~ N(0, I) and an encoder q(z|x) = N(m(x), diag(s^2(x))), the
networks minimise, per pixel,

    - E_{z ~ q(z|x)} log p(x|z)  +  KL(q(z|x), N(0, I))

so that z keeps of x what is worth its price: a latent that tells nothing costs nothing, and its KL is 0. How many are
left above .05 nat says whether the code has *collapsed*; read ``kl_per_latent_`` before you trust ``n_latent``.
"""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import _check_feature_names, check_is_fitted
from torch import nn
from torch.nn import functional

from .._array import Array, is_frame, is_numpy, to_backend
from .._checks import choice, generator_of, integer, number, real_array, squarable
from ..iterate import ConvergenceWarning, progress, warn
from ..statefiles import all_or_nothing, check_writable, reading
from .training import WIDEST, Run, device_of, exists, identity_of, keep_run, own_gradients, read_run, restore

CHUNK = 16_384  # pixels that pass the fitted networks at once


def dense_layers(*sizes: int) -> nn.Sequential:
    """Dense layers of these sizes, each followed by a ReLU."""
    pairs = itertools.pairwise(sizes)
    return nn.Sequential(*[layer for n_in, n_out in pairs for layer in (nn.Linear(n_in, n_out), nn.ReLU())])


class Encoder(nn.Module):
    """q(z|x): from spectra (..., n_bands) to the mean and the log-variance of each latent (..., n_latent)."""

    def __init__(self, n_bands: int, n_latent: int, n_hidden: int, n_layers: int):
        super().__init__()
        self.trunk = dense_layers(n_bands, *[n_hidden] * n_layers)
        self.mean = nn.Linear(n_hidden, n_latent)
        self.log_variance = nn.Linear(n_hidden, n_latent)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.trunk(x)
        return self.mean(features), self.log_variance(features)


class Decoder(nn.Module):
    """p(x|z): from latents to logits (Bernoulli) or means (Gaussian, with one learned variance for all bands)."""

    def __init__(self, n_bands: int, n_latent: int, n_hidden: int, n_layers: int):
        super().__init__()
        self.trunk = dense_layers(n_latent, *[n_hidden] * n_layers)
        self.out = nn.Linear(n_hidden, n_bands)
        self.log_variance = nn.Parameter(torch.tensor(math.log(0.01)))  # of bands in [0, 1]; unused by Bernoulli

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.out(self.trunk(z))


def start_as_keras(layer: nn.Module) -> None:
    """First weights as in Keras' dense layers: uniform within +-sqrt(6 / (n_in + n_out)), biases at zero."""
    if isinstance(layer, nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


def kl_per_latent(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, exp(log_variance)), N(0, 1)) of each latent, in nats, (..., n_latent)."""
    return 0.5 * (mean**2 + torch.exp(log_variance) - log_variance - 1.0)


def negative_log_likelihood(x: torch.Tensor, output: torch.Tensor, decoder: Decoder, likelihood: str) -> torch.Tensor:
    """-log p(x|z), summed over bands: of Bernoulli variables with these logits, or of Gaussians with these means.

    "bernoulli" is the reference's binary cross-entropy: bands in [0, 1] are no coin flips, so it is no likelihood of
    them and its smallest value is not 0, but it has the right minimum.
    """
    if likelihood == "bernoulli":
        return functional.binary_cross_entropy_with_logits(output, x, reduction="none").sum(-1)
    log_variance = decoder.log_variance
    terms = (x - output) ** 2 * torch.exp(-log_variance) + log_variance + math.log(2 * math.pi)
    return 0.5 * terms.sum(-1)


class SpectralVAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Features of spectra from a variational autoencoder: forty numbers for two hundred bands.

    Nguyen, Tasissa and Murphy (VAE-LAND), section 2.1: three dense layers of 128, 40 latents. Bands are brought to [0,
    1] by their minimum and maximum over the pixels of ``fit``.

    Parameters
    ----------
    n_latent : int
        Numbers in the code of a spectrum.
    n_hidden, n_layers : int
        Units of each dense layer, and layers, in the encoder and, mirrored, in the decoder.
    n_epochs : int
        Passes over the pixels; 0 leaves the encoder untrained, the control that tells what training bought.
    batch_size : int
    learning_rate : float
        Of Adam. The mean of the loss over a batch is descended.
    likelihood : {"bernoulli", "gaussian"}
        Binary cross-entropy, as the reference, or Gaussian with one learned variance.
    init : {"keras", "torch"}
        First weights: as Keras draws them, or uniform within +-1 / sqrt(n_in), biases too. The paper is silent; its
        authors worked in TensorFlow, which starts as Keras does. It matters: on Salinas A, ten labels, the medians over
        seeds are six points apart (``benchmarks/vae_land.py``).
    device : str or torch.device, optional
        Where to train. None follows X: a torch tensor's device, the CPU for others.
    checkpoint : str or path, optional
        A fit that finds this file goes on from it, and ends as if it had never stopped; it must be of the same data and
        parameters, but for ``n_epochs``, which may grow.
    checkpoint_every : int, in epochs
    verbose : bool
        Show a progress bar.
    random_state : int, numpy.random.Generator, RandomState or None
        The same seed gives the same code, and a run of fewer epochs is the beginning of a longer one. The global
        generators are left as they were.

    Attributes
    ----------
    kl_per_latent_ : array, shape (n_latent,), nats
        Mean over pixels. Near 0: the latent is not used.
    kl_curve_ : array, shape (n_epochs done + 1, n_latent)
        The same before training and after each epoch.
    loss_curve_ : array, shape (n_epochs done,), nats per pixel
        Mean negative bound of each epoch.
    minimum_, range_ : array, shape (n_bands,)
        What brings bands to [0, 1]; the range of a constant band is taken as 1.
    noise_std_ : float or None
        Of the Gaussian likelihood, in units of the bands in [0, 1]; None for Bernoulli.
    encoder_, decoder_ : torch modules, float32
    interrupted_ : bool
        True where Ctrl-C ended the training; the best epoch so far is kept.
    n_features_in_ : int
    feature_names_in_ : array of str
        Bands of ``X``, and their names where it was a data frame.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((200, 30))
    >>> vae = SpectralVAE(n_latent=4, n_epochs=2, random_state=0).fit(X)
    >>> vae.transform(X).shape, vae.kl_curve_.shape
    ((200, 4), (3, 4))
    """

    def __init__(
        self,
        n_latent=40,
        *,
        n_hidden=128,
        n_layers=3,
        n_epochs=50,
        batch_size=100,
        learning_rate=1e-4,
        likelihood="bernoulli",
        init="keras",
        device=None,
        checkpoint=None,
        checkpoint_every=1,
        verbose=False,
        random_state=0,
    ):
        self.n_latent = n_latent
        self.n_hidden = n_hidden
        self.n_layers = n_layers
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.likelihood = likelihood
        self.init = init
        self.device = device
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Array, y: object = None) -> SpectralVAE:
        """Train on pixels, in any units.

        Ctrl-C ends the training with a warning and keeps the best epoch so far; in the first epoch, and where the fit
        fails, the estimator stays as it was.

        Parameters
        ----------
        X : array, shape (n_pixels, n_bands)
        y : object
            Ignored.

        Returns
        -------
        SpectralVAE

        Raises
        ------
        ValueError
            For NaN, a wrong shape, a parameter out of its range, or a checkpoint of another run.
        FloatingPointError
            If the loss stops being finite.
        OSError
            ``checkpoint`` cannot be written.
        """
        pixels = _checked_pixels(X)
        self._check_parameters()
        if self.checkpoint is not None:
            check_writable(self.checkpoint)
        seed = int(generator_of(self.random_state).integers(2**62))
        fixed = isinstance(self.random_state, int | np.integer)
        own = X.device if isinstance(X, torch.Tensor) else "cpu"
        device = device_of(own if self.device is None else self.device)
        with all_or_nothing(self):
            _check_feature_names(self, X, reset=True)
            self.n_features_in_, self._n_features_out = pixels.shape[1], self.n_latent
            self.minimum_ = pixels.min(0)
            width = np.ptp(pixels, axis=0)
            self.range_ = np.where(width > 0, width, 1.0)
            identity, state = self._identity(pixels), None
            if exists(self.checkpoint):
                state = read_run(self.checkpoint, self, identity, seed if fixed else None)
                seed = state["seed"]
            with own_gradients():
                torch.manual_seed(seed)  # networks, batches and draws are made on the CPU: the same on every device
                networks = self._new_networks(pixels.shape[1])
                self.encoder_, self.decoder_ = networks[0].to(device), networks[1].to(device)
                self._train(torch.from_numpy(self._unit(pixels)).to(device), seed, identity, state)
            gaussian = self.likelihood == "gaussian"
            self.noise_std_ = float(torch.exp(0.5 * self.decoder_.log_variance.detach())) if gaussian else None
        return self

    def _new_networks(self, n_bands: int) -> tuple[Encoder, Decoder]:
        sizes = (n_bands, self.n_latent, self.n_hidden, self.n_layers)
        encoder, decoder = Encoder(*sizes), Decoder(*sizes)
        if self.init == "keras":
            nn.ModuleList([encoder, decoder]).apply(start_as_keras)
        return encoder, decoder

    def _identity(self, pixels: np.ndarray) -> dict:
        """What must agree between a checkpoint and the run that goes on from it."""
        free = {"n_epochs", "device", "checkpoint", "checkpoint_every", "verbose", "random_state"}
        return identity_of(self, free, pixels)

    def transform(self, X: Array) -> Array:
        """The code of each spectrum: the mean of q(z|x).

        Parameters
        ----------
        X : array, shape (n_pixels, n_bands)

        Returns
        -------
        array, shape (n_pixels, n_latent)
            In the backend of X.
        """
        check_is_fitted(self, "encoder_")
        _check_feature_names(self, X, reset=False)
        pixels = _checked_pixels(X, n_bands=self.n_features_in_)
        code = self._apply(lambda x: self.encoder_(x)[0], self._unit(pixels))
        return code if is_numpy(X) or is_frame(X) or not hasattr(X, "dtype") else to_backend(code, X)

    def inverse_transform(self, code: Array) -> np.ndarray:
        """The spectra that the decoder makes of codes, in the units of ``fit``.

        Parameters
        ----------
        code : array, shape (n, n_latent)

        Returns
        -------
        NumPy array, shape (n, n_bands)
        """
        check_is_fitted(self, "encoder_")
        code = _narrow(_checked_pixels(code, n_bands=self.n_latent, name="code"), "code")
        squash = torch.sigmoid if self.likelihood == "bernoulli" else torch.nn.Identity()
        return self.minimum_ + self.range_ * self._apply(lambda z: squash(self.decoder_(z)), code)

    def _unit(self, pixels: np.ndarray) -> np.ndarray:
        unit = (pixels - self.minimum_) / self.range_
        return _narrow(unit, "X, less the least of fit and over its range,")

    def _apply(self, network, x: np.ndarray) -> np.ndarray:
        device = next(self.encoder_.parameters()).device
        with torch.inference_mode():
            parts = [network(torch.from_numpy(x[i : i + CHUNK]).to(device)).cpu() for i in range(0, len(x), CHUNK)]
        return torch.cat(parts).numpy().astype(np.float64)

    def _train(self, x: torch.Tensor, seed: int, identity: dict, state: dict | None) -> None:
        """Epochs until ``n_epochs`` or Ctrl-C; leaves the curves and the networks."""
        networks = nn.ModuleList([self.encoder_, self.decoder_])
        optimizer = torch.optim.Adam(networks.parameters(), lr=self.learning_rate)
        losses, kls, best, self.interrupted_ = [], [self._kl(x)], None, False
        if state:
            done = restore(self.checkpoint, state, networks, optimizer, x.device)
            with reading(self.checkpoint, "checkpoint of SpectralVAE"):
                losses, best, kls = done.losses, done.best, list(done.more["kls"].numpy())
        try:
            with progress(self.n_epochs, "VAE", "epoch", shown=self.verbose) as bar:
                bar.update(len(losses))
                while len(losses) < self.n_epochs:
                    losses.append(self._epoch(x, optimizer))
                    kls.append(self._kl(x))
                    if losses[-1] <= min(losses):
                        best = copy.deepcopy(networks.state_dict())
                    last = len(losses) == self.n_epochs
                    if self.checkpoint is not None and (last or len(losses) % self.checkpoint_every == 0):
                        run = Run(seed, losses, best, {"kls": torch.from_numpy(np.array(kls))})
                        keep_run(self.checkpoint, identity, run, networks, optimizer, x.device)
                    bar.tell(f"loss {losses[-1]:.4g}, {int((kls[-1] > 0.05).sum())} latents used")
                    bar.update(1)
        except KeyboardInterrupt:
            if best is None:
                raise  # not one epoch: there is nothing to keep
            networks.load_state_dict(best)
            losses, self.interrupted_ = losses[: len(kls) - 1], True
            warn(f"interrupted after {len(losses)} epochs: keeping the best of them.", ConvergenceWarning)
        self.loss_curve_, self.kl_curve_ = np.array(losses), np.array(kls)
        self.kl_per_latent_ = self._kl(x)

    def _epoch(self, x: torch.Tensor, optimizer: torch.optim.Optimizer) -> float:
        """One pass over all pixels in a new order; the mean loss, in nats per pixel."""
        order = torch.randperm(len(x)).to(x.device)
        total = 0.0
        for start in range(0, len(x), self.batch_size):
            batch = x[order[start : start + self.batch_size]]
            loss = self._loss(batch, torch.randn(len(batch), self.n_latent).to(x.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        if not (math.isfinite(total) and all(bool(p.isfinite().all()) for p in self.decoder_.parameters())):
            raise FloatingPointError(f"the loss is {total}: lower learning_rate (now {self.learning_rate:g}).")
        return total / len(x)

    def _loss(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """The negative of the paper's bound L(x, z; theta, phi), one draw of z per pixel, mean over the batch."""
        mean, log_variance = self.encoder_(x)
        z = mean + torch.exp(0.5 * log_variance) * noise
        misfit = negative_log_likelihood(x, self.decoder_(z), self.decoder_, self.likelihood)
        return (misfit + kl_per_latent(mean, log_variance).sum(-1)).mean()

    def _kl(self, x: torch.Tensor) -> np.ndarray:
        """KL of each latent, mean over all pixels."""
        with torch.no_grad():
            parts = (kl_per_latent(*self.encoder_(part)).double().sum(0) for part in x.split(CHUNK))
            total = sum(parts, torch.zeros((), dtype=torch.float64, device=x.device))
        return total.cpu().numpy() / len(x)

    def _check_parameters(self) -> None:
        for name in ("n_latent", "n_hidden", "n_layers"):
            integer(name, getattr(self, name), most=WIDEST)
        integer("n_epochs", self.n_epochs, least=0)
        for name in ("batch_size", "checkpoint_every"):
            integer(name, getattr(self, name))
        number("learning_rate", self.learning_rate, above=0, most=1e30)
        for name, names in (("likelihood", ("bernoulli", "gaussian")), ("init", ("torch", "keras"))):
            choice(name, getattr(self, name), names)


def _narrow(x: np.ndarray, name: str) -> np.ndarray:
    """x in the precision of the networks."""
    top = float(np.abs(x).max(initial=0.0))
    if top > 1e30:
        raise ValueError(f"{name} reaches {top:.3g}, which float32 and its squares cannot hold. Use the units of fit.")
    return x.astype(np.float32)


def _checked_pixels(X: Array, *, n_bands: int | None = None, name: str = "X") -> np.ndarray:
    if callable(getattr(X, "pixels", None)):
        raise TypeError(f"{name} must be an array; got a {type(X).__name__}. Use scene.pixels().")
    pixels = real_array(name, X)
    if pixels.ndim != 2 or 0 in pixels.shape:
        raise ValueError(
            f"{name} must have shape (n_pixels, n_bands), got {pixels.shape}. Use cube.reshape(-1, n_bands)."
        )
    if n_bands is not None and pixels.shape[1] != n_bands:
        raise ValueError(f"{name} has {pixels.shape[1]} columns, and {n_bands} are expected: those of fit.")
    bad = ~np.isfinite(pixels).all(1)
    if bad.any():
        raise ValueError(
            f"{name} holds NaN or infinite values in {int(bad.sum())} rows, first in row {int(bad.argmax())}."
        )
    return squarable(name, pixels)
