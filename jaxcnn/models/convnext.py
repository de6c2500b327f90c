"""ConvNeXt (Liu et al., 2022, arXiv 2201.03545): a ResNet with the manners of a transformer."""

from jaxcnn.layers import (
    Layer,
    conv,
    depthwise,
    drop_path,
    global_avg_pool,
    layer_norm,
    layer_scale,
    residual,
    serial,
)
from jaxcnn.models.blocks import check_stages, drop_rates, exact_gelu
from jaxcnn.models.head import last
from jaxcnn.models.registry import Variant, register_variants

_norm = layer_norm(epsilon=1e-6)


def _convnext(
    num_classes: int = 1000,
    *,
    depths: tuple[int, ...],
    features: tuple[int, ...] = (96, 192, 384, 768),
    drop_path_rate: float = 0.0,
) -> Layer:
    """Return a ConvNeXt.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      depths: Blocks of each stage.
      features: Channels of each stage.
      drop_path_rate: Probability of dropping the last block; it grows linearly from 0.

    Raises:
      ValueError: there is another number of depths than of features.
    """
    check_stages(depths, features)
    stages, rates = {}, drop_rates(drop_path_rate, depths)
    for number, (depth, channels) in enumerate(zip(depths, features, strict=True), 1):
        halve = {"downsample": serial(_norm, conv(channels, 2, strides=2))} if number > 1 else {}
        blocks = {f"block_{j}": _block(channels, next(rates)) for j in range(1, depth + 1)}
        stages[f"stage_{number}"] = serial(**halve, **blocks)
    return serial(
        stem=serial(conv(features[0], 4, strides=4), _norm),
        **stages,
        pool=global_avg_pool(),
        norm=_norm,
        **last(num_classes),
    )


def _block(features: int, rate: float) -> residual:
    return residual(
        serial(
            depthwise(7, padding=3), _norm,
            conv(4 * features, 1), exact_gelu, conv(features, 1), layer_scale(init=1e-6),
            *((drop_path(rate),) if rate else ()),
        )
    )  # fmt: skip


register_variants(
    _convnext,
    {
        "convnext_tiny": Variant(28_589_128, 4_455_531_264, {"depths": (3, 3, 9, 3)}),
        "convnext_small": Variant(50_223_688, 8_683_712_256, {"depths": (3, 3, 27, 3)}),
    },
    paper="Liu et al., 2022, arXiv 2201.03545",
)
