"""Export of a trained network for programs without this library, checked against the model."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxcnn import arguments, shapes
from jaxcnn.data.images import Images, check_images
from jaxcnn.interchange.model_file import model_to_bytes, read_model
from jaxcnn.interchange.network_graphs import network_graph
from jaxcnn.interchange.onnx_files import import_onnx, write_onnx
from jaxcnn.interchange.onnx_runs import import_onnxruntime, run_onnx, run_web
from jaxcnn.interchange.operator_graph import Graph
from jaxcnn.interchange.signature import DTYPES, Signature
from jaxcnn.interchange.stablehlo_files import SMALLEST, read_stablehlo, write_stablehlo
from jaxcnn.interchange.web_files import write_web
from jaxcnn.modules import call, check_module, in_mode
from jaxcnn.recipes.exported_boxes import box_choice, difference_of_boxes
from jaxcnn.training.forward import to_float
from jaxcnn.training.output_activation import ACTIVATIONS, activation_of_outputs, known_activation
from jaxcnn.training.prediction import describe_outputs, predict
from jaxcnn.training.run_description import Run

# Suffix of the files of each format.
FORMATS = {
    "onnx": ".onnx",
    "stablehlo": ".stablehlo",
    "safetensors": ".safetensors",
    "web": ".json",
}
TOLERANCE = 1e-4
_RANDOM_IMAGES = 4
# Free sizes are checked at the next multiple: every network that takes multiples takes these.
_MULTIPLE = 64


@dataclass(frozen=True)
class Exported:
    """An exported file, and how near its outputs are to the model's.

    Attributes:
      path: The file.
      format: Its format.
      signature: Its input and output.
      images: Number of images that both the file and the model computed.
      difference: The largest difference of an output, relative to the largest output if that is
        above 1.
      operators: Number of operators; 0 for formats without.
    """

    path: Path
    format: str
    signature: Signature
    images: int
    difference: float
    operators: int = 0


def export(
    model: nnx.Module,
    path: str | Path,
    *,
    format: str = "onnx",
    input_shape: Sequence[int] | None = None,
    input_dtype: str | None = None,
    activation: str = "auto",
    any_size: bool = False,
    class_names: Sequence[str] = (),
    task: str = "classify",
    framing: Mapping[str, Any] | None = None,
    images: Images | None = None,
    tolerance: float = TOLERANCE,
) -> Exported:
    """Write a model at inference into a file that runs without this library.

    The file and the model both compute `images`; if they differ by more than `tolerance`, it is an
    error and no file is left. ``"onnx"`` runs in ONNX Runtime and others, ``"stablehlo"`` in JAX on
    CPU, CUDA and TPU, ``"web"`` in the page of ``jaxcnn page``; ``"safetensors"`` holds the weights
    under the names of the summary. The batch is free, but for ``"web"``, which takes one image.

    >>> import jaxcnn as cnn
    >>> from tempfile import mkdtemp
    >>> model = cnn.models.create("tiny_cnn").build((28, 28, 1), rngs=nnx.Rngs(0))
    >>> made = cnn.export(model, f"{mkdtemp()}/digits.onnx")
    >>> made.signature.activation, made.difference < 1e-5
    ('softmax', True)

    Args:
      model: A model of this library, or any other module of operations that ONNX has.
      path: The file; one that exists is replaced as a whole.
      format: ``"onnx"``, ``"stablehlo"``, ``"safetensors"`` or ``"web"``.
      input_shape: Shape of one input, channels last; ``None`` means the one that the model was
        built for.
      input_dtype: ``"uint8"``, pixels, which are divided by 255 inside, or ``"float32"``. ``None``
        means pixels, but numbers for series ``(steps, channels)``.
      activation: As for :func:`jaxcnn.predict`: ``"softmax"`` and ``"sigmoid"`` become a part of
        the file.
      any_size: Whether height and width are free, and the depth of volumes and clips: from
        `input_shape` on, of networks that halve odd sizes multiples of a power of two.
      class_names: Name of each class, for the file's signature.
      task: What the network learned, for the signature.
      framing: How a picture becomes an input, for the signature.
      images: Real inputs for the check, ``(N, *input_shape)``; by default random ones.
      tolerance: The largest difference that is allowed, relative to the largest output if that is
        above 1; above 0.

    Returns:
      The file, its signature and the largest difference found.

    Raises:
      ImportError: a package of ``jaxcnn[export]`` is not installed.
      OSError: the file cannot be written.
      TypeError: an argument has the wrong type.
      ValueError: there is no such format, an operation of the model has no operator, which the
        message names with the layer's path, or the difference is above `tolerance`.
    """
    check_module("model", model)
    name = arguments.check_choice("format", format, FORMATS)
    tolerance = arguments.check_number("tolerance", tolerance, above=0)
    arguments.check_flag("any_size", any_size)
    shape = _input_shape(model, input_shape)
    if any_size and len(shape) < 3:
        raise ValueError(
            f"any_size is for images and volumes. Received: any_size=True, inputs of {shape}"
        )
    dtype = input_dtype or ("uint8" if len(shape) > 2 else "float32")
    arguments.check_choice("input_dtype", dtype, DTYPES)
    given = _inputs(images, shape, dtype)
    applied = known_activation(model, _word(activation)) or activation_of_outputs(
        *describe_outputs(model, given)
    )
    if any_size and name == "web":
        raise ValueError("format='web' takes one size of image. Received: any_size=True")
    if applied == "boxes" and name == "web":
        raise ValueError(
            "format='web' has no operators for the boxes of a detector: give activation='none', "
            "its outputs at each location, or format='onnx' or 'stablehlo'"
        )
    if applied == "boxes" and any_size:
        raise ValueError(
            "any_size must be False for the boxes of a detector: its locations are those of one "
            "size. Received: any_size=True"
        )
    sizes = (*(None for _ in shape[:-1]), shape[-1]) if any_size else shape
    signature = Signature(sizes, dtype, applied, task, tuple(class_names), framing)
    request = _Request(model, shape, signature, any_size)
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"path must be in a folder that exists. Received: path={str(path)!r}")
    partial = path.with_name(f"{path.name}.unchecked")
    try:
        run, operators = _WRITERS[name](request, partial)
        difference = _difference(model, run, given, applied)
        if any_size and name != "safetensors":
            larger = [(size // _MULTIPLE + 1) * _MULTIPLE for size in shape[:-1]]
            other = _inputs(None, (*larger, shape[-1]), dtype)[:1]
            difference = max(difference, _difference(model, run, other, applied))
        if not difference <= tolerance:
            raise ValueError(
                f"the exported file must agree with the model within tolerance={tolerance:g}, and "
                f"differs by {difference:.2g}: nothing was written. Received: format={name!r}"
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return Exported(path, name, signature, len(given), difference, operators)


def export_run(described: Run, model: nnx.Module, path: str | Path, **options: Any) -> Exported:
    """Write the model of a run into a file with what the run's description says of it.

    Args:
      described: Description of the run.
      model: Its model.
      path: The file.
      **options: Further options of :func:`export`.

    Raises:
      ImportError, OSError, TypeError, ValueError: as for :func:`export`.
    """
    return export(
        model,
        path,
        input_shape=described.input_shape,
        class_names=described.class_names,
        task=described.task,
        framing=json.loads(json.dumps(asdict(described.framing))),
        **options,
    )


_Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Request:
    """What is exported: a model, the shape of an input, and the signature of the file."""

    model: nnx.Module
    shape: shapes.Shape
    signature: Signature
    any_size: bool

    def graph(self, *, is_for_page: bool) -> Graph:
        """Return the graph of operators; that for the page has one image and all layers."""
        import_onnx()
        import_onnxruntime()
        boxes = None
        if self.signature.activation == "boxes":
            one = jax.ShapeDtypeStruct((1, *self.shape), self.signature.input_dtype)
            boxes = box_choice(describe_outputs(self.model, one)[0][-1])
        return network_graph(
            self.model,
            self.shape,
            input_dtype=self.signature.input_dtype,
            to_float=to_float,
            activation=self.signature.activation,
            boxes=boxes,
            any_size=self.any_size,
            one_example=is_for_page,
            keeps_layers=is_for_page,
        )


def _write_onnx(request: _Request, path: Path) -> tuple[_Run, int]:
    graph = request.graph(is_for_page=False)
    write_onnx(graph, request.signature, path)
    return run_onnx(path), len(graph.nodes)


def _write_web(request: _Request, path: Path) -> tuple[_Run, int]:
    graph = request.graph(is_for_page=True)
    write_web(graph, request.signature, path)
    return run_web(path), len(graph.nodes)


def _write_stablehlo(request: _Request, path: Path) -> tuple[_Run, int]:
    function = _inference(request.model, request.signature.activation)
    write_stablehlo(function, request.signature, path)
    program, _ = read_stablehlo(path)

    def run(images: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(program(images))
        except ValueError as error:
            if not request.any_size:
                raise
            raise ValueError(
                f"a StableHLO file of any size takes sizes from {SMALLEST} on, or "
                f"multiples of {SMALLEST} where the network needs it: leave out any_size, or train "
                f"for such a size. Received: {images.shape[1:-1]}"
            ) from error

    return run, 0


def _write_safetensors(request: _Request, path: Path) -> tuple[_Run, int]:
    path.write_bytes(model_to_bytes(request.model, request.signature))
    read = read_model(path, into=request.model)
    return _on_host(jax.jit(_inference(read, request.signature.activation))), 0


_WRITERS: dict[str, Callable[[_Request, Path], tuple[_Run, int]]] = {
    "onnx": _write_onnx,
    "stablehlo": _write_stablehlo,
    "safetensors": _write_safetensors,
    "web": _write_web,
}


def _input_shape(model: nnx.Module, given: Sequence[int] | None) -> shapes.Shape:
    if given is not None:
        return shapes.check_shape(given)
    known = getattr(model, "input_shape", None)
    if known is None:
        raise ValueError(
            "input_shape must be given for a module that was not built from a description, such as "
            "input_shape=(28, 28, 1)"
        )
    return shapes.check_shape(known)


def _inputs(images: Images | None, shape: shapes.Shape, dtype: str) -> np.ndarray:
    """Return the images for the check in the form of the input: those given, or random ones."""
    if images is None:
        random = np.random.default_rng(0)
        pixels = random.integers(0, 256, (_RANDOM_IMAGES, *shape), np.uint8)
        images = pixels if dtype == "uint8" else pixels / np.float32(255)
    found = np.asarray(check_images(images))
    if found.shape[1:] != shape or not len(found):
        raise ValueError(
            f"images must be {('N', *shape)}, at least one. Received: shape {found.shape}"
        )
    if dtype == "uint8" and found.dtype != np.uint8:
        raise TypeError(
            "images must be uint8, or give input_dtype='float32'. "
            f"Received: images of {found.dtype}"
        )
    return found if dtype == "uint8" else np.asarray(to_float(found), np.float32)


def _word(activation: Any) -> str:
    if not isinstance(activation, str):
        raise TypeError(
            "activation must be a word, such as 'softmax'. "
            f"Received: activation={arguments.shown(activation)}"
        )
    return activation


def _inference(model: nnx.Module, activation: str) -> Callable[[jax.Array], jax.Array]:
    """Return a model at inference as a function of its inputs."""
    structure, state = nnx.split(in_mode(model, train=False))

    def infer(images: jax.Array) -> jax.Array:
        outputs = call(nnx.merge(structure, state), to_float(images), train=False)
        return ACTIVATIONS[activation](outputs.astype(np.float32))

    return infer


def _on_host(program: Callable[[Any], jax.Array]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda images: np.asarray(program(images))


def _difference(
    model: nnx.Module,
    run: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    activation: str,
) -> float:
    """Return the largest difference of a file's outputs, for all images and for the first alone."""
    expected = predict(model, images, activation=activation)
    found = run(images)
    if found.shape != expected.shape:
        raise ValueError(
            f"the exported file returns shape {found.shape}, and the model {expected.shape}"
        )
    pairs = [(found, expected), (run(images[:1]), expected[:1])]
    if activation == "boxes":
        return max(difference_of_boxes(*pair) for pair in pairs)
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return max(float(np.abs(one - other).max(initial=0)) for one, other in pairs) / scale
