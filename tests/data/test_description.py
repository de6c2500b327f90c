"""Descriptions: the splits for training and testing, classes and shapes."""

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jaxcnn.data import Description, describe, load


@pytest.mark.parametrize(
    ("folders", "train", "test"),
    [
        ([""], "train", "test"),
        (["train", "test", "val"], "train", "test"),
        (["Train", "Val"], "train", "val"),
        (["train", "validation"], "train", "validation"),
        (["training"], "train[:80%]", "train[80%:]"),
    ],
)
def test_a_folder_has_a_split_to_test_on(tmp_path, folders, train, test):
    for folder in folders:
        for name in ("cat", "dog"):
            (tmp_path / folder / name).mkdir(parents=True)
            for number in range(5):
                Image.new("L", (4, 4)).save(tmp_path / folder / name / f"{number}.png")
    described = describe(tmp_path)
    assert (described.kind, described.image_shape) == ("folder", None)
    assert (described.class_names, described.train, described.test) == (("cat", "dog"), train, test)
    sets = [load(tmp_path, split=split) for split in (train, test)]
    assert all({*data.labels} == {0, 1} for data in sets)
    if test != "test":
        assert sum(map(len, sets)) == sum(described.splits.values())


def test_an_archive_too_small_for_a_test_split(tmp_path):
    arrays = {"images": np.zeros((8, 4, 5, 1), np.uint8), "labels": np.arange(8) % 2}
    np.savez(tmp_path / "few.npz", **arrays)
    described = describe(tmp_path / "few.npz")
    assert described == Description("archive", {"train": 8, "test": 0}, ("0", "1"), (4, 5, 1), ())
    assert (described.train, described.test) == ("train[:80%]", "train[80%:]")
    sets = [load(tmp_path / "few.npz", split=split) for split in (described.train, described.test)]
    assert [np.bincount(data.labels).tolist() for data in sets] == [[3, 3], [1, 1]]


def test_a_set_of_tensorflow_datasets(tmp_path, prepare_tfds):
    features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=["a", "b"])}
    examples = [{"image": Image.new("RGB", (4, 4 + row)), "label": row % 2} for row in range(10)]
    prepare_tfds("petals", "1.0.0", {"train": examples}, features, tmp_path)
    described = describe("petals", data_dir=tmp_path)
    assert described == Description("tfds", {"train": 10}, ("a", "b"), None, ())
    sets = [
        load("petals", split=split, image_size=4, data_dir=tmp_path)
        for split in (described.train, described.test)
    ]
    assert [len(data) for data in sets] == [8, 2]


def test_arrays_and_records_are_described():
    data = load("digits", split="all")
    for source in (data, (data.images, data.labels)):
        described = describe(source)
        assert (described.kind, described.splits["test"]) == ("arrays", 355)
    records = [{"image": image, "label": label} for image, label in data[:10]]
    described = describe({"train": records, "test": records[:3]})
    assert (described.kind, described.splits) == ("records", {"train": 10, "test": 3})
    np.testing.assert_array_equal(load(data).images, data.images)
