"""Erased squares and rectangles, measured with NumPy."""

import functools

import jax
import numpy as np
import pytest

from jaxcnn.augment import cutout, random_erasing

COUNT, HEIGHT, WIDTH = 400, 20, 30


@pytest.fixture
def bright():
    return np.full((COUNT, HEIGHT, WIDTH, 2), 0.75, np.float32)


def erase(augment, key, images, **options):
    return np.asarray(jax.jit(functools.partial(augment, **options))(key, images))


def boxes(erased):
    """Return top, bottom, left, right of each erased part, which must be one full rectangle."""
    found = []
    for mask in erased:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        assert mask.sum() == (bottom - top) * (right - left)
        found.append((top, bottom, left, right))
    return np.array(found).T


@pytest.mark.parametrize("size", [5, 6])
def test_cutout_is_a_square_about_any_pixel(key, bright, size):
    result = erase(cutout, key, bright, size=size, fill=0.25)
    assert set(np.unique(result)) == {0.25, 0.75}
    assert (result[..., 0] == result[..., 1]).all()
    top, bottom, left, right = boxes(result[..., 0] == 0.25)
    inside = (top > 0) & (bottom < HEIGHT) & (left > 0) & (right < WIDTH)
    np.testing.assert_array_equal((bottom - top)[inside], size)
    np.testing.assert_array_equal((right - left)[inside], size)
    # At the border what is left has at least the half of a side.
    assert min((bottom - top).min(), (right - left).min()) == (size + 1) // 2
    expected = (HEIGHT - size - 1) * (WIDTH - size - 1) / (HEIGHT * WIDTH)
    assert inside.mean() == pytest.approx(expected, abs=0.08)


@pytest.mark.parametrize("rate", [0, 0.3, 1])
def test_the_rate_is_the_share_that_is_erased(key, bright, rate):
    result = erase(random_erasing, key, bright, rate=rate, fill=0.0)
    changed = (result == 0).any(axis=(1, 2, 3))
    assert changed.mean() == pytest.approx(rate, abs=0.07 if 0 < rate < 1 else 0)


@pytest.mark.parametrize(
    ("area", "ratio"), [((0.1, 0.3), (0.5, 2.0)), ((0.25, 0.25), (1.0, 1.0)), ((1, 1), (1, 1))]
)
def test_the_erased_share_is_the_drawn_area(key, bright, area, ratio):
    result = erase(random_erasing, key, bright, rate=1, area=area, ratio=ratio, fill=0.0)
    top, bottom, left, right = boxes(result[..., 0] == 0)
    tall, wide = bottom - top, right - left
    # A side is up to half a pixel off.
    slack = (tall + wide + 0.5) / 2 / (HEIGHT * WIDTH) + 1e-6
    share = tall * wide / (HEIGHT * WIDTH)
    assert (share > area[0] - slack).all()
    assert (share < area[1] + slack).all()
    assert np.ptp(share) >= 0.8 * (area[1] - area[0])
    if area[1] < 1:
        assert (((wide + 0.5) / (tall - 0.5)) > ratio[0]).all()
        assert (((wide - 0.5) / (tall + 0.5)) < ratio[1]).all()
        # Rectangles touch every side of the image now and then.
        assert (top.min(), bottom.max(), left.min(), right.max()) == (0, HEIGHT, 0, WIDTH)


def test_noise_differs_from_pixel_to_pixel(key, bright):
    result = erase(random_erasing, key, bright, rate=1, area=(0.3, 0.3))
    erased = result != 0.75
    values = result[erased]
    assert erased.mean() == pytest.approx(0.3, abs=0.02)
    assert (values.min() >= 0, values.max() < 1) == (True, True)
    assert len(np.unique(values)) > 0.9 * len(values)
    np.testing.assert_allclose(np.histogram(values, 4, (0, 1))[0] / len(values), 0.25, atol=0.02)
