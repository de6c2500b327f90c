"""The zoo: networks as compositions of layers, by name."""

from jaxcnn.models import (  # noqa: F401 – each registers its models
    airbench,
    alexnet,
    convnext,
    course,
    dense_detection,
    densenet,
    efficientnet,
    inception,
    mobilenet,
    mtcnn,
    regnet,
    resnet,
    shufflenet,
    squeezenet,
    temporal,
    tiny,
    unets,
    vgg,
    video,
)
from jaxcnn.models.classes import imagenet_classes
from jaxcnn.models.creation import create, options_of
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
    "options_of",
    "prepare",
    "register",
]
