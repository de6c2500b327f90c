"""Data sets that TensorFlow Datasets has prepared, without TensorFlow."""

import shutil
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jaxcnn.data import Dataset, batches, load, prepare


def rows(data):
    """Return every image with its label as one hashable value, sorted."""
    pairs = zip(data.images, data.labels, strict=True)
    return sorted((image.tobytes(), int(label)) for image, label in pairs)


@pytest.fixture
def no_tensorflow(monkeypatch):
    """Make every import of TensorFlow fail, on machines that have it too."""

    class Blocker:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] == "tensorflow":
                raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(sys, "meta_path", [Blocker(), *sys.meta_path])


@pytest.fixture(scope="module")
def tiny_mnist(tmp_path_factory, prepare_tfds):
    """Return the folder of a prepared ``mnist`` of ten images, and what is in it."""
    folder = tmp_path_factory.mktemp("tfds")
    images = np.random.default_rng(0).integers(0, 256, (10, 28, 28, 1), np.uint8)
    labels = np.arange(10)[::-1]
    examples = [
        {"image": Image.fromarray(image[..., 0]), "label": label}
        for image, label in zip(images, labels.tolist(), strict=True)
    ]
    features = {
        "image": tfds.features.Image(shape=(28, 28, 1)),
        "label": tfds.features.ClassLabel(num_classes=10),
    }
    splits = {"train": examples[:8], "test": examples[8:]}
    prepare_tfds("mnist", "3.0.1", splits, features, folder)
    return folder, Dataset(images, labels)


def test_what_lacks_array_record_is_told_before_a_download(tiny_mnist, tmp_path, monkeypatch):
    """As on Windows, for which there is no build of the package."""
    folder, _ = tiny_mnist
    monkeypatch.setitem(sys.modules, "array_record.python.array_record_module", None)
    for call in (
        lambda: load("mnist", data_dir=folder),
        lambda: prepare("mnist", data_dir=tmp_path, mirror="http://127.0.0.1:9", progress=False),
    ):
        with pytest.raises(ValueError, match="array_record has no build for Windows"):
            call()
    assert not (tmp_path / "downloads").exists()


@pytest.mark.parametrize(
    ("split", "count"), [("train", 8), ("test", 2), ("train[:50%]", 4), ("train+test", 10)]
)
def test_tfds_gives_the_arrays_that_were_prepared(no_tensorflow, tiny_mnist, split, count):
    folder, everything = tiny_mnist
    data = load("mnist", split=split, data_dir=folder)
    assert len(data) == count
    assert (data.images.dtype, data.labels.dtype) == (np.uint8, np.int32)
    assert data.class_names == tuple("0123456789")
    # TFDS shuffles what it prepares.
    assert set(rows(data)) <= set(rows(everything))
    assert len(set(rows(data))) == count


def test_a_large_tfds_set_is_whole(tmp_path, prepare_tfds):
    """More records than are decoded at once, of a set with unknown channels and classes."""
    images = np.random.default_rng(0).integers(0, 256, (300, 4, 5, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(300) % 100
    examples = [
        {"image": Image.fromarray(image[..., 0]), "label": int(image[0, 0, 0])} for image in images
    ]
    features = {"image": tfds.features.Image(shape=(4, 5, None)), "label": np.int64}
    splits = {"train": examples[:270], "test": examples[270:]}
    prepare_tfds("grays", "1.0.0", splits, features, tmp_path)
    for split, expected in (("train", images[:270]), ("test", images[270:]), ("all", images)):
        data = load("grays", split=split, data_dir=tmp_path)
        labels = expected[:, 0, 0, 0].astype(int)
        assert rows(data) == rows(Dataset(expected, labels))
        assert data.class_names == tuple(map(str, range(100)))
    assert len([*(tmp_path / "grays").glob(".1.0.0.jaxcnn-cache/*-*")]) == 1


def empty(path):
    path.write_bytes(b"")


def missing(path):
    path.unlink()


def cut_short(path):
    path.write_bytes(path.read_bytes()[:100_000])


def flipped(path):
    data = bytearray(path.read_bytes())
    data[300] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [missing, empty, cut_short, flipped])
def test_tfds_files_that_are_damaged(no_tensorflow, tiny_mnist, tmp_path, damage):
    shutil.copytree(
        tiny_mnist[0], tmp_path / "tfds", ignore=lambda folder, names: {".3.0.1.jaxcnn-cache"}
    )
    (file,) = (tmp_path / "tfds" / "mnist" / "3.0.1").glob("*train*")
    damage(file)
    message = (
        r"'mnist' is damaged: remove .*/mnist/3.0.1, .* again: jaxcnn data prepare mnist --data"
    )
    with pytest.raises(ValueError, match=message):
        load("mnist", data_dir=tmp_path / "tfds")
    assert len(load("mnist", data_dir=tmp_path / "tfds", split="test")) == 2


def test_tfds_images_can_be_resized(no_tensorflow, tiny_mnist):
    assert load("mnist", data_dir=tiny_mnist[0], image_size=14).image_shape == (14, 14, 1)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("cifar10", "jaxcnn data prepare cifar10 --data-dir {folder}"),
        ("emnist/letters", "jaxcnn data prepare emnist/letters --data-dir {folder}"),
        ("dtd", "tfds.builder('dtd', file_format='array_record').download_and_prepare()"),
    ],
)
def test_tfds_set_that_is_not_prepared(no_tensorflow, tmp_path, capfd, name, command):
    with pytest.raises(ValueError, match=f"the data set '{name}' is not prepared in ") as caught:
        load(name, data_dir=tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert command.format(folder=tmp_path) in str(caught.value)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_tfds_split_that_is_not_there(no_tensorflow, tiny_mnist):
    with pytest.raises(ValueError, match="validation"):
        load("mnist", split="validation", data_dir=tiny_mnist[0])


def test_tfds_set_without_labels(no_tensorflow, tmp_path, prepare_tfds):
    examples = {"train": [{"image": Image.new("RGB", (8, 8))}]}
    prepare_tfds("clic", "1.0.0", examples, {"image": tfds.features.Image()}, tmp_path)
    message = r"'clic' must have the features 'image' and 'label'. Received: \['image'\]"
    with pytest.raises(ValueError, match=message):
        load("clic", data_dir=tmp_path)


def test_tfds_images_of_several_sizes(no_tensorflow, tmp_path, prepare_tfds):
    features = {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(num_classes=2)}
    examples = [{"image": Image.new("RGB", size), "label": 1} for size in [(8, 8), (8, 9)]]
    prepare_tfds("cats_vs_dogs", "4.0.1", {"train": examples}, features, tmp_path)
    with pytest.raises(ValueError, match=r"the images .* must have one size.*\(9, 8, 3\)"):
        load("cats_vs_dogs", data_dir=tmp_path)


def test_a_prepared_set_is_streamed(no_tensorflow, tiny_mnist):
    """From its ArrayRecord files, with the batches of the mapped set."""
    folder, _ = tiny_mnist
    for options in ({}, {"image_size": 14, "split": "train[2:]"}):
        mapped = load("mnist", data_dir=folder, **options)
        stream = load("mnist", data_dir=folder, stream=True, **options)
        pairs = list(zip(batches(mapped, 3, seed=1), batches(stream, 3, seed=1), strict=True))
        assert len(pairs) == -(-len(mapped) // 3)
        for first, second in pairs:
            assert np.array_equal(first.image, second.image)
            assert np.array_equal(first.label, second.label)
