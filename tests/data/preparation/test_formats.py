"""Every file format gives the arrays that were written; a damaged file is named."""

import gzip
import io
import struct
import tarfile
from functools import partial

import numpy as np
import published
import pytest

from jaxcnn.data.preparation import formats

IMAGES = np.arange(6 * 28 * 28, dtype=np.uint8).reshape(6, 28, 28)
LABELS = np.arange(6, dtype=np.uint8)
PHOTOS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)


def test_idx_has_the_published_format(tmp_path):
    # Written by hand: magic 2051 and 2049, sizes in four bytes, most significant first.
    pixels = struct.pack(">IIII", 2051, 2, 2, 3) + bytes(range(12))
    (tmp_path / "images").write_bytes(gzip.compress(pixels))
    (tmp_path / "labels").write_bytes(gzip.compress(struct.pack(">II", 2049, 2) + b"\x07\x01"))
    images, labels = formats.read_idx(tmp_path, 2, images="images", labels="labels")
    assert images[..., 0].tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    assert labels["label"].tolist() == [7, 1]


@pytest.mark.parametrize("archive", [None, "both.zip"])
def test_idx_gives_the_first_images(tmp_path, archive):
    files = {"images.gz": published.idx(IMAGES), "labels.gz": published.idx(LABELS)}
    if archive:
        files = {archive: published.zipped(files)}
    for name, contents in files.items():
        (tmp_path / name).write_bytes(contents)
    read = partial(
        formats.read_idx, tmp_path, images="images.gz", labels="labels.gz", archive=archive
    )
    np.testing.assert_array_equal(read(6).images[..., 0], IMAGES)
    np.testing.assert_array_equal(read(4).labels["label"], LABELS[:4])


def truncated(contents):
    return contents[: len(contents) // 2]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (b"", "'images.gz' cannot be read: unpack requires"),
        (b"not gzip", "'images.gz' cannot be read: Not a gzipped file"),
        (truncated(published.idx(IMAGES)), "'images.gz' cannot be read: Compressed file ended"),
        (gzip.compress(b"short"), "'images.gz' cannot be read: unpack requires"),
        (
            published.gz(gzip.decompress(published.idx(IMAGES))[:-1]),
            "'images.gz' cannot be read: cannot reshape",
        ),
        (published.idx(np.zeros(20, np.uint8)), "hold 6 arrays. Received: type 0x801"),
        (published.idx(IMAGES[:5]), r"it must hold 6 arrays. Received: type 0x803, \[5, 28, 28\]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_idx_is_named(tmp_path, images, message):
    (tmp_path / "images.gz").write_bytes(images)
    (tmp_path / "labels.gz").write_bytes(published.idx(LABELS))
    with pytest.raises(ValueError, match=message):
        formats.read_idx(tmp_path, 6, images="images.gz", labels="labels.gz")


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (b"", "'both.zip' cannot be read: File is not a zip file"),
        (truncated(published.zipped({"images.gz": b"1"})), "'both.zip' cannot be read: File is"),
        (published.zipped({"images.gz": b"1"}), "'both.zip' cannot be read: There is no item"),
        (
            published.zipped({"images.gz": b"1", "../labels.gz": b"2"}),
            r"'both.zip' cannot be read: its member '\.\./labels.gz' leaves the folder",
        ),
        (published.zipped({"/etc/passwd": b"2"}), "its member '/etc/passwd' leaves the folder"),
        (published.zipped({"a/..\\..\\b": b"2"}), "leaves the folder of the archive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_zip_is_named(tmp_path, archive, message):
    (tmp_path / "both.zip").write_bytes(archive)
    with pytest.raises(ValueError, match=message):
        formats.read_idx(tmp_path, 1, images="images.gz", labels="labels.gz", archive="both.zip")


def read_cifar(folder, contents, count=4):
    (folder / "c.tar.gz").write_bytes(contents)
    return formats.read_cifar(
        folder,
        count,
        archive="c.tar.gz",
        members=["c/one.bin", "c/two.bin"],
        labels=["coarse_label", "label"],
    )


def batches(**replaced):
    labels = np.arange(4, dtype=np.uint8)
    members = {
        "c/two.bin": published.cifar_records(PHOTOS[3:], labels[3:] // 2, labels[3:]),
        "c/one.bin": published.cifar_records(PHOTOS[:3], labels[:3] // 2, labels[:3]),
    }
    return published.tar(members | replaced)


def test_cifar_gives_the_records_of_its_members_in_order(tmp_path):
    images, labels = read_cifar(tmp_path, batches())
    np.testing.assert_array_equal(images, PHOTOS)
    assert labels["coarse_label"].tolist() == [0, 0, 1, 1]
    assert labels["label"].tolist() == [0, 1, 2, 3]


def link_in_place_of_a_member():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo("c/one.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "'c.tar.gz' cannot be read: empty file"),
        (b"not an archive", "'c.tar.gz' cannot be read: not a gzip file"),
        (truncated(batches()), "'c.tar.gz' cannot be read: "),
        (published.tar({"c/one.bin": b""}), "'c.tar.gz' cannot be read: it has no member c/two.b"),
        (batches(**{"c/two.bin": b"1"}), r"must hold 4 records of 3,074 bytes in \['c/one.bin'"),
        (batches(**{"../three": b""}), r"its member '\.\./three' leaves the folder of the archive"),
        (batches(**{"/three": b""}), "its member '/three' leaves the folder of the archive"),
        (link_in_place_of_a_member(), "its member 'c/one.bin' is not a file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_tar_is_named(tmp_path, contents, message):
    with pytest.raises(ValueError, match=message):
        read_cifar(tmp_path, contents)


def test_nothing_is_unpacked(tmp_path):
    read_cifar(tmp_path, batches())
    assert [path.name for path in tmp_path.iterdir()] == ["c.tar.gz"]


def svhn(images=PHOTOS, labels=(1, 2, 0, 9)):
    (contents,) = published.svhn_files({"train": (images, np.array(labels))}).values()
    return contents


def test_svhn_gives_images_and_digits(tmp_path):
    (tmp_path / "s.mat").write_bytes(svhn())
    images, labels = formats.read_svhn(tmp_path, 4, file="s.mat")
    np.testing.assert_array_equal(images, PHOTOS)
    assert labels["label"].tolist() == [1, 2, 0, 9]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "'s.mat' is not a readable MATLAB file: "),
        (b"x" * 1000, "'s.mat' is not a readable MATLAB file: "),
        (truncated(svhn()), "'s.mat' is not a readable MATLAB file: "),
        (svhn()[:300] + b"xxxx" + svhn()[304:], "'s.mat' is not a readable MATLAB file: "),
        (svhn(PHOTOS[:3]), r"'s.mat' must hold 4 images .* Received: uint8 \(3, 32, 32, 3\)"),
        (svhn(PHOTOS / 255), r"'s.mat' must hold 4 images .* Received: float64"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_svhn_is_named(tmp_path, contents, message):
    (tmp_path / "s.mat").write_bytes(contents)
    with pytest.raises(ValueError, match=message):
        formats.read_svhn(tmp_path, 4, file="s.mat")


@pytest.mark.parametrize("read", ["idx", "tar", "svhn"])
def test_a_flipped_byte_is_an_error_or_harmless(tmp_path, read):
    """No damage causes another exception."""
    whole = {"idx": published.idx(IMAGES), "tar": batches(), "svhn": svhn()}[read]
    random, refused = np.random.default_rng(0), []
    for _ in range(100):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[random.integers(len(whole), size=2)] ^= random.integers(1, 256, 2).astype(np.uint8)
        (tmp_path / "file").write_bytes(damaged.tobytes())
        try:
            if read == "idx":
                (tmp_path / "labels").write_bytes(published.idx(LABELS))
                formats.read_idx(tmp_path, 6, images="file", labels="labels")
            elif read == "tar":
                read_cifar(tmp_path, damaged.tobytes())
            else:
                formats.read_svhn(tmp_path, 4, file="file")
        except ValueError as error:
            refused.append(str(error))
    assert refused
    assert all("'file'" in message or "'c.tar.gz'" in message for message in refused)
