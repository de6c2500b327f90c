"""Class activation maps by gradients: Grad-CAM and Grad-CAM++."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import arguments, ops
from jaxcnn.data.images import Images
from jaxcnn.insight.explained_score import (
    Arrays,
    Inspection,
    Place,
    Question,
    Target,
    all_finite,
)
from jaxcnn.insight.observed_model import traceable
from jaxcnn.insight.score_gradient import Derivative, differentiate
from jaxcnn.training.forward import to_float
from jaxcnn.training.model_structure import Structure


def grad_cam(
    model: nnx.Module,
    x: Images,
    target: Target = None,
    *,
    layer: str | None = None,
    resize: bool = True,
) -> jax.Array:
    """Return the Grad-CAM of each image: where a layer speaks for a class.

    :math:`L = max(0, Σ_k w_k·A^k)`, where A is the layer's output and :math:`w_k` the mean over
    positions of the gradient of the class's score with respect to its channel k.

    >>> import jaxcnn as cnn
    >>> net = cnn.serial(cnn.conv(8, 3), jax.nn.relu, cnn.global_avg_pool(), cnn.dense(10))
    >>> model = net.build((28, 28, 1), rngs=nnx.Rngs(0))
    >>> grad_cam(model, jnp.ones((2, 28, 28, 1))).shape
    (2, 28, 28)

    Args:
      model: As for :func:`gradients`.
      x: As for :func:`gradients`.
      target: As for :func:`gradients`.
      layer: The path of an output with spatial axes; ``None`` means the last one that has more than
        one position, such as the input of a global pool.
      resize: Whether to interpolate the maps linearly to the spatial size of `x`.

    Returns:
      ``(N, *spatial)``, at least 0, in the spatial size of `x`, or of the layer's output.

    Raises:
      TypeError: as for :func:`gradients`.
      ValueError: as for :func:`gradients`, or the layer has no spatial axes.

    Selvaraju et al., 2017, arXiv 1610.02391.
    """
    return _class_activation(_mean_gradient, model, x, target, layer, resize)


def grad_cam_plus_plus(
    model: nnx.Module,
    x: Images,
    target: Target = None,
    *,
    layer: str | None = None,
    resize: bool = True,
) -> jax.Array:
    """Return the Grad-CAM++ of each image, which shows several instances of a class better.

    As :func:`grad_cam` with :math:`w_k = Σ α·max(0, g)` over positions, where g is the gradient and
    :math:`α = g²/(2·g² + g^3·Σ A) = 1/(2 + g·Σ A)`, with the sum over the positions of the channel.
    It is derived for layers whose outputs are at least 0, such as those of ReLU; a negative sum
    counts as 0.

    >>> import jaxcnn as cnn
    >>> net = cnn.serial(cnn.conv(8, 3), jax.nn.relu, cnn.global_avg_pool(), cnn.dense(10))
    >>> model = net.build((28, 28, 1), rngs=nnx.Rngs(0))
    >>> grad_cam_plus_plus(model, jnp.ones((2, 28, 28, 1)), layer="relu_1", resize=False).shape
    (2, 26, 26)

    Args:
      model: As for :func:`gradients`.
      x: As for :func:`gradients`.
      target: As for :func:`gradients`.
      layer: As for :func:`grad_cam`.
      resize: As for :func:`grad_cam`.

    Returns:
      As for :func:`grad_cam`.

    Raises:
      TypeError: as for :func:`gradients`.
      ValueError: as for :func:`grad_cam`.

    Chattopadhay et al., 2018, arXiv 1710.11063, equation 19.
    """
    return _class_activation(_weighted_gradient, model, x, target, layer, resize)


def _mean_gradient(found: Derivative) -> jax.Array:
    return found.gradient.mean(axis=_positions(found.gradient), keepdims=True)


def _weighted_gradient(found: Derivative) -> jax.Array:
    axes = _positions(found.gradient)
    total = jnp.maximum(found.value.sum(axis=axes, keepdims=True), 0)
    positive = jnp.maximum(found.gradient, 0)
    return (positive / (2 + positive * total)).sum(axis=axes, keepdims=True)


def _positions(array: jax.Array) -> tuple[int, ...]:
    return tuple(range(1, array.ndim - 1))


def _class_activation(
    weigh: Callable[[Derivative], jax.Array],
    model: nnx.Module,
    x: Images,
    target: Target,
    layer: str | None,
    resize: bool,
) -> jax.Array:
    resize = arguments.check_flag("resize", resize)
    question = Question.about(model, x, target)
    place = spatial_place(question, layer)
    with traceable():
        found, finite = _maps(weigh, question.observed.structure, place, resize, *question.asked)
    question.check_finite(finite)
    return found


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _maps(
    weigh: Callable[[Derivative], jax.Array],
    structure: Structure,
    place: Place,
    resize: bool,
    arrays: Arrays,
    images: jax.Array,
    target: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    images = to_float(images)
    found = differentiate(structure, place, arrays, images, target)
    gradient, value = found.gradient.astype(jnp.float32), found.value.astype(jnp.float32)
    weights = weigh(Derivative(gradient, value, found.scores))
    maps = jnp.maximum((weights * value).sum(axis=-1, keepdims=True), 0)
    finite = all_finite(weights, maps, found.scores)  # the maximum of NaN and 0 may be 0
    if resize:
        maps = ops.resize(maps, images.shape[1:-1])
    return maps[..., 0], finite


def spatial_place(inspected: Inspection, layer: str | None) -> Place:
    """Return the place of an output with spatial axes; by default of the last one.

    Args:
      inspected: The model and the images.
      layer: A path, or ``None``.

    Raises:
      TypeError: it is not a path.
      ValueError: there is no such output, or it has no spatial axes.
    """
    shapes = inspected.observed.shapes(inspected.images)
    spatial = [
        path for path, output in shapes.items() if _is_spatial(output, inspected.images.ndim)
    ]
    if layer is None:
        large = [path for path in spatial if math.prod(shapes[path].shape[1:-1]) > 1]
        if not large:
            raise ValueError(
                "the model must have an output with the spatial axes of its images and more than "
                f"one position. Received: a model with the outputs {arguments.shown([*shapes])}"
            )
        return inspected.place(large[-1])
    place = inspected.place(layer)
    if place.path not in spatial:
        hint = f". The last output with spatial axes is {spatial[-1]!r}" if spatial else ""
        raise ValueError(
            "layer must have the spatial axes of the images, (N, *spatial, channels). Received: "
            f"layer={layer!r}, with the output {('N', *place.shape)}".replace("'N'", "N")
            + hint
        )
    return place


def _is_spatial(output: Any, axes: int) -> bool:
    return isinstance(output, jax.ShapeDtypeStruct) and len(output.shape) == axes
