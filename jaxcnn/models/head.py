"""The last layers of a classifier."""

from typing import Any

from jaxcnn import arguments
from jaxcnn.layers import Layer, dense, dropout, global_avg_pool


def head(num_classes: int, *, rate: float | None = None) -> dict[str, Layer]:
    """Return the mean of each channel, dropout, and a dense layer, by name.

    Args:
      num_classes: Outputs; 0 leaves out the dense layer.
      rate: Dropout, in [0, 1); ``None`` leaves it out.
    """
    drop = {} if rate is None else {"dropout": dropout(rate)}
    return {"pool": global_avg_pool(), **drop, **last(num_classes)}


def last(num_classes: int, **options: Any) -> dict[str, Layer]:
    """Return the last dense layer by its name; none for 0 classes.

    Args:
      num_classes: Outputs.
      **options: Options of the layer.
    """
    layers = outputs(num_classes, **options)
    return {"head": layers[0]} if layers else {}


def outputs(num_classes: int, **options: Any) -> tuple[Layer, ...]:
    """Return the last dense layer alone; none for 0 classes.

    Args:
      num_classes: Outputs.
      **options: Options of the layer.
    """
    classes = arguments.check_integer("num_classes", num_classes, minimum=0)
    return (dense(classes, **options),) if classes else ()
