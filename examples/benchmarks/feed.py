"""How fast batches come, and whether a training step ever waits for one.

python feed.py

The goals: at least a million images of 28×28 a second, and a step within 3 % of what it takes with
one batch over and over.
"""

import statistics
import time
from collections.abc import Iterator
from itertools import islice, repeat

import jax
import networks
import numpy as np
import optax
from compare import judged
from flax import nnx

import jaxcnn as cnn

ROUNDS = 7
STEPS = {"mnist_cnn": 40, "resnet18": 5}  # of a round


def images_per_second(data: cnn.Dataset, batch_size: int) -> float:
    """Return how many images of an epoch are gathered in a second, at best."""
    times = []
    for epoch in range(ROUNDS):
        start = time.perf_counter()
        for _ in cnn.data.batches(data, batch_size, seed=0, epoch=epoch):
            pass
        times.append(time.perf_counter() - start)
    return len(data) / min(times)


def share_of_waiting(name: str) -> tuple[float, float]:
    """Return ms of a step with one batch over and over, and by how much real batches are slower.

    Rounds of both kinds take turns; the share is the median of the rounds' own ratios.
    """
    case = networks.CASES[name]
    images = np.random.default_rng(0).integers(0, 256, (20_000, *case.input_shape), np.uint8)
    data = cnn.Dataset(images, np.arange(20_000) % case.classes)
    model = case.network.build(case.input_shape, rngs=nnx.Rngs(0))
    optimizer = optax.adam(1e-3)
    init, step = cnn.make_training(model, optimizer, on_nan="ignore")
    state = init(jax.random.key(0))

    def seconds(batches: Iterator[cnn.Batch]) -> float:
        """Runs as ``fit`` does: the host two steps ahead of the device."""
        nonlocal state
        start, measured = time.perf_counter(), []
        for batch in islice(batches, STEPS[name]):
            state, metrics = step(state, batch)
            measured.append(metrics)
            jax.block_until_ready(measured[max(len(measured) - 3, 0)])
        jax.block_until_ready(state)
        return (time.perf_counter() - start) / STEPS[name]

    constant = next(cnn.data.batches(data, case.batch, seed=0))
    seconds(repeat(constant))
    constants, reals = [], []
    for epoch in range(ROUNDS):
        constants.append(seconds(repeat(constant)))
        reals.append(seconds(cnn.data.batches(data, case.batch, seed=0, epoch=epoch)))
    ratios = [real / constant for real, constant in zip(reals, constants, strict=True)]
    return 1e3 * min(constants), statistics.median(ratios) - 1


def run() -> dict[str, float]:
    """Measures and prints; returns images a second, and the share of each step that is waited."""
    cnn.runtime.keep_freed_memory()
    digits = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28, 1), np.uint8)
    data = cnn.Dataset(digits, np.arange(60_000) % 10)
    print("\n### Feeding batches\n")
    figures = {}
    for batch_size in (64, 128, 512):
        rate = figures[f"batch {batch_size}"] = images_per_second(data, batch_size)
        told = f"{rate / 1e6:.2f} million images of 28×28 a second"
        print(f"- batches of {batch_size}: {told} {judged('at least 1', rate >= 1e6)}")
    for name in STEPS:
        milliseconds, figures[name] = share_of_waiting(name)
        told = judged("at most 3 %", figures[name] <= 0.03)
        print(
            f"- {name}: {milliseconds:.1f} ms a step; {figures[name]:+.1%} with real batches {told}"
        )
    return figures


if __name__ == "__main__":
    run()
