"""VAE-LAND: variational features for learning by active nonlinear diffusion, on Salinas A."""

from __future__ import annotations

from .table import Row

PAPER = "VAE-LAND"

ROWS: list[Row] = []
