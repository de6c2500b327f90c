"""Renumbering of labels by the classes of another set."""

import numpy as np
import pytest

from jaxcnn.data import Dataset, match_classes


def labeled(labels, names=()):
    return Dataset(np.zeros((len(labels), 2, 2, 1), np.uint8), np.array(labels), names)


def test_labels_keep_their_names():
    data = labeled(["cat", "ant", "dog", "cat"])
    matched = match_classes(data, ("dog", "bee", "ant", "cat"))
    assert [matched.class_names[label] for label in matched.labels] == ["cat", "ant", "dog", "cat"]
    assert matched.class_names == ("dog", "bee", "ant", "cat")
    assert np.shares_memory(matched.images, data.images)
    assert match_classes(data, ["ant", "cat", "dog"]) is data


def test_a_class_without_an_image_may_be_unknown():
    matched = match_classes(labeled([1, 0], ("ant", "bee", "cow")), ("bee", "ant"))
    assert matched.labels.tolist() == [0, 1]
    with pytest.raises(
        ValueError, match=r"one of the classes \['bee', 'ant'\]. Received: \['cow'\]"
    ):
        match_classes(labeled([2, 0], ("ant", "bee", "cow")), ("bee", "ant"))


def test_mere_numbers_stay():
    data = match_classes(labeled([1, 0, 1]), ("ant", "bee", "cat"))
    assert (data.labels.tolist(), data.class_names) == ([1, 0, 1], ("ant", "bee", "cat"))
    assert match_classes(labeled([0, 1], ("1", "0")), ("0", "1")).labels.tolist() == [1, 0]
    for names, others in ((("0", "1", "2"), ("ant", "bee")), (("ant", "bee"), ("0", "1"))):
        with pytest.raises(ValueError, match="every image must be of one of the classes"):
            match_classes(labeled(range(len(names)), names), others)


def test_names_that_are_numbers_are_matched_by_their_value():
    """As a model of folders 0 … 11, sorted as text, and an archive whose labels are numbers."""
    folders = sorted(map(str, range(12)))
    archive = labeled([0, 2, 10, 11])
    matched = match_classes(archive, folders)
    assert [matched.class_names[label] for label in matched.labels] == ["0", "2", "10", "11"]
    padded = match_classes(archive, [f"{n:03}" for n in range(20, -1, -1)])
    names = [padded.class_names[label] for label in padded.labels]
    assert names == ["000", "002", "010", "011"]
    from_one = match_classes(labeled([1, 3, 2]), ["1", "2", "3"])
    assert from_one.labels.tolist() == [0, 2, 1]
    with pytest.raises(ValueError, match=r"Received: \['0'\]"):  # 0 is no class, 1 and 2 are
        match_classes(labeled([0, 1, 2]), ["1", "2", "3"])


def test_names_that_are_numbers_are_sorted_by_their_value():
    assert labeled(["10", "9", "0", "10"]).class_names == ("0", "9", "10")
    assert labeled(["10", "9", "0", "10"]).labels.tolist() == [2, 1, 0, 2]
    assert labeled(["10", "9", "x"]).class_names == ("10", "9", "x")


def test_other_labels_than_a_class_per_image():
    images = np.zeros((2, 2, 2, 1), np.uint8)
    numbers = Dataset(images, np.zeros((2, 3), np.float32))
    assert match_classes(numbers, ("ant", "bee")) is numbers
    several = Dataset(images, np.ones((2, 2), bool), ("ant", "bee"))
    assert match_classes(several, ("ant", "bee")) is several
    with pytest.raises(ValueError, match="matching classes of other names needs one class per"):
        match_classes(several, ("bee", "ant"))
