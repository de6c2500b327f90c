"""Receptive fields of the operations in a program."""

from collections.abc import Sequence
from typing import Any

from jaxcnn.shapes.receptive import (
    Fields,
    ReceptiveField,
    chain_fields,
    combine_fields,
    receptive_field,
)


def fields_after(equation: Any, given: Sequence[Fields]) -> tuple[Fields, bool]:
    """Return the receptive field of an operation's result, and whether it moves a window.

    Arrays are ``(batch, *spatial, channels)``. Operations that keep the spatial axes compute each
    position by itself; of others that are not windows the field is not known.

    Args:
      equation: An equation of a jaxpr.
      given: The receptive field of each of its inputs in the input of the model.
    """
    name, parameters = equation.primitive.name, equation.params
    if name == "conv_general_dilated":
        if any(d != 1 for d in parameters["lhs_dilation"]):
            return None, False
        kernel = equation.invars[1].aval.shape
        window = [kernel[axis] for axis in parameters["dimension_numbers"].rhs_spec[2:]]
        own = _fields(window, parameters["window_strides"], parameters)
        return chain_fields(given[0], own), True
    if name.startswith("reduce_window"):
        own = _fields(
            parameters["window_dimensions"][1:-1], parameters["window_strides"][1:-1], parameters
        )
        return chain_fields(given[0], own[-len(parameters["window_dimensions"][1:-1]) :]), True
    (result, *_) = equation.outvars
    sizes = result.aval.shape[1:-1]
    kept = [
        fields
        for fields, variable in zip(given, equation.invars, strict=True)
        if fields is not None and variable.aval.shape[1:-1] == sizes
    ]
    if name == "pad":
        low = [before for before, _, _ in parameters["padding_config"][1:-1]]
        return chain_fields(given[0], tuple(ReceptiveField(1, 1, -n) for n in low)), False
    if name in ("dot_general", "sort", "cumsum") or not kept:
        return None, False
    return combine_fields(kept), False


def _fields(
    window: Sequence[int], strides: Sequence[int], parameters: Any
) -> tuple[ReceptiveField, ...]:
    dilation = parameters.get("rhs_dilation") or parameters["window_dilation"][1:-1]
    padding = parameters["padding"]
    padding = padding[1:-1] if len(padding) > len(window) else padding
    columns = zip(window, strides, padding, dilation, strict=True)
    return tuple(receptive_field([column]) for column in columns)
