"""DenseNet (Huang et al., 2016, arXiv 1608.06993): each layer reads the maps of all before it."""

from jax.nn import relu

from jaxcnn.layers import (
    Layer,
    avg_pool,
    batch_norm,
    conv,
    dropout,
    identity,
    max_pool,
    parallel,
    serial,
)
from jaxcnn.models.blocks import conv_norm
from jaxcnn.models.head import head
from jaxcnn.models.registry import Variant, register_variants


def _densenet(
    num_classes: int = 1000,
    *,
    depths: tuple[int, ...],
    growth: int = 32,
    features: int = 64,
    rate: float = 0.0,
) -> Layer:
    """Return a DenseNet with bottlenecks and compression (DenseNet-BC).

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      depths: Dense layers of each stage.
      growth: Maps that each layer adds, at least 1.
      features: Channels of the stem, at least 1.
      rate: Dropout after each dense layer, in [0, 1).
    """
    layer = serial(
        batch_norm(), relu, conv(4 * growth, 1, use_bias=False),
        batch_norm(), relu, conv(growth, 3, padding=1, use_bias=False),
        *((dropout(rate),) if rate else ()),
    )  # fmt: skip
    channels, stages = features, {}
    for number, depth in enumerate(depths, 1):
        transition = {}
        if number > 1:
            channels //= 2
            halve = conv(channels, 1, use_bias=False)
            transition["transition"] = serial(batch_norm(), relu, halve, avg_pool(2))
        dense_layers = {
            f"dense_{j}": parallel(x=identity(), new=layer) for j in range(1, depth + 1)
        }
        stages[f"stage_{number}"] = serial(**transition, **dense_layers)
        channels += depth * growth
    return serial(
        stem=serial(*conv_norm(features, 7, 2)),
        stem_pool=max_pool(3, strides=2, padding=1),
        **stages,
        stage_norm=serial(batch_norm(), relu),
        **head(num_classes),
    )


register_variants(
    _densenet,
    {
        "densenet121": Variant(7_978_856, 2_834_161_664, {"depths": (6, 12, 24, 16)}),
        "densenet169": Variant(14_149_480, 3_359_843_328, {"depths": (6, 12, 32, 32)}),
    },
    paper="Huang et al., 2016, arXiv 1608.06993",
)
