"""The types of the strategies that compute pools."""

import dataclasses
from collections.abc import Callable

import jax


@dataclasses.dataclass(frozen=True)
class MaxStrategy:
    """One way to compute a max pool and its derivative.

    The last argument of each function is the :class:`jaxcnn.shapes.Windows`. The index is
    ``(batch, index_size, channels)``, see :mod:`jaxcnn.ops.primitives.max_slices`; a strategy whose
    derivative reads ``x`` again leaves it zero.

    Attributes:
      name: Name of the strategy, unique among those of the max pool.
      value: Maps ``x`` to the maximum of each window.
      index: Maps ``x`` to the position of the first maximum in each window.
      tangent: Maps ``dx, x, index`` to the tangent at each window's first maximum.
      cotangent: The transpose of ``tangent`` in ``dx``: maps ``dy, x, index`` to ``dx``.
    """

    name: str
    value: Callable[..., jax.Array]
    index: Callable[..., jax.Array]
    tangent: Callable[..., jax.Array]
    cotangent: Callable[..., jax.Array]


@dataclasses.dataclass(frozen=True)
class SumStrategy:
    """One way to compute a sum pool and its transpose.

    Attributes:
      name: Name of the strategy, unique among those of the sum pool.
      value: Maps ``x`` and the windows to the sum of each window.
      cotangent: The transpose of ``value``.
    """

    name: str
    value: Callable[..., jax.Array]
    cotangent: Callable[..., jax.Array]
