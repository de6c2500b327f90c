"""Augmentations that suit a kind of data set, by name."""

from functools import partial

from jaxcnn import arguments
from jaxcnn.augment.color import color_jitter
from jaxcnn.augment.composition import Augment, compose
from jaxcnn.augment.erasing import cutout
from jaxcnn.augment.flips import alternating_flip, random_flip
from jaxcnn.augment.geometry import (
    random_affine,
    random_crop,
    random_resized_crop,
    random_shift,
)
from jaxcnn.augment.random_policy import rand_augment

_DIGITS = partial(random_shift, pixels=2)
_RECIPES: dict[str, Augment] = {
    "none": compose(),
    # What is read must not be mirrored.
    "digits": _DIGITS,
    "mnist": _DIGITS,
    # Also turned, enlarged and slanted, for long trainings.
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
    "imagenet": compose(
        random_resized_crop,
        random_flip,
        partial(color_jitter, brightness=0.4, contrast=0.4, saturation=0.4),
    ),
}
# Which of them suits a public data set.
_OF_SETS = {
    "kmnist": "mnist",
    "emnist": "mnist",
    "svhn_cropped": "svhn",
    "cifar10": "cifar",
    "cifar100": "cifar",
    "imagenet2012": "imagenet",
}


def named(name: str) -> Augment:
    """Returns the augmentation of this name, as ``fit(..., augment=name)`` uses it.

    >>> import jax
    >>> augment = named("cifar")
    >>> augment(jax.random.key(0), jax.numpy.ones((8, 32, 32, 3))).shape
    (8, 32, 32, 3)

    Args:
      name: ``"digits"`` and ``"mnist"`` shift by 2 pixels, ``"digits_long"`` also turns, enlarges
        and slants; ``"fashion_mnist"`` shifts and flips;
        ``"svhn"`` crops; ``"cifar"`` flips, crops and cuts out, ``"cifar_long"`` applies
        RandAugment as well, ``"airbench"`` flips in turns and crops; ``"imagenet"`` crops and
        resizes, flips and changes colors; ``"none"`` changes nothing. The name of a data set,
        such as ``"cifar10"``, gives what :func:`default_name` says.

    Raises:
      ValueError: there is no such recipe.
    """
    name = _OF_SETS.get(_without_config(name), name)
    arguments.check_known("recipe", name, _RECIPES)
    return _RECIPES[name]


def default_name(source: str) -> str:
    """Returns the name of the recipe that suits a data set.

    >>> default_name("cifar10"), default_name("emnist/letters"), default_name("pets.npz")
    ('cifar', 'mnist', 'none')

    Args:
      source: The name of a data set; of any other, such as a folder of pictures, nobody knows
        whether it may be mirrored or turned, and ``"none"`` suits it.
    """
    name = _without_config(source)
    name = _OF_SETS.get(name, name)
    return name if name in _RECIPES else "none"


def names() -> list[str]:
    """Returns the names of the recipes.

    >>> "cifar" in names()
    True
    """
    return sorted(_RECIPES)


def _without_config(source: str) -> str:
    """Returns the ``name`` of ``name/config:version``."""
    return source.partition("/")[0].partition(":")[0]
