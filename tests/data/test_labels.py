"""The five kinds of labels of a data set, and the errors of others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn.data import Dataset, batches, box_labels
from jaxcnn.data.array_blocks import blocks


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


GRAY, TWO = pixels(2, 8, 6, 1), np.array([0, 1])
MASK = np.array([[0, 2], [1, 255]], np.uint8).repeat(4, 0).repeat(3, 1)[None].repeat(2, 0)
SEVERAL = np.array([[True, False, True], [False, False, False]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_a_class_per_image(dtype):
    data = Dataset(GRAY, TWO.astype(dtype))
    assert (data.kind, data.labels.dtype, data.class_names) == ("class", np.int32, ("0", "1"))
    np.testing.assert_array_equal(data.labels, TWO)


@pytest.mark.parametrize(
    "labels",
    [
        ["dog", "cat", "été", "cat"],
        np.array(["dog", "cat", "été", "cat"], object),
        np.array(["dog", "cat", "été", "cat"], np.dtypes.StringDType()),
    ],
)
def test_classes_may_be_names(labels):
    images = pixels(4, 2, 2, 1)
    data = Dataset(images, labels)
    assert (data.labels.dtype, data.labels.tolist()) == (np.int32, [1, 0, 2, 0])
    assert (data.kind, data.class_names) == ("class", ("cat", "dog", "été"))
    data = Dataset(images, labels, ["été", "dog", "bird", "cat"])
    assert data.labels.tolist() == [1, 3, 0, 3]
    assert data.class_names == ("été", "dog", "bird", "cat")


@pytest.mark.parametrize(
    ("dtype", "kept"), [(np.uint8, np.uint8), (np.int64, np.int32), (np.uint16, np.int32)]
)
def test_a_class_at_each_position(dtype, kept):
    data = Dataset(GRAY, MASK.astype(dtype))
    assert (data.kind, data.labels.dtype) == ("positions", kept)
    assert data.class_names == ("0", "1", "2")  # 255 is void
    np.testing.assert_array_equal(data.labels, MASK)
    assert Dataset(GRAY, MASK, "abcd").class_names == ("a", "b", "c", "d")


@pytest.mark.parametrize("labels", [TWO[:, None], np.array([["a"], ["b"]])])
def test_a_column_is_one_class_per_image(labels):
    data = Dataset(GRAY, labels)
    assert (data.kind, data.labels.tolist()) == ("class", [0, 1])
    assert Dataset(np.zeros((2, 1, 3)), TWO[:, None]).kind == "positions"  # of one time step


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
def test_positions_have_the_axes_of_the_images(shape):
    images, labels = pixels(2, *shape, 1) / 256, np.zeros((2, *shape), int)
    assert Dataset(images, labels).kind == "positions"
    # A network may put out fewer positions than it is given.
    assert Dataset(images, labels[(slice(None),) + (slice(2),) * len(shape)]).kind == "positions"


def test_255_is_a_class_where_there_are_so_many():
    names = [f"class {number}" for number in range(256)]
    assert len(Dataset(GRAY, MASK, names).class_names) == 256
    many = MASK.astype(int)
    many[0, 0, 0] = 300
    assert len(Dataset(GRAY, many).class_names) == 301


def test_masks_are_not_copied(tmp_path):
    np.save(tmp_path / "masks.npy", MASK)
    labels = np.load(tmp_path / "masks.npy", mmap_mode="r")
    data = Dataset(GRAY, labels)
    assert np.shares_memory(data.labels, labels)
    assert np.shares_memory(data.take(slice(1)).labels, labels)


def test_void_alone_needs_names():
    void = np.full_like(MASK, 255)
    assert Dataset(GRAY, void, "ab").class_names == ("a", "b")
    data = Dataset(GRAY, np.stack([MASK[0], void[0]]))
    assert data.take(np.array([1])).class_names == ("0", "1", "2")
    with pytest.raises(
        ValueError, match=r"at least one class, or pass class_names. Received: 255 alone"
    ):
        Dataset(GRAY, void)


def test_several_classes_per_image():
    data = Dataset(GRAY, SEVERAL)
    assert (data.kind, data.labels.dtype, data.class_names) == ("several", bool, ("0", "1", "2"))
    np.testing.assert_array_equal(data.labels, SEVERAL)
    assert Dataset(GRAY, SEVERAL, ["day", "sea", "sky"]).class_names == ("day", "sea", "sky")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(2, 1), (2, 3), (2, 8, 6, 1)])
def test_numbers(dtype, shape):
    labels = np.linspace(-3, 3, np.prod(shape)).reshape(shape).astype(dtype)
    data = Dataset(GRAY, labels)
    assert (data.kind, data.labels.dtype, data.class_names) == ("numbers", np.float32, ())
    np.testing.assert_array_equal(data.labels, labels.astype(np.float32))
    names = [f"number {number}" for number in range(shape[-1])]
    assert Dataset(GRAY, labels, names).class_names == tuple(names)


KINDS = {
    "class": TWO,
    "positions": MASK,
    "several": SEVERAL,
    "numbers": np.array([[0.5, 1.0], [2.0, 3.0]]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_taking_and_moving_keep_the_kind(kind):
    data = Dataset(GRAY, KINDS[kind])
    part = data.take(np.array([1, 1, 0]))
    assert (part.kind, part.labels.dtype, part.class_names) == (
        kind,
        data.labels.dtype,
        data.class_names,
    )
    np.testing.assert_array_equal(part.labels, data.labels[[1, 1, 0]])
    moved = data.on_device()
    assert moved.kind == kind
    np.testing.assert_array_equal(moved.labels, data.labels)


def test_masks_are_resized_with_their_images():
    """To half the size and back each label is where its pixel is."""
    images = pixels(2, 8, 6, 3)
    data = Dataset(images, MASK).resize((4, 3))
    np.testing.assert_array_equal(data.labels, MASK[:, 1::2, 1::2])
    larger = data.resize((8, 6))
    np.testing.assert_array_equal(larger.labels, data.labels.repeat(2, 1).repeat(2, 2))
    assert larger.labels.dtype == np.uint8
    smaller = Dataset(images, MASK[:, ::2, ::2]).resize((16, 12))
    np.testing.assert_array_equal(smaller.labels, MASK[:, ::2, ::2])


@given(old=st.integers(1, 40), new=st.integers(1, 40))
def test_a_resized_mask_has_the_label_at_its_center(old, new):
    images, labels = np.zeros((1, old, 1, 1), np.uint8), np.arange(old)[None, :, None]
    resized = Dataset(images, labels).resize((new, 1)).labels[0, :, 0]
    for place, label in enumerate(resized):
        assert label <= (place + 0.5) * old / new <= label + 1


def test_numbers_stay_as_they_are_when_images_are_resized():
    for kind in ("class", "several", "numbers"):
        data = Dataset(GRAY, KINDS[kind]).resize((3, 3))
        np.testing.assert_array_equal(data.labels, KINDS[kind])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_numbers_must_be_finite(bad, monkeypatch):
    monkeypatch.setattr("jaxcnn.data.array_blocks._BLOCK_BYTES", 64)
    labels = np.ones((50, 3))
    labels[[20, 49], [1, 2]] = bad
    images = np.zeros((50, 4, 4, 1), np.uint8)
    with pytest.raises(ValueError, match=r"finite in float32.* in 2 rows, the first at row 20"):
        Dataset(images, labels)


def test_labels_are_looked_through_in_blocks(monkeypatch):
    monkeypatch.setattr("jaxcnn.data.array_blocks._BLOCK_BYTES", 100)
    labels = np.full((9, 8, 6), 3)
    labels[7, 2, 2] = 5
    assert [start for start, _ in blocks(labels)] == list(range(9))
    images = pixels(9, 8, 6, 1)
    assert len(Dataset(images, labels).class_names) == 6
    labels[1, 1, 1] = -1
    with pytest.raises(ValueError, match="Received: labels from -1 to 5"):
        Dataset(images, labels)


RULE = (
    r"labels must be integers or names \(N,\), a class per image; integers "
    r"\(N, \*spatial\), a class at each position; bool \(N, classes\), several classes per image; "
    r"or floating point \(N, …\), numbers or shares of the classes; boxes are those of "
    r"cnn\.data\.box_labels\. Received: "
)
ERRORS = [
    (TWO[:1], (), ValueError,
     r"labels must have one row per image, \(N,\) or \(N, …\). "
     r"Received: labels \(1,\) for images \(2, 8, 6, 1\)$"),
    (np.array(1), (), ValueError, r"one row per image.*Received: labels \(\) for"),
    (SEVERAL[:1], (), ValueError, r"one row per image.*Received: labels \(1, 3\) for"),
    (np.eye(2, dtype=int), (), ValueError,
     RULE + r"int64 \(2, 2\) for.* For several classes per image use labels.astype\(bool\)\.$"),
    (np.zeros((2, 8, 6, 1), int), (), ValueError,
     RULE + r"int64 \(2, 8, 6, 1\) for images \(2, 8, 6, 1\)\.$"),
    (TWO / 1, (), ValueError,
     RULE + r"float64 \(2,\) for.* For one number per image use labels\[:, None\]\.$"),
    (TWO > 0, (), ValueError, RULE + r"bool \(2,\) for.* For two classes use labels.astype\(int"),
    (MASK > 0, (), ValueError,
     RULE + r"bool \(2, 8, 6\) for.* For a class at each position use labels.astype\(np.uint8\)"),
    (np.zeros((2, 3, 4), bool), (), ValueError, RULE + r"bool \(2, 3, 4\) for images .*1\)\.$"),
    (SEVERAL[:, :0], (), ValueError, RULE + r"bool \(2, 0\) for images"),
    (np.zeros((2, 0)), (), ValueError, RULE + r"float64 \(2, 0\) for images"),
    (np.zeros((2, 0, 4), int), (), ValueError, RULE + r"int64 \(2, 0, 4\) for images"),
    (np.array(["cat", None]), (), TypeError,
     "labels must be integers, names of classes, bool or floating point. "
     "Received: dtype object"),
    (np.array([["cat", "dog"]] * 2), (), TypeError, "names of classes, .* Received: dtype <U3"),
    ([b"cat", b"dog"], (), TypeError, r"names of classes, bool.* Received: dtype \|S3"),
    (TWO + 1j, (), TypeError, "bool or floating point. Received: dtype complex128"),
    (["cat", "bird"], ("cat", "dog"), ValueError,
     r"labels must be among the class names \['cat', 'dog'\]. Received: 'bird'"),
    (-TWO, (), ValueError,
     r"labels must be in 0…0, because there are 1 classes. Received: labels from -1 to 0"),
    (-1 - TWO, (), ValueError, r"labels must be in 0…0, .* Received: labels from -2 to -1"),
    (TWO + 1, ("cat", "dog"), ValueError,
     "labels must be in 0…1, because there are 2 classes. Received: labels from 1 to 2"),
    (TWO * 255, ("cat", "dog"), ValueError, "because there are 2 classes. .*labels from 0 to 255"),
    (MASK, ("cat", "dog"), ValueError,
     "labels must be in 0…1, because there are 2 classes, or 255 for no class. "
     "Received: labels from 0 to 2"),
    (MASK.astype(int) - 1, (), ValueError, "labels must be in 0…254.* from -1 to 254"),
    (SEVERAL, ("cat", "dog"), ValueError,
     r"class_names must be one per class, 3, the size of the last axis of the labels. "
     r"Received: 2 names for labels \(2, 3\)"),
    (SEVERAL / 1, ("cat",), ValueError, r"class_names must be one per class, 3, .*1 names"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "class_names", "kind", "message"),
    ERRORS,
    ids=[
        f"{np.asarray(labels).dtype}{np.shape(labels)}-{n}" for n, (labels, *_) in enumerate(ERRORS)
    ],
)
def test_errors(labels, class_names, kind, message):
    with pytest.raises(kind, match=message):
        Dataset(GRAY, labels, class_names)


# Boxes.


def test_boxes_of_images_are_filled_up_and_become_rows_of_a_batch():
    labels = box_labels([[[1, 2, 5, 8], [0, 0, 4, 4]], []], [[2, 0], []], crowd=[[False, True], []])
    data = Dataset(np.zeros((2, 8, 6, 3), np.uint8), labels)
    assert (data.kind, data.task, data.class_names) == ("boxes", "detect", ("0", "1", "2"))
    assert labels["label"].tolist() == [[2, 0], [-1, -1]]
    (batch,) = batches(data, 2)
    assert batch.label.dtype == np.float32
    assert batch.label[0].tolist() == [[1, 2, 5, 8, 2, 0], [0, 0, 4, 4, 0, 1]]
    assert batch.label[1, :, 4].tolist() == [-1, -1]
    assert data[1:].labels["label"].tolist() == [[-1, -1]]
    assert data[1:].fingerprint() != data[:1].fingerprint()


def test_corners_are_rounded_into_the_image():
    labels = box_labels([[[-0.4, 0, 6.3, 8]]], [[0]])
    data = Dataset(np.zeros((1, 8, 6, 3), np.uint8), labels)
    assert data.labels["corners"][0, 0].tolist() == [0, 0, 6, 8]


@pytest.mark.parametrize(
    ("corners", "match"),
    [
        ([0, 0, 8, 8], r"lie within its image, of width 6 and height 8. Received: \[0.0, 0.0, 8.0"),
        ([float("nan"), 0, 2, 2], "lie within its image"),
        ([2, 2, 2, 4], "have x1 < x2 and y1 < y2"),
        ([4, 2, 2, 4], "have x1 < x2 and y1 < y2"),
    ],
)
def test_a_box_that_no_image_has(corners, match):
    with pytest.raises(ValueError, match=match):
        Dataset(np.zeros((1, 8, 6, 3), np.uint8), box_labels([[corners]], [[0]]))


def test_boxes_that_do_not_go_with_their_labels():
    with pytest.raises(ValueError, match=r"one value per box of each image. Received: \[1\] boxes"):
        box_labels([[[0, 0, 2, 2]]], [[0, 1]])
    with pytest.raises(ValueError, match=r"labels must be class numbers from 0\. Received: -1"):
        box_labels([[[0, 0, 2, 2]]], [[-1]])
    with pytest.raises(ValueError, match="most must be at least the boxes of an image, 2"):
        box_labels([[[0, 0, 2, 2]] * 2], [[0, 0]], most=1)
    with pytest.raises(ValueError, match=r"corners must be \(n, 4\).*Received: shape \(1, 3\)"):
        box_labels([[[0, 0, 2]]], [[0]])
    boxes = box_labels([[[0, 0, 2, 2]]], [[3]])
    with pytest.raises(ValueError, match=r"there are 2 classes\. Received: 3"):
        Dataset(np.zeros((1, 8, 8, 3), np.uint8), boxes, ("a", "b"))
