"""Reading images at given coordinates, as spatial transformers do."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks, shapes
from jaxcnn.ops.primitives.summation import accumulator

METHODS = ("nearest", "linear", "bicubic")
PADDING_MODES = ("zeros", "replicate", "reflect")


def grid_sample(
    x: jax.Array,
    grid: jax.Array,
    *,
    method: str = "linear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> jax.Array:
    """Read the image at coordinates from −1 to 1, as a spatial transformer does.

    The coordinates are PyTorch's and ONNX's: the last axis comes first, (x, y) in a picture and
    (x, y, z) in a volume. −1 and 1 are the outer edges of the first and the last pixel, or their
    centers with ``align_corners``. ``"nearest"`` rounds halves to the even pixel; ``"bicubic"`` has
    a = −3/4. (Jaderberg et al., 2015, arXiv 1506.02025.)

    >>> image = jnp.array([[1., 2.], [3., 4.]])[None, :, :, None]
    >>> grid_sample(image, jnp.array([[[[0., 0.], [0.5, -0.5]]]]))[0, 0, :, 0]
    Array([2.5, 2. ], dtype=float32)

    Args:
      x: ``(batch, *spatial, channels)``, floating point; halves are computed in float32.
      grid: ``(batch, *output_size, axes)``, floating point.
      method: ``"nearest"``, ``"linear"`` or ``"bicubic"``.
      padding_mode: What lies outside: ``"zeros"``, ``"replicate"`` (PyTorch's ``"border"``) or
        ``"reflect"`` (at the outer edges, or with ``align_corners`` at the centers, of the first
        and the last pixel).
      align_corners: Whether −1 and 1 are centers of pixels.

    Returns:
      ``(batch, *output_size, channels)``.

    Raises:
      TypeError: an array is not floating point, or an option has the wrong type.
      ValueError: the shapes do not fit, or a word is unknown.
    """
    x, grid = checks.array("x", x), checks.array("grid", grid)
    checks.images("x", x)
    checks.floating("x", x)
    checks.floating("grid", grid)
    arguments.check_choice("method", method, METHODS)
    arguments.check_choice("padding_mode", padding_mode, PADDING_MODES)
    align_corners = arguments.check_flag("align_corners", align_corners)
    axes = x.ndim - 2
    if grid.ndim != x.ndim or grid.shape[0] != x.shape[0] or grid.shape[-1] != axes:
        raise ValueError(
            f"grid must be (batch, *output_size, {axes}) for x with {axes} spatial axes and a "
            f"batch of {x.shape[0]}. Received: shape {grid.shape}"
        )
    wide = x.astype(accumulator(x))
    places = [
        _to_pixels(grid[..., axes - 1 - at].astype(wide.dtype), size, align_corners)
        for at, size in enumerate(x.shape[1:-1])
    ]
    if method != "bicubic":
        places = [
            _inside(place, size, padding_mode, align_corners)
            for place, size in zip(places, x.shape[1:-1], strict=True)
        ]
    taps = [_taps(place, method) for place in places]
    total = jnp.zeros((*grid.shape[:-1], x.shape[-1]), wide.dtype)
    for corner in itertools.product(*taps):
        weight = jnp.ones(grid.shape[:-1], wide.dtype)
        indices = []
        for (pixel, share), size in zip(corner, x.shape[1:-1], strict=True):
            if method == "bicubic":
                pixel = _inside(pixel, size, padding_mode, align_corners)
            exists = (pixel >= 0) & (pixel <= size - 1)
            weight = jnp.where(exists, weight * share, 0)
            indices.append(jnp.clip(pixel, 0, size - 1).astype(jnp.int32))
        read = jax.vmap(lambda image, *at: image[at])(wide, *indices)
        total = total + jnp.where(weight[..., None] == 0, 0, read * weight[..., None])
    return total.astype(x.dtype)


def _to_pixels(place: jax.Array, size: int, align_corners: bool) -> jax.Array:
    """Return a coordinate from −1 to 1 in pixels from the center of the first."""
    if align_corners:
        return (place + 1) / 2 * (size - 1)
    return ((place + 1) * size - 1) / 2


def _inside(place: jax.Array, size: int, padding_mode: str, align_corners: bool) -> jax.Array:
    """Return where a place outside is read."""
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflect":
        low, span = (0.0, size - 1) if align_corners else (-0.5, size)
        if span == 0:
            return jnp.zeros_like(place)
        distance = jnp.abs(place - low)
        turns = jnp.floor(distance / span)
        rest = distance - turns * span
        place = jnp.where(turns % 2 == 0, rest, span - rest) + low
    return jnp.clip(place, 0, size - 1)


def _taps(place: jax.Array, method: str) -> list[tuple[jax.Array, jax.Array]]:
    """Return the pixels that are read along one axis, and their weights."""
    if method == "nearest":
        return [(jnp.round(place), jnp.ones_like(place))]
    before = jnp.floor(place)
    t = place - before
    if method == "linear":
        return [(before, 1 - t), (before + 1, t)]
    a = -0.75

    def far(d: jax.Array) -> jax.Array:
        return a * (((d - 5) * d + 8) * d - 4)

    def near(d: jax.Array) -> jax.Array:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    weights = (far(t + 1), near(t), near(1 - t), far(2 - t))
    return [(before + offset, weight) for offset, weight in zip(range(-1, 3), weights, strict=True)]


def affine_grid(
    theta: jax.Array, output_size: Sequence[int], *, align_corners: bool = False
) -> jax.Array:
    """Return the coordinates for :func:`grid_sample` of an affine map of the output.

    A coordinate of the output, (x, y, 1) in a picture, is multiplied by ``theta``.

    >>> affine_grid(jnp.array([[[1., 0., 0.], [0., 1., 0.]]]), (1, 2))[0, 0]
    Array([[-0.5,  0. ],
           [ 0.5,  0. ]], dtype=float32)

    Args:
      theta: ``(batch, axes, axes + 1)``, floating point.
      output_size: One int per spatial axis, at least 1.
      align_corners: As in :func:`grid_sample`.

    Returns:
      ``(batch, *output_size, axes)``.

    Raises:
      TypeError: ``theta`` is not floating point, or a size is not an integer.
      ValueError: the shapes do not fit, or a size is below 1.
    """
    theta = checks.array("theta", theta)
    checks.floating("theta", theta)
    align_corners = arguments.check_flag("align_corners", align_corners)
    if theta.ndim != 3 or theta.shape[2] != theta.shape[1] + 1:
        raise ValueError(f"theta must be (batch, axes, axes + 1). Received: shape {theta.shape}")
    sizes = shapes.per_axis("output_size", output_size, theta.shape[1])
    dtype = accumulator(theta)
    lines = []
    for size in sizes:
        step = jnp.arange(size, dtype=dtype)
        ends = step * 2 / max(size - 1, 1) - 1 if size > 1 else step
        lines.append(ends if align_corners else (step * 2 + 1) / size - 1)
    # The last axis comes first.
    places = jnp.stack([*jnp.meshgrid(*lines, indexing="ij")[::-1], jnp.ones(sizes, dtype)], -1)
    flat = places.reshape(1, -1, theta.shape[2])
    grid = jnp.matmul(flat, theta.astype(dtype).swapaxes(1, 2), precision="highest")
    return grid.reshape(theta.shape[0], *sizes, theta.shape[1]).astype(theta.dtype)
