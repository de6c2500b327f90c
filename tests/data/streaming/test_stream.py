"""Pictures that are decoded as they come: the batches of the same set, decoded once."""

import io
import shutil
from collections import namedtuple

import grain
import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter
from flax import nnx
from PIL import Image

import jaxcnn as cnn
from jaxcnn.data import RandomCrop, batches, load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of JPEGs of several sizes, one of them turned by EXIF."""
    root = tmp_path_factory.mktemp("pictures") / "pets"
    random = np.random.default_rng(0)
    turned = Image.Exif()
    turned[0x0112] = 6
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(13):
            size = (int(random.integers(40, 90)), int(random.integers(40, 90)))
            rough = Image.fromarray(random.integers(0, 256, (5, 7, 3), np.uint8))
            picture = rough.resize(size, Image.Resampling.BICUBIC)
            exif = {"exif": turned} if number == 3 else {}
            picture.save(root / name / f"{number:02}.jpg", quality=90, **exif)
    return root


def streamed(folder, **options):
    return load(folder, image_size=16, stream=True, **options)


def same(first, second):
    """Whether two runs of batches are equal, and not empty."""
    pairs = list(zip(first, second, strict=True))
    return bool(pairs) and all(
        np.array_equal(a, b) and a.dtype == b.dtype
        for pair in pairs
        for a, b in zip(*pair, strict=True)
    )


@pytest.mark.parametrize("split", ["train", "test", "train[4:]+test", "train[:50%]"])
def test_the_order_and_the_pixels_are_those_of_the_mapped_set(folder, split):
    mapped, stream = load(folder, image_size=16, split=split), streamed(folder, split=split)
    assert (len(stream), stream.sample.class_names) == (len(mapped), mapped.class_names)
    for options in ({}, {"seed": 0}, {"seed": 7, "epoch": 2, "start": 1}):
        assert same(batches(mapped, 3, **options), batches(stream, 3, **options))
    options = {"seed": 7, "balanced": True}
    assert same(batches(mapped, 3, **options), batches(stream, 3, **options))


def test_shards_are_the_parts_of_each_batch(folder):
    whole, stream = load(folder, image_size=16), streamed(folder)
    for shard in range(2):
        options = {"seed": 1, "shard": shard, "num_shards": 2}
        assert same(batches(whole, 6, **options), batches(stream, 6, **options))


def test_crops_are_of_the_seed_the_epoch_and_the_picture_alone(folder):
    stream = streamed(folder, random_crop=(0.2, 1))
    first = list(batches(stream, 4, seed=3, epoch=1))
    assert same(first[2:], batches(stream, 4, seed=3, epoch=1, start=2))
    assert not same(first, batches(stream, 4, seed=3, epoch=2))
    parts = [list(batches(stream, 4, seed=3, epoch=1, shard=n, num_shards=2)) for n in (0, 1)]
    for batch, *halves in zip(first, *parts, strict=True):
        assert np.array_equal(batch.image, np.concatenate([half.image for half in halves]))


def test_a_damaged_picture_is_named_or_left_out(folder, tmp_path):
    root = tmp_path / "pets"
    for picture in folder.rglob("*.jpg"):
        copy = root / picture.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(picture.read_bytes())
    stream = streamed(root, split="train")
    lenient = streamed(root, split="train", on_error="skip")
    (root / "dog" / "05.jpg").write_bytes(b"\xff\xd8 is not the rest of a JPEG")
    with pytest.raises(ValueError, match=r"dog/05\.jpg' is not a picture.*on_error='skip'"):
        list(batches(stream, 4, seed=0))
    with pytest.warns(UserWarning, match=r"1 of 22 images in .* are left out: .*dog/05\.jpg"):
        read = list(batches(lenient, 4, seed=0))
    assert sum(batch.mask.sum() for batch in read) == 21
    whole = list(batches(load(folder, image_size=16), 4, seed=0))
    for batch, expected in zip(read, whole, strict=True):
        assert np.array_equal(batch.image[batch.mask], expected.image[batch.mask])


def test_evaluation_is_that_of_the_mapped_set(folder):
    mapped, stream = load(folder, image_size=16), streamed(folder)
    network = cnn.serial(cnn.flatten(), cnn.dense(2))
    model = network.build((16, 16, 3), rngs=nnx.Rngs(0))
    assert cnn.evaluate(model, stream) == cnn.evaluate(model, mapped)


def test_the_text_and_the_fingerprint(folder, tmp_path):
    stream = streamed(folder)
    assert repr(stream).startswith("Stream(22 images (16, 16, 3) uint8 of ")
    assert stream.fingerprint() == streamed(folder).fingerprint()
    others = [streamed(folder, random_crop=(0.2, 1)), streamed(folder, split="train[:20]")]
    assert len({stream.fingerprint(), *(other.fingerprint() for other in others)}) == 3


def test_load_decides_by_the_free_space(folder, monkeypatch):
    """It streams what would take more than half of it, and says so."""
    needed = 26 * 16 * 16 * 3
    space = {"free": 2 * needed}
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, space["free"]))
    assert isinstance(load(folder, image_size=16, cache_dir=folder.parent / "a"), cnn.Dataset)
    space["free"] -= 1
    with pytest.warns(UserWarning, match=r"as it comes: decoded once, it would take 0\.0 GB"):
        stream = load(folder, image_size=16, cache_dir=folder.parent / "b")
    assert isinstance(stream, cnn.data.Stream)
    # Of what is decoded already, the space counts as free.
    space["free"] = needed
    assert isinstance(load(folder, image_size=16, cache_dir=folder.parent / "a"), cnn.Dataset)
    chosen = load(folder, image_size=16, cache_dir=folder.parent / "b", stream=False)
    assert isinstance(chosen, cnn.Dataset)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"stream": False, "random_crop": (0.1, 1)},
            r"random_crop needs pictures that are",
        ),
        ({"stream": True, "random_crop": (0, 1)}, r"random_crop must be in \(0, 1\]"),
        ({"stream": True, "image_size": None}, r"must have one size, or be resized"),
        ({"stream": True, "class_names": ["a", "b"]}, r"of a source that does not tell them"),
        ({"stream": True, "split": "test[:0]"}, r"holds none of the 26 images"),
        ({"stream": True, "split": "val"}, r"val"),
    ],
)
def test_mistakes(folder, options, message):
    with pytest.raises(ValueError, match=message):
        load(folder, **{"image_size": 16} | options)


def test_what_cannot_be_streamed():
    with pytest.raises(ValueError, match="only pictures and records are streamed"):
        load("digits", stream=True)
    arrays = np.zeros((4, 8, 8, 1), np.uint8), np.arange(4) % 2
    records = list(zip(*arrays, strict=True))
    with pytest.raises(ValueError, match="a stream needs class_names"):
        load(records, stream=True)
    with pytest.raises(ValueError, match="streamed whole"):
        load(records, stream=True, class_names=["a", "b"], split="all[:2]")
    mixed = [(np.zeros((8, 8, 1), np.uint8), 0)] * 40
    mixed[4] = (Image.new("RGB", (8, 8)), 1)
    stream = load(mixed, stream=True, class_names=["a", "b"])
    with pytest.raises(ValueError, match=r"Received: color in record 4 .*Use channels=3"):
        list(batches(stream, 8))


def test_a_crop_is_a_part_of_the_picture_at_any_of_its_sizes():
    """Of a picture whose gray levels are its coordinates, the crop's are those of its box."""
    levels = np.tile(np.arange(240, dtype=np.uint8), (200, 1))
    crop = RandomCrop((0.2, 0.5)).at(0, 1, 2)
    left, top, right, bottom = crop.box(200, 240)
    assert 0.2 <= (right - left) * (bottom - top) / (200 * 240) <= 0.5
    assert 3 / 4 <= (right - left) / (bottom - top) <= 4 / 3
    pixels = np.asarray(crop.picture(Image.fromarray(levels), (10, 10)), float)
    centers = left + (np.arange(10) + 0.5) * (right - left) / 10 - 0.5
    np.testing.assert_allclose(pixels, np.tile(centers, (10, 1)), atol=1)
    half = Image.fromarray(levels).resize((120, 100))
    np.testing.assert_allclose(np.asarray(crop.picture(half, (10, 10)), float), pixels, atol=2)
    whole = RandomCrop((1, 1), ratio=(1, 1)).at(0, 0, 0)  # which does not fit: the center
    assert whole.box(200, 240) == (20, 0, 220, 200)


def test_array_records_are_streamed_by_grain(tmp_path):
    """Each an encoded picture after its class; global order, read at any place."""
    path = str(tmp_path / "pictures.array_record")
    writer = ArrayRecordWriter(path, "group_size:1")
    for number in range(21):
        buffer = io.BytesIO()
        Image.new("L", (6, 5), number).save(buffer, "png")
        writer.write(bytes([number % 3]) + buffer.getvalue())
    writer.close()
    files = grain.sources.ArrayRecordDataSource([path])
    records = grain.MapDataset.source(files).map(lambda record: (record[1:], record[0]))
    stream = load(records, class_names=["a", "b", "c"], stream=True)
    drawn = list(batches(stream, 4, seed=5, epoch=1))
    order = np.random.default_rng((5, 1)).permutation(21)
    seen = np.concatenate([batch.image[batch.mask, 0, 0, 0] for batch in drawn])
    assert seen.tolist() == order.tolist()
    assert np.concatenate([batch.label[batch.mask] for batch in drawn]).tolist() == [
        number % 3 for number in order
    ]
