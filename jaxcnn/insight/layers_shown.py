"""The layers of a model that are shown where none is named."""

import math
from typing import Any

import numpy as np
from flax import nnx

from jaxcnn import shapes
from jaxcnn.insight.observed_model import ObservedModel
from jaxcnn.insight.summarizing import summarize
from jaxcnn.modules.parameter_tree import arrays_of

# Layers of feature maps in one picture.
_MOST_LAYERS = 8
# Kinds of layers whose output looks as their input, of this library and of Flax.
_LEFT_OUT = ("standardize", "identity", "dropout", "droppath", "batchnorm", "layernorm", "pad")


def first_kernel(
    model: nnx.Module, input_shape: shapes.Shape, layer: str | None = None
) -> tuple[str, np.ndarray]:
    """Return the path and the kernel of a convolution.

    Args:
      model: Any module.
      input_shape: The shape of one example.
      layer: The path of the layer; ``None`` means the first with a kernel of several positions.

    Raises:
      ValueError: there is no such layer.
    """
    axes = len(input_shape) - 1
    kernels = {
        name.rpartition(".")[0].replace(".", "/"): array
        for name, array in arrays_of(model).items()
        if name.rpartition(".")[2] == "kernel" and array.ndim == axes + 2
    }
    if layer is not None:
        path = layer.replace(".", "/")
        if path not in kernels:
            raise ValueError(
                f"layer must be a convolution, such as {', '.join(list(kernels)[:5]) or 'none'}. "
                f"Received: {layer}"
            )
        return path, np.asarray(kernels[path], np.float32)
    for row in summarize(model, input_shape).rows:
        kernel = kernels.get(row.name)
        if kernel is not None and math.prod(kernel.shape[:-2]) > 1:
            return row.name, np.asarray(kernel, np.float32)
    raise ValueError("the model has no convolution with a kernel of several positions")


def layers_to_show(model: nnx.Module, input_shape: shapes.Shape) -> list[str]:
    """Return the paths of layers with feature maps, evenly spread: before and after each pool.

    Args:
      model: Any module.
      input_shape: The shape of one example.
    """
    rows = summarize(model, input_shape).rows
    spatial = [row for row in rows if _has_maps(row)]
    if spatial:  # a network may join maps itself, which no module of its own does
        one = np.empty((1, *input_shape), np.float32)
        known = ObservedModel.of(model).shapes(one)
        spatial = [row for row in spatial if row.name in known]
    if len(spatial) > _MOST_LAYERS:
        pools = [row for row in spatial if "pool" in row.kind]
        before = {name for row in pools for name in row.inputs}
        chosen = [row for row in spatial if row in pools or row.name in before]
        others = [row for row in spatial if row not in chosen]
        free = max(_MOST_LAYERS - len(chosen), 0)
        places = np.linspace(0, max(len(others) - 1, 0), min(free, len(others))).round()
        chosen += [others[place] for place in dict.fromkeys(places.astype(int).tolist())]
        spatial = [row for row in spatial if row in chosen][:_MOST_LAYERS]
    return [row.name for row in spatial]


def _has_maps(row: Any) -> bool:
    has_positions = len(row.output_shape) > 1 and math.prod(row.output_shape[:-1]) > 1
    return has_positions and row.kind.lower().replace("_", "") not in _LEFT_OUT
