"""EfficientNet (Tan and Le, 2019, arXiv 1905.11946), and its Lite form for small devices.

Width and depth of one network grow together. The Lite networks weight no channels, use ReLU6, and
keep their stem, their first and last stage and their last convolution. Those whose name begins with
``tf`` have the padding and the epsilon of TensorFlow, in which the published weights were trained.
"""

import math

from jax.nn import relu6, swish

from jaxcnn import arguments
from jaxcnn.layers import Layer, serial, squeeze_excite
from jaxcnn.models.blocks import conv_norm, drop_rates, inverted_bottleneck, named_blocks, scaled
from jaxcnn.models.head import head
from jaxcnn.models.registry import Variant, register_variants

# Kernel size, channels, blocks, strides of the first, and how much the blocks widen: the paper's
# table 1.
_STAGES = (
    (3, 16, 1, 1, 1), (3, 24, 2, 2, 6), (5, 40, 2, 2, 6), (3, 80, 3, 2, 6), (5, 112, 3, 1, 6),
    (5, 192, 4, 2, 6), (3, 320, 1, 1, 6),
)  # fmt: skip


def _efficientnet(
    num_classes: int = 1000,
    *,
    width: float = 1.0,
    depth: float = 1.0,
    lite: bool = False,
    same: bool = False,
    rate: float = 0.2,
    drop_path_rate: float = 0.0,
) -> Layer:
    """Return an EfficientNet.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      width: Factor on the channels, above 0.
      depth: Factor on the blocks of a stage, above 0.
      lite: Whether it is of the Lite form.
      same: Whether padding and epsilon are those of TensorFlow.
      rate: Dropout before the dense layer, in [0, 1).
      drop_path_rate: Probability of dropping the last block; it grows linearly from 0. The paper
        trains with 0.2.
    """
    arguments.check_number("width", width, above=0)
    arguments.check_number("depth", depth, above=0)
    activation, outer = (relu6, 1.0) if lite else (swish, width)
    ends = (0, len(_STAGES) - 1) if lite else ()
    depths = [
        blocks if index in ends else math.ceil(blocks * depth)
        for index, (_, _, blocks, _, _) in enumerate(_STAGES)
    ]

    def convolution(features: float, size: int, strides: int) -> serial:
        padding, epsilon = ("SAME", 1e-3) if same else (size // 2, 1e-5)
        return serial(
            *conv_norm(
                scaled(features), size, strides,
                padding=padding, epsilon=epsilon, activation=activation,
            )
        )  # fmt: skip

    inputs, stages, rates = scaled(32 * outer), {}, drop_rates(drop_path_rate, depths)
    for number, (size, features, _, strides, expansion) in enumerate(_STAGES, 1):
        blocks, outputs = [], scaled(features * width)
        for index in range(depths[number - 1]):
            squeeze = squeeze_excite(features=round(inputs / 4), activation=activation)
            blocks.append(
                inverted_bottleneck(
                    inputs, outputs, size, 1 if index else strides, inputs * expansion,
                    activation=activation, squeeze=None if lite else squeeze,
                    rate=next(rates), same=same,
                )
            )  # fmt: skip
            inputs = outputs
        stages[f"stage_{number}"] = named_blocks(blocks)
    return serial(
        stem=convolution(32 * outer, 3, 2),
        **stages,
        last=convolution(1280 * outer, 1, 1),
        **head(num_classes, rate=rate),
    )


# Parameters, width, depth, side of the images, dropout.
_PUBLISHED = {
    "efficientnet_b0": (5_288_548, 385_814_752, 1.0, 1.0, 224, 0.2),
    "efficientnet_b1": (7_794_184, 686_802_832, 1.0, 1.1, 240, 0.2),
    "efficientnet_b2": (9_109_994, 993_561_872, 1.1, 1.2, 260, 0.3),
    "efficientnet_b3": (12_233_232, 1_827_141_392, 1.2, 1.4, 300, 0.3),
    "efficientnet_lite0": (4_652_008, 385_187_552, 1.0, 1.0, 224, 0.2),
    "efficientnet_lite1": (5_416_680, 600_185_232, 1.0, 1.1, 240, 0.2),
    "efficientnet_lite2": (6_092_072, 859_736_272, 1.1, 1.2, 260, 0.3),
}
for _prefix, _same in (("", False), ("tf_", True)):
    register_variants(
        _efficientnet,
        {
            _prefix + name: Variant(
                parameters,
                multiply_adds,
                {
                    "width": width,
                    "depth": depth,
                    "rate": rate,
                    "lite": "lite" in name,
                    "same": _same,
                },
                (side, side, 3),
            )
            for name, (parameters, multiply_adds, width, depth, side, rate) in _PUBLISHED.items()
        },
        paper="Tan and Le, 2019, arXiv 1905.11946",
    )
