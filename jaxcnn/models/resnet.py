"""ResNets (He et al., 2015, arXiv 1512.03385): for large images, for small ones, and the paper's.

Each network is a ``stem``, stages of residual blocks, ``pool`` and ``head``. A block's parameters
are found under its stage: ``model.stage_2.residual_1.body.conv_1.kernel``. ResNeXt (Xie et al.,
2016, arXiv 1611.05431) convolves in groups within the bottlenecks, Wide ResNet (Zagoruyko and
Komodakis, 2016, arXiv 1605.07146) makes them wider. As in torchvision and timm, the convolution of
size 3 has a bottleneck's stride; in the paper the first one of size 1 has it.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax.nn import relu

from jaxcnn.layers import Layer, avg_pool, drop_path, max_pool, residual, serial
from jaxcnn.models.blocks import conv_norm, drop_rates
from jaxcnn.models.head import head
from jaxcnn.models.registry import Variant, register_variants


def _resnet(
    num_classes: int = 1000,
    *,
    depths: tuple[int, ...],
    features: int = 64,
    bottleneck: bool = False,
    width: int = 64,
    groups: int = 1,
    drop_path_rate: float = 0.0,
) -> Layer:
    """Return a network for large images.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      depths: Blocks of each stage.
      features: Channels of the first stage, at least 1; each stage doubles them. What leaves a
        bottleneck has four times as many.
      bottleneck: Whether the blocks are bottlenecks of three convolutions.
      width: Channels of one group within a bottleneck of the first stage, per 64 `features`.
      groups: Groups of the convolution within a bottleneck.
      drop_path_rate: Probability of dropping the last block; it grows linearly from 0.
    """
    stem = {
        "stem": serial(*conv_norm(features, 7, 2)),
        "stem_pool": max_pool(3, strides=2, padding=1),
    }

    def body(features: int, strides: int) -> serial:
        if not bottleneck:
            return basic(features, strides)
        return _bottleneck(features, strides, features // 4 * width // 64 * groups, groups)

    return staged(
        num_classes, stem, features, depths,
        body=body, shortcut=project, expansion=4 if bottleneck else 1, rate=drop_path_rate,
    )  # fmt: skip


def _small_resnet(
    num_classes: int = 10, *, depths: tuple[int, ...], features: int, option_a: bool = False
) -> Layer:
    """Return a network for small images, whose stem keeps their size.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      depths: Blocks of each stage.
      features: Channels of the first stage, at least 1; each stage doubles them.
      option_a: Whether shortcuts leave out every other position and fill new channels with zeros
        (the paper's option A), in place of a convolution.
    """
    shortcut = _subsample if option_a else project
    stem = {"stem": serial(*conv_norm(features, 3))}
    return staged(num_classes, stem, features, depths, body=basic, shortcut=shortcut)


def basic(features: int, strides: int) -> serial:
    """Return the body of a block of two convolutions of size 3."""
    return serial(*conv_norm(features, 3, strides), *conv_norm(features, 3, activation=None))


def _bottleneck(features: int, strides: int, inner: int, groups: int) -> serial:
    return serial(
        *conv_norm(inner, 1),
        *conv_norm(inner, 3, strides, groups=groups),
        *conv_norm(features, 1, activation=None),
    )


def project(features: int, strides: int) -> serial:
    """Return what stands beside a body that changes the shape: a convolution of size 1."""
    return serial(*conv_norm(features, 1, strides, activation=None))


def _subsample(features: int, strides: int) -> serial:
    return serial(avg_pool(1, strides=strides), double_channels)


def double_channels(x: jax.Array) -> jax.Array:
    """Return ``x`` with as many channels of zeros after its own."""
    return jnp.concatenate([x, jnp.zeros_like(x)], axis=-1)


def staged(
    num_classes: int,
    stem: Mapping[str, Layer],
    features: int,
    depths: tuple[int, ...],
    *,
    body: Callable[[int, int], serial],
    shortcut: Callable[[int, int], serial],
    expansion: int = 1,
    rate: float = 0.0,
) -> serial:
    """Return a network with one stage of that many blocks for each of ``depths``.

    Args:
      num_classes: Outputs.
      stem: The first layers by name; they give `features` channels.
      features: Channels of the stem.
      depths: Blocks of each stage.
      body: Makes a block's body of the channels it gives and its strides.
      shortcut: Makes what stands beside a body that changes the shape, of the same.
      expansion: Channels of the first stage by those of the stem.
      rate: Probability of dropping the last body; it grows linearly from 0.
    """
    channels, stages, rates = features, {}, drop_rates(rate, depths)
    for index, depth in enumerate(depths):
        blocks: list[Layer] = []
        for position in range(depth):
            inputs, channels, drop = channels, features * expansion * 2**index, next(rates)
            strides = 2 if index > 0 and position == 0 else 1
            inner = body(channels, strides)
            if drop:
                inner = serial(**dict(inner.children), drop_path=drop_path(drop))
            changes = strides > 1 or inputs != channels
            blocks.append(residual(inner, shortcut(channels, strides) if changes else None))
        stages[f"stage_{index + 1}"] = serial(*(part for block in blocks for part in (block, relu)))
    return serial(**stem, **stages, **head(num_classes))


_BOTTLENECK = {"bottleneck": True}
_50, _101, _152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)
register_variants(
    _resnet,
    {
        "resnet18": Variant(11_689_512, 1_814_073_344, {"depths": (2, 2, 2, 2)}),
        "resnet34": Variant(21_797_672, 3_663_761_408, {"depths": _50}),
        "resnet50": Variant(25_557_032, 4_089_184_256, {"depths": _50, **_BOTTLENECK}),
        "resnet101": Variant(44_549_160, 7_801_405_440, {"depths": _101, **_BOTTLENECK}),
        "resnet152": Variant(60_192_808, 11_513_626_624, {"depths": _152, **_BOTTLENECK}),
    },
    paper="He et al., 2015, arXiv 1512.03385",
)
register_variants(
    _resnet,
    {
        "resnext50_32x4d": Variant(
            25_028_904, 4_230_479_872, {"depths": _50, **_BOTTLENECK, "groups": 32, "width": 4}
        )
    },
    paper="Xie et al., 2016, arXiv 1611.05431",
)
register_variants(
    _resnet,
    {
        "wide_resnet50_2": Variant(
            68_883_240, 11_398_021_120, {"depths": _50, **_BOTTLENECK, "width": 128}
        )
    },
    paper="Zagoruyko and Komodakis, 2016, arXiv 1605.07146",
)
_SMALL = {"features": 16, "option_a": True}
register_variants(
    _small_resnet,
    {
        "resnet18_small": Variant(
            11_173_962, 555_422_720, {"depths": (2, 2, 2, 2), "features": 64}, (32, 32, 3)
        ),
        "resnet20": Variant(269_722, 40_551_040, {"depths": (3, 3, 3), **_SMALL}, (32, 32, 3)),
        "resnet56": Variant(853_018, 125_485_696, {"depths": (9, 9, 9), **_SMALL}, (32, 32, 3)),
    },
    paper="He et al., 2015, arXiv 1512.03385",
)
