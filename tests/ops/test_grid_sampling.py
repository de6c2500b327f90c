"""Boxes of images against a slow definition, point by point."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxcnn import ops


def point(image, y, x):
    """Linear between the centers; a point is moved by at most one pixel onto the image."""
    height, width, channels = image.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(channels)
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    total = np.zeros(channels)
    for row, column in itertools.product(range(height), range(width)):
        total += max(0, 1 - abs(y - row)) * max(0, 1 - abs(x - column)) * image[row, column]
    return total


def roi_align(x, boxes, batch_index, sizes, scale, count, aligned, reduce):
    y = np.zeros((len(boxes), *sizes, x.shape[-1]))
    for at, (box, index) in enumerate(zip(boxes, batch_index, strict=True)):
        if not 0 <= index < len(x):
            continue
        x1, y1, x2, y2 = (float(number) * scale - 0.5 * aligned for number in box)
        height, width = y2 - y1, x2 - x1
        if not aligned:
            height, width = max(height, 1), max(width, 1)
        for row, column in np.ndindex(*sizes):
            points = [
                point(
                    x[index],
                    y1 + height * (row + (i + 0.5) / count) / sizes[0],
                    x1 + width * (column + (j + 0.5) / count) / sizes[1],
                )
                for i, j in np.ndindex(count, count)
            ]
            y[at, row, column] = reduce(points, axis=0)
    return y


BOXES = np.array(
    [
        [1.3, 2.1, 9.8, 7.4],
        [-6, -4, 30, 27],  # larger than the image
        [5, 6, 5.2, 6.1],  # smaller than a pixel
        [16.5, 3, 18.5, 12],  # across the last column
        [40, 40, 50, 50],  # outside
        [0, 0, 5, 5],  # no image
        [0, 0, 5, 5],
    ],
    np.float32,
)
INDEX = np.array([0, 1, 1, 0, 1, -1, 2])
CASES = [
    (aligned, mode, sizes, count)
    for aligned in (True, False)
    for mode, sizes, count in (("avg", (3, 2), 2), ("max", (2, 4), 3), ("avg", (1, 1), 1))
]


def test_roi_align():
    x = np.random.default_rng(0).normal(size=(2, 7, 9, 3)).astype(np.float32)

    @jax.jit
    def computed(x, boxes, index):
        return [
            ops.roi_align(
                x, boxes, index, sizes, spatial_scale=0.5, sampling_ratio=count, aligned=aligned,
                mode=mode,
            )
            for aligned, mode, sizes, count in CASES
        ]  # fmt: skip

    results = computed(x, BOXES, INDEX)
    for (aligned, mode, sizes, count), y in zip(CASES, results, strict=True):
        reduce = {"avg": np.mean, "max": np.max}[mode]
        expected = roi_align(x, BOXES, INDEX, sizes, 0.5, count, aligned, reduce)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
        assert np.abs(expected[:4]).min(axis=(1, 2, 3)).max() > 0


def test_roi_align_in_half_precision_with_boxes_in_float32():
    """A pixel of a large image, at a coordinate that bfloat16 would round."""
    x = jnp.zeros((1, 1, 1024, 1), jnp.bfloat16).at[0, 0, 1001, 0].set(1)
    box = jnp.array([[1001.0, 0, 1002, 1]])
    y = ops.roi_align(x, box, jnp.array([0]), 1, sampling_ratio=1)
    assert (y.dtype, y.item()) == (jnp.bfloat16, 1)


def test_roi_align_of_no_boxes_and_of_no_images():
    for batch, count in ((2, 0), (0, 2), (0, 0)):
        x, boxes = jnp.zeros((batch, 5, 5, 3)), jnp.zeros((count, 4))
        y = ops.roi_align(x, boxes, jnp.zeros(count, int), 2)
        np.testing.assert_array_equal(y, np.zeros((count, 2, 2, 3)))


def test_a_pixel_that_no_point_reads_is_left_out():
    x = jnp.ones((2, 4, 4, 1)).at[0].set(jnp.nan).at[1, 3].set(jnp.nan)
    boxes = jnp.array([[0.0, 0, 4, 3], [0, 0, 4, 4]])
    y = ops.roi_align(x, boxes, jnp.array([1, 5]), 1, sampling_ratio=3)
    np.testing.assert_array_equal(y.ravel(), [1, 0])
