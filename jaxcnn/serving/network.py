"""The network that a server computes: of a run by JAX, or of an ONNX file by onnxruntime."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from jaxcnn import arguments, training
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.data.labels import TASKS
from jaxcnn.interchange.onnx_files import SIGNATURE
from jaxcnn.interchange.onnx_runs import import_onnxruntime
from jaxcnn.interchange.signature import Signature
from jaxcnn.shapes import Shape
from jaxcnn.training import run_folder
from jaxcnn.training.output_activation import ACTIVATIONS
from jaxcnn.training.prediction import Predictor, likeliest, rows_of_a_step
from jaxcnn.training.run_description import framing_from_json


@dataclass(frozen=True)
class ServedNetwork:
    """A network for pictures that is ready to compute, and what a server must know of it.

    Attributes:
      compute: Maps uint8 images ``(batch, H, W, C)`` to predictions: ``(batch, …)`` float32, or the
        classes ``(batch, H, W)`` of a segmentation. It may be called from one thread at a time.
      input_shape: ``(H, W, C)``.
      framing: Framing of the images that the network was trained on.
      class_names: Name of each class; of a regression, of each number or nothing.
      task: As :attr:`jaxcnn.Dataset.task`.
      activation: ``"softmax"``, ``"sigmoid"``, ``"boxes"`` or ``"none"``.
      fills_batches: Whether each batch is filled up to a power of two, for which a program is
        compiled once.
    """

    compute: Callable[[np.ndarray], np.ndarray]
    input_shape: Shape
    framing: Framing
    class_names: tuple[str, ...] = ()
    task: str = "classify"
    activation: str = "softmax"
    fills_batches: bool = False
    _warm: set[int] = field(default_factory=set, init=False, repr=False, compare=False)

    def predict(self, images: np.ndarray, most: int) -> np.ndarray:
        """Return the prediction for each image.

        Args:
          images: ``(N, H, W, C)`` uint8, at most `most` of them.
          most: The largest batch of the server.
        """
        size = rows_of_a_step(len(images), most) if self.fills_batches else len(images)
        if size == len(images):
            return self.compute(images)
        filled = np.zeros((size, *images.shape[1:]), images.dtype)
        filled[: len(images)] = images
        return self.compute(filled)[: len(images)]

    def warm_up(self, most: int) -> None:
        """Compute every batch size once, so that no request waits for a compilation."""
        if most in self._warm:  # a command does it before its server starts
            return
        sizes = {rows_of_a_step(count, most) for count in range(1, most + 1)}
        for size in sorted(sizes) if self.fills_batches else (1, most):
            self.compute(np.zeros((size, *self.input_shape), np.uint8))
        self._warm.add(most)


def open_network(path: str | Path) -> ServedNetwork:
    """Open a network for :func:`create_app`.

    Args:
      path: Folder of a run, or an ONNX file that ``jaxcnn export`` has written.

    Raises:
      ImportError: onnxruntime is not installed.
      OSError: the file cannot be read.
      ValueError: there is no run or file, it is damaged or has no signature, or its network is not
        one of pictures.
    """
    path = Path(path)
    of_file = path.suffix.lower() == ".onnx" or path.is_file()
    network = _of_file(path) if of_file else _of_run(path)
    if len(network.input_shape) != 3:
        raise ValueError(
            "only networks of pictures (H, W, channels) are served. Received: "
            f"{str(path)!r}, of inputs {network.input_shape}"
        )
    network.framing.check_pictures()
    return network


def _of_run(folder: Path) -> ServedNetwork:
    run = run_folder.read_run(folder)
    model = training.load(folder)
    activation = likeliest if run.task == "segment" else run.activation
    predictors: dict[tuple[int, ...], Predictor] = {}

    def compute(images: np.ndarray) -> np.ndarray:
        shape = images.shape
        if shape not in predictors:
            predictors[shape] = Predictor(model, shape, images.dtype, activation=activation)
        return np.asarray(predictors[shape](images))

    return ServedNetwork(
        compute,
        run.input_shape,
        run.framing,
        run.class_names,
        run.task,
        run.activation,
        fills_batches=True,
    )


def _of_file(path: Path) -> ServedNetwork:
    onnxruntime = import_onnxruntime()
    data = path.read_bytes()
    onnxruntime.set_default_logger_severity(4)  # errors are raised, not printed as well
    try:
        session = onnxruntime.InferenceSession(
            data, providers=onnxruntime.get_available_providers()
        )
    except Exception as error:  # onnxruntime has a class for each kind of damage
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{str(path)!r} is not an ONNX file that can be run: {reason}") from error
    text = session.get_modelmeta().custom_metadata_map.get(SIGNATURE)
    if text is None:
        raise ValueError(
            f"{str(path)!r} has no signature, which says what its inputs and outputs are: write it "
            "with `jaxcnn export RUN --format onnx`"
        )
    try:
        network = _described(Signature.from_json(text))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is damaged: its signature: {error}") from error
    (images,), outputs = session.get_inputs(), session.get_outputs()[:1]
    is_float, fixed = "float" in images.type, images.shape[0]
    names = [output.name for output in outputs]

    def run(batch: np.ndarray) -> np.ndarray:
        found: np.ndarray = session.run(names, {images.name: batch})[0]
        return found

    def compute(batch: np.ndarray) -> np.ndarray:
        if is_float:
            batch = batch.astype(np.float32) / 255
        if isinstance(fixed, int):  # a file of one batch size
            filled = np.resize(batch, (-(-len(batch) // fixed) * fixed, *batch.shape[1:]))
            parts = [run(filled[at : at + fixed]) for at in range(0, len(filled), fixed)]
            found = np.concatenate(parts)[: len(batch)]
        else:
            found = run(batch)
        return found.argmax(axis=-1) if network.task == "segment" else found

    return replace(network, compute=compute)


def _described(signature: Signature) -> ServedNetwork:
    """Return the network of a signature, which computes nothing yet."""
    arguments.check_choice("task", signature.task, dict.fromkeys(TASKS.values()))
    arguments.check_choice("activation", signature.activation, ACTIVATIONS)
    if signature.task == "detect" and signature.activation != "boxes":
        raise ValueError('a detector must be exported with its boxes, activation="auto"')
    shape = signature.input_shape
    if signature.framing is not None:
        framing = framing_from_json(dict(signature.framing))
        if len(framing.shape) == len(shape):
            pairs = zip(shape, framing.shape, strict=True)
            shape = tuple(own or other for own, other in pairs)
    if None in shape:
        raise ValueError(f"height and width must be known. Received: {shape}")
    sizes = tuple(size for size in shape if size is not None)
    if signature.framing is None:
        framing = Framing(sizes, any_size=True)
    return ServedNetwork(
        lambda images: images,
        sizes,
        framing,
        signature.class_names,
        signature.task,
        signature.activation,
    )
