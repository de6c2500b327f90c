"""MobileNetV2 (Sandler et al., 2018, arXiv 1801.04381): depthwise convolutions in narrow residuals.

Each stage is a list of inverted bottlenecks: a convolution of size 1 that widens, a depthwise one,
and one of size 1 that narrows again, with no activation after it.
"""

from jax.nn import relu6

from jaxcnn.layers import (
    Layer,
    batch_norm,
    conv,
    dense,
    depthwise,
    dropout,
    global_avg_pool,
    residual,
    serial,
)
from jaxcnn.models.registry import register

# How much a stage's bottlenecks widen, its channels, its blocks, and the strides of the first:
# the paper's table 2.
_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip


@register(input_shape=(224, 224, 3))
def mobilenet_v2(num_classes: int = 1000, *, width: float = 1.0, rate: float = 0.2) -> Layer:
    """MobileNetV2: 3,504,872 parameters at width 1, 1,968,680 at width 0.5.

    >>> mobilenet_v2(width=0.5).output_shape((224, 224, 3))
    (1000,)

    Args:
      num_classes: Outputs, at least 1.
      width: Factor on the channels of every layer, above 0; the last convolution stays as it is
        below 1.
      rate: Dropout before the dense layer, in [0, 1).

    Raises:
      ValueError: an option is out of its range.
    """
    if not width > 0:
        raise ValueError(f"width must be above 0. Received: width={width}")
    inputs, stages = _scaled(32, width), {}
    for number, (expansion, features, depth, strides) in enumerate(_STAGES, 1):
        outputs = _scaled(features, width)
        blocks = [_block(inputs, outputs, strides, expansion)]
        blocks += [_block(outputs, outputs, 1, expansion)] * (depth - 1)
        named = {f"block_{index}": block for index, block in enumerate(blocks, 1)}
        stages[f"stage_{number}"] = serial(**named)
        inputs = outputs
    return serial(
        stem=serial(
            conv(_scaled(32, width), 3, strides=2, padding=1, use_bias=False), batch_norm(), relu6
        ),
        **stages,
        last=serial(conv(_scaled(1280, max(width, 1.0)), 1, use_bias=False), batch_norm(), relu6),
        pool=global_avg_pool(),
        dropout=dropout(rate),
        head=dense(num_classes),
    )


def _block(inputs: int, features: int, strides: int, expansion: int) -> Layer:
    """Return an inverted bottleneck, residual where its input has its output's shape."""
    widen = (conv(inputs * expansion, 1, use_bias=False), batch_norm(), relu6)
    body = serial(
        *(widen if expansion > 1 else ()),
        depthwise(3, strides=strides, padding=1, use_bias=False), batch_norm(), relu6,
        conv(features, 1, use_bias=False), batch_norm(),
    )  # fmt: skip
    return residual(body) if strides == 1 and inputs == features else body


def _scaled(features: int, width: float) -> int:
    """Return the multiple of 8 nearest to ``features · width``, or the next if it is 10 % less.

    As in the authors' code (tensorflow/models, ``make_divisible``); it is at least 8.
    """
    nearest = max(8, int(features * width + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * features * width else nearest
