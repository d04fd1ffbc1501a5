"""How many atoms, and how much locality: what predicts pixels that were left out, and when nothing tells."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ._checks import finite, generator_of, integer, number
from .histograms import normalize
from .iterate import progress, ticked
from .presets import wahu
from .scenes import Scene, as_scene, valid_pixels
from .unmixing import _lifted, _positions


class Selection(NamedTuple):
    """What :func:`select` advises, and the curve it rests on."""

    n_atoms: int
    locality: float
    verdict: str  # "chosen" or "cannot tell"
    reason: str
    tried: tuple[tuple[int, ...], tuple[float, ...]]  # the numbers of atoms and the localities
    errors: np.ndarray  # (n_atoms, locality) mean misfit of held-out pixels, the share of mass that is misplaced
    spread: np.ndarray  # (n_atoms, locality) its standard error

    def __repr__(self) -> str:
        """The answer, the reason, and the curve as a table."""
        atoms, localities = self.tried
        head = "atoms  " + "".join(f"{f'locality {value:g}':>20s}" for value in localities)
        rows = [
            f"{n:5d}  " + "".join(f"{f'{e:.4f} +- {s:.4f}':>20s}" for e, s in zip(self.errors[k], self.spread[k]))
            for k, n in enumerate(atoms)
        ]
        told = f"{self.n_atoms} atoms, locality {self.locality:g}"
        first = told if self.verdict == "chosen" else f"cannot tell ({told} is the most frugal)"
        return "\n".join([f"{first}: {self.reason}", head, *rows])

    def plot(self, ax: Any = None) -> Any:
        """Draw the misfit of held-out pixels over the number of atoms; the choice is ringed.

        Parameters
        ----------
        ax : matplotlib axes, optional

        Returns
        -------
        matplotlib axes
        """
        import matplotlib.pyplot as plt

        from .figures import series_style

        ax = plt.subplots(figsize=(5, 3.2), layout="constrained")[1] if ax is None else ax
        atoms, localities = self.tried
        for j, value in enumerate(localities):
            ax.errorbar(atoms, self.errors[:, j], self.spread[:, j], label=f"locality {value:g}", **series_style(j))
        at = self.errors[atoms.index(self.n_atoms), localities.index(self.locality)]
        ax.plot(self.n_atoms, at, "o", ms=14, mfc="none", mec="black")
        ax.set(xlabel="atoms", ylabel="misplaced share of held-out pixels", xticks=atoms, ylim=(0, None))
        ax.legend(frameon=False, fontsize=8)
        return ax


def select(
    scene: Scene | np.ndarray,
    *,
    n_atoms: Sequence[int] = (2, 3, 4, 5, 6),
    locality: Sequence[float] = (0.0, 0.01, 0.1),
    n_training: int = 100,
    n_held_out: int = 100,
    n_splits: int = 3,
    worth: float = 0.05,
    random_state: int = 0,
    verbose: bool | None = None,
    **options: Any,
) -> Selection:
    """How many atoms should WaHU learn, and how local should their weights be?

    For every pair of the two lists a dictionary is fitted to some pixels, as ``unmix(scene, "wahu")`` does, and other
    pixels, none of them a copy of one of these, are unmixed with it. Their misfit is the share of a pixel's light that
    is misplaced, half the L1 distance of the histograms. Chosen is the smallest number of atoms from which no larger
    one, at its best locality, lowers the misfit by more than ``worth`` of itself and by more than two standard errors
    (over pixels and splits, of paired differences); then the largest locality that costs no more than that.

    It cannot tell where the largest number that was tried is still worth it (try more), or where no number of atoms is
    better than the fewest (one atom is a number to try, too). Misfit alone is no proof: a dictionary that predicts well
    may still hold no material, see :func:`wdl_tutorial.mixing_test`.

    Parameters
    ----------
    scene : Scene, or array, shape (rows, cols, n_bands)
    n_atoms : sequence of int
        The numbers that are tried.
    locality : sequence of float
        The localities that are tried, each in units of the loss.
    n_training, n_held_out : int
        Pixels that are learned from and predicted, in each split. A fit of 4 atoms to 100 pixels in 187 bands takes
        about 4 s.
    n_splits : int
        Random splits, from 2 on.
    worth : float, in (0, 1)
        What an atom more has to gain, as a share of the misfit.
    random_state : int
    verbose : bool, optional
        Show a bar. Not given: in a terminal or a notebook, for what takes more than a few seconds.
    **options : any
        Of :func:`wdl_tutorial.wahu`: ``setting``, ``blur``, ``recommended``, ``max_iter``, ...

    Returns
    -------
    Selection

    Raises
    ------
    ValueError
        If there are fewer pixels than ``n_training`` needs, or a list holds nothing, or what no dictionary takes.

    Examples
    --------
    >>> rng, x = np.random.default_rng(0), np.arange(30)
    >>> centres = rng.uniform(8, 22, (8, 8, 1))
    >>> cube = np.exp(-0.5 * ((x - centres) / 2) ** 2)  # one bump that moves
    >>> quick = {"setting": "synthetic", "recommended": True, "n_training": 10, "n_held_out": 10, "n_splits": 2}
    >>> found = select(cube, n_atoms=(1, 2), locality=(0.0,), **quick)
    >>> found.n_atoms, found.verdict  # two are worth it; three may be
    (2, 'cannot tell')
    """
    atoms = tuple(sorted({integer("n_atoms", n) for n in _listed("n_atoms", n_atoms)}))
    localities = tuple(sorted({number("locality", v, least=0) for v in _listed("locality", locality)}))
    n_splits, worth = integer("n_splits", n_splits, least=2), number("worth", worth, above=0, below=1)
    sizes = integer("n_training", n_training, least=max(atoms)), integer("n_held_out", n_held_out, least=2)
    scene, rng = as_scene(scene), generator_of(random_state)
    p, sizes = _histograms(scene, sizes, max(atoms), rng)
    errors = np.empty((len(atoms), len(localities), n_splits, sizes[1]))
    plan = list(itertools.product(range(n_splits), range(len(atoms)), range(len(localities))))
    orders, seeds = [rng.permutation(len(p)) for _ in range(n_splits)], rng.integers(2**31, size=n_splits)
    with progress(len(plan), "select", "fit", shown=verbose) as bar:
        for s, i, j in ticked(plan, bar):
            learn, held = orders[s][: sizes[0]], orders[s][sizes[0] : sum(sizes)]
            changes = {"n_atoms": atoms[i], "locality": localities[j], "random_state": int(seeds[s])}
            model = wahu(_positions(scene), **(options | changes)).fit(p[np.sort(learn)])
            rebuilt = model.inverse_transform(model.transform(p[held]))
            errors[i, j, s] = 0.5 * np.abs(rebuilt - p[held]).sum(axis=1)
    return _chosen(errors, atoms, localities, worth)


def _listed(name: str, values: Any) -> list[Any]:
    listed = list(values) if np.iterable(values) and not isinstance(values, str) else [values]
    if not listed:
        raise ValueError(f"{name} must list one value at least to try; got {values!r}.")
    return listed


def _histograms(
    scene: Scene, sizes: tuple[int, int], most: int, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[int, int]]:
    """Some pixels as histograms, none of them twice, and how many of them to learn from and to predict."""
    valid = np.flatnonzero(valid_pixels(scene))
    some = np.sort(rng.permutation(valid)[: 20 * sum(sizes)])
    x = np.asarray(np.asarray(scene.cube).reshape(-1, scene.cube.shape[2])[some], dtype=float)
    light, _ = _lifted(finite("scene", x, advice="Mask those pixels, or drop the bad bands."))
    p = normalize(np.unique(light[light.any(axis=1)], axis=0))
    if len(p) >= sum(sizes):
        return p, sizes
    learn = max(most, len(p) * sizes[0] // sum(sizes))
    if len(p) - learn < 2:
        raise ValueError(
            f"scene has {len(p)} pixels that differ; n_atoms={most} needs {most} to learn from, and 2 more to predict."
        )
    return p, (learn, len(p) - learn)


def _chosen(errors: np.ndarray, atoms: tuple[int, ...], localities: tuple[float, ...], worth: float) -> Selection:
    """The most frugal entry that no other one beats by enough, from errors (n_atoms, locality, n_splits, n_held_out)."""
    mean, spread = errors.mean(axis=(2, 3)), _standard_error(errors)
    best = mean.argmin(axis=1)  # the locality of each number of atoms
    curve = errors[np.arange(len(atoms)), best]  # (n_atoms, n_splits, n_held_out)

    def beats(k: int, i: int) -> bool:
        gain = curve[i] - curve[k]
        return bool(gain.mean() > max(worth * curve[i].mean(), 2 * _standard_error(gain)))

    i = next(i for i in range(len(atoms)) if not any(beats(k, i) for k in range(i + 1, len(atoms))))
    costs = [errors[i, j] - curve[i] for j in range(len(localities))]
    free = [c.mean() <= max(worth * curve[i].mean(), 2 * _standard_error(c)) for c in costs]
    j = max(j for j in range(len(localities)) if free[j])
    if len(atoms) > 1 and i == len(atoms) - 1:
        verdict = "cannot tell"
        reason = f"{atoms[i]} atoms, the most that were tried, are still worth it. Try more."
    elif len(atoms) > 1 and i == 0:
        verdict = "cannot tell"
        reason = f"no more atoms predict better than {atoms[0]}, the fewest that were tried. Try fewer, or more pixels."
    else:
        verdict = "chosen"
        reason = f"more atoms lower the misfit of held-out pixels by less than {worth:.0%}, or by chance."
    return Selection(atoms[i], localities[j], verdict, reason, (atoms, localities), mean, spread)


def _standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean over splits and pixels, the last two axes: what pixels scatter, and what splits do beyond that."""
    n_splits, n = values.shape[-2:]
    pixels = values.var(axis=(-2, -1), ddof=1) / (n_splits * n)
    splits = values.mean(axis=-1).var(axis=-1, ddof=1) / n_splits
    return np.sqrt(np.maximum(pixels, splits))
