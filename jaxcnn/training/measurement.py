"""The metrics of one batch: its losses, and the labels that are predicted correctly."""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn.modules.ensemble import Members
from jaxcnn.training.losses import binary_cross_entropy
from jaxcnn.training.metric_sums import predicted_classes
from jaxcnn.training.output_activation import to_logits
from jaxcnn.training.state import Metrics

Loss: TypeAlias = Callable[[jax.Array, jax.Array], jax.Array]


def measure(
    logits: jax.Array | Members,
    targets: jax.Array,
    mask: jax.Array | np.ndarray,
    loss: Loss,
) -> Metrics:
    """Return the metrics of one batch.

    Args:
      logits: Outputs of the model, ``(batch, …)``; of the members of an ensemble, whose losses are
        averaged.
      targets: Labels, or shares of the classes.
      mask: ``(batch,)`` bool; False marks rows that do not count.
      loss: Maps outputs and targets to losses ``(batch,)``.

    Raises:
      ValueError: the loss does not return one value per example.
    """
    mask = jnp.asarray(mask)
    losses = losses_of(logits, targets, loss)
    logits = logits.combined() if isinstance(logits, Members) else logits
    if losses.shape != mask.shape:
        raise ValueError(
            f"loss must give one value per example, (batch,) = {mask.shape}: the step takes the "
            f"mean itself. Received: shape {losses.shape}"
        )
    share = _correct_share(*to_logits(logits, targets, loss), loss)
    return Metrics(
        jnp.sum(jnp.where(mask, losses, 0.0)),
        jnp.sum(jnp.where(mask, share, 0.0)),
        jnp.sum(mask, dtype=jnp.float32),
    )


def losses_of(logits: jax.Array | Members, targets: jax.Array, loss: Loss) -> jax.Array:
    """Return the losses of a model's outputs; of an ensemble the mean of those of its members."""
    if isinstance(logits, Members):
        each = jax.vmap(loss, (0, None))(logits.outputs.astype(jnp.float32), targets)
        return each.mean(axis=0)
    return loss(logits.astype(jnp.float32), targets)


def _correct_share(logits: jax.Array, targets: jax.Array, loss: Loss) -> jax.Array:
    """Return the share of each example's labels that is correct, NaN where there are no labels."""
    same_shape, counted = targets.shape == logits.shape, jnp.ones(targets.shape, bool)
    yes_or_no = targets.dtype == jnp.bool_ or getattr(loss, "func", loss) is binary_cross_entropy
    if same_shape and yes_or_no:
        right = (logits > 0) == (targets.astype(jnp.float32) > 0.5)
        right = (right & ~jnp.isnan(logits)).astype(jnp.float32)
    elif targets.shape == logits.shape[:-1] and jnp.issubdtype(targets.dtype, jnp.integer):
        targets = targets.astype(jnp.int32)
        counted = (targets >= 0) & (targets < logits.shape[-1])
        right = (counted & (predicted_classes(logits) == targets)).astype(jnp.float32)
    elif same_shape and targets.ndim > 1:
        right = (predicted_classes(logits) == jnp.argmax(targets, axis=-1)).astype(jnp.float32)
        # Targets of a regression have this shape too; shares add up to 1, in bfloat16 to 1 %.
        shares = targets.astype(jnp.float32)
        is_share = (shares.min(axis=-1) >= 0) & (jnp.abs(shares.sum(axis=-1) - 1) < 0.01)
        right, counted = jnp.where(is_share, right, jnp.nan), jnp.ones(right.shape, bool)
    else:
        return jnp.full(len(targets), jnp.nan)
    positions = tuple(range(1, right.ndim))
    labels = jnp.maximum(counted.sum(axis=positions, dtype=jnp.float32), 1)
    return right.sum(axis=positions) / labels
