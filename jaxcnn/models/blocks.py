"""Blocks that several families are made of."""

from collections.abc import Iterator, Sequence

import jax
from jax.nn import relu

from jaxcnn import shapes
from jaxcnn.layers import (
    Layer,
    batch_norm,
    conv,
    depthwise,
    drop_path,
    residual,
    serial,
    squeeze_excite,
)
from jaxcnn.layers.composition import LayerLike


def conv_norm(
    features: int,
    kernel_size: shapes.PerAxis,
    strides: shapes.PerAxis = 1,
    *,
    padding: shapes.Padding | None = None,
    groups: int = 1,
    epsilon: float = 1e-5,
    activation: LayerLike | None = relu,
) -> list[LayerLike]:
    """Return a convolution without bias, batch normalization and an activation.

    Args:
      features: Output channels.
      kernel_size: An int or one per spatial axis.
      strides: An int or one per spatial axis.
      padding: As in :class:`conv`; ``None`` keeps the size at stride 1.
      groups: Groups of the convolution.
      epsilon: That of the normalization.
      activation: ``None`` leaves it out.
    """
    if padding is None:
        padding = same_padding(kernel_size)
    convolution = conv(
        features, kernel_size, strides=strides, padding=padding, groups=groups, use_bias=False
    )
    last = () if activation is None else (activation,)
    return [convolution, batch_norm(epsilon=epsilon), *last]


def exact_gelu(x: jax.Array) -> jax.Array:
    """Return ``x`` times the normal distribution function of ``x``, not its approximation."""
    return jax.nn.gelu(x, approximate=False)


def same_padding(kernel_size: shapes.PerAxis) -> shapes.Padding:
    """Return half the kernel on both sides, which keeps the size at stride 1."""
    if isinstance(kernel_size, int):
        return kernel_size // 2
    return tuple(size // 2 for size in kernel_size)


def inverted_bottleneck(
    inputs: int,
    features: int,
    kernel_size: int,
    strides: int,
    inner: int,
    *,
    activation: LayerLike,
    squeeze: squeeze_excite | None = None,
    rate: float = 0.0,
    same: bool = False,
) -> Layer:
    """Return a convolution that widens, a depthwise one, and one that narrows again.

    It is residual where its input has its output's shape (Sandler et al., 2018).

    Args:
      inputs: Channels of the input.
      features: Channels of the output.
      kernel_size: Size of the depthwise kernel.
      strides: Strides of the depthwise convolution.
      inner: Channels between; those of the input leave out the first convolution.
      activation: After the first two.
      squeeze: After the depthwise convolution.
      rate: Probability of dropping the block where it is residual.
      same: Whether padding and epsilon are those of TensorFlow.
    """
    epsilon = 1e-3 if same else 1e-5
    widen = conv_norm(inner, 1, epsilon=epsilon, activation=activation)
    padding: shapes.Padding = "SAME" if same else kernel_size // 2
    is_residual = strides == 1 and inputs == features
    body = serial(
        *(widen if inner != inputs else ()),
        depthwise(kernel_size, strides=strides, padding=padding, use_bias=False),
        batch_norm(epsilon=epsilon), activation,
        *(() if squeeze is None else (squeeze,)),
        *conv_norm(features, 1, epsilon=epsilon, activation=None),
        *((drop_path(rate),) if is_residual and rate else ()),
    )  # fmt: skip
    return residual(body) if is_residual else body


def named_blocks(blocks: Sequence[Layer]) -> serial:
    """Return blocks one after the other as ``block_1``, ``block_2`` and so on."""
    return serial(**{f"block_{index}": block for index, block in enumerate(blocks, 1)})


def drop_rates(last: float, depths: Sequence[int]) -> Iterator[float]:
    """Yield the rate of each block of all stages: from 0 for the first it grows linearly."""
    count = sum(depths)
    yield from (last * index / max(count - 1, 1) for index in range(count))


def check_stages(depths: Sequence[int], features: Sequence[int]) -> None:
    """Check that there is one depth and one number of channels for each stage.

    Raises:
      ValueError: there is another number of depths than of features.
    """
    if len(depths) != len(features):
        raise ValueError(
            "depths and features must have one number per stage. "
            f"Received: depths={depths}, features={features}"
        )


def scaled(features: float, *, divisor: int = 8) -> int:
    """Return the multiple of 8 nearest to `features`, or the next if it is 10 % less.

    As in the authors' code (tensorflow/models, ``make_divisible``); it is at least 8.
    """
    nearest = max(divisor, int(features + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * features else nearest
