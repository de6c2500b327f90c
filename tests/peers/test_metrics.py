"""Metrics against scikit-learn and Keras."""

import functools

import jax
import keras
import numpy as np
import pytest
from compare import fewer, seeds
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as peer

from jaxcnn.training import accuracy, confusion, f1, mean_iou, precision, recall, top_k

VOID = 255
class_counts = st.integers(2, 6)


@functools.cache
def compiled(make, **options):
    metric = make(**options)
    return jax.jit(metric.measure), metric.result


def ours(make, batch, **options):
    measure, result = compiled(make, **options)
    return result(jax.tree.map(np.asarray, measure(*batch)))


@st.composite
def batches(draw, classes=class_counts):
    """Logits without ties, labels of which some are void, and a mask; sizes are few."""
    rng, count = np.random.default_rng(draw(seeds)), draw(st.sampled_from([1, 8, 50]))
    logits = rng.permuted(np.arange(draw(classes) * count).reshape(count, -1), axis=1)
    labels = rng.integers(0, draw(st.integers(1, logits.shape[1])), count)
    labels = np.where(rng.random(count) < 0.2, VOID, labels)
    return logits.astype(np.float32), labels, rng.random(count) < 0.8


def counted(batch):
    """Returns what a peer is given: labels and predictions without what does not count."""
    logits, labels, mask = batch
    kept = mask & (labels != VOID)
    assume(kept.any())
    return labels[kept], logits[kept].argmax(axis=1), logits[kept]


@given(batches())
def test_confusion_and_accuracy(batch):
    labels, predictions, logits = counted(batch)
    expected = peer.confusion_matrix(labels, predictions, labels=range(logits.shape[1]))
    np.testing.assert_array_equal(ours(confusion, batch), expected)
    share = ours(accuracy, batch)
    np.testing.assert_allclose(share, peer.accuracy_score(labels, predictions))


@given(batches())
def test_precision_recall_and_f1(batch):
    """Theirs lists the classes that there are; of the others ours is NaN."""
    labels, predictions, logits = counted(batch)
    present = np.union1d(labels, predictions)
    expected = peer.precision_recall_fscore_support(labels, predictions, zero_division=0)
    absent = np.setdiff1d(np.arange(logits.shape[1]), present)
    for make, values in zip((precision, recall, f1), expected, strict=False):
        received = ours(make, batch)
        np.testing.assert_allclose(received[present], values)
        assert np.isnan(received[absent]).all()
    means = peer.precision_recall_fscore_support(
        labels, predictions, average="macro", zero_division=0
    )
    for make, value in zip((precision, recall, f1), means, strict=False):
        np.testing.assert_allclose(ours(make, batch, macro=True), value)


@given(batches())
def test_intersection_over_union(batch):
    labels, predictions, _ = counted(batch)
    expected = peer.jaccard_score(labels, predictions, average="macro", zero_division=0)
    np.testing.assert_allclose(ours(mean_iou, batch), expected)


@given(batches(classes=st.integers(3, 6)), st.integers(1, 5))
def test_top_k(batch, k):
    labels, _, logits = counted(batch)
    assume(k < logits.shape[1])
    expected = peer.top_k_accuracy_score(labels, logits, k=k, labels=range(logits.shape[1]))
    np.testing.assert_allclose(ours(top_k, batch, k=k), expected)


@given(seeds, class_counts, st.sampled_from([1, 8, 50]))
def test_several_labels_per_example(seed, classes, count):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(count, classes)), rng.random((count, classes)) < 0.3
    mask = rng.random(count) < 0.8
    assume(mask.any())
    batch = (logits.astype(np.float32), labels, mask)
    predictions, labels = logits[mask] > 0, labels[mask]
    expected = peer.precision_recall_fscore_support(labels, predictions, zero_division=0)
    absent = ~(labels | predictions).any(axis=0)
    for make, values in zip((precision, recall, f1), expected, strict=False):
        received = ours(make, batch, multi_label=True)
        np.testing.assert_allclose(received[~absent], values[~absent])
        assert np.isnan(received[absent]).all()
    wrong = peer.hamming_loss(labels, predictions)
    np.testing.assert_allclose(ours(accuracy, batch, multi_label=True), 1 - wrong)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")  # by Keras
@fewer
@given(batches())
def test_intersection_over_union_against_keras(batch):
    labels, predictions, logits = counted(batch)
    theirs = keras.metrics.MeanIoU(num_classes=logits.shape[1])
    theirs.update_state(labels.astype(np.int32), predictions.astype(np.int32))
    np.testing.assert_allclose(ours(mean_iou, batch), theirs.result(), rtol=1e-6)
