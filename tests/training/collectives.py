"""The exchanges of steps compiled for two devices, in a process of its own; prints JSON."""

import json
import sys

import numpy as np
import optax
from flax import nnx
from jax.nn import relu

import jaxcnn as cnn
from jaxcnn.training.collective_operations import KINDS, compile_for_reading
from jaxcnn.training.options import TrainingOptions
from jaxcnn.training.task import Task


def block(features):
    body = cnn.serial(
        cnn.conv(features, 3, padding=1, use_bias=False), cnn.batch_norm(), relu,
        cnn.conv(features, 3, padding=1, use_bias=False), cnn.batch_norm(),
    )  # fmt: skip
    return cnn.serial(cnn.residual(body), relu)


RESNET = cnn.serial(
    cnn.conv(16, 3, padding=1, use_bias=False), cnn.batch_norm(), relu,
    block(16), cnn.global_avg_pool(), cnn.dense(10),
)  # fmt: skip


def measure(network, input_shape, **options):
    data = cnn.Dataset(np.zeros((20, *input_shape), np.uint8), np.arange(20) % 10)
    task = Task(
        model=network.build(input_shape, rngs=nnx.Rngs(0)),
        data=data,
        optimizer=optax.sgd(0.1, momentum=0.9),
        options=TrainingOptions(batch_size=16, epochs=1, **options),
    )
    program = compile_for_reading(task)
    kinds = {kind: program.bytes_of(kind) for kind in KINDS}
    found = {"flops": program.flops, "images": program.images, **kinds}
    return {name: value for name, value in found.items() if value}


MNIST_CNN = cnn.models.create("mnist_cnn")
CASES = {
    "mnist_cnn": lambda: measure(MNIST_CNN, (28, 28, 1)),
    "global": lambda: measure(RESNET, (8, 8, 3)),
    "device": lambda: measure(RESNET, (8, 8, 3), batch_norm="device"),
    "sharded": lambda: measure(MNIST_CNN, (28, 28, 1), shard_parameters=True),
}

if __name__ == "__main__":
    print(json.dumps({name: CASES[name]() for name in sys.argv[1:]}))
