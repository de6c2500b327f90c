"""A feature pyramid, a head that all of its levels share, and a row of numbers per location."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import ops
from jaxcnn.modules.combinators import Pyramid, call
from jaxcnn.other_names import Explained

# The logarithm of the largest distance in strides; beyond it a gradient would overflow.
_LARGEST_LOG = 8.0


class Locations(nnx.Module):
    """The rows of all locations, of the outputs of a detector's head at each level.

    Attributes:
      scale: ``nnx.Param`` of ``(levels,)``: the factor of each level's logarithms of distances.
    """

    def __init__(self, strides: tuple[int, ...]) -> None:
        """Create the factors, which are 1 at first.

        Args:
          strides: Distance of neighboring locations of each level, in pixels.
        """
        self.strides = strides
        self.scale = nnx.Param(jnp.ones(len(strides), jnp.float32))

    def __call__(self, levels: Sequence[jax.Array]) -> jax.Array:
        """Return ``(batch, locations, 8 + classes)`` float32, level by level.

        Args:
          levels: For each level ``(batch, height, width, 5 + classes)``: the logarithms of the
            distances to the left, upper, right and lower edge in strides, the centerness logit,
            the class logits.
        """
        scale = self.scale[...].astype(jnp.float32)
        rows = [
            _rows(level, stride, scale[index])
            for index, (level, stride) in enumerate(zip(levels, self.strides, strict=True))
        ]
        return jnp.concatenate(rows, axis=1)


class Detector(Explained, nnx.Module):
    """Feature maps, their pyramid, a head that all levels share, and a row per location.

    :class:`jaxcnn.detector` describes it and builds it.
    """

    def __init__(
        self,
        body: Pyramid,
        head: nnx.Module,
        locations: Locations,
        **children: nnx.Module,
    ) -> None:
        """Store the modules.

        Args:
          body: The module that gives the maps, large ones first.
          head: The module that is applied to each level.
          locations: The module that makes rows of the head's outputs.
          **children: ``lateral_n`` and ``output_n`` of each map, ``extra_n`` of each further level.
        """
        self.body = body
        for name, child in children.items():
            setattr(self, name, child)
        self.head = head
        self.locations = locations

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Return ``(batch, locations, 8 + classes)`` float32."""
        child_key = _child_keys(key)
        maps = self.body(x, train=train, key=child_key(0))
        sums = [self._child("lateral", index, each, train) for index, each in enumerate(maps, 1)]
        for index in reversed(range(len(sums) - 1)):  # from the smallest map to the largest
            sums[index] += _enlarged(sums[index + 1], sums[index].shape)
        levels = [self._child("output", index, each, train) for index, each in enumerate(sums, 1)]
        for index in range(1, len(self.locations.strides) - len(maps) + 1):
            levels.append(self._child("extra", index, levels[-1], train))
        outputs = [
            call(self.head, level, train=train, key=child_key(index))
            for index, level in enumerate(levels, 1)
        ]
        rows: jax.Array = self.locations(outputs)
        return rows

    def _child(self, kind: str, index: int, x: jax.Array, train: bool | None) -> jax.Array:
        return call(getattr(self, f"{kind}_{index}"), x, train=train)


def _enlarged(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return a map with its positions repeated to the sizes of a map of ``shape``."""
    if shape[1:-1] == tuple(2 * size for size in x.shape[1:-1]):
        return ops.upsample(x, 2)
    return ops.resize(x, shape[1:-1], method="nearest_floor")


def _rows(head: jax.Array, stride: int, scale: jax.Array) -> jax.Array:
    batch, height, width, channels = head.shape
    head = head.astype(jnp.float32)
    middle = (jnp.arange(max(height, width), dtype=jnp.float32) + 0.5) * stride
    y, x = jnp.meshgrid(middle[:height], middle[:width], indexing="ij")
    place = jnp.stack([x, y, jnp.full_like(x, stride)], axis=-1)
    place = jnp.broadcast_to(place, (batch, height, width, 3))
    distances = stride * jnp.exp(jnp.minimum(scale * head[..., :4], _LARGEST_LOG))
    rows = jnp.concatenate([place, distances, head[..., 4:]], axis=-1)
    return rows.reshape(batch, height * width, channels + 3)


def _child_keys(key: jax.Array | None) -> Callable[[int], jax.Array | None]:
    return lambda index: None if key is None else jax.random.fold_in(key, index)
