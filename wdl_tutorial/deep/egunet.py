r"""EGU-Net: an autoencoder that a second stream of nearly pure spectra guides towards abundances.

Hong et al. (2021), Endmember-guided unmixing network, doi:10.1109/TNNLS.2021.3082289: the pixel-wise form; one of the
methods in ID-Net's tables. Small squares of the image give spectra e_j that are nearly pure, and least squares tells what
they are made of, b_j. One encoder f reads these and the pixels y_n; only the pixels go on to the decoder g:

    mean_j CE(f(e_j), b_j)  +  mean_n ||g(f(y_n)) - y_n||^2 / n_bands  +  weight_decay / 2 sum ||W||^2

with the cross-entropy CE and the weights W of all layers. f ends in a softmax. g is a deep network, so that what it makes of
an abundance need not be a mixture: nothing but the first term says which output is which material, and how much.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .. import linear
from .._checks import generator_of, integer, number, real_array, squarable
from .training import own_gradients
from .vae import start_as_keras

BATCH = 8000  # pixels, as in the public code; a larger scene is cut into equal parts


class EGUUnmixing(NamedTuple):
    """What :func:`egu_net` returns."""

    abundances: np.ndarray  # (n_pixels, n_endmembers), each row sums to one
    endmembers: np.ndarray  # (n_endmembers, n_bands), what the decoder makes of one material alone
    pure: np.ndarray  # (n_pure, n_bands), the nearly pure spectra that guided it
    pure_abundances: np.ndarray  # (n_pure, n_endmembers), what it was told of them
    reconstruction: np.ndarray  # (n_pixels, n_bands)
    losses: list[float]  # of every epoch


def _layers(sizes: list[int], ends: list[nn.Module], *, drop: float = 0.0) -> nn.Sequential:
    """Dense layers with batch normalisation before what ends each; the first drops a share of its units."""
    layers: list[nn.Module] = []
    for k, ((n_in, n_out), end) in enumerate(zip(itertools.pairwise(sizes), ends)):
        layers += [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out, eps=1e-3, momentum=0.1)]
        layers += [nn.Dropout(drop), end] if k == 0 and drop else [end]
    return nn.Sequential(*layers)


class EGUModel(nn.Module):
    """f: 256, 128, 32 units and a softmax. g: 32, 128, 256 units and a sigmoid for every band."""

    def __init__(self, n_endmembers: int, n_bands: int, drop: float):
        super().__init__()
        self.trunk = _layers([n_bands, 256, 128, 32], [nn.Tanh(), nn.Tanh(), nn.ReLU()], drop=drop)
        self.head = nn.Linear(32, n_endmembers)
        self.decoder = _layers([n_endmembers, 32, 128, 256, n_bands], [nn.Sigmoid() for _ in range(4)])
        self.apply(start_as_keras)

    def logits(self, y: torch.Tensor) -> torch.Tensor:
        """(n, n_endmembers): log abundances, up to a constant of each pixel."""
        return self.head(self.trunk(y))

    def forward(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Abundances (n, n_endmembers) and rebuilt pixels (n, n_bands)."""
        abundances = torch.softmax(self.logits(y), dim=1)
        return abundances, self.decoder(abundances)

    def decay(self) -> torch.Tensor:
        """Half the squares of all weights, biases and normalisation left out."""
        layers = [layer for layer in self.modules() if isinstance(layer, nn.Linear)]
        return 0.5 * torch.stack([(layer.weight**2).sum() for layer in layers]).sum()


def pure_pixels(
    cube: np.ndarray, mask: np.ndarray, n_endmembers: int, block: int, rng: np.random.Generator
) -> np.ndarray:
    """(n_pure, n_bands): VCA's endmembers of every square of ``block`` x ``block`` pixels that can give as many."""
    found = []
    for row, column in itertools.product(range(0, cube.shape[0], block), range(0, cube.shape[1], block)):
        square = np.s_[row : row + block, column : column + block]
        pixels = cube[square][mask[square]]
        if len(np.unique(pixels, axis=0)) < max(n_endmembers, 2):
            continue
        try:
            found.append(linear.vca(pixels, n_endmembers, snr_db=30.0, random_state=rng).endmembers)
        except ValueError:  # pixels that span fewer directions have no such corners
            continue
    if not found:
        raise ValueError(
            f"no square of {block} x {block} pixels gives {n_endmembers} endmembers: the mask leaves too few, or they span "
            "too few directions. Raise block, or lower n_endmembers."
        )
    return np.concatenate(found)


def egu_net(
    cube: np.ndarray,
    n_endmembers: int,
    *,
    mask: np.ndarray | None = None,
    endmembers: np.ndarray | None = None,
    block: int = 5,
    n_epochs: int = 200,
    learning_rate: float = 0.1,
    weight_decay: float = 0.005,
    drop: float = 0.1,
    random_state: int | np.random.Generator | None = 0,
) -> EGUUnmixing:
    """Unmix with an autoencoder that is guided by the nearly pure spectra of small squares of the image.

    The settings are those of the authors' public code: Adam, whose rate falls by 1 % an epoch, on all pixels at once up to
    8,000, divided by their largest value. That code sets n_bands and n_endmembers by hand and takes the true endmembers for
    the least squares; here these are VCA's, or ``endmembers``.

    Parameters
    ----------
    cube : array, shape (rows, cols, n_bands)
        Reflectance. What is negative cannot be rebuilt: g ends in a sigmoid.
    n_endmembers : int
        At least 2.
    mask : array of bool, shape (rows, cols), optional
        True where a pixel is to be unmixed.
    endmembers : array, shape (n_endmembers, n_bands), optional
        What the nearly pure spectra are told apart by; VCA's of the whole scene if not given.
    block : int, pixels
        Side of the squares.
    n_epochs : int
    learning_rate : float
        Of Adam, in the first epoch.
    weight_decay : float
    drop : float
        Share of the first layer's units that is left out in each step.
    random_state : int, Generator or None
        Of VCA, the first weights, the batches and what is left out.

    Returns
    -------
    EGUUnmixing
        Pixels in the order of ``cube[mask]``.

    Raises
    ------
    ValueError
        If a pixel is not finite, all of the cube is zero, shapes disagree, or no square gives endmembers.

    Examples
    --------
    >>> from wdl_tutorial import datasets
    >>> scene = datasets.make_bilinear_scene(shape=(10, 10), n_endmembers=3, random_state=0)
    >>> egu_net(scene.cube, 3, n_epochs=2).pure.shape[0]    # four squares, three corners each
    12
    """
    cube, mask = _checked(cube, mask)
    n_endmembers = integer("n_endmembers", n_endmembers, least=2, most=cube.shape[2])
    block, n_epochs = integer("block", block, least=2), integer("n_epochs", n_epochs, least=1)
    learning_rate = number("learning_rate", learning_rate, above=0)
    weight_decay, drop = number("weight_decay", weight_decay, least=0), number("drop", drop, least=0, below=1)
    rng = generator_of(random_state)
    pixels = cube[mask]
    if endmembers is None:
        endmembers = linear.vca(pixels, n_endmembers, random_state=rng).endmembers
    pure = pure_pixels(cube, mask, n_endmembers, block, rng)
    told = linear.nnls(pure, endmembers, normalize=True).abundances
    if told.shape[1] != n_endmembers:
        raise ValueError(f"endmembers must have {n_endmembers} rows; got {told.shape[1]}.")
    largest = float(np.abs(pixels).max())
    y, e, b = (torch.tensor(x, dtype=torch.float32) for x in (pixels / largest, pure / largest, told))
    with own_gradients():
        torch.manual_seed(int(rng.integers(2**62)))
        model = EGUModel(n_endmembers, cube.shape[2], drop)
        losses = _train(model, y, e, b, n_epochs, learning_rate, weight_decay)
        abundances, rebuilt, alone = _results(model, y, n_endmembers)
    return EGUUnmixing(abundances, largest * alone, pure, told, largest * rebuilt, losses)


def _checked(cube: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The cube in double precision, and which of its pixels count."""
    cube = np.asarray(real_array("cube", cube), dtype=np.float64)
    if cube.ndim != 3 or 0 in cube.shape:
        raise ValueError(f"cube must have shape (rows, cols, n_bands); got {cube.shape}.")
    mask = np.ones(cube.shape[:2], dtype=bool) if mask is None else np.asarray(mask)
    if mask.shape != cube.shape[:2] or mask.dtype != bool:
        raise ValueError(f"mask must be bool of shape {cube.shape[:2]}; got {mask.dtype} of {mask.shape}.")
    if not np.isfinite(cube[mask]).all() or not cube[mask].any():
        raise ValueError("cube holds NaN or infinite values, or no light at all, where the mask is True. Mask them.")
    return squarable("cube", np.where(mask[:, :, None], cube, 0.0)), mask


def _train(
    model: EGUModel,
    y: torch.Tensor,
    e: torch.Tensor,
    b: torch.Tensor,
    n_epochs: int,
    learning_rate: float,
    weight_decay: float,
) -> list[float]:
    """Epochs over the pixels, all nearly pure spectra with every batch; the mean loss of each."""
    descent, losses = torch.optim.Adam(model.parameters(), lr=learning_rate), []
    parts = max(1, math.ceil(len(y) / BATCH))
    model.train()
    for epoch in range(n_epochs):
        total = 0.0
        for group in descent.param_groups:
            group["lr"] = learning_rate * 0.99**epoch
        for batch in torch.randperm(len(y)).chunk(parts):
            _, rebuilt = model(y[batch])
            guide = functional.cross_entropy(model.logits(e), b)
            loss = guide + functional.mse_loss(rebuilt, y[batch]) + weight_decay * model.decay()
            descent.zero_grad()
            loss.backward()
            descent.step()
            total += float(loss.detach()) / parts
        if not math.isfinite(total):
            raise FloatingPointError(
                f"the loss is {total} in epoch {epoch + 1}. Lower learning_rate ({learning_rate:g})."
            )
        losses.append(total)
    return losses


@torch.no_grad()
def _results(model: EGUModel, y: torch.Tensor, n_endmembers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Abundances, rebuilt pixels, and each material alone, normalised by the statistics of the whole scene.

    The public code unmixes in training mode, that is by these statistics. Kept, they also tell what the decoder makes of
    one material alone, where a batch of such codes would have statistics of its own.
    """
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.reset_running_stats()
            layer.momentum = None  # one pass: its statistics, not a running mean
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    model(y)
    model.eval()
    abundances, rebuilt = model(y)
    alone = model.decoder(torch.eye(n_endmembers))
    return tuple(x.double().numpy() for x in (abundances, rebuilt, alone))
