"""A prepared set equals the published one, also after interruptions and errors."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import published
import pytest
import tensorflow_datasets as tfds
from array_record.python import array_record_module
from PIL import Image

from jaxcnn.cli import data_description
from jaxcnn.cli.app import app
from jaxcnn.data import load
from jaxcnn.data.preparation import builders, downloading, install

SCRIPT = Path(__file__).with_name("without_tensorflow.py")


def process(*arguments):
    return subprocess.Popen(
        [sys.executable, SCRIPT, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(running):
    output, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    return output


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stored(data_dir, name, split):
    """Return the images and labels of a prepared split, each row as one hashable value."""
    records = tfds.data_source(name, split=split, data_dir=data_dir)
    return sorted((record["image"].tobytes(), int(record["label"])) for record in records)


def rows(images, labels):
    return sorted(
        (image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
    )


def assert_prepared(data_dir, name, splits):
    """Check that the set reads as it was published, and that no other file is left."""
    for split, (images, labels) in splits.items():
        assert stored(data_dir, name, split) == rows(images, labels)
    leftovers = [
        path.name
        for path in data_dir.rglob("*")
        if "incomplete" in path.name or path.suffix == ".part" or path.parent.name == ".jaxcnn"
    ]
    assert leftovers == [f"{name.split('/')[0]}.lock"]


def assert_not_prepared(data_dir, name):
    assert not builders.is_prepared(name, data_dir)
    with pytest.raises(ValueError, match="is not prepared"):
        load(name, data_dir=data_dir)


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs ``jaxcnn data …`` with the small set in the catalog; returns what it prints."""

    def run(*arguments):
        monkeypatch.setattr(data_description, "CATALOG", install.CATALOG)
        app(["data", *map(str, arguments)], standalone_mode=False)
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def read_back(tmp_path_factory):
    """Prepare every small set from files, and read all of them in a separate process."""
    folder = tmp_path_factory.mktemp("every_set")
    expected, whole = {}, install.CATALOG
    for name in published.FILES:
        entry, contents, expected[name] = published.publish(name)
        files = folder / "files" / name
        files.mkdir(parents=True)
        for file, data in contents.items():
            (files / file).write_bytes(data)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(install, "CATALOG", {name: entry})
            install.prepare(name, from_folder=files, data_dir=folder / "data", progress=False)
    assert install.CATALOG is whole
    finished(process("read", folder / "data", folder / "read.npz", *published.FILES))
    with np.load(folder / "read.npz") as archive:
        return expected, dict(archive)


def stored_order(split, count):
    """Return the order of TensorFlow Datasets: by the hash of split and key."""
    from tensorflow_datasets.core import shuffle

    shuffler = shuffle.Shuffler("unused", split)
    for key in range(count):
        shuffler.add(key, str(key).encode())
    return [int(data) for _, data in shuffler]


@pytest.mark.parametrize("name", published.FILES)
def test_stock_tfds_reads_what_was_published(read_back, name):
    """Images, labels and ids, in the order in which the stock builder would have them."""
    expected, received = read_back
    for split, (images, labels) in expected[name].items():
        order = stored_order(split, len(images))
        np.testing.assert_array_equal(received[f"{name} {split} image"], images[order])
        np.testing.assert_array_equal(received[f"{name} {split} label"], labels[order])
        if f"{name} {split} id" in received:
            digits = 6 if name == "svhn_cropped" else 5
            ids = [f"{split}_{row:0{digits}d}".encode() for row in order]
            assert received[f"{name} {split} id"].tolist() == ids
    assert (f"{name} train id" in received) == (name in ("cifar10", "cifar100", "svhn_cropped"))


def test_cifar_has_its_coarse_labels_and_names(read_back):
    expected, received = read_back
    labels = expected["cifar100"]["test"][1][stored_order("test", 10)]
    np.testing.assert_array_equal(received["cifar100 test coarse_label"], labels % 20)
    assert received["cifar100 coarse_label"].tolist() == [f"coarse_{n}" for n in range(20)]
    assert received["cifar100 label"].tolist() == [f"fine_{n}" for n in range(100)]
    assert received["cifar10 label"].tolist() == published.CIFAR10_NAMES
    assert received["fashion_mnist label"].tolist()[:2] == ["T-shirt/top", "Trouser"]


def test_several_files_hold_a_large_split(small, server, tmp_path, monkeypatch):
    monkeypatch.setattr(builders, "_SHARD_BYTES", 7 * 28 * 28)
    splits = small("mnist")
    folder = install.prepare("mnist", mirror=server.address, data_dir=tmp_path)
    assert len(list(folder.glob("mnist-train.array_record-*-of-00004"))) == 4
    assert_prepared(tmp_path, "mnist", splits)


def test_prepare_prints_its_progress(small, server, tmp_path, capsys):
    splits = small("mnist")
    folder = install.prepare("mnist", mirror=server.address + "/", data_dir=tmp_path)
    assert folder == tmp_path / "mnist" / "3.0.1"
    told, errors = capsys.readouterr()
    assert errors == ""
    sizes = {name: len(contents) for name, contents in server.contents.items()}
    assert told.splitlines() == [
        *(f"downloading {name} ({round(size / 1e3)} kB)" for name, size in sizes.items()),
        "writing train (25 images)",
        "writing test (10 images)",
        f"mnist is prepared in {folder}",
    ]
    assert install.prepare("mnist", mirror=server.address, data_dir=tmp_path) == folder
    assert capsys.readouterr().out == f"mnist is prepared already, in {folder}\n"
    assert len(server.asked) == 4
    assert_prepared(tmp_path, "mnist", splits)


def test_prepare_can_be_silent(small, server, tmp_path, capfd):
    small("mnist")
    install.prepare("mnist", mirror=server.address, data_dir=tmp_path, progress=False)
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_bars(small, server, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    splits = small("svhn_cropped")
    install.prepare("svhn_cropped", mirror=server.address, data_dir=tmp_path)
    drawn = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", capsys.readouterr().out).splitlines()
    for split, (images, _) in splits.items():
        work = [f"writing {split} ({len(images)} images)", f"downloading {split}_32x32.mat"]
        for text in work:
            assert any(text in line and "100%" in line for line in drawn), text
    assert_prepared(tmp_path, "svhn_cropped", splits)


def test_load_reads_what_was_prepared(small, server, tmp_path):
    images, labels = small("emnist/letters")["test"]
    install.prepare("emnist/letters", mirror=server.address, data_dir=tmp_path)
    data = load("emnist/letters", split="test", data_dir=tmp_path)
    assert rows(data.images, data.labels) == rows(images, labels)
    assert len(data.class_names) == 37


def test_sets_of_one_archive_download_it_once(server, tmp_path, monkeypatch):
    """Letters and digits are in one zip; files that exist already are used."""
    parts = {name: published.publish(name) for name in ("emnist/letters", "emnist/digits")}
    members = {}
    for _, contents, _ in parts.values():
        members |= published.unzipped(contents["gzip.zip"])
    server.contents["gzip.zip"] = published.zipped(members)
    entries = {name: published.small_entry(name, server.contents) for name in parts}
    monkeypatch.setattr(install, "CATALOG", entries)
    for name, (_, _, splits) in parts.items():
        install.prepare(name, mirror=server.address, data_dir=tmp_path)
        assert_prepared(tmp_path, name, splits)
    assert server.asked == [("gzip.zip", 0)]


def test_files_come_from_their_own_address(server, tmp_path, monkeypatch):
    entry, contents, splits = published.publish("mnist")
    files = tuple(replace(file, url=f"{server.address}/{file.name}") for file in entry.files)
    monkeypatch.setattr(install, "CATALOG", {"mnist": replace(entry, files=files)})
    server.contents |= contents
    install.prepare("mnist", data_dir=tmp_path)
    assert_prepared(tmp_path, "mnist", splits)


def kill(running):
    running.send_signal(signal.SIGKILL)
    running.communicate()


@pytest.mark.long
def test_a_run_that_was_killed_while_writing_is_repeated(small, server, tmp_path):
    splits, data_dir, mark = small("mnist"), tmp_path / "data", tmp_path / "mark"
    running = process("prepare", "mnist", server.address, data_dir, mark, "stop")
    wait_for(mark)
    kill(running)
    assert list((data_dir / ".jaxcnn" / "mnist").rglob("*incomplete*"))
    assert_not_prepared(data_dir, "mnist")
    server.asked.clear()
    install.prepare("mnist", mirror=server.address, data_dir=data_dir)
    assert server.asked == []
    assert_prepared(data_dir, "mnist", splits)


def test_a_run_that_was_killed_while_downloading_is_continued(small, server, tmp_path):
    splits, data_dir = small("cifar10"), tmp_path / "data"
    (file,) = install.CATALOG["cifar10"].files
    server.faults[file.name] = [{"cut": 40_000, "stall": True}]
    part = data_dir / "downloads" / "jaxcnn" / "cifar10" / f"{file.name}.part"
    running = process("prepare", "cifar10", server.address, data_dir, tmp_path / "mark")
    wait_for(part)
    kill(running)
    arrived = part.stat().st_size
    assert_not_prepared(data_dir, "cifar10")
    server.asked.clear()
    install.prepare("cifar10", mirror=server.address, data_dir=data_dir)
    assert server.asked == [(file.name, arrived)]
    assert_prepared(data_dir, "cifar10", splits)


def test_a_set_that_lost_its_description_is_moved_aside(small, server, tmp_path, capsys):
    splits, data_dir = small("mnist"), tmp_path / "data"
    for number in (1, 2):
        target = install.prepare("mnist", mirror=server.address, data_dir=data_dir)
        (target / "dataset_info.json").unlink()
        install.prepare("mnist", mirror=server.address, data_dir=data_dir)
        told = capsys.readouterr().out
        assert f"the incomplete data set in {target} was moved to {target}.old-{number}\n" in told
        assert_prepared(data_dir, "mnist", splits)


@pytest.mark.long
def test_of_two_processes_one_works_and_one_waits(small, server, tmp_path):
    splits, data_dir, mark = small("mnist"), tmp_path / "data", tmp_path / "mark"
    first = process("prepare", "mnist", server.address, data_dir, mark, "stop")
    wait_for(mark)
    second = process("prepare", "mnist", server.address, data_dir, mark)
    assert second.stdout.readline() == "waiting for another process that prepares mnist\n"
    kill(first)
    assert "mnist is prepared in" in finished(second)
    assert_prepared(data_dir, "mnist", splits)


@pytest.mark.long
def test_two_processes_at_once_both_end_well(small, server, tmp_path):
    splits, data_dir = small("kmnist"), tmp_path / "data"
    both = [process("prepare", "kmnist", server.address, data_dir, "unused") for _ in range(2)]
    told = [finished(running) for running in both]
    assert all("prepared" in text for text in told)
    assert sum("writing train" in text for text in told) == 1
    assert len(server.asked) == 4
    assert_prepared(data_dir, "kmnist", splits)


class FullDisk:
    """As ArrayRecord's writer fails when a disk is full."""

    def __init__(self, path, options):
        Path(path).write_bytes(b"begun")

    def write(self, record):
        pass

    def close(self):
        raise RuntimeError("write() failed: No space left on device; at byte 614400")


def full_writer(monkeypatch):
    monkeypatch.setattr(array_record_module, "ArrayRecordWriter", FullDisk)


def full_download(monkeypatch):
    def no_space(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(downloading, "_fetch", no_space)


@pytest.mark.parametrize("fill", [full_writer, full_download])
def test_a_full_disk_is_named_and_leaves_nothing_that_reads(small, server, tmp_path, fill):
    splits = small("mnist")
    with pytest.MonkeyPatch.context() as patch:
        fill(patch)
        with pytest.raises(OSError, match="the disk is full; mnist is not prepared") as caught:
            install.prepare("mnist", mirror=server.address, data_dir=tmp_path)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path))
    assert_not_prepared(tmp_path, "mnist")
    install.prepare("mnist", mirror=server.address, data_dir=tmp_path)
    assert_prepared(tmp_path, "mnist", splits)


def test_other_errors_of_the_writer_are_not_changed(small, server, tmp_path, monkeypatch):
    small("mnist")
    monkeypatch.setattr(FullDisk, "close", lambda self: [][1])
    full_writer(monkeypatch)
    with pytest.raises(IndexError):
        install.prepare("mnist", mirror=server.address, data_dir=tmp_path)


def damaged(contents):
    return bytes([contents[0] ^ 1]) + contents[1:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda contents: None, r"lacks t10k-images-idx3-ubyte.gz \(https://storage.googleapis"),
        (lambda contents: b"", r"t10k-images-idx3-ubyte.gz' must have [\d,]+ bytes. Received: 0"),
        (lambda contents: contents[:-9], "t10k-images-idx3-ubyte.gz' must have .* bytes."),
        (damaged, "t10k-images-idx3-ubyte.gz' must have the SHA-256 checksum"),
    ],
)
def test_files_of_a_folder_are_checked(small, server, tmp_path, change, message):
    small("mnist")
    folder = tmp_path / "Büro 数据"
    folder.mkdir()
    for name, contents in server.contents.items():
        kept = change(contents) if name.startswith("t10k-images") else contents
        if kept is not None:
            (folder / name).write_bytes(kept)
    with pytest.raises(ValueError, match=message):
        install.prepare("mnist", from_folder=folder, data_dir=tmp_path / "data")
    assert_not_prepared(tmp_path / "data", "mnist")
    assert server.asked == []


def test_a_folder_with_any_name_will_do(small, server, tmp_path):
    splits, folder = small("mnist"), tmp_path / "Büro 数据"
    folder.mkdir()
    for name, contents in server.contents.items():
        (folder / name).write_bytes(contents)
    install.prepare("mnist", from_folder=str(folder), data_dir=folder / "data")
    assert_prepared(folder / "data", "mnist", splits)
    assert server.asked == []


def test_the_error_of_an_unreachable_host_gives_the_fix(small, server, tmp_path):
    small("mnist")
    server.contents.clear()
    with pytest.raises(
        ConnectionError, match=r"answers 404.*jaxcnn data prepare mnist --from FOLDER"
    ):
        install.prepare("mnist", mirror=server.address, data_dir=tmp_path)
    assert_not_prepared(tmp_path, "mnist")


def test_a_set_with_other_images_is_refused(small, server, tmp_path, monkeypatch):
    """The checksums are right, but the files do not hold what the catalog says."""
    images = np.zeros((25, 27, 28, 1), np.uint8), np.zeros(25, np.uint8)
    contents = published.mnist_files({"train": images, "test": images})
    entry = published.small_entry("mnist", contents)
    monkeypatch.setattr(install, "CATALOG", {"mnist": entry})
    server.contents |= contents
    with pytest.raises(ValueError, match=r"'train' must have 25 images of \(28, 28, 1\)"):
        install.prepare("mnist", mirror=server.address, data_dir=tmp_path)
    assert_not_prepared(tmp_path, "mnist")


def test_a_set_that_needs_tensorflow_to_be_read_is_named(small, server, tmp_path, command):
    small("mnist")
    folder = install.prepare("mnist", mirror=server.address, data_dir=tmp_path)
    described = (folder / "dataset_info.json").read_text()
    (folder / "dataset_info.json").write_text(described.replace("array_record", "tfrecord"))
    for read in (install.prepare, load):
        with pytest.raises(ValueError, match="as tfrecord, which needs TensorFlow to be read"):
            read("mnist", data_dir=tmp_path)
    assert command("list", "--data-dir", tmp_path).endswith("needs TensorFlow\n")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mnits", {}, "there is no data set 'mnits'. Did you mean 'mnist'?"),
        ("mnist", {"from_folder": "nowhere"}, "there is no folder 'nowhere'"),
        ("mnist", {"mirror": "ftp://here"}, "mirror must start with http:// or https://"),
        (
            "mnist",
            {"mirror": "http://here", "from_folder": "."},
            "from_folder and mirror cannot be given together",
        ),
    ],
)
def test_wrong_arguments(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        install.prepare(name, data_dir=tmp_path, **options)


def test_the_command_prepares_lists_and_describes(small, server, tmp_path, command):
    splits, data_dir, picture = small("cifar10"), tmp_path / "data", tmp_path / "examples.png"
    place = ("--data-dir", data_dir)
    assert command("list", *place).splitlines() == [
        "name             images  classes    download  prepared",
        "digits            1,797       10              comes with jaxcnn",
        "cifar10              35       10      0.1 MB  no",
    ]
    assert f"no: run jaxcnn data prepare cifar10 --data-dir {data_dir}" in command(
        "info", "cifar10", *place
    )
    command("prepare", "cifar10", "--mirror", server.address, *place)
    assert_prepared(data_dir, "cifar10", splits)
    assert command("list", *place).endswith("0.1 MB  yes\n")
    told = command("info", "cifar10", *place, "--plot", picture).splitlines()
    assert told == [
        "cifar10: photographs of animals and vehicles",
        "train     25 images of 32×32×3",
        "test      10 images of 32×32×3",
        f"classes   10: {', '.join(published.CIFAR10_NAMES)}",
        "download  0.1 MB",
        "          https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "source    https://www.cs.toronto.edu/~kriz/cifar.html",
        "license   none stated; cite Krizhevsky, 2009",
        f"prepared  {data_dir / 'cifar10' / '3.0.2'}",
        f"examples  {picture}",
    ]
    with Image.open(picture) as drawn:
        assert drawn.size[0] == 1200


def test_the_command_takes_files_from_a_folder(small, server, tmp_path, command):
    splits = small("mnist")
    for name, contents in server.contents.items():
        (tmp_path / name).write_bytes(contents)
    data_dir = tmp_path / "data"
    command("prepare", "mnist", "--from", tmp_path, "--data-dir", data_dir)
    assert_prepared(data_dir, "mnist", splits)
    assert server.asked == []
