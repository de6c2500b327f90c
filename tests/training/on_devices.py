"""Trainings on eight devices and on fewer, in a process of its own with eight; prints JSON.

Every difference is relative to the largest value of an array, or to 1: the gradient of a bias
before a normalization is rounding alone.
"""

import functools
import json
import sys
from pathlib import Path

import jax
import numpy as np
import optax
from flax import nnx

import jaxcnn as cnn
from jaxcnn import augment, training

RNG = np.random.default_rng(0)
LABELS = np.arange(80) % 3
IMAGES = (RNG.integers(0, 80, (80, 8, 8, 1)) + 80 * LABELS[:, None, None, None]).astype(np.uint8)
DATA = cnn.Dataset(IMAGES, LABELS)
NETWORK = cnn.serial(
    cnn.conv(8, 3), cnn.batch_norm(), jax.nn.relu, cnn.max_pool(2),
    cnn.flatten(), cnn.dropout(0.5), cnn.dense(128), jax.nn.relu, cnn.dense(3),
)  # fmt: skip
MODEL = NETWORK.build((8, 8, 1), rngs=nnx.Rngs(0))
# Adam divides by the size of a gradient, also of one that is rounding.
OPTIMIZER = optax.sgd(0.1, momentum=0.9)
OPTIONS = {
    "epochs": 4,  # of 5 steps: 4 of 16 images, and one of masked rows
    "batch_size": 16,
    "augment": functools.partial(augment.random_shift, pixels=1),
    "mix": functools.partial(augment.mixup, alpha=0.4),
    "accumulate": 2,
    "ema": 0.9,
    "progress": False,
    "optimizer": OPTIMIZER,
}


def difference(one, other):
    """Return the largest difference of two trees, relative to the largest value of an array."""

    def of_arrays(a, b):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        return float(np.abs(a - b).max() / max(np.abs(a).max(), 1)) if a.size else 0.0

    return max(jax.tree.leaves(jax.tree.map(of_arrays, one, other)))


def arrays_of(result):
    state = result.state
    return state.params, state.statistics, state.optimizer_state, state.ema


def spread(tree):
    return {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(tree)}


def compare_devices():
    train = functools.partial(cnn.fit, MODEL, DATA, **OPTIONS)
    one, eight = train(devices=1), train(devices="all")
    mesh = jax.make_mesh((4, 2), ("data", "other"))
    whole = cnn.training.Placement.over(8, shard_parameters=True)
    sharded = train(devices=whole.mesh, shard_parameters=True)
    kernel = sharded.state.params["dense_1"]["kernel"]
    return {
        "eight": difference(arrays_of(one), arrays_of(eight)),
        "spread": sorted(spread(arrays_of(eight))),
        "mesh": difference(arrays_of(one), arrays_of(train(devices=mesh))),
        "sharded": difference(arrays_of(one), arrays_of(sharded)),
        "part": kernel.addressable_shards[0].data.size / kernel.size,
        "loss": difference([row.loss for row in one.history], [row.loss for row in eight.history]),
        "model": sorted(spread(nnx.state(sharded.model))),
    }


def compare_uses():
    model = cnn.fit(MODEL, DATA, devices=1, **OPTIONS).model
    measured = [
        cnn.evaluate(
            model, DATA, batch_size=12, metrics=["confusion", "calibration_error"], devices=n
        )
        for n in (1, 8)
    ]
    predicted = [cnn.predict(model, IMAGES, batch_size=12, devices=n) for n in (1, 8)]
    few = cnn.predict(model, IMAGES[:3], devices=8)
    search = [
        training.find_learning_rate(MODEL, DATA, batch_size=16, steps=60, devices=n).losses
        for n in (1, 8)
    ]
    return {
        "loss": difference(measured[0].loss, measured[1].loss),
        "metrics": difference(measured[0].metrics, measured[1].metrics),
        "predict": difference(*predicted),
        "few": difference(predicted[0][:3], few),
        "rates": difference(search[0][:20], search[1][:20]),
    }


def compare_restarts(folder):
    """Train on 4, then 2, then 8 devices, each stopped in the middle of an epoch."""
    options = OPTIONS | {"epochs": 6}
    whole = cnn.fit(MODEL, DATA, devices=1, **options)

    class Stop(Exception):
        pass

    def stop_after(step, event):
        if isinstance(event, training.Stepped) and event.step == step:
            raise Stop

    train = functools.partial(cnn.fit, MODEL, DATA, run=folder, checkpoint_every=1, **options)
    for devices, step, sharded in ((4, 8, False), (2, 17, True)):
        stop = functools.partial(stop_after, step)
        try:
            train(devices=devices, shard_parameters=sharded, callbacks=[stop])
        except Stop:
            continue
        raise AssertionError("the training was not stopped")
    last = train(devices=8, shard_parameters=True)
    return {
        "restarted": difference(arrays_of(whole), arrays_of(last)),
        "epochs": len(last.history),
    }


def compare_batch_norm():
    """Statistics of each of eight devices, against the eight parts normalized by NumPy."""
    network = cnn.serial(cnn.batch_norm(), cnn.flatten(), cnn.dense(3))
    model = network.build((8, 8, 1), rngs=nnx.Rngs(0))
    options = {"epochs": 1, "batch_size": 80, "optimizer": optax.sgd(0.1), "progress": False}
    found = cnn.fit(model, DATA, devices=8, batch_norm="device", **options)
    row = next(iter(cnn.data.batches(DATA, 80, seed=0)))
    parts = (np.asarray(row.image, np.float64) / 255).reshape(8, -1)
    mean, variance = parts.mean(axis=1).mean(), parts.var(axis=1).mean()
    statistics = found.state.statistics["batch_norm_1"]
    return {
        "mean": difference(0.1 * mean, statistics["mean"][0]),
        "variance": difference(0.9 + 0.1 * variance, statistics["var"][0]),
    }


if __name__ == "__main__":
    compare = {"devices": compare_devices, "uses": compare_uses, "batch_norm": compare_batch_norm}
    what, *folder = sys.argv[1:]
    found = compare_restarts(Path(folder[0])) if folder else compare[what]()
    print(json.dumps(found))
