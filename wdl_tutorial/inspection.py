"""Look before you unmix: what is wrong with a cube, each finding with what to do, and the mending done in the open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ._checks import finite, generator_of, integer, squarable
from .scenes import Scene, as_scene, check_maps, slabs_of, valid_pixels

WATER = ((1340.0, 1450.0), (1790.0, 1960.0), (2480.0, 2600.0))  # nm, where water vapour takes the light
SOME = 20_000  # pixels from which noise and neighbours are estimated


class Seen(NamedTuple):
    """One thing that was found in a cube."""

    name: str  # "fill", "dead bands", ...
    words: str  # what was seen, with its number, and what to do
    bands: np.ndarray | None = None  # 0-based, where bands are concerned
    pixels: np.ndarray | None = None  # (rows, cols) bool, where pixels are
    mend: str | None = None  # what :meth:`Inspection.mend` does about it: "drop", "mask", "level"; None: nothing
    offsets: np.ndarray | None = (
        None  # (n_bands, cols) how far columns lie from their neighbours, where they are striped
    )


class Inspection(NamedTuple):
    """What :func:`inspect_cube` found; prints as a page."""

    scene: Scene
    findings: tuple[Seen, ...]
    noise: np.ndarray  # (n_bands,) standard deviation of the noise, in the units of the cube
    snr: np.ndarray  # (n_bands,) mean over noise

    def __getitem__(self, name: Any) -> Any:
        """The finding of that name, as well as the field of that number."""
        if isinstance(name, str):
            return next(found for found in self.findings if found.name == name)
        return tuple.__getitem__(self, name)

    def __contains__(self, name: object) -> bool:
        return any(found.name == name for found in self.findings)

    def __repr__(self) -> str:
        """The scene in a line, its noise in another, and a line for each finding."""
        rows, cols, bands = self.scene.cube.shape
        lines = [f"{self.scene.name}: {rows} x {cols} pixels, {bands} bands, {self.scene.units}"]
        lines.append(
            f"  noise about {np.median(self.noise):.2g}, mean over noise from {self.snr.min():.3g} to {self.snr.max():.3g}"
        )
        lines += [f"  {found.name}: {found.words}" for found in self.findings] or ["  nothing was found"]
        return "\n".join(lines)

    def mend(self, names: str | Sequence[str] | None = None) -> Scene:
        """The scene without what was found: bands dropped, pixels masked, stripes levelled, told in its notes.

        Parameters
        ----------
        names : str or sequence of str, optional
            The findings to mend; all that can be if not given.

        Returns
        -------
        Scene

        Raises
        ------
        ValueError
            If nothing of that name was found, or it is nothing that can be mended.
        """
        wanted = [names] if isinstance(names, str) else names
        chosen = [f for f in self.findings if f.mend and (wanted is None or f.name in wanted)]
        missing = set(wanted or ()) - {f.name for f in chosen}
        if missing:
            able = [f.name for f in self.findings if f.mend]
            raise ValueError(f"{sorted(missing)} was not found, or cannot be mended; what can be: {able or 'nothing'}.")
        return _mended(self.scene, chosen)

    def plot(self, ax: Any = None) -> Any:
        """Draw the mean over noise of each band, and mark the bands that were found fault with.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Of a new figure if not given.

        Returns
        -------
        matplotlib Axes
        """
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(7, 3))[1] if ax is None else ax
        x = np.arange(len(self.snr)) if self.scene.wavelengths is None else self.scene.wavelengths
        ax.plot(x, self.snr, color="#0072B2", linewidth=1.2)
        for marker, found in zip("osD^vP", (f for f in self.findings if f.bands is not None)):
            ax.plot(x[found.bands], self.snr[found.bands], marker, label=found.name, markersize=5, color="#D55E00")
        ax.set(xlabel="band" if self.scene.wavelengths is None else "wavelength (nm)", ylabel="mean over noise")
        ax.set_ylim(bottom=0)
        if any(f.bands is not None for f in self.findings):
            ax.legend(frameon=False, fontsize=8)
        return ax


def inspect_cube(scene: Scene | np.ndarray) -> Inspection:
    """What is wrong with this cube? Each finding with its number and what to do; nothing is changed.

    Looked for: counts in the place of reflectance; fill that is not masked; pixels of zeros; missing values; negative
    and saturated values; dead bands, and bands of noise alone; striped columns; pixels that are copies of others; a
    border without data; bands inside the gaps of water vapour; gaps in the wavelengths; steps between detectors; bands
    with little signal; and coarse steps of the values.

    Parameters
    ----------
    scene : Scene or array, shape (rows, cols, n_bands)

    Returns
    -------
    Inspection
        ``inspection.mend()`` gives the scene without what can be mended.

    Raises
    ------
    ValueError
        If there are no three axes, or no valid pixel.

    Examples
    --------
    >>> from wdl_tutorial.datasets import make_teaching_scene
    >>> found = inspect_cube(make_teaching_scene())
    >>> [f.name for f in found.findings if f.bands is not None and f.name != "wavelength gaps"]
    ['broken bands']
    >>> found["broken bands"].bands
    array([75])
    """
    scene = as_scene(scene)
    check_maps(scene)
    valid = valid_pixels(scene).reshape(scene.cube.shape[:2])
    if not valid.any():
        raise ValueError(f"the scene has no valid pixel: all {valid.size} entries of its mask are False.")
    facts = _counted(scene, valid)
    sound = valid & ~facts["holed"] & ~facts["fill"] & ~facts["black"]
    if not sound.any():
        raise ValueError(
            "scene: no valid pixel holds numbers that vary from band to band: it is all fill, zeros or missing."
        )
    squarable("scene", np.maximum(np.abs(facts["top"]), np.abs(facts["bottom"])))
    noise, mean, likeness = _noise_of(scene, sound)
    findings = [
        _is_reflectance(scene, facts),
        *_pixels_found(facts),
        *_values_found(scene, facts),
        *_bands_found(scene, facts, noise, mean, likeness),
        _striped(scene, sound, noise),
        _copies(scene, sound),
        *_axis_found(scene, sound),
    ]
    snr = np.divide(mean, noise, out=np.full(noise.shape, 1e6), where=noise > 0)
    return Inspection(
        scene, tuple(found for found in findings if found is not None), noise, np.minimum(np.abs(snr), 1e6)
    )


# ---------------------------------------------------------------------------------------------- counting


def _counted(scene: Scene, valid: np.ndarray) -> dict[str, Any]:
    """Counts by pixel and by band, slab by slab."""
    shape, bands = scene.cube.shape[:2], scene.cube.shape[2]
    facts: dict[str, Any] = {key: np.zeros(shape, dtype=bool) for key in ("holed", "fill", "black", "negative")}
    facts |= {key: np.zeros(bands, dtype=np.int64) for key in ("low", "zero", "least", "most")}
    top, bottom, n = np.full(bands, -np.inf), np.full(bands, np.inf), 0
    facts["values"] = {}
    for rows in slabs_of(scene.cube):
        part = np.asarray(scene.cube[rows], dtype=float)
        here = valid[rows]
        finite = np.isfinite(part)
        facts["holed"][rows] = here & ~finite.all(axis=-1)
        flat = here & (part == part[..., :1]).all(axis=-1) & (bands > 2)
        facts["black"][rows] = here & finite.all(axis=-1) & ~np.where(finite, part, 1.0).any(axis=-1)
        facts["fill"][rows] = flat & ~facts["black"][rows]
        for value, count in zip(*np.unique(part[facts["fill"][rows]][:, 0], return_counts=True)):
            facts["values"][float(value)] = facts["values"].get(float(value), 0) + int(count)
        good = part[here & ~facts["holed"][rows] & ~facts["fill"][rows] & ~facts["black"][rows]]
        n += len(good)
        if not len(good):
            continue
        facts["negative"][rows] = here & (np.where(finite, part, 0.0) < 0).any(axis=-1)
        facts["low"] += (good < 0).sum(axis=0)
        facts["zero"] += (good == 0).sum(axis=0)
        top, bottom = np.maximum(top, good.max(axis=0)), np.minimum(bottom, good.min(axis=0))
    facts |= {"top": top, "bottom": bottom, "n": n, "valid": valid}
    return facts


def _noise_of(scene: Scene, sound: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise and mean of each band, and how much each is like its neighbours, from some of the pixels."""
    from .trust import band_noise

    flat = scene.cube.reshape(-1, scene.cube.shape[2])
    chosen = np.flatnonzero(sound)
    chosen = np.sort(np.random.default_rng(0).permutation(chosen)[:SOME])
    x = np.asarray(flat[chosen], dtype=float)
    varies = x.std(axis=0) > 0
    noise = np.zeros(x.shape[1])
    if varies.sum() > 2:
        noise[varies] = band_noise(x[:, varies])
    centred = (x - x.mean(axis=0)) / np.where(varies, x.std(axis=0), 1.0)
    beside = np.abs((centred[:, 1:] * centred[:, :-1]).mean(axis=0)) if x.shape[1] > 1 else np.zeros(0)
    likeness = np.maximum(np.r_[0.0, beside], np.r_[beside, 0.0]) if x.shape[1] > 1 else np.ones(1)
    return noise, x.mean(axis=0), likeness


# ---------------------------------------------------------------------------------------------- findings


def _is_reflectance(scene: Scene, facts: dict[str, Any]) -> Seen | None:
    high = float(np.median(facts["top"]))
    if high > 1.5 and scene.units == "reflectance":
        factor = "100" if high < 150 else "1e4, or what its header says"
        return Seen(
            "counts", f"values reach {high:.4g}, so they are no reflectance: divide them by their scale ({factor})."
        )
    if scene.units != "reflectance" and high > 1.5:
        return Seen(
            "counts", f"values reach {high:.4g} ({scene.units}): give scale=... before comparing with a library."
        )
    return None


def _pixels_found(facts: dict[str, Any]) -> list[Seen | None]:
    found: list[Seen | None] = []
    told = ", ".join(f"{value:g} ({n} pixels)" for value, n in sorted(facts["values"].items(), key=lambda i: -i[1])[:3])
    for key, name, words in (
        ("fill", "fill", f"one value in every band: {told}. Mask them."),
        ("black", "zeros", "pixels of zeros. Mask them."),
        ("holed", "missing values", "pixels with NaN or infinite values. Mask them, or drop their bands."),
    ):
        n = int(facts[key].sum())
        if n:
            found.append(Seen(name, f"{n} {words}" if key != "fill" else words, pixels=facts[key], mend="mask"))
    border = ~facts["valid"]
    if border.any():
        found.append(Seen("no data", f"{border.mean():.1%} of the pixels are masked already.", pixels=border))
    return found


def _values_found(scene: Scene, facts: dict[str, Any]) -> list[Seen | None]:
    found: list[Seen | None] = []
    low, n = int(facts["low"].sum()), facts["n"] * len(facts["low"])
    if low:
        bands = np.flatnonzero(facts["low"])
        found.append(
            Seen(
                "negative values",
                f"{low} ({low / n:.2g} of all) in {bands.size} bands: noise where they are few and small, an overdone "
                "atmospheric correction where they are many. Keep them for least squares; histograms lift the scene.",
                pixels=facts["negative"],
            )
        )
    found.append(_saturated(scene, facts))
    return found


def _saturated(scene: Scene, facts: dict[str, Any]) -> Seen | None:
    """The highest value of all, held many times over, in several bands of a pixel: the sensor had no higher one."""
    ceiling = float(facts["top"].max())
    hit = np.zeros(scene.cube.shape[:2], dtype=bool)
    for rows in slabs_of(scene.cube):
        at_top = np.asarray(scene.cube[rows]) == ceiling
        hit[rows] = (at_top.sum(axis=-1) >= 2) & facts["valid"][rows] & ~facts["fill"][rows]
    if ceiling <= 0 or not hit.any():
        return None
    words = f"{int(hit.sum())} pixels hold the highest value, {ceiling:g}, in two bands or more: cut off. Mask them."
    return Seen("saturated", words, pixels=hit, mend="mask")


def _bands_found(
    scene: Scene, facts: dict[str, Any], noise: np.ndarray, mean: np.ndarray, likeness: np.ndarray
) -> list[Seen | None]:
    dead = facts["top"] == facts["bottom"]
    found: list[Seen | None] = [_bands("dead bands", dead, "hold one value in every pixel. Drop them.", scene, "drop")]
    usual = float(np.median(likeness[~dead])) if (~dead).any() else 0.0
    broken = ~dead & (likeness < 0.4) & (usual > 0.7)
    found.append(_bands("broken bands", broken, "are unlike both their neighbours: noise. Drop them.", scene, "drop"))
    weak = ~dead & ~broken & (np.abs(mean) < 3 * noise)
    found.append(_bands("weak bands", weak, "have a mean below three times their noise. Drop them.", scene, "drop"))
    if scene.wavelengths is not None:
        nm = np.asarray(scene.wavelengths)
        inside = np.any([(nm > low) & (nm < high) for low, high in WATER[:2]], axis=0)
        inside &= ~dead & ~broken & ~weak & (np.abs(mean) < 15 * noise)
        words = "lie where water vapour takes the light, and are noisy. Drop them."
        found.append(_bands("water bands", inside, words, scene, "drop"))
    if scene.cube.dtype.kind in "iu":
        levels = facts["top"] - facts["bottom"] + 1
        coarse = ~dead & (levels < 32)
        found.append(_bands("coarse bands", coarse, "hold fewer than 32 steps of their values.", scene, None))
    return found


def _bands(name: str, which: np.ndarray, words: str, scene: Scene, mend: str | None) -> Seen | None:
    places = np.flatnonzero(which)
    if not places.size:
        return None
    where = f"0-based: {_runs(places)}"
    if scene.wavelengths is not None:
        nm = scene.wavelengths[places]
        where += f"; {nm[0]:g} nm" if places.size == 1 else f"; {nm[0]:g} to {nm[-1]:g} nm"
    return Seen(name, f"{places.size} of them ({where}) {words}", bands=places, mend=mend)


def _runs(places: np.ndarray) -> str:
    """Numbers as ranges: 3, 7-9."""
    groups = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    told = [f"{g[0]}-{g[-1]}" if g.size > 1 else f"{g[0]}" for g in groups]
    return ", ".join(told[:8]) + (", ..." if len(told) > 8 else "")


def _striped(scene: Scene, sound: np.ndarray, noise: np.ndarray) -> Seen | None:
    """Columns that lie apart from their neighbours, by as much in nearly every row: a detector of their own."""
    offsets = np.stack([_stripes(scene, sound, k, noise[k]) for k in range(scene.cube.shape[2])])
    places, columns = (np.flatnonzero(offsets.any(axis=axis)) for axis in (1, 0))
    if not places.size:
        return None
    listed = ", ".join(str(c) for c in columns[:8]) + (", ..." if columns.size > 8 else "")
    words = (
        f"bands {_runs(places)} have columns that lie apart from their neighbours along the image: {listed} (0-based)."
    )
    return Seen("stripes", f"{words} Level them.", bands=places, mend="level", offsets=offsets)


def _stripes(scene: Scene, sound: np.ndarray, k: int, noise: float) -> np.ndarray:
    """How far each column of band ``k`` lies from its neighbours, (n_cols,), where it is a stripe; 0 where it is none.

    A pixel is compared with the middle of the four beside it in its row, which one stripe among them does not move. The
    border of a field is no stripe: its two sides lie apart by as much, in opposite directions, and a column of a border
    is like its own field, or lies between the two, where a stripe lies beyond what is on either side of it.
    """
    rows, cols = scene.cube.shape[:2]
    if cols < 5 or rows < 8 or not noise > 0:
        return np.zeros(cols)
    band = np.where(sound, scene.cube[..., k], np.nan).astype(float)
    inner = np.arange(1, cols - 1)  # a column at the edge has one neighbour, which may be the stripe
    reach = np.where((inner > 1) & (inner < cols - 2), 2, 1)
    four = band[:, [inner - reach, inner - 1, inner + 1, inner + reach]]  # (rows, 4, cols - 2)
    apart = band[:, inner] - 0.5 * (four.sum(axis=1) - four.max(axis=1) - four.min(axis=1))
    full = np.isfinite(apart).sum(axis=0) >= max(8, rows // 2)
    if full.sum() < 3:
        return np.zeros(cols)
    places, apart = inner[full], apart[:, full]
    found = np.nanmedian(apart, axis=0)
    size, usual = np.abs(found), 1.4826 * float(np.median(np.abs(found)))
    count = np.isfinite(apart).sum(axis=0)
    chance = 1.86 * np.nanmedian(np.abs(apart - found), axis=0) / np.sqrt(count)  # standard error of a median
    same = (np.sign(apart) == np.sign(found)).sum(axis=0) / count
    sides = np.stack([four[:, :2].mean(axis=1), four[:, 2:].mean(axis=1)])[..., full]  # (2, rows, places)
    beyond = np.nanmedian((np.sign(found) * (band[:, places] - sides)).min(axis=0), axis=0)
    hit = (size > 6 * usual) & (size > 8 * chance) & (size > noise) & (same > 0.75) & (beyond > 0.25 * size)
    offsets = np.zeros(cols)
    offsets[places] = found
    hit &= size > 1.5 * _largest_beside(-offsets * np.sign(offsets[places])[:, None], places, 1)  # a border
    hit &= size > 0.5 * _largest_beside(np.abs(offsets), places, 2)  # in the shadow of a stripe
    return np.where(np.isin(np.arange(cols), places[hit]), offsets, 0.0)


def _largest_beside(values: np.ndarray, places: np.ndarray, reach: int) -> np.ndarray:
    """The largest of ``values``, (n_cols,) or a row for each place, up to ``reach`` columns beside each place."""
    wide = np.pad(np.broadcast_to(values, (places.size, values.shape[-1])), ((0, 0), (reach, reach)))
    steps = [d for d in range(-reach, reach + 1) if d]
    return np.max([wide[np.arange(places.size), places + reach + d] for d in steps], axis=0)


def _copies(scene: Scene, sound: np.ndarray) -> Seen | None:
    flat = np.ascontiguousarray(scene.cube.reshape(-1, scene.cube.shape[2])[sound.reshape(-1)])
    keys = flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1]))).ravel()
    _, first = np.unique(keys, return_index=True)
    extra = len(flat) - len(first)
    if not extra:
        return None
    words = (
        f"{extra} of {len(flat)} pixels are copies of others to the last bit: a random split into training and test would "
        "leak. Split by place."
    )
    return Seen("duplicates", words)


def _axis_found(scene: Scene, sound: np.ndarray) -> list[Seen | None]:
    if scene.wavelengths is None:
        return [Seen("no wavelengths", "no library can be compared. Give wavelengths=... to load_cube.")]
    nm = np.asarray(scene.wavelengths, dtype=float)
    if nm.size < 4:
        return []
    steps = np.diff(nm)
    usual = np.median(steps)
    gaps = np.flatnonzero(steps > 3 * usual)
    found: list[Seen | None] = []
    if gaps.size:
        told = ", ".join(f"{nm[k]:g} to {nm[k + 1]:g} nm" for k in gaps[:4])
        found.append(
            Seen("wavelength gaps", f"no bands from {told}: transport across a gap pays its length.", bands=gaps)
        )
    found.append(_detector_step(scene, sound, steps, usual))
    return found


def _detector_step(scene: Scene, sound: np.ndarray, steps: np.ndarray, usual: float) -> Seen | None:
    """A jump between two bands, by the same part of the light in nearly all pixels, where spectra are smooth around it."""
    flat = scene.cube.reshape(-1, scene.cube.shape[2])
    chosen = np.sort(np.random.default_rng(0).permutation(np.flatnonzero(sound))[:SOME])
    x = np.asarray(flat[chosen], dtype=float)
    light = np.maximum(np.abs(x).mean(axis=1, keepdims=True), 1e-300)
    jump = np.diff(x, axis=1) / light
    around = 0.5 * (jump[:, :-2] + jump[:, 2:])  # what the slopes on both sides foretell
    extra = jump[:, 1:-1] - around
    middle = np.median(extra, axis=0)
    same = np.mean(np.sign(extra) == np.sign(middle), axis=0)
    level = 1.4826 * np.median(np.abs(middle)) + 1e-12
    even = (steps[1:-1] < 2 * usual) & (steps[:-2] < 2 * usual) & (steps[2:] < 2 * usual)
    beside = np.maximum(np.abs(np.median(jump[:, :-2], axis=0)), np.abs(np.median(jump[:, 2:], axis=0)))
    calm = beside < 0.3 * np.abs(middle)  # a ramp over several bands is no step
    hit = even & calm & (same > 0.98) & (np.abs(middle) > 0.05) & (np.abs(middle) > 8 * level)
    steady = [k for k in (np.flatnonzero(hit) + 1).tolist() if _stays(x / light, k, float(middle[k - 1]))]
    places = np.array(steady, dtype=np.int64)
    if not places.size:
        return None
    nm = scene.wavelengths
    told = ", ".join(f"{nm[k]:g} and {nm[k + 1]:g} nm" for k in places[:3])
    return Seen(
        "detector step",
        f"the spectra jump between {told} in nearly every pixel. Scale one side to the other.",
        bands=places,
    )


def _stays(x: np.ndarray, k: int, jump: float) -> bool:
    """Whether the spectra stay where the jump behind band ``k`` took them: an absorption comes back within some bands."""
    before, after = x[:, max(0, k - 7) : k + 1], x[:, k + 1 : k + 9]
    if before.shape[1] < 3 or after.shape[1] < 3:
        return False
    slope: np.ndarray = np.median(np.diff(before, axis=1), axis=1)
    steps = np.arange(1, after.shape[1] + 1)
    kept = np.median(after - (before[:, -1:] + slope[:, None] * steps), axis=0)
    return bool(np.all(kept / jump > 0.5))


# ---------------------------------------------------------------------------------------------- mending


def _mended(scene: Scene, findings: Sequence[Seen]) -> Scene:
    cube, mask = np.array(scene.cube, dtype=float), valid_pixels(scene).reshape(scene.cube.shape[:2])
    notes, dropped = list(scene.notes), set()
    for found in findings:
        if found.mend == "mask":
            mask = mask & ~found.pixels
            notes.append(f"mended: {int(found.pixels.sum())} pixels of {found.name} are masked")
        elif found.mend == "drop":
            dropped |= set(found.bands.tolist())
            notes.append(f"mended: {found.name} are dropped (0-based: {found.bands.tolist()})")
        elif found.mend == "level":
            for k in found.bands:
                cube[..., k] -= found.offsets[k]
            notes.append(f"mended: the columns of bands {_runs(found.bands)} are levelled")
    cube[~mask] = np.nan
    whole = scene._replace(cube=cube, mask=None if mask.all() else mask, notes=tuple(notes))
    return whole.drop_bands(sorted(dropped))


# ---------------------------------------------------------------------------------------------- how many


class Advice(NamedTuple):
    """How many endmembers to ask for: :func:`advise_n_endmembers`."""

    n_endmembers: int
    least: int
    most: int
    reason: str

    def __repr__(self) -> str:
        """The number, its range, and why."""
        span = "" if self.least == self.most else f", from {self.least} to {self.most}"
        return f"{self.n_endmembers} endmembers{span}: {self.reason}"


def advise_n_endmembers(scene: Scene | np.ndarray, *, most: int = 12, random_state: int = 0) -> Advice:
    """How many endmembers should I ask for? One answer, its range, and the reason.

    The answer is the largest number of corners that VCA finds again with other seeds, as far as none of them is a
    mixture of the others to within the noise, and more directions still predict what was left out. The range ends where
    one of the latter two fails. On the scenes whose truth we have, on 4000 pixels each: Samson 3 (truth 3), Jasper
    Ridge 3 (truth 4, inside its range), DC1 3 (3), the teaching scene 7 (7), six simulated ones of 3 to 5 right, one
    whose endmembers vary 4 (truth 5, inside its range). Counts of directions (HySime: 43 in Samson) are not the answer:
    they also count noise that is alike in several bands, shading, and curved mixing.

    Parameters
    ----------
    scene : Scene or array, shape (rows, cols, n_bands)
    most : int
        The largest number that is tried.
    random_state : int
        Seed of the 4000 pixels that are looked at, and of the directions.

    Returns
    -------
    Advice

    Raises
    ------
    ValueError
        If there are fewer than 20 valid pixels.

    Examples
    --------
    >>> from wdl_tutorial.datasets import make_bilinear_scene
    >>> advise_n_endmembers(make_bilinear_scene(strength=0.0, random_state=0)).n_endmembers
    3
    """
    from . import linear
    from .trust import band_noise, superfluous

    most = integer("most", most, least=1)
    generator_of(random_state)
    scene = as_scene(scene)
    valid = np.flatnonzero(valid_pixels(scene))
    if valid.size < 20:
        raise ValueError(f"scene: {valid.size} valid pixels are too few to count endmembers in; 20 are the least.")
    chosen = np.sort(np.random.default_rng(random_state).permutation(valid)[:4000])
    x = np.asarray(np.asarray(scene.cube).reshape(-1, scene.cube.shape[-1])[chosen], dtype=float)
    squarable("scene", finite("scene", x, advice="Mask those pixels, or drop the bad bands."))
    directions = int(np.linalg.matrix_rank(x, rtol=1e-8))  # a made scene without noise has no more than its endmembers
    if x.shape[1] < 4 or directions < 2:
        raise ValueError(
            f"scene: {x.shape[1]} bands, whose pixels span {directions} directions, leave nothing to count. "
            "At least 4 bands and 2 directions are needed."
        )
    top = max(2, min(most, directions, min(x.shape) // 2))
    options = {"max_endmembers": top, "n_repeats": 5, "random_state": random_state}
    stable = linear.estimate_n_endmembers(x, method="stability", **options).n_endmembers
    predicted = linear.estimate_n_endmembers(x, method="heldout", **options).n_endmembers
    noise, last = band_noise(x), 2
    for n in range(2, top + 1):
        corners = linear.vca(x, n, random_state=random_state, snr_db=0).endmembers
        if superfluous(corners, noise)[0] < 0.8:
            break
        last = n
    end = max(2, min(last, predicted))
    advised = min(stable, end)
    reason = f"VCA finds {stable} corners again with other seeds"
    if end < stable:
        reason += f", but from {end + 1} on one is a mixture of the others, or predicts nothing"
    elif end > stable:
        reason += f"; up to {end} are no mixtures of the others, but which they are hangs on the seed"
    return Advice(advised, advised, end, reason + ".")
