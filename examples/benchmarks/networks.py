"""The networks that the benchmarks train, written once; every library builds the same from them."""

import math
from typing import NamedTuple

from jax.nn import relu, relu6

import jaxcnn as cnn


class Case(NamedTuple):
    """A network and what it is given.

    Attributes:
      network: Its description.
      input_shape: Of one example, without the batch.
      batch: Examples in a training step.
    """

    network: cnn.Layer
    input_shape: tuple[int, ...]
    batch: int

    @property
    def classes(self) -> int:
        """Outputs of the network."""
        return self.network.output_shape(self.input_shape)[-1]

    @property
    def gflop(self) -> float:
        """Arithmetic of one example's forward pass, in 10⁹ multiplications and additions.

        Convolutions count as direct sums, whatever way they are computed.
        """
        total = 0
        for step in self.network.walk(self.input_shape):
            kernel = getattr(step.layer.build(step.input_shape, rngs=None), "kernel", None)
            if kernel is not None:
                total += 2 * math.prod(kernel.shape) * math.prod(step.output_shape[:-1])
        return total / 1e9


def resnet18(classes: int = 10) -> cnn.Layer:
    """ResNet-18 for images of 32×32, as its paper's CIFAR networks begin: no pool, no 7×7.

    He et al., 2016; 11,173,962 parameters for ten classes.
    """

    def block(features: int, strides: int = 1, *, project: bool = False) -> cnn.Layer:
        body = cnn.serial(
            cnn.conv(features, 3, strides=strides, padding=1, use_bias=False),
            cnn.batch_norm(), relu,
            cnn.conv(features, 3, padding=1, use_bias=False), cnn.batch_norm(),
        )  # fmt: skip
        shortcut = cnn.serial(
            cnn.conv(features, 1, strides=strides, use_bias=False), cnn.batch_norm()
        )
        return cnn.serial(cnn.residual(body, shortcut if project else None), relu)

    return cnn.serial(
        cnn.conv(64, 3, padding=1, use_bias=False), cnn.batch_norm(), relu,
        cnn.repeat(2, block(64)),
        block(128, strides=2, project=True), block(128),
        block(256, strides=2, project=True), block(256),
        block(512, strides=2, project=True), block(512),
        cnn.global_avg_pool(), cnn.dense(classes),
    )  # fmt: skip


def mobilenet_v2(classes: int = 1000, width: float = 1.0) -> cnn.Layer:
    """MobileNetV2 (Sandler et al., 2018): 3,504,872 parameters at width 1 for 1,000 classes."""

    def scaled(features: int) -> int:
        nearest = max(8, int(features * width + 4) // 8 * 8)
        return nearest + 8 if nearest < 0.9 * features * width else nearest

    def norm_conv(features: int, kernel_size: int, strides: int = 1) -> cnn.Layer:
        return cnn.serial(
            cnn.conv(
                features, kernel_size, strides=strides, padding=kernel_size // 2, use_bias=False
            ),
            cnn.batch_norm(),
            relu6,
        )

    def block(inputs: int, features: int, strides: int, expand: int) -> cnn.Layer:
        body = cnn.serial(
            *([norm_conv(inputs * expand, 1)] if expand > 1 else []),
            cnn.depthwise(3, strides=strides, padding=1, use_bias=False), cnn.batch_norm(), relu6,
            cnn.conv(features, 1, use_bias=False), cnn.batch_norm(),
        )  # fmt: skip
        return cnn.residual(body) if strides == 1 and inputs == features else body

    blocks, inputs = [], scaled(32)
    for expand, features, count, strides in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):  # fmt: skip
        for index in range(count):
            blocks.append(block(inputs, scaled(features), 1 if index else strides, expand))
            inputs = scaled(features)
    return cnn.serial(
        norm_conv(scaled(32), 3, strides=2), *blocks, norm_conv(max(1280, scaled(1280)), 1),
        cnn.global_avg_pool(), cnn.dropout(0.2), cnn.dense(classes),
    )  # fmt: skip


def cnn_3d(classes: int = 10) -> cnn.Layer:
    """Three convolutions in space and time, each with a pool."""
    return cnn.serial(
        cnn.conv(16, 3, padding=1), relu, cnn.max_pool(2),
        cnn.conv(32, 3, padding=1), relu, cnn.max_pool(2),
        cnn.conv(64, 3, padding=1), relu,
        cnn.global_avg_pool(), cnn.dense(classes),
    )  # fmt: skip


def cnn_1d(classes: int = 10) -> cnn.Layer:
    """Three convolutions of size 9 along a sequence, two with a pool."""
    return cnn.serial(
        cnn.conv(64, 9, padding=4), relu, cnn.max_pool(4),
        cnn.conv(128, 9, padding=4), relu, cnn.max_pool(4),
        cnn.conv(128, 9, padding=4), relu,
        cnn.global_avg_pool(), cnn.dense(classes),
    )  # fmt: skip


CASES = {
    "mnist_cnn": Case(cnn.models.create("mnist_cnn"), (28, 28, 1), 128),
    "letters_cnn": Case(cnn.models.create("letters_cnn"), (128, 128, 1), 32),
    "resnet18": Case(resnet18(), (32, 32, 3), 32),
    "mobilenet_v2": Case(mobilenet_v2(10, width=0.5), (96, 96, 3), 16),
    "cnn_3d": Case(cnn_3d(), (16, 32, 32, 3), 8),
    "cnn_1d": Case(cnn_1d(), (1024, 16), 64),
}
