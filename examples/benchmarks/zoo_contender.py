"""One library with one network of the zoo in a process of its own, driven line by line.

    python zoo_contender.py LIBRARY NETWORK

Each line it reads says a batch and how many times to run it: ``32 5``. Weights are random.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

LIBRARIES = ("jaxcnn", "torch", "torch channels-last", "torch.compile", "keras")
# What Keras calls them; it has no EfficientNet-Lite, and the plain one stands in its place.
KERAS = {
    "efficientnet_lite0": "EfficientNetB0",
    "resnet50": "ResNet50",
    "mobilenetv3_large_100": "MobileNetV3Large",
}
SIDE = 224
declarations: list[Any] = []  # of operations, in force as long as they are kept


def ours(name: str) -> Callable[[np.ndarray], Any]:
    """Return this library's network as a compiled function."""
    import jax
    from flax import nnx

    import jaxcnn as cnn

    model = cnn.models.create(name).build((SIDE, SIDE, 3), rngs=nnx.Rngs(0))
    graphdef, state = nnx.split(model)
    call = jax.jit(lambda state, x: nnx.merge(graphdef, state)(x))
    return lambda x: call(state, x).block_until_ready()


def torch_network(name: str, form: str) -> Callable[[np.ndarray], Any]:
    """Return timm's network: eager, with channels last, or compiled."""
    import torch
    from torchvision_operations import declare_operations

    declarations.append(declare_operations())
    import timm

    network = timm.create_model(name).eval()
    layout = torch.contiguous_format if form == "torch" else torch.channels_last
    network = network.to(memory_format=layout)
    if form == "torch.compile":
        network = torch.compile(network)

    @cache
    def images(batch: int) -> Any:
        return torch.randn(batch, 3, SIDE, SIDE).to(memory_format=layout)

    @torch.inference_mode()
    def run(x: np.ndarray) -> Any:
        return network(images(len(x)))

    return run


def keras_network(name: str) -> Callable[[np.ndarray], Any]:
    """Return the network of ``keras.applications`` on JAX, as a compiled function."""
    os.environ["KERAS_BACKEND"] = "jax"
    import jax
    import keras

    network = getattr(keras.applications, KERAS[name])(weights=None)
    variables = [v.value for v in network.trainable_variables]
    others = [v.value for v in network.non_trainable_variables]
    call = jax.jit(lambda v, o, x: network.stateless_call(v, o, x, training=False)[0])
    return lambda x: call(variables, others, x).block_until_ready()


def main() -> None:
    """Build the network, then run what it is told to until its input ends."""
    from contender import seconds

    from jaxcnn.runtime import keep_freed_memory

    keep_freed_memory()
    library, name = sys.argv[1:]
    if library == "jaxcnn":
        run = ours(name)
    elif library == "keras":
        run = keras_network(name)
    else:
        run = torch_network(name, library)
    print("{}", flush=True)
    warm: dict[int, np.ndarray] = {}
    for line in sys.stdin:
        batch, count = map(int, line.split())
        if batch not in warm:
            warm[batch] = np.random.default_rng(0).normal(size=(batch, SIDE, SIDE, 3))
            warm[batch] = warm[batch].astype(np.float32)
            for _ in range(2):
                run(warm[batch])
        times = [seconds(lambda x=warm[batch]: run(x)) for _ in range(count)]
        print(json.dumps({"seconds": times}), flush=True)


if __name__ == "__main__":
    main()
