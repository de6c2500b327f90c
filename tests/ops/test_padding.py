"""Padding against its definition, position by position."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops import references

from jaxcnn import ops

widths = st.tuples(st.integers(0, 3), st.integers(0, 3))
axes = st.lists(st.tuples(st.integers(1, 5), widths), min_size=1, max_size=3)


@given(axes, st.sampled_from(["zeros", "reflect", "replicate", "circular"]), st.integers(0, 2))
def test_pad(axes, mode, batch):
    most = {"reflect": lambda n: n - 1, "circular": lambda n: n}.get(mode, lambda n: 3)
    spatial = [n for n, _ in axes]
    pairs = [(min(low, most(n)), min(high, most(n))) for n, (low, high) in axes]
    x = np.arange(batch * np.prod(spatial) * 2, dtype=np.float32).reshape(batch, *spatial, 2)
    y = jax.jit(functools.partial(ops.pad, widths=pairs, mode=mode))(x)
    np.testing.assert_array_equal(y, references.pad(x, pairs, mode))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "uint8", "int32", "bool"])
def test_value_and_dtype(dtype):
    x = jnp.zeros((1, 2, 1), dtype)
    y = ops.pad(x, [(1, 2)], value=1)
    assert y.dtype == x.dtype
    assert y.ravel().astype(int).tolist() == [1, 0, 0, 1, 1]


def test_the_border_gives_its_gradient_to_what_it_shows():
    def gradient(mode):
        weights = jnp.array([1.0, 10, 100, 1000, 10000])[None, :, None]
        x = jnp.zeros((1, 3, 1))
        return jax.grad(lambda x: (ops.pad(x, 1, mode=mode) * weights).sum())(x).ravel().tolist()

    assert gradient("zeros") == [10, 100, 1000]
    assert gradient("replicate") == [11, 100, 11000]
    assert gradient("reflect") == [10, 10101, 1000]
    assert gradient("circular") == [10010, 100, 1001]
