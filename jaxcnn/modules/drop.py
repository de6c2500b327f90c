"""Regularization by dropping values."""

from collections.abc import Callable

import jax
from flax import nnx

from jaxcnn import arguments, ops
from jaxcnn.modules.masking import Masked
from jaxcnn.other_names import Explained


class Dropout(Explained, nnx.Module):
    """Dropout in training, the identity at inference; see :func:`jaxcnn.ops.dropout`.

    >>> import jax.numpy as jnp
    >>> Dropout(0.5)(jnp.ones((1, 3)))
    Array([[1., 1., 1.]], dtype=float32)
    """

    def __init__(self, rate: float, *, op: Callable[..., jax.Array] = ops.dropout) -> None:
        """Store the rate and the operation.

        Args:
          rate: Probability of dropping, in [0, 1).
          op: :func:`jaxcnn.ops.dropout`, :func:`jaxcnn.ops.spatial_dropout` or
            :func:`jaxcnn.ops.drop_path`.

        Raises:
          TypeError: ``rate`` is not a number.
          ValueError: ``rate`` is outside [0, 1).
        """
        self.rate = arguments.check_rate(rate)
        self.op = op
        self.deterministic = True

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Drop values of ``x`` if ``train``, which needs a ``key``."""
        if train is None:
            train = not self.deterministic
        if not train:
            return x
        if key is None:
            raise ValueError(
                f"{self.op.__name__} needs a key while training: model(x, train=True, key=key)"
            )
        return self.op(key, x, self.rate)

    def call_masked(
        self, x: Masked, *, train: bool | None = None, key: jax.Array | None = None
    ) -> Masked:
        """Drop values of series of several lengths."""
        return x.with_values(self(x.values, train=train, key=key))

    def set_view(self, deterministic: bool | None = None) -> None:
        """Set the mode of a copy that ``nnx.view`` makes.

        Args:
          deterministic: Whether nothing is dropped; ``None`` changes nothing.
        """
        if deterministic is not None:
            self.deterministic = deterministic
