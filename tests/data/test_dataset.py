"""Data sets in memory, against NumPy and Pillow."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data import Dataset, load, one_hot, storage_bytes


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_arrays_come_out_as_they_went_in():
    images, labels = pixels(5, 4, 3, 2), np.array([2, 0, 1, 1, 2], np.int64)
    data = Dataset(images, labels)
    np.testing.assert_array_equal(data.images, images)
    np.testing.assert_array_equal(data.labels, labels)
    assert (data.images.dtype, data.labels.dtype) == (np.uint8, np.int32)
    assert (len(data), data.image_shape, data.class_names) == (5, (4, 3, 2), ("0", "1", "2"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.images = images


@pytest.mark.parametrize("images", [np.full((2, 4, 4, 1), 0.5), np.zeros((2, 4, 4, 1), np.float32)])
def test_floating_point_images_stay_as_they_are(images):
    data = Dataset(images, [0, 1], ["cat", "dog", "bird"])
    assert data.images.dtype == images.dtype
    np.testing.assert_array_equal(data.images, images)
    assert data.class_names == ("cat", "dog", "bird")


GRAY, TWO = pixels(2, 8, 8, 1), np.array([0, 1])
FLOATS = GRAY.astype(np.float32) / 255
ERRORS = [
    (pixels(2, 64), TWO, (), ValueError,
     r"images must be \(N, height, width, channels\), or \(N, time, channels\) for sequences, or "
     r"\(N, time, height, width, channels\) for video. Received: shape \(2, 64\)$"),
    (pixels(2, 3, 4, 8, 8, 1), TWO, (), ValueError, r"Received: shape \(2, 3, 4, 8, 8, 1\)$"),
    (pixels(2, 3, 4, 8, 8), TWO, (), ValueError, r"channels last. .*use np.moveaxis\(images, 1"),
    (pixels(2, 3, 8, 8), TWO, (), ValueError,
     r"channels last. Received: shape \(2, 3, 8, 8\).*channels-first: use np.moveaxis\(images, 1"),
    (GRAY.astype(int), TWO, (), TypeError, "must be uint8 pixels or floating.* dtype int64"),
    (GRAY > 5, TWO, (), TypeError, "must be uint8 pixels or floating.* dtype bool"),
    (np.where([[[[False]]], [[[True]]]], np.nan, FLOATS), TWO, (), ValueError,
     "images must be finite. Received: NaN or infinity in 1 images, the first at row 1"),
    (np.full((2, 8, 8, 1), -np.inf), TWO, (), ValueError, "infinity in 2 images.* at row 0"),
    (GRAY.astype(np.float32), TWO, (), ValueError,
     "hold pixels of 0…255: pass uint8, or divide by 255. Received: largest value 248.0"),
    (GRAY * np.float32(0.999), TWO, (), ValueError, r"pixels of 0…255: .*largest value 247\.75"),
    (GRAY * np.float32(200), TWO, (), ValueError, r"pixels of 0…65535: .*largest value 49600\.0"),
    (GRAY, np.array([5, 20261128]), (), ValueError,
     r"below 1,000,000. Received: 20261128\. For ids or dates pass labels\.astype\(str\)"),
    (GRAY[:0], TWO[:0], (), ValueError, r"needs at least one image. Received: \(0, 8, 8, 1\)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("images", "labels", "class_names", "kind", "message"), ERRORS, ids=[e[-1] for e in ERRORS]
)
def test_errors(images, labels, class_names, kind, message):
    with pytest.raises(kind, match=message):
        Dataset(images, labels, class_names)


@pytest.mark.parametrize("shape", [(3, 7, 2), (3, 4, 5, 6, 1), (3, 1, 9)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_sequences_and_video(shape, dtype):
    if dtype == np.uint8 and len(shape) == 3:
        pytest.skip("uint8 of these axes are gray pictures")
    images = (np.arange(np.prod(shape)).reshape(shape) / 999).astype(dtype)
    data = Dataset(images, [0, 1, 0])
    np.testing.assert_array_equal(data.images, images)
    assert data.image_shape == shape[1:]
    np.testing.assert_array_equal(data.take(data.labels == 0).images, images[[0, 2]])


def test_rows_are_chosen_by_slices_masks_and_numbers():
    images, labels = pixels(7, 4, 4, 1), np.arange(7) % 3
    data = Dataset(images, labels, "abc")
    for rows in (slice(1, 4), slice(None, None, -2), labels == 1, [5, 0], np.array([2])):
        chosen = data[rows]
        np.testing.assert_array_equal(chosen.images, images[rows])
        np.testing.assert_array_equal(chosen.labels, labels[rows])
        assert chosen.class_names == ("a", "b", "c")
    image, label = data[-1]
    np.testing.assert_array_equal(image, images[6])
    assert label == 0
    assert [int(label) for _, label in data] == labels.tolist()
    assert np.shares_memory(data[2:5].images, images)
    with pytest.raises(IndexError):
        data[7]
    with pytest.raises(ValueError, match="at least one image"):
        data[7:]


@pytest.mark.parametrize("form", [np.asarray, Image.fromarray])
def test_a_list_of_images_has_one_shape(form):
    images = pixels(3, 5, 4, 3)
    np.testing.assert_array_equal(Dataset(list(map(form, images)), [0, 1, 0]).images, images)
    several = [form(images[0]), form(images[1][:4])]
    with pytest.raises(ValueError, match=r"of one shape.*resized by load\(\[.*image_size=\(height"):
        Dataset(several, [0, 1])
    records = [(image, number) for number, image in enumerate(several)]
    assert load(records, image_size=4).image_shape == (4, 4, 3)


@pytest.mark.parametrize("place", [np.asarray, jax.numpy.asarray])
def test_uint8_of_three_axes_are_gray_pictures(place):
    images = pixels(6, 28, 28)
    data = Dataset(place(images), np.arange(6) % 3)
    np.testing.assert_array_equal(data.images, images[..., None])
    assert data.resize(14).image_shape == (14, 14, 1)
    model = cnn.models.create("mnist_cnn", num_classes=10)
    assert cnn.summarize(model, data.image_shape).trainable == 80_266  # 32,074 of 1-D convolutions
    masks = Dataset(place(images), images % 3)
    assert (masks.kind, masks.image_shape) == ("positions", (28, 28, 1))
    with pytest.raises(ValueError, match=r"picture, use images\[None\]; sequences .*images / 255"):
        Dataset(place(pixels(28, 28, 3)), np.zeros(28, int))


def test_mapped_images_are_not_copied(tmp_path):
    np.save(tmp_path / "images.npy", pixels(6, 4, 4, 1))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    data = Dataset(images, np.arange(6))
    assert np.shares_memory(data.images, images)
    assert np.shares_memory(data.take(slice(2, 5)).images, images)
    assert data.take(slice(2, 5)).labels.tolist() == [2, 3, 4]
    assert type(data.images) is np.ndarray  # np.memmap costs time at each index


def test_a_set_larger_than_memory_is_mapped(tmp_path):
    """A file with holes takes no room on the disk; reading it all would take minutes."""
    images = np.lib.format.open_memmap(
        tmp_path / "images.npy", "w+", np.uint8, (2**22, 256, 256, 3)
    )
    data = Dataset(images, np.zeros(len(images), int))
    assert data.take(slice(7, None)).image_shape == (256, 256, 3)


def test_floating_point_images_are_checked_in_blocks(monkeypatch):
    monkeypatch.setattr("jaxcnn.data.array_blocks._BLOCK_BYTES", 100)
    images = np.zeros((50, 2, 2, 1), np.float32)
    assert len(Dataset(images, np.zeros(50, int))) == 50
    images[[20, 49]] = np.inf
    with pytest.raises(ValueError, match="infinity in 2 images, the first at row 20"):
        Dataset(images, np.zeros(50, int))
    images[[20, 49]] = 7.5
    assert len(Dataset(images, np.zeros(50, int))) == 50
    images[[20, 49]] = 7
    with pytest.raises(ValueError, match=r"pixels of 0…255.*largest value 7\.0"):
        Dataset(images, np.zeros(50, int))


def test_take_keeps_the_classes():
    data = Dataset(pixels(6, 4, 4, 1), np.arange(6), list("abcdef"))
    part = data.take(np.array([4, 0, 4]))
    np.testing.assert_array_equal(part.images, data.images[[4, 0, 4]])
    assert part.labels.tolist() == [4, 0, 4]
    assert part.class_names == data.class_names
    assert data.take(data.labels > 3).labels.tolist() == [4, 5]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("image_size", "size"), [(28, (28, 28)), ((3, 11), (3, 11))])
def test_resize_is_that_of_pillow(channels, image_size, size):
    data = Dataset(pixels(3, 8, 6, channels), [2, 0, 1], list("abc"))
    resized = data.resize(image_size)
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[channels]  # of RGBA Pillow would premultiply the alpha
    for image, received in zip(data.images, resized.images, strict=True):
        picture = Image.frombytes(mode, (6, 8), image.tobytes())
        expected = picture.resize(size[::-1], Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(received, np.reshape(expected, (*size, channels)))
    assert resized.images.dtype == np.uint8
    assert (resized.labels.tolist(), resized.class_names) == ([2, 0, 1], ("a", "b", "c"))


def test_resize_to_the_same_size_changes_nothing():
    data = Dataset(FLOATS, TWO)
    np.testing.assert_array_equal(data.resize((8, 8)).images, FLOATS)


@pytest.mark.parametrize(
    ("images", "image_size", "kind", "message"),
    [
        (GRAY, 0, ValueError, "image_size must be at least 1. Received: image_size=0"),
        (GRAY, (4, -1), ValueError, r"image_size must be at least 1 .*image_size=\(4, -1\)"),
        (GRAY, (4, 4, 1), ValueError, r"image_size must be one int or one .*=\(4, 4, 1\)"),
        (GRAY, 2.5, TypeError, "image_size must be an integer. Received: image_size=2.5"),
        (
            FLOATS[..., 0],
            4,
            ValueError,
            r"only images .* for gray ones use images\[..., None\]. Received: shape \(2, 8, 8\)",
        ),
        (FLOATS, 4, TypeError, "only uint8 images can be resized. Received: dtype float32"),
    ],
)
def test_resize_errors(images, image_size, kind, message):
    with pytest.raises(kind, match=message):
        Dataset(images, TWO).resize(image_size)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
def test_one_hot_has_a_one_at_each_label(dtype):
    labels = np.array([3, 0, 4, 3], dtype)
    rows = one_hot(labels, 6)
    np.testing.assert_array_equal(rows, labels[:, None] == np.arange(6))
    assert rows.dtype == np.float32


def test_one_hot_of_no_labels():
    assert one_hot(np.array([], int), 10).shape == (0, 10)


@pytest.mark.parametrize(
    ("labels", "num_classes", "kind", "message"),
    [
        ([0, 3], 3, ValueError, r"labels must be in 0…2. Received: labels from 0 to 3"),
        ([-1, 1], 3, ValueError, r"labels must be in 0…2. Received: labels from -1 to 1"),
        ([0.0, 1.0], 3, TypeError, "labels must be integers. Received: dtype float64"),
        ([0], 0, ValueError, "num_classes must be at least 1. Received: num_classes=0"),
        ([0], 3.0, TypeError, "num_classes must be an integer. Received: num_classes=3.0"),
    ],
)
def test_one_hot_errors(labels, num_classes, kind, message):
    with pytest.raises(kind, match=message):
        one_hot(np.array(labels), num_classes)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((512, 512, 1), np.uint8, 262_144),
        ((512, 512, 3), np.uint8, 786_432),
        ((60_000, 784), np.uint8, 47_040_000),
        ((60_000, 10), "float32", 2_400_000),
    ],
)
def test_storage_bytes(shape, dtype, expected):
    assert storage_bytes(shape, dtype) == expected


def test_storage_bytes_errors():
    with pytest.raises(ValueError, match="at least 1"):
        storage_bytes((512, 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(2, 1, 20, 8), (2, 3, 20, 8), (2, 3, 6, 6, 8)])
def test_a_short_first_axis_need_not_be_the_channels(shape, dtype):
    assert Dataset(np.zeros(shape, dtype), np.arange(2)).image_shape == shape[1:]


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 480, 640)])
def test_channels_first_is_an_error_where_it_is_certain(shape):
    with pytest.raises(ValueError, match=r"channels last.*use np.moveaxis\(images, 1, -1\)"):
        Dataset(np.zeros(shape, np.uint8), np.arange(2))


@pytest.mark.parametrize("shape", [(2, 9, 1), (2, 3, 4, 4, 1), (2, 4, 4, 7)])
def test_sequences_and_video_may_hold_counts(shape):
    counts = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(Dataset(counts, np.arange(2)).images, counts)


def test_bfloat16_images_are_floating_point():
    """NumPy does not count them as such; the values are those of float32."""
    x = np.random.default_rng(0).random((6, 8, 8, 1)).astype(jnp.bfloat16)
    labels = np.arange(6) % 3
    model = cnn.serial(cnn.flatten(), cnn.dense(3)).build((8, 8, 1), rngs=nnx.Rngs(0))
    for images in (x, jnp.asarray(x)):
        dataset = cnn.Dataset(images, labels)
        np.testing.assert_allclose(
            cnn.predict(model, images), cnn.predict(model, x.astype(np.float32)), rtol=1e-5
        )
        assert np.isfinite(cnn.evaluate(model, dataset).loss)


def test_series_may_have_padding_at_their_end_alone():
    series = np.ones((3, 4, 2), np.float32)
    assert Dataset(series, [0, 1, 0]).lengths is None
    series[1, 2:] = np.nan
    padded = Dataset(series, [0, 1, 0])
    assert padded.lengths.tolist() == [4, 2, 4]
    assert padded[:1].lengths is None
    for place in ((0, 1), (0, 3, 0), (2,)):  # within a series, one channel, no step at all
        bad = series.copy()
        bad[place] = np.nan
        with pytest.raises(ValueError, match=r"apart from steps after the end .* in 1 images"):
            Dataset(bad, [0, 1, 0])
