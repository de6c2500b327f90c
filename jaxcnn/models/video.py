"""ResNets for video, whose kernels extend over time (Tran et al., 2017, arXiv 1711.11248)."""

from jaxcnn.layers import Layer, serial
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
    stem = {"stem": serial(cube=serial(*conv_norm(features, (3, 7, 7), (1, 2, 2))))}
    return staged(num_classes, stem, features, depths, body=basic, shortcut=project)


register_variants(
    _r3d,
    {"r3d_18": Variant(33_371_472, 40_696_553_472, {"depths": (2, 2, 2, 2)}, (16, 112, 112, 3))},
    paper="Tran et al., 2017, arXiv 1711.11248",
)
