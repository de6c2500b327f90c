"""Tar files in the layout of WebDataset, whole, missing and cut."""

import io
import re
import tarfile

import numpy as np
import pytest
from PIL import Image

from jaxcnn.data import batches, load


def pack(path, numbers, label=str, suffix="cls"):
    """Write a gray picture of each number, and its class."""
    with tarfile.open(path, "w") as tar:
        for number in numbers:
            buffer = io.BytesIO()
            Image.new("L", (6, 5), number).save(buffer, "png")
            parts = {"png": buffer.getvalue(), suffix: label(number % 3).encode()}
            for name, data in parts.items():
                member = tarfile.TarInfo(f"pictures/{number:03}.{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def shards(tmp_path):
    for shard in range(3):
        pack(tmp_path / f"train-{shard:02}.tar", range(shard * 7, shard * 7 + 7))
    return tmp_path


@pytest.mark.parametrize("pattern", ["train-{00..02}.tar", "train-*.tar"])
def test_every_picture_and_its_class_is_read(shards, pattern, tmp_path):
    stream = load(shards / pattern, stream=True)
    assert (len(stream), stream.sample.class_names) == (21, ("0", "1", "2"))
    (batch,) = batches(stream, 21)
    assert batch.image[:, 0, 0, 0].tolist() == list(range(21))
    assert batch.label.tolist() == [number % 3 for number in range(21)]
    mapped = load(shards / pattern, split="all")
    for first, second in zip(batches(mapped, 5, seed=1), batches(stream, 5, seed=1), strict=True):
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.label, second.label)


def test_classes_may_be_names(tmp_path):
    pack(tmp_path / "a.tar", range(6), label=["dog", "cat", "ant"].__getitem__)
    stream = load(tmp_path / "a.tar", stream=True)
    assert stream.sample.class_names == ("ant", "cat", "dog")
    (batch,) = batches(stream, 6)
    assert batch.label.tolist() == [2, 1, 0, 2, 1, 0]


def test_a_missing_shard_is_named(shards):
    with pytest.raises(
        ValueError, match=r"1 missing: \['.*train-03.tar'\]. Did you mean '.*02.tar"
    ):
        load(shards / "train-{00..03}.tar", stream=True)
    with pytest.raises(ValueError, match=r"all missing: \['.*test-\*.tar'\]"):
        load(shards / "test-*.tar", stream=True)


@pytest.mark.parametrize("kept", [0.05, 0.5, "members"])
def test_a_cut_shard_is_named(shards, kept):
    path = shards / "train-01.tar"
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        ends = [member.offset for member in tar]
    path.write_bytes(whole[: ends[-2] if kept == "members" else int(kept * len(whole))])
    with pytest.raises(ValueError, match=r"train-01.tar' is not a complete tar file"):
        load(shards / "train-*.tar", stream=True)


def test_a_damaged_picture_and_one_without_a_class_are_named(shards):
    path = shards / "train-01.tar"
    with tarfile.open(path) as tar:
        offset = tar.getmember("pictures/009.png").offset_data
    stream = load(shards / "train-*.tar", stream=True)
    damaged = bytearray(path.read_bytes())
    damaged[offset : offset + 20] = bytes(20)
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"train-01\.tar:pictures/009\.png' is not a picture"):
        list(batches(stream, 4))
    pack(path, range(3), suffix="json")
    with pytest.raises(ValueError, match=re.escape("a member 'pictures/000.cls'")):
        load(path, stream=True)
