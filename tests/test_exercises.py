"""The checks of the exercises: what is right passes, what a student would plausibly write instead is told apart."""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np
import pytest

import wdl_tutorial as wt
from wdl_tutorial.exercises import EXERCISES, check, functions_of

BOOK = Path(__file__).resolve().parents[1] / "book"


def flat_rows(X, rng):
    return np.full((len(X), 128), 128**-0.5)


def random_rows(X, rng):
    F = np.maximum(rng.standard_normal((len(X), 128)), 0)
    return F / np.linalg.norm(F, axis=1, keepdims=True)


def both_signs(X, rng):
    F = np.abs(X @ rng.standard_normal((X.shape[1], 128)))
    return F / np.linalg.norm(F, axis=1, keepdims=True)


def no_rank(place, mass, n_bins=200):
    h = np.zeros(n_bins)
    h[np.round(place).astype(int)] = mass  # a second piece in a bin replaces the first
    return h


def rounded(place, mass, n_bins=200):
    return np.bincount(np.round(place).astype(int), weights=mass, minlength=n_bins)


def without_refusing(R, widths):
    return R * widths / (R * widths).sum(), (R * widths).sum()


def without_widths(R, widths):
    if R.min() < 0:
        raise ValueError
    return R / R.sum(), R.sum()


def mean_angle(atoms, others):
    order = wt.metrics.match_endmembers(atoms, others)
    return wt.metrics.spectral_angle(atoms, others[order]).mean()


def raises_never(error, tol):
    return not error <= tol


def only_nan(error, tol):
    if error != error:
        raise FloatingPointError
    return error > tol


# What somebody writes who has understood something else; a part of the hint that it gets.
WRONG = {
    "0b": [
        (lambda y, m1, m2: (y - m2) @ (m1 - m2) / ((m1 - m2) @ (m1 - m2)), "between 0 and 1"),
        (lambda y, m1, m2: np.clip(np.mean((y - m2) / (m1 - m2)), 0, 1), "project"),
        (lambda y, m1, m2: np.clip((y @ m1) / (m1 @ m1), 0, 1), "project"),
    ],
    "1b": [(rounded, "mean has moved"), (no_rank, "mean has moved"), (lambda place, mass, n=200: mass, "shape")],
    "2b": [
        (lambda p, q: np.outer(p, q), "does not send|does not get"),
        (lambda p, q: np.outer(p, q) / p.sum(), "cross"),
        (lambda p, q: np.diag(np.minimum(p, q)) if len(p) == len(q) else None, "row"),
    ],
    "3b": [
        (
            lambda u, v, kernel, x: u @ (x**2 * kernel.apply(v)) + u @ kernel.apply(x**2 * v),
            "one product for each term",
        ),
        (lambda u, v, kernel, x: np.sum(u * kernel.apply(v)), "one product for each term"),
        (lambda u, v, kernel, x: u @ (kernel.K * x) @ v, "AttributeError"),
    ],
    "4b": [
        (lambda shapes, weights, x, levels: np.interp(levels, np.cumsum(weights @ shapes), x + 1), "average quantiles"),
        (lambda shapes, weights, x, levels: 95 + (np.interp(levels, np.cumsum(shapes[1]), x + 1) - 75), "mean"),
        (
            lambda shapes, weights, x, levels: (
                weights @ np.array([np.interp(levels, np.cumsum(h), x + 1) for h in shapes]) - 40
            ),
            "mean",
        ),
    ],
    "5b": [(raises_never, "NaN"), (only_nan, "infinity"), (lambda error, tol: True, "should say False")],
    "6b": [
        (lambda w, g, zeta: w * (g - np.sum(w * g)), "zeta = 50"),
        (lambda w, g, zeta: zeta * w * g, "zeta = 1 differences"),
        (lambda w, g, zeta: zeta**2 * w * (g - np.sum(w * g)), "zeta = 50"),
    ],
    "7b": [
        (lambda P, x: np.log(P / x) - 1, "check the -1"),
        (lambda P, x: np.log(P / x) + 1, "differentiate"),
        (lambda P, x: -P / x, "differentiate"),
    ],
    "8b": [
        (lambda d, rho, eps: np.exp(-(d**2) / (2 * rho)), "eps counts once"),
        (lambda d, rho, eps: np.exp(-(d**2) / (rho + eps)), "rho twice"),
        (lambda d, rho, eps: 0.3928, "d = 10"),
        (lambda d, rho, eps: np.exp(-d / (2 * rho + eps)), "price is d"),
    ],
    "9b": [
        (lambda V, A, B, C: np.einsum("ia,jb,kc,abc->ijk", A, B, C, V) if len(set(V.shape)) == 3 else V, "this order"),
        (lambda V, A, B, C: V @ C.T, "each kernel"),
        (lambda V, A, B, C: np.einsum("ia,jb,kc,abc->kji", A, B, C, V), "shape"),
    ],
    "10b": [
        (lambda purity, rng, n_draws=1000: 7.3, "not the mean"),
        (
            lambda purity, rng, n_draws=1000: np.mean([purity(rng.permutation(15) % 5) for _ in range(1000)]),
            "not the mean",
        ),
        (
            lambda purity, rng, n_draws=1000: np.max([purity(rng.integers(5, size=15)) for _ in range(100)]),
            "not the mean",
        ),
    ],
    "11b": [
        (lambda X, a, M: np.array([1.0, 0.9, 0.7, 1.1]), "comes nearer"),
        (lambda X, a, M: X.sum(axis=1) / (a @ M).sum(axis=1), "comes nearer"),
        (lambda X, a, M: np.sum(X * (a @ M), axis=1) / np.sum(X * X, axis=1), "divide by"),
        (lambda X, a, M: a.sum(axis=1), "comes nearer"),
    ],
    "12b": [
        (lambda c: 3.0, "away from the origin"),
        (lambda c: abs(np.linalg.det(c[:2])) / 2, "half of 6"),
        (lambda c: np.linalg.det(c[1:] - c[0]) / 2, "no sign"),
        (lambda c: abs(np.linalg.det(c[1:] - c[0])), "half of 6"),
    ],
    "13b": [
        (lambda R, widths: (R * widths, 1.0), "does not sum to 1"),
        (without_refusing, "raise a ValueError"),
        (without_widths, "p \\* scale|widths"),
        (lambda R, widths: R / R.sum(), "two things"),
    ],
    "14b": [
        (lambda atoms, others: 0.0, "has moved by"),
        (mean_angle, "not the mean"),
        (lambda atoms, others: wt.metrics.spectral_angle(atoms, others).max(), "match them first"),
    ],
    "15b": [
        (lambda C, rows, labels: np.full(len(C), labels[0]), "nearest row"),
        (lambda C, rows, labels: np.abs(C[:, None, 0] - C[rows][None, :, 0]).argmin(axis=1), "labels belong to rows"),
        (lambda C, rows, labels: labels[(C @ C[rows].T).argmax(axis=1)], "nearest row"),
    ],
    "16b": [
        (random_rows, "do not draw rows"),
        (flat_rows, "X and -X"),
        (both_signs, "absolute values"),
        (lambda X, rng: np.maximum(X @ rng.standard_normal((X.shape[1], 128)), 0), "length one"),
    ],
    "19b": [
        (lambda x, a, base, price: base, "costs less"),
        (lambda x, a, base, price: base + np.outer(a, x - a @ base), "costs less"),
        (lambda x, a, base, price: base + (x - a @ base) / (price + a @ a), "costs less|keeps its reference"),
        (lambda x, a, base, price: base + np.outer(a / (price + a.sum()), x - a @ base), "costs less"),
    ],
    "17b": [
        (lambda alpha, inside: 0.1, "go on until"),
        (lambda alpha, inside: 1.0, "go on until"),
        (lambda alpha, inside: 0.001, "no farther"),
        (lambda alpha, inside: 95, "between 0 and 1"),
    ],
    "20b": [
        (lambda band, c: np.median(band[:, c] - band[:, c - 1]), "a stripe of"),
        (lambda band, c: np.mean(band[:, c] - band[:, [c - 1, c + 1]].mean(axis=1)), "take the median"),
        (lambda band, c: np.median(band[:, c] - band[:, [c - 1, c + 1]].mean(axis=1)), "leave out"),
        (lambda band, c: np.median(band[:, c] - band[:, [c - 2, c - 1, c + 1, c + 2]].mean(axis=1)), "leave out"),
        (lambda band, c: np.median(band, axis=0), "shape|one number"),
    ],
    "18b": [
        (lambda groups: np.concatenate(groups).std(axis=0).max(axis=-1), "one vote"),
        (lambda groups: np.stack([g.mean(axis=0) for g in groups]).std(axis=0).max(axis=-1), "median"),
        (lambda groups: np.full((1, 1), 0.25), "shape"),
    ],
}


def functions(number: str) -> dict:
    """The functions of the chapter that holds an exercise: the reader's stub and the book's solution among them."""
    (path,) = BOOK.glob(f"{int(number[:-1]):02d}_*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    return functions_of(cell.source for cell in cells if cell.cell_type == "code")


def test_every_chapter_has_its_exercise_b():
    assert list(EXERCISES) == [f"{int(path.name[:2])}b" for path in sorted(BOOK.glob("[0-9]*.ipynb"))]


@pytest.mark.parametrize("number", EXERCISES)
def test_the_books_solution_passes_and_its_stub_does_not_yet(number):
    name, found = EXERCISES[number].function, functions(number)
    assert str(check(number, found[name])) == f"not yet: {name} returns None"
    verdict = check(number, found[f"{name}_solution"])
    assert verdict.ok and str(verdict).startswith("ok: "), verdict


@pytest.mark.parametrize("number", EXERCISES)
def test_plausible_wrong_answers_are_refused_with_a_hint(number):
    assert len(WRONG[number]) >= 2
    for answer, hint in WRONG[number]:
        verdict = check(number, answer)
        assert not verdict.ok and str(verdict).startswith("not yet: ")
        with pytest.raises(AssertionError, match=hint):  # matches by regular expression
            raise AssertionError(verdict.words)


def test_what_a_function_raises_is_told_and_not_raised():
    assert str(check("12b", lambda c: 1 / 0)) == "not yet: area raised ZeroDivisionError: division by zero"
    assert "returns NaN or infinity" in check("12b", lambda c: np.nan).words
    assert "takes 0 positional" in check("12b", lambda: 3.0).words


def test_an_unknown_exercise_is_named():
    with pytest.raises(KeyError, match="no exercise '99z'"):
        check("99z", print)
