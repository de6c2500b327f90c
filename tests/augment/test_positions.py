"""Labels at positions are moved with the pixels, or the augmentation is refused."""

from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxcnn as cnn
from jaxcnn import augment as aug
from jaxcnn.augment import random_policy
from jaxcnn.training.forward import Forward

SHAPE = (6, 24, 20)
# Labels that grow by 10 per row and by 1 per column, and images that show them.
LABELS = np.broadcast_to(10 * np.arange(24)[:, None] + np.arange(20), SHAPE)
IMAGES = (LABELS[..., None] / 255).astype(np.float32)
EXACT = {
    "flip": aug.random_flip,
    "alternating": partial(aug.alternating_flip, epoch=1),
    "shift": partial(aug.random_shift, pixels=5),
    "crop": partial(aug.random_crop, padding=4, mode="circular"),
    "composed": aug.compose(aug.random_flip, partial(aug.random_shift, pixels=2), aug.random_flip),
}
RESAMPLED = {
    "resized_crop": partial(aug.random_resized_crop, scale=(0.2, 0.9)),
    "affine": partial(aug.random_affine, rotation=40, translation=0.2, shear=10, mode="replicate"),
    "rand_augment": partial(aug.rand_augment, mode="replicate", num_ops=3),
}


@pytest.mark.parametrize("augment", EXACT.values(), ids=EXACT)
def test_each_label_stays_with_its_pixel(key, augment):
    marks = 1 + LABELS % 250
    random = np.random.default_rng(0).integers(1, 250, SHAPE)
    marks = np.where(np.arange(24)[:, None] % 2, marks, random)
    images, labels = jax.jit(augment)(key, jnp.asarray(marks[..., None] / 255), labels=marks)
    shown = np.round(np.asarray(images[..., 0]) * 255)
    assert (shown != marks).any()
    assert labels.shape == SHAPE
    np.testing.assert_array_equal(labels, np.where(shown == 0, 255, shown))  # outside is void


@pytest.mark.parametrize("augment", RESAMPLED.values(), ids=RESAMPLED)
def test_the_nearest_label_is_taken(key, monkeypatch, augment):
    """Where the image, a linear ramp, is interpolated, the label is within half a pixel of it."""
    monkeypatch.setattr(random_policy, "_CHANGES", (random_policy.identity,))
    images, labels = jax.jit(augment)(key, IMAGES, labels=jnp.asarray(LABELS))
    shown = np.asarray(images[..., 0]) * 255
    assert np.abs(shown - LABELS).max() > 20
    assert np.issubdtype(labels.dtype, np.integer)
    assert np.abs(shown - np.asarray(labels)).max() <= 5.5 + 0.1  # half a row and half a column
    _, numbers = jax.jit(augment)(key, IMAGES, labels=jnp.asarray(LABELS[..., None] / 2.0))
    np.testing.assert_allclose(numbers[..., 0], shown / 2, atol=0.02)


def test_sequences_have_positions_too(key):
    marks = np.random.default_rng(0).integers(1, 250, (4, 16))
    shift = partial(aug.time_shift, steps=5)
    sequences, labels = shift(key, jnp.asarray(marks[..., None] / 255), labels=marks)
    shown = np.round(np.asarray(sequences[..., 0]) * 255)
    np.testing.assert_array_equal(labels, np.where(shown == 0, 255, shown))


@pytest.mark.parametrize(
    "augment",
    [
        aug.cutout,
        aug.random_erasing,
        partial(aug.color_jitter, brightness=0.5),
        partial(aug.gaussian_noise, deviation=0.1),
        aug.in_place(lambda key, images: 1 - images),
    ],
)
def test_labels_stay_where_no_pixel_moves(key, augment):
    images, labels = aug.compose(augment)(key, jnp.asarray(IMAGES), labels=LABELS)
    assert (np.asarray(images) != IMAGES).any()
    np.testing.assert_array_equal(labels, LABELS)


def test_what_cannot_be_moved_is_refused(key):
    with pytest.raises(ValueError, match=r"does not declare whether it moves them.*in_place"):
        aug.compose(lambda key, images: images[:, ::-1])(key, IMAGES, labels=LABELS)
    for augment in (aug.random_flip, aug.random_crop, aug.random_affine):
        with pytest.raises(ValueError, match=r"one label per position.*labels \(6, 12, 10\)"):
            augment(key, IMAGES, labels=jnp.asarray(LABELS[:, ::2, ::2]))


@pytest.mark.implicit_promotion
@pytest.mark.parametrize("name", ["airbench", "digits_long"])
def test_a_step_moves_the_labels_of_a_segmentation(name):
    """With `augment` in fit, an image and its label differed by the flip."""
    random = np.random.default_rng(0)
    squares = np.kron(random.integers(0, 4, (8, 3, 3)), np.ones((4, 4), int))
    data = cnn.Dataset((squares[..., None] * 80).astype(np.uint8), squares.astype(np.uint8))
    model = cnn.conv(4, 1).build(data.image_shape, rngs=nnx.Rngs(0))
    forward = Forward.of(model, augment=name, mix=None, steps_per_epoch=1, precision="float32")
    state = SimpleNamespace(key=jax.random.key(0), step=1, params=None, statistics=None)
    batch = next(cnn.data.batches(data, 8))
    images, targets, _ = jax.jit(lambda batch: forward.inputs(state, batch)[0])(batch)
    seen, targets = np.asarray(images[..., 0]) * 255 / 80, np.asarray(targets)
    assert (targets != squares).any()
    plain = (targets != 255) & (np.abs(seen - np.round(seen)) < 1e-3)  # not blended with others
    assert plain.mean() > 0.3
    assert (np.round(seen) == targets)[plain].mean() > 0.98
