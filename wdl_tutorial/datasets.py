"""Scenes and histograms to learn on: synthetic ones that come with the truth, the embedded spectra, real scenes.

Everything returned is NumPy: move it in the open with ``xp.asarray``. ``make_*`` is synthetic and seeded, ``load_*``
may touch the disk. Nothing is downloaded at import; a real scene is looked for in the folder named by the environment
variable ``WDL_TUTORIAL_DATA``, then in the cache, then downloaded where a direct address is known.
"""

from __future__ import annotations

import csv
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import cubefiles
from ._checks import choice, generator_of, instance, integer
from .cubefiles import SceneFile, load_cube, locate, read_mat, variable
from .histograms import normalize
from .libraries import Spectra, aviris_wavelengths, load_library, load_usgs_sample
from .scenes import Geo, Scene, make_scene, valid_pixels
from .synthetic import (
    Bimodal,
    Frames,
    GaussianPath,
    make_beating_ring,
    make_bilinear_scene,
    make_bimodal,
    make_gaussian_path,
    make_teaching_scene,
    make_telescope_psfs,
    make_variable_scene,
)

__all__ = [
    "Bimodal",
    "Bundles",
    "Frames",
    "GaussianPath",
    "Geo",
    "SalinasPixels",
    "Scene",
    "Spectra",
    "available",
    "aviris_wavelengths",
    "idnet_cube_available",
    "load_cardiac",
    "load_cube",
    "load_dc1",
    "load_dc2_bundles",
    "load_faces",
    "load_idnet_cube",
    "load_jasper_ridge",
    "load_library",
    "load_salinas_a",
    "load_samson",
    "load_usgs_sample",
    "make_beating_ring",
    "make_bilinear_scene",
    "make_bimodal",
    "make_gaussian_path",
    "make_scene",
    "make_teaching_scene",
    "make_telescope_psfs",
    "make_variable_scene",
    "wahu_salinas_pixels",
]

REAL_SCENES = ("salinas-a", "samson", "jasper-ridge", "dc1", "dc2", "cardiac")
_WATER_BANDS = [*range(107, 112), *range(153, 167), 223]  # 0-based: the 20 bands "corrected" AVIRIS cubes lack
_SALINAS_CLASSES = {
    0: "unlabelled",
    1: "broccoli, green weeds",
    10: "corn, senesced green weeds",
    11: "lettuce romaine, 4 weeks",
    12: "lettuce romaine, 5 weeks",
    13: "lettuce romaine, 6 weeks",
    14: "lettuce romaine, 7 weeks",
}
_DC1_SPECTRA = ("Anorthite HS349.3B", "Jarosite GDS101 Na,Sy 200", "Alunite GDS83 Na63")
_DC2_MATERIALS = ("roof", "metal", "dirt", "tree", "asphalt")


def available(name: str) -> bool:
    """True where all files of a real scene lie on this machine, so that its loader needs no network.

    Parameters
    ----------
    name : {"salinas-a", "samson", "jasper-ridge", "dc1", "dc2", "cardiac"}

    Returns
    -------
    bool
    """
    choice("name", name, REAL_SCENES)
    return all(cubefiles.find(file) is not None for file in _scene_files(name))


def _scene_files(name: str) -> list[SceneFile]:
    """The files of a scene, in the order in which its loader takes them."""
    lines = (files("wdl_tutorial") / "data" / "scene_files.csv").read_text(encoding="utf-8").splitlines()
    rows = [row for row in csv.DictReader(lines) if row["folder"] == name]
    return [SceneFile(row["folder"], row["name"], row["sha256"], row["page"], row["url"] or None) for row in rows]


def _paths(name: str, download: bool, check_sha256: bool) -> list[Path]:
    return [locate(file, download=download, check_sha256=check_sha256) for file in _scene_files(name)]


def _checked_cube(cube: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """The cube as float64, its mask and notes: NaN is refused, empty pixels are masked, negative values kept."""
    cube = np.ascontiguousarray(cube, dtype=np.float64)
    bad = ~np.isfinite(cube)
    if bad.any():
        bands = np.flatnonzero(bad.any(axis=(0, 1)))
        raise ValueError(
            f"{path} holds {bad.sum()} NaN or infinite values, in {bands.size} bands (first: band {bands[0]}); the "
            "public file holds none. Fetch it again, or read it with load_cube, which drops such bands."
        )
    notes = []
    empty = np.asarray(~cube.any(axis=-1))
    if empty.any():
        cube[empty] = np.nan
        notes.append(f"{empty.sum()} all-zero pixels are masked")
    negative = int((cube < 0).sum())
    if negative:
        notes.append(f"{negative} negative values are kept (smallest {np.nanmin(cube):.3g})")
    return cube, ~empty if empty.any() else None, tuple(notes)


def _truth(found: dict[str, np.ndarray], name: str, path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """A variable of the truth as finite float64."""
    value = variable(found, name, path, shape).astype(np.float64)
    _check_finite(value, name, path)
    return value


def _check_finite(value: np.ndarray, name: str, path: Path) -> None:
    bad = int((~np.isfinite(value)).sum())
    if bad:
        raise ValueError(
            f"{name!r} in {path} holds {bad} NaN or infinite values; the public file holds none. Fetch it again."
        )


def _check_reflectance(spectra: np.ndarray, name: str, path: Path) -> None:
    """Library spectra (n, n_bands): somewhere positive, nowhere negative."""
    if spectra.min() < 0:
        raise ValueError(f"{name!r} in {path} goes below zero ({spectra.min():.3g}). It is another version.")
    if not spectra.any(axis=1).all():
        raise ValueError(f"a spectrum of {name!r} in {path} is zero in every band. It is another version.")


_SALINAS_RAW = SceneFile(  # its checksum is not known to us: no copy could be had
    "salinas-a",
    "SalinasA.mat",
    sha256="",
    page="https://www.ehu.eus/ccwintco/index.php/Hyperspectral_Remote_Sensing_Scenes",
)


def load_salinas_a(*, corrected: bool = True, download: bool = True, check_sha256: bool = True) -> Scene:
    """Salinas A: 83 x 86 pixels, 204 bands, six crops in rows of a field (AVIRIS, Salinas Valley, 1998).

    The cube is at-sensor radiance in digital numbers: its scale to reflectance is not public, so it stays raw. 183
    values are negative and are kept; only 4798 of the spectra differ, so a random split leaks. The file carries no
    wavelengths; those of the instrument stand in, without the 20 bands (108-112, 154-167, 224) that water hides.

    Parameters
    ----------
    corrected : bool
        False reads all 224 bands, as VAE-LAND does, from ``SalinasA.mat``, a file that you fetch; ``notes`` has its sha256.
    download : bool
        Fetch the files if they are not on this machine.
    check_sha256 : bool
        Refuse any other version of the files.

    Returns
    -------
    Scene

    Raises
    ------
    FileNotFoundError
        If the files are not to be had; the message says what to fetch and where to put it.
    ValueError
        If a file has another sha256, shape or variable than expected, or holds NaN.
    """
    image, truth = _paths("salinas-a", download, check_sha256)
    if corrected:
        raw = variable(read_mat(image), "salinasA_corrected", image, (83, 86, 204))
        wavelengths, more = np.delete(aviris_wavelengths(), _WATER_BANDS), "only 4798 of the 7138 spectra differ"
    else:
        image = locate(_SALINAS_RAW, download=False, check_sha256=False)
        raw = variable(read_mat(image), "salinasA", image, (83, 86, 224))
        wavelengths = aviris_wavelengths()
        more = f"sha256 of {image.name}: {hashlib.sha256(image.read_bytes()).hexdigest()}"
    labels = variable(read_mat(truth), "salinasA_gt", truth, (83, 86)).astype(np.int64)
    cube, mask, notes = _checked_cube(raw, image)
    return Scene(
        name="Salinas A",
        cube=cube,
        wavelengths=wavelengths,
        labels=labels,
        label_names=dict(_SALINAS_CLASSES),
        mask=mask,
        citation="AVIRIS (NASA/JPL), Salinas Valley, 1998; distributed by the GIC group of UPV/EHU.",
        units="at-sensor radiance, digital numbers",
        notes=(*notes, more, "wavelengths are nominal, those of the instrument"),
    )


class SalinasPixels(NamedTuple):
    """The training pixels of WaHU's experiment on Salinas A."""

    X: np.ndarray  # (n_pixels, 201) histograms
    positions: np.ndarray  # (201,) nm, increasing
    labels: np.ndarray  # (n_pixels,) class codes
    indices: np.ndarray  # (n_pixels,) into the flattened scene
    scales: np.ndarray  # (n_pixels,) what each pixel was divided by
    offset: float  # what was added to every value first


def wahu_salinas_pixels(
    scene: Scene | None = None, *, n_per_class: int = 167, random_state: int | np.random.Generator = 0
) -> SalinasPixels:
    """Salinas A as WaHU's experiment takes it: 1002 histograms in 201 bands, 167 of each of the six crops.

    Bands 0, 32 and 94 are dropped, the absolute value of the scene's minimum is added to make it non-negative, and each
    pixel is divided by its sum. The paper's cost is ``|x_i - x_j|`` over the positions, scaled so that its maximum is
    10: ``LineCost(positions, scale=10 / (positions[-1] - positions[0]))``. Which pixels its authors drew is not known.

    Parameters
    ----------
    scene : Scene, optional
        From :func:`load_salinas_a`, which is called if it is not given.
    n_per_class : int
        Drawn without replacement.
    random_state : int or numpy.random.Generator

    Returns
    -------
    SalinasPixels
    """
    scene = load_salinas_a() if scene is None else instance("scene", scene, Scene)
    n_per_class = integer("n_per_class", n_per_class)
    if scene.labels is None or scene.wavelengths is None or scene.cube.shape[-1] != 204:
        raise ValueError(f"scene must be Salinas A, labelled, with 204 bands; got {scene.name!r} {scene.cube.shape}.")
    rng = generator_of(random_state)
    reduced = scene.drop_bands([0, 32, 94])
    offset = abs(min(float(np.nanmin(reduced.cube)), 0.0))
    labels = reduced.labels.reshape(-1)
    valid = valid_pixels(scene)
    indices = []
    for code in np.unique(labels[labels > 0]):
        members = np.flatnonzero((labels == code) & valid)
        if not 1 <= n_per_class <= members.size:
            raise ValueError(
                f"class {code} has {members.size} pixels; n_per_class={n_per_class} asks for more, or none."
            )
        indices.append(np.sort(rng.choice(members, size=n_per_class, replace=False)))
    chosen = np.concatenate(indices)
    shifted = reduced.cube.reshape(labels.size, -1)[chosen] + offset
    return SalinasPixels(normalize(shifted), reduced.wavelengths, labels[chosen], chosen, shifted.sum(axis=1), offset)


def _unfold(columns: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """(k, rows * cols) with pixels column by column, as MATLAB flattens images, to (rows, cols, k)."""
    return columns.reshape(columns.shape[0], cols, rows).transpose(2, 1, 0)


def load_samson(*, download: bool = True, check_sha256: bool = True) -> Scene:
    """Samson: 95 x 95 pixels, 156 bands (401-889 nm), rock, tree and water.

    Reflectance was scaled to [0, 1] by the providers. Two warnings about the truth: each endmember is scaled to a
    maximum of about 1, so ``cube != abundances @ endmembers``; and the abundances are, to .002, what non-negative least
    squares gives with those scaled endmembers, so scoring abundances on them is circular. Judge endmembers by spectral
    angle.

    Parameters
    ----------
    download, check_sha256 : bool
        As for :func:`load_salinas_a`, and so are the errors raised.

    Returns
    -------
    Scene
    """
    image, truth = _paths("samson", download, check_sha256)
    raw = variable(read_mat(image), "V", image, (156, 9025))
    found = read_mat(truth)
    cube, mask, notes = _checked_cube(_unfold(raw, 95, 95), image)
    return Scene(
        name="Samson",
        cube=cube,
        wavelengths=np.linspace(401.0, 889.0, 156),
        endmembers=np.ascontiguousarray(_truth(found, "M", truth, (156, 3)).T),
        abundances=np.ascontiguousarray(_unfold(_truth(found, "A", truth, (3, 9025)), 95, 95)),
        mask=mask,
        citation="Samson; annotated by F. Zhu (arXiv:1403.4682); distributed by the RSLab, University of Tehran.",
        endmember_names=("rock", "tree", "water"),
        units="reflectance, scaled to [0, 1]",
        notes=(
            *notes,
            "endmembers are scaled to a maximum of about 1 each: the cube is not abundances @ endmembers",
            "the abundances follow from those scaled endmembers by NNLS to .002: scoring on them is circular",
            "wavelengths are nominal, 401-889 nm in equal steps",
        ),
    )


def load_jasper_ridge(*, download: bool = True, check_sha256: bool = True) -> Scene:
    """Jasper Ridge: 100 x 100 pixels, 198 bands, tree, water, dirt and road (AVIRIS).

    The cube is reflectance: the file over 5000.

    Parameters
    ----------
    download, check_sha256 : bool
        As for :func:`load_salinas_a`, and so are the errors raised.

    Returns
    -------
    Scene
    """
    image, truth = _paths("jasper-ridge", download, check_sha256)
    content = read_mat(image)
    raw = variable(content, "Y", image, (198, 10000))
    scale = float(variable(content, "maxValue", image).item())
    bands = variable(content, "SlectBands", image, (198, 1)).ravel().astype(int) - 1
    found = read_mat(truth)
    cube, mask, notes = _checked_cube(_unfold(raw, 100, 100) / scale, image)
    return Scene(
        name="Jasper Ridge",
        cube=cube,
        wavelengths=aviris_wavelengths()[bands],
        endmembers=np.ascontiguousarray(_truth(found, "M", truth, (198, 4)).T),
        abundances=np.ascontiguousarray(_unfold(_truth(found, "A", truth, (4, 10000)), 100, 100)),
        mask=mask,
        citation="Jasper Ridge (AVIRIS, NASA/JPL); annotated by F. Zhu (arXiv:1403.4682); distributed by the RSLab.",
        endmember_names=("tree", "water", "dirt", "road"),
        notes=(*notes, "wavelengths are nominal, those of the instrument"),
    )


def load_cardiac(*, download: bool = True, check_sha256: bool = True) -> Scene:
    """A beating heart: 13 frames of 240 x 272 pixels, the data of Schmitz et al. (2018), section 5.2.

    ``cube[..., k]`` is frame k in grey levels 0-255, whole slices of the thorax. As histograms for a dictionary:
    ``normalize(np.moveaxis(cube, -1, 0).reshape(13, -1))``, with ``GridCost((240, 272))``.

    Parameters
    ----------
    download, check_sha256 : bool
        As for :func:`load_salinas_a`, and so are the errors raised.

    Returns
    -------
    Scene
    """
    from PIL import Image, UnidentifiedImageError

    frames = []
    for path in _paths("cardiac", download, check_sha256):
        try:
            with Image.open(path) as image:
                frame = np.asarray(image)
        except (UnidentifiedImageError, OSError, SyntaxError) as error:  # what Pillow raises on broken PNG files
            raise ValueError(f"{path} cannot be read as an image ({error}). Fetch it again.") from error
        if frame.shape != (240, 272):
            raise ValueError(f"{path} has shape {frame.shape}, expected (240, 272) in grey. It is another file.")
        frames.append(frame)
    return Scene(
        name="beating heart",
        cube=np.stack(frames, axis=-1).astype(np.float64),
        citation="Schmitz et al. (2018), SIAM J. Imaging Sciences 11(1), 5.2; frames from the authors' repository.",
        units="grey levels, 0-255",
        notes=("the last axis is time, in frames of one heart beat, not wavelength",),
    )


def load_dc1(
    *,
    snr_db: float | None = 30.0,
    random_state: int | np.random.Generator = 0,
    download: bool = True,
    check_sha256: bool = True,
) -> Scene:
    """DC1 of ID-Net (section V): anorthite, jarosite and alunite, mixed by Fan's model.

    50 x 50 pixels, 224 bands. The endmembers are very probably the paper's own: of the USGS library of 1995, sorted by
    wavelength and thinned to spectra at least 4.44 degrees apart, they are the ones its public recipe picks. The noise
    is drawn here. Where the two files are not to be had, :func:`make_bilinear_scene` makes a scene of the same kind.

    Parameters
    ----------
    snr_db : float or None, dB
        As for :func:`make_bilinear_scene`.
    random_state : int or numpy.random.Generator
    download, check_sha256 : bool
        As for :func:`load_salinas_a`.

    Returns
    -------
    Scene
    """
    library, maps = _paths("dc1", download, check_sha256)
    content = read_mat(library)
    table = _truth(content, "datalib", library, (224, 501))
    names = [bytes(row).decode("latin-1").strip() for row in variable(content, "names", library, (501, 29))]
    columns = [_library_column(names, wanted, library) for wanted in _DC1_SPECTRA]
    order = np.argsort(table[:, 0], kind="stable")
    _check_reflectance(table[:, columns].T, "datalib", library)
    abundances = _truth(read_mat(maps), "A_cube", maps, (50, 50, 3))
    off = max(float(np.abs(abundances.sum(axis=-1) - 1.0).max()), -float(abundances.min()))
    if off > 1e-3:
        raise ValueError(f"the abundances in {maps} are off the simplex by {off:.3g}. It is another version.")
    scene = make_bilinear_scene(
        table[order][:, columns].T,
        abundances=abundances,
        wavelengths=1000.0 * table[order, 0],
        snr_db=snr_db,
        random_state=random_state,
    )
    return scene._replace(
        name="DC1",
        endmember_names=("anorthite", "jarosite", "alunite"),
        citation="Borsoi, Erdogmus and Imbiriba (2023), ID-Net, DC1; spectra: USGS library of 1995, public domain.",
        notes=("made by the documented recipe; the noise is ours",),
    )


def _library_column(names: list[str], wanted: str, path: Path) -> int:
    found = [k for k, name in enumerate(names) if name.startswith(wanted)]
    if len(found) != 1:
        raise ValueError(f"{path} names {len(found)} spectra {wanted!r}, expected one. It is another version.")
    return found[0]


IDNET_PAGE = "https://doi.org/10.5281/zenodo.8360465"
_IDNET_FILES = {"DC1": "data_ex_nl1.mat", "DC2": "alldata_ex_DC2.mat"}


def idnet_cube_available(name: str) -> bool:
    """True where a published cube of the ID-Net paper lies on this machine.

    Parameters
    ----------
    name : {"DC1", "DC2"}

    Returns
    -------
    bool
    """
    return cubefiles.find(_idnet_file(name)) is not None


def _idnet_file(name: str) -> SceneFile:
    choice("name", name, tuple(_IDNET_FILES))
    return SceneFile("idnet", _IDNET_FILES[name], sha256="", page=IDNET_PAGE)


def load_idnet_cube(name: str) -> Scene:
    """A published cube of Borsoi, Erdogmus and Imbiriba (2023), from a file that you fetch.

    Fetch ``synth_DC1/data_ex_nl1.mat`` or ``synth_DC2/alldata_ex_DC2.mat`` from Zenodo, 10.5281/zenodo.8360465, and
    save it in a folder ``idnet`` under ``WDL_TUTORIAL_DATA`` or the cache. We have not seen these files: the layout is
    that of the paper's public code, every part of it is checked against the others, and ``notes`` has the file's
    sha256.

    Parameters
    ----------
    name : {"DC1", "DC2"}

    Returns
    -------
    Scene
        Of DC2 ``extra["pixel_endmembers"]`` (rows, cols, n_endmembers, n_bands) are the endmembers of each pixel.

    Raises
    ------
    FileNotFoundError
        If the file is not here; the message says where to fetch and to save it.
    ValueError
        If a variable is missing, or pixels, abundances and endmembers do not belong together.
    """
    path = locate(_idnet_file(name), download=False, check_sha256=False)
    content = read_mat(path)
    maps = _truth(content, "A_cube", path, np.shape(content.get("A_cube")))
    if maps.ndim != 3 or np.abs(maps.sum(axis=-1) - 1).max() > 1e-3 or maps.min() < -1e-3:
        raise ValueError(f"'A_cube' in {path} must be (rows, cols, n_endmembers) on the simplex; got {maps.shape}.")
    rows, cols, p = maps.shape
    pixels = _truth(content, "Y", path, np.shape(content.get("Y")))
    if pixels.ndim != 2 or pixels.shape[1] != rows * cols:
        raise ValueError(f"'Y' in {path} must be (n_bands, {rows * cols}); got {pixels.shape}.")
    spectra = _truth(content, "Mth", path, (len(pixels), p) if name == "DC1" else (len(pixels), p, rows * cols))
    mean = spectra if name == "DC1" else _truth(content, "M_avg", path, (len(pixels), p))

    def as_map(columns: np.ndarray) -> np.ndarray:  # pixels down the columns, as MATLAB counts
        return np.moveaxis(columns.reshape(*columns.shape[:-1], cols, rows), (-1, -2), (0, 1))

    cube, own = as_map(pixels), None
    if name == "DC2":
        own = np.swapaxes(as_map(spectra), 2, 3)
    _check_idnet(cube, maps, mean.T if own is None else own, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Scene(
        name=f"{name} (published)",
        cube=np.ascontiguousarray(cube),
        endmembers=np.ascontiguousarray(mean.T),
        abundances=maps,
        citation=f"Borsoi, Erdogmus and Imbiriba (2023), ID-Net, {name}; {IDNET_PAGE}",
        notes=(f"sha256 of {path.name}: {digest}",),
        extra=None if own is None else {"pixel_endmembers": np.ascontiguousarray(own)},
    )


def _check_idnet(cube: np.ndarray, maps: np.ndarray, endmembers: np.ndarray, path: Path) -> None:
    """Refuse a cube that its own abundances and endmembers do not rebuild: 30 dB are 3 % of noise, bilinear light more."""
    linear = (maps[..., None, :] @ endmembers)[..., 0, :]
    pairs = [(i, j) for i in range(maps.shape[-1]) for j in range(i)] if endmembers.ndim == 2 else []
    bounced = sum(maps[..., [i]] * maps[..., [j]] * endmembers[i] * endmembers[j] for i, j in pairs)
    off = float(np.linalg.norm(cube - linear - bounced) / np.linalg.norm(cube))
    if off > 0.1:
        raise ValueError(
            f"the parts of {path} do not belong together: abundances and endmembers rebuild its pixels to {off:.0%} only, "
            "so its axes are in another order than the public code reads."
        )


class Bundles(NamedTuple):
    """Many spectra of each of a few materials."""

    spectra: dict[str, np.ndarray]  # name -> (n_spectra, n_bands) reflectance
    wavelengths: np.ndarray  # (n_bands,) nm
    citation: str


def load_dc2_bundles(*, download: bool = True, check_sha256: bool = True) -> Bundles:
    """The spectra that ID-Net's DC2 draws from: roof, metal, dirt, tree, asphalt of the Urban scene.

    ``make_variable_scene(load_dc2_bundles().spectra)`` makes a scene of the same kind, with our abundance maps and with
    all spectra; the paper's own cube is public: :func:`load_idnet_cube`. The wavelengths of the 162 bands are nominal:
    210 equal steps over 400-2500 nm, without the bands that are commonly dropped (1-4, 76, 87, 101-111, 136-153,
    198-210).

    The 118 roofs differ by 92 % in brightness, and lie .23 rad from their mean in the median. With all of them VCA
    finds neither roof nor metal (.42 and .45 rad off): a scene that defeats it, whatever unmixes after it.

    Parameters
    ----------
    download, check_sha256 : bool
        As for :func:`load_salinas_a`, and so are the errors raised.

    Returns
    -------
    Bundles
    """
    (path,) = _paths("dc2", download, check_sha256)
    content = read_mat(path) | read_mat(path, ["material_names"])
    materials = [str(np.asarray(cell).item()).lower() for cell in variable(content, "material_names", path).ravel()]
    found = {name: variable(content, f"lib{k + 1}", path) for k, name in enumerate(materials)}
    wrong = {name: value.shape for name, value in found.items() if value.ndim != 2 or value.shape[0] != 162}
    missing = [name for name in _DC2_MATERIALS if name not in found]
    if wrong or missing:
        raise ValueError(f"{path} should hold 162 bands of each material; wrong shapes {wrong}, missing {missing}.")
    for name, value in found.items():
        _check_finite(value, name, path)
        _check_reflectance(value.T, name, path)
    dropped = np.r_[0:4, 75, 86, 100:111, 135:153, 197:210]
    return Bundles(
        {name: np.ascontiguousarray(found[name].T, dtype=float) for name in _DC2_MATERIALS},
        np.delete(np.linspace(400.0, 2500.0, 210), dropped),
        "Urban (HYDICE); spectra collected by Borsoi et al., MUA_SparseUnmixing.",
    )


def load_faces(*, inverted: bool = False) -> Frames:
    """100 faces of 25 x 25 pixels, of many people: the subset of LFW that scikit-image carries.

    ``along`` numbers the faces. Nothing is downloaded.

    Parameters
    ----------
    inverted : bool
        Turn dark into bright, so that eyes, brows and mouths are the mass that moves (Schmitz et al. (2018), section
        5.3, whose 20 images are of one person).

    Returns
    -------
    Frames

    Raises
    ------
    ImportError
        scikit-image is not installed; it is in the extra ``book``.
    """
    try:
        from skimage.data import lfw_subset
    except ImportError as error:
        raise ImportError('load_faces needs scikit-image: pip install "wdl-tutorial[book]".') from error
    faces = lfw_subset()[:100]  # what follows in the file is no face
    faces = (1.0 - faces if inverted else faces) + 1e-3
    return Frames(normalize(faces.reshape(100, -1)), faces.shape[1:], np.arange(100.0))
