"""How libraries for PyTorch name the arrays of each family of networks, and what they expect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The mean and standard deviation of the pixels of ImageNet, from 0 to 1.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Pixels from −1 to 1, as the networks of TensorFlow expect them.
SYMMETRIC = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, kw_only=True)
class Convention:
    """The names of a family's arrays in one library.

    Attributes:
      library: Name of the library.
      names: Rules of :func:`jaxcnn.interchange.names.translate`; ``:linear`` after a path says that
        a kernel of size 1 is stored there as a matrix.
      ignored: Beginnings of names there that the network here does not have, such as those of a
        second head for training.
      options: Options of the model that these weights need.
      mean_std: Mean and standard deviation of the pixels, from 0 to 1.
      interpolation, crop_share: As in :class:`jaxcnn.Preprocessing`.
    """

    library: str
    names: Mapping[str, str]
    ignored: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    mean_std: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    interpolation: str = "bicubic"
    crop_share: float = 0.875


_RESNET = {
    "stem.conv_1": "conv1",
    "stem.batch_norm_1": "bn1",
    "stage_{i}.residual_{j}.body.conv_{k}": "layer{i}.{j-1}.conv{k}",
    "stage_{i}.residual_{j}.body.batch_norm_{k}": "layer{i}.{j-1}.bn{k}",
    "stage_{i}.residual_{j}.shortcut.conv_1": "layer{i}.{j-1}.downsample.0",
    "stage_{i}.residual_{j}.shortcut.batch_norm_1": "layer{i}.{j-1}.downsample.1",
    "head": "fc",
}

# By the file of the family in `models`.
CONVENTIONS: dict[str, tuple[Convention, ...]] = {
    "resnet": (Convention(library="timm", names=_RESNET),),
}
