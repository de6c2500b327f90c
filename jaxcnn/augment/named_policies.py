"""Augmentation policies: augmentations for a kind of data set, by name."""

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

from jaxcnn import arguments
from jaxcnn.augment.affine import random_affine
from jaxcnn.augment.color import color_jitter
from jaxcnn.augment.composition import Augment, check_augmentation, compose
from jaxcnn.augment.erasing import cutout
from jaxcnn.augment.flips import alternating_flip, random_flip
from jaxcnn.augment.geometry import (
    random_crop,
    random_resized_crop,
    random_shift,
)
from jaxcnn.augment.random_policy import rand_augment
from jaxcnn.augment.sequences import time_mask, time_shift

# An augmentation, the name of a policy, or several, which are applied in sequence.
GivenAugment: TypeAlias = Augment | str | Sequence[Augment | str]

_DIGITS = partial(random_shift, pixels=2)
_POLICIES: dict[str, Augment] = {
    "none": compose(),
    # Mirrored digits are other characters.
    "digits": _DIGITS,
    "mnist": _DIGITS,
    # With rotation, scaling and shear, for long trainings.
    "digits_long": partial(random_affine, rotation=10, translation=0.08, scale=(0.9, 1.1), shear=5),
    "fashion_mnist": compose(random_flip, _DIGITS),
    "svhn": partial(random_crop, padding=4, mode="replicate"),
    # The crop and flip of He et al. (2015), and DeVries and Taylor's square (2017).
    "cifar": compose(
        random_flip, partial(random_crop, padding=4, mode="reflect"), partial(cutout, size=8)
    ),
    # Jordan's airbench94 (2024), for short trainings.
    "airbench": compose(alternating_flip, partial(random_crop, padding=2, mode="reflect")),
    # RandAugment and cutout, for long trainings.
    "cifar_long": compose(
        random_flip,
        partial(random_crop, padding=4, mode="reflect"),
        partial(rand_augment, num_ops=2, magnitude=5),
        partial(cutout, size=16),
    ),
    # Milder than that of ImageNet, whose smallest part of 8 % needs a million images.
    "pictures": compose(
        partial(random_resized_crop, scale=(0.5, 1.0)),
        random_flip,
        partial(color_jitter, brightness=0.2, contrast=0.2, saturation=0.2),
    ),
    # For detection: larger and smaller objects, of which few leave the picture.
    "boxes": compose(
        partial(random_affine, translation=0.1, scale=(0.7, 1.3)),
        random_flip,
        partial(color_jitter, brightness=0.2, contrast=0.2, saturation=0.2),
    ),
    # Of series and sounds: at another time, and with a gap.
    "signals": compose(partial(time_shift, steps=4, mode="replicate"), partial(time_mask, width=4)),
    "imagenet": compose(
        random_resized_crop,
        random_flip,
        partial(color_jitter, brightness=0.4, contrast=0.4, saturation=0.4),
    ),
}
# The policy of each public data set whose name is not that of a policy.
_POLICY_OF_DATA_SET = {
    "kmnist": "mnist",
    "emnist": "mnist",
    "svhn_cropped": "svhn",
    "cifar10": "cifar",
    "cifar100": "cifar",
    "imagenet2012": "imagenet",
}


def resolve_augment(augment: GivenAugment) -> Augment:
    """Return the augmentation that is given as a function, a name, or a list of these.

    Args:
      augment: As for :func:`jaxcnn.fit`; those of a list are applied in sequence.

    Raises:
      TypeError: It is none of these.
      ValueError: There is no augmentation policy of that name.
    """
    if isinstance(augment, str):
        return named(augment)
    if arguments.is_sequence(augment):
        return compose(*map(resolve_augment, augment))
    return check_augmentation("augment", augment)


def named(name: str) -> Augment:
    """Return the augmentation policy of this name, as ``fit(..., augment=name)`` uses it.

    >>> import jax
    >>> augment = named("cifar")
    >>> augment(jax.random.key(0), jax.numpy.ones((8, 32, 32, 3))).shape
    (8, 32, 32, 3)

    Args:
      name: One of :func:`names`: ``"digits"`` and ``"mnist"`` shift by up to 2 pixels;
        ``"digits_long"`` shifts, rotates, scales and shears; ``"fashion_mnist"`` shifts and
        flips; ``"svhn"`` crops; ``"cifar"`` flips, crops and cuts out; ``"cifar_long"`` adds
        RandAugment; ``"airbench"`` flips in alternate epochs and crops; ``"pictures"`` and,
        more strongly, ``"imagenet"`` crop, resize, flip and change colors; ``"boxes"`` scales,
        moves, flips and changes colors; ``"signals"`` shifts series and
        masks a part; ``"none"``
        changes nothing. The name of a data set, such as ``"cifar10"``, stands for its policy, see
        :func:`default_name`.

    Raises:
      TypeError: `name` is not a string.
      ValueError: There is no such augmentation policy.
    """
    if isinstance(name, str):
        name = _POLICY_OF_DATA_SET.get(_without_config(name), name)
    arguments.check_known("augmentation policy", name, _POLICIES)
    return _POLICIES[name]


def default_name(source: str) -> str:
    """Return the name of the augmentation policy for a data set.

    >>> default_name("cifar10"), default_name("emnist/letters"), default_name("pets.npz")
    ('cifar', 'mnist', 'none')

    Args:
      source: Name of a data set. For any other source, such as a folder of pictures, the policy is
        ``"none"``, because it is unknown which changes keep the label.
    """
    name = _without_config(source)
    name = _POLICY_OF_DATA_SET.get(name, name)
    return name if name in _POLICIES else "none"


def names() -> list[str]:
    """Return the names of the augmentation policies, sorted.

    >>> "cifar" in names()
    True
    """
    return sorted(_POLICIES)


def _without_config(source: str) -> str:
    """Return the ``name`` of ``name/config:version``."""
    return source.partition("/")[0].partition(":")[0]
