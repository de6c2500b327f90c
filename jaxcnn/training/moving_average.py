"""The moving average of a model's weights."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcnn.modules.parameter_tree import ArrayTree


class MovingAverage(NamedTuple):
    """Exponential moving averages of the arrays of a model, float32.

    average ← d · average + (1 − d) · new, d = min(decay, (1 + t) / (10 + t)) after t steps, so
    that the first arrays, which are random, soon have no weight, as in TensorFlow's
    ``ExponentialMovingAverage(decay, num_updates=t)`` (averaging: Polyak and Juditsky, 1992).

    Running means and variances are averaged like the parameters, as in timm's ``ModelEmaV2``:
    the last statistics do not fit averaged weights. Counters and keys are the newest.

    Attributes:
      params: Averages of the parameters: nested dicts of arrays.
      statistics: Averages of the model's other arrays.
    """

    params: ArrayTree
    statistics: ArrayTree

    @classmethod
    def create(cls, params: ArrayTree, statistics: ArrayTree) -> "MovingAverage":
        """Return the average before the first step: copies of the arrays."""
        return jax.tree.map(_float32_copy, cls(params, statistics))

    def update(
        self, params: ArrayTree, statistics: ArrayTree, *, decay: float, steps: jax.Array
    ) -> "MovingAverage":
        """Return the average after a step.

        Args:
          params: Parameters after the step.
          statistics: The model's other arrays after the step.
          decay: Decay per step in the long run, between 0 and 1.
          steps: Number of steps taken before, int32.
        """
        count = steps.astype(jnp.float32)
        share = 1 - jnp.minimum(decay, (1 + count) / (10 + count))

        def blend(old: jax.Array, new: jax.Array) -> jax.Array:
            if not jnp.issubdtype(old.dtype, jnp.floating):
                return new
            return old + share * (new.astype(old.dtype) - old)

        return jax.tree.map(blend, self, MovingAverage(params, statistics))


def _float32_copy(array: jax.Array) -> jax.Array:
    if jnp.issubdtype(array.dtype, jnp.floating):
        array = array.astype(jnp.promote_types(array.dtype, jnp.float32))
    return jnp.copy(array)
