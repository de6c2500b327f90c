"""LeNet-5 (LeCun et al., 1998) and AlexNet in the form for one device (Krizhevsky, 2014)."""

from jax.nn import relu, tanh

from jaxcnn.layers import (
    Layer,
    adaptive_avg_pool,
    avg_pool,
    conv,
    dense,
    dropout,
    flatten,
    max_pool,
    serial,
)
from jaxcnn.models.head import last
from jaxcnn.models.registry import Variant, register_variants


def _lenet5(num_classes: int = 10) -> Layer:
    """Return LeNet-5 with every map of the second convolution connected to all of the first.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
    """
    return serial(
        stem=serial(conv(6, 5), tanh),
        stage_1=serial(avg_pool(2), conv(16, 5), tanh),
        stage_2=serial(avg_pool(2), conv(120, 5), tanh),
        flatten=flatten(),
        hidden=dense(84),
        hidden_tanh=tanh,
        **last(num_classes),
    )


def _alexnet(num_classes: int = 1000, *, rate: float = 0.5) -> Layer:
    """Return AlexNet, whose dense layers read a map of 6×6 whatever the size of the image.

    Args:
      num_classes: Outputs; 0 leaves out the last layer.
      rate: Dropout before each of the two hidden layers, in [0, 1).
    """
    pool = max_pool(3, strides=2)
    return serial(
        stem=serial(conv(64, 11, strides=4, padding=2), relu),
        stage_1=serial(pool, conv(192, 5, padding=2), relu),
        stage_2=serial(
            pool, conv(384, 3, padding=1), relu, conv(256, 3, padding=1), relu,
            conv(256, 3, padding=1), relu,
        ),
        stage_pool=pool,
        hidden=serial(
            adaptive_avg_pool(6), dropout(rate), conv(4096, 6), relu,
            dropout(rate), conv(4096, 1), relu, flatten(),
        ),
        **last(num_classes),
    )  # fmt: skip


register_variants(
    _lenet5,
    {"lenet5": Variant(61_706, 416_520, {}, (32, 32, 1))},
    paper="LeCun et al., 1998, doi 10.1109/5.726791",
)
register_variants(
    _alexnet,
    {"alexnet": Variant(61_100_840, 714_188_480)},
    paper="Krizhevsky, 2014, arXiv 1404.5997",
)
