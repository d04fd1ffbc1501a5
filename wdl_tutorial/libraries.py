"""Measured spectra of named materials: those that come with the package."""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import NamedTuple

import numpy as np


class Spectra(NamedTuple):
    """Measured spectra of named materials."""

    names: tuple[str, ...]
    wavelengths: np.ndarray  # (n_bands,) nm
    spectra: np.ndarray  # (n_spectra, n_bands) reflectance
    records: tuple[str, ...]  # the names of the library's own records
    citation: str

    def select(self, *names: str) -> np.ndarray:
        """The spectra of the given materials, (len(names), n_bands)."""
        missing = [name for name in names if name not in self.names]
        if missing:
            raise ValueError(f"the sample has no spectrum called {missing}; it has {list(self.names)}.")
        return self.spectra[[self.names.index(name) for name in names]]


def load_usgs_sample(region: str = "full") -> Spectra:
    """The embedded spectra of the USGS Spectral Library Version 7 (public domain), in bands of 10 nm.

    Parameters
    ----------
    region : "full" for 13 spectra in 188 bands from 400 to 2490 nm (two gaps, where water vapour blinds an airborne
        sensor); "swir" for 18 spectra in the 55 bands from 1950 nm on, clays, micas and alunite among them.

    Examples
    --------
    >>> sample = load_usgs_sample()
    >>> sample.spectra.shape
    (13, 188)
    >>> load_usgs_sample("swir").names[-2:]
    ('muscovite, low Al', 'muscovite, high Al')
    """
    if region not in ("full", "swir"):
        raise ValueError(f'region must be "full" or "swir"; got {region!r}.')
    with (files("wdl_tutorial") / "data" / "usgs_sample.csv").open(newline="") as file:
        header, records, *rows = csv.reader(file)
    table = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows])
    if region == "swir":
        table = table[table[:, 0] >= 1950]
    complete = [k for k in range(1, table.shape[1]) if not np.isnan(table[:, k]).any()]
    return Spectra(
        names=tuple(header[k] for k in complete),
        wavelengths=table[:, 0].copy(),
        spectra=np.ascontiguousarray(table[:, complete].T),
        records=tuple(records[k] for k in complete),
        citation="Kokaly et al. (2017), USGS Spectral Library Version 7, doi:10.5066/F7RR1WDJ; public domain.",
    )


def aviris_wavelengths() -> np.ndarray:
    """The centres of the 224 AVIRIS bands in nm, increasing, as the USGS library of 1995 lists them.

    Examples
    --------
    >>> len(aviris_wavelengths())
    224
    """
    text = (files("wdl_tutorial") / "data" / "aviris_wavelengths.csv").read_text()
    return np.array([float(line) for line in text.split()[1:]])
