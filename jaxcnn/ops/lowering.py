"""Primitives with a way of their own on CPU and XLA's everywhere else.

Which of the two is taken is decided as a program is lowered, so that one trace serves every
platform, also all at once in a ``jax.export``.
"""

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from jaxcnn import shapes


def primitive(
    name: str,
    *,
    shape: Callable[..., shapes.Shape],
    plain: Callable[..., jax.Array],
    fast: Callable[..., jax.Array | None],
    examples: Sequence[bool],
    dtype: Callable[..., Any] = lambda first, *_: first.dtype,
) -> Primitive:
    """Returns a primitive of some arrays and one hashable description, its parameter ``what``.

    Each function below takes the arrays and then the description. Derivatives are the caller's to
    define.

    Args:
      name: What it is called in a jaxpr.
      shape: Gives the shape of the result.
      plain: Its meaning, as XLA's own operations.
      fast: The same for CPU, or ``None`` where XLA's own way is best. It is asked for arrays
        that hold something, and whose sizes are known.
      examples: Which of the arrays have an entry per example along their first axis. The result
        then has too, unless none is named.
      dtype: Gives the dtype of the result; by default that of the first array.
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
        result = fast(*arrays, what) if known else None
        return plain(*arrays, what) if result is None else result

    def vmap(arrays: Any, axes: Any, *, what: Hashable) -> tuple[jax.Array, int]:
        mapped = [axis is not None for axis in axes]
        if any(m and not e for m, e in zip(mapped, examples, strict=True)):
            # Every example with a kernel of its own, say.
            in_axes = [axis if m else None for axis, m in zip(axes, mapped, strict=True)]
            return jax.vmap(functools.partial(run_plain, what=what), in_axes)(*arrays), 0
        # Examples of examples are examples.
        count = next(
            a.shape[axis] for a, axis in zip(arrays, axes, strict=True) if axis is not None
        )
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

    made.def_impl(lambda *arrays, what: compiled(what)(*arrays))
    made.def_abstract_eval(
        lambda *arrays, what: arrays[0].update(
            shape=shape(*arrays, what), dtype=dtype(*arrays, what), weak_type=False
        )
    )
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
