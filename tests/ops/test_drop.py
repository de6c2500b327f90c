"""What is dropped at random: how often, in which units, and what is left."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn import ops

# For each op, the axes along which one decision holds.
SHARED = {ops.dropout: (), ops.spatial_dropout: (1, 2), ops.drop_path: (1, 2, 3)}


@pytest.mark.parametrize("op", SHARED)
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_share_and_scale(op, rate, key):
    x = np.ones((4000, 3, 2, 5), np.float32)
    y = np.asarray(jax.jit(lambda key, x: op(key, x, rate))(key, x))
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)], rtol=1e-6)
    units = y.min(axis=SHARED[op]) if SHARED[op] else y
    np.testing.assert_array_equal(units, y.max(axis=SHARED[op]) if SHARED[op] else y)
    # Five standard deviations of a binomial share.
    allowed = 5 * np.sqrt(rate * (1 - rate) / units.size)
    assert abs((units == 0).mean() - rate) < allowed


@pytest.mark.parametrize("op", SHARED)
@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(0, 0.99))
def test_kept_values_are_scaled_and_the_others_0(op, seed, rate):
    x = jnp.arange(1.0, 25).reshape(2, 2, 2, 3)
    y = op(jax.random.key(seed), x, rate)
    kept = np.asarray(y) != 0
    np.testing.assert_allclose(np.asarray(y)[kept], (np.asarray(x) / (1 - rate))[kept], rtol=1e-5)
    np.testing.assert_array_equal(y, op(jax.random.key(seed), x, rate))


@pytest.mark.parametrize("op", SHARED)
def test_rate_0_changes_nothing_not_even_nan(op, key):
    x = jnp.array([[[[1.0, jnp.nan, jnp.inf]]]])
    np.testing.assert_array_equal(op(key, x, 0), x)


@pytest.mark.parametrize("op", SHARED)
def test_a_dropped_infinity_is_0(op, key):
    y = op(key, jnp.full((100, 2, 2, 2), jnp.inf), 0.5)
    assert set(np.unique(y)) == {0, np.inf}


@pytest.mark.parametrize("op", SHARED)
def test_keys_differ(op):
    x = jnp.ones((64, 2, 2, 4))
    assert not jnp.array_equal(op(jax.random.key(0), x, 0.5), op(jax.random.key(1), x, 0.5))
