"""ShuffleNetV2 (Ma et al., 2018, arXiv 1807.11164): half of the channels pass a unit."""

import jax

from jaxcnn.layers import (
    Layer,
    batch_norm,
    channel_shuffle,
    depthwise,
    max_pool,
    parallel,
    serial,
)
from jaxcnn.models.blocks import conv_norm
from jaxcnn.models.head import head
from jaxcnn.models.registry import Variant, register_variants


def _shufflenet(
    num_classes: int = 1000,
    *,
    features: tuple[int, int, int],
    last_features: int = 1024,
    depths: tuple[int, int, int] = (4, 8, 4),
) -> Layer:
    """Return a ShuffleNetV2.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      features: Channels of each stage, which are even.
      last_features: Channels of the last convolution.
      depths: Units of each stage.
    """
    stages = {
        f"stage_{number}": serial(*_units(channels // 2, depth))
        for number, (channels, depth) in enumerate(zip(features, depths, strict=True), 1)
    }
    return serial(
        stem=serial(*conv_norm(24, 3, 2)),
        stem_pool=max_pool(3, strides=2, padding=1),
        **stages,
        last=serial(*conv_norm(last_features, 1)),
        **head(num_classes),
    )


def _units(half: int, depth: int) -> list[Layer]:
    reduced = parallel(
        branch1=serial(*_depthwise(2), *conv_norm(half, 1)),
        branch2=serial(*conv_norm(half, 1), *_depthwise(2), *conv_norm(half, 1)),
    )
    kept = parallel(
        branch1=first_half,
        branch2=serial(second_half, *conv_norm(half, 1), *_depthwise(1), *conv_norm(half, 1)),
    )
    units = [reduced] + [kept] * (depth - 1)
    return [layer for unit in units for layer in (unit, channel_shuffle(2))]


def _depthwise(strides: int) -> tuple[Layer, Layer]:
    return depthwise(3, strides=strides, padding=1, use_bias=False), batch_norm()


def first_half(x: jax.Array) -> jax.Array:
    """Return the first half of the channels."""
    return x[..., : x.shape[-1] // 2]


def second_half(x: jax.Array) -> jax.Array:
    """Return the other half of the channels."""
    return x[..., x.shape[-1] // 2 :]


register_variants(
    _shufflenet,
    {
        "shufflenet_v2_x0_5": Variant(1_366_792, 40_476_448, {"features": (48, 96, 192)}),
        "shufflenet_v2_x1_0": Variant(2_278_604, 144_907_992, {"features": (116, 232, 464)}),
        "shufflenet_v2_x1_5": Variant(3_503_624, 295_759_392, {"features": (176, 352, 704)}),
        "shufflenet_v2_x2_0": Variant(
            7_393_996, 583_253_464, {"features": (244, 488, 976), "last_features": 2048}
        ),
    },
    paper="Ma et al., 2018, arXiv 1807.11164",
)
