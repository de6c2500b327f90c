"""Networks for signals: FCN (Wang et al., 2016, arXiv 1611.06455), InceptionTime (1909.04939)."""

from jax.nn import relu

from jaxcnn.layers import Layer, batch_norm, conv, max_pool, parallel, residual, serial
from jaxcnn.models.blocks import conv_norm
from jaxcnn.models.head import head
from jaxcnn.models.registry import Variant, register_variants

_MODULES, _RESIDUAL = 6, 3  # modules in a row, and those within one residual


def _fcn(num_classes: int = 2, *, features: int = 128) -> Layer:
    """Return three convolutions over time and a mean.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      features: Channels of the first and the last convolution, at least 1; the other has twice as
        many.
    """
    return serial(
        stage_1=serial(conv(features, 8, padding="SAME"), batch_norm(epsilon=1e-3), relu),
        stage_2=serial(conv(2 * features, 5, padding="SAME"), batch_norm(epsilon=1e-3), relu),
        stage_3=serial(conv(features, 3, padding="SAME"), batch_norm(epsilon=1e-3), relu),
        **head(num_classes),
    )


def _inception_time(num_classes: int = 2, *, features: int = 32) -> Layer:
    """Return one network of InceptionTime (Ismail Fawaz et al., 2019), for few channels.

    The first module has no bottleneck, as in the authors' code for series of at most `features`
    channels. Their classifier is the mean of five such networks.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      features: Channels of each convolution, at least 1; a module has four.
    """
    stages = {}
    for number in range(1, _MODULES // _RESIDUAL + 1):
        modules = [_module(features, bottleneck=number > 1 or j > 0) for j in range(_RESIDUAL)]
        shortcut = serial(*conv_norm(4 * features, 1, epsilon=1e-3, activation=None))
        stages[f"stage_{number}"] = serial(residual(serial(*modules), shortcut), relu)
    return serial(**stages, **head(num_classes))


def _module(features: int, *, bottleneck: bool) -> serial:
    convolutions = [conv(features, size, padding="SAME", use_bias=False) for size in (40, 20, 10)]
    narrow = [conv(features, 1, use_bias=False)] if bottleneck else []
    pooled = serial(max_pool(3, strides=1, padding="SAME"), conv(features, 1, use_bias=False))
    branches = parallel(serial(*narrow, parallel(*convolutions)), pooled)
    return serial(branches, batch_norm(epsilon=1e-3), relu)


register_variants(
    _fcn,
    {"fcn": Variant(264_962, 39_475_456, {}, (150, 1))},
    paper="Wang et al., 2016, arXiv 1611.06455",
)
register_variants(
    _inception_time,
    {"inception_time": Variant(420_450, 62_721_856, {}, (150, 1))},
    paper="Ismail Fawaz et al., 2019, arXiv 1909.04939",
)
