"""A convolution of one channel as a sum over the taps of the kernel.

With one channel a product of matrices has nothing to sum over. 3×3 of (128, 28, 28, 1) to 64,
forward: 1.7 ms, XLA 5.6 ms. XLA's own gradients are as fast.
"""

import math

import jax

from jaxcnn.ops.primitives.conv_strategy import Convolution, derive_gradients
from jaxcnn.ops.primitives.slices import add_taps


def suits(convolution: Convolution, in_features: int) -> bool:
    """Return whether there is one channel, and few enough taps to compile quickly."""
    return in_features == 1 and math.prod(convolution.windows.window) <= 64


def value(x: jax.Array, kernel: jax.Array, convolution: Convolution) -> jax.Array:
    """Sum the shifted images times the weight of each tap."""
    return add_taps(x, kernel, convolution.windows)


ONE_CHANNEL = derive_gradients("one_channel", value)
