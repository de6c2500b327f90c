"""What augmentation adds to a training step of ResNet-18 on images of 32×32.

python augmentation.py [BATCH] [RECIPE …]

The steps run in turns, so that a slow minute of the machine falls on all of them; the least of
each one's times is compared. The goal on CPU is at most 15 % for "cifar".
"""

import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from compare import judged
from flax import nnx
from networks import CASES

import jaxcnn as cnn

ROUNDS = 7
GOALS = {"cifar": 0.15}  # of a step without


def run(batch_size: int, recipes: list[str], network: str = "resnet18") -> dict[str, float]:
    """Measures and prints; returns the milliseconds of a step with each recipe."""
    case = CASES[network]
    model = case.network.build(case.input_shape, rngs=nnx.Rngs(0))
    optimizer = optax.sgd(0.01, momentum=0.9)
    rng = np.random.default_rng(0)
    batch = cnn.Batch(
        jnp.asarray(rng.integers(0, 256, (batch_size, *case.input_shape), np.uint8)),
        jnp.asarray(rng.integers(0, case.classes, batch_size, np.int32)),
        jnp.ones(batch_size, bool),
    )
    steps: dict[str, Any] = {}
    for name in ["none", *recipes]:
        training = cnn.make_training(
            model, optimizer, augment=name, steps_per_epoch=10, on_nan="ignore"
        )
        # Compiled before anything is measured.
        state, _ = training.step(training.init(jax.random.key(0)), batch)
        steps[name] = training.step, jax.block_until_ready(state)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, (step, state) in steps.items():
            started = time.perf_counter()
            state, _ = jax.block_until_ready(step(state, batch))
            times[name].append(1e3 * (time.perf_counter() - started))
            steps[name] = step, state
    least = {name: min(seconds) for name, seconds in times.items()}
    images = jnp.asarray(batch.image, jnp.float32) / 255
    print(f"\n### Augmentation: {network}, batch {batch_size}, {jax.default_backend()}\n")
    print("| recipe | step, ms | more than without | the recipe alone, ms |")
    print("| --- | ---: | ---: | ---: |")
    for name, milliseconds in least.items():
        share = milliseconds / least["none"] - 1
        goal = GOALS.get(name)
        told = "" if goal is None else " " + judged(f"at most {goal:.0%}", share <= goal)
        print(f"| {name} | {milliseconds:.1f} | {share:.1%}{told} | {alone(name, images):.2f} |")
    return least


def alone(name: str, images: jax.Array) -> float:
    """Return the milliseconds of a recipe by itself, compiled."""
    augment = jax.jit(cnn.augment.compose(cnn.augment.named(name)))
    key, times = jax.random.key(0), []
    for _ in range(3 * ROUNDS):
        started = time.perf_counter()
        jax.block_until_ready(augment(key, images, epoch=1))
        times.append(1e3 * (time.perf_counter() - started))
    return min(times)


def main() -> None:
    """Read the batch and the recipes from the command line."""
    batch_size, *recipes = sys.argv[1:] or ["32"]
    run(int(batch_size), recipes or ["cifar", "airbench", "cifar_long", "imagenet"])


if __name__ == "__main__":
    main()
