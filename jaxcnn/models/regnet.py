"""RegNetY (Radosavovic et al., 2020, arXiv 2003.13678): widths and depths found by a search."""

from jax.nn import relu

from jaxcnn.layers import Layer, drop_path, residual, serial, squeeze_excite
from jaxcnn.layers.composition import LayerLike
from jaxcnn.models.blocks import check_stages, conv_norm, drop_rates
from jaxcnn.models.head import head
from jaxcnn.models.registry import Variant, register_variants


def _regnet(
    num_classes: int = 1000,
    *,
    depths: tuple[int, ...],
    features: tuple[int, ...],
    group_features: int = 8,
    rate: float = 0.0,
    drop_path_rate: float = 0.0,
) -> Layer:
    """Return a RegNetY.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      depths: Blocks of each stage.
      features: Channels of each stage.
      group_features: Channels of each group of the convolutions of size 3; they divide `features`.
      rate: Dropout before the dense layer, in [0, 1).
      drop_path_rate: Probability of dropping the last block; it grows linearly from 0.

    Raises:
      ValueError: there is another number of depths than of features.
    """
    check_stages(depths, features)
    inputs, stages, rates = 32, {}, drop_rates(drop_path_rate, depths)
    for number, (depth, channels) in enumerate(zip(depths, features, strict=True), 1):
        parts: list[LayerLike] = []
        for index in range(depth):
            strides, drop = 1 if index else 2, next(rates)
            body = serial(
                *conv_norm(channels, 1),
                *conv_norm(channels, 3, strides, groups=channels // group_features),
                squeeze_excite(features=round(inputs / 4)),
                *conv_norm(channels, 1, activation=None),
                *((drop_path(drop),) if drop else ()),
            )
            shortcut = serial(*conv_norm(channels, 1, strides, activation=None))
            parts += [residual(body, None if index else shortcut), relu]
            inputs = channels
        stages[f"stage_{number}"] = serial(*parts)
    return serial(
        stem=serial(*conv_norm(32, 3, 2)), **stages, **head(num_classes, rate=rate or None)
    )


register_variants(
    _regnet,
    {
        "regnety_002": Variant(
            3_162_996, 199_514_080, {"depths": (1, 1, 4, 7), "features": (24, 56, 152, 368)}
        ),
        "regnety_004": Variant(
            4_344_144, 401_842_848, {"depths": (1, 3, 6, 6), "features": (48, 104, 208, 440)}
        ),
    },
    paper="Radosavovic et al., 2020, arXiv 2003.13678",
)
