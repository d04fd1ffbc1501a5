"""The one loop: when it stops, what it records, what it says."""

from __future__ import annotations

import functools
import inspect
import itertools
import warnings

import numpy as np
import pytest
from conftest import assert_close

import wdl_tutorial as wt
from wdl_tutorial import _fast as fast
from wdl_tutorial import iterate
from wdl_tutorial.chunks import workers
from wdl_tutorial.iterate import (
    ConvergenceWarning,
    Plain,
    accelerated,
    deprecated,
    nth,
    progress,
    risen,
    run,
    warn,
    warn_not_converged,
)
from wdl_tutorial.scaling import Variant
from wdl_tutorial.transport import SinkhornState, plain_iteration


def halving(xp, start=1.0):
    """States 1/2, 1/4, 1/8, ... of a batch of two problems, the second ten times further off."""
    state = xp.array([start, 10 * start])
    while True:
        state = state / 2
        yield state


def test_it_stops_at_the_first_check_below_the_tolerance(xp):
    found = run(halving(xp), lambda s: s, tol=1e-3, max_iter=100, check_every=5)
    assert found.n_iter == 15  # 10 / 2**14 < 1e-3, and 15 is the next multiple of 5
    assert found.error == 10 / 2**15
    assert bool(xp.numpy(found.converged).all())
    assert [n for n, _ in found.trace] == [5, 10, 15]


def test_it_stops_at_the_limit_and_says_which_problems_made_it(xp):
    found = run(halving(xp), lambda s: s, tol=0.1, max_iter=5, check_every=10)
    assert found.n_iter == 5
    assert xp.numpy(found.converged).tolist() == [True, False]
    assert found.trace == [(5, 10 / 32)]


def test_a_tolerance_of_zero_never_stops_early(xp):
    assert run(halving(xp), lambda s: s, tol=0.0, max_iter=33).n_iter == 33


def test_what_has_become_nan_stops_at_once(xp):
    states = itertools.chain([xp.array([1.0])], itertools.repeat(xp.array([float("nan")])))
    found = run(states, lambda s: s, tol=1e-9, max_iter=1000, check_every=1)
    assert found.n_iter == 2
    assert not bool(xp.numpy(found.converged).any())


def test_steps_that_end_are_a_mistake():
    with pytest.raises(ValueError, match="steps ended before max_iter"):
        run(iter([np.ones(1)]), lambda s: s, tol=0.0, max_iter=5)


def test_nth_counts_from_one(xp):
    assert float(nth(halving(xp), 1)[0]) == 0.5
    assert float(nth(halving(xp), 3)[0]) == 0.125


def test_the_warning_says_how_far_and_what_to_change():
    expected = r"Sinkhorn stopped after 7 iterations with error 3.0e-03 > tol 1.0e-09. Raise max_iter."
    with pytest.warns(ConvergenceWarning, match=expected):
        warn_not_converged("Sinkhorn", 7, 3e-3, 1e-9, "Raise max_iter.")


def here() -> int:
    """The line that calls this."""
    return inspect.currentframe().f_back.f_lineno


def test_a_warning_names_the_line_of_who_called_the_package():
    with pytest.warns(UserWarning) as caught:
        line, _ = here(), warn("look")
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_warning_of_a_worker_names_the_line_that_asked_for_workers(n_jobs):
    module = {"__name__": "wdl_tutorial.made", "warn": warn, "workers": workers}
    exec(
        "def work(part): warn(f'part {part.start}')\n"
        "def door(n_jobs):\n"
        "    with workers(n_jobs) as mapper:\n"
        "        return list(mapper(work, [slice(0, 1), slice(1, 2)]))",
        module,
    )
    with pytest.warns(UserWarning) as caught:
        line, _ = here(), module["door"](n_jobs)
    assert sorted(str(w.message) for w in caught) == ["part 0", "part 1"]
    assert {(w.filename, w.lineno) for w in caught} == {(__file__, line)}


def test_a_deprecated_name_says_what_to_write_and_until_when():
    with pytest.warns(DeprecationWarning, match=r"old\(\) is deprecated and will be gone in version 0.4. Use new\(\)."):
        line, _ = here(), deprecated("old()", "new()", until="0.4")
    with pytest.warns(DeprecationWarning) as caught:
        line, _ = here(), deprecated("old()", "new()", until="0.4")
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)


def test_a_bar_of_work_that_settles_early_ends_full(capsys):
    with progress(100, "work", "step", shown=True) as bar:
        bar.update(10)
    assert "100%" in (told := capsys.readouterr().err.split("\r")[-1]) and "10/10 " in told
    with pytest.raises(KeyboardInterrupt), progress(100, "work", "step", shown=True) as bar:
        bar.update(10)
        raise KeyboardInterrupt
    assert "10/100 " in capsys.readouterr().err.split("\r")[-1]  # that one was not done


LOOKED_AT = """
from wdl_tutorial import iterate
iterate.PATIENCE = {patience}
with iterate.progress(4, "work", "step", shown=None) as bar:
    for _ in iterate.ticked(range(4), bar):
        pass
"""


def test_a_notebook_shows_a_bar_for_what_takes_long_while_somebody_looks_on_and_stores_none_otherwise():
    """nbclient and nbval, which make the book and test it, forbid questions, as here."""
    manager = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipywidgets")
    kernels, client = manager.start_new_kernel(kernel_name="python3")

    def shown(patience, allowed):
        sent = []
        code = LOOKED_AT.format(patience=patience)
        reply = client.execute_interactive(code, allow_stdin=allowed, timeout=60, output_hook=sent.append)
        assert reply["content"]["status"] == "ok"
        return [m["content"] for m in sent if m["msg_type"] not in ("status", "execute_input")]

    try:
        assert shown(0.0, False) == [] == shown(60.0, True)
        texts = [
            content["data"]["text/plain"] for content in shown(0.0, True) if "text/plain" in content.get("data", {})
        ]
        assert len(texts) == 1 and texts[0].startswith("work:   0%|")
    finally:
        client.stop_channels()
        kernels.shutdown_kernel(now=True)


# ------------------------------------------------------------------------------------------------------ extrapolation


def walk(rng, *shape):
    """Spectra: positive, smooth, on the simplex."""
    return wt.normalize(np.exp(np.cumsum(0.15 * rng.standard_normal(shape), axis=-1)))


LINE, GRID = wt.LineCost(np.linspace(0, 10, 60)), wt.GridCost(40, spacing=1 / 39)
VARIANTS = {"balanced": {}, "rho .1": {"marginal_weight": 0.1}, "rho 20": {"marginal_weight": 20.0}}


@functools.cache
def pairs(variant):
    """Two histograms, thrice, the options of a run, and where the plain iterations end: tens of thousands of them."""
    rng = np.random.default_rng(0)
    p, q = walk(rng, 3, 40), walk(rng, 3, 40)
    q[1, :15] = 0.0  # a histogram with zeros
    given, options = (p, wt.normalize(q), GRID), VARIANTS[variant] | {"eps": 5e-3, "tol": 1e-11, "max_iter": 200_000}
    return given, options, wt.sinkhorn(*given, acceleration=None, domain="kernel", **options)


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_extrapolated_sinkhorn_ends_where_the_plain_one_does(xp, variant, domain):
    (p, q, cost), options, plain = pairs(variant)
    found = wt.sinkhorn(xp.array(p), xp.array(q), cost, domain=domain, **options)
    assert found.n_iter < plain.n_iter and found.error <= 1e-11 and bool(xp.module.all(found.converged))
    assert_close(found.plan, plain.plan, atol=1e-9)
    assert_close(found.value, plain.value, atol=1e-9)


@functools.cache
def means(variant):
    """Atoms and weights, the options of a run, and where the plain iterations end."""
    rng = np.random.default_rng(0)
    atoms, weights = walk(rng, 3, 40), rng.dirichlet(np.ones(3), 4)
    atoms[0, 20:] = 0.0
    weights[1, 2] = 0.0  # an atom without weight
    options = VARIANTS[variant] | {"eps": 1e-2, "tol": 1e-11, "max_iter": 100_000}
    given = wt.normalize(atoms), wt.normalize(weights), GRID
    return given, options, wt.barycenter(*given, acceleration=None, domain="kernel", **options)


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_extrapolated_barycenter_ends_where_the_plain_one_does(xp, variant, domain):
    (atoms, weights, cost), options, plain = means(variant)
    found = wt.barycenter(xp.array(atoms), xp.array(weights), cost, domain=domain, **options)
    assert found.n_iter < plain.n_iter and found.error <= 1e-11 and bool(xp.module.all(found.converged))
    assert_close(found.histogram, plain.histogram, atol=1e-9)


def test_a_batch_of_extrapolated_problems_is_the_loop_over_them(xp, rng):
    # rows leave when they are done, and each has its own combination
    p, q, atoms, weights = walk(rng, 5, 60), walk(rng, 5, 60), walk(rng, 3, 60), rng.dirichlet(np.ones(3), 5)
    p[0] = q[0]
    batch = wt.sinkhorn(xp.array(p), xp.array(q), LINE, eps=0.1)
    means = wt.barycenter(xp.array(atoms), xp.array(weights), LINE, eps=0.1)
    longest = 0
    for i in range(5):
        one = wt.sinkhorn(p[i], q[i], LINE, eps=0.1)
        assert_close(batch.plan[i, ...], one.plan, atol=1e-10)
        assert_close(batch.f[i, ...], one.f, atol=1e-9)  # of the constant that is free, always the same
        assert_close(means.histogram[i, ...], wt.barycenter(atoms, weights[i], LINE, eps=0.1).histogram, atol=1e-10)
        longest = max(longest, one.n_iter)
    assert batch.n_iter == longest


def test_rows_that_are_done_are_not_iterated_any_more(rng):
    p, q = walk(rng, 8, 60), walk(rng, 8, 60)
    q[:6] = p[:6]
    kernel, asked = wt.gibbs_kernel(LINE, 0.05), []
    problem = plain_iteration(p, q, kernel, Variant())

    def watched(rows):
        asked.append(8 if rows is None else len(rows))
        return problem(rows)

    found = accelerated(watched, np.zeros((8, 1, 60)), tol=1e-9, max_iter=2000)
    assert asked[0] == 8 and asked[-1] <= 2 and found.converged.all()
    assert_close((found.state.u * kernel.apply(found.state.v)), p, atol=1e-12)  # the rows are in their order


def test_a_line_barycenter_takes_a_twentieth_of_the_plain_products(rng):
    atoms, weights = walk(rng, 4, 60), rng.dirichlet(np.ones(4), 3)
    given = (atoms, weights, LINE)
    plain = wt.barycenter(*given, eps=0.05, acceleration=None, max_iter=50_000)
    found = wt.barycenter(*given, eps=0.05)
    assert found.n_iter < plain.n_iter / 10
    assert_close(found.histogram, plain.histogram, atol=1e-7)


def test_no_extrapolation_leads_away_where_components_hardly_talk(rng):
    # eps of 2e-4 of the largest cost: pushed about, potentials of 1e11 eps took all digits and "converged" at a wrong plan
    worst = 0.0
    for seed in (18, 40, 120, 137):
        draw = np.random.default_rng(seed)
        x = np.sort(draw.random(25))
        p, q = (wt.normalize(draw.random((2, 25)) ** 5) for _ in range(2))
        options = {"eps": 5e-4, "domain": "log", "max_iter": 4000, "tol": 1e-8}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found, plain = (
                wt.sinkhorn(p, q, wt.cost_matrix(x, power=1), acceleration=a, **options) for a in ("auto", None)
            )
        assert found.n_iter <= 1.1 * plain.n_iter + 6
        both = found.converged & plain.converged
        worst = max(worst, np.abs(found.plan - plain.plan).sum((-2, -1))[both].max(initial=0.0))
        assert_close(found.plan.sum(-1), p, atol=1e-8)
    assert worst < 1e-4


def test_what_a_change_of_logs_does_to_mass_is_never_told_too_small_nor_much_too_large(xp):
    t = np.array([1e-300, 1e-12, 1e-3, 0.1, 0.25, 0.2500001, 3.0, 700.0])
    told, true = xp.numpy(risen(xp.array(t))), np.expm1(t)
    assert (told >= true * (1 - 1e-15)).all() and (told <= 1.006 * true).all()
    assert_close(told[t > 0.25], true[t > 0.25], rtol=1e-13)
    for x in (np.zeros((1, 1, 1)), np.array([[[0.1], [-0.2]]]), np.array([[[0.1], [-0.3]]]), np.array([[[np.nan]]])):
        twin = fast.extrapolated._violation(np.ones_like(x), x.copy(), x)
        assert_close(
            twin, xp.numpy(iterate._violation(*(xp.array(a.transpose(2, 1, 0)) for a in (np.ones_like(x), x))))
        )


@pytest.mark.parametrize("seed", [88, 183, 307])
def test_a_row_that_jumps_beyond_the_floats_goes_back_and_the_others_go_on(xp, seed):
    # it ended as NaN, and the batch with it: domain="kernel" raised, and "auto" took the log domain for nothing
    draw = np.random.default_rng(seed)
    cost = wt.cost_matrix(np.sort(draw.random(6)), power=1.5)
    atoms, weights = wt.normalize(draw.random((4, 6)) ** 20), draw.dirichlet(np.ones(4), 3)
    given, options = (xp.array(atoms), xp.array(weights), xp.array(cost / cost.max())), {"eps": 0.02}
    found = wt.barycenter(*given, **options, domain="kernel")
    plain = wt.barycenter(atoms, weights, cost / cost.max(), **options, domain="log", acceleration=None)
    assert bool(xp.module.all(found.converged)) and wt.barycenter(*given, **options).domain == "kernel"
    assert_close(found.histogram, plain.histogram, atol=1e-8)


@pytest.mark.parametrize("seed", [46, 83, 121, 212])
def test_lumps_that_drift_apart_at_a_constant_speed_are_not_slower_than_plain(seed):
    # three times slower: what was extrapolated was the rounding of changes that did not change, or led back
    draw = np.random.default_rng(seed)
    x, (p, q) = np.sort(draw.random(9)), wt.normalize(draw.random((2, 9)) ** 5)
    found, plain = (
        wt.sinkhorn(p, q, wt.cost_matrix(x, power=1), eps=4e-4, domain="log", acceleration=a) for a in ("auto", None)
    )
    assert found.converged and plain.converged and found.n_iter < 0.8 * plain.n_iter
    assert_close(found.plan, plain.plan, atol=1e-7)


def test_an_extrapolation_that_lowers_the_dual_value_is_undone():
    # a map whose changes are no guide: where they point, it is worse
    asked = []

    def problem(rows):
        def plain(x, state):
            asked.append(float(x[0, 0, 0]))
            here = x[0, 0, 0]
            step = 0.1 if here < 1.0 else -0.1 * here
            new = x + step
            dual = lambda: np.array([-abs(float(new[0, 0, 0]) - 1.0)])  # noqa: E731
            return Plain(new, np.ones_like(x), np.ones((1, 1, 1)), dual, SinkhornState(new[:, 0], new[:, 0]))

        return plain

    accelerated(problem, np.zeros((1, 1, 1)), tol=1e-30, max_iter=60, free=False)
    assert max(np.abs(asked)) > 10 and abs(asked[-1] - 1.0) < 0.5  # it jumped far, and came back


def test_a_jump_to_where_no_mass_is_left_is_undone_and_not_called_converged():
    # an iteration that finds no mass has no violation either: what tells is the dual value
    def problem(rows):
        def plain(x, state):
            here = float(x[0, 0, 0])
            new = x + (0.01 * 0.999**here if here < 30.0 else 0.0 if here > 40.0 else 0.5 * (30.0 - here))
            mass = np.ones_like(x) if here < 40.0 else np.zeros_like(x)
            dual = lambda: np.array([-abs(float(new[0, 0, 0]) - 30.0)])  # noqa: E731
            return Plain(new, mass, np.ones((1, 1, 1)), dual, SinkhornState(new[:, 0], new[:, 0]))

        return plain

    found = accelerated(problem, np.zeros((1, 1, 1)), tol=1e-12, max_iter=3000, free=False)
    assert found.converged.all() and abs(float(found.state.u[0, 0]) - 30.0) < 0.02


def test_a_run_that_is_nan_from_the_start_stops_at_once(xp):
    def problem(rows):
        def plain(x, state):
            return Plain(x * float("nan"), x * float("nan"), x[:, :, :1], lambda: x[:, 0, 0], SinkhornState(x, x))

        return plain

    found = accelerated(problem, xp.array(np.zeros((2, 1, 3))), tol=1e-9, max_iter=1000)
    assert found.n_iter == 3 and np.isnan(found.error) and not bool(xp.module.any(found.converged))


def test_a_scaling_that_underflows_where_there_is_mass_ends_the_run_and_a_long_move_does_not(xp):
    def problem(rows):
        def plain(x, state):
            new = x - 900.0  # of which the violation is infinite
            lost = new < -5000.0
            new = xp.module.where(lost, xp.module.full_like(new, -float("inf")), new)
            return Plain(new, xp.module.ones_like(x), x[:1, :1, :1] * 0 + 1, lambda: -x[:, 0, 0], SinkhornState(x, x))

        return plain

    with np.errstate(all="ignore"):  # as every door does
        found = accelerated(problem, xp.array(np.zeros((2, 1, 3))), tol=1e-9, max_iter=1000)
    assert 3 <= found.n_iter < 20 and np.isnan(found.error) and not bool(xp.module.any(found.converged))


def test_what_asks_for_plain_iterations_gets_them(rng):
    p, q = walk(rng, 2, 40)
    with pytest.warns(ConvergenceWarning, match="after 7 iterations"):
        exactly = wt.sinkhorn(p, q, GRID, eps=0.05, tol=0.0, max_iter=7, acceleration="auto")
    u = nth(wt.sinkhorn_steps(p, q, wt.gibbs_kernel(GRID, 0.05)), 7).u
    assert_close(exactly.f, 0.05 * np.log(u), atol=1e-14)
    heavy = [wt.sinkhorn(p, q, GRID, eps=0.05, momentum=-0.2, acceleration=a).n_iter for a in ("auto", None)]
    assert heavy[0] == heavy[1]
    fixed = [
        wt.barycenter(np.stack([p, q]), [0.5, 0.5], GRID, eps=0.05, n_iter=9, acceleration=a) for a in ("auto", None)
    ]
    assert (fixed[0].histogram == fixed[1].histogram).all()
    for door in (wt.sinkhorn, wt.sinkhorn_divergence):
        with pytest.raises(
            ValueError, match="acceleration must be 'auto', or None for the paper's plain iteration; got 'fast'"
        ):
            door(p, q, GRID, eps=0.05, acceleration="fast")
    with pytest.raises(ValueError, match="acceleration must be 'auto'"):
        wt.barycenter(np.stack([p, q]), [0.5, 0.5], GRID, eps=0.05, acceleration=True)


def test_the_gradient_of_an_extrapolated_run_is_its_potential_for_torch_too(rng):
    torch = pytest.importorskip("torch")
    p, q = (torch.tensor(h) for h in walk(rng, 2, 40))
    tracked = p.clone().requires_grad_()
    found = wt.sinkhorn(tracked, q, GRID, eps=0.05)
    assert found.n_iter == wt.sinkhorn(p, q, GRID, eps=0.05).n_iter
    (slope,) = torch.autograd.grad(found.value, tracked)
    f = wt.sinkhorn(p, q, GRID, eps=0.05).f
    assert_close(slope - slope.mean(), f - f.mean(), atol=1e-6)


def test_float32_converges_to_what_float32_can_resolve(xp, rng):
    p, q = walk(rng, 2, 3, 40)
    found = wt.sinkhorn(xp.array(p, dtype=np.float32), xp.array(q, dtype=np.float32), GRID, eps=0.05, tol=1e-5)
    assert found.f.dtype == xp.array(p, dtype=np.float32).dtype and bool(xp.module.all(found.converged))
    assert_close(found.value, wt.sinkhorn(p, q, GRID, eps=0.05).value, atol=1e-4)


@pytest.mark.parametrize("seed", [0, 3])
def test_a_dual_value_near_zero_does_not_stop_a_run(seed):
    # 2 of these 256 pairs stood still at 1e-9, each step undone for rounding, until an extrapolation of none was no number
    rng = np.random.default_rng(seed)
    h = wt.normalize(np.exp(np.cumsum(0.05 * rng.standard_normal((128, 100)), axis=1)))
    found = wt.sinkhorn(h[:64], h[64:], wt.LineCost(np.linspace(0, 10, 100)), eps=0.05, tol=1e-10, max_iter=1000)
    assert found.converged.all() and found.domain == "kernel"
