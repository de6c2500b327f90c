"""What every wrong call says, before anything reaches ``lax``.

``pytest -s tests/ops/test_errors.py`` prints the table.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxcnn import ops

# What the calls below are made of.
NAMES = {
    "ops": ops,
    "jnp": jnp,
    "key": jax.random.key(0),
    "x": jnp.zeros((2, 8, 6, 4)),
    "one": jnp.zeros((8, 6, 4)),
    "first": jnp.zeros((2, 4, 8, 6)),
    "pixels": jnp.zeros((2, 8, 6, 4), jnp.uint8),
    "sound": jnp.zeros((2, 9, 4)),
    "kernel": jnp.zeros((3, 3, 4, 6)),
    "half": jnp.zeros((3, 3, 4, 6), jnp.bfloat16),
    "flat": jnp.zeros((2, 4)),
    "matrix": jnp.zeros((4, 3)),
}

WRONG = [
    # Convolution
    "ops.conv(one, kernel)",
    "ops.conv(first, kernel)",
    "ops.conv(flat, kernel)",
    "ops.conv(x, matrix)",
    "ops.conv(x, half)",
    "ops.conv(pixels, kernel)",
    "ops.conv(x, kernel, jnp.zeros(5))",
    "ops.conv(x, kernel, jnp.zeros(6, jnp.int32))",
    "ops.conv(x, kernel, strides=0)",
    "ops.conv(x, kernel, strides=(2, 0))",
    "ops.conv(x, kernel, strides=(1, 1, 1))",
    "ops.conv(x, kernel, strides=1.5)",
    "ops.conv(x, kernel, strides=True)",
    "ops.conv(x, kernel, dilation=0)",
    "ops.conv(x, kernel, dilation=(1, -2))",
    "ops.conv(x, kernel, dilation='2')",
    "ops.conv(x, kernel, dilation=5)",
    "ops.conv(x, jnp.zeros((9, 3, 4, 6)))",
    "ops.conv(x, kernel, padding='FULL')",
    "ops.conv(x, kernel, padding='CAUSAL')",
    "ops.conv(x, kernel, padding=-1)",
    "ops.conv(x, kernel, padding=1.0)",
    "ops.conv(x, kernel, padding=None)",
    "ops.conv(x, kernel, padding=(1, 1, 1))",
    "ops.conv(x, kernel, padding=((1, 1), (1, 1), (1, 1)))",
    "ops.conv(x, kernel, padding=((1, 2), (0, -1)))",
    "ops.conv(x, kernel, padding=((1, 2, 3), (0, 1, 2)))",
    "ops.conv(x, kernel, padding=1, padding_mode='mirror')",
    "ops.conv(x, kernel, padding=6, padding_mode='reflect')",
    "ops.conv(x, kernel, padding=7, padding_mode='circular')",
    "ops.conv(x, kernel, groups=2)",
    "ops.conv(x, kernel, groups=3)",
    "ops.conv(x, kernel, groups=4)",
    "ops.conv(x, kernel, groups=0)",
    "ops.conv(x, kernel, groups=1.0)",
    # Its transpose
    "ops.conv_transpose(one, kernel)",
    "ops.conv_transpose(first, kernel)",
    "ops.conv_transpose(x, half)",
    "ops.conv_transpose(x, kernel, jnp.zeros(5))",
    "ops.conv_transpose(x, kernel, strides=0)",
    "ops.conv_transpose(x, kernel, dilation=(1, 1, 1))",
    "ops.conv_transpose(x, kernel, padding='CAUSAL')",
    "ops.conv_transpose(x, kernel, padding=-1)",
    "ops.conv_transpose(x, kernel, padding=5)",
    "ops.conv_transpose(x, kernel, output_padding=1)",
    "ops.conv_transpose(x, kernel, strides=2, output_padding=-1)",
    "ops.conv_transpose(x, kernel, strides=2, output_padding=0.5)",
    "ops.conv_transpose(x, kernel, groups=5)",
    # Pools
    "ops.max_pool(flat, 2)",
    "ops.max_pool(x, 0)",
    "ops.max_pool(x, 2.0)",
    "ops.max_pool(x, (2, 2, 2))",
    "ops.max_pool(x, 7)",
    "ops.max_pool(x, 2, strides=0)",
    "ops.max_pool(x, 2, dilation=0)",
    "ops.max_pool(x, 2, dilation=6)",
    "ops.max_pool(x, 2, padding=2)",
    "ops.max_pool(x, 2, padding=((0, 0), (0, 2)))",
    "ops.max_pool(x, 2, padding='ful')",
    "ops.avg_pool(pixels, 2)",
    "ops.avg_pool(x, 7)",
    "ops.sum_pool(pixels, 2)",
    "ops.sum_pool(flat, 2)",
    "ops.lp_pool(x, 2, 0)",
    "ops.lp_pool(x, 2, float('nan'))",
    "ops.lp_pool(x, 2, '2')",
    "ops.lp_pool(pixels, 2, 2)",
    "ops.global_max_pool(flat)",
    "ops.global_avg_pool(flat)",
    "ops.global_avg_pool(pixels)",
    "ops.adaptive_max_pool(flat, 2)",
    "ops.adaptive_max_pool(x, 0)",
    "ops.adaptive_max_pool(x, (2, 2, 2))",
    "ops.adaptive_avg_pool(x, 1.5)",
    "ops.adaptive_avg_pool(pixels, 2)",
    # Padding and sizes
    "ops.pad(flat, 1)",
    "ops.pad(x, -1)",
    "ops.pad(x, (1, 1, 1))",
    "ops.pad(x, 1, mode='symmetric')",
    "ops.pad(x, 1, mode='replicat')",
    "ops.pad(x, 1, mode='reflect', value=1.0)",
    "ops.pad(x, 6, mode='reflect')",
    "ops.pad(x, 9, mode='circular')",
    "ops.resize(x, 0)",
    "ops.resize(x, 4, method='bilinear')",
    "ops.resize(pixels, 4)",
    "ops.resize(flat, 4)",
    "ops.upsample(x, 0)",
    "ops.upsample(x, 1.5)",
    "ops.upsample(pixels, 2)",
    "ops.upsample(x, 2, method='area')",
    "ops.space_to_depth(x, 4)",
    "ops.space_to_depth(x, 0)",
    "ops.depth_to_space(x, 3)",
    "ops.depth_to_space(flat, 2)",
    # Dense, flatten, dropping, filters
    "ops.dense(x, matrix)",
    "ops.dense(flat, kernel)",
    "ops.dense(jnp.zeros(4), matrix)",
    "ops.dense(flat, jnp.zeros((5, 3)))",
    "ops.dense(flat, matrix.astype(jnp.bfloat16))",
    "ops.dense(flat, matrix, jnp.zeros(4))",
    "ops.flatten(jnp.zeros(4))",
    "ops.dropout(key, x, 1.0)",
    "ops.dropout(key, x, -0.1)",
    "ops.dropout(key, x, '0.5')",
    "ops.dropout(key, pixels, 0.5)",
    "ops.spatial_dropout(key, flat, 0.5)",
    "ops.spatial_dropout(key, x, 2)",
    "ops.drop_path(key, x, float('nan'))",
    "ops.filter_image(x, 'edges')",
    "ops.filter_image(one, 'edge')",
    "ops.filter_image(one, [[1, 1]])",
    "ops.filter_image(one, [1, 0, 1])",
    "ops.filter_image(pixels[0], 'edges')",
    "ops.filter_image(one, 'edges', padding_mode='wrap')",
]


def message(call):
    """Returns the error of a call as one line."""
    with pytest.raises((TypeError, ValueError)) as raised:
        eval(call, NAMES)
    return f"{raised.type.__name__}: {raised.value}"


def test_table():
    """The table, as it was last read and found to tell the fix."""
    found = "".join(f"{call}\n    {message(call)}\n" for call in WRONG)
    print(found)
    assert found == (Path(__file__).parent / "errors.txt").read_text(encoding="utf-8")
