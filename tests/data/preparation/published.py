"""Data sets of a few random images, in the true formats of those that they are named after."""

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import scipy.io

from jaxcnn.data.preparation import CATALOG, File, Split

SIZES = {"train": 25, "test": 10, "extra": 5}


def gz(contents):
    return gzip.compress(contents, mtime=0)


def idx(array):
    """Returns a gzipped IDX file, as http://yann.lecun.com/exdb/mnist/ describes it."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gz(header + array.tobytes())


def tar(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, contents in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            archive.addfile(member, io.BytesIO(contents))
    return buffer.getvalue()


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)
    return buffer.getvalue()


def unzipped(contents):
    with zipfile.ZipFile(io.BytesIO(contents)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def cifar_records(images, *labels):
    """Returns rows of label bytes and the red, green and blue planes, each row by row."""
    return b"".join(
        bytes(row) + image[..., 0].tobytes() + image[..., 1].tobytes() + image[..., 2].tobytes()
        for image, *row in zip(images, *labels, strict=True)
    )


def random_split(rng, entry, count):
    images = rng.integers(0, 256, (count, *entry.image_shape), np.uint8)
    return images, rng.integers(0, min(entry.classes, 27), count).astype(np.uint8)


def mnist_files(splits):
    files = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = splits[split]
        files[f"{prefix}-images-idx3-ubyte.gz"] = idx(images[..., 0])
        files[f"{prefix}-labels-idx1-ubyte.gz"] = idx(labels)
    return files


def emnist_files(splits, config):
    members = {"gzip/": b"", "gzip/emnist-byclass-mapping.txt": b"0 48\n"}
    for split, (images, labels) in splits.items():
        # As in the published letters, there are more images than the builder takes.
        images, labels = np.concatenate([images, images[:3]]), np.concatenate([labels, labels[:3]])
        members[f"gzip/emnist-{config}-{split}-images-idx3-ubyte.gz"] = idx(images[..., 0])
        members[f"gzip/emnist-{config}-{split}-labels-idx1-ubyte.gz"] = idx(labels)
    return {"gzip.zip": zipped(members)}


CIFAR10_NAMES = [f"thing_{number}" for number in range(10)]


def cifar10_files(splits):
    images, labels = splits["train"]
    folder = "cifar-10-batches-bin"
    members = {
        f"{folder}/batches.meta.txt": ("\n".join(CIFAR10_NAMES) + "\n\n").encode(),
        f"{folder}/test_batch.bin": cifar_records(*splits["test"]),
    }
    for batch in (3, 1, 2, 5, 4):
        rows = slice(len(images) * (batch - 1) // 5, len(images) * batch // 5)
        members[f"{folder}/data_batch_{batch}.bin"] = cifar_records(images[rows], labels[rows])
    return {"cifar-10-binary.tar.gz": tar(members)}


def cifar100_files(splits):
    folder = "cifar-100-binary"
    members = {
        f"{folder}/{kind}_label_names.txt": "".join(f"{kind}_{n}\n" for n in range(count)).encode()
        for kind, count in (("coarse", 20), ("fine", 100))
    }
    for split, (images, labels) in splits.items():
        members[f"{folder}/{split}.bin"] = cifar_records(images, labels % 20, labels)
    return {"cifar-100-binary.tar.gz": tar(members)}


def svhn_files(splits):
    files = {}
    for split, (images, labels) in splits.items():
        buffer = io.BytesIO()
        ten_for_zero = np.where(labels == 0, 10, labels)[:, None]
        contents = {"X": np.moveaxis(images, 0, -1), "y": ten_for_zero}
        scipy.io.savemat(buffer, contents, do_compression=True)
        files[f"{split}_32x32.mat"] = buffer.getvalue()
    return files


FILES = {
    "mnist": mnist_files,
    "fashion_mnist": mnist_files,
    "kmnist": mnist_files,
    "emnist/letters": lambda splits: emnist_files(splits, "letters"),
    "emnist/digits": lambda splits: emnist_files(splits, "digits"),
    "cifar10": cifar10_files,
    "cifar100": cifar100_files,
    "svhn_cropped": svhn_files,
}


def publish(name):
    """Returns the catalog's entry for the small set, its files, and its images and labels."""
    entry = CATALOG[name]
    rng = np.random.default_rng(len(name))
    splits = {split: random_split(rng, entry, SIZES[split]) for split in entry.splits}
    contents = FILES[name](splits)
    return small_entry(name, contents), contents, splits


def small_entry(name, contents):
    """Returns the catalog's entry with the numbers of images and the files' facts replaced."""
    entry = CATALOG[name]
    return replace(
        entry,
        splits={split: Split(SIZES[split], entry.splits[split].read) for split in entry.splits},
        files=tuple(
            File(
                file.url,
                len(contents[file.name]),
                hashlib.sha256(contents[file.name]).hexdigest(),
            )
            for file in entry.files
        ),
    )
