"""Resizing against Pillow, and moving pixels into channels against their definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jaxcnn import ops, shapes

FILTERS = {
    "linear": Image.Resampling.BILINEAR,
    "cubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}


@pytest.mark.long
def test_resize_as_pillow():
    """Pillow blurs before it makes an image smaller too; each size is that of two axes."""
    picture = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    heights = list(range(1, 13)) * 2
    widths = [(5 * height + shift) % 13 or 6 for shift in (0, 3) for height in range(1, 13)]
    sizes = list(zip(heights, widths, strict=True))

    @jax.jit  # one program for all of them compiles in a third of the time
    def resize(x):
        return {
            (method, size): ops.resize(x, size, method=method)[0, ..., 0]
            for method in FILTERS
            for size in sizes
        }

    for (method, size), y in resize(jnp.asarray(picture)[None, ..., None]).items():
        expected = Image.fromarray(picture).resize(size[::-1], FILTERS[method])
        message = f"{method} {size}"
        np.testing.assert_allclose(y, expected, rtol=1e-3, atol=2e-4, err_msg=message)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=3))
def test_nearest_upsampling_repeats(axes):
    spatial, scale = zip(*axes, strict=True)
    x = np.arange(2 * np.prod(spatial) * 2, dtype=np.float32).reshape(2, *spatial, 2)
    expected = x
    for axis, factor in enumerate(scale, start=1):
        expected = expected.repeat(factor, axis)
    y = jax.jit(ops.upsample, static_argnums=1)(x, scale)
    np.testing.assert_array_equal(y, expected)
    assert y.shape[1:] == shapes.upsample_shape(x.shape[1:], scale)


def test_antialias_blurs_what_gets_smaller():
    """Each output is a triangle of four pixels to either side of its middle."""
    x = jnp.array([0.0, 0, 0, 28, 0, 0, 0, 0])[None, :, None]
    weights = [np.maximum(1 - np.abs(np.arange(8) - middle) / 4, 0) for middle in (1.5, 5.5)]
    expected = [28 * w[3] / w.sum() for w in weights]
    np.testing.assert_allclose(ops.resize(x, 2)[0, :, 0], expected, rtol=1e-6)
    assert ops.resize(x, 2, antialias=False)[0, :, 0].tolist() == [0, 0]


blocks = st.lists(st.integers(1, 3), min_size=1, max_size=3)


@given(blocks, st.integers(1, 3), st.integers(1, 2))
def test_space_to_depth_and_back(outer, block, channels):
    spatial = [n * block for n in outer]
    x = np.arange(2 * np.prod(spatial) * channels).reshape(2, *spatial, channels)
    y = np.asarray(jax.jit(ops.space_to_depth, static_argnums=1)(jnp.asarray(x), block))
    assert y.shape[1:] == shapes.space_to_depth_shape(x.shape[1:], block)
    for index in np.ndindex(*outer):
        corner = tuple(slice(i * block, (i + 1) * block) for i in index)
        np.testing.assert_array_equal(y[:, *index], x[:, *corner].reshape(2, -1))
    assert shapes.depth_to_space_shape(y.shape[1:], block) == x.shape[1:]
    back = jax.jit(ops.depth_to_space, static_argnums=1)(jnp.asarray(y), block)
    np.testing.assert_array_equal(back, x)


def test_upsampling_keeps_an_infinity_local_in_every_dtype():
    x = np.ones((1, 12, 1), np.float32)
    x[0, 6] = np.inf
    y = jax.jit(lambda x: ops.upsample(x, 2, method="lanczos3"))(x.astype(jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    assert not np.isfinite(np.asarray(y, np.float32))[0, 9:17].all()
    assert np.isfinite(np.asarray(y, np.float32))[0, [*range(6), *range(20, 24)]].all()
