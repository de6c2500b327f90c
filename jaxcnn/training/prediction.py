"""Predictions of a model for images, in batches of one size."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn import arguments, modules
from jaxcnn.data.dataset import Dataset
from jaxcnn.data.images import Images, check_images, series_lengths
from jaxcnn.modules.masked_calls import reads_padding
from jaxcnn.modules.parameter_tree import params_of, statistics_of
from jaxcnn.other_names import explained
from jaxcnn.training.evaluation_step import forward_step
from jaxcnn.training.model_structure import Structure
from jaxcnn.training.out_of_memory import advise_on_memory
from jaxcnn.training.output_activation import activation_of_outputs, find_ending, known_activation
from jaxcnn.training.placement import ONE_DEVICE, Devices, Placement


@explained
def predict(
    model: nnx.Module,
    images: Images | Dataset,
    *,
    batch_size: int = 256,
    activation: Callable[[jax.Array], jax.Array] | str | None = "auto",
    devices: Devices = "all",
) -> np.ndarray:
    """Return the prediction for each image: by default the probability of each class.

    Args:
      model: As for :func:`fit`.
      images: ``(N, H, W, C)``, uint8 pixels or floating-point values, which are not rescaled; or a
        data set, whose images are taken.
      batch_size: Images per step, at least 1. Fewer images are filled up to the next power of two,
        so that a server compiles 9 programs for up to 256 images, not one for each number.
      activation: ``"softmax"`` over the last axis, for one class per image or at each position;
        ``"sigmoid"``, for several classes per image or a yes or no; ``None`` or ``"none"``, for a
        regression; or a function of the float32 outputs. ``"auto"`` follows the training of a model
        that :func:`fit` or :func:`load` returned: the activation that its loss contains. Of another
        model it is none if the model ends in a softmax or sigmoid, or has outputs ``(batch,)``; the
        sigmoid if it has one output; else the softmax.
      devices: The devices that share each batch, as for :func:`fit`; where several processes work
        together, each predicts alone, on its own.

    Returns:
      ``(N, classes)`` float32, or ``(N, …)`` as the model's outputs are; under the softmax the
      last axis sums to 1, under the sigmoid each number is a probability of its own.

    Raises:
      TypeError: the images or the activation have the wrong type.
      ValueError: ``batch_size`` is below 1, the images do not fit the model, or `activation` is
        another word.
    """
    batch_size = arguments.check_integer("batch_size", batch_size, minimum=1)
    images = images.images if isinstance(images, Dataset) else check_images(images)
    modules.check_module("model", model)
    check_padding(model, images)
    placement = Placement.over(devices, local=True)
    size = rows_of_a_step(len(images), batch_size, placement.num_devices)
    predictor = Predictor(
        model, (size, *images.shape[1:]), images.dtype, activation=activation, placement=placement
    )
    images = np.asarray(images)  # a slice of an array on the device is a program of its own
    outputs = [] if len(images) else [predictor.nothing()]
    with advise_on_memory(batch_size, trains=False):
        for start in range(0, len(images), size):
            rows = images[start : start + size]
            outputs.append(np.asarray(predictor(rows))[: len(rows)])
    return np.concatenate(outputs)


class Predictor:
    """The compiled inference of a model for batches of one shape, with the activation.

    Attributes:
      activation: Name of the activation; ``None`` for a function of the user's own.
    """

    def __init__(
        self,
        model: nnx.Module,
        batch_shape: tuple[int, ...],
        dtype: Any,
        *,
        activation: Callable[[jax.Array], jax.Array] | str | None = "auto",
        placement: Placement = ONE_DEVICE,
    ) -> None:
        """Trace the model, once where its activation is known.

        Args:
          model: Any module.
          batch_shape: ``(rows, *spatial, channels)``, the shape of every batch.
          dtype: That of the images.
          activation: As for :func:`predict`.
          placement: The devices on which images and the model's arrays live.

        Raises:
          TypeError: the activation has the wrong type.
          ValueError: the images do not fit the model, or the activation is another word.
        """
        self._placement, self._batch_shape = placement, batch_shape
        batch = jax.ShapeDtypeStruct(batch_shape, dtype)
        # A function of the user's own may be none that JAX can compile.
        self._activate = activation if callable(activation) else None
        word = None if callable(activation) else known_activation(model, activation)
        if word is None and self._activate is None:
            word = activation_of_outputs(*describe_outputs(model, batch))
        self.activation = word
        structure = Structure.of(modules.pool_before_relu(modules.in_mode(model, train=False)))
        self._forward = forward_step(structure, word or "none")
        arrays = params_of(model), statistics_of(model)
        traced = _traced(self._forward, arrays, batch)
        self._output_shape: tuple[int, ...] = traced.out_avals[0].shape
        self._arrays = placement.put_state(arrays)

    def __call__(self, rows: np.ndarray) -> Any:
        """Start the computation for a batch, and return its predictions, ``(batch, …)`` float32.

        Args:
          rows: At most as many rows as a batch has; fewer are repeated, and the predictions for
            the first ones are those of `rows`.
        """
        filled = rows if len(rows) == self._batch_shape[0] else np.resize(rows, self._batch_shape)
        predicted = self._forward(*self._arrays, self._placement.put_rows(filled))
        return predicted if self._activate is None else self._activate(predicted)

    def nothing(self) -> np.ndarray:
        """Return the predictions for no image."""
        none = jnp.zeros((0, *self._output_shape[1:]), jnp.float32)
        return np.asarray(none if self._activate is None else self._activate(none))


def likeliest(outputs: jax.Array) -> jax.Array:
    """Return the class of the largest output at each position.

    As an ``activation`` of :func:`predict`, only the classes leave the device, so that large
    pictures of many classes fit into memory.
    """
    few = outputs.shape[-1] <= np.iinfo(np.uint8).max
    return jnp.argmax(outputs, axis=-1).astype(jnp.uint8 if few else jnp.int32)


def rows_of_a_step(count: int, batch_size: int, num_devices: int = 1) -> int:
    """Return the number of rows to which every batch is filled up.

    It is the batch size, or for fewer images the next power of two, times the number of devices:
    images of every number are predicted by a few programs. The devices divide it.
    """
    size = num_devices
    while size < count:
        size *= 2
    return min(size, -(-batch_size // num_devices) * num_devices)


def describe_outputs(
    model: nnx.Module, images: Images | jax.ShapeDtypeStruct
) -> tuple[tuple[int, ...], str | None]:
    """Return the shape of a model's outputs for one image, and the activation at its end.

    The model is traced, once for all images of a shape, and nothing is computed.
    """
    modules.check_module("model", model)
    forward = forward_step(Structure.of(modules.in_mode(model, train=False)), "none")
    one = jax.ShapeDtypeStruct((1, *images.shape[1:]), images.dtype)
    program = _traced(forward, (params_of(model), statistics_of(model)), one)
    return program.out_avals[0].shape, find_ending(program.jaxpr)


def _traced(forward: jax.stages.Wrapped, arrays: Any, batch: jax.ShapeDtypeStruct) -> Any:
    try:
        return forward.trace(*arrays, batch).jaxpr
    except ValueError as error:
        if len(batch.shape) != 3:
            raise
        raise ValueError(f"{error} If this is one image, use images[None].") from error


def check_padding(model: nnx.Module, images: Images) -> None:
    """Check that a model can read series of several lengths, if the images are such.

    Raises:
      ValueError: it is not masked, or a series is too short for it.
    """
    lengths = series_lengths(images) if np.issubdtype(images.dtype, np.floating) else None
    if lengths is None:
        return
    shortest = int(lengths.min())
    if not reads_padding(model):
        raise ValueError(
            "the model must respect the padding of series of several lengths, which is NaN: build "
            "it from cnn.masked(network), or load the series with length, cut to one. Received: "
            f"series of {shortest} to {int(lengths.max())} steps and a model that is not masked"
        )
    description = getattr(model, "description", None)
    if description is not None:
        try:
            description.output_shape((shortest, images.shape[-1]))
        except ValueError as error:
            raise ValueError(
                f"the shortest series, of {shortest} steps, is too short for the model: {error}"
            ) from error
