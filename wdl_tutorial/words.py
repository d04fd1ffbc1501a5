"""Books as histograms of words, and a cost between words from what company they keep (Schmitz et al. (2018), 5.4).

The words are the bins: a histogram says how often a book uses each, and the cost between two words is the squared
distance of their vectors. Novels and vectors are read where they are found; excerpts of the same novels come with the
package, and their vectors are computed from the excerpts themselves.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._array import as_float, to_numpy
from ._checks import integer, shown, squarable
from ._checks import text as checked_text
from ._checks import texts as names_of
from .cubefiles import SceneFile, find, locate
from .histograms import normalize

_WORD = re.compile(r"[a-z]+")


class Books(NamedTuple):
    """Books over a common vocabulary."""

    titles: tuple[str, ...]
    authors: tuple[str, ...]
    words: tuple[str, ...]  # the bins
    X: np.ndarray  # (n_books, n_words), each row sums to one
    vectors: np.ndarray  # (n_words, n_dims), one row a word
    source: str


def tokens(text: str) -> list[str]:
    """Lower-case words of plain letters, in the order of the text.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
    """
    return _WORD.findall(checked_text("text", text).lower())


def vocabulary(texts: Sequence[list[str]], n_words: int, *, lengths: tuple[int, int] = (7, 8), among=None) -> list[str]:
    """The most frequent words of some lengths that at least two of the texts use.

    The paper keeps words of seven and eight letters. A word of a single text (a hero's name, as a rule) would sort the
    books by itself. Ties go in alphabetical order.

    Parameters
    ----------
    texts : sequence of list of str
    n_words : int
    lengths : sequence of int, in letters
    among : collection of str, optional
        Only words of this collection.

    Returns
    -------
    list of str
    """
    n_words, texts, (shortest, longest) = integer("n_words", n_words), _listed("texts", texts), _lengths(lengths)
    count, holders = Counter[str](), Counter[str]()
    for text in texts:
        kept = [word for word in text if shortest <= len(word) <= longest and (among is None or word in among)]
        count.update(kept)
        holders.update(set(kept))
    shared = sorted((word for word in count if holders[word] > 1), key=lambda word: (-count[word], word))
    if len(shared) < n_words:
        raise ValueError(
            f"n_words is {shown(n_words)}, but only {len(shared)} words of {shortest} to {longest} letters (lengths) occur "
            "in two of the texts. Ask for fewer."
        )
    return shared[:n_words]


def _listed(name: str, texts: Sequence[list[str]]) -> list[list[str]]:
    """Texts as lists of words."""
    if np.iterable(texts) and not isinstance(texts, str | bytes | dict):
        found = list(texts)
        if all(np.iterable(text) and not isinstance(text, str | bytes | dict) for text in found):
            return [[str(word) for word in text] for text in found]
    raise TypeError(f"{name} must be lists of words, one each, as tokens(text) gives them; got {shown(texts)}.")


def _lengths(lengths: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(lengths, tuple | list) or len(lengths) != 2:
        raise ValueError(f"lengths must be two numbers of letters, the least and the most; got {shown(lengths)}.")
    least = integer("lengths[0]", lengths[0])
    return least, integer("lengths[1]", lengths[1], least=least)


def histograms(texts: Sequence[list[str]], words: Sequence[str]) -> np.ndarray:
    """How often each text uses each word, as shares.

    Parameters
    ----------
    texts : sequence of list of str
    words : sequence of str

    Returns
    -------
    array, shape (n_texts, n_words)
    """
    texts, words = _listed("texts", texts), names_of("words", words)
    place = {word: k for k, word in enumerate(words)}
    counts = np.zeros((len(texts), len(words)))
    for row, text in zip(counts, texts, strict=True):
        for word in text:
            if word in place:
                row[place[word]] += 1
    if not counts.any(axis=1).all():
        raise ValueError(
            f"texts number {int((~counts.any(axis=1)).argmax())} uses none of the {len(words)} words. Leave it out, or ask "
            "for more words (n_words)."
        )
    return normalize(counts)


def company_vectors(
    texts: Sequence[list[str]], words: Sequence[str], *, n_dims: int = 30, window: int = 10
) -> np.ndarray:
    """A vector for each word from the words around it: positive mutual information, then an SVD.

    The context of a word is whatever of the 500 most frequent words stands within ``window`` places of it. The entries
    ``max(0, log p(word, context) / (p(word) p(context)))`` (Church and Hanks (1990); Levy and Goldberg (2014)) are
    reduced to their first ``n_dims`` singular directions, weighted by the root of the singular values.

    Parameters
    ----------
    texts : sequence of list of str
    words : sequence of str
    n_dims : int
    window : int, in words

    Returns
    -------
    array, shape (n_words, n_dims)
    """
    texts, words = _listed("texts", texts), names_of("words", words)
    n_dims, window = integer("n_dims", n_dims), integer("window", window)
    everything = Counter(word for text in texts for word in text)
    contexts = sorted(everything, key=lambda word: (-everything[word], word))[:500]
    place, column = ({word: k for k, word in enumerate(names)} for names in (words, contexts))
    together = np.zeros((len(words), len(contexts)))
    for text in texts:
        columns = np.array([column.get(word, -1) for word in text])
        for at in (k for k, word in enumerate(text) if word in place):
            near = np.r_[columns[max(0, at - window) : at], columns[at + 1 : at + 1 + window]]
            np.add.at(together[place[text[at]]], near[near >= 0], 1)
    if not together.any():
        raise ValueError(
            f"none of the {len(words)} words has any company in the {len(texts)} texts: no word is near it."
        )
    expected = together.sum(axis=1, keepdims=True) * together.sum(axis=0) / together.sum()
    ratio = np.divide(together, expected, out=np.ones_like(together), where=together > 0)
    left, size, _ = np.linalg.svd(np.maximum(np.log(ratio), 0), full_matrices=False)
    return left[:, :n_dims] * np.sqrt(size[:n_dims])


def word_cost(vectors: np.ndarray) -> np.ndarray:
    """Squared distances between the words' directions, over their mean.

    Parameters
    ----------
    vectors : array, shape (n_words, n_dims)

    Returns
    -------
    array, shape (n_words, n_words)
        0 on the diagonal.
    """
    vectors = to_numpy(as_float(vectors, name="vectors")).astype(float)
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise ValueError(f"vectors must be (n_words, n_dims), one row a word; got shape {vectors.shape}.")
    if not np.isfinite(vectors).all():
        bad = int((~np.isfinite(vectors).all(axis=1)).argmax())
        raise ValueError(f"vectors hold NaN or infinity: the vector of word number {bad} is the first.")
    size = np.linalg.norm(squarable("vectors", vectors), axis=1, keepdims=True)
    if not size.all():
        raise ValueError(
            f"vectors hold a row of zeros, which has no direction: word number {int((size[:, 0] == 0).argmax())} "
            "has the vector 0."
        )
    unit = vectors / size
    cost = np.maximum(2 - 2 * unit @ unit.T, 0)
    np.fill_diagonal(cost, 0)
    if not cost.any():
        raise ValueError(
            f"vectors of all {len(cost)} words point one way: nothing is far from anything, and no cost is left."
        )
    return cost / cost.mean()


# ------------------------------------------------------------------------------------------------------------ the books


def _catalogue() -> list[tuple[str, str, SceneFile]]:
    """Title, author and file of the novels."""
    lines = (files("wdl_tutorial") / "data" / "novels.csv").read_text(encoding="utf-8").splitlines()
    return [
        (row["title"], row["author"], SceneFile("novels", row["name"], row["sha256"], row["page"]))
        for row in csv.DictReader(lines)
    ]


def _vectors_file() -> SceneFile:
    lines = (files("wdl_tutorial") / "data" / "scene_files.csv").read_text(encoding="utf-8").splitlines()
    return next(
        SceneFile(row["folder"], row["name"], row["sha256"], row["page"], row["url"] or None)
        for row in csv.DictReader(lines)
        if row["folder"] == "novels"
    )


def novels_available() -> bool:
    """True where the novels and the vectors lie on this machine.

    Returns
    -------
    bool
    """
    return all(find(file) is not None for file in (*(book for _, _, book in _catalogue()), _vectors_file()))


def body(text: str) -> str:
    """A Project Gutenberg text without what stands before and after the book.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    text = checked_text("text", text)
    start = re.search(r"^\*\*\* ?START OF .*$", text, re.M)
    end = re.search(r"^\*\*\* ?END OF .*$", text, re.M)
    return text[start.end() if start else 0 : end.start() if end else len(text)]


def load_novels(n_words: int = 1000, *, check_sha256: bool = True) -> Books:
    """Fifteen novels by five authors over their most frequent words, with GloVe's vectors.

    The words have seven or eight letters. The paper has twenty books by the same five authors and does not name them
    all.

    Parameters
    ----------
    n_words : int
    check_sha256 : bool
        Refuse any other version of the files.

    Returns
    -------
    Books

    Raises
    ------
    FileNotFoundError
        Where a file is missing, with its name and where to put it; :func:`load_excerpts` needs no file.
    ValueError
        Where a file has another sha256, or ``n_words`` is more than there are.
    """
    catalogue = _catalogue()
    texts = []
    for _, _, file in catalogue:
        with gzip.open(locate(file, download=False, check_sha256=check_sha256), "rt", encoding="utf-8-sig") as stream:
            texts.append(tokens(body(stream.read())))
    path: Path = locate(_vectors_file(), download=False, check_sha256=check_sha256)
    with np.load(path, allow_pickle=False) as held:
        known = {str(word): vector for word, vector in zip(held["words"], held["vectors"].astype(float), strict=True)}
    words = vocabulary(texts, n_words, among=known)
    return Books(
        tuple(title for title, _, _ in catalogue),
        tuple(author for _, author, _ in catalogue),
        tuple(words),
        histograms(texts, words),
        np.stack([known[word] for word in words]),
        "Project Gutenberg; GloVe 6B, 50 dimensions (Pennington, Socher and Manning (2014)).",
    )


def load_excerpts(n_words: int = 300) -> Books:
    """Excerpts of the same fifteen novels, 2,500 words each, with vectors computed from them.

    No file is needed.

    Parameters
    ----------
    n_words : int

    Returns
    -------
    Books

    Examples
    --------
    >>> books = load_excerpts(200)
    >>> books.X.shape, sorted(set(books.authors))
    ((15, 200), ['Austen', 'Bronte', 'Dickens', 'Doyle', 'Twain'])
    """
    raw = (files("wdl_tutorial") / "data" / "excerpts.json.gz").read_bytes()
    held = json.loads(gzip.decompress(raw))
    texts = [tokens(book["text"]) for book in held]
    words = vocabulary(texts, n_words)
    return Books(
        tuple(book["title"] for book in held),
        tuple(book["author"] for book in held),
        tuple(words),
        histograms(texts, words),
        company_vectors(texts, words),
        "Excerpts of novels in the public domain, from Project Gutenberg; vectors from the excerpts themselves.",
    )
