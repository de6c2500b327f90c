"""Attributions by gradients: plain, averaged over noise, and integrated along a line."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import arguments
from jaxcnn.data.images import Images
from jaxcnn.insight.explained_score import (
    Arrays,
    Place,
    Question,
    Target,
    all_finite,
    fill_like,
)
from jaxcnn.insight.observed_model import run_collecting, traceable
from jaxcnn.insight.score_gradient import (
    differentiate,
    outputs_in_batches,
    resolve_target,
    sum_over_rows,
)
from jaxcnn.training.forward import to_float
from jaxcnn.training.model_structure import Structure


def gradients(
    model: nnx.Module, x: Images, target: Target = None, *, layer: str | None = None
) -> jax.Array:
    """Return the gradient of a class's score with respect to the images, or to a layer's output.

    The score is the model's output for the class, at inference: the logit, unless the model ends in
    a softmax. uint8 pixels count as numbers in [0, 1].

    >>> import jaxcnn as cnn
    >>> model = cnn.serial(cnn.flatten(), cnn.dense(3)).build((2, 1), rngs=nnx.Rngs(0))
    >>> found = gradients(model, jnp.ones((1, 2, 1)), 2)
    >>> bool((found[0, :, 0] == model.dense_1.kernel[:, 2]).all())
    True

    Args:
      model: A module with outputs ``(N, classes)``, or one number per image.
      x: ``(N, *spatial, C)``, uint8 pixels or floating point.
      target: A class, one class per image, or ``None`` for the predicted class; with one output per
        image, ``None`` or 0.
      layer: The path of an output, such as ``"block_1/conv_2"``; ``None`` means the images.

    Returns:
      An array of the shape of `x`, or of the layer's output.

    Raises:
      TypeError: an argument has the wrong type, or the model branches on values.
      ValueError: the images do not fit the model, the target is not one of its classes, there is no
        such path, or the model computes NaN; the message names the first output that has it.

    Simonyan, Vedaldi and Zisserman, 2013, arXiv 1312.6034.
    """
    question = Question.about(model, x, target)
    with traceable():
        found, finite = _gradients(
            question.observed.structure, question.place(layer), *question.asked
        )
    question.check_finite(finite)
    return found


@functools.partial(jax.jit, static_argnums=(0, 1))
def _gradients(
    structure: Structure, place: Place, arrays: Arrays, images: jax.Array, target: jax.Array
) -> tuple[jax.Array, jax.Array]:
    found = differentiate(structure, place, arrays, to_float(images), target)
    return found.gradient, all_finite(found.gradient, found.scores)


def smooth_grad(
    key: jax.Array,
    model: nnx.Module,
    x: Images,
    target: Target = None,
    *,
    layer: str | None = None,
    samples: int = 25,
    noise: float = 0.15,
    batch_size: int = 32,
) -> jax.Array:
    """Return the mean gradient over copies of each image with Gaussian noise.

    :math:`M(x) = (1/n)·Σ ∂S(x + ε)/∂x` with :math:`ε ∼ N(0, σ²)`, where σ is `noise` times the
    range of the image.

    >>> import jaxcnn as cnn
    >>> model = cnn.serial(cnn.flatten(), cnn.dense(3)).build((2, 1), rngs=nnx.Rngs(0))
    >>> smooth_grad(jax.random.key(0), model, jnp.ones((1, 2, 1)), samples=4).shape
    (1, 2, 1)

    Args:
      key: Key of the noise.
      model: As for :func:`gradients`.
      x: As for :func:`gradients`.
      target: As for :func:`gradients`; the predicted class is that of the image without noise.
      layer: As for :func:`gradients`; the noise is added to the images all the same.
      samples: Copies of each image, at least 1.
      noise: Standard deviation of the noise as a share of the image's largest less its smallest
        value, at least 0; the paper advises 0.1 to 0.2.
      batch_size: Copies that are computed together, at least 1; it decides the memory, and does not
        change the result.

    Returns:
      An array of the shape of `x`, or of the layer's output.

    Raises:
      TypeError: as for :func:`gradients`.
      ValueError: as for :func:`gradients`, or an option is out of range.

    Smilkov et al., 2017, arXiv 1706.03825.
    """
    samples = arguments.check_count("samples", samples)
    noise = arguments.check_number("noise", noise, minimum=0)
    batch_size = arguments.check_count("batch_size", batch_size)
    question = Question.about(model, x, target)
    with traceable():
        found, finite = _smooth_grad(
            question.observed.structure, question.place(layer), question.classes, samples,
            batch_size, *question.asked, key, jnp.float32(noise),
        )  # fmt: skip
    question.check_finite(finite)
    return found


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _smooth_grad(
    structure: Structure,
    place: Place,
    classes: int,
    samples: int,
    batch_size: int,
    arrays: Arrays,
    images: jax.Array,
    target: jax.Array,
    key: jax.Array,
    noise: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    images = to_float(images)
    outputs = outputs_in_batches(structure, classes, arrays, images, batch_size)
    target = resolve_target(outputs, target)
    axes = tuple(range(1, images.ndim))
    deviation = noise.astype(images.dtype) * (images.max(axes) - images.min(axes))

    def gradient(numbers: jax.Array, row: jax.Array) -> jax.Array:
        keys = jax.vmap(functools.partial(jax.random.fold_in, key))(row)
        drawn = jax.vmap(lambda key: jax.random.normal(key, images.shape[1:], images.dtype))(keys)
        scale = deviation[numbers].reshape(-1, *(1,) * len(axes))
        noisy = images[numbers] + scale * drawn
        return differentiate(structure, place, arrays, noisy, target[numbers]).gradient

    rows = jnp.arange(len(images) * samples)
    start = jnp.zeros((len(images), *place.shape))
    total = sum_over_rows(gradient, start, rows % len(images), rows, batch_size=batch_size)
    return total / samples, all_finite(total)


def integrated_gradients(
    model: nnx.Module,
    x: Images,
    target: Target = None,
    *,
    layer: str | None = None,
    baseline: Any = 0.0,
    steps: int = 50,
    batch_size: int = 32,
) -> jax.Array:
    """Return the integrated gradients of a class's score from a baseline to each image.

    IG(x) = (x − b) ∫ ∂S(b + α(x − b))/∂x dα over α from 0 to 1, as the sum over the middles of
    equal `steps`. Summed over an image they are S(x) − S(b), but for the error of that sum.

    >>> import jaxcnn as cnn
    >>> model = cnn.serial(cnn.flatten(), cnn.dense(3)).build((2, 1), rngs=nnx.Rngs(0))
    >>> x = jnp.ones((1, 2, 1))
    >>> found = integrated_gradients(model, x, 2, steps=4)
    >>> bool(jnp.allclose(found.sum(), model(x)[0, 2]))
    True

    Args:
      model: As for :func:`gradients`.
      x: As for :func:`gradients`.
      target: As for :func:`gradients`; the predicted class is that of the image.
      layer: As for :func:`gradients`; the line then runs between the layer's outputs for the
        baseline and for the image.
      baseline: A number, one per channel, or an array that broadcasts to `x`, in numbers as the
        model receives them: pixels in [0, 1].
      steps: Number of points on the line, at least 1.
      batch_size: Points that are computed together, at least 1; it decides the memory, and does not
        change the result.

    Returns:
      An array of the shape of `x`, or of the layer's output.

    Raises:
      TypeError: as for :func:`gradients`.
      ValueError: as for :func:`gradients`, the baseline does not fit, or an option is out of range.

    Sundararajan, Taly and Yan, 2017, arXiv 1703.01365.
    """
    steps = arguments.check_count("steps", steps)
    batch_size = arguments.check_count("batch_size", batch_size)
    question = Question.about(model, x, target)
    values = fill_like("baseline", baseline, question.images)
    with traceable():
        found, finite = _integrated_gradients(
            question.observed.structure, question.place(layer), question.classes, steps,
            batch_size, *question.asked, values,
        )  # fmt: skip
    question.check_finite(finite)
    return found


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _integrated_gradients(
    structure: Structure,
    place: Place,
    classes: int,
    steps: int,
    batch_size: int,
    arrays: Arrays,
    images: jax.Array,
    target: jax.Array,
    baseline: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    images = to_float(images)
    outputs = outputs_in_batches(structure, classes, arrays, images, batch_size)
    target = resolve_target(outputs, target)
    first = jnp.broadcast_to(baseline.astype(images.dtype), images.shape)
    ends = [_values_at(structure, place, arrays, end, batch_size) for end in (first, images)]
    first, last = ends

    def gradient(numbers: jax.Array, share: jax.Array) -> jax.Array:
        share = share.reshape(-1, *(1,) * (first.ndim - 1)).astype(first.dtype)
        between = first[numbers] + share * (last[numbers] - first[numbers])
        found = differentiate(structure, place, arrays, images[numbers], target[numbers], between)
        return found.gradient

    rows = jnp.arange(len(images) * steps)
    shares = ((rows // len(images)).astype(jnp.float32) + 0.5) / steps
    start = jnp.zeros(first.shape)
    total = sum_over_rows(gradient, start, rows % len(images), shares, batch_size=batch_size)
    way = jnp.where(jnp.isnan(last), 0, last - first)  # NaN is the padding of a series
    total = way.astype(total.dtype) * total / steps
    return total, all_finite(total)


def _values_at(
    structure: Structure, place: Place, arrays: Arrays, images: jax.Array, batch_size: int
) -> jax.Array:
    """Return the values of a place, a batch of images at a time."""
    path = place.path
    if path is None:
        return images

    def values(numbers: jax.Array) -> jax.Array:
        found: jax.Array = run_collecting(structure, arrays, images[numbers])[path]
        return found

    start = jnp.zeros((len(images), *place.shape), place.dtype)
    return sum_over_rows(values, start, jnp.arange(len(images)), batch_size=batch_size)
