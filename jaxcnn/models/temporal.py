"""Networks for signals: FCN and ResNet (Wang et al., 2016, arXiv 1611.06455), InceptionTime."""

from jax.nn import relu

from jaxcnn import arguments, layers
from jaxcnn.layers import (
    Layer,
    batch_norm,
    conv,
    ensemble,
    max_pool,
    parallel,
    residual,
    serial,
)
from jaxcnn.models.blocks import conv_norm
from jaxcnn.models.head import head
from jaxcnn.models.registry import Variant, register_variants

_MODULES, _RESIDUAL = 6, 3  # modules in a row, and those within one residual


def _fcn(num_classes: int = 2, *, features: int = 128, masked: bool = False) -> Layer:
    """Return three convolutions over time and a mean.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      features: Channels of the first and the last convolution, at least 1; the other has twice as
        many.
      masked: Whether trailing steps that are NaN are padding, see :func:`jaxcnn.masked`.
    """
    network = serial(
        stage_1=serial(conv(features, 8, padding="SAME"), batch_norm(epsilon=1e-3), relu),
        stage_2=serial(conv(2 * features, 5, padding="SAME"), batch_norm(epsilon=1e-3), relu),
        stage_3=serial(conv(features, 3, padding="SAME"), batch_norm(epsilon=1e-3), relu),
        **head(num_classes),
    )
    return _with_mask(network, masked)


def _resnet1d(num_classes: int = 2, *, features: int = 64, masked: bool = False) -> Layer:
    """Return three residual blocks of three convolutions over time and a mean.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      features: Channels of the first block, at least 1; the others have twice as many.
      masked: Whether trailing steps that are NaN are padding, see :func:`jaxcnn.masked`.
    """
    features = arguments.check_integer("features", features, minimum=1)
    stages, widths = {}, (features, 2 * features, 2 * features)
    for number, width in enumerate(widths, 1):
        convolutions = [
            serial(conv(width, size, padding="SAME"), batch_norm(epsilon=1e-3))
            for size in (8, 5, 3)
        ]
        first, second, third = convolutions
        body = serial(first, relu, second, relu, third)
        widened = [] if number > 1 and widths[number - 2] == width else [conv(width, 1)]
        shortcut = serial(*widened, batch_norm(epsilon=1e-3))
        stages[f"stage_{number}"] = serial(residual(body, shortcut), relu)
    return _with_mask(serial(**stages, **head(num_classes)), masked)


def _inception_time(num_classes: int = 2, *, features: int = 32, masked: bool = False) -> Layer:
    """Return one network of InceptionTime (Ismail Fawaz et al., 2019), for few channels.

    The first module has no bottleneck, as in the authors' code for series of at most `features`
    channels. Their classifier is the mean of five such networks.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      features: Channels of each convolution, at least 1; a module has four.
      masked: Whether trailing steps that are NaN are padding, see :func:`jaxcnn.masked`.
    """
    stages = {}
    for number in range(1, _MODULES // _RESIDUAL + 1):
        modules = [_module(features, bottleneck=number > 1 or j > 0) for j in range(_RESIDUAL)]
        shortcut = serial(*conv_norm(4 * features, 1, epsilon=1e-3, activation=None))
        stages[f"stage_{number}"] = serial(residual(serial(*modules), shortcut), relu)
    return _with_mask(serial(**stages, **head(num_classes)), masked)


def _inception_time_ensemble(
    num_classes: int = 2, *, features: int = 32, members: int = 5, masked: bool = False
) -> Layer:
    """Return InceptionTime: the mean of several networks, trained in one step.

    Args:
      num_classes: Outputs; 0 leaves out the last layer of each.
      features: Channels of each convolution, at least 1.
      members: Number of networks, at least 1.
      masked: Whether trailing steps that are NaN are padding, see :func:`jaxcnn.masked`.
    """
    return ensemble(_inception_time(num_classes, features=features, masked=masked), members)


def _with_mask(network: Layer, masked: bool) -> Layer:
    return layers.masked(network) if arguments.check_flag("masked", masked) else network


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
    _resnet1d,
    {"resnet1d": Variant(504_258, 75_043_456, {}, (150, 1))},
    paper="Wang et al., 2016, arXiv 1611.06455",
)
register_variants(
    _inception_time_ensemble,
    {"inception_time_ensemble": Variant(2_102_250, 313_609_280, {}, (150, 1))},
    paper="Ismail Fawaz et al., 2019, arXiv 1909.04939",
)
register_variants(
    _inception_time,
    {"inception_time": Variant(420_450, 62_721_856, {}, (150, 1))},
    paper="Ismail Fawaz et al., 2019, arXiv 1909.04939",
)
