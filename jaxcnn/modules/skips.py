"""The decoder with skips: feature maps enlarged step by step, each beside an earlier one."""

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import ops
from jaxcnn.modules.combinators import Pyramid, call
from jaxcnn.other_names import Explained


class SkipDecoder(Explained, nnx.Module):
    """An encoder, and blocks that read its maps from the smallest to the largest.

    >>> from jaxcnn.modules.combinators import Function
    >>> half = Function(ops.max_pool, window=2)
    >>> body = Pyramid(maps=("a", "b"), a=Function(jnp.negative), b=half)
    >>> model = SkipDecoder(body, [Function(jnp.abs)])
    >>> model(jnp.ones((1, 4, 4, 3))).shape
    (1, 4, 4, 6)
    """

    def __init__(self, body: Pyramid, blocks: list[nnx.Module], *, method: str = "nearest") -> None:
        """Store the encoder and the blocks; see :class:`jaxcnn.layers.skip_decoder`."""
        self.body = body
        self.method = method
        self.count = len(blocks)
        for index, block in enumerate(blocks):
            setattr(self, f"block_{index + 1}", block)

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Return the output of the last block, at the size of ``x``."""
        keys = [None] * (self.count + 1) if key is None else jax.random.split(key, self.count + 1)
        *skips, y = self.body(x, train=train, key=keys[0])
        for index in range(self.count):
            skip = skips.pop() if skips else None
            size = (x if skip is None else skip).shape[1:-1]
            y = _resized(y, size, self.method)
            if skip is not None:
                y = jnp.concatenate([y, skip], axis=-1)
            y = call(getattr(self, f"block_{index + 1}"), y, train=train, key=keys[index + 1])
        return y


def _resized(y: jax.Array, size: tuple[int, ...], method: str) -> jax.Array:
    """Resize ``y``; in an exported program of free height and width by the ratio of the sizes."""
    if all(isinstance(length, int) for length in size):
        return ops.resize(y, size, method=method)
    scales = [new // old for new, old in zip(size, y.shape[1:-1], strict=True)]
    return ops.upsample(y, tuple(scales), method=method)
