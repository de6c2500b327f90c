"""How libraries for PyTorch name the arrays of each family of networks, and what they expect."""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from jaxcnn.layers import Preprocessing

Rules: TypeAlias = Mapping[str, str]

# Mean and standard deviation of the pixels, from 0 to 1: of ImageNet, of Kinetics, and of pixels
# that become −1 to 1.
IMAGENET = (Preprocessing.mean, Preprocessing.std)
KINETICS = ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))
SYMMETRIC = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# (x − 127) / 128 and (x − 127.5) / 128 of pixels up to 255.
LITE = ((127 / 255,) * 3, (128 / 255,) * 3)
FACES = ((127.5 / 255,) * 3, (128 / 255,) * 3)


@dataclass(frozen=True, kw_only=True)
class Convention:
    """The names of a family's arrays in one library.

    Attributes:
      libraries: The libraries that name the arrays so.
      names: Rules of :func:`jaxcnn.interchange.names.translate`, or a function from the names here
        to rules. ``:linear`` after a path there says that a kernel is stored as a matrix,
        ``:conv`` that a matrix is stored as a kernel of size 1.
      ignored: Beginnings of names there that the network here does not have, such as those of a
        second head for training.
      options: Options of the model that these weights need.
      mean_std: Mean and standard deviation of the pixels, from 0 to 1.
      interpolation, crop_share: As in :class:`jaxcnn.Preprocessing`.
    """

    libraries: tuple[str, ...]
    names: Rules | Callable[[Iterable[str]], Rules]
    ignored: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    mean_std: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    interpolation: str = Preprocessing.interpolation
    crop_share: float = Preprocessing.crop_share

    def rules(self, names: Iterable[str]) -> Rules:
        """Return the rules for a network with arrays of these names."""
        return self.names(names) if callable(self.names) else self.names


_RESIDUAL = "stage_{i}.residual_{j}."
_RESNET = {
    "stem.conv_1": "conv1",
    "stem.batch_norm_1": "bn1",
    _RESIDUAL + "body.conv_{k}": "layer{i}.{j-1}.conv{k}",
    _RESIDUAL + "body.batch_norm_{k}": "layer{i}.{j-1}.bn{k}",
    _RESIDUAL + "shortcut.conv_1": "layer{i}.{j-1}.downsample.0",
    _RESIDUAL + "shortcut.batch_norm_1": "layer{i}.{j-1}.downsample.1",
    "head": "fc",
}
_R3D = {
    **{ours: theirs for ours, theirs in _RESNET.items() if not ours.startswith("stem")},
    "stem.cube.conv_1": "stem.0",
    "stem.cube.batch_norm_1": "stem.1",
    _RESIDUAL + "body.conv_{k}": "layer{i}.{j-1}.conv{k}.0",
    _RESIDUAL + "body.batch_norm_{k}": "layer{i}.{j-1}.conv{k}.1",
}
_SEPARATE = {
    **{ours: theirs for ours, theirs in _R3D.items() if "body" not in ours and "stem" not in ours},
    "stem.flat.conv_1": "stem.0",
    "stem.flat.batch_norm_1": "stem.1",
    "stem.time.conv_1": "stem.3",
    "stem.time.batch_norm_1": "stem.4",
}
for _half in (1, 2):
    _theirs = f"layer{{i}}.{{j-1}}.conv{_half}."
    for _place, _kind, _layer in ((1, "conv", "0.0"), (1, "batch_norm", "0.1"), (2, "conv", "0.3")):
        _number = 2 * _half - 2 + _place
        _SEPARATE[f"{_RESIDUAL}body.{_kind}_{_number}"] = _theirs + _layer
    _SEPARATE[f"{_RESIDUAL}body.batch_norm_{2 * _half}"] = _theirs + "1"
_INVERTED = "stage_{i}.block_{j}.[body.]"
_EFFICIENTNET = {
    "stem.conv_1": "conv_stem",
    "stem.batch_norm_1": "bn1",
    _INVERTED + "conv_1": "blocks.{i-1}.{j-1}.conv_pw",
    _INVERTED + "conv_2": "blocks.{i-1}.{j-1}.conv_pwl",
    _INVERTED + "depthwise_1": "blocks.{i-1}.{j-1}.conv_dw",
    _INVERTED + "batch_norm_{k}": "blocks.{i-1}.{j-1}.bn{k}",
    _INVERTED + "squeeze_excite_1.weights.conv_1": "blocks.{i-1}.{j-1}.se.conv_reduce",
    _INVERTED + "squeeze_excite_1.weights.conv_2": "blocks.{i-1}.{j-1}.se.conv_expand",
    "last.conv_1": "conv_head",
    "last.batch_norm_1": "bn2",
    "head": "classifier",
}
_MOBILENET = {
    "stage_{i}.conv_1": "blocks.{i-1}.0.conv",
    "stage_{i}.batch_norm_1": "blocks.{i-1}.0.bn1",
    "hidden": "conv_head:conv",
    **_EFFICIENTNET,
}
# The first stage does not widen.
_FIRST = "stage_1.block_{j}.[body.]"
_EFFICIENTNET_PYTORCH = {
    "stem.conv_1": "_conv_stem",
    "stem.batch_norm_1": "_bn0",
    _INVERTED + "depthwise_1": "_blocks.{n}._depthwise_conv",
    _INVERTED + "squeeze_excite_1.weights.conv_1": "_blocks.{n}._se_reduce",
    _INVERTED + "squeeze_excite_1.weights.conv_2": "_blocks.{n}._se_expand",
    _INVERTED + "conv_2": "_blocks.{n}._project_conv",
    _FIRST + "conv_1": "_blocks.{j-1}._project_conv",
    _FIRST + "batch_norm_{k}": "_blocks.{j-1}._bn{k}",
    _INVERTED + "conv_1": "_blocks.{n}._expand_conv",
    _INVERTED + "batch_norm_{k}": "_blocks.{n}._bn{k-1}",
    "last.conv_1": "_conv_head",
    "last.batch_norm_1": "_bn1",
    "head": "_fc",
}
_DENSE = "stage_{i}.dense_{j}.new."
_DENSENET = {
    "stem.conv_1": "features.conv0",
    "stem.batch_norm_1": "features.norm0",
    _DENSE + "conv_{k}": "features.denseblock{i}.denselayer{j}.conv{k}",
    _DENSE + "batch_norm_{k}": "features.denseblock{i}.denselayer{j}.norm{k}",
    "stage_{i}.transition.batch_norm_1": "features.transition{i-1}.norm",
    "stage_{i}.transition.conv_1": "features.transition{i-1}.conv",
    "stage_norm.batch_norm_1": "features.norm5",
    "head": "classifier",
}
_NEXT = "stage_{i}.block_{j}.body."
_CONVNEXT = {
    "stem.conv_1": "stem.0",
    "stem.layer_norm_1": "stem.1",
    "stage_{i}.downsample.layer_norm_1": "stages.{i-1}.downsample.0",
    "stage_{i}.downsample.conv_1": "stages.{i-1}.downsample.1",
    _NEXT + "depthwise_1": "stages.{i-1}.blocks.{j-1}.conv_dw",
    _NEXT + "layer_norm_1": "stages.{i-1}.blocks.{j-1}.norm",
    _NEXT + "conv_{k}": "stages.{i-1}.blocks.{j-1}.mlp.fc{k}:linear",
    _NEXT + "layer_scale_1.scale": "stages.{i-1}.blocks.{j-1}.gamma",
    "norm": "head.norm",
    "head": "head.fc",
}
_REGNET = {
    "stem.conv_1": "stem.conv",
    "stem.batch_norm_1": "stem.bn",
    _RESIDUAL + "body.conv_{k}": "s{i}.b{j}.conv{k}.conv",
    _RESIDUAL + "body.batch_norm_{k}": "s{i}.b{j}.conv{k}.bn",
    _RESIDUAL + "body.squeeze_excite_1.weights.conv_{k}": "s{i}.b{j}.se.fc{k}",
    _RESIDUAL + "shortcut.conv_1": "s{i}.b{j}.downsample.conv",
    _RESIDUAL + "shortcut.batch_norm_1": "s{i}.b{j}.downsample.bn",
    "head": "head.fc",
}
_UNIT = "stage_{i}.parallel_{j}."
_SHUFFLENET = {
    "stem.conv_1": "conv1.0",
    "stem.batch_norm_1": "conv1.1",
    _UNIT + "branch1.depthwise_1": "stage{i+1}.{j-1}.branch1.0",
    _UNIT + "branch1.batch_norm_1": "stage{i+1}.{j-1}.branch1.1",
    _UNIT + "branch1.conv_1": "stage{i+1}.{j-1}.branch1.2",
    _UNIT + "branch1.batch_norm_2": "stage{i+1}.{j-1}.branch1.3",
    _UNIT + "branch2.conv_1": "stage{i+1}.{j-1}.branch2.0",
    _UNIT + "branch2.batch_norm_1": "stage{i+1}.{j-1}.branch2.1",
    _UNIT + "branch2.depthwise_1": "stage{i+1}.{j-1}.branch2.3",
    _UNIT + "branch2.batch_norm_2": "stage{i+1}.{j-1}.branch2.4",
    _UNIT + "branch2.conv_2": "stage{i+1}.{j-1}.branch2.5",
    _UNIT + "branch2.batch_norm_3": "stage{i+1}.{j-1}.branch2.6",
    "last.conv_1": "conv5.0",
    "last.batch_norm_1": "conv5.1",
    "head": "fc",
}
_SQUEEZENET = {"stem.conv_1": "features.0", "head": "classifier.1"}
for _stage, _positions in enumerate(((3, 4), (6, 7), (9, 10, 11, 12)), 1):
    for _fire, _position in enumerate(_positions, 1):
        _ours, _theirs = f"stage_{_stage}.serial_{_fire}.", f"features.{_position}."
        _SQUEEZENET[_ours + "conv_1"] = _theirs + "squeeze"
        _SQUEEZENET[_ours + "parallel_1.serial_1.conv_1"] = _theirs + "expand1x1"
        _SQUEEZENET[_ours + "parallel_1.serial_2.conv_1"] = _theirs + "expand3x3"
_ALEXNET = {
    "stem.conv_1": "features.0",
    "stage_1.conv_1": "features.3",
    "stage_2.conv_1": "features.6",
    "stage_2.conv_2": "features.8",
    "stage_2.conv_3": "features.10",
    "hidden.conv_1": "classifier.1:linear",
    "hidden.conv_2": "classifier.4:linear",
    "head": "classifier.6",
}
_INCEPTION = {
    "stem.a1.conv_1": "Conv2d_1a_3x3.conv",
    "stem.a1.batch_norm_1": "Conv2d_1a_3x3.bn",
    "stem.a2.conv_1": "Conv2d_2a_3x3.conv",
    "stem.a2.batch_norm_1": "Conv2d_2a_3x3.bn",
    "stem.b2.conv_1": "Conv2d_2b_3x3.conv",
    "stem.b2.batch_norm_1": "Conv2d_2b_3x3.bn",
    "stage_4.b3.conv_1": "Conv2d_3b_1x1.conv",
    "stage_4.b3.batch_norm_1": "Conv2d_3b_1x1.bn",
    "stage_4.a4.conv_1": "Conv2d_4a_3x3.conv",
    "stage_4.a4.batch_norm_1": "Conv2d_4a_3x3.bn",
    "stage_{i}.{x}.{path}.{branch}.conv_1": "Mixed_{i}{x}.{branch}.conv",
    "stage_{i}.{x}.{path}.{branch}.batch_norm_1": "Mixed_{i}{x}.{branch}.bn",
    "head": "fc",
}
_MTCNN = {
    "conv_{k}": "conv{k}",
    "prelu_{k}": "prelu{k}",
    "dense_{k}": "dense{k}",
    "heads_4.face.conv_1": "conv4_1",
    "heads_4.offsets": "conv4_2",
    "heads_{k}.face.dense_1": "dense{k}_1",
    "heads_{k}.offsets": "dense{k}_2",
    "heads_{k}.landmarks": "dense{k}_3",
}


def _vgg(names: Iterable[str]) -> dict[str, str]:
    """Return the rules of the convolutions of one VGG: its layers are numbered without a break."""
    layers = {name.rpartition(".")[0] for name in names}
    has_norm = "stage_1.batch_norm_1" in layers
    rules, position = {}, 0
    for stage in range(1, 6):
        depth = sum(layer.startswith(f"stage_{stage}.conv_") for layer in layers)
        for index in range(1, depth + 1):
            rules[f"stage_{stage}.conv_{index}"] = f"features.{position}"
            rules[f"stage_{stage}.batch_norm_{index}"] = f"features.{position + 1}"
            position += 3 if has_norm else 2
        position += 1  # the pool
    return rules


def _vgg_timm(names: Iterable[str]) -> dict[str, str]:
    return {**_vgg(names), "hidden.conv_{k}": "pre_logits.fc{k}", "head": "head.fc"}


def _vgg_torchvision(names: Iterable[str]) -> dict[str, str]:
    hidden = {"hidden.conv_1": "classifier.0:linear", "hidden.conv_2": "classifier.3:linear"}
    return {**_vgg(names), **hidden, "head": "classifier.6"}


def _video(names: Iterable[str]) -> Rules:
    return _SEPARATE if any(name.startswith("stem.time.") for name in names) else _R3D


_timm = functools.partial(Convention, libraries=("timm",))
_torchvision = functools.partial(Convention, libraries=("torchvision",), interpolation="bilinear")
_both = functools.partial(Convention, libraries=("timm", "torchvision"))

# By the file of the family in `models`.
CONVENTIONS: dict[str, tuple[Convention, ...]] = {
    "alexnet": (_torchvision(names=_ALEXNET),),
    "convnext": (_timm(names=_CONVNEXT),),
    "densenet": (_both(names=_DENSENET),),
    "efficientnet": (
        _timm(names=_EFFICIENTNET),
        Convention(
            libraries=("efficientnet_pytorch",),
            names=_EFFICIENTNET_PYTORCH,
            options={"same": True},
            mean_std=LITE,
        ),
    ),
    "inception": (_both(names=_INCEPTION, ignored=("AuxLogits.",), mean_std=SYMMETRIC),),
    "mobilenet": (_timm(names=_MOBILENET),),
    "mtcnn": (
        Convention(
            libraries=("facenet_pytorch",),
            names=_MTCNN,
            mean_std=FACES,
            interpolation="bilinear",
            crop_share=1.0,
        ),
    ),
    "regnet": (_timm(names=_REGNET),),
    "resnet": (_both(names=_RESNET),),
    "shufflenet": (_torchvision(names=_SHUFFLENET),),
    "squeezenet": (_torchvision(names=_SQUEEZENET),),
    "video": (_torchvision(names=_video, mean_std=KINETICS, crop_share=1.0),),
    "vgg": (_timm(names=_vgg_timm, interpolation="bilinear"), _torchvision(names=_vgg_torchvision)),
}
