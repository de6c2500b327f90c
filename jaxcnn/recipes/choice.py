"""The recipe that suits data, for a user who names none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxcnn import augment as augmentations
from jaxcnn import data as datasets
from jaxcnn.data.description import Description, typical_shape

# The recipes of data that is not pictures with a class each, and what it is.
_FORMS = {
    "segmentation": "pictures with a class at each position",
    "detection": "pictures with boxes",
    "signals": "series and sounds",
    "video": "clips",
}
# Photographs of more than this many pixels on their shorter side are reduced to it.
_LARGEST = 128
# ResNet-18 with the stem for large images divides the size by 32; up to here it has the other stem.
_LARGEST_OF_SMALL = 48
# Gray images of at most this many pixels on their longer side are characters, as those of MNIST.
_LARGEST_CHARACTER = 40


@dataclass(frozen=True)
class Choice:
    """A recipe for data.

    Attributes:
      recipe: Its name.
      options: Options that differ from it, by dotted name.
      reason: A line that says what was chosen, and why.
    """

    recipe: str
    options: Mapping[str, Any]
    reason: str


def choose(
    source: str | Path,
    *,
    image_size: Sequence[int] | None = None,
    data_dir: str | Path | None = None,
    frames: int | None = None,
) -> Choice:
    """Return the recipe that suits a data set, from the form of its images.

    >>> choose("digits").reason
    'Recipe digits, for gray images of 8×8'

    Pictures with a class at each position are for ``segmentation``, those with boxes for
    ``detection``; series and sounds are ``signals``, clips are ``video``. Of the others small gray
    images are characters: ``digits``; and the rest are ``pictures``: a ResNet-18, with the stem for
    small images where they are small. Gray ones are not augmented, because it is unknown whether a
    mirrored one keeps its label.

    Args:
      source: A name or a path, as for :func:`jaxcnn.data.load`.
      image_size: ``(H, W)`` that the user asks for; ``None`` means the one that suits.
      data_dir: As for :func:`jaxcnn.data.load`.
      frames: As for :func:`jaxcnn.data.load`.

    Raises:
      ValueError: As :func:`jaxcnn.data.describe`, or no picture can be read.
    """
    known = datasets.describe(source, data_dir=data_dir, frames=frames)
    if recipe := _recipe_of_form(known):
        given = {} if image_size is None else {"data.image_size": tuple(image_size)}
        what = _FORMS[recipe]
        reason = f"Recipe {recipe}, for {what}. `jaxcnn recipes {recipe}` prints it"
        return Choice(recipe, given, reason)
    shape = known.image_shape or typical_shape(source, data_dir=data_dir)
    *sides, channels = shape
    kind = "gray" if channels == 1 else "color"
    sizes = "×".join(map(str, sides))
    images = f"{kind} images of {sizes}" if known.image_shape else f"{kind} pictures, about {sizes}"
    if channels == 1 and max(sides) <= _LARGEST_CHARACTER:
        return Choice("digits", {}, f"Recipe digits, for {images}")
    size = tuple(image_size or ([min(*sides, _LARGEST)] * 2 if max(sides) > _LARGEST else sides))
    small = max(size) <= _LARGEST_OF_SMALL
    policy = augmentations.default_name(str(source))
    if policy == "none":
        policy = "none" if channels == 1 else "pictures"
    options: dict[str, Any] = {
        "model.name": "resnet18_small" if small else "resnet18",
        "data.image_size": size,
        "data.augment": policy,
    }
    if known.label_shape:  # numbers or several classes, which are not smoothed
        options["loss.label_smoothing"] = None
    reason = (
        f"Recipe pictures, for {images}: {options['model.name']} at {size[0]}×{size[1]}, "
        f"augmentation {policy}. `jaxcnn recipes pictures` prints it"
    )
    return Choice("pictures", options, reason)


def _recipe_of_form(known: Description) -> str | None:
    """Return the recipe of data that is not pictures with a label each."""
    if known.task in ("segment", "detect"):
        return "segmentation" if known.task == "segment" else "detection"
    if known.kind == "clips":
        return "video"
    axes = len(known.image_shape or ())
    return {2: "signals", 4: "video"}.get(axes)
