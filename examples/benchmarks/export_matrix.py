"""Export every model of the zoo as ONNX, and compare its outputs and its time with JAX's.

    python examples/benchmarks/export_matrix.py            # one model of each family
    python examples/benchmarks/export_matrix.py --all      # every model
    python examples/benchmarks/export_matrix.py resnet18 unet

Weights and running statistics are random. The difference is the largest of any output, relative to
the largest output if that is above 1; batches of 1 and 3. The ratio is the time of ONNX Runtime for
one image, divided by that of JAX: below 1, ONNX Runtime is faster.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

import jaxcnn as cnn
from jaxcnn.interchange.network_graphs import network_graph
from jaxcnn.interchange.onnx_files import write_onnx
from jaxcnn.interchange.onnx_runs import run_onnx
from jaxcnn.interchange.signature import Signature
from jaxcnn.training.forward import to_float

# One of each family, and of each kind of input and task.
FAMILIES = (
    "tiny_cnn",
    "mnist_cnn",
    "letters_cnn",
    "pets_cnn",
    "lenet5",
    "mtcnn_pnet",
    "mtcnn_rnet",
    "mtcnn_onet",
    "fcn",
    "resnet1d",
    "inception_time",
    "inception_time_ensemble",
    "resnet20",
    "airbench",
    "squeezenet1_1",
    "mobilenetv2_050",
    "mobilenetv3_small_100",
    "shufflenet_v2_x0_5",
    "regnety_002",
    "resnet18",
    "unet_small",
    "fcos_small",
    "r3d_18",
    "mc3_18",
    "r2plus1d_18",
    "unet",
    "efficientnet_lite0",
    "tf_efficientnet_b0",
    "convnext_tiny",
    "resnext50_32x4d",
    "vgg11_bn",
    "alexnet",
    "inception_v3",
    "densenet121",
)
_SECONDS = 1.0


class Measured(NamedTuple):
    """A model as an ONNX file.

    Attributes:
      nodes: Number of operators.
      transposes: Number of them that only change the order of axes.
      difference: The largest difference from the model.
      megabytes: Size of the file.
      ratio: Time of ONNX Runtime for one image, divided by that of JAX.
    """

    nodes: int
    transposes: int
    difference: float
    megabytes: float
    ratio: float


def random_model(network: cnn.Layer, shape: tuple[int, ...]) -> nnx.Module:
    """Return a model whose outputs depend on every array: none of them is constant."""
    model = network.build(shape, rngs=nnx.Rngs(0))
    random = np.random.default_rng(0)
    for path, variable in nnx.iter_graph(model):
        if isinstance(variable, nnx.BatchStat):
            size = variable[...].shape
            is_mean = path[-1] == "mean"
            values = random.normal(0, 0.2, size) if is_mean else random.uniform(0.5, 1.5, size)
            variable[...] = values.astype(np.float32)
        elif isinstance(variable, nnx.Param) and np.ptp(variable[...]) == 0:
            noise = random.normal(0, 0.05, variable[...].shape)
            variable[...] = variable[...] + noise.astype(np.float32)
    return model


def measure(name: str, *, times: bool = True) -> Measured:
    """Export a model of the zoo and compare it.

    Args:
      name: Name of the model.
      times: Whether to measure times; the ratio is NaN otherwise.
    """
    shape = cnn.models.input_shape(name)
    model = random_model(cnn.models.create(name), shape)
    pixels = len(shape) > 2
    dtype = "uint8" if pixels else "float32"
    graph = network_graph(model, shape, input_dtype=dtype, to_float=to_float)
    images = np.random.default_rng(1).integers(0, 256, (3, *shape), np.uint8)
    if not pixels:
        images = np.asarray(to_float(images))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        write_onnx(graph, Signature(shape, dtype), path)
        size, run = path.stat().st_size / 1e6, run_onnx(path)
    structure, state = nnx.split(cnn.modules.in_mode(model, train=False))

    @jax.jit
    def infer(state: Any, x: Any) -> Any:
        return cnn.modules.call(nnx.merge(structure, state), to_float(x), train=False)

    # One by one, so that JAX compiles one program; the file computes them together too.
    expected = np.concatenate([infer(state, image[None]) for image in images])
    scale = max(1.0, float(np.abs(expected).max()))
    difference = max(
        float(np.abs(run(images[:count]) - expected[:count]).max()) for count in (1, len(images))
    )
    ratio, one = float("nan"), images[:1]
    if times:
        ratio = _ratio(lambda: run(one), lambda: jax.block_until_ready(infer(state, one)))
    transposes = graph.count("Transpose")
    return Measured(len(graph.nodes), transposes, difference / scale, size, ratio)


def _ratio(first: Callable[[], Any], second: Callable[[], Any]) -> float:
    """Return the median ratio of the times of two calls, which take turns."""
    ratios, end = [], time.perf_counter() + _SECONDS
    while len(ratios) < 5 or time.perf_counter() < end:
        starts = []
        for call in (first, second):
            starts.append(time.perf_counter())
            call()
        middle, stop = starts[1], time.perf_counter()
        ratios.append((middle - starts[0]) / (stop - middle))
    return statistics.median(ratios[1:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compare ONNX files of the zoo with JAX.")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true", help="every model of the zoo")
    parser.add_argument("--no-times", action="store_true", help="compare values only")
    given = parser.parse_args()
    names = given.names or (cnn.models.names() if given.all else FAMILIES)
    print("| model | input | operators | transposes | difference | file, MB | time / JAX |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name in names:
        shape = "×".join(map(str, cnn.models.input_shape(name)))
        try:
            found = measure(name, times=not given.no_times)
        except ValueError as error:
            print(f"| {name} | {shape} | refused: {error} |", flush=True)
            continue
        print(
            f"| {name} | {shape} | {found.nodes} | {found.transposes} | {found.difference:.1e} "
            f"| {found.megabytes:.2f} | {found.ratio:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
