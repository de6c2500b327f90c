"""Where data sets come from: the digits, archives, TensorFlow Datasets."""

import hashlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jaxcnn.data import Dataset, load

# The first digit, as the UCI repository's test set and scikit-learn's load_digits have it.
FIRST_ZERO = [
    [0, 0, 5, 13, 9, 1, 0, 0],
    [0, 0, 13, 15, 10, 15, 5, 0],
    [0, 3, 15, 2, 0, 11, 8, 0],
    [0, 4, 12, 0, 0, 8, 8, 0],
    [0, 5, 8, 0, 0, 9, 8, 0],
    [0, 4, 11, 0, 1, 12, 7, 0],
    [0, 2, 14, 5, 10, 12, 0, 0],
    [0, 0, 6, 13, 10, 0, 0, 0],
]
CLASS_SIZES = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def rows(data):
    """Returns every image with its label as one hashable value, sorted."""
    pairs = zip(data.images, data.labels, strict=True)
    return sorted((image.tobytes(), int(label)) for image, label in pairs)


def test_digits_are_those_of_uci():
    data = load("digits", split="all")
    assert (data.images.shape, data.images.dtype) == ((1797, 8, 8, 1), np.uint8)
    assert np.bincount(data.labels).tolist() == CLASS_SIZES
    assert data.labels[:10].tolist() == list(range(10))
    np.testing.assert_allclose(data.images[0, ..., 0], np.array(FIRST_ZERO) * 255 / 16, atol=0.5)
    assert data.class_names == tuple("0123456789")


def test_digits_are_split_by_class_without_overlap():
    train, test, everything = (load("digits", split=split) for split in ("train", "test", "all"))
    assert rows(everything) == sorted(rows(train) + rows(test))
    assert np.bincount(test.labels).tolist() == [size // 5 for size in CLASS_SIZES]
    assert not set(rows(train)) & set(rows(test))


def test_digits_for_testing_never_change():
    test = load("digits", split="test")
    digest = hashlib.sha256(test.labels.tobytes() + test.images.tobytes()).hexdigest()
    assert digest == "15089ea90d8e2ec72e0bab93d6444d418ebc26aa6a18592974542296a8a1fb0e"


def test_image_size_is_pillows_resizing():
    image = Image.fromarray(load("digits", split="all").images[0, ..., 0])
    expected = image.resize((14, 28), Image.Resampling.BILINEAR)
    received = load("digits", split="all", image_size=(28, 14)).images
    assert received.shape == (1797, 28, 14, 1)
    np.testing.assert_array_equal(received[0, ..., 0], expected)


def contents(count=12):
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (count, 5, 4, 3), np.uint8),
        "labels": np.arange(count) % 2,
    }


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_archive_round_trip(tmp_path, save, kind):
    path, arrays = tmp_path / "pets.npz", contents()
    save(path, class_names=["cat", "dog"], **arrays)
    data = load(kind(path), split="all")
    np.testing.assert_array_equal(data.images, arrays["images"])
    np.testing.assert_array_equal(data.labels, arrays["labels"])
    assert data.class_names == ("cat", "dog")


def test_archive_is_split_by_class(tmp_path):
    path, arrays = tmp_path / "pets.npz", contents()
    np.savez(path, **arrays)
    test, train = load(path, split="test"), load(path)
    # Images 8 and 9 are the fifth of their classes.
    np.testing.assert_array_equal(test.images, arrays["images"][[8, 9]])
    np.testing.assert_array_equal(train.images, np.delete(arrays["images"], [8, 9], axis=0))
    assert train.class_names == ("0", "1")


def test_archive_of_floating_point_images(tmp_path):
    path, images = tmp_path / "floats.npz", np.linspace(-1, 1, 36, dtype="f4").reshape(4, 3, 3, 1)
    np.savez(path, images=images, labels=np.zeros(4, int))
    np.testing.assert_array_equal(load(path, split="all").images, images)


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        (np.arange(240, dtype=np.uint8).reshape(12, 5, 4) % 3, "positions", ("0", "1", "2")),
        (np.arange(36).reshape(12, 3) % 2 > 0, "several", ("0", "1", "2")),
        (np.arange(24).reshape(12, 2) / 8, "numbers", ()),
    ],
)
def test_labels_of_every_kind(tmp_path, labels, kind, names):
    images, path = contents()["images"], tmp_path / "set.npz"
    np.savez(path, images=images, labels=labels)
    loaded = [load((images, labels)), load({"images": images, "labels": labels})]
    for data in (*loaded, load(path, split="all")):
        assert (data.kind, data.class_names) == (kind, names)
        np.testing.assert_array_equal(data.labels, labels)
    np.testing.assert_array_equal(load(path, split="test").labels, labels[[4, 9]])


def no_file(path):
    pass


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("images, labels")


def truncated(path):
    np.savez(path, **contents())
    path.write_bytes(path.read_bytes()[:-200])


def one_array(path):
    np.save(path.with_suffix(".npy"), contents()["images"])
    path.with_suffix(".npy").rename(path)


def objects(path):
    np.savez(path, images=np.array([{}, []], object), labels=np.arange(2))


def pickled(path):
    path.write_bytes(b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00]\x94.")


def no_labels(path):
    np.savez(path, images=contents()["images"], y=np.arange(12))


def wrong_labels(path):
    np.savez(path, images=contents()["images"], labels=np.arange(11))


def too_few_names(path):
    np.savez(path, class_names=["cat"], **contents())


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (no_file, r"^there is no file '.*set.npz'$"),
        (lambda path: path.mkdir(), r"^there is no file '.*set.npz'$"),
        (empty, r"'.*set.npz' is not a readable .npz archive: "),
        (text, r"'.*set.npz' is not a readable .npz archive: "),
        (truncated, r"'.*set.npz' is not a readable .npz archive: "),
        (one_array, r"'.*set.npz' is not a readable .npz archive"),
        (objects, r"is not a readable .npz archive: Object arrays cannot be loaded"),
        (pickled, r"is not a readable .npz archive: .*pickle"),
        (
            no_labels,
            r"'.*set.npz' must hold 'images' and 'labels'. Received: \['images', 'y'\]",
        ),
        (wrong_labels, r"labels \(11,\) for images \(12, 5, 4, 3\)"),
        (too_few_names, r"labels must be in 0…0, as there are 1 classes"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_archives_that_are_no_data_set(tmp_path, write, message):
    write(tmp_path / "set.npz")
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "set.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_archive_is_an_error_or_harmless(tmp_path, save):
    """Bytes flipped anywhere give a ValueError, or hit what nobody reads."""
    path, arrays, random = tmp_path / "set.npz", contents(50), np.random.default_rng(0)
    save(path, **arrays)
    whole = path.read_bytes()
    refused = 0
    for _ in range(200):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[random.integers(len(whole), size=3)] ^= 0xFF
        path.write_bytes(damaged.tobytes())
        try:
            data = load(path, split="all")
        except ValueError:
            refused += 1
        else:
            np.testing.assert_array_equal(data.images, arrays["images"])
            np.testing.assert_array_equal(data.labels, arrays["labels"])
    assert refused > 100


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("digits", {"split": "tests"}, "there is no split 'tests'. Did you mean 'test'?"),
        ("digits", {"split": "train[:50%"}, r"a split must be .*Received: split='train\[:50%'"),
        ("digits", {"split": "test[5:5]"}, "holds none of the 1797 images"),
        ("digits", {"image_size": 0}, "image_size must be at least 1"),
    ],
)
def test_splits_and_sizes_that_are_not_allowed(source, options, message):
    with pytest.raises(ValueError, match=message):
        load(source, **options)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("digit", "Did you mean 'digits'?"),
        ("fashion_mnis", "Did you mean 'fashion_mnist'?"),
        ("emnist/lettrs", "Did you mean 'emnist/letters'?"),
        ("mnist:9.9.9", "Did you mean 'mnist'?"),
        ("oxford_flowers10", "Did you mean 'oxford_flowers102'?"),
        ("petz", "Did you mean 'pets'?"),
        ("./petz", "Did you mean 'pets'?"),
        ("{0}/petz", "Did you mean '{0}/pets'?"),
        (Path("petz"), "Did you mean 'pets'?"),
        ("~/petz", "Known: digits, mnist, "),
        ("my-pets", "Did you mean 'pets'?"),
        ("pets.zip", "Did you mean 'pets'?"),
        ("flowers.npy", "Did you mean 'flowers.npz'?"),
        ("huggingface:mnist", "Known: digits, mnist, "),
        ("", "Known: digits, mnist, "),
        ("qqqqqq", "Known: digits, mnist, "),
    ],
)
def test_unknown_names(tmp_path, monkeypatch, source, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets").mkdir()
    (tmp_path / "flowers.npz").touch()
    if isinstance(source, str):
        source = source.format(tmp_path)
    with pytest.raises(ValueError, match=r"^there is no folder, .npz archive or data") as caught:
        load(source)
    assert f" {str(source)!r}. {hint.format(tmp_path)}" in str(caught.value)


def test_names_of_folders_and_archives(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "SET.npz", **contents())
    (tmp_path / "SET.npz").rename(tmp_path / "SET.NPZ")
    for name in ("digits", "mnist"):
        (tmp_path / name / "a").mkdir(parents=True)
        for number in range(5):
            Image.new("L", (3, 3)).save(tmp_path / name / "a" / f"{number}.png")
    assert len(load("SET.NPZ", split="all")) == len(load("~/SET.NPZ", split="all")) == 12
    for folder in ("./digits", "~/digits", Path("digits"), "mnist"):
        assert len(load(folder, split="all")) == 5
    assert len(load("digits", split="all")) == 1797
    assert load(Path("mnist"), data_dir=tmp_path).image_shape == (3, 3, 1)
    with pytest.raises(ValueError, match="'mnist' is not prepared"):
        load("mnist", data_dir=tmp_path)


def test_arrays_are_not_converted(tmp_path):
    np.savez(tmp_path / "set.npz", **contents())
    assert load(tmp_path / "set.npz", channels=3).image_shape == (5, 4, 3)
    arrays = contents()["images"], contents()["labels"]
    for source, channels in (("digits", 3), (tmp_path / "set.npz", 1), (arrays, 1)):
        with pytest.raises(ValueError, match=f"only pictures .* Received: channels={channels} for"):
            load(source, channels=channels)


@pytest.fixture
def no_tensorflow(monkeypatch):
    """Makes every import of TensorFlow fail, on machines that have it too."""

    class Blocker:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] == "tensorflow":
                raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(sys, "meta_path", [Blocker(), *sys.meta_path])


@pytest.fixture(scope="module")
def tiny_mnist(tmp_path_factory, prepare_tfds):
    """Returns the folder of a prepared ``mnist`` of ten images, and what is in it."""
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
    """More records than are decoded at once, of a set that tells neither channels nor classes."""
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
