"""The only module that knows about array backends.

Everything else asks :func:`array_namespace` for the namespace of its inputs and stays inside the array-API standard,
so that NumPy, CuPy, torch and ``array-api-strict`` arrays run through the same lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

import array_api_compat as compat
import numpy as np

_NUMPY = compat.array_namespace(np.empty(0))
Array = Any  # any array of a supported backend; the standard has no common type to name


def backend_name(x: Array) -> str:
    """The name of the backend of ``x`` (and its device where it is not the host), for messages."""
    name = array_namespace(x).__name__.removeprefix("array_api_compat.").split(".")[0]
    return name if on_host(x) else f"{name} on {device(x)}"


def array_namespace(*arrays: Array) -> Any:
    """The one namespace of all ``arrays``; ``None`` and Python scalars are ignored, plain lists count as NumPy.

    Raises
    ------
    TypeError
        If the arrays come from two backends, or live on two devices. Nothing is moved silently.
    """
    if all(type(x) is np.ndarray for x in arrays):
        return _NUMPY  # the common case, met once per iteration
    found = [x for x in arrays if compat.is_array_api_obj(x)]
    if not found:
        return _NUMPY
    first = found[0]
    namespace = compat.array_namespace(first)
    for other in found[1:]:
        if type(other) is type(first) and compat.is_numpy_array(first):
            continue
        if compat.array_namespace(other) is not namespace:
            raise TypeError(
                f"all arrays must come from one backend; got {backend_name(first)} and {backend_name(other)}. "
                "Convert one of them first: nothing is moved silently."
            )
        if compat.device(other) != compat.device(first):
            raise TypeError(
                f"all arrays must be on one device; got {compat.device(first)} and {compat.device(other)}. "
                "Move one of them first: nothing is moved silently."
            )
    return namespace


def device(x: Array) -> Any:
    """The device of ``x``."""
    return compat.device(x)


def is_array(x: object) -> TypeGuard[Array]:
    """True for an array of any supported backend."""
    return compat.is_array_api_obj(x)


def is_numpy(x: object) -> TypeGuard[np.ndarray]:
    """True for a NumPy array: the gate of the few fast paths that write into buffers."""
    return compat.is_numpy_array(x)


def on_host(x: Array) -> bool:
    """True where ``x`` lives in the machine's main memory, so that cache-sized chunks pay."""
    return compat.is_numpy_array(x) or "cpu" in str(device(x)).lower()


def as_float(x: Any, like: Array | None = None, *, name: str = "") -> Array:
    """``x`` as an array of floats: lists and data frames become NumPy float64, integers the backend's default float.

    A float32 array stays float32; half precision (float16, bfloat16), whose three digits are a way to store numbers and
    not to compute with them, becomes float32; extended precision, which SciPy does not know, becomes float64; another
    byte order becomes the machine's. Lists and NumPy scalars follow ``like`` where it is given. Errors
    begin with ``name``, the argument's.

    Raises
    ------
    TypeError
        Masked, sparse, complex or lazy (Dask) arrays, and what holds no numbers: with what to do instead.
    """
    try:
        return _floats(x, like)
    except TypeError as error:
        if not name:
            raise
        raise TypeError(f"{name}: {error}") from None


def _floats(x: Any, like: Array | None) -> Array:
    _refuse(x)
    if isinstance(x, np.ma.MaskedArray):
        x = x.data
    if is_frame(x):
        x = _from_frame(x)
    if not compat.is_array_api_obj(x) or isinstance(x, np.generic):
        x = _from_list(x)
        x = _computable(x if x.dtype.kind == "f" else x.astype(np.float64))
        if compat.is_array_api_obj(like) and not compat.is_numpy_array(like):
            x = to_backend(x, like)
        return x
    if type(x) is np.matrix:
        x = np.asarray(x)  # a matrix multiplies by rules of its own
    xp = array_namespace(x)
    if xp.isdtype(x.dtype, "real floating"):
        return _computable(x)
    if not xp.isdtype(x.dtype, ("integral", "bool")):
        raise TypeError(f"expected real numbers, got an array of dtype {x.dtype}.")
    default = xp.empty(0).dtype
    return xp.astype(x, default)


def _from_list(x: Any) -> np.ndarray:
    """What is no array yet, as numbers of NumPy."""
    try:
        host = np.asarray(x)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"expected an array or a list of numbers, got {type(x).__name__}: {error}") from None
    if host.dtype.kind not in "fiub":
        what = f"an array of dtype {host.dtype}" if host.ndim else type(x).__name__
        raise TypeError(f"expected numbers, got {what}.")
    return host


def _refuse(x: Any) -> None:
    """What cannot become an array of floats without losing something, or without crawling."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise TypeError(
            f"expected numbers, got an array with {np.ma.count_masked(x)} masked entries, whose mask would be lost. "
            "Drop them, or fill them: x.filled(value)."
        )
    if hasattr(x, "toarray"):
        raise TypeError(
            f"expected an array, got a sparse {type(x).__name__}. Give x.toarray(): histograms are dense here."
        )
    if compat.is_dask_array(x):
        raise TypeError(
            f"expected an array in memory, got a lazy Dask array of shape {tuple(x.shape)}: every step would compute it "
            "again. Give x.compute(), or some of its rows. A WassersteinDictionary of solver='minibatch' draws rows from "
            "it, and transform maps it."
        )


def is_frame(x: object) -> bool:
    """True for a data frame (or one of its columns): what has values, column names and its own way to NumPy."""
    return hasattr(x, "to_numpy") and (hasattr(x, "columns") or hasattr(x, "name")) and not compat.is_array_api_obj(x)


def _from_frame(x: Any) -> np.ndarray:
    """The numbers of a data frame; a missing entry of pandas' own Float64 is NaN."""
    try:
        return np.asarray(x, dtype=np.float64)
    except TypeError:  # pandas' Float64 with a missing entry: pandas.NA is no float
        return x.to_numpy(dtype=np.float64, na_value=np.nan)
    except ValueError as error:
        raise TypeError(f"expected numbers, got a {type(x).__name__}: {error}") from None


def _computable(x: Array) -> Array:
    """Half precision as float32, extended as float64, and NumPy's other byte order as the machine's own."""
    xp = array_namespace(x)
    if xp.finfo(x.dtype).bits < 32:
        return xp.astype(x, xp.float32)
    if is_numpy(x) and x.dtype.itemsize > 8:
        return x.astype(np.float64)
    return x.astype(x.dtype.newbyteorder("=")) if is_numpy(x) and not x.dtype.isnative else x


def double(x: Array) -> Array:
    """``x`` as float64, for what needs its sixteen digits.

    Raises
    ------
    TypeError
        Where JAX has float64 switched off: it would give float32 under that name.
    """
    xp = array_namespace(x)
    if compat.is_jax_array(x) and xp.empty(0).dtype != xp.float64:
        raise TypeError(
            "this needs float64, which JAX has switched off. Say jax.config.update('jax_enable_x64', True) before any "
            "array is made, or give NumPy arrays."
        )
    return xp.astype(x, xp.float64, copy=False)


def one_type(*arrays: Array) -> tuple[Array, ...]:
    """The arrays, of one backend, in the widest of their floating types."""
    xp = array_namespace(*arrays)
    kind = xp.result_type(*(x.dtype for x in arrays))
    return tuple(xp.astype(x, kind, copy=False) for x in arrays)


def to_backend(x: Any, like: Array) -> Array:
    """A host array moved to the namespace, device and (if it is floating) dtype of ``like``: the explicit door."""
    xp = array_namespace(like)
    host = np.asarray(x)
    if compat.is_numpy_array(like):
        return host.astype(like.dtype, copy=False) if host.dtype.kind == "f" else host
    kwargs = {"device": device(like)}
    if host.dtype.kind == "f" and xp.isdtype(like.dtype, "real floating"):
        kwargs["dtype"] = like.dtype
    if compat.is_torch_namespace(xp):
        host = np.array(host)  # torch warns when it is handed read-only memory
    return xp.asarray(host, **kwargs)


def like(x: Any, xp: Any) -> Array:
    """``x`` as an array of namespace ``xp`` (a module): what tests and notebooks use to change backend in the open."""
    return xp.asarray(np.array(to_numpy(x)))


def is_complex(x: Any) -> bool:
    """True for arrays of complex numbers, of any backend."""
    return "complex" in str(getattr(x, "dtype", ""))


def put(x: Array, where: Any, rows: Array) -> Array:
    """``x`` with ``rows`` at ``where``: written into ``x``, but where a backend's arrays never change (JAX)."""
    if compat.is_jax_array(x):
        return x.at[where].set(rows)
    x[where] = rows
    return x


def tracks(*arrays: Any) -> bool:
    """True where torch would record what is done with any of ``arrays``, to differentiate it."""
    return any(compat.is_torch_array(x) and x.requires_grad for x in arrays)


def with_gradient(value: Array, inputs: tuple[Array, ...], pull: Callable[[Array], tuple[Array, ...]]) -> Array:
    """``value`` as a function of the tensors ``inputs`` to torch, which asks ``pull`` for its gradient in them.

    ``pull`` maps a gradient in ``value`` to gradients in the inputs, by hand: nothing is recorded.
    """
    import torch

    class ByHand(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            return value.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
            found = pull(grad)
            return tuple(g if needed else None for g, needed in zip(found, ctx.needs_input_grad))

    return ByHand.apply(*inputs)


def detached(x: Any) -> Any:
    """``x`` without its gradient's record, where it is a tensor that has one: for what is differentiated by hand."""
    return x.detach() if tracks(x) else x


def to_numpy(x: Any) -> np.ndarray:
    """``x`` on the host as NumPy, whatever its backend: for figures, widgets and files. Detaches torch tensors."""
    if compat.is_torch_array(x):
        x = x.detach().cpu()
        return (x.float() if str(x.dtype) == "torch.bfloat16" else x).numpy()
    if compat.is_cupy_array(x):
        return x.get()
    return np.asarray(x)


def rows_last(x: Array) -> bool:
    """True for a NumPy array that is a view with the first axis innermost in memory, as the fast paths hold it."""
    return is_numpy(x) and x.ndim > 1 and x.strides[0] == x.itemsize and x.shape[0] > 1


def take_rows(x: Array, rows: Array) -> Array:
    """These rows (first axis), in the order of memory that ``x`` has."""
    if rows_last(x):
        return np.take(x.T, rows, axis=-1).T
    return array_namespace(x).take(x, rows, axis=0)


def row_products(xs: list[Array], ys: list[Array]) -> Array:
    """(rows, len(xs), len(ys)): the inner products, row by row, of arrays (rows, ...)."""
    xp, rows = array_namespace(xs[0]), xs[0].shape[0]
    if rows_last(xs[0]):
        flat = [[a.T.reshape(-1, rows) for a in arrays] for arrays in (xs, ys)]
        found = np.empty((rows, len(xs), len(ys)), xs[0].dtype)
        for i, a in enumerate(flat[0]):
            for j, b in enumerate(flat[1]):
                np.einsum("kr,kr->r", a, b, out=found[:, i, j])
        return found
    left, right = (xp.stack([xp.reshape(a, (rows, -1)) for a in arrays], axis=1) for arrays in (xs, ys))
    return xp.matmul(left, xp.matrix_transpose(right))


def row_gram(weight: Array, xs: list[Array], y: Array) -> tuple[Array, Array]:
    """The sums of weight x_i x_j, (rows, len(xs), len(xs)), and of weight x_i y, (rows, len(xs)), in each row."""
    rows, n = y.shape[0], len(xs)
    if not all(rows_last(a) for a in (weight, y, *xs)):
        left = [weight * x for x in xs]
        return row_products(left, xs), row_products(left, [y])[:, :, 0]
    weight, y, *xs = (a.T.reshape(-1, rows) for a in (weight, y, *xs))
    gram, right, left = np.empty((rows, n, n), y.dtype), np.empty((rows, n), y.dtype), np.empty_like(y)
    for i, x in enumerate(xs):
        np.multiply(weight, x, out=left)
        right[:, i] = np.einsum("kr,kr->r", left, y)
        for j in range(i + 1):
            gram[:, i, j] = gram[:, j, i] = np.einsum("kr,kr->r", left, xs[j])
    return gram, right


def row_blend(shares: Array, xs: list[Array]) -> Array:
    """The sum of shares_i x_i in each row, shares (rows, len(xs))."""
    total = shares[:, 0][:, None, None] * xs[0]
    if not rows_last(total):
        for i in range(1, len(xs)):
            total = total + shares[:, i][:, None, None] * xs[i]
        return total
    term = np.empty_like(total)
    for i in range(1, len(xs)):
        total += np.multiply(shares[:, i][:, None, None], xs[i], out=term)
    return total


def number(x: Array) -> float:
    """A one-element array as a Python float; of a torch tensor that tracks gradients, its value."""
    return float(to_numpy(x))


def stays_empty(x: Array) -> Array:
    """``x``, whose gradient is 0 where it is 0, in whichever domain the rest is computed; itself where nothing is traced."""
    return array_namespace(x).where(x > 0, x, array_namespace(x).zeros_like(x)) if tracks(x) else x


def row_sums(x: Array) -> Array:
    """Sums along the last axis; NumPy's in float64 at least, since it adds some memory orders one by one.

    Of 1e5 float32 bins two digits would be lost.
    """
    xp = array_namespace(x)
    wide = is_numpy(x) and xp.finfo(x.dtype).bits < 64  # other backends add pairwise in any memory order
    return xp.sum(x, axis=-1, dtype=xp.float64 if wide else x.dtype)


def safe_log(x: Array) -> Array:
    """log(x) with log(0) = -inf and no warning; its gradient at 0 is 0, not NaN."""
    xp = array_namespace(x)
    positive = x > 0
    return xp.where(positive, xp.log(xp.where(positive, x, xp.ones_like(x))), xp.full_like(x, -float("inf")))


def logsumexp(x: Array, *, axis: int = -1) -> Array:
    """log(sum(exp(x))) along ``axis`` without overflow; -inf where every entry is -inf."""
    xp = array_namespace(x)
    top = xp.max(x, axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))  # all -inf: subtract 0, not -inf, which would be NaN
    total = xp.sum(xp.exp(x - top), axis=axis)
    some = total > 0
    log = xp.log(xp.where(some, total, xp.ones_like(total)))
    return xp.where(some, log + xp.squeeze(top, axis=axis), xp.full_like(total, -float("inf")))


def softmax(x: Array, *, axis: int = -1) -> Array:
    """exp(x) / sum(exp(x)) along ``axis`` (Schmitz et al. (2018), the change of variables above eq. (13))."""
    xp = array_namespace(x)
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)
