"""Flax's normalisations with this library's call, and its own sums over a batch."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from jaxcnn.ops.channels import spread, total


class BatchNorm(nnx.BatchNorm):
    """Flax's batch normalisation with this library's sums over a batch and its call.

    While training it normalises with the batch's mean and variance and moves the running ones
    towards them; at inference it uses those.

    >>> layer = BatchNorm(3, momentum=0.9, rngs=nnx.Rngs(0))
    >>> images = jnp.arange(24.0).reshape(2, 2, 2, 3)
    >>> layer(images, train=True).shape, [f"{mean:.2f}" for mean in layer.mean[...]]
    ((2, 2, 2, 3), ['1.05', '1.15', '1.25'])
    """

    def __call__(  # type: ignore[override]  # this library's call, not Flax's
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Normalises each channel of ``x``; the shape stays."""
        dtype = jnp.promote_types(jnp.float32, x.dtype)  # statistics of halves lose their digits
        wide = x.astype(dtype)
        mean, variance = self.mean[...].astype(dtype), self.var[...].astype(dtype)
        if train:
            count = math.prod(x.shape[:-1])
            mean = total(wide) / count
            centred = wide - spread(mean, wide)
            # The mean of squares of what is centred: E[x²] − E[x]² has no right digit left where
            # the mean is large beside the deviation.
            variance = total(centred * centred) / count
            self._follow(self.mean, mean)
            self._follow(self.var, variance)
        else:
            centred = wide - spread(mean, wide)
        slope = lax.rsqrt(variance + self.epsilon)
        if self.scale is not None:
            slope *= self.scale[...].astype(dtype)
        y = centred * spread(slope, wide)
        if self.bias is not None:
            y += spread(self.bias[...].astype(dtype), wide)
        return y.astype(x.dtype if self.dtype is None else self.dtype)

    def _follow(self, running: nnx.Variable[jax.Array], batch: jax.Array) -> None:
        """Moves a running statistic towards the batch's."""
        old = running[...]
        batch = lax.stop_gradient(batch).astype(old.dtype)
        running[...] = self.momentum * old + (1 - self.momentum) * batch


class _Normalised:
    """Flax's normalisations that do the same in training and at inference."""

    def __call__(
        self, x: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Normalises ``x``; the shape stays."""
        return super().__call__(x)  # type: ignore[misc]  # Flax's, which comes next in order


class LayerNorm(_Normalised, nnx.LayerNorm):  # type: ignore[misc]  # the call is ours
    """Flax's layer normalisation; see :class:`jaxcnn.layers.layer_norm`.

    >>> LayerNorm(2, rngs=nnx.Rngs(0))(jnp.array([[[1., 3.]]]))
    Array([[[-0.9999995,  0.9999995]]], dtype=float32)
    """


class GroupNorm(_Normalised, nnx.GroupNorm):  # type: ignore[misc]  # the call is ours
    """Flax's group normalisation; see :class:`jaxcnn.layers.group_norm`.

    >>> GroupNorm(4, num_groups=2, rngs=nnx.Rngs(0))(jnp.zeros((1, 2, 4))).shape
    (1, 2, 4)
    """


class InstanceNorm(_Normalised, nnx.InstanceNorm):  # type: ignore[misc]  # the call is ours
    """Flax's instance normalisation; see :class:`jaxcnn.layers.instance_norm`.

    >>> InstanceNorm(4, rngs=nnx.Rngs(0))(jnp.zeros((1, 2, 4))).shape
    (1, 2, 4)
    """


class RMSNorm(_Normalised, nnx.RMSNorm):  # type: ignore[misc]  # the call is ours
    """Flax's normalisation by the root mean square; see :class:`jaxcnn.layers.rms_norm`.

    >>> RMSNorm(4, rngs=nnx.Rngs(0))(jnp.zeros((1, 2, 4))).shape
    (1, 2, 4)
    """
