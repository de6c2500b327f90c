"""What a training pays for what it can do besides: checkpoints, averages, metrics, TensorBoard.

python extras.py [ROUNDS]
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import jax
import numpy as np
from compare import judged
from flax import nnx
from jax.nn import relu

import jaxcnn as cnn
from jaxcnn.training import EpochEnded, Event, calibration_error, f1, tensorboard, top_k

ROUNDS = 5
EPOCHS = 6
GOAL, HOST_GOAL = 0.03, 150.0  # a share of the epoch, and microseconds of a step
VARIANTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "nothing": lambda folder: {"on_nan": "ignore"},
    "nothing, again": lambda folder: {"on_nan": "ignore"},
    "numbers that are not finite": lambda folder: {},
    "progress": lambda folder: {"on_nan": "ignore", "progress": True},
    "checkpoints": lambda folder: {"on_nan": "ignore", "run": folder / "run"},
    "TensorBoard": lambda folder: {"on_nan": "ignore", "callbacks": [tensorboard(folder)]},
    "metrics": lambda folder: {"on_nan": "ignore", "metrics": METRICS},
    "all of these": lambda folder: {
        "progress": True,
        "run": folder / "run",
        "callbacks": [tensorboard(folder)],
        "metrics": METRICS,
    },
    "an average of the weights": lambda folder: {"on_nan": "ignore", "ema": 0.999},
}
METRICS = {"top-5": top_k(5), "f1": f1(macro=True), "ece": calibration_error()}


def seconds_of_an_epoch(
    model: nnx.Module, data: cnn.Dataset, epochs: int, batch_size: int, options: dict[str, Any]
) -> float:
    """Return the mean over the epochs of a training but for its first, which compiles."""
    ends: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, EpochEnded):
            ends.append(time.perf_counter())

    defaults: dict[str, Any] = {"progress": False, "callbacks": []}
    options = defaults | options
    options["callbacks"] = [*options["callbacks"], note]
    with redirect_stdout(io.StringIO()):  # what progress prints is no table of the benchmark
        cnn.fit(model, data, epochs=epochs, batch_size=batch_size, **options)
    return (ends[-1] - ends[0]) / (epochs - 1)


def shares(rounds: int) -> dict[str, float]:
    """Return by how much each variant makes an epoch of mnist_cnn longer, at best of all rounds.

    An epoch is 4,000 images in steps of 128, and 1,000 held-out images.
    """
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (5_000, 28, 28, 1), np.uint8)
    data = cnn.Dataset(images, random.integers(0, 10, 5_000))
    train, test = data.take(slice(0, 4_000)), data.take(slice(4_000, None))
    model = cnn.models.create("mnist_cnn").build((28, 28, 1), rngs=nnx.Rngs(0))
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(rounds):
        for name, variant in VARIANTS.items():
            with tempfile.TemporaryDirectory() as folder:
                options = {"validation": test} | variant(Path(folder))
                times[name].append(seconds_of_an_epoch(model, train, EPOCHS, 128, options))
    least = min(times["nothing"])
    print(f"an epoch without any of them: {least:.3f} s")
    return {name: min(seconds) / least - 1 for name, seconds in times.items()}


def host_microseconds(rounds: int) -> float:
    """Return how long a step of a training lasts whose arithmetic is next to nothing."""
    data = cnn.data.load("digits")
    layer = cnn.serial(cnn.conv(2, 3, strides=3), relu, cnn.flatten(), cnn.dense(10))
    model = layer.build(data.image_shape, rngs=nnx.Rngs(0))
    epochs, steps = 100, cnn.data.steps_per_epoch(data, 64)
    seconds = [seconds_of_an_epoch(model, data, epochs, 64, {}) for _ in range(rounds)]
    return 1e6 * min(seconds) / steps


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Measures and prints."""
    cnn.runtime.keep_freed_memory()
    print("\n### What fit can do besides, and what it costs\n")
    with tempfile.TemporaryDirectory() as cache:
        jax.config.update("jax_compilation_cache_dir", cache)  # compile once for all rounds
        found = shares(rounds)
        host = host_microseconds(rounds)
    jax.config.update("jax_compilation_cache_dir", None)
    for name, share in found.items():
        told = "" if name.startswith("nothing") else judged(f"at most {GOAL:.0%}", share <= GOAL)
        print(f"- {name}: {share:+.1%} {told}")
    told = judged(f"at most {HOST_GOAL:.0f}", host <= HOST_GOAL)
    print(f"- a step of next to nothing: {host:.0f} µs {told}")
    return {"shares": found, "host_us": host}


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
