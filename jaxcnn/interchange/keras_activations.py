"""Keras's activations, as functions and as layers, and those that a layer applies at its end."""

import jax
import jax.numpy as jnp

from jaxcnn.interchange.keras_parts import (
    Call,
    Converter,
    Part,
    array_of,
    kind_of,
    of_function,
    require,
    require_last_axis,
    with_options,
)
from jaxcnn.layers import prelu
from jaxcnn.layers.composition import LayerLike

_FUNCTIONS: dict[str, LayerLike | None] = {
    "celu": jax.nn.celu,
    "elu": jax.nn.elu,
    "exponential": jnp.exp,
    "gelu": with_options(jax.nn.gelu, approximate=False),
    "glu": jax.nn.glu,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "hard_silu": jax.nn.hard_silu,
    "hard_tanh": jax.nn.hard_tanh,
    "leaky_relu": with_options(jax.nn.leaky_relu, negative_slope=0.2),
    "linear": None,
    "log_sigmoid": jax.nn.log_sigmoid,
    "log_softmax": jax.nn.log_softmax,
    "mish": jax.nn.mish,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "selu": jax.nn.selu,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "softmax": jax.nn.softmax,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
    "sparse_plus": jax.nn.sparse_plus,
    "sparse_sigmoid": jax.nn.sparse_sigmoid,
    "squareplus": jax.nn.squareplus,
    "tanh": jnp.tanh,
}


def activation(call: Call) -> list[Part]:
    """Return the activation of a layer of Keras; none where it is the identity.

    Raises:
      ValueError: there is no function here that computes the same.
    """
    function = call.layer.activation
    kind = kind_of(getattr(function, "__module__", ""), getattr(function, "__name__", ""))
    if function is None or kind in _FUNCTIONS:
        return of_function(None if function is None else _FUNCTIONS[kind])
    layer_kind = kind_of(type(function).__module__, type(function).__name__)
    if layer_kind in ACTIVATION_LAYERS:
        return ACTIVATION_LAYERS[layer_kind](Call(function, call.output_shape, call.output_shape))
    raise ValueError(f"activation must be one that is here too. Received: activation={function!r}")


def _relu(call: Call) -> list[Part]:
    layer = call.layer
    require(layer, "threshold", 0)
    slope, most = float(layer.negative_slope), layer.max_value
    if most is None:
        leaky = with_options(jax.nn.leaky_relu, negative_slope=slope)
        return of_function(leaky if slope else jax.nn.relu)
    require(layer, "negative_slope", 0)
    clip = with_options(jnp.clip, min=0.0, max=float(most))
    return of_function(jax.nn.relu6 if most == 6 else clip)


def _leaky_relu(call: Call) -> list[Part]:
    slope = float(call.layer.negative_slope)
    return of_function(with_options(jax.nn.leaky_relu, negative_slope=slope))


def _elu(call: Call) -> list[Part]:
    return of_function(with_options(jax.nn.elu, alpha=float(call.layer.alpha)))


def _softmax(call: Call) -> list[Part]:
    require_last_axis(call)
    return of_function(jax.nn.softmax)


def _prelu(call: Call) -> list[Part]:
    slope = array_of(call.layer.alpha)
    if slope.size != slope.shape[-1]:
        raise ValueError(
            "shared_axes must be all spatial axes, for one slope per channel. Received: "
            f"shared_axes={call.layer.shared_axes}"
        )
    return [Part(prelu(), {"slope": slope.reshape(-1)})]


def _operation(name: str) -> Converter:
    return lambda call: of_function(_FUNCTIONS[name])


ACTIVATION_LAYERS: dict[str, Converter] = {
    "Activation": activation,
    "ELU": _elu,
    "LeakyReLU": _leaky_relu,
    "PReLU": _prelu,
    "ReLU": _relu,
    "Softmax": _softmax,
    # keras.ops of the tensors of a functional model
    "ops.HardSigmoid": _operation("hard_sigmoid"),
    "ops.HardSilu": _operation("hard_silu"),
    "ops.Relu": _operation("relu"),
    "ops.Relu6": _operation("relu6"),
    "ops.Sigmoid": _operation("sigmoid"),
    "ops.Silu": _operation("silu"),
    "ops.Softplus": _operation("softplus"),
    "ops.Tanh": _operation("tanh"),
}
