"""The summary of a description, or of any module."""

import functools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
from flax import nnx

from jaxcnn import arguments, shapes
from jaxcnn.insight.given_network import check_network
from jaxcnn.insight.summary import Summary
from jaxcnn.insight.summary_rows import Arrays, Row, array_counts, with_saved_bytes
from jaxcnn.layers import Layer
from jaxcnn.layers.layer import abstract_once
from jaxcnn.modules.parameter_tree import arrays_of


def summarize(
    model: Layer | nnx.Module,
    input_shape: Sequence[int] | None = None,
    *,
    depth: int | None = None,
    explain: bool = False,
    frozen: str | Sequence[str] = (),
    profile: bool = False,
) -> Summary:
    """Return the table of a network; of a description no array is allocated.

    >>> from jaxcnn.layers import conv, dense, flatten, max_pool, serial
    >>> net = serial(conv(8, 3), max_pool(2), flatten(), dense(10))
    >>> table = summarize(net, (28, 28, 1))
    >>> [(row.name, row.output_shape, row.parameters) for row in table.rows]
    [('conv_1', (26, 26, 8), 80), ('max_pool_1', (13, 13, 8), 0), \
('flatten_1', (1352,), 0), ('dense_1', (10,), 13530)]
    >>> table.multiply_adds  # 26·26·8 · 3·3·1 + 1352·10
    62192

    Multiply-adds and memory are computed from the sizes, not measured, and so the same on every
    platform.

    Args:
      model: The description of a network, or any module. A module that was not built from a
        description is traced at inference with abstract values; it has a row for every module
        without modules of its own, and for what other modules compute themselves.
      input_shape: The shape of one example, ``(*spatial, channels)``; ``None`` takes that of a
        model that was built from a description.
      depth: Number of names of a path that are shown, at least 1; each block within is folded into
        one row. ``None`` shows every layer.
      explain: Whether to print below each row its formulas with their numbers: the sizes of
        convolutions and pools, and the number of parameters.
      frozen: Patterns of the dotted names of parameters that are not trained, as for
        :func:`jaxcnn.training.make_optimizer`, such as ``"stage_1.*"``; they count as
        non-trainable.
      profile: Whether to measure each layer by itself and show its share of the time of all. The
        layers are compiled one by one, on the device that JAX uses; in a whole program they are
        fused, so that the shares are an estimate.

    Raises:
      TypeError: ``model`` is neither, an option is not of its type, or the module branches on
        values.
      ValueError: the shapes do not fit; the message names the layer.
    """
    if depth is not None:
        depth = arguments.check_integer("depth", depth, minimum=1)
    patterns = (frozen,) if isinstance(frozen, str) else tuple(frozen)
    layer, shape = check_network(model, input_shape)
    if layer is not None:
        rows = _described_rows(layer, shape, patterns)
    elif isinstance(model, nnx.Module):
        from jaxcnn.insight.traced_rows import traced_rows

        rows = traced_rows(model, shape, patterns)
    if profile:
        from jaxcnn.insight.layer_times import with_times

        rows = with_times(rows, model, shape)
    return Summary(shape, tuple(rows), explain, depth)


def _described_rows(
    layer: Layer, input_shape: shapes.Shape, frozen: Sequence[str]
) -> tuple[Row, ...]:
    rows = []
    dtypes: dict[tuple[str, ...], Any] = {(): jnp.dtype(jnp.float32)}
    for step in layer.walk(input_shape):
        name = "/".join(step.path) or step.layer.kind
        arrays = _arrays(step.layer, step.input_shape)
        dtype = _output_dtype(step.layer, arrays, dtypes[step.inputs[0]])
        dtypes[step.path] = dtype
        formula = step.layer.explain(step.input_shape)
        fields = step.receptive_field if formula else None
        prefix = ".".join(step.path) + "." if step.path else ""
        named = replace(arrays, names=tuple(prefix + inner for inner in arrays.names))
        row = Row(
            name=name,
            kind=step.layer.kind,
            output_shape=step.output_shape,
            formula=formula,
            receptive_field=None if fields is None else tuple(field.size for field in fields),
            jump=None if fields is None else tuple(field.jump for field in fields),
            multiply_adds=step.layer.multiply_adds(step.input_shape),
            dtype=str(dtype),
            output_bytes=math.prod(step.output_shape) * dtype.itemsize,
            inputs=tuple("/".join(path) for path in step.inputs),
            **array_counts(named, frozen),
        )
        rows.append((row, step.saved))
    return with_saved_bytes(rows)


@functools.lru_cache(maxsize=1_000)  # networks repeat the same layers
def _arrays(layer: Layer, input_shape: shapes.Shape) -> Arrays:
    module, found = abstract_once(layer, input_shape), Arrays()
    for name, array in arrays_of(module, nnx.Param).items():
        found = found.plus(name, array, True)
    for name, array in arrays_of(module, nnx.Not(nnx.Param)).items():
        found = found.plus(name, array, False)
    return found


def _output_dtype(layer: Layer, arrays: Arrays, given: Any) -> Any:
    """Return the dtype of a layer's output: its option, that of its parameters, or its input's."""
    chosen = getattr(layer, "dtype", None)
    if chosen is not None:
        return jnp.dtype(chosen)
    learned = [
        a.dtype for a, is_learned in zip(arrays.arrays, arrays.learned, strict=True) if is_learned
    ]
    return jnp.result_type(*learned) if learned else given
