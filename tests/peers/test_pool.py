"""Pools against PyTorch and Keras."""

import functools

import jax.numpy as jnp
import keras
import numpy as np
import torch.nn.functional as F
from compare import (
    EXACT,
    ROUNDED,
    assert_same,
    batches,
    dtypes,
    fewer,
    first,
    last,
    per_axis,
    ranks,
    run_ours,
    run_torch,
    seeds,
    whole_numbers,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from jaxcnn import ops, shapes

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
LP = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
ADAPTIVE_MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}
ADAPTIVE_AVG = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}


@st.composite
def images(draw, *, dtype=None):
    axes = draw(ranks)
    spatial = per_axis(draw, axes, 1, 10 if axes < 3 else 6)
    shape = (draw(batches), *spatial, draw(st.integers(1, 3)))
    return whole_numbers(draw(seeds), shape, dtype or draw(dtypes))


@st.composite
def windows(draw, x, *, dilated=False, padded=True):
    """Options that fit ``x``, in our words; PyTorch pads at most half a window."""
    axes = x.ndim - 2
    window = per_axis(draw, axes, 1, 4 if axes < 3 else 3)
    options = {
        "window": window,
        "strides": per_axis(draw, axes, 1, 4),
        "padding": tuple(draw(st.integers(0, f // 2 if padded else 0)) for f in window),
        "ceil_mode": draw(st.booleans()),
    }
    if dilated:
        options["dilation"] = per_axis(draw, axes, 1, 3)
    assume(fits(x, **options))
    return options


def fits(x, **options):
    try:
        shapes.pool_shape(x.shape[1:], **options)
    except ValueError:
        return False
    return True


def fits_evenly(x, options):
    """Whether every window is full, so that rounding up adds none."""
    return fits(x, **options | {"ceil_mode": False}) and all(
        (n - f) % s == 0
        for n, f, s in zip(x.shape[1:-1], options["window"], options["strides"], strict=True)
    )


def fits_unpadded(x, options):
    """PyTorch's rule for means in three dimensions."""
    return x.ndim < 5 or fits(x, **options | {"padding": 0, "ceil_mode": False})


def in_torch(options):
    names = {"window": "kernel_size", "strides": "stride"}
    return {names.get(name, name): value for name, value in options.items()}


@given(st.data())
def test_max_pool_against_torch(data):
    x = data.draw(images())
    assume(x.shape[0])  # PyTorch refuses an empty batch in one dimension
    options = data.draw(windows(x, dilated=True))

    def torch_pool(x):
        return last(MAX[x.ndim - 2](first(x), **in_torch(options)))

    ours = run_ours(lambda x: ops.max_pool(x, **options), x)
    # A dilated window may step over a small image and read padding alone; PyTorch then gives its
    # gradient to a position that the window does not read.
    assume(np.isfinite(ours[0]).all())
    assert_same(ours, run_torch(torch_pool, x), EXACT[str(x.dtype)])


@given(st.data(), st.booleans())
def test_avg_pool_against_torch(data, count_include_pad):
    x = data.draw(images())
    assume(x.ndim < 5 or x.dtype == "float32")  # PyTorch has no others in three dimensions
    options = data.draw(windows(x))
    assume(fits_unpadded(x, options))
    options["count_include_pad"] = count_include_pad

    def torch_pool(x):
        return last(AVG[x.ndim - 2](first(x), **in_torch(options)))

    ours = run_ours(lambda x: ops.avg_pool(x, **options), x)
    assert_same(ours, run_torch(torch_pool, x), ROUNDED[str(x.dtype)])


@given(st.data())
def test_sum_pool_against_torch(data):
    x = data.draw(images())
    assume(x.ndim < 5 or x.dtype == "float32")
    options = data.draw(windows(x))
    options["ceil_mode"] = False  # PyTorch's divisor shrinks at the end, and its sum with it
    assume(fits(x, **options) and fits_unpadded(x, options))
    positions = functools.reduce(lambda a, b: a * b, options["window"])

    def torch_pool(x):
        pooled = AVG[x.ndim - 2](first(x), **in_torch(options), count_include_pad=True)
        return last(pooled) * positions

    ours = run_ours(lambda x: ops.sum_pool(x, **options), x)
    # PyTorch rounds the mean to half precision before it is multiplied.
    assert_same(ours, run_torch(torch_pool, x), ROUNDED[str(x.dtype)])


@given(st.data(), st.sampled_from([1, 2, 3, 4]))
def test_lp_pool_against_torch(data, p):
    x = jnp.abs(data.draw(images())) + 1  # PyTorch takes no absolute values
    assume(x.ndim < 5 or x.dtype == "float32")
    options = data.draw(windows(x, padded=False))
    # In half precision PyTorch takes powers in it, and the mean's divisor is rounded.
    tolerance = {"float32": 2e-5, "bfloat16": 2**-4, "float16": 2**-6}[str(x.dtype)]
    # PyTorch multiplies a mean by all positions, also where the last window has fewer.
    options["ceil_mode"] &= fits_evenly(x, options)
    assume(fits(x, **options))

    def torch_pool(x):
        one = x.ndim == 3  # in one dimension PyTorch takes a number, not a tuple of one
        window, strides = options["window"], options["strides"]
        size, steps = (window[0], strides[0]) if one else (window, strides)
        return last(LP[x.ndim - 2](first(x), p, size, steps, options["ceil_mode"]))

    ours = run_ours(lambda x: ops.lp_pool(x, p=p, **options), x)
    assert_same(ours, run_torch(torch_pool, x), tolerance)


@given(st.data())
def test_adaptive_pools_against_torch(data):
    x = data.draw(images())
    assume(x.shape[0])
    size = per_axis(data.draw, x.ndim - 2, 1, 7)

    def torch_max(x):
        return last(ADAPTIVE_MAX[x.ndim - 2](first(x), size))

    def torch_avg(x):
        return last(ADAPTIVE_AVG[x.ndim - 2](first(x), size))

    ours = run_ours(lambda x: ops.adaptive_max_pool(x, size), x)
    assert_same(ours, run_torch(torch_max, x), EXACT[str(x.dtype)])
    ours = run_ours(lambda x: ops.adaptive_avg_pool(x, size), x)
    assert_same(ours, run_torch(torch_avg, x), ROUNDED[str(x.dtype)])


@given(st.data())
def test_global_pools_against_torch(data):
    x = data.draw(images())

    def torch_max(x):
        return x.flatten(1, -2).max(dim=1).values

    def torch_avg(x):
        return x.flatten(1, -2).float().mean(dim=1).to(x.dtype)

    # Where several values tie, PyTorch's `max` chooses one of its own: the values alone count.
    ours, theirs = run_ours(ops.global_max_pool, x), run_torch(torch_max, x)
    assert_same(ours[:1], theirs[:1], 0)
    ours = run_ours(ops.global_avg_pool, x)
    assert_same(ours, run_torch(torch_avg, x), ROUNDED[str(x.dtype)])


@fewer
@given(st.data(), st.sampled_from(["VALID", "SAME"]))
def test_pools_against_keras(data, padding):
    x = data.draw(images(dtype="float32"))
    options = data.draw(windows(x)) | {"padding": padding, "ceil_mode": False}
    assume(fits(x, **options))
    arguments = (options["window"], options["strides"], padding.lower(), "channels_last")

    # Keras differentiates by XLA, which picks the first of several equal values too.
    ours = run_ours(lambda x: ops.max_pool(x, **options), x)
    assert_same(ours, run_ours(lambda x: keras.ops.max_pool(x, *arguments), x), 0)
    ours = run_ours(lambda x: ops.avg_pool(x, **options), x)
    theirs = run_ours(lambda x: keras.ops.average_pool(x, *arguments), x)
    assert_same(ours, theirs, ROUNDED["float32"])
