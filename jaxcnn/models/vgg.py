"""VGG (Simonyan and Zisserman, 2014, arXiv 1409.1556): convolutions of size 3 and pools.

The dense layers are written as convolutions, of size 7 and 1, so that the network takes any larger
image too; its answers are then averaged over all positions, as the paper tests it.
"""

from jax.nn import relu

from jaxcnn.layers import Layer, batch_norm, conv, dropout, max_pool, serial
from jaxcnn.models.head import head
from jaxcnn.models.registry import Variant, register_variants


def _vgg(
    num_classes: int = 1000,
    *,
    depths: tuple[int, ...],
    norm: bool = False,
    features: int = 64,
    rate: float = 0.5,
) -> Layer:
    """Return a VGG network.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      depths: Convolutions of each stage.
      norm: Whether each convolution is followed by batch normalization.
      features: Channels of the first stage, at least 1; each of the next three doubles them.
      rate: Dropout after each of the two hidden layers, in [0, 1).
    """
    stages: dict[str, Layer] = {}
    for index, depth in enumerate(depths):
        channels = features * 2 ** min(index, 3)
        block = (conv(channels, 3, padding=1), *((batch_norm(),) if norm else ()), relu)
        # The pool is the next stage's, so that a stage ends with its own feature map.
        pool = (max_pool(2),) if index else ()
        stages[f"stage_{index + 1}"] = serial(*pool, *block * depth)
    stages["stage_pool"] = max_pool(2)
    hidden = serial(
        conv(4096, 7), relu, dropout(rate),
        conv(4096, 1), relu, dropout(rate),
    )  # fmt: skip
    return serial(**stages, hidden=hidden, **head(num_classes))


_DEPTHS = {
    "vgg11": ((1, 1, 2, 2, 2), 132_863_336, 132_868_840, 7_609_090_048),
    "vgg13": ((2, 2, 2, 2, 2), 133_047_848, 133_053_736, 11_308_466_176),
    "vgg16": ((2, 2, 3, 3, 3), 138_357_544, 138_365_992, 15_470_264_320),
    "vgg19": ((2, 2, 4, 4, 4), 143_667_240, 143_678_248, 19_632_062_464),
}
for _name, (_depths, _plain, _normed, _multiply_adds) in _DEPTHS.items():
    register_variants(
        _vgg,
        {
            _name: Variant(_plain, _multiply_adds, {"depths": _depths}),
            f"{_name}_bn": Variant(_normed, _multiply_adds, {"depths": _depths, "norm": True}),
        },
        paper="Simonyan and Zisserman, 2014, arXiv 1409.1556",
    )
