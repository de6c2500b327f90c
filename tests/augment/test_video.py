"""Augmentations of video: the frames of a clip are changed by the same draws."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import augment as aug

FRAMES = 3
SHAPE = (4, FRAMES, 9, 8, 3)
# Augmentations whose result is proportional to the image.
PROPORTIONAL = {
    "flip": aug.random_flip,
    "crop": partial(aug.random_crop, padding=2),
    "resized_crop": partial(aug.random_resized_crop, scale=(0.2, 0.9)),
    "affine": partial(aug.random_affine, rotation=30, translation=0.2),
    "cutout": partial(aug.cutout, size=4),
    "brightness": partial(aug.color_jitter, brightness=(0.2, 0.9)),
}
OTHERS = {
    "alternating": partial(aug.alternating_flip, epoch=1),
    "shift": partial(aug.random_shift, pixels=3),
    "colors": partial(aug.color_jitter, contrast=0.5, saturation=0.5, hue=0.1),
    "erasing": partial(aug.random_erasing, rate=1.0, area=(0.2, 0.3)),
    "rand_augment": partial(aug.rand_augment, num_ops=2, magnitude=9),
    "composed": aug.compose(aug.random_flip, partial(aug.random_crop, padding=2)),
}


def images():
    return np.random.default_rng(0).uniform(0.1, 1, (SHAPE[0], *SHAPE[2:])).astype(np.float32)


@pytest.mark.parametrize("name", PROPORTIONAL)
def test_every_frame_is_changed_by_the_same_draw(key, name):
    """Each frame is a multiple of the first one, and still is after the augmentation."""
    factors = np.array([1.0, 0.5, 0.25], np.float32)
    videos = images()[:, None] * factors[:, None, None, None]
    result = np.asarray(jax.jit(PROPORTIONAL[name])(key, videos))
    assert result.shape == SHAPE
    assert (result[:, 0] != videos[:, 0]).any()
    for frame, factor in enumerate(factors):
        np.testing.assert_allclose(result[:, frame], factor * result[:, 0], rtol=1e-5, atol=1e-6)
    changes = result[:, 0] - videos[:, 0]
    assert np.abs(changes - changes[:1]).max() > 1e-3  # of another draw for each video


@pytest.mark.long
@pytest.mark.parametrize("name", PROPORTIONAL | OTHERS)
def test_a_still_video_stays_still(key, name):
    videos = np.repeat(images()[:, None], FRAMES, axis=1)
    result = np.asarray(jax.jit((PROPORTIONAL | OTHERS)[name])(key, videos))
    assert (result.shape, result.dtype) == (SHAPE, np.float32)
    assert (result != videos).any()
    np.testing.assert_array_equal(result, np.repeat(result[:, :1], FRAMES, axis=1))


@pytest.mark.long
@pytest.mark.parametrize("name", ["flip", "crop", "resized_crop", "affine"])
def test_labels_of_every_frame_move_with_it(key, name):
    augment = PROPORTIONAL[name]
    marks = np.random.default_rng(1).integers(0, 3, (SHAPE[0], *SHAPE[2:4]))
    labels = np.repeat(marks[:, None], FRAMES, axis=1)
    videos = np.repeat(images()[:, None], FRAMES, axis=1)
    _, moved = jax.jit(augment)(key, videos, labels=labels)
    assert moved.shape == SHAPE[:-1]
    np.testing.assert_array_equal(moved, np.repeat(np.asarray(moved)[:, :1], FRAMES, axis=1))
    _, alone = jax.jit(augment)(key, videos[:, 0], labels=labels[:, 0])
    np.testing.assert_array_equal(moved[:, 0], alone)


def test_noise_differs_between_frames(key):
    noisy = np.asarray(aug.gaussian_noise(key, jnp.full(SHAPE, 0.5)))
    assert (noisy[:, 0] != noisy[:, 1]).any()


@pytest.mark.long
def test_cutmix_pastes_the_same_rectangle_in_every_frame(key):
    videos = np.zeros((4, FRAMES, 9, 8, 1), np.float32)
    videos += np.arange(4).reshape(4, 1, 1, 1, 1) / 4
    mixed, targets = aug.cutmix(key, jnp.asarray(videos), jnp.eye(4))
    np.testing.assert_array_equal(mixed, np.repeat(np.asarray(mixed)[:, :1], FRAMES, axis=1))
    shown = np.asarray(mixed).mean(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(shown, np.asarray(targets) @ (np.arange(4) / 4), atol=1e-6)
    assert (np.asarray(targets).max(axis=1) < 1).any()


def test_random_clip_takes_consecutive_frames(key):
    count, length = 300, 7
    numbers = np.arange(count)[:, None] * length + np.arange(length)
    videos = np.broadcast_to(numbers[..., None, None, None], (count, length, 2, 1, 1))
    clips, labels = jax.jit(partial(aug.random_clip, frames=2, frame_step=3))(
        key, videos, labels=videos[..., 0]
    )
    clips = np.asarray(clips)
    assert clips.shape == (count, 2, 2, 1, 1)
    starts = clips[:, 0, 0, 0, 0] - numbers[:, 0]
    np.testing.assert_array_equal(clips[:, 1], clips[:, 0] + 3)
    np.testing.assert_array_equal(labels, clips[..., 0])
    assert set(starts.tolist()) == {0, 1, 2, 3}
    assert np.bincount(starts).min() > 50


def test_random_clip_refuses_short_videos(key):
    with pytest.raises(ValueError, match=r"need videos of 9 frames. Received: .*of 8 frames"):
        aug.random_clip(key, jnp.zeros((1, 8, 2, 2, 1)), frames=5, frame_step=2)
    with pytest.raises(ValueError, match=r"videos must have 5 axes"):
        aug.random_clip(key, jnp.zeros((8, 2, 2, 1)), frames=5)
