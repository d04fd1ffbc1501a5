r"""ID-Net: an interpretable deep network that unmixes a scene pixel by pixel (Borsoi, Erdogmus and Imbiriba, 2023).

The generative model, in the paper's notation (n_em = P endmembers, n_bands = L)::

    a ~ Dir(1)                                     (2)   abundances: flat on the simplex
    z_k ~ N(0, I)                                  (5)   what makes endmember k vary
    m_k | z_k ~ N(mu_k(z_k), s_k I)                (3, 4)
    y | a, M ~ N(M a + mu_y(a, M), s_y I)          (6, 7)   linear mixing plus a learned remainder

and the posterior that inverts it, q(a | y, M) q(M | Z) q(Z | y) with q(M | Z) = p(M | Z)   (9)-(15).

==================  ===============================================================================================
equation            here
==================  ===============================================================================================
(2), (12)           :func:`dirichlet_kl`, :func:`dirichlet_log_density`: prior and posterior of the abundances
(3), (4), (15)      :class:`EndmemberDecoder`
(5), (14)           :class:`VariabilityEncoder`, :func:`gaussian_kl`
(6), (7)            :class:`MixingModel`
(13)                :class:`AbundanceEncoder`: linear stream + non-linear stream
(36), (37)          :class:`UnrolledRegression`, the linear stream
(9)-(11), (33)-(35) :meth:`IDNetModel.draw`, :meth:`IDNetModel.draw_latents`: reparameterised samples
(18), (20)          :func:`unsupervised_bound`
(19), (21)-(30)     :func:`supervised_bound`, with the importance weights (27), (28)
(23)                :func:`half_norm`
(24)                :func:`network_norm`
(16), (22), (31)    :func:`objective`
section IV-B        :func:`bundle_indices`, :func:`labelled_set`
==================  ===============================================================================================

Where this departs from the paper, or the paper is silent, the docstring of the piece says so. Tensors put endmembers on
rows: ``endmembers (..., n_em, n_bands)``, so that ``M a`` is ``a @ endmembers``.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_feature_names, check_is_fitted
from torch import nn

from .._array import as_float, is_frame, is_numpy, to_numpy
from .._checks import choice, generator_of, integer, number, real_array, squarable
from ..iterate import ConvergenceWarning, progress, warn, warn_not_converged
from ..statefiles import all_or_nothing, check_writable
from .training import WIDEST, Run, device_of, exists, identity_of, keep_run, own_gradients, read_run, restore

# ---------------------------------------------------------------------------------------------------------------------
# The pieces of the bound


def gaussian_log_density(x: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """log N(x; mean, diag(variance)) along the last axis; ``variance`` broadcasts, it is not a standard deviation."""
    squares = (x - mean) ** 2
    if variance.ndim == 0 or variance.shape[-1] == 1:  # isotropic: no logarithm and no division per band
        variance = variance if variance.ndim == 0 else variance[..., 0]
        return -0.5 * (squares.sum(-1) / variance + x.shape[-1] * torch.log(2 * math.pi * variance))
    return -0.5 * (squares / variance + torch.log(2 * math.pi * variance)).sum(-1)


def gaussian_kl(mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, diag(variance)) | N(0, I)) along the last axis: what (14) pays for leaving the prior (5)."""
    return 0.5 * (mean**2 + variance - 1 - torch.log(variance)).sum(-1)


def dirichlet_log_density(abundances: torch.Tensor, concentration: torch.Tensor) -> torch.Tensor:
    """log Dir(abundances; concentration) along the last axis, (12)."""
    normaliser = torch.lgamma(concentration.sum(-1)) - torch.lgamma(concentration).sum(-1)
    return normaliser + ((concentration - 1) * torch.log(abundances)).sum(-1)


def dirichlet_kl(concentration: torch.Tensor) -> torch.Tensor:
    """KL(Dir(concentration) | Dir(1)) along the last axis: what (12) pays for leaving the flat prior (2)."""
    total = concentration.sum(-1)
    normaliser = torch.lgamma(total) - torch.lgamma(concentration).sum(-1) - math.lgamma(concentration.shape[-1])
    mean_log = torch.digamma(concentration) - torch.digamma(total)[..., None]
    return normaliser + ((concentration - 1) * mean_log).sum(-1)


def half_norm(concentration: torch.Tensor) -> torch.Tensor:
    """The L_1/2 semi-norm (sum_k sqrt(x_k))**2 along the last axis, for positive entries, (23)."""
    return torch.sqrt(concentration).sum(-1) ** 2


def network_norm(network: nn.Module) -> torch.Tensor:
    """The sum over layers of the Frobenius norm of the weights and the Euclidean norm of the biases, (24)."""
    return torch.stack([torch.linalg.vector_norm(parameter) for parameter in network.parameters()]).sum()


# ---------------------------------------------------------------------------------------------------------------------
# Networks


def _mlp(sizes: list[int]) -> nn.Sequential:
    """Fully connected layers, ReLU between them and a linear end."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class EndmemberMLP(nn.Module):
    """One small network per endmember, all of them in one batched product per layer: (n_em, rows, in) to (.., out)."""

    def __init__(self, n_endmembers: int, sizes: list[int]):
        super().__init__()
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(n_endmembers, i, o)) for i, o in itertools.pairwise(sizes)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.empty(n_endmembers, 1, o)) for o in sizes[1:])
        for weight, bias in zip(self.weights, self.biases):
            bound = weight.shape[1] ** -0.5  # the start of torch.nn.Linear, endmember by endmember
            nn.init.uniform_(weight, -bound, bound)
            nn.init.uniform_(bias, -bound, bound)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            x = torch.baddbmm(bias, x, weight)
            x = x if layer == last else torch.relu(x)
        return x


class EndmemberDecoder(nn.Module):
    """p(m_k | z_k) = q(m_k | z_k) = N(mu_k(z_k), s_k I): spectra from latent variables, (3), (4), (15).

    The mean ends in a sigmoid: reflectance in [0, 1] is assumed. The variance s_k = .01 exp(parameter) is one learned
    number per endmember; the parameter starts at 0.
    """

    def __init__(self, n_endmembers: int, n_bands: int, latent_dim: int):
        super().__init__()
        narrow = max(math.ceil(n_bands / 10), latent_dim + 1)
        middle = max(math.ceil(n_bands / 4), latent_dim + 2) + 3
        wide = math.ceil(1.2 * n_bands) + 5
        self.mean = EndmemberMLP(n_endmembers, [latent_dim, narrow, middle, wide, n_bands])
        self.log_variance = nn.Parameter(torch.zeros(n_endmembers))

    def variance(self) -> torch.Tensor:
        """s_k, shape (n_em, 1)."""
        return 0.01 * torch.exp(self.log_variance)[:, None]

    @torch.no_grad()
    def start_at(self, endmembers: torch.Tensor) -> None:
        """Set the last bias so that the untrained networks spread around ``endmembers`` (n_em, n_bands).

        The paper starts them around .5 in every band. Training then spends its first epochs on the mean spectra, and a
        network whose narrow first layer dies (ReLU) never finds them.
        """
        self.mean.biases[-1].copy_(torch.logit(endmembers, eps=1e-3)[:, None])

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """The means mu_k(z_k): latents (..., n_em, latent_dim) to endmembers (..., n_em, n_bands)."""
        rows = latents.reshape(-1, *latents.shape[-2:]).transpose(0, 1)  # (n_em, rows, latent_dim)
        spectra = torch.sigmoid(self.mean(rows)).transpose(0, 1)
        return spectra.reshape(*latents.shape[:-1], -1)


class VariabilityEncoder(nn.Module):
    """q(z_k | y) = N(mean_k(y), diag(variance_k(y))): which variant of endmember k this pixel shows, (14).

    The mean and the variance share their first two layers. The paper counts six layers for the variance and prints five
    sizes; as in its public code there are three of size 2 H.
    """

    def __init__(self, n_endmembers: int, n_bands: int, latent_dim: int):
        super().__init__()
        self.n_endmembers = n_endmembers
        wide, narrow = 5 * latent_dim, 2 * latent_dim
        self.trunk = EndmemberMLP(n_endmembers, [n_bands, wide, narrow])
        self.mean = EndmemberMLP(n_endmembers, [narrow, latent_dim])
        self.log_variance = EndmemberMLP(n_endmembers, [narrow, narrow, narrow, latent_dim])

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels (n, n_bands) to mean and variance, both (n, n_em, latent_dim)."""
        shared = torch.relu(self.trunk(pixels.expand(self.n_endmembers, -1, -1)))
        mean, log_variance = self.mean(shared), self.log_variance(shared)
        return mean.transpose(0, 1), torch.exp(log_variance).transpose(0, 1)


class MixingModel(nn.Module):
    """p(y | a, M) = N(ReLU(M a + gain mu_y(a, M)), s_y I): linear mixing plus a learned remainder, (6), (7).

    The gain of .1 and the ReLU around the mean are the public code's; the noise variance is s_y = .01 exp(parameter).
    """

    def __init__(self, n_endmembers: int, n_bands: int, gain: float):
        super().__init__()
        self.gain = gain
        wide = n_endmembers * n_bands
        self.network = _mlp([n_endmembers * (n_bands + 1), wide, n_bands, n_bands, n_bands])
        self.log_variance = nn.Parameter(torch.zeros(()))

    def variance(self) -> torch.Tensor:
        """s_y, a scalar."""
        return 0.01 * torch.exp(self.log_variance)

    def forward(self, abundances: torch.Tensor, endmembers: torch.Tensor) -> torch.Tensor:
        """The mean pixel: abundances (..., n_em), endmembers (..., n_em, n_bands) to (..., n_bands)."""
        linear = (abundances[..., None, :] @ endmembers)[..., 0, :]
        remainder = self.network(torch.cat([endmembers.flatten(-2), abundances], -1))
        return torch.relu(linear + self.gain * remainder)


class UnrolledRegression(nn.Module):
    r"""Sparse non-negative regression as network layers: min_h 1/2 ||M h - y||^2 + sparsity |h|_1, h >= 0, (36), (37).

    ::

        h <- h - step / n_em  diag(M'M)^-1 (M'M h - M'y)        (36)
        h <- ReLU(h - sparsity step)                            (37)

    from the least-squares fit h = pinv(M) y. Step sizes and sparsity are learned; sparsity starts at 1e-4.

    The paper takes one step size for all endmember matrices, and starts it from a random number: where it exceeds
    2 / lambda_max(M'M) the layers diverge (one seed in three on its own first scene). Here endmembers are scaled to
    unit norm first (the diagonal), and a step is 2 sigmoid(parameter) / trace, from parameter 0. The trace of their
    Gram matrix is n_em, and no less than its largest eigenvalue: layers are non-expansive for **any** endmember matrix
    and any value the parameter is trained to. Scaling y and M together changes nothing, and a dark endmember (water
    among soils) moves as fast as a bright one, where a step of 1 / trace(M'M) would hardly move it in ten layers.
    pinv(M) y is solved in the n_em x n_em normal equations with a ridge of 1e-5, so that collinear endmembers give a
    bounded start with a bounded gradient.
    """

    ridge = 1e-5

    def __init__(self, n_layers: int):
        super().__init__()
        self.step_logits = nn.Parameter(torch.zeros(n_layers))
        self.log_sparsity = nn.Parameter(torch.zeros(()))

    def forward(self, pixels: torch.Tensor, endmembers: torch.Tensor) -> torch.Tensor:
        """Pixels (..., n_bands) and endmembers (..., n_em, n_bands) to h (..., n_em), not summing to one."""
        gram = endmembers @ endmembers.mT  # (..., n_em, n_em): the bands are gone after these two products
        target = (endmembers @ pixels[..., None])[..., 0]
        n_em = gram.shape[-1]
        squares = torch.diagonal(gram, dim1=-2, dim2=-1)
        norms = torch.sqrt(squares + 1e-10 * squares.mean(-1, keepdim=True) + 1e-20)  # of a band of zeros: not zero
        gram, target = gram / (norms[..., :, None] * norms[..., None, :]), target / norms
        eye = torch.eye(n_em, dtype=gram.dtype, device=gram.device)
        h = torch.linalg.solve(gram + self.ridge * eye, target)  # in units where endmembers have norm one
        sparsity = 1e-4 * torch.exp(self.log_sparsity) * norms
        for step in 2 * torch.sigmoid(self.step_logits):
            h = h - step / n_em * ((gram @ h[..., None])[..., 0] - target)
            h = torch.relu(h - sparsity * step)
        return h / norms


class AbundanceEncoder(nn.Module):
    """q(a | y, M) = Dir(spread ReLU(linear(y, M) + gain nonlinear(y))), in two streams, (12), (13).

    ``spread`` = 100 exp(parameter) is the paper's eta^unc. ReLU can return 0, where a Dirichlet is not defined:
    concentrations are floored at ``min_concentration``.
    """

    def __init__(self, n_endmembers: int, n_bands: int, n_layers: int, gain: float, min_concentration: float):
        super().__init__()
        self.gain, self.min_concentration = gain, min_concentration
        self.linear = UnrolledRegression(n_layers)
        half, quarter = round(n_bands / 2), round(n_bands / 4)
        self.nonlinear = _mlp([n_bands, 2 * n_bands, max(half, 1), max(quarter, 1), 4 * n_endmembers, n_endmembers])
        self.log_spread = nn.Parameter(torch.zeros(()))

    def streams(self, pixels: torch.Tensor, endmembers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The linear and the non-linear part of (13), both (..., n_em), before ReLU and spread."""
        return self.linear(pixels, endmembers), self.gain * self.nonlinear(pixels)

    def forward(self, pixels: torch.Tensor, endmembers: torch.Tensor) -> torch.Tensor:
        """Concentrations (..., n_em) of the Dirichlet posterior."""
        linear, nonlinear = self.streams(pixels, endmembers)
        return self.min_concentration + 100 * torch.exp(self.log_spread) * torch.relu(linear + nonlinear)


class Draw(NamedTuple):
    """Samples of q(a, M, Z | y), (9): S samples of n pixels. Everything the bound needs, with its graph."""

    latent_mean: torch.Tensor  # (n, n_em, latent_dim)
    latent_variance: torch.Tensor  # (n, n_em, latent_dim)
    latents: torch.Tensor  # (S, n, n_em, latent_dim)
    endmembers: torch.Tensor  # (S, n, n_em, n_bands)
    concentration: torch.Tensor  # (S, n, n_em)
    abundances: torch.Tensor  # (S, n, n_em)


class LatentDraw(NamedTuple):
    """Samples of q(Z | y) alone: what the labelled pixels need, whose a and M are given."""

    latent_mean: torch.Tensor  # (n, n_em, latent_dim)
    latent_variance: torch.Tensor  # (n, n_em, latent_dim)
    latents: torch.Tensor  # (K, n, n_em, latent_dim)


class LabelledSet(NamedTuple):
    """Pixels whose endmembers and abundances are known (D_S of section IV-B)."""

    pixels: torch.Tensor  # (n, n_bands)
    endmembers: torch.Tensor  # (n, n_em, n_bands)
    abundances: torch.Tensor  # (n, n_em)


class IDNetModel(nn.Module):
    """The four networks: theta = (decoder, mixing), phi = (variability, abundance, and the decoder again)."""

    def __init__(
        self,
        n_endmembers: int,
        n_bands: int,
        *,
        latent_dim: int = 2,
        n_layers: int = 10,
        gain: float = 0.1,
        min_concentration: float = 1e-2,
    ):
        super().__init__()
        self.decoder = EndmemberDecoder(n_endmembers, n_bands, latent_dim)
        self.variability = VariabilityEncoder(n_endmembers, n_bands, latent_dim)
        self.mixing = MixingModel(n_endmembers, n_bands, gain)
        self.abundance = AbundanceEncoder(n_endmembers, n_bands, n_layers, gain, min_concentration)

    def draw_latents(self, pixels: torch.Tensor, n_samples: int) -> LatentDraw:
        """Z = mean + sqrt(variance) noise, (33); the paper prints the variance without its root."""
        mean, variance = self.variability(pixels)
        noise = torch.randn(n_samples, *mean.shape, dtype=mean.dtype, device=mean.device)
        return LatentDraw(mean, variance, mean + torch.sqrt(variance) * noise)

    def draw(self, pixels: torch.Tensor, n_samples: int) -> Draw:
        """Z, then M given Z (34), then a given M and y by pathwise gradients (35): reparameterised samples of (9)."""
        latent = self.draw_latents(pixels, n_samples)
        mean = self.decoder(latent.latents)
        endmembers = mean + torch.sqrt(self.decoder.variance()) * torch.randn_like(mean)
        concentration = self.abundance(pixels.expand(n_samples, -1, -1), endmembers)
        abundances = torch.distributions.Dirichlet(concentration, validate_args=False).rsample()
        return Draw(*latent, endmembers, concentration, abundances)


# ---------------------------------------------------------------------------------------------------------------------
# The objective


def unsupervised_bound(model: IDNetModel, pixels: torch.Tensor, draw: Draw) -> torch.Tensor:
    """A lower bound on log p(y) of every pixel, shape (n,): the terms of L_U in (20).

    E_q[log p(y | a, M)] is averaged over the samples. The ratio p(M | Z) / q(M | Z) is one, because the two share their
    parameters; the ratios of a and of Z are integrated in closed form (two KL divergences) where (31) samples them:
    the same expectation with less noise.
    """
    fit = gaussian_log_density(pixels, model.mixing(draw.abundances, draw.endmembers), model.mixing.variance())
    latent_cost = gaussian_kl(draw.latent_mean, draw.latent_variance).sum(-1)
    return (fit - dirichlet_kl(draw.concentration)).mean(0) - latent_cost


def importance_log_weights(model: IDNetModel, endmembers: torch.Tensor, draw: LatentDraw) -> torch.Tensor:
    """log omega^(j) = log q(M | Z^(j)), (27): shape (K, n)."""
    return gaussian_log_density(endmembers, model.decoder(draw.latents), model.decoder.variance()).sum(-1)


def label_log_density(abundances: torch.Tensor, concentration: torch.Tensor, *, drawn: bool) -> torch.Tensor:
    """log q(a | M, y) of (29) at the label, or at a fresh draw; shape (n,).

    A draw may hold the smallest number there is, and the gradient of its logarithm is then infinite: 1e-16 is added to
    every draw, as in the public code.
    """
    if drawn:
        abundances = torch.distributions.Dirichlet(concentration, validate_args=False).rsample() + 1e-16
    return dirichlet_log_density(abundances, concentration)


def supervised_bound(
    model: IDNetModel,
    labels: LabelledSet,
    draw: LatentDraw,
    concentration: torch.Tensor,
    *,
    label_weight: float,
    drawn: bool = False,
) -> torch.Tensor:
    """L_S + beta log q(a, M | y) of every labelled pixel, shape (n,): the bracket of (22), by (25)-(30).

    (22) and (29) ask for log q(a | M, y) at the label. The public code takes it at a fresh draw from q (``drawn``), here
    by pathwise gradients as there: then the label is in the likelihood alone, and the term asks q to be sure, whatever of.

    The expectation over q(Z | y, a, M) becomes one over q(Z | y) with self-normalised weights omega / Omega, (26)-(28).
    Within it log p(M | Z) and log q(M | Z) cancel. (31) divides the weighted sum by K once more, which (26) does not:
    the weights sum to one already, so we follow (26).
    """
    pixels, endmembers, abundances = labels
    fit = gaussian_log_density(pixels, model.mixing(abundances, endmembers), model.mixing.variance())
    flat_prior = math.lgamma(abundances.shape[-1])  # log Dir(a; 1), the same everywhere
    log_weights = importance_log_weights(model, endmembers, draw)
    one = torch.ones((), dtype=pixels.dtype, device=pixels.device)
    log_prior = gaussian_log_density(draw.latents, torch.zeros_like(one), one).sum(-1)
    log_posterior = gaussian_log_density(draw.latents, draw.latent_mean, draw.latent_variance).sum(-1)
    latent_ratio = (torch.softmax(log_weights, 0) * (log_prior - log_posterior)).sum(0)  # (26)
    log_label = label_log_density(abundances, concentration, drawn=drawn)
    joint = fit + flat_prior - log_label + latent_ratio
    return joint + (1 + label_weight) * (log_label + log_weights.mean(0))  # (29), (30)


def objective(
    model: IDNetModel,
    pixels: torch.Tensor,
    draw: Draw,
    labels: LabelledSet,
    label_draw: LatentDraw,
    *,
    supervised_weight: float,
    label_weight: float,
    sparsity: float,
    mixing_penalty: float,
    encoder_penalty: float,
    drawn: bool = False,
) -> torch.Tensor:
    """Minus the cost (16), (31) per pixel: a scalar to be minimised.

    Sums over D_U and D_S become means, and the penalty (24) is added once: the value over a set is the weighted mean
    of its values over any split, so nothing depends on the batch size (in the public code the penalty of every batch
    joins a sum over that batch). Both halves of the sparsity term (23) are here; (31) omits the labelled one.
    """
    concentration = model.abundance(labels.pixels, labels.endmembers)
    bound = unsupervised_bound(model, pixels, draw).mean()
    known = supervised_bound(model, labels, label_draw, concentration, label_weight=label_weight, drawn=drawn)
    bound = bound + supervised_weight * known.mean()
    if sparsity:
        bound = bound - sparsity * (half_norm(draw.concentration).mean() + half_norm(concentration).mean())
    penalty = mixing_penalty * network_norm(model.mixing.network)
    return -bound + penalty + encoder_penalty * network_norm(model.abundance.nonlinear)


# ---------------------------------------------------------------------------------------------------------------------
# The labelled set of section IV-B


def bundle_indices(X: np.ndarray, endmembers: np.ndarray, size: int) -> np.ndarray:
    """The ``size`` pixels of smallest spectral angle to each endmember, nearest first: (n_em, size).

    At most ``n_pixels // n_em`` per endmember, so that a small scene does not call every pixel pure.
    """
    size = max(1, min(size, len(X) // len(endmembers)))
    norms = np.linalg.norm(X, axis=1)
    directions = X / np.where(norms > 0, norms, 1)[:, None]  # an all-zero pixel is at a right angle to everything
    cosines = endmembers / np.linalg.norm(endmembers, axis=1, keepdims=True) @ directions.T
    return np.argsort(-cosines, axis=1, kind="stable")[:, :size]


def labelled_set(
    X: np.ndarray,
    endmembers: np.ndarray,
    *,
    size: int,
    snr_db: float,
    smoothing: float,
    rng: np.random.Generator,
) -> LabelledSet:
    """Pixels with known endmembers and abundances, made from the scene's own purest pixels (section IV-B).

    The i-th endmember matrix takes the i-th pixel of every bundle; each matrix gives ``n_em`` pixels, one per material,
    plus white noise at ``snr_db``. The one-hot abundances are moved by ``smoothing`` towards the inside of the
    simplex: at a corner the log density of a Dirichlet is infinite.
    """
    matrices = X[bundle_indices(X, endmembers, size)].swapaxes(0, 1)  # (size, n_em, n_bands)
    n, n_em, n_bands = matrices.shape
    noise = rng.standard_normal((n * n_em, n_bands)) * math.sqrt(np.mean(X**2) * 10 ** (-snr_db / 10))
    one_hot = np.eye(n_em) * (1 - n_em * smoothing) + smoothing
    return LabelledSet(
        torch.from_numpy(matrices.reshape(-1, n_bands) + noise),
        torch.from_numpy(matrices.repeat(n_em, axis=0)),
        torch.from_numpy(np.tile(one_hot, (n, 1))),
    )


# ---------------------------------------------------------------------------------------------------------------------
# The estimator

# The weights of the public code, in the units of eq. (22) and of a cost per pixel. There, the importance-sampled term
# counts lambda / K (K = 5) and the label term 1 + beta (beta = 10), where (22) has lambda and lambda (1 + beta); the
# penalties of (24) join a sum over the 16 pixels of every batch. Every preset keeps labels="given", the paper's objective,
# with these weights, which were tuned for the public code's labels="drawn".


def _from_public_code(n_endmembers: int, weight: float, tau: float, encoder: float, mixing: float) -> dict:
    supervised = weight / 5
    return {
        "n_endmembers": n_endmembers,
        "supervised_weight": supervised,
        "label_weight": 11 / supervised - 1,
        "sparsity": tau,
        "encoder_penalty": encoder / 16,
        "mixing_penalty": mixing / 16,
    }


PRESETS = {
    "dc1": _from_public_code(3, 10, 0, 1e4, 1e-3),
    "dc2": _from_public_code(5, 1, 0.005, 0.01, 0.1),
    "samson": _from_public_code(3, 1, 0.005, 0.01, 0.1),
    "jasper_ridge": _from_public_code(4, 1, 0, 0.01, 0.1),
    "cuprite": _from_public_code(14, 10, 0.1, 0.05, 5),
}


class IDNet(BaseEstimator):
    """Unmix a scene with per-pixel endmembers and a learned non-linearity: ID-Net.

    Maximises over the networks' parameters a lower bound on the likelihood of every pixel and of a labelled set made
    from the scene's purest pixels, (16)::

        sum_U L_U + supervised_weight sum_S [L_S + label_weight log q(a, M | y)]
            - sparsity sum ||gamma||_1/2 - mixing_penalty ||mu_y||_FNN - encoder_penalty ||gamma_nlin||_FNN

    with sums read as means over pixels, and returns the means of the posterior. Borsoi, Erdogmus and Imbiriba (2023),
    Learning Interpretable Deep Disentangled Neural Networks for Hyperspectral Unmixing; where the paper is silent, its
    public code, github.com/ricardoborsoi/IDNet_release.

    Parameters
    ----------
    n_endmembers : int
        P, the number of materials.
    supervised_weight, label_weight : float
        lambda and beta of (22). ``label_weight=0`` keeps L_S alone, whose reconstructions are better and whose
        abundances are worse.
    labels : {"given", "drawn"}
        Where log q(a | M, y) of a labelled pixel is taken: at its label, as (22) and (29) have it; or at a fresh draw
        from q, as the public code does. They are two objectives, and the weights of the public code, which every preset
        has, were tuned for the second. Neither is the better one everywhere: try both on a scene like yours whose
        abundances are known.
    sparsity : float
        tau of (23).
    mixing_penalty, encoder_penalty : float, per pixel
        varsigma_1 and varsigma_2 of (24).
    latent_dim : int
        H, the dimension of the variability of one endmember.
    n_layers : int
        The hidden layers of the unrolled encoder.
    n_samples, n_importance : int
        K_E and K of (31).
    nonlinear_gain : float
        The factor on both non-linear streams (.1 in the public code, not in the paper).
    bundle_size : int
        Pixels taken as pure per endmember (N_ppx).
    label_snr : float, dB
        Of the noise added to the labelled pixels.
    label_smoothing, min_concentration : float
        Keep log q(a | M, y) finite at one-hot labels.
    batch_size : int
        The paper's is 16; the cost does not depend on it.
    learning_rate : float
        Of Adam.
    variance_learning_rate : float
        Adam's for the noise variances s_y and s_k. Their log-parameters have several units to travel and Adam moves a
        parameter by about its rate per step: at the rate of the networks they do not arrive in 30 epochs, the model
        believes in more noise than there is, and the bound stays far below its maximum.
    learning_rate_decay : float
    decay_epochs : int
        The rate is multiplied by the decay after each of the first ``decay_epochs`` epochs.
    max_iter : int, in epochs
    tol : float
        Stop when the loss of an epoch changes by less than this, relatively. The paper's .01 is for its epochs of four
        times as many steps; a quarter of it is the same rule here.
    init_endmembers : array, shape (n_endmembers, n_bands), optional
        Those VCA finds if not given.
    device : str or torch.device, optional
        Where to train. None follows ``X``: its own device for a torch tensor, the CPU for NumPy. Naming a device for a
        NumPy ``X`` moves a copy there and the results back.
    checkpoint : str or path, optional
        A fit that finds this file goes on from it, and ends as if it had never stopped; it must be of the same data and
        parameters.
    checkpoint_every : int, in epochs
    verbose : bool
        Show a progress bar.
    random_state : int, numpy.random.Generator, RandomState or None
        The global generators are left as they were.

    Attributes
    ----------
    abundances_ : array, shape (n_pixels, n_endmembers)
        The mean of q(a | y, M) at the mean endmembers; rows sum to one.
    concentrations_ : array, shape (n_pixels, n_endmembers)
        Of that Dirichlet, (12): their sum says how sure the network claims to be.
    endmembers_ : array, shape (n_pixels, n_endmembers, n_bands)
        Per pixel: the decoder at the mean of q(Z | y).
    nonlinearity_degree_ : array, shape (n_pixels,), in [0, 1]
        ``||gamma_nlin|| / (||gamma_lin|| + ||gamma_nlin||)``, Fig. 7.
    initial_endmembers_ : array, shape (n_endmembers, n_bands)
        VCA's; column k of ``abundances_`` belongs to its row k.
    loss_curve_ : array, shape (``n_iter_``,)
        The mean of ``objective`` over each epoch.
    n_iter_ : int
        Epochs done.
    converged_ : bool
        Whether ``tol`` stopped them.
    interrupted_ : bool
        True where Ctrl-C did; what is kept is then the best epoch so far.
    n_features_in_ : int
    feature_names_in_ : array of str
        Bands of ``X``, and their names where it was a data frame.
    model_ : IDNetModel
        In float32, from the epoch of the smallest loss.
    """

    def __init__(
        self,
        n_endmembers: int,
        *,
        supervised_weight: float = PRESETS["dc1"]["supervised_weight"],
        label_weight: float = PRESETS["dc1"]["label_weight"],
        labels: str = "given",
        sparsity: float = PRESETS["dc1"]["sparsity"],
        mixing_penalty: float = PRESETS["dc1"]["mixing_penalty"],
        encoder_penalty: float = PRESETS["dc1"]["encoder_penalty"],
        latent_dim: int = 2,
        n_layers: int = 10,
        n_samples: int = 1,
        n_importance: int = 5,
        nonlinear_gain: float = 0.1,
        bundle_size: int = 100,
        label_snr: float = 30.0,
        label_smoothing: float = 1e-3,
        min_concentration: float = 1e-2,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        variance_learning_rate: float = 1e-2,
        learning_rate_decay: float = 0.9,
        decay_epochs: int = 10,
        max_iter: int = 30,
        tol: float = 0.0025,
        init_endmembers=None,
        device=None,
        checkpoint=None,
        checkpoint_every: int = 1,
        verbose: bool = False,
        random_state=None,
    ):
        self.n_endmembers = n_endmembers
        self.supervised_weight = supervised_weight
        self.label_weight = label_weight
        self.labels = labels
        self.sparsity = sparsity
        self.mixing_penalty = mixing_penalty
        self.encoder_penalty = encoder_penalty
        self.latent_dim = latent_dim
        self.n_layers = n_layers
        self.n_samples = n_samples
        self.n_importance = n_importance
        self.nonlinear_gain = nonlinear_gain
        self.bundle_size = bundle_size
        self.label_snr = label_snr
        self.label_smoothing = label_smoothing
        self.min_concentration = min_concentration
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.variance_learning_rate = variance_learning_rate
        self.learning_rate_decay = learning_rate_decay
        self.decay_epochs = decay_epochs
        self.max_iter = max_iter
        self.tol = tol
        self.init_endmembers = init_endmembers
        self.device = device
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.verbose = verbose
        self.random_state = random_state

    @classmethod
    def preset(cls, name: str, **overrides) -> IDNet:
        """An estimator with the weights that the public code uses on a scene, and ``labels="given"``.

        No one setting gives all that the paper prints of Samson: ``labels="drawn"`` is nearest to its abundance maps,
        ``label_weight=0`` to its reconstruction error.

        Parameters
        ----------
        name : str
            Of the scene: a key of ``PRESETS``.
        **overrides : any
            Parameters in the place of the preset's.

        Returns
        -------
        IDNet

        Examples
        --------
        >>> IDNet.preset("samson", max_iter=5).n_endmembers
        3
        """
        if not isinstance(name, str) or name not in PRESETS:
            raise ValueError(f"no preset {name!r}; there are {', '.join(map(repr, PRESETS))}.")
        return cls(**(PRESETS[name] | overrides))

    # -- fitting ------------------------------------------------------------------------------------------------------

    def fit(self, X, y=None, *, resume=None) -> IDNet:
        """Train on the pixels of a scene.

        Ctrl-C ends the training with a warning and keeps the best epoch so far; in the first epoch, and where the fit
        fails, the estimator stays as it was.

        Parameters
        ----------
        X : array, shape (n_pixels, n_bands)
            Reflectance in [0, 1]: NumPy, torch or a data frame.
        y : object
            Ignored.
        resume : str or path, optional
            A file written through ``checkpoint``, whose seed is taken with it; the run goes on as if it had not been
            interrupted.

        Returns
        -------
        IDNet

        Raises
        ------
        ValueError
            NaN, values far outside [0, 1], too few pixels, a parameter out of its range, a file of another run.
        TypeError
            ``X`` is no array of numbers, or on another device than the one asked for.
        OSError
            ``checkpoint`` cannot be written.
        """
        pixels = _check_pixels(X)
        self._check_parameters(pixels)
        if self.checkpoint is not None:
            check_writable(self.checkpoint)
        path = resume if resume is not None else (self.checkpoint if exists(self.checkpoint) else None)
        seed = int(generator_of(self.random_state).integers(2**62))
        fixed = resume is None and isinstance(self.random_state, int | np.integer)
        state = path and read_run(path, self, self._identity(pixels), seed if fixed else None)
        seed, device = state["seed"] if state else seed, self._device(X)
        with all_or_nothing(self):
            _check_feature_names(self, X, reset=True)
            self.n_features_in_ = pixels.shape[1]
            self.initial_endmembers_ = self._initial_endmembers(pixels, seed)
            labels = self._labels(pixels, seed)
            with own_gradients(device):
                self._train(pixels, labels, device, seed, path, state)
            self._unmix(X, pixels, device)
        return self

    def _check_parameters(self, pixels: np.ndarray) -> None:
        n_pixels, n_bands = pixels.shape
        for name in ("latent_dim", "n_layers", "n_samples", "n_importance"):
            integer(name, getattr(self, name), most=WIDEST)
        for name in ("bundle_size", "batch_size", "max_iter", "decay_epochs", "checkpoint_every"):
            integer(name, getattr(self, name))
        integer("n_endmembers", self.n_endmembers, least=2, most=min(n_pixels, n_bands), advice="X has no more.")
        choice("labels", self.labels, ("given", "drawn"))
        for name in ("learning_rate", "variance_learning_rate", "learning_rate_decay", "min_concentration"):
            number(name, getattr(self, name), above=0, most=1e9)
        for name in ("supervised_weight", "label_weight", "sparsity", "mixing_penalty", "encoder_penalty", "tol"):
            number(name, getattr(self, name), least=0, most=1e15)
        number("nonlinear_gain", self.nonlinear_gain, least=-1e6, most=1e6)
        if not (isinstance(self.label_snr, float) and math.isinf(self.label_snr) and self.label_snr > 0):
            number(
                "label_snr", self.label_snr, least=-300, most=300, unless=" dB, or infinite for labels without noise"
            )
        most = 1 / self.n_endmembers
        number("label_smoothing", self.label_smoothing, least=1e-9, below=most, advice="1 / n_endmembers is the limit.")

    def _device(self, X) -> torch.device:
        asked = None if self.device is None else device_of(self.device)
        if not isinstance(X, torch.Tensor):
            return asked or torch.device("cpu")
        if asked is not None and asked.type != X.device.type:
            raise TypeError(f"X is on {X.device} and device={asked}: move X first, nothing is moved silently.")
        return X.device

    def _initial_endmembers(self, pixels: np.ndarray, seed: int) -> np.ndarray:
        if self.init_endmembers is None:
            from ..linear import vca

            return np.asarray(vca(pixels, self.n_endmembers, random_state=np.random.default_rng(seed)).endmembers)
        given = np.ascontiguousarray(squarable("init_endmembers", real_array("init_endmembers", self.init_endmembers)))
        shape = (self.n_endmembers, pixels.shape[1])
        if given.shape != shape or not np.isfinite(given).all() or not given.any(axis=1).all():
            raise ValueError(
                f"init_endmembers must be finite, with some light in every row, of shape {shape}; got {given.shape}."
            )
        return given

    def _labels(self, pixels: np.ndarray, seed: int) -> LabelledSet:
        return labelled_set(
            pixels,
            self.initial_endmembers_,
            size=self.bundle_size,
            snr_db=self.label_snr,
            smoothing=float(self.label_smoothing),
            rng=np.random.default_rng([seed, 1]),  # not the stream of VCA
        )

    def _new_model(self, n_bands: int) -> IDNetModel:
        return IDNetModel(
            self.n_endmembers,
            n_bands,
            latent_dim=self.latent_dim,
            n_layers=self.n_layers,
            gain=self.nonlinear_gain,
            min_concentration=self.min_concentration,
        )

    def _train(
        self, pixels: np.ndarray, labels: LabelledSet, device: torch.device, seed: int, path, state: dict | None
    ):
        """Epochs until the loss settles, ``max_iter`` or Ctrl-C; leaves the best epoch in ``model_``."""
        Y = torch.from_numpy(pixels).to(device, torch.float32)
        labels = LabelledSet(*(part.to(device, torch.float32) for part in labels))
        torch.manual_seed(seed)
        self.model_ = self._new_model(Y.shape[1]).to(device)
        self.model_.decoder.start_at(labels.endmembers.mean(0))
        optimizer, identity = self._optimizer(), self._identity(pixels)
        run = restore(path, state, self.model_, optimizer, device) if state else Run(seed, [], None, {})
        losses, best, self.interrupted_ = run.losses, run.best, False
        try:
            with progress(self.max_iter, "ID-Net", "epoch", shown=self.verbose) as bar:
                bar.update(len(losses))
                while len(losses) < self.max_iter and not self._settled(losses):
                    losses.append(self._epoch(Y, labels, optimizer, epoch=len(losses)))
                    if losses[-1] <= min(losses):
                        best = {name: value.clone() for name, value in self.model_.state_dict().items()}
                    last = len(losses) == self.max_iter or self._settled(losses)
                    if self.checkpoint is not None and (last or len(losses) % self.checkpoint_every == 0):
                        run = Run(seed, losses, best, {})
                        keep_run(self.checkpoint, identity, run, self.model_, optimizer, device)
                    bar.tell(f"loss {losses[-1]:.4g}")
                    bar.update(1)
        except KeyboardInterrupt:
            if best is None:
                raise  # not one epoch: there is nothing to keep
            self.interrupted_ = True
        self.model_.load_state_dict(best)
        self.loss_curve_, self.n_iter_ = np.array(losses), len(losses)
        self.converged_ = self._settled(losses)
        self._report()

    def _optimizer(self) -> torch.optim.Optimizer:
        variances = [self.model_.decoder.log_variance, self.model_.mixing.log_variance]
        fast = {id(parameter) for parameter in variances}
        rest = [parameter for parameter in self.model_.parameters() if id(parameter) not in fast]
        groups = [
            {"params": rest, "start_lr": self.learning_rate},
            {"params": variances, "start_lr": self.variance_learning_rate},
        ]
        return torch.optim.Adam(groups, lr=self.learning_rate, fused=True)

    def _settled(self, losses: list[float]) -> bool:
        return len(losses) > 1 and abs(losses[-1] - losses[-2]) < self.tol * abs(losses[-1])

    def _report(self) -> None:
        if self.interrupted_:
            warn(f"interrupted after {self.n_iter_} epochs: keeping the best of them.", ConvergenceWarning)
        elif not self.converged_:
            last = self.loss_curve_[-2:]
            change = abs(last[-1] - last[0]) / abs(last[-1]) if len(last) > 1 else math.inf
            warn_not_converged("ID-Net", self.n_iter_, change, self.tol, "Raise max_iter or tol.")

    def _epoch(self, Y: torch.Tensor, labels: LabelledSet, optimizer: torch.optim.Optimizer, *, epoch: int) -> float:
        """One pass over all pixels, each paired with a labelled one; the mean loss."""
        for group in optimizer.param_groups:
            group["lr"] = group["start_lr"] * self.learning_rate_decay ** min(epoch, self.decay_epochs)
        n, n_labels = len(Y), len(labels.pixels)
        order = torch.randperm(n).to(Y.device)
        partner = (torch.randperm(n_labels * math.ceil(n / n_labels)) % n_labels)[:n].to(Y.device)
        total = torch.zeros((), device=Y.device)
        for start in range(0, n, self.batch_size):
            batch = slice(start, start + self.batch_size)
            y, known = Y[order[batch]], LabelledSet(*(part[partner[batch]] for part in labels))
            loss = self._loss(y, known)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total = total + loss.detach() * len(y)
        mean = float(total) / n
        if not math.isfinite(mean):
            raise FloatingPointError(f"the loss is {mean} in epoch {epoch + 1}. {self._remedy()}")
        return mean

    def _remedy(self) -> str:
        return (
            f"Lower learning_rate (now {self.learning_rate}), learning_rate_decay, nonlinear_gain, supervised_weight, "
            "label_weight or sparsity, raise min_concentration or label_smoothing, or check X."
        )

    def _loss(self, pixels: torch.Tensor, labels: LabelledSet) -> torch.Tensor:
        model = self.model_
        return objective(
            model,
            pixels,
            model.draw(pixels, self.n_samples),
            labels,
            model.draw_latents(labels.pixels, self.n_importance),
            supervised_weight=self.supervised_weight,
            label_weight=self.label_weight,
            drawn=self.labels == "drawn",
            sparsity=self.sparsity,
            mixing_penalty=self.mixing_penalty,
            encoder_penalty=self.encoder_penalty,
        )

    def _identity(self, pixels: np.ndarray) -> dict:
        """What must agree between a checkpoint and the run that resumes it."""
        free = {
            "max_iter",
            "tol",
            "device",
            "checkpoint",
            "checkpoint_every",
            "verbose",
            "random_state",
            "init_endmembers",
        }
        return identity_of(self, free, pixels, init_endmembers=self.init_endmembers)

    # -- results ------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _unmix(self, X, pixels: np.ndarray, device: torch.device) -> None:
        parts = [self._unmix_chunk(chunk.to(device)) for chunk in torch.from_numpy(pixels).float().split(2048)]
        concentrations, abundances, endmembers, degree, pixel_means = (torch.cat(part) for part in zip(*parts))
        if not all(bool(x.isfinite().all()) for x in (abundances, endmembers, degree, pixel_means)):
            raise FloatingPointError(f"the networks answer with numbers that are not finite. {self._remedy()}")
        self.concentrations_ = _returned(concentrations, X)
        self.abundances_ = _returned(abundances, X)
        self.endmembers_ = _returned(endmembers, X)
        self.nonlinearity_degree_ = _returned(degree, X)
        self._reconstruction = _returned(pixel_means, X)
        self.initial_endmembers_ = _returned(torch.from_numpy(self.initial_endmembers_).to(device), X)

    def _unmix_chunk(self, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        model = self.model_
        endmembers = model.decoder(model.variability(y)[0])
        linear, nonlinear = (torch.linalg.vector_norm(part, dim=-1) for part in model.abundance.streams(y, endmembers))
        degree = nonlinear / (linear + nonlinear).clamp_min(torch.finfo(y.dtype).tiny)
        concentration = model.abundance(y, endmembers).double()
        abundances = concentration / concentration.sum(-1, keepdim=True)  # the mean of the Dirichlet
        return concentration, abundances, endmembers, degree, model.mixing(abundances.float(), endmembers)

    def reconstruct(self):
        """The mean of p(y | a, M) at ``abundances_`` and ``endmembers_``, (7).

        Returns
        -------
        array, shape (n_pixels, n_bands)
        """
        check_is_fitted(self, "_reconstruction")
        return self._reconstruction


def _check_pixels(X) -> np.ndarray:
    """``X`` as float64 on the host, after a look at its values; refuses what the model is not made for."""
    if callable(getattr(X, "pixels", None)):
        raise TypeError(f"X must be an array; got a {type(X).__name__}. Use scene.pixels().")
    if not (is_numpy(X) or is_frame(X) or isinstance(X, torch.Tensor | list | tuple)):
        raise TypeError(
            f"X must be a NumPy array, a torch tensor or a data frame, got {type(X).__module__}.{type(X).__name__}."
        )
    pixels = np.require(
        to_numpy(as_float(X, name="X")), np.float64, ["C", "W"]
    )  # torch warns of memory that is read-only
    if pixels.ndim != 2 or 0 in pixels.shape:
        raise ValueError(f"X must have shape (n_pixels, n_bands), got {pixels.shape}. Use cube.reshape(-1, n_bands).")
    bad = int((~np.isfinite(pixels)).any(axis=1).sum())
    if bad:
        raise ValueError(f"{bad} of {len(pixels)} pixels hold NaN or infinity. Drop them or mend the bands first.")
    low, high = float(pixels.min(initial=0)), float(pixels.max(initial=0))
    if low < -0.5 or high > 2 or high == 0:
        raise ValueError(
            f"X must be reflectance in [0, 1]; its values span [{low:.4g}, {high:.4g}]. "
            "Divide by the scale of the sensor (often 1e4), or by the maximum."
        )
    return pixels


def _returned(result: torch.Tensor, X):
    """A result in the backend, on the device and of the float dtype of ``X``."""
    if isinstance(X, torch.Tensor):
        return result.to(X.device, X.dtype if X.is_floating_point() else torch.get_default_dtype())
    dtype = X.dtype if is_numpy(X) and X.dtype.kind == "f" else np.float64
    return result.cpu().numpy().astype(dtype)
