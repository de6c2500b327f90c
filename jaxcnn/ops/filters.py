"""Classic image kernels, and a function that applies a kernel to an image."""

from collections.abc import Sequence
from types import MappingProxyType

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks
from jaxcnn.ops.convolution import conv

Rows = tuple[tuple[float, ...], ...]

_BOX: Rows = ((1 / 9,) * 3,) * 3
_GAUSSIAN: Rows = tuple(tuple(n / 16 for n in row) for row in ((1, 2, 1), (2, 4, 2), (1, 2, 1)))
_SOBEL_X: Rows = ((1, 0, -1), (2, 0, -2), (1, 0, -1))

KERNELS: MappingProxyType[str, Rows] = MappingProxyType(
    {
        "identity": ((0, 0, 0), (0, 1, 0), (0, 0, 0)),
        "edges_diagonal": ((1, 0, -1), (0, 0, 0), (-1, 0, 1)),
        "edges_cross": ((0, 1, 0), (1, -4, 1), (0, 1, 0)),
        "edges": ((-1, -1, -1), (-1, 8, -1), (-1, -1, -1)),
        "sharpen": ((0, -1, 0), (-1, 5, -1), (0, -1, 0)),
        "box_blur": _BOX,
        "gaussian_blur": _GAUSSIAN,
        "sobel_x": _SOBEL_X,
        "sobel_y": tuple(zip(*_SOBEL_X, strict=True)),
    }
)
"""The kernels of :func:`filter_image` by name, as rows of a cross-correlation, not flipped."""


def filter_image(
    image: jax.Array,
    kernel: str | Sequence[Sequence[float]] | jax.Array,
    *,
    padding_mode: str = "zeros",
) -> jax.Array:
    """Convolve each channel of an image with one kernel, and keep the size.

    >>> step = jnp.array([[0., 0., 1., 1.]] * 3)[:, :, None]
    >>> filter_image(step, "sobel_x", padding_mode="replicate")[1, :, 0]
    Array([ 0., -4., -4.,  0.], dtype=float32)

    Args:
      image: ``(height, width)`` or ``(height, width, channels)``, floating point.
      kernel: A name in :data:`KERNELS`, or ``(rows, columns)`` numbers, both odd.
      padding_mode: Content of the border, as in :func:`jaxcnn.ops.pad`.

    Returns:
      Shape and dtype of ``image``.

    Raises:
      TypeError: ``image`` is not floating point.
      ValueError: the image or the kernel has another shape, or a name is unknown.
    """
    image = checks.array("image", image)
    if image.ndim not in (2, 3):
        raise ValueError(
            "image must be (height, width) or (height, width, channels). "
            f"Received: shape {image.shape}"
        )
    checks.floating("image", image)
    if isinstance(kernel, str):
        arguments.check_known("kernel", kernel, KERNELS)
        kernel = KERNELS[kernel]
    weights = jnp.asarray(kernel, image.dtype)
    if weights.ndim != 2 or not all(size % 2 for size in weights.shape):
        raise ValueError(
            "kernel must have two axes of odd size, so that it has a middle. "
            f"Received: shape {weights.shape}"
        )
    if image.size == 0:
        return image
    # Treat channels as examples: one kernel for all of them.
    height, width, *_ = image.shape
    planes = jnp.moveaxis(image.reshape(height, width, -1), -1, 0)[..., None]
    widths = [size // 2 for size in weights.shape]
    filtered = conv(planes, weights[..., None, None], padding=widths, padding_mode=padding_mode)
    return jnp.moveaxis(filtered[..., 0], 0, -1).reshape(image.shape)
