"""The mean prediction over several clips of a video."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxcnn import arguments, checks
from jaxcnn.modules import call, check_module
from jaxcnn.training.output_activation import ACTIVATIONS, remember_activation, trained_activation


class OverClips(nnx.Module):
    """A network of one clip, applied to each clip of a video.

    Its outputs are such that :func:`jaxcnn.training.predict` gives the mean of the clips'
    predictions: under a softmax the logarithms of the mean probabilities.
    """

    def __init__(self, body: nnx.Module, clips: int, activation: str) -> None:
        """Store the network, the number of clips and the name of the activation."""
        self.body = body
        self.clips = clips
        self.activation = activation

    def __call__(
        self, x: jax.Array, *, train: bool | None = None, key: jax.Array | None = None
    ) -> jax.Array:
        """Return one output for each video.

        Args:
          x: ``(batch, clips · frames, H, W, C)``.
          train: As for the network.
          key: As for the network.

        Raises:
          ValueError: ``x`` does not have 5 axes, or its frames are not a multiple of the clips.
        """
        checks.rank("videos", x, 5, reason=", for a model over several clips")
        batch, length, *rest = x.shape
        if length % self.clips:
            raise ValueError(
                f"videos must have a multiple of {self.clips} frames, because they hold "
                f"{self.clips} clips. Received: shape {x.shape}, of {length} frames"
            )
        clips = x.reshape(batch * self.clips, length // self.clips, *rest)
        y: jax.Array = call(self.body, clips, train=train, key=key)
        y = y.reshape(batch, self.clips, *y.shape[1:])
        if self.activation == "softmax":
            return _log_mean(jax.nn.log_softmax(y))
        if self.activation == "sigmoid":
            return _log_mean(jax.nn.log_sigmoid(y)) - _log_mean(jax.nn.log_sigmoid(-y))
        return y.mean(axis=1)


def over_clips(model: nnx.Module, clips: int, *, activation: str = "auto") -> nnx.Module:
    """Return a model that reads several clips of each video and gives their mean prediction.

    Networks of clips are evaluated so (Tran et al., 2017, arXiv 1711.11248): the probabilities of
    several clips of a video are averaged. The result reads what ``load(…, clips=clips)`` gives;
    :func:`jaxcnn.evaluate` and :func:`jaxcnn.predict` take it as any model, and every video counts
    once. A step computes ``batch_size · clips`` clips.

    >>> from jaxcnn.layers import dense, global_avg_pool, serial
    >>> network = serial(global_avg_pool(), dense(3))
    >>> model = network.build((4, 8, 8, 1), rngs=nnx.Rngs(0))
    >>> videos = jax.random.uniform(jax.random.key(0), (2, 12, 8, 8, 1))
    >>> over_clips(model, 3)(videos).shape
    (2, 3)

    Args:
      model: The trained model of one clip, ``(batch, frames, H, W, C)``. Its arrays are shared.
      clips: Number of clips in a video, at least 1.
      activation: What turns the outputs of `model` into the predictions that are averaged:
        ``"softmax"``, ``"sigmoid"`` or ``"none"``. ``"auto"`` follows the training of the model, as
        in :func:`jaxcnn.predict`; of another model it is the softmax.

    Returns:
      A module that maps ``(batch, clips · frames, H, W, C)``, clip after clip, to outputs of the
      shape of the model's.

    Raises:
      TypeError: ``model`` is not a module, or ``clips`` is not an integer.
      ValueError: ``clips`` is below 1, or `activation` is another word.
    """
    check_module("model", model)
    clips = arguments.check_integer("clips", clips, minimum=1)
    name = arguments.check_choice("activation", activation, ("auto", *ACTIVATIONS))
    if name == "auto":
        name = trained_activation(model) or "softmax"
    result = OverClips(model, clips, name)
    remember_activation(result, name)
    return result


def _log_mean(logarithms: Any) -> jax.Array:
    """Return the logarithms of the means over the second axis, the clips."""
    total: jax.Array = jax.nn.logsumexp(logarithms, axis=1)
    return total - jnp.log(logarithms.shape[1]).astype(total.dtype)
