"""Gradients by hand, held to torch autograd run through the barycenter itself, to the complex step, and to the papers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from conftest import assert_close, gaussian, random_histograms

import wdl_tutorial as wt
from wdl_tutorial import ConvergenceWarning, gradients, losses
from wdl_tutorial._array import array_namespace
from wdl_tutorial.barycenters import Adjoint, backward_step, settle, steps_of
from wdl_tutorial.iterate import Accuracy, nth
from wdl_tutorial.scaling import Variant

N_BINS, N_ATOMS, N_SAMPLES = 8, 3, 4
COST, EPS = wt.GridCost(N_BINS, spacing=0.2), 0.1
VARIANTS = {
    "balanced": {},
    "unbalanced": {"marginal_weight": 0.5},
    "heavy ball": {"momentum": -0.3},
    "both": {"marginal_weight": 0.5, "momentum": -0.3},
}


def problem(rng):
    return random_histograms(rng, N_ATOMS, N_BINS), random_histograms(rng, N_SAMPLES, N_ATOMS)


def relative_error(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


# ---------------------------------------------------------------------------------------------- against torch autograd


def torch_loss(name, p, x, rho=None):
    """The sum of a loss over samples, in torch; transport by its dual with the potentials detached."""
    torch = pytest.importorskip("torch")
    if name == "quadratic":
        return ((p - x) ** 2).sum()
    if name == "tv":
        return (p - x).abs().sum()
    if name == "kl":
        return (p * (p / x).log() - p + x).sum()
    if name == "kl_reverse":
        return (x * (x / p).log() - x + p).sum()
    k = torch.tensor(np.exp(-COST.dense() / EPS))

    def dual(p, q):
        theta = 1.0 if rho is None else rho / (rho + EPS)
        with torch.no_grad():
            u = torch.ones_like(p)
            for _ in range(20):
                v = (q / (u @ k)) ** theta
                u = (p / (v @ k)) ** theta
            f, g = EPS * u.log(), EPS * v.log()
            if rho is not None:
                f, g = -rho * torch.expm1(-f / rho), -rho * torch.expm1(-g / rho)
            mass = (u * (v @ k)).sum()
        return (f * p).sum() + (g * q).sum() - EPS * mass

    if name == "wasserstein":
        return dual(p, x)
    return dual(p, x) - dual(p, p) / 2 - dual(x, x) / 2


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("n_iter", [1, 10, 100])
def test_both_gradients_equal_autograd_through_the_barycenter(rng, n_iter, variant, domain):
    torch = pytest.importorskip("torch")
    atoms, weights = problem(rng)
    x = random_histograms(rng, N_SAMPLES, N_BINS)
    options = VARIANTS[variant] | {"eps": EPS, "n_iter": n_iter, "domain": domain}
    d, w = torch.tensor(atoms, requires_grad=True), torch.tensor(weights, requires_grad=True)
    p = wt.barycenter(d, w, COST, **options).histogram
    plain = wt.barycenter(atoms, weights, COST, **options).histogram
    for name in losses.NAMES:
        rho = options.get("marginal_weight") if name == "wasserstein" else None
        theirs = torch.autograd.grad(torch_loss(name, p, torch.tensor(x), rho), (d, w), retain_graph=True)
        kernel = wt.gibbs_kernel(COST, EPS, domain=domain)
        grad = losses.evaluate(name, plain, x, kernel, Accuracy(20), Variant(rho)).gradient
        ours = wt.barycenter_vjp(atoms, weights, COST, grad, **options)
        for mine, oracle in zip(ours, theirs):
            assert relative_error(mine, oracle.numpy()) < 1e-9, name


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("cost", [wt.LineCost(0.1 * np.arange(8) ** 1.3), wt.GridCost((2, 4), spacing=0.3)], ids=str)
@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_every_cost_pulls_back_like_its_dense_matrix(rng, cost, variant, domain):
    atoms, weights = problem(rng)
    grad = rng.standard_normal((N_SAMPLES, N_BINS))
    options = VARIANTS[variant] | {"eps": EPS, "n_iter": 12}
    ours = wt.barycenter_vjp(atoms, weights, cost, grad, domain=domain, **options)
    dense = wt.barycenter_vjp(atoms, weights, cost.dense(), grad, domain="kernel", **options)
    for a, b in zip(ours, dense):
        assert relative_error(a, b) < 1e-11


def test_an_asymmetric_cost_is_not_transposed_by_mistake(rng):
    atoms, weights = problem(rng)
    cost, grad = rng.random((N_BINS, N_BINS)), rng.standard_normal((N_SAMPLES, N_BINS))

    def function(d):
        return (wt.barycenter(d, weights, cost, eps=0.2, n_iter=7).histogram * grad).sum()

    for domain in ("kernel", "log"):
        ours, _ = wt.barycenter_vjp(atoms, weights, cost, grad, eps=0.2, n_iter=7, domain=domain)
        assert wt.check_gradient(function, atoms, ours).ok


@pytest.mark.parametrize("name", ["wasserstein", "sinkhorn_divergence"])
def test_at_convergence_the_envelope_is_full_autograd_of_everything(rng, name):
    torch = pytest.importorskip("torch")
    atoms, weights = problem(rng)
    x, kernel = random_histograms(rng, N_SAMPLES, N_BINS), wt.gibbs_kernel(COST, EPS)
    logits, w = torch.tensor(np.log(atoms), requires_grad=True), torch.tensor(weights, requires_grad=True)
    d = torch.softmax(logits, -1)
    p = wt.barycenter(d, w, COST, eps=EPS, n_iter=300).histogram
    loss = losses.evaluate(name, p, torch.tensor(x), kernel, Accuracy(300)).value.sum()
    full_atoms, full_weights = (z.numpy() for z in torch.autograd.grad(loss, (logits, w)))
    plain = wt.barycenter(atoms, weights, COST, eps=EPS, n_iter=300).histogram
    grad = losses.evaluate(name, plain, x, kernel, Accuracy(300)).gradient
    ours, ours_weights = wt.barycenter_vjp(atoms, weights, COST, grad, eps=EPS, n_iter=300)
    assert relative_error(gradients.softmax_vjp(atoms, ours), full_atoms) < 1e-6
    centred = [z - z.mean(-1, keepdims=True) for z in (ours_weights, full_weights)]  # up to a constant per sample
    assert relative_error(*centred) < 1e-6


# ------------------------------------------------------------------------------------------------ one code, many doors


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_every_backend_gives_the_same_gradients(xp, rng, variant, domain):
    atoms, weights = problem(rng)
    grad = rng.standard_normal((N_SAMPLES, N_BINS))
    options = VARIANTS[variant] | {"eps": EPS, "n_iter": 8, "domain": domain}
    ours = wt.barycenter_vjp(xp.array(atoms), xp.array(weights), COST, xp.array(grad), **options)
    for mine, plain in zip(ours, wt.barycenter_vjp(atoms, weights, COST, grad, **options)):
        assert type(mine) is type(xp.array(grad))
        assert relative_error(xp.numpy(mine), plain) < 1e-12


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_two_domains_agree_where_the_kernel_is_narrow(rng, variant):
    atoms = np.stack([gaussian(100, 30, 5), gaussian(100, 60, 8)])
    weights, grad = random_histograms(rng, 3, 2), rng.standard_normal((3, 100))
    options = VARIANTS[variant] | {"eps": 1e-2, "n_iter": 15}
    cost = wt.GridCost(100, spacing=1 / 99)
    kernel, log = (wt.barycenter_vjp(atoms, weights, cost, grad, domain=d, **options) for d in ("kernel", "log"))
    for a, b in zip(kernel, log):
        assert relative_error(a, b) < 1e-10


@pytest.mark.parametrize("variant", ["balanced", "heavy ball"])
def test_the_complex_step_finds_nothing_wrong(rng, variant):
    atoms, weights = problem(rng)
    grad = rng.standard_normal((N_SAMPLES, N_BINS))
    kernel = wt.gibbs_kernel(COST.dense(), EPS)

    def through(atoms, weights):
        steps = wt.barycenter_steps(atoms, weights, kernel, **VARIANTS[variant])
        return (nth(steps, 20).histogram * grad).sum()

    options = VARIANTS[variant] | {"eps": EPS, "n_iter": 20}
    ours = wt.barycenter_vjp(atoms, weights, COST, grad, **options)
    assert wt.check_gradient(lambda d: through(d, weights + 0j), atoms, ours[0], method="complex", tol=1e-11).ok
    assert wt.check_gradient(lambda w: through(atoms + 0j, w), weights, ours[1], method="complex", tol=1e-11).ok


def test_the_sum_over_samples_is_the_sum_of_single_samples(rng):
    atoms, weights = problem(rng)
    grad = rng.standard_normal((N_SAMPLES, N_BINS))
    options = {"eps": EPS, "n_iter": 10}
    whole = wt.barycenter_vjp(atoms, weights, COST, grad, **options)
    parts = [wt.barycenter_vjp(atoms, weights[i : i + 1], COST, grad[i : i + 1], **options) for i in range(N_SAMPLES)]
    assert_close(whole[0], sum(p[0] for p in parts), atol=1e-13)
    assert_close(whole[1], np.concatenate([p[1] for p in parts]), atol=1e-13)


# ------------------------------------------------------------------------------------------------------ the fast path


# ---------------------------------------------------------------------------------------------------------- implicit


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_the_implicit_gradient_is_the_unrolled_one_at_convergence(xp, rng, variant, domain):
    atoms, weights = (xp.array(z) for z in problem(rng))
    grad = xp.array(rng.standard_normal((N_SAMPLES, N_BINS)))
    options = VARIANTS[variant] | {"eps": EPS, "domain": domain}
    implicit = wt.barycenter_vjp(atoms, weights, COST, grad, n_iter=None, tol=1e-11, **options)
    plain = [xp.numpy(z) for z in (atoms, weights, grad)]
    options["domain"] = "kernel"
    unrolled = wt.barycenter_vjp(plain[0], plain[1], COST, plain[2], n_iter=400, **options)
    for a, b in zip(implicit, unrolled):
        assert relative_error(xp.numpy(a), b) < 1e-6


def test_an_implicit_gradient_that_stops_short_says_so(rng):
    atoms, weights = problem(rng)
    kernel = wt.gibbs_kernel(COST, EPS)
    state = nth(wt.barycenter_steps(atoms, weights, kernel), 300)
    with pytest.warns(ConvergenceWarning, match="Implicit gradient stopped after 3 iterations.*Raise max_iter, or eps"):
        gradients.implicit(atoms, weights, kernel, state, rng.standard_normal((4, 8)), tol=1e-12, max_iter=3)


def test_a_barycenter_that_stops_short_of_its_implicit_gradient_says_so(rng):
    atoms, weights = problem(rng)
    told = r"^2 inner runs of barycenter_vjp stopped short, at worst .* after 5 iterations .*Raise max_iter, or eps"
    with pytest.warns(ConvergenceWarning, match=told) as heard:
        wt.barycenter_vjp(atoms, weights, COST, rng.random((4, 8)), eps=0.02, n_iter=None, tol=1e-10, max_iter=5)
    assert len(heard) == 1


# -------------------------------------------------------------------------------------------------- the papers' letters


def algorithm_1(atoms, weights, k, n_iter, grad):
    """Both gradients for one sample, as Schmitz et al. (2018) print Algorithm 1: two backward loops, K twice in each."""
    b, phi = [np.ones_like(atoms)], [None]
    for _ in range(n_iter):
        phi.append((atoms / (b[-1] @ k.T)) @ k)
        p = np.prod(phi[-1] ** weights[:, None], axis=0)
        b.append(p / phi[-1])
    w, r, g = np.zeros(len(atoms)), np.zeros_like(atoms), grad * p
    for level in range(n_iter, 0, -1):
        w += np.log(phi[level]) @ g
        kb = b[level - 1] @ k.T
        inner = ((weights[:, None] * g - r) / phi[level]) @ k.T
        r = -((inner * atoms / kb**2) @ k) * b[level - 1]
        g = r.sum(0)
    y, z, n = np.zeros_like(atoms), np.zeros_like(atoms), grad
    for level in range(n_iter, 0, -1):
        c = ((weights[:, None] * n - z) * b[level]) @ k.T
        kb = b[level - 1] @ k.T
        y += c / kb
        if level == 1:
            break  # the paper's next line reads phi^(0), which nothing defines
        z = -((atoms * c / kb**2) @ k) / phi[level - 1]
        n = z.sum(0)
    return y, w


def test_algorithm_1_written_out_is_what_we_compute(rng):
    atoms, weights = problem(rng)
    k, grad = np.exp(-COST.dense() / EPS), rng.standard_normal((N_SAMPLES, N_BINS))
    for n_iter in (1, 2, 15):
        ours = wt.barycenter_vjp(atoms, weights, COST, grad, eps=EPS, n_iter=n_iter)
        printed = [algorithm_1(atoms, weights[i], k, n_iter, grad[i]) for i in range(N_SAMPLES)]
        assert relative_error(ours[0], sum(y for y, _ in printed)) < 1e-11
        assert relative_error(ours[1], np.stack([w for _, w in printed])) < 1e-11


def algorithm_4_weights(atoms, weights, k, n_iter, grad, sign):
    """The weights loop of Algorithm 4 for one sample, logarithms of negative numbers taken complex.

    ``sign`` is that of r in log(lambda_s g + sign r_s): printed -1; r is stored negated, so that +1 is right.
    """

    def kls(x):
        return np.log(np.exp(x) @ k)  # K is symmetric here

    v, phi, log_d = [np.zeros_like(atoms)], [None], np.log(atoms)
    for _ in range(n_iter):
        phi.append(kls(log_d - kls(v[-1])))
        log_p = weights @ phi[-1]
        v.append(log_p - phi[-1])
    w, r, g = np.zeros(len(atoms)), np.zeros_like(atoms), grad * np.exp(log_p)
    for level in range(n_iter, 0, -1):
        w = w + phi[level] @ g
        signed = np.log((weights[:, None] * g + sign * r).astype(complex))
        t = kls(signed - phi[level]) + log_d - 2 * kls(v[level - 1])
        r = np.exp(kls(t) + v[level - 1]).real
        g = -r.sum(0)
    return w


def test_algorithm_4_fails_as_printed_and_passes_mended(rng):
    atoms, weights = problem(rng)
    weights, grad, k = weights[:1], rng.standard_normal((1, N_BINS)), np.exp(-COST.dense() / EPS)

    def function(w):
        return (wt.barycenter(atoms, w, COST, eps=EPS, n_iter=10).histogram * grad).sum()

    printed, mended = (algorithm_4_weights(atoms, weights[0], k, 10, grad[0], sign)[None] for sign in (-1, 1))
    assert not wt.check_gradient(function, weights, printed, simplex=True, tol=0.1).ok
    assert wt.check_gradient(function, weights, mended, simplex=True).ok
    ours = wt.barycenter_vjp(atoms, weights, COST, grad, eps=EPS, n_iter=10, domain="log")[1]
    assert relative_error(ours, mended) < 1e-11


def test_the_printed_kl_gradient_fails_through_ten_iterations_and_ours_passes(rng):
    atoms, weights = problem(rng)
    x = random_histograms(rng, N_SAMPLES, N_BINS)
    p = wt.barycenter(atoms, weights, COST, eps=0.02, n_iter=3).histogram

    def function(d):
        return losses.kl(wt.barycenter(d, weights, COST, eps=0.02, n_iter=3).histogram, x).value.sum()

    for gradient, right in ((np.log(p / x), True), (np.log(p / x) - 1.0, False)):
        ours, _ = wt.barycenter_vjp(atoms, weights, COST, gradient, eps=0.02, n_iter=3)
        assert wt.check_gradient(function, atoms, ours).ok is right


# -------------------------------------------------------------------------------------------- zeros, small eps, float32


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_zeros_in_atoms_and_weights_leave_the_gradients_finite_and_equal(rng, variant, domain):
    atoms = np.array([[0.2, 0.8, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0.1, 0.2, 0.7, 0, 0], [0.3, 0, 0, 0.3, 0, 0, 0.2, 0.2]])
    weights, grad = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]), rng.standard_normal((2, N_BINS))
    options = VARIANTS[variant] | {"eps": EPS, "n_iter": 10}
    ours = wt.barycenter_vjp(atoms, weights, COST, grad, domain=domain, **options)
    plain = wt.barycenter_vjp(atoms, weights, COST, grad, domain="kernel", **options)
    for a, b in zip(ours, plain):
        assert np.isfinite(a).all() and relative_error(a, b) < 1e-10


def test_gradients_stay_right_where_the_kernel_domain_dies(rng):
    atoms = np.stack([gaussian(60, 15, 3), gaussian(60, 40, 4)])
    atoms[0, 45:] = 0.0
    atoms = wt.normalize(atoms)
    weights, grad = np.array([[0.4, 0.6]]), rng.standard_normal((1, 60))
    options = {"eps": 1e-4, "n_iter": 5}
    cost = wt.GridCost(60, spacing=1 / 59)

    def function(d, w):
        return float((wt.barycenter(d, w, cost, **options).histogram * grad).sum())

    grad_atoms, grad_weights = wt.barycenter_vjp(atoms, weights, cost, grad, **options)
    assert np.isfinite(grad_atoms).all()
    assert wt.check_gradient(lambda w: function(atoms, w), weights, grad_weights, step=1e-7, tol=1e-5).ok
    # a relative change of the atoms: their tails reach down to 1e-40
    z = np.zeros_like(atoms)
    assert wt.check_gradient(lambda s: function(atoms * np.exp(s), weights), z, grad_atoms * atoms, tol=1e-5).ok
    with pytest.raises(FloatingPointError, match=r"underflowed in barycenter_vjp \(float64\).*domain=\"log\""):
        wt.barycenter_vjp(atoms, weights, cost, grad, domain="kernel", **(options | {"eps": 1e-6}))


def test_float32_stays_float32(xp, rng):
    atoms, weights = problem(rng)
    grad = rng.standard_normal((N_SAMPLES, N_BINS))
    given = [xp.array(z, dtype=np.float32) for z in (atoms, weights, grad)]
    ours = wt.barycenter_vjp(given[0], given[1], COST, given[2], eps=EPS, n_iter=20)
    plain = wt.barycenter_vjp(atoms, weights, COST, grad, eps=EPS, n_iter=20)
    for a, b in zip(ours, plain):
        assert a.dtype == given[0].dtype
        assert relative_error(xp.numpy(a), b) < 1e-4


# ----------------------------------------------------------------------------------------------- softmax and the check


@pytest.mark.parametrize("domain", ["kernel", "log"])
def test_a_gradient_of_another_floating_type_is_pulled_back_in_the_wider(xp, rng, domain):
    atoms, weights = (z.astype(np.float32) for z in problem(rng))
    grad, options = rng.standard_normal((N_SAMPLES, N_BINS)), {"eps": EPS, "n_iter": 5, "domain": domain}
    mixed = (xp.array(atoms, dtype=np.float32), xp.array(weights, dtype=np.float32))
    found = wt.barycenter_vjp(*mixed, xp.array(COST.dense()), xp.array(grad), **options)
    wide = wt.barycenter_vjp(atoms.astype(float), weights.astype(float), COST.dense(), grad, **options)
    for ours, theirs in zip(found, wide):
        assert "float64" in str(ours.dtype) and relative_error(xp.numpy(ours), theirs) < 1e-12


def test_the_softmax_pull_back_is_that_of_autograd(xp, rng):
    torch = pytest.importorskip("torch")
    z, grad = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
    tracked = torch.tensor(z, requires_grad=True)
    y = torch.softmax(tracked, -1)
    (theirs,) = torch.autograd.grad((y * torch.tensor(grad)).sum(), tracked)
    assert_close(gradients.softmax_vjp(xp.array(y.detach().numpy()), xp.array(grad)), theirs.numpy(), atol=1e-15)


def test_the_softmax_pull_back_leaves_what_underflowed_where_it_is(xp):
    pulled = gradients.softmax_vjp(xp.array([0.0, 0.25, 0.75]), xp.array([-float("inf"), 1.0, 2.0]))
    assert_close(pulled, [0.0, 0.25 * (1 - 1.75), 0.75 * (2 - 1.75)], atol=1e-16)


def test_check_gradient_passes_the_right_and_fails_the_wrong(xp):
    x = xp.array([0.2, 0.5, 0.3])

    def cube(z):
        return xp.module.sum(z**3)

    assert wt.check_gradient(cube, x, 3 * x**2).ok
    caught = wt.check_gradient(cube, x, 3 * x**2 + 0.01)
    assert not caught.ok and caught.relative_error > 1e-3
    assert wt.check_gradient(cube, x, 3 * x**2 + 0.01, simplex=True).ok  # a constant is no slope on the simplex
    assert caught.by_gradient.shape == caught.by_difference.shape == (5,)


def test_check_gradient_by_the_complex_step_is_exact_to_rounding():
    x = np.array([0.3, 0.9])
    found = wt.check_gradient(lambda z: np.exp(z).sum(), x, np.exp(x), method="complex")
    assert found.ok and found.relative_error < 1e-14


def test_check_gradient_repeats_with_its_seed():
    x = np.array([0.3, 0.9])
    one, same, other = (wt.check_gradient(np.sum, x, x, random_state=s).by_gradient for s in (3, 3, 4))
    assert (one == same).all() and (one != other).any()


# --------------------------------------------------------------------------------------------------------- bad input


def test_lists_simply_work_and_nothing_writes_into_its_arguments(rng):
    atoms, weights = problem(rng)
    grad = rng.standard_normal((N_SAMPLES, N_BINS))
    kept = [z.copy() for z in (atoms, weights, grad)]
    for options in VARIANTS.values():
        arrays = wt.barycenter_vjp(atoms, weights, COST, grad, eps=EPS, n_iter=3, **options)
        lists = wt.barycenter_vjp(atoms.tolist(), weights.tolist(), COST, grad.tolist(), eps=EPS, n_iter=3, **options)
        for a, b in zip(arrays, lists):
            assert (a == b).all()
    for after, before in zip((atoms, weights, grad), kept):
        assert (after == before).all()


ATOMS, WEIGHTS, GRAD = [[0.5, 0.5], [0.1, 0.9]], [[0.5, 0.5]], [[1.0, 0.0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"atoms": [[0.5, -0.5], [0.1, 0.9]]}, "atoms must not be negative; its smallest entry is -0.5.*Clip it"),
        ({"weights": [[float("nan"), 0.5]]}, "weights holds 1 NaN"),
        ({"grad": [[float("nan"), 0.5]]}, "grad holds 1 NaN or infinite entries.*loss"),
        ({"grad": [[1.0, 0.0, 0.0]]}, r"grad \(n_samples, n_bins\); got \(2, 2\), \(1, 2\) and \(1, 3\)"),
        ({"weights": [0.5, 0.5]}, r"weights \(n_samples, n_atoms\).*got \(2, 2\), \(2,\)"),
        ({"cost": wt.GridCost(3)}, r"atoms have 2 bins but cost has shape \(3, 3\)"),
        ({"eps": -1.0}, "eps must be positive; got -1.0"),
        ({"n_iter": 0}, "n_iter must be an integer of at least 1, or None for converged runs; got 0"),
        ({"momentum": 0.5}, r"momentum must be in \(-1, 0\]; got 0.5"),
        ({"marginal_weight": -1}, "marginal_weight must be positive.*got -1"),
        ({"domain": "both"}, "domain must be 'auto', 'kernel' or 'log'; got 'both'"),
    ],
)
def test_the_pull_back_says_what_does_not_fit(change, message):
    given = {"atoms": ATOMS, "weights": WEIGHTS, "cost": wt.GridCost(2), "grad": GRAD, "eps": 1.0, "n_iter": 3} | change
    with pytest.raises(ValueError, match=message):
        wt.barycenter_vjp(given.pop("atoms"), given.pop("weights"), given.pop("cost"), given.pop("grad"), **given)


def test_mixed_backends_are_refused_by_name():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="one backend; got numpy and torch"):
        wt.barycenter_vjp(np.array(ATOMS), np.array(WEIGHTS), wt.GridCost(2), torch.tensor(GRAD), eps=1.0, n_iter=2)


def test_check_gradient_says_what_does_not_fit():
    with pytest.raises(ValueError, match="method must be 'central' or 'complex'; got 'forward'"):
        wt.check_gradient(np.sum, [1.0], [1.0], method="forward")
    with pytest.raises(ValueError, match=r"gradient must have the shape of x; got \(2,\) and \(1,\)"):
        wt.check_gradient(np.sum, [1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="n_directions must be an integer from 1 to 1000000; got 0"):
        wt.check_gradient(np.sum, [1.0], [1.0], n_directions=0)
    with pytest.raises(ValueError, match=r"step must be in .*; got 0"):
        wt.check_gradient(np.sum, [1.0], [1.0], step=0)


def test_an_implicit_gradient_that_stopped_short_says_by_how_much(rng):
    atoms, weights = problem(rng)
    kernel = wt.gibbs_kernel(COST, 0.02)
    state = nth(wt.barycenter_steps(atoms, weights, kernel), 2000)
    with pytest.warns(
        ConvergenceWarning, match=r"Implicit gradient stopped after 2 iterations with error [1-9].*> tol"
    ):
        gradients.implicit(atoms, weights, kernel, state, rng.standard_normal((N_SAMPLES, N_BINS)), max_iter=2)


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_conjugate_gradients_give_what_the_backward_steps_add_up_to(rng, variant, domain):
    # the Neumann series: the backward step of the fixed point, repeated until it adds nothing
    atoms, weights = problem(rng)
    variant, kernel = Variant(**VARIANTS[variant]), wt.gibbs_kernel(COST, EPS, domain=domain)
    grad = rng.standard_normal((N_SAMPLES, N_BINS))
    state = nth(steps_of(atoms, weights, kernel, variant), 3000)
    adjoint, total = Adjoint(np.zeros_like(state.b), p=grad * state.histogram), [0.0, 0.0]
    for _ in range(3000):
        adjoint, share = backward_step(atoms, weights, kernel, state, state.b, adjoint, zeros=False, variant=variant)
        total = [a + b for a, b in zip(total, share)]
    found, _ = gradients.implicit(atoms, weights, kernel, state, grad, variant=variant, tol=1e-13)
    for ours, series in zip(found, total):
        assert relative_error(ours, series) < 1e-10


def test_a_barycenter_of_light_bins_has_its_gradient(rng):
    # "underflowed, use the log domain", where bins were lighter than the tolerance: the series fed on what was not there
    atoms = wt.normalize(np.eye(24)[[5, 17]] + 1e-12)
    weights, cost, grad = np.array([[0.4, 0.6]]), wt.GridCost(24, spacing=1 / 23), np.linspace(0, 1, 24)[None] ** 2
    given = (atoms, weights, cost, grad)
    exact = wt.barycenter_vjp(*given, eps=3e-3, n_iter=3000)[1]
    found = wt.barycenter_vjp(*given, eps=3e-3, n_iter=None)[1]
    assert_close(found - found.mean(), exact - exact.mean(), atol=1e-6)


def test_the_implicit_gradient_needs_few_iterations_and_does_not_warn_where_it_is_right():
    # 1,955 of the series to 1e-6 here, and in 27 of 60 random problems a warning that was false
    x = np.linspace(0, 10, 100)
    for seed in range(12):
        draw = np.random.default_rng(seed)
        atoms = wt.normalize(np.exp(np.cumsum(0.2 * draw.standard_normal((3, 100)), axis=1)))
        weights, grad = draw.dirichlet(np.ones(3), 4), draw.standard_normal((4, 100))
        kernel = wt.gibbs_kernel(wt.LineCost(x), 0.05)
        found = settle(atoms, weights, kernel, Variant(), Accuracy(None))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rough, _ = gradients.implicit(atoms, weights, kernel, found.state, grad, tol=1e-9, max_iter=80)
        fine, _ = gradients.implicit(atoms, weights, kernel, found.state, grad, tol=1e-13, max_iter=300)
        for a, b in zip(rough, fine):
            assert relative_error(a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)) < 1e-6


@pytest.mark.parametrize("variant", ["balanced", "unbalanced"])
def test_the_implicit_gradient_is_that_of_the_converged_barycenter(rng, variant):
    # by differences of barycenters to 1e-13, no derivative of ours in it
    atoms, weights = problem(rng)
    grad = rng.standard_normal((N_SAMPLES, N_BINS))
    options = VARIANTS[variant] | {"eps": EPS, "tol": 1e-13}

    def through(d, w):
        return float((wt.barycenter(d, w, COST, **options).histogram * grad).sum())

    ours = wt.barycenter_vjp(atoms, weights, COST, grad, n_iter=None, **options)
    check = {"simplex": True, "step": 1e-5, "tol": 1e-6}
    assert wt.check_gradient(lambda d: through(d, weights), atoms, ours[0], **check).ok
    assert wt.check_gradient(lambda w: through(atoms, w), weights, ours[1], **check).ok


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("shape", [(5, 7), (1, 8), (2, 3, 4)])
def test_the_implicit_gradient_of_images_is_that_of_their_dense_cost(xp, rng, shape, domain):
    # which knows no waves; an atom of no weight has none either, and where the barycenter is 0 there is nothing to solve
    cost = wt.GridCost(shape, spacing=0.2)
    atoms, weights = random_histograms(rng, 3, cost.shape[0]), random_histograms(rng, 4, 3)
    atoms[0, :3] = 0.0
    atoms, weights[1] = wt.normalize(atoms), [0.0, 0.4, 0.6]
    weights[2] = [1.0, 0.0, 0.0]
    grad = rng.standard_normal((4, cost.shape[0]))
    given, options = (
        [xp.array(x) for x in (atoms, weights)],
        {"eps": 0.05, "n_iter": None, "domain": domain, "tol": 1e-11},
    )
    ours = wt.barycenter_vjp(*given, cost, xp.array(grad), **options)
    dense = wt.barycenter_vjp(atoms, weights, cost.dense(), grad, **options)
    for a, b in zip(ours, dense):
        a, b = (z - z.mean(-1, keepdims=True) for z in (np.asarray(a), b))
        assert relative_error(a, b) < 1e-8


@pytest.mark.parametrize("tol, solved", [(1e-12, 1e-11), (1e-6, 1e-5), (3e-4, 1e-3), (1e-2, 1e-2)])
def test_an_adjoint_is_solved_for_as_far_as_its_barycenter_is_exact(rng, monkeypatch, tol, solved):
    asked, solve = [], gradients.conjugate_gradients
    noted = lambda *given, **options: asked.append(options["tol"]) or solve(*given, **options)  # noqa: E731
    monkeypatch.setattr(gradients, "conjugate_gradients", noted)
    positions = np.sort(rng.uniform(0, 10, 80))
    atoms, weights, grad = random_histograms(rng, 3, 80), random_histograms(rng, 5, 3), rng.standard_normal((5, 80))
    options = {"cost": wt.LineCost(positions), "grad": grad, "eps": 0.3, "n_iter": None}
    ours, tight = (wt.barycenter_vjp(atoms, weights, tol=t, **options) for t in (tol, 1e-13))
    assert asked == pytest.approx([solved, 1e-12])
    for a, b in zip(ours, tight):
        assert relative_error(a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)) < 30 * tol + 1e-10


@pytest.mark.parametrize("tol", [1e-3, 1e-9, 1e-13])
def test_across_an_image_few_waves_are_most_of_the_work(rng, monkeypatch, tol):
    # 107 and 81 applications on images of 64 x 64, 66 and 68 with those for the waves; to 1e-13 what is taken out of the
    # directions alone comes back by rounding, and grows
    shape, spent, solve = (40, 40), [], gradients.conjugate_gradients
    atoms, weights = wt.normalize(rng.random((3, 1600)) ** 8 + 1e-3), rng.dirichlet(np.ones(3), 2)
    kernel, grad = wt.gibbs_kernel(wt.GridCost(shape, spacing=1 / 39), 1e-3), rng.standard_normal((2, 1600))
    state = settle(atoms, weights, kernel, Variant(), Accuracy(None, 1e-12)).state

    def watched(*given, **options):
        own = solve(*given, **options, check_every=1)
        spent.extend([own, solve(*given, **(options | {"preconditioner": None, "start": None}), check_every=1)])
        return own

    monkeypatch.setattr(gradients, "conjugate_gradients", watched)
    y = gradients.implicit(atoms, weights, kernel, state, grad, tol=tol)[1]
    own, plain = spent
    before = 1 + len(gradients.waves(shape, grad))
    assert before == 6 and before + own.n_iter < 0.8 * plain.n_iter
    assert float(own.residual.max()) <= tol and relative_error(y, plain.x) < 1e3 * tol
    near = gradients.implicit(atoms, weights, kernel, state, grad, tol=tol, start=y)[1]
    assert spent[2].n_iter <= 1 and relative_error(near, y) < 1e3 * tol


@pytest.mark.parametrize("preconditioned", [False, True])
def test_conjugate_gradients_solve_every_row_and_rows_that_are_done_leave(xp, rng, preconditioned):
    roots = rng.standard_normal((5, 6, 6))
    weight = rng.random((5, 6)) + 0.5
    weight[:2] = 1.0
    spread = np.array([0.0, 0.0, 1.0, 1.0, 30.0])[:, None, None]  # the first two rows are done at once
    matrices = (np.eye(6) + spread * roots @ roots.transpose(0, 2, 1)) / weight[
        :, :, None
    ]  # self-adjoint in the weights
    right, held = rng.standard_normal((5, 6)), []
    m = xp.array(matrices)

    def operator(rows):
        some = m if rows is None else array_namespace(m).take(m, rows, axis=0)
        held.append(some.shape[0])
        return lambda x: (some @ x[:, :, None])[:, :, 0]

    def diagonal(rows):
        inverse = xp.array(1.0 / np.einsum("kii->ki", matrices))
        some = inverse if rows is None else array_namespace(inverse).take(inverse, rows, axis=0)
        return lambda r: some * r

    options = {"tol": 1e-12, "max_iter": 50, "preconditioner": diagonal if preconditioned else None}
    found = gradients.conjugate_gradients(operator, xp.array(right), xp.array(weight), **options)
    assert_close(found.x, np.linalg.solve(matrices, right[:, :, None])[:, :, 0], rtol=1e-8, atol=1e-10)
    assert held[0] == 5 and held[-1] < 5 and float(max(found.residual)) <= 1e-12
