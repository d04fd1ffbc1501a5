"""Kernels: three ways to say one matrix, in two domains, on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_close

import wdl_tutorial as wt
from wdl_tutorial import kernels
from wdl_tutorial._array import safe_log
from wdl_tutorial._fast.line import Layout
from wdl_tutorial.kernels import BLOCK

SPECIAL = {
    "grid 1-D": wt.GridCost(23, spacing=0.3),
    "grid 2-D, p=1": wt.GridCost((4, 6), power=1, spacing=(1.0, 0.5)),
    "grid 3-D": wt.GridCost((2, 3, 4), spacing=0.7),
    "line, p=1, one block": wt.LineCost(np.cumsum(np.linspace(0.1, 1.0, 21)), scale=0.7),
    "line, p=1, many blocks": wt.LineCost(np.cumsum(np.linspace(0.01, 0.3, 3 * BLOCK + 5))),
    "line, p=2": wt.LineCost(np.linspace(0, 3, 17) ** 1.5, power=2),
    "line, one bin": wt.LineCost([2.0]),
}


@pytest.mark.parametrize("name", SPECIAL)
@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_every_kernel_is_the_dense_matrix(xp, rng, name, domain):
    cost, eps = SPECIAL[name], 0.8
    n = cost.shape[0]
    dense = np.exp(-cost.dense() / eps)
    x = rng.random((2, 3, n)) + 0.01
    kernel = wt.gibbs_kernel(cost, eps, domain=domain)
    assert kernel.domain == domain and kernel.eps == eps and tuple(kernel.shape) == (n, n)
    into, back = (np.log, np.exp) if domain == "log" else (lambda z: z, lambda z: z)
    given = xp.array(into(x))
    assert type(kernel.apply(given)) is type(given)
    # sums of positive terms: nothing cancels
    assert_close(back(xp.numpy(kernel.apply(given))), x @ dense.T, rtol=1e-13)
    assert_close(back(xp.numpy(kernel.apply_t(given))), x @ dense, rtol=1e-13)


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_a_rectangular_kernel_multiplies_from_both_sides(xp, rng, domain):
    cost, x, y = rng.random((4, 6)), rng.random(6), rng.random(4)
    kernel = wt.gibbs_kernel(xp.array(cost), 0.5, domain=domain)
    into, back = (np.log, np.exp) if domain == "log" else (lambda z: z, lambda z: z)
    assert_close(back(xp.numpy(kernel.apply(xp.array(into(x))))), np.exp(-2 * cost) @ x, rtol=1e-14)
    assert_close(back(xp.numpy(kernel.apply_t(xp.array(into(y))))), np.exp(-2 * cost).T @ y, rtol=1e-14)


@pytest.mark.parametrize("name", SPECIAL)
@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_a_sandwich_takes_factors_of_any_sign(xp, rng, name, domain):
    cost = SPECIAL[name]
    n = cost.shape[0]
    dense = np.exp(-cost.dense() / 0.8)
    left, right, w = rng.random((2, n)) + 0.5, rng.random((2, n)) + 0.5, rng.standard_normal((2, n))
    kernel = wt.gibbs_kernel(cost, 0.8, domain=domain)
    factors = (np.log(left), np.log(right)) if domain == "log" else (left, right)
    ours = kernel.sandwich(*(xp.array(z) for z in (*factors, w)))
    size = np.abs(w).sum()  # terms of both signs cancel: the error is relative to their size
    assert_close(ours, left * ((right * w) @ dense.T), atol=1e-13 * size)
    assert_close(
        kernel.sandwich_t(*(xp.array(z) for z in (*factors, w))), left * ((right * w) @ dense), atol=1e-13 * size
    )


@pytest.mark.parametrize("name", [*SPECIAL, "dense"])
def test_a_sandwich_of_nothing_is_nothing_also_between_factors_beyond_the_floats(xp, name):
    """The weight of an atom is 0, and its scaling alone is more than a float can hold."""
    cost = wt.cost_matrix(np.linspace(0, 3, 20)) if name == "dense" else SPECIAL[name]
    n = cost.shape[0]
    kernel = wt.gibbs_kernel(xp.array(cost) if name == "dense" else cost, 0.8, domain="log")
    w = np.stack([np.zeros(n), np.ones(n)])
    given = (xp.array(z) for z in (np.full((2, n), 800.0), np.full((2, n), -800.0), w))
    found = xp.numpy(kernel.sandwich(*given))
    assert (found[0] == 0).all() and np.isfinite(found[1]).all() and (found[1] > 0).all()


@pytest.mark.parametrize("name", SPECIAL)
def test_log_kernels_reach_where_exp_does_not(xp, name):
    cost, eps = SPECIAL[name], 1e-6
    n = cost.shape[0]
    log_x = np.full((1, n), -float("inf"))
    log_x[0, n // 2] = 5.0
    applied = wt.gibbs_kernel(cost, eps, domain="log").apply(xp.array(log_x))
    assert_close(applied[0, :], 5.0 - cost.dense()[n // 2] / eps, rtol=1e-13)  # one term: the log of it is exact


@pytest.mark.parametrize("name", SPECIAL)
def test_a_factor_of_zero_does_not_hide_the_terms_that_count(xp, name):
    cost = SPECIAL[name]
    n = cost.shape[0]
    right, w = np.full((1, n), 5000.0), np.zeros((1, n))
    right[0, n // 2], w[0, n // 2] = -5000.0, -2.0  # one term, exp(10,000) below those that zero takes out
    pulled = wt.gibbs_kernel(cost, 0.8, domain="log").sandwich(
        *(xp.array(z) for z in (np.full((1, n), 5000.0), right, w))
    )
    assert_close(pulled[0, :], -2.0 * np.exp(-cost.dense()[n // 2] / 0.8), rtol=1e-11)  # of exponents about 5,000


@pytest.mark.parametrize("name", SPECIAL)
def test_the_log_of_nothing_stays_minus_infinity(xp, name):
    cost = SPECIAL[name]
    nothing = xp.array(np.full((2, cost.shape[0]), -float("inf")))
    assert_close(wt.gibbs_kernel(cost, 0.1, domain="log").apply(nothing), nothing)


@pytest.mark.parametrize("name", SPECIAL)
def test_columns_are_apply_with_the_bins_first(rng, name):
    cost = SPECIAL[name]
    for given in (cost, cost.dense()):
        kernel = wt.gibbs_kernel(given, 0.8)
        layout = Layout(cost.shape[0], *kernel.blocks)
        x = rng.random((5, cost.shape[0]))
        operand, out = layout.operand("x", (5,), x.dtype), layout.result("y", (5,), x.dtype)
        for columns, plain in ((kernel.columns, kernel.apply), (kernel.columns_t, kernel.apply_t)):
            operand[:, : layout.size] = layout.split(x)
            columns(operand, out)
            assert_close(layout.join(out), plain(x), rtol=1e-13)


def test_a_matrix_of_distances_on_a_sorted_line_is_recognised_and_others_are_not(rng):
    t = np.sort(rng.random(80))
    line, plane = wt.cost_matrix(t, power=1), wt.cost_matrix(rng.random((80, 2)), power=1)
    assert type(wt.gibbs_kernel(line, 0.1)) is type(wt.gibbs_kernel(wt.LineCost(t), 0.1))
    for other in (
        plane,
        wt.cost_matrix(t),
        line + 1e-9 * np.eye(80),
        line[::-1],
        wt.cost_matrix(rng.permutation(t), power=1),
    ):
        assert type(wt.gibbs_kernel(other, 0.1)) is not type(wt.gibbs_kernel(line, 0.1))


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_kernels_take_the_floating_type_of_what_they_meet(xp, domain):
    for cost in (wt.GridCost((2, 3)), wt.LineCost(np.arange(6.0)), xp.array(wt.cost_matrix(np.arange(6)))):
        x = xp.array(np.full((1, 6), 0.5), dtype=np.float32)
        kernel = wt.gibbs_kernel(cost, 1.0, domain=domain).like(x)
        assert kernel.apply(x).dtype == x.dtype


def test_safe_log_knows_zero(xp):
    assert_close(safe_log(xp.array([0.0, 1.0])), [-float("inf"), 0.0])


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("eps", "error", "message"),
    [
        (0, ValueError, "eps must be positive; got 0.*units of the cost.*blur_width"),
        (-0.1, ValueError, "eps must be positive; got -0.1"),
        (float("nan"), ValueError, "eps must be positive; got nan"),
        (float("inf"), ValueError, "eps must be positive.*got inf"),
        ("0.1", ValueError, "eps must be positive; got .0.1"),
        (True, ValueError, "eps must be positive; got True"),
    ],
)
def test_eps_must_be_a_positive_number(eps, error, message):
    with pytest.raises(error, match=message):
        wt.gibbs_kernel(wt.GridCost(3), eps)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wt.gibbs_kernel(np.ones(3), 1.0), r"cost must be a matrix.*got an array of shape \(3,\)"),
        (lambda: wt.gibbs_kernel([[0, float("inf")]], 1.0), "cost holds NaN or infinite.*large finite cost"),
        (lambda: wt.gibbs_kernel(wt.GridCost(3), 1.0, domain="auto"), "domain must be 'kernel' or 'log'; got 'auto'"),
        (lambda: wt.gibbs_kernel(wt.GridCost(3), 1.0).apply(np.ones(4)), "3 bins on this side but the array has 4"),
    ],
)
def test_kernels_say_what_does_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_a_dense_kernel_refuses_another_backend(domain):
    torch = pytest.importorskip("torch")
    kernel = wt.gibbs_kernel(np.ones((3, 3)), 1.0, domain=domain)
    for product in (kernel.apply, kernel.apply_t):
        with pytest.raises(TypeError, match="one backend; got numpy and torch"):
            product(torch.ones(3))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("spread", [1.0, 60.0, 3000.0])
def test_the_fast_path_of_the_log_domain_is_the_plain_one(spread, signed):
    rng = np.random.default_rng(0)
    exponent = -wt.GridCost(70).dense() / 3.0
    x = spread * rng.normal(size=(20, 70))
    x[3, :30], x[5], x[6, 1:] = -np.inf, -np.inf, -np.inf
    w = rng.normal(size=x.shape) if signed else None
    with np.errstate(all="ignore"):
        (fast, shift), (plain, other) = kernels._push_blocks(exponent, x, w), kernels._push_plain(exponent, x, w)
        assert np.array_equal(np.sign(fast), np.sign(plain))
        there = plain != 0
        assert np.array_equal(there, np.arange(20)[:, None] + 0 * exponent[0] != 5)
        logs = np.log(np.abs(fast)) + shift, np.log(np.abs(plain)) + other
    assert_close(logs[0][there], logs[1][there], atol=1e-10, rtol=1e-14)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_a_cost_without_bins_is_named(xp, shape):
    with pytest.raises(ValueError, match=rf"^cost is empty: its shape is \({shape[0]}, {shape[1]}\)"):
        wt.gibbs_kernel(xp.array(np.zeros(shape)), 0.1)
