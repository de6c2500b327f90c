"""Train ``mnist_cnn`` on the digits in one library until 98.5 % of the test images are right.

    python digits_contender.py jaxcnn|keras|torch DIGITS.npz

The same recipe in each: batches of 64, Adam with a one-cycle rate over 20 epochs, images shifted
by up to two pixels, in a process that keeps the memory it frees. It writes the epochs it took and
the accuracy, as JSON; whoever starts it takes the time.
"""

import importlib.util
import json
import math
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

TARGET, EPOCHS, BATCH, PEAK = 0.985, 20, 64, 3e-3


def rate(step: int, steps: int) -> float:
    """Return the one-cycle rate: up by a cosine over 30 % of the steps, then down to nothing."""
    rise = 0.3 * steps
    if step < rise:
        return PEAK * (1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * step / rise)) / 2)
    return PEAK * (1 + math.cos(math.pi * (step - rise) / (steps - rise))) / 2 + 1e-8


def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a batch moved by up to two pixels."""
    return np.roll(images, rng.integers(-2, 3, 2), axis=(1, 2))


def until_right(
    train: Callable[[np.ndarray, np.ndarray, float], None],
    right: Callable[[np.ndarray, np.ndarray], int],
) -> None:
    """Train by a step on images, labels and a rate, and stops at the target."""
    with np.load(sys.argv[2]) as file:
        images, labels = file["images"].astype(np.float32) / 255, file["labels"]
        test_images, test_labels = file["test_images"].astype(np.float32) / 255, file["test_labels"]
    rng, per_epoch = np.random.default_rng(0), -(-len(images) // BATCH)
    for epoch in range(EPOCHS):
        order = rng.permutation(len(images))
        for index in range(per_epoch):
            rows = np.resize(order[index * BATCH : (index + 1) * BATCH], BATCH)
            now = rate(epoch * per_epoch + index, EPOCHS * per_epoch)
            train(shifted(images[rows], rng), labels[rows], now)
        accuracy = right(test_images, test_labels) / len(test_labels)
        if accuracy >= TARGET:
            break
    print(json.dumps({"epochs": epoch + 1, "accuracy": accuracy}), flush=True)


def jaxcnn() -> None:
    """This library."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    import jaxcnn as cnn

    model = cnn.models.create("mnist_cnn").build((28, 28, 1), rngs=nnx.Rngs(0))
    optimizer = optax.inject_hyperparams(optax.adam)(learning_rate=PEAK)
    init, step = cnn.make_training(model, optimizer, on_nan="ignore")
    state, test_step = init(jax.random.key(0)), cnn.make_eval_step(model)

    def train(images: np.ndarray, labels: np.ndarray, now: float) -> None:
        nonlocal state
        state.optimizer_state.hyperparams["learning_rate"] = jnp.float32(now)
        state, _ = step(state, cnn.Batch(images, labels, np.ones(len(labels), bool)))

    def right(images: np.ndarray, labels: np.ndarray) -> int:
        batch = cnn.Batch(images, labels, np.ones(len(labels), bool))
        return int(test_step(state, batch).correct)

    until_right(train, right)


def keras() -> None:
    """Keras on JAX."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras
    from keras import layers

    model = keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Flatten(), layers.Dropout(0.5), layers.Dense(10),
    ])  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(PEAK), loss)

    def train(images: np.ndarray, labels: np.ndarray, now: float) -> None:
        model.optimizer.learning_rate = now
        model.train_on_batch(images, labels)

    def right(images: np.ndarray, labels: np.ndarray) -> int:
        return int((model.predict_on_batch(images).argmax(axis=1) == labels).sum())

    until_right(train, right)


def torch() -> None:
    """PyTorch, eager, channels last."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(576, 10),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=PEAK)

    def tensor(images: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(images).movedim(-1, 1)

    def train(images: np.ndarray, labels: np.ndarray, now: float) -> None:
        model.train()
        optimizer.param_groups[0]["lr"] = now
        optimizer.zero_grad(set_to_none=True)
        targets = torch.from_numpy(labels).long()
        nn.functional.cross_entropy(model(tensor(images)), targets).backward()
        optimizer.step()

    def right(images: np.ndarray, labels: np.ndarray) -> int:
        model.eval()
        with torch.inference_mode():
            return int((model(tensor(images)).argmax(dim=1).numpy() == labels).sum())

    until_right(train, right)


def keep_freed_memory() -> None:
    """Do what :func:`jaxcnn.runtime.keep_freed_memory` does, without importing the package."""
    package = importlib.util.find_spec("jaxcnn")
    assert package is not None
    assert package.origin is not None
    runpy.run_path(str(Path(package.origin).with_name("runtime.py")))["keep_freed_memory"]()


if __name__ == "__main__":
    keep_freed_memory()
    {"jaxcnn": jaxcnn, "keras": keras, "torch": torch}[sys.argv[1]]()
