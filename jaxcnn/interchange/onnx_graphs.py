"""An exported ONNX file as the graph of one example that a page computes."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn import shapes
from jaxcnn.interchange.onnx_files import SIGNATURE, import_onnx
from jaxcnn.interchange.operator_graph import Graph, LayerValue, Node
from jaxcnn.interchange.signature import Signature

# Operators whose input and output have the channels as their second axis.
_CHANNELS_FIRST = {
    "AveragePool", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalMaxPool", "MaxPool",
}  # fmt: skip


def read_onnx(path: Path, input_shape: shapes.Shape) -> tuple[Graph, Signature]:
    """Return the graph and the signature in a file of ``jaxcnn export``.

    Its layers are those in the names of the operators; a layer whose axes are not those of images
    or of single values is left out.

    Args:
      path: The file.
      input_shape: Shape of one input, channels last.

    Raises:
      ImportError: onnx is not installed.
      ValueError: it is not such a file, or an attribute of an operator is an array.
    """
    onnx = import_onnx()
    try:
        model = onnx.load(path)
        (text,) = [each.value for each in model.metadata_props if each.key == SIGNATURE]
        signature = Signature.from_json(text)
        entry, exit_ = model.graph.input[0], model.graph.output[0]
        for size, axis in zip((1, *input_shape), entry.type.tensor_type.shape.dim, strict=True):
            axis.dim_value = size
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # onnx has a class for each kind of damage
        raise ValueError(f"{str(path)!r} is not a file of jaxcnn: {error}") from error
    dtype = str(onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type))
    graph = Graph((1, *input_shape), dtype, input=entry.name, output=exit_.name)
    graph.constants = {
        each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer
    }
    graph.nodes = [_node(onnx, each) for each in model.graph.node]
    sizes = {
        each.name: tuple(axis.dim_value for axis in each.type.tensor_type.shape.dim)
        for each in (*model.graph.value_info, entry)
    }
    graph.output_shape = (1, *(axis.dim_value for axis in exit_.type.tensor_type.shape.dim[1:]))
    sizes[exit_.name] = graph.output_shape
    graph.layers = [each for each in _layers(graph, sizes) if each.path != signature.activation]
    return graph, signature


def _node(onnx: Any, made: Any) -> Node:
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in made.attribute}
    for name, value in attributes.items():
        if isinstance(value, bytes):
            attributes[name] = value.decode()
        elif not isinstance(value, (int, float, list)):
            raise ValueError(f"operator {made.op_type} has the attribute {name}, an array")
    if made.op_type == "Cast":
        attributes["to"] = str(onnx.helper.tensor_dtype_to_np_dtype(attributes["to"]))
    path = made.name.rpartition("/")[0]
    return Node(made.op_type, list(made.input), list(made.output), attributes, path)


def _layers(graph: Graph, sizes: dict[str, tuple[int, ...]]) -> list[LayerValue]:
    """Return the last value of each path that nodes have, with its axes."""
    layouts: dict[str, tuple[int, ...]] = {graph.input: tuple(range(len(graph.input_shape)))}
    found: dict[str, LayerValue] = {}
    for node in graph.nodes:
        value = node.outputs[0]
        axes = len(sizes.get(value, ()))
        if not axes or 0 in sizes[value]:  # a size, or a value whose shape is not known
            continue
        before = [layouts[name] for name in node.inputs if len(layouts.get(name, ())) == axes]
        if node.op in _CHANNELS_FIRST and axes > 2:
            layouts[value] = (0, axes - 1, *range(1, axes - 1))
        elif node.op == "Transpose" and before:
            layouts[value] = tuple(before[0][axis] for axis in node.attributes["perm"])
        elif axes == 2:
            layouts[value] = (0, 1)
        elif before and node.op != "Reshape":
            layouts[value] = before[0]
        if node.path not in ("", "model") and value in layouts:
            layout = layouts[value]
            shape = tuple(int(sizes[value][at]) for at in np.argsort(layout)[1:])
            found[node.path] = LayerValue(node.path, value, layout, shape)
    return list(found.values())
