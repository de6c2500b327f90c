"""Dice in both forms, their sum with cross-entropy, and IoU per class, against NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.training import cross_entropy, cross_entropy_dice, dice, iou, mean_iou


def batch(seed, shape=(3, 5, 4), classes=3):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (*shape, classes)).astype(np.float32)
    labels = random.integers(0, classes, shape)
    labels[0, 0] = 255
    labels[2] = 1  # the other classes are not in this example
    return logits, labels


def numpy_dice(logits, labels, power):
    """As MONAI's DiceLoss(squared_pred=power == 2, smooth 0), over classes that are present."""
    result = []
    for scores, truth in zip(logits.astype(float), labels, strict=True):
        scores, truth = scores[truth != 255], truth[truth != 255]
        p = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
        losses = []
        for label in np.unique(truth):
            g = (truth == label).astype(float)
            q = p[:, label]
            losses.append(1 - 2 * (q * g).sum() / ((q**power).sum() + (g**power).sum()))
        result.append(np.mean(losses))
    return np.array(result)


@pytest.mark.parametrize("squared", [True, False])
def test_dice(squared):
    logits, labels = batch(0)
    found = dice(jnp.asarray(logits), jnp.asarray(labels), squared=squared)
    np.testing.assert_allclose(found, numpy_dice(logits, labels, 1 + squared), rtol=1e-5)


def test_cross_entropy_and_dice_are_added():
    logits, labels = map(jnp.asarray, batch(1))
    entropy = cross_entropy(logits, labels, class_weights=(1, 2, 3))
    both = cross_entropy_dice(logits, labels, class_weights=(1, 2, 3))
    np.testing.assert_allclose(both, entropy + numpy_dice(*batch(1), 1), rtol=1e-5)


def test_iou_of_each_class():
    logits, labels = batch(2, classes=4)
    labels[labels == 3] = 0
    logits[..., 3] = -9  # neither example nor prediction
    metric = iou()
    found = metric.result(
        metric.measure(jnp.asarray(logits), jnp.asarray(labels), jnp.array([True, True, False]))
    )
    truth, guess = labels[:2].ravel(), logits.argmax(axis=-1)[:2].ravel()
    truth, guess = truth[truth != 255], guess[truth != 255]
    with np.errstate(invalid="ignore"):
        expected = [
            ((truth == c) & (guess == c)).sum() / np.float64(((truth == c) | (guess == c)).sum())
            for c in range(4)
        ]
    np.testing.assert_allclose(found, expected)
    assert np.isnan(found[3])
    mean = mean_iou()
    assert mean.result(
        mean.measure(jnp.asarray(logits), jnp.asarray(labels), jnp.array([True, True, False]))
    ) == pytest.approx(np.nanmean(expected))
