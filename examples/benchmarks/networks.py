"""The networks that the benchmarks train, written once; every library builds the same from them."""

from typing import NamedTuple

from jax.nn import relu

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
        return 2 * self.network.multiply_adds(self.input_shape) / 1e9


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
    "resnet18": Case(cnn.models.create("resnet18_small"), (32, 32, 3), 32),
    "mobilenetv2": Case(cnn.models.create("mobilenetv2_050", num_classes=10), (96, 96, 3), 16),
    "cnn_3d": Case(cnn_3d(), (16, 32, 32, 3), 8),
    "cnn_1d": Case(cnn_1d(), (1024, 16), 64),
}
