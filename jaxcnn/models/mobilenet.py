"""MobileNetV2 and V3 (Sandler et al., 2018, arXiv 1801.04381; Howard et al., 2019, 1905.02244).

Each stage is a list of inverted bottlenecks: a convolution of size 1 that widens, a depthwise one,
and one of size 1 that narrows again, with no activation after it.
"""

from jax.nn import hard_sigmoid, hard_swish, relu, relu6

from jaxcnn import arguments
from jaxcnn.layers import Layer, dense, dropout, global_avg_pool, serial, squeeze_excite
from jaxcnn.models.blocks import conv_norm, drop_rates, inverted_bottleneck, named_blocks, scaled
from jaxcnn.models.head import head, last
from jaxcnn.models.registry import Variant, register_variants

# How much a stage's bottlenecks widen, its channels, its blocks, and the strides of the first:
# table 2 of the second paper.
_STAGES_V2 = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
# Kernel size, channels, strides, whether channels are weighted, activation, and the inner channels
# of each block by those of its input: tables 1 and 2 of the third paper.
_LARGE = (
    (3, 16, 1, False, relu, (1,)), (3, 24, 2, False, relu, (4, 3)),
    (5, 40, 2, True, relu, (3, 3, 3)),
    (3, 80, 2, False, hard_swish, (6, 2.5, 2.3, 2.3)), (3, 112, 1, True, hard_swish, (6, 6)),
    (5, 160, 2, True, hard_swish, (6, 6, 6)),
)  # fmt: skip
_SMALL = (
    (3, 16, 2, True, relu, (1,)), (3, 24, 2, False, relu, (4.5, 3.67)),
    (5, 40, 2, True, hard_swish, (4, 6, 6)), (5, 48, 1, True, hard_swish, (3, 3)),
    (5, 96, 2, True, hard_swish, (6, 6, 6)),
)  # fmt: skip


def _mobilenet_v2(
    num_classes: int = 1000, *, width: float = 1.0, rate: float = 0.2, drop_path_rate: float = 0.0
) -> Layer:
    """Return MobileNetV2.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      width: Factor on the channels of every layer, above 0; the last convolution stays as it is
        below 1.
      rate: Dropout before the dense layer, in [0, 1).
      drop_path_rate: Probability of dropping the last block; it grows linearly from 0.
    """
    arguments.check_number("width", width, above=0)
    inputs, stages = scaled(32 * width), {}
    rates = drop_rates(drop_path_rate, [depth for *_, depth, _ in _STAGES_V2])
    for number, (expansion, features, depth, strides) in enumerate(_STAGES_V2, 1):
        blocks, outputs = [], scaled(features * width)
        for index in range(depth):
            blocks.append(
                inverted_bottleneck(
                    inputs, outputs, 3, 1 if index else strides, inputs * expansion,
                    activation=relu6, rate=next(rates),
                )
            )  # fmt: skip
            inputs = outputs
        stages[f"stage_{number}"] = named_blocks(blocks)
    return serial(
        stem=serial(*conv_norm(scaled(32 * width), 3, 2, activation=relu6)),
        **stages,
        last=serial(*conv_norm(scaled(1280 * max(width, 1.0)), 1, activation=relu6)),
        **head(num_classes, rate=rate),
    )


def _mobilenet_v3(
    num_classes: int = 1000,
    *,
    large: bool,
    width: float = 1.0,
    rate: float = 0.2,
    drop_path_rate: float = 0.0,
) -> Layer:
    """Return MobileNetV3, whose last stage is one convolution.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      large: Whether it is the large one.
      width: Factor on the channels of every layer, above 0.
      rate: Dropout before the last dense layer, in [0, 1).
      drop_path_rate: Probability of dropping the last block; it grows linearly from 0.
    """
    arguments.check_number("width", width, above=0)
    table = _LARGE if large else _SMALL
    inputs, stages = scaled(16 * width) if width >= 0.75 else 16, {}
    stem = serial(*conv_norm(inputs, 3, 2, activation=hard_swish))
    rates = drop_rates(drop_path_rate, [len(expansions) for *_, expansions in table])
    for number, (size, features, strides, weighted, activation, expansions) in enumerate(table, 1):
        blocks, outputs = [], scaled(features * width)
        for index, expansion in enumerate(expansions):
            inner = scaled(inputs * expansion)
            squeeze = squeeze_excite(features=scaled(inner / 4), gate=hard_sigmoid)
            blocks.append(
                inverted_bottleneck(
                    inputs, outputs, size, 1 if index else strides, inner,
                    activation=activation, squeeze=squeeze if weighted else None, rate=next(rates),
                )
            )  # fmt: skip
            inputs = outputs
        stages[f"stage_{number}"] = named_blocks(blocks)
    stages[f"stage_{len(table) + 1}"] = serial(
        *conv_norm(scaled((960 if large else 576) * width), 1, activation=hard_swish)
    )
    hidden = dense(1280 if large else 1024)
    return serial(
        stem=stem, **stages, pool=global_avg_pool(), hidden=hidden, hidden_activation=hard_swish,
        dropout=dropout(rate), **last(num_classes),
    )  # fmt: skip


register_variants(
    _mobilenet_v2,
    {
        "mobilenetv2_050": Variant(1_968_680, 97_131_840, {"width": 0.5}),
        "mobilenetv2_100": Variant(3_504_872, 300_774_272),
        "mobilenetv2_140": Variant(6_108_776, 582_195_824, {"width": 1.4}),
    },
    paper="Sandler et al., 2018, arXiv 1801.04381",
)
register_variants(
    _mobilenet_v3,
    {
        "mobilenetv3_large_100": Variant(5_483_032, 216_589_760, {"large": True}),
        "mobilenetv3_small_100": Variant(2_542_856, 56_510_400, {"large": False}),
    },
    paper="Howard et al., 2019, arXiv 1905.02244",
)
