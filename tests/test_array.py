"""One backend at a time: what comes in decides, nothing is moved, and lists become floats."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from conftest import assert_close
from scipy import sparse

import wdl_tutorial as wt
from wdl_tutorial import _array
from wdl_tutorial._array import as_float, to_numpy


def test_the_namespace_comes_from_the_arrays(xp):
    x = xp.array([0.25, 0.75])
    assert type(_array.array_namespace(x, None, 0.5).exp(x)) is type(x)


def test_numbers_and_lists_count_as_numpy():
    assert _array.array_namespace(1.0, None).exp(0.0) == 1.0


def test_two_backends_are_refused_and_both_are_named():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"one backend; got numpy and torch.*Convert one"):
        _array.array_namespace(np.ones(2), torch.ones(2))
    with pytest.raises(TypeError, match=r"got array_api_strict and numpy"):
        _array.array_namespace(array_api_strict.ones(2), np.ones(2))


def test_two_devices_are_refused_and_both_are_named():
    first = array_api_strict.ones(2)
    other = array_api_strict.ones(2, device=array_api_strict.Device("device1"))
    with pytest.raises(TypeError, match=r"one device; got .*CPU_DEVICE.* and .*device1.*Move one"):
        _array.array_namespace(first, other)


def test_lists_and_booleans_become_numpy_float64():
    for given in ([1, 2], (1.0, 2.0), [True, False], np.float32(3)):
        out = _array.as_float(given)
        assert isinstance(out, np.ndarray)
        assert out.dtype == (np.float32 if isinstance(given, np.float32) else np.float64)


def test_integer_arrays_become_the_default_float_of_their_backend(xp):
    whole = xp.module.asarray([1, 2, 3])
    made = _array.as_float(whole)
    assert made.dtype == xp.module.asarray([1.0]).dtype
    assert_close(made, [1, 2, 3])


def test_float32_stays_float32(xp):
    assert "float32" in str(_array.as_float(xp.array([1.0], dtype=np.float32)).dtype)


def test_lists_follow_the_array_they_stand_beside(xp):
    beside = xp.array([1.0, 2.0], dtype=np.float32)
    made = _array.as_float([1, 2], like=beside)
    assert type(made) is type(beside)
    if xp.name in ("torch", "array_api_strict"):
        assert made.dtype == beside.dtype


def test_a_data_frame_is_its_numbers_whatever_type_pandas_keeps_them_in():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [0.5, 0.25]})
    for kind in ("float64", "Float64", "float32", "Float32"):
        made = _array.as_float(frame.astype(kind))
        assert type(made) is np.ndarray and made.dtype == np.float64
        assert_close(made, [[1.0, 0.5], [2.0, 0.25]])
    assert_close(_array.as_float(frame["a"].astype("Float64")), [1.0, 2.0])
    assert np.isnan(_array.as_float(pandas.array([1.0, None], dtype="Float64").to_numpy(na_value=np.nan))[1])
    assert np.isnan(_array.as_float(pandas.DataFrame({"a": [1.0, None]}, dtype="Float64"))[1, 0])
    with pytest.raises(TypeError, match="expected numbers, got a DataFrame: could not convert string to float"):
        _array.as_float(pandas.DataFrame({"a": ["x"]}))


def test_floats_of_a_foreign_byte_order_or_of_extended_precision_become_the_machines_own():
    for kind in (">f8", ">f4", "<f8", np.longdouble):
        made = _array.as_float(np.array([0.25, 0.75], dtype=kind))
        assert made.dtype.isnative and made.dtype.itemsize == min(np.dtype(kind).itemsize, 8)
        assert_close(made, [0.25, 0.75])


def test_a_lazy_array_is_refused_at_once_with_what_to_do():
    dask = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match=r"lazy Dask array of shape \(4, 3\).*x.compute\(\)"):
        _array.as_float(dask.ones((4, 3)))


def test_what_is_differentiated_by_hand_is_let_go(xp):
    x = xp.array([1.0, 2.0])
    assert _array.detached(x) is x and not _array.tracks(x, None, 3.0)
    if xp.name == "torch":
        x.requires_grad_()
        assert _array.tracks(None, x) and not _array.tracks(_array.detached(x))


def test_what_is_no_number_is_refused():
    with pytest.raises(TypeError, match="expected numbers, got an array of dtype <U1"):
        _array.as_float(["a"])
    with pytest.raises(TypeError, match="expected an array or a list of numbers, got list"):
        _array.as_float([[1], [1, 2]])
    with pytest.raises(TypeError, match=r"got a sparse csr_matrix\. Give x\.toarray\(\)"):
        _array.as_float(sparse.csr_matrix(np.eye(2)))
    with pytest.raises(TypeError, match="real numbers, got an array of dtype complex128"):
        _array.as_float(np.ones(2, dtype=complex))


def test_to_numpy_brings_everything_back(xp, rng):
    x = rng.random((3, 4))
    assert_close(_array.to_numpy(xp.array(x)), x)
    assert_close(_array.like(x, xp.module), x)


def test_to_numpy_detaches_what_tracks_gradients():
    torch = pytest.importorskip("torch")
    x = torch.ones(2, requires_grad=True)
    assert_close(_array.to_numpy(2 * x), [2.0, 2.0])
    assert _array.number(x[0]) == 1.0


def test_to_backend_takes_the_type_of_what_it_follows(xp):
    made = _array.to_backend(np.array([0.5, 1.5]), xp.array([1.0], dtype=np.float32))
    assert "float32" in str(made.dtype)
    assert type(made) is type(xp.array([1.0]))


def test_logsumexp_neither_overflows_nor_underflows(xp):
    x = xp.array([[1000.0, 1000.0], [-1000.0, -1000.0], [0.0, 0.0]])
    expected = np.array([1000.0, -1000.0, 0.0]) + np.log(2.0)
    assert_close(_array.logsumexp(x), expected, rtol=1e-15)
    assert_close(_array.logsumexp(x, axis=0), [1000.0, 1000.0], rtol=1e-15)


def test_logsumexp_of_nothing_is_minus_infinity(xp):
    low = -float("inf")
    assert_close(_array.logsumexp(xp.array([[low, low], [low, 1.0]])), [low, 1.0])


def test_softmax_is_on_the_simplex_and_ignores_a_shift(xp, rng):
    z = 700.0 * rng.standard_normal((4, 5))
    y = _array.softmax(xp.array(z))
    assert_close(xp.numpy(y).sum(-1), np.ones(4), atol=1e-15)
    assert_close(y, _array.softmax(xp.array(z + 300.0)), atol=1e-12)  # z + 300 is rounded to 1e-13


def test_messages_name_the_backend(xp):
    expected = {"numpy-readonly": "numpy"}.get(xp.name, xp.name)
    assert _array.backend_name(xp.array([1.0])).startswith(expected)
    if xp.name != "cupy":
        assert _array.on_host(xp.array([1.0]))


def test_a_mask_is_not_lost_in_silence():
    with pytest.raises(TypeError, match=r"1 masked entries, whose mask would be lost.*x.filled"):
        _array.as_float(np.ma.masked_array([1.0, 2.0], [False, True]))
    assert type(_array.as_float(np.ma.masked_array([1.0, 2.0]))) is np.ndarray


def test_half_precision_is_computed_in_float32():
    assert as_float(np.ones(3, dtype=np.float16)).dtype == np.float32
    assert as_float(np.float16(0.5)).dtype == np.float32
    torch = pytest.importorskip("torch")
    for kind in (torch.float16, torch.bfloat16):
        assert as_float(torch.ones(3, dtype=kind)).dtype == torch.float32


@pytest.mark.parametrize("kind", ["f8", "f4", "i2", "u4"])
def test_the_byte_order_of_a_file_becomes_the_machines(kind):
    for order in "<>":
        given = np.arange(3).astype(order + kind)
        found = as_float(given)
        assert found.dtype.isnative and found.dtype == (kind if kind[0] == "f" else "f8")
        assert found.tolist() == [0, 1, 2]


DOORS = {  # every door of the core that takes arrays of floats
    "normalize": lambda x: wt.normalize(x["p"]),
    "cost_matrix": lambda x: wt.cost_matrix(x["axis"]),
    "LineCost": lambda x: wt.LineCost(x["axis"]).dense(),
    "gibbs_kernel": lambda x: wt.gibbs_kernel(x["cost"], 1.0).matrix,
    "blur_width": lambda x: wt.blur_width(1.0, x["cost"]),
    "displacement": lambda x: wt.displacement(x["p"], x["q"], x["axis"]).start,
    "wasserstein_1d": lambda x: wt.wasserstein_1d(x["p"], x["q"], x["axis"]),
    "continuum_removed": lambda x: wt.continuum_removed(x["q"], x["axis"]),
    "area_fractions": lambda x: wt.area_fractions(x["p"], x["axis"] + 1),
    "linear_mixture": lambda x: wt.linear_mixture(x["atoms"], x["weights"]),
    "sinkhorn": lambda x: wt.sinkhorn(x["p"], x["q"], x["cost"], eps=1.0, tol=1e-5).transport_cost,
    "sinkhorn, log": lambda x: wt.sinkhorn(x["p"], x["q"], x["cost"], eps=1.0, tol=1e-5, domain="log").plan,
    "sinkhorn_divergence": lambda x: wt.sinkhorn_divergence(x["p"], x["q"], x["cost"], eps=1.0, tol=1e-5),
    "barycenter": lambda x: wt.barycenter(x["atoms"], x["weights"], x["cost"], eps=1.0, tol=1e-5).histogram,
    "barycenter, debiased": lambda x: (
        wt.barycenter(x["atoms"], x["weights"], x["cost"], eps=1.0, n_iter=9, debiased=True).histogram
    ),
    "barycenter_vjp": lambda x: wt.barycenter_vjp(x["atoms"], x["weights"], x["cost"], x["atoms"], eps=1.0, n_iter=5)[
        1
    ],
    "wdl_objective": lambda x: (
        wt.wdl_objective(
            x["atoms"], x["atoms"], x["weights"], x["cost"], eps=1.0, loss="wasserstein", n_iter=5, locality=0.1
        ).grad_weights
    ),
    "fit": lambda x: (
        wt.WassersteinDictionary(
            2,
            cost=x["cost"],
            eps=1.0,
            max_iter=3,
            tol=None,
            random_state=0,
            init_atoms=x["atoms"],
            init_weights=x["weights"],
        )
        .fit(x["atoms"], sample_weight=x["p"][1:3])
        .transform(x["atoms"])
    ),
}
KINDS = [">f8", ">f4", "float16", "bfloat16", "longdouble"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("door", DOORS)
def test_a_type_that_files_and_networks_use_gives_what_float64_gives(door, kind):
    held = {  # numbers that three digits hold exactly, so that only the type is on trial
        "p": [0.125, 0.25, 0.375, 0.25],
        "q": [0.5, 0.125, 0.25, 0.125],
        "axis": [0.0, 1.0, 2.0, 3.0],
        "cost": wt.cost_matrix([0.0, 1.0, 2.0, 3.0]),
        "atoms": [[0.5, 0.125, 0.25, 0.125], [0.125, 0.25, 0.375, 0.25]],
        "weights": [[0.25, 0.75], [0.5, 0.5]],
    }
    if kind == "bfloat16":
        torch = pytest.importorskip("torch")
        given = {name: torch.tensor(np.asarray(x), dtype=torch.bfloat16) for name, x in held.items()}
    else:
        given = {name: np.asarray(x, dtype=kind) for name, x in held.items()}
    exact = DOORS[door]({name: np.asarray(x, dtype=np.float64) for name, x in held.items()})
    atol = 5e-4 if door == "fit" else 2e-5  # where a descent stops is less sure than a number
    np.testing.assert_allclose(to_numpy(DOORS[door](given)).astype(float), exact, rtol=2e-4, atol=atol)


@pytest.mark.parametrize("rows_last", [False, True])
def test_sums_over_rows_are_alike_in_both_orders_of_memory(xp, rng, rows_last):
    drawn = rng.standard_normal((6, 5, 2, 7))
    weight, y, *xs = (xp.array(np.ascontiguousarray(a.T).T if rows_last else a) for a in drawn)
    gram, right = _array.row_gram(weight, xs, y)
    assert_close(gram, np.einsum("rpk,irpk,jrpk->rij", drawn[0], drawn[2:], drawn[2:]), rtol=1e-12)
    assert_close(right, np.einsum("rpk,irpk,rpk->ri", drawn[0], drawn[2:], drawn[1]), rtol=1e-12)
    shares = rng.standard_normal((5, 4))
    assert_close(_array.row_blend(xp.array(shares), xs), np.einsum("ri,irpk->rpk", shares, drawn[2:]), rtol=1e-12)
