"""Rewrites of a model for speed, which a training or prediction step applies explicitly."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import ops
from jaxcnn.modules.combinators import Function, Serial

_F = TypeVar("_F", bound=Callable[..., Any])
_M = TypeVar("_M", bound=nnx.Module)

# Nondecreasing with their default options.
_NONDECREASING = frozenset(
    {
        jax.nn.celu,
        jax.nn.elu,
        jax.nn.hard_sigmoid,
        jax.nn.hard_tanh,
        jax.nn.leaky_relu,
        jax.nn.log_sigmoid,
        jax.nn.relu,
        jax.nn.relu6,
        jax.nn.selu,
        jax.nn.sigmoid,
        jax.nn.soft_sign,
        jax.nn.softplus,
        jax.nn.tanh,
        jnp.tanh,
    }
)


def pool_before_relu(model: _M) -> _M:
    """Return ``model`` with each max pool that follows an activation computed before it.

    For a nondecreasing function f, max(f(x₁), f(x₂), …) = f(max(x₁, x₂, …)): values and gradients
    are the same to rounding (for ReLU, bit for bit, ties included), and a pool of 2×2 leaves a
    quarter of the work to the activation. Training step of mnist_cnn on CPU: see `make bench`.

    The pass applies wherever a :class:`Serial` calls a nondecreasing :class:`Function` directly
    before an undilated :func:`jaxcnn.ops.max_pool`, at any depth of any module. Nondecreasing are
    ``jax.nn``'s relu, relu6, leaky_relu, elu, celu, selu, sigmoid, tanh, softplus and the like, and
    functions marked with :func:`mark_nondecreasing`. A window of a dilated pool may read nothing
    but padding, −∞, which ReLU changes; such pools keep their place.

    The result shares its variables with ``model``, which is unchanged, and has the same paths of
    parameters. Intermediate values between activation and pool differ.

    >>> model = Serial(relu_1=Function(jax.nn.relu), pool=Function(ops.max_pool, window=2))
    >>> pool_before_relu(model).call_order, model.call_order
    ((1, 0), (0, 1))

    Args:
      model: Any module.
    """
    rewritten = nnx.clone(model, variables=False)
    for _, module in nnx.iter_modules(rewritten):
        if isinstance(module, Serial):
            module.call_order = _with_pools_first(module)
    return rewritten


def mark_nondecreasing(function: _F) -> _F:
    """Mark a function of your own as nondecreasing, for :func:`pool_before_relu`.

    It may be used as a decorator. A function is nondecreasing if it computes each value from one
    value of its input, and a larger input never gives a smaller result.

    >>> @mark_nondecreasing
    ... def capped_relu(x):
    ...     return jnp.clip(x, 0, 4)

    Args:
      function: A function defined with ``def`` or ``lambda``, or a ``functools.partial``.

    Returns:
      ``function`` itself, with an attribute.
    """
    function.nondecreasing = True  # type: ignore[attr-defined]  # functions declare no such field
    return function


def _with_pools_first(serial: Serial) -> tuple[int, ...]:
    order = list(serial.call_order)
    children = [getattr(serial, serial.names[index]) for index in order]
    for at, (first, second) in enumerate(itertools.pairwise(children)):
        if _is_nondecreasing(first) and _is_undilated_max_pool(second):
            order[at : at + 2] = order[at + 1], order[at]
    return tuple(order)


def _is_nondecreasing(module: nnx.Module) -> bool:
    if not isinstance(module, Function) or module.options:
        return False
    return module.function in _NONDECREASING or getattr(module.function, "nondecreasing", False)


def _is_undilated_max_pool(module: nnx.Module) -> bool:
    if not isinstance(module, Function) or module.function is not ops.max_pool:
        return False
    dilation: Any = dict(module.options).get("dilation", 1)
    return (max(dilation) if isinstance(dilation, Sequence) else dilation) == 1
