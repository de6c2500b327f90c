"""Dense layers and flattening against NumPy."""

import jax
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn import ops, shapes

sizes = st.integers(1, 5)


@given(st.integers(0, 4), sizes, sizes, st.booleans())
def test_dense(batch, in_features, features, use_bias):
    random = np.random.default_rng(0)
    x, kernel, bias = (
        random.integers(-4, 5, shape).astype(np.float32)
        for shape in ((batch, in_features), (in_features, features), (features,))
    )
    y = jax.jit(ops.dense)(x, kernel, bias if use_bias else None)
    expected = np.zeros((batch, features))
    for row, column, i in np.ndindex(batch, features, in_features):
        expected[row, column] += x[row, i] * kernel[i, column]
    expected += bias if use_bias else 0
    np.testing.assert_array_equal(y, expected)


@given(st.integers(0, 3), st.lists(sizes, min_size=1, max_size=4))
def test_flatten_keeps_the_order_of_memory(batch, shape):
    x = np.arange(batch * np.prod(shape)).reshape(batch, *shape)
    y = jax.jit(ops.flatten)(x)
    assert y.shape == (batch, *shapes.flatten(shape))
    np.testing.assert_array_equal(np.ravel(y), np.arange(x.size))
