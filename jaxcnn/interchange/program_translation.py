"""Translation of a traced program into a graph of operators, equation by equation."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import numpy as np
from jax.extend.core import Literal, Primitive
from jax.interpreters import batching

from jaxcnn import arguments
from jaxcnn.interchange.held_values import Layouts, Value
from jaxcnn.interchange.operator_graph import Graph, LayerValue, UntranslatableError
from jaxcnn.interchange.symbolic_sizes import are_known

# Called with a translation, the inputs, the parameters and the type of the first result.
Rule: TypeAlias = Callable[[Layouts, list[Value], Mapping[str, Any], Any], Value | list[Value]]

# Equations that hold a program, which is translated in their place, by the name of its parameter.
_INNER = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_lin": "call_jaxpr",
}
_SAME = frozenset({"stop_gradient", "copy", "copy_p", "optimization_barrier", "pvary", "pcast"})
# The steps of a loop are written one after the other.
_MOST_STEPS = 256

_mark = Primitive("jaxcnn_layer")
_mark.def_impl(lambda x, **_: x)
_mark.def_abstract_eval(lambda x, **_: x)
batching.primitive_batchers[_mark] = lambda xs, axes, **options: (
    _mark.bind(xs[0], **options),
    axes[0],
)


def mark(path: str, value: Any, *, enters: bool) -> Any:
    """Return a value, noted in the traced program as the input or the output of a layer.

    >>> import jax.numpy as jnp
    >>> mark("conv_1", jnp.array(2.0), enters=True)
    Array(2., dtype=float32, weak_type=True)

    Args:
      path: Path of the layer.
      value: An array, or a tree of arrays.
      enters: Whether it is the input.
    """
    is_tree = not isinstance(value, jax.Array)
    marked = [_mark.bind(x, path=path, enters=enters, part=is_tree) for x in jax.tree.leaves(value)]
    return jax.tree.unflatten(jax.tree.structure(value), marked)


def translate(
    program: Any,
    *,
    rules: Mapping[str, Rule],
    variables: Mapping[str, tuple[int, int]],
    labels: Mapping[int, str],
) -> Graph:
    """Return the graph of a traced function of one array to one array.

    Args:
      program: What ``jax.make_jaxpr`` returns.
      rules: The translation of each primitive by its name.
      variables: For each symbolic size the axis of the input, and the number that the axis is a
        multiple of.
      labels: Names of parameters, by the identity of their arrays.

    Raises:
      UntranslatableError: a primitive has no rule; the message has the layer's path.
    """
    entry: Any = program.in_avals[0]
    result: Any = program.out_avals[0]
    names = {axis: name for name, (axis, _) in variables.items()}
    shape = tuple(
        names[axis] if axis in names else int(size) for axis, size in enumerate(entry.shape)
    )
    graph = Graph(shape, str(entry.dtype))
    translation = _Translation(Layouts(graph, dict(variables)), rules)
    order = range(len(entry.shape))
    images = translation.layouts.made(graph.input, order, entry.shape, entry.dtype)
    constants = [Value.of(each, labels.get(id(each), "")) for each in program.consts]
    (outputs,) = translation.run(program.jaxpr, constants, [images])
    graph.end(translation.layouts.arranged(outputs, tuple(range(outputs.rank))))
    graph.output_shape = tuple(int(s) if are_known([s]) else None for s in result.shape)
    return graph


class _Translation:
    """The state of a translation: the layers that are being computed, and values by variable."""

    def __init__(self, layouts: Layouts, rules: Mapping[str, Rule]) -> None:
        self.layouts = layouts
        self.rules = rules
        self.paths: list[str] = []

    def run(self, jaxpr: Any, constants: Sequence[Value], inputs: Sequence[Value]) -> list[Value]:
        """Translate a program within the program and return its results."""
        values: dict[Any, Value] = {}
        values.update(zip(jaxpr.constvars, constants, strict=True))
        values.update(zip(jaxpr.invars, inputs, strict=True))

        def read(variable: Any) -> Value:
            if isinstance(variable, Literal):
                kind: Any = variable.aval
                return Value.of(np.asarray(variable.val, kind.dtype))
            return values[variable]

        for equation in jaxpr.eqns:
            results = self._equation(equation, [read(each) for each in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
        return [read(variable) for variable in jaxpr.outvars]

    def _equation(self, equation: Any, inputs: list[Value]) -> list[Value]:
        name = equation.primitive.name
        if name == _mark.name:
            return [self._marked(inputs[0], **equation.params)]
        if name in _SAME:
            return inputs
        if name in _INNER:
            inner = equation.params[_INNER[name]]
            constants = [Value.of(each) for each in getattr(inner, "consts", ())]
            return self.run(getattr(inner, "jaxpr", inner), constants, inputs)
        if name == "cond" and inputs[0].array is not None:
            inner = equation.params["branches"][int(inputs[0].array)]
            return self.run(inner.jaxpr, [Value.of(each) for each in inner.consts], inputs[1:])
        if name == "scan" and equation.params["length"] <= _MOST_STEPS:
            return self._loop(equation, inputs)
        with self._explained(name):
            if name in self.rules:
                result = equation.outvars[0].aval
                made = self.rules[name](self.layouts, inputs, equation.params, result)
                if made is not NotImplemented:
                    return made if isinstance(made, list) else [made]
            sizes = [size for out in equation.outvars for size in out.aval.shape]
            if all(each.array is not None for each in inputs) and are_known(sizes):
                arrays = [each.filled() for each in inputs]
                found = equation.primitive.bind(*arrays, **equation.params)
                many = equation.primitive.multiple_results
                return [Value.of(each) for each in (found if many else [found])]
            raise UntranslatableError("it has no operator in ONNX here")

    def _marked(self, value: Value, *, path: str, enters: bool, part: bool) -> Value:
        graph = self.layouts.graph
        if enters:
            self.paths.append(path)
        else:
            while self.paths and self.paths[-1] != path:
                self.paths.pop()
            if self.paths:
                self.paths.pop()
            if not part and value.name is not None and value.is_whole:
                shape = value.shape[1:]
                if are_known(shape):
                    sizes = tuple(map(int, shape))
                    graph.layers.append(LayerValue(path, value.name, value.axes, sizes))
        graph.path = self.paths[-1] if self.paths else ""
        return value

    def _loop(self, equation: Any, inputs: list[Value]) -> list[Value]:
        """Translate the steps of a loop one after the other."""
        options = equation.params
        fixed, carried = options["num_consts"], options["num_carry"]
        constants, state, rows = (
            inputs[:fixed],
            inputs[fixed : fixed + carried],
            inputs[fixed + carried :],
        )
        inner, steps = options["jaxpr"], range(options["length"])
        own = [Value.of(each) for each in inner.consts]
        collected: list[list[Value]] = []
        for step in reversed(steps) if options["reverse"] else steps:
            row = [self._row(each, step) for each in rows]
            results = self.run(inner.jaxpr, own, [*constants, *state, *row])
            state = results[:carried]
            collected.append(results[carried:])
        if options["reverse"]:
            collected.reverse()
        count = len(equation.outvars) - carried
        stacked = [self._stacked([each[n] for each in collected]) for n in range(count)]
        return [*state, *stacked]

    def _row(self, value: Value, step: int) -> Value:
        if value.array is not None:
            return Value.of(value.filled()[step])
        layouts, order = self.layouts, tuple(range(value.rank))
        name = layouts.graph.add(
            "Gather", layouts.arranged(value, order), np.array(step, np.int64), axis=0
        )
        return layouts.made(name, order[:-1], value.shape[1:], value.dtype)

    def _stacked(self, rows: list[Value]) -> Value:
        if all(each.array is not None for each in rows):
            return Value.of(np.stack([each.filled() for each in rows]))
        layouts, order = self.layouts, tuple(range(rows[0].rank))
        parts = [
            layouts.graph.add("Unsqueeze", layouts.arranged(each, order), np.array([0], np.int64))
            for each in rows
        ]
        name = layouts.graph.add("Concat", *parts, axis=0)
        shape = (len(rows), *rows[0].shape)
        return layouts.made(name, range(len(shape)), shape, rows[0].dtype)

    @contextlib.contextmanager
    def _explained(self, primitive: str) -> Iterator[None]:
        """Add the primitive's name and the layer's path to the error of an operation."""
        try:
            yield
        except UntranslatableError as error:
            layer = self.paths[-1] if self.paths else "the model itself"
            raise UntranslatableError(
                f"the operation {arguments.shown(primitive)} of {layer} cannot be exported: {error}"
            ) from None
