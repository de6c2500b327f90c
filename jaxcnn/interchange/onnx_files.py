"""ONNX files: a graph of operators as ONNX Runtime and others read it."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn.interchange.error_reasons import first_line
from jaxcnn.interchange.operator_graph import Graph
from jaxcnn.interchange.signature import Signature

# ONNX 1.13 of 2022: ONNX Runtime from 1.14 on reads it.
OPSET = 18
_IR_VERSION = 8
# The metadata under which the signature stands.
SIGNATURE = "jaxcnn"


def onnx_model(graph: Graph, signature: Signature) -> Any:
    """Return a graph as ONNX's ModelProto, checked by ONNX.

    Args:
      graph: The graph.
      signature: The signature, which stands in the model's metadata.

    Raises:
      ImportError: onnx is not installed.
      ValueError: an operator does not take a dtype of the network, such as bfloat16.
    """
    onnx = import_onnx()
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = []
    for number, node in enumerate(graph.nodes):
        attributes = dict(node.attributes)
        if node.op == "Cast":
            dtype = np.dtype(attributes["to"])
            attributes["to"] = helper.np_dtype_to_tensor_dtype(dtype)
        name = f"{node.path or 'model'}/{node.op.lower()}_{number}"
        nodes.append(helper.make_node(node.op, node.inputs, node.outputs, name, **attributes))
    entry = helper.make_tensor_value_info(
        graph.input, getattr(kinds, _kind(graph.input_dtype)), graph.input_shape
    )
    outputs = [
        "batch" if axis == 0 and size is None else size
        for axis, size in enumerate(graph.output_shape)
    ]
    result = helper.make_tensor_value_info(graph.output, kinds.FLOAT, outputs)
    constants = [
        onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        for name, array in graph.constants.items()
    ]
    made = helper.make_model(
        helper.make_graph(nodes, "network", [entry], [result], constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="jaxcnn",
    )
    helper.set_model_props(made, {SIGNATURE: signature.to_json()})
    try:
        onnx.checker.check_model(made, full_check=made.ByteSize() < 1 << 30)
    except Exception as error:  # of the kinds of its parts in C++
        raise ValueError(f"ONNX has no such network: {first_line(error)}") from error
    return made


def write_onnx(graph: Graph, signature: Signature, path: Path) -> None:
    """Write a graph as an ONNX file.

    Args:
      graph: The graph.
      signature: The signature, which stands in the file's metadata.
      path: The file.

    Raises:
      ImportError: onnx is not installed.
      OSError: the file cannot be written.
    """
    path.write_bytes(onnx_model(graph, signature).SerializeToString())


def import_onnx() -> Any:
    """Return the module ``onnx``.

    Raises:
      ImportError: it is not installed.
    """
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError(
            "ONNX files need the package onnx: pip install 'jaxcnn[export]'"
        ) from error
    return onnx


def _kind(dtype: str) -> str:
    return {"float32": "FLOAT", "uint8": "UINT8"}[dtype]
