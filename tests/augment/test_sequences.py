"""Shifted and masked sequences, measured with NumPy."""

import functools

import jax
import numpy as np
import pytest

from jaxcnn.augment import channel_mask, time_mask, time_shift

COUNT, LENGTH, CHANNELS = 300, 20, 8


@pytest.fixture
def ones():
    return np.ones((COUNT, LENGTH, CHANNELS), np.float32)


def jitted(augment, key, sequences, **options):
    return np.asarray(jax.jit(functools.partial(augment, **options))(key, sequences))


@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_a_shift_moves_all_channels_together(key, mode):
    rng = np.random.default_rng(0)
    sequences = rng.uniform(0.1, 1, (100, LENGTH, 2)).astype(np.float32)
    results = jitted(time_shift, key, sequences, steps=3, mode=mode)
    seen = set()
    for sequence, result in zip(sequences, results, strict=True):
        for steps in range(-3, 4):
            expected = np.roll(sequence, steps, axis=0)
            if mode == "zeros":
                expected[slice(steps) if steps >= 0 else slice(steps, None)] = 0
            if np.array_equal(expected, result):
                seen.add(steps)
                break
        else:
            pytest.fail("no shift explains the result")
    assert seen == set(range(-3, 4))


@pytest.mark.parametrize(
    ("mask", "axis", "size"), [(time_mask, 1, LENGTH), (channel_mask, 2, CHANNELS)]
)
def test_a_mask_is_one_stretch(key, ones, mask, axis, size):
    masked = jitted(mask, key, ones, width=5) == 0
    stretch = masked.all(axis=3 - axis)
    np.testing.assert_array_equal(masked.any(axis=3 - axis), stretch)
    widths = stretch.sum(axis=1)
    assert np.bincount(widths) == pytest.approx(np.full(6, COUNT / 6), abs=25)
    steps = np.abs(np.diff(np.pad(stretch, ((0, 0), (1, 1))).astype(int), axis=1)).sum(axis=1)
    np.testing.assert_array_equal(steps, 2 * (widths > 0))
    assert stretch.any(axis=0).all()  # every place comes up


def test_a_mask_can_take_all(key, ones):
    widths = (jitted(time_mask, key, ones, width=LENGTH) == 0)[..., 0].sum(axis=1)
    assert (widths.min(), widths.max()) == (0, LENGTH)


def test_several_masks_are_drawn_by_themselves(key, ones):
    masked = jitted(time_mask, key, ones, width=2, count=4)[..., 0] == 0
    assert masked.sum(axis=1).max() > 5
    assert masked.sum(axis=1).max() <= 8
    np.testing.assert_array_equal(jitted(time_mask, key, ones, width=2, count=0), ones)


LENGTHS = (20, 12, 5)


@pytest.fixture
def padded():
    """Every step has its number, from 1, in all channels."""
    steps = np.arange(1, LENGTH + 1, dtype=np.float32)
    rows = [np.where(steps <= length, steps, np.nan) for length in LENGTHS]
    return np.repeat(np.stack(rows)[..., None], 2, axis=2)


@pytest.mark.parametrize("mode", ["zeros", "replicate", "circular", "reflect"])
def test_a_shift_stays_before_the_padding(key, padded, mode):
    shifted = jitted(time_shift, key, padded, steps=3, mode=mode)
    np.testing.assert_array_equal(np.isnan(shifted), np.isnan(padded))
    words = {"zeros": "constant", "replicate": "edge", "circular": "wrap", "reflect": "reflect"}
    for found, length in zip(shifted[..., 0], LENGTHS, strict=True):
        series = np.arange(1, length + 1)
        ways = [
            np.pad(series, 3, mode=words[mode])[offset : offset + length] for offset in range(7)
        ]
        assert any(np.array_equal(found[:length], way) for way in ways)


def test_labels_move_with_padded_sequences(key, padded):
    labels = np.where(np.isnan(padded[..., 0]), 255, np.nan_to_num(padded[..., 0])).astype(np.int32)
    for mode in ("zeros", "circular"):
        shifted, moved = time_shift(key, padded, steps=3, mode=mode, labels=labels)
        expected = np.nan_to_num(shifted[..., 0], nan=255)
        np.testing.assert_array_equal(moved, np.where(expected == 0, 255, expected))


@pytest.mark.parametrize("mask", [time_mask, channel_mask])
def test_a_mask_leaves_the_padding(key, padded, mask):
    many = np.tile(padded, (40, 1, 1))
    masked = jitted(mask, key, many, width=2)
    np.testing.assert_array_equal(np.isnan(masked), np.isnan(many))
    assert ((masked == 0).any(axis=(1, 2)).reshape(40, 3).mean(axis=0) > 0.4).all()
