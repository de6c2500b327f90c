"""A model with images that fit it, and the number that an attribution explains, checked."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn import arguments
from jaxcnn.data.images import Images
from jaxcnn.insight.observed_model import (
    ObservedModel,
    check_inputs,
    run_observed,
    run_unobserved,
    traceable,
)
from jaxcnn.modules.parameter_tree import ArrayTree
from jaxcnn.training.model_structure import Structure
from jaxcnn.training.output_activation import check_output

Target: TypeAlias = int | Sequence[int] | np.ndarray | jax.Array | None
Arrays: TypeAlias = tuple[ArrayTree, ArrayTree]
PREDICTED = -1  # stands for the class that the model predicts


class Place(NamedTuple):
    """An output within a model, or its images.

    Attributes:
      path: The path of the output; ``None`` for the images.
      shape: Its shape for one image.
      dtype: Its dtype.
    """

    path: str | None
    shape: tuple[int, ...]
    dtype: Any


@dataclass(frozen=True)
class Inspection:
    """A model, and images that fit it.

    Attributes:
      observed: The model.
      images: ``(N, *spatial, C)``, floating point or uint8.
    """

    observed: ObservedModel
    images: jax.Array

    @classmethod
    def of(cls, model: nnx.Module, x: Images) -> "Inspection":
        """Check a model and images.

        Raises:
          TypeError: an argument has the wrong type, or the model cannot be traced.
          ValueError: the images do not fit the model.
        """
        inspected = Inspection(ObservedModel.of(model), check_inputs(x))
        if not len(inspected.images):
            raise ValueError(f"x must have at least one image. Received: shape {np.shape(x)}")
        output_of(model, inspected)
        return inspected

    def place(self, layer: str | None) -> Place:
        """Return the output at a path, or the images for ``None``.

        Raises:
          TypeError: it is not a path.
          ValueError: there is no such output, or it is not one array with a row per image.
        """
        if layer is None:
            is_pixels = self.images.dtype == jnp.uint8
            dtype = jnp.dtype("float32") if is_pixels else self.images.dtype
            return Place(None, self.images.shape[1:], dtype)
        path = self.observed.check_path("layer", layer, self.images)
        found = self.observed.shapes(self.images)[path]
        if not _is_rows(found, len(self.images)):
            raise ValueError(
                "layer must have one floating-point array as output, with one row per image. "
                f"Received: layer={layer!r}, with the output {arguments.shown(found)}"
            )
        return Place(path, found.shape[1:], found.dtype)

    def check_finite(self, finite: jax.Array) -> None:
        """Say where numbers stop being finite, if a result is not.

        Args:
          finite: Whether all numbers of a result are finite.

        Raises:
          ValueError: they are not.
        """
        if finite:
            return
        observed = self.observed
        flags = _finite_outputs(observed.structure, observed.arrays, self.images)
        for path in observed.shapes(self.images):
            if not flags[path]:
                raise ValueError(
                    "the model's outputs must be finite. Received: NaN or infinity, first in the "
                    f"output of {path!r}. Usual causes are weights of a training that diverged and "
                    "images of another range"
                )
        raise ValueError(
            "the gradient must be finite. Received: NaN or infinity, though every output is finite;"
            " such is the derivative of a square root or a norm at 0"
        )


@dataclass(frozen=True)
class Question(Inspection):
    """A model, images, and for each image the class whose score is explained.

    Attributes:
      target: ``(N,)`` int32 classes, or −1 for the predicted class.
      classes: Number of outputs of the model; 1 for one number per image.
    """

    target: np.ndarray
    classes: int

    @classmethod
    def about(cls, model: nnx.Module, x: Images, target: Target) -> "Question":
        """Check a model, images and targets.

        Raises:
          TypeError: an argument has the wrong type, or the model cannot be traced.
          ValueError: the images do not fit the model, a target is not one of its classes, or the
            model does not return ``(N, classes)``.
        """
        inspected = Inspection.of(model, x)
        images, output = inspected.images, output_of(model, inspected)
        if not isinstance(output, jax.ShapeDtypeStruct):
            check_output(output)
        if output.ndim not in (1, 2) or output.shape[0] != len(images):
            raise ValueError(
                "the model must return (N, classes), or (N,) for one number per image. Received: "
                f"{output.shape} for images {images.shape}. To explain one position of a map, wrap "
                "the model in a module that returns the outputs at that position"
            )
        classes = 1 if output.ndim == 1 else output.shape[1]
        targets = _check_target(target, len(images), classes)
        return cls(inspected.observed, images, targets, classes)

    @property
    def asked(self) -> tuple[Arrays, jax.Array, np.ndarray]:
        """The arrays of the model, the images and the targets, for compiled functions."""
        return self.observed.arrays, self.images, self.target


def output_of(model: nnx.Module, inspected: Inspection) -> Any:
    """Return the shapes of a model's outputs; nothing is computed.

    Args:
      model: The model.
      inspected: The same with its images.

    Raises:
      TypeError: the model cannot be traced.
      ValueError: the images do not fit the model.
    """
    observed, images = inspected.observed, inspected.images
    expected = getattr(model, "input_shape", None)
    with traceable():
        try:
            return _output.eval_shape(observed.structure, observed.arrays, images)
        except (jax.errors.ConcretizationTypeError, jax.errors.UnexpectedTracerError):
            raise
        except (TypeError, ValueError) as error:
            if images.shape[1:] == expected:
                raise
            built = ", ".join(map(str, ("N", *(expected or ()))))
            rule = f", which was built for ({built})" if expected else ""
            raise ValueError(
                f"x must fit the model{rule}. Received: shape {images.shape}. The model says: "
                f"{error}"
            ) from error


_output = jax.jit(run_unobserved, static_argnums=0)


@functools.partial(jax.jit, static_argnums=0)
def _finite_outputs(structure: Structure, arrays: Arrays, images: jax.Array) -> dict[str, Any]:
    flags = {}

    def observe(path: str, output: Any) -> Any:
        leaves = [leaf for leaf in jax.tree.leaves(output) if isinstance(leaf, jax.Array)]
        flags[path] = functools.reduce(jnp.logical_and, map(all_finite, leaves), jnp.array(True))
        return output

    run_observed(structure, arrays, images, observe)
    return flags


def all_finite(*arrays: jax.Array) -> jax.Array:
    """Return whether all numbers of arrays are finite."""
    flags = [jnp.isfinite(array).all() for array in arrays]
    return functools.reduce(jnp.logical_and, flags)


def _is_rows(output: Any, count: int) -> bool:
    if not isinstance(output, jax.ShapeDtypeStruct) or not output.shape:
        return False
    return output.shape[0] == count and bool(jnp.issubdtype(output.dtype, jnp.floating))


def _check_target(target: Target, count: int, classes: int) -> np.ndarray:
    """Return one class per image."""
    if target is None:
        return np.full(count, PREDICTED, np.int32)
    given = np.asarray(target)
    if given.dtype == bool or not (np.issubdtype(given.dtype, np.integer) or given.size == 0):
        raise TypeError(
            "target must be a class, one class per image, or None for the predicted class. "
            f"Received: target={arguments.shown(target)}"
        )
    if given.shape not in ((), (count,)):
        raise ValueError(
            f"target must be one class, or one for each of the {count} images. "
            f"Received: target of shape {given.shape}"
        )
    if given.size and not 0 <= given.min() <= given.max() < classes:
        raise ValueError(
            f"target must be a class of the model, in [0, {classes - 1}]. "
            f"Received: target={arguments.shown(target)}"
        )
    return np.broadcast_to(given, count).astype(np.int32)


def fill_like(name: str, value: Any, images: jax.Array) -> np.ndarray:
    """Return numbers that broadcast to images.

    Args:
      name: Name of the argument, for the error.
      value: A number, one per channel, or an array.
      images: ``(N, *spatial, C)``.

    Raises:
      TypeError: they are not numbers.
      ValueError: they do not broadcast to the images, or are not finite.
    """
    given = np.asarray(value)
    if given.dtype == bool or not np.issubdtype(given.dtype, np.number):
        raise TypeError(f"{name} must be numbers. Received: {name}={arguments.shown(value)}")
    try:
        fits = np.broadcast_shapes(given.shape, images.shape) == images.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name} must be a number, one per channel, or an array that broadcasts to x of shape "
            f"{images.shape}. Received: shape {given.shape}"
        )
    if not np.isfinite(given).all():
        raise ValueError(f"{name} must be finite. Received: NaN or infinity")
    return given.astype(np.float32)
