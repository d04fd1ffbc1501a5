"""Labels for a few pixels of a scene: a race against LAND, and a drop of ink on the graph that LAND walks on."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import traitlets

from .. import figures
from .._checks import generator_of, instance, integer
from ..datasets import Scene, make_teaching_scene
from .base import Demo, number, text, toggle

BUDGET = 10  # clicks in a race
MASKED = 255  # the byte of a pixel without a spectrum
MOST = 32_767  # pixels whose parents fit into int16


def array():
    """An array that the browser reads as bytes, little-endian."""
    return traitlets.Bytes().tag(sync=True)


def whole(default: int = 0):
    """A whole number that the browser sees."""
    return traitlets.Int(default, min=0).tag(sync=True)


def names():
    """A list of words that the browser sees."""
    return traitlets.List(traitlets.Unicode()).tag(sync=True)


@functools.cache
def teaching_scene() -> Scene:
    """The teaching scene without its broken band."""
    scene = make_teaching_scene()
    return scene.drop_bands(scene.extra["bad_band"])


@functools.cache
def teaching_land() -> Any:
    """LAND with its own settings, fitted to the teaching scene."""
    from ..diffusion import LAND

    return LAND().fit(teaching_scene().pixels())


def valid_pixels(scene: Scene) -> np.ndarray:
    """The flat indices of the pixels that are rows of ``scene.pixels()``."""
    rows, cols = scene.cube.shape[:2]
    return np.arange(rows * cols) if scene.mask is None else np.flatnonzero(scene.mask)


def classes_of(scene: Scene) -> tuple[np.ndarray, list[str]]:
    """Of each pixel a byte (0: no label, 255: masked, else 1 + the class), and the classes' names.

    The code 0 of a scene stands for pixels that nobody has labelled, as in the public ground truths.
    """
    rows, cols = scene.cube.shape[:2]
    labels = np.zeros(rows * cols, dtype=int) if scene.labels is None else np.asarray(scene.labels).ravel()
    codes = [int(code) for code in np.unique(labels[valid_pixels(scene)]) if code != 0]
    if len(codes) > 250:
        raise ValueError(f"the scene has {len(codes)} labels; a map of classes holds at most 250.")
    coded = np.full(rows * cols, MASKED, dtype=np.uint8)
    coded[valid_pixels(scene)] = 0
    for k, code in enumerate(codes):
        coded[(labels == code) & (coded != MASKED)] = k + 1
    return coded, [str((scene.label_names or {}).get(code, f"class {code}")) for code in codes]


def map_traits(scene: Scene) -> dict[str, Any]:
    """What every map of a scene needs in the browser."""
    truth, words = classes_of(scene)
    picture = np.round(255 * figures.scene_picture(scene)[0]).astype(np.uint8)
    return {
        "rows": scene.cube.shape[0],
        "cols": scene.cube.shape[1],
        "picture": picture.tobytes(),
        "truth": truth.tobytes(),
        "names": words,
        "colours": [figures.label_colour(k) for k in range(len(words))],
    }


def check_rows(scene: Scene, land: Any) -> int:
    """The number of pixels, which must be that of the rows that LAND was fitted to."""
    instance("scene", scene, Scene)
    if not hasattr(land, "order_") or isinstance(land, type):
        raise ValueError("land is not fitted. Use land.fit(scene.pixels()).")
    n, fitted = len(valid_pixels(scene)), len(land.order_) if land.nodes_ is None else len(land.node_of_row_)
    if n != fitted:
        raise ValueError(f"land was fitted to {fitted} points, the scene has {n} pixels. Use land.fit(scene.pixels()).")
    return n


class SceneDemo(Demo):
    """A demo that shows maps of one scene."""

    rows, cols = whole(), whole()
    picture, truth = array(), array()
    names, colours = names(), names()


class LabellingRace(SceneDemo):
    """Chapter 15: ask for the classes of ten pixels, against LAND and against chance; three maps fill in.

    The picture holds: ``clicks``, your pixels as flat indices; ``shown``, how many labels each map uses; ``draw``, the
    random draw that is shown, from 1, at first the one of median accuracy; ``cursor``; ``truth_shown``.

    Parameters
    ----------
    scene : Scene, optional
        With labels; the teaching scene if not given. Pixels with the label 0 count as unlabelled.
    land : LAND, optional
        Fitted to ``scene.pixels()``, or to other features of the same pixels.
    n_draws : int
        How many draws of ten random pixels there are to compare with.
    random_state : int
        Seeds these draws.
    **values : any
        The start of what the picture holds; ``title``, ``caption`` and ``alt``.

    Raises
    ------
    ValueError
        Without labels, with other pixels than LAND's, with ``merge_duplicates``, or with more than 32767 pixels.
    """

    _file = "labelling_race.js"
    parents, coordinates = array(), array()
    dims = whole()
    queries = traitlets.List(traitlets.Int()).tag(sync=True)
    draws = traitlets.List(traitlets.List(traitlets.Int())).tag(sync=True)
    clicks = traitlets.List(traitlets.Int()).tag(sync=True)
    cursor = whole()
    shown = number(0, 0, BUDGET)
    draw = number(1, 1, 1000)
    truth_shown = toggle()
    caption = text("White squares: the pixels whose class was asked for. All three maps use the same number of labels.")
    alt = text(
        "LAND's ten pixels lie in nearly all classes; ten random ones lie in the large classes and miss the small."
    )

    def __init__(
        self, scene: Scene | None = None, land: Any = None, *, n_draws: int = 20, random_state: int = 0, **values: Any
    ):
        if scene is None and land is not None:
            raise ValueError("a land without its scene: pass the scene that it was fitted to as well.")
        if land is None:
            land = teaching_land() if scene is None else _fitted(scene)
        scene = teaching_scene() if scene is None else scene
        n = check_rows(scene, land)
        if land.nodes_ is not None or n > MOST:
            raise ValueError(
                f"the race needs one node per pixel (merge_duplicates=False) and at most {MOST} pixels; got {n}."
            )
        traits = map_traits(scene)
        pixels = valid_pixels(scene)
        candidates = np.flatnonzero(np.frombuffer(traits["truth"], np.uint8)[pixels])
        if len(candidates) < BUDGET:
            raise ValueError(f"the race needs {BUDGET} labelled pixels; the scene has {len(candidates)}.")
        rng = generator_of(random_state)
        n_draws = integer("n_draws", n_draws, most=1000)
        chance = [pixels[rng.choice(candidates, BUDGET, replace=False)].tolist() for _ in range(n_draws)]
        coordinates = _quantised(scaled_coordinates(land))
        self.scene, self.land = scene, land
        values = {"cursor": traits["rows"] // 2 * traits["cols"] + traits["cols"] // 2, **values}
        super().__init__(
            **traits,
            parents=land.parents_.astype("<i2").tobytes(),
            coordinates=coordinates.tobytes(),
            dims=coordinates.shape[1],
            queries=pixels[land.query(BUDGET, candidates)].tolist(),
            draws=chance,
            **values,
        )
        if "draw" not in values:
            self.draw = self.typical_draw()

    def typical_draw(self) -> int:
        """The number of the draw whose accuracy is the median: the first one may be the luckiest.

        Returns
        -------
        int, from 1
        """
        found = [self.accuracy(pixels) for pixels in self.draws]
        return int(np.argsort(found, kind="stable")[(len(found) - 1) // 2]) + 1

    def classes(self, asked: list[int]) -> np.ndarray:
        """The class of each valid pixel, after those of a few are known.

        Parameters
        ----------
        asked : list of int
            Pixels whose class is known, as flat indices.

        Returns
        -------
        array of int, shape (n_valid,)
            From 0.
        """
        truth = np.frombuffer(self.truth, np.uint8)
        row_of = np.full(truth.size, -1)
        row_of[valid_pixels(self.scene)] = np.arange(len(valid_pixels(self.scene)))
        return self.land.predict({int(row_of[k]): int(truth[k]) - 1 for k in asked})

    def accuracy(self, asked: list[int]) -> float:
        """The share of the labelled pixels whose class is right.

        Parameters
        ----------
        asked : list of int
            Pixels whose class is known, as flat indices.

        Returns
        -------
        float
        """
        truth = np.frombuffer(self.truth, np.uint8)[valid_pixels(self.scene)].astype(int) - 1
        return float(np.mean(self.classes(asked)[truth >= 0] == truth[truth >= 0]))


def _fitted(scene: Scene) -> Any:
    from ..diffusion import LAND

    return LAND().fit(scene.pixels())


def scaled_coordinates(land: Any) -> np.ndarray:
    """The rows whose distances are LAND's at its time, on a scale where lambda^t does not underflow."""
    from ..diffusion import diffusion_coordinates

    second = float(np.abs(land.eigenvalues_[1:2]).max(initial=0.0)) or 1.0
    return diffusion_coordinates(land.eigenvalues_ / second, land.eigenvectors_, land.time)


def _quantised(coordinates: np.ndarray) -> np.ndarray:
    """Coordinates as int16 on one scale: their distances to 1e-4 of the largest."""
    centred = coordinates - (coordinates.max(0) + coordinates.min(0)) / 2
    return np.round(centred * (32_000 / (np.abs(centred).max() or 1.0))).astype("<i2")


class InkDrop(SceneDemo):
    """Chapter 15: a drop of ink on one pixel, and where a random walk has carried it.

    Parameters
    ----------
    scene : Scene, optional
        The teaching scene if not given.
    n_neighbors : int
        Edges of each pixel in the graph; of weight 1, made symmetric as ``(W + W^T) / 2``.
    every : int
        Every which row and column of the scene is taken; the graph has to travel to the page.
    start : int, optional
        The pixel of the drop, as a flat index into the thinned image; the one that most others count among their
        neighbours if not given.
    **values : any
        ``time``, steps of the walk, one of 0, 1, 2, 3, 5, 10, ... 3000; ``title``, ``caption`` and ``alt``.

    Raises
    ------
    ValueError
        With more than 32767 pixels, or more than 200000 neighbours in all.
    """

    _file = "ink_drop.js"
    neighbors, cloud = array(), array()
    n_neighbors = whole()
    start = whole()
    time = number(30, 0, 3000)
    caption = text("Ink: the square root of the walk's probability, against the largest. The big square is the drop.")
    alt = text("Ink that drops on one pixel stays among pixels with such a spectrum, wherever they lie on the map.")

    def __init__(
        self,
        scene: Scene | None = None,
        *,
        n_neighbors: int = 20,
        every: int = 2,
        start: int | None = None,
        **values: Any,
    ):
        from ..diffusion import nearest_neighbors
        from ..linear import pca

        n_neighbors = integer("n_neighbors", n_neighbors)
        thin = thinned(teaching_scene() if scene is None else scene, every)
        X, pixels = thin.pixels(), valid_pixels(thin)
        if len(X) > MOST or len(X) * n_neighbors > 200_000:
            raise ValueError(
                f"{len(X)} pixels with {n_neighbors} neighbours are too many for a page "
                f"(at most {MOST}, and 200000 neighbours in all). Raise every, or lower n_neighbors."
            )
        near = nearest_neighbors(X, n_neighbors)
        self.scene = thin
        scores = pca(X, 2).abundances
        super().__init__(
            **map_traits(thin),
            neighbors=near.indices.astype("<i2").tobytes(),
            cloud=_quantised(scores / np.ptp(scores, axis=0)).tobytes(),
            n_neighbors=n_neighbors,
            start=int(pixels[np.bincount(near.indices.ravel()).argmax()]) if start is None else _one_of(pixels, start),
            **values,
        )

    def where(self) -> np.ndarray:
        """Where the walk is after ``time`` steps: a distribution over the valid pixels.

        Returns
        -------
        array, shape (n_valid,)
        """
        from ..diffusion import Neighbors, diffuse, neighbor_graph

        indices = np.frombuffer(self.neighbors, "<i2").reshape(-1, self.n_neighbors).astype(np.int32)
        graph = neighbor_graph(Neighbors(np.ones(indices.shape), indices))
        (row,) = np.flatnonzero(valid_pixels(self.scene) == self.start)
        return diffuse(graph, int(row), int(self.time))


def _one_of(pixels: np.ndarray, start: Any) -> int:
    """A pixel that is not masked."""
    start = integer("start", start, least=0, most=int(pixels[-1]))
    if start not in pixels:
        raise ValueError(f"start must be a pixel that is not masked; got {start}.")
    return start


def thinned(scene: Scene, every: int) -> Scene:
    """Every so many rows and columns of a scene."""
    every = integer("every", every, most=min(instance("scene", scene, Scene).cube.shape[:2]) - 1)
    part = (slice(None, None, every), slice(None, None, every))
    thin = {name: getattr(scene, name)[part] for name in ("cube", "labels", "mask") if getattr(scene, name) is not None}
    return scene._replace(**thin)
