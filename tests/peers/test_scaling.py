"""Scaling of channels against PyTorch: values, and gradients of every array."""

import jax.numpy as jnp
import torch.nn.functional as F
from compare import (
    EXACT,
    ROUNDED,
    assert_same,
    dtypes,
    fewer,
    first,
    last,
    per_axis,
    ranks,
    run_ours,
    run_torch,
    seeds,
    to_torch,
    whole_numbers,
)
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn import ops


@st.composite
def images(draw):
    shape = (2, *per_axis(draw, draw(ranks), 1, 4), draw(st.integers(1, 4)))
    return whole_numbers(draw(seeds), shape, draw(dtypes))


@fewer
@given(images())
def test_prelu(x):
    """Zeros, of which there are many, take the slope's side of the gradient in both."""
    slope = whole_numbers(1, x.shape[-1:], x.dtype)
    result = run_ours(ops.prelu, x, slope)
    expected = run_torch(lambda x, slope: last(F.prelu(first(x), slope)), x, slope)
    assert_same(result, expected, EXACT[str(x.dtype)])


@fewer
@given(images())
def test_layer_scale(x):
    scale = whole_numbers(1, x.shape[-1:], x.dtype)
    expected = run_torch(lambda x, scale: x * scale, x, scale)
    assert_same(run_ours(ops.layer_scale, x, scale), expected, EXACT[str(x.dtype)])


@fewer
@given(images(), st.booleans())
def test_standardize(x, one):
    count = 1 if one else x.shape[-1]
    mean, std = (0.485, 0.456, 0.406, 0.5)[:count], (0.229, 0.224, 0.225, 0.25)[:count]
    there = [to_torch(jnp.asarray(numbers, x.dtype)) for numbers in (mean, std)]
    expected = run_torch(lambda x: (x - there[0]) / there[1], x)
    assert_same(
        run_ours(lambda x: ops.standardize(x, mean, std), x), expected, ROUNDED[str(x.dtype)]
    )
