"""The catalog agrees with TensorFlow Datasets."""

import pytest
import tensorflow_datasets as tfds

from jaxcnn.data.preparation import CATALOG, available


def test_the_sets_of_the_catalog():
    assert available() == [
        "mnist",
        "fashion_mnist",
        "kmnist",
        "emnist/letters",
        "emnist/digits",
        "cifar10",
        "cifar100",
        "svhn_cropped",
    ]


@pytest.mark.parametrize("name", CATALOG)
def test_files_are_those_of_tfds(name):
    """Addresses, sizes and checksums, from the files that the library ships."""
    shipped = tfds.builder(name).url_infos
    listed = {file.url: (file.size, file.sha256) for file in CATALOG[name].files}
    assert listed == {url: (shipped[url].size, shipped[url].checksum) for url in shipped}


@pytest.mark.parametrize("name", CATALOG)
def test_features_are_those_of_tfds(name):
    entry, info = CATALOG[name], tfds.builder(name).info
    assert entry.image_shape == info.features["image"].shape
    assert entry.classes == info.features["label"].num_classes
    assert bool(entry.id_digits) == ("id" in info.features)
    assert entry.homepage == info.homepage


@pytest.mark.parametrize(
    ("config", "train", "test"), [("letters", 88_800, 14_800), ("digits", 240_000, 40_000)]
)
def test_emnist_has_as_many_images_as_tfds_takes(config, train, test):
    stock = tfds.builder(f"emnist/{config}").builder_config
    splits = CATALOG[f"emnist/{config}"].splits
    assert (stock.train_examples, stock.test_examples) == (train, test)
    assert {name: split.images for name, split in splits.items()} == {"train": train, "test": test}
