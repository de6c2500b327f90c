"""Labelled images: where they come from, and how they travel to the training step."""

from jaxcnn.data.augment import (
    alternating_flip,
    channel_mask,
    colour_jitter,
    compose,
    cutmix,
    cutout,
    default_recipe,
    gaussian_noise,
    mixup,
    rand_augment,
    random_affine,
    random_crop,
    random_erasing,
    random_flip,
    random_resized_crop,
    random_shift,
    recipe,
    recipe_names,
    time_mask,
    time_shift,
)
from jaxcnn.data.batches import (
    Batch,
    batches,
    prefetch,
    steps_per_epoch,
)
from jaxcnn.data.classes import (
    match_classes,
)
from jaxcnn.data.dataset import (
    Dataset,
    one_hot,
    storage_bytes,
)
from jaxcnn.data.description import (
    Description,
    describe,
)
from jaxcnn.data.preparation import (
    available,
    prepare,
)
from jaxcnn.data.sampling import (
    balanced_order,
    class_weights,
    k_fold,
    stratified_split,
)
from jaxcnn.data.sources import (
    load,
)

__all__ = [
    "Batch",
    "Dataset",
    "Description",
    "alternating_flip",
    "available",
    "balanced_order",
    "batches",
    "channel_mask",
    "class_weights",
    "colour_jitter",
    "compose",
    "cutmix",
    "cutout",
    "default_recipe",
    "describe",
    "gaussian_noise",
    "k_fold",
    "load",
    "match_classes",
    "mixup",
    "one_hot",
    "prefetch",
    "prepare",
    "rand_augment",
    "random_affine",
    "random_crop",
    "random_erasing",
    "random_flip",
    "random_resized_crop",
    "random_shift",
    "recipe",
    "recipe_names",
    "steps_per_epoch",
    "storage_bytes",
    "stratified_split",
    "time_mask",
    "time_shift",
]
