"""ResNets for video, whose kernels extend over time (Tran et al., 2017, arXiv 1711.11248)."""

from jax.nn import relu

from jaxcnn.layers import Layer, serial
from jaxcnn.layers.composition import LayerLike
from jaxcnn.models.blocks import conv_norm
from jaxcnn.models.registry import Variant, register_variants
from jaxcnn.models.resnet import basic, project, staged


def _r3d(num_classes: int = 400, *, depths: tuple[int, ...], features: int = 64) -> Layer:
    """Return a ResNet whose convolutions extend over time, too.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      depths: Blocks of each stage.
      features: Channels of the first stage, at least 1; each stage doubles them.
    """
    return staged(num_classes, _stem(features), features, depths, body=basic, shortcut=project)


def _mc3(num_classes: int = 400, *, depths: tuple[int, ...], features: int = 64) -> Layer:
    """Return a ResNet whose convolutions extend over time in the stem and the first stage only.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      depths: Blocks of each stage.
      features: Channels of the first stage, at least 1; each stage doubles them.
    """

    def body(channels: int, strides: int) -> serial:
        if channels == features:
            return basic(channels, strides)
        return serial(
            *conv_norm(channels, (1, 3, 3), (1, strides, strides)),
            *conv_norm(channels, (1, 3, 3), activation=None),
        )

    def shortcut(channels: int, strides: int) -> serial:
        return serial(*conv_norm(channels, 1, (1, strides, strides), activation=None))

    return staged(num_classes, _stem(features), features, depths, body=body, shortcut=shortcut)


def _r2plus1d(num_classes: int = 400, *, depths: tuple[int, ...], features: int = 64) -> Layer:
    """Return a ResNet with a convolution in space and one in time in place of each one in both.

    Between the two are as many channels as give both the parameters of the one that they replace.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      depths: Blocks of each stage.
      features: Channels of the first stage, at least 1; each stage doubles them.
    """
    flat = conv_norm(max(45 * features // 64, 1), (1, 7, 7), (1, 2, 2))
    stem = {"stem": serial(flat=serial(*flat), time=serial(*conv_norm(features, (3, 1, 1))))}

    def body(channels: int, strides: int) -> serial:
        inputs = channels // strides  # a stage that halves the size doubles the channels
        inner = inputs * channels * 27 // (inputs * 9 + channels * 3)

        def separate(strides: int) -> list[LayerLike]:
            return [
                *conv_norm(inner, (1, 3, 3), (1, strides, strides)),
                *conv_norm(channels, (3, 1, 1), (strides, 1, 1), activation=None),
            ]

        return serial(*separate(strides), relu, *separate(1))

    return staged(num_classes, stem, features, depths, body=body, shortcut=project)


def _stem(features: int) -> dict[str, Layer]:
    return {"stem": serial(cube=serial(*conv_norm(features, (3, 7, 7), (1, 2, 2))))}


_CLIP = (16, 112, 112, 3)
_DEPTHS = {"depths": (2, 2, 2, 2)}
for _build, _name, _parameters, _multiply_adds in (
    (_r3d, "r3d_18", 33_371_472, 40_696_553_472),
    (_mc3, "mc3_18", 11_695_440, 43_342_635_008),
    (_r2plus1d, "r2plus1d_18", 31_505_325, 40_519_080_960),
):
    register_variants(
        _build,
        {_name: Variant(_parameters, _multiply_adds, _DEPTHS, _CLIP)},
        paper="Tran et al., 2017, arXiv 1711.11248",
    )
