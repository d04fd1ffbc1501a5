r"""RBF-AEC: an autoencoder whose code says how near a pixel is to each endmember, and whose decoder mixes bilinearly.

Shahid and Schizas (2021), Unsupervised hyperspectral unmixing via nonlinear autoencoders; one of the methods in ID-Net's
tables. With one centre c_k and one width beta_k per material (the encoder), endmembers m_k and gains g_kl (the decoder),

    a_k = exp(-beta_k ||y - c_k||^2) / sum_l exp(-beta_l ||y - c_l||^2)
    y  ~  sum_k a_k m_k  +  sum_{k<l} g_kl a_k a_l  m_k * m_l

and the mean squared error is minimised over c, beta, m and g. Abundances are a softmax of squared distances, so a pixel
half-way between two materials has halves of both, and pixels a little off half-way much less: nothing says that they are
fractions of area.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn

from .._checks import choice, generator_of, integer, number
from ..linear import _host_pixels
from .training import own_gradients

SMALL = 4e-5  # a mean squared error at which the public code stops


class RBFUnmixing(NamedTuple):
    """What :func:`rbf_autoencoder` returns."""

    abundances: np.ndarray  # (n_pixels, n_endmembers), each row sums to one
    endmembers: np.ndarray  # (n_endmembers, n_bands), the decoder's, in the units of X
    centers: np.ndarray  # (n_endmembers, n_bands), the encoder's
    gains: np.ndarray  # (n_products,) of the products of two endmembers
    reconstruction: np.ndarray  # (n_pixels, n_bands)
    losses: list[float]  # mean squared error of the scaled pixels, before the first epoch and after each


class RBFModel(nn.Module):
    """The two layers. Both start from the same centres."""

    def __init__(self, centers: torch.Tensor, width: float, pairs: list[tuple[int, int]]):
        super().__init__()
        self.centers = nn.Parameter(centers.clone())
        self.betas = nn.Parameter(torch.full((len(centers),), width, dtype=centers.dtype))
        self.endmembers = nn.Parameter(centers.clone())
        self.gains = nn.Parameter(torch.ones(len(pairs), dtype=centers.dtype))
        self.first, self.second = (torch.tensor([pair[side] for pair in pairs], dtype=torch.long) for side in (0, 1))

    def encode(self, y: torch.Tensor) -> torch.Tensor:
        """Abundances (n, n_endmembers). A softmax: the public code divides exponentials, which underflow far from all."""
        return torch.softmax(-self.betas * torch.cdist(y, self.centers) ** 2, dim=1)

    def decode(self, a: torch.Tensor) -> torch.Tensor:
        """Pixels (n, n_bands)."""
        m, i, j = self.endmembers, self.first, self.second
        return a @ m + (a[:, i] * a[:, j] * self.gains) @ (m[i] * m[j])


def rbf_autoencoder(
    X: np.ndarray,
    n_endmembers: int,
    *,
    products: str = "pairs",
    n_epochs: int = 50,
    learning_rate: float = 1e-4,
    random_state: int | np.random.Generator | None = 0,
) -> RBFUnmixing:
    """Unmix with an autoencoder of radial basis functions, which starts at the means of k-means.

    The settings are those of the authors' public code: all pixels at once, divided by their largest value; Adam; every
    width starts at 1 / (mean distance to the nearest centre)^2, every gain at 1.

    Parameters
    ----------
    X : array, shape (n_pixels, n_bands)
        Reflectance, not negative.
    n_endmembers : int
        At least 2.
    products : {"pairs", "all"}
        Which products of endmembers light may bring: those of two different ones (Fan's model), or also the squares, and
        each pair in both orders (the code's "bilin").
    n_epochs : int
        Steps of Adam, each over all pixels; it ends sooner at a mean squared error of 4e-5.
    learning_rate : float
        Of Adam.
    random_state : int, Generator or None
        Of k-means.

    Returns
    -------
    RBFUnmixing

    Raises
    ------
    ValueError
        If a pixel is not finite, all of X is zero, or there are fewer different pixels than endmembers.
    """
    X = np.asarray(_host_pixels(X, "rbf_autoencoder"), dtype=np.float64)
    n_endmembers = integer("n_endmembers", n_endmembers, least=2)
    choice("products", products, ("pairs", "all"))
    n_epochs = integer("n_epochs", n_epochs, least=1)
    learning_rate = number("learning_rate", learning_rate, above=0)
    seed = int(generator_of(random_state).integers(2**31))
    largest = float(np.abs(X).max())
    distinct = len(np.unique(X, axis=0))
    if largest == 0 or distinct < n_endmembers:
        raise ValueError(
            f"X holds {distinct} different spectra, the largest value is {largest:g}; {n_endmembers} endmembers need at "
            "least as many, and light."
        )
    scaled = X / largest
    means = KMeans(n_endmembers, n_init=10, random_state=seed).fit(scaled)
    away = np.linalg.norm(scaled - means.cluster_centers_[means.labels_], axis=1).mean()
    width = 1.0 / max(away, 1e-6) ** 2
    every = list(itertools.product(range(n_endmembers), range(n_endmembers)))
    pairs = every if products == "all" else [pair for pair in every if pair[0] < pair[1]]
    with own_gradients():
        model = RBFModel(torch.tensor(means.cluster_centers_), width, pairs)
        losses = _train(model, torch.tensor(scaled), n_epochs, learning_rate)
        with torch.no_grad():
            a = model.encode(torch.tensor(scaled))
            rebuilt = largest * model.decode(a).numpy()
    endmembers, centers = (largest * part.detach().numpy() for part in (model.endmembers, model.centers))
    return RBFUnmixing(a.numpy(), endmembers, centers, model.gains.detach().numpy(), rebuilt, losses)


def _train(model: RBFModel, y: torch.Tensor, n_epochs: int, learning_rate: float) -> list[float]:
    """Adam over all pixels at once; the errors before the first step and after each."""
    descent, losses = torch.optim.Adam(model.parameters(), lr=learning_rate), []
    for _ in range(n_epochs):
        loss = nn.functional.mse_loss(model.decode(model.encode(y)), y)
        losses.append(float(loss.detach()))
        if losses[-1] <= SMALL:
            return losses
        descent.zero_grad()
        loss.backward()
        descent.step()
    with torch.no_grad():
        losses.append(float(nn.functional.mse_loss(model.decode(model.encode(y)), y)))
    return losses
