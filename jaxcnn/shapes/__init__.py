"""Window arithmetic in plain integers: how a convolution or a pool changes a shape.

Everything here follows one formula, axis by axis,

.. math:: n = ⌊(n_{prev} − f + 2·pad)/stride⌋ + 1,

where f is the extent of the window: :math:`dilation·(window − 1) + 1`. Shapes have no batch axis:
``(*spatial, channels)``. Nothing here knows of arrays, so a network's shapes are known, and
its mistakes explained, before anything is computed.
"""

from jaxcnn.shapes.layers import (
    adaptive_shape,
    conv_shape,
    conv_transpose_shape,
    depth_to_space_shape,
    explain,
    flatten,
    pad_shape,
    pool_shape,
    space_to_depth_shape,
)
from jaxcnn.shapes.numbers import (
    PADDINGS,
    Padding,
    Pair,
    PerAxis,
    Shape,
    check_shape,
    image_shape,
    pad_widths,
    padding_of,
    per_axis,
)
from jaxcnn.shapes.patches import unfold_shape
from jaxcnn.shapes.pooling import pool_windows
from jaxcnn.shapes.receptive import ReceptiveField, receptive_field
from jaxcnn.shapes.scaling import Scales, upsample_shape
from jaxcnn.shapes.transposed import PADDINGS_TRANSPOSED, TransposedWindows, transposed_windows
from jaxcnn.shapes.window import (
    Windows,
    extent,
    output_size,
    same_padding,
    windows,
)

__all__ = [
    "PADDINGS",
    "PADDINGS_TRANSPOSED",
    "Padding",
    "Pair",
    "PerAxis",
    "ReceptiveField",
    "Scales",
    "Shape",
    "TransposedWindows",
    "Windows",
    "adaptive_shape",
    "check_shape",
    "conv_shape",
    "conv_transpose_shape",
    "depth_to_space_shape",
    "explain",
    "extent",
    "flatten",
    "image_shape",
    "output_size",
    "pad_shape",
    "pad_widths",
    "padding_of",
    "per_axis",
    "pool_shape",
    "pool_windows",
    "receptive_field",
    "same_padding",
    "space_to_depth_shape",
    "transposed_windows",
    "unfold_shape",
    "upsample_shape",
    "windows",
]
