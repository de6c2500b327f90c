"""Archives: whole, split, with labels of every kind, and damaged."""

import numpy as np
import pytest

from jaxcnn.data import describe, load


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


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "val_images", "val_labels"),
        ("X.training", "Y.training", "X.test", "Y.test"),
    ],
)
@pytest.mark.parametrize("form", ["archive", "mapping", "folder", "file"])
def test_names_of_splits_divide_the_set(tmp_path, names, form):
    """As Keras's mnist.npz, with labels (N, 1) as in MedMNIST and gray images without channels."""
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (9, 6, 5), np.uint8), np.arange(9)[:, None] % 2
    arrays = dict(zip(names, (x[:7], y[:7], x[7:], y[7:]), strict=True))
    source = {"archive": tmp_path / "set.npz", "mapping": arrays, "folder": tmp_path / "set"}
    if form == "archive":
        np.savez(tmp_path / "set.npz", **arrays)
    (tmp_path / "set").mkdir()
    for name, array in arrays.items():
        np.save(tmp_path / "set" / f"{name}.npy", array)
    opened = source.get(form, tmp_path / "set" / f"{names[0]}.npy")
    described = describe(opened)
    held_out = "val" if "val_images" in names else "test"
    assert (described.train, described.test) == ("train", held_out)
    assert dict(described.splits) == {"train": 7, held_out: 2}
    np.testing.assert_array_equal(load(opened).images, x[:7, ..., None])
    np.testing.assert_array_equal(load(opened, split=held_out).labels, y[7:, 0])
    np.testing.assert_array_equal(load(opened, split="all", image_size=(6, 5)).images[..., 0], x)


def test_pairs_of_arrays(tmp_path):
    x, y = contents()["images"], contents()["labels"]
    np.savez(tmp_path / "unnamed.npz", y, x)
    np.testing.assert_array_equal(load(tmp_path / "unnamed.npz", split="all").images, x)
    for pairs in (((x, y), (x[:4], y[:4])), {"train": (x, y), "test": (x[:4], y[:4])}):
        np.testing.assert_array_equal(load(pairs).images, x)
        np.testing.assert_array_equal(load(pairs, split="test").labels, y[:4])
    with pytest.raises(ValueError, match=r"for each split.*'x_test': \(12, 5, 4, 3\)"):
        load({"x_train": x, "y_train": y, "x_test": x})
    with pytest.raises(ValueError, match="are the images: 'images' and 'x'"):
        load({"images": x, "x": x, "labels": y})


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
    np.savez(path, images=contents()["images"], weights=np.ones((12, 3)))


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
            r"'.*set.npz' must hold 'images' and 'labels', .* Received: {'images': .*'weights'",
        ),
        (wrong_labels, r"labels \(11,\) for images \(12, 5, 4, 3\)"),
        (too_few_names, r"labels must be in 0…0, because there are 1 classes"),
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
