"""Linear and bilinear baselines: exactness, invariances, the papers' scenes, bad input."""

import warnings

import numpy as np
import pytest
from conftest import assert_close
from test_leastsquares import KINDS, optimality, random_problem

from wdl_tutorial import ConvergenceWarning, gaussnewton, linear, metrics
from wdl_tutorial.datasets import load_dc1, load_samson, make_bilinear_scene, make_teaching_scene


def mixed_scene(rng, p=3, n_bands=40, n=200, noise=0.0):
    """Random endmembers, their mixtures, and the pure pixels first."""
    endmembers = rng.random((p, n_bands)) + 0.1
    abundances = np.concatenate([np.eye(p), rng.dirichlet(np.full(p, 0.7), n - p)])
    return abundances @ endmembers + noise * rng.normal(size=(n, n_bands)), endmembers, abundances


# ------------------------------------------------------------------------------------------------------ FCLS and NNLS


def test_fcls_and_nnls_recover_abundances_without_noise_on_every_backend(xp, rng):
    X, endmembers, abundances = mixed_scene(rng, p=4)
    for solve in (linear.fcls, linear.nnls):
        result = solve(xp.array(X), xp.array(endmembers))
        assert type(result.abundances) is type(xp.array(X))
        assert_close(result.abundances, abundances, atol=1e-12)
        assert_close(result.reconstruct(), X, atol=1e-12)


def test_fcls_stays_on_the_simplex_to_rounding_and_never_goes_negative(rng):
    X, endmembers, _ = mixed_scene(rng, p=6, noise=0.3)
    broken = metrics.constraint_violations(linear.fcls(X, endmembers).abundances)
    assert broken.negativity == 0.0
    assert broken.sum_to_one <= 1e-14


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_fcls_does_not_depend_on_the_units_up_to_condition_number_1e4(factor):
    worst = 0.0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        p = 2 + seed % 9
        u, _, vt = np.linalg.svd(rng.random((p, 50)), full_matrices=False)
        endmembers = u @ np.diag(np.geomspace(1.0, 10.0 ** -rng.uniform(0, 4), p)) @ vt
        X = rng.dirichlet(np.full(p, 0.5), 50) @ endmembers + 0.02 * rng.normal(size=(50, 50))
        here = linear.fcls(X, endmembers).abundances
        there = linear.fcls(factor * X, factor * endmembers).abundances
        worst = max(worst, np.abs(here - there).max())
    assert worst <= 1e-9


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_fcls_reconstructions_of_collinear_endmembers_do_not_depend_on_the_units(factor, rng):
    endmembers = rng.random((3, 50))
    endmembers = np.concatenate([endmembers, 0.4 * endmembers[:1] + 0.6 * endmembers[1:2], endmembers[2:]])
    X = rng.dirichlet(np.ones(5), 200) @ endmembers + 0.1 * rng.normal(size=(200, 50))
    here = linear.fcls(X, endmembers).reconstruct()
    there = linear.fcls(factor * X, factor * endmembers).reconstruct()
    assert_close(there / factor, here, atol=1e-12)


def test_fcls_follows_a_shift_of_pixels_and_endmembers_and_a_relabelling(rng):
    X, endmembers, _ = mixed_scene(rng, p=5, noise=0.2)
    here = linear.fcls(X, endmembers).abundances
    shift, order = rng.random(X.shape[1]), rng.permutation(5)
    assert_close(linear.fcls(X + shift, endmembers + shift).abundances, here, atol=1e-12)
    assert_close(linear.fcls(X, endmembers[order]).abundances, here[:, order], atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_public_functions_are_optimal_on_degenerate_endmembers(kind, rng):
    for p in range(2, 11):
        endmembers, X = random_problem(rng, kind, p)
        assert optimality(endmembers, X, linear.fcls(X, endmembers).abundances, n_simplex=p) <= 1e-10
        assert optimality(endmembers, X, linear.nnls(X, endmembers).abundances) <= 1e-10


def test_all_pixels_at_once_equal_pixel_by_pixel(rng):
    X, endmembers, _ = mixed_scene(rng, p=7, n=60, noise=0.3)
    for solve in (linear.fcls, linear.nnls):
        together = solve(X, endmembers).abundances
        alone = np.concatenate([solve(x[None], endmembers).abundances for x in X])
        assert_close(together, alone, atol=1e-13)


def test_many_pixels_are_cut_into_chunks_without_a_trace(rng, monkeypatch):
    X, endmembers, _ = mixed_scene(rng, p=4, n=500, noise=0.3)
    whole = linear.fcls(X, endmembers).abundances
    monkeypatch.setattr(linear, "_chunks", lambda n, per_pixel: (slice(k, min(k + 77, n)) for k in range(0, n, 77)))
    assert_close(linear.fcls(X, endmembers).abundances, whole, atol=1e-14)


def test_nnls_agrees_with_scipy_and_fcls_with_a_general_solver(rng):
    from scipy.optimize import minimize, nnls

    X, endmembers, _ = mixed_scene(rng, p=5, n=30, noise=0.3)
    assert_close(linear.nnls(X, endmembers).abundances, [nnls(endmembers.T, x)[0] for x in X], atol=1e-12)
    found = linear.fcls(X, endmembers).abundances
    for x, a in zip(X[:10], found):
        peer = minimize(
            lambda b, x=x: 0.5 * ((b @ endmembers - x) ** 2).sum(),
            np.full(5, 0.2),
            jac=lambda b, x=x: endmembers @ (b @ endmembers - x),
            bounds=[(0, None)] * 5,
            constraints={"type": "eq", "fun": lambda b: b.sum() - 1, "jac": np.ones_like},
            method="SLSQP",
            options={"ftol": 1e-14},
        )
        assert_close(a, peer.x, atol=1e-5)


def test_fcls_takes_a_shadow_for_another_material_and_normalised_nnls_does_not(rng):
    endmembers, truth = rng.random((3, 40)), np.array([[0.5, 0.3, 0.2]])
    for shade in (0.5, 0.8, 1.2):
        x = shade * truth @ endmembers
        assert_close(linear.nnls(x, endmembers, normalize=True).abundances, truth, atol=1e-12)
        assert np.abs(linear.fcls(x, endmembers).abundances - truth).max() > 0.05


def test_nnls_leaves_pixels_without_abundance_at_zero_and_says_so(rng):
    X, endmembers, _ = mixed_scene(rng)
    X[5], X[9] = 0.0, -1.0
    with pytest.warns(UserWarning, match="2 pixels have no abundance"):
        abundances = linear.nnls(X, endmembers, normalize=True).abundances
    assert_close(abundances[[5, 9]], 0.0)
    assert_close(np.delete(abundances, [5, 9], axis=0).sum(axis=1), 1.0, atol=1e-14)


def test_twenty_endmembers_are_no_obstacle(rng):
    X, endmembers, abundances = mixed_scene(rng, p=20, n_bands=100, n=2000)
    assert_close(linear.fcls(X, endmembers).abundances, abundances, atol=1e-10)


def test_one_endmember_takes_everything(rng):
    X, endmembers, _ = mixed_scene(rng)
    assert_close(linear.fcls(X, endmembers[:1]).abundances, np.ones((200, 1)))


def test_abundances_keep_the_dtype_of_the_pixels(rng):
    X, endmembers, abundances = mixed_scene(rng)
    found = linear.fcls(X.astype(np.float32), endmembers.astype(np.float32)).abundances
    assert found.dtype == np.float32
    assert_close(found, abundances, atol=1e-5)


def test_an_answer_that_is_not_optimal_is_an_error_not_a_result(rng, monkeypatch):
    X, endmembers, _ = mixed_scene(rng, noise=0.1)
    wrong = np.full((200, 3), 1 / 3)
    monkeypatch.setattr(linear.leastsquares, "solve", lambda columns, targets, n_simplex: wrong[: len(targets)])
    with pytest.raises(FloatingPointError, match="optimality conditions by"):
        linear.fcls(X, endmembers)


# ---------------------------------------------------------------------------------------------------------------- VCA


def test_vca_finds_the_pure_pixels_of_a_noise_free_scene_for_200_of_200_seeds():
    found = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        p = 3 + seed % 6
        X, endmembers, _ = mixed_scene(rng, p=p, n_bands=50, n=300)
        order = rng.permutation(300)
        result = linear.vca(X[order], p, random_state=seed)
        found += sorted(order[result.indices]) == list(range(p))
        perm = metrics.match_endmembers(endmembers, result.endmembers)
        assert_close(result.endmembers[perm], endmembers, atol=1e-9)
    assert found == 200


def test_vca_finds_pure_pixels_under_shade_through_the_projection_from_the_origin(rng):
    X, _, _ = mixed_scene(rng, p=4)
    result = linear.vca(X * rng.uniform(0.3, 1.5, (200, 1)), 4, random_state=0)
    assert sorted(result.indices) == [0, 1, 2, 3]
    assert result.snr_db == np.inf


def test_vca_uses_the_projection_around_the_mean_where_noise_is_strong(rng):
    X, endmembers, _ = mixed_scene(rng, p=3, n_bands=100, n=2000, noise=0.1)
    result = linear.vca(X, 3, random_state=0)
    assert result.snr_db < 15 + 10 * np.log10(3)
    aligned = result.endmembers[metrics.match_endmembers(endmembers, result.endmembers)]
    assert metrics.endmember_angles(endmembers, aligned).mean < 0.1
    clean = linear.vca(X - 0.1 * 0, 3, random_state=0, snr_db=60.0)  # told otherwise, it projects from the origin
    assert clean.snr_db == 60.0


def test_vca_around_the_mean_finds_each_material_once_where_the_division_finds_the_pond_again_and_again():
    scene = make_teaching_scene()
    scene = scene.drop_bands(scene.extra["bad_band"])

    def angle(found):
        return metrics.endmember_angles(
            scene.endmembers,
            found.endmembers[metrics.match_endmembers(scene.endmembers, found.endmembers)],
            degrees=True,
        ).mean

    for seed in range(3):
        found = linear.vca(scene.pixels(), 7, random_state=seed, snr_db=0)
        assert sorted(scene.labels.ravel()[found.indices]) == [1, 2, 3, 4, 5, 6, 7]
        assert angle(found) < 1.0 < 2.5 < angle(linear.vca(scene.pixels(), 7, random_state=seed))


def test_vca_of_centred_pixels_finds_the_same_corners(rng):
    X, _, _ = mixed_scene(rng, p=4, noise=1e-3)
    for seed in range(3):
        for Y in (X, X - X.mean(axis=0), X - X.mean()):
            assert sorted(linear.vca(Y, 4, random_state=seed).indices) == [0, 1, 2, 3]


def test_a_common_offset_that_crosses_zero_does_not_lose_the_corners():
    X = make_bilinear_scene(shape=(20, 20)).pixels()

    def misfit(Y):
        return metrics.rmse(Y, linear.fcls(Y, linear.vca(Y, 3, random_state=0).endmembers).reconstruct())

    assert misfit(X - 0.5) < 1.5 * misfit(X)


@pytest.mark.parametrize("snr_db", ["30", float("nan")])
def test_a_signal_to_noise_ratio_that_is_none_is_refused(snr_db, rng):
    with pytest.raises(ValueError, match="snr_db must be a finite number, infinite, or None"):
        linear.vca(rng.random((20, 5)), 2, snr_db=snr_db)


def test_vca_estimates_the_signal_to_noise_ratio():
    for snr_db in (20.0, 30.0, 40.0):
        scene = make_bilinear_scene(strength=0.0, snr_db=snr_db)
        assert abs(linear.vca(scene.pixels(), 3, random_state=0).snr_db - snr_db) < 0.5


def test_vca_denoises_by_projection_or_returns_the_pixels_themselves():
    scene = make_bilinear_scene(strength=0.0, snr_db=25.0)
    X = scene.pixels()
    clean, raw = (linear.vca(X, 3, random_state=1, denoise=denoise) for denoise in (True, False))
    np.testing.assert_array_equal(clean.indices, raw.indices)
    assert_close(raw.endmembers, X[raw.indices])
    perm = metrics.match_endmembers(scene.endmembers, clean.endmembers)
    errors = [metrics.nrmse_endmembers(scene.endmembers, r.endmembers[perm]) for r in (clean, raw)]
    assert errors[0] < errors[1]


def test_vca_repeats_with_its_seed_on_every_backend(xp):
    X = make_bilinear_scene(shape=(20, 20)).pixels()
    expected = linear.vca(X, 3, random_state=7)
    result = linear.vca(xp.array(X), 3, random_state=7)
    np.testing.assert_array_equal(result.indices, expected.indices)
    assert_close(result.endmembers, expected.endmembers, atol=1e-10)


def test_vca_ignores_pixels_of_all_zeros(rng):
    X, _, _ = mixed_scene(rng, p=3)
    X = np.concatenate([X, np.zeros((20, X.shape[1]))])
    assert sorted(linear.vca(X, 3, random_state=0).indices) == [0, 1, 2]


def test_vca_refuses_more_endmembers_than_the_pixels_span(rng):
    X, _, _ = mixed_scene(rng, p=3)
    with pytest.raises(ValueError, match="span only 3 directions, so 5 endmembers"):
        linear.vca(X, 5, random_state=0)


# ----------------------------------------------------------------------------------------------------------- bilinear


@pytest.mark.parametrize("model", ["fan", "gbm"])
def test_the_bilinear_fit_recovers_a_noise_free_scene(xp, model):
    scene = make_bilinear_scene(shape=(8, 8), snr_db=None, strength=1.0 if model == "fan" else 0.6)
    X = scene.pixels()
    result = linear.bilinear(xp.array(X), xp.array(scene.endmembers), model=model)
    assert xp.numpy(result.converged).all()
    assert_close(result.reconstruct(), X, atol=2e-5)
    assert metrics.nrmse(scene.abundances.reshape(-1, 3), xp.numpy(result.abundances)) < 2e-3
    assert metrics.constraint_violations(xp.numpy(result.abundances)).sum_to_one <= 1e-14


def test_the_bilinear_model_with_gamma_fits_at_least_as_well_as_with_gamma_one_and_as_without():
    scene = make_bilinear_scene(shape=(15, 15), strength=0.5, n_endmembers=4)
    X = scene.pixels()
    errors = [
        ((result.reconstruct() - X) ** 2).sum(axis=1)
        for result in (
            linear.bilinear(X, scene.endmembers, model="gbm"),
            linear.bilinear(X, scene.endmembers, model="fan"),
            linear.fcls(X, scene.endmembers),
        )
    ]
    assert (errors[0] <= errors[1] * (1 + 1e-6)).mean() > 0.99  # not convex: a pixel may stop elsewhere
    assert (errors[0] <= errors[2] * (1 + 1e-6)).mean() > 0.99


def test_no_point_of_a_fine_grid_beats_the_bilinear_fit():
    scene = make_bilinear_scene(shape=(8, 8), snr_db=20.0)
    X, (m1, m2, m3) = scene.pixels(), scene.endmembers
    result = linear.bilinear(X, scene.endmembers)
    k = np.arange(61) / 60
    a = np.array([(i, j, 1 - i - j) for i in k for j in k if i + j <= 1 + 1e-12])
    grid = a @ scene.endmembers
    grid = grid + a[:, :1] * a[:, 1:2] * m1 * m2 + a[:, :1] * a[:, 2:] * m1 * m3 + a[:, 1:2] * a[:, 2:] * m2 * m3
    best = ((X[:, None] - grid[None]) ** 2).sum(axis=2).min(axis=1)
    assert (((result.reconstruct() - X) ** 2).sum(axis=1) <= best).all()


@pytest.mark.parametrize("model", ["fan", "gbm"])
def test_the_bilinear_objective_never_rises(model, rng):
    scene = make_bilinear_scene(shape=(10, 10), snr_db=10.0)
    basis, reduced = gaussnewton.bilinear_model(scene.endmembers, model)
    theta = rng.dirichlet(np.ones(3), 100)
    if model == "gbm":
        theta = np.concatenate([theta, rng.random((100, 3))], axis=1)
    steps = gaussnewton.bilinear_steps(scene.pixels() @ basis, reduced, theta)
    states = [next(steps) for _ in range(15)]
    objective = np.array([state.objective for state in states])
    assert (np.diff(objective, axis=0) <= 1e-15).all()
    assert states[-1].gap.max() < 1e-3 * states[0].gap.max()
    assert all((s.theta >= 0).all() and (s.theta <= 1 + 1e-12).all() for s in states)


def test_the_bilinear_jacobian_is_the_derivative_of_the_model(rng):
    scene = make_bilinear_scene(shape=(3, 3), n_endmembers=4)
    basis, reduced = gaussnewton.bilinear_model(scene.endmembers, "gbm")
    targets, theta = scene.pixels() @ basis, rng.random((9, 10))
    _, jacobian = gaussnewton.linearise(targets, reduced, theta)
    for k in range(10):
        h = 1e-6 * (np.arange(10) == k)
        ahead, behind = (gaussnewton.linearise(targets, reduced, theta + s * h)[0] for s in (1, -1))
        assert_close(jacobian[:, k], (behind - ahead) / 2e-6, atol=1e-8)


@pytest.mark.parametrize("model", ["fan", "gbm"])
def test_the_change_of_the_model_is_its_difference_and_keeps_its_digits_for_tiny_steps(model, rng):
    scene = make_bilinear_scene(shape=(5, 5), n_endmembers=4)
    basis, reduced = gaussnewton.bilinear_model(scene.endmembers, model)
    theta = np.concatenate([rng.dirichlet(np.ones(4), 25), rng.random((25, 6 * (model == "gbm")))], axis=1)
    other = np.concatenate([rng.dirichlet(np.ones(4), 25), rng.random((25, 6 * (model == "gbm")))], axis=1)
    now = gaussnewton.evaluate(scene.pixels() @ basis, reduced, theta)
    then = gaussnewton.evaluate(scene.pixels() @ basis, reduced, other)
    first, rest = gaussnewton.change(now, other, reduced)
    assert_close(first + rest, now.residual - then.residual, atol=1e-13)
    assert_close(gaussnewton.gain(now.residual, first + rest), now.objective - then.objective, atol=1e-12)
    tiny = theta + 1e-9 * (other - theta)
    assert_close(gaussnewton.change(now, tiny, reduced)[0] / 1e-9, first, atol=1e-6)


def test_a_bilinear_fit_that_is_cut_short_warns_and_marks_the_pixels():
    scene = make_bilinear_scene(shape=(10, 10), snr_db=10.0)
    with pytest.warns(ConvergenceWarning, match=r"stopped after 1 iterations with .* of 100 pixels"):
        result = linear.bilinear(scene.pixels(), scene.endmembers, max_iter=1)
    assert not result.converged.all()
    assert result.abundances.shape == (100, 3)


def test_a_black_pixel_is_fitted_too():
    scene = make_bilinear_scene(shape=(3, 3))
    X = np.concatenate([np.zeros((1, scene.pixels().shape[1])), scene.pixels()])
    result = linear.bilinear(X, scene.endmembers)
    assert result.converged.all() and np.isfinite(result.abundances).all()


def test_the_baselines_on_dc1_are_where_independent_runs_found_them(real_data):
    scene = load_dc1(random_state=0)
    X, truth = scene.pixels(), scene.abundances.reshape(-1, 3)
    errors = {"fcls": [], "nnls": [], "fan": [], "gbm": []}
    for seed in range(10):
        endmembers = linear.vca(X, 3, random_state=seed).endmembers
        endmembers = endmembers[metrics.match_endmembers(scene.endmembers, endmembers)]
        assert metrics.nrmse_endmembers(scene.endmembers, endmembers) < 0.02
        errors["fcls"].append(metrics.nrmse(truth, linear.fcls(X, endmembers).abundances))
        errors["nnls"].append(metrics.nrmse(truth, linear.nnls(X, endmembers, normalize=True).abundances))
        for model in ("fan", "gbm"):
            errors[model].append(metrics.nrmse(truth, linear.bilinear(X, endmembers, model=model).abundances))
    median = {method: np.median(e) for method, e in errors.items()}
    assert 0.35 <= median["fcls"] <= 0.38
    assert 0.13 <= median["nnls"] <= 0.15
    assert max(errors["fan"] + errors["gbm"]) < min(errors["nnls"])


# ------------------------------------------------------------------------------------------------------------ PCA, NMF


def test_pca_reconstructs_linear_mixtures_with_one_component_less_than_endmembers(rng):
    X, _, _ = mixed_scene(rng, p=4)
    result = linear.pca(X, 3)
    assert_close(result.reconstruct(), X, atol=1e-12)
    assert_close(result.mean, X.mean(axis=0), atol=1e-14)
    assert_close(result.endmembers @ result.endmembers.T, np.eye(3), atol=1e-12)
    assert_close(result.explained_variance_ratio.sum(), 1.0, atol=1e-12)


def test_nmf_factors_are_non_negative_repeat_with_their_seed_and_differ_between_seeds():
    X = np.clip(make_bilinear_scene(shape=(15, 15), strength=0.0).pixels(), 0, None)
    runs = [linear.nmf(X, 3, random_state=seed) for seed in (0, 0, 1)]
    assert min(run.endmembers.min() for run in runs) >= 0 and min(run.abundances.min() for run in runs) >= 0
    np.testing.assert_array_equal(runs[0].endmembers, runs[1].endmembers)
    assert np.abs(runs[0].endmembers - runs[2].endmembers).max() > 1e-3
    for run in runs:
        assert run.converged
        assert abs(metrics.nrmse(X, run.reconstruct()) - run.error) < 1e-9
        assert abs(run.abundances.sum(axis=1).mean() - 1) < 0.05  # the scale is the one nearest to fractions


def test_nmf_that_stops_early_warns():
    X = np.clip(make_bilinear_scene(shape=(10, 10)).pixels(), 0, None)
    with pytest.warns(ConvergenceWarning, match=r"NMF stopped after 2 iterations.*Raise max_iter"):
        assert not linear.nmf(X, 3, random_state=0, max_iter=2).converged


def test_pca_and_nmf_refuse_other_backends_by_name():
    torch = pytest.importorskip("torch")
    for method in (linear.pca, linear.nmf, linear.estimate_n_endmembers):
        with pytest.raises(TypeError, match="runs on NumPy arrays; got torch"):
            method(torch.ones(5, 4), **({} if method is linear.estimate_n_endmembers else {"n_endmembers": 2}))


# ------------------------------------------------------------------------------------------------- how many endmembers


@pytest.mark.parametrize("snr_db", [None, 40.0])
@pytest.mark.parametrize("p", [3, 5])
@pytest.mark.parametrize("method", ["hysime", "heldout", "stability"])
def test_each_count_is_right_on_a_clean_linear_scene(method, p, snr_db):
    scene = make_bilinear_scene(n_endmembers=p, strength=0.0, snr_db=snr_db)
    result = linear.estimate_n_endmembers(scene.pixels(), method=method)
    assert result.n_endmembers == p
    assert result.method == method
    assert len(result.curve) == len(result.candidates)


def test_bilinear_mixing_adds_directions_but_no_corners():
    X = make_bilinear_scene(snr_db=60.0).pixels()
    counts = {m: linear.estimate_n_endmembers(X, method=m).n_endmembers for m in ("hysime", "heldout", "stability")}
    assert counts["hysime"] > 3 and counts["heldout"] > 3
    assert counts["stability"] == 3


@pytest.mark.parametrize(("power", "count"), [(1e-4, 4), (3e-6, 3)])
def test_hysime_counts_no_direction_below_what_a_sensor_can_see(rng, power, count):
    # the noise that its authors' code adds to every band: 1e-5 of the mean power, 50 dB
    X, _, _ = mixed_scene(rng, p=3, n_bands=60, n=2000, noise=1e-7)
    weak = rng.normal(size=(2000, 1)) * np.linalg.qr(rng.normal(size=(60, 1)))[0].T
    weak *= np.sqrt(power * (X**2).mean())
    mean_power = (X**2).mean()
    assert (weak**2).sum(1).mean() == pytest.approx(power * mean_power, rel=0.1)
    assert linear.estimate_n_endmembers(X + weak).n_endmembers == count


def test_hysime_finds_the_published_count_of_samson(real_data):
    pixels = load_samson().pixels()
    assert linear.estimate_n_endmembers(pixels).n_endmembers == 43  # 74 with a floor of 120 dB


def test_counts_refuse_what_they_cannot_use(rng):
    X = rng.random((30, 40))
    with pytest.raises(ValueError, match="more pixels than bands; X has 30 pixels, 40 bands"):
        linear.estimate_n_endmembers(X)
    with pytest.raises(ValueError, match="got 'bic'"):
        linear.estimate_n_endmembers(X, method="bic")
    with pytest.raises(ValueError, match=r"max_endmembers must be an integer from 2 to 15"):
        linear.estimate_n_endmembers(X, method="heldout", max_endmembers=16)
    with pytest.raises(ValueError, match="n_repeats must be an integer of at least 2; got 1"):
        linear.estimate_n_endmembers(X, method="stability", n_repeats=1)


def test_hysime_tells_when_the_pixels_are_too_few_for_it(rng):
    X, _, _ = mixed_scene(rng, p=3, n_bands=60, n=150, noise=0.01)
    with pytest.warns(UserWarning, match="fewer than 6 pixels a band; got 150 pixels, 60 bands"):
        assert linear.estimate_n_endmembers(X).n_endmembers > 3
    X, _, _ = mixed_scene(rng, p=3, n_bands=60, n=360, noise=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert linear.estimate_n_endmembers(X).n_endmembers == 3


@pytest.mark.parametrize("method", ["hysime", "heldout", "stability"])
def test_nothing_but_zeros_is_not_counted(method):
    with pytest.raises(ValueError, match="zero in every entry"):
        linear.estimate_n_endmembers(np.zeros((50, 5)), method=method)


@pytest.mark.parametrize("options", [{"n_repeats": 0}, {"n_repeats": 2.5}, {"max_endmembers": 3.5}])
def test_counts_of_repeats_and_candidates_are_integers(options, rng):
    with pytest.raises(ValueError, match="must be an integer"):
        linear.estimate_n_endmembers(rng.random((30, 8)), method="heldout", **options)


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("count", [3.0, "3", None, float("nan"), [3], True, 0])
@pytest.mark.parametrize("method", [linear.pca, linear.nmf, linear.vca])
def test_a_number_of_endmembers_that_is_no_count_is_refused(method, count, rng):
    with pytest.raises(ValueError, match="n_endmembers must be an integer"):
        method(rng.random((20, 6)), count)


def test_pca_of_equal_pixels_explains_nothing_without_nan():
    assert linear.pca(np.ones((10, 4)), 2).explained_variance_ratio.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("method", [linear.fcls, linear.bilinear])
def test_digital_numbers_against_reflectance_are_told(method, rng):
    X, endmembers, _ = mixed_scene(rng, p=3)
    with pytest.warns(UserWarning, match="different units"):
        method(10_000 * X[:5], endmembers)


def test_a_bilinear_fit_needs_an_iteration(rng):
    X, endmembers, _ = mixed_scene(rng, p=3)
    with pytest.raises(ValueError, match="max_iter must be an integer of at least 1; got 0"):
        linear.bilinear(X, endmembers, max_iter=0)


def test_a_scene_in_the_place_of_pixels_is_told():
    with pytest.raises(TypeError, match=r"got a Scene. Use scene.pixels\(\)"):
        linear.vca(make_teaching_scene(), 3)


UNMIX = [linear.fcls, linear.nnls, linear.bilinear]
EXTRACT = [linear.pca, linear.nmf, linear.vca]


@pytest.mark.parametrize("method", UNMIX + EXTRACT)
def test_nan_is_refused_with_the_number_of_rows_and_the_first(method, rng):
    X, endmembers, _ = mixed_scene(rng)
    X[[7, 20], 3] = np.nan
    with pytest.raises(ValueError, match=r"X holds NaN or infinite entries in 2 of 200 rows \(row 7 is the first\)"):
        method(X, 3 if method in EXTRACT else endmembers)


@pytest.mark.parametrize("method", UNMIX)
def test_unequal_bands_are_refused_with_both_numbers(method, rng):
    X, endmembers, _ = mixed_scene(rng)
    with pytest.raises(ValueError, match="X has 40 bands but endmembers have 39"):
        method(X, endmembers[:, :-1])
    endmembers[1, 2] = np.inf
    with pytest.raises(ValueError, match="endmembers holds NaN or infinite entries in 1 of 3 rows"):
        method(X, endmembers)


@pytest.mark.parametrize("method", EXTRACT)
def test_more_endmembers_than_bands_or_pixels_are_refused_with_the_numbers(method, rng):
    with pytest.raises(ValueError, match=r"n_endmembers is 6, more than X has bands \(50 pixels, 5 bands\)"):
        method(rng.random((50, 5)), 6)
    with pytest.raises(ValueError, match=r"n_endmembers is 6, more than X has pixels \(5 pixels, 50 bands\)"):
        method(rng.random((5, 50)), 6)
    for wrong in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"must be an integer of at least [12]; got {wrong}"):
            method(rng.random((50, 5)), wrong)


@pytest.mark.parametrize("method", UNMIX + EXTRACT)
def test_cubes_and_empty_arrays_are_refused_with_their_shape(method, rng):
    _, endmembers, _ = mixed_scene(rng)
    second = 3 if method in EXTRACT else endmembers
    with pytest.raises(ValueError, match=r"got shape \(4, 5, 40\). Reshape a cube"):
        method(rng.random((4, 5, 40)), second)
    with pytest.raises(ValueError, match=r"got shape \(0, 40\)"):
        method(np.empty((0, 40)), second)


def test_nmf_refuses_negative_data_and_the_others_take_it(rng):
    X, endmembers, _ = mixed_scene(rng)
    X[3, 3] = -0.25
    with pytest.raises(ValueError, match=r"the smallest entry of X is -0.25"):
        linear.nmf(X, 3)
    for method in UNMIX:
        assert np.isfinite(method(X, endmembers).abundances).all()


def test_bilinear_refuses_digital_numbers_single_endmembers_and_unknown_models(rng):
    X, endmembers, _ = mixed_scene(rng)
    with pytest.raises(ValueError, match=r"needs reflectances.*endmembers reach"):
        linear.bilinear(5000 * X, 5000 * endmembers)
    with pytest.raises(ValueError, match="at least 2 endmembers; got 1"):
        linear.bilinear(X, endmembers[:1])
    with pytest.raises(ValueError, match="'fan' or 'gbm'; got 'ppnm'"):
        linear.bilinear(X, endmembers, model="ppnm")


def test_lists_and_integers_work():
    X, endmembers = [[1, 0, 1], [0, 2, 1], [1, 1, 1], [0, 0, 1]], [[1, 0, 1], [0, 1, 1]]
    for method in UNMIX:
        assert method(X, endmembers).abundances.shape == (4, 2)
        assert_close(method(np.array(X), np.array(endmembers)).abundances, method(X, endmembers).abundances)
    for method in EXTRACT:
        assert method(X, 2, random_state=0).endmembers.shape == (2, 3)


@pytest.mark.parametrize("method", UNMIX + EXTRACT)
def test_arguments_are_never_modified_and_may_be_read_only(method, rng):
    X, endmembers, _ = mixed_scene(rng, noise=0.01)
    X = np.abs(X)
    before = X.copy(), endmembers.copy()
    X.flags.writeable = endmembers.flags.writeable = False
    if method in EXTRACT:
        method(X, 3, random_state=0)
    else:
        method(X, endmembers)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(endmembers, before[1])


def test_two_backends_at_once_are_refused(rng):
    torch = pytest.importorskip("torch")
    X, endmembers, _ = mixed_scene(rng)
    for method in UNMIX:
        with pytest.raises(TypeError, match="one backend; got numpy and torch"):
            method(X, torch.asarray(endmembers))


def test_no_warning_is_raised_on_an_ordinary_scene():
    scene = make_bilinear_scene(shape=(10, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        endmembers = linear.vca(scene.pixels(), 3, random_state=0).endmembers
        for method in UNMIX:
            assert np.isfinite(method(scene.pixels(), endmembers).abundances).all()


@pytest.mark.parametrize("snr_db", [None, 0])
def test_vca_in_blocks_takes_the_same_pixels_as_vca(snr_db):
    for scene in (make_bilinear_scene(shape=(20, 20), random_state=0), make_teaching_scene()):
        X = scene.pixels()
        for seed in range(3):
            whole = linear.vca(X, 3, random_state=seed, snr_db=snr_db)
            parts = linear.vca_in_blocks(
                lambda X=X: (X[k : k + 77] for k in range(0, len(X), 77)), 3, random_state=seed, snr_db=snr_db
            )
            np.testing.assert_array_equal(parts.indices, whole.indices)
            np.testing.assert_allclose(parts.endmembers, whole.endmembers, atol=1e-9)


def test_vca_in_blocks_refuses_what_vca_refuses():
    with pytest.raises(ValueError, match="n_endmembers is 9, more than X has pixels"):
        linear.vca_in_blocks(lambda: iter([np.ones((4, 12))]), 9)


def pure_and_mixed(seed=0, n=3, pixels=300):
    rng = np.random.default_rng(seed)
    ends = rng.random((n, 20)) + 0.1
    shares = np.concatenate([np.eye(n), rng.dirichlet(np.ones(n), pixels)])
    order = rng.permutation(len(shares))
    return (shares @ ends)[order], {int(np.flatnonzero(order == k)[0]) for k in range(n)}


@pytest.mark.parametrize("n", [2, 3, 5])
def test_nfindr_takes_the_pure_pixels_whose_simplex_is_the_largest(n):
    for seed in range(4):
        X, pure = pure_and_mixed(seed, n)
        assert set(linear.nfindr(X, n, random_state=seed).indices.tolist()) == pure


def test_nfindr_that_has_not_settled_says_so():
    X = np.random.default_rng(0).random((300, 6))
    with pytest.warns(ConvergenceWarning, match="corners still move after 1 rounds. Raise max_iter"):
        linear.nfindr(X, 4, random_state=0, max_iter=1)


def test_atgp_takes_pure_pixels_and_the_brightest_first():
    X, pure = pure_and_mixed()
    found = linear.atgp(X, 3)
    assert found.indices[0] == np.argmax(np.linalg.norm(X, axis=1))
    assert set(found.indices.tolist()) == pure
    with pytest.raises(ValueError, match="span only 3 directions"):
        linear.atgp(X, 4)


def test_sparse_is_the_soft_threshold_where_spectra_are_orthonormal(xp):
    x = np.random.default_rng(0).random((7, 6))
    found = linear.sparse(xp.array(x), xp.array(np.eye(6)), penalty=0.3)
    np.testing.assert_allclose(xp.numpy(found.abundances), np.maximum(x - 0.3, 0.0), atol=1e-9)


def test_sparse_without_a_penalty_is_nnls_and_with_one_meets_the_conditions_of_its_minimum():
    rng = np.random.default_rng(1)
    library, X = rng.random((8, 15)), rng.random((20, 15))
    np.testing.assert_allclose(
        linear.sparse(X, library, penalty=0.0).abundances, linear.nnls(X, library).abundances, atol=1e-8
    )
    a = linear.sparse(X, library, penalty=0.2).abundances
    slope = (a @ library - X) @ library.T + 0.2
    assert slope.min() > -1e-7 and np.abs(slope * a).max() < 1e-7
    with pytest.raises(ValueError, match="penalty"):
        linear.sparse(X, library, penalty=-1.0)


@pytest.mark.parametrize("solve", [linear.fcls, linear.bilinear])
@pytest.mark.parametrize(("pixels", "spectra", "advice"), [(1e4, 1, "Divide X by"), (1e-4, 1, "Divide endmembers by")])
def test_units_that_differ_are_told_either_way_round(rng, solve, pixels, spectra, advice):
    X, endmembers, _ = mixed_scene(rng)
    with pytest.warns(UserWarning, match=f"seem to be in different units.*{advice}"):
        solve(pixels * X, spectra * endmembers, **({"tol": 1.0} if solve is linear.bilinear else {}))
