"""SqueezeNet 1.1 (Iandola et al., 2016, arXiv 1602.07360): AlexNet's accuracy in little space."""

from jax.nn import relu

from jaxcnn import arguments
from jaxcnn.layers import Layer, conv, dropout, global_avg_pool, max_pool, parallel, serial
from jaxcnn.layers.composition import LayerLike
from jaxcnn.models.registry import Variant, register_variants


def _squeezenet(num_classes: int = 1000, *, rate: float = 0.5) -> Layer:
    """Return a SqueezeNet, whose last layer is a convolution, averaged over all positions.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      rate: Dropout before the last layer, in [0, 1).
    """
    classes = arguments.check_integer("num_classes", num_classes, minimum=0)
    pool = max_pool(3, strides=2, ceil_mode=True)
    last: dict[str, LayerLike] = {"head": conv(classes, 1), "head_relu": relu} if classes else {}
    return serial(
        stem=serial(conv(64, 3, strides=2), relu),
        stage_1=serial(pool, _fire(16, 64), _fire(16, 64)),
        stage_2=serial(pool, _fire(32, 128), _fire(32, 128)),
        stage_3=serial(pool, _fire(48, 192), _fire(48, 192), _fire(64, 256), _fire(64, 256)),
        dropout=dropout(rate),
        **last,
        pool=global_avg_pool(),
    )


def _fire(squeezed: int, expanded: int) -> serial:
    expand = parallel(
        serial(conv(expanded, 1), relu),
        serial(conv(expanded, 3, padding=1), relu),
    )
    return serial(conv(squeezed, 1), relu, expand)


register_variants(
    _squeezenet,
    {"squeezenet1_1": Variant(1_235_496, 349_151_936)},
    paper="Iandola et al., 2016, arXiv 1602.07360",
)
