"""A person labels a scene, one pixel at a time, in the order that LAND asks; every answer is kept in a file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import traitlets

from .. import figures
from .._array import Array
from .._checks import array_of, file_path, integer, texts
from ..datasets import Scene
from .base import text
from .labelling import MASKED, SceneDemo, array, check_rows, map_traits, valid_pixels

FORMAT = "wdl_tutorial labelling session 1"
UNSURE = -1  # the answer "I do not know"


class LabellingSession(SceneDemo):
    """What :func:`label_by_hand` returns: the picture, and the answers so far.

    Parameters
    ----------
    scene : Scene
    land : LAND
    classes : sequence of str
    queries : array of int
        The pixels that are asked for, in order, as flat indices.
    path : Path or None
        The file that keeps the answers.
    **words : str
        ``title``, ``caption`` and ``alt``.

    Attributes
    ----------
    answers : list of int
        One for each question answered: the class, from 0, or -1 for "I do not know".
    queries : array of int
    names : list of str
        The classes.
    """

    _file = "label_by_hand.js"
    queries = traitlets.List(traitlets.Int()).tag(sync=True)
    answers = traitlets.List(traitlets.Int()).tag(sync=True)
    answered = traitlets.Int(-1).tag(sync=True)  # how many answers the map and the spectrum are of
    classes, spectrum, means = array(), array(), array()
    wavelengths = array()
    units, saved_in, problem = text(""), text(""), text("")
    caption = text("Digits pick a class, 0 says that you do not know, Backspace takes the last answer back.")
    alt = text("The next pixel to label on the scene and its spectrum; beside it the map that the labels so far give.")

    def __init__(
        self, scene: Scene, land: Any, *, classes: Sequence[str], queries: np.ndarray, path: Path | None, **words: str
    ):
        self.scene, self.land, self.path = scene, land, path
        self._fingerprint = fingerprint(scene)
        self._pixels = valid_pixels(scene)
        self._rows = np.asarray(queries)
        self._X = scene.pixels()
        mask = np.full(scene.cube.shape[0] * scene.cube.shape[1], MASKED, dtype=np.uint8)
        mask[self._pixels] = 0
        bands = np.arange(self._X.shape[1]) if scene.wavelengths is None else scene.wavelengths
        traits = map_traits(scene) | {"truth": mask.tobytes(), "names": list(classes)}
        traits["colours"] = [figures.label_colour(k) for k in range(len(classes))]
        super().__init__(
            **traits,
            queries=self._pixels[self._rows].tolist(),
            wavelengths=np.asarray(bands, dtype="<f4").tobytes(),
            units=f"{scene.units}|{'band' if scene.wavelengths is None else 'wavelength (nm)'}",
            saved_in="" if path is None else path.name,
            **words,
        )
        self.answers = [] if path is None or not path.exists() else self._resumed(path)
        self._show()

    @property
    def labels(self) -> dict[int, str]:
        """The labels given so far, as ``land.predict`` takes them.

        Returns
        -------
        dict of int to str
            Of rows of ``scene.pixels()`` their classes.
        """
        return {int(row): self.names[c] for row, c in zip(self._rows, self.answers) if c != UNSURE}

    @property
    def prediction(self) -> np.ndarray | None:
        """The class of every valid pixel, from the answers so far.

        Returns
        -------
        array of int, shape (n_valid,), or None
            Classes from 0; None before the first label.
        """
        known = {int(row): c for row, c in zip(self._rows, self.answers) if c != UNSURE}
        return self.land.predict(known) if known else None

    def answer(self, label: str | int | None) -> None:
        """Answer the present question.

        Parameters
        ----------
        label : str, int or None
            The name of a class, its number from 0, or None for "I do not know".

        Raises
        ------
        ValueError
            For an unknown class, or when all questions are answered.
        OSError
            If the file cannot be written; the answer stands.
        """
        if len(self.answers) == len(self.queries):
            raise ValueError(f"all {len(self.queries)} questions are answered. Use a larger budget.")
        self._set([*self.answers, UNSURE if label is None else self._class(label)])

    def undo(self) -> None:
        """Take the last answer back."""
        if not self.answers:
            raise ValueError("there is no answer to take back.")
        self._set(self.answers[:-1])

    def state(self) -> dict[str, Any]:
        """Where the session stands.

        Returns
        -------
        dict
            The question's number, pixel and row, the answers, and how often each class came.
        """
        k = len(self.answers)
        done = k == len(self.queries)
        return {
            "question": k,
            "n_questions": len(self.queries),
            "pixel": None if done else divmod(self.queries[k], self.cols),
            "row": None if done else int(self._rows[k]),
            "answers": [None if c == UNSURE else self.names[c] for c in self.answers],
            "counts": {name: self.answers.count(c) for c, name in enumerate(self.names)},
            "done": done,
        }

    def _class(self, label: str | int) -> int:
        if isinstance(label, str) and label in self.names:
            return self.names.index(label)
        if isinstance(label, int | np.integer) and not isinstance(label, bool) and 0 <= label < len(self.names):
            return int(label)
        raise ValueError(
            f"{label!r} is no class; the classes are {', '.join(self.names)}, or 0 to {len(self.names) - 1}."
        )

    def _set(self, answers: list[int]) -> None:
        self.answers = answers
        if self.problem:
            raise OSError(self.problem)

    @traitlets.validate("answers")
    def _sensible(self, proposal: Any) -> list[int]:
        """What comes from the browser is checked as what comes from Python."""
        answers = proposal["value"]
        if len(answers) > len(self.queries) or not all(UNSURE <= c < len(self.names) for c in answers):
            raise traitlets.TraitError(
                f"answers must be at most {len(self.queries)} numbers from -1 to {len(self.names) - 1}; got {answers}."
            )
        return answers

    @traitlets.observe("answers")
    def _answered(self, change: Any) -> None:
        if self.answered < 0:  # not open yet
            return
        self.problem = ""
        if self.path is not None:
            try:
                write_json(self.path, self._document())
            except OSError as error:
                self.problem = f"the answers could not be saved in {self.path}: {error}. Free the place, then go on."
        self._show()

    def _show(self) -> None:
        """Bring the map, the spectrum and the classes' means up to the answers; one message to the browser."""
        k, prediction = len(self.answers), self.prediction
        given = np.array(self.answers, dtype=int)
        means = np.full((len(self.names), self._X.shape[1]), np.nan, dtype="<f4")
        for c in set(self.answers) - {UNSURE}:
            means[c] = self._X[self._rows[:k][given == c]].mean(0)
        n = len(self._pixels)
        with self.hold_sync():
            self.classes = (np.zeros(n) if prediction is None else prediction + 1).astype(np.uint8).tobytes()
            self.spectrum = b"" if k == len(self.queries) else self._X[self._rows[k]].astype("<f4").tobytes()
            self.means = means.tobytes()
            self.answered = k

    def _document(self) -> dict[str, Any]:
        k = len(self.answers)
        return {
            "format": FORMAT,
            "scene": self._fingerprint,
            "classes": list(self.names),
            "pixels": [list(divmod(pixel, self.cols)) for pixel in self.queries[:k]],
            "answers": self.state()["answers"],
        }

    def _resumed(self, path: Path) -> list[int]:
        """The answers of a file, if they are answers to these questions."""
        kept = read_json(path)
        if kept["scene"] != self._fingerprint:
            here = self._fingerprint
            raise ValueError(
                f"{path} belongs to another scene: {_told(kept['scene'])}, and this is {_told(here)}. "
                "Give another path, or open the scene that was labelled."
            )
        asked = [list(divmod(pixel, self.cols)) for pixel in self.queries[: len(kept["answers"])]]
        if len(kept["answers"]) > len(self.queries):
            raise ValueError(
                f"{path} holds {len(kept['answers'])} answers, more than the budget of {len(self.queries)}. Raise budget."
            )
        if kept["pixels"] != asked:
            k = next(k for k, (there, here) in enumerate(zip(kept["pixels"], asked)) if there != here)
            raise ValueError(
                f"{path} answers other questions: its number {k + 1} is pixel {kept['pixels'][k]}, now it is {asked[k]}. "
                "Fit LAND with the settings and features of then, or give another path."
            )
        foreign = sorted({name for name in kept["answers"] if name is not None} - set(self.names))
        if foreign:
            raise ValueError(
                f"{path} holds the class {', '.join(foreign)}, which is not among {', '.join(self.names)}. "
                "Add it to classes, or give another path."
            )
        return [UNSURE if name is None else self.names.index(name) for name in kept["answers"]]


def label_by_hand(
    scene: Scene,
    land: Any,
    *,
    classes: Sequence[str] | None = None,
    path: str | os.PathLike | None = None,
    budget: int = 100,
    candidates: Array | None = None,
) -> LabellingSession:
    """Label a scene yourself: LAND asks for one pixel after the other, and the map fills in.

    The widget shows the pixel on the scene, its spectrum, the mean spectrum of each class so far, and the map of
    ``land.predict``. Keys 1 to 9 pick a class, 0 says that you do not know, Backspace takes the last answer back. It
    needs a kernel. Without a browser, ``answer``, ``undo`` and ``state`` of the result do the same.

    Parameters
    ----------
    scene : Scene
        Its own labels are not shown and not used.
    land : LAND
        Fitted to ``scene.pixels()``, or to other features of the same pixels.
    classes : sequence of str, optional
        Names to choose from; those of ``scene.label_names``, without the code 0, if not given.
    path : str or path, optional
        A small JSON file, written after every answer. Where it exists the session goes on from there.
    budget : int
        How many questions at most.
    candidates : array of int or of bool, optional
        Rows of ``scene.pixels()`` that may be asked for, as indices or a mask; None for all.

    Returns
    -------
    LabellingSession

    Raises
    ------
    ValueError
        If LAND was fitted to other pixels, there are fewer than two classes, or the file at ``path`` is damaged or
        belongs to another scene, other questions or other classes.

    Examples
    --------
    >>> from wdl_tutorial import LAND, datasets
    >>> scene = datasets.make_teaching_scene()
    >>> session = label_by_hand(scene, LAND().fit(scene.pixels()), classes=["field", "water"])
    >>> session.answer("water")
    >>> session.state()["counts"]
    {'field': 0, 'water': 1}
    """
    rows = np.arange(check_rows(scene, land))
    if candidates is not None:
        candidates = array_of("candidates", candidates)
        if candidates.dtype.kind not in "biu" or (candidates.dtype == bool and candidates.shape != rows.shape):
            raise ValueError(
                f"candidates must be rows of scene.pixels(), or one bool for each of {rows.size}; got {candidates.dtype}, "
                f"shape {candidates.shape}."
            )
        land.query(1, candidates)  # says which is none of them
        rows = rows[candidates]
    if classes is None:
        classes = [name for code, name in (scene.label_names or {}).items() if code != 0]
    classes = texts("classes", classes)
    if not 2 <= len(classes) <= 250 or len(set(classes)) < len(classes):
        raise ValueError(f"classes must be 2 to 250 different names; got {classes}.")
    n_questions = len(np.unique(rows if land.nodes_ is None else land.node_of_row_[rows]))
    queries = land.query(min(integer("budget", budget), n_questions), candidates)
    path = None if path is None else file_path("path", path)
    return LabellingSession(scene, land, classes=classes, queries=queries, path=path)


# ------------------------------------------------------------------------------------------------ the file


def fingerprint(scene: Scene) -> dict[str, Any]:
    """What tells one scene from another: its shape, and the SHA-256 of its numbers."""
    cube = np.ascontiguousarray(scene.cube, dtype="<f8")
    return {"name": scene.name, "shape": list(cube.shape), "sha256": hashlib.sha256(cube.tobytes()).hexdigest()}


def _told(scene: dict[str, Any]) -> str:
    return f"'{scene['name']}' of shape {scene['shape']} (sha256 {scene['sha256'][:8]}...)"


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write the whole file or leave the old one: a new file is moved into its place."""
    part = path.with_name(f".{path.name}.part")
    with open(part, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def read_json(path: Path) -> dict[str, Any]:
    """The document of a session, with every part that it should have."""
    advice = "Move the file away, or give another path."
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are
        raise ValueError(f"{path} is damaged: {error}. {advice}") from error
    if not isinstance(kept, dict) or kept.get("format") != FORMAT:
        raise ValueError(f"{path} is not a labelling session of this version ('{FORMAT}'). {advice}")
    scene, pixels, answers = kept.get("scene"), kept.get("pixels"), kept.get("answers")
    whole_scene = isinstance(scene, dict) and isinstance(scene.get("sha256"), str) and {"name", "shape"} <= set(scene)
    lists = isinstance(pixels, list) and isinstance(answers, list) and len(pixels) == len(answers)
    if not (whole_scene and lists and all(name is None or isinstance(name, str) for name in answers)):
        raise ValueError(f"{path} is damaged: its scene, pixels or answers are not what a session writes. {advice}")
    return kept
