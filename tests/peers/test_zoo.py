"""The zoo against timm and torchvision: names, shapes, multiply-adds, logits, and the way back."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from peer_zoo import COUNTER, abstract, channels_first, library_of, seeded
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from jaxcnn import models, summarize
from jaxcnn.interchange import to_torch
from jaxcnn.interchange.checkpoints import Checkpoint
from jaxcnn.interchange.torch import read_torch
from jaxcnn.layers.weights import array_shapes
from jaxcnn.models.registry import find_entry
from jaxcnn.modules.parameter_tree import arrays_of, with_arrays

NAMES = [name for name in models.names() if library_of(name)]


@functools.cache
def peer(name):
    return abstract(name).eval()


def state_of(network, name):
    second = ("AuxLogits.", "aux")  # heads that only help training
    return {
        key: array
        for key, array in network.state_dict().items()
        if not key.endswith(COUNTER) and not key.startswith(second)
    }


def test_every_large_network_has_a_peer():
    rest = set(models.names()) - set(NAMES)
    own = {"airbench", "letters_cnn", "mnist_cnn", "pets_cnn", "tiny_cnn"}
    small = {"resnet18_small", "resnet20", "resnet56", "lenet5", "fcn", "inception_time"}
    assert {name for name in rest if not name.startswith("mtcnn")} == own | small


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_multiply_adds(name):
    info, network = models.info(name), models.create(name)
    parameters = [p for k, p in peer(name).named_parameters() if not k.startswith("AuxLogits.")]
    assert summarize(network, info.input_shape).trainable == info.parameters
    assert sum(p.numel() for p in parameters) == info.parameters
    assert network.multiply_adds(info.input_shape) == info.multiply_adds
    *size, channels = info.input_shape
    with FlopCounterMode(display=False) as counter:
        peer(name)(torch.zeros((1, channels, *size), device="meta"))
    assert counter.get_total_flops() == 2 * info.multiply_adds


@pytest.mark.parametrize("name", NAMES)
def test_there_and_back(name, monkeypatch):
    """Our arrays have the names and shapes there, and come back as they were."""
    network, shape = models.create(name), models.input_shape(name)
    own = array_shapes(network, shape)
    numbers = iter(range(len(own)))
    model = network.abstract(shape)
    arrays = {n: np.full(s, next(numbers), np.float32) for n, s in own.items()}
    for array in arrays.values():  # so that transposed and other numbers are not the same
        array.ravel()[: min(array.size, 1000)] += np.linspace(0, 1, min(array.size, 1000))
    there = to_torch(with_arrays(model, arrays), library=library_of(name))
    expected = state_of(peer(name), name)
    assert {k: tuple(a.shape) for k, a in there.items()} == {
        k: tuple(a.shape) for k, a in expected.items()
    }
    checkpoint = Checkpoint(
        "memory",
        {k: tuple(a.shape) for k, a in there.items()},
        lambda: {k: a.numpy() for k, a in there.items()},
    )
    monkeypatch.setattr("jaxcnn.interchange.torch.open_checkpoint", lambda path: checkpoint)
    weights = read_torch("memory", find_entry(name).family, own, name)
    back = weights(arrays_of(model))
    assert back.keys() == arrays.keys()
    for key, array in back.items():
        np.testing.assert_array_equal(array, arrays[key])


def logits(network, shape, x):
    model = network.build(shape, rngs=nnx.Rngs(0))
    graphdef, state = nnx.split(model)
    return jax.jit(lambda state, x: nnx.merge(graphdef, state)(x))(state, x)


QUICK = (
    "mobilenetv3_small_100",
    "regnety_002",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "tf_efficientnet_lite0",
)


@pytest.mark.parametrize("odd", [False, True], ids=["own", "odd"])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.long] * (n not in QUICK)) for n in NAMES]
)
def test_logits(name, odd, tmp_path):
    info = models.info(name)
    *size, channels = info.input_shape
    if name in QUICK:
        size = [64, 64]
    shape = (*(side + 7 if odd else side for side in size), channels)
    if name == "r3d_18":
        shape = (9, 33, 35, 3) if odd else (8, 56, 56, 3)
    network = seeded(name)
    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path)
    described = models.create(name, weights=path)
    x = np.random.default_rng(0).uniform(size=(1, *shape)).astype(np.float32)
    given = described.preprocessing
    normalized = (x - np.float32(given.mean)) / np.float32(given.std)
    with torch.no_grad():
        theirs = network(channels_first(normalized)).numpy()
    ours = logits(described, shape, jnp.asarray(x))
    difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(f"ZOO {name} {shape[:-1]} {difference:.1e}")
    assert difference < 1e-4
    assert math.isfinite(difference)
