"""The graph of a model at inference, from its traced program."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn.interchange import (
    translated_axes,
    translated_cuts,
    translated_elementwise,
    translated_products,
    translated_resizing,
    translated_windows,
)
from jaxcnn.interchange.chosen_boxes import BoxChoice, choose_boxes
from jaxcnn.interchange.graph_folding import fold
from jaxcnn.interchange.operator_graph import Graph, UntranslatableError
from jaxcnn.interchange.program_translation import Rule, mark, translate
from jaxcnn.modules import call, in_mode
from jaxcnn.modules.observation import observe_calls
from jaxcnn.modules.parameter_tree import arrays_of

RULES: dict[str, Rule] = (
    translated_elementwise.RULES
    | translated_axes.RULES
    | translated_cuts.RULES
    | translated_windows.RULES
    | translated_resizing.RULES
    | translated_products.RULES
)
BATCH = "batch"
_SIZES = ("depth", "height", "width")
# Free sizes are tried as they are, and then as multiples: of strides that halve an odd size, the
# padding depends on it.
_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)


def network_graph(
    model: nnx.Module,
    input_shape: Sequence[int],
    *,
    input_dtype: str,
    to_float: Callable[[Any], jax.Array],
    activation: str = "none",
    boxes: BoxChoice | None = None,
    any_size: bool = False,
    one_example: bool = False,
    keeps_layers: bool = False,
) -> Graph:
    """Return the graph of a model at inference.

    Args:
      model: The model.
      input_shape: Shape of one input, channels last.
      input_dtype: ``"uint8"`` or ``"float32"``.
      to_float: Maps inputs to what the model takes.
      activation: ``"softmax"`` or ``"sigmoid"`` of the outputs, or ``"none"``.
      boxes: The choice of boxes, for a detector that gives them.
      any_size: Whether height, width and depth are free.
      one_example: Whether the batch is 1, instead of free.
      keeps_layers: Whether the output of every layer stays a value of the graph.

    Raises:
      TypeError: the model does not return one array.
      ValueError: an operation cannot be translated, or the model needs its size.
    """
    structure, state = nnx.split(in_mode(model, train=False))
    labels = {id(array): name for name, array in arrays_of(model).items()}

    def infer(images: jax.Array) -> Any:
        traced = nnx.merge(structure, state)
        observe_calls(
            traced,
            lambda path, value: mark(path, value, enters=False),
            enter=lambda path, value: mark(path, value, enters=True),
        )
        with jax.numpy_dtype_promotion("standard"):  # of modules that are not of this library
            outputs = call(traced, to_float(images), train=False)
        if not isinstance(outputs, jax.Array):
            raise TypeError(
                "the model must return one array to be exported. "
                f"Received: {type(outputs).__name__}"
            )
        outputs = outputs.astype(jnp.float32)
        return outputs if boxes is None else boxes.candidates(outputs)

    trace = functools.partial(_traced, infer, input_shape, input_dtype)
    if any_size:
        graph = _of_any_size(trace, input_shape, labels)
    else:
        batch = 1 if one_example else jax.export.symbolic_shape(BATCH)[0]
        variables = {} if one_example else {BATCH: (0, 1)}
        graph = translate(
            trace([batch, *input_shape]), rules=RULES, variables=variables, labels=labels
        )
    if boxes is not None:
        _finish(graph, "boxes", functools.partial(choose_boxes, choice=boxes))
        graph.output_shape = (graph.output_shape[0], boxes.limit, len(boxes.nothing))
    elif activation != "none":
        axis = {"axis": -1} if activation == "softmax" else {}
        operator = activation.capitalize()
        _finish(graph, activation, lambda graph, outputs: graph.add(operator, outputs, **axis))
    fold(graph, keeps_layers=keeps_layers)
    return graph


def _traced(
    infer: Callable[..., Any], input_shape: Sequence[int], dtype: str, shape: Sequence[Any]
) -> Any:
    return jax.make_jaxpr(infer)(jax.ShapeDtypeStruct(tuple(shape), dtype))


def _of_any_size(
    trace: Callable[..., Any], input_shape: Sequence[int], labels: dict[int, str]
) -> Graph:
    """Return the graph with free sizes: any, or multiples of a power of two."""
    names = _SIZES[-(len(input_shape) - 1) :]
    cause: Exception | None = None
    for multiple in _MULTIPLES:
        # At least the given size, so that every window fits.
        least = [-(-size // multiple) for size in input_shape[:-1]]
        rules = [f"{name} >= {size}" for name, size in zip(names, least, strict=True)]
        words = [name if multiple == 1 else f"{multiple}*{name}" for name in names]
        shape = jax.export.symbolic_shape(", ".join((BATCH, *words)), constraints=rules)
        variables = {BATCH: (0, 1)} | {
            name: (axis, multiple) for axis, name in enumerate(names, start=1)
        }
        try:
            return translate(
                trace([*shape, input_shape[-1]]), rules=RULES, variables=variables, labels=labels
            )
        except Exception as error:
            if cause is None or isinstance(error, UntranslatableError):
                cause = error
    reason = f": {cause}" if isinstance(cause, UntranslatableError) else ""
    raise ValueError(
        "any_size must be False for this model, as it needs the sizes of its input, such as a "
        f"dense layer after flatten does{reason}. Received: any_size=True"
    ) from cause


def _finish(graph: Graph, path: str, add: Callable[[Graph, str], str]) -> None:
    """Let what is added to the outputs of the network take their place."""
    outputs = graph.new_name("logits")
    graph.rename(graph.output, outputs)
    graph.path = path
    graph.rename(add(graph, outputs), graph.output)
