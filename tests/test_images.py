from __future__ import annotations

import numpy as np
import pytest
from conftest import assert_close, random_histograms

import wdl_tutorial as wt
from wdl_tutorial import gradients
from wdl_tutorial._fast import image, line
from wdl_tutorial.kernels import bands

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
    line.release()


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
    line.release()


def test_the_pass_knows_when_underflow_has_spoilt_it():
    atoms = np.zeros((2, 40 * 60))
    atoms[0, 0] = atoms[1, -1] = 1.0
    with np.errstate(all="ignore"):
        done = image.forward(atoms, np.array([[0.5, 0.5]]), wt.gibbs_kernel(wt.GridCost((40, 60)), 0.5), 20)
    assert not done.right
    line.release()


def test_what_is_kept_of_a_long_run_is_bounded(rng):
    size = 4 * 240 * 272
    every = image.checkpoint_every(25, size)
    assert (25 / every + 2 * every) * size <= image.TAPE_ELEMENTS
    assert image.checkpoint_every(25, 1000) == 1
    assert image.checkpoint_every(200, 10**9) == 10  # where memory has its minimum
    assert image.checkpoint_every(1, 10**9) == 1
