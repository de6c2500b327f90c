"""The zoo: networks as compositions of layers, by name."""

from jaxcnn.models import airbench, course, mobilenet, resnet, tiny  # noqa: F401 – registers their models
from jaxcnn.models.classes import imagenet_classes
from jaxcnn.models.creation import create
from jaxcnn.models.registry import (
    Info,
    info,
    input_shape,
    names,
    option_names,
    prepare,
    register,
)

__all__ = [
    "Info",
    "create",
    "imagenet_classes",
    "info",
    "input_shape",
    "names",
    "option_names",
    "prepare",
    "register",
]
