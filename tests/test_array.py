"""One backend at a time: what comes in decides, nothing is moved, and lists become floats."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from conftest import assert_close
from scipy import sparse

from wdl_tutorial import _array


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
