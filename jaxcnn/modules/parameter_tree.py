"""The arrays of a model as nested dicts, and their dotted names."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx, traverse_util
from jax import lax

ArrayTree: TypeAlias = dict[str, Any]


# Plain dicts pass through jit two to three times faster than nnx.State, and merging a State under
# a gradient is an error.
def params_of(model: nnx.Module) -> ArrayTree:
    """Return the parameters of a model as nested dicts of arrays."""
    return nnx.to_pure_dict(nnx.state(model, nnx.Param))


def statistics_of(model: nnx.Module) -> ArrayTree:
    """Return the arrays of a model that are not parameters, such as running means."""
    return nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.Param)))


def arrays_of(model: nnx.Module, *kinds: Any) -> dict[str, jax.Array]:
    """Return the arrays of a model by their names such as ``conv_1.kernel``.

    Args:
      model: Any module.
      *kinds: Kinds of variables to return, or other filters of Flax; none means all.
    """
    state = nnx.state(model, kinds or ...)
    return {_name(path): array for path, array in _arrays(state).items()}


def with_arrays(model: nnx.Module, arrays: Mapping[str, jax.Array]) -> nnx.Module:
    """Return a model with other arrays, by their dotted names; the model is not changed."""
    graphdef, state = nnx.split(model)
    replaced = {path: arrays[_name(path)] for path in _arrays(state)}
    merged: nnx.Module = nnx.merge(graphdef, traverse_util.unflatten_dict(replaced))
    return merged


def is_key(array: jax.Array | jax.ShapeDtypeStruct) -> bool:
    """Return whether an array holds keys of random numbers."""
    return bool(jnp.issubdtype(array.dtype, jax.dtypes.prng_key))


def numbers_of(array: jax.Array) -> jax.Array:
    """Return an array as a file stores it: keys of random numbers as plain numbers."""
    return jax.random.key_data(array) if is_key(array) else array


def from_numbers(array: jax.Array, like: jax.Array | jax.ShapeDtypeStruct) -> jax.Array:
    """Return what :func:`numbers_of` was given; `like` tells the kind of the keys."""
    if not is_key(like):
        return array
    return jax.random.wrap_key_data(array, impl=jax.random.key_impl(jnp.empty(0, like.dtype)))


def match_dtype(old: jax.Array, new: jax.Array) -> jax.Array:
    """Return `new` in the dtype of `old`; a PRNG key, which has no other dtype, unchanged."""
    return new if new.dtype == old.dtype else new.astype(old.dtype)


def strong_type(array: jax.Array) -> jax.Array:
    """Return `array` without JAX's weak type, with which a step's second call compiles again."""
    return lax.convert_element_type(array, array.dtype)


def _arrays(state: nnx.State[Any, Any]) -> dict[tuple[Any, ...], jax.Array]:
    """Return the arrays by their paths, in which the items of a list are numbers."""
    return traverse_util.flatten_dict(nnx.to_pure_dict(state))


def _name(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))
