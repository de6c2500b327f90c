"""Operators for primitives that treat every element the same."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcnn.interchange.held_values import Layouts, Value
from jaxcnn.interchange.operator_graph import UntranslatableError
from jaxcnn.interchange.program_translation import Rule

_OPERATORS = {
    "add": "Add",
    "add_any": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "max": "Max",
    "min": "Min",
    "pow": "Pow",
    "neg": "Neg",
    "exp": "Exp",
    "log": "Log",
    "tanh": "Tanh",
    "logistic": "Sigmoid",
    "erf": "Erf",
    "sqrt": "Sqrt",
    "abs": "Abs",
    "sign": "Sign",
    "floor": "Floor",
    "ceil": "Ceil",
    "sin": "Sin",
    "cos": "Cos",
    "tan": "Tan",
    "asin": "Asin",
    "acos": "Acos",
    "atan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "asinh": "Asinh",
    "acosh": "Acosh",
    "atanh": "Atanh",
    "eq": "Equal",
    "lt": "Less",
    "le": "LessOrEqual",
    "gt": "Greater",
    "ge": "GreaterOrEqual",
}
# What folds constants without a compiled program for each shape.
_IN_NUMPY: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "neg": np.negative,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: np.reciprocal(np.sqrt(x)),
    "eq": np.equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
}
_LOGICAL = {
    "and": ("And", "BitwiseAnd"),
    "or": ("Or", "BitwiseOr"),
    "xor": ("Xor", "BitwiseXor"),
    "not": ("Not", "BitwiseNot"),
}
# What a computation of several operators is given: `add` of the graph, and its inputs.
_Compose = Callable[..., str]
_Elementwise = Callable[[Layouts, list[Value], Mapping[str, Any], Any], Value]


def apply(
    layouts: Layouts,
    inputs: list[Value],
    dtype: Any,
    compute: Callable[..., str],
    fold: Callable[[list[np.ndarray]], Any],
) -> Value:
    """Return the result of an operation on elements; that of constants is a constant.

    Args:
      layouts: The translation.
      inputs: Values of one shape in the program, or scalars.
      dtype: Dtype of the result.
      compute: Maps names of values that broadcast to each other to the name of the result.
      fold: Maps arrays that broadcast to each other to the result.
    """
    rank = max(each.rank for each in inputs)
    shape = next(each.shape for each in inputs if each.rank == rank)
    if all(each.array is not None for each in inputs):
        made = Value.of(np.asarray(fold([each.expanded() for each in inputs])))
        stored = [i for i, size in enumerate(made.shape) if size > 1 or size == shape[i]]
        array = made.filled().reshape([made.shape[i] for i in stored])
        return Value(shape, np.dtype(dtype), tuple(stored), array.shape, array=array)
    order = _order(inputs, rank)
    names = [layouts.aligned(each, order) for each in inputs]
    sizes = []
    for axis in order:
        found = [
            each.sizes[each.axes.index(axis)]
            for each in inputs
            if each.rank == rank and axis in each.axes
        ]
        sizes.append(shape[axis] if any(size == shape[axis] for size in found) else 1)
    return layouts.made(compute(*names), order, shape, dtype, sizes)


def _order(inputs: list[Value], rank: int) -> tuple[int, ...]:
    """Return the order of axes in which the result is stored, of those that any input has."""
    axes = {axis for each in inputs if each.rank == rank for axis in each.axes}
    values = [each for each in inputs if each.name is not None and each.rank == rank]
    whole = [each for each in values if set(each.axes) == axes]
    if whole:  # rather one with the channels first than one in the program's order
        return max(whole, key=lambda each: each.axes != tuple(sorted(axes))).axes
    base = max(values, key=lambda each: len(each.axes)).axes if values else ()
    if len(axes) == rank > 2:
        return (0, rank - 1, *range(1, rank - 1))
    return base if set(base) == axes else tuple(sorted(axes))


def _rule(
    name: str, compose: Callable[[_Compose, Mapping[str, Any]], Callable[..., str]]
) -> _Elementwise:
    """Return the rule of a primitive: the composition of operators that it is."""
    primitive = getattr(lax, f"{name}_p", None)

    def rule(
        layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
    ) -> Value:
        def fold(arrays: list[np.ndarray]) -> Any:
            if name in _IN_NUMPY:
                return _IN_NUMPY[name](*arrays)
            assert primitive is not None
            same = jnp.broadcast_arrays(*arrays) if len(arrays) > 1 else arrays
            return primitive.bind(*same, **params)

        compute = compose(layouts.graph.add, params)
        return apply(layouts, inputs, result.dtype, compute, fold)

    return rule


def _plain(operator: str) -> Callable[[_Compose, Mapping[str, Any]], Callable[..., str]]:
    return lambda add, _: functools.partial(add, operator)


def _number(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def _max(layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any) -> Value:
    """Return the larger of two values; of a value and 0 it is the ReLU."""
    is_floating = np.issubdtype(result.dtype, np.floating)
    for value, other in (inputs, inputs[::-1]):
        if is_floating and value.name is not None and other.scalar() == 0 and not other.sizes:
            name = layouts.graph.add("Relu", value.name)
            return layouts.made(name, value.axes, value.shape, value.dtype, value.sizes)
        if value.name is not None and other.scalar() == -np.inf:
            return value
    return _rule("max", _plain("Max"))(layouts, inputs, params, result)


def _power(add: _Compose, params: Mapping[str, Any]) -> Callable[..., str]:
    y = params["y"]
    if y == 2:
        return lambda x: add("Mul", x, x)
    if y == -1:
        return lambda x: add("Reciprocal", x)
    return lambda x: add("Pow", x, _number(y))


def _round(add: _Compose, params: Mapping[str, Any]) -> Callable[..., str]:
    if params["rounding_method"] != lax.RoundingMethod.TO_NEAREST_EVEN:
        raise UntranslatableError("ONNX rounds halves to even numbers only")
    return lambda x: add("Round", x)


def _logical(
    name: str, layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    operator = _LOGICAL[name][result.dtype != np.bool_]
    return _rule(name, _plain(operator))(layouts, inputs, params, result)


def _convert(
    layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any
) -> Value:
    (x,), dtype = inputs, np.dtype(result.dtype)
    if x.dtype == dtype:
        return x
    if x.array is not None:
        array = np.asarray(jnp.asarray(x.array).astype(dtype))
        return Value(x.shape, dtype, x.axes, x.sizes, array=array, label=x.label)
    assert x.name is not None
    name = layouts.graph.add("Cast", x.name, to=str(dtype))
    return layouts.made(name, x.axes, x.shape, dtype, x.sizes)


def _select(layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any) -> Value:
    if len(inputs) != 3:
        raise UntranslatableError("it selects among more than two values")
    which, *_ = inputs
    if which.dtype != np.bool_:
        raise UntranslatableError("it selects by a number")
    found = which.scalar()
    if found is not None:
        return inputs[2 if found else 1]

    def compute(which: str, no: str, yes: str) -> str:
        return layouts.graph.add("Where", which, yes, no)

    return apply(
        layouts, inputs, result.dtype, compute, lambda a: np.where(a[0].astype(bool), a[2], a[1])
    )


def _clamp(layouts: Layouts, inputs: list[Value], params: Mapping[str, Any], result: Any) -> Value:
    low, x, high = inputs
    add = layouts.graph.add
    numbers = low.scalar(), high.scalar()
    if x.name is not None and None not in numbers:
        ends = [np.array(number, x.dtype) for number in numbers]
        name = add("Clip", x.name, *ends)
        return layouts.made(name, x.axes, x.shape, x.dtype, x.sizes)

    def compute(low: str, x: str, high: str) -> str:
        return add("Min", add("Max", x, low), high)

    return apply(layouts, inputs, result.dtype, compute, lambda a: np.clip(a[1], a[0], a[2]))


_COMPOSED: dict[str, Callable[[_Compose, Mapping[str, Any]], Callable[..., str]]] = {
    "ne": lambda add, _: lambda x, y: add("Not", add("Equal", x, y)),
    "square": lambda add, _: lambda x: add("Mul", x, x),
    "rsqrt": lambda add, _: lambda x: add("Reciprocal", add("Sqrt", x)),
    "exp2": lambda add, _: lambda x: add("Pow", _number(2), x),
    "expm1": lambda add, _: lambda x: add("Sub", add("Exp", x), _number(1)),
    "log1p": lambda add, _: lambda x: add("Log", add("Add", x, _number(1))),
    "erfc": lambda add, _: lambda x: add("Sub", _number(1), add("Erf", x)),
    "cbrt": lambda add, _: (
        lambda x: add("Mul", add("Sign", x), add("Pow", add("Abs", x), _number(1 / 3)))
    ),
    "is_finite": lambda add, _: lambda x: add("Not", add("Or", add("IsInf", x), add("IsNaN", x))),
    "rem": lambda add, _: lambda x, y: add("Mod", x, y, fmod=1),
    "integer_pow": _power,
    "round": _round,
}

RULES: dict[str, Rule] = {
    **{name: _rule(name, _plain(operator)) for name, operator in _OPERATORS.items()},
    **{name: _rule(name, compose) for name, compose in _COMPOSED.items()},
    **{name: functools.partial(_logical, name) for name in _LOGICAL},
    "max": _max,
    "convert_element_type": _convert,
    "select_n": _select,
    "clamp": _clamp,
}
