"""The three networks of the face detector MTCNN (Zhang et al., 2016, arXiv 1604.02878).

Each maps pictures to the same channels: the probabilities of no face and of a face, the offsets of
the corners of the face from those of the picture (x1, y1, x2, y2), and in the last network its
landmarks (x of both eyes, nose and both corners of the mouth, then their y), all in shares of the
picture's width and height. ``examples/faces.py`` is the detector that they make together.

Dense layers and heads are numbered by their depth, as in the published weights.
"""

import jax
import jax.numpy as jnp
from jax.nn import softmax

from jaxcnn.layers import Layer, conv, dense, flatten, max_pool, parallel, prelu, serial
from jaxcnn.models.registry import register

_PAPER = "Zhang et al., 2016, arXiv 1604.02878"
_pool_2, _pool_3 = (max_pool(size, strides=2, ceil_mode=True) for size in (2, 3))


@register(input_shape=(12, 12, 3), paper=_PAPER, parameters=6_632, multiply_adds=44_760)
def mtcnn_pnet() -> Layer:
    """The proposal network: each output, of 6 channels, sees a window of 12×12, at strides of 2.

    >>> mtcnn_pnet().output_shape((12, 12, 3)), mtcnn_pnet().output_shape((100, 80, 3))
    ((1, 1, 6), (45, 35, 6))
    """
    return serial(
        conv(10, 3), prelu(), _pool_2,
        conv(16, 3), prelu(),
        conv(32, 3), prelu(),
        heads_4=parallel(face=serial(conv(2, 1), softmax), offsets=conv(4, 1)),
    )  # fmt: skip


@register(input_shape=(24, 24, 3), paper=_PAPER, parameters=100_178, multiply_adds=1_530_768)
def mtcnn_rnet() -> Layer:
    """The refinement network: 6 outputs.

    >>> mtcnn_rnet().output_shape((24, 24, 3))
    (6,)
    """
    return serial(
        conv(28, 3), prelu(), _pool_3,
        conv(48, 3), prelu(), _pool_3,
        conv(64, 2), prelu(),
        columns_first, flatten(),
        dense_4=dense(128), prelu_4=prelu(),
        heads_5=parallel(face=serial(dense(2), softmax), offsets=dense(4)),
    )  # fmt: skip


@register(input_shape=(48, 48, 3), paper=_PAPER, parameters=389_040, multiply_adds=12_909_952)
def mtcnn_onet() -> Layer:
    """The output network: 16 outputs, with the landmarks.

    >>> mtcnn_onet().output_shape((48, 48, 3))
    (16,)
    """
    return serial(
        conv(32, 3), prelu(), _pool_3,
        conv(64, 3), prelu(), _pool_3,
        conv(64, 3), prelu(), _pool_2,
        conv(128, 2), prelu(),
        columns_first, flatten(),
        dense_5=dense(256), prelu_5=prelu(),
        heads_6=parallel(
            face=serial(dense(2), softmax), offsets=dense(4), landmarks=dense(10)
        ),
    )  # fmt: skip


def columns_first(x: jax.Array) -> jax.Array:
    """Exchange height and width: the published weights read a picture column by column."""
    return jnp.swapaxes(x, 1, 2)
