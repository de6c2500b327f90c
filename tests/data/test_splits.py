"""Splits and their slices, against TensorFlow Datasets."""

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn.data import Dataset
from jaxcnn.data.splits import Part, cut, evenly, every_fifth, parse, stored_rows


def stock(split, sizes):
    """Return the rows that TensorFlow Datasets takes, as ``(name, start, stop)``."""
    infos = {
        name: tfds.core.SplitInfo(name=name, shard_lengths=[size], num_bytes=0)
        for name, size in sizes.items()
    }
    absolute = tfds.core.splits.AbstractSplit.from_spec(split).to_absolute(infos)
    return [
        (part.splitname, part.from_ or 0, sizes[part.splitname] if part.to is None else part.to)
        for part in absolute
    ]


def ours(split, sizes):
    parts = [(part.name, part.rows(sizes[part.name])) for part in parse(split, sizes)]
    return [(name, rows.start, rows.stop) for name, rows in parts]


@pytest.mark.parametrize(
    "split",
    ["train", "all", "train+test", "test + train[:10]", "train[:80%]", "train[80%:]",
     "train[-20%:]", "train[:-7]", "train[10%:35%]+test[3:5]", "train[33.3%:66.7%]", "test[:]"],
)  # fmt: skip
def test_slices_are_those_of_tensorflow_datasets(split):
    sizes = {"train": 47, "test": 13}
    expected = [("test", 0, 13)] if split == "test[:]" else stock(split, sizes)
    assert ours(split, sizes) == expected


@given(st.integers(1, 10_000), st.integers(0, 100), st.integers(0, 100))
def test_shares_are_rounded_as_in_tensorflow_datasets(size, start, stop):
    if round(start * size / 100) <= round(stop * size / 100):
        split = f"train[{start}%:{stop}%]"
        assert ours(split, {"train": size}) == stock(split, {"train": size})


def test_all_may_be_sliced():
    assert parse("all[:5]", ["train", "test"]) == [
        Part("train", None, "5"),
        Part("test", None, "5"),
    ]
    assert parse("all", ["all"]) == [Part("all")]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("tran", r"^there is no split 'tran'. Did you mean 'train'\?$"),
        ("val", r"^there is no split 'val'. Did you mean 'all'\?$"),
        ("train+val", "^there is no split 'val'"),
        ("train[:80", r"must be a name or a slice of one, .* Received: split='train\[:80'$"),
        ("train[80%]", r"Received: split='train\[80%\]'$"),
        ("train[a:b]", r"Received: split='train\[a:b\]'$"),
        ("train[:1.5]", r"Received: split='train\[:1.5\]'$"),
        ("", r"Received: split=''$"),
        ("train+", r"Received: split='train\+'$"),
    ],
)
def test_errors(split, message):
    with pytest.raises(ValueError, match=message):
        parse(split, ["train", "test"])


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("a", slice(0, 4)),
        ("all", slice(0, 10)),
        ("a[2:]+b[:50%]", slice(2, 6)),
        ("b+c", slice(4, 10)),
        ("b[:2]+b[2:4]", slice(4, 8)),
        ("c[:]+a", [9, 0, 1, 2, 3]),
        ("a[:1]+b[-1:]", [0, 8]),
        ("a[3:1]+a[1:]", slice(1, 4)),
        ("a[3:1]+b[2:2]", slice(0, 0)),
    ],
)
def test_rows_of_splits_that_are_stored_in_turn(split, expected):
    sizes = {"a": 4, "b": 5, "c": 1}
    rows = stored_rows(parse(split, sizes), sizes)
    assert rows == expected if isinstance(expected, slice) else rows.tolist() == expected


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_every_class_is_spread_evenly(labels):
    labels = np.array(labels)
    order = evenly(labels)
    assert sorted(order) == list(range(len(labels)))
    spread = labels[order]
    np.testing.assert_array_equal(evenly(spread), np.arange(len(labels)))
    for label in range(5):
        # Within the class the order stays, and each stretch has its share to within one image.
        assert (np.diff(order[spread == label]) > 0).all()
        share = np.cumsum(spread == label) - np.mean(labels == label) * np.arange(
            1, len(labels) + 1
        )
        assert np.abs(share).max() <= 5


def test_every_fifth_of_each_class():
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0])
    assert np.flatnonzero(every_fifth(labels)).tolist() == [8, 9]


def numbered(labels):
    """Return a set whose image n is filled with n."""
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return Dataset(images, np.array(labels))


def test_a_slice_takes_its_share_of_every_class_however_they_are_sorted():
    data = numbered([0] * 50 + [1] * 25)
    part = cut(data, "train[:50%]")
    assert np.bincount(part.labels).tolist() == [20, 10]
    rest = cut(data, "train[50%:]")
    rows = [images[..., 0, 0, 0].tolist() for images in (part.images, rest.images)]
    assert rows == [sorted(row) for row in rows]  # in the order of the set
    train = cut(data, "train").images.ravel().tolist()
    assert sorted(rows[0] + rows[1]) == train
    assert len(cut(data, "train[10:17]+test[:2]")) == 9


@pytest.mark.parametrize(
    "labels", [np.zeros((10, 1, 1), int), np.ones((10, 3), bool), np.arange(10.0)[:, None]]
)
def test_images_without_one_class_are_split_as_of_one(labels):
    data = numbered(labels)
    assert cut(data, "test").images.ravel().tolist() == [4, 9]
    assert cut(data, "train[:50%]").images.ravel().tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(cut(data, "test").labels, data.labels[[4, 9]])


def test_all_is_the_set_itself():
    data = numbered([1, 0, 1])
    assert cut(data, "all") is data
    assert cut(data, "train") is data  # no class has five images
    with pytest.raises(ValueError, match="the split 'test' holds none of the 3 images"):
        cut(data, "test")
