"""The function that ``predict`` applies: softmax, sigmoid, the boxes of a detector, or none.

A loss of logits contains its activation, so a model trained with it ends without one, and
``predict`` applies it. What ``fit`` trains and ``load`` returns is remembered with the activation
of its loss, as long as the module lives.
"""

import functools
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.extend.core import Jaxpr, Literal

from jaxcnn import arguments
from jaxcnn.training import losses
from jaxcnn.training.detected_boxes import detections
from jaxcnn.training.detection_loss import detection
from jaxcnn.training.loss_arrays import log_of, logit_of, without

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "softmax": jax.nn.softmax,
    "sigmoid": jax.nn.sigmoid,
    "boxes": jax.jit(detections),
    "none": lambda outputs: outputs,
}
_OF_LOSSES = {
    losses.cross_entropy: "softmax",
    losses.focal: "softmax",
    losses.cross_entropy_dice: "softmax",
    losses.dice: "softmax",
    losses.binary_cross_entropy: "sigmoid",
    losses.squared_error: "none",
    losses.huber: "none",
    detection: "boxes",
}
# For losses of the user's own, by the kind of the labels (jaxcnn.data.labels).
_OF_LABELS = {
    "class": "softmax",
    "positions": "softmax",
    "several": "sigmoid",
    "numbers": "none",
    "boxes": "boxes",
}
# By the identity of a living module: one that is a dataclass has no hash.
_TRAINED: dict[int, str] = {}
# Operations that change neither the values of a softmax nor their order.
_PASSED = frozenset({"convert_element_type", "reshape", "squeeze", "copy", "optimization_barrier"})


def remember_activation(model: nnx.Module, activation: str) -> None:
    """Let ``predict`` apply `activation` to the outputs of this module."""
    _TRAINED[id(model)] = activation
    weakref.finalize(model, _TRAINED.pop, id(model), None)


def trained_activation(model: nnx.Module) -> str | None:
    """Return the activation that :func:`remember_activation` was given for this module."""
    return _TRAINED.get(id(model))


def activation_of_loss(loss: Callable[..., jax.Array], kind: str) -> str:
    """Return the name of the activation that a loss contains.

    Args:
      loss: Any loss.
      kind: The kind of the labels, for a loss that is not of this library.
    """
    function, options = _function_and_options(loss)
    if options.get("from_logits") is False:
        return "none"
    return _OF_LOSSES.get(function, _OF_LABELS[kind])


def describe_double_activation(loss: Callable[..., jax.Array], ending: str | None) -> str:
    """Return a warning if a loss of logits is given something else; otherwise an empty text.

    Args:
      loss: The loss.
      ending: The activation in which the model ends.
    """
    function, options = _function_and_options(loss)
    contained = _OF_LOSSES.get(function, "none")
    if ending is None or contained == "none" or options.get("from_logits") is False:
        return ""
    name = function.__name__
    return (
        f"the model ends in a {ending}, and {name} applies the {contained} to logits itself: "
        "applied twice, the loss is wrong and the model learns slowly or not at all. Remove the "
        f"{ending} at its end (predict applies it), or use "
        f"loss=functools.partial({name}, from_logits=False)"
    )


def to_logits(
    outputs: jax.Array, labels: jax.Array, loss: Callable[..., jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Return outputs and labels as metrics take them: logits, and -1 for labels left out."""
    function, options = _function_and_options(loss)
    if options.get("from_logits") is False:
        is_binary = function is losses.binary_cross_entropy
        outputs = (logit_of if is_binary else log_of)(outputs.astype(jnp.float32))
    if "ignore_index" in options and jnp.issubdtype(labels.dtype, jnp.integer):
        labels = without(labels, options["ignore_index"])
    return outputs, labels


def known_activation(model: nnx.Module, activation: Any) -> str | None:
    """Return the name of the activation that ``predict`` applies, whatever the model computes.

    Args:
      model: The module.
      activation: As for :func:`jaxcnn.training.predict`, but no function.

    Returns:
      A name in :data:`ACTIVATIONS`; ``None`` where the outputs decide.

    Raises:
      TypeError: the activation is not a text.
      ValueError: it is another word.
    """
    if activation is None:
        return "none"
    if not isinstance(activation, str):
        raise TypeError(
            "activation must be 'auto', 'softmax', 'sigmoid', a function of an array, or None. "
            f"Received: activation={activation!r}"
        )
    name = arguments.check_choice("activation", activation, ("auto", *ACTIVATIONS))
    return trained_activation(model) if name == "auto" else name


def activation_of_outputs(shape: tuple[int, ...], ending: str | None) -> str:
    """Return the name of the activation for a model of which only the outputs are known.

    Args:
      shape: Shape of the outputs, with the batch.
      ending: The activation in which the model ends.
    """
    if ending is not None or len(shape) == 1:
        return "none"
    # Of one output the softmax is 1, whatever it is.
    return "sigmoid" if shape[-1] == 1 else "softmax"


def check_output(outputs: Any) -> jax.Array:
    """Return a model's outputs, which must be one array.

    Raises:
      TypeError: they are several, such as a dict of them.
    """
    if not isinstance(outputs, jax.Array):
        names = f" with {', '.join(map(repr, outputs))}" if isinstance(outputs, Mapping) else ""
        raise TypeError(
            "the model must return one array. Wrap it in a module whose call returns the one to "
            'train and evaluate, such as self.model(x)["logits"]. '
            f"Received: {type(outputs).__name__}{names}"
        )
    return outputs


def find_ending(jaxpr: Jaxpr) -> str | None:
    """Return ``"softmax"`` or ``"sigmoid"`` if the first output of a program ends in it."""
    return _ending(jaxpr, jaxpr.outvars[0])


def _ending(jaxpr: Jaxpr, result: Any) -> str | None:
    makers = {made: equation for equation in jaxpr.eqns for made in equation.outvars}

    def maker(value: Any, passed: frozenset[str] = _PASSED) -> tuple[Any, Any]:
        """Return the equation behind those that pass a value on, and its result; or nothing."""
        while not isinstance(value, Literal) and value in makers:
            equation = makers[value]
            if equation.primitive.name not in passed:
                return equation, value
            value = equation.invars[0]
        return None, value

    last, made = maker(result)
    if last is None:
        return None
    inner = last.params.get("jaxpr", last.params.get("call_jaxpr"))
    if inner is not None:  # jit, checkpoint, and functions with derivatives of their own
        inner = getattr(inner, "jaxpr", inner)
        return _ending(inner, inner.outvars[last.outvars.index(made)])
    if last.primitive.name == "logistic":
        return "sigmoid"
    if last.primitive.name == "div":
        above, below = (maker(v, _PASSED | {"broadcast_in_dim"})[0] for v in last.invars)
        if above is not None and below is not None and above.primitive.name == "exp":
            channels = (made.aval.ndim - 1,)
            is_total = below.primitive.name == "reduce_sum" and below.params["axes"] == channels
            return "softmax" if is_total else None
    return None


def _function_and_options(loss: Any) -> tuple[Any, Mapping[str, Any]]:
    if isinstance(loss, functools.partial):
        function, options = _function_and_options(loss.func)
        return function, {**options, **loss.keywords}
    return loss, {}
