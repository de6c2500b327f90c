"""The inputs that one output within a model depends on: computed, and measured by gradients."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn import arguments
from jaxcnn.data.images import Images
from jaxcnn.insight.class_activation import spatial_place
from jaxcnn.insight.explained_score import Arrays, Inspection, Place, all_finite
from jaxcnn.insight.given_network import check_network
from jaxcnn.insight.observed_model import run_collecting, traceable
from jaxcnn.insight.score_gradient import sum_over_rows
from jaxcnn.shapes import ReceptiveField
from jaxcnn.training.forward import to_float
from jaxcnn.training.model_structure import Structure

# A position belongs to the effective field if its influence is above this share of the largest:
# two standard deviations of a Gaussian, as in the paper.
_LEAST_SHARE = 1 - 0.9545


@dataclass(frozen=True)
class MeasuredField:
    """The receptive field of one output of a layer.

    Attributes:
      layer: The path of the output.
      position: Its position on each spatial axis.
      influence: ``(*spatial)``, at least 0: the root mean square of the derivatives of the output
        with respect to each position of the input.
      computed: The first position of the computed field and the one after its last, on each spatial
        axis; they may lie in the padding. ``None`` where no description says it.
    """

    layer: str
    position: tuple[int, ...]
    influence: np.ndarray
    computed: tuple[tuple[int, int], ...] | None

    @property
    def effective_size(self) -> float:
        """Side of a square, or cube, of as many positions as matter.

        Counted are those whose influence is above 4.55 % of the largest.
        """
        count = np.sum(self.influence > _LEAST_SHARE * self.influence.max())
        return float(count) ** (1 / self.influence.ndim)


def measure_receptive_field(
    key: jax.Array,
    model: nnx.Module,
    layer: str,
    x: Images | None = None,
    *,
    samples: int = 16,
    batch_size: int = 8,
) -> MeasuredField:
    """Return the computed receptive field of a layer's central output, and the effective one.

    The effective field is the gradient of the output at the central position, multiplied by random
    numbers N(0, 1) per channel, so that channels do not cancel; squared, summed over the channels
    of the input, and averaged over images and draws. It is zero outside of the computed field, and
    usually much smaller (Luo et al., 2016).

    >>> import jaxcnn as cnn
    >>> net = cnn.serial(cnn.conv(4, 3), cnn.conv(4, 3), cnn.global_avg_pool(), cnn.dense(2))
    >>> model = net.build((9, 9, 1), rngs=nnx.Rngs(0))
    >>> field = measure_receptive_field(jax.random.key(0), model, "conv_2")
    >>> field.position, field.computed, field.effective_size
    ((2, 2), ((2, 7), (2, 7)), 5.0)

    Args:
      key: Key of the random numbers.
      model: Any module.
      layer: The path of an output with spatial axes.
      x: ``(N, *spatial, C)`` images, uint8 or floating point; ``None`` means random ones, uniform
        in [0, 1], of the shape that the model was built for.
      samples: Number of draws, each with the next of the images; at least 1.
      batch_size: Draws that are computed together, at least 1.

    Raises:
      TypeError: an argument has the wrong type, or the model branches on values.
      ValueError: the images do not fit the model, the layer has no spatial axes, or an option is
        out of range.

    Luo et al., 2016, arXiv 1701.04128.
    """
    samples = arguments.check_count("samples", samples)
    batch_size = arguments.check_count("batch_size", batch_size)
    if x is None:
        shape = getattr(model, "input_shape", None)
        if shape is None:
            raise ValueError(
                "x must be images for a model without input_shape, which only models of a "
                f"description have. Received: x=None for a {type(model).__name__}"
            )
        key, image_key = jax.random.split(key)
        x = jax.random.uniform(image_key, (min(samples, 16), *shape))
    inspected = Inspection.of(model, x)
    place = spatial_place(inspected, layer)
    with traceable():
        squares, finite = _squares(
            inspected.observed.structure, place, samples, batch_size, inspected.observed.arrays,
            inspected.images, key,
        )  # fmt: skip
    inspected.check_finite(finite)
    path = str(place.path)
    position = tuple(size // 2 for size in place.shape[:-1])
    computed = _computed_field(model, path, inspected.images.shape[1:], position)
    return MeasuredField(path, position, np.sqrt(squares), computed)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _squares(
    structure: Structure,
    place: Place,
    samples: int,
    batch_size: int,
    arrays: Arrays,
    images: jax.Array,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    images = to_float(images)
    center = tuple(size // 2 for size in place.shape[:-1])

    def squares(numbers: jax.Array, row: jax.Array) -> jax.Array:
        keys = jax.vmap(functools.partial(jax.random.fold_in, key))(row)
        weights = jax.vmap(lambda key: jax.random.normal(key, place.shape[-1:]))(keys)

        def output(images: jax.Array) -> jax.Array:
            found = run_collecting(structure, arrays, images)
            central = found[str(place.path)][(slice(None), *center)]
            return (central.astype(jnp.float32) * weights).sum()

        gradient = jax.grad(output)(images[row % len(images)])
        return jnp.square(gradient.astype(jnp.float32)).sum(axis=-1)

    rows = jnp.arange(samples)
    start = jnp.zeros((1, *images.shape[1:-1]))
    total = sum_over_rows(squares, start, jnp.zeros_like(rows), rows, batch_size=batch_size)
    return total[0] / samples, all_finite(total)


def _computed_field(
    model: nnx.Module, path: str, input_shape: tuple[int, ...], position: tuple[int, ...]
) -> tuple[tuple[int, int], ...] | None:
    """Return the computed field of the output at a position, if the model has a description."""
    description, _ = check_network(model, input_shape)
    if description is None:
        return None
    fields = None
    for step in description.walk(input_shape):
        name = "/".join(step.path)
        if name == path or name.startswith(f"{path}/"):  # of a block, its last step
            fields = step.receptive_field
    if not fields:
        return None
    return tuple(map(_ends, fields, position))


def _ends(field: ReceptiveField, position: int) -> tuple[int, int]:
    first = field.start + position * field.jump
    return first, first + field.size
