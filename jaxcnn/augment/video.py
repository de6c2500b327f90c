"""Augmentations of video, ``(batch, time, height, width, channels)``, along its time."""

import jax
from jax import lax

from jaxcnn import arguments, checks
from jaxcnn.augment.composition import Augmented
from jaxcnn.augment.positions import check_alignment


def random_clip(
    key: jax.Array,
    videos: jax.Array,
    *,
    frames: int,
    frame_step: int = 1,
    labels: jax.Array | None = None,
) -> Augmented:
    """Take consecutive frames of each video, from a random start.

    Load videos with more frames than the network reads, and training sees another part of each one
    in every epoch. Every network that ends in a global pool evaluates all of the frames; see
    :func:`jaxcnn.training.over_clips` for others.

    >>> videos = jax.numpy.arange(8.0).reshape(1, 8, 1, 1, 1)
    >>> random_clip(jax.random.key(0), videos, frames=3).shape
    (1, 3, 1, 1, 1)

    Args:
      key: A PRNG key; the same key gives the same starts.
      videos: ``(batch, time, height, width, channels)``.
      frames: Number of frames to take, at least 1.
      frame_step: Distance between the frames taken, at least 1; 2 takes every other one.
      labels: Labels at positions, ``(batch, time, height, width)`` or with channels, of which the
        same frames are taken.

    Returns:
      ``(batch, frames, height, width, channels)``, in the dtype of ``videos``; with labels the
      videos and the labels.

    Raises:
      TypeError: ``frames`` or ``frame_step`` is not an integer.
      ValueError: ``frames`` or ``frame_step`` is below 1, the videos are shorter than the clip, or
        they do not have 5 axes.
    """
    checks.rank("videos", videos, 5, reason=": random_clip takes frames of a video")
    frames = arguments.check_integer("frames", frames, minimum=1)
    frame_step = arguments.check_integer("frame_step", frame_step, minimum=1)
    span, length = (frames - 1) * frame_step + 1, videos.shape[1]
    if span > length:
        raise ValueError(
            f"frames={frames} with frame_step={frame_step} need videos of {span} frames. "
            f"Received: videos {videos.shape}, of {length} frames"
        )
    starts = jax.random.randint(key, (len(videos),), 0, length - span + 1)

    def take(x: jax.Array) -> jax.Array:
        def one(video: jax.Array, start: jax.Array) -> jax.Array:
            return lax.dynamic_slice_in_dim(video, start, span)[::frame_step]

        return jax.vmap(one)(x, starts)

    if labels is None:
        return take(videos)
    check_alignment(labels, videos)
    return take(videos), take(labels)
