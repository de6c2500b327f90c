"""The max pool and its derivative: four primitives that keep the position of each maximum.

The derivative takes from a tangent, and gives to a cotangent, the values at the winners. On CPU
the winners' offsets are kept (:mod:`jaxcnn.ops.primitives.max_slices`); elsewhere XLA's own
gradient reads the input again.
"""

import functools
from typing import Any

import jax
from jax import lax
from jax.interpreters import ad

from jaxcnn import shapes
from jaxcnn.ops.primitives import max_plain
from jaxcnn.ops.primitives.lowering import primitive
from jaxcnn.ops.primitives.strategy_choice import choose_maximum
from jaxcnn.runtime import traces_plain


def window_max(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    """Take the largest value of each window of ``(batch, *spatial, channels)``."""
    if traces_plain() and max(windows.dilation) == 1:  # JAX has the derivative
        return max_plain.value(x, windows)
    return _window_max(x, windows)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _window_max(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    return _value.bind(x, params=windows)


@_window_max.defjvp
def _window_max_jvp(
    windows: shapes.Windows, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (x,), (dx,) = primals, tangents
    # The winners are locally constant: no derivative of theirs.
    constant = lax.stop_gradient(x)
    index = _index.bind(constant, params=windows)
    return _window_max(x, windows), _tangent.bind(dx, constant, index, params=windows)


def _value_on_cpu(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    return choose_maximum("value", windows, x.dtype).value(x, windows)


def _index_on_cpu(x: jax.Array, windows: shapes.Windows) -> jax.Array:
    return choose_maximum("index", windows, x.dtype).index(x, windows)


def _tangent_on_cpu(
    dx: jax.Array, x: jax.Array, index: jax.Array, windows: shapes.Windows
) -> jax.Array:
    return choose_maximum("tangent", windows, dx.dtype).tangent(dx, x, index, windows)


def _cotangent_on_cpu(
    dy: jax.Array, x: jax.Array, index: jax.Array, windows: shapes.Windows
) -> jax.Array:
    return choose_maximum("cotangent", windows, dy.dtype).cotangent(dy, x, index, windows)


_value = primitive("max_pool", plain=max_plain.value, on_cpu=_value_on_cpu, examples=(True,))
_index = primitive("max_pool_index", plain=max_plain.index, on_cpu=_index_on_cpu, examples=(True,))
_tangent = primitive(
    "max_pool_tangent",
    plain=max_plain.tangent,
    on_cpu=_tangent_on_cpu,
    examples=(True, True, True),
)
_cotangent = primitive(
    "max_pool_cotangent",
    plain=max_plain.cotangent,
    on_cpu=_cotangent_on_cpu,
    examples=(True, True, True),
)


def _transpose_to(primitive: Any) -> Any:
    """Return the transpose rule in the first of three arrays, which ``primitive`` computes."""

    def transpose(cotangent: Any, linear: Any, x: Any, index: Any, *, params: Any) -> Any:
        if isinstance(cotangent, ad.Zero):
            return ad.Zero(linear.aval), None, None
        return primitive.bind(cotangent, x, index, params=params), None, None

    return transpose


for _linear, _transpose in ((_tangent, _cotangent), (_cotangent, _tangent)):
    # Linear in the first array; the others have no derivative.
    ad.defjvp(
        _linear,
        lambda dot, _, x, index, *, params, linear=_linear: linear.bind(
            dot, x, index, params=params
        ),
        None,
        None,
    )
    ad.primitive_transposes[_linear] = _transpose_to(_transpose)
