"""The checks of the book's exercises (b): ``check("13b", histogram)`` says ok, or what is not right yet.

A chapter's check cell and ``python -m wdl_tutorial check`` ask the same cases. Each exercise is a function that calls the
reader's function on several problems, compares with an answer that was found another way, and raises :class:`NotYet` with a
hint: a check that one lucky number passes would teach that number.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from .costs import cost_matrix
from .gradients import check_gradient
from .histograms import displacement, normalize
from .kernels import gibbs_kernel
from .linear import fcls
from .metrics import spectral_angle
from .transport import sinkhorn, sinkhorn_steps


class NotYet(Exception):
    """What is not right yet, and where to look."""


class Verdict(NamedTuple):
    """What a check found; printed, it is one line."""

    exercise: str  # "13b"
    ok: bool
    words: str  # what was tried, or what is not right yet

    def __repr__(self) -> str:
        return f"{'ok' if self.ok else 'not yet'}: {self.words}"

    def __str__(self) -> str:
        return repr(self)


class Exercise(NamedTuple):
    """One exercise: the name of the function that the reader writes, and the cases that it has to pass."""

    function: str
    cases: Callable[[Callable[..., Any]], str]


EXERCISES: dict[str, Exercise] = {}


def exercise(number: str, function: str):
    """Enter a function of cases into the table."""

    def enter(cases: Callable[[Callable[..., Any]], str]):
        EXERCISES[number] = Exercise(function, cases)
        return cases

    return enter


def check(number: str, answer: Callable[..., Any]) -> Verdict:
    """Try a reader's function on all cases of an exercise.

    Parameters
    ----------
    number : str
        Of the exercise, such as "13b".
    answer : callable
        The reader's function. What it raises is told, not raised.

    Returns
    -------
    Verdict

    Raises
    ------
    KeyError
        If there is no such exercise.
    """
    if number not in EXERCISES:
        raise KeyError(f"there is no exercise {number!r}; there are {', '.join(EXERCISES)}.")
    name, cases = EXERCISES[number]
    try:
        with np.errstate(all="ignore"):
            return Verdict(number, True, cases(answer))
    except NotYet as told:
        return Verdict(number, False, str(told))
    except Exception as error:  # the reader's: whatever it is, it is told in one line
        return Verdict(number, False, f"{name} raised {type(error).__name__}: {error}")


def functions_of(sources: Iterable[str]) -> dict[str, Any]:
    """The imports and functions of a notebook's code cells, and nothing else that they do.

    A function that cannot even be defined without the rest of its notebook is left out; so is a cell with magic in it.

    Parameters
    ----------
    sources : iterable of str

    Returns
    -------
    dict of str to any
    """
    space: dict[str, Any] = {}
    for source in sources:
        with contextlib.suppress(SyntaxError):
            for node in ast.parse(source).body:
                if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef):
                    with contextlib.suppress(NameError, ImportError, AttributeError):
                        exec(compile(ast.Module([node], []), "<notebook>", "exec"), space)
    return space


# ---------------------------------------------------------------------------------------------- what the cases ask for


def given(value: Any, function: str) -> Any:
    """The answer, if there is one."""
    if value is None:
        raise NotYet(f"{function} returns None")
    return value


def array(value: Any, function: str, shape: tuple[int, ...]) -> np.ndarray:
    """The answer as an array of the right shape, all finite."""
    found = np.asarray(given(value, function), dtype=float)
    if found.shape != shape:
        raise NotYet(f"{function} returns the shape {found.shape}; it should be {shape}")
    if not np.all(np.isfinite(found)):
        raise NotYet(f"{function} returns NaN or infinity")
    return found


def near(found: Any, wanted: Any, hint: str, atol: float = 1e-6) -> None:
    """Refuse a finite answer that is farther than ``atol`` from the wanted one."""
    gap = float(np.max(np.abs(np.asarray(found, dtype=float) - np.asarray(wanted, dtype=float))))
    if not gap <= atol:
        raise NotYet(f"{hint} (off by {gap:.2g})")


def bumps(n: int, *at: tuple[float, float]) -> np.ndarray:
    """Gaussian histograms on ``n`` bins, one a row."""
    x = np.arange(float(n))
    return normalize(np.array([np.exp(-0.5 * ((x - mean) / sd) ** 2) for mean, sd in at]))


# ------------------------------------------------------------------------------------------------------- the exercises


@exercise("0b", "two_minerals")
def _(two_minerals) -> str:
    m1, m2 = np.array([0.8, 0.2, 0.5]), np.array([0.4, 0.6, 0.3])
    for share, rest in ((0.25, 0.0), (0.7, 0.05), (1.4, 0.0), (-0.3, 0.0)):
        y = share * m1 + (1 - share) * m2 + rest * np.array([1.0, -1.0, -4.0])  # the rest is at right angles
        found = array(two_minerals(y, m1, m2), "two_minerals", ())
        wanted = fcls(y[None], np.stack([m1, m2])).abundances[0, 0]
        outside = not 0 <= share <= 1
        near(
            found,
            wanted,
            "a pixel beyond an endmember: keep a between 0 and 1" if outside else "project y - m2 on m1 - m2",
        )
    return "four pixels as FCLS has them, two of them beyond an endmember"


@exercise("1b", "to_histogram")
def _(to_histogram) -> str:
    found = array(to_histogram(np.array([2.0, 5.3]), np.array([0.4, 0.6]), 10), "to_histogram", (10,))
    near(found.sum(), 1, "mass is lost: share each piece between two bins")
    near(found @ np.arange(10.0), 0.4 * 2 + 0.6 * 5.3, "the mean has moved: 70.3 gives seven tenths to bin 70")
    near(found, [0, 0, 0.4, 0, 0, 0.42, 0.18, 0, 0, 0], "right in sum and mean, but not in the two nearest bins")
    p, q = bumps(60, (15, 3), (40, 5))
    plan = displacement(p, q, np.arange(60.0))
    place = (plan.start + plan.end) / 2
    found, left = array(to_histogram(place, plan.mass, 60), "to_histogram", (60,)), np.floor(place).astype(int)
    wanted = np.zeros(61)
    np.add.at(wanted, left, plan.mass * (left + 1 - place))  # two pieces may share a bin: they add up
    np.add.at(wanted, left + 1, plan.mass * (place - left))
    near(found, wanted[:60], "pieces in one bin must add up: np.bincount with weights")
    return "mass and mean are kept, and pieces in one bin add up"


@exercise("2b", "never_crosses")
def _(never_crosses) -> str:
    rng = np.random.default_rng(2)
    for p, q in (([3, 2, 2, 1], [1, 2, 2, 3]), ([0, 5, 3], [4, 0, 4]), *normalize(rng.random((3, 2, 7)))):
        p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
        T = array(never_crosses(p.copy(), q.copy()), "never_crosses", (len(p), len(q)))
        near(T.sum(axis=1), p, "a row does not send what it holds", 1e-9)
        near(T.sum(axis=0), q, "a column does not get what it wants", 1e-9)
        corner = np.minimum(np.cumsum(p)[:, None], np.cumsum(q))  # what no crossing leaves above and to the left
        near(T.cumsum(axis=0).cumsum(axis=1), corner, "the sums are right, but two routes cross", 1e-9)
    return "five plans, all sums right, no routes cross"


class Products:
    """A kernel that only multiplies: there is no table to take."""

    def __init__(self, kernel: Any):
        self.apply, self.apply_t = kernel.apply, kernel.apply_t


@exercise("3b", "bill_of")
def _(bill_of) -> str:
    for n, eps, rounds in ((40, 32.0, 300), (25, 8.0, 500), (40, 32.0, 1)):
        x = 1.5 * np.arange(n)
        p, q = bumps(n, (0.2 * n, 3), (0.7 * n, 4)) * 0.9 + 0.1 / n
        cost = cost_matrix(x)
        kernel = gibbs_kernel(cost, eps)
        u, v = next(islice(sinkhorn_steps(p, q, kernel), rounds - 1, None))
        wanted = u @ (np.exp(-cost / eps) * cost) @ v
        found = array(bill_of(u, v, Products(kernel), x), "bill_of", ())
        near(found, wanted, "(x - y)^2 = x^2 - 2 x y + y^2: one product for each term", 1e-8 * abs(wanted))
    return "three bills, by products alone: no table was built"


@exercise("4b", "crumbs_of")
def _(crumbs_of) -> str:
    x, levels = np.linspace(0, 200, 101), (np.arange(2000) + 0.5) / 2000
    shapes = bumps(101, (15, 2.5), (37, 4.5), (85, 3))
    for shares in ([0.4, 0.2, 0.4], [1.0, 0.0, 0.0], [0.1, 0.6, 0.3]):
        weights = np.array(shares)
        crumbs = np.sort(array(crumbs_of(shapes, weights, x, levels), "crumbs_of", (2000,)))
        quantiles = [np.interp(levels, np.cumsum(h), x + 1) for h in shapes]
        near(crumbs.mean(), weights @ shapes @ x, "the mean is not the weighted mean of the shapes' means", 0.3)
        near(
            crumbs,
            np.sort(weights @ np.array(quantiles)),
            "the mean is right, the crumbs are not: average quantiles",
            0.3,
        )
    return "three sets of weights, places and widths as exact transport has them"


@exercise("5b", "keep_going")
def _(keep_going) -> str:
    given(keep_going(1.0, 1e-9), "keep_going")
    for error, tol, wanted in ((1.0, 1e-9, True), (1e-12, 1e-9, False), (2e-3, 1e-3, True), (0.0, 1e-9, False)):
        if bool(keep_going(error, tol)) is not wanted:
            raise NotYet(f"with an error of {error:g} and tol {tol:g} it should say {wanted}")
    for bad in (np.nan, np.inf):
        try:
            told = keep_going(bad, 1e-9)
        except FloatingPointError:
            continue
        hint = (
            "no comparison with NaN is true; ask with np.isfinite"
            if bad != bad
            else "infinity is no error to go on from"
        )
        raise NotYet(f"at an error of {bad} it says {told}, and should raise FloatingPointError: {hint}")
    return "it goes on, it stops, and it raises at NaN and at infinity"


@exercise("6b", "pull_scaled")
def _(pull_scaled) -> str:
    def softmax(z):
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    z, slope = np.array([0.3, -1.0, 0.5]), np.array([1.0, 2.0, 4.0])
    for zeta in (1.0, 50.0, 0.1):
        found = array(pull_scaled(softmax(zeta * z), slope, zeta), "pull_scaled", (3,))

        def scaled(z, zeta=zeta):
            return softmax(zeta * z) @ slope

        agrees = check_gradient(scaled, z, found)
        if not agrees.ok:
            raise NotYet(f"at zeta = {zeta:g} differences disagree: one factor more, by the chain rule")
    return "differences agree at zeta = 1, 50 and 0.1"


@exercise("7b", "kl_gradient")
def _(kl_gradient) -> str:
    rng = np.random.default_rng(7)
    for mass in (1.0, 0.27):
        P, x = mass * normalize(rng.random(12) + 0.1), normalize(rng.random(12) + 0.1)
        found = array(kl_gradient(P, x), "kl_gradient", (12,))

        def divergence(P, x=x):
            return np.sum(P * np.log(P / x) - P + x)

        agrees = check_gradient(divergence, P, found)
        if not agrees.ok:
            hint = (
                "check the -1: the derivative of P log P is log P + 1"
                if np.allclose(found + 1, np.log(P / x))
                else "differentiate by P"
            )
            raise NotYet(f"differences disagree where the mass is {mass:g}: {hint}")
    return "differences agree, at mass 1 and at mass 0.27"


@exercise("8b", "one_heap")
def _(one_heap) -> str:
    for d, rho, eps in ((10.0, 50.0, 7.0), (3.0, 5.0, 1.0), (2.0, 9.0, 6.0), (0.0, 5.0, 2.0)):
        wanted = sinkhorn([1.0], [1.0], np.array([[d**2]]), eps=eps, marginal_weight=rho).plan[0, 0]
        found = array(one_heap(d, rho, eps), "one_heap", ())
        near(
            found,
            wanted,
            f"at d = {d:g}, rho = {rho:g}, eps = {eps:g}: the price is d^2, and eps counts once, rho twice",
        )
    return "four heaps as the library moves them"


@exercise("9b", "apply_volume")
def _(apply_volume) -> str:
    rng = np.random.default_rng(9)
    for shape, widths in (((3, 4, 5), (2.0, 2.0, 2.0)), ((4, 4, 4), (1.0, 3.0, 9.0))):
        box = rng.random(shape)
        kernels = [np.exp(-((np.arange(n)[:, None] - np.arange(n)) ** 2) / w) for n, w in zip(shape, widths)]
        found = array(apply_volume(box, *kernels), "apply_volume", shape)
        near(
            found, np.einsum("ia,jb,kc,abc->ijk", *kernels, box), "each kernel belongs to one axis, in this order", 1e-9
        )
    return "two volumes, one of three equal sides with three kernels"


@exercise("10b", "by_lot")
def _(by_lot) -> str:
    for authors in (np.repeat(np.arange(5), 3), np.repeat(np.arange(3), 5)):

        def purity(groups, authors=authors):
            groups = np.asarray(groups)
            if groups.shape != authors.shape or groups.min() < 0 or groups.max() > 4:
                raise NotYet("a draw gives each of the fifteen books a group from 0 to 4")
            return int(sum(np.bincount(authors[groups == g]).max() for g in np.unique(groups)))

        rng = np.random.default_rng(100)
        wanted = np.mean([purity(rng.integers(5, size=15)) for _ in range(4000)])
        found = [float(array(by_lot(purity, np.random.default_rng(seed)), "by_lot", ())) for seed in (0, 1)]
        near(np.mean(found), wanted, "not the mean purity of random groups", 0.15)
        if found[0] == found[1]:
            raise NotYet("two seeds give the very same number: draw with the generator that is passed in")
    return f"{found[0]:.1f} and {found[1]:.1f} of 15 by lot, of three authors; other seeds, other numbers"


@exercise("11b", "light_meter")
def _(light_meter) -> str:
    rng = np.random.default_rng(11)
    M = rng.random((3, 12)) + 0.2
    X = np.array([1.0, 0.8, 0.6, 1.3])[:, None] * (normalize(rng.random((4, 3))) @ M) + 0.02 * rng.random((4, 12))
    a = fcls(X, M).abundances
    found = array(light_meter(X, a, M), "light_meter", (4,))
    left = np.sum((X - found[:, None] * (a @ M)) ** 2, axis=1)
    for step in (-1e-3, 1e-3):
        other = np.sum((X - (found + step)[:, None] * (a @ M)) ** 2, axis=1)
        if np.any(other < left):
            k = int(np.argmin(other - left))
            raise NotYet(
                f"pixel {k}: a factor of {found[k] + step:.3f} comes nearer than your {found[k]:.3f}; divide by (aM . aM)"
            )
    return "for four pixels no other factor comes nearer"


@exercise("12b", "area")
def _(area) -> str:
    right, shifted = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]]), np.array([[1.0, 1.0], [4.0, 1.0], [2.0, 5.0]])
    for corners, wanted, hint in (
        (right, 3.0, "sides 2 and 3 at a right angle: half of 6"),
        (shifted, 6.0, "a triangle away from the origin: take sides, not corners"),
        (shifted[::-1].copy(), 6.0, "the corners the other way round: an area has no sign"),
        (np.array([[0.0, 0.0], [1.0, 1.0], [3.0, 3.0]]), 0.0, "three corners on one line"),
    ):
        near(array(area(corners), "area", ()), wanted, hint, 1e-9)
    return "four triangles, in either order of the corners"


@exercise("13b", "histogram")
def _(histogram) -> str:
    R = np.array([0.2, 0.5, 0.4, 0.1])
    for widths in (np.full(4, 10.0), np.array([10.0, 20.0, 20.0, 10.0])):
        answer = given(histogram(R.copy(), widths), "histogram")
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise NotYet("return two things: p, scale")
        p, scale = array(answer[0], "histogram", (4,)), array(answer[1], "histogram", ())
        near(p.sum(), 1, "p does not sum to 1: divide by the sum, and keep the sum as the scale", 1e-9)
        near(p, R * widths / (R * widths).sum(), "wide bands count more: multiply by the widths first", 1e-9)
        near(p * scale / widths, R, "p * scale / widths is not the spectrum", 1e-9)
    try:
        histogram(R - 0.3, np.full(4, 10.0))
    except ValueError:
        return "a histogram, the way back, and a refusal"
    raise NotYet("a negative reflectance goes through: raise a ValueError")


@exercise("14b", "disagreement")
def _(disagreement) -> str:
    rng = np.random.default_rng(14)
    atoms = rng.random((4, 20)) + 0.05
    same = array(disagreement(atoms, atoms[::-1]), "disagreement", ())
    near(same, 0, "the same atoms in another order: match them first", 1e-6)
    for k in (0, 3):
        others = atoms.copy()
        others[k] = others[k] + 0.4 * rng.random(20)
        wanted = float(spectral_angle(atoms[k], others[k]))
        found = array(disagreement(atoms, others[[2, 0, 3, 1]]), "disagreement", ())
        near(
            found,
            wanted,
            f"one atom of four has moved by {wanted:.3f} rad: take the largest angle, not 0 and not the mean",
        )
    near(array(disagreement(atoms, 3.0 * atoms), "disagreement", ()), 0, "an angle does not know brightness", 1e-6)
    return "0 for another order, and the angle of the one atom that moved"


@exercise("15b", "nearest_label")
def _(nearest_label) -> str:
    rng = np.random.default_rng(15)
    C = rng.normal(size=(60, 3)) * [5.0, 1.0, 0.2]
    for places, classes in (([3, 17, 40], [2, 5, 2]), ([9, 8], [7, 1]), ([50], [4])):
        rows, labels = np.array(places), np.array(classes)
        found = array(nearest_label(C, rows, labels), "nearest_label", (60,))
        wanted = [labels[min(range(len(rows)), key=lambda k: np.sum((c - C[rows[k]]) ** 2))] for c in C]
        share = np.mean(found == wanted)
        if share < 1:
            raise NotYet(
                f"{100 * share:.0f} % of 60 points get the label of their nearest row; labels belong to rows, not to places"
            )
    return "sixty points, three sets of labels"


@exercise("16b", "one_random_layer")
def _(one_random_layer) -> str:
    name = "one_random_layer"
    X = np.abs(np.random.default_rng(16).normal(1.0, 0.5, (30, 40)))
    X[1] = X[0]
    F, again, mirrored, brighter = (
        array(one_random_layer(x, np.random.default_rng(3)), name, (30, 128)) for x in (X, X, -X, 3.0 * X)
    )
    if F.min() < 0:
        raise NotYet("an entry is negative: keep what is positive")
    near(np.linalg.norm(F, axis=1), 1, "a row does not have the length one", 1e-9)
    near(F, again, "the same seed gives other numbers: draw with rng", 1e-12)
    near(F[0], F[1], "two equal spectra get different rows: multiply the spectra, do not draw rows", 1e-9)
    near(F, brighter, "a brighter spectrum should get the same row: scale at the end", 1e-9)
    if np.max(F * mirrored) > 1e-12:
        raise NotYet("X and -X light up the same entries: keep what is positive, do not take absolute values")
    other = array(one_random_layer(X, np.random.default_rng(4)), name, (30, 128))
    if np.allclose(F, other) or np.allclose(F[2:], F[2]):
        raise NotYet("the rows do not depend on the spectra and on the generator")
    return "not negative, of length one, equal for equal spectra, and from the generator"


@exercise("17b", "honest_factor")
def _(honest_factor) -> str:
    rng = np.random.default_rng(17)
    for too_sure in (10.0, 3.0):
        honest = rng.gamma(2.0, 2.0, size=(2000, 3)) + 0.5
        truth = np.array([rng.dirichlet(row) for row in honest])

        def inside(alpha, factor, truth=truth):
            total = factor * alpha.sum(axis=1, keepdims=True)
            mean = factor * alpha / total
            return np.mean(np.abs(truth - mean) < 2 * np.sqrt(mean * (1 - mean) / (1 + total)))

        alpha = too_sure * honest
        factor = float(array(honest_factor(alpha, inside), "honest_factor", ()))
        if not 0 < factor <= 1:
            raise NotYet(f"a factor of {factor:g}: it should lie between 0 and 1")
        share = inside(alpha, factor)
        if abs(share - 0.95) > 0.01:
            raise NotYet(
                f"at a factor of {factor:.3g} the share inside is {share:.3f}; go on until it is .95, and no farther"
            )
    return "ten times and three times too sure, both mended to 95 %"


@exercise("18b", "fair_doubt")
def _(fair_doubt) -> str:
    def doubt(stack):
        return stack.std(axis=0).max(axis=-1)

    small = [np.array([[[[1.0, 0.0]]]] * 5), np.array([[[[0.5, 0.5]]]])]
    found = array(fair_doubt(small), "fair_doubt", (1, 1))
    near(found, 0.25, "five seeds against one: each method has one vote, so .25; all runs together give .19")
    rng = np.random.default_rng(18)
    groups = [normalize(rng.random((n, 3, 4, 3))) for n in (5, 1, 2)]
    found = array(fair_doubt(groups), "fair_doubt", (3, 4))
    near(found, doubt(np.stack([np.median(g, axis=0) for g in groups])), "first the median over the seeds, then (18.1)")
    return "two cases, one of three methods with 5, 1 and 2 seeds"


@exercise("19b", "own_endmembers")
def _(own_endmembers) -> str:
    rng = np.random.default_rng(19)
    for a, price in ((np.array([0.5, 0.3, 0.2]), 1.0), (np.array([0.9, 0.1, 0.0]), 0.1)):
        x, base = rng.random(8), rng.random((3, 8)) + 0.2
        found = array(own_endmembers(x.copy(), a.copy(), base.copy(), price), "own_endmembers", (3, 8))

        def cost(S, x=x, a=a, base=base, price=price):
            return ((x - a @ S) ** 2).sum() + price * ((S - base) ** 2).sum()

        for k in np.flatnonzero(a == 0).tolist():
            near(found[k], base[k], "a material that is not in the pixel keeps its reference", 1e-9)
        for k in range(3):
            for step in (-1e-4, 1e-4):
                other = found.copy()
                other[k, 2] += step
                if cost(other) < cost(found):
                    raise NotYet(f"material {k}, third band: {other[k, 2]:.4f} costs less; divide by price + |a|^2")
    return "two pixels, and no entry can be moved for less"


@exercise("20b", "stripe")
def _(stripe) -> str:
    rng = np.random.default_rng(20)
    ground = np.cumsum(rng.normal(0, 0.01, (40, 9)), axis=0)[:, :1] + 0.02 * np.arange(9.0)  # brighter to the east
    for c, off in ((4, 0.3), (2, -0.2), (6, 0.0)):
        band = ground + 0.001 * rng.normal(size=ground.shape)
        band[:, c] += off
        near(array(stripe(band.copy(), c), "stripe", ()), off, f"a stripe of {off:g} in column {c}", 1e-3)
        band[:15, c] += 5.0
        near(
            array(stripe(band.copy(), c), "stripe", ()),
            off,
            "a bright roof in 15 of 40 rows moves it: take the median over the rows",
            2e-3,
        )
        band[:15, c] -= 5.0
        band[:, c + 1] += 1.0
        found = array(stripe(band.copy(), c), "stripe", ())
        near(
            found, off, "a stripe in the next column moves it: leave out the largest and the smallest of the four", 0.03
        )
    return "stripes up, down and none, beside a roof and beside another stripe"
