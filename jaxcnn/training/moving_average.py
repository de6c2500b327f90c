"""The moving average of a model's weights."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxcnn.training.parameter_tree import ArrayTree


class MovingAverage(NamedTuple):
    """Exponential moving averages of the arrays of a model, float32.

    average ← d · average + (1 − d) · new, d = min(decay, (1 + t) / (10 + t)) after t steps: the
    first arrays, which are random, soon weigh nothing, as with TensorFlow's
    ``ExponentialMovingAverage(decay, num_updates=t)``. (Averages over a training: Polyak and
    Juditsky, 1992.)

    Running means and variances are averaged like the parameters that they belong to, as timm's
    ``ModelEmaV2`` does: a batch normalization with the last statistics and earlier weights would
    fit neither. Counters and keys are the newest.

    Attributes:
      params: Of the parameters: nested dicts of arrays.
      statistics: Of what else the model keeps.
    """

    params: ArrayTree
    statistics: ArrayTree

    @classmethod
    def create(cls, params: ArrayTree, statistics: ArrayTree) -> "MovingAverage":
        """Returns the average before the first step: copies of the arrays."""
        return jax.tree.map(_float32_copy, cls(params, statistics))

    def update(
        self, params: ArrayTree, statistics: ArrayTree, *, decay: float, steps: jax.Array
    ) -> "MovingAverage":
        """Returns the average after a step.

        Args:
          params: What the step made of the parameters.
          statistics: What it made of what else the model keeps.
          decay: How much stays of the old average in the long run, between 0 and 1.
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
