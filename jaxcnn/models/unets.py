"""U-Nets (Ronneberger et al., 2015, arXiv 1505.04597): a class at each position of an image.

The network is a ``decoder``, whose ``body`` is the encoder and whose blocks read the encoder's maps
from the smallest to the largest, and a ``head`` that convolves by 1. Convolutions are padded, so
that the output has the size of the image, and followed by batch normalization; the paper's are
neither.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxcnn import arguments
from jaxcnn.layers import Layer, conv, max_pool, pyramid, serial, skip_decoder
from jaxcnn.layers.composition import LayerLike
from jaxcnn.models.blocks import conv_norm
from jaxcnn.models.creation import create
from jaxcnn.models.registry import input_shape, register


@register(input_shape=(224, 224, 3), paper="Ronneberger et al., 2015, arXiv 1505.04597")
def unet(
    num_classes: int = 21,
    *,
    encoder: str = "resnet18",
    features: Sequence[int] = (256, 128, 64, 32, 16),
    encoder_weights: str | Path | None = None,
    encoder_options: Mapping[str, Any] | None = None,
) -> Layer:
    """U-Net with a classifier of the zoo as its encoder.

    Each block of the decoder enlarges its input to the next larger map of the encoder (nearest
    neighbor), joins both, and has two convolutions of size 3; the last one works at the size of
    the image. Widths are those of segmentation_models.pytorch.

    >>> import jaxcnn as cnn
    >>> net = cnn.models.create("unet", encoder="resnet18", num_classes=2)
    >>> net.output_shape((75, 100, 3))
    (75, 100, 2)

    Args:
      num_classes: Outputs of each position; 0 leaves out the last layer.
      encoder: Name of a model with stages, as for :func:`create`.
      features: Channels of the decoder's blocks, the first at the smallest map; those that the
        encoder has no map for are left out from the front.
      encoder_weights: Trained weights of the encoder, as ``weights`` of :func:`create`; images are
        then normalized as they expect.
      encoder_options: Other options of the encoder.

    Raises:
      ValueError: there is no such model, it has no stages, or too few `features`.
    """
    maps = create(encoder, features_only=True, weights=encoder_weights, **encoder_options or {})
    return _decoded(num_classes, maps, tuple(features), maps.strides(input_shape(encoder))[0] != 1)


@register(input_shape=(128, 128, 1), paper="Ronneberger et al., 2015, arXiv 1505.04597")
def unet_small(num_classes: int = 2, *, features: int = 16, depth: int = 4) -> Layer:
    """Small U-Net to be trained from scratch: the paper's form with a quarter of its channels.

    The encoder has two convolutions of size 3 at each resolution, and a max-pool between two.

    >>> unet_small().output_shape((96, 100, 1))
    (96, 100, 2)

    Args:
      num_classes: Outputs of each position; 0 leaves out the last layer.
      features: Channels at the size of the image, at least 1; each reduction doubles them.
      depth: Number of resolutions, at least 2; a side is reduced to 1 / 2^(depth − 1).
    """
    arguments.check_integer("features", features, minimum=1)
    arguments.check_integer("depth", depth, minimum=2)
    widths = [features * 2**level for level in range(depth)]
    stages: dict[str, Layer] = {"stem": serial(*_two(widths[0]))}
    for level, width in enumerate(widths[1:]):
        stages[f"stage_{level + 1}"] = serial(max_pool(2), *_two(width))
    body = serial(**stages)
    return _decoded(num_classes, pyramid(body, tuple(stages)), tuple(widths[-2::-1]), False)


def _decoded(num_classes: int, maps: pyramid, features: tuple[int, ...], enlarges: bool) -> Layer:
    """Return the encoder with blocks of these channels, and the head."""
    classes = arguments.check_integer("num_classes", num_classes, minimum=0)
    count = len(maps.names) - 1 + enlarges
    if len(features) < count:
        raise ValueError(
            f"features must be at least {count} numbers of channels, one for each block. "
            f"Received: features={features}"
        )
    blocks = tuple(serial(*_two(width)) for width in features[len(features) - count :])
    decoder = skip_decoder(maps.body, maps.names, blocks)
    head = {"head": conv(classes, 1)} if classes else {}
    return serial(decoder=decoder, **head)


def _two(features: int) -> list[LayerLike]:
    return [*conv_norm(features, 3), *conv_norm(features, 3)]
