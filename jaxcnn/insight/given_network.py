"""A network as a function is given it: a description or any module, and an input shape."""

from collections.abc import Sequence
from typing import Any

from flax import nnx

from jaxcnn import arguments, shapes
from jaxcnn.layers import Layer
from jaxcnn.layers.layer import abstract_once


def check_network(
    model: Any, input_shape: Sequence[int] | None
) -> tuple[Layer | None, shapes.Shape]:
    """Return the description of a network, and the shape of one example.

    Args:
      model: A description, or any module.
      input_shape: The shape of one example; ``None`` takes that of a model that was built from a
        description.

    Returns:
      The description, or ``None`` for a module that has none or was changed since; and the shape.

    Raises:
      TypeError: ``model`` is neither, or its shape is not known.
      ValueError: the shape is not one.
    """
    if not isinstance(model, Layer | nnx.Module):
        raise TypeError(
            "model must be a description such as conv(64, 3), or an nnx.Module. "
            f"Received: {arguments.shown(model)}"
        )
    built_from = getattr(model, "description", None)
    if input_shape is None:
        if not isinstance(built_from, Layer):
            raise TypeError(
                "input_shape must be given, such as input_shape=(224, 224, 3): only a model that "
                "was built from a description knows its own"
            )
        input_shape = getattr(model, "input_shape")  # noqa: B009  # stored with the description
    shape = shapes.check_shape(input_shape)
    if isinstance(model, Layer):
        return model, shape
    if isinstance(built_from, Layer):
        abstract = abstract_once(built_from, getattr(model, "input_shape"))  # noqa: B009  # stored with the description
        if nnx.graphdef(abstract) == nnx.graphdef(model):
            return built_from, shape
    return None, shape
