"""What is compiled quickly gives the same bits, and leaves other transformations alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import modules
from jaxcnn.runtime import run_once

REFERENCE = jax.nn.initializers.he_normal()


@pytest.mark.long
@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (100, 10)])
def test_kernels_are_those_of_jax(shape, key):
    kernel = modules.he_normal(key, shape, jnp.float32)
    np.testing.assert_array_equal(kernel, REFERENCE(key, shape, jnp.float32))


@pytest.mark.parametrize("transform", [jax.jit, lambda f: lambda key: jax.vmap(f)(key[None])[0]])
def test_inside_another_program(transform, key):
    kernel = transform(lambda key: modules.he_normal(key, (5, 6), jnp.float32))(key)
    np.testing.assert_array_equal(kernel, REFERENCE(key, (5, 6), jnp.float32))


def test_a_shape_is_compiled_once():
    traced = []

    def double(x, times):
        traced.append(times)
        return x * 2.0**times

    function = run_once(double, static_argnums=(1,))
    results = [function(jnp.ones(3), times).tolist() for times in (1, 1, 2)]
    assert results == [[2, 2, 2], [2, 2, 2], [4, 4, 4]]
    assert traced == [1, 2]
