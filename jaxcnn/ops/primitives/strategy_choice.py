"""The strategy for each operation and shape on CPU; other platforms take the plain strategy.

The conditions and measurements stand beside each strategy.
"""

import math
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxcnn import shapes
from jaxcnn.ops.primitives import (
    channel_total,
    conv_native,
    conv_one_channel,
    conv_pointwise,
    conv_stacked_taps,
    conv_thin_groups,
    conv_wide_groups,
    conv_winograd,
    sum_slices,
)
from jaxcnn.ops.primitives.conv_plain import PLAIN
from jaxcnn.ops.primitives.conv_strategy import Convolution, Operation, Strategy
from jaxcnn.ops.primitives.max_plain import MAX_PLAIN
from jaxcnn.ops.primitives.max_slices import MAX_SLICES
from jaxcnn.ops.primitives.pool_strategy import MaxStrategy, SumStrategy
from jaxcnn.ops.primitives.slices import are_few
from jaxcnn.ops.primitives.sum_plain import SUM_PLAIN


def choose_convolution(
    operation: Operation,
    convolution: Convolution,
    batch: int,
    in_features: int,
    features: int,
    dtype: DTypeLike,
) -> Strategy:
    """Return the strategy for one operation of a convolution.

    Any precision but ``None``, and any dtype but float32, asks for XLA's own operation; compiled
    kernels compute bfloat16, too.
    :func:`jaxcnn.ops.convolution.resolve_precision` has replaced ``None`` by JAX's default.
    """
    group_inputs = in_features // convolution.groups
    if conv_native.can_compute(convolution, dtype) and conv_native.suits(
        operation, convolution, batch, in_features, features
    ):
        return conv_native.NATIVE
    if dtype != jnp.float32 or convolution.precision is not None:
        return PLAIN
    if conv_thin_groups.suits(convolution, group_inputs):
        return conv_thin_groups.THIN_GROUPS
    if operation == "value" and conv_one_channel.suits(convolution, in_features):
        return conv_one_channel.ONE_CHANNEL
    if conv_winograd.suits(convolution, batch, in_features, features):
        return conv_winograd.WINOGRAD
    if conv_pointwise.suits(convolution):
        return conv_pointwise.POINTWISE
    if conv_stacked_taps.suits(convolution):
        return conv_stacked_taps.STACKED_TAPS
    if conv_wide_groups.suits(convolution, group_inputs):
        one = conv_wide_groups.remove_groups(convolution)
        group_features = features // convolution.groups
        strategy = choose_convolution(operation, one, batch, group_inputs, group_features, dtype)
        return conv_wide_groups.compute_by_group(strategy)
    return PLAIN


def choose_maximum(
    operation: Literal["value", "index", "tangent", "cotangent"],
    windows: shapes.Windows,
    dtype: DTypeLike,
) -> MaxStrategy:
    """Return the strategy for one operation of a max pool; only the value has integer inputs."""
    if operation == "value" and not jnp.issubdtype(dtype, jnp.floating):
        return MAX_PLAIN
    return MAX_SLICES if are_few(windows) else MAX_PLAIN


def choose_summation(
    operation: Literal["value", "cotangent"], windows: shapes.Windows
) -> SumStrategy:
    """Return the strategy for one operation of a sum pool."""
    if not are_few(windows):
        return SUM_PLAIN
    if operation == "cotangent" and not sum_slices.suits_cotangent(windows):
        return SUM_PLAIN
    return sum_slices.SUM_SLICES


def choose_total(shape: shapes.Shape, dtype: DTypeLike) -> Callable[[jax.Array], jax.Array]:
    """Return the function that sums an array of ``shape`` over all axes but the last."""
    suits = dtype == jnp.float32 and math.prod(shape[:-1]) > 1
    return channel_total.sum_by_parts if suits else channel_total.sum_plain
