"""Checkpoints: what is written is read back, and what was damaged since is not."""

import os
import random
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.training import checkpoints as checkpoint_file
from jaxcnn.training.checkpoints import Checkpoint, Checkpoints, verify


def state(value=0.0):
    """Return arrays of many kinds, some of them in tuples, as Optax has them."""
    return {
        "params": {
            "kernel": jnp.full((3, 3, 1, 4), float(value)),
            "half": jnp.ones(2, jnp.bfloat16),
        },
        "optimizer": (jnp.arange(3), (), None, {"count": jnp.zeros((), jnp.int32)}),
        "key": jax.random.key(7),
        "keys": jax.random.split(jax.random.key(1, impl="rbg"), 2),
        "empty": jnp.zeros((0, 3)),
        "flag": jnp.array(True),
    }


def assert_same(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.fixture
def checkpoints(tmp_path):
    opened = Checkpoints(tmp_path)
    yield opened
    opened.close()


def write(checkpoints, *steps, best=()):
    for step in steps:
        checkpoints.offer(Checkpoint(step, state(step), {"step": step}), best=list(best), now=True)
    checkpoints.wait()


def test_what_was_written_is_read_back(checkpoints):
    assert checkpoints.newest(state()) is None
    progress = {"losses": [0.1, float("inf"), 1e-300], "name": "ä", "nothing": None}
    checkpoints.offer(Checkpoint(5, state(2.5), progress), best=[], now=True)
    checkpoints.wait()
    step, restored, told = checkpoints.newest(state())
    assert (step, told) == (5, progress)
    assert_same(restored, state(2.5))


def test_windows_opens_no_folders_and_flushes_what_may_be_written(checkpoints, monkeypatch):
    def open_as_windows(path, flags):
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        assert flags & os.O_RDWR  # or fsync fails
        return open_as_here(path, flags)

    open_as_here = os.open
    windows = SimpleNamespace(**vars(os) | {"name": "nt", "open": open_as_windows})
    monkeypatch.setattr(checkpoint_file, "os", windows)
    write(checkpoints, 5)
    assert checkpoints.steps() == [5]


def test_what_is_written_is_the_state_of_the_moment(checkpoints):
    """The next step overwrites the arrays of the one before."""
    overwrite = jax.jit(lambda state: jax.tree.map(lambda x: x + 1, state), donate_argnums=0)
    arrays = {"a": jnp.zeros(100_000)}
    checkpoints.offer(Checkpoint(1, arrays, {}), best=[], now=True)
    for _ in range(50):
        arrays = overwrite(arrays)
    jax.block_until_ready(arrays)
    checkpoints.wait()
    np.testing.assert_array_equal(checkpoints.newest(arrays).state["a"], 0)


def test_restored_arrays_can_be_overwritten(checkpoints):
    write(checkpoints, 1)
    restored = checkpoints.newest(state()).state["params"]["kernel"]
    doubled = jax.jit(lambda x: 2 * x, donate_argnums=0)(restored)
    np.testing.assert_array_equal(doubled, 2)
    assert restored.is_deleted()


def test_the_newest_two_and_the_best_are_kept(checkpoints):
    write(checkpoints, 1, 2, best=[1])
    assert checkpoints.steps() == [2, 1]
    write(checkpoints, 3, 4, best=[1])
    assert checkpoints.steps() == [4, 3, 1]
    write(checkpoints, 5, best=[3])
    assert checkpoints.steps() == [5, 4, 3]
    assert checkpoints.read(3, state()).progress == {"step": 3}


def test_what_is_not_written_at_once_is_written_with_the_next_if_it_is_among_the_best(
    checkpoints, monkeypatch
):
    monkeypatch.setattr("jaxcnn.training.checkpoints._SHARE_OF_TIME", 1e-9)
    write(checkpoints, 1)
    for step, best in ((2, [2]), (3, [2, 3]), (4, [3, 2])):
        checkpoints.offer(Checkpoint(step, state(step), {}), best=best)
        assert checkpoints.steps() == [1]
    write(checkpoints, 5, best=[3])
    assert checkpoints.steps() == [5, 3]
    assert_same(checkpoints.read(3, state()).state, state(3))


def test_at_most_a_share_of_the_time_goes_into_writing(checkpoints, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    written = []

    def write_one(self, checkpoint):
        written.append(clock[0])
        clock[0] += 0.1

    monkeypatch.setattr(Checkpoints, "_write_one", write_one)
    for step in range(100):
        clock[0] += 1.0
        checkpoints.offer(Checkpoint(step, {"a": jnp.zeros(())}, {}), best=[])
        checkpoints.wait()
    assert np.diff(written).min() >= 5
    assert len(written) > 15


def test_what_interrupted_writing_left_is_removed(tmp_path, checkpoints):
    write(checkpoints, 1)
    shutil.copytree(tmp_path / "1", tmp_path / "2.partial")
    again = Checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    again.close()


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def damages(path, *, every_byte):
    """Yield what can happen to a file, as functions of it."""
    data = path.read_bytes()
    yield "deleted", path.unlink
    yield "truncated", lambda: path.write_bytes(data[: len(data) // 2])
    yield "emptied", lambda: path.write_bytes(b"")
    yield "appended to", lambda: path.write_bytes(data + b"\0")
    draw = random.Random(path.name)
    places = range(len(data)) if every_byte else draw.sample(range(len(data)), min(3, len(data)))
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << draw.randrange(8)
        yield f"byte {place} flipped", lambda flipped=flipped: path.write_bytes(flipped)


def test_every_damage_of_every_file_is_detected(tmp_path, checkpoints, exhaustive):
    """In the exhaustive form every byte of every file is flipped in turn."""
    write(checkpoints, 1, 2)
    folder, count = tmp_path / "2", 0
    for path in files(folder):
        whole = path.read_bytes()
        for what, damage in damages(path, every_byte=exhaustive):
            damage()
            with pytest.raises(ValueError, match=r"^checkpoint 2 in .* is damaged: "):
                verify(folder)
            if what in ("deleted", "truncated") or count % 50 == 0:
                name = re.escape(path.name)
                with pytest.warns(UserWarning, match=f"checkpoint 2 in .*{name} is .*earlier"):
                    assert checkpoints.newest(state()).step == 1
                folder.with_name("2.damaged").rename(folder)
            path.write_bytes(whole)
            count += 1
        verify(folder)
    print(f"{count} damages of {len(files(folder))} files, all of them detected")
    (folder / "stray").touch()
    with pytest.raises(ValueError, match="stray is not as it was written"):
        verify(folder)


def test_where_all_are_damaged_nothing_is_begun_anew(tmp_path, checkpoints):
    write(checkpoints, 1, 2)
    for step in (1, 2):
        (tmp_path / str(step) / "progress.json").unlink()
    with (
        pytest.warns(UserWarning, match="is damaged: progress.json is missing"),
        pytest.raises(
            ValueError, match=r"no checkpoint in .* is undamaged. Start anew, in another"
        ),
    ):
        checkpoints.newest(state())


def test_damaged_ones_do_not_pass_for_the_newest(tmp_path, checkpoints):
    """The training goes on from before them: its new checkpoints are of earlier steps."""
    write(checkpoints, 80, best=[80])
    write(checkpoints, 90, 100, best=[80])
    for step in (90, 100):
        (tmp_path / str(step) / "progress.json").unlink()
    with pytest.warns(UserWarning, match="is damaged: progress.json is missing"):
        assert checkpoints.newest(state()).step == 80
    write(checkpoints, 81, 82, 83, best=[80])
    assert checkpoints.steps() == [83, 82, 80]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"80", "82", "83", "90.damaged", "100.damaged"}


def test_a_damaged_one_is_replaced_when_its_step_comes_again(tmp_path, checkpoints):
    write(checkpoints, 1)
    (tmp_path / "1" / "progress.json").unlink()
    write(checkpoints, 1)
    assert checkpoints.newest(state()).step == 1


def test_another_state_is_told_apart(checkpoints):
    write(checkpoints, 1)
    other = state()
    other["params"] = {"kernel": jnp.zeros((3, 3, 1, 5)), "half": jnp.ones(2), "more": jnp.ones(1)}
    message = (
        "They differ in params.half: bfloat16(2,) in the run, float32(2,) now; params.kernel: "
        "float32(3, 3, 1, 4) in the run, float32(3, 3, 1, 5) now; params.more: nothing in the "
        "run, float32(1,) now"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        checkpoints.newest(other)


def test_a_failed_write_is_raised_and_leaves_the_others(tmp_path, checkpoints, monkeypatch):
    write(checkpoints, 1)

    def fail(checkpointer, folder, arrays):
        folder.mkdir()
        raise RuntimeError("No space left on device")

    monkeypatch.setattr("orbax.checkpoint.Checkpointer.save", fail)
    checkpoints.offer(Checkpoint(2, state(), {}), best=[], now=True)
    with pytest.raises(OSError, match=r"checkpoint 2 in .*those before are kept: No space left"):
        checkpoints.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
