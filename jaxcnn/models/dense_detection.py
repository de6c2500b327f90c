"""FCOS, a detector without anchors (Tian et al., 2019, arXiv 1904.01355), on any encoder.

Every location of every level of a feature pyramid says which class is there, how far the edges of
its box are, and how near it is to the middle of the box. The output is one array of a row per
location, see :class:`jaxcnn.detector`; ``cnn.training.detections`` makes boxes of it.
"""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
from jax.nn import relu
from jax.typing import DTypeLike

from jaxcnn import arguments, shapes
from jaxcnn.layers import (
    Layer,
    batch_norm,
    conv,
    detector,
    function,
    group_norm,
    parallel,
    residual,
    serial,
)
from jaxcnn.models.creation import create
from jaxcnn.models.registry import input_shape, register
from jaxcnn.models.resnet import basic, project
from jaxcnn.modules import Initializer, zeros

_PAPER = "Tian et al., 2019, arXiv 1904.01355"
_PRIOR = 0.01  # probability of a class at a location before training (Lin et al., 2017)
_STD = 0.01  # of the last kernels of the head before training


def near_zero(key: jax.Array, shape: shapes.Shape, dtype: DTypeLike) -> jax.Array:
    """Return normal numbers with a standard deviation of 0.01, as in the paper.

    Args:
      key: Source of randomness.
      shape: Shape of the kernel.
      dtype: Type of the kernel.
    """
    return _STD * jax.random.normal(key, shape, dtype)


def prior_bias(key: jax.Array, shape: shapes.Shape, dtype: DTypeLike) -> jax.Array:
    """Return −log((1 − π) / π), π = 0.01: at first few locations hold something.

    Without it the losses of the many empty locations are all there is to the first steps.

    Args:
      key: Not used.
      shape: Shape of the bias.
      dtype: Type of the bias.
    """
    return jnp.full(shape, -math.log((1 - _PRIOR) / _PRIOR), dtype)


def _head(num_classes: int, features: int, depth: int, groups: int) -> Layer:
    """Return the layers that every level passes through, one tower for boxes, one for classes."""
    arguments.check_integer("num_classes", num_classes, minimum=1)

    def tower(*last: Layer, **named: Layer) -> serial:
        layers: list[Layer] = []
        for _ in range(arguments.check_integer("depth", depth, minimum=0)):
            layers += [conv(features, 3, padding=1, use_bias=False), group_norm(groups)]
            layers += [function(relu)]
        return serial(*layers, *last, **named)

    def last(channels: int, bias_init: Initializer = zeros) -> Layer:
        return conv(channels, 3, padding=1, kernel_init=near_zero, bias_init=bias_init)

    return parallel(
        boxes=tower(outputs=parallel(distances=last(4), centerness=last(1))),
        classes=tower(outputs=last(num_classes, prior_bias)),
    )


@register(input_shape=(512, 512, 3), paper=_PAPER)
def fcos(
    num_classes: int = 80,
    *,
    encoder: str = "resnet18",
    levels: Sequence[int] = (8, 16, 32, 64, 128),
    features: int = 256,
    depth: int = 4,
    groups: int = 32,
    encoder_weights: str | Path | None = None,
) -> Layer:
    """Return the detector on an encoder of the zoo.

    >>> fcos(10, levels=(8, 16, 32), features=64).output_shape((128, 128, 3))
    (336, 18)

    Args:
      num_classes: Classes, at least 1.
      encoder: Name of a model with stages, as for ``create(encoder, features_only=True)``.
      levels: Distances of neighboring locations in pixels, each twice that before; those that the
        encoder does not have are made of its last map.
      features: Channels of the pyramid and of the head.
      depth: Convolutions of each tower of the head, at least 0.
      groups: Groups of the head's normalization; they divide `features`.
      encoder_weights: Trained weights of the encoder, as for ``create(encoder, weights=…)``; images
        are then normalized as these expect.

    Raises:
      ValueError: the encoder does not have the levels.
    """
    maps = create(encoder, weights=encoder_weights, num_classes=0, features_only=True)
    strides = dict(zip(maps.strides(input_shape(encoder)), maps.names, strict=True))
    wanted = tuple(levels)
    own = [level for level in wanted if level in strides]
    doubled = all(2 * one == two for one, two in itertools.pairwise(wanted))
    if not own or own[0] != wanted[0] or not doubled:
        known = ", ".join(str(stride) for stride in strides)
        raise ValueError(
            f"levels must begin with a stride of {encoder}, {known}, and double. "
            f"Received: levels={wanted}"
        )
    return detector(
        maps.body,
        _head(num_classes, features, depth, groups),
        maps=tuple(strides[level] for level in own),
        features=features,
        extra_levels=len(wanted) - len(own),
    )


@register(input_shape=(128, 128, 3), paper=_PAPER)
def fcos_small(
    num_classes: int = 10, *, width: int = 32, features: int = 48, depth: int = 1, groups: int = 8
) -> Layer:
    """Return a light detector of things of about 10 to 64 pixels, on levels of 4, 8 and 16.

    A step of 16 pictures of 128×128 takes less than half a second on two cores.

    >>> fcos_small().output_shape((128, 128, 3))
    (1344, 18)

    Args:
      num_classes: Classes, at least 1.
      width: Channels of the encoder at a stride of 4; they double with each further stage.
      features: Channels of the pyramid and of the head.
      depth: Convolutions of each tower of the head, at least 0.
      groups: Groups of the head's normalization; they divide `features`.
    """

    def stage(channels: int, strides: int) -> serial:
        shortcut = project(channels, strides) if strides > 1 else None
        return serial(residual(basic(channels, strides), shortcut), relu)

    body = serial(
        stem=serial(
            conv(width // 2, 3, strides=2, padding=1, use_bias=False), batch_norm(), relu,
            conv(width, 3, strides=2, padding=1, use_bias=False), batch_norm(), relu,
        ),
        stage_1=stage(width, 1),
        stage_2=stage(2 * width, 2),
        stage_3=stage(4 * width, 2),
    )  # fmt: skip
    head = _head(num_classes, features, depth, groups)
    return detector(body, head, maps=("stage_1", "stage_2", "stage_3"), features=features)
