"""Shifts and crops against NumPy, resized crops against Pillow, affine maps against SciPy."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from jaxcnn.augment import geometry, random_affine, random_crop, random_resized_crop, random_shift

NUMPY_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
SCIPY_MODES = {
    "zeros": "grid-constant",
    "reflect": "mirror",
    "replicate": "nearest",
    "circular": "grid-wrap",
}


def jitted(augment, key, images, **options):
    """Compile the whole function at once, which is faster than operation by operation."""
    return np.asarray(jax.jit(functools.partial(augment, **options))(key, images))


def random_images(*shape):
    return np.random.default_rng(0).uniform(0.1, 1, shape).astype(np.float32)


def shifted(image, offset):
    """Return the image moved by ``offset`` along its spatial axes, filled with zeros."""
    result = np.zeros_like(image)
    sizes = image.shape[:-1]
    target = tuple(slice(max(o, 0), n + min(o, 0)) for o, n in zip(offset, sizes, strict=True))
    source = tuple(slice(max(-o, 0), n + min(-o, 0)) for o, n in zip(offset, sizes, strict=True))
    result[target] = image[source]
    return result


def offsets_of(images, results, pixels):
    """Return the one offset per image of the result."""
    around = range(-pixels, pixels + 1)
    found = []
    for image, result in zip(images, results, strict=True):
        fitting = [
            offset
            for offset in itertools.product(around, repeat=image.ndim - 1)
            if np.array_equal(shifted(image, offset), result)
        ]
        assert len(fitting) == 1
        found += fitting
    return np.array(found)


@pytest.mark.parametrize(("shape", "pixels"), [((300, 6, 5, 2), 2), ((60, 9, 1), 3)])
def test_every_image_has_its_own_shift(key, shape, pixels):
    images = random_images(*shape)
    results = jitted(random_shift, key, images, pixels=pixels)
    assert (results.shape, results.dtype) == (images.shape, images.dtype)
    offsets = offsets_of(images, results, pixels)
    # Every shift from one bound to the other comes up on every axis, and the axes differ.
    assert all(set(axis) == set(range(-pixels, pixels + 1)) for axis in offsets.T)
    assert len(np.unique(offsets, axis=0)) > 2 * pixels + 1 or offsets.shape[1] == 1


def test_shifts_are_even(key):
    images = np.zeros((5000, 7, 1), np.float32)
    images[:, 3] = 1
    places = jitted(random_shift, key, images).argmax(axis=1).ravel()
    assert np.bincount(places, minlength=7) == pytest.approx([0, *[1000] * 5, 0], abs=130)


def test_zero_pixels_change_nothing(key):
    images = random_images(3, 4, 4, 1)
    np.testing.assert_array_equal(random_shift(key, jnp.asarray(images), pixels=0), images)


def test_the_key_decides(key):
    images = jax.device_put(random_images(8, 6, 6, 1))
    shift = jax.jit(random_shift)
    once = np.asarray(random_shift(key, images))
    np.testing.assert_array_equal(once, shift(key, images))
    assert (once != np.asarray(shift(jax.random.key(1), images))).any()


def test_pixels_keep_their_dtype(key):
    images = np.random.default_rng(0).integers(1, 256, (4, 5, 5, 3), np.uint8)
    results = jitted(random_shift, key, images, pixels=1)
    assert results.dtype == np.uint8
    offsets_of(images, results, 1)


@pytest.mark.parametrize(
    ("shape", "pixels", "kind", "message"),
    [
        ((2, 4, 4, 1), -1, ValueError, "pixels must be at least 0. Received: pixels=-1"),
        ((2, 4, 4, 1), 1.5, TypeError, "pixels must be an integer. Received: pixels=1.5"),
        ((2, 4, 4, 1), (1, 2), TypeError, r"pixels must be an integer. .*pixels=\(1, 2\)"),
        ((2, 4), 1, ValueError, r"images must have at least 3 axes.*Received: shape \(2, 4\)"),
    ],
)
def test_errors(key, shape, pixels, kind, message):
    with pytest.raises(kind, match=message):
        random_shift(key, jnp.zeros(shape), pixels=pixels)


@pytest.mark.parametrize("mode", NUMPY_MODES)
@pytest.mark.parametrize("shape", [(60, 5, 6, 2), (40, 9, 1)])
def test_a_crop_is_a_slice_of_the_padded_image(key, mode, shape):
    images, spatial = random_images(*shape), shape[1:-1]
    results = jitted(random_crop, key, images, padding=2, mode=mode)
    borders = [(0, 0), *[(2, 2)] * len(spatial), (0, 0)]
    padded = np.pad(images, borders, mode=NUMPY_MODES[mode])
    seen = []
    for image, result in zip(padded, results, strict=True):
        places = [
            corner
            for corner in itertools.product(range(5), repeat=len(spatial))
            if np.array_equal(
                image[tuple(slice(c, c + n) for c, n in zip(corner, spatial, strict=True))], result
            )
        ]
        assert places
        seen += places
    assert all(set(axis) == set(range(5)) for axis in zip(*seen, strict=True))


resized_crop = jax.jit(geometry.resized_crop)


@given(
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    sides=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)),
)
def test_a_resized_crop_is_that_of_pillow(corner, sides):
    image = random_images(12, 9, 1)
    size = np.array(image.shape[:2])
    sides = size * sides
    corner = (size - sides) * corner
    result = resized_crop(image, corner.astype(np.float32), sides.astype(np.float32))
    (top, left), (bottom, right) = corner, np.minimum(corner + sides, size)
    expected = Image.fromarray(image[..., 0]).resize(
        (9, 12), Image.Resampling.BILINEAR, box=(left, top, right, bottom)
    )
    np.testing.assert_allclose(np.asarray(result)[..., 0], expected, atol=2e-4)


@pytest.mark.parametrize(
    ("scale", "ratio"), [((0.1, 0.5), (0.5, 2.0)), ((0.3, 0.3), (1.0, 1.0)), ((0.9, 1.0), (5, 5))]
)
def test_a_resized_crop_has_the_drawn_area_and_lies_inside(key, scale, ratio):
    """Images filled with their coordinates reveal the position of a crop."""
    height, width, count = 40, 60, 200
    places = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), axis=-1)
    images = np.broadcast_to((places + 0.5) / 60, (count, height, width, 2)).astype(np.float32)
    results = 60 * jitted(random_resized_crop, key, images, scale=scale, ratio=ratio)
    # Away from the border, where there is nothing to read outside, the crop is linear.
    rows, columns = results[:, 10:30, 30, 0], results[:, 20, 15:45, 1]
    tall = (rows[:, -1] - rows[:, 0]) / 19 * height
    wide = (columns[:, -1] - columns[:, 0]) / 29 * width
    share = tall * wide / (height * width)
    assert (share > scale[0] - 1e-3).all()
    assert (share < scale[1] + 1e-3).all()
    assert np.ptp(share) >= 0.7 * (scale[1] - scale[0])
    fits = (share * height * width * ratio[1] < width**2) & (tall < height - 0.01)
    assert (wide / tall < ratio[1] + 1e-2).all()
    assert (wide[fits] / tall[fits] > ratio[0] - 1e-2).all()
    top = rows[:, 0] - (10 + 0.5) * tall / height
    left = columns[:, 0] - (15 + 0.5) * wide / width
    assert (top > -1e-2).all()
    assert (left > -1e-2).all()
    assert (top + tall < height + 1e-2).all()
    assert (left + wide < width + 1e-2).all()
    # Every place inside is as likely: the middles spread evenly over the room.
    assert np.mean(top / np.maximum(height - tall, 1)) == pytest.approx(0.5, abs=0.1) or (
        np.allclose(tall, height, atol=1)
    )


@pytest.mark.parametrize("shape", [(4, 7, 7, 2), (4, 8, 8, 1)])
def test_quarter_turns_are_those_of_numpy(key, shape):
    images = random_images(*shape)

    @jax.jit
    def turned(key, images):
        return [random_affine(key, images, rotation=(90 * n,) * 2) for n in (-1, 1, 2)]

    for quarters, result in zip((-1, 1, 2), turned(key, images), strict=True):
        np.testing.assert_allclose(result, np.rot90(images, quarters, axes=(1, 2)), atol=1e-5)


def test_a_translation_is_a_share_of_the_side(key):
    images = random_images(3, 8, 12, 2)
    result = jitted(random_affine, key, images, translation=(0.25, 0.25))
    expected = np.stack([shifted(image, (2, 3)) for image in images])
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_sheared_upright_lines_lean_to_the_right(key):
    images = np.zeros((1, 9, 9, 1), np.float32)
    images[:, :, 4] = 1
    (result,) = jitted(random_affine, key, images, shear=(45, 45))
    np.testing.assert_allclose(result[..., 0], np.eye(9)[::-1], atol=1e-5)


@pytest.mark.parametrize("mode", SCIPY_MODES)
@given(
    rotation=st.floats(-180, 180),
    translation=st.floats(-0.5, 0.5),
    scale=st.floats(0.5, 3),
    shear=st.floats(-45, 45),
)
def test_affine_maps_are_those_of_scipy(mode, rotation, translation, scale, shear):
    images = random_images(2, 9, 7, 2)
    result = random_affine(
        jax.random.key(0),
        jax.device_put(images),
        rotation=(rotation, rotation),
        translation=(translation, translation),
        scale=(scale, scale),
        shear=(shear, shear),
        mode=mode,
    )
    # In (row, column), rows downwards: turning counterclockwise moves the right side up.
    angle, lean = np.radians(rotation), np.tan(np.radians(shear))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(scale * turn @ np.array([[1, 0], [-lean, 1]]))
    middle, move = np.array([4.0, 3.0]), translation * np.array([9, 7])
    for image, received in zip(images, np.asarray(result), strict=True):
        for channel in range(2):
            expected = ndimage.affine_transform(
                image[..., channel].astype(np.float64),
                inverse,
                middle - inverse @ (middle + move),
                order=1,
                mode=SCIPY_MODES[mode],
            )
            np.testing.assert_allclose(received[..., channel], expected, atol=2e-5)


def test_the_drawn_rotations_are_even(key):
    """A line from the center to the right reveals the angle."""
    images = np.zeros((400, 41, 41, 1), np.float32)
    images[:, 20, 25:38] = 1
    result = jitted(random_affine, key, images, rotation=(-30, 60))[..., 0]
    rows, columns = np.arange(41)[:, None] - 20, np.arange(41)[None] - 20
    angles = np.degrees(
        np.arctan2((-rows * result).sum(axis=(1, 2)), (columns * result).sum(axis=(1, 2)))
    )
    shares = np.histogram(angles, bins=[-31, 0, 30, 61])[0] / 400
    np.testing.assert_allclose(shares, 1 / 3, atol=0.08)
