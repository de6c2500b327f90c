"""The way of a batch through a step: pixels, augmentation, mixing, the model."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn import arguments
from jaxcnn.augment.composition import Augment, apply
from jaxcnn.augment.mixing import Mix
from jaxcnn.augment.named_policies import GivenAugment, resolve_augment
from jaxcnn.augment.positions import are_at_positions, are_boxes
from jaxcnn.data.drawing import Batch
from jaxcnn.modules import call, check_module, in_mode, pool_before_relu
from jaxcnn.modules.ensemble import Members
from jaxcnn.modules.normalization import normalize_in_groups
from jaxcnn.modules.parameter_tree import ArrayTree, match_dtype, statistics_of
from jaxcnn.training.frozen_parts import freeze_parts
from jaxcnn.training.mixed_precision import Computation
from jaxcnn.training.output_activation import check_output


class Inputs(NamedTuple):
    """The inputs of the model and of the loss: one row per row of the batch.

    Attributes:
      images: ``(batch, H, W, C)``, floating point.
      targets: ``(batch, …)`` labels; where images are mixed ``(batch, classes)`` shares.
      mask: ``(batch,)`` bool.
    """

    images: jax.Array
    targets: jax.Array
    mask: jax.Array


class Forward(NamedTuple):
    """The options of a step that decide its outputs; see :func:`make_training`."""

    computation: Computation
    augment: Augment | None
    mix: Mix | None
    steps_per_epoch: int | None

    @classmethod
    def of(
        cls,
        model: nnx.Module,
        *,
        augment: GivenAugment | None,
        mix: Mix | None,
        steps_per_epoch: int | None,
        precision: str,
        frozen: tuple[str, ...] = (),
        batch_groups: int = 1,
    ) -> "Forward":
        """Check the options and return them.

        Args:
          model: As for :func:`make_training`.
          augment: As for :func:`make_training`.
          mix: As for :func:`make_training`.
          steps_per_epoch: As for :func:`make_training`.
          precision: As for :func:`make_training`.
          frozen: Patterns of parameters that are not trained.
          batch_groups: Number of equal parts of a batch that each have their own statistics in
            batch normalization.
        """
        if steps_per_epoch is not None:
            arguments.check_integer("steps_per_epoch", steps_per_epoch, minimum=1)
        check_module("model", model)
        augment = None if augment is None else resolve_augment(augment)
        model = pool_before_relu(in_mode(model, train=True))  # the same values, with less work
        freeze_parts(model, frozen)
        if batch_groups > 1:
            normalize_in_groups(model, batch_groups)
        return cls(Computation.of(model, precision), augment, mix, steps_per_epoch)

    def inputs(self, state: Any, batch: Batch) -> tuple[Inputs, jax.Array]:
        """Return the inputs of a state's next step for a batch, and the key of the model's call."""
        step_key = jax.random.fold_in(state.key, state.step)
        augment_key, model_key, mix_key = jax.random.split(step_key, 3)
        images = to_float(batch.image)
        targets, mask = jnp.asarray(batch.label), jnp.asarray(batch.mask)
        if self.augment is not None:
            epoch = None if self.steps_per_epoch is None else state.step // self.steps_per_epoch
            augment = functools.partial(apply, self.augment, augment_key, images, epoch=epoch)
            if are_boxes(targets, images):
                images, targets = augment(boxes=targets)
            elif are_at_positions(targets, images):
                images, targets = augment(labels=targets)
            else:
                images = augment()
        if self.mix is not None:
            logits, _ = jax.eval_shape(
                self.logits, state.params, state.statistics, images, model_key
            )
            shape = logits.outputs.shape if isinstance(logits, Members) else logits.shape
            targets = jax.nn.one_hot(targets, shape[-1])
            rows = _real_rows(mask)
            images, targets = self.mix(mix_key, images[rows], targets[rows])
        return Inputs(images, targets, mask), model_key

    def logits(
        self,
        params: ArrayTree,
        statistics: ArrayTree,
        images: jax.Array,
        key: jax.Array,
        *,
        prepare: Callable[[nnx.Module], None] = lambda model: None,
    ) -> tuple[jax.Array | Members, ArrayTree]:
        """Return the model's outputs, those of each member of an ensemble, and its statistics.

        Args:
          params: Parameters.
          statistics: The model's other arrays.
          images: ``(batch, H, W, C)``, floating point.
          key: Key of the model's call.
          prepare: Called with the model before the model is called.
        """
        model = self.computation.model(params, statistics)
        prepare(model)
        logits: Any = call(model, self.computation.cast(images), train=True, key=key)
        if not isinstance(logits, Members):
            logits = check_output(logits)
        kept = statistics_of(model)
        if self.computation.dtype is not None:
            # A module may make half-precision statistics of half-precision images.
            kept = jax.tree.map(match_dtype, statistics, kept)
        return logits, kept


def to_float(images: jax.Array | np.ndarray) -> jax.Array:
    """Return uint8 pixels divided by 255, and floating-point images unchanged.

    It runs on the device, so that a quarter of the bytes are transferred.

    >>> float(to_float(jnp.array(255, jnp.uint8)))
    1.0
    """
    images = jnp.asarray(images)
    return images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images


def _real_rows(mask: jax.Array) -> jax.Array:
    """Return a row number for each row: its own if it is real, else that of a real row."""
    order = jnp.argsort(~mask)  # the real rows first
    others = order[jnp.arange(len(mask)) % jnp.maximum(mask.sum(), 1)]
    return jnp.where(mask, jnp.arange(len(mask)), others)
