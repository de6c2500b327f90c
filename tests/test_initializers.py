"""First values: those of JAX's initializers bit for bit, by few programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn.modules import he_normal, initializers, zeros

SHAPES = ((3, 3, 1, 7), (5, 3), (1, 1, 64, 65), (2, 2, 2, 8, 12))


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey])
def test_he_normal_is_that_of_jax(make):
    keys = jax.random.split(make(3), len(SHAPES))
    draw = jax.jit(
        jax.nn.initializers.he_normal(),
        static_argnums=(1, 2),
        compiler_options={"xla_backend_optimization_level": "1"},  # as `run_once` compiles
    )
    for key, shape in zip(keys, SHAPES, strict=True):
        expected = draw(key, shape, jnp.float32)
        np.testing.assert_array_equal(he_normal(key, shape, jnp.float32), expected)


def test_other_dtypes_generators_and_transformations(key):
    expected = jax.nn.initializers.he_normal()
    half = he_normal(key, (3, 4), jnp.bfloat16)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(
        half.astype(float), expected(key, (3, 4), jnp.bfloat16).astype(float), rtol=0.02
    )
    other = jax.random.key(0, impl="rbg")
    received = he_normal(other, (3, 4), jnp.float32)
    np.testing.assert_allclose(received, expected(other, (3, 4), jnp.float32), rtol=1e-5)
    traced = jax.jit(
        lambda key: (he_normal(key, (3, 4), jnp.float32), zeros(key, (3,), jnp.float32))
    )(key)
    np.testing.assert_allclose(traced[0], he_normal(key, (3, 4), jnp.float32), rtol=1e-5)
    np.testing.assert_array_equal(traced[1], np.zeros(3))


def test_a_network_is_built_by_fewer_programs_than_it_has_shapes(monkeypatch):
    drawn = []
    draw = initializers._draw
    monkeypatch.setattr(
        initializers, "_draw", lambda key, size, *rest: drawn.append(size) or draw(key, size, *rest)
    )
    model = cnn.models.create("resnet18_small", features=8).build((32, 32, 3), rngs=nnx.Rngs(0))
    shapes = {leaf.shape for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))}
    assert len(set(drawn)) == 3
    assert len([shape for shape in shapes if len(shape) > 1]) > 10
