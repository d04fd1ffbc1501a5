"""The NumPy twins: the plain iterations, in buffers that one pass at a time may use."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_close, gaussian, random_histograms

import wdl_tutorial as wt
from wdl_tutorial import barycenters, gradients, transport
from wdl_tutorial._fast import image, lent_buffers, line, path_for
from wdl_tutorial._fast.buffers import buffer
from wdl_tutorial.iterate import Accuracy, nth
from wdl_tutorial.kernels import bands
from wdl_tutorial.scaling import PLAIN, Variant

# ------------------------------------------------------------------------------------------------------------- lines

COSTS = {
    "dense": np.abs(np.subtract.outer(np.arange(70), np.arange(70))) ** 1.5 / 20 + np.tri(70) / 10,
    "grid": wt.GridCost((7, 10), spacing=0.3),
    "line": wt.LineCost(np.cumsum(np.linspace(0.05, 0.2, 70))),
}


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("n_iter", [1, 2, 20])
def test_the_recorded_pass_is_the_plain_barycenter_and_its_pull_the_plain_sweep(rng, name, n_iter):
    atoms, weights = random_histograms(rng, 3, 70), random_histograms(rng, 5, 3)
    kernel, grad = wt.gibbs_kernel(COSTS[name], 0.5), rng.standard_normal((5, 70))
    tape = gradients.record(atoms, weights, kernel, n_iter)
    plain = gradients.unrolled(atoms, weights, kernel, tape, grad)
    fast = line.forward(atoms, weights, kernel, n_iter)
    assert fast.right
    assert_close(fast.histogram, tape[-1].histogram, rtol=1e-12)
    grad_atoms, grad_weights = fast.pull(grad)
    assert relative_error(grad_atoms, plain.grad_atoms.sum(0)) < 1e-12
    assert relative_error(grad_weights, plain.grad_weights) < 1e-12


@pytest.mark.parametrize("name", COSTS)
def test_the_scalings_of_the_fast_path_are_the_steps_of_sinkhorn(rng, name):
    p, q, kernel = random_histograms(rng, 4, 1, 70), random_histograms(rng, 3, 70), wt.gibbs_kernel(COSTS[name], 0.5)
    for n_iter in (1, 9):
        fast, plain = line.scalings(p, q, kernel, n_iter), nth(wt.sinkhorn_steps(p, q, kernel), n_iter)
        for a, b in zip(fast, plain):
            assert a.shape == (4, 3, 70)
            assert_close(a, b, rtol=1e-12)


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("zeros", [False, True])
def test_the_operator_of_the_implicit_gradient_is_the_plain_one(rng, name, zeros):
    atoms, weights = random_histograms(rng, 3, 70), random_histograms(rng, 5, 3)
    if zeros:
        atoms[0, :20] = weights[2, 1] = 0.0
    kernel = wt.gibbs_kernel(COSTS[name], 0.5)
    state = nth(wt.barycenter_steps(atoms, weights, kernel), 30)
    link = gradients._linked(weights, kernel, state, PLAIN)
    operator, into, out = path_for(kernel, PLAIN, atoms).return_trip(link)
    y = link.onward(rng.standard_normal(state.b.shape))
    assert_close(out(into(y)), y, rtol=0)
    for rows in (None, np.array([0, 2, 3])):
        some, z = (link, y) if rows is None else (link.rows(rows), y[rows])
        assert_close(out(operator(rows)(into(z))), z - some.onward(some.mean_return(z)), atol=1e-12)


def test_the_fast_path_knows_when_it_was_wrong():
    atoms = np.stack([gaussian(200, 50, 5), gaussian(200, 130, 10)])
    with np.errstate(all="ignore"):
        done = line.forward(atoms, np.array([[0.5, 0.5]]), wt.gibbs_kernel(wt.GridCost(200), 1.0), 30)
    assert not done.right


@pytest.mark.parametrize("cost", [wt.GridCost(11, spacing=0.1), wt.LineCost(np.linspace(0, 1, 11))])
def test_the_fast_path_starts_where_the_plain_one_does(cost):
    rng = np.random.default_rng(13)
    atoms, weights = random_histograms(rng, 3, 11), rng.dirichlet(np.full(3, 2.0), size=5)
    kernel = wt.gibbs_kernel(cost, 0.15)
    log_b = np.random.default_rng(2).normal(size=(5, 3, 11))
    fast = line.forward(atoms, weights, kernel, 4, log_b=log_b)
    tape = gradients.record(atoms, weights, kernel, 4, log_b=log_b)
    assert_close(fast.histogram, tape[-1].histogram, rtol=1e-12)
    assert_close(fast.log_b(), np.log(tape[-1].b), atol=1e-12)


# ------------------------------------------------------------------------------------------------------------ images

SHAPES = {"wide": (5, 11), "tall, of many bands": (60, 40), "one row": (1, 30), "one column": (33, 1)}


def relative_error(x, y) -> float:
    return float(np.abs(x - y).max() / np.abs(y).max())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("n_iter", [1, 2, 11])
@pytest.mark.parametrize("tape", [2**22, 1])
def test_the_pass_is_the_plain_barycenter_and_its_pull_the_plain_sweep(rng, monkeypatch, shape, n_iter, tape):
    monkeypatch.setattr(image, "TAPE_ELEMENTS", tape)
    n = shape[0] * shape[1]
    atoms, weights, grad = random_histograms(rng, 3, n), random_histograms(rng, 5, 3), rng.standard_normal((5, n))
    kernel = wt.gibbs_kernel(wt.GridCost(shape), 0.5)
    log_b = rng.standard_normal((5, 3, n))
    for start in (None, log_b):
        states = gradients.record(atoms, weights, kernel, n_iter, log_b=start)
        plain = gradients.unrolled(atoms, weights, kernel, states, grad, warm=start is not None)
        fast = image.forward(atoms, weights, kernel, n_iter, log_b=start)
        assert fast.right
        assert_close(fast.histogram, states[-1].histogram, rtol=1e-12)
        assert_close(fast.log_b(), np.log(states[-1].b), atol=1e-11)
        grad_atoms, grad_weights = fast.pull(grad)
        assert relative_error(grad_atoms, plain.grad_atoms.sum(0)) < 1e-11
        assert relative_error(grad_weights, plain.grad_weights) < 1e-11


def test_a_band_holds_all_that_is_not_zero_and_leaves_out_what_is():
    k = np.exp(-(np.subtract.outer(np.arange(272.0), np.arange(272.0)) ** 2) / 2)
    narrow, whole = bands(k, 24), np.zeros_like(k)
    for band in narrow:
        whole[band.makes, band.reads] = band.block
    assert np.array_equal(whole, k)
    assert sum(band.block.size for band in narrow) < 0.4 * k.size
    assert k[0, 38] > 0 and k[0, 39] == 0  # exp(-39**2 / 2) is below the smallest number


def test_an_image_whose_kernel_is_mostly_zero_has_the_gradient_of_autograd(rng):
    torch = pytest.importorskip("torch")
    shape, eps, n_iter = (50, 70), 2.0, 8
    atoms, weights = random_histograms(rng, 2, 3500), random_histograms(rng, 3, 2)
    x = random_histograms(rng, 3, 3500)
    x[:, :1000] = 1e-12  # a dark border, as of a scan
    x = wt.normalize(x)
    ours = wt.wdl_objective(x, atoms, weights, wt.GridCost(shape), eps=eps, loss="quadratic", n_iter=n_iter)
    k = [torch.exp(-((torch.arange(n, dtype=torch.float64)[:, None] - torch.arange(n)) ** 2) / eps) for n in shape]
    d, w = (torch.tensor(y, requires_grad=True) for y in (atoms, weights))

    def product(b):
        return (k[0] @ b.reshape(3, 2, *shape) @ k[1]).reshape(3, 2, -1)

    b = torch.ones(3, 2, 3500, dtype=torch.float64)
    for _ in range(n_iter):
        phi = product(d / product(b))
        p = torch.exp((w[..., None] * torch.log(phi)).sum(1))
        b = p[:, None] / phi
    value = ((p - torch.tensor(x)) ** 2).sum(-1).mean()
    value.backward()
    assert ours.value == pytest.approx(value.item(), rel=1e-12)
    assert relative_error(ours.grad_atoms, d.grad.numpy()) < 1e-9
    assert relative_error(ours.grad_weights, w.grad.numpy()) < 1e-9


def test_a_single_precision_image_is_worked_on_as_one(rng):
    atoms, weights = random_histograms(rng, 2, 600).astype("f4"), random_histograms(rng, 4, 2).astype("f4")
    kernel = wt.gibbs_kernel(wt.GridCost((20, 30)), 2.0).like(atoms)
    done = image.forward(atoms, weights, kernel, 5)
    plain = gradients.record(atoms.astype("f8"), weights.astype("f8"), wt.gibbs_kernel(wt.GridCost((20, 30)), 2.0), 5)
    assert done.histogram.dtype == done.pull(done.histogram)[0].dtype == np.float32
    assert_close(done.histogram, plain[-1].histogram, rtol=1e-4)


def test_the_pass_knows_when_underflow_has_spoilt_it():
    atoms = np.zeros((2, 40 * 60))
    atoms[0, 0] = atoms[1, -1] = 1.0
    with np.errstate(all="ignore"):
        done = image.forward(atoms, np.array([[0.5, 0.5]]), wt.gibbs_kernel(wt.GridCost((40, 60)), 0.5), 20)
    assert not done.right


def test_what_is_kept_of_a_long_run_is_bounded(rng):
    size = 4 * 240 * 272
    every = image.checkpoint_every(25, size)
    assert (25 / every + 2 * every) * size <= image.TAPE_ELEMENTS
    assert image.checkpoint_every(25, 1000) == 1
    assert image.checkpoint_every(200, 10**9) == 10  # where memory has its minimum
    assert image.checkpoint_every(1, 10**9) == 1


@pytest.mark.parametrize("shape", [(70,), (7, 10)], ids=["line", "image"])
def test_a_pass_whose_buffers_another_has_used_raises_instead_of_answering(rng, shape):
    atoms, weights, other = random_histograms(rng, 2, 70), random_histograms(rng, 3, 2), random_histograms(rng, 3, 2)
    kernel, grad = wt.gibbs_kernel(wt.GridCost(shape), 4.0), rng.standard_normal((3, 70))
    forward = path_for(kernel, PLAIN, atoms, weights).forward
    first = forward(atoms, weights, kernel, 10)
    expected = wt.barycenter_vjp(atoms, weights, wt.GridCost(shape), grad, eps=4.0, n_iter=10)
    for ask in (lambda: first.pull(grad), first.log_b):
        with pytest.raises(RuntimeError, match="lost its buffers to a later one"):
            ask()  # the call above has begun another pass in this thread
    fresh = forward(atoms, weights, kernel, 10)
    for found, right in zip(fresh.pull(grad), expected):
        assert_close(found, right, rtol=1e-12)
    forward(atoms, other, kernel, 10)
    with pytest.raises(RuntimeError, match="pull its gradient back before the next forward pass"):
        fresh.pull(grad)


def test_buffers_are_let_go_at_the_end_of_the_outermost_block_and_with_them_the_pass(rng):
    atoms, weights, kernel = random_histograms(rng, 2, 70), np.full((3, 2), 0.5), wt.gibbs_kernel(wt.GridCost(70), 4.0)
    with lent_buffers():
        held = buffer("mine", (3,), np.dtype(float))
        with lent_buffers():
            done = line.forward(atoms, weights, kernel, 3)
        assert buffer("mine", (3,), np.dtype(float)) is held
        done.pull(np.ones((3, 70)))
    assert buffer("mine", (3,), np.dtype(float)) is not held
    with pytest.raises(RuntimeError, match="released"):
        done.pull(np.ones((3, 70)))


def test_the_door_knows_what_its_twins_do_not(rng):
    x, torch = random_histograms(rng, 2, 70), pytest.importorskip("torch")
    line_kernel, image_kernel = (wt.gibbs_kernel(wt.GridCost(shape), 4.0) for shape in ((70,), (7, 10)))
    assert path_for(line_kernel, PLAIN, x).forward is line.forward
    assert path_for(image_kernel, PLAIN, x).forward is image.forward
    assert path_for(image_kernel, PLAIN, x).scalings is line.scalings
    for variant in (Variant(1.0), Variant(momentum=-0.1), Variant(debiased=True)):
        assert path_for(line_kernel, variant, x) is None
    assert path_for(wt.gibbs_kernel(wt.GridCost(70), 4.0, domain="log"), PLAIN, x) is None
    assert path_for(line_kernel, PLAIN, x, torch.ones(70)) is None


@pytest.mark.parametrize("seed", range(12))
def test_the_twin_of_the_extrapolation_ends_where_it_ends(seed):
    """Also where weights are 0, histograms hold zeros, and rows leave one after the other."""
    rng = np.random.default_rng(seed)
    n, rows = int(rng.integers(5, 60)), int(rng.choice([1, 3, 40]))
    cost = wt.cost_matrix(np.sort(rng.random(n)), power=rng.choice([1, 2]))
    kernel, variant, accuracy = (
        wt.gibbs_kernel(cost / cost.max(), 10 ** rng.uniform(-2, 0)),
        Variant(),
        Accuracy(None, 1e-9),
    )

    def histograms(k):
        h = rng.random((k, n)) ** rng.choice([1, 5])
        h = h * (rng.random((k, n)) < 0.7) if seed % 2 else h
        h[:, rng.integers(n)] += 0.1
        return wt.normalize(h)

    p, q, atoms, weights = histograms(rows), histograms(rows), histograms(3), rng.dirichlet(np.ones(3), rows)
    weights[::2, 0] = 0.0
    path = path_for(kernel, variant, p)
    for settle, given, twin in (
        (transport.settle, (p, q), path.sinkhorn_iteration),
        (barycenters.settle, (atoms, wt.normalize(weights)), path.barycenter_iteration),
    ):
        with np.errstate(all="ignore"):
            plain, fast = (
                settle(*given, kernel, variant, accuracy),
                settle(*given, kernel, variant, accuracy, twin=twin),
            )
        assert plain.converged.all() and fast.converged.all()
        assert abs(fast.n_iter - plain.n_iter) <= max(8, plain.n_iter // 2)  # rounding may lead a slow row another way
        if settle is transport.settle:
            ends = [state.u * kernel.apply(state.v * np.arange(n)) for state in (plain.state, fast.state)]
        else:
            ends = [plain.state.histogram, fast.state.histogram]
        assert_close(*ends, atol=1e-7)


def test_a_scaling_that_underflows_in_an_atom_of_no_weight_stops_no_twin():
    """Chapter 1: two Gaussians, one of them with the weight 0. What is 0 * -inf in the dual value is 0."""
    x = np.arange(200.0)
    atoms = wt.normalize(np.exp(-0.5 * ((x - [[50], [130]]) / [[5], [10]]) ** 2))
    weights = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    kernel, variant = wt.gibbs_kernel(wt.LineCost(x, power=2, scale=1 / 199**2), 1e-3), Variant()
    path = path_for(kernel, variant, atoms)
    for settle, given, twin in (
        (barycenters.settle, (atoms, weights), path.barycenter_iteration),
        (transport.settle, (atoms, atoms[::-1]), path.sinkhorn_iteration),
    ):
        with np.errstate(all="ignore"):
            plain = settle(*given, kernel, variant, Accuracy(None, 1e-9, 500))
            fast = settle(*given, kernel, variant, Accuracy(None, 1e-9, 500), twin=twin)
        assert np.array_equal(plain.converged, fast.converged) and fast.n_iter == plain.n_iter
    found = wt.barycenter(atoms, weights, wt.LineCost(x, power=2, scale=1 / 199**2), eps=1e-3)
    assert found.converged.all() and found.n_iter < 100


@pytest.mark.parametrize("cost", COSTS)
def test_the_twins_of_one_plain_iteration_lead_where_the_plain_ones_do(cost):
    draw = np.random.default_rng(0)
    atoms, weights, p, q = (random_histograms(draw, *shape) for shape in ((3, 70), (4, 3), (5, 70), (5, 70)))
    q[1, :20], atoms[0, 50:] = 0.0, 0.0
    q, atoms = wt.normalize(q), wt.normalize(atoms)
    kernel, accuracy, variant = wt.gibbs_kernel(COSTS[cost], 0.5), Accuracy(None, 1e-12), Variant()
    path = path_for(kernel, variant, p)
    for settle, given, twin in (
        (transport.settle, (p, q), path.sinkhorn_iteration),
        (barycenters.settle, (atoms, weights), path.barycenter_iteration),
    ):
        with np.errstate(all="ignore"):
            plain = settle(*given, kernel, variant, accuracy)
            fast = settle(*given, kernel, variant, accuracy, twin=twin)
        assert fast.converged.all() and abs(fast.n_iter - plain.n_iter) <= 6
        for a, b in zip(fast.state, plain.state):
            if a is not None and settle is transport.settle:
                assert_close(a, b, rtol=1e-9)
        if settle is barycenters.settle:
            assert_close(fast.state.histogram, plain.state.histogram, atol=1e-11)
