"""The digits that come with the package, against the published values."""

import hashlib

import numpy as np

from jaxcnn.data import load

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
