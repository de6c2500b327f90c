"""Options of `load` that hold for every source."""

import numpy as np
import pytest
from PIL import Image

from jaxcnn.data import load


def contents(count=12):
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (count, 5, 4, 3), np.uint8),
        "labels": np.arange(count) % 2,
    }


def test_image_size_is_pillows_resizing():
    image = Image.fromarray(load("digits", split="all").images[0, ..., 0])
    expected = image.resize((14, 28), Image.Resampling.BILINEAR)
    received = load("digits", split="all", image_size=(28, 14)).images
    assert received.shape == (1797, 28, 14, 1)
    np.testing.assert_array_equal(received[0, ..., 0], expected)


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


def test_arrays_are_not_converted(tmp_path):
    np.savez(tmp_path / "set.npz", **contents())
    assert load(tmp_path / "set.npz", channels=3).image_shape == (5, 4, 3)
    arrays = contents()["images"], contents()["labels"]
    for source, channels in (("digits", 3), (tmp_path / "set.npz", 1), (arrays, 1)):
        with pytest.raises(ValueError, match=f"only pictures .* Received: channels={channels} for"):
            load(source, channels=channels)
