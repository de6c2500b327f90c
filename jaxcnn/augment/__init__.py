"""Augmentations: random changes of images in the jitted step, ``(key, images) -> images``."""

from jaxcnn.augment.affine import random_affine
from jaxcnn.augment.color import color_jitter, gaussian_noise
from jaxcnn.augment.composition import compose
from jaxcnn.augment.erasing import cutout, random_erasing
from jaxcnn.augment.flips import alternating_flip, random_flip
from jaxcnn.augment.geometry import (
    random_crop,
    random_resized_crop,
    random_shift,
)
from jaxcnn.augment.mixing import cutmix, mixup
from jaxcnn.augment.mosaics import mosaic
from jaxcnn.augment.named_policies import default_name, named, names
from jaxcnn.augment.positions import in_place
from jaxcnn.augment.random_policy import rand_augment
from jaxcnn.augment.sequences import channel_mask, time_mask, time_shift
from jaxcnn.augment.video import random_clip

__all__ = [
    "alternating_flip",
    "channel_mask",
    "color_jitter",
    "compose",
    "cutmix",
    "cutout",
    "default_name",
    "gaussian_noise",
    "in_place",
    "mixup",
    "mosaic",
    "named",
    "names",
    "rand_augment",
    "random_affine",
    "random_clip",
    "random_crop",
    "random_erasing",
    "random_flip",
    "random_resized_crop",
    "random_shift",
    "time_mask",
    "time_shift",
]
