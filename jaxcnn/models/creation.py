"""Descriptions of the models by name: as they are, with trained weights, or their feature maps."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, overload

from jaxcnn import arguments
from jaxcnn.deprecation import renamed_arguments
from jaxcnn.interchange.torch import TorchWeights, read_torch
from jaxcnn.layers import Layer, Preprocessing, pretrained, pyramid, serial, standardize
from jaxcnn.layers.feature_maps import jump_of
from jaxcnn.layers.layer import as_layer
from jaxcnn.layers.weights import array_shapes
from jaxcnn.models.classes import imagenet_classes
from jaxcnn.models.registry import Entry, Info, find_entry, option_names

Normalization: TypeAlias = tuple[Sequence[float], Sequence[float]]

# The children of a network that keep the spatial axes begin so.
_TRUNK = ("normalize", "stem", "stage")
_CLASSES = "num_classes"
_IMAGENET = 1000  # classes


@overload
def create(
    name: str,
    *,
    weights: str | Path | None = None,
    normalize: Normalization | None = None,
    in_features: int = 3,
    features_only: Literal[False] = False,
    **options: Any,
) -> Layer: ...
@overload
def create(
    name: str,
    *,
    weights: str | Path | None = None,
    normalize: Normalization | None = None,
    in_features: int = 3,
    features_only: Literal[True],
    **options: Any,
) -> pyramid: ...
@renamed_arguments("0.2.0", input_channels="in_features")
def create(
    name: str,
    *,
    weights: str | Path | None = None,
    normalize: Normalization | None = None,
    in_features: int = 3,
    features_only: bool = False,
    **options: Any,
) -> Layer | pyramid:
    """Return the description of a model.

    >>> create("mnist_cnn", num_classes=5).output_shape((28, 28, 1))
    (5,)
    >>> maps = create("resnet18", features_only=True)
    >>> maps.strides((224, 224, 3))
    (2, 4, 8, 16, 32)

    With weights, images are normalized as these expect, and the description's ``preprocessing``
    says what else they expect of a picture.

    Args:
      name: A name in :func:`names`, or ``"package.module:network"`` for a description, or a
        function that returns one, in a module that Python can import.
      weights: Trained weights that ``build`` gives the module: a file of safetensors or PyTorch
        with the names of timm or torchvision, or ``"hf:timm/…"`` on Hugging Face's hub. Another
        ``num_classes`` than theirs takes all of them but the last layer.
      normalize: Mean and standard deviation per channel of images in 0…1, by which a first layer
        ``normalize`` standardizes them; ``None`` means as the weights expect, without weights not.
      in_features: Channels of the images for the weights; the first kernel, of 3 channels, is
        summed for 1, and repeated and scaled for another number, as in timm.
      features_only: Whether to return a :class:`jaxcnn.pyramid` of the model's feature maps, the
        last of each resolution, in place of the whole network.
      **options: Options of the model, such as ``num_classes``, of which 0 leaves out the last
        layer.

    Raises:
      ImportError: the weights need a package that is not installed.
      TypeError: the function returns something else than a description.
      ValueError: there is no such model, module or option, and the message names the nearest; or
        the weights are not of this model.
    """
    known = option_names(name)
    for option in options:
        arguments.check_known(f"option of {name}", option, known)
    entry = find_entry(name)
    if weights is None:
        if in_features != 3:
            raise ValueError(
                "in_features is for weights; without, a model takes the channels of the "
                f"input_shape that it is built for. Received: in_features={in_features}"
            )
        network = _normalized(as_layer(entry.builder(**options), name), normalize)
        return _feature_maps(network, entry.info) if features_only else network
    return _trained(entry, weights, options, normalize, in_features, features_only)


def options_of(network: Layer) -> dict[str, Any]:
    """Return the options with which a description from :func:`create` is made without its weights.

    Args:
      network: The description.
    """
    if not isinstance(network, pretrained) or not isinstance(network.weights, TorchWeights):
        return {}
    assert network.preprocessing is not None
    normalize = network.preprocessing.mean, network.preprocessing.std
    return {**network.weights.convention.options, "normalize": normalize}


def _normalized(network: Layer, normalize: Normalization | None) -> Layer:
    """Return a network that standardizes its images first."""
    if normalize is None:
        return network
    children = getattr(network, "children", ((network.kind, network),))
    return serial(normalize=standardize(*normalize), **dict(children))


def _trained(
    entry: Entry,
    path: str | Path,
    options: Mapping[str, Any],
    normalize: Normalization | None,
    in_features: int,
    features_only: bool,
) -> Layer | pyramid:
    """Return a model with the weights in a file."""
    info, shape = entry.info, entry.info.input_shape
    if shape is None:
        raise ValueError(f"weights are for a registered model. Received: {info.name}")
    arguments.check_integer("in_features", in_features, minimum=1)
    whole = {name: value for name, value in options.items() if name != _CLASSES}
    network = entry.builder(**whole)
    weights = read_torch(str(path), entry.family, array_shapes(network, shape), info.name)
    classes = options.get(_CLASSES)
    expected = network.output_shape(shape)[-1]
    classifies = _CLASSES in option_names(info.name)
    if classifies and classes is None and weights.num_classes != expected:
        raise ValueError(
            f"{str(path)!r} is for {weights.num_classes} classes, and {info.name} has {expected}: "
            f"give {_CLASSES}={weights.num_classes}, or another number to take all but the last "
            f"layer, with 0 for none"
        )
    chosen = {**weights.convention.options, **whole}
    network = entry.builder(**chosen, **({} if classes is None else {_CLASSES: classes}))
    preprocessing = _preprocessing(weights, shape, in_features)
    if normalize is not None:
        mean, std = map(tuple, normalize)
        preprocessing = dataclasses.replace(preprocessing, mean=mean, std=std)
    body = _normalized(network, (preprocessing.mean, preprocessing.std))
    if not features_only:
        return pretrained(body, weights, preprocessing=preprocessing)
    maps = _feature_maps(body, info)
    return pyramid(pretrained(maps.body, weights, preprocessing=preprocessing), maps.names)


def _preprocessing(weights: TorchWeights, shape: tuple[int, ...], channels: int) -> Preprocessing:
    """Return what weights expect, as their owner or else their library says."""
    convention = weights.convention
    config = weights.checkpoint.config.get("pretrained_cfg", {})
    mean, std = (
        tuple(config.get(name, known))
        for name, known in zip(("mean", "std"), convention.mean_std, strict=True)
    )
    if channels != len(mean):  # as many of their mean
        mean, std = ((sum(each) / len(each),) * channels for each in (mean, std))
    *_, height, width, _ = shape
    _, *size = config.get("input_size", (None, height, width))
    classes = imagenet_classes() if weights.num_classes == _IMAGENET else ()
    return Preprocessing(
        image_size=(size[0], size[1]),
        mean=mean,
        std=std,
        interpolation=config.get("interpolation", convention.interpolation),
        crop_share=config.get("crop_pct", convention.crop_share),
        class_names=tuple(weights.checkpoint.config.get("label_names", classes)),
    )


def _feature_maps(network: Layer, info: Info) -> pyramid:
    """Return the stem and the stages of a network as a pyramid."""
    children = dict(getattr(network, "children", ()))
    trunk = {each: layer for each, layer in children.items() if each.startswith(_TRUNK)}
    if not trunk or info.input_shape is None:
        raise ValueError(
            f"features_only needs a model with stages. Received: {info.name}, whose layers are "
            f"{', '.join(children)}"
        )
    body = serial(**trunk)
    jumps = {step.path[0]: jump_of(step) for step in body.walk(info.input_shape)}
    jumps.pop("normalize", None)
    # Later children of the same jump replace earlier ones.
    last = {jump: name for name, jump in jumps.items()}
    return pyramid(body, tuple(last.values()))
