"""Numbers per channel, spread and summed, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxcnn.ops.primitives.channels import spread, total

SHAPES = [(3,), (1, 3), (7, 3), (8, 3), (2, 5, 3), (2, 9, 5, 3), (2, 3, 4, 5, 1), (0, 3), (2, 0)]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_both(shape, dtype):
    x = np.random.default_rng(0).integers(-4, 5, shape)
    summed = total(jnp.asarray(x, dtype))
    assert summed.dtype == dtype
    np.testing.assert_array_equal(
        summed.astype(jnp.float32), x.sum(axis=tuple(range(x.ndim - 1))).astype(np.float32)
    )
    values = jnp.arange(shape[-1]).astype(dtype)
    everywhere = spread(values, jnp.asarray(x, dtype))
    assert everywhere.dtype == dtype
    np.testing.assert_array_equal(everywhere, np.broadcast_to(np.arange(shape[-1]), shape))


@pytest.mark.parametrize("shape", [(7, 3), (2, 9, 5, 3)])
def test_derivatives(shape):
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
    check_grads(lambda x: total(x * x), (x,), order=2, eps=0.01, atol=0.02, rtol=0.02)
    check_grads(
        lambda v: total(x * spread(v, x) ** 2),
        (jnp.ones(3),),
        order=2,
        eps=0.01,
        atol=0.02,
        rtol=0.02,
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_total_under_vmap(axis):
    x = jnp.arange(60.0).reshape(3, 4, 5)
    together = jax.vmap(total, in_axes=axis)(x)
    for index, summed in enumerate(together):
        np.testing.assert_array_equal(summed, jnp.take(x, index, axis).sum(axis=0))


def test_spread_under_vmap():
    values = jnp.arange(6.0).reshape(2, 3)
    together = jax.vmap(lambda v: spread(v, jnp.zeros((2, 3))))(values)
    np.testing.assert_array_equal(together, np.arange(6).reshape(2, 1, 3).repeat(2, axis=1))
