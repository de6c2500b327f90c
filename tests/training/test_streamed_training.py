"""Trainings on data that is decoded as it comes: ``python test_streamed_training.py PICTURES RUN``.

The latter is a training in a process of its own, to be killed.
"""

import json
import subprocess
import sys
import time

import grain
import numpy as np
import optax
import pytest
import survivor
from flax import nnx
from PIL import Image

import jaxcnn as cnn
from jaxcnn.training import Stepped

pytestmark = pytest.mark.implicit_promotion


class Stopped(Exception):
    pass


def stop_at(step):
    def listen(event):
        if isinstance(event, Stepped) and event.step == step:
            raise Stopped

    return listen


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures") / "pets"
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(15):
            pixels = random.integers(0, 256, (20, 24, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")
    return root


def fit(data, run=None, **options):
    network = cnn.serial(cnn.flatten(), cnn.dropout(0.2), cnn.dense(2))
    return cnn.fit(
        network.build((8, 8, 3), rngs=nnx.Rngs(0)),
        data,
        optimizer=optax.sgd(0.01, momentum=0.9),
        batch_size=5,
        run=run,
        progress=False,
        **{"epochs": 3} | options,
    )


def test_a_stream_trains_as_the_mapped_set_and_resumes_within_an_epoch(folder, tmp_path):
    options = {"image_size": 8, "split": "train"}
    mapped = fit(cnn.data.load(folder, **options))
    stream = cnn.data.load(folder, **options, stream=True)
    whole = fit(stream)
    assert survivor.digest(whole) == survivor.digest(mapped)
    assert 0 < whole.history[0].input_seconds <= whole.history[0].seconds
    crops = cnn.data.load(folder, **options, stream=True, random_crop=(0.3, 1))
    cropped = fit(crops)
    assert survivor.digest(cropped) != survivor.digest(mapped)
    with pytest.raises(Stopped):
        fit(crops, tmp_path / "run", checkpoint_every=2, callbacks=[stop_at(9)])
    assert survivor.digest(fit(crops, tmp_path / "run")) == survivor.digest(cropped)


IMAGES = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3), np.uint8)
LABELS = np.arange(40, dtype=np.int32) % 2


def given(epoch):
    """The batches of an epoch: 7, in another order in each."""
    order = np.random.default_rng(epoch).permutation(40)
    for rows in np.resize(order, (7, 5)):
        yield IMAGES[rows], LABELS[rows]


def endless():
    for epoch in range(100):
        yield from given(epoch)


@pytest.mark.parametrize("make", [lambda: given, endless], ids=["function", "generator"])
def test_given_batches_train_and_resume_within_an_epoch(tmp_path, make):
    whole = fit(make(), steps_per_epoch=7)
    assert [row.epoch for row in whole.history] == [1, 2, 3]
    with pytest.raises(Stopped):
        fit(make(), tmp_path, steps_per_epoch=7, checkpoint_every=2, callbacks=[stop_at(12)])
    began = []
    resumed = fit(make(), tmp_path, steps_per_epoch=7, callbacks=[began.append])
    assert began[0].step == 11
    assert survivor.digest(resumed) == survivor.digest(whole)
    assert survivor.measured(resumed.history) == survivor.measured(whole.history)


def test_given_batches_are_those_of_the_step():
    """One epoch of the batches of a set, as a list, is one epoch of the set."""
    data = cnn.Dataset(IMAGES, LABELS)
    listed = [batch[:2] for batch in cnn.data.batches(data, 5, seed=0)]
    digests = {survivor.digest(fit(each, epochs=1)) for each in (data, listed)}
    assert len(digests) == 1


def test_mistakes_in_given_batches_name_the_batch():
    batches = list(given(0))
    with pytest.raises(ValueError, match=r"needs steps_per_epoch.*batches of 5 images \(8, 8, 3\)"):
        fit(given)
    with pytest.raises(ValueError, match=r"give 8 batches .* after 7 batches of epoch 1"):
        fit(given, steps_per_epoch=8)
    with pytest.raises(ValueError, match=r"after 3 batches of epoch 2"):
        fit(iter(batches + batches[:3]), steps_per_epoch=7)
    images, labels = batches[3]
    for other in ((images[:3], labels[:3]), (images / np.float32(255), labels)):
        with pytest.raises(ValueError, match=r"uint8 \(5, 8, 8, 3\).*as batch 4 of epoch 1"):
            fit([*batches[:3], other])
    with pytest.raises(ValueError, match=r"labels must be in 0…1.*in batch 2 of epoch 1"):
        fit([batches[0], (images, labels + 5)] * 2)
    with pytest.raises(TypeError, match=r"\(images, labels\) or a Batch.*the first batch"):
        fit([images, images, images])


def test_an_ordered_stream_goes_on_at_the_same_example(tmp_path):
    """In mid-epoch, and over the end of one, from the state in the checkpoint."""
    records = list(zip(IMAGES, LABELS, strict=True))

    def stream():
        iterator = grain.MapDataset.source(records).to_iter_dataset()
        return cnn.data.load(iterator, class_names=["0", "1"], random_crop=(0.3, 1), image_size=8)

    options = {"steps_per_epoch": 5}
    whole = fit(stream(), **options)
    with pytest.raises(Stopped):
        fit(stream(), tmp_path, **options, checkpoint_every=2, callbacks=[stop_at(10)])
    assert survivor.digest(fit(stream(), tmp_path, **options)) == survivor.digest(whole)


def train_to_be_killed(folder, run):
    """Print each step; at the end, a digest of parameters and history."""

    def announce(event):
        if isinstance(event, Stepped):
            print("step", event.step, flush=True)
            time.sleep(0.02)  # while images are decoded ahead

    crops = cnn.data.load(folder, image_size=8, stream=True, random_crop=(0.3, 1))
    options = {"checkpoint_every": 2, "callbacks": [announce], "epochs": 8}
    result = fit(crops, run, **options)
    history = survivor.measured(result.history)
    print(json.dumps({"digest": survivor.digest(result), "history": history}))


@pytest.mark.long
def test_killed_in_mid_epoch_it_goes_on_at_the_same_example(folder, tmp_path):
    """SIGKILL twice, at any moment of an epoch."""

    def start(run):
        command = [sys.executable, __file__, str(folder), str(tmp_path / run)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    with start("undisturbed") as undisturbed:
        whole = undisturbed.communicate(timeout=120)[0].splitlines()
    for kill_at in (13, 28):
        with start("killed") as killed:
            steps = (int(line.split()[1]) for line in killed.stdout if line.startswith("step"))
            assert any(step == kill_at for step in steps)
            killed.kill()
    with start("killed") as resumed:
        lines = resumed.communicate(timeout=120)[0].splitlines()
    assert 13 < int(lines[0].split()[1]) <= 29
    assert lines[-1] == whole[-1]


if __name__ == "__main__":
    train_to_be_killed(*sys.argv[1:])
