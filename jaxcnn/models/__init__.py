"""The zoo: networks as compositions of layers, by name."""

from jaxcnn.models import course, mobilenet, resnet, tiny  # noqa: F401 – registers their models
from jaxcnn.models.airbench import whiten
from jaxcnn.models.registry import create, input_shape, names

__all__ = ["create", "input_shape", "names", "whiten"]
