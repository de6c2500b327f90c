"""Operators for the primitive that changes the size of one axis."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxcnn.interchange.held_values import Layouts, Value
from jaxcnn.interchange.program_translation import Rule
from jaxcnn.ops.primitives.interpolation import BICUBIC, Interpolation, weights_of


def _interpolate(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    (x,), how = inputs, params["params"]
    if x.name is None:
        return NotImplemented
    x = layouts.whole(x)
    assert x.name is not None
    at, add = x.axes.index(how.axis), layouts.graph.add
    options = _resize_options(how)
    weights = weights_of(how)
    if options is not None and (options["mode"] == "nearest" or (x.rank == 4 and at >= 2)):
        size = np.array([how.size], np.int64)
        name = add("Resize", x.name, "", "", size, axes=[at], **options)
    elif ((weights == 1).sum(0) == 1).all() and ((weights == 0) | (weights == 1)).all():
        name = add("Gather", x.name, weights.argmax(0).astype(np.int64), axis=at)
    else:
        letters = "abcdefgh"[: x.rank]
        made = letters.replace(letters[at], "z")
        weights = weights.astype(x.dtype)
        name = add("Einsum", x.name, weights, equation=f"{letters},{letters[at]}z->{made}")
    return layouts.made(name, x.axes, result.shape, x.dtype)


def _resize_options(how: Interpolation) -> dict[str, Any] | None:
    """Return the attributes of a Resize that computes the same, if it can."""
    own_scale = how.scale is not None and how.scale != how.size / how.length
    if how.is_transposed or own_scale or (how.antialias and how.size < how.length):
        return None
    if how.method == "nearest_floor" and how.coordinates == "asymmetric":
        return {
            "mode": "nearest",
            "nearest_mode": "floor",
            "coordinate_transformation_mode": "asymmetric",
        }
    if how.coordinates != "half_pixel":
        return None
    if how.method == "nearest":
        return {
            "mode": "nearest",
            "nearest_mode": "round_prefer_ceil",
            "coordinate_transformation_mode": "half_pixel",
        }
    if how.method == "linear":
        return {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if how.method == "bicubic":
        return {
            "mode": "cubic",
            "cubic_coeff_a": BICUBIC,
            "coordinate_transformation_mode": "half_pixel",
        }
    return None


RULES: dict[str, Rule] = {"jaxcnn_interpolate": _interpolate}
