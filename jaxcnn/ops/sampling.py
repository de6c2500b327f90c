"""Reading images at given coordinates and in given boxes: spatial transformers and RoI Align."""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxcnn import arguments, checks, shapes
from jaxcnn.ops.pooling import avg_pool, max_pool
from jaxcnn.ops.primitives.interpolation import BICUBIC, cubic_far, cubic_near
from jaxcnn.ops.primitives.summation import accumulator
from jaxcnn.shapes.numbers import is_below

METHODS = ("nearest", "linear", "bicubic")
PADDING_MODES = ("zeros", "replicate", "reflect")
ROI_MODES = ("avg", "max")


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
    if method == "bicubic":
        taps = [
            [(_inside(pixel, size, padding_mode, align_corners), share) for pixel, share in axis]
            for axis, size in zip(taps, x.shape[1:-1], strict=True)
        ]

    def read(*indices: jax.Array) -> jax.Array:
        return jax.vmap(lambda image, *at: image[at])(wide, *indices)

    return _weighted_sum(taps, x.shape[1:-1], read).astype(x.dtype)


def _weighted_sum(
    taps: list[list[tuple[jax.Array, jax.Array]]],
    sizes: Sequence[int],
    read: Callable[..., jax.Array],
) -> jax.Array:
    """Return the sum over all corners of what is read, by weight; pixels outside count as 0.

    A weight of 0 leaves its pixel out, NaN included.
    """
    parts = []
    for corner in itertools.product(*taps):
        weight: jax.Array | float = 1.0
        indices = []
        for (pixel, share), size in zip(corner, sizes, strict=True):
            exists = (pixel >= 0) & (pixel <= size - 1)
            weight = weight * jnp.where(exists, share, 0)
            indices.append(jnp.clip(pixel, 0, size - 1).astype(jnp.int32))
        shares = jnp.expand_dims(weight, -1)
        parts.append(jnp.where(shares == 0, 0, read(*indices) * shares))
    return sum(parts[1:], parts[0])


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
    near = [cubic_near(distance, BICUBIC) for distance in (t, 1 - t)]
    weights = (cubic_far(t + 1, BICUBIC), *near, cubic_far(2 - t, BICUBIC))
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


def roi_align(
    x: jax.Array,
    boxes: jax.Array,
    batch_index: jax.Array,
    output_size: shapes.PerAxis,
    *,
    spatial_scale: float = 1.0,
    sampling_ratio: int = 2,
    aligned: bool = True,
    mode: str = "avg",
) -> jax.Array:
    """Read each box of an image as a picture of ``output_size``, without rounding the box.

    A box is divided into ``output_size`` bins. Each bin is the average, or the maximum, of
    ``sampling_ratio``² points at even distances that are interpolated linearly. (He et al., 2017,
    Mask R-CNN, arXiv 1703.06870, section 3.) The coordinates are torchvision's: a point up to one
    pixel outside the first or the last center is read at that center, one farther outside is 0.
    ``mode="max"`` is the maximum of the interpolated points, as in the paper; that of ONNX is the
    maximum of the pixels times their weights, before they are added. Gradients reach the boxes too,
    unlike torchvision's; ``jax.lax.stop_gradient(boxes)`` leaves them out.

    >>> image = jnp.arange(16.).reshape(1, 4, 4, 1)
    >>> box = jnp.array([[0., 0., 4., 4.]])
    >>> roi_align(image, box, jnp.array([0]), 2)[0, :, :, 0]
    Array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)

    Args:
      x: ``(batch, height, width, channels)``, floating point; halves are computed in float32.
      boxes: ``(count, 4)``, floating point: x1, y1, x2, y2 in pixels before ``spatial_scale``. Pass
        float32 also for an ``x`` in half precision, which cannot hold the coordinates.
      batch_index: ``(count,)``, integers: the image of each box. A box of an index outside the
        batch, such as −1 for a box that only fills up the count, is 0 everywhere.
      output_size: Height and width of the output: an int or one per axis, at least 1.
      spatial_scale: The pixels of ``x`` per pixel of ``boxes``, such as 1/16; above 0.
      sampling_ratio: Points per bin and axis, at least 1. A number that depends on the size of the
        box, as 0 asks for in ONNX and −1 in torchvision, has no fixed shape to compile.
      aligned: Whether the center of the first pixel is at 0.5. Otherwise it is at 0, and a box has
        at least one pixel on each axis (ONNX's ``"output_half_pixel"``).
      mode: ``"avg"`` or ``"max"``.

    Returns:
      ``(count, *output_size, channels)``.

    Raises:
      TypeError: an array or an option has the wrong type.
      ValueError: the shapes do not fit, or an option is out of range.
    """
    x, boxes = checks.array("x", x), checks.array("boxes", boxes)
    batch_index = checks.array("batch_index", batch_index)
    checks.rank("x", x, 4)
    checks.images("x", x)
    checks.floating("x", x)
    checks.boxes("boxes", boxes, reason="; the image of each is batch_index")
    checks.integers("batch_index", batch_index)
    if batch_index.shape != boxes.shape[:1]:
        raise ValueError(
            f"batch_index must be ({boxes.shape[0]},), one per box. "
            f"Received: shape {batch_index.shape}"
        )
    sizes = shapes.per_axis("output_size", output_size, 2)
    scale = arguments.check_number("spatial_scale", spatial_scale, above=0)
    count = arguments.check_integer("sampling_ratio", sampling_ratio)
    if count < 1:
        raise ValueError(
            "sampling_ratio must be at least 1: a number of points that depends on the size of the "
            "box has no fixed shape. Use 2, as Mask R-CNN does. "
            f"Received: sampling_ratio={arguments.shown(sampling_ratio)}"
        )
    aligned = arguments.check_flag("aligned", aligned)
    arguments.check_choice("mode", mode, ROI_MODES)
    if is_below(x.shape[0], 1):  # nothing that a gather could read
        return jnp.zeros((boxes.shape[0], *sizes, x.shape[-1]), x.dtype)
    wide = x.astype(accumulator(x))
    corners = boxes.astype(wide.dtype) * scale - (0.5 if aligned else 0)
    taps = []
    for at, (size, bins) in enumerate(zip(x.shape[1:-1], sizes, strict=True)):
        start, end = corners[:, 1 - at, None], corners[:, 3 - at, None]  # y comes second in a box
        extent = end - start if aligned else jnp.maximum(end - start, 1)
        steps = (jnp.arange(bins * count, dtype=wide.dtype) + 0.5) / (bins * count)
        place = jnp.expand_dims(start + extent * steps[None], 2 - at)
        near = (place >= -1) & (place <= size)
        pairs = _taps(jnp.clip(place, 0, size - 1), "linear")
        taps.append([(pixel, jnp.where(near, share, 0)) for pixel, share in pairs])
    images = jnp.where(batch_index < 0, x.shape[0], batch_index)[:, None, None]

    def read(*indices: jax.Array) -> jax.Array:
        return wide.at[(images, *indices)].get(mode="fill", fill_value=0)

    pool = avg_pool if mode == "avg" else max_pool
    return pool(_weighted_sum(taps, x.shape[1:-1], read), count).astype(x.dtype)
