"""The arrays of a model as nested dicts, and their dotted names."""

from typing import Any, TypeAlias

import jax
from flax import nnx, traverse_util

ArrayTree: TypeAlias = dict[str, Any]


# Plain dicts pass through jit two to three times faster than nnx.State, and merging a State under
# a gradient is an error.
def params_of(model: nnx.Module) -> ArrayTree:
    """Return the parameters of a model as nested dicts of arrays."""
    return nnx.to_pure_dict(nnx.state(model, nnx.Param))


def statistics_of(model: nnx.Module) -> ArrayTree:
    """Return the arrays of a model that are not parameters, such as running means."""
    return nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.Param)))


def flatten_names(state: nnx.State[Any, Any]) -> dict[str, jax.Array]:
    """Return the arrays of a model by their dotted names, such as ``conv_1.kernel``."""
    return traverse_util.flatten_dict(nnx.to_pure_dict(state), sep=".")


def unflatten_names(arrays: dict[str, jax.Array]) -> ArrayTree:
    """Return nested dicts from arrays by their dotted names."""
    return traverse_util.unflatten_dict(arrays, sep=".")


def match_dtype(old: jax.Array, new: jax.Array) -> jax.Array:
    """Return `new` in the dtype of `old`; a PRNG key, which has no other dtype, unchanged."""
    return new if new.dtype == old.dtype else new.astype(old.dtype)
