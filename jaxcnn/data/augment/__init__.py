"""Random changes of images on the device, inside the jitted step: ``(key, images) -> images``."""

from jaxcnn.data.augment.colour import colour_jitter, gaussian_noise
from jaxcnn.data.augment.composition import compose
from jaxcnn.data.augment.erasing import cutout, random_erasing
from jaxcnn.data.augment.flips import alternating_flip, random_flip
from jaxcnn.data.augment.geometry import (
    random_affine,
    random_crop,
    random_resized_crop,
    random_shift,
)
from jaxcnn.data.augment.mixing import cutmix, mixup
from jaxcnn.data.augment.policy import rand_augment
from jaxcnn.data.augment.recipes import default_recipe, recipe, recipe_names
from jaxcnn.data.augment.sequences import channel_mask, time_mask, time_shift

__all__ = [
    "alternating_flip",
    "channel_mask",
    "colour_jitter",
    "compose",
    "cutmix",
    "cutout",
    "default_recipe",
    "gaussian_noise",
    "mixup",
    "rand_augment",
    "random_affine",
    "random_crop",
    "random_erasing",
    "random_flip",
    "random_resized_crop",
    "random_shift",
    "recipe",
    "recipe_names",
    "time_mask",
    "time_shift",
]
