"""Models of Keras 3 as descriptions with weights."""

import json
import os
import types
import warnings
import zipfile
from pathlib import Path
from typing import Any

from jaxcnn import arguments
from jaxcnn.interchange.keras_graph import check_kind, convert_model, is_composed
from jaxcnn.layers import pretrained
from jaxcnn.layers.composition import error_path


def from_keras(model: Any) -> pretrained:
    """Return the layers of a Keras 3 model, with its weights.

    The outputs are those of ``model(x, training=False)`` to rounding. Children have the names that
    they have in any composition here, such as ``conv_1``; an activation that is an option there is
    a child of its own. Sums of two branches become :func:`jaxcnn.residual`, with the branch
    of more arrays as the body; other sums, products and concatenations ``parallel``; models within
    the model ``serial``. The graph must be series-parallel, with one input and one output.

    Random augmentations and noise are left out, with a warning that names them: they change nothing
    at inference; for a training see :mod:`jaxcnn.augment`. Initializers, regularizers and
    constraints are not converted either, nor which layers are trainable.

    A file is read by Keras itself with its safe mode, as the order of the arrays in it is known to
    Keras alone, once every class in it is known to be one of Keras's layers. It is never unpickled,
    and no program in it is run. Keras must be installed with one of its backends, whichever the
    environment variable ``KERAS_BACKEND`` or Keras's configuration names.

    Example::

        network = cnn.interchange.from_keras("letters.keras")
        model = network.build((128, 128, 1), rngs=nnx.Rngs(0))

    Args:
      model: A ``keras.Sequential`` or functional model that knows the shape of its input, or the
        path of a ``.keras`` file.

    Raises:
      FileNotFoundError: there is no such file.
      ImportError: Keras is not installed, or has no backend.
      TypeError: ``model`` is no such model or path.
      ValueError: the file is no ``.keras`` file; or a layer, one of its options or the graph has
        no equal here: the message begins with the path of names to the layer, and its class.
    """
    if isinstance(model, str | os.PathLike):
        model = _load(Path(model))
    if not is_composed(model):
        raise TypeError(
            "model must be a keras.Sequential or functional model, or the path of a .keras file; "
            f"the layers of other models are not known. Received: {arguments.shown(model)}"
        )
    body, left_out = convert_model(model)
    if left_out:
        warnings.warn(
            f"left out, as the identity at inference: {', '.join(left_out)}. To augment in "
            "training, see jaxcnn.augment",
            stacklevel=2,
        )
    return pretrained(body.layer, body.arrays)


def _load(path: Path) -> Any:
    """Read a model through Keras, which alone knows the order of the arrays in its files."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    try:
        if path.suffix != ".keras":
            raise ValueError("its name must end in .keras")
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} is damaged")
            archive.getinfo("model.weights.h5")
    except (zipfile.BadZipFile, IsADirectoryError, KeyError, ValueError) as error:
        raise ValueError(
            "model must be a file in Keras's format, as model.save('name.keras') writes it, and "
            f"whole. Received: {str(path)!r}: {error}"
        ) from error
    _check_classes(config)
    return _keras().saving.load_model(path, compile=False, safe_mode=True)


def _check_classes(entry: Any) -> None:
    """Check before anything is made of a file that it holds known layers only."""
    match entry:
        case {"module": module, "class_name": str(kind), "config": dict(options)}:
            with error_path(f"{options.get('name')} ({kind})"):
                check_kind(str(module), kind)
                for layer in options.get("layers", ()):
                    _check_classes(layer)
        case _:
            raise ValueError(
                f"a layer of the file has no class. Received: {arguments.shown(entry)}"
            )


def _keras() -> types.ModuleType:
    try:
        import keras
    except ImportError as error:
        raise ImportError(
            "the file is read by Keras 3: pip install keras, and set the environment variable "
            f"KERAS_BACKEND to the library it computes with, such as jax. Received: {error}"
        ) from error
    return keras
