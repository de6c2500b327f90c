"""Folders of pictures written as ArrayRecord shards, and read as the folders themselves."""

import json
import re

import numpy as np
import pytest
from array_record.python.array_record_data_source import ArrayRecordDataSource
from PIL import Image

from jaxcnn.data import batches, load, write_shards


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pictures"
    for number in range(24):
        path = root / ("train" if number % 4 else "test") / f"klasse_{'äbc'[number % 3]}"
        path.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 5), number).save(path / f"{number:02}.png")
    return root


@pytest.fixture
def shards(folder, tmp_path):
    return write_shards(folder, tmp_path / "shards", shards=3, progress=False)


@pytest.mark.parametrize("stream", [False, True])
def test_shards_are_the_folder(folder, shards, stream):
    for split in ("train", "test"):
        first, second = (load(each, split=split, stream=stream) for each in (folder, shards))
        assert first.sample.class_names == second.sample.class_names
        of_both = zip(batches(first, 5, seed=1), batches(second, 5, seed=1), strict=True)
        for one, other in of_both:
            assert np.array_equal(one.image, other.image)
            assert np.array_equal(one.label, other.label)
            assert np.array_equal(one.mask, other.mask)


def test_a_record_is_a_name_and_the_bytes_of_the_file(folder, shards):
    """Read by the package of the format, without this library."""
    files = sorted(map(str, shards.glob("train-*.array_record")))
    assert len(files) == 3
    records = ArrayRecordDataSource(files)
    assert len(records) == 18
    for number in range(len(records)):
        name, _, picture = records[number].partition(b"\n")
        assert (folder / json.loads(name)).read_bytes() == picture


def test_a_missing_a_cut_and_another_shard_are_named(shards):
    first = shards / "train-00000-of-00003.array_record"
    whole = first.read_bytes()
    first.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=rf"{first.name} has {len(whole) - 1:,} bytes of"):
        load(shards)
    first.unlink()
    with pytest.raises(ValueError, match=rf"damaged: {first.name} is missing"):
        load(shards)
    (shards / "shards.json").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match="its format is 'other'"):
        load(shards)


def test_a_corrupt_picture_is_named(folder, tmp_path):
    bad = next((folder / "train").rglob("*.png"))
    bad.write_bytes(bad.read_bytes()[:40])
    shards = write_shards(folder, tmp_path / "shards", shards=1, progress=False)
    with pytest.raises(ValueError, match=re.escape(str(bad.relative_to(folder)))):
        load(shards)


def test_nothing_is_half_written(folder, tmp_path):
    for number in (0, 7):
        with pytest.raises(ValueError, match="shards must be"):
            write_shards(folder, tmp_path / "out", shards=number)
    with pytest.raises(ValueError, match="only a folder of pictures"):
        write_shards("digits", tmp_path / "out", shards=1)
    with pytest.raises(FileExistsError, match="exists"):
        write_shards(folder, tmp_path, shards=1)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]
