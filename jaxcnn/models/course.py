"""The three networks of the course, as it draws them; the softmax is left to the loss."""

from jax.nn import relu

from jaxcnn.layers import Layer, conv, dense, dropout, flatten, max_pool, serial
from jaxcnn.models.head import outputs
from jaxcnn.models.registry import register


@register(input_shape=(28, 28, 1), parameters=80_266, multiply_adds=5_187_456)
def mnist_cnn(num_classes: int = 10, *, rate: float = 0.5) -> Layer:
    """Three convolutions of 64 kernels for 28×28 digits: 80,266 parameters.

    >>> mnist_cnn().output_shape((28, 28, 1))
    (10,)

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      rate: Dropout before the dense layer, in [0, 1).
    """
    return serial(
        conv(64, 3), relu, max_pool(2),
        conv(64, 3), relu, max_pool(2),
        conv(64, 3), relu,
        flatten(), dropout(rate), *outputs(num_classes),
    )  # fmt: skip


@register(input_shape=(128, 128, 1), parameters=8_402_618, multiply_adds=8_991_744)
def letters_cnn(num_classes: int = 26) -> Layer:
    """One strided convolution and a wide dense layer for 128×128 letters: 8,402,618 parameters.

    >>> letters_cnn().output_shape((128, 128, 1))
    (26,)

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
    """
    return serial(
        conv(16, 3, strides=2, padding="SAME"), relu, max_pool(2),
        flatten(), dense(512), relu, *outputs(num_classes),
    )  # fmt: skip


@register(input_shape=(30, 30, 1), parameters=144_275, multiply_adds=4_111_148)
def pets_cnn(num_classes: int = 3) -> Layer:
    """Three convolutions, each with a pool, for 30×30 pets: 144,275 parameters.

    >>> pets_cnn().output_shape((30, 30, 1))
    (3,)

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
    """
    return serial(
        conv(32, 3), relu, max_pool(2),
        conv(64, 3), relu, max_pool(2),
        conv(128, 3), relu, max_pool(2),
        flatten(), dense(100), relu, *outputs(num_classes),
    )  # fmt: skip
