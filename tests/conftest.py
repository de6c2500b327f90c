"""Strict JAX for every test, and the arrays that tests share."""

import jax
import pytest
from hypothesis import settings

settings.register_profile("jaxcnn", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("jaxcnn")


@pytest.fixture(autouse=True)
def strict_jax():
    """Silent promotion of dtypes or ranks is an error in all tests."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def key():
    return jax.random.key(0)
