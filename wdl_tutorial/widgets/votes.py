"""Predictions: a question with options, asked before a demo, and the answer that opens once the reader has voted."""

from __future__ import annotations

import functools
import html
import re
import tomllib
from typing import Any, NamedTuple

import traitlets

from .base import Demo, choice, text
from .source import FOLDER


class Wrong(NamedTuple):
    """A wrong option, what whoever takes it believes, what they are told, and what a teacher asks them."""

    option: str
    belief: str
    told: str
    ask: str


class Question(NamedTuple):
    """A prediction of the book."""

    key: str  # "1", or "1d" for a chapter's second one
    chapter: str  # the name of its file
    question: str
    right: str
    answer: str
    state: str  # of the chapter's demo, for its address: where the answer is seen; empty where there is none
    wrong: tuple[Wrong, ...]

    @property
    def options(self) -> list[str]:
        """The options as they are written: the right one first. Each reader is shown an order of their own."""
        return [self.right, *(wrong.option for wrong in self.wrong)]


@functools.cache
def questions() -> dict[str, Question]:
    """Every prediction of the book, by its key, in the order of the chapters.

    Returns
    -------
    dict of str to Question
    """
    table = tomllib.loads((FOLDER / "votes.toml").read_text(encoding="utf-8"))
    return {
        key: Question(key=key, **{**entry, "wrong": tuple(Wrong(**wrong) for wrong in entry["wrong"])})
        for key, entry in table.items()
    }


def marked_up(words: str) -> str:
    """Plain text with ``*emphasis*`` and code in back-quotes, as HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", re.sub(r"\*([^*]+)\*", r"<em>\1</em>", html.escape(words)))


class Predict(Demo):
    """A prediction, before or after the demo that decides it.

    The options stand in an order of the reader's own. A vote and how sure it was are kept in the reader's browser and
    sent nowhere; the answer, and what each wrong option believes, open after it. "Count hands" is for a class.

    Parameters
    ----------
    key : str
        Of the question, such as "1": see ``questions()``.
    part : {"vote", "answer"}
        "vote" asks, "answer" tells once there is a vote.

    Examples
    --------
    >>> Predict("4").options[0]
    'At B, which has the smallest weight of all.'
    """

    _file = "predict.js"
    part = choice("vote", "vote", "answer")
    key = text("")
    question = text("")
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)
    answer = text("")
    told = traitlets.List(traitlets.Unicode()).tag(sync=True)
    caption = text("")
    alt = text("")

    def __init__(self, key: str, part: str = "vote"):
        if not isinstance(key, str) or key not in questions():
            raise ValueError(f"there is no prediction of the key {key!r}; there are {', '.join(questions())}.")
        asked = questions()[key]
        told = [wrong.told for wrong in asked.wrong]
        given = {"question": asked.question, "options": asked.options, "answer": asked.answer, "told": told}
        super().__init__(
            key=key,
            part=part,
            alt=asked.answer if isinstance(part, str) and part == "answer" else asked.question,
            **given,
        )

    def __repr__(self) -> str:
        if self.part == "answer":
            return "The answer opens after your vote."
        return "\n".join([self.question, *(f"- {option}" for option in sorted(self.options))])

    def as_html(self) -> str:
        """The question and its options, or a fold with the answer, for a reader without JavaScript.

        Returns
        -------
        str
        """
        if self.part == "vote":
            items = "".join(f"<li>{marked_up(option)}</li>" for option in sorted(self.options))
            return f'<div class="wdl-first-frame"><p>{marked_up(self.question)}</p><ul>{items}</ul></div>'
        told = "".join(f"<li>{marked_up(o)} <em>{marked_up(t)}</em></li>" for o, t in zip(self.options[1:], self.told))
        return (
            '<details class="wdl-first-frame"><summary>The answer to the prediction</summary>'
            f"<p><b>{marked_up(self.options[0])}</b> {marked_up(self.answer)}</p><ul>{told}</ul></details>"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict] | None:
        """The live widget, and its words beside it: where no script runs, a page shows those."""
        bundle = super(Demo, self)._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/html": self.as_html(), "text/plain": repr(self)}, metadata
