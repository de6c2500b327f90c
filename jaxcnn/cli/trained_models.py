"""The trained model that a command uses: of a run, or of the zoo with weights."""

from pathlib import Path
from typing import Any

from flax import nnx

from jaxcnn import models, training
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.interchange.torch import TorchWeights
from jaxcnn.layers import pretrained
from jaxcnn.models.registry import options_for
from jaxcnn.training import run_folder
from jaxcnn.training.run_description import Run


def load_trained(
    run: Path | None, model: str | None, weights: str | None
) -> tuple[Run, nnx.Module]:
    """Return the description of a run, or what is known of weights as if of one, and the model.

    Args:
      run: Folder of a run.
      model: Name of the model of the weights, or of the network of a run that does not describe it.
      weights: As :func:`jaxcnn.models.create` takes them.

    Raises:
      ImportError: the weights need a package that is not installed.
      ValueError: it is not clear which is meant, there is no such run or weights, or damaged ones.
    """
    if weights is not None:
        if run is not None:
            raise ValueError(f"--weights take the place of a run. Received: both, RUN={str(run)!r}")
        if model is None:
            raise ValueError("--weights need the name of their model: give --model")
        return _of_weights(model, weights)
    if run is None:
        raise ValueError("give the folder of a run, or --model and --weights")
    described = run_folder.read_run(run)
    if model is None:
        return described, training.load(run)
    options = options_for(model, described.options, len(described.class_names))
    into = models.create(model, **options).abstract(described.input_shape)
    return described, training.load(run, into=into)


def _of_weights(model: str, weights: str) -> tuple[Run, nnx.Module]:
    shape = models.input_shape(model)
    if len(shape) != 3:
        raise ValueError(
            "--weights are for networks of pictures (H, W, channels). "
            f"Received: --model {model}, of inputs {shape}"
        )
    options: dict[str, Any] = {}
    if "num_classes" in models.option_names(model):  # as many as the weights have
        trunk = models.create(model, weights=weights, num_classes=0)
        assert isinstance(trunk, pretrained)
        assert isinstance(trunk.weights, TorchWeights)
        options["num_classes"] = trunk.weights.num_classes
    network = models.create(model, weights=weights, **options)
    assert isinstance(network, pretrained)
    expected = network.preprocessing
    assert expected is not None
    shape = (*expected.image_size, len(expected.mean))
    framing = Framing(
        shape,
        any_size=True,
        aspect="crop",
        interpolation=expected.interpolation,
        crop_share=expected.crop_share,
    )
    run = Run(
        model=model,
        options=models.options_of(network),
        input_shape=shape,
        class_names=expected.class_names or tuple(map(str, range(options.get("num_classes", 0)))),
        framing=framing,
        data=None,
        metrics={},
    )
    return run, network.build(shape, rngs=nnx.Rngs(0))
