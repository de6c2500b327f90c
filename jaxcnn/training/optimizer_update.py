"""The call of any Optax transformation: the arguments it asks for, and the weights it evaluates.

Most transformations map a gradient to an update. Some ask for more, by the names that Optax's own
use: the loss (``reduce_on_plateau``, ``polyak_sgd``, ``momo``), the gradient at the parameters and
the loss as a function of them (line searches, ``lbfgs``, ``sophia``), or further gradients (``sam``
in its opaque mode).
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from jaxcnn.modules.parameter_tree import ArrayTree, strong_type
from jaxcnn.training.schedules import allow_promotion

_leaves_with_path = jax.tree_util.tree_leaves_with_path


class DescribedOptimizer(optax.GradientTransformation):  # type: ignore[misc]  # Optax is untyped
    """A transformation that tells what a step cannot see in its functions.

    Attributes:
      learning_rate: A number or a schedule.
      frozen: Patterns of the names of parameters that it leaves unchanged, for
        :mod:`jaxcnn.training.frozen_parts`.
    """

    learning_rate: float | optax.Schedule | None = None
    frozen: tuple[str, ...] = ()


def init_optimizer(optimizer: optax.GradientTransformation, params: ArrayTree) -> optax.OptState:
    """Return the first state of an optimizer, in the form that it has after a step.

    Its arrays share no memory, as a step donates them: ``prodigy`` and ``dog`` keep the first
    parameters themselves. ``schedule_free`` keeps Python's numbers, and ``monitor`` has no place
    for its measurements before the first; a checkpoint and ``on_nan`` need one form throughout.

    Raises:
      TypeError: a transformation in a chain does not take the arguments that others ask for.
    """
    first = allow_promotion(optimizer.init)(params)

    def step(params: ArrayTree, state: optax.OptState) -> optax.OptState:
        zero = jnp.zeros(())
        _, after = update_params(
            optimizer, params, state, params, value=zero, loss_at=lambda params: zero
        )
        return after

    given = {jax.tree_util.keystr(path): leaf for path, leaf in _leaves_with_path(first)}

    def settle(path: Any, shape: jax.ShapeDtypeStruct) -> jax.Array:
        leaf = given.get(jax.tree_util.keystr(path))
        return jnp.zeros(shape.shape, shape.dtype) if leaf is None else jnp.copy(leaf)

    try:
        shapes = jax.eval_shape(step, params, first)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise TypeError(
            "a transformation within optimizer does not take the arguments that its chain passes "
            "on (value, grad, value_fn, …): put optax.GradientTransformation(*transformation) in "
            f"its place. Received: {error}"
        ) from error
    return jax.tree_util.tree_map_with_path(settle, shapes)


def update_params(
    optimizer: optax.GradientTransformation,
    gradients: ArrayTree,
    optimizer_state: optax.OptState,
    params: ArrayTree,
    *,
    value: jax.Array,
    loss_at: Callable[[ArrayTree], jax.Array],
) -> tuple[ArrayTree, optax.OptState]:
    """Return the parameters and the optimizer's state after a step.

    Args:
      optimizer: An Optax transformation.
      gradients: Gradient of the mean loss.
      optimizer_state: Before the step.
      params: Before the step.
      value: The mean loss of the batch.
      loss_at: Maps parameters to the mean loss of the same batch. It is computed only where the
        optimizer asks for it.
    """

    # A line search refuses an argument that its function does not take, though it is meant for
    # another link of the chain.
    def value_fn(params: ArrayTree, obj_fn: Any = None, grad_fn: Any = None) -> jax.Array:
        return loss_at(params)

    def grad_fn(params: ArrayTree, number: int) -> ArrayTree:
        return jax.grad(loss_at)(params)

    known = {
        "value": value,
        "grad": gradients,
        "value_fn": value_fn,
        "obj_fn": loss_at,
        "grad_fn": grad_fn,
    }
    update = allow_promotion(optimizer.update)
    taken = {name: known[name] for name in _taken(optimizer.update, known)}
    updates, optimizer_state = update(gradients, optimizer_state, params, **taken)
    return optax.apply_updates(params, updates), jax.tree.map(strong_type, optimizer_state)


def params_to_evaluate(optimizer_state: optax.OptState, params: ArrayTree) -> ArrayTree:
    """Return the parameters at which a model is evaluated.

    They are `params`, except under ``optax.contrib.schedule_free``: it takes gradients between an
    average of the weights and its fastest iterate, and only the average is a good model (Defazio
    et al., 2024, arXiv 2405.15682).
    """

    def is_schedule_free(state: Any) -> bool:
        return isinstance(state, optax.contrib.ScheduleFreeState)

    def average(share: jax.Array, between: jax.Array, fast: Any) -> jax.Array:
        if isinstance(fast, optax.MaskedNode):  # of another part of a partition
            return between
        wide = jnp.promote_types(between.dtype, jnp.float32)
        own, y, z = (jnp.asarray(array, wide) for array in (share, between, fast))
        return ((y - (1 - own) * z) / own).astype(between.dtype)

    for state in jax.tree.leaves(optimizer_state, is_leaf=is_schedule_free):
        if is_schedule_free(state):
            params = jax.tree.map(lambda y, z, b1=state.b1: average(b1, y, z), params, state.z)
    return params


def learning_rate_of(optimizer: optax.GradientTransformation, state: Any) -> float | None:
    """Return the learning rate of the last step, or ``None`` if the optimizer does not tell it.

    Args:
      optimizer: A transformation.
      state: The training state after the step.
    """
    rate = getattr(optimizer, "learning_rate", None)
    if callable(rate):
        # A step that is left out does not move the schedule.
        skipped = 0 if state.skipped is None else int(state.skipped)
        rate = allow_promotion(rate)(jnp.asarray(max(int(state.step) - skipped - 1, 0), jnp.int32))
    if rate is None:
        injected = optax.tree.get_all_with_path(state.optimizer_state, "learning_rate")
        numbers = [value for _, value in injected if isinstance(value, jax.Array)]
        rates = {float(number) for number in numbers if number.ndim == 0}
        rate = rates.pop() if len(rates) == 1 else None
    return None if rate is None else float(rate)


def _taken(function: Callable[..., Any], names: Any) -> list[str]:
    """Return those of the names that a function takes as keywords."""
    parameters = inspect.signature(function).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return [name for name in names if takes_all or name in parameters]
