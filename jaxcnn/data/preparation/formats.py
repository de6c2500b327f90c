"""Readers of the file formats of public data sets; none unpickles.

Archives are not unpacked: their members are read by name, into memory.
"""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

_CIFAR_SHAPE = (3, 32, 32)


class Contents(NamedTuple):
    """The images and labels of a split, in the order of the file.

    Attributes:
      images: ``(N, H, W, C)`` uint8.
      labels: ``(N,)`` class numbers of each kind of label; the main one is ``"label"``.
    """

    images: np.ndarray
    labels: dict[str, np.ndarray]


def read_idx(
    folder: Path, count: int, *, images: str, labels: str, archive: str | None = None
) -> Contents:
    """Read the first images of a pair of gzipped IDX files (LeCun, Cortes and Burges, 1998).

    Args:
      folder: Folder of the files.
      count: Number of images to read.
      images: Name of the file of images, or of the member of ``archive``.
      labels: Name of the file or member of labels.
      archive: Name of the zip archive that holds both.

    Raises:
      ValueError: A file is damaged, has another format, or has fewer images.
    """
    if archive is None:
        packed = {name: (folder / name).read_bytes() for name in (images, labels)}
    else:
        packed = _zip_members(folder / archive, (images, labels))
    pixels = _read_idx_array(images, packed[images], count, axes=3)
    numbers = _read_idx_array(labels, packed[labels], count, axes=1)
    return Contents(pixels[..., None], {"label": numbers})


def _read_idx_array(name: str, packed: bytes, count: int, *, axes: int) -> np.ndarray:
    with _damaged_as_value_error(name), gzip.open(io.BytesIO(packed)) as file:
        # 0, 0, 8 for unsigned bytes, the number of axes; then the size of each.
        kind, *sizes = struct.unpack(f">{axes + 1}I", file.read(4 * (axes + 1)))
        if kind != 0x0800 + axes or sizes[0] < count:
            raise ValueError(f"it must hold {count:,} arrays. Received: type {kind:#x}, {sizes}")
        shape = (count, *sizes[1:])
        return np.frombuffer(file.read(int(np.prod(shape))), np.uint8).reshape(shape)


def read_cifar(
    folder: Path, count: int, *, archive: str, members: Sequence[str], labels: Sequence[str]
) -> Contents:
    """Read CIFAR's binary version: label bytes, then the red, green and blue planes of an image.

    Args:
      folder: Folder of the archive.
      count: The expected number of images.
      archive: Name of the ``.tar.gz`` archive.
      members: The members to read, in order.
      labels: Name of each label byte of a record.

    Raises:
      ValueError: The archive is damaged, lacks a member, or has another number of images.
    """
    packed = _tar_members(folder / archive, members)
    contents = b"".join(packed[name] for name in members)
    width = len(labels) + int(np.prod(_CIFAR_SHAPE))
    if len(contents) != count * width:
        raise ValueError(
            f"{archive!r} must hold {count:,} records of {width:,} bytes in {list(members)}. "
            f"Received: {len(contents):,} bytes"
        )
    records = np.frombuffer(contents, np.uint8).reshape(count, width)
    planes = records[:, len(labels) :].reshape(count, *_CIFAR_SHAPE)
    return Contents(
        np.moveaxis(planes, 1, -1), {name: records[:, place] for place, name in enumerate(labels)}
    )


def read_cifar_names(
    folder: Path, *, archive: str, members: Mapping[str, str]
) -> dict[str, list[str]]:
    """Read the names of CIFAR's classes, one per line.

    Args:
      folder: Folder of the archive.
      archive: Name of the ``.tar.gz`` archive.
      members: The member with the names of each kind of label.

    Raises:
      ValueError: The archive is damaged or lacks a member.
    """
    packed = _tar_members(folder / archive, members.values())
    return {label: packed[name].decode().split() for label, name in members.items()}


def read_svhn(folder: Path, count: int, *, file: str) -> Contents:
    """Read the cropped Street View House Numbers: ``X`` and ``y`` of a MATLAB file.

    Class 10 of the file, the digit zero, becomes class 0.

    Args:
      folder: Folder of the file.
      count: The expected number of images.
      file: Name of the ``.mat`` file.

    Raises:
      ValueError: The file is damaged, or has another number of images or labels.
    """
    from scipy import io as scipy_io
    from scipy.io import matlab

    try:
        arrays = scipy_io.loadmat(folder / file, variable_names=["X", "y"])
        images, numbers = np.moveaxis(arrays["X"], -1, 0), arrays["y"].reshape(-1)
    except (
        matlab.MatReadError,
        KeyError,
        NotImplementedError,  # SciPy's, of a file of MATLAB 7.3 (HDF5)
        OSError,
        TypeError,
        ValueError,
        zlib.error,
    ) as error:
        raise ValueError(f"{file!r} is not a readable MATLAB file: {error}") from error
    if images.dtype != np.uint8 or images.shape != (count, 32, 32, 3) or len(numbers) != count:
        raise ValueError(
            f"{file!r} must hold {count:,} images of 32×32 and their labels. "
            f"Received: {images.dtype} {images.shape}, {numbers.shape}"
        )
    return Contents(images, {"label": numbers % 10})


def _zip_members(path: Path, names: Iterable[str]) -> dict[str, bytes]:
    with _damaged_as_value_error(path.name), zipfile.ZipFile(path) as archive:
        _check_inside(archive.namelist())
        return {name: archive.read(name) for name in names}


def _tar_members(path: Path, names: Iterable[str]) -> dict[str, bytes]:
    wanted, found = set(names), {}
    with _damaged_as_value_error(path.name), tarfile.open(path, "r:gz") as archive:
        # In the order of the archive: seeking back would decompress it again.
        for member in archive:
            _check_inside([member.name])
            if member.name in wanted:
                file = archive.extractfile(member) if member.isreg() else None
                if file is None:
                    raise ValueError(f"its member {member.name!r} is not a file")
                found[member.name] = file.read()
        if missing := sorted(wanted - found.keys()):
            raise KeyError(f"it has no member {', '.join(missing)}")
    return found


def _check_inside(names: Iterable[str]) -> None:
    """Check that no member of an archive would be unpacked outside of its folder."""
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"its member {name!r} leaves the folder of the archive")


@contextmanager
def _damaged_as_value_error(name: str) -> Iterator[None]:
    """Convert the errors of a damaged file to a ``ValueError`` with the file's name."""
    try:
        yield
    except (
        EOFError,
        KeyError,
        ValueError,
        gzip.BadGzipFile,
        struct.error,
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        reason = error.args[0] if isinstance(error, KeyError) else error
        raise ValueError(f"{name!r} cannot be read: {reason}") from error
