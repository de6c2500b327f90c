"""Pictures of another size: squashed, cropped or padded, each way the same."""

import numpy as np
import pytest
from PIL import Image

from jaxcnn.data import Dataset, load, match_classes
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


def by_pillow(interpolation):
    """Bands of rows 0…4 and columns 3…7 of the 5×10 pixels of which a share of 0.8 is 4×4."""
    method = Image.Resampling[interpolation.upper()]
    resized = [Image.fromarray(image).resize((10, 5), method) for image in WIDE]
    return np.array([np.asarray(image)[:4, 3:7] for image in resized])


WAYS = {
    "squash": ({"aspect": "squash"}, EXPECTED["squash"]),
    "crop": ({"aspect": "crop"}, EXPECTED["crop"]),
    "pad": ({"aspect": "pad"}, EXPECTED["pad"]),
} | {
    word: ({"aspect": "crop", "interpolation": word, "crop_share": 0.8}, by_pillow(word))
    for word in ("bilinear", "bicubic", "lanczos", "nearest")
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_an_image_gives_the_same_pixels(way, tmp_path):
    """From arrays, archives, records, folders, and files as `predict` reads them."""
    options, expected = WAYS[way]
    resized = Dataset(WIDE, LABELS).resize(4, **options).images
    assert np.abs(resized - expected).max() <= (1 if expected.dtype == float else 0)
    np.savez(tmp_path / "set.npz", images=WIDE, labels=LABELS)
    files = [tmp_path / "set" / "ab"[number % 2] / f"{number}.png" for number in range(6)]
    for file, image in zip(files, WIDE, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    known = set(map(bytes, resized))
    records = [{"image": image, "label": 0} for image in WIDE]
    for source in (tmp_path / "set.npz", tmp_path / "set", records):
        data = load(source, split="all", image_size=4, **options)
        assert set(map(bytes, data.images)) == known
    framing = Framing.measure(data, any_size=True, resizing=Resizing(**options))
    for file, image in zip(files, resized, strict=True):
        np.testing.assert_array_equal(framing.apply(framing.read(file)), image)


def test_a_set_keeps_the_method_by_which_its_images_got_their_size(tmp_path):
    """Also where they are chosen, moved, or scaled at the same ratio later."""
    np.savez(tmp_path / "set.npz", images=WIDE, labels=LABELS)
    options = {"aspect": "crop", "interpolation": "bicubic", "crop_share": 0.8}
    records = [{"image": image, "label": "ab"[row % 2]} for row, image in enumerate(WIDE)]
    cropped = Resizing(**options)
    for source in (tmp_path / "set.npz", records):
        data = load(source, split="all", image_size=4, **options)
        assert data.resizing == cropped
        assert data[:3].resizing == data.on_device().resizing == data.resize(4).resizing == cropped
        assert match_classes(data, ["b", "a", "0", "1"]).resizing == cropped
        assert data.resize(8).resizing == Resizing("crop", "bilinear", 0.8)
        assert data.resize((4, 8), aspect="pad").resizing == Resizing("pad")
        assert load(source, split="all", **options).resizing == Resizing()  # as they are


def test_images_that_have_the_size_are_cropped_too():
    """From arrays, and from records, which are not resized if they have the size."""
    square = WIDE[:, :, :8]
    options = {"aspect": "crop", "crop_share": 0.5, "interpolation": "nearest"}
    expected = square.repeat(2, axis=1).repeat(2, axis=2)[:, 4:12, 4:12]
    np.testing.assert_array_equal(Dataset(square, LABELS).resize(8, **options).images, expected)
    records = [{"image": image, "label": 0} for image in square]
    np.testing.assert_array_equal(load(records, image_size=8, **options).images, expected)


def test_only_the_middle_of_a_long_strip_is_resized():
    """All of this one would be 32×32,000,000 pixels."""
    strip = np.linspace(0, 255, 1_000_000).astype(np.uint8)[None]
    cropped = Resizing("crop").picture(Image.fromarray(strip), (32, 32))
    assert cropped.size == (32, 32)
    assert np.ptp(np.asarray(cropped)) <= 1
    assert abs(cropped.getpixel((16, 16)) - 127) <= 1


@pytest.mark.parametrize("size", [(4, 4), (7, 3), (5, 12), (9, 9)])
@pytest.mark.parametrize("share", [1, 0.875, 0.6])
def test_labels_at_positions_are_where_the_nearest_pixels_are(size, share):
    labels = WIDE[..., 0].astype(np.int32)
    options = {"aspect": "crop", "interpolation": "nearest", "crop_share": share}
    resized = Dataset(WIDE, labels, tuple(map(str, range(256)))).resize(size, **options)
    np.testing.assert_array_equal(resized.labels, resized.images[..., 0])


def test_labels_at_positions_are_cropped_with_their_images():
    labels = np.arange(6 * 8 * 16).reshape(6, 8, 16) % 5
    cropped = Dataset(WIDE, labels).resize(8, aspect="crop")
    np.testing.assert_array_equal(cropped.labels, labels[:, :, 4:12])
    np.testing.assert_array_equal(cropped.images, WIDE[:, :, 4:12])
    with pytest.raises(ValueError, match='aspect="pad" adds positions that have no label'):
        Dataset(WIDE, labels).resize(8, aspect="pad")


WRONG = [
    ({"aspect": "corp"}, r"aspect must be .*Received: aspect='corp'. Did you mean 'crop'\?"),
    ({"interpolation": "cubic"}, r"interpolation must be .*='cubic'. Did you mean 'bicubic'\?"),
    (
        {"aspect": "crop", "crop_share": 0},
        r"crop_share must be in \(0, 1\]. Received: crop_share=0",
    ),
    ({"aspect": "crop", "crop_share": 1.2}, r"crop_share must be in \(0, 1\]"),
    ({"crop_share": 0.9}, "crop_share needs aspect=\"crop\". Received: .*0.9, aspect='squash'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_options_of_resizing_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        load("digits", image_size=4, **options)
