"""The cache of decoded images: kept, found again, and replaced when the source changes."""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from jaxcnn.data import load
from jaxcnn.data.decoding import cache
from jaxcnn.data.decoding.record_decoding import Records


@pytest.fixture
def root(tmp_path):
    """A folder of ten pictures, each of one shade."""
    for number, name in enumerate(["cat", "dog"]):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for place in range(5):
            shade = 100 * number + place
            Image.new("L", (4, 3), shade).save(tmp_path / "pets" / name / f"{place}.png")
    return tmp_path / "pets"


@pytest.fixture
def decoded(monkeypatch):
    """Count the records that are read."""
    rows = []
    read = Records.read

    def counting(self, row):
        rows.append(row)
        return read(self, row)

    monkeypatch.setattr(Records, "read", counting)
    return rows


def shades(data):
    return sorted(data.images[:, 0, 0, 0].tolist())


def kept(root):
    """Return the folders of decoded sets beside a source."""
    folders = root.with_name(f".{root.name}.jaxcnn-cache").iterdir()
    return sorted(folder for folder in folders if folder.name != ".lock")


ALL = [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]


def test_nothing_is_decoded_twice(root, decoded):
    first = load(root, split="all")
    assert len(decoded) >= 10
    decoded.clear()
    second = load(root, split="all")
    assert decoded == []
    np.testing.assert_array_equal(second.images, first.images)
    np.testing.assert_array_equal(second.labels, first.labels)
    assert second.class_names == first.class_names == ("cat", "dog")
    assert shades(second) == ALL


def test_it_is_a_plain_array_beside_the_source(root):
    data = load(root, split="all")
    (folder,) = kept(root)
    assert sorted(path.name for path in folder.iterdir()) == [
        "images.npy", "info.json", "labels.npy",
    ]  # fmt: skip
    np.testing.assert_array_equal(np.load(folder / "images.npy"), data.images)
    np.testing.assert_array_equal(np.load(folder / "labels.npy"), data.labels)
    assert sorted(path.name for path in root.iterdir()) == ["cat", "dog"]
    assert not data.images.flags.writeable
    shutil.rmtree(folder)
    assert shades(data) == ALL  # whoever has it open keeps it
    assert shades(load(root, split="all")) == ALL


@pytest.mark.parametrize("count", [1, 9, 10, 11, 128, 129, 1000])
def test_any_number_of_images_fits_the_header(tmp_path, count):
    records = [
        {"image": np.full((2, 1, 1), row % 256, np.uint8), "label": 0} for row in range(count)
    ]
    for _ in range(2):
        data = load(records, cache_dir=tmp_path)
        assert data.images.ravel().tolist() == [row % 256 for row in range(count) for _ in "ab"]


def test_other_options_are_kept_beside(root, decoded):
    for _ in range(2):
        assert load(root, image_size=8).image_shape == (8, 8, 1)
        assert load(root, channels=3).image_shape == (3, 4, 3)
        assert load(root, split="test").image_shape == (3, 4, 1)
    assert len(kept(root)) == 3
    # With known channels the split alone; and the first of each once more.
    assert len(decoded) == (10 + 1) + (8 + 1) + (10 + 1)


def test_all_splits_are_kept_as_one(root, decoded):
    test, train = load(root, split="test"), load(root)
    assert len(decoded) == 10 + 1
    assert sorted(shades(train) + shades(test)) == ALL
    # They are gray by themselves, so that they serve where gray is asked for.
    assert shades(load(root, split="all", channels=1)) == ALL
    assert (len(decoded), len(kept(root))) == (10 + 1, 1)
    assert load(root, channels=3).image_shape == (3, 4, 3)


def test_a_change_of_the_files_is_seen(root):
    load(root), load(root, image_size=8)
    Image.new("L", (4, 3), 255).save(root / "cat" / "0.png")
    assert shades(load(root, split="all")) == [*ALL[1:], 255]
    (root / "dog" / "4.png").unlink()
    assert shades(load(root, split="all")) == [*ALL[1:-1], 255]
    # What was kept of the earlier contents is gone, in this form.
    assert len(kept(root)) == 2


def truncated(folder):
    path = folder / "images.npy"
    path.write_bytes(path.read_bytes()[:-1])


def flipped(folder):
    path = folder / "images.npy"
    data = bytearray(path.read_bytes())
    data[-5] ^= 255
    path.write_bytes(data)


def foreign(folder):
    for name in ("images.npy", "labels.npy"):
        np.save(folder / name, np.zeros((3, 2, 2, 1)))


def objects(folder):
    np.save(folder / "labels.npy", np.array([None] * 10), allow_pickle=True)
    status = (folder / "labels.npy").stat()
    description = json.loads((folder / "info.json").read_text())
    description["files"]["labels.npy"] = [status.st_size, status.st_mtime_ns]
    (folder / "info.json").write_text(json.dumps(description))


def no_file(folder):
    (folder / "images.npy").unlink()


def no_description(folder):
    (folder / "info.json").unlink()


def other_description(folder):
    (folder / "info.json").write_text("[]")


def damaged_description(folder):
    (folder / "info.json").write_text('{"splits": {')


def half_a_description(folder):
    description = json.loads((folder / "info.json").read_text())
    del description["class_names"]
    (folder / "info.json").write_text(json.dumps(description))


def a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("words")


@pytest.mark.parametrize(
    "damage",
    [truncated, flipped, foreign, objects, no_file, no_description, other_description,
     damaged_description, half_a_description, a_file],
)  # fmt: skip
def test_damage_is_seen_and_repaired(root, decoded, damage):
    load(root, split="all")
    (folder,) = kept(root)
    damage(folder)
    decoded.clear()
    assert shades(load(root, split="all")) == ALL
    assert len(decoded) >= 10
    decoded.clear()
    assert shades(load(root, split="all")) == ALL
    assert decoded == []
    assert kept(root) == [folder]


def test_a_place_that_cannot_be_written(root, tmp_path, monkeypatch, decoded):
    """A file blocks the folder, because tests may run as root, which ignores permissions."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root.with_name(".pets.jaxcnn-cache").write_text("in the way")
    with pytest.warns(
        UserWarning, match=r"\.pets.jaxcnn-cache.*are kept in .*/cache/jaxcnn/data/pets-"
    ):
        assert shades(load(root, split="all")) == ALL
    decoded.clear()
    assert shades(load(root, split="all")) == ALL
    assert decoded == []
    (tmp_path / "other").write_text("in the way")
    with pytest.raises(OSError, match=r"decoded images cannot be kept: .*with cache_dir=…"):
        load(root, cache_dir=tmp_path / "other")
    assert shades(load(root, split="all", cache_dir=tmp_path / "third")) == ALL
    assert [path.name[:5] for path in (tmp_path / "third").iterdir()] == ["pets-"]


def test_a_full_disk_is_named_and_leaves_nothing(root, tmp_path):
    """A limit on the size of files gives the error that a full disk gives."""
    for name in ("cat", "dog"):
        for path in (root / name).iterdir():
            Image.new("L", (400, 300)).save(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(OSError, match=r"cache_dir=…: .*\.pets\.jaxcnn-cache/.*images\.npy"):
            load(root)
        with pytest.raises(OSError, match=f"with cache_dir=…: '{tempfile.gettempdir()}'"):
            load([{"image": np.zeros((1000, 1000, 1), np.uint8), "label": 0}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert kept(root) == []
    assert len(load(root)) == 8


def test_an_error_while_decoding_leaves_nothing(root):
    (root / "cat" / "1.png").write_text("words")
    with pytest.raises(ValueError, match=r"cat/1\.png"):
        load(root)
    assert kept(root) == []


# Prints a line when it reaches a record in the middle, and sleeps there.
SLOW = """
import sys, time
from jaxcnn.data import load
from jaxcnn.data.decoding.record_decoding import Records
read = Records.read
def slow(self, row):
    if row == 5:
        print("there", flush=True)
        time.sleep(600)
    return read(self, row)
Records.read = slow
"""


@contextmanager
def decoding_process(call, **environment):
    """Yield a process that is stopped while it decodes."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW + call],
        stdout=subprocess.PIPE,
        env=os.environ | environment,
        text=True,
    )
    try:
        assert process.stdout.readline() == "there\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_partial_folders_of_a_killed_process_are_removed(root):
    load(root, image_size=2)
    (whole,) = kept(root)
    with decoding_process(f"load({str(root)!r})") as process:
        load(root, image_size=2)
        (partial,) = {*kept(root)} - {whole}  # nobody touches what is at work
        process.kill()
        process.wait()
        assert (partial / "images.npy").exists()
    load(root, image_size=2)
    assert kept(root) == [whole]
    partial.mkdir()
    assert shades(load(root, split="all")) == ALL
    assert kept(root) == sorted([whole, partial.with_suffix("")])


def test_a_killed_process_leaves_no_temporary_file(tmp_path):
    call = "load([{'image': __import__('numpy').zeros((9, 9, 1), 'u1'), 'label': 0}] * 9)"
    with decoding_process(call, TMPDIR=str(tmp_path)):
        pass
    assert not list(tmp_path.iterdir())


def test_the_set_of_a_faster_process_is_kept(root, monkeypatch, decoded):
    """A file changes before it is decoded, and another process decodes its new contents."""
    lock_first_writable = cache._lock_first_writable

    def overtaken(places):
        monkeypatch.setattr(cache, "_lock_first_writable", lock_first_writable)
        Image.new("L", (4, 3), 255).save(root / "cat" / "0.png")
        load(root)
        return lock_first_writable(places)

    monkeypatch.setattr(cache, "_lock_first_writable", overtaken)
    load(root)
    decoded.clear()
    assert shades(load(root, split="all")) == [*ALL[1:], 255]
    assert decoded == []
    (root / "cat" / "0.png").unlink()
    load(root)
    assert len(kept(root)) == 1


@pytest.mark.long
def test_several_processes_at_once(root):
    """Three processes start from nothing, then from a damaged set; each time one decodes."""
    code = (
        "import sys; from jaxcnn.data import load\n"
        "from jaxcnn.data.decoding.record_decoding import Records\n"
        "read, rows = Records.read, []\n"
        "Records.read = lambda self, row: rows.append(row) or read(self, row)\n"
        "print('ready', flush=True)\n"
        "for line in sys.stdin:\n"
        "    rows.clear()\n"
        f"    data = load({str(root)!r}, split='all', image_size=64)\n"
        "    print(sorted(data.images[:, 0, 0, 0].tolist()), len(rows), flush=True)\n"
        "    del data"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        process.stdout.readline()
    for start in ("nothing", "damaged"):
        if start == "damaged":
            truncated(kept(root)[0])
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        answers = sorted(process.stdout.readline().strip() for process in processes)
        assert answers == [f"{ALL} 0", f"{ALL} 0", f"{ALL} 11"], start
        assert len(kept(root)) == 1
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * 3


def test_memory_stays_bounded(tmp_path):
    """Two hundred million bytes of pixels are decoded and drawn in a small part of that.

    What is mapped from a file is not counted, as it is given back when memory is short.
    """
    code = (
        "import threading, time, numpy as np; from jaxcnn.data import load, batches\n"
        "class Noise:\n"
        "    def __len__(self): return 2000\n"
        "    def __getitem__(self, row):\n"
        "        return {'image': np.full((100, 1000, 1), row % 251, np.uint8), 'label': 0}\n"
        "def own():\n"
        "    status = open('/proc/self/status').read()\n"
        "    return int(status.split('RssAnon:')[1].split()[0]) * 1024\n"
        "peaks = [own()]\n"
        "def watch():\n"
        "    while True: peaks.append(own()); time.sleep(0.005)\n"
        "threading.Thread(target=watch, daemon=True).start()\n"
        f"data = load(Noise(), cache_dir={str(tmp_path)!r})\n"
        "seen = sum(int(batch.image[:, 0, 0, 0].sum()) for batch in batches(data, 50, seed=0))\n"
        "print(data.images.nbytes, seen, max(peaks) - peaks[0])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    size, seen, grown = map(int, result.stdout.split())
    assert (size, seen) == (200_000_000, sum(row % 251 for row in range(2000)))
    assert grown < 40_000_000 + 10_000_000 * len(os.sched_getaffinity(0))
