"""Primitives with a way of their own on CPU and XLA's everywhere else.

Which of the two is taken is decided as a program is lowered, so that one trace serves every
platform, also all at once in a ``jax.export``.
"""

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from jaxcnn import shapes
from jaxcnn.runtime import varying_axes


def primitive(
    name: str,
    *,
    plain: Callable[..., jax.Array],
    fast: Callable[..., jax.Array | None],
    examples: Sequence[bool],
) -> Primitive:
    """Returns a primitive of some arrays and one hashable description, its parameter ``what``.

    Each function below takes the arrays and then the description. Derivatives are the caller's to
    define.

    Args:
      name: What it is called in a jaxpr.
      plain: Its meaning, as XLA's own operations; the type of the result is that of its result.
      fast: The same for CPU, or ``None`` where XLA's own way is best. It is asked for arrays
        that hold something, and whose sizes are known; arrays of explicit sharding go the plain
        way.
      examples: Which of the arrays have an entry per example along their first axis. The result
        then has too, unless none is named.
    """
    made = Primitive(name)

    @functools.cache
    def compiled(what: Hashable) -> Callable[..., jax.Array]:
        return jax.jit(functools.partial(made.bind, what=what))

    def run_plain(*arrays: jax.Array, what: Hashable) -> jax.Array:
        return plain(*arrays, what)

    def run_on_cpu(*arrays: jax.Array, what: Hashable) -> jax.Array:
        sizes = [size for array in arrays for size in array.shape]
        known = all(isinstance(size, int) and size > 0 for size in sizes)
        whole = not any(sharding(jax.typeof(array)) for array in arrays)
        result = fast(*arrays, what) if known and whole else None
        return plain(*arrays, what) if result is None else result

    def vmap(arrays: Any, axes: Any, *, what: Hashable) -> tuple[jax.Array, int]:
        mapped = [axis is not None for axis in axes]
        count = next(
            a.shape[axis] for a, axis in zip(arrays, axes, strict=True) if axis is not None
        )
        if any(m and not e for m, e in zip(mapped, examples, strict=True)) or not count:
            # Every example with a kernel of its own, say.
            in_axes = [axis if m else None for axis, m in zip(axes, mapped, strict=True)]
            return jax.vmap(functools.partial(run_plain, what=what), in_axes)(*arrays), 0
        # Examples of examples are examples.
        flat = []
        for array, axis, has_examples in zip(arrays, axes, examples, strict=True):
            if has_examples:
                array = (
                    jnp.broadcast_to(array, (count, *array.shape))
                    if axis is None
                    else jnp.moveaxis(array, axis, 0)
                )
                array = array.reshape(count * array.shape[1], *array.shape[2:])
            flat.append(array)
        result = made.bind(*flat, what=what)
        return result.reshape(count, result.shape[0] // count, *result.shape[1:]), 0

    def run(*arrays: jax.Array, what: Hashable) -> jax.Array:
        with jax.disable_jit(False):  # which would run this again
            return compiled(what)(*arrays)

    made.def_impl(run)

    @functools.cache
    def type_of(*arrays: Any, what: Hashable) -> Any:
        return jax.make_jaxpr(functools.partial(run_plain, what=what))(*arrays).out_avals[0]

    made.def_abstract_eval(type_of)
    batching.primitive_batchers[made] = vmap
    mlir.register_lowering(made, mlir.lower_fun(run_plain, False))
    mlir.register_lowering(made, mlir.lower_fun(run_on_cpu, False), platform="cpu")
    return made


def alone(function: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    """Returns ``function(*arrays)``, compiled apart from what comes before and after.

    XLA on CPU fuses what it can, and computes a value again for each that reads it: two stages of
    Winograd's convolution as one take 32 ms in place of 10, and padding with each slice of what is
    padded is a branch in the inner loop.
    """
    with set_xla_metadata(inlineable="false"):
        return jax.jit(function)(*arrays)


def sharding(kind: Any) -> jax.sharding.NamedSharding | None:
    """Returns how arrays of a type are shared on a mesh of explicit axes, or ``None``."""
    return kind.sharding if any(kind.sharding.spec) else None


def alike(*arrays: jax.Array) -> list[jax.Array]:
    """Returns the arrays, each of them varying over the mesh axes over which any of them does.

    In a ``jax.shard_map`` JAX's own operations do so by themselves, and the transpose of it is what
    adds the gradients of an array that all devices share.
    """
    union = frozenset().union(*map(varying_axes, arrays))
    missing = [tuple(union - varying_axes(array)) for array in arrays]
    return [
        lax.pcast(array, axes, to="varying") if axes else array
        for array, axes in zip(arrays, missing, strict=True)
    ]


def transposed(
    linear: Callable[[jax.Array], jax.Array], shape: shapes.Shape, y: jax.Array
) -> jax.Array:
    """Applies the transpose of ``linear``, a function of an array of ``shape``, to ``y``."""
    template, _ = alike(jnp.zeros(shape, y.dtype), y)
    return jax.linear_transpose(linear, template)(y)[0]
