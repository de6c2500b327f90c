"""A tiny network, for small pictures of few things."""

from jax.nn import relu

from jaxcnn.layers import Layer, batch_norm, conv, max_pool, serial
from jaxcnn.models.head import head
from jaxcnn.models.registry import register


@register(input_shape=(28, 28, 1), parameters=14_458, multiply_adds=1_467_968)
def tiny_cnn(num_classes: int = 10, *, features: int = 16) -> Layer:
    """Three convolutions and a mean, for digits of 28×28 or 8×8: 14,458 parameters.

    After six epochs of the embedded digits, 8×8 as they are, at a learning rate of 0.01, it
    classifies about 99 % of the held-out ones rightly.

    >>> tiny_cnn().output_shape((28, 28, 1)), tiny_cnn().output_shape((8, 8, 1))
    ((10,), (10,))

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      features: Channels of the first convolution, at least 1; the others have twice as many.
    """
    return serial(
        conv(features, 3, padding=1, use_bias=False), batch_norm(), relu, max_pool(2),
        conv(2 * features, 3, padding=1, use_bias=False), batch_norm(), relu, max_pool(2),
        conv(2 * features, 3, padding=1, use_bias=False), batch_norm(), relu,
        **head(num_classes),
    )  # fmt: skip
