"""The names of ImageNet's classes."""

import functools
from importlib import resources


@functools.cache
def imagenet_classes() -> tuple[str, ...]:
    """Return the names of the 1,000 classes of ImageNet, in the order of its networks' outputs.

    They are of WordNet 3.0, whose license stands beside them.

    >>> imagenet_classes()[967]
    'espresso'
    """
    text = resources.files("jaxcnn.models").joinpath("imagenet_classes.txt").read_text("utf-8")
    return tuple(text.splitlines())
