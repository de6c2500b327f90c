"""Pictures of another ratio of width to height: squashed, cropped or padded, each way the same."""

import numpy as np
import pytest
from PIL import Image

from jaxcnn.data import Dataset, load
from jaxcnn.data.decoding.framing import Framing
from jaxcnn.data.resizing import Resizing

WIDE = np.random.default_rng(0).integers(0, 256, (6, 8, 16, 3)).astype(np.uint8)
LABELS = np.arange(6) % 2


def triangle(old, new, start, stop):
    """The matrix of a bilinear reduction: a triangle around the center of each new pixel."""
    scale = (stop - start) / new
    centers = start + (np.arange(new) + 0.5) * scale
    distances = np.abs(np.arange(old) + 0.5 - centers[:, None]) / max(scale, 1)
    weights = np.maximum(1 - distances, 0)
    return weights / weights.sum(axis=1, keepdims=True)


def reduced(height, width, left, right):
    rows, columns = triangle(8, height, 0, 8), triangle(16, width, left, right)
    return np.einsum("ih,nhwc,jw->nijc", rows, WIDE, columns)


EXPECTED = {
    "squash": reduced(4, 4, 0, 16),
    "crop": reduced(4, 4, 4, 12),
    "pad": np.pad(reduced(2, 4, 0, 16), ((0, 0), (1, 1), (0, 0), (0, 0))),
}


@pytest.mark.parametrize("aspect", EXPECTED)
def test_every_way_to_an_image_gives_the_same_pixels(aspect, tmp_path):
    """From arrays, archives, folders, and files as `predict` reads them."""
    resized = Dataset(WIDE, LABELS).resize(4, aspect=aspect).images
    assert np.abs(resized - EXPECTED[aspect]).max() <= 1
    np.savez(tmp_path / "set.npz", images=WIDE, labels=LABELS)
    files = [tmp_path / "set" / "ab"[number % 2] / f"{number}.png" for number in range(6)]
    for file, image in zip(files, WIDE, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    known = set(map(bytes, resized))
    for source in ("set.npz", "set"):
        data = load(tmp_path / source, split="all", image_size=4, aspect=aspect)
        assert set(map(bytes, data.images)) == known
    framing = Framing.measure(data, any_size=True, resizing=Resizing(aspect))
    for file, image in zip(files, resized, strict=True):
        np.testing.assert_array_equal(framing.apply(framing.read(file)), image)


def test_labels_at_positions_are_cropped_with_their_images():
    labels = np.arange(6 * 8 * 16).reshape(6, 8, 16) % 5
    cropped = Dataset(WIDE, labels).resize(8, aspect="crop")
    np.testing.assert_array_equal(cropped.labels, labels[:, :, 4:12])
    np.testing.assert_array_equal(cropped.images, WIDE[:, :, 4:12])
    with pytest.raises(ValueError, match='aspect="pad" adds positions that have no label'):
        Dataset(WIDE, labels).resize(8, aspect="pad")


def test_an_aspect_is_one_of_three():
    with pytest.raises(ValueError, match=r"aspect .*Did you mean 'crop'"):
        load("digits", image_size=4, aspect="corp")
