"""Series of several lengths: values and lengths that flow through a network together."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxcnn import checks


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["values", "lengths"], meta_fields=[]
)
@dataclass(frozen=True)
class Masked:
    """Series and the number of their steps; values after the end are 0.

    Modules that are called by :func:`jaxcnn.modules.call`, as all within a network of this library
    are, compute each series as if it were alone.

    Attributes:
      values: ``(batch, time, channels)``.
      lengths: ``(batch,)`` int32.
    """

    values: jax.Array
    lengths: jax.Array

    @property
    def mask(self) -> jax.Array:
        """``(batch, time, 1)`` bool, True for steps before the end."""
        return jnp.arange(self.values.shape[1])[None, :, None] < self.lengths[:, None, None]

    def filled(self, fill: float) -> jax.Array:
        """Return the values with `fill` in place of 0 after the end."""
        return jnp.where(self.mask, self.values, jnp.asarray(fill, self.values.dtype))

    def with_values(self, values: jax.Array) -> "Masked":
        """Return other values at the same steps, with 0 after the end."""
        if values.shape[:2] != self.values.shape[:2]:
            raise ValueError(
                "a function within a masked network must keep batch and time. "
                f"Received: shape {values.shape} for {self.values.shape}"
            )
        return masked_values(values, self.lengths)


def masked_values(values: jax.Array, lengths: jax.Array) -> Masked:
    """Return series with 0 after the end of each."""
    series = Masked(values, lengths)
    return Masked(series.filled(0), lengths)


def read_mask(x: jax.Array) -> Masked:
    """Return series whose last steps, NaN in every channel, are padding.

    >>> read_mask(jnp.array([[[1.0], [2.0]], [[1.0], [jnp.nan]]])).lengths
    Array([2, 1], dtype=int32)

    Args:
      x: ``(batch, time, channels)``, floating point.

    Raises:
      TypeError: ``x`` is not floating point.
      ValueError: ``x`` does not have 3 axes.
    """
    x = checks.array("x", x)
    checks.rank("x", x, 3)
    checks.floating("x", x)
    present = ~jnp.isnan(x).all(axis=-1)
    steps = jnp.arange(1, x.shape[1] + 1, dtype=jnp.int32)
    return masked_values(x, jnp.where(present, steps[None], 0).max(axis=1, initial=0))


def align(x: Masked, low: jax.Array, steps: int, *, fill: float, mode: str = "zeros") -> jax.Array:
    """Return the values, each series moved by its own padding: ``(batch, steps, channels)``.

    Step t of the result is step t − low of the series. With ``"zeros"`` steps outside of the
    series are `fill`; other modes continue it as :func:`jaxcnn.ops.pad` does.

    Args:
      x: The series.
      low: ``(batch,)`` steps of padding before the start.
      steps: Steps of the result.
      fill: Content of the padding with ``"zeros"``.
      mode: A mode of :func:`jaxcnn.ops.pad`.
    """
    places = jnp.arange(steps)[None] - low[:, None]
    size = jnp.maximum(x.lengths, 1)[:, None]
    if mode == "circular":
        inside = places % size
    elif mode == "reflect":
        period = jnp.maximum(2 * (size - 1), 1)
        inside = places % period
        inside = jnp.where(inside < size, inside, period - inside)
    else:
        inside = jnp.clip(places, 0, size - 1)
    values = jnp.take_along_axis(x.values, inside[..., None], axis=1, mode="clip")
    if mode != "zeros":
        return values
    real = (places >= 0) & (places < x.lengths[:, None])
    return jnp.where(real[..., None], values, jnp.asarray(fill, values.dtype))


def combine_masked(combine: Callable[[list[jax.Array]], jax.Array], outputs: list[Any]) -> Any:
    """Combine the outputs of branches, of which at least one is masked.

    Raises:
      ValueError: the branches give a series different numbers of steps.
    """
    first = next(each for each in outputs if isinstance(each, Masked))
    steps = first.values.shape[1]
    for each in outputs:
        found = (each.values if isinstance(each, Masked) else each).shape
        if (
            len(found) != 3
            or found[1] not in (steps, 1)
            or (found[1] == 1 < steps and each is first)
        ):
            raise ValueError(
                "the branches of a masked network must give the same number of steps, or one. "
                f"Received: shapes {first.values.shape} and {found}"
            )
    plain = [each.values if isinstance(each, Masked) else each for each in outputs]
    return first.with_values(combine(plain))
