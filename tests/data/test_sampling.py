"""Stratified splits, folds, balanced orders and class weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn.data import Dataset, balanced_order, class_weights, k_fold, stratified_split

LABELS = st.lists(st.integers(0, 4), min_size=2, max_size=60).map(np.array)


def numbered(labels):
    """Return a data set whose image n holds the number n."""
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Dataset(images, labels, tuple("abcde"))


def numbers(data):
    return data.images[:, 0, 0, 0].tolist()


@given(labels=LABELS, share=st.floats(0.05, 0.95), seed=st.integers(0, 5))
def test_a_stratified_split_keeps_the_shares(labels, share, seed):
    count = round(share * len(labels))
    if not 0 < count < len(labels):
        with pytest.raises(ValueError, match=r"share must leave at least one image in both sets"):
            stratified_split(numbered(labels), share, seed=seed)
        return
    rest, held_out = stratified_split(numbered(labels), share, seed=seed)
    assert sorted(numbers(rest) + numbers(held_out)) == list(range(len(labels)))
    assert len(held_out) == count
    assert numbers(rest) == sorted(numbers(rest))
    np.testing.assert_array_equal(held_out.labels, labels[numbers(held_out)])
    expected = np.bincount(labels, minlength=5) * count / len(labels)
    assert (abs(np.bincount(held_out.labels, minlength=5) - expected) < 1).all()


@given(labels=LABELS, folds=st.integers(2, 6), seed=st.integers(0, 5))
def test_folds_test_each_image_once(labels, folds, seed):
    if folds > len(labels):
        with pytest.raises(ValueError, match=r"folds must be at most the number of images"):
            k_fold(numbered(labels), folds, seed=seed)
        return
    tested, counts = [], []
    for train, test in k_fold(numbered(labels), folds, seed=seed):
        assert sorted(numbers(train) + numbers(test)) == list(range(len(labels)))
        np.testing.assert_array_equal(test.labels, labels[numbers(test)])
        tested += numbers(test)
        counts.append(np.bincount(test.labels, minlength=5))
    assert sorted(tested) == list(range(len(labels)))
    assert len(counts) == folds
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert np.ptp(np.sum(counts, axis=1)) <= 1


def test_the_seed_determines_the_held_out_images():
    data = numbered(np.arange(60) % 3)
    parts = [numbers(stratified_split(data, 0.5, seed=seed)[1]) for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]
    folds = [[numbers(test) for _, test in k_fold(data, 3, seed=seed)] for seed in (0, 0, 1)]
    assert folds[0] == folds[1] != folds[2]


@given(labels=LABELS, seed=st.integers(0, 5))
def test_balanced_orders_draw_every_class_equally_often(labels, seed):
    order = balanced_order(labels, np.random.default_rng(seed))
    assert len(order) == len(labels)
    present = np.unique(labels)
    drawn = np.bincount(labels[order], minlength=5)[present]
    assert np.ptp(drawn) <= 1
    for label in present:
        times = np.bincount(order, minlength=len(labels))[labels == label]
        assert np.ptp(times) <= 1


def test_class_weights_are_those_of_the_formula():
    """The worked case of scikit-learn's compute_class_weight("balanced", …)."""
    data = Dataset(np.zeros((6, 2, 2, 1), np.uint8), np.array([0, 0, 0, 0, 1, 1]))
    np.testing.assert_allclose(class_weights(data), [0.75, 1.5])
    assert class_weights(data)[data.labels].mean() == pytest.approx(1)


def test_class_weights_at_positions_leave_void_out():
    labels = np.array([[[0, 0, 1], [0, 255, 255]], [[0, 255, 255], [1, 255, 255]]])
    data = Dataset(np.zeros((2, 2, 3, 1), np.uint8), labels)
    np.testing.assert_allclose(class_weights(data), [0.75, 1.5])
    np.testing.assert_array_equal(
        class_weights(Dataset(data.images, labels.astype(np.uint8))), class_weights(data)
    )


WITHOUT_A_CLASS = [np.zeros((9, 1, 1), int), np.ones((9, 3), bool), np.arange(9.0)[:, None]]


@pytest.mark.parametrize("labels", WITHOUT_A_CLASS)
def test_folds_of_images_without_one_class_are_dealt_at_random(labels):
    images = numbered(np.zeros(9, int)).images
    data = Dataset(images, labels)
    folds = list(k_fold(data, 4))
    assert sorted(len(test) for _, test in folds) == [2, 2, 2, 3]
    assert sorted(number for _, test in folds for number in numbers(test)) == list(range(9))
    for train, test in folds:
        assert sorted(numbers(train) + numbers(test)) == list(range(9))
        np.testing.assert_array_equal(test.labels, data.labels[numbers(test)])
    assert [numbers(test) for _, test in folds] != [
        numbers(test) for _, test in k_fold(data, 4, seed=1)
    ]


@pytest.mark.parametrize("labels", WITHOUT_A_CLASS)
def test_other_labels_are_errors_where_one_class_is_needed(labels):
    data = Dataset(numbered(np.zeros(9, int)).images, labels)
    received = rf"Received: labels {data.labels.dtype} \({', '.join(map(str, labels.shape))}\)$"
    rule = r" needs one class per image: labels \(N,\) of integers or names. " + received
    with pytest.raises(ValueError, match="stratified_split" + rule):
        stratified_split(data, 0.5)
    with pytest.raises(ValueError, match="a balanced order" + rule):
        balanced_order(data.labels, np.random.default_rng(0))
    if data.kind != "positions":
        with pytest.raises(ValueError, match="class_weights" + rule):
            class_weights(data)


def test_errors():
    data = numbered(np.array([0, 0, 1, 1]))
    with pytest.raises(
        ValueError, match=r"every class must have an image. Received: none of \['c', 'd', 'e'\]"
    ):
        class_weights(data)
    for share in (0, 1, 1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"share must be in \(0, 1\). Received: share="):
            stratified_split(data, share)
    with pytest.raises(ValueError, match=r"one image in both sets. .* share=0.1 of 4 images"):
        stratified_split(data, 0.1)
    with pytest.raises(TypeError, match=r"share must be a number. Received: share='half'"):
        stratified_split(data, "half")
    with pytest.raises(ValueError, match=r"seed must be at least 0"):
        stratified_split(data, 0.5, seed=-1)
    with pytest.raises(ValueError, match=r"folds must be at least 2. Received: folds=1"):
        k_fold(data, 1)
