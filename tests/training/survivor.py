"""A training in a process of its own, to be killed: ``python survivor.py RUN``.

It prints the step that it begins at, every step that it takes, and at its end a digest of
parameters and history.
"""

import dataclasses
import hashlib
import json
import sys

import jax
import numpy as np
import optax
from flax import nnx

import jaxcnn as cnn
from jaxcnn.training import Started, Stepped, top_k

EPOCHS, STEPS = 12, 20


def block(features):
    return cnn.serial(cnn.conv(features, 3), cnn.batch_norm(), jax.nn.relu, cnn.dropout(0.2))


def digest(result):
    """Return a checksum of every array of the last state, bit for bit."""
    total = hashlib.sha256()
    for leaf in jax.tree.leaves(result.state):
        is_key = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        total.update(np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes())
    return total.hexdigest()


def measured(history):
    """Return what does not depend on the clock."""
    return [
        dataclasses.replace(row, images_per_second=0.0, seconds=0.0, input_seconds=0.0).to_dict()
        for row in history
    ]


def train(folder, *, epochs=EPOCHS, callbacks=(), data_seed=0, **options):
    """Train with everything that draws at random or keeps a state of its own."""
    random = np.random.default_rng(data_seed)
    images = random.integers(0, 256, (STEPS * 8 - 3, 10, 10, 1), np.uint8)
    data = cnn.Dataset(images, random.integers(0, 3, len(images)))
    network = cnn.serial(block(4), cnn.flatten(), cnn.dense(3))
    return cnn.fit(
        network.build((10, 10, 1), rngs=nnx.Rngs(0)),
        data,
        validation=data.take(slice(0, 50)),
        epochs=epochs,
        batch_size=8,
        optimizer=optax.sgd(optax.linear_schedule(0.1, 0.0, EPOCHS * STEPS), momentum=0.9),
        augment=cnn.augment.random_shift,
        mix=cnn.augment.mixup,
        ema=0.9,
        accumulate=2,
        metrics={"top-2": top_k(2)},
        run=folder,
        callbacks=callbacks,
        progress=False,
        **options,
    )


def announce(event):
    if isinstance(event, Started | Stepped):
        print("started" if isinstance(event, Started) else "step", event.step, flush=True)


def main(folder, **options):
    outcome = train(folder, checkpoint_every=3, callbacks=[announce], **options)
    print(json.dumps({"digest": digest(outcome), "history": measured(outcome.history)}))


if __name__ == "__main__":
    main(sys.argv[1])
