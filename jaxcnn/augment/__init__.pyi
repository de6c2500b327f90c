# The public names, by the file that holds them; each is imported at its first use.

from .affine import random_affine
from .color import color_jitter, gaussian_noise
from .composition import compose
from .erasing import cutout, random_erasing
from .flips import alternating_flip, random_flip
from .geometry import (
    random_crop,
    random_resized_crop,
    random_shift,
)
from .mixing import cutmix, mixup
from .mosaics import mosaic
from .named_policies import default_name, named, names
from .positions import in_place
from .random_policy import rand_augment
from .sequences import channel_mask, time_mask, time_shift
from .video import random_clip

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
