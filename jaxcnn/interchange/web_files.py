"""The JSON file of a network that a page computes without a library."""

import base64
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from jaxcnn.interchange.operator_graph import Graph, LayerValue, Node, UntranslatableError
from jaxcnn.interchange.signature import Signature

_FORMAT, _VERSION = "jaxcnn-web", 1
_LAYOUTS = {(0, 3, 1, 2): "NCHW", (0, 1, 2, 3): "NHWC", (0, 1): "NC"}
# The operators that the scripts of the page compute.
_NAMES = """
    Abs Add And AveragePool Cast Clip Concat Conv ConvTranspose Div Dropout Einsum Equal Erf
    Exp Expand Flatten Floor Gather Gemm GlobalAveragePool GlobalMaxPool Greater
    GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log
    MatMul Max MaxPool Min Mul Neg Not Or Pad Pow Reciprocal ReduceMax ReduceMean ReduceMin
    ReduceSum Relu Reshape Resize Shape Sigmoid Slice Softmax Softplus Sqrt Squeeze Sub Tanh
    Transpose Unsqueeze Where
"""
PAGE_OPERATORS = frozenset(_NAMES.split())
# Operators with a kernel, and a bias where they have a third input.
_WITH_KERNEL = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def web_network(graph: Graph, signature: Signature) -> dict[str, Any]:
    """Return a graph of one example as the object that the page reads.

    Args:
      graph: The graph, with a batch of 1.
      signature: The signature.
    """
    constants, parts, offset = {}, [], 0
    for name, array in graph.constants.items():
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        data += b"\0" * (-len(data) % 8)  # a typed array starts at a multiple of its items
        constants[name] = {
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "offset": offset,
        }
        parts.append(data)
        offset += len(data)
    makers = graph.makers()
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "signature": json.loads(signature.to_json()),
        "input": {
            "name": graph.input,
            "shape": list(graph.input_shape),
            "dtype": graph.input_dtype,
        },
        "output": graph.output,
        "output_shape": list(graph.output_shape),
        "nodes": [
            {
                "op": node.op,
                "inputs": node.inputs,
                "outputs": node.outputs,
                "attributes": node.attributes,
            }
            for node in graph.nodes
        ],
        "constants": constants,
        "layers": [
            _layer(each, makers.get(each.value)) for each in graph.layers if each.layout in _LAYOUTS
        ],
        "weights": base64.b64encode(b"".join(parts)).decode(),
    }


def _layer(layer: LayerValue, maker: Node | None) -> dict[str, Any]:
    inputs = maker.inputs[1:] if maker is not None and maker.op in _WITH_KERNEL else []
    kernel, bias, *_ = (*inputs, None, None)
    return {
        "path": layer.path,
        "kind": re.sub(r"(_\d+)?(#\d+)?$", "", layer.path.rpartition("/")[-1]),
        "value": layer.value,
        "layout": _LAYOUTS[layer.layout],
        "shape": list(layer.shape),
        "kernel": kernel,
        "bias": bias,
    }


def write_web(graph: Graph, signature: Signature, path: Path) -> None:
    """Write a graph of one example as a JSON file.

    Args:
      graph: The graph, with a batch of 1.
      signature: The signature.
      path: The file.

    Raises:
      OSError: the file cannot be written.
      UntranslatableError: the page has not all of the operators; the message has the layer's path.
    """
    for node in graph.nodes:
        if node.op not in PAGE_OPERATORS:
            raise UntranslatableError(
                f"the operator {node.op!r} of {node.path or 'the model itself'} cannot be exported "
                "for the page: the page has no such operator"
            )
    text = json.dumps(web_network(graph, signature), ensure_ascii=False, separators=(",", ":"))
    path.write_text(text, encoding="utf-8")


def read_web(path: Path) -> Graph:
    """Return the graph in a file of :func:`write_web`.

    Args:
      path: The file.

    Raises:
      ValueError: it is not such a file.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        known = found["format"], found["version"]
        if known != (_FORMAT, _VERSION):
            raise ValueError(f"it is of format {known}")
        entry, weights = found["input"], base64.b64decode(found["weights"])
        graph = Graph(tuple(entry["shape"]), entry["dtype"], input=entry["name"])
        graph.output, graph.output_shape = found["output"], tuple(found["output_shape"])
        graph.nodes = [
            Node(each["op"], each["inputs"], each["outputs"], each["attributes"])
            for each in found["nodes"]
        ]
        for name, each in found["constants"].items():
            dtype, shape = np.dtype(each["dtype"]), tuple(each["shape"])
            count = math.prod(shape)
            array = np.frombuffer(weights, dtype, count, each["offset"])
            graph.constants[name] = array.reshape(shape)
        return graph
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error.strerror or error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is no network.json of jaxcnn: {error}") from error
