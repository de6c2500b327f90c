"""The number of multiply-adds of an operation in a program."""

import math
from typing import Any


def multiply_adds_of(equation: Any) -> int:
    """Return the multiplications, each with its addition, of one operation and those within it.

    Counted are convolutions and products of matrices; a loop of known length counts each pass, and
    of several branches the largest.

    Args:
      equation: An equation of a jaxpr.
    """
    name, parameters = equation.primitive.name, equation.params
    if name == "dot_general":
        ((contracted, _), _) = parameters["dimension_numbers"]
        left = equation.invars[0].aval.shape
        return math.prod(equation.outvars[0].aval.shape) * math.prod(left[a] for a in contracted)
    if name == "conv_general_dilated":
        return _of_convolution(equation)
    counts = [sum(map(multiply_adds_of, inner.eqns)) for inner in inner_programs(equation)]
    return max(counts, default=0) * parameters.get("length", 1)


def inner_programs(equation: Any) -> list[Any]:
    """Return the jaxprs within an equation, such as those of a call, a loop, or branches."""
    found = []
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr", "body_jaxpr"):
        if name in equation.params:
            found.append(equation.params[name])
    found += equation.params.get("branches", ())
    return [getattr(inner, "jaxpr", inner) for inner in found]


def _of_convolution(equation: Any) -> int:
    """Return the products of a kernel with its inputs; those with inserted zeros do not count."""
    x, kernel = (variable.aval.shape for variable in equation.invars)
    numbers = equation.params["dimension_numbers"]
    _, in_features, *window = (kernel[axis] for axis in numbers.rhs_spec)
    each = math.prod(window) * in_features
    outputs = math.prod(equation.outvars[0].aval.shape)
    if math.prod(equation.params["lhs_dilation"]) == 1:
        return outputs * each
    batch, _, *sizes = (x[axis] for axis in numbers.lhs_spec)
    features = kernel[numbers.rhs_spec[0]]
    return batch * math.prod(sizes) * features * each
