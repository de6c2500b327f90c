"""Patches, and max pools that are undone, against PyTorch: values and gradients."""

import jax.numpy as jnp
import torch.nn.functional as F
from compare import EXACT, assert_same, dtypes, fewer, first, last, run_ours, run_torch, seeds
from compare import whole_numbers as numbers
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn import ops

shapes = st.tuples(st.integers(1, 2), st.integers(5, 6), st.integers(5, 7), st.integers(1, 3))
sides = st.integers(1, 3)


@fewer
@given(shapes, sides, sides, st.integers(0, 2), st.integers(1, 2), dtypes, seeds)
def test_unfold_and_fold(shape, window, strides, padding, dilation, dtype, seed):
    """PyTorch has the channels of the input slowest, and one axis for all positions."""
    x = numbers(seed, shape, dtype)
    options = {"strides": strides, "padding": padding, "dilation": dilation}
    torch_options = {"stride": strides, "padding": padding, "dilation": dilation}

    def there_and_back(x):
        patches = ops.unfold(x, window, **options)
        return ops.fold(patches, shape[1:3], window, **options)

    def torch_there_and_back(x):
        patches = F.unfold(first(x).float(), window, **torch_options)
        return last(F.fold(patches, shape[1:3], window, **torch_options)).to(x.dtype)

    ours = run_ours(there_and_back, x)
    assert_same(ours, run_torch(torch_there_and_back, x), EXACT[dtype])


@fewer
@given(shapes, st.integers(2, 3), st.integers(2, 3), st.integers(0, 1), seeds)
def test_unpooling(shape, window, strides, padding, seed):
    """Values all differ, and windows that overlap give the same value twice."""
    strides = max(strides, window)  # as one value of a position of several windows remains
    x = jnp.argsort(jnp.argsort(numbers(seed, shape, most=10**6).ravel())).reshape(shape)
    x = x.astype(jnp.float32)

    def there_and_back(x):
        pooled = ops.max_pool_with_indices(x, window, strides=strides, padding=padding)
        return ops.max_unpool(*pooled, shape[1:3])

    def torch_there_and_back(x):
        y, indices = F.max_pool2d(first(x), window, strides, padding, return_indices=True)
        return last(F.max_unpool2d(y, indices, window, strides, padding, shape[1:3]))

    assert_same(run_ours(there_and_back, x), run_torch(torch_there_and_back, x), 0)
