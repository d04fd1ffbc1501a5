r"""DeepGUn: endmembers that vary along a curved sheet, which a variational autoencoder learns from pure pixels.

Borsoi, Imbiriba and Bermudez (2019), Deep generative endmember modeling, doi:10.1109/TCI.2019.2948726; one of the methods
in ID-Net's tables, which took its endmembers' networks over. First, a network per material is trained on the pixels nearest
to its reference (a bundle): m_k = mu_k(z_k) with two numbers z_k ~ N(0, I). Then, in turns, over every pixel's codes and
abundances,

    min over Z, a   sum_n ||y_n - sum_k a_nk mu_k(z_nk)||^2  +  price sum_nk ||z_nk - z0_k||^2

with a_n on the simplex and z0_k the code of the reference. The paper's price on the abundances of neighbouring pixels is
left out: pixels are independent here, and no image is needed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from .. import linear
from .._checks import generator_of, integer, number
from ..iterate import ConvergenceWarning, warn
from ..variability import simplex_each
from .idnet import EndmemberDecoder, EndmemberMLP, bundle_indices, gaussian_kl
from .training import WIDEST, own_gradients

CHUNK = 500  # pixels whose derivatives fit the cache: several times faster than all at once


class GenerativeUnmixing(NamedTuple):
    """What :func:`deepgun` returns."""

    abundances: np.ndarray  # (n_pixels, n_endmembers) on the simplex
    endmembers: np.ndarray  # (n_pixels, n_endmembers, n_bands), in the units of X
    codes: np.ndarray  # (n_pixels, n_endmembers, latent_dim)
    reference_codes: np.ndarray  # (n_endmembers, latent_dim)
    bundles: np.ndarray  # (n_endmembers, size, n_bands), the pixels that the networks learned from
    reconstruction: np.ndarray  # (n_pixels, n_bands)
    losses: list[float]  # of the networks, every epoch
    misfits: list[float]  # the second objective a pixel, of X over its largest value, at the start and after each turn


class EndmemberVAE(nn.Module):
    """One small variational autoencoder per material; the decoders are ID-Net's, and the encoders mirror them."""

    def __init__(self, n_endmembers: int, n_bands: int, latent_dim: int):
        super().__init__()
        self.decoder = EndmemberDecoder(n_endmembers, n_bands, latent_dim)
        sizes = [weight.shape[1] for weight in self.decoder.mean.weights]  # latent_dim, narrow, middle, wide
        self.encoder = EndmemberMLP(n_endmembers, [n_bands, *sizes[:0:-1], 2 * latent_dim])

    def encode(self, spectra: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Spectra (n, n_endmembers, n_bands) to the means and variances of their codes, (n, n_endmembers, latent_dim)."""
        mean, log_variance = self.encoder(spectra.transpose(0, 1)).transpose(0, 1).chunk(2, dim=-1)
        return mean, torch.exp(log_variance)

    def loss(self, spectra: torch.Tensor, warmth: float) -> torch.Tensor:
        """Minus the bound on the log likelihood of one spectrum of every material, averaged over the batch.

        The variance of a material's noise is what the batch leaves unexplained, its maximum-likelihood value: a larger
        one would hide small variations, and the codes would say nothing of them. ``warmth`` weighs what codes cost.
        """
        mean, variance = self.encode(spectra)
        rebuilt = self.decoder(mean + torch.sqrt(variance) * torch.randn_like(mean))
        left = ((spectra - rebuilt) ** 2).mean((0, 2)).clamp_min(1e-12)  # (n_endmembers,)
        fit = 0.5 * spectra.shape[2] * (torch.log(2 * math.pi * left) + 1)
        return (warmth * gaussian_kl(mean, variance).mean(0) + fit).sum()


def deepgun(
    X: np.ndarray,
    n_endmembers: int,
    *,
    endmembers: np.ndarray | None = None,
    latent_dim: int = 2,
    bundle_size: int = 100,
    price: float = 0.1,
    n_epochs: int = 300,
    learning_rate: float = 1e-3,
    n_turns: int = 8,
    tol: float = 1e-3,
    random_state: int | np.random.Generator | None = 0,
) -> GenerativeUnmixing:
    """Unmix where materials vary as the scene's own pure pixels do: a generative model of each.

    Bundles, sizes of the networks, ``price``, batches of a third, eight turns and ``tol`` are the paper's and its public
    code's. Ours, where we have not seen the code that trains the networks: a noise that follows from the misfit, 300
    epochs of Adam of which the first half lets codes be cheaper, decoders that start at the bundles' means. Codes are
    found by three of Levenberg and Marquardt's steps a turn, not by L-BFGS with differences. Where a bundle varies by
    little more than noise, its codes say nothing, and the material is its bundle's mean.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
        Reflectance; it is divided by its largest value, as the networks end in a sigmoid.
    n_endmembers : int
        At least 2.
    endmembers : array, shape (n_endmembers, n_bands), optional
        The references; VCA's if not given.
    latent_dim : int
        Numbers that tell a variant of a material.
    bundle_size : int
        Pixels of smallest angle to each reference; no more than n_pixels / n_endmembers.
    price : float
        lambda of the paper, how dear it is for a code to leave the reference's.
    n_epochs : int
    learning_rate : float
        Of Adam.
    n_turns : int
        At most; it ends sooner where neither codes nor abundances change by more than ``tol`` (relative).
    tol : float
    random_state : int, Generator or None
        Of VCA, the first weights, the batches and the draws.

    Returns
    -------
    GenerativeUnmixing

    Raises
    ------
    ValueError
        If a pixel is not finite, all of X is zero, or shapes disagree.

    Warns
    -----
    ConvergenceWarning
        Where codes or abundances still changed by more than ``tol`` in the last turn.

    Examples
    --------
    >>> from wdl_tutorial import datasets
    >>> X = datasets.make_bilinear_scene(shape=(8, 8), n_endmembers=3, random_state=0).pixels()
    >>> found = deepgun(X, 3, n_epochs=2, n_turns=1, tol=1.0)
    >>> found.endmembers.shape == (64, 3, X.shape[1]), found.codes.shape
    (True, (64, 3, 2))
    """
    X = np.asarray(linear._host_pixels(X, "deepgun"), dtype=np.float64)
    n_endmembers = integer("n_endmembers", n_endmembers, least=2, most=min(X.shape))
    latent_dim = integer("latent_dim", latent_dim, most=WIDEST)
    bundle_size, n_epochs = integer("bundle_size", bundle_size, least=2), integer("n_epochs", n_epochs)
    n_turns, price = integer("n_turns", n_turns), number("price", price, above=0)
    learning_rate, tol = number("learning_rate", learning_rate, above=0), number("tol", tol, least=0)
    rng = generator_of(random_state)
    if endmembers is None:
        endmembers = linear.vca(X, n_endmembers, random_state=rng).endmembers
    first = linear.fcls(X, endmembers).abundances
    if first.shape[1] != n_endmembers:
        raise ValueError(f"endmembers must have {n_endmembers} rows; got {first.shape[1]}.")
    largest = float(np.abs(X).max())
    bundles = X[bundle_indices(X, endmembers, bundle_size)]  # (n_endmembers, size, n_bands)
    with own_gradients():
        torch.manual_seed(int(rng.integers(2**62)))
        vae = EndmemberVAE(n_endmembers, X.shape[1], latent_dim)
        losses = _train(vae, torch.tensor(bundles / largest, dtype=torch.float32), n_epochs, learning_rate)
        vae.double()
    with torch.no_grad():
        home = vae.encode(torch.tensor(np.asarray(endmembers, dtype=np.float64) / largest)[None])[0][0]
        pixels = torch.tensor(X / largest)
        abundances, codes, misfits = _turns(vae.decoder, pixels, torch.tensor(first), home, price, n_turns, tol)
        found = largest * torch.cat([vae.decoder(part) for part in codes.split(CHUNK)]).numpy()
    a = abundances.numpy()
    rebuilt = (a[:, None, :] @ found)[:, 0, :]
    return GenerativeUnmixing(a, found, codes.numpy(), home.numpy(), bundles, rebuilt, losses, misfits)


def _train(vae: EndmemberVAE, bundles: torch.Tensor, n_epochs: int, learning_rate: float) -> list[float]:
    """All networks at once, each on its own bundle (n_endmembers, size, n_bands); the mean loss of every epoch."""
    vae.decoder.start_at(bundles.mean(1))
    descent, losses = torch.optim.Adam(vae.parameters(), lr=learning_rate), []
    spectra = bundles.transpose(0, 1)
    batch = math.ceil(len(spectra) / 3) + 2
    for epoch in range(n_epochs):
        total = 0.0
        for some in torch.randperm(len(spectra)).split(batch):
            loss = vae.loss(spectra[some], min(1.0, 2 * epoch / n_epochs))
            descent.zero_grad()
            loss.backward()
            descent.step()
            total += float(loss.detach()) * len(some) / len(spectra)
        if not math.isfinite(total):
            raise FloatingPointError(
                f"the loss is {total} in epoch {epoch + 1}. Lower learning_rate ({learning_rate:g})."
            )
        losses.append(total)
    return losses


def _turns(
    decoder: EndmemberDecoder,
    y: torch.Tensor,
    a: torch.Tensor,
    home: torch.Tensor,
    price: float,
    n_turns: int,
    tol: float,
) -> tuple[torch.Tensor, torch.Tensor, list[float]]:
    """Codes for these abundances, then abundances for these codes: (n, n_em), (n, n_em, latent_dim), the objective."""
    z = home.expand(len(y), -1, -1).clone()
    misfits = [float(cost(decoder, y, a, z, home, price).mean())]
    for _ in range(n_turns):
        before = a, z
        parts = zip(y.split(CHUNK), a.split(CHUNK), z.split(CHUNK))
        z = torch.cat([codes(decoder, some, shares, start, home, price) for some, shares, start in parts])
        spectra = torch.cat([decoder(part) for part in z.split(CHUNK)])
        a = torch.from_numpy(np.ascontiguousarray(simplex_each(y.numpy(), spectra.numpy(), a.numpy())))
        misfits.append(float(cost(decoder, y, a, z, home, price).mean()))
        moved = [float((now - old).norm() / old.norm().clamp_min(1e-12)) for now, old in zip((a, z), before)]
        if max(moved) <= tol:
            break
    else:
        warn(
            f"deepgun stopped after {n_turns} turns in the last of which codes or abundances still changed by "
            f"{max(moved):.1e}, more than tol={tol:g}. Raise n_turns, or tol.",
            ConvergenceWarning,
        )
    return a, z, misfits


def cost(
    decoder: EndmemberDecoder, y: torch.Tensor, a: torch.Tensor, z: torch.Tensor, home: torch.Tensor, price: float
) -> torch.Tensor:
    """||y - sum_k a_k mu_k(z_k)||^2 + price sum_k ||z_k - z0_k||^2 of every pixel, (n,)."""
    rest = y - (a[:, None, :] @ decoder(z))[:, 0, :]
    return (rest**2).sum(1) + price * ((z - home) ** 2).sum((1, 2))


def linearised(decoder: EndmemberDecoder, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Spectra (n, n_em, n_bands) and their derivatives in each number of their own codes (n, n_em, latent_dim, n_bands).

    The forward sweep of the decoder with its derivative under every line: ``latent_dim`` directions are the whole Jacobian.
    """
    x = z.transpose(0, 1)  # (n_em, n, latent_dim)
    slope = torch.eye(z.shape[2], dtype=z.dtype).expand(*x.shape, -1)  # (n_em, n, latent_dim, latent_dim)
    last = len(decoder.mean.weights) - 1
    for layer, (weight, bias) in enumerate(zip(decoder.mean.weights, decoder.mean.biases)):
        x = torch.baddbmm(bias, x, weight)
        slope = slope @ weight[:, None]
        if layer < last:
            slope = slope * (x > 0)[:, :, None, :]
            x = torch.relu(x)
    x = torch.sigmoid(x)
    slope = slope * (x * (1 - x))[:, :, None, :]
    return x.transpose(0, 1), slope.transpose(0, 1)


def codes(
    decoder: EndmemberDecoder,
    y: torch.Tensor,
    a: torch.Tensor,
    z: torch.Tensor,
    home: torch.Tensor,
    price: float,
    n_steps: int = 3,
    tol: float = 1e-3,
) -> torch.Tensor:
    """The codes (n, n_em, latent_dim) of least :func:`cost` near ``z``: Levenberg and Marquardt's steps, pixel by pixel.

    They end where a step lowers the cost of all pixels by less than ``tol``, the progress at which the public code's stop.
    """
    n, n_em, width = z.shape
    damping = torch.full((n, 1, 1), 1e-3, dtype=z.dtype)
    now = cost(decoder, y, a, z, home, price)
    eye = torch.eye(n_em * width, dtype=z.dtype)
    for _ in range(n_steps):
        spectra, slopes = linearised(decoder, z)
        jacobian = (a[:, :, None, None] * slopes).flatten(1, 2)  # (n, n_em * latent_dim, n_bands)
        rest = y - (a[:, None, :] @ spectra)[:, 0, :]
        downhill = (jacobian @ rest[:, :, None])[..., 0] - price * (z - home).flatten(1)
        step = torch.linalg.solve(jacobian @ jacobian.mT + (price + damping) * eye, downhill)
        trial = z + step.reshape(z.shape)
        then = cost(decoder, y, a, trial, home, price)
        better = then < now
        z = torch.where(better[:, None, None], trial, z)
        gained = float((now - torch.minimum(now, then)).sum() / now.sum().clamp_min(1e-300))
        now = torch.minimum(now, then)
        damping = torch.where(better[:, None, None], damping / 3, damping * 10)
        if gained < tol and bool(better.any()):
            break
    return z
