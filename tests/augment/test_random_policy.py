"""RandAugment: each change against Pillow or SciPy, and uniform draws of all changes."""

import functools
import itertools

import jax
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from jaxcnn.augment import rand_augment
from jaxcnn.augment import random_policy as policy

SIZE, COUNT = 25, 600
# Middle values, so that no two changes come to the same by cutting off.
PIXELS = np.random.default_rng(0).integers(50, 200, (SIZE, SIZE, 3), np.uint8)
PICTURE, MAGNITUDE = Image.fromarray(PIXELS), 5


def on_pixels(change, picture, strength):
    image = np.asarray(picture) / np.float32(255)
    return 255 * np.asarray(jax.jit(change)(image, np.float32(strength)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (policy.autocontrast, ImageOps.autocontrast),
        (policy.equalize, ImageOps.equalize),
        (policy.solarize, functools.partial(ImageOps.solarize, threshold=0)),
        (policy.posterize, functools.partial(ImageOps.posterize, bits=4)),
        (policy.sharpen, lambda picture: ImageEnhance.Sharpness(picture).enhance(1.9)),
    ],
    ids=lambda change: getattr(change, "__name__", ""),
)
@pytest.mark.parametrize(
    "pixels",
    [
        PIXELS,
        np.random.default_rng(1).binomial(255, 0.3, (SIZE, SIZE, 3)).astype(np.uint8),
        np.random.default_rng(2).integers(0, 256, (SIZE, SIZE, 3), np.uint8),
        np.full((SIZE, SIZE, 3), 77, np.uint8),
    ],
    ids=["middle", "crowded", "all", "one"],
)
def test_full_changes_are_those_of_pillow(change, expected, pixels):
    picture = Image.fromarray(pixels)
    # Pillow rounds what it blends with, and the result.
    np.testing.assert_allclose(on_pixels(change, picture, 1), expected(picture), atol=1.5)


@pytest.mark.parametrize("strength", [0.5, -0.5])
def test_half_solarized_and_posterized(strength):
    everything = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, -1))
    solarized = ImageOps.solarize(everything, threshold=128)
    np.testing.assert_allclose(
        on_pixels(policy.solarize, everything, strength), solarized, atol=1e-3
    )
    posterized = ImageOps.posterize(everything, bits=6)
    np.testing.assert_allclose(
        on_pixels(policy.posterize, everything, strength), posterized, atol=1e-3
    )


def moves(strength):
    """Return (matrix, move) of (row, column) for each geometric change."""
    angle, lean, share = np.radians(30 * strength), 0.3 * strength, 0.45 * strength * SIZE
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return {
        "rotation": (np.array(turn), np.zeros(2)),
        "shear along x": (np.array([[1, 0], [-lean, 1]]), np.zeros(2)),
        "shear along y": (np.array([[1, -lean], [0, 1]]), np.zeros(2)),
        "translation down": (np.eye(2), np.array([share, 0])),
        "translation right": (np.eye(2), np.array([0, share])),
    }


def moved(*maps):
    """Return the image after several maps, sampled once."""
    matrix, offset = np.eye(2), np.zeros(2)
    for step, move in maps:
        matrix, offset = step @ matrix, step @ offset + move
    inverse, middle = np.linalg.inv(matrix), np.full(2, (SIZE - 1) / 2)
    start = middle - inverse @ (middle + offset)
    planes = np.moveaxis(PIXELS.astype(np.float64), -1, 0)
    return np.stack(
        [
            ndimage.affine_transform(p, inverse, start, order=1, mode="grid-constant")
            for p in planes
        ],
        axis=-1,
    )


def candidates():
    """Yield the name of each change and its result, at half its strength."""
    yield "nothing", PIXELS
    yield "autocontrast", (np.asarray(ImageOps.autocontrast(PICTURE), float) + PIXELS) / 2
    yield "equalize", (np.asarray(ImageOps.equalize(PICTURE), float) + PIXELS) / 2
    yield "solarize", ImageOps.solarize(PICTURE, threshold=128)
    yield "posterize", ImageOps.posterize(PICTURE, bits=6)
    for sign in (1, -1):
        for name in ("Color", "Contrast", "Brightness", "Sharpness"):
            yield name, getattr(ImageEnhance, name)(PICTURE).enhance(1 + 0.45 * sign)
        for name, step in moves(0.5 * sign).items():
            yield name, moved(step)


def drawn(key, num_ops):
    images = np.broadcast_to(PIXELS / np.float32(255), (COUNT, *PIXELS.shape))
    augment = functools.partial(rand_augment, num_ops=num_ops, magnitude=MAGNITUDE)
    return 255 * np.asarray(jax.jit(augment)(key, images))


def test_one_change_is_one_of_fourteen_drawn_evenly(key):
    names, expected = zip(*((n, np.asarray(i, float)) for n, i in candidates()), strict=True)
    found = []
    for result in drawn(key, 1):
        errors = [np.abs(result - image).max() for image in expected]
        assert min(errors) < 1.5  # Pillow rounds twice
        found.append(names[int(np.argmin(errors))])
    shares = {name: found.count(name) / COUNT for name in set(names)}
    assert len(shares) == 14
    assert all(share == pytest.approx(1 / 14, abs=0.04) for share in shares.values()), shares


def test_two_geometric_changes_are_one_map_in_their_order(key):
    steps = [*moves(0.5).values(), *moves(-0.5).values()]
    expected = [moved(*pair) for pair in itertools.product(steps, repeat=2)]
    found = set()
    for result in drawn(key, 2):
        errors = [np.abs(result - image).max() for image in expected]
        if min(errors) < 0.05:
            found.add(int(np.argmin(errors)))
    # (5/14)² of 600 images are such; of a hundred pairs, about half come up.
    assert 30 < len(found) < 75
