"""ResNets (He et al., 2015, arXiv 1512.03385): for large images, for small ones, and the paper's.

Each network is a ``stem``, stages of residual blocks, ``pool`` and ``head``. A block's parameters
are found under its stage: ``model.stage_2.residual_1.body.conv_1.kernel``.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.nn import relu

from jaxcnn.layers import (
    Layer,
    avg_pool,
    batch_norm,
    conv,
    dense,
    global_avg_pool,
    max_pool,
    residual,
    serial,
)
from jaxcnn.models.registry import register


@register(input_shape=(224, 224, 3))
def resnet18(num_classes: int = 1000, *, features: int = 64) -> Layer:
    """Eighteen layers for large images: 11,689,512 parameters.

    >>> resnet18().output_shape((224, 224, 3))
    (1000,)

    Args:
      num_classes: Outputs, at least 1.
      features: Channels of the first stage, at least 1; each stage doubles them.
    """
    return _resnet(num_classes, features, (2, 2, 2, 2), stem=_large_stem)


@register(input_shape=(224, 224, 3))
def resnet34(num_classes: int = 1000, *, features: int = 64) -> Layer:
    """Thirty-four layers for large images: 21,797,672 parameters.

    >>> resnet34().output_shape((224, 224, 3))
    (1000,)

    Args:
      num_classes: Outputs, at least 1.
      features: Channels of the first stage, at least 1; each stage doubles them.
    """
    return _resnet(num_classes, features, (3, 4, 6, 3), stem=_large_stem)


@register(input_shape=(224, 224, 3))
def resnet50(num_classes: int = 1000, *, features: int = 64) -> Layer:
    """Fifty layers in bottlenecks for large images: 25,557,032 parameters.

    The convolution of size 3 has the stride, as in torchvision and timm; in the paper the first
    one of size 1 has it.

    >>> resnet50().output_shape((224, 224, 3))
    (1000,)

    Args:
      num_classes: Outputs, at least 1.
      features: Channels inside the first stage's bottlenecks, at least 1; what leaves them has four
        times as many, and each stage doubles them.
    """
    return _resnet(
        num_classes, features, (3, 4, 6, 3), stem=_large_stem, body=_bottleneck, expansion=4
    )


@register(input_shape=(32, 32, 3))
def resnet18_small(num_classes: int = 10, *, features: int = 64) -> Layer:
    """ResNet-18 for small images, whose stem keeps their size: 11,173,962 parameters.

    >>> resnet18_small().output_shape((32, 32, 3))
    (10,)

    Args:
      num_classes: Outputs, at least 1.
      features: Channels of the first stage, at least 1; each stage doubles them.
    """
    return _resnet(num_classes, features, (2, 2, 2, 2), stem=_small_stem)


@register(input_shape=(32, 32, 3))
def resnet20(num_classes: int = 10, *, features: int = 16) -> Layer:
    """The paper's network of twenty layers for CIFAR-10: 269,722 parameters.

    Its shortcuts have none: they leave out every other position and fill new channels with zeros
    (the paper's option A).

    >>> resnet20().output_shape((32, 32, 3))
    (10,)

    Args:
      num_classes: Outputs, at least 1.
      features: Channels of the first stage, at least 1; each stage doubles them.
    """
    return _resnet(num_classes, features, (3, 3, 3), stem=_small_stem, shortcut=_subsample)


@register(input_shape=(32, 32, 3))
def resnet56(num_classes: int = 10, *, features: int = 16) -> Layer:
    """The paper's network of fifty-six layers for CIFAR-10: 853,018 parameters.

    >>> resnet56().output_shape((32, 32, 3))
    (10,)

    Args:
      num_classes: Outputs, at least 1.
      features: Channels of the first stage, at least 1; each stage doubles them.
    """
    return _resnet(num_classes, features, (9, 9, 9), stem=_small_stem, shortcut=_subsample)


def _large_stem(features: int) -> serial:
    return serial(
        conv(features, 7, strides=2, padding=3, use_bias=False), batch_norm(), relu,
        max_pool(3, strides=2, padding=1),
    )  # fmt: skip


def _small_stem(features: int) -> serial:
    return serial(conv(features, 3, padding=1, use_bias=False), batch_norm(), relu)


def _basic(features: int, strides: int) -> serial:
    return serial(
        conv(features, 3, strides=strides, padding=1, use_bias=False), batch_norm(), relu,
        conv(features, 3, padding=1, use_bias=False), batch_norm(),
    )  # fmt: skip


def _bottleneck(features: int, strides: int) -> serial:
    inner = features // 4
    return serial(
        conv(inner, 1, use_bias=False), batch_norm(), relu,
        conv(inner, 3, strides=strides, padding=1, use_bias=False), batch_norm(), relu,
        conv(features, 1, use_bias=False), batch_norm(),
    )  # fmt: skip


def _project(features: int, strides: int) -> serial:
    return serial(conv(features, 1, strides=strides, use_bias=False), batch_norm())


def _subsample(features: int, strides: int) -> serial:
    return serial(avg_pool(1, strides=strides), double_channels)


def double_channels(x: jax.Array) -> jax.Array:
    """Return ``x`` with as many channels of zeros after its own."""
    return jnp.concatenate([x, jnp.zeros_like(x)], axis=-1)


def _resnet(
    num_classes: int,
    features: int,
    depths: tuple[int, ...],
    *,
    stem: Callable[[int], serial],
    body: Callable[[int, int], serial] = _basic,
    shortcut: Callable[[int, int], serial] = _project,
    expansion: int = 1,
) -> serial:
    """Return a network with one stage of that many blocks for each of ``depths``.

    Args:
      num_classes: Outputs.
      features: Channels of the stem.
      depths: Blocks of each stage.
      stem: Makes the first layers of the channels they give.
      body: Makes a block's body of the channels it gives and its strides.
      shortcut: Makes what stands beside a body that changes the shape, of the same.
      expansion: Channels of the first stage by those of the stem.
    """
    channels, stages = features, {}
    for index, depth in enumerate(depths):
        inputs, channels = channels, features * expansion * 2**index
        strides = 1 if index == 0 else 2
        changes = strides > 1 or inputs != channels
        first = residual(body(channels, strides), shortcut(channels, strides) if changes else None)
        blocks = [first] + [residual(body(channels, 1))] * (depth - 1)
        stages[f"stage_{index + 1}"] = serial(*(part for block in blocks for part in (block, relu)))
    return serial(stem=stem(features), **stages, pool=global_avg_pool(), head=dense(num_classes))
