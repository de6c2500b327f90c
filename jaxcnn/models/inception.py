"""Inception-v3 (Szegedy et al., 2015, arXiv 1512.00567): convolutions of several sizes in parallel.

Branches and convolutions have the names of the published weights: ``model.stage_6.b.branch7x7``.
"""

from jaxcnn import shapes
from jaxcnn.layers import Layer, avg_pool, max_pool, parallel, serial
from jaxcnn.models.blocks import conv_norm
from jaxcnn.models.head import head
from jaxcnn.models.registry import Variant, register_variants

_pool = avg_pool(3, strides=1, padding=1, count_include_pad=True)
_reduce = max_pool(3, strides=2)


def _inception_v3(num_classes: int = 1000, *, rate: float = 0.0) -> Layer:
    """Return Inception-v3 without its second head, which only helps training.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      rate: Dropout before the dense layer, in [0, 1).
    """
    return serial(
        stem=serial(a1=_conv(32, 3, 2, 0), a2=_conv(32, 3, 1, 0), b2=_conv(64, 3)),
        stem_pool=_reduce,
        stage_4=serial(b3=_conv(80, 1), a4=_conv(192, 3, 1, 0)),
        stage_pool=_reduce,
        stage_5=serial(b=_five(32), c=_five(64), d=_five(64)),
        stage_6=serial(a=_to_six, b=_six(128), c=_six(160), d=_six(160), e=_six(192)),
        stage_7=serial(a=_to_seven, b=_seven(), c=_seven()),
        **head(num_classes, rate=rate or None),
    )


def _conv(
    features: int, size: shapes.PerAxis, strides: int = 1, padding: shapes.Padding | None = None
) -> serial:
    return serial(*conv_norm(features, size, strides, padding=padding, epsilon=1e-3))


def _five(pooled: int) -> parallel:
    return parallel(
        serial(branch1x1=_conv(64, 1)),
        serial(branch5x5_1=_conv(48, 1), branch5x5_2=_conv(64, 5)),
        serial(
            branch3x3dbl_1=_conv(64, 1), branch3x3dbl_2=_conv(96, 3), branch3x3dbl_3=_conv(96, 3)
        ),
        serial(_pool, branch_pool=_conv(pooled, 1)),
    )


_to_six = parallel(
    serial(branch3x3=_conv(384, 3, 2, 0)),
    serial(
        branch3x3dbl_1=_conv(64, 1), branch3x3dbl_2=_conv(96, 3),
        branch3x3dbl_3=_conv(96, 3, 2, 0),
    ),
    _reduce,
)  # fmt: skip


def _six(inner: int) -> parallel:
    wide, high = (1, 7), (7, 1)
    return parallel(
        serial(branch1x1=_conv(192, 1)),
        serial(
            branch7x7_1=_conv(inner, 1), branch7x7_2=_conv(inner, wide),
            branch7x7_3=_conv(192, high),
        ),
        serial(
            branch7x7dbl_1=_conv(inner, 1), branch7x7dbl_2=_conv(inner, high),
            branch7x7dbl_3=_conv(inner, wide), branch7x7dbl_4=_conv(inner, high),
            branch7x7dbl_5=_conv(192, wide),
        ),
        serial(_pool, branch_pool=_conv(192, 1)),
    )  # fmt: skip


_to_seven = parallel(
    serial(branch3x3_1=_conv(192, 1), branch3x3_2=_conv(320, 3, 2, 0)),
    serial(
        branch7x7x3_1=_conv(192, 1), branch7x7x3_2=_conv(192, (1, 7)),
        branch7x7x3_3=_conv(192, (7, 1)), branch7x7x3_4=_conv(192, 3, 2, 0),
    ),
    _reduce,
)  # fmt: skip


def _seven() -> parallel:
    wide, high = (1, 3), (3, 1)
    return parallel(
        serial(branch1x1=_conv(320, 1)),
        serial(
            branch3x3_1=_conv(384, 1),
            both=parallel(branch3x3_2a=_conv(384, wide), branch3x3_2b=_conv(384, high)),
        ),
        serial(
            branch3x3dbl_1=_conv(448, 1), branch3x3dbl_2=_conv(384, 3),
            both=parallel(branch3x3dbl_3a=_conv(384, wide), branch3x3dbl_3b=_conv(384, high)),
        ),
        serial(_pool, branch_pool=_conv(192, 1)),
    )  # fmt: skip


register_variants(
    _inception_v3,
    {"inception_v3": Variant(23_834_568, 5_713_216_096, {}, (299, 299, 3))},
    paper="Szegedy et al., 2015, arXiv 1512.00567",
)
