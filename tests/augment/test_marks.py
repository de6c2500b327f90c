"""Boxes hold their object and points stay on their pixel, whatever moves the pixels.

Each image has filled rectangles of different classes and values. After an augmentation the classes
are read from the moved image itself, and the marks are compared with what is seen there.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import augment as aug
from jaxcnn.augment.marks import LEAST_SHARE

BATCH, HEIGHT, WIDTH, OBJECTS = 24, 40, 48, 3
# Of integers, so that values at the border between object and ground can be told from both.
VALUES = np.array([0.5, 0.75, 1.0])
AUGMENTS = {
    "flip": aug.random_flip,
    "alternating": partial(aug.alternating_flip, epoch=1),
    "crop": partial(aug.random_crop, padding=12, mode="zeros"),
    "resized_crop": partial(aug.random_resized_crop, scale=(0.3, 1.0)),
    "affine": partial(aug.random_affine, rotation=30, translation=0.1, scale=(0.6, 1.6), shear=15),
    "rand_augment": partial(aug.rand_augment, num_ops=3, magnitude=5),
}
TURNS = {"affine", "rand_augment"}


def scenes(seed=0):
    """Return images, class maps, boxes (x1, y1, x2, y2, class, tag) and points on objects."""
    random = np.random.default_rng(seed)
    images = np.zeros((BATCH, HEIGHT, WIDTH, 1), np.float32)
    labels = np.zeros((BATCH, HEIGHT, WIDTH), np.uint8)
    boxes = np.zeros((BATCH, OBJECTS + 1, 6), np.float32)
    boxes[:, -1, 4] = -1
    points = np.zeros((BATCH, OBJECTS, 3), np.float32)
    for n in range(BATCH):
        for k in range(OBJECTS):  # each in a column of its own
            width, height = random.integers(5, 13), random.integers(5, 25)
            x = 16 * k + 1 + random.integers(0, 15 - width)
            y = random.integers(0, HEIGHT - height + 1)
            images[n, y : y + height, x : x + width] = VALUES[k]
            labels[n, y : y + height, x : x + width] = k + 1
            boxes[n, k] = (x, y, x + width, y + height, k, 10 * n + k)
            points[n, k] = (x + width // 2 + 0.5, y + height // 2 + 0.5, k)
    return images, labels, boxes, points


def extent(mask):
    """Return x1, y1, x2, y2 of the pixels of a mask, or None."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return None
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)


@pytest.fixture
def still_colors(monkeypatch):
    from jaxcnn.augment import random_policy

    monkeypatch.setattr(random_policy, "_CHANGES", (random_policy.identity,))


@pytest.mark.parametrize("name", AUGMENTS)
@pytest.mark.usefixtures("still_colors")
def test_boxes_hold_their_object_and_points_stay_on_it(key, name):
    images, labels, boxes, points = scenes()
    # The classes one by one, as images: channels of 0 and 1.
    planes = (labels[..., None] == np.arange(1, OBJECTS + 1)).astype(np.float32)
    shown = np.concatenate([planes, images], axis=-1)
    moved, masks, found, places = jax.jit(AUGMENTS[name])(
        key, jnp.asarray(shown), labels=labels, boxes=boxes, points=points
    )
    moved, masks, found, places = map(np.asarray, (moved, masks, found, places))
    assert found.shape == boxes.shape
    assert (moved != shown).any()
    np.testing.assert_array_equal(found[:, -1], np.broadcast_to([0, 0, 0, 0, -1, 0], (BATCH, 6)))
    np.testing.assert_array_equal(places[..., 2], points[..., 2])
    kept = 0
    for n in range(BATCH):
        # The warped mask is the mask of the warped picture, away from interpolated borders.
        for k in range(OBJECTS):
            sure = (moved[n, ..., k] > 0.999) | (moved[n].max(axis=-1) < 0.001)
            seen = moved[n, ..., k] > 0.5
            np.testing.assert_array_equal((masks[n] == k + 1)[sure], seen[sure])
            x, y, _ = places[n, k]
            if 0 <= x < WIDTH and 0 <= y < HEIGHT:
                assert moved[n, int(y), int(x), k] > 0.5, (n, k)
            *box, label, tag = found[n, k]
            edges = extent(seen)
            if label < 0:
                assert not any(found[n, k, :4])
                continue
            kept += 1
            assert (label, tag) == (k, 10 * n + k)
            assert edges is not None
            # Half a pixel is what pixels with less than half of the object may miss.
            assert (edges[:2] >= np.array(box[:2]) - 0.51).all(), (box, edges)
            assert (edges[2:] <= np.array(box[2:]) + 0.51).all(), (box, edges)
            if name not in TURNS:  # a turned box is larger than its object
                np.testing.assert_allclose(box, edges, atol=0.51)
    assert kept > BATCH * OBJECTS / 2
    if name == "crop":
        assert kept < BATCH * OBJECTS


def test_the_box_of_a_turned_box_is_that_of_its_corners(key):
    """By 90° counterclockwise in a square image: (x, y) goes to (y, W − x)."""
    turn = partial(aug.random_affine, rotation=(90, 90))
    _, boxes, points = jax.jit(turn)(
        key,
        jnp.zeros((1, 20, 20, 1)),
        boxes=jnp.array([[[2.0, 3, 7, 13]]]),
        points=jnp.array([[[2.5, 3.5]]]),
    )
    np.testing.assert_allclose(boxes, [[[3, 13, 13, 18]]], atol=1e-5)
    np.testing.assert_allclose(points, [[[3.5, 17.5]]], atol=1e-5)


def test_a_box_that_loses_its_object_only_fills_up(key):
    """Shift to the right by exactly 6 of 10 pixels: share 0.4 or 0.2 of a box stays."""
    shift = jax.jit(partial(aug.random_affine, translation=(0.6, 0.6)))
    boxes = jnp.array([[[0.0, 0, 8, 4, 7], [0, 0, 2, 4, 7], [4, 0, 9, 4, 7], [1, 1, 1, 4, 7]]])
    _, moved = shift(key, jnp.zeros((1, 4, 10, 1)), boxes=boxes)
    down = 0.6 * 4
    expected = [
        [6, down, 10, 4, 7] if 4 / 8 * (4 - down) / 4 >= LEAST_SHARE else [0, 0, 0, 0, -1],
        [6, down, 8, 4, 7],
        [0, 0, 0, 0, -1],
        [0, 0, 0, 0, -1],
    ]
    np.testing.assert_allclose(moved[0], expected, atol=1e-5)
    _, corners = shift(key, jnp.zeros((1, 4, 10, 1)), boxes=boxes[..., :4])
    np.testing.assert_allclose(
        corners[0], np.where(np.array(expected)[:, 4:] < 0, 0, expected)[:, :4]
    )


def test_the_marks_come_back_in_one_order(key):
    images, labels, boxes, points = scenes()
    augment = aug.compose(aug.random_flip, aug.gaussian_noise, partial(aug.random_shift, pixels=1))
    for given in ({"points": points}, {"boxes": boxes, "points": points}, {"labels": labels}):
        moved, *rest = jax.eval_shape(augment, key, images, **given)
        assert moved.shape == images.shape
        assert [x.shape for x in rest] == [x.shape for x in given.values()]
    _, same = aug.random_resized_crop(key, images, scale=(1, 1), boxes=boxes)
    np.testing.assert_array_equal(same, boxes)
    with pytest.raises(ValueError, match=r"boxes must be moved with the pixels.*parameter boxes"):
        aug.compose(lambda key, images, labels=None: images)(key, images, boxes=boxes)


@pytest.mark.parametrize(
    ("error", "text", "given"),
    [
        (ValueError, r"boxes must be \(batch, number, 4 or more\)", {"boxes": np.zeros((2, 4))}),
        (ValueError, "one row of the batch per", {"boxes": np.zeros((3, 5, 4))}),
        (ValueError, r"points must be \(batch, number, 2", {"points": np.zeros((2, 5, 1))}),
        (TypeError, "boxes must be floating", {"boxes": np.zeros((2, 5, 4), int)}),
    ],
)
def test_errors(key, error, text, given):
    with pytest.raises(error, match=text):
        aug.random_flip(key, jnp.zeros((2, 4, 4, 1)), **given)


def test_boxes_need_images_of_two_axes(key):
    with pytest.raises(ValueError, match="boxes move with images"):
        aug.random_crop(key, jnp.zeros((2, 9, 1)), boxes=jnp.zeros((2, 1, 4)))


@pytest.mark.parametrize("most", [None, 5])
def test_a_mosaic_has_the_boxes_of_its_parts(key, most):
    _, labels, boxes, _ = scenes(1)
    planes = (labels[..., None] == np.arange(1, OBJECTS + 1)).astype(np.float32)
    mix = jax.jit(partial(aug.mosaic, most=most))
    moved, masks, found = map(np.asarray, mix(key, planes, labels=labels, boxes=boxes))
    assert found.shape == (BATCH, most or 4 * (OBJECTS + 1), 6)
    covered = 0
    for n in range(BATCH):
        sure = (moved[n] > 0.999).any(axis=-1) | (moved[n].max(axis=-1) < 0.001)
        shown = np.where(moved[n].max(axis=-1) > 0.5, moved[n].argmax(axis=-1) + 1, 0)
        np.testing.assert_array_equal(masks[n][sure], shown[sure])
        valid = found[n, :, 4] >= 0
        assert (np.diff(valid.astype(int)) <= 0).all()  # rows that only fill up are the last
        inside = np.zeros(shown.shape, bool)
        for x1, y1, x2, y2, label, _ in found[n, valid]:
            assert 0 <= x1 < x2 <= WIDTH
            assert 0 <= y1 < y2 <= HEIGHT
            rows = slice(round(max(y1 - 0.51, 0)), round(y2 + 0.51))
            columns = slice(round(max(x1 - 0.51, 0)), round(x2 + 0.51))
            # Most of the box shows its class; the rest is the border.
            inner = shown[round(y1 + 0.5) : round(y2 - 0.5), round(x1 + 0.5) : round(x2 - 0.5)]
            assert inner.size == 0 or (inner == label + 1).mean() > 0.9
            inside[rows, columns] = True
        covered += (inside & (shown > 0)).sum() / (shown > 0).sum()
        tags = found[n, valid, 5] // 10
        assert (tags == n).any() or len(set(tags)) > 1
    assert covered / BATCH > (0.9 if most is None else 0.5)
    assert len({tag for tag in found[0, :, 5] // 10 if tag >= 0}) > 1


def test_a_mosaic_at_rate_0_changes_nothing(key):
    images, _, boxes, _ = scenes()
    same, found = jax.jit(partial(aug.mosaic, rate=0.0))(key, images, boxes=boxes)
    np.testing.assert_array_equal(same, images)
    assert (found[:, :3, 4] >= 0).all()
    assert (found[:, 3:, 4] == -1).all()
