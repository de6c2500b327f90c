"""Padding, resizing and moving pixels into channels, against PyTorch and Keras."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compare import (
    EXACT,
    ROUNDED,
    assert_same,
    dtypes,
    fewer,
    first,
    last,
    pairs,
    per_axis,
    ranks,
    run_ours,
    run_torch,
    seeds,
    torch_widths,
    whole_numbers,
)
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn import ops


@st.composite
def images(draw, axes=ranks, least=1):
    rank = draw(axes)
    shape = (draw(st.integers(1, 2)), *per_axis(draw, rank, least, 6), draw(st.integers(1, 3)))
    return whole_numbers(draw(seeds), shape, draw(dtypes))


@given(images(), st.sampled_from(["zeros", "reflect", "replicate", "circular"]), st.data())
def test_pad_against_torch(x, mode, data):
    """A negative width crops."""
    widths = pairs(data.draw, x.ndim - 2, 4)
    limit = {"reflect": -1, "circular": 0}.get(mode, 9)
    widths = tuple(
        (min(low, n + limit), min(high, n + limit))
        for (low, high), n in zip(widths, x.shape[1:-1], strict=True)
    )
    crop = data.draw(st.integers(0, 5))
    widths = tuple(
        (-min(crop, n - 1), min(high, n - 1 - min(crop, n - 1))) if crop > 3 else (low, high)
        for (low, high), n in zip(widths, x.shape[1:-1], strict=True)
    )

    def torch_pad(x):
        word = "constant" if mode == "zeros" else mode
        return last(F.pad(first(x), torch_widths(widths), mode=word))

    ours = run_ours(lambda x: ops.pad(x, widths, mode=mode), x)
    assert_same(ours, run_torch(torch_pad, x), EXACT[str(x.dtype)])


@fewer
@given(images(), st.integers(-3, 3), st.data())
def test_pad_with_a_value_against_torch(x, value, data):
    widths = pairs(data.draw, x.ndim - 2, 3)

    def torch_pad(x):
        return last(F.pad(first(x), torch_widths(widths), value=value))

    ours = run_ours(lambda x: ops.pad(x, widths, value=value), x)
    assert_same(ours, run_torch(torch_pad, x), 0)


@fewer
@given(images(), st.data())
def test_nearest_upsampling_against_torch(x, data):
    scale = per_axis(data.draw, x.ndim - 2, 1, 3)

    def torch_upsample(x):
        return last(F.interpolate(first(x), scale_factor=scale, mode="nearest"))

    ours = run_ours(lambda x: ops.upsample(x, scale), x)
    assert_same(ours, run_torch(torch_upsample, x), EXACT[str(x.dtype)])


@fewer
@given(images(), st.data())
def test_linear_resize_against_torch(x, data):
    x = x.astype("float32")
    size = per_axis(data.draw, x.ndim - 2, 1, 8)
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[x.ndim - 2]

    def torch_resize(x):
        return last(F.interpolate(first(x), size=size, mode=mode, align_corners=False))

    ours = run_ours(lambda x: ops.resize(x, size, antialias=False), x)
    assert_same(ours, run_torch(torch_resize, x), ROUNDED["float32"])


@given(
    images(axes=st.just(2)),
    st.sampled_from(["nearest", "bilinear", "bicubic"]),
    st.booleans(),
    st.sampled_from([None, 0.5, 0.7, 1.3, 2.5]),
    st.data(),
)
def test_every_way_to_resize_against_torch(x, mode, align_corners, factor, data):
    """By size or factor; aligned corners, half-pixel and asymmetric coordinates."""
    x = jnp.repeat(x.astype("float32"), 2, axis=1).repeat(2, axis=2)
    size = per_axis(data.draw, 2, 1, 8) if factor is None else None
    align_corners = None if mode == "nearest" else align_corners
    method = {"nearest": "nearest_floor", "bilinear": "linear"}.get(mode, mode)
    words = {None: "asymmetric", False: "half_pixel", True: "align_corners"}
    options = {"method": method, "coordinates": words[align_corners]}

    def torch_resize(x):
        y = F.interpolate(first(x), size, factor, mode=mode, align_corners=align_corners)
        return last(y)

    def resize(x):
        if size is None:
            return ops.upsample(x, factor, **options)
        return ops.resize(x, size, antialias=False, **options)

    assert_same(run_ours(resize, x), run_torch(torch_resize, x), ROUNDED["float32"])


@fewer
@given(images(), st.integers(1, 4))
def test_channel_shuffle_against_torch(x, groups):
    x = jnp.repeat(x, groups, axis=-1)

    def torch_shuffle(x):
        return last(F.channel_shuffle(first(x), groups))

    ours = run_ours(lambda x: ops.channel_shuffle(x, groups), x)
    assert_same(ours, run_torch(torch_shuffle, x), 0)


@fewer
@given(images(), st.integers(1, 3), st.data())
def test_space_to_depth_and_back_against_torch(x, block, data):
    x = x if x.ndim == 4 else x.reshape(x.shape[0], -1, 1, x.shape[-1])
    x = jnp.asarray(np.asarray(x).repeat(block, 1).repeat(block, 2))
    channels = x.shape[-1]

    def torch_space_to_depth(x):
        # PyTorch orders channels as (channel, block); ours vary the channel fastest.
        y = last(F.pixel_unshuffle(first(x), block))
        return y.unflatten(-1, (channels, block * block)).transpose(-1, -2).flatten(-2)

    ours = run_ours(lambda x: ops.space_to_depth(x, block), x)
    assert_same(ours, run_torch(torch_space_to_depth, x), 0)
    deep = ops.space_to_depth(x, block)
    assert_same(run_ours(lambda x: ops.depth_to_space(x, block), deep)[:1], [x], 0)


@fewer
@given(images(axes=st.just(2)), st.sampled_from(["nearest", "bilinear"]), st.data())
def test_resize_against_keras(x, method, data):
    x = x.astype("float32")
    size = per_axis(data.draw, 2, 1, 8)

    def keras_resize(x):
        return keras.ops.image.resize(x, size, interpolation=method, antialias=True)

    word = {"nearest": "nearest", "bilinear": "linear"}[method]
    ours = run_ours(lambda x: ops.resize(x, size, method=word), x)
    assert_same(ours, run_ours(keras_resize, x), ROUNDED["float32"])


@pytest.mark.parametrize(
    ("size", "options", "torch_options"),
    [
        ((48, 40), {"method": "linear"}, {"mode": "bilinear"}),
        ((8, 10), {"method": "linear"}, {"mode": "bilinear", "antialias": True}),
        ((48, 40), {"method": "cubic"}, {"mode": "bicubic"}),
        ((12, 8), {"method": "cubic"}, {"mode": "bicubic", "antialias": True}),
    ],
)
def test_infinity_and_nan_stay_local(size, options, torch_options):
    """They reach the pixels that PyTorch's reach, and the others stay as they are without them."""
    clean = np.random.default_rng(0).normal(size=(1, 24, 20, 2)).astype(np.float32)
    x = clean.copy()
    x[0, 9, 12], x[0, 15, 6] = (np.nan, np.inf), (np.inf, -np.inf)
    resize = jax.jit(lambda x: ops.resize(x, size, **options))
    y, plain = np.asarray(resize(x)), np.asarray(resize(clean))
    theirs = F.interpolate(torch.from_numpy(x).permute(0, 3, 1, 2), size, **torch_options).permute(
        0, 2, 3, 1
    )
    reached = ~np.isfinite(theirs.numpy())
    assert 0 < reached.mean() < 1
    np.testing.assert_array_equal(~np.isfinite(y), reached)
    np.testing.assert_allclose(y[~reached], plain[~reached], rtol=1e-5, atol=1e-5)
    if options["method"] == "linear":  # no weight is negative
        np.testing.assert_array_equal(np.isposinf(y), np.isposinf(theirs.numpy()))
        np.testing.assert_array_equal(np.isneginf(y), np.isneginf(theirs.numpy()))
