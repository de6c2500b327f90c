"""What looking into a model costs, beside a training step and a forward pass of the same images.

    python insight_costs.py [ROUNDS]

The goals: Grad-CAM of 64 images in at most 1.5 times a training step on them, and all activations
in at most 1.2 times the forward pass.
"""

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from compare import judged
from flax import nnx

import jaxcnn as cnn
from jaxcnn.insight import activations, grad_cam
from jaxcnn.modules import in_mode

ROUNDS = 15
GRAD_CAM_GOAL, ACTIVATIONS_GOAL = 1.5, 1.2


class Case(NamedTuple):
    """A network and the images it is given.

    Attributes:
      name: A name of ``cnn.models.create``.
      input_shape: Of one image.
      batch: Images of a call.
    """

    name: str
    input_shape: tuple[int, ...]
    batch: int


GRAD_CAM_CASES = [Case("mnist_cnn", (28, 28, 1), 64), Case("resnet18_small", (32, 32, 3), 64)]
ACTIVATIONS_CASES = [*GRAD_CAM_CASES, Case("mobilenetv2_050", (96, 96, 3), 8)]


def least_seconds(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the least time of each call; the calls take turns, after one of each that compiles."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        jax.block_until_ready(call())
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            seconds[name].append(time.perf_counter() - start)
    return {name: min(of_call) for name, of_call in seconds.items()}


def build(case: Case) -> tuple[nnx.Module, jax.Array, np.ndarray]:
    """Return a model, images in [0, 1] and labels."""
    random = np.random.default_rng(0)
    model = cnn.models.create(case.name).build(case.input_shape, rngs=nnx.Rngs(0))
    images = jax.numpy.asarray(random.random((case.batch, *case.input_shape), np.float32))
    return model, images, random.integers(0, 10, case.batch)


def grad_cam_ratio(case: Case, rounds: int) -> float:
    """Return the time of Grad-CAM divided by that of a training step with SGD and momentum."""
    model, images, labels = build(case)
    mask = np.ones(case.batch, bool)
    init, step = cnn.make_training(model, optax.sgd(0.01, momentum=0.9), on_nan="ignore")
    state, batch = init(jax.random.key(0)), cnn.Batch(images, labels, mask)

    def train() -> Any:
        nonlocal state
        state, metrics = step(state, batch)
        return state, metrics

    times = least_seconds({"step": train, "map": lambda: grad_cam(model, images)}, rounds)
    return show(case, "Grad-CAM", times["map"], "training step", times["step"], GRAD_CAM_GOAL)


def activations_ratio(case: Case, rounds: int) -> float:
    """Return the time of all activations divided by that of the compiled forward pass."""
    model, images, _ = build(case)
    graphdef, arrays = nnx.split(in_mode(model, train=False))
    forward = jax.jit(lambda arrays, images: nnx.merge(graphdef, arrays)(images))
    calls = {"forward": lambda: forward(arrays, images), "all": lambda: activations(model, images)}
    times = least_seconds(calls, rounds)
    return show(
        case, "activations", times["all"], "forward pass", times["forward"], ACTIVATIONS_GOAL
    )


def show(case: Case, name: str, ours: float, other: str, theirs: float, goal: float) -> float:
    """Prints both times and their ratio, which it returns."""
    ratio = ours / theirs
    print(
        f"- {case.name}, {case.batch} images: {name} {1e3 * ours:.2f} ms, {other} "
        f"{1e3 * theirs:.2f} ms: {ratio:.2f} {judged(f'at most {goal}', ratio <= goal)}",
        flush=True,
    )
    return ratio


def run(rounds: int = ROUNDS) -> dict[str, float]:
    """Measures and prints; returns the ratios by what was divided."""
    cnn.runtime.keep_freed_memory()
    print("\n### Looking into a model\n")
    figures = {}
    for case in GRAD_CAM_CASES:
        figures[f"Grad-CAM, {case.name}"] = grad_cam_ratio(case, rounds)
    for case in ACTIVATIONS_CASES:
        figures[f"activations, {case.name}"] = activations_ratio(case, rounds)
    return figures


if __name__ == "__main__":
    run(*map(int, sys.argv[1:]))
