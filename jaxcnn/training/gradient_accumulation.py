"""Sums over the parts of a batch that are computed one after the other."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxcnn.runtime import unroll_scan


def accumulate(
    compute: Callable[[Any, Any, jax.Array], tuple[Any, Any]],
    rows: Any,
    carried: Any,
    key: jax.Array,
    *,
    parts: int,
) -> tuple[Any, Any]:
    """Return the sums of the results of `compute` over the parts of a batch.

    Every `parts`-th row is of one part, so that devices which share the rows share each part.

    >>> rows = jnp.arange(6.0)
    >>> compute = lambda rows, last, key: (rows.sum(), rows[-1] - last)
    >>> total, last = accumulate(compute, rows, jnp.zeros(()), jax.random.key(0), parts=3)
    >>> float(total), float(last)  # 5 − (4 − (3 − 0))
    (15.0, 4.0)

    Args:
      compute: Maps some of the rows, the carried arrays and a key of the part to arrays that are
        added up and the arrays that are carried to the next part.
      rows: Arrays of the same length.
      carried: Arrays carried to the first part.
      key: A PRNG key, from which the key of each part is derived.
      parts: Number of parts; it divides the length.

    Returns:
      The sums, and the arrays that the last part carries on.
    """
    split = jax.tree.map(
        lambda a: a.reshape(len(a) // parts, parts, *a.shape[1:]).swapaxes(0, 1), rows
    )
    first = jax.tree.map(lambda array: array[0], split)
    shapes, _ = jax.eval_shape(compute, first, carried, key)
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)

    def turn(carry: Any, part: Any) -> tuple[Any, None]:
        # A part starts only after the one before has ended, which saves the memory.
        (sums, carried), (number, rows) = lax.optimization_barrier((carry, part))
        more, carried = compute(rows, carried, jax.random.fold_in(key, number))
        return (jax.tree.map(jnp.add, sums, more), carried), None

    numbered = jnp.arange(parts), split
    (sums, carried), _ = lax.scan(turn, (zeros, carried), numbered, unroll=unroll_scan() or 1)
    return sums, carried
