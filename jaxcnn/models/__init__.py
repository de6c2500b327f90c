"""The zoo: networks as compositions of layers, by name."""

from jaxcnn.models import airbench, course, mobilenet, resnet, tiny  # noqa: F401 – registers their models
from jaxcnn.models.registry import create, input_shape, names, option_names, prepare, register

__all__ = ["create", "input_shape", "names", "option_names", "prepare", "register"]
