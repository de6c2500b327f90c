"""Numbers per channel, spread and summed, against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxcnn.ops.primitives.channels import spread, total

SHAPES = [(3,), (1, 3), (7, 3), (8, 3), (2, 5, 3), (2, 9, 5, 3), (2, 3, 4, 5, 1), (0, 3), (2, 0)]


@pytest.mark.parametrize("shape", SHAPES)
def test_both(shape):
    dtypes = ("float32", "float16", "bfloat16", "int32")
    x, values = np.random.default_rng(0).integers(-4, 5, shape), np.arange(shape[-1])

    @jax.jit
    def computed(arrays):
        return [(total(x), spread(values, x)) for x, values in arrays]

    results = computed([(x.astype(dtype), values.astype(dtype)) for dtype in dtypes])
    for dtype, (summed, everywhere) in zip(dtypes, results, strict=True):
        assert summed.dtype == everywhere.dtype == dtype
        np.testing.assert_array_equal(
            np.asarray(summed, np.float32), x.sum(axis=tuple(range(x.ndim - 1))).astype(np.float32)
        )
        np.testing.assert_array_equal(everywhere, np.broadcast_to(values, shape))


@pytest.mark.parametrize("shape", [(7, 3), (2, 9, 5, 3)])
def test_derivatives(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    options = {"order": 2, "eps": 0.01, "atol": 0.02, "rtol": 0.02}
    check_grads(jax.jit(lambda x: total(x * x)), (x,), **options)
    ones = np.ones(3, np.float32)
    check_grads(jax.jit(lambda v: total(x * spread(v, x) ** 2)), (ones,), **options)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_total_under_vmap(axis):
    x = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    together = np.asarray(jax.jit(jax.vmap(total, in_axes=axis))(x))
    for index, summed in enumerate(together):
        np.testing.assert_array_equal(summed, np.take(x, index, axis).sum(axis=0))


def test_spread_under_vmap():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    together = jax.jit(jax.vmap(lambda v: spread(v, jnp.zeros((2, 3)))))(values)
    np.testing.assert_array_equal(together, np.arange(6).reshape(2, 1, 3).repeat(2, axis=1))
